//! Copies of the catalogue as it is, for people who want to see what a decision would do to it before they take it.
//!
//! The analysis alone holds the catalogue, so whoever wants to look asks its thread, which hands out a copy between two records.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outrider_discover::Catalogue;
use tokio::sync::oneshot;

/// How long a copy may take: the thread may have a long commit before it.
const PATIENCE: Duration = Duration::from_secs(15);

/// The analysis has not come to it in time, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the analysis does not answer at the moment; try again")]
pub struct NoCopy;

/// Who waits for a copy.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    waiting: Mutex<Vec<oneshot::Sender<Arc<Catalogue>>>>,
}

impl Copies {
    /// The catalogue as it is in a moment.
    pub async fn copy(&self) -> Result<Arc<Catalogue>, NoCopy> {
        let (sender, receiver) = oneshot::channel();
        self.lock().push(sender);
        match tokio::time::timeout(PATIENCE, receiver).await {
            Ok(Ok(copy)) => Ok(copy),
            Ok(Err(_)) | Err(_) => Err(NoCopy),
        }
    }

    /// Gives everybody who waits one and the same copy.
    pub fn hand_out(&self, catalogue: &Catalogue) {
        let mut waiting = std::mem::take(&mut *self.lock());
        waiting.retain(|sender| !sender.is_closed());
        if waiting.is_empty() {
            return;
        }
        let copy = Arc::new(catalogue.clone());
        for sender in waiting {
            // Whoever stopped waiting does not need it.
            drop(sender.send(Arc::clone(&copy)));
        }
    }

    /// The list is changed in one piece, so a panic elsewhere leaves it good.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<oneshot::Sender<Arc<Catalogue>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use outrider_discover::Settings;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_gets_a_copy_and_nobody_waits_for_ever() {
        let copies = Copies::default();
        let catalogue = Catalogue::new(Settings::default());
        copies.hand_out(&catalogue);
        let (one, other, ()) = tokio::join!(copies.copy(), copies.copy(), async { copies.hand_out(&catalogue) });
        assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
        assert_eq!(copies.copy().await.unwrap_err(), NoCopy);
    }
}
