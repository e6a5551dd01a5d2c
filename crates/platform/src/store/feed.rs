//! The feed: what has just been stored, for whoever wants to know at once.
//!
//! A change is told when the transaction that holds it is committed, never before. One bounded ring serves everybody: a
//! reader remembers how far it is and nothing is kept for it. One that is too slow, or was away for too long, finds its
//! place gone and has to begin anew. The ring is gone with the process; numbers are of one process, which [`Feed::run`]
//! names.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outrider_model::Notice;
use serde::Serialize;
use tokio::sync::watch;

use super::EffectBatch;

/// Changes that are kept.
pub const FEED_CHANGES_MAX: usize = 4096;
/// Bytes of JSON that are kept; a larger change is kept alone.
pub const FEED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// An alert is new or changed.
    Alert,
    /// An action is new or changed.
    Action,
    /// A policy is new or changed.
    Policy,
    /// A policy is gone.
    PolicyDeleted,
    /// The kill switch was set.
    KillSwitch,
    /// The guard rails changed.
    GuardRails,
    /// A notice was opened or closed.
    Notice,
}

/// One change.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number; the next change has the next one.
    pub number: u64,
    /// What changed.
    pub kind: ChangeKind,
    /// The gateway that it is at; none if it is about all of outrider.
    pub gateway: Option<String>,
    /// What it is like now, as JSON.
    pub data: String,
}

/// A policy that is gone.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct DeletedPolicy<'a> {
    /// Its name.
    pub name: &'a str,
}

/// The place that was asked for is no longer, or was never, in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// The ring, and who waits for it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    run: u64,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
    access: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    changes: VecDeque<Arc<Change>>,
    bytes: usize,
    /// The number of the last change that was ever told.
    newest: u64,
}

impl Default for Feed {
    fn default() -> Self {
        let mut run = [0; 8];
        // Without random numbers two runs are not told from each other, as if nothing had been missed between them.
        if let Err(error) = getrandom::fill(&mut run) {
            tracing::warn!(%error, "the system gives no random numbers; who follows changes may miss a restart");
        }
        Feed(Arc::new(Shared {
            run: u64::from_le_bytes(run),
            ring: Mutex::default(),
            newest: watch::Sender::new(0),
            access: watch::Sender::new(0),
        }))
    }
}

impl Feed {
    /// A random number of this process.
    pub fn run(&self) -> u64 {
        self.0.run
    }

    /// The number of the newest change; it changes whenever there is another.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// Changes whenever somebody is let in or no longer.
    pub fn access(&self) -> watch::Receiver<u64> {
        self.0.access.subscribe()
    }

    /// The change that follows a number, if there is one yet.
    pub fn after(&self, number: u64) -> Result<Option<Arc<Change>>, Gone> {
        let ring = self.lock();
        if number == ring.newest {
            return Ok(None);
        }
        let oldest = ring.changes.front().map_or(u64::MAX, |change| change.number);
        let index = (number + 1).checked_sub(oldest).and_then(|index| usize::try_from(index).ok()).ok_or(Gone)?;
        ring.changes.get(index).cloned().map(Some).ok_or(Gone)
    }

    /// Tells what a transaction that is now committed has changed.
    pub(super) fn committed(&self, effects: &EffectBatch) {
        let mut told = Vec::new();
        for alert in &effects.alerts {
            push(&mut told, ChangeKind::Alert, Some(&alert.entity.gateway), alert);
        }
        for action in &effects.actions {
            push(&mut told, ChangeKind::Action, Some(&action.target.gateway), action);
        }
        for policy in &effects.policies {
            push(&mut told, ChangeKind::Policy, None, policy);
        }
        for name in &effects.deleted_policies {
            push(&mut told, ChangeKind::PolicyDeleted, None, &DeletedPolicy { name });
        }
        if let Some(kill_switch) = &effects.kill_switch {
            push(&mut told, ChangeKind::KillSwitch, None, kill_switch);
        }
        if let Some(guard_rails) = &effects.guard_rails {
            push(&mut told, ChangeKind::GuardRails, None, guard_rails);
        }
        self.tell(told);
        if effects.erased.iter().any(|erased| erased.refused.is_none()) {
            self.forget();
        }
    }

    /// Keeps nothing of what was told until now: it may name somebody who is erased. Everybody has to begin anew.
    fn forget(&self) {
        let mut ring = self.lock();
        (ring.changes, ring.bytes) = Default::default();
        ring.newest += 1;
        let newest = ring.newest;
        drop(ring);
        self.0.newest.send_replace(newest);
    }

    /// Tells of notices that are now stored.
    pub(super) fn noticed<'a>(&self, notices: impl Iterator<Item = &'a Notice>) {
        let mut told = Vec::new();
        for notice in notices {
            push(&mut told, ChangeKind::Notice, None, notice);
        }
        self.tell(told);
    }

    /// Says that somebody was let in or no longer.
    pub(super) fn access_changed(&self) {
        self.0.access.send_modify(|changes| *changes += 1);
    }

    fn tell(&self, told: Vec<Told>) {
        if told.is_empty() {
            return;
        }
        let mut ring = self.lock();
        for (kind, gateway, data) in told {
            ring.newest += 1;
            ring.bytes += data.len();
            let number = ring.newest;
            ring.changes.push_back(Arc::new(Change { number, kind, gateway, data }));
            while ring.changes.len() > 1 && (ring.changes.len() > FEED_CHANGES_MAX || ring.bytes > FEED_BYTES_MAX) {
                let gone = ring.changes.pop_front().map_or(0, |change| change.data.len());
                ring.bytes -= gone;
            }
        }
        let newest = ring.newest;
        drop(ring);
        self.0.newest.send_replace(newest);
    }

    /// Each change enters in one piece, so a panic elsewhere leaves the ring good.
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What changed, at which gateway, and what it is like now.
type Told = (ChangeKind, Option<String>, String);

fn push(told: &mut Vec<Told>, kind: ChangeKind, gateway: Option<&String>, value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(data) => told.push((kind, gateway.cloned(), data)),
        // The same value has just been stored as JSON.
        Err(error) => tracing::error!(%error, ?kind, "a change was not told"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(bytes: usize, count: usize) -> Vec<Told> {
        (0..count).map(|_| (ChangeKind::Notice, None, "x".repeat(bytes))).collect()
    }

    #[test]
    fn the_ring_keeps_the_newest_and_says_what_is_gone() {
        let feed = Feed::default();
        assert_eq!(feed.after(0), Ok(None));
        assert_eq!(feed.after(1), Err(Gone), "a number that was never told");
        feed.tell(changes(10, FEED_CHANGES_MAX));
        assert_eq!(feed.after(0).unwrap().unwrap().number, 1);
        feed.tell(changes(10, 1));
        assert_eq!(feed.after(0), Err(Gone));
        assert_eq!(feed.after(1).unwrap().unwrap().number, 2);
        let newest = FEED_CHANGES_MAX as u64 + 1;
        assert_eq!(*feed.newest().borrow(), newest);
        assert_eq!(feed.after(newest), Ok(None));
        assert_eq!((feed.after(newest + 1), feed.after(u64::MAX - 1)), (Err(Gone), Err(Gone)));
    }

    #[test]
    fn what_was_told_before_somebody_was_erased_is_gone() {
        let feed = Feed::default();
        feed.tell(changes(10, 3));
        feed.forget();
        assert_eq!([feed.after(0), feed.after(2), feed.after(3)], [Err(Gone), Err(Gone), Err(Gone)]);
        assert_eq!((*feed.newest().borrow(), feed.after(4)), (4, Ok(None)));
        feed.tell(changes(10, 1));
        assert_eq!((feed.after(3), feed.after(4).unwrap().unwrap().number), (Err(Gone), 5));
    }

    #[test]
    fn the_ring_is_bounded_in_bytes() {
        let feed = Feed::default();
        feed.tell(changes(FEED_BYTES_MAX / 4, 6));
        assert_eq!((feed.after(1), feed.after(2).unwrap().unwrap().number), (Err(Gone), 3));
        assert!(feed.lock().bytes <= FEED_BYTES_MAX);
        feed.tell(changes(FEED_BYTES_MAX * 2, 1));
        assert_eq!(
            (feed.after(5), feed.after(6).unwrap().unwrap().number),
            (Err(Gone), 7),
            "a larger one is kept alone"
        );
        feed.tell(changes(1, 1));
        assert_eq!((feed.after(6), feed.after(7).unwrap().unwrap().number), (Err(Gone), 8));
    }
}
