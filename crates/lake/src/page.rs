//! Calls, newest first, a page at a time: those of one entity, or those that a search finds.
//!
//! The newest day is asked first, then four times as many days each time, until the page is full: who is busy is answered from
//! one day, who is rare from a few pages of each. An entity's calls lie together in the timeline; what is not in the
//! timeline yet comes from the events themselves.

use std::collections::BTreeSet;

use deltalake::arrow::array::{AsArray as _, RecordBatch, UInt64Array};
use deltalake::arrow::compute::{concat_batches, take_record_batch};
use deltalake::arrow::datatypes::{Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::prelude::SessionContext;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::entities::entity_column;
use crate::query::QueryError;
use crate::reader::{LakeReader, View};
use crate::retention::{DAY_MS, day_of};
use crate::schema::{PARTITION, TIMELINE_COLUMNS};
use crate::search::{Search, literal, time_literal};

/// Rows of a page at most.
pub const PAGE_ROWS_MAX: usize = 1_000;

/// Which calls, and how many.
#[derive(Debug, Clone, Default)]
pub struct Range {
    /// Only calls at these gateways; `None` for all.
    pub gateways: Option<Vec<String>>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// The calls, with the columns of `timeline` that are not the entity's; `None` where there are none.
    pub rows: Option<RecordBatch>,
    /// Where the next page begins; `None` where this is the last one.
    pub next: Option<CallPlace>,
}

impl Range {
    /// What the range asks for, as conditions that follow others.
    pub(crate) fn conditions(&self) -> String {
        let ms = |ms: i64| time_literal(ms.saturating_mul(1000));
        let mut limits = String::new();
        if let Some(gateways) = &self.gateways {
            limits += &format!(" AND ({})", at_gateways(gateways));
        }
        if let Some(since) = self.since_ms {
            limits += &format!(" AND event_time >= {}", ms(since));
        }
        if let Some(until) = self.until_ms {
            limits += &format!(" AND event_time < {}", ms(until));
        }
        if let Some(CallPlace { time_us, position, index }) = self.before {
            let at = time_literal(time_us);
            limits += &format!(
                " AND (event_time < {at} OR event_time = {at} AND (position < {position} OR position = {position} \
                 AND call_index < {index}))"
            );
        }
        limits
    }
}

impl LakeReader {
    /// A page of an entity's calls. `kind` and `entity` are as the timeline has them; a consumer's name will do.
    pub fn page<'a>(
        &'a self,
        kind: &'a str,
        entity: &'a str,
        range: &'a Range,
    ) -> BoxFuture<'a, Result<Page, QueryError>> {
        let page = async move {
            let page = self.page_of(kind, entity, range).await?;
            match self.meant_by_name(page.rows.is_some(), kind, entity, range).await? {
                Some(id) => self.page_of(kind, &id, range).await,
                None => Ok(page),
            }
        };
        page.boxed()
    }

    /// A page of the calls that a search finds.
    pub fn search<'a>(&'a self, search: &'a Search, range: &'a Range) -> BoxFuture<'a, Result<Page, QueryError>> {
        let page = async move {
            let view = self.view().await?;
            let context = self.engine.context();
            view.register_events(&context, "events").await?;
            let ask = Ask { context, range };
            let batches = ask.day_by_day("events", &search.condition, view.event_days()?).await?;
            ask.page(&batches)
        };
        page.boxed()
    }

    async fn page_of(&self, kind: &str, entity: &str, range: &Range) -> Result<Page, QueryError> {
        let column = entity_column(kind)?;
        let view = self.view().await?;
        let ask = Ask { context: self.session(&view).await?, range };
        let fresh = format!("{} AND position > {}", column.is(entity), view.timeline_position);
        let mut batches = ask.newest("events", &fresh).await?;
        let condition = format!("entity_kind = {} AND entity = {}", literal(kind), literal(entity));
        // Fresh calls may be of any day, so only what the timeline gives ends the search.
        batches.extend(ask.day_by_day("timeline", &condition, view.timeline_days()?).await?);
        ask.page(&batches)
    }

    /// The id of the consumer of this name, as the newest call of the range with that name has it, where nobody with that for
    /// an id has calls: ids are asked for most often, and a name is no id.
    pub(crate) async fn meant_by_name(
        &self,
        has_calls: bool,
        kind: &str,
        name: &str,
        range: &Range,
    ) -> Result<Option<String>, QueryError> {
        if has_calls || kind != "consumer" {
            return Ok(None);
        }
        let view = self.view().await?;
        let context = self.engine.context();
        view.register_events(&context, "events").await?;
        let range = Range { rows: 1, ..range.clone() };
        let ask = Ask { context, range: &range };
        let condition = format!("consumer_name = {}", literal(name));
        let batches = ask.day_by_day("events", &condition, view.event_days()?).await?;
        let page = ask.page(&batches)?;
        let rows = page.rows.as_ref();
        let id = rows.and_then(|rows| rows.column_by_name("consumer_id")?.as_string_opt::<i32>()?.iter().next()?);
        Ok(id.map(str::to_owned))
    }
}

impl View {
    /// The days that there are calls of, committed or not.
    pub(crate) fn event_days(&self) -> Result<BTreeSet<String>, QueryError> {
        let mut days = self.days_of(&self.events)?;
        for batch in &self.tail {
            let column = batch.column_by_name(PARTITION).and_then(|column| column.as_primitive_opt::<Date32Type>());
            let of_tail: BTreeSet<i32> = column.into_iter().flat_map(|days| days.values().iter().copied()).collect();
            days.extend(of_tail.into_iter().map(|day| day_of(i64::from(day) * DAY_MS)));
        }
        Ok(days)
    }

    fn timeline_days(&self) -> Result<BTreeSet<String>, QueryError> {
        Ok(self.timeline.as_ref().map(|timeline| self.days_of(timeline)).transpose()?.unwrap_or_default())
    }
}

struct Ask<'a> {
    context: SessionContext,
    range: &'a Range,
}

impl Ask<'_> {
    fn rows_max(&self) -> usize {
        self.range.rows.clamp(1, PAGE_ROWS_MAX)
    }

    /// The newest rows that fit a condition: those of a page and one, if there are so many, by days.
    async fn day_by_day(
        &self,
        table: &str,
        condition: &str,
        days: BTreeSet<String>,
    ) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches: Vec<RecordBatch> = Vec::new();
        for days in groups(self.days_wanted(days)) {
            let days = days.iter().map(|day| format!("DATE '{day}'")).collect::<Vec<_>>().join(", ");
            batches.extend(self.newest(table, &format!("({condition}) AND {PARTITION} IN ({days})")).await?);
            if batches.iter().map(RecordBatch::num_rows).sum::<usize>() > self.rows_max() {
                break;
            }
        }
        Ok(batches)
    }

    /// The days that the range touches, newest first.
    fn days_wanted(&self, days: BTreeSet<String>) -> Vec<String> {
        let before_ms = self.range.before.map(|place| place.time_us.div_euclid(1000));
        let newest = [self.range.until_ms, before_ms].into_iter().flatten().min().map(day_of);
        let oldest = self.range.since_ms.map(day_of);
        let is_wanted = |day: &String| {
            newest.as_ref().is_none_or(|newest| day <= newest) && oldest.as_ref().is_none_or(|oldest| day >= oldest)
        };
        days.into_iter().rev().filter(is_wanted).collect()
    }

    async fn newest(&self, table: &str, condition: &str) -> Result<Vec<RecordBatch>, QueryError> {
        let statement = format!(
            "SELECT {} FROM {table} WHERE {condition}{} ORDER BY event_time DESC, position DESC, call_index DESC LIMIT {}",
            TIMELINE_COLUMNS.join(", "),
            self.range.conditions(),
            self.rows_max() + 1,
        );
        Ok(self.context.sql(&statement).await?.collect().await?)
    }

    /// The newest of what was found.
    fn page(&self, batches: &[RecordBatch]) -> Result<Page, QueryError> {
        let Some(first) = batches.first() else { return Ok(Page { rows: None, next: None }) };
        let found = concat_batches(&first.schema(), batches).map_err(DataFusionError::from)?;
        let places = places(&found).ok_or_else(|| QueryError::Statement("the tables have other columns".to_owned()))?;
        let mut order: Vec<usize> = (0..found.num_rows()).collect();
        order.sort_unstable_by_key(|&at| std::cmp::Reverse(places[at]));
        let has_more = order.len() > self.rows_max();
        order.truncate(self.rows_max());
        let next = order.last().filter(|_| has_more).map(|&at| places[at]);
        let order: UInt64Array = order.into_iter().map(|at| at as u64).collect();
        let rows = take_record_batch(&found, &order).map_err(DataFusionError::from)?;
        Ok(Page { rows: (rows.num_rows() > 0).then_some(rows), next })
    }
}

/// The condition that a call is at one of these gateways. At no gateway there is no call.
pub(crate) fn at_gateways(names: &[String]) -> String {
    let is_it: Vec<_> = names.iter().map(|name| format!("gateway = {}", literal(name))).collect();
    if is_it.is_empty() { "false".to_owned() } else { is_it.join(" OR ") }
}

/// Groups of days to ask for together: one, four, sixteen, and so on.
fn groups(days: Vec<String>) -> impl Iterator<Item = Vec<String>> {
    let mut left = days;
    let mut count = 1;
    std::iter::from_fn(move || {
        let rest = left.split_off(count.min(left.len()));
        let group = std::mem::replace(&mut left, rest);
        count *= 4;
        (!group.is_empty()).then_some(group)
    })
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
    fn four_times_as_many_days_are_asked_for_each_time() {
        let days: Vec<String> = (0..9).map(|day| day.to_string()).collect();
        let sizes: Vec<usize> = groups(days.clone()).map(|group| group.len()).collect();
        assert_eq!(sizes, [1, 4, 4]);
        assert_eq!(groups(days.clone()).flatten().collect::<Vec<_>>(), days);
        assert_eq!(groups(Vec::new()).count(), 0);
    }
}
