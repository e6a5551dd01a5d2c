//! How calls enter a log, the platform's or a collector's spool: numbered per collector epoch (decision 11). Those that
//! nobody else keeps are never waited for; whoever keeps theirs hears when they are stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use outrider_model::batch::BatchReader;
use outrider_model::{ActionReport, ApiCall, GatewaySnapshot};
use tokio_util::task::TaskTracker;

use crate::log::{CallBatch, LogError, LogHandle, NewRecord, Position};
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

/// Numbers the calls of senders who keep them until they hear that they are stored.
pub struct AnsweredIngest {
    log: LogHandle,
    epoch: u64,
    last: u64,
}

/// A micro-batch of such a sender.
pub struct AnsweredBatch {
    /// The calls, as [`outrider_model::batch`] encodes them.
    pub calls: Vec<u8>,
    /// How many there are.
    pub count: u32,
    /// When the last was received.
    pub at_ms: i64,
}

impl AnsweredIngest {
    /// Something to hand calls to. Each is a collector epoch of its own, and an odd one, so that the log tells such calls from
    /// others.
    pub fn new(log: LogHandle, epoch: u64) -> Self {
        AnsweredIngest { log, epoch: epoch | 1, last: 0 }
    }

    /// Shows such calls of the last so many records of the log. Their senders may not have heard that they are stored, because
    /// the process ended before it said so.
    pub fn look_back(&self, records: u64, mut see: impl FnMut(&ApiCall<'_>)) -> Result<(), LogError> {
        let stats = self.log.stats();
        let from = Position(stats.last.0.saturating_sub(records)).max(stats.first);
        let (mut reader, mut scratch) = (self.log.reader(from), Vec::new());
        while let Some(record) = reader.next()? {
            if record.epoch().is_some_and(|epoch| epoch & 1 == 1) {
                let calls = record.calls(&mut scratch)?;
                BatchReader::new(calls.batch).into_iter().flatten().flatten().for_each(|call| see(&call));
            }
        }
        Ok(())
    }

    /// Stores batches, all or none, and waits until they are on stable storage. What is refused is not lost, as its sender has
    /// it, so its numbers are given again and nothing is missing from the log.
    pub async fn store(&mut self, batches: impl IntoIterator<Item = AnsweredBatch>) -> Result<(), LogError> {
        let mut last = self.last;
        let records =
            batches.into_iter().filter(|batch| batch.count > 0).map(|AnsweredBatch { calls, count, at_ms }| {
                let first = last + 1;
                last += u64::from(count);
                NewRecord::calls(at_ms, CallBatch { epoch: self.epoch, first, last, count, batch: calls })
            });
        let records: Vec<_> = records.collect();
        if !records.is_empty() {
            // Without waiting for room: who waits here would have it before those whose calls nobody else keeps.
            self.log.try_append(records)?.await?;
            self.last = last;
        }
        Ok(())
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
    use outrider_model::batch::BatchWriter;

    use super::*;
    use crate::enrich::tests::call;
    use crate::log::{Gap, Log, LogReader, LogSettings, LogWriter, Missing, OnDamage, RecordKind};

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
    async fn what_is_refused_and_kept_elsewhere_is_not_missing() {
        let directory = tempfile::tempdir().unwrap();
        let writer = start(directory.path());
        let mut ingest = AnsweredIngest::new(writer.handle(), 3);
        let batch = |bytes: usize| AnsweredBatch { calls: vec![1; bytes], count: 10, at_ms: 0 };
        ingest.store([batch(BATCH_BYTES), batch(100)]).await.unwrap();
        // More than there is room for, in the second batch: nothing of either is stored.
        ingest.store([batch(100), batch(2 * BATCH_BYTES)]).await.unwrap_err();
        let before = writer.handle().stats().last;
        ingest.store([AnsweredBatch { count: 0, ..batch(0) }]).await.unwrap();
        assert_eq!(writer.handle().stats().last, before);
        ingest.store([batch(100)]).await.unwrap();
        assert_eq!(writer.handle().stats().missing_calls, 0);
        writer.stop();
        let mut reader = LogReader::open(directory.path(), Position::ZERO, OnDamage::Refuse).unwrap();
        let mut ranges = Vec::new();
        let mut scratch = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            let calls = record.calls(&mut scratch).unwrap();
            ranges.push((calls.first(), calls.last()));
        }
        assert_eq!(ranges, [(1, 10), (11, 20), (21, 30)]);
    }

    #[tokio::test]
    async fn what_may_be_sent_again_is_found_at_the_end_of_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let writer = start(directory.path());
        let batch = |paths: &[&str]| {
            let mut writer = BatchWriter::default();
            for path in paths {
                writer.push(&call(path)).unwrap();
            }
            (writer.calls(), writer.take())
        };
        let mut answered = AnsweredIngest::new(writer.handle(), 4);
        let mut others = Ingest::new(writer.handle(), Arc::default(), 6);
        let look_back = |ingest: &AnsweredIngest, records| {
            let mut seen = Vec::new();
            ingest.look_back(records, |call| seen.push(call.path.to_string())).unwrap();
            seen
        };
        assert_eq!(look_back(&answered, 10), [""; 0]);
        for paths in [&["/a", "/b"][..], &["/c"], &["/d"]] {
            let (count, calls) = batch(paths);
            answered.store([AnsweredBatch { calls, count, at_ms: 0 }]).await.unwrap();
            let (count, calls) = batch(&["/others"]);
            others.accept(calls, count, 0);
        }
        writer.handle().append(vec![NewRecord::tick(0)]).await.unwrap();
        // An earlier start had another epoch, and its calls are found as well.
        let later = AnsweredIngest::new(writer.handle(), 8);
        assert_eq!(look_back(&later, 100), ["/a", "/b", "/c", "/d"]);
        // The last four: a tick, others, /d, others.
        assert_eq!(look_back(&later, 3), ["/d"]);
        writer.stop();
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
