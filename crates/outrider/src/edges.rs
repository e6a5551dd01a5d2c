//! What stands at the gateways: sources that listen or read a file, and responders that hold gateways to what is desired. They are the
//! same beside the platform and away from it; what differs is where the things go that they hand over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use outrider_collect::{
    Complete, Counters, CurrentTls, Delivery, KongFileLog, KongHttpLog, KongTcpLog, MicroBatch, PseudonymKey,
    SourceConfig,
};
use outrider_model::{ActionReport, ApiCall, DesiredState, GatewaySnapshot};
use outrider_platform::ingest::{AnsweredBatch, AnsweredIngest, Ingest, Reports};
use outrider_platform::log::LogError;
use outrider_platform::tls::{TlsServer, TlsSettings};
use outrider_respond::gateways::SystemClock;
use outrider_respond::gateways::kong::{
    AdminClient, ConfigurationStatus, ConfigurationWatch, Responder, ResponderStatus,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, GatewayConfig};
use crate::installation;
use crate::services::uplink::{NotTaken, Patience, Uplink};

/// Micro-batches that wait for the log: at 10 ms each some seconds of many connections.
const BATCHES_WAITING: usize = 4096;
/// Requests of senders who keep their lines that wait for the log, and stretches of files. The bodies of the former are limited, too,
/// and a file hands on one stretch at a time.
const DELIVERIES_WAITING: usize = 1024;
/// Below the data directory, where it is kept how far files are read.
const FILE_POSITIONS: &str = "file-positions";
/// Of these, how much is stored with one sync: so much, and the last one whole.
const DELIVERED_BYTES_TOGETHER: usize = 4 * 1024 * 1024;
/// How far back in the log it is looked for calls that may be sent again after a kill: those that came within the sender's
/// timeout and pause, ten seconds and some, at more than a thousand records a second.
const RECORDS_LOOKED_BACK: u64 = 16_384;
/// How long a source that reads a file may take to stop. It waits for the file's disk at most, and that of a network may never
/// answer.
const FILE_STOP: Duration = Duration::from_secs(10);
/// Reports of one responder that wait for the log.
const REPORTS_WAITING: usize = 1024;
/// Reports that are handed over together.
const REPORTS_TOGETHER: usize = 256;

/// Sources that have their ports and do not listen yet.
pub struct BoundSources {
    sources: Vec<BoundSource>,
    tls: Vec<Arc<TlsServer>>,
    waiting: mpsc::Receiver<MicroBatch>,
    deliveries: mpsc::Receiver<Delivery>,
}

enum BoundSource {
    Tcp(Box<KongTcpLog>),
    Http(Box<KongHttpLog>),
    File(Box<KongFileLog>),
}

/// Sources that run.
pub struct Sources {
    list: Vec<Source>,
    ingest: [JoinHandle<()>; 2],
    /// Each looks after a certificate.
    following: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

struct Source {
    name: String,
    /// Where it listens, if it does.
    address: Option<SocketAddr>,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

/// What is told of each source.
pub type SourceCounters = Vec<(String, Arc<Counters>)>;

impl BoundSources {
    /// Reads the certificates and takes the ports: a taken one is the commonest mistake. `complete` has the last word on every
    /// call.
    pub fn bind(config: &Config, complete: Option<&Complete>) -> anyhow::Result<BoundSources> {
        let (batches, waiting) = mpsc::channel(BATCHES_WAITING);
        let (delivered, deliveries) = mpsc::channel(DELIVERIES_WAITING);
        let (mut sources, mut certificates) = (Vec::new(), Vec::new());
        if !config.collector.sources.is_empty() {
            let key = PseudonymKey::load_or_create(&config.data_dir.join("pseudonym.key"))?;
            let clock: Arc<dyn outrider_collect::Clock> = Arc::new(outrider_collect::SystemClock);
            for source in &config.collector.sources {
                let (key, clock, complete) = (key.clone(), Arc::clone(&clock), complete.cloned());
                let certificate = load_certificate(source)?;
                let tls = certificate.as_ref().map(current_tls);
                certificates.extend(certificate);
                sources.push(match source {
                    SourceConfig::KongTcpLog(settings) => {
                        let source = KongTcpLog::bind(settings, key, clock, batches.clone(), complete, tls)?;
                        BoundSource::Tcp(Box::new(source))
                    }
                    SourceConfig::KongHttpLog(settings) => {
                        let source = KongHttpLog::bind(settings, key, clock, delivered.clone(), complete, tls)?;
                        BoundSource::Http(Box::new(source))
                    }
                    SourceConfig::KongFileLog(settings) => {
                        let positions = config.data_dir.join(FILE_POSITIONS);
                        let source = KongFileLog::open(settings, key, clock, delivered.clone(), complete, &positions)?;
                        BoundSource::File(Box::new(source))
                    }
                });
            }
        }
        Ok(BoundSources { sources, tls: certificates, waiting, deliveries })
    }

    /// The certificates, which can be read again.
    pub fn tls(&self) -> Vec<Arc<TlsServer>> {
        self.tls.clone()
    }

    /// Listens, and hands what comes to a log.
    pub fn start(self, ingest: Ingest, answered: AnsweredIngest) -> anyhow::Result<Sources> {
        self.remember(&answered).context("the end of the log cannot be read")?;
        let stop = CancellationToken::new();
        let start = |source: BoundSource| {
            let listening = |kind: &str, address: SocketAddr| (format!("{kind} {address}"), Some(address));
            let ((name, address), counters) = match &source {
                BoundSource::Tcp(source) => (listening("kong_tcp_log", source.local_addr()), source.counters()),
                BoundSource::Http(source) => (listening("kong_http_log", source.local_addr()), source.counters()),
                BoundSource::File(source) => ((source.name().to_owned(), None), source.counters()),
            };
            let task = match source {
                BoundSource::Tcp(source) => tokio::spawn((*source).run(stop.clone())),
                BoundSource::Http(source) => tokio::spawn((*source).run(stop.clone())),
                BoundSource::File(source) => tokio::spawn((*source).run(stop.clone())),
            };
            Source { name, address, counters, task }
        };
        let list = self.sources.into_iter().map(start).collect();
        let follow = |tls: Arc<TlsServer>| {
            let stop = stop.clone();
            tokio::spawn(async move { tls.follow_files(now_ms, stop).await })
        };
        let following = self.tls.into_iter().map(follow).collect();
        let ingest = [
            tokio::spawn(take_batches(ingest, self.waiting)),
            tokio::spawn(take_deliveries(answered, self.deliveries)),
        ];
        Ok(Sources { list, ingest, following, stop })
    }

    /// Tells sources what is stored already, whose senders send it again, or whose files have it still.
    fn remember(&self, answered: &AnsweredIngest) -> Result<(), LogError> {
        if self.sources.iter().all(|source| matches!(source, BoundSource::Tcp(_))) {
            return Ok(());
        }
        let see = |call: &ApiCall<'_>| {
            for source in &self.sources {
                match source {
                    BoundSource::Http(source) => source.remember(call),
                    BoundSource::File(source) => source.remember(call),
                    BoundSource::Tcp(_) => {}
                }
            }
        };
        tokio::task::block_in_place(|| answered.look_back(RECORDS_LOOKED_BACK, see))
    }
}

impl Sources {
    /// Where those listen that do, in the order of the configuration.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.list.iter().filter_map(|source| source.address).collect()
    }

    /// Their counters by name.
    pub fn counters(&self) -> SourceCounters {
        self.list.iter().map(|source| (source.name.clone(), Arc::clone(&source.counters))).collect()
    }

    /// Stops listening and waits until everything is handed over. Says `false` where that cannot be known, because a part
    /// has panicked, or hangs at a file.
    pub async fn stop(self) -> bool {
        self.stop.cancel();
        let mut all_well = true;
        for source in self.list {
            all_well &= source.ended().await;
        }
        for ingest in self.ingest {
            let ended = ingest.await;
            all_well &= ended.is_ok();
            report_panic("ingest", ended);
        }
        for following in self.following {
            report_panic("certificate", following.await);
        }
        all_well
    }
}

impl Source {
    /// Waits for its end after its token was cancelled; says whether that was a good one.
    async fn ended(mut self) -> bool {
        let ended = match self.address {
            Some(_) => self.task.await,
            None => match tokio::time::timeout(FILE_STOP, &mut self.task).await {
                Ok(ended) => ended,
                Err(_) => {
                    // Its sender goes with it, for which the ingest waits; what it has not stored stays in the file.
                    self.task.abort();
                    tracing::error!(
                        source = self.name,
                        "the source does not stop; its file or data_dir does not answer"
                    );
                    return false;
                }
            },
        };
        let is_well = ended.is_ok();
        report_panic(&self.name, ended);
        is_well
    }
}

/// Reads the certificate of a source that speaks TLS.
fn load_certificate(source: &SourceConfig) -> anyhow::Result<Option<Arc<TlsServer>>> {
    let Some(files) = source.tls() else { return Ok(None) };
    let settings = TlsSettings {
        certificate_file: files.certificate_file.clone(),
        key_file: files.key_file.clone(),
        client_ca_file: None,
    };
    let tls = TlsServer::load_without_tickets(settings).with_context(|| {
        format!(
            "the source {} cannot speak TLS; mend the files of its `tls` (`outrider ca issue` makes them)",
            source.name()
        )
    })?;
    Ok(Some(Arc::new(tls)))
}

fn current_tls(tls: &Arc<TlsServer>) -> CurrentTls {
    let tls = Arc::clone(tls);
    Arc::new(move || tls.current())
}

/// The counters for people.
pub fn sources_json(sources: &SourceCounters) -> Value {
    sources.iter().map(|(name, counters)| json!({"name": name, "counters": counters.snapshot()})).collect()
}

/// Hands micro-batches to the log until all sources have ended.
async fn take_batches(mut ingest: Ingest, mut waiting: mpsc::Receiver<MicroBatch>) {
    while let Some(batch) = waiting.recv().await {
        ingest.accept(batch.calls, batch.count, batch.last_received_ms);
    }
}

/// Stores what senders keep until they hear of it, as much as waits at once, until all sources have ended.
async fn take_deliveries(mut ingest: AnsweredIngest, mut waiting: mpsc::Receiver<Delivery>) {
    let mut is_failing = false;
    while let Some(first) = waiting.recv().await {
        let (mut batches, mut told, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        while let Some(delivery) = next {
            told.push(delivery.are_stored);
            for MicroBatch { calls, count, last_received_ms: at_ms, .. } in delivery.batches {
                bytes += calls.len();
                batches.push(AnsweredBatch { calls, count, at_ms });
            }
            next = if bytes < DELIVERED_BYTES_TOGETHER { waiting.try_recv().ok() } else { None };
        }
        let stored = ingest.store(batches).await;
        match &stored {
            Err(error) if !is_failing => tracing::error!(%error, "calls are not stored; their sender keeps them"),
            Ok(()) if is_failing => tracing::info!("the log takes calls again"),
            _ => {}
        }
        is_failing = stored.is_err();
        // Whoever does not wait any more needs no answer.
        for told in told {
            let _ = told.send(!is_failing);
        }
    }
}

/// What is made of a gateway's settings before anything runs.
pub struct PreparedGateway {
    name: String,
    responder: Responder,
    configuration: Option<ConfigurationWatch>,
}

/// A gateway that is held.
pub struct Gateway {
    name: String,
    status: watch::Receiver<ResponderStatus>,
    /// Where its configuration is read at all.
    configuration: Option<watch::Receiver<ConfigurationStatus>>,
    tasks: Vec<JoinHandle<()>>,
}

/// What is told of gateways.
#[derive(Clone)]
pub struct GatewayStatuses {
    pub responders: Vec<(String, watch::Receiver<ResponderStatus>)>,
    configurations: Vec<(String, watch::Receiver<ConfigurationStatus>)>,
}

/// Reads what is kept of each gateway on the disk; none need be there yet.
pub fn prepare_gateways(config: &Config, installation: &str) -> anyhow::Result<Vec<PreparedGateway>> {
    let prepare = |gateway: &GatewayConfig| {
        let settings = gateway.responder(installation, &config.data_dir);
        let name = || format!("gateway `{}`", gateway.name);
        Ok(PreparedGateway {
            name: gateway.name.clone(),
            responder: Responder::new(settings, Arc::new(SystemClock)).with_context(name)?,
            configuration: configuration_watch(gateway, installation).with_context(name)?,
        })
    };
    config.gateways.iter().map(prepare).collect()
}

fn configuration_watch(gateway: &GatewayConfig, installation: &str) -> anyhow::Result<Option<ConfigurationWatch>> {
    if gateway.configuration_seconds == 0 {
        return Ok(None);
    }
    let interval = Duration::from_secs(gateway.configuration_seconds);
    let admin = AdminClient::new(&gateway.admin())?;
    let (name, clock) = (gateway.name.clone(), Arc::new(SystemClock));
    Ok(Some(ConfigurationWatch::new(admin, name, installation.to_owned(), interval, clock)))
}

impl PreparedGateway {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Holds the gateway to what is desired, and hands upward what it sees.
    pub fn start(
        self,
        desired: watch::Receiver<Option<DesiredState>>,
        upward: &Upward,
        stop: &CancellationToken,
    ) -> Gateway {
        let status = self.responder.status();
        let (sender, reports) = mpsc::channel(REPORTS_WAITING);
        let mut tasks = vec![
            tokio::spawn(self.responder.run(desired, sender, stop.clone())),
            tokio::spawn(take_reports(upward.clone(), reports, stop.clone())),
        ];
        let configuration = self.configuration.map(|watching| {
            let status = watching.status();
            let (sender, snapshots) = mpsc::channel(1);
            tasks.push(tokio::spawn(watching.run(sender, stop.clone())));
            tasks.push(tokio::spawn(take_configurations(upward.clone(), snapshots, stop.clone())));
            status
        });
        Gateway { name: self.name, status, configuration, tasks }
    }
}

impl Gateway {
    /// Waits for the end after its token was cancelled.
    pub async fn ended(self) {
        for task in self.tasks {
            report_panic(&self.name, task.await);
        }
    }
}

impl GatewayStatuses {
    pub fn new(gateways: &[Gateway]) -> GatewayStatuses {
        let configured = |gateway: &Gateway| Some((gateway.name.clone(), gateway.configuration.clone()?));
        GatewayStatuses {
            responders: gateways.iter().map(|gateway| (gateway.name.clone(), gateway.status.clone())).collect(),
            configurations: gateways.iter().filter_map(configured).collect(),
        }
    }

    /// The responders for people.
    pub fn responders_json(&self) -> Value {
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
        responders.collect()
    }

    /// When each gateway's configuration was read.
    pub fn configurations_json(&self) -> Value {
        let configurations = self.configurations.iter().map(|(name, status)| {
            let status = status.borrow();
            json!({"gateway": name, "read_ms": status.read_ms, "failure": status.failure})
        });
        configurations.collect()
    }
}

/// Where what is seen at a gateway goes.
#[derive(Clone)]
pub enum Upward {
    /// Into the log of the platform in this process.
    Log(Reports),
    /// To a platform elsewhere.
    Platform(Arc<Uplink>),
}

impl Upward {
    async fn reports(&self, reports: &[ActionReport]) -> Result<(), NotTaken> {
        match self {
            Upward::Log(log) => log.store(now_ms(), reports).await.map_err(|error| NotTaken::Now(error.to_string())),
            Upward::Platform(uplink) => uplink.reports(reports).await,
        }
    }

    async fn configuration(&self, snapshot: &GatewaySnapshot) -> Result<(), NotTaken> {
        match self {
            Upward::Log(log) => {
                let stored = log.store_configuration(now_ms(), snapshot).await;
                stored.map_err(|error| NotTaken::Now(error.to_string()))
            }
            Upward::Platform(uplink) => uplink.configuration(snapshot).await,
        }
    }
}

/// Hands a responder's reports on until it has ended. Those that are not taken are tried again, and the next ones wait
/// meanwhile. After a restart the responder says all of them again.
async fn take_reports(upward: Upward, mut waiting: mpsc::Receiver<ActionReport>, stop: CancellationToken) {
    let mut reports = Vec::new();
    while waiting.recv_many(&mut reports, REPORTS_TOGETHER).await > 0 {
        until_taken("a responder's reports", &stop, || upward.reports(&reports)).await;
        reports.clear();
    }
}

/// Hands on what a gateway is configured to do. After a restart it is read again.
async fn take_configurations(upward: Upward, mut snapshots: mpsc::Receiver<GatewaySnapshot>, stop: CancellationToken) {
    while let Some(snapshot) = snapshots.recv().await {
        until_taken("a gateway's configuration", &stop, || upward.configuration(&snapshot)).await;
    }
}

/// Tries again until something is taken, or will never be; gives up when it is to stop.
async fn until_taken<F>(what: &'static str, stop: &CancellationToken, mut hand_over: impl FnMut() -> F)
where
    F: Future<Output = Result<(), NotTaken>>,
{
    let mut patience = Patience::new(what);
    loop {
        match stop.run_until_cancelled(hand_over()).await {
            None => return,
            Some(Ok(())) => return patience.succeeded(),
            Some(Err(NotTaken::Ever(why))) => return tracing::error!(why, "{what}: refused for good, so left out"),
            Some(Err(not_taken)) => {
                if !patience.failed(not_taken.why(), stop).await {
                    return;
                }
            }
        }
    }
}

/// A number for this start of the collector, never used before: random, because clocks go back. It is even: an
/// [`AnsweredIngest`] makes it odd.
pub fn epoch() -> anyhow::Result<u64> {
    Ok(u64::from_le_bytes(installation::random()?) & !1)
}

/// The wall clock.
pub fn now_ms() -> i64 {
    outrider_collect::Clock::now_ms(&outrider_collect::SystemClock)
}

/// Says that a task of ours panicked.
pub fn report_panic(what: &str, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, what, "a task ended badly");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_source_that_hangs_at_its_file_is_left_and_told_of() {
        let source = |task| Source { name: "a".to_owned(), address: None, counters: Arc::default(), task };
        let (sender, mut ingest) = mpsc::channel::<()>(1);
        let hangs = tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(sender);
        });
        assert!(!source(hangs).ended().await);
        assert_eq!(ingest.recv().await, None, "the ingest would wait for ever");
        assert!(source(tokio::spawn(async {})).ended().await);
    }
}
