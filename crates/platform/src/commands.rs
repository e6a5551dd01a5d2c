//! How people's decisions enter the log: appended, analysed, committed, and only then answered.

use std::sync::Arc;
use std::time::Duration;

use outrider_model::{CommandRecord, CommandRefused};
use outrider_respond::desk::CommandDone;

use crate::copies::{CatalogueCopy, Copies, NoCopy};
use crate::log::{LogError, LogHandle, NewRecord};
use crate::pipeline::Waiters;

/// How long an answer may take. The decision is in the log then, and will still be carried out.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a decision has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// It cannot be carried out, and was not.
    #[error(transparent)]
    Refused(#[from] CommandRefused),
    /// It could not be stored, and was not carried out.
    #[error("the decision could not be stored: {0}")]
    NotStored(#[from] LogError),
    /// It is stored and will be carried out, but not yet.
    #[error(
        "the decision is stored and will be carried out, but the analysis has not come to it yet; look again later"
    )]
    Pending,
}

/// Takes decisions.
#[derive(Clone)]
pub struct Commands {
    log: LogHandle,
    waiters: Arc<Waiters>,
    copies: Arc<Copies>,
}

impl Commands {
    pub(crate) fn new(log: LogHandle, waiters: Arc<Waiters>, copies: Arc<Copies>) -> Self {
        Commands { log, waiters, copies }
    }

    /// The catalogue as it is, to see what a decision would do to it.
    pub async fn catalogue(&self) -> Result<CatalogueCopy, NoCopy> {
        self.copies.copy().await
    }

    /// Stores a decision and waits until it is carried out and its effects are in the control store.
    pub async fn submit(&self, record: CommandRecord) -> Result<CommandDone, CommandError> {
        let answer = self.waiters.expect(&record.id);
        if let Err(error) = self.log.append(vec![NewRecord::command(record.at_ms, &record)?]).await {
            self.waiters.forget(&record.id);
            return Err(error.into());
        }
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(result)) => Ok(result?),
            Ok(Err(_)) | Err(_) => {
                self.waiters.forget(&record.id);
                Err(CommandError::Pending)
            }
        }
    }
}
