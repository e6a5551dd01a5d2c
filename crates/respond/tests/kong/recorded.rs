//! The client held to exchanges that were recorded with Kong 3.9.1: what it sends was accepted, what it got is understood.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use outrider_model::{ActionId, ActionKind, ActionScope, DesiredAction, FailureReason};
use outrider_respond::gateways::kong::{
    AdminApi as _, AdminClient, AdminSettings, DesiredPlugin, LogKind, LogSource, fold, look_at,
};
use outrider_respond::gateways::{Clock, GatewayError};
use serde_json::{Value, json};

use crate::server::{Asked, Reply, Server};

struct Exchange {
    name: String,
    method: String,
    path: String,
    request: Value,
    status: u16,
    body: Value,
    raw_answer: Vec<u8>,
}

/// The recorded exchanges, or `None` where they are not at hand.
fn exchanges() -> Option<Vec<Exchange>> {
    let mut all = Vec::new();
    for set in ["admin", "admin-2"] {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/kong").join(set);
        let Ok(index) = std::fs::read_to_string(folder.join("index.jsonl")) else {
            println!("skipped: shared/kong/{set} is missing");
            return None;
        };
        for line in index.lines() {
            let mut entry: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            let (name, method, path) = (text("name"), text("method"), text("path"));
            let prefix = format!("{:03}-", entry["n"].as_u64().unwrap());
            let file = std::fs::read_dir(&folder)
                .unwrap()
                .map(|file| file.unwrap().path())
                .find(|file| file.file_name().unwrap().to_string_lossy().starts_with(&prefix))
                .unwrap();
            let bytes = std::fs::read(file).unwrap();
            let marker = b"<<< RESPONSE\n";
            let at = bytes.windows(marker.len()).position(|window| window == marker).unwrap() + marker.len();
            all.push(Exchange {
                name,
                method,
                path,
                request: entry["req_body"].take(),
                status: u16::try_from(entry["status"].as_u64().unwrap()).unwrap(),
                body: entry["body"].take(),
                raw_answer: bytes[at..].to_vec(),
            });
        }
    }
    Some(all)
}

fn action(scope: ActionScope) -> DesiredAction {
    DesiredAction {
        id: ActionId(1),
        workspace: "default".to_owned(),
        consumer_id: "4a1b0174-7a28-4522-85ab-bd16cb2c9adc".to_owned(),
        consumer_name: "mallory".to_owned(),
        scope,
        kind: ActionKind::Block { status: 403, message: "Blocked".to_owned() },
        expires_ms: Some(1_800_000_000_000),
        by_person: false,
    }
}

fn wanted(scope: ActionScope) -> DesiredPlugin {
    fold("home", &[action(scope)], 0).remove(0)
}

async fn answered_with(raw: &[u8]) -> (AdminClient, Server) {
    let server = Server::start(vec![Reply::Bytes(raw.to_vec())]).await;
    (AdminClient::new(&AdminSettings::new(&server.url)).unwrap(), server)
}

/// How the client would have asked this, and what it made of the answer.
async fn ask(exchange: &Exchange) -> Option<(Result<Option<()>, GatewayError>, Asked)> {
    let (client, server) = answered_with(&exchange.raw_answer).await;
    let plugin = wanted(ActionScope::Consumer);
    let path = exchange.path.split('?').next().unwrap();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let outcome = match (exchange.method.as_str(), parts.as_slice()) {
        ("GET", []) => client.node().await.map(|_| Some(())),
        ("GET", ["plugins"]) => client.plugins_tagged(&["outrider"]).await.map(|_| Some(())),
        ("GET", ["plugins", "enabled"]) => return None,
        ("GET", ["plugins", id]) => client.plugin(id).await.map(|found| found.map(drop)),
        ("GET", ["consumers", id]) => client.consumer(id).await.map(|found| found.map(drop)),
        ("GET", ["consumers", id, "plugins"]) => client.consumer_plugins(id).await.map(|found| found.map(drop)),
        ("GET", ["services", id, "plugins"]) => client.service_plugins(id).await.map(|found| found.map(drop)),
        ("GET", ["routes", id, "plugins"]) => client.route_plugins(id).await.map(|found| found.map(drop)),
        ("GET", ["routes"]) => client.routes().await.map(|_| Some(())),
        ("GET", ["services"]) => client.services().await.map(|_| Some(())),
        ("POST", [.., "plugins"]) => client.create_plugin(&plugin.to_write(true)).await.map(|_| Some(())),
        ("PUT", [.., "plugins", id]) => client.replace_plugin(id, &plugin.to_write(false)).await.map(|_| Some(())),
        ("PATCH", ["plugins", id]) => client.patch_plugin(id, &json!({})).await.map(|found| found.map(drop)),
        ("DELETE", ["plugins", id]) => client.delete_plugin(id).await.map(Some),
        _ => return None,
    };
    let asked = server.asked().remove(0);
    Some((outcome, asked))
}

#[tokio::test]
async fn every_recorded_answer_is_understood() {
    let Some(exchanges) = exchanges() else { return };
    let mut judged: BTreeMap<String, usize> = BTreeMap::new();
    for exchange in exchanges {
        let Some((outcome, _)) = ask(&exchange).await else { continue };
        let name = format!("{} {} {}", exchange.name, exchange.method, exchange.path);
        let has_next = exchange.body["next"].is_string();
        let kind = match (exchange.status, outcome) {
            (200 | 201 | 204, Ok(Some(()))) => "done",
            // The script has one page only and repeats it, which the client must not take for a whole list.
            (200, Err(GatewayError::UnexpectedAnswer { detail, .. })) if has_next => {
                assert!(detail.contains("do not end"), "{name}: {detail}");
                "a first page"
            }
            (404, Ok(None)) => "not found",
            (recorded, Err(GatewayError::Kong { status, code, message, fields, .. })) => {
                assert_eq!(status, recorded, "{name}");
                assert_eq!(code.map(u64::from), exchange.body["code"].as_u64(), "{name}");
                let (message, said) = (message.trim_end_matches('…'), exchange.body["message"].as_str().unwrap());
                assert!(
                    said.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(message),
                    "{name}: {message}"
                );
                assert_eq!(*fields, exchange.body["fields"], "{name}");
                "refused"
            }
            (415, Err(GatewayError::UnexpectedAnswer { status: 415, .. })) => "HTML",
            (status, outcome) => panic!("{name}: {status} became {outcome:?}"),
        };
        *judged.entry(kind.to_owned()).or_default() += 1;
    }
    println!("{judged:?}");
    for (kind, at_least) in [("done", 60), ("not found", 6), ("refused", 40), ("HTML", 2), ("a first page", 1)] {
        assert!(judged.get(kind).copied().unwrap_or(0) >= at_least, "{kind}: {judged:?}");
    }
}

#[tokio::test]
async fn recorded_refusals_become_the_right_reasons() {
    let Some(exchanges) = exchanges() else { return };
    type IsRight = fn(&FailureReason) -> bool;
    let cases: &[(&str, IsRight)] = &[
        ("rt-unknown-consumer-fk", |reason| matches!(reason, FailureReason::TargetGone { .. })),
        ("rt-bad-status", |reason| matches!(reason, FailureReason::Refused { status: 400, .. })),
        ("rt-consumer-notuuid-fk", |reason| matches!(reason, FailureReason::Refused { status: 400, .. })),
        ("plugin-unknown", |reason| matches!(reason, FailureReason::Refused { status: 400, .. })),
        ("rt-dup", |reason| matches!(reason, FailureReason::Refused { status: 409, .. })),
        ("dbless-post-plugin", |reason| *reason == FailureReason::ReadOnlyGateway),
        ("dbless-put-plugin", |reason| *reason == FailureReason::ReadOnlyGateway),
        ("dbless-delete-plugin", |reason| *reason == FailureReason::ReadOnlyGateway),
        ("dbless-tags", |reason| matches!(reason, FailureReason::Refused { status: 500, .. })),
        ("no-content-type", |reason| matches!(reason, FailureReason::UnexpectedAnswer { status: 415, .. })),
    ];
    for (name, is_right) in cases {
        let exchange = exchanges.iter().find(|exchange| exchange.name == *name).unwrap();
        let (outcome, _) = ask(exchange).await.unwrap();
        let reason = outcome.unwrap_err().reason();
        assert!(is_right(&reason), "{name}: {reason:?}");
    }
}

#[tokio::test]
async fn what_is_sent_has_a_recorded_accepted_form() {
    let Some(exchanges) = exchanges() else { return };
    let accepted = |method: &str, path_ends: &[&str]| -> Vec<&Exchange> {
        let matches = |path: &str| {
            let parts: Vec<&str> = path.split('?').next().unwrap().split('/').filter(|part| !part.is_empty()).collect();
            parts.len() == path_ends.len()
                && parts.iter().zip(path_ends).all(|(part, pattern)| *pattern == "*" || part == pattern)
        };
        exchanges
            .iter()
            .filter(|exchange| exchange.method == method && exchange.status < 300 && matches(&exchange.path))
            .collect()
    };
    // Calls without a body: the form is method and path.
    for (method, path) in [
        ("GET", vec![]),
        ("GET", vec!["plugins"]),
        ("GET", vec!["plugins", "*"]),
        ("GET", vec!["consumers", "*"]),
        ("GET", vec!["consumers", "*", "plugins"]),
        ("GET", vec!["services"]),
        ("GET", vec!["routes"]),
        ("GET", vec!["services", "*", "plugins"]),
        ("GET", vec!["routes", "*", "plugins"]),
        ("DELETE", vec!["plugins", "*"]),
    ] {
        assert!(!accepted(method, &path).is_empty(), "{method} {path:?} was never recorded as accepted");
    }
    // Writes: each field that we send was accepted with the same type, in the same kind of call.
    let raw = exchanges.iter().find(|exchange| exchange.name == "rt-post-own-id").unwrap().raw_answer.clone();
    let scopes = [
        ActionScope::Consumer,
        ActionScope::Service { id: "b7275335-eff7-41b8-9323-9585f79c1817".to_owned(), name: String::new() },
        ActionScope::Route { id: "aff9bda5-054c-4704-9126-004dc4fb9bc7".to_owned(), name: String::new() },
    ];
    for scope in scopes {
        let plugin = wanted(scope);
        let (client, server) = answered_with(&raw).await;
        let _ = client.create_plugin(&plugin.to_write(true)).await;
        let _ = client.replace_plugin(&plugin.id, &plugin.to_write(false)).await;
        for asked in server.asked() {
            let headers: Vec<String> = asked.headers.iter().map(|line| line.to_lowercase()).collect();
            assert!(headers.contains(&"content-type: application/json".to_owned()), "{headers:?}");
            let body: Value = serde_json::from_slice(&asked.body).unwrap();
            // A plugin's fields are the same schema below /plugins and below a consumer; PUT takes what POST takes.
            let mut forms: Vec<&Exchange> = accepted("POST", &["plugins"]);
            forms.extend(accepted("POST", &["consumers", "*", "plugins"]));
            forms.extend(accepted("PUT", &["plugins", "*"]));
            let known: BTreeSet<String> = forms.iter().flat_map(|form| fields_of("", &form.request)).collect();
            for field in fields_of("", &body) {
                assert!(
                    known.contains(&field),
                    "{} {}: `{field}` was never recorded as accepted",
                    asked.method,
                    asked.path
                );
            }
        }
    }
    // Names of consumers in paths are escaped as the recorded client did.
    let escaped = exchanges.iter().find(|exchange| exchange.name == "consumer-get-pct").unwrap();
    let (client, server) = answered_with(&escaped.raw_answer).await;
    let consumer = client.consumer("josé martínez/ops").await.unwrap().unwrap();
    assert_eq!(consumer.username.as_deref(), Some("josé martínez/ops"));
    assert_eq!(server.asked()[0].path, escaped.path);
}

/// The paths of all fields with their types.
fn fields_of(path: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| fields_of(&format!("{path}.{name}"), value)).collect()
        }
        Value::Array(values) => values.iter().flat_map(|value| fields_of(&format!("{path}[]"), value)).collect(),
        Value::String(_) => vec![format!("{path}: text")],
        Value::Number(_) => vec![format!("{path}: number")],
        Value::Bool(_) => vec![format!("{path}: bool")],
        Value::Null => vec![format!("{path}: null")],
    }
}

#[tokio::test]
async fn a_node_says_what_it_is() {
    let Some(exchanges) = exchanges() else { return };
    for (name, writable) in [("root", true), ("dbless-root", false)] {
        let exchange = exchanges.iter().find(|exchange| exchange.name == name).unwrap();
        let (client, _server) = answered_with(&exchange.raw_answer).await;
        let node = client.node().await.unwrap();
        assert_eq!((node.version.as_str(), node.edition.as_deref()), ("3.9.1", Some("community")));
        assert_eq!((node.is_writable(), node.can_block()), (writable, true), "{name}");
        assert_eq!(node.in_force_after().as_secs(), 5);
        assert_eq!(node.in_force_in_cluster_after().as_secs(), 10);
    }
}

/// `Mon, 23 Nov 2026 15:39:34 GMT`, when the recording began.
struct RecordedTime;

impl Clock for RecordedTime {
    fn now_ms(&self) -> i64 {
        1_795_448_374_000
    }
}

#[tokio::test]
async fn a_look_at_a_gateway_shows_its_clock_its_database_and_its_log() {
    let Some(exchanges) = exchanges() else { return };
    let answer = |name: &str| {
        let exchange = exchanges.iter().find(|exchange| exchange.name == name).unwrap();
        Reply::Bytes(exchange.raw_answer.clone())
    };
    let names = ["root", "status", "consumers-list", "plugins-list", "services-list", "routes-list"];
    let server = Server::start(names.map(answer).into()).await;
    let admin = AdminClient::new(&AdminSettings::new(&server.url)).unwrap();
    let source = LogSource { kind: LogKind::Tcp, listen: ([127, 0, 0, 1], 18_514).into(), is_tls: false, secret: None };
    let facts = look_at(&admin, &RecordedTime, "home", &[source]).await.unwrap();
    let offset_ms = facts.clock_offset_ms.unwrap();
    assert!((-1000..=1000).contains(&offset_ms), "{offset_ms}");
    assert_eq!((facts.is_database_reachable, &facts.consumers), (Some(true), &Ok(())));
    assert_eq!(server.asked()[2].path, "/consumers");
    assert!(facts.node.configuration.trusted_ips.is_empty());
    assert_eq!(facts.node.configuration.real_ip_header, "X-Real-IP");
    let log = facts.log.unwrap();
    assert_eq!(log.plugins.len(), 1, "{log:?}");
    assert_eq!((log.unseen.len(), log.seen_services.len(), log.sees_unrouted), (0, 3, true), "{log:?}");
}
