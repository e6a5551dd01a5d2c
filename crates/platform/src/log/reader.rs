//! Readers: each follows the log at its own pace, over segments that come and go.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::frame::{FrameFile, FrameHeader, Peek};
use super::lock::DirectoryLock;
use super::segment::{self, Segment};
use super::shared::{Shared, count};
use super::{Gap, LogError, Missing, OnDamage, Position, Record, RecordKind};

/// Reads the log's records in order. It sees a record when it is on stable storage, and not before.
#[derive(Debug)]
pub struct LogReader {
    shared: Arc<Shared>,
    /// The record that comes next; 0 for the oldest one kept.
    next: u64,
    /// Up to this record the present segment can be read without asking.
    limit: u64,
    current: Option<Current>,
    on_damage: OnDamage,
    at_ms: i64,
    gap: Vec<u8>,
    _lock: Option<DirectoryLock>,
}

#[derive(Debug)]
struct Current {
    segment: Segment,
    frames: FrameFile,
    /// The record at the present place of `frames`.
    at: u64,
}

/// What the next record is made of; it is borrowed only after all bookkeeping is done.
enum Found {
    Stored(FrameHeader, RecordKind, std::ops::Range<usize>),
    Gap(Position),
}

impl LogReader {
    /// Reads a log that nobody writes to, and keeps others from doing so meanwhile. A torn tail is left alone and not
    /// read.
    pub fn open(dir: &Path, from: Position, on_damage: OnDamage) -> Result<LogReader, LogError> {
        let lock = DirectoryLock::take(dir)?;
        let mut segments = segment::list(dir, on_damage)?;
        let mut durable = 0;
        if !segments.is_empty() {
            let scan = segment::scan_end(&segments, on_damage)?;
            durable = scan.last;
            if let Some(last) = segments.last_mut() {
                last.bytes = scan.end;
            }
        }
        let mut reader = Self::following(Arc::new(Shared::new(segments, durable, true)), from, on_damage);
        reader._lock = Some(lock);
        Ok(reader)
    }

    pub(super) fn following(shared: Arc<Shared>, from: Position, on_damage: OnDamage) -> LogReader {
        LogReader {
            shared,
            next: from.0,
            limit: 0,
            current: None,
            on_damage,
            at_ms: i64::MIN,
            gap: Vec::new(),
            _lock: None,
        }
    }

    /// The next record, or `None` where there is none yet. A record that was cut away, or is damaged, is an error, and
    /// stays one; where damage is skipped, a gap record stands for everything that cannot be read.
    #[expect(clippy::should_implement_trait, reason = "the record borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, LogError> {
        let Some(found) = self.find()? else { return Ok(None) };
        match (found, &self.current) {
            (Found::Stored(header, kind, payload), Some(current)) => Ok(Some(Record {
                position: Position(header.position),
                at_ms: header.at_ms,
                kind,
                payload: current.frames.bytes(payload),
            })),
            (Found::Gap(position), _) => {
                Ok(Some(Record { position, at_ms: self.at_ms, kind: RecordKind::Gap, payload: &self.gap }))
            }
            (Found::Stored(..), None) => Ok(None),
        }
    }

    /// Waits until there is a next record, the log is closed or the time is over. Says whether there is one.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.shared.wait_for(self.next.max(1), timeout)
    }

    /// The log was closed: what is not there now will not come.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }

    /// The position of the record that comes next; 0 for the oldest one kept while nothing was read.
    pub fn position(&self) -> Position {
        Position(self.next)
    }

    /// The newest record on stable storage.
    pub fn durable(&self) -> Position {
        Position(self.shared.lock().durable)
    }

    fn find(&mut self) -> Result<Option<Found>, LogError> {
        loop {
            if (self.next == 0 || self.next > self.limit) && !self.look_further()? {
                return Ok(None);
            }
            let Some(current) = &mut self.current else { return Ok(None) };
            let path = &current.segment.path;
            let io = |error| LogError::io("reading", path, error);
            let why = match current.frames.peek(current.at).map_err(io)? {
                Peek::Whole(header) => {
                    let Some(kind) = RecordKind::from_number(header.kind) else {
                        return Err(LogError::Payload {
                            position: Position(header.position),
                            expected: "kind of record that this build knows",
                            why: format!("its kind is {}; it was written by a newer outrider", header.kind),
                        });
                    };
                    let payload = current.frames.consume(&header);
                    current.at += 1;
                    if header.position < self.next {
                        continue;
                    }
                    self.next = header.position + 1;
                    self.at_ms = header.at_ms;
                    return Ok(Some(Found::Stored(header, kind, payload)));
                }
                Peek::End => "it ends too early",
                Peek::Bad(why) => why,
            };
            if let Some(gap) = self.skip_damage(why)? {
                return Ok(Some(gap));
            }
        }
    }

    /// Goes to where the next record is, if it is on stable storage yet.
    fn look_further(&mut self) -> Result<bool, LogError> {
        let state = self.shared.lock();
        if self.next == 0 {
            if state.durable < state.first() {
                return Ok(false);
            }
            self.next = state.first();
        }
        if self.next > state.durable {
            return Ok(false);
        }
        let cut = LogError::Cut { wanted: Position(self.next), first: Position(state.first()) };
        // What was cut away while this reader was in it can still be read to its end.
        let held = self.current.as_ref().filter(|current| current.segment.first < state.first());
        let Some(index) = state.segment_of(self.next) else {
            return Err(cut);
        };
        if held.is_some() && self.next < state.first() {
            return Err(cut);
        }
        self.limit = state.last_of(index);
        let segment = state.segments[index].clone();
        drop(state);
        match &mut self.current {
            Some(current) if current.segment.first == segment.first => {
                current.frames.set_end(segment.bytes);
                current.segment = segment;
            }
            _ => self.current = Some(Current::open(segment)?),
        }
        Ok(true)
    }

    fn skip_damage(&mut self, why: &'static str) -> Result<Option<Found>, LogError> {
        let Some(current) = &mut self.current else { return Ok(None) };
        let (path, offset, bad) = (current.segment.path.clone(), current.frames.offset(), current.at);
        if self.on_damage == OnDamage::Refuse {
            // Whoever asks again gets the same answer: the place has not changed.
            return Err(LogError::Damaged { path, offset, position: Position(bad), why });
        }
        let found = current.frames.resync(bad + 1..self.limit + 1);
        let good = match found.map_err(|error| LogError::io("reading", &path, error))? {
            Some(header) => header.position,
            None => self.limit + 1,
        };
        current.at = good;
        if good <= self.next {
            return Ok(None);
        }
        let (first, last) = (Position(self.next), Position(good - 1));
        let records = good - self.next;
        self.next = good;
        count(&self.shared.counters.damaged_records, records);
        tracing::error!(file = %path.display(), offset, why, %first, %last, "records of the log are damaged and skipped");
        let gap = Gap {
            count: records,
            missing: Missing::Records { first, last },
            reason: format!("{} is damaged at byte {offset}: {why}", path.display()),
        };
        self.gap =
            serde_json::to_vec(&gap).map_err(|error| LogError::Unencodable { what: "gap", why: error.to_string() })?;
        Ok(Some(Found::Gap(last)))
    }
}

impl Current {
    fn open(segment: Segment) -> Result<Current, LogError> {
        let file = File::open(&segment.path).map_err(|error| LogError::io("opening", &segment.path, error))?;
        let frames = FrameFile::new(file, segment.records_at, segment.bytes);
        Ok(Current { at: segment.first, segment, frames })
    }
}
