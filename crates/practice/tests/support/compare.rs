//! Answers and log lines of two gateways side by side.

use std::collections::BTreeMap;

use serde_json::Value;

/// A parsed answer: status line, headers by lower case name, body.
fn parts(response: &str) -> (String, BTreeMap<String, String>, String) {
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((response, ""));
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default().to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    (status, headers, body.to_owned())
}

/// What differs between two answers, besides times, generated ids and the service's own answer.
pub fn answer_differences(kong: &str, ours: &str) -> Vec<String> {
    let (kong_status, kong_headers, kong_body) = parts(kong);
    let (status, headers, body) = parts(ours);
    if kong_status != status {
        return vec![format!("answer: {status} where Kong says {kong_status}: {body}")];
    }
    let mut found = Vec::new();
    let by_service = kong_headers.contains_key("x-kong-upstream-latency");
    for name in kong_headers.keys().chain(headers.keys()) {
        let (kong, ours) = (kong_headers.get(name), headers.get(name));
        let is_masked = match name.as_str() {
            "date" | "x-kong-request-id" => true,
            "server" | "content-length" | "content-type" => by_service,
            _ => name.ends_with("-latency") || is_reset(name),
        };
        if kong.is_some() != ours.is_some() || (!is_masked && kong != ours) {
            found.push(format!("header {name}: {ours:?} where Kong says {kong:?}"));
        }
    }
    let id = |headers: &BTreeMap<String, String>| headers.get("x-kong-request-id").cloned().unwrap_or_default();
    let (kong_body, body) = (kong_body.replace(&id(&kong_headers), "ID"), body.replace(&id(&headers), "ID"));
    if !by_service && kong_body != body {
        found.push(format!("body: {body} where Kong says {kong_body}"));
    }
    found
}

fn is_reset(name: &str) -> bool {
    matches!(name, "ratelimit-reset" | "retry-after")
}

/// What differs between two log lines, besides times, generated ids and the service's own answer.
pub fn line_differences(kong: &Value, ours: &Value, port: u16) -> Vec<String> {
    let mut found = Vec::new();
    let by_service = kong["tries"].as_array().is_some_and(|tries| !tries.is_empty());
    walk("", kong, ours, &mut |place, kong, ours| {
        if !masked(place, kong, ours, by_service, port) && kong != ours {
            found.push(format!("line {place}: {ours} where Kong says {kong}"));
        }
    });
    // The size counts the digits of a latency, which differ from call to call.
    let digits =
        |line: &Value| line["response"]["headers"]["x-kong-response-latency"].as_str().map_or(0, str::len) as u64;
    let resets = |line: &Value| {
        let headers = ["ratelimit-reset", "retry-after"].map(|name| &line["response"]["headers"][name]);
        headers.iter().map(|value| value.as_str().map_or(0, str::len) as u64).sum::<u64>()
    };
    let size = |line: &Value| {
        line["response"]["size"].as_u64().unwrap_or_default().saturating_sub(digits(line) + resets(line))
    };
    if !by_service && size(kong) != size(ours) {
        found.push(format!("line /response/size: {} where Kong says {}", size(ours), size(kong)));
    }
    found
}

/// Visits every place of either value.
fn walk(place: &str, kong: &Value, ours: &Value, visit: &mut impl FnMut(&str, &Value, &Value)) {
    match (kong, ours) {
        (Value::Object(kong), Value::Object(ours)) => {
            for name in kong.keys().chain(ours.keys().filter(|name| !kong.contains_key(*name))) {
                let missing = Value::from("(missing)");
                let (kong, ours) = (kong.get(name).unwrap_or(&missing), ours.get(name).unwrap_or(&missing));
                walk(&format!("{place}/{name}"), kong, ours, visit);
            }
        }
        (Value::Array(kong), Value::Array(ours)) if kong.len() == ours.len() => {
            for (at, (kong, ours)) in kong.iter().zip(ours).enumerate() {
                walk(&format!("{place}/{at}"), kong, ours, visit);
            }
        }
        _ => visit(place, kong, ours),
    }
}

/// Whether a place holds something that differs from run to run, of the right type.
fn masked(place: &str, kong: &Value, ours: &Value, by_service: bool, port: u16) -> bool {
    let numbers = kong.is_number() && ours.is_number();
    let texts = kong.is_string() && ours.is_string() && *kong != "(missing)" && *ours != "(missing)";
    let last = place.rsplit('/').next().unwrap_or_default();
    match place {
        "/latencies/proxy" => numbers && (*kong == -1) == (*ours == -1),
        "/request/id" | "/workspace" => texts && kong.as_str().map(str::len) == ours.as_str().map(str::len),
        "/response/size" => numbers,
        "/request/url" => {
            let without_port = |url: &Value| {
                let url = url.as_str().unwrap_or_default().to_owned();
                ["18000", "18300"]
                    .iter()
                    .fold(url.replace(&format!(":{port}/"), ":/"), |url, port| url.replace(&format!(":{port}/"), ":/"))
            };
            without_port(kong) == without_port(ours)
        }
        "/service/host" => texts,
        "/response/headers/content-type"
        | "/response/headers/content-length"
        | "/response/headers/server"
        | "/response/headers/date" => by_service && texts,
        "/service/port" => numbers,
        _ if last.ends_with("_at") || place.starts_with("/latencies/") => numbers,
        _ if place.starts_with("/tries/") && last.starts_with("balancer_") => numbers,
        _ if place.starts_with("/tries/") && last == "port" => numbers,
        _ => (last == "ws_id" || last.ends_with("-latency") || last == "x-kong-request-id" || is_reset(last)) && texts,
    }
}
