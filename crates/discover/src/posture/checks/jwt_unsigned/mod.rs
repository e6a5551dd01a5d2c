#![doc = include_str!("README.md")]

use outrider_model::{Severity, Sign};

use super::Descriptor;
use crate::inventory::Mark;
use crate::posture::view::{Findings, ServiceView, evidence};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "jwt_unsigned",
    title: "Unsigned tokens accepted",
    summary: "An endpoint that asks who calls answered callers whose token nobody had signed.",
    owasp: "API2:2023",
    severity: Severity::Critical,
    fix: "Refuse tokens with `alg` none, and list the algorithms that are taken.",
    page: include_str!("README.md"),
};

/// Answers before it is told: anybody may write a token, so that a few that let in say it all.
const ANSWERS_MIN: u64 = 3;

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    for facts in view.endpoints.values().filter(|facts| !facts.endpoint.provisional) {
        let let_in = view.mark(facts, Mark::UnsignedTokenOk).filter(|count| count.calls >= ANSWERS_MIN);
        let Some(let_in) = let_in else { continue };
        // Who answers strangers, too, need not have looked at the token.
        if facts.seen.mark(Mark::UnauthenticatedOk).is_some() || facts.is_public_by_nature() {
            continue;
        }
        findings.push(Found {
            subject: facts.subject(),
            severity: DESCRIPTOR.severity,
            last_seen_ms: let_in.last_seen_ms,
            sentence: format!(
                "{} answered {} calls with 2xx whose only proof was a token that nobody had signed",
                facts.name(),
                let_in.calls
            ),
            evidence: vec![
                evidence("calls with an unsigned token answered 2xx", let_in.calls),
                evidence("calls without any token answered 2xx", 0),
            ],
            query: view.query_of(facts).known().ok().sign(Sign::JwtUnsigned).and("credential_id IS NULL").count(),
            fix: format!(
                "{} has Kong check signatures before the API does; in the API, name the algorithms that are taken (`RS256`, `ES256`) and \
                 refuse all others",
                view.plugin_fix(facts, "jwt")
            ),
            endpoints: vec![facts.endpoint.id],
        });
    }
}
