//! A copy of the catalogue as it is, for people who want to see what a decision would do to it before they take it.
//!
//! The analysis alone holds the catalogue, so whoever wants to look asks its thread, which makes a copy between two records: one at a
//! time, and no more than one a second.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outrider_discover::Catalogue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout};

/// How long a copy may take: the thread may have a long commit before it, and somebody else his turn.
const PATIENCE: Duration = Duration::from_secs(15);
/// The analysis stands still while it copies, so it does that no more often.
const PAUSE: Duration = Duration::from_secs(1);

/// The analysis has not come to it in time, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the analysis does not answer at the moment; try again")]
pub struct NoCopy;

/// A copy of the catalogue. There is no other one until it is dropped.
#[derive(Debug)]
pub struct CatalogueCopy {
    catalogue: Catalogue,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Deref for CatalogueCopy {
    type Target = Catalogue;

    fn deref(&self) -> &Catalogue {
        &self.catalogue
    }
}

/// One that is nobody's turn.
impl From<Catalogue> for CatalogueCopy {
    fn from(catalogue: Catalogue) -> Self {
        CatalogueCopy { catalogue, _turn: None }
    }
}

/// Who waits for a copy.
#[derive(Debug)]
pub(crate) struct Copies {
    turn: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Whose turn it is.
    sender: Option<oneshot::Sender<Catalogue>>,
    /// When the newest copy was made.
    made: Option<Instant>,
}

impl Default for Copies {
    fn default() -> Self {
        Copies { turn: Arc::new(Semaphore::new(1)), waiting: Mutex::default() }
    }
}

impl Copies {
    /// The catalogue as it is in a moment.
    pub async fn copy(&self) -> Result<CatalogueCopy, NoCopy> {
        let copy = timeout(PATIENCE, async {
            let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| NoCopy)?;
            let (sender, receiver) = oneshot::channel();
            self.lock().sender = Some(sender);
            let catalogue = receiver.await.map_err(|_| NoCopy)?;
            Ok(CatalogueCopy { catalogue, _turn: Some(turn) })
        });
        copy.await.unwrap_or(Err(NoCopy))
    }

    /// Gives whoever waits a copy.
    pub fn hand_out(&self, catalogue: &Catalogue) {
        let sender = {
            let mut waiting = self.lock();
            if waiting.made.is_some_and(|made| made.elapsed() < PAUSE) {
                return;
            }
            let Some(sender) = waiting.sender.take().filter(|sender| !sender.is_closed()) else { return };
            waiting.made = Some(Instant::now());
            sender
        };
        // Whoever stopped waiting meanwhile does not need it.
        drop(sender.send(catalogue.clone()));
    }

    /// What is in it is changed in one piece, so a panic elsewhere leaves it good.
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use outrider_discover::Settings;

    use super::*;

    fn catalogue() -> Catalogue {
        Catalogue::new(Settings::default())
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_one_copy_at_a_time_and_nobody_waits_for_ever() {
        let copies = Copies::default();
        copies.hand_out(&catalogue());
        assert!(copies.lock().made.is_none(), "a copy costs time, and nobody wants one");
        let (copy, ()) = tokio::join!(copies.copy(), async { copies.hand_out(&catalogue()) });
        let copy = copy.unwrap();
        copies.lock().made = None;
        let (second, ()) = tokio::join!(copies.copy(), async { copies.hand_out(&catalogue()) });
        assert_eq!(second.unwrap_err(), NoCopy, "the first is still there");
        drop(copy);
        let (third, ()) = tokio::join!(copies.copy(), async { copies.hand_out(&catalogue()) });
        assert!(third.is_ok());
        let (fourth, ()) = tokio::join!(
            async {
                drop(third);
                copies.copy().await
            },
            async { copies.hand_out(&catalogue()) }
        );
        assert_eq!(fourth.unwrap_err(), NoCopy, "a second has not gone by");
    }

    #[tokio::test(start_paused = true)]
    async fn who_stopped_waiting_costs_no_copy_and_who_waits_gets_one_when_a_second_has_gone_by() {
        let copies = Copies::default();
        let gone = timeout(Duration::from_millis(10), copies.copy()).await;
        assert!(gone.is_err(), "nobody has handed anything out");
        copies.hand_out(&catalogue());
        assert!(copies.lock().made.is_none(), "who asked is gone");
        let (first, ()) = tokio::join!(copies.copy(), async { copies.hand_out(&catalogue()) });
        drop(first.unwrap());
        let began = Instant::now();
        let (second, ()) = tokio::join!(copies.copy(), async {
            for _ in 0..3 {
                copies.hand_out(&catalogue());
                tokio::time::sleep(PAUSE / 2).await;
            }
        });
        assert!(second.is_ok());
        assert!(began.elapsed() >= PAUSE, "it was handed out when a second had gone by");
        assert!(copies.lock().made.is_some_and(|made| made.duration_since(began) == PAUSE));
    }
}
