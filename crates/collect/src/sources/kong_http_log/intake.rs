//! The calls of one request on their way: read, known ones left out, encoded, handed on, and counted once it is known what
//! became of them.
//!
//! Nothing is counted before: a request that is refused comes again, and then its lines are counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use outrider_model::batch::BatchWriter;
use outrider_model::{ApiCall, Trust};
use tokio::sync::oneshot;

use super::Shared;
use super::recent::{Claims, Known};
use super::request::Taken;
use super::room::Room;
use crate::counters::Tally;
use crate::framing::Content;
use crate::health::{Outline, ProbeSeen, probe_of};
use crate::normalise::Scratch;
use crate::{Delivery, DropReason, MicroBatch, Refusal, Rejection};

/// A batch ends with so many calls ...
const BATCH_CALLS_MAX: u32 = 1024;
/// ... or so many bytes.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// What is kept of a call beside its encoding, until it is known what becomes of it.
const CALL_BYTES: usize = 64;
/// Probes of one request that are looked at.
const PROBES_MAX: usize = 8;

pub(super) struct Intake {
    shared: Arc<Shared>,
    room: Room,
    scratch: Scratch,
    claims: Claims,
    writer: BatchWriter,
    batches: Vec<MicroBatch>,
    calls: u32,
    duplicates: u32,
    unencodable: u32,
    /// Lines that are no calls, by reason and, where there is anything of them, outline.
    rejected: BTreeMap<(Rejection, Option<Outline>), Rejected>,
    probes: Vec<ProbeSeen>,
    tally: Tally,
}

/// Lines that are no calls and look alike, as they will be counted.
#[derive(Default)]
struct Rejected {
    lines: u32,
    longest_bytes: usize,
}

impl Intake {
    /// `room` is what the request has taken of it so far.
    pub(super) fn new(shared: &Arc<Shared>, room: Room) -> Self {
        Intake {
            shared: Arc::clone(shared),
            room,
            scratch: Scratch::default(),
            claims: shared.recent.claims(),
            writer: BatchWriter::default(),
            batches: Vec::new(),
            calls: 0,
            duplicates: 0,
            unencodable: 0,
            rejected: BTreeMap::new(),
            probes: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Takes one record of the body. An error refuses the request.
    pub(super) fn take(&mut self, record: Content<'_>, received_ms: i64) -> Result<(), Refusal> {
        match record {
            Content::Record(line) => return self.take_line(line, received_ms),
            Content::TooLong => self.reject(Rejection::TooLong, None),
            Content::Torn { begun } => self.reject(Rejection::Torn, Some(begun)),
        }
        Ok(())
    }

    fn take_line(&mut self, line: &[u8], received_ms: i64) -> Result<(), Refusal> {
        let shared = Arc::clone(&self.shared);
        let mut scratch = std::mem::take(&mut self.scratch);
        // Of a call that is known already nothing is counted.
        scratch.take_truncated();
        scratch.take_fields();
        let taken = match shared.normaliser.normalise(line, Some(received_ms), &mut scratch) {
            Ok(call) => {
                let calls = self.calls;
                let taken = self.take_call(call, line);
                if self.calls > calls {
                    self.tally.truncated += scratch.take_truncated();
                    self.tally.add_fields(&scratch.take_fields());
                }
                taken
            }
            Err(reason) => {
                self.reject(reason, Some(line));
                Ok(())
            }
        };
        self.scratch = scratch;
        taken
    }

    /// Takes a call, unless it came before.
    fn take_call(&mut self, mut call: ApiCall<'_>, line: &[u8]) -> Result<(), Refusal> {
        match self.claims.claim(self.shared.recent.key(&call.request_id, line)) {
            Known::New => {}
            Known::Duplicate => {
                self.duplicates += 1;
                return Ok(());
            }
            Known::UnderWay => return Err(Refusal::UnderWay),
        }
        self.tally.received += 1;
        self.tally.untrusted += u64::from(call.trust == Trust::Untrusted);
        self.tally.health.see(&call);
        if self.probes.len() < PROBES_MAX {
            self.probes.extend(probe_of(&call));
        }
        if let Some(complete) = &self.shared.complete {
            complete(&mut call);
        }
        if self.writer.push(&call).is_err() {
            self.unencodable += 1;
            return Ok(());
        }
        self.calls += 1;
        if self.writer.calls() >= BATCH_CALLS_MAX || self.writer.len() >= BATCH_BYTES_MAX {
            self.end_batch(call.received_ms)?;
        }
        Ok(())
    }

    fn reject(&mut self, reason: Rejection, line: Option<&[u8]>) {
        self.tally.received += 1;
        self.tally.health.rejected += 1;
        let alike = self.rejected.entry((reason, line.map(Outline::of))).or_default();
        alike.lines += 1;
        alike.longest_bytes = alike.longest_bytes.max(line.map_or(0, <[u8]>::len));
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
        let counters = &self.shared.counters;
        counters.add(&self.tally, received_ms);
        counters.accepted(self.calls);
        counters.duplicates(self.duplicates);
        counters.dropped(DropReason::Unencodable, self.unencodable);
        let mut rejected = 0;
        for ((reason, outline), Rejected { lines, longest_bytes }) in self.rejected {
            if let Some(outline) = outline {
                counters.health().rejected(reason, outline, lines, longest_bytes);
            }
            counters.rejected(reason, lines);
            rejected += lines;
        }
        self.probes.into_iter().for_each(|probe| counters.health().remember_probe(probe));
        self.claims.stored();
        Taken { stored: self.calls, duplicates: self.duplicates, rejected }
    }
}
