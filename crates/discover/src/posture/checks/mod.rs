//! The checks, one folder each, and the one list of them.

mod admin_or_debug_path;
mod anonymous_fallback;
mod cacheable_sensitive_response;
mod cookie_flags;
mod cors_wildcard;
mod credentials_in_url;
mod dormant_consumer;
mod enumerable_object_ids;
mod jwt_long_lived;
mod jwt_unsigned;
mod key_from_many_addresses;
mod missing_authentication_plugin;
mod missing_rate_limit;
mod mixed_authentication;
mod oversized_responses;
mod personal_data_in_url;
mod plain_http;
mod route_without_siblings_authentication;
mod sensitive_data_without_authentication;
mod server_error_cluster;
mod shadow_endpoint;
mod unauthenticated_access;
mod unexpected_method;
mod verbose_server_headers;
mod weak_tls;
mod zombie_endpoint;

use outrider_model::Severity;

use super::view::{Findings, GatewayView, ServiceView};

/// What a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Its name in files, settings and JSON, for what is weak.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// What is weak, in one sentence.
    pub summary: &'static str,
    /// Its id in the OWASP API Security Top 10 of 2023.
    pub owasp: &'static str,
    /// How bad it is as a rule; what is found may be worse or less.
    pub severity: Severity,
    /// What to do about it, in one sentence.
    pub fix: &'static str,
    /// Its page, in Markdown.
    pub page: &'static str,
}

/// A check: what it is, and its rule.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// What it is.
    pub descriptor: &'static Descriptor,
    pub(super) rule: Rule,
}

/// What a rule is asked about. It says what it finds now and knows nothing of before.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    Service(fn(&ServiceView<'_>, &mut Findings)),
    Gateway(fn(&GatewayView<'_>, &mut Findings)),
}

macro_rules! check {
    ($module:ident, $rule:ident) => {
        Check { descriptor: &$module::DESCRIPTOR, rule: Rule::$rule($module::check) }
    };
}

/// Every check, in the order in which they are asked.
pub const ALL: &[Check] = &[
    check!(unauthenticated_access, Service),
    check!(mixed_authentication, Service),
    check!(sensitive_data_without_authentication, Service),
    check!(credentials_in_url, Service),
    check!(personal_data_in_url, Service),
    check!(jwt_unsigned, Service),
    check!(jwt_long_lived, Service),
    check!(plain_http, Service),
    check!(weak_tls, Service),
    check!(cors_wildcard, Service),
    check!(cookie_flags, Service),
    check!(cacheable_sensitive_response, Service),
    check!(verbose_server_headers, Service),
    check!(enumerable_object_ids, Service),
    check!(oversized_responses, Service),
    check!(admin_or_debug_path, Service),
    check!(unexpected_method, Service),
    check!(server_error_cluster, Service),
    check!(shadow_endpoint, Service),
    check!(zombie_endpoint, Service),
    check!(missing_authentication_plugin, Service),
    check!(anonymous_fallback, Service),
    check!(route_without_siblings_authentication, Service),
    check!(missing_rate_limit, Service),
    check!(key_from_many_addresses, Gateway),
    check!(dormant_consumer, Gateway),
];

/// The check of that name.
pub fn named(name: &str) -> Option<&'static Check> {
    ALL.iter().find(|check| check.descriptor.name == name)
}
