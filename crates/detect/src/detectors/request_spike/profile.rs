//! What is kept of one key: an actor at one endpoint, or an actor at everything of its gateway.

use serde::{Deserialize, Serialize};

use crate::statistics::Moments;

/// The length of a bucket of the running window.
pub(super) const BUCKET_MS: i64 = 10_000;
/// The length of the window: a minute.
pub(super) const WINDOW_MS: i64 = 60_000;
const BUCKETS_PER_MINUTE: usize = 6;

/// The bucket that a time belongs to, in buckets since 1970; the engine lets no time before 1970 through.
pub(super) fn bucket_of(event_ms: i64) -> u32 {
    u32::try_from(event_ms / BUCKET_MS).unwrap_or(u32::MAX)
}

/// The minute that an epoch names, in minutes since 1970.
pub(super) fn minute_of(epoch: i64) -> u32 {
    u32::try_from(epoch).unwrap_or(0)
}

/// The state of one key: 64 bytes (decision 15).
///
/// Two whole minutes of event time are open, each in buckets of 10 s: the minute of the newest call and the one before. A
/// window of 50 to 60 s up to the newest call can be read off them, and a call that is up to a minute late finds its place.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct KeyState {
    /// The key, a hash of actor and endpoint.
    pub key: u64,
    /// The bucket of the newest call.
    head: u32,
    /// What it did in its closed, trained minutes.
    pub own: Moments,
    /// The most calls of a trained minute; old records fade like the moments do.
    pub max: f32,
    /// Calls in each bucket; even minutes in the first half, odd ones in the second. A full bucket stays full.
    buckets: [u16; 2 * BUCKETS_PER_MINUTE],
    /// Failed calls in each of the two minutes.
    failed: [u16; 2],
    /// The population it belongs to.
    pub population: u16,
    /// Active minutes that did not train, because they were part of a spike.
    pub excluded: u16,
    /// The most calls of a minute of the latest spike: what a person's word makes normal.
    pub spike_max: u16,
    /// See [`Flag`]; the minutes' marks and the eviction credit are in it, too.
    flags: u16,
}

const _: () = assert!(std::mem::size_of::<KeyState>() == 64);

/// Something that is or is not so of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Flag {
    /// The slot is in use.
    Live = 1 << 0,
    /// Something is kept of it in the watch list; it is not evicted.
    Watched = 1 << 1,
    /// A spike goes on.
    Alerted = 1 << 2,
    /// It is a total whose spike is explained by one of its endpoints, which has its own finding.
    Covered = 1 << 3,
    /// It counts calls of untrusted lines: it never trains.
    Untrusted = 1 << 4,
    /// It is the total of an actor.
    Total = 1 << 5,
}

/// Marks of the two open minutes start here: one bit each.
const EXCLUDED_SHIFT: u16 = 8;
const UNSETTLED_SHIFT: u16 = 10;
const CREDIT_SHIFT: u16 = 12;
const CREDIT_MASK: u16 = 0b11 << CREDIT_SHIFT;

/// What became of a call that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// It was counted.
    Plain,
    /// It was counted, and is the first of this minute.
    Opened(u32),
    /// Its minute is closed already.
    TooOld,
}

/// A minute that is over, as it goes into training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClosedMinute {
    pub count: u32,
    /// It was part of a spike.
    pub excluded: bool,
    /// The endpoint was re-templated in it.
    pub unsettled: bool,
}

impl KeyState {
    pub fn new(key: u64, population: u16, bucket: u32) -> Self {
        KeyState { key, population, head: bucket, flags: Flag::Live as u16, ..KeyState::default() }
    }

    pub fn is(&self, flag: Flag) -> bool {
        self.flags & flag as u16 != 0
    }

    pub fn set(&mut self, flag: Flag, on: bool) {
        if on { self.flags |= flag as u16 } else { self.flags &= !(flag as u16) }
    }

    /// How many times the eviction hand passes it by.
    pub fn credit(&self) -> u16 {
        (self.flags & CREDIT_MASK) >> CREDIT_SHIFT
    }

    pub fn set_credit(&mut self, credit: u16) {
        self.flags = (self.flags & !CREDIT_MASK) | (credit.min(3) << CREDIT_SHIFT);
    }

    /// The minute of the newest call.
    pub fn minute(&self) -> u32 {
        self.head / BUCKETS_PER_MINUTE as u32
    }

    /// The bucket of the newest call.
    pub fn head(&self) -> u32 {
        self.head
    }

    /// Whether a call in this bucket begins a minute, so that older minutes have to be closed before it is counted.
    pub fn begins_minute(&self, bucket: u32) -> bool {
        bucket / BUCKETS_PER_MINUTE as u32 > self.minute()
    }

    /// Counts a call. Minutes before the one that precedes its own must have been closed.
    pub fn count(&mut self, bucket: u32, failed: bool, unsettled: bool) -> Counted {
        let minute = bucket / BUCKETS_PER_MINUTE as u32;
        if minute + 1 < self.minute() {
            return Counted::TooOld;
        }
        self.head = self.head.max(bucket);
        let opened = self.minute_count(minute) == 0;
        let half = half_of(minute);
        let place = half * BUCKETS_PER_MINUTE + bucket as usize % BUCKETS_PER_MINUTE;
        self.buckets[place] = self.buckets[place].saturating_add(1);
        self.failed[half] = self.failed[half].saturating_add(u16::from(failed));
        if unsettled {
            self.flags |= 1 << (UNSETTLED_SHIFT + half as u16);
        }
        if opened { Counted::Opened(minute) } else { Counted::Plain }
    }

    /// Takes a minute out, if it is open and has calls.
    pub fn close(&mut self, minute: u32) -> Option<ClosedMinute> {
        let count = self.minute_count(minute);
        if count == 0 {
            return None;
        }
        let half = half_of(minute);
        let mark = |shift: u16| self.flags & (1 << (shift + half as u16)) != 0;
        let closed = ClosedMinute { count, excluded: mark(EXCLUDED_SHIFT), unsettled: mark(UNSETTLED_SHIFT) };
        self.buckets[half * BUCKETS_PER_MINUTE..][..BUCKETS_PER_MINUTE].fill(0);
        self.failed[half] = 0;
        self.flags &= !((1 << (EXCLUDED_SHIFT + half as u16)) | (1 << (UNSETTLED_SHIFT + half as u16)));
        Some(closed)
    }

    /// The minutes that may be open, older first.
    pub fn open_minutes(&self) -> [u32; 2] {
        [self.minute().saturating_sub(1), self.minute()]
    }

    /// Says whether a minute was part of a spike, if it is open.
    pub fn set_excluded(&mut self, minute: u32, excluded: bool) {
        if self.open_minutes().contains(&minute) {
            let bit = 1 << (EXCLUDED_SHIFT + half_of(minute) as u16);
            if excluded { self.flags |= bit } else { self.flags &= !bit }
        }
    }

    /// The calls of an open minute; 0 for any other.
    pub fn minute_count(&self, minute: u32) -> u32 {
        if !self.open_minutes().contains(&minute) {
            return 0;
        }
        self.buckets[half_of(minute) * BUCKETS_PER_MINUTE..][..BUCKETS_PER_MINUTE].iter().map(|&n| u32::from(n)).sum()
    }

    /// The calls of the last 50 to 60 s up to the newest one: its bucket and the five before.
    pub fn window_count(&self) -> u32 {
        let (half, last) = self.head_place();
        let running = &self.buckets[half * BUCKETS_PER_MINUTE..][..BUCKETS_PER_MINUTE];
        let before = &self.buckets[(1 - half) * BUCKETS_PER_MINUTE..][..BUCKETS_PER_MINUTE];
        // No call is newer than the newest, so what is after it in its own minute is empty.
        running.iter().chain(&before[last + 1..]).map(|&n| u32::from(n)).sum()
    }

    /// The calls of the newest bucket and the one before it: the last 10 to 20 s.
    pub fn burst_count(&self) -> u32 {
        let (half, last) = self.head_place();
        let at = |place: usize| u32::from(self.buckets[place]);
        let newest = half * BUCKETS_PER_MINUTE + last;
        let before = if last > 0 { newest - 1 } else { (1 - half) * BUCKETS_PER_MINUTE + BUCKETS_PER_MINUTE - 1 };
        at(newest) + at(before)
    }

    /// How many calls of the window failed: exact as far as the window covers whole minutes, else in proportion.
    pub fn window_failed(&self) -> u32 {
        let (half, _) = self.head_place();
        let before_minute = self.minute_count(self.minute().saturating_sub(1));
        let before_in_window = self.window_count().saturating_sub(self.minute_count(self.minute()));
        let share = if before_minute == 0 { 0.0 } else { f64::from(before_in_window) / f64::from(before_minute) };
        let before_failed = (f64::from(self.failed[1 - half]) * share).round() as u32;
        (u32::from(self.failed[half]) + before_failed).min(self.window_count())
    }

    /// How many calls of an open minute failed.
    pub fn minute_failed(&self, minute: u32) -> u32 {
        u32::from(self.failed[half_of(minute)]).min(self.minute_count(minute))
    }

    fn head_place(&self) -> (usize, usize) {
        (half_of(self.minute()), self.head as usize % BUCKETS_PER_MINUTE)
    }
}

fn half_of(minute: u32) -> usize {
    (minute % 2) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(buckets: &[u32]) -> KeyState {
        let mut state = KeyState::new(1, 0, buckets[0]);
        for &bucket in buckets {
            if state.begins_minute(bucket) {
                for minute in state.open_minutes() {
                    if minute + 2 <= bucket / 6 {
                        state.close(minute);
                    }
                }
            }
            state.count(bucket, false, false);
        }
        state
    }

    #[test]
    fn the_window_is_the_newest_bucket_and_the_five_before() {
        let cases: &[(&[u32], u32, u32)] = &[
            (&[600], 1, 1),
            (&[600, 600, 601], 3, 3),
            (&[600, 605, 606], 2, 2),
            (&[600, 601, 606, 607], 2, 2),
            (&[602, 606, 607], 3, 2),
            (&[606, 611, 617], 1, 1),
            (&[606, 611, 612, 616, 616], 4, 2),
            (&[600, 660], 1, 1),
            (&[606, 605], 2, 2),
        ];
        for (buckets, window, burst) in cases {
            let state = counted(buckets);
            assert_eq!((state.window_count(), state.burst_count()), (*window, *burst), "{buckets:?}");
        }
    }

    #[test]
    fn a_late_call_finds_its_minute_and_a_later_one_does_not() {
        let mut state = counted(&[606]);
        assert_eq!(state.count(601, false, false), Counted::Opened(100));
        assert_eq!(state.count(600, false, false), Counted::Plain);
        assert_eq!(state.count(599, false, false), Counted::TooOld);
        assert_eq!((state.minute_count(100), state.minute_count(101), state.minute_count(102)), (2, 1, 0));
    }

    #[test]
    fn a_minute_closes_once_with_its_marks() {
        let mut state = counted(&[600]);
        state.count(605, true, true);
        state.count(606, false, false);
        state.set_excluded(100, true);
        state.set_excluded(99, true);
        assert_eq!(state.close(100), Some(ClosedMinute { count: 2, excluded: true, unsettled: true }));
        assert_eq!(state.close(100), None);
        assert_eq!(state.close(101), Some(ClosedMinute { count: 1, excluded: false, unsettled: false }));
    }

    #[test]
    fn a_full_bucket_stays_full() {
        let mut state = counted(&[600]);
        for _ in 0..70_000 {
            state.count(600, true, false);
        }
        assert_eq!(state.window_count(), u32::from(u16::MAX));
        assert_eq!(state.window_failed(), u32::from(u16::MAX));
    }

    #[test]
    fn failures_are_shared_out_over_a_window_of_two_minutes() {
        let mut state = KeyState::new(1, 0, 600);
        for (bucket, failed) in [(600, true), (601, true), (604, false), (605, false), (606, false), (607, true)] {
            state.count(bucket, failed, false);
        }
        // The window is buckets 602 to 607; half of the four calls before failed, and two of them are in it.
        assert_eq!((state.window_count(), state.window_failed()), (4, 2));
    }
}
