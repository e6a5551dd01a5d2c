//! A table: opening, evolving, exactly-once commits, replacing files, durability.

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, AsArray as _, BooleanArray, RecordBatch, new_null_array};
use deltalake::arrow::compute::{cast, filter_record_batch};
use deltalake::arrow::datatypes::{Field, Int64Type, SchemaRef};
use deltalake::arrow::error::ArrowError;
use deltalake::datafusion::error::DataFusionError;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, Remove, StructType, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use deltalake::{DeltaTable, DeltaTableError, TableProperty};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt as _};

pub(crate) use crate::error::LakeError;
use crate::place::{LOG, Place, Root};
use crate::schema::{Lasting, PARTITION, TableShape};

/// How long the log names every version of a table, and what other engines are told about files that the newest does not name
/// any more: for queries, copies and other readers that began before a change. Nobody can read a version whose files are gone,
/// and whoever looks for the newest has the whole log listed.
const KEPT: [(TableProperty, &str); 2] = [
    (TableProperty::LogRetentionDuration, "interval 2 hours"),
    (TableProperty::DeletedFileRetentionDuration, "interval 1 hours"),
];
/// What tables of earlier versions have for the first of these.
const LOG_KEPT_BEFORE: &str = "interval 1 days";

/// The application id that every commit carries which takes files out of a table. Two such commits at once conflict by it: to
/// the table library two that put the same files together do not, and both would add the rows of those.
const REPLACING: &str = "outrider-files";

/// How often rows are committed where files are taken out of the table meanwhile.
const COMMIT_TRIES: usize = 16;

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

/// A table, open for writing.
pub(crate) struct Table {
    pub(crate) shape: &'static TableShape,
    pub(crate) place: Place,
    pub(crate) table: DeltaTable,
    position: u64,
    /// A commit has failed half way, so the table may be further than we know.
    pub(crate) is_uncertain: bool,
}

impl Table {
    /// Opens the table of a lake, making it on first use, and gives it the columns that this version has more.
    pub(crate) async fn open(root: &Root, shape: &'static TableShape) -> Result<Table, LakeError> {
        let place = root.table(shape.name).prepare().await?;
        let table = match place.has_versions().await? {
            true => place.load().await?,
            false => create(&place, shape).await?,
        };
        let table = evolve(table, &place, shape).await?;
        place.sync_log(&[])?;
        place.sync_data(std::iter::empty())?;
        let position = position_of(&table, &place, shape).await?;
        Ok(Table { shape, place, table, position, is_uncertain: false })
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
        let is_again = self.is_uncertain;
        if is_again {
            self.refresh().await?;
        }
        if position <= self.position {
            return Ok(());
        }
        self.is_uncertain = true;
        let mut writer = self.writer(Lasting::Briefly)?;
        let schema = writer.arrow_schema();
        for batch in rows {
            let mut batch = conform(&batch?, &schema)?;
            if is_again {
                batch = behind(&batch, self.position)?;
            }
            writer.write(batch).await.map_err(self.failed("write"))?;
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
                Err(error) if tries_left > 0 && error.is_of_removed_files() => {
                    let before = self.position;
                    self.refresh().await?;
                    self.is_uncertain = true;
                    if self.position != before {
                        // Somebody has committed rows that are in our files as well. The next try leaves them out.
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.position = position;
        self.is_uncertain = false;
        Ok(())
    }

    /// The number that the newest commit of an application carries; 0 for one that has never committed.
    pub(crate) async fn application(&self, application: &str) -> Result<u64, LakeError> {
        application_version(&self.table, &self.place, application).await
    }

    /// Puts files in the place of others, or takes files away where none are put. They hold the same rows, or what these add up
    /// to, unless what takes the others away says that data changes.
    pub(crate) async fn replace(
        &mut self,
        removed: Vec<Remove>,
        added: Vec<Add>,
        operation: DeltaOperation,
    ) -> Result<(), LakeError> {
        let data_change = removed.iter().any(|remove| remove.data_change);
        let added = added.into_iter().map(|add| Action::Add(Add { data_change, ..add }));
        let actions = removed.into_iter().map(Action::Remove).chain(added).collect();
        let version = self.table.version().unwrap_or_default();
        let properties = CommitProperties::default()
            .with_application_transaction(Transaction::new(REPLACING, version.cast_signed()));
        self.put(actions, properties, operation).await
    }

    /// A writer of files of this table; [`Table::flush`] makes what it wrote durable.
    pub(crate) fn writer(&self, lasting: Lasting) -> Result<RecordBatchWriter, LakeError> {
        let writer = RecordBatchWriter::for_table(&self.table).map_err(self.failed("write"))?;
        Ok(writer.with_writer_properties(self.shape.writer_properties(lasting)))
    }

    /// Ends a writer's files and makes them durable, before a commit names them.
    pub(crate) async fn flush(&self, writer: &mut RecordBatchWriter) -> Result<Vec<Add>, LakeError> {
        let added = writer.flush().await.map_err(self.failed("write"))?;
        self.place.sync_data(added.iter().map(|file| file.path.as_str()))?;
        Ok(added)
    }

    /// Reads how far the table is, and makes sure that it will still be after a power loss.
    pub(crate) async fn refresh(&mut self) -> Result<(), LakeError> {
        (self.table, self.position) = newest(self.table.clone(), &self.place, self.shape).await?;
        let newest = self.table.version().map(commit_file);
        self.place.sync_log(newest.as_deref().as_slice())?;
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
        self.place.sync_log(&[&commit_file(committed.version())])?;
        self.table.state = Some(committed.snapshot());
        Ok(())
    }

    pub(crate) fn failed(&self, doing: &'static str) -> impl Fn(DeltaTableError) -> LakeError + use<> {
        table_error(&self.place, doing)
    }

    /// The same of what the query engine says. `doing` is followed by the table's place.
    pub(crate) fn engine_failed(&self, doing: &'static str) -> impl Fn(DataFusionError) -> LakeError + use<> {
        let place = self.place.to_string();
        move |source| LakeError::Engine { doing, place: place.clone(), source: Box::new(source) }
    }
}

pub(crate) fn table_error(place: &Place, doing: &'static str) -> impl Fn(DeltaTableError) -> LakeError + use<> {
    let place = place.to_string();
    move |source| LakeError::Table { doing, place: place.clone(), source: Box::new(source) }
}

/// The file of a table's log that made a version.
fn commit_file(version: u64) -> String {
    format!("{version:020}.json")
}

/// The entry of a table's log by which the version that is known of it was made, where it can be seen.
pub(crate) async fn entry_of(known: &DeltaTable) -> Option<ObjectMeta> {
    known.log_store().object_store(None).head(&entry_path(known.version()?)).await.ok()
}

/// Whether a known version is still the newest: the entry that made it is there as it was, and that of a next one is not. Where
/// neither can be seen, because old entries are taken away, it is not said to be.
pub(crate) async fn is_newest(known: &DeltaTable, entry: Option<&ObjectMeta>) -> bool {
    let (Some(version), Some(_)) = (known.version(), entry) else { return false };
    let store = known.log_store().object_store(None);
    let next = entry_path(version + 1);
    let (now, next) = tokio::join!(entry_of(known), store.head(&next));
    now.as_ref() == entry && matches!(next, Err(object_store::Error::NotFound { .. }))
}

fn entry_path(version: u64) -> Path {
    Path::from_iter([LOG, commit_file(version).as_str()])
}

/// The newest version of a table that is known, and the log position that it covers.
pub(crate) async fn newest(
    mut known: DeltaTable,
    place: &Place,
    shape: &TableShape,
) -> Result<(DeltaTable, u64), LakeError> {
    if known.update_state().await.is_ok()
        && let Ok(position) = position_of(&known, place, shape).await
    {
        return Ok((known, position));
    }
    // What is known may rest on files of the table's log that an erasure has taken away since.
    let table = place.load().await?;
    let position = position_of(&table, place, shape).await?;
    Ok((table, position))
}

/// The log position that the table says it covers; 0 for a new one.
pub(crate) async fn position_of(table: &DeltaTable, place: &Place, shape: &TableShape) -> Result<u64, LakeError> {
    application_version(table, place, shape.position_application).await
}

async fn application_version(table: &DeltaTable, place: &Place, application: &str) -> Result<u64, LakeError> {
    let failed = table_error(place, "read the position of");
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

/// The rows of records behind a position.
fn behind(batch: &RecordBatch, position: u64) -> Result<RecordBatch, ArrowError> {
    let positions = batch.column_by_name("position").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let Some(positions) = positions else { return Ok(batch.clone()) };
    let stays: BooleanArray = positions.values().iter().map(|&of_row| Some(of_row > position.cast_signed())).collect();
    filter_record_batch(batch, &stays)
}

async fn create(place: &Place, shape: &TableShape) -> Result<DeltaTable, LakeError> {
    let failed = table_error(place, "create");
    let schema: StructType = (shape.schema)().as_ref().try_into_kernel()?;
    let create = deltalake::operations::create::CreateBuilder::new()
        .with_log_store(place.log_store()?)
        .with_table_name(shape.name)
        .with_comment(shape.comment)
        .with_columns(schema.fields().cloned())
        .with_partition_columns([PARTITION]);
    let create =
        KEPT.into_iter().fold(create, |create, (key, value)| create.with_configuration_property(key, Some(value)));
    create.await.map_err(failed)
}

/// Brings a table of an earlier version to this one's columns. Columns that it does not know are left alone.
async fn evolve(table: DeltaTable, place: &Place, shape: &TableShape) -> Result<DeltaTable, LakeError> {
    let wanted: StructType = (shape.schema)().as_ref().try_into_kernel()?;
    let snapshot = table.snapshot().map_err(table_error(place, "read"))?;
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
        return Err(LakeError::Schema { place: place.to_string(), column: column.name().clone(), problem });
    }
    let configuration = snapshot.metadata().configuration();
    let is_ours_to_set = |property: &TableProperty| match configuration.get(property.as_ref()) {
        Some(set) => *property == TableProperty::LogRetentionDuration && set == LOG_KEPT_BEFORE,
        None => true,
    };
    let unset: HashMap<_, _> = KEPT
        .into_iter()
        .filter(|(property, _)| is_ours_to_set(property))
        .map(|(property, value)| (property.as_ref().to_owned(), value.to_owned()))
        .collect();
    let table = match missing.is_empty() {
        true => table,
        false => table.add_columns().with_fields(missing).await.map_err(table_error(place, "add columns to"))?,
    };
    match unset.is_empty() {
        true => Ok(table),
        false => table.set_tbl_properties().with_properties(unset).await.map_err(table_error(place, "change")),
    }
}
