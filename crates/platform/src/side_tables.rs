//! What the control store knows, as small tables beside the lake's: a statement may join calls with alerts, actions and
//! the endpoints' names of today (decision 13). Each has the newest rows, [`SIDE_ROWS_MAX`] at most.

use std::error::Error;
use std::sync::{Arc, LazyLock};

use outrider_lake::arrow::array::RecordBatch;
use outrider_lake::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use outrider_lake::arrow::json::ReaderBuilder;
use outrider_lake::{ACCESS, Beside, SideRows, SideTable};
use serde::Serialize;

use crate::store::{Page, Store, StoreError};

mod rows;

/// Rows of a side table at most; more are left out, the oldest first.
pub const SIDE_ROWS_MAX: usize = 100_000;

/// How a call ended, as an expression over the columns of `events`: a block of the installation refused it; the gateway did; it
/// was answered; the one who answered blamed the request, or itself; no status is known.
const OUTCOME: &str = "CASE WHEN own_refusal IS NOT NULL THEN 'blocked' WHEN status = 0 THEN 'unknown' \
     WHEN status < 400 THEN 'served' WHEN answered_by = 'gateway' THEN 'refused' \
     WHEN status < 500 THEN 'client_error' ELSE 'server_error' END";

/// The lake's calls with the endpoints as they are now: an endpoint that was merged into another counts as that one.
static CALLS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT events.*, {ACCESS} AS access, {OUTCOME} AS outcome, \
         coalesce(endpoints.current_id, events.endpoint_id) AS current_endpoint_id, \
         endpoints.method || ' ' || endpoints.current_template AS endpoint \
         FROM events LEFT JOIN endpoints ON endpoints.endpoint_id = events.endpoint_id"
    )
});

/// What calls add up to by hour, with the endpoints as they are now.
const HOURS: &str = "SELECT endpoint_hours.*, \
     coalesce(endpoints.current_id, endpoint_hours.endpoint_id) AS current_endpoint_id, \
     endpoints.method || ' ' || endpoints.current_template AS endpoint \
     FROM endpoint_hours LEFT JOIN endpoints ON endpoints.endpoint_id = endpoint_hours.endpoint_id";

/// The calls that each alert is about: its entity's, from the start of its first window to its last finding.
const ALERT_CALLS: &str = "SELECT alerts.alert_id, alerts.detector, timeline.* FROM alerts JOIN timeline \
     ON timeline.entity_kind = alerts.entity_kind AND timeline.entity = alerts.entity \
     AND timeline.gateway = alerts.gateway AND timeline.workspace = alerts.workspace \
     AND timeline.event_time >= alerts.started_time AND timeline.event_time <= alerts.last_finding_time";

type Failure = Box<dyn Error + Send + Sync>;

/// The tables and views over a control store.
pub fn beside(store: &Store) -> Beside {
    use rows::{ACTIONS, ALERTS, ENDPOINTS, FINDINGS};
    let tables = vec![
        table(store, "alerts", ALERTS, |store| Box::pin(rows::alerts(store))),
        table(store, "findings", FINDINGS, |store| Box::pin(rows::findings(store))),
        table(store, "actions", ACTIONS, |store| Box::pin(rows::actions(store))),
        table(store, "endpoints", ENDPOINTS, |store| Box::pin(rows::endpoints(store))),
    ];
    Beside { tables, views: vec![("calls", CALLS.as_str()), ("hours", HOURS), ("alert_calls", ALERT_CALLS)] }
}

/// A column's name and type; a name that ends with `?` may be null.
type Column = (&'static str, Kind);

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Time,
    Count,
    Real,
    Flag,
}

fn schema_of(columns: &[&[Column]]) -> SchemaRef {
    let field = |(name, kind): &Column| {
        let kind = match kind {
            Kind::Text => DataType::Utf8,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Count => DataType::Int64,
            Kind::Real => DataType::Float64,
            Kind::Flag => DataType::Boolean,
        };
        Field::new(name.trim_end_matches('?'), kind, name.ends_with('?'))
    };
    Arc::new(Schema::new(columns.iter().copied().flatten().map(field).collect::<Vec<_>>()))
}

type Rows<T> = std::pin::Pin<Box<dyn Future<Output = Result<Vec<T>, StoreError>> + Send>>;

fn table<T: Serialize + Send + 'static>(
    store: &Store,
    name: &'static str,
    columns: &[&[Column]],
    rows: fn(Store) -> Rows<T>,
) -> SideTable {
    let (store, schema) = (store.clone(), schema_of(columns));
    let of_rows = Arc::clone(&schema);
    SideTable::new(name, schema, move || -> SideRows {
        let (rows, schema) = (rows(store.clone()), Arc::clone(&of_rows));
        Box::pin(async move { batch(&rows.await?, schema) })
    })
}

/// The rows as columns.
fn batch<T: Serialize>(rows: &[T], schema: SchemaRef) -> Result<RecordBatch, Failure> {
    let mut decoder = ReaderBuilder::new(Arc::clone(&schema)).with_strict_mode(true).build_decoder()?;
    decoder.serialize(rows)?;
    Ok(decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(schema)))
}

/// The newest rows of a list.
async fn newest<T, F>(page: impl Fn(Option<String>) -> F) -> Result<Vec<T>, StoreError>
where
    F: Future<Output = Result<Page<T>, StoreError>>,
{
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let Page { items, next } = page(cursor).await?;
        rows.extend(items);
        if next.is_none() || rows.len() >= SIDE_ROWS_MAX {
            rows.truncate(SIDE_ROWS_MAX);
            return Ok(rows);
        }
        cursor = next;
    }
}
