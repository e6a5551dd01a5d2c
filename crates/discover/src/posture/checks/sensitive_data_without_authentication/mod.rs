#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::inventory::Mark;
use crate::posture::view::{Findings, ServiceView, evidence};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "sensitive_data_without_authentication",
    title: "Personal data without authentication",
    summary: "An endpoint takes personal, payment, health or location data from callers who do not prove who they are.",
    owasp: "API2:2023",
    severity: Severity::High,
    fix: "Ask who calls before such data is taken or given.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    for facts in view.called().filter(|facts| !facts.is_sign_in() && !facts.is_a_form()) {
        let Some(open) = view.mark(facts, Mark::SensitiveUnauthenticatedOk) else { continue };
        let classes = facts.sensitive_names();
        if classes.is_empty() || open.calls < u64::from(view.settings.calls_min) {
            continue;
        }
        findings.push(Found {
            subject: facts.subject(),
            severity: if facts.has_grave_data() { Severity::Critical } else { DESCRIPTOR.severity },
            last_seen_ms: open.last_seen_ms,
            sentence: format!(
                "{} answered {} calls with {} in them with 2xx, without authentication",
                facts.name(),
                open.calls,
                classes.join(", "),
            ),
            evidence: vec![
                evidence("calls with such data and without authentication answered 2xx", open.calls),
                evidence("classes", classes.join(", ")),
            ],
            query: view.query_of(facts).known().ok().unauthenticated().classes(&classes).count(),
            fix: view.authentication_fix(facts),
            endpoints: vec![facts.endpoint.id],
        });
    }
}
