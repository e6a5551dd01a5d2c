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
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::reading::{Current, Reading};
use super::batcher::Batcher;
use crate::counters::Tally;
use crate::framing::{Content, Frame, LineFramer, LineRoom};
use crate::health::Outline;
use crate::normalise::{Normalised, Scratch};
use crate::{Clock, Complete, ConnectionRefusal, Counters, Rejection};

/// Bytes read at a time.
const READ_BYTES: usize = 64 * 1024;

/// A line that has begun has so long to end. Kong itself gives up sending one after 10 s (`timeout`).
const LINE_TIME: Duration = Duration::from_secs(60);

/// At a stop a connection is read until nothing comes for so long, ...
const STOP_QUIET: Duration = Duration::from_millis(50);

/// ... but no longer than this in all.
const STOP_LONGEST: Duration = Duration::from_secs(2);

/// What all connections of a source share.
pub(super) struct Shared {
    pub(super) reading: Arc<Current<Reading>>,
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

/// Reads the connection until the other side closes it, the collector stops, or a line does not come to its end. Never writes.
pub(super) async fn serve(mut stream: impl AsyncRead + Unpin, shared: &Shared, stop: CancellationToken) {
    let mut lines = Lines { framer: LineFramer::sharing(shared.line_bytes_max, &shared.line_room), begun: None };
    while let Some(read) = stop.run_until_cancelled(lines.read(&mut stream, shared)).await {
        if read.is_break() {
            return lines.end(shared);
        }
        // A connection that always has more to read must not keep its thread from the others.
        tokio::task::consume_budget().await;
    }
    let drain = async {
        while let Ok(ControlFlow::Continue(())) =
            tokio::time::timeout(STOP_QUIET, read_once(&mut stream, &mut lines.framer, shared)).await
        {}
    };
    // Either way all that was read has been handed on, whole lines that is.
    let _ = tokio::time::timeout(STOP_LONGEST, drain).await;
    lines.end(shared);
}

/// The lines of a connection.
struct Lines {
    framer: LineFramer,
    /// The line that has begun and not ended: its number, and since when.
    begun: Option<(u64, Instant)>,
}

impl Lines {
    /// Waits for bytes and takes them. Breaks when the connection is over, or a line has begun and has had its time to end.
    /// Between two lines there is no hurry.
    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin), shared: &Shared) -> ControlFlow<()> {
        let read = read_once(stream, &mut self.framer, shared);
        match self.begun {
            None => read.await?,
            // Bytes that are there are read first, however late it is.
            Some((_, since)) => {
                if let Ok(read) = tokio::time::timeout_at(since + LINE_TIME, read).await {
                    read?;
                }
            }
        }
        self.keep_time(shared)
    }

    fn keep_time(&mut self, shared: &Shared) -> ControlFlow<()> {
        if !self.framer.is_unfinished() {
            self.begun = None;
            return ControlFlow::Continue(());
        }
        let (line, now) = (self.framer.lines_ended(), Instant::now());
        let since = self.begun.filter(|(begun, _)| *begun == line).map(|(_, since)| since);
        if since.is_some_and(|since| now < since + LINE_TIME) {
            return ControlFlow::Continue(());
        }
        if since.is_some() && !self.take_objects(shared) {
            shared.counters.connection_refused(ConnectionRefusal::LineSlow, shared.clock.now_ms());
            return ControlFlow::Break(());
        }
        self.begun = self.framer.is_unfinished().then_some((line, now));
        ControlFlow::Continue(())
    }

    /// Takes the whole objects of a line without an end: of a sender who writes no LF, each is a line. Says whether there were any.
    fn take_objects(&mut self, shared: &Shared) -> bool {
        taking(shared, |record| self.framer.take_objects(record))
    }

    fn end(mut self, shared: &Shared) {
        taking(shared, |record| self.framer.finish(record));
    }
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
    let (received_ms, reading) = (shared.clock.now_ms(), shared.reading.get());
    let mut tally = Tally { bytes: bytes.len() as u64, ..Tally::default() };
    framer.feed(bytes, |frame| record(frame, received_ms, &reading, shared, scratch, &mut tally));
    count(tally, received_ms, &reading, shared, scratch);
}

/// Records what is found without reading on.
fn taking<T>(shared: &Shared, find: impl FnOnce(&mut dyn FnMut(Frame<'_>)) -> T) -> T {
    let (received_ms, reading) = (shared.clock.now_ms(), shared.reading.get());
    let mut tally = Tally::default();
    let mut scratch = Scratch::default();
    let found = find(&mut |frame| record(frame, received_ms, &reading, shared, &mut scratch, &mut tally));
    count(tally, received_ms, &reading, shared, &mut scratch);
    found
}

fn count(mut tally: Tally, received_ms: i64, reading: &Reading, shared: &Shared, scratch: &mut Scratch) {
    tally.truncated = scratch.take_truncated();
    tally.health.without_secret = scratch.take_without_secret();
    tally.fields = scratch.take_fields();
    scratch.give_back();
    shared.counters.add(&tally, &reading.fields, received_ms);
}

fn record(
    frame: Frame<'_>,
    received_ms: i64,
    reading: &Reading,
    shared: &Shared,
    scratch: &mut Scratch,
    tally: &mut Tally,
) {
    tally.received += 1;
    let line = match frame.content {
        Content::Record(line) => line,
        Content::TooLong => return reject(Rejection::TooLong, None, shared, tally),
        Content::NoRoom => return reject(Rejection::NoRoom, None, shared, tally),
        Content::Torn { begun } => return reject(Rejection::Torn, Some(begun), shared, tally),
    };
    match reading.normaliser.read(line, Some(received_ms), scratch) {
        Ok(Normalised { mut call, hidden_address }) => {
            tally.untrusted += u64::from(call.trust == Trust::Untrusted);
            tally.health.see(&call);
            shared.counters.health().look_for_probe(&call);
            if let Some(complete) = &shared.complete {
                complete(&mut call, hidden_address);
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

#[cfg(test)]
mod tests;
