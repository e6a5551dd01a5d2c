//! Headers and mapped values that were looked at and stay as they are, so that the next call with the same need not be looked at
//! again.
//!
//! Clients say the same of themselves with every request, and looking for values in it is most of what sanitising costs.
//! What stays is remembered by 64 bits of a hash whose seed is this table's own; in a table of one slot per hash, where a later one
//! takes an earlier one's place. That a value is taken for another that was clean has a chance of 1 in 2^64 a look.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::quality::RandomState;

/// How many are remembered: the agents, origins and referrers of a few thousand clients.
const SLOTS: usize = 4_096;

/// What stands in a slot with nothing in it.
const EMPTY: u64 = 0;

/// Remembers the values of one kind of field. What stays depends on the settings, so each sanitiser has its own.
#[derive(Debug)]
pub(super) struct CleanValues {
    seed: RandomState,
    slots: Box<[AtomicU64]>,
}

impl CleanValues {
    pub(super) fn new() -> Self {
        CleanValues { seed: RandomState::default(), slots: (0..SLOTS).map(|_| AtomicU64::new(EMPTY)).collect() }
    }

    /// `None` for a value that is known to stay; for another what `look` says.
    pub(super) fn stays<T>(&self, name: &str, value: &str, look: impl FnOnce() -> Option<T>) -> Option<T> {
        let hash = self.seed.hash_one((name, value));
        let slot = &self.slots[hash as usize % SLOTS];
        // A slot by itself is all that is written, so no order with others matters.
        if hash != EMPTY && slot.load(Ordering::Relaxed) == hash {
            return None;
        }
        let found = look();
        if found.is_none() {
            slot.store(hash, Ordering::Relaxed);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_looked_at_once_and_what_does_not_each_time() {
        let values = CleanValues::new();
        let mut looks = Vec::new();
        let mut ask = |name: &'static str, value: &'static str| {
            values.stays(name, value, || {
                looks.push((name, value));
                (value == "secret").then_some("hidden")
            })
        };
        // Name and value of the first run into each other as those of the third do.
        let asked = [("as", "ecret"), ("a", "plain"), ("a", "secret"), ("b", "plain")];
        for _ in 0..3 {
            let answers = asked.map(|(name, value)| ask(name, value));
            assert_eq!(answers, [None, None, Some("hidden"), None]);
        }
        assert_eq!(looks.iter().filter(|asked| asked.1 == "secret").count(), 3);
        // Two of the three others may have fallen into one slot.
        assert!(looks.len() < 3 * asked.len(), "{looks:?}");
    }

    #[test]
    fn a_full_table_takes_the_latest() {
        let values = CleanValues::new();
        let mut looks = 0;
        for number in 0..3 * SLOTS {
            let value = number.to_string();
            for _ in 0..2 {
                values.stays("x-id", &value, || -> Option<()> {
                    looks += 1;
                    None
                });
            }
        }
        assert_eq!(looks, 3 * SLOTS, "each once, as it was in its slot the second time");
    }
}
