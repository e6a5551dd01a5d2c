#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::inventory::{Location, is_sensitive};
use crate::posture::view::{Findings, ServiceView, evidence};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "personal_data_in_url",
    title: "Personal data in the URL",
    summary: "A path or query carries data of a person, which logs and browsers keep.",
    owasp: "API3:2023",
    severity: Severity::Medium,
    fix: "Name people by an id of your own, and send what is theirs in the body.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    for facts in view.called() {
        let counts = facts.seen.data_classes.iter().filter(|count| {
            let is_in_url = matches!(count.location, Location::Path | Location::Query);
            is_in_url
                && count.is_decided
                && is_sensitive(&count.class)
                && !matches!(count.class.as_str(), "coordinates" | "postal_code")
                && !view.settings.is_over(count.last_seen_ms, count.calls_since, view.now_ms)
        });
        let counts: Vec<_> = counts.collect();
        let Some(most) = counts.iter().max_by_key(|count| count.values) else { continue };
        let words: Vec<String> = counts
            .iter()
            .map(|count| format!("{} as `{}` of the {}", count.class, count.name, count.location.as_str()))
            .collect();
        let classes: Vec<String> = counts.iter().map(|count| count.class.clone()).collect();
        findings.push(Found {
            subject: facts.subject(),
            severity: if facts.has_grave_data() { Severity::High } else { DESCRIPTOR.severity },
            last_seen_ms: counts.iter().map(|count| count.last_seen_ms).max().unwrap_or_default(),
            sentence: format!(
                "{} carries {}: {} of {} values that were read",
                facts.name(),
                words.join(", "),
                most.values,
                most.of
            ),
            evidence: counts
                .iter()
                .map(|count| {
                    let value = format!("{} of {} values, at least {} different", count.values, count.of, count.distinct);
                    evidence(&format!("{} in {}", count.class, count.name), value)
                })
                .collect(),
            query: view.query_of(facts).known().classes(&classes).count(),
            fix: "Take an id of your own, such as `{customer_id}`, into the path, and what is personal into the body of a `POST`. What \
                  was logged so far in proxies and at Kong (`access_log`) is to be deleted."
                .to_owned(),
            endpoints: vec![facts.endpoint.id],
        });
    }
}
