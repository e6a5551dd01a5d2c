//! Calls for tests: written by hand, or read from Kong log lines.
#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use outrider_model::{
    AnsweredBy, ApiCall, ClockCheck, Consumer, DecisionOrigin, Enrichment, Exposure, Field, FieldValue, Latency, Named,
    TemplateChange, TemplateDecision, Text, Trust,
};
use serde_json::Value;

pub mod honest;
pub mod samples;
pub mod scoring;

/// A person's decision about the service of [`Line::get`].
pub fn decision(template: &str, change: TemplateChange) -> TemplateDecision {
    TemplateDecision {
        gateway: "kong".to_owned(),
        workspace: "default".to_owned(),
        service: "svc".to_owned(),
        template: template.to_owned(),
        change,
        origin: DecisionOrigin::Operator,
    }
}

/// What a call needs to say here; the rest is made up.
#[derive(Debug, Clone)]
pub struct Line {
    pub service: String,
    pub service_name: String,
    pub method: String,
    pub path: String,
    pub status: u16,
    pub upstream: bool,
    pub consumer: Option<String>,
    pub address: String,
    pub at_ms: i64,
}

impl Line {
    pub fn get(path: &str, actor: u64, at_ms: i64) -> Self {
        Line {
            service: "svc".to_owned(),
            service_name: "service".to_owned(),
            method: "GET".to_owned(),
            path: path.to_owned(),
            status: 200,
            upstream: true,
            consumer: Some(format!("consumer-{actor}")),
            address: "192.0.2.1".to_owned(),
            at_ms,
        }
    }

    pub fn call(&self) -> ApiCall<'_> {
        ApiCall {
            gateway: Text::from("kong"),
            workspace: Text::from("default"),
            trust: Trust::Trusted,
            request_id: Text::EMPTY,
            received_ms: self.at_ms,
            started_ms: self.at_ms,
            event_ms: self.at_ms,
            clock: ClockCheck::AsReported,
            consumer: self.consumer.as_deref().map(|id| Consumer {
                id: Text::from(id),
                username: Text::EMPTY,
                custom_id: Text::EMPTY,
                tags: vec![],
            }),
            anonymous_consumer: false,
            credential_id: self.consumer.as_deref().map(Text::from),
            presented_credential: None,
            session: None,
            client_ip: self.address.parse().ok(),
            service: Some(Named {
                id: Text::from(self.service.as_str()),
                name: Text::from(self.service_name.as_str()),
            }),
            route: None,
            host: Text::from("api.example"),
            method: Text::from(self.method.as_str()),
            path: Text::from(self.path.as_str()),
            query: vec![Field { name: Text::from("q"), value: FieldValue::Flag }],
            headers: vec![],
            status: self.status,
            answered_by: if self.upstream { AnsweredBy::Upstream } else { AnsweredBy::Gateway },
            own_refusal: None,
            request_bytes: 100,
            response_bytes: 1000,
            latency: Latency { total_ms: 1, gateway_ms: 0, upstream_ms: 1 },
            response_type: Text::EMPTY,
            fields: vec![],
            enrichment: Enrichment::default(),
            exposure: Exposure::default(),
        }
    }
}

/// A file of the measuring data, or `None` with a line that says so.
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if found.exists() {
        return Some(found);
    }
    eprintln!("skipped: shared/{path} is missing");
    None
}

/// The JSON lines of a compressed file.
pub fn json_lines(path: &Path) -> impl Iterator<Item = Value> {
    let file = std::fs::File::open(path).unwrap();
    BufReader::new(flate2::read::GzDecoder::new(file)).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// A Kong log line as far as it matters here.
pub fn kong_line(line: &Value) -> Line {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let uri = text(&line["request"]["uri"]);
    let started_ms = line["started_at"].as_i64().unwrap_or_default();
    Line {
        service: text(&line["service"]["id"]),
        service_name: text(&line["service"]["name"]),
        method: text(&line["request"]["method"]),
        path: uri.split(['?', '#']).next().unwrap_or_default().to_owned(),
        status: line["response"]["status"].as_u64().unwrap_or_default() as u16,
        upstream: line["source"] == "upstream",
        consumer: line["consumer"]["id"].as_str().map(str::to_owned),
        address: text(&line["client_ip"]),
        at_ms: started_ms + line["latencies"]["request"].as_i64().unwrap_or_default(),
    }
}
