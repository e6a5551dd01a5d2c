//! What holds gateways to what is desired: the same beside the platform and away from it; what differs is where the things go that it
//! hands over.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use outrider_collect::PseudonymKey;
use outrider_model::{ActionReport, DesiredState, GatewaySnapshot};
use outrider_platform::ingest::Reports;
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

/// Reports of one responder that wait for the log.
const REPORTS_WAITING: usize = 1024;
/// Reports that are handed over together.
const REPORTS_TOGETHER: usize = 256;

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
            configuration: configuration_watch(config, gateway, installation).with_context(name)?,
        })
    };
    config.gateways.iter().map(prepare).collect()
}

/// Says what is wrong with gateways' settings and the files that they name, before anything ends for them.
pub fn check_gateways(config: &Config, installation: &str) -> anyhow::Result<()> {
    config.gateways.iter().try_for_each(|gateway| {
        let checked = AdminClient::new(&gateway.admin()).map_err(anyhow::Error::from);
        let checked = checked.and_then(|_| configuration_watch(config, gateway, installation));
        checked.map(drop).with_context(|| format!("gateway `{}`", gateway.name))
    })
}

fn configuration_watch(
    config: &Config,
    gateway: &GatewayConfig,
    installation: &str,
) -> anyhow::Result<Option<ConfigurationWatch>> {
    if gateway.configuration_seconds == 0 {
        return Ok(None);
    }
    let interval = Duration::from_secs(gateway.configuration_seconds);
    let admin = AdminClient::new(&gateway.admin())?;
    let (name, clock) = (gateway.name.clone(), Arc::new(SystemClock));
    let watching = ConfigurationWatch::new(admin, name, installation.to_owned(), interval, clock);
    if gateway.pseudonymise.is_empty() {
        return Ok(Some(watching));
    }
    let (key, identities) = (shared_key(config)?, gateway.pseudonymise.clone());
    Ok(Some(watching.hiding(Arc::new(move |configuration| identities.hide_configuration(&key, configuration)))))
}

/// The key with which the collector of the same calls makes pseudonyms. Only where the collector is in this process it may be made
/// here; another one would make other pseudonyms.
fn shared_key(config: &Config) -> anyhow::Result<PseudonymKey> {
    let path = config.data_dir.join("pseudonym.key");
    let is_there = path.try_exists().with_context(|| format!("cannot look for {}", path.display()))?;
    anyhow::ensure!(
        is_there || !config.collector.sources.is_empty(),
        "`pseudonymise` needs the key of the collector: copy its pseudonym.key to {}, with mode 0600",
        path.display()
    );
    Ok(PseudonymKey::load_or_create(&path)?)
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
/// [`outrider_platform::ingest::AnsweredIngest`] makes it odd.
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
