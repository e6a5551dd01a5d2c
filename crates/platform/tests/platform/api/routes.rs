//! Every route with the least role that it asks for. A route that is not in the table fails the test.

use std::collections::BTreeSet;

use outrider_platform::api::openapi;
use outrider_platform::store::{AuditFilter, AuditLog, Role};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::harness::{Api, ROLES};

/// Methods and path of every route; without a role, it is for everybody.
const ROUTES: &[(&str, &str, Option<Role>)] = &[
    ("GET", "/healthz", None),
    ("GET", "/api/v1/openapi.json", None),
    ("POST", "/api/v1/setup", None),
    ("POST", "/api/v1/session", None),
    ("GET", "/api/v1/session/ways", None),
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
    ("GET", "/api/v1/endpoints/{id}/inventory", Some(Role::Viewer)),
    ("GET", "/api/v1/apis", Some(Role::Viewer)),
    ("GET", "/api/v1/templates", Some(Role::Viewer)),
    ("GET", "/api/v1/apis/openapi", Some(Role::Viewer)),
    ("GET", "/api/v1/apis/drift", Some(Role::Viewer)),
    ("GET", "/api/v1/posture", Some(Role::Viewer)),
    ("GET", "/api/v1/posture/counts", Some(Role::Viewer)),
    ("GET", "/api/v1/posture/export", Some(Role::Viewer)),
    ("GET", "/api/v1/posture/checks", Some(Role::Viewer)),
    ("GET", "/api/v1/posture/{id}", Some(Role::Viewer)),
    ("GET", "/api/v1/data-classes", Some(Role::Viewer)),
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
    ("GET", "/api/v1/lake/schema", Some(Role::Viewer)),
    ("GET", "/api/v1/notices", Some(Role::Viewer)),
    ("GET", "/api/v1/gaps", Some(Role::Viewer)),
    ("GET", "/api/v1/notices/{id}", Some(Role::Viewer)),
    ("GET", "/api/v1/notify", Some(Role::Viewer)),
    ("GET", "/api/v1/calls/{id}", Some(Role::Viewer)),
    ("GET", "/api/v1/timeline", Some(Role::Viewer)),
    ("GET", "/api/v1/timeline/density", Some(Role::Viewer)),
    ("GET", "/api/v1/search", Some(Role::Viewer)),
    ("GET", "/api/v1/search/completions", Some(Role::Viewer)),
    ("POST", "/api/v1/query", Some(Role::Viewer)),
    ("POST", "/api/v1/query/stream", Some(Role::Viewer)),
    ("POST", "/api/v1/query/export", Some(Role::Viewer)),
    ("GET", "/api/v1/hunts", Some(Role::Viewer)),
    ("GET", "/api/v1/hunts/{name}", Some(Role::Viewer)),
    ("GET", "/api/v1/events", Some(Role::Viewer)),
    ("GET", "/api/v1/status", Some(Role::Viewer)),
    ("POST", "/api/v1/alerts/{id}/acknowledge", Some(Role::Analyst)),
    ("POST", "/api/v1/alerts/{id}/resolve", Some(Role::Analyst)),
    ("POST", "/api/v1/alerts/{id}/false-positive", Some(Role::Analyst)),
    ("POST", "/api/v1/alerts/{id}/assign", Some(Role::Analyst)),
    ("POST", "/api/v1/alerts/{id}/comment", Some(Role::Analyst)),
    ("GET", "/api/v1/assignees", Some(Role::Analyst)),
    ("POST", "/api/v1/templates", Some(Role::Responder)),
    ("POST", "/api/v1/templates/preview", Some(Role::Responder)),
    ("PUT DELETE", "/api/v1/apis/document", Some(Role::Analyst)),
    ("PUT DELETE", "/api/v1/posture/{id}/exception", Some(Role::Analyst)),
    ("PUT DELETE", "/api/v1/hunts/{name}", Some(Role::Analyst)),
    ("POST", "/api/v1/hunts/{name}/run", Some(Role::Analyst)),
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
    ("GET POST", "/api/v1/erasures", Some(Role::Admin)),
    ("GET", "/api/v1/erasures/{id}", Some(Role::Admin)),
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

/// What who looks there is said to have done in the audit log. Other routes say how outrider is set up and how it does.
const AUDITED: &[(&str, &str)] = &[
    ("/api/v1/alerts", "read alerts"),
    ("/api/v1/alerts/{id}", "read an alert"),
    ("/api/v1/findings", "read findings"),
    ("/api/v1/endpoints", "read endpoints"),
    ("/api/v1/endpoints/{id}", "read an endpoint"),
    ("/api/v1/actions", "read actions"),
    ("/api/v1/actions/{id}", "read an action"),
    ("/api/v1/endpoints/{id}/inventory", "read an endpoint's inventory"),
    ("/api/v1/apis", "read the gateways' services"),
    ("/api/v1/apis/openapi", "exported a service"),
    ("/api/v1/apis/drift", "compared a service with its document"),
    ("/api/v1/templates", "read decisions about templates"),
    ("/api/v1/posture", "read weaknesses"),
    ("/api/v1/posture/counts", "counted weaknesses"),
    ("/api/v1/posture/export", "exported weaknesses"),
    ("/api/v1/posture/{id}", "read a weakness"),
    ("/api/v1/data-classes", "read data classes"),
    ("/api/v1/gateways/{name}", "read a gateway's configuration"),
    ("/api/v1/gateways/{name}/configuration", "read a gateway's configuration"),
    ("/api/v1/audit", "read the audit log"),
    ("/api/v1/notify", "read messages"),
    ("/api/v1/calls/{id}", "read a call"),
    ("/api/v1/timeline", "read a timeline"),
    ("/api/v1/timeline/density", "read a timeline's density"),
    ("/api/v1/search", "searched"),
    ("/api/v1/search/completions", "completed a search"),
    ("/api/v1/events", "followed events"),
    ("/api/v1/tokens", "read tokens"),
    ("/api/v1/services", "read services"),
    ("/api/v1/people", "read people"),
    ("/api/v1/erasures", "read erasures"),
    ("/api/v1/erasures/{id}", "read an erasure"),
];

#[tokio::test]
async fn every_look_at_what_is_sensitive_is_noted() {
    let api = Api::start().await;
    let noted = async || {
        let filter = AuditFilter { log: Some(AuditLog::Reads), ..AuditFilter::default() };
        let lines = api.store.audit(&filter, 500, None).await.unwrap().items;
        lines.into_iter().map(|line| (line.entry.by, line.entry.what, line.entry.subject)).collect::<Vec<_>>()
    };
    let document: Value = serde_json::from_str(openapi()).unwrap();
    for (method, path) in declared() {
        if method != "GET" || path == "/api/v1/session/oidc" {
            continue;
        }
        let expected = AUDITED.iter().find(|(audited, _)| *audited == path).map(|(_, what)| *what);
        assert_eq!(document["paths"][&path]["get"]["x-audit"].as_str(), expected, "{path}");
        let target: String =
            path.split('/').map(|part| if part.starts_with('{') { "7" } else { part }).collect::<Vec<_>>().join("/");
        let before = noted().await.len();
        if path == "/api/v1/events" {
            // It has no end of its own; its head comes when the look is noted.
            let mut stream = TcpStream::connect(api.address).await.unwrap();
            let head =
                format!("GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", api.token(Role::Admin));
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.read_u8().await.unwrap();
        } else {
            api.send(Role::Admin, "GET", &target, None).await;
        }
        let lines = noted().await;
        assert_eq!(lines.len() - before, usize::from(expected.is_some()), "{path}: {lines:?}");
        if let Some(what) = expected {
            let subject = path.split_once('{').map_or("", |(before, _)| &target[before.len()..]).to_owned();
            assert_eq!(lines[0], ("the-admin".to_owned(), what.to_owned(), subject), "{path}");
        }
    }
}
