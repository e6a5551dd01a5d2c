//! Judges Kong's log plugins: whether one sends the calls here, with the secret, and whose calls another one takes.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use outrider_respond::gateways::kong::{GatewayFacts, LogKind, LogOwner, LogPlugin, LogView, SecretSeen};

use super::facts::GatewaySeen;
use super::report::{Check, Id};
use crate::terminal::some_of;

const ALL: [Id; 6] = [Id::LogPlugin, Id::LogTarget, Id::LogEnabled, Id::LogShadowed, Id::LogOnce, Id::LogSecret];

/// What can be said beside a responder alone.
pub fn elsewhere(gateway: &str) -> Vec<Check> {
    let why = "this service takes no log; run doctor beside the collector";
    ALL.map(|id| Check::skipped(id, gateway, why)).to_vec()
}

/// `lines_came` tells that the gateway's lines arrived since outrider was started.
pub fn judge(gateway: &GatewaySeen, lines_came: bool) -> Vec<Check> {
    let name = &gateway.name;
    let skip = |ids: &[Id], why: &str| ids.iter().map(|id| Check::skipped(*id, name, why)).collect::<Vec<_>>();
    let Ok(facts) = &gateway.look else { return skip(&ALL, "the Admin API did not answer") };
    let view = match &facts.log {
        Ok(view) => view,
        Err(error) => {
            let todo = "let the token of `admin_header` read plugins, services and routes";
            let mut checks = vec![Check::failed(Id::LogPlugin, name, error.to_string(), todo)];
            checks.extend(skip(&ALL[1..], "the plugins could not be read"));
            return checks;
        }
    };
    if gateway.listens.is_empty() && !gateway.files.is_empty() {
        let files = some_of(gateway.files.iter().map(|file| file.display().to_string()));
        return skip(
            &ALL,
            &format!("its log is read from {files}; whose calls its File Log plugin writes there is not looked at"),
        );
    }
    let Some((kind, listen)) = gateway.listens.first() else {
        let seen = format!("no [[collector.sources]] entry has `gateway = \"{name}\"`, so nothing takes its log");
        let todo = "add such a source: without it nothing is learnt of this gateway, and only people can block there";
        let mut checks = vec![Check::warning(Id::LogPlugin, name, seen, todo)];
        checks.extend(skip(&ALL[1..], "no source takes its log"));
        return checks;
    };
    let meant: Vec<&LogPlugin> =
        view.plugins.iter().filter(|plugin| plugin.owner == LogOwner::Ours || plugin.is_for_here).collect();
    if meant.is_empty() {
        let mut checks = vec![missing(name, (*kind, *listen), view, facts, lines_came)];
        checks.extend(skip(&ALL[1..], "no log plugin is for this collector"));
        return checks;
    }
    let places =
        meant.iter().map(|plugin| format!("{} for {} (plugin {})", plugin.kind.title(), plugin.place, plugin.id));
    vec![
        Check::ok(Id::LogPlugin, name, some_of(places)),
        target(gateway, &meant),
        enabled(name, &meant),
        shadowed(name, view, &meant),
        once(name, view, &meant),
        secret(gateway, &meant),
    ]
}

fn missing(
    name: &str,
    (kind, listen): (LogKind, SocketAddr),
    view: &LogView,
    facts: &GatewayFacts,
    lines_came: bool,
) -> Check {
    let others = view.plugins.iter().map(|plugin| format!("{} to {}:{}", plugin.place, plugin.host, plugin.port));
    let mut seen = match view.plugins.len() {
        0 => format!("Kong has no {} plugin", kind.title()),
        _ => format!("no {} plugin sends to {listen}; there are: {}", kind.title(), some_of(others)),
    };
    let mut todo = match facts.node.is_writable() {
        true => "run `outrider kong setup`, which shows what it will do and asks".to_owned(),
        false => "add the plugin to Kong's declarative file (docs/kong.md)".to_owned(),
    };
    if lines_came {
        seen.push_str("; lines came before, so somebody has taken it away");
        todo.push_str(
            "; `deck gateway sync` deletes what its file does not have: give your own objects a tag and let it work on those \
             alone with `--select-tag`",
        );
    }
    Check::failed(Id::LogPlugin, name, seen, todo)
}

/// Where the sources listen that a plugin could be for.
fn listens_of<'g>(gateway: &'g GatewaySeen, plugin: &LogPlugin) -> impl Iterator<Item = SocketAddr> + Clone + use<'g> {
    let of_kind = plugin.kind;
    gateway.listens.iter().filter(move |(kind, _)| *kind == of_kind).map(|(_, listen)| *listen)
}

fn target(gateway: &GatewaySeen, meant: &[&LogPlugin]) -> Check {
    let name = &gateway.name;
    if let Some(plugin) = meant.iter().find(|plugin| !plugin.is_for_here) {
        let listens: Vec<_> = listens_of(gateway, plugin).map(|listen| listen.to_string()).collect();
        let sources = match listens.as_slice() {
            [] => format!("no source takes {}", plugin.kind.title()),
            _ => format!("the source listens on {}", some_of(listens)),
        };
        let seen = format!("plugin {} sends to {}:{}, and {sources}", plugin.id, plugin.host, plugin.port);
        let todo = "run `outrider kong setup`, which corrects it; name the host as Kong reaches it with --host";
        return Check::failed(Id::LogTarget, name, seen, todo);
    }
    if let Some(plugin) = meant.iter().find(|plugin| !plugin.agrees_on_tls) {
        return on_tls(name, plugin);
    }
    let admin_host = gateway.admin_url.split("://").nth(1).unwrap_or_default();
    let admin_host = admin_host.split('/').next().unwrap_or_default();
    let admin_host = admin_host.rsplit_once(':').map_or(admin_host, |(host, _)| host);
    for plugin in meant {
        let sends_to_itself = is_loopback(&plugin.host);
        if sends_to_itself && !is_loopback(admin_host) {
            let seen = format!(
                "plugin {} sends to {}, which is Kong's own machine, and the Admin API is at {admin_host}",
                plugin.id, plugin.host
            );
            let todo = "if outrider is on another machine than Kong, run `outrider kong setup --host` with its address";
            return Check::warning(Id::LogTarget, name, seen, todo);
        }
        let mut listens = listens_of(gateway, plugin).filter(|listen| listen.port() == plugin.port);
        if !sends_to_itself && let Some(listen) = listens.find(|listen| listen.ip().to_canonical().is_loopback()) {
            let seen =
                format!("plugin {} sends to {}, and the source listens on {listen} alone", plugin.id, plugin.host);
            let todo = "unless something forwards it, listen on an address that Kong can reach, with `allow`";
            return Check::warning(Id::LogTarget, name, seen, todo);
        }
    }
    let targets: BTreeSet<_> = meant.iter().map(|plugin| format!("{}:{}", plugin.host, plugin.port)).collect();
    Check::ok(Id::LogTarget, name, format!("it sends to {}", some_of(targets)))
}

/// One side speaks TLS and the other does not.
fn on_tls(name: &str, plugin: &LogPlugin) -> Check {
    let (plain, tls) = match plugin.kind {
        LogKind::Tcp => ("`tls: false`", "`tls: true`"),
        LogKind::Http => ("http", "https"),
    };
    let (seen, todo) = match plugin.is_tls {
        true => (
            format!("plugin {} speaks TLS ({tls}), and the source does not, so no line can be read", plugin.id),
            "run `outrider kong setup`, or switch `tls` off in a plugin made by hand (http for HTTP Log); or give the source a \
             certificate (`tls`), and restart outrider",
        ),
        false => (
            format!("plugin {} speaks plain ({plain}), and the source TLS, so no line can be read", plugin.id),
            "run `outrider kong setup`, or switch `tls` on in a plugin made by hand (https for HTTP Log)",
        ),
    };
    Check::failed(Id::LogTarget, name, seen, todo)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn enabled(name: &str, meant: &[&LogPlugin]) -> Check {
    let off =
        || meant.iter().filter(|plugin| !plugin.is_enabled).map(|plugin| format!("{} ({})", plugin.place, plugin.id));
    let todo = "run `outrider kong setup`, or switch the plugin on";
    match off().count() {
        0 => Check::ok(Id::LogEnabled, name, "it is on"),
        all if all == meant.len() => {
            Check::failed(Id::LogEnabled, name, format!("switched off for {}", some_of(off())), todo)
        }
        _ => Check::warning(Id::LogEnabled, name, format!("switched off for {}", some_of(off())), todo),
    }
}

fn shadowed(name: &str, view: &LogView, meant: &[&LogPlugin]) -> Check {
    if !meant.iter().any(|plugin| plugin.comes_here()) {
        return Check::skipped(Id::LogShadowed, name, "no log plugin sends calls here");
    }
    let unrouted = if view.sees_unrouted { "" } else { "; calls that match no route are not seen" };
    if view.unseen.is_empty() {
        let seen = format!("the calls of all {} services with routes come here{unrouted}", view.seen_services.len());
        return Check::ok(Id::LogShadowed, name, seen);
    }
    let places = view.unseen.iter().map(|calls| match &calls.taken_by {
        Some(plugin) => format!("{} (plugin {plugin} takes them)", calls.place),
        None => format!("{} (no log plugin)", calls.place),
    });
    Check::warning(
        Id::LogShadowed,
        name,
        format!("calls that do not come here: {}{unrouted}", some_of(places)),
        "of each kind of log plugin Kong runs the most specific one alone: take the other one away there, or give these services one of ours \
         with `outrider kong setup --per-service`; nothing, if they need not be watched",
    )
}

fn once(name: &str, view: &LogView, meant: &[&LogPlugin]) -> Check {
    if !meant.iter().any(|plugin| plugin.comes_here()) {
        return Check::skipped(Id::LogOnce, name, "no log plugin sends calls here");
    }
    if view.doubled.is_empty() {
        return Check::ok(Id::LogOnce, name, "every call comes once");
    }
    let seen = format!("calls that come by TCP Log and by HTTP Log, and count twice: {}", some_of(&view.doubled));
    Check::failed(Id::LogOnce, name, seen, "run `outrider kong setup`, or take one of the two plugins away")
}

fn secret(gateway: &GatewaySeen, meant: &[&LogPlugin]) -> Check {
    let name = &gateway.name;
    if gateway.is_secret_unknown {
        return Check::skipped(Id::LogSecret, name, "the file with the secret cannot be read");
    }
    let with = |secret| meant.iter().find(move |plugin| plugin.secret == secret);
    let consequence = |plugin: &LogPlugin| match plugin.kind {
        LogKind::Tcp => "its lines are kept as untrusted: they train no profile and lead to proposals only",
        LogKind::Http => "the source refuses its requests, and Kong gives the lines up after a while",
    };
    let todo = "run `outrider kong setup`, which puts it there";
    if let Some(plugin) = with(SecretSeen::Missing) {
        let seen = format!("plugin {} does not add the source's secret, so {}", plugin.id, consequence(plugin));
        return Check::failed(Id::LogSecret, name, seen, todo);
    }
    if let Some(plugin) = with(SecretSeen::Wrong) {
        let seen = format!("plugin {} adds another secret than the source has, so {}", plugin.id, consequence(plugin));
        return Check::failed(Id::LogSecret, name, seen, todo);
    }
    if with(SecretSeen::Right).is_some() {
        return Check::ok(Id::LogSecret, name, "it adds the source's secret");
    }
    let mut listens = meant.iter().flat_map(|plugin| listens_of(gateway, plugin));
    let Some(listen) = listens.find(|listen| !listen.ip().to_canonical().is_loopback()) else {
        return Check::ok(
            Id::LogSecret,
            name,
            "the source asks for none; whoever is on this machine could send it lines",
        );
    };
    Check::warning(
        Id::LogSecret,
        name,
        format!("the source asks for none, and listens on {listen}: who may connect could send it false lines"),
        "set `secret_file` of the source and run `outrider kong setup`",
    )
}
