#![doc = include_str!("README.md")]

use std::collections::BTreeSet;

use outrider_model::{Severity, Sign};

use super::Descriptor;
use crate::inventory::{Mark, SignCount};
use crate::posture::view::{Facts, Findings, ServiceView, evidence, names};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "jwt_long_lived",
    title: "Long-lived tokens",
    summary: "Callers are let in by JSON Web Tokens that hold for very long or for ever.",
    owasp: "API2:2023",
    severity: Severity::Low,
    fix: "Give tokens that hold for minutes or hours, and have the gateway refuse others.",
    page: include_str!("README.md"),
};

/// A token that holds for thirty days is as good as one for ever.
const FOR_EVER_S: u32 = 30 * 86_400;

type Shown<'v> = Vec<(&'v Facts, &'v SignCount)>;

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    // Where tokens are given and renewed, one that holds for long is meant to be.
    let users = || view.called().filter(|facts| !facts.is_sign_in());
    let endless: Shown<'_> =
        users().filter_map(|facts| Some((facts, view.sign(facts, Sign::JwtWithoutExpiry)?))).collect();
    let long: Shown<'_> = users().filter_map(|facts| Some((facts, view.mark(facts, Mark::LongLivedToken)?))).collect();
    let sum = |shown: &Shown<'_>| shown.iter().map(|(_, count)| count.calls).sum::<u64>();
    let (endless_calls, long_calls) = (sum(&endless), sum(&long));
    if endless_calls + long_calls < u64::from(view.settings.calls_min) {
        return;
    }
    let all = || endless.iter().chain(&long);
    let longest_s = long.iter().filter_map(|(facts, _)| facts.seen.jwt_lifetime_s).max().unwrap_or_default();
    let shown: BTreeSet<String> = all().map(|(facts, _)| facts.name()).collect();
    let plugin = view
        .routes()
        .flat_map(|(configured, route)| configured.authentication(route).collect::<Vec<_>>())
        .find(|plugin| plugin.name == "jwt");
    findings.push(Found {
        subject: view.subject(),
        severity: if endless_calls > 0 || longest_s >= FOR_EVER_S { Severity::Medium } else { DESCRIPTOR.severity },
        last_seen_ms: all().map(|(_, count)| count.last_seen_ms).max().unwrap_or_default(),
        sentence: format!(
            "{} took tokens without an end in {endless_calls} calls, and in {long_calls} such as hold for up to {} hours: {}",
            view.name(),
            longest_s / 3_600,
            names(shown)
        ),
        evidence: vec![
            evidence("calls with a token without an end", endless_calls),
            evidence("calls with a token that holds for too long", long_calls),
            evidence("longest lifetime in seconds", longest_s),
        ],
        query: view.query().known().and("(array_has(signs, 'jwt_without_expiry') OR jwt_lifetime_s IS NOT NULL)").select(
            "current_endpoint_id, max(jwt_lifetime_s) AS longest_s, count(*) AS calls",
            "GROUP BY current_endpoint_id ORDER BY calls DESC LIMIT 20",
        ),
        fix: format!(
            "`PATCH /plugins/{}` with `config.claims_to_verify=exp` and `config.maximum_expiration=86400`, after the issuer gives tokens \
             that end sooner",
            plugin.map_or("{jwt plugin}", |plugin| plugin.id.as_str())
        ),
        endpoints: all().map(|(facts, _)| facts.endpoint.id).collect(),
    });
}
