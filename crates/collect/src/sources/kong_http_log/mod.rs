//! Kong's HTTP Log plugin.
//!
//! Kong keeps lines in a queue of its own and sends them by POST, one object or an array of several. Any 2xx takes them out of
//! the queue, and anything else, whatever it says, has Kong send the same again and let the next ones wait. So this source
//! answers 2xx when the calls are on stable storage, or were before, and also for lines that are no calls: to send those again
//! would help nobody, and they are counted. Everything else is refused whole, and nothing of it is taken.

mod config;
mod intake;
mod recent;
mod request;
mod room;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use outrider_model::ApiCall;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::KongHttpLogConfig;

use super::Delivery;
use super::listener::Listener;
use super::reading::{Current, Reading, SourceControl};
use super::speech::{CurrentTls, Speech, Wire};
use crate::normalise::SourceSecret;
use crate::{Clock, CollectError, Complete, Counters, PseudonymKey, Refusal};
use config::BODIES_BYTES_MAX;
use recent::{RECENT_MAX, Recent};

/// How long a connection may take over the head of a request, and may be idle: longer than Kong keeps one (`keepalive`, 60 s).
const HEAD_TIME: Duration = Duration::from_secs(75);

/// Bytes of a connection's own buffer, and the longest head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long requests that are under way may take at a stop.
const STOP_LONGEST: Duration = Duration::from_secs(5);

/// What all requests of a source share.
struct Shared {
    source: Arc<str>,
    speech: Speech,
    reading: Arc<Current<Reading>>,
    complete: Option<Complete>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    recent: Arc<Recent>,
    /// Room for bodies, in bytes.
    room: Arc<Semaphore>,
    body_bytes_max: usize,
    line_bytes_max: usize,
    sender: Sender<Delivery>,
    /// Requests whose calls are on their way to the log. They go on when their connection has ended.
    settling: TaskTracker,
}

/// A listening source, not yet answering.
pub struct KongHttpLog {
    listener: Listener,
    shared: Shared,
}

impl KongHttpLog {
    /// Checks the settings and takes the port. `sender` is where the calls go: its capacity is the queue's limit. `complete`
    /// has the last word on every call. `tls` gives the TLS that the settings name.
    pub fn bind(
        config: &KongHttpLogConfig,
        key: PseudonymKey,
        clock: Arc<dyn Clock>,
        sender: Sender<Delivery>,
        complete: Option<Complete>,
        tls: Option<CurrentTls>,
    ) -> Result<Self, CollectError> {
        config.validate()?;
        let counters = Arc::new(Counters::default());
        let reading = Reading::new(config.lines(key)?, &counters);
        let speech = Speech::new(config.tls.as_ref(), tls, Arc::clone(&counters), Arc::clone(&clock))?;
        let listener = Listener::bind(config.listen, config.admission(), Arc::clone(&counters), Arc::clone(&clock))?;
        let shared = Shared {
            source: Arc::from(format!("kong_http_log {}", listener.local_addr())),
            speech,
            reading: Arc::new(Current::new(reading)),
            complete,
            clock,
            counters,
            recent: Arc::new(Recent::new(RECENT_MAX)),
            room: Arc::new(Semaphore::new(BODIES_BYTES_MAX)),
            body_bytes_max: config.body_bytes_max,
            line_bytes_max: config.line_bytes_max,
            sender,
            settling: TaskTracker::new(),
        };
        Ok(KongHttpLog { listener, shared })
    }

    /// The same with this secret, in the place of one in a file.
    pub fn with_secret(self, secret: SourceSecret) -> Self {
        let reading = self.shared.reading.get().with_secret(secret);
        self.shared.reading.set(reading);
        self
    }

    /// What gives it other settings while it runs.
    pub fn control(&self) -> SourceControl {
        SourceControl {
            reading: Arc::clone(&self.shared.reading),
            admission: Some(self.listener.admission()),
            counters: Arc::clone(&self.shared.counters),
        }
    }

    /// Where it listens; tells the port when port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// The source's counters.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// Remembers a call that is stored already, so that it counts once if its gateway sends it again: the process may have
    /// ended between storing a call and saying so. Calls of other gateways are left alone.
    pub fn remember(&self, call: &ApiCall<'_>) {
        if &*call.gateway == self.shared.reading.get().normaliser.gateway() {
            self.shared.recent.remember(call);
        }
    }

    /// Answers until stopped; then lets requests under way end, and waits until what they brought is stored or refused.
    pub async fn run(self, stop: CancellationToken) {
        let KongHttpLog { listener, shared } = self;
        let shared = Arc::new(shared);
        let local = listener.local_addr();
        tracing::info!(listen = %local, gateway = shared.reading.get().normaliser.gateway(), "kong_http_log listens");
        listener.serve(&stop, |stream| serve(stream, Arc::clone(&shared), stop.clone())).await;
        shared.settling.close();
        shared.settling.wait().await;
    }
}

/// Serves one connection, if its sender speaks what the source does.
async fn serve(stream: TcpStream, shared: Arc<Shared>, stop: CancellationToken) {
    match tokio::time::timeout(HEAD_TIME, shared.speech.agree(stream, &stop)).await {
        Ok(Some(Wire::Plain(stream))) => answer_requests(stream, shared, stop).await,
        Ok(Some(Wire::Tls(stream))) => answer_requests(stream, shared, stop).await,
        // Without a word for so long, it is idle.
        Ok(None) | Err(_) => {}
    }
}

/// Answers the requests of one connection.
async fn answer_requests(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>, stop: CancellationToken) {
    let requests = Arc::clone(&shared);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&requests);
        async move { Ok::<_, std::convert::Infallible>(request::answer(request, &shared).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(STOP_LONGEST, connection).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!("a request was under way for too long at the stop"),
            }
        }
    };
    if let Err(error) = ended {
        if error.is_parse() {
            shared.counters.refused(Refusal::NotHttp, shared.clock.now_ms());
        }
        // Whoever sent it keeps what was not answered.
        tracing::debug!(%error, "a connection of kong_http_log ended early");
    }
}
