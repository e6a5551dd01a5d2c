//! Rules for texts, each with the words Kong 3.9 refuses them with.

use std::net::IpAddr;

/// The 36 character form, the only one Kong takes for an id.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

/// Printable, without the two characters that separate tags in a filter.
pub(crate) fn tag(text: &str) -> Result<(), String> {
    if text.chars().all(|letter| !letter.is_ascii() || (' '..='~').contains(&letter) && !matches!(letter, ',' | '/')) {
        return Ok(());
    }
    Err(format!("invalid tag '{text}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"))
}

/// A name that can stand in a path.
pub(crate) fn name(text: &str) -> Result<(), String> {
    if text.chars().all(|letter| !letter.is_ascii() || letter.is_ascii_alphanumeric() || ".-_~".contains(letter)) {
        return Ok(());
    }
    Err(format!("invalid value '{text}': the only accepted ascii characters are alphanumerics or ., -, _, and ~"))
}

/// A host name or an address, without a port.
pub(crate) fn host(text: &str) -> Result<(), String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    if text.contains(':') {
        return Err("must not have a port".to_owned());
    }
    if text.split('.').all(|label| !label.is_empty() && label.chars().all(is_host_letter)) {
        return Ok(());
    }
    Err(format!("invalid value: {text}"))
}

/// As [`host`], with one asterisk at either end.
pub(crate) fn wildcard_host(text: &str) -> Result<(), String> {
    match text.matches('*').count() {
        0 => host(text),
        1 if text.starts_with('*') || text.ends_with('*') => host(&text.replace('*', "wildcard")),
        1 => Err("wildcard must be leftmost or rightmost character".to_owned()),
        _ => Err("only one wildcard must be specified".to_owned()),
    }
}

fn is_host_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')
}

/// A header that http-log does not set itself.
pub(crate) fn log_header(name: &str) -> Result<(), String> {
    let own = ["Host", "Content-Length", "Content-Type"].into_iter().find(|own| own.eq_ignore_ascii_case(name));
    own.map_or(Ok(()), |own| Err(format!("cannot contain '{own}' header")))
}

/// A URL with a host.
pub(crate) fn url(text: &str) -> Result<(), String> {
    let is_whole = text.parse::<hyper::Uri>().is_ok_and(|url| url.scheme().is_some() && url.host().is_some());
    if is_whole { Ok(()) } else { Err("missing host in url".to_owned()) }
}

/// A path that begins with a slash and has no empty segment.
pub(crate) fn path(text: &str) -> Result<(), String> {
    if !text.starts_with('/') {
        return Err("should start with: /".to_owned());
    }
    if text.contains("//") {
        return Err("must not have empty segments".to_owned());
    }
    if text.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-_~/%:@!$&'()*+,;=".contains(letter)) {
        return Ok(());
    }
    Err(format!("invalid path: '{text}' (characters outside of the reserved list of RFC 3986 found)"))
}

/// A path of a route: a prefix, or a regular expression behind a tilde.
pub(crate) fn route_path(text: &str) -> Result<(), String> {
    match text.strip_prefix('~') {
        Some(pattern) => {
            regex::Regex::new(pattern).map(|_| ()).map_err(|error| format!("invalid regex: '{pattern}' ({error})"))
        }
        None if text.starts_with('/') => path(text),
        None => Err("should start with: / (fixed path) or ~/ (regex path)".to_owned()),
    }
}

/// Upper case letters.
pub(crate) fn method(text: &str) -> Result<(), String> {
    if text.chars().all(|letter| letter.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(format!("invalid value: {text}"))
}

/// Letters, digits, `-` and `_`.
pub(crate) fn header_name(text: &str) -> Result<(), String> {
    if text.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')) {
        return Ok(());
    }
    Err(format!("bad header name '{text}', allowed characters are A-Z, a-z, 0-9, '_', and '-'"))
}

/// An address, or one with a prefix length.
pub(crate) fn address_or_range(text: &str) -> Result<(), String> {
    match Range::parse(text) {
        Some(_) => Ok(()),
        None => Err(format!("invalid ip or cidr range: '{text}'")),
    }
}

/// A range of addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    base: IpAddr,
    bits: u8,
}

impl Range {
    /// Host bits may be set, as in Kong.
    pub(crate) fn parse(text: &str) -> Option<Range> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse::<IpAddr>().ok()?, Some(bits.parse::<u8>().ok()?)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Range { base: address, bits })
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// Only `return` and a constant: the practice gateway has no Lua, and nothing else is ever installed (decision 4).
pub(crate) fn constant_lua(text: &str) -> Result<(), String> {
    match crate::log::fields::constant(text) {
        Some(_) => Ok(()),
        None => Err("the practice gateway runs constant expressions only: return 'text', a number, true, false or nil"
            .to_owned()),
    }
}
