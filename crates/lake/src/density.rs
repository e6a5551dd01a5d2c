//! How an entity's calls lie in time: counts in steps of one length, to be drawn above its timeline.

use deltalake::arrow::array::{AsArray as _, RecordBatch};
use deltalake::arrow::datatypes::Int64Type;
use futures_util::future::BoxFuture;

use crate::entities::entity_column;
use crate::page::Range;
use crate::query::QueryError;
use crate::reader::LakeReader;
use crate::search::literal;

/// Steps of one density at most.
pub const STEPS_MAX: usize = 1_000;

/// A span of time in steps of one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its beginning, in milliseconds since 1970, and not before that.
    pub since_ms: i64,
    /// Its end, which is no part of it.
    pub until_ms: i64,
    /// Steps, [`STEPS_MAX`] at most.
    pub steps: usize,
}

impl Span {
    /// How long a step is; the last one may reach past the end.
    pub fn step_ms(&self) -> i64 {
        let steps = self.steps.clamp(1, STEPS_MAX) as i64;
        let length = self.until_ms.saturating_sub(self.since_ms).max(1);
        (length / steps + i64::from(length % steps != 0)).max(1)
    }
}

/// Calls of one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// Its beginning, in milliseconds since 1970.
    pub start_ms: i64,
    /// All calls.
    pub calls: u64,
    /// Those answered 4xx, refusals of ours left out.
    pub client_errors: u64,
    /// Those answered 5xx.
    pub server_errors: u64,
    /// Those that a block or limit of ours refused.
    pub refused: u64,
}

impl LakeReader {
    /// The steps in which an entity has calls, oldest first. `kind` and `entity` are as the timeline has them; a consumer's
    /// name will do.
    pub fn density<'a>(
        &'a self,
        kind: &'a str,
        entity: &'a str,
        span: Span,
        gateways: Option<&'a [String]>,
    ) -> BoxFuture<'a, Result<Vec<Step>, QueryError>> {
        let density = async move {
            let range = Range {
                gateways: gateways.map(<[String]>::to_vec),
                since_ms: Some(span.since_ms),
                until_ms: Some(span.until_ms),
                ..Range::default()
            };
            let steps = self.density_of(kind, entity, span, &range).await?;
            match self.meant_by_name(!steps.is_empty(), kind, entity, &range).await? {
                Some(id) => self.density_of(kind, &id, span, &range).await,
                None => Ok(steps),
            }
        };
        self.in_turn(density)
    }

    async fn density_of(&self, kind: &str, entity: &str, span: Span, range: &Range) -> Result<Vec<Step>, QueryError> {
        const COLUMNS: &str = "arrow_cast(event_time, 'Int64') AS us, status, own_refusal";
        let column = entity_column(kind)?;
        let view = self.view().await?;
        let context = self.session(&view).await?;
        let of_range = range.conditions();
        let calls = format!(
            "SELECT {COLUMNS} FROM events WHERE {} AND position > {}{of_range} \
             UNION ALL SELECT {COLUMNS} FROM timeline WHERE entity_kind = {} AND entity = {}{of_range}",
            column.is(entity),
            view.timeline_position,
            literal(kind),
            literal(entity),
        );
        let (since_us, step_us) = (span.since_ms.saturating_mul(1000), span.step_ms().saturating_mul(1000));
        let statement = format!(
            "SELECT (us - {since_us}) / {step_us} AS step, count(*) AS calls, \
             count(*) FILTER (WHERE status BETWEEN 400 AND 499 AND own_refusal IS NULL) AS client_errors, \
             count(*) FILTER (WHERE status >= 500 AND own_refusal IS NULL) AS server_errors, \
             count(own_refusal) AS refused FROM ({calls}) GROUP BY 1 ORDER BY 1"
        );
        let batches = context.sql(&statement).await?.collect().await?;
        Ok(batches.iter().flat_map(|batch| steps(batch, span)).collect())
    }
}

fn steps(batch: &RecordBatch, span: Span) -> Vec<Step> {
    let column = |at: usize, row: usize| {
        let column = batch.column(at).as_primitive_opt::<Int64Type>();
        column.map_or(0, |column| column.value(row))
    };
    let count = |at, row| column(at, row).max(0).cast_unsigned();
    let step = |row| Step {
        start_ms: span.since_ms.saturating_add(column(0, row).saturating_mul(span.step_ms())),
        calls: count(1, row),
        client_errors: count(2, row),
        server_errors: count(3, row),
        refused: count(4, row),
    };
    (0..batch.num_rows()).map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_cover_the_span() {
        let step = |since_ms, until_ms, steps| Span { since_ms, until_ms, steps }.step_ms();
        assert_eq!(step(0, 100, 10), 10);
        assert_eq!(step(0, 101, 10), 11, "the last one reaches past the end");
        assert_eq!(step(0, 5, 10), 1);
        assert_eq!(step(7, 7, 10), 1);
        assert_eq!(step(9, 7, 0), 1);
        assert_eq!(step(i64::MIN, i64::MAX, 1), i64::MAX);
        assert_eq!(step(0, 5_000, 9_999_999), 5, "there are no more steps than may be");
    }
}
