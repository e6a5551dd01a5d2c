#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::inventory::Mark;
use crate::posture::configured::route_name;
use crate::posture::view::{Facts, Findings, ServiceView, evidence, names};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "missing_rate_limit",
    title: "No limit on calls",
    summary: "Nothing limits how often somebody calls a service through the gateway.",
    owasp: "API4:2023",
    severity: Severity::Low,
    fix: "Put a rate limit on the service, by consumer where callers prove who they are and by address where they do not.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    findings.is_unsure = view.configured.is_none_or(|configured| !configured.is_whole());
    if findings.is_unsure || view.service().is_some_and(|service| !service.enabled) {
        return;
    }
    let by_route = view.by_route();
    let endpoints_of = |route: &str| by_route.get(route).into_iter().flatten().copied();
    let (limited, open): (Vec<_>, Vec<_>) = view
        .routes()
        .filter(|(configured, route)| !configured.is_terminated(route))
        .partition(|(configured, route)| configured.is_limited(route) || endpoints_of(&route.id).any(tells_too_many));
    let Some((configured, first)) = open.first() else { return };
    let called = || open.iter().flat_map(|(_, route)| endpoints_of(&route.id)).filter(|facts| view.is_called(facts));
    let sign_ins = called().filter(|facts| facts.is_sign_in() && facts.is_writing()).count();
    let strangers = called().filter(|facts| !facts.is_public_by_nature() && is_open(view, facts)).count();
    findings.push(Found {
        subject: view.subject(),
        severity: if sign_ins + strangers > 0 { Severity::Medium } else { DESCRIPTOR.severity },
        last_seen_ms: configured.snapshot.taken_ms,
        sentence: format!(
            "{} of {} routes to {} have no limit on how often somebody calls: {}",
            open.len(),
            open.len() + limited.len(),
            view.name(),
            names(open.iter().map(|(_, route)| route_name(route).to_owned())),
        ),
        evidence: vec![
            evidence("routes without a limit", open.len()),
            evidence("routes with one", limited.len()),
            evidence("sign-ins on those without", sign_ins),
            evidence("endpoints on those without that strangers may call", strangers),
        ],
        query: view.query().known().select(
            "date_trunc('minute', event_time) AS minute, consumer_id, count(*) AS calls",
            "GROUP BY minute, consumer_id ORDER BY calls DESC LIMIT 10",
        ),
        fix: match limited.is_empty() {
            true => format!(
                "`POST /services/{}/plugins` with `name=rate-limiting`, `config.minute=` somewhat above what the query shows for the \
                 busiest caller, and `config.limit_by=consumer`, or `ip` where callers prove nothing",
                view.key.service
            ),
            false => format!(
                "`POST /routes/{}/plugins` with `name=rate-limiting` and the limits of the service's other routes; the same for each \
                 that is named",
                first.id
            ),
        },
        endpoints: open.iter().flat_map(|(_, route)| endpoints_of(&route.id)).map(|facts| facts.endpoint.id).collect(),
    });
}

/// Whether somebody, such as the API itself, answers that it was called too often.
fn tells_too_many(facts: &Facts) -> bool {
    facts.seen.statuses.iter().any(|count| count.status == 429)
}

fn is_open(view: &ServiceView<'_>, facts: &Facts) -> bool {
    view.mark(facts, Mark::UnauthenticatedOk).is_some_and(|open| open.calls >= u64::from(view.settings.calls_min))
}
