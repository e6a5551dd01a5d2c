//! Erasing in a whole platform: no byte below the data directory names who was erased, others keep everything, and the
//! analysis goes on as if it had never known them.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrider_lake::arrow::array::AsArray as _;
use outrider_lake::arrow::datatypes::Int64Type;
use outrider_lake::{Beside, LakeReader, Location, QueryLimits};
use outrider_model::batch::BatchWriter;
use outrider_model::{AuditEntry, Command, CommandRecord, EntityKind, Subject};
use outrider_platform::analysis::{Analysis, AnalysisSettings};
use outrider_platform::log::LogSettings;
use outrider_platform::service::{LakeSettings, Platform, PlatformSettings};
use outrider_platform::store::{AuditCheck, AuditLog, Erasure, ErasureState, Place, PlaceState};

use crate::places::places_of;
use crate::support::{Call, api_call};

const ERASED: &str = "zelda-the-erased";

pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Nothing happens by itself within the test: an erasure has to ask for all of it.
fn settings(data_dir: &Path, has_lake: bool) -> PlatformSettings {
    let slow = Duration::from_secs(3600);
    PlatformSettings {
        data_dir: data_dir.to_owned(),
        installation: "test".to_owned(),
        gateways: vec!["kong".to_owned()],
        analysis: AnalysisSettings::default(),
        log: LogSettings::default(),
        lake_location: Location::from(&data_dir.join("lake")),
        lake: has_lake.then(|| LakeSettings { commit_interval: slow, ..LakeSettings::default() }),
        snapshot_interval: slow,
        notify: Vec::new(),
    }
}

async fn send(platform: &Platform, epoch: u64, names: &[&str]) {
    let mut writer = BatchWriter::default();
    for (number, name) in names.iter().enumerate() {
        let path = format!("/shop/items/{number}");
        let call = Call { at_ms: now_ms(), consumer: (*name).to_owned(), path, status: 200 };
        writer.push(&api_call(&call)).unwrap();
    }
    let calls = platform.status().progress().calls;
    platform.ingest(epoch).accept(writer.take(), names.len() as u32, now_ms());
    until("the calls are analysed", async || (platform.status().progress().calls > calls).then_some(())).await;
}

/// Looks again until there is something.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut interval = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..3000 {
        if let Some(found) = look().await {
            return found;
        }
        interval.tick().await;
    }
    panic!("waited in vain until {what}");
}

pub async fn done(platform: &Platform, id: &str) -> Erasure {
    let look = async || {
        let erasure = platform.store().erasure(id).await.unwrap().unwrap();
        (erasure.state == ErasureState::Done).then_some(erasure)
    };
    until("the erasure is done", look).await
}

fn subject() -> Subject {
    Subject::new(EntityKind::Consumer, ERASED).unwrap()
}

async fn calls_in_lake(data_dir: &Path) -> i64 {
    let reader = LakeReader::open(&data_dir.join("lake"), None, QueryLimits::default()).unwrap();
    let mut answer = reader.query("SELECT count(*) FROM events", &Beside::default()).await.unwrap();
    answer.next().await.unwrap().unwrap().column(0).as_primitive::<Int64Type>().value(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_names_who_was_erased_and_others_keep_everything() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path();
    // Uncompressed, so that the test sees the names in the log before.
    let mut settings = settings(data_dir, true);
    settings.log.compress = false;
    let platform = Platform::start(settings.clone(), now_ms).await.unwrap();
    send(&platform, 1, &[ERASED, "bert", ERASED, "carol", "bert", ERASED]).await;
    let entry = AuditEntry {
        at_ms: now_ms(),
        by: "reader".to_owned(),
        what: "read a timeline".to_owned(),
        subject: String::new(),
        detail: format!("kind=consumer&entity={ERASED}"),
    };
    platform.store().note(AuditLog::Reads, &entry).await.unwrap();
    // It is in a snapshot, too, and a stop commits the lake.
    platform.stop().await;
    let before = places_of(data_dir, ERASED);
    for part in ["log/", "lake/events", "control.sqlite"] {
        assert!(before.iter().any(|path| path.contains(part)), "{part}: {before:?}");
    }

    let platform = Platform::start(settings.clone(), now_ms).await.unwrap();
    platform.caught_up().await;
    // These are neither committed nor in a snapshot.
    send(&platform, 2, &["bert", ERASED]).await;
    let asked = platform.store().ask_erasure(&subject(), "root", now_ms()).await.unwrap();
    let receipt = done(&platform, &asked.id).await;
    assert_eq!(receipt.reference, asked.reference);
    assert_eq!(receipt.counted(Place::Lake, "calls"), Some(4), "{receipt:?}");
    assert_eq!(receipt.counted(Place::AuditLog, "entries"), Some(1));
    let pending: Vec<_> = receipt.places.iter().filter(|place| place.state == PlaceState::Pending).collect();
    assert!(pending.is_empty() && receipt.done_ms.is_some(), "{receipt:?}");
    assert_eq!(places_of(data_dir, ERASED), [""; 0], "while it runs");
    assert!(matches!(platform.store().verify_audit(&[]).await.unwrap(), AuditCheck::Whole { erased: 1, .. }));
    // What comes later is new, and can be erased again.
    send(&platform, 3, &[ERASED, "bert"]).await;
    let again = platform.store().ask_erasure(&subject(), "root", now_ms()).await.unwrap();
    assert_eq!(again.reference, receipt.reference, "the same subject has the same reference");
    assert_eq!(done(&platform, &again.id).await.counted(Place::Lake, "calls"), Some(1));
    platform.stop().await;
    assert_eq!(places_of(data_dir, ERASED), [""; 0], "after a stop");

    let platform = Platform::start(settings, now_ms).await.unwrap();
    platform.caught_up().await;
    assert_eq!(platform.status().progress().calls, 10, "what was counted is counted");
    platform.stop().await;
    assert_eq!(calls_in_lake(data_dir).await, 5, "bert's and carol's");
    assert_eq!(places_of(data_dir, ERASED), [""; 0], "after another start");
    assert!(places_of(data_dir, "bert").len() > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_for_while_nothing_ran_is_done_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let platform = Platform::start(settings(directory.path(), false), now_ms).await.unwrap();
    send(&platform, 1, &[ERASED, "bert"]).await;
    platform.stop().await;
    let store = outrider_platform::store::Store::open(&directory.path().join("control.sqlite")).await.unwrap();
    let asked = store.ask_erasure(&subject(), "command line", now_ms()).await.unwrap();
    store.close().await;
    let platform = Platform::start(settings(directory.path(), false), now_ms).await.unwrap();
    let receipt = done(&platform, &asked.id).await;
    assert_eq!(receipt.place(Place::Lake).unwrap().counts, [], "there is no lake: {receipt:?}");
    platform.stop().await;
    assert_eq!(places_of(directory.path(), ERASED), [""; 0]);
}

/// The same records give the same state byte for byte, wherever it was saved and loaded in between.
#[test]
fn forgetting_is_a_function_of_the_log() {
    let calls: Vec<Call> = (0..4000)
        .map(|number| Call {
            at_ms: 1_767_571_200_000 + number * 700,
            consumer: [ERASED, "bert", "carol"][number as usize % 3].to_owned(),
            path: format!("/shop/items/{number}"),
            status: 200,
        })
        .collect();
    let run = |restart_every: usize| {
        let mut analysis = Analysis::new("test", AnalysisSettings::default()).unwrap();
        for (number, call) in (1..).zip(&calls) {
            analysis.observe(&api_call(call), number);
            if number % 1500 == 0 {
                let command = Command::Erase { erasure: format!("er_{number}"), subject: subject() };
                let record =
                    CommandRecord { id: format!("c{number}"), by: "root".to_owned(), at_ms: call.at_ms, command };
                analysis.command(&record).unwrap();
            }
            drop(analysis.drain_effects());
            if (number as usize).is_multiple_of(restart_every) {
                analysis = Analysis::restore(&analysis.freeze().encode().unwrap()).unwrap();
            }
        }
        analysis.freeze().encode().unwrap()
    };
    let state = run(usize::MAX);
    assert!(run(usize::MAX) == state && run(7) == state && run(1000) == state);
}
