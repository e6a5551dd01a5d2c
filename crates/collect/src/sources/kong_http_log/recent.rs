//! Which calls came lately, so that one that is sent again counts once (decision 11).
//!
//! Kong sends a batch again whose answer it did not get, the same entries in the same bytes, and nothing in it says so. A
//! call is known by its request id, which Kong draws since 3.5; before, by its whole line. The number of calls that are
//! remembered is limited, and the oldest is forgotten first.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outrider_model::ApiCall;

/// Calls that are remembered. A batch comes again after Kong's timeout of 10 s and a pause, so this is enough for more than
/// ten thousand calls a second.
pub(super) const RECENT_MAX: usize = 262_144;

/// The calls that came lately.
pub(super) struct Recent {
    /// Keyed at random, so that nobody can write a line that is taken for another one.
    hasher: RandomState,
    calls: Mutex<Calls>,
    most: usize,
}

#[derive(Default)]
struct Calls {
    states: HashMap<u64, State>,
    /// The stored ones, the oldest first.
    order: VecDeque<u64>,
    requests: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// A request brings it, and it is not known yet whether it will be stored.
    UnderWay {
        request: u64,
    },
    Stored,
}

/// What is known of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing; whoever asked brings it.
    New,
    /// It is stored, or came in this very request already.
    Duplicate,
    /// Another request brings it at this moment.
    UnderWay,
}

impl Recent {
    pub(super) fn new(most: usize) -> Self {
        Recent { hasher: RandomState::new(), calls: Mutex::default(), most }
    }

    /// What a call is known by.
    pub(super) fn key(&self, request_id: &str, line: &[u8]) -> u64 {
        match request_id.as_bytes() {
            [] => self.hasher.hash_one(line),
            request_id => self.hasher.hash_one(request_id),
        }
    }

    /// Remembers a call that is stored already. One without a request id is known by its line alone, which is gone.
    pub(super) fn remember(&self, call: &ApiCall<'_>) {
        if !call.request_id.is_empty() {
            let key = self.key(&call.request_id, &[]);
            self.lock().store(key, self.most);
        }
    }

    /// Begins a request.
    pub(super) fn claims(self: &Arc<Self>) -> Claims {
        let mut calls = self.lock();
        calls.requests += 1;
        Claims { request: calls.requests, recent: Arc::clone(self), keys: Vec::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    fn store(&mut self, key: u64, most: usize) {
        if self.states.insert(key, State::Stored) == Some(State::Stored) {
            return;
        }
        self.order.push_back(key);
        while self.order.len() > most
            && let Some(oldest) = self.order.pop_front()
        {
            self.states.remove(&oldest);
        }
    }
}

/// The calls of one request, until it is known what becomes of them. Dropped, they are as if they had never come.
pub(super) struct Claims {
    request: u64,
    recent: Arc<Recent>,
    keys: Vec<u64>,
}

impl Claims {
    /// Takes a call for this request, if nobody else has.
    pub(super) fn claim(&mut self, key: u64) -> Known {
        match self.recent.lock().states.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(State::UnderWay { request: self.request });
                self.keys.push(key);
                Known::New
            }
            Entry::Occupied(known) => match *known.get() {
                State::UnderWay { request } if request != self.request => Known::UnderWay,
                _ => Known::Duplicate,
            },
        }
    }

    /// The calls are stored.
    pub(super) fn stored(mut self) {
        let keys = std::mem::take(&mut self.keys);
        let mut calls = self.recent.lock();
        for key in keys {
            calls.store(key, self.recent.most);
        }
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        if self.keys.is_empty() {
            return;
        }
        let mut calls = self.recent.lock();
        for key in &self.keys {
            calls.states.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_new_once_and_again_where_it_was_not_stored() {
        let recent = Arc::new(Recent::new(3));
        let mut first = recent.claims();
        assert_eq!([1, 2, 1].map(|key| first.claim(key)), [Known::New, Known::New, Known::Duplicate]);
        let mut second = recent.claims();
        assert_eq!([1, 3].map(|key| second.claim(key)), [Known::UnderWay, Known::New]);
        drop(first);
        assert_eq!(second.claim(1), Known::New, "the first was not stored");
        second.stored();
        let mut third = recent.claims();
        assert_eq!([3, 1, 2].map(|key| third.claim(key)), [Known::Duplicate, Known::Duplicate, Known::New]);
        third.stored();

        // The oldest is forgotten: that was 3, then 1.
        let mut fourth = recent.claims();
        assert_eq!(fourth.claim(4), Known::New);
        fourth.stored();
        let mut last = recent.claims();
        assert_eq!(
            [4, 2, 1, 3].map(|key| last.claim(key)),
            [Known::Duplicate, Known::Duplicate, Known::Duplicate, Known::New]
        );
        drop(last);
        let calls = recent.lock();
        assert_eq!((calls.states.len(), calls.order.len()), (3, 3), "nothing is left of what was not stored");
    }

    #[test]
    fn a_request_id_tells_a_call_and_without_one_its_line() {
        let recent = Recent::new(8);
        assert_eq!(recent.key("af54", b"one"), recent.key("af54", b"two"));
        assert_eq!(recent.key("", b"one"), recent.key("", b"one"));
        assert_ne!(recent.key("", b"one"), recent.key("", b"two"));
    }
}
