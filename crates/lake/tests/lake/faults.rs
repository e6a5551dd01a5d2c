//! What no lake is made for, and what becomes of it.

use outrider_lake::arrow::array::AsArray as _;
use outrider_lake::arrow::datatypes::Int64Type;
use outrider_lake::{Beside, Keeper, LakeReader, QueryLimits, Range, Retention};
use outrider_model::{ApiCall, Consumer, Text};

use crate::calls::{ALL, DAY_MS, Filler, NOON_MS, keep, mixed_call, plain_call};

async fn number(reader: &LakeReader, statement: &str) -> i64 {
    let mut answer = reader.query(statement, &Beside::default()).await.unwrap();
    answer.next().await.unwrap().unwrap().column(0).as_primitive::<Int64Type>().value(0)
}

/// As when somebody calls with a new name each time.
#[tokio::test]
async fn a_million_distinct_values_are_kept_counted_and_found() {
    const CALLS: i64 = 1_000_000;
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    for part in 0..20 {
        let call = |number: i64| {
            let mut call: ApiCall<'static> = plain_call("/");
            let id: Text<'static> = format!("{:016x}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).into();
            call.path = format!("/{id}").into();
            call.consumer = Some(Consumer { id, username: Text::EMPTY, custom_id: Text::EMPTY, tags: vec![] });
            call.event_ms = NOON_MS + number;
            call
        };
        filler.commit(&(part * CALLS / 20..(part + 1) * CALLS / 20).map(call).collect::<Vec<_>>()).await;
    }
    assert_eq!(keep(directory.path(), ALL, NOON_MS).await.indexed, CALLS as u64);
    let reader = LakeReader::open(directory.path(), None, QueryLimits::default()).unwrap();
    let groups = "SELECT count(*) FROM (SELECT consumer_id, path FROM events GROUP BY 1, 2)";
    assert_eq!(number(&reader, groups).await, CALLS);
    assert_eq!(number(&reader, "SELECT count(*) FROM timeline WHERE entity_kind = 'consumer'").await, CALLS);
    let one = format!("{:016x}", 777_777u64.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let page = reader.page("consumer", &one, &Range { rows: 10, ..Range::default() }).await.unwrap();
    assert_eq!(page.rows.map(|rows| rows.num_rows()), Some(1));
}

/// As when a gateway's clock is put forward by a year and back, or was never set.
#[tokio::test]
async fn calls_of_any_time_are_kept_in_their_days_and_shown_in_their_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let jumps = [0, 365 * DAY_MS, -NOON_MS, -40 * DAY_MS, 0, -2 * DAY_MS, 365 * DAY_MS];
    for (at, jump) in (0i64..).zip(jumps) {
        let calls = (at * 10..at * 10 + 10).map(|number| {
            let mut call = mixed_call(number);
            call.event_ms += jump;
            call
        });
        filler.commit(&calls.collect::<Vec<_>>()).await;
    }
    let paths_of = async |range: Range| {
        let reader = LakeReader::open(directory.path(), None, QueryLimits::default()).unwrap();
        let page = reader.page("ip", "192.0.2.1", &range).await.unwrap();
        let rows = page.rows.unwrap();
        let paths = rows.column_by_name("path").unwrap().as_string::<i32>().iter();
        paths.map(|path| path.unwrap().trim_start_matches("/orders/").parse::<i64>().unwrap()).collect::<Vec<_>>()
    };
    let newest_first = [66, 61, 16, 11, 46, 41, 6, 1, 56, 51, 36, 31, 26, 21];
    let all = Range { rows: 100, ..Range::default() };
    assert_eq!(paths_of(all.clone()).await, newest_first);
    keep(directory.path(), ALL, NOON_MS).await;
    assert_eq!(paths_of(all.clone()).await, newest_first, "the same from the timeline");
    // What is too old goes; what is dated ahead is no day that is over.
    let mut keeper = Keeper::open(directory.path(), Retention { days: Some(30), bytes_max: None }).await.unwrap();
    for hour in 0..2 {
        assert_eq!(keeper.keep(NOON_MS + hour * DAY_MS / 24).await.unwrap().days_removed, 1);
    }
    assert_eq!(paths_of(all).await, newest_first[..10]);
    let today = Range { rows: 100, since_ms: Some(NOON_MS), until_ms: Some(NOON_MS + DAY_MS), ..Range::default() };
    assert_eq!(paths_of(today).await, [46, 41, 6, 1]);
}
