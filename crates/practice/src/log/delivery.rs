//! How lines travel: a pool of connections per worker, one line per send, no queue, no retry (FACTS, section 1).
//!
//! A line whose connection cannot be made or breaks is lost and counted, as in Kong. Connections are never read for
//! content: a listener that writes makes its connection unusable, and the next line opens a new one. Pools do not know TLS: where
//! it is switched on or off, connections that are open go on as they began.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::wire::{Tls, Wire};
use crate::core::Core;
use crate::proxy::configuration::TcpLog;

/// Idle connections that one worker keeps per listener, as `lua_socket_pool_size`.
pub(crate) const IDLE_MAX: usize = 256;
/// Lines on their way at once; at the limit a line is lost and counted, as with `lua_max_pending_timers`.
pub(crate) const IN_FLIGHT_MAX: usize = 16_384;

struct Idle {
    stream: Wire,
    expires: Instant,
}

/// The idle connections of one worker, by listener.
type Pool = HashMap<(String, u16), Vec<Idle>>;

/// The way out for all workers.
pub(crate) struct Delivery {
    core: Arc<Core>,
    pools: Vec<Mutex<Pool>>,
    idle_max: usize,
    in_flight: AtomicUsize,
    in_flight_max: usize,
    landed: Notify,
    tasks: TaskTracker,
}

impl Delivery {
    pub(crate) fn new(core: Arc<Core>) -> Delivery {
        let pools = (0..core.settings.workers.max(1)).map(|_| Mutex::default()).collect();
        Delivery {
            core,
            pools,
            idle_max: IDLE_MAX,
            in_flight: AtomicUsize::new(0),
            in_flight_max: IN_FLIGHT_MAX,
            landed: Notify::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Sends a line without waiting for it. `None` is a line that a custom field has lost.
    pub(crate) fn send(self: &Arc<Self>, worker: usize, config: &Arc<TcpLog>, line: Option<Vec<u8>>) {
        let Some(line) = line.filter(|_| self.core.faults.delivers_logs()) else {
            return self.lost("not delivered");
        };
        if self.in_flight.fetch_add(1, Ordering::SeqCst) >= self.in_flight_max {
            self.landed();
            return self.lost("too many lines on their way");
        }
        let delivery = Arc::clone(self);
        let config = Arc::clone(config);
        self.tasks.spawn(async move {
            let limit = Duration::from_millis(config.timeout_ms());
            match tokio::time::timeout(limit, delivery.deliver(worker, &config, &line)).await {
                Ok(Ok(())) => Core::count(&delivery.core.tallies.lines_sent),
                Ok(Err(error)) => delivery.lost(&error.to_string()),
                Err(_) => delivery.lost("timeout"),
            }
            delivery.landed();
        });
    }

    /// Waits until no line is on its way.
    pub(crate) async fn settled(&self) {
        loop {
            let landed = self.landed.notified();
            tokio::pin!(landed);
            landed.as_mut().enable();
            if self.in_flight.load(Ordering::SeqCst) == 0 {
                return;
            }
            landed.await;
        }
    }

    /// Closes connections that have been idle for the plugin's `keepalive`.
    pub(crate) fn close_idle(&self) {
        let now = Instant::now();
        for pool in &self.pools {
            let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
            for idle in pool.values_mut() {
                idle.retain(|idle| idle.expires > now);
            }
            pool.retain(|_, idle| !idle.is_empty());
        }
    }

    /// Closes every connection that carries nothing.
    pub(crate) fn close_all(&self) {
        for pool in &self.pools {
            pool.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    async fn deliver(&self, worker: usize, config: &TcpLog, line: &[u8]) -> std::io::Result<()> {
        let listener = (config.host.clone(), config.port);
        let mut stream = match self.idle(worker, &listener) {
            Some(stream) => stream,
            None => {
                let tls = config.tls.then_some(Tls { name: config.tls_sni.as_deref() });
                Wire::connect(&config.host, config.port, tls).await?
            }
        };
        stream.send(line).await?;
        let expires = Instant::now() + Duration::from_millis(config.keepalive_ms());
        let mut pool = self.pool(worker);
        let idle = pool.entry(listener).or_default();
        if idle.len() < self.idle_max {
            idle.push(Idle { stream, expires });
        }
        Ok(())
    }

    /// An idle connection that is still good: one that can be read has been closed or written to by the listener.
    fn idle(&self, worker: usize, listener: &(String, u16)) -> Option<Wire> {
        let now = Instant::now();
        let mut pool = self.pool(worker);
        let idle = pool.get_mut(listener)?;
        while let Some(Idle { stream, expires }) = idle.pop() {
            if stream.is_quiet() && expires > now {
                return Some(stream);
            }
        }
        None
    }

    fn pool(&self, worker: usize) -> std::sync::MutexGuard<'_, Pool> {
        self.pools[worker % self.pools.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn landed(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.landed.notify_waiters();
    }

    fn lost(&self, why: &str) {
        Core::count(&self.core.tallies.lines_lost);
        tracing::debug!(why, "a log line is lost");
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;
    use crate::settings::Settings;
    use crate::store::Store;

    fn delivery(idle_max: usize, in_flight_max: usize) -> Arc<Delivery> {
        let core = Arc::new(Core::new(Settings::default(), Store::default()));
        Arc::new(Delivery { idle_max, in_flight_max, ..Delivery::new(core) })
    }

    fn config(listener: SocketAddr, keepalive_ms: u64) -> Arc<TcpLog> {
        let config = json!({
            "host": listener.ip().to_string(), "port": listener.port(), "timeout": 1000, "keepalive": keepalive_ms,
            "tls": false, "tls_sni": null, "custom_fields_by_lua": null,
        });
        Arc::new(serde_json::from_value(config).unwrap())
    }

    fn idle(delivery: &Delivery) -> usize {
        delivery.pool(0).values().map(Vec::len).sum()
    }

    fn tallies(delivery: &Delivery) -> (u64, u64) {
        let tallies = &delivery.core.tallies;
        (tallies.lines_sent.load(Ordering::Relaxed), tallies.lines_lost.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn lines_on_their_way_are_bounded() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = config(listener.local_addr().unwrap(), 60_000);
        let delivery = delivery(8, 2);
        for _ in 0..5 {
            delivery.send(0, &config, Some(b"{}\n".to_vec()));
        }
        delivery.settled().await;
        assert_eq!(tallies(&delivery), (2, 3));
    }

    #[tokio::test]
    async fn idle_connections_are_bounded_and_close_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let delivery = delivery(2, 8);
        for _ in 0..5 {
            delivery.send(0, &config(address, 60_000), Some(b"{}\n".to_vec()));
        }
        delivery.settled().await;
        assert_eq!((tallies(&delivery), idle(&delivery)), ((5, 0), 2));
        delivery.close_idle();
        assert_eq!(idle(&delivery), 2);
        // Connections of a plugin that keeps none are closed by the next look at them.
        delivery.close_all();
        delivery.send(0, &config(address, 0), Some(b"{}\n".to_vec()));
        delivery.settled().await;
        delivery.close_idle();
        assert_eq!(idle(&delivery), 0);
    }
}
