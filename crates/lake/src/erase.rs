//! Taking one entity's calls out of every table.
//!
//! A file that holds such rows is written again without them, in one commit; then what it was goes off the disk, and so do
//! the statistics that the table's log kept of it (`purge`). The timeline has rows of a call under each of its entities, and
//! not all of them name the one that is erased: so the calls are looked up in `events`, by their place in the log, and both
//! tables lose what stands at these places. A day is added up again without them. Its events go last, while they still say
//! which calls they are: whoever is killed in between finds the same calls again.

use std::collections::BTreeSet;

use deltalake::arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use deltalake::arrow::compute::filter_record_batch;
use deltalake::arrow::datatypes::{Int32Type, Int64Type};
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::protocol::DeltaOperation;
use deltalake::writer::DeltaWriter as _;
use futures_util::StreamExt as _;

use crate::engine::{Engine, table_in};
use crate::entities::{EntityColumn, known_column};
use crate::hours::add_up_again;
use crate::index::index_next;
use crate::merge::{DataFile, data_files, in_order, removals, with_day};
use crate::place::Root;
use crate::purge::{Found, Writing, purge};
use crate::schema::{Lasting, PARTITION};
use crate::table::{LakeError, Table, conform};

/// Calls whose places are held at once, 16 bytes each; a day with more is gone through several times.
const CALLS_PER_PASS: usize = 1_000_000;
/// What errors of the engine say was done, before the table.
const ERASING: &str = "erase calls in";

/// Which calls to take out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erase {
    /// The kind of entity, as the timeline has it.
    pub kind: String,
    /// The entity, as the timeline has it.
    pub entity: String,
    /// The last record of the log whose calls are meant.
    pub up_to: u64,
    /// An earlier try has taken out all of them, and only files are left to delete.
    pub rows_are_out: bool,
}

/// What was taken out. What an earlier try took out is not counted again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallsErased {
    /// Rows of `events`.
    pub calls: u64,
    /// Rows of `timeline`.
    pub timeline_rows: u64,
    /// Files that were written again, or went with all of their rows.
    pub files_changed: u64,
    /// Files that were deleted: the ones that were changed, and what merges and killed processes had left.
    pub files_deleted: u64,
    /// No row is left; what may be is files.
    pub rows_are_out: bool,
    /// Nothing is left to do. Otherwise the same is to be asked for again: the tables do not reach that far yet, or there are
    /// files in no commit that the writer may be about to commit; what its failed tries left goes after the next start.
    pub is_done: bool,
}

/// The places of calls, in order.
type Places = Vec<(i64, i32)>;

/// How many calls there are to take out; `None` where the table does not reach that far yet.
pub(crate) async fn count(engine: &Engine, events: &Table, erase: &Erase) -> Result<Option<u64>, LakeError> {
    let column = known_column(&erase.kind);
    let Some(column) = column.filter(|_| events.position() >= erase.up_to) else { return Ok(None) };
    let counted = async {
        let context = engine.context();
        context.register_table("events", table_in(&context, &events.table).await?)?;
        let is_it = column.is(&erase.entity);
        let calls = context.sql(&format!("SELECT 1 FROM events WHERE position <= {} AND {is_it}", erase.up_to)).await?;
        calls.count().await
    };
    Ok(Some(counted.await.map_err(events.engine_failed(ERASING))? as u64))
}

/// What erasing works with.
pub(crate) struct Eraser<'a> {
    pub root: &'a Root,
    pub engine: &'a Engine,
    pub events: &'a mut Table,
    pub timeline: &'a mut Table,
    pub hours: &'a mut Table,
    /// What there was of each table before this process wrote: of the events, the timeline and the hours.
    pub found: &'a [Found; 3],
    pub should_stop: &'a (dyn Fn() -> bool + Sync),
}

impl Eraser<'_> {
    pub(crate) async fn run(mut self, erase: &Erase) -> Result<CallsErased, LakeError> {
        let mut erased = CallsErased::default();
        let column = known_column(&erase.kind);
        let Some(column) = column.filter(|_| self.events.position() >= erase.up_to) else { return Ok(erased) };
        if !erase.rows_are_out {
            self.take_out(&column, erase, &mut erased).await?;
        }
        erased.rows_are_out = !(self.should_stop)();
        if !erased.rows_are_out {
            return Ok(erased);
        }
        erased.is_done = true;
        let tables = [&mut *self.events, &mut *self.timeline, &mut *self.hours];
        for (number, (table, found)) in tables.into_iter().zip(self.found).enumerate() {
            let writing = match self.root {
                // But for the events only who is here writes them.
                Root::Directory(_) if number > 0 => Writing::Nobody,
                // No lock keeps a newer process away, whose files are not ours to delete.
                Root::Directory(_) | Root::Bucket(_) => Writing::Since(found),
            };
            self.root.check_claim().await?;
            let purged = purge(table, writing).await?;
            erased.files_deleted += purged.deleted;
            erased.is_done &= purged.is_done;
        }
        Ok(erased)
    }

    /// Takes out the rows, unless it is to stop before all of them are.
    async fn take_out(
        &mut self,
        column: &EntityColumn,
        erase: &Erase,
        erased: &mut CallsErased,
    ) -> Result<(), LakeError> {
        while self.timeline.position() < erase.up_to {
            if (self.should_stop)() || index_next(self.engine, self.events, self.timeline).await?.is_none() {
                break;
            }
        }
        let days: BTreeSet<String> = data_files(self.events)?.into_iter().map(|file| file.day).collect();
        for day in days {
            if (self.should_stop)() {
                break;
            }
            self.erase_day(&day, column, erase, erased).await?;
        }
        Ok(())
    }

    async fn erase_day(
        &mut self,
        day: &str,
        column: &EntityColumn,
        erase: &Erase,
        erased: &mut CallsErased,
    ) -> Result<(), LakeError> {
        let failed = self.events.engine_failed(ERASING);
        let mut calls = self.calls_of(day, column, erase).await.map_err(&failed)?;
        let mut is_added_up = false;
        loop {
            let places = next_places(&mut calls).await.map_err(&failed)?;
            if places.is_empty() {
                return Ok(());
            }
            if !std::mem::replace(&mut is_added_up, true) {
                let calls = format!("position <= {} AND {}", erase.up_to, column.is(&erase.entity));
                erased.files_changed += add_up_again(self.engine, self.events, self.hours, day, &calls).await?;
            }
            for (table, count) in
                [(&mut *self.timeline, &mut erased.timeline_rows), (&mut *self.events, &mut erased.calls)]
            {
                for file in data_files(table)?.into_iter().filter(|file| file.day == day) {
                    if (self.should_stop)() {
                        return Ok(());
                    }
                    let rows = without(self.engine, table, &file, &places).await?;
                    *count += rows;
                    erased.files_changed += u64::from(rows > 0);
                }
            }
        }
    }

    /// The places of the calls of a day, as `events` has them now.
    async fn calls_of(
        &self,
        day: &str,
        column: &EntityColumn,
        erase: &Erase,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let context = self.engine.context();
        context.register_table("events", table_in(&context, &self.events.table).await?)?;
        let (is_it, up_to) = (column.is(&erase.entity), erase.up_to);
        let statement = format!(
            "SELECT position, call_index FROM events WHERE {PARTITION} = DATE '{day}' AND position <= {up_to} AND {is_it}"
        );
        context.sql(&statement).await?.execute_stream().await
    }
}

/// The next places of a stream of them, in order; none at its end.
async fn next_places(calls: &mut SendableRecordBatchStream) -> Result<Places, DataFusionError> {
    let mut places = Places::new();
    while places.len() < CALLS_PER_PASS
        && let Some(batch) = calls.next().await
    {
        places.extend(places_of(&batch?)?);
    }
    places.sort_unstable();
    Ok(places)
}

fn places_of(batch: &RecordBatch) -> Result<Places, DataFusionError> {
    let other = || DataFusionError::Execution("a row has no place in the log".to_owned());
    let positions = batch.column_by_name("position").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let indexes = batch.column_by_name("call_index").and_then(|column| column.as_primitive_opt::<Int32Type>());
    let (positions, indexes) = (positions.ok_or_else(other)?.values(), indexes.ok_or_else(other)?.values());
    Ok(positions.iter().copied().zip(indexes.iter().copied()).collect())
}

/// Writes a file again without the rows at these places, and says how many those were. A file without any stays.
async fn without(engine: &Engine, table: &mut Table, file: &DataFile, places: &Places) -> Result<u64, LakeError> {
    let failed = table.engine_failed(ERASING);
    let file = std::slice::from_ref(file);
    let mut writer = table.writer(Lasting::Long)?;
    let schema = writer.arrow_schema();
    let rows = in_order(engine, table, file, &schema).await.map_err(&failed)?;
    if !has_any(rows.clone(), places).await.map_err(&failed)? {
        return Ok(0);
    }
    let mut rows = rows.execute_stream().await.map_err(&failed)?;
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(&failed)?;
        let stays: BooleanArray = places_of(&batch)
            .map_err(&failed)?
            .iter()
            .map(|place| Some(places.binary_search(place).is_err()))
            .collect();
        let batch = filter_record_batch(&batch, &stays)?;
        count += (stays.len() - batch.num_rows()) as u64;
        if batch.num_rows() > 0 {
            let batch = with_day(&batch, &file[0].day)?;
            writer.write(conform(&batch, &schema)?).await.map_err(table.failed("write"))?;
        }
    }
    let added = table.flush(&mut writer).await?;
    let removed = removals(table, file, true)?;
    // A predicate would write whom it is about into the table's log.
    table.replace(removed, added, DeltaOperation::Delete { predicate: None }).await?;
    Ok(count)
}

async fn has_any(rows: deltalake::datafusion::prelude::DataFrame, places: &Places) -> Result<bool, DataFusionError> {
    let mut rows = rows.select_columns(&["position", "call_index"])?.execute_stream().await?;
    while let Some(batch) = rows.next().await {
        if places_of(&batch?)?.iter().any(|place| places.binary_search(place).is_ok()) {
            return Ok(true);
        }
    }
    Ok(false)
}
