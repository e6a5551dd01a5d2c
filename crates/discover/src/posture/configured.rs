//! A gateway's configuration, and which of its plugins is in force where.
//!
//! Kong runs one configuration per plugin, the most specific (`runloop/plugins_iterator.lua` of Kong 3.9): of those that are
//! for everybody, route and service, then route, then service, then all. One that is switched off stands in nobody's way. Plugins for one
//! consumer or group of consumers say nothing of who gets in, and are left out.

use std::collections::BTreeMap;

use outrider_model::{GatewayCredential, GatewayPlugin, GatewayRoute, GatewayService, GatewaySnapshot, PluginSettings};

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

/// A gateway's configuration, ready to be asked.
#[derive(Debug, Clone)]
pub(crate) struct Configured {
    pub snapshot: GatewaySnapshot,
    /// Something of it was left out, here or where it was read.
    cut: bool,
    services: BTreeMap<String, usize>,
    of_service: BTreeMap<String, Vec<usize>>,
    /// Plugins for everybody by the route and service that they are for, empty for all.
    plugins: BTreeMap<(String, String), Vec<usize>>,
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
        let cut = left_out > 0 || !all.left_out.is_empty();
        let mut configured = Configured {
            cut,
            services: BTreeMap::new(),
            of_service: BTreeMap::new(),
            plugins: BTreeMap::new(),
            snapshot,
        };
        configured.index();
        (configured, left_out as u64)
    }

    fn index(&mut self) {
        let all = &self.snapshot.configuration;
        self.services = all.services.iter().enumerate().map(|(at, one)| (one.id.clone(), at)).collect();
        for (at, route) in all.routes.iter().enumerate() {
            if let Some(service) = &route.service_id {
                self.of_service.entry(service.clone()).or_default().push(at);
            }
        }
        for (at, plugin) in all.plugins.iter().enumerate() {
            let is_for_everybody = plugin.consumer_id.is_none() && plugin.consumer_group_id.is_none();
            if plugin.enabled && is_for_everybody {
                let scope = |id: &Option<String>| id.clone().unwrap_or_default();
                self.plugins.entry((scope(&plugin.route_id), scope(&plugin.service_id))).or_default().push(at);
            }
        }
    }

    /// Whether nothing of it was left out, so that what is not in it is not there.
    pub fn is_whole(&self) -> bool {
        !self.cut
    }

    pub fn service(&self, id: &str) -> Option<&GatewayService> {
        self.snapshot.configuration.services.get(*self.services.get(id)?)
    }

    /// Routes to a service, in the order of their ids.
    pub fn routes_of(&self, service: &str) -> impl Iterator<Item = &GatewayRoute> {
        let routes = self.of_service.get(service).map_or(&[][..], Vec::as_slice);
        routes.iter().filter_map(|&at| self.snapshot.configuration.routes.get(at))
    }

    /// Plugins in force for everybody who comes by a route, the most specific of each name, by name.
    pub fn in_force(&self, route: &GatewayRoute) -> Vec<&GatewayPlugin> {
        let service = route.service_id.as_deref().unwrap_or_default();
        let mut scopes = vec![(route.id.as_str(), service), (route.id.as_str(), ""), ("", service), ("", "")];
        scopes.dedup();
        let mut found: Vec<&GatewayPlugin> = Vec::new();
        for (route, service) in scopes {
            for &at in self.plugins.get(&(route.to_owned(), service.to_owned())).into_iter().flatten() {
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

    pub fn credentials(&self) -> &[GatewayCredential] {
        &self.snapshot.configuration.credentials
    }
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
