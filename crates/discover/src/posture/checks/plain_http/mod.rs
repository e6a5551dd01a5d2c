#![doc = include_str!("README.md")]

use outrider_model::{Severity, Sign};

use super::Descriptor;
use crate::inventory::Mark;
use crate::posture::view::{Findings, ServiceView, evidence, names};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "plain_http",
    title: "Plain HTTP",
    summary: "A service answers clients that speak to the gateway over plain HTTP.",
    owasp: "API8:2023",
    severity: Severity::Medium,
    fix: "Take `http` out of the protocols of its routes.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    let found = view.with_sign(Sign::PlainHttp);
    let calls: u64 = found.iter().map(|(_, count)| count.calls).sum();
    if calls < u64::from(view.settings.calls_min) {
        return;
    }
    let all: u64 = found.iter().map(|(facts, _)| facts.seen.known).sum();
    let has_secrets = found.iter().any(|(facts, _)| {
        view.mark(facts, Mark::AuthenticatedOk).is_some() || facts.is_sign_in() || facts.sensitive().next().is_some()
    });
    let shown = names(found.iter().map(|(facts, _)| facts.name()));
    findings.push(Found {
        subject: view.subject(),
        severity: if has_secrets { Severity::High } else { DESCRIPTOR.severity },
        last_seen_ms: found.iter().map(|(_, count)| count.last_seen_ms).max().unwrap_or_default(),
        sentence: format!(
            "{} answered {calls} of {all} calls over plain HTTP{}: {shown}",
            view.name(),
            if has_secrets { ", with credentials or personal data in them" } else { "" },
        ),
        evidence: vec![
            evidence("calls over plain HTTP", calls),
            evidence("endpoints", found.len()),
            evidence("with credentials or personal data", has_secrets),
        ],
        query: view.query().known().sign(Sign::PlainHttp).count(),
        fix: "For each of its routes `PATCH /routes/{route}` with `protocols=https` and `https_redirect_status_code=426`: a redirect \
              would come after the credential was sent. If a proxy in front of Kong ends TLS, add it to `trusted_ips`."
            .to_owned(),
        endpoints: found.iter().map(|(facts, _)| facts.endpoint.id).collect(),
    });
}
