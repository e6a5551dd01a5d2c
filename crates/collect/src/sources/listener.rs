//! A port of a source: takes it, and lets in who may connect, up to a number.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::AllowList;
use crate::{CollectError, Counters};

/// Connections that the system keeps while they wait to be accepted. Kong's workers can open hundreds at once.
const BACKLOG: u32 = 1024;

/// Pause after a failed accept, so that a lack of file descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening port.
pub(super) struct Listener {
    listener: TcpListener,
    local: SocketAddr,
    allow: AllowList,
    connections_max: usize,
    counters: Arc<Counters>,
}

impl Listener {
    /// Takes the port.
    pub(super) fn bind(
        listen: SocketAddr,
        allow: AllowList,
        connections_max: usize,
        counters: Arc<Counters>,
    ) -> Result<Self, CollectError> {
        let (listener, local) = open(listen).map_err(|source| match source.kind() {
            ErrorKind::AddrInUse => CollectError::PortTaken { listen },
            _ => CollectError::Listen { listen, source },
        })?;
        Ok(Listener { listener, local, allow, connections_max, counters })
    }

    /// Where it listens; tells the port when port 0 was asked for.
    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves each connection in a task of its own until stopped, and then those that were complete before: they may hold
    /// lines. Ends when all connections have.
    pub(super) async fn serve<F>(self, stop: &CancellationToken, serve: impl Fn(TcpStream) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let connections = TaskTracker::new();
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, &connections, &serve),
                Err(error) => {
                    self.counters.accept_failed();
                    tracing::warn!(listen = %self.local, %error, "a connection cannot be accepted");
                    stop.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await;
                }
            }
        }
        loop {
            tokio::select! {
                biased;
                Ok((stream, peer)) = self.listener.accept() => self.admit(stream, peer, &connections, &serve),
                () = std::future::ready(()) => break,
            }
        }
        drop(self.listener);
        connections.close();
        connections.wait().await;
    }

    fn admit<F>(&self, stream: TcpStream, peer: SocketAddr, connections: &TaskTracker, serve: &impl Fn(TcpStream) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if !self.allow.allows(peer.ip()) {
            self.counters.connection_not_allowed();
            tracing::debug!(listen = %self.local, %peer, "a connection is not on the allow-list");
            return;
        }
        if connections.len() >= self.connections_max {
            self.counters.connection_over_limit();
            tracing::debug!(listen = %self.local, %peer, "too many connections");
            return;
        }
        self.counters.connection_opened();
        let (counters, serving) = (Arc::clone(&self.counters), serve(stream));
        connections.spawn(async move {
            serving.await;
            counters.connection_closed();
        });
    }
}

fn open(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it: a peer that vanished without a word is noticed by the system in time.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}
