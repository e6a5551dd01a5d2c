//! Making the timeline of the events: a chunk of new calls at a time, by the query engine.

use deltalake::datafusion::error::DataFusionError;
use futures_util::StreamExt as _;
use serde::Deserialize;

use crate::engine::{Engine, table_in};
use crate::entities::{EntityColumn, entity_columns};
use crate::schema::{PARTITION, TIMELINE_COLUMNS};
use crate::table::{LakeError, Table};

/// Calls that one step takes into the timeline, if files are not larger.
const CALLS_PER_STEP: u64 = 100_000;

/// Takes the next calls into the timeline, exactly once, and says how many rows of events that were; 0 when it is up to date.
pub(crate) async fn index_next(engine: &Engine, events: &Table, timeline: &mut Table) -> Result<u64, LakeError> {
    let from = timeline.position();
    let Some(chunk) = next_chunk(events, from)? else { return Ok(0) };
    let rows = read(engine, events, from, chunk.to).await.map_err(|source| LakeError::Engine {
        doing: "make the timeline of",
        path: events.path.clone(),
        source: Box::new(source),
    })?;
    timeline.commit(&rows, chunk.to).await?;
    Ok(chunk.calls)
}

struct Chunk {
    /// The log position that it ends with.
    to: u64,
    calls: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    num_records: u64,
    max_values: Positions,
}

#[derive(Deserialize)]
struct Positions {
    position: u64,
}

/// The calls behind a log position that one step takes. A file that says nothing of its rows is read whole with the last.
fn next_chunk(events: &Table, from: u64) -> Result<Option<Chunk>, LakeError> {
    let snapshot = events.table.snapshot().map_err(events.failed("read"))?;
    let statistics = |json: String| serde_json::from_str::<Statistics>(&json).ok();
    let mut files: Vec<_> = snapshot.log_data().iter().filter_map(|file| file.stats().and_then(statistics)).collect();
    files.retain(|file| file.max_values.position > from);
    files.sort_by_key(|file| file.max_values.position);
    let mut calls = 0;
    for file in &files {
        calls += file.num_records;
        if calls >= CALLS_PER_STEP {
            return Ok(Some(Chunk { to: file.max_values.position, calls }));
        }
    }
    Ok((calls > 0).then_some(Chunk { to: events.position(), calls }))
}

async fn read(
    engine: &Engine,
    events: &Table,
    from: u64,
    to: u64,
) -> Result<Vec<deltalake::arrow::array::RecordBatch>, DataFusionError> {
    let context = engine.context();
    context.register_table("new_events", table_in(&context, &events.table).await?)?;
    let mut stream = context.sql(&statement(from, to)).await?.execute_stream().await?;
    let mut rows = Vec::new();
    while let Some(batch) = stream.next().await {
        rows.push(batch?);
    }
    Ok(rows)
}

/// One branch for each kind of entity, in the timeline's order.
fn statement(from: u64, to: u64) -> String {
    let columns = TIMELINE_COLUMNS.join(", ");
    let branch = |column: EntityColumn| {
        format!(
            "SELECT * FROM (SELECT {PARTITION}, '{}' AS entity_kind, {} AS entity, {columns} FROM new_events \
             WHERE position > {from} AND position <= {to}) WHERE entity IS NOT NULL",
            column.kind,
            column.each(),
        )
    };
    let branches = entity_columns().map(branch).join(" UNION ALL ");
    format!("{branches} ORDER BY {PARTITION}, entity_kind, entity, event_time DESC, position DESC, call_index DESC")
}
