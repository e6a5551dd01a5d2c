//! The room for what is under way, which all requests of a source share.
//!
//! A request that finds none is refused at once, and its sender keeps the lines: to wait for room while holding some could
//! last for ever.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Refusal;

/// The part of the room that a request takes, in bytes. It is given back when this is dropped.
pub(super) struct Room {
    all: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// None of it yet.
    pub(super) fn of(all: &Arc<Semaphore>) -> Self {
        Room { all: Arc::clone(all), taken: None }
    }

    /// Takes so many bytes more.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        let bytes = u32::try_from(bytes).map_err(|_| Refusal::TooLarge)?;
        let more = Arc::clone(&self.all).try_acquire_many_owned(bytes).map_err(|_| Refusal::Busy)?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}
