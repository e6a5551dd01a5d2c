//! Imports that end where it is least convenient.

use std::path::Path;

use crate::support::{Call, api_call};
use outrider_lake::{Beside, LakeReader, Location, QueryLimits};
use outrider_model::{EntityKind, Subject};
use outrider_platform::analysis::{Analysis, AnalysisSettings};
use outrider_platform::history::{HistoryImport, HistorySettings, Learnt, Taken};
use outrider_platform::log::{History, Log, LogReader, LogSettings, NewRecord, OnDamage, Position, RecordKind};
use outrider_platform::service::{LakeSettings, Platform, PlatformError, PlatformSettings};
use outrider_platform::snapshots::Snapshots;
use outrider_platform::store::Store;

const START_MS: i64 = 1_767_571_200_000;
const CALLS: u64 = 60;

fn now_ms() -> i64 {
    START_MS + 3_600_000
}

async fn open(data_dir: &Path) -> Result<HistoryImport, PlatformError> {
    HistoryImport::open(import_settings(data_dir), now_ms).await
}

fn import_settings(data_dir: &Path) -> HistorySettings {
    HistorySettings {
        data_dir: data_dir.to_owned(),
        installation: "test".to_owned(),
        analysis: AnalysisSettings::default(),
        log: LogSettings::default(),
        lake_location: Location::from(&data_dir.join("lake")),
        from_less: false,
    }
}

fn call(line: u64) -> Call {
    Call {
        at_ms: START_MS + line.cast_signed() * 1000,
        consumer: "alice".to_owned(),
        path: format!("/shop/items/{line}"),
        status: 200,
    }
}

/// Takes these lines of the file and says which of them were known.
fn take(import: &mut HistoryImport, lines: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    lines.filter(|&line| import.take(&api_call(&call(line)), line) == Taken::Known).collect()
}

/// The calls in the lake, by path, and how many places they have.
async fn rows(data_dir: &Path) -> (u64, u64, u64) {
    let reader = LakeReader::open(&data_dir.join("lake"), None, QueryLimits::default()).unwrap();
    let statement = "SELECT count(*), count(DISTINCT path), count(DISTINCT position * 1000 + call_index) FROM events";
    let mut answer = reader.query(statement, &Beside::default()).await.unwrap();
    let batch = answer.next().await.unwrap().unwrap();
    let number = |at: usize| {
        let column = batch.column(at);
        outrider_lake::arrow::array::AsArray::as_primitive::<outrider_lake::arrow::datatypes::Int64Type>(column)
            .value(0)
    };
    (number(0).cast_unsigned(), number(1).cast_unsigned(), number(2).cast_unsigned())
}

fn remove_newest_snapshot(data_dir: &Path) {
    let snapshots = data_dir.join("snapshots");
    let newest = Snapshots::open(snapshots.clone()).unwrap().newest().unwrap().unwrap();
    std::fs::remove_file(snapshots.join(format!("{:020}.snap", newest.0))).unwrap();
}

async fn learn(import: &mut HistoryImport) -> Option<Learnt> {
    import.learn(|progress| assert!(progress.calls <= progress.of)).await.unwrap()
}

#[tokio::test]
async fn whatever_a_kill_leaves_the_next_import_goes_on_from() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    // Killed with calls that wait for their commit.
    let mut import = open(data).await.unwrap();
    assert_eq!(import.begin_file("file").await.unwrap(), 0);
    assert!(take(&mut import, 1..=20).is_empty());
    import.commit(20).await.unwrap();
    take(&mut import, 21..=40);
    drop(import);
    assert_eq!(rows(data).await, (20, 20, 20));
    // Killed between the record of a commit and its rows.
    let (mut log, _) = Log::open(&data.join("log"), LogSettings::default()).unwrap();
    let history = History::Imported { file: "file".to_owned(), lines: 40, calls: 20 };
    log.append(&[NewRecord::history(now_ms(), &history).unwrap()]).unwrap();
    log.sync().unwrap();
    drop(log);
    let mut import = open(data).await.unwrap();
    assert_eq!(import.begin_file("file").await.unwrap(), 20);
    assert_eq!(take(&mut import, 1..=CALLS), Vec::from_iter(1..=20));
    let ahead = Call { at_ms: now_ms() + 5001, ..call(1) };
    assert_eq!(import.take(&api_call(&ahead), CALLS + 1), Taken::Ahead);
    import.commit(CALLS + 1).await.unwrap();
    assert_eq!(rows(data).await, (CALLS, CALLS, CALLS));
    assert_eq!(learn(&mut import).await, Some(Learnt { version: 1, calls: CALLS, before: 0, unreadable: 0 }));
    assert_eq!(learn(&mut import).await, None);
    drop(import);
    // Killed when everything but the snapshot was there.
    remove_newest_snapshot(data);
    let mut import = open(data).await.unwrap();
    assert_eq!(import.begin_file("file").await.unwrap(), CALLS + 1);
    assert_eq!(take(&mut import, 1..=CALLS).len() as u64, CALLS);
    import.commit(CALLS + 1).await.unwrap();
    assert_eq!(learn(&mut import).await, Some(Learnt { version: 1, calls: CALLS, before: 0, unreadable: 0 }));
    assert_eq!(import.endpoints(), 1);
    import.finish().await.unwrap();
    let mut import = open(data).await.unwrap();
    assert_eq!((learn(&mut import).await, import.endpoints()), (None, 1));
    assert_eq!(rows(data).await, (CALLS, CALLS, CALLS));
}

#[tokio::test]
async fn nothing_is_imported_while_somebody_is_being_erased() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).await.unwrap().finish().await.unwrap();
    let store = Store::open(&directory.path().join("control.sqlite")).await.unwrap();
    let alice = Subject::new(EntityKind::Consumer, "alice").unwrap();
    let asked = store.ask_erasure(&alice, "root", now_ms()).await.unwrap();
    store.close().await;
    match open(directory.path()).await.err() {
        Some(PlatformError::Erasing { erasure, .. }) => assert_eq!(erasure, asked.id),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_known_is_not_learnt_again_from_much_less_unless_somebody_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let mut import = open(data).await.unwrap();
    import.begin_file("file").await.unwrap();
    take(&mut import, 1..=CALLS);
    import.commit(CALLS).await.unwrap();
    learn(&mut import).await.unwrap();
    import.finish().await.unwrap();
    // The lake forgets all of it.
    std::fs::remove_dir_all(data.join("lake")).unwrap();
    let held = CALLS / 2 - 1;
    let mut import = open(data).await.unwrap();
    import.begin_file("other").await.unwrap();
    take(&mut import, 1..=held);
    import.commit(held).await.unwrap();
    let error = import.learn(|_| panic!("nothing is gone through")).await.unwrap_err();
    let less = |held| matches!(&error, PlatformError::LearnsLess { held: found, before: CALLS, .. } if *found == held);
    assert!(less(held) && error.to_string().contains("--from-less"), "{error}");
    drop(import);
    let settings = HistorySettings { from_less: true, ..import_settings(data) };
    let mut import = HistoryImport::open(settings, now_ms).await.unwrap();
    let learnt = Some(Learnt { version: 2, calls: held, before: CALLS, unreadable: 0 });
    assert_eq!(learn(&mut import).await, learnt, "what was refused waits");
    // From here on that is what is known: half of it and more is enough.
    import.begin_file("third").await.unwrap();
    take(&mut import, 1..=1);
    import.commit(1).await.unwrap();
    drop(import);
    let mut import = open(data).await.unwrap();
    let learnt = Some(Learnt { version: 3, calls: held + 1, before: held, unreadable: 0 });
    assert_eq!(learn(&mut import).await, learnt);
}

/// Profiles of the newest snapshot, as a start finds them.
fn profiles(data_dir: &Path) -> u64 {
    let snapshots = Snapshots::open(data_dir.join("snapshots")).unwrap();
    let (snapshot, _) = snapshots.load_at_or_before(snapshots.newest().unwrap().unwrap()).unwrap();
    let status = Analysis::restore(&snapshot.unwrap().1).unwrap().status();
    status["detectors"].as_array().unwrap().iter().filter_map(|one| one["counters"]["profiles"].as_u64()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_learnt_stays_when_the_settings_before_had_no_room_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let mut before = settings(data);
    before.analysis.detect.request_spike.enabled = false;
    let platform = Platform::start(before, now_ms).await.unwrap();
    platform.caught_up().await;
    platform.stop().await;
    assert_eq!(profiles(data), 0);
    let mut import = open(data).await.unwrap();
    import.begin_file("file").await.unwrap();
    take(&mut import, 1..=CALLS);
    import.commit(CALLS).await.unwrap();
    learn(&mut import).await.unwrap();
    import.finish().await.unwrap();
    let learnt = profiles(data);
    assert!(learnt > 0);
    let platform = Platform::start(settings(data), now_ms).await.unwrap();
    platform.caught_up().await;
    platform.stop().await;
    assert_eq!(profiles(data), learnt);
}

fn settings(data_dir: &Path) -> PlatformSettings {
    PlatformSettings {
        data_dir: data_dir.to_owned(),
        installation: "test".to_owned(),
        gateways: Vec::new(),
        analysis: AnalysisSettings::default(),
        log: LogSettings::default(),
        lake_location: Location::from(&data_dir.join("lake")),
        lake: Some(LakeSettings::default()),
        snapshot_interval: std::time::Duration::from_secs(60),
        notify: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_after_an_import_takes_it_for_no_kill_and_what_a_kill_left_is_not_imported_over() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let mut import = open(data).await.unwrap();
    import.begin_file("file").await.unwrap();
    take(&mut import, 1..=CALLS);
    import.commit(CALLS).await.unwrap();
    assert!(
        matches!(open(data).await.err(), Some(PlatformError::Log(error)) if error.to_string().contains("is in use"))
    );
    learn(&mut import).await.unwrap();
    import.finish().await.unwrap();

    let platform = Platform::start(settings(data), now_ms).await.unwrap();
    platform.caught_up().await;
    assert_eq!(platform.status().progress().calls, 0, "what was imported is not news");
    platform.stop().await;
    let mut kinds = Vec::new();
    let mut reader = LogReader::open(&data.join("log"), Position::ZERO, OnDamage::Refuse).unwrap();
    while let Some(record) = reader.next().unwrap() {
        kinds.push(record.kind);
    }
    assert!(kinds.starts_with(&[RecordKind::History, RecordKind::History, RecordKind::Settings]), "{kinds:?}");
    assert!(!kinds.contains(&RecordKind::Gap), "{kinds:?}");
    drop(reader);
    let mut import = open(data).await.unwrap();
    assert_eq!(learn(&mut import).await, None);
    drop(import);

    // As after a kill: the log has what no snapshot covers.
    let (mut log, opened) = Log::open(&data.join("log"), LogSettings::default()).unwrap();
    log.append(&[NewRecord::tick(now_ms())]).unwrap();
    let last = log.sync().unwrap();
    drop(log);
    let error = open(data).await.err().unwrap();
    assert!(matches!(&error, PlatformError::Unfinished { record, .. } if *record == last), "{error}");
    assert_eq!(last, Position(opened.last.0 + 1));
}
