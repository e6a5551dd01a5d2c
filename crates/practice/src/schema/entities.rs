//! The entities of Kong 3.9 that outrider reads or writes, field by field.

use serde_json::{Value, json};

use super::{Field, Kind, Object, Otherwise, TEXT, Table, at_least_one, between, checked, one_of, plugins, text};

const TAGS: Kind = Kind::List { of: &checked(text::tag), set: true };
const PROTOCOL: Kind = one_of(&["http", "https", "tcp", "tls", "udp", "grpc", "grpcs", "tls_passthrough"]);
const TIMEOUT_MS_MAX: i64 = 2_147_483_646;
/// A field of Kong that the practice gateway knows and cannot honour: it stays null.
const fn unsupported(name: &'static str) -> Field {
    Field::new(name, TEXT).must_be_null()
}

const SERVICE: &[Field] = &[
    Field::new("id", Kind::Uuid),
    Field::new("created_at", Kind::Number { above_zero: false }),
    Field::new("updated_at", Kind::Number { above_zero: false }),
    Field::new("name", checked(text::name)),
    Field::new("retries", between(0, 32767)).or(Otherwise::Integer(5)),
    Field::new("protocol", PROTOCOL).required().or(Otherwise::Text("http")),
    Field::new("host", checked(text::host)).required(),
    Field::new("port", between(0, 65535)).required().or(Otherwise::Integer(80)),
    Field::new("path", checked(text::path)),
    Field::new("connect_timeout", between(1, TIMEOUT_MS_MAX)).or(Otherwise::Integer(60_000)),
    Field::new("write_timeout", between(1, TIMEOUT_MS_MAX)).or(Otherwise::Integer(60_000)),
    Field::new("read_timeout", between(1, TIMEOUT_MS_MAX)).or(Otherwise::Integer(60_000)),
    Field::new("tags", TAGS),
    unsupported("client_certificate"),
    unsupported("tls_verify"),
    unsupported("tls_verify_depth"),
    unsupported("ca_certificates"),
    Field::boolean("enabled", true),
];

const ROUTE: &[Field] = &[
    Field::new("id", Kind::Uuid),
    Field::new("created_at", Kind::Number { above_zero: false }),
    Field::new("updated_at", Kind::Number { above_zero: false }),
    Field::new("name", checked(text::name)),
    Field::new("protocols", Kind::List { of: &PROTOCOL, set: true })
        .required()
        .or(Otherwise::Texts(&["http", "https"])),
    Field::new("https_redirect_status_code", Kind::Integer { between: None, one_of: &[426, 301, 302, 307, 308] })
        .required()
        .or(Otherwise::Integer(426)),
    Field::boolean("strip_path", true),
    Field::boolean("preserve_host", false),
    Field::boolean("request_buffering", true),
    Field::boolean("response_buffering", true),
    Field::new("tags", TAGS),
    Field::new("service", Kind::Foreign),
    unsupported("snis"),
    unsupported("sources"),
    unsupported("destinations"),
    Field::new("methods", Kind::List { of: &checked(text::method), set: true }),
    Field::new("hosts", Kind::List { of: &checked(text::wildcard_host), set: false }),
    Field::new("paths", Kind::List { of: &checked(text::route_path), set: false }),
    unsupported("headers"),
    Field::new("regex_priority", Kind::Integer { between: None, one_of: &[] }).or(Otherwise::Integer(0)),
    Field::new("path_handling", one_of(&["v0", "v1"])).or(Otherwise::Text("v0")),
];

const CONSUMER: &[Field] = &[
    Field::new("id", Kind::Uuid),
    Field::new("created_at", Kind::Number { above_zero: false }),
    Field::new("updated_at", Kind::Number { above_zero: false }),
    Field::text("username"),
    Field::text("custom_id"),
    Field::new("tags", TAGS),
];

const KEY: &[Field] = &[
    Field::new("id", Kind::Uuid),
    Field::new("created_at", Kind::Number { above_zero: false }),
    Field::new("consumer", Kind::Foreign).required(),
    Field::text("key"),
    Field::new("tags", TAGS),
    unsupported("ttl"),
];

const GROUP: &[Field] = &[
    Field::new("id", Kind::Uuid),
    Field::new("created_at", Kind::Number { above_zero: false }),
    Field::new("consumer", Kind::Foreign).required(),
    Field::text("group").required(),
    Field::new("tags", TAGS),
];

/// How a document is being written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// The whole document is given: POST and PUT.
    Whole,
    /// Over an existing one: PATCH.
    Update,
}

impl Table {
    /// As Kong calls it in its messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Table::Services => "services",
            Table::Routes => "routes",
            Table::Consumers => "consumers",
            Table::Plugins => "plugins",
            Table::Keys => "keyauth_credentials",
            Table::Groups => "acls",
        }
    }

    /// As it stands in a path.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Table::Keys => "key-auths",
            other => other.name(),
        }
    }

    /// As it stands in a path below its parent.
    pub(crate) fn nested_path(self) -> &'static str {
        match self {
            Table::Keys => "key-auth",
            other => other.name(),
        }
    }

    /// The field that can stand for the id in a path.
    pub(crate) fn endpoint_field(self) -> Option<&'static str> {
        match self {
            Table::Services | Table::Routes => Some("name"),
            Table::Consumers => Some("username"),
            Table::Plugins => Some("instance_name"),
            Table::Keys => Some("key"),
            Table::Groups => None,
        }
    }

    /// The fields that are unique on their own, in the order in which Kong notices.
    pub(crate) fn unique_fields(self) -> &'static [&'static str] {
        match self {
            Table::Services | Table::Routes => &["name"],
            Table::Consumers => &["username", "custom_id"],
            Table::Plugins => &["instance_name"],
            Table::Keys => &["key"],
            Table::Groups => &[],
        }
    }

    /// The fields that are unique together; those that are absent count as null.
    pub(crate) fn unique_together(self) -> &'static [&'static str] {
        match self {
            Table::Plugins => &["consumer", "name", "route", "service"],
            Table::Groups => &["consumer", "group"],
            _ => &[],
        }
    }

    /// References to other tables, and whether the row goes when the referenced one goes.
    pub(crate) fn references(self) -> &'static [(&'static str, Table, bool)] {
        match self {
            Table::Routes => &[("service", Table::Services, false)],
            Table::Plugins => &[
                ("route", Table::Routes, true),
                ("service", Table::Services, true),
                ("consumer", Table::Consumers, true),
            ],
            Table::Keys | Table::Groups => &[("consumer", Table::Consumers, true)],
            Table::Services | Table::Consumers => &[],
        }
    }

    /// Whether rows carry the time of their last change.
    pub(crate) fn has_updated_at(self) -> bool {
        !matches!(self, Table::Keys | Table::Groups)
    }

    /// The fields of a document; a plugin's depend on its name.
    pub(crate) fn fields(self, document: &Object) -> Result<&'static [Field], Object> {
        match self {
            Table::Services => Ok(SERVICE),
            Table::Routes => Ok(ROUTE),
            Table::Consumers => Ok(CONSUMER),
            Table::Keys => Ok(KEY),
            Table::Groups => Ok(GROUP),
            Table::Plugins => plugins::fields(document),
        }
    }

    /// What one document must fulfil as a whole; checked after its fields.
    pub(crate) fn whole(self, document: &Object, writing: Writing) -> Vec<String> {
        let found = match self {
            Table::Consumers => {
                at_least_one(document, &["custom_id", "username"]).map(|names| (names, "at least one of"))
            }
            Table::Routes => {
                let secure = document
                    .get("protocols")
                    .and_then(Value::as_array)
                    .is_some_and(|protocols| protocols.iter().any(|protocol| protocol == "https"));
                let names: &[&str] = if secure {
                    &["methods", "hosts", "headers", "paths", "snis"]
                } else {
                    &["methods", "hosts", "headers", "paths"]
                };
                let protocol = if secure { "https" } else { "http" };
                return at_least_one(document, names)
                    .map(|names| format!("must set one of {names} when 'protocols' is '{protocol}'"))
                    .into_iter()
                    .collect();
            }
            Table::Plugins => return plugins::whole(document, writing),
            _ => None,
        };
        found.map(|(names, rule)| must(rule, &names, writing)).into_iter().collect()
    }

    /// Turns the abbreviations that Kong accepts into the fields they stand for.
    pub(crate) fn expand(self, document: &mut Object) {
        match self {
            Table::Services => expand_url(document),
            Table::Plugins => plugins::expand(document),
            _ => {}
        }
    }
}

/// Kong's words for a rule over several fields, which differ in an update.
pub(super) fn must(rule: &str, names: &str, writing: Writing) -> String {
    let prefix = if writing == Writing::Update && rule == "at least one of" { "when updating, " } else { "" };
    format!("{prefix}{rule} these fields must be non-empty: {names}")
}

/// `url` stands for protocol, host, port and path.
fn expand_url(document: &mut Object) {
    let Some(Value::String(url)) = document.get("url").cloned() else {
        return;
    };
    document.remove("url");
    let (protocol, rest) = url.split_once("://").unwrap_or(("http", &url));
    let (authority, path) = match rest.find('/') {
        Some(at) => (&rest[..at], Value::from(&rest[at..])),
        None => (rest, Value::Null),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse::<u16>().map_or(Value::from(port), Value::from)),
        _ => (authority, json!(if protocol == "https" { 443 } else { 80 })),
    };
    document.insert("protocol".to_owned(), protocol.into());
    document.insert("host".to_owned(), if host.is_empty() { Value::Null } else { host.into() });
    document.insert("port".to_owned(), port);
    document.insert("path".to_owned(), path);
}
