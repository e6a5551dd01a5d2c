//! What was asked for: host, path and query as the client sent them.

use std::borrow::Cow;

use outrider_model::{Field, Text};

use crate::lossless;

/// Query fields kept of one call; the call counts as truncated beyond.
pub const QUERY_FIELDS_MAX: usize = 256;

/// Path and query of a raw request target. What follows `#` was never meant for the server and may hold a token.
pub(crate) fn split_uri(uri: &str) -> (&str, &str) {
    let uri = match memchr::memchr2(b'?', b'#', uri.as_bytes()) {
        None => return (uri, ""),
        Some(at) if uri.as_bytes()[at] == b'#' => return (&uri[..at], ""),
        Some(at) => (&uri[..at], &uri[at + 1..]),
    };
    (uri.0, uri.1.split('#').next().unwrap_or_default())
}

/// The fields of a raw query and whether some were left out; `make` turns decoded name and value into a field, if it stays.
pub(super) fn query<'a>(
    raw: &'a str,
    mut make: impl FnMut(Text<'a>, Option<Text<'a>>) -> Option<Field<'a>>,
) -> (Vec<Field<'a>>, bool) {
    if raw.is_empty() {
        return (Vec::new(), false);
    }
    let mut fields = Vec::with_capacity(4);
    for part in raw.split('&').filter(|part| !part.is_empty()) {
        if fields.len() == QUERY_FIELDS_MAX {
            return (fields, true);
        }
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(Text::from(form_decoded(value)))),
            None => (part, None),
        };
        fields.extend(make(Text::from(form_decoded(name)), value));
    }
    (fields, false)
}

/// The host without its port, in lower case: from the `host` header, else from the logged URL.
pub(super) fn host<'a>(header: Option<&Text<'a>>, url: &Text<'a>) -> Text<'a> {
    let from = |text: &Text<'a>, part: fn(&str) -> &str| {
        let found = part(text);
        if found.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Text::from(found.to_ascii_lowercase());
        }
        match text.borrowed() {
            Some(borrowed) => Text::from(part(borrowed)),
            None => Text::from(found.to_owned()),
        }
    };
    match header {
        Some(header) => from(header, |header| without_port(without_user(header))),
        None => from(url, |url| without_port(authority(url))),
    }
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    without_user(rest.split(['/', '?', '#']).next().unwrap_or_default())
}

/// Nobody's name and password are a part of the host.
fn without_user(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// `api.example.:8080` and `api.example` are one host; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    let host = host.trim();
    let end = match host.strip_prefix('[') {
        Some(address) => address.find(']').map_or(host.len(), |at| at + 2),
        None => host.rfind(':').unwrap_or(host.len()),
    };
    let host = &host[..end];
    host.strip_suffix('.').unwrap_or(host)
}

/// Percent-decoded, with `+` as space, as forms and Kong read a query.
fn form_decoded(raw: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'%', b'+', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    decoded(raw, b' ')
}

/// Percent-decoded, with `+` as itself.
pub(crate) fn percent_decoded(raw: &str) -> Cow<'_, str> {
    if memchr::memchr(b'%', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    decoded(raw, b'+')
}

/// A `%` that no two hexadecimal digits follow stays. Decoded bytes that are not UTF-8 are kept losslessly.
fn decoded(raw: &str, plus: u8) -> Cow<'static, str> {
    let raw = lossless::to_bytes(raw);
    let mut bytes = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        at += 1;
        let digits = (byte == b'%').then(|| raw.get(at..at + 2)).flatten().and_then(|pair| hex_byte(pair[0], pair[1]));
        bytes.push(match (byte, digits) {
            (b'+', _) => plus,
            (_, Some(decoded)) => {
                at += 2;
                decoded
            }
            _ => byte,
        });
    }
    Cow::Owned(lossless::to_text(&bytes).into_owned())
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use outrider_model::FieldValue;

    use super::*;

    #[test]
    fn a_target_is_split() {
        for (uri, path, query) in [
            ("", "", ""),
            ("/", "/", ""),
            ("/a?b=c", "/a", "b=c"),
            ("/a?b?c#d", "/a", "b?c"),
            ("/a#frag?x=1", "/a", ""),
            ("/a%3Fb/../c", "/a%3Fb/../c", ""),
            ("?x", "", "x"),
        ] {
            assert_eq!(split_uri(uri), (path, query), "{uri}");
        }
    }

    #[test]
    fn a_query_is_read_as_forms_are() {
        let read = |raw: &str| -> Vec<String> {
            let show = |name: Text<'_>, value: Option<Text<'_>>| Field {
                name: Text::from(match value {
                    Some(value) => format!("{name}={value}"),
                    None => name.to_string(),
                }),
                value: FieldValue::Flag,
            };
            let raw: &'static str = String::leak(raw.to_owned());
            query(raw, |name, value| {
                let field = show(name, value);
                Some(Field { name: field.name.into_owned(), value: FieldValue::Flag })
            })
            .0
            .into_iter()
            .map(|field| field.name.into_string())
            .collect()
        };
        assert_eq!(read(""), [""; 0]);
        assert_eq!(read("a=1&b=&c&&=d"), ["a=1", "b=", "c", "=d"]);
        assert_eq!(read("a=1+2%203&%61%5B%5D=x%26y"), ["a=1 2 3", "a[]=x&y"]);
        assert_eq!(read("a=%&b=%4&c=%zz&d=%e9&e=%C3%A9"), ["a=%", "b=%4", "c=%zz", "d=\u{f7e9}", "e=\u{e9}"]);
        assert_eq!(read("a=\u{f7c3}%A9&n=%00"), ["a=\u{e9}", "n=\0"]);
        assert_eq!(read("q=%EF%9F%A9"), ["q=\u{f7ef}\u{f79f}\u{f7a9}"]);
    }

    #[test]
    fn too_many_fields_are_cut_and_said() {
        let make = |name, _| Some(Field { name, value: FieldValue::Flag });
        let raw = "a&".repeat(QUERY_FIELDS_MAX);
        assert_eq!(query(&raw, make).0.len(), QUERY_FIELDS_MAX);
        assert!(!query(&raw, make).1);
        let raw = "a&".repeat(QUERY_FIELDS_MAX + 1);
        assert_eq!(query(&raw, make).0.len(), QUERY_FIELDS_MAX);
        assert!(query(&raw, make).1);
    }

    #[test]
    fn hosts_are_one_whatever_their_port_and_case() {
        for (header, url, expected) in [
            (Some("API.Example:8000"), "", "api.example"),
            (Some("api.example."), "", "api.example"),
            (Some("[::1]:80"), "", "[::1]"),
            (Some("[::1]"), "", "[::1]"),
            (Some("[::1"), "", "[::1"),
            (Some("alice:secret@api.example:80"), "", "api.example"),
            (Some(""), "http://other/", ""),
            (None, "http://API.example:8000/a?b", "api.example"),
            (None, "https://user:pw@api.example", "api.example"),
            (None, "garbage", ""),
            (None, "", ""),
        ] {
            assert_eq!(host(header.map(Text::from).as_ref(), &Text::from(url)), *expected, "{header:?} {url}");
        }
    }
}
