#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::inventory::{Location, Mark, ValueType};
use crate::posture::view::{Findings, ServiceView, evidence};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "enumerable_object_ids",
    title: "Ids that can be counted through",
    summary: "Objects are named by numbers that follow one another, so that anybody can guess the next.",
    owasp: "API1:2023",
    severity: Severity::Low,
    fix: "Name objects by ids drawn at random, and check for each whether the caller may have it.",
    page: include_str!("README.md"),
};

/// Values of a parameter before it is told how dense they are.
const VALUES_MIN: u64 = 30;

/// Within the range of the ids there are at most so many numbers for each value that was read.
const SPARSE_MAX: u64 = 1_000;

/// Names of numbers that name no object, though they end a path.
const NO_IDS: &[&str] = &["day", "month", "year", "version", "amount", "zoom", "width", "height", "x", "y", "z"];

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    for facts in view.called() {
        let ids = facts.seen.parameters.iter().find(|parameter| {
            let name = parameter.name.to_ascii_lowercase();
            let is_id = match parameter.location {
                Location::Path => !NO_IDS.contains(&name.as_str()),
                _ => name == "id" || name.ends_with("_id") || name.ends_with("-id") || parameter.name.ends_with("Id"),
            };
            let Some(range) = parameter.range.filter(|_| parameter.value_type == ValueType::Integer) else {
                return false;
            };
            let span = range.most.abs_diff(range.least);
            is_id
                && parameter.calls >= VALUES_MIN
                && range.least >= 0
                && (VALUES_MIN / 2..=parameter.calls.saturating_mul(SPARSE_MAX)).contains(&span)
        });
        let Some(parameter) = ids else { continue };
        let Some(range) = parameter.range else { continue };
        let open = view.mark(facts, Mark::UnauthenticatedOk);
        let is_sensitive = facts.sensitive().next().is_some();
        let severity = match (open.is_some(), is_sensitive) {
            (true, true) => Severity::High,
            (true, false) | (false, true) => Severity::Medium,
            (false, false) => DESCRIPTOR.severity,
        };
        findings.push(Found {
            subject: facts.subject(),
            severity,
            last_seen_ms: parameter.last_seen_ms,
            sentence: format!(
                "{} names objects by `{}`, whole numbers from {} to {} in {} calls that were read{}",
                facts.name(),
                parameter.name,
                range.least,
                range.most,
                parameter.calls,
                if open.is_some() { ", and answers without authentication" } else { "" },
            ),
            evidence: vec![
                evidence("parameter", format!("{} in the {}", parameter.name, parameter.location.as_str())),
                evidence("from", range.least),
                evidence("to", range.most),
                evidence("calls that were read", parameter.calls),
            ],
            query: view.query_of(facts).known().select("count(*) AS calls, min(path), max(path)", ""),
            fix: "Name objects by UUIDs (version 4 or 7) in `{id}`, and have the API compare the object's owner with the consumer that Kong \
                  passes on in `X-Consumer-ID`."
                .to_owned(),
            endpoints: vec![facts.endpoint.id],
        });
    }
}
