//! Where a request comes from: the address of who sent it, and, for what a browser sends with a cookie, the site.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::auth::Access;
use super::problem::Problem;
use super::server::Counters;
use super::{ApiState, HEALTH};

/// The address at the other end of the connection, as the socket says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub IpAddr);

/// Who sent a request: the other end of the connection, or, where that is the proxy, who that says it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client(pub IpAddr);

impl FromRequestParts<ApiState> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        let forwarded = if state.access.settings.is_proxy(peer) { forwarded_for(&parts.headers) } else { None };
        Ok(Client(forwarded.unwrap_or(peer)))
    }
}

/// Where a proxy speaks TLS, refuses whoever comes past it from elsewhere. Whether the process is well may be asked past it.
pub(super) async fn only_by_proxy(
    State((access, counters)): State<(Arc<Access>, Arc<Counters>)>,
    request: Request,
    next: Next,
) -> Response {
    let settings = &access.settings;
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let may_come = peer.is_some_and(|peer| peer.to_canonical().is_loopback() || settings.is_proxy(peer));
    if settings.proxies.is_empty() || may_come || request.uri().path() == HEALTH {
        return next.run(request).await;
    }
    counters.forbidden();
    let from = peer.map_or_else(|| "an unknown address".to_owned(), |peer| peer.to_string());
    Problem::forbidden(format!("this connection comes from {from}, which is not the proxy in front of outrider"))
        .hint("go through the proxy; if this is it, add its address to api.behind_proxy")
        .into_response()
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
    use crate::api::AccessSettings;

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

    #[tokio::test]
    async fn past_the_proxy_only_this_machine_and_a_look_at_the_health_come() {
        use tower_service::Service as _;
        let proxies = ["10.0.0.7", "192.0.2.0/24"].map(|text| text.parse().unwrap()).to_vec();
        let with = |proxies| {
            let settings = AccessSettings { proxies, ..AccessSettings::default() };
            let access = Arc::new(Access { settings, ..Access::default() });
            axum::Router::<()>::new()
                .fallback(async || ())
                .layer(axum::middleware::from_fn_with_state((access, Arc::<Counters>::default()), only_by_proxy))
        };
        for (proxies, path, peer, status) in [
            (&proxies, "/", Some("10.0.0.7"), 200),
            (&proxies, "/", Some("::ffff:192.0.2.9"), 200),
            (&proxies, "/", Some("127.0.0.1"), 200),
            (&proxies, "/", Some("::1"), 200),
            (&proxies, "/", Some("10.0.0.8"), 403),
            (&proxies, "/", None, 403),
            (&proxies, "/healthz", Some("10.0.0.8"), 200),
            (&Vec::new(), "/", Some("10.0.0.8"), 200),
        ] {
            let mut request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
            if let Some(peer) = peer {
                request.extensions_mut().insert(Peer(peer.parse().unwrap()));
            }
            let response = with(proxies.clone()).call(request).await.unwrap();
            assert_eq!(response.status(), status, "{path} {peer:?}");
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
