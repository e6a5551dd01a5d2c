//! Starting and stopping a gateway, and the handles that tests and the demo hold it by.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::AdminClient;
use crate::core::Core;
use crate::faults::Faults;
use crate::log::delivery::Delivery;
use crate::log::queue::Queues;
use crate::proxy::{self, Proxy};
use crate::settings::Settings;
use crate::store::Store;
use crate::{PracticeError, admin};

/// How often idle log connections are looked at.
const SWEEP: Duration = Duration::from_secs(1);

/// A running practice gateway.
pub struct Practice {
    core: Arc<Core>,
    delivery: Arc<Delivery>,
    queues: Arc<Queues>,
    proxy_address: SocketAddr,
    admin_address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What the gateway did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that the proxy took in.
    pub requests: u64,
    /// Connections closed because there were too many.
    pub connections_refused: u64,
    /// Log lines that were sent.
    pub lines_sent: u64,
    /// Log lines that nobody took.
    pub lines_lost: u64,
    /// Counters of rate limits that were thrown away because there were too many.
    pub rate_counters_dropped: u64,
}

impl Practice {
    /// Starts an empty gateway.
    pub async fn start(settings: Settings) -> Result<Practice, PracticeError> {
        Practice::start_with(settings, Store::default()).await
    }

    /// Starts a gateway with what an earlier one had stored.
    pub async fn start_from(settings: Settings, snapshot: &[u8]) -> Result<Practice, PracticeError> {
        let value = serde_json::from_slice(snapshot).map_err(|_| PracticeError::Snapshot)?;
        let store = Store::restore(&value).ok_or(PracticeError::Snapshot)?;
        Practice::start_with(settings, store).await
    }

    async fn start_with(settings: Settings, store: Store) -> Result<Practice, PracticeError> {
        let listen = |address: SocketAddr| async move {
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(|source| PracticeError::Listen { address, source })?;
            let own = listener.local_addr().map_err(|source| PracticeError::Listen { address, source })?;
            Ok::<_, PracticeError>((listener, own))
        };
        let (proxy_listener, proxy_address) = listen(settings.proxy_listen).await?;
        let (admin_listener, admin_address) = listen(settings.admin_listen).await?;
        let core = Arc::new(Core::new(settings, store));
        let delivery = Arc::new(Delivery::new(Arc::clone(&core)));
        let queues = Queues::new(Arc::clone(&core));
        let practice = Practice {
            core,
            delivery,
            queues,
            proxy_address,
            admin_address,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        practice.serve_proxy(proxy_listener);
        practice.serve_admin(admin_listener);
        practice.sweep();
        Ok(practice)
    }

    /// Where clients call.
    pub fn proxy_address(&self) -> SocketAddr {
        self.proxy_address
    }

    /// Where the Admin API listens.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// A client of the own Admin API, over HTTP.
    pub fn admin(&self) -> AdminClient {
        AdminClient::new(self.admin_address)
    }

    /// The faults that can be switched on.
    pub fn faults(&self) -> &Faults {
        &self.core.faults
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        let tallies = &self.core.tallies;
        Counts {
            requests: tallies.requests.load(Ordering::Relaxed),
            connections_refused: tallies.connections_refused.load(Ordering::Relaxed),
            lines_sent: tallies.lines_sent.load(Ordering::Relaxed),
            lines_lost: tallies.lines_lost.load(Ordering::Relaxed),
            rate_counters_dropped: tallies.rate_counters_dropped.load(Ordering::Relaxed),
        }
    }

    /// Every worker takes over the stored configuration at once, as after `kong reload`.
    pub fn refresh(&self) {
        self.core.refresh();
    }

    /// Forgets every entity, every counter of a rate limit and every fault of the Admin API; both listeners stay.
    pub fn reset(&self) {
        self.core.replace(Store::default());
        self.core.faults.clear_admin();
        self.core.faults.log_delivery(true);
    }

    /// What is stored, for [`Practice::start_from`].
    pub fn snapshot(&self) -> Vec<u8> {
        self.core.snapshot().to_string().into_bytes()
    }

    /// Waits until every log line has been sent or lost.
    pub async fn logs_settled(&self) {
        self.delivery.settled().await;
        self.queues.settled().await;
    }

    /// Stops listening, lets calls finish, gives up what waits in queues and closes all connections.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.delivery.settled().await;
        self.delivery.close_all();
        self.queues.stop().await;
    }

    fn serve_proxy(&self, listener: TcpListener) {
        let proxy = Arc::new(Proxy {
            core: Arc::clone(&self.core),
            delivery: Arc::clone(&self.delivery),
            queues: Arc::clone(&self.queues),
            port: self.proxy_address.port(),
        });
        let workers = self.core.settings.workers.max(1);
        let (stop, tasks) = (self.stop.clone(), self.tasks.clone());
        self.tasks.spawn(async move {
            let mut connections = Connections::new(&proxy.core);
            while let Some((stream, client, permit)) = connections.next(&listener, &stop).await {
                let worker = connections.accepted % workers;
                let (proxy, stop, calls) = (Arc::clone(&proxy), stop.clone(), tasks.clone());
                tasks.spawn(async move {
                    let service = service_fn(move |request| {
                        // A task of its own, because a client that hangs up does not undo a call: it is still logged.
                        let call = calls.spawn(proxy::handle(Arc::clone(&proxy), worker, client, request));
                        async move { call.await.map_err(std::io::Error::other) }
                    });
                    let connection = builder().serve_connection(TokioIo::new(stream), service);
                    finish(connection, &stop).await;
                    drop(permit);
                });
            }
        });
    }

    fn serve_admin(&self, listener: TcpListener) {
        let core = Arc::clone(&self.core);
        let (stop, tasks) = (self.stop.clone(), self.tasks.clone());
        self.tasks.spawn(async move {
            let mut connections = Connections::new(&core);
            while let Some((stream, _, permit)) = connections.next(&listener, &stop).await {
                let (core, stop) = (Arc::clone(&core), stop.clone());
                tasks.spawn(async move {
                    let service = service_fn(move |request| admin::handle(Arc::clone(&core), request));
                    let connection = builder().serve_connection(TokioIo::new(stream), service);
                    finish(connection, &stop).await;
                    drop(permit);
                });
            }
        });
    }

    /// Closes log connections that have been idle for too long.
    fn sweep(&self) {
        let (delivery, stop) = (Arc::clone(&self.delivery), self.stop.clone());
        self.tasks.spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
                delivery.close_idle();
            }
        });
    }
}

impl Drop for Practice {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.title_case_headers(true).timer(TokioTimer::new());
    builder
}

/// The connections of one listener.
struct Connections {
    core: Arc<Core>,
    room: Arc<Semaphore>,
    accepted: usize,
}

impl Connections {
    fn new(core: &Arc<Core>) -> Connections {
        let room = Arc::new(Semaphore::new(core.settings.connections_max.max(1)));
        Connections { core: Arc::clone(core), room, accepted: 0 }
    }

    /// The next one, with the room it takes; `None` once the gateway stops. What cannot be accepted has hung up early.
    async fn next(
        &mut self,
        listener: &TcpListener,
        stop: &CancellationToken,
    ) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        loop {
            match stop.run_until_cancelled(listener.accept()).await? {
                Ok((stream, client)) => {
                    let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
                        Core::count(&self.core.tallies.connections_refused);
                        continue;
                    };
                    self.accepted = self.accepted.wrapping_add(1);
                    // Small answers must not wait for an acknowledgement.
                    let _ = stream.set_nodelay(true);
                    return Some((stream, client, permit));
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection was not accepted");
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// Serves a connection to its end; when the gateway stops, to the end of the call that is on.
async fn finish<S, B>(connection: http1::Connection<TokioIo<TcpStream>, S>, stop: &CancellationToken)
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connection = std::pin::pin!(connection);
    let done = tokio::select! {
        done = connection.as_mut() => done,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = done {
        tracing::debug!(%error, "a connection ended early");
    }
}
