//! What happens at each limit, and that it is counted.

use outrider_model::{
    ActionScope, ActionState, AlertId, AlertState, Command, CommandRecord, CommandRefused, Duration, EntityKey, Policy,
    PolicyScope, Response, Severity,
};
use outrider_respond::desk::{
    ActionSettings, AlertSettings, COMMANDS_REMEMBERED_MAX, Counters, Desk, Effect, Error, GuardRails, HISTORY_MAX,
    POLICIES_MAX, Settings,
};

use crate::world::{INSTALLATION, START_MS, call, command, consumer, finding, refused};

fn desk(settings: Settings) -> Desk {
    let mut desk = Desk::new(INSTALLATION, settings).unwrap();
    desk.advance(START_MS);
    desk
}

fn block(name: &str) -> Policy {
    let json = format!(r#"{{"name":"{name}","respond":{{"kind":"block"}},"duration":"15m","mode":"enforce"}}"#);
    serde_json::from_str(&json).unwrap()
}

fn act(name: &str) -> Command {
    Command::Act {
        alert: None,
        target: consumer(name),
        scope: ActionScope::Consumer,
        response: Response::default(),
        duration: Duration::Permanent,
        reason: "because".to_owned(),
    }
}

#[test]
fn the_least_alert_goes() {
    let held =
        |held_max| Settings { alerts: AlertSettings { held_max, ..AlertSettings::default() }, ..Settings::default() };
    let mut desk = desk(held(3));
    let cases =
        [("alice", Severity::High), ("carol", Severity::Low), ("dave", Severity::Low), ("erin", Severity::Medium)];
    for (number, (name, severity)) in cases.into_iter().enumerate() {
        let mut finding = finding(name, "spike", START_MS + number as i64, 1);
        finding.severity = severity;
        desk.on_finding(finding);
    }
    let names = |desk: &Desk| {
        let mut names: Vec<_> = desk.alerts().map(|alert| alert.entity.label.clone()).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names(&desk), "alice dave erin", "the least severe and longest silent one goes");
    assert_eq!(desk.counters().alerts_over_limit, 1);
    let last_words = desk.drain_effects().into_iter().find_map(|effect| match effect {
        Effect::Alert(alert) if alert.entity.label == "carol" => Some(alert),
        _ => None,
    });
    let carol = last_words.unwrap();
    assert_eq!(
        (carol.state, carol.state_reason.contains("as many alerts as may be held (3)")),
        (AlertState::Resolved, true)
    );

    let alice = desk.alerts().find(|alert| alert.entity.label == "alice").unwrap().id;
    desk.on_command(&command(1, "bob", 0, Command::ResolveAlert { alert: alice, reason: String::new() })).unwrap();
    desk.on_finding(finding("frank", "spike", START_MS + 9, 1));
    assert_eq!(names(&desk), "dave erin frank", "an ended one goes first");
    assert_eq!(desk.counters().alerts_over_limit, 1);

    desk.apply_settings(held(1), Vec::new()).unwrap();
    assert_eq!(names(&desk), "frank", "a lower limit holds at once");
}

#[test]
fn what_an_alert_keeps_is_bounded() {
    let mut desk = desk(Settings::default());
    for number in 0..60 {
        desk.apply_settings(Settings::default(), vec![block(&format!("p-{number}"))]).unwrap();
        let mut finding = finding("alice", "spike", START_MS + number, number);
        finding.endpoint = Some(outrider_model::EndpointId(number as u64));
        desk.on_finding(finding);
    }
    let alert = desk.alerts().next().unwrap();
    assert_eq!((alert.findings.len(), alert.endpoints.len(), alert.policy_notes.len()), (20, 20, 20));
    assert_eq!((alert.finding_count, alert.outcome.succeeded), (60, 36_000));
    assert_eq!(alert.findings.last().unwrap().raised_ms, START_MS + 59);
    assert!(alert.policy_notes.last().unwrap().starts_with("p-59"));
}

#[test]
fn comments_are_bounded_and_never_lost() {
    let comment = |alert, text: String| Command::CommentAlert { alert, text };
    for (text, room) in [("x".to_owned(), 50), ("x".repeat(2000), 16), ("\u{20ac}".repeat(2000), 5)] {
        let mut desk = desk(Settings::default());
        desk.on_finding(finding("alice", "spike", START_MS, 1));
        let id = desk.alerts().next().unwrap().id;
        for number in 0..room {
            desk.on_command(&command(number, "bob", START_MS, comment(id, text.clone()))).unwrap();
        }
        let refused = desk.on_command(&command(room, "bob", START_MS, comment(id, text))).unwrap_err();
        assert!(matches!(&refused, CommandRefused::Conflict { why } if why.contains("no room left")), "{refused}");
        assert_eq!(desk.alerts().next().unwrap().comments.len(), room);
    }
    let mut desk = desk(Settings::default());
    desk.on_finding(finding("alice", "spike", START_MS, 1));
    let id = desk.alerts().next().unwrap().id;
    for (number, text) in [" \n".to_owned(), "x".repeat(2001)].into_iter().enumerate() {
        let refused = desk.on_command(&command(number, "bob", START_MS, comment(id, text))).unwrap_err();
        assert!(matches!(refused, CommandRefused::Invalid { .. }), "{refused}");
    }
    assert!(desk.on_command(&command(9, "bob", START_MS, comment(AlertId(7), "x".to_owned()))).is_err());
}

#[test]
fn actions_and_proposals_have_a_limit() {
    let settings = Settings {
        actions: ActionSettings { held_max: 3, proposals_max: 2, ..ActionSettings::default() },
        guard_rails: GuardRails { active_actions_max: 0, ..GuardRails::default() },
        ..Settings::default()
    };
    let mut desk = desk(settings.clone());
    desk.apply_settings(settings, vec![block("block")]).unwrap();
    for name in ["alice", "carol", "dave"] {
        desk.on_finding(finding(name, "spike", START_MS, 1));
    }
    assert_eq!(desk.actions().filter(|action| action.state == ActionState::Proposed).count(), 2);
    let noted =
        desk.alerts().filter(|alert| alert.policy_notes.iter().any(|note| note.contains("2 proposals wait already")));
    assert_eq!((noted.count(), desk.counters().actions_over_limit), (1, 1));

    desk.on_command(&command(1, "bob", 0, act("erin"))).unwrap();
    let refused = desk.on_command(&command(2, "bob", 0, act("frank"))).unwrap_err();
    assert!(
        matches!(&refused, CommandRefused::GuardRail { why } if why.contains("3 actions are unfinished")),
        "{refused}"
    );
    assert_eq!(desk.counters().actions_over_limit, 2);

    let proposed = desk.actions().find(|action| action.state == ActionState::Proposed).unwrap().id;
    let reject = Command::RejectAction { action: proposed, reason: String::new() };
    desk.on_command(&command(3, "bob", 0, reject)).unwrap();
    desk.on_command(&command(4, "bob", 0, act("frank"))).unwrap();
    assert!(desk.action(proposed).is_none(), "the finished one made room");
    assert_eq!(desk.actions().count(), 3);
}

#[test]
fn a_flapping_action_keeps_a_bounded_history() {
    let mut desk = desk(Settings::default());
    desk.on_command(&command(1, "bob", 0, act("alice"))).unwrap();
    let id = desk.actions().next().unwrap().id;
    let state = outrider_model::ReportedState::Stored { plugin_id: "p".to_owned(), not_covered: Vec::new() };
    desk.on_report(&outrider_model::ActionReport { action: id, at_ms: START_MS, state });
    for round in 0..200 {
        let now_ms = START_MS + round * 10_000;
        desk.advance(now_ms);
        desk.on_call(&refused(call("alice", "id-alice", now_ms), Some(INSTALLATION)));
        desk.advance(now_ms + 6_000);
        desk.on_call(&call("alice", "id-alice", now_ms + 6_000));
    }
    let release = Command::ReleaseAction { action: id, reason: String::new() };
    desk.on_command(&command(2, "bob", 0, release)).unwrap();
    let released = outrider_model::ReportedState::Released;
    desk.on_report(&outrider_model::ActionReport { action: id, at_ms: START_MS, state: released });
    let action = desk.action(id).unwrap();
    assert!(action.history.len() <= HISTORY_MAX, "{}", action.history.len());
    assert_eq!(action.state, ActionState::Released);
    assert!(desk.counters().steps_over_limit > 0);
}

#[test]
fn decisions_are_remembered_for_a_while() {
    let mut desk = desk(Settings::default());
    let switch = |number| command(number, "bob", 0, Command::SetKillSwitch { on: true, reason: String::new() });
    for number in 0..=COMMANDS_REMEMBERED_MAX {
        desk.on_command(&switch(number)).unwrap();
    }
    desk.on_command(&switch(1)).unwrap();
    assert_eq!(desk.counters().commands_repeated, 1, "within the limit a decision is known");
    desk.on_command(&switch(0)).unwrap();
    assert_eq!(desk.counters().commands_repeated, 1, "the oldest was forgotten");
}

#[test]
fn one_id_for_two_decisions_is_refused() {
    let mut desk = desk(Settings::default());
    let switch = |on| command(1, "bob", 0, Command::SetKillSwitch { on, reason: String::new() });
    desk.on_command(&switch(true)).unwrap();
    let refused = desk.on_command(&switch(false)).unwrap_err();
    assert!(matches!(refused, CommandRefused::Conflict { .. }), "{refused}");
    assert!(desk.kill_switch().on, "the second one was not carried out");
    let by_another = CommandRecord { by: "eve".to_owned(), ..switch(true) };
    assert!(desk.on_command(&by_another).is_err());
    desk.on_command(&switch(true)).unwrap();
}

#[test]
fn where_no_responder_is_nothing_is_tried() {
    let mut desk = desk(Settings::default());
    desk.apply_settings(Settings::default(), vec![block("b")]).unwrap();
    desk.serve(Some(vec!["edge".to_owned()]));
    desk.on_finding(finding("alice", "spike", START_MS, 1));
    let action = desk.actions().next().unwrap().clone();
    assert_eq!(action.state, ActionState::Proposed);
    assert!(
        action.state_reason.contains("no responder serves a gateway of the name `kong`"),
        "{}",
        action.state_reason
    );
    let bytes = desk.snapshot().unwrap();
    assert_eq!(Desk::restore(&bytes).unwrap(), desk);
    let act = |gateway: &str| {
        let target = EntityKey { gateway: gateway.to_owned(), ..action.target.clone() };
        Command::Act {
            alert: None,
            target,
            scope: ActionScope::Consumer,
            response: Response::default(),
            duration: Duration::Permanent,
            reason: "a test".to_owned(),
        }
    };
    let (there, nowhere) = (command(1, "bob", 0, act("edge")), command(2, "bob", 0, act("kong")));
    desk.on_command(&there).unwrap();
    assert!(matches!(desk.on_command(&nowhere), Err(CommandRefused::Invalid { .. })));
}

#[test]
fn policies_have_a_limit() {
    let mut desk = desk(Settings::default());
    let many: Vec<_> = (0..POLICIES_MAX).map(|number| block(&format!("p-{number}"))).collect();
    let one_more = [many.clone(), vec![block("one-more")]].concat();
    assert!(matches!(desk.apply_settings(Settings::default(), one_more), Err(Error::TooManyPolicies(1001))));
    assert_eq!(desk.policies().count(), 0, "refused as a whole");
    desk.apply_settings(Settings::default(), many).unwrap();
    let put = Command::PutPolicy { policy: Box::new(block("one-more")), if_new: false };
    let refused = desk.on_command(&command(1, "bob", 0, put)).unwrap_err().to_string();
    assert!(refused.contains("as many as there may be"), "{refused}");
}

#[test]
fn configuration_that_cannot_be_meant_is_refused_whole() {
    let mut desk = desk(Settings::default());
    let twice = vec![block("same"), block("same")];
    assert!(matches!(desk.apply_settings(Settings::default(), twice), Err(Error::PolicyTwice(name)) if name == "same"));
    let wrong = Policy { scope: PolicyScope::Service, name: "No".to_owned(), ..block("x") };
    let error = desk.apply_settings(Settings::default(), vec![block("fine"), wrong]).unwrap_err().to_string();
    assert!(error.contains("policy `No` of the configuration"), "{error}");
    let rails = GuardRails { target_calls_share_max: 2.0, ..GuardRails::default() };
    assert!(desk.apply_settings(Settings { guard_rails: rails, ..Settings::default() }, vec![block("fine")]).is_err());
    assert_eq!(desk.policies().count(), 0);
}

#[test]
fn texts_of_people_are_bounded() {
    let mut desk = desk(Settings::default());
    let long = "x".repeat(2000);
    let mut nameless = command(1, "", 0, act("alice"));
    assert!(desk.on_command(&nameless).is_err());
    nameless.id = String::new();
    assert!(desk.on_command(&nameless).is_err());
    let cases = [
        Command::SetKillSwitch { on: true, reason: long.clone() },
        act(&long),
        match act("alice") {
            Command::Act { alert, mut target, scope, response, duration, reason } => {
                target.workspace.clone_from(&long);
                Command::Act { alert, target, scope, response, duration, reason }
            }
            other => other,
        },
    ];
    for (number, decision) in cases.into_iter().enumerate() {
        let refused = desk.on_command(&command(10 + number, "bob", 0, decision)).unwrap_err();
        assert!(matches!(refused, CommandRefused::Invalid { .. }), "{refused}");
    }
    assert_eq!(desk.actions().count(), 0);
}

#[test]
fn snapshots_of_other_versions_are_refused() {
    let desk = desk(Settings::default());
    let bytes = desk.snapshot().unwrap();
    assert_eq!(Desk::restore(&bytes).unwrap(), desk);
    let mut newer = bytes.clone();
    newer[0] += 1;
    for (wrong, words) in
        [(&newer[..], "this build reads"), (&[][..], "empty"), (&bytes[..bytes.len() / 2], "reading a snapshot")]
    {
        let error = Desk::restore(wrong).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_flood_of_findings_stays_within_memory() {
    let mut desk = desk(Settings::default());
    desk.apply_settings(Settings::default(), vec![block("block")]).unwrap();
    let _ = desk.drain_effects();
    for number in 0..20_000i64 {
        desk.on_finding(finding(&format!("consumer-{number}"), "spike", START_MS + number, number));
        let _ = desk.drain_effects();
    }
    let Counters { findings, alerts_opened, alerts_over_limit, .. } = *desk.counters();
    assert_eq!((findings, alerts_opened, desk.alerts().count()), (20_000, 20_000, 5000));
    assert_eq!(alerts_over_limit, 15_000);
    assert!(desk.actions().count() <= 1000 + 20);
}

#[test]
fn consumers_under_a_rule_are_remembered_up_to_a_limit() {
    let rails = GuardRails { never_block: vec!["tag:gold".to_owned()], ..GuardRails::default() };
    let mut desk = desk(Settings { guard_rails: rails, ..Settings::default() });
    for number in 0..10_001 {
        let id = format!("id-{number}");
        let mut call = call("", &id, START_MS);
        if let Some(consumer) = &mut call.consumer {
            consumer.tags.push("gold".into());
        }
        desk.on_call(&call);
    }
    assert_eq!(desk.counters().protected_over_limit, 1);
    assert!(desk.on_command(&command(1, "bob", 0, act("9999"))).is_err());
    assert!(desk.on_command(&command(2, "bob", 0, act("10000"))).is_ok(), "left to the check on the premises");
    // Without the tag, the next call of the next minute takes the protection away.
    desk.advance(START_MS + 60_000);
    desk.on_call(&call("", "id-9999", START_MS + 60_000));
    assert!(desk.on_command(&command(3, "bob", 0, act("9999"))).is_ok());
}

#[test]
fn gateways_beyond_the_limit_get_no_automatic_action() {
    let mut desk = desk(Settings::default());
    desk.apply_settings(Settings::default(), vec![block("block")]).unwrap();
    for number in 0..33 {
        let name = format!("kong-{number}");
        let mut call = call("alice", "id-alice", START_MS);
        call.gateway = name.as_str().into();
        desk.on_call(&call);
    }
    assert_eq!(desk.counters().calls_of_gateways_over_limit, 1);
    let mut finding = finding("alice", "spike", START_MS, 1);
    finding.entity.gateway = "kong-32".to_owned();
    desk.on_finding(finding);
    let action = desk.actions().next().unwrap();
    assert_eq!(action.state, ActionState::Proposed);
    assert!(action.state_reason.contains("the traffic of this gateway is not followed"), "{}", action.state_reason);
}

#[test]
fn the_audit_log_names_nobody() {
    let rails = GuardRails { never_block: vec!["carol-the-consumer".to_owned()], ..GuardRails::default() };
    let settings = Settings { guard_rails: rails, ..Settings::default() };
    let mut desk = desk(settings.clone());
    desk.apply_settings(settings, vec![block("block")]).unwrap();
    for name in ["alice-the-consumer", "carol-the-consumer"] {
        let mut finding = finding(name, "spike", START_MS, 1);
        finding.entity.value = "an-id".to_owned() + &name[..1];
        desk.on_finding(finding);
        let mut act = act(name);
        if let Command::Act { target, .. } = &mut act {
            target.value = "an-id".to_owned() + &name[..1];
        }
        let _ = desk.on_command(&command(name.len() + usize::from(name.as_bytes()[0]), "bob", 0, act));
    }
    let lines: Vec<_> = desk
        .drain_effects()
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Audit { entry, .. } => Some(serde_json::to_string(&entry).unwrap()),
            _ => None,
        })
        .collect();
    assert!(lines.len() >= 5, "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("the-consumer")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("an-ida")), "{lines:#?}");
}
