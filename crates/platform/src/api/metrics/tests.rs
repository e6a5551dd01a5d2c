use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::json;

use super::*;

#[test]
fn the_status_becomes_samples() {
    let status = json!({
        "sources": [{"name": "a \"b\"", "counters": {"bytes": 7, "rejected": {"torn": 2, "not_json": 1}}}],
        "responders": [{"gateway": "kong", "failure": "away", "written": 3}, {"gateway": "other", "failure": null}],
        "platform": {"progress": {"snapshot_micros": 2_500_000}},
        "notices": [{"kind": "lake_behind", "subject": "lake"}],
    });
    let text = encode(status).unwrap();
    let lines = [
        "# TYPE outrider_collector_read_bytes counter",
        "# UNIT outrider_collector_read_bytes bytes",
        "outrider_collector_read_bytes_total{source=\"a \\\"b\\\"\"} 7.0",
        "outrider_collector_rejected_total{source=\"a \\\"b\\\"\",reason=\"torn\"} 2.0",
        "outrider_responder_failing{gateway=\"kong\"} 1.0",
        "outrider_responder_failing{gateway=\"other\"} 0.0",
        "outrider_snapshot_duration_seconds 2.5",
        "outrider_notice_open{kind=\"lake_behind\",subject=\"lake\"} 1.0",
        "# EOF",
    ];
    for line in lines {
        assert!(text.lines().any(|found| found == line), "`{line}` is not in\n{text}");
    }
    assert!(!text.contains("outrider_api_requests_total "), "what the status does not hold has no sample");
}

#[test]
fn names_are_prometheus_names_and_used_once() {
    let mut names = BTreeSet::new();
    for metric in METRICS {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        assert!(metric.name.bytes().all(good) && metric.name.starts_with("outrider_"), "{}", metric.name);
        assert!(!metric.name.ends_with("_total") && !metric.help.ends_with('.'), "{}", metric.name);
        assert!(names.insert(metric.name), "{} is there twice", metric.name);
    }
}

/// `docs/metrics.md` is made of the table. `UPDATE_DOCS=1` writes it anew.
#[test]
fn the_page_is_made_of_the_table() {
    let mut page = String::from(
        "# Metrics\n\n`GET /metrics` of the API gives them in the OpenMetrics text format to whoever has a viewer's token:\n\n\
         ```yaml\nscrape_configs:\n  - job_name: outrider\n    authorization: {credentials_file: /etc/prometheus/outrider.token}\n    \
         static_configs: [{targets: [\"127.0.0.1:9580\"]}]\n```\n\nWith `metrics.listen` in the configuration a second socket gives \
         the metrics alone, without a token; it has\nto be on loopback. A collector or responder of its own has no API, and this \
         socket gives what it has of them.\nCounters begin with the process unless they say otherwise. This page is made from the \
         code.\n\n| metric | labels | what |\n| --- | --- | --- |\n",
    );
    for metric in METRICS {
        let unit = if metric.unit.is_empty() { String::new() } else { format!("_{}", metric.unit) };
        let total = if metric.kind == Kind::Counter { "_total" } else { "" };
        let labels: Vec<&str> = match metric.rows {
            Rows::One(_) => Vec::new(),
            Rows::Each { label, .. } | Rows::Failing { label, .. } => vec![label],
            Rows::Map { label, by, .. } => vec![label, by],
            Rows::Reasons { by, .. } => vec![by],
            Rows::Present { labels, .. } => labels.iter().map(|(label, _)| *label).collect(),
        };
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        writeln!(page, "| `{}{unit}{total}` | {labels} | {} |", metric.name, metric.help).unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), page, "run with UPDATE_DOCS=1 and look at the difference");
}
