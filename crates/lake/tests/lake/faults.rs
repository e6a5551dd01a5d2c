//! What no lake is made for, and what becomes of it.

use outrider_lake::arrow::array::AsArray as _;
use outrider_lake::arrow::datatypes::Int64Type;
use outrider_lake::{
    Beside, Erase, Keeper, Lake, LakeError, LakeReader, QueryLimits, Range, Repaired, Retention, Tail, check,
};
use outrider_model::{ApiCall, Consumer, Text};

use crate::calls::{ALL, DAY_MS, Filler, NOON_MS, damage, keep, mixed_call, plain_call};

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

/// One file of each table, of two days.
#[tokio::test]
async fn damaged_files_are_found_and_the_lake_goes_on_without_them() {
    let directory = tempfile::tempdir().unwrap();
    let lake = directory.path();
    let mut filler = Filler::open(lake).await;
    let of_day = |day: i64| {
        let call = move |number| ApiCall { event_ms: NOON_MS - day * DAY_MS, ..mixed_call(day * 10 + number) };
        (1..=10).map(call).collect::<Vec<_>>()
    };
    for day in 0..3 {
        filler.commit(&of_day(day)).await;
    }
    keep(lake, ALL, NOON_MS).await;
    let mut told = Vec::new();
    let checked = check(lake, &mut |progress| told.push(progress)).await.unwrap();
    assert_eq!((checked.files, checked.damaged.len()), (9, 0));
    assert!(told.is_sorted_by_key(|progress| progress.bytes), "{told:?}");
    assert_eq!(told.last().map(|progress| progress.bytes), told.first().map(|progress| progress.of_bytes));

    let (of_events, mut sound) = damage(lake, "events", "2026-11-28");
    damage(lake, "timeline", "2026-11-27");
    let (of_hours, _) = damage(lake, "endpoint_hours", "2026-11-27");
    std::fs::remove_file(&of_hours).unwrap();
    let checked = check(lake, &mut |_| {}).await.unwrap();
    let found: Vec<_> = checked.damaged.iter().map(|file| (file.table, file.day.as_str())).collect();
    assert_eq!(found, [("events", "2026-11-28"), ("timeline", "2026-11-27"), ("endpoint_hours", "2026-11-27")]);
    assert_eq!((checked.damaged[0].rows, checked.damaged[2].why.as_str()), (Some(10), "it is not there"));

    // What was put back meanwhile is no loss.
    let damaged = std::mem::replace(&mut sound, std::fs::read(&of_events).unwrap());
    std::fs::write(&of_events, damaged).unwrap();
    assert_eq!(Keeper::repair(lake, &checked.damaged[..1]).await.unwrap(), Repaired::default());
    std::fs::write(&of_events, sound).unwrap();
    let repaired = Keeper::repair(lake, &checked.damaged).await.unwrap();
    assert_eq!(repaired, Repaired { calls_lost: 10, files_set_aside: 1, days: 2 });
    let aside = lake.join("events/_damaged/event_date=2026-11-28").join(of_events.file_name().unwrap());
    assert!(aside.exists() && !of_events.exists());
    assert_eq!(check(lake, &mut |_| {}).await.unwrap().damaged, []);
    let reader = LakeReader::open(lake, None, QueryLimits::default()).unwrap();
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 20);
    let expected = (11..=30).filter(|number| number % 5 != 0).count() as i64;
    let in_timeline = "SELECT count(*) FROM timeline WHERE entity_kind = 'ip'";
    assert_eq!(number(&reader, in_timeline).await, expected, "of the day whose calls are gone as well");
    assert_eq!(number(&reader, "SELECT sum(calls) FROM endpoint_hours").await, 20);
    let page = reader.page("ip", "192.0.2.1", &Range { rows: 10, ..Range::default() }).await.unwrap();
    assert_eq!(page.rows.map(|rows| rows.num_rows()), Some(4));

    // The writer goes on, and so does who keeps the lake.
    filler.commit(&[mixed_call(31)]).await;
    keep(lake, ALL, NOON_MS + DAY_MS).await;
    assert_eq!(number(&reader, in_timeline).await, expected + 1);
    assert!(aside.exists());
    let erase = Erase { kind: "ip".into(), entity: "192.0.2.1".into(), up_to: filler.next - 1, rows_are_out: false };
    let mut keeper = Keeper::open(lake, ALL).await.unwrap();
    assert!(keeper.erase(&erase, &|| false).await.unwrap().is_done);
    assert!(!aside.exists(), "nobody can say whose calls it holds");
    assert_eq!(number(&reader, "SELECT count(*) FROM timeline WHERE entity = '192.0.2.1'").await, 0);

    // As if who repaired had been killed in between, and with the only file of the oldest day.
    damage(lake, "timeline", "2026-11-27");
    std::fs::write(lake.join("days-to-repair"), "2026-11-27\n").unwrap();
    keep(lake, ALL, NOON_MS + DAY_MS).await;
    let (of_events, _) = damage(lake, "events", "2026-11-26");
    let damaged = check(lake, &mut |_| {}).await.unwrap().damaged;
    assert_eq!((damaged.len(), damaged[0].day.as_str()), (1, "2026-11-26"), "{damaged:?}");
    Keeper::repair(lake, &damaged).await.unwrap();
    let aside = lake.join("events/_damaged/event_date=2026-11-26").join(of_events.file_name().unwrap());
    assert!(aside.exists());
    keep(lake, ALL, NOON_MS + DAY_MS).await;
    assert!(!aside.exists(), "the lake has nothing as old any more");
}

#[tokio::test]
async fn a_lake_that_two_data_directories_link_to_has_one_writer() {
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let link = other.path().join("lake");
    std::os::unix::fs::symlink(directory.path(), &link).unwrap();
    let first = Lake::open_alone(directory.path(), Tail::default()).await.unwrap();
    let refused = Lake::open_alone(&link, Tail::default()).await.err().unwrap();
    assert!(matches!(refused, LakeError::InUse { .. }) && refused.is_lasting(), "{refused}");
    let refused = Keeper::repair(&link, &[]).await.unwrap_err();
    assert!(matches!(refused, LakeError::InUse { .. }), "{refused}");
    drop(first);
    Lake::open_alone(&link, Tail::default()).await.unwrap();
}
