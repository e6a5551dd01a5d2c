//! Whether the caller takes what a route answers with, asked before anything is done.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;

/// What most routes answer with.
pub(super) const JSON: &str = "application/json";

/// Lets a request through unless its `Accept` excludes the route's media type.
pub(super) async fn require(State(media): State<&'static str>, request: Request, next: Next) -> Response {
    if takes(request.headers(), media) {
        return next.run(request).await;
    }
    Problem::not_acceptable(format!("the answer would be {media}, which the request does not take"))
        .hint(format!("send `Accept: {media}`, or none"))
        .into_response()
}

/// Whether a media type is among those that the request names. Without any, everything is; `*/*` always is.
fn takes(headers: &HeaderMap, media: &str) -> bool {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .filter(|range| !range.is_empty())
        .peekable();
    let kind = media.split('/').next().unwrap_or_default();
    media == "*/*"
        || ranges.peek().is_none()
        || ranges.any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let is_refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            let is_named = name == "*/*" || name == media || name.strip_suffix("/*") == Some(kind);
            is_named && !is_refused
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_is_read_as_browsers_and_scripts_write_it() {
        let cases = [
            (None, true),
            (Some(""), true),
            (Some("*/*"), true),
            (Some("application/*"), true),
            (Some("application/json"), true),
            (Some("Application/JSON; charset=utf-8"), true),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), true),
            (Some("text/html"), false),
            (Some("text/*, image/png"), false),
            (Some("application/json;q=0"), false),
            (Some("application/jsonx"), false),
        ];
        for (accept, expected) in cases {
            let headers = accept.map(|accept| (header::ACCEPT, accept.parse().unwrap())).into_iter().collect();
            assert_eq!(takes(&headers, JSON), expected, "{accept:?}");
        }
    }
}
