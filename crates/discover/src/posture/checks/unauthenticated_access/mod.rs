#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::inventory::Mark;
use crate::posture::view::{Facts, Findings, ServiceView, evidence, worse};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "unauthenticated_access",
    title: "Open to anybody",
    summary: "An endpoint answers calls without authentication, while most endpoints of its service ask for it.",
    owasp: "API2:2023",
    severity: Severity::High,
    fix: "Put the authentication plugin of the service on the endpoint's route, too.",
    page: include_str!("README.md"),
};

/// Endpoints of the same service that ask who calls, before one that does not stands out.
const SIBLINGS_MIN: usize = 2;

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    let asks = |facts: &Facts| {
        view.mark(facts, Mark::AuthenticatedOk).is_some() && view.mark(facts, Mark::UnauthenticatedOk).is_none()
    };
    let siblings: Vec<&Facts> = view.called().filter(|facts| !facts.is_public_by_nature()).collect();
    let asking = siblings.iter().filter(|facts| asks(facts)).count();
    if asking < SIBLINGS_MIN || asking * 2 < siblings.len() {
        return;
    }
    for facts in siblings {
        let Some(open) = view.mark(facts, Mark::UnauthenticatedOk) else { continue };
        let is_mixed = view.mark(facts, Mark::AuthenticatedOk).is_some();
        if is_mixed || view.is_documented_as_open(facts) || open.calls < u64::from(view.settings.calls_min) {
            continue;
        }
        findings.push(Found {
            subject: facts.subject(),
            severity: if facts.is_writing() { worse(DESCRIPTOR.severity) } else { DESCRIPTOR.severity },
            last_seen_ms: open.last_seen_ms,
            sentence: format!(
                "{} answered {} calls without authentication with 2xx, while {asking} other endpoints of {} ask for it",
                facts.name(),
                open.calls,
                view.name()
            ),
            evidence: vec![
                evidence("calls without authentication answered 2xx", open.calls),
                evidence("endpoints of the service that ask for authentication", asking),
            ],
            query: view.query_of(facts).known().ok().unauthenticated().count(),
            fix: view.authentication_fix(facts),
            endpoints: vec![facts.endpoint.id],
        });
    }
}
