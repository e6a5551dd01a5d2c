//! What a check is shown: a service with its endpoints, or a gateway with its callers.

use std::collections::{BTreeMap, BTreeSet};

use outrider_classify::{DataClass, Family};
use outrider_model::{Endpoint, EndpointId, GatewayPlugin, GatewayRoute, GatewayService, Severity, Sign};
use serde::{Deserialize, Serialize};

use super::callers::Callers;
use super::configured::Configured;
use super::outline::Documented;
use super::query::Query;
use super::settings::Settings;
use super::weakness::{ENDPOINTS_MAX, Evidence, Found, ServiceKey, WeakSubject};
use crate::inventory::{
    DataClassCount, EndpointInventory, Location, Mark, ParameterInventory, SignCount, is_sensitive,
};

/// An endpoint as far as checks look at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub endpoint: Endpoint,
    pub seen: EndpointInventory,
    pub errors: Errors,
}

/// Answers of 500 and more among the latest calls: of the stretch that is counted, and of the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Errors {
    /// Calls and errors where the stretch before began.
    before: (u64, u64),
    /// And where this one did.
    since: (u64, u64),
    /// And up to now.
    now: (u64, u64),
}

/// Calls of a stretch.
const STRETCH_CALLS: u64 = 200;

impl Errors {
    fn note(&mut self, seen: &EndpointInventory) {
        let errors = seen.statuses.iter().filter(|count| count.status >= 500).map(|count| count.calls).sum();
        self.now = (seen.calls, errors);
        if seen.calls.saturating_sub(self.since.0) >= STRETCH_CALLS {
            (self.before, self.since) = (self.since, self.now);
        }
    }
}

/// Names of parameters that ask for a part of a list.
const PAGING: &[&str] = &[
    "after",
    "before",
    "continuation",
    "count",
    "cursor",
    "first",
    "from",
    "last",
    "limit",
    "marker",
    "offset",
    "page",
    "pagesize",
    "perpage",
    "range",
    "size",
    "skip",
    "start",
    "take",
    "top",
];

/// Whether a parameter asks for a part of a list.
pub(crate) fn is_paging(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let plain = plain.strip_prefix("page").filter(|rest| !rest.is_empty()).map_or(plain.as_str(), |_| "page");
    PAGING.contains(&plain) || plain.ends_with("token") && plain.contains("page")
}

impl Facts {
    /// What checks look at of an endpoint. The rest is left where it is.
    pub fn new(endpoint: &Endpoint, seen: &EndpointInventory, before: Option<Errors>) -> Facts {
        let mut errors = before.unwrap_or_default();
        errors.note(seen);
        let is_looked_at = |parameter: &&ParameterInventory| {
            matches!(parameter.location, Location::Path | Location::Query)
                && (parameter.range.is_some() || is_paging(&parameter.name))
        };
        let parameters: Vec<ParameterInventory> = seen
            .parameters
            .iter()
            .filter(is_looked_at)
            .take(16)
            .cloned()
            .map(|mut parameter| {
                parameter.values.clear();
                parameter
            })
            .collect();
        let seen = EndpointInventory {
            parameters,
            class_senders: Vec::new(),
            media_types: Vec::new(),
            versions: Vec::new(),
            request_bytes: None,
            latency_ms: None,
            ..seen.clone()
        };
        let endpoint = Endpoint { explanation: String::new(), ..endpoint.clone() };
        Facts { endpoint, seen, errors }
    }

    /// `GET /orders/{id}`.
    pub fn name(&self) -> String {
        format!("{} {}", self.endpoint.key.method, self.endpoint.key.template)
    }

    /// The weakness' subject where the cause is the endpoint's own.
    pub fn subject(&self) -> WeakSubject {
        WeakSubject::Endpoint(self.endpoint.id)
    }

    /// Whether its method changes something.
    pub fn is_writing(&self) -> bool {
        !matches!(self.endpoint.key.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }

    /// Words of the template, in lower case.
    pub fn words(&self) -> impl Iterator<Item = String> {
        let named = self.endpoint.key.template.split('/').filter(|segment| !segment.contains('{'));
        let words = named.flat_map(|segment| segment.split(|letter: char| !letter.is_ascii_alphanumeric()));
        words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase)
    }

    /// Classes of data that are somebody's, as far as it is decided.
    pub fn sensitive(&self) -> impl Iterator<Item = &DataClassCount> {
        self.seen.data_classes.iter().filter(|count| count.is_decided && is_sensitive(&count.class))
    }

    /// Their names, each once.
    pub fn sensitive_names(&self) -> Vec<String> {
        let names: BTreeSet<&str> = self.sensitive().map(|count| count.class.as_str()).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Whether it carries payment or health data.
    pub fn has_grave_data(&self) -> bool {
        let family = |class: &str| DataClass::named(class).map(DataClass::family);
        self.sensitive().any(|count| matches!(family(&count.class), Some(Family::Payment | Family::Health)))
    }

    /// Whether strangers send who they are here by its nature.
    pub fn is_a_form(&self) -> bool {
        const WORDS: &[&str] =
            &["contact", "feedback", "newsletter", "subscribe", "subscriptions", "unsubscribe", "waitlist"];
        self.words().any(|word| WORDS.contains(&word.as_str()))
    }

    /// Whether anybody may call it in any API: a sign-in, a health check, what browsers and documents ask for.
    pub fn is_public_by_nature(&self) -> bool {
        const WORDS: &[&str] = &[
            "alive",
            "captcha",
            "csrf",
            "docs",
            "favicon",
            "health",
            "healthcheck",
            "healthz",
            "heartbeat",
            "jwks",
            "live",
            "livez",
            "openapi",
            "ping",
            "readiness",
            "ready",
            "readyz",
            "robots",
            "status",
            "version",
            "webhook",
            "webhooks",
        ];
        self.endpoint.key.method == "OPTIONS"
            || self.is_sign_in()
            || self.endpoint.key.template.starts_with("/.well-known/")
            || self.words().any(|word| WORDS.contains(&word.as_str()))
    }

    /// Whether callers prove who they are here: a sign-in, a sign-up, a token.
    pub fn is_sign_in(&self) -> bool {
        const WORDS: &[&str] = &[
            "auth",
            "authenticate",
            "authorize",
            "forgot",
            "login",
            "logon",
            "oauth",
            "oauth2",
            "otp",
            "password",
            "register",
            "registration",
            "reset",
            "session",
            "sessions",
            "signin",
            "signup",
            "sso",
            "token",
            "tokens",
            "verify",
        ];
        let mut before = String::new();
        self.words().any(|word| {
            let pair = format!("{before}{word}");
            before = word.clone();
            WORDS.contains(&word.as_str()) || matches!(pair.as_str(), "signin" | "signup" | "logon")
        })
    }
}

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
    pub documented: &'v BTreeMap<EndpointId, Documented>,
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

    /// Endpoints with enough calls to say something of them. A template that may still change needs five times as many.
    pub fn called(&self) -> impl Iterator<Item = &'v Facts> {
        let calls_min = u64::from(self.settings.calls_min);
        self.endpoints.values().filter(move |facts| {
            let calls_min = if facts.endpoint.provisional { calls_min * 5 } else { calls_min };
            facts.seen.known >= calls_min
        })
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
