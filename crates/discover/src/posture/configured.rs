//! A gateway's configuration, and which of its plugins is in force where.
//!
//! Kong runs one configuration per plugin, the most specific (`runloop/plugins_iterator.lua` of Kong 3.9): of those that are
//! for everybody, route and service, then route, then service, then all. One that is switched off stands in nobody's way. Plugins for one
//! consumer or group of consumers say nothing of who gets in, and are left out.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::{
    GatewayConsumer, GatewayCredential, GatewayPlugin, GatewayRoute, GatewayService, GatewaySnapshot, PluginSettings,
};

use crate::openapi::{Route, RoutesRead};

/// Kong's plugins that ask who calls.
pub(crate) const AUTHENTICATION: &[&str] = &[
    "basic-auth",
    "header-cert-auth",
    "hmac-auth",
    "jwt",
    "jwt-signer",
    "key-auth",
    "key-auth-enc",
    "ldap-auth",
    "ldap-auth-advanced",
    "mtls-auth",
    "oauth2",
    "oauth2-introspection",
    "openid-connect",
    "saml",
    "session",
    "vault-auth",
];

/// Kong's plugin that refuses every call.
const TERMINATION: &str = "request-termination";

/// Those that limit how often somebody calls.
const RATE_LIMITING: &[&str] =
    &["rate-limiting", "rate-limiting-advanced", "response-ratelimiting", "service-protection"];

/// A gateway's configuration, ready to be asked.
#[derive(Debug, Clone)]
pub(crate) struct Configured {
    pub snapshot: GatewaySnapshot,
    /// Since when its routes are as they are.
    pub routes_since_ms: i64,
    /// Something of it was left out, here or where it was read.
    pub is_cut: bool,
    services: BTreeMap<String, usize>,
    routes: BTreeMap<String, usize>,
    of_service: BTreeMap<String, Vec<usize>>,
    /// Plugins for everybody by the route and service that they are for, empty for all.
    plugins: BTreeMap<(String, String), Vec<usize>>,
    /// Where consumers or groups of them have limits of their own, in the same words.
    limits_of_some: BTreeSet<(String, String)>,
    /// By the id and the name of a consumer, where all of its calls are refused.
    refused: BTreeMap<String, Vec<(String, String)>>,
    /// Of each service its routes, and those of them that ask who calls.
    asking: BTreeMap<String, Asking>,
    /// Of all services.
    asking_in_all: Asking,
    /// The plugin by which most routes ask who calls.
    usual_authentication: Option<String>,
}

/// Routes, and those of them that ask who calls.
#[derive(Debug, Clone, Copy, Default)]
struct Asking {
    asking: usize,
    all: usize,
}

impl Configured {
    /// Takes a configuration in, of each list at most `max` entries. Says how many were left out.
    pub fn new(mut snapshot: GatewaySnapshot, max: usize) -> (Configured, u64) {
        let all = &mut snapshot.configuration;
        let lengths =
            [all.services.len(), all.routes.len(), all.plugins.len(), all.consumers.len(), all.credentials.len()];
        let left_out: usize = lengths.iter().map(|length| length.saturating_sub(max)).sum();
        all.services.truncate(max);
        all.routes.truncate(max);
        all.plugins.truncate(max);
        all.consumers.truncate(max);
        all.credentials.truncate(max);
        let is_cut = left_out > 0 || !all.left_out.is_empty();
        let mut configured = Configured {
            routes_since_ms: snapshot.taken_ms,
            is_cut,
            services: BTreeMap::new(),
            routes: BTreeMap::new(),
            of_service: BTreeMap::new(),
            plugins: BTreeMap::new(),
            limits_of_some: BTreeSet::new(),
            refused: BTreeMap::new(),
            asking: BTreeMap::new(),
            asking_in_all: Asking::default(),
            usual_authentication: None,
            snapshot,
        };
        configured.index();
        configured.count_asking();
        (configured, left_out as u64)
    }

    /// Takes over since when the routes are as they are, from the configuration before.
    pub fn follow(&mut self, before: &Configured) {
        if self.snapshot.configuration.routes == before.snapshot.configuration.routes {
            self.routes_since_ms = before.routes_since_ms;
        }
    }

    fn index(&mut self) {
        let all = &self.snapshot.configuration;
        self.services = all.services.iter().enumerate().map(|(at, one)| (one.id.clone(), at)).collect();
        self.routes = all.routes.iter().enumerate().map(|(at, one)| (one.id.clone(), at)).collect();
        for (at, route) in all.routes.iter().enumerate() {
            if let Some(service) = &route.service_id {
                self.of_service.entry(service.clone()).or_default().push(at);
            }
        }
        for (at, plugin) in all.plugins.iter().enumerate() {
            let is_for_everybody = plugin.consumer_id.is_none() && plugin.consumer_group_id.is_none();
            let id = |id: &Option<String>| id.clone().unwrap_or_default();
            let scope = (id(&plugin.route_id), id(&plugin.service_id));
            if let (true, TERMINATION, Some(consumer)) = (plugin.enabled, plugin.name.as_str(), &plugin.consumer_id) {
                self.refused.entry(consumer.clone()).or_default().push(scope.clone());
            }
            if plugin.enabled && is_for_everybody {
                self.plugins.entry(scope).or_default().push(at);
            } else if plugin.enabled && RATE_LIMITING.contains(&plugin.name.as_str()) {
                self.limits_of_some.insert(scope);
            }
        }
        let named =
            |consumer: &GatewayConsumer| Some((consumer.username.clone()?, self.refused.get(&consumer.id)?.clone()));
        let named: Vec<_> = all.consumers.iter().filter_map(named).collect();
        self.refused.extend(named);
    }

    /// Counts the routes that ask who calls, once for all services that will be compared.
    fn count_asking(&mut self) {
        let mut by_plugin: BTreeMap<&str, usize> = BTreeMap::new();
        let mut asking: BTreeMap<String, Asking> = BTreeMap::new();
        let mut in_all = Asking::default();
        for route in &self.snapshot.configuration.routes {
            let Some(service) = &route.service_id else { continue };
            let counts = asking.entry(service.clone()).or_default();
            counts.all += 1;
            let plugin = self.authentication(route).next();
            counts.asking += usize::from(plugin.is_some());
            in_all.all += 1;
            in_all.asking += usize::from(plugin.is_some());
            if let Some(plugin) = plugin {
                *by_plugin.entry(plugin.name.as_str()).or_default() += 1;
            }
        }
        let usual = by_plugin.into_iter().max_by_key(|(name, routes)| (*routes, std::cmp::Reverse(*name)));
        self.usual_authentication = usual.map(|(name, _)| name.to_owned());
        (self.asking, self.asking_in_all) = (asking, in_all);
    }

    /// Whether nothing of it was left out, so that what is not in it is not there.
    pub fn is_whole(&self) -> bool {
        !self.is_cut
    }

    pub fn service(&self, id: &str) -> Option<&GatewayService> {
        self.snapshot.configuration.services.get(*self.services.get(id)?)
    }

    pub fn route(&self, id: &str) -> Option<&GatewayRoute> {
        self.snapshot.configuration.routes.get(*self.routes.get(id)?)
    }

    /// Routes to a service, in the order of their ids.
    pub fn routes_of(&self, service: &str) -> impl Iterator<Item = &GatewayRoute> {
        let routes = self.of_service.get(service).map_or(&[][..], Vec::as_slice);
        routes.iter().filter_map(|&at| self.snapshot.configuration.routes.get(at))
    }

    /// Plugins in force for everybody who comes by a route, the most specific of each name, by name.
    pub fn in_force(&self, route: &GatewayRoute) -> Vec<&GatewayPlugin> {
        let mut found: Vec<&GatewayPlugin> = Vec::new();
        for scope in scopes(route) {
            for &at in self.plugins.get(&scope).into_iter().flatten() {
                let Some(plugin) = self.snapshot.configuration.plugins.get(at) else { continue };
                if !found.iter().any(|more_specific| more_specific.name == plugin.name) {
                    found.push(plugin);
                }
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        found
    }

    /// Those of them that ask who calls.
    pub fn authentication(&self, route: &GatewayRoute) -> impl Iterator<Item = &GatewayPlugin> {
        self.in_force(route).into_iter().filter(|plugin| AUTHENTICATION.contains(&plugin.name.as_str()))
    }

    /// Whether one of them refuses every call.
    pub fn is_terminated(&self, route: &GatewayRoute) -> bool {
        self.in_force(route).iter().any(|plugin| plugin.name == TERMINATION)
    }

    /// Whether every call of a consumer by a route is refused, by its id or name.
    pub fn refuses(&self, consumer: &str, route: &GatewayRoute) -> bool {
        let refused = self.refused.get(consumer).map(Vec::as_slice).unwrap_or_default();
        scopes(route).iter().any(|scope| refused.contains(scope))
    }

    /// Whether something limits how often somebody calls: for everybody, or for consumers where nobody else gets in.
    pub fn is_limited(&self, route: &GatewayRoute) -> bool {
        if self.in_force(route).iter().any(|plugin| RATE_LIMITING.contains(&plugin.name.as_str())) {
            return true;
        }
        let has_limits_of_some = scopes(route).iter().any(|scope| self.limits_of_some.contains(scope));
        has_limits_of_some && self.authentication(route).any(|plugin| anonymous(plugin).is_none())
    }

    /// Of the routes to other services those that ask who calls, and how many there are.
    pub fn asking_beside(&self, service: &str) -> (usize, usize) {
        let own = self.asking.get(service).copied().unwrap_or_default();
        (self.asking_in_all.asking - own.asking, self.asking_in_all.all - own.all)
    }

    /// The plugin by which most routes ask who calls.
    pub fn usual_authentication(&self) -> Option<&str> {
        self.usual_authentication.as_deref()
    }

    /// The routes to a service as documents are compared with; none where nothing is known of them.
    pub fn routes_read(&self, service: &str) -> Option<RoutesRead> {
        let routes: Vec<Route> = self.routes_of(service).map(Route::from).collect();
        let is_known = !routes.is_empty() || self.service(service).is_some();
        is_known.then(|| RoutesRead { routes, since_ms: self.routes_since_ms, are_all: self.is_whole() })
    }

    pub fn credentials(&self) -> &[GatewayCredential] {
        &self.snapshot.configuration.credentials
    }
}

/// What a plugin may be for to act on a route, the most specific first: the route and the service, empty for all.
fn scopes(route: &GatewayRoute) -> Vec<(String, String)> {
    let service = route.service_id.clone().unwrap_or_default();
    let mut scopes = vec![
        (route.id.clone(), service.clone()),
        (route.id.clone(), String::new()),
        (String::new(), service),
        (String::new(), String::new()),
    ];
    scopes.dedup();
    scopes
}

/// Whether of these plugins one lets named addresses alone through.
pub(crate) fn is_for_named_addresses(plugins: &[&GatewayPlugin]) -> bool {
    plugins.iter().any(|plugin| match &plugin.settings {
        Some(PluginSettings::IpRestriction(settings)) => settings.allow.as_ref().is_some_and(|allow| !allow.is_empty()),
        _ => false,
    })
}

/// The consumer that calls without a credential count as, where a plugin lets them in.
pub(crate) fn anonymous(plugin: &GatewayPlugin) -> Option<&str> {
    let anonymous = match plugin.settings.as_ref()? {
        PluginSettings::KeyAuth(settings) => &settings.anonymous,
        PluginSettings::BasicAuth(settings) => &settings.anonymous,
        PluginSettings::Jwt(settings) => &settings.anonymous,
        PluginSettings::HmacAuth(settings) => &settings.anonymous,
        _ => return None,
    };
    anonymous.as_deref().filter(|consumer| !consumer.is_empty())
}

/// A route, for people.
pub(crate) fn route_name(route: &GatewayRoute) -> &str {
    route.name.as_deref().unwrap_or(&route.id)
}
