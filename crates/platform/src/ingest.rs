//! How calls enter a log, the platform's or a collector's spool: numbered per collector epoch, never waited for (decision 11).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use outrider_model::{ActionReport, GatewaySnapshot};

use crate::log::{CallBatch, LogError, LogHandle, NewRecord};
use crate::progress::Progress;

/// Numbers micro-batches and hands them to the log.
pub struct Ingest {
    log: LogHandle,
    progress: Arc<Progress>,
    epoch: u64,
    next: u64,
    failing: Arc<AtomicBool>,
}

impl Ingest {
    /// Something to hand calls to, for a log that [`Progress`] is kept of. Each is a collector epoch of its own.
    pub fn new(log: LogHandle, progress: Arc<Progress>, epoch: u64) -> Self {
        Ingest { log, progress, epoch, next: 1, failing: Arc::default() }
    }

    /// Hands a micro-batch to the log without ever waiting for it: where the log is full, or the disk is, the calls are
    /// dropped and counted, and their numbers are missing from the log, which therefore says so itself.
    pub fn accept(&mut self, calls: Vec<u8>, count: u32, at_ms: i64) {
        if count == 0 {
            return;
        }
        let first = self.next;
        let last = first + u64::from(count) - 1;
        self.next = last + 1;
        let batch = CallBatch { epoch: self.epoch, first, last, count, batch: calls };
        let (progress, failing) = (Arc::clone(&self.progress), Arc::clone(&self.failing));
        match self.log.try_append(vec![NewRecord::calls(at_ms, batch)]) {
            Ok(pending) => {
                drop(tokio::spawn(async move { settle(pending.await.map(drop), count, &progress, &failing) }))
            }
            Err(error) => settle(Err(error), count, &progress, &failing),
        }
    }
}

/// Hands responders' reports, and what their gateways are configured to do, to the log.
#[derive(Clone)]
pub struct Reports(pub(crate) LogHandle);

impl Reports {
    /// Stores reports, in their order, and waits until they are on stable storage.
    pub async fn store(&self, at_ms: i64, reports: &[ActionReport]) -> Result<(), LogError> {
        let records = reports.iter().map(|report| NewRecord::action_report(at_ms, report));
        self.0.append(records.collect::<Result<_, _>>()?).await.map(drop)
    }

    /// Stores a gateway's configuration and waits until it is on stable storage.
    pub async fn store_configuration(&self, at_ms: i64, snapshot: &GatewaySnapshot) -> Result<(), LogError> {
        self.0.append(vec![NewRecord::configuration(at_ms, snapshot)?]).await.map(drop)
    }
}

fn settle(result: Result<(), LogError>, count: u32, progress: &Progress, failing: &AtomicBool) {
    match result {
        Ok(()) => {
            if failing.swap(false, Ordering::Relaxed) {
                tracing::info!("the log takes calls again");
            }
        }
        Err(error) => {
            progress.dropped(u64::from(count));
            if !failing.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "calls are dropped");
            }
        }
    }
}
