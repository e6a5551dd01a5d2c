//! Samples of posture checks: a head that says why the sample exists and what is configured and expected, then groups of calls, one a
//! line, with defaults left out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use outrider_discover::inventory::{self, CheckedBy, Inventory};
use outrider_discover::openapi::Document;
use outrider_discover::posture::{DocumentOutline, Posture, ServiceKey, Settings, WeakSubject};
use outrider_model::{
    AnsweredBy, ApiCall, ClassLocation, ClassSeen, ClockCheck, Consumer, CorsSettings, Endpoint, EndpointKey,
    Enrichment, Exposure, Field, FieldValue, GatewayConfiguration, GatewayConsumer, GatewayCredential, GatewayPlugin,
    GatewayRoute, GatewayService, GatewaySnapshot, KeyId, Latency, LeftOut, Named, PluginSettings, Pseudonym, Severity,
    Sign, Text, Trust,
};
use serde::Deserialize;

/// When a sample begins: a Monday, 2026-01-05 00:00 UTC.
pub const START_MS: i64 = 1_767_571_200_000;

const MINUTE_MS: i64 = 60_000;

/// A sample.
pub struct Sample {
    pub name: String,
    pub is_weak: bool,
    pub head: Head,
    pub groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    pub why: String,
    #[serde(default)]
    pub configuration: Option<Configuration>,
    /// By service, the operations: `GET /orders`, with `deprecated` or `public` behind it.
    #[serde(default)]
    pub documents: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub expect: Vec<Expected>,
    /// When it ends; else two minutes after the last call.
    pub until_m: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub subject: String,
    pub severity: Severity,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Configuration {
    services: Vec<String>,
    routes: Vec<RouteRow>,
    plugins: Vec<PluginRow>,
    consumers: Vec<ConsumerRow>,
    left_out: Vec<String>,
    /// When it is read.
    at_m: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteRow {
    id: String,
    service: String,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    methods: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginRow {
    name: String,
    service: Option<String>,
    route: Option<String>,
    consumer: Option<String>,
    #[serde(default = "yes")]
    enabled: bool,
    config: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsumerRow {
    id: String,
    credential: Option<String>,
    /// How many days before the sample both were made.
    days: i64,
}

fn yes() -> bool {
    true
}

/// Calls that are alike. In texts `{i}` is the number of the call, `{i%7}` what is left of it, `{i+7}` the sum, and `{h}` a text at random.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Group {
    pub call: String,
    template: String,
    times: Option<u64>,
    service: Option<String>,
    route: Option<String>,
    status: Option<u16>,
    gateway: bool,
    consumer: Option<String>,
    credential: Option<String>,
    anonymous: bool,
    session: bool,
    /// A key that is shown: `query.apikey`, `header.x-api-key`.
    key: Option<String>,
    authorization: bool,
    address: Option<String>,
    /// A value that begins with `ps:` is a pseudonym.
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    signs: Vec<String>,
    /// `query 0 email`.
    classes: Vec<String>,
    lifetime_s: Option<u32>,
    bytes: Option<u64>,
    media: Option<String>,
    at_m: i64,
    every_s: Option<i64>,
}

pub fn samples_of(check: &str) -> Vec<Sample> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/posture/checks").join(check).join("samples");
    let Ok(entries) = std::fs::read_dir(&folder) else { panic!("{} is missing", folder.display()) };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|path| read(check, path)).collect()
}

fn read(check: &str, path: &std::path::Path) -> Sample {
    let file = path.file_name().unwrap().to_str().unwrap();
    assert!(
        file.ends_with(".weak.jsonl") || file.ends_with(".sound.jsonl"),
        "{file} is neither .weak.jsonl nor .sound.jsonl"
    );
    parse(&format!("{check}/{file}"), &std::fs::read_to_string(path).unwrap())
}

/// A sample from its lines.
pub fn parse(name: &str, text: &str) -> Sample {
    let mut lines = text.lines();
    let wrong = |error: serde_json::Error| -> ! { panic!("{name}: {error}") };
    let head: Head = serde_json::from_str(lines.next().unwrap()).unwrap_or_else(|error| wrong(error));
    let groups = lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| wrong(error))).collect();
    Sample { name: name.to_owned(), is_weak: name.ends_with(".weak.jsonl"), head, groups }
}

fn filled(text: &str, i: u64) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let Some(length) = rest[start..].find('}') else { break };
        let inside = &rest[start + 1..start + length];
        out += &rest[..start];
        let number = |text: &str| text.parse::<u64>().unwrap();
        out += &match inside.as_bytes() {
            b"i" => i.to_string(),
            b"h" => format!("{:016x}", (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            [b'i', b'%', ..] => (i % number(&inside[2..])).to_string(),
            [b'i', b'+', ..] => (i + number(&inside[2..])).to_string(),
            [b'i', b'*', ..] => (i * number(&inside[2..])).to_string(),
            _ => panic!("{{{inside}}} means nothing"),
        };
        rest = &rest[start + length + 1..];
    }
    out + rest
}

fn pseudonym(text: &str) -> Pseudonym {
    let mut tag = [0; 16];
    let hash = outrider_model::Fingerprint::of("sample").text(text).finish();
    tag[..8].copy_from_slice(&hash.to_le_bytes());
    Pseudonym { key: KeyId(1), tag }
}

fn field(name: &str, value: String) -> Field<'static> {
    let value = match value.strip_prefix("ps:") {
        Some(hidden) => FieldValue::Pseudonym(pseudonym(hidden), 16),
        None => FieldValue::Clear(Text::from(value)),
    };
    Field { name: Text::from(name.to_owned()), value }
}

impl Group {
    fn service(&self) -> &str {
        self.service.as_deref().unwrap_or("shop")
    }

    /// Event time of a call of it.
    fn at_ms(&self, i: u64) -> i64 {
        START_MS + self.at_m * MINUTE_MS + i as i64 * self.every_s.unwrap_or(1) * 1000
    }

    /// One of its calls.
    pub fn call(&self, i: u64) -> ApiCall<'static> {
        let text = |text: String| Text::from(text);
        let (method, path) = self.call.split_once(' ').unwrap();
        let at_ms = self.at_ms(i);
        let consumer = self.consumer.as_deref().map(|id| filled(id, i));
        let credential = self.credential.as_deref().map(|id| filled(id, i)).or_else(|| consumer.clone());
        let mut call = ApiCall {
            gateway: Text::from("kong"),
            workspace: Text::from("default"),
            trust: Trust::Trusted,
            request_id: Text::EMPTY,
            received_ms: at_ms,
            started_ms: at_ms,
            event_ms: at_ms,
            clock: ClockCheck::AsReported,
            consumer: consumer.map(|id| Consumer {
                id: text(id),
                username: Text::EMPTY,
                custom_id: Text::EMPTY,
                tags: vec![],
            }),
            anonymous_consumer: self.anonymous,
            credential_id: credential.filter(|_| !self.anonymous).map(text),
            presented_credential: None,
            session: self.session.then(|| pseudonym(&format!("session {}", i % 9))),
            client_ip: Some(filled(self.address.as_deref().unwrap_or("192.0.2.1"), i).parse().unwrap()),
            service: Some(Named { id: text(self.service().to_owned()), name: text(self.service().to_owned()) }),
            route: self.route.clone().map(|id| Named { id: text(id), name: Text::EMPTY }),
            host: Text::from("api.example"),
            method: text(method.to_owned()),
            path: text(filled(path, i)),
            query: self.query.iter().map(|(name, value)| field(name, filled(value, i))).collect(),
            headers: self.headers.iter().map(|(name, value)| field(name, filled(value, i))).collect(),
            status: self.status.unwrap_or(200),
            answered_by: if self.gateway { AnsweredBy::Gateway } else { AnsweredBy::Upstream },
            own_refusal: None,
            request_bytes: 500,
            response_bytes: self.bytes.unwrap_or(2_000),
            latency: Latency { total_ms: 20, gateway_ms: 1, upstream_ms: 19 },
            response_type: text(self.media.clone().unwrap_or_else(|| "application/json".to_owned())),
            fields: vec![],
            enrichment: Enrichment::default(),
            exposure: self.exposure(),
        };
        if self.authorization {
            call.headers.push(Field { name: Text::from("authorization"), value: FieldValue::Redacted });
        }
        if let Some((place, name)) = self.key.as_deref().and_then(|key| key.split_once('.')) {
            let key = pseudonym(&format!("key {}", i % 9));
            call.presented_credential = Some(key);
            let list = if place == "query" { &mut call.query } else { &mut call.headers };
            list.push(Field { name: text(name.to_owned()), value: FieldValue::Pseudonym(key, 32) });
        }
        call
    }

    fn exposure(&self) -> Exposure<'static> {
        let sign = |name: &String| Sign::named(name).unwrap_or_else(|| panic!("there is no sign {name}"));
        let class = |text: &String| {
            let mut parts = text.split(' ');
            let location = match parts.next().unwrap() {
                "path" => ClassLocation::Path,
                "query" => ClassLocation::Query,
                "header" => ClassLocation::Header,
                "field" => ClassLocation::Field,
                other => panic!("there is no place {other}"),
            };
            let at = parts.next().unwrap().parse().unwrap();
            ClassSeen { location, at, class: Text::from(parts.next().unwrap().to_owned()) }
        };
        Exposure {
            signs: self.signs.iter().map(sign).collect(),
            jwt_lifetime_s: self.lifetime_s,
            classes: self.classes.iter().map(class).collect(),
        }
    }

    pub fn endpoint(&self) -> Endpoint {
        let (method, _) = self.call.split_once(' ').unwrap();
        let key = EndpointKey {
            gateway: "kong".to_owned(),
            workspace: "default".to_owned(),
            service: self.service().to_owned(),
            method: method.to_owned(),
            template: self.template.clone(),
        };
        Endpoint {
            id: key.first_id(),
            key,
            service_name: self.service().to_owned(),
            provisional: false,
            merged_into: None,
            explanation: String::new(),
            confidence: 1.0,
            observations: 100,
            ignored: false,
            calls: 0,
            first_seen_ms: START_MS,
            last_seen_ms: START_MS,
        }
    }
}

impl Configuration {
    pub fn snapshot(&self) -> GatewaySnapshot {
        let settings = |row: &PluginRow| -> Option<PluginSettings> {
            let mut config = row.config.clone()?;
            config["plugin"] = row.name.clone().into();
            Some(serde_json::from_value(config).unwrap_or_else(|error| panic!("{}: {error}", row.name)))
        };
        let services = self.services.iter().map(|id| GatewayService {
            id: id.clone(),
            name: Some(id.clone()),
            protocol: "http".to_owned(),
            host: format!("{id}.internal"),
            port: 8080,
            enabled: true,
            tags: vec![],
            created_ms: None,
        });
        let routes = self.routes.iter().map(|row| GatewayRoute {
            id: row.id.clone(),
            name: None,
            service_id: Some(row.service.clone()),
            protocols: vec!["https".to_owned()],
            methods: row.methods.clone(),
            hosts: vec![],
            paths: row.paths.clone(),
            header_names: vec![],
            tags: vec![],
            created_ms: None,
        });
        let plugins = self.plugins.iter().enumerate().map(|(at, row)| GatewayPlugin {
            id: format!("p{at}"),
            name: row.name.clone(),
            instance_name: None,
            enabled: row.enabled,
            service_id: row.service.clone(),
            route_id: row.route.clone(),
            consumer_id: row.consumer.clone(),
            consumer_group_id: None,
            protocols: vec![],
            tags: vec![],
            created_ms: None,
            settings: settings(row),
        });
        let made_ms = |row: &ConsumerRow| Some(START_MS - row.days * 86_400_000);
        let consumers = self.consumers.iter().map(|row| GatewayConsumer {
            id: row.id.clone(),
            username: Some(row.id.clone()),
            custom_id: None,
            tags: vec![],
            created_ms: made_ms(row),
        });
        let credentials = self.consumers.iter().filter_map(|row| {
            Some(GatewayCredential {
                id: row.credential.clone()?,
                kind: "key-auth".to_owned(),
                consumer_id: Some(row.id.clone()),
                tags: vec![],
                created_ms: made_ms(row),
            })
        });
        let left_out = self.left_out.iter().map(|list| LeftOut { list: list.clone(), why: "refused".to_owned() });
        GatewaySnapshot {
            gateway: "kong".to_owned(),
            taken_ms: START_MS + self.at_m * MINUTE_MS,
            configuration: GatewayConfiguration {
                version: "3.9.1".to_owned(),
                services: services.collect(),
                routes: routes.collect(),
                plugins: plugins.collect(),
                consumers: consumers.collect(),
                credentials: credentials.collect(),
                left_out: left_out.collect(),
            },
        }
    }
}

fn document(operations: &[String]) -> Document {
    let mut paths = serde_json::Map::new();
    for operation in operations {
        let mut words = operation.split(' ');
        let (method, path) = (words.next().unwrap().to_ascii_lowercase(), words.next().unwrap());
        let words: Vec<&str> = words.collect();
        let mut value = serde_json::json!({ "responses": {}, "deprecated": words.contains(&"deprecated") });
        value["security"] =
            if words.contains(&"public") { serde_json::json!([]) } else { serde_json::json!([{ "key": [] }]) };
        let item = paths.entry(path.to_owned()).or_insert_with(|| serde_json::json!({}));
        item[method] = value;
    }
    let scheme = serde_json::json!({ "type": "apiKey", "in": "header", "name": "apikey" });
    let document = serde_json::json!({
        "openapi": "3.1.0",
        "info": { "title": "Shop", "version": "1" },
        "paths": paths,
        "components": { "securitySchemes": { "key": scheme } },
    });
    Document::read(document.to_string().as_bytes(), &Default::default()).unwrap()
}

/// What runs a sample: the inventory that learns from its calls, and the posture that is told.
pub struct Run {
    pub inventory: Inventory,
    pub posture: Posture,
    pub now_ms: i64,
    endpoints: BTreeMap<u64, Endpoint>,
}

impl Run {
    pub fn new(settings: Settings) -> Run {
        Run {
            inventory: Inventory::new(inventory::Settings::default()),
            posture: Posture::new(settings),
            now_ms: START_MS,
            endpoints: BTreeMap::new(),
        }
    }

    pub fn advance(&mut self, now_ms: i64) {
        if now_ms.div_euclid(MINUTE_MS) > self.now_ms.div_euclid(MINUTE_MS) {
            self.inventory.advance(now_ms);
            for seen in self.inventory.drain_changes() {
                self.posture.survey(&self.endpoints[&seen.endpoint.0], &seen);
            }
        }
        self.now_ms = self.now_ms.max(now_ms);
        self.posture.advance(now_ms);
    }

    pub fn call(&mut self, endpoint: &Endpoint, call: &ApiCall<'_>) {
        self.advance(call.received_ms);
        self.endpoints.entry(endpoint.id.0).or_insert_with(|| endpoint.clone());
        self.inventory.observe(call, endpoint.id, &endpoint.key.template, CheckedBy::NotRead);
        self.posture.observe(call);
    }

    /// What the figures are in the end, whether they are due or not.
    pub fn settle(&mut self, until_ms: i64) {
        self.advance(until_ms);
        for endpoint in self.endpoints.values() {
            if let Some(seen) = self.inventory.endpoint(endpoint.id) {
                self.posture.survey(endpoint, &seen);
            }
        }
        self.advance(until_ms + MINUTE_MS);
    }

    /// All of a sample. `between` is called before each call, with its number.
    pub fn sample(&mut self, sample: &Sample, mut between: impl FnMut(u64, &mut Run)) {
        let mut calls: Vec<(i64, usize, u64)> = Vec::new();
        for (at, group) in sample.groups.iter().enumerate() {
            calls.extend((0..group.times.unwrap_or(1)).map(|i| (group.at_ms(i), at, i)));
        }
        calls.sort_unstable();
        for (service, operations) in &sample.head.documents {
            let outline = DocumentOutline::of(&document(operations));
            self.posture.documented(&service_key(service), Some(outline));
        }
        let mut configuration = sample.head.configuration.as_ref();
        for (number, (at_ms, group, i)) in calls.iter().enumerate() {
            if configuration.is_some_and(|configuration| START_MS + configuration.at_m * MINUTE_MS <= *at_ms)
                && let Some(configuration) = configuration.take()
            {
                self.posture.configured(&configuration.snapshot());
            }
            between(number as u64, self);
            let group = &sample.groups[*group];
            self.call(&group.endpoint(), &group.call(*i));
        }
        if let Some(configuration) = configuration {
            self.posture.configured(&configuration.snapshot());
        }
        let last_ms = calls.last().map_or(START_MS, |call| call.0);
        let until_ms = sample.head.until_m.map_or(last_ms + 2 * MINUTE_MS, |until_m| START_MS + until_m * MINUTE_MS);
        self.settle(until_ms);
    }

    /// A subject as samples name it.
    pub fn shown(&self, subject: &WeakSubject) -> String {
        match subject {
            WeakSubject::Endpoint(id) => {
                let key = &self.endpoints[&id.0].key;
                format!("{} {}", key.method, key.template)
            }
            WeakSubject::Service(key) => format!("service {}", key.service),
            WeakSubject::Route { route, .. } => format!("route {route}"),
            WeakSubject::Gateway { gateway } => format!("gateway {gateway}"),
            WeakSubject::Consumer { consumer, .. } => format!("consumer {consumer}"),
            WeakSubject::Credential { credential, .. } => format!("credential {credential}"),
        }
    }
}

pub fn service_key(service: &str) -> ServiceKey {
    ServiceKey { gateway: "kong".to_owned(), workspace: "default".to_owned(), service: service.to_owned() }
}

/// Settings of Kong's cors plugin, so that what samples write is known to be read.
pub fn reads_cors(settings: &PluginSettings) -> Option<&CorsSettings> {
    match settings {
        PluginSettings::Cors(settings) => Some(settings),
        _ => None,
    }
}
