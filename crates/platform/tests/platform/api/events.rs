//! Live updates: what is told, in which order, and when a stream ends.

use std::time::Duration;

use outrider_model::{ActionState, AlertState, Concern, NoticeKind};
use outrider_platform::api::{STREAMS_MAX, STREAMS_OF_ONE_MAX};
use outrider_platform::log::Position;
use outrider_platform::store::{EffectBatch, FEED_CHANGES_MAX, Role, Store};
use outrider_respond::desk::KillSwitch;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::contract::{self, DOCUMENT};
use super::harness::{Api, read_reply};
use crate::fixtures::{action, alert, policy};

/// Nothing here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub name: String,
    id: String,
    pub data: Value,
}

pub struct Listener {
    stream: TcpStream,
    text: String,
}

impl Listener {
    /// HTTP/1.0, so that the body comes as it is and not in chunks.
    async fn send(api: &Api, token: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        let request =
            format!("GET /api/v1/events HTTP/1.0\r\nhost: x\r\nauthorization: Bearer {token}\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub async fn open(api: &Api, token: &str, headers: &str) -> Listener {
        let mut listener = Listener { stream: Listener::send(api, token, headers).await, text: String::new() };
        let head = listener.until("\r\n\r\n").await.unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.0 200") || head.starts_with("http/1.1 200"), "{head}");
        for line in ["content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"] {
            assert!(head.contains(line), "{head}");
        }
        listener
    }

    /// What comes before a mark; `None` at the end of the stream.
    async fn until(&mut self, mark: &str) -> Option<String> {
        loop {
            if let Some((before, after)) = self.text.split_once(mark) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.text = after;
                return Some(before);
            }
            let mut bytes = [0; 16 * 1024];
            let count =
                tokio::time::timeout(PATIENCE, self.stream.read(&mut bytes)).await.expect("nothing comes").unwrap();
            if count == 0 {
                return None;
            }
            self.text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }

    /// The next event of whatever name. Comments only keep the stream from falling silent.
    pub async fn any(&mut self) -> Option<Told> {
        let mut text = self.until("\n\n").await?;
        while text.starts_with(':') {
            text = self.until("\n\n").await?;
        }
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        let told = Told { name: field("event"), id: field("id"), data: serde_json::from_str(&field("data")).unwrap() };
        let known = &DOCUMENT["paths"]["/api/v1/events"]["get"]["x-events"];
        assert!(known.get(&told.name).is_some(), "{told:?} is not in the document");
        contract::check_schema(&format!("/paths/~1api~1v1~1events/get/x-events/{}", told.name), Some(&told.data));
        Some(told)
    }

    /// The next event but the status.
    async fn next(&mut self) -> Option<Told> {
        loop {
            let told = self.any().await?;
            if told.name != "status" {
                return Some(told);
            }
        }
    }
}

async fn store(api: &Api, effects: EffectBatch) {
    let position = api.store.position().await.unwrap();
    api.store.apply(Position(position.0 + 1), &effects).await.unwrap();
}

fn switched(reason: &str) -> EffectBatch {
    let kill_switch = KillSwitch { on: true, by: "root".to_owned(), reason: reason.to_owned(), since_ms: 5 };
    EffectBatch { kill_switch: Some(kill_switch), ..EffectBatch::default() }
}

async fn reason_of(listener: &mut Listener) -> String {
    let told = listener.next().await.unwrap();
    assert_eq!(told.name, "kill_switch");
    told.data["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_stored_is_told_as_the_api_answers_it() {
    let api = Api::start().await;
    let mut listener = Listener::open(&api, api.token(Role::Viewer), "accept: text/event-stream\r\n").await;
    assert_eq!(listener.any().await.unwrap().name, "reset");
    let status = listener.any().await.unwrap();
    assert_eq!((status.name.as_str(), status.id.as_str()), ("status", ""));
    let effects = EffectBatch {
        alerts: vec![alert(77, "bob", AlertState::Open), alert(1, "alice", AlertState::Resolved)],
        actions: vec![action(9, "alice", ActionState::Stored)],
        policies: vec![policy("new")],
        deleted_policies: vec!["spikes".to_owned()],
        guard_rails: Some(Default::default()),
        ..switched("calm")
    };
    store(&api, effects).await;
    let concern = Concern {
        kind: NoticeKind::LakeBehind,
        subject: "lake".to_owned(),
        since_ms: 1,
        detail: "it is".to_owned(),
        remedy: "look".to_owned(),
    };
    api.store.apply_concerns(1, &[concern]).await.unwrap();
    api.store.apply_concerns(2, &[]).await.unwrap();
    let expected = [
        ("alert", "/api/v1/alerts/al_000000000000004d"),
        ("alert", "/api/v1/alerts/al_0000000000000001"),
        ("action", "/api/v1/actions/ac_0000000000000009"),
        ("policy", "/api/v1/policies/new"),
        ("policy_deleted", ""),
        ("kill_switch", "/api/v1/kill-switch"),
        ("guard_rails", "/api/v1/guard-rails"),
        ("notice", ""),
        ("notice", "/api/v1/notices/1"),
    ];
    for (name, path) in expected {
        let told = listener.next().await.unwrap();
        assert_eq!(told.name, name, "{told:?}");
        if !path.is_empty() {
            assert_eq!(told.data, api.get(path).await.body, "{path}");
        }
        if name == "policy_deleted" {
            assert_eq!(told.data, json!({"name": "spikes"}));
        }
    }
    let streams = &api.get("/api/v1/status").await.body["api"]["streams"];
    assert_eq!(streams, &json!({"open": 1, "refused": 0, "events": expected.len(), "resets": 1}));
}

#[tokio::test]
async fn a_stream_goes_on_where_the_one_before_ended() {
    let api = Api::start().await;
    let viewer = api.token(Role::Viewer);
    let mut first = Listener::open(&api, viewer, "").await;
    let begin = first.next().await.unwrap();
    assert_eq!(begin.name, "reset");
    for reason in ["one", "two", "three"] {
        store(&api, switched(reason)).await;
    }
    let one = first.next().await.unwrap();
    drop(first);
    for (id, expected) in [(&one.id, &["two", "three"][..]), (&begin.id, &["one", "two", "three"][..])] {
        let mut second = Listener::open(&api, viewer, &format!("last-event-id: {id}\r\n")).await;
        for reason in expected {
            assert_eq!(reason_of(&mut second).await, *reason);
        }
        store(&api, switched("later")).await;
        assert_eq!(reason_of(&mut second).await, "later");
        // So that the next one finds the same.
        if id == &one.id {
            let mut third = Listener::open(&api, viewer, &format!("last-event-id: {id}\r\n")).await;
            for reason in ["two", "three", "later"] {
                assert_eq!(reason_of(&mut third).await, reason);
            }
        }
    }
    // What names no place of this process begins anew, and goes on from the newest.
    let (run, _) = one.id.split_once('-').unwrap();
    for id in ["0000000000000000-1", "1", "nonsense", &format!("{run}-999"), &format!("{run}-x"), &format!("{run}--1")]
    {
        let mut listener = Listener::open(&api, viewer, &format!("last-event-id: {id}\r\n")).await;
        let told = listener.any().await.unwrap();
        assert_eq!(told.name, "reset", "{id}");
        store(&api, switched(id)).await;
        assert_eq!(reason_of(&mut listener).await, id);
    }
    let mut stream = Listener::send(&api, viewer, &format!("last-event-id: {}\r\n", "x".repeat(65))).await;
    assert_eq!(read_reply(&mut stream).await.status, 400);
}

#[tokio::test]
async fn who_is_too_slow_is_told_to_begin_anew() {
    let api = Api::start().await;
    let mut listener = Listener::open(&api, api.token(Role::Viewer), "").await;
    assert_eq!(listener.next().await.unwrap().name, "reset");
    // More at once than the ring holds, so that nobody is quick enough.
    let deleted_policies = (0..=FEED_CHANGES_MAX).map(|number| number.to_string()).collect();
    store(&api, EffectBatch { deleted_policies, ..EffectBatch::default() }).await;
    let told = listener.next().await.unwrap();
    assert_eq!(told.name, "reset");
    assert!(told.data["reason"].as_str().unwrap().contains("too slowly"), "{told:?}");
    store(&api, switched("after")).await;
    assert_eq!(reason_of(&mut listener).await, "after");
}

#[tokio::test]
async fn streams_are_limited_in_all_and_by_token() {
    let api = Api::start().await;
    let mut open = Vec::new();
    let roles = [Role::Viewer, Role::Analyst, Role::Responder, Role::Admin];
    assert_eq!(roles.len() * STREAMS_OF_ONE_MAX, STREAMS_MAX);
    for role in roles {
        for _ in 0..STREAMS_OF_ONE_MAX {
            open.push(Listener::open(&api, api.token(role), "").await);
        }
        let mut stream = Listener::send(&api, api.token(role), "").await;
        let reply = read_reply(&mut stream).await;
        assert_eq!(reply.status, 429, "{}", reply.body);
        assert!(reply.header("retry-after").is_some());
        contract::check("GET", "/api/v1/events", &reply);
    }
    let other = api.store.create_token("other", Role::Viewer, "test", 1).await.unwrap();
    let mut stream = Listener::send(&api, other.reveal(), "").await;
    let reply = read_reply(&mut stream).await;
    assert_eq!(reply.status, 503, "{}", reply.body);
    contract::check("GET", "/api/v1/events", &reply);
    drop(open.pop());
    // The server finds out by itself that a client is gone.
    let freed = async {
        while api.get("/api/v1/status").await.body["api"]["streams"]["open"] == STREAMS_MAX {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.unwrap();
    Listener::open(&api, other.reveal(), "").await;
    assert_eq!(api.get("/api/v1/status").await.body["api"]["streams"]["refused"], 5);
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_with_the_server() {
    let api = Api::start().await;
    let mut last = Listener::open(&api, api.token(Role::Viewer), "").await;
    // Here, and by another process.
    let elsewhere = Store::open(&api.dir.path().join("control.sqlite")).await.unwrap();
    for store in [&api.store, &elsewhere] {
        let token = store.create_token("brief", Role::Viewer, "test", 1).await.unwrap();
        let mut listener = Listener::open(&api, token.reveal(), "").await;
        assert_eq!(listener.next().await.unwrap().name, "reset");
        store.revoke_token("brief", "test", 2).await.unwrap();
        assert_eq!(listener.next().await, None);
    }
    assert_eq!(last.next().await.unwrap().name, "reset", "others stay");
    api.cancel.cancel();
    assert_eq!(last.next().await, None);
    tokio::time::timeout(PATIENCE, api.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_asks_for_what_every_route_asks_for() {
    let api = Api::start().await;
    let viewer = api.token(Role::Viewer);
    for (headers, status) in [
        (String::new(), 401),
        ("authorization: Bearer nonsense\r\n".to_owned(), 401),
        (format!("authorization: Bearer {viewer}\r\naccept: application/json\r\n"), 406),
    ] {
        let request = format!("GET /api/v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        assert_eq!(api.raw(&request).await.status, status);
    }
    assert_eq!(api.get("/api/v1/events?since=1").await.status, 400);
}
