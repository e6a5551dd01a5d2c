//! What the writer tells its readers and whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use super::Position;
use super::segment::Segment;

/// Shared by the writer and all readers of one log.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    durable: watch::Sender<Position>,
    pub counters: Counters,
}

/// Where the log stands. It changes only when a commit is on stable storage, or a segment comes or goes.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub segments: Vec<Segment>,
    pub durable: u64,
    /// Nothing will be written any more.
    pub closed: bool,
}

impl State {
    /// The oldest record kept, or the one that comes first.
    pub fn first(&self) -> u64 {
        self.segments.first().map_or(self.durable + 1, |segment| segment.first)
    }

    /// The last record of a segment.
    pub fn last_of(&self, index: usize) -> u64 {
        self.segments.get(index + 1).map_or(self.durable, |next| next.first - 1)
    }

    /// The segment that holds, or held, a record.
    pub fn segment_of(&self, position: u64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.first <= position).checked_sub(1)
    }

    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }
}

/// The oldest segment of a log that has a younger one besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldestSegment {
    /// Its last record.
    pub last: Position,
    /// The log time of that record.
    pub ended_ms: i64,
}

impl Shared {
    /// The oldest segment, if it can be cut.
    pub fn oldest_segment(&self) -> Option<OldestSegment> {
        let state = self.lock();
        let next = state.segments.get(1)?;
        Some(OldestSegment { last: Position(next.first - 1), ended_ms: next.began_ms })
    }

    pub fn new(segments: Vec<Segment>, durable: u64, closed: bool) -> Self {
        Shared {
            state: Mutex::new(State { segments, durable, closed }),
            changed: Condvar::new(),
            durable: watch::Sender::new(Position(durable)),
            counters: Counters::default(),
        }
    }

    /// The state is replaced as a whole or not at all, so a panic elsewhere leaves it good.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn change(&self, change: impl FnOnce(&mut State)) {
        let durable = {
            let mut state = self.lock();
            change(&mut state);
            state.durable
        };
        self.changed.notify_all();
        self.durable.send_if_modified(|position| std::mem::replace(position, Position(durable)) != Position(durable));
    }

    pub fn watch(&self) -> watch::Receiver<Position> {
        self.durable.subscribe()
    }

    /// Waits until a record is durable, the log is closed or the time is over. Says whether the record is durable.
    pub fn wait_for(&self, position: u64, timeout: Duration) -> bool {
        let waiting = |state: &mut State| state.durable < position && !state.closed;
        let result = self.changed.wait_timeout_while(self.lock(), timeout, waiting);
        let (state, _) = result.unwrap_or_else(PoisonError::into_inner);
        state.durable >= position
    }

    pub fn stats(&self) -> LogStats {
        let (first, last, bytes, segments) = {
            let state = self.lock();
            (state.first(), state.durable, state.bytes(), state.segments.len())
        };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        LogStats {
            first: Position(first),
            last: Position(last),
            bytes,
            segments: segments as u64,
            records: read(&counters.records),
            calls: read(&counters.calls),
            commits: read(&counters.commits),
            duplicate_batches: read(&counters.duplicate_batches),
            missing_calls: read(&counters.missing_calls),
            refused_full: read(&counters.refused_full),
            refused_busy: read(&counters.refused_busy),
            refused_other: read(&counters.refused_other),
            failed_commits: read(&counters.failed_commits),
            abandoned_segments: read(&counters.abandoned_segments),
            forgotten_epochs: read(&counters.forgotten_epochs),
            cut_segments: read(&counters.cut_segments),
            damaged_records: read(&counters.damaged_records),
            clock_went_back: read(&counters.clock_went_back),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub records: AtomicU64,
    pub calls: AtomicU64,
    pub commits: AtomicU64,
    pub duplicate_batches: AtomicU64,
    pub missing_calls: AtomicU64,
    pub refused_full: AtomicU64,
    pub refused_busy: AtomicU64,
    pub refused_other: AtomicU64,
    pub failed_commits: AtomicU64,
    pub abandoned_segments: AtomicU64,
    pub forgotten_epochs: AtomicU64,
    pub cut_segments: AtomicU64,
    pub damaged_records: AtomicU64,
    pub clock_went_back: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// The log in numbers. Counters begin with the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogStats {
    /// The oldest record kept.
    pub first: Position,
    /// The newest record on stable storage.
    pub last: Position,
    /// Size of all segments.
    pub bytes: u64,
    /// How many segments there are.
    pub segments: u64,
    /// Records stored.
    pub records: u64,
    /// Calls in them.
    pub calls: u64,
    /// Commits, each with one sync.
    pub commits: u64,
    /// Batches that came again and were not stored again.
    pub duplicate_batches: u64,
    /// Calls that are missing between batches.
    pub missing_calls: u64,
    /// Requests refused because the log was at its size limit.
    pub refused_full: u64,
    /// Requests refused because too much was waiting to be written.
    pub refused_busy: u64,
    /// Requests refused because of what was in them.
    pub refused_other: u64,
    /// Commits that failed; nothing of them was kept.
    pub failed_commits: u64,
    /// Segments given up because a sync, or taking back a failed write, failed.
    pub abandoned_segments: u64,
    /// Collector epochs forgotten because there were too many.
    pub forgotten_epochs: u64,
    /// Segments deleted because every consumer was past them.
    pub cut_segments: u64,
    /// Records that readers could not read and skipped.
    pub damaged_records: u64,
    /// Records whose time was raised to that of the record before.
    pub clock_went_back: u64,
}
