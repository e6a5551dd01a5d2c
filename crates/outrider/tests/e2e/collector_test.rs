//! `outrider collector test`: what an operator sees before any line is sent, and that it leaves nothing behind.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, assert_quiet, wait_for};

/// A source that maps what Kong's `custom_fields_by_lua` adds.
const MAPPING: &str = r#"
drop = ['line.request.headers["x-debug"]']

[[collector.sources.fields]]
name = "account"
value = "line.login.account.lowerAscii()"

[[collector.sources.fields]]
name = "tenant"
value = "line.jwt.tenant"
"#;

const ENTITY: &str = "[[entities]]\nname = 'tenant_id'\nfield = 'tenant'\n";

const SECRET: &str = "key-alice-4711";

fn line(more: Value) -> String {
    let mut line = json!({
        "request": {
            "id": "r-1", "method": "POST", "uri": format!("/login?apikey={SECRET}"), "url": "http://h/login", "size": 80,
            "headers": {"x-debug": "on", "user-agent": "curl/8"},
        },
        "response": {"status": 401, "size": 100, "headers": {"content-type": "application/json"}},
        "latencies": {"request": 5, "kong": 1, "proxy": 4},
        "started_at": 1_767_571_200_000_i64, "client_ip": "192.0.2.7", "source": "upstream", "tries": [{"port": 80}],
    });
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line.to_string()
}

struct Said {
    status: i32,
    out: String,
    error: String,
}

fn test(directory: &Path, toml: &str, lines: &[String], more: &[&str]) -> Said {
    let (config, sample) = (directory.join("outrider.toml"), directory.join("sample.jsonl"));
    std::fs::write(&config, toml).unwrap();
    std::fs::write(&sample, lines.join("\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let command = command.args(["collector", "test"]).args(more).arg("--config").arg(&config).arg(&sample);
    let output = command.stdin(Stdio::null()).output().unwrap();
    Said {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

fn setup() -> Setup {
    Setup { source_more: MAPPING.to_owned(), more_at_end: ENTITY.to_owned(), ..Setup::default() }
}

#[test]
fn what_leaves_stands_beside_what_the_line_said() {
    let directory = tempfile::tempdir().unwrap();
    let toml = setup().toml(&directory.path().join("data"));
    let full = line(json!({"login": {"account": "Alice"}, "jwt": {"tenant": "acme"}}));
    let lines = [full, "no line".to_owned(), String::new(), line(json!({"login": {"account": 7}}))];

    let said = test(directory.path(), &toml, &lines, &["--format", "json"]);
    assert_eq!(said.status, 4, "{}", said.error);
    for words in ["2 calls", "line 2 (not_json)", "1 times a field could not be mapped", "no pseudonym key"] {
        assert!(said.error.contains(words), "`{words}` is not in\n{}", said.error);
    }
    let reports: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(reports.iter().map(|report| report["line"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(reports[1]["rejected"], "not_json");
    let find = |report: &Value, key: &str, name: &str| -> Value {
        let values = report["values"].as_array().unwrap();
        values.iter().find(|row| row[key] == name).cloned().unwrap_or_else(|| panic!("no {name} in {report:#}"))
    };
    let cases = [
        ("place", "request.method", "kept", json!("POST")),
        ("place", "request.querystring.apikey", "pseudonym", Value::Null),
        ("place", "request.headers[\"x-debug\"]", "dropped", Value::Null),
        ("place", "tries.port", "not_sent", Value::Null),
        ("place", "jwt.tenant", "mapped", json!("acme")),
        ("column", "fields.account", "mapped", Value::Null),
        ("column", "entities.tenant_id", "entity", json!("acme")),
    ];
    for (key, name, fate, after) in cases {
        let row = find(&reports[0], key, name);
        assert_eq!(row["fate"], fate, "{row}");
        assert!(after.is_null() || row["after"] == after, "{row}");
    }
    let account = find(&reports[0], "column", "fields.account");
    assert!(account["after"].as_str().unwrap().starts_with("ps_"), "{account}");
    assert_eq!(find(&reports[2], "fate", "failed")["after"], "expression");

    let said = test(directory.path(), &toml, &lines[..1], &[]);
    assert_eq!(said.status, 0, "{}", said.error);
    for words in ["line 1", "THE LINE SAYS", "LEAVES AS", SECRET, "dropped", "entities.tenant_id", "--all shows them"] {
        assert!(said.out.contains(words), "`{words}` is not in\n{}", said.out);
    }
    assert!(!directory.path().join("data").exists(), "nothing is stored");
}

#[test]
fn lines_are_as_long_as_the_source_takes_them_and_bodies_are_those_of_http_log() {
    let directory = tempfile::tempdir().unwrap();
    let padding = "x".repeat(2000);
    let (short, long) = (line(json!({})), line(json!({"padding": padding})));
    let body = format!("[{short},{long},{{\"a\":1}},7,{short}]");
    let source = |kind: &str| format!("[[collector.sources]]\nkind = '{kind}'\nline_bytes_max = 1024\n");
    for (kind, lines, expected) in [
        ("kong_tcp_log", vec![short.clone(), long.clone()], vec![(1, ""), (2, "too_long")]),
        (
            "kong_http_log",
            vec![short.clone(), body.clone()],
            vec![(1, ""), (2, ""), (2, "too_long"), (2, "no_request"), (2, "not_json"), (2, "")],
        ),
        ("kong_tcp_log", vec![body], vec![(1, "too_long")]),
    ] {
        let said = test(directory.path(), &source(kind), &lines, &["--format", "json"]);
        assert_eq!(said.status, 4, "{}", said.error);
        let reports = said.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let seen = reports.map(|report| {
            (report["line"].as_u64().unwrap(), report["rejected"].as_str().unwrap_or_default().to_owned())
        });
        let expected: Vec<_> = expected.into_iter().map(|(line, reason)| (line, reason.to_owned())).collect();
        assert_eq!(seen.collect::<Vec<_>>(), expected, "{kind}");
    }
}

#[test]
fn mistakes_in_a_mapping_are_refused_with_line_and_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let source = "[[collector.sources]]\nkind = 'kong_tcp_log'\n";
    let cases = [
        ("[[collector.sources.fields]]\nname = 'account'\nvalue = 'line.login.'", "line 5", "this is no CEL"),
        ("[[collector.sources.fields]]\nname = 'account'\nvalue = 'login'", "line 5", "write `line.login`"),
        ("drop = ['line.client_ip']", "line 3", "cannot be dropped"),
    ];
    for (mapping, place, words) in cases {
        let said = test(directory.path(), &format!("{source}{mapping}\n"), &[line(json!({}))], &[]);
        assert_eq!(said.status, 1);
        for words in ["outrider.toml", place, words] {
            assert!(said.error.contains(words), "`{words}` is not in\n{}", said.error);
        }
    }
}

#[test]
fn mapped_fields_are_in_the_lake_and_failures_in_the_metrics() {
    let directory = tempfile::tempdir().unwrap();
    let more = format!("[lake]\ncommit_interval_ms = 100\n{}", setup().more);
    let running = Outrider::start(directory.path(), &Setup { more, ..setup() });
    running.send(&[
        line(json!({"login": {"account": "Alice"}, "jwt": {"tenant": "acme"}})),
        line(json!({"login": {"account": 7}, "request": {"id": "r-2", "method": "GET", "uri": "/"}})),
    ]);
    let ask = json!({"statement": "SELECT field_value(fields, 'account') AS account, field_value(fields, 'tenant') AS tenant, \
                             entity_names(entities) AS entities FROM events WHERE path = '/login'"});
    let found = wait_for("the call in the lake", || {
        let (status, answer) = running.request("POST", "/api/v1/query", Some(&ask));
        let text = answer.to_string();
        (status == 200 && text.contains("acme")).then_some(text)
    });
    assert!(found.contains("ps_") && found.contains("tenant_id:acme") && !found.contains("lice"), "{found}");
    let sources = running.get("/api/v1/status")["sources"].clone();
    assert_eq!(sources[0]["counters"]["fields"], json!({"account": 1, "tenant": 1}));
    assert_eq!(sources[0]["counters"]["fields_failed_by"], json!({"account": {"expression": 1}}));
    assert_quiet(&running.stop(), &[]);
}
