//! What the calls of each hour and endpoint add up to: making the table of it, and reading it up to the newest call.
//!
//! Calls are added up a chunk at a time, as the timeline is made of them, and each chunk is a commit with its own position.
//! So an hour has a row of each chunk that has calls of it; where files are put together, these become one.

mod access;
mod fold;
mod functions;
mod histogram;

use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::arrow::array::RecordBatch;
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::execution::memory_pool::MemoryConsumer;
use deltalake::datafusion::prelude::{DataFrame, SessionContext, col, lit};
use deltalake::datafusion::scalar::ScalarValue;
use deltalake::protocol::DeltaOperation;
use deltalake::writer::DeltaWriter as _;
use futures_util::StreamExt as _;

use crate::engine::{Engine, table_in};
use crate::merge::{data_files, removals};
use crate::reader::View;
use crate::schema::{ENDPOINT_HOURS, Lasting, PARTITION, hours_schema};
use crate::side::SideTable;
use crate::table::{LakeError, Table, conform};
pub use access::ACCESS;
pub(crate) use fold::Fold;
use fold::selected;
pub(crate) use functions::aggregates;

/// How often the memory of sums is looked at, in batches of calls.
const BATCHES_PER_LOOK: usize = 16;

/// Adds up the calls up to a position, exactly once.
pub(crate) async fn add_up(engine: &Engine, events: &Table, hours: &mut Table, to: u64) -> Result<(), LakeError> {
    let from = hours.position();
    let rows = added_up_in(engine, events, &format!("position > {from} AND position <= {to}")).await?;
    let rows = Some(rows).filter(|rows| rows.num_rows() > 0);
    hours.commit_each(rows.into_iter().map(Ok), to, None).await
}

/// Adds up a day again without some of its calls, which are about to go: those that a condition holds for.
pub(crate) async fn add_up_again(
    engine: &Engine,
    events: &Table,
    hours: &mut Table,
    day: &str,
    but: &str,
) -> Result<u64, LakeError> {
    let files: Vec<_> = data_files(hours)?.into_iter().filter(|file| file.day == day).collect();
    let to = hours.position();
    let condition = format!("{PARTITION} = DATE '{day}' AND position <= {to} AND ({but}) IS NOT TRUE");
    let rows = added_up_in(engine, events, &condition).await?;
    let mut writer = hours.writer(Lasting::Long)?;
    if rows.num_rows() > 0 {
        let rows = conform(&rows, &writer.arrow_schema())?;
        writer.write(rows).await.map_err(hours.failed("write"))?;
    }
    let added = hours.flush(&mut writer).await?;
    let removed = removals(hours, &files, true)?;
    if !removed.is_empty() || !added.is_empty() {
        hours.replace(removed, added, DeltaOperation::Delete { predicate: None }).await?;
    }
    Ok(files.len() as u64)
}

/// What the calls of a table add up to that fit.
async fn added_up_in(engine: &Engine, events: &Table, condition: &str) -> Result<RecordBatch, LakeError> {
    let rows = async {
        let context = engine.context();
        context.register_table("events", table_in(&context, &events.table).await?)?;
        added_up(&context, condition).await
    };
    rows.await.map_err(events.engine_failed("add up the calls of"))
}

/// What the calls of `events` add up to that fit.
async fn added_up(context: &SessionContext, condition: &str) -> Result<RecordBatch, DataFusionError> {
    let statement = format!("SELECT {} FROM events WHERE {condition}", selected());
    let mut calls = context.sql(&statement).await?.execute_stream().await?;
    let mut fold = Fold::new()?;
    // They count as memory of the query, by what they took a moment ago.
    let memory = MemoryConsumer::new("sums by the hour").register(&context.runtime_env().memory_pool);
    let mut batches = 0_usize;
    while let Some(batch) = calls.next().await {
        fold.add_calls(&batch?)?;
        batches += 1;
        if batches.is_multiple_of(BATCHES_PER_LOOK) {
            memory.try_resize(fold.bytes())?;
        }
    }
    Ok(fold.take_all()?)
}

/// The columns of this version. A table of an earlier one lacks some until the keeper opens it, and they are null.
fn columns_of_now(hours: DataFrame) -> Result<DataFrame, DataFusionError> {
    let schema = hours_schema();
    let columns =
        schema.fields().iter().map(|field| match hours.schema().has_column_with_unqualified_name(field.name()) {
            true => Ok(col(field.name().as_str())),
            false => Ok(lit(ScalarValue::try_from(field.data_type())?).alias(field.name().as_str())),
        });
    let columns = columns.collect::<Result<Vec<_>, DataFusionError>>()?;
    hours.select(columns)
}

impl View {
    /// Registers what is added up, up to a log position, and what the calls behind it add up to as one table. Those are added up
    /// when a statement reads it.
    pub(crate) async fn register_hours(
        &self,
        hours: Option<(DeltaTable, u64)>,
        engine: &Engine,
        context: &SessionContext,
    ) -> Result<(), DataFusionError> {
        let position = hours.as_ref().map_or(0, |(_, position)| *position);
        let (engine, view) = (engine.clone(), self.clone());
        let rest = SideTable::new("rest", hours_schema(), move || {
            let (engine, view) = (engine.clone(), view.clone());
            Box::pin(async move { Ok(view.added_up_behind(position, &engine).await?) })
        });
        let rest = context.read_table(Arc::new(rest) as Arc<dyn TableProvider>)?;
        let all = match &hours {
            Some((hours, _)) => columns_of_now(context.read_table(table_in(context, hours).await?)?)?.union(rest)?,
            None => rest,
        };
        context.register_table(ENDPOINT_HOURS.name, all.into_view())?;
        Ok(())
    }

    async fn added_up_behind(&self, position: u64, engine: &Engine) -> Result<RecordBatch, DataFusionError> {
        let context = engine.context();
        self.register_events(&context, "events").await?;
        added_up(&context, &format!("position > {position}")).await
    }
}
