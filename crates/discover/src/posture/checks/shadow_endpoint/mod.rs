#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::posture::outline::Documented;
use crate::posture::view::{Findings, ServiceView, evidence};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "shadow_endpoint",
    title: "Shadow endpoint",
    summary: "An endpoint answers calls and is not in the document of its service.",
    owasp: "API9:2023",
    severity: Severity::Medium,
    fix: "Document it, or close it.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    let Some(outline) = view.outline else { return };
    for facts in view.called() {
        let is_shadow = view.documented.get(&facts.endpoint.id) == Some(&Documented::Nothing);
        let is_told_elsewhere = facts.endpoint.key.method == "OPTIONS" || facts.has_probing_method();
        if !is_shadow || is_told_elsewhere || facts.is_upkeep() || view.is_gone(facts) || view.is_quiet(facts) {
            continue;
        }
        let (_, open) = facts.seen.unauthenticated();
        let (method, template) = (&facts.endpoint.key.method, &facts.endpoint.key.template);
        findings.push(Found {
            subject: facts.subject(),
            severity: if facts.is_writing() || open > 0 { Severity::High } else { DESCRIPTOR.severity },
            last_seen_ms: facts.seen.last_seen_ms.unwrap_or_default(),
            sentence: format!(
                "{} answered {} calls of {} consumers, {open} of them without authentication, and is not in the document {}",
                facts.name(),
                facts.seen.known,
                facts.seen.consumers,
                outline.title(),
            ),
            evidence: vec![
                evidence("calls", facts.seen.known),
                evidence("consumers", facts.seen.consumers),
                evidence("calls without authentication answered 2xx", open),
                evidence("document", format!("{} with {} operations", outline.title(), outline.operations())),
            ],
            query: view.query_of(facts).known().select(
                "consumer_id, count(*) AS calls, max(event_time) AS last_time",
                "GROUP BY consumer_id ORDER BY calls DESC LIMIT 20",
            ),
            fix: format!(
                "Add `{}` to `paths.{template}` of the document; or close it: `POST /services/{}/routes` with `paths=~{}$` and \
                 `methods={method}`, and on that route `POST /routes/{{route}}/plugins` with `name=request-termination` and \
                 `config.status_code=404`",
                method.to_ascii_lowercase(),
                view.key.service,
                facts.as_expression(),
            ),
            endpoints: vec![facts.endpoint.id],
        });
    }
}
