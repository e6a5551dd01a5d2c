//! What waits in a collector's spool: handed out in order to be shipped, and given up from the oldest on where it becomes too much
//! or too old. New calls are worth more than old ones, of which the analysis makes no alert any more.
//!
//! Both go over the spool with one reader, so each call is either handed out or given up, and counted once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use outrider_model::batch::BatchReader;
use outrider_platform::log::{Gap, LogError, LogHandle, LogReader, Missing, Position, Record, RecordKind};
use outrider_platform::premises::wire::{SHIPMENT_BATCHES_MAX, ShippedBatch};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::edges::now_ms;
use crate::terminal::utc;

/// How much is handed out at once, plain.
const SHIPMENT_BYTES: usize = 4 * 1024 * 1024;
/// How often it is looked for what is too old.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// A clock that was moved by more than this since the start says nothing of how old calls are.
const CLOCK_MOVED_MS: i64 = 3_600_000;
/// What the platform is told where the spool begins behind what was sent of it.
const GIVEN_UP_BEFORE: &str =
    "the collector's spool gave calls up before its last start, or with them what it was about to send";

/// Batches that go together, with the last record that they cover.
pub(super) struct Gathered {
    pub(super) batches: Vec<ShippedBatch>,
    pub(super) last: Position,
}

/// What a spool may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Where it holds more, the oldest segment goes; there is room for one more below what the spool itself refuses.
    pub(super) bytes: u64,
    /// Older calls go; none do where there is no limit.
    pub(super) age_ms: Option<i64>,
}

/// Calls that were given up, since the start of the process.
#[derive(Debug, Default, Serialize)]
pub(super) struct GivenUp {
    /// For room for newer ones.
    pub(super) for_room: AtomicU64,
    /// For their age.
    pub(super) for_age: AtomicU64,
    /// Between when and when they came that were given up lately.
    #[serde(skip)]
    times: Mutex<Option<(i64, i64)>>,
}

impl GivenUp {
    pub(super) fn calls(&self) -> u64 {
        self.for_room.load(Ordering::Relaxed) + self.for_age.load(Ordering::Relaxed)
    }

    /// When the first and the last of those came that were given up since this was forgotten.
    pub(super) fn times(&self) -> Option<(i64, i64)> {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets these times, unless more were given up meanwhile.
    pub(super) fn forget_times(&self, known: Option<(i64, i64)>) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if *times == known {
            *times = None;
        }
    }

    fn add(&self, why: Why, calls: u64, (first_ms, last_ms): (i64, i64)) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let (from_ms, until_ms) = times.unwrap_or((first_ms, last_ms));
        *times = Some((from_ms.min(first_ms), until_ms.max(last_ms)));
        let counter = match why {
            Why::Room => &self.for_room,
            Why::Age => &self.for_age,
        };
        counter.fetch_add(calls, Ordering::Relaxed);
    }
}

/// A spool, as far as it is neither handed out nor given up.
pub(super) struct Waiting {
    spool: LogHandle,
    limits: Limits,
    /// When it was made, by a clock that nobody moves and by the other.
    began: (Instant, i64),
    given_up: GivenUp,
    queue: Mutex<Queue>,
}

struct Queue {
    reader: LogReader,
    scratch: Vec<u8>,
    /// What the next batch has to say is missing before it.
    lost_before: Option<String>,
}

/// Why calls are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Room,
    Age,
}

/// Calls that are about to be given up, with when the first and the last of them came.
#[derive(Debug, Default)]
struct Lost {
    calls: u64,
    times: Option<(i64, i64)>,
}

impl Lost {
    fn add(&mut self, calls: u32, at_ms: i64) {
        if calls > 0 {
            self.calls += u64::from(calls);
            let (first_ms, last_ms) = self.times.unwrap_or((at_ms, at_ms));
            self.times = Some((first_ms.min(at_ms), last_ms.max(at_ms)));
        }
    }
}

impl Why {
    fn reason(self) -> &'static str {
        match self {
            Why::Room => "the collector's spool was full, and gave its oldest calls up for newer ones",
            Why::Age => "calls were too old when they could have been sent, and the collector gave them up",
        }
    }
}

impl Waiting {
    /// All that is behind a record. Where that is not there any more, the next batch says that calls are missing.
    pub(super) fn behind(spool: LogHandle, done: Position, limits: Limits) -> Waiting {
        let first = spool.stats().first;
        let from = done.next().max(first);
        let lost_before = (first > done.next()).then(|| GIVEN_UP_BEFORE.to_owned());
        if lost_before.is_some() {
            tracing::error!("{GIVEN_UP_BEFORE}");
        }
        let queue = Queue { reader: spool.reader(from), scratch: Vec::new(), lost_before };
        let began = (Instant::now(), now_ms());
        Waiting { spool, limits, began, given_up: GivenUp::default(), queue: Mutex::new(queue) }
    }

    /// How many calls wait there up to a record. Reads all of it, before anything is handed out or given up.
    pub(super) fn count(&self, until: Position) -> Result<u64, LogError> {
        let mut reader = self.spool.reader(self.lock().reader.position());
        let mut calls = 0;
        while reader.position() <= until
            && let Some(record) = reader.next()?
        {
            calls += u64::from(record.calls_count());
        }
        Ok(calls)
    }

    pub(super) fn given_up(&self) -> &GivenUp {
        &self.given_up
    }

    /// Says before the next batch that calls are missing, unless it has a reason of its own to.
    pub(super) fn say_lost(&self, reason: String) {
        say(&mut self.lock().lost_before, &reason);
    }

    /// How old calls may be now; any age where the clock was moved.
    fn age_ms_max(&self, now_ms: i64) -> Option<i64> {
        let (began, began_ms) = self.began;
        let elapsed_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let moved_ms = now_ms.saturating_sub(began_ms).saturating_sub(elapsed_ms);
        self.limits.age_ms.filter(|_| moved_ms.saturating_abs() < CLOCK_MOVED_MS)
    }

    /// Takes what comes next, up to a good size.
    pub(super) fn gather(&self) -> Result<Gathered, LogError> {
        let Queue { reader, scratch, lost_before } = &mut *self.lock();
        let mut gathered = Gathered { batches: Vec::new(), last: Position::ZERO };
        let (mut bytes, mut too_old, now_ms) = (0, Lost::default(), now_ms());
        let age_ms_max = self.age_ms_max(now_ms);
        while bytes < SHIPMENT_BYTES
            && gathered.batches.len() < SHIPMENT_BATCHES_MAX
            && let Some(record) = reader.next()?
        {
            match record.kind {
                RecordKind::Calls => {
                    let calls = record.calls(scratch)?;
                    let at_ms = received_ms(record.at_ms, calls.batch, now_ms);
                    gathered.last = record.position;
                    if age_ms_max.is_some_and(|age_ms| at_ms < now_ms.saturating_sub(age_ms)) {
                        too_old.add(calls.count(), at_ms);
                        say(lost_before, Why::Age.reason());
                        continue;
                    }
                    bytes += calls.batch.len();
                    gathered.batches.push(ShippedBatch {
                        epoch: calls.epoch(),
                        first: calls.first(),
                        last: calls.last(),
                        count: calls.count(),
                        at_ms,
                        lost_before: lost_before.take(),
                        calls: calls.batch.to_vec(),
                    });
                }
                RecordKind::Gap => say_gap(lost_before, &record)?,
                _ => {}
            }
        }
        self.count_given_up(Why::Age, too_old);
        Ok(gathered)
    }

    /// Gives up what is too much or too old whenever there is more, and now and then, until it is cancelled.
    pub(super) async fn keep_within(&self, stop: CancellationToken) -> Result<(), LogError> {
        let mut durable = self.spool.durable();
        loop {
            durable.borrow_and_update();
            while let Some((last, why)) = self.has_to_go(now_ms()) {
                tokio::task::block_in_place(|| self.give_up(last, why))?;
                match self.spool.cut_below(last.next()).await {
                    Ok(_) => {}
                    // It was closed: the next start goes on.
                    Err(LogError::Closed) => return Ok(()),
                    Err(error) => {
                        tracing::error!(%error, "the oldest segment of the spool cannot be deleted; it is tried again");
                        break;
                    }
                }
            }
            tokio::select! {
                changed = durable.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// The last record of the oldest segment, where that has to go.
    fn has_to_go(&self, now_ms: i64) -> Option<(Position, Why)> {
        let oldest = self.spool.oldest_segment()?;
        let is_too_old = |age_ms| oldest.ended_ms < now_ms.saturating_sub(age_ms);
        let why = if self.age_ms_max(now_ms).is_some_and(is_too_old) {
            Why::Age
        } else if self.spool.stats().bytes > self.limits.bytes {
            Why::Room
        } else {
            return None;
        };
        Some((oldest.last, why))
    }

    /// Goes past a record, with all that is before it.
    fn give_up(&self, last: Position, why: Why) -> Result<(), LogError> {
        let Queue { reader, lost_before, .. } = &mut *self.lock();
        let mut lost = Lost::default();
        while reader.position() <= last
            && let Some(record) = reader.next()?
        {
            lost.add(record.calls_count(), record.at_ms);
            if record.kind == RecordKind::Gap {
                say_gap(lost_before, &record)?;
            }
        }
        if lost.calls > 0 {
            say(lost_before, why.reason());
        }
        self.count_given_up(why, lost);
        Ok(())
    }

    fn count_given_up(&self, why: Why, lost: Lost) {
        let Lost { calls, times: Some(times) } = lost else { return };
        self.given_up.add(why, calls, times);
        tracing::error!(calls, from = utc(times.0), until = utc(times.1), "{}", why.reason());
    }

    /// A panic while it is held leaves a reader that goes on where it was.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a reason to those for which calls are missing.
fn say(lost_before: &mut Option<String>, reason: &str) {
    match lost_before {
        None => *lost_before = Some(reason.to_owned()),
        Some(before) if before.contains(reason) => {}
        Some(before) => *before = format!("{before}; {reason}"),
    }
}

/// Adds what a gap record says. What else is missing the platform sees from the numbers.
fn say_gap(lost_before: &mut Option<String>, record: &Record<'_>) -> Result<(), LogError> {
    let gap: Gap = record.json()?;
    if gap.missing == Missing::Unnumbered {
        say(lost_before, &gap.reason);
    }
    Ok(())
}

/// When the last call of a batch was received. The spool's time never goes back, so after a clock that was ahead was set right
/// only the calls know.
fn received_ms(spooled_ms: i64, calls: &[u8], now_ms: i64) -> i64 {
    if spooled_ms <= now_ms {
        return spooled_ms;
    }
    let received = BatchReader::new(calls).into_iter().flatten().flatten().map(|call| call.received_ms);
    received.max().unwrap_or(spooled_ms)
}

#[cfg(test)]
mod tests {
    use outrider_model::batch::BatchWriter;
    use outrider_platform::log::{CallBatch, Log, LogSettings, LogWriter, NewRecord, QUEUE_BYTES_DEFAULT};

    use super::*;

    impl Waiting {
        /// What the next batch would have to say is missing before it.
        pub(in super::super) fn to_be_said(&self) -> Option<String> {
            self.lock().lost_before.clone()
        }
    }

    const SEGMENT: u64 = 4096;
    /// A batch of three calls, of which a segment holds four.
    const BATCH_BYTES: usize = 900;

    struct Spool {
        directory: tempfile::TempDir,
        writer: LogWriter,
        batches: u64,
    }

    impl Spool {
        fn new() -> Spool {
            let directory = tempfile::tempdir().unwrap();
            let writer = Spool::open(directory.path());
            Spool { directory, writer, batches: 0 }
        }

        fn open(directory: &std::path::Path) -> LogWriter {
            let settings =
                LogSettings { segment_bytes_max: SEGMENT, total_bytes_max: 8 * SEGMENT, ..LogSettings::default() };
            LogWriter::start(Log::open(directory, settings).unwrap().0, QUEUE_BYTES_DEFAULT).unwrap()
        }

        /// Adds so many batches, received at a moment.
        async fn add(&mut self, batches: u64, at_ms: i64) {
            for _ in 0..batches {
                let (first, last) = (3 * self.batches + 1, 3 * self.batches + 3);
                let batch = CallBatch { epoch: 2, first, last, count: 3, batch: vec![1; BATCH_BYTES] };
                self.writer.handle().append(vec![NewRecord::calls(at_ms, batch)]).await.unwrap();
                self.batches += 1;
            }
        }

        fn waiting(&self, bytes: u64, age_ms: Option<i64>) -> Waiting {
            Waiting::behind(self.writer.handle(), Position::ZERO, Limits { bytes, age_ms })
        }

        /// Gives up what has to go, as `keep_within` does.
        async fn keep_within(&self, waiting: &Waiting, now_ms: i64) {
            while let Some((last, why)) = waiting.has_to_go(now_ms) {
                waiting.give_up(last, why).unwrap();
                self.writer.handle().cut_below(last.next()).await.unwrap();
            }
        }
    }

    fn given_up(waiting: &Waiting) -> [u64; 2] {
        let GivenUp { for_room, for_age, .. } = &waiting.given_up;
        [for_room, for_age].map(|counter| counter.load(Ordering::Relaxed))
    }

    /// The numbers of the calls that are handed out, and what the first batch says.
    fn handed_out(waiting: &Waiting) -> (Vec<u64>, Option<String>) {
        let gathered = waiting.gather().unwrap();
        let said = gathered.batches.first().and_then(|batch| batch.lost_before.clone());
        assert!(gathered.batches.iter().skip(1).all(|batch| batch.lost_before.is_none()));
        (gathered.batches.iter().flat_map(|batch| batch.first..=batch.last).collect(), said)
    }

    #[tokio::test]
    async fn a_spool_that_is_full_gives_up_its_oldest_calls_and_each_is_counted_once() {
        let mut spool = Spool::new();
        let waiting = spool.waiting(4 * SEGMENT, None);
        spool.add(4, now_ms()).await;
        // In hand already: these are not given up, though their segment goes.
        let (in_hand, said) = handed_out(&waiting);
        assert_eq!((in_hand, said), ((1..=12).collect(), None));
        for _ in 0..30 {
            spool.add(1, now_ms()).await;
            spool.keep_within(&waiting, now_ms()).await;
            let bytes = spool.writer.handle().stats().bytes;
            assert!(bytes <= 5 * SEGMENT, "{bytes}");
        }
        let [for_room, for_age] = given_up(&waiting);
        assert!(for_room > 0 && for_age == 0);
        let newest = spool.writer.handle().stats().last;
        assert_eq!(waiting.count(newest).unwrap(), 3 * 30 - for_room);
        let (left, said) = handed_out(&waiting);
        assert_eq!(left, (12 + for_room + 1..=3 * 34).collect::<Vec<_>>());
        assert!(said.unwrap().contains("full"));
        // A start that knows of less than what was given up goes on where there is something.
        let Spool { directory, writer, .. } = spool;
        assert!(writer.stop());
        let writer = Spool::open(directory.path());
        let again = Waiting::behind(writer.handle(), Position(4), Limits { bytes: 4 * SEGMENT, age_ms: None });
        let (left, said) = handed_out(&again);
        assert_eq!((left.last(), said.as_deref()), (Some(&(3 * 34)), Some(GIVEN_UP_BEFORE)));
        assert_eq!(handed_out(&again), (vec![], None));
        // So does one that never had a platform.
        let never = Waiting::behind(writer.handle(), Position::ZERO, Limits { bytes: 4 * SEGMENT, age_ms: None });
        assert_eq!(never.to_be_said().as_deref(), Some(GIVEN_UP_BEFORE));
    }

    #[tokio::test]
    async fn calls_that_are_too_old_are_not_sent_and_leave_the_disk() {
        const DAY_MS: i64 = 86_400_000;
        let (mut spool, now) = (Spool::new(), now_ms());
        spool.add(10, now - 3 * DAY_MS).await;
        spool.add(10, now - DAY_MS).await;
        let waiting = spool.waiting(u64::MAX, Some(2 * DAY_MS));
        assert_eq!(waiting.count(Position(10)).unwrap(), 30);
        assert_eq!(waiting.count(Position(20)).unwrap(), 60);
        // A clock that is a month ahead is no reason to give everything up.
        assert_eq!(waiting.has_to_go(now + 30 * DAY_MS), None);
        let before = spool.writer.handle().stats();
        spool.keep_within(&waiting, now).await;
        let after = spool.writer.handle().stats();
        // Of ten batches the first eight are whole segments; the rest is told by its time when it would be sent.
        assert_eq!((before.segments - after.segments, given_up(&waiting)), (2, [0, 24]));
        let (left, said) = handed_out(&waiting);
        assert_eq!((left, given_up(&waiting)), ((31..=60).collect(), [0, 30]));
        assert!(said.unwrap().contains("too old"));
    }

    #[tokio::test]
    async fn every_reason_for_missing_calls_is_said_once() {
        let mut spool = Spool::new();
        let gap = Gap { count: 0, missing: Missing::Unnumbered, reason: "killed".to_owned() };
        spool.writer.handle().append(vec![NewRecord::gap(now_ms(), &gap).unwrap()]).await.unwrap();
        spool.add(30, now_ms()).await;
        let waiting = spool.waiting(2 * SEGMENT, None);
        spool.keep_within(&waiting, now_ms()).await;
        let said = handed_out(&waiting).1.unwrap();
        assert_eq!(said, format!("killed; {}", Why::Room.reason()));
    }

    #[test]
    fn after_a_clock_was_set_right_the_calls_say_when_they_came() {
        let call = BatchWriter::default().take();
        assert_eq!(received_ms(5, &call, 5), 5, "what is not ahead is not looked at");
        assert_eq!(received_ms(6, &call, 5), 6, "no call says otherwise");
    }
}
