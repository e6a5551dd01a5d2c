//! The log line of one call, with exactly the fields of Kong 3.9.1 (FACTS, section 1).

use serde_json::{Value, json};

use super::fields;
use crate::core::Core;
use crate::proxy::exchange::{Answer, Exchange, Headers, Source, Try, add};
use crate::schema::Object;

/// The line, without a line feed; `None` when a custom field loses it.
pub(crate) fn line(
    core: &Core,
    custom_fields: &[(String, Value)],
    exchange: &Exchange,
    answer: &Answer,
    judged_ms: i64,
    size: u64,
) -> Option<Vec<u8>> {
    let mut line = root(core, exchange, answer, judged_ms, size);
    for (name, value) in custom_fields {
        if !fields::set(&mut line, name, value) {
            return None;
        }
    }
    serde_json::to_vec(&line).ok()
}

fn root(core: &Core, exchange: &Exchange, answer: &Answer, judged_ms: i64, size: u64) -> Object {
    let statuses: Vec<String> = exchange.upstream_status.iter().map(u16::to_string).collect();
    let mut line = Object::new();
    let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
    put("request", request(exchange, answer));
    put("response", json!({ "status": answer.status, "headers": response_headers(answer), "size": size }));
    put("upstream_uri", exchange.upstream_uri.as_str().into());
    put("upstream_status", statuses.join(", ").into());
    put(
        "latencies",
        json!({
            "kong": judged_ms,
            "proxy": answer.waited_ms.unwrap_or(-1),
            "request": core.clock.now_ms() - exchange.started_ms,
            "receive": 0,
        }),
    );
    put("client_ip", exchange.client.ip().to_canonical().to_string().into());
    put("started_at", exchange.started_ms.into());
    put("source", if answer.source == Source::Kong { "kong" } else { "upstream" }.into());
    put("workspace", core.workspace.as_str().into());
    put("workspace_name", "default".into());
    if let Some(matched) = &exchange.matched {
        put("tries", exchange.tries.iter().map(shown_try).collect());
        put("route", row(&matched.route.row, &core.workspace));
    }
    if let Some(service) = exchange.service() {
        put("service", row(&service.row, &core.workspace));
    }
    if let Some(consumer) = &exchange.consumer {
        put("consumer", without_nulls(consumer).into());
    }
    if let Some(credential) = &exchange.credential {
        put("authenticated_entity", json!({ "id": credential }));
    }
    line
}

fn request(exchange: &Exchange, answer: &Answer) -> Value {
    // nginx counts a body only once it has read it, which it does to send it on.
    let body_bytes = if answer.waited_ms.is_some() { exchange.body.len() as u64 } else { 0 };
    let mut headers: Headers = exchange.headers.clone();
    for name in ["authorization", "proxy-authorization"] {
        if headers.first(name).is_some() {
            headers.set(name, "REDACTED");
        }
    }
    json!({
        "id": exchange.id,
        "uri": exchange.uri,
        "url": format!("http://{}:{}{}", exchange.host.to_lowercase(), exchange.port, exchange.uri),
        "querystring": exchange.arguments(),
        "method": exchange.method,
        "headers": headers.shown(),
        "size": exchange.head_bytes + body_bytes,
    })
}

/// In the log the connection always closes, whatever the client sees.
fn response_headers(answer: &Answer) -> Object {
    let mut headers = Object::new();
    for (name, value) in &answer.headers {
        add(&mut headers, &name.to_ascii_lowercase(), value.as_str().into());
    }
    headers.insert("connection".to_owned(), "close".into());
    headers
}

fn shown_try(attempt: &Try) -> Value {
    let start_ms = attempt.start_ns / 1_000_000;
    // Lua has no whole numbers of this size, so this one is written as a float.
    let start_ns = attempt.start_ns as f64;
    let mut shown = json!({
        "ip": attempt.ip,
        "port": attempt.port,
        "balancer_start": start_ms,
        "balancer_start_ns": start_ns,
        "balancer_latency": 0,
        "balancer_latency_ns": 0,
    });
    if let Some(status) = attempt.failed {
        shown["state"] = "failed".into();
        shown["code"] = status.into();
    }
    shown
}

/// A route or a service as a log line shows it: without nulls, with its workspace.
pub(crate) fn row(row: &Object, workspace: &str) -> Value {
    let mut shown = without_nulls(row);
    shown.insert("ws_id".to_owned(), workspace.into());
    shown.into()
}

fn without_nulls(row: &Object) -> Object {
    row.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())).collect()
}
