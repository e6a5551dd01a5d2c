//! The snapshot thread: turns frozen states into files and gives back what of the log nobody needs any more.
//!
//! The analysis only stands still for as long as it takes to copy its state; encoding the larger part of it, the disk's
//! sync and the cutting of the log happen here. There is one state under way at most: while it is, the analysis is asked
//! to wait for its next turn, so a slow disk makes snapshots rarer and never makes them pile up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::runtime::Handle;
use tracing::field::Empty;

use crate::analysis::Frozen;
use crate::log::{LogError, LogHandle, Position};
use crate::progress::Progress;
use crate::snapshots::Snapshots;

/// What the thread works with.
pub(crate) struct Work {
    pub snapshots: Snapshots,
    pub log: LogHandle,
    pub runtime: Handle,
    pub progress: Arc<Progress>,
    /// Whether the lake is a consumer of the log, whose position holds the cut back.
    pub has_lake: bool,
}

/// A state to save.
struct Job {
    /// The state is as of here.
    done: Position,
    /// The control store covers the log up to here.
    stored: Position,
    state: Frozen,
    began: Instant,
}

/// The running thread.
pub(crate) struct SnapshotWriter {
    jobs: mpsc::Sender<Job>,
    is_busy: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl SnapshotWriter {
    pub(crate) fn start(work: Work) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let is_busy = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&is_busy);
        let thread = std::thread::Builder::new().name("snapshots".to_owned()).spawn(move || {
            for job in queue {
                work.carry_out(&job);
                is_done.store(false, Ordering::Release);
            }
        })?;
        Ok(SnapshotWriter { jobs, is_busy, thread })
    }

    /// Whether the last state is still under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Acquire) && !self.thread.is_finished()
    }

    /// Hands a state over. `began` is when the analysis began to copy it.
    pub(crate) fn save(&self, done: Position, stored: Position, state: Frozen, began: Instant) {
        self.is_busy.store(true, Ordering::Release);
        if self.jobs.send(Job { done, stored, state, began }).is_err() {
            tracing::error!("the snapshot thread has ended; the log is kept longer instead");
        }
    }

    /// Waits until everything handed over is on disk.
    pub(crate) fn finish(self) {
        drop(self.jobs);
        if self.thread.join().is_err() {
            tracing::error!("the snapshot thread has panicked; the next start reads more of the log again");
        }
    }
}

impl Work {
    fn carry_out(&self, job: &Job) {
        let record = job.done.0;
        let span = tracing::info_span!(target: "trace", "snapshot", outrider.record = record, outrider.bytes = Empty, error = Empty);
        let _in_span = span.enter();
        let saved = match job.state.encode() {
            Ok(bytes) => {
                let saved = self.snapshots.save(job.done, &bytes, self.floor(job));
                saved.map(|()| bytes.len()).map_err(|e| e.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match saved {
            Ok(bytes) => {
                span.record("outrider.bytes", bytes);
                self.progress.snapshot(job.done, bytes as u64, job.began.elapsed());
            }
            Err(error) => {
                span.record("error", &error);
                tracing::warn!(%error, "the analysis could not save its state; the log is kept longer instead");
                return;
            }
        }
        self.forget_erased(job);
        self.cut_log(job);
    }

    /// Deletes the snapshots that know somebody who was erased since.
    fn forget_erased(&self, job: &Job) {
        if let Err(error) = self.snapshots.forget_before(self.progress.erased_to(), self.floor(job)) {
            tracing::warn!(%error, "snapshots that know somebody who was erased are still there; it is tried again");
        }
    }

    /// How far the consumer of the log is that lags most, by what it has on stable storage.
    fn floor(&self, job: &Job) -> Position {
        let lake = if self.has_lake { self.progress.lake_durable() } else { job.stored };
        job.stored.min(lake)
    }

    /// Cuts the log below what a start would read: it begins with the newest snapshot that no consumer is behind of.
    fn cut_log(&self, job: &Job) {
        let needed = match self.snapshots.newest_at_or_before(self.floor(job)) {
            // A start would have to begin with the log's first record.
            Ok(None) => return,
            Ok(Some(needed)) => needed,
            Err(error) => return tracing::warn!(%error, "snapshots cannot be listed; the log is not cut"),
        };
        let below = needed.next();
        let span = tracing::info_span!(target: "trace", "log_cut", outrider.record = below.0, outrider.segments = Empty, error = Empty);
        match span.in_scope(|| self.runtime.block_on(self.log.cut_below(below))) {
            Ok(segments) => {
                span.record("outrider.segments", segments);
            }
            // The platform is stopping; the next start cuts it.
            Err(LogError::Closed) => {}
            Err(error) => {
                span.record("error", error.to_string());
                tracing::warn!(%error, "the log could not be cut");
            }
        }
    }
}
