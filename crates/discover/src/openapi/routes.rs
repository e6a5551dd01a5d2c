//! The gateway's routes beside what was seen.

use std::collections::BTreeSet;

use outrider_model::{Endpoint, EndpointId, GatewayRoute, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::drift::{Drift, DriftKind};
use super::sentence::calls;
use super::takes::{RANGES_MAX, STEPS_MAX, Takes, Walk};
use crate::inventory::EndpointInventory;

/// A route as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// Its id, as calls carry it.
    pub id: String,
    /// Its name, else its id.
    pub name: String,
    /// Methods that it takes; all where there are none.
    pub methods: Vec<String>,
    /// Hosts that it takes; all where there are none.
    pub hosts: Vec<String>,
    /// Paths that it takes, regular expressions with a leading `~`; all where there are none.
    pub paths: Vec<String>,
}

impl From<&GatewayRoute> for Route {
    fn from(route: &GatewayRoute) -> Self {
        Route {
            id: route.id.clone(),
            name: route.name.clone().unwrap_or_else(|| route.id.clone()),
            methods: route.methods.clone(),
            hosts: route.hosts.clone(),
            paths: route.paths.clone(),
        }
    }
}

impl Route {
    /// The paths that the gateway may take away before it forwards a call.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = String> {
        let plain = self.paths.iter().filter(|path| !path.starts_with('~'));
        plain.map(|path| path.trim_end_matches('/').to_owned())
    }
}

/// The routes to a service, as they were read last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoutesRead {
    /// Those routes.
    pub routes: Vec<Route>,
    /// Since when they are as they are.
    pub since_ms: i64,
    /// Whether there is no other one, so that what none of them takes is taken by none.
    pub are_all: bool,
}

impl RoutesRead {
    /// The endpoints that no route takes.
    pub(crate) fn uncovered<'s>(
        &self,
        service: impl Iterator<Item = (&'s Endpoint, &'s EndpointInventory)>,
    ) -> BTreeSet<EndpointId> {
        if !self.are_all {
            return BTreeSet::new();
        }
        let mut ranges_left = RANGES_MAX;
        let mut takes =
            |route: &Route| route.paths.iter().map(|path| Takes::of(path, &mut ranges_left)).collect::<Vec<Takes>>();
        let routes: Vec<(&Route, Vec<Takes>)> = self.routes.iter().map(|route| (route, takes(route))).collect();
        let mut steps_left = STEPS_MAX;
        let mut may_come = |endpoint: &Endpoint| {
            let (method, walk) = (&endpoint.key.method, Walk::along(&endpoint.key.template));
            let with_method =
                routes.iter().filter(|(route, _)| route.methods.is_empty() || route.methods.contains(method));
            with_method
                .into_iter()
                .any(|(_, takes)| takes.is_empty() || takes.iter().any(|takes| takes.may_take(&walk, &mut steps_left)))
        };
        let known = service.filter(|(_, seen)| seen.known > 0);
        known.filter(|(endpoint, _)| !may_come(endpoint)).map(|(endpoint, _)| endpoint.id).collect()
    }

    /// Whether an endpoint was called since the routes are as they are.
    pub(crate) fn is_called_since(&self, seen: &EndpointInventory) -> bool {
        seen.last_seen_ms.is_some_and(|last_ms| last_ms > self.since_ms)
    }
}

/// What a gateway's routes to a service and its endpoints do not have in common: routes that no call came by, and endpoints
/// that no route takes any more. Both are worth knowing ([`Severity::Info`]); an endpoint that was called after its route
/// was read is [`Severity::Low`], because something else lets calls in.
///
/// `uncovered` are those endpoints.
pub(super) fn route_drift(
    read: &RoutesRead,
    uncovered: &BTreeSet<EndpointId>,
    service: &[(Endpoint, EndpointInventory)],
) -> Vec<Drift> {
    let mut found = Vec::new();
    for route in &read.routes {
        let is_called = service
            .iter()
            .any(|(_, seen)| seen.routes.iter().any(|known| !known.name.is_empty() && known.name == route.id));
        if !is_called {
            found.push(Drift {
                kind: DriftKind::UnusedRoute,
                severity: Severity::Info,
                endpoint: None,
                method: route.methods.join(","),
                template: route.paths.join(","),
                pointer: None,
                parameter: None,
                route: Some(route.name.clone()),
                sentence: format!("No call came by the route `{}`.", route.name),
                calls: 0,
                of: 0,
                first_seen_ms: None,
                last_seen_ms: None,
            });
        }
    }
    for (endpoint, seen) in service.iter().filter(|(endpoint, _)| uncovered.contains(&endpoint.id)) {
        let is_later = read.is_called_since(seen);
        let since = if is_later { "" } else { ", none of them since the routes are as they are" };
        found.push(Drift {
            kind: DriftKind::UncoveredByRoutes,
            severity: if is_later { Severity::Low } else { Severity::Info },
            sentence: format!(
                "No path of a route takes {} {}, and {} were answered{since}.",
                endpoint.key.method,
                endpoint.key.template,
                calls(seen.known)
            ),
            ..Drift::of(endpoint, seen)
        });
    }
    found
}
