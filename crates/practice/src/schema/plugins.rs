//! The plugins that the practice gateway runs, with the configuration that Kong 3.9 gives them.
//!
//! Where Kong offers something the practice gateway cannot do (TLS to a log server, counters in Redis, keys in bodies,
//! expressions that need Lua), the document is refused in plain words instead of being stored and ignored.

use serde_json::{Value, json};

use super::entities::{Writing, must};
use super::{Field, Kind, Object, Otherwise, TEXT, at_least_one, between, checked, one_of, only_one, text};

/// The plugins and their priorities: the higher one runs first.
pub(crate) const AVAILABLE: [(&str, i64); 7] = [
    ("key-auth", 1250),
    ("ip-restriction", 990),
    ("acl", 950),
    ("rate-limiting", 910),
    ("http-log", 12),
    ("tcp-log", 7),
    ("request-termination", 2),
];

const TEXTS: Kind = Kind::List { of: &TEXT, set: false };
const ADDRESSES: Kind = Kind::List { of: &checked(text::address_or_range), set: false };
const NUMBER: Kind = Kind::Number { above_zero: false };
const LIMIT: Kind = Kind::Number { above_zero: true };

const KEY_AUTH: &[Field] = &[
    Field::new("key_names", Kind::List { of: &checked(text::header_name), set: false })
        .required()
        .or(Otherwise::Texts(&["apikey"])),
    Field::boolean("hide_credentials", false),
    Field::text("anonymous"),
    Field::boolean("key_in_header", true),
    Field::boolean("key_in_query", true),
    Field::boolean("key_in_body", false),
    Field::boolean("run_on_preflight", true),
    Field::text("realm"),
];

const ACL: &[Field] = &[
    Field::new("allow", TEXTS),
    Field::new("deny", TEXTS),
    Field::boolean("hide_groups_header", false),
    Field::boolean("always_use_authenticated_groups", false),
];

const IP_RESTRICTION: &[Field] = &[
    Field::new("allow", ADDRESSES),
    Field::new("deny", ADDRESSES),
    Field::new("status", NUMBER),
    Field::text("message"),
];

const REQUEST_TERMINATION: &[Field] = &[
    Field::new("status_code", between(100, 599)).required().or(Otherwise::Integer(503)),
    Field::text("message"),
    Field::text("content_type"),
    Field::text("body"),
    Field::boolean("echo", false),
    Field::new("trigger", checked(text::header_name)),
];

const TCP_LOG: &[Field] = &[
    Field::new("host", checked(text::host)).required(),
    Field::new("port", between(0, 65535)).required(),
    Field::new("timeout", NUMBER).or(Otherwise::Integer(10_000)),
    Field::new("keepalive", NUMBER).or(Otherwise::Integer(60_000)),
    Field::boolean("tls", false),
    Field::text("tls_sni"),
    Field::new("custom_fields_by_lua", Kind::Map { of: &checked(text::constant_lua), names: None }),
];

const LOG_QUEUE: &[Field] = &[
    Field::new("max_batch_size", between(1, 1_000_000)).or(Otherwise::Integer(1)),
    Field::new("max_coalescing_delay", NUMBER).or(Otherwise::Integer(1)),
    Field::new("max_entries", between(1, 1_000_000)).or(Otherwise::Integer(10_000)),
    Field::new("max_bytes", Kind::Integer { between: None, one_of: &[] }),
    Field::new("initial_retry_delay", NUMBER).or(Otherwise::Number(0.01)),
    Field::new("max_retry_time", NUMBER).or(Otherwise::Integer(60)),
    Field::new("max_retry_delay", NUMBER).or(Otherwise::Integer(60)),
    Field::new("concurrency_limit", Kind::Integer { between: None, one_of: &[-1, 1] }).or(Otherwise::Integer(1)),
];

const HTTP_LOG: &[Field] = &[
    Field::new("http_endpoint", checked(text::url)).required(),
    Field::new("method", one_of(&["POST", "PUT", "PATCH"])).or(Otherwise::Text("POST")),
    Field::new("content_type", one_of(&["application/json", "application/json; charset=utf-8"]))
        .or(Otherwise::Text("application/json")),
    Field::new("timeout", NUMBER).or(Otherwise::Integer(10_000)),
    Field::new("keepalive", NUMBER).or(Otherwise::Integer(60_000)),
    Field::new("retry_count", NUMBER),
    Field::new("queue_size", NUMBER),
    Field::new("flush_timeout", NUMBER),
    Field::new("headers", Kind::Map { of: &TEXT, names: Some(text::log_header) }),
    Field::new("queue", Kind::Record { fields: LOG_QUEUE }),
    Field::new("custom_fields_by_lua", Kind::Map { of: &checked(text::constant_lua), names: None }),
];

const REDIS: &[Field] = &[
    Field::text("host"),
    Field::new("port", between(0, 65535)).or(Otherwise::Integer(6379)),
    Field::new("timeout", between(0, 2_147_483_646)).or(Otherwise::Integer(2000)),
    Field::text("username"),
    Field::text("password"),
    Field::new("database", Kind::Integer { between: None, one_of: &[] }).or(Otherwise::Integer(0)),
    Field::new("ssl", Kind::Boolean).or(Otherwise::Boolean(false)),
    Field::new("ssl_verify", Kind::Boolean).or(Otherwise::Boolean(false)),
    Field::text("server_name"),
];

const RATE_LIMITING: &[Field] = &[
    Field::new("second", LIMIT),
    Field::new("minute", LIMIT),
    Field::new("hour", LIMIT),
    Field::new("day", LIMIT),
    Field::new("month", LIMIT),
    Field::new("year", LIMIT),
    Field::new("limit_by", one_of(&["consumer", "credential", "ip", "service", "header", "path"]))
        .or(Otherwise::Text("consumer")),
    Field::new("header_name", checked(text::header_name)),
    Field::new("path", checked(text::path)),
    Field::new("policy", one_of(&["local", "cluster", "redis"])).or(Otherwise::Text("local")),
    Field::boolean("fault_tolerant", true),
    Field::new("redis", Kind::Record { fields: REDIS }),
    Field::boolean("hide_client_headers", false),
    Field::new("error_code", LIMIT).or(Otherwise::Integer(429)),
    Field::text("error_message").or(Otherwise::Text("API rate limit exceeded")),
    Field::new("sync_rate", NUMBER).required().or(Otherwise::Integer(-1)),
];

/// The fields of any plugin; those about its scope and configuration differ.
macro_rules! plugin_fields {
    ($config:expr, $consumer:expr, $protocols:expr) => {
        &[
            Field::new("id", Kind::Uuid),
            Field::text("name").required(),
            Field::new("instance_name", checked(text::name)),
            Field::new("created_at", NUMBER),
            Field::new("updated_at", NUMBER),
            Field::new("route", Kind::Foreign),
            Field::new("service", Kind::Foreign),
            $consumer,
            Field::new("config", Kind::Record { fields: $config }),
            Field::new(
                "protocols",
                Kind::List { of: &one_of(&["grpc", "grpcs", "http", "https", "tcp", "tls"]), set: true },
            )
            .required()
            .or(Otherwise::Texts($protocols)),
            Field::boolean("enabled", true),
            Field::new("tags", Kind::List { of: &checked(text::tag), set: true }),
        ]
    };
}

const CONSUMER: Field = Field::new("consumer", Kind::Foreign);
const NO_CONSUMER: Field = Field::new("consumer", Kind::Foreign).must_be_null();
const WEB: &[&str] = &["grpc", "grpcs", "http", "https"];
const ANY: &[&str] = &["http", "https", "tcp", "tls", "grpc", "grpcs"];

const KEY_AUTH_PLUGIN: &[Field] = plugin_fields!(KEY_AUTH, NO_CONSUMER, WEB);
const ACL_PLUGIN: &[Field] = plugin_fields!(ACL, NO_CONSUMER, WEB);
const IP_RESTRICTION_PLUGIN: &[Field] = plugin_fields!(IP_RESTRICTION, CONSUMER, ANY);
const REQUEST_TERMINATION_PLUGIN: &[Field] = plugin_fields!(REQUEST_TERMINATION, CONSUMER, WEB);
const TCP_LOG_PLUGIN: &[Field] = plugin_fields!(TCP_LOG, CONSUMER, WEB);
const HTTP_LOG_PLUGIN: &[Field] = plugin_fields!(HTTP_LOG, CONSUMER, WEB);
const RATE_LIMITING_PLUGIN: &[Field] = plugin_fields!(RATE_LIMITING, CONSUMER, WEB);

/// The fields of one plugin document.
pub(super) fn fields(document: &Object) -> Result<&'static [Field], Object> {
    let refused = |problem: Value| Err(Object::from_iter([("name".to_owned(), problem)]));
    match document.get("name") {
        None | Some(Value::Null) => refused("required field missing".into()),
        Some(Value::String(name)) => match name.as_str() {
            "key-auth" => Ok(KEY_AUTH_PLUGIN),
            "acl" => Ok(ACL_PLUGIN),
            "ip-restriction" => Ok(IP_RESTRICTION_PLUGIN),
            "request-termination" => Ok(REQUEST_TERMINATION_PLUGIN),
            "tcp-log" => Ok(TCP_LOG_PLUGIN),
            "http-log" => Ok(HTTP_LOG_PLUGIN),
            "rate-limiting" => Ok(RATE_LIMITING_PLUGIN),
            name => {
                refused(format!("plugin '{name}' not enabled; add it to the 'plugins' configuration property").into())
            }
        },
        Some(_) => refused("expected a string".into()),
    }
}

/// What the configuration must fulfil as a whole, in Kong's words; `None` when it does.
pub(crate) fn config_problem(name: &str, config: &Object) -> Option<String> {
    match name {
        "request-termination" => termination_problem(config),
        "rate-limiting" => rate_problem(config),
        "key-auth" if config.get("key_in_body") == Some(&Value::Bool(true)) => {
            Some("the practice gateway takes no key from a body".to_owned())
        }
        _ => None,
    }
}

fn termination_problem(config: &Object) -> Option<String> {
    let given = |name: &str| config.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let raw = given("content_type") || given("body");
    if given("message") && raw {
        return Some("message cannot be used with content_type or body".to_owned());
    }
    if given("content_type") && !given("body") {
        return Some("content_type requires a body".to_owned());
    }
    if config.get("echo") == Some(&Value::Bool(true)) && raw {
        return Some("echo cannot be used with content_type and body".to_owned());
    }
    None
}

/// The periods of a rate limit, shortest first.
pub(crate) const PERIODS: [&str; 6] = ["second", "minute", "hour", "day", "month", "year"];

fn rate_problem(config: &Object) -> Option<String> {
    let limits: Vec<(&str, f64)> =
        PERIODS.iter().filter_map(|period| Some((*period, config.get(*period)?.as_f64()?))).collect();
    for (at, (shorter, low)) in limits.iter().enumerate() {
        for (longer, high) in &limits[at + 1..] {
            if high < low {
                return Some(format!(
                    "The limit for {longer}({high:.1}) cannot be lower than the limit for {shorter}({low:.1})"
                ));
            }
        }
    }
    if config.get("sync_rate").and_then(Value::as_f64) != Some(-1.0) {
        return Some("sync_rate can only be used with the redis policy".to_owned());
    }
    if config.get("policy").and_then(Value::as_str) != Some("local") {
        return Some("the practice gateway counts with policy local only".to_owned());
    }
    None
}

/// Rules over several fields of a plugin.
pub(super) fn whole(document: &Object, writing: Writing) -> Vec<String> {
    const LISTS: &[&str] = &["config.allow", "config.deny"];
    const LIMITS: &[&str] =
        &["config.second", "config.minute", "config.hour", "config.day", "config.month", "config.year"];
    let at_least = |names| at_least_one(document, names).map(|names| must("at least one of", &names, writing));
    let name = document.get("name").and_then(Value::as_str).unwrap_or_default();
    let found = match name {
        "acl" => [only_one(document, LISTS).map(|names| must("exactly one of", &names, writing)), at_least(LISTS)],
        "ip-restriction" => [at_least(LISTS), None],
        "rate-limiting" => [at_least(LIMITS), None],
        _ => [None, None],
    };
    found.into_iter().flatten().collect()
}

/// Deprecated flat names of the Redis settings, which Kong still reads and still shows.
const REDIS_NAMES: [&str; 9] =
    ["host", "port", "password", "username", "ssl", "ssl_verify", "server_name", "timeout", "database"];

pub(super) fn expand(document: &mut Object) {
    if document.get("name").and_then(Value::as_str) != Some("rate-limiting") {
        return;
    }
    let Some(Value::Object(config)) = document.get_mut("config") else {
        return;
    };
    for name in REDIS_NAMES {
        if let Some(value) = config.remove(&format!("redis_{name}")) {
            let redis = config.entry("redis").or_insert_with(|| json!({}));
            if let Value::Object(redis) = redis {
                redis.entry(name).or_insert(value);
            }
        }
    }
}

/// A plugin as the Admin API shows it.
pub(crate) fn shown(document: &Object) -> Object {
    let mut shown = document.clone();
    if shown.get("name").and_then(Value::as_str) == Some("rate-limiting")
        && let Some(Value::Object(config)) = shown.get_mut("config")
        && let Some(Value::Object(redis)) = config.get("redis").cloned()
    {
        for name in REDIS_NAMES {
            config.insert(format!("redis_{name}"), redis.get(name).cloned().unwrap_or(Value::Null));
        }
    }
    shown
}
