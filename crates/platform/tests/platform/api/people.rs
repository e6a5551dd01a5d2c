//! Signing in over a socket: cookies, other sites, guessing, and what ends a session.

use outrider_model::{AlertId, AlertState, Command};
use outrider_platform::log::Position;
use outrider_platform::passwords::{HashedPassword, Password, Passwords};
use outrider_platform::store::{AuditFilter, EffectBatch, NewPerson, Role};
use serde_json::{Value, json};

use super::harness::{Api, Reply};
use crate::fixtures::alert;

const PASSWORD: &str = "correct horse battery";
const OWN: &str = "sec-fetch-site: same-origin\r\n";

async fn hashed() -> HashedPassword {
    Passwords::default().hash(Password::from(PASSWORD.to_owned())).await.unwrap()
}

async fn add(api: &Api, name: &str, role: Role) {
    let person = NewPerson { name: name.to_owned(), display_name: String::new(), role };
    api.store.create_person(&person, &hashed().await, "test", 1).await.unwrap();
}

/// A request without a token.
async fn ask(api: &Api, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}");
    let head = format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    api.raw(&head).await
}

async fn sign_in(api: &Api, name: &str, password: &str) -> Reply {
    let body = json!({"name": name, "password": password}).to_string();
    ask(api, "POST", "/api/v1/session", "", &body).await
}

/// The cookie header that a browser sends after this answer.
fn cookie(reply: &Reply) -> String {
    let line = reply.head.lines().find(|line| line.starts_with("set-cookie: ")).expect("a cookie");
    let pair = line.trim_start_matches("set-cookie: ").split(';').next().unwrap();
    format!("cookie: other=1; {pair}\r\n")
}

#[tokio::test]
async fn who_signs_in_may_do_what_their_role_may() {
    let api = Api::start().await;
    add(&api, "anna", Role::Analyst).await;
    let reply = sign_in(&api, "anna", PASSWORD).await;
    assert_eq!((reply.status, &reply.body["by"]), (200, &json!("person:anna")), "{}", reply.body);
    assert!(reply.head.contains("; path=/; httponly; samesite=strict\r\n"), "{}", reply.head);
    assert!(reply.head.contains("set-cookie: outrider_session=outrider_session_"), "{}", reply.head);
    let anna = cookie(&reply);
    let me = ask(&api, "GET", "/api/v1/session", &anna, "").await;
    assert_eq!((me.status, &me.body["role"], &me.body["person"]["name"]), (200, &json!("analyst"), &json!("anna")));
    let acknowledge = "/api/v1/alerts/al_0000000000000001/acknowledge";
    let reply = ask(&api, "POST", acknowledge, &format!("{anna}{OWN}"), "{}").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(api.last_record().by, "person:anna");
    let decided = api.bus.records.lock().unwrap().len();
    for elsewhere in ["", "sec-fetch-site: cross-site\r\n", "origin: http://evil.example\r\n"] {
        let reply = ask(&api, "POST", acknowledge, &format!("{anna}{elsewhere}"), "{}").await;
        assert_eq!(reply.status, 403, "{elsewhere}: {}", reply.body);
    }
    assert_eq!(api.bus.records.lock().unwrap().len(), decided, "another site decides nothing");
    let reply = ask(&api, "PUT", "/api/v1/kill-switch", &format!("{anna}{OWN}"), "{}").await;
    assert_eq!(reply.status, 403, "{}", reply.body);
    let reply = ask(&api, "DELETE", "/api/v1/session", &format!("{anna}{OWN}"), "").await;
    assert!(reply.status == 204 && reply.head.contains("max-age=0"), "{}", reply.head);
    assert_eq!(ask(&api, "GET", "/api/v1/session", &anna, "").await.status, 401);
    let me = api.get("/api/v1/session").await;
    assert_eq!((me.status, &me.body["by"], &me.body["person"]), (200, &json!("the-viewer"), &json!(null)));
}

#[tokio::test]
async fn alerts_are_assigned_to_who_may_work_on_them() {
    let api = Api::start().await;
    for (name, role) in
        [("anna", Role::Analyst), ("dora", Role::Admin), ("erik", Role::Responder), ("vic", Role::Viewer)]
    {
        add(&api, name, role).await;
    }
    api.send(Role::Admin, "PATCH", "/api/v1/people/erik", Some(r#"{"disabled": true}"#)).await;
    let reply = api.send(Role::Analyst, "GET", "/api/v1/assignees", None).await;
    let names: Vec<_> = reply.items().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["anna", "dora"]);
    for (assignee, status) in [("anna", 200), ("dora", 200), ("erik", 422), ("vic", 422), ("zoe", 422), ("", 422)] {
        let body = json!({ "assignee": assignee }).to_string();
        let reply = api.send(Role::Analyst, "POST", "/api/v1/alerts/al_0000000000000001/assign", Some(&body)).await;
        assert_eq!(reply.status, status, "{assignee}: {}", reply.body);
        if status == 200 {
            let expected = Command::AssignAlert { alert: AlertId(1), assignee: Some(assignee.to_owned()) };
            assert_eq!(api.last_record().command, expected);
        }
    }

    let mut of_anna = alert(3, "alice", AlertState::Open);
    of_anna.assignee = Some("anna".to_owned());
    let effects = EffectBatch { alerts: vec![of_anna], ..EffectBatch::default() };
    api.store.apply(Position(2), &effects).await.unwrap();
    for (filter, count) in [("assignee=anna", 1), ("assignee=dora", 0), ("assigned=true", 1), ("assigned=false", 11)] {
        assert_eq!(api.get(&format!("/api/v1/alerts?{filter}")).await.items().len(), count, "{filter}");
    }
    let reply = api.get("/api/v1/alerts/al_0000000000000003").await;
    assert_eq!((&reply.body["assignee"], &reply.body["comments"]), (&json!("anna"), &json!([])));
}

#[tokio::test]
async fn a_session_is_always_new_and_other_sites_start_none() {
    let api = Api::start().await;
    add(&api, "anna", Role::Viewer).await;
    let planted = "cookie: outrider_session=outrider_session_planted\r\n";
    let body = json!({"name": "anna", "password": PASSWORD}).to_string();
    let reply = ask(&api, "POST", "/api/v1/session", planted, &body).await;
    let first = cookie(&reply);
    assert!(reply.status == 200 && !first.contains("planted"));
    assert_eq!(ask(&api, "GET", "/api/v1/session", planted, "").await.status, 401);
    let second = cookie(&ask(&api, "POST", "/api/v1/session", &first, &body).await);
    assert_ne!(first, second);
    assert_eq!(ask(&api, "GET", "/api/v1/session", &first, "").await.status, 401, "the one before has ended");
    assert_eq!(ask(&api, "GET", "/api/v1/session", &second, "").await.status, 200);
    let reply = ask(&api, "POST", "/api/v1/session", "origin: http://evil.example\r\n", &body).await;
    assert!(reply.status == 403 && !reply.head.contains("set-cookie"), "{}", reply.head);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_tells_nothing() {
    let api = Api::start().await;
    add(&api, "anna", Role::Viewer).await;
    let mut said = Vec::new();
    for name in ["anna", "nobody"] {
        let replies = [sign_in(&api, name, "wrong").await, sign_in(&api, name, &"x".repeat(1000)).await];
        said.extend(replies.map(|reply| (reply.status, reply.detail())));
    }
    assert!(said.iter().all(|reply| *reply == said[0]) && said[0].0 == 401, "{said:?}");
    for name in ["anna", "nobody"] {
        let (mut tries, mut reply) = (2, sign_in(&api, name, "wrong").await);
        while reply.status == 401 {
            tries += 1;
            reply = sign_in(&api, name, "wrong").await;
        }
        assert!(reply.status == 429 && tries >= 5, "{name} after {tries}: {}", reply.body);
        assert!(reply.head.contains("retry-after: ") && reply.detail().contains("try again in"), "{}", reply.head);
    }
    add(&api, "bob", Role::Viewer).await;
    assert_eq!(sign_in(&api, "bob", PASSWORD).await.status, 200, "others come in");
}

#[tokio::test]
async fn what_cannot_be_a_name_is_refused_as_any_other_and_not_remembered() {
    let api = Api::start().await;
    let refusal = sign_in(&api, "nobody", "wrong").await;
    for name in ["x".repeat(65), "x".repeat(200_000), "Anna B".to_owned(), String::new()] {
        // As a name that counts, the sixth try would have to wait.
        for _ in 0..4 {
            let reply = sign_in(&api, &name, "wrong").await;
            assert_eq!((reply.status, reply.body), (401, refusal.body.clone()), "{} characters", name.len());
        }
    }
    let name = "x".repeat(65);
    for _ in 0..2 {
        assert_eq!(sign_in(&api, &name, "wrong").await.status, 401);
    }
}

#[tokio::test]
async fn who_signed_in_here_before_is_not_kept_out_by_others() {
    let api = Api::start().await;
    add(&api, "anna", Role::Viewer).await;
    add(&api, "bob", Role::Viewer).await;
    let reply = sign_in(&api, "anna", PASSWORD).await;
    let device = reply.head.lines().rfind(|line| line.starts_with("set-cookie: ")).unwrap();
    assert!(device.starts_with("set-cookie: outrider_device="), "{device}");
    assert!(device.ends_with("; path=/; httponly; samesite=strict; max-age=15552000"), "{device}");
    let known = reply.cookie("outrider_device");
    while sign_in(&api, "anna", "wrong").await.status != 429 {}
    let with_device = async |name: &str, password: &str| {
        let body = json!({"name": name, "password": password}).to_string();
        ask(&api, "POST", "/api/v1/session", &format!("cookie: {known}\r\n"), &body).await
    };
    let again = with_device("anna", PASSWORD).await;
    assert_eq!((again.status, again.head.contains("outrider_device")), (200, false), "it has the cookie");
    assert_eq!(ask(&api, "GET", "/api/v1/session", &format!("cookie: {known}\r\n"), "").await.status, 401);
    let other = with_device("bob", PASSWORD).await;
    assert_eq!((other.status, other.head.contains("outrider_device")), (200, true), "it is no other's");
    while with_device("anna", "wrong").await.status != 429 {}
}

#[tokio::test]
async fn a_change_of_ones_standing_ends_what_is_under_way() {
    let api = Api::start().await;
    add(&api, "anna", Role::Viewer).await;
    for (method, path, body) in [
        ("PATCH", "/api/v1/people/anna", json!({"role": "analyst", "display_name": "Anna"})),
        ("PUT", "/api/v1/people/anna/password", json!({"password": PASSWORD})),
        ("PATCH", "/api/v1/people/anna", json!({"disabled": true})),
    ] {
        let anna = cookie(&sign_in(&api, "anna", PASSWORD).await);
        assert_eq!(ask(&api, "GET", "/api/v1/alerts", &anna, "").await.status, 200);
        let reply = api.send(Role::Admin, method, path, Some(&body.to_string())).await;
        assert!((200..300).contains(&reply.status), "{}", reply.body);
        assert_eq!(ask(&api, "GET", "/api/v1/alerts", &anna, "").await.status, 401, "{body}");
    }
    assert_eq!(sign_in(&api, "anna", PASSWORD).await.status, 401, "who is disabled does not come in");
    let people = api.send(Role::Admin, "GET", "/api/v1/people", None).await;
    assert_eq!(people.items()[0]["display_name"], "Anna");
    assert!(!people.body.to_string().contains("argon2"), "{}", people.body);
    let audit = api.get("/api/v1/audit").await.body.to_string();
    for line in ["changed the role to analyst", "changed the password", "disabled", "signed in", "person:anna"] {
        assert!(audit.contains(line), "{line}: {audit}");
    }
}

#[tokio::test]
async fn ones_own_password_needs_the_present_one() {
    let api = Api::start().await;
    add(&api, "anna", Role::Viewer).await;
    let (here, elsewhere) = (sign_in(&api, "anna", PASSWORD).await, sign_in(&api, "anna", PASSWORD).await);
    let headers = format!("{}{OWN}", cookie(&here));
    let path = "/api/v1/session/password";
    for (current, new, status) in [("wrong", "a new password", 401), (PASSWORD, "short", 422)] {
        let body = json!({"current": current, "new": new}).to_string();
        assert_eq!(ask(&api, "PUT", path, &headers, &body).await.status, status, "{body}");
    }
    let body = json!({"current": PASSWORD, "new": "a new password"}).to_string();
    assert_eq!(api.send(Role::Viewer, "PUT", path, Some(&body)).await.status, 403, "a token has none");
    let reply = ask(&api, "PUT", path, &headers, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    for (cookie, status) in [(cookie(&reply), 200), (cookie(&here), 401), (cookie(&elsewhere), 401)] {
        assert_eq!(ask(&api, "GET", "/api/v1/session", &cookie, "").await.status, status);
    }
    assert_eq!(sign_in(&api, "anna", PASSWORD).await.status, 401);
    assert_eq!(sign_in(&api, "anna", "a new password").await.status, 200);
}

#[tokio::test]
async fn behind_a_proxy_cookies_are_for_tls_and_addresses_are_the_proxys_word() {
    let api = Api::behind_proxy("127.0.0.1").await;
    add(&api, "anna", Role::Viewer).await;
    let reply = sign_in(&api, "anna", PASSWORD).await;
    assert!(reply.head.contains("set-cookie: __host-outrider="), "{}", reply.head);
    assert!(reply.head.contains("; samesite=strict; secure\r\n"), "{}", reply.head);
    let tried = async |n: usize, forwarded: &str| {
        let body = json!({"name": format!("n{n}"), "password": "wrong"}).to_string();
        let headers = format!("x-forwarded-for: 198.51.100.{n}, {forwarded}\r\n");
        ask(&api, "POST", "/api/v1/session", &headers, &body).await.status
    };
    for n in 0..20 {
        assert_eq!(tried(n, "203.0.113.7").await, 401);
    }
    assert_eq!(tried(21, "203.0.113.7").await, 429);
    assert_eq!(tried(22, "203.0.113.8").await, 401, "somebody else");
}

#[tokio::test]
async fn who_is_not_the_proxy_says_no_other_address() {
    let api = Api::behind_proxy("10.0.0.7").await;
    let tried = async |n: usize| {
        let body = json!({"name": format!("n{n}"), "password": "wrong"}).to_string();
        let headers = format!("x-forwarded-for: 198.51.100.{n}\r\n");
        ask(&api, "POST", "/api/v1/session", &headers, &body).await.status
    };
    let mut tries = 0;
    while tried(tries).await == 401 {
        tries += 1;
        assert!(tries < 60, "each header is an address of its own");
    }
    assert!(tries >= 20, "{tries}");
}

#[tokio::test]
async fn the_setup_makes_the_first_admin_once() {
    let api = Api::without_tokens().await;
    let token = std::fs::read_to_string(api.setup_file()).unwrap().trim().to_owned();
    let set_up = async |token: &str, password: &str| {
        let body = json!({"token": token, "name": "anna", "password": password}).to_string();
        ask(&api, "POST", "/api/v1/setup", "", &body).await
    };
    assert_eq!(set_up("wrong", PASSWORD).await.status, 403);
    assert_eq!(set_up(&token, "short").await.status, 422);
    let reply = set_up(&token, PASSWORD).await;
    assert_eq!((reply.status, &reply.body["role"]), (201, &json!("admin")), "{}", reply.body);
    assert!(!api.setup_file().exists());
    assert_eq!(ask(&api, "GET", "/api/v1/people", &cookie(&reply), "").await.status, 200, "and signs them in");
    assert_eq!(set_up(&token, PASSWORD).await.status, 409);
}

#[tokio::test]
async fn sensitive_reads_and_failures_are_in_the_audit_log_once_a_minute() {
    let api = Api::start().await;
    for _ in 0..3 {
        for path in [
            "alerts/al_0000000000000001",
            "findings?limit=1",
            "audit",
            "gateways/edge%20one/configuration",
            "alerts?entity=bob",
        ] {
            assert_eq!(api.get(&format!("/api/v1/{path}")).await.status, 200);
        }
        sign_in(&api, "a password, by mistake", "wrong").await;
    }
    api.send(Role::Admin, "GET", "/api/v1/findings", None).await;
    let reads = api.get("/api/v1/audit?log=reads").await;
    let text = |line: &Value, field: &str| line[field].as_str().unwrap().to_owned();
    let fields = ["by", "what", "subject", "detail"];
    let said: Vec<_> = reads.items().iter().rev().map(|line| fields.map(|field| text(line, field)).join("|")).collect();
    assert_eq!(
        said,
        [
            "the-viewer|read an alert|al_0000000000000001|",
            "the-viewer|read findings||",
            "the-viewer|read the audit log||",
            "the-viewer|read a gateway's configuration|edge%20one/configuration|",
            "the-viewer|read alerts||entity=bob",
            "the-admin|read findings||",
            "the-viewer|read the audit log||log=reads",
        ]
    );
    let access = api.get("/api/v1/audit?log=access&by=nobody").await;
    assert_eq!((access.items().len(), &access.items()[0]["subject"]), (1, &json!("an unknown name")));
    assert!(!access.body.to_string().contains("by mistake"));
}

#[tokio::test]
async fn failures_that_were_gathered_are_noted_at_a_clean_stop() {
    let api = Api::start().await;
    for _ in 0..3 {
        sign_in(&api, "nobody", "wrong").await;
    }
    let noted = async || {
        let filter = AuditFilter { by: Some("nobody".to_owned()), ..AuditFilter::default() };
        let lines = api.store.audit(&filter, 10, None).await.unwrap().items;
        lines.into_iter().map(|line| line.entry.detail).collect::<Vec<_>>()
    };
    assert_eq!(noted().await, ["1 times, from 127.0.0.1"]);
    api.cancel.cancel();
    api.task.await.unwrap().unwrap();
    assert_eq!(noted().await, ["2 times, from 127.0.0.1", "1 times, from 127.0.0.1"]);
}
