//! `GET /metrics`: the status in the OpenMetrics text format, for Prometheus.
//!
//! [`METRICS`] is the one list: each metric says where in the status its number is. `docs/metrics.md` is made of it.

use std::fmt::Error;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use serde_json::Value;

use super::openapi::Description;
use super::problem::Problem;
use super::reading::whole_status;
use super::routes::Answer;
use super::{ApiState, StatusSource};
use table::{METRICS, Metric, Rows};

mod table;

/// What the answer is, as Prometheus asks for it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It only grows; it begins with the process, or with the log.
    Counter,
    /// It goes up and down.
    Gauge,
}

pub(super) async fn metrics(State(state): State<ApiState>) -> Result<Metrics, Problem> {
    let status = serde_json::to_value(whole_status(&state).await?).map_err(|_| Problem::internal())?;
    encode(status).map(Metrics).map_err(|Error| Problem::internal())
}

/// Of a process that has a status and nothing else.
pub(super) async fn own_metrics(State(status): State<Arc<dyn StatusSource>>) -> Result<Metrics, Problem> {
    encode(status.status()).map(Metrics).map_err(|Error| Problem::internal())
}

/// All samples as text.
pub(super) struct Metrics(String);

impl IntoResponse for Metrics {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, OPEN_METRICS)], self.0).into_response()
    }
}

impl Answer for Metrics {
    /// Prometheus asks for several formats and takes what comes, as its own servers answer.
    const MEDIA: &'static str = "*/*";

    fn describe(description: &mut Description<'_>) {
        description.answer::<String>(StatusCode::OK, OPEN_METRICS, "All metrics in the OpenMetrics text format.");
    }
}

fn encode(status: Value) -> Result<String, Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(status)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

/// The status at one moment.
#[derive(Debug)]
struct Scrape(Value);

/// One number with its labels.
type Sample = (Vec<(String, String)>, f64);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        for metric in METRICS {
            let unit = match metric.unit {
                "" => None,
                "bytes" => Some(Unit::Bytes),
                "seconds" => Some(Unit::Seconds),
                other => Some(Unit::Other(other.to_owned())),
            };
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut family = encoder.encode_descriptor(metric.name, metric.help, unit.as_ref(), kind)?;
            for (labels, value) in samples(metric, &self.0) {
                if labels.is_empty() {
                    encode_value(&mut family, metric.kind, value)?;
                } else {
                    encode_value(&mut family.encode_family(&labels)?, metric.kind, value)?;
                }
            }
        }
        Ok(())
    }
}

fn encode_value(encoder: &mut MetricEncoder<'_>, kind: Kind, value: f64) -> Result<(), Error> {
    match kind {
        Kind::Counter => encoder.encode_counter::<NoLabelSet, f64, u64>(&value, None),
        Kind::Gauge => encoder.encode_gauge(&value),
    }
}

/// The metric's numbers. What the status does not hold, such as a part that is switched off, is left out.
fn samples(metric: &Metric, status: &Value) -> Vec<Sample> {
    let number = |value: Option<&Value>| match value? {
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        value => value.as_f64().map(|value| value * metric.scale),
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |path: &str| status.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
    match metric.rows {
        Rows::One(path) => number(status.pointer(path)).map(|value| (Vec::new(), value)).into_iter().collect(),
        Rows::Each { list: path, label, name, value } => {
            let items = list(path);
            let sample = |item: &Value| {
                let value = number(item.pointer(value))?;
                Some((vec![(label.to_owned(), text(item.pointer(name)))], value))
            };
            items.iter().filter_map(sample).collect()
        }
        Rows::Map { list: path, label, name, by, map } => {
            let items = list(path);
            let samples = items.iter().flat_map(|item| {
                let name = text(item.pointer(name));
                let entries = item.pointer(map).and_then(Value::as_object).into_iter().flatten();
                entries.filter_map(move |(key, value)| {
                    let labels = vec![(label.to_owned(), name.clone()), (by.to_owned(), key.clone())];
                    Some((labels, number(Some(value))?))
                })
            });
            samples.collect()
        }
        Rows::Reasons { map, by } => {
            let entries = status.pointer(map).and_then(Value::as_object).into_iter().flatten();
            entries
                .filter_map(|(key, value)| Some((vec![(by.to_owned(), key.clone())], number(Some(value))?)))
                .collect()
        }
        Rows::Present { list: path, labels } => {
            let items = list(path);
            let named = |item: &Value| {
                let labels = labels.iter().map(|(label, path)| ((*label).to_owned(), text(item.pointer(path))));
                (labels.collect(), 1.0)
            };
            items.iter().map(named).collect()
        }
        Rows::Failing { list: path, label, name, problem } => {
            let items = list(path);
            let failing = |item: &Value| {
                let fails = item.pointer(problem).is_some_and(|problem| !problem.is_null());
                (vec![(label.to_owned(), text(item.pointer(name)))], f64::from(u8::from(fails)))
            };
            items.iter().map(failing).collect()
        }
    }
}

#[cfg(test)]
mod tests;
