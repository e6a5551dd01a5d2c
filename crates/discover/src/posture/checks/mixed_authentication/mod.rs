#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::inventory::Mark;
use crate::posture::view::{Findings, ServiceView, evidence};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "mixed_authentication",
    title: "Mixed authentication",
    summary: "An endpoint answers callers who prove who they are, and others who do not, alike.",
    owasp: "API2:2023",
    severity: Severity::Medium,
    fix: "Ask every caller of the endpoint who it is, or say that it is meant to be open.",
    page: include_str!("README.md"),
};

/// Of a hundred calls answered 2xx so many must be of each kind.
const PERCENT_MIN: u64 = 1;

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    for facts in view.called().filter(|facts| !facts.is_public_by_nature()) {
        let (Some(open), Some(asked)) =
            (view.mark(facts, Mark::UnauthenticatedOk), view.mark(facts, Mark::AuthenticatedOk))
        else {
            continue;
        };
        let all = open.calls + asked.calls;
        let least = open.calls.min(asked.calls);
        if open.calls < u64::from(view.settings.calls_min) || least * 100 < all * PERCENT_MIN {
            continue;
        }
        findings.push(Found {
            subject: facts.subject(),
            severity: if facts.is_writing() { Severity::High } else { DESCRIPTOR.severity },
            last_seen_ms: open.last_seen_ms,
            sentence: format!(
                "{} answered {} of {all} calls with 2xx although they showed no authentication",
                facts.name(),
                open.calls,
            ),
            evidence: vec![
                evidence("calls without authentication answered 2xx", open.calls),
                evidence("calls with authentication answered 2xx", asked.calls),
            ],
            query: view.query_of(facts).known().ok().unauthenticated().count(),
            fix: view.authentication_fix(facts),
            endpoints: vec![facts.endpoint.id],
        });
    }
}
