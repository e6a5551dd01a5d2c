//! Kong's TCP Log plugin.
//!
//! Kong opens many connections, keeps them idle for a minute and more, sends one line per request without queue, retry
//! or acknowledgement, and loses lines when its peer closes, writes or reads slowly. So this source accepts many
//! connections, never closes one first unless over a limit, never writes, and never waits for whoever takes the calls.
//! It decides who may connect and counts what it cannot take; what a line means is decided elsewhere.

mod batcher;
mod config;
mod connection;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::{AllowList, KongTcpLogConfig};

use crate::normalise::Normaliser;
use crate::{Clock, CollectError, Complete, Counters, MicroBatch, PseudonymKey};
use batcher::{Batcher, Limits};
use connection::Shared;

/// Connections that the system keeps while they wait to be accepted. Kong's workers can open hundreds at once.
const BACKLOG: u32 = 1024;

/// Pause after a failed accept, so that a lack of file descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening source, not yet reading.
pub struct KongTcpLog {
    listener: TcpListener,
    local: SocketAddr,
    allow: AllowList,
    connections_max: usize,
    shared: Arc<Shared>,
}

impl KongTcpLog {
    /// Checks the settings and takes the port. `sender` is where the batches go: its capacity is the queue's limit. `complete`
    /// has the last word on every call.
    pub fn bind(
        config: &KongTcpLogConfig,
        key: PseudonymKey,
        clock: Arc<dyn Clock>,
        sender: Sender<MicroBatch>,
        complete: Option<Complete>,
    ) -> Result<Self, CollectError> {
        config.validate()?;
        let normaliser = Arc::new(Normaliser::new(config.normaliser_settings()?, key)?);
        let (listener, local) = listen(config.listen)?;
        let counters = Arc::new(Counters::default());
        let limits = Limits {
            calls_max: config.batch_calls_max,
            bytes_max: config.batch_bytes_max,
            wait: Duration::from_millis(config.batch_wait_ms),
        };
        let source = Arc::from(format!("kong_tcp_log {local}"));
        let batcher = Batcher::new(source, limits, sender, Arc::clone(&counters));
        let line_bytes_max = config.line_bytes_max;
        Ok(KongTcpLog {
            listener,
            local,
            allow: config.allow.clone(),
            connections_max: config.connections_max,
            shared: Arc::new(Shared { normaliser, complete, batcher, counters, clock, line_bytes_max }),
        })
    }

    /// Where it listens; tells the port when port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The source's counters.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// Reads until stopped; then reads what has arrived, hands on what is pending and returns.
    pub async fn run(self, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let batching = CancellationToken::new();
        let batcher = tokio::spawn({
            let (shared, batching) = (Arc::clone(&self.shared), batching.clone());
            async move { shared.batcher.run(batching).await }
        });
        tracing::info!(listen = %self.local, gateway = self.shared.normaliser.gateway(), "kong_tcp_log listens");
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, &connections, &stop),
                Err(error) => {
                    self.shared.counters.accept_failed();
                    tracing::warn!(listen = %self.local, %error, "a connection cannot be accepted");
                    stop.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await;
                }
            }
        }
        // Connections that were complete before the stop may hold lines.
        loop {
            tokio::select! {
                biased;
                Ok((stream, peer)) = self.listener.accept() => self.admit(stream, peer, &connections, &stop),
                () = std::future::ready(()) => break,
            }
        }
        drop(self.listener);
        connections.close();
        connections.wait().await;
        batching.cancel();
        if batcher.await.is_err() {
            tracing::error!(listen = %self.local, "the batching task has panicked");
        }
        self.shared.batcher.finish().await;
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr, connections: &TaskTracker, stop: &CancellationToken) {
        let counters = &self.shared.counters;
        if !self.allow.allows(peer.ip()) {
            counters.connection_not_allowed();
            tracing::debug!(listen = %self.local, %peer, "a connection is not on the allow-list");
            return;
        }
        if connections.len() >= self.connections_max {
            counters.connection_over_limit();
            tracing::debug!(listen = %self.local, %peer, "too many connections");
            return;
        }
        counters.connection_opened();
        let (shared, stop) = (Arc::clone(&self.shared), stop.clone());
        connections.spawn(async move {
            connection::serve(stream, &shared, stop).await;
            shared.counters.connection_closed();
        });
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), CollectError> {
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        // Accepted connections inherit it: a peer that vanished without a word is noticed by the system in time.
        socket.set_keepalive(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let local = listener.local_addr()?;
        Ok((listener, local))
    };
    open().map_err(|source: std::io::Error| match source.kind() {
        ErrorKind::AddrInUse => CollectError::PortTaken { listen: address },
        _ => CollectError::Listen { listen: address, source },
    })
}
