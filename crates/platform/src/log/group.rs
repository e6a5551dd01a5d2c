//! Group commit: one thread writes for everybody, with one sync for all who wait.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot, watch};

use super::shared::{OldestSegment, Shared, count};
use super::writing::stored_bytes;
use super::{Log, LogError, LogReader, LogStats, NewRecord, OnDamage, Position, Stored};

/// How many bytes may wait to be written, unless told otherwise.
pub const QUEUE_BYTES_DEFAULT: usize = 64 * 1024 * 1024;

/// What a request costs in the queue at least, so that the queue's length is limited as well as its size.
const REQUEST_BYTES_MIN: usize = 1024;

/// A commit takes no further requests beyond this size, so that those who wait do not wait long.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// What became of a request. It is on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The last record of the request; for a request of duplicates only, a record at or behind the stored ones.
    pub last: Position,
    /// How many records were added.
    pub records: u32,
    /// How many batches were stored already.
    pub duplicates: u32,
    /// How many calls were missing before the batches.
    pub missing_calls: u64,
}

type Reply<T> = oneshot::Sender<Result<T, LogError>>;

enum Request {
    Append { records: Vec<NewRecord>, reply: Reply<Appended>, permit: OwnedSemaphorePermit },
    Cut { below: Position, reply: Reply<u64> },
    EndSegment { with: Position, reply: Reply<()> },
    Stop,
}

/// The log's writer thread.
pub struct LogWriter {
    handle: LogHandle,
    thread: Option<JoinHandle<()>>,
}

/// Appends to the log through its writer thread, from anywhere.
#[derive(Clone)]
pub struct LogHandle {
    sender: UnboundedSender<Request>,
    /// The bound of the channel: bytes that may wait.
    room: Arc<Semaphore>,
    queue_bytes_max: usize,
    shared: Arc<Shared>,
    on_damage: OnDamage,
}

/// A request that is on its way.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<Appended, LogError>>);

impl LogWriter {
    /// Starts the thread. `queue_bytes_max` bounds what may wait to be written.
    pub fn start(log: Log, queue_bytes_max: usize) -> Result<LogWriter, LogError> {
        if !(REQUEST_BYTES_MIN..=1024 * 1024 * 1024).contains(&queue_bytes_max) {
            return Err(LogError::Setting {
                setting: "queue_bytes_max",
                why: format!("{queue_bytes_max} is out of range; use 1024 to 1073741824"),
            });
        }
        let (sender, requests) = unbounded_channel();
        let handle = LogHandle {
            sender,
            room: Arc::new(Semaphore::new(queue_bytes_max)),
            queue_bytes_max,
            shared: Arc::clone(log.shared()),
            on_damage: log.on_damage(),
        };
        let dir = log.dir().to_owned();
        let writing = Writing { log, waiting: Vec::new(), failing: false };
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writing.run(requests))
            .map_err(|error| LogError::io("starting the writer of", &dir, error))?;
        Ok(LogWriter { handle, thread: Some(thread) })
    }

    /// Something to append with.
    pub fn handle(&self) -> LogHandle {
        self.handle.clone()
    }

    /// Takes no more requests, writes what is queued and closes the log. Blocks until that is done. Says `false` where the
    /// thread has panicked, so that nobody knows what it left.
    pub fn stop(mut self) -> bool {
        self.stop_and_wait()
    }

    fn stop_and_wait(&mut self) -> bool {
        let _ = self.handle.sender.send(Request::Stop);
        let is_well = self.thread.take().is_none_or(|thread| thread.join().is_ok());
        if !is_well {
            tracing::error!("the log's writer thread panicked");
        }
        is_well
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.stop_and_wait();
    }
}

impl LogHandle {
    /// Appends records and waits until they are on stable storage. Waits for room in the queue first.
    pub async fn append(&self, records: Vec<NewRecord>) -> Result<Appended, LogError> {
        let bytes = self.charge(&records)?;
        let permit = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| LogError::Closed)?;
        self.send(records, permit)?.await
    }

    /// Appends records without ever waiting for room: where there is none, it refuses and counts (invariant 1). What
    /// it returns says when they are on stable storage.
    pub fn try_append(&self, records: Vec<NewRecord>) -> Result<Pending, LogError> {
        let bytes = self.charge(&records)?;
        match Arc::clone(&self.room).try_acquire_many_owned(bytes) {
            Ok(permit) => self.send(records, permit),
            Err(TryAcquireError::NoPermits) => {
                count(&self.shared.counters.refused_busy, 1);
                Err(LogError::Busy { limit: self.queue_bytes_max })
            }
            Err(TryAcquireError::Closed) => Err(LogError::Closed),
        }
    }

    /// Deletes the segments all of whose records are before a position. Says how many bytes that gave back.
    pub async fn cut_below(&self, below: Position) -> Result<u64, LogError> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Request::Cut { below, reply }).map_err(|_| LogError::Closed)?;
        answer.await.map_err(|_| LogError::Closed)?
    }

    /// Lets the next record begin a segment where the present one holds a record, so that it can be cut.
    pub async fn end_segment_with(&self, with: Position) -> Result<(), LogError> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Request::EndSegment { with, reply }).map_err(|_| LogError::Closed)?;
        answer.await.map_err(|_| LogError::Closed)?
    }

    /// A reader that follows the log, from a record on; [`Position::ZERO`] is the oldest one kept.
    pub fn reader(&self, from: Position) -> LogReader {
        LogReader::following(Arc::clone(&self.shared), from, self.on_damage)
    }

    /// The oldest segment, if it can be cut: the last one always stays.
    pub fn oldest_segment(&self) -> Option<OldestSegment> {
        self.shared.oldest_segment()
    }

    /// Follows the newest record on stable storage.
    pub fn durable(&self) -> watch::Receiver<Position> {
        self.shared.watch()
    }

    /// The log in numbers.
    pub fn stats(&self) -> LogStats {
        self.shared.stats()
    }

    /// What a request takes of the queue's bound.
    fn charge(&self, records: &[NewRecord]) -> Result<u32, LogError> {
        let bytes = stored_bytes(records).max(REQUEST_BYTES_MIN);
        if bytes > self.queue_bytes_max {
            count(&self.shared.counters.refused_other, 1);
            return Err(LogError::TooLarge { bytes, limit: self.queue_bytes_max });
        }
        // The queue's bound is at most 1 GiB, so this fits.
        Ok(bytes as u32)
    }

    fn send(&self, records: Vec<NewRecord>, permit: OwnedSemaphorePermit) -> Result<Pending, LogError> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Request::Append { records, reply, permit }).map_err(|_| LogError::Closed)?;
        Ok(Pending(answer))
    }
}

impl Pending {
    /// Waits on a thread that runs no async code.
    pub fn wait_blocking(self) -> Result<Appended, LogError> {
        self.0.blocking_recv().map_err(|_| LogError::Closed)?
    }
}

impl Future for Pending {
    type Output = Result<Appended, LogError>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(context).map(|answer| answer.map_err(|_| LogError::Closed)?)
    }
}

/// The writer thread's own.
struct Writing {
    log: Log,
    waiting: Vec<(Stored, Reply<Appended>, OwnedSemaphorePermit)>,
    failing: bool,
}

impl Writing {
    fn run(mut self, mut requests: UnboundedReceiver<Request>) {
        while let Some(request) = requests.blocking_recv() {
            let mut bytes = self.take(request, &mut requests);
            while bytes < COMMIT_BYTES
                && let Ok(request) = requests.try_recv()
            {
                bytes += self.take(request, &mut requests);
            }
            self.settle();
        }
    }

    /// Says how many bytes it added to the commit.
    fn take(&mut self, request: Request, requests: &mut UnboundedReceiver<Request>) -> usize {
        match request {
            Request::Append { records, reply, permit } => {
                let bytes = stored_bytes(&records);
                if self.log.must_sync_before(bytes) {
                    self.settle();
                }
                match self.log.append(&records) {
                    Ok(stored) => self.waiting.push((stored, reply, permit)),
                    // Whoever stopped waiting does not need the answer; so below.
                    Err(error) => drop(reply.send(Err(error))),
                }
                bytes
            }
            Request::Cut { below, reply } => {
                drop(reply.send(self.log.cut_below(below)));
                0
            }
            Request::EndSegment { with, reply } => {
                self.settle();
                self.log.end_segment_with(with);
                drop(reply.send(Ok(())));
                0
            }
            Request::Stop => {
                requests.close();
                0
            }
        }
    }

    /// Commits, and tells everybody who waits.
    fn settle(&mut self) {
        let result = self.log.sync();
        match &result {
            Err(error) if !self.failing => tracing::error!(%error, "the log cannot store records"),
            Ok(_) if self.failing => tracing::info!("the log stores records again"),
            _ => {}
        }
        self.failing = result.is_err();
        let durable = self.log.durable();
        for (stored, reply, permit) in self.waiting.drain(..) {
            let Stored { last, records, duplicates, missing_calls } = stored;
            let answer = match &result {
                Err(error) if last > durable => Err(error.clone()),
                _ => Ok(Appended { last, records, duplicates, missing_calls }),
            };
            drop(reply.send(answer));
            drop(permit);
        }
    }
}
