//! One request: whether it is taken, and what it is answered.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;

use super::Shared;
use super::intake::Intake;
use super::room::Room;
use crate::Refusal;
use crate::framing::body_records;
use crate::normalise::SourceSecret;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Bytes unpacked at a time.
const UNPACKED_BYTES: usize = 64 * 1024;

/// Records that are read before others get their turn.
const RECORDS_AT_A_TIME: usize = 256;

/// What was taken of a request, in calls; `rejected` are lines that are none.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Taken {
    pub(super) stored: u32,
    pub(super) duplicates: u32,
    pub(super) rejected: u32,
}

/// Takes a request, or refuses it.
pub(super) async fn answer(request: Request<Incoming>, shared: &Arc<Shared>) -> Response<Full<Bytes>> {
    match take(request, shared).await {
        Ok(taken) => json(StatusCode::OK, &taken),
        Err(refusal) => {
            shared.counters.refused(refusal, shared.clock.now_ms());
            refused(refusal)
        }
    }
}

async fn take(request: Request<Incoming>, shared: &Arc<Shared>) -> Result<Taken, Refusal> {
    if ![Method::POST, Method::PUT, Method::PATCH].contains(request.method()) {
        return Err(Refusal::Method);
    }
    let reading = shared.reading.get();
    if !is_authorized(request.headers(), reading.secret.as_ref()) {
        return Err(Refusal::Unauthorized);
    }
    let is_packed = is_packed(request.headers())?;
    let mut room = Room::of(&shared.room);
    let body = tokio::time::timeout(BODY_TIME, read(request.into_body(), &mut room, shared.body_bytes_max));
    let mut body = body.await.map_err(|_| Refusal::Slow)??;
    if is_packed {
        body = unpack(&body, &mut room, shared.body_bytes_max)?;
    }
    shared.counters.read(body.len());
    let mut intake = Intake::new(shared, reading, room);
    let received_ms = shared.clock.now_ms();
    for (number, record) in body_records(&body, shared.line_bytes_max).enumerate() {
        intake.take(record, received_ms)?;
        if number % RECORDS_AT_A_TIME == RECORDS_AT_A_TIME - 1 {
            tokio::task::yield_now().await;
        }
    }
    drop(body);
    intake.settle(received_ms).await
}

fn is_authorized(headers: &HeaderMap, secret: Option<&SourceSecret>) -> bool {
    let Some(secret) = secret else { return true };
    let presented = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let presented = presented.and_then(|value| value.split_once(' '));
    presented.is_some_and(|(scheme, value)| scheme.eq_ignore_ascii_case("bearer") && secret.is(value.trim()))
}

fn is_packed(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None => Ok(false),
        Some(encoding) if encoding.eq_ignore_ascii_case(b"identity") => Ok(false),
        Some(encoding) if encoding.eq_ignore_ascii_case(b"gzip") => Ok(true),
        Some(_) => Err(Refusal::Encoding),
    }
}

async fn read(mut body: Incoming, room: &mut Room, most: usize) -> Result<Vec<u8>, Refusal> {
    // Said beforehand, it need not be read to be refused.
    if body.size_hint().lower() > most as u64 {
        return Err(Refusal::TooLarge);
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::Unreadable)?;
        if let Ok(data) = frame.into_data() {
            append(&mut bytes, &data, room, most)?;
        }
    }
    Ok(bytes)
}

fn unpack(packed: &[u8], room: &mut Room, most: usize) -> Result<Vec<u8>, Refusal> {
    let mut decoder = MultiGzDecoder::new(packed);
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; UNPACKED_BYTES]);
    loop {
        match decoder.read(&mut chunk).map_err(|_| Refusal::Unreadable)? {
            0 => return Ok(bytes),
            length => append(&mut bytes, &chunk[..length], room, most)?,
        }
    }
}

fn append(bytes: &mut Vec<u8>, more: &[u8], room: &mut Room, most: usize) -> Result<(), Refusal> {
    if bytes.len() + more.len() > most {
        return Err(Refusal::TooLarge);
    }
    room.take(more.len())?;
    bytes.extend_from_slice(more);
    Ok(())
}

/// What is refused is Kong's to send again, and a person's to understand.
fn refused(refusal: Refusal) -> Response<Full<Bytes>> {
    let (status, detail) = match refusal {
        Refusal::Method => (
            StatusCode::METHOD_NOT_ALLOWED,
            "this port takes log lines of Kong's HTTP Log plugin, by POST; outrider's console and API are elsewhere",
        ),
        Refusal::Unauthorized => (
            StatusCode::UNAUTHORIZED,
            "the source has a secret_file: send its secret as `authorization: Bearer SECRET` (`outrider kong setup` does)",
        ),
        // Answered by the server itself.
        Refusal::NotHttp => (StatusCode::BAD_REQUEST, "this is no HTTP"),
        Refusal::Encoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "bodies come plain or packed with gzip"),
        Refusal::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, "send fewer lines at once (queue.max_batch_size), or raise body_bytes_max")
        }
        Refusal::Unreadable => (StatusCode::BAD_REQUEST, "the body ended early, or is not what content-encoding says"),
        Refusal::Slow => (StatusCode::REQUEST_TIMEOUT, "the body took too long"),
        Refusal::Busy => (StatusCode::SERVICE_UNAVAILABLE, "too much is under way; send it again"),
        Refusal::UnderWay => {
            (StatusCode::SERVICE_UNAVAILABLE, "another request brings some of these calls; send it again")
        }
        Refusal::NotStored => {
            (StatusCode::SERVICE_UNAVAILABLE, "the calls could not be stored; send them again. outrider's log says why")
        }
    };
    let mut response = json(status, &Problem { reason: refusal.as_str(), detail });
    match refusal {
        Refusal::Method => drop(response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, PUT, PATCH"))),
        Refusal::Unauthorized => {
            drop(response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        _ => {}
    }
    response
}

#[derive(Serialize)]
struct Problem {
    reason: &'static str,
    detail: &'static str,
}

fn json(status: StatusCode, document: &impl Serialize) -> Response<Full<Bytes>> {
    // Numbers and fixed words are always JSON.
    let body = sonic_rs::to_vec(document).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
