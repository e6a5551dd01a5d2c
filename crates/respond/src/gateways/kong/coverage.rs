//! Where a plugin of ours does not bite (decision 18). Pure.
//!
//! Kong runs one configuration per plugin, the most specific: route + service + consumer, route + consumer,
//! service + consumer, route + service, consumer, route, service, global (`runloop/plugins_iterator.lua` of Kong 3.9).
//! Where an operator's own plugin of the same name is more specific, it wins; and where an authentication plugin lets a
//! call without a valid key in as an `anonymous` consumer, a restricted consumer comes back without its key.
//!
//! A block of ours never weakens what it replaces: it refuses every call. What a limit of ours replaces is judged in
//! [`super::limits`]. Consumer groups (Enterprise) are not judged here.

use std::collections::BTreeMap;

use super::plan::is_own;
use super::wire::{Plugin, PluginScope, RATE_LIMITING, REQUEST_TERMINATION, Route, Service};

/// Plugins of others that a survey keeps. What is beyond is not judged, and counted.
pub const FOREIGN_PLUGINS_MAX: usize = 20_000;

/// Places that one action lists; the rest is a number.
const PLACES_MAX: usize = 20;

/// What others configured at the gateway that bears on our blocks and limits.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    of_consumers: BTreeMap<String, Vec<Plugin>>,
    of_everybody: Vec<Plugin>,
    routes: BTreeMap<String, Route>,
    services: BTreeMap<String, String>,
    /// Routes and services were looked at too. Without them any route may be of any service.
    pub(super) has_places: bool,
    /// Plugins that were not kept, because there are more than [`FOREIGN_PLUGINS_MAX`].
    pub left_out: usize,
}

/// It bears on our plugins: it does the same itself, or lets callers in as somebody else.
pub fn is_relevant(plugin: &Plugin) -> bool {
    let does_the_same = plugin.name == REQUEST_TERMINATION || plugin.name == RATE_LIMITING;
    plugin.enabled && (does_the_same || anonymous(plugin).is_some())
}

fn anonymous(plugin: &Plugin) -> Option<&str> {
    plugin.config.get("anonymous")?.as_str().filter(|consumer| !consumer.is_empty())
}

fn trigger(plugin: &Plugin) -> Option<&str> {
    plugin.config.get("trigger")?.as_str().filter(|trigger| !trigger.is_empty())
}

pub(super) fn service_of(plugin: &Plugin) -> Option<&str> {
    plugin.service.as_ref().map(|service| service.id.as_str())
}

pub(super) fn route_of(plugin: &Plugin) -> Option<&str> {
    plugin.route.as_ref().map(|route| route.id.as_str())
}

impl Survey {
    /// A survey of everything.
    pub fn new(installation: &str, plugins: Vec<Plugin>, routes: Vec<Route>, services: Vec<Service>) -> Self {
        let named = services.into_iter().filter_map(|service| Some((service.id, service.name?)));
        Survey {
            routes: routes.into_iter().map(|route| (route.id.clone(), route)).collect(),
            services: named.collect(),
            has_places: true,
            ..Survey::without_places(installation, plugins)
        }
    }

    /// A survey of the plugins alone, where it does not matter which route is of which service.
    pub fn without_places(installation: &str, plugins: Vec<Plugin>) -> Self {
        let mut survey = Survey::default();
        let mut kept = 0;
        for plugin in plugins {
            if !is_relevant(&plugin) || is_own(installation, &plugin) {
                continue;
            }
            if kept == FOREIGN_PLUGINS_MAX {
                survey.left_out += 1;
                continue;
            }
            kept += 1;
            survey.keep(plugin);
        }
        survey
    }

    fn keep(&mut self, plugin: Plugin) {
        match &plugin.consumer {
            Some(consumer) => self.of_consumers.entry(consumer.id.clone()).or_default().push(plugin),
            None => self.of_everybody.push(plugin),
        }
    }

    /// Some of the plugins are on routes or services, so that those have to be known too.
    pub fn needs_places(installation: &str, plugins: &[Plugin]) -> bool {
        plugins.iter().any(|plugin| {
            is_relevant(plugin) && !is_own(installation, plugin) && (plugin.route.is_some() || plugin.service.is_some())
        })
    }

    /// Takes what the gateway just said of one consumer's plugins.
    pub fn update_consumer(&mut self, installation: &str, consumer_id: &str, plugins: Vec<Plugin>) {
        self.of_consumers.remove(consumer_id);
        for plugin in plugins {
            let full = self.of_consumers.len() >= FOREIGN_PLUGINS_MAX;
            if !full && is_relevant(&plugin) && !is_own(installation, &plugin) {
                self.keep(plugin);
            }
        }
    }

    /// The plugins of others that bear on a consumer.
    pub(super) fn bearing_on(&self, consumer_id: &str) -> impl Iterator<Item = &Plugin> {
        self.of_consumers.get(consumer_id).into_iter().flatten().chain(&self.of_everybody)
    }

    /// A route's service, if it has one; `None` for a route that is not known.
    pub(super) fn service_of_route(&self, route: &str) -> Option<Option<&str>> {
        self.routes.get(route).map(|route| route.service.as_ref().map(|service| service.id.as_str()))
    }

    /// Where a plugin of ours of this name and scope does not bite, for people.
    pub fn not_covered(&self, name: &str, scope: &PluginScope) -> Vec<String> {
        let mut places: Vec<String> = self
            .bearing_on(&scope.consumer_id)
            .filter_map(|plugin| self.beats(plugin, name, scope).or_else(|| self.evades(plugin, scope)))
            .collect();
        places.sort();
        if places.len() > PLACES_MAX {
            let more = places.len() - PLACES_MAX;
            places.truncate(PLACES_MAX);
            places.push(format!("and {more} more"));
        }
        places
    }

    /// An operator's plugin of the same name that is more specific.
    fn beats(&self, plugin: &Plugin, name: &str, scope: &PluginScope) -> Option<String> {
        if plugin.name != name || plugin.consumer_group.is_some() {
            return None;
        }
        let same_consumer = match &plugin.consumer {
            Some(consumer) if consumer.id == scope.consumer_id => true,
            Some(_) => return None,
            None => false,
        };
        let (route, service) = (route_of(plugin), service_of(plugin));
        let wins = match (&scope.service_id, &scope.route_id) {
            (None, None) => {
                (same_consumer && (route.is_some() || service.is_some())) || (route.is_some() && service.is_some())
            }
            (Some(ours), None) => same_consumer && route.is_some_and(|route| self.is_route_of(route, service, ours)),
            (None, Some(ours)) => same_consumer && route == Some(ours) && service.is_some(),
            (Some(_), Some(_)) => false,
        };
        wins.then(|| {
            let does = match trigger(plugin) {
                _ if name == RATE_LIMITING => "sets its own limits".to_owned(),
                None => "refuses every call itself".to_owned(),
                Some(trigger) => format!("lets calls without `{trigger}` through"),
            };
            format!("{}: your own {} {} wins and {does}", self.place(plugin), plugin.name, plugin.id)
        })
    }

    /// An authentication plugin that lets the consumer in without its key.
    fn evades(&self, plugin: &Plugin, scope: &PluginScope) -> Option<String> {
        let consumer = anonymous(plugin)?;
        let concerned = match (route_of(plugin), service_of(plugin), &scope.service_id, &scope.route_id) {
            (None, None, _, _) | (_, _, None, None) => true,
            (Some(route), service, Some(ours), _) => self.is_route_of(route, service, ours),
            (None, Some(service), Some(ours), _) => service == ours,
            (Some(route), _, None, Some(ours)) => route == ours,
            (None, Some(service), None, Some(ours)) => self.is_route_of(ours, None, service),
        };
        if !concerned || consumer == scope.consumer_id || self.refuses_everything(consumer) {
            return None;
        }
        // Kong takes a name for it, too, which may be one that does not leave the premises.
        let named = if uuid::Uuid::try_parse(consumer).is_ok() { format!(" {consumer}") } else { String::new() };
        Some(format!(
            "{}: {} {} lets calls without a valid credential in as anonymous consumer{named}",
            self.place(plugin),
            plugin.name,
            plugin.id
        ))
    }

    /// Many set a termination on the anonymous consumer itself, to combine authentication methods. Nobody gets in there.
    fn refuses_everything(&self, consumer_id: &str) -> bool {
        self.of_consumers.get(consumer_id).into_iter().flatten().any(|plugin| {
            plugin.name == REQUEST_TERMINATION
                && plugin.route.is_none()
                && plugin.service.is_none()
                && trigger(plugin).is_none()
        })
    }

    /// A route that is not known (created since the survey) counts as one of the service: better to list too much.
    pub(super) fn is_route_of(&self, route: &str, plugin_service: Option<&str>, service: &str) -> bool {
        if let Some(plugin_service) = plugin_service {
            return plugin_service == service;
        }
        match self.routes.get(route) {
            Some(Route { service: Some(reference), .. }) => reference.id == service,
            Some(Route { service: None, .. }) => false,
            None => true,
        }
    }

    pub(super) fn place(&self, plugin: &Plugin) -> String {
        let route = route_of(plugin).map(|id| {
            let name = self.routes.get(id).and_then(|route| route.name.as_deref());
            format!("route `{}`", name.unwrap_or(id))
        });
        let service =
            service_of(plugin).map(|id| format!("service `{}`", self.services.get(id).map_or(id, String::as_str)));
        match (route, service) {
            (Some(route), Some(service)) => format!("{route} of {service}"),
            (Some(place), None) | (None, Some(place)) => place,
            (None, None) => "everywhere".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gateways::kong::testing::{ALICE, BOB, INSTALLATION, SHOP, SHOP_ROUTE, foreign, foreign_limit};
    use crate::gateways::kong::wire::Reference;

    const OTHER: &str = "5e000000-0000-4000-8000-000000000002";
    const OTHER_ROUTE: &str = "70000000-0000-4000-8000-000000000002";

    fn survey(plugins: Vec<Plugin>) -> Survey {
        let route = |id: &str, service: &str| Route {
            id: id.to_owned(),
            name: None,
            service: Some(Reference { id: service.to_owned() }),
        };
        Survey::new(INSTALLATION, plugins, vec![route(SHOP_ROUTE, SHOP), route(OTHER_ROUTE, OTHER)], vec![])
    }

    fn scopes() -> [(&'static str, PluginScope); 3] {
        let scope = |service: Option<&str>, route: Option<&str>| PluginScope {
            consumer_id: ALICE.to_owned(),
            service_id: service.map(str::to_owned),
            route_id: route.map(str::to_owned),
        };
        [
            ("consumer", scope(None, None)),
            ("service", scope(Some(SHOP), None)),
            ("route", scope(None, Some(SHOP_ROUTE))),
        ]
    }

    /// The kinds of our blocks that are not covered.
    fn uncovered(plugins: Vec<Plugin>) -> Vec<&'static str> {
        uncovered_by(REQUEST_TERMINATION, plugins)
    }

    fn uncovered_by(name: &str, plugins: Vec<Plugin>) -> Vec<&'static str> {
        let survey = survey(plugins);
        scopes()
            .into_iter()
            .filter(|(_, scope)| !survey.not_covered(name, scope).is_empty())
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn the_more_specific_plugin_wins() {
        let (shop, route) = (Some(SHOP), Some(SHOP_ROUTE));
        type Case<'a> = (&'a str, Option<&'a str>, Option<&'a str>, Option<&'a str>, &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            ("route + service + consumer", Some(ALICE), shop, route, &["consumer", "service", "route"]),
            ("route + consumer", Some(ALICE), None, route, &["consumer", "service"]),
            ("another service's route + consumer", Some(ALICE), None, Some(OTHER_ROUTE), &["consumer"]),
            ("an unknown route + consumer", Some(ALICE), None, Some("new"), &["consumer", "service"]),
            ("service + consumer", Some(ALICE), shop, None, &["consumer"]),
            ("route + service", None, shop, route, &["consumer"]),
            ("consumer", Some(ALICE), None, None, &[]),
            ("another consumer", Some(BOB), shop, route, &[]),
            ("route", None, None, route, &[]),
            ("service", None, shop, None, &[]),
            ("global", None, None, None, &[]),
        ];
        for (name, consumer, service, route, expected) in cases {
            assert_eq!(&uncovered(vec![foreign("f", *consumer, *service, *route)]), expected, "{name}");
            let limiting = foreign_limit("f", *consumer, *service, *route, json!({"minute": 5}));
            assert_eq!(&uncovered_by(RATE_LIMITING, vec![limiting.clone()]), expected, "{name}, a limit");
            assert_eq!(uncovered(vec![limiting]), [""; 0], "{name}, a limit is no termination");
            let mut off = foreign("f", *consumer, *service, *route);
            off.enabled = false;
            assert_eq!(uncovered(vec![off]), [""; 0], "{name}, switched off");
        }
        let mut ours = foreign("f", Some(ALICE), shop, route);
        ours.tags = vec!["outrider".to_owned(), "outrider:home".to_owned()];
        assert_eq!(uncovered(vec![ours]), [""; 0], "ours");
    }

    #[test]
    fn an_anonymous_fallback_lets_the_blocked_in() {
        let auth = |service: Option<&str>, route: Option<&str>, anonymous: serde_json::Value| {
            let mut plugin = foreign("auth", None, service, route);
            plugin.name = "jwt".to_owned();
            plugin.config = json!({"anonymous": anonymous});
            plugin
        };
        let all = ["consumer", "service", "route"];
        assert_eq!(uncovered(vec![auth(None, None, json!(BOB))]), all);
        assert_eq!(uncovered(vec![auth(Some(SHOP), None, json!(BOB))]), all);
        assert_eq!(uncovered(vec![auth(None, Some(SHOP_ROUTE), json!(BOB))]), all);
        assert_eq!(uncovered(vec![auth(Some(OTHER), None, json!(BOB))]), ["consumer"]);
        assert_eq!(uncovered(vec![auth(None, None, json!(null))]), [""; 0]);
        assert_eq!(uncovered(vec![auth(None, None, json!(""))]), [""; 0]);
        assert_eq!(uncovered(vec![auth(None, None, json!(ALICE))]), [""; 0], "the blocked one is the anonymous one");
        let closed = vec![auth(None, None, json!(BOB)), foreign("closed", Some(BOB), None, None)];
        assert_eq!(uncovered(closed), [""; 0], "nobody gets in as the anonymous one");
    }

    #[test]
    fn long_lists_are_cut_and_counted() {
        let many =
            (0..100).map(|n| foreign(&format!("f{n:03}"), Some(ALICE), Some(&format!("s{n:03}")), None)).collect();
        let places = survey(many).not_covered(REQUEST_TERMINATION, &scopes()[0].1);
        assert_eq!((places.len(), places.last().map(String::as_str)), (21, Some("and 80 more")));
        let too_many = (0..FOREIGN_PLUGINS_MAX + 5).map(|n| foreign(&format!("f{n}"), Some(BOB), None, None)).collect();
        assert_eq!(survey(too_many).left_out, 5);
    }
}
