//! Labelled cases: how a file of short lines becomes calls in the order of the log.
//!
//! The first line of a case says why it exists and where it came from. Every other line is calls of one or many actors to
//! one endpoint, with defaults left out:
//!
//! | field | meaning |
//! | --- | --- |
//! | `GET`, `POST`, … | the path template; each call fills its parameters with another number |
//! | `consumer`, `credential`, `address` | who; `c{1..20}` stands for twenty of them, each with calls of its own |
//! | `at` | when it begins, `h:mm` or `h:mm:ss` after the case's start; `0:00` |
//! | `for` or `times` | how long, in the same form, or how many calls |
//! | `every_ms` or `per_minute` | at equal distances, or at random ones with this mean rate (Poisson, seeded by line and actor) |
//! | `burst` | each time so many calls, 40 ms apart; 1 |
//! | `repeat_every`, `repeats` | all of it again, so often; 1 |
//! | `status`, `by` | the answer and who made it, `upstream` or `gateway`; 200, `upstream` |
//! | `service` | the service; the path's first segment |
//! | `late_ms` | how much later than it happened the line came; 0 |
//! | `settled` | whether discovery is sure of the endpoint; true |
//! | `untrusted`, `own_refusal`, `anonymous` | true where the line is such a one |

// Each test binary uses a part of it, and a test may panic.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use outrider_detect::{Engine, Observed, Settings};
use outrider_model::{
    AnsweredBy, ApiCall, ClockCheck, Consumer, EndpointId, EndpointKey, Enrichment, Exposure, Finding, Latency, Named,
    Severity, Text, Trust,
};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use serde::Deserialize;

/// Monday, 2 March 2026, 00:00 UTC: where `at` counts from.
pub const START_MS: i64 = 1_772_409_600_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    pub why: String,
    pub from: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "GET")]
    get: Option<String>,
    #[serde(rename = "POST")]
    post: Option<String>,
    #[serde(rename = "PUT")]
    put: Option<String>,
    #[serde(rename = "DELETE")]
    delete: Option<String>,
    consumer: Option<String>,
    credential: Option<String>,
    address: Option<String>,
    #[serde(default)]
    at: Option<String>,
    #[serde(rename = "for")]
    lasts: Option<String>,
    times: Option<u64>,
    every_ms: Option<f64>,
    per_minute: Option<f64>,
    #[serde(default = "one")]
    burst: u64,
    repeat_every: Option<String>,
    #[serde(default = "one")]
    repeats: u64,
    #[serde(default = "ok")]
    status: u16,
    by: Option<String>,
    service: Option<String>,
    #[serde(default)]
    late_ms: i64,
    #[serde(default = "yes")]
    settled: bool,
    #[serde(default)]
    untrusted: bool,
    #[serde(default)]
    own_refusal: bool,
    #[serde(default)]
    anonymous: bool,
}

fn one() -> u64 {
    1
}

fn ok() -> u16 {
    200
}

fn yes() -> bool {
    true
}

/// What a finding of an attack must be like.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The entity's name.
    pub entity: String,
    /// `METHOD template`; none for everything at the gateway.
    pub endpoint: Option<String>,
    /// When the attack begins.
    pub at: String,
    /// The first finding's completing call comes at most so many seconds after that.
    pub within_s: f64,
    /// The severity of the first finding.
    pub severity: Severity,
    /// How many findings there are, at least and at most.
    pub findings: [usize; 2],
    /// The first finding's sentence.
    pub sentence: String,
    /// Whether it rests on untrusted lines.
    #[serde(default)]
    pub untrusted: bool,
}

/// A labelled case.
pub struct Case {
    pub name: String,
    pub head: Head,
    pub calls: Vec<Happening>,
    /// Empty for a benign case.
    pub expected: Vec<Expected>,
    pub is_attack: bool,
}

/// One call, with what discovery would say of it.
#[derive(Debug, Clone)]
pub struct Happening {
    pub call: ApiCall<'static>,
    pub endpoint: EndpointId,
    pub endpoint_name: String,
    pub settled: bool,
}

/// All cases of a detector, in the order of their names.
pub fn cases_of(detector: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/detectors").join(detector).join("cases");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    files.iter().map(|path| read_case(path)).collect()
}

fn read_case(path: &Path) -> Case {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let is_attack = name.ends_with(".attack.jsonl");
    assert!(is_attack || name.ends_with(".benign.jsonl"), "{name}: the label belongs into the file's name");
    let expected = match is_attack {
        true => std::fs::read_to_string(path.with_extension("expected"))
            .unwrap_or_else(|error| panic!("{name} needs a file of expectations: {error}"))
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error} in {line}")))
            .collect(),
        false => Vec::new(),
    };
    let (head, calls) = parse(&name, &text);
    Case { name, head, calls, expected, is_attack }
}

/// The head and the calls of a case's text.
pub fn parse(name: &str, text: &str) -> (Head, Vec<Happening>) {
    let mut lines = text.lines().enumerate();
    let first = lines.next().unwrap_or_else(|| panic!("{name} is empty")).1;
    let head = serde_json::from_str(first).unwrap_or_else(|error| panic!("{name}, first line: {error}"));
    let mut calls: Vec<(i64, usize, Happening)> = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let line: Line = serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}:{}: {error}", number + 1));
        for happening in line.expand(number as u64) {
            calls.push((happening.call.received_ms, number, happening));
        }
    }
    calls.sort_by_key(|(received_ms, number, happening)| (*received_ms, *number, happening.call.event_ms));
    (head, calls.into_iter().map(|(_, _, happening)| happening).collect())
}

impl Line {
    fn expand(&self, number: u64) -> Vec<Happening> {
        let template = [("GET", &self.get), ("POST", &self.post), ("PUT", &self.put), ("DELETE", &self.delete)];
        let (method, template) =
            template.iter().find_map(|(method, template)| template.as_ref().map(|t| (*method, t))).expect("a method");
        let actors = [&self.consumer, &self.credential, &self.address].into_iter().flatten().next().expect("an actor");
        let mut happenings = Vec::new();
        for (member, actor) in members(actors).into_iter().enumerate() {
            let mut random = Pcg64::seed_from_u64(number * 1_000_003 + member as u64);
            for time in self.times(&mut random) {
                happenings.push(self.happening(&actor, method, template, time, happenings.len()));
            }
        }
        happenings
    }

    /// The times of one actor's calls, after the case's start.
    fn times(&self, random: &mut Pcg64) -> Vec<i64> {
        let begins_ms = self.at.as_deref().map_or(0, duration_ms);
        let lasts_ms = self.lasts.as_deref().map_or(i64::MAX / 4, duration_ms);
        let repeat_ms = self.repeat_every.as_deref().map_or(0, duration_ms);
        assert!(self.lasts.is_some() || self.times.is_some(), "`for` or `times` must say where it ends");
        let mut times = Vec::new();
        for repeat in 0..self.repeats {
            let start_ms = begins_ms + repeat as i64 * repeat_ms;
            // A phase of its own for each actor, so that equal distances are not in step.
            let mean_ms = self.every_ms.unwrap_or_else(|| 60_000.0 / self.per_minute.expect("a rate"));
            let mut offset_ms = match self.every_ms {
                Some(_) => 0.0,
                None => -mean_ms * (1.0 - random.random::<f64>()).ln(),
            };
            for _ in 0..self.times.unwrap_or(u64::MAX) {
                if offset_ms as i64 >= lasts_ms {
                    break;
                }
                for call in 0..self.burst {
                    times.push(start_ms + offset_ms as i64 + 40 * call as i64);
                }
                offset_ms += match self.every_ms {
                    Some(every_ms) => every_ms,
                    None => -mean_ms * (1.0 - random.random::<f64>()).ln(),
                };
            }
        }
        times
    }

    fn happening(&self, actor: &str, method: &str, template: &str, time_ms: i64, nth: usize) -> Happening {
        let event_ms = START_MS + time_ms;
        let segment = template.trim_start_matches('/').split('/').next().unwrap_or_default();
        let service = self.service.clone().unwrap_or_else(|| segment.to_owned());
        let key = EndpointKey {
            gateway: "kong".to_owned(),
            workspace: String::new(),
            service: service.clone(),
            method: method.to_owned(),
            template: template.to_owned(),
        };
        let named = |name: &str| Some(Named { id: Text::from(name.to_owned()), name: Text::from(name.to_owned()) });
        let owned = |text: &str| Text::from(text.to_owned());
        let call = ApiCall {
            gateway: Text::from("kong"),
            workspace: Text::EMPTY,
            trust: if self.untrusted { Trust::Untrusted } else { Trust::Trusted },
            request_id: Text::EMPTY,
            received_ms: event_ms + self.late_ms,
            started_ms: event_ms,
            event_ms,
            clock: ClockCheck::AsReported,
            consumer: self.consumer.as_ref().map(|_| Consumer {
                id: owned(actor),
                username: owned(actor),
                custom_id: Text::EMPTY,
                tags: Vec::new(),
            }),
            anonymous_consumer: self.anonymous,
            credential_id: (self.consumer.is_some() || self.credential.is_some()).then(|| owned(actor)),
            presented_credential: None,
            session: None,
            client_ip: self.address.as_ref().map(|_| actor.parse().expect("an address")),
            service: named(&service),
            route: named(&service),
            host: Text::from("api.example"),
            method: Text::from(method.to_owned()),
            path: Text::from(filled(template, nth)),
            query: Vec::new(),
            headers: Vec::new(),
            status: self.status,
            answered_by: match self.by.as_deref() {
                Some("gateway") => AnsweredBy::Gateway,
                None | Some("upstream") => AnsweredBy::Upstream,
                Some(other) => panic!("`by` is upstream or gateway, not {other}"),
            },
            own_refusal: self.own_refusal.then(|| Text::from("test")),
            request_bytes: 500,
            response_bytes: 1500,
            latency: Latency { total_ms: 20, gateway_ms: 1, upstream_ms: 19 },
            response_type: Text::from("application/json"),
            fields: vec![],
            enrichment: Enrichment::default(),
            exposure: Exposure::default(),
        };
        Happening {
            call,
            endpoint: key.first_id(),
            endpoint_name: format!("{method} {template}"),
            settled: self.settled,
        }
    }
}

/// `c{1..3}` → c1, c2, c3.
fn members(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let (range, after) = rest.split_once('}').expect("a closing brace");
    let (first, last) = range.split_once("..").expect("a range");
    let bounds = first.parse::<u32>().expect("a number")..=last.parse::<u32>().expect("a number");
    bounds.map(|n| format!("{before}{n}{after}")).collect()
}

/// `h:mm` or `h:mm:ss` in milliseconds.
pub fn duration_ms(text: &str) -> i64 {
    let parts: Vec<i64> = text.split(':').map(|part| part.parse().expect("h:mm or h:mm:ss")).collect();
    assert!((2..=3).contains(&parts.len()), "{text}: write h:mm or h:mm:ss");
    (parts[0] * 3600 + parts[1] * 60 + parts.get(2).unwrap_or(&0)) * 1000
}

fn filled(template: &str, nth: usize) -> String {
    let segments = template.split('/').map(|segment| match segment.starts_with('{') {
        true => (1000 + nth % 5000).to_string(),
        false => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Feeds calls to an engine and returns what it found. Log time stands still for three minutes after the last one.
pub fn run(settings: &Settings, calls: &[Happening]) -> Vec<Finding> {
    let mut engine = Engine::new(settings.clone()).unwrap();
    let mut findings = Vec::new();
    feed(&mut engine, calls, 1, &mut findings);
    finish(&mut engine, calls, &mut findings);
    findings
}

/// Feeds calls, the first of them with this number.
pub fn feed(engine: &mut Engine, calls: &[Happening], first_number: u64, findings: &mut Vec<Finding>) {
    for (number, happening) in (first_number..).zip(calls) {
        engine.advance(happening.call.received_ms, findings);
        engine.observe(&happening.observed(number), findings);
    }
}

/// Lets the minutes after the last call pass.
pub fn finish(engine: &mut Engine, calls: &[Happening], findings: &mut Vec<Finding>) {
    if let Some(last) = calls.last() {
        engine.advance(last.call.received_ms + 180_000, findings);
    }
}

impl Happening {
    pub fn observed(&self, number: u64) -> Observed<'_, 'static> {
        Observed {
            call: &self.call,
            number,
            endpoint: Some(self.endpoint),
            endpoint_settled: self.settled,
            endpoint_name: &self.endpoint_name,
        }
    }
}

/// One line a finding, as it would be written.
pub fn lines(findings: &[Finding]) -> String {
    findings.iter().map(|finding| serde_json::to_string(finding).unwrap() + "\n").collect()
}

/// What a person sees of findings when a test fails.
pub fn shown(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let at_s = (finding.event_ms - START_MS) as f64 / 1000.0;
        format!("  {at_s:.3} s, surprise {:?}: {} [{}]\n", finding.surprise, finding.sentence, finding.basis)
    };
    findings.iter().map(line).collect()
}
