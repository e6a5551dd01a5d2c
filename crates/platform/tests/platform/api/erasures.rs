//! Erasures: asked for and seen by admins alone, refused where something goes on, and their names kept no longer than needed.

use outrider_model::{ActionState, EntityKind, Subject};
use outrider_platform::log::Position;
use outrider_platform::store::{EffectBatch, ErasedSubject, Role};
use serde_json::json;

use super::harness::Api;
use crate::fixtures::{action, alert};

const PATH: &str = "/api/v1/erasures";

#[tokio::test]
async fn an_erasure_is_asked_for_listed_and_read() {
    let api = Api::start().await;
    let admin = Role::Admin;
    let cases = [
        (409, r#"{"kind": "consumer", "value": "id-of-alice"}"#, "is not over"),
        (422, r#"{"kind": "consumer", "value": "alice"}"#, "`id-of-alice`"),
        (422, r#"{"kind": "network", "value": "64500"}"#, "no person"),
        (422, r#"{"kind": "ip", "value": "alice"}"#, "no address"),
        (422, r#"{"kind": "consumer", "value": ""}"#, "1 to 512"),
        (422, r#"{"kind": "person", "value": "alice"}"#, "consumer"),
        (422, r#"{"kind": "consumer"}"#, "value"),
        (422, r#"{"kind": "consumer", "value": "x", "name": "alice"}"#, "name"),
    ];
    for (status, body, words) in cases {
        let reply = api.send(admin, "POST", PATH, Some(body)).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.body);
        assert!(reply.detail().contains(words), "{body}: {}", reply.body);
    }

    let body = r#"{"kind": "ip", "value": "2001:DB8::7"}"#;
    let asked = api.send(admin, "POST", PATH, Some(body)).await;
    assert_eq!((asked.status, &asked.body["state"]), (201, &json!("asked")), "{}", asked.body);
    assert!(!asked.body.to_string().contains("2001:db8"), "the receipt has no name: {}", asked.body);
    let place = asked.header("location").unwrap();
    let again = api.send(admin, "POST", PATH, Some(r#"{"kind": "ip", "value": "2001:db8::7"}"#)).await;
    assert_eq!(again.status, 409);
    assert!(again.detail().contains(asked.body["id"].as_str().unwrap()), "{}", again.body);
    let other = api.send(admin, "POST", PATH, Some(r#"{"kind": "session", "value": "2001:db8::7"}"#)).await;
    assert_eq!(other.status, 201);
    assert_ne!(other.body["reference"], asked.body["reference"]);

    let first = api.send(admin, "GET", &format!("{PATH}?limit=1"), None).await;
    let next = first.body["next"].as_str().unwrap();
    let second = api.send(admin, "GET", &format!("{PATH}?limit=1&cursor={next}"), None).await;
    assert_eq!((first.items().len(), second.items().len(), &second.body["next"]), (1, 1, &json!(null)));
    assert_ne!(first.items()[0]["id"], second.items()[0]["id"]);
    assert_eq!(api.send(admin, "GET", &format!("{PATH}?cursor=x"), None).await.status, 400);
    assert_eq!(api.send(admin, "GET", &place, None).await.body, asked.body);
    assert_eq!(api.send(admin, "GET", "/api/v1/erasures/er_none", None).await.status, 404);
    let audit = api.get("/api/v1/audit").await.body.to_string();
    assert!(audit.contains("asked to erase a subject") && !audit.contains("2001:db8"), "{audit}");
}

/// What the store loses when the analysis has forgotten, and what the receipt says of it.
#[tokio::test]
async fn rows_about_somebody_go_and_the_receipt_counts_them() {
    let api = Api::start().await;
    let before = EffectBatch {
        alerts: vec![alert(77, "bob", outrider_model::AlertState::Open)],
        actions: vec![action(9, "alice", ActionState::Released), action(10, "bob", ActionState::Released)],
        ..EffectBatch::default()
    };
    api.store.apply(Position(2), &before).await.unwrap();
    let body = r#"{"kind": "consumer", "value": "id-of-alice"}"#;
    let asked = api.send(Role::Admin, "POST", PATH, Some(body)).await;
    assert_eq!(asked.status, 201, "nothing goes on any more: {}", asked.body);
    let id = asked.body["id"].as_str().unwrap().to_owned();
    let subject = Subject::new(EntityKind::Consumer, "id-of-alice").unwrap();
    let erased = ErasedSubject { erasure: id.clone(), subject, by: "the-admin".to_owned(), at_ms: 5, refused: None };
    api.store.apply(Position(3), &EffectBatch { erased: vec![erased], ..EffectBatch::default() }).await.unwrap();
    let receipt = api.send(Role::Admin, "GET", &format!("{PATH}/{id}"), None).await.body;
    assert_eq!((&receipt["state"], &receipt["position"]), (&json!("under_way"), &json!(3)), "{receipt}");
    let store = receipt["places"].as_array().unwrap().iter().find(|place| place["place"] == "control_store").unwrap();
    let counts: Vec<_> = store["counts"].as_array().unwrap().iter().map(|count| &count["count"]).collect();
    assert_eq!(
        counts,
        [12, 1, 1, 0, 0, 0],
        "alerts, findings, actions, weaknesses, messages, configurations: {receipt}"
    );
    for (path, left) in [("/api/v1/alerts", 1), ("/api/v1/findings", 0), ("/api/v1/actions", 1)] {
        let list = api.get(path).await;
        assert_eq!(list.items().len(), left, "{path}");
        assert!(!list.body.to_string().contains("alice"), "{path}");
    }
}

/// The analysis may come to it when nobody waits for the answer any more.
#[tokio::test]
async fn a_refusal_is_on_the_receipt() {
    let api = Api::start().await;
    let asked = api.send(Role::Admin, "POST", PATH, Some(r#"{"kind": "ip", "value": "192.0.2.7"}"#)).await;
    let id = asked.body["id"].as_str().unwrap().to_owned();
    let subject = Subject::new(EntityKind::Ip, "192.0.2.7").unwrap();
    let refused = Some("something goes on".to_owned());
    let erased = ErasedSubject { erasure: id.clone(), subject, by: "the-admin".to_owned(), at_ms: 5, refused };
    api.store.apply(Position(3), &EffectBatch { erased: vec![erased], ..EffectBatch::default() }).await.unwrap();
    let receipt = api.send(Role::Admin, "GET", &format!("{PATH}/{id}"), None).await.body;
    assert_eq!((&receipt["state"], &receipt["reason"]), (&json!("refused"), &json!("something goes on")), "{receipt}");
    let again = api.send(Role::Admin, "POST", PATH, Some(r#"{"kind": "ip", "value": "::ffff:192.0.2.7"}"#)).await;
    assert_eq!((again.status, &again.body["reference"]), (201, &receipt["reference"]), "{}", again.body);
}
