//! A gateway's configuration, as its responder read it (decision 22).
//!
//! There is no field for a secret: no key, password, token, header value or upstream path, and of a plugin's settings only
//! those listed here. What a gateway answers besides is dropped where it is read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a gateway was configured to do, and when that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewaySnapshot {
    /// The gateway's name, as the collector's source calls it.
    pub gateway: String,
    /// When it was read, by the responder's clock.
    pub taken_ms: i64,
    /// What was read. Lists are in the order of their ids.
    pub configuration: GatewayConfiguration,
}

/// Services, routes, plugins, consumers and credentials of a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GatewayConfiguration {
    /// The gateway's version, such as `3.9.1`.
    pub version: String,
    /// Upstream services.
    pub services: Vec<GatewayService>,
    /// Routes to them.
    pub routes: Vec<GatewayRoute>,
    /// Plugins.
    pub plugins: Vec<GatewayPlugin>,
    /// Consumers.
    pub consumers: Vec<GatewayConsumer>,
    /// Credentials, without what makes them work.
    pub credentials: Vec<GatewayCredential>,
    /// Lists that are not whole.
    pub left_out: Vec<LeftOut>,
}

/// A list that is not whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// Which one, by its path in the Admin API, such as `consumers`.
    pub list: String,
    /// Why, in words.
    pub why: String,
}

/// An upstream service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayService {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// How the gateway speaks to it.
    pub protocol: String,
    /// The upstream host.
    pub host: String,
    /// The upstream port.
    pub port: u16,
    /// Whether it is in use.
    pub enabled: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_ms: Option<i64>,
}

/// A route to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayRoute {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// The id of its service.
    pub service_id: Option<String>,
    /// Protocols that it takes.
    pub protocols: Vec<String>,
    /// Methods that it takes; all where there are none.
    pub methods: Vec<String>,
    /// Hosts that it takes; all where there are none.
    pub hosts: Vec<String>,
    /// Paths that it takes, regular expressions with a leading `~`; all where there are none.
    pub paths: Vec<String>,
    /// Names of the headers that it asks for.
    pub header_names: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_ms: Option<i64>,
}

/// A plugin, wherever it acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayPlugin {
    /// Its id.
    pub id: String,
    /// Which plugin it is, such as `key-auth`.
    pub name: String,
    /// Its unique name, where it has one.
    pub instance_name: Option<String>,
    /// Whether it is in use.
    pub enabled: bool,
    /// The service that it is for; all where there is none.
    pub service_id: Option<String>,
    /// The route that it is for; all where there is none.
    pub route_id: Option<String>,
    /// The consumer that it is for; all where there is none.
    pub consumer_id: Option<String>,
    /// The consumer group that it is for.
    pub consumer_group_id: Option<String>,
    /// Protocols that it acts on.
    pub protocols: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_ms: Option<i64>,
    /// The settings that say how safe the API behind it is; none for plugins that are not listed in [`PluginSettings`].
    pub settings: Option<PluginSettings>,
}

/// A consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayConsumer {
    /// Its id.
    pub id: String,
    /// Its user name.
    pub username: Option<String>,
    /// The operator's own id of it.
    pub custom_id: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_ms: Option<i64>,
}

/// That there is a credential; never what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayCredential {
    /// Its id, as calls carry it.
    pub id: String,
    /// The plugin that checks it, such as `key-auth`.
    pub kind: String,
    /// The consumer that it belongs to.
    pub consumer_id: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_ms: Option<i64>,
}

/// Safe settings of the plugins that decide who gets in and how often, in Kong's own names. Unknown ones are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "plugin", rename_all = "kebab-case")]
pub enum PluginSettings {
    /// `key-auth`.
    KeyAuth(KeyAuthSettings),
    /// `basic-auth`.
    BasicAuth(BasicAuthSettings),
    /// `jwt`.
    Jwt(JwtSettings),
    /// `hmac-auth`.
    HmacAuth(HmacAuthSettings),
    /// `acl`.
    Acl(AclSettings),
    /// `rate-limiting`.
    RateLimiting(RateLimitingSettings),
    /// `ip-restriction`.
    IpRestriction(IpRestrictionSettings),
    /// `cors`.
    Cors(CorsSettings),
    /// `request-size-limiting`.
    RequestSizeLimiting(RequestSizeSettings),
}

impl PluginSettings {
    /// The id or the user name of the consumer that calls without a credential count as, of a plugin that asks who calls.
    pub fn anonymous_mut(&mut self) -> Option<&mut String> {
        match self {
            PluginSettings::KeyAuth(settings) => settings.anonymous.as_mut(),
            PluginSettings::BasicAuth(settings) => settings.anonymous.as_mut(),
            PluginSettings::Jwt(settings) => settings.anonymous.as_mut(),
            PluginSettings::HmacAuth(settings) => settings.anonymous.as_mut(),
            _ => None,
        }
    }
}

/// Settings of `key-auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KeyAuthSettings {
    /// Names of the header, query parameter or field that holds the key.
    pub key_names: Option<Vec<String>>,
    /// Whether the key may be a header.
    pub key_in_header: Option<bool>,
    /// Whether the key may be a query parameter.
    pub key_in_query: Option<bool>,
    /// Whether the key may be in the body.
    pub key_in_body: Option<bool>,
    /// Whether the upstream is spared the key.
    pub hide_credentials: Option<bool>,
    /// The consumer that calls without a key count as; none where they are refused.
    pub anonymous: Option<String>,
}

/// Settings of `basic-auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BasicAuthSettings {
    /// Whether the upstream is spared the password.
    pub hide_credentials: Option<bool>,
    /// The consumer that calls without a password count as; none where they are refused.
    pub anonymous: Option<String>,
}

/// Settings of `jwt`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct JwtSettings {
    /// Claims that are checked, of `exp` and `nbf`.
    pub claims_to_verify: Option<Vec<String>>,
    /// The longest lifetime in seconds, 0 for any.
    pub maximum_expiration: Option<i64>,
    /// Query parameters that may hold the token.
    pub uri_param_names: Option<Vec<String>>,
    /// Cookies that may hold the token.
    pub cookie_names: Option<Vec<String>>,
    /// Headers that may hold the token.
    pub header_names: Option<Vec<String>>,
    /// The consumer that calls without a token count as; none where they are refused.
    pub anonymous: Option<String>,
}

/// Settings of `hmac-auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HmacAuthSettings {
    /// How far the caller's clock may be off, in seconds.
    pub clock_skew: Option<i64>,
    /// Headers that must be signed.
    pub enforce_headers: Option<Vec<String>>,
    /// Whether the body's digest is checked.
    pub validate_request_body: Option<bool>,
    /// Whether the upstream is spared the signature.
    pub hide_credentials: Option<bool>,
    /// The consumer that unsigned calls count as; none where they are refused.
    pub anonymous: Option<String>,
}

/// Settings of `acl`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AclSettings {
    /// Groups that may call.
    pub allow: Option<Vec<String>>,
    /// Groups that may not call.
    pub deny: Option<Vec<String>>,
}

/// Settings of `rate-limiting`: calls per window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RateLimitingSettings {
    /// Calls per second.
    pub second: Option<i64>,
    /// Calls per minute.
    pub minute: Option<i64>,
    /// Calls per hour.
    pub hour: Option<i64>,
    /// Calls per day.
    pub day: Option<i64>,
    /// Calls per month.
    pub month: Option<i64>,
    /// Calls per year.
    pub year: Option<i64>,
    /// What is counted apart, such as `consumer` or `ip`.
    pub limit_by: Option<String>,
    /// Where is counted: `local`, `cluster` or `redis`.
    pub policy: Option<String>,
}

/// Settings of `ip-restriction`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct IpRestrictionSettings {
    /// Addresses and networks that may call.
    pub allow: Option<Vec<String>>,
    /// Addresses and networks that may not call.
    pub deny: Option<Vec<String>>,
}

/// Settings of `cors`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CorsSettings {
    /// Origins that may read answers.
    pub origins: Option<Vec<String>>,
    /// Whether they may send cookies.
    pub credentials: Option<bool>,
}

/// Settings of `request-size-limiting`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RequestSizeSettings {
    /// The largest body, in `size_unit`.
    pub allowed_payload_size: Option<i64>,
    /// `megabytes`, `kilobytes` or `bytes`.
    pub size_unit: Option<String>,
}
