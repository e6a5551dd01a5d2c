#![doc = include_str!("README.md")]

use outrider_model::Severity;

use super::Descriptor;
use crate::inventory::Mark;
use crate::posture::view::{Answers, Facts, Findings, ServiceView, evidence};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "oversized_responses",
    title: "Over-large answers",
    summary: "An endpoint answers with very much data at once, or with a whole list of which no part can be asked for.",
    owasp: "API4:2023",
    severity: Severity::Low,
    fix: "Give lists in parts, with a largest part, and leave out of an answer what nobody asked for.",
    page: include_str!("README.md"),
};

/// Of a hundred answers so many must be large.
const PERCENT_MIN: u64 = 5;

/// Words of paths that are there to be large.
const DOWNLOADS: &[&str] = &[
    "archive",
    "backup",
    "bulk",
    "download",
    "downloads",
    "dump",
    "export",
    "exports",
    "file",
    "files",
    "media",
    "stream",
];

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    for facts in view.called().filter(|facts| is_data(facts)) {
        let is_whole_list = facts.is_list() && !facts.is_paged;
        let mark = if is_whole_list { Mark::LongAnswer } else { Mark::LargeAnswer };
        let (Some(large), Some(ok)) = (view.mark(facts, mark), facts.seen.mark(Mark::AnsweredOk)) else { continue };
        let is_often = large.calls >= u64::from(view.settings.calls_min) && large.calls * 100 >= ok.calls * PERCENT_MIN;
        if !is_often {
            continue;
        }
        let is_open = view.mark(facts, Mark::UnauthenticatedOk).is_some();
        let is_sensitive = facts.sensitive().next().is_some();
        let bytes = facts.seen.response_bytes.map_or(0, |bytes| bytes.p95);
        findings.push(Found {
            subject: facts.subject(),
            severity: if is_open || is_sensitive { Severity::Medium } else { DESCRIPTOR.severity },
            last_seen_ms: large.last_seen_ms,
            sentence: format!(
                "{} answered {} of {} calls with very much at once, 95 of 100 with up to {bytes} bytes{}",
                facts.name(),
                large.calls,
                ok.calls,
                if is_whole_list { ", and takes no parameter that asks for a part" } else { "" },
            ),
            evidence: vec![
                evidence("large answers", large.calls),
                evidence("answers 2xx", ok.calls),
                evidence("bytes of an answer, 95th percentile", bytes),
                evidence("a part can be asked for", facts.is_paged),
                evidence("answers strangers", is_open),
            ],
            query: view.query_of(facts).known().ok().select(
                "count(*) AS calls, approx_percentile_cont(response_bytes, 0.95) AS p95, max(response_bytes) AS most",
                "",
            ),
            fix: "Take `limit` and `cursor` in the query, with a default and a most, and answer without them with the first part. What is \
                  sent to the API is bounded by Kong's `request-size-limiting`; what it answers only the API can bound."
                .to_owned(),
            endpoints: vec![facts.endpoint.id],
        });
    }
}

/// Whether it answers with data that somebody reads, and is not there to be downloaded.
fn is_data(facts: &Facts) -> bool {
    facts.answers == Some(Answers::Data) && !facts.words().any(|word| DOWNLOADS.contains(&word.as_str()))
}
