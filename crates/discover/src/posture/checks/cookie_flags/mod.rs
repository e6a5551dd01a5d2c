#![doc = include_str!("README.md")]

use outrider_model::{Severity, Sign};

use super::Descriptor;
use crate::inventory::AuthKind;
use crate::posture::view::{Facts, Findings, ServiceView, evidence, names};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "cookie_flags",
    title: "Cookies without flags",
    summary: "Answers set cookies without the flags that keep them from others.",
    owasp: "API8:2023",
    severity: Severity::Low,
    fix: "Set `Secure`, `HttpOnly` and `SameSite` on each cookie that lets somebody in.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    let calls_min = u64::from(view.settings.calls_min);
    let has_sessions = view
        .called()
        .any(|facts| facts.seen.auth.iter().any(|count| count.kind == AuthKind::Session && count.calls >= calls_min));
    // A cookie that lets nobody in may be for scripts, and may go along from other sites.
    let lets_in = |facts: &Facts| has_sessions || facts.is_sign_in();
    let of = |sign: Sign, is_any: bool| {
        let found: Vec<_> = view.with_sign(sign).into_iter().filter(|(facts, _)| is_any || lets_in(facts)).collect();
        let calls: u64 = found.iter().map(|(_, count)| count.calls).sum();
        if calls >= calls_min { (calls, found) } else { (0, Vec::new()) }
    };
    let (insecure, in_clear) = of(Sign::CookieWithoutSecure, true);
    let (readable, by_scripts) = of(Sign::CookieWithoutHttpOnly, false);
    let (anywhere, from_elsewhere) = of(Sign::CookieWithoutSameSite, false);
    let all = || in_clear.iter().chain(&by_scripts).chain(&from_elsewhere);
    let Some(last_seen_ms) = all().map(|(_, count)| count.last_seen_ms).max() else { return };
    let sign = match (insecure, readable) {
        (0, 0) => Sign::CookieWithoutSameSite,
        (0, _) => Sign::CookieWithoutHttpOnly,
        _ => Sign::CookieWithoutSecure,
    };
    let shown: std::collections::BTreeSet<String> = all().map(|(facts, _)| facts.name()).collect();
    findings.push(Found {
        subject: view.subject(),
        severity: if insecure + readable > 0 { DESCRIPTOR.severity } else { Severity::Info },
        last_seen_ms,
        sentence: format!(
            "{} set cookies without Secure in {insecure} answers, without HttpOnly in {readable} and without SameSite in {anywhere}: {}",
            view.name(),
            names(shown)
        ),
        evidence: vec![
            evidence("answers with a cookie without Secure", insecure),
            evidence("answers with a cookie that lets in without HttpOnly", readable),
            evidence("answers with a cookie that lets in without SameSite", anywhere),
        ],
        query: view.query().known().sign(sign).count(),
        fix: "`Set-Cookie: …; Secure; HttpOnly; SameSite=Lax` where the API sets it. Where Kong's `session` plugin does: \
              `PATCH /plugins/{session plugin}` with `config.cookie_secure=true`, `config.cookie_http_only=true` and \
              `config.cookie_same_site=Strict`."
            .to_owned(),
        endpoints: all().map(|(facts, _)| facts.endpoint.id).collect(),
    });
}
