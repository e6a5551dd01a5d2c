//! Hunts over the API: saved, refused, listed, run by hand, and kept to the gateways of a token.

use std::path::Path;

use outrider_model::batch::BatchWriter;
use outrider_platform::service::Platform;
use outrider_platform::store::{AuditFilter, Role};
use serde_json::{Value, json};

use super::harness::{Api, Reply};
use crate::hunts::settings;
use crate::support::{Call, api_call};

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A platform whose lake holds 30 calls that were refused, of alice, who is at the gateway `kong`.
async fn platform(data_dir: &Path) -> Platform {
    let platform = Platform::start(settings(data_dir), now_ms).await.unwrap();
    let mut writer = BatchWriter::default();
    for number in 0..30 {
        let path = format!("/admin/{number}");
        let call = Call { at_ms: now_ms(), consumer: "alice".to_owned(), path, status: 403 };
        writer.push(&api_call(&call)).unwrap();
    }
    platform.ingest(1).accept(writer.take(), 30, now_ms());
    let mut log = platform.queries().unwrap().search(outrider_lake::parse_search("").unwrap(), one_row()).await;
    for _ in 0..20_000 {
        if log.as_ref().is_ok_and(|page| page.rows.is_some()) {
            return platform;
        }
        log = platform.queries().unwrap().search(outrider_lake::parse_search("").unwrap(), one_row()).await;
    }
    panic!("the lake never has the calls: {}", platform.status().to_json());
}

fn one_row() -> outrider_lake::Range {
    outrider_lake::Range { rows: 1, ..outrider_lake::Range::default() }
}

fn body(name: &str) -> Value {
    json!({"name": name, "ask": {"search": "status:403 path:/admin/*"}, "every": "5m", "threshold": 20})
}

async fn put(api: &Api, role: Role, name: &str, body: &Value) -> Reply {
    api.send(role, "PUT", &format!("/api/v1/hunts/{name}"), Some(&body.to_string())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hunt_is_saved_read_run_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let platform = platform(directory.path()).await;
    let api = Api::with_lake(platform.queries()).await;
    let reply = put(&api, Role::Analyst, "admins", &body("admins")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!((&reply.body["owner"], &reply.body["hunt"]["severity"]), (&json!("the-analyst"), &json!("medium")));
    let sql = "SELECT 'consumer' AS entity_kind, consumer_id AS entity, gateway, count(*) AS calls FROM window_calls GROUP BY 2, 3";
    let changed = json!({"name": "admins", "ask": {"sql": sql}, "every": "1h", "look_back": "1d", "enabled": false});
    let reply = put(&api, Role::Responder, "admins", &changed).await;
    let names = (&reply.body["owner"], &reply.body["changed_by"]);
    assert_eq!(names, (&json!("the-analyst"), &json!("the-responder")), "{}", reply.body);

    let reply = api.send(Role::Analyst, "POST", "/api/v1/hunts/admins/run", None).await;
    assert_eq!((reply.status, &reply.body["figures"]["entities"]), (200, &json!(1)), "{}", reply.body);
    assert_eq!(reply.body["hits"][0]["entity"]["value"], "alice");
    assert_eq!(reply.body["hits"][0]["shown"], "calls = 30");
    let row = api.get("/api/v1/hunts/admins").await;
    assert_eq!(
        (&row.body["last_run"], &row.body["covered"]),
        (&Value::Null, &Value::Null),
        "a run by hand moves nothing"
    );

    for name in ["b", "c", "d"] {
        assert_eq!(put(&api, Role::Analyst, name, &body(name)).await.status, 200);
    }
    let names = |reply: &Reply| reply.items().iter().map(|row| row["hunt"]["name"].clone()).collect::<Vec<_>>();
    let first = api.get("/api/v1/hunts?limit=3").await;
    assert_eq!((names(&first), &first.body["next"]), (vec![json!("admins"), json!("b"), json!("c")], &json!("c")));
    let second = api.get("/api/v1/hunts?limit=3&cursor=c").await;
    assert_eq!((names(&second), &second.body["next"]), (vec![json!("d")], &Value::Null));

    assert_eq!(api.send(Role::Analyst, "DELETE", "/api/v1/hunts/d", None).await.status, 204);
    for (method, path) in [("GET", "d"), ("DELETE", "d"), ("POST", "d/run")] {
        let reply = api.send(Role::Analyst, method, &format!("/api/v1/hunts/{path}"), None).await;
        assert_eq!(reply.status, 404, "{method} {path}: {}", reply.body);
    }
    let filter = AuditFilter { by: Some("the-analyst".to_owned()), ..AuditFilter::default() };
    let lines = api.store.audit(&filter, 10, None).await.unwrap().items;
    let lines: Vec<_> = lines.iter().map(|line| (&*line.log, &*line.entry.what, &*line.entry.subject)).collect();
    assert_eq!(lines[0], ("decisions", "deleted", "hunt d"));
    assert_eq!(lines[4], ("reads", "ran a hunt", "hunt admins"));
    assert_eq!(lines[5], ("decisions", "created", "hunt admins"));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hunt_that_is_meant_to_be_new_replaces_none() {
    let directory = tempfile::tempdir().unwrap();
    let platform = platform(directory.path()).await;
    let api = Api::with_lake(platform.queries()).await;
    assert_eq!(put(&api, Role::Analyst, "admins", &body("admins")).await.status, 200);
    for (name, status) in [("admins", 412), ("others", 200), ("others", 412)] {
        let (path, hunt) = (format!("/api/v1/hunts/{name}"), body(name).to_string());
        let reply = api
            .send_with(
                Role::Analyst,
                "PUT",
                &path,
                Some(&hunt),
                "content-type: application/json\r\nif-none-match: *\r\n",
            )
            .await;
        assert_eq!(reply.status, status, "{}", reply.body);
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_is_refused_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let platform = platform(directory.path()).await;
    let api = Api::with_lake(platform.queries()).await;
    let with = |field: &str, value: Value| {
        let mut body = body("a");
        body[field] = value;
        body
    };
    for (body, status, words) in [
        (with("name", json!("b")), 422, "the path `a`"),
        (with("every", json!("30s")), 422, "body field `every`"),
        (with("every", json!("soon")), 422, "every"),
        (with("look_back", json!("1m")), 422, "body field `look_back`"),
        (with("threshold", json!(0)), 422, "body field `threshold`"),
        (with("severity", json!("bad")), 422, "severity"),
        (with("interval", json!("5m")), 422, "interval"),
        (with("ask", json!({"serch": "x"})), 422, "serch"),
        (
            with("ask", json!({"search": "statu:403"})),
            422,
            "at byte 0: there is no field `statu`; did you mean `status`?",
        ),
        (with("ask", json!({"search": "a last 7d"})), 422, "body field `ask.search`"),
        (with("ask", json!({"sql": "SELECT count(*)\n FORM window_calls"})), 422, "Line: 2"),
        (with("ask", json!({"sql": "SELECT path FROM window_calls"})), 422, "body field `ask.sql`"),
        (with("ask", json!({"sql": "SELECT path FROM events"})), 422, "does not read `window_calls`"),
    ] {
        let reply = put(&api, Role::Analyst, "a", &body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.body);
        assert!(reply.detail().contains(words), "{body}: {}", reply.body);
    }
    assert!(api.get("/api/v1/hunts").await.items().is_empty());
    let without = Api::start().await;
    let reply = put(&without, Role::Analyst, "a", &body("a")).await;
    assert_eq!((reply.status, reply.detail().contains("keeps no lake")), (404, true));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_some_gateways_has_hunts_at_them_alone() {
    let directory = tempfile::tempdir().unwrap();
    let platform = platform(directory.path()).await;
    let api = Api::with_lake(platform.queries()).await;
    let token = async |name: &str, gateway: &str| {
        let wanted = json!({"name": name, "role": "analyst", "gateways": [gateway]}).to_string();
        let made = api.send(Role::Admin, "POST", "/api/v1/tokens", Some(&wanted)).await;
        made.body["token"].as_str().unwrap().to_owned()
    };
    let (at_kong, at_edge) = (token("at-kong", "kong").await, token("at-edge", "edge").await);
    let send = async |token: &str, method: &str, path: &str, body: &Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/api/v1/hunts{path}");
        api.send_as(token, method, &path, Some(&body), "content-type: application/json\r\n").await
    };
    let at = |name: &str, gateways: Value| {
        let mut body = body(name);
        body["gateways"] = gateways;
        body
    };
    let sql = "SELECT 'consumer' AS entity_kind, consumer_id AS entity, gateway FROM window_calls";
    let mut statement = at("statement", json!(["kong"]));
    statement["ask"] = json!({"sql": sql});

    for (body, words) in [
        (at("mine", json!([])), "body field `gateways`"),
        (at("mine", json!(["kong", "edge"])), "body field `gateways`"),
        (at("mine", json!(["edge"])), "body field `gateways`"),
        (statement.clone(), "body field `ask.sql`"),
    ] {
        let path = format!("/{}", body["name"].as_str().unwrap());
        let reply = send(&at_kong, "PUT", &path, &body).await;
        assert_eq!((reply.status, reply.detail().contains(words)), (403, true), "{}", reply.body);
    }
    assert_eq!(send(&at_kong, "PUT", "/mine", &at("mine", json!(["kong"]))).await.status, 200);
    assert_eq!(put(&api, Role::Analyst, "all", &body("all")).await.status, 200);
    assert_eq!(put(&api, Role::Analyst, "statement", &statement).await.status, 200);
    let names = async |token: &str| {
        let list = send(token, "GET", "", &Value::Null).await;
        list.items().iter().map(|row| row["hunt"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((names(&at_kong).await, names(&at_edge).await), (vec!["mine".to_owned()], vec![]));
    assert_eq!(names(api.token(Role::Viewer)).await, ["all", "mine", "statement"]);

    // What is elsewhere is not there.
    for name in ["all", "statement"] {
        let same = if name == "all" { body("all") } else { statement.clone() };
        for (method, path, body) in [
            ("GET", format!("/{name}"), Value::Null),
            ("PUT", format!("/{name}"), same),
            ("DELETE", format!("/{name}"), Value::Null),
            ("POST", format!("/{name}/run"), Value::Null),
        ] {
            let reply = send(&at_kong, method, &path, &body).await;
            assert_eq!(reply.status, 404, "{method} {path}: {}", reply.body);
            assert!(reply.detail().contains(&format!("there is no hunt `{name}`")), "{}", reply.body);
        }
    }
    let reply = send(&at_kong, "POST", "/mine/run", &Value::Null).await;
    assert_eq!((reply.status, &reply.body["hits"][0]["rows"]), (200, &json!(30)), "{}", reply.body);
    let reply = send(&at_edge, "PUT", "/theirs", &at("theirs", json!(["edge"]))).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let reply = send(&at_edge, "POST", "/theirs/run", &Value::Null).await;
    assert_eq!((reply.status, reply.body["hits"].as_array().unwrap().len()), (200, 0), "nothing of another gateway");
    assert_eq!(send(&at_kong, "DELETE", "/mine", &Value::Null).await.status, 204);
    platform.stop().await;
}
