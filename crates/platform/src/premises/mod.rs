//! Where collectors and responders on the premises connect: they always call, the platform never does.
//!
//! It decides who may speak for which gateway, and acknowledges calls and reports when they are on stable storage. What is
//! said is in [`wire`]. It leaves out TLS, which the listener does, and knows nothing of how calls are collected or
//! actions carried out.

mod handlers;
mod live;
mod strangers;
pub mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use outrider_model::{Concern, DesiredState};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::api::server::{Counters, TIMES, limit_time, serve_router};
use crate::enrich::Enricher;
use crate::ingest::Reports;
use crate::log::LogHandle;
use crate::store::{Store, StoreError};
use crate::tls::TlsServer;
use crate::watcher::ConcernSource;
use live::Live;
use strangers::Strangers;

pub use live::LEASE;

/// How long a request may take in all.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a responder that asks for news is kept waiting at most.
const NEWS_WAIT: Duration = Duration::from_secs(20);

/// Shipments that are taken in at the same time; others wait for their turn.
const SHIPMENTS_MAX: usize = 8;
/// How often it is looked who was created and revoked.
const IDENTITIES_INTERVAL: Duration = Duration::from_secs(10);

/// The gateways with what their responders have to bring about.
pub(crate) type Desired = Vec<(String, watch::Receiver<Option<DesiredState>>)>;

/// What the premises' side needs. Cheap to clone.
#[derive(Clone)]
pub struct Premises {
    store: Store,
    log: LogHandle,
    reports: Reports,
    desired: Arc<Desired>,
    installation: Arc<str>,
    live: Arc<Live>,
    shipments: Arc<Semaphore>,
    counters: Arc<Counters>,
    strangers: Arc<Strangers>,
    enricher: Option<Arc<Enricher>>,
    now_ms: fn() -> i64,
}

impl Premises {
    pub(crate) fn new(
        store: Store,
        log: LogHandle,
        desired: Desired,
        installation: &str,
        now_ms: fn() -> i64,
    ) -> Premises {
        let reports = Reports(log.clone());
        Premises {
            store,
            log,
            reports,
            desired: Arc::new(desired),
            installation: installation.into(),
            live: Arc::default(),
            shipments: Arc::new(Semaphore::new(SHIPMENTS_MAX)),
            counters: Arc::default(),
            strangers: Arc::default(),
            enricher: None,
            now_ms,
        }
    }

    /// The same, with calls enriched before they enter the log.
    pub fn enriching(self, enricher: Arc<Enricher>) -> Premises {
        Premises { enricher: Some(enricher), ..self }
    }

    /// The services that may speak, with what they said since the start, as JSON for operators.
    pub fn services(&self) -> serde_json::Value {
        self.live.to_json(Instant::now())
    }

    /// Its connections and requests in numbers, as JSON for operators.
    pub fn requests(&self) -> serde_json::Value {
        self.counters.to_json()
    }

    /// Answers until it is cancelled, then lets what is under way end.
    pub async fn serve(
        self,
        listener: TcpListener,
        tls: Option<Arc<TlsServer>>,
        cancel: CancellationToken,
    ) -> std::io::Result<()> {
        let counters = Arc::clone(&self.counters);
        let following = self.clone().follow_identities(cancel.clone());
        let serving = serve_router(listener, tls, self.router(cancel.clone()), &counters, TIMES, cancel);
        tokio::join!(serving, following).0
    }

    /// Sees who is created and revoked, here or by the command line.
    async fn follow_identities(self, cancel: CancellationToken) {
        let mut interval = tokio::time::interval(IDENTITIES_INTERVAL);
        let mut is_failing = false;
        while cancel.run_until_cancelled(interval.tick()).await.is_some() {
            match self.look_at_identities().await {
                Ok(()) => is_failing = false,
                Err(error) if !is_failing => {
                    tracing::error!(%error, "it cannot be seen which services there are; silence is told of the last known ones");
                    is_failing = true;
                }
                Err(_) => {}
            }
        }
    }

    /// Sees now who was created and revoked. A revoked responder no longer keeps others from its gateways.
    pub async fn look_at_identities(&self) -> Result<(), StoreError> {
        self.live.know(self.store.services().await?, Instant::now(), (self.now_ms)());
        Ok(())
    }

    /// All routes. A request that waits for news ends when `cancel` does.
    fn router(self, cancel: CancellationToken) -> Router {
        let state = handlers::Shared { premises: self, cancel };
        Router::new()
            .route("/premises/v1/calls", post(handlers::take_calls))
            .route("/premises/v1/desired", get(handlers::desired))
            .route("/premises/v1/reports", post(handlers::take_reports))
            .route("/premises/v1/configuration", post(handlers::take_configuration))
            .route("/premises/v1/heartbeat", post(handlers::take_heartbeat))
            .route_layer(from_fn_with_state(state.clone(), handlers::let_in))
            .layer(from_fn_with_state(REQUEST_TIME_MAX, limit_time))
            .with_state(state)
    }
}

impl ConcernSource for Premises {
    fn concerns(&self, now_ms: i64) -> Vec<Concern> {
        self.live.concerns(Instant::now(), now_ms)
    }
}
