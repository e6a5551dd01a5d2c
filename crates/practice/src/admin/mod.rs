//! The Admin API: takes a request in, finds what it asks for, and answers in Kong's words.
//!
//! What is where is decided in `resources` (entities) and `information` (everything else); this module knows HTTP.

mod information;
mod resources;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::header::HeaderValue;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::core::Core;
use crate::faults::AdminFault;
use crate::percent;
use crate::proxy::{KONG, httpdate};
use crate::schema::{Object, Table, form};
use crate::store::Refusal;

/// Documents larger than this are refused with 413, as with Kong's `client_max_body_size`.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 10 * 1024 * 1024;

/// The body of an answer; it fails where a fault cuts it off.
pub(crate) struct Body {
    rest: Option<Bytes>,
    is_cut: bool,
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        let broken = self.is_cut.then(|| Err(std::io::Error::other("cut off by a fault")));
        self.is_cut = false;
        Poll::Ready(broken)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && !self.is_cut
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_cut {
            SizeHint::default()
        } else {
            SizeHint::with_exact(self.rest.as_ref().map_or(0, Bytes::len) as u64)
        }
    }
}

/// The gateway hangs up without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed by a fault")]
pub(crate) struct HangUp;

/// A request, taken apart.
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Decoded, without empty ones.
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    content_type: String,
    body: Bytes,
}

impl Asked {
    pub(crate) fn argument(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn is_write(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    /// The document that was sent.
    pub(crate) fn document(&self, table: Table) -> Result<Object, Reply> {
        if self.content_type.contains("application/json") {
            return match serde_json::from_slice(&self.body) {
                Ok(Value::Object(document)) => Ok(document),
                Ok(Value::Array(_)) => Ok(Object::new()),
                _ => Err(Reply::message(400, "Cannot parse JSON body")),
            };
        }
        if self.content_type.contains("application/x-www-form-urlencode") {
            return Ok(form::document(&String::from_utf8_lossy(&self.body), table));
        }
        if self.body.is_empty() { Ok(Object::new()) } else { Err(Reply::Unsupported) }
    }
}

/// An answer before it is HTTP.
#[derive(Debug)]
pub(crate) enum Reply {
    Json(u16, Value),
    /// Spread over lines and with the id of the request, as `kong.response.error` writes.
    Error(u16, &'static str),
    NoContent,
    /// To OPTIONS: what may be done here.
    Allow(&'static str),
    /// 415, which nginx answers in HTML.
    Unsupported,
}

impl Reply {
    pub(crate) fn message(status: u16, message: &str) -> Reply {
        Reply::Json(status, json!({ "message": message }))
    }

    pub(crate) fn not_found() -> Reply {
        Reply::message(404, "Not found")
    }

    pub(crate) fn not_allowed() -> Reply {
        Reply::message(405, "Method not allowed")
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        match refusal.status {
            500 => Reply::message(500, &refusal.message),
            status => Reply::Json(status, refusal.body()),
        }
    }
}

/// Answers one request, or hangs up.
pub(crate) async fn handle(core: Arc<Core>, request: Request<Incoming>) -> Result<Response<Body>, HangUp> {
    let started_ms = core.clock.now_ms();
    let (head, body) = request.into_parts();
    let content_type = head.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let closes = head.headers.get("connection").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    let content_type = content_type.to_ascii_lowercase();
    let body = match Limited::new(body, DOCUMENT_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(finished(&core, html(413), started_ms, closes, false)),
    };
    let asked = Asked {
        method: head.method.as_str().to_owned(),
        segments: head.uri.path().split('/').filter(|part| !part.is_empty()).map(percent::decode).collect(),
        query: pairs(head.uri.query().unwrap_or_default()),
        content_type,
        body,
    };
    let fault = core.faults.strike(asked.is_write());
    let response = match fault {
        Some(AdminFault::Closed) => return Err(HangUp),
        Some(AdminFault::Html(status)) => html(status),
        Some(AdminFault::Status(status)) => {
            json_response(status, &json!({ "message": "An unexpected error occurred" }))
        }
        Some(AdminFault::TooManyRequests(seconds)) => {
            let mut response = json_response(429, &json!({ "message": "API rate limit exceeded" }));
            response.headers_mut().insert("retry-after", seconds.into());
            response
        }
        Some(AdminFault::HalfBody | AdminFault::Slow(_) | AdminFault::LostReply) | None => {
            written(answer(&core, &asked), &core)
        }
    };
    match fault {
        Some(AdminFault::LostReply) => return Err(HangUp),
        Some(AdminFault::Slow(wait)) => tokio::time::sleep(wait).await,
        _ => {}
    }
    let is_cut = fault == Some(AdminFault::HalfBody);
    let response = if asked.method == "HEAD" { bodyless(response) } else { response };
    Ok(finished(&core, response, started_ms, closes, is_cut))
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let decoded = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent::decode_form(name), percent::decode_form(value))
    });
    decoded.collect()
}

fn answer(core: &Core, asked: &Asked) -> Reply {
    let segments: Vec<&str> = asked.segments.iter().map(String::as_str).collect();
    if let Some(reply) = information::answer(core, asked, &segments) {
        return reply;
    }
    match resources::find(&segments) {
        None => Reply::not_found(),
        Some(_) if asked.is_write() && asked.method != "DELETE" && unsupported_body(asked) => Reply::Unsupported,
        Some(resource) => resource.answer(core, asked),
    }
}

fn unsupported_body(asked: &Asked) -> bool {
    let known = ["application/json", "application/x-www-form-urlencode"];
    !asked.body.is_empty() && !known.iter().any(|known| asked.content_type.contains(known))
}

fn written(reply: Reply, core: &Core) -> Response<Bytes> {
    match reply {
        Reply::Json(status, body) => json_response(status, &body),
        Reply::Error(status, message) => {
            let body = format!("{{\n  \"message\":\"{message}\",\n  \"request_id\":\"{}\"\n}}", core.request_id());
            typed(status, "application/json; charset=utf-8", body)
        }
        Reply::NoContent => with_status(Bytes::new(), 204),
        Reply::Allow(methods) => {
            let mut response = with_status(Bytes::new(), 204);
            for name in ["allow", "access-control-allow-methods"] {
                response.headers_mut().insert(name, HeaderValue::from_static(methods));
            }
            response.headers_mut().insert("access-control-allow-headers", HeaderValue::from_static("Content-Type"));
            response
        }
        Reply::Unsupported => html(415),
    }
}

fn with_status(body: Bytes, status: u16) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

fn typed(status: u16, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = with_status(body.into(), status);
    response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    response
}

fn json_response(status: u16, body: &Value) -> Response<Bytes> {
    typed(status, "application/json; charset=utf-8", body.to_string())
}

/// A page as nginx writes one.
fn html(status: u16) -> Response<Bytes> {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    let title = format!("{status} {reason}");
    let body = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    typed(status, "text/html; charset=UTF-8", body)
}

/// For HEAD: the length stays, the body goes.
fn bodyless(response: Response<Bytes>) -> Response<Bytes> {
    let length = response.body().len();
    let mut response = response.map(|_| Bytes::new());
    response.headers_mut().insert("content-length", length.into());
    response
}

/// Adds the headers that Kong puts on every answer; a cut one ends in the middle.
fn finished(core: &Core, response: Response<Bytes>, started_ms: i64, closes: bool, is_cut: bool) -> Response<Body> {
    let now_ms = core.clock.now_ms();
    let (mut head, body) = response.into_parts();
    let headers = &mut head.headers;
    if head.status != StatusCode::NO_CONTENT && !headers.contains_key("content-length") {
        headers.insert("content-length", body.len().into());
    }
    headers.insert("access-control-allow-origin", HeaderValue::from_static("*"));
    headers.insert("access-control-allow-credentials", HeaderValue::from_static("true"));
    headers.insert("x-kong-admin-latency", (now_ms - started_ms).into());
    headers.insert("server", HeaderValue::from_static(KONG));
    if let Ok(date) = HeaderValue::try_from(httpdate(now_ms)) {
        headers.insert("date", date);
    }
    if closes {
        headers.insert("connection", HeaderValue::from_static("close"));
    }
    let rest = if is_cut { body.slice(..body.len() / 2) } else { body };
    Response::from_parts(head, Body { rest: (!rest.is_empty()).then_some(rest), is_cut })
}
