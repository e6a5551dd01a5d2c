//! Calls in the order of their time, for who learns from the past again.
//!
//! They are read a slice of time after the other, each of about as many calls as fit into memory easily, so that however much
//! there is, it is never sorted as a whole.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use deltalake::arrow::array::{AsArray as _, RecordBatch};
use deltalake::arrow::datatypes::Int64Type;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::prelude::SessionContext;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};

use crate::query::QueryError;
use crate::reader::LakeReader;
use crate::retention::day_of;
use crate::schema::PARTITION;
use crate::search::time_literal;

/// Calls of a slice, where one minute has no more.
const CALLS_PER_SLICE: u64 = 100_000;
const MINUTE_US: i64 = 60_000_000;

/// Which calls of the past.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// Those of these log records; `None` for all.
    pub records: Option<&'a [RangeInclusive<u64>]>,
    /// Those that were over before this moment, in milliseconds since 1970. None is from before 1970.
    pub until_ms: i64,
}

/// Calls that come in the order of their time; of one time, in that of the log.
pub struct CallsInOrder {
    context: SessionContext,
    condition: String,
    slices: VecDeque<Slice>,
    calls: u64,
    rows: Option<SendableRecordBatchStream>,
}

/// A stretch of time, in microseconds since 1970.
struct Slice {
    from_us: i64,
    until_us: i64,
    calls: u64,
}

impl LakeReader {
    /// Begins to read calls in the order of their time, with every column.
    pub fn in_order<'a>(&'a self, past: Past<'a>) -> BoxFuture<'a, Result<CallsInOrder, QueryError>> {
        let begin = async move {
            let context = self.engine.context();
            self.view().await?.register_events(&context, "events").await?;
            let condition = past.condition();
            let slices = slices(&minutes(&context, &condition).await?);
            let calls = slices.iter().map(|slice| slice.calls).sum();
            Ok(CallsInOrder { context, condition, slices, calls, rows: None })
        };
        begin.boxed()
    }
}

impl Past<'_> {
    fn condition(&self) -> String {
        let until = time_literal(self.until_ms.saturating_mul(1000));
        let mut condition = format!("event_time >= {} AND event_time < {until}", time_literal(0));
        if let Some(records) = self.records {
            let each: Vec<_> =
                records.iter().map(|range| format!("position BETWEEN {} AND {}", range.start(), range.end())).collect();
            // Of no record there is no call.
            let any = if each.is_empty() { "false".to_owned() } else { each.join(" OR ") };
            condition += &format!(" AND ({any})");
        }
        condition
    }
}

impl CallsInOrder {
    /// How many calls there are.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// The next calls; `None` at the end.
    pub fn next_rows(&mut self) -> BoxFuture<'_, Option<Result<RecordBatch, QueryError>>> {
        async move { self.read().await.transpose() }.boxed()
    }

    async fn read(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        loop {
            if let Some(rows) = &mut self.rows {
                if let Some(batch) = rows.next().await {
                    return Ok(Some(batch?));
                }
                self.rows = None;
            }
            let Some(slice) = self.slices.pop_front() else { return Ok(None) };
            let statement = slice.statement(&self.condition);
            self.rows = Some(self.context.sql(&statement).await?.execute_stream().await?);
        }
    }
}

impl Slice {
    /// The days are named too: by them whole files are passed over.
    fn statement(&self, condition: &str) -> String {
        let day = |us: i64| day_of(us.div_euclid(1000));
        format!(
            "SELECT * FROM events WHERE ({condition}) AND event_time >= {} AND event_time < {} AND {PARTITION} BETWEEN DATE \
             '{}' AND DATE '{}' ORDER BY event_time, position, call_index",
            time_literal(self.from_us),
            time_literal(self.until_us),
            day(self.from_us),
            day(self.until_us - 1),
        )
    }
}

/// The minutes that have calls, with how many.
async fn minutes(context: &SessionContext, condition: &str) -> Result<Vec<(i64, u64)>, QueryError> {
    let statement = format!(
        "SELECT arrow_cast(event_time, 'Int64') / {MINUTE_US} AS minute, count(*) AS calls FROM events WHERE {condition} \
         GROUP BY 1 ORDER BY 1"
    );
    let mut minutes = Vec::new();
    for batch in context.sql(&statement).await?.collect().await? {
        let columns = ["minute", "calls"].map(|name| batch.column_by_name(name).cloned());
        let [Some(minute), Some(calls)] = columns else { continue };
        let (minute, calls) = (minute.as_primitive::<Int64Type>(), calls.as_primitive::<Int64Type>());
        minutes.extend(minute.values().iter().copied().zip(calls.values().iter().map(|calls| calls.cast_unsigned())));
    }
    Ok(minutes)
}

/// Minutes put together to slices, those without calls left out.
fn slices(minutes: &[(i64, u64)]) -> VecDeque<Slice> {
    let mut slices: VecDeque<Slice> = VecDeque::new();
    for &(minute, calls) in minutes {
        let (from_us, until_us) =
            (minute.saturating_mul(MINUTE_US), minute.saturating_add(1).saturating_mul(MINUTE_US));
        match slices.back_mut().filter(|slice| slice.calls + calls <= CALLS_PER_SLICE) {
            Some(slice) => (slice.until_us, slice.calls) = (until_us, slice.calls + calls),
            None => slices.push_back(Slice { from_us, until_us, calls }),
        }
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_read_together_up_to_a_number_of_calls() {
        let minutes = [(5, 60_000), (6, 40_000), (9, 1), (10, 250_000), (11, 7), (400, 8)];
        let read: Vec<_> = slices(&minutes)
            .iter()
            .map(|slice| (slice.from_us / MINUTE_US, slice.until_us / MINUTE_US, slice.calls))
            .collect();
        assert_eq!(read, [(5, 7, 100_000), (9, 10, 1), (10, 11, 250_000), (11, 401, 15)]);
        assert!(slices(&[]).is_empty());
    }
}
