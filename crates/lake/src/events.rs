//! The events table as its one writer sees it.

use std::fs::File;
use std::sync::{Arc, PoisonError, RwLock};

use deltalake::arrow::array::RecordBatch;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::place::{Location, Root};
use crate::schema::EVENTS;
use crate::table::{ImportMark, LakeError, Table};

/// The events table, open for writing by one owner.
pub struct Lake {
    location: Location,
    root: Root,
    table: Table,
    tail: Tail,
    /// Held as long as it lives.
    _lock: Option<File>,
}

impl Lake {
    /// Opens the lake, making the table on first use.
    pub fn open(lake: impl Into<Location>) -> BoxFuture<'static, Result<Lake, LakeError>> {
        let location = lake.into();
        async move { Lake::open_at(location, Tail::default(), None).await }.boxed()
    }

    /// The same for who is to be the only one that writes it, and refuses where somebody else does. `tail` may be asked already.
    pub fn open_alone(lake: impl Into<Location>, tail: Tail) -> BoxFuture<'static, Result<Lake, LakeError>> {
        let location = lake.into();
        async move {
            let lock = location.open()?.lock()?;
            Lake::open_at(location, tail, lock).await
        }
        .boxed()
    }

    async fn open_at(location: Location, tail: Tail, lock: Option<File>) -> Result<Lake, LakeError> {
        let root = location.open()?;
        root.claim().await?;
        let table = Table::open(&root, &EVENTS).await?;
        Ok(Lake { location, root, table, tail, _lock: lock })
    }

    /// The last log position that the table covers; 0 for a new table.
    pub fn position(&self) -> u64 {
        self.table.position()
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// What is not committed yet, for those who ask.
    pub fn tail(&self) -> Tail {
        self.tail.clone()
    }

    /// Lets queries see rows that cover the log up to `position` before they are committed.
    pub fn show(&self, rows: RecordBatch, position: u64) {
        self.tail.write(|batches| batches.push(TailBatch { position, rows }));
    }

    /// Commits rows that cover the log up to `position`, durably. Positions already covered are skipped.
    ///
    /// On error the same rows can be committed again: what became visible nevertheless is found then, and is not doubled.
    pub fn commit<'a>(&'a mut self, rows: &'a [RecordBatch], position: u64) -> BoxFuture<'a, Result<(), LakeError>> {
        let committed = async move {
            self.root.check_claim().await?;
            self.table.commit(rows, position, None).await?;
            self.tail.write(|batches| batches.retain(|batch| batch.position > position));
            Ok(())
        };
        committed.boxed()
    }

    /// Commits rows of a file that is imported, and with them how far that file is.
    pub fn commit_imported<'a>(
        &'a mut self,
        rows: &'a [RecordBatch],
        position: u64,
        mark: ImportMark<'a>,
    ) -> BoxFuture<'a, Result<(), LakeError>> {
        async move {
            self.root.check_claim().await?;
            self.table.commit(rows, position, Some(mark)).await
        }
        .boxed()
    }

    /// How many lines of a file are imported; 0 for one that the table has never seen.
    pub fn imported_lines<'a>(&'a self, file: &'a str) -> BoxFuture<'a, Result<u64, LakeError>> {
        async move { self.table.application(&ImportMark { file, lines: 0 }.application()).await }.boxed()
    }
}

/// Rows that the log has and the table does not have yet, in the order of the log. As many as a commit takes at most.
#[derive(Clone, Default)]
pub struct Tail(Arc<RwLock<Vec<TailBatch>>>);

/// The rows of whole log records.
#[derive(Clone)]
pub(crate) struct TailBatch {
    /// The log position that they end with.
    pub position: u64,
    pub rows: RecordBatch,
}

impl Tail {
    /// What is there now.
    pub(crate) fn batches(&self) -> Vec<TailBatch> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, change: impl FnOnce(&mut Vec<TailBatch>)) {
        // The list is changed in one piece, so a panic elsewhere leaves it good.
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::arrow_schema;

    fn no_rows() -> Vec<RecordBatch> {
        vec![RecordBatch::new_empty(arrow_schema())]
    }

    #[tokio::test]
    async fn after_a_commit_that_failed_half_way_the_table_is_asked_how_far_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let mut lake = Lake::open(directory.path()).await.unwrap();
        // What became visible without our knowing, as when the sync after it fails.
        let mut other = Lake::open(directory.path()).await.unwrap();
        other.commit(&no_rows(), 10).await.unwrap();
        lake.table.is_uncertain = true;
        lake.commit(&no_rows(), 10).await.unwrap();
        assert_eq!(lake.position(), 10);
        assert_eq!(lake.table.table.version(), other.table.table.version(), "it was not committed twice");
        lake.commit(&no_rows(), 11).await.unwrap();
        assert_eq!((lake.position(), lake.table.is_uncertain), (11, false));
        assert_eq!(Lake::open(directory.path()).await.unwrap().position(), 11);
    }
}
