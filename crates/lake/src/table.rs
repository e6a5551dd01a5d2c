//! The table on disk: opening, exactly-once commits, durability.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::error::ArrowError;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Transaction};
use deltalake::parquet::basic::{Compression, ZstdLevel};
use deltalake::parquet::file::properties::WriterProperties;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use deltalake::{DeltaTable, DeltaTableError};

use crate::schema::{EVENTS_TABLE, arrow_schema};

/// The application id under which a commit carries the log position that it covers.
const POSITION_APPLICATION: &str = "outrider-log";

/// Why the lake could not be opened or written.
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
    /// The table library failed.
    #[error("cannot {doing} the events table at {path}: {source}")]
    Table {
        /// What was being done.
        doing: &'static str,
        /// The table's directory.
        path: PathBuf,
        /// What the library says.
        source: Box<DeltaTableError>,
    },
    /// A table of another schema lies there.
    #[error("the table at {path} is not an events table of this version: column `{column}` {problem}")]
    Schema {
        /// The table's directory.
        path: PathBuf,
        /// The first column that differs.
        column: String,
        /// How.
        problem: &'static str,
    },
    /// The rows could not be made into columns.
    #[error("cannot make columns of the calls: {0}")]
    Columns(#[from] ArrowError),
    /// What was written could not be made durable.
    #[error("cannot sync {path}: {source}")]
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// The events table, open for writing by one owner.
pub struct Lake {
    path: PathBuf,
    table: DeltaTable,
    position: u64,
    /// A commit has failed half way, so the table on disk may be further than we know.
    is_uncertain: bool,
}

impl Lake {
    /// Opens the lake in a directory, making the table on first use.
    pub async fn open(directory: &Path) -> Result<Lake, LakeError> {
        let path = directory.join(EVENTS_TABLE);
        let directory_error = |source| LakeError::Directory { path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(directory_error)?;
        let path = path.canonicalize().map_err(directory_error)?;
        let url = url::Url::from_directory_path(&path)
            .map_err(|()| LakeError::Directory { path: path.clone(), source: io::ErrorKind::InvalidInput.into() })?;
        let failed = |doing| {
            let path = path.clone();
            move |source| LakeError::Table { doing, path, source: Box::new(source) }
        };
        let exists = std::fs::read_dir(path.join("_delta_log")).is_ok_and(|mut entries| {
            entries.any(|e| e.is_ok_and(|e| e.file_name().as_encoded_bytes().ends_with(b".json")))
        });
        let table = if exists {
            deltalake::open_table(url).await.map_err(failed("open"))?
        } else {
            create(url).await.map_err(failed("create"))?
        };
        check_schema(&table, &path)?;
        sync_directory(&path.join("_delta_log"))?;
        sync_directory(&path)?;
        let position = position_of(&table).await.map_err(failed("read the position of"))?;
        Ok(Lake { path, table, position, is_uncertain: false })
    }

    /// The last log position that the table covers; 0 for a new table.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The table's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Commits rows that cover the log up to `position`, durably. Positions already covered are skipped.
    ///
    /// On error the same rows can be committed again: what became visible nevertheless is found then, and is not doubled.
    pub async fn commit(&mut self, rows: &RecordBatch, position: u64) -> Result<(), LakeError> {
        if self.is_uncertain {
            self.look_again().await?;
        }
        if position <= self.position {
            return Ok(());
        }
        self.is_uncertain = true;
        self.write(rows, position).await?;
        self.is_uncertain = false;
        Ok(())
    }

    /// Reads how far the table on disk is, and makes sure that it will still be after a power loss.
    async fn look_again(&mut self) -> Result<(), LakeError> {
        let path = self.path.clone();
        let failed = |doing| move |source| LakeError::Table { doing, path: path.clone(), source: Box::new(source) };
        self.table.load().await.map_err(failed.clone()("read"))?;
        let log = self.path.join("_delta_log");
        if let Some(version) = self.table.version() {
            sync_file(&log.join(format!("{version:020}.json")))?;
        }
        sync_directory(&log)?;
        self.position = position_of(&self.table).await.map_err(failed("read the position of"))?;
        self.is_uncertain = false;
        Ok(())
    }

    async fn write(&mut self, rows: &RecordBatch, position: u64) -> Result<(), LakeError> {
        let path = self.path.clone();
        let failed = |doing| {
            let path = path.clone();
            move |source| LakeError::Table { doing, path, source: Box::new(source) }
        };
        let mut writer = RecordBatchWriter::for_table(&self.table)
            .map_err(failed("write"))?
            .with_writer_properties(writer_properties());
        writer.write(rows.clone()).await.map_err(failed("write"))?;
        let added = writer.flush().await.map_err(failed("write"))?;
        for file in &added {
            let file = self.path.join(&file.path);
            sync_file(&file)?;
            if let Some(partition) = file.parent() {
                sync_directory(partition)?;
            }
        }
        sync_directory(&self.path)?;
        let properties = CommitProperties::default()
            .with_application_transaction(Transaction::new(POSITION_APPLICATION, position.cast_signed()));
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec!["event_date".to_owned()]),
            predicate: None,
        };
        let snapshot = self.table.snapshot().map_err(failed("read"))?;
        let committed = CommitBuilder::from(properties)
            .with_actions(added.into_iter().map(Action::Add).collect())
            .build(Some(snapshot), self.table.log_store(), operation)
            .await
            .map_err(failed("commit to"))?;
        let log = self.path.join("_delta_log");
        sync_file(&log.join(format!("{:020}.json", committed.version())))?;
        sync_directory(&log)?;
        self.table.state = Some(committed.snapshot());
        self.position = position;
        Ok(())
    }
}

/// The files that make up the table at one version, relative to the directory of the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeFiles {
    /// The log position that this version covers.
    pub position: u64,
    /// All files: those of the transaction log up to the version, and the rows.
    pub files: Vec<PathBuf>,
}

/// Names the files of the table's newest version, without changing anything; `None` where there is no table. Nothing
/// that one version needs is ever changed, so they can be copied while calls are committed.
pub async fn files(directory: &Path) -> Result<Option<LakeFiles>, LakeError> {
    let path = directory.join(EVENTS_TABLE);
    let log = path.join("_delta_log");
    if !log.is_dir() {
        return Ok(None);
    }
    let path = path.canonicalize().map_err(|source| LakeError::Directory { path: path.clone(), source })?;
    let url = url::Url::from_directory_path(&path)
        .map_err(|()| LakeError::Directory { path: path.clone(), source: io::ErrorKind::InvalidInput.into() })?;
    let failed = |source| LakeError::Table { doing: "read", path: path.clone(), source: Box::new(source) };
    let table = deltalake::open_table(url).await.map_err(failed)?;
    let version = table.version().unwrap_or(0);
    let position = position_of(&table).await.map_err(failed)?;
    let table_name = Path::new(EVENTS_TABLE);
    let relative = |uri: String| {
        let uri = uri.strip_prefix("file://").unwrap_or(&uri).to_owned();
        Path::new(&uri).strip_prefix(&path).map(|rest| table_name.join(rest)).unwrap_or_else(|_| PathBuf::from(uri))
    };
    let mut files: Vec<_> = table.get_file_uris().map_err(failed)?.map(relative).collect();
    for entry in std::fs::read_dir(&log).map_err(|source| LakeError::Directory { path: log.clone(), source })? {
        let name = entry.map_err(|source| LakeError::Directory { path: log.clone(), source })?.file_name();
        // `<version>.json`, or `<version>.checkpoint…`.
        let of_version = name.to_str().and_then(|name| name.get(..20)).and_then(|digits| digits.parse().ok());
        if of_version.is_some_and(|of: i64| of <= version as i64) {
            files.push(table_name.join("_delta_log").join(name));
        }
    }
    Ok(Some(LakeFiles { position, files }))
}

/// The log position that the table says it covers; 0 for a new one.
async fn position_of(table: &DeltaTable) -> Result<u64, DeltaTableError> {
    let version = table.snapshot()?.transaction_version(table.log_store().as_ref(), POSITION_APPLICATION).await?;
    Ok(version.unwrap_or(0).max(0).cast_unsigned())
}

async fn create(url: url::Url) -> Result<DeltaTable, DeltaTableError> {
    use deltalake::kernel::StructType;
    use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;

    let schema: StructType = arrow_schema().as_ref().try_into_kernel()?;
    deltalake::operations::create::CreateBuilder::new()
        .with_location(url)
        .with_table_name(EVENTS_TABLE)
        .with_comment("API calls seen by outrider: one row a call, immutable")
        .with_columns(schema.fields().cloned())
        .with_partition_columns(["event_date"])
        .await
}

/// Refuses a table that this version would write wrongly. Columns that it does not know are left alone.
fn check_schema(table: &DeltaTable, path: &Path) -> Result<(), LakeError> {
    let failed =
        |source| LakeError::Table { doing: "read the schema of", path: path.to_owned(), source: Box::new(source) };
    let found = table.snapshot().map_err(failed)?.schema();
    for column in arrow_schema().fields() {
        if found.field(column.name()).is_none() {
            let column = column.name().clone();
            return Err(LakeError::Schema { path: path.to_owned(), column, problem: "is missing" });
        }
    }
    Ok(())
}

fn writer_properties() -> WriterProperties {
    // Level 1: columns of repeated texts compress well at any level, and this runs beside the analysis.
    let level = ZstdLevel::try_new(1).unwrap_or_default();
    WriterProperties::builder().set_compression(Compression::ZSTD(level)).build()
}

fn sync_file(path: &Path) -> Result<(), LakeError> {
    File::open(path).and_then(|f| f.sync_all()).map_err(|source| LakeError::Sync { path: path.to_owned(), source })
}

fn sync_directory(path: &Path) -> Result<(), LakeError> {
    sync_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_rows() -> RecordBatch {
        RecordBatch::new_empty(arrow_schema())
    }

    #[tokio::test]
    async fn after_a_commit_that_failed_half_way_the_table_is_asked_how_far_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let mut lake = Lake::open(directory.path()).await.unwrap();
        // What became visible without our knowing, as when the sync after it fails.
        let mut other = Lake::open(directory.path()).await.unwrap();
        other.commit(&no_rows(), 10).await.unwrap();
        lake.is_uncertain = true;
        lake.commit(&no_rows(), 10).await.unwrap();
        assert_eq!(lake.position(), 10);
        assert_eq!(lake.table.version(), other.table.version(), "it was not committed twice");
        lake.commit(&no_rows(), 11).await.unwrap();
        assert_eq!((lake.position(), lake.is_uncertain), (11, false));
        assert_eq!(Lake::open(directory.path()).await.unwrap().position(), 11);
    }
}
