//! High-water marks: which batches of calls are stored already (decision 11).
//!
//! One mark for each collector epoch says up to which call its batches are in the log. Each segment carries the marks
//! of everything before it in its header, so they survive the cutting of older segments, and recovery reads one segment.
//!
//! The number of epochs is limited. Beyond the limit an epoch is forgotten and counted: of the sender with the most, the one
//! that has been silent longest, so that no sender can push out what is known of another. Whose an epoch is, its upper bits
//! say ([`epoch_of`]). Should a forgotten one come back, a batch that it sends again is no longer known as a duplicate.

use std::collections::BTreeMap;

/// How many collector epochs are remembered. A collector begins two with each start at most; a function has one for each request,
/// and is known by it when that comes again.
pub const EPOCHS_MAX: usize = 4096;

/// The lower bits of an epoch are its collector's own, the upper ones its sender's.
const OWN_BITS: u32 = 48;

/// The epoch of a sender elsewhere as the log knows it. Who collects in this process has random upper bits, a sender of its
/// own with each start.
pub fn epoch_of(sender: &str, epoch: u64) -> u64 {
    let own = epoch & ((1 << OWN_BITS) - 1);
    u64::from(crc32fast::hash(sender.as_bytes())) << OWN_BITS | own
}

/// What a batch is to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It follows what is stored.
    New,
    /// All of it is stored already.
    Duplicate,
    /// It is new, and calls between what is stored and it are missing.
    Gap {
        /// The first missing call.
        first: u64,
        /// The last missing call.
        last: u64,
    },
    /// A part of it is stored and the rest is not.
    Overlap {
        /// The last stored call.
        mark: u64,
    },
}

/// The mark of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The last stored call.
    pub last: u64,
    /// The record that stored it: tells which epoch has been silent longest.
    pub position: u64,
}

/// The marks of all epochs, with what is needed to take back what was not committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    epochs: BTreeMap<u64, Mark>,
    undo: Vec<(u64, Option<Mark>)>,
}

impl Marks {
    /// What the batch `first..=last` of an epoch is. Changes nothing.
    pub fn verdict(&self, epoch: u64, first: u64, last: u64) -> Verdict {
        let mark = self.epochs.get(&epoch).map_or(0, |mark| mark.last);
        let known = self.epochs.contains_key(&epoch);
        if known && last <= mark {
            Verdict::Duplicate
        } else if known && first <= mark {
            Verdict::Overlap { mark }
        } else if first > mark.saturating_add(1) {
            Verdict::Gap { first: mark + 1, last: first - 1 }
        } else {
            Verdict::New
        }
    }

    /// The last stored call of an epoch.
    pub fn last(&self, epoch: u64) -> Option<u64> {
        self.epochs.get(&epoch).map(|mark| mark.last)
    }

    /// The epoch under which a collector's start is known already, though it has another sender by now: a service was given
    /// another name, or an earlier version had no senders. A collector's own bits are random, and a function's of what it brings, so
    /// nobody else has them.
    pub(super) fn known_as(&self, epoch: u64) -> u64 {
        if self.epochs.contains_key(&epoch) {
            return epoch;
        }
        let is_same = |known: &u64| (known ^ epoch) << (u64::BITS - OWN_BITS) == 0;
        self.epochs.keys().copied().find(is_same).unwrap_or(epoch)
    }

    /// How many epochs are remembered.
    pub fn len(&self) -> usize {
        self.epochs.len()
    }

    /// Whether no epoch is remembered.
    pub fn is_empty(&self) -> bool {
        self.epochs.is_empty()
    }

    /// Moves an epoch's mark. Says how many epochs had to be forgotten for it.
    pub(super) fn advance(&mut self, epoch: u64, last: u64, position: u64) -> u64 {
        let before = self.epochs.insert(epoch, Mark { last, position });
        self.undo.push((epoch, before));
        let mut forgotten = 0;
        while self.epochs.len() > EPOCHS_MAX
            && let Some((silent, mark)) = self.dispensable()
        {
            self.epochs.remove(&silent);
            self.undo.push((silent, Some(mark)));
            forgotten += 1;
        }
        forgotten
    }

    /// The epoch to forget: the longest silent one of the sender with the most.
    fn dispensable(&self) -> Option<(u64, Mark)> {
        let mut most = 0;
        let mut found: Option<(u64, Mark)> = None;
        let all: Vec<_> = self.iter().collect();
        for epochs in all.chunk_by(|(one, _), (other, _)| one >> OWN_BITS == other >> OWN_BITS) {
            let silent = epochs.iter().min_by_key(|(epoch, mark)| (mark.position, *epoch)).copied();
            let is_longer = |silent: (u64, Mark)| found.is_none_or(|found| silent.1.position < found.1.position);
            if epochs.len() > most || (epochs.len() == most && silent.is_some_and(is_longer)) {
                (most, found) = (epochs.len(), silent);
            }
        }
        found
    }

    /// What was advanced is on stable storage.
    pub(super) fn keep(&mut self) {
        self.undo.clear();
    }

    /// A point to take back to, valid until the next `keep`.
    pub(super) fn savepoint(&self) -> usize {
        self.undo.len()
    }

    /// Takes back what was advanced since the savepoint; 0 is the last `keep`.
    pub(super) fn take_back_to(&mut self, savepoint: usize) {
        while self.undo.len() > savepoint {
            match self.undo.pop() {
                Some((epoch, Some(before))) => drop(self.epochs.insert(epoch, before)),
                Some((epoch, None)) => drop(self.epochs.remove(&epoch)),
                None => return,
            }
        }
    }

    /// The marks of what is on stable storage.
    pub(super) fn kept(&self) -> Marks {
        let mut kept = self.clone();
        kept.take_back_to(0);
        kept
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (u64, Mark)> {
        self.epochs.iter().map(|(epoch, mark)| (*epoch, *mark))
    }

    pub(super) fn from_stored(stored: impl Iterator<Item = (u64, Mark)>) -> Marks {
        Marks { epochs: stored.collect(), undo: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_new_once() {
        let mut marks = Marks::default();
        marks.advance(7, 10, 1);
        let cases = [
            (7, 1, 10, Verdict::Duplicate),
            (7, 4, 6, Verdict::Duplicate),
            (7, 11, 20, Verdict::New),
            (7, 5, 12, Verdict::Overlap { mark: 10 }),
            (7, 13, 20, Verdict::Gap { first: 11, last: 12 }),
            (8, 1, 5, Verdict::New),
            (8, 4, 5, Verdict::Gap { first: 1, last: 3 }),
        ];
        for (epoch, first, last, expected) in cases {
            assert_eq!(marks.verdict(epoch, first, last), expected, "{epoch} {first}..={last}");
        }
    }

    #[test]
    fn what_was_not_committed_is_taken_back() {
        let mut marks = Marks::default();
        marks.advance(1, 5, 1);
        marks.keep();
        let committed = marks.clone();
        marks.advance(1, 9, 2);
        marks.advance(2, 3, 3);
        marks.advance(1, 12, 4);
        assert_eq!(marks.kept(), committed);
        marks.take_back_to(0);
        assert_eq!(marks, committed);
    }

    #[test]
    fn the_epoch_that_has_been_silent_longest_is_forgotten() {
        let mut marks = Marks::default();
        for epoch in 0..EPOCHS_MAX as u64 {
            assert_eq!(marks.advance(epoch, 1, epoch + 1), 0);
        }
        marks.advance(0, 2, 5000);
        marks.keep();
        let full = marks.clone();
        assert_eq!(marks.advance(9999, 1, 5001), 1);
        assert_eq!(marks.len(), EPOCHS_MAX);
        assert_eq!((marks.last(0), marks.last(1), marks.last(9999)), (Some(2), None, Some(1)));
        marks.take_back_to(0);
        assert_eq!(marks, full);
    }

    #[test]
    fn a_start_goes_on_under_the_sender_that_it_began_with() {
        let mut marks = Marks::default();
        marks.advance(epoch_of("before", 7), 9, 1);
        marks.advance(u64::MAX, 9, 2);
        let cases = [("before", 7, epoch_of("before", 7)), ("after", 7, epoch_of("before", 7))];
        for (sender, own, expected) in cases {
            assert_eq!(marks.known_as(epoch_of(sender, own)), expected, "{sender} {own}");
        }
        assert_eq!(marks.known_as(epoch_of("after", u64::MAX)), u64::MAX, "of an earlier version");
        assert_eq!(marks.known_as(epoch_of("after", 8)), epoch_of("after", 8));
    }

    #[test]
    fn a_sender_with_many_epochs_pushes_out_its_own() {
        let mut marks = Marks::default();
        let (quiet, loud) = (epoch_of("quiet", u64::MAX), |number| epoch_of("loud", number));
        marks.advance(quiet, 9, 1);
        for number in 0..EPOCHS_MAX as u64 + 50 {
            marks.advance(loud(number), 1, number + 2);
        }
        assert_eq!((marks.len(), marks.last(quiet)), (EPOCHS_MAX, Some(9)));
        assert_eq!((marks.last(loud(50)), marks.last(loud(51))), (None, Some(1)), "its longest silent ones");
        // Of equals, who has been silent longest.
        let mut marks = Marks::default();
        for number in 0..=EPOCHS_MAX as u64 {
            marks.advance(number << OWN_BITS, 1, EPOCHS_MAX as u64 - number);
        }
        assert_eq!((marks.len(), marks.last((EPOCHS_MAX as u64) << OWN_BITS)), (EPOCHS_MAX, None));
    }
}
