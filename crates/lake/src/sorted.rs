//! An entity's newest calls, out of the timeline's data files and without a plan.
//!
//! Each file is in the order of entity and falling time. Its end says in which of its row groups an entity can be, and the
//! index of such a group in which pages. So a page of calls costs a few pages of the files of a few days, however many calls
//! the lake has; the engine would read every file's whole index first. Of a file that does not say that it is in this order,
//! all pages are read that can have calls of the entity.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range as Rows;
use std::slice::from_ref;
use std::sync::Arc;

use bytes::Bytes;
use deltalake::arrow::array::{ArrayRef, AsArray as _, BooleanArray, RecordBatch, StringArray};
use deltalake::arrow::compute::and;
use deltalake::arrow::compute::kernels::cmp::eq;
use deltalake::arrow::error::ArrowError;
use deltalake::kernel::LogicalFileView;
use deltalake::parquet::arrow::ProjectionMask;
use deltalake::parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, RowFilter, RowSelection,
};
use deltalake::parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use deltalake::parquet::errors::ParquetError;
use deltalake::parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataReader, RowGroupMetaData,
};
use deltalake::parquet::file::page_index::column_index::ColumnIndexMetaData;
use deltalake::parquet::schema::types::SchemaDescriptor;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryFutureExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::task::JoinSet;

use self::pages::{Pages, common, is_between};
use crate::merge::DataFile;
use crate::page::{CallPlace, newest_rows, places};
use crate::query::QueryError;
use crate::reader::View;
use crate::schema::{SHOWN, TIMELINE, TIMELINE_COLUMNS, TableShape};
use crate::table::{LakeError, conform, table_error};

mod pages;

/// How much is kept in memory of files' ends, and of their indexes.
const KEPT_BYTES: u64 = 128 * 1024 * 1024;
/// How many of them are expected; a hint.
const KEPT: usize = 1_000;
/// How much of a file's end is read at once; most are smaller.
const END_BYTES: usize = 128 * 1024;
/// How many rows that can be the entity's are looked through first, at least two pages; then four times as many each time, up to a
/// limit.
const ROWS_AT_ONCE: usize = 16_384;
const ROWS_AT_ONCE_MAX: usize = 8 * ROWS_AT_ONCE;
/// Rows of a batch.
const BATCH_ROWS: usize = 8_192;
/// What lies between two parts of a file is read with them up to so much, instead of either by itself.
const GAP_BYTES: u64 = 16 * 1024;
/// How many files are read at once.
const FILES_AT_ONCE: usize = 8;

/// Whose calls, and which of them.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub kind: String,
    pub entity: String,
    /// Only calls at these gateways; `None` for all.
    pub gateways: Option<Vec<String>>,
    /// Only calls from this moment on.
    pub since_us: Option<i64>,
    /// Only calls before this one.
    pub before: Option<CallPlace>,
    pub rows: usize,
}

/// A data file, of the timeline if it is read for an entity's calls.
#[derive(Debug, Clone)]
pub(crate) struct SortedFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    bytes: u64,
}

/// What has been read of files' ends and indexes. Files never change, so it is true as long as they are there; then it is
/// forgotten, because it names entities.
pub(crate) struct Indexes {
    ends: Cache<Path, Arc<ParquetMetaData>, ByBytes>,
    /// A row group by itself, with the index of its pages.
    groups: Cache<(Path, usize), ArrowReaderMetadata, ByBytes>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Path, Arc<ParquetMetaData>> for ByBytes {
    fn weight(&self, _: &Path, end: &Arc<ParquetMetaData>) -> u64 {
        end.memory_size() as u64
    }
}

impl Weighter<(Path, usize), ArrowReaderMetadata> for ByBytes {
    fn weight(&self, _: &(Path, usize), group: &ArrowReaderMetadata) -> u64 {
        group.metadata().memory_size() as u64
    }
}

impl View {
    /// The timeline's files by the day that they are of.
    pub(crate) fn timeline_files(&self) -> Result<BTreeMap<String, Vec<SortedFile>>, LakeError> {
        let mut days: BTreeMap<String, Vec<SortedFile>> = BTreeMap::new();
        let Some(timeline) = &self.timeline else { return Ok(days) };
        let store = timeline.log_store().object_store(None);
        let snapshot = timeline.snapshot().map_err(table_error(&self.events_place, "read"))?;
        for file in snapshot.log_data().iter() {
            days.entry(DataFile::of(&file).day).or_default().push(SortedFile::of(&file, &store));
        }
        Ok(days)
    }
}

/// The newest calls that are wanted in the files.
pub(crate) async fn newest(
    indexes: &Arc<Indexes>,
    wanted: &Arc<Wanted>,
    files: Vec<SortedFile>,
) -> Result<Option<RecordBatch>, QueryError> {
    let mut files = files.into_iter();
    let mut reading = JoinSet::new();
    let mut found = None;
    loop {
        while reading.len() < FILES_AT_ONCE
            && let Some(mut file) = files.next()
        {
            let (indexes, wanted) = (Arc::clone(indexes), Arc::clone(wanted));
            reading.spawn(async move {
                let found = file.newest(&indexes, &wanted).await;
                found.map_err(|error| QueryError::File(format!("{}: {error}", file.path)))
            });
        }
        let Some(read) = reading.join_next().await else { return Ok(found) };
        let read = read.map_err(|error| QueryError::File(error.to_string()))??;
        found = newest_rows(found.into_iter().chain(read), wanted.rows)?;
    }
}

impl SortedFile {
    /// As the table's log has it.
    pub(crate) fn of(file: &LogicalFileView, store: &Arc<dyn ObjectStore>) -> SortedFile {
        let (store, path) = (Arc::clone(store), file.object_store_path());
        SortedFile { store, path, bytes: DataFile::of(file).bytes }
    }

    /// Whether it says that it is in a table's order.
    pub(crate) async fn is_in_order_of(&mut self, shape: &TableShape) -> Result<bool, ParquetError> {
        Ok(shape.is_order_of(&*self.get_metadata(None).await?))
    }

    async fn newest(&mut self, indexes: &Indexes, wanted: &Arc<Wanted>) -> Result<Vec<RecordBatch>, ParquetError> {
        let end = indexes.end(self).await?;
        let is_in_order = TIMELINE.is_order_of(&end);
        let mut found = Vec::new();
        let mut missing = wanted.rows;
        for (at, group) in end.row_groups().iter().enumerate() {
            if missing == 0 {
                break;
            }
            if !wanted.may_be_in(group) {
                continue;
            }
            let group = indexes.group(self, &end, at).await?;
            let (mut candidates, are_of_kind) = wanted.candidates(&group, is_in_order)?;
            let mut at_once = ROWS_AT_ONCE;
            while missing > 0 && !candidates.is_empty() {
                let rows = if is_in_order { missing } else { usize::MAX };
                let read = self.read(&group, wanted, take(&mut candidates, at_once), are_of_kind, rows).await?;
                if is_in_order {
                    missing = missing.saturating_sub(read.iter().map(RecordBatch::num_rows).sum());
                    found.extend(read);
                } else {
                    // A newer one may come with any page.
                    let newest = newest_rows(found.into_iter().chain(read), wanted.rows);
                    found = newest.map_err(|error| ParquetError::External(Box::new(error)))?.into_iter().collect();
                }
                at_once = (4 * at_once).min(ROWS_AT_ONCE_MAX);
            }
        }
        Ok(found)
    }

    /// The first of the candidates that are wanted, in the file's order, where it is known whether all are of the entity's kind. What
    /// a file of an earlier version lacks is null.
    async fn read(
        &self,
        group: &ArrowReaderMetadata,
        wanted: &Arc<Wanted>,
        candidates: Vec<Rows<usize>>,
        are_of_kind: bool,
        rows: usize,
    ) -> Result<Vec<RecordBatch>, ParquetError> {
        let rows_of_group = Pages::of(group)?.rows;
        let schema = group.parquet_schema();
        let read = ParquetRecordBatchStreamBuilder::new_with_metadata(self.clone(), group.clone())
            .with_projection(ProjectionMask::columns(schema, TIMELINE_COLUMNS))
            .with_row_selection(RowSelection::from_consecutive_ranges(candidates.into_iter(), rows_of_group))
            .with_row_filter(wanted.filter(schema, are_of_kind))
            .with_batch_size(BATCH_ROWS)
            .with_limit(rows)
            .build()?;
        let conform = |batch| conform(&batch, &SHOWN).map_err(ParquetError::from);
        read.and_then(|batch| std::future::ready(conform(batch))).try_collect().await
    }
}

/// The first so many rows of what is left, or fewer at the end.
fn take(left: &mut Vec<Rows<usize>>, rows: usize) -> Vec<Rows<usize>> {
    let mut taken = Vec::new();
    let mut missing = rows;
    while missing > 0 && !left.is_empty() {
        let first = &mut left[0];
        let end = first.end.min(first.start.saturating_add(missing));
        taken.push(first.start..end);
        missing -= end - first.start;
        first.start = end;
        if first.start >= first.end {
            left.remove(0);
        }
    }
    taken
}

impl Wanted {
    /// Whether a row group can have such calls, by the least and greatest values of its columns.
    fn may_be_in(&self, group: &RowGroupMetaData) -> bool {
        let may_be = |(column, value): (&str, &str)| {
            let column = group.columns().iter().find(|chunk| chunk.column_path().string() == column);
            let Some(statistics) = column.and_then(|chunk| chunk.statistics()) else { return true };
            is_between(value.as_bytes(), statistics.min_bytes_opt(), statistics.max_bytes_opt())
        };
        self.texts().into_iter().all(may_be)
    }

    /// The rows of a row group that can be such calls, by the least and greatest values of its pages, and whether all of them are
    /// of the entity's kind.
    fn candidates(
        &self,
        group: &ArrowReaderMetadata,
        is_in_order: bool,
    ) -> Result<(Vec<Rows<usize>>, bool), ParquetError> {
        let pages = Pages::of(group)?;
        let mut candidates = vec![Rows { start: 0, end: pages.rows }];
        for (column, value) in self.texts() {
            let value = value.as_bytes();
            let may_be = |index: &ColumnIndexMetaData, page| match index {
                ColumnIndexMetaData::BYTE_ARRAY(index) => {
                    is_between(value, index.min_value(page), index.max_value(page))
                }
                _ => true,
            };
            candidates = common(&candidates, &pages.where_may_be(column, may_be));
        }
        let may_be = |index: &ColumnIndexMetaData, page| match index {
            ColumnIndexMetaData::INT64(index) => {
                let is_new = self.since_us.is_none_or(|since| index.max_value(page).is_none_or(|&max| max >= since));
                let is_old = |before: CallPlace| index.min_value(page).is_none_or(|&min| min <= before.time_us);
                is_new && self.before.is_none_or(is_old)
            }
            _ => true,
        };
        candidates = common(&candidates, &pages.where_may_be("event_time", may_be));
        let of_kind = pages.of_kind(&self.kind);
        if is_in_order {
            candidates = common(&candidates, from_ref(&pages.beside_the_ends(&self.entity, &of_kind)));
        }
        let are_of_kind = common(&candidates, from_ref(&of_kind)) == candidates;
        Ok((candidates, are_of_kind))
    }

    fn texts(&self) -> [(&'static str, &str); 2] {
        [("entity_kind", &self.kind), ("entity", &self.entity)]
    }

    /// What each row is asked, but whether it is of the kind where that is known; the second only where the first holds.
    fn filter(self: &Arc<Self>, schema: &SchemaDescriptor, are_of_kind: bool) -> RowFilter {
        let wanted = Arc::clone(self);
        let asked = if are_of_kind { &["entity"][..] } else { &["entity_kind", "entity"] };
        let columns = ProjectionMask::columns(schema, asked.iter().copied());
        let of_entity = move |rows: RecordBatch| wanted.are_of_entity(&rows);
        let mut asked: Vec<Box<dyn ArrowPredicate>> = vec![Box::new(ArrowPredicateFn::new(columns, of_entity))];
        if self.gateways.is_some() || self.since_us.is_some() || self.before.is_some() {
            let wanted = Arc::clone(self);
            let in_range = move |rows: RecordBatch| wanted.are_in_range(&rows);
            let columns = ProjectionMask::columns(schema, ["event_time", "position", "call_index", "gateway"]);
            asked.push(Box::new(ArrowPredicateFn::new(columns, in_range)));
        }
        RowFilter::new(asked)
    }

    fn are_of_entity(&self, rows: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        let is = |column: &ArrayRef, value: &str| eq(column, &StringArray::new_scalar(value));
        let are_entity = is(column_of(rows, "entity")?, &self.entity)?;
        match rows.column_by_name("entity_kind") {
            Some(kinds) => and(&are_entity, &is(kinds, &self.kind)?),
            None => Ok(are_entity),
        }
    }

    fn are_in_range(&self, rows: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        let places = places(rows).ok_or_else(|| lacking("event_time, position and call_index"))?;
        let gateways = column_of(rows, "gateway")?.as_string_opt::<i32>().ok_or_else(|| lacking("gateway"))?;
        let is_in_range = |(place, gateway): (CallPlace, Option<&str>)| {
            self.since_us.is_none_or(|since| place.time_us >= since)
                && self.before.is_none_or(|before| place < before)
                && self.gateways.as_ref().is_none_or(|names| names.iter().any(|name| Some(name.as_str()) == gateway))
        };
        Ok(places.into_iter().zip(gateways).map(|row| Some(is_in_range(row))).collect())
    }
}

fn column_of<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ArrowError> {
    rows.column_by_name(name).ok_or_else(|| lacking(name))
}

fn lacking(columns: &str) -> ArrowError {
    ArrowError::SchemaError(format!("no {columns} as the timeline has them"))
}

impl Indexes {
    pub(crate) fn new() -> Indexes {
        Indexes {
            ends: Cache::with_weighter(KEPT, KEPT_BYTES, ByBytes),
            groups: Cache::with_weighter(KEPT, KEPT_BYTES, ByBytes),
        }
    }

    /// Forgets all files but these.
    pub(crate) fn keep_only<'a>(&self, files: impl Iterator<Item = &'a SortedFile>) {
        let there: HashSet<&Path> = files.map(|file| &file.path).collect();
        self.ends.retain(|path, _| there.contains(path));
        self.groups.retain(|(path, _), _| there.contains(path));
    }

    /// A file's end.
    async fn end(&self, file: &mut SortedFile) -> Result<Arc<ParquetMetaData>, ParquetError> {
        if let Some(end) = self.ends.get(&file.path) {
            return Ok(end);
        }
        let end = file.get_metadata(None).await?;
        self.ends.insert(file.path.clone(), Arc::clone(&end));
        Ok(end)
    }

    /// A row group of a file, with the index of its pages. Nothing of the other groups is read.
    async fn group(
        &self,
        file: &mut SortedFile,
        end: &ParquetMetaData,
        at: usize,
    ) -> Result<ArrowReaderMetadata, ParquetError> {
        let key = (file.path.clone(), at);
        if let Some(group) = self.groups.get(&key) {
            return Ok(group);
        }
        let alone = ParquetMetaDataBuilder::new(end.file_metadata().clone()).add_row_group(end.row_group(at).clone());
        // One after the other: what lies between the two is those of the other groups.
        let mut reader = ParquetMetaDataReader::new_with_metadata(alone.build())
            .with_column_index_policy(PageIndexPolicy::Optional)
            .with_offset_index_policy(PageIndexPolicy::Skip);
        reader.load_page_index(&mut *file).await?;
        let mut reader = ParquetMetaDataReader::new_with_metadata(reader.finish()?)
            .with_column_index_policy(PageIndexPolicy::Skip)
            .with_offset_index_policy(PageIndexPolicy::Optional);
        reader.load_page_index(&mut *file).await?;
        // What another engine noted of its own types is left aside: the columns are as Parquet says.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let group = ArrowReaderMetadata::try_new(Arc::new(reader.finish()?), options)?;
        self.groups.insert(key, group.clone());
        Ok(group)
    }
}

impl AsyncFileReader for SortedFile {
    fn get_bytes(&mut self, range: Rows<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        self.store.get_range(&self.path, range).map_err(of_store).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Rows<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        async move {
            let joined = joined(&ranges);
            // All at once: a directory opens the file once, and a bucket joins what a request costs more than.
            let read = self.store.get_ranges(&self.path, &joined).await.map_err(of_store)?;
            let part = |range: &Rows<u64>| {
                let at = joined.partition_point(|one| one.start <= range.start).saturating_sub(1);
                let start = (range.start - joined[at].start) as usize;
                read[at].slice(start..start + (range.end - range.start) as usize)
            };
            Ok(ranges.iter().map(part).collect())
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let reader =
            ParquetMetaDataReader::new().with_arrow_reader_options(options).with_prefetch_hint(Some(END_BYTES));
        let bytes = self.bytes;
        async move { Ok(Arc::new(reader.load_and_finish(self, bytes).await?)) }.boxed()
    }
}

/// The ranges, rising; those that are not far apart are one.
fn joined(ranges: &[Rows<u64>]) -> Vec<Rows<u64>> {
    let mut rising = ranges.to_vec();
    rising.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Rows<u64>> = Vec::new();
    for range in rising {
        match joined.last_mut() {
            Some(last) if range.start <= last.end + GAP_BYTES => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

fn of_store(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a list of one range is meant")]
mod tests {
    use deltalake::arrow::array::{ArrayRef, new_null_array};
    use deltalake::arrow::datatypes::{DataType, TimestampMicrosecondType};
    use deltalake::parquet::arrow::ArrowWriter;
    use deltalake::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
    use object_store::memory::InMemory;

    use super::*;
    use crate::schema::{Lasting, PARTITION, timeline_schema};

    #[test]
    fn rows_are_looked_through_in_order_and_none_twice() {
        let mut left = vec![2..5, 7..9, 20..30];
        assert_eq!(take(&mut left, 4), [2..5, 7..8]);
        assert_eq!(take(&mut left, 3), [8..9, 20..22]);
        assert_eq!(take(&mut left, usize::MAX), [22..30]);
        assert!(take(&mut left, 1).is_empty());
    }

    /// A call of an entity: its kind, its name, and the time, which is also the position.
    type Row = (&'static str, String, i64);

    /// Calls of entities with names that are alike for longer than statistics say, in the timeline's order.
    fn entities() -> Vec<Row> {
        let name = |number| format!("{}-{number}", "x".repeat(100));
        let calls = [(0, 5), (1, 700), (2, 1), (3, 3_000), (4, 40)];
        let of = |(number, calls): (_, i64)| (1..=calls).rev().map(move |at| ("session", name(number), at));
        calls.into_iter().flat_map(of).collect()
    }

    fn rows(entities: &[Row], lacking: &[&str]) -> RecordBatch {
        let numbers = |kind: &DataType| {
            let numbers: deltalake::arrow::array::Int64Array = entities.iter().map(|(.., at)| Some(*at)).collect();
            deltalake::arrow::compute::cast(&numbers, kind).unwrap()
        };
        let schema = timeline_schema();
        // A file does not have its day, which its folder says.
        let is_there = |name: &str| name != PARTITION && !lacking.contains(&name);
        let fields: Vec<_> = schema.fields().iter().filter(|field| is_there(field.name())).collect();
        let columns = fields.iter().map(|field| -> ArrayRef {
            match (field.name().as_str(), field.data_type()) {
                ("entity", _) => Arc::new(entities.iter().map(|(_, name, _)| Some(name)).collect::<StringArray>()),
                ("entity_kind", _) => Arc::new(entities.iter().map(|(kind, ..)| Some(kind)).collect::<StringArray>()),
                ("gateway", _) => {
                    let gateways = entities.iter().map(|(.., at)| if at % 1000 == 7 { "rare" } else { "kong" });
                    Arc::new(StringArray::from_iter_values(gateways))
                }
                (_, kind @ (DataType::Int64 | DataType::Int32 | DataType::Timestamp(..))) => numbers(kind),
                (_, DataType::Boolean) => Arc::new(BooleanArray::from(vec![true; entities.len()])),
                (_, DataType::Utf8) => Arc::new(StringArray::from(vec!["t"; entities.len()])),
                (_, kind) => new_null_array(kind, entities.len()),
            }
        });
        let columns = columns.collect();
        RecordBatch::try_new(
            Arc::new(deltalake::arrow::datatypes::Schema::new(fields.into_iter().cloned().collect::<Vec<_>>())),
            columns,
        )
        .unwrap()
    }

    /// Small pages, and that the rows are in order.
    fn small() -> WriterPropertiesBuilder {
        small_in_any_order().set_sorting_columns(Some(TIMELINE.sorting()))
    }

    fn small_in_any_order() -> WriterPropertiesBuilder {
        WriterProperties::builder().set_data_page_row_count_limit(64).set_write_batch_size(16)
    }

    async fn file(rows: &RecordBatch, properties: WriterProperties) -> SortedFile {
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).unwrap();
        writer.write(rows).unwrap();
        writer.close().unwrap();
        let (store, path) = (Arc::new(InMemory::new()), Path::from("t.parquet"));
        let size = bytes.len() as u64;
        store.put(&path, bytes.into()).await.unwrap();
        SortedFile { store, path, bytes: size }
    }

    /// The times of what is found, which rise to the newest first.
    async fn found(file: &SortedFile, wanted: Wanted) -> Vec<i64> {
        let found = newest(&Arc::new(Indexes::new()), &Arc::new(wanted), vec![file.clone()]).await.unwrap();
        let Some(rows) = found else { return Vec::new() };
        assert_eq!(rows.schema(), *SHOWN);
        rows.column_by_name("event_time").unwrap().as_primitive::<TimestampMicrosecondType>().values().to_vec()
    }

    fn all(kind: &str, entity: &str) -> Wanted {
        let (kind, entity) = (kind.to_owned(), entity.to_owned());
        Wanted { kind, entity, gateways: None, since_us: None, before: None, rows: 10_000 }
    }

    #[tokio::test]
    async fn every_call_is_found_however_a_file_is_made() {
        let plain = rows(&entities(), &[]);
        let files = [
            ("as we write them", file(&plain, TIMELINE.writer_properties(Lasting::Briefly)).await),
            ("in many row groups", file(&plain, small().set_max_row_group_row_count(Some(300)).build()).await),
            ("in one", file(&plain, small().build()).await),
            ("without a word of its order", file(&plain, small_in_any_order().build()).await),
            (
                "without statistics",
                file(
                    &plain,
                    small().set_statistics_enabled(EnabledStatistics::None).set_offset_index_disabled(true).build(),
                )
                .await,
            ),
            (
                "of an earlier version",
                file(&rows(&entities(), &["country", "asn", "own_refusal"]), small().build()).await,
            ),
        ];
        let names: Vec<String> = {
            let mut names: Vec<String> = entities().into_iter().map(|(_, name, _)| name).collect();
            names.dedup();
            names
        };
        let all = |entity: &str| all("session", entity);
        for (how, file) in &files {
            for name in &names {
                let of: Vec<i64> = entities().into_iter().filter(|(_, of, _)| of == name).map(|(.., at)| at).collect();
                assert_eq!(found(file, all(name)).await, of, "{name} {how}");
                assert_eq!(found(file, Wanted { rows: 3, ..all(name) }).await, of[..of.len().min(3)], "{name} {how}");
                let place = CallPlace { time_us: 650, position: 650, index: 650 };
                let between = Wanted { since_us: Some(600), before: Some(place), ..all(name) };
                let expected: Vec<i64> = of.iter().copied().filter(|at| (600..650).contains(at)).collect();
                assert_eq!(found(file, between).await, expected, "{name} {how}");
                let rare = Wanted { gateways: Some(vec!["rare".into()]), rows: 2, ..all(name) };
                let expected: Vec<i64> = of.iter().copied().filter(|at| at % 1000 == 7).take(2).collect();
                assert_eq!(found(file, rare).await, expected, "{name} {how}");
            }
            assert_eq!(found(file, all("x")).await, [0_i64; 0], "{how}");
            assert_eq!(found(file, Wanted { kind: "ip".into(), ..all(&names[1]) }).await, [0_i64; 0], "{how}");
        }
    }

    #[tokio::test]
    async fn entities_at_which_kinds_meet_are_found_and_others_of_the_same_name_are_not() {
        const KINDS: [&str; 4] = ["business", "consumer", "ip", "session"];
        const NAMES: [&str; 5] = ["b", "bc", "m", "ma", "y"];
        // Of each kind other names are there, and the first and the last have more or less than a page of calls.
        for calls in [[1, 1, 1, 1, 1], [70, 1, 64, 1, 70], [3, 200, 1, 0, 5], [0, 64, 64, 64, 0], [10, 0, 0, 0, 100]] {
            let mut rows_of_all: Vec<Row> = Vec::new();
            for (at, kind) in KINDS.into_iter().enumerate() {
                for (name, calls) in NAMES.into_iter().zip(calls) {
                    let calls = if at % 2 == 0 { calls } else { calls / 2 };
                    rows_of_all.extend((1..=calls).rev().map(|at| (kind, name.to_owned(), at)));
                }
            }
            let file = file(&rows(&rows_of_all, &[]), small().build()).await;
            for kind in KINDS {
                for name in NAMES.into_iter().chain(["", "a", "bb", "n", "z"]) {
                    let of = rows_of_all.iter().filter(|(of, named, _)| *of == kind && named == name);
                    let of: Vec<_> = of.map(|(.., at)| *at).collect();
                    assert_eq!(found(&file, all(kind, name)).await, of, "{kind} {name} {calls:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn names_that_statistics_cut_are_found_where_kinds_meet() {
        // A greatest value is cut at a character of several bytes, and its last character made the next one.
        let name = |end: &str| format!("a{}{end}", "é".repeat(31));
        let names = [name(""), name("é"), name("ü"), name("üü"), format!("a{}", "é".repeat(40)), "b".to_owned()];
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        for last in [1, 30, 64, 90] {
            let mut all_rows: Vec<Row> = Vec::new();
            for kind in ["business", "session"] {
                for name in &names {
                    all_rows.extend((1..=last).rev().map(|at| (kind, name.clone(), at)));
                }
            }
            let file = file(&rows(&all_rows, &[]), small().build()).await;
            for name in &names {
                let expected: Vec<_> = (1..=last).rev().collect();
                assert_eq!(found(&file, all("business", name)).await, expected, "{name} {last}");
                assert_eq!(found(&file, all("session", name)).await, expected, "{name} {last}");
            }
        }
    }

    #[tokio::test]
    async fn the_newest_calls_of_a_file_in_another_order_are_found() {
        // Files in order as an engine puts them behind one another that does not look at it, and parts of both kinds by turns.
        let of = |kind, names: [&str; 3], times: Rows<i64>| -> Vec<Row> {
            let of_name = |name: &str| times.clone().rev().map(|at| (kind, name.to_owned(), at)).collect::<Vec<_>>();
            names.into_iter().flat_map(of_name).collect()
        };
        let two_files = [
            of("consumer", ["a", "m", "z"], 0..100),
            of("session", ["a", "m", "z"], 0..100),
            of("consumer", ["a", "b", "m"], 100..150),
            of("session", ["m", "y", "z"], 100..300),
        ];
        let by_turns = (0..20).map(|part| {
            let kind = if part % 2 == 0 { "consumer" } else { "session" };
            of(kind, ["m", "a", "b"], 100 * part..100 * part + 64)
        });
        for all_rows in [two_files.concat(), by_turns.collect::<Vec<_>>().concat()] {
            let file = file(&rows(&all_rows, &[]), small_in_any_order().build()).await;
            for (kind, name) in
                ["consumer", "session"].into_iter().flat_map(|kind| ["a", "m", "z"].map(|name| (kind, name)))
            {
                let of = all_rows.iter().filter(|(of, named, _)| *of == kind && named == name);
                let mut of: Vec<_> = of.map(|(.., at)| *at).collect();
                of.sort_unstable_by_key(|&at| std::cmp::Reverse(at));
                assert_eq!(found(&file, all(kind, name)).await, of, "{kind} {name}");
                let first = Wanted { rows: 70, ..all(kind, name) };
                assert_eq!(found(&file, first).await, of[..of.len().min(70)], "{kind} {name}");
            }
        }
    }

    #[test]
    fn what_is_not_far_apart_is_read_together() {
        let far = 10 * GAP_BYTES;
        assert_eq!(joined(&[far..far + 5, 0..10, 5..20, 30..40]), [0..40, far..far + 5]);
        assert_eq!(joined(&[0..1, 1 + GAP_BYTES..2 + GAP_BYTES]), [0..2 + GAP_BYTES]);
        assert_eq!(joined(&[0..1, 2 + GAP_BYTES..3 + GAP_BYTES]).len(), 2);
        assert!(joined(&[]).is_empty());
    }

    #[tokio::test]
    async fn what_is_known_of_a_file_goes_with_it() {
        let mut file = file(&rows(&entities(), &[]), TIMELINE.writer_properties(Lasting::Briefly)).await;
        let indexes = Indexes::new();
        let end = indexes.end(&mut file).await.unwrap();
        indexes.group(&mut file, &end, 0).await.unwrap();
        indexes.keep_only([&file].into_iter());
        assert_eq!((indexes.ends.len(), indexes.groups.len()), (1, 1));
        indexes.keep_only(std::iter::empty());
        assert_eq!((indexes.ends.len(), indexes.groups.len()), (0, 0));
    }
}
