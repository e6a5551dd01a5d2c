//! How calls enter a log, the platform's or a collector's spool: numbered per collector epoch, never waited for (decision 11).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use outrider_model::{ActionReport, GatewaySnapshot};
use tokio_util::task::TaskTracker;

use crate::log::{CallBatch, LogError, LogHandle, NewRecord};
use crate::progress::Progress;

/// Numbers micro-batches and hands them to the log.
pub struct Ingest {
    log: LogHandle,
    progress: Arc<Progress>,
    epoch: u64,
    handed: Arc<Handed>,
}

/// What an [`Ingest`] has handed over, and what is known to have become of it.
#[derive(Debug, Default)]
pub struct Handed {
    last: AtomicU64,
    stored_last: AtomicU64,
    is_failing: AtomicBool,
    under_way: TaskTracker,
}

impl Ingest {
    /// Something to hand calls to, for a log that [`Progress`] is kept of. Each is a collector epoch of its own.
    pub fn new(log: LogHandle, progress: Arc<Progress>, epoch: u64) -> Self {
        Ingest { log, progress, epoch, handed: Arc::default() }
    }

    /// Begins with the numbers of calls that were lost before, so that the first batch shows that they are missing.
    pub fn after_loss(self, lost_calls: u64) -> Self {
        self.handed.last.store(lost_calls, Ordering::Relaxed);
        self
    }

    /// What becomes of the calls.
    pub fn handed(&self) -> Arc<Handed> {
        Arc::clone(&self.handed)
    }

    /// Hands a micro-batch to the log without ever waiting for it: where the log is full, or the disk is, the calls are
    /// dropped and counted, and their numbers are missing from the log, which therefore says so itself.
    pub fn accept(&mut self, calls: Vec<u8>, count: u32, at_ms: i64) {
        if count == 0 {
            return;
        }
        let first = self.handed.last.load(Ordering::Relaxed) + 1;
        let last = first + u64::from(count) - 1;
        self.handed.last.store(last, Ordering::Relaxed);
        let batch = CallBatch { epoch: self.epoch, first, last, count, batch: calls };
        let (progress, handed) = (Arc::clone(&self.progress), Arc::clone(&self.handed));
        match self.log.try_append(vec![NewRecord::calls(at_ms, batch)]) {
            Ok(pending) => {
                let settled = async move { handed.settle(pending.await.map(|_| last), count, &progress) };
                drop(self.handed.under_way.spawn(settled));
            }
            Err(error) => handed.settle(Err(error), count, &progress),
        }
    }
}

impl Handed {
    /// Waits until it is known what became of everything, once nothing more is handed over and the log is closed. Says how
    /// many calls at the end were lost: the log does not show that they are missing, as no later batch is in it.
    pub async fn lost_at_end(&self) -> u64 {
        self.under_way.close();
        self.under_way.wait().await;
        self.last.load(Ordering::Relaxed) - self.stored_last.load(Ordering::Relaxed)
    }

    /// `stored` is the batch's last call.
    fn settle(&self, stored: Result<u64, LogError>, count: u32, progress: &Progress) {
        match stored {
            Ok(last) => {
                self.stored_last.fetch_max(last, Ordering::Relaxed);
                if self.is_failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("the log takes calls again");
                }
            }
            Err(error) => {
                progress.dropped(u64::from(count));
                if !self.is_failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "calls are dropped");
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Gap, Log, LogReader, LogSettings, LogWriter, Missing, OnDamage, Position, RecordKind};

    /// A log with room for two batches of these.
    const BATCH_BYTES: usize = 25_000;

    fn start(directory: &std::path::Path) -> LogWriter {
        let settings = LogSettings {
            segment_bytes_max: 4096,
            total_bytes_max: 64 * 1024,
            compress: false,
            ..LogSettings::default()
        };
        LogWriter::start(Log::open(directory, settings).unwrap().0, 1024 * 1024).unwrap()
    }

    fn gaps(directory: &std::path::Path) -> Vec<Gap> {
        let mut reader = LogReader::open(directory, Position::ZERO, OnDamage::Refuse).unwrap();
        let mut gaps = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            if record.kind == RecordKind::Gap {
                gaps.push(record.json().unwrap());
            }
        }
        gaps
    }

    #[tokio::test]
    async fn what_is_dropped_at_the_end_is_known_at_the_stop_and_told_by_the_next_epoch() {
        let directory = tempfile::tempdir().unwrap();
        let (progress, writer) = (Arc::<Progress>::default(), start(directory.path()));
        let mut ingest = Ingest::new(writer.handle(), Arc::clone(&progress), 1);
        for _ in 0..5 {
            ingest.accept(vec![1; BATCH_BYTES], 10, 0);
        }
        let handed = ingest.handed();
        writer.stop();
        assert_eq!((handed.lost_at_end().await, progress.stats().dropped_calls), (30, 30));
        assert_eq!(gaps(directory.path()), [], "nothing in the log shows it");

        let (directory, progress) = (tempfile::tempdir().unwrap(), Arc::<Progress>::default());
        let writer = start(directory.path());
        let mut ingest = Ingest::new(writer.handle(), progress, 2).after_loss(30);
        let handed = ingest.handed();
        ingest.accept(vec![1], 1, 0);
        writer.stop();
        assert_eq!(handed.lost_at_end().await, 0);
        let [gap] = gaps(directory.path()).try_into().unwrap();
        assert_eq!((gap.count, gap.missing), (30, Missing::Calls { epoch: 2, first: 1, last: 30 }));
    }
}
