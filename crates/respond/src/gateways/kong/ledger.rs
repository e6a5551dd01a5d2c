//! What the platform has been told of each action, so that it is told each change once.
//!
//! The ledger lives in memory: after a restart everything is told again, and what did not fit into the channel is told on
//! the next pass. Both are safe because reports are idempotent.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::{ActionId, ActionReport, FailureReason, ReportedState};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Reports sent and what each action's last one was.
#[derive(Debug)]
pub struct Ledger {
    reports: mpsc::Sender<ActionReport>,
    /// Actions that the platform speaks of. Of others it would not know what to do with a word.
    spoken_of: BTreeSet<ActionId>,
    last: BTreeMap<ActionId, ReportedState>,
    /// Reports that found the channel full and wait for the next pass.
    pub deferred: u64,
}

impl Ledger {
    /// Nothing told yet.
    pub fn new(reports: mpsc::Sender<ActionReport>) -> Self {
        Ledger { reports, spoken_of: BTreeSet::new(), last: BTreeMap::new(), deferred: 0 }
    }

    /// Tells of a state unless it was the last that was told, or the platform does not speak of the action.
    pub fn tell(&mut self, action: ActionId, state: ReportedState, at_ms: i64) {
        if self.last.get(&action) == Some(&state) || !self.spoken_of.contains(&action) {
            return;
        }
        match self.reports.try_send(ActionReport { action, at_ms, state: state.clone() }) {
            Ok(()) => {
                self.last.insert(action, state);
            }
            Err(TrySendError::Full(_)) => self.deferred += 1,
            // Nobody listens any more: the process is ending, and the next one tells everything again.
            Err(TrySendError::Closed(_)) => {}
        }
    }

    /// Tells that something is tried again: the first time, when the reason becomes another, and at attempts 2, 4, 8, …, so
    /// that an outage of hours is a few records and not thousands.
    pub fn tell_retrying(&mut self, action: ActionId, reason: &FailureReason, attempt: u32, at_ms: i64) {
        let news = match self.last.get(&action) {
            Some(ReportedState::Retrying { reason: last, attempt: told }) => {
                std::mem::discriminant(last) != std::mem::discriminant(reason)
                    || attempt.is_power_of_two()
                    || attempt < *told
            }
            _ => true,
        };
        if news {
            self.tell(action, ReportedState::Retrying { reason: reason.clone(), attempt }, at_ms);
        }
    }

    /// The gateway is known to hold it, as far as the platform was told.
    pub fn is_stored(&self, action: ActionId) -> bool {
        matches!(self.last.get(&action), Some(ReportedState::Stored { .. }))
    }

    /// It is known to be gone from the gateway, as far as the platform was told.
    pub fn is_released(&self, action: ActionId) -> bool {
        self.last.get(&action) == Some(&ReportedState::Released)
    }

    /// What was told to be stored is about to be written again, and that is told again.
    pub fn reopen(&mut self, action: ActionId) {
        if self.is_stored(action) {
            self.last.remove(&action);
        }
    }

    /// These are the actions that the platform speaks of now; others are forgotten.
    pub fn speak_of(&mut self, actions: BTreeSet<ActionId>) {
        self.last.retain(|action, _| actions.contains(action));
        self.spoken_of = actions;
    }
}
