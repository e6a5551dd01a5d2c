//! Whose calls come to a collector, from all TCP Log plugins of the gateway. Pure.
//!
//! Kong runs one TCP Log plugin for a call, the one with the most specific scope; a plugin that is switched off takes
//! nothing. So for each route there is one that counts, and it sends the calls here, elsewhere or nowhere. A call that
//! matches no route meets only the plugin for everything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::log_plugin::{LOG_TAG, TCP_LOG, installation_log_tag, lua_quoted};
use super::wire::{Plugin, Reference, Route, Service};

/// Where a collector takes a gateway's lines.
#[derive(Clone, PartialEq, Eq)]
pub struct LogSource {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The field of each line that proves where it comes from, and its value; `None` where none is asked for.
    pub secret: Option<(String, String)>,
}

impl std::fmt::Debug for LogSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let field = self.secret.as_ref().map(|(field, _)| field);
        f.debug_struct("LogSource").field("listen", &self.listen).field("field", &field).finish()
    }
}

/// A gateway's log plugins, as a collector sees them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogView {
    /// All TCP Log plugins.
    pub plugins: Vec<LogPlugin>,
    /// Calls that do not come here, by place.
    pub unseen: Vec<UnseenCalls>,
    /// Services with at least one route all of whose calls come here, by name. Calls of a consumer that has a log plugin of
    /// its own do not count against it.
    pub seen_services: Vec<String>,
    /// Calls that match no route come here: scans of a whole address space, for instance.
    pub sees_unrouted: bool,
}

/// A TCP Log plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPlugin {
    /// Its id.
    pub id: String,
    /// What it is for, for people.
    pub place: String,
    /// Whose it is.
    pub owner: LogOwner,
    /// Switched off, it does nothing.
    pub is_enabled: bool,
    /// Where it sends the lines.
    pub host: String,
    /// The port there.
    pub port: u16,
    /// It speaks TLS there.
    pub is_tls: bool,
    /// Its host and port are those of one of the sources, as far as can be told from the gateway.
    pub is_for_here: bool,
    /// How it is with the source's secret.
    pub secret: SecretSeen,
}

impl LogPlugin {
    /// Its lines can be read by one of the sources, which speak no TLS.
    pub fn comes_here(&self) -> bool {
        self.is_enabled && self.is_for_here && !self.is_tls
    }
}

/// Who made a log plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOwner {
    /// This installation, by its tag.
    Ours,
    /// Another installation, with its tag.
    OtherInstallation(String),
    /// Somebody else.
    Foreign,
}

/// How a log plugin is with the secret of the source that it sends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretSeen {
    /// The source asks for none.
    NotWanted,
    /// The lines carry it.
    Right,
    /// The lines carry none.
    Missing,
    /// The lines carry another value, or an expression that is no constant.
    Wrong,
}

/// Calls that do not come here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnseenCalls {
    /// Whose, for people.
    pub place: String,
    /// The plugin that takes them elsewhere; `None` where no log plugin takes them.
    pub taken_by: Option<String>,
}

/// Views the log of a gateway from its sources.
pub fn view_log(
    installation: &str,
    sources: &[LogSource],
    plugins: &[Plugin],
    services: &[Service],
    routes: &[Route],
) -> LogView {
    let names = Names::new(services, routes);
    let tag = installation_log_tag(installation);
    let plugins: Vec<&Plugin> = plugins.iter().filter(|plugin| plugin.name == TCP_LOG).collect();
    let seen: Vec<LogPlugin> = plugins.iter().map(|plugin| describe(plugin, &tag, sources, &names)).collect();
    let mut winners = Winners::default();
    let mut unseen = Vec::new();
    for (plugin, described) in plugins.iter().zip(&seen).filter(|(plugin, _)| plugin.enabled) {
        if plugin.consumer.is_none() && plugin.consumer_group.is_none() {
            winners.0.insert((id(&plugin.route), id(&plugin.service)), described);
        } else if !described.comes_here() {
            unseen.push(UnseenCalls { place: described.place.clone(), taken_by: Some(described.id.clone()) });
        }
    }
    let mut by_service: BTreeMap<Option<&str>, Vec<(&Route, Option<&LogPlugin>)>> = BTreeMap::new();
    for route in routes {
        by_service.entry(id(&route.service)).or_default().push((route, winners.of(route)));
    }
    let mut seen_services = Vec::new();
    for (service, routes) in by_service {
        let mut blind =
            routes.iter().filter(|(_, plugin)| !plugin.is_some_and(|plugin| plugin.comes_here())).peekable();
        let takers: BTreeSet<_> = routes.iter().map(|(_, plugin)| plugin.map(|plugin| &plugin.id)).collect();
        match (service, blind.peek()) {
            (None, None) => {}
            (Some(service), None) => seen_services.push(names.service(service).to_owned()),
            // One plugin takes all of the service.
            (Some(service), Some((_, taker))) if takers.len() == 1 => unseen.push(UnseenCalls {
                place: format!("service `{}`", names.service(service)),
                taken_by: taker.map(|plugin| plugin.id.clone()),
            }),
            _ => unseen.extend(blind.map(|(route, taker)| UnseenCalls {
                place: names.place(Some(&route.id), service),
                taken_by: taker.map(|plugin| plugin.id.clone()),
            })),
        }
    }
    let sees_unrouted = winners.0.get(&(None, None)).is_some_and(|plugin| plugin.comes_here());
    LogView { plugins: seen, unseen, seen_services, sees_unrouted }
}

/// The plugins that are for everybody, by route and service.
#[derive(Default)]
struct Winners<'p>(BTreeMap<(Option<&'p str>, Option<&'p str>), &'p LogPlugin>);

impl<'p> Winners<'p> {
    /// The plugin that logs the calls of a route, by Kong's order of scopes.
    fn of(&self, route: &Route) -> Option<&'p LogPlugin> {
        let (route, service) = (Some(route.id.as_str()), id(&route.service));
        let with_service = [(route, service), (route, None), (None, service), (None, None)];
        with_service.iter().find_map(|scope| self.0.get(scope).copied())
    }
}

fn describe(plugin: &Plugin, tag: &str, sources: &[LogSource], names: &Names<'_>) -> LogPlugin {
    let host = plugin.config["host"].as_str().unwrap_or_default().to_owned();
    let port = plugin.config["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    let is_tls = plugin.config["tls"].as_bool().unwrap_or(false);
    let other = plugin.tags.iter().find(|tag| tag.strip_prefix(LOG_TAG).is_some_and(|rest| rest.starts_with(':')));
    let owner = match other {
        _ if plugin.tags.iter().any(|one| one == tag) => LogOwner::Ours,
        Some(tag) => LogOwner::OtherInstallation(tag.clone()),
        None => LogOwner::Foreign,
    };
    let by_port = sources.iter().find(|source| source.listen.port() == port);
    // Ours goes where `kong setup` was told, under a name that we need not understand. Of another one with the same port
    // only those are meant for us that could arrive.
    let target = by_port.filter(|source| owner == LogOwner::Ours || could_arrive(&host, source.listen.ip()));
    let secret = target.or(sources.first()).and_then(|source| source.secret.as_ref());
    LogPlugin {
        id: plugin.id.clone(),
        place: match (&plugin.consumer, &plugin.consumer_group) {
            (Some(consumer), _) => format!("consumer {}", consumer.id),
            (None, Some(group)) => format!("consumer group {}", group.id),
            (None, None) => names.place(id(&plugin.route), id(&plugin.service)),
        },
        owner,
        is_enabled: plugin.enabled,
        is_for_here: target.is_some(),
        secret: secret.map_or(SecretSeen::NotWanted, |(field, value)| see_secret(plugin, field, value)),
        host,
        port,
        is_tls,
    }
}

/// A source on loopback is reached only by who calls it so.
fn could_arrive(host: &str, listen: IpAddr) -> bool {
    let is_loopback =
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback());
    is_loopback || !listen.to_canonical().is_loopback()
}

fn see_secret(plugin: &Plugin, field: &str, value: &str) -> SecretSeen {
    let expression = match plugin.config["custom_fields_by_lua"].get(field) {
        None | Some(Value::Null) => return SecretSeen::Missing,
        Some(expression) => expression.as_str().unwrap_or_default(),
    };
    let constant = expression.trim().strip_prefix("return").map(|rest| rest.trim().trim_end_matches(';').trim_end());
    let double = format!("\"{}\"", lua_quoted(value));
    let single = format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
    let is_right = constant.is_some_and(|constant| constant == double || constant == single);
    if is_right { SecretSeen::Right } else { SecretSeen::Wrong }
}

/// Names for people.
struct Names<'n> {
    services: BTreeMap<&'n str, &'n str>,
    routes: BTreeMap<&'n str, &'n str>,
}

impl<'n> Names<'n> {
    fn new(services: &'n [Service], routes: &'n [Route]) -> Self {
        let services = services.iter().filter_map(|service| Some((service.id.as_str(), service.name.as_deref()?)));
        let routes = routes.iter().filter_map(|route| Some((route.id.as_str(), route.name.as_deref()?)));
        Names { services: services.collect(), routes: routes.collect() }
    }

    fn service<'s>(&'s self, id: &'s str) -> &'s str {
        self.services.get(id).copied().unwrap_or(id)
    }

    fn place(&self, route: Option<&str>, service: Option<&str>) -> String {
        let route = route.map(|id| format!("route `{}`", self.routes.get(id).copied().unwrap_or(id)));
        let service = service.map(|id| format!("service `{}`", self.service(id)));
        match (route, service) {
            (Some(route), Some(service)) => format!("{route} of {service}"),
            (Some(place), None) | (None, Some(place)) => place,
            (None, None) => "everything".to_owned(),
        }
    }
}

fn id(reference: &Option<Reference>) -> Option<&str> {
    reference.as_ref().map(|reference| reference.id.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PORT: u16 = 9514;

    fn sources() -> Vec<LogSource> {
        let secret = Some(("outrider_key".to_owned(), "s3cr\"t".to_owned()));
        vec![LogSource { listen: SocketAddr::from(([127, 0, 0, 1], PORT)), secret }]
    }

    /// Two routes of a shop, one of a bank, one of no service.
    fn view(plugins: &[Value]) -> LogView {
        let read = |documents: &[Value]| -> Vec<Plugin> {
            documents.iter().map(|document| serde_json::from_value(document.clone()).unwrap()).collect()
        };
        let services: Vec<Service> = serde_json::from_value(json!([
            {"id": "s1", "name": "shop"}, {"id": "s2"}, {"id": "s3", "name": "without-routes"}
        ]))
        .unwrap();
        let routes: Vec<Route> = serde_json::from_value(json!([
            {"id": "r1", "name": "items", "service": {"id": "s1"}}, {"id": "r2", "service": {"id": "s1"}},
            {"id": "r3", "service": {"id": "s2"}}, {"id": "r4", "name": "bare", "service": null}
        ]))
        .unwrap();
        view_log("home", &sources(), &read(plugins), &services, &routes)
    }

    fn plugin(id: &str, host: &str, port: u16, more: Value) -> Value {
        let mut document = json!({"id": id, "name": "tcp-log", "enabled": true, "tags": null,
            "config": {"host": host, "port": port, "tls": false, "custom_fields_by_lua": null}});
        for (key, value) in more.as_object().unwrap() {
            document[key] = value.clone();
        }
        document
    }

    fn here(id: &str, more: Value) -> Value {
        plugin(id, "127.0.0.1", PORT, more)
    }

    fn elsewhere(id: &str, more: Value) -> Value {
        plugin(id, "logstash", 5000, more)
    }

    #[test]
    fn the_most_specific_plugin_that_is_on_decides() {
        let service = |id: &str| json!({"service": {"id": id}});
        let route = |id: &str| json!({"route": {"id": id}});
        let all = "service `s2`, service `shop`, route `bare`";
        let cases: Vec<(&str, Vec<Value>, &str, bool)> = vec![
            ("nothing", vec![], all, false),
            ("everything", vec![here("a", json!({}))], "", true),
            ("everything elsewhere", vec![elsewhere("f", json!({}))], all, false),
            ("off", vec![here("a", json!({"enabled": false}))], all, false),
            (
                "TLS",
                vec![plugin(
                    "a",
                    "127.0.0.1",
                    PORT,
                    json!({"config": {"host": "127.0.0.1", "port": PORT, "tls": true}}),
                )],
                all,
                false,
            ),
            ("a service elsewhere", vec![here("a", json!({})), elsewhere("f", service("s1"))], "service `shop`", true),
            (
                "it is off",
                vec![here("a", json!({})), elsewhere("f", json!({"service": {"id": "s1"}, "enabled": false}))],
                "",
                true,
            ),
            (
                "a route elsewhere",
                vec![here("a", json!({})), elsewhere("f", route("r1"))],
                "route `items` of service `shop`",
                true,
            ),
            (
                "a route here",
                vec![elsewhere("f", json!({})), here("a", route("r4"))],
                "service `s2`, service `shop`",
                false,
            ),
            (
                "a route of a service before the route",
                vec![
                    here("a", json!({})),
                    here("b", json!({"route": {"id": "r2"}, "service": {"id": "s1"}})),
                    elsewhere("f", route("r2")),
                ],
                "",
                true,
            ),
            (
                "a consumer elsewhere",
                vec![here("a", json!({})), elsewhere("f", json!({"consumer": {"id": "c"}}))],
                "consumer c",
                true,
            ),
            ("a consumer here", vec![here("a", json!({})), here("f", json!({"consumer": {"id": "c"}}))], "", true),
        ];
        for (name, plugins, unseen, sees_unrouted) in cases {
            let view = view(&plugins);
            let mut places: Vec<_> = view.unseen.iter().map(|calls| calls.place.as_str()).collect();
            places.sort_by_key(|place| (!place.starts_with("service"), *place));
            assert_eq!(places.join(", "), unseen, "{name}");
            assert_eq!(view.sees_unrouted, sees_unrouted, "{name}");
            let is_shop_blind = places.iter().any(|place| place.contains("shop"));
            assert_eq!(view.seen_services.contains(&"shop".to_owned()), !is_shop_blind, "{name}");
        }
        let taken = view(&[elsewhere("f", service("s1"))]);
        assert!(taken.unseen.iter().any(|calls| calls.taken_by.as_deref() == Some("f")));
        assert!(taken.unseen.iter().any(|calls| calls.taken_by.is_none()), "nobody logs the others");
    }

    #[test]
    fn whose_a_plugin_is_and_where_it_sends_is_told() {
        let tagged = |tag: &str| json!({"tags": ["outrider-log", tag]});
        let cases = [
            (plugin("a", "collector", PORT, tagged("outrider-log:home")), LogOwner::Ours, true),
            (plugin("a", "collector", 1, tagged("outrider-log:home")), LogOwner::Ours, false),
            (plugin("a", "collector", PORT, json!({})), LogOwner::Foreign, false),
            (plugin("a", "localhost", PORT, json!({})), LogOwner::Foreign, true),
            (plugin("a", "::1", PORT, json!({"tags": ["mine"]})), LogOwner::Foreign, true),
            (
                plugin("a", "127.0.0.1", PORT, tagged("outrider-log:there")),
                LogOwner::OtherInstallation("outrider-log:there".to_owned()),
                true,
            ),
        ];
        for (document, owner, comes_here) in cases {
            let seen = &view(std::slice::from_ref(&document)).plugins[0];
            assert_eq!((&seen.owner, seen.comes_here()), (&owner, comes_here), "{document}");
        }
    }

    #[test]
    fn a_secret_counts_as_a_constant_only() {
        for (fields, expected) in [
            (json!(null), SecretSeen::Missing),
            (json!({}), SecretSeen::Missing),
            (json!({"other": "return 1"}), SecretSeen::Missing),
            (json!({"outrider_key": "return \"s3cr\\\"t\""}), SecretSeen::Right),
            (json!({"outrider_key": "  return 's3cr\"t' ;"}), SecretSeen::Right),
            (json!({"outrider_key": "return \"another\""}), SecretSeen::Wrong),
            (json!({"outrider_key": "return kong.request.get_header('s3cr\"t')"}), SecretSeen::Wrong),
            (json!({"outrider_key": ""}), SecretSeen::Wrong),
        ] {
            let mut document = here("a", json!({}));
            document["config"]["custom_fields_by_lua"] = fields.clone();
            assert_eq!(view(&[document]).plugins[0].secret, expected, "{fields}");
        }
        assert!(!format!("{:?}", sources()).contains("s3cr"));
    }
}
