//! Keeps the lake in shape, beside its writer: makes the timeline and the sums by the hour, puts files together, takes away what is too old.
//!
//! Each step is a commit of its own, so that it can be killed anywhere: what it had not committed is as if it had not
//! begun. The writer commits meanwhile; the table library orders the commits of both. A step that fails, as one that reads a
//! damaged file does, keeps none of the others from being done.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::engine::{Engine, Resources, sweep_scratch};
use crate::erase::{CallsErased, Erase, Eraser, count};
use crate::hours::add_up;
use crate::index::{index_next, next_chunk};
use crate::merge::{data_files, merge, plan};
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
    /// What was on the disk at the last sweep and no table held: of the events, the timeline and the hours.
    unheld: [HashSet<String>; 3],
    /// What there was of each table before this process wrote: of the events, the timeline and the hours.
    found: [Found; 3],
}

/// What one look did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
        let indexed = self.index(&mut kept).await;
        let added_up = self.add_up(now_ms).await.map(|has_more| kept.has_more |= has_more);
        // Before merging: what goes need not be put together.
        let removed = self.remove_days(now_ms, &mut kept).await;
        let is_idle = indexed.is_ok() && kept.indexed == 0;
        let merged = self.merge(&day_of(now_ms), is_idle, &mut kept).await;
        let swept = self.sweep().await;
        indexed.and(added_up).and(removed).and(merged).and(swept).map(|()| kept)
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
    async fn merge(&mut self, today: &str, is_idle: bool, kept: &mut Kept) -> Result<(), LakeError> {
        let mut all = Ok(());
        for table in [&mut self.events, &mut self.timeline, &mut self.hours] {
            let Some(planned) = plan(table.shape, &data_files(table)?, today, is_idle) else { continue };
            let merged = merge(table, &planned).await;
            if merged.is_ok() {
                kept.merges += 1;
                kept.has_more = true;
            }
            all = all.and(merged);
        }
        if !is_idle {
            // A day that is over may be complete with these calls.
            let is_left =
                |table: &Table| Ok::<_, LakeError>(plan(table.shape, &data_files(table)?, today, true).is_some());
            kept.has_more =
                kept.has_more || is_left(&self.events)? || is_left(&self.timeline)? || is_left(&self.hours)?;
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

    /// Adds calls up by the hour, and says whether more wait.
    async fn add_up(&mut self, now_ms: i64) -> Result<bool, LakeError> {
        for _ in 0..STEPS_MAX {
            let Some(to) = next_chunk(&self.events, self.hours.position())? else { return Ok(false) };
            let is_rest = to >= self.events.position();
            let is_early = self.added_up_ms.is_some_and(|at| (0..ADD_UP_EVERY_MS).contains(&(now_ms - at)));
            if is_rest && is_early {
                return Ok(false);
            }
            add_up(&self.engine, &self.events, &mut self.hours, to).await?;
            if is_rest {
                self.added_up_ms = Some(now_ms);
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn remove_days(&mut self, now_ms: i64, kept: &mut Kept) -> Result<(), LakeError> {
        let mut files = Vec::new();
        for table in [&self.events, &self.timeline, &self.hours] {
            files.extend(data_files(table)?);
        }
        let is_due = self.day_removed_ms.is_none_or(|at| !(0..DAY_REMOVED_EVERY_MS).contains(&(now_ms - at)));
        let Over { too_much, too_old } = days_over(files.iter(), &self.retention, now_ms);
        let aged_out = usize::from(is_due).min(too_old.len());
        let gone = [too_much.as_slice(), &too_old[..aged_out]].concat();
        if aged_out > 0 {
            self.day_removed_ms = Some(now_ms);
        }
        take_away(&mut self.events, &gone).await?;
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
