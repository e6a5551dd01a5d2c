//! The eraser: brings every erasure that was asked for through all of its places, and dates each on the receipt.
//!
//! An erasure is a row of the control store, so it survives whatever ends the process; what is done in a place is a function of
//! the place as it is, so going on means looking again. The eraser looks once a second while there is one, less often while that
//! does not get on, asks for what it waits for, such as a snapshot, and never waits for it: the parts of the platform go their
//! own ways meanwhile.
//!
//! 1. The analysis forgets at a record of the log, and the control store with it in the transaction of that record.
//! 2. The lake, committed up to the record, loses the calls, and its keeper deletes the files.
//! 3. A snapshot from after the record is saved, older ones go, and the log is cut behind it. The record itself names whom it is
//!    about, so it has to go, too.
//! 4. What is left is the name in the erasure's own row and what the store's file holds of deleted rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use outrider_lake::{CallsErased, Erase, LakeError, Location};
use outrider_model::{Command, CommandRecord, Subject};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::commands::{CommandError, Commands};
use crate::hunts::Hunts;
use crate::lake_keeper::KeeperTask;
use crate::log::{LogError, LogHandle, Position};
use crate::progress::Progress;
use crate::snapshots::{SnapshotError, Snapshots};
use crate::store::{Erasure, ErasureState, Place, Store, StoreError};

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// After so many looks in vain it looks at an erasure less and less often; a try reads the lake, or writes the store anew.
const IN_VAIN_MAX: u32 = 10;
/// The longest pause of an erasure that does not get on.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Why an erasure is not further than it is. It is tried again.
#[derive(Debug, thiserror::Error)]
enum EraserError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// The eraser's own.
pub(crate) struct Eraser {
    pub store: Store,
    pub log: LogHandle,
    pub commands: Commands,
    pub hunts: Option<Hunts>,
    pub snapshots: Snapshots,
    pub progress: Arc<Progress>,
    /// Who keeps the lake; none without one.
    pub keeper: Option<Sender<KeeperTask>>,
    pub lake_location: Location,
    pub caught_up: watch::Receiver<bool>,
    pub now_ms: fn() -> i64,
    /// Whose record is in the log since the start, although the analysis has not come to it. Another one would name them
    /// behind what the erasure covers; after a restart the analysis has come to it before this looks.
    pub recorded: BTreeSet<String>,
    /// Of whom there is no row left in the lake, and only files are to go.
    pub rows_out: BTreeSet<String>,
    /// How the tries of each erasure go.
    pub tries: BTreeMap<String, Tries>,
}

/// How often an erasure was looked at in vain, and when it is next.
pub(crate) struct Tries {
    in_vain: u32,
    next: Instant,
}

impl Default for Tries {
    fn default() -> Self {
        Tries { in_vain: 0, next: Instant::now() }
    }
}

impl Tries {
    /// Notes that an erasure got on, or did not; none where it failed, which is not waited for at all.
    fn note(&mut self, has_moved: Option<bool>) {
        self.in_vain = match has_moved {
            Some(true) => 0,
            Some(false) => self.in_vain + 1,
            None => self.in_vain.max(IN_VAIN_MAX) + 1,
        };
        let doublings = self.in_vain.saturating_sub(IN_VAIN_MAX);
        let pause = match doublings {
            0 => Duration::ZERO,
            doublings => INTERVAL.saturating_mul(1 << doublings.min(16)).min(PAUSE_MAX),
        };
        self.next = Instant::now() + pause;
    }
}

impl Eraser {
    /// Runs until the platform stops. What that breaks off goes on with the next start.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let is_up = stop.run_until_cancelled(self.caught_up.wait_for(|done| *done)).await.is_some_and(|up| up.is_ok());
        if !is_up {
            return;
        }
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut is_failing = false;
        while stop.run_until_cancelled(interval.tick()).await.is_some() {
            match stop.run_until_cancelled(self.look()).await {
                None => return,
                Some(Ok(())) => is_failing = false,
                Some(Err(error)) if !is_failing => {
                    tracing::error!(%error, "an erasure does not get on; it is tried again");
                    is_failing = true;
                }
                Some(Err(_)) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), EraserError> {
        let open = self.store.open_erasures().await?;
        self.tries.retain(|id, _| open.iter().any(|(erasure, _)| erasure.id == *id));
        self.rows_out.retain(|id| open.iter().any(|(erasure, _)| erasure.id == *id));
        let mut failed = None;
        for (erasure, subject) in open {
            let id = erasure.id.clone();
            if self.tries.get(&id).is_some_and(|tries| tries.next > Instant::now()) {
                continue;
            }
            let has_moved = self.take_on(erasure, subject).await;
            self.tries.entry(id).or_default().note(has_moved.as_ref().ok().copied());
            failed = failed.or(has_moved.err());
        }
        failed.map_or(Ok(()), Err)
    }

    /// Brings an erasure on, and says whether it got any further.
    async fn take_on(&mut self, erasure: Erasure, subject: Option<Subject>) -> Result<bool, EraserError> {
        match (erasure.state, subject) {
            (ErasureState::Asked, Some(_)) if self.recorded.contains(&erasure.id) => Ok(true),
            (ErasureState::Asked, Some(subject)) => self.forget(erasure, subject).await.map(|()| true),
            (_, subject) => self.go_on(erasure, subject).await,
        }
    }

    /// Lets the analysis forget. Its record has the erasure's id, so that it forgets once, however often this is asked.
    async fn forget(&mut self, erasure: Erasure, subject: Subject) -> Result<(), EraserError> {
        let command = Command::Erase { erasure: erasure.id.clone(), subject };
        let by = erasure.asked_by.clone();
        let record = CommandRecord { id: erasure.id.clone(), by, at_ms: (self.now_ms)(), command };
        // What a hunt has read of them is in the log before the record, or is not read any more.
        let _held = match &self.hunts {
            Some(hunts) => Some(hunts.hold().await),
            None => None,
        };
        match self.commands.submit(record).await {
            Ok(_) => tracing::info!(erasure = erasure.id, "the analysis has forgotten; the other places follow"),
            Err(CommandError::Refused(refused)) => {
                tracing::warn!(erasure = erasure.id, %refused, "an erasure was refused");
            }
            // The answer is in the store when the analysis has come to it.
            Err(CommandError::Pending) => drop(self.recorded.insert(erasure.id)),
            Err(CommandError::NotStored(error)) => return Err(error.into()),
        }
        Ok(())
    }

    async fn go_on(&mut self, mut erasure: Erasure, subject: Option<Subject>) -> Result<bool, EraserError> {
        let before = erasure.clone();
        let position = Position(erasure.position.unwrap_or_default());
        if let Some(subject) = &subject {
            if erasure.is_pending(Place::Lake) {
                self.erase_calls(&mut erasure, subject, position).await?;
            }
            if erasure.is_pending(Place::AuditLog) {
                self.erase_words(&mut erasure, subject).await?;
            }
            if erasure.is_pending(Place::Snapshots) || erasure.is_pending(Place::Log) {
                self.cut(&mut erasure, position).await?;
            }
        }
        let others = [Place::AuditLog, Place::Lake, Place::Snapshots, Place::Log];
        let is_last = !others.into_iter().any(|place| erasure.is_pending(place));
        if is_last {
            self.store.put_erasure(&erasure, None).await?;
            if self.store.compact().await? {
                let now_ms = (self.now_ms)();
                erasure.done(Place::ControlStore, now_ms);
                (erasure.state, erasure.done_ms) = (ErasureState::Done, Some(now_ms));
                tracing::info!(erasure = erasure.id, "an erasure is done");
            }
        }
        if erasure != before {
            self.store.put_erasure(&erasure, subject.filter(|_| !is_last).as_ref()).await?;
        }
        Ok(erasure != before)
    }

    async fn erase_calls(
        &mut self,
        erasure: &mut Erasure,
        subject: &Subject,
        position: Position,
    ) -> Result<(), EraserError> {
        let Some(keeper) = &self.keeper else {
            // What is there without being kept is nobody's to change.
            if self.lake_location.is_missing() {
                erasure.done(Place::Lake, (self.now_ms)());
            } else {
                erasure.not_covered(
                    Place::Lake,
                    "`lake.enabled` is off and there are, or may be, files of a lake: switch it on and erase again, or delete them",
                );
            }
            return Ok(());
        };
        self.progress.want_lake(position);
        let rows_are_out = self.rows_out.contains(&erasure.id);
        let erase =
            Erase { kind: subject.kind.to_string(), entity: subject.value.clone(), up_to: position.0, rows_are_out };
        // Counted and stored before anything goes, so that a kill makes no number smaller.
        if erasure.counted(Place::Lake, "calls").is_none() {
            let Some(calls) = ask(keeper, |reply| KeeperTask::Count(erase.clone(), reply)).await?.flatten() else {
                return Ok(());
            };
            erasure.count(Place::Lake, "calls", calls);
            self.store.put_erasure(erasure, Some(subject)).await?;
        }
        let erased = ask(keeper, |reply| KeeperTask::Erase(erase, reply)).await?.unwrap_or_default();
        let CallsErased { timeline_rows, files_changed, files_deleted, rows_are_out, is_done, .. } = erased;
        if rows_are_out {
            self.rows_out.insert(erasure.id.clone());
        }
        let counts =
            [("timeline_rows", timeline_rows), ("files_changed", files_changed), ("files_deleted", files_deleted)];
        for (what, count) in counts {
            erasure.count(Place::Lake, what, count);
        }
        match self.lake_location.left_behind() {
            Some(directory) if is_done => erasure.not_covered(
                Place::Lake,
                &format!(
                    "the calls are out of the lake at {}, and there is still a lake of before in {}: delete `events` and \
                     `timeline` there and erase again",
                    self.lake_location,
                    directory.display()
                ),
            ),
            None if is_done => erasure.done(Place::Lake, (self.now_ms)()),
            _ => {}
        }
        Ok(())
    }

    /// Erases words about somebody whom nobody but the lake knew. Whom the lake does not know either, or no more, an erasure
    /// takes no words for: it would be a way to take those of others.
    async fn erase_words(&self, erasure: &mut Erasure, subject: &Subject) -> Result<(), EraserError> {
        match erasure.counted(Place::Lake, "calls") {
            None if erasure.is_pending(Place::Lake) => {}
            None | Some(0) => erasure.not_covered(
                Place::AuditLog,
                "nothing here knows the subject, or no more, so no words were taken away: look through `GET /api/v1/audit` for it",
            ),
            Some(_) => self.store.erase_words_of(erasure, subject, (self.now_ms)()).await?,
        }
        Ok(())
    }

    /// Asks for what has to be there before the log can be cut behind the record: a snapshot from after it that no consumer is
    /// behind of, and then another one, with which the cut comes.
    async fn cut(&self, erasure: &mut Erasure, position: Position) -> Result<(), EraserError> {
        self.progress.erase_to(position);
        self.log.end_segment_with(position).await?;
        let saved = self.progress.snapshot_saved();
        let is_behind = self.keeper.is_some() && self.progress.lake_durable() < saved;
        if saved < position {
            self.progress.want_snapshot(position);
        } else if is_behind {
            self.progress.want_lake(saved);
        } else {
            self.progress.want_snapshot(saved.next());
        }
        if self.snapshots.oldest()?.is_some_and(|oldest| oldest >= position) {
            erasure.done(Place::Snapshots, (self.now_ms)());
        }
        if self.log.stats().first > position {
            erasure.done(Place::Log, (self.now_ms)());
        }
        Ok(())
    }
}

/// Asks who keeps the lake; none where the platform stops meanwhile.
async fn ask<T>(
    keeper: &Sender<KeeperTask>,
    task: impl FnOnce(oneshot::Sender<Result<T, LakeError>>) -> KeeperTask,
) -> Result<Option<T>, LakeError> {
    let (reply, answer) = oneshot::channel();
    if keeper.send(task(reply)).is_err() {
        return Ok(None);
    }
    answer.await.ok().transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_erasure_that_does_not_get_on_is_looked_at_less_and_less_often() {
        let mut tries = Tries::default();
        let mut pause_after = |has_moved| {
            tries.note(has_moved);
            (tries.next - Instant::now()).as_secs()
        };
        let waiting: Vec<_> = (0..22).map(|_| pause_after(Some(false))).collect();
        assert_eq!(waiting[..13], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 8]);
        assert_eq!(waiting[21], 300);
        assert_eq!(pause_after(Some(true)), 0);
        assert_eq!([pause_after(None), pause_after(None)], [2, 4], "a failure");
    }
}
