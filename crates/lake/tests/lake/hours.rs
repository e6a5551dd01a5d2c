//! What is added up by the hour: the same as every call says, wherever the calls are, and however often parts became one.

use std::path::Path;

use deltalake::arrow::array::AsArray as _;
use deltalake::arrow::datatypes::{Float64Type, Int64Type};
use outrider_lake::{ACCESS, Beside, Erase, Keeper, LakeReader, QueryError, Retention, Rows, hours_schema};
use outrider_model::{ApiCall, EndpointId, KeyId, Named, Pseudonym};

use crate::calls::{ALL, DAY_MS, Filler, NOON_MS, keep, mixed_call};
use crate::keeping::{number, older_table, reader};

const HOUR_MS: i64 = 3_600_000;

/// A call of one of five hours of two days and of three endpoints, with a latency and a size, at times refused or failed.
fn call(number: i64) -> ApiCall<'static> {
    let mut call = mixed_call(number);
    call.event_ms = NOON_MS - (number % 5) * 5 * HOUR_MS + number;
    call.latency.total_ms = i32::try_from(number * 37 % 900).unwrap() - 1;
    call.request_bytes = number.unsigned_abs() % 700;
    call.response_bytes = number.unsigned_abs() * 11 % 5000;
    call.status = [200, 200, 204, 404, 500, 503, 403][usize::try_from(number % 7).unwrap()];
    call.anonymous_consumer = number % 11 == 0;
    call.presented_credential = (number % 2 == 0).then_some(Pseudonym { key: KeyId(1), tag: [1; 16] });
    call.own_refusal = (number % 21 == 6).then(|| "inst".into());
    call.service = (number % 4 != 0).then(|| Named { id: "s".into(), name: format!("service {}", number % 2).into() });
    call
}

fn endpoint(number: i64) -> Option<EndpointId> {
    (number % 3 != 0).then(|| EndpointId((number % 3).unsigned_abs()))
}

/// Rows of the calls of these numbers, which are their positions too.
fn rows(numbers: std::ops::Range<i64>) -> deltalake::arrow::array::RecordBatch {
    let mut rows = Rows::default();
    for number in numbers {
        rows.push(&call(number), endpoint(number), number.unsigned_abs(), 0);
    }
    rows.finish().unwrap()
}

const KEY: &str = "event_date, hour, gateway, workspace, service_name, endpoint_id";

/// Each hour and endpoint in a line: the counts, sums and times.
const OF_HOURS: &str = "sum(calls) AS calls, sum(own_refusals) AS refused, sum(client_errors) AS client, sum(server_errors) AS server, \
     sum(request_bytes) AS requests, sum(response_bytes) AS responses, CAST(min(first_time) AS BIGINT) AS first, \
     CAST(max(last_time) AS BIGINT) AS last, hll_count(consumers_hll) AS consumers, hll_count(addresses_hll) AS addresses \
     FROM (SELECT *, event_hour AS hour FROM endpoint_hours)";
const OF_CALLS: &str = "count(*) AS calls, count(own_refusal) AS refused, \
     count(*) FILTER (WHERE status BETWEEN 400 AND 499 AND own_refusal IS NULL) AS client, \
     count(*) FILTER (WHERE status >= 500 AND own_refusal IS NULL) AS server, \
     sum(request_bytes) AS requests, sum(response_bytes) AS responses, CAST(min(event_time) AS BIGINT) AS first, \
     CAST(max(event_time) AS BIGINT) AS last, count(DISTINCT consumer_id) AS consumers, count(DISTINCT client_ip) AS addresses \
     FROM (SELECT *, date_trunc('hour', event_time) AS hour FROM events)";

/// By how it was known who called.
fn access_of_calls() -> String {
    format!(
        "SELECT {ACCESS} AS how, count(*) AS calls, count(*) FILTER (WHERE status < 400) AS served FROM events \
         WHERE own_refusal IS NULL GROUP BY 1 ORDER BY 1"
    )
}

const ACCESS_OF_HOURS: &str = "SELECT one['how'] AS how, sum(one['calls']) AS calls, sum(one['served']) AS served \
     FROM (SELECT unnest(access) AS one FROM endpoint_hours) GROUP BY 1 ORDER BY 1";

async fn table_of(reader: &LakeReader, of: &str) -> String {
    printed(reader, &format!("SELECT {KEY}, {of} GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6")).await
}

async fn printed(reader: &LakeReader, statement: &str) -> String {
    let mut answer = reader.query(statement, &Beside::default()).await.unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = answer.next().await {
        batches.push(batch.unwrap());
    }
    deltalake::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string()
}

/// What is added up is what the calls say, also of the distributions.
async fn assert_adds_up(reader: &LakeReader, calls: i64, when: &str) {
    assert_eq!(number(reader, "SELECT sum(calls) FROM endpoint_hours").await, calls, "{when}");
    assert_eq!(table_of(reader, OF_HOURS).await, table_of(reader, OF_CALLS).await, "{when}");
    let access = printed(reader, ACCESS_OF_HOURS).await;
    assert_eq!(access, printed(reader, &access_of_calls()).await, "{when}");
    assert!(["anonymous", "credential", "nothing", "presented"].iter().all(|how| access.contains(how)), "{access}");
    for (histogram, column, is_counted) in [
        ("latency_ms_histogram", "latency_total_ms", "latency_total_ms >= 0"),
        ("request_bytes_histogram", "request_bytes", "true"),
        ("response_bytes_histogram", "response_bytes", "true"),
    ] {
        let of_calls = format!(
            "SELECT CAST({column} AS DOUBLE) FROM events WHERE own_refusal IS NULL AND {is_counted} ORDER BY 1"
        );
        let values = reals(reader, &of_calls).await;
        for share in [0.0, 0.5, 0.95, 1.0] {
            let statement = format!("SELECT histogram_quantile({histogram}, {share}) FROM endpoint_hours");
            let found = reals(reader, &statement).await[0];
            let expected = values[((values.len() - 1) as f64 * share).round() as usize];
            assert!(
                (found - expected).abs() <= expected / 16.0 + 1.0,
                "{histogram} {share} {when}: {found} {expected}"
            );
        }
    }
}

async fn reals(reader: &LakeReader, statement: &str) -> Vec<f64> {
    let mut answer = reader.query(statement, &Beside::default()).await.unwrap();
    let mut values = Vec::new();
    while let Some(batch) = answer.next().await {
        values.extend_from_slice(batch.unwrap().column(0).as_primitive::<Float64Type>().values());
    }
    values
}

#[tokio::test]
async fn hours_are_what_their_calls_add_up_to_wherever_those_are() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let reader = reader(directory.path(), &filler.lake);
    filler.lake.commit(&[rows(1..200)], 199).await.unwrap();
    assert_adds_up(&reader, 199, "before anything is added up").await;
    keep(directory.path(), ALL, NOON_MS).await;
    assert_adds_up(&reader, 199, "added up").await;
    filler.lake.commit(&[rows(200..300)], 299).await.unwrap();
    filler.lake.show(rows(300..330), 329);
    assert_adds_up(&reader, 329, "the rest is committed and shown").await;
}

#[tokio::test]
async fn hours_of_an_earlier_version_are_asked_before_and_after_they_have_every_column() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    older_table(&directory.path().join("endpoint_hours"), &hours_schema(), &["access"]).await;
    let reader = reader(directory.path(), &filler.lake);
    filler.lake.commit(&[rows(1..200)], 199).await.unwrap();
    assert_adds_up(&reader, 199, "as it was").await;
    keep(directory.path(), ALL, NOON_MS).await;
    assert_adds_up(&reader, 199, "with every column").await;
}

#[tokio::test]
async fn parts_become_one_and_stay_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let reader = reader(directory.path(), &filler.lake);
    let mut last = 0;
    for part in 1..=20 {
        let next = part * 50;
        filler.lake.commit(&[rows(last + 1..next + 1)], next.unsigned_abs()).await.unwrap();
        last = next;
        // One that has just begun does not wait for more calls.
        keep(directory.path(), ALL, NOON_MS).await;
    }
    assert_adds_up(&reader, 1000, "in parts").await;
    let parts = number(&reader, "SELECT count(*) FROM endpoint_hours").await;
    keep(directory.path(), ALL, NOON_MS + 2 * DAY_MS).await;
    assert_adds_up(&reader, 1000, "one row each").await;
    let keys = "SELECT count(*) FROM (SELECT DISTINCT event_hour, gateway, workspace, service_name, endpoint_id FROM endpoint_hours)";
    let whole = number(&reader, "SELECT count(*) FROM endpoint_hours").await;
    assert_eq!(whole, number(&reader, keys).await);
    assert!(whole < parts, "{whole} of {parts}");
}

/// How many data files of the table there are, also of those that were put together.
fn files_written(directory: &Path) -> usize {
    let folders = std::fs::read_dir(directory.join("endpoint_hours")).unwrap().map(|folder| folder.unwrap());
    // The log of the table has files of this kind too.
    let days = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with("event_date="));
    let files = days.flat_map(|day| std::fs::read_dir(day.path()).unwrap());
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "parquet")).count()
}

#[tokio::test]
async fn few_calls_are_added_up_every_ten_minutes() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let reader = reader(directory.path(), &filler.lake);
    let mut keeper = Keeper::open(directory.path(), ALL).await.unwrap();
    // No day is over yet.
    let began_ms = NOON_MS - 2 * DAY_MS;
    let (mut next, mut written) = (1, 0);
    for (after_ms, is_added_up) in
        [(0, true), (1, false), (599_999, false), (600_000, true), (600_001, false), (-DAY_MS, true), (1_300_000, true)]
    {
        filler.lake.commit(&[rows(next..next + 5)], (next + 4).unsigned_abs()).await.unwrap();
        next += 5;
        keeper.keep(began_ms + after_ms).await.unwrap();
        let files = files_written(directory.path());
        assert_eq!(files > written, is_added_up, "after {after_ms} ms");
        written = files;
        assert_eq!(number(&reader, "SELECT sum(calls) FROM endpoint_hours").await, next - 1, "after {after_ms} ms");
    }
}

#[tokio::test]
async fn many_distinct_values_are_counted_within_the_stated_error() {
    const CONSUMERS: i64 = 20_000;
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    for (at, part) in (0..4).zip(1_u64..) {
        let mut rows = Rows::default();
        for number in at * CONSUMERS / 4..(at + 1) * CONSUMERS / 4 {
            let mut call = mixed_call(1);
            call.consumer.as_mut().unwrap().id = format!("consumer {number}").into();
            rows.push(&call, endpoint(1), part, u32::try_from(number).unwrap());
        }
        filler.lake.commit(&[rows.finish().unwrap()], part).await.unwrap();
        keep(directory.path(), ALL, NOON_MS).await;
    }
    let reader = reader(directory.path(), &filler.lake);
    let found = number(&reader, "SELECT hll_count(consumers_hll) FROM endpoint_hours").await;
    // Three times the standard error of 2.3 %.
    assert!((found - CONSUMERS).abs() < CONSUMERS * 7 / 100, "{found}");
    assert_eq!(number(&reader, "SELECT hll_count(consumers_hll) FROM endpoint_hours WHERE calls < 0").await, 0);
}

#[tokio::test]
async fn wrong_arguments_are_told_of() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let reader = reader(directory.path(), &filler.lake);
    filler.lake.commit(&[rows(1..2)], 1).await.unwrap();
    for (statement, expected) in [
        ("SELECT hll_count(calls) FROM endpoint_hours", "hll_count wants a sketch"),
        ("SELECT histogram_quantile(calls, 0.5) FROM endpoint_hours", "histogram_quantile wants a histogram"),
        ("SELECT histogram_quantile(latency_ms_histogram, 95) FROM endpoint_hours", "it goes from 0 to 1"),
        ("SELECT histogram_quantile(latency_ms_histogram, calls) FROM endpoint_hours", "has to be a constant"),
        ("SELECT hll_count(arrow_cast('no sketch', 'Binary')) FROM endpoint_hours", ""),
    ] {
        let answer = reader.query(statement, &Beside::default()).await;
        let error = match answer {
            Err(error) => error,
            Ok(mut answer) => answer.next().await.unwrap().unwrap_err(),
        };
        assert!(
            matches!(error, QueryError::Statement(_)) && error.to_string().contains(expected),
            "{statement}: {error}"
        );
    }
    let statement =
        "SELECT histogram_quantile(latency_ms_histogram, 0.5) IS NULL, sum(calls) FROM endpoint_hours WHERE calls < 0";
    let mut answer = reader.query(statement, &Beside::default()).await.unwrap();
    let batch = answer.next().await.unwrap().unwrap();
    assert!(batch.column(0).as_boolean().value(0), "of no call there is no quantile");
    assert!(batch.column(1).as_primitive::<Int64Type>().iter().all(|sum| sum.is_none()));
}

#[tokio::test]
async fn days_that_went_before_they_were_added_up_are_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let reader = reader(directory.path(), &filler.lake);
    let mut keeper = Keeper::open(directory.path(), Retention { days: Some(0), bytes_max: None }).await.unwrap();
    let mut next = 1;
    for look in 0..3 {
        filler.lake.commit(&[rows(next..next + 100)], (next + 99).unsigned_abs()).await.unwrap();
        next += 100;
        // The first adds up what there is, the second does not yet, the third adds up what is left of it.
        keeper.keep(NOON_MS + look * 400_000).await.unwrap();
        let today = number(&reader, "SELECT count(*) FROM events").await;
        assert!(0 < today && today < next - 1, "{today}");
        assert_adds_up(&reader, today, "only today's are left").await;
    }
}

#[tokio::test]
async fn who_is_erased_is_not_counted_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let reader = reader(directory.path(), &filler.lake);
    let mut keeper = Keeper::open(directory.path(), ALL).await.unwrap();
    filler.lake.commit(&[rows(1..300)], 299).await.unwrap();
    keeper.keep(NOON_MS).await.unwrap();
    // Some are not added up when they are erased.
    filler.lake.commit(&[rows(300..400)], 399).await.unwrap();
    keeper.keep(NOON_MS + 1).await.unwrap();
    let erase = Erase { kind: "consumer".into(), entity: "id-3".into(), up_to: 350, rows_are_out: false };
    let stopped = keeper.erase(&erase, &|| true).await.unwrap();
    assert!(!stopped.is_done);
    let erased = keeper.erase(&erase, &|| false).await.unwrap();
    assert!(erased.is_done && erased.calls > 0, "{erased:?}");
    let left = 399 - i64::try_from(erased.calls).unwrap();
    assert_adds_up(&reader, left, "without the erased").await;
    let before = files_written(directory.path());
    assert_eq!(before, 2, "the former files of both days are gone");
    keeper.keep(NOON_MS + 700_000).await.unwrap();
    assert_adds_up(&reader, left, "with the rest added up").await;
    filler.lake.commit(&[rows(400..420)], 419).await.unwrap();
    assert_adds_up(&reader, left + 20, "and what came later").await;
}
