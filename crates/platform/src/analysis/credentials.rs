//! Which plugin of a gateway checks a credential, as its configuration said last.
//!
//! The configuration lists credentials with the plugin that each is for. One that is newer than the configuration, or that the gateway
//! does not keep, such as a token of somebody else, is not in it; then it is the plugin that is in force for the call, where that is one
//! alone. Kong runs every plugin by its name once, with the configuration of the most specific scope: route and service, route,
//! service, everywhere. Which of them that is makes no difference to what is checked, so a plugin is in force where any scope of it
//! takes the call; one that is switched off hides none (recorded from a running Kong).

use std::collections::{BTreeMap, BTreeSet};

use outrider_discover::inventory::{CheckedBy, is_authentication};
use outrider_model::{ApiCall, GatewayPlugin, GatewaySnapshot};
use serde::{Deserialize, Serialize};

/// Credentials of one gateway that are remembered; one more is of no known kind. At about 100 bytes each.
const CREDENTIALS_MAX: usize = 200_000;

/// Plugins of one gateway that check credentials. Where there are more, none is taken for the only one.
const PLUGINS_MAX: usize = 20_000;

/// By gateway, the kinds of credentials by their ids.
pub(super) type Kinds = BTreeMap<String, BTreeMap<Box<str>, Box<str>>>;

/// What the configurations of gateways say of credentials.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct CredentialKinds {
    kinds: Kinds,
    /// Of those gateways of which all plugins are known.
    plugins: BTreeMap<String, Plugins>,
}

/// The plugins of a gateway that check credentials and are switched on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Plugins {
    everywhere: BTreeSet<Box<str>>,
    of_service: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
    of_route: BTreeMap<Box<str>, Vec<OfRoute>>,
}

/// A plugin of one route; where a service is named, of that alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OfRoute {
    service: Option<Box<str>>,
    name: Box<str>,
}

impl CredentialKinds {
    /// Takes in what a gateway is configured to do, in the place of what it was before.
    pub(super) fn take_in(&mut self, snapshot: &GatewaySnapshot) {
        let configuration = &snapshot.configuration;
        let credentials = configuration.credentials.iter().take(CREDENTIALS_MAX);
        let kinds = credentials.map(|one| (one.id.as_str().into(), one.kind.as_str().into())).collect();
        self.kinds.insert(snapshot.gateway.clone(), kinds);
        let checking = configuration.plugins.iter().filter(|plugin| is_checking(plugin));
        let are_all = configuration.left_out.iter().all(|list| list.list != "plugins")
            && checking.clone().nth(PLUGINS_MAX).is_none();
        match are_all {
            true => self.plugins.insert(snapshot.gateway.clone(), Plugins::of(checking)),
            false => self.plugins.remove(&snapshot.gateway),
        };
    }

    /// What has checked the credential of a call.
    pub(super) fn of(&self, call: &ApiCall<'_>) -> CheckedBy<'_> {
        let Some(known) = self.kinds.get(&*call.gateway) else { return CheckedBy::NotRead };
        let listed = call.credential_id.as_ref().and_then(|id| known.get(&**id)).map(|kind| &**kind);
        let only = || self.plugins.get(&*call.gateway)?.only(call);
        listed.or_else(only).map_or(CheckedBy::Untold, CheckedBy::Plugin)
    }
}

/// What a snapshot held before plugins were known.
impl From<Kinds> for CredentialKinds {
    fn from(kinds: Kinds) -> Self {
        CredentialKinds { kinds, plugins: BTreeMap::new() }
    }
}

/// Whether a plugin checks the credentials of all who call. Kong has none that does for one consumer.
fn is_checking(plugin: &GatewayPlugin) -> bool {
    let is_for_all = plugin.consumer_id.is_none() && plugin.consumer_group_id.is_none();
    plugin.enabled && is_for_all && is_authentication(&plugin.name)
}

impl Plugins {
    fn of<'p>(checking: impl Iterator<Item = &'p GatewayPlugin>) -> Self {
        let mut plugins = Plugins::default();
        for plugin in checking {
            let name: Box<str> = plugin.name.as_str().into();
            match (plugin.route_id.as_deref(), plugin.service_id.as_deref()) {
                (Some(route), service) => {
                    let of_route = plugins.of_route.entry(route.into()).or_default();
                    of_route.push(OfRoute { service: service.map(Into::into), name });
                }
                (None, Some(service)) => {
                    plugins.of_service.entry(service.into()).or_default().insert(name);
                }
                (None, None) => {
                    plugins.everywhere.insert(name);
                }
            }
        }
        plugins
    }

    /// The plugin that checks the credential of a call, where there is one alone.
    fn only(&self, call: &ApiCall<'_>) -> Option<&str> {
        let service = call.service.as_ref().map(|service| &*service.id);
        let of_service = service.and_then(|id| self.of_service.get(id));
        let of_route = call.route.as_ref().and_then(|route| self.of_route.get(&*route.id));
        let is_of_it = |plugin: &&OfRoute| plugin.service.as_deref().is_none_or(|id| Some(id) == service);
        let of_route = of_route.into_iter().flatten().filter(is_of_it).map(|plugin| &*plugin.name);
        let others = self.everywhere.iter().chain(of_service.into_iter().flatten()).map(|name| &**name);
        let mut in_force = others.chain(of_route);
        let first = in_force.next()?;
        in_force.all(|name| name == first).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use outrider_model::{GatewayConfiguration, GatewayCredential, LeftOut, Named, Text};

    use super::*;
    use crate::enrich::tests::call;

    /// A plugin that is switched on, as `name`, `name@service`, `name@/route` or `name@service/route`.
    fn plugin(written: &str) -> GatewayPlugin {
        let (name, scope) = written.split_once('@').unwrap_or((written, ""));
        let (service, route) = scope.split_once('/').map_or((scope, ""), |(service, route)| (service, route));
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        GatewayPlugin {
            id: written.to_owned(),
            name: name.to_owned(),
            instance_name: None,
            enabled: true,
            service_id: some(service),
            route_id: some(route),
            consumer_id: None,
            consumer_group_id: None,
            protocols: Vec::new(),
            tags: Vec::new(),
            created_ms: None,
            settings: None,
        }
    }

    fn kinds(plugins: Vec<GatewayPlugin>, left_out: Vec<LeftOut>) -> CredentialKinds {
        let (id, kind) = ("listed".to_owned(), "hmac-auth".to_owned());
        let credential = GatewayCredential { id, kind, consumer_id: None, tags: Vec::new(), created_ms: None };
        let configuration = GatewayConfiguration {
            plugins,
            credentials: vec![credential],
            left_out,
            ..GatewayConfiguration::default()
        };
        let mut kinds = CredentialKinds::default();
        kinds.take_in(&GatewaySnapshot { gateway: "kong".to_owned(), taken_ms: 1, configuration });
        kinds
    }

    /// A call with a credential to the service `s` by the route `r`.
    fn call_with(credential: &str) -> ApiCall<'_> {
        let named = |id| Some(Named { id: Text::from(id), name: Text::EMPTY });
        ApiCall { credential_id: Some(credential.into()), service: named("s"), route: named("r"), ..call("/") }
    }

    #[test]
    fn a_credential_that_is_not_listed_is_of_the_one_plugin_that_is_in_force() {
        use CheckedBy::{Plugin, Untold};
        let cases: [(&[&str], CheckedBy<'_>); 15] = [
            (&[], Untold),
            (&["key-auth"], Plugin("key-auth")),
            (&["jwt@s"], Plugin("jwt")),
            (&["jwt@/r"], Plugin("jwt")),
            (&["jwt@s/r"], Plugin("jwt")),
            (&["jwt@t", "jwt@/q", "jwt@t/r", "jwt@s/q"], Untold),
            // The more specific of one name is the one that runs.
            (&["jwt", "jwt@s", "jwt@/r", "jwt@s/r"], Plugin("jwt")),
            // Those of other names run beside it, wherever they are.
            (&["key-auth", "jwt@s"], Untold),
            (&["key-auth", "jwt@/r"], Untold),
            (&["key-auth@s", "jwt@s/r"], Untold),
            (&["key-auth@s", "jwt@t", "basic-auth@/q"], Plugin("key-auth")),
            // What else runs checks nobody.
            (&["openid-connect", "acl", "rate-limiting@s", "request-termination@/r"], Plugin("openid-connect")),
            // Of this no kind is known, and it may be the one.
            (&["key-auth", "saml@s"], Untold),
            (&["saml"], Plugin("saml")),
            (&["my-own-plugin"], Untold),
        ];
        for (plugins, expected) in cases {
            let kinds = kinds(plugins.iter().map(|written| plugin(written)).collect(), vec![]);
            assert_eq!(kinds.of(&call_with("new")), expected, "{plugins:?}");
            assert_eq!(kinds.of(&call_with("listed")), Plugin("hmac-auth"), "{plugins:?}");
        }
    }

    #[test]
    fn what_is_not_in_force_or_not_read_is_no_plugin() {
        let off = GatewayPlugin { enabled: false, ..plugin("key-auth@s") };
        let of_consumer = GatewayPlugin { consumer_id: Some("a".to_owned()), ..plugin("basic-auth") };
        let known = kinds(vec![plugin("jwt"), off, of_consumer], vec![]);
        assert_eq!(known.of(&call_with("new")), CheckedBy::Plugin("jwt"));
        let elsewhere = ApiCall { gateway: "edge".into(), ..call_with("new") };
        assert_eq!(known.of(&elsewhere), CheckedBy::NotRead);
        let other = LeftOut { list: "consumers".to_owned(), why: String::new() };
        assert_eq!(kinds(vec![plugin("jwt")], vec![other]).of(&call_with("new")), CheckedBy::Plugin("jwt"));
        // There may be another one.
        let left_out = LeftOut { list: "plugins".to_owned(), why: String::new() };
        assert_eq!(kinds(vec![plugin("jwt")], vec![left_out]).of(&call_with("new")), CheckedBy::Untold);
        let many = (0..PLUGINS_MAX).map(|at| plugin(&format!("jwt@s{at}"))).chain([plugin("jwt")]).collect();
        assert_eq!(kinds(many, vec![]).of(&call_with("new")), CheckedBy::Untold);
    }
}
