//! `outrider replay --into`: recorded log lines become the history of an installation.
//!
//! The files are read twice: first to see that all of them can be read, hold Kong's lines, and which they are by their content,
//! before any call is imported; then to import what the lake does not have yet.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use outrider_collect::{
    Content, Frame, LINE_BYTES_MAX_DEFAULT, LineFramer, Normalised, Normaliser, NormaliserSettings, PseudonymKey,
    Rejection, Scratch,
};
use outrider_model::{ApiCall, ClockCheck};
use outrider_platform::enrich::Enricher;
use outrider_platform::history::{HistoryImport, HistorySettings, Learnt, Taken};
use sha2::{Digest as _, Sha256};

use crate::backup::in_hex;
use crate::cli::ReplayArguments;
use crate::config::Config;
use crate::input::Input;
use crate::service::now_ms;
use crate::{installation, lines_of, replay, terminal};

const DAY_MS: i64 = 86_400_000;
/// Why a line is no history, besides what a source would say of it.
const AHEAD: &str = "in_the_future";
const WITHOUT_TIME: &str = "without_time";

/// Imports files into a data directory.
pub async fn import(arguments: &ReplayArguments, into: &Path) -> anyhow::Result<()> {
    let path = arguments.config.as_deref().context("say with --config how the lines are read")?;
    let config = Config::load(path)?;
    ensure!(
        config.platform.is_none(),
        "--config is that of a collector or responder, which keeps no calls; import into the platform's data directory"
    );
    ensure!(config.lake.enabled, "history is kept in the lake, and `lake.enabled` is off; switch it on");
    let lines = lines_of(&config, arguments.gateway.as_deref()).with_context(|| path.display().to_string())?;
    let total_bytes = total_bytes(&arguments.files)?;
    let key = prepare(into)?;
    let installation = installation::id(into)?;
    let history = HistorySettings {
        data_dir: into.to_owned(),
        lake_location: config.lake.location(into, &installation)?,
        installation,
        analysis: config.analysis(),
        log: config.log.clone(),
        from_less: arguments.from_less,
    };
    let import = HistoryImport::open(history, now_ms).await?;
    let bar = Bar::new(total_bytes);
    let files = look(&arguments.files, &lines, &bar)?;
    let mut reading = Reading {
        import,
        normaliser: Normaliser::new(lines, key)?,
        enricher: Enricher::open(config.enrichment(), now_ms())?,
        scratch: Scratch::default(),
        summary: Summary::default(),
        before_ms: None,
    };
    reading.import.audit("imports history", &into.display().to_string(), names(&files)).await?;
    let learnt = async {
        bar.begin("importing");
        for file in &files {
            reading
                .take_file(file, &bar)
                .await
                .with_context(|| format!("{} is not imported to the end", file.path.display()))?;
        }
        reading.learn(&bar).await
    };
    let learnt = learnt
        .await
        .context("what was imported before stays; once this is mended, the same command goes on from there")?;
    let Reading { import, summary, .. } = reading;
    let endpoints = import.endpoints();
    import.audit("imported history", &into.display().to_string(), summary.in_words()).await?;
    bar.note("making timelines");
    import.finish().await?;
    bar.finish();
    summary.tell(into, &config, endpoints, learnt);
    Ok(())
}

/// Makes the directory ready and gives the key of its pseudonyms. Where it has run without one, its calls have pseudonyms of a
/// collector's key, and those of another would never meet them.
fn prepare(into: &Path) -> anyhow::Result<PseudonymKey> {
    let path = into.join("pseudonym.key");
    let there = |path: &Path| path.try_exists().with_context(|| format!("cannot look for {}", path.display()));
    ensure!(
        there(&path)? || !there(&into.join("log"))?,
        "{} has run without a pseudonym key of its own; copy the collector's pseudonym.key to {}, or pseudonyms do not join",
        into.display(),
        path.display()
    );
    installation::prepare(into)?;
    Ok(PseudonymKey::load_or_create(&path)?)
}

/// A file that was looked at.
struct Looked<'a> {
    path: &'a Path,
    /// The digest of its content, unzipped.
    digest: String,
    /// The length of its content, unzipped.
    bytes: u64,
}

/// What the command says in the end.
#[derive(Default)]
struct Summary {
    lines: u64,
    imported: u64,
    known: u64,
    rejected: BTreeMap<&'static str, u64>,
    /// The earliest and latest of all calls, known ones included.
    times_ms: Option<(i64, i64)>,
}

struct Reading {
    import: HistoryImport,
    normaliser: Normaliser,
    enricher: Enricher,
    scratch: Scratch,
    summary: Summary,
    /// When the last line of this file with a time was over.
    before_ms: Option<i64>,
}

impl Reading {
    async fn take_file(&mut self, file: &Looked<'_>, bar: &Bar) -> anyhow::Result<()> {
        self.import.begin_file(&file.digest).await?;
        self.before_ms = None;
        let input = Input::open(&[file.path.to_owned()])?;
        let mut framer = LineFramer::new(LINE_BYTES_MAX_DEFAULT);
        let mut digest = Sha256::new();
        let mut left = file.bytes;
        // What has come since it was looked at is another file's content.
        while left > 0
            && let Some(chunk) = input.next_chunk()
        {
            let chunk = chunk?;
            let chunk = &chunk[..chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            left -= chunk.len() as u64;
            digest.update(chunk);
            framer.feed(chunk, |frame| self.take(frame));
            self.import.commit_if_due(framer.lines_ended()).await?;
            bar.moved(&input, &format!("{} calls", self.summary.imported + self.summary.known));
        }
        // The lake would know it by a content that it has not.
        ensure!(
            left == 0 && in_hex(digest) == file.digest,
            "it has changed since it was looked at. Copy it to where nobody writes to it, and import the copy; {} lines of it \
             were imported before this was noticed and stay in the lake",
            self.import.lines_done()
        );
        let lines = framer.lines_ended();
        framer.finish(|frame| self.take(frame));
        self.import.commit(lines).await?;
        bar.passed(&input);
        Ok(())
    }

    fn take(&mut self, frame: Frame<'_>) {
        self.summary.lines += 1;
        let rejection = match frame.content {
            Content::Record(record) => match self.normaliser.read(record, None, &mut self.scratch) {
                Ok(Normalised { mut call, hidden_address }) => match place(&mut call, &mut self.before_ms) {
                    true => {
                        self.enricher.enrich_from(&mut call, hidden_address);
                        let taken = self.import.take(&call, frame.line);
                        return self.summary.count(&call, taken);
                    }
                    false => WITHOUT_TIME,
                },
                Err(rejection) => rejection.as_str(),
            },
            Content::TooLong => Rejection::TooLong.as_str(),
            Content::NoRoom => Rejection::NoRoom.as_str(),
            Content::Torn { .. } => Rejection::Torn.as_str(),
        };
        *self.summary.rejected.entry(rejection).or_default() += 1;
    }

    async fn learn(&mut self, bar: &Bar) -> anyhow::Result<Option<Learnt>> {
        let mut told = false;
        let learnt = self.import.learn(|progress| {
            if !std::mem::replace(&mut told, true) {
                bar.count(progress.of);
            }
            bar.at(progress.calls);
        });
        Ok(learnt.await?)
    }
}

/// Puts a call at its own time, which nobody received it at. One without a time is as old as the line before it; says `false`
/// where there is none.
fn place(call: &mut ApiCall<'_>, before_ms: &mut Option<i64>) -> bool {
    if call.clock != ClockCheck::Missing {
        *before_ms = Some(call.event_ms);
        return true;
    }
    let Some(before_ms) = *before_ms else { return false };
    (call.received_ms, call.started_ms, call.event_ms) = (before_ms, before_ms, before_ms);
    true
}

impl Summary {
    fn count(&mut self, call: &ApiCall<'_>, taken: Taken) {
        match taken {
            Taken::New => self.imported += 1,
            Taken::Known => self.known += 1,
            Taken::Ahead => {
                *self.rejected.entry(AHEAD).or_default() += 1;
                return;
            }
        }
        let (first, last) = self.times_ms.unwrap_or((call.event_ms, call.event_ms));
        self.times_ms = Some((first.min(call.event_ms), last.max(call.event_ms)));
    }

    fn in_words(&self) -> String {
        format!("{} calls of {} lines imported, {} were there already", self.imported, self.lines, self.known)
    }

    fn tell(&self, into: &Path, config: &Config, endpoints: usize, learnt: Option<Learnt>) {
        terminal::note(&format!("{}, in {}", self.in_words(), into.display()));
        let rejected: u64 = self.rejected.values().sum();
        if rejected > 0 {
            let reasons: Vec<_> = self.rejected.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            terminal::note(&format!("{rejected} lines were left out: {}", reasons.join(", ")));
        }
        if let Some((first_ms, last_ms)) = self.times_ms {
            terminal::note(&format!("the calls are from {} to {}", time(first_ms), time(last_ms)));
            self.tell_retention(config, first_ms);
        }
        match learnt {
            Some(Learnt { version, calls, before, unreadable }) => {
                terminal::note(&format!(
                    "{endpoints} endpoints are known; what is normal was learnt again from {calls} calls in the lake \
                     (version {version}), and before from {before}"
                ));
                if unreadable > 0 {
                    terminal::note(&format!("{unreadable} rows of the lake could not be read and were left out"));
                }
            }
            None => terminal::note(&format!("{endpoints} endpoints are known; there was nothing new to learn from")),
        }
    }

    fn tell_retention(&self, config: &Config, first_ms: i64) {
        let days = i64::from(config.lake.retention_days);
        if days > 0 && first_ms < now_ms() - (days + 1) * DAY_MS {
            terminal::note(&format!(
                "calls of more than {days} days ago (`lake.retention_days`) are learnt from and leave the lake when outrider runs"
            ));
        }
    }
}

/// Bytes of all files. A wrong name is noticed before anything is made.
fn total_bytes(files: &[PathBuf]) -> anyhow::Result<u64> {
    let mut total = 0;
    for path in files {
        ensure!(path != Path::new("-"), "--into reads files twice, which standard input cannot be; save it to a file");
        let metadata = File::open(path).and_then(|file| file.metadata());
        let metadata = metadata.with_context(|| format!("cannot open {}", path.display()))?;
        ensure!(metadata.is_file(), "{} is no file", path.display());
        total += metadata.len();
    }
    Ok(total)
}

/// Reads all files and says which they are.
fn look<'a>(files: &'a [PathBuf], lines: &NormaliserSettings, bar: &Bar) -> anyhow::Result<Vec<Looked<'a>>> {
    bar.begin("looking at the files");
    // What it makes of a line is thrown away, so it needs no key.
    let normaliser = Normaliser::new(lines.clone(), PseudonymKey::from_bytes(&[0; 32]))?;
    files.iter().map(|path| look_at(path, &normaliser, bar)).collect()
}

fn look_at<'a>(path: &'a Path, normaliser: &Normaliser, bar: &Bar) -> anyhow::Result<Looked<'a>> {
    let input = Input::open(&[path.to_owned()])?;
    let mut digest = Sha256::new();
    let mut framer = LineFramer::new(LINE_BYTES_MAX_DEFAULT);
    let mut scratch = Scratch::default();
    let (mut bytes, mut has_call) = (0, false);
    while let Some(chunk) = input.next_chunk() {
        let chunk = chunk?;
        digest.update(&chunk);
        bytes += chunk.len() as u64;
        if !has_call {
            framer.feed(&chunk, |frame| {
                has_call |= matches!(frame.content, Content::Record(record) if normaliser.normalise(record, None, &mut scratch).is_ok());
            });
        }
        bar.moved(&input, "looking at the files");
    }
    bar.passed(&input);
    ensure!(has_call || bytes == 0, "{} holds no line of Kong's log; name files of JSON lines", path.display());
    Ok(Looked { path, digest: in_hex(digest), bytes })
}

/// What the audit log says of the files.
fn names(files: &[Looked<'_>]) -> String {
    let names = files.iter().map(|file| format!("{} ({})", file.path.display(), &file.digest[..12]));
    format!("{} files: {}", files.len(), terminal::some_of(names))
}

fn time(ms: i64) -> String {
    let second = ms.div_euclid(1000);
    Timestamp::from_second(second).map_or_else(|_| format!("second {second}"), |time| time.to_string())
}

/// A progress bar over all files, again for each step; hidden where nobody would see it.
struct Bar {
    bar: ProgressBar,
    total_bytes: u64,
    /// Bytes of the files before.
    passed: std::cell::Cell<u64>,
}

impl Bar {
    fn new(total_bytes: u64) -> Bar {
        let bar = replay::progress_bar(std::io::stderr().is_terminal(), Some(total_bytes));
        Bar { bar, total_bytes, passed: std::cell::Cell::new(0) }
    }

    fn begin(&self, message: &'static str) {
        self.passed.set(0);
        self.bar.reset();
        self.bar.set_length(self.total_bytes);
        self.bar.set_message(message);
    }

    fn moved(&self, input: &Input, message: &str) {
        self.bar.set_position(self.passed.get() + input.read_bytes());
        self.bar.set_message(message.to_owned());
    }

    fn passed(&self, input: &Input) {
        self.passed.set(self.passed.get() + input.read_bytes());
    }

    /// From here on calls are counted, not bytes.
    fn count(&self, calls: u64) {
        self.bar.reset();
        self.bar.set_length(calls);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} calls {eta} left, {msg}") {
            self.bar.set_style(style);
        }
        self.bar.set_message("rebuilding profiles");
    }

    fn at(&self, calls: u64) {
        self.bar.set_position(calls);
    }

    fn note(&self, message: &'static str) {
        self.bar.set_message(message);
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"request":{"method":"GET","uri":"/shop/items/1","headers":{}},"response":{"status":200},
        "latencies":{"request":3},"client_ip":"198.51.100.7","started_at":1767571200000,"workspace_name":"default"}"#;

    async fn reading(directory: &Path) -> Reading {
        let config = Config::default();
        let history = HistorySettings {
            data_dir: directory.to_owned(),
            installation: "test".to_owned(),
            analysis: config.analysis(),
            log: config.log.clone(),
            lake_location: config.lake.location(directory, "test").unwrap(),
            from_less: false,
        };
        Reading {
            import: HistoryImport::open(history, now_ms).await.unwrap(),
            normaliser: Normaliser::new(NormaliserSettings::new("kong"), PseudonymKey::from_bytes(&[0; 32])).unwrap(),
            enricher: Enricher::open(config.enrichment(), now_ms()).unwrap(),
            scratch: Scratch::default(),
            summary: Summary::default(),
            before_ms: None,
        }
    }

    #[tokio::test]
    async fn a_file_that_changes_between_its_readings_is_not_imported() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let content = LINE.replace('\n', "") + "\n";
        std::fs::write(&path, &content).unwrap();
        let (files, bar) = ([path.clone()], Bar::new(content.len() as u64));
        let looked = look(&files, &NormaliserSettings::new("kong"), &bar).unwrap();
        for changed in [content.replace("items/1", "items/2"), content[..content.len() - 2].to_owned()] {
            std::fs::write(&path, changed).unwrap();
            let error = reading(directory.path()).await.take_file(&looked[0], &bar).await.unwrap_err().to_string();
            assert!(error.contains("it has changed") && error.contains("; 0 lines of it"), "{error}");
        }
        // What was written behind it since is no part of it.
        std::fs::write(&path, content.clone() + &content).unwrap();
        let mut reading = reading(directory.path()).await;
        reading.take_file(&looked[0], &bar).await.unwrap();
        assert_eq!((reading.summary.imported, reading.import.lines_done()), (1, 1));
    }
}
