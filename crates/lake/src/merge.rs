//! Which data files to put together, and doing it.
//!
//! Commits of seconds leave thousands of small files a day, and each costs every query that reads the day. Files of about
//! one size are put together eight at a time, so a row is written again as many times as the size grows eightfold: four
//! times on its way from a commit to the files of a whole day. A day that is over is put together whatever its sizes, but
//! not while calls wait for the timeline: where history is imported they are of such days, and each merge would write a
//! whole day again. Nor is it for a few calls that come late, unless it is small: they wait beside the day's largest file until
//! they are an eighth of all.
//!
//! Of the timeline such a day becomes larger files than of the other tables, because who asks for an entity's calls reads a
//! little of every file of the day. The order of the others is that in which calls come, so there a file more costs nobody
//! anything.
//!
//! Each file is in the table's order, and so is what is made of several: they are merged, not sorted, so it takes a
//! batch of rows of each and no more. Rows that are parts of one are neighbours then, and are added up. Only a file that does not
//! say that it is in this order, as of an engine that somebody let into the lake, is sorted.

use std::collections::BTreeMap;
use std::sync::Arc;

use deltalake::arrow::array::StringArray;
use deltalake::arrow::array::{ArrayRef, Date32Array, RecordBatch};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, SchemaRef};
use deltalake::arrow::error::ArrowError;
use deltalake::datafusion::datasource::file_format::parquet::ParquetFormat;
use deltalake::datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::prelude::{DataFrame, SessionConfig, SessionContext, col};
use deltalake::kernel::{LogicalFileView, Remove};
use deltalake::protocol::DeltaOperation;
use deltalake::writer::DeltaWriter as _;
use futures_util::StreamExt as _;

use crate::engine::Engine;
use crate::hours::Fold;
use crate::schema::{FILE_BYTES, Lasting, PARTITION, TableShape};
use crate::sorted::SortedFile;
use crate::table::{LakeError, Table, conform};

/// How many files of one size are put together.
const FILES_MERGED: usize = 8;
/// How many files one merge reads at most.
const FILES_READ_MAX: usize = 64;
/// Files below this are of one size.
const SMALL_BYTES: u64 = 256 * 1024;
/// A file is left as it is from half of what it may grow to on: one in so many.
const LARGE_PART: u64 = 2;
/// A day that is over is written again for an eighth of it at least: one in so many.
const LATE_PART: u64 = 8;
/// A day that is smaller is written again for any call that comes late.
const SMALL_DAY_BYTES: u64 = 16 * 1024 * 1024;

/// A data file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataFile {
    pub path: String,
    /// The day that it is of, as the table writes it: `2026-11-28`.
    pub day: String,
    pub bytes: u64,
}

impl DataFile {
    /// As the table's log has it.
    pub(crate) fn of(file: &LogicalFileView) -> DataFile {
        DataFile {
            path: file.path().into_owned(),
            day: file.partition_values_map().remove(PARTITION).flatten().unwrap_or_default(),
            bytes: file.size().max(0).cast_unsigned(),
        }
    }
}

/// What one merge should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merge {
    /// The files to put together, of one day.
    pub files: Vec<DataFile>,
    /// How long what they become lasts.
    pub lasting: Lasting,
}

/// What to put together, if anything; `today` is not over yet. `is_idle` where no calls wait for the timeline.
pub(crate) fn plan(shape: &TableShape, files: &[DataFile], today: &str, is_idle: bool) -> Option<Merge> {
    let mut days: BTreeMap<&str, Vec<&DataFile>> = BTreeMap::new();
    for file in files {
        days.entry(&file.day).or_default().push(file);
    }
    // The newest day first: that is where small files come, and what most queries read.
    days.into_iter().rev().find_map(|(day, files)| plan_day(shape, &files, is_idle && day < today))
}

fn plan_day(shape: &TableShape, files: &[&DataFile], is_over: bool) -> Option<Merge> {
    let below = |bytes: u64| files.iter().copied().filter(move |file| file.bytes < bytes).collect::<Vec<_>>();
    let small = below(FILE_BYTES / LARGE_PART);
    let mut sizes: BTreeMap<u32, Vec<&DataFile>> = BTreeMap::new();
    for &file in &small {
        sizes.entry(size_class(file.bytes)).or_default().push(file);
    }
    if let Some(of_a_size) = sizes.into_values().find(|files| files.len() >= FILES_MERGED) {
        return Merge::of(of_a_size, FILE_BYTES, shape.day_bytes / LARGE_PART);
    }
    if !is_over {
        return None;
    }
    let of_day = below(shape.day_bytes / LARGE_PART);
    let bytes: u64 = of_day.iter().map(|file| file.bytes).sum();
    let largest = *of_day.iter().max_by_key(|file| file.bytes)?;
    if bytes <= SMALL_DAY_BYTES || bytes - largest.bytes >= bytes / LATE_PART {
        return Merge::of(of_day, shape.day_bytes, 0);
    }
    let late = of_day.into_iter().filter(|&file| file != largest).collect();
    Merge::of(late, FILE_BYTES, 0)
}

impl Merge {
    /// Puts so many of the files together as reach a size, if there is more than one. From `bytes_long` on it is not written again.
    fn of(files: Vec<&DataFile>, bytes_max: u64, bytes_long: u64) -> Option<Merge> {
        let mut bytes = 0;
        let fits = files.into_iter().take(FILES_READ_MAX).take_while(|file| {
            bytes += file.bytes;
            bytes <= bytes_max + file.bytes
        });
        let files: Vec<_> = fits.cloned().collect();
        let lasting = if bytes >= bytes_long { Lasting::Long } else { Lasting::Briefly };
        (files.len() > 1).then_some(Merge { files, lasting })
    }
}

/// How many times a file's size is eight times that of a small one.
fn size_class(bytes: u64) -> u32 {
    (bytes / SMALL_BYTES).checked_ilog(FILES_MERGED as u64).map_or(0, |class| class + 1)
}

/// The data files of a table.
pub(crate) fn data_files(table: &Table) -> Result<Vec<DataFile>, LakeError> {
    let snapshot = table.table.snapshot().map_err(table.failed("read"))?;
    Ok(snapshot.log_data().iter().map(|file| DataFile::of(&file)).collect())
}

/// Puts files of one day together; what is made of them is in the table's order.
pub(crate) async fn merge(engine: &Engine, table: &mut Table, merge: &Merge) -> Result<(), LakeError> {
    let Merge { files, lasting } = merge;
    let Some(first) = files.first() else { return Ok(()) };
    let mut writer = table.writer(*lasting)?;
    let schema = writer.arrow_schema();
    let engine_failed = table.engine_failed("merge files of");
    let mut parts = if table.shape.adds_up { Some(Fold::new()?) } else { None };
    let rows = in_order(engine, table, files, &schema).await.map_err(&engine_failed)?;
    let mut rows = rows.execute_stream().await.map_err(&engine_failed)?;
    while let Some(batch) = rows.next().await {
        let mut batch = with_day(&batch.map_err(&engine_failed)?, &first.day)?;
        if let Some(parts) = &mut parts {
            parts.add_hours(&batch)?;
            batch = parts.take_complete()?;
        }
        if batch.num_rows() > 0 {
            writer.write(conform(&batch, &schema)?).await.map_err(table.failed("write"))?;
        }
    }
    if let Some(parts) = &mut parts {
        let batch = conform(&parts.take_all()?, &schema)?;
        writer.write(batch).await.map_err(table.failed("write"))?;
    }
    let added = table.flush(&mut writer).await?;
    let removed = removals(table, files, false)?;
    let operation = DeltaOperation::Optimize { predicate: None, target_size: table.shape.day_bytes.cast_signed() };
    table.replace(removed, added, operation).await
}

/// What takes these files out of the table, and says whether its rows change by that.
pub(crate) fn removals(table: &Table, files: &[DataFile], data_change: bool) -> Result<Vec<Remove>, LakeError> {
    let snapshot = table.table.snapshot().map_err(table.failed("read"))?;
    let is_one = |path: &str| files.iter().any(|file| file.path == path);
    let files = snapshot.log_data();
    Ok(files.iter().filter(|file| is_one(&file.path())).map(|file| file.remove_action(data_change)).collect())
}

/// The rows of files, in the table's order, without their day.
pub(crate) async fn in_order(
    engine: &Engine,
    table: &Table,
    files: &[DataFile],
    schema: &SchemaRef,
) -> Result<DataFrame, DataFusionError> {
    let shape: &TableShape = table.shape;
    let are_in_order = are_in_order(table, files).await?;
    let external = |error| DataFusionError::External(Box::new(error));
    let root = table.place.url().map_err(external)?;
    let urls = files.iter().map(|file| {
        let url = root.join(&file.path).map_err(|error| DataFusionError::External(Box::new(error)))?;
        ListingTableUrl::parse(url)
    });
    let order = shape.order.iter().map(|&(column, falls)| col(column).sort(!falls, false)).collect::<Vec<_>>();
    let known_order = if are_in_order { vec![order.clone()] } else { Vec::new() };
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_sort_order(known_order);
    let columns = schema.project(&of_file(schema))?;
    let config = ListingTableConfig::new_with_multi_paths(urls.collect::<Result<_, _>>()?)
        .with_listing_options(options)
        .with_schema(Arc::new(columns));
    // One partition a file, so that the files are merged and none is sorted; else a single one, because each that is sorted has
    // memory set aside.
    let partitions = if are_in_order { files.len() } else { 1 };
    let mut settings = SessionConfig::new().with_target_partitions(partitions).with_collect_statistics(false);
    settings.options_mut().execution.parquet.schema_force_view_types = false;
    settings.options_mut().optimizer.repartition_file_scans = false;
    let context = match are_in_order {
        true => SessionContext::new_with_config(settings),
        false => engine.context_with(settings),
    };
    table.place.register(&context).map_err(external)?;
    context.read_table(Arc::new(ListingTable::try_new(config)?))?.sort(order)
}

/// Whether all of the files say that they are in the table's order.
async fn are_in_order(table: &Table, files: &[DataFile]) -> Result<bool, DataFusionError> {
    let store = table.table.log_store().object_store(None);
    let snapshot = table.table.snapshot().map_err(|error| DataFusionError::External(Box::new(error)))?;
    let is_one = |path: &str| files.iter().any(|file| file.path == path);
    let held = snapshot.log_data();
    let held = held.iter().filter(|file| is_one(&file.path())).map(|file| SortedFile::of(&file, &store));
    for mut file in held.collect::<Vec<_>>() {
        if !file.is_in_order_of(table.shape).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The columns that stand in a data file: all but the day, which its folder says.
fn of_file(schema: &SchemaRef) -> Vec<usize> {
    (0..schema.fields().len()).filter(|&at| schema.field(at).name() != PARTITION).collect()
}

/// The batch with its day as a column.
pub(crate) fn with_day(batch: &RecordBatch, day: &str) -> Result<RecordBatch, LakeError> {
    let days = cast(&StringArray::from(vec![day]), &DataType::Date32)?;
    let number = days.as_any().downcast_ref::<Date32Array>().and_then(|days| days.iter().next()).flatten();
    let number =
        number.ok_or_else(|| ArrowError::ParseError(format!("a data file is of the day `{day}`, which is none")))?;
    let column: ArrayRef = Arc::new(Date32Array::from(vec![number; batch.num_rows()]));
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(deltalake::arrow::datatypes::Field::new(PARTITION, DataType::Date32, false)));
    let columns = batch.columns().iter().cloned().chain([column]).collect();
    let schema = Arc::new(deltalake::arrow::datatypes::Schema::new(fields));
    Ok(RecordBatch::try_new(schema, columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{EVENTS, TIMELINE};

    const TODAY: &str = "2026-11-28";
    const YESTERDAY: &str = "2026-11-27";
    const LARGE_BYTES: u64 = FILE_BYTES / LARGE_PART;

    fn files(day: &str, bytes: &[u64]) -> Vec<DataFile> {
        let file = |(at, &bytes): (usize, &u64)| DataFile { path: format!("{day}/{at}"), day: day.into(), bytes };
        bytes.iter().enumerate().map(file).collect()
    }

    /// The sizes that one merge puts together.
    fn sizes(planned: Option<Merge>) -> Vec<u64> {
        planned.iter().flat_map(|merge| &merge.files).map(|file| file.bytes).collect()
    }

    #[test]
    fn eight_of_a_size_are_put_together_the_smallest_first() {
        let small = vec![1000; 8];
        assert_eq!(sizes(plan(&EVENTS, &files(TODAY, &small), TODAY, true)), small);
        assert_eq!(plan(&EVENTS, &files(TODAY, &small[..7]), TODAY, true), None);
        let large = vec![SMALL_BYTES * 9; 8];
        let both = [large.clone(), small.clone()].concat();
        assert_eq!(sizes(plan(&EVENTS, &files(TODAY, &both), TODAY, true)), small);
        assert_eq!(sizes(plan(&EVENTS, &files(TODAY, &large), TODAY, true)), large);
    }

    #[test]
    fn a_day_that_is_over_becomes_one_file() {
        let yesterday = files(YESTERDAY, &[10, SMALL_BYTES * 100, SMALL_BYTES * 30]);
        assert_eq!(sizes(plan(&EVENTS, &yesterday, TODAY, true)), [10, SMALL_BYTES * 100, SMALL_BYTES * 30]);
        assert_eq!(plan(&EVENTS, &yesterday, TODAY, false), None, "more calls may be of it");
        assert_eq!(plan(&EVENTS, &yesterday[..1], TODAY, true), None);
        let full = files(YESTERDAY, &[FILE_BYTES, LARGE_BYTES, 5]);
        assert_eq!(plan(&EVENTS, &full, TODAY, true), None, "what is large enough is left");
    }

    #[test]
    fn a_day_of_the_timeline_becomes_larger_files() {
        let planned = |bytes: &[u64]| plan(&TIMELINE, &files(YESTERDAY, bytes), TODAY, true);
        let of_day = [LARGE_BYTES * 3 / 2, LARGE_BYTES, LARGE_BYTES + 1, 5];
        assert_eq!(sizes(planned(&of_day)), of_day);
        assert_eq!(plan(&EVENTS, &files(YESTERDAY, &of_day), TODAY, true), None);
        assert_eq!(plan(&TIMELINE, &files(TODAY, &of_day), TODAY, true), None, "the day is not over");
        assert_eq!(planned(&[of_day.iter().sum(), TIMELINE.day_bytes / 2]), None, "what is large enough is left");
        let lasting = |shape| plan(shape, &files(TODAY, &[LARGE_BYTES / 8; 8]), TODAY, true).map(|merge| merge.lasting);
        assert_eq!(lasting(&EVENTS), Some(Lasting::Long));
        assert_eq!(lasting(&TIMELINE), Some(Lasting::Briefly), "it is written again when the day is over");
    }

    #[test]
    fn a_few_late_calls_do_not_have_the_day_written_again() {
        let planned = |bytes: &[u64]| sizes(plan(&TIMELINE, &files(YESTERDAY, bytes), TODAY, true));
        let of_day = 7 * FILE_BYTES / 8;
        assert_eq!(planned(&[of_day, 5]), [0_u64; 0]);
        assert_eq!(planned(&[5, of_day, 6]), [5, 6]);
        assert_eq!(planned(&[of_day, of_day / 7]), [of_day, of_day / 7]);
        assert_eq!(planned(&[SMALL_DAY_BYTES - 5, 5]), [SMALL_DAY_BYTES - 5, 5], "a small day is written soon");
    }

    #[test]
    fn one_merge_is_bounded() {
        let many = files(TODAY, &vec![1; 1000]);
        assert_eq!(plan(&EVENTS, &many, TODAY, true).map(|merge| merge.files.len()), Some(FILES_READ_MAX));
        let heavy = files(TODAY, &[LARGE_BYTES - 1; 9]);
        assert_eq!(sizes(plan(&EVENTS, &heavy, TODAY, true)).len(), 3);
    }

    #[test]
    fn what_is_not_written_again_is_compressed_harder() {
        let lasting = |day, bytes: &[u64]| plan(&EVENTS, &files(day, bytes), TODAY, true).map(|merge| merge.lasting);
        assert_eq!(lasting(TODAY, &[LARGE_BYTES / 8 - 1; 8]), Some(Lasting::Briefly));
        assert_eq!(lasting(TODAY, &[LARGE_BYTES / 8; 8]), Some(Lasting::Long));
        assert_eq!(lasting(YESTERDAY, &[10; 8]), Some(Lasting::Briefly), "more of the day is imported");
        assert_eq!(lasting(YESTERDAY, &[10, 5]), Some(Lasting::Long));
    }

    #[test]
    fn putting_together_comes_to_an_end() {
        for shape in [&EVENTS, &TIMELINE] {
            let mut sizes: Vec<u64> = (1..=80).map(|at| at * FILE_BYTES / 83).collect();
            let mut merges = 0;
            while let Some(chosen) = plan(shape, &files(YESTERDAY, &sizes), TODAY, true) {
                merges += 1;
                assert!(merges < 80, "{sizes:?} of {} are still put together", shape.name);
                let bytes: u64 = chosen.files.iter().map(|file| file.bytes).sum();
                for file in chosen.files {
                    let at = sizes.iter().position(|&bytes| bytes == file.bytes).unwrap();
                    sizes.swap_remove(at);
                }
                // What is in order packs a little better, or a little worse.
                sizes.push(if merges % 2 == 0 { bytes * 97 / 100 } else { bytes * 102 / 100 });
            }
            let all: u64 = sizes.iter().sum();
            assert!(
                sizes.len() as u64 <= LARGE_PART * all / shape.day_bytes + 2,
                "{sizes:?} of {} are left",
                shape.name
            );
        }
    }

    #[test]
    fn however_many_commits_a_day_has_few_files_are_left_and_rows_are_rewritten_a_few_times() {
        const COMMITS: usize = 5_000;
        const COMMIT_BYTES: u64 = 40_000;
        let (mut files, mut written, mut most) = (Vec::new(), 0, 0);
        for commit in 0..COMMITS {
            files.push(DataFile { path: format!("c{commit}"), day: TODAY.into(), bytes: COMMIT_BYTES });
            while let Some(chosen) = plan(&EVENTS, &files, TODAY, true) {
                let bytes = chosen.files.iter().map(|file| file.bytes).sum();
                written += bytes;
                files.retain(|file| !chosen.files.contains(file));
                files.push(DataFile { path: format!("m{written}"), day: TODAY.into(), bytes });
            }
            most = most.max(files.len());
        }
        assert!(most <= 8 * 5, "{most} files");
        assert!(written / (COMMITS as u64 * COMMIT_BYTES) <= 4, "{written} bytes written");
    }
}
