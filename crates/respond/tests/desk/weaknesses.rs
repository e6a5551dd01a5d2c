//! Alerts about services and gateways: nobody who could be restricted. They end when what they are about is over.

use outrider_model::{
    ActionScope, AlertState, Command, CommandRefused, Duration, EntityKey, EntityKind, Finding, Policy, Response,
};
use outrider_respond::desk::{Desk, Settings};

use crate::world::{INSTALLATION, START_MS, command, finding};

fn about(kind: EntityKind) -> Finding {
    let found = finding("shop", "posture:plain_http", START_MS, 1);
    Finding { entity: EntityKey { kind, ..found.entity.clone() }, ..found }
}

/// A desk with a policy that would block and one that would limit whatever posture finds, and its alert.
fn desk(kind: EntityKind) -> Desk {
    let mut desk = Desk::new(INSTALLATION, Settings::default()).unwrap();
    let policies = [
        r#"{"name": "b", "when": {"detectors": ["posture"]}, "respond": {"kind": "block"}, "duration": "15m", "mode": "enforce"}"#,
        r#"{"name": "l", "when": {"detectors": ["posture"]}, "respond": {"kind": "rate_limit", "limits": {"minute": 5}},
            "duration": "15m", "mode": "enforce"}"#,
    ];
    let policies: Vec<Policy> = policies.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    desk.apply_settings(Settings::default(), policies).unwrap();
    desk.on_finding(about(kind));
    desk
}

#[test]
fn a_service_or_a_gateway_is_never_the_target_of_an_action() {
    for kind in [EntityKind::Service, EntityKind::Gateway] {
        let mut desk = desk(kind);
        let alert = desk.alerts().next().unwrap();
        assert_eq!((alert.entity.kind, alert.policy_notes.len()), (kind, 2));
        assert!(alert.policy_notes.iter().all(|note| note.contains("only a consumer can be restricted")));
        assert_eq!(desk.actions().count(), 0);
        let act = Command::Act {
            alert: Some(alert.id),
            target: alert.entity.clone(),
            scope: ActionScope::Consumer,
            response: Response::default(),
            duration: Duration::Seconds(60),
            reason: "now".to_owned(),
        };
        let refused = desk.on_command(&command(1, "anna", START_MS, act)).unwrap_err();
        assert!(matches!(&refused, CommandRefused::Invalid { why } if why.contains("only a consumer")), "{refused}");
        assert_eq!(desk.actions().count(), 0);
    }
}

#[test]
fn what_is_over_ends_its_own_alert_alone() {
    let mut desk = desk(EntityKind::Service);
    let entity = about(EntityKind::Service).entity;
    let state = |desk: &Desk| desk.alerts().map(|alert| alert.state).collect::<Vec<_>>();
    desk.end_alert_about(&entity, "posture:weak_tls", "gone");
    desk.end_alert_about(&about(EntityKind::Gateway).entity, "posture:plain_http", "gone");
    assert_eq!(state(&desk), [AlertState::Open]);
    desk.end_alert_about(&entity, "posture:plain_http", "it is there no longer");
    assert_eq!(state(&desk), [AlertState::Resolved]);
    let alert = desk.alerts().next().unwrap();
    assert_eq!((alert.state_by.as_str(), alert.state_reason.as_str()), ("", "it is there no longer"));
    desk.end_alert_about(&entity, "posture:plain_http", "again");
    assert_eq!(desk.alerts().next().unwrap().state_reason, "it is there no longer");
}
