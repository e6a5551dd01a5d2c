//! A bounded table of key states with deterministic eviction.
//!
//! Eviction is a generalised clock (Smith 1978, "Sequentiality and prefetching in database systems"): a hand goes round
//! the slots; each has a credit, which the hand takes away one by one, and a slot without credit makes room. A key earns
//! credit with its active minutes, so a flood of keys that come once goes by without washing out those with a history.

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use super::profile::{Flag, KeyState};

/// How far the hand goes for one eviction; then the poorest slot it passed makes room. Each step takes a credit away, and
/// credit is earned once a minute, so the steps of many evictions together are few.
const HAND_STEPS_MAX: usize = 4096;
/// Room is made in steps of this many slots, so that what is reserved stays near to what is used.
const RESERVE_SLOTS: usize = 16_384;

/// The states of all keys. A slot's number is stable as long as its key lives.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    slots: Vec<KeyState>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hand: u32,
    keys_max: usize,
}

/// The table as it is written into a snapshot; the index is rebuilt.
#[derive(Serialize, Deserialize)]
pub(super) struct TableSnapshot {
    slots: Vec<KeyState>,
    free: Vec<u32>,
    hand: u32,
}

impl KeyTable {
    pub fn new(keys_max: usize) -> Self {
        KeyTable { keys_max, ..KeyTable::default() }
    }

    /// Keys in it.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Slots that it has, in use or not.
    pub fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    /// No key more goes in without another making room.
    pub fn is_full(&self) -> bool {
        self.len() >= self.keys_max
    }

    pub fn find(&self, key: u64) -> Option<u32> {
        self.index.find(key, |&slot| self.slots[slot as usize].key == key).copied()
    }

    pub fn at(&self, slot: u32) -> &KeyState {
        &self.slots[slot as usize]
    }

    pub fn at_mut(&mut self, slot: u32) -> &mut KeyState {
        &mut self.slots[slot as usize]
    }

    /// Puts a key in that is not in it. The table must not be full.
    pub fn insert(&mut self, state: KeyState) -> u32 {
        let key = state.key;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = state;
                slot
            }
            None => {
                if self.slots.len() == self.slots.capacity() {
                    self.slots.reserve_exact(RESERVE_SLOTS.min(self.keys_max - self.slots.len()).max(1));
                }
                self.slots.push(state);
                (self.slots.len() - 1) as u32
            }
        };
        let slots = &self.slots;
        self.index.insert_unique(key, slot, |&slot| slots[slot as usize].key);
        slot
    }

    /// Takes a key out and returns its state.
    pub fn remove(&mut self, slot: u32) -> KeyState {
        let state = std::mem::take(&mut self.slots[slot as usize]);
        if let Ok(entry) = self.index.find_entry(state.key, |&other| other == slot) {
            entry.remove();
        }
        self.free.push(slot);
        state
    }

    /// The slot that has to make room for another key: never a watched one, never `keep`. `None` where all are such.
    pub fn victim(&mut self, keep: Option<u32>) -> Option<u32> {
        let mut poorest: Option<(u16, u32, u32)> = None;
        for _ in 0..HAND_STEPS_MAX.min(self.slots.len()) {
            let slot = self.hand;
            self.hand = (self.hand + 1) % self.slots();
            let state = &mut self.slots[slot as usize];
            if !state.is(Flag::Live) || state.is(Flag::Watched) || keep == Some(slot) {
                continue;
            }
            let credit = state.credit();
            if credit == 0 {
                return Some(slot);
            }
            state.set_credit(credit - 1);
            let candidate = (credit, state.head(), slot);
            poorest = Some(poorest.map_or(candidate, |other| other.min(candidate)));
        }
        poorest.map(|(_, _, slot)| slot)
    }

    /// Memory of the slots and the index.
    pub fn memory_bytes(&self) -> usize {
        // The index keeps a slot number and a control byte for each bucket; 8/7 is its load limit.
        let index = self.index.capacity() * 8 / 7 * 5;
        self.slots.capacity() * std::mem::size_of::<KeyState>() + self.free.capacity() * 4 + index
    }

    pub fn snapshot(&self) -> TableSnapshot {
        TableSnapshot { slots: self.slots.clone(), free: self.free.clone(), hand: self.hand }
    }

    /// The table of a snapshot; `None` if the snapshot contradicts itself.
    pub fn restore(snapshot: TableSnapshot, keys_max: usize) -> Option<Self> {
        let TableSnapshot { slots, free, hand } = snapshot;
        let live = slots.iter().filter(|state| state.is(Flag::Live)).count();
        let all_free = free.iter().all(|&slot| slots.get(slot as usize).is_some_and(|state| !state.is(Flag::Live)));
        if live + free.len() != slots.len() || !all_free || (hand as usize) > slots.len() {
            return None;
        }
        let mut index = HashTable::with_capacity(live);
        for (slot, state) in slots.iter().enumerate().filter(|(_, state)| state.is(Flag::Live)) {
            index.insert_unique(state.key, slot as u32, |&slot: &u32| slots[slot as usize].key);
        }
        Some(KeyTable { slots, free, index, hand, keys_max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn put(table: &mut KeyTable, number: u64) -> u32 {
        if table.is_full() {
            let victim = table.victim(None).unwrap();
            table.remove(victim);
        }
        table.insert(KeyState::new(key(number), 0, 600))
    }

    #[test]
    fn keys_with_a_history_outlive_a_flood_of_keys_that_come_once() {
        let mut table = KeyTable::new(1000);
        let known: Vec<u32> = (0..100).map(|n| put(&mut table, n)).collect();
        for number in 100..100_000 {
            // They stay active meanwhile, which refreshes their credit.
            if number % 500 == 0 {
                known.iter().for_each(|&slot| table.at_mut(slot).set_credit(3));
            }
            put(&mut table, number);
            assert!(table.len() <= 1000);
        }
        assert!((0..100).all(|number| table.find(key(number)).is_some()));
        assert!(table.find(key(500)).is_none());
        assert!(table.find(key(99_999)).is_some());
    }

    #[test]
    fn watched_keys_and_the_one_to_keep_never_make_room() {
        let mut table = KeyTable::new(3);
        let slots: Vec<u32> = (0..3).map(|n| put(&mut table, n)).collect();
        table.at_mut(slots[0]).set(Flag::Watched, true);
        assert_eq!(table.victim(Some(slots[1])), Some(slots[2]));
        table.at_mut(slots[2]).set(Flag::Watched, true);
        assert_eq!(table.victim(Some(slots[1])), None);
    }

    #[test]
    fn a_table_comes_back_as_it_was() {
        let mut table = KeyTable::new(50);
        for number in 0..80 {
            put(&mut table, number);
        }
        let slot = table.find(key(79)).unwrap();
        table.remove(slot);
        let mut again = KeyTable::restore(table.snapshot(), 50).unwrap();
        for number in 0..200 {
            assert_eq!(again.find(key(number)), table.find(key(number)));
        }
        for number in 200..400 {
            assert_eq!(put(&mut again, number), put(&mut table, number));
        }
    }

    #[test]
    fn a_snapshot_that_contradicts_itself_is_refused() {
        let mut table = KeyTable::new(5);
        put(&mut table, 1);
        let mut snapshot = table.snapshot();
        snapshot.free.push(0);
        assert!(KeyTable::restore(snapshot, 5).is_none());
    }
}
