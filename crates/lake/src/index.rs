//! Making the timeline of the events: a chunk of new calls at a time.
//!
//! A call has a row for each of its entities. Only what decides their order is sorted; the rows themselves are put together
//! as they are written, so a chunk takes the memory of its calls and little more, however many entities they have.

use std::cmp::Reverse;
use std::sync::Arc;

use deltalake::arrow::array::{Array as _, AsArray as _, RecordBatch, StringArray, UInt32Array};
use deltalake::arrow::compute::{concat_batches, take_record_batch};
use deltalake::arrow::datatypes::{
    DataType, Date32Type, Field, Int32Type, Int64Type, Schema, TimestampMicrosecondType,
};
use deltalake::arrow::error::ArrowError;
use deltalake::datafusion::error::DataFusionError;
use deltalake::protocol::DeltaOperation;
use deltalake::writer::DeltaWriter as _;
use serde::Deserialize;

use crate::engine::{Engine, table_in};
use crate::entities::{EntityColumn, entity_columns};
use crate::merge::{data_files, removals};
use crate::schema::{Lasting, PARTITION, TIMELINE_COLUMNS};
use crate::table::{LakeError, Table, conform};

/// Calls that one step takes into the timeline, or few more.
const CALLS_PER_STEP: f64 = 100_000.0;
/// What errors of the engine say was done, before the table.
const MAKING: &str = "make the timeline of";
/// Rows that are put together at once.
const ROWS_PER_BATCH: usize = 8_192;

/// Takes the next calls into the timeline, exactly once, and says how many that were; `None` when it is up to date.
pub(crate) async fn index_next(
    engine: &Engine,
    events: &Table,
    timeline: &mut Table,
) -> Result<Option<u64>, LakeError> {
    let from = timeline.position();
    let Some(to) = next_chunk(events, from)? else { return Ok(None) };
    let behind = format!("position > {from} AND position <= {to}");
    let calls = read(engine, events, &behind).await.map_err(events.engine_failed(MAKING))?;
    let rows = match &calls {
        Some(calls) => Some(EntityRows::of(calls)?),
        None => None,
    };
    timeline.commit_each(rows.iter().flat_map(EntityRows::batches), to, None).await?;
    Ok(Some(calls.map_or(0, |calls| calls.num_rows() as u64)))
}

/// Makes the timeline of a day again, of those calls that it covers.
pub(crate) async fn index_again(
    engine: &Engine,
    events: &Table,
    timeline: &mut Table,
    day: &str,
) -> Result<(), LakeError> {
    let to = timeline.position();
    let (mut from, mut added) = (0, Vec::new());
    while from < to {
        // A file that says nothing of its rows is read with the last chunk.
        let end = chunk_end(statistics(events, |of_day| of_day == day)?, from, to).map_or(to, |end| end.min(to));
        let behind = format!("{PARTITION} = DATE '{day}' AND position > {from} AND position <= {end}");
        if let Some(calls) = read(engine, events, &behind).await.map_err(events.engine_failed(MAKING))? {
            // A file for each chunk, as each is in order by itself.
            let mut writer = timeline.writer(Lasting::Briefly)?;
            let schema = writer.arrow_schema();
            for batch in EntityRows::of(&calls)?.batches() {
                writer.write(conform(&batch?, &schema)?).await.map_err(timeline.failed("write"))?;
            }
            added.extend(timeline.flush(&mut writer).await?);
        }
        from = end;
    }
    let former: Vec<_> = data_files(timeline)?.into_iter().filter(|file| file.day == day).collect();
    let removed = removals(timeline, &former, true)?;
    if removed.is_empty() && added.is_empty() {
        return Ok(());
    }
    timeline.replace(removed, added, DeltaOperation::Delete { predicate: None }).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    num_records: u64,
    min_values: Positions,
    max_values: Positions,
}

#[derive(Deserialize)]
struct Positions {
    position: u64,
}

/// The log position with which the chunk behind another one ends. A file that says nothing of its rows is read with the last.
pub(crate) fn next_chunk(events: &Table, from: u64) -> Result<Option<u64>, LakeError> {
    Ok(chunk_end(statistics(events, |_| true)?, from, events.position()))
}

/// What the files of some days say of their rows.
fn statistics(events: &Table, is_of: impl Fn(&str) -> bool) -> Result<Vec<Statistics>, LakeError> {
    let snapshot = events.table.snapshot().map_err(events.failed("read"))?;
    let files = snapshot.log_data();
    let of_days = files.iter().filter(|file| {
        let day = file.partition_values_map().remove(PARTITION).flatten();
        is_of(day.as_deref().unwrap_or_default())
    });
    Ok(of_days.filter_map(|file| serde_json::from_str(&file.stats()?).ok()).collect())
}

fn chunk_end(mut files: Vec<Statistics>, from: u64, newest: u64) -> Option<u64> {
    files.retain(|file| file.max_values.position > from);
    files.sort_by_key(|file| file.max_values.position);
    let mut calls = 0.0;
    for file in &files {
        let first = file.min_values.position.max(from + 1);
        let last = file.max_values.position.max(first);
        // What of the file is not in the timeline, taking its calls to lie evenly in its positions.
        let (whole, left) = (last - file.min_values.position.min(first), last - first);
        let part = (left as f64 + 1.0) / (whole as f64 + 1.0);
        let behind = file.num_records as f64 * part;
        if calls + behind < CALLS_PER_STEP {
            calls += behind;
            continue;
        }
        let positions = (left as f64 + 1.0) * (CALLS_PER_STEP - calls) / behind;
        return Some(first + (positions as u64).min(left));
    }
    (!files.is_empty()).then_some(newest)
}

/// The calls that a condition holds for, with what a timeline shows, and their entities in a column for each kind.
async fn read(engine: &Engine, events: &Table, condition: &str) -> Result<Option<RecordBatch>, DataFusionError> {
    let context = engine.context();
    context.register_table("new_events", table_in(&context, &events.table).await?)?;
    let entities = entity_columns().map(|column| format!("{} AS of_{}", column.of_call(), column.kind)).join(", ");
    let statement =
        format!("SELECT {PARTITION}, {}, {entities} FROM new_events WHERE {condition}", TIMELINE_COLUMNS.join(", "));
    let batches = context.sql(&statement).await?.collect().await?;
    let Some(first) = batches.first() else { return Ok(None) };
    let calls = concat_batches(&first.schema(), &batches)?;
    Ok((calls.num_rows() > 0).then_some(calls))
}

/// The rows of a chunk's calls, in the timeline's order.
struct EntityRows<'a> {
    /// The columns that every row has of its call.
    calls: RecordBatch,
    order: Vec<EntityRow<'a>>,
}

/// A row of the timeline: what decides its place, in that order, and its call.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct EntityRow<'a> {
    day: i32,
    kind: &'static str,
    entity: &'a str,
    time: Reverse<i64>,
    position: Reverse<i64>,
    call_index: Reverse<i32>,
    row: u32,
}

impl<'a> EntityRows<'a> {
    fn of(calls: &'a RecordBatch) -> Result<EntityRows<'a>, ArrowError> {
        let missing = |name: &str| ArrowError::SchemaError(format!("the events have no column `{name}` of its type"));
        let column = |name: &str| calls.column_by_name(name).ok_or_else(|| missing(name));
        let days = column(PARTITION)?.as_primitive_opt::<Date32Type>().ok_or_else(|| missing(PARTITION))?;
        let times = column("event_time")?.as_primitive_opt::<TimestampMicrosecondType>();
        let times = times.ok_or_else(|| missing("event_time"))?;
        let positions = column("position")?.as_primitive_opt::<Int64Type>().ok_or_else(|| missing("position"))?;
        let indexes = column("call_index")?.as_primitive_opt::<Int32Type>().ok_or_else(|| missing("call_index"))?;
        let mut order = Vec::new();
        let mut push = |kind, row: usize, entity| {
            order.push(EntityRow {
                day: days.value(row),
                kind,
                entity,
                time: Reverse(times.value(row)),
                position: Reverse(positions.value(row)),
                call_index: Reverse(indexes.value(row)),
                row: row as u32,
            });
        };
        for EntityColumn { kind, .. } in entity_columns() {
            let name = format!("of_{kind}");
            let entities = column(&name)?;
            if let Some(texts) = entities.as_string_opt::<i32>() {
                (0..texts.len()).filter(|&row| texts.is_valid(row)).for_each(|row| push(kind, row, texts.value(row)));
                continue;
            }
            let lists = entities.as_list_opt::<i32>().ok_or_else(|| missing(&name))?;
            let texts = lists.values().as_string_opt::<i32>().ok_or_else(|| missing(&name))?;
            for row in (0..lists.len()).filter(|&row| lists.is_valid(row)) {
                let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
                range.filter(|&at| texts.is_valid(at)).for_each(|at| push(kind, row, texts.value(at)));
            }
        }
        order.sort_unstable();
        let shown: Vec<usize> = (0..=TIMELINE_COLUMNS.len()).collect();
        Ok(EntityRows { calls: calls.project(&shown)?, order })
    }

    /// The rows, put together as they are asked for.
    fn batches(&self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send {
        self.order.chunks(ROWS_PER_BATCH).map(|rows| {
            let calls = take_record_batch(&self.calls, &rows.iter().map(|row| row.row).collect::<UInt32Array>())?;
            let kinds = StringArray::from_iter_values(rows.iter().map(|row| row.kind));
            let entities = StringArray::from_iter_values(rows.iter().map(|row| row.entity));
            let schema = calls.schema();
            let of_entity = ["entity_kind", "entity"].map(|name| Arc::new(Field::new(name, DataType::Utf8, false)));
            let fields: Vec<_> = schema.fields().iter().cloned().chain(of_entity).collect();
            let columns = calls.columns().iter().cloned().chain([Arc::new(kinds) as _, Arc::new(entities) as _]);
            RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(num_records: u64, min: u64, max: u64) -> Statistics {
        let at = |position| Positions { position };
        Statistics { num_records, min_values: at(min), max_values: at(max) }
    }

    #[test]
    fn a_chunk_ends_where_it_has_enough_calls() {
        let small = || vec![file(40_000, 1, 10), file(40_000, 11, 20), file(40_000, 21, 30)];
        assert_eq!(chunk_end(vec![], 0, 7), None);
        assert_eq!(chunk_end(small(), 30, 30), None);
        assert_eq!(chunk_end(small(), 10, 33), Some(33), "what is left is one chunk");
        assert_eq!(chunk_end(small(), 0, 30), Some(26), "the third file is half of it");
        assert_eq!(chunk_end(small(), 26, 30), Some(30));
    }

    #[test]
    fn a_large_file_is_several_chunks() {
        let (mut from, mut chunks) = (5, 0);
        while let Some(to) = chunk_end(vec![file(1_000_000, 1, 5_000)], from, 5_000) {
            assert!(to > from && to - from <= 501, "{from} to {to}");
            (from, chunks) = (to, chunks + 1);
        }
        assert_eq!((from, chunks), (5_000, 10));
        // One record with more calls than a chunk cannot be cut.
        assert_eq!(chunk_end(vec![file(1_000_000, 7, 7)], 6, 7), Some(7));
        assert_eq!(chunk_end(vec![file(u64::MAX, 0, u64::MAX)], u64::MAX - 1, u64::MAX), Some(u64::MAX));
    }
}
