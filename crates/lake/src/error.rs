//! What can go wrong with the lake.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use deltalake::DeltaTableError;
use deltalake::arrow::error::ArrowError;
use deltalake::datafusion::error::DataFusionError;
use deltalake::kernel::transaction::{CommitConflictError, TransactionError};

/// Why the lake could not be opened, written or asked.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The directory cannot be made or is not a directory.
    #[error("cannot use {path} for the lake: {source}; check that it is a directory this user may write")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Another process writes a lake in a directory.
    #[error(
        "another outrider writes the lake in {path}, and two cannot write one: stop that one, or give this data directory a \
         lake of its own in place of a link to that"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// What can be done to a lake in a directory alone.
    #[error(
        "{place} is in a bucket, where nobody can tell whether an outrider writes it; put the object back that is damaged, as from a \
         version of it that the store keeps"
    )]
    NotHere {
        /// The lake.
        place: String,
    },
    /// There is no lake.
    #[error("there is no lake at {place}; it is made by the first call that arrives while `lake.enabled` is on")]
    Missing {
        /// Where one was looked for.
        place: String,
    },
    /// A store cannot be reached, or refuses.
    #[error(
        "cannot {doing} {place}: {why}; check that the store is up and reached at `lake.endpoint`, that the bucket is there, \
         and that the keys may read, write, list and delete in it"
    )]
    Store {
        /// What was being done.
        doing: &'static str,
        /// The lake or the table.
        place: String,
        /// What the store or the way to it says. Its own errors say what they are made of, so it is none of them.
        why: String,
    },
    /// A store writes over what is there although it was told not to.
    #[error(
        "the store of {place} cannot hold a lake: it wrote over {object} although the put said `If-None-Match: *`, so a commit \
         could write over another one. Use a store that honours conditional puts, as Amazon S3 does, or a newer version of this \
         one; or leave `lake.url` out, so that the lake is in the data directory"
    )]
    NotConditional {
        /// The lake.
        place: String,
        /// What it was tried with.
        object: String,
    },
    /// Another installation writes there.
    #[error(
        "the lake at {place} is that of another outrider, installation {installation}, and two cannot write one. Name another \
         bucket or prefix in `lake.url`; or, if that one is gone for good and its lake is to go on here, delete {object}"
    )]
    WrittenByOther {
        /// The lake.
        place: String,
        /// Who writes there.
        installation: String,
        /// What says so.
        object: String,
    },
    /// What says how a store is reached cannot be used.
    #[error("cannot use what `lake` says of {place}: {why}")]
    Settings {
        /// The lake.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// The lake in a bucket has calls of records that this data directory did not write there, and would leave out its own for.
    #[error(
        "the lake at {place} goes up to record {position} and this data directory knows of {known}: it was restored from a backup \
         of before, or a copy of it has written there since. Name another bucket or prefix in `lake.url`, where a lake begins that \
         lacks the calls up to here; the lake of before stays readable for other engines, and goes on with the data directory that \
         wrote it last"
    )]
    Ahead {
        /// The lake.
        place: String,
        /// How far it is.
        position: u64,
        /// How far it may be.
        known: u64,
    },
    /// Another process of the same installation writes there since.
    #[error(
        "another outrider of this installation has begun to write the lake at {place}, as {object} says; nothing is committed \
         here any more, and calls wait in the log. Stop one of the two. This one starts again with that lake only if the other has \
         committed nothing there"
    )]
    TakenOver {
        /// The lake.
        place: String,
        /// What says so.
        object: String,
    },
    /// What names the writer is not there any more.
    #[error(
        "{object} is gone, which says who writes the lake at {place}; nothing is committed any more. Start outrider again"
    )]
    ClaimGone {
        /// The lake.
        place: String,
        /// What said so.
        object: String,
    },
    /// What names the writer is not ours.
    #[error("{object} is not what outrider writes there: {source}; name another prefix in `lake.url`, or delete it")]
    Claim {
        /// The object.
        object: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The table library failed.
    #[error("cannot {doing} the table at {place}: {source}")]
    Table {
        /// What was being done.
        doing: &'static str,
        /// Where the table is.
        place: String,
        /// What the library says.
        source: Box<DeltaTableError>,
    },
    /// The query engine failed at work of our own.
    #[error("cannot {doing} the table at {place}: {source}")]
    Engine {
        /// What was being done.
        doing: &'static str,
        /// Where the table is.
        place: String,
        /// What the engine says.
        source: Box<DataFusionError>,
    },
    /// A table of another schema lies there.
    #[error("the table at {place} is not one of this version: column `{column}` {problem}")]
    Schema {
        /// Where the table is.
        place: String,
        /// The first column that differs.
        column: String,
        /// How.
        problem: &'static str,
    },
    /// The rows could not be made into columns.
    #[error("cannot make columns of the calls: {0}")]
    Columns(#[from] ArrowError),
    /// A file could not be read, written or deleted, as a backup or an erasure does.
    #[error("cannot read or change {path}, which is of the lake: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// What was written could not be made durable.
    #[error("cannot sync {path}: {source}")]
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl LakeError {
    /// The lake's store cannot be reached now, or refuses, and may not later.
    pub fn is_away(&self) -> bool {
        matches!(self, LakeError::Store { .. })
    }

    /// Another try is of no use: who operates outrider has to do something first.
    pub fn is_lasting(&self) -> bool {
        use LakeError::{Ahead, Claim, InUse, NotConditional, Schema, Settings, WrittenByOther};
        matches!(
            self,
            Ahead { .. }
                | Claim { .. }
                | InUse { .. }
                | NotConditional { .. }
                | Schema { .. }
                | Settings { .. }
                | WrittenByOther { .. }
        )
    }

    /// The engine failed, as it does where it reads a damaged file.
    pub(crate) fn is_of_engine(&self) -> bool {
        matches!(self, LakeError::Engine { .. })
    }

    pub(crate) fn store(doing: &'static str, place: &str, source: object_store::Error) -> LakeError {
        let mut root: &dyn Error = &source;
        while let Some(below) = root.source() {
            root = below;
        }
        let (mut why, root) = (source.to_string(), root.to_string());
        if !why.contains(&root) {
            why = format!("{why}: {root}");
        }
        LakeError::Store { doing, place: place.to_owned(), why }
    }

    /// Files were taken out of the table while rows were added. The library takes the rows to depend on every file that was
    /// there; they depend on none.
    pub(crate) fn is_of_removed_files(&self) -> bool {
        let LakeError::Table { source, .. } = self else { return false };
        let DeltaTableError::Transaction { source } = source.as_ref() else { return false };
        matches!(source, TransactionError::CommitConflict(CommitConflictError::ConcurrentDeleteRead))
    }
}
