#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::posture::configured::{anonymous, route_name};
use crate::posture::query::Query;
use crate::posture::view::{Findings, ServiceView, evidence, plugin_scope};
use crate::posture::weakness::{Found, WeakSubject};

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "anonymous_fallback",
    title: "Anonymous fallback",
    summary: "An authentication plugin lets calls without a valid credential in as an anonymous consumer.",
    owasp: "API2:2023",
    severity: Severity::Medium,
    fix: "Take `anonymous` out of the plugin.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    findings.is_unsure = view.configured.is_none_or(|configured| !configured.is_whole());
    for (configured, route) in view.routes() {
        let all: Vec<_> = configured.authentication(route).collect();
        let Some(plugin) = all.iter().find(|plugin| anonymous(plugin).is_some()) else { continue };
        // With several plugins, each with a fallback, Kong takes whichever credential there is; one without it still refuses.
        if all.iter().any(|plugin| anonymous(plugin).is_none()) {
            continue;
        }
        if all.iter().filter_map(|plugin| anonymous(plugin)).all(|consumer| configured.refuses(consumer, route)) {
            continue;
        }
        findings.push(Found {
            subject: WeakSubject::Route { gateway: view.key.gateway.clone(), route: route.id.clone() },
            severity: DESCRIPTOR.severity,
            last_seen_ms: configured.snapshot.taken_ms,
            sentence: format!(
                "the route {} to {} lets calls without a credential in as consumer {}: {} of {} plugins that ask who calls fall back",
                route_name(route),
                view.name(),
                anonymous(plugin).unwrap_or_default(),
                all.len(),
                all.len(),
            ),
            evidence: vec![
                evidence("plugin", plugin_scope(plugin)),
                evidence("anonymous consumer", anonymous(plugin).unwrap_or_default()),
            ],
            query: Query::of_gateway(&view.key.gateway, "route_id", &route.id).and("access = 'anonymous'").count(),
            fix: format!("`PATCH /plugins/{}` with `config.anonymous=`", plugin.id),
            endpoints: view.endpoints_by(route).map(|facts| facts.endpoint.id).collect(),
        });
    }
}
