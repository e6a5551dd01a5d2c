//! One connection of Kong: read, frame, normalise, batch.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use outrider_model::Trust;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::batcher::Batcher;
use crate::counters::Tally;
use crate::framing::{Content, Frame, LineFramer, LineRoom};
use crate::health::Outline;
use crate::normalise::{Normaliser, Scratch};
use crate::{Clock, Complete, Counters, Rejection};

/// Bytes read at a time.
const READ_BYTES: usize = 64 * 1024;

/// At a stop a connection is read until nothing comes for so long, ...
const STOP_QUIET: Duration = Duration::from_millis(50);

/// ... but no longer than this in all.
const STOP_LONGEST: Duration = Duration::from_secs(2);

/// What all connections of a source share.
pub(super) struct Shared {
    pub(super) normaliser: Arc<Normaliser>,
    pub(super) complete: Option<Complete>,
    pub(super) batcher: Batcher,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) line_bytes_max: usize,
    pub(super) line_room: Arc<LineRoom>,
}

thread_local! {
    /// Reading is synchronous between two waits, so one buffer per thread serves any number of connections, and an idle
    /// connection holds none.
    static DESK: RefCell<Desk> = RefCell::new(Desk { buffer: vec![0; READ_BYTES], scratch: Scratch::default() });
}

struct Desk {
    buffer: Vec<u8>,
    scratch: Scratch,
}

/// Reads the connection until the other side closes it or the collector stops. Never writes, never closes first.
pub(super) async fn serve(mut stream: impl AsyncRead + Unpin, shared: &Shared, stop: CancellationToken) {
    let mut framer = LineFramer::sharing(shared.line_bytes_max, &shared.line_room);
    while let Some(read) = stop.run_until_cancelled(read_once(&mut stream, &mut framer, shared)).await {
        if read.is_break() {
            return end(framer, shared);
        }
        // A connection that always has more to read must not keep its thread from the others.
        tokio::task::consume_budget().await;
    }
    let drain = async {
        while let Ok(ControlFlow::Continue(())) =
            tokio::time::timeout(STOP_QUIET, read_once(&mut stream, &mut framer, shared)).await
        {}
    };
    // Either way all that was read has been handed on, whole lines that is.
    let _ = tokio::time::timeout(STOP_LONGEST, drain).await;
    end(framer, shared);
}

/// Waits for bytes and takes them, at most a buffer full. Breaks when the connection is over.
async fn read_once(stream: &mut (impl AsyncRead + Unpin), framer: &mut LineFramer, shared: &Shared) -> ControlFlow<()> {
    let read = poll_fn(|context| {
        DESK.with_borrow_mut(|desk| {
            let Desk { buffer, scratch } = desk;
            let mut read = ReadBuf::new(buffer);
            let ended = ready!(Pin::new(&mut *stream).poll_read(context, &mut read));
            Poll::Ready(match (ended, read.filled()) {
                (Ok(()), []) => ControlFlow::Break(()),
                (Ok(()), bytes) => {
                    take(framer, shared, scratch, bytes);
                    ControlFlow::Continue(())
                }
                (Err(error), _) if error.kind() == ErrorKind::Interrupted => ControlFlow::Continue(()),
                (Err(_), _) => ControlFlow::Break(()),
            })
        })
    });
    read.await
}

fn take(framer: &mut LineFramer, shared: &Shared, scratch: &mut Scratch, bytes: &[u8]) {
    let received_ms = shared.clock.now_ms();
    let mut tally = Tally { bytes: bytes.len() as u64, ..Tally::default() };
    framer.feed(bytes, |frame| record(frame, received_ms, shared, scratch, &mut tally));
    count(tally, received_ms, shared, scratch);
}

fn end(mut framer: LineFramer, shared: &Shared) {
    let received_ms = shared.clock.now_ms();
    let mut tally = Tally::default();
    let mut scratch = Scratch::default();
    framer.finish(|frame| record(frame, received_ms, shared, &mut scratch, &mut tally));
    count(tally, received_ms, shared, &mut scratch);
}

fn count(mut tally: Tally, received_ms: i64, shared: &Shared, scratch: &mut Scratch) {
    tally.truncated = scratch.take_truncated();
    tally.health.without_secret = scratch.take_without_secret();
    tally.fields = scratch.take_fields();
    shared.counters.add(&tally, received_ms);
}

fn record(frame: Frame<'_>, received_ms: i64, shared: &Shared, scratch: &mut Scratch, tally: &mut Tally) {
    tally.received += 1;
    let line = match frame.content {
        Content::Record(line) => line,
        Content::TooLong => return reject(Rejection::TooLong, None, shared, tally),
        Content::NoRoom => return reject(Rejection::NoRoom, None, shared, tally),
        Content::Torn { begun } => return reject(Rejection::Torn, Some(begun), shared, tally),
    };
    match shared.normaliser.normalise(line, Some(received_ms), scratch) {
        Ok(mut call) => {
            tally.untrusted += u64::from(call.trust == Trust::Untrusted);
            tally.health.see(&call);
            shared.counters.health().look_for_probe(&call);
            if let Some(complete) = &shared.complete {
                complete(&mut call);
            }
            shared.batcher.push(&call);
        }
        Err(reason) => reject(reason, Some(line), shared, tally),
    }
}

fn reject(reason: Rejection, line: Option<&[u8]>, shared: &Shared, tally: &mut Tally) {
    tally.health.rejected += u64::from(reason.is_trouble());
    if let Some(line) = line.filter(|_| reason.is_trouble()) {
        shared.counters.health().rejected(reason, Outline::of(line), 1, line.len());
    }
    shared.counters.rejected(reason, 1);
}
