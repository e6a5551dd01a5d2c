//! The calls of one request on their way: read, known ones left out, encoded, handed on, and counted once it is known what
//! became of them.

use std::cell::RefCell;
use std::sync::Arc;

use outrider_model::batch::BatchWriter;
use tokio::sync::oneshot;

use super::super::ledger::Ledger;
use super::super::reading::Reading;
use super::Shared;
use super::recent::{Claims, Known};
use super::request::Taken;
use super::room::Room;
use crate::framing::Content;
use crate::normalise::{Normalised, Scratch};
use crate::{Delivery, MicroBatch, Refusal, Rejection};

/// A batch ends with so many calls ...
const BATCH_CALLS_MAX: u32 = 1024;
/// ... or so many bytes.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// What is kept of a call beside its encoding, until it is known what becomes of it.
const CALL_BYTES: usize = 64;

thread_local! {
    /// Reading a line is synchronous, so one serves all requests of a thread, and one that waits holds none.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
}

pub(super) struct Intake {
    shared: Arc<Shared>,
    reading: Arc<Reading>,
    room: Room,
    claims: Claims,
    writer: BatchWriter,
    batches: Vec<MicroBatch>,
    ledger: Ledger,
}

impl Intake {
    /// `reading` is how its lines are read, whatever comes into force meanwhile; `room` is what the request has taken of it so far.
    pub(super) fn new(shared: &Arc<Shared>, reading: Arc<Reading>, room: Room) -> Self {
        Intake {
            shared: Arc::clone(shared),
            reading,
            room,
            claims: shared.recent.claims(),
            writer: BatchWriter::default(),
            batches: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    /// Takes one record of the body. An error refuses the request.
    pub(super) fn take(&mut self, record: Content<'_>, received_ms: i64) -> Result<(), Refusal> {
        match record {
            Content::Record(line) => {
                return SCRATCH.with_borrow_mut(|scratch| {
                    let taken = self.take_line(line, received_ms, scratch);
                    scratch.give_back();
                    taken
                });
            }
            Content::TooLong => self.ledger.reject(Rejection::TooLong, None),
            Content::NoRoom => self.ledger.reject(Rejection::NoRoom, None),
            Content::Torn { begun } => self.ledger.reject(Rejection::Torn, Some(begun)),
        }
        Ok(())
    }

    fn take_line(&mut self, line: &[u8], received_ms: i64, scratch: &mut Scratch) -> Result<(), Refusal> {
        let reading = Arc::clone(&self.reading);
        // Of a call that is known already nothing is counted.
        scratch.take_truncated();
        scratch.take_fields();
        match reading.normaliser.read(line, Some(received_ms), scratch) {
            Ok(read) => {
                let calls = self.ledger.calls;
                let taken = self.take_call(read, line);
                if self.ledger.calls > calls {
                    self.ledger.tally.truncated += scratch.take_truncated();
                    self.ledger.tally.add_fields(&scratch.take_fields());
                }
                taken
            }
            Err(reason) => {
                self.ledger.reject(reason, Some(line));
                Ok(())
            }
        }
    }

    /// Takes a call, unless it came before.
    fn take_call(&mut self, read: Normalised<'_>, line: &[u8]) -> Result<(), Refusal> {
        let Normalised { mut call, hidden_address } = read;
        match self.claims.claim(self.shared.recent.key(&call.request_id, line)) {
            Known::New => {}
            Known::Duplicate => {
                self.ledger.duplicates += 1;
                return Ok(());
            }
            Known::UnderWay => return Err(Refusal::UnderWay),
        }
        self.ledger.see(&call);
        if let Some(complete) = &self.shared.complete {
            complete(&mut call, hidden_address);
        }
        if self.writer.push(&call).is_err() {
            self.ledger.unencodable += 1;
            return Ok(());
        }
        self.ledger.calls += 1;
        if self.writer.calls() >= BATCH_CALLS_MAX || self.writer.len() >= BATCH_BYTES_MAX {
            self.end_batch(call.received_ms)?;
        }
        Ok(())
    }

    fn end_batch(&mut self, received_ms: i64) -> Result<(), Refusal> {
        if self.writer.is_empty() {
            return Ok(());
        }
        self.room.take(self.writer.len() + self.writer.calls() as usize * CALL_BYTES)?;
        self.batches.push(MicroBatch {
            source: Arc::clone(&self.shared.source),
            count: self.writer.calls(),
            calls: self.writer.take(),
            first_received_ms: received_ms,
            last_received_ms: received_ms,
        });
        Ok(())
    }

    /// Hands the calls on and waits until they are stored. Goes on to its end where nobody waits for the answer any more: the
    /// calls are known as stored then, when their sender comes again.
    pub(super) async fn settle(mut self, received_ms: i64) -> Result<Taken, Refusal> {
        self.end_batch(received_ms)?;
        if self.batches.is_empty() {
            return Ok(self.count(received_ms));
        }
        let (are_stored, answer) = oneshot::channel();
        let delivery = Delivery { batches: std::mem::take(&mut self.batches), are_stored };
        if self.shared.sender.try_send(delivery).is_err() {
            return Err(Refusal::Busy);
        }
        let settling = self.shared.settling.clone();
        let settled = settling.spawn(async move {
            match answer.await {
                Ok(true) => Ok(self.count(received_ms)),
                Ok(false) | Err(_) => Err(Refusal::NotStored),
            }
        });
        settled.await.unwrap_or(Err(Refusal::NotStored))
    }

    /// Counts what came of the request, which is settled.
    fn count(self, received_ms: i64) -> Taken {
        let (stored, duplicates) = (self.ledger.calls, self.ledger.duplicates);
        let rejected = self.ledger.count(&self.shared.counters, &self.reading.fields, received_ms);
        self.claims.stored();
        Taken { stored, duplicates, rejected }
    }
}
