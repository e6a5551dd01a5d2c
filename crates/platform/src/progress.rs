//! How far each part of the platform is, in numbers that the status page and the metrics show.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use outrider_lake::{Kept, LakeError, LakeSize};
use outrider_model::Concern;
use serde::Serialize;

use crate::log::Position;
use crate::store::EffectBatch;

/// What is shown of why the lake cannot be written or kept.
const LAKE_ERROR_CHARS_MAX: usize = 500;

/// Shared by the threads of the platform; counters begin with the process.
#[derive(Debug, Default)]
pub struct Progress {
    analysed_position: AtomicU64,
    calls: AtomicU64,
    findings: AtomicU64,
    store_failures: AtomicU64,
    snapshot_position: AtomicU64,
    snapshot_bytes: AtomicU64,
    snapshot_micros: AtomicU64,
    snapshot_stall_micros: AtomicU64,
    lake_position: AtomicU64,
    lake_durable: AtomicU64,
    lake_rows: AtomicU64,
    lake_commits: AtomicU64,
    lake_failures: AtomicU64,
    lake_keeping_failures: AtomicU64,
    lake_merges: AtomicU64,
    lake_days_removed: AtomicU64,
    lake_size: Mutex<LakeSize>,
    lake_error: Mutex<String>,
    dropped_calls: AtomicU64,
    /// What an erasure waits for: a snapshot as of this record or a later one, the lake committed up to this one, and no
    /// snapshot before this one.
    snapshot_wanted: AtomicU64,
    lake_wanted: AtomicU64,
    erased_to: AtomicU64,
    analysed_at_ms: AtomicI64,
    clock_behind_ms: AtomicI64,
    analysis: Mutex<serde_json::Value>,
    concerns: Mutex<Vec<Concern>>,
    imported: Mutex<Vec<RangeInclusive<u64>>>,
}

/// [`Progress`] at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProgressStats {
    /// The analysis has taken in every record up to this one.
    pub analysed_position: u64,
    /// The log time of that record; 0 before the first.
    pub analysed_at_ms: i64,
    /// How far the clock is behind what it was; 0 while it is right.
    pub clock_behind_ms: i64,
    /// Calls that it has taken in, since the installation began.
    pub calls: u64,
    /// Findings raised.
    pub findings: u64,
    /// Tries to write the control store that failed.
    pub store_failures: u64,
    /// The newest snapshot of the analysis.
    pub snapshot_position: u64,
    /// Its size.
    pub snapshot_bytes: u64,
    /// How long it took to make and write.
    pub snapshot_micros: u64,
    /// For how much of that the analysis stood still.
    pub snapshot_stall_micros: u64,
    /// The lake covers the log up to this record.
    pub lake_position: u64,
    /// Rows committed to the lake.
    pub lake_rows: u64,
    /// Commits to the lake.
    pub lake_commits: u64,
    /// Tries to commit to the lake that failed.
    pub lake_failures: u64,
    /// Times that the lake could not be kept in shape.
    pub lake_keeping_failures: u64,
    /// Why the last one of either failed; empty where none has.
    pub lake_error: String,
    /// Merges of the lake's files.
    pub lake_merges: u64,
    /// Days that were taken out of the lake.
    pub lake_days_removed: u64,
    /// Bytes of the lake's data files.
    pub lake_bytes: u64,
    /// The lake's data files.
    pub lake_files: u64,
    /// Calls are in the timeline up to this record.
    pub lake_timeline_position: u64,
    /// The oldest day that the lake has calls of, such as `2026-11-28`.
    pub lake_oldest_day: Option<String>,
    /// Calls that the log refused: full disk, size limit, or too much waiting.
    pub dropped_calls: u64,
}

impl Progress {
    pub(crate) fn analysed(&self, position: Position, calls: u64) {
        self.analysed_position.store(position.0, Ordering::Relaxed);
        self.calls.store(calls, Ordering::Relaxed);
    }

    pub(crate) fn analysed_at(&self, at_ms: i64) {
        self.analysed_at_ms.store(at_ms, Ordering::Relaxed);
    }

    pub(crate) fn clock_is_behind(&self, by_ms: i64) {
        self.clock_behind_ms.store(by_ms, Ordering::Relaxed);
    }

    /// The records of imports, as of when the analysis had caught up: there are no more while a platform runs.
    pub(crate) fn set_imported(&self, records: Vec<RangeInclusive<u64>>) {
        *self.imported.lock().unwrap_or_else(PoisonError::into_inner) = records;
    }

    pub(crate) fn imported(&self) -> Vec<RangeInclusive<u64>> {
        self.imported.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_concerns(&self, concerns: Vec<Concern>) {
        *self.concerns.lock().unwrap_or_else(PoisonError::into_inner) = concerns;
    }

    /// What the analysis said last that is wrong, at most a second ago.
    pub(crate) fn concerns(&self) -> Vec<Concern> {
        self.concerns.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn effects(&self, effects: &EffectBatch) {
        self.findings.fetch_add(effects.findings.len() as u64, Ordering::Relaxed);
    }

    pub(crate) fn store_failed(&self) {
        self.store_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self, position: Position, bytes: u64, took: Duration) {
        self.snapshot_position.store(position.0, Ordering::Relaxed);
        self.snapshot_bytes.store(bytes, Ordering::Relaxed);
        self.snapshot_micros.store(micros(took), Ordering::Relaxed);
    }

    pub(crate) fn stood_still(&self, took: Duration) {
        self.snapshot_stall_micros.store(micros(took), Ordering::Relaxed);
    }

    pub(crate) fn lake_covers(&self, position: Position) {
        self.lake_position.store(position.0, Ordering::Relaxed);
    }

    pub(crate) fn lake_committed(&self, rows: u64) {
        self.lake_rows.fetch_add(rows, Ordering::Relaxed);
        self.lake_commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn lake_failed(&self, error: &LakeError) {
        self.lake_failures.fetch_add(1, Ordering::Relaxed);
        self.note_lake_error(error);
    }

    pub(crate) fn lake_keeping_failed(&self, error: &LakeError) {
        self.lake_keeping_failures.fetch_add(1, Ordering::Relaxed);
        self.note_lake_error(error);
    }

    fn note_lake_error(&self, error: &LakeError) {
        let error = error.to_string().chars().take(LAKE_ERROR_CHARS_MAX).collect();
        *self.lake_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    pub(crate) fn lake_kept(&self, kept: &Kept, size: LakeSize) {
        self.lake_merges.fetch_add(kept.merges, Ordering::Relaxed);
        self.lake_days_removed.fetch_add(kept.days_removed, Ordering::Relaxed);
        *self.lake_size.lock().unwrap_or_else(PoisonError::into_inner) = size;
    }

    pub(crate) fn dropped(&self, calls: u64) {
        self.dropped_calls.fetch_add(calls, Ordering::Relaxed);
    }

    /// Asks for a snapshot as of a record or a later one, without waiting for its time.
    pub(crate) fn want_snapshot(&self, position: Position) {
        self.snapshot_wanted.fetch_max(position.0, Ordering::Relaxed);
    }

    /// Whether one was asked for that is not there.
    pub(crate) fn is_snapshot_wanted(&self) -> bool {
        self.snapshot_wanted.load(Ordering::Relaxed) > self.snapshot_position.load(Ordering::Relaxed)
    }

    pub(crate) fn snapshot_saved(&self) -> Position {
        Position(self.snapshot_position.load(Ordering::Relaxed))
    }

    /// Asks the lake to commit up to a record, without waiting for its time or for calls.
    pub(crate) fn want_lake(&self, position: Position) {
        self.lake_wanted.fetch_max(position.0, Ordering::Relaxed);
    }

    /// Whether the lake is to commit what it has now.
    pub(crate) fn is_lake_wanted(&self, done: Position) -> bool {
        let wanted = self.lake_wanted.load(Ordering::Relaxed);
        wanted <= done.0 && wanted > self.lake_durable.load(Ordering::Relaxed)
    }

    /// No snapshot before a record is to stay.
    pub(crate) fn erase_to(&self, position: Position) {
        self.erased_to.fetch_max(position.0, Ordering::Relaxed);
    }

    pub(crate) fn erased_to(&self) -> Position {
        Position(self.erased_to.load(Ordering::Relaxed))
    }

    /// The lake's own position, as it would read it after a restart. It stands still while there are no calls.
    pub(crate) fn lake_is_durable_to(&self, position: Position) {
        self.lake_durable.store(position.0, Ordering::Relaxed);
    }

    pub(crate) fn lake_durable(&self) -> Position {
        Position(self.lake_durable.load(Ordering::Relaxed))
    }

    pub(crate) fn set_analysis_status(&self, status: serde_json::Value) {
        *self.analysis.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// What the analysis said of itself last, at most a second ago; null before the first time.
    pub fn analysis_status(&self) -> serde_json::Value {
        self.analysis.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All numbers as they are now.
    pub fn stats(&self) -> ProgressStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let size = self.lake_size.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ProgressStats {
            analysed_position: read(&self.analysed_position),
            analysed_at_ms: self.analysed_at_ms.load(Ordering::Relaxed),
            clock_behind_ms: self.clock_behind_ms.load(Ordering::Relaxed),
            calls: read(&self.calls),
            findings: read(&self.findings),
            store_failures: read(&self.store_failures),
            snapshot_position: read(&self.snapshot_position),
            snapshot_bytes: read(&self.snapshot_bytes),
            snapshot_micros: read(&self.snapshot_micros),
            snapshot_stall_micros: read(&self.snapshot_stall_micros),
            lake_position: read(&self.lake_position),
            lake_rows: read(&self.lake_rows),
            lake_commits: read(&self.lake_commits),
            lake_failures: read(&self.lake_failures),
            lake_keeping_failures: read(&self.lake_keeping_failures),
            lake_error: self.lake_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            lake_merges: read(&self.lake_merges),
            lake_days_removed: read(&self.lake_days_removed),
            lake_bytes: size.bytes,
            lake_files: size.files,
            lake_timeline_position: size.timeline_position,
            lake_oldest_day: size.oldest_day,
            dropped_calls: read(&self.dropped_calls),
        }
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
