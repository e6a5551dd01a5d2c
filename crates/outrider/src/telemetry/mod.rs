//! What outrider says of itself while it works: its log on standard error, and traces for OpenTelemetry.
//!
//! Rooms write with `tracing` and do not know who reads. Nothing here is on the way of a call: no span is made for one.

mod actions;
mod exporter;
mod ids;
mod layer;
mod otlp;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

use crate::config::{Config, LogFormat, LoggingConfig, Role};
use crate::edges::report_panic;
use crate::installation;
use exporter::Exporter;
use layer::SpanLayer;
use otlp::{KeyValue, Resource, Span};

pub use actions::follow_actions;

/// What the environment may say instead of `logging.level`.
const FILTER_VARIABLE: &str = "OUTRIDER_LOG";
/// Spans that wait to be handed over.
const SPANS_WAITING: usize = 4096;
/// How long the last spans may take at the end.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(5);

/// The log and the traces of this process.
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
    traces: Option<Traces>,
    queue: Option<mpsc::Receiver<Span>>,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

/// Where spans go. Cheap to clone.
#[derive(Clone)]
pub struct Traces {
    queue: mpsc::Sender<Span>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    exported: AtomicU64,
    dropped: AtomicU64,
}

/// Spans in numbers, since the start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TraceStats {
    /// Taken by the collector.
    pub exported: u64,
    /// Given up: they found the queue full, or the collector refused them.
    pub dropped: u64,
}

impl Telemetry {
    /// Begins to log, and to queue spans where the configuration says where to. `json` asks for JSON whatever it says.
    pub fn begin(config: &Config, json: bool) -> anyhow::Result<Telemetry> {
        let (filter, handle) = reload::Layer::new(filter(&config.logging)?);
        let filter = filter.and(filter_fn(may_be_written).with_max_level_hint(LevelFilter::TRACE));
        let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let log = match (json, config.logging.format) {
            (false, LogFormat::Text) => log.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
            _ => log.json().with_filter(filter).boxed(),
        };
        let (traces, queue) = config.tracing.as_ref().map(|_| Traces::new(SPANS_WAITING)).unzip();
        let spans = traces.clone().map(|traces| SpanLayer(traces).with_filter(SpanLayer::filter()));
        let started = tracing_subscriber::registry().with(log).with(spans).try_init();
        started.context("this process has a log already")?;
        Ok(Telemetry { filter: handle, traces, queue, running: None })
    }

    /// Begins to hand spans over.
    pub fn start(&mut self, config: &Config, role: Role) -> anyhow::Result<()> {
        let (Some(tracing), Some(traces), Some(queue)) = (&config.tracing, &self.traces, self.queue.take()) else {
            return Ok(());
        };
        installation::prepare(&config.data_dir)?;
        let attributes = vec![
            KeyValue::text("service.name", "outrider"),
            KeyValue::text("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::text("service.instance.id", installation::instance(&config.data_dir)?),
            KeyValue::text("outrider.role", role.name()),
        ];
        let exporter = Exporter::new(tracing, Resource { attributes }, queue, traces.clone())?;
        let stop = CancellationToken::new();
        self.running = Some((stop.clone(), tokio::spawn(exporter.run(stop))));
        Ok(())
    }

    /// Where spans go, if they go anywhere.
    pub fn traces(&self) -> Option<Traces> {
        self.traces.clone()
    }

    /// Logs from this level on.
    pub fn reload(&self, logging: &LoggingConfig) -> anyhow::Result<()> {
        self.filter.reload(filter(logging)?).context("the level of the log cannot be changed")
    }

    /// Hands over what is left, as far as that goes soon.
    pub async fn stop(self) {
        let Some((stop, mut task)) = self.running else { return };
        stop.cancel();
        match tokio::time::timeout(FLUSH_TIME_MAX, &mut task).await {
            Ok(ended) => report_panic("traces", ended),
            Err(_) => {
                task.abort();
                tracing::warn!("the last traces were not taken in time and are dropped");
            }
        }
    }
}

/// Below warnings, AWS Lambda's own client writes whole events, with the secret of their sender and what is in the lines. Nobody
/// can ask for that.
fn may_be_written(metadata: &Metadata<'_>) -> bool {
    !metadata.target().starts_with("lambda_runtime") || *metadata.level() <= Level::WARN
}

/// Our own parts from the configured level on, libraries from warnings on; or what the environment says.
fn filter(logging: &LoggingConfig) -> anyhow::Result<EnvFilter> {
    match std::env::var(FILTER_VARIABLE) {
        Ok(text) => EnvFilter::try_new(&text).with_context(|| {
            format!("{FILTER_VARIABLE} is `{text}`, which is no filter; use one like `debug` or `warn,outrider=debug`")
        }),
        Err(_) => EnvFilter::try_new(logging.level.filter()).context("logging.level"),
    }
}

impl Traces {
    /// A queue that holds so many spans, and its other end.
    fn new(room: usize) -> (Traces, mpsc::Receiver<Span>) {
        let (queue, receiver) = mpsc::channel(room);
        (Traces { queue, counters: Arc::default() }, receiver)
    }

    /// Queues a span, if there is room. Never waits.
    fn send(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The numbers.
    pub fn counters(&self) -> TraceStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TraceStats { exported: read(&self.counters.exported), dropped: read(&self.counters.dropped) }
    }
}
