//! The analysis thread: follows the log, feeds the analysis, commits its effects, publishes what responders must do.
//!
//! Effects reach the control store together with the log position that they cover, and only then the outside: a
//! responder never sees a decision that a crash could take back. After a restart the analysis begins at a snapshot and
//! goes through the log again; what the store already covers is not written twice, and nothing is published before the
//! analysis has caught up with everything that was in the log when it started.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use outrider_model::batch::BatchReader;
use outrider_model::{ActionReport, CommandRecord, CommandRefused, DesiredState, EndpointId, GatewaySnapshot, HuntRun};
use outrider_respond::desk::CommandDone;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use crate::analysis::{Analysis, AnalysisSettings, Documented};
use crate::assignments::Assignments;
use crate::copies::Copies;
use crate::log::{Gap, History, LogError, LogReader, Position, Record, RecordKind};
use crate::progress::Progress;
use crate::snapshot_writer::SnapshotWriter;
use crate::store::Store;

/// Records taken in before effects are committed, so that a long backlog does not grow the commit without bound.
const RECORDS_PER_COMMIT: usize = 512;
/// How long the thread waits for a record before it looks at the rest of its duties.
const WAIT: Duration = Duration::from_millis(500);
/// How often what the analysis has counted is shown to operators.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// Pause between tries to commit to a store that fails.
const RETRY: Duration = Duration::from_millis(500);

/// Answers that people wait for, by command id.
#[derive(Debug, Default)]
pub struct Waiters {
    waiting: Mutex<HashMap<String, oneshot::Sender<Result<CommandDone, CommandRefused>>>>,
}

impl Waiters {
    /// Expects the answer to a command. The receiver fails when the platform stops before there is one.
    pub fn expect(&self, id: &str) -> oneshot::Receiver<Result<CommandDone, CommandRefused>> {
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(id.to_owned(), sender);
        receiver
    }

    /// Nobody waits for this answer any more.
    pub fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn answer(&self, id: &str, result: Result<CommandDone, CommandRefused>) {
        if let Some(sender) = self.lock().remove(id) {
            // Whoever stopped waiting does not need the answer.
            drop(sender.send(result));
        }
    }

    /// The map is changed in one piece, so a panic elsewhere leaves it good.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Result<CommandDone, CommandRefused>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the analysis publishes what the responder of each gateway has to bring about; `None` until it has caught up.
pub type DesiredSenders = Vec<(String, watch::Sender<Option<DesiredState>>)>;

/// The thread's own.
pub(crate) struct Pipeline {
    pub analysis: Analysis,
    pub reader: LogReader,
    pub store: Store,
    pub runtime: Handle,
    pub assignments: Option<Arc<Assignments>>,
    pub desired: DesiredSenders,
    pub waiters: Arc<Waiters>,
    pub copies: Arc<Copies>,
    pub snapshots: SnapshotWriter,
    pub snapshot_interval: Duration,
    pub progress: Arc<Progress>,
    /// The store covers the log up to here.
    pub stored: Position,
    /// Nothing is published before the analysis has come this far.
    pub publish_from: Position,
    /// Says that it has.
    pub caught_up: watch::Sender<bool>,
}

impl Pipeline {
    /// Runs until the log is closed and read to its end. An error is one that going on could not mend.
    pub(crate) fn run(mut self) -> Result<(), LogError> {
        let result = self.follow_log();
        self.snapshots.finish();
        result
    }

    fn follow_log(&mut self) -> Result<(), LogError> {
        let mut answers = Vec::new();
        let mut published = None;
        let mut status_due = Instant::now();
        let mut failed_detectors = 0;
        let mut snapshot_due = Instant::now() + self.snapshot_interval;
        let mut done = Position(self.reader.position().0.saturating_sub(1));
        loop {
            let mut records = 0;
            while records < RECORDS_PER_COMMIT {
                let Some(record) = self.reader.next()? else { break };
                done = record.position;
                self.progress.analysed_at(record.at_ms);
                take_in(&mut self.analysis, &record, self.assignments.as_deref(), &mut answers);
                records += 1;
                if done == self.stored {
                    // What came before is in the store already; what follows is not.
                    drop(self.analysis.drain_effects());
                }
                if done > self.stored && self.analysis.has_erased() {
                    // What is known of somebody after this record is new, and is stored after what was known before is gone.
                    break;
                }
            }
            self.progress.analysed(done, self.analysis.calls());
            if Instant::now() >= status_due {
                self.progress.set_analysis_status(self.analysis.status());
                self.progress.set_concerns(self.analysis.concerns());
                status_due = Instant::now() + STATUS_INTERVAL;
            }
            self.tell_failures(&mut failed_detectors);
            if done > self.stored && !self.commit(done) {
                return Ok(());
            }
            for (id, result) in answers.drain(..) {
                self.waiters.answer(&id, result);
            }
            if done >= self.publish_from && !*self.caught_up.borrow() {
                // Before anybody who waits for it begins to hunt.
                self.progress.set_imported(self.analysis.past().imported());
                self.caught_up.send_replace(true);
                self.tell_unlearnt();
            }
            if done >= self.publish_from && published != Some(self.analysis.desk().desired_version()) {
                published = Some(self.analysis.desk().desired_version());
                self.publish();
            }
            if done >= self.publish_from {
                self.copies.hand_out(self.analysis.catalogue());
            }
            if records > 0 {
                let is_due = Instant::now() >= snapshot_due || self.progress.is_snapshot_wanted();
                if is_due && done >= self.publish_from && !self.snapshots.is_busy() {
                    self.snapshot(done);
                    snapshot_due = Instant::now() + self.snapshot_interval;
                }
                continue;
            }
            if self.reader.is_closed() && self.reader.durable() <= done {
                self.store_position(done);
                self.snapshot(done);
                return Ok(());
            }
            self.reader.wait(WAIT);
        }
    }

    /// Says once that a detector was put out of use. It begins anew at the next start.
    fn tell_failures(&self, known: &mut u64) {
        let failed = self.analysis.engine().counters().detectors_failed;
        if failed <= *known {
            return;
        }
        *known = failed;
        for detector in self.analysis.engine().status() {
            if let Some(failure) = detector.failure {
                tracing::error!(
                    detector = detector.descriptor.name,
                    failure,
                    "the detector is out of use until the next start"
                );
            }
        }
    }

    /// Says that there is history that nothing was learnt from: whoever imported it counts on that.
    fn tell_unlearnt(&self) {
        if !self.analysis.past().unlearnt().is_empty() {
            tracing::warn!(
                "history was imported and nothing is learnt from it yet, as the import was broken off: stop outrider and run \
                 `outrider replay --into` with the same files again"
            );
        }
    }

    /// Writes what changed, with the position, and tries again until it works. Says `false` where the platform stops
    /// before it did: then the position must not move, and the next start makes the same effects again from the log.
    fn commit(&mut self, done: Position) -> bool {
        let effects = self.analysis.drain_effects();
        if effects.is_empty() {
            return true;
        }
        self.progress.effects(&effects);
        let mut failing = false;
        loop {
            match self.runtime.block_on(self.store.apply(done, &effects)) {
                Ok(()) => break,
                Err(error) => {
                    if !failing {
                        tracing::error!(%error, "the control store cannot be written; decisions wait");
                        failing = true;
                    }
                    self.progress.store_failed();
                    if self.reader.is_closed() {
                        return false;
                    }
                    std::thread::park_timeout(RETRY);
                }
            }
        }
        if failing {
            tracing::info!("the control store is written again");
        }
        self.stored = done;
        true
    }

    /// Moves the store's position on although nothing changed, so that recovery has less to read again.
    fn store_position(&mut self, done: Position) {
        if done <= self.stored {
            return;
        }
        match self.runtime.block_on(self.store.apply(done, &crate::store::EffectBatch::default())) {
            Ok(()) => self.stored = done,
            Err(error) => tracing::warn!(%error, "the control store's position could not be moved on"),
        }
    }

    fn publish(&self) {
        for (gateway, sender) in &self.desired {
            let state = self.analysis.desired(gateway);
            sender.send_if_modified(|current| {
                let is_new = current.as_ref() != Some(&state);
                *current = Some(state);
                is_new
            });
        }
    }

    /// Hands a copy of the state to be saved, and with it what of the log nobody needs any more.
    fn snapshot(&mut self, done: Position) {
        self.store_position(done);
        if self.stored < done {
            return;
        }
        let began = Instant::now();
        self.snapshots.save(done, self.stored, self.analysis.freeze(), began);
        self.progress.stood_still(began.elapsed());
    }
}

/// Feeds one record to the analysis. What cannot be read is counted by who wrote it, and is never fatal.
pub(crate) fn take_in(
    analysis: &mut Analysis,
    record: &Record<'_>,
    assignments: Option<&Assignments>,
    answers: &mut Vec<(String, Result<CommandDone, CommandRefused>)>,
) {
    match record.kind {
        RecordKind::Calls => {
            let ids = take_in_calls(analysis, record);
            if let Some(assignments) = assignments {
                assignments.push(record.position, ids);
            }
            return;
        }
        RecordKind::Settings => match record.json::<AnalysisSettings>() {
            Ok(settings) => {
                analysis.advance(record.at_ms);
                if let Err(error) = analysis.apply_settings(settings) {
                    tracing::error!(%error, "settings were not put in force");
                }
            }
            Err(error) => tracing::error!(%error, "settings were not put in force"),
        },
        RecordKind::Command => match record.json::<CommandRecord>() {
            Ok(command) => {
                let result = analysis.command(&command);
                answers.push((command.id, result));
            }
            Err(error) => tracing::error!(%error, "a command was skipped"),
        },
        RecordKind::ActionReport => match record.json::<ActionReport>() {
            Ok(report) => {
                analysis.advance(record.at_ms);
                analysis.report(&report);
            }
            Err(error) => tracing::error!(%error, "a responder's report was skipped"),
        },
        RecordKind::Gap => match record.json::<Gap>() {
            Ok(gap) => analysis.lost(record.at_ms, gap.count, &gap.reason),
            Err(error) => tracing::error!(%error, "a gap record was skipped"),
        },
        RecordKind::Configuration => match record.json::<GatewaySnapshot>() {
            Ok(snapshot) => {
                analysis.advance(record.at_ms);
                analysis.configured(snapshot);
            }
            Err(error) => tracing::error!(%error, "a gateway's configuration was skipped"),
        },
        RecordKind::Hunt => match record.json::<HuntRun>() {
            Ok(run) => analysis.hunted(record.at_ms, run),
            Err(error) => tracing::error!(%error, "what a hunt found was skipped"),
        },
        RecordKind::Document => match record.json::<Documented>() {
            Ok(documented) => analysis.documented(record.at_ms, documented),
            Err(error) => tracing::error!(%error, "the document of a service was skipped"),
        },
        RecordKind::Tick => analysis.advance(record.at_ms),
        RecordKind::History => match record.json::<History>() {
            Ok(history) => analysis.take_in_history(record.position, &history),
            Err(error) => tracing::error!(%error, "a record of an import was skipped"),
        },
    }
    if let Some(assignments) = assignments {
        assignments.analysed(record.position);
    }
}

fn take_in_calls(analysis: &mut Analysis, record: &Record<'_>) -> Vec<Option<EndpointId>> {
    let mut scratch = Vec::new();
    let calls = match record.calls(&mut scratch) {
        Ok(calls) => calls,
        Err(error) => {
            tracing::error!(%error, "a batch of calls was skipped");
            return Vec::new();
        }
    };
    let reader = match BatchReader::new(calls.batch) {
        Ok(reader) => reader,
        Err(error) => {
            tracing::error!(%error, position = record.position.0, "a batch of calls was skipped");
            return Vec::new();
        }
    };
    let mut ids = Vec::with_capacity(calls.count() as usize);
    for call in reader {
        match call {
            Ok(call) => {
                let number = analysis.calls() + 1;
                ids.push(analysis.observe(&call, number));
            }
            Err(error) => {
                tracing::error!(%error, position = record.position.0, "the rest of a batch was skipped");
                break;
            }
        }
    }
    ids
}
