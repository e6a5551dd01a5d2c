use outrider_model::{ActionId, ActionKind, ActionScope, ActionStep, EntityKey, EntityKind, Origin};

use super::*;

/// A Monday at midnight.
const START_MS: i64 = 1_699_833_600_000;

/// Calls every half minute in the hours for which `is_busy` says so, until `end`, then a look at every minute of the
/// silence. Says after how many minutes it was called one.
fn minutes_to_notice(end_hour: i64, is_busy: impl Fn(i64) -> bool, look_minutes: i64) -> Option<i64> {
    let mut operations = Operations::default();
    let mut last_ms = START_MS;
    for hour in (0..end_hour).filter(|hour| is_busy(*hour)) {
        for call in 0..120 {
            last_ms = START_MS + hour * HOUR_MS + call * MINUTE_MS / 2;
            operations.on_call("kong", last_ms);
            assert_eq!(operations.concerns(last_ms), [], "hour {hour}");
        }
    }
    (0..look_minutes).find(|minutes| !operations.concerns(last_ms + minutes * MINUTE_MS).is_empty())
}

#[test]
fn a_gateway_is_silent_by_its_own_rhythm() {
    let by_day = |hour: i64| (8..20).contains(&(hour % 24));
    let on_workdays = move |hour: i64| by_day(hour) && hour / 24 % 7 < 5;
    let always = |_: i64| true;
    let every_third = |hour: i64| hour % 3 == 0;
    type Busy<'a> = &'a dyn Fn(i64) -> bool;
    let cases: [(&str, i64, Busy<'_>, i64, Option<i64>); 9] = [
        ("steady, known for days", 72, &always, 600, Some(5)),
        ("steady, not known for a day", 10, &always, 600, Some(60)),
        ("the first night is not known to be one", 20, &by_day, 11 * 60, Some(60)),
        ("from the second night on it is", 24 + 20, &by_day, 12 * 60, None),
        ("but by day a pause is none", 4 * 24 + 14, &by_day, 600, Some(5)),
        ("nor is it in the morning", 2 * 24 + 9, &by_day, 600, Some(5)),
        ("the second weekend", 11 * 24 + 20, &on_workdays, 60 * 60, None),
        ("an hour in three: two hours are usual", 72 + 1, &every_third, 340, None),
        ("an hour in three: six are not", 72 + 1, &every_third, 800, Some(363)),
    ];
    for (case, end, is_busy, look, expected) in cases {
        let found = minutes_to_notice(end, is_busy, look);
        // The last call is half a minute before the full hour.
        let is_near = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() <= 5,
            (found, expected) => found == expected,
        };
        assert!(is_near, "{case}: {found:?}, expected {expected:?}");
    }
}

/// Such records are refused now; a log may hold them all the same, and is read again at each start.
#[test]
fn times_that_no_clock_says_end_nothing() {
    let mut operations = Operations::default();
    for at_ms in [i64::MIN, START_MS, i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN] {
        for _ in 0..CALLS_MIN {
            operations.on_call("kong", at_ms);
        }
        operations.on_loss(at_ms, u64::MAX, "lost");
        for now_ms in [i64::MIN, 0, START_MS, i64::MAX] {
            drop(operations.concerns(now_ms));
        }
    }
    let lost = operations.concerns(i64::MIN).into_iter().find(|concern| concern.kind == NoticeKind::CallsLost);
    assert!(lost.is_some_and(|concern| concern.detail.contains(&u64::MAX.to_string())));
}

#[test]
fn a_few_calls_are_no_rhythm_and_too_many_gateways_are_counted() {
    let mut operations = Operations::default();
    for call in 0..i64::from(CALLS_MIN) - 1 {
        operations.on_call("kong", START_MS + call);
    }
    assert_eq!(operations.concerns(START_MS + 30 * DAY_HOURS * HOUR_MS), []);
    for gateway in 0..GATEWAYS_MAX + 3 {
        operations.on_call(&format!("kong-{gateway}"), START_MS);
    }
    assert_eq!((operations.gateways.len(), operations.gateways_over_limit), (GATEWAYS_MAX, 4));
}

#[test]
fn calls_that_come_back_end_a_silence_even_after_weeks() {
    let mut operations = Operations::default();
    for call in 0..2 * i64::from(CALLS_MIN) {
        operations.on_call("kong", START_MS + call * 1000);
    }
    let later_ms = START_MS + 30 * DAY_HOURS * HOUR_MS;
    assert_eq!(operations.concerns(later_ms).len(), 1);
    operations.on_call("kong", later_ms);
    assert_eq!(operations.concerns(later_ms), []);
}

#[test]
fn losses_add_up_and_are_over_after_a_while() {
    let mut operations = Operations::default();
    operations.on_loss(START_MS, 5, "the disk was full");
    operations.on_loss(START_MS + 1000, 2, "the disk was full");
    let concerns = operations.concerns(START_MS + 2000);
    assert!(concerns[0].detail.contains("7 calls are missing") && concerns[0].since_ms == START_MS, "{concerns:?}");
    assert_eq!(operations.concerns(START_MS + 1000 + LOSS_HELD_MS), []);
    operations.on_loss(START_MS + HOUR_MS, 1, "again");
    assert!(operations.concerns(START_MS + HOUR_MS)[0].detail.contains("1 calls"));
}

#[test]
fn actions_that_wait_are_said_once_for_each_gateway() {
    let action = |number: u64, gateway: &str, state, at_ms: i64| Action {
        id: ActionId(number),
        alert: None,
        origin: Origin::Person { name: "root".to_owned() },
        target: EntityKey {
            kind: EntityKind::Consumer,
            gateway: gateway.to_owned(),
            workspace: String::new(),
            value: "alice".to_owned(),
            label: String::new(),
        },
        scope: ActionScope::Consumer,
        kind: ActionKind::Block { status: 403, message: "no".to_owned() },
        reason: String::new(),
        created_ms: at_ms,
        expires_ms: None,
        state,
        state_reason: "the Admin API cannot be reached".to_owned(),
        not_covered: Vec::new(),
        history: vec![ActionStep { at_ms, state, reason: String::new() }],
    };
    let actions = [
        action(1, "kong", ActionState::Pending, 5_000),
        action(2, "kong", ActionState::Releasing, 1_000),
        action(3, "kong", ActionState::Stored, 0),
        action(4, "other", ActionState::Pending, 100_000),
        action(5, "other", ActionState::Proposed, 0),
    ];
    assert_eq!(waiting_actions(actions.iter(), 100_000), []);
    let concerns = waiting_actions(actions.iter(), 130_000);
    assert_eq!(concerns.len(), 1);
    let said = (concerns[0].subject.as_str(), concerns[0].since_ms);
    assert_eq!(said, ("kong", 1_000));
    assert!(concerns[0].detail.starts_with("2 actions wait") && concerns[0].detail.contains("cannot be reached"));
}

#[test]
fn a_detector_that_is_out_of_use_is_told_of_with_why() {
    let mut detectors = outrider_detect::Engine::new(outrider_detect::Settings::default()).unwrap().status();
    assert_eq!(failed_detectors(detectors.clone(), START_MS), []);
    detectors[0].failure = Some("it divided by zero".to_owned());
    let name = detectors[0].descriptor.name;
    let [concern] = failed_detectors(detectors, START_MS).try_into().unwrap();
    assert_eq!((concern.kind, concern.subject.as_str()), (NoticeKind::DetectorOutOfUse, name));
    assert!(concern.detail.contains("it divided by zero"), "{}", concern.detail);
}
