//! `[[notify]]`: who is told of what.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use outrider_model::Severity;
use outrider_platform::notify::Destination;
use outrider_platform::store::DestinationRule;
use outrider_respond::notify::{MessageKind, WebhookSettings, new_secret};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::installation;

/// Destinations that there may be. Each has a task, and a row for each message.
const DESTINATIONS_MAX: usize = 32;

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum NotifyConfig {
    /// A signed webhook, after the Standard Webhooks specification.
    Webhook {
        /// Its name, for `outrider notify test` and the status.
        name: String,
        /// The address; `https`, or on this machine.
        url: String,
        /// The file with the secret. One that is not there is made, for this user alone.
        secret_file: PathBuf,
        /// A PEM file with certificate authorities to trust besides the system's.
        #[serde(default)]
        ca_file: Option<PathBuf>,
        /// Send in clear to another machine.
        #[serde(default)]
        allow_plain_http: bool,
        /// Alerts, and actions that came of one, at least this severe.
        #[serde(default = "everything")]
        severity_min: Severity,
        /// Only these messages; all where none are named.
        #[serde(default)]
        kinds: Vec<MessageKind>,
    },
}

fn everything() -> Severity {
    Severity::Info
}

impl NotifyConfig {
    /// Its name.
    pub fn name(&self) -> &str {
        let NotifyConfig::Webhook { name, .. } = self;
        name
    }

    /// The files that it names.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let NotifyConfig::Webhook { secret_file, ca_file, .. } = self;
        std::iter::once(secret_file).chain(ca_file)
    }

    /// The destination; makes its secret where there is none.
    pub fn destination(&self) -> anyhow::Result<Destination> {
        let NotifyConfig::Webhook { name, severity_min, kinds, secret_file, .. } = self;
        if !secret_file.exists() {
            let secret = new_secret(installation::random()?);
            installation::write_durably(secret_file, format!("{secret}\n").as_bytes())?;
            tracing::info!(file = %secret_file.display(), destination = name, "a webhook secret was made; give it to the receiver");
        }
        let rule = DestinationRule { name: name.clone(), severity_min: *severity_min, kinds: kinds.clone() };
        Ok(Destination { rule, webhook: self.webhook() })
    }

    fn webhook(&self) -> WebhookSettings {
        let NotifyConfig::Webhook { url, secret_file, ca_file, allow_plain_http, .. } = self;
        WebhookSettings {
            url: url.clone(),
            secret_file: secret_file.clone(),
            ca_file: ca_file.clone(),
            allow_plain_http: *allow_plain_http,
        }
    }
}

/// Refuses what cannot be meant.
pub(super) fn check(all: &[NotifyConfig]) -> anyhow::Result<()> {
    ensure!(all.len() <= DESTINATIONS_MAX, "notify: there may be at most {DESTINATIONS_MAX}");
    let mut names = BTreeSet::new();
    for one in all {
        let name = one.name();
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let is_good = (1..=64).contains(&name.len()) && name.bytes().all(good);
        ensure!(is_good, "notify: name `{name}` is not valid: use 1 to 64 of letters, digits, `-`, `_` and `.`");
        ensure!(names.insert(name), "notify: `{name}` is there twice");
        one.webhook().validate().with_context(|| format!("notify `{name}`"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn destinations_are_checked() {
        let good =
            "[[notify]]\nkind = 'webhook'\nname = 'on-call'\nurl = 'https://hooks.example/x'\nsecret_file = 's'\n";
        let cases = [
            (String::new(), ""),
            ("severity_min = 'high'\nkinds = ['alert.opened', 'notice.opened']".to_owned(), ""),
            ("kinds = ['alert.open']".to_owned(), "did you mean `alert.opened`?"),
            ("severty_min = 'high'".to_owned(), "did you mean `severity_min`?"),
            (good.to_owned(), "`on-call` is there twice"),
            (good.replace("on-call", "on call"), "name `on call` is not valid"),
            (good.replace("on-call", "b").replace("https", "http"), "notify `b`: the url is not usable"),
        ];
        for (more, expected) in cases {
            let text = format!("{good}{more}");
            match Config::parse(&text) {
                Ok(config) => assert!(expected.is_empty() && config.notify.len() == 1, "{text}"),
                Err(error) => {
                    let error = format!("{error:#}");
                    assert!(!expected.is_empty() && error.contains(expected), "{text}: {error}");
                }
            }
        }
    }
}
