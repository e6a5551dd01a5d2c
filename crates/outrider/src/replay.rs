//! `outrider replay`: recorded Kong log lines through the very same analysis, as fast as it can.
//!
//! Log time is the running maximum of event time, so a file gives what a live run gives that received its lines in that
//! order. Nothing is acted upon: actions of the replayed past are in the alerts' notes only as far as policies say so.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use outrider_collect::{Content, LINE_BYTES_MAX_DEFAULT, LineFramer, Normalised, Normaliser, RunningMaximum, Scratch};
use outrider_discover::{asked_path, service_key};
use outrider_model::{Alert, AlertId, ApiCall, EndpointId, Finding};
use outrider_platform::analysis::{Analysis, AnalysisSettings};
use outrider_platform::enrich::Enricher;
use serde::{Deserialize, Serialize};

use crate::input::Input;
use crate::measure;

/// Quiet time that is taken to follow the last line, so that what a window was waiting for is decided.
const QUIET_AFTER_MS: i64 = 120_000;

/// What a replay needs.
pub struct Replay<'a> {
    /// The files, in order.
    pub files: &'a [PathBuf],
    /// Where the results go.
    pub out: &'a Path,
    /// What the analysis does.
    pub settings: AnalysisSettings,
    /// How lines become calls.
    pub normaliser: Normaliser,
    /// What is looked up about calls.
    pub enricher: Enricher,
    /// Whether a progress bar is wanted.
    pub show_progress: bool,
}

/// `summary.json`.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Lines read, blank ones left out.
    pub lines: u64,
    /// Lines that became calls.
    pub calls: u64,
    /// Lines that did not, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Findings raised.
    pub findings: u64,
    /// Alerts that they were merged into.
    pub alerts: u64,
    /// Endpoints of the final catalogue.
    pub endpoints: u64,
    /// Event time of the earliest and latest call, in ms since 1970; null without calls.
    pub first_event_ms: Option<i64>,
    /// See `first_event_ms`.
    pub last_event_ms: Option<i64>,
    /// Calls per second of wall time.
    pub events_per_second: f64,
    /// Wall time from the first byte to the last result.
    pub wall_seconds: f64,
    /// Processor time of the whole process.
    pub cpu_seconds: f64,
    /// The most memory that the process held.
    pub peak_rss_bytes: u64,
}

/// A line of `findings.jsonl`.
#[derive(Serialize)]
struct FindingRow<'a> {
    line: u64,
    alert: Option<AlertId>,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// A line of `assignments.jsonl`.
#[derive(Serialize)]
struct AssignmentRow<'a> {
    service: Option<&'a str>,
    method: Option<&'a str>,
    template: Option<&'a str>,
}

/// What is kept of each line until the catalogue is final.
#[derive(Serialize, Deserialize)]
struct Place<'a> {
    gateway: &'a str,
    workspace: &'a str,
    service_key: &'a str,
    service_name: &'a str,
    method: &'a str,
    path: &'a str,
}

struct Run {
    analysis: Analysis,
    clock: RunningMaximum,
    places: PlaceFile,
    findings: BufWriter<File>,
    alerts: BTreeMap<AlertId, Alert>,
    summary: Summary,
    last_place_line: u64,
    last_line: u64,
}

/// Runs it and writes the five files.
pub fn replay(arguments: Replay<'_>) -> anyhow::Result<Summary> {
    let began = Instant::now();
    let input = Input::open(arguments.files)?;
    let out = arguments.out;
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let analysis = Analysis::new("replay", arguments.settings)?;
    let mut run = Run {
        analysis,
        clock: RunningMaximum::default(),
        places: PlaceFile::create(out)?,
        findings: create(out, "findings.jsonl")?,
        alerts: BTreeMap::new(),
        summary: Summary {
            lines: 0,
            calls: 0,
            rejected: BTreeMap::new(),
            findings: 0,
            alerts: 0,
            endpoints: 0,
            first_event_ms: None,
            last_event_ms: None,
            events_per_second: 0.0,
            wall_seconds: 0.0,
            cpu_seconds: 0.0,
            peak_rss_bytes: 0,
        },
        last_place_line: 0,
        last_line: 0,
    };
    let bar = progress_bar(arguments.show_progress, input.total_bytes());
    let reading = (arguments.normaliser, arguments.enricher);
    let mut framer = LineFramer::new(LINE_BYTES_MAX_DEFAULT);
    let mut scratch = Scratch::default();
    let mut failure = None;
    while let Some(chunk) = input.next_chunk() {
        let chunk = chunk?;
        framer.feed(&chunk, |frame| {
            if failure.is_none() {
                failure = run.take(&reading, &mut scratch, frame.line, frame.content).err();
            }
        });
        if let Some(error) = failure.take() {
            return Err(error);
        }
        run.write_effects()?;
        bar.set_position(input.read_bytes());
        bar.set_message(format!("{} calls, {} findings", run.summary.calls, run.summary.findings));
    }
    run.last_line = run.last_line.max(framer.lines_ended());
    framer.finish(|frame| {
        failure = run.take(&reading, &mut scratch, frame.line, frame.content).err();
    });
    if let Some(error) = failure {
        return Err(error);
    }
    bar.set_message("writing results");
    let summary = run.finish(out, began)?;
    bar.finish_and_clear();
    Ok(summary)
}

impl Run {
    fn take(
        &mut self,
        (normaliser, enricher): &(Normaliser, Enricher),
        scratch: &mut Scratch,
        line: u64,
        content: Content<'_>,
    ) -> anyhow::Result<()> {
        self.summary.lines += 1;
        self.last_line = line;
        let rejection = match content {
            Content::Record(record) => match normaliser.read(record, None, scratch) {
                Ok(Normalised { mut call, hidden_address }) => {
                    self.clock.stamp(&mut call);
                    enricher.enrich_from(&mut call, hidden_address);
                    return self.observe(&call, line);
                }
                Err(rejection) => rejection,
            },
            Content::TooLong => outrider_collect::Rejection::TooLong,
            Content::NoRoom => outrider_collect::Rejection::NoRoom,
            Content::Torn { .. } => outrider_collect::Rejection::Torn,
        };
        *self.summary.rejected.entry(rejection.as_str()).or_default() += 1;
        Ok(())
    }

    fn observe(&mut self, call: &ApiCall<'_>, line: u64) -> anyhow::Result<()> {
        let summary = &mut self.summary;
        summary.calls += 1;
        summary.first_event_ms = Some(summary.first_event_ms.map_or(call.event_ms, |first| first.min(call.event_ms)));
        summary.last_event_ms = Some(summary.last_event_ms.map_or(call.event_ms, |last| last.max(call.event_ms)));
        // Lines that are no calls, and blank ones, have empty places; of several calls on a line the first one counts.
        if line > self.last_place_line {
            for _ in self.last_place_line + 1..line {
                self.places.push(None)?;
            }
            self.places.push(Some(call))?;
            self.last_place_line = line;
        }
        self.analysis.observe(call, line);
        Ok(())
    }

    fn write_effects(&mut self) -> anyhow::Result<()> {
        let effects = self.analysis.drain_effects();
        for (finding, alert) in &effects.findings {
            let row = FindingRow { line: finding.call_number, alert: *alert, finding };
            write_row(&mut self.findings, &row).context("cannot write findings.jsonl")?;
            self.summary.findings += 1;
        }
        for alert in effects.alerts {
            self.alerts.insert(alert.id, alert);
        }
        Ok(())
    }

    fn finish(mut self, out: &Path, began: Instant) -> anyhow::Result<Summary> {
        if let Some(last) = self.clock.latest_ms() {
            self.analysis.advance(last + QUIET_AFTER_MS);
        }
        self.write_effects()?;
        self.findings.flush().context("cannot write findings.jsonl")?;
        for _ in self.last_place_line..self.last_line {
            self.places.push(None)?;
        }

        let mut alerts: Vec<_> = self.alerts.values().collect();
        alerts.sort_by_key(|alert| (alert.opened_ms, alert.id));
        write_rows(out, "alerts.jsonl", alerts.iter())?;
        let catalogue = self.analysis.catalogue();
        let endpoints = catalogue.endpoints().filter(|endpoint| endpoint.merged_into.is_none());
        self.summary.endpoints = write_rows(out, "endpoints.jsonl", endpoints)?;
        self.summary.alerts = alerts.len() as u64;
        self.places.write_assignments(
            out,
            |place| catalogue.lookup(place.gateway, place.workspace, place.service_key, place.method, place.path),
            |id| catalogue.endpoint(id).map(|endpoint| endpoint.key.template.as_str()),
        )?;

        let wall = began.elapsed().max(Duration::from_micros(1));
        let usage = measure::usage();
        self.summary.wall_seconds = wall.as_secs_f64();
        self.summary.events_per_second = self.summary.calls as f64 / wall.as_secs_f64();
        self.summary.cpu_seconds = usage.cpu_seconds;
        self.summary.peak_rss_bytes = usage.peak_rss_bytes;
        let path = out.join("summary.json");
        fs::write(&path, serde_json::to_vec_pretty(&self.summary)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(self.summary)
    }
}

/// The places of all lines, on disk, because a file may have more lines than memory.
struct PlaceFile {
    file: BufWriter<File>,
    buffer: Vec<u8>,
}

impl PlaceFile {
    fn create(out: &Path) -> anyhow::Result<Self> {
        let path = out.join("assignments.tmp");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.with_context(|| format!("cannot make {}", path.display()))?;
        // Without a name it is gone with the process, however that ends.
        fs::remove_file(&path).with_context(|| format!("cannot unlink {}", path.display()))?;
        Ok(PlaceFile { file: BufWriter::with_capacity(1 << 18, file), buffer: Vec::new() })
    }

    /// Adds a line's place; an empty one for a line that is no call.
    fn push(&mut self, call: Option<&ApiCall<'_>>) -> anyhow::Result<()> {
        self.buffer.clear();
        if let Some(call) = call {
            let (service_key, path) = (service_key(call), asked_path(call));
            let place = Place {
                gateway: &call.gateway,
                workspace: &call.workspace,
                service_key: &service_key,
                service_name: call.service.as_ref().map_or("", |service| service.label()),
                method: &call.method,
                path: &path,
            };
            self.buffer =
                postcard::to_extend(&place, std::mem::take(&mut self.buffer)).context("cannot encode a place")?;
        }
        let length = u32::try_from(self.buffer.len()).context("a path is too long")?;
        let write = self.file.write_all(&length.to_le_bytes()).and_then(|()| self.file.write_all(&self.buffer));
        write.context("cannot write the temporary file of assignments")
    }

    fn write_assignments<'c>(
        self,
        out: &Path,
        lookup: impl Fn(&Place<'_>) -> Option<EndpointId>,
        template: impl Fn(EndpointId) -> Option<&'c str>,
    ) -> anyhow::Result<()> {
        let mut file = self.file.into_inner().context("cannot write the temporary file of assignments")?;
        let length = file.stream_position().context("cannot read the temporary file of assignments")?;
        file.seek(SeekFrom::Start(0)).context("cannot read the temporary file of assignments")?;
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let mut writer = create(out, "assignments.jsonl")?;
        let (mut at, mut buffer) = (0, Vec::new());
        while at < length {
            let mut prefix = [0; 4];
            reader.read_exact(&mut prefix).context("cannot read the temporary file of assignments")?;
            buffer.resize(u32::from_le_bytes(prefix) as usize, 0);
            reader.read_exact(&mut buffer).context("cannot read the temporary file of assignments")?;
            at += 4 + buffer.len() as u64;
            let mut row = AssignmentRow { service: None, method: None, template: None };
            let place: Place<'_>;
            if !buffer.is_empty() {
                place = postcard::from_bytes(&buffer).context("the temporary file of assignments is damaged")?;
                let service = if place.service_name.is_empty() { place.service_key } else { place.service_name };
                row.service = Some(service);
                row.method = Some(place.method);
                row.template = lookup(&place).and_then(&template);
            }
            write_row(&mut writer, &row).context("cannot write assignments.jsonl")?;
        }
        writer.flush().context("cannot write assignments.jsonl")
    }
}

fn create(out: &Path, name: &str) -> anyhow::Result<BufWriter<File>> {
    let path = out.join(name);
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(BufWriter::with_capacity(1 << 18, file))
}

fn write_row(writer: &mut impl Write, row: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *writer, row)?;
    writer.write_all(b"\n")?;
    Ok(())
}

fn write_rows(out: &Path, name: &str, rows: impl Iterator<Item = impl Serialize>) -> anyhow::Result<u64> {
    let mut writer = create(out, name)?;
    let mut count = 0;
    for row in rows {
        write_row(&mut writer, &row).with_context(|| format!("cannot write {name}"))?;
        count += 1;
    }
    writer.flush().with_context(|| format!("cannot write {name}"))?;
    Ok(count)
}

/// Over the bytes that are read.
pub fn progress_bar(wanted: bool, total_bytes: Option<u64>) -> ProgressBar {
    let bar = match total_bytes {
        _ if !wanted => return ProgressBar::hidden(),
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    let template = match total_bytes {
        Some(_) => "{bar:30} {bytes}/{total_bytes} {eta} left, {msg}",
        None => "{spinner} {bytes} read in {elapsed}, {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
