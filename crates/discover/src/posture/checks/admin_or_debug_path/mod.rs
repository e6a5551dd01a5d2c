#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::inventory::{Mark, SignCount};
use crate::posture::configured::is_for_named_addresses;
use crate::posture::view::{Answers, Facts, Findings, ServiceView, evidence};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "admin_or_debug_path",
    title: "Admin or debug path",
    summary: "What is made for operators or developers answers at the public gateway.",
    owasp: "API8:2023",
    severity: Severity::Medium,
    fix: "Close the path at the gateway, or let named addresses or groups alone through.",
    page: include_str!("README.md"),
};

/// Answers before a path is told. A heap dump that was taken three times is three too many.
const ANSWERS_MIN: u64 = 3;

/// Segments that give secrets or memory away.
const SECRETS: &[&str] = &[
    ".env",
    ".git",
    ".aws",
    "heapdump",
    "jolokia",
    "h2-console",
    "phpmyadmin",
    "adminer.php",
    "threaddump",
    "configprops",
];

/// Segments that show how a program runs.
const DEBUG: &[&str] = &[
    "__debug__",
    "_debug",
    "_profiler",
    "actuator",
    "debug",
    "elmah.axd",
    "metrics",
    "phpinfo",
    "phpinfo.php",
    "pprof",
    "server-info",
    "server-status",
    "trace.axd",
];

/// Segments of what operators do.
const ADMIN: &[&str] = &["_admin", "admin", "administration", "administrator", "backoffice", "superuser", "sysadmin"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Secrets,
    Debug,
    Admin,
}

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    for facts in view.endpoints.values().filter(|facts| !facts.endpoint.provisional) {
        let Some(kind) = kind(facts) else { continue };
        let Some(ok) = view.mark(facts, Mark::AnsweredOk).filter(|count| count.calls >= ANSWERS_MIN) else { continue };
        let is_page = facts.answers == Some(Answers::Page);
        // A site of one page answers every path with it.
        if is_page && (kind != Kind::Debug || ok.calls < u64::from(view.settings.calls_min)) {
            continue;
        }
        let open = view.mark(facts, Mark::UnauthenticatedOk);
        let Some(severity) = severity(view, facts, kind, open) else { continue };
        let strangers = open.map_or(0, |count| count.calls);
        findings.push(Found {
            subject: facts.subject(),
            severity,
            last_seen_ms: ok.last_seen_ms,
            sentence: format!(
                "{} is made for {} and answered {} calls with 2xx, {strangers} of them without authentication",
                facts.name(),
                if kind == Kind::Admin { "operators" } else { "developers" },
                ok.calls,
            ),
            evidence: vec![
                evidence("calls answered 2xx", ok.calls),
                evidence("without authentication", strangers),
                evidence("consumers", facts.seen.consumers),
            ],
            query: view.query_of(facts).known().ok().select(
                "client_ip, consumer_id, count(*) AS calls, max(event_time) AS last_time",
                "GROUP BY client_ip, consumer_id ORDER BY calls DESC LIMIT 20",
            ),
            fix: match kind {
                Kind::Admin => format!(
                    "{} and `config.allow=` the group of operators; or `name=ip-restriction` with their networks",
                    view.plugin_fix(facts, "acl")
                ),
                Kind::Secrets | Kind::Debug => format!(
                    "`POST /services/{}/routes` with `paths=~{}$`, and on that route `POST /routes/{{route}}/plugins` with \
                     `name=request-termination` and `config.status_code=404`",
                    view.key.service,
                    facts.as_expression(),
                ),
            },
            endpoints: vec![facts.endpoint.id],
        });
    }
}

/// What a path is made for, by the segments before its first parameter: behind one it is about an object.
fn kind(facts: &Facts) -> Option<Kind> {
    let template = facts.endpoint.key.template.to_ascii_lowercase();
    let fixed: Vec<&str> = template.split('/').take_while(|segment| !segment.contains('{')).collect();
    let has = |words: &[&str]| fixed.iter().any(|segment| words.contains(segment));
    // The health of a program may be asked for.
    let is_health = fixed.contains(&"health") || fixed.contains(&"info");
    if has(SECRETS) || fixed.contains(&"actuator") && fixed.contains(&"env") {
        return Some(Kind::Secrets);
    }
    if has(DEBUG) && !is_health {
        return Some(Kind::Debug);
    }
    has(ADMIN).then_some(Kind::Admin)
}

/// How bad it is; `None` where it is as it should be.
fn severity(view: &ServiceView<'_>, facts: &Facts, kind: Kind, open: Option<&SignCount>) -> Option<Severity> {
    match (kind, open) {
        (Kind::Secrets, Some(_)) => Some(Severity::Critical),
        (Kind::Debug | Kind::Admin, Some(_)) if is_restricted(view, facts) => None,
        (Kind::Admin, Some(_)) if facts.is_sign_in() => None,
        (Kind::Debug | Kind::Admin, Some(_)) => Some(Severity::High),
        (Kind::Secrets, None) => Some(Severity::High),
        (Kind::Debug, None) => Some(DESCRIPTOR.severity),
        // Who may do it among those who have a key, only the gateway's configuration tells.
        (Kind::Admin, None) => {
            let is_told = view.configured.is_some_and(|configured| configured.is_whole());
            (is_told && facts.has_routes() && !is_restricted(view, facts)).then_some(Severity::Low)
        }
    }
}

/// Whether on every route to it a plugin lets named groups or addresses alone through.
fn is_restricted(view: &ServiceView<'_>, facts: &Facts) -> bool {
    let Some(configured) = view.configured else { return false };
    let mut routes = facts.seen.routes.iter().filter_map(|count| configured.route(&count.name)).peekable();
    routes.peek().is_some()
        && routes.all(|route| {
            let plugins = configured.in_force(route);
            plugins.iter().any(|plugin| plugin.name == "acl") || is_for_named_addresses(&plugins)
        })
}
