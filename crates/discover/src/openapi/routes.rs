//! The gateway's routes beside what was seen.

use outrider_model::GatewayRoute;
use outrider_model::{Endpoint, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::drift::{Drift, DriftKind};
use super::sentence::calls;
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

    /// Whether calls of an endpoint may come by this route. Of a regular expression only the text that it begins with is
    /// compared.
    fn may_take(&self, endpoint: &Endpoint) -> bool {
        let takes_method = self.methods.is_empty() || self.methods.contains(&endpoint.key.method);
        takes_method
            && (self.paths.is_empty() || self.paths.iter().any(|path| begins_alike(path, &endpoint.key.template)))
    }
}

fn begins_alike(path: &str, template: &str) -> bool {
    let path = match path.strip_prefix('~') {
        Some(expression) => {
            let expression = expression.strip_prefix('^').unwrap_or(expression);
            let end =
                expression.find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '/' | '-' | '_')));
            // A letter before `?` or `*` may be missing.
            &expression[..end.map_or(expression.len(), |end| end.saturating_sub(1))]
        }
        None => path,
    };
    let known = template.split('{').next().unwrap_or_default();
    template.starts_with(path) || (known.len() < template.len() && path.starts_with(known))
}

/// What a gateway's routes to a service and its endpoints do not have in common: routes that no call came by, and endpoints
/// that no route takes any more. Both are worth knowing ([`Severity::Info`]); an endpoint that was called after its route
/// was read is [`Severity::Low`], because something else lets calls in.
///
/// `read_ms` is when the routes were read.
pub fn route_drift(routes: &[Route], read_ms: i64, service: &[(Endpoint, EndpointInventory)]) -> Vec<Drift> {
    let mut found = Vec::new();
    for route in routes {
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
    for (endpoint, seen) in service.iter().filter(|(_, seen)| seen.known > 0) {
        if routes.is_empty() || routes.iter().any(|route| route.may_take(endpoint)) {
            continue;
        }
        let is_later = seen.last_seen_ms.is_some_and(|last_ms| last_ms > read_ms);
        found.push(Drift {
            kind: DriftKind::UncoveredByRoutes,
            severity: if is_later { Severity::Low } else { Severity::Info },
            sentence: format!(
                "No path of a route takes {} {}, and {} were answered.",
                endpoint.key.method,
                endpoint.key.template,
                calls(seen.known)
            ),
            ..Drift::of(endpoint, seen)
        });
    }
    found
}
