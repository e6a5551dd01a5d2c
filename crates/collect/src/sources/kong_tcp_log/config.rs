//! The settings of a `kong_tcp_log` source.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::listener::Admission;
use super::super::reading::Lines;
use super::super::{
    AllowList, SourceTls, default_gateway, default_line_bytes_max, default_secret_field, is_for_somebody, within,
};
use crate::framing::LINE_BYTES_MAX_RANGE;
use crate::normalise::{
    Normaliser, NormaliserSettings, SessionCarrier, SourceSecret, TrustedProxies, default_key_names,
};
use crate::{CollectError, FieldPolicies, FieldSettings, Identities, PseudonymKey};

/// A port for Kong's TCP Log plugin.
///
/// ```toml
/// [[collector.sources]]
/// kind = "kong_tcp_log"
/// listen = "127.0.0.1:9514"
/// gateway = "kong"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KongTcpLogConfig {
    /// Address and port to listen on. Off loopback an `allow` list is required.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The gateway's name, 1 to 64 characters. Lines of all nodes of one gateway belong to one name.
    #[serde(default = "default_gateway")]
    pub gateway: String,
    /// File (mode 0600) with the secret that lines carry in `secret_field`. Lines without it count as untrusted: they are
    /// stored, train no profile and lead to proposals only. Without a file every line is trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// Top-level field of the line that carries the secret.
    #[serde(default = "default_secret_field")]
    pub secret_field: String,
    /// Addresses and networks that may connect, such as `"10.0.0.7"` or `"10.0.0.0/24"`. Empty: whoever can reach a loopback
    /// address; required elsewhere.
    #[serde(default)]
    pub allow: AllowList,
    /// TLS, with a certificate: `{ certificate_file = "log.pem", key_file = "log.key" }`. Without it whatever comes is plain, and on
    /// the way everybody can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SourceTls>,
    /// Longest line in bytes, 1024 to 16777216; a longer one is discarded and counted.
    #[serde(default = "default_line_bytes_max")]
    pub line_bytes_max: usize,
    /// Most connections at a time, 1 to 100000; one more is closed at once and counted.
    #[serde(default = "default_connections_max")]
    pub connections_max: usize,
    /// Most connections from one address, 1 to 100000; one more is closed at once and counted. Kong's workers keep up to 256 each, and twice as many around a
    /// reload.
    #[serde(default = "default_connections_per_address_max")]
    pub connections_per_address_max: usize,
    /// A batch is handed on when it has so many calls, 1 to 65536.
    #[serde(default = "default_batch_calls_max")]
    pub batch_calls_max: u32,
    /// A batch is handed on when it has so many bytes, 1024 to 16777216.
    #[serde(default = "default_batch_bytes_max")]
    pub batch_bytes_max: usize,
    /// A batch is handed on when its first call has waited so long, 1 to 1000 ms.
    #[serde(default = "default_batch_wait_ms")]
    pub batch_wait_ms: u64,
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
    SocketAddr::from((Ipv4Addr::LOCALHOST, 9514))
}

fn default_connections_max() -> usize {
    10_000
}

fn default_connections_per_address_max() -> usize {
    5000
}

fn default_batch_calls_max() -> u32 {
    1024
}

fn default_batch_bytes_max() -> usize {
    1024 * 1024
}

fn default_batch_wait_ms() -> u64 {
    10
}

impl Default for KongTcpLogConfig {
    fn default() -> Self {
        KongTcpLogConfig {
            listen: default_listen(),
            gateway: default_gateway(),
            secret_file: None,
            secret_field: default_secret_field(),
            allow: AllowList::default(),
            tls: None,
            line_bytes_max: default_line_bytes_max(),
            connections_max: default_connections_max(),
            connections_per_address_max: default_connections_per_address_max(),
            batch_calls_max: default_batch_calls_max(),
            batch_bytes_max: default_batch_bytes_max(),
            batch_wait_ms: default_batch_wait_ms(),
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

impl KongTcpLogConfig {
    /// Refuses what cannot be meant. Reads no file.
    pub fn validate(&self) -> Result<(), CollectError> {
        within("line_bytes_max", self.line_bytes_max, (*LINE_BYTES_MAX_RANGE.start(), *LINE_BYTES_MAX_RANGE.end()))?;
        within("connections_max", self.connections_max, (1, 100_000))?;
        within("connections_per_address_max", self.connections_per_address_max, (1, 100_000))?;
        within("batch_calls_max", self.batch_calls_max, (1, 65_536))?;
        within("batch_bytes_max", self.batch_bytes_max, (1024, 16 * 1024 * 1024))?;
        within("batch_wait_ms", self.batch_wait_ms, (1, 1000))?;
        is_for_somebody(self.listen, &self.allow)?;
        self.line_settings().validate()
    }

    /// The settings of this source's [`crate::Normaliser`]; reads the secret's file.
    pub fn normaliser_settings(&self) -> Result<NormaliserSettings, CollectError> {
        let secret = self.secret_file.as_deref().map(SourceSecret::load).transpose()?;
        Ok(NormaliserSettings { secret, ..self.line_settings() })
    }

    pub(in super::super) fn lines(&self, key: PseudonymKey) -> Result<Lines, CollectError> {
        Ok(Lines { normaliser: Normaliser::new(self.normaliser_settings()?, key)?, secret: None })
    }

    /// As [`crate::SourceConfig::take_over`].
    pub(in super::super) fn take_over(&mut self, other: &Self) {
        *self = KongTcpLogConfig {
            listen: self.listen,
            gateway: self.gateway.clone(),
            tls: self.tls.clone(),
            line_bytes_max: self.line_bytes_max,
            batch_calls_max: self.batch_calls_max,
            batch_bytes_max: self.batch_bytes_max,
            batch_wait_ms: self.batch_wait_ms,
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

    fn read(toml: &str) -> Result<KongTcpLogConfig, String> {
        match toml::from_str(toml).map_err(|error| error.to_string())? {
            SourceConfig::KongTcpLog(config) => Ok(config),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_source_needs_no_more_than_its_kind() {
        let config = read("kind = \"kong_tcp_log\"").unwrap();
        assert_eq!(config, KongTcpLogConfig::default());
        config.validate().unwrap();
        assert!(config.listen.ip().is_loopback());
    }

    #[test]
    fn everything_can_be_set_and_is_written_as_it_is_read() {
        let config = read(
            r#"
            kind = "kong_tcp_log"
            listen = "0.0.0.0:9514"
            gateway = "kong-eu"
            secret_file = "/etc/outrider/kong.secret"
            secret_field = "proof"
            line_bytes_max = 65536
            connections_max = 5
            connections_per_address_max = 3
            tls = { certificate_file = "log.pem", key_file = "log.key" }
            batch_calls_max = 10
            batch_bytes_max = 4096
            batch_wait_ms = 20
            allow = ["10.0.0.7", "2001:db8::/32", "::ffff:192.0.2.0/120"]
            key_names = ["x-partner-key"]
            session = { cookie = "sid" }
            field_policies = { query = { q = "keep" }, header = { X-Employee = "mask" }, cookie = { theme = "keep" } }
            trusted_proxies = { networks = ["10.0.0.0/8", "192.0.2.1/32"], header = "forwarded" }
            drop = ['line.request.headers["x-debug"]']
            [[fields]]
            name = "account"
            value = "line.login.account"
            "#,
        )
        .unwrap();
        config.validate().unwrap();
        assert_eq!(config.session, Some(SessionCarrier::Cookie("sid".to_owned())));
        let written = toml::to_string(&SourceConfig::KongTcpLog(config.clone())).unwrap();
        assert_eq!(read(&written).unwrap(), config);
    }

    #[test]
    fn mistakes_are_refused_with_what_is_known() {
        for (toml, expected) in [
            ("kind = \"kong_tcp_log\"\nlistn = \"127.0.0.1:1\"", "unknown field `listn`, expected one of `listen`"),
            (
                "kind = \"kong_udp_log\"",
                "unknown variant `kong_udp_log`, expected one of `kong_tcp_log`, `kong_http_log`, `kong_file_log`",
            ),
            ("kind = \"kong_tcp_log\"\nlisten = \"localhost\"", "invalid socket address"),
            ("kind = \"kong_tcp_log\"\nallow = [\"10.0.0.0/33\"]", "`10.0.0.0/33` is no address and no network"),
            ("kind = \"kong_tcp_log\"\ntls = { key_file = \"k\" }", "missing field `certificate_file`"),
            (
                "kind = \"kong_tcp_log\"\ntls = { certificate_file = \"c\", key_file = \"k\", client_ca_file = \"a\" }",
                "unknown field `client_ca_file`, expected `certificate_file` or `key_file`",
            ),
            (
                "kind = \"kong_tcp_log\"\nfield_policies = { body = {} }",
                "unknown field `body`, expected one of `header`, `query`, `cookie`",
            ),
            ("kind = \"kong_tcp_log\"\ntrusted_proxies = { networks = [\"lb\"] }", "`lb` is no address and no network"),
            ("kind = \"kong_tcp_log\"\nsession = { cooky = \"sid\" }", "unknown variant `cooky`"),
        ] {
            let error = read(toml).unwrap_err();
            assert!(error.contains(expected), "{toml}: {error}");
        }
        let good = KongTcpLogConfig::default;
        let cases = [
            (KongTcpLogConfig { line_bytes_max: 1023, ..good() }, "`line_bytes_max`"),
            (KongTcpLogConfig { connections_max: 0, ..good() }, "`connections_max`"),
            (KongTcpLogConfig { connections_per_address_max: 0, ..good() }, "`connections_per_address_max`"),
            (KongTcpLogConfig { batch_calls_max: 0, ..good() }, "`batch_calls_max`"),
            (KongTcpLogConfig { batch_bytes_max: 0, ..good() }, "`batch_bytes_max`"),
            (KongTcpLogConfig { batch_wait_ms: 0, ..good() }, "`batch_wait_ms`"),
            (KongTcpLogConfig { gateway: String::new(), ..good() }, "`gateway`"),
            (KongTcpLogConfig { secret_field: "request".to_owned(), ..good() }, "`secret_field`"),
            (KongTcpLogConfig { key_names: vec![String::new()], ..good() }, "`key_names`"),
            (KongTcpLogConfig { session: Some(SessionCarrier::Cookie(String::new())), ..good() }, "`session`"),
            (KongTcpLogConfig { drop: vec!["line.client_ip".to_owned()], ..good() }, "cannot be dropped"),
            (KongTcpLogConfig { listen: "0.0.0.0:1".parse().unwrap(), ..good() }, "no allow-list"),
            (KongTcpLogConfig { listen: "[::]:1".parse().unwrap(), ..good() }, "no allow-list"),
        ];
        for (config, expected) in cases {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
