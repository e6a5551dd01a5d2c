#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use outrider_model::Severity;

use super::Descriptor;
use crate::posture::query::Query;
use crate::posture::view::{Findings, GatewayView, evidence};
use crate::posture::weakness::{Found, WeakSubject};

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "dormant_consumer",
    title: "Dormant consumer",
    summary: "A consumer with a live credential has not called for a long time.",
    owasp: "API2:2023",
    severity: Severity::Low,
    fix: "Delete the credentials that nobody uses.",
    page: include_str!("README.md"),
};

const DAY_MS: i64 = 86_400_000;

pub(super) fn check(view: &GatewayView<'_>, findings: &mut Findings) {
    let days = i64::from(view.settings.dormant_days);
    let since_ms = view.now_ms - days * DAY_MS;
    let is_watched = view.callers.first_ms.is_some_and(|first_ms| first_ms <= since_ms);
    let configured = view.configured.filter(|configured| configured.is_whole());
    findings.is_unsure = configured.is_none() || view.callers.is_cut;
    let Some(configured) = configured.filter(|_| is_watched && !view.callers.is_cut) else { return };
    // Of each consumer how many credentials there are, and when the newest was made.
    let mut live: BTreeMap<&str, (usize, i64)> = BTreeMap::new();
    for credential in configured.credentials() {
        let (Some(consumer), Some(created_ms)) = (&credential.consumer_id, credential.created_ms) else { continue };
        let (count, newest_ms) = live.entry(consumer).or_insert((0, i64::MIN));
        (*count, *newest_ms) = (*count + 1, created_ms.max(*newest_ms));
    }
    for (consumer, (credentials, newest_ms)) in live {
        let last_ms = view.callers.consumers.get(consumer).copied();
        if newest_ms > since_ms || last_ms.is_some_and(|last_ms| last_ms > since_ms) {
            continue;
        }
        let all = &configured.snapshot.configuration.consumers;
        let name = all.iter().find(|one| one.id == consumer).and_then(|one| one.username.as_deref());
        findings.push(Found {
            subject: WeakSubject::Consumer { gateway: view.gateway.to_owned(), consumer: consumer.to_owned() },
            severity: DESCRIPTOR.severity,
            last_seen_ms: last_ms.unwrap_or(newest_ms),
            sentence: format!(
                "consumer {} has {credentials} live credentials and has not called for {days} days",
                name.unwrap_or(consumer)
            ),
            evidence: vec![
                evidence("live credentials", credentials),
                evidence("days without a call, at least", days),
            ],
            query: Query::of_gateway(view.gateway, "consumer_id", consumer).count(),
            fix: format!("`DELETE /consumers/{consumer}/{{plugin}}/{{credential}}` for each, or the consumer: `DELETE /consumers/{consumer}`"),
            endpoints: Vec::new(),
        });
    }
}
