//! The tables as engines read them that no one here wrote. `make engines` installs those, and `make test` runs this.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use outrider_lake::arrow::util::display::array_value_to_string;
use outrider_lake::{Beside, LakeReader, QueryLimits};
use serde::Deserialize;

use crate::calls::{ALL, DAY_MS, Filler, NOON_MS, full_call, keep, mixed_call};

/// `{us}`, `{length}`, `{each}` and `{of}` have another name in each engine.
const STATEMENTS: [&str; 11] = [
    "SELECT count(*), min(position), max(position), sum(response_bytes), sum(latency_total_ms) FROM {events}",
    "SELECT status, method, answered_by, count(*) FROM {events} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    "SELECT consumer_name, client_ip, count(*) FROM {events} WHERE consumer_name IS NOT NULL AND client_ip IS NOT NULL \
     GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT path, position, {us}(event_time), {us}(received_time) FROM {events} WHERE position % 97 = 3 ORDER BY position",
    "SELECT count(*), sum({length}(headers)), sum({length}(query)), sum({length}(entities)) FROM {events} \
     WHERE {length}(headers) > 0",
    "SELECT {of}(field, 'name'), {of}(field, 'value'), count(*) FROM (SELECT {each}(headers) AS field FROM {events}) AS fields \
     WHERE {of}(field, 'value') IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT {of}(field, 'name'), {of}(field, 'value'), count(*) FROM (SELECT {each}(query) AS field FROM {events}) AS fields \
     WHERE {of}(field, 'value') IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT {of}(field, 'name'), {of}(field, 'value'), count(*) FROM (SELECT {each}(entities) AS field FROM {events}) AS fields \
     GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT entity_kind, count(*), count(DISTINCT entity) FROM {timeline} GROUP BY 1 ORDER BY 1",
    "SELECT entity, path, {us}(event_time) FROM {timeline} WHERE entity_kind = 'consumer' AND entity = 'id-3' \
     ORDER BY 3 DESC, path LIMIT 20",
    "SELECT gateway, sum(calls), sum(client_errors), sum(response_bytes), {us}(min(first_time)), {us}(max(last_time)), \
     sum({length}(latency_ms_histogram)) FROM {hours} GROUP BY 1 ORDER BY 1",
];

#[derive(Deserialize)]
struct Answers {
    duckdb: Vec<Vec<Vec<String>>>,
    clickhouse: Vec<Vec<Vec<String>>>,
}

fn theirs(python: &str, lake: &Path) -> Answers {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engines/ask.py");
    let mut child =
        Command::new(python).arg(script).arg(lake).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let statements = serde_json::to_vec(&STATEMENTS).unwrap();
    child.stdin.take().unwrap().write_all(&statements).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn ours(reader: &LakeReader, statement: &str) -> Vec<Vec<String>> {
    let statement = statement.replace("{events}", "events").replace("{timeline}", "timeline");
    let statement = statement.replace("{hours}", "endpoint_hours");
    let statement = statement.replace("{length}", "array_length").replace("{us}", "to_us");
    let statement = statement.replace("{each}", "unnest").replace("{of}", "get_field");
    // A time in microseconds has no function of its own here.
    let statement = ["event_time", "received_time", "min(first_time)", "max(last_time)"]
        .into_iter()
        .fold(statement, |text, column| {
            text.replace(&format!("to_us({column})"), &format!("arrow_cast({column}, 'Int64')"))
        });
    let mut answer = reader.query(&statement, &Beside::default()).await.unwrap();
    let mut rows = Vec::new();
    while let Some(batch) = answer.next().await {
        let batch = batch.unwrap();
        rows.extend((0..batch.num_rows()).map(|row| {
            batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap()).collect::<Vec<_>>()
        }));
    }
    rows
}

#[tokio::test]
#[ignore = "needs the engines that `make engines` installs"]
async fn other_engines_give_the_same_answers() {
    let python =
        std::env::var("OUTRIDER_ENGINES").expect("OUTRIDER_ENGINES names the interpreter that has the engines");
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    for part in 0..12 {
        let mut calls: Vec<_> = (part * 100..(part + 1) * 100).map(mixed_call).collect();
        calls.push(full_call());
        filler.commit(&calls).await;
    }
    keep(directory.path(), ALL, NOON_MS + DAY_MS).await;
    // Files that were put together, and ones that were not.
    filler.commit(&(1200..1300).map(mixed_call).collect::<Vec<_>>()).await;
    keep(directory.path(), ALL, NOON_MS).await;
    let reader = LakeReader::open(directory.path(), None, QueryLimits::default()).unwrap();
    let theirs = theirs(&python, directory.path());
    for ((statement, duckdb), clickhouse) in STATEMENTS.iter().zip(theirs.duckdb).zip(theirs.clickhouse) {
        let ours = ours(&reader, statement).await;
        assert!(!ours.is_empty(), "{statement}");
        assert_eq!(duckdb, ours, "DuckDB: {statement}");
        assert_eq!(clickhouse, ours, "ClickHouse: {statement}");
    }
}
