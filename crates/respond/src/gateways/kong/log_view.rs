//! Whose calls come to a collector, from all log plugins of the gateway. Pure.
//!
//! Of each name, TCP Log and HTTP Log, Kong runs one plugin for a call, the one with the most specific scope; a plugin that is
//! switched off takes nothing. So for each route there is one of a name that counts, and it sends the calls here, elsewhere or
//! nowhere. A call that matches no route meets only the plugins for everything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use serde_json::Value;

use super::log_plugin::{LOG_TAG, LogKind, installation_log_tag, lua_quoted};
use super::wire::{Plugin, Reference, Route, Service};

/// Where a collector takes a gateway's lines.
#[derive(Clone, PartialEq, Eq)]
pub struct LogSource {
    /// By which plugin.
    pub kind: LogKind,
    /// Where it listens.
    pub listen: SocketAddr,
    /// It speaks TLS there, and nothing else.
    pub is_tls: bool,
    /// What proves where lines come from, and its value: a field of each line for TCP Log, a header of each request for HTTP
    /// Log; `None` where nothing is asked for.
    pub secret: Option<(String, String)>,
}

impl std::fmt::Debug for LogSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LogSource { kind, listen, is_tls, secret } = self;
        let proof = secret.as_ref().map(|(name, _)| name);
        let mut shown = f.debug_struct("LogSource");
        shown.field("kind", kind).field("listen", listen).field("is_tls", is_tls).field("proof", &proof).finish()
    }
}

/// A gateway's log plugins, as a collector sees them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogView {
    /// All log plugins of the kinds that there are sources for, and what else is ours.
    pub plugins: Vec<LogPlugin>,
    /// Calls that do not come here, by place.
    pub unseen: Vec<UnseenCalls>,
    /// Services with at least one route all of whose calls come here, by name. Calls of a consumer that has a log plugin of
    /// its own do not count against it.
    pub seen_services: Vec<String>,
    /// Calls that match no route come here: scans of a whole address space, for instance.
    pub sees_unrouted: bool,
    /// Calls that come here by both kinds of plugin, and so count twice, by place.
    pub doubled: Vec<String>,
}

/// A log plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPlugin {
    /// Its id.
    pub id: String,
    /// Which plugin it is.
    pub kind: LogKind,
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
    /// The source that it sends to speaks TLS as it does, or plain as it does.
    pub agrees_on_tls: bool,
    /// Its host and port are those of one of the sources, as far as can be told from the gateway.
    pub is_for_here: bool,
    /// How it is with the source's secret.
    pub secret: SecretSeen,
}

impl LogPlugin {
    /// Its lines can be read by one of the sources.
    pub fn comes_here(&self) -> bool {
        self.is_enabled && self.is_for_here && self.agrees_on_tls
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
    let is_read = |kind: LogKind| sources.iter().any(|source| source.kind == kind);
    let is_ours = |plugin: &Plugin| plugin.tags.contains(&tag);
    let kind_of = |plugin: &Plugin| LogKind::of(plugin).filter(|kind| is_read(*kind) || is_ours(plugin));
    let plugins: Vec<(&Plugin, LogPlugin)> = plugins
        .iter()
        .filter_map(|plugin| Some((plugin, describe(plugin, kind_of(plugin)?, &tag, sources, &names))))
        .collect();
    let mut winners = Winners::default();
    let (of_some, of_all): (Vec<_>, Vec<_>) = plugins
        .iter()
        .filter(|(plugin, _)| plugin.enabled)
        .partition(|(plugin, _)| plugin.consumer.is_some() || plugin.consumer_group.is_some());
    for (plugin, described) in of_all {
        winners.0.insert((described.kind, id(&plugin.route), id(&plugin.service)), described);
    }
    let (mut unseen, mut doubled) = (Vec::new(), Vec::new());
    for (_, described) in of_some {
        // What a plugin of the other kind does for everything, it does for these, too.
        let other = winners.0.iter().find(|(place, _)| place.0 != described.kind && (place.1, place.2) == (None, None));
        let comes_otherwise = other.is_some_and(|(_, other)| other.comes_here());
        match (described.comes_here(), comes_otherwise) {
            (true, true) => doubled.push(described.place.clone()),
            (false, false) => {
                unseen.push(UnseenCalls { place: described.place.clone(), taken_by: Some(described.id.clone()) });
            }
            _ => {}
        }
    }
    let mut by_service: BTreeMap<Option<&str>, Vec<(&Route, Taking<'_>)>> = BTreeMap::new();
    for route in routes {
        by_service.entry(id(&route.service)).or_default().push((route, winners.of(route)));
    }
    let mut seen_services = Vec::new();
    for (service, routes) in by_service {
        if let Some((route, _)) = routes.iter().find(|(_, taking)| taking.here > 1) {
            doubled.push(names.place(service.is_none().then_some(&*route.id), service));
        }
        let mut blind = routes.iter().filter(|(_, taking)| taking.here == 0).peekable();
        let takers: BTreeSet<_> = routes.iter().map(|(_, taking)| taking.by).collect();
        match (service, blind.peek()) {
            (None, None) => {}
            (Some(service), None) => seen_services.push(names.service(service).to_owned()),
            // One plugin takes all of the service.
            (Some(service), Some((_, taking))) if takers.len() == 1 => unseen.push(UnseenCalls {
                place: format!("service `{}`", names.service(service)),
                taken_by: taking.by.map(str::to_owned),
            }),
            _ => unseen.extend(blind.map(|(route, taking)| UnseenCalls {
                place: names.place(Some(&route.id), service),
                taken_by: taking.by.map(str::to_owned),
            })),
        }
    }
    let unrouted = winners.taking([(None, None)]);
    if unrouted.here > 1 {
        doubled.push("calls that match no route".to_owned());
    }
    let sees_unrouted = unrouted.here > 0;
    let plugins = plugins.into_iter().map(|(_, described)| described).collect();
    LogView { plugins, unseen, seen_services, sees_unrouted, doubled }
}

/// Where a plugin is: its kind, its route, its service.
type Place<'p> = (LogKind, Option<&'p str>, Option<&'p str>);

/// The plugins that are for everybody.
#[derive(Default)]
struct Winners<'p>(BTreeMap<Place<'p>, &'p LogPlugin>);

/// Who takes a call.
#[derive(Clone, Copy)]
struct Taking<'p> {
    /// Plugins that bring it here.
    here: usize,
    /// One of them; where there is none, one that takes it elsewhere.
    by: Option<&'p str>,
}

impl<'p> Winners<'p> {
    /// Who logs the calls of a route, by Kong's order of scopes.
    fn of(&self, route: &Route) -> Taking<'p> {
        let (route, service) = (Some(route.id.as_str()), id(&route.service));
        self.taking([(route, service), (route, None), (None, service), (None, None)])
    }

    /// Who logs calls for which these scopes count, the most specific one first.
    fn taking<const N: usize>(&self, scopes: [(Option<&str>, Option<&str>); N]) -> Taking<'p> {
        let of_kind = |kind| scopes.iter().find_map(|(route, service)| self.0.get(&(kind, *route, *service)).copied());
        let takers: Vec<&LogPlugin> = [LogKind::Tcp, LogKind::Http].into_iter().filter_map(of_kind).collect();
        let here = takers.iter().filter(|plugin| plugin.comes_here()).count();
        let by = takers.iter().max_by_key(|plugin| plugin.comes_here()).map(|plugin| plugin.id.as_str());
        Taking { here, by }
    }
}

fn describe(plugin: &Plugin, kind: LogKind, tag: &str, sources: &[LogSource], names: &Names<'_>) -> LogPlugin {
    let Address { host, port, is_tls } = address_of(plugin, kind);
    let other = plugin.tags.iter().find(|tag| tag.strip_prefix(LOG_TAG).is_some_and(|rest| rest.starts_with(':')));
    let owner = match other {
        _ if plugin.tags.iter().any(|one| one == tag) => LogOwner::Ours,
        Some(tag) => LogOwner::OtherInstallation(tag.clone()),
        None => LogOwner::Foreign,
    };
    let mut of_kind = sources.iter().filter(|source| source.kind == kind);
    let by_port = of_kind.clone().find(|source| source.listen.port() == port);
    // Ours goes where `kong setup` was told, under a name that we need not understand. Of another one with the same port
    // only those are meant for us that could arrive.
    let target = by_port.filter(|source| owner == LogOwner::Ours || could_arrive(&host, source.listen.ip()));
    let secret = target.or(of_kind.next()).and_then(|source| source.secret.as_ref());
    LogPlugin {
        id: plugin.id.clone(),
        kind,
        place: match (&plugin.consumer, &plugin.consumer_group) {
            (Some(consumer), _) => format!("consumer {}", consumer.id),
            (None, Some(group)) => format!("consumer group {}", group.id),
            (None, None) => names.place(id(&plugin.route), id(&plugin.service)),
        },
        owner,
        is_enabled: plugin.enabled,
        is_for_here: target.is_some(),
        agrees_on_tls: target.is_none_or(|source| source.is_tls == is_tls),
        secret: secret.map_or(SecretSeen::NotWanted, |(name, value)| see_secret(plugin, kind, name, value)),
        host,
        port,
        is_tls,
    }
}

/// Where a plugin sends.
struct Address {
    host: String,
    port: u16,
    is_tls: bool,
}

fn address_of(plugin: &Plugin, kind: LogKind) -> Address {
    let config = &plugin.config;
    match kind {
        LogKind::Tcp => Address {
            host: config["host"].as_str().unwrap_or_default().to_owned(),
            port: config["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
            is_tls: config["tls"].as_bool().unwrap_or(false),
        },
        LogKind::Http => {
            let url = config["http_endpoint"].as_str().and_then(|url| Url::parse(url).ok());
            Address {
                host: url.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned(),
                port: url.as_ref().and_then(Url::port_or_known_default).unwrap_or(0),
                is_tls: url.is_some_and(|url| url.scheme() == "https"),
            }
        }
    }
}

/// A source on loopback is reached only by who calls it so.
fn could_arrive(host: &str, listen: IpAddr) -> bool {
    let is_loopback =
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback());
    is_loopback || !listen.to_canonical().is_loopback()
}

fn see_secret(plugin: &Plugin, kind: LogKind, name: &str, value: &str) -> SecretSeen {
    match kind {
        LogKind::Tcp => see_field(plugin, name, value),
        LogKind::Http => see_header(plugin, name, value),
    }
}

fn see_header(plugin: &Plugin, name: &str, value: &str) -> SecretSeen {
    let mut headers = plugin.config["headers"].as_object().into_iter().flatten();
    let Some((_, found)) = headers.find(|(header, _)| header.eq_ignore_ascii_case(name)) else {
        return SecretSeen::Missing;
    };
    // Kong 2 has lists of values.
    let found = found.as_str().or_else(|| found.get(0)?.as_str());
    if found == Some(value) { SecretSeen::Right } else { SecretSeen::Wrong }
}

fn see_field(plugin: &Plugin, field: &str, value: &str) -> SecretSeen {
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
mod tests;
