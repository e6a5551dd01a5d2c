//! `outrider responder`: holds gateways to what a platform elsewhere desires, and goes on while that is away.
//!
//! It asks for news and waits for the answer; nobody connects to it. Whose plugins are ours it learns from the platform
//! once, and keeps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use outrider_model::DesiredState;
use outrider_platform::store::ServiceKind;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::heart::{Heart, first_heartbeat};
use super::uplink::{NotTaken, Patience, Uplink};
use crate::concerns::EdgeConcerns;
use crate::config::Config;
use crate::edges::{self, Gateway, GatewayStatuses, Upward, report_panic};
use crate::installation::{self, RunFile};
use crate::manager;
use crate::telemetry::Traces;

/// An answer without news that comes sooner was not waited for, so the next question waits as long.
const NO_NEWS_SOON: Duration = Duration::from_secs(1);

/// A running responder.
pub struct ResponderService {
    config: Config,
    gateways: Vec<Gateway>,
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl ResponderService {
    /// Starts everything. The platform need not be there, except for the first start of a data directory.
    pub async fn start(config: Config, traces: Option<Traces>) -> anyhow::Result<ResponderService> {
        let data_dir = &config.data_dir;
        installation::prepare(data_dir)?;
        let uplink = config.platform.as_ref().context("platform.url is not set")?;
        let uplink = Arc::new(Uplink::new(uplink, data_dir)?);
        let names: Vec<_> = config.gateways.iter().map(|gateway| gateway.name.clone()).collect();
        let id = match installation::known_id(data_dir)? {
            Some(id) => id,
            None => {
                let id = ask_installation(&uplink, &names).await;
                installation::keep_id(data_dir, &id)?;
                id
            }
        };
        let stop = CancellationToken::new();
        let upward = Upward::Platform(Arc::clone(&uplink));
        let (mut gateways, mut tasks) = (Vec::new(), Vec::new());
        for gateway in edges::prepare_gateways(&config, &id)? {
            let (sender, desired) = watch::channel(None);
            let following = follow(Arc::clone(&uplink), gateway.name().to_owned(), sender, stop.clone());
            tasks.push(tokio::spawn(following));
            gateways.push(gateway.start(desired, &upward, &stop));
        }
        let statuses = GatewayStatuses::new(&gateways);
        let edge = EdgeConcerns::new(Vec::new(), statuses.responders.clone());
        let heart = Heart {
            uplink,
            kind: ServiceKind::Responder,
            gateways: names,
            installation: Some(id),
            status: Box::new(move || {
                json!({
                    "responders": statuses.responders_json(),
                    "configurations": statuses.configurations_json(),
                    "tracing": traces.as_ref().map(Traces::counters),
                })
            }),
            concerns: vec![Box::new(edge)],
        };
        tasks.push(tokio::spawn(heart.run(stop.clone())));
        let run = RunFile { pid: std::process::id(), api: None, premises: None, sources: Vec::new() };
        installation::write_run_file(data_dir, &run)?;
        tracing::info!(data_dir = %data_dir.display(), "the responder is ready");
        Ok(ResponderService { config, gateways, tasks, stop })
    }

    /// Stops. What is at the gateways stays there; the next run goes on from it.
    pub async fn stop(self) {
        self.stop.cancel();
        for gateway in self.gateways {
            gateway.ended().await;
        }
        for task in self.tasks {
            report_panic("responder", task.await);
        }
        installation::remove_run_file(&self.config.data_dir);
        tracing::info!("the responder has stopped");
    }
}

/// Asks until there is an answer: without knowing whose they are, no plugin may be touched.
async fn ask_installation(uplink: &Uplink, gateways: &[String]) -> String {
    let mut patience = Patience::new("the first heartbeat");
    // Until there is an answer nothing was begun, so a signal may end the process as it is.
    let stop = CancellationToken::new();
    loop {
        match uplink.heartbeat(&first_heartbeat(ServiceKind::Responder, gateways.to_vec())).await {
            Ok(answer) => return answer.installation,
            Err(NotTaken::Now(why) | NotTaken::Ever(why)) => {
                manager::waiting("for the platform's first answer");
                patience.failed(&why, &stop).await;
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
            Some(Err(NotTaken::Now(why) | NotTaken::Ever(why))) => {
                if !patience.failed(&why, &stop).await {
                    return;
                }
            }
        }
    }
}
