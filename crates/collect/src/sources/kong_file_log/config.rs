//! The settings of a `kong_file_log` source.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::reading::Lines;
use super::super::{default_gateway, default_line_bytes_max, default_secret_field, within};
use crate::framing::LINE_BYTES_MAX_RANGE;
use crate::normalise::{
    Normaliser, NormaliserSettings, SessionCarrier, SourceSecret, TrustedProxies, default_key_names,
};
use crate::{CollectError, FieldPolicies, FieldSettings, Identities, PseudonymKey};

/// A file that Kong's File Log plugin writes.
///
/// ```toml
/// [[collector.sources]]
/// kind = "kong_file_log"
/// path = "/var/log/kong/calls.log"
/// gateway = "kong"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KongFileLogConfig {
    /// The file, as the plugin names it. It need not be there yet, and may be rotated.
    pub path: PathBuf,
    /// The gateway's name, 1 to 64 characters. Lines of all nodes of one gateway belong to one name.
    #[serde(default = "default_gateway")]
    pub gateway: String,
    /// Where to begin in a file that is there when the source looks for the first time: `"end"` or `"beginning"`. Whatever
    /// comes later is read from where the source was, and a new file from its beginning.
    #[serde(default)]
    pub start: FileStart,
    /// File (mode 0600) with the secret that lines carry in `secret_field`. Lines without it count as untrusted: they are
    /// stored, train no profile and lead to proposals only. Without a file every line is trusted, so whoever can write to
    /// the log is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// Top-level field of the line that carries the secret.
    #[serde(default = "default_secret_field")]
    pub secret_field: String,
    /// Longest line in bytes, 1024 to 16777216; a longer one is discarded and counted.
    #[serde(default = "default_line_bytes_max")]
    pub line_bytes_max: usize,
    /// How long to wait between two looks at a file of which everything is read, 10 to 60000 ms.
    #[serde(default = "default_poll_ms")]
    pub poll_ms: u64,
    /// Names of the headers and query fields in which clients present keys, most telling first: Kong's `key_names`.
    #[serde(default = "default_key_names")]
    pub key_names: Vec<String>,
    /// What carries the session: `{ cookie = "sid" }`, `{ header = "x-session" }`, `{ query = "sid" }` or, for a mapped field,
    /// `{ field = "sid" }`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionCarrier>,
    /// What is done with single fields, `keep`, `pseudonymise`, `mask` or `drop`: `{ query = { q = "keep" }, header = { x-employee =
    /// "mask" }, cookie = { theme = "keep" } }`. Default: none is named, and all are treated alike.
    #[serde(default, skip_serializing_if = "FieldPolicies::is_empty")]
    pub field_policies: FieldPolicies,
    /// What leaves as a pseudonym of what leaves in clear otherwise, besides what the whole file says.
    #[serde(default, skip_serializing_if = "Identities::is_empty")]
    pub pseudonymise: Identities,
    /// The proxies in front of the gateway, where it logs them as its clients: `{ networks = ["10.0.0.0/24"] }`. Of a call by one
    /// of these the client is the last address in `x-forwarded-for` that is none; `header = "forwarded"` names another header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_proxies: Option<TrustedProxies>,
    /// What of the line does not leave, such as `line.request.headers["x-debug"]`. Fields are mapped before. At most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// What else of the line becomes a field of the call: a `name`, and a `value` in CEL. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldSettings>,
}

/// Where to begin in a file that was there before the source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileStart {
    /// With what is written from now on: lines of long ago would count as calls of fifteen minutes ago.
    #[default]
    End,
    /// With all that is there.
    Beginning,
}

fn default_poll_ms() -> u64 {
    250
}

impl KongFileLogConfig {
    /// The settings of a file where everything else is as it is by default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        KongFileLogConfig {
            path: path.into(),
            gateway: default_gateway(),
            start: FileStart::default(),
            secret_file: None,
            secret_field: default_secret_field(),
            line_bytes_max: default_line_bytes_max(),
            poll_ms: default_poll_ms(),
            key_names: default_key_names(),
            session: None,
            field_policies: FieldPolicies::default(),
            pseudonymise: Identities::default(),
            trusted_proxies: None,
            drop: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// Refuses what cannot be meant. Reads no file.
    pub fn validate(&self) -> Result<(), CollectError> {
        if self.path.file_name().is_none() {
            let reason = "name the file that Kong's File Log plugin writes".to_owned();
            return Err(CollectError::Setting { setting: "path", reason });
        }
        within("line_bytes_max", self.line_bytes_max, (*LINE_BYTES_MAX_RANGE.start(), *LINE_BYTES_MAX_RANGE.end()))?;
        within("poll_ms", self.poll_ms, (10, 60_000))?;
        self.line_settings().validate()
    }

    /// The settings of this source's [`crate::Normaliser`]; reads the secret's file.
    pub(super) fn normaliser_settings(&self) -> Result<NormaliserSettings, CollectError> {
        let secret = self.secret_file.as_deref().map(SourceSecret::load).transpose()?;
        Ok(NormaliserSettings { secret, ..self.line_settings() })
    }

    pub(in super::super) fn lines(&self, key: PseudonymKey) -> Result<Lines, CollectError> {
        Ok(Lines { normaliser: Normaliser::new(self.normaliser_settings()?, key)?, secret: None })
    }

    /// As [`crate::SourceConfig::take_over`].
    pub(in super::super) fn take_over(&mut self, other: &Self) {
        *self = KongFileLogConfig {
            path: self.path.clone(),
            gateway: self.gateway.clone(),
            start: self.start,
            line_bytes_max: self.line_bytes_max,
            poll_ms: self.poll_ms,
            ..other.clone()
        };
    }

    pub(in super::super) fn line_settings(&self) -> NormaliserSettings {
        NormaliserSettings {
            gateway: self.gateway.clone(),
            secret: None,
            secret_field: self.secret_field.clone(),
            key_names: self.key_names.clone(),
            session: self.session.clone(),
            field_policies: self.field_policies.clone(),
            pseudonymise: self.pseudonymise.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            fields: self.fields.clone(),
            drop: self.drop.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceConfig;

    fn read(toml: &str) -> Result<KongFileLogConfig, String> {
        match toml::from_str(toml).map_err(|error| error.to_string())? {
            SourceConfig::KongFileLog(config) => Ok(config),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_set_is_written_as_it_is_read_and_mistakes_are_refused() {
        let least = read("kind = \"kong_file_log\"\npath = \"/var/log/calls.log\"").unwrap();
        assert_eq!(least, KongFileLogConfig::new("/var/log/calls.log"));
        least.validate().unwrap();
        let config = read(
            r#"
            kind = "kong_file_log"
            path = "calls.log"
            gateway = "kong-eu"
            start = "beginning"
            secret_file = "/etc/outrider/kong.secret"
            secret_field = "proof"
            line_bytes_max = 65536
            poll_ms = 1000
            key_names = ["x-partner-key"]
            session = { header = "x-session" }
            trusted_proxies = { networks = ["10.0.0.0/8", "192.0.2.1/32"], header = "forwarded" }
            "#,
        )
        .unwrap();
        config.validate().unwrap();
        let written = toml::to_string(&SourceConfig::KongFileLog(config.clone())).unwrap();
        assert_eq!(read(&written).unwrap(), config);

        for (toml, expected) in [
            ("kind = \"kong_file_log\"", "missing field `path`"),
            ("kind = \"kong_file_log\"\npath = \"a\"\nlisten = \"127.0.0.1:1\"", "unknown field `listen`"),
            ("kind = \"kong_file_log\"\npath = \"a\"\nallow = []", "unknown field `allow`"),
            ("kind = \"kong_file_log\"\npath = \"a\"\nstart = \"middle\"", "unknown variant `middle`"),
        ] {
            let error = read(toml).unwrap_err();
            assert!(error.contains(expected), "{toml}: {error}");
        }
        let good = || KongFileLogConfig::new("calls.log");
        for (config, expected) in [
            (KongFileLogConfig::new(""), "`path`"),
            (KongFileLogConfig::new("/var/log/.."), "`path`"),
            (KongFileLogConfig { poll_ms: 9, ..good() }, "`poll_ms`"),
            (KongFileLogConfig { line_bytes_max: 1, ..good() }, "`line_bytes_max`"),
            (KongFileLogConfig { gateway: String::new(), ..good() }, "`gateway`"),
            (KongFileLogConfig { secret_field: "request".to_owned(), ..good() }, "`secret_field`"),
        ] {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
