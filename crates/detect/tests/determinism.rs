//! Whatever the calls are, the same ones give the same findings: replayed, with other ticks, and restarted anywhere.

// A test may panic, its helpers too.
#![allow(clippy::unwrap_used)]

mod support;

use outrider_detect::{Engine, Settings};
use outrider_model::{EntityKind, Subject};
use proptest::prelude::*;
use support::{Happening, START_MS, lines, parse};

/// One step of a random log: who, where, how many calls, how long after the last, how much later than it happened.
#[derive(Debug, Clone)]
struct Step {
    actor: u8,
    endpoint: u8,
    calls: u16,
    gap_ms: u32,
    late_ms: u32,
    settled: bool,
    untrusted: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let calls = prop_oneof![8 => 1u16..6, 1 => 30u16..300];
    let gap = prop_oneof![8 => 0u32..8_000, 1 => 0u32..400_000];
    let late = prop_oneof![6 => Just(0u32), 2 => 0u32..60_000, 1 => 55_000u32..70_000];
    let step = (0u8..12, 0u8..4, calls, gap, late, prop::bool::weighted(0.97), prop::bool::weighted(0.05)).prop_map(
        |(actor, endpoint, calls, gap_ms, late_ms, settled, untrusted)| Step {
            actor,
            endpoint,
            calls,
            gap_ms,
            late_ms,
            settled,
            untrusted,
        },
    );
    prop::collection::vec(step, 50..700)
}

fn calls_of(steps: &[Step]) -> Vec<Happening> {
    let head = r#"{"why":"","from":""}"#;
    let templates: Vec<Vec<Happening>> = (0..4)
        .map(|endpoint| {
            let line = format!(r#"{{"consumer":"c{{0..11}}","GET":"/e{endpoint}/{{id}}","every_ms":1,"times":1}}"#);
            parse("random", &format!("{head}\n{line}")).1
        })
        .collect();
    let mut now_ms = START_MS;
    let mut calls = Vec::new();
    for step in steps {
        now_ms += i64::from(step.gap_ms);
        for _ in 0..step.calls {
            now_ms += 7;
            let mut happening = templates[usize::from(step.endpoint)][usize::from(step.actor)].clone();
            happening.call.received_ms = now_ms;
            happening.call.event_ms = now_ms - i64::from(step.late_ms);
            happening.settled = step.settled;
            if step.untrusted {
                happening.call.trust = outrider_model::Trust::Untrusted;
            }
            calls.push(happening);
        }
    }
    calls
}

/// Early and sensitive, so that random calls reach every branch; and a table so small that keys make room.
fn settings() -> Settings {
    let mut settings = Settings::default();
    let spike = &mut settings.request_spike;
    spike.calls_min = 10;
    spike.surprise_min = 2.0;
    spike.factor = 1.5;
    spike.factor_at_once = 2.0;
    spike.warmup_minutes = 2;
    spike.warmup_active_minutes = 5;
    spike.own_minutes_min = 3;
    spike.learn_after_minutes = 5;
    spike.keys_max = 1000;
    spike.watched_max = 20;
    settings
}

fn run(calls: &[Happening], tick_ms: Option<i64>, restart_every: Option<usize>) -> (String, Vec<u8>) {
    let mut engine = Engine::new(settings()).unwrap();
    let mut findings = Vec::new();
    let mut ticked_ms = START_MS;
    for (index, happening) in calls.iter().enumerate() {
        let now_ms = happening.call.received_ms;
        if let Some(tick_ms) = tick_ms {
            while ticked_ms + tick_ms <= now_ms {
                ticked_ms += tick_ms;
                engine.advance(ticked_ms, &mut findings);
            }
        }
        if restart_every.is_some_and(|every| index % every == every - 1) {
            engine = Engine::restore(settings(), &engine.snapshot()).unwrap();
        }
        engine.advance(now_ms, &mut findings);
        engine.observe(&happening.observed(index as u64 + 1), &mut findings);
        // Now and then somebody is erased: who calls right now, and who may not be there.
        if index % 211 == 210 {
            let consumer = happening.call.consumer.as_ref().unwrap();
            engine.forget(&Subject::new(EntityKind::Consumer, &consumer.id).unwrap());
            engine.forget(&Subject::new(EntityKind::Consumer, "nobody").unwrap());
        }
    }
    engine.advance(calls.last().unwrap().call.received_ms + 300_000, &mut findings);
    assert!(engine.status().iter().all(|status| status.failure.is_none()), "{:?}", engine.status());
    (lines(&findings), engine.snapshot())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_calls_alone_decide(steps in steps(), tick_ms in 1_000i64..90_000, restart_every in 1usize..400) {
        let calls = calls_of(&steps);
        // The first call sets the clock in every run, so that ticks before it make no difference.
        let (findings, state) = run(&calls, None, None);
        let again = run(&calls, None, None);
        prop_assert!(again == (findings.clone(), state.clone()), "replayed");
        let ticked = run(&calls, Some(tick_ms), None);
        prop_assert!(ticked.0 == findings, "with ticks");
        prop_assert!(ticked.1 == state, "the state with ticks");
        let restarted = run(&calls, None, Some(restart_every.max(calls.len() / 40)));
        prop_assert!(restarted.0 == findings, "restarted");
        prop_assert!(restarted.1 == state, "the state after restarts");
    }
}

#[test]
fn random_logs_do_raise_findings() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut findings = 0;
    for _ in 0..20 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        findings += run(&calls_of(&steps), None, None).0.lines().count();
    }
    assert!(findings > 50, "only {findings} findings: the random test would show nothing");
}
