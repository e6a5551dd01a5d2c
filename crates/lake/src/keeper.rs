//! Keeps the lake in shape, beside its writer: makes the timeline and the sums by the hour, puts files together, takes away what is too old.
//!
//! Each step is a commit of its own, so that it can be killed anywhere: what it had not committed is as if it had not
//! begun. The writer commits meanwhile; the table library orders the commits of both.

use deltalake::operations::vacuum::VacuumMode;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::engine::{Engine, Resources, sweep_scratch};
use crate::erase::{CallsErased, Erase, Eraser, count};
use crate::hours::add_up;
use crate::index::{index_next, next_chunk};
use crate::merge::{data_files, merge, plan};
use crate::place::{Location, Root};
use crate::purge::Found;
use crate::retention::{Retention, day_of, days_of, days_over, take_away};
use crate::schema::{ENDPOINT_HOURS, EVENTS, TIMELINE};
use crate::table::{LakeError, Table};

/// How often files that are not needed any more are looked for.
const VACUUM_EVERY_MS: i64 = 3_600_000;
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
    vacuumed_ms: Option<i64>,
    added_up_ms: Option<i64>,
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
        let (vacuumed_ms, added_up_ms) = (None, None);
        Ok(Keeper { root, engine, events, timeline, hours, retention, vacuumed_ms, added_up_ms, found })
    }

    /// Looks once at everything. `now_ms` is the wall clock.
    pub fn keep(&mut self, now_ms: i64) -> BoxFuture<'_, Result<Kept, LakeError>> {
        self.look(now_ms).boxed()
    }

    async fn look(&mut self, now_ms: i64) -> Result<Kept, LakeError> {
        let mut kept = Kept::default();
        self.refresh().await?;
        for _ in 0..STEPS_MAX {
            let indexed = index_next(&self.engine, &self.events, &mut self.timeline).await?;
            kept.has_more = indexed.is_some();
            let Some(calls) = indexed else { break };
            kept.indexed += calls;
        }
        kept.has_more |= self.add_up(now_ms).await?;
        // Before merging: what goes need not be put together.
        kept.days_removed = self.remove_days(now_ms).await?;
        let today = day_of(now_ms);
        for table in [&mut self.events, &mut self.timeline, &mut self.hours] {
            // One at a time: calls that came meanwhile are wanted in the timeline sooner than in few files.
            let Some(planned) = plan(&data_files(table)?, &today, kept.indexed == 0) else { continue };
            merge(table, &planned).await?;
            kept.merges += 1;
            kept.has_more = true;
        }
        if kept.indexed > 0 {
            // A day that is over may be complete with these calls.
            let is_left = |table| Ok::<_, LakeError>(plan(&data_files(table)?, &today, true).is_some());
            kept.has_more =
                kept.has_more || is_left(&self.events)? || is_left(&self.timeline)? || is_left(&self.hours)?;
        }
        self.vacuum(now_ms).await?;
        Ok(kept)
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

    async fn remove_days(&mut self, now_ms: i64) -> Result<u64, LakeError> {
        let mut files = Vec::new();
        for table in [&self.events, &self.timeline, &self.hours] {
            files.extend(data_files(table)?);
        }
        let over = days_over(files.iter(), &self.retention, now_ms);
        take_away(&mut self.events, &over).await?;
        // What is made of the events follows them, also where the last look was ended in between.
        let (kept, today) = (days_of(&self.events)?, day_of(now_ms));
        for table in [&mut self.timeline, &mut self.hours] {
            let over =
                days_of(table)?.into_iter().filter(|day| *day < today && !kept.contains(day)).collect::<Vec<_>>();
            take_away(table, &over).await?;
        }
        Ok(over.len() as u64)
    }

    async fn vacuum(&mut self, now_ms: i64) -> Result<(), LakeError> {
        if self.vacuumed_ms.is_some_and(|at| (0..VACUUM_EVERY_MS).contains(&(now_ms - at))) {
            return Ok(());
        }
        for table in [&mut self.events, &mut self.timeline, &mut self.hours] {
            // Lite takes away what the table's log says was removed; a file of somebody else's is not ours to delete.
            let vacuum = table.table.clone().vacuum().with_mode(VacuumMode::Lite);
            (table.table, _) = vacuum.await.map_err(table.failed("take unused files from"))?;
        }
        self.vacuumed_ms = Some(now_ms);
        Ok(())
    }
}
