#![doc = include_str!("README.md")]

use outrider_classify::{DataClass, Family};
use outrider_model::Severity;

use super::Descriptor;
use crate::inventory::{Location, Mark};
use crate::posture::view::{Findings, ServiceView, evidence};
use crate::posture::weakness::Found;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "credentials_in_url",
    title: "Credentials in the URL",
    summary: "Clients send keys, tokens or passwords in the query or path, where logs and browsers keep them.",
    owasp: "API2:2023",
    severity: Severity::Medium,
    fix: "Take credentials from a header only.",
    page: include_str!("README.md"),
};

pub(super) fn check(view: &ServiceView<'_>, findings: &mut Findings) {
    for facts in view.called() {
        let key =
            view.mark(facts, Mark::CredentialInQuery).filter(|count| count.calls >= u64::from(view.settings.calls_min));
        let other = facts.seen.data_classes.iter().find(|count| {
            let is_secret = DataClass::named(&count.class).map(DataClass::family) == Some(Family::Credentials);
            let is_in_url = matches!(count.location, Location::Path | Location::Query);
            is_secret
                && is_in_url
                && count.is_decided
                && !view.settings.is_over(count.last_seen_ms, count.calls_since, view.now_ms)
        });
        let (what, calls, last_seen_ms, query) = match (key, other) {
            (Some(count), _) => {
                let carrier = facts.seen.key_carrier.as_ref().filter(|carrier| carrier.location == Location::Query);
                let what = carrier.map_or("the key".to_owned(), |carrier| format!("the key as `{}`", carrier.name));
                let query = view.query_of(facts).known().and("presented_credential IS NOT NULL");
                (what, count.calls, count.last_seen_ms, query)
            }
            (None, Some(count)) => {
                let what = format!("{} as `{}`", count.class, count.name);
                (what, count.values, count.last_seen_ms, view.query_of(facts).known().class(&count.class))
            }
            (None, None) => continue,
        };
        let query = match key.and(facts.seen.key_carrier.as_ref()) {
            Some(carrier) if carrier.location == Location::Query => query.key_in_query(&carrier.name),
            _ => query,
        };
        findings.push(Found {
            subject: facts.subject(),
            severity: DESCRIPTOR.severity,
            last_seen_ms,
            sentence: format!("{} was called {calls} times with {what} in the URL", facts.name()),
            evidence: vec![evidence("calls or values", calls), evidence("what", &what)],
            query: query.count(),
            fix: "`PATCH /plugins/{key-auth plugin}` with `config.key_in_query=false`, after clients send it as a header; then give \
                  them new keys. A `jwt` plugin takes `config.uri_param_names=` with nothing behind it."
                .to_owned(),
            endpoints: vec![facts.endpoint.id],
        });
    }
}
