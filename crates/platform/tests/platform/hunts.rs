//! Saved hunts on a platform with a lake: from calls to an alert, over restarts, and what is said when they cannot run.

use std::path::Path;
use std::time::Duration;

use outrider_lake::Location;
use outrider_model::batch::{BatchReader, BatchWriter};
use outrider_model::{
    Action, ActionState, Alert, AlertId, Command, CommandRecord, Condition, Confidence, Duration as Every, EntityKey,
    EntityKind, Hunt, HuntFigures, HuntHit, HuntId, HuntQuestion, HuntRun, HuntWindow, Mode, NoticeKind, Outcome,
    Policy, PolicyScope, Response, SampleCall, Severity, Subject, TargetFacts,
};
use outrider_platform::analysis::{Analysis, AnalysisSettings};
use outrider_platform::hunts::{HUNT_FAILURES_TOLD, HuntsRun};
use outrider_platform::log::{LogReader, LogSettings, OnDamage, Position, RecordKind};
use outrider_platform::service::{LakeSettings, Platform, PlatformSettings};
use outrider_platform::store::{AlertFilter, AuditFilter, ErasureState};
use outrider_platform::watcher::ConcernSource as _;

use crate::support::{Call, api_call};

/// The clock of these tests: it stands, and what a run is told goes on.
pub const NOW_MS: i64 = 1_795_867_200_000;
const MINUTE_MS: i64 = 60_000;

fn now_ms() -> i64 {
    NOW_MS
}

pub fn settings(data_dir: &Path) -> PlatformSettings {
    PlatformSettings {
        data_dir: data_dir.to_owned(),
        installation: "test".to_owned(),
        gateways: vec!["kong".to_owned()],
        analysis: AnalysisSettings::default(),
        log: LogSettings::default(),
        lake_location: Location::from(&data_dir.join("lake")),
        lake: Some(LakeSettings { commit_interval: Duration::from_millis(20), ..LakeSettings::default() }),
        snapshot_interval: Duration::from_secs(3600),
        notify: Vec::new(),
    }
}

pub async fn start(data_dir: &Path) -> Platform {
    let platform = Platform::start(settings(data_dir), now_ms).await.unwrap();
    platform.caught_up().await;
    platform
}

fn hunt(name: &str, ask: HuntQuestion, threshold: u32) -> Hunt {
    Hunt {
        name: name.to_owned(),
        description: String::new(),
        enabled: true,
        ask,
        every: Every::Seconds(300),
        look_back: None,
        severity: Severity::High,
        threshold,
        gateways: Vec::new(),
    }
}

pub fn search(name: &str, text: &str, threshold: u32) -> Hunt {
    hunt(name, HuntQuestion::Search(text.to_owned()), threshold)
}

/// Calls of a consumer, and waits until the lake has them.
pub async fn send(platform: &Platform, epoch: u64, consumer: &str, status: u16, count: u32) {
    let before = platform.status().progress().lake_rows;
    let mut writer = BatchWriter::default();
    for number in 0..count {
        let path = format!("/shop/items/{number}");
        let call = Call { at_ms: NOW_MS - 1000, consumer: consumer.to_owned(), path, status };
        writer.push(&api_call(&call)).unwrap();
    }
    platform.ingest(epoch).accept(writer.take(), count, NOW_MS);
    for number in 0.. {
        assert!(number < 20_000, "the lake never has them: {}", platform.status().to_json());
        if platform.status().progress().lake_rows == before + u64::from(count) {
            return;
        }
        settle(platform).await;
    }
}

/// Waits until what is in the log is in the store: a decision is answered then.
async fn settle(platform: &Platform) {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let command = Command::ResolveAlert { alert: AlertId(1), reason: String::new() };
    let record = CommandRecord { id: format!("settle-{number}"), by: "a".to_owned(), at_ms: NOW_MS, command };
    platform.commands().submit(record).await.unwrap_err();
}

pub async fn run_due(platform: &Platform, at_ms: i64) -> HuntsRun {
    let came = platform.hunts().unwrap().run_due(at_ms).await.unwrap();
    settle(platform).await;
    came
}

pub async fn alerts(platform: &Platform) -> Vec<Alert> {
    let filter = AlertFilter { detector: Some("hunt:refused".to_owned()), ..AlertFilter::default() };
    platform.store().alerts(&filter, 100, None).await.unwrap().items
}

const ONCE: HuntsRun = HuntsRun { done: 1, failed: 0 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hunt_finds_becomes_one_alert_whatever_restarts_come_between() {
    let directory = tempfile::tempdir().unwrap();
    let mut platform = start(directory.path()).await;
    platform.store().put_hunt(&search("refused", "status:403", 20), false, "anna", NOW_MS).await.unwrap();
    send(&platform, 1, "alice", 403, 25).await;
    send(&platform, 2, "bob", 403, 19).await;
    send(&platform, 3, "carol", 200, 30).await;
    assert_eq!(run_due(&platform, NOW_MS).await, ONCE);
    let [alert] = alerts(&platform).await.try_into().unwrap();
    assert_eq!((&*alert.entity.value, alert.severity, alert.finding_count), ("alice", Severity::High, 1));
    assert_eq!(alert.sentence, "hunt refused found alice 25 times within 300 s");
    let worst = &alert.worst;
    assert_eq!((worst.observation.observed, worst.observation.threshold), (25.0, 20.0));
    assert_eq!((worst.outcome.failed, &*worst.service_name, worst.event_ms), (25, "shop", NOW_MS - 1000));
    assert_eq!(worst.samples[0].path, "/shop/items/24");
    assert_eq!(count(&platform, &worst.query).await, 25, "{}", worst.query);
    let row = platform.store().hunt("refused").await.unwrap().unwrap();
    let last = row.last_run.unwrap();
    assert_eq!((last.at_ms, last.error, row.failures), (NOW_MS, None, 0));
    assert_eq!((last.figures.unwrap().rows, last.figures.unwrap().entities), (44, 1));

    // It is not due, and when it is there is nothing new, also after starts that go through the log again.
    assert_eq!(run_due(&platform, NOW_MS + 5 * MINUTE_MS - 1).await, HuntsRun::default());
    for number in 1..4 {
        assert_eq!(run_due(&platform, NOW_MS + number * 5 * MINUTE_MS).await, ONCE);
        platform.stop().await;
        std::fs::remove_dir_all(directory.path().join("snapshots")).unwrap();
        platform = start(directory.path()).await;
        settle(&platform).await;
        let [again] = alerts(&platform).await.try_into().unwrap();
        assert_eq!((again.id, again.finding_count), (alert.id, 1));
    }

    // What is new merges into the alert; who was below the threshold before does not count what was seen before.
    send(&platform, 4, "alice", 403, 21).await;
    send(&platform, 5, "bob", 403, 19).await;
    assert_eq!(run_due(&platform, NOW_MS + 50 * MINUTE_MS).await, ONCE);
    let [merged] = alerts(&platform).await.try_into().unwrap();
    assert_eq!((merged.id, merged.finding_count, merged.outcome.failed), (alert.id, 2, 46));
    platform.stop().await;

    // What the log holds gives the same anywhere.
    let again = replay(directory.path());
    let again = again.desk().alerts().find(|alert| alert.detector == "hunt:refused").unwrap();
    assert_eq!(serde_json::to_value(again).unwrap(), serde_json::to_value(&merged).unwrap());
}

/// What goes from the lake comes back by no hunt that looks at the same calls again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hunt_runs_while_calls_of_somebody_are_to_go() {
    let directory = tempfile::tempdir().unwrap();
    let platform = start(directory.path()).await;
    let looks_back = Hunt { look_back: Some(Every::Seconds(3600)), ..search("refused", "status:403", 20) };
    platform.store().put_hunt(&looks_back, false, "anna", NOW_MS).await.unwrap();
    send(&platform, 1, "alice", 403, 25).await;
    assert_eq!(run_due(&platform, NOW_MS).await, ONCE);
    assert_eq!(alerts(&platform).await.len(), 1);
    let alice = Subject::new(EntityKind::Consumer, "alice").unwrap();
    let asked = platform.store().ask_erasure(&alice, "root", NOW_MS).await.unwrap();
    let later_ms = NOW_MS + 10 * MINUTE_MS;
    assert_eq!(run_due(&platform, later_ms).await, HuntsRun::default());
    let mut looks = 0;
    while platform.store().erasure(&asked.id).await.unwrap().unwrap().state != ErasureState::Done {
        looks += 1;
        assert!(looks < 20_000, "{:?}", platform.store().erasure(&asked.id).await);
        settle(&platform).await;
    }
    assert_eq!(run_due(&platform, later_ms).await, ONCE);
    assert!(alerts(&platform).await.is_empty());
    platform.stop().await;
}

/// What a statement counts.
async fn count(platform: &Platform, statement: &str) -> i64 {
    use outrider_lake::arrow::array::AsArray as _;
    use outrider_lake::arrow::datatypes::Int64Type;
    let queries = platform.queries().unwrap();
    let answer = queries.run(statement.to_owned(), |mut answer| async move {
        let mut counted = 0;
        while let Some(batch) = answer.next().await {
            counted += batch?.column(0).as_primitive::<Int64Type>().value(0);
        }
        Ok(counted)
    });
    answer.await.unwrap()
}

/// A log, gone through by an analysis that knows nothing yet.
fn replay(data_dir: &Path) -> Analysis {
    let mut analysis = Analysis::new("test", AnalysisSettings::default()).unwrap();
    let mut reader = LogReader::open(&data_dir.join("log"), Position(1), OnDamage::Refuse).unwrap();
    while let Some(record) = reader.next().unwrap() {
        let mut scratch = Vec::new();
        match record.kind {
            RecordKind::Calls => {
                let calls = record.calls(&mut scratch).unwrap();
                for call in BatchReader::new(calls.batch).unwrap() {
                    let number = analysis.calls() + 1;
                    analysis.observe(&call.unwrap(), number);
                }
            }
            RecordKind::Hunt => analysis.hunted(record.at_ms, record.json().unwrap()),
            RecordKind::Settings => {
                analysis.advance(record.at_ms);
                analysis.apply_settings(record.json().unwrap()).unwrap();
            }
            RecordKind::Command => drop(analysis.command(&record.json().unwrap())),
            _ => analysis.advance(record.at_ms),
        }
        // A state that is written and read goes on as if nothing had been.
        if record.kind == RecordKind::Hunt {
            analysis = Analysis::restore(&analysis.freeze().encode().unwrap()).unwrap();
        }
    }
    analysis
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hunt_that_fails_is_told_of_and_made_up_for() {
    let directory = tempfile::tempdir().unwrap();
    let platform = start(directory.path()).await;
    let (store, hunts) = (platform.store(), platform.hunts().unwrap());
    // As a statement is that was good before the lake changed.
    let broken = hunt("refused", HuntQuestion::Sql("SELECT nope FROM window_calls".to_owned()), 1);
    store.put_hunt(&broken, false, "anna", NOW_MS).await.unwrap();
    send(&platform, 1, "alice", 403, 2).await;
    for number in 1..=HUNT_FAILURES_TOLD {
        assert!(hunts.concerns(NOW_MS).is_empty(), "{number}");
        let at_ms = NOW_MS + i64::from(number) * 5 * MINUTE_MS;
        assert_eq!(run_due(&platform, at_ms).await, HuntsRun { done: 0, failed: 1 });
        let row = store.hunt("refused").await.unwrap().unwrap();
        let last = row.last_run.unwrap();
        assert_eq!((row.failures, last.at_ms, row.covered), (number, at_ms, None));
        assert!(last.error.as_deref().unwrap().contains("nope"), "{:?}", last.error);
    }
    let at_ms = NOW_MS + i64::from(HUNT_FAILURES_TOLD) * 5 * MINUTE_MS;
    run_due(&platform, at_ms).await;
    let concerns = hunts.concerns(at_ms);
    assert_eq!((concerns.len(), concerns[0].kind, &*concerns[0].subject), (1, NoticeKind::HuntFailing, "refused"));
    assert!(concerns[0].detail.starts_with("3 runs in a row failed: ") && concerns[0].detail.contains("nope"));
    assert_eq!(store.apply_concerns(at_ms, &concerns).await.unwrap().opened.len(), 1);
    platform.stop().await;

    // A start forgets nothing of it.
    let platform = start(directory.path()).await;
    let (store, hunts) = (platform.store(), platform.hunts().unwrap());
    assert_eq!(hunts.concerns(at_ms), concerns);
    store.put_hunt(&search("refused", "status:403", 1), false, "anna", at_ms).await.unwrap();
    assert_eq!(run_due(&platform, at_ms + 5 * MINUTE_MS).await, ONCE);
    run_due(&platform, at_ms + 5 * MINUTE_MS).await;
    assert!(hunts.concerns(at_ms).is_empty());
    assert_eq!(store.apply_concerns(at_ms, &[]).await.unwrap().closed.len(), 1);
    assert_eq!(store.hunt("refused").await.unwrap().unwrap().failures, 0);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hunts_run_when_they_are_due_and_say_who_asked() {
    let directory = tempfile::tempdir().unwrap();
    let platform = start(directory.path()).await;
    let store = platform.store();
    let off = Hunt { enabled: false, ..search("off", "status:403", 1) };
    let hourly = Hunt { every: Every::Seconds(3600), ..search("hourly", "status:403", 1) };
    for hunt in [&search("refused", "status:403", 1), &hourly, &off] {
        store.put_hunt(hunt, false, "anna", NOW_MS).await.unwrap();
    }
    for (minutes, expected) in [(0, 2), (4, 0), (5, 1), (60, 2), (-600, 2), (-595, 1), (100_000, 2)] {
        let came = run_due(&platform, NOW_MS + minutes * MINUTE_MS).await;
        assert_eq!(came, HuntsRun { done: expected, failed: 0 }, "at {minutes} min");
    }
    let by = |by: &str| AuditFilter { by: Some(by.to_owned()), ..AuditFilter::default() };
    let runs = store.audit(&by("hunt hourly"), 100, None).await.unwrap().items;
    assert_eq!(runs.len(), 4);
    assert_eq!((&*runs[0].entry.what, &*runs[0].entry.detail), ("asked the lake", "status:403"));
    assert!(store.audit(&by("hunt off"), 100, None).await.unwrap().items.is_empty());
    store.delete_hunt("hourly", "bob", NOW_MS).await.unwrap();
    let of = AuditFilter { subject: Some("hunt hourly".to_owned()), ..AuditFilter::default() };
    let changes = store.audit(&of, 100, None).await.unwrap().items;
    let changes: Vec<_> = changes.iter().map(|line| (&*line.entry.by, &*line.entry.what)).collect();
    assert_eq!(changes, [("bob", "deleted"), ("anna", "created")]);
    // Made anew it is another one, which begins anew.
    let before = store.hunt("refused").await.unwrap().unwrap();
    store.delete_hunt("refused", "bob", NOW_MS).await.unwrap();
    store.put_hunt(&search("refused", "status:403", 1), false, "bob", NOW_MS + 1).await.unwrap();
    let after = store.hunt("refused").await.unwrap().unwrap();
    assert!(before.id != after.id && before.covered.is_some() && after.covered.is_none());
    platform.stop().await;
}

#[tokio::test]
async fn hunts_are_limited_in_number() {
    use outrider_platform::store::{HUNTS_MAX, Store, StoreError};
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("control.sqlite")).await.unwrap();
    for number in 0..HUNTS_MAX {
        store.put_hunt(&search(&format!("h-{number}"), "x", 1), false, "anna", 1).await.unwrap();
    }
    let error = store.put_hunt(&search("more", "x", 1), false, "anna", 1).await.unwrap_err();
    assert!(matches!(error, StoreError::TooManyHunts(HUNTS_MAX)), "{error}");
    store.put_hunt(&search("h-7", "y", 1), false, "anna", 2).await.unwrap();
    store.delete_hunt("h-8", "anna", 3).await.unwrap();
    store.put_hunt(&search("more", "x", 1), false, "anna", 4).await.unwrap();
    assert!(matches!(store.delete_hunt("h-8", "anna", 5).await, Err(StoreError::HuntMissing(_))));
}

/// An analysis whose policy blocks whom hunts find, or one of them.
fn blocking(detectors: &[&str]) -> Analysis {
    let policy = Policy {
        name: "block".to_owned(),
        description: String::new(),
        enabled: true,
        when: Condition {
            detectors: detectors.iter().map(|name| (*name).to_owned()).collect(),
            ..Condition::default()
        },
        respond: Response::default(),
        scope: PolicyScope::Consumer,
        duration: Every::Seconds(3600),
        mode: Mode::Enforce,
    };
    Analysis::new("test", AnalysisSettings { policies: vec![policy], ..AnalysisSettings::default() }).unwrap()
}

/// A run that found alice.
fn run(after: u64, event_ms: i64, target: TargetFacts) -> HuntRun {
    let text = String::new;
    let entity = EntityKey {
        kind: EntityKind::Consumer,
        gateway: "kong".to_owned(),
        workspace: text(),
        value: "alice".to_owned(),
        label: text(),
    };
    let sample =
        SampleCall { request_id: text(), event_ms, method: "GET".to_owned(), path: "/".to_owned(), status: 403 };
    let hit = HuntHit {
        entity,
        rows: 3,
        shown: "refused = 3".to_owned(),
        target,
        event_ms,
        outcome: Outcome { succeeded: 0, failed: 3 },
        service_id: text(),
        service_name: text(),
        route_id: text(),
        route_name: text(),
        consumer_tags: Vec::new(),
        consumer_custom_id: text(),
        samples: vec![sample],
        only: text(),
    };
    HuntRun {
        hunt: HuntId(1),
        name: "refused".to_owned(),
        at_ms: NOW_MS,
        window: HuntWindow {
            after,
            to: after + 10,
            since_ms: NOW_MS - 5 * MINUTE_MS,
            until_ms: NOW_MS,
            not_before_ms: None,
            again_from_ms: None,
        },
        severity: Severity::High,
        threshold: 1,
        figures: HuntFigures::default(),
        hits: vec![hit],
        query: "SELECT count(*) FROM events".to_owned(),
    }
}

#[test]
fn policies_and_guard_rails_hold_for_hunts_as_for_any_detector() {
    let good = TargetFacts::default();
    let untrusted = TargetFacts { untrusted: true, ..good };
    let anonymous = TargetFacts { anonymous_consumer: true, ..good };
    let fresh_ms = NOW_MS - MINUTE_MS;
    for (detectors, event_ms, target, expected) in [
        (&["hunt"][..], fresh_ms, good, Some(ActionState::Pending)),
        (&["hunt:refused"][..], fresh_ms, good, Some(ActionState::Pending)),
        (&["hunt:other"][..], fresh_ms, good, None),
        (&["hunt"][..], NOW_MS - 11 * MINUTE_MS, good, Some(ActionState::Proposed)),
        (&["hunt"][..], NOW_MS - 61 * MINUTE_MS, good, Some(ActionState::TooLate)),
        (&["hunt"][..], fresh_ms, untrusted, Some(ActionState::Proposed)),
        (&["hunt"][..], fresh_ms, anonymous, None),
        // Whoever saves a hunt need not be somebody who may act.
        (&[], fresh_ms, good, None),
        (&["request_spike", "hunt"], fresh_ms, good, Some(ActionState::Pending)),
    ] {
        let mut analysis = blocking(detectors);
        analysis.advance(NOW_MS - 1);
        let call = Call { at_ms: NOW_MS - 1, consumer: "bob".to_owned(), path: "/".to_owned(), status: 200 };
        analysis.observe(&api_call(&call), 1);
        analysis.hunted(NOW_MS, run(0, event_ms, target));
        let states: Vec<_> = analysis.desk().actions().map(|action: &Action| action.state).collect();
        assert_eq!(states, expected.into_iter().collect::<Vec<_>>(), "{detectors:?} {event_ms} {target:?}");
        let alert = analysis.desk().alerts().next().unwrap();
        assert_eq!((&*alert.detector, alert.confidence), ("hunt:refused", Confidence::new(0.5)));
        assert_eq!(alert.sentence, "hunt refused found alice 3 times within 300 s: refused = 3");
    }
}

#[test]
fn a_run_that_comes_again_changes_nothing() {
    let mut analysis = blocking(&["hunt"]);
    let first = run(0, NOW_MS, TargetFacts::default());
    analysis.hunted(NOW_MS, first.clone());
    drop(analysis.drain_effects());
    analysis.hunted(NOW_MS + 1, first.clone());
    // The alert is over: without the window's end in the state, the same would open another one.
    let id = analysis.desk().alerts().next().unwrap().id;
    let command = Command::ResolveAlert { alert: id, reason: String::new() };
    let record = CommandRecord { id: "r".to_owned(), by: "a".to_owned(), at_ms: NOW_MS + 2, command };
    analysis.command(&record).unwrap();
    let mut restored = Analysis::restore(&analysis.freeze().encode().unwrap()).unwrap();
    restored.hunted(NOW_MS + 3, first);
    assert!(restored.drain_effects().hunt_runs.is_empty());
    assert_eq!(restored.desk().alerts().count(), 1);
    restored.hunted(NOW_MS + 4, run(10, NOW_MS, TargetFacts::default()));
    assert_eq!(restored.drain_effects().hunt_runs.len(), 1);
    assert_eq!(restored.desk().alerts().count(), 2, "what is found later opens a new one");
    assert_eq!(restored.status()["hunt_runs_repeated"], 2);
}
