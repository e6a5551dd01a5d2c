//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Behavioural API security that stands beside Kong Gateway, never in the request path.
#[derive(Debug, Parser)]
#[command(name = "outrider", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run collector, platform and responder in one process with one data directory.
    Run(RunArguments),
    /// Run recorded Kong log lines through the same analysis and write what it finds as JSON lines.
    Replay(ReplayArguments),
    /// Show the whole loop against a practice gateway: attack, alert, policy, block, release.
    Demo(DemoArguments),
    /// Check a configuration file and say what is wrong with it, and where.
    CheckConfig(ConfigArgument),
    /// Look at each hop between Kong and outrider, and say what is wrong and what to do.
    ///
    /// Changes nothing. Asks the Admin API of each gateway, and the running outrider through its local socket.
    ///
    /// Exit status: 0 if all is well, 1 if something failed, 2 if the command or the configuration is not valid, 4 if
    /// there are warnings and nothing worse.
    Doctor(DoctorArguments),
    /// Copy the data directory of an outrider, running or not, to where it can be restored from.
    Backup(BackupArguments),
    /// Make a data directory out of a backup, or check one.
    Restore(RestoreArguments),
    /// Try whether messages about alerts, actions and notices arrive.
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// Make, list and revoke API tokens of an installation.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Set up a Kong gateway.
    #[command(subcommand)]
    Kong(KongCommand),
    /// Write the OpenAPI document of the people's API to standard output.
    Openapi,
    /// What the responder can do by itself, without the platform.
    #[command(subcommand)]
    Responder(ResponderCommand),
    /// Convert a credential or session value in hand into its pseudonym, to look it up.
    ///
    /// The value is read from standard input, so that it is in no shell history and no process list.
    Pseudonym(ConfigArgument),
}

#[derive(Debug, Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Write the program's own log as JSON lines.
    #[arg(long)]
    pub log_json: bool,
}

#[derive(Debug, Args)]
pub struct ConfigArgument {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "outrider.toml")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub struct DoctorArguments {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Say it as one JSON document.
    #[arg(long)]
    pub json: bool,
    /// Make one call through Kong's proxy, below this address, and wait for its log line.
    #[arg(long, value_name = "URL", value_parser = crate::doctor::parse_url)]
    pub probe: Option<reqwest::Url>,
}

#[derive(Debug, Args)]
pub struct BackupArguments {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// The directory for the backup; it must not be there yet, or be empty.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Put the key of the pseudonyms into it, too. Who has the key can find out whose a pseudonym is.
    #[arg(long)]
    pub with_key: bool,
}

#[derive(Debug, Args)]
pub struct RestoreArguments {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// The directory of the backup.
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// Only say whether the backup is whole and could be restored.
    #[arg(long)]
    pub check: bool,
    /// The key of the pseudonyms, where the backup holds none.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Begin with a new key: pseudonyms of calls from now on differ from those before.
    #[arg(long, conflicts_with = "key")]
    pub new_key: bool,
}

#[derive(Debug, Args)]
pub struct ReplayArguments {
    /// Files of Kong log lines, plain or gzipped, in order; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The directory for alerts.jsonl, findings.jsonl, endpoints.jsonl, assignments.jsonl and summary.json.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Take analysis settings, policies, field names and the pseudonym key from this configuration file.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The name of the gateway that wrote the lines.
    #[arg(long, value_name = "NAME", default_value = "kong")]
    pub gateway: String,
}

#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Stop after the story instead of staying up to play with.
    #[arg(long)]
    pub exit: bool,
    /// Keep the demo's data in this directory instead of a temporary one.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// Send one signed message of type `outrider.test`.
    Test {
        #[command(flatten)]
        config: ConfigArgument,
        /// The `name` of the [[notify]] entry.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and show it once.
    Create {
        #[command(flatten)]
        config: ConfigArgument,
        /// Who or what uses it.
        name: String,
        /// viewer, analyst, responder or admin.
        #[arg(long, default_value = "viewer")]
        role: String,
    },
    /// List tokens; never the tokens themselves.
    List {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Revoke a token by name.
    Revoke {
        #[command(flatten)]
        config: ConfigArgument,
        /// The token's name.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum KongCommand {
    /// Bring Kong's access log to outrider: install the TCP Log plugin, or take it away again.
    ///
    /// Shows what it will change and asks. It changes only plugins that it made itself. Running it again changes nothing
    /// that is right.
    ///
    /// Exit status: 0 if everything is as it should be, 1 after an error, 3 if something would change and nobody said yes.
    Setup(KongSetupArguments),
}

#[derive(Debug, Args)]
pub struct KongSetupArguments {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// The gateway, by its name in the configuration; needed where there are several.
    #[arg(long, value_name = "NAME")]
    pub gateway: Option<String>,
    /// The host under which Kong reaches the collector, where that is not the address that the source listens on.
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Log only this service, by name or id; several times for several. Without it, everything is logged.
    #[arg(long, value_name = "SERVICE")]
    pub service: Vec<String>,
    /// Give each service a plugin of its own, where the place for everything is somebody else's; where a service has one
    /// already, it is left alone and named. Services made later need another run; calls that match no route are not logged.
    #[arg(long, conflicts_with = "service")]
    pub per_service: bool,
    /// Take away what setup installed.
    #[arg(long, conflicts_with_all = ["host", "service", "per_service"])]
    pub remove: bool,
    /// Do it without asking.
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
pub enum ResponderCommand {
    /// Take away everything that this installation has put into its gateways, and hold further actions.
    ReleaseAll {
        #[command(flatten)]
        config: ConfigArgument,
        /// Only list what would be taken away.
        #[arg(long)]
        dry_run: bool,
    },
    /// Let a responder act again after release-all.
    Resume {
        #[command(flatten)]
        config: ConfigArgument,
    },
}
