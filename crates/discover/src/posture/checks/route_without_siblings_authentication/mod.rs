#![doc = include_str!("README.md")]

use outrider_model::{GatewayRoute, Severity};

use super::Descriptor;
use crate::posture::configured::{Configured, is_for_named_addresses, route_name};
use crate::posture::facts::{is_sign_in, is_upkeep};
use crate::posture::query::Query;
use crate::posture::view::{Facts, Findings, ServiceView, evidence};
use crate::posture::weakness::{Found, WeakSubject};

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "route_without_siblings_authentication",
    title: "Route past authentication",
    summary: "A route leads to a service without the authentication that the service's other routes have.",
    owasp: "API2:2023",
    severity: Severity::High,
    fix: "Put the same authentication plugin on the route, or on the service.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    let routes: Vec<(&Configured, &GatewayRoute)> = view.routes().collect();
    findings.is_unsure = view.configured.is_none_or(|configured| !configured.is_whole());
    if findings.is_unsure {
        return;
    }
    let (asking, open): (Vec<_>, Vec<_>) =
        routes.into_iter().partition(|(configured, route)| configured.authentication(route).next().is_some());
    let Some((configured, sibling)) = asking.first() else { return };
    let by_route = view.by_route();
    let plugins: Vec<&str> = configured.authentication(sibling).map(|plugin| plugin.name.as_str()).collect();
    for (configured, route) in open {
        let called = by_route.get(route.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        if is_meant(view, route, called) || is_for_nobody_else(configured, route) {
            continue;
        }
        let endpoints = called.iter().map(|facts| facts.endpoint.id).collect();
        findings.push(Found {
            subject: WeakSubject::Route { gateway: view.key.gateway.clone(), route: route.id.clone() },
            severity: DESCRIPTOR.severity,
            last_seen_ms: configured.snapshot.taken_ms,
            sentence: format!(
                "the route {} leads to {} without authentication, while {} of its routes have {}",
                route_name(route),
                view.name(),
                asking.len(),
                plugins.join(" and "),
            ),
            evidence: vec![
                evidence("routes of the service with authentication", asking.len()),
                evidence("such as", format!("{} by {}", route_name(sibling), plugins.join(" and "))),
                evidence(
                    "paths of the route",
                    if route.paths.is_empty() { "all".to_owned() } else { route.paths.join(", ") },
                ),
            ],
            query: Query::of_gateway(&view.key.gateway, "route_id", &route.id).known().count(),
            fix: format!("`POST /routes/{}/plugins` with `name={}`", route.id, plugins.first().unwrap_or(&"key-auth")),
            endpoints,
        });
    }
}

/// Whether nobody comes by a route who would have to prove who they are: it refuses every call, is for preflight requests, or for
/// addresses that are named.
fn is_for_nobody_else(configured: &Configured, route: &GatewayRoute) -> bool {
    configured.is_terminated(route)
        || route.methods == ["OPTIONS"]
        || is_for_named_addresses(&configured.in_force(route))
}

/// Whether a route is there for what is open by nature, such as the sign-in, or documented to be: as its calls show, else its paths.
fn is_meant(view: &ServiceView<'_>, route: &GatewayRoute, called: &[&Facts]) -> bool {
    if called.is_empty() {
        return !route.paths.is_empty() && route.paths.iter().all(|path| is_sign_in(path) || is_upkeep(path));
    }
    called.iter().all(|facts| facts.is_public_by_nature() || view.is_documented_as_open(facts))
}
