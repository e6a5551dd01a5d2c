//! The lake as those who ask see it: what is committed, and what is not committed yet, as of one moment.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use deltalake::DeltaTable;
use deltalake::arrow::array::{AsArray as _, RecordBatch};
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::datasource::MemTable;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::prelude::{DataFrame, SessionContext};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use object_store::ObjectMeta;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::engine::{Engine, Resources, table_in};
use crate::entities::entity_column;
use crate::events::Tail;
use crate::place::{Location, Place, Root};
use crate::query::{Answer, QueryError};
use crate::schema::{ENDPOINT_HOURS, EVENTS, PARTITION, TIMELINE, TableShape, arrow_schema, timeline_schema};
use crate::search::literal;
use crate::side::Beside;
use crate::sorted::Indexes;
use crate::table::{LakeError, entry_of, is_newest, newest, table_error};

/// What all queries together, and each of them, may use. Each is a limit that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// Queries at one time.
    pub queries_max: usize,
    /// Memory of all of them.
    pub memory_bytes: usize,
    /// Disk of all of them, for what does not fit into memory.
    pub scratch_bytes: u64,
    /// Processors that one query may use.
    pub threads: usize,
    /// Time of one.
    pub time: Duration,
    /// Rows of one's answer.
    pub rows_max: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits {
            queries_max: 4,
            memory_bytes: 512 * 1024 * 1024,
            scratch_bytes: 4 * 1024 * 1024 * 1024,
            threads: 2,
            time: Duration::from_secs(60),
            rows_max: 100_000,
        }
    }
}

/// The lake, open for reading.
pub struct LakeReader {
    events: Followed,
    timeline: Followed,
    hours: Followed,
    tail: Option<Tail>,
    pub(crate) engine: Engine,
    pub(crate) indexes: Arc<Indexes>,
    pub(crate) limits: QueryLimits,
    permits: Arc<Semaphore>,
    turns: Semaphore,
}

/// A table that somebody else writes.
struct Followed {
    shape: &'static TableShape,
    place: Place,
    /// The newest version that was seen; `None` until there is a table.
    known: Mutex<Option<Known>>,
}

/// A version of a table, and the log position that it covers, which the table's whole log has to be read for.
struct Known {
    table: DeltaTable,
    position: u64,
    /// What made it, in the table's log.
    entry: Option<ObjectMeta>,
}

/// The calls and their timeline at one moment.
#[derive(Clone)]
pub(crate) struct View {
    pub events: DeltaTable,
    /// Where they are.
    pub events_place: Place,
    pub tail: Vec<RecordBatch>,
    /// The log position up to which calls are in one of the two.
    pub position: u64,
    pub timeline: Option<DeltaTable>,
    /// The log position up to which calls are in the timeline.
    pub timeline_position: u64,
}

impl LakeReader {
    /// Opens the lake. `tail` is of its writer, where that is in this process. A bucket is asked when somebody asks.
    pub fn open(lake: impl Into<Location>, tail: Option<Tail>, limits: QueryLimits) -> Result<LakeReader, LakeError> {
        let lake = lake.into();
        if lake.as_directory().is_some_and(|directory| !directory.is_dir()) {
            return Err(LakeError::Missing { place: lake.to_string() });
        }
        let resources = Resources {
            memory_bytes: limits.memory_bytes,
            scratch_bytes: limits.scratch_bytes,
            threads: limits.threads,
        };
        let engine = Engine::new(&lake, resources).map_err(|source| LakeError::Engine {
            doing: "read",
            place: lake.to_string(),
            source: Box::new(source),
        })?;
        let permits = Arc::new(Semaphore::new(limits.queries_max));
        let turns = Semaphore::new(limits.queries_max);
        let indexes = Arc::new(Indexes::new());
        let root = lake.open()?;
        let follow = |shape: &'static TableShape| Followed::new(&root, shape);
        Ok(LakeReader {
            events: follow(&EVENTS),
            timeline: follow(&TIMELINE),
            hours: follow(&ENDPOINT_HOURS),
            tail,
            engine,
            indexes,
            limits,
            permits,
            turns,
        })
    }

    /// Begins to answer a statement over the lake's tables and what stands beside them.
    pub fn query<'a>(&'a self, statement: &'a str, beside: &'a Beside) -> BoxFuture<'a, Result<Answer, QueryError>> {
        let answer = async move {
            let (permit, started) = (self.permit()?, Instant::now());
            let begun = async {
                let context = self.context(beside).await?;
                Answer::begin(&context, statement, &self.limits, started, permit).await
            };
            let begun = timeout_at(started + self.limits.time, begun).await;
            begun.map_err(|_| QueryError::Time(self.limits.time)).flatten()
        };
        answer.boxed()
    }

    /// One of the places for queries.
    pub(crate) fn permit(&self) -> Result<OwnedSemaphorePermit, QueryError> {
        let busy = |_| QueryError::Busy { queries_max: self.limits.queries_max };
        Arc::clone(&self.permits).try_acquire_owned().map_err(busy)
    }

    /// How many calls an entity has, committed or not. `kind` and `entity` are as the timeline has them.
    pub fn count<'a>(&'a self, kind: &'a str, entity: &'a str) -> BoxFuture<'a, Result<u64, QueryError>> {
        self.in_time(async move {
            let condition = entity_column(kind)?.is(entity);
            let calls = self.asked(&format!("SELECT 1 FROM events WHERE {condition}")).await?;
            Ok(calls.count().await? as u64)
        })
    }

    /// The id by which calls have an entity that they do not have by this one: a consumer's, whose name it is, or the gateway's
    /// of a credential, whose pseudonym it is.
    pub fn id_meant<'a>(&'a self, kind: &'a str, entity: &'a str) -> BoxFuture<'a, Result<Option<String>, QueryError>> {
        self.in_time(async move {
            let (id, by) = match kind {
                "consumer" => ("consumer_id", "consumer_name"),
                "credential" => ("credential_id", "presented_credential"),
                _ => return Ok(None),
            };
            let entity = literal(entity);
            let is_id = self.asked(&format!("SELECT 1 FROM events WHERE {id} = {entity} LIMIT 1")).await?;
            if is_id.count().await? > 0 {
                return Ok(None);
            }
            let statement = format!("SELECT {id} FROM events WHERE {by} = {entity} AND {id} IS NOT NULL LIMIT 1");
            let batches = self.asked(&statement).await?.collect().await?;
            let ids = batches.iter().filter(|batch| batch.num_rows() > 0);
            Ok(ids.filter_map(|batch| Some(batch.column(0).as_string_opt::<i32>()?.value(0).to_owned())).next())
        })
    }

    async fn asked(&self, statement: &str) -> Result<DataFrame, QueryError> {
        Ok(self.session(&self.view().await?).await?.sql(statement).await?)
    }

    /// Within the limits of queries.
    fn in_time<'a, T>(
        &'a self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, QueryError>> {
        let limited = async move {
            let _permit = self.permit()?;
            tokio::time::timeout(self.limits.time, work).await.map_err(|_| QueryError::Time(self.limits.time))?
        };
        limited.boxed()
    }

    /// Within the time of queries, when it is its turn. A page of the console asks for several things at once, so it waits where
    /// a query is refused; and so that no query keeps it waiting, its places are others.
    pub(crate) fn in_turn<'a, T>(
        &'a self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, QueryError>> {
        let ends = Instant::now() + self.limits.time;
        let limited = async move {
            let busy = |_| QueryError::Busy { queries_max: self.limits.queries_max };
            let _turn = timeout_at(ends, self.turns.acquire()).await.map_err(busy)?;
            timeout_at(ends, work).await.map_err(|_| QueryError::Time(self.limits.time))?
        };
        limited.boxed()
    }

    /// A session with every table.
    pub(crate) async fn context(&self, beside: &Beside) -> Result<SessionContext, QueryError> {
        // Before what it is made of: what it does not cover is then found there.
        let hours = self.hours.newest().await?;
        let view = self.view().await?;
        let context = self.session(&view).await?;
        view.register_hours(hours, &self.engine, &context).await?;
        beside.register(&context).await?;
        Ok(context)
    }

    /// A session with the calls and their timeline as they were at a moment.
    pub(crate) async fn session(&self, view: &View) -> Result<SessionContext, QueryError> {
        let context = self.engine.context();
        view.register_events(&context, "events").await?;
        let timeline: Arc<dyn TableProvider> = match &view.timeline {
            Some(timeline) => table_in(&context, timeline).await?,
            // Views name it, also before there is one.
            None => Arc::new(MemTable::try_new(timeline_schema(), vec![vec![]])?),
        };
        context.register_table("timeline", timeline)?;
        Ok(context)
    }

    /// The calls and their timeline as they are now.
    pub(crate) async fn view(&self) -> Result<View, LakeError> {
        // The timeline never covers more than the events, and the tail is taken before what takes from it: so nothing is
        // missing, and what is in two of them is told by its position.
        let (timeline, timeline_position) = match self.timeline.newest().await? {
            Some((table, position)) => (Some(table), position),
            None => (None, 0),
        };
        let tail = self.tail.as_ref().map(Tail::batches).unwrap_or_default();
        let (events, committed) = self.events.newest().await?.ok_or_else(|| self.events.missing())?;
        let position = tail.last().map_or(committed, |last| last.position.max(committed));
        let tail = tail.into_iter().filter(|batch| batch.position > committed).map(|batch| batch.rows).collect();
        let events_place = self.events.place.clone();
        Ok(View { events, events_place, tail, position, timeline, timeline_position })
    }
}

impl View {
    /// Registers what is committed and what is not yet as one table.
    pub(crate) async fn register_events(&self, context: &SessionContext, name: &str) -> Result<(), DataFusionError> {
        let committed = context.read_table(table_in(context, &self.events).await?)?;
        let all = match self.tail.is_empty() {
            true => committed,
            false => {
                let columns: Vec<_> = committed.schema().fields().iter().map(|field| field.name().clone()).collect();
                let columns: Vec<_> = columns.iter().map(String::as_str).collect();
                let tail = context.read_table(in_memory(self.tail.clone())?)?;
                committed.union(tail.select_columns(&columns)?)?
            }
        };
        context.register_table(name, all.into_view())?;
        Ok(())
    }

    /// The days that a table has files of.
    pub(crate) fn days_of(&self, table: &DeltaTable) -> Result<BTreeSet<String>, LakeError> {
        let snapshot = table.snapshot().map_err(table_error(&self.events_place, "read"))?;
        let files = snapshot.log_data();
        Ok(files.iter().filter_map(|file| file.partition_values_map().remove(PARTITION).flatten()).collect())
    }
}

impl Followed {
    fn new(root: &Root, shape: &'static TableShape) -> Followed {
        Followed { shape, place: root.table(shape.name), known: Mutex::default() }
    }

    fn missing(&self) -> LakeError {
        LakeError::Missing { place: self.place.to_string() }
    }

    /// The newest version and the log position that it covers; `None` where there is no table.
    async fn newest(&self) -> Result<Option<(DeltaTable, u64)>, LakeError> {
        let mut known = self.known.lock().await;
        let before = match known.as_ref() {
            // Most who ask do so when nothing was committed since the last time.
            Some(before) if is_newest(&before.table, before.entry.as_ref()).await => {
                return Ok(Some((before.table.clone(), before.position)));
            }
            Some(before) => before.table.clone(),
            None if !self.place.has_versions().await? => return Ok(None),
            None => self.place.found()?.load().await?,
        };
        // What failed may have changed what is known.
        *known = None;
        let (table, position) = newest(before, &self.place.found()?, self.shape).await?;
        let entry = entry_of(&table).await;
        *known = Some(Known { table: table.clone(), position, entry });
        Ok(Some((table, position)))
    }
}

fn in_memory(rows: Vec<RecordBatch>) -> Result<Arc<MemTable>, DataFusionError> {
    let schema = rows.first().map_or_else(arrow_schema, RecordBatch::schema);
    Ok(Arc::new(MemTable::try_new(schema, vec![rows])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_a_page_waits_for_a_turn_and_not_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let limits = QueryLimits { queries_max: 1, time: Duration::from_secs(60), ..QueryLimits::default() };
        let reader = LakeReader::open(directory.path(), None, limits).unwrap();
        let (finish, finished) = tokio::sync::oneshot::channel();
        let first = reader.in_turn(async { Ok(finished.await.unwrap()) });
        let second = reader.in_turn(async { Ok("second") });
        let end_first = async {
            tokio::task::yield_now().await;
            finish.send("first").unwrap();
            Ok("ended")
        };
        assert_eq!(tokio::try_join!(first, second, end_first).unwrap(), ("first", "second", "ended"));

        let never = reader.in_turn(std::future::pending::<Result<(), _>>());
        let waiting = reader.in_turn(async { Ok(()) });
        let (never, waiting) = tokio::join!(never, waiting);
        assert!(matches!(never, Err(QueryError::Time(_))), "{never:?}");
        assert!(matches!(waiting, Err(QueryError::Busy { queries_max: 1 })), "{waiting:?}");
    }
}
