//! Importing history: calls of the past, straight into the lake of an installation that does not run.
//!
//! The calls do not go through the log: they are no news, nothing may decide anything on them (decision 12), and there may be
//! far more of them than the log holds. But the log is the one order, so each commit has a record in it, whose position its
//! rows carry: every row has a place that no other has, timelines are made of them as of any others, and the analysis knows
//! that there is something that it has not learnt from. How far a file is imported is committed with its rows. In the end
//! endpoints and profiles are learnt again of all calls in the lake in the order of their time, and become the analysis'
//! newest snapshot, whose appearance is the one moment at which they are in force.
//!
//! Killed anywhere, the next import goes on behind the last commit, and a start goes on with what was known before. Why it
//! is so: `docs/decisions/006-history-beside-the-log.md`.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use outrider_lake::{
    CallsInOrder, ImportMark, Keeper, Lake, LakeError, LakeReader, Location, Past, QueryError, QueryLimits, Retention,
    Rows, Tail, call_from_row,
};
use outrider_model::{ApiCall, AuditEntry, EndpointId, SKEW_FUTURE_MS_MAX};

use crate::analysis::{Analysis, AnalysisSettings, Preview, Relearning};
use crate::clean_stop;
use crate::error::PlatformError;
use crate::lake_start::{PositionNote, open_to_write};
use crate::log::{History, Log, LogSettings, NewRecord, Position, RecordKind};
use crate::recovery::recover;
use crate::snapshots::Snapshots;
use crate::store::{AuditLog, Store};

/// Calls of a commit; a few more where a piece of the file ends later.
const CALLS_PER_COMMIT: usize = 50_000;

/// What an import needs.
#[derive(Debug, Clone)]
pub struct HistorySettings {
    /// Where log, store and snapshots are, or will be.
    pub data_dir: PathBuf,
    /// Whose it is.
    pub installation: String,
    /// What is learnt under.
    pub analysis: AnalysisSettings,
    /// The log.
    pub log: LogSettings,
    /// Where the lake is.
    pub lake_location: Location,
    /// Whether everything is learnt again even from less than half of the calls that were learnt from before.
    pub from_less: bool,
}

/// What became of a call of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It waits for the next commit.
    New,
    /// The lake has it.
    Known,
    /// It says that it is of the future, so it is no history.
    Ahead,
}

/// How far learning is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearningProgress {
    /// Calls that were gone through.
    pub calls: u64,
    /// Calls to go through in all.
    pub of: u64,
}

/// What was learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learnt {
    /// The how manieth time it is.
    pub version: u32,
    /// From how many calls profiles were.
    pub calls: u64,
    /// From how many calls those were that they take the place of.
    pub before: u64,
    /// Rows of the lake that are no calls of this version, and were left out.
    pub unreadable: u64,
}

/// A data directory that history is imported into. Nobody else has it meanwhile.
pub struct HistoryImport {
    settings: AnalysisSettings,
    from_less: bool,
    lake_location: Location,
    now_ms: fn() -> i64,
    log: Log,
    store: Store,
    lake: Lake,
    snapshots: Snapshots,
    analysis: Analysis,
    preview: Preview,
    file: String,
    /// So many lines of the file are in the lake.
    lines_done: u64,
    rows: Rows,
    /// The line of the newest of `rows`.
    line: u64,
}

impl HistoryImport {
    /// Opens everything, and refuses a directory that is in use or was not left cleanly. `now_ms` is the wall clock.
    pub async fn open(settings: HistorySettings, now_ms: fn() -> i64) -> Result<HistoryImport, PlatformError> {
        let data = &settings.data_dir;
        let (mut log, _) = Log::open(&data.join("log"), settings.log)?;
        let store = Store::open(&data.join("control.sqlite")).await?;
        // What it is to take away would be learnt again.
        if let Some((erasure, _)) = store.open_erasures().await?.into_iter().next() {
            return Err(PlatformError::Erasing { data_dir: data.clone(), erasure: erasure.id });
        }
        let lake_location = settings.lake_location;
        let last = Some(log.last()).filter(|&last| last > Position::ZERO);
        let note = PositionNote::of(&lake_location, data);
        let lake = open_to_write(&lake_location, &Tail::default(), note.as_ref(), last).await?;
        let snapshots = Snapshots::open(data.join("snapshots"))?;
        let (stored, lake_position) = (store.position().await?, Position(lake.position()));
        log.begin_after(stored.max(lake_position).max(snapshots.newest()?.unwrap_or(Position::ZERO)))?;
        let first = log.stats().first;
        let (mut analysis, from) = recover(&snapshots, stored, first, &settings.installation)?;
        // A lake that lacks what the log no longer holds goes on where the analysis does.
        let lake_after = if lake_position.next() < first { from } else { lake_position };
        if let Some(record) = take_in_rest(&log, &mut analysis, from, lake_after)? {
            return Err(PlatformError::Unfinished { data_dir: data.clone(), record });
        }
        if log.last() == Position::ZERO {
            // So that the first start does not take an import that was killed for a run that was.
            let noted = clean_stop::note(data, 0);
            noted.map_err(|source| PlatformError::System { doing: "note a clean stop", source })?;
        }
        let preview = Preview::of(&analysis, &settings.analysis)?;
        Ok(HistoryImport {
            settings: settings.analysis,
            from_less: settings.from_less,
            lake_location,
            now_ms,
            log,
            store,
            lake,
            snapshots,
            analysis,
            preview,
            file: String::new(),
            lines_done: 0,
            rows: Rows::default(),
            line: 0,
        })
    }

    /// Writes into the audit log what is done here.
    pub async fn audit(&self, what: &str, subject: &str, detail: String) -> Result<(), PlatformError> {
        let (by, what, subject) = ("command line".to_owned(), what.to_owned(), subject.to_owned());
        let entry = AuditEntry { at_ms: (self.now_ms)(), by, what, subject, detail };
        Ok(self.store.note(AuditLog::Decisions, &entry).await?)
    }

    /// Goes on to a file, known by its content. Says how many of its lines are imported already.
    pub async fn begin_file(&mut self, file: &str) -> Result<u64, PlatformError> {
        self.lines_done = self.lake.imported_lines(file).await?;
        self.line = 0;
        file.clone_into(&mut self.file);
        Ok(self.lines_done)
    }

    /// Takes a call of a line of the file. Lines come in their order.
    pub fn take(&mut self, call: &ApiCall<'_>, line: u64) -> Taken {
        if call.event_ms > self.present_ms() {
            return Taken::Ahead;
        }
        if line <= self.lines_done {
            return Taken::Known;
        }
        let endpoint = self.preview.endpoint(call);
        let position = self.log.last().next();
        self.rows.push(call, endpoint, position.0, self.rows.len() as u32);
        self.line = line;
        Taken::New
    }

    /// Commits what waits if it is enough by now. So many lines of the file have ended.
    pub async fn commit_if_due(&mut self, lines_ended: u64) -> Result<(), PlatformError> {
        // Calls of a line go together, as the mark counts lines.
        match self.rows.len() >= CALLS_PER_COMMIT && self.line <= lines_ended {
            true => self.commit(lines_ended).await,
            false => Ok(()),
        }
    }

    /// Commits what waits. It is all that so many lines of the file have.
    pub async fn commit(&mut self, lines: u64) -> Result<(), PlatformError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let history = History::Imported { file: self.file.clone(), lines, calls: self.rows.len() as u32 };
        let rows = self.rows.finish().map_err(LakeError::from)?;
        let position = self.note(&history)?;
        self.lake.commit_imported(&[rows], position.0, ImportMark { file: &self.file, lines }).await?;
        self.analysis.take_in_history(position, &history);
        self.lines_done = lines;
        Ok(())
    }

    /// Learns endpoints and profiles again and puts them in force, if there is anything that nothing was learnt from yet.
    pub async fn learn(&mut self, mut tell: impl FnMut(LearningProgress)) -> Result<Option<Learnt>, PlatformError> {
        let unlearnt = self.analysis.past().unlearnt();
        if unlearnt.is_empty() {
            return Ok(None);
        }
        let mut learning = self.analysis.relearn(&self.settings, (self.now_ms)())?;
        let unreadable = self.read_again(&unlearnt, &mut learning, &mut tell).await?;
        let (version, calls) = (self.analysis.past().version() + 1, learning.calls());
        let before = self.analysis.learnt_calls();
        let position = self.note(&History::Relearnt { version, calls })?;
        // The snapshot comes last: it is what a start begins with, once nobody is behind it.
        self.lake.commit(&[], position.0).await?;
        self.analysis.take_over(learning);
        self.store.apply(position, &self.analysis.drain_effects()).await?;
        self.snapshots.save(position, &self.analysis.freeze().encode()?, position)?;
        Ok(Some(Learnt { version, calls, before, unreadable }))
    }

    /// So many lines of the file are in the lake.
    pub fn lines_done(&self) -> u64 {
        self.lines_done
    }

    /// How many endpoints are known.
    pub fn endpoints(&self) -> usize {
        self.analysis.catalogue().endpoints().count()
    }

    /// Makes timelines of what was imported, puts its files together and closes everything.
    pub async fn finish(self) -> Result<(), PlatformError> {
        drop(self.lake);
        // What is too old is taken away when outrider runs, by its settings.
        let mut keeper = Keeper::open(&self.lake_location, Retention::default()).await?;
        while keeper.keep((self.now_ms)()).await?.complete()?.has_more {}
        self.store.close().await;
        Ok(())
    }

    async fn read_again(
        &self,
        unlearnt: &[RangeInclusive<u64>],
        learning: &mut Relearning,
        tell: &mut impl FnMut(LearningProgress),
    ) -> Result<u64, PlatformError> {
        let failed = |source| PlatformError::Learning { lake: self.lake_location.to_string(), source };
        let reader = LakeReader::open(&self.lake_location, None, QueryLimits::default())?;
        let until_ms = self.present_ms() + 1;
        let imported = reader.in_order(Past { records: Some(unlearnt), until_ms }).await.map_err(failed)?;
        let all = reader.in_order(Past { records: None, until_ms }).await.map_err(failed)?;
        let (held, before) = (all.calls(), self.analysis.learnt_calls());
        if held < before / 2 && !self.from_less {
            return Err(PlatformError::LearnsLess { lake: self.lake_location.to_string(), held, before });
        }
        let mut progress = LearningProgress { calls: 0, of: imported.calls() + all.calls() };
        let mut tell = |calls| {
            progress.calls += calls;
            tell(progress);
        };
        each(imported, |call, _| learning.discover(call), &mut tell).await.map_err(failed)?;
        learning.discovered();
        each(all, |call, known| learning.profile(call, known), &mut tell).await.map_err(failed)
    }

    /// The latest time that a call of the past may say.
    fn present_ms(&self) -> i64 {
        (self.now_ms)().saturating_add(SKEW_FUTURE_MS_MAX)
    }

    fn note(&mut self, history: &History) -> Result<Position, PlatformError> {
        self.log.append(&[NewRecord::history((self.now_ms)(), history)?])?;
        Ok(self.log.sync()?)
    }
}

/// Takes in what follows the snapshot as far as it is of imports. Gives the first record that was not taken in to the end by
/// the last run: to do so now might decide and tell something.
fn take_in_rest(
    log: &Log,
    analysis: &mut Analysis,
    from: Position,
    lake_after: Position,
) -> Result<Option<Position>, PlatformError> {
    let mut reader = log.reader(from.min(lake_after).next());
    while let Some(record) = reader.next()? {
        match record.kind {
            RecordKind::History if record.position > from => {
                analysis.take_in_history(record.position, &record.json()?);
            }
            RecordKind::Calls if record.position > lake_after => return Ok(Some(record.position)),
            _ if record.position > from => return Ok(Some(record.position)),
            _ => {}
        }
    }
    Ok(None)
}

/// Goes through calls. Says how many rows were none.
async fn each(
    mut calls: CallsInOrder,
    mut learn: impl FnMut(&ApiCall<'_>, Option<EndpointId>),
    tell: &mut impl FnMut(u64),
) -> Result<u64, QueryError> {
    let mut unreadable = 0;
    while let Some(batch) = calls.next_rows().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            match call_from_row(&batch, row) {
                Ok((call, endpoint)) => learn(&call, endpoint),
                Err(_) => unreadable += 1,
            }
        }
        tell(batch.num_rows() as u64);
    }
    Ok(unreadable)
}
