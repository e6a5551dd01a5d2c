use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Position;

/// What went wrong with the log. The text says what, where and what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// Another process has the directory.
    #[error(
        "the log in {} is in use by process {pid}; stop that process or choose another data directory",
        dir.display()
    )]
    Locked {
        /// The log's directory.
        dir: PathBuf,
        /// The holder's process id as it wrote it; 0 when it cannot be read.
        pid: u32,
    },
    /// The operating system refused something.
    #[error("{operation} {} failed: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Why it failed. Shared, because one failed commit has many waiters.
        source: Arc<io::Error>,
    },
    /// The disk is full. Nothing of the commit was kept; the log goes on once there is space.
    #[error("the disk of {} is full; the records were not stored. Free space and the log goes on by itself", path.display())]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// Stable storage did not confirm a commit. The segment is abandoned and a new one is begun (decision 002).
    #[error(
        "{} could not be synced ({source}); the records were not stored. The log goes on in a new segment; check the disk",
        path.display()
    )]
    Sync {
        /// The abandoned segment.
        path: PathBuf,
        /// Why it failed.
        source: Arc<io::Error>,
    },
    /// The log has reached its size limit.
    #[error(
        "the log holds {bytes} of at most {limit} bytes and takes no more calls until its slowest consumer has caught up; \
         raise `log.total_bytes_max` or look at the consumer that lags"
    )]
    Full {
        /// Its size.
        bytes: u64,
        /// The limit for this kind of record.
        limit: u64,
    },
    /// More is waiting to be written than the queue may hold.
    #[error("the log's queue is full ({limit} bytes wait to be written); the disk is too slow for what comes in")]
    Busy {
        /// The queue's limit in bytes.
        limit: usize,
    },
    /// A record is larger than the log takes.
    #[error("a record of {bytes} bytes is too large; the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A batch repeats a part of what is stored and adds to it: its range is not the one that was fixed when it was spooled.
    #[error(
        "batch {first}..={last} of collector epoch {epoch:#x} overlaps what is stored up to {mark}; \
         a batch keeps its range when it is sent again"
    )]
    Overlap {
        /// The collector epoch.
        epoch: u64,
        /// The batch's first call.
        first: u64,
        /// The batch's last call.
        last: u64,
        /// The last stored call of that epoch.
        mark: u64,
    },
    /// A batch holds no calls, or names a range that ends before it begins or that no collector comes to.
    #[error("batch {first}..={last} of collector epoch {epoch:#x} is no range of calls")]
    Range {
        /// The collector epoch.
        epoch: u64,
        /// The batch's first call.
        first: u64,
        /// The batch's last call.
        last: u64,
    },
    /// A segment was written by a newer build.
    #[error(
        "{} has format version {found} and this build reads version {supported}; it was written by a newer outrider; \
         start that version",
        path.display()
    )]
    NewerFormat {
        /// The segment.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// What this build reads.
        supported: u32,
    },
    /// Stored bytes are not what was written.
    #[error(
        "{} is damaged at byte {offset} ({why}): record {position} cannot be read. Restore the file from a backup, \
         or set `log.on_damage = \"skip\"` to go on without the damaged records, which are then counted as a gap",
        path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// The record that should be there.
        position: Position,
        /// What is wrong with the bytes.
        why: &'static str,
    },
    /// The directory holds segments that do not follow each other, or a file that is no segment.
    #[error("{} is no part of this log: {why}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The record asked for was cut away.
    #[error("record {wanted} is no longer in the log, which begins at {first}")]
    Cut {
        /// What was asked for.
        wanted: Position,
        /// The oldest record kept.
        first: Position,
    },
    /// The log ends before what its consumers have already seen.
    #[error(
        "the log ends with record {last} and what was made of it goes up to record {seen}: it is an older copy. \
         Restore log, control store and snapshots from the same backup, or move all of the log away to begin a new one"
    )]
    Behind {
        /// The log's last record.
        last: Position,
        /// The last record that a consumer has seen.
        seen: Position,
    },
    /// A record's payload is not what its kind promises.
    #[error("record {position} does not hold a {expected}: {why}")]
    Payload {
        /// The record.
        position: Position,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A value cannot be written as JSON.
    #[error("a {what} cannot be written as JSON: {why}")]
    Unencodable {
        /// What it is.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// A setting cannot work.
    #[error("log setting `{setting}`: {why}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What is wrong and what to write instead.
        why: String,
    },
    /// The writer has stopped; nothing is stored any more.
    #[error("the log has been closed")]
    Closed,
}

impl LogError {
    /// Wraps an error of the operating system, naming a full disk as what it is.
    pub(super) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LogError::DiskFull { path: path.to_owned() },
            _ => LogError::Io { operation, path: path.to_owned(), source: Arc::new(source) },
        }
    }
}
