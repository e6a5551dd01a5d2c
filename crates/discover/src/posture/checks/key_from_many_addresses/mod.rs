#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::posture::query::Query;
use crate::posture::view::{Findings, GatewayView, evidence};
use crate::posture::weakness::{Found, WeakSubject};

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "key_from_many_addresses",
    title: "Key in many hands",
    summary: "One credential is used from many networks within an hour.",
    owasp: "API2:2023",
    severity: Severity::Medium,
    fix: "Give each client a key of its own, and replace this one.",
    page: include_str!("README.md"),
};

const HOUR_MS: i64 = 3_600_000;

pub(super) fn check(view: &GatewayView<'_>, findings: &mut Findings) {
    for (credential, seen) in &view.callers.credentials {
        let busiest = seen.busiest();
        let is_many =
            busiest.networks > view.settings.networks_per_credential_max && busiest.calls >= view.settings.calls_min;
        if !is_many || view.settings.is_over(busiest.hour.saturating_add(1) * HOUR_MS, u64::MAX, view.now_ms) {
            continue;
        }
        let column = if credential.starts_with("ps_") { "presented_credential" } else { "credential_id" };
        let rest = "GROUP BY hour ORDER BY addresses DESC LIMIT 10";
        findings.push(Found {
            subject: WeakSubject::Credential { gateway: view.gateway.to_owned(), credential: credential.to_string() },
            severity: DESCRIPTOR.severity,
            last_seen_ms: seen.last_ms,
            sentence: format!(
                "one credential was used from about {} networks within an hour, in {} calls",
                busiest.networks, busiest.calls
            ),
            evidence: vec![
                evidence("networks within an hour, about", busiest.networks),
                evidence("calls in that hour", busiest.calls),
            ],
            query: Query::of_gateway(view.gateway, column, credential)
                .select("date_trunc('hour', event_time) AS hour, count(DISTINCT client_ip) AS addresses, count(*) AS calls", rest),
            fix: "Make a key for each client (`POST /consumers/{consumer}/key-auth`), then `DELETE` this one; or restrict where it is \
                  used from with `ip-restriction`."
                .to_owned(),
            endpoints: Vec::new(),
        });
    }
}
