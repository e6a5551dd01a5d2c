//! What a worker goes by: routes, services and plugins, compiled from the rows.
//!
//! This decides which plugin configuration wins for a call: one per plugin, the most specific, in Kong's order.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::router::{Route, Router};
use crate::schema::text::Range;
use crate::schema::{Object, Table};
use crate::store::{Store, reference};

/// A service as calls need it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) id: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: Option<String>,
    pub(crate) retries: u32,
    pub(crate) connect_timeout_ms: u64,
    pub(crate) read_timeout_ms: u64,
    pub(crate) row: Arc<Object>,
}

/// Where a plugin applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub(crate) route: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) consumer: Option<String>,
}

/// The configurations of one plugin.
#[derive(Debug)]
pub(crate) struct Scoped<T> {
    by_scope: HashMap<Scope, Arc<T>>,
}

impl<T> Default for Scoped<T> {
    fn default() -> Scoped<T> {
        Scoped { by_scope: HashMap::new() }
    }
}

impl<T> Scoped<T> {
    /// The configuration that wins, with its own scope. Source of the order: `kong/runloop/plugins_iterator.lua`, 3.9.
    pub(crate) fn of(&self, call: &Scope) -> Option<(Scope, Arc<T>)> {
        const ORDER: [(bool, bool, bool); 8] = [
            (true, true, true),
            (true, false, true),
            (false, true, true),
            (true, true, false),
            (false, false, true),
            (true, false, false),
            (false, true, false),
            (false, false, false),
        ];
        if self.by_scope.is_empty() {
            return None;
        }
        ORDER.iter().find_map(|(route, service, consumer)| {
            let part = |wanted: bool, id: &Option<String>| match (wanted, id) {
                (false, _) => Some(None),
                (true, Some(id)) => Some(Some(id.clone())),
                (true, None) => None,
            };
            let scope = Scope {
                route: part(*route, &call.route)?,
                service: part(*service, &call.service)?,
                consumer: part(*consumer, &call.consumer)?,
            };
            let found = self.by_scope.get(&scope).map(Arc::clone)?;
            Some((scope, found))
        })
    }
}

/// Settings of the key-auth plugin.
#[derive(Debug, Deserialize)]
pub(crate) struct KeyAuth {
    pub(crate) key_names: Vec<String>,
    pub(crate) hide_credentials: bool,
    pub(crate) anonymous: Option<String>,
    pub(crate) key_in_header: bool,
    pub(crate) key_in_query: bool,
    pub(crate) run_on_preflight: bool,
    pub(crate) realm: Option<String>,
}

/// Settings of the acl plugin.
#[derive(Debug, Deserialize)]
pub(crate) struct Acl {
    pub(crate) allow: Option<Vec<String>>,
    pub(crate) deny: Option<Vec<String>>,
    pub(crate) hide_groups_header: bool,
}

/// Settings of the ip-restriction plugin.
#[derive(Debug, Deserialize)]
pub(crate) struct IpRestriction {
    allow: Option<Vec<String>>,
    deny: Option<Vec<String>>,
    pub(crate) status: Option<f64>,
    pub(crate) message: Option<String>,
    #[serde(skip)]
    pub(crate) allowed: Vec<Range>,
    #[serde(skip)]
    pub(crate) denied: Vec<Range>,
}

/// Settings of the rate-limiting plugin.
#[derive(Debug, Deserialize)]
pub(crate) struct RateLimiting {
    pub(crate) second: Option<f64>,
    pub(crate) minute: Option<f64>,
    pub(crate) hour: Option<f64>,
    pub(crate) day: Option<f64>,
    pub(crate) month: Option<f64>,
    pub(crate) year: Option<f64>,
    pub(crate) limit_by: String,
    pub(crate) header_name: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) hide_client_headers: bool,
    pub(crate) error_code: f64,
    pub(crate) error_message: String,
}

/// Settings of the request-termination plugin.
#[derive(Debug, Deserialize)]
pub(crate) struct RequestTermination {
    pub(crate) status_code: u16,
    pub(crate) message: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) echo: bool,
    pub(crate) trigger: Option<String>,
}

/// Settings of the tcp-log plugin.
#[derive(Debug, Deserialize)]
pub(crate) struct TcpLog {
    pub(crate) host: String,
    pub(crate) port: u16,
    timeout: f64,
    keepalive: f64,
    pub(crate) tls: bool,
    pub(crate) tls_sni: Option<String>,
    custom_fields_by_lua: Option<BTreeMap<String, String>>,
    /// Log field, and what it is set to; null removes it.
    #[serde(skip)]
    pub(crate) custom_fields: Vec<(String, Value)>,
}

/// Settings of the http-log plugin.
#[derive(Debug, Deserialize)]
pub(crate) struct HttpLog {
    pub(crate) http_endpoint: String,
    pub(crate) method: String,
    pub(crate) content_type: String,
    pub(crate) timeout: f64,
    pub(crate) headers: Option<BTreeMap<String, String>>,
    pub(crate) queue: LogQueue,
    custom_fields_by_lua: Option<BTreeMap<String, String>>,
    /// Log field, and what it is set to; null removes it.
    #[serde(skip)]
    pub(crate) custom_fields: Vec<(String, Value)>,
}

/// The queue of a log plugin; times are seconds.
#[derive(Debug, Deserialize)]
pub(crate) struct LogQueue {
    pub(crate) max_batch_size: usize,
    pub(crate) max_coalescing_delay: f64,
    pub(crate) max_entries: usize,
    pub(crate) initial_retry_delay: f64,
    pub(crate) max_retry_delay: f64,
    pub(crate) max_retry_time: f64,
}

impl TcpLog {
    pub(crate) fn timeout_ms(&self) -> u64 {
        self.timeout as u64
    }

    pub(crate) fn keepalive_ms(&self) -> u64 {
        self.keepalive as u64
    }
}

/// Everything a worker has taken over.
#[derive(Default)]
pub(crate) struct Configuration {
    pub(crate) router: Router,
    pub(crate) key_auth: Scoped<KeyAuth>,
    pub(crate) acl: Scoped<Acl>,
    pub(crate) ip_restriction: Scoped<IpRestriction>,
    pub(crate) rate_limiting: Scoped<RateLimiting>,
    pub(crate) request_termination: Scoped<RequestTermination>,
    pub(crate) tcp_log: Scoped<TcpLog>,
    pub(crate) http_log: Scoped<HttpLog>,
}

impl Configuration {
    pub(crate) fn compile(store: &Store) -> Configuration {
        let services: HashMap<&String, Arc<Service>> =
            store.rows(Table::Services).filter_map(|(id, row)| Some((id, Arc::new(service(id, row)?)))).collect();
        let routes = store.rows(Table::Routes).map(|(id, row)| {
            let service = reference(row, "service").and_then(|id| services.get(&id.to_owned()).cloned());
            Route::new(id, row, service)
        });
        let mut configuration = Configuration { router: Router::new(routes.collect()), ..Configuration::default() };
        for (_, row) in store.rows(Table::Plugins) {
            if row.get("enabled") == Some(&Value::Bool(true)) {
                configuration.add(row);
            }
        }
        configuration
    }

    fn add(&mut self, row: &Object) {
        let id = |field: &str| reference(row, field).map(str::to_owned);
        let scope = Scope { route: id("route"), service: id("service"), consumer: id("consumer") };
        let config = row.get("config").cloned().unwrap_or_default();
        match row.get("name").and_then(Value::as_str).unwrap_or_default() {
            "key-auth" => put(&mut self.key_auth, scope, config, |_| {}),
            "acl" => put(&mut self.acl, scope, config, |_| {}),
            "ip-restriction" => put(&mut self.ip_restriction, scope, config, |config: &mut IpRestriction| {
                config.allowed = ranges(config.allow.as_deref());
                config.denied = ranges(config.deny.as_deref());
            }),
            "rate-limiting" => put(&mut self.rate_limiting, scope, config, |_| {}),
            "request-termination" => put(&mut self.request_termination, scope, config, |_| {}),
            "tcp-log" => put(&mut self.tcp_log, scope, config, |config: &mut TcpLog| {
                config.custom_fields = constants(config.custom_fields_by_lua.as_ref());
            }),
            "http-log" => put(&mut self.http_log, scope, config, |config: &mut HttpLog| {
                config.custom_fields = constants(config.custom_fields_by_lua.as_ref());
            }),
            other => tracing::warn!(plugin = other, "a stored plugin that the practice gateway does not run"),
        }
    }
}

/// The schema has checked the configuration, so a failure here is a mistake of ours and worth a loud line.
fn put<T: for<'a> Deserialize<'a>>(scoped: &mut Scoped<T>, scope: Scope, config: Value, finish: impl FnOnce(&mut T)) {
    match serde_json::from_value::<T>(config) {
        Ok(mut config) => {
            finish(&mut config);
            scoped.by_scope.insert(scope, Arc::new(config));
        }
        Err(error) => tracing::error!(%error, "a stored plugin configuration does not read"),
    }
}

fn constants(fields: Option<&BTreeMap<String, String>>) -> Vec<(String, Value)> {
    let fields = fields.into_iter().flatten();
    fields.filter_map(|(name, lua)| Some((name.clone(), crate::log::fields::constant(lua)?))).collect()
}

fn ranges(texts: Option<&[String]>) -> Vec<Range> {
    texts.into_iter().flatten().filter_map(|text| Range::parse(text)).collect()
}

fn service(id: &str, row: &Arc<Object>) -> Option<Service> {
    let number = |field: &str| row.get(field).and_then(Value::as_u64);
    Some(Service {
        id: id.to_owned(),
        host: row.get("host")?.as_str()?.to_owned(),
        port: u16::try_from(number("port")?).ok()?,
        path: row.get("path").and_then(Value::as_str).map(str::to_owned),
        retries: u32::try_from(number("retries").unwrap_or(5)).unwrap_or(5),
        connect_timeout_ms: number("connect_timeout").unwrap_or(60_000),
        read_timeout_ms: number("read_timeout").unwrap_or(60_000),
        row: Arc::clone(row),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        let part = |letter: char| text.contains(letter).then(|| letter.to_string());
        Scope { route: part('r'), service: part('s'), consumer: part('c') }
    }

    #[test]
    fn the_most_specific_configuration_wins() {
        // (configured scopes, scope of the call, winner)
        for (configured, call, winner) in [
            ("rsc rc sc rs c r s -", "rsc", Some("rsc")),
            ("rc sc rs c r s -", "rsc", Some("rc")),
            ("sc rs c r s -", "rsc", Some("sc")),
            ("rs c r s -", "rsc", Some("rs")),
            ("c r s -", "rsc", Some("c")),
            ("r s -", "rsc", Some("r")),
            ("s -", "rsc", Some("s")),
            ("-", "rsc", Some("-")),
            ("", "rsc", None),
            ("c", "rs", None),
            ("rsc rc sc c", "rs", None),
            ("rs s", "s", Some("s")),
            ("r s c", "", None),
            ("r s c -", "", Some("-")),
        ] {
            let mut scoped = Scoped::default();
            for text in configured.split_whitespace() {
                scoped.by_scope.insert(scope(text), Arc::new(text.to_owned()));
            }
            let found = scoped.of(&scope(call)).map(|(_, config)| config.to_string());
            assert_eq!(found.as_deref(), winner, "{configured} for {call}");
        }
    }
}
