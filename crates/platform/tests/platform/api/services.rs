//! The identities of collectors and responders: made, shown once, listed, revoked.

use outrider_platform::store::Role;
use serde_json::json;

use super::harness::Api;

#[tokio::test]
async fn an_identity_is_shown_once_listed_and_revoked() {
    let api = Api::start().await;
    let admin = Role::Admin;
    let path = "/api/v1/services";
    let edge = r#"{"name": "edge", "kind": "collector", "gateways": ["kong"]}"#;
    let made = api.send(admin, "POST", path, Some(edge)).await;
    assert_eq!((made.status, &made.body["name"]), (201, &json!("edge")), "{}", made.body);
    let token = made.body["token"].as_str().unwrap().to_owned();
    assert_eq!(api.store.authenticate_service(&token).await.unwrap().unwrap().name, "edge");
    // It is let in where collectors are, and nowhere here.
    let head = "GET /api/v1/alerts HTTP/1.1\r\nhost: x\r\nconnection: close";
    assert_eq!(api.raw(&format!("{head}\r\nauthorization: Bearer {token}\r\n\r\n")).await.status, 401);

    let cases = [
        (409, edge, "edge"),
        (422, r#"{"name": "two", "kind": "colector", "gateways": ["kong"]}"#, "collector"),
        (422, r#"{"name": "two", "kind": "collector", "gateways": []}"#, "gateway"),
        (422, r#"{"name": "two", "kind": "collector"}"#, "gateways"),
        (422, r#"{"name": "t o", "kind": "collector", "gateways": ["kong"]}"#, "name"),
        (422, r#"{"name": "two", "kind": "collector", "gateways": ["kong"], "token": "mine"}"#, "token"),
    ];
    for (status, body, words) in cases {
        let reply = api.send(admin, "POST", path, Some(body)).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.body);
        assert!(reply.detail().contains(words), "{body}: {}", reply.body);
    }

    let heard = json!({"version": "1", "status": {"spool": {"bytes": 7}}});
    api.store.heard_from("edge", Some(&heard), 5).await.unwrap();
    let list = api.send(admin, "GET", path, None).await;
    let (row, text) = (&list.items()[0], list.body.to_string());
    assert_eq!(
        (list.items().len(), &row["created_by"], &row["seen_ms"]),
        (1, &json!("the-admin"), &json!(5)),
        "{text}"
    );
    assert_eq!((&row["heartbeat"], &row["revoked_ms"]), (&heard, &json!(null)));
    assert!(!text.contains(&token) && !text.contains("hash"), "{text}");

    assert_eq!(api.send(admin, "DELETE", "/api/v1/services/edge", None).await.status, 204);
    assert!(api.store.authenticate_service(&token).await.unwrap().is_none());
    assert_eq!(api.send(admin, "DELETE", "/api/v1/services/edge", None).await.status, 404);
    assert!(api.send(admin, "GET", path, None).await.items()[0]["revoked_ms"].is_i64());
    let again = api.send(admin, "POST", path, Some(edge)).await;
    assert!(again.status == 201 && again.body["token"] != token.as_str(), "a revoked name is free: {}", again.body);
    let audit = api.get("/api/v1/audit").await.body.to_string();
    assert!(audit.contains("created collector for kong") && audit.contains("revoked service"), "{audit}");
}
