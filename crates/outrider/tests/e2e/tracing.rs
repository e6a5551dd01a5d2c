//! Traces as an OpenTelemetry collector gets them. What reads them here are OpenTelemetry's own types.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use outrider_practice::{Practice, Settings};
use prost::Message as _;
use serde_json::json;

use crate::harness::{Outrider, Setup, assert_quiet, line, now_ms, wait_for};
use crate::services::{Site, act};

/// A span with who handed it over.
#[derive(Debug, Clone)]
struct Span {
    role: String,
    name: String,
    trace: String,
    id: String,
    parent: String,
    kind: SpanKind,
    from_ms: u64,
    to_ms: u64,
    attributes: BTreeMap<String, String>,
    is_error: bool,
}

/// A collector on a port of its own.
struct Receiver {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    /// The heads of the requests.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    /// One that takes everything, or one that never answers.
    fn start(answers: bool) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver =
            Receiver { address: listener.local_addr().unwrap(), spans: Arc::default(), heads: Arc::default() };
        let (spans, heads) = (Arc::clone(&receiver.spans), Arc::clone(&receiver.heads));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (spans, heads) = (Arc::clone(&spans), Arc::clone(&heads));
                std::thread::spawn(move || serve(&stream.unwrap(), answers, &spans, &heads));
            }
        });
        receiver
    }

    fn toml(&self) -> String {
        format!("[tracing]\nendpoint = 'http://{}'\n", self.address)
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    fn await_span(&self, role: &str, name: &str) -> Span {
        wait_for(&format!("the span `{name}` of {role}"), || {
            self.spans().into_iter().find(|span| span.role == role && span.name == name)
        })
    }
}

/// Answers the requests of one connection.
fn serve(stream: &TcpStream, answers: bool, spans: &Mutex<Vec<Span>>, heads: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        heads.lock().unwrap().push(head);
        spans.lock().unwrap().extend(read(&body));
        if answers {
            let mut stream = stream;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
        }
    }
}

fn read(body: &[u8]) -> Vec<Span> {
    let texts = |attributes: &[KeyValue]| -> BTreeMap<String, String> {
        let text = |attribute: &KeyValue| match attribute.value.as_ref()?.value.as_ref()? {
            any_value::Value::StringValue(text) => Some(text.clone()),
            any_value::Value::IntValue(number) => Some(number.to_string()),
            other => Some(format!("{other:?}")),
        };
        attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute).unwrap())).collect()
    };
    let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut spans = Vec::new();
    for resource_spans in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
        let resource = texts(&resource_spans.resource.unwrap().attributes);
        assert_eq!(
            (resource["service.name"].as_str(), resource["service.version"].as_str()),
            ("outrider", env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(resource["service.instance.id"].len(), 16);
        for span in resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                role: resource["outrider.role"].clone(),
                kind: span.kind(),
                trace: hexadecimal(&span.trace_id),
                id: hexadecimal(&span.span_id),
                parent: hexadecimal(&span.parent_span_id),
                from_ms: span.start_time_unix_nano / 1_000_000,
                to_ms: span.end_time_unix_nano / 1_000_000,
                attributes: texts(&span.attributes),
                is_error: span.status.is_some_and(|status| status.code == 2),
                name: span.name,
            });
        }
    }
    spans
}

/// The spans of an action's trace, by name; each but the root is below the root or a `reconcile`.
fn trace_of(spans: &[Span], action: &str) -> BTreeMap<String, Vec<Span>> {
    let digits = action.strip_prefix("ac_").unwrap();
    let of_action: Vec<_> = spans.iter().filter(|span| span.trace.ends_with(digits)).collect();
    let root = of_action.iter().find(|span| span.name == "action").unwrap();
    assert_eq!(root.parent, "");
    let mut by_name: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for span in &of_action {
        let parent = of_action.iter().find(|other| other.id == span.parent);
        let expected = if span.kind == SpanKind::Client { "reconcile" } else { "action" };
        assert_eq!(span.trace, root.trace);
        assert!(span.id == root.id || parent.is_some_and(|parent| parent.name == expected), "{span:#?}");
        by_name.entry(span.name.clone()).or_default().push((*span).clone());
    }
    by_name
}

#[test]
fn an_action_is_one_trace_and_a_request_goes_on_with_its_clients() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = Settings { state_update_frequency: Duration::from_millis(200), ..Settings::default() };
    let practice = runtime.block_on(Practice::start(settings)).unwrap();
    let admin = practice.admin();
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(true);
    std::fs::write(directory.path().join("otlp"), "Bearer of-traces\n").unwrap();
    let header = "header = { name = 'Authorization', value_file = 'otlp' }\n";
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        more: "[respond.actions]\nin_force_after = '1s'\n[snapshots]\ninterval_seconds = 1\n[lake]\ncommit_interval_ms = 100\n"
            .to_owned(),
        more_at_end: receiver.toml() + header,
        ..Setup::default()
    };
    let outrider = Outrider::start(directory.path(), &setup);
    let consumer = runtime.block_on(async {
        admin.service("shop", "http://shop.practice/", "/shop").await.unwrap();
        admin.key_auth("shop").await.unwrap();
        admin.tcp_log(outrider.sources[0]).await.unwrap();
        let consumer = admin.consumer("alice", "key-alice").await.unwrap();
        practice.refresh();
        consumer
    });
    let call = || {
        runtime.block_on(async {
            let url = format!("http://{}/shop/items/7", practice.proxy_address());
            reqwest::Client::new().get(url).header("apikey", "key-alice").send().await.unwrap().status().as_u16()
        })
    };
    assert_eq!(call(), 200);
    outrider.await_calls(1);

    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let body = json!({
        "target": {"kind": "consumer", "gateway": "kong", "value": consumer}, "duration": "1h", "reason": "a test"
    });
    let headers = [("traceparent", &*format!("00-{trace}-{parent}-01"))];
    let (status, action) = outrider.request_with("POST", "/api/v1/actions", Some(&body), &headers);
    assert!(matches!(status, 200 | 201), "{action}");
    let id = action["id"].as_str().unwrap().to_owned();
    let state = || outrider.get(&format!("/api/v1/actions/{id}"))["state"].as_str().unwrap().to_owned();
    wait_for("the action in force", || {
        call();
        (state() == "in_force").then_some(())
    });
    receiver.await_span("run", "action");
    let release = json!({"reason": "enough"});
    assert_eq!(outrider.request("POST", &format!("/api/v1/actions/{id}/release"), Some(&release)).0, 200);
    wait_for("the release", || (state() == "released").then_some(()));
    let not_told = [("traceparent", &*format!("00-{trace}-{parent}-00"))];
    outrider.request_with("GET", "/api/v1/policies", None, &not_told);
    let (_, metrics) = outrider.request("GET", "/metrics", None);
    assert!(metrics.as_str().unwrap().contains("outrider_tracing_spans_dropped_total 0.0"), "{metrics}");
    assert!(outrider.get("/api/v1/status")["tracing"]["exported"].as_u64().unwrap() > 0);
    let action = outrider.get(&format!("/api/v1/actions/{id}"));
    assert_quiet(&outrider.stop(), &[]);

    let spans = receiver.spans();
    let of_action = trace_of(&spans, &id);
    let one = |name: &str| of_action.get(name).unwrap_or_else(|| panic!("{name} is not in {of_action:#?}"))[0].clone();
    let at = |index: usize| action["history"][index]["at_ms"].as_u64().unwrap();
    let root = one("action");
    assert_eq!((root.from_ms, one("pending").from_ms, one("pending").to_ms), (at(0), at(0), at(1)));
    assert_eq!((one("stored").from_ms, one("stored").to_ms, root.to_ms), (at(1), at(2), at(2)));
    assert_eq!((root.attributes["outrider.consumer.id"].as_str(), root.is_error), (consumer.as_str(), false));
    assert_eq!(root.attributes["outrider.action.state"], "in_force");
    let [decide, releasing] = [one("decide"), one("releasing")];
    assert!(decide.from_ms == root.from_ms && decide.to_ms <= root.to_ms, "{decide:#?}");
    let [write, delete] = of_action["reconcile"].as_slice() else { panic!("{of_action:#?}") };
    for (reconcile, change, around) in [(write, "write", one("pending")), (delete, "delete", releasing)] {
        assert_eq!(reconcile.attributes["outrider.change"], change);
        assert!(around.from_ms <= reconcile.from_ms && reconcile.to_ms <= around.to_ms, "{reconcile:#?} {around:#?}");
    }
    for (call, status, reconcile) in [("POST /plugins", "201", write), ("DELETE /plugins/{id}", "204", delete)] {
        let call = one(call);
        assert_eq!((&call.parent, call.attributes["http.response.status_code"].as_str()), (&reconcile.id, status));
        assert!(reconcile.from_ms <= call.from_ms && call.to_ms <= reconcile.to_ms);
    }

    let of_client: Vec<_> = spans.iter().filter(|span| span.trace == trace).collect();
    let [request] = of_client.as_slice() else { panic!("{of_client:#?}") };
    assert_eq!((request.name.as_str(), request.parent.as_str()), ("POST /api/v1/actions", parent));
    assert_eq!((request.kind, request.attributes["http.response.status_code"].as_str()), (SpanKind::Server, "201"));
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    for name in ["GET /api/v1/actions/{id}", "POST /api/v1/actions/{id}/release", "snapshot", "lake_commit", "log_cut"]
    {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    for span in spans.iter().flat_map(|span| span.attributes.values().chain([&span.name])) {
        assert!(!["key-alice", "/shop", "/items", "root"].iter().any(|raw| span.contains(raw)), "{span}");
    }
    for head in receiver.heads.lock().unwrap().iter() {
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(
            head.contains("authorization: Bearer of-traces\r\n") && head.contains("application/x-protobuf"),
            "{head}"
        );
    }
    runtime.block_on(practice.stop());
}

#[test]
fn three_services_put_an_action_into_one_trace_without_passing_it_on() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let alice = runtime.block_on(practice.admin().consumer("alice", "key-alice")).unwrap();
    let receiver = Receiver::start(true);
    let mut site = Site::new();
    site.more = receiver.toml();
    site.trust("ca");
    let platform = site.platform();
    site.identity("responder");
    site.identity("collector");
    let responder = site.responder("responder", &format!("http://{}", practice.admin_address()));
    let collector = site.collector();
    collector.send(&[line("alice", "GET", "/shop/items/1", 200, now_ms())]);
    platform.await_calls(1);
    let id = act(&platform, &alice, "5s");
    let state = || platform.get(&format!("/api/v1/actions/{id}"))["state"].clone();
    wait_for("its end", || (state() == "released").then_some(()));
    collector.stop();
    responder.stop();
    platform.stop();

    let spans = receiver.spans();
    let shipment = spans.iter().find(|span| span.name == "shipment").unwrap();
    assert_eq!((shipment.role.as_str(), shipment.attributes["outrider.calls"].as_str()), ("collector", "1"));
    let of_action = trace_of(&spans, &id);
    let of_roles: Vec<_> = of_action
        .iter()
        .map(|(name, spans)| (name.as_str(), spans.iter().map(|span| span.role.as_str()).collect::<Vec<_>>()))
        .collect();
    let expected = [
        ("DELETE /plugins/{id}", vec!["responder"]),
        ("GET /consumers/{id}/plugins", vec!["responder"]),
        ("GET /plugins/{id}", vec!["responder"]),
        ("POST /plugins", vec!["responder"]),
        ("action", vec!["platform"]),
        ("decide", vec!["platform"]),
        ("pending", vec!["platform"]),
        ("reconcile", vec!["responder"; 2]),
        ("releasing", vec!["platform"]),
        ("stored", vec!["platform"]),
    ];
    assert_eq!(of_roles, expected);
    runtime.block_on(practice.stop());
}

#[test]
fn a_collector_that_never_answers_delays_nothing_and_none_is_asked_without_an_address() {
    let receiver = Receiver::start(false);
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { more_at_end: receiver.toml(), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &setup);
    outrider.get("/api/v1/status");
    wait_for("the first request", || receiver.heads.lock().unwrap().first().map(drop));
    outrider.send(&[line("alice", "GET", "/shop/items/1", 200, now_ms())]);
    outrider.await_calls(1);
    assert_eq!(outrider.get("/api/v1/status")["tracing"], json!({"exported": 0, "dropped": 0}));
    let lines = outrider.stop();
    // It ends although nothing was ever taken, and says what is lost.
    assert!(lines.iter().any(|line| line.contains("the last traces were not taken in time")), "{lines:#?}");
    assert_quiet(&lines, &["the last traces were not taken in time"]);

    // The environment's usual names mean nothing here: who sends what to whom stands in the configuration.
    let receiver = Receiver::start(true);
    let endpoint = format!("http://{}", receiver.address);
    let toml = Setup::default().toml(&directory.path().join("data"));
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let outrider = Outrider::start_with("run", directory.path(), &toml, &environment);
    assert!(outrider.get("/api/v1/status")["tracing"].is_null());
    assert_quiet(&outrider.stop(), &[]);
    assert!(receiver.heads.lock().unwrap().is_empty());
}
