//! Every route with the least role that it asks for. A route that is not in the table fails the test.

use std::collections::BTreeSet;

use outrider_platform::api::openapi;
use outrider_platform::store::Role;
use serde_json::Value;

use crate::harness::{Api, ROLES};

/// Methods and path of every route; without a role, it is for everybody.
const ROUTES: &[(&str, &str, Option<Role>)] = &[
    ("GET", "/healthz", None),
    ("GET", "/api/v1/openapi.json", None),
    ("POST", "/api/v1/setup", None),
    ("POST", "/api/v1/session", None),
    ("GET", "/api/v1/session/oidc", None),
    ("GET", "/api/v1/session/oidc/callback", None),
    ("GET", "/metrics", Some(Role::Viewer)),
    ("GET DELETE", "/api/v1/session", Some(Role::Viewer)),
    ("PUT", "/api/v1/session/password", Some(Role::Viewer)),
    ("GET", "/api/v1/alerts", Some(Role::Viewer)),
    ("GET", "/api/v1/alerts/{id}", Some(Role::Viewer)),
    ("GET", "/api/v1/findings", Some(Role::Viewer)),
    ("GET", "/api/v1/endpoints", Some(Role::Viewer)),
    ("GET", "/api/v1/endpoints/{id}", Some(Role::Viewer)),
    ("GET", "/api/v1/policies", Some(Role::Viewer)),
    ("GET", "/api/v1/policies/{name}", Some(Role::Viewer)),
    ("GET", "/api/v1/actions", Some(Role::Viewer)),
    ("GET", "/api/v1/actions/{id}", Some(Role::Viewer)),
    ("GET", "/api/v1/gateways", Some(Role::Viewer)),
    ("GET", "/api/v1/gateways/{name}", Some(Role::Viewer)),
    ("GET", "/api/v1/gateways/{name}/configuration", Some(Role::Viewer)),
    ("GET", "/api/v1/kill-switch", Some(Role::Viewer)),
    ("GET", "/api/v1/guard-rails", Some(Role::Viewer)),
    ("GET", "/api/v1/audit", Some(Role::Viewer)),
    ("GET", "/api/v1/notices", Some(Role::Viewer)),
    ("GET", "/api/v1/notices/{id}", Some(Role::Viewer)),
    ("GET", "/api/v1/notify", Some(Role::Viewer)),
    ("GET", "/api/v1/events", Some(Role::Viewer)),
    ("GET", "/api/v1/status", Some(Role::Viewer)),
    ("POST", "/api/v1/alerts/{id}/acknowledge", Some(Role::Analyst)),
    ("POST", "/api/v1/alerts/{id}/resolve", Some(Role::Analyst)),
    ("POST", "/api/v1/alerts/{id}/false-positive", Some(Role::Analyst)),
    ("PUT DELETE", "/api/v1/policies/{name}", Some(Role::Responder)),
    ("POST", "/api/v1/actions", Some(Role::Responder)),
    ("POST", "/api/v1/actions/{id}/approve", Some(Role::Responder)),
    ("POST", "/api/v1/actions/{id}/reject", Some(Role::Responder)),
    ("POST", "/api/v1/actions/{id}/release", Some(Role::Responder)),
    ("PUT", "/api/v1/kill-switch", Some(Role::Responder)),
    ("POST", "/api/v1/notify/{number}/resend", Some(Role::Responder)),
    ("GET POST", "/api/v1/tokens", Some(Role::Admin)),
    ("DELETE", "/api/v1/tokens/{name}", Some(Role::Admin)),
    ("GET POST", "/api/v1/services", Some(Role::Admin)),
    ("DELETE", "/api/v1/services/{name}", Some(Role::Admin)),
    ("GET POST", "/api/v1/people", Some(Role::Admin)),
    ("PATCH", "/api/v1/people/{name}", Some(Role::Admin)),
    ("PUT", "/api/v1/people/{name}/password", Some(Role::Admin)),
];

/// Every route of the document, with its methods.
fn declared() -> BTreeSet<(String, String)> {
    let document: Value = serde_json::from_str(openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect()
}

#[tokio::test]
async fn every_route_asks_for_its_role() {
    let each = |(methods, path, role): &(&'static str, &'static str, Option<Role>)| {
        let (path, role) = (*path, *role);
        methods.split(' ').map(move |method| (method, path, role)).collect::<Vec<_>>()
    };
    let routes: Vec<_> = ROUTES.iter().flat_map(each).collect();
    let known: BTreeSet<_> =
        routes.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(declared(), known, "each route has one line in the table");

    let api = Api::start().await;
    for (method, path, least) in routes {
        let path: String =
            path.split('/').map(|part| if part.starts_with('{') { "7" } else { part }).collect::<Vec<_>>().join("/");
        let anonymous =
            format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        let reply = api.raw(&anonymous).await;
        assert_eq!(reply.status == 401, least.is_some(), "{method} {path}: {}", reply.status);
        if path == "/api/v1/events" {
            // Whoever is let in hears on and on, which other tests show.
            continue;
        }
        for role in ROLES {
            let reply = api.send(role, method, &path, None).await;
            let is_let_in = least.is_none_or(|least| role >= least);
            assert_eq!(reply.status == 403, !is_let_in, "{role} {method} {path}: {}", reply.status);
            assert!(reply.status != 401 && reply.status < 500, "{role} {method} {path}: {}", reply.status);
        }
    }
}
