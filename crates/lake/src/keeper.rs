//! Keeps the lake in shape, beside its writer: makes the timeline, puts files together, takes away what is too old.
//!
//! Each step is a commit of its own, so that it can be killed anywhere: what it had not committed is as if it had not
//! begun. The writer commits meanwhile; the table library orders the commits of both.

use deltalake::operations::vacuum::VacuumMode;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::engine::{Engine, Resources, sweep_scratch};
use crate::erase::{CallsErased, Erase, Eraser, count};
use crate::index::index_next;
use crate::merge::{data_files, merge, plan};
use crate::place::{Location, Root};
use crate::purge::Found;
use crate::retention::{Retention, day_of, days_over, take_away};
use crate::schema::{EVENTS, TIMELINE};
use crate::table::{LakeError, Table};

/// How often files that are not needed any more are looked for.
const VACUUM_EVERY_MS: i64 = 3_600_000;
/// What making the timeline may use.
const RESOURCES: Resources = Resources { memory_bytes: 256 << 20, scratch_bytes: 4 << 30, threads: 1 };
/// Chunks of calls that are taken into the timeline before anything else has its turn.
const STEPS_MAX: usize = 16;

/// What keeps the lake in shape. There is one, in the process that writes the lake.
pub struct Keeper {
    root: Root,
    engine: Engine,
    events: Table,
    timeline: Table,
    retention: Retention,
    vacuumed_ms: Option<i64>,
    /// What there was of the events before their writer began, and of the timeline.
    found: (Found, Found),
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
    /// Bytes of the data files of both tables.
    pub bytes: u64,
    /// Data files of both tables.
    pub files: u64,
    /// The oldest day that there are calls of, as `2026-11-28`.
    pub oldest_day: Option<String>,
    /// The log position up to which calls are in the timeline.
    pub timeline_position: u64,
}

impl Keeper {
    /// Opens both tables, making the timeline on first use. It has to be open before the events are written in this process:
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
        let found = (found, Found::in_table(&timeline.place).await?);
        let engine = Engine::new(&lake, RESOURCES).map_err(|source| LakeError::Engine {
            doing: "keep",
            place: lake.to_string(),
            source: Box::new(source),
        })?;
        Ok(Keeper { root, engine, events, timeline, retention, vacuumed_ms: None, found })
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
        // Before merging: what goes need not be put together.
        kept.days_removed = self.remove_days(now_ms).await?;
        let today = day_of(now_ms);
        for table in [&mut self.events, &mut self.timeline] {
            // One at a time: calls that came meanwhile are wanted in the timeline sooner than in few files.
            let Some(files) = plan(&data_files(table)?, &today, kept.indexed == 0) else { continue };
            merge(table, &files).await?;
            kept.merges += 1;
            kept.has_more = true;
        }
        if kept.indexed > 0 {
            // A day that is over may be complete with these calls.
            let is_left = |table| Ok::<_, LakeError>(plan(&data_files(table)?, &today, true).is_some());
            kept.has_more = kept.has_more || is_left(&self.events)? || is_left(&self.timeline)?;
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

    /// Takes calls out of both tables, and what holds them off the disk. `should_stop` is asked between two files: what was
    /// done by then is done, and the same again does the rest.
    pub fn erase<'a>(
        &'a mut self,
        erase: &'a Erase,
        should_stop: &'a (dyn Fn() -> bool + Sync),
    ) -> BoxFuture<'a, Result<CallsErased, LakeError>> {
        async move {
            self.refresh().await?;
            let Keeper { root, engine, events, timeline, found, .. } = self;
            Eraser { root, engine, events, timeline, found, should_stop }.run(erase).await
        }
        .boxed()
    }

    /// How much there is now.
    pub fn size(&self) -> Result<LakeSize, LakeError> {
        let (events, timeline) = (data_files(&self.events)?, data_files(&self.timeline)?);
        Ok(LakeSize {
            bytes: events.iter().chain(&timeline).map(|file| file.bytes).sum(),
            files: (events.len() + timeline.len()) as u64,
            oldest_day: events.iter().map(|file| file.day.clone()).min(),
            timeline_position: self.timeline.position(),
        })
    }

    async fn refresh(&mut self) -> Result<(), LakeError> {
        self.root.check_claim().await?;
        self.events.refresh().await?;
        self.timeline.refresh().await
    }

    async fn remove_days(&mut self, now_ms: i64) -> Result<u64, LakeError> {
        let (events, timeline) = (data_files(&self.events)?, data_files(&self.timeline)?);
        let over = days_over(events.iter().chain(&timeline), &self.retention, now_ms);
        // The timeline first: what it names is then always there.
        take_away(&mut self.timeline, &over).await?;
        take_away(&mut self.events, &over).await?;
        Ok(over.len() as u64)
    }

    async fn vacuum(&mut self, now_ms: i64) -> Result<(), LakeError> {
        if self.vacuumed_ms.is_some_and(|at| (0..VACUUM_EVERY_MS).contains(&(now_ms - at))) {
            return Ok(());
        }
        for table in [&mut self.events, &mut self.timeline] {
            // Lite takes away what the table's log says was removed; a file of somebody else's is not ours to delete.
            let vacuum = table.table.clone().vacuum().with_mode(VacuumMode::Lite);
            (table.table, _) = vacuum.await.map_err(table.failed("take unused files from"))?;
        }
        self.vacuumed_ms = Some(now_ms);
        Ok(())
    }
}
