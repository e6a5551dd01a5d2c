#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::inventory::{Mark, SignCount};
use crate::posture::configured::{Configured, is_for_named_addresses};
use crate::posture::view::{Facts, Findings, ServiceView, evidence, names};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "missing_authentication_plugin",
    title: "No authentication plugin",
    summary: "No route to a service asks who calls, though the gateway's other routes do or data of persons flows.",
    owasp: "API2:2023",
    severity: Severity::Medium,
    fix: "Put the authentication plugin that the gateway uses elsewhere on the service.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    let configured = view.configured.filter(|configured| configured.is_whole());
    findings.is_unsure = configured.is_none();
    let Some(configured) = configured else { return };
    let routes: Vec<_> = view.routes().map(|(_, route)| route).collect();
    if routes.iter().any(|route| configured.authentication(route).next().is_some()) || is_asked_by_the_api(view) {
        return;
    }
    let open: Vec<(&Facts, &SignCount)> = open_endpoints(view, configured);
    let (asking, others) = configured.asking_beside(&view.key.service);
    let is_the_rule = asking > 0 && asking * 2 >= others;
    let has_data = open.iter().any(|(facts, _)| facts.sensitive().next().is_some());
    if open.is_empty() || !is_the_rule && !has_data {
        return;
    }
    let calls: u64 = open.iter().map(|(_, count)| count.calls).sum();
    let is_grave = has_data || open.iter().any(|(facts, _)| facts.is_writing());
    findings.push(Found {
        subject: view.subject(),
        severity: if is_grave { Severity::High } else { DESCRIPTOR.severity },
        last_seen_ms: open.iter().map(|(_, count)| count.last_seen_ms).max().unwrap_or_default(),
        sentence: format!(
            "none of {} routes to {} asks who calls, as {asking} of the gateway's {others} other routes do: {calls} calls without \
             authentication were answered 2xx by {}",
            routes.len(),
            view.name(),
            names(open.iter().map(|(facts, _)| facts.name())),
        ),
        evidence: vec![
            evidence("routes of the service", routes.len()),
            evidence("other routes of the gateway with authentication", format!("{asking} of {others}")),
            evidence("calls without authentication answered 2xx", calls),
            evidence("with data of persons", has_data),
        ],
        query: view.query().known().ok().unauthenticated().count(),
        fix: format!(
            "`POST /services/{}/plugins` with `name={}`, after its clients have credentials",
            view.key.service,
            configured.usual_authentication().unwrap_or("key-auth")
        ),
        endpoints: open.iter().map(|(facts, _)| facts.endpoint.id).collect(),
    });
}

/// Endpoints that answer strangers, and of which nothing says that they are meant to.
fn open_endpoints<'v>(view: &ServiceView<'v>, configured: &Configured) -> Vec<(&'v Facts, &'v SignCount)> {
    let by_named_addresses = |facts: &Facts| {
        let mut routes = facts.seen.routes.iter().filter_map(|count| configured.route(&count.name)).peekable();
        routes.peek().is_some() && routes.all(|route| is_for_named_addresses(&configured.in_force(route)))
    };
    view.called()
        .filter(|facts| !facts.is_public_by_nature() && !facts.is_a_form())
        .filter(|facts| facts.seen.routes.iter().any(|count| configured.route(&count.name).is_some()))
        .filter(|facts| !view.is_documented_as_open(facts) && !by_named_addresses(facts))
        .filter(|facts| view.mark(facts, Mark::AuthenticatedOk).is_none())
        .filter_map(|facts| Some((facts, view.mark(facts, Mark::UnauthenticatedOk)?)))
        .filter(|(_, count)| count.calls >= u64::from(view.settings.calls_min))
        .collect()
}

/// Whether the API asks by itself: most endpoints were shown something that proves who calls, which the gateway passes on.
fn is_asked_by_the_api(view: &ServiceView<'_>) -> bool {
    let (asked, others): (Vec<&Facts>, Vec<&Facts>) = view
        .called()
        .filter(|facts| !facts.is_public_by_nature())
        .partition(|facts| view.mark(facts, Mark::AuthenticatedOk).is_some());
    asked.len() > others.len()
}
