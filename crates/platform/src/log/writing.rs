//! The log as its one writer has it: numbering, buffering, commits, segments, limits.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{self, FrameHeader};
use super::lock::DirectoryLock;
use super::marks::{Marks, Verdict};
use super::record::{BATCH_BYTES_MAX, Body, CALL_NUMBER_MAX, CallsHeader, Missing, RECORD_BYTES_MAX};
use super::segment::{self, Segment, SegmentHeader};
use super::shared::{Shared, count};
use super::storage::{Disk, SegmentFile, Storage};
use super::{CallBatch, Gap, LogError, LogReader, LogSettings, LogStats, NewRecord, OnDamage, Position, RecordKind};

/// How much may be buffered between two syncs, unless it is one single request.
const PENDING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What was found when the log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The oldest record, or the first one that will be written.
    pub first: Position,
    /// The newest record; one less than `first` when there is none.
    pub last: Position,
    /// Bytes of a torn tail that were cut off: records that were never acknowledged.
    pub cut_bytes: u64,
}

/// What became of the records of one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The last record that must be durable before the append may be acknowledged.
    pub last: Position,
    /// How many records were added.
    pub records: u32,
    /// How many batches were stored already and were not added.
    pub duplicates: u32,
    /// How many calls were missing before the batches.
    pub missing_calls: u64,
}

/// The log. Records are buffered by [`Log::append`] and on stable storage after [`Log::sync`].
pub struct Log {
    dir: PathBuf,
    settings: LogSettings,
    storage: Arc<dyn Storage>,
    shared: Arc<Shared>,
    active: Option<Active>,
    pending: Vec<u8>,
    pending_records: u32,
    pending_calls: u64,
    durable: u64,
    durable_at_ms: i64,
    at_ms: i64,
    marks: Marks,
    compressed: Vec<u8>,
    _lock: DirectoryLock,
}

struct Active {
    file: Box<dyn SegmentFile>,
    path: PathBuf,
    first: u64,
    bytes: u64,
}

impl Log {
    /// Opens the log in a directory, which is created where it is missing. A torn tail is cut off.
    pub fn open(dir: &Path, settings: LogSettings) -> Result<(Log, Opened), LogError> {
        Self::open_on(dir, settings, Arc::new(Disk))
    }

    pub(super) fn open_on(
        dir: &Path,
        settings: LogSettings,
        storage: Arc<dyn Storage>,
    ) -> Result<(Log, Opened), LogError> {
        settings.validate()?;
        create_dir(dir, storage.as_ref())?;
        let lock = DirectoryLock::take(dir)?;
        remove_unfinished(dir, storage.as_ref())?;
        let mut segments = segment::list(dir, settings.on_damage)?;
        let mut log = Log {
            dir: dir.to_owned(),
            settings,
            storage,
            shared: Arc::new(Shared::new(Vec::new(), 0, false)),
            active: None,
            pending: Vec::new(),
            pending_records: 0,
            pending_calls: 0,
            durable: 0,
            durable_at_ms: i64::MIN,
            at_ms: i64::MIN,
            marks: Marks::default(),
            compressed: Vec::new(),
            _lock: lock,
        };
        let cut_bytes = log.recover(&mut segments)?;
        log.shared = Arc::new(Shared::new(segments, log.durable, false));
        let first = log.shared.lock().first();
        let opened = Opened { first: Position(first), last: log.durable(), cut_bytes };
        Ok((log, opened))
    }

    /// Finds the end of the log, cuts a torn tail off and puts what is left on stable storage. Says how many bytes were
    /// cut off.
    ///
    /// The last commit is written once more: the process before may have died without syncing it, or its sync may have
    /// failed, and after a failed sync the kernel holds pages for clean that never reached the disk.
    fn recover(&mut self, segments: &mut [Segment]) -> Result<u64, LogError> {
        if segments.is_empty() {
            return Ok(0);
        }
        let scan = segment::scan_end(segments, self.settings.on_damage)?;
        let Some(last) = segments.last_mut() else { return Ok(0) };
        let cut_bytes = last.bytes - scan.end;
        let io = |operation| {
            let path = last.path.clone();
            move |error| LogError::io(operation, &path, error)
        };
        let mut file = self.storage.open(&last.path).map_err(io("opening"))?;
        if cut_bytes > 0 {
            file.set_len(scan.end).map_err(io("cutting the torn tail of"))?;
        }
        let commit = read_range(&last.path, scan.commit_at..scan.end).map_err(io("reading"))?;
        file.write_all_at(&commit, scan.commit_at).map_err(io("writing"))?;
        file.sync().map_err(io("syncing"))?;
        self.storage.sync_dir(&self.dir).map_err(|error| LogError::io("syncing", &self.dir, error))?;
        last.bytes = scan.end;
        self.active = Some(Active { file, path: last.path.clone(), first: last.first, bytes: scan.end });
        (self.durable, self.durable_at_ms, self.at_ms, self.marks) = (scan.last, scan.at_ms, scan.at_ms, scan.marks);
        Ok(cut_bytes)
    }

    /// Makes sure that no position is given twice: where the log was moved away, the new one goes on after what its
    /// consumers have seen. A log that has records and ends before that is an older copy, and an error.
    pub fn begin_after(&mut self, seen: Position) -> Result<(), LogError> {
        let last = self.last();
        if last >= seen {
            return Ok(());
        }
        if last > Position::ZERO || self.active.is_some() {
            return Err(LogError::Behind { last, seen });
        }
        self.durable = seen.0;
        self.shared.change(|state| state.durable = seen.0);
        Ok(())
    }

    /// Adds records, all or none of them. They are acknowledged by [`Log::sync`], not by this. A batch that is stored
    /// already is left out; where calls are missing before a batch, a gap record comes first. At most 8 MiB, or one
    /// larger request, are buffered; then it refuses until there was a sync.
    pub fn append(&mut self, records: &[NewRecord]) -> Result<Stored, LogError> {
        let bytes = stored_bytes(records);
        if self.must_sync_before(bytes) {
            return Err(LogError::Busy { limit: PENDING_BYTES_MAX });
        }
        self.check_room(records, bytes)?;
        let before = (self.pending.len(), self.pending_records, self.pending_calls, self.at_ms, self.marks.savepoint());
        let mut stored = Stored { last: self.last(), records: 0, duplicates: 0, missing_calls: 0 };
        for record in records {
            if let Err(error) = self.append_one(record, &mut stored) {
                let (pending, savepoint);
                (pending, self.pending_records, self.pending_calls, self.at_ms, savepoint) = before;
                self.pending.truncate(pending);
                self.marks.take_back_to(savepoint);
                count(&self.shared.counters.refused_other, 1);
                return Err(error);
            }
        }
        stored.last = self.last();
        count(&self.shared.counters.duplicate_batches, stored.duplicates.into());
        count(&self.shared.counters.missing_calls, stored.missing_calls);
        Ok(stored)
    }

    /// Puts everything appended so far on stable storage and says up to which record that is. On an error nothing of it
    /// is kept: the log is as it was after the last successful call.
    pub fn sync(&mut self) -> Result<Position, LogError> {
        if self.pending.is_empty() {
            return Ok(Position(self.durable));
        }
        match self.commit() {
            Ok(()) => Ok(Position(self.durable)),
            Err(error) => {
                self.pending.clear();
                (self.pending_records, self.pending_calls) = (0, 0);
                self.at_ms = self.durable_at_ms;
                self.marks.take_back_to(0);
                count(&self.shared.counters.failed_commits, 1);
                Err(error)
            }
        }
    }

    /// Deletes the segments all of whose records are before a position. The last segment always stays. Says how many
    /// bytes that gave back.
    pub fn cut_below(&mut self, position: Position) -> Result<u64, LogError> {
        let mut freed = 0;
        loop {
            let oldest = {
                let state = self.shared.lock();
                let cuttable = state.segments.get(1).is_some_and(|next| next.first <= position.0);
                state.segments.first().filter(|_| cuttable).cloned()
            };
            let Some(oldest) = oldest else { break };
            self.storage.remove(&oldest.path).map_err(|error| LogError::io("deleting", &oldest.path, error))?;
            self.shared.change(|state| drop(state.segments.remove(0)));
            count(&self.shared.counters.cut_segments, 1);
            freed += oldest.bytes;
        }
        if freed > 0 {
            self.storage.sync_dir(&self.dir).map_err(|error| LogError::io("syncing", &self.dir, error))?;
        }
        Ok(freed)
    }

    /// Lets the next commit begin a segment where the present one holds a record that is on stable storage: the last segment
    /// is never cut, so what has to go must not be in it. What is not synced yet comes into the next one, too.
    pub fn end_segment_with(&mut self, record: Position) {
        let holds_it = |active: &Active| active.first <= record.0 && record.0 <= self.durable;
        if self.active.as_ref().is_some_and(holds_it) {
            self.active = None;
        }
    }

    /// A reader that follows this log, from a record on; [`Position::ZERO`] is the oldest one kept.
    pub fn reader(&self, from: Position) -> LogReader {
        LogReader::following(Arc::clone(&self.shared), from, self.settings.on_damage)
    }

    /// The last record appended, synced or not.
    pub fn last(&self) -> Position {
        Position(self.durable + u64::from(self.pending_records))
    }

    /// Which batches are stored, or appended and not yet synced.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The log in numbers.
    pub fn stats(&self) -> LogStats {
        self.shared.stats()
    }

    /// The last record on stable storage.
    pub fn durable(&self) -> Position {
        Position(self.durable)
    }

    pub(super) fn on_damage(&self) -> OnDamage {
        self.settings.on_damage
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// These many bytes do not fit into the buffer beside what waits for a sync.
    pub(super) fn must_sync_before(&self, bytes: usize) -> bool {
        !self.pending.is_empty() && self.pending.len() + bytes > PENDING_BYTES_MAX
    }

    fn check_room(&self, records: &[NewRecord], bytes: usize) -> Result<(), LogError> {
        let Some(limit) = records.iter().map(|record| self.settings.limit_for(record.kind())).min() else {
            return Ok(());
        };
        let held = self.shared.lock().bytes() + self.pending.len() as u64;
        if held + bytes as u64 > limit {
            count(&self.shared.counters.refused_full, 1);
            return Err(LogError::Full { bytes: held, limit });
        }
        Ok(())
    }

    fn append_one(&mut self, record: &NewRecord, stored: &mut Stored) -> Result<(), LogError> {
        if record.at_ms < self.at_ms {
            count(&self.shared.counters.clock_went_back, 1);
        }
        match &record.body {
            Body::Calls(calls, gap) => self.append_calls(record.at_ms, calls, gap.as_ref(), stored),
            Body::Json(kind, payload) => self.push(record.at_ms, *kind, &[payload], stored),
        }
    }

    fn append_calls(
        &mut self,
        at_ms: i64,
        calls: &CallBatch,
        known_gap: Option<&Gap>,
        stored: &mut Stored,
    ) -> Result<(), LogError> {
        let CallBatch { epoch, first, last, count: calls_count, ref batch } = *calls;
        if calls_count == 0 || first == 0 || first > last || last > CALL_NUMBER_MAX {
            return Err(LogError::Range { epoch, first, last });
        }
        if batch.len() > BATCH_BYTES_MAX {
            return Err(LogError::TooLarge { bytes: batch.len(), limit: BATCH_BYTES_MAX });
        }
        let epoch = self.marks.known_as(epoch);
        match self.marks.verdict(epoch, first, last) {
            Verdict::New => {}
            Verdict::Duplicate => {
                stored.duplicates += 1;
                return Ok(());
            }
            Verdict::Overlap { mark } => return Err(LogError::Overlap { epoch, first, last, mark }),
            Verdict::Gap { first, last } => {
                let gap = Gap {
                    count: last - first + 1,
                    missing: Missing::Calls { epoch, first, last },
                    reason: "the collector's next batch does not begin where its last one ended".to_owned(),
                };
                stored.missing_calls = stored.missing_calls.saturating_add(gap.count);
                let record = NewRecord::gap(at_ms, &gap)?;
                self.append_one(&record, stored)?;
            }
        }
        if let Some(gap) = known_gap {
            self.append_one(&NewRecord::gap(at_ms, gap)?, stored)?;
        }
        let mut compressed = std::mem::take(&mut self.compressed);
        let body = if self.settings.compress { compress(batch, &mut compressed) } else { None };
        let plain_bytes = body.map_or(0, |_| batch.len() as u32);
        let header = CallsHeader { epoch, first, last, count: calls_count, plain_bytes }.encode();
        let result = self.push(at_ms, RecordKind::Calls, &[&header, body.unwrap_or(batch)], stored);
        self.compressed = compressed;
        result?;
        self.pending_calls += u64::from(calls_count);
        let forgotten = self.marks.advance(epoch, last, self.last().0);
        count(&self.shared.counters.forgotten_epochs, forgotten);
        Ok(())
    }

    fn push(&mut self, at_ms: i64, kind: RecordKind, parts: &[&[u8]], stored: &mut Stored) -> Result<(), LogError> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes > RECORD_BYTES_MAX {
            return Err(LogError::TooLarge { bytes, limit: RECORD_BYTES_MAX });
        }
        let header = FrameHeader {
            length: bytes as u32,
            position: self.last().0 + 1,
            at_ms: at_ms.max(self.at_ms),
            kind: kind as u8,
            in_commit: self.pending_records,
        };
        frame::encode(&mut self.pending, &header, parts);
        self.at_ms = header.at_ms;
        self.pending_records += 1;
        stored.records += 1;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), LogError> {
        let pending_bytes = self.pending.len() as u64;
        let full = |active: &Active, durable: u64| {
            active.first <= durable && active.bytes + pending_bytes > self.settings.segment_bytes_max
        };
        if self.active.as_ref().is_none_or(|active| full(active, self.durable)) {
            self.begin_segment()?;
        }
        let Some(active) = &mut self.active else { return Err(LogError::Closed) };
        if let Err(error) = active.file.write_all_at(&self.pending, active.bytes) {
            let error = LogError::io("writing", &active.path, error);
            // A part may have reached the file. Nothing was synced since, so taking it back is enough.
            if active.file.set_len(active.bytes).is_err() {
                self.abandon();
            }
            return Err(error);
        }
        if let Err(source) = active.file.sync() {
            let error = LogError::Sync { path: active.path.clone(), source: Arc::new(source) };
            self.abandon();
            return Err(error);
        }
        active.bytes += pending_bytes;
        let bytes = active.bytes;
        self.durable += u64::from(self.pending_records);
        self.durable_at_ms = self.at_ms;
        self.marks.keep();
        count(&self.shared.counters.records, self.pending_records.into());
        count(&self.shared.counters.calls, self.pending_calls);
        count(&self.shared.counters.commits, 1);
        self.pending.clear();
        self.pending.shrink_to(PENDING_BYTES_MAX);
        (self.pending_records, self.pending_calls) = (0, 0);
        let durable = self.durable;
        self.shared.change(|state| {
            state.durable = durable;
            if let Some(last) = state.segments.last_mut() {
                last.bytes = bytes;
            }
        });
        Ok(())
    }

    /// Never writes to the present segment again. What of it counts is on stable storage, and the next segment's name
    /// will say where it ends, so a tail that cannot be taken away does no harm.
    fn abandon(&mut self) {
        if let Some(mut active) = self.active.take() {
            let _ = active.file.set_len(active.bytes);
            count(&self.shared.counters.abandoned_segments, 1);
        }
    }

    /// Begins the segment of the next record. It gets its name only when its header is on stable storage, so there is
    /// never a segment with half a header.
    fn begin_segment(&mut self) -> Result<(), LogError> {
        let first = self.durable + 1;
        let path = self.dir.join(segment::file_name(first));
        let unfinished = path.with_extension("new");
        let header = SegmentHeader { first, at_ms: self.durable_at_ms, marks: self.marks.kept() }.encode();
        let io = |operation| {
            let path = path.clone();
            move |error| LogError::io(operation, &path, error)
        };
        let mut file = self.storage.create(&unfinished).map_err(io("creating"))?;
        file.write_all_at(&header, 0).map_err(io("creating"))?;
        file.sync().map_err(io("creating"))?;
        let named = self
            .storage
            .rename(&unfinished, &path)
            .and_then(|()| self.storage.sync_dir(&self.dir))
            .map_err(io("creating"));
        if let Err(error) = named {
            // The name may be there, and it says that the segment before ends here: nothing may be added to that one.
            self.abandon();
            return Err(error);
        }
        let bytes = header.len() as u64;
        let began_ms = self.durable_at_ms;
        let segment = Segment { path: path.clone(), first, began_ms, records_at: bytes, bytes };
        self.shared.change(|state| {
            state.segments.retain(|segment| segment.first < first);
            state.segments.push(segment);
        });
        self.active = Some(Active { file, path, first, bytes });
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.change(|state| state.closed = true);
    }
}

/// What records take in the log, gap records and compression aside.
pub(super) fn stored_bytes(records: &[NewRecord]) -> usize {
    records.iter().map(|record| frame::HEADER_BYTES + record.payload_bytes()).sum()
}

/// The compressed batch, unless that is no smaller.
fn compress<'a>(batch: &[u8], into: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    into.resize(lz4_flex::block::get_maximum_output_size(batch.len()), 0);
    let written = lz4_flex::block::compress_into(batch, into).ok()?;
    (written < batch.len()).then(|| &into[..written])
}

fn create_dir(dir: &Path, storage: &dyn Storage) -> Result<(), LogError> {
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(dir).map_err(|error| LogError::io("creating", dir, error))?;
    match dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => storage.sync_dir(parent).map_err(|error| LogError::io("syncing", parent, error)),
        None => Ok(()),
    }
}

fn read_range(path: &Path, range: std::ops::Range<u64>) -> std::io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = vec![0; (range.end - range.start) as usize];
    std::fs::File::open(path)?.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

/// Removes segments whose header was being written when the process died.
fn remove_unfinished(dir: &Path, storage: &dyn Storage) -> Result<(), LogError> {
    for entry in std::fs::read_dir(dir).map_err(|error| LogError::io("listing", dir, error))? {
        let path = entry.map_err(|error| LogError::io("listing", dir, error))?.path();
        if path.extension().is_some_and(|extension| extension == "new") {
            storage.remove(&path).map_err(|error| LogError::io("deleting", &path, error))?;
        }
    }
    Ok(())
}
