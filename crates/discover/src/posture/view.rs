//! What a check is shown: a service with its endpoints, or a gateway with its callers.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::{EndpointId, GatewayPlugin, GatewayRoute, GatewayService, Severity, Sign};

use super::callers::Callers;
use super::configured::Configured;
pub(crate) use super::facts::{Answers, Facts};
use super::outline::{DocumentOutline, Documented};
use super::query::Query;
use super::settings::Settings;
use super::weakness::{ENDPOINTS_MAX, Evidence, Found, ServiceKey, WeakSubject};
use crate::inventory::{Mark, SignCount};

/// What a rule has found, and whether it could look.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub found: Vec<Found>,
    /// What is needed to say that something is there no longer is not whole.
    pub is_unsure: bool,
}

impl Findings {
    /// Adds one, with no more endpoints than are listed.
    pub fn push(&mut self, mut found: Found) {
        found.endpoints.sort_unstable();
        found.endpoints.dedup();
        found.endpoints.truncate(ENDPOINTS_MAX);
        self.found.push(found);
    }
}

/// A service of a gateway.
pub(crate) struct ServiceView<'v> {
    pub key: &'v ServiceKey,
    pub endpoints: &'v BTreeMap<EndpointId, Facts>,
    pub configured: Option<&'v Configured>,
    pub outline: Option<&'v DocumentOutline>,
    pub documented: &'v BTreeMap<EndpointId, Documented>,
    /// Endpoints that no route takes any more.
    pub uncovered: &'v BTreeSet<EndpointId>,
    pub settings: &'v Settings,
    pub now_ms: i64,
}

/// A gateway.
pub(crate) struct GatewayView<'v> {
    pub gateway: &'v str,
    pub configured: Option<&'v Configured>,
    pub callers: &'v Callers,
    pub settings: &'v Settings,
    pub now_ms: i64,
}

const DAY_MS: i64 = 86_400_000;

impl Settings {
    /// Whether what was seen last then, with so many calls since, counts as over.
    pub(crate) fn is_over(&self, last_ms: i64, calls_since: u64, now_ms: i64) -> bool {
        let passed_ms = now_ms.saturating_sub(last_ms);
        passed_ms >= i64::from(self.fixed_after_days) * DAY_MS
            || calls_since >= self.fixed_after_calls.into() && passed_ms >= i64::from(self.fixed_after_minutes) * 60_000
    }
}

impl<'v> ServiceView<'v> {
    /// The service, for people.
    pub fn name(&self) -> &'v str {
        let of_endpoint = self.endpoints.values().next().map(|facts| facts.endpoint.service_name.as_str());
        let configured = || self.service().and_then(|service| service.name.as_deref());
        of_endpoint.filter(|name| !name.is_empty()).or_else(configured).unwrap_or(&self.key.service)
    }

    pub fn subject(&self) -> WeakSubject {
        WeakSubject::Service(self.key.clone())
    }

    /// The service as the gateway is configured.
    pub fn service(&self) -> Option<&'v GatewayService> {
        self.configured?.service(&self.key.service)
    }

    /// The routes to it, and what knows their plugins.
    pub fn routes(&self) -> impl Iterator<Item = (&'v Configured, &'v GatewayRoute)> {
        let of = self
            .configured
            .map(|configured| configured.routes_of(&self.key.service).map(move |route| (configured, route)));
        of.into_iter().flatten()
    }

    /// Endpoints with enough calls to say something of them.
    pub fn called(&self) -> impl Iterator<Item = &'v Facts> {
        self.endpoints.values().filter(|facts| self.is_called(facts))
    }

    /// Whether an endpoint has enough calls to say something of it. A template that may still change needs five times as many.
    pub fn is_called(&self, facts: &Facts) -> bool {
        let calls_min = u64::from(self.settings.calls_min);
        facts.seen.known >= if facts.endpoint.provisional { calls_min * 5 } else { calls_min }
    }

    /// Whether nobody has called an endpoint for so long that what was there counts as over.
    pub fn is_quiet(&self, facts: &Facts) -> bool {
        facts.seen.last_seen_ms.is_none_or(|last_ms| self.settings.is_over(last_ms, 0, self.now_ms))
    }

    /// Whether an endpoint is not there any more: no route takes it, and nobody called it since the routes are as they are.
    pub fn is_gone(&self, facts: &Facts) -> bool {
        let since_ms = self.configured.map_or(i64::MIN, |configured| configured.routes_since_ms);
        self.uncovered.contains(&facts.endpoint.id) && facts.seen.last_seen_ms.is_none_or(|last_ms| last_ms <= since_ms)
    }

    /// Whether its document says that an endpoint needs no security, while others do.
    pub fn is_documented_as_open(&self, facts: &Facts) -> bool {
        matches!(self.documented.get(&facts.endpoint.id), Some(Documented::Operation { is_public: true, .. }))
    }

    /// The endpoints that calls came to, by the id of the route.
    pub fn by_route(&self) -> BTreeMap<&'v str, Vec<&'v Facts>> {
        let mut by_route: BTreeMap<&str, Vec<&Facts>> = BTreeMap::new();
        for facts in self.endpoints.values() {
            for route in &facts.seen.routes {
                by_route.entry(&route.name).or_default().push(facts);
            }
        }
        by_route
    }

    /// What an endpoint showed and is not over yet; what an answer shows, only further answers can end.
    pub fn sign(&self, facts: &'v Facts, sign: Sign) -> Option<&'v SignCount> {
        let count = facts.seen.sign(sign)?;
        (!self.settings.is_over(count.last_seen_ms, count.known_since, self.now_ms)).then_some(count)
    }

    /// The same of a mark. Refused calls end it, too.
    pub fn mark(&self, facts: &'v Facts, mark: Mark) -> Option<&'v SignCount> {
        let count = facts.seen.mark(mark)?;
        (!self.settings.is_over(count.last_seen_ms, count.calls_since, self.now_ms)).then_some(count)
    }

    /// Endpoints that show a sign, with it.
    pub fn with_sign(&self, sign: Sign) -> Vec<(&'v Facts, &'v SignCount)> {
        self.called().filter_map(|facts| Some((facts, self.sign(facts, sign)?))).collect()
    }

    /// Endpoints that calls came to by a route.
    pub fn endpoints_by(&self, route: &GatewayRoute) -> impl Iterator<Item = &'v Facts> {
        let id = route.id.clone();
        self.endpoints.values().filter(move |facts| facts.seen.routes.iter().any(|seen| seen.name == id))
    }

    /// How to put a plugin where the calls of an endpoint come by: `POST /routes/…/plugins`.
    pub fn plugin_fix(&self, facts: &Facts, plugin: &str) -> String {
        let route = facts.seen.routes.first().map(|seen| seen.name.as_str());
        match route {
            Some(route) => format!("`POST /routes/{route}/plugins` with `name={plugin}`"),
            None => format!("`POST /services/{}/plugins` with `name={plugin}`", self.key.service),
        }
    }

    /// How to ask who calls an endpoint, by the plugin that the service has elsewhere.
    pub fn authentication_fix(&self, facts: &Facts) -> String {
        let elsewhere = self
            .routes()
            .find_map(|(configured, route)| configured.authentication(route).next().map(|plugin| plugin.name.as_str()));
        self.plugin_fix(facts, elsewhere.unwrap_or("key-auth"))
    }

    /// The calls of the service in the lake.
    pub fn query(&self) -> Query {
        Query::of_service(self.key)
    }

    /// The calls of an endpoint in the lake.
    pub fn query_of(&self, facts: &Facts) -> Query {
        Query::of_endpoint(&self.key.gateway, facts.endpoint.id)
    }
}

/// A fact with its value.
pub(crate) fn evidence(name: &str, value: impl ToString) -> Evidence {
    Evidence { name: name.to_owned(), value: value.to_string() }
}

/// The first few names, and how many more there are.
pub(crate) fn names(all: impl IntoIterator<Item = String>) -> String {
    const SHOWN: usize = 5;
    let mut all: Vec<String> = all.into_iter().collect();
    let more = all.len().saturating_sub(SHOWN);
    all.truncate(SHOWN);
    let shown = all.join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// How Kong's plugin is called for people: its name and where it acts.
pub(crate) fn plugin_scope(plugin: &GatewayPlugin) -> String {
    let scope = match (&plugin.service_id, &plugin.route_id) {
        (None, None) => "for all services",
        (Some(_), None) => "of the service",
        (_, Some(_)) => "of the route",
    };
    format!("{} {scope}", plugin.name)
}

/// One step worse, at most critical.
pub(crate) fn worse(severity: Severity) -> Severity {
    match severity {
        Severity::Info => Severity::Low,
        Severity::Low => Severity::Medium,
        Severity::Medium => Severity::High,
        Severity::High | Severity::Critical => Severity::Critical,
    }
}
