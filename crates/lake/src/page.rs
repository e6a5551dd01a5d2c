//! One entity's calls, newest first, a page at a time.
//!
//! The timeline has them together for each day. It is asked for the newest day first, then for twice as many days each
//! time, until the page is full: who is busy is answered from one day, who is rare from few pages of each. What is not in
//! the timeline yet comes from the events themselves.

use deltalake::arrow::array::{AsArray as _, RecordBatch, UInt64Array};
use deltalake::arrow::compute::concat_batches;
use deltalake::arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::prelude::{DataFrame, SessionContext};
use deltalake::datafusion::scalar::ScalarValue;

use crate::engine::table_in;
use crate::entities::expression;
use crate::query::QueryError;
use crate::reader::{LakeReader, View};
use crate::schema::{PARTITION, TIMELINE_COLUMNS};

/// Rows of a page at most.
pub const PAGE_ROWS_MAX: usize = 1_000;

/// Which calls of an entity.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// The kind of entity, as `entity_kind` has it.
    pub kind: String,
    /// The entity, as `entity` has it.
    pub entity: String,
    /// Only calls at this gateway.
    pub gateway: Option<String>,
    /// Only calls from this moment on, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Only calls before this moment, in milliseconds since 1970.
    pub until_ms: Option<i64>,
    /// Only calls before this one: the last of the page before.
    pub before: Option<CallPlace>,
    /// Rows of the page, [`PAGE_ROWS_MAX`] at most.
    pub rows: usize,
}

/// Where a call stands: its time, and its place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallPlace {
    /// The event time in microseconds since 1970.
    pub time_us: i64,
    /// The log record.
    pub position: i64,
    /// The call in the record.
    pub index: i32,
}

/// A page of calls, newest first.
#[derive(Debug)]
pub struct Page {
    /// The calls, with the columns of `timeline` that are not the entity's.
    pub rows: RecordBatch,
    /// Where the next page begins; `None` where this is the last one.
    pub next: Option<CallPlace>,
}

impl LakeReader {
    /// A page of an entity's calls.
    pub async fn page(&self, request: &PageRequest) -> Result<Page, QueryError> {
        let Some(entity) = expression(&request.kind) else {
            return Err(QueryError::Statement(format!("`{}` is no kind of entity", request.kind)));
        };
        let view = self.view().await?;
        let context = self.engine.context();
        view.register_events(&context, "events").await?;
        if let Some(timeline) = &view.timeline {
            context.register_table("timeline", table_in(&context, timeline).await?)?;
        }
        let rows_max = request.rows.clamp(1, PAGE_ROWS_MAX);
        let search = Search { context, request, entity, timeline_position: view.timeline_position };
        let mut batches = search.fresh(rows_max + 1).await?;
        for days in days_asked(search.days(&view)?) {
            let found = search.of_timeline(&days, rows_max + 1).await?;
            batches.extend(found);
            // Fresh calls may be of any day, so only what the timeline gave ends the search.
            if batches.iter().skip(1).map(RecordBatch::num_rows).sum::<usize>() > rows_max {
                break;
            }
        }
        search.newest(batches, rows_max).await
    }
}

struct Search<'a> {
    context: SessionContext,
    request: &'a PageRequest,
    entity: &'static str,
    timeline_position: u64,
}

impl Search<'_> {
    /// The days that may have calls, newest first.
    fn days(&self, view: &View) -> Result<Vec<String>, QueryError> {
        let mut days = view.timeline_days()?;
        let before_ms = self.request.before.map(|place| place.time_us.div_euclid(1000));
        let newest = [self.request.until_ms, before_ms].into_iter().flatten().min().map(crate::retention::day_of);
        let oldest = self.request.since_ms.map(crate::retention::day_of);
        days.retain(|day| newest.as_ref().is_none_or(|newest| day <= newest));
        days.retain(|day| oldest.as_ref().is_none_or(|oldest| day >= oldest));
        Ok(days)
    }

    /// Calls that are not in the timeline yet.
    async fn fresh(&self, rows: usize) -> Result<Vec<RecordBatch>, QueryError> {
        let of_entity = format!("{} = $entity AND position > {}", self.entity, self.timeline_position);
        self.ask("events", &of_entity, rows).await
    }

    async fn of_timeline(&self, days: &[String], rows: usize) -> Result<Vec<RecordBatch>, QueryError> {
        let days = days.iter().map(|day| format!("DATE '{day}'")).collect::<Vec<_>>().join(", ");
        let of_entity = format!("entity_kind = $kind AND entity = $entity AND {PARTITION} IN ({days})");
        self.ask("timeline", &of_entity, rows).await
    }

    async fn ask(&self, table: &str, of_entity: &str, rows: usize) -> Result<Vec<RecordBatch>, QueryError> {
        let columns = TIMELINE_COLUMNS.join(", ");
        let limits = self.limits();
        let statement = format!(
            "SELECT {columns} FROM {table} WHERE {of_entity}{limits} \
             ORDER BY event_time DESC, position DESC, call_index DESC LIMIT {rows}"
        );
        let text = |value: &str| ScalarValue::Utf8(Some(value.to_owned()));
        let mut values = vec![("entity", text(&self.request.entity))];
        if table == "timeline" {
            values.push(("kind", text(&self.request.kind)));
        }
        values.extend(self.request.gateway.as_deref().map(|gateway| ("gateway", text(gateway))));
        let rows: DataFrame = self.context.sql(&statement).await?.with_param_values(values)?;
        let batches = rows.collect().await?;
        Ok(vec![one(&batches)?].into_iter().flatten().collect())
    }

    /// What the request asks for besides the entity.
    fn limits(&self) -> String {
        let time = |us: i64| format!("arrow_cast({us}, 'Timestamp(Microsecond, Some(\"UTC\"))')");
        let ms = |ms: i64| time(ms.saturating_mul(1000));
        let mut limits = String::new();
        if self.request.gateway.is_some() {
            limits += " AND gateway = $gateway";
        }
        if let Some(since) = self.request.since_ms {
            limits += &format!(" AND event_time >= {}", ms(since));
        }
        if let Some(until) = self.request.until_ms {
            limits += &format!(" AND event_time < {}", ms(until));
        }
        if let Some(CallPlace { time_us, position, index }) = self.request.before {
            let at = time(time_us);
            limits += &format!(
                " AND (event_time < {at} OR event_time = {at} AND (position < {position} OR position = {position} \
                 AND call_index < {index}))"
            );
        }
        limits
    }

    /// The newest of what was found.
    async fn newest(&self, batches: Vec<RecordBatch>, rows_max: usize) -> Result<Page, QueryError> {
        let Some(found) = one(&batches)? else {
            let schema = self.context.sql(&format!("SELECT {} FROM events", TIMELINE_COLUMNS.join(", "))).await?;
            let rows = RecordBatch::new_empty(std::sync::Arc::new(schema.schema().as_arrow().clone()));
            return Ok(Page { rows, next: None });
        };
        let places =
            places(&found).ok_or_else(|| QueryError::Statement("the timeline has other columns".to_owned()))?;
        let mut order: Vec<_> = (0..found.num_rows()).collect();
        order
            .sort_unstable_by_key(|&at| std::cmp::Reverse((places[at].time_us, places[at].position, places[at].index)));
        let has_more = order.len() > rows_max;
        order.truncate(rows_max);
        let next = order.last().filter(|_| has_more).map(|&at| places[at]);
        let order: UInt64Array = order.into_iter().map(|at| at as u64).collect();
        let rows = deltalake::arrow::compute::take_record_batch(&found, &order)
            .map_err(|error| QueryError::Statement(error.to_string()))?;
        Ok(Page { rows, next })
    }
}

/// Groups of days to ask for together: one, two, four, and so on.
fn days_asked(days: Vec<String>) -> impl Iterator<Item = Vec<String>> {
    let mut left = days;
    let mut count = 1;
    std::iter::from_fn(move || {
        let rest = left.split_off(count.min(left.len()));
        let group = std::mem::replace(&mut left, rest);
        count *= 2;
        (!group.is_empty()).then_some(group)
    })
}

fn one(batches: &[RecordBatch]) -> Result<Option<RecordBatch>, DataFusionError> {
    let Some(first) = batches.first() else { return Ok(None) };
    Ok(Some(concat_batches(&first.schema(), batches)?))
}

fn places(rows: &RecordBatch) -> Option<Vec<CallPlace>> {
    let times = rows.column_by_name("event_time")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    let positions = rows.column_by_name("position")?.as_primitive_opt::<Int64Type>()?;
    let indexes = rows.column_by_name("call_index")?.as_primitive_opt::<Int32Type>()?;
    let place = |at| CallPlace { time_us: times.value(at), position: positions.value(at), index: indexes.value(at) };
    Some((0..rows.num_rows()).map(place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_as_many_days_are_asked_for_each_time() {
        let days: Vec<String> = (0..9).map(|day| day.to_string()).collect();
        let groups: Vec<usize> = days_asked(days.clone()).map(|group| group.len()).collect();
        assert_eq!(groups, [1, 2, 4, 2]);
        assert_eq!(days_asked(days.clone()).flatten().collect::<Vec<_>>(), days);
        assert_eq!(days_asked(Vec::new()).count(), 0);
    }
}
