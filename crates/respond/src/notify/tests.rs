use outrider_model::{Concern, EntityKind, Finding, FindingId, NoticeKind, Observation, Outcome, TargetFacts};

use super::*;

fn teller() -> Teller {
    Teller { installation: "0123456789abcdef".to_owned(), evidence_age_max_ms: 600_000 }
}

fn consumer() -> EntityKey {
    EntityKey {
        kind: EntityKind::Consumer,
        gateway: "kong".to_owned(),
        workspace: String::new(),
        value: "6d5c8a52-3f10-4a43-9e3f-0c5a6f0f6f0e".to_owned(),
        label: "alice".to_owned(),
    }
}

fn alert() -> Alert {
    let worst = Finding {
        id: FindingId(7),
        detector: "request_spike".to_owned(),
        entity: consumer(),
        target: TargetFacts::default(),
        endpoint: None,
        endpoint_name: "GET /orders/{id}".to_owned(),
        service_id: "s-1".to_owned(),
        service_name: "orders".to_owned(),
        route_id: String::new(),
        route_name: String::new(),
        consumer_tags: Vec::new(),
        consumer_custom_id: String::new(),
        window_start_ms: 1_700_000_000_000,
        window_ms: 60_000,
        event_ms: 1_700_000_060_000,
        raised_ms: 1_700_000_061_000,
        call_number: 9,
        observation: Observation {
            measure: "calls".to_owned(),
            unit: "calls per minute".to_owned(),
            observed: 900.0,
            expected: 3.0,
            threshold: 60.0,
        },
        surprise: Some(40.0),
        basis: String::new(),
        outcome: Outcome::default(),
        severity: Severity::Medium,
        confidence: Confidence::new(0.5),
        sentence: "alice made 900 calls per minute to GET /orders/{id}; 3 would be usual".to_owned(),
        samples: Vec::new(),
        query: String::new(),
    };
    Alert {
        id: AlertId(0x0123_4567_89ab_cdef),
        detector: worst.detector.clone(),
        entity: worst.entity.clone(),
        state: AlertState::Open,
        severity: worst.severity,
        confidence: worst.confidence,
        sentence: worst.sentence.clone(),
        worst,
        findings: Vec::new(),
        finding_count: 1,
        endpoints: Vec::new(),
        outcome: Outcome::default(),
        started_ms: 1_700_000_000_000,
        opened_ms: 1_700_000_061_000,
        last_finding_ms: 1_700_000_061_000,
        updated_ms: 1_700_000_061_000,
        state_by: String::new(),
        state_reason: String::new(),
        actions: Vec::new(),
        policy_notes: Vec::new(),
        assignee: None,
        comments: Vec::new(),
    }
}

fn closed(state: AlertState) -> Alert {
    let updated_ms = 1_700_000_661_000;
    Alert { state, updated_ms, state_by: "root".to_owned(), state_reason: "mended".to_owned(), ..alert() }
}

fn severe() -> Alert {
    Alert { severity: Severity::Critical, updated_ms: 1_700_000_121_000, ..alert() }
}

fn action(states: &[ActionState]) -> Action {
    let steps = states.iter().zip(1_700_000_062_000..);
    let history: Vec<_> =
        steps.map(|(state, at_ms)| ActionStep { at_ms, state: *state, reason: String::new() }).collect();
    Action {
        id: ActionId(0xfedc_ba98_7654_3210),
        alert: Some(alert().id),
        origin: Origin::Person { name: "root".to_owned() },
        target: consumer(),
        scope: ActionScope::Consumer,
        kind: ActionKind::Block { status: 403, message: "blocked".to_owned() },
        reason: "900 calls per minute".to_owned(),
        created_ms: 1_700_000_062_000,
        expires_ms: Some(1_700_000_962_000),
        state: *states.last().unwrap(),
        state_reason: String::new(),
        not_covered: Vec::new(),
        history,
    }
}

fn notice(closed_ms: Option<i64>) -> Notice {
    let concern = Concern {
        kind: NoticeKind::GatewaySilent,
        subject: "kong".to_owned(),
        since_ms: 1_700_000_000_000,
        detail: "no call for 12 min; at this time of day the longest pause was 2 min".to_owned(),
        remedy: "run `outrider doctor`".to_owned(),
    };
    Notice { id: 3, concern, opened_ms: 1_700_000_720_000, closed_ms }
}

fn kinds(messages: &[Message]) -> Vec<&'static str> {
    messages.iter().map(|message| message.kind.as_str()).collect()
}

#[test]
fn a_change_of_an_alert_is_told_once() {
    let resolved = closed(AlertState::Resolved);
    let acknowledged = closed(AlertState::Acknowledged);
    let cases: [(Option<Alert>, Alert, &[&str]); 9] = [
        (None, alert(), &["alert.opened"]),
        (Some(alert()), alert(), &[]),
        (Some(alert()), acknowledged.clone(), &[]),
        (Some(alert()), severe(), &["alert.severity_raised"]),
        (Some(severe()), alert(), &[]),
        (Some(alert()), resolved.clone(), &["alert.closed"]),
        (Some(resolved.clone()), resolved.clone(), &[]),
        (Some(resolved), closed(AlertState::FalsePositive), &["alert.closed"]),
        (None, closed(AlertState::Resolved), &["alert.opened", "alert.closed"]),
    ];
    for (before, after, expected) in cases {
        assert_eq!(kinds(&teller().of_alert(before.as_ref(), &after)), expected, "{before:?} {after:?}");
    }
}

#[test]
fn every_step_of_an_action_that_matters_is_told_once() {
    use ActionState::{Failed, InForce, Pending, Proposed, Released, Releasing, Stored};
    let cases: [(&[ActionState], &[ActionState], &[&str]); 5] = [
        (&[], &[Proposed], &["action.proposed"]),
        (&[], &[Pending, Stored, InForce], &["action.stored", "action.in_force"]),
        (&[Pending], &[Pending, Failed], &["action.failed"]),
        (&[Pending, Stored], &[Pending, Stored], &[]),
        (&[Pending, Stored], &[Pending, Stored, Releasing, Released], &["action.released"]),
    ];
    for (before, after, expected) in cases {
        let before = (!before.is_empty()).then(|| action(before));
        let messages = teller().of_action(before.as_ref(), &action(after), None);
        assert_eq!(kinds(&messages), expected, "{after:?}");
    }
    // Going back and forth is a message each time.
    let messages = teller().of_action(None, &action(&[Stored, InForce, Stored, InForce]), None);
    let ids: std::collections::BTreeSet<_> = messages.iter().map(|message| &message.id).collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn history_is_not_told() {
    let mut old = alert();
    old.worst.event_ms = old.worst.raised_ms - 600_001;
    assert_eq!(teller().of_alert(None, &old), []);
    let by_person = action(&[ActionState::Proposed]);
    assert_eq!(kinds(&teller().of_action(None, &by_person, Some(&old))), ["action.proposed"]);
    let origin = Origin::Policy { policy: outrider_model::PolicyId(1), name: "p".to_owned() };
    let by_policy = Action { origin, ..by_person };
    assert_eq!(teller().of_action(None, &by_policy, Some(&old)), []);
    old.worst.event_ms += 1;
    assert_eq!(kinds(&teller().of_alert(None, &old)), ["alert.opened"]);
}

/// The samples of the documentation are what is sent. `UPDATE_SAMPLES=1` writes them anew.
#[test]
fn the_documented_samples_are_what_is_sent() {
    use ActionState::{Failed, InForce, Proposed, Released, Stored};
    let mut messages = teller().of_alert(None, &alert());
    messages.extend(teller().of_alert(Some(&alert()), &severe()));
    messages.extend(teller().of_alert(Some(&alert()), &closed(AlertState::Resolved)));
    let all = action(&[Proposed, Stored, InForce, Failed, Released]);
    messages.extend(teller().of_action(None, &all, Some(&alert())));
    messages.extend([notice(None), notice(Some(1_700_000_780_000))].iter().map(|notice| teller().of_notice(notice)));
    messages.push(teller().test("on-call", 1_700_000_000_000));
    assert_eq!(kinds(&messages), MessageKind::ALL.map(MessageKind::as_str));
    let mut text = String::new();
    for message in &messages {
        assert!(message.body.len() < 20_000, "the specification asks for less than 20 kB: {}", message.body.len());
        let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
        assert_eq!(body["type"], message.kind.as_str());
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["data", "timestamp", "type"]);
        text.push_str(&message.body);
        text.push('\n');
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/notify/samples/messages.jsonl");
    if std::env::var_os("UPDATE_SAMPLES").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text, "run with UPDATE_SAMPLES=1 and look at the difference");
}
