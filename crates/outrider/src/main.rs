//! The `outrider` binary: configuration, wiring, start, drain, subcommands.

mod backup;
mod cli;
mod concerns;
mod config;
mod demo;
mod doctor;
mod input;
mod installation;
mod kong;
mod local;
mod measure;
mod notify;
mod premises;
mod replay;
mod service;
mod terminal;
mod tokens;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use outrider_collect::{Normaliser, NormaliserSettings, PseudonymKey, SourceConfig};
use outrider_platform::analysis::AnalysisSettings;
use tokio::signal::unix::{Signal as UnixSignal, SignalKind, signal};

use crate::cli::{Cli, Command, KongCommand, ReplayArguments, ResponderCommand, RunArguments};
use crate::config::Config;
use crate::service::Outrider;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Run(arguments) => run(&arguments),
        Command::Replay(arguments) => replay(&arguments),
        Command::Demo(arguments) => on_runtime(demo::demo(arguments)),
        Command::CheckConfig(argument) => check_config(&argument.config),
        Command::Doctor(arguments) => return exit(on_runtime(doctor::doctor(arguments))),
        Command::Backup(arguments) => on_runtime(backup::backup(arguments)),
        Command::Restore(arguments) => on_runtime(backup::restore(arguments)),
        Command::Notify(command) => on_runtime(notify::run(command)),
        Command::Token(command) => on_runtime(tokens::run(command)),
        Command::Kong(KongCommand::Setup(arguments)) => return exit(on_runtime(kong::setup(arguments))),
        Command::Openapi => openapi(),
        Command::Responder(ResponderCommand::ReleaseAll { config, dry_run }) => {
            on_runtime(premises::release_all(config.config, dry_run))
        }
        Command::Responder(ResponderCommand::Resume { config }) => premises::resume(&config.config),
        Command::Pseudonym(argument) => premises::pseudonym(&argument.config),
    };
    exit(result.map(|()| ExitCode::SUCCESS))
}

fn exit(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        terminal::error(&error);
        ExitCode::FAILURE
    })
}

fn run(arguments: &RunArguments) -> anyhow::Result<()> {
    terminal::start_logging(arguments.log_json);
    let path = &arguments.config.config;
    let config = Config::load(path)?;
    on_runtime(async {
        let mut signals = Signals::listen()?;
        let mut outrider = Outrider::start(config).await?;
        let failed = loop {
            let signal = tokio::select! {
                () = outrider.failed() => break true,
                signal = signals.next() => signal,
            };
            match signal {
                Signal::Stop(name) => {
                    tracing::info!(signal = name, "stopping");
                    break false;
                }
                Signal::Reload => reload(&mut outrider, path).await,
            }
        };
        outrider.stop().await;
        anyhow::ensure!(!failed, "a part of outrider could not go on; the log above says which and why");
        Ok(())
    })
}

/// Reads the configuration again. One that cannot be used changes nothing.
async fn reload(outrider: &mut Outrider, path: &Path) {
    let reloaded = match Config::load(path) {
        Ok(config) => outrider.reload(config).await,
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
    Stop(&'static str),
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

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Signal::Stop("SIGINT"),
            _ = self.hang_up.recv() => Signal::Reload,
        }
    }
}

fn replay(arguments: &ReplayArguments) -> anyhow::Result<()> {
    let (settings, normaliser) = match &arguments.config {
        Some(path) => {
            let config = Config::load(path)?;
            let key = PseudonymKey::load_or_create(&prepared_key_path(&config)?)?;
            // Nothing is brought about, so it does not matter who could.
            let settings = AnalysisSettings { gateways: None, ..config.analysis() };
            (settings, normaliser_of(&config, &arguments.gateway, key)?)
        }
        None => {
            terminal::note("no --config: pseudonyms are made with a public key; do not hand the results to others");
            let key = PseudonymKey::from_bytes(b"outrider replay without a config");
            (AnalysisSettings::default(), Normaliser::new(NormaliserSettings::new(&arguments.gateway), key)?)
        }
    };
    let summary = replay::replay(replay::Replay {
        files: &arguments.files,
        out: &arguments.out,
        settings,
        normaliser,
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
        arguments.out.display()
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
    installation::prepare(&config.data_dir)?;
    Ok(config.data_dir.join("pseudonym.key"))
}

/// Reads lines as the configured source of that gateway would. A file that a person replays is trusted (decision 4), so
/// the source's secret is not asked for.
fn normaliser_of(config: &Config, gateway: &str, key: PseudonymKey) -> anyhow::Result<Normaliser> {
    let mut settings = NormaliserSettings::new(gateway);
    for source in &config.collector.sources {
        let SourceConfig::KongTcpLog(source) = source;
        if source.gateway == gateway {
            settings.key_names.clone_from(&source.key_names);
            settings.session.clone_from(&source.session);
            settings.secret_field.clone_from(&source.secret_field);
        }
    }
    Ok(Normaliser::new(settings, key)?)
}

fn check_config(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    terminal::note(&format!(
        "{} is valid; sources: {}, gateways: {}, policies: {}, data in {}",
        path.display(),
        config.collector.sources.len(),
        config.gateways.len(),
        config.policies.len(),
        config.data_dir.display()
    ));
    for warning in config.warnings() {
        terminal::note(&format!("warning: {warning}"));
    }
    Ok(())
}

fn openapi() -> anyhow::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{}", outrider_platform::api::openapi()).context("cannot write the document")
}

fn on_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(work)
}
