//! Endpoint ids on their way from the analysis to the lake, which reads the calls themselves from the log.
//!
//! Bounded by a number of ids. At the limit the oldest records' ids are forgotten and counted; the lake then writes those
//! rows without an endpoint id rather than hold up detection.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrider_model::EndpointId;

use crate::log::Position;

/// How many ids may wait: 128 MiB, an hour at 2,000 calls a second.
pub const IDS_WAITING_MAX: usize = 8 << 20;

/// The queue.
#[derive(Debug)]
pub struct Assignments {
    state: Mutex<State>,
    changed: Condvar,
    ids_max: usize,
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<(Position, Vec<Option<EndpointId>>)>,
    ids: usize,
    forgotten: u64,
    analysed: Position,
    ended: bool,
}

/// What the queue knows of a record's calls.
#[derive(Debug, PartialEq, Eq)]
pub enum Assigned {
    /// The endpoint of each call.
    Known(Vec<Option<EndpointId>>),
    /// They were forgotten at the limit.
    Forgotten,
    /// The analysis has not come to the record yet.
    NotYet,
    /// The analysis has ended and will not come to it.
    Never,
}

impl Assignments {
    /// An empty queue that holds at most so many ids.
    pub fn new(ids_max: usize) -> Self {
        Assignments { state: Mutex::default(), changed: Condvar::new(), ids_max }
    }

    /// Adds the endpoints of a record's calls. Positions only grow.
    pub fn push(&self, position: Position, ids: Vec<Option<EndpointId>>) {
        let mut state = self.lock();
        state.analysed = position;
        state.ids += ids.len();
        state.records.push_back((position, ids));
        while state.ids > self.ids_max {
            let Some((_, oldest)) = state.records.pop_front() else { break };
            state.ids -= oldest.len();
            state.forgotten += oldest.len() as u64;
        }
        self.changed.notify_all();
    }

    /// Says that the analysis has come to a position, whether or not it had calls.
    pub fn analysed(&self, position: Position) {
        let mut state = self.lock();
        state.analysed = state.analysed.max(position);
        self.changed.notify_all();
    }

    /// Says that the analysis will come no further.
    pub fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Waits until the analysis has come to a position or the time is over.
    pub fn wait_for(&self, position: Position, timeout: Duration) {
        // Who comes back too early asks again.
        drop(self.changed.wait_timeout_while(self.lock(), timeout, |state| state.analysed < position && !state.ended));
    }

    /// Takes the endpoints of a record's calls; those of earlier records are no longer needed.
    pub fn take(&self, position: Position) -> Assigned {
        let mut state = self.lock();
        while state.records.front().is_some_and(|(first, _)| *first < position) {
            if let Some((_, ids)) = state.records.pop_front() {
                state.ids -= ids.len();
            }
        }
        if state.records.front().is_some_and(|(first, _)| *first == position)
            && let Some((_, ids)) = state.records.pop_front()
        {
            state.ids -= ids.len();
            return Assigned::Known(ids);
        }
        match position <= state.analysed {
            true => Assigned::Forgotten,
            false if state.ended => Assigned::Never,
            false => Assigned::NotYet,
        }
    }

    /// How many calls lost their endpoint on the way to the lake.
    pub fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// The state is changed in one piece, so a panic elsewhere leaves it good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_limit_the_oldest_are_forgotten_and_counted() {
        let queue = Assignments::new(5);
        for position in 1..=3 {
            queue.push(Position(position), vec![Some(EndpointId(position)); 2]);
        }
        assert_eq!(queue.forgotten(), 2);
        assert_eq!(queue.take(Position(1)), Assigned::Forgotten);
        assert_eq!(queue.take(Position(3)), Assigned::Known(vec![Some(EndpointId(3)); 2]));
        assert_eq!(queue.take(Position(2)), Assigned::Forgotten, "skipped records do not come back");
        assert_eq!(queue.take(Position(4)), Assigned::NotYet);
        queue.analysed(Position(4));
        assert_eq!(queue.take(Position(4)), Assigned::Forgotten);
        queue.end();
        assert_eq!(queue.take(Position(9)), Assigned::Never);
        queue.push(Position(5), vec![None; 5]);
        assert_eq!(queue.take(Position(5)), Assigned::Known(vec![None; 5]), "taken ids make room");
    }
}
