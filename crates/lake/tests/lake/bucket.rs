//! The lake in a bucket: all that holds of one in a directory, and what a store brings besides. `make engines` installs the
//! store, and `make test` runs this.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::{ObjectStore, ObjectStoreExt as _};
use outrider_lake::arrow::util::pretty::pretty_format_batches;
use outrider_lake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use outrider_lake::{
    Beside, BucketSettings, Erase, Keeper, Kept, Lake, LakeError, LakeReader, Location, QueryLimits, Range, Retention,
    Rows, parse_search,
};
use tempfile::TempDir;

use crate::calls::{ALL, DAY_MS, Filler, NOON_MS, full_call, keep, mixed_call};
use crate::keeping::{number, positions, reader};
use crate::store::{Store, keys};

/// Which store a killed process writes to.
const ENDPOINT: &str = "OUTRIDER_BUCKET_KILLED";
const KILLS: u64 = 8;
const CALLS_PER_COMMIT: i64 = 40;

fn at(endpoint: &str, directory: &TempDir, installation: &str) -> Location {
    let settings = BucketSettings {
        bucket: "lake".to_owned(),
        prefix: "of/outrider".to_owned(),
        region: Some("eu-central-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        allow_http: true,
        credentials_file: Some(keys(directory.path())),
        ca_file: None,
    };
    Location::bucket(settings, directory.path().join("lake"), installation)
}

fn whole_bucket(store: &Store) -> impl ObjectStore {
    let builder = AmazonS3Builder::new().with_bucket_name("lake").with_endpoint(store.endpoint()).with_allow_http(true);
    builder.with_access_key_id("test").with_secret_access_key("test").build().unwrap()
}

/// The objects of the bucket that hold a text: as it is, or in the rows of a Parquet file.
async fn places_of(store: &Store, text: &str) -> Vec<String> {
    let bucket = whole_bucket(store);
    let objects: Vec<_> = bucket.list(None).try_collect().await.unwrap();
    let mut found = Vec::new();
    for object in objects {
        let bytes = bucket.get(&object.location).await.unwrap().bytes().await.unwrap();
        let mut is_there = bytes.windows(text.len()).any(|window| window == text.as_bytes());
        if object.location.as_ref().ends_with(".parquet") {
            let rows = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
            let rows: Vec<_> = rows.map(Result::unwrap).collect();
            is_there |= pretty_format_batches(&rows).unwrap().to_string().contains(text);
        }
        if is_there {
            found.push(object.location.to_string());
        }
    }
    found
}

/// What a reader says of everything that can be asked.
async fn answers(reader: &LakeReader) -> Vec<String> {
    let mut answers = Vec::new();
    for statement in [
        "SELECT count(*), count(DISTINCT position), sum(position * 7 + status), max(path) FROM events",
        "SELECT event_date, consumer_id, count(*) FROM events GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT entity_kind, count(*), count(DISTINCT entity) FROM timeline GROUP BY 1 ORDER BY 1",
        "SELECT gateway, sum(calls), hll_count(consumers_hll), max(last_time) FROM endpoint_hours GROUP BY 1 ORDER BY 1",
        "SELECT * FROM events WHERE position % 50 = 3 ORDER BY position",
    ] {
        let mut answer = reader.query(statement, &Beside::default()).await.unwrap();
        let mut rows = Vec::new();
        while let Some(batch) = answer.next().await {
            rows.push(batch.unwrap());
        }
        answers.push(pretty_format_batches(&rows).unwrap().to_string());
    }
    for (kind, entity) in [("consumer", "id-3"), ("ip", "192.0.2.1"), ("business", "merchant_id:7")] {
        answers.push(format!("{:?}", positions(reader, kind, entity, 20).await));
    }
    let search = parse_search("status:404 path:/orders/*").unwrap();
    let range = Range { rows: 100, ..Range::default() };
    let found = reader.search(&search, &range).await.unwrap().rows.unwrap();
    answers.push(pretty_format_batches(&[found]).unwrap().to_string());
    answers
}

async fn fill(filler: &mut Filler) {
    for part in 0..12 {
        let mut calls: Vec<_> = (part * 50..part * 50 + 50).map(mixed_call).collect();
        for call in calls.iter_mut().step_by(3) {
            call.event_ms -= DAY_MS;
        }
        calls.push(full_call());
        filler.commit(&calls).await;
    }
}

#[tokio::test]
#[ignore = "needs the store that `make engines` installs"]
async fn it_answers_as_one_in_a_directory_does() {
    let (store, scratch, directory) = (Store::start(false), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let location = at(&store.endpoint(), &scratch, "one");
    let mut in_bucket = Filler::open(&location).await;
    let mut in_directory = Filler::open(directory.path()).await;
    let readers = (reader(&location, &in_bucket.lake), reader(directory.path(), &in_directory.lake));
    assert_eq!(number(&readers.0, "SELECT count(*) FROM events").await, 0);
    fill(&mut in_bucket).await;
    fill(&mut in_directory).await;
    assert_eq!(answers(&readers.0).await, answers(&readers.1).await, "before it is kept");
    let now_ms = NOON_MS + DAY_MS;
    let kept = (keep(&location, ALL, now_ms).await, keep(directory.path(), ALL, now_ms).await);
    let counts = |kept: &Kept| (kept.indexed, kept.merges, kept.days_removed, kept.days_over, kept.has_more);
    assert_eq!(counts(&kept.0), counts(&kept.1));
    assert!(kept.0.indexed > 600 && kept.0.merges > 1, "{kept:?}");
    in_bucket.show(&[mixed_call(9_000)]);
    in_directory.show(&[mixed_call(9_000)]);
    assert_eq!(answers(&readers.0).await, answers(&readers.1).await, "with calls that are not committed");
    let keeper = Keeper::open(&location, ALL).await.unwrap();
    let size = keeper.size().unwrap();
    assert!(size.bytes > 10_000 && size.files >= 4 && size.oldest_day.as_deref() == Some("2026-01-05"), "{size:?}");
    let files = outrider_lake::files(&location).await.unwrap().unwrap();
    assert_eq!(files.position, in_bucket.lake.position());
    assert!(!scratch.path().join("lake/events").exists(), "nothing of it is here");
}

#[tokio::test]
#[ignore = "needs the store that `make engines` installs"]
async fn what_is_too_old_goes() {
    let (store, scratch) = (Store::start(false), tempfile::tempdir().unwrap());
    let location = at(&store.endpoint(), &scratch, "one");
    let mut filler = Filler::open(&location).await;
    fill(&mut filler).await;
    let two_days = Retention { days: Some(2), bytes_max: None };
    let mut keeper = Keeper::open(&location, two_days).await.unwrap();
    for hour in 0..2 {
        let now_ms = NOON_MS + 2 * DAY_MS + hour * DAY_MS / 24;
        assert_eq!(keeper.keep(now_ms).await.unwrap().days_removed, 1);
    }
    let reader = reader(&location, &filler.lake);
    assert_eq!(number(&reader, "SELECT count(*) FROM events WHERE event_date = DATE '2026-11-27'").await, 0);
    assert!(number(&reader, "SELECT count(*) FROM events").await > 300);
}

#[tokio::test]
#[ignore = "needs the store that `make engines` installs"]
async fn nothing_of_somebody_erased_is_left_in_any_object() {
    let (store, scratch) = (Store::start(false), tempfile::tempdir().unwrap());
    let location = at(&store.endpoint(), &scratch, "one");
    let mut filler = Filler::open(&location).await;
    fill(&mut filler).await;
    keep(&location, ALL, NOON_MS + DAY_MS).await;
    let reader = reader(&location, &filler.lake);
    let of_consumer = positions(&reader, "consumer", "id-3", 1000).await.len() as u64;
    let left = number(&reader, "SELECT count(*) FROM events").await - of_consumer as i64;
    assert!(of_consumer > 20 && places_of(&store, "id-3").await.len() > 20);
    let what = Erase {
        kind: "consumer".to_owned(),
        entity: "id-3".to_owned(),
        up_to: filler.lake.position(),
        rows_are_out: false,
    };
    // What a killed process left, in no commit.
    let (bucket, path) =
        (whole_bucket(&store), "of/outrider/events/event_date=2026-11-28/part-00000-left-c000.zstd.parquet");
    let some = places_of(&store, "id-3").await.into_iter().find(|name| name.contains("event_date")).unwrap();
    let bytes = bucket.get(&some.as_str().into()).await.unwrap().bytes().await.unwrap();
    bucket.put(&path.into(), bytes.into()).await.unwrap();
    let erased = Keeper::open(&location, ALL).await.unwrap().erase(&what, &|| false).await.unwrap();
    assert!(erased.is_done && erased.calls == of_consumer, "{erased:?}");
    assert_eq!(places_of(&store, "id-3").await, [""; 0]);
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, left, "who read before");
    filler.commit(&[mixed_call(7_000)]).await;
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, left + 1, "who wrote before");
}

/// What is killed: commits and keeps without end. A test only for who calls it with the store.
#[tokio::test]
async fn killed() {
    let Some(endpoint) = std::env::var(ENDPOINT).ok() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let location = at(&endpoint, &scratch, "one");
    let mut filler = Filler::open(&location).await;
    let mut keeper = Keeper::open(&location, ALL).await.unwrap();
    loop {
        let first = filler.next as i64;
        filler.commit(&(first..first + CALLS_PER_COMMIT).map(mixed_call).collect::<Vec<_>>()).await;
        // The day is over, so that what no look has more to do for is put together to one file.
        while keeper.keep(NOON_MS + 40 * DAY_MS).await.unwrap().complete().unwrap().has_more {}
    }
}

async fn committed(location: &Location) -> u64 {
    outrider_lake::files(location).await.unwrap().map_or(0, |files| files.position)
}

#[tokio::test]
#[ignore = "needs the store that `make engines` installs"]
async fn every_call_is_there_once_where_answers_of_puts_are_lost() {
    const COMMITS: i64 = 24;
    let (mut store, scratch) = (Store::start(false), tempfile::tempdir().unwrap());
    let location = at(&store.endpoint(), &scratch, "one");
    let mut lake = Lake::open(&location).await.unwrap();
    let mut keeper = Keeper::open(&location, ALL).await.unwrap();
    store.go("lossy");
    let (mut failed, mut merges) = (0, 0);
    for commit in 0..COMMITS {
        let numbers = commit * CALLS_PER_COMMIT + 1..=(commit + 1) * CALLS_PER_COMMIT;
        let last = numbers.end().cast_unsigned();
        let mut rows = Rows::default();
        numbers.for_each(|number| rows.push(&mixed_call(number), None, number.cast_unsigned(), 0));
        let rows = [rows.finish().unwrap()];
        while lake.commit(&rows, last).await.is_err() {
            failed += 1;
            assert!(failed < 200);
        }
        match keeper.keep(NOON_MS + 40 * DAY_MS).await.and_then(Kept::complete) {
            Ok(kept) => merges += kept.merges,
            Err(_) => {
                failed += 1;
                // What failed would wait for a while; another one begins at once.
                keeper = loop {
                    match Keeper::open(&location, ALL).await {
                        Ok(keeper) => break keeper,
                        Err(_) => failed += 1,
                    }
                    assert!(failed < 200);
                };
            }
        }
    }
    assert!(merges > 0, "{failed} failed");
    store.go("well");
    keep(&location, ALL, NOON_MS + 40 * DAY_MS).await;
    let reader = LakeReader::open(&location, None, QueryLimits::default()).unwrap();
    let calls = COMMITS * CALLS_PER_COMMIT;
    for counts in ["count(*)", "count(DISTINCT position)"] {
        assert_eq!(number(&reader, &format!("SELECT {counts} FROM events")).await, calls);
        let of_consumers = number(&reader, "SELECT count(*) FROM events WHERE consumer_id IS NOT NULL").await;
        let of_timeline = format!("SELECT {counts} FROM timeline WHERE entity_kind = 'consumer'");
        assert_eq!(number(&reader, &of_timeline).await, of_consumers);
    }
}

#[tokio::test]
#[ignore = "needs the store that `make engines` installs"]
async fn whenever_it_is_killed_every_call_is_there_once() {
    let (store, scratch) = (Store::start(false), tempfile::tempdir().unwrap());
    let location = at(&store.endpoint(), &scratch, "one");
    let (mut grown, mut before) = (0, 0);
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "bucket::killed", "--nocapture"])
            .env(ENDPOINT, store.endpoint())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Any moment behind its first commit will do; these are spread by a fixed rule.
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) && committed(&location).await <= before as u64 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(kill * 7919 % 1700)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let filler = Filler::open(&location).await;
        let last = filler.next as i64 - 1;
        (grown, before) = (grown + u64::from(last > before), last);
        let reader = reader(&location, &filler.lake);
        for counts in ["count(*)", "count(DISTINCT position)", "coalesce(max(position), 0)"] {
            let found = number(&reader, &format!("SELECT {counts} FROM events")).await;
            assert_eq!(found, last, "{counts} after {} kills", kill + 1);
        }
    }
    assert!(grown > KILLS / 2, "most were killed before they did anything");
    keep(&location, ALL, NOON_MS + 40 * DAY_MS).await;
    let reader = LakeReader::open(&location, None, QueryLimits::default()).unwrap();
    let calls = number(&reader, "SELECT count(*) FROM events WHERE consumer_id IS NOT NULL").await;
    for counts in ["count(*)", "count(DISTINCT position)"] {
        let of_timeline = format!("SELECT {counts} FROM timeline WHERE entity_kind = 'consumer'");
        assert_eq!(number(&reader, &of_timeline).await, calls);
    }
}

#[tokio::test]
#[ignore = "needs the store that `make engines` installs"]
async fn a_store_that_does_not_heed_conditional_puts_is_refused() {
    let (store, scratch) = (Store::start(true), tempfile::tempdir().unwrap());
    let error = Lake::open(at(&store.endpoint(), &scratch, "one")).await.map(drop).unwrap_err();
    assert!(matches!(error, LakeError::NotConditional { .. }), "{error}");
    let text = error.to_string();
    let said = ["s3://lake/of/outrider cannot hold a lake", "outrider.json", "If-None-Match", "leave `lake.url` out"];
    assert!(said.into_iter().all(|part| text.contains(part)), "{text}");
}

#[tokio::test]
#[ignore = "needs the store that `make engines` installs"]
async fn a_store_that_goes_away_is_written_again_when_it_is_back() {
    let (mut store, scratch) = (Store::start(false), tempfile::tempdir().unwrap());
    let location = at(&store.endpoint(), &scratch, "one");
    let mut filler = Filler::open(&location).await;
    let mut keeper = Keeper::open(&location, ALL).await.unwrap();
    let reader = reader(&location, &filler.lake);
    filler.commit(&(1..=30).map(mixed_call).collect::<Vec<_>>()).await;
    store.go("away");
    let mut rows = Rows::default();
    (31..=40).for_each(|number| rows.push(&mixed_call(number), None, number.cast_unsigned(), 0));
    let rows = [rows.finish().unwrap()];
    let began = Instant::now();
    let error = filler.lake.commit(&rows, 40).await.unwrap_err();
    assert!(error.is_away() && began.elapsed() < Duration::from_secs(30), "{error}");
    let text = error.to_string();
    assert!(text.contains("s3://lake/of/outrider") && text.contains("`lake.endpoint`"), "{text}");
    assert!(text.contains("Connection refused") && std::error::Error::source(&error).is_none(), "{text}");
    assert!(!text.contains("hidden-secret"), "{text}");
    assert!(keeper.keep(NOON_MS).await.unwrap_err().is_away());
    assert!(reader.query("SELECT 1 FROM events", &Beside::default()).await.is_err());
    store.go("back");
    filler.lake.commit(&rows, 40).await.unwrap();
    filler.lake.commit(&rows, 40).await.unwrap();
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 40);
    assert_eq!(keeper.keep(NOON_MS).await.unwrap().indexed, 40);
}

#[tokio::test]
#[ignore = "needs the store that `make engines` installs"]
async fn of_two_that_write_one_lake_by_mistake_one_stops_and_says_so() {
    let (store, scratch) = (Store::start(false), tempfile::tempdir().unwrap());
    let mut filler = Filler::open(at(&store.endpoint(), &scratch, "one")).await;
    filler.commit(&[mixed_call(1)]).await;
    let other = at(&store.endpoint(), &scratch, "another");
    let error = Lake::open(&other).await.map(drop).unwrap_err();
    assert!(matches!(&error, LakeError::WrittenByOther { installation, .. } if installation == "one"), "{error}");
    assert!(error.to_string().contains("delete s3://lake/of/outrider/outrider.json"), "{error}");
    // Reading is everybody's.
    let reader = LakeReader::open(&other, None, QueryLimits::default()).unwrap();
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 1);
    filler.commit(&[mixed_call(2)]).await;

    // A copy of the data directory that runs as well.
    let again = at(&store.endpoint(), &scratch, "one");
    let mut copy = Filler::open(&again).await;
    let mut rows = Rows::default();
    rows.push(&mixed_call(3), None, 3, 0);
    let error = filler.lake.commit(&[rows.finish().unwrap()], 3).await.unwrap_err();
    assert!(matches!(error, LakeError::TakenOver { .. }), "{error}");
    copy.commit(&[mixed_call(3)]).await;
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 3);

    // A lake whose outrider is gone for good goes on with another one.
    whole_bucket(&store).delete(&"of/outrider/outrider.json".into()).await.unwrap();
    let error = copy.lake.commit(&[], 4).await.unwrap_err();
    assert!(error.to_string().contains("outrider.json is gone"), "{error}");
    let mut heir = Filler::open(&other).await;
    assert_eq!(heir.next, 4);
    heir.commit(&[mixed_call(4)]).await;
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 4);
}
