//! The side that clients call: takes a call in, has it judged, asks the service, answers, and writes the log line.

pub(crate) mod access;
pub(crate) mod configuration;
pub(crate) mod exchange;
pub(crate) mod rates;
pub(crate) mod router;
pub(crate) mod shop;
pub(crate) mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};

use crate::core::Core;
use crate::log::delivery::Delivery;
use crate::log::line;
use crate::log::queue::Queues;
use configuration::Configuration;
use exchange::{Answer, Exchange, Headers, Source};

/// Requests with a larger body are answered 413.
pub(crate) const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// How Kong names itself.
pub(crate) const KONG: &str = "kong/3.9.1";

/// What every connection of the proxy needs.
pub(crate) struct Proxy {
    pub(crate) core: Arc<Core>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) queues: Arc<Queues>,
    pub(crate) port: u16,
}

/// One call, from its first byte to its log line.
pub(crate) async fn handle(
    proxy: Arc<Proxy>,
    worker: usize,
    client: SocketAddr,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let core = &proxy.core;
    Core::count(&core.tallies.requests);
    let closes =
        request.headers().get("connection").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    let configuration = core.configuration(worker);
    let mut exchange = match receive(&proxy, worker, client, request).await {
        Ok(exchange) => exchange,
        Err(status) => {
            return response(&Answer::exit(status, None), "GET", closes, &httpdate(core.clock.now_ms()));
        }
    };
    let answer = answer(core, &configuration, &mut exchange).await;
    let judged_ms = core.clock.now_ms() - exchange.started_ms - answer.waited_ms.unwrap_or(0);
    let answer = dressed(answer, &exchange, judged_ms);
    let date = httpdate(core.clock.now_ms());
    let size = || wire_size(&answer, &exchange.method, closes, &date);
    // By priority: http-log first.
    if let Some((_, config)) = configuration.http_log.of(&exchange.scope()) {
        let line = line::line(core, &config.custom_fields, &exchange, &answer, judged_ms, size());
        proxy.queues.send(worker, &config, line);
    }
    if let Some((_, config)) = configuration.tcp_log.of(&exchange.scope()) {
        let mut line = line::line(core, &config.custom_fields, &exchange, &answer, judged_ms, size());
        line.iter_mut().for_each(|line| line.push(b'\n'));
        proxy.delivery.send(worker, &config, line);
    }
    response(&answer, &exchange.method, closes, &date)
}

/// Reads the whole request; the status says why not.
async fn receive(
    proxy: &Proxy,
    worker: usize,
    client: SocketAddr,
    request: Request<Incoming>,
) -> Result<Exchange, u16> {
    let core = &proxy.core;
    let started_ms = core.clock.now_ms();
    let (head, body) = request.into_parts();
    let uri = head.uri.path_and_query().map_or("/", |uri| uri.as_str()).to_owned();
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let headers = Headers(headers);
    let host = head.uri.host().or_else(|| headers.first("host").map(without_port)).unwrap_or("localhost").to_owned();
    let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await.map_err(|_| 413_u16)?.to_bytes();
    let head_bytes: usize = headers.0.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let line_bytes = head.method.as_str().len() + uri.len() + " HTTP/1.1\r\n".len() + 1;
    Ok(Exchange {
        id: core.request_id(),
        worker,
        started_ms,
        client,
        method: head.method.as_str().to_owned(),
        uri,
        host,
        port: proxy.port,
        head_bytes: (line_bytes + head_bytes + 2) as u64,
        headers,
        body,
        matched: None,
        consumer: None,
        credential: None,
        answer_headers: Vec::new(),
        upstream_uri: String::new(),
        upstream_status: Vec::new(),
        tries: Vec::new(),
    })
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

async fn answer(core: &Core, configuration: &Configuration, exchange: &mut Exchange) -> Answer {
    let path = router::normal(exchange.uri.split('?').next().unwrap_or_default());
    let Some(matched) = configuration.router.find(&exchange.method, &exchange.host, &path) else {
        return Answer::error(404, "no Route matched with those values", &exchange.id);
    };
    let service = matched.route.service.clone();
    let own_path = service.as_ref().and_then(|service| service.path.as_deref());
    exchange.upstream_uri = router::upstream_path(own_path, &matched.rest);
    if let Some(query) = exchange.query() {
        exchange.upstream_uri = format!("{}?{query}", exchange.upstream_uri);
    }
    exchange.matched = Some(matched);
    if let Some(refusal) = access::judge(core, configuration, exchange) {
        return refusal;
    }
    match service {
        Some(service) => upstream::ask(core, exchange, &service).await,
        None => Answer::error(503, "no Service found with those values", &exchange.id),
    }
}

/// Adds the headers that Kong puts on every answer.
fn dressed(mut answer: Answer, exchange: &Exchange, judged_ms: i64) -> Answer {
    let mut put = |name: &str, value: String| answer.headers.push((name.to_owned(), value));
    if !matches!(answer.status, 204 | 304) {
        put("Content-Length", answer.body.len().to_string());
    }
    for (name, value) in &exchange.answer_headers {
        put(name, value.clone());
    }
    match answer.waited_ms {
        Some(waited_ms) => {
            if answer.source == Source::Kong {
                put("Server", KONG.to_owned());
            }
            put("X-Kong-Upstream-Latency", waited_ms.to_string());
            put("X-Kong-Proxy-Latency", judged_ms.to_string());
            put("Via", format!("1.1 {KONG}"));
        }
        None => {
            put("X-Kong-Response-Latency", judged_ms.to_string());
            put("Server", KONG.to_owned());
        }
    }
    put("X-Kong-Request-Id", exchange.id.clone());
    answer
}

/// The bytes that nginx would count as sent.
fn wire_size(answer: &Answer, method: &str, closes: bool, date: &str) -> u64 {
    let status = "HTTP/1.1 ".len() + 3 + 1 + reason(answer.status).len() + 2;
    let mut headers: usize = answer.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    if !answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("date")) {
        headers += "Date: \r\n".len() + date.len();
    }
    headers += if closes { "Connection: close\r\n".len() } else { "Connection: keep-alive\r\n".len() };
    let body = if method == "HEAD" { 0 } else { answer.body.len() };
    (status + headers + 2 + body) as u64
}

/// nginx's words, which differ from the standard's in places and are missing for statuses it does not know.
fn reason(status: u16) -> &'static str {
    match status {
        302 => "Moved Temporarily",
        405 => "Not Allowed",
        413 => "Request Entity Too Large",
        418 | 422 | 451 => "",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        other => StatusCode::from_u16(other).ok().and_then(|status| status.canonical_reason()).unwrap_or(""),
    }
}

fn response(answer: &Answer, method: &str, closes: bool, date: &str) -> Response<Full<Bytes>> {
    let body = if method == "HEAD" { Bytes::new() } else { answer.body.clone() };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(phrase) = ReasonPhrase::try_from(reason(answer.status).as_bytes()) {
        response.extensions_mut().insert(phrase);
    }
    let headers = response.headers_mut();
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str())) {
            headers.append(name, value);
        }
    }
    if let (false, Ok(date)) = (headers.contains_key("date"), HeaderValue::try_from(date)) {
        headers.insert("date", date);
    }
    headers.insert("connection", HeaderValue::from_static(if closes { "close" } else { "keep-alive" }));
    response
}

/// A moment as HTTP writes it.
pub(crate) fn httpdate(now_ms: i64) -> String {
    let now = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default()
}
