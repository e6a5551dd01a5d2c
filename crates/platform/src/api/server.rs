//! The socket: how many connections, how long a request may take to come in and to be answered, and a clean end.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::events::StreamStats;
use super::origin::Peer;
use super::problem::Problem;
use super::writing::WriteLimited;
use super::{ApiState, StatusSource, failures, metrics_router, own_metrics_router, router};
use crate::tls::TlsServer;

/// Connections at once. Beyond them new ones wait in the listener's backlog.
pub const CONNECTIONS_MAX: usize = 256;

/// How large the head of a request may be.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// The head of a request, from when it may come on; also how long a connection may be silent or shake hands.
    head: Duration,
    /// Nothing of an answer goes out because the client does not read.
    write: Duration,
    /// What is under way when everything ends.
    drain: Duration,
}

pub(crate) const TIMES: Times =
    Times { head: Duration::from_secs(15), write: Duration::from_secs(30), drain: Duration::from_secs(5) };

/// Pause after the system refused to accept a connection, which it does while it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests until it is cancelled, then lets those under way end.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<TlsServer>>,
    state: ApiState,
    cancel: CancellationToken,
) -> std::io::Result<()> {
    let counters = Arc::clone(&state.counters);
    let state = ApiState { stopping: cancel.clone(), ..state };
    let served = serve_router(listener, tls, router(state.clone()), &counters, TIMES, cancel).await;
    failures::flush(&state).await;
    served
}

/// As [`serve`], for the metrics alone and without a token.
pub async fn serve_metrics(listener: TcpListener, state: ApiState, cancel: CancellationToken) -> std::io::Result<()> {
    let counters = Arc::clone(&state.counters);
    serve_router(listener, None, metrics_router(state), &counters, TIMES, cancel).await
}

/// As [`serve_metrics`], for a process without an API: a collector, a responder.
pub async fn serve_own_metrics(
    listener: TcpListener,
    status: Arc<dyn StatusSource>,
    cancel: CancellationToken,
) -> std::io::Result<()> {
    serve_router(listener, None, own_metrics_router(status), &Counters::default(), TIMES, cancel).await
}

pub(crate) async fn serve_router(
    listener: TcpListener,
    tls: Option<Arc<TlsServer>>,
    router: Router,
    counters: &Counters,
    times: Times,
    cancel: CancellationToken,
) -> std::io::Result<()> {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    let mut failing = false;
    let accept = || async {
        let permit = Arc::clone(&room).acquire_owned().await.map_err(std::io::Error::other)?;
        listener.accept().await.map(|(stream, _)| (stream, permit))
    };
    while let Some(accepted) = cancel.run_until_cancelled(accept()).await {
        match accepted {
            Ok((stream, permit)) => {
                failing = false;
                counters.connections.fetch_add(1, Ordering::Relaxed);
                connections.spawn(answer(stream, tls.clone(), permit, router.clone(), times, cancel.clone()));
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "the API cannot accept connections");
                    failing = true;
                }
                // Not a signal: without a pause this would spin until a descriptor is free.
                cancel.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(times.drain, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "the API ends while requests are under way");
    }
    Ok(())
}

async fn answer(
    stream: TcpStream,
    tls: Option<Arc<TlsServer>>,
    permit: OwnedSemaphorePermit,
    router: Router,
    times: Times,
    cancel: CancellationToken,
) {
    let peer = stream.peer_addr().map(|address| Peer(address.ip())).ok();
    let Some(tls) = tls else {
        return answer_requests(stream, peer, permit, router, times, cancel).await;
    };
    match tokio::time::timeout(times.head, tls.accept(stream)).await {
        Ok(Ok(stream)) => answer_requests(stream, peer, permit, router, times, cancel).await,
        Ok(Err(error)) => tracing::debug!(%error, "a client could not be agreed with on TLS"),
        Err(_) => tracing::debug!("a client took too long over TLS"),
    }
}

async fn answer_requests(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: Option<Peer>,
    permit: OwnedSemaphorePermit,
    router: Router,
    times: Times,
    cancel: CancellationToken,
) {
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let mut router = router.clone();
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        async move { Ok::<_, Infallible>(call(&mut router, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(times.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(WriteLimited::new(stream, times.write)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients go away in the middle of things; that is theirs.
        tracing::debug!(%error, "a connection to the API ended early");
    }
    drop(permit);
}

async fn call(router: &mut Router, request: hyper::Request<hyper::body::Incoming>) -> Response {
    use tower_service::Service as _;
    match router.call(request.map(axum::body::Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Ends a request that takes too long, its body included.
pub(crate) async fn limit_time(State(most): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(most, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable(format!("the request took longer than {} s", most.as_secs()))
            .hint("send it again; look at the status if it goes on")
            .into_response(),
    }
}

/// The API in numbers. Counters begin with the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ApiStats {
    /// Connections accepted.
    pub connections: u64,
    /// Requests answered.
    pub requests: u64,
    /// Requests refused for what they were.
    pub refused: u64,
    /// Requests without a valid token.
    pub unauthorized: u64,
    /// Requests whose token has too small a role.
    pub forbidden: u64,
    /// Requests that failed through no fault of theirs.
    pub failed: u64,
    /// Streams of events.
    pub streams: StreamStats,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    connections: AtomicU64,
    requests: AtomicU64,
    refused: AtomicU64,
    unauthorized: AtomicU64,
    forbidden: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    pub(crate) fn answered(&self, status: StatusCode) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if status.is_client_error() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        } else if status.is_server_error() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn unauthorized(&self) {
        self.unauthorized.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn forbidden(&self) {
        self.forbidden.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections, requests, and what became of them.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        serde_json::json!({
            "connections": read(&self.connections),
            "requests": read(&self.requests),
            "refused": read(&self.refused),
            "unauthorized": read(&self.unauthorized),
            "failed": read(&self.failed),
        })
    }

    pub(super) fn stats(&self, streams: StreamStats) -> ApiStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ApiStats {
            connections: read(&self.connections),
            requests: read(&self.requests),
            refused: read(&self.refused),
            unauthorized: read(&self.unauthorized),
            forbidden: read(&self.forbidden),
            failed: read(&self.failed),
            streams,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What a server with short times answers to bytes; without an expectation, that it ends while it owes an answer.
    async fn check(request: &[u8], expected: Option<&str>) {
        let short = Duration::from_millis(50);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let never = get(std::future::pending::<()>);
        let router = Router::new()
            .route("/never", never.clone())
            .layer(from_fn_with_state(short, limit_time))
            .route("/for-ever", never);
        let cancel = CancellationToken::new();
        let times = Times { head: short, write: short, drain: short };
        let token = cancel.clone();
        let server =
            tokio::spawn(async move { serve_router(listener, None, router, &Counters::default(), times, token).await });
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let Some(expected) = expected else {
            cancel.cancel();
            return server.await.unwrap().unwrap();
        };
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.lines().next().unwrap_or_default(), expected);
    }

    #[tokio::test]
    async fn nothing_takes_for_ever() {
        let close = "host: x\r\nconnection: close\r\n\r\n";
        check(format!("GET /never HTTP/1.1\r\n{close}").as_bytes(), Some("HTTP/1.1 503 Service Unavailable")).await;
        check(b"GET /never HTTP/1.1\r\nhost: x\r\nhalf", Some("")).await;
        check(b"", Some("")).await;
        check(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n", Some("HTTP/1.1 404 Not Found")).await;
        check(b"GET /for-ever HTTP/1.1\r\nhost: x\r\n\r\n", None).await;
    }

    #[tokio::test]
    async fn who_does_not_read_holds_no_connection() {
        // More than the system takes in for a client that reads nothing.
        let large = || async { vec![b'x'; 64 << 20] };
        let router = Router::new().route("/large", get(large));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let (short, long) = (Duration::from_millis(200), Duration::from_secs(600));
        let (times, token) = (Times { head: long, write: short, drain: long }, cancel.clone());
        let server =
            tokio::spawn(async move { serve_router(listener, None, router, &Counters::default(), times, token).await });
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut begun = [0; 12];
        stream.read_exact(&mut begun).await.unwrap();
        assert_eq!(&begun, b"HTTP/1.1 200");
        cancel.cancel();
        // It ends when the connection has; the time that requests under way have is far longer.
        tokio::time::timeout(long / 10, server).await.expect("the connection is given up").unwrap().unwrap();
    }
}
