//! The thread that brings calls from the log into the lake, a commit every few seconds.
//!
//! It reads the calls from the log at its own pace and takes their endpoint ids from the analysis. Queries see them within a
//! second, before they are committed. While the lake cannot be written it tries again with the same rows; the log keeps
//! what is not committed, up to its own limit. A lake that is away at the start is opened here when it is back.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use outrider_lake::arrow::array::RecordBatch;
use outrider_lake::{Keeper, Lake, LakeError, Rows};
use outrider_model::EndpointId;
use outrider_model::batch::BatchReader;
use tokio::runtime::Handle;
use tracing::field::Empty;

use crate::assignments::{Assigned, Assignments};
use crate::lake_keeper::KeeperTask;
use crate::lake_start::{LakeAtStart, PositionNote, open_both, silent};
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
/// How long a stop waits for a store with the last commit. What is not committed the next start reads from the log.
const LAST_COMMIT_TIME_MAX: Duration = Duration::from_secs(20);

/// The writer of a lake that may be away.
pub(crate) struct LakeOpener {
    pub lake: LakeAtStart,
    /// Where whoever keeps the lake goes to, once it is open.
    pub keeping: Sender<KeeperTask>,
    pub reader: LogReader,
    /// The reader begins behind this record.
    pub after: Position,
    /// The newest record of the log at the start. A lake that is further when it is back is not this log's.
    pub last: Position,
    pub runtime: Handle,
    pub assignments: Arc<Assignments>,
    pub progress: Arc<Progress>,
    pub commit_interval: Duration,
}

impl LakeOpener {
    /// Opens the lake, and tries again until it can; then writes it until the log is closed and read to its end.
    pub(crate) fn run(mut self) -> Result<(), LogError> {
        let Some((lake, keeper)) = self.open() else { return Ok(()) };
        let LakeOpener {
            lake: LakeAtStart { note, .. },
            keeping,
            reader,
            after,
            last: _,
            runtime,
            assignments,
            progress,
            commit_interval,
        } = self;
        // Where whoever would take it has ended, this ends soon, too.
        drop(keeping.send(KeeperTask::Begin(Box::new(keeper))));
        drop(keeping);
        let known = Position(lake.position());
        LakeWriter { lake, known, note, reader, after, runtime, assignments, progress, commit_interval }.run()
    }

    /// Says `None` where the log was closed before.
    fn open(&mut self) -> Option<(Lake, Keeper)> {
        let (mut pause, mut is_told) = (RETRY_MIN, false);
        let mut opened = self.lake.opened.take();
        while opened.is_none() {
            if is_closed_within(&self.reader, pause) {
                return None;
            }
            pause = (pause * 2).min(RETRY_MAX);
            let LakeAtStart { location, retention, tail, note, .. } = &self.lake;
            let opening = open_both(location, *retention, tail, note.as_ref(), Some(self.last));
            let answer = unless_closed(&self.reader, Duration::ZERO, opening);
            match self.runtime.block_on(answer).unwrap_or_else(|| Err(silent(location))) {
                Ok(both) => {
                    tracing::info!("the lake can be reached again");
                    opened = Some(both);
                }
                Err(error) => {
                    self.progress.lake_failed(&error);
                    // That it is away was told at the start.
                    if error.is_lasting() && !is_told {
                        tracing::error!(%error, "the lake cannot be opened; calls wait in the log");
                        is_told = true;
                    }
                }
            }
        }
        opened
    }
}

struct LakeWriter {
    lake: Lake,
    /// What the lake had when it was opened.
    known: Position,
    note: Option<PositionNote>,
    reader: LogReader,
    /// The reader begins behind this record.
    after: Position,
    runtime: Handle,
    assignments: Arc<Assignments>,
    progress: Arc<Progress>,
    commit_interval: Duration,
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
    fn run(mut self) -> Result<(), LogError> {
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
                        if record.position > self.known {
                            push_calls(&mut waiting.rows, &record, &endpoints);
                            waiting.began();
                        }
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
                self.progress.lake_failed(&LakeError::from(error));
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
        let (mut pause, runtime) = (RETRY_MIN, self.runtime.clone());
        loop {
            let span = tracing::info_span!(target: "trace", "lake_commit", outrider.calls = count, outrider.record = done.0, error = Empty);
            let committed = span.in_scope(|| runtime.block_on(self.commit_once(&batches, done)));
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
                    self.note(done);
                    return true;
                }
                Err(error) => {
                    self.report(&error, pause == RETRY_MIN);
                    if is_closed_within(&self.reader, pause) {
                        return false;
                    }
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
        }
    }

    /// Commits. Where the log is closed meanwhile, it waits no longer than a store answers in that is there.
    async fn commit_once(&mut self, batches: &[RecordBatch], done: Position) -> Result<(), LakeError> {
        let location = self.lake.location().clone();
        let commit = self.lake.commit(batches, done.0);
        match location.as_directory() {
            Some(_) => commit.await,
            None => unless_closed(&self.reader, LAST_COMMIT_TIME_MAX, commit)
                .await
                .unwrap_or_else(|| Err(silent(&location))),
        }
    }

    /// Lets the log be cut up to what is committed, once it is noted where that has to be.
    fn note(&self, done: Position) {
        let noted = self.note.as_ref().map_or(Ok(()), |note| note.write(done));
        match noted {
            Ok(()) => self.progress.lake_is_durable_to(done),
            Err(error) => tracing::error!(%error, "cannot note how far the lake is; the log keeps what is in it"),
        }
    }

    fn report(&self, error: &LakeError, is_first: bool) {
        self.progress.lake_failed(error);
        if is_first {
            tracing::error!(%error, "the lake cannot be written; calls wait in the log");
        }
    }
}

/// Does something with a store; gives it up so long after the log was closed, and says `None` then.
async fn unless_closed<T>(reader: &LogReader, patience: Duration, work: impl Future<Output = T>) -> Option<T> {
    let closed = async {
        while !reader.is_closed() {
            tokio::time::sleep(RETRY_MIN).await;
        }
        tokio::time::sleep(patience).await;
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = closed => None,
    }
}

/// Waits before another try. Says whether the log was closed, after which there is none.
fn is_closed_within(reader: &LogReader, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    while !reader.is_closed() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(RETRY_MIN));
    }
    true
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
