//! Statements over calls and what outrider knows of them.

use outrider_lake::arrow::util::pretty::pretty_format_batches;
use outrider_lake::{Keeper, Lake, LakeReader, QueryLimits, Retention, Rows};
use outrider_model::{ActionState, AlertId, AlertState, AnsweredBy, ApiCall, Endpoint};
use outrider_platform::log::Position;
use outrider_platform::side_tables::{SIDE_ROWS_MAX, beside};
use outrider_platform::store::{EffectBatch, Store};

use crate::fixtures::{action, alert, endpoint, finding};
use crate::support::{Call, api_call};

const NOW_MS: i64 = 1_795_867_200_000;

/// A lake with four calls of alice and one of bob, before and after they had an alert, and what is known of them.
async fn filled(directory: &std::path::Path) -> (Store, LakeReader) {
    let store = Store::open(&directory.join("control.sqlite")).await.unwrap();
    let current = endpoint("/orders/{order_id}", 7);
    let merged = Endpoint { merged_into: Some(current.id), ..endpoint("/orders/4711", 1) };
    let mut of_alice = alert(1, "alice", AlertState::Open);
    of_alice.entity.workspace = "w".to_owned();
    (of_alice.started_ms, of_alice.last_finding_ms) = (NOW_MS + 1_000, NOW_MS + 2_000);
    let effects = EffectBatch {
        endpoints: vec![current.clone(), merged.clone()],
        findings: vec![(finding(1, "alice"), Some(AlertId(1))), (finding(2, "bob"), None)],
        alerts: vec![of_alice, alert(2, "bob", AlertState::Resolved)],
        actions: vec![action(1, "alice", ActionState::InForce)],
        ..EffectBatch::default()
    };
    store.apply(Position(1), &effects).await.unwrap();

    let lake_directory = directory.join("lake");
    std::fs::create_dir(&lake_directory).unwrap();
    let mut lake = Lake::open(&lake_directory).await.unwrap();
    let mut rows = Rows::default();
    for (index, (who, endpoint)) in (0u32..).zip([
        ("alice", Some(merged.id)),
        ("alice", Some(current.id)),
        ("alice", None),
        ("alice", Some(current.id)),
        ("bob", Some(current.id)),
    ]) {
        let call = Call {
            at_ms: NOW_MS + i64::from(index) * 1_000,
            consumer: format!("id-of-{who}"),
            path: format!("/orders/{index}"),
            status: 200,
        };
        rows.push(&api_call(&call), endpoint, 1, index);
    }
    lake.commit(&[rows.finish().unwrap()], 1).await.unwrap();
    Keeper::open(&lake_directory, Retention::default()).await.unwrap().keep(NOW_MS).await.unwrap();
    let reader = LakeReader::open(&lake_directory, None, QueryLimits::default()).unwrap();
    (store, reader)
}

/// The answer as a table, without its frame.
async fn answer(reader: &LakeReader, store: &Store, statement: &str) -> Vec<String> {
    let mut answer = reader.query(statement, &beside(store)).await.unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = answer.next().await {
        batches.push(batch.unwrap());
    }
    let table = pretty_format_batches(&batches).unwrap().to_string();
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned();
    table.lines().filter(|line| line.starts_with('|')).skip(1).map(cells).collect()
}

#[tokio::test]
async fn calls_are_joined_with_what_is_known_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let (store, reader) = filled(directory.path()).await;
    for (statement, expected) in [
        // An endpoint that was merged into another counts as that one.
        ("SELECT endpoint, count(*) FROM calls GROUP BY endpoint ORDER BY 2", &["1", "GET /orders/{order_id} 4"][..]),
        (
            "SELECT endpoint, sum(calls), hll_count(consumers_hll) FROM hours GROUP BY endpoint ORDER BY 2",
            &["1 1", "GET /orders/{order_id} 4 2"],
        ),
        (
            "SELECT e.template, c.path FROM endpoints e JOIN calls c ON c.endpoint_id = e.endpoint_id \
             WHERE e.current_id <> e.endpoint_id",
            &["/orders/4711 /orders/0"],
        ),
        (
            "SELECT endpoint, access, count(*) FROM calls GROUP BY 1, 2 ORDER BY 3",
            &["credential 1", "GET /orders/{order_id} credential 4"],
        ),
        (
            "SELECT alert_id, path FROM alert_calls ORDER BY path",
            &["al_0000000000000001 /orders/1", "al_0000000000000001 /orders/2"],
        ),
        (
            "SELECT a.entity_name, a.state, f.observed, x.kind, x.state FROM alerts a JOIN findings f USING (alert_id) \
             JOIN actions x USING (alert_id)",
            &["alice open 900.0 block in_force"],
        ),
        ("SELECT detector FROM findings WHERE alert_id IS NULL", &["request_spike"]),
        (
            "SELECT severity, confidence > 0.98, opened_time FROM alerts WHERE state = 'resolved'",
            &["high true 1970-01-01T00:00:00.002Z"],
        ),
    ] {
        assert_eq!(answer(&reader, &store, statement).await, expected, "{statement}");
    }
}

#[tokio::test]
async fn a_side_table_has_its_newest_rows() {
    let directory = tempfile::tempdir().unwrap();
    let (store, reader) = filled(directory.path()).await;
    let findings = (0..SIDE_ROWS_MAX as u64 + 10).map(|number| (finding(number, "alice"), None)).collect();
    store.apply(Position(2), &EffectBatch { findings, ..EffectBatch::default() }).await.unwrap();
    let rows = answer(&reader, &store, "SELECT count(*), min(raised_time) FROM findings").await;
    assert_eq!(rows, ["100000 1970-01-01T00:00:00.010Z"]);
}

#[tokio::test]
async fn how_a_call_ended_is_one_word() {
    let directory = tempfile::tempdir().unwrap();
    let (store, reader) = filled(directory.path()).await;
    let mut lake = Lake::open(&directory.path().join("lake")).await.unwrap();
    let mut rows = Rows::default();
    for (index, (status, answered_by, own_refusal)) in (0u32..).zip([
        (204, AnsweredBy::Upstream, None),
        (304, AnsweredBy::Gateway, None),
        (404, AnsweredBy::Upstream, None),
        (401, AnsweredBy::Gateway, None),
        (503, AnsweredBy::Gateway, None),
        (403, AnsweredBy::Gateway, Some("this".into())),
        (502, AnsweredBy::Upstream, None),
        (0, AnsweredBy::Gateway, None),
    ]) {
        let call = Call { at_ms: NOW_MS, consumer: "id-of-alice".into(), path: "/".into(), status };
        rows.push(&ApiCall { answered_by, own_refusal, ..api_call(&call) }, None, 2, index);
    }
    lake.commit(&[rows.finish().unwrap()], 2).await.unwrap();
    let statement = "SELECT outcome, status FROM calls WHERE position = 2 ORDER BY call_index";
    assert_eq!(
        answer(&reader, &store, statement).await,
        [
            "served 204",
            "served 304",
            "client_error 404",
            "refused 401",
            "refused 503",
            "blocked 403",
            "server_error 502",
            "unknown 0"
        ]
    );
}
