//! Which names are kept, and as what: headers that are parameters, names without indices, media types.

use std::borrow::Cow;

/// Headers that every client or proxy sends, that say nothing of the API. Those of credentials and cookies are no
/// parameters either: see [`AuthKind`].
const IGNORED_HEADERS: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "apikey",
    "authorization",
    "baggage",
    "cache-control",
    "cdn-loop",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "correlation-id",
    "date",
    "dnt",
    "expect",
    "forwarded",
    "from",
    "host",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "request-id",
    "save-data",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-correlation-id",
    "x-real-ip",
    "x-request-id",
    "x-request-start",
    "x-requested-with",
];

/// Beginnings of such names.
const IGNORED_PREFIXES: &[&str] = &[
    "access-control-",
    "cf-",
    "fastly-",
    "sec-",
    "x-amz-",
    "x-amzn-",
    "x-b3-",
    "x-consumer-",
    "x-credential-",
    "x-datadog-",
    "x-envoy-",
    "x-forwarded-",
    "x-kong-",
];

/// Bytes of a media type; a longer one is none.
const MEDIA_TYPE_BYTES_MAX: usize = 64;

/// A name without what differs from call to call: `tag[0]` and `tag[1]` are `tag[]`.
pub(super) fn parameter_name(name: &str) -> Cow<'_, str> {
    let is_index = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = name.split('[');
    if !parts.clone().skip(1).any(|part| part.split_once(']').is_some_and(|(inside, _)| is_index(inside))) {
        return Cow::Borrowed(name);
    }
    let mut written = String::with_capacity(name.len());
    written.push_str(parts.next().unwrap_or_default());
    for part in parts {
        written.push('[');
        match part.split_once(']') {
            Some((inside, rest)) if is_index(inside) => {
                written.push(']');
                written.push_str(rest);
            }
            _ => written.push_str(part),
        }
    }
    Cow::Owned(written)
}

/// Whether a header is no parameter of an API. The name is in lower case.
pub(crate) fn is_ignored_header(name: &str) -> bool {
    IGNORED_HEADERS.binary_search(&name).is_ok() || IGNORED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The media type without its parameters; `None` for what is none.
pub(super) fn media_type(text: &str) -> Option<&str> {
    let media_type = text.split(';').next().unwrap_or_default().trim();
    let is_token = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-' | b'_');
        !part.is_empty() && part.bytes().all(plain)
    };
    let (kind, name) = media_type.split_once('/')?;
    (media_type.len() <= MEDIA_TYPE_BYTES_MAX && is_token(kind) && is_token(name)).then_some(media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_order_and_names_lose_their_indices() {
        assert!(IGNORED_HEADERS.is_sorted());
        for (name, expected) in [
            ("tag", "tag"),
            ("tag[]", "tag[]"),
            ("tag[0]", "tag[]"),
            ("a[12][b][3]", "a[][b][]"),
            ("filter[status]", "filter[status]"),
            ("[", "["),
            ("a[1", "a[1"),
        ] {
            assert_eq!(parameter_name(name), expected, "{name}");
        }
        for (text, expected) in [
            ("application/json; charset=utf-8", Some("application/json")),
            ("text/html", Some("text/html")),
            ("json", None),
            ("a/b c", None),
            ("", None),
        ] {
            assert_eq!(media_type(text), expected, "{text}");
        }
    }
}
