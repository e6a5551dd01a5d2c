//! Erasing: nothing of the entity is left on the disk, everything of the others is, and who writes and reads goes on.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use outrider_lake::{CallsErased, Erase, Keeper};
use outrider_model::{ApiCall, BusinessEntity, KeyId, Pseudonym};

use crate::calls::{ALL, DAY_MS, Filler, NOON_MS, keep, mixed_call};
use crate::keeping::{number, positions, reader};
use crate::places::places_of;

const UP_TO_ALL: u64 = u64::MAX >> 1;

fn erase(kind: &str, entity: &str, up_to: u64) -> Erase {
    Erase { kind: kind.to_owned(), entity: entity.to_owned(), up_to, rows_are_out: false }
}

async fn run(directory: &Path, what: &Erase) -> CallsErased {
    Keeper::open(directory, ALL).await.unwrap().erase(what, &|| false).await.unwrap()
}

/// Calls of three days, each with one of a few entities that other calls do not have.
fn calls(from: i64, to: i64) -> Vec<ApiCall<'static>> {
    let call = |number: i64| {
        let mut call = mixed_call(number);
        call.event_ms -= (number % 3) * DAY_MS;
        call
    };
    (from..=to).map(call).collect()
}

const IS_LEFT: &str =
    "SELECT sum(position * 7 + status) FROM events WHERE consumer_id IS NULL OR consumer_id <> 'id-3'";

#[tokio::test]
async fn nothing_of_a_consumer_is_left_and_everything_of_the_others_is() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let reader = reader(directory.path(), &filler.lake);
    for chunk in 0..10 {
        filler.commit(&calls(chunk * 30 + 1, chunk * 30 + 30)).await;
    }
    // What merges have put together is still on the disk as it was before.
    assert!(keep(directory.path(), ALL, NOON_MS + 2 * DAY_MS).await.merges > 0);
    filler.commit(&calls(301, 330)).await;
    let (before, left) = (number(&reader, "SELECT count(*) FROM events").await, number(&reader, IS_LEFT).await);
    let of_consumer = positions(&reader, "consumer", "id-3", 1000).await.len() as u64;
    assert!(of_consumer > 20 && places_of(directory.path(), "id-3").len() > 20);

    let erased = run(directory.path(), &erase("consumer", "id-3", 330)).await;
    assert!(erased.is_done && erased.calls == of_consumer, "{erased:?}");
    // Each of its calls is there as consumer, credential and session, and some as addresses, networks and merchants.
    assert!(erased.timeline_rows >= 3 * of_consumer, "{erased:?}");
    assert_eq!(places_of(directory.path(), "id-3"), [""; 0]);
    assert_eq!(places_of(directory.path(), "user 3"), [""; 0]);
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, before - of_consumer as i64);
    assert_eq!(number(&reader, IS_LEFT).await, left);
    for (kind, entity) in [("consumer", "id-3"), ("credential", "key-3")] {
        assert_eq!(positions(&reader, kind, entity, 100).await, [0_i64; 0]);
    }
    let again = run(directory.path(), &erase("consumer", "id-3", 330)).await;
    assert_eq!((again.calls, again.files_changed, again.is_done), (0, 0, true));
}

#[tokio::test]
async fn the_timeline_of_others_loses_the_calls_too_and_keeps_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let mut calls = calls(1, 120);
    for call in calls.iter_mut().step_by(4) {
        call.enrichment.entities.push(BusinessEntity { name: "patient".into(), value: "p-4711".into() });
    }
    filler.commit(&calls).await;
    keep(directory.path(), ALL, NOON_MS).await;
    let reader = reader(directory.path(), &filler.lake);
    let erased = run(directory.path(), &erase("business", "patient:p-4711", 120)).await;
    assert_eq!((erased.calls, erased.is_done), (30, true));
    assert_eq!(places_of(directory.path(), "p-4711"), [""; 0]);
    let of_address = positions(&reader, "ip", "192.0.2.1", 7).await;
    let mut expected: Vec<_> =
        (1..=120).filter(|number| number % 5 == 1 && number % 4 != 1).map(|number| (-(number % 3), number)).collect();
    expected.sort_unstable();
    let expected: Vec<i64> = expected.into_iter().rev().map(|(_, number)| number).collect();
    assert_eq!(of_address, expected);
}

#[tokio::test]
async fn calls_after_the_asking_are_new_and_stay() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    filler.commit(&calls(1, 30)).await;
    let what = erase("ip", "192.0.2.2", 45);
    let early = run(directory.path(), &what).await;
    assert_eq!(early, CallsErased::default(), "what is not committed yet cannot be taken out");
    filler.commit(&calls(31, 60)).await;
    let erased = run(directory.path(), &what).await;
    assert_eq!((erased.calls, erased.is_done), (9, true));
    let reader = reader(directory.path(), &filler.lake);
    let left = positions(&reader, "ip", "192.0.2.2", 100).await;
    assert!(left.len() == 3 && left.iter().all(|position| *position > 45), "{left:?}");
}

#[tokio::test]
async fn what_was_stopped_halfway_is_done_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    for chunk in 0..6 {
        filler.commit(&calls(chunk * 30 + 1, chunk * 30 + 30)).await;
    }
    keep(directory.path(), ALL, NOON_MS).await;
    let what = erase("consumer", "id-5", 180);
    let (mut tries, mut calls) = (0, 0);
    loop {
        // It gets a little further each time.
        let asked = AtomicUsize::new(0);
        let mut keeper = Keeper::open(directory.path(), ALL).await.unwrap();
        let should_stop = || asked.fetch_add(1, Ordering::Relaxed) > 3;
        let erased = keeper.erase(&what, &should_stop).await.unwrap();
        (tries, calls) = (tries + 1, calls + erased.calls);
        if erased.is_done {
            break;
        }
        assert!(tries < 100);
    }
    assert!(tries > 2 && calls == 17, "{tries} tries, {calls} calls");
    assert_eq!(places_of(directory.path(), "id-5"), [""; 0]);
}

#[tokio::test]
async fn what_a_killed_process_left_goes_and_what_may_be_being_written_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    filler.commit(&calls(1, 30)).await;
    let folder = directory.path().join("events/event_date=2026-11-28");
    let orphan = folder.join("part-00000-left-c000.zstd.parquet");
    std::fs::copy(std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path(), &orphan).unwrap();
    let staged = folder.join("part-00000-half-c000.zstd.parquet#1");
    std::fs::write(&staged, "id-2").unwrap();
    let mut keeper = Keeper::open(directory.path(), ALL).await.unwrap();
    let young = folder.join("part-00000-young-c000.zstd.parquet");
    std::fs::copy(&orphan, &young).unwrap();
    // What a clock that was set says of a file is not what counts.
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    std::fs::File::options().write(true).open(&young).unwrap().set_modified(long_ago).unwrap();
    let erased = keeper.erase(&erase("consumer", "id-2", 30), &|| false).await.unwrap();
    assert!(!erased.is_done && young.exists() && !orphan.exists() && !staged.exists(), "{erased:?}");
    let erased = run(directory.path(), &erase("consumer", "id-2", 30)).await;
    assert!(erased.is_done && !young.exists());
    assert_eq!(places_of(directory.path(), "id-2"), [""; 0]);
}

#[tokio::test]
async fn who_writes_and_reads_goes_on_although_checkpoints_are_renewed() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let reader = reader(directory.path(), &filler.lake);
    // A checkpoint is made every hundred commits.
    for number in 1..=120 {
        filler.commit(&calls(number, number)).await;
    }
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 120);
    let checkpoints = || places_named(directory.path(), ".checkpoint.");
    let before = checkpoints();
    assert!(!before.is_empty());
    let erased = run(directory.path(), &erase("consumer", "id-6", UP_TO_ALL)).await;
    assert!(!erased.is_done, "the log is not that far");
    let what = erase("consumer", "id-6", 120);
    let mut keeper = Keeper::open(directory.path(), ALL).await.unwrap();
    let stopped = keeper.erase(&what, &|| true).await.unwrap();
    assert_eq!(stopped, CallsErased::default(), "it was to stop before it began");
    let erased = keeper.erase(&what, &|| false).await.unwrap();
    assert!(erased.is_done && erased.rows_are_out);
    let again = keeper.erase(&Erase { rows_are_out: true, ..what }, &|| false).await.unwrap();
    assert!(again.is_done && again.calls + again.files_deleted == 0, "{again:?}");
    assert!(checkpoints().iter().all(|name| !before.contains(name)), "{:?}", checkpoints());
    let left = 120 - erased.calls as i64;
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, left, "who read before");
    filler.commit(&calls(121, 130)).await;
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, left + 10, "who wrote before");
    drop(filler);
    let mut filler = Filler::open(directory.path()).await;
    assert_eq!(filler.lake.position(), 130);
    filler.commit(&calls(131, 140)).await;
    keep(directory.path(), ALL, NOON_MS).await;
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, left + 20);
    let in_timeline = "SELECT count(DISTINCT position) FROM timeline WHERE entity_kind = 'ip'";
    let with_address = "SELECT count(*) FROM events WHERE client_ip IS NOT NULL";
    assert_eq!(number(&reader, in_timeline).await, number(&reader, with_address).await);
}

#[tokio::test]
async fn the_id_is_known_of_a_name_and_of_a_pseudonym() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let reader = reader(directory.path(), &filler.lake);
    let [with_id, without] = [1, 2].map(|tag| Pseudonym { key: KeyId(1), tag: [tag; 16] });
    // As a gateway logs a key that it knows, and one that it does not.
    let known = ApiCall { presented_credential: Some(with_id), ..mixed_call(1) };
    let unknown = ApiCall { presented_credential: Some(without), credential_id: None, ..mixed_call(2) };
    filler.commit(&[known, unknown]).await;
    for (kind, entity, id) in [
        ("consumer", "user 1".to_owned(), Some("id-1")),
        ("consumer", "id-1".to_owned(), None),
        ("consumer", "nobody".to_owned(), None),
        ("credential", with_id.to_string(), Some("key-1")),
        ("credential", without.to_string(), None),
        ("credential", "key-1".to_owned(), None),
        ("session", "user 1".to_owned(), None),
    ] {
        assert_eq!(reader.id_meant(kind, &entity).await.unwrap().as_deref(), id, "{kind} {entity}");
    }
    assert_eq!(reader.count("credential", "key-1").await.unwrap(), 1);
    assert_eq!(reader.count("credential", &without.to_string()).await.unwrap(), 1);
}

fn places_named(directory: &Path, part: &str) -> Vec<String> {
    let mut names = Vec::new();
    for table in ["events", "timeline"] {
        let Ok(entries) = std::fs::read_dir(directory.join(table).join("_delta_log")) else { continue };
        let entries = entries.map(|entry| format!("{table}/{}", entry.unwrap().file_name().to_string_lossy()));
        names.extend(entries.filter(|name| name.contains(part)));
    }
    names
}
