//! The settings of a `kong_http_log` source.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::listener::Admission;
use super::super::reading::Lines;
use super::super::{AllowList, SourceTls, default_gateway, default_line_bytes_max, is_for_somebody, within};
use crate::framing::LINE_BYTES_MAX_RANGE;
use crate::normalise::{
    Normaliser, NormaliserSettings, SessionCarrier, SourceSecret, TrustedProxies, default_key_names,
};
use crate::{CollectError, FieldPolicies, FieldSettings, Identities, PseudonymKey};

/// What all bodies that are under way may take together. A request that finds no room is refused, and Kong sends it again.
pub(super) const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A port for Kong's HTTP Log plugin.
///
/// ```toml
/// [[collector.sources]]
/// kind = "kong_http_log"
/// listen = "127.0.0.1:9515"
/// gateway = "kong"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KongHttpLogConfig {
    /// Address and port to listen on. Off loopback an `allow` list is required.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The gateway's name, 1 to 64 characters. Lines of all nodes of one gateway belong to one name.
    #[serde(default = "default_gateway")]
    pub gateway: String,
    /// File (mode 0600) with the secret that requests carry as `authorization: Bearer SECRET`. A request without it is
    /// refused. Without a file whoever may connect is believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// Addresses and networks that may connect, such as `"10.0.0.7"` or `"10.0.0.0/24"`. Empty: whoever can reach a loopback
    /// address; required elsewhere.
    #[serde(default)]
    pub allow: AllowList,
    /// TLS, with a certificate: `{ certificate_file = "log.pem", key_file = "log.key" }`. Without it whatever comes is plain, and on
    /// the way everybody can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SourceTls>,
    /// Longest body in bytes, unpacked, 65536 to 67108864; a longer one is refused and counted.
    #[serde(default = "default_body_bytes_max")]
    pub body_bytes_max: usize,
    /// Longest line, an object of the body, in bytes, 1024 to 16777216; a longer one is discarded and counted.
    #[serde(default = "default_line_bytes_max")]
    pub line_bytes_max: usize,
    /// Most connections at a time, 1 to 100000; one more is closed at once and counted.
    #[serde(default = "default_connections_max")]
    pub connections_max: usize,
    /// Most connections from one address, 1 to 100000; one more is closed at once and counted. Kong has a few for each worker and plugin.
    #[serde(default = "default_connections_per_address_max")]
    pub connections_per_address_max: usize,
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

fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 9515))
}

fn default_body_bytes_max() -> usize {
    16 * 1024 * 1024
}

fn default_connections_max() -> usize {
    1000
}

fn default_connections_per_address_max() -> usize {
    500
}

impl Default for KongHttpLogConfig {
    fn default() -> Self {
        KongHttpLogConfig {
            listen: default_listen(),
            gateway: default_gateway(),
            secret_file: None,
            allow: AllowList::default(),
            tls: None,
            body_bytes_max: default_body_bytes_max(),
            line_bytes_max: default_line_bytes_max(),
            connections_max: default_connections_max(),
            connections_per_address_max: default_connections_per_address_max(),
            key_names: default_key_names(),
            session: None,
            field_policies: FieldPolicies::default(),
            pseudonymise: Identities::default(),
            trusted_proxies: None,
            drop: Vec::new(),
            fields: Vec::new(),
        }
    }
}

impl KongHttpLogConfig {
    /// Refuses what cannot be meant. Reads no file.
    pub fn validate(&self) -> Result<(), CollectError> {
        within("body_bytes_max", self.body_bytes_max, (64 * 1024, BODIES_BYTES_MAX))?;
        within("line_bytes_max", self.line_bytes_max, (*LINE_BYTES_MAX_RANGE.start(), *LINE_BYTES_MAX_RANGE.end()))?;
        within("connections_max", self.connections_max, (1, 100_000))?;
        within("connections_per_address_max", self.connections_per_address_max, (1, 100_000))?;
        is_for_somebody(self.listen, &self.allow)?;
        self.line_settings().validate()
    }

    pub(in super::super) fn lines(&self, key: PseudonymKey) -> Result<Lines, CollectError> {
        let secret = self.secret_file.as_deref().map(SourceSecret::load).transpose()?;
        Ok(Lines { normaliser: Normaliser::new(self.line_settings(), key)?, secret })
    }

    /// As [`crate::SourceConfig::take_over`].
    pub(in super::super) fn take_over(&mut self, other: &Self) {
        *self = KongHttpLogConfig {
            listen: self.listen,
            gateway: self.gateway.clone(),
            tls: self.tls.clone(),
            body_bytes_max: self.body_bytes_max,
            line_bytes_max: self.line_bytes_max,
            ..other.clone()
        };
    }

    pub(in super::super) fn admission(&self) -> Admission {
        Admission {
            allow: self.allow.clone(),
            connections_max: self.connections_max,
            connections_per_address_max: self.connections_per_address_max,
        }
    }

    /// A request proves where it comes from, so its lines need not.
    pub(in super::super) fn line_settings(&self) -> NormaliserSettings {
        NormaliserSettings {
            key_names: self.key_names.clone(),
            session: self.session.clone(),
            field_policies: self.field_policies.clone(),
            pseudonymise: self.pseudonymise.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            fields: self.fields.clone(),
            drop: self.drop.clone(),
            ..NormaliserSettings::new(self.gateway.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceConfig;

    fn read(toml: &str) -> Result<KongHttpLogConfig, String> {
        match toml::from_str(toml).map_err(|error| error.to_string())? {
            SourceConfig::KongHttpLog(config) => Ok(config),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_set_is_written_as_it_is_read_and_mistakes_are_refused() {
        let least = read("kind = \"kong_http_log\"").unwrap();
        assert_eq!(least, KongHttpLogConfig::default());
        least.validate().unwrap();
        assert!(least.listen.ip().is_loopback());
        let config = read(
            r#"
            kind = "kong_http_log"
            listen = "0.0.0.0:9515"
            gateway = "kong-eu"
            secret_file = "/etc/outrider/kong.secret"
            allow = ["10.0.0.0/24"]
            body_bytes_max = 1048576
            line_bytes_max = 65536
            connections_max = 5
            connections_per_address_max = 3
            tls = { certificate_file = "log.pem", key_file = "log.key" }
            key_names = ["x-partner-key"]
            session = { header = "x-session" }
            trusted_proxies = { networks = ["10.0.0.0/8", "192.0.2.1/32"], header = "forwarded" }
            "#,
        )
        .unwrap();
        config.validate().unwrap();
        let written = toml::to_string(&SourceConfig::KongHttpLog(config.clone())).unwrap();
        assert_eq!(read(&written).unwrap(), config);

        let unknown = read("kind = \"kong_http_log\"\nsecret_field = \"x\"").unwrap_err();
        assert!(unknown.contains("unknown field `secret_field`"), "{unknown}");
        let good = KongHttpLogConfig::default;
        for (config, expected) in [
            (KongHttpLogConfig { body_bytes_max: 1024, ..good() }, "`body_bytes_max`"),
            (KongHttpLogConfig { body_bytes_max: BODIES_BYTES_MAX + 1, ..good() }, "`body_bytes_max`"),
            (KongHttpLogConfig { line_bytes_max: 1, ..good() }, "`line_bytes_max`"),
            (KongHttpLogConfig { connections_max: 0, ..good() }, "`connections_max`"),
            (KongHttpLogConfig { connections_per_address_max: 0, ..good() }, "`connections_per_address_max`"),
            (KongHttpLogConfig { gateway: String::new(), ..good() }, "`gateway`"),
            (KongHttpLogConfig { listen: "0.0.0.0:1".parse().unwrap(), ..good() }, "no allow-list"),
        ] {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
