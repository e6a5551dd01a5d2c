//! The thread that keeps the lake in shape beside its writer: the timeline, sums by the hour, merging, retention.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use outrider_lake::{CallsErased, Erase, Keeper, Kept, LakeError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::log::LogError;
use crate::progress::Progress;

/// How often it looks. Until then, calls that are not in the timeline are found in the events.
const EVERY: Duration = Duration::from_secs(15);
/// The longest pause after a failure.
const RETRY_MAX: Duration = Duration::from_secs(600);

pub(crate) struct LakeKeeper {
    /// `None` until the lake is open.
    pub keeper: Option<Keeper>,
    pub runtime: Handle,
    pub progress: Arc<Progress>,
    /// What else it is asked to do. It ends the thread when all other ends are gone.
    pub tasks: Receiver<KeeperTask>,
    /// Breaks off what takes long.
    pub stop: CancellationToken,
    pub now_ms: fn() -> i64,
}

/// Something that only who keeps the lake may do. Whoever asked and went away does not need the answer.
pub(crate) enum KeeperTask {
    /// Begins to keep the lake.
    Begin(Box<Keeper>),
    /// Says how many calls an erasure is about.
    Count(Erase, oneshot::Sender<Result<Option<u64>, LakeError>>),
    /// Erases them.
    Erase(Erase, oneshot::Sender<Result<CallsErased, LakeError>>),
}

impl LakeKeeper {
    /// Runs until the platform stops. What a stop breaks off was not committed, and is done after the next start.
    pub(crate) fn run(mut self) -> Result<(), LogError> {
        let mut pause = EVERY;
        let mut due = Instant::now() + pause;
        loop {
            match self.tasks.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(task) => {
                    self.carry_out(task);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            pause = match self.keep() {
                Ok(kept) if kept.has_more => Duration::ZERO,
                Ok(_) => EVERY,
                Err(error) => {
                    self.progress.lake_keeping_failed(&error);
                    if pause <= EVERY {
                        tracing::error!(%error, "the lake is not kept in shape; calls are still written to it");
                    }
                    (pause.max(EVERY) * 2).min(RETRY_MAX)
                }
            };
            due = Instant::now() + pause;
        }
    }

    /// What is asked for while the lake is not open gets no answer, and is asked for again.
    fn carry_out(&mut self, task: KeeperTask) {
        match (task, &mut self.keeper) {
            (KeeperTask::Begin(keeper), _) => self.keeper = Some(*keeper),
            (KeeperTask::Count(erase, reply), Some(keeper)) => {
                drop(reply.send(self.runtime.block_on(keeper.count(&erase))));
            }
            (KeeperTask::Erase(erase, reply), Some(keeper)) => {
                let stop = self.stop.clone();
                let should_stop = move || stop.is_cancelled();
                drop(reply.send(self.runtime.block_on(keeper.erase(&erase, &should_stop))));
            }
            (KeeperTask::Count(..) | KeeperTask::Erase(..), None) => {}
        }
    }

    fn keep(&mut self) -> Result<Kept, LakeError> {
        let Some(keeper) = &mut self.keeper else { return Ok(Kept::default()) };
        let kept = self.runtime.block_on(self.stop.run_until_cancelled(keeper.keep((self.now_ms)())));
        let Some(kept) = kept.transpose()? else { return Ok(Kept::default()) };
        if kept.days_removed > 0 {
            tracing::info!(days = kept.days_removed, "days that are over were taken out of the lake");
            if kept.days_over > 0 {
                tracing::warn!(
                    days = kept.days_over,
                    "more days are older than the lake keeps them; one an hour is taken out, in case the clock is wrong"
                );
            }
        }
        for error in &kept.failures {
            self.progress.lake_keeping_failed(error);
            tracing::error!(%error, "a part of keeping the lake in shape failed; the others go on, and calls are written to it");
        }
        self.progress.lake_kept(&kept, keeper.size()?);
        Ok(kept)
    }
}
