//! What holds in any history: random findings, decisions, reports, calls and times. A failing history is printed and
//! shrunk by proptest, with its seed.

use std::collections::BTreeMap;

use outrider_model::{
    ActionId, ActionReport, ActionScope, ActionState, AlertId, Command, CommandRecord, Confidence, DesiredState,
    Duration, EndpointId, EntityKind, FailureReason, Mode, Origin, Policy, PolicyScope, ReportedState, Response,
    Severity,
};
use outrider_respond::desk::{
    ActionSettings, AlertSettings, Desk, Effect, GuardRails, HISTORY_MAX, PolicyRow, Settings, may_follow,
};
use proptest::prelude::*;

use crate::world::{INSTALLATION, START_MS, call, command, consumer, finding, refused};

const NAMES: [&str; 6] = ["alice", "carol", "dave", "erin", "vip", "goldie"];
const ACTIVE_MAX: usize = 3;
const PER_HOUR_MAX: usize = 5;
const ALERTS_MAX: usize = 8;
const ACTIONS_MAX: usize = 12;
const PROPOSALS_MAX: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    Wait { ms: i64 },
    Call { who: usize, kind: u8 },
    Finding { who: usize, detector: u8, severity: u8, age_ms: i64, oddity: u8, service: u8 },
    Report { pick: usize, kind: u8 },
    Decide { pick: usize, kind: u8, repeated: bool },
    Settings { protect: bool, resolve_after_s: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![
        4 => 0i64..10_000,
        3 => 60_000i64..600_000,
        1 => 600_000i64..7_200_000,
        1 => Just(8 * 86_400_000i64),
    ];
    prop_oneof![
        6 => wait.prop_map(|ms| Step::Wait { ms }),
        6 => (0..NAMES.len(), 0u8..5).prop_map(|(who, kind)| Step::Call { who, kind }),
        6 => (0..NAMES.len(), 0u8..2, 0u8..5, prop_oneof![3 => 0i64..60_000, 1 => 0i64..2_000_000], 0u8..12, 0u8..3)
            .prop_map(|(who, detector, severity, age_ms, oddity, service)| Step::Finding {
                who, detector, severity, age_ms, oddity, service
            }),
        6 => (any::<usize>(), 0u8..6).prop_map(|(pick, kind)| Step::Report { pick, kind }),
        5 => (any::<usize>(), 0u8..18, prop::bool::weighted(0.1))
            .prop_map(|(pick, kind, repeated)| Step::Decide { pick, kind, repeated }),
        1 => (any::<bool>(), 60u32..7200)
            .prop_map(|(protect, resolve_after_s)| Step::Settings { protect, resolve_after_s }),
    ]
}

fn settings(protect: bool, resolve_after_s: u32) -> Settings {
    let never_block = if protect { vec!["vip".to_owned(), "tag:gold".to_owned()] } else { Vec::new() };
    Settings {
        alerts: AlertSettings {
            resolve_after: Duration::Seconds(resolve_after_s),
            false_positive_silence: Duration::Seconds(1800),
            remember_ended: Duration::Seconds(86_400),
            held_max: ALERTS_MAX,
        },
        actions: ActionSettings { held_max: ACTIONS_MAX, proposals_max: PROPOSALS_MAX, ..ActionSettings::default() },
        guard_rails: GuardRails {
            never_block,
            active_actions_max: ACTIVE_MAX,
            actions_per_hour_max: PER_HOUR_MAX,
            calls_min: 10,
            ..GuardRails::default()
        },
    }
}

fn policy(name: &str, duration: Duration, scope: PolicyScope, mode: Mode) -> Policy {
    Policy {
        name: name.to_owned(),
        description: String::new(),
        enabled: true,
        when: Default::default(),
        respond: Response::default(),
        scope,
        duration,
        mode,
    }
}

fn config() -> Vec<Policy> {
    vec![
        policy("short", Duration::Seconds(900), PolicyScope::Consumer, Mode::Enforce),
        policy("service", Duration::Seconds(3600), PolicyScope::Service, Mode::Enforce),
        policy("watch", Duration::Permanent, PolicyScope::Route, Mode::Observe),
    ]
}

/// A desk, and what only the shell around it knows.
#[derive(Clone)]
struct Run {
    desk: Desk,
    now_ms: i64,
    steps: usize,
    last_command: Option<CommandRecord>,
}

impl Run {
    fn new() -> Self {
        let mut desk = Desk::new(INSTALLATION, settings(true, 3600)).unwrap();
        desk.advance(START_MS);
        desk.apply_settings(settings(true, 3600), config()).unwrap();
        Run { desk, now_ms: START_MS, steps: 0, last_command: None }
    }

    fn take(&mut self, step: &Step, ticks: i64) {
        self.steps += 1;
        match *step {
            Step::Wait { ms } => {
                for tick in 1..=ticks {
                    self.desk.advance(self.now_ms + ms * tick / (ticks + 1));
                }
                self.now_ms += ms;
                self.desk.advance(self.now_ms);
                self.desk.advance(self.now_ms - 1);
            }
            Step::Call { who, kind } => {
                let id = format!("id-{}", NAMES[who]);
                let mut call = call(NAMES[who], &id, self.now_ms);
                call.started_ms -= i64::from(kind) * 100;
                if NAMES[who] == "goldie" {
                    call.consumer.as_mut().unwrap().tags.push("gold".into());
                }
                let call = match kind {
                    0 | 1 => call,
                    2 => refused(call, None),
                    _ => refused(call, Some(INSTALLATION)),
                };
                self.desk.on_call(&call);
            }
            Step::Finding { who, detector, severity, age_ms, oddity, service } => {
                self.find(who, detector, severity, age_ms, oddity, service);
            }
            Step::Report { pick, kind } => self.report(pick, kind),
            Step::Decide { pick, kind, repeated } => self.decide(pick, kind, repeated),
            Step::Settings { protect, resolve_after_s } => {
                self.desk.apply_settings(settings(protect, resolve_after_s), config()).unwrap();
            }
        }
    }

    fn find(&mut self, who: usize, detector: u8, severity: u8, age_ms: i64, oddity: u8, service: u8) {
        use Severity::{Critical, High, Info, Low, Medium};
        let detector = if detector == 0 { "spike" } else { "scan" };
        let mut finding = finding(NAMES[who], detector, self.now_ms, self.steps as i64);
        finding.severity = [Info, Low, Medium, High, Critical][usize::from(severity)];
        finding.confidence = Confidence::new(f32::from(severity) / 7.0);
        finding.surprise = (severity > 0).then(|| f64::from(severity) / 0.7);
        finding.event_ms -= age_ms;
        finding.endpoint = (service < 2).then(|| EndpointId(u64::from(service)));
        finding.service_id = format!("s-{service}");
        match oddity {
            0 => finding.target.untrusted = true,
            1 => finding.target.anonymous_consumer = true,
            2 => finding.entity.kind = EntityKind::Ip,
            3 => finding.service_id.clear(),
            4 => finding.id.0 = 4,
            _ => {}
        }
        if NAMES[who] == "goldie" {
            finding.consumer_tags.push("gold".to_owned());
        }
        self.desk.on_finding(finding);
    }

    fn report(&mut self, pick: usize, kind: u8) {
        let reason = FailureReason::ReadOnlyGateway;
        let state = match kind {
            0 | 1 => ReportedState::Stored { plugin_id: "p".to_owned(), not_covered: vec!["r".to_owned()] },
            2 | 3 => ReportedState::Released,
            4 => ReportedState::Retrying { reason, attempt: 1 },
            _ => ReportedState::Failed { reason },
        };
        let action = self.action(pick);
        self.desk.on_report(&ActionReport { action, at_ms: self.now_ms, state });
    }

    fn action(&self, pick: usize) -> ActionId {
        let ids: Vec<_> = self.desk.actions().map(|action| action.id).collect();
        ids.get(pick % (ids.len() + 1)).copied().unwrap_or(ActionId(1))
    }

    fn alert(&self, pick: usize) -> AlertId {
        let ids: Vec<_> = self.desk.alerts().map(|alert| alert.id).collect();
        ids.get(pick % (ids.len() + 1)).copied().unwrap_or(AlertId(1))
    }

    fn decide(&mut self, pick: usize, kind: u8, repeated: bool) {
        let (action, alert, reason) = (self.action(pick), self.alert(pick), "because".to_owned());
        let decision = match kind {
            0 => Command::AcknowledgeAlert { alert },
            1 => Command::ResolveAlert { alert, reason },
            2 | 3 => Command::MarkFalsePositive { alert, reason },
            4..=6 => Command::ApproveAction { action },
            7 => Command::RejectAction { action, reason },
            8..=10 => Command::ReleaseAction { action, reason },
            11 | 12 => Command::Act {
                alert: pick.is_multiple_of(2).then_some(alert),
                target: consumer(NAMES[pick % NAMES.len()]),
                scope: ActionScope::Consumer,
                response: Response::default(),
                duration: if pick.is_multiple_of(3) { Duration::Permanent } else { Duration::Seconds(600) },
                reason,
            },
            13 => Command::SetKillSwitch { on: pick.is_multiple_of(2), reason },
            14 => Command::PutPolicy {
                policy: Box::new(policy("people", Duration::Seconds(7200), PolicyScope::Consumer, Mode::Enforce)),
                if_new: pick.is_multiple_of(4),
            },
            15 => Command::AssignAlert { alert, assignee: pick.is_multiple_of(2).then(|| "anna".to_owned()) },
            16 => Command::CommentAlert { alert, text: reason },
            _ => Command::DeletePolicy { name: "people".to_owned() },
        };
        let record = match &self.last_command {
            Some(record) if repeated => record.clone(),
            _ => command(self.steps, "bob", self.now_ms, decision),
        };
        let before = repeated.then(|| (self.desk.clone(), self.desk.counters().commands_repeated));
        let result = self.desk.on_command(&record);
        if let (Some((before, count)), Some(_)) = (before, &self.last_command) {
            assert_eq!(self.desk.counters().commands_repeated, count + 1);
            assert!(before.actions().eq(self.desk.actions()), "a repeated decision changed an action: {result:?}");
        }
        self.last_command = Some(record);
    }
}

/// The tables that the effects are written to.
#[derive(Debug, Default, PartialEq)]
struct Tables {
    alerts: BTreeMap<AlertId, outrider_model::Alert>,
    actions: BTreeMap<ActionId, outrider_model::Action>,
    policies: BTreeMap<String, PolicyRow>,
    findings: BTreeMap<outrider_model::FindingId, Option<AlertId>>,
    audit: BTreeMap<u64, outrider_model::AuditEntry>,
    kill_switch: bool,
    guard_rails: GuardRails,
}

impl Tables {
    fn write(&mut self, effects: &[Effect]) {
        for effect in effects.iter().cloned() {
            match effect {
                Effect::Alert(alert) => _ = self.alerts.insert(alert.id, *alert),
                Effect::Action(action) => _ = self.actions.insert(action.id, *action),
                Effect::Policy(row) => _ = self.policies.insert(row.policy.name.clone(), *row),
                Effect::PolicyDeleted { name, .. } => _ = self.policies.remove(&name),
                Effect::Finding { finding, alert } => _ = self.findings.insert(finding.id, alert),
                Effect::Audit { number, entry } => _ = self.audit.insert(number, entry),
                Effect::KillSwitch(switch) => self.kill_switch = switch.on,
                Effect::GuardRails(rails) => self.guard_rails = rails,
            }
        }
    }

    fn check(&self, desk: &Desk) {
        for alert in desk.alerts() {
            assert_eq!(self.alerts.get(&alert.id), Some(alert), "the tables have another alert");
        }
        for action in desk.actions() {
            assert_eq!(self.actions.get(&action.id), Some(action), "the tables have another action");
        }
        assert!(self.policies.values().eq(desk.policies()), "the tables have other policies");
        assert_eq!(self.kill_switch, desk.kill_switch().on);
        assert_eq!(self.guard_rails, desk.settings().guard_rails);
        assert_eq!(self.audit.keys().next_back().copied().unwrap_or_default(), self.audit.len() as u64);
        // What the desk has forgotten is over in the tables too.
        for alert in self.alerts.values().filter(|alert| alert.state.is_live()) {
            assert!(desk.alert(alert.id).is_some(), "a live alert was forgotten");
        }
        for action in self.actions.values().filter(|action| !action.state.is_final()) {
            assert!(desk.action(action.id).is_some(), "an unfinished action was forgotten");
        }
        for (number, action) in
            self.actions.values().flat_map(|action| action.history.iter().zip(std::iter::repeat(action)))
        {
            let line = |entry: &&outrider_model::AuditEntry| {
                entry.subject == action.id.to_string() && entry.at_ms == number.at_ms
            };
            assert!(self.audit.values().any(|entry| line(&entry)), "a step without a line in the audit log");
        }
    }
}

fn check_invariants(desk: &Desk) {
    let now_ms = desk.now_ms();
    let desired = desk.desired("kong");
    for action in desk.actions() {
        let states: Vec<_> = action.history.iter().map(|step| step.state).collect();
        assert!(action.alert.is_some() || matches!(action.origin, Origin::Person { .. }), "{action:?}");
        assert!(!action.reason.is_empty());
        assert_eq!(states.last(), Some(&action.state), "{action:?}");
        assert!(may_follow(None, states[0]), "{states:?}");
        assert!(states.windows(2).all(|pair| may_follow(Some(pair[0]), pair[1])), "{states:?}");
        assert!(action.history.windows(2).all(|pair| pair[0].at_ms <= pair[1].at_ms), "{action:?}");
        assert!(states.len() <= HISTORY_MAX);
        assert_eq!(action.state.is_desired(), desired.actions.iter().any(|wanted| wanted.id == action.id));
        assert_eq!(action.state == ActionState::Releasing, desired.releasing.contains(&action.id));
        let may_be_left = matches!(action.state, ActionState::Released | ActionState::Failed);
        assert_eq!(may_be_left, desired.ended.contains(&action.id), "{action:?}");
    }
    let protects = !desk.settings().guard_rails.never_block.is_empty();
    for action in &desired.actions {
        assert!(action.expires_ms.is_none_or(|expires_ms| expires_ms > now_ms), "desired after its time: {action:?}");
        assert!(!protects || action.consumer_name != "vip", "blocked against the never-block list: {action:?}");
        let is_gold = protects && action.consumer_name == "goldie";
        assert!(!is_gold || action.by_person, "blocked automatically against the never-block list: {action:?}");
    }
    let automatic = desired.actions.iter().filter(|action| !action.by_person).count();
    assert!(automatic <= ACTIVE_MAX, "{automatic} automatic actions are active");
    let started = desk.actions().filter(|action| {
        let begins = &action.history[0];
        matches!(action.origin, Origin::Policy { .. })
            && begins.state == ActionState::Pending
            && begins.at_ms > now_ms - 3_600_000
    });
    assert!(started.count() <= PER_HOUR_MAX);
    assert!(desk.alerts().count() <= ALERTS_MAX);
    assert!(desk.actions().count() <= ACTIONS_MAX);
    assert!(desk.actions().filter(|action| action.state == ActionState::Proposed).count() <= PROPOSALS_MAX);
    for alert in desk.alerts().filter(|alert| alert.state.is_live()) {
        let same = |other: &&outrider_model::Alert| {
            other.state.is_live() && other.detector == alert.detector && other.entity.key() == alert.entity.key()
        };
        assert_eq!(desk.alerts().filter(same).count(), 1, "two live alerts of one entity and detector");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_and_any_history_can_be_taken_up(
        steps in prop::collection::vec((step(), any::<bool>(), 0i64..4), 1..150),
    ) {
        let (mut steady, mut stopped, mut ticked) = (Run::new(), Run::new(), Run::new());
        let mut tables = Tables::default();
        let mut desired_before: Option<DesiredState> = None;
        for (step, is_drained, ticks) in &steps {
            steady.take(step, 0);
            stopped.take(step, 0);
            ticked.take(step, *ticks);
            check_invariants(&steady.desk);

            let desired = steady.desk.desired("kong");
            if let Some(before) = &desired_before {
                let is_same_set = before.actions == desired.actions && before.releasing == desired.releasing;
                prop_assert_eq!(is_same_set, before.version == desired.version);
                prop_assert!(before.version <= desired.version);
            }
            desired_before = Some(desired);

            let bytes = steady.desk.snapshot().unwrap();
            prop_assert!(stopped.desk.snapshot().unwrap() == bytes, "stopping and going on changed something");
            prop_assert!(ticked.desk.snapshot().unwrap() == bytes, "telling the time more often changed something");
            stopped.desk = Desk::restore(&bytes).unwrap();
            prop_assert!(stopped.desk == steady.desk, "the restored desk is another");

            if *is_drained {
                let effects = steady.desk.drain_effects();
                prop_assert_eq!(&stopped.desk.drain_effects(), &effects);
                prop_assert_eq!(&ticked.desk.drain_effects(), &effects);
                tables.write(&effects);
                tables.write(&effects);
                tables.check(&steady.desk);
            }
        }
    }
}

/// The invariants say nothing about a state that no history reaches.
#[test]
fn random_histories_reach_every_state_and_limit() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let histories = prop::collection::vec(step(), 100..150);
    let mut action_states = std::collections::BTreeSet::new();
    let mut alert_states = std::collections::BTreeSet::new();
    let mut counters = BTreeMap::<String, u64>::new();
    for _ in 0..150 {
        let mut run = Run::new();
        for step in histories.new_tree(&mut runner).unwrap().current() {
            run.take(&step, 0);
            action_states.extend(run.desk.actions().flat_map(|action| action.history.iter().map(|step| step.state)));
            alert_states.extend(run.desk.alerts().map(|alert| alert.state));
        }
        let counted = serde_json::to_value(run.desk.counters()).unwrap();
        for (name, count) in counted.as_object().unwrap() {
            *counters.entry(name.clone()).or_default() += count.as_u64().unwrap();
        }
    }
    assert_eq!(action_states.len(), 10, "{action_states:?}");
    assert_eq!(alert_states.len(), 4, "{alert_states:?}");
    // Tested one by one in `limits.rs` and in the modules: they need more than a history of this length.
    let elsewhere = ["silences_over_limit", "steps_over_limit", "calls_of_gateways_over_limit", "protected_over_limit"];
    let missed: Vec<_> =
        counters.iter().filter(|(name, count)| **count == 0 && !elsewhere.contains(&&***name)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}
