//! The web console: files that are part of the binary, at every path that is not the API's.
//!
//! It decides what a browser may keep and what a page may do (the Content-Security-Policy). What the pages show comes from
//! the API like anybody else's answers. Paths of the API are never answered here, nor is anybody who does not ask for a page.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::{ApiState, HEALTH, unknown_path};

/// A file of the console.
#[derive(Debug, Clone, Copy)]
pub struct ConsoleFile {
    /// Where it is, such as `/assets/index-4f2a.js`.
    pub path: &'static str,
    /// What it holds.
    pub bytes: &'static [u8],
    /// The same, compressed, if that is worth it.
    pub gzip: Option<&'static [u8]>,
}

/// Marks an answer whose own `Cache-Control` holds; every other answer of the API is kept by nobody.
#[derive(Debug, Clone, Copy)]
pub(super) struct MayBeKept;

/// The page that every address of the console is.
const PAGE: &str = "/index.html";
/// Below this, a file's name says what it holds: it never changes.
const ASSETS: &str = "/assets/";

/// What a page may do: run and load outrider's own files and ask outrider. No inline script or style, no other site, no
/// frame around it, no form that goes elsewhere, and nothing that turns a text into HTML.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const WITHOUT_CONSOLE: &str = "This outrider was built without its web console.\n\n\
    With Node.js 20 or newer, `make console` builds the console, and the next build of outrider has it.\n\
    The API is at /api/v1/ and described in /api/v1/openapi.json.\n";

/// Answers what no route does.
pub(super) async fn answer(State(state): State<ApiState>, request: Request) -> Response {
    let path = request.uri().path();
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_reading || is_of_api(path) {
        return unknown_path(request.uri().clone()).await.into_response();
    }
    if let Some(file) = find(state.console, path) {
        return serve(file, request.headers());
    }
    if path.starts_with(ASSETS) || !wants_page(request.headers()) {
        return unknown_path(request.uri().clone()).await.into_response();
    }
    match find(state.console, PAGE) {
        Some(page) => serve(page, request.headers()),
        None => with_policy(
            (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], WITHOUT_CONSOLE)
                .into_response(),
        ),
    }
}

fn is_of_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/") || path == "/metrics" || path == HEALTH
}

fn find(files: &'static [ConsoleFile], path: &str) -> Option<&'static ConsoleFile> {
    files.iter().find(|file| file.path == path)
}

/// Browsers name HTML when they open an address; scripts and programs do not.
fn wants_page(headers: &HeaderMap) -> bool {
    said(headers, &header::ACCEPT).is_some_and(|accept| accept.contains("text/html"))
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    said(headers, &header::ACCEPT_ENCODING).is_some_and(|codings| {
        codings.split(',').map(str::trim).any(|coding| coding == "gzip" || coding.starts_with("gzip;q=1"))
    })
}

fn said<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn serve(file: &ConsoleFile, asked: &HeaderMap) -> Response {
    let gzip = file.gzip.filter(|_| takes_gzip(asked));
    let mut response = Response::new(Body::from(gzip.unwrap_or(file.bytes)));
    response.extensions_mut().insert(MayBeKept);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(file.path)));
    let keep = if file.path.starts_with(ASSETS) { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    if file.gzip.is_some() {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if gzip.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    with_policy(response)
}

fn with_policy(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
