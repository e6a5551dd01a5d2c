//! `outrider responder`: holds gateways to what a platform elsewhere desires, and goes on while that is away.
//!
//! It asks for news and waits for the answer; nobody connects to it. Whose plugins are ours it learns from the platform
//! once, and keeps.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use outrider_model::DesiredState;
use outrider_platform::api::StatusSource;
use outrider_platform::store::ServiceKind;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::heart::{Heart, first_heartbeat};
use super::uplink::{Patience, Uplink};
use crate::concerns::EdgeConcerns;
use crate::config::Config;
use crate::doors;
use crate::edges::{self, Gateway, GatewayStatuses, Upward, report_panic};
use crate::installation::{self, RunFile};
use crate::local;
use crate::manager;
use crate::telemetry::Traces;

/// An answer without news that comes sooner was not waited for, so the next question waits as long.
const NO_NEWS_SOON: Duration = Duration::from_secs(1);

/// A running responder.
pub struct ResponderService {
    config: Config,
    traces: Option<Traces>,
    /// `None` where neither another configuration nor the one before it could be begun with.
    running: Option<Running>,
}

/// What ends before another configuration is begun with.
struct Running {
    gateways: Vec<Gateway>,
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl ResponderService {
    /// Starts everything. The platform need not be there, except for the first start of a data directory.
    pub async fn start(config: Config, traces: Option<Traces>) -> anyhow::Result<ResponderService> {
        let running = Running::start(&config, traces.clone()).await?;
        Ok(ResponderService { config, traces, running: Some(running) })
    }

    /// Ends and begins anew with another configuration: what is at the gateways stays there meanwhile, as at a stop. Says which sections
    /// wait for a start of the process. After an error the configuration from before is begun with again.
    pub async fn reload(&mut self, config: Config) -> anyhow::Result<Vec<&'static str>> {
        let mut waiting = self.config.restart_needed(&config);
        waiting.retain(|section| matches!(*section, "data_dir" | "logging.format" | "tracing"));
        let mut next = config;
        next.data_dir.clone_from(&self.config.data_dir);
        next.tracing.clone_from(&self.config.tracing);
        // What is wrong with it is seen while the one before it still holds the gateways.
        edges::check_gateways(&next, &installation::known_id(&next.data_dir)?.unwrap_or_default())?;
        if let Some(running) = self.running.take() {
            running.stop(&self.config).await;
        }
        let started = Running::start(&next, self.traces.clone()).await;
        let Err(error) = started.map(|running| self.running = Some(running)) else {
            self.config = next;
            return Ok(waiting);
        };
        let again = Running::start(&self.config, self.traces.clone()).await;
        self.running = Some(again.context("the configuration from before cannot be begun with again")?);
        Err(error)
    }

    /// Ends when nothing runs any more.
    pub async fn failed(&mut self) {
        if self.running.is_some() {
            std::future::pending().await
        }
    }

    /// Stops. What is at the gateways stays there; the next run goes on from it.
    pub async fn stop(self) {
        if let Some(running) = self.running {
            running.stop(&self.config).await;
        }
        tracing::info!("the responder has stopped");
    }
}

impl Running {
    async fn start(config: &Config, traces: Option<Traces>) -> anyhow::Result<Running> {
        let data_dir = &config.data_dir;
        installation::prepare(data_dir)?;
        let uplink = config.platform.as_ref().context("platform.url is not set")?;
        let uplink = Arc::new(Uplink::new(uplink, data_dir)?);
        let metrics = doors::open_metrics(config).await?;
        let stop = CancellationToken::new();
        // A start that does not come to its end takes the socket away, too.
        let unfinished = stop.clone().drop_guard();
        let status = Arc::new(Status { uplink: Arc::clone(&uplink), traces, working: OnceLock::new() });
        // Before the first answer of the platform: mistakes are made at the first start.
        let mut tasks = Vec::from_iter(local::open(data_dir, Arc::clone(&status) as _, &stop));
        let serve = |listener| tokio::spawn(doors::serve_own(listener, Arc::clone(&status) as _, stop.clone()));
        tasks.extend(metrics.map(serve));
        let names: Vec<_> = config.gateways.iter().map(|gateway| gateway.name.clone()).collect();
        let id = match installation::known_id(data_dir)? {
            Some(id) => id,
            None => {
                let id = ask_installation(&uplink, &names).await;
                installation::keep_id(data_dir, &id)?;
                id
            }
        };
        let upward = Upward::Platform(Arc::clone(&uplink));
        let mut gateways = Vec::new();
        for gateway in edges::prepare_gateways(config, &id)? {
            let (sender, desired) = watch::channel(None);
            let following = follow(Arc::clone(&uplink), gateway.name().to_owned(), sender, stop.clone());
            tasks.push(tokio::spawn(following));
            gateways.push(gateway.start(desired, &upward, &stop));
        }
        let statuses = GatewayStatuses::new(&gateways);
        let edge = EdgeConcerns::new(Vec::new(), statuses.responders.clone());
        // Set here alone.
        let _ = status.working.set((id.clone(), statuses));
        let heart = Heart {
            uplink,
            kind: ServiceKind::Responder,
            gateways: names,
            installation: Some(id),
            status,
            concerns: vec![Arc::new(edge)],
        };
        tasks.push(tokio::spawn(heart.run(stop.clone())));
        let run = RunFile { pid: std::process::id(), api: None, premises: None, sources: Vec::new() };
        installation::write_run_file(data_dir, &run)?;
        tracing::info!(data_dir = %data_dir.display(), "the responder is ready");
        Ok(Running { gateways, tasks, stop: unfinished.disarm() })
    }

    async fn stop(self, config: &Config) {
        self.stop.cancel();
        for gateway in self.gateways {
            gateway.ended().await;
        }
        for task in self.tasks {
            report_panic("responder", task.await);
        }
        installation::remove_run_file(&config.data_dir);
    }
}

/// What is told of a running responder.
struct Status {
    uplink: Arc<Uplink>,
    traces: Option<Traces>,
    /// The installation and the gateways, as soon as it is known whose plugins are ours.
    working: OnceLock<(String, GatewayStatuses)>,
}

impl StatusSource for Status {
    fn status(&self) -> Value {
        let working = self.working.get();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "service": ServiceKind::Responder,
            "link": self.uplink.link().status(),
            "is_linked": self.uplink.link().status().connected_since_ms.is_some(),
            "installation": working.map(|(id, _)| id),
            "responders": working.map_or(json!([]), |(_, statuses)| statuses.responders_json()),
            "configurations": working.map_or(json!([]), |(_, statuses)| statuses.configurations_json()),
            "tracing": self.traces.as_ref().map(Traces::counters),
        })
    }
}

/// Asks until there is an answer: without knowing whose they are, no plugin may be touched.
async fn ask_installation(uplink: &Uplink, gateways: &[String]) -> String {
    let mut patience = Patience::new("the first heartbeat");
    // Until there is an answer nothing was begun, so whoever waits for it may as well drop it.
    let stop = CancellationToken::new();
    loop {
        match uplink.heartbeat(&first_heartbeat(ServiceKind::Responder, gateways.to_vec())).await {
            Ok(answer) => return answer.installation,
            Err(not_taken) => {
                manager::waiting("for the platform's first answer");
                patience.failed(not_taken.why(), &stop).await;
            }
        }
    }
}

/// Brings what the platform desires of a gateway to its responder.
async fn follow(
    uplink: Arc<Uplink>,
    gateway: String,
    sender: watch::Sender<Option<DesiredState>>,
    stop: CancellationToken,
) {
    let mut patience = Patience::new("the question for what is desired");
    let mut after = None;
    loop {
        let asked = Instant::now();
        match stop.run_until_cancelled(uplink.desired(&gateway, after)).await {
            None => return,
            Some(Ok(news)) => {
                patience.succeeded();
                if let Some(state) = news {
                    after = Some(state.version);
                    sender.send_replace(Some(state));
                } else if asked.elapsed() < NO_NEWS_SOON {
                    stop.run_until_cancelled(tokio::time::sleep(NO_NEWS_SOON)).await;
                }
            }
            Some(Err(not_taken)) => {
                if !patience.failed(not_taken.why(), &stop).await {
                    return;
                }
            }
        }
    }
}
