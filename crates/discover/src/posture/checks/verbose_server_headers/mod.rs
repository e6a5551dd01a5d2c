#![doc = include_str!("README.md")]

use outrider_model::{Severity, Sign};

use super::Descriptor;
use crate::inventory::SignCount;
use crate::posture::view::{Facts, Findings, ServiceView, evidence, names};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "verbose_server_headers",
    title: "Talkative headers",
    summary: "Answers name the programs behind the API with their versions.",
    owasp: "API8:2023",
    severity: Severity::Low,
    fix: "Take versions out of the answers' headers.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    let sum = |found: &[(&Facts, &SignCount)]| found.iter().map(|(_, count)| count.calls).sum::<u64>();
    let upstream = view.with_sign(Sign::UpstreamVersion);
    let gateway = view.with_sign(Sign::GatewayVersion);
    let calls_min = u64::from(view.settings.calls_min);
    let (by_upstream, by_gateway) = (sum(&upstream), sum(&gateway));
    let (found, sign, severity, fix) = if by_upstream >= calls_min {
        let fix = format!(
            "`POST /services/{}/plugins` with `name=response-transformer` and `config.remove.headers=Server,X-Powered-By,X-AspNet-Version`, \
             or take them out where the API sets them",
            view.key.service
        );
        (upstream, Sign::UpstreamVersion, DESCRIPTOR.severity, fix)
    } else if by_gateway >= calls_min {
        let fix = "In `kong.conf`: `headers = latency_tokens`, or `headers = off`".to_owned();
        (gateway, Sign::GatewayVersion, Severity::Info, fix)
    } else {
        return;
    };
    findings.push(Found {
        subject: view.subject(),
        severity,
        last_seen_ms: found.iter().map(|(_, count)| count.last_seen_ms).max().unwrap_or_default(),
        sentence: format!(
            "{} answers of {} name a program with its version, and {} the gateway's: {}",
            by_upstream,
            view.name(),
            by_gateway,
            names(found.iter().map(|(facts, _)| facts.name()))
        ),
        evidence: vec![
            evidence("answers with the version of a program behind", by_upstream),
            evidence("answers with the gateway's version", by_gateway),
        ],
        query: view.query().known().sign(sign).count(),
        fix,
        endpoints: found.iter().map(|(facts, _)| facts.endpoint.id).collect(),
    });
}
