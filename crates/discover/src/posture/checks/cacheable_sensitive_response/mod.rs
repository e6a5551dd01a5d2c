#![doc = include_str!("README.md")]

use outrider_model::{Severity, Sign};

use super::Descriptor;
use crate::inventory::Mark;
use crate::posture::view::{Facts, Findings, ServiceView, evidence};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "cacheable_sensitive_response",
    title: "Somebody's data in caches",
    summary: "Answers that are for one caller alone may be kept by caches that serve many.",
    owasp: "API8:2023",
    severity: Severity::Low,
    fix: "Send `cache-control: no-store` or `private` with answers that are somebody's.",
    page: include_str!("README.md"),
};

/// Of a hundred answers so many may be kept.
const PERCENT_MIN: u64 = 10;

/// Segments by which a caller asks for what is their own, with an answer that differs from caller to caller under one URL.
const OWN: &[&str] = &["me", "self", "whoami", "userinfo", "profile", "account", "wallet", "inbox"];

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    for facts in view.called().filter(|facts| matches!(facts.endpoint.key.method.as_str(), "GET" | "HEAD")) {
        let Some(kept) = view.sign(facts, Sign::Cacheable) else { continue };
        let is_often =
            kept.calls >= u64::from(view.settings.calls_min) && kept.calls * 100 >= facts.seen.known * PERCENT_MIN;
        let classes = facts.sensitive_names();
        let is_own = is_own(facts) && view.mark(facts, Mark::AuthenticatedOk).is_some();
        if !is_often || classes.is_empty() && !is_own {
            continue;
        }
        let severity = match (classes.is_empty(), facts.has_grave_data()) {
            (true, _) => DESCRIPTOR.severity,
            (false, false) => Severity::Medium,
            (false, true) => Severity::High,
        };
        findings.push(Found {
            subject: facts.subject(),
            severity,
            last_seen_ms: kept.last_seen_ms,
            sentence: format!(
                "{} let caches keep {} of {} answers, {}",
                facts.name(),
                kept.calls,
                facts.seen.known,
                if classes.is_empty() { "each of them one caller's own".to_owned() } else { format!("to calls with {}", classes.join(", ")) },
            ),
            evidence: vec![
                evidence("answers that caches may keep", kept.calls),
                evidence("answers", facts.seen.known),
                evidence("classes", if classes.is_empty() { "none seen".to_owned() } else { classes.join(", ") }),
            ],
            query: view.query_of(facts).known().sign(Sign::Cacheable).count(),
            fix: format!(
                "{}, `config.remove.headers=Cache-Control,Expires` and `config.add.headers=Cache-Control:no-store`; and leave the path out of \
                 `proxy-cache`",
                view.plugin_fix(facts, "response-transformer")
            ),
            endpoints: vec![facts.endpoint.id],
        });
    }
}

/// Whether its path, without a parameter, asks for what is the caller's own.
fn is_own(facts: &Facts) -> bool {
    let template = &facts.endpoint.key.template;
    !template.contains('{') && template.split('/').any(|segment| OWN.contains(&segment.to_ascii_lowercase().as_str()))
}
