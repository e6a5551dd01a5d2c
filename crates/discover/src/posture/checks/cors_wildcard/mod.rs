#![doc = include_str!("README.md")]

use outrider_model::{GatewayPlugin, PluginSettings, Severity, Sign};

use super::Descriptor;
use crate::inventory::{AuthKind, Mark, SignCount};
use crate::posture::view::{Facts, Findings, ServiceView, evidence, names, plugin_scope};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "cors_wildcard",
    title: "Pages of any origin",
    summary: "Pages of any origin may read answers that are not for everybody.",
    owasp: "API8:2023",
    severity: Severity::Low,
    fix: "Name the origins whose pages may read answers.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    findings.is_unsure = view.configured.is_some_and(|configured| !configured.is_whole());
    let reflecting: Option<&GatewayPlugin> = view
        .routes()
        .flat_map(|(configured, route)| configured.in_force(route))
        .find(|plugin| lets_any_origin_send_cookies(plugin));
    let calls_min = u64::from(view.settings.calls_min);
    let starred: Vec<(&Facts, &SignCount)> = view
        .with_sign(Sign::CorsAnyOrigin)
        .into_iter()
        .filter(|(facts, count)| count.calls >= calls_min && view.mark(facts, Mark::AuthenticatedOk).is_some())
        .collect();
    let calls: u64 = starred.iter().map(|(_, count)| count.calls).sum();
    let is_close = starred.iter().any(|(facts, _)| {
        let by_session =
            facts.seen.auth.iter().any(|count| count.kind == AuthKind::Session && count.calls >= calls_min);
        by_session || facts.sensitive().next().is_some() || view.sign(facts, Sign::CorsCredentials).is_some()
    });
    let latest_ms = starred.iter().map(|(_, count)| count.last_seen_ms).max();
    let (severity, last_seen_ms, sentence) = match (reflecting, latest_ms) {
        (Some(plugin), _) => (
            Severity::High,
            view.configured.map(|configured| configured.snapshot.taken_ms).unwrap_or_default(),
            format!("1 plugin lets pages of any origin call {} with cookies: {}", view.name(), plugin_scope(plugin)),
        ),
        (None, Some(latest_ms)) => (
            if is_close { Severity::Medium } else { DESCRIPTOR.severity },
            latest_ms,
            format!(
                "{} lets pages of any origin read {calls} answers to callers who prove who they are: {}",
                view.name(),
                names(starred.iter().map(|(facts, _)| facts.name()))
            ),
        ),
        (None, None) => return,
    };
    let plugin = reflecting.map_or("{cors plugin}", |plugin| plugin.id.as_str());
    findings.push(Found {
        subject: view.subject(),
        severity,
        last_seen_ms,
        sentence,
        evidence: vec![
            evidence("answers with `access-control-allow-origin: *`", calls),
            evidence("plugin with any origin and cookies", reflecting.map_or("none".to_owned(), plugin_scope)),
            evidence("with sessions or data of persons", is_close),
        ],
        query: view.query().known().sign(Sign::CorsAnyOrigin).count(),
        fix: format!(
            "`PATCH /plugins/{plugin}` with `config.origins=https://app.example.com`, one for each page that may; where the API sets \
             the header by itself, take it out there"
        ),
        endpoints: match reflecting {
            Some(_) => view.endpoints.keys().copied().collect(),
            None => starred.iter().map(|(facts, _)| facts.endpoint.id).collect(),
        },
    });
}

/// Whether a plugin tells browsers that every origin may send cookies: with `*` and credentials Kong answers with the origin that asks.
fn lets_any_origin_send_cookies(plugin: &GatewayPlugin) -> bool {
    let Some(PluginSettings::Cors(settings)) = &plugin.settings else { return false };
    let origins = settings.origins.as_deref().unwrap_or_default();
    let is_any = origins.is_empty() || origins.iter().any(|origin| matches!(origin.as_str(), "*" | ".*" | "^.*$"));
    is_any && settings.credentials == Some(true)
}
