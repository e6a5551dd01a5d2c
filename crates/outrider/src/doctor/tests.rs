//! What doctor makes of what it saw: each situation and the checks that tell of it.

use std::net::SocketAddr;
use std::path::PathBuf;

use outrider_collect::{CountersSnapshot, HealthSnapshot, OutlineSeen};
use outrider_platform::enrich::DatabaseFacts;
use outrider_respond::gateways::GatewayError;
use outrider_respond::gateways::kong::{
    GatewayFacts, LogKind, LogOwner, LogPlugin, LogView, NodeSummary, SecretSeen, UnseenCalls,
};
use serde_json::json;

use super::facts::*;
use super::report::{Check, Outcome};
use crate::config::Role;

const NOW_MS: i64 = 1_795_448_400_000;

/// A gateway and a running outrider that are well.
pub(super) fn well() -> Facts {
    let node: NodeSummary = serde_json::from_value(json!({
        "version": "3.9.1", "edition": "community", "configuration": {"database": "postgres", "trusted_ips": {}},
        "plugins": {"available_on_server": {
            "request-termination": {}, "rate-limiting": {}, "tcp-log": {}, "http-log": {}
        }},
    }))
    .unwrap();
    let view = LogView {
        plugins: vec![log_plugin()],
        unseen: vec![],
        seen_services: vec!["shop".to_owned()],
        sees_unrouted: true,
        doubled: vec![],
    };
    let look = GatewayFacts {
        node,
        clock_offset_ms: Some(300),
        is_database_reachable: Some(true),
        consumers: Ok(()),
        log: Ok(view),
    };
    let counters = CountersSnapshot {
        received: 1000,
        accepted: 1000,
        connections_total: 2,
        health: HealthSnapshot {
            last_received_ms: NOW_MS - 1000,
            last_rejected_ms: NOW_MS - 1000,
            last_untrusted_ms: NOW_MS - 1000,
            last_forwarded_ms: NOW_MS - 1000,
            clock_offset_ms: 3,
            ..HealthSnapshot::default()
        },
        ..CountersSnapshot::default()
    };
    let status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "platform": {"caught_up": true, "analysis": {"detectors": [{"name": "request_spike", "failure": null}]}},
        "responders": [{"gateway": "kong", "failure": null, "listed_ms": NOW_MS, "own_plugins": 2}],
    });
    let mut status: Status = serde_json::from_value(status).unwrap();
    status.sources.push(SourceStatus { name: "kong_tcp_log 127.0.0.1:9514".to_owned(), counters });
    let listen = SocketAddr::from(([127, 0, 0, 1], 9514));
    Facts {
        now_ms: NOW_MS,
        role: Role::Run,
        uplink: None,
        listeners: Vec::new(),
        data: DataFacts {
            path: PathBuf::from("/var/lib/outrider"),
            directory: Some(DirectorySeen { mode: 0o700, content: Ok(()), is_writable: true }),
            disk_bytes: Some((50 << 30, 100 << 30)),
            guard_rails: vec![("kong".to_owned(), PathBuf::from("/etc/rails.toml"), None)],
            enrichment: vec![EnrichmentFile { path: PathBuf::from("/etc/geo.mmdb"), seen: Ok(database(59)) }],
        },
        gateways: vec![GatewaySeen {
            name: "kong".to_owned(),
            admin_url: "http://127.0.0.1:8001".to_owned(),
            has_header: false,
            look: Ok(look),
            listens: vec![(LogKind::Tcp, listen)],
            files: Vec::new(),
            is_secret_unknown: false,
            shortest_action_ms: Some(900_000),
            has_limits: true,
        }],
        sources: vec![SourceAsked {
            name: "kong_tcp_log 127.0.0.1:9514".to_owned(),
            gateway: "kong".to_owned(),
            listen: Some(listen),
            secret: Some(SecretFile { path: PathBuf::from("/etc/kong.secret"), is_there: true, problem: None }),
        }],
        process: Ok(Some(status)),
    }
}

/// A database that was built so many days ago.
fn database(days: i64) -> EnrichmentSeen {
    let built_ms = NOW_MS - days * 86_400_000;
    EnrichmentSeen::Database(DatabaseFacts { kind: "GeoLite2-City".to_owned(), built_ms, ip_version: 6, nodes: 1 })
}

fn log_plugin() -> LogPlugin {
    LogPlugin {
        id: "p1".to_owned(),
        kind: LogKind::Tcp,
        place: "everything".to_owned(),
        owner: LogOwner::Ours,
        is_enabled: true,
        host: "127.0.0.1".to_owned(),
        port: 9514,
        is_tls: false,
        agrees_on_tls: true,
        is_for_here: true,
        secret: SecretSeen::Right,
    }
}

impl Facts {
    fn gateway(&mut self) -> &mut GatewaySeen {
        &mut self.gateways[0]
    }

    fn look(&mut self) -> &mut GatewayFacts {
        self.gateways[0].look.as_mut().unwrap()
    }

    fn view(&mut self) -> &mut LogView {
        self.look().log.as_mut().unwrap()
    }

    fn plugin(&mut self) -> &mut LogPlugin {
        &mut self.view().plugins[0]
    }

    pub(super) fn status(&mut self) -> &mut Status {
        self.process.as_mut().unwrap().as_mut().unwrap()
    }

    pub(super) fn counters(&mut self) -> &mut CountersSnapshot {
        &mut self.status().sources[0].counters
    }

    fn platform(&mut self) -> &mut PlatformStatus {
        self.status().platform.as_mut().unwrap()
    }

    fn responder(&mut self) -> &mut ResponderStatus {
        &mut self.status().responders[0]
    }
}

/// What is not well, as `id result`.
fn troubles(checks: &[Check]) -> Vec<String> {
    let bad = checks.iter().filter(|check| check.result > Outcome::Ok);
    bad.map(|check| {
        let result = if check.result == Outcome::Failed { "failed" } else { "warning" };
        assert!(check.todo.as_ref().is_some_and(|todo| !todo.is_empty()), "{check:?} says nothing of what to do");
        format!("{} {result}", check.id.as_str())
    })
    .collect()
}

/// One situation: what is changed in what is well, the troubles that follow, and words of the report.
pub(super) type Case = (&'static str, fn(&mut Facts), &'static [&'static str], &'static str);

pub(super) fn check(cases: &[Case]) {
    for (name, change, expected, words) in cases {
        let mut facts = well();
        change(&mut facts);
        let checks = super::judge(&facts);
        assert_eq!(troubles(&checks), *expected, "{name}: {checks:#?}");
        let text = super::report::to_text(&checks);
        assert!(text.contains(words), "{name}: `{words}` is not in\n{text}");
    }
}

#[test]
fn what_is_well_is_called_well() {
    check(&[("well", |_| {}, &[], "Kong 3.9.1 answers")]);
    let checks = super::judge(&well());
    assert!(checks.iter().all(|check| check.result == Outcome::Ok), "{checks:#?}");
}

#[test]
fn an_admin_api_that_is_none_is_named() {
    fn kong(facts: &mut Facts, status: u16, message: &str) {
        let (message, fields) = (message.to_owned(), Box::default());
        facts.gateway().look = Err(GatewayError::Kong { status, code: None, message, fields, retry_after_s: None });
    }
    fn unexpected(facts: &mut Facts, status: u16, detail: &str) {
        facts.gateway().look =
            Err(GatewayError::UnexpectedAnswer { status, detail: detail.to_owned(), retry_after_s: None });
    }
    fn unreachable(facts: &mut Facts, url: &str, detail: &str) {
        facts.gateway().admin_url = url.to_owned();
        facts.gateway().look = Err(GatewayError::Unreachable { detail: detail.to_owned() });
    }
    const FAILED: &[&str] = &["admin.reachable failed"];
    check(&[
        ("proxy port", |f| kong(f, 404, "no Route matched with those values"), FAILED, "proxy port"),
        ("status port", |f| kong(f, 404, "Not found"), FAILED, "Status API"),
        ("no token", |f| kong(f, 401, "Invalid credentials"), FAILED, "set `admin_header"),
        (
            "wrong token",
            |f| {
                f.gateway().has_header = true;
                unexpected(f, 403, "text/html: <h1>Forbidden");
            },
            FAILED,
            "is not accepted",
        ),
        (
            "a load balancer while Kong restarts",
            |f| unexpected(f, 502, "text/html: <h1>502 Bad Gateway"),
            FAILED,
            "does not reach Kong itself",
        ),
        ("the same in plain text", |f| unexpected(f, 503, "text/plain: no healthy upstream"), FAILED, "Kong restarts"),
        ("a limit in front", |f| kong(f, 429, "API rate limit exceeded"), FAILED, "limits how often"),
        ("a limit's page", |f| unexpected(f, 429, "text/html: <h1>Too many requests"), FAILED, "limits how often"),
        (
            "half an answer",
            |f| unexpected(f, 200, "the answer ended early: end of file before message length reached"),
            FAILED,
            "broke off in the middle",
        ),
        (
            "half a document",
            |f| unexpected(f, 200, "EOF while parsing an object at line 1 column 19 in: {\"version\": \"3.9.1\""),
            FAILED,
            "broke off in the middle",
        ),
        ("HTML", |f| unexpected(f, 200, "expected JSON, got text/html: <html>"), FAILED, "Kong Manager"),
        (
            "plain to TLS",
            |f| unexpected(f, 400, "text/html: The plain HTTP request was sent to HTTPS port"),
            FAILED,
            "begin `admin_url` with https",
        ),
        ("redirect", |f| unexpected(f, 302, "a redirect to `https://sso`"), FAILED, "sign-in"),
        ("another program", |f| unexpected(f, 0, "invalid HTTP version parsed"), FAILED, "another program"),
        ("Kong in trouble", |f| kong(f, 500, "An unexpected error occurred"), FAILED, "its database"),
        ("nobody", |f| unreachable(f, "http://k:8001", "Connection refused"), FAILED, "admin_listen"),
        (
            "TLS to plain",
            |f| unreachable(f, "https://k:8001", "received corrupt message of type InvalidContentType"),
            FAILED,
            "begin `admin_url` with http:",
        ),
        (
            "another authority",
            |f| unreachable(f, "https://k", "invalid peer certificate: UnknownIssuer"),
            FAILED,
            "ca_file",
        ),
        ("no name", |f| unreachable(f, "http://knog", "dns error: failed to lookup address"), FAILED, "host name"),
        (
            "no answer",
            |f| unreachable(f, "http://k", "client error (SendRequest): connection closed before message completed"),
            FAILED,
            "closes it without an answer",
        ),
        ("silence", |f| unreachable(f, "http://k", "operation timed out"), FAILED, "firewall"),
    ]);
}

#[test]
fn a_gateway_that_is_only_watched_is_named() {
    check(&[("watched", |f| f.gateways.clear(), &[], "by its log alone")]);
}

#[test]
fn a_kong_that_cannot_do_its_part_is_named() {
    check(&[
        ("old", |f| f.look().node.version = "2.8.4".to_owned(), &["admin.version failed"], "3.2 or newer"),
        ("enterprise", |f| f.look().node.version = "3.10.0.0-enterprise-edition".to_owned(), &[], "enterprise"),
        (
            "no termination",
            |f| drop(f.look().node.plugins.available_on_server.remove("request-termination")),
            &["admin.version failed"],
            "plugins = bundled",
        ),
        (
            "no tcp-log",
            |f| drop(f.look().node.plugins.available_on_server.remove("tcp-log")),
            &["admin.version failed"],
            "tcp-log",
        ),
        (
            "no rate-limiting for a policy that limits",
            |f| drop(f.look().node.plugins.available_on_server.remove("rate-limiting")),
            &["admin.version failed"],
            "a policy limits, and nobody can be limited",
        ),
        (
            "no rate-limiting, and none is needed",
            |f| {
                f.gateway().has_limits = false;
                f.look().node.plugins.available_on_server.remove("rate-limiting");
            },
            &[],
            "with the plugins that are needed",
        ),
        (
            "a token that may not read consumers",
            |f| {
                let (message, fields) = ("you do not have permissions".to_owned(), Box::default());
                let refused = GatewayError::Kong { status: 403, code: None, message, fields, retry_after_s: None };
                f.look().consumers = Err(refused);
            },
            &["admin.consumers failed"],
            "read consumers",
        ),
        (
            "DB-less",
            |f| f.look().node.configuration.database = "off".to_owned(),
            &["admin.database failed"],
            "declarative",
        ),
        (
            "database away",
            |f| f.look().is_database_reachable = Some(false),
            &["admin.database failed"],
            "does not reach",
        ),
        ("clock ahead", |f| f.look().clock_offset_ms = Some(61_000), &["admin.clock failed"], "61 s ahead"),
        ("clock behind", |f| f.look().clock_offset_ms = Some(-61_000), &["admin.clock warning"], "61 s behind"),
        ("clock far behind", |f| f.look().clock_offset_ms = Some(-3_600_000), &["admin.clock failed"], "NTP"),
        ("no date", |f| f.look().clock_offset_ms = None, &[], "carry no date"),
        (
            "slow",
            |f| f.look().node.configuration.worker_state_update_frequency = 60.0,
            &["admin.propagation warning"],
            "65 s in its cluster",
        ),
        (
            "short blocks",
            |f| f.gateway().shortest_action_ms = Some(60_000),
            &["admin.propagation warning"],
            "acts for 60 s",
        ),
    ]);
}

#[test]
fn a_log_that_goes_elsewhere_is_named() {
    check(&[
        (
            "no plugin",
            |f| {
                f.view().plugins.clear();
                f.counters().accepted = 0;
            },
            &["log.plugin failed"],
            "kong setup",
        ),
        ("taken away", |f| f.view().plugins.clear(), &["log.plugin failed"], "--select-tag"),
        (
            "DB-less",
            |f| {
                f.look().node.configuration.database = "off".to_owned();
                f.view().plugins.clear();
            },
            &["admin.database failed", "log.plugin failed"],
            "declarative file (docs/kong.md)",
        ),
        (
            "somebody else's",
            |f| {
                let plugin = f.plugin();
                (plugin.owner, plugin.is_for_here, plugin.port) = (LogOwner::Foreign, false, 5000);
            },
            &["log.plugin failed"],
            "there are: everything to 127.0.0.1:5000",
        ),
        ("made by hand", |f| f.plugin().owner = LogOwner::Foreign, &[], "TCP Log for everything"),
        (
            "wrong port",
            |f| (f.plugin().port, f.plugin().is_for_here) = (9515, false),
            &["log.target failed"],
            "sends to 127.0.0.1:9515, and the source listens on 127.0.0.1:9514",
        ),
        (
            "TLS to a plain source",
            |f| (f.plugin().is_tls, f.plugin().agrees_on_tls) = (true, false),
            &["log.target failed"],
            "run `outrider kong setup`, or switch `tls` off",
        ),
        (
            "plain to a source with TLS",
            |f| f.plugin().agrees_on_tls = false,
            &["log.target failed"],
            "plugin p1 speaks plain (`tls: false`), and the source TLS",
        ),
        (
            "http to a source with TLS",
            |f| {
                f.gateway().listens[0].0 = LogKind::Http;
                (f.plugin().kind, f.plugin().agrees_on_tls) = (LogKind::Http, false);
            },
            &["log.target failed"],
            "plugin p1 speaks plain (http), and the source TLS",
        ),
        ("TLS on both sides", |f| f.plugin().is_tls = true, &[], "it sends to 127.0.0.1:9514"),
        (
            "to itself",
            |f| f.gateway().admin_url = "http://kong.example:8001".to_owned(),
            &["log.target warning"],
            "Kong's own machine",
        ),
        (
            "to loopback from elsewhere",
            |f| f.plugin().host = "collector".to_owned(),
            &["log.target warning"],
            "forwards",
        ),
        ("off", |f| f.plugin().is_enabled = false, &["log.enabled failed"], "switched off"),
        (
            "one of two off",
            |f| {
                let off = LogPlugin { is_enabled: false, id: "p2".to_owned(), ..log_plugin() };
                f.view().plugins.push(off);
            },
            &["log.enabled warning"],
            "p2",
        ),
        (
            "shadowed",
            |f| {
                f.view().unseen.push(UnseenCalls { place: "service `bank`".to_owned(), taken_by: Some("f".to_owned()) })
            },
            &["log.shadowed warning"],
            "service `bank` (plugin f takes them)",
        ),
        ("per service", |f| f.view().sees_unrouted = false, &[], "match no route are not seen"),
        (
            "twice",
            |f| f.view().doubled.push("service `shop`".to_owned()),
            &["log.once failed"],
            "count twice: service `shop`",
        ),
        (
            "HTTP Log without a source",
            |f| (f.plugin().kind, f.plugin().is_for_here) = (LogKind::Http, false),
            &["log.target failed"],
            "no source takes HTTP Log",
        ),
        (
            "HTTP Log without the secret",
            |f| {
                f.gateway().listens[0].0 = LogKind::Http;
                (f.plugin().kind, f.plugin().secret) = (LogKind::Http, SecretSeen::Missing);
            },
            &["log.secret failed"],
            "refuses its requests",
        ),
        ("no secret", |f| f.plugin().secret = SecretSeen::Missing, &["log.secret failed"], "proposals only"),
        ("another secret", |f| f.plugin().secret = SecretSeen::Wrong, &["log.secret failed"], "another secret"),
        ("no secret asked", |f| f.plugin().secret = SecretSeen::NotWanted, &[], "asks for none"),
        (
            "no secret asked, open",
            |f| {
                f.plugin().secret = SecretSeen::NotWanted;
                f.gateway().listens = vec![(LogKind::Tcp, SocketAddr::from(([0, 0, 0, 0], 9514)))];
            },
            &["log.secret warning"],
            "secret_file",
        ),
        ("no source", |f| f.gateway().listens.clear(), &["log.plugin warning"], "nothing takes its log"),
        (
            "a source that reads a file",
            |f| {
                f.gateway().listens.clear();
                f.gateway().files.push(PathBuf::from("/var/log/kong/calls.log"));
            },
            &[],
            "its log is read from /var/log/kong/calls.log",
        ),
        (
            "not allowed to read",
            |f| f.look().log = Err(GatewayError::Unreachable { detail: "x".to_owned() }),
            &["log.plugin failed"],
            "read plugins",
        ),
    ]);
}

#[test]
fn what_arrives_is_judged() {
    fn rejected(facts: &mut Facts, lines: u64, reason: &str, outline: &str) {
        let counters = facts.counters();
        counters.rejected.insert(reason.to_owned(), lines);
        let seen = OutlineSeen { reason: reason.to_owned(), outline: outline.to_owned(), lines, longest_bytes: 517 };
        counters.health.outlines.push(seen);
    }
    fn refused(facts: &mut Facts, reason: &str, ago_ms: i64) {
        facts.counters().refused.insert(reason.to_owned(), 7);
        facts.counters().refused_last_ms.insert(reason.to_owned(), NOW_MS - ago_ms);
    }
    fn disagreed(facts: &mut Facts, reason: &str, ago_ms: i64) {
        facts.counters().connections_refused.insert(reason.to_owned(), 7);
        facts.counters().connections_refused_last_ms.insert(reason.to_owned(), NOW_MS - ago_ms);
    }
    const UNREADABLE: &[&str] = &["lines.readable warning"];
    check(&[
        (
            "nothing",
            |f| (f.counters().received, f.counters().connections_total) = (0, 0),
            &["lines.arriving warning"],
            "nothing has connected",
        ),
        ("no line", |f| f.counters().received = 0, &["lines.arriving warning"], "not one line"),
        (
            "not allowed",
            |f| (f.counters().received, f.counters().connections_not_allowed) = (0, 3),
            &["lines.arriving failed"],
            "`allow`",
        ),
        (
            "silence",
            |f| f.counters().health.last_received_ms = NOW_MS - 3_600_000,
            &["lines.arriving warning"],
            "60 min ago",
        ),
        ("a reload", |f| rejected(f, 2, "torn", "object"), &[], "2 of 1000 lines"),
        ("nothing readable", |f| rejected(f, 1000, "not_json", "binary"), &["lines.readable failed"], "no text"),
        ("HTTP", |f| rejected(f, 500, "not_json", "http"), UNREADABLE, "up to 517 bytes"),
        (
            "HTTP with its headers",
            |f| {
                rejected(f, 300, "not_json", "text");
                rejected(f, 100, "not_json", "http");
            },
            UNREADABLE,
            "an HTTP client sends here",
        ),
        ("syslog", |f| rejected(f, 500, "not_json", "syslog"), UNREADABLE, "point it elsewhere"),
        ("arrays", |f| rejected(f, 500, "not_an_object", "array"), UNREADABLE, "in batches"),
        ("another JSON", |f| rejected(f, 500, "no_request", "object"), UNREADABLE, "custom_fields_by_lua"),
        ("long", |f| f.counters().rejected.extend([("too_long".to_owned(), 500)]), UNREADABLE, "line_bytes_max"),
        (
            "no room",
            |f| f.counters().rejected.extend([("no_room".to_owned(), 500)]),
            UNREADABLE,
            "lines that do not end",
        ),
        (
            "long ago",
            |f| {
                rejected(f, 500, "not_json", "http");
                (f.counters().untrusted, f.counters().health.forwarded) = (400, 300);
                let health = &mut f.counters().health;
                (health.last_rejected_ms, health.last_untrusted_ms) = (NOW_MS - 3_600_000, NOW_MS - 3_600_000);
                health.last_forwarded_ms = NOW_MS - 3_600_000;
            },
            &[],
            "400 calls are untrusted: 0 carried no secret, 400 a wrong one; the last one 60 min ago",
        ),
        (
            "streams",
            |f| f.counters().rejected.extend([("stream".to_owned(), 400)]),
            &[],
            "400 of 1000 are of connections that it passes on as streams",
        ),
        ("torn", |f| rejected(f, 500, "torn", "object"), UNREADABLE, "lines end in the middle"),
        ("noise", |f| rejected(f, 500, "not_json", "binary"), UNREADABLE, "ss -tnp"),
        (
            "untrusted",
            |f| (f.counters().untrusted, f.counters().health.without_secret) = (10, 7),
            &["lines.trusted warning"],
            "7 carried no secret, 3 a wrong one",
        ),
        ("all untrusted", |f| f.counters().untrusted = 1000, &["lines.trusted failed"], "proposals only"),
        ("clock", |f| f.counters().health.clock_offset_ms = 30_000, &["lines.clock failed"], "30 s ahead"),
        ("proxies", |f| f.counters().health.forwarded = 9, &["lines.addresses warning"], "set `trusted_ips`"),
        (
            "more proxies",
            |f| {
                f.counters().health.forwarded = 9;
                f.look().node.configuration.trusted_ips = vec!["10.0.0.0/8".to_owned()];
            },
            &["lines.addresses warning"],
            "has all of yours",
        ),
        (
            "requests without the secret",
            |f| {
                f.counters().received = 0;
                refused(f, "unauthorized", 1000);
            },
            &["lines.arriving failed"],
            "7 requests do not carry the source's secret; 0 lines came",
        ),
        ("large requests", |f| refused(f, "too_large", 1000), &["lines.arriving warning"], "queue.max_batch_size"),
        ("a full disk", |f| refused(f, "not_stored", 1000), &["lines.arriving warning"], "Kong keeps the lines"),
        ("it was full", |f| refused(f, "not_stored", 3_600_000), &[], "the last one 1 s ago"),
        (
            "it was full, and something is sent again",
            |f| {
                refused(f, "not_stored", 3_600_000);
                refused(f, "under_way", 1000);
            },
            &[],
            "the last one 1 s ago",
        ),
        (
            "TCP Log at the port of HTTP Log",
            |f| refused(f, "not_http", 1000),
            &["lines.arriving warning"],
            "what Kong's HTTP Log plugin sends",
        ),
        (
            "plain to TLS",
            |f| {
                f.counters().received = 0;
                disagreed(f, "plain_to_tls", 1000);
            },
            &["lines.arriving failed"],
            "7 connections speak plain, and the source TLS; 0 lines came",
        ),
        ("TLS to plain", |f| disagreed(f, "tls_to_plain", 1000), &["lines.arriving warning"], "switches TLS off"),
        ("no handshake", |f| disagreed(f, "handshake_failed", 1000), &["lines.arriving warning"], "agreed with on TLS"),
        (
            "half a handshake",
            |f| disagreed(f, "handshake_slow", 1000),
            &["lines.arriving warning"],
            "handshake in time",
        ),
        (
            "a crowd from one address",
            |f| disagreed(f, "over_address_limit", 1000),
            &["lines.arriving warning", "process.drops warning"],
            "raise `connections_per_address_max`",
        ),
        (
            "half a line",
            |f| disagreed(f, "line_slow", 1000),
            &["lines.arriving warning"],
            "7 connections began a line and did not end it within a minute; 1000 lines came",
        ),
        ("TLS is put right", |f| disagreed(f, "tls_to_plain", 3_600_000), &[], "the last one 1 s ago"),
        ("a slow disk", |f| refused(f, "busy", 1000), &["lines.arriving warning"], "found no room"),
        ("another configuration", |f| f.status().sources.clear(), &["lines.arriving failed"], "restart outrider"),
    ]);
}

#[test]
fn a_process_that_is_away_or_ill_is_named() {
    check(&[
        ("away", |f| f.process = Ok(None), &["process.running failed"], "no outrider runs"),
        ("mute", |f| f.process = Err("permission denied".to_owned()), &["process.running failed"], "permission denied"),
        ("old", |f| f.status().version = "0.0.9".to_owned(), &["process.running warning"], "0.0.9"),
        ("starting", |f| f.platform().caught_up = false, &["process.platform warning"], "through the log again"),
        (
            "behind",
            |f| (f.platform().log.last, f.platform().progress.analysed_at_ms) = (9, NOW_MS - 90_000),
            &["process.platform failed"],
            "90 s behind",
        ),
        ("clock set back", |f| f.platform().progress.clock_behind_ms = 5000, &["process.platform failed"], "NTP"),
        ("store", |f| f.platform().progress.store_failures = 2, &["process.platform warning"], "control store"),
        (
            "a detector",
            |f| {
                let failure = Some("it panicked: x".to_owned());
                f.platform().analysis.as_mut().unwrap().detectors[0].failure = failure;
            },
            &["process.detectors failed"],
            "request_spike: it panicked",
        ),
        ("the lake", |f| f.platform().progress.lake_failures = 1, &["process.lake warning"], "1 times a commit failed"),
        ("its files", |f| f.platform().progress.lake_keeping_failures = 2, &["process.lake warning"], "lake check"),
        ("full log", |f| f.platform().progress.dropped_calls = 5, &["process.drops warning"], "5 calls were refused"),
        (
            "full queue",
            |f| f.counters().dropped.extend([("queue_full".to_owned(), 4)]),
            &["process.drops warning"],
            "4 calls",
        ),
        ("responder", |f| f.responder().failure = Some("away".to_owned()), &["responder.state failed"], "away"),
        ("held", |f| f.responder().held = Some("release-all".to_owned()), &["responder.state warning"], "resume"),
        ("after a restore", |f| f.responder().adopted = 2, &["responder.state warning"], "2 of them hold actions that"),
        ("just begun", |f| f.responder().listed_ms = None, &["responder.state warning"], "ask again"),
        ("repairs", |f| f.responder().repaired = 3, &["responder.repairs warning"], "--select-tag"),
        ("guard", |f| f.responder().guard_problem = Some("line 3".to_owned()), &["responder.guard failed"], "line 3"),
        ("no responder", |f| f.status().responders.clear(), &[], "another configuration"),
    ]);
}

#[test]
fn what_is_on_disk_is_judged() {
    check(&[
        (
            "not there",
            |f| (f.data.directory, f.data.disk_bytes) = (None, None),
            &["data.directory warning"],
            "is not there yet",
        ),
        (
            "newer",
            |f| f.data.directory.as_mut().unwrap().content = Err("layout 2".to_owned()),
            &["data.directory failed"],
            "layout 2",
        ),
        (
            "another's",
            |f| f.data.directory.as_mut().unwrap().is_writable = false,
            &["data.directory failed"],
            "may not write",
        ),
        ("open", |f| f.data.directory.as_mut().unwrap().mode = 0o755, &["data.directory warning"], "chmod 700"),
        ("full", |f| f.data.disk_bytes = Some((1 << 20, 100 << 20)), &["data.space warning"], "1 of 100 MiB"),
        // The running outrider opens its notice at the same.
        (
            "full by bytes",
            |f| f.data.disk_bytes = Some((400 << 20, 6 << 30)),
            &["data.space warning"],
            "400 of 6144 MiB",
        ),
        (
            "old addresses",
            |f| f.data.enrichment[0].seen = Ok(database(61)),
            &["data.geo warning"],
            "GeoLite2-City, built 61 days ago",
        ),
        (
            "no addresses",
            |f| f.data.enrichment[0].seen = Err("cannot be read: No such file".to_owned()),
            &["data.geo failed"],
            "it cannot be read",
        ),
        (
            "an odd list",
            |f| f.data.enrichment[0].seen = Ok(EnrichmentSeen::List { entries: 7, bad_lines: 2 }),
            &["data.geo warning"],
            "7 networks and systems, and 2 lines that are neither",
        ),
        (
            "rails",
            |f| f.data.guard_rails[0].2 = Some("line 1".to_owned()),
            &["data.guard_rails failed"],
            "mend the file",
        ),
        (
            "secret",
            |f| f.sources[0].secret.as_mut().unwrap().problem = Some("too short".to_owned()),
            &["data.secret failed"],
            "chmod 600",
        ),
    ]);
}

#[test]
fn a_probe_tells_what_came_of_it() {
    use super::probe::{Answer, Line, Probe, judge, parse_url};
    let answer = |status, is_kongs, has_no_route| Ok(Answer { status, is_kongs, has_no_route });
    let line = |is_trusted| Ok(Some(Line { source: "s".to_owned(), after_ms: 7, is_trusted }));
    let cases: [(_, _, &[&str]); 6] = [
        (answer(200, true, false), line(true), &[]),
        (answer(404, true, true), line(true), &["probe.answer warning"]),
        (answer(200, false, false), Ok(None), &["probe.answer warning", "probe.line failed"]),
        (answer(200, true, false), line(false), &["probe.line failed"]),
        (Err("refused".to_owned()), Err("not answered".to_owned()), &["probe.answer failed"]),
        (answer(200, true, false), Err("not running".to_owned()), &[]),
    ];
    for (answer, line, expected) in cases {
        let probe = Probe { url: "http://k".to_owned(), answer, line };
        assert_eq!(troubles(&judge(&probe)), expected, "{probe:?}");
    }
    assert!(parse_url("http://127.0.0.1:8000/shop").is_ok());
    for wrong in ["127.0.0.1:8000", "ftp://k", "data:x", ""] {
        assert!(parse_url(wrong).is_err(), "{wrong}");
    }
}
