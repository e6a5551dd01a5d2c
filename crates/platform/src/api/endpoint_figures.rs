//! How endpoints were used of late: two statements over the lake give the figures of all of them, and they are kept for a
//! minute, however many people look. Those of a week or more are about whole hours.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use outrider_lake::{Answer, QueryError};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::lake::rows_of_batch;
use crate::queries::Queries;

/// How old figures may be.
const KEPT: Duration = Duration::from_secs(60);
/// How long nobody tries again, where they could not be read.
const GIVEN_UP: Duration = Duration::from_secs(10);
const HOUR_MS: i64 = 3_600_000;

/// The time before now that figures are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum Last {
    /// An hour.
    #[serde(rename = "1h")]
    Hour,
    /// A day.
    #[serde(rename = "24h")]
    Day,
    /// A week.
    #[serde(rename = "7d")]
    Week,
    /// Thirty days.
    #[serde(rename = "30d")]
    Month,
}

impl Last {
    fn hours(self) -> i64 {
        match self {
            Last::Hour => 1,
            Last::Day => 24,
            Last::Week => 7 * 24,
            Last::Month => 30 * 24,
        }
    }
}

/// How an endpoint was used, as the calls in the lake say. What outrider itself refused is among the calls alone.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub(super) struct EndpointFigures {
    /// Calls.
    pub calls: u64,
    /// Consumers that made them, of those that the gateway knows; of a week or more with a standard error of 2.3 %, from about two hundred on.
    pub consumers: u64,
    /// The share of the calls answered with 400 or more, of those that outrider let through.
    pub error_share: f64,
    /// The median of the time from the first byte of a request to the last of its answer, where it is known.
    pub latency_p50_ms: Option<f64>,
    /// What 95 of 100 of those times are at most.
    pub latency_p95_ms: Option<f64>,
    /// The median size of the requests, head and body.
    pub request_p50_bytes: Option<f64>,
    /// The median size of the answers, head and body.
    pub response_p50_bytes: Option<f64>,
    /// When the first of the calls was over.
    pub first_call_ms: Option<i64>,
    /// When the last of the calls was over.
    pub last_call_ms: Option<i64>,
    /// By how it was known who called, the most calls first, of those that outrider let through. Of hours that were added up before outrider
    /// counted it there are none.
    #[serde(default)]
    pub access: Vec<AccessFigures>,
}

/// How many calls there were by one way of knowing who called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct AccessFigures {
    /// `credential`: by one that the gateway accepted; `anonymous`: as the gateway's consumer for everybody; `presented`: by one that
    /// it did not accept or did not look at; `nothing`.
    pub how: String,
    /// Calls.
    pub calls: u64,
    /// Those that were answered with neither a refusal nor a failure.
    pub served: u64,
}

/// Figures by the id of the endpoint; one without calls has none.
pub(super) type Figures = Arc<HashMap<String, EndpointFigures>>;

/// The latest figures of each time; none where they could not be read. Who asks while they are being read waits for them.
#[derive(Debug, Default)]
pub(super) struct FiguresKept([Mutex<Option<Read>>; 4]);

/// When they were read, and what the lake answered.
type Read = (Instant, Option<Figures>);

impl FiguresKept {
    /// `None` where the lake does not answer, which must not keep anybody from the list.
    pub(super) async fn get(&self, queries: &Queries, last: Last, now_ms: i64) -> Option<Figures> {
        let mut kept = self.0[last as usize].lock().await;
        if let Some((read, figures)) = kept.as_ref() {
            let lasts = if figures.is_some() { KEPT } else { GIVEN_UP };
            if read.elapsed() < lasts {
                return figures.clone();
            }
        }
        let figures = match read(queries, last, now_ms).await {
            Ok(figures) => Some(Arc::new(figures)),
            Err(error) => {
                tracing::warn!(%error, "the lake does not answer with figures of endpoints");
                None
            }
        };
        *kept = Some((Instant::now(), figures.clone()));
        figures
    }
}

async fn read(queries: &Queries, last: Last, now_ms: i64) -> Result<HashMap<String, EndpointFigures>, QueryError> {
    let since_us = now_ms.saturating_sub(last.hours() * HOUR_MS).saturating_mul(1000);
    let since = format!("to_timestamp_micros({since_us})");
    let (figures, access) = match last {
        Last::Hour | Last::Day => (of_calls(&since), access_of_calls(&since)),
        Last::Week | Last::Month => (of_hours(&since), access_of_hours(&since)),
    };
    let figures: Vec<Row<EndpointFigures>> = queries.run(figures, collect).await?;
    let mut figures: HashMap<_, _> = figures.into_iter().map(|row| (row.id, row.of)).collect();
    // Better without than none at all.
    let access: Vec<Row<AccessFigures>> = queries.run(access, collect).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the lake does not answer with how callers of endpoints were known");
        Vec::new()
    });
    for row in access {
        if let Some(figures) = figures.get_mut(&row.id) {
            figures.access.push(row.of);
        }
    }
    Ok(figures)
}

/// What calls add up to by the hour: so many are not read one by one. The first hour counts as a whole.
///
/// The filter on the date keeps it from reading other days. The busiest endpoints come first, so that what a limit of rows
/// cuts off has the fewest calls.
fn of_hours(since: &str) -> String {
    format!(
        "SELECT current_endpoint_id AS id, sum(calls) AS calls, hll_count(consumers_hll) AS consumers, \
           sum(client_errors + server_errors) * 1.0 / greatest(sum(calls - own_refusals), 1) AS error_share, \
           histogram_quantile(latency_ms_histogram, 0.5) AS latency_p50_ms, \
           histogram_quantile(latency_ms_histogram, 0.95) AS latency_p95_ms, \
           histogram_quantile(request_bytes_histogram, 0.5) AS request_p50_bytes, \
           histogram_quantile(response_bytes_histogram, 0.5) AS response_p50_bytes, \
           CAST(min(first_time) AS BIGINT) / 1000 AS first_call_ms, CAST(max(last_time) AS BIGINT) / 1000 AS last_call_ms \
         FROM hours WHERE {} GROUP BY current_endpoint_id ORDER BY calls DESC",
        is_hour_since(since)
    )
}

fn access_of_hours(since: &str) -> String {
    format!(
        "SELECT id, one['how'] AS how, sum(one['calls']) AS calls, sum(one['served']) AS served \
         FROM (SELECT current_endpoint_id AS id, unnest(access) AS one FROM hours WHERE {}) \
         GROUP BY 1, 2 ORDER BY calls DESC",
        is_hour_since(since)
    )
}

fn is_hour_since(since: &str) -> String {
    format!(
        "event_date >= CAST({since} AS DATE) AND event_hour >= date_trunc('hour', {since}) \
         AND current_endpoint_id IS NOT NULL"
    )
}

fn of_calls(since: &str) -> String {
    format!(
        "SELECT current_endpoint_id AS id, count(*) AS calls, count(DISTINCT consumer_id) AS consumers, \
           count(*) FILTER (WHERE status >= 400 AND own_refusal IS NULL) * 1.0 / \
             greatest(count(*) FILTER (WHERE own_refusal IS NULL), 1) AS error_share, \
           approx_percentile_cont(latency_total_ms, 0.5) FILTER (WHERE {TIMED}) AS latency_p50_ms, \
           approx_percentile_cont(latency_total_ms, 0.95) FILTER (WHERE {TIMED}) AS latency_p95_ms, \
           approx_percentile_cont(request_bytes, 0.5) FILTER (WHERE own_refusal IS NULL) AS request_p50_bytes, \
           approx_percentile_cont(response_bytes, 0.5) FILTER (WHERE own_refusal IS NULL) AS response_p50_bytes, \
           CAST(min(event_time) AS BIGINT) / 1000 AS first_call_ms, CAST(max(event_time) AS BIGINT) / 1000 AS last_call_ms \
         FROM calls WHERE {} GROUP BY current_endpoint_id ORDER BY calls DESC",
        is_call_since(since)
    )
}

fn access_of_calls(since: &str) -> String {
    format!(
        "SELECT current_endpoint_id AS id, access AS how, count(*) AS calls, count(*) FILTER (WHERE status < 400) AS served \
         FROM calls WHERE {} AND own_refusal IS NULL GROUP BY 1, 2 ORDER BY calls DESC",
        is_call_since(since)
    )
}

fn is_call_since(since: &str) -> String {
    format!("event_date >= CAST({since} AS DATE) AND event_time >= {since} AND current_endpoint_id IS NOT NULL")
}

const TIMED: &str = "own_refusal IS NULL AND latency_total_ms >= 0";

/// What an answer says of the endpoint with this id.
#[derive(Deserialize)]
struct Row<T> {
    id: String,
    #[serde(flatten)]
    of: T,
}

async fn collect<T: DeserializeOwned + Send>(mut answer: Answer) -> Result<Vec<Row<T>>, QueryError> {
    let mut rows = Vec::new();
    while let Some(batch) = answer.next().await {
        for row in rows_of_batch(&batch?)? {
            rows.push(serde_json::from_value(row).map_err(|error| QueryError::Failed(error.to_string()))?);
        }
    }
    Ok(rows)
}
