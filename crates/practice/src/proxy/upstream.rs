//! Asking the service: one of ours in process, or a real one over HTTP/1.1.
//!
//! Tries, retries and what the client sees when a service does not answer follow Kong 3.9 (FACTS, section 1). One
//! connection per try; nothing is pooled.

use std::net::Ipv4Addr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::configuration::Service;
use super::exchange::{Answer, Exchange, Source, Try};
use super::{KONG, httpdate, shop};
use crate::core::Core;

/// Answers of services larger than this become a 502.
pub(crate) const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

enum Failure {
    /// Nothing reached the service.
    Unreachable,
    /// The service broke off.
    Broken,
    /// The service was too slow.
    Late,
}

/// Sends the call on and brings the answer back.
pub(crate) async fn ask(core: &Core, exchange: &mut Exchange, service: &Service) -> Answer {
    let asked_ms = core.clock.now_ms();
    if let Some(reply) = shop::ask(&service.host, &exchange.method, &exchange.upstream_uri, &exchange.body) {
        let start_ns = core.clock.now_ns();
        exchange.tries.push(Try { ip: Ipv4Addr::LOCALHOST.to_string(), port: service.port, start_ns, failed: None });
        exchange.upstream_status.push(reply.status);
        let body = reply.body.map(|body| body.to_string()).unwrap_or_default();
        let mut answer = Answer::raw(reply.status, (!body.is_empty()).then_some("application/json"), body);
        answer.source = Source::Upstream;
        answer.headers.push(("Server".to_owned(), "practice".to_owned()));
        answer.headers.push(("Date".to_owned(), httpdate(asked_ms)));
        answer.waited_ms = Some(core.clock.now_ms() - asked_ms);
        return answer;
    }
    let mut status = 502;
    for _ in 0..=service.retries {
        let start_ns = core.clock.now_ns();
        let mut attempt = Try { ip: service.host.clone(), port: service.port, start_ns, failed: None };
        let failure = match try_once(exchange, service, &mut attempt).await {
            Ok(mut answer) => {
                exchange.tries.push(attempt);
                exchange.upstream_status.push(answer.status);
                answer.waited_ms = Some(core.clock.now_ms() - asked_ms);
                return answer;
            }
            Err(failure) => failure,
        };
        status = if matches!(failure, Failure::Late) { 504 } else { 502 };
        attempt.failed = Some(status);
        exchange.tries.push(attempt);
        exchange.upstream_status.push(status);
        let repeatable = !matches!(exchange.method.as_str(), "POST" | "PATCH" | "LOCK");
        if !repeatable && !matches!(failure, Failure::Unreachable) {
            break;
        }
    }
    let mut answer = failed(status, exchange);
    answer.waited_ms = Some(core.clock.now_ms() - asked_ms);
    answer
}

/// nginx writes plain text unless the client asked for something.
fn failed(status: u16, exchange: &Exchange) -> Answer {
    let message = match status {
        504 => "The upstream server is timing out",
        _ => "An invalid response was received from the upstream server",
    };
    if exchange.headers.first("accept").is_some() {
        return Answer::error(status, message, &exchange.id);
    }
    let body = format!("{message}\nrequest_id: {}", exchange.id);
    Answer::raw(status, Some("text/plain; charset=utf-8"), body)
}

async fn try_once(exchange: &Exchange, service: &Service, attempt: &mut Try) -> Result<Answer, Failure> {
    let connect_timeout = Duration::from_millis(service.connect_timeout_ms);
    let connecting = TcpStream::connect((service.host.as_str(), service.port));
    let stream = tokio::time::timeout(connect_timeout, connecting)
        .await
        .map_err(|_| Failure::Late)?
        .map_err(|_| Failure::Unreachable)?;
    if let Ok(peer) = stream.peer_addr() {
        attempt.ip = peer.ip().to_string();
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Broken)?;
    let driver = tokio::spawn(connection);
    let request = request(exchange, service).ok_or(Failure::Broken)?;
    let read_timeout = Duration::from_millis(service.read_timeout_ms);
    let answer = tokio::time::timeout(read_timeout, async {
        let response = sender.send_request(request).await.map_err(|_| Failure::Broken)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|_| Failure::Broken)?.to_bytes();
        let headers = head.headers.iter().filter(|(name, _)| {
            !matches!(name.as_str(), "connection" | "keep-alive" | "transfer-encoding" | "content-length")
        });
        let headers = headers
            .map(|(name, value)| (capitals(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let headers = headers.collect();
        Ok(Answer { status: head.status.as_u16(), headers, body, source: Source::Upstream, waited_ms: None })
    });
    let answer = answer.await.unwrap_or(Err(Failure::Late));
    driver.abort();
    answer
}

fn request(exchange: &Exchange, service: &Service) -> Option<Request<Full<Bytes>>> {
    let matched = exchange.matched.as_ref()?;
    let authority = format!("{}:{}", service.host, service.port);
    let own_host = exchange.headers.first("host").unwrap_or_default();
    let host = if matched.route.preserve_host { own_host } else { &authority };
    let client = exchange.client.ip().to_canonical().to_string();
    let path = exchange.uri.split('?').next().unwrap_or_default();
    let mut request = Request::builder()
        .method(exchange.method.as_str())
        .uri(&exchange.upstream_uri)
        .header("Host", host)
        .header("Via", format!("1.1 {KONG}"))
        .header("X-Forwarded-For", &client)
        .header("X-Forwarded-Proto", "http")
        .header("X-Forwarded-Host", &exchange.host)
        .header("X-Forwarded-Port", exchange.port)
        .header("X-Forwarded-Path", path)
        .header("X-Real-IP", &client)
        .header("X-Kong-Request-Id", &exchange.id);
    if let Some(prefix) = &matched.prefix {
        request = request.header("X-Forwarded-Prefix", prefix);
    }
    let hop_by_hop = ["host", "connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade"];
    for (name, value) in exchange.headers.0.iter().filter(|(name, _)| !hop_by_hop.contains(&name.as_str())) {
        request = request.header(name, value);
    }
    request.body(Full::new(exchange.body.clone())).ok()
}

/// `content-type` as `Content-Type`.
fn capitals(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    });
    words.collect::<Vec<_>>().join("-")
}
