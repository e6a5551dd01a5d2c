//! Calls, newest first, a page at a time: those of one entity, or those that a search finds.
//!
//! The newest day is asked first, then as many days as the page still needs by what was found so far: who is busy is answered
//! from one day, who is rare from a few pages of each. An entity's calls lie together in the timeline; what is not in the
//! timeline yet comes from the events themselves.

use std::collections::BTreeSet;
use std::sync::Arc;

use deltalake::arrow::array::{AsArray as _, RecordBatch, UInt64Array};
use deltalake::arrow::compute::{concat_batches, take_record_batch};
use deltalake::arrow::datatypes::{Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::prelude::SessionContext;
use futures_util::future::BoxFuture;

use crate::entities::entity_column;
use crate::query::QueryError;
use crate::reader::{LakeReader, View};
use crate::retention::{DAY_MS, day_of};
use crate::schema::{PARTITION, TIMELINE_COLUMNS};
use crate::search::{Search, literal, time_literal};
use crate::sorted::{Wanted, newest};

/// Rows of a page at most.
pub const PAGE_ROWS_MAX: usize = 1_000;
/// How many times as many days are asked for as before, at most.
const DAYS_FACTOR: usize = 8;

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

    /// The same for an entity's calls in the timeline.
    fn wanted(&self, kind: &str, entity: &str) -> Wanted {
        // No call stands at this place, and all of its moment stand behind it.
        let until = self.until_ms.map(|ms| CallPlace { time_us: ms.saturating_mul(1000), position: -1, index: -1 });
        Wanted {
            kind: kind.to_owned(),
            entity: entity.to_owned(),
            gateways: self.gateways.clone(),
            since_us: self.since_ms.map(|ms| ms.saturating_mul(1000)),
            before: [until, self.before].into_iter().flatten().min(),
            rows: self.rows_max() + 1,
        }
    }

    fn rows_max(&self) -> usize {
        self.rows.clamp(1, PAGE_ROWS_MAX)
    }

    /// The newest of what was found.
    fn page(&self, batches: Vec<RecordBatch>) -> Result<Page, QueryError> {
        let Some(found) = newest_rows(batches, self.rows_max() + 1)? else {
            return Ok(Page { rows: None, next: None });
        };
        let rows = found.slice(0, found.num_rows().min(self.rows_max()));
        let has_more = found.num_rows() > rows.num_rows();
        let next = places(&rows).and_then(|places| places.last().copied()).filter(|_| has_more);
        Ok(Page { rows: Some(rows), next })
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
        self.in_turn(page)
    }

    /// A page of the calls that a search finds.
    pub fn search<'a>(&'a self, search: &'a Search, range: &'a Range) -> BoxFuture<'a, Result<Page, QueryError>> {
        let page = async move {
            let view = self.view().await?;
            let context = self.engine.context();
            view.register_events(&context, "events").await?;
            let ask = Ask { context, range };
            let batches = ask.day_by_day(&search.condition, view.event_days()?).await?;
            range.page(batches)
        };
        self.in_turn(page)
    }

    /// The call at a place in the log, with all columns of `events`, if it is at one of the gateways; `None` for all of these.
    pub fn call<'a>(
        &'a self,
        position: i64,
        index: i32,
        gateways: Option<&'a [String]>,
    ) -> BoxFuture<'a, Result<Option<RecordBatch>, QueryError>> {
        let call = async move {
            let view = self.view().await?;
            let context = self.engine.context();
            view.register_events(&context, "events").await?;
            let gateways = gateways.map_or("true".to_owned(), at_gateways);
            let statement = format!(
                "SELECT * FROM events WHERE position = {position} AND call_index = {index} AND ({gateways}) LIMIT 1"
            );
            let found = context.sql(&statement).await?.collect().await?;
            Ok(found.into_iter().find(|batch| batch.num_rows() > 0))
        };
        self.in_turn(call)
    }

    async fn page_of(&self, kind: &str, entity: &str, range: &Range) -> Result<Page, QueryError> {
        let column = entity_column(kind)?;
        let view = self.view().await?;
        let mut batches = Vec::new();
        if view.position > view.timeline_position {
            let context = self.engine.context();
            view.register_events(&context, "events").await?;
            let fresh = format!("{} AND position > {}", column.is(entity), view.timeline_position);
            batches = Ask { context, range }.newest(&fresh).await?;
        }
        let mut files = view.timeline_files()?;
        self.indexes.keep_only(files.values().flatten());
        let wanted = Arc::new(range.wanted(kind, entity));
        let mut days = Days::new(range, files.keys().cloned());
        // Fresh calls may be of any day, so only what the timeline gives ends the search.
        let mut found = 0;
        while let Some(days) = days.next(found) {
            let files = days.iter().filter_map(|day| files.remove(day)).flatten().collect();
            let sorted = newest(&self.indexes, &wanted, files).await?;
            found += sorted.as_ref().map_or(0, RecordBatch::num_rows);
            batches.extend(sorted);
        }
        range.page(batches)
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
        let batches = ask.day_by_day(&condition, view.event_days()?).await?;
        let page = range.page(batches)?;
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
}

struct Ask<'a> {
    context: SessionContext,
    range: &'a Range,
}

impl Ask<'_> {
    /// The newest calls that fit a condition: those of a page and one, if there are so many, by days.
    async fn day_by_day(&self, condition: &str, days: BTreeSet<String>) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut days = Days::new(self.range, days);
        while let Some(days) = days.next(rows_in(&batches)) {
            let days = days.iter().map(|day| format!("DATE '{day}'")).collect::<Vec<_>>().join(", ");
            batches.extend(self.newest(&format!("({condition}) AND {PARTITION} IN ({days})")).await?);
        }
        Ok(batches)
    }

    async fn newest(&self, condition: &str) -> Result<Vec<RecordBatch>, QueryError> {
        let statement = format!(
            "SELECT {} FROM events WHERE {condition}{} ORDER BY event_time DESC, position DESC, call_index DESC LIMIT {}",
            TIMELINE_COLUMNS.join(", "),
            self.range.conditions(),
            self.range.rows_max() + 1,
        );
        Ok(self.context.sql(&statement).await?.collect().await?)
    }
}

/// The condition that a call is at one of these gateways. At no gateway there is no call.
pub(crate) fn at_gateways(names: &[String]) -> String {
    let is_it: Vec<_> = names.iter().map(|name| format!("gateway = {}", literal(name))).collect();
    if is_it.is_empty() { "false".to_owned() } else { is_it.join(" OR ") }
}

/// The days of a range, and how many of them to ask for together.
struct Days {
    /// The oldest first.
    left: Vec<String>,
    asked: usize,
    rows: usize,
}

impl Days {
    fn new(range: &Range, days: impl IntoIterator<Item = String>) -> Days {
        let before_ms = range.before.map(|place| place.time_us.div_euclid(1000));
        let until_ms = range.until_ms.map(|ms| ms.saturating_sub(1));
        let newest = [until_ms, before_ms].into_iter().flatten().min().map(day_of);
        let oldest = range.since_ms.map(day_of);
        let is_wanted = |day: &String| {
            newest.as_ref().is_none_or(|newest| day <= newest) && oldest.as_ref().is_none_or(|oldest| day >= oldest)
        };
        let mut left: Vec<String> = days.into_iter().filter(is_wanted).collect();
        left.sort_unstable();
        Days { left, asked: 0, rows: range.rows_max() + 1 }
    }

    /// The next days, where the days so far had so many rows; `None` when there are enough, or no days are left.
    fn next(&mut self, found: usize) -> Option<Vec<String>> {
        let missing = self.rows.checked_sub(found).filter(|&missing| missing > 0 && !self.left.is_empty())?;
        let most = (self.asked * DAYS_FACTOR).max(1);
        // A quarter more than needed by the mean: days differ, and one more round costs more than one more day.
        let needed = (self.asked * missing * 5).div_ceil(4 * found.max(1));
        let count = if found == 0 { most } else { needed.clamp(1, most) };
        let next = self.left.split_off(self.left.len().saturating_sub(count));
        self.asked += next.len();
        Some(next)
    }
}

/// The newest rows of all, newest first; `None` where there are none.
pub(crate) fn newest_rows(
    batches: impl IntoIterator<Item = RecordBatch>,
    rows_max: usize,
) -> Result<Option<RecordBatch>, QueryError> {
    let batches: Vec<_> = batches.into_iter().filter(|batch| batch.num_rows() > 0).collect();
    let Some(first) = batches.first() else { return Ok(None) };
    let found = concat_batches(&first.schema(), &batches).map_err(DataFusionError::from)?;
    let places = places(&found).ok_or_else(|| QueryError::Failed("the tables have other columns".to_owned()))?;
    let mut order: Vec<usize> = (0..found.num_rows()).collect();
    order.sort_unstable_by_key(|&at| std::cmp::Reverse(places[at]));
    let order: UInt64Array = order.into_iter().take(rows_max).map(|at| at as u64).collect();
    Ok(Some(take_record_batch(&found, &order).map_err(DataFusionError::from)?))
}

fn rows_in(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

/// Where the calls stand; `None` where there are no such columns.
pub(crate) fn places(rows: &RecordBatch) -> Option<Vec<CallPlace>> {
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
    fn as_many_days_are_asked_for_as_the_page_still_needs() {
        let range = Range { rows: 99, ..Range::default() };
        let days = || Days::new(&range, (10..40).map(|day| format!("2026-11-{day}")));
        let asked = |found: &[usize]| {
            let mut days = days();
            found.iter().map_while(|&found| days.next(found)).map(|days| days.len()).collect::<Vec<_>>()
        };
        assert_eq!(asked(&[0, 100]), [1], "a busy one's page is full after a day");
        assert_eq!(asked(&[0, 20, 100]), [1, 5]);
        assert_eq!(asked(&[0, 20, 90, 99, 100]), [1, 5, 1, 1], "what is missing is asked for once more");
        assert_eq!(asked(&[0, 1, 2, 3]), [1, 8, 21], "a rare one's are found in three rounds");
        assert_eq!(asked(&[0, 0, 0, 0]), [1, 8, 21]);
        assert_eq!(days().next(0).unwrap(), ["2026-11-39"], "the newest first");
    }

    #[test]
    fn only_days_of_the_range_are_asked() {
        let day = |day: i64| day * DAY_MS;
        let range = Range { since_ms: Some(day(2) + 5), until_ms: Some(day(4)), rows: 1, ..Range::default() };
        let mut days = Days::new(&range, (0..9).map(|of| day_of(day(of))));
        let all: Vec<_> = std::iter::from_fn(|| days.next(0)).flatten().collect();
        assert_eq!(all, [3, 2].map(|of| day_of(day(of))));
        let place = CallPlace { time_us: day(4) * 1000, position: 7, index: 0 };
        let range = Range { until_ms: None, before: Some(place), ..range };
        let mut days = Days::new(&range, (0..9).map(|of| day_of(day(of))));
        assert_eq!(days.next(0).unwrap(), [day_of(day(4))], "it may have calls of the cursor's moment");
    }
}
