//! Tells the log what the control store is told past it: the documents of services, which posture reads, and what the command line wants
//! to be decided about weaknesses.
//!
//! Documents are kept by the control store alone, and come by the API as well as from the command line, which writes while outrider
//! runs or is stopped. So what the log was told of is noted beside them, and every few seconds what differs is told. That covers
//! documents of before there was such a record, too. After a crash in between one is told twice, which changes nothing.

use std::time::Duration;

use outrider_model::{Command, CommandRecord};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::analysis::Documented;
use crate::commands::{CommandError, Commands};
use crate::drift;
use crate::log::{LogError, LogHandle, NewRecord};
use crate::store::{Store, StoreError};

/// How often it is looked for what is to be told.
const EVERY: Duration = Duration::from_secs(2);

/// Why a document was not told of.
#[derive(Debug, thiserror::Error)]
enum TellError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// What tells.
pub(crate) struct Documents {
    pub store: Store,
    pub log: LogHandle,
    pub commands: Commands,
    pub caught_up: watch::Receiver<bool>,
    pub now_ms: fn() -> i64,
}

impl Documents {
    /// Goes on until it is stopped. It begins when the analysis has caught up, so that a start is not slowed down.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut is_failing = false;
        if stop.run_until_cancelled(self.caught_up.wait_for(|done| *done)).await.is_none_or(|done| done.is_err()) {
            return;
        }
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(interval.tick()).await.is_some() {
            self.decide().await;
            match self.tell().await {
                Ok(()) => is_failing = false,
                Err(error) if !is_failing => {
                    tracing::warn!(%error, "the posture of services does not follow their documents; it is tried again");
                    is_failing = true;
                }
                Err(_) => {}
            }
        }
    }

    async fn tell(&self) -> Result<(), TellError> {
        let untold = self.store.untold_documents().await?;
        for (key, changed_ms) in untold.changed {
            let Some(text) = self.store.api_document(&key).await? else { continue };
            match drift::read(text).await {
                Ok(document) => self.append(&Documented::by(key.clone(), &document)).await?,
                // It was readable when it was given, so another build has given it.
                Err(error) => {
                    tracing::warn!(%error, service = key.service, "the document of a service cannot be read any more");
                }
            }
            self.store.told_document(&key, Some(changed_ms)).await?;
        }
        for key in untold.gone {
            self.append(&Documented { service: key.clone(), outline: None }).await?;
            self.store.told_document(&key, None).await?;
        }
        Ok(())
    }

    /// Decides what the command line has asked. Whoever asked looks at the weakness for what came of it; the audit log has why not.
    async fn decide(&self) {
        let asked = match self.store.asked_exceptions().await {
            Ok(asked) => asked,
            Err(error) => return tracing::warn!(%error, "what was asked about weaknesses cannot be read"),
        };
        for asked in asked {
            let weakness = asked.weakness;
            let command = match asked.until_ms {
                Some(until_ms) => Command::ExceptWeakness { weakness, until_ms, reason: asked.reason.clone() },
                None => Command::WithdrawException { weakness },
            };
            let (id, by) = (format!("exception/{weakness}/{}", asked.asked_ms), asked.by.clone());
            match self.commands.submit(CommandRecord { id, by, at_ms: (self.now_ms)(), command }).await {
                // It is asked again under the same id, which decides once.
                Err(CommandError::NotStored(_) | CommandError::Pending) => continue,
                Err(CommandError::Refused(why)) => tracing::warn!(%weakness, %why, "what was asked is refused"),
                Ok(_) => {}
            }
            if let Err(error) = self.store.decided_exception(&asked).await {
                tracing::warn!(%error, "a decision about a weakness could not be noted; it is taken once all the same");
            }
        }
    }

    async fn append(&self, documented: &Documented) -> Result<(), LogError> {
        self.log.append(vec![NewRecord::document((self.now_ms)(), documented)?]).await.map(drop)
    }
}
