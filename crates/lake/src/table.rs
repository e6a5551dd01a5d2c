//! A table on disk: opening, evolving, exactly-once commits, replacing files, durability.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, RecordBatch, new_null_array};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{Field, SchemaRef};
use deltalake::arrow::error::ArrowError;
use deltalake::datafusion::error::DataFusionError;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::transaction::{CommitBuilder, CommitConflictError, CommitProperties, TransactionError};
use deltalake::kernel::{Action, Add, Remove, StructType, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use deltalake::{DeltaTable, DeltaTableError, TableProperty};

use crate::schema::{PARTITION, TableShape};

/// How long versions of a table stay readable one by one, and how long files that the newest does not name any more stay:
/// for queries, copies and other readers that began before a change.
const KEPT: [(TableProperty, &str); 2] = [
    (TableProperty::LogRetentionDuration, "interval 1 days"),
    (TableProperty::DeletedFileRetentionDuration, "interval 1 hours"),
];

/// How often rows are committed where files are taken out of the table meanwhile.
const COMMIT_TRIES: usize = 16;

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
    /// There is no lake.
    #[error("there is no lake at {path}; it is made by the first call that arrives while `lake.enabled` is on")]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// The table library failed.
    #[error("cannot {doing} the table at {path}: {source}")]
    Table {
        /// What was being done.
        doing: &'static str,
        /// The table's directory.
        path: PathBuf,
        /// What the library says.
        source: Box<DeltaTableError>,
    },
    /// The query engine failed at work of our own.
    #[error("cannot {doing} the table at {path}: {source}")]
    Engine {
        /// What was being done.
        doing: &'static str,
        /// The table's directory.
        path: PathBuf,
        /// What the engine says.
        source: Box<DataFusionError>,
    },
    /// A table of another schema lies there.
    #[error("the table at {path} is not one of this version: column `{column}` {problem}")]
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
    /// What is erased could not be taken off the disk.
    #[error("cannot take what is erased off the disk at {path}: {source}")]
    Purge {
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

/// How far a file is imported. It is committed with the rows that it speaks of, so neither is there without the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportMark<'a> {
    /// Which file, by its content.
    pub file: &'a str,
    /// The calls of so many of its lines are in the table.
    pub lines: u64,
}

impl ImportMark<'_> {
    /// The application id under which commits carry it.
    pub(crate) fn application(&self) -> String {
        format!("outrider-import-{}", self.file)
    }
}

impl LakeError {
    /// Files were taken out of the table while rows were added. The library takes the rows to depend on every file that was
    /// there; they depend on none.
    fn is_of_removed_files(&self) -> bool {
        let LakeError::Table { source, .. } = self else { return false };
        let DeltaTableError::Transaction { source } = source.as_ref() else { return false };
        matches!(source, TransactionError::CommitConflict(CommitConflictError::ConcurrentDeleteRead))
    }
}

/// A table, open for writing.
pub(crate) struct Table {
    pub(crate) shape: &'static TableShape,
    pub(crate) path: PathBuf,
    pub(crate) table: DeltaTable,
    position: u64,
    /// A commit has failed half way, so the table on disk may be further than we know.
    pub(crate) is_uncertain: bool,
}

impl Table {
    /// Opens the table below a directory, making it on first use, and gives it the columns that this version has more.
    pub(crate) async fn open(directory: &Path, shape: &'static TableShape) -> Result<Table, LakeError> {
        let path = directory.join(shape.name);
        let directory_error = |source| LakeError::Directory { path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(directory_error)?;
        let path = path.canonicalize().map_err(directory_error)?;
        let table = match has_versions(&path) {
            true => load(&path).await?,
            false => create(&path, shape).await?,
        };
        let table = evolve(table, &path, shape).await?;
        sync_path(&path.join("_delta_log"))?;
        sync_path(&path)?;
        let position = position_of(&table, &path, shape).await?;
        Ok(Table { shape, path, table, position, is_uncertain: false })
    }

    /// The last log position that the table covers; 0 for a new table.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Commits rows that cover the log up to `position`, durably. Positions already covered are skipped.
    ///
    /// On error the same rows can be committed again: what became visible nevertheless is found then, and is not doubled.
    /// `mark` is of a file that the rows are from.
    pub(crate) async fn commit(
        &mut self,
        rows: &[RecordBatch],
        position: u64,
        mark: Option<ImportMark<'_>>,
    ) -> Result<(), LakeError> {
        self.commit_each(rows.iter().cloned().map(Ok), position, mark).await
    }

    /// The same with rows that are made as they are written.
    pub(crate) async fn commit_each(
        &mut self,
        rows: impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send,
        position: u64,
        mark: Option<ImportMark<'_>>,
    ) -> Result<(), LakeError> {
        if self.is_uncertain {
            self.refresh().await?;
        }
        if position <= self.position {
            return Ok(());
        }
        self.is_uncertain = true;
        let mut writer = self.writer()?;
        let schema = writer.arrow_schema();
        for batch in rows {
            writer.write(conform(&batch?, &schema)?).await.map_err(self.failed("write"))?;
        }
        let added: Vec<_> = self.flush(&mut writer).await?.into_iter().map(Action::Add).collect();
        for tries_left in (0..COMMIT_TRIES).rev() {
            let transaction = Transaction::new(self.shape.position_application, position.cast_signed());
            let mut properties = CommitProperties::default().with_application_transaction(transaction);
            if let Some(mark) = mark {
                let transaction = Transaction::new(mark.application(), mark.lines.cast_signed());
                properties = properties.with_application_transaction(transaction);
            }
            let operation = DeltaOperation::Write {
                mode: SaveMode::Append,
                partition_by: Some(vec![PARTITION.to_owned()]),
                predicate: None,
            };
            match self.put(added.clone(), properties, operation).await {
                Ok(()) => break,
                Err(error) if tries_left > 0 && error.is_of_removed_files() => self.refresh().await?,
                Err(error) => return Err(error),
            }
            self.is_uncertain = true;
        }
        self.position = position;
        self.is_uncertain = false;
        Ok(())
    }

    /// The number that the newest commit of an application carries; 0 for one that has never committed.
    pub(crate) async fn application(&self, application: &str) -> Result<u64, LakeError> {
        application_version(&self.table, &self.path, application).await
    }

    /// Puts files in the place of others, or takes files away where none are put. They hold the same rows unless what takes
    /// the others away says that data changes.
    pub(crate) async fn replace(
        &mut self,
        removed: Vec<Remove>,
        added: Vec<Add>,
        operation: DeltaOperation,
    ) -> Result<(), LakeError> {
        let data_change = removed.iter().any(|remove| remove.data_change);
        let added = added.into_iter().map(|add| Action::Add(Add { data_change, ..add }));
        let actions = removed.into_iter().map(Action::Remove).chain(added).collect();
        self.put(actions, CommitProperties::default(), operation).await
    }

    /// A writer of files of this table; [`Table::flush`] makes what it wrote durable.
    pub(crate) fn writer(&self) -> Result<RecordBatchWriter, LakeError> {
        let writer = RecordBatchWriter::for_table(&self.table).map_err(self.failed("write"))?;
        Ok(writer.with_writer_properties(self.shape.writer_properties()))
    }

    /// Ends a writer's files and makes them durable, before a commit names them.
    pub(crate) async fn flush(&self, writer: &mut RecordBatchWriter) -> Result<Vec<Add>, LakeError> {
        let added = writer.flush().await.map_err(self.failed("write"))?;
        for file in &added {
            let file = self.path.join(&file.path);
            sync_path(&file)?;
            if let Some(partition) = file.parent() {
                sync_path(partition)?;
            }
        }
        sync_path(&self.path)?;
        Ok(added)
    }

    /// Reads how far the table on disk is, and makes sure that it will still be after a power loss.
    pub(crate) async fn refresh(&mut self) -> Result<(), LakeError> {
        (self.table, self.position) = newest(self.table.clone(), &self.path, self.shape).await?;
        let log = self.path.join("_delta_log");
        if let Some(version) = self.table.version() {
            sync_path(&log.join(format!("{version:020}.json")))?;
        }
        sync_path(&log)?;
        self.is_uncertain = false;
        Ok(())
    }

    async fn put(
        &mut self,
        actions: Vec<Action>,
        properties: CommitProperties,
        operation: DeltaOperation,
    ) -> Result<(), LakeError> {
        let snapshot = self.table.snapshot().map_err(self.failed("read"))?;
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(snapshot), self.table.log_store(), operation)
            .await
            .map_err(self.failed("commit to"))?;
        let log = self.path.join("_delta_log");
        sync_path(&log.join(format!("{:020}.json", committed.version())))?;
        sync_path(&log)?;
        self.table.state = Some(committed.snapshot());
        Ok(())
    }

    pub(crate) fn failed(&self, doing: &'static str) -> impl Fn(DeltaTableError) -> LakeError + use<> {
        table_error(&self.path, doing)
    }
}

pub(crate) fn table_error(path: &Path, doing: &'static str) -> impl Fn(DeltaTableError) -> LakeError + use<> {
    let path = path.to_owned();
    move |source| LakeError::Table { doing, path: path.clone(), source: Box::new(source) }
}

/// Whether a table has ever been written there.
pub(crate) fn has_versions(path: &Path) -> bool {
    std::fs::read_dir(path.join("_delta_log")).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().as_encoded_bytes().ends_with(b".json")))
    })
}

/// Loads the newest version of a table that is there.
pub(crate) async fn load(path: &Path) -> Result<DeltaTable, LakeError> {
    deltalake::open_table(url_of(path)?).await.map_err(table_error(path, "open"))
}

/// The newest version of a table that is known, and the log position that it covers.
pub(crate) async fn newest(
    mut known: DeltaTable,
    path: &Path,
    shape: &TableShape,
) -> Result<(DeltaTable, u64), LakeError> {
    if known.update_state().await.is_ok()
        && let Ok(position) = position_of(&known, path, shape).await
    {
        return Ok((known, position));
    }
    // What is known may rest on files of the table's log that an erasure has taken away since.
    let table = load(path).await?;
    let position = position_of(&table, path, shape).await?;
    Ok((table, position))
}

pub(crate) fn url_of(path: &Path) -> Result<url::Url, LakeError> {
    let invalid = || LakeError::Directory { path: path.to_owned(), source: io::ErrorKind::InvalidInput.into() };
    url::Url::from_directory_path(path).map_err(|()| invalid())
}

/// The log position that the table says it covers; 0 for a new one.
pub(crate) async fn position_of(table: &DeltaTable, path: &Path, shape: &TableShape) -> Result<u64, LakeError> {
    application_version(table, path, shape.position_application).await
}

async fn application_version(table: &DeltaTable, path: &Path, application: &str) -> Result<u64, LakeError> {
    let failed = table_error(path, "read the position of");
    let snapshot = table.snapshot().map_err(&failed)?;
    let version = snapshot.transaction_version(table.log_store().as_ref(), application).await.map_err(&failed)?;
    Ok(version.unwrap_or(0).max(0).cast_unsigned())
}

/// The batch with the columns of `schema`, in its order: those that it lacks are null.
///
/// A table may have more columns than this version writes, as when an operator adds one.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |field: &Arc<Field>| -> Result<ArrayRef, ArrowError> {
        match batch.column_by_name(field.name()) {
            // The engine has several forms of a text.
            Some(column) if column.data_type() != field.data_type() => cast(column, field.data_type()),
            Some(column) => Ok(Arc::clone(column)),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

async fn create(path: &Path, shape: &TableShape) -> Result<DeltaTable, LakeError> {
    let failed = table_error(path, "create");
    let schema: StructType = (shape.schema)().as_ref().try_into_kernel()?;
    let create = deltalake::operations::create::CreateBuilder::new()
        .with_location(url_of(path)?)
        .with_table_name(shape.name)
        .with_comment(shape.comment)
        .with_columns(schema.fields().cloned())
        .with_partition_columns([PARTITION]);
    let create =
        KEPT.into_iter().fold(create, |create, (key, value)| create.with_configuration_property(key, Some(value)));
    create.await.map_err(failed)
}

/// Brings a table of an earlier version to this one's columns. Columns that it does not know are left alone.
async fn evolve(table: DeltaTable, path: &Path, shape: &TableShape) -> Result<DeltaTable, LakeError> {
    let wanted: StructType = (shape.schema)().as_ref().try_into_kernel()?;
    let snapshot = table.snapshot().map_err(table_error(path, "read"))?;
    let found = snapshot.schema();
    let mut missing = Vec::new();
    for column in wanted.fields() {
        let problem = match found.field(column.name()) {
            Some(field) if field.data_type() == column.data_type() => continue,
            Some(_) => "has another type",
            None if column.is_nullable() => {
                missing.push(column.clone());
                continue;
            }
            None => "is missing",
        };
        return Err(LakeError::Schema { path: path.to_owned(), column: column.name().clone(), problem });
    }
    let configuration = snapshot.metadata().configuration();
    let unset: HashMap<_, _> = KEPT
        .into_iter()
        .map(|(key, value)| (key.as_ref().to_owned(), value.to_owned()))
        .filter(|(key, _)| !configuration.contains_key(key))
        .collect();
    let table = match missing.is_empty() {
        true => table,
        false => table.add_columns().with_fields(missing).await.map_err(table_error(path, "add columns to"))?,
    };
    match unset.is_empty() {
        true => Ok(table),
        false => table.set_tbl_properties().with_properties(unset).await.map_err(table_error(path, "change")),
    }
}

pub(crate) fn sync_path(path: &Path) -> Result<(), LakeError> {
    File::open(path).and_then(|f| f.sync_all()).map_err(|source| LakeError::Sync { path: path.to_owned(), source })
}
