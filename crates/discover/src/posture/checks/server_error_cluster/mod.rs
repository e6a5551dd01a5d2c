#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::posture::view::{Findings, ServiceView, evidence};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "server_error_cluster",
    title: "Cluster of server errors",
    summary: "An endpoint fails by itself in a large part of its latest calls.",
    owasp: "API8:2023",
    severity: Severity::Low,
    fix: "Find what makes it fail, and answer wrong requests with 4xx.",
    page: include_str!("README.md"),
};

/// Failures before a share is worked out.
const ERRORS_MIN: u64 = 10;

/// Of a hundred calls so many failures make it worse.
const MOST_PERCENT: u64 = 50;

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    for facts in view.endpoints.values().filter(|facts| facts.seen.known > 0 && !facts.endpoint.provisional) {
        let (calls, errors) = facts.errors.latest();
        let is_cluster = calls >= u64::from(view.settings.calls_min)
            && errors >= ERRORS_MIN
            && errors * 100 >= calls * u64::from(view.settings.server_errors_percent);
        if !is_cluster || view.settings.is_over(facts.errors.last_ms, 0, view.now_ms) {
            continue;
        }
        let is_most = errors * 100 >= calls * MOST_PERCENT;
        findings.push(Found {
            subject: facts.subject(),
            severity: if is_most { Severity::Medium } else { DESCRIPTOR.severity },
            last_seen_ms: facts.errors.last_ms,
            sentence: format!("{} failed in {errors} of its latest {calls} calls", facts.name()),
            evidence: vec![evidence("latest calls", calls), evidence("of those failed", errors)],
            query: view.query_of(facts).and("trusted AND own_refusal IS NULL AND status >= 500 AND status NOT IN (502, 503, 504)").select(
                "status, count(*) AS calls, min(event_time) AS first_time, max(event_time) AS last_time",
                "GROUP BY status ORDER BY calls DESC",
            ),
            fix: "See what the API logged for these calls, by the header `X-Kong-Request-Id` that Kong passes on (`headers_upstream` in \
                  `kong.conf`). Check requests before they are worked on: `request-validator` at Kong or in the API, and answer 400."
                .to_owned(),
            endpoints: vec![facts.endpoint.id],
        });
    }
}
