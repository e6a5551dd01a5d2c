//! Kills (-9) while calls are committed, taken into the timeline, added up and put together: nothing is lost, nothing is
//! doubled.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use outrider_lake::arrow::array::AsArray as _;
use outrider_lake::arrow::datatypes::Int64Type;
use outrider_lake::{Beside, Keeper, LakeReader, QueryLimits};

use crate::calls::{ALL, DAY_MS, Filler, NOON_MS, keep, mixed_call};

const DIRECTORY: &str = "OUTRIDER_LAKE_KILLED";
const KILLS: u64 = 25;
const CALLS_PER_COMMIT: i64 = 40;

/// What is killed: commits and keeps without end. A test only for who calls it with the directory.
#[tokio::test]
async fn killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let mut filler = Filler::open(directory).await;
    let mut keeper = Keeper::open(directory, ALL).await.unwrap();
    for look in 0.. {
        let first = filler.next as i64;
        filler.commit(&(first..first + CALLS_PER_COMMIT).map(mixed_call).collect::<Vec<_>>()).await;
        // Each look is late enough to add up what has come. The day is over, so that what no look has more to do for is put
        // together to one file.
        while keeper.keep(NOON_MS + (40 + look) * DAY_MS).await.unwrap().complete().unwrap().has_more {}
    }
}

async fn numbers(reader: &LakeReader, statement: &str) -> Vec<i64> {
    let mut answer = reader.query(statement, &Beside::default()).await.unwrap();
    let mut numbers = Vec::new();
    while let Some(batch) = answer.next().await {
        let batch = batch.unwrap();
        let cells = batch.columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0));
        numbers.extend(cells);
    }
    numbers
}

#[tokio::test]
async fn whenever_it_is_killed_every_call_is_there_once() {
    let directory = tempfile::tempdir().unwrap();
    Filler::open(directory.path()).await;
    let mut grown = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::killed", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Any moment will do; these are spread by a fixed rule.
        tokio::time::sleep(Duration::from_millis(60 + kill * 7919 % 400)).await;
        child.kill().unwrap();
        child.wait().unwrap();

        let filler = Filler::open(directory.path()).await;
        let last = filler.next as i64 - 1;
        grown += u64::from(last > 0);
        let reader = LakeReader::open(directory.path(), None, QueryLimits::default()).unwrap();
        let counts = "SELECT count(*), count(DISTINCT position), coalesce(max(position), 0) FROM events";
        assert_eq!(numbers(&reader, counts).await, [last, last, last], "after {} kills", kill + 1);
        let added_up = "SELECT coalesce(sum(calls), 0) FROM endpoint_hours";
        assert_eq!(numbers(&reader, added_up).await, [last], "after {} kills", kill + 1);
    }
    assert!(grown > KILLS / 2, "most were killed before they did anything");
    keep(directory.path(), ALL, NOON_MS + 40 * DAY_MS).await;
    let reader = LakeReader::open(directory.path(), None, QueryLimits::default()).unwrap();
    let missing = "SELECT count(*), (SELECT count(*) FROM events WHERE consumer_id IS NOT NULL) AS calls, count(DISTINCT position) \
                   FROM timeline WHERE entity_kind = 'consumer'";
    let counts = numbers(&reader, missing).await;
    assert!(counts[0] > 0 && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}
