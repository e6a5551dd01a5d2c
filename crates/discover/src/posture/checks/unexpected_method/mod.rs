#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::inventory::Mark;
use crate::posture::outline::Documented;
use crate::posture::view::{Findings, ServiceView, evidence};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "unexpected_method",
    title: "Unexpected method",
    summary: "A path answers a method that no client needs or that its document does not have.",
    owasp: "API8:2023",
    severity: Severity::Medium,
    fix: "Let only the methods through that the API means to have.",
    page: include_str!("README.md"),
};

/// Answers to a method that no client needs before it is told.
const ANSWERS_MIN: u64 = 3;

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    for facts in view.endpoints.values().filter(|facts| !facts.endpoint.provisional) {
        let Some(ok) = view.mark(facts, Mark::AnsweredOk) else { continue };
        let method = &facts.endpoint.key.method;
        let is_undocumented = view.documented.get(&facts.endpoint.id) == Some(&Documented::OtherMethod)
            && !matches!(method.as_str(), "OPTIONS" | "HEAD");
        let (is_found, why) = match facts.has_probing_method() {
            true => (ok.calls >= ANSWERS_MIN, "a method that no client needs"),
            false => (is_undocumented && view.is_called(facts), "a method that the document does not have"),
        };
        if !is_found || view.is_gone(facts) {
            continue;
        }
        findings.push(Found {
            subject: facts.subject(),
            severity: if is_undocumented && facts.is_writing() { Severity::High } else { DESCRIPTOR.severity },
            last_seen_ms: ok.last_seen_ms,
            sentence: format!("{} answered {} calls with 2xx: {why} for this path", facts.name(), ok.calls),
            evidence: vec![
                evidence("calls answered 2xx", ok.calls),
                evidence("consumers", facts.seen.consumers),
                evidence("why", why),
            ],
            query: view.query_of(facts).known().ok().select(
                "client_ip, consumer_id, count(*) AS calls, max(event_time) AS last_time",
                "GROUP BY client_ip, consumer_id ORDER BY calls DESC LIMIT 20",
            ),
            fix: format!(
                "`PATCH /routes/{}` with `methods=` those that are meant, without {method}",
                facts.seen.routes.first().map_or("{route}", |count| count.name.as_str()),
            ),
            endpoints: vec![facts.endpoint.id],
        });
    }
}
