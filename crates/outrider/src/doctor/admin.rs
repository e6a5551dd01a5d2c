//! Judges the way to the Admin API: whether it is Kong that answers, and whether blocks can be stored there, and how soon
//! they are in force.

use outrider_model::{SKEW_FUTURE_MS_MAX, SKEW_PAST_MS_MAX};
use outrider_respond::gateways::GatewayError;
use outrider_respond::gateways::kong::{GatewayFacts, LogKind, RATE_LIMITING};

use super::facts::GatewaySeen;
use super::report::{Check, Id};

/// The first version that takes what the responder writes.
const VERSION_MIN: (u32, u32) = (3, 2);
/// Kong's defaults give 10 s for a cluster; beyond this somebody has made it slower.
const IN_FORCE_SECONDS_MAX: f64 = 20.0;
/// A block that takes this part of its time to come into force comes late.
const IN_FORCE_PART_MAX: f64 = 0.1;

const OTHERS: [Id; 5] = [Id::AdminVersion, Id::AdminDatabase, Id::AdminConsumers, Id::AdminClock, Id::AdminPropagation];

pub fn judge(gateway: &GatewaySeen) -> Vec<Check> {
    let name = &gateway.name;
    match &gateway.look {
        Ok(facts) => vec![
            Check::ok(
                Id::AdminReachable,
                name,
                format!("Kong {} answers at {}", facts.node.version, gateway.admin_url),
            ),
            version(gateway, facts),
            database(name, facts),
            consumers(name, facts),
            clock(name, facts),
            propagation(gateway, facts),
        ],
        Err(error) => {
            let seen = format!("{}: {error}", gateway.admin_url);
            let mut checks = vec![Check::failed(Id::AdminReachable, name, seen, advice(gateway, error))];
            checks.extend(OTHERS.map(|id| Check::skipped(id, name, "the Admin API did not answer")));
            checks
        }
    }
}

/// What to do about an Admin API that does not answer as Kong's does.
fn advice(gateway: &GatewaySeen, error: &GatewayError) -> String {
    let text = error.to_string().to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let is_tls = gateway.admin_url.starts_with("https");
    let advice = match error {
        GatewayError::Setting { .. } | GatewayError::File { .. } => "mend this in the configuration of the gateway",
        GatewayError::Unreachable { .. } if has(&["certificate", "unknownissuer"]) => {
            "set `ca_file` of the gateway to the authority that signed the Admin API's certificate, and use the host name that \
             the certificate names"
        }
        GatewayError::Unreachable { .. } if is_tls && has(&["invalidcontenttype", "corrupt message"]) => {
            "the port speaks no TLS: begin `admin_url` with http://, or name the TLS port (8444 by default)"
        }
        GatewayError::Unreachable { .. } if has(&["dns", "lookup", "resolve"]) => {
            "the host name of `admin_url` is not known here: correct it, or use the address"
        }
        GatewayError::Unreachable { .. } if has(&["refused"]) => {
            "nothing listens there. Is Kong running, and is this the address in its `admin_listen`? Kong's default is port 8001 \
             on loopback, which no other machine can reach"
        }
        GatewayError::Unreachable { .. } if has(&["closed", "reset"]) => {
            "it takes the connection and closes it without an answer: Kong restarts, or the port is another program's. Ask again in \
             a minute; if it stays so, look at Kong's error log and at the port in `admin_url`"
        }
        GatewayError::Unreachable { .. } => {
            "look at the network between here and Kong: a firewall, a wrong address, a port that another program has"
        }
        GatewayError::Kong { status: 404, message, .. } if message.contains("no Route matched") => {
            "this is Kong's proxy port, where clients call. `admin_url` needs the Admin API's port: 8001, or 8444 with TLS, \
             unless `admin_listen` says otherwise"
        }
        GatewayError::Kong { status: 404, .. } => {
            "it speaks like Kong, and is not its Admin API: `admin_url` has a path or workspace that is not there, or is the \
             Status API's port"
        }
        GatewayError::Kong { status: 401 | 403, .. } | GatewayError::UnexpectedAnswer { status: 401 | 403, .. } => {
            if gateway.has_header {
                "the value in the file of `admin_header` is not accepted: renew it, and see that its role may read everything \
                 and write plugins"
            } else {
                "it asks who you are: set `admin_header = { name = \"Kong-Admin-Token\", value_file = \"…\" }` of the gateway"
            }
        }
        GatewayError::UnexpectedAnswer { .. } if has(&["https port"]) => {
            "the port speaks TLS: begin `admin_url` with https://"
        }
        GatewayError::UnexpectedAnswer { status: 502..=504, .. } => {
            "a proxy or load balancer in front of the Admin API answers, and does not reach Kong itself: Kong restarts or is away. \
             Ask again in a minute; if it stays so, look at Kong, and at where the proxy looks for it"
        }
        GatewayError::UnexpectedAnswer { status: 429, .. } | GatewayError::Kong { status: 429, .. } => {
            "something in front of the Admin API limits how often it may be called: let outrider's calls through, or name the \
             Admin API itself"
        }
        GatewayError::UnexpectedAnswer { .. } if has(&["ended early", "eof while parsing"]) => {
            "the answer broke off in the middle: Kong restarts, or a proxy in between cuts answers off. Ask again in a minute; if it \
             stays so, look at the proxy's limits, or name the Admin API itself"
        }
        GatewayError::UnexpectedAnswer { status: 300..=399, .. } => {
            "something in front sends its callers elsewhere, a sign-in or a redirect to https: name the Admin API itself"
        }
        GatewayError::UnexpectedAnswer { .. } if has(&["html"]) => {
            "a web page answers: Kong Manager (port 8002), a sign-in or a proxy in front. Name the Admin API itself (port 8001)"
        }
        GatewayError::UnexpectedAnswer { .. } => {
            "another program answers: name Kong's Admin API in `admin_url` (port 8001, or 8444 with TLS, by default)"
        }
        GatewayError::Kong { .. } => "Kong itself is in trouble: look at its error log and at its database",
    };
    advice.to_owned()
}

fn version(gateway: &GatewaySeen, facts: &GatewayFacts) -> Check {
    let (name, node) = (&gateway.name, &facts.node);
    let mut numbers = node.version.split('.').map(|part| part.parse::<u32>().ok());
    let known = numbers.next().flatten().zip(numbers.next().flatten());
    let missing = |plugin: &str| format!("Kong {} has no plugin {plugin}", node.version);
    let load = "let Kong load it: `plugins = bundled` in kong.conf";
    if known.is_some_and(|version| version < VERSION_MIN) {
        let todo = "blocking needs Kong 3.2 or newer; its log is understood from 2.0 on";
        return Check::failed(Id::AdminVersion, name, format!("Kong {}", node.version), todo);
    }
    if !node.can_block() {
        return Check::failed(
            Id::AdminVersion,
            name,
            missing("request-termination"),
            format!("nobody can be blocked; {load}"),
        );
    }
    let has = |plugin: &str| node.plugins.available_on_server.contains_key(plugin);
    let mut logs = gateway.listens.iter().map(|(kind, _)| kind.plugin()).peekable();
    let log = logs.peek().copied().unwrap_or(LogKind::Tcp.plugin());
    if gateway.files.is_empty() && !logs.any(has) && !has(log) {
        return Check::failed(Id::AdminVersion, name, missing(log), format!("no log can come; {load}"));
    }
    if !has(RATE_LIMITING) && gateway.has_limits {
        let todo = format!("a policy limits, and nobody can be limited; {load}, or let the policy block");
        return Check::failed(Id::AdminVersion, name, missing(RATE_LIMITING), todo);
    }
    let edition = node.edition.as_deref().unwrap_or("edition unknown");
    Check::ok(Id::AdminVersion, name, format!("Kong {}, {edition}, with the plugins that are needed", node.version))
}

fn database(name: &str, facts: &GatewayFacts) -> Check {
    let database = &facts.node.configuration.database;
    if !facts.node.is_writable() {
        return Check::failed(
            Id::AdminDatabase,
            name,
            "this Kong runs without a database: its plugins come from a declarative file and nobody can be blocked",
            "run Kong with a database, or take the [[gateways]] entry away and let outrider watch only: the log plugin then \
             goes into the declarative file (docs/kong.md)",
        );
    }
    if facts.is_database_reachable == Some(false) {
        let todo =
            "look at the database and at Kong's error log: it goes on with what it has, and nothing new can be stored";
        return Check::failed(Id::AdminDatabase, name, format!("Kong does not reach its database ({database})"), todo);
    }
    Check::ok(Id::AdminDatabase, name, format!("{database}, reachable"))
}

fn consumers(name: &str, facts: &GatewayFacts) -> Check {
    match &facts.consumers {
        Ok(()) => Check::ok(Id::AdminConsumers, name, "they can be read"),
        Err(error) => Check::failed(
            Id::AdminConsumers,
            name,
            error.to_string(),
            "let the token of `admin_header` read consumers and their plugins: nobody is blocked without a look at what is there",
        ),
    }
}

fn clock(name: &str, facts: &GatewayFacts) -> Check {
    let Some(offset_ms) = facts.clock_offset_ms else {
        return Check::skipped(Id::AdminClock, name, "its answers carry no date");
    };
    judge_clock(Id::AdminClock, name, "the Admin API's clock", offset_ms)
}

/// How a clock of the gateway's that is ahead of ours by so much is.
pub fn judge_clock(id: Id, subject: &str, whose: &str, offset_ms: i64) -> Check {
    let seconds = offset_ms.abs() / 1000;
    let side = if offset_ms > 0 { "ahead of" } else { "behind" };
    let seen = format!("{whose} is {seconds} s {side} ours");
    let todo = "let NTP set the clocks of both machines";
    if !(-SKEW_PAST_MS_MAX..=SKEW_FUTURE_MS_MAX).contains(&offset_ms) {
        let todo =
            format!("{todo}; calls so far off count as of when they arrive, at most 5 s ahead and 15 min behind");
        return Check::failed(id, subject, seen, todo);
    }
    if offset_ms.abs() > SKEW_FUTURE_MS_MAX {
        return Check::warning(id, subject, seen, format!("{todo}; calls count as of the gateway's time"));
    }
    Check::ok(id, subject, format!("{whose} agrees with ours to within {} s", seconds + 1))
}

fn propagation(gateway: &GatewaySeen, facts: &GatewayFacts) -> Check {
    let (node, cluster) =
        (facts.node.in_force_after().as_secs_f64(), facts.node.in_force_in_cluster_after().as_secs_f64());
    let seen =
        format!("a block is in force, and gone again, within {node} s on this node and {cluster} s in its cluster");
    let todo = "lower worker_state_update_frequency and db_update_frequency in kong.conf (5 s each by default): until then \
                the blocked go on";
    let shortest_s = gateway.shortest_action_ms.map(|ms| ms as f64 / 1000.0);
    if cluster > IN_FORCE_SECONDS_MAX {
        return Check::warning(Id::AdminPropagation, &gateway.name, seen, todo);
    }
    if let Some(shortest_s) = shortest_s.filter(|shortest_s| cluster > shortest_s * IN_FORCE_PART_MAX) {
        let seen = format!("{seen}, and the shortest policy acts for {shortest_s} s");
        return Check::warning(Id::AdminPropagation, &gateway.name, seen, format!("use a longer duration, or {todo}"));
    }
    Check::ok(Id::AdminPropagation, &gateway.name, seen)
}
