//! Gathers the calls of all connections of a source into micro-batches.
//!
//! One batch for the whole source, not one per connection: Kong spreads its lines over hundreds of connections, and a batch
//! of one call costs its taker as much as a batch of hundreds. A batch goes when it is full, or when its first call has
//! waited for the configured time. While the queue is full a batch that is not goes on filling, and what comes to a full one
//! is dropped and counted: nothing here ever waits for the taker, but the last batch at a stop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrider_model::ApiCall;
use outrider_model::batch::BatchWriter;
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

use crate::{Counters, DropReason, MicroBatch};

/// How long the last batch may wait for room in the queue at a stop.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// When a batch goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) calls_max: u32,
    pub(super) bytes_max: usize,
    pub(super) wait: Duration,
}

pub(super) struct Batcher {
    source: Arc<str>,
    limits: Limits,
    pending: Mutex<Pending>,
    /// Told when the first call enters an empty batch.
    begun: Notify,
    sender: Sender<MicroBatch>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Pending {
    writer: BatchWriter,
    first_received_ms: i64,
    last_received_ms: i64,
}

impl Batcher {
    pub(super) fn new(source: Arc<str>, limits: Limits, sender: Sender<MicroBatch>, counters: Arc<Counters>) -> Self {
        Batcher { source, limits, pending: Mutex::default(), begun: Notify::new(), sender, counters }
    }

    /// Adds a call; hands the batch on if it is full.
    pub(super) fn push(&self, call: &ApiCall<'_>) {
        let mut pending = self.lock();
        if self.is_full(&pending) {
            // The batch could not go when it became full.
            self.hand_on(&mut pending);
            if self.is_full(&pending) {
                self.counters.dropped(self.reason(), 1);
                return;
            }
        }
        let begins = pending.writer.is_empty();
        if pending.writer.push(call).is_err() {
            self.counters.dropped(DropReason::Unencodable, 1);
            return;
        }
        if begins {
            pending.first_received_ms = call.received_ms;
        }
        pending.last_received_ms = call.received_ms;
        if self.is_full(&pending) {
            self.hand_on(&mut pending);
        } else if begins {
            drop(pending);
            self.begun.notify_one();
        }
    }

    /// Hands on batches whose first call has waited long enough, until stopped.
    pub(super) async fn run(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.begun.notified()).await.is_some() {
            // A full queue leaves the batch here, so it is tried again.
            while !self.lock().writer.is_empty() {
                if stop.run_until_cancelled(tokio::time::sleep(self.limits.wait)).await.is_none() {
                    return;
                }
                self.hand_on(&mut self.lock());
            }
        }
    }

    /// Hands on what is left. Waits for room, but not for ever.
    pub(super) async fn finish(&self) {
        let Some(batch) = self.take(&mut self.lock()) else {
            return;
        };
        let count = batch.count;
        match self.sender.send_timeout(batch, STOP_WAIT).await {
            Ok(()) => self.counters.accepted(count),
            Err(_) => self.counters.dropped(self.reason(), count),
        }
    }

    fn is_full(&self, pending: &Pending) -> bool {
        pending.writer.calls() >= self.limits.calls_max || pending.writer.len() >= self.limits.bytes_max
    }

    /// Hands the batch on if there is room in the queue; leaves it as it is otherwise.
    fn hand_on(&self, pending: &mut Pending) {
        match self.sender.try_reserve() {
            Ok(room) => {
                if let Some(batch) = self.take(pending) {
                    self.counters.accepted(batch.count);
                    room.send(batch);
                }
            }
            Err(TrySendError::Full(())) => {}
            Err(TrySendError::Closed(())) => {
                if let Some(batch) = self.take(pending) {
                    self.counters.dropped(DropReason::QueueClosed, batch.count);
                }
            }
        }
    }

    fn take(&self, pending: &mut Pending) -> Option<MicroBatch> {
        if pending.writer.is_empty() {
            return None;
        }
        Some(MicroBatch {
            source: Arc::clone(&self.source),
            count: pending.writer.calls(),
            calls: pending.writer.take(),
            first_received_ms: pending.first_received_ms,
            last_received_ms: pending.last_received_ms,
        })
    }

    fn reason(&self) -> DropReason {
        if self.sender.is_closed() { DropReason::QueueClosed } else { DropReason::QueueFull }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // A panic while encoding leaves the batch as it was before the call.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
