//! A live run gives what a replay of the same calls in the same order gives, whatever the batches, and however often it
//! was stopped and started in between. `OUTRIDER_SEEDS` sets how many histories are tried (12).

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::support::{Call, api_call};
use outrider_lake::Location;
use outrider_model::batch::BatchWriter;
use outrider_model::{
    Alert, Command, CommandRecord, Duration as PolicyDuration, Finding, Mode, Policy, PolicyScope, Response,
};
use outrider_platform::analysis::{Analysis, AnalysisSettings};
use outrider_platform::log::LogSettings;
use outrider_platform::service::{Platform, PlatformSettings};
use outrider_platform::store::{AlertFilter, FindingFilter};

const START_MS: i64 = 1_767_571_200_000;

/// The live run's clock: as far as the calls are.
static NOW_MS: AtomicI64 = AtomicI64::new(START_MS);

fn now_ms() -> i64 {
    NOW_MS.load(Ordering::SeqCst)
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Forty minutes of eight consumers, two of which go wild at different times.
fn history(dice: &mut Dice) -> Vec<Call> {
    let mut calls = Vec::new();
    for consumer in 0..8u64 {
        let mut at_ms = START_MS + dice.roll(3000) as i64;
        while at_ms < START_MS + 40 * 60_000 {
            let template = ["/shop/items", "/shop/orders", "/shop/carts"][dice.roll(3) as usize];
            let path = format!("{template}/{}", 1 + dice.roll(5000));
            let status = if dice.roll(40) == 0 { 404 } else { 200 };
            calls.push(Call { at_ms, consumer: format!("consumer-{consumer}"), path, status });
            at_ms += 1500 + dice.roll(6000) as i64;
        }
    }
    for (consumer, begin, gap_ms) in [(3, 22, 30), (5, 31, 120)] {
        for call in 0..600 {
            let at_ms = START_MS + begin * 60_000 + call * gap_ms;
            let path = format!("/shop/items/{}", 1 + dice.roll(5000));
            calls.push(Call { at_ms, consumer: format!("consumer-{consumer}"), path, status: 200 });
        }
    }
    calls.sort_by_key(|call| call.at_ms);
    calls
}

fn settings() -> AnalysisSettings {
    let policy = Policy {
        name: "block".to_owned(),
        description: String::new(),
        enabled: true,
        when: outrider_model::Condition::default(),
        respond: Response::default(),
        scope: PolicyScope::Consumer,
        duration: PolicyDuration::Seconds(600),
        mode: Mode::Enforce,
    };
    AnalysisSettings { policies: vec![policy], ..AnalysisSettings::default() }
}

fn replay(calls: &[Call], end_ms: i64) -> (Vec<Finding>, Vec<Alert>) {
    let mut analysis = Analysis::new("test", settings()).unwrap();
    let (mut findings, mut alerts) = (Vec::new(), std::collections::BTreeMap::new());
    for (number, call) in (1..).zip(calls) {
        analysis.observe(&api_call(call), number);
    }
    analysis.advance(end_ms);
    let effects = analysis.drain_effects();
    findings.extend(effects.findings.into_iter().map(|(finding, _)| finding));
    alerts.extend(effects.alerts.into_iter().map(|alert| (alert.id, alert)));
    findings.sort_by_key(|finding| (finding.raised_ms, finding.id));
    (findings, alerts.into_values().collect())
}

async fn live(calls: &[Call], end_ms: i64, dice: &mut Dice) -> (Vec<Finding>, Vec<Alert>) {
    NOW_MS.store(START_MS, Ordering::SeqCst);
    let directory = tempfile::tempdir().unwrap();
    let settings = PlatformSettings {
        data_dir: directory.path().to_owned(),
        installation: "test".to_owned(),
        gateways: vec!["kong".to_owned()],
        analysis: settings(),
        log: LogSettings::default(),
        lake_location: Location::from(&directory.path().join("lake")),
        lake: None,
        snapshot_interval: Duration::from_millis(50),
        notify: Vec::new(),
    };
    let mut rest = calls;
    for epoch in 1.. {
        let platform = Platform::start(settings.clone(), now_ms).await.unwrap();
        let mut ingest = platform.ingest(epoch);
        for _ in 0..dice.roll(60) {
            let (batch, after) = rest.split_at(rest.len().min(1 + dice.roll(200) as usize));
            rest = after;
            let mut writer = BatchWriter::default();
            for call in batch {
                writer.push(&api_call(call)).unwrap();
            }
            let Some(last) = batch.last() else { break };
            // The clock follows the calls, so that a tick never runs ahead of what is still to come.
            ingest.accept(writer.take(), batch.len() as u32, last.at_ms);
            NOW_MS.store(last.at_ms, Ordering::SeqCst);
        }
        if rest.is_empty() {
            NOW_MS.store(end_ms, Ordering::SeqCst);
        }
        platform.stop().await;
        if rest.is_empty() && epoch > 1 {
            break;
        }
    }
    // One more start appends its settings at the end of time, so that everything waiting for time has had it.
    let platform = Platform::start(settings, now_ms).await.unwrap();
    let mut idle = platform.failed();
    platform.caught_up().await;
    assert!(!*idle.borrow_and_update());
    let store = platform.store().clone();
    let page = store.findings(&FindingFilter::default(), 500, None).await.unwrap();
    assert_eq!(page.next, None, "more findings than the test looks at");
    let mut findings = page.items;
    findings.sort_by_key(|finding| (finding.raised_ms, finding.id));
    let mut alerts = store.alerts(&AlertFilter::default(), 500, None).await.unwrap().items;
    alerts.sort_by_key(|alert| alert.id);
    platform.stop().await;
    (findings, alerts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_run_gives_what_a_replay_gives() {
    let seeds = std::env::var("OUTRIDER_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12u64);
    for seed in 1..=seeds {
        let mut dice = Dice(seed);
        let calls = history(&mut dice);
        let end_ms = calls.last().unwrap().at_ms + 120_000;
        let (findings, alerts) = replay(&calls, end_ms);
        let spikers: std::collections::BTreeSet<_> = alerts.iter().map(|alert| alert.entity.value.as_str()).collect();
        assert_eq!(spikers, ["consumer-3", "consumer-5"].into(), "seed {seed}");
        let (live_findings, live_alerts) = live(&calls, end_ms, &mut dice).await;
        assert_eq!(live_findings, findings, "seed {seed}");
        assert_eq!(live_alerts, alerts, "seed {seed}");
    }
}

/// How many findings there are about the later of two equal floods, with or without a person's word on the earlier one, and
/// with or without everything being learnt again in between.
fn findings_after_a_first_flood(is_marked: bool, is_relearnt: bool) -> usize {
    let mut settings = AnalysisSettings { policies: Vec::new(), ..settings() };
    settings.respond.alerts.false_positive_silence = PolicyDuration::Seconds(1);
    let mut analysis = Analysis::new("test", settings).unwrap();
    let mut calls = history(&mut Dice(1));
    calls.retain(|call| call.consumer != "consumer-5");
    let flood = |call: &&Call| call.consumer == "consumer-3" && (22..26).contains(&((call.at_ms - START_MS) / 60_000));
    let again: Vec<Call> = calls
        .iter()
        .filter(flood)
        .map(|call| Call {
            at_ms: call.at_ms + 10 * 60_000,
            consumer: call.consumer.clone(),
            path: call.path.clone(),
            status: 200,
        })
        .collect();
    calls.extend(again);
    calls.sort_by_key(|call| call.at_ms);
    let between_ms = START_MS + 30 * 60_000;
    let (before, after) = calls.split_at(calls.partition_point(|call| call.at_ms < between_ms));
    for (number, call) in (1..).zip(before) {
        analysis.observe(&api_call(call), number);
    }
    assert!(!analysis.drain_effects().findings.is_empty(), "the first flood is found");
    let alert = analysis.desk().alerts().next().unwrap().id;
    if is_marked {
        let command = Command::MarkFalsePositive { alert, reason: "a load test".to_owned() };
        let record = CommandRecord { id: "1".to_owned(), by: "alice".to_owned(), at_ms: between_ms, command };
        analysis.command(&record).unwrap();
    }
    if is_relearnt {
        let (counted, endpoints) = (analysis.engine().counters(), analysis.catalogue().endpoints().count());
        let mut learning = analysis.relearn(analysis.settings(), between_ms).unwrap();
        before.iter().for_each(|call| learning.profile(&api_call(call), None));
        let settled = before.iter().filter(|call| call.at_ms <= between_ms - 120_000).count();
        assert_eq!(learning.calls(), settled as u64);
        analysis.drain_effects();
        analysis.take_over(learning);
        let effects = analysis.drain_effects();
        assert!(effects.findings.is_empty() && effects.alerts.is_empty(), "the past does not act on the present");
        assert_eq!(analysis.engine().counters(), counted);
        assert_eq!((analysis.catalogue().endpoints().count(), analysis.past().version()), (endpoints, 1));
        // What is learnt is the state from now on.
        analysis = Analysis::restore(&analysis.freeze().encode().unwrap()).unwrap();
        assert_eq!(analysis.past().version(), 1);
    }
    for (number, call) in (before.len() as u64 + 1..).zip(after) {
        analysis.observe(&api_call(call), number);
    }
    analysis.advance(START_MS + 45 * 60_000);
    let findings = analysis.drain_effects().findings;
    findings.iter().filter(|(finding, _)| finding.entity.value == "consumer-3").count()
}

#[test]
fn what_a_person_calls_normal_is_learned() {
    for is_relearnt in [false, true] {
        assert!(findings_after_a_first_flood(false, is_relearnt) > 0, "without a word it is found again");
        assert_eq!(findings_after_a_first_flood(true, is_relearnt), 0);
    }
}
