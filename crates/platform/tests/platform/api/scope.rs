//! Tokens for some gateways only: what is at others is not there, and what is about all of outrider is refused.

use outrider_discover::inventory::{self, CheckedBy, Inventory};
use outrider_model::{
    ActionId, ActionState, Alert, AlertId, AlertState, DecisionOrigin, EntityKey, GatewayConfiguration,
    GatewaySnapshot, TemplateChange, TemplateDecision, WeaknessId,
};
use outrider_platform::log::Position;
use outrider_platform::store::{EffectBatch, Role, TemplateChanges, TemplateRow, WantedToken};
use outrider_respond::desk::CommandDone;
use serde_json::{Value, json};

use super::contract::DOCUMENT;
use super::events::Listener;
use super::harness::{Api, Reply};
use crate::fixtures::{action, alert, consumer, endpoint, finding, policy, weakness};
use crate::support::{Call, api_call};

/// Its number there; what is at the gateway `kong` has others.
const EDGE: u64 = 21;

fn at_edge(name: &str) -> EntityKey {
    EntityKey { gateway: "edge".to_owned(), ..consumer(name) }
}

fn edge_alert(state: AlertState) -> Alert {
    let mut alert = alert(EDGE, "bob", state);
    alert.entity = at_edge("bob");
    alert
}

struct Scoped {
    api: Api,
    token: String,
    endpoint: String,
}

impl Scoped {
    /// An API with things at two gateways, and a responder's token for one of them.
    async fn start() -> Scoped {
        let api = Api::start().await;
        let (mut finding, mut action) = (finding(EDGE, "bob"), action(EDGE, "bob", ActionState::Pending));
        (finding.entity, action.target) = (at_edge("bob"), at_edge("bob"));
        let mut endpoint = endpoint("/edge", 1);
        endpoint.key.gateway = "edge".to_owned();
        endpoint.id = endpoint.key.first_id();
        let id = endpoint.id.to_string();
        let call = Call { at_ms: 1, consumer: "bob".to_owned(), path: "/edge".to_owned(), status: 200 };
        let mut inventory = Inventory::new(inventory::Settings::default());
        inventory.observe(&api_call(&call), endpoint.id, "/edge", CheckedBy::NotRead);
        let effects = EffectBatch {
            inventory: vec![inventory.endpoint(endpoint.id).unwrap()],
            endpoints: vec![endpoint],
            findings: vec![(finding, Some(AlertId(EDGE)))],
            alerts: vec![edge_alert(AlertState::Open)],
            actions: vec![action],
            weaknesses: vec![weakness(EDGE, "edge"), weakness(1, "kong")],
            configurations: vec![GatewaySnapshot {
                gateway: "edge".to_owned(),
                taken_ms: 1,
                configuration: GatewayConfiguration::default(),
            }],
            ..EffectBatch::default()
        };
        api.store.apply(Position(2), &effects).await.unwrap();
        api.answer(Ok(CommandDone::Action { action: ActionId(EDGE), state: ActionState::Pending }));
        let wanted = json!({"name": "edge-only", "role": "responder", "gateways": ["edge"]}).to_string();
        let made = api.send(Role::Admin, "POST", "/api/v1/tokens", Some(&wanted)).await;
        assert_eq!((made.status, &made.body["gateways"]), (201, &json!(["edge"])), "{}", made.body);
        let token = made.body["token"].as_str().unwrap().to_owned();
        Scoped { api, token, endpoint: id }
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        self.api.send_as(&self.token, method, path, Some(body), "content-type: application/json\r\n").await
    }

    /// The id, at its own gateway and at the other one, of what a path names.
    async fn named(&self, path: &str) -> (String, String) {
        let there = self.api.get("/api/v1/endpoints").await;
        let endpoint = there.items().iter().find(|endpoint| endpoint["key"]["gateway"] == "kong").unwrap();
        match path.split('/').nth(3).unwrap_or_default() {
            "alerts" => (AlertId(EDGE).to_string(), AlertId(1).to_string()),
            "actions" => (ActionId(EDGE).to_string(), ActionId(9).to_string()),
            "endpoints" => (self.endpoint.clone(), endpoint["id"].as_str().unwrap().to_owned()),
            "posture" => (WeaknessId(EDGE).to_string(), WeaknessId(1).to_string()),
            "gateways" => ("edge".to_owned(), "edge%20one".to_owned()),
            _ => ("7".to_owned(), "7".to_owned()),
        }
    }
}

/// Every route that such a token may use. What it may not is in no table: it is every other one.
const FOR_SOME: &[(&str, &str)] = &[
    ("get", "/api/v1/alerts"),
    ("get", "/api/v1/alerts/{id}"),
    ("post", "/api/v1/alerts/{id}/acknowledge"),
    ("post", "/api/v1/alerts/{id}/resolve"),
    ("post", "/api/v1/alerts/{id}/false-positive"),
    ("post", "/api/v1/alerts/{id}/assign"),
    ("post", "/api/v1/alerts/{id}/comment"),
    ("get", "/api/v1/findings"),
    ("get", "/api/v1/endpoints"),
    ("get", "/api/v1/endpoints/{id}"),
    ("get", "/api/v1/endpoints/{id}/inventory"),
    ("get", "/api/v1/apis"),
    ("get", "/api/v1/apis/openapi"),
    ("get", "/api/v1/apis/drift"),
    ("put", "/api/v1/apis/document"),
    ("delete", "/api/v1/apis/document"),
    ("get", "/api/v1/posture"),
    ("get", "/api/v1/posture/counts"),
    ("get", "/api/v1/posture/export"),
    ("get", "/api/v1/posture/checks"),
    ("get", "/api/v1/posture/{id}"),
    ("put", "/api/v1/posture/{id}/exception"),
    ("delete", "/api/v1/posture/{id}/exception"),
    ("get", "/api/v1/data-classes"),
    ("get", "/api/v1/templates"),
    ("post", "/api/v1/templates"),
    ("post", "/api/v1/templates/preview"),
    ("get", "/api/v1/actions"),
    ("post", "/api/v1/actions"),
    ("get", "/api/v1/actions/{id}"),
    ("post", "/api/v1/actions/{id}/approve"),
    ("post", "/api/v1/actions/{id}/reject"),
    ("post", "/api/v1/actions/{id}/release"),
    ("get", "/api/v1/gateways"),
    ("get", "/api/v1/gateways/{name}"),
    ("get", "/api/v1/gateways/{name}/configuration"),
    ("get", "/api/v1/calls/{id}"),
    ("get", "/api/v1/timeline"),
    ("get", "/api/v1/timeline/density"),
    ("get", "/api/v1/search"),
    ("get", "/api/v1/search/completions"),
    ("get", "/api/v1/hunts"),
    ("get", "/api/v1/hunts/{name}"),
    ("put", "/api/v1/hunts/{name}"),
    ("delete", "/api/v1/hunts/{name}"),
    ("post", "/api/v1/hunts/{name}/run"),
    ("get", "/api/v1/events"),
    ("get", "/api/v1/session"),
    ("delete", "/api/v1/session"),
    ("put", "/api/v1/session/password"),
];

#[tokio::test]
async fn every_route_keeps_to_the_gateways_of_a_token() {
    let scoped = Scoped::start().await;
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| (method, path, operation))
    });
    for (method, path, operation) in operations.filter(|(_, _, operation)| operation.get("x-role").is_some()) {
        let is_for_some = FOR_SOME.contains(&(method.as_str(), path.as_str()));
        assert_eq!(operation["x-for-some-gateways"], is_for_some, "{method} {path}");
        let (own, foreign) = scoped.named(path).await;
        let at = |id: &str| path.replace("{id}", id).replace("{name}", id).replace("{number}", id);
        let upper = method.to_ascii_uppercase();
        let needs_lake = path.starts_with("/api/v1/hunts") || path.starts_with("/api/v1/calls");
        // What needs a lake has tests of its own.
        if !is_for_some {
            let reply = scoped.send(&upper, &at(&own), "{}").await;
            assert_eq!(reply.status, 403, "{method} {path}: {}", reply.body);
            let is_by_role = operation["x-role"] == "admin";
            assert!(is_by_role || reply.detail().contains("about all of outrider"), "{method} {path}: {}", reply.body);
        } else if path.contains('{') && !needs_lake {
            let body = match path.rsplit('/').next() {
                Some("acknowledge" | "approve") => "",
                Some("assign") => r#"{"assignee": null}"#,
                Some("exception") if method == "put" => r#"{"until_ms": 9, "reason": "seen"}"#,
                Some("comment") => r#"{"text": "seen"}"#,
                _ if method == "post" => r#"{"reason": "seen"}"#,
                _ => "",
            };
            let reply = scoped.send(&upper, &at(&own), body).await;
            assert_eq!(reply.status, 200, "{method} {path}: {}", reply.body);
            let decided = scoped.api.bus.records.lock().unwrap().len();
            let reply = scoped.send(&upper, &at(&foreign), body).await;
            assert_eq!(reply.status, 404, "{method} {path}: {}", reply.body);
            assert!(reply.detail().contains("there is no"), "{}", reply.body);
            assert_eq!(scoped.api.bus.records.lock().unwrap().len(), decided, "nothing was decided");
        }
    }
}

#[tokio::test]
async fn lists_hold_what_is_at_the_tokens_gateways() {
    let scoped = Scoped::start().await;
    for (path, place) in [
        ("alerts", "/entity/gateway"),
        ("alerts?entity=bob&sort=last_finding", "/entity/gateway"),
        ("findings", "/entity/gateway"),
        ("endpoints", "/key/gateway"),
        ("actions", "/target/gateway"),
        ("gateways", "/gateway"),
        ("posture", "/gateway"),
    ] {
        let reply = scoped.send("GET", &format!("/api/v1/{path}"), "").await;
        let places: Vec<_> = reply.items().iter().map(|row| row.pointer(place).unwrap().clone()).collect();
        assert_eq!(places, ["edge"], "{path}: {}", reply.body);
    }
    for path in ["alerts?entity=alice", "actions?gateway=kong", "findings?alert=al_0000000000000001"] {
        assert!(scoped.send("GET", &format!("/api/v1/{path}"), "").await.items().is_empty(), "{path}");
    }
    let me = scoped.send("GET", "/api/v1/session", "").await;
    assert_eq!((me.status, &me.body["gateways"]), (200, &json!(["edge"])));
}

#[tokio::test]
async fn actions_are_taken_at_the_tokens_gateways_alone() {
    let scoped = Scoped::start().await;
    let act = async |gateway: &str, alert: Value| {
        let target = json!({"kind": "consumer", "gateway": gateway, "value": "x"});
        let body = json!({"target": target, "alert": alert, "duration": "15m", "reason": "now"}).to_string();
        scoped.send("POST", "/api/v1/actions", &body).await
    };
    for (gateway, alert, status) in [
        ("kong", Value::Null, 403),
        ("edge", json!(AlertId(1).to_string()), 404),
        ("edge", json!(AlertId(99).to_string()), 404),
        ("edge", Value::Null, 201),
        ("edge", json!(AlertId(EDGE).to_string()), 201),
    ] {
        let decided = scoped.api.bus.records.lock().unwrap().len();
        let reply = act(gateway, alert.clone()).await;
        assert_eq!(reply.status, status, "{gateway} {alert}: {}", reply.body);
        let now = scoped.api.bus.records.lock().unwrap().len();
        assert_eq!(now - decided, usize::from(status == 201), "{gateway} {alert}");
    }
}

#[tokio::test]
async fn the_event_stream_tells_of_the_tokens_gateways_alone() {
    let scoped = Scoped::start().await;
    let mut listener = Listener::open(&scoped.api, &scoped.token, "").await;
    assert_eq!(listener.any().await.unwrap().name, "reset");
    let effects = EffectBatch {
        alerts: vec![alert(1, "alice", AlertState::Resolved), edge_alert(AlertState::Resolved)],
        policies: vec![policy("spikes")],
        actions: vec![action(9, "alice", ActionState::Stored)],
        ..EffectBatch::default()
    };
    scoped.api.store.apply(Position(3), &effects).await.unwrap();
    let mut last = edge_alert(AlertState::Resolved);
    last.sentence = "the last one".to_owned();
    let effects = EffectBatch { alerts: vec![last], ..EffectBatch::default() };
    scoped.api.store.apply(Position(4), &effects).await.unwrap();
    for sentence in ["bob made 900 calls per minute", "the last one"] {
        let event = listener.any().await.unwrap();
        assert_eq!((event.name.as_str(), &event.data["sentence"]), ("alert", &json!(sentence)), "{}", event.data);
    }
}

#[tokio::test]
async fn gateways_of_a_token_are_checked_and_shown() {
    let scoped = Scoped::start().await;
    let make = async |role: &str, gateways: Value| {
        let wanted = json!({"name": "new", "role": role, "gateways": gateways}).to_string();
        scoped.api.send(Role::Admin, "POST", "/api/v1/tokens", Some(&wanted)).await
    };
    for (role, gateways, words) in [
        ("admin", json!(["edge"]), "an admin's token cannot be for some gateways only"),
        ("viewer", json!([""]), "each by its name"),
        ("viewer", json!(["x".repeat(65)]), "each by its name"),
        ("viewer", json!(vec!["x"; 101]), "at most 100 gateways"),
    ] {
        let reply = make(role, gateways).await;
        assert_eq!(reply.status, 422, "{}", reply.body);
        assert!(reply.detail().contains(words) && reply.detail().contains("body field `gateways`"), "{}", reply.body);
    }
    let list = scoped.api.send(Role::Admin, "GET", "/api/v1/tokens", None).await;
    let shown = |name: &str| list.items().iter().find(|token| token["name"] == name).unwrap()["gateways"].clone();
    assert_eq!((shown("edge-only"), shown("the-admin")), (json!(["edge"]), json!([])));
    let audit = scoped.api.get("/api/v1/audit?subject=edge-only").await;
    assert_eq!(audit.items()[0]["what"], "created responder token for edge");
    // Made anew under the same name, it is for what it is made for now.
    scoped.api.store.revoke_token("edge-only", "test", 2).await.unwrap();
    let (name, description) = ("edge-only".to_owned(), String::new());
    let wanted = WantedToken { name, role: Role::Viewer, description, expires_ms: None, gateways: Vec::new() };
    let token = scoped.api.store.make_token(&wanted, "test", 3).await.unwrap();
    let reply = scoped.api.send_as(token.reveal(), "GET", "/api/v1/policies", None, "").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn services_and_templates_are_those_at_the_tokens_gateways() {
    let scoped = Scoped::start().await;
    let apis = scoped.send("GET", "/api/v1/apis", "").await;
    assert_eq!(apis.items().iter().map(|row| row["gateway"].clone()).collect::<Vec<_>>(), ["edge"], "{}", apis.body);
    let document = json!({"text": "openapi: 3.1.0\ninfo: {title: a, version: '1'}\npaths: {}"}).to_string();
    for (gateway, status) in [("edge", 200), ("kong", 404)] {
        let of = format!("gateway={gateway}&service=s-1");
        for path in ["openapi", "drift"] {
            let reply = scoped.send("GET", &format!("/api/v1/apis/{path}?{of}"), "").await;
            assert_eq!(reply.status, status, "{path} {gateway}: {}", reply.body);
        }
        let reply = scoped.send("PUT", &format!("/api/v1/apis/document?{of}"), &document).await;
        assert_eq!(reply.status, status, "{gateway}: {}", reply.body);
    }
    // Somebody else's document is not there for it either.
    let of = "/api/v1/apis/document?gateway=kong&service=s-1";
    assert_eq!(scoped.api.send(Role::Admin, "PUT", of, Some(&document)).await.status, 200);
    assert_eq!(scoped.send("DELETE", of, "").await.status, 404);
    assert_eq!(scoped.api.send(Role::Admin, "DELETE", of, None).await.status, 204);
    assert_eq!(scoped.send("DELETE", "/api/v1/apis/document?gateway=edge&service=s-1", "").await.status, 204);

    let decision = |gateway: &str| TemplateDecision {
        gateway: gateway.to_owned(),
        workspace: String::new(),
        service: "s-1".to_owned(),
        template: "/edge".to_owned(),
        change: TemplateChange::Ignore { method: None },
        origin: DecisionOrigin::Operator,
    };
    let row = |gateway: &str| {
        let decision = decision(gateway);
        TemplateRow { id: decision.id(), decision, decided_ms: 1, decided_by: "anna".to_owned() }
    };
    let templates = TemplateChanges { taken_back: Vec::new(), decided: vec![row("edge"), row("kong")] };
    scoped.api.store.apply(Position(3), &EffectBatch { templates, ..EffectBatch::default() }).await.unwrap();
    let standing = scoped.send("GET", "/api/v1/templates", "").await;
    assert_eq!(standing.items().len(), 1, "{}", standing.body);
    scoped.api.answer(Ok(CommandDone::TemplatesDecided));
    for (gateway, decides, takes_back) in [("edge", 200, 200), ("kong", 403, 404)] {
        let body = json!({"decisions": [decision(gateway)]}).to_string();
        assert_eq!(scoped.send("POST", "/api/v1/templates", &body).await.status, decides, "{gateway}");
        assert_eq!(scoped.send("POST", "/api/v1/templates/preview", &body).await.status, decides, "{gateway}");
        let body = json!({"taken_back": [decision(gateway).id()]}).to_string();
        assert_eq!(scoped.send("POST", "/api/v1/templates", &body).await.status, takes_back, "{gateway}");
    }
    // Where somebody may act there is no document; elsewhere nobody says whether there is one.
    for (gateway, status) in [("edge", 404), ("kong", 403)] {
        let body = json!({"document": {"gateway": gateway, "workspace": "", "service": "s-1"}}).to_string();
        for path in ["/api/v1/templates", "/api/v1/templates/preview"] {
            assert_eq!(scoped.send("POST", path, &body).await.status, status, "{gateway}{path}");
        }
    }
    assert_eq!(scoped.api.bus.records.lock().unwrap().len(), 2);
}
