//! The people's API with real requests over a socket: who may do what, what is refused and how, pages, decisions.

mod apis;
mod console;
mod contract;
mod endpoints;
mod erasures;
mod events;
mod harness;
mod hunts;
mod oidc;
mod people;
mod routes;
mod scope;
mod services;

use std::time::Duration;

use crate::fixtures::consumer;
use harness::{Api, read_reply};
use outrider_model::{AlertId, AlertState, Command, CommandRefused};
use outrider_platform::api::{BODY_BYTES_MAX, CONNECTIONS_MAX, CommandError};
use outrider_platform::store::Role;
use outrider_respond::desk::CommandDone;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const READS: [&str; 24] = [
    "/api/v1/alerts",
    "/api/v1/alerts/al_0000000000000001",
    "/api/v1/findings",
    "/api/v1/endpoints",
    "/api/v1/apis",
    "/api/v1/templates",
    "/api/v1/policies",
    "/api/v1/policies/spikes",
    "/api/v1/actions",
    "/api/v1/actions/ac_0000000000000009",
    "/api/v1/gateways",
    "/api/v1/gateways/edge%20one",
    "/api/v1/gateways/edge%20one/configuration?number=1",
    "/api/v1/kill-switch",
    "/api/v1/guard-rails",
    "/api/v1/audit",
    "/api/v1/notices",
    "/api/v1/notify",
    "/api/v1/status",
    "/metrics",
    "/api/v1/alerts?limit=500",
    "/api/v1/session",
    "/api/v1/alerts?sort=last_finding",
    "/api/v1/endpoints?sort=calls",
];

/// Every decision with the least role that may take it.
fn decisions() -> Vec<(Role, &'static str, String, String)> {
    let (alert, action) = ("/api/v1/alerts/al_0000000000000001", "/api/v1/actions/ac_0000000000000009");
    let reason = r#"{"reason": "seen"}"#;
    let policy = r#"{"name": "spikes", "respond": {"kind": "block"}, "duration": "15m"}"#;
    let act =
        r#"{"target": {"kind": "consumer", "gateway": "kong", "value": "x"}, "duration": "15m", "reason": "now"}"#;
    let new = |role, method, path: String, body: &str| (role, method, path, body.to_owned());
    vec![
        new(Role::Analyst, "POST", format!("{alert}/acknowledge"), ""),
        new(Role::Analyst, "POST", format!("{alert}/resolve"), reason),
        new(Role::Analyst, "POST", format!("{alert}/false-positive"), reason),
        new(Role::Analyst, "POST", format!("{alert}/assign"), r#"{"assignee": null}"#),
        new(Role::Analyst, "POST", format!("{alert}/comment"), r#"{"text": "a load test"}"#),
        new(Role::Responder, "PUT", "/api/v1/policies/spikes".to_owned(), policy),
        new(Role::Responder, "DELETE", "/api/v1/policies/spikes".to_owned(), ""),
        new(Role::Responder, "POST", "/api/v1/actions".to_owned(), act),
        new(Role::Responder, "POST", format!("{action}/approve"), "{}"),
        new(Role::Responder, "POST", format!("{action}/reject"), reason),
        new(Role::Responder, "POST", format!("{action}/release"), reason),
        new(Role::Responder, "PUT", "/api/v1/kill-switch".to_owned(), r#"{"on": true, "reason": "calm"}"#),
        new(Role::Admin, "GET", "/api/v1/tokens".to_owned(), ""),
        new(Role::Admin, "POST", "/api/v1/tokens".to_owned(), r#"{"name": "new", "role": "viewer"}"#),
        new(Role::Admin, "DELETE", "/api/v1/tokens/new".to_owned(), ""),
    ]
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_said_or_done() {
    let api = Api::start().await;
    let mut requests: Vec<(&str, String)> = READS.iter().map(|path| ("GET", (*path).to_owned())).collect();
    requests.extend(decisions().into_iter().map(|(_, method, path, _)| (method, path)));
    let viewer = api.token(Role::Viewer);
    let headers = [
        String::new(),
        "authorization: Bearer\r\n".to_owned(),
        "authorization: Bearer \r\n".to_owned(),
        "authorization: Bearer wrong\r\n".to_owned(),
        format!("authorization: Basic {viewer}\r\n"),
        format!("authorization: {viewer}\r\n"),
        format!("authorization: Bearer {viewer}x\r\n"),
        format!("authorization: Bearer {}\r\n", "x".repeat(10_000)),
        format!("authorization: Bearer {viewer}\r\nauthorization: Bearer {viewer}\r\n"),
        format!("cookie: token={viewer}\r\n"),
    ];
    for (method, path) in &requests {
        for header in &headers {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}content-length: 0\r\n\r\n"
            );
            let reply = api.raw(&request).await;
            assert_eq!(reply.status, 401, "{method} {path} with {header}");
            assert!(reply.head.contains("www-authenticate: bearer"), "{}", reply.head);
            assert!(reply.detail().contains("Authorization: Bearer"), "{}", reply.body);
        }
    }
    assert!(api.bus.records.lock().unwrap().is_empty());
    let reply = api.raw("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!((reply.status, reply.body), (200, json!({"status": "ok"})));
    let reply = api
        .raw(&format!(
            "GET /api/v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: bearer  {viewer}\r\n\r\n"
        ))
        .await;
    assert_eq!(reply.status, 200, "the scheme's case is free");
    assert_eq!(reply.body["api"]["unauthorized"], requests.len() * headers.len());
}

#[tokio::test]
async fn each_role_may_do_what_is_its_own_and_what_is_below() {
    let api = Api::start().await;
    for role in [Role::Viewer, Role::Analyst, Role::Responder, Role::Admin] {
        for path in READS {
            let reply = api.send(role, "GET", path, None).await;
            assert_eq!(reply.status, 200, "{role} {path}: {}", reply.body);
            assert!(reply.head.contains("cache-control: no-store"), "{}", reply.head);
        }
        for (least, method, path, body) in decisions() {
            let reply = api.send(role, method, &path, Some(&body)).await;
            if role >= least {
                assert!((200..300).contains(&reply.status), "{role} {method} {path}: {} {}", reply.status, reply.body);
            } else {
                assert_eq!(reply.status, 403, "{role} {method} {path}: {}", reply.body);
                assert!(reply.detail().contains(&format!("needs the role {least}")), "{}", reply.body);
            }
        }
    }
    let allowed = api.bus.records.lock().unwrap().len();
    assert_eq!(allowed, 5 + 12 + 12, "decisions of analyst, responder and admin");
}

#[tokio::test]
async fn a_revoked_token_is_refused_from_then_on() {
    let api = Api::start().await;
    let admin = Role::Admin;
    let made = api.send(admin, "POST", "/api/v1/tokens", Some(r#"{"name": "ci", "role": "viewer"}"#)).await;
    assert_eq!(made.status, 201);
    let token = made.body["token"].as_str().unwrap().to_owned();
    let ask = async || {
        let head = "GET /api/v1/alerts HTTP/1.1\r\nhost: x\r\nconnection: close";
        api.raw(&format!("{head}\r\nauthorization: Bearer {token}\r\n\r\n")).await.status
    };
    assert_eq!(ask().await, 200);
    assert_eq!(api.send(admin, "POST", "/api/v1/tokens", Some(r#"{"name": "ci", "role": "admin"}"#)).await.status, 409);
    let list = api.send(admin, "GET", "/api/v1/tokens", None).await;
    assert!(list.items().iter().any(|row| row["name"] == "ci" && row["last_used_ms"].is_i64()));
    assert!(!list.body.to_string().contains(&token) && !list.body.to_string().contains("hash"));
    assert_eq!(api.send(admin, "DELETE", "/api/v1/tokens/ci", None).await.status, 204);
    assert_eq!(ask().await, 401);
    assert_eq!(api.send(admin, "DELETE", "/api/v1/tokens/ci", None).await.status, 404);
    let reply = api.send(admin, "DELETE", "/api/v1/tokens/the-admin", None).await;
    assert_eq!(reply.status, 409, "nobody locks the last admin out");
    let audit = api.get("/api/v1/audit").await.body.to_string();
    assert!(audit.contains("created viewer token") && audit.contains("revoked token"), "{audit}");
    assert!(audit.contains(r#""by":"the-admin""#), "{audit}");
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_what_where_and_what_to_do() {
    let api = Api::start().await;
    let policy = "/api/v1/policies/spikes";
    let act = "/api/v1/actions";
    let target = r#""target": {"kind": "consumer", "gateway": "kong", "value": "x"}"#;
    let cases: Vec<(u16, &str, &str, String, &str)> = vec![
        (404, "GET", "/", String::new(), "/api/v1/"),
        (404, "GET", "/api/v1/alrets", String::new(), "/api/v1/alrets"),
        (404, "GET", "/api/v1/alerts/al_00000000000000ff", String::new(), "no alert"),
        (404, "GET", "/api/v1/alerts/17", String::new(), "like `al_0123456789abcdef`"),
        (404, "GET", "/api/v1/actions/al_0000000000000001", String::new(), "like `ac_0123456789abcdef`"),
        (404, "GET", "/api/v1/endpoints/ep_0000000000000001", String::new(), "no endpoint"),
        (404, "GET", "/api/v1/policies/none", String::new(), "no policy `none`"),
        (405, "DELETE", "/api/v1/alerts", String::new(), "DELETE"),
        (405, "POST", "/api/v1/status", String::new(), "POST"),
        (405, "PUT", act, String::new(), "PUT"),
        (400, "GET", "/api/v1/alerts?sate=open", String::new(), "did you mean `state`?"),
        (400, "GET", "/api/v1/alerts?state=opne", String::new(), "did you mean `open`?"),
        (400, "GET", "/api/v1/alerts?limit=501", String::new(), "use 1 to 500"),
        (400, "GET", "/api/v1/alerts?cursor=nonsense", String::new(), "query parameter `cursor`"),
        (400, "GET", "/api/v1/findings?alert=x", String::new(), "query parameter `alert`"),
        (400, "GET", "/api/v1/status?x=1", String::new(), "there are no parameters here"),
        (400, "PUT", policy, "{".to_owned(), "not JSON"),
        (400, "PUT", policy, "\u{fffd}".to_owned(), "line 1, column 1"),
        (422, "PUT", policy, "[]".to_owned(), "body"),
        (422, "PUT", policy, r#"{"name": "spikes"}"#.to_owned(), "missing field `respond`"),
        (
            422,
            "PUT",
            policy,
            r#"{"name": "spikes", "respond": {"kind": "block", "stauts": 403}, "duration": "15m"}"#.to_owned(),
            "did you mean `status`?",
        ),
        (
            422,
            "PUT",
            policy,
            r#"{"name": "spikes", "respond": {"kind": "block"}, "duration": "15 minutes"}"#.to_owned(),
            "like `15m`",
        ),
        (
            422,
            "PUT",
            policy,
            r#"{"name": "spikes", "respond": {"kind": "block", "status": 200}, "duration": "15m"}"#.to_owned(),
            "body field `respond.status`",
        ),
        (
            422,
            "PUT",
            "/api/v1/policies/others",
            r#"{"name": "spikes", "respond": {"kind": "block"}, "duration": "15m"}"#.to_owned(),
            "the same name in both",
        ),
        (422, "POST", act, format!(r#"{{{target}, "duration": "15m"}}"#), "missing field `reason`"),
        (
            422,
            "POST",
            act,
            format!(r#"{{{target}, "duration": "15m", "reason": "x", "scpe": {{"kind": "consumer"}}}}"#),
            "did you mean `scope`?",
        ),
        (
            422,
            "POST",
            act,
            format!(r#"{{{target}, "duration": "15m", "reason": "x", "scope": {{"kind": "consumer", "id": "1"}}}}"#),
            "unknown field `id`",
        ),
        (
            422,
            "POST",
            act,
            r#"{"target": {"kind": "consmer", "gateway": "k", "value": "x"}, "duration": "1m", "reason": "x"}"#
                .to_owned(),
            "did you mean `consumer`?",
        ),
        (422, "POST", "/api/v1/alerts/al_0000000000000001/acknowledge", r#"{"reason": "x"}"#.to_owned(), "reason"),
        (422, "POST", "/api/v1/alerts/al_0000000000000001/resolve", String::new(), "missing field `reason`"),
        (422, "POST", "/api/v1/alerts/al_0000000000000001/assign", "{}".to_owned(), "missing field `assignee`"),
        (
            422,
            "POST",
            "/api/v1/alerts/al_0000000000000001/assign",
            r#"{"assignee": "zoe"}"#.to_owned(),
            "`/api/v1/assignees` says who may",
        ),
        (422, "POST", "/api/v1/alerts/al_0000000000000001/comment", String::new(), "missing field `text`"),
        (400, "GET", "/api/v1/alerts?assigned=nobody", String::new(), "query parameter `assigned`"),
        (400, "POST", "/api/v1/alerts/al_0000000000000001/acknowledge?now=1", String::new(), "`now`"),
        (422, "POST", "/api/v1/tokens", r#"{"name": "x", "role": "amdin"}"#.to_owned(), "did you mean `admin`?"),
        (422, "POST", "/api/v1/tokens", r#"{"name": "a b", "role": "viewer"}"#.to_owned(), "body field `name`"),
    ];
    for (status, method, path, body, expected) in cases {
        let reply = api.send(Role::Admin, method, path, Some(&body)).await;
        assert_eq!(reply.status, status, "{method} {path} {body}: {}", reply.body);
        assert!(reply.detail().contains(expected), "{method} {path} {body}: {}", reply.body);
        assert!(status != 405 || reply.head.contains("allow: "), "{}", reply.head);
    }
    assert!(api.bus.records.lock().unwrap().is_empty(), "nothing of it was decided");
}

#[tokio::test]
async fn bodies_and_heads_have_limits_and_types() {
    let api = Api::start().await;
    let path = "/api/v1/alerts/al_0000000000000001/resolve";
    let largest = BODY_BYTES_MAX - r#"{"reason": ""}"#.len();
    api.answer(Ok(CommandDone::Alert { alert: AlertId(1), state: AlertState::Resolved }));
    for (spare, status) in [(0, 200), (1, 413), (1_000_000, 413)] {
        let body = format!(r#"{{"reason": "{}"}}"#, "x".repeat(largest + spare));
        let reply = api.send(Role::Analyst, "POST", path, Some(&body)).await;
        assert_eq!(reply.status, status, "{}", body.len());
    }
    // The same without a length: in chunks, more than the limit.
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    let token = api.token(Role::Analyst);
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..5 {
        // It may stop reading before everything is sent.
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");

    let reason = r#"{"reason": "x"}"#;
    for (header, status) in [
        ("content-type: application/json; charset=utf-8\r\n", 200),
        ("content-type: Application/JSON\r\n", 200),
        ("content-type: text/plain\r\n", 415),
        ("", 415),
    ] {
        let reply = api.send_with(Role::Analyst, "POST", path, Some(reason), header).await;
        assert_eq!(reply.status, status, "{header}");
    }
    let long = format!("x-long: {}\r\n", "x".repeat(64 * 1024));
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    stream.write_all(format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{long}").as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 431");
}

#[tokio::test]
async fn lists_come_in_pages_that_join() {
    let api = Api::start().await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let reply = api.get(&format!("/api/v1/alerts?limit=5{cursor}")).await;
        assert!(reply.items().len() <= 5);
        seen.extend(reply.items().iter().map(|alert| alert["id"].as_str().unwrap().to_owned()));
        match reply.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<_> = (1..=12).rev().map(|number| AlertId(number).to_string()).collect();
    assert_eq!(seen, expected);
    assert_eq!(api.get("/api/v1/alerts?severity_min=high&state=open,resolved").await.items().len(), 6);
    assert_eq!(api.get("/api/v1/alerts?state=false_positive").await.items().len(), 0);
    assert_eq!(api.get("/api/v1/alerts?entity=alice&service=orders&detector=request_spike").await.items().len(), 12);
    assert_eq!(api.get("/api/v1/endpoints?method=get&contains=order").await.items().len(), 1);
    assert_eq!(api.get("/api/v1/findings?alert=al_0000000000000001").await.items().len(), 1);
    for (range, count) in [("since_ms=1", 1), ("since_ms=2", 0), ("until_ms=2", 1), ("since_ms=0&until_ms=1", 0)] {
        assert_eq!(api.get(&format!("/api/v1/findings?{range}")).await.items().len(), count, "{range}");
    }
    assert_eq!(api.get("/api/v1/actions?target=alice&state=pending&gateway=kong").await.items().len(), 1);
    assert_eq!(api.get("/api/v1/status").await.body["caught_up"], true);

    let reply = api.get("/api/v1/alerts?state=open&limit=7&sort=last_finding").await;
    let next = reply.body["next"].as_str().unwrap();
    let link = format!("</api/v1/alerts?state=open&limit=7&sort=last_finding&cursor={next}>; rel=\"next\"");
    assert_eq!(reply.header("link"), Some(link));
    let reply = api.get(&format!("/api/v1/alerts?state=open&limit=7&sort=last_finding&cursor={next}")).await;
    assert_eq!((reply.items().len(), reply.header("link")), (5, None));
    let reply = api.get(&format!("/api/v1/alerts?cursor={next}")).await;
    assert_eq!(reply.status, 400, "a cursor of another order");
}

#[tokio::test]
async fn a_decision_says_who_and_what_and_answers_with_what_is_stored() {
    let api = Api::start().await;
    let body = r#"{"alert": "al_0000000000000001", "target": {"kind": "consumer", "gateway": "kong", "value": "id-of-alice",
        "label": "alice"}, "scope": {"kind": "service", "id": "s-1"}, "response": {"kind": "block", "status": 429},
        "duration": "2h", "reason": "bombards orders"}"#;
    let reply = api.send(Role::Responder, "POST", "/api/v1/actions", Some(body)).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert!(reply.head.contains("location: /api/v1/actions/ac_0000000000000009"), "{}", reply.head);
    assert_eq!(reply.body["id"], "ac_0000000000000009");
    let record = api.last_record();
    assert_eq!(record.by, "the-responder");
    assert!(record.id.starts_with("cmd_") && record.at_ms > 1_700_000_000_000);
    let Command::Act { alert, target, duration, reason, .. } = record.command else { panic!("{record:?}") };
    assert_eq!((alert, target, reason.as_str()), (Some(AlertId(1)), consumer("alice"), "bombards orders"));
    assert_eq!(duration.to_string(), "2h");

    api.answer(Ok(CommandDone::Alert { alert: AlertId(1), state: AlertState::Acknowledged }));
    let path = "/api/v1/alerts/al_0000000000000001/acknowledge";
    for _ in 0..2 {
        let headers = "idempotency-key: tuesday 1\r\n";
        let reply = api.send_with(Role::Analyst, "POST", path, None, headers).await;
        assert_eq!((reply.status, reply.body["id"].as_str()), (200, Some("al_0000000000000001")));
        assert_eq!(api.last_record().id, "the-analyst/tuesday 1");
    }
    let long = format!("idempotency-key: {}\r\n", "x".repeat(129));
    assert_eq!(api.send_with(Role::Analyst, "POST", path, None, &long).await.status, 400);

    let put = r#"{"name": "spikes", "respond": {"kind": "block"}, "duration": "15m", "mode": "enforce"}"#;
    let reply = api.send(Role::Responder, "PUT", "/api/v1/policies/spikes", Some(put)).await;
    assert_eq!((reply.status, reply.body["policy"]["name"].as_str()), (200, Some("spikes")));
    assert!(matches!(api.last_record().command, Command::PutPolicy { if_new: false, .. }));
    for (value, status) in [("*", 200), ("\"a\"", 400), ("*", 412)] {
        if status == 412 {
            api.answer(Err(CommandError::Refused(CommandRefused::Exists { what: "policy spikes".to_owned() })));
        }
        let headers = format!("content-type: application/json\r\nif-none-match: {value}\r\n");
        let reply = api.send_with(Role::Responder, "PUT", "/api/v1/policies/spikes", Some(put), &headers).await;
        assert_eq!(reply.status, status, "{}", reply.body);
        assert!(matches!(api.last_record().command, Command::PutPolicy { if_new: true, .. }));
    }
    api.answer(Ok(CommandDone::PolicyDeleted { name: "spikes".to_owned() }));
    assert_eq!(api.send(Role::Responder, "DELETE", "/api/v1/policies/spikes", None).await.status, 204);
    assert!(matches!(api.last_record().command, Command::DeletePolicy { name } if name == "spikes"));
}

#[tokio::test]
async fn a_refused_decision_has_the_status_of_its_cause() {
    let api = Api::start().await;
    let words = || "for a reason".to_owned();
    let cases = [
        (CommandError::Refused(CommandRefused::NotFound { what: words() }), 404, "there is no for a reason"),
        (CommandError::Refused(CommandRefused::Conflict { why: words() }), 409, "for a reason"),
        (CommandError::Refused(CommandRefused::GuardRail { why: words() }), 409, "guard rail"),
        (CommandError::Refused(CommandRefused::Invalid { why: words() }), 422, "for a reason"),
        (CommandError::NotStored(outrider_platform::log::LogError::Closed), 503, "was not carried out"),
        (CommandError::Pending, 504, "Idempotency-Key"),
    ];
    for (error, status, expected) in cases {
        api.answer(Err(error));
        let path = "/api/v1/actions/ac_0000000000000009/approve";
        let reply = api.send(Role::Responder, "POST", path, None).await;
        assert_eq!(reply.status, status);
        assert!(reply.detail().contains(expected), "{}", reply.body);
    }
}

#[tokio::test]
async fn a_store_that_fails_is_an_error_without_secrets() {
    let api = Api::start().await;
    api.store.close().await;
    let reply = api.get("/api/v1/alerts").await;
    assert_eq!(reply.status, 500);
    let text = reply.detail();
    assert!(!text.contains("sqlite") && !text.contains("/tmp"), "{text}");
}

#[tokio::test]
async fn connections_are_limited() {
    let api = Api::start().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        silent.push(TcpStream::connect(api.address).await.unwrap());
    }
    // The next one waits in the backlog until one of the others goes.
    let mut waiting = TcpStream::connect(api.address).await.unwrap();
    let request = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    waiting.write_all(request.as_bytes()).await.unwrap();
    let mut byte = [0; 1];
    assert!(tokio::time::timeout(Duration::from_millis(200), waiting.peek(&mut byte)).await.is_err());
    drop(silent.pop());
    assert_eq!(read_reply(&mut waiting).await.status, 200);
}

#[tokio::test]
async fn it_ends_when_cancelled_and_lets_requests_under_way_finish() {
    let api = Api::start().await;
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    // Half a request is under way.
    let path = "/api/v1/alerts/al_0000000000000001/acknowledge";
    let token = api.token(Role::Analyst);
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Once another request is answered, this one has been read too: its bytes came first, on the same loop.
    assert_eq!(api.get("/api/v1/status").await.status, 200);
    let mut idle = TcpStream::connect(api.address).await.unwrap();
    api.cancel.cancel();
    stream.write_all(b"}").await.unwrap();
    let reply = read_reply(&mut stream).await;
    assert_eq!(reply.status, 200);
    let mut rest = Vec::new();
    assert!(matches!(idle.read_to_end(&mut rest).await, Ok(0) | Err(_)));
    api.task.await.unwrap().unwrap();
    assert!(TcpStream::connect(api.address).await.is_err());
}

#[tokio::test]
async fn garbage_on_the_socket_harms_nobody() {
    let api = Api::start().await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"",
        b"{}",
    ] {
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{garbage:?}: {answer:?}");
    }
    assert_eq!(api.get("/api/v1/alerts").await.status, 200);
}
