//! All of outrider in one process: sources, platform, responders and API, wired and drained in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use outrider_collect::{Counters, KongTcpLog, MicroBatch, PseudonymKey, SourceConfig};
use outrider_model::{ActionReport, GatewaySnapshot};
use outrider_platform::ingest::{Ingest, Reports};
use outrider_platform::log::LogError;
use outrider_platform::notify::Destination;
use outrider_platform::service::{Platform, PlatformSettings, PlatformStatus};
use outrider_respond::gateways::SystemClock;
use outrider_respond::gateways::kong::{
    AdminClient, ConfigurationStatus, ConfigurationWatch, Responder, ResponderStatus,
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::concerns::EdgeConcerns;
use crate::config::{Config, GatewayConfig, NotifyConfig};
use crate::installation::{self, RunFile};
use crate::local;

/// Micro-batches that wait for the log: at 10 ms each some seconds of many connections.
const BATCHES_WAITING: usize = 4096;
/// Pause between tries to store a report.
const REPORT_RETRY: Duration = Duration::from_millis(500);
/// Reports of one responder that wait for the log.
const REPORTS_WAITING: usize = 1024;

/// A running outrider.
pub struct Outrider {
    config: Config,
    platform: Platform,
    sources: Vec<Source>,
    responders: Vec<Gateway>,
    api: SocketAddr,
    api_tasks: Vec<JoinHandle<std::io::Result<()>>>,
    local_task: Option<JoinHandle<()>>,
    ingest: JoinHandle<()>,
    stop_sources: CancellationToken,
    stop_edges: CancellationToken,
}

struct Source {
    name: String,
    address: SocketAddr,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

struct Gateway {
    name: String,
    status: watch::Receiver<ResponderStatus>,
    /// Where its configuration is read at all.
    configuration: Option<watch::Receiver<ConfigurationStatus>>,
    tasks: Vec<JoinHandle<()>>,
}

/// What is made of a gateway's settings before anything runs.
struct PreparedGateway {
    responder: Responder,
    configuration: Option<ConfigurationWatch>,
}

impl Outrider {
    /// Opens and starts everything. What is likely to fail comes first, before anything runs.
    pub async fn start(config: Config) -> anyhow::Result<Outrider> {
        let data_dir = &config.data_dir;
        installation::prepare(data_dir)?;
        let installation_id = installation::id(data_dir)?;
        let key = PseudonymKey::load_or_create(&data_dir.join("pseudonym.key"))?;

        // Ports first: a taken one is the commonest mistake, and nothing has been touched yet.
        let (batches, waiting) = mpsc::channel(BATCHES_WAITING);
        let clock: Arc<dyn outrider_collect::Clock> = Arc::new(outrider_collect::SystemClock);
        let mut bound = Vec::new();
        for source in &config.collector.sources {
            let SourceConfig::KongTcpLog(settings) = source;
            bound.push(KongTcpLog::bind(settings, key.clone(), Arc::clone(&clock), batches.clone())?);
        }
        drop(batches);
        let mut prepared = Vec::new();
        for gateway in &config.gateways {
            let settings = gateway.responder(&installation_id, data_dir);
            let name = || format!("gateway `{}`", gateway.name);
            prepared.push(PreparedGateway {
                responder: Responder::new(settings, Arc::new(SystemClock)).with_context(name)?,
                configuration: configuration_watch(gateway).with_context(name)?,
            });
        }
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let listen = config.api.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("the API cannot listen on {listen}; is another outrider running? Set api.listen to a free port")
        })?;
        let metrics = match config.metrics.listen {
            Some(listen) => Some(TcpListener::bind(listen).await.with_context(|| {
                format!("the metrics cannot listen on {listen}; set metrics.listen to a free port")
            })?),
            None => None,
        };
        let api = listener.local_addr().context("the API's address cannot be read")?;

        let mut platform = Platform::start(platform_settings(&config, &installation_id)?, now_ms).await?;
        let first_token = data_dir.join("admin-token");
        if platform.store().make_first_token(&first_token, now_ms()).await? {
            tracing::info!(file = %first_token.display(), "the first admin token was made");
        }
        let stop_sources = CancellationToken::new();
        let stop_edges = CancellationToken::new();
        let ingest = tokio::spawn(take_batches(platform.ingest(epoch()?), waiting));
        let mut sources = Vec::new();
        for source in bound {
            let (address, counters) = (source.local_addr(), source.counters());
            let task = tokio::spawn(source.run(stop_sources.clone()));
            sources.push(Source { name: format!("kong_tcp_log {address}"), address, counters, task });
        }
        let mut responders = Vec::new();
        for (gateway, prepared) in config.gateways.iter().zip(prepared) {
            responders.push(start_gateway(&platform, &gateway.name, prepared, &stop_edges)?);
        }
        let source_counters: Vec<_> =
            sources.iter().map(|source| (source.name.clone(), Arc::clone(&source.counters))).collect();
        let responder_statuses: Vec<_> =
            responders.iter().map(|gateway| (gateway.name.clone(), gateway.status.clone())).collect();
        let configurations = responders
            .iter()
            .filter_map(|gateway| Some((gateway.name.clone(), gateway.configuration.clone()?)))
            .collect();
        platform.watch(vec![Arc::new(EdgeConcerns::new(source_counters.clone(), responder_statuses.clone()))], now_ms);
        let status = Arc::new(Status {
            platform: platform.status(),
            sources: source_counters,
            responders: responder_statuses,
            configurations,
            installation: installation_id,
        });
        let state = outrider_platform::api::ApiState::new(
            platform.store().clone(),
            Arc::new(platform.commands()),
            Arc::clone(&status) as _,
        );
        let mut api_tasks =
            vec![tokio::spawn(outrider_platform::api::serve(listener, state.clone(), stop_edges.clone()))];
        if let Some(listener) = metrics {
            api_tasks.push(tokio::spawn(outrider_platform::api::serve_metrics(listener, state, stop_edges.clone())));
        }
        let local_task = serve_locally(data_dir, status, &stop_edges);
        let run = RunFile {
            pid: std::process::id(),
            api: api.to_string(),
            sources: sources.iter().map(|source| source.address.to_string()).collect(),
        };
        installation::write_run_file(data_dir, &run)?;
        tracing::info!(%api, data_dir = %data_dir.display(), "outrider is ready");
        Ok(Outrider {
            config,
            platform,
            sources,
            responders,
            api,
            api_tasks,
            local_task,
            ingest,
            stop_sources,
            stop_edges,
        })
    }

    /// Where the API listens.
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// Where the sources listen, in the order of the configuration.
    pub fn source_addresses(&self) -> Vec<SocketAddr> {
        self.sources.iter().map(|source| source.address).collect()
    }

    /// Puts another configuration in force as far as that goes without a start, and says which sections wait for one. After
    /// an error what was in force stays.
    pub async fn reload(&mut self, config: Config) -> anyhow::Result<Vec<&'static str>> {
        let notify = destinations(&config)?;
        self.platform.reconfigure(config.analysis(), notify, now_ms()).await?;
        let waiting = self.config.restart_needed(&config);
        self.config.take_over(config);
        Ok(waiting)
    }

    /// Ends when a part has failed in a way that going on could not mend.
    pub async fn failed(&self) {
        let mut failed = self.platform.failed();
        // An error means that every thread has ended, which is as bad.
        drop(failed.wait_for(|failed| *failed).await);
    }

    /// Drains: sources first, then what they handed over, then the edges, then the platform.
    pub async fn stop(self) {
        self.stop_sources.cancel();
        for source in self.sources {
            report_panic(&source.name, source.task.await);
        }
        report_panic("ingest", self.ingest.await);
        self.stop_edges.cancel();
        for gateway in self.responders {
            for task in gateway.tasks {
                report_panic(&gateway.name, task.await);
            }
        }
        for task in self.api_tasks {
            match task.await {
                Ok(Err(error)) => tracing::error!(%error, "the API ended badly"),
                ended => report_panic("api", ended.map(drop)),
            }
        }
        if let Some(task) = self.local_task {
            report_panic("local socket", task.await);
        }
        self.platform.stop().await;
        installation::remove_run_file(&self.config.data_dir);
        tracing::info!("outrider has stopped");
    }
}

/// Opens the local socket. Nothing but `outrider doctor` needs it, so a file system without sockets stops nobody.
fn serve_locally(data_dir: &Path, status: Arc<Status>, stop: &CancellationToken) -> Option<JoinHandle<()>> {
    match local::bind(data_dir) {
        Ok(listener) => Some(tokio::spawn(local::serve(listener, data_dir.to_owned(), status, stop.clone()))),
        Err(error) => {
            tracing::warn!(%error, data_dir = %data_dir.display(), "there is no local socket, so doctor cannot ask");
            None
        }
    }
}

fn platform_settings(config: &Config, installation: &str) -> anyhow::Result<PlatformSettings> {
    Ok(PlatformSettings {
        data_dir: config.data_dir.clone(),
        installation: installation.to_owned(),
        gateways: config.gateways.iter().map(|gateway| gateway.name.clone()).collect(),
        analysis: config.analysis(),
        log: config.log.clone(),
        lake_commit_interval: config.lake.enabled.then(|| Duration::from_millis(config.lake.commit_interval_ms)),
        snapshot_interval: Duration::from_secs(config.snapshots.interval_seconds),
        notify: destinations(config)?,
    })
}

fn destinations(config: &Config) -> anyhow::Result<Vec<Destination>> {
    config.notify.iter().map(NotifyConfig::destination).collect()
}

fn configuration_watch(gateway: &GatewayConfig) -> anyhow::Result<Option<ConfigurationWatch>> {
    if gateway.configuration_seconds == 0 {
        return Ok(None);
    }
    let interval = Duration::from_secs(gateway.configuration_seconds);
    let admin = AdminClient::new(&gateway.admin())?;
    Ok(Some(ConfigurationWatch::new(admin, gateway.name.clone(), interval, Arc::new(SystemClock))))
}

fn start_gateway(
    platform: &Platform,
    name: &str,
    PreparedGateway { responder, configuration }: PreparedGateway,
    stop: &CancellationToken,
) -> anyhow::Result<Gateway> {
    let desired = platform.desired(name).with_context(|| format!("gateway `{name}` is not known to the platform"))?;
    let status = responder.status();
    let (sender, reports) = mpsc::channel(REPORTS_WAITING);
    let mut tasks = vec![
        tokio::spawn(responder.run(desired, sender, stop.clone())),
        tokio::spawn(take_reports(platform.reports(), reports, stop.clone())),
    ];
    let configuration = configuration.map(|watching| {
        let status = watching.status();
        let (sender, snapshots) = mpsc::channel(1);
        tasks.push(tokio::spawn(watching.run(sender, stop.clone())));
        tasks.push(tokio::spawn(take_configurations(platform.reports(), snapshots, stop.clone())));
        status
    });
    Ok(Gateway { name: name.to_owned(), status, configuration, tasks })
}

/// Hands micro-batches to the log until all sources have ended.
async fn take_batches(mut ingest: Ingest, mut waiting: mpsc::Receiver<MicroBatch>) {
    while let Some(batch) = waiting.recv().await {
        ingest.accept(batch.calls, batch.count, batch.last_received_ms);
    }
}

/// Hands a responder's reports to the log until it has ended. One that the log does not take is tried again, and the next
/// ones wait meanwhile. After a restart the responder says all of them again.
async fn take_reports(log: Reports, mut reports: mpsc::Receiver<ActionReport>, stop: CancellationToken) {
    while let Some(report) = reports.recv().await {
        until_stored("a responder's report", &stop, || log.store(now_ms(), &report)).await;
    }
}

/// Hands what a gateway is configured to do to the log. After a restart it is read again.
async fn take_configurations(log: Reports, mut snapshots: mpsc::Receiver<GatewaySnapshot>, stop: CancellationToken) {
    while let Some(snapshot) = snapshots.recv().await {
        until_stored("a gateway's configuration", &stop, || log.store_configuration(now_ms(), &snapshot)).await;
    }
}

/// Tries again until something is stored, and says the first failure; gives up when it is to stop.
async fn until_stored<F>(what: &str, stop: &CancellationToken, mut store: impl FnMut() -> F)
where
    F: Future<Output = Result<(), LogError>>,
{
    let mut is_failing = false;
    while let Err(error) = store().await {
        if !is_failing {
            tracing::warn!(%error, "{what} was not stored; it is tried again");
            is_failing = true;
        }
        if stop.run_until_cancelled(tokio::time::sleep(REPORT_RETRY)).await.is_none() {
            return;
        }
    }
}

/// A number for this start of the collector, never used before: random, because clocks go back.
fn epoch() -> anyhow::Result<u64> {
    Ok(u64::from_le_bytes(installation::random()?))
}

pub fn now_ms() -> i64 {
    outrider_collect::Clock::now_ms(&outrider_collect::SystemClock)
}

fn report_panic(what: &str, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, what, "a task ended badly");
    }
}

/// What the status page shows.
struct Status {
    platform: PlatformStatus,
    sources: Vec<(String, Arc<Counters>)>,
    responders: Vec<(String, watch::Receiver<ResponderStatus>)>,
    configurations: Vec<(String, watch::Receiver<ConfigurationStatus>)>,
    installation: String,
}

impl outrider_platform::api::StatusSource for Status {
    fn status(&self) -> serde_json::Value {
        let sources =
            self.sources.iter().map(|(name, counters)| json!({"name": name, "counters": counters.snapshot()}));
        let responders = self.responders.iter().map(|(name, status)| {
            let status = status.borrow();
            json!({
                "gateway": name,
                "failure": status.failure.as_ref().map(ToString::to_string),
                "attempt": status.attempt,
                "desired_version": status.desired_version,
                "listed_ms": status.listed_ms,
                "own_plugins": status.own_plugins,
                "adopted": status.adopted.len(),
                "guard_problem": status.guard_problem,
                "held": status.held,
                "written": status.counters.written,
                "deleted": status.counters.deleted,
                "repaired": status.counters.repaired,
                "gateway_failures": status.counters.gateway_failures,
            })
        });
        let configurations = self.configurations.iter().map(|(name, status)| {
            let status = status.borrow();
            json!({"gateway": name, "read_ms": status.read_ms, "failure": status.failure})
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "installation": self.installation,
            "sources": sources.collect::<Vec<_>>(),
            "platform": self.platform.to_json(),
            "responders": responders.collect::<Vec<_>>(),
            "configurations": configurations.collect::<Vec<_>>(),
        })
    }
}
