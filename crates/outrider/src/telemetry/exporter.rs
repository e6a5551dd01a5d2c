//! The task that hands spans to an OpenTelemetry collector, as OTLP over HTTP.
//!
//! Who makes a span never waits for it. While the collector is away one batch is tried again and the queue fills up behind
//! it; what finds the queue full is dropped and counted. What the collector refuses for good is dropped and counted too.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Traces;
use super::otlp::{self, ExportResponse, Resource, Span};
use crate::config::TracingConfig;
use crate::services::uplink::{NotTaken, Patience};

/// Spans that go together.
pub const BATCH_MAX: usize = 512;
/// How long a batch that is not full waits for more.
const LINGER: Duration = Duration::from_secs(1);
/// How long a request may take in all.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Empties the queue.
pub struct Exporter {
    client: Client,
    url: reqwest::Url,
    config: TracingConfig,
    resource: Resource,
    queue: mpsc::Receiver<Span>,
    traces: Traces,
    /// Something was refused, or dropped, and that was said.
    is_told: bool,
    /// As many were dropped when it was last looked.
    dropped: u64,
}

impl Exporter {
    /// Reads the authorities, and connects to nothing yet.
    pub fn new(
        config: &TracingConfig,
        resource: Resource,
        queue: mpsc::Receiver<Span>,
        traces: Traces,
    ) -> anyhow::Result<Exporter> {
        // No redirects: the header goes to the address that was configured.
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(REQUEST_TIME_MAX)
            .user_agent(concat!("outrider/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &config.ca_file {
            let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let authorities =
                reqwest::Certificate::from_pem_bundle(&pem).context("tracing.ca_file holds no certificate")?;
            builder = builder.tls_certs_only(authorities);
        }
        let client = builder.build().context("no connections can be made")?;
        Ok(Exporter {
            client,
            url: config.url()?,
            config: config.clone(),
            resource,
            queue,
            traces,
            is_told: false,
            dropped: 0,
        })
    }

    /// Hands over until it is stopped, then what is left, as far as one try for each batch goes.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut patience = Patience::new("traces");
        while let Some(batch) = self.next_batch(&stop).await {
            let count = batch.len() as u64;
            let request = otlp::encode(&self.resource, batch);
            loop {
                let is_last = stop.is_cancelled();
                match self.send(request.clone(), count).await {
                    Ok(()) => {
                        patience.succeeded();
                        self.tell_dropped();
                    }
                    Err(NotTaken::Now(why)) if !is_last => {
                        // When it is stopped meanwhile, this batch has its last try at once.
                        patience.failed(&why, &stop).await;
                        continue;
                    }
                    Err(not_taken) => self.refused(count, not_taken.why()),
                }
                break;
            }
        }
    }

    /// The next spans; `None` at the end.
    async fn next_batch(&mut self, stop: &CancellationToken) -> Option<Vec<Span>> {
        let first = match stop.run_until_cancelled(self.queue.recv()).await {
            Some(first) => first?,
            None => self.queue.try_recv().ok()?,
        };
        let mut batch = vec![first];
        if self.queue.len() < BATCH_MAX {
            stop.run_until_cancelled(tokio::time::sleep(LINGER)).await;
        }
        while batch.len() < BATCH_MAX
            && let Ok(span) = self.queue.try_recv()
        {
            batch.push(span);
        }
        Some(batch)
    }

    async fn send(&self, request: Vec<u8>, count: u64) -> Result<(), NotTaken> {
        let mut request =
            self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/x-protobuf").body(request);
        if let Some(header) = &self.config.header {
            // Read each time, so that it can be replaced while it runs.
            let value = std::fs::read_to_string(&header.value_file)
                .map_err(|error| NotTaken::Now(format!("cannot read {}: {error}", header.value_file.display())))?;
            let mut value = HeaderValue::from_str(value.trim())
                .map_err(|_| NotTaken::Now(format!("{} holds no value of a header", header.value_file.display())))?;
            value.set_sensitive(true);
            request = request.header(&header.name, value);
        }
        let endpoint = &self.config.endpoint;
        let failed = |error: reqwest::Error| {
            let error = anyhow::Error::from(error.without_url());
            NotTaken::Now(format!("{endpoint} cannot be reached: {error:#}"))
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            answer.extend_from_slice(&chunk);
            if answer.len() > ANSWER_BYTES_MAX {
                break;
            }
        }
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(NotTaken::Now(format!("{endpoint} answers {status}"))),
            status if !status.is_success() => Err(NotTaken::Ever(format!("{endpoint} answers {status}"))),
            _ => {
                self.taken(count, &answer);
                Ok(())
            }
        }
    }

    /// Counts, with what the answer says of some that were rejected. One that cannot be read says nothing of any.
    fn taken(&self, count: u64, answer: &[u8]) {
        let response = ExportResponse::decode(answer).unwrap_or_default();
        let rejected = response.partial_success.map_or(0, |partial| partial.rejected_spans);
        let rejected = u64::try_from(rejected).unwrap_or(0).min(count);
        self.traces.counters.exported.fetch_add(count - rejected, Ordering::Relaxed);
        self.traces.counters.dropped.fetch_add(rejected, Ordering::Relaxed);
    }

    /// Says once that spans are dropped, until some arrive again.
    fn refused(&mut self, count: u64, why: &str) {
        self.traces.counters.dropped.fetch_add(count, Ordering::Relaxed);
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(why, count, "traces are dropped");
        }
        self.dropped = self.traces.counters().dropped;
    }

    /// Says how many found no room while the collector was away.
    fn tell_dropped(&mut self) {
        let dropped = self.traces.counters().dropped;
        let count = dropped - self.dropped;
        self.dropped = dropped;
        if count == 0 {
            self.is_told = false;
        } else if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(count, "traces were dropped: the queue was full, or the collector rejected them");
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::telemetry::TraceStats;

    /// Answers one connection for each status, with a body, and says how many requests came.
    async fn serve(listener: TcpListener, answers: Vec<(u16, Vec<u8>)>) -> usize {
        let mut requests = 0;
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let is_whole = |request: &[u8]| {
                let text = String::from_utf8_lossy(request);
                let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                request.len() == head.len() + 4 + length.parse::<usize>().unwrap()
            };
            while !is_whole(&request) {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0, "half a request");
            }
            requests += 1;
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
        }
        requests
    }

    /// What becomes of three spans when a collector answers like this, and how many requests there were.
    async fn check(answers: Vec<(u16, Vec<u8>)>, expected: (u64, u64)) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let count = answers.len();
        let server = tokio::spawn(serve(listener, answers));
        let (traces, queue) = Traces::new(9);
        let config = TracingConfig { endpoint, header: None, ca_file: None };
        let exporter = Exporter::new(&config, Resource::default(), queue, traces.clone()).unwrap();
        (0..3).for_each(|_| traces.send(Span::default()));
        let stop = CancellationToken::new();
        let running = tokio::spawn(exporter.run(stop.clone()));
        assert_eq!(server.await.unwrap(), count);
        stop.cancel();
        running.await.unwrap();
        assert_eq!(traces.counters(), TraceStats { exported: expected.0, dropped: expected.1 });
    }

    #[tokio::test]
    async fn what_is_not_taken_now_is_tried_again_and_what_is_refused_is_counted() {
        let mut rejecting = ExportTraceServiceResponse::default();
        rejecting.partial_success.get_or_insert_default().rejected_spans = 2;
        check(vec![(200, Vec::new())], (3, 0)).await;
        check(vec![(503, Vec::new()), (200, Vec::new())], (3, 0)).await;
        check(vec![(400, b"no".to_vec())], (0, 3)).await;
        check(vec![(302, Vec::new())], (0, 3)).await;
        check(vec![(200, rejecting.encode_to_vec())], (1, 2)).await;
        check(vec![(200, b"<html>".to_vec())], (3, 0)).await;
    }

    #[tokio::test]
    async fn at_the_end_each_batch_has_one_more_try() {
        let (traces, queue) = Traces::new(BATCH_MAX * 2);
        // A port where nobody listens any more.
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let config = TracingConfig { endpoint: format!("http://{address}"), header: None, ca_file: None };
        let exporter = Exporter::new(&config, Resource::default(), queue, traces.clone()).unwrap();
        (0..BATCH_MAX + 1).for_each(|_| traces.send(Span::default()));
        let stop = CancellationToken::new();
        stop.cancel();
        exporter.run(stop).await;
        assert_eq!(traces.counters(), TraceStats { exported: 0, dropped: BATCH_MAX as u64 + 1 });
    }
}
