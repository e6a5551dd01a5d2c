//! Keeps the lake in shape, beside its writer: makes the timeline and the sums by the hour, puts files together, takes away what is too old.
//!
//! Each step is a commit of its own, so that it can be killed anywhere: what it had not committed is as if it had not
//! begun. The writer commits meanwhile; the table library orders the commits of both. A step that fails, as one that reads a
//! damaged file does, keeps none of the others from being done, and is tried again after a while.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::check::{Damaged, Repaired, damaged_of, make_again, set_aside};
use crate::engine::{Engine, Resources, sweep_scratch};
use crate::erase::{CallsErased, Erase, Eraser, count};
use crate::hours::add_up;
use crate::index::{index_next, next_chunk};
use crate::merge::{Merge, data_files, merge, plan};
use crate::place::{Location, Root};
use crate::purge::{Found, sweep};
use crate::retention::{Over, Retention, day_of, days_of, days_over, take_away};
use crate::schema::{ENDPOINT_HOURS, EVENTS, TIMELINE};
use crate::table::{LakeError, Table};

/// How often files are looked for that no table holds. One that is found twice is deleted: nobody reads or writes it for so
/// long.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// How often a process takes a day away for its age. The clock may be wrong, and the lake should not be gone for that at once.
const DAY_REMOVED_EVERY_MS: i64 = 3_600_000;
/// How often calls are added up by the hour that are no whole chunk. Until then who asks adds them up.
const ADD_UP_EVERY_MS: i64 = 600_000;
/// How long a step waits that has failed until it is tried again: at first, and at most. It doubles each time.
const RETRY_MIN: Duration = Duration::from_secs(30);
const RETRY_MAX: Duration = Duration::from_secs(300);
/// How long files are left alone that could not be read when they were to be put together. Others are put together meanwhile.
const LEFT_ALONE: Duration = Duration::from_secs(3600);
/// What making the timeline and the hours may use.
const RESOURCES: Resources = Resources { memory_bytes: 256 << 20, scratch_bytes: 4 << 30, threads: 1 };
/// Chunks of calls that are taken into a table before anything else has its turn.
const STEPS_MAX: usize = 16;

/// What keeps the lake in shape. There is one, in the process that writes the lake.
pub struct Keeper {
    root: Root,
    engine: Engine,
    events: Table,
    timeline: Table,
    hours: Table,
    retention: Retention,
    added_up_ms: Option<i64>,
    day_removed_ms: Option<i64>,
    swept: Option<Instant>,
    /// When the steps are tried again that have failed, in the order of [`Step::ALL`].
    retries: [Option<Retry>; Step::ALL.len()],
    /// Until when files are left alone.
    left_alone: HashMap<String, Instant>,
    /// What was on the disk at the last sweep and no table held: of the events, the timeline and the hours.
    unheld: [HashSet<String>; 3],
    /// What there was of each table before this process wrote: of the events, the timeline and the hours.
    found: [Found; 3],
}

/// What is done at a look, in this order.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Ends what a repair has begun.
    Repair,
    Index,
    AddUp,
    /// Before merging: what goes need not be put together.
    RemoveDays,
    Merge,
    Sweep,
}

impl Step {
    const ALL: [Step; 6] = [Step::Repair, Step::Index, Step::AddUp, Step::RemoveDays, Step::Merge, Step::Sweep];
}

/// When a step is tried again that has failed.
#[derive(Debug, Clone, Copy)]
struct Retry {
    at: Instant,
    pause: Duration,
}

/// What one look did.
#[derive(Debug, Default)]
pub struct Kept {
    /// Calls that came into the timeline.
    pub indexed: u64,
    /// Merges of files.
    pub merges: u64,
    /// Days that were taken away.
    pub days_removed: u64,
    /// Days that are over and have not been taken away yet.
    pub days_over: u64,
    /// There is more to do at once.
    pub has_more: bool,
    /// What of it failed. It is tried again after a while, and all else was done.
    pub failures: Vec<LakeError>,
}

impl Kept {
    /// The same where nothing failed; otherwise the first thing that did.
    pub fn complete(mut self) -> Result<Kept, LakeError> {
        if self.failures.is_empty() { Ok(self) } else { Err(self.failures.swap_remove(0)) }
    }
}

/// How much the lake holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LakeSize {
    /// Bytes of the data files of all tables.
    pub bytes: u64,
    /// Data files of all tables.
    pub files: u64,
    /// The oldest day that there are calls of, as `2026-11-28`.
    pub oldest_day: Option<String>,
    /// The log position up to which calls are in the timeline.
    pub timeline_position: u64,
}

impl Keeper {
    /// Opens the tables, making those on first use that are made of the events. It has to be open before the events are written in this process:
    /// what is there by then, and in no commit, an erasure deletes.
    pub fn open(lake: impl Into<Location>, retention: Retention) -> BoxFuture<'static, Result<Keeper, LakeError>> {
        Self::open_tables(lake.into(), retention).boxed()
    }

    async fn open_tables(lake: Location, retention: Retention) -> Result<Keeper, LakeError> {
        sweep_scratch(&lake);
        let root = lake.open()?;
        let events = Table::open(&root, &EVENTS).await?;
        let found = Found::in_table(&events.place).await?;
        let timeline = Table::open(&root, &TIMELINE).await?;
        let hours = Table::open(&root, &ENDPOINT_HOURS).await?;
        let found = [found, Found::in_table(&timeline.place).await?, Found::in_table(&hours.place).await?];
        let engine = Engine::new(&lake, RESOURCES).map_err(|source| LakeError::Engine {
            doing: "keep",
            place: lake.to_string(),
            source: Box::new(source),
        })?;
        let (added_up_ms, day_removed_ms, swept, unheld) = (None, None, None, Default::default());
        let (retries, left_alone) = (Default::default(), HashMap::new());
        Ok(Keeper {
            root,
            engine,
            events,
            timeline,
            hours,
            retention,
            added_up_ms,
            day_removed_ms,
            swept,
            retries,
            left_alone,
            unheld,
            found,
        })
    }

    /// Looks once at everything. `now_ms` is the wall clock.
    pub fn keep(&mut self, now_ms: i64) -> BoxFuture<'_, Result<Kept, LakeError>> {
        self.look(now_ms).boxed()
    }

    async fn look(&mut self, now_ms: i64) -> Result<Kept, LakeError> {
        let mut kept = Kept::default();
        self.refresh().await?;
        for (number, step) in Step::ALL.into_iter().enumerate() {
            let failed_before = self.retries[number];
            if failed_before.is_some_and(|retry| retry.at > Instant::now()) {
                continue;
            }
            let done = match step {
                Step::Repair => self.make_again().await,
                Step::Index => self.index(&mut kept).await,
                Step::AddUp => self.add_up(now_ms, &mut kept).await,
                Step::RemoveDays => self.remove_days(now_ms, &mut kept).await,
                Step::Merge => self.merge(&day_of(now_ms), &mut kept).await,
                Step::Sweep => self.sweep().await,
            };
            let pause = failed_before.map_or(RETRY_MIN, |retry| (retry.pause * 2).min(RETRY_MAX));
            self.retries[number] = done.is_err().then(|| Retry { at: Instant::now() + pause, pause });
            kept.failures.extend(done.err());
        }
        Ok(kept)
    }

    async fn make_again(&mut self) -> Result<(), LakeError> {
        let Keeper { root, engine, events, timeline, hours, .. } = self;
        make_again(root, engine, events, [timeline, hours]).await
    }

    async fn index(&mut self, kept: &mut Kept) -> Result<(), LakeError> {
        for _ in 0..STEPS_MAX {
            let indexed = index_next(&self.engine, &self.events, &mut self.timeline).await?;
            kept.has_more = indexed.is_some();
            let Some(calls) = indexed else { break };
            kept.indexed += calls;
        }
        Ok(())
    }

    /// Puts files of each table together once: calls that came meanwhile are wanted in the timeline sooner than in few files.
    async fn merge(&mut self, today: &str, kept: &mut Kept) -> Result<(), LakeError> {
        let Keeper { root, engine, events, timeline, hours, left_alone, .. } = self;
        let is_idle = kept.indexed == 0 && next_chunk(events, timeline.position())?.is_none();
        let mut tables = [events, timeline, hours];
        left_alone.retain(|_, until| *until > Instant::now());
        let mut all = Ok(());
        for table in &mut tables {
            let Some(planned) = planned(table, left_alone, today, is_idle)? else { continue };
            match merge(engine, table, &planned).await {
                Ok(()) => {
                    kept.merges += 1;
                    kept.has_more = true;
                }
                Err(error) => {
                    let damaged = match error.is_of_engine() {
                        true => damaged_of(root, table, &planned.files).await?,
                        false => Vec::new(),
                    };
                    if damaged.is_empty() {
                        all = all.and(Err(error));
                        continue;
                    }
                    let until = Instant::now() + LEFT_ALONE;
                    left_alone.extend(damaged.into_iter().map(|file| (file.path, until)));
                    kept.failures.push(error);
                    kept.has_more = true;
                }
            }
        }
        if !is_idle {
            // A day that is over may be complete with these calls.
            for table in tables {
                kept.has_more |= planned(table, left_alone, today, true)?.is_some();
            }
        }
        all
    }

    /// How many calls an erasure would take out; `None` where the tables do not reach that far yet.
    pub fn count<'a>(&'a mut self, erase: &'a Erase) -> BoxFuture<'a, Result<Option<u64>, LakeError>> {
        async move {
            self.refresh().await?;
            count(&self.engine, &self.events, erase).await
        }
        .boxed()
    }

    /// Takes calls out of every table, and what holds them off the disk. `should_stop` is asked between two files: what was
    /// done by then is done, and the same again does the rest.
    pub fn erase<'a>(
        &'a mut self,
        erase: &'a Erase,
        should_stop: &'a (dyn Fn() -> bool + Sync),
    ) -> BoxFuture<'a, Result<CallsErased, LakeError>> {
        async move {
            self.refresh().await?;
            let Keeper { root, engine, events, timeline, hours, found, .. } = self;
            Eraser { root, engine, events, timeline, hours, found, should_stop }.run(erase).await
        }
        .boxed()
    }

    /// Goes on without damaged files, as a check has found them and as they still are. Refuses where somebody else writes the
    /// lake, and one in a bucket, where nobody can tell.
    pub fn repair(lake: impl Into<Location>, damaged: &[Damaged]) -> BoxFuture<'_, Result<Repaired, LakeError>> {
        let lake = lake.into();
        async move {
            let _alone = lake.open()?.lock()?;
            // What is too old goes by the settings of who runs it.
            let mut keeper = Keeper::open_tables(lake, Retention::default()).await?;
            let repaired = set_aside(&keeper.root, &mut keeper.events, damaged).await?;
            keeper.make_again().await?;
            Ok(repaired)
        }
        .boxed()
    }

    /// How much there is now.
    pub fn size(&self) -> Result<LakeSize, LakeError> {
        let events = data_files(&self.events)?;
        let made = [data_files(&self.timeline)?, data_files(&self.hours)?].concat();
        Ok(LakeSize {
            bytes: events.iter().chain(&made).map(|file| file.bytes).sum(),
            files: (events.len() + made.len()) as u64,
            oldest_day: events.iter().map(|file| file.day.clone()).min(),
            timeline_position: self.timeline.position(),
        })
    }

    async fn refresh(&mut self) -> Result<(), LakeError> {
        self.root.check_claim().await?;
        self.events.refresh().await?;
        self.timeline.refresh().await?;
        self.hours.refresh().await
    }

    async fn add_up(&mut self, now_ms: i64, kept: &mut Kept) -> Result<(), LakeError> {
        for _ in 0..STEPS_MAX {
            let Some(to) = next_chunk(&self.events, self.hours.position())? else { return Ok(()) };
            let is_rest = to >= self.events.position();
            if is_rest && !is_due(self.added_up_ms, ADD_UP_EVERY_MS, now_ms) {
                return Ok(());
            }
            add_up(&self.engine, &self.events, &mut self.hours, to).await?;
            if is_rest {
                self.added_up_ms = Some(now_ms);
                return Ok(());
            }
        }
        kept.has_more = true;
        Ok(())
    }

    async fn remove_days(&mut self, now_ms: i64, kept: &mut Kept) -> Result<(), LakeError> {
        let mut files = Vec::new();
        for table in [&self.events, &self.timeline, &self.hours] {
            files.extend(data_files(table)?);
        }
        let Over { too_much, too_old } = days_over(files.iter(), &self.retention, now_ms);
        let is_due = is_due(self.day_removed_ms, DAY_REMOVED_EVERY_MS, now_ms);
        let aged_out = usize::from(is_due).min(too_old.len());
        let gone = [too_much.as_slice(), &too_old[..aged_out]].concat();
        take_away(&mut self.events, &gone).await?;
        if aged_out > 0 {
            self.day_removed_ms = Some(now_ms);
        }
        // What is made of the events follows them, also where the last look was ended in between.
        let (left, today) = (days_of(&self.events)?, day_of(now_ms));
        for table in [&mut self.timeline, &mut self.hours] {
            let gone =
                days_of(table)?.into_iter().filter(|day| *day < today && !left.contains(day)).collect::<Vec<_>>();
            take_away(table, &gone).await?;
        }
        kept.days_removed = gone.len() as u64;
        kept.days_over = (too_old.len() - aged_out) as u64;
        Ok(())
    }

    async fn sweep(&mut self) -> Result<(), LakeError> {
        if self.swept.is_some_and(|at| at.elapsed() < SWEEP_EVERY) {
            return Ok(());
        }
        // Also if it fails half way: what it saw of one table is to be an hour old at the next.
        self.swept = Some(Instant::now());
        self.root.check_claim().await?;
        let mut all = Ok(());
        let tables = [&mut self.events, &mut self.timeline, &mut self.hours];
        for (table, unheld) in tables.into_iter().zip(&mut self.unheld) {
            let swept = sweep(table, unheld).await.map(|left| *unheld = left);
            all = all.and(swept);
        }
        all
    }
}

/// What to put together of a table, but for files that are left alone.
fn planned(
    table: &Table,
    left_alone: &HashMap<String, Instant>,
    today: &str,
    is_idle: bool,
) -> Result<Option<Merge>, LakeError> {
    let mut files = data_files(table)?;
    files.retain(|file| !left_alone.contains_key(&file.path));
    Ok(plan(table.shape, &files, today, is_idle))
}

/// Whether it is time again for what was done last at a moment. The clock may have been set meanwhile.
fn is_due(last_ms: Option<i64>, every_ms: i64, now_ms: i64) -> bool {
    last_ms.is_none_or(|last_ms| !(0..every_ms).contains(&(now_ms - last_ms)))
}
