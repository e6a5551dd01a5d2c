//! The `outrider` binary: configuration, wiring, start, drain, subcommands.

mod apis;
mod ask;
mod audit;
mod backup;
mod ca;
mod classify;
mod cli;
mod collector_test;
mod concerns;
mod config;
mod console;
mod demo;
mod directory;
mod doctor;
mod doors;
mod edges;
mod erase;
mod health;
mod history;
mod hunts;
mod input;
mod installation;
mod keys;
mod kong;
mod lake_check;
mod local;
mod manager;
mod measure;
mod notify;
#[cfg(test)]
mod packaging;
#[cfg(test)]
mod pages;
mod people;
mod posture;
mod premises;
mod replay;
mod service;
mod services;
mod sources;
mod telemetry;
mod terminal;
mod tokens;

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use outrider_collect::{Normaliser, NormaliserSettings, PseudonymKey, SourceConfig};
use outrider_platform::analysis::AnalysisSettings;
use outrider_platform::enrich::{EnrichSettings, Enricher};
use tokio::signal::unix::{Signal as UnixSignal, SignalKind, signal};

use crate::cli::{
    Cli, CollectorArguments, CollectorCommand, Command, DirectoryCommand, KongCommand, OpenapiArguments,
    ReplayArguments, ResponderArguments, ResponderCommand, RunArguments, SettingsArguments,
};
use crate::config::{Config, Role};
use crate::service::Outrider;
use crate::services::collector::Collector;
use crate::services::function::Function;
use crate::services::responder::ResponderService;
use crate::telemetry::Telemetry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Run(arguments) => run(&arguments, Role::Run),
        Command::Platform(arguments) => run(&arguments, Role::Platform),
        Command::Collector(CollectorArguments { run, command }) => match command {
            None => collector(&run),
            Some(CollectorCommand::Test(arguments)) => return exit(collector_test::test(&arguments)),
        },
        Command::Function(arguments) => function(&arguments),
        Command::Responder(ResponderArguments { run, command }) => match command {
            None => responder(&run),
            Some(ResponderCommand::ReleaseAll { config, dry_run }) => {
                on_runtime(premises::release_all(config.config, dry_run))
            }
            Some(ResponderCommand::Resume { config }) => on_runtime(premises::resume(&config.config)),
        },
        Command::Ca(command) => ca::run(command),
        Command::Service(command) => on_runtime(services::identities::run(command)),
        Command::Replay(arguments) => match &arguments.into {
            Some(into) => on_runtime(history::import(&arguments, into)),
            None => replay(&arguments),
        },
        Command::Demo(arguments) => on_runtime(demo::demo(arguments)),
        Command::CheckConfig(argument) => check_config(&argument.config),
        Command::Settings(arguments) => settings(&arguments),
        Command::Doctor(arguments) => return exit(on_runtime(doctor::doctor(arguments))),
        Command::Health(argument) => on_runtime(health::health(argument)),
        Command::Backup(arguments) => on_runtime(backup::backup(arguments)),
        Command::Restore(arguments) => on_runtime(backup::restore(arguments)),
        Command::Notify(command) => on_runtime(notify::run(command)),
        Command::Token(command) => on_runtime(tokens::run(command)),
        Command::Audit(command) => on_runtime(audit::run(command)),
        Command::Query(arguments) => on_runtime(ask::query(arguments)),
        Command::Timeline(arguments) => on_runtime(ask::timeline(arguments)),
        Command::Lake(command) => return exit(on_runtime(lake_check::run(command))),
        Command::Hunt(command) => on_runtime(hunts::run(command)),
        Command::Erase(arguments) => return exit(on_runtime(erase::erase(arguments))),
        Command::Person(command) => on_runtime(people::run(command)),
        Command::Kong(KongCommand::Setup(arguments)) => return exit(on_runtime(kong::setup(arguments))),
        Command::Endpoints(arguments) => on_runtime(apis::endpoints(arguments)),
        Command::Posture(arguments) => on_runtime(posture::posture(arguments)),
        Command::Openapi(OpenapiArguments { command: None }) => openapi(),
        Command::Openapi(OpenapiArguments { command: Some(command) }) => {
            return exit(on_runtime(apis::openapi(command)));
        }
        Command::Classify(arguments) => return exit(classify::classify(&arguments)),
        Command::Pseudonym(argument) => premises::pseudonym(&argument.config),
        Command::Directory(DirectoryCommand::Lookup { config, pseudonyms }) => {
            return exit(on_runtime(directory::lookup(config.config, pseudonyms)));
        }
        Command::Key(command) => on_runtime(keys::run(command)),
    };
    exit(result.map(|()| ExitCode::SUCCESS))
}

fn exit(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        terminal::error(&error);
        if error.is::<NotConfigured>() { ExitCode::from(NOT_CONFIGURED) } else { ExitCode::FAILURE }
    })
}

/// The exit status of a service whose configuration is not valid: trying again does not help until somebody mends it.
const NOT_CONFIGURED: u8 = 2;
/// How long threads may still be busy when everything else is over.
const THREADS_TIME_MAX: Duration = Duration::from_secs(5);

/// Marks the error of such a configuration.
#[derive(Debug)]
struct NotConfigured;

impl std::fmt::Display for NotConfigured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the configuration cannot be used")
    }
}

fn run(arguments: &RunArguments, role: Role) -> anyhow::Result<()> {
    let (config, mut telemetry) = begin(arguments, role)?;
    let path = &arguments.config.config;
    on_runtime(async {
        let mut signals = Signals::listen()?;
        telemetry.start(&config, role)?;
        let mut outrider = Outrider::start(config, telemetry.traces()).await?;
        let ended = signals.serve(&mut outrider, path, role, &telemetry).await;
        manager::stopping();
        outrider.stop().await;
        telemetry.stop().await;
        ended
    })
}

fn collector(arguments: &RunArguments) -> anyhow::Result<()> {
    let (config, mut telemetry) = begin(arguments, Role::Collector)?;
    on_runtime(async {
        let mut signals = Signals::listen()?;
        telemetry.start(&config, Role::Collector)?;
        let mut collector = Collector::start(config, telemetry.traces()).await?;
        let ended = signals.serve(&mut collector, &arguments.config.config, Role::Collector, &telemetry).await;
        manager::stopping();
        collector.stop().await;
        telemetry.stop().await;
        ended
    })
}

fn function(arguments: &RunArguments) -> anyhow::Result<()> {
    let (config, _telemetry) = begin(arguments, Role::Function)?;
    on_runtime(async {
        let mut signals = Signals::listen()?;
        let mut function = Function::start(&config).await?;
        let ended = signals.until_stopped(function.failed()).await;
        function.stop().await;
        ended
    })
}

fn responder(arguments: &RunArguments) -> anyhow::Result<()> {
    let (config, mut telemetry) = begin(arguments, Role::Responder)?;
    on_runtime(async {
        let mut signals = Signals::listen()?;
        telemetry.start(&config, Role::Responder)?;
        // The first start of a data directory waits for the platform, so it may have to end before it is through.
        let mut responder = tokio::select! {
            started = ResponderService::start(config, telemetry.traces()) => started?,
            ended = signals.until_stopped(std::future::pending()) => {
                telemetry.stop().await;
                return ended;
            }
        };
        let ended = signals.serve(&mut responder, &arguments.config.config, Role::Responder, &telemetry).await;
        manager::stopping();
        responder.stop().await;
        telemetry.stop().await;
        ended
    })
}

fn begin(arguments: &RunArguments, role: Role) -> anyhow::Result<(Config, Telemetry)> {
    let config = Config::load_for(&arguments.config.config, role).context(NotConfigured)?;
    let telemetry = Telemetry::begin(&config, arguments.log_json)?;
    Ok((config, telemetry))
}

/// What serves until it is told to stop, and takes another configuration meanwhile.
trait Service {
    /// Ends when a part has failed in a way that going on could not mend.
    async fn failed(&mut self);

    /// Puts another configuration in force as far as that goes without a start, and says which sections wait for one. After an error
    /// what was in force stays.
    async fn reload(&mut self, config: Config) -> anyhow::Result<Vec<&'static str>>;
}

impl Service for Outrider {
    async fn failed(&mut self) {
        Outrider::failed(self).await;
    }

    async fn reload(&mut self, config: Config) -> anyhow::Result<Vec<&'static str>> {
        Outrider::reload(self, config).await
    }
}

impl Service for Collector {
    async fn failed(&mut self) {
        Collector::failed(self).await;
    }

    async fn reload(&mut self, config: Config) -> anyhow::Result<Vec<&'static str>> {
        Collector::reload(self, config)
    }
}

impl Service for ResponderService {
    async fn failed(&mut self) {
        ResponderService::failed(self).await;
    }

    async fn reload(&mut self, config: Config) -> anyhow::Result<Vec<&'static str>> {
        ResponderService::reload(self, config).await
    }
}

/// Reads the configuration again. One that cannot be used changes nothing.
async fn reload(service: &mut impl Service, path: &Path, role: Role, telemetry: &Telemetry) {
    let reloaded = match Config::load_for(path, role) {
        Ok(config) => {
            let logging = config.logging.clone();
            let reloaded = service.reload(config).await;
            // Everything else is in force by then, so this has a word of its own.
            if reloaded.is_ok()
                && let Err(error) = telemetry.reload(&logging)
            {
                let error = format!("{error:#}");
                tracing::error!(error, "the level of the log stays as it was");
            }
            reloaded
        }
        Err(error) => Err(error),
    };
    match reloaded {
        Ok(waiting) if waiting.is_empty() => tracing::info!("the configuration was reloaded"),
        Ok(waiting) => tracing::warn!(
            sections = waiting.join(", "),
            "the configuration was reloaded; what changed in these sections is in force after a restart"
        ),
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(error, "the configuration was not reloaded; what was in force stays");
        }
    }
}

/// What the operator or the service manager asks for.
enum Signal {
    Stop,
    Reload,
}

/// Signals that are listened to from the first moment, so that none ends the process in the middle of a start.
struct Signals {
    terminate: UnixSignal,
    interrupt: UnixSignal,
    hang_up: UnixSignal,
}

impl Signals {
    fn listen() -> anyhow::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
            hang_up: signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?,
        })
    }

    /// Waits for a signal, or for a part to fail for good.
    async fn unless(&mut self, failed: impl Future<Output = ()>) -> anyhow::Result<Signal> {
        let stopping = |signal| {
            tracing::info!(signal, "stopping");
            Ok(Signal::Stop)
        };
        tokio::select! {
            () = failed => anyhow::bail!("a part of outrider could not go on; the log above says which and why"),
            _ = self.terminate.recv() => stopping("SIGTERM"),
            _ = self.interrupt.recv() => stopping("SIGINT"),
            _ = self.hang_up.recv() => Ok(Signal::Reload),
        }
    }

    /// Tells the service manager that the service is ready, and keeps it until it is told to stop or has failed for good.
    async fn serve(
        &mut self,
        service: &mut impl Service,
        path: &Path,
        role: Role,
        telemetry: &Telemetry,
    ) -> anyhow::Result<()> {
        manager::ready();
        loop {
            match self.unless(service.failed()).await? {
                Signal::Stop => return Ok(()),
                Signal::Reload => {
                    manager::reloading();
                    reload(service, path, role, telemetry).await;
                    manager::ready();
                }
            }
        }
    }

    /// As [`Signals::unless`], for what reads its configuration at the start alone, and for a start that waits.
    async fn until_stopped(&mut self, failed: impl Future<Output = ()>) -> anyhow::Result<()> {
        let mut failed = std::pin::pin!(failed);
        loop {
            match self.unless(failed.as_mut()).await? {
                Signal::Stop => return Ok(()),
                Signal::Reload => {
                    tracing::warn!(
                        "the configuration is not read again: a function, and a responder that waits to begin, read it once"
                    )
                }
            }
        }
    }
}

fn replay(arguments: &ReplayArguments) -> anyhow::Result<()> {
    let out = arguments.out.as_deref().context("say with --out where the results go")?;
    let gateway = arguments.gateway.as_deref();
    let (settings, normaliser, enricher) = match &arguments.config {
        Some(path) => {
            let config = Config::load(path)?;
            let lines = match config.collector.sources.is_empty() {
                true => NormaliserSettings {
                    pseudonymise: config.pseudonymise.clone(),
                    ..NormaliserSettings::new(gateway.unwrap_or(GATEWAY))
                },
                false => lines_of(&config, gateway).with_context(|| path.display().to_string())?,
            };
            let key = PseudonymKey::load_or_create(&prepared_key_path(&config)?)?;
            // Nothing is brought about, so it does not matter who could.
            let settings = AnalysisSettings { gateways: None, ..config.analysis() };
            let enricher = Enricher::open(config.enrichment(), service::now_ms())?;
            (settings, Normaliser::new(lines, key)?, enricher)
        }
        None => {
            terminal::note("no --config: pseudonyms are made with a public key; do not hand the results to others");
            let key = PseudonymKey::from_bytes(b"outrider replay without a config");
            let normaliser = Normaliser::new(NormaliserSettings::new(gateway.unwrap_or(GATEWAY)), key)?;
            (AnalysisSettings::default(), normaliser, Enricher::open(EnrichSettings::default(), service::now_ms())?)
        }
    };
    let summary = replay::replay(replay::Replay {
        files: &arguments.files,
        out,
        settings,
        normaliser,
        enricher,
        show_progress: std::io::stderr().is_terminal(),
    })?;
    terminal::note(&format!(
        "{} calls of {} lines in {:.1} s ({:.0}/s): {} findings, {} alerts, {} endpoints; results in {}",
        summary.calls,
        summary.lines,
        summary.wall_seconds,
        summary.events_per_second,
        summary.findings,
        summary.alerts,
        summary.endpoints,
        out.display()
    ));
    let rejected: u64 = summary.rejected.values().sum();
    if rejected > 0 {
        let reasons: Vec<_> = summary.rejected.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        terminal::note(&format!("{rejected} lines were no calls: {}", reasons.join(", ")));
    }
    Ok(())
}

/// The installation's key serves replay too, so that pseudonyms join.
fn prepared_key_path(config: &Config) -> anyhow::Result<std::path::PathBuf> {
    installation::prepare_beside(&config.data_dir)?;
    Ok(config.data_dir.join("pseudonym.key"))
}

/// The gateway that wrote the lines where nothing says which.
const GATEWAY: &str = "kong";

/// How the configured source of a gateway reads lines; of the only gateway where none is named. To read them otherwise could
/// leave a key in clear that the source knows to be one. A file that a person replays is trusted (decision 4), so the source's
/// secret is not asked for.
fn lines_of(config: &Config, gateway: Option<&str>) -> anyhow::Result<NormaliserSettings> {
    let sources = &config.collector.sources;
    let gateways: BTreeSet<_> = sources.iter().map(SourceConfig::gateway).collect();
    let names = terminal::some_of(gateways.iter().map(|name| format!("`{name}`")));
    let named = gateway.or_else(|| gateways.first().copied().filter(|_| gateways.len() == 1));
    let gateway = named.with_context(|| match gateways.is_empty() {
        true => "the configuration has no [[collector.sources]], which says where keys are in the lines; add the collector's \
                 to a copy of it"
            .to_owned(),
        false => format!("the configuration has sources of several gateways; name that of the lines with --gateway: {names}"),
    })?;
    let of_gateway: Vec<_> = sources.iter().filter(|source| source.gateway() == gateway).collect();
    let source = of_gateway.first().with_context(|| {
        format!("the configuration has no source of a gateway `{gateway}`, which says where keys are in its lines; it has {names}")
    })?;
    let how = |lines: NormaliserSettings| {
        let NormaliserSettings {
            key_names, session, fields, drop, field_policies, pseudonymise, trusted_proxies, ..
        } = lines;
        (key_names, session, fields, drop, field_policies, pseudonymise, trusted_proxies)
    };
    let secret_fields: BTreeSet<_> = of_gateway.iter().filter_map(|source| source.secret_field()).collect();
    anyhow::ensure!(
        of_gateway.iter().all(|other| how(other.line_settings()) == how(source.line_settings()))
            && secret_fields.len() <= 1,
        "sources of `{gateway}` differ in key_names, session, fields, drop, field_policies, pseudonymise, trusted_proxies or \
         secret_field; leave only that of the lines in a copy of the configuration"
    );
    let mut lines = source.line_settings();
    if let Some(field) = secret_fields.first() {
        lines.secret_field = (*field).to_owned();
    }
    Ok(lines)
}

fn check_config(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let roles = config.roles().with_context(|| format!("{} is for no service", path.display()))?;
    let roles: Vec<_> = roles.iter().map(|role| format!("`{role}`")).collect();
    terminal::note(&format!(
        "{} is valid for {}; sources: {}, gateways: {}, policies: {}, data in {}",
        path.display(),
        roles.join(" and "),
        config.collector.sources.len(),
        config.gateway_names().len(),
        config.policies.len(),
        config.data_dir.display()
    ));
    for warning in config.warnings() {
        terminal::note(&format!("warning: {warning}"));
    }
    Ok(())
}

fn settings(arguments: &SettingsArguments) -> anyhow::Result<()> {
    terminal::out(&match arguments.json_schema {
        true => format!("{:#}\n", config::reference::schema()),
        false => config::reference::page(),
    })
}

fn openapi() -> anyhow::Result<()> {
    terminal::out(&format!("{}\n", outrider_platform::api::openapi()))
}

fn on_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let result = runtime.block_on(work);
    // What matters is over by now. A thread that hangs at a network file system must not keep the process.
    runtime.shutdown_timeout(THREADS_TIME_MAX);
    result
}
