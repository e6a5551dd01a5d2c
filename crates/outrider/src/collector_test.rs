//! `outrider collector test`: recorded log lines beside what of them would leave. Nothing is sent, stored or changed.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::Context as _;
use outrider_collect::{
    Content, Fate, LineFramer, Normaliser, PreviewRow, PseudonymKey, Rejection, SourceSecret, body_records,
};
use outrider_platform::enrich::{EnrichSettings, Enricher};
use serde::Serialize;

use crate::cli::{CollectorTestArguments, PreviewFormat};
use crate::config::Config;
use crate::input::Input;
use crate::{lines_of, service, terminal};

/// The exit status where a line is no call, or a field could not be mapped.
const HAS_WARNINGS: u8 = 4;
/// Characters of a value in the table.
const VALUE_WIDTH: usize = 48;
/// Lines of a file that are named as no calls.
const NAMED_MAX: usize = 20;

/// A line of the JSON form.
#[derive(Serialize)]
struct LineReport<'r> {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<&'static str>,
    values: &'r [PreviewRow],
}

/// What came of a file.
#[derive(Default)]
struct Seen {
    calls: u64,
    rejected: Vec<String>,
    rejected_count: u64,
    failed: u64,
}

struct Test<W> {
    normaliser: Normaliser,
    line_bytes_max: usize,
    /// Of a source whose lines come in bodies, which are lines of the file.
    body_bytes_max: Option<usize>,
    enricher: Enricher,
    format: PreviewFormat,
    shows_all: bool,
    out: W,
    seen: Seen,
}

/// Shows a file.
pub fn test(arguments: &CollectorTestArguments) -> anyhow::Result<ExitCode> {
    let path = &arguments.config.config;
    let config = Config::load(path)?;
    let normaliser = normaliser(&config, arguments.gateway.as_deref()).with_context(|| path.display().to_string())?;
    let sources: Vec<_> =
        config.collector.sources.iter().filter(|source| source.gateway() == normaliser.gateway()).collect();
    // Databases and lists say nothing of the line, so they are not read.
    let entities = EnrichSettings { entities: config.entities.clone(), ..EnrichSettings::default() };
    let mut test = Test {
        normaliser,
        line_bytes_max: sources.iter().map(|source| source.line_bytes_max()).max().unwrap_or(0),
        body_bytes_max: sources.iter().filter_map(|source| source.body_bytes_max()).max(),
        enricher: Enricher::open(entities, service::now_ms())?,
        format: arguments.format,
        shows_all: arguments.all,
        out: BufWriter::new(io::stdout().lock()),
        seen: Seen::default(),
    };
    match test.file(arguments) {
        Ok(()) => {}
        // Whoever closed standard output has seen enough.
        Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
        Err(error) => return Err(error),
    }
    Ok(test.seen.tell())
}

/// The normaliser of the source, with the installation's key where there is one, so that pseudonyms are the true ones.
fn normaliser(config: &Config, gateway: Option<&str>) -> anyhow::Result<Normaliser> {
    let mut lines = lines_of(config, gateway)?;
    let source = config.collector.sources.iter().find(|source| {
        source.gateway() == lines.gateway && source.secret_file().is_some() && source.secret_field().is_some()
    });
    if let Some(file) = source.and_then(|source| source.secret_file()) {
        lines.secret = Some(SourceSecret::load(file)?);
    }
    let key_file = config.data_dir.join("pseudonym.key");
    let key = match key_file.try_exists().with_context(|| format!("cannot look for {}", key_file.display()))? {
        true => PseudonymKey::load_or_create(&key_file)?,
        false => {
            terminal::note(
                "there is no pseudonym key in data_dir yet; these pseudonyms are of a key for this test alone",
            );
            PseudonymKey::from_bytes(b"outrider collector test, no key.")
        }
    };
    Ok(Normaliser::new(lines, key)?)
}

impl<W: Write> Test<W> {
    fn file(&mut self, arguments: &CollectorTestArguments) -> anyhow::Result<()> {
        let input = Input::open(std::slice::from_ref(&arguments.file))?;
        let mut framer = LineFramer::new(self.body_bytes_max.unwrap_or(0).max(self.line_bytes_max));
        let mut failure = None;
        while let Some(chunk) = input.next_chunk() {
            framer.feed(&chunk?, |frame| {
                if failure.is_none() {
                    failure = self.record(frame.line, frame.content).err();
                }
            });
            if let Some(failure) = failure.take() {
                return Err(failure);
            }
        }
        framer.finish(|frame| failure = self.record(frame.line, frame.content).err());
        match failure {
            Some(failure) => Err(failure),
            None => self.out.flush().context("cannot write to standard output"),
        }
    }

    /// Shows a line of the file, or those of a body that is one.
    fn record(&mut self, line: u64, content: Content<'_>) -> anyhow::Result<()> {
        match content {
            Content::Record(body) if self.body_bytes_max.is_some() && body.trim_ascii_start().starts_with(b"[") => {
                body_records(body, self.line_bytes_max).try_for_each(|content| self.show(line, content))
            }
            Content::Record(record) if record.len() > self.line_bytes_max => self.show(line, Content::TooLong),
            content => self.show(line, content),
        }
    }

    fn show(&mut self, line: u64, content: Content<'_>) -> anyhow::Result<()> {
        let read = match content {
            Content::Record(record) => {
                self.normaliser.preview(record, |call, address| self.enricher.enrich_from(call, address))
            }
            Content::TooLong => Err(Rejection::TooLong),
            Content::NoRoom => Err(Rejection::NoRoom),
            Content::Torn { .. } => Err(Rejection::Torn),
        };
        let rejected = read.as_ref().err().map(|rejection| rejection.as_str());
        let rows = read.unwrap_or_default();
        self.seen.count(line, rejected, &rows);
        let written = match self.format {
            PreviewFormat::Json => {
                let report = LineReport { line, rejected, values: &rows };
                serde_json::to_string(&report).map_err(io::Error::other).and_then(|text| writeln!(self.out, "{text}"))
            }
            PreviewFormat::Table => write_table(&mut self.out, line, rejected, &rows, self.shows_all),
        };
        written.context("cannot write to standard output")
    }
}

impl Seen {
    fn count(&mut self, line: u64, rejected: Option<&'static str>, rows: &[PreviewRow]) {
        self.failed += rows.iter().filter(|row| row.fate == Fate::Failed).count() as u64;
        let Some(reason) = rejected else {
            self.calls += 1;
            return;
        };
        self.rejected_count += 1;
        if self.rejected.len() < NAMED_MAX {
            self.rejected.push(format!("line {line} ({reason})"));
        }
    }

    /// The sum of it, to the person at the terminal.
    fn tell(&self) -> ExitCode {
        terminal::note(&format!("{} calls; nothing was sent or stored", self.calls));
        if self.rejected_count > 0 {
            let named = self.rejected.join(", ");
            let more = self.rejected_count - self.rejected.len() as u64;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            terminal::note(&format!("{} lines are no calls: {named}{more}", self.rejected_count));
        }
        if self.failed > 0 {
            terminal::note(&format!("{} times a field could not be mapped; look for `failed`", self.failed));
        }
        if self.rejected_count + self.failed > 0 { ExitCode::from(HAS_WARNINGS) } else { ExitCode::SUCCESS }
    }
}

fn write_table(
    out: &mut impl Write,
    line: u64,
    rejected: Option<&str>,
    rows: &[PreviewRow],
    shows_all: bool,
) -> io::Result<()> {
    if let Some(reason) = rejected {
        return writeln!(out, "line {line}: no call ({reason})\n");
    }
    writeln!(out, "line {line}")?;
    let header = ["THE LINE SAYS", "", "", "LEAVES AS", ""].map(str::to_owned);
    let shown = rows.iter().filter(|row| shows_all || row.fate != Fate::NotSent);
    let cells: Vec<[String; 5]> = std::iter::once(header).chain(shown.map(cells)).collect();
    let mut widths = [0; 5];
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &cells {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "  {}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    let left = rows.iter().filter(|row| row.fate == Fate::NotSent).count();
    match left {
        0 => writeln!(out),
        left if shows_all => writeln!(out, "  ({left} values are not sent)\n"),
        left => writeln!(out, "  ({left} more values are not sent; --all shows them)\n"),
    }
}

fn cells(row: &PreviewRow) -> [String; 5] {
    let value = |value: &Option<String>| value.as_deref().map_or_else(String::new, printable);
    [
        printable(&row.place),
        value(&row.before),
        row.fate.as_str().replace('_', " "),
        printable(&row.column),
        value(&row.after),
    ]
}

/// A value as it can be shown in a terminal: cut, and with nothing in it that a terminal acts upon, because callers choose
/// these values.
fn printable(value: &str) -> String {
    let mut text = String::new();
    for (count, character) in value.chars().enumerate() {
        if count == VALUE_WIDTH {
            text.push('…');
            break;
        }
        match character {
            character if character.is_control() => text.extend(character.escape_default()),
            // Directions of writing, which would turn the table round.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                text.extend(character.escape_unicode());
            }
            character => text.push(character),
        }
    }
    text
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_and_do_nothing_to_a_terminal() {
        let long = "x".repeat(VALUE_WIDTH);
        let cases = [
            ("plain é", "plain é".to_owned()),
            ("\u{1b}[2J\r\n", "\\u{1b}[2J\\r\\n".to_owned()),
            ("\u{202e}evil", "\\u{202e}evil".to_owned()),
            (&long, long.clone()),
            (&format!("{long}y"), format!("{long}…")),
        ];
        for (value, expected) in cases {
            assert_eq!(printable(value), expected, "{value:?}");
        }
    }

    #[test]
    fn what_is_not_sent_is_counted_or_shown() {
        let row = |place: &str, fate, column: &str| PreviewRow {
            place: place.to_owned(),
            before: Some("v".to_owned()),
            fate,
            column: column.to_owned(),
            after: None,
        };
        let rows = [row("client_ip", Fate::Kept, "client_ip"), row("tries.port", Fate::NotSent, "")];
        for (shows_all, expected) in [(false, "1 more values are not sent; --all"), (true, "tries.port")] {
            let mut out = Vec::new();
            write_table(&mut out, 7, None, &rows, shows_all).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(text.starts_with("line 7\n") && text.contains(expected), "{text}");
        }
        let mut out = Vec::new();
        write_table(&mut out, 8, Some("not_json"), &[], false).unwrap();
        assert_eq!(out, b"line 8: no call (not_json)\n\n");
    }
}
