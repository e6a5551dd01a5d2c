//! Entities as Kong's Admin API speaks of them: only the fields that we read or write.

use outrider_model::RateLimits;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The plugin that a block is made of.
pub const REQUEST_TERMINATION: &str = "request-termination";

/// The plugin that a rate limit is made of.
pub const RATE_LIMITING: &str = "rate-limiting";

/// A plugin as Kong shows it, ours or anybody's.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Plugin {
    /// Its id, a UUID.
    pub id: String,
    /// Which plugin it is, such as `request-termination`.
    pub name: String,
    /// Its unique name, where it has one (Kong 3.2 and later).
    #[serde(default)]
    pub instance_name: Option<String>,
    /// Switched off, it does nothing but still holds its scope.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The consumer that it is for; `None` for all.
    #[serde(default)]
    pub consumer: Option<Reference>,
    /// The consumer group that it is for (Kong Enterprise).
    #[serde(default)]
    pub consumer_group: Option<Reference>,
    /// The service that it is for; `None` for all.
    #[serde(default)]
    pub service: Option<Reference>,
    /// The route that it is for; `None` for all.
    #[serde(default)]
    pub route: Option<Reference>,
    /// Its tags; Kong shows an empty set as null.
    #[serde(default, deserialize_with = "null_is_default")]
    pub tags: Vec<String>,
    /// The protocols that it acts on; empty where the answer did not say.
    #[serde(default, deserialize_with = "null_is_default")]
    pub protocols: Vec<String>,
    /// Its configuration.
    #[serde(default)]
    pub config: Value,
}

impl Plugin {
    /// The scope, if it is one that we could own: a consumer, and at most one service and one route.
    pub fn scope(&self) -> Option<PluginScope> {
        if self.consumer_group.is_some() {
            return None;
        }
        let id = |reference: &Option<Reference>| reference.as_ref().map(|reference| reference.id.clone());
        Some(PluginScope { consumer_id: id(&self.consumer)?, service_id: id(&self.service), route_id: id(&self.route) })
    }
}

/// A reference to another entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Its id.
    pub id: String,
}

/// Where one plugin of a name can exist at most once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginScope {
    /// The consumer.
    pub consumer_id: String,
    /// The service, unless it is everything.
    pub service_id: Option<String>,
    /// The route, unless it is everything.
    pub route_id: Option<String>,
}

/// A plugin as we write it. Everything that is not here takes Kong's default, on creation and on replacement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PluginWrite {
    /// Its id, which creation honours; replacement has it in the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Which plugin it is.
    pub name: &'static str,
    /// Its unique name.
    pub instance_name: String,
    /// The consumer.
    pub consumer: Reference,
    /// The service, unless it is everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Reference>,
    /// The route, unless it is everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Reference>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its configuration.
    pub config: PluginConfig,
}

/// The configuration of a plugin of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PluginConfig {
    /// A block: Kong's Request Termination.
    Termination(TerminationConfig),
    /// A rate limit: Kong's Rate Limiting.
    RateLimit(RateLimitConfig),
}

impl PluginConfig {
    /// Kong's name of the plugin.
    pub fn plugin_name(&self) -> &'static str {
        match self {
            PluginConfig::Termination(_) => REQUEST_TERMINATION,
            PluginConfig::RateLimit(_) => RATE_LIMITING,
        }
    }
}

/// What a Rate Limiting of ours lets through, how it counts, and what it says to the client beyond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateLimitConfig {
    /// Calls per window.
    #[serde(flatten)]
    pub limits: RateLimits,
    /// Always `consumer`: its calls count together, whichever of its credentials they carry.
    pub limit_by: &'static str,
    /// Where Kong counts: `local`, each node for itself, or `cluster`, in its database.
    pub policy: &'static str,
    /// Whether calls get through while Kong cannot count.
    pub fault_tolerant: bool,
    /// Whether the client sees no headers about the limit.
    pub hide_client_headers: bool,
    /// The status beyond the limit.
    pub error_code: u16,
    /// The message beyond the limit.
    pub error_message: String,
}

/// What a Request Termination of ours says to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TerminationConfig {
    /// The status.
    pub status_code: u16,
    /// The body. Kong takes a body or a message, never both.
    pub body: String,
    /// Its content type, which carries our mark (decision 20).
    pub content_type: String,
}

/// A consumer: what guard rails look at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Consumer {
    /// Its id.
    pub id: String,
    /// Its user name.
    #[serde(default)]
    pub username: Option<String>,
    /// The operator's own id of it.
    #[serde(default)]
    pub custom_id: Option<String>,
    /// Its tags.
    #[serde(default, deserialize_with = "null_is_default")]
    pub tags: Vec<String>,
}

/// A route: where it belongs, and its name for people.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Route {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Its service.
    #[serde(default)]
    pub service: Option<Reference>,
}

/// A service: its name for people.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Service {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Page<T> {
    pub data: Vec<T>,
    /// Where the next page begins; absent on the last.
    #[serde(default)]
    pub offset: Option<String>,
    /// The next page as a path. Only its presence is used: we never follow an address that an answer names.
    #[serde(default)]
    pub next: Option<String>,
}

/// Kong's own form of an error.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ErrorBody {
    pub message: String,
    #[serde(default)]
    pub code: Option<u32>,
    #[serde(default)]
    pub fields: Value,
}

fn yes() -> bool {
    true
}

pub(super) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
