//! `[api]`: where people reach outrider.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::ensure;
use outrider_model::Network;
use outrider_platform::tls::TlsSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::services;

/// The people's API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Where the proxy in front connects from, which speaks TLS: an address, a network, or a list of them. This or a
    /// certificate is needed to listen off loopback.
    #[serde(deserialize_with = "networks")]
    #[schemars(schema_with = "networks_schema")]
    pub behind_proxy: Vec<Network>,
    /// The certificate, with those between it and its authority.
    pub certificate_file: Option<PathBuf>,
    /// Its private key.
    pub key_file: Option<PathBuf>,
}

impl ApiConfig {
    /// Its TLS, where there is one.
    pub fn tls(&self) -> Option<TlsSettings> {
        services::tls(self.certificate_file.as_ref(), self.key_file.as_ref(), None)
    }

    /// Refuses what cannot be meant.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        services::is_pair("api", self.certificate_file.as_ref(), self.key_file.as_ref())?;
        ensure!(
            self.listen.ip().is_loopback() || !self.behind_proxy.is_empty() || self.certificate_file.is_some(),
            "api.listen is {}, which is not loopback, and there is no TLS; listen on 127.0.0.1, set api.certificate_file and \
             api.key_file, or set api.behind_proxy to the addresses of the proxy in front that does",
            self.listen
        );
        Ok(())
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        ApiConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 9580)),
            behind_proxy: Vec::new(),
            certificate_file: None,
            key_file: None,
        }
    }
}

fn networks_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "array"], "items": { "type": "string" } })
}

/// One network or a list of them. Earlier versions had a name here, which nothing could be held against.
fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    struct Networks;

    impl<'de> Visitor<'de> for Networks {
        type Value = Vec<Network>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the addresses of the proxy, such as `behind_proxy = [\"10.0.0.7\", \"10.1.0.0/24\"]`")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<Network>, E> {
            network(text).map(|network| vec![network]).map_err(E::custom)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Vec<Network>, A::Error> {
            let mut networks = Vec::new();
            while let Some(text) = texts.next_element::<String>()? {
                networks.push(network(&text).map_err(A::Error::custom)?);
            }
            Ok(networks)
        }
    }

    deserializer.deserialize_any(Networks)
}

fn network(text: &str) -> Result<Network, String> {
    text.parse().map_err(|_| {
        format!(
            "`{text}` is no address and no network: write where the proxy connects from, such as \
             `behind_proxy = [\"10.0.0.7\", \"10.1.0.0/24\"]`; \"127.0.0.1\" if it runs on this machine"
        )
    })
}
