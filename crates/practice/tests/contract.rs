//! Holds the practice gateway to exchanges that were recorded from a real Kong 3.9.1.
//!
//! Every recorded Admin API request is sent again, in order, and the answer compared: status, type, and the whole body,
//! with times and request ids masked. What is not compared is in one list, each with its reason.
//!
//! With `OUTRIDER_KONG_ADMIN=http://127.0.0.1:18001` the same requests go to a real, empty Kong instead, which shows
//! that the suite is right about Kong. It removes what it created.

#![allow(clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use outrider_practice::{Practice, Settings};
use serde_json::{Value, json};
use support::recorded::{Recorded, read};
use support::{Answer, call, recordings};

/// Why an exchange is not compared.
enum Skip {
    /// Nobody can repeat it here.
    Always(&'static str),
    /// It is out of the practice gateway's job; a real Kong has to pass.
    Practice(&'static str),
    /// A real Kong gives it differently each time; the practice gateway has to pass.
    Real(&'static str),
    /// Only these places of the answer are compared.
    Only(&'static [&'static str]),
}

const DB_LESS: &str = "a Kong without a database is not simulated";
const SCHEMAS: &str = "the description of a schema, which in Kong changes with what it has checked before";
const INTERNAL: &str = "internals of Kong that outrider does not read";
const OTHER_PLUGIN: &str = "a plugin that outrider neither installs nor has to recognise";
const LUA: &str = "the practice gateway has no Lua and refuses what is not a constant (decision 4)";

fn skip(suite: &str, number: u64) -> Option<Skip> {
    use Skip::{Always, Only, Practice, Real};
    let skip = match (suite, number) {
        // These describe the node: what outrider reads of it is compared.
        ("admin", 1 | 183) => Only(&["/version", "/edition", "/configuration/database", "/tagline"]),
        ("admin", 2) => Only(&["/database/reachable"]),
        ("admin", 49) => Always("the plugins by name, in the order of a hash table"),
        ("admin", 50..=52) => Always(SCHEMAS),
        ("admin", 53) => Real("tags of all entities, in the order of ids that Kong draws"),
        ("admin", 181) => Always("timers: their names hold memory addresses and times"),
        ("admin", 182 | 187) => Practice(INTERNAL),
        ("admin", 188..=201) => Always(DB_LESS),
        ("admin-2", 18) => Practice(OTHER_PLUGIN),
        ("admin-2", 114) => Practice(OTHER_PLUGIN),
        ("admin-2", 206 | 214 | 215 | 217 | 219 | 226..=228 | 247) => Practice(LUA),
        // The message comes from a Lua parser and names files of the node.
        ("admin-2", 213) => Only(&["/code", "/name"]),
        _ => return None,
    };
    Some(skip)
}

/// Plugins that were removed without a record before an exchange, as the later answers show.
const REMOVED: &[(&str, u64, &str)] = &[
    ("admin", 145, "15d35329-f100-4261-a515-958c01a817b9"),
    ("admin", 145, "1bac9ac9-49cd-4edf-93c6-239d118a7db8"),
    ("admin", 148, "ad4d023b-be92-44d6-bf7e-9e108430b1a2"),
    ("admin", 149, "678b96bd-dcd1-45a2-bb3c-148b62f9076b"),
    ("admin", 154, "dd64f679-33f1-4be5-9443-53510f167c61"),
    ("admin", 156, "21e80fe1-4058-45f6-a38c-c633440b2822"),
    ("admin", 157, "5bf678e3-c1cf-4c88-bea1-6b1250ac5806"),
    ("admin", 158, "01a38e25-dd84-4dbc-b6cb-10b33704d5cd"),
    ("admin", 159, "3e3bb3e5-a33b-45c4-a92a-606d94891442"),
    ("admin", 162, "5d801b7a-7952-4d6c-9051-1b1047badf6b"),
    ("admin", 163, "88e3159e-4ab4-44b2-af62-5bf04dc190bc"),
    ("admin", 164, "6c9deb77-1c2f-4928-9eb8-fa870f6532a5"),
    ("admin", 166, "115efcf0-0746-466b-9ff8-ab41458aa3b5"),
    ("admin-2", 105, "f3d723e0-3454-4d06-a864-9be8c0d8edff"),
    ("admin-2", 106, "c97c8466-0fa4-41d1-9507-e9a4772c23c9"),
    ("admin-2", 107, "072e7ab0-d2b9-47f8-871d-7dfc042f3215"),
    ("admin-2", 108, "79238ea1-5059-474d-ae40-790e258dab27"),
    ("admin-2", 110, "c652e189-2d90-45e6-8213-50534ae57a0e"),
    ("admin-2", 111, "04c16136-2895-4123-90dd-2dd93cd92ec0"),
    ("admin-2", 112, "43daad70-5bfc-441e-ba11-c692bceb02ef"),
    ("admin-2", 113, "82e7e805-eb2b-4b97-b856-4bca18a6e964"),
    ("admin-2", 114, "1bf74d7a-eb76-4030-b5b0-cbed11b94fac"),
    ("admin-2", 221, "8bebba64-3fcc-4545-b3ba-dc5eb3ff0199"),
    ("admin-2", 246, "f6b7c2d9-77ae-4d43-a1f6-3d42805f8794"),
];

/// The consumer that the second suite found in place.
const ANONYMOUS: &str = "da365317-adf7-4692-aa96-f5183e1c78ee";

/// What happened before an exchange without being recorded.
fn unrecorded(suite: &str, number: u64) -> Vec<(&'static str, String, Value)> {
    let removed = REMOVED.iter().filter(|(own, before, _)| *own == suite && *before == number);
    let mut steps: Vec<_> = removed.map(|(.., id)| ("DELETE", format!("/plugins/{id}"), Value::Null)).collect();
    if (suite, number) == ("admin-2", 1) {
        let anonymous = json!({ "id": ANONYMOUS, "username": "anonymous" });
        steps.push(("POST", "/consumers".to_owned(), anonymous));
    }
    steps
}

/// One run of the suite against one Admin API.
struct Replay {
    address: SocketAddr,
    is_real: bool,
    /// Recorded ids that came out differently here.
    ids: BTreeMap<String, String>,
    /// What to remove at the end.
    created: Vec<String>,
    compared: usize,
    partly: usize,
    skipped: BTreeMap<&'static str, usize>,
    mismatches: Vec<String>,
}

impl Replay {
    async fn run(&mut self, suite: &str, recorded: Vec<Recorded>) {
        for exchange in recorded {
            for (method, path, body) in unrecorded(suite, exchange.number) {
                let (content_type, body) = match body {
                    Value::Null => (None, String::new()),
                    body => (Some("application/json"), body.to_string()),
                };
                let answer = self.send(method, &path, content_type, body.as_bytes()).await;
                assert!(answer.status < 300, "{suite}/{}: {method} {path}: {answer:?}", exchange.number);
                self.note(&path, &answer.json());
            }
            let only = match skip(suite, exchange.number) {
                Some(Skip::Always(why)) => {
                    *self.skipped.entry(why).or_default() += 1;
                    continue;
                }
                Some(Skip::Practice(why)) if !self.is_real => {
                    *self.skipped.entry(why).or_default() += 1;
                    continue;
                }
                Some(Skip::Real(why)) if self.is_real => {
                    *self.skipped.entry(why).or_default() += 1;
                    continue;
                }
                Some(Skip::Only(places)) => Some(places),
                Some(Skip::Practice(_) | Skip::Real(_)) | None => None,
            };
            let found = self.compare(&exchange, only).await;
            if only.is_some() {
                self.partly += 1;
            } else {
                self.compared += 1;
            }
            if !found.is_empty() {
                let Recorded { number, name, method, path, .. } = &exchange;
                self.mismatches
                    .push(format!("{suite}/{number:03}-{name} {method} {path}\n    {}", found.join("\n    ")));
            }
        }
    }

    /// Sends one request again; a new entity gets the id it had when it was recorded.
    async fn compare(&mut self, exchange: &Recorded, only: Option<&[&str]>) -> Vec<String> {
        let (path, body) = (self.here(&exchange.path), self.here(&exchange.body()));
        let answer = self.send(&exchange.method, &path, exchange.content_type.as_deref(), body.as_bytes()).await;
        let ours = answer.json();
        if answer.status < 300 {
            self.note(&exchange.path, &ours);
        }
        let mut found = Vec::new();
        if answer.status != exchange.status {
            return vec![format!("status: {} where Kong says {}; {ours}", answer.status, exchange.status)];
        }
        if answer.header("content-type") != exchange.answer_type.as_deref() {
            let kong = exchange.answer_type.as_deref();
            found.push(format!("content-type: {:?} where Kong says {kong:?}", answer.header("content-type")));
        }
        match only {
            None => self.differences("", &exchange.answer, &ours, &mut found),
            Some(places) => {
                for place in places {
                    if exchange.answer.pointer(place) != ours.pointer(place) {
                        found.push(format!("{place}: {:?}", ours.pointer(place)));
                    }
                }
            }
        }
        found
    }

    async fn send(&self, method: &str, path: &str, content_type: Option<&str>, body: &[u8]) -> Answer {
        let mut headers: Vec<(&str, &str)> = vec![("Connection", "close")];
        headers.extend(content_type.map(|content_type| ("Content-Type", content_type)));
        call(self.address, method, path, &headers, body).await.expect("an answer")
    }

    /// Remembers what was created, to remove it.
    fn note(&mut self, path: &str, body: &Value) {
        let path = path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let table = if parts.len() > 2 { parts[2] } else { parts.first().copied().unwrap_or_default() };
        if let (Some(id), "services" | "routes" | "consumers" | "plugins") = (body["id"].as_str(), table) {
            let created = format!("/{table}/{id}");
            if !self.created.contains(&created) {
                self.created.push(created);
            }
        }
    }

    /// A recorded text with the ids that differ here.
    fn here(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (recorded, ours)| text.replace(recorded, ours))
    }

    fn differences(&mut self, place: &str, kong: &Value, ours: &Value, found: &mut Vec<String>) {
        match (kong, ours) {
            (Value::Object(kong), Value::Object(ours)) => {
                for (name, value) in kong {
                    match ours.get(name) {
                        Some(own) => self.differences(&format!("{place}/{name}"), value, own, found),
                        None => found.push(format!("{place}/{name}: missing, Kong says {value}")),
                    }
                }
                for name in ours.keys().filter(|name| !kong.contains_key(*name)) {
                    found.push(format!("{place}/{name}: Kong does not say this"));
                }
            }
            (Value::Array(kong), Value::Array(ours)) if kong.len() == ours.len() => {
                for (at, (kong, ours)) in kong.iter().zip(ours).enumerate() {
                    self.differences(&format!("{place}/{at}"), kong, ours, found);
                }
            }
            _ if place.ends_with("/created_at") || place.ends_with("/updated_at") => {
                if !(kong.is_i64() && ours.is_i64()) {
                    found.push(format!("{place}: {ours} is no number of seconds"));
                }
            }
            (Value::String(kong), Value::String(ours)) if place.ends_with("/request_id") => {
                let is_id = ours.len() == 32 && ours.bytes().all(|byte| byte.is_ascii_hexdigit());
                if kong.len() != 32 || !is_id {
                    found.push(format!("{place}: {ours} is no request id"));
                }
            }
            (Value::String(kong), Value::String(ours)) if is_uuid(kong) && is_uuid(ours) => {
                let expected = self.ids.entry(kong.clone()).or_insert_with(|| ours.clone());
                if expected != ours {
                    found.push(format!("{place}: {ours} where {expected} was meant"));
                }
            }
            (kong, ours) if kong == ours => {}
            (kong, ours) => found.push(format!("{place}: {ours} where Kong says {kong}")),
        }
    }

    async fn clean_up(&mut self) {
        let order = ["/plugins/", "/routes/", "/services/", "/consumers/"];
        for table in order {
            for path in self.created.iter().filter(|path| path.starts_with(table)) {
                let path = path.clone();
                self.send("DELETE", &path, None, b"").await;
            }
        }
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4
}

async fn replay(address: SocketAddr, is_real: bool) {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut replay = Replay {
        address,
        is_real,
        ids: BTreeMap::new(),
        created: Vec::new(),
        compared: 0,
        partly: 0,
        skipped: BTreeMap::new(),
        mismatches: Vec::new(),
    };
    for suite in ["admin", "admin-2"] {
        replay.run(suite, read(&recordings.join(suite))).await;
    }
    replay.clean_up().await;
    println!("compared {} exchanges in full, {} in part; skipped:", replay.compared, replay.partly);
    for (why, count) in &replay.skipped {
        println!("  {count:3}  {why}");
    }
    let mismatches = replay.mismatches.join("\n");
    assert!(mismatches.is_empty(), "{} exchanges differ:\n{mismatches}", replay.mismatches.len());
}

#[tokio::test]
async fn recorded_admin_exchanges_are_answered_alike() {
    if let Ok(url) = std::env::var("OUTRIDER_KONG_ADMIN") {
        let address = url.trim_start_matches("http://").trim_end_matches('/').parse().expect("http://ADDRESS:PORT");
        for path in ["/plugins", "/routes", "/services", "/consumers"] {
            let answer = call(address, "GET", path, &[], b"").await.expect("a Kong");
            assert_eq!(answer.json()["data"], json!([]), "the suite needs a Kong without {path}");
        }
        replay(address, true).await;
        return;
    }
    let practice = Practice::start(Settings::default()).await.expect("a practice gateway");
    replay(practice.admin_address(), false).await;
    practice.stop().await;
}
