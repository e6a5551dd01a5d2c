//! What waits in a collector's spool: handed out in order to be shipped, and given up from the oldest on where it becomes too much
//! or too old. New calls are worth more than old ones, of which the analysis makes no alert any more.
//!
//! Both go over the spool with one reader, so each call is either handed out or given up, and counted once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrider_model::batch::BatchReader;
use outrider_platform::log::{Gap, LogError, LogHandle, LogReader, Missing, Position, RecordKind};
use outrider_platform::premises::wire::{SHIPMENT_BATCHES_MAX, ShippedBatch};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::edges::now_ms;

/// How much is handed out at once, plain.
const SHIPMENT_BYTES: usize = 4 * 1024 * 1024;
/// How often it is looked for what is too old.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

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
}

impl GivenUp {
    pub(super) fn calls(&self) -> u64 {
        self.for_room.load(Ordering::Relaxed) + self.for_age.load(Ordering::Relaxed)
    }
}

/// A spool, as far as it is neither handed out nor given up.
pub(super) struct Waiting {
    spool: LogHandle,
    limits: Limits,
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

impl Why {
    fn reason(self) -> &'static str {
        match self {
            Why::Room => "the collector's spool was full, and gave its oldest calls up for newer ones",
            Why::Age => "calls were too old when they could have been sent, and the collector gave them up",
        }
    }
}

impl Waiting {
    /// All that is behind a record. What of it is not there any more was given up before the process started.
    pub(super) fn behind(spool: LogHandle, done: Position, limits: Limits) -> Waiting {
        let from = done.next().max(spool.stats().first);
        let reader = spool.reader(from);
        let queue = Queue { reader, scratch: Vec::new(), lost_before: None };
        Waiting { spool, limits, given_up: GivenUp::default(), queue: Mutex::new(queue) }
    }

    /// How many calls wait there. Reads all of it, so it is for the start.
    pub(super) fn count(&self) -> Result<u64, LogError> {
        let mut reader = self.spool.reader(self.lock().reader.position());
        let (mut calls, mut scratch) = (0, Vec::new());
        while let Some(record) = reader.next()? {
            if record.kind == RecordKind::Calls {
                calls += u64::from(record.calls(&mut scratch)?.count());
            }
        }
        Ok(calls)
    }

    pub(super) fn given_up(&self) -> &GivenUp {
        &self.given_up
    }

    /// Says before the next batch that calls are missing, unless it has a reason of its own to.
    pub(super) fn say_lost(&self, reason: String) {
        self.lock().lost_before.get_or_insert(reason);
    }

    /// Takes what comes next, up to a good size.
    pub(super) fn gather(&self) -> Result<Gathered, LogError> {
        let Queue { reader, scratch, lost_before } = &mut *self.lock();
        let mut gathered = Gathered { batches: Vec::new(), last: Position::ZERO };
        let (mut bytes, now_ms) = (0, now_ms());
        while bytes < SHIPMENT_BYTES
            && gathered.batches.len() < SHIPMENT_BATCHES_MAX
            && let Some(record) = reader.next()?
        {
            match record.kind {
                RecordKind::Calls => {
                    let calls = record.calls(scratch)?;
                    let at_ms = received_ms(record.at_ms, calls.batch, now_ms);
                    gathered.last = record.position;
                    if self.limits.age_ms.is_some_and(|age_ms| at_ms < now_ms.saturating_sub(age_ms)) {
                        self.count_given_up(Why::Age, calls.count());
                        *lost_before = Some(Why::Age.reason().to_owned());
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
                RecordKind::Gap => {
                    let gap: Gap = record.json()?;
                    // The platform sees from the numbers what else is missing.
                    if gap.missing == Missing::Unnumbered {
                        *lost_before = Some(gap.reason);
                    }
                }
                _ => {}
            }
        }
        Ok(gathered)
    }

    /// Gives up what is too much or too old whenever there is more, and now and then, until it is cancelled.
    pub(super) async fn keep_within(&self, stop: CancellationToken) -> Result<(), LogError> {
        let mut durable = self.spool.durable();
        loop {
            durable.borrow_and_update();
            while let Some(last) = tokio::task::block_in_place(|| self.give_up_oldest(now_ms()))? {
                match self.spool.cut_below(last.next()).await {
                    Ok(_) => {}
                    // It was closed: the next start goes on.
                    Err(LogError::Closed) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            tokio::select! {
                changed = durable.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Goes past the oldest segment if it has to go. Says which its last record is.
    fn give_up_oldest(&self, now_ms: i64) -> Result<Option<Position>, LogError> {
        let Some(oldest) = self.spool.oldest_segment() else { return Ok(None) };
        let is_too_old = |age_ms| oldest.ended_ms < now_ms.saturating_sub(age_ms);
        let why = if self.limits.age_ms.is_some_and(is_too_old) {
            Why::Age
        } else if self.spool.stats().bytes > self.limits.bytes {
            Why::Room
        } else {
            return Ok(None);
        };
        let Queue { reader, scratch, lost_before } = &mut *self.lock();
        let mut calls = 0;
        while reader.position() <= oldest.last
            && let Some(record) = reader.next()?
        {
            if record.kind == RecordKind::Calls {
                calls += record.calls(scratch)?.count();
            }
        }
        if calls > 0 {
            self.count_given_up(why, calls);
            *lost_before = Some(why.reason().to_owned());
            tracing::error!(calls, "{}", why.reason());
        }
        Ok(Some(oldest.last))
    }

    fn count_given_up(&self, why: Why, calls: u32) {
        let counter = match why {
            Why::Room => &self.given_up.for_room,
            Why::Age => &self.given_up.for_age,
        };
        counter.fetch_add(calls.into(), Ordering::Relaxed);
    }

    /// A panic while it is held leaves a reader that goes on where it was.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
            while let Some(last) = waiting.give_up_oldest(now_ms).unwrap() {
                self.writer.handle().cut_below(last.next()).await.unwrap();
            }
        }
    }

    fn given_up(waiting: &Waiting) -> [u64; 2] {
        let GivenUp { for_room, for_age } = &waiting.given_up;
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
        assert_eq!(waiting.count().unwrap(), 3 * 30 - for_room);
        let (left, said) = handed_out(&waiting);
        assert_eq!(left, (12 + for_room + 1..=3 * 34).collect::<Vec<_>>());
        assert!(said.unwrap().contains("full"));
        // A start that knows of less than what was given up goes on where there is something.
        let Spool { directory, writer, .. } = spool;
        assert!(writer.stop());
        let writer = Spool::open(directory.path());
        let again = Waiting::behind(writer.handle(), Position(4), Limits { bytes: 4 * SEGMENT, age_ms: None });
        assert_eq!(handed_out(&again).0.last(), Some(&(3 * 34)));
        assert_eq!(handed_out(&again), (vec![], None));
    }

    #[tokio::test]
    async fn calls_that_are_too_old_are_not_sent_and_leave_the_disk() {
        const DAY_MS: i64 = 86_400_000;
        let (mut spool, now) = (Spool::new(), now_ms());
        spool.add(10, now - 3 * DAY_MS).await;
        spool.add(10, now - DAY_MS).await;
        let waiting = spool.waiting(u64::MAX, Some(2 * DAY_MS));
        assert_eq!(waiting.count().unwrap(), 60);
        let before = spool.writer.handle().stats();
        spool.keep_within(&waiting, now).await;
        let after = spool.writer.handle().stats();
        // Of ten batches the first eight are whole segments; the rest is told by its time when it would be sent.
        assert_eq!((before.segments - after.segments, given_up(&waiting)), (2, [0, 24]));
        let (left, said) = handed_out(&waiting);
        assert_eq!((left, given_up(&waiting)), ((31..=60).collect(), [0, 30]));
        assert!(said.unwrap().contains("too old"));
        spool.keep_within(&waiting, now + 10 * DAY_MS).await;
        assert_eq!(given_up(&waiting), [0, 30], "what is in hand is not given up");
        assert_eq!(spool.writer.handle().stats().segments, 1, "the last always stays");
    }

    #[test]
    fn after_a_clock_was_set_right_the_calls_say_when_they_came() {
        let call = BatchWriter::default().take();
        assert_eq!(received_ms(5, &call, 5), 5, "what is not ahead is not looked at");
        assert_eq!(received_ms(6, &call, 5), 6, "no call says otherwise");
    }
}
