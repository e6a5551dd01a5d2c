//! What the headers of an answer show.

use jiff::fmt::rfc2822::DateTimeParser;
use outrider_model::{AnsweredBy, Sign, Signs};

use crate::kong::{ResponseHeader, ResponseHeaders};

/// Kong logs so many headers at most, and none says that there were more. Of an answer with so many, what is missing proves nothing.
const HEADERS_LOGGED_MAX: usize = 100;

/// The signs of an answer. What the gateway answers by itself says nothing of the API behind it; that it tells its version it
/// does either way. `at_ms` is the time of the call.
pub(crate) fn answer(headers: &ResponseHeaders<'_>, answered_by: AnsweredBy, at_ms: i64) -> Signs {
    let mut signs = Signs::default();
    let is_upstream = answered_by == AnsweredBy::Upstream;
    let mut caching = Caching::default();
    for (name, value) in &headers.values {
        let value = value.trim();
        match name {
            ResponseHeader::Server | ResponseHeader::Via if names_kong_version(value) => {
                signs.insert(Sign::GatewayVersion);
            }
            _ if !is_upstream => {}
            ResponseHeader::Server | ResponseHeader::Software if has_number(value) => {
                signs.insert(Sign::UpstreamVersion);
            }
            ResponseHeader::AccessControlAllowOrigin if value == "*" => signs.insert(Sign::CorsAnyOrigin),
            ResponseHeader::AccessControlAllowCredentials if value == "true" => signs.insert(Sign::CorsCredentials),
            ResponseHeader::SetCookie if !value.is_empty() => add_cookie(value, &mut signs),
            ResponseHeader::CacheControl => caching.control(value),
            ResponseHeader::Expires => caching.expires(value, at_ms),
            ResponseHeader::StrictTransportSecurity if is_strict(value) => signs.insert(Sign::StrictTransport),
            _ => {}
        }
    }
    if is_upstream {
        let is_complete = headers.count.is_some_and(|count| count < HEADERS_LOGGED_MAX);
        signs.extend(caching.sign(is_complete));
    }
    signs
}

/// `kong/3.9.1`, also behind others in `via`.
fn names_kong_version(value: &str) -> bool {
    let bytes = value.as_bytes();
    memchr::memchr_iter(b'/', bytes).any(|slash| {
        let is_kong = slash >= 4 && bytes[slash - 4..slash].eq_ignore_ascii_case(b"kong");
        is_kong && bytes.get(slash + 1).is_some_and(u8::is_ascii_digit)
    })
}

/// Whether a number stands in the value, which is a version: digits that a word begins with, or that stand behind its `v`. `h2o` and
/// `AmazonS3` are names.
fn has_number(value: &str) -> bool {
    let bytes = value.as_bytes();
    let begins_word = |at: usize| at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
    let is_version =
        |at: usize| begins_word(at) || (at > 0 && bytes[at - 1].eq_ignore_ascii_case(&b'v') && begins_word(at - 1));
    (0..bytes.len()).any(|at| bytes[at].is_ascii_digit() && is_version(at))
}

/// A cookie with its attributes (RFC 6265, section 5.2; `SameSite` as in RFC 6265bis).
fn add_cookie(value: &str, signs: &mut Signs) {
    let (mut is_secure, mut is_http_only, mut is_same_site) = (false, false, false);
    for attribute in value.split(';').skip(1) {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let name = name.trim();
        is_secure |= name.eq_ignore_ascii_case("secure");
        is_http_only |= name.eq_ignore_ascii_case("httponly");
        // The last one counts.
        if name.eq_ignore_ascii_case("samesite") {
            let value = value.trim();
            is_same_site = value.eq_ignore_ascii_case("lax") || value.eq_ignore_ascii_case("strict");
        }
    }
    signs.insert(Sign::CookieSet);
    let flags = [
        (is_secure, Sign::CookieWithoutSecure),
        (is_http_only, Sign::CookieWithoutHttpOnly),
        (is_same_site, Sign::CookieWithoutSameSite),
    ];
    signs.extend(flags.into_iter().filter(|(is_there, _)| !is_there).map(|(_, sign)| sign));
}

/// What an answer says of its caching.
#[derive(Debug, Default)]
struct Caching {
    is_stated: bool,
    is_forbidden: bool,
    is_allowed: bool,
    /// `expires` is in the future, which counts where `cache-control` says nothing.
    expires_later: bool,
    has_expires: bool,
}

impl Caching {
    fn control(&mut self, value: &str) {
        for directive in value.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            self.is_stated = true;
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let is = |known: &str| name.trim().eq_ignore_ascii_case(known);
            self.is_forbidden |= is("private") || is("no-store");
            self.is_allowed |= is("public") || ((is("max-age") || is("s-maxage")) && is_above_zero(value));
        }
    }

    /// What is no date has expired (RFC 9111, section 5.3): `0`, `-1`.
    fn expires(&mut self, value: &str, at_ms: i64) {
        self.has_expires = true;
        let date = DateTimeParser::new().parse_timestamp(value);
        self.expires_later |= date.is_ok_and(|date| date.as_millisecond() > at_ms);
    }

    fn sign(&self, is_complete: bool) -> Option<Sign> {
        match self {
            Caching { is_forbidden: true, .. } => None,
            Caching { is_allowed: true, .. } => Some(Sign::Cacheable),
            Caching { is_stated: true, .. } => None,
            Caching { expires_later: true, .. } => Some(Sign::Cacheable),
            Caching { has_expires: true, .. } => None,
            _ => is_complete.then_some(Sign::CachingUnstated),
        }
    }
}

/// Whether browsers are asked to come by HTTPS alone. An age of 0 takes that back (RFC 6797, section 6.1.1).
fn is_strict(value: &str) -> bool {
    value.split(';').any(|directive| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        name.trim().eq_ignore_ascii_case("max-age") && is_above_zero(value)
    })
}

/// Of seconds, which may stand in quotes and be more than a number has room for.
fn is_above_zero(seconds: &str) -> bool {
    let digits = seconds.trim().trim_matches('"');
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests;
