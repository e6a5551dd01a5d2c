//! All of outrider in one process: sources, platform, responders and API, wired and drained in order. Without sources and
//! gateways of its own it is the platform alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use outrider_collect::NewSettings;
use outrider_platform::enrich::Enricher;
use outrider_platform::notify::Destination;
use outrider_platform::passwords::Passwords;
use outrider_platform::premises::Premises;
use outrider_platform::service::{Platform, PlatformSettings, PlatformStatus};
use outrider_platform::store::{NewPerson, NewToken, Role};
use outrider_platform::tls::TlsServer;
use outrider_platform::watcher::ConcernSource;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::concerns::EdgeConcerns;
use crate::config::{Config, NotifyConfig};
use crate::directory::{self, AddressBook};
use crate::doors::{Doors, certificates_json};
use crate::edges::{self, Gateway, GatewayStatuses, Upward};
use crate::installation::{self, RunFile};
use crate::local;
use crate::sources::{BoundSources, SourceCounters, Sources, sources_json};
use crate::telemetry::{Traces, follow_actions};

pub use crate::edges::now_ms;

/// A running outrider.
pub struct Outrider {
    config: Config,
    platform: Platform,
    sources: Sources,
    gateways: Vec<Gateway>,
    api: SocketAddr,
    servers: Vec<JoinHandle<std::io::Result<()>>>,
    local_task: Option<JoinHandle<()>>,
    /// Tells traces of what is stored, up to the very end.
    following: Option<(CancellationToken, JoinHandle<()>)>,
    tls: Vec<Arc<TlsServer>>,
    premises: Option<Premises>,
    enricher: Arc<Enricher>,
    following_files: JoinHandle<()>,
    keeping_addresses: JoinHandle<()>,
    stop_edges: CancellationToken,
}

impl Outrider {
    /// Opens and starts everything. What is likely to fail comes first, before anything runs.
    pub async fn start(config: Config, traces: Option<Traces>) -> anyhow::Result<Outrider> {
        let data_dir = &config.data_dir;
        installation::prepare(data_dir)?;
        let installation_id = installation::id(data_dir)?;
        let enricher = Arc::new(Enricher::open(config.enrichment(), now_ms())?);
        let book = AddressBook::open(&config)?;
        let complete = directory::complete(Some(Arc::clone(&enricher)), Arc::clone(&book));
        let bound = BoundSources::bind(&config, &complete)?;
        let mut tls = bound.tls();
        let prepared = edges::prepare_gateways(&config, &installation_id)?;
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let doors = Doors::open(&config).await?;
        tls.extend(doors.tls());

        let mut platform = Platform::start(platform_settings(&config, &installation_id)?, now_ms).await?;
        let setup_file = data_dir.join("setup-token");
        if platform.store().prepare_setup(&setup_file).await? {
            tracing::info!(file = %setup_file.display(), "there is no admin yet; this token makes the first one");
        }
        let stop_edges = CancellationToken::new();
        let following = traces.clone().map(|traces| {
            let (feed, stop) = (platform.store().feed().clone(), CancellationToken::new());
            (stop.clone(), tokio::spawn(follow_actions(feed, installation_id.clone(), traces, now_ms, stop)))
        });
        let answered = platform.answered_ingest(edges::epoch()?);
        let sources = bound.start(platform.ingest(edges::epoch()?), answered)?;
        let upward = Upward::Log(platform.reports());
        let mut gateways = Vec::new();
        for gateway in prepared {
            let name = gateway.name();
            let desired =
                platform.desired(name).with_context(|| format!("gateway `{name}` is not known to the platform"))?;
            gateways.push(gateway.start(desired, &upward, &stop_edges));
        }
        let statuses = GatewayStatuses::new(&gateways);
        let premises = config
            .premises
            .as_ref()
            .map(|premises| platform.premises(&premises.gateways).enriching(Arc::clone(&enricher)));
        let edge = EdgeConcerns::new(sources.counters(), statuses.responders.clone());
        let mut concerns: Vec<Arc<dyn ConcernSource>> = vec![Arc::new(edge)];
        concerns.extend(premises.clone().map(|premises| Arc::new(premises) as Arc<dyn ConcernSource>));
        concerns.extend(tls.iter().map(|tls| Arc::clone(tls) as Arc<dyn ConcernSource>));
        platform.watch(concerns, now_ms);
        platform.hunt();
        let status = Arc::new(Status {
            platform: platform.status(),
            sources: sources.counters(),
            gateways: statuses,
            premises: premises.clone(),
            tls: tls.clone(),
            enricher: Arc::clone(&enricher),
            traces,
            installation: installation_id,
        });
        let state = outrider_platform::api::ApiState::new(
            platform.store().clone(),
            Arc::new(platform.commands()),
            Arc::clone(&status) as _,
        )
        .with_access(doors.access(&config, setup_file))
        .with_queries(platform.queries())
        .with_console(crate::console::FILES);
        let api = doors.api_address;
        let run = RunFile {
            pid: std::process::id(),
            api: Some(api.to_string()),
            premises: doors.premises_address.map(|address| address.to_string()),
            sources: sources.addresses().iter().map(ToString::to_string).collect(),
        };
        let following_files = tokio::spawn(Arc::clone(&enricher).follow(now_ms, stop_edges.clone()));
        let keeping_addresses = tokio::spawn(book.follow(stop_edges.clone()));
        let local_task = local::open(data_dir, status, &stop_edges);
        let servers = doors.serve(state, premises.clone(), &stop_edges);
        installation::write_run_file(data_dir, &run)?;
        tracing::info!(%api, data_dir = %data_dir.display(), "outrider is ready");
        Ok(Outrider {
            config,
            platform,
            sources,
            gateways,
            api,
            servers,
            local_task,
            following,
            tls,
            premises,
            enricher,
            following_files,
            keeping_addresses,
            stop_edges,
        })
    }

    /// Where the API listens.
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// A token of an admin, for who started this outrider.
    pub async fn admin_token(&self, name: &str) -> anyhow::Result<NewToken> {
        Ok(self.platform.store().create_token(name, Role::Admin, "outrider", now_ms()).await?)
    }

    /// Whether somebody has this name.
    pub async fn has_person(&self, name: &str) -> anyhow::Result<bool> {
        Ok(self.platform.store().person(name).await?.is_some())
    }

    /// Adds an admin who signs in with a password, for who started this outrider.
    pub async fn add_admin(&self, name: &str, password: String) -> anyhow::Result<()> {
        let hash = Passwords::default().hash(password.into()).await?;
        let person = NewPerson { name: name.to_owned(), display_name: String::new(), role: Role::Admin };
        Ok(self.platform.store().create_person(&person, &hash, "outrider", now_ms()).await?)
    }

    /// Where those sources listen that do, in the order of the configuration.
    pub fn source_addresses(&self) -> Vec<SocketAddr> {
        self.sources.addresses()
    }

    /// Puts another configuration in force as far as that goes without a start, and says which sections wait for one. After
    /// an error what was in force stays. Certificates, the services' identities and the files of enrichment are looked at, too.
    pub async fn reload(&mut self, config: Config) -> anyhow::Result<Vec<&'static str>> {
        let notify = destinations(&config)?;
        let mut collector = self.config.collector.clone();
        collector.take_over(&config.collector);
        let sources = self.sources.prepare(&collector)?;
        // What the store says of identities holds, whatever comes of the configuration.
        if let Some(premises) = &self.premises {
            premises.look_at_identities().await?;
        }
        self.platform.reconfigure(config.analysis(), notify, now_ms()).await?;
        // From here on what fails says so by itself: a certificate that cannot be used leaves the one before it in force, and what
        // calls are enriched with was checked when it was read.
        sources.into_iter().for_each(NewSettings::put_in_force);
        for tls in &self.tls {
            tls.reload();
        }
        let (enricher, settings) = (Arc::clone(&self.enricher), config.enrichment());
        let enriched = tokio::task::spawn_blocking(move || enricher.reconfigure(settings, now_ms())).await;
        if let Err(error) = enriched.map_err(anyhow::Error::from).and_then(|done| Ok(done?)) {
            // Everything else is in force by then.
            let error = format!("{error:#}");
            tracing::error!(error, "what calls are enriched with stays as it was");
        }
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
    pub async fn stop(mut self) {
        if !self.sources.stop().await {
            self.platform.lost_track();
        }
        self.stop_edges.cancel();
        for gateway in self.gateways {
            gateway.ended().await;
        }
        for task in self.servers {
            match task.await {
                Ok(Err(error)) => tracing::error!(%error, "a server ended badly"),
                ended => edges::report_panic("server", ended.map(drop)),
            }
        }
        edges::report_panic("files of enrichment", self.following_files.await);
        edges::report_panic("addresses behind pseudonyms", self.keeping_addresses.await);
        if let Some(task) = self.local_task {
            edges::report_panic("local socket", task.await);
        }
        self.platform.stop().await;
        if let Some((stop, task)) = self.following {
            stop.cancel();
            edges::report_panic("traces", task.await);
        }
        installation::remove_run_file(&self.config.data_dir);
        tracing::info!("outrider has stopped");
    }
}

fn platform_settings(config: &Config, installation: &str) -> anyhow::Result<PlatformSettings> {
    Ok(PlatformSettings {
        data_dir: config.data_dir.clone(),
        installation: installation.to_owned(),
        gateways: config.gateway_names(),
        analysis: config.analysis(),
        log: config.log.clone(),
        lake_location: config.lake.location(&config.data_dir, installation)?,
        lake: config.lake.settings(),
        snapshot_interval: Duration::from_secs(config.snapshots.interval_seconds),
        notify: destinations(config)?,
    })
}

fn destinations(config: &Config) -> anyhow::Result<Vec<Destination>> {
    config.notify.iter().map(NotifyConfig::destination).collect()
}

/// What the status page shows.
struct Status {
    platform: PlatformStatus,
    sources: SourceCounters,
    gateways: GatewayStatuses,
    premises: Option<Premises>,
    tls: Vec<Arc<TlsServer>>,
    enricher: Arc<Enricher>,
    traces: Option<Traces>,
    installation: String,
}

impl outrider_platform::api::StatusSource for Status {
    fn status(&self) -> serde_json::Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "installation": self.installation,
            "sources": sources_json(&self.sources),
            "platform": self.platform.to_json(),
            "responders": self.gateways.responders_json(),
            "configurations": self.gateways.configurations_json(),
            "services": self.premises.as_ref().map(Premises::services),
            "premises": self.premises.as_ref().map(Premises::requests),
            "certificates": certificates_json(&self.tls),
            "enrichment": self.enricher.to_json(),
            "tracing": self.traces.as_ref().map(Traces::counters),
        })
    }
}
