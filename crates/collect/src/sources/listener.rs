//! A port of a source: takes it, and lets in who may connect, up to a number in all and of each address.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::AllowList;
use super::places::{Place, Places};
use super::reading::Current;
use super::turned_away::{Gathered, TurnedAway};
use crate::{Clock, CollectError, ConnectionRefusal, Counters};

/// Connections that the system keeps while they wait to be accepted. Kong's workers can open hundreds at once.
const BACKLOG: u32 = 1024;

/// Pause after a failed accept, so that a lack of file descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is let in.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    pub(super) allow: AllowList,
    pub(super) connections_max: usize,
    pub(super) connections_per_address_max: usize,
}

/// A listening port.
pub(super) struct Listener {
    listener: TcpListener,
    local: SocketAddr,
    admission: Arc<Current<Admission>>,
    places: Arc<Places>,
    not_allowed: TurnedAway,
    over_limit: TurnedAway,
    over_address_limit: TurnedAway,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
}

impl Listener {
    /// Takes the port.
    pub(super) fn bind(
        listen: SocketAddr,
        admission: Admission,
        counters: Arc<Counters>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CollectError> {
        let (listener, local) = open(listen).map_err(|source| match source.kind() {
            ErrorKind::AddrInUse => CollectError::PortTaken { listen },
            _ => CollectError::Listen { listen, source },
        })?;
        Ok(Listener {
            listener,
            local,
            admission: Arc::new(Current::new(admission)),
            places: Arc::default(),
            not_allowed: TurnedAway::default(),
            over_limit: TurnedAway::default(),
            over_address_limit: TurnedAway::default(),
            counters,
            clock,
        })
    }

    /// Where it listens; tells the port when port 0 was asked for.
    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Who is let in, which may change.
    pub(super) fn admission(&self) -> Arc<Current<Admission>> {
        Arc::clone(&self.admission)
    }

    /// Serves each connection in a task of its own until stopped, and then those that were complete before: they may hold
    /// lines. Ends when all connections have.
    pub(super) async fn serve<F>(mut self, stop: &CancellationToken, serve: impl Fn(TcpStream) -> F)
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

    fn admit<F>(
        &mut self,
        stream: TcpStream,
        peer: SocketAddr,
        connections: &TaskTracker,
        serve: &impl Fn(TcpStream) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(place) = self.place(peer.ip().to_canonical(), connections.len()) else { return };
        self.counters.connection_opened();
        let (counters, serving) = (Arc::clone(&self.counters), serve(stream));
        connections.spawn(async move {
            serving.await;
            drop(place);
            counters.connection_closed();
        });
    }

    /// A place for a connection from this address, while so many are open; nothing where it is turned away, and that is counted and
    /// told.
    fn place(&mut self, address: IpAddr, open: usize) -> Option<Place> {
        let (listen, now, admission) = (self.local, Instant::now(), self.admission.get());
        if !admission.allow.allows(address) {
            self.counters.connection_not_allowed();
            if let Some(Gathered { connections, addresses }) = self.not_allowed.note(address, now) {
                tracing::warn!(%listen, ?addresses, connections, "`allow` does not name who connects");
            }
            return None;
        }
        if open >= admission.connections_max {
            self.counters.connection_over_limit();
            if let Some(Gathered { connections, addresses }) = self.over_limit.note(address, now) {
                tracing::warn!(%listen, ?addresses, connections, "`connections_max` are open, and more come");
            }
            return None;
        }
        let place = self.places.take(address, admission.connections_per_address_max);
        if place.is_none() {
            self.counters.connection_refused(ConnectionRefusal::OverAddressLimit, self.clock.now_ms());
            if let Some(Gathered { connections, addresses }) = self.over_address_limit.note(address, now) {
                tracing::warn!(%listen, ?addresses, connections, "`connections_per_address_max` are open, and more come");
            }
        }
        place
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

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Write as _};
    use std::sync::Mutex;

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;

    /// Takes down what is told at `warn`.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Told {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= Level::WARN
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            struct Text(String);
            impl Visit for Text {
                fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                    write!(self.0, "{field}={value:?} ").unwrap();
                }
            }
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_that_are_turned_away_are_named_in_the_log() {
        let told = Told::default();
        let _guard = tracing::subscriber::set_default(told.clone());
        let admission = Admission {
            allow: AllowList::parse(["192.0.2.0/24"]).unwrap(),
            connections_max: 5,
            connections_per_address_max: 2,
        };
        let counters = Arc::new(Counters::default());
        let bound = Listener::bind("127.0.0.1:0".parse().unwrap(), admission, Arc::clone(&counters), Arc::new(|| 1));
        let mut listener = bound.unwrap();
        let mut place = |address: &str, open: usize| listener.place(address.parse().unwrap(), open);
        let next = || std::mem::take(&mut *told.0.lock().unwrap());

        let _first = place("192.0.2.1", 0).unwrap();
        let _second = place("192.0.2.1", 1).unwrap();
        assert_eq!(next(), [""; 0]);
        for (address, open, words) in [
            ("198.51.100.1", 2, "`allow`"),
            ("192.0.2.1", 2, "`connections_per_address_max`"),
            ("192.0.2.2", 5, "`connections_max`"),
        ] {
            assert!(place(address, open).is_none());
            let line = next().pop().unwrap();
            assert!(line.contains(words) && line.contains(&format!("addresses={{{address}}}")), "{line}");
            // The next ones are told together, a minute later.
            for _ in 0..1000 {
                assert!(place(address, open).is_none());
            }
            assert_eq!(next(), [""; 0]);
            tokio::time::advance(Duration::from_secs(60)).await;
            assert!(place(address, open).is_none());
            let line = next().pop().unwrap();
            assert!(line.contains("connections=1001"), "{line}");
        }
        let seen = counters.snapshot();
        assert_eq!((seen.connections_not_allowed, seen.connections_over_limit), (1002, 1002));
        assert_eq!(seen.connections_refused, [("over_address_limit".to_owned(), 1002)].into());
    }
}
