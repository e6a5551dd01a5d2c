//! The platform as a whole: recovery, threads, shutdown.
//!
//! [`Platform::start`] opens log, control store and lake, finds the snapshot to begin from and starts the threads. What
//! the premises and the people need is handed out: an [`Ingest`] for calls and reports, a [`CommandBus`] for decisions,
//! the desired state of each gateway, the status.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use outrider_lake::{Location, QueryLimits, Retention};
use outrider_model::DesiredState;
use outrider_respond::notify::Teller;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle as TaskHandle;
use tokio_util::sync::CancellationToken;

use crate::analysis::AnalysisSettings;
use crate::assignments::{Assignments, IDS_WAITING_MAX};
use crate::clean_stop;
use crate::commands::Commands;
use crate::copies::Copies;
use crate::documents::Documents;
use crate::eraser::Eraser;
pub use crate::error::PlatformError;
use crate::hunts::Hunts;
use crate::ingest::{AnsweredIngest, Handed, Ingest, Reports};
use crate::lake_keeper::{KeeperTask, LakeKeeper};
use crate::lake_start::LakeAtStart;
pub use crate::lake_start::lake_elsewhere;
use crate::lake_writer::LakeOpener;
use crate::log::{Log, LogError, LogHandle, LogSettings, LogWriter, NewRecord, Position, QUEUE_BYTES_DEFAULT};
use crate::notify::{Built, Destination, Notifier, Statuses};
use crate::pipeline::{Pipeline, Waiters};
use crate::premises::Premises;
use crate::progress::Progress;
use crate::queries::{Queries, QueryThreads};
use crate::recovery::{note_start, recover};
use crate::side_tables;
use crate::snapshot_writer::{SnapshotWriter, Work};
use crate::snapshots::Snapshots;
pub use crate::status::PlatformStatus;
use crate::store::Store;
use crate::threads::{EndOfIds, spawn};
use crate::ticker::tick;
use crate::watcher::{ConcernSource, PlatformConcerns, Watcher};

/// What a platform needs to start.
#[derive(Debug, Clone)]
pub struct PlatformSettings {
    /// Where log, store and snapshots are.
    pub data_dir: PathBuf,
    /// Whose blocks are ours: part of the tags and of the marked answer.
    pub installation: String,
    /// The gateways that actions can go to.
    pub gateways: Vec<String>,
    /// What the analysis does.
    pub analysis: AnalysisSettings,
    /// The log.
    pub log: LogSettings,
    /// Where the lake is, or was while there was one.
    pub lake_location: Location,
    /// The lake; `None` for none.
    pub lake: Option<LakeSettings>,
    /// Time between snapshots of the analysis.
    pub snapshot_interval: Duration,
    /// Who is told of alerts, actions and notices.
    pub notify: Vec<Destination>,
}

/// How the lake is kept and asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LakeSettings {
    /// How long calls wait at most before they are committed.
    pub commit_interval: Duration,
    /// How much is kept.
    pub retention: Retention,
    /// What queries may use.
    pub limits: QueryLimits,
}

impl Default for LakeSettings {
    fn default() -> Self {
        LakeSettings {
            commit_interval: Duration::from_secs(10),
            retention: Retention::default(),
            limits: QueryLimits::default(),
        }
    }
}

/// A running platform.
pub struct Platform {
    data_dir: PathBuf,
    installation: String,
    gateways: Option<Vec<String>>,
    now_ms: fn() -> i64,
    log: LogHandle,
    writer: Option<LogWriter>,
    threads: Vec<JoinHandle<Result<(), LogError>>>,
    ticker: TaskHandle<()>,
    stop_ticks: CancellationToken,
    desired: Vec<(String, watch::Receiver<Option<DesiredState>>)>,
    waiters: Arc<Waiters>,
    copies: Arc<Copies>,
    progress: Arc<Progress>,
    handed: Mutex<Vec<Arc<Handed>>>,
    is_track_lost: bool,
    failed: watch::Receiver<bool>,
    caught_up: watch::Receiver<bool>,
    caught_up_at: Position,
    store: Store,
    assignments: Option<Arc<Assignments>>,
    retention: Option<Retention>,
    alerts_remembered_ms: i64,
    notifier: tokio::sync::Mutex<Notifier>,
    statuses: Statuses,
    watcher: Option<TaskHandle<()>>,
    queries: Option<Queries>,
    hunts: Option<Hunts>,
    hunter: Option<TaskHandle<()>>,
    eraser: Option<TaskHandle<()>>,
    documents: Option<TaskHandle<()>>,
    /// Ends the threads of queries, and the lake's keeper, when it goes.
    asking: Option<(QueryThreads, Sender<KeeperTask>)>,
}

impl Platform {
    /// Opens everything and starts the threads. `now_ms` is the wall clock.
    pub async fn start(settings: PlatformSettings, now_ms: fn() -> i64) -> Result<Platform, PlatformError> {
        let data = &settings.data_dir;
        let (mut log, opened) = Log::open(&data.join("log"), settings.log.clone())?;
        if opened.cut_bytes > 0 {
            tracing::warn!(bytes = opened.cut_bytes, "a torn tail was cut off the log; nothing acknowledged was in it");
        }
        let store = Store::open(&data.join("control.sqlite")).await?;
        // Before the analysis writes anything: what it catches up on is told too.
        let mut notifier = Notifier::new(store.clone(), now_ms);
        notifier.set(teller(&settings.installation, &settings.analysis), settings.notify.clone()).await?;
        let lake = match settings.lake {
            Some(how) => {
                Some((LakeAtStart::open(settings.lake_location.clone(), how.retention, data, log.last()).await?, how))
            }
            None => None,
        };
        let retention = lake.as_ref().map(|(_, how)| how.retention);
        let alerts_remembered_ms = settings.analysis.respond.alerts.remember_ended.end_ms(0).unwrap_or(i64::MAX);
        let stored = store.position().await?;
        let lake_position = lake.as_ref().map_or(stored, |(lake, _)| lake.position);
        let snapshots = Snapshots::open(data.join("snapshots"))?;
        log.begin_after(stored.max(lake_position).max(snapshots.newest()?.unwrap_or(Position::ZERO)))?;
        let last = log.last();
        let writer = LogWriter::start(log, QUEUE_BYTES_DEFAULT)?;
        let handle = writer.handle();
        let first = handle.stats().first;
        // What the lake lacks and the log no longer holds cannot be had again; it goes on where the analysis does.
        let has_hole = lake_position.next() < first;
        let limit = if has_hole { stored } else { stored.min(lake_position) };
        let (analysis, from) = recover(&snapshots, limit, first, &settings.installation)?;
        let lake_after = if has_hole { from } else { lake_position };
        if has_hole && lake.is_some() {
            tracing::warn!(
                from = lake_position.next().0,
                to = from.0,
                "the lake lacks these records of the log, which are gone: it was switched off, removed, or behind for too long"
            );
        }
        note_start(&handle, data, &settings.analysis, analysis.settings(), opened.last, now_ms()).await?;

        let caught_up_at = *handle.durable().borrow();
        let progress = Arc::new(Progress::default());
        progress.lake_is_durable_to(lake_after);
        let waiters = Arc::new(Waiters::default());
        let copies = Arc::new(Copies::default());
        let assignments = lake.is_some().then(|| Arc::new(Assignments::new(IDS_WAITING_MAX)));
        let (senders, desired) = settings
            .gateways
            .iter()
            .map(|gateway| {
                let (sender, receiver) = watch::channel(None);
                ((gateway.clone(), sender), (gateway.clone(), receiver))
            })
            .unzip();
        let (failing, failed) = watch::channel(false);
        let (catching_up, caught_up) = watch::channel(false);
        let mut threads = Vec::new();
        let stop_ticks = CancellationToken::new();
        let eraser_snapshots = snapshots.clone();
        let work = Work {
            snapshots,
            log: handle.clone(),
            runtime: Handle::current(),
            progress: Arc::clone(&progress),
            has_lake: assignments.is_some(),
        };
        let pipeline = Pipeline {
            analysis,
            reader: handle.reader(from.next()),
            store: store.clone(),
            runtime: Handle::current(),
            assignments: assignments.clone(),
            desired: senders,
            waiters: Arc::clone(&waiters),
            copies: Arc::clone(&copies),
            snapshots: SnapshotWriter::start(work)
                .map_err(|source| PlatformError::System { doing: "start the snapshot thread", source })?,
            snapshot_interval: settings.snapshot_interval,
            progress: Arc::clone(&progress),
            stored,
            publish_from: caught_up_at,
            caught_up: catching_up,
        };
        let ids = assignments.clone();
        threads.push(spawn("analysis", failing.clone(), move || {
            let _ended = EndOfIds(ids);
            pipeline.run()
        })?);
        let (mut queries, mut asking) = (None, None);
        if let (Some((lake, how)), Some(assignments)) = (lake, &assignments) {
            let (asks, query_threads) =
                Queries::start(&lake.location, lake.tail.clone(), side_tables::beside(&store), how.limits)?;
            let (keeping, tasks) = channel();
            (queries, asking) = (Some(asks), Some((query_threads, keeping.clone())));
            let keeper = LakeKeeper {
                keeper: None,
                runtime: Handle::current(),
                progress: Arc::clone(&progress),
                tasks,
                stop: stop_ticks.clone(),
                now_ms,
            };
            let lake = LakeOpener {
                lake,
                keeping,
                reader: handle.reader(lake_after.next()),
                after: lake_after,
                last,
                runtime: Handle::current(),
                assignments: Arc::clone(assignments),
                progress: Arc::clone(&progress),
                commit_interval: how.commit_interval,
            };
            threads.push(spawn("lake", failing.clone(), move || lake.run())?);
            threads.push(spawn("lake-keeper", failing, move || keeper.run())?);
        }
        let hunts = match queries.clone() {
            Some(queries) => Some(Hunts::new(store.clone(), queries, handle.clone(), Arc::clone(&progress)).await),
            None => None,
        };
        let ticker = tokio::spawn(tick(handle.clone(), Arc::clone(&progress), now_ms, stop_ticks.clone()));
        let eraser = Eraser {
            store: store.clone(),
            log: handle.clone(),
            commands: Commands::new(handle.clone(), Arc::clone(&waiters), Arc::clone(&copies)),
            hunts: hunts.clone(),
            snapshots: eraser_snapshots,
            progress: Arc::clone(&progress),
            keeper: asking.as_ref().map(|(_, keeping)| keeping.clone()),
            lake_location: settings.lake_location,
            caught_up: caught_up.clone(),
            now_ms,
            recorded: BTreeSet::new(),
            rows_out: BTreeSet::new(),
            tries: BTreeMap::new(),
        };
        let eraser = Some(tokio::spawn(eraser.run(stop_ticks.clone())));
        let documents = Documents {
            store: store.clone(),
            log: handle.clone(),
            commands: Commands::new(handle.clone(), Arc::clone(&waiters), Arc::clone(&copies)),
            caught_up: caught_up.clone(),
            now_ms,
        };
        let documents = Some(tokio::spawn(documents.run(stop_ticks.clone())));
        Ok(Platform {
            data_dir: settings.data_dir,
            installation: settings.installation,
            gateways: settings.analysis.gateways,
            now_ms,
            log: handle,
            writer: Some(writer),
            threads,
            ticker,
            stop_ticks,
            desired,
            waiters,
            copies,
            progress,
            handed: Mutex::default(),
            is_track_lost: false,
            failed,
            caught_up,
            caught_up_at,
            store,
            assignments,
            retention,
            alerts_remembered_ms,
            statuses: notifier.statuses(),
            notifier: tokio::sync::Mutex::new(notifier),
            watcher: None,
            queries,
            hunts,
            hunter: None,
            eraser,
            documents,
            asking,
        })
    }

    /// Something to hand calls to. Each ingest is a collector epoch of its own.
    pub fn ingest(&self, epoch: u64) -> Ingest {
        let ingest = Ingest::new(self.log.clone(), Arc::clone(&self.progress), epoch);
        self.handed.lock().unwrap_or_else(PoisonError::into_inner).push(ingest.handed());
        ingest
    }

    /// Something to hand calls to whose senders keep them until they are stored.
    pub fn answered_ingest(&self, epoch: u64) -> AnsweredIngest {
        AnsweredIngest::new(self.log.clone(), epoch)
    }

    /// Something to hand responders' reports to.
    pub fn reports(&self) -> Reports {
        Reports(self.log.clone())
    }

    /// Where collectors and responders on the premises connect. Responders may hold these gateways and no others.
    pub fn premises(&self, gateways: &[String]) -> Premises {
        let held = self.desired.iter().filter(|(gateway, _)| gateways.contains(gateway));
        let (store, log) = (self.store.clone(), self.log.clone());
        Premises::new(store, log, held.cloned().collect(), &self.installation, self.now_ms)
    }

    /// Something to hand people's decisions to.
    pub fn commands(&self) -> Commands {
        Commands::new(self.log.clone(), Arc::clone(&self.waiters), Arc::clone(&self.copies))
    }

    /// The control store, for reading.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The lake, for asking; `None` without one.
    pub fn queries(&self) -> Option<Queries> {
        self.queries.clone()
    }

    /// The saved hunts; `None` without a lake.
    pub fn hunts(&self) -> Option<&Hunts> {
        self.hunts.as_ref()
    }

    /// Begins to run saved hunts on their schedule.
    pub fn hunt(&mut self) {
        let follow = |hunts: Hunts| hunts.follow(self.caught_up.clone(), self.now_ms, self.stop_ticks.clone());
        self.hunter = self.hunts.clone().map(|hunts| tokio::spawn(follow(hunts)));
    }

    /// What the responder of a gateway has to bring about; `None` inside until the analysis has caught up.
    pub fn desired(&self, gateway: &str) -> Option<watch::Receiver<Option<DesiredState>>> {
        self.desired.iter().find(|(name, _)| name == gateway).map(|(_, receiver)| receiver.clone())
    }

    /// Begins to look after the operation: opens and closes notices from what these sources and the platform itself say.
    pub fn watch(&mut self, mut sources: Vec<Arc<dyn ConcernSource>>, now_ms: fn() -> i64) {
        sources.push(Arc::new(PlatformConcerns::new(self.status(), self.data_dir.clone(), self.assignments.is_some())));
        sources.extend(self.hunts.clone().map(|hunts| Arc::new(hunts) as Arc<dyn ConcernSource>));
        let watcher = Watcher { store: self.store.clone(), sources, caught_up: self.caught_up.clone(), now_ms };
        self.watcher = Some(tokio::spawn(watcher.run(self.stop_ticks.clone())));
    }

    /// Puts other settings of the analysis in force, from the next record of the log on, and tells others from now on. Which
    /// gateways there are stays as it was at the start. After an error everything is as it was.
    pub async fn reconfigure(
        &self,
        analysis: AnalysisSettings,
        notify: Vec<Destination>,
        now_ms: i64,
    ) -> Result<(), PlatformError> {
        let analysis = AnalysisSettings { gateways: self.gateways.clone(), ..analysis };
        // What can fail comes first. The lock holds two of these apart, so that both halves are of the same one.
        let built = Built::new(notify)?;
        let mut notifier = self.notifier.lock().await;
        self.log.append(vec![NewRecord::settings(now_ms, &analysis)?]).await?;
        notifier.put_in_force(teller(&self.installation, &analysis), built).await;
        Ok(())
    }

    /// Turns true when a thread has ended with an error that it could not mend.
    pub fn failed(&self) -> watch::Receiver<bool> {
        self.failed.clone()
    }

    /// Waits until the analysis has taken in everything that was in the log at the start and has stored its effects.
    pub async fn caught_up(&self) {
        // A sender that is gone means that the analysis has ended, which `failed` tells.
        drop(self.caught_up.clone().wait_for(|done| *done).await);
    }

    /// A view of how far everything is, for the status page.
    pub fn status(&self) -> PlatformStatus {
        PlatformStatus {
            log: self.log.clone(),
            progress: Arc::clone(&self.progress),
            assignments: self.assignments.clone(),
            retention: self.retention,
            alerts_remembered_ms: self.alerts_remembered_ms,
            gateways_served: self.gateways.clone(),
            caught_up_at: self.caught_up_at,
            statuses: self.statuses.clone(),
        }
    }

    /// What was to be handed in may not all have been, so that the stop is no clean one.
    pub fn lost_track(&mut self) {
        self.is_track_lost = true;
    }

    /// Stops: takes nothing more in, finishes what is in the log, saves the state. Call it when nobody hands in any more.
    pub async fn stop(mut self) {
        self.stop_ticks.cancel();
        let tasks = [
            ("ticker", Some(self.ticker)),
            ("watcher", self.watcher.take()),
            ("hunter", self.hunter.take()),
            ("eraser", self.eraser.take()),
            ("documents", self.documents.take()),
        ];
        for (name, task) in tasks {
            if let Some(task) = task
                && let Err(error) = task.await
            {
                tracing::error!(%error, "the {name} ended badly");
            }
        }
        self.asking = None;
        let writer = self.writer.take();
        let threads = std::mem::take(&mut self.threads);
        let all_well = tokio::task::spawn_blocking(move || {
            let is_log_well = writer.is_none_or(LogWriter::stop);
            // Every thread is waited for, whatever became of the ones before it.
            let failed = threads.into_iter().filter_map(|thread| (!matches!(thread.join(), Ok(Ok(())))).then_some(()));
            failed.count() == 0 && is_log_well
        })
        .await
        .unwrap_or(false);
        // Last, so that what the end of the log brought about may still be told.
        self.notifier.get_mut().stop().await;
        self.store.close().await;
        let mut lost_calls = 0;
        for handed in self.handed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            lost_calls += handed.lost_at_end().await;
        }
        let is_clean = all_well && !self.is_track_lost;
        if is_clean && let Err(error) = clean_stop::note(&self.data_dir, lost_calls) {
            tracing::warn!(%error, "the clean stop could not be noted; the next start will assume a gap");
        }
    }
}

/// Says what is worth telling under these settings.
fn teller(installation: &str, settings: &AnalysisSettings) -> Teller {
    let evidence_age_max_ms = settings.respond.actions.evidence_age_max.end_ms(0).unwrap_or(i64::MAX);
    Teller { installation: installation.to_owned(), evidence_age_max_ms }
}
