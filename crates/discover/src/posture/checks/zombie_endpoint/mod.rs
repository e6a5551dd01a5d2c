#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::posture::outline::Documented;
use crate::posture::view::{Findings, ServiceView, evidence};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "zombie_endpoint",
    title: "Zombie endpoint",
    summary: "An operation that its document calls deprecated still answers calls.",
    owasp: "API9:2023",
    severity: Severity::Medium,
    fix: "Move the consumers who still call it, then close it.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    for facts in view.called() {
        let is_zombie =
            matches!(view.documented.get(&facts.endpoint.id), Some(Documented::Operation { deprecated: true, .. }));
        if !is_zombie || view.is_gone(facts) || view.is_quiet(facts) {
            continue;
        }
        let (_, open) = facts.seen.unauthenticated();
        findings.push(Found {
            subject: facts.subject(),
            severity: DESCRIPTOR.severity,
            last_seen_ms: facts.seen.last_seen_ms.unwrap_or_default(),
            sentence: format!(
                "{} is deprecated and answered {} calls of {} consumers, {open} of them without authentication",
                facts.name(),
                facts.seen.known,
                facts.seen.consumers,
            ),
            evidence: vec![
                evidence("calls", facts.seen.known),
                evidence("consumers", facts.seen.consumers),
                evidence("calls without authentication answered 2xx", open),
            ],
            query: view.query_of(facts).known().select(
                "consumer_id, count(*) AS calls, max(event_time) AS last_time",
                "GROUP BY consumer_id ORDER BY calls DESC LIMIT 20",
            ),
            fix: format!(
                "Tell the consumers that the query names; then `POST /services/{}/routes` with `paths=~{}$` and `methods={}`, and on that \
                 route `POST /routes/{{route}}/plugins` with `name=request-termination` and `config.status_code=410`",
                view.key.service,
                facts.as_expression(),
                facts.endpoint.key.method,
            ),
            endpoints: vec![facts.endpoint.id],
        });
    }
}
