#![doc = include_str!("README.md")]

use outrider_model::{Severity, Sign};

use super::Descriptor;
use crate::posture::view::{Findings, ServiceView, evidence, names};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "weak_tls",
    title: "Weak TLS",
    summary: "Clients reach a service by a version of TLS or a cipher that is broken.",
    owasp: "API8:2023",
    severity: Severity::Medium,
    fix: "Allow TLS 1.2 and newer with modern ciphers only.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    let (old, weak) = (view.with_sign(Sign::OldTls), view.with_sign(Sign::WeakCipher));
    let sum = |found: &[(_, &crate::inventory::SignCount)]| found.iter().map(|(_, count)| count.calls).sum::<u64>();
    let (old_calls, weak_calls) = (sum(&old), sum(&weak));
    if old_calls.max(weak_calls) < u64::from(view.settings.calls_min) {
        return;
    }
    let sign = if weak_calls > 0 { Sign::WeakCipher } else { Sign::OldTls };
    let both = || old.iter().chain(&weak);
    let shown: std::collections::BTreeSet<String> = both().map(|(facts, _)| facts.name()).collect();
    findings.push(Found {
        subject: view.subject(),
        severity: if weak_calls > 0 { Severity::High } else { DESCRIPTOR.severity },
        last_seen_ms: both().map(|(_, count)| count.last_seen_ms).max().unwrap_or_default(),
        sentence: format!(
            "{} answered {old_calls} calls over TLS before 1.2 and {weak_calls} with a broken cipher: {}",
            view.name(),
            names(shown)
        ),
        evidence: vec![
            evidence("calls over TLS before 1.2", old_calls),
            evidence("calls with a broken cipher", weak_calls),
        ],
        query: view.query().known().sign(sign).count(),
        fix: "In `kong.conf`: `ssl_cipher_suite = modern` or `intermediate`, and `ssl_protocols = TLSv1.2 TLSv1.3`"
            .to_owned(),
        endpoints: both().map(|(facts, _)| facts.endpoint.id).collect(),
    });
}
