//! Why a platform cannot start.

use std::path::PathBuf;

use outrider_lake::{LakeError, QueryError};
use outrider_respond::notify::WebhookError;

use crate::analysis::AnalysisError;
use crate::log::{LogError, Position};
use crate::snapshots::SnapshotError;
use crate::store::StoreError;

/// Why a platform cannot start, or history cannot be imported into one.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The control store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lake cannot be opened.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Settings cannot be used.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// A snapshot cannot be used although it is whole.
    #[error(
        "a snapshot in {} cannot be used: {source}. Start the version that wrote it, or restore the data directory from a \
         backup that this version wrote",
        snapshots.display()
    )]
    Restore {
        /// Where snapshots are.
        snapshots: PathBuf,
        /// What is wrong with it.
        source: AnalysisError,
    },
    /// Snapshots cannot be read or written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// What the analysis knew is gone and cannot be made again from the log.
    #[error(
        "no usable snapshot of the analysis is left in {}, and the log begins at record {first}, so its state cannot be \
         made again. Restore the data directory from a backup; starting without it would release every active block",
        snapshots.display()
    )]
    StateLost {
        /// Where snapshots are looked for.
        snapshots: PathBuf,
        /// The oldest record of the log.
        first: Position,
    },
    /// The last run was killed, or its lake has not got every call, so that what it left has to be taken in first, which may
    /// bring something about.
    #[error(
        "outrider was not stopped cleanly on {}, or its lake was off or could not be written: record {record} of its log was not \
         taken in to the end. Start it with `lake.enabled`, mend what it says of the lake, stop it again when it has caught up, \
         and then import",
        data_dir.display()
    )]
    Unfinished {
        /// The data directory.
        data_dir: PathBuf,
        /// The first such record.
        record: Position,
    },
    /// Somebody is being erased, whose calls the lake may still have.
    #[error(
        "the erasure `{erasure}` is not done in {}, and what it is to take away would be learnt again. Start outrider, wait until \
         `outrider erase --status {erasure}` says that it is done, stop it, and then import",
        data_dir.display()
    )]
    Erasing {
        /// The data directory.
        data_dir: PathBuf,
        /// The erasure.
        erasure: String,
    },
    /// To learn everything again from what the lake holds would forget most of it.
    #[error(
        "the lake {lake} holds {held} calls, and what is normal was learnt from {before}. To learn it again from so much less \
         would forget the rest, so nothing was learnt and all stays as it was. Import the logs of what the lake lacks as well, or \
         say --from-less"
    )]
    LearnsLess {
        /// Where the lake is.
        lake: String,
        /// Calls in it.
        held: u64,
        /// Calls that were learnt from before.
        before: u64,
    },
    /// The calls of the lake cannot be gone through again.
    #[error("cannot learn from the calls in {lake}: {source}")]
    Learning {
        /// Where the lake is.
        lake: String,
        /// Why.
        source: QueryError,
    },
    /// Somebody who is to be told cannot be set up.
    #[error("notify: {0}")]
    Notify(#[from] WebhookError),
    /// A thread cannot be started or a file not be made.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the operating system says.
        source: std::io::Error,
    },
}
