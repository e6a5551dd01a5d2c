//! What a record is, and what its payload holds. How it lies in a file is the business of `frame`.

use outrider_model::{ActionReport, CommandRecord, GatewaySnapshot, HuntRun};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::LogError;
use crate::analysis::Documented;

/// The largest payload of one record in bytes, as stored.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The largest batch in bytes after decompression.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The highest number that a call may have within its epoch: a million calls a second reach it in nine years. Beyond it,
/// and without calls, a batch is no collector's.
pub const CALL_NUMBER_MAX: u64 = 1 << 48;

/// Where a record is in the log: its number, counted from 1. 0 is before the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before the first record.
    pub const ZERO: Position = Position(0);

    /// The position that follows.
    #[must_use]
    pub fn next(self) -> Position {
        Position(self.0 + 1)
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a record is about. The number is part of the on-disk format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// A batch of calls: see [`Record::calls`].
    Calls = 1,
    /// Settings that take effect from here on.
    Settings = 2,
    /// What a person decided: a `CommandRecord`.
    Command = 3,
    /// What the responder saw at a gateway: an `ActionReport`.
    ActionReport = 4,
    /// Time has passed and nothing else happened.
    Tick = 5,
    /// Calls, or records, are missing here: a [`Gap`].
    Gap = 6,
    /// What a gateway is configured to do: a `GatewaySnapshot`.
    Configuration = 7,
    /// What a saved hunt found in its window: a `HuntRun`.
    Hunt = 8,
    /// History that was imported, or learnt from: a [`History`]. The calls are in the lake and not here.
    History = 9,
    /// What the owner of a service says of it: a `Documented`.
    Document = 10,
}

impl RecordKind {
    /// The kind of a stored number, if this build knows it.
    pub(super) fn from_number(number: u8) -> Option<RecordKind> {
        use RecordKind::{ActionReport, Calls, Command, Configuration, Document, Gap, History, Hunt, Settings, Tick};
        [Calls, Settings, Command, ActionReport, Tick, Gap, Configuration, Hunt, History, Document]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// A record as it was read. It borrows from its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where it is.
    pub position: Position,
    /// Log time; never less than that of the record before.
    pub at_ms: i64,
    /// What it is about.
    pub kind: RecordKind,
    /// A batch for [`RecordKind::Calls`], JSON for everything else.
    pub payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// The batch of a [`RecordKind::Calls`] record. `scratch` holds it where it was stored compressed.
    pub fn calls<'s>(&self, scratch: &'s mut Vec<u8>) -> Result<Calls<'s>, LogError>
    where
        'a: 's,
    {
        let wrong = |why: String| LogError::Payload { position: self.position, expected: "batch of calls", why };
        if self.kind != RecordKind::Calls {
            return Err(wrong(format!("its kind is {:?}", self.kind)));
        }
        let (header, body) = CallsHeader::decode(self.payload).ok_or_else(|| wrong("it is cut off".to_owned()))?;
        let length = header.plain_bytes as usize;
        if length == 0 {
            return Ok(Calls { header, batch: body });
        }
        if length > BATCH_BYTES_MAX {
            return Err(wrong(format!("it says that it has {length} bytes and the limit is {BATCH_BYTES_MAX}")));
        }
        scratch.resize(length, 0);
        let written = lz4_flex::block::decompress_into(body, scratch).map_err(|error| wrong(error.to_string()))?;
        if written != length {
            return Err(wrong(format!("it says that it has {length} bytes and has {written}")));
        }
        Ok(Calls { header, batch: scratch })
    }

    /// The collector epoch of a [`RecordKind::Calls`] record, without reading its calls.
    pub fn epoch(&self) -> Option<u64> {
        let header = (self.kind == RecordKind::Calls).then(|| CallsHeader::decode(self.payload)).flatten();
        header.map(|(header, _)| header.epoch)
    }

    /// How many calls it holds, without reading them; none where it is of another kind.
    pub fn calls_count(&self) -> u32 {
        let header = (self.kind == RecordKind::Calls).then(|| CallsHeader::decode(self.payload)).flatten();
        header.map_or(0, |(header, _)| header.count)
    }

    /// The value of a record whose payload is JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, LogError> {
        serde_json::from_slice(self.payload).map_err(|error| LogError::Payload {
            position: self.position,
            expected: std::any::type_name::<T>(),
            why: error.to_string(),
        })
    }
}

/// A batch of calls as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls<'a> {
    header: CallsHeader,
    /// The batch, for [`outrider_model::batch::BatchReader`].
    pub batch: &'a [u8],
}

impl Calls<'_> {
    /// The collector epoch that the batch belongs to.
    pub fn epoch(&self) -> u64 {
        self.header.epoch
    }

    /// The number of its first call within the epoch.
    pub fn first(&self) -> u64 {
        self.header.first
    }

    /// The number of its last call within the epoch.
    pub fn last(&self) -> u64 {
        self.header.last
    }

    /// How many calls it holds.
    pub fn count(&self) -> u32 {
        self.header.count
    }
}

/// What stands before a batch in its record: 32 little-endian bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallsHeader {
    pub epoch: u64,
    pub first: u64,
    pub last: u64,
    pub count: u32,
    /// The batch's size before compression; 0 when it is stored as it is.
    pub plain_bytes: u32,
}

impl CallsHeader {
    pub(super) const BYTES: usize = 32;

    pub(super) fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0..8].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.last.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.count.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.plain_bytes.to_le_bytes());
        bytes
    }

    pub(super) fn decode(payload: &[u8]) -> Option<(CallsHeader, &[u8])> {
        let (header, body) = payload.split_first_chunk::<{ CallsHeader::BYTES }>()?;
        let long = |at: usize| header[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let short = |at: usize| header[at..].first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        let header = CallsHeader {
            epoch: long(0)?,
            first: long(8)?,
            last: long(16)?,
            count: short(24)?,
            plain_bytes: short(28)?,
        };
        Some((header, body))
    }
}

/// A batch of calls as a collector hands it over (decision 11): the range was fixed when it was spooled, and sending it
/// again is a no-op.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallBatch {
    /// Chosen anew by each start of a collector.
    pub epoch: u64,
    /// The number of its first call within the epoch; the first call of an epoch has number 1.
    pub first: u64,
    /// The number of its last call within the epoch.
    pub last: u64,
    /// How many calls it holds.
    pub count: u32,
    /// The bytes of an [`outrider_model::batch::BatchWriter`].
    pub batch: Vec<u8>,
}

/// Calls, or records, that should be at this place and are not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// How many are missing.
    pub count: u64,
    /// What is missing.
    pub missing: Missing,
    /// Why, in one sentence.
    pub reason: String,
}

/// What a gap is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Missing {
    /// Calls of a collector, known by number.
    Calls {
        /// The collector epoch.
        epoch: u64,
        /// The first missing one.
        first: u64,
        /// The last missing one.
        last: u64,
    },
    /// Calls that were never numbered: dropped before they were put into a batch.
    Unnumbered,
    /// Records of this log that cannot be read.
    Records {
        /// The first missing one.
        first: Position,
        /// The last missing one.
        last: Position,
    },
}

/// What an import has done, at its place in the one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum History {
    /// Calls of a file are about to be committed to the lake with this record's position. After a kill they may not be there.
    Imported {
        /// The file, by the digest of its content.
        file: String,
        /// Its lines up to this one are in the lake then.
        lines: u64,
        /// How many calls that adds.
        calls: u32,
    },
    /// What is normal was learnt again, of the calls in the lake; the next snapshot has it.
    Relearnt {
        /// The how manieth time it is.
        version: u32,
        /// How many calls that were.
        calls: u64,
    },
}

/// A record to be written. It gets its position, and its final log time, from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// The clock's time; the log raises it to the time of the record before where the clock went back.
    pub at_ms: i64,
    pub(super) body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// A batch, and what its sender knows to be missing before it.
    Calls(CallBatch, Option<Gap>),
    Json(RecordKind, Vec<u8>),
}

impl NewRecord {
    /// A batch of calls.
    pub fn calls(at_ms: i64, batch: CallBatch) -> Self {
        NewRecord { at_ms, body: Body::Calls(batch, None) }
    }

    /// A batch of calls with what its collector lost before it. The gap is stored with the batch, so it is there once,
    /// however often both are sent.
    pub fn calls_after(at_ms: i64, batch: CallBatch, gap: Gap) -> Self {
        NewRecord { at_ms, body: Body::Calls(batch, Some(gap)) }
    }

    /// Settings that take effect from here on.
    pub fn settings<T: Serialize>(at_ms: i64, settings: &T) -> Result<Self, LogError> {
        Self::json(at_ms, RecordKind::Settings, "settings record", settings)
    }

    /// What a person decided.
    pub fn command(at_ms: i64, command: &CommandRecord) -> Result<Self, LogError> {
        Self::json(at_ms, RecordKind::Command, "command", command)
    }

    /// What the responder saw.
    pub fn action_report(at_ms: i64, report: &ActionReport) -> Result<Self, LogError> {
        Self::json(at_ms, RecordKind::ActionReport, "action report", report)
    }

    /// What a gateway is configured to do.
    pub fn configuration(at_ms: i64, snapshot: &GatewaySnapshot) -> Result<Self, LogError> {
        Self::json(at_ms, RecordKind::Configuration, "gateway configuration", snapshot)
    }

    /// What the owner of a service says of it.
    pub fn document(at_ms: i64, documented: &Documented) -> Result<Self, LogError> {
        Self::json(at_ms, RecordKind::Document, "document of a service", documented)
    }

    /// What a saved hunt found.
    pub fn hunt(at_ms: i64, run: &HuntRun) -> Result<Self, LogError> {
        Self::json(at_ms, RecordKind::Hunt, "run of a hunt", run)
    }

    /// Time has passed.
    pub fn tick(at_ms: i64) -> Self {
        NewRecord { at_ms, body: Body::Json(RecordKind::Tick, b"{}".to_vec()) }
    }

    /// Something is missing here.
    pub fn gap(at_ms: i64, gap: &Gap) -> Result<Self, LogError> {
        Self::json(at_ms, RecordKind::Gap, "gap", gap)
    }

    /// What an import has done.
    pub fn history(at_ms: i64, history: &History) -> Result<Self, LogError> {
        Self::json(at_ms, RecordKind::History, "history record", history)
    }

    fn json<T: Serialize>(at_ms: i64, kind: RecordKind, what: &'static str, value: &T) -> Result<Self, LogError> {
        let payload =
            serde_json::to_vec(value).map_err(|error| LogError::Unencodable { what, why: error.to_string() })?;
        Ok(NewRecord { at_ms, body: Body::Json(kind, payload) })
    }

    /// What it is about.
    pub fn kind(&self) -> RecordKind {
        match &self.body {
            Body::Calls(..) => RecordKind::Calls,
            Body::Json(kind, _) => *kind,
        }
    }

    /// The size of its payload before compression, in bytes.
    pub fn payload_bytes(&self) -> usize {
        match &self.body {
            Body::Calls(calls, _) => CallsHeader::BYTES + calls.batch.len(),
            Body::Json(_, payload) => payload.len(),
        }
    }
}
