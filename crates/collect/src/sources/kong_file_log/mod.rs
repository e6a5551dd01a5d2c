//! Kong's File Log plugin.
//!
//! Kong's workers append lines to a file and keep it open; here it is read behind them. The file is the queue: a line that is
//! not stored stays where it is, so nothing is lost while outrider is away or its log is full, as long as the file is there.
//!
//! **What is guaranteed.** Each whole line is taken once, in the order of its file, also over a kill or a power cut (module
//! `positions`). It is taken again where the log tells that it was not stored and that is not so, or does not reach back to it;
//! and it is lost where the file was taken away, or cut, before it was read.
//!
//! The file is looked at in intervals, as Vector and Filebeat do, and not told of by inotify: that knows nothing of network
//! file systems and of what other machines and some container mounts write, may lose events, and would need the same looks as a
//! fallback. What a look costs, a few system calls, does not show at four a second.

mod config;
mod follow;
mod identity;
mod intake;
mod positions;
mod tail;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outrider_model::ApiCall;
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use config::{FileStart, KongFileLogConfig};

use super::file_source_name;
use super::reading::{Current, Reading, SourceControl};
use crate::counters::FileSeen;
use crate::{Clock, CollectError, Complete, Counters, Delivery, PseudonymKey, Refusal};
use follow::Follow;
use intake::{Intake, Stretch};
use positions::{Book, Handed, Positions};
use tail::READ_BYTES;

/// What is less than this is no step of the clock, but lines that were read within a millisecond.
const CLOCK_STEP_MS_MIN: i64 = 1000;

/// Pieces of a file that are read at a time, so that a stop need not wait for all of it.
const PIECES_MAX: usize = 64;

/// How long to wait after lines could not be stored, or the file or its positions not be read or written.
const RETRY: Duration = Duration::from_secs(1);

/// What the reading of lines needs.
struct Shared {
    source: Arc<str>,
    reading: Arc<Current<Reading>>,
    complete: Option<Complete>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
}

/// A source that reads a file, not yet reading.
pub struct KongFileLog {
    config: KongFileLogConfig,
    shared: Arc<Shared>,
    sender: Sender<Delivery>,
    book: Book,
    kept: Option<Positions>,
    /// The log holds what was handed on last.
    is_handed_stored: AtomicBool,
}

impl KongFileLog {
    /// Checks the settings, and reads where the source was in its files, which need not be there. `directory` is where that is
    /// kept. `sender` is where the calls go. `complete` has the last word on every call.
    pub fn open(
        config: &KongFileLogConfig,
        key: PseudonymKey,
        clock: Arc<dyn Clock>,
        sender: Sender<Delivery>,
        complete: Option<Complete>,
        directory: &Path,
    ) -> Result<Self, CollectError> {
        config.validate()?;
        let counters = Arc::new(Counters::default());
        let reading = Reading::new(config.lines(key)?, &counters);
        let (book, kept) = Book::open(directory, &config.path)?;
        let source = Arc::from(file_source_name(&config.path));
        let shared = Shared { source, reading: Arc::new(Current::new(reading)), complete, clock, counters };
        Ok(KongFileLog {
            config: config.clone(),
            shared: Arc::new(shared),
            sender,
            book,
            kept,
            is_handed_stored: AtomicBool::new(false),
        })
    }

    /// What gives it other settings while it runs.
    pub fn control(&self) -> SourceControl {
        SourceControl {
            reading: Arc::clone(&self.shared.reading),
            admission: None,
            counters: Arc::clone(&self.shared.counters),
        }
    }

    /// Its name, which the file is part of.
    pub fn name(&self) -> &str {
        &self.shared.source
    }

    /// The source's counters.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// Is told of a call that is stored already. The process may have ended between storing lines and noting that, and this call
    /// may be the first of them.
    pub fn remember(&self, call: &ApiCall<'_>) {
        let handed = self.kept.as_ref().and_then(|kept| kept.handed.as_ref());
        if handed.is_some_and(|handed| handed.first.is_of(call)) {
            self.is_handed_stored.store(true, Ordering::Relaxed);
        }
    }

    /// Reads until stopped. What was read then is stored, and what was not stays in the file.
    pub async fn run(self, stop: CancellationToken) {
        let poll = Duration::from_millis(self.config.poll_ms);
        let sender = self.sender.clone();
        let mut reader = apart(move || self.into_reader(Instant::now())).await;
        tracing::info!(
            path = %reader.path.display(),
            gateway = reader.shared.reading.get().normaliser.gateway(),
            "kong_file_log reads"
        );
        while !stop.is_cancelled() {
            let now = Instant::now();
            let gathered;
            (reader, gathered) = apart(move || {
                let gathered = reader.gather(now);
                (reader, gathered)
            })
            .await;
            let pause = match gathered {
                Ok(Some(stretch)) => {
                    // Else each line that comes would be noted and stored alone.
                    let is_all = stretch.is_at_end && reader.turn == 0;
                    match reader.settle(stretch, &sender).await {
                        true if is_all => poll,
                        true => Duration::ZERO,
                        false => RETRY,
                    }
                }
                Ok(None) => poll,
                Err(_) => RETRY,
            };
            if !pause.is_zero() {
                stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            }
        }
        apart(move || reader.leave()).await;
    }

    fn into_reader(self, now: Instant) -> Reader {
        let KongFileLog { config, shared, book, mut kept, is_handed_stored, sender } = self;
        // Whoever takes the lines waits for the last sender, and what follows may hang with the disk.
        drop(sender);
        let is_settled = kept.as_ref().is_some_and(|kept| kept.handed.is_none());
        if let Some(kept) = &mut kept
            && is_handed_stored.into_inner()
        {
            kept.settle();
        }
        let follow = Follow::resume(config.path.clone(), config.line_bytes_max, config.start, kept.as_ref(), now);
        Reader {
            path: config.path,
            shared,
            follow,
            turn: 0,
            book,
            // What the log says now it may not say for ever.
            written: kept.filter(|_| is_settled),
            buffer: vec![0; READ_BYTES],
            last_received_ms: 0,
            trouble: None,
        }
    }
}

/// Does what waits for the disk apart from the tasks that serve connections.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // It is never aborted.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The running part of a source.
struct Reader {
    path: PathBuf,
    shared: Arc<Shared>,
    follow: Follow,
    /// Which of the files is read next. Each is read to its end before the next one, so that older lines come first; and then it
    /// is the next one's turn, so that none that is still written to holds up the others.
    turn: usize,
    book: Book,
    /// What the book holds.
    written: Option<Positions>,
    buffer: Vec<u8>,
    /// When the last stretch of lines was read.
    last_received_ms: i64,
    /// Why files or positions could not be read or written the last time.
    trouble: Option<String>,
}

impl Reader {
    /// The next lines with calls, if there are any now; it is noted that they are handed on.
    fn gather(&mut self, now: Instant) -> io::Result<Option<Stretch>> {
        let gathered = self.read(now);
        if gathered.is_err() {
            self.rewind();
        }
        self.show(gathered.as_ref().err());
        gathered
    }

    fn read(&mut self, now: Instant) -> io::Result<Option<Stretch>> {
        self.follow.look(now)?;
        while self.turn < self.follow.files() {
            let file = self.turn;
            let (stretch, is_ended) = match self.read_file(file, now) {
                // It would hold up those after it.
                Err(error) if self.follow.is_rotated(file) => (None, self.follow.has_failed(file, &error, now)),
                read => read?,
            };
            match stretch {
                Some(stretch) if !is_ended => {
                    if stretch.batch.is_some() {
                        self.note(Some(&stretch))?;
                    }
                    if stretch.is_at_end {
                        self.turn = (file + 1) % self.follow.files();
                    }
                    return Ok(Some(stretch));
                }
                Some(stretch) => self.stored(stretch),
                None => {}
            }
            if is_ended {
                self.follow.forget(file);
            } else {
                self.turn += 1;
            }
        }
        self.turn = 0;
        self.note(None)?;
        Ok(None)
    }

    /// What was read and is not stored is read again, older files first.
    fn rewind(&mut self) {
        self.follow.rewind();
        self.turn = 0;
    }

    /// Reads a batch of lines from a file, or what there is; and whether that was all that will ever come.
    fn read_file(&mut self, file: usize, now: Instant) -> io::Result<(Option<Stretch>, bool)> {
        let received_ms = self.next_received_ms();
        let mut intake = Intake::new(&self.shared, received_ms);
        let Some(tail) = self.follow.tail(file) else { return Ok((None, false)) };
        let (mut pieces, mut is_at_end) = (0, false);
        while !is_at_end && !intake.is_full() && pieces < PIECES_MAX {
            is_at_end = tail.read(&mut self.buffer, |frame| intake.take(frame.content))? == 0;
            pieces += 1;
        }
        let is_read = is_at_end && tail.taken_bytes() == 0;
        self.follow.has_read(file, pieces > 1 || !is_at_end, now);
        let is_done = is_read && self.follow.is_done(file, now);
        let Some(tail) = self.follow.tail(file) else { return Ok((None, false)) };
        if is_done {
            tail.finish(|frame| intake.take(frame.content));
        }
        let (bytes, end) = (tail.taken_bytes(), tail.line_start());
        let stretch = (bytes > 0 || !intake.is_empty()).then(|| intake.end(file, bytes, end, is_at_end));
        if stretch.is_some() {
            self.last_received_ms = received_ms;
        }
        // An unfinished line that holds calls ends the file when these are stored.
        let is_ended = is_done && stretch.as_ref().is_none_or(|stretch| stretch.batch.is_none());
        Ok((stretch, is_ended))
    }

    /// The time at which lines are read. No two stretches have the same, so that the log tells them apart.
    fn next_received_ms(&self) -> i64 {
        let (now_ms, next_ms) = (self.shared.clock.now_ms(), self.last_received_ms + 1);
        // A clock that was set back is believed.
        if now_ms < next_ms && next_ms - now_ms < CLOCK_STEP_MS_MIN { next_ms } else { now_ms }
    }

    /// Keeps where everything is stored up to, and what is about to be handed on.
    fn note(&mut self, stretch: Option<&Stretch>) -> io::Result<()> {
        let handed = stretch.and_then(|stretch| {
            let first = stretch.first.clone()?;
            Some(Handed { file: stretch.file, end: stretch.end, first })
        });
        let Some(places) = self.follow.places()? else { return Ok(()) };
        let positions = Positions::new(places, handed);
        if self.written.as_ref() != Some(&positions) {
            self.book.write(&positions)?;
            self.written = Some(positions);
        }
        Ok(())
    }

    /// Hands lines on, and waits until they are stored; `false` if they are not, and stay in the file.
    async fn settle(&mut self, mut stretch: Stretch, sender: &Sender<Delivery>) -> bool {
        let Some(batch) = stretch.batch.take() else {
            self.stored(stretch);
            return true;
        };
        let (are_stored, answer) = oneshot::channel();
        let batches = vec![batch];
        // The file is the queue, so it may wait for room.
        let is_handed = sender.send(Delivery { batches, are_stored }).await.is_ok();
        if is_handed && answer.await == Ok(true) {
            self.stored(stretch);
            return true;
        }
        self.shared.counters.refused(Refusal::NotStored, self.shared.clock.now_ms());
        self.rewind();
        false
    }

    /// Lines are stored, or hold no calls: they count.
    fn stored(&mut self, stretch: Stretch) {
        if let Some(tail) = self.follow.tail(stretch.file) {
            tail.store(stretch.end);
        }
        stretch.ledger.count(&self.shared.counters, &stretch.reading.fields, stretch.received_ms);
    }

    /// Notes the last lines that were stored.
    fn leave(mut self) {
        if let Err(error) = self.note(None) {
            let path = self.path.display();
            tracing::warn!(%path, %error, "where the log was read up to is not noted; the next start asks outrider's own log");
        }
    }

    /// Shows how it is with the files.
    fn show(&mut self, error: Option<&io::Error>) {
        let trouble = error.map(ToString::to_string);
        if self.trouble != trouble {
            let path = self.path.display();
            match &trouble {
                Some(trouble) => {
                    tracing::error!(%path, trouble, "the log, or where it was read up to, is out of reach")
                }
                None => tracing::info!(%path, "the log can be read again"),
            }
            self.trouble = trouble;
        }
        // What cannot be looked at has said so above.
        let seen = self.follow.seen().unwrap_or_default();
        self.shared.counters.see_file(FileSeen {
            waiting_bytes: seen.waiting_bytes,
            rotated_files: seen.rotated_files as u64,
            rotations: seen.rotations,
            truncations: seen.truncations,
            given_up_files: seen.given_up,
            is_missing: seen.is_missing,
            problem: self.trouble.clone().or(seen.problem),
        });
    }
}
