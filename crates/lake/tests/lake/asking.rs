//! Statements: what they may do, and the limits that end them.

use std::time::Duration;

use outrider_lake::arrow::array::AsArray as _;
use outrider_lake::{Answer, Beside, LakeError, LakeReader, QueryError, QueryLimits, Range, Span, parse_search};

use crate::calls::{ALL, DAY_MS, Filler, NOON_MS, damage, full_call, keep, mixed_call, plain_call};

/// A lake of a hundred calls.
async fn filled(limits: QueryLimits) -> (tempfile::TempDir, Filler, LakeReader) {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    filler.commit(&(0..100).map(mixed_call).collect::<Vec<_>>()).await;
    let reader = LakeReader::open(directory.path(), Some(filler.lake.tail()), limits).unwrap();
    (directory, filler, reader)
}

/// All rows of an answer, or why there are none.
async fn rows(reader: &LakeReader, statement: &str) -> Result<usize, QueryError> {
    let mut answer = reader.query(statement, &Beside::default()).await?;
    count(&mut answer).await
}

async fn count(answer: &mut Answer) -> Result<usize, QueryError> {
    let mut rows = 0;
    while let Some(batch) = answer.next().await {
        rows += batch?.num_rows();
    }
    Ok(rows)
}

#[tokio::test]
async fn statements_that_read_are_answered() {
    let (_directory, _filler, reader) = filled(QueryLimits::default()).await;
    for (statement, expected) in [
        ("SELECT path FROM events WHERE status >= 400", 10),
        ("SELECT consumer_name, count(*) FROM events GROUP BY 1", 8),
        ("WITH busy AS (SELECT client_ip FROM events) SELECT DISTINCT client_ip FROM busy", 5),
        ("SELECT headers[1]['name'] FROM events LIMIT 3", 3),
        ("SELECT 1", 1),
        ("EXPLAIN SELECT 1", 2),
    ] {
        assert_eq!(rows(&reader, statement).await.unwrap(), expected, "{statement}");
    }
    assert!(rows(&reader, "DESCRIBE events").await.unwrap() > 30);
    assert!(rows(&reader, "SHOW TABLES").await.unwrap() >= 1);
}

#[tokio::test]
async fn calls_are_asked_for_by_what_they_show_of_their_exposure() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    filler.commit(&[full_call(), plain_call("/a")]).await;
    // Of these nothing is in a file yet.
    filler.show(&[plain_call("/b"), full_call()]);
    let reader = LakeReader::open(directory.path(), Some(filler.lake.tail()), QueryLimits::default()).unwrap();
    for (condition, expected) in [
        ("has_class(data_classes, 'email')", 2),
        ("NOT has_class(data_classes, 'email')", 2),
        ("has_class(data_classes, 'phone')", 0),
        ("has_field(headers, 'authorization')", 2),
        ("has_field(query, 'flag') AND has_field(query, 'token') AND has_field(fields, 'account')", 2),
        ("NOT has_field(query, 'page')", 4),
        ("array_has(signs, 'plain_http')", 2),
        ("array_has(signs, 'https')", 0),
        ("signs IS NULL AND data_classes IS NULL", 2),
        ("jwt_lifetime_s > 86400", 2),
        (
            "data_classes[2]['class'] = 'api_key' AND data_classes[2]['location'] = 'query' AND data_classes[2]['at'] = 2",
            2,
        ),
    ] {
        let statement = format!("SELECT path FROM events WHERE {condition}");
        assert_eq!(rows(&reader, &statement).await.unwrap(), expected, "{condition}");
    }
    for wrong in [
        "has_class(signs, 'email')",
        "has_class(data_classes, path)",
        "has_class(path, 'email')",
        "has_field(data_classes, 'email')",
        "has_field(headers, path)",
    ] {
        rows(&reader, &format!("SELECT path FROM events WHERE {wrong}")).await.unwrap_err();
    }
}

/// Of calls in two hundred seconds, half are in the timeline and half are not yet.
#[tokio::test]
async fn an_entitys_calls_are_counted_in_steps_wherever_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    filler.commit(&(0..100).map(mixed_call).collect::<Vec<_>>()).await;
    keep(directory.path(), ALL, NOON_MS).await;
    filler.show(&(100..200).map(mixed_call).collect::<Vec<_>>());
    let reader = LakeReader::open(directory.path(), Some(filler.lake.tail()), QueryLimits::default()).unwrap();
    let second = |at: i64| NOON_MS + at * 1000;
    let is_of = |at: i64| at % 7 == 1 && at % 3 != 0;
    let calls = |range: std::ops::Range<i64>| range.filter(|&at| is_of(at)).count() as u64;
    let errors = |range: std::ops::Range<i64>| range.filter(|&at| is_of(at) && at % 11 == 0).count() as u64;
    for entity in ["id-1", "user 1"] {
        let span = Span { since_ms: second(0), until_ms: second(200), steps: 4 };
        let steps = reader.density("consumer", entity, span, None).await.unwrap();
        let expected = [0, 50, 100, 150].map(|at| (second(at), calls(at..at + 50), errors(at..at + 50)));
        let found: Vec<_> = steps.iter().map(|step| (step.start_ms, step.calls, step.client_errors)).collect();
        assert_eq!(found, expected, "{entity}");
        assert!(errors(0..200) > 0 && steps.iter().all(|step| (step.server_errors, step.refused) == (0, 0)));
    }
    // However long the time is that is asked for, what is there is found.
    let all = Span { since_ms: 0, until_ms: i64::MAX, steps: 4 };
    let steps = reader.density("consumer", "id-1", all, None).await.unwrap();
    assert_eq!(steps.iter().map(|step| step.calls).sum::<u64>(), calls(0..200));
    let elsewhere = ["edge".to_owned()];
    assert_eq!(reader.density("consumer", "id-1", all, Some(&elsewhere)).await.unwrap(), []);
}

#[tokio::test]
async fn a_call_is_found_by_its_place_wherever_it_is_and_only_at_its_gateway() {
    let (_directory, mut filler, reader) = filled(QueryLimits::default()).await;
    filler.show(&[mixed_call(100)]);
    let path = async |position: i64, index: i32, gateways: Option<&[String]>| {
        let found = reader.call(position, index, gateways).await.unwrap();
        found.map(|call| call.column_by_name("path").unwrap().as_string::<i32>().value(0).to_owned())
    };
    let at = |name: &str| vec![name.to_owned()];
    // Who fills commits a call a record.
    assert_eq!(path(8, 0, None).await.as_deref(), Some("/orders/7"));
    assert_eq!(path(101, 0, None).await.as_deref(), Some("/orders/100"), "it is not committed yet");
    assert_eq!(path(8, 0, Some(&at("kong"))).await.as_deref(), Some("/orders/7"));
    assert_eq!(path(8, 0, Some(&at("edge"))).await, None);
    assert_eq!(path(8, 0, Some(&[])).await, None);
    assert_eq!(path(8, 1, None).await, None);
    assert_eq!(path(i64::MAX, 0, None).await, None);
}

#[tokio::test]
async fn a_search_finds_what_it_says() {
    let (_directory, _filler, reader) = filled(QueryLimits::default()).await;
    for (search, expected) in [
        ("status:404", 10),
        ("status:200..299 consumer:\"user 1\"", 9),
        ("-consumer:*", 34),
        ("path:/orders/9?", 0),
        ("path:/orders/9*", 11),
        ("orders/42", 1),
        ("last 50s", 50),
        ("asn:64500", 25),
        ("entity.merchant_id:1", 10),
        ("-entity.merchant_id:*", 80),
    ] {
        let parsed = parse_search(search).unwrap();
        let since_ms = parsed.last_ms.map(|last_ms| NOON_MS + 100_000 - last_ms);
        let page = reader.search(&parsed, &Range { since_ms, rows: 200, ..Range::default() }).await.unwrap();
        assert_eq!(page.rows.map_or(0, |rows| rows.num_rows()), expected, "{search}");
    }
}

#[tokio::test]
async fn statements_that_do_anything_else_are_refused() {
    let (directory, _filler, reader) = filled(QueryLimits::default()).await;
    let secret = directory.path().join("secret.csv");
    std::fs::write(&secret, "a\n1\n").unwrap();
    let (file, out) = (secret.display(), directory.path().join("out"));
    for statement in [
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "DROP TABLE events",
        "INSERT INTO events SELECT * FROM events",
        "DELETE FROM events",
        "UPDATE events SET status = 1",
        "SET datafusion.execution.batch_size = 1",
        "BEGIN",
        &format!("COPY events TO '{}' STORED AS CSV", out.display()),
        &format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{file}'"),
    ] {
        let error = rows(&reader, statement).await.unwrap_err();
        assert!(matches!(error, QueryError::NotAllowed(_) | QueryError::Statement(_)), "{statement}: {error:?}");
    }
    for statement in [
        format!("SELECT * FROM '{file}'"),
        "SELECT * FROM nothing".into(),
        "SELECT nothing FROM events".into(),
        "SELEC 1".into(),
        "SELECT 1; SELECT 2".into(),
        "SELECT repeat('a', 1000000000)".into(),
        "SELECT * FROM generate_series(1, 1000000000000)".into(),
        format!("SELECT '{}'", "a".repeat(70_000)),
        // Deeper than a thread's stack.
        format!("SELECT 1{}", "+1".repeat(30_000)),
        format!("SELECT path FROM events WHERE status = 1{}", " OR a".repeat(12_000)),
        format!("SELECT {}1{}", "(".repeat(30_000), ")".repeat(30_000)),
        format!("SELECT 1{}", "::int".repeat(12_000)),
        // More than the machine has, for a single row.
        "SELECT arrow_cast(NULL, 'FixedSizeBinary(2147483647)') FROM events".into(),
        "SELECT CAST(NULL AS INT[2147483647]) FROM events".into(),
        "SELECT NULL::int[65535][65535] FROM events".into(),
        // Longer than the machine's memory in one step.
        format!("SELECT {}path{} FROM events", "replace(".repeat(3), ", '/', '0123456789')".repeat(3)),
        "SELECT replace(four, method, four) || path FROM (SELECT path || path || path || path AS four, * FROM events)"
            .into(),
        format!(
            "SELECT regexp_replace(path, '', m) FROM (SELECT concat(path{}) AS m, * FROM events)",
            ", path".repeat(16)
        ),
        format!("SELECT regexp_replace(path, '.', '{}') FROM events", r"\0".repeat(100)),
        format!("SELECT path{} FROM events", " || path".repeat(300)),
        format!("SELECT 1 FROM events WHERE length(concat(path{})) > 0", ", path".repeat(300)),
        format!("SELECT path FROM {}events{}", "(SELECT path || path AS path FROM ".repeat(9), ")".repeat(9)),
        format!(
            "SELECT array_to_string(array_concat(consumer_tags{}), path) FROM events",
            ", consumer_tags".repeat(20)
        ),
        format!("SELECT concat_ws(path, path{}) FROM events", ", path".repeat(200)),
        "SELECT replace(s, '/', '0123456789') FROM (SELECT string_agg(path, ',') AS s FROM events)".into(),
        "SELECT array_agg(path) OVER (ORDER BY position) FROM events".into(),
        "SELECT replace(path, 'o', path) FROM events".into(),
        "SELECT replace(path, 'o', CAST(path || '' AS VARCHAR)) FROM events".into(),
        format!("SELECT {}path{} FROM events", "encode(".repeat(9), ", 'hex')".repeat(9)),
        format!("SELECT array_to_string(string_to_array(path, NULL, 'e'), '', '{}') FROM events", "x".repeat(60_000)),
        format!(
            "SELECT concat(p{}) FROM (SELECT DISTINCT ON (p) concat(path{}) AS p FROM events)",
            ", p".repeat(20),
            ", path".repeat(20)
        ),
        format!(
            "SELECT 1 FROM (SELECT concat(path{}) AS p FROM events) o WHERE EXISTS \
             (SELECT 1 FROM events e WHERE e.path = concat(o.p{}))",
            ", path".repeat(20),
            ", o.p".repeat(20)
        ),
        "WITH RECURSIVE r AS (SELECT path FROM events UNION ALL SELECT path || path FROM r) SELECT path FROM r".into(),
        // Each table has the columns of all before it.
        format!("SELECT 1 FROM events{}", ",events".repeat(5_000)),
        "SELECT 1 WHERE EXISTS (SELECT arrow_cast(path, 'FixedSizeList(2147483647, Utf8)') FROM events)".into(),
        String::new(),
    ] {
        let error = rows(&reader, &statement).await.unwrap_err();
        assert!(matches!(error, QueryError::Statement(_)), "{statement}: {error:?}");
    }
    assert!(!out.exists());
    assert_eq!(rows(&reader, "SELECT path FROM events").await.unwrap(), 100);
    for usual in [
        r"SELECT regexp_replace(path, '[0-9]+', '{id}', 'g') FROM events",
        "SELECT replace(replace(path, '/', ' / '), '?', ' ?') || ' ' || method || ' ' || status FROM events",
        "SELECT concat_ws(' ', method, path, client_ip, consumer_name, gateway, CAST(status AS VARCHAR)) FROM events",
        "SELECT array_to_string(consumer_tags, ', '), path FROM (SELECT * FROM events ORDER BY event_time)",
        "SELECT coalesce(consumer_name, client_ip, 'nobody'), upper(path) FROM events",
        r"SELECT regexp_replace(regexp_replace(regexp_replace(split_part(path, '?', 1), '/[0-9a-f-]{36}', '/{uuid}', 'g'),
          '/[0-9a-f]{16,}', '/{hex}', 'g'), '/[0-9]+', '/{id}', 'g') AS template FROM events",
        "SELECT to_char(event_time, '%Y-%m-%d %H:%M') || ' ' || md5(path) FROM events",
        "SELECT path, array_to_string((SELECT array_agg(DISTINCT method) FROM events), ', ') FROM events",
    ] {
        assert_eq!(rows(&reader, usual).await.unwrap(), 100, "{usual}");
    }
    let long = format!("SELECT path FROM events WHERE status IN (1{}) OR true", ", 2".repeat(20_000));
    assert_eq!(rows(&reader, &long).await.unwrap(), 100, "a long list is not deep");
    for deep in [
        format!("SELECT path FROM events WHERE status = 1{} OR true", " OR status = 1".repeat(330)),
        format!("SELECT 1{} FROM events", "+1".repeat(990)),
        format!("SELECT 1{} FROM events", "::int".repeat(490)),
    ] {
        assert_eq!(rows(&reader, &deep).await.unwrap(), 100, "{deep}");
    }
    let others: String = (0..60).map(|number| format!(", events e{number}")).collect();
    assert!(rows(&reader, &format!("EXPLAIN SELECT 1 FROM events{others}")).await.unwrap() > 0);
}

/// So many rows that nothing finishes.
const ENDLESS: &str = "SELECT count(*) FROM events a, events b, events c, events d, events e WHERE a.path || b.path || c.path \
                       || d.path || e.path LIKE '%nothing%'";

#[tokio::test]
async fn a_query_ends_when_its_time_is_over() {
    let (_directory, _filler, reader) =
        filled(QueryLimits { time: Duration::from_millis(200), ..QueryLimits::default() }).await;
    assert!(matches!(rows(&reader, ENDLESS).await, Err(QueryError::Time(_))));
    assert_eq!(rows(&reader, "SELECT path FROM events").await.unwrap(), 100, "the next one has its place");
}

#[tokio::test]
async fn a_query_that_needs_more_memory_and_disk_than_there_is_ends() {
    let limits = QueryLimits { memory_bytes: 4 << 20, scratch_bytes: 1 << 20, ..QueryLimits::default() };
    let (_directory, _filler, reader) = filled(limits).await;
    let statement = "SELECT a.path || b.path || c.path AS p FROM events a, events b, events c ORDER BY p";
    let error = rows(&reader, statement).await.unwrap_err();
    assert!(matches!(error, QueryError::Memory(_)), "{error:?}");
    assert_eq!(rows(&reader, "SELECT path FROM events").await.unwrap(), 100, "its memory is free again");
}

#[tokio::test]
async fn an_answer_has_as_many_rows_as_may_be_and_says_that_there_are_more() {
    let (_directory, _filler, reader) = filled(QueryLimits { rows_max: 30, ..QueryLimits::default() }).await;
    for (statement, expected, is_truncated) in [
        ("SELECT path FROM events", 30, true),
        ("SELECT path FROM events LIMIT 30", 30, false),
        ("SELECT path FROM events WHERE status = 404", 10, false),
    ] {
        let mut answer = reader.query(statement, &Beside::default()).await.unwrap();
        assert_eq!(count(&mut answer).await.unwrap(), expected);
        assert_eq!(answer.is_truncated(), is_truncated, "{statement}");
        assert!(answer.progress().rows_read >= expected as u64);
        assert!(answer.progress().bytes_read > 0);
    }
}

#[tokio::test]
async fn as_many_queries_run_as_may_and_one_that_is_dropped_makes_room() {
    let (_directory, _filler, reader) = filled(QueryLimits { queries_max: 1, ..QueryLimits::default() }).await;
    let running = reader.query(ENDLESS, &Beside::default()).await.unwrap();
    assert!(matches!(rows(&reader, "SELECT 1").await, Err(QueryError::Busy { queries_max: 1 })));
    drop(running);
    assert_eq!(rows(&reader, "SELECT 1").await.unwrap(), 1);
}

#[tokio::test]
async fn pages_are_shown_beside_as_many_queries_as_may_run() {
    let (_directory, _filler, reader) = filled(QueryLimits { queries_max: 1, ..QueryLimits::default() }).await;
    let _running = reader.query("SELECT 1", &Beside::default()).await.unwrap();
    let range = Range { rows: 10, ..Range::default() };
    for page in futures_util::future::join_all((0..8).map(|_| reader.page("ip", "192.0.2.1", &range))).await {
        assert!(page.unwrap().rows.is_some());
    }
}

#[tokio::test]
async fn a_damaged_file_of_the_timeline_is_named_and_other_days_are_shown() {
    let (directory, mut filler, reader) = filled(QueryLimits::default()).await;
    filler.commit(&[outrider_model::ApiCall { event_ms: NOON_MS - DAY_MS, ..mixed_call(1) }]).await;
    keep(directory.path(), ALL, NOON_MS + DAY_MS).await;
    let (damaged, _) = damage(directory.path(), "timeline", "2026-11-28");
    let range = Range { rows: 10, ..Range::default() };
    let error = reader.page("ip", "192.0.2.1", &range).await.unwrap_err();
    let name = damaged.file_name().unwrap().to_str().unwrap();
    assert!(matches!(&error, QueryError::File(words) if words.contains(name)), "{error:?}");
    let before = Range { until_ms: Some(NOON_MS - DAY_MS / 2), ..range };
    let page = reader.page("ip", "192.0.2.1", &before).await.unwrap();
    assert_eq!(page.rows.unwrap().num_rows(), 1);
}

#[tokio::test]
async fn a_damaged_file_is_named_and_the_rest_is_read() {
    let (directory, mut filler, reader) = filled(QueryLimits::default()).await;
    damage(directory.path(), "events", "2026-11-28");
    filler.commit(&[outrider_model::ApiCall { event_ms: NOON_MS - DAY_MS, ..mixed_call(1) }]).await;
    let error = rows(&reader, "SELECT path FROM events").await.unwrap_err();
    assert!(matches!(error, QueryError::File(_)), "{error:?}");
    assert_eq!(rows(&reader, "SELECT path FROM events WHERE event_date = DATE '2026-11-27'").await.unwrap(), 1);
}

#[tokio::test]
async fn columns_of_one_name_are_told_apart() {
    let (_directory, _filler, reader) = filled(QueryLimits::default()).await;
    for (select, expected) in [
        ("a.path, b.path, a.status", ["path", "path_2", "status"]),
        ("a.path AS path_2, a.path, b.path", ["path_2", "path", "path_3"]),
    ] {
        let statement = format!("SELECT {select} FROM events a JOIN events b USING (position, call_index) LIMIT 1");
        let mut answer = reader.query(&statement, &Beside::default()).await.unwrap();
        let names = |schema: outrider_lake::arrow::datatypes::SchemaRef| -> Vec<String> {
            schema.fields().iter().map(|field| field.name().clone()).collect()
        };
        assert_eq!(names(answer.schema()), expected);
        assert_eq!(names(answer.next().await.unwrap().unwrap().schema()), expected);
    }
}

#[tokio::test]
async fn without_a_lake_it_is_said_how_there_will_be_one() {
    let directory = tempfile::tempdir().unwrap();
    let reader = LakeReader::open(directory.path(), None, QueryLimits::default()).unwrap();
    let error = rows(&reader, "SELECT 1").await.unwrap_err();
    assert!(matches!(&error, QueryError::Lake(LakeError::Missing { .. })), "{error:?}");
    let nowhere = LakeReader::open(&directory.path().join("nowhere"), None, QueryLimits::default()).err().unwrap();
    assert!(matches!(nowhere, LakeError::Missing { .. }), "{nowhere:?}");
    assert!(error.to_string().contains("lake.enabled"), "{error}");
}
