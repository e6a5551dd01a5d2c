//! The thread that keeps the lake in shape beside its writer: the timeline, merging, retention.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use outrider_lake::{Keeper, Kept, LakeError};
use tokio::runtime::Handle;

use crate::log::LogError;
use crate::progress::Progress;

/// How often it looks. Until then, calls that are not in the timeline are found in the events.
const EVERY: Duration = Duration::from_secs(15);
/// The longest pause after a failure.
const RETRY_MAX: Duration = Duration::from_secs(600);

pub(crate) struct LakeKeeper {
    pub keeper: Keeper,
    pub runtime: Handle,
    pub progress: Arc<Progress>,
    /// Ends the thread when the other end is gone.
    pub stop: Receiver<()>,
    pub now_ms: fn() -> i64,
}

impl LakeKeeper {
    /// Runs until the platform stops. What a stop breaks off was not committed, and is done after the next start.
    pub(crate) fn run(mut self) -> Result<(), LogError> {
        let mut pause = EVERY;
        while let Err(RecvTimeoutError::Timeout) = self.stop.recv_timeout(pause) {
            pause = match self.keep() {
                Ok(kept) if kept.has_more => Duration::ZERO,
                Ok(_) => EVERY,
                Err(error) => {
                    self.progress.lake_keeping_failed();
                    if pause <= EVERY {
                        tracing::error!(%error, "the lake is not kept in shape; calls are still written to it");
                    }
                    (pause.max(EVERY) * 2).min(RETRY_MAX)
                }
            };
        }
        Ok(())
    }

    fn keep(&mut self) -> Result<Kept, LakeError> {
        let kept = self.runtime.block_on(self.keeper.keep((self.now_ms)()))?;
        if kept.days_removed > 0 {
            tracing::info!(days = kept.days_removed, "days that are over were taken out of the lake");
        }
        self.progress.lake_kept(&kept, self.keeper.size()?);
        Ok(kept)
    }
}
