//! `outrider query` and `outrider timeline`: asking the lake on the machine itself, by who may read the data directory.
//!
//! They read what is committed; a running outrider commits every few seconds. What is asked is in the audit log.

use std::io::{IsTerminal as _, Write};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use indicatif::ProgressBar;
use outrider_lake::arrow::array::RecordBatch;
use outrider_lake::arrow::datatypes::SchemaRef;
use outrider_lake::arrow::util::pretty::pretty_format_batches;
use outrider_lake::{Answer, Export, ExportFormat, LakeReader, Location, PAGE_ROWS_MAX, Range, parse_duration_ms};
use outrider_model::{AuditEntry, EntityKind};
use outrider_platform::service::lake_elsewhere;
use outrider_platform::side_tables::beside;
use outrider_platform::store::{AuditLog, GapFilter, Store};

use crate::audit::store_at_hand;
use crate::cli::{AskArguments, Format, QueryArguments, TimelineArguments};
use crate::config::Config;
use crate::terminal::utc;
use crate::{installation, service, terminal};

/// Rows that a table in the terminal waits for, so that its columns are as wide as they have to be.
const TABLE_ROWS_MAX: usize = 10_000;
/// Gaps that are told with a timeline, the newest ones.
const GAPS_TOLD_MAX: u32 = 20;
/// How often the progress is looked at.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Answers one statement.
pub async fn query(arguments: QueryArguments) -> anyhow::Result<()> {
    let place = Place::of(&arguments.ask).await?;
    place.note("asked the lake", &arguments.statement).await?;
    let reader = lake_of(&place.config)?;
    let bar = progress_bar();
    let beside = place.store.as_ref().map(beside).unwrap_or_default();
    let mut answer = reader.query(&arguments.statement, &beside).await?;
    let mut output = Output::new(arguments.ask.format, answer.schema())?;
    while let Some(batch) = next(&mut answer, &bar).await {
        output.write(&batch?)?;
    }
    bar.finish_and_clear();
    output.finish()?;
    if answer.is_truncated() {
        let max = place.config.lake.query_rows_max;
        terminal::note(&format!("there are more rows; `lake.query_rows_max` lets an answer have {max}"));
    }
    Ok(())
}

/// Shows one entity's calls.
pub async fn timeline(arguments: TimelineArguments) -> anyhow::Result<()> {
    let (kind, entity) = arguments
        .entity
        .split_once(':')
        .context("whose timeline? Say the kind and the id, such as `consumer:alice` or `ip:192.0.2.7`")?;
    let kind: EntityKind = kind.parse().map_err(anyhow::Error::msg)?;
    ensure!(
        kind.has_timeline(),
        "a {kind} never acts, so it has no timeline; `outrider posture` says what is weak there"
    );
    ensure!(!entity.is_empty(), "whose timeline? Behind `{kind}:` comes an id");
    let last_ms = parse_duration_ms(&arguments.last)
        .with_context(|| format!("--last `{}`: use a number with s, m, h or d, such as 24h", arguments.last))?;
    let place = Place::of(&arguments.ask).await?;
    place.note("read a timeline", &arguments.entity).await?;
    let reader = lake_of(&place.config)?;
    let since_ms = service::now_ms().saturating_sub(last_ms);
    let gaps = GapFilter { gateway: arguments.gateway.clone(), since_ms: Some(since_ms), until_ms: None };
    let mut range =
        Range { gateways: arguments.gateway.map(|name| vec![name]), since_ms: Some(since_ms), ..Range::default() };
    let (mut output, mut left) = (None, arguments.rows);
    while left > 0 {
        range.rows = left.min(PAGE_ROWS_MAX);
        let page = reader.page(kind.as_str(), entity, &range).await?;
        if let Some(rows) = &page.rows {
            left -= rows.num_rows();
            if output.is_none() {
                output = Some(Output::new(arguments.ask.format, rows.schema())?);
            }
            if let Some(output) = &mut output {
                output.write(rows)?;
            }
        }
        match page.next {
            Some(next) => range.before = Some(next),
            None => break,
        }
    }
    match output {
        Some(output) => output.finish()?,
        None => terminal::note(&format!("no calls of {} in the last {}", arguments.entity, arguments.last)),
    }
    match &place.store {
        Some(store) => tell_gaps(store, &gaps).await,
        None => Ok(()),
    }
}

/// Says from when calls are missing, or may be: what is not shown need not have been.
async fn tell_gaps(store: &Store, filter: &GapFilter) -> anyhow::Result<()> {
    let page = store.gaps(filter, GAPS_TOLD_MAX, None).await?;
    for gap in page.items.iter().rev() {
        let until = gap.until_ms.map_or_else(|| "now".to_owned(), utc);
        terminal::note(&format!("calls may be missing from {} to {until}: {}", utc(gap.since_ms), gap.detail));
    }
    if page.next.is_some() {
        terminal::note("there are older gaps in this time; `/api/v1/gaps` has all");
    }
    Ok(())
}

/// The installation that is asked.
struct Place {
    config: Config,
    /// `None` where there is a lake alone.
    store: Option<Store>,
}

impl Place {
    async fn of(ask: &AskArguments) -> anyhow::Result<Place> {
        let config = match &ask.data_dir {
            Some(data_dir) => {
                if let Some((lake, _)) = lake_elsewhere(data_dir) {
                    bail!(
                        "the lake of {} is at {lake}, and a configuration says how it is reached; name that with --config in \
                           the place of --data-dir",
                        data_dir.display()
                    );
                }
                let mut config = Config::default();
                config.data_dir = data_dir.clone();
                config
            }
            None => Config::load(&ask.config.config)?,
        };
        let store = store_at_hand(&config.data_dir).await?;
        Ok(Place { config, store })
    }

    /// Who may read the directory may read the lake; the audit log says that somebody did, where there is one.
    async fn note(&self, what: &str, detail: &str) -> anyhow::Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let (by, what) = ("command line".to_owned(), what.to_owned());
        let entry = AuditEntry {
            at_ms: service::now_ms(),
            by,
            what,
            subject: String::new(),
            detail: detail.chars().take(4096).collect(),
        };
        Ok(store.note(AuditLog::Reads, &entry).await?)
    }
}

/// The lake of an installation, as far as it is committed.
pub fn lake_of(config: &Config) -> anyhow::Result<LakeReader> {
    Ok(LakeReader::open(location_of(config)?, None, config.lake.limits())?)
}

/// Where it is, for who reads it.
pub fn location_of(config: &Config) -> anyhow::Result<Location> {
    config.lake.location(&config.data_dir, &installation::known_id(&config.data_dir)?.unwrap_or_default())
}

/// The next rows, with progress meanwhile.
async fn next(answer: &mut Answer, bar: &ProgressBar) -> Option<Result<RecordBatch, outrider_lake::QueryError>> {
    loop {
        // What is waited for goes on where it was: a stream loses nothing when it is not waited for any more.
        if let Ok(batch) = tokio::time::timeout(PROGRESS_EVERY, answer.next()).await {
            return batch;
        }
        let progress = answer.progress();
        bar.set_message(format!("{} rows read, {} MiB", progress.rows_read, progress.bytes_read / (1024 * 1024)));
        bar.tick();
    }
}

fn progress_bar() -> ProgressBar {
    match std::io::stderr().is_terminal() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    }
}

/// Rows on their way to standard output.
enum Output {
    Table(Vec<RecordBatch>, usize),
    Bytes(Export),
}

impl Output {
    fn new(format: Format, schema: SchemaRef) -> anyhow::Result<Output> {
        let format = match format {
            Format::Table => return Ok(Output::Table(vec![RecordBatch::new_empty(schema)], 0)),
            Format::Csv => ExportFormat::Csv,
            Format::Json => ExportFormat::JsonLines,
            Format::Parquet if std::io::stdout().is_terminal() => {
                bail!("--format parquet writes bytes; send them to a file, such as `> calls.parquet`")
            }
            Format::Parquet => ExportFormat::Parquet,
        };
        Ok(Output::Bytes(Export::new(format, schema)?))
    }

    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        match self {
            Output::Table(batches, rows) => {
                *rows += batch.num_rows();
                ensure!(
                    *rows <= TABLE_ROWS_MAX,
                    "the answer has more rows than a table in the terminal shows; say `LIMIT {TABLE_ROWS_MAX}`, or use --format csv"
                );
                batches.push(batch.clone());
            }
            Output::Bytes(export) => std::io::stdout().write_all(&export.rows(batch)?)?,
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        let mut out = std::io::stdout();
        match self {
            Output::Table(batches, _) => writeln!(out, "{}", pretty_format_batches(&batches)?)?,
            Output::Bytes(export) => out.write_all(&export.finish()?)?,
        }
        Ok(out.flush()?)
    }
}
