//! Where a request comes from: the address of who sent it, and, for what a browser sends with a cookie, the site.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

use super::ApiState;
use super::problem::Problem;

/// The address at the other end of the connection, as the socket says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub IpAddr);

/// Who sent a request: the other end of the connection, or, behind the named proxy, who that says it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client(pub IpAddr);

impl FromRequestParts<ApiState> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        let forwarded = if state.access.settings.behind_proxy { forwarded_for(&parts.headers) } else { None };
        Ok(Client(forwarded.unwrap_or(peer)))
    }
}

/// The last address of `X-Forwarded-For`: the one that the proxy itself added. Those before it are anybody's words.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

/// Refuses what another site made a browser send (OWASP, Cross-Site Request Forgery Prevention: Fetch Metadata, with the
/// origin for browsers without it). What changes nothing passes.
///
/// `is_signed_in` is for what the browser's cookie would give force to: then the request must say where it comes from.
/// Signing in itself may come from something that is no browser.
pub(super) fn check_site(method: &Method, headers: &HeaderMap, is_signed_in: bool) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_own = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let host = text(header::HOST.as_str()).unwrap_or_default();
            origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        }
        (None, None) => !is_signed_in,
    };
    if is_own {
        return Ok(());
    }
    Err(Problem::forbidden("this request does not say that it comes from outrider's own pages")
        .at("headers `Sec-Fetch-Site` and `Origin`")
        .hint("a script uses a token instead of a session; a proxy in front must leave these headers and `Host` as they are"))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn headers(pairs: Pairs<'_>) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn only_own_pages_change_things_with_a_cookie() {
        let host = ("host", "outrider.example:9580");
        // What the headers say, whether a cookie gives it force, whether it passes.
        let cases: [(Pairs<'_>, bool, bool); 11] = [
            (&[("sec-fetch-site", "same-origin")], true, true),
            (&[("sec-fetch-site", "same-site")], true, false),
            (&[("sec-fetch-site", "cross-site")], true, false),
            (&[("sec-fetch-site", "none")], true, false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://outrider.example:9580")], true, false),
            (&[("origin", "https://outrider.example:9580")], true, true),
            (&[("origin", "https://outrider.example")], true, false),
            (&[("origin", "null")], true, false),
            (&[], true, false),
            (&[], false, true),
            (&[("origin", "https://evil.example")], false, false),
        ];
        for (said, is_signed_in, passes) in cases {
            let mut headers = headers(said);
            headers.insert("host", HeaderValue::from_static(host.1));
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                assert_eq!(check_site(&method, &headers, is_signed_in).is_ok(), passes, "{method} {said:?}");
            }
            assert!(check_site(&Method::GET, &headers, is_signed_in).is_ok());
        }
    }

    #[test]
    fn of_forwarded_addresses_only_the_proxys_own_word_counts() {
        for (value, expected) in [
            ("203.0.113.7", Some("203.0.113.7")),
            ("1.2.3.4, 203.0.113.7", Some("203.0.113.7")),
            ("1.2.3.4,2001:db8::1", Some("2001:db8::1")),
            ("203.0.113.7, unknown", None),
            ("", None),
        ] {
            let expected = expected.map(|text| text.parse::<IpAddr>().unwrap());
            assert_eq!(forwarded_for(&headers(&[("x-forwarded-for", value)])), expected, "{value}");
        }
    }
}
