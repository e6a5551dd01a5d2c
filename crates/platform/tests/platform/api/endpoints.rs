//! Endpoints with their figures of late, from a lake with real calls: what they say, how they are sorted, and who is refused.

use std::path::Path;

use outrider_discover::posture::{RiskScore, ScoreSubject};
use outrider_model::batch::BatchWriter;
use outrider_model::{AlertId, Command, CommandRecord, Endpoint};
use outrider_platform::log::Position;
use outrider_platform::service::Platform;
use outrider_platform::store::{EffectBatch, EndpointFilter};
use serde_json::{Value, json};

use super::harness::Api;
use crate::hunts::settings;
use crate::support::{Call, api_call};

const HOUR_MS: i64 = 3_600_000;

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Who called what, how often, how many hours ago, with which status and latency. The oldest come first, as they would. Bob
/// has no credential.
const CALLS: &[(&str, &str, u32, i64, u16, i32)] = &[
    ("alice", "/prices", 60, 3, 200, 5),
    ("alice", "/carts", 30, 0, 200, 10),
    ("bob", "/carts", 10, 0, 500, 200),
    ("carol", "/stocks", 5, 0, 422, 40),
];

/// A platform with these calls in its lake, and its endpoints as its control store has them.
async fn platform(data_dir: &Path, queries_max: usize) -> Platform {
    let mut settings = settings(data_dir);
    settings.lake.as_mut().unwrap().limits.queries_max = queries_max;
    let platform = Platform::start(settings, now_ms).await.unwrap();
    let mut ingest = platform.ingest(1);
    for &(consumer, path, times, hours_ago, status, total_ms) in CALLS {
        let (at_ms, mut writer) = (now_ms() - hours_ago * HOUR_MS, BatchWriter::default());
        for _ in 0..times {
            let call = Call { at_ms, consumer: consumer.to_owned(), path: path.to_owned(), status };
            let mut call = api_call(&call);
            call.latency.total_ms = total_ms;
            if consumer == "bob" {
                (call.consumer, call.credential_id) = (None, None);
            }
            writer.push(&call).unwrap();
        }
        ingest.accept(writer.take(), times, at_ms);
    }
    let count = CALLS.iter().map(|(_, _, times, ..)| u64::from(*times)).sum::<u64>();
    for number in 0..20_000 {
        // A decision is answered when the control store has what came before it.
        let command = Command::ResolveAlert { alert: AlertId(1), reason: String::new() };
        let record = CommandRecord { id: format!("wait-{number}"), by: "a".to_owned(), at_ms: now_ms(), command };
        platform.commands().submit(record).await.unwrap_err();
        if platform.status().progress().lake_rows == count {
            return platform;
        }
    }
    panic!("the lake never has the calls: {}", platform.status().to_json());
}

fn templates(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["key"]["template"].as_str().unwrap()).collect()
}

/// How risky they are: nothing is known of prices.
fn scores(endpoints: &[Endpoint]) -> Vec<RiskScore> {
    let score = |endpoint: &Endpoint| match endpoint.key.template.as_str() {
        "/stocks" => Some(7.4),
        "/carts" => Some(0.6),
        _ => None,
    };
    let row = |endpoint: &Endpoint| {
        let subject = ScoreSubject::Endpoint(endpoint.id);
        Some(RiskScore { subject, score: score(endpoint)?, factors: Vec::new(), moves: Vec::new() })
    };
    endpoints.iter().filter_map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_have_figures_and_are_sorted_by_them() {
    let directory = tempfile::tempdir().unwrap();
    let platform = platform(directory.path(), 4).await;
    let api = Api::with_lake(platform.queries()).await;
    let endpoints = platform.store().endpoints(&EndpointFilter::default(), 100, None).await.unwrap().items;
    assert_eq!(endpoints.len(), 3, "{endpoints:#?}");
    let scores = scores(&endpoints);
    api.store.apply(Position(2), &EffectBatch { endpoints, scores, ..EffectBatch::default() }).await.unwrap();

    let reply = api.get("/api/v1/endpoints?last=1h&sort=last_calls").await;
    // One that was not called at all comes last, with the one that nobody ever called in this lake.
    assert_eq!(templates(reply.items())[..2], ["/carts", "/stocks"], "{}", reply.body);
    let carts = &reply.items()[0]["figures"];
    assert_eq!((&carts["calls"], &carts["consumers"], &carts["error_share"]), (&json!(40), &json!(1), &json!(0.25)));
    let access =
        json!([{"how": "credential", "calls": 30, "served": 30}, {"how": "nothing", "calls": 10, "served": 0}]);
    assert_eq!(carts["access"], access);
    assert_eq!((&carts["latency_p50_ms"], &carts["response_p50_bytes"]), (&json!(10.0), &json!(1000.0)), "{carts}");
    assert!(carts["latency_p95_ms"].as_f64().unwrap() > 100.0, "{carts}");
    assert!(carts["first_call_ms"].as_i64().unwrap() > now_ms() - HOUR_MS, "{carts}");
    let quiet = reply.items().iter().find(|item| item["key"]["template"] == "/prices").unwrap();
    assert_eq!((&quiet["figures"]["calls"], &quiet["figures"]["latency_p95_ms"]), (&json!(0), &json!(null)));
    assert_eq!(quiet["figures"]["access"], json!([]));
    // Weeks are asked of what is added up by the hour.
    for last in ["7d", "30d"] {
        let reply = api.get(&format!("/api/v1/endpoints?last={last}&sort=last_calls")).await;
        assert_eq!(templates(reply.items())[..3], ["/prices", "/carts", "/stocks"], "{}", reply.body);
        let (prices, weeks) = (&reply.items()[0]["figures"], &reply.items()[1]["figures"]);
        for exact in ["calls", "consumers", "error_share", "latency_p50_ms", "first_call_ms", "last_call_ms", "access"]
        {
            assert_eq!(weeks[exact], carts[exact], "{exact} of {last}");
        }
        assert_eq!((&prices["latency_p95_ms"], &prices["error_share"]), (&json!(5.0), &json!(0.0)));
        let close = |figure: &str, to: f64| (weeks[figure].as_f64().unwrap() - to).abs() <= to / 16.0;
        assert!(close("latency_p95_ms", 200.0) && close("response_p50_bytes", 1000.0), "{weeks}");
    }

    for (query, expected) in [
        ("last=24h&sort=last_calls", "/prices /carts /stocks"),
        ("last=24h&sort=consumers", "/stocks /prices /carts"),
        ("last=24h&sort=error_share", "/stocks /carts /prices"),
        ("last=24h&sort=latency_p50", "/stocks /carts /prices"),
        ("last=24h&sort=latency_p95", "/carts /stocks /prices"),
        ("sort=risk", "/stocks /carts /prices"),
        ("last=24h&sort=last_calls&contains=s&method=get&gateway=kong", "/prices /carts /stocks"),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let reply = api.get(&format!("/api/v1/endpoints?{query}&service=shop&limit=1{cursor}")).await;
            seen.extend(templates(reply.items()).into_iter().map(str::to_owned));
            match reply.body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let mut sorted = seen.clone();
        // Those with the same figure are in no promised order.
        if query.contains("consumers") {
            sorted.sort_by(|one, other| other.cmp(one));
        }
        assert_eq!(sorted.join(" "), expected, "{query}");
    }
    assert_eq!(api.get("/api/v1/endpoints?last=24h&gateway=edge").await.items().len(), 0);
    for query in ["last=24h&sort=consumers&cursor=errorshare.1.x", "last=24h&sort=consumers&cursor=x", "last=1y"] {
        assert_eq!(api.get(&format!("/api/v1/endpoints?{query}")).await.status, 400, "{query}");
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lake_that_does_not_answer_keeps_nobody_from_the_list() {
    let directory = tempfile::tempdir().unwrap();
    let platform = platform(directory.path(), 0).await;
    let api = Api::with_lake(platform.queries()).await;
    let reply = api.get("/api/v1/endpoints?last=24h&sort=calls").await;
    assert_eq!((reply.status, &reply.items()[0]["figures"]), (200, &json!(null)), "{}", reply.body);
    let reply = api.get("/api/v1/endpoints?last=24h&sort=consumers").await;
    assert!(reply.status == 503 && reply.body.to_string().contains("`last_seen`"), "{}", reply.body);
    platform.stop().await;
}

#[tokio::test]
async fn without_a_lake_there_are_no_figures() {
    let api = Api::start().await;
    for query in ["sort=calls", "sort=last_seen&last=24h", "last=1h"] {
        let reply = api.get(&format!("/api/v1/endpoints?{query}")).await;
        assert_eq!((reply.status, &reply.items()[0]["figures"]), (200, &json!(null)), "{query}");
    }
    let reply = api.get("/api/v1/endpoints?sort=consumers").await;
    assert!(reply.status == 400 && reply.detail().contains("add `last=24h`"), "{}", reply.body);
    let reply = api.get("/api/v1/endpoints?sort=consumers&last=24h").await;
    assert!(reply.status == 404 && reply.detail().contains("keeps no lake"), "{}", reply.body);
}
