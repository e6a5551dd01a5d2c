//! The lines of one stretch of a file: read, encoded, and counted once they are stored.
//!
//! A stretch is one batch, because the log stores a batch whole or not at all, also where the process ends meanwhile.

use std::sync::Arc;

use outrider_model::batch::BatchWriter;

use super::super::ledger::Ledger;
use super::super::reading::Reading;
use super::Shared;
use super::positions::Mark;
use crate::framing::Content;
use crate::normalise::{Normalised, Scratch};
use crate::{MicroBatch, Rejection};

/// A stretch ends with so many calls ...
const CALLS_MAX: u32 = 4096;
/// ... or so many bytes of them, and the lines of the last piece that was read.
const BYTES_MAX: usize = 2 * 1024 * 1024;

/// Lines that are being read.
pub(super) struct Intake {
    shared: Arc<Shared>,
    reading: Arc<Reading>,
    received_ms: i64,
    scratch: Scratch,
    writer: BatchWriter,
    first: Option<Mark>,
    ledger: Ledger,
}

/// Lines that were read.
pub(super) struct Stretch {
    /// Which of the files they are in.
    pub(super) file: usize,
    /// Where they end in it.
    pub(super) end: u64,
    /// Nothing was behind them when they were read.
    pub(super) is_at_end: bool,
    pub(super) received_ms: i64,
    /// Their calls, if there are any.
    pub(super) batch: Option<MicroBatch>,
    /// The first of these.
    pub(super) first: Option<Mark>,
    pub(super) ledger: Ledger,
    /// How they were read.
    pub(super) reading: Arc<Reading>,
}

impl Intake {
    pub(super) fn new(shared: &Arc<Shared>, received_ms: i64) -> Self {
        Intake {
            shared: Arc::clone(shared),
            reading: shared.reading.get(),
            received_ms,
            scratch: Scratch::default(),
            writer: BatchWriter::default(),
            first: None,
            ledger: Ledger::default(),
        }
    }

    /// Takes what is in a line.
    pub(super) fn take(&mut self, content: Content<'_>) {
        let line = match content {
            Content::Record(line) => line,
            Content::TooLong => return self.ledger.reject(Rejection::TooLong, None),
            Content::NoRoom => return self.ledger.reject(Rejection::NoRoom, None),
            Content::Torn { begun } => return self.ledger.reject(Rejection::Torn, Some(begun)),
        };
        let Intake { shared, reading, scratch, writer, first, ledger, .. } = self;
        let read = reading.normaliser.read(line, Some(self.received_ms), scratch);
        let Normalised { mut call, hidden_address } = match read {
            Ok(read) => read,
            Err(reason) => return ledger.reject(reason, Some(line)),
        };
        ledger.see(&call);
        if let Some(complete) = &shared.complete {
            complete(&mut call, hidden_address);
        }
        if writer.push(&call).is_err() {
            ledger.unencodable += 1;
            return;
        }
        ledger.calls += 1;
        first.get_or_insert_with(|| Mark::of(&call));
    }

    /// There is enough for a batch.
    pub(super) fn is_full(&self) -> bool {
        self.writer.calls() >= CALLS_MAX || self.writer.len() >= BYTES_MAX
    }

    /// Nothing was found, not even a line that is no call.
    pub(super) fn is_empty(&self) -> bool {
        self.ledger.tally.received == 0
    }

    /// Ends the stretch, which has so many bytes and ends there in this file, or at the end of it.
    pub(super) fn end(mut self, file: usize, bytes: u64, end: u64, is_at_end: bool) -> Stretch {
        self.ledger.tally.bytes = bytes;
        self.ledger.tally.truncated = self.scratch.take_truncated();
        self.ledger.tally.health.without_secret = self.scratch.take_without_secret();
        self.ledger.tally.fields = self.scratch.take_fields();
        let received_ms = self.received_ms;
        let batch = (!self.writer.is_empty()).then(|| MicroBatch {
            source: Arc::clone(&self.shared.source),
            count: self.writer.calls(),
            calls: self.writer.take(),
            first_received_ms: received_ms,
            last_received_ms: received_ms,
        });
        let (first, ledger, reading) = (self.first, self.ledger, self.reading);
        Stretch { file, end, is_at_end, received_ms, batch, first, ledger, reading }
    }
}
