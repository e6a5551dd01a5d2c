//! The platform's log: everything that a decision reads is a record in it, in one order (decision 8).
//!
//! It decides how records are numbered, stored, synced, found damaged, read and cut. It knows what kinds of records
//! there are and that batches of calls must not be stored twice (decision 11); it does not know what the records mean.
//!
//! [`Log`] is the log itself, for one thread. [`LogWriter`] puts it behind a queue: it syncs once for everybody who
//! waits and tells them their positions. [`LogReader`]s follow it, each at its own pace, and never see a record that is
//! not on stable storage. Why this is not a library: `docs/decisions/002-own-log.md`.

mod error;
mod frame;
mod group;
mod lock;
mod marks;
mod reader;
mod record;
mod segment;
mod settings;
mod shared;
mod storage;
mod writing;

#[cfg(test)]
mod tests;

pub use error::LogError;
pub use group::{Appended, LogHandle, LogWriter, Pending, QUEUE_BYTES_DEFAULT};
pub use marks::{EPOCHS_MAX, Marks, Verdict, epoch_of};
pub use reader::LogReader;
pub use record::{
    BATCH_BYTES_MAX, CallBatch, Calls, Gap, History, Missing, NewRecord, Position, RECORD_BYTES_MAX, Record, RecordKind,
};
pub use segment::{FORMAT_VERSION, extent};
pub use settings::{LogSettings, OnDamage};
pub use shared::{LogStats, OldestSegment};
pub use writing::{Log, Opened, Stored};
