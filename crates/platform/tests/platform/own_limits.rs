//! From a spike to a rate limit, and what our own refusals teach: nothing, live or replayed.

use crate::support::{Call, api_call};
use outrider_model::{
    ActionReport, ActionState, AnsweredBy, ApiCall, Duration, Mode, Policy, PolicyScope, RateLimits, ReportedState,
    Response,
};
use outrider_platform::analysis::{Analysis, AnalysisSettings};

const MINUTE_MS: i64 = 60_000;
const START_MS: i64 = 1_767_571_200_000;
const OFFENDER: &str = "consumer-3";

fn settings() -> AnalysisSettings {
    let policy = Policy {
        name: "limit".to_owned(),
        description: String::new(),
        enabled: true,
        when: outrider_model::Condition::default(),
        respond: Response::RateLimit {
            limits: RateLimits { minute: Some(30), ..RateLimits::default() },
            status: 429,
            message: "slow down".to_owned(),
        },
        scope: PolicyScope::Consumer,
        duration: Duration::Seconds(600),
        mode: Mode::Enforce,
    };
    AnalysisSettings { policies: vec![policy], ..AnalysisSettings::default() }
}

fn call(consumer: &str, at_ms: i64) -> Call {
    Call { at_ms, consumer: consumer.to_owned(), path: format!("/shop/items/{}", at_ms % 500), status: 200 }
}

/// Half an hour of eight ordinary consumers, then a spike of one.
fn history() -> Vec<Call> {
    let ordinary = (0..8).flat_map(|consumer| {
        (0..30 * 12).map(move |number| call(&format!("consumer-{consumer}"), START_MS + number * 5000 + consumer * 100))
    });
    let spike = (0..600).map(|number| call(OFFENDER, START_MS + 24 * MINUTE_MS + number * 50));
    let mut calls: Vec<_> = ordinary.chain(spike).collect();
    calls.sort_by_key(|call| call.at_ms);
    calls
}

#[test]
fn a_spike_is_limited_and_its_refusals_teach_nothing() {
    let mut analysis = Analysis::new("test", settings()).unwrap();
    for (number, call) in (1..).zip(&history()) {
        analysis.observe(&api_call(call), number);
    }
    let action = analysis.desk().actions().next().expect("the spike was answered").clone();
    assert_eq!((action.state, action.target.value.as_str()), (ActionState::Pending, OFFENDER));
    let now_ms = START_MS + 30 * MINUTE_MS;
    let stored = ReportedState::Stored { plugin_id: "p1".to_owned(), not_covered: Vec::new() };
    analysis.advance(now_ms);
    analysis.report(&ActionReport { action: action.id, at_ms: now_ms, state: stored });
    let before = analysis.engine().counters().own_refusals;
    let findings = |analysis: &Analysis| analysis.desk().counters().findings;
    let known = findings(&analysis);

    // The loop goes on against the limit, far more often than before.
    for number in 0..3000 {
        let refused = Call { status: 429, ..call(OFFENDER, now_ms + 6000 + number * 50) };
        let refused = ApiCall { answered_by: AnsweredBy::Gateway, ..api_call(&refused) };
        analysis.observe(&refused, 100_000 + number.unsigned_abs());
    }
    assert_eq!(analysis.engine().counters().own_refusals - before, 3000);
    assert_eq!(findings(&analysis), known, "no detector saw them");
    assert_eq!(analysis.desk().action(action.id).unwrap().state, ActionState::InForce);

    // A state written with a limit in it goes on.
    let restored = Analysis::restore(&analysis.freeze().encode().unwrap()).unwrap();
    assert_eq!(restored.desk().action(action.id), analysis.desk().action(action.id));
    assert_eq!(restored.desired("kong"), analysis.desired("kong"));
}
