//! What a Kong node says about itself: whether we can work with it, and how soon a write is in force.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::wire::REQUEST_TERMINATION;

/// The parts of `GET /` that matter to us.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct NodeSummary {
    /// Kong's version, such as `3.9.1`; Enterprise looks like `3.10.0.0-enterprise-edition`.
    pub version: String,
    /// `community` or `enterprise`; absent in old versions.
    #[serde(default)]
    pub edition: Option<String>,
    /// The host that the node runs on.
    #[serde(default)]
    pub hostname: String,
    /// The node's settings.
    pub configuration: NodeConfiguration,
    /// Its plugins.
    pub plugins: NodePlugins,
}

/// The settings of a node that matter to us.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct NodeConfiguration {
    /// `postgres`, or `off` for a node that is configured by a file.
    pub database: String,
    /// How long a worker may go on with an old set of plugins, in seconds (`worker_consistency` eventual).
    #[serde(default = "five")]
    pub worker_state_update_frequency: f64,
    /// How often a node looks for what other nodes of its cluster have changed, in seconds.
    #[serde(default = "five")]
    pub db_update_frequency: f64,
    /// `eventual`, or the deprecated `strict`.
    #[serde(default)]
    pub worker_consistency: String,
    /// Addresses and networks of the proxies in front whose word on the client's address it takes.
    #[serde(default, deserialize_with = "texts_if_list")]
    pub trusted_ips: Vec<String>,
    /// The header in which they say it.
    #[serde(default)]
    pub real_ip_header: String,
}

/// The part of `GET /status` that matters to us.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct NodeStatus {
    /// Its database; absent without one.
    #[serde(default)]
    pub database: Option<DatabaseStatus>,
}

/// How a node is with its database.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct DatabaseStatus {
    /// It answers the node.
    pub reachable: bool,
}

/// The plugins of a node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct NodePlugins {
    /// Those that can be configured, by name. The value differs between versions and is not looked at.
    pub available_on_server: BTreeMap<String, serde_json::Value>,
}

fn five() -> f64 {
    5.0
}

/// Kong shows an empty list as `{}`.
fn texts_if_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Array(items) => {
            items.into_iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    })
}

impl NodeSummary {
    /// Its Admin API stores plugins.
    pub fn is_writable(&self) -> bool {
        self.configuration.database != "off"
    }

    /// It can refuse a consumer's calls.
    pub fn can_block(&self) -> bool {
        self.plugins.available_on_server.contains_key(REQUEST_TERMINATION)
    }

    /// After this long, the node that took a write has it in force in every worker. Measured: 4.6 to 5.0 s with the
    /// default settings.
    pub fn in_force_after(&self) -> Duration {
        if self.configuration.worker_consistency == "strict" {
            return Duration::from_millis(200);
        }
        seconds(self.configuration.worker_state_update_frequency)
    }

    /// After this long, every other node of the cluster has it in force too.
    pub fn in_force_in_cluster_after(&self) -> Duration {
        self.in_force_after() + seconds(self.configuration.db_update_frequency)
    }
}

/// A frequency from outside as a duration: nonsense becomes the default, a day is the most.
fn seconds(value: f64) -> Duration {
    let value = if value.is_finite() && value >= 0.0 { value } else { five() };
    Duration::from_secs_f64(value.min(86_400.0))
}
