//! Holds what clients see, and what the log says about it, to recordings of a real Kong 3.9.1.
//!
//! Each scenario repeats recorded Admin API requests to set a gateway up, then sends recorded client requests, byte for
//! byte where they were recorded so, and compares the answer (status, reason, header names and values, body) and the
//! log line (every field and its type; every value that does not hold a time, a generated id or the service's answer).
//!
//! With `OUTRIDER_KONG_ADMIN` and `OUTRIDER_KONG_PROXY` (both `http://ADDRESS:PORT`) the same scenarios run against a
//! real, empty Kong whose services answer on port 18080 of the same machine; that takes minutes, because a real Kong
//! takes its five seconds to notice each change.

#![allow(clippy::print_stdout)]

mod support;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use outrider_practice::{Clock, Practice, Settings};
use serde_json::{Value, json};
use support::compare::{answer_differences, line_differences};
use support::lines::{lines_of, recorded_calls, recorded_lines, request_of};
use support::recorded::{Recorded, read};
use support::{Listener, call, recordings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The consumers and keys that all recordings share: exchanges of the first suite.
const CONSUMERS: &[u64] = &[15, 16, 17, 18, 19, 20];
const ANONYMOUS: &str = "da365317-adf7-4692-aa96-f5183e1c78ee";

/// A gateway under test, with a listener for its log.
struct Gateway {
    proxy: SocketAddr,
    admin: SocketAddr,
    practice: Option<Practice>,
    listener: Listener,
    recordings: PathBuf,
    created: Vec<String>,
    compared: usize,
    mismatches: Vec<String>,
}

impl Gateway {
    /// `None` when there are no recordings.
    async fn start() -> Option<Gateway> {
        let recordings = recordings()?;
        let listener = Listener::start().await;
        let real = |name: &str| {
            let url = std::env::var(name).ok()?;
            url.trim_start_matches("http://").trim_end_matches('/').parse::<SocketAddr>().ok()
        };
        let (proxy, admin, practice) = match (real("OUTRIDER_KONG_PROXY"), real("OUTRIDER_KONG_ADMIN")) {
            (Some(proxy), Some(admin)) => (proxy, admin, None),
            _ => {
                let settings = Settings { clock: Clock::manual(1_795_448_400_000), ..Settings::default() };
                let practice = Practice::start(settings).await.expect("a practice gateway");
                (practice.proxy_address(), practice.admin_address(), Some(practice))
            }
        };
        let (created, mismatches) = (Vec::new(), Vec::new());
        let mut gateway = Gateway { proxy, admin, practice, listener, recordings, created, compared: 0, mismatches };
        gateway.apply("admin", CONSUMERS).await;
        gateway.post("/consumers", json!({ "id": ANONYMOUS, "username": "anonymous" })).await;
        let config = json!({ "host": "127.0.0.1", "port": gateway.listener.address.port() });
        gateway.post("/plugins", json!({ "name": "tcp-log", "config": config })).await;
        Some(gateway)
    }

    /// Repeats recorded Admin API requests.
    async fn apply(&mut self, suite: &str, numbers: &[u64]) {
        let exchanges = read(&self.recordings.join(suite));
        for number in numbers {
            let exchange = exchanges.iter().find(|exchange| exchange.number == *number).expect("a recorded exchange");
            self.send(exchange).await;
        }
        self.settle().await;
    }

    async fn send(&mut self, exchange: &Recorded) {
        let mut body = exchange.body();
        if self.practice.is_some() {
            body = body.replace("http://127.0.0.1:18080", "http://echo.practice");
            if exchange.path == "/services" {
                body = body.replace(r#""host":"127.0.0.1""#, r#""host":"echo.practice""#);
            }
        }
        body = body.replace(r#""port":18516"#, &format!(r#""port":{}"#, self.listener.address.port()));
        let headers: Vec<(&str, &str)> =
            exchange.content_type.iter().map(|content_type| ("Content-Type", content_type.as_str())).collect();
        let answer = call(self.admin, &exchange.method, &exchange.path, &headers, body.as_bytes()).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, exchange.status, "{}: {answer:?}", exchange.name);
        self.note(&answer.json());
    }

    async fn post(&mut self, path: &str, document: Value) -> String {
        let headers = [("Content-Type", "application/json")];
        let answer =
            call(self.admin, "POST", path, &headers, document.to_string().as_bytes()).await.expect("an answer");
        assert_eq!(answer.status, 201, "{answer:?}");
        self.note(&answer.json());
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    async fn delete(&mut self, path: &str) {
        call(self.admin, "DELETE", path, &[], b"").await.expect("an answer");
    }

    fn note(&mut self, entity: &Value) {
        let table = match entity {
            _ if entity.get("config").is_some() => "plugins",
            _ if entity.get("paths").is_some() => "routes",
            _ if entity.get("retries").is_some() => "services",
            _ if entity.get("username").is_some() => "consumers",
            _ => return,
        };
        self.created.push(format!("/{table}/{}", entity["id"].as_str().expect("an id")));
    }

    /// Waits until every worker has taken over what is stored.
    async fn settle(&self) {
        match &self.practice {
            Some(practice) => practice.refresh(),
            None => tokio::time::sleep(Duration::from_millis(5_500)).await,
        }
    }

    /// Sends a request as it stands and gives back the answer as it came, with the log line.
    async fn exchange(&mut self, request: &[u8]) -> (String, Value) {
        let mut stream = TcpStream::connect(self.proxy).await.expect("the proxy");
        stream.write_all(request).await.expect("a request");
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.expect("an answer");
        let line = self.listener.json().await;
        (String::from_utf8_lossy(&response).into_owned(), line)
    }

    fn report(&mut self, case: &str, found: Vec<String>) {
        self.compared += 1;
        if !found.is_empty() {
            self.mismatches.push(format!("{case}\n    {}", found.join("\n    ")));
        }
    }

    async fn finish(mut self, what: &str) {
        for path in std::mem::take(&mut self.created).into_iter().rev() {
            self.delete(&path).await;
        }
        println!("{what}: {} compared", self.compared);
        assert!(self.mismatches.is_empty(), "{} differ:\n{}", self.mismatches.len(), self.mismatches.join("\n"));
        if let Some(practice) = self.practice {
            practice.stop().await;
        }
    }
}

/// Sends every recorded call whose case passes the filter, and compares answers and lines.
async fn compare(gateway: &mut Gateway, file: &str, wanted: impl Fn(&str) -> bool) {
    let calls = recorded_calls(&gateway.recordings, wanted);
    assert!(!calls.is_empty(), "no recorded call passes the filter");
    let lines = recorded_lines(&gateway.recordings, file);
    for (case, request, recorded) in calls {
        let (response, line) = gateway.exchange(request.as_bytes()).await;
        let mut found = answer_differences(&recorded, &response);
        match lines.get(&case) {
            Some(recorded) => found.extend(line_differences(recorded, &line, gateway.proxy.port())),
            None => found.push("no recorded line".to_owned()),
        }
        gateway.report(&case, found);
    }
}

#[tokio::test]
async fn acl_refusals() {
    let Some(mut gateway) = Gateway::start().await else { return };
    let file = "lines/acl-refusals.ndjson";
    let services: Vec<u64> = (1..=17).filter(|number| !matches!(number, 9 | 10 | 14)).collect();
    gateway.apply("admin-2", &services).await;
    gateway.apply("admin-2", &[19, 22, 29, 30, 31, 33]).await;
    for group in ["acl-noauth-", "acl-key-", "acl-anon-", "acl-nopre-", "acl-rt-"] {
        compare(&mut gateway, file, |case| case.starts_with(group)).await;
    }
    gateway.apply("admin-2", &[49]).await;
    compare(&mut gateway, file, |case| case.starts_with("acl-anoningrp-")).await;
    gateway.finish("acl").await;
}

#[tokio::test]
async fn own_terminations() {
    let Some(mut gateway) = Gateway::start().await else { return };
    gateway.apply("admin-2", &[101, 102, 103]).await;
    for number in [104, 105, 106, 107, 108, 111, 112, 113] {
        gateway.apply("admin-2", &[number]).await;
        let exchanges = read(&gateway.recordings.join("admin-2"));
        let name = exchanges.iter().find(|exchange| exchange.number == number).expect("an exchange").name.clone();
        let cases = [name.clone(), format!("{name}-HEAD"), format!("{name}-POST")];
        compare(&mut gateway, "lines/rt-distinguish.ndjson", |case| cases.iter().any(|own| own == case)).await;
        let plugin = gateway.created.pop().expect("a plugin");
        gateway.delete(&plugin).await;
    }
    gateway.finish("terminations").await;
}

#[tokio::test]
async fn rate_limits() {
    let Some(mut gateway) = Gateway::start().await else { return };
    let file = "lines/rate-limit.ndjson";
    gateway.apply("admin-2", &[301, 302, 303, 304, 309, 310, 312, 313]).await;
    compare(&mut gateway, file, |case| case.starts_with("rl-cons-vs-svc-") || case == "rl-other-svc-bob").await;
    gateway.apply("admin-2", &[314, 315]).await;
    compare(&mut gateway, file, |case| case.starts_with("rl-rev-")).await;
    gateway.apply("admin-2", &[316]).await;
    compare(&mut gateway, file, |case| case.starts_with("rl-cs-bob-")).await;
    gateway.apply("admin-2", &[318, 319]).await;
    compare(&mut gateway, file, |case| case.starts_with("rl-err-bob-")).await;
    gateway.finish("rate limits").await;
}

#[tokio::test]
async fn address_restrictions() {
    let Some(mut gateway) = Gateway::start().await else { return };
    let file = "lines/ip-restriction.ndjson";
    gateway.apply("admin-2", &[303, 304, 305, 306, 310, 311]).await;
    gateway.apply("admin-2", &[320, 332]).await;
    compare(&mut gateway, file, |case| case.starts_with("ip-svc-")).await;
    gateway.apply("admin-2", &[333]).await;
    compare(&mut gateway, file, |case| case == "ip-route-over-svc").await;
    gateway.apply("admin-2", &[334]).await;
    let globals = ["ip-global-route-override", "ip-global-other", "ip-global-404"];
    compare(&mut gateway, file, |case| globals.contains(&case)).await;
    gateway.apply("admin-2", &[335]).await;
    compare(&mut gateway, file, |case| case == "ip-global-status").await;
    gateway.finish("addresses").await;
}

#[tokio::test]
async fn custom_fields() {
    let Some(mut gateway) = Gateway::start().await else { return };
    let file = "lines/custom-fields.ndjson";
    gateway.apply("admin-2", &[201, 202, 203, 221]).await;
    compare_first(&mut gateway, file, &["cf-const", "cf-const-401"]).await;
    for (number, case) in
        [(222, "cf-nested"), (223, "cf-overwrite-scalar"), (224, "cf-overwrite-nested"), (225, "cf-nil")]
    {
        gateway.apply("admin-2", &[number]).await;
        compare_first(&mut gateway, file, &[case, &format!("{case}-401")]).await;
    }
    gateway.finish("custom fields").await;
}

/// As [`compare`], where a case was sent more than once.
async fn compare_first(gateway: &mut Gateway, file: &str, cases: &[&str]) {
    for case in cases {
        let calls = recorded_calls(&gateway.recordings, |own| own == *case);
        let (_, request, recorded) = calls.into_iter().next().expect("a recorded call");
        let lines = recorded_lines(&gateway.recordings, file);
        let (response, line) = gateway.exchange(request.as_bytes()).await;
        let mut found = answer_differences(&recorded, &response);
        found.extend(line_differences(&lines[*case], &line, gateway.proxy.port()));
        gateway.report(case, found);
    }
}

/// Cases of the first recording that are plain calls: what was sent is read back from the line itself.
const PLAIN: &[&str] = &[
    "ok-alice",
    "ok-bob",
    "nokey",
    "wrongkey",
    "noroute",
    "upstreamdown",
    "noservice",
    "status200",
    "status201",
    "status400",
    "status401",
    "status403",
    "status404",
    "status405",
    "status409",
    "status418",
    "status422",
    "status429",
    "status500",
    "status502",
    "status503",
    "status504",
    "method-POST",
    "method-PUT",
    "method-PATCH",
    "method-DELETE",
    "method-OPTIONS",
    "method-HEAD",
    "login-fail",
    "query150",
    "longval",
    "repeated",
    "flagparam",
    "arrayparam",
    "qmark-only",
    "amp-only",
    "emptykey",
    "dotdot",
    "regexroute",
    "regexroute2",
    "regexroute-host-upper",
    "regexroute-nomatch",
    "xff",
    "xff-two",
    "hdr-dup",
    "hdr-long",
    "ua-none",
    "auth-basic",
    "key-query",
    "key-xapikey",
    "key-both",
    "key-twice",
    "key-case",
    "body-big",
    "hosts",
    "host-ipv6",
    "accounts-delete",
    "mallory",
];

/// What a client of a blocked consumer saw, by title, with the case of its log line.
const BLOCKED: &[(&str, &str)] = &[
    ("rt-message-403", "rt-message-403"),
    ("rt-message-403 HEAD", "rt-message-403-head"),
    ("rt-message-403 POST body", "rt-message-403-post"),
    ("rt-message-403 accept html", "rt-message-403-html"),
    ("rt-message-403 accept xml", "rt-message-403-xml"),
    ("rt-message-403 accept text", "rt-message-403-txt"),
    ("rt-message-403 other consumer still ok", "rt-message-403-other"),
    ("rt-message-403 other service", "rt-message-403-shop"),
    ("rt-message-403 404 route", "rt-message-403-noroute"),
    ("rt-message-403 wrong key", "rt-message-403-wrong"),
    ("rt-body-json", "rt-body-json"),
    ("rt-body-noct", "rt-body-noct"),
    ("rt-body-html", "rt-body-html"),
    ("rt-defaults", "rt-defaults"),
    ("rt-status-only-451", "rt-status-only-451"),
    ("rt-status-200", "rt-status-200"),
    ("rt-status-204", "rt-status-204"),
    ("rt-trigger", "rt-trigger"),
    ("rt-trigger with header", "rt-trigger-hit"),
    ("rt-trigger with query", "rt-trigger-hitq"),
    ("scoped consumer+service beats consumer (accounts)", "scope-acct"),
    ("consumer-only applies (shop)", "scope-shop"),
    ("enabled=false", "rt-disabled"),
];

#[tokio::test]
async fn plain_calls() {
    let Some(mut gateway) = Gateway::start().await else { return };
    gateway.apply("admin", &[5, 6, 7, 8, 9, 10, 11, 12, 13, 14]).await;
    for case in PLAIN {
        let lines = lines_of(&gateway.recordings, case);
        assert!(!lines.is_empty(), "no line for {case}");
        for recorded in lines {
            // The services behind a real Kong here answer everything with 200.
            if gateway.practice.is_none() && recorded["source"] == "upstream" && recorded["response"]["status"] != 200 {
                continue;
            }
            let (_, line) = gateway.exchange(request_of(&recorded).as_bytes()).await;
            let mut found = line_differences(&recorded, &line, gateway.proxy.port());
            if *case == "auth-basic" {
                found.retain(|difference| !difference.starts_with("line /request/size"));
            }
            gateway.report(case, found);
        }
    }
    gateway.finish("plain calls").await;
}

#[tokio::test]
async fn what_blocked_clients_see() {
    let Some(mut gateway) = Gateway::start().await else { return };
    gateway.apply("admin", &[5, 6, 8, 9, 13, 14]).await;
    let file = gateway.recordings.join("admin/client-sees-when-blocked.txt");
    let file = std::fs::read_to_string(file).expect("client views");
    for section in file.split("=== ").skip(1) {
        let mut parts = section.splitn(4, '\n');
        let mut next = || parts.next().expect("a part of a section");
        let (title, plugin, _, recorded) = (next(), next(), next(), next());
        let Some((_, case)) = BLOCKED.iter().find(|(own, _)| *own == title) else { continue };
        let plugins: Value = serde_json::from_str(plugin.trim_start_matches("plugin: ")).expect("a plugin");
        let plugins = plugins.as_array().cloned().unwrap_or_else(|| vec![plugins]);
        let before = gateway.created.len();
        for plugin in plugins {
            gateway.post("/consumers/mallory/plugins", plugin).await;
        }
        gateway.settle().await;
        // The recording has the body behind one empty line.
        let recorded = recorded.trim_end_matches('\n').replacen("\n\n", "\r\n\r\n", 1);
        for (at, line) in lines_of(&gateway.recordings, case).iter().enumerate() {
            let (response, own) = gateway.exchange(request_of(line).as_bytes()).await;
            let mut found = line_differences(line, &own, gateway.proxy.port());
            if at == 0 {
                found.extend(answer_differences(&recorded, &response));
            }
            gateway.report(case, found);
        }
        for plugin in gateway.created.split_off(before) {
            gateway.delete(&plugin).await;
        }
    }
    gateway.finish("blocked clients").await;
}
