//! The thread that brings calls from the log into the lake, a commit every few seconds.
//!
//! It reads the calls from the log at its own pace and takes their endpoint ids from the analysis. Queries see them within a
//! second, before they are committed. While the lake cannot be written it tries again with the same rows; the log keeps
//! what is not committed, up to its own limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use outrider_lake::arrow::array::RecordBatch;
use outrider_lake::{Lake, LakeError, Rows};
use outrider_model::EndpointId;
use outrider_model::batch::BatchReader;
use tokio::runtime::Handle;
use tracing::field::Empty;

use crate::assignments::{Assigned, Assignments};
use crate::log::{LogError, LogReader, Position, Record, RecordKind};
use crate::progress::Progress;

/// Rows that a commit takes at most before it is made early.
const ROWS_PER_COMMIT: usize = 50_000;
/// How long a call waits at most until queries see it.
const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// How long the thread waits for a record before it looks at the rest of its duties.
const WAIT: Duration = Duration::from_millis(500);
/// The shortest and longest pause between tries to commit.
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(30);

pub(crate) struct LakeWriter {
    pub lake: Lake,
    pub reader: LogReader,
    /// The reader begins behind this record.
    pub after: Position,
    pub runtime: Handle,
    pub assignments: Arc<Assignments>,
    pub progress: Arc<Progress>,
    pub commit_interval: Duration,
}

/// Rows on their way: those that are columns already, and those that are not yet.
#[derive(Default)]
struct Waiting {
    rows: Rows,
    /// Since when the oldest of `rows` waits.
    rows_since: Option<Instant>,
    batches: Vec<RecordBatch>,
    batched: usize,
    /// Since when the oldest of all waits.
    since: Option<Instant>,
}

impl Waiting {
    fn len(&self) -> usize {
        self.rows.len() + self.batched
    }

    fn began(&mut self) {
        let now = Instant::now();
        self.since.get_or_insert(now);
        self.rows_since.get_or_insert(now);
    }
}

impl LakeWriter {
    /// Runs until the log is closed and read to its end.
    pub(crate) fn run(mut self) -> Result<(), LogError> {
        let mut waiting = Waiting::default();
        let mut done = self.after;
        loop {
            let took_one = match self.reader.next()? {
                Some(record) => {
                    if record.kind == RecordKind::Calls {
                        let Some(endpoints) = await_endpoints(&self.assignments, record.position) else {
                            // The analysis has ended before this record; the next start goes on from here.
                            if waiting.len() > 0 {
                                self.commit(&mut waiting, done);
                            }
                            return Ok(());
                        };
                        push_calls(&mut waiting.rows, &record, &endpoints);
                        waiting.began();
                    }
                    done = record.position;
                    true
                }
                None => false,
            };
            if waiting.len() == 0 {
                self.progress.lake_covers(done);
            }
            let is_end = !took_one && self.reader.is_closed() && self.reader.durable() <= done;
            let is_due = waiting.since.is_some_and(|since| since.elapsed() >= self.commit_interval);
            // An erasure waits for the table to say how far it is, also where there are no calls.
            let is_wanted = self.progress.is_lake_wanted(done);
            if is_wanted || waiting.len() > 0 && (is_due || is_end || waiting.len() >= ROWS_PER_COMMIT) {
                if !self.commit(&mut waiting, done) {
                    return Ok(());
                }
            } else if waiting.rows_since.is_some_and(|since| since.elapsed() >= SHOWN_AFTER) {
                self.show(&mut waiting, done);
            }
            if is_end {
                return Ok(());
            }
            if !took_one {
                let until_due = waiting.since.map(|since| self.commit_interval.saturating_sub(since.elapsed()));
                self.reader.wait(until_due.map_or(WAIT, |due| due.min(WAIT)));
            }
        }
    }

    /// Makes columns of the rows that are none yet, and lets queries see them.
    fn show(&mut self, waiting: &mut Waiting, done: Position) {
        let count = waiting.rows.len();
        waiting.rows_since = None;
        match waiting.rows.finish() {
            Ok(batch) => {
                self.lake.show(batch.clone(), done.0);
                waiting.batched += count;
                waiting.batches.push(batch);
            }
            Err(error) => {
                // Columns of unequal length would be a mistake of ours; going on loses these rows and says so.
                tracing::error!(%error, rows = count, "calls could not be made into columns and are not in the lake");
                self.progress.lake_failed();
            }
        }
    }

    /// Commits, and tries again until it works. Says `false` where the platform stops before it did.
    fn commit(&mut self, waiting: &mut Waiting, done: Position) -> bool {
        if !waiting.rows.is_empty() {
            self.show(waiting, done);
        }
        let Waiting { batches, batched, .. } = std::mem::take(waiting);
        let count = batched as u64;
        let mut pause = RETRY_MIN;
        loop {
            let span = tracing::info_span!(target: "trace", "lake_commit", outrider.calls = count, outrider.record = done.0, error = Empty);
            let committed = span.in_scope(|| self.runtime.block_on(self.lake.commit(&batches, done.0)));
            if let Err(error) = &committed {
                span.record("error", error.to_string());
            }
            drop(span);
            match committed {
                Ok(()) => {
                    if pause > RETRY_MIN {
                        tracing::info!("the lake is written again");
                    }
                    self.progress.lake_committed(count);
                    self.progress.lake_covers(done);
                    self.progress.lake_is_durable_to(done);
                    return true;
                }
                Err(error) => {
                    self.report(&error, pause == RETRY_MIN);
                    if self.reader.is_closed() {
                        return false;
                    }
                    std::thread::park_timeout(pause);
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
        }
    }

    fn report(&self, error: &LakeError, is_first: bool) {
        self.progress.lake_failed();
        if is_first {
            tracing::error!(%error, "the lake cannot be written; calls wait in the log");
        }
    }
}

/// The endpoints of a record's calls; empty where the queue had to forget them, `None` where the analysis has ended.
fn await_endpoints(assignments: &Assignments, position: Position) -> Option<Vec<Option<EndpointId>>> {
    loop {
        match assignments.take(position) {
            Assigned::Known(ids) => return Some(ids),
            Assigned::Forgotten => return Some(Vec::new()),
            Assigned::Never => return None,
            Assigned::NotYet => assignments.wait_for(position, WAIT),
        }
    }
}

/// Adds a record's calls. What cannot be read was reported by the analysis, which reads the same record.
fn push_calls(rows: &mut Rows, record: &Record<'_>, endpoints: &[Option<EndpointId>]) {
    let mut scratch = Vec::new();
    let Ok(calls) = record.calls(&mut scratch) else { return };
    let Ok(reader) = BatchReader::new(calls.batch) else { return };
    for (index, call) in (0u32..).zip(reader) {
        let Ok(call) = call else { return };
        rows.push(&call, endpoints.get(index as usize).copied().flatten(), record.position.0, index);
    }
}
