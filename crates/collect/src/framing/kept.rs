//! The unfinished line of a stream, and the room that such lines have together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The least that is taken for a line, so that one that comes byte by byte does not grow each time.
const BYTES_MIN: usize = 64;

/// How many bytes the unfinished lines of several streams may take together.
#[derive(Debug)]
pub struct LineRoom {
    bytes_max: usize,
    held: AtomicUsize,
}

impl LineRoom {
    /// Room for so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        LineRoom { bytes_max, held: AtomicUsize::new(0) }
    }

    /// Bytes that are taken now, never more than there is room for.
    pub fn held_bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.bytes_max);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What is kept of an unfinished line. What it takes of the room is its memory, not its length.
#[derive(Debug)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    room: Option<Arc<LineRoom>>,
    taken: usize,
}

impl Kept {
    /// Nothing yet. Without a room there is always some.
    pub(super) fn new(room: Option<Arc<LineRoom>>) -> Self {
        Kept { bytes: Vec::new(), room, taken: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Adds bytes, of which a line has `most` at most; `false` where there is no room for them, and then nothing is added.
    pub(super) fn extend(&mut self, more: &[u8], most: usize) -> bool {
        let needed = self.bytes.len() + more.len();
        if needed > self.taken {
            // Twice as much each time, as a vector grows by itself, but never more than the longest line takes.
            let wanted = (2 * self.taken).clamp(BYTES_MIN, most).max(needed);
            let Some(grown) = [wanted, needed].into_iter().find(|grown| self.take(grown - self.taken)) else {
                return false;
            };
            self.bytes.reserve_exact(grown - self.bytes.len());
            self.taken = grown;
        }
        self.bytes.extend_from_slice(more);
        true
    }

    /// Adds the end of the line. It needs no room: the line is handed out and gone before anything else happens.
    pub(super) fn extend_to_end(&mut self, more: &[u8]) {
        self.bytes.reserve_exact(more.len());
        self.bytes.extend_from_slice(more);
    }

    /// Takes away the first so many bytes.
    pub(super) fn drop_first(&mut self, count: usize) {
        self.bytes.drain(..count);
    }

    /// Gives all of it back, the memory and the room.
    pub(super) fn clear(&mut self) {
        self.bytes = Vec::new();
        if let Some(room) = &self.room {
            room.give_back(self.taken);
        }
        self.taken = 0;
    }

    fn take(&self, bytes: usize) -> bool {
        self.room.as_ref().is_none_or(|room| room.take(bytes))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.clear();
    }
}
