//! What a Kong is configured to do, as a typed snapshot for the platform (decision 22), and the watch that takes one.
//!
//! Kong's answers hold keys, password hashes and tokens in clear. They are read into types that have no field for them, so
//! that nothing secret leaves this module.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use outrider_model::{
    GatewayConfiguration, GatewayConsumer, GatewayCredential, GatewayPlugin, GatewayRoute, GatewayService,
    GatewaySnapshot, LeftOut, PluginSettings,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::admin::{AdminApi as _, AdminClient};
use super::plan::has_own_tags;
use super::wire::{Reference, null_is_default};
use crate::gateways::{Clock, GatewayError};

/// Entities of one list in a snapshot. Of what comes after, only that there is more is said.
pub const ENTITIES_MAX: usize = 10_000;
/// Bytes of one list in a snapshot, as JSON, so that the nine lists fit into a record of the platform's log.
pub const LIST_BYTES_MAX: usize = 3 * 512 * 1024;

/// The credential lists of Kong's own plugins. A node without the plugin answers 404.
const CREDENTIALS: [(&str, &str); 5] = [
    ("key-auths", "key-auth"),
    ("basic-auths", "basic-auth"),
    ("jwts", "jwt"),
    ("hmac-auths", "hmac-auth"),
    ("oauth2", "oauth2"),
];

/// Replaces what is not to leave the premises in clear. It is told of each list by itself, before the list is measured.
pub type Hide = Arc<dyn Fn(&mut GatewayConfiguration) + Send + Sync>;

/// Takes a snapshot of a gateway now and then, and hands over each that differs from the one before.
pub struct ConfigurationWatch {
    admin: AdminClient,
    gateway: String,
    installation: String,
    interval: Duration,
    clock: Arc<dyn Clock>,
    hide: Option<Hide>,
    status: watch::Sender<ConfigurationStatus>,
}

/// How a watch is, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ConfigurationStatus {
    /// When the configuration was last read to its end.
    pub read_ms: Option<i64>,
    /// Why it could not be read since.
    pub failure: Option<String>,
}

impl ConfigurationWatch {
    /// A watch over one gateway, for the installation whose own plugins are none of its configuration.
    pub fn new(
        admin: AdminClient,
        gateway: String,
        installation: String,
        interval: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        ConfigurationWatch {
            admin,
            gateway,
            installation,
            interval,
            clock,
            hide: None,
            status: watch::Sender::new(ConfigurationStatus::default()),
        }
    }

    /// The same, with less in clear.
    pub fn hiding(self, hide: Hide) -> Self {
        ConfigurationWatch { hide: Some(hide), ..self }
    }

    /// How it is, always the latest.
    pub fn status(&self) -> watch::Receiver<ConfigurationStatus> {
        self.status.subscribe()
    }

    /// Watches until it is cancelled or nobody takes snapshots any more. The first one is always handed over.
    pub async fn run(self, snapshots: mpsc::Sender<GatewaySnapshot>, cancel: CancellationToken) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = None;
        let watching = async {
            loop {
                ticks.tick().await;
                match read_configuration(&self.admin, &self.installation, self.hide.as_ref()).await {
                    Ok(configuration) => {
                        let taken_ms = self.clock.now_ms();
                        self.status.send_replace(ConfigurationStatus { read_ms: Some(taken_ms), failure: None });
                        if told.as_ref() == Some(&configuration) {
                            continue;
                        }
                        told = Some(configuration.clone());
                        let snapshot = GatewaySnapshot { gateway: self.gateway.clone(), taken_ms, configuration };
                        if snapshots.send(snapshot).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        let is_new = self.status.borrow().failure.is_none();
                        if is_new {
                            tracing::warn!(gateway = self.gateway, %error, "the gateway's configuration was not read");
                        }
                        self.status.send_modify(|status| status.failure = Some(error.to_string()));
                    }
                }
            }
        };
        cancel.run_until_cancelled(watching).await;
    }
}

/// Reads what a gateway is configured to do. A list that this token may not read is left out and named.
///
/// The blocks and limits of the installation are not among it: they come and go with the actions, and are told with them.
pub async fn read_configuration(
    admin: &AdminClient,
    installation: &str,
    hide: Option<&Hide>,
) -> Result<GatewayConfiguration, GatewayError> {
    let mut left_out = Vec::new();
    let hidden = |mut part: GatewayConfiguration| {
        if let Some(hide) = hide {
            hide(&mut part);
        }
        part
    };
    let none = GatewayConfiguration::default;
    // Left out while they are read, so that many blocks do not crowd out the operator's own plugins.
    let is_theirs = |plugin: &RawPlugin| !has_own_tags(installation, &plugin.tags);
    let mut configuration = GatewayConfiguration { version: admin.node().await?.version, ..none() };
    let services = read_list(admin, "services", |_| true, service, &mut left_out).await?;
    let GatewayConfiguration { services, .. } = hidden(GatewayConfiguration { services, ..none() });
    configuration.services = within_limit("services", services, &mut left_out);
    let routes = read_list(admin, "routes", |_| true, route, &mut left_out).await?;
    let GatewayConfiguration { routes, .. } = hidden(GatewayConfiguration { routes, ..none() });
    configuration.routes = within_limit("routes", routes, &mut left_out);
    let plugins = read_list(admin, "plugins", is_theirs, plugin, &mut left_out).await?;
    let GatewayConfiguration { plugins, .. } = hidden(GatewayConfiguration { plugins, ..none() });
    configuration.plugins = within_limit("plugins", plugins, &mut left_out);
    let consumers = read_list(admin, "consumers", |_| true, consumer, &mut left_out).await?;
    let GatewayConfiguration { consumers, .. } = hidden(GatewayConfiguration { consumers, ..none() });
    configuration.consumers = within_limit("consumers", consumers, &mut left_out);
    for (list, kind) in CREDENTIALS {
        let credentials = read_list(admin, list, |_| true, |raw| credential(raw, kind), &mut left_out).await?;
        let GatewayConfiguration { credentials, .. } = hidden(GatewayConfiguration { credentials, ..none() });
        configuration.credentials.extend(within_limit(list, credentials, &mut left_out));
    }
    // Kong lists in the order of ids, except where rows came in meanwhile.
    configuration.services.sort_by(|a, b| a.id.cmp(&b.id));
    configuration.routes.sort_by(|a, b| a.id.cmp(&b.id));
    configuration.plugins.sort_by(|a, b| a.id.cmp(&b.id));
    configuration.consumers.sort_by(|a, b| a.id.cmp(&b.id));
    configuration.credentials.sort_by(|a, b| a.id.cmp(&b.id));
    configuration.left_out = left_out;
    Ok(configuration)
}

async fn read_list<R: DeserializeOwned, T>(
    admin: &AdminClient,
    list: &str,
    keep: impl Fn(&R) -> bool,
    convert: impl Fn(R) -> T,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<T>, GatewayError> {
    let mut leave_out = |why: String| left_out.push(LeftOut { list: list.to_owned(), why });
    let (raw, is_whole) = match admin.list_first::<R>(list, keep, ENTITIES_MAX).await {
        Ok(found) => found,
        // The plugin that has the list is not there.
        Err(GatewayError::Kong { status: 404, message, .. }) if message == "Not found" => return Ok(Vec::new()),
        Err(GatewayError::Kong { status: 403, message, .. }) => {
            leave_out(format!("the Admin API refuses it: {message}"));
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    if !is_whole {
        leave_out(format!("only the first {ENTITIES_MAX} are kept"));
    }
    Ok(raw.into_iter().map(convert).collect())
}

/// The first entities of a list, as many as it may hold.
fn within_limit<T: Serialize>(list: &str, mut entities: Vec<T>, left_out: &mut Vec<LeftOut>) -> Vec<T> {
    let mut bytes = 0;
    let mut fits = |entity: &T| {
        bytes += serde_json::to_vec(entity).map_or(0, |json| json.len());
        bytes <= LIST_BYTES_MAX
    };
    let kept = entities.iter().take_while(|entity| fits(entity)).count();
    if kept < entities.len() {
        entities.truncate(kept);
        // One line about a list will do.
        left_out.retain(|other| other.list != list);
        let why = format!("only the first {kept} are kept: a list holds at most {LIST_BYTES_MAX} bytes");
        left_out.push(LeftOut { list: list.to_owned(), why });
    }
    entities
}

#[derive(Deserialize)]
struct RawService {
    id: String,
    name: Option<String>,
    #[serde(default)]
    protocol: String,
    #[serde(default)]
    host: String,
    #[serde(default)]
    port: u16,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    tags: Vec<String>,
    created_at: Option<f64>,
}

#[derive(Deserialize)]
struct RawRoute {
    id: String,
    name: Option<String>,
    service: Option<Reference>,
    #[serde(default, deserialize_with = "null_is_default")]
    protocols: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    methods: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    hosts: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    paths: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    headers: BTreeMap<String, IgnoredAny>,
    #[serde(default, deserialize_with = "null_is_default")]
    tags: Vec<String>,
    created_at: Option<f64>,
}

#[derive(Deserialize)]
struct RawPlugin {
    id: String,
    name: String,
    instance_name: Option<String>,
    #[serde(default = "yes")]
    enabled: bool,
    service: Option<Reference>,
    route: Option<Reference>,
    consumer: Option<Reference>,
    consumer_group: Option<Reference>,
    #[serde(default, deserialize_with = "null_is_default")]
    protocols: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    tags: Vec<String>,
    created_at: Option<f64>,
    #[serde(default)]
    config: Value,
}

#[derive(Deserialize)]
struct RawConsumer {
    id: String,
    username: Option<String>,
    custom_id: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    tags: Vec<String>,
    created_at: Option<f64>,
}

#[derive(Deserialize)]
struct RawCredential {
    id: String,
    consumer: Option<Reference>,
    #[serde(default, deserialize_with = "null_is_default")]
    tags: Vec<String>,
    created_at: Option<f64>,
}

fn service(raw: RawService) -> GatewayService {
    GatewayService {
        id: raw.id,
        name: raw.name,
        protocol: raw.protocol,
        host: raw.host,
        port: raw.port,
        enabled: raw.enabled,
        tags: raw.tags,
        created_ms: milliseconds(raw.created_at),
    }
}

fn route(raw: RawRoute) -> GatewayRoute {
    GatewayRoute {
        id: raw.id,
        name: raw.name,
        service_id: id(raw.service),
        protocols: raw.protocols,
        methods: raw.methods,
        hosts: raw.hosts,
        paths: raw.paths,
        header_names: raw.headers.into_keys().collect(),
        tags: raw.tags,
        created_ms: milliseconds(raw.created_at),
    }
}

fn plugin(raw: RawPlugin) -> GatewayPlugin {
    GatewayPlugin {
        settings: settings(&raw.name, raw.config),
        id: raw.id,
        name: raw.name,
        instance_name: raw.instance_name,
        enabled: raw.enabled,
        service_id: id(raw.service),
        route_id: id(raw.route),
        consumer_id: id(raw.consumer),
        consumer_group_id: id(raw.consumer_group),
        protocols: raw.protocols,
        tags: raw.tags,
        created_ms: milliseconds(raw.created_at),
    }
}

fn consumer(raw: RawConsumer) -> GatewayConsumer {
    GatewayConsumer {
        id: raw.id,
        username: raw.username,
        custom_id: raw.custom_id,
        tags: raw.tags,
        created_ms: milliseconds(raw.created_at),
    }
}

fn credential(raw: RawCredential, kind: &str) -> GatewayCredential {
    GatewayCredential {
        id: raw.id,
        kind: kind.to_owned(),
        consumer_id: id(raw.consumer),
        tags: raw.tags,
        created_ms: milliseconds(raw.created_at),
    }
}

/// The listed settings of a plugin; none of one that is not listed, or that has another shape in this version of Kong.
fn settings(name: &str, mut config: Value) -> Option<PluginSettings> {
    config.as_object_mut()?.insert("plugin".to_owned(), name.into());
    serde_json::from_value(config).ok()
}

fn id(reference: Option<Reference>) -> Option<String> {
    reference.map(|reference| reference.id)
}

/// Kong tells times in seconds, some versions with a fraction.
fn milliseconds(seconds: Option<f64>) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and no later time is meant")]
    seconds.filter(|seconds| seconds.is_finite()).map(|seconds| (seconds * 1000.0).round() as i64)
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_plugin_only_listed_settings_are_kept() {
        let kept = |name: &str, config: Value| serde_json::to_value(settings(name, config)).unwrap();
        let key_auth =
            json!({"key_names": ["apikey"], "hide_credentials": false, "anonymous": null, "realm": "s3cret"});
        let mut expected = json!({"plugin": "key-auth", "key_names": ["apikey"], "hide_credentials": false});
        for absent in ["anonymous", "key_in_header", "key_in_query", "key_in_body"] {
            expected[absent] = Value::Null;
        }
        assert_eq!(kept("key-auth", key_auth), expected);
        let limiting = kept("rate-limiting", json!({"minute": 5, "policy": "redis", "redis": {"password": "s3cret"}}));
        assert_eq!(limiting["minute"], 5);
        assert!(!limiting.to_string().contains("s3cret"), "{limiting}");
        for (name, config) in [
            ("request-transformer", json!({"add": {"headers": ["authorization: s3cret"]}})),
            ("http-log", json!({"http_endpoint": "https://user:s3cret@example.com"})),
            ("key-auth", json!({"key_names": "of another shape"})),
            ("key-auth", Value::Null),
        ] {
            assert_eq!(kept(name, config.clone()), Value::Null, "{name}: {config}");
        }
    }

    #[test]
    fn times_are_milliseconds() {
        for (seconds, expected) in [
            (None, None),
            (Some(1_700_000_000.0), Some(1_700_000_000_000)),
            (Some(1.5), Some(1500)),
            (Some(f64::NAN), None),
            (Some(1e300), Some(i64::MAX)),
        ] {
            assert_eq!(milliseconds(seconds), expected, "{seconds:?}");
        }
    }
}
