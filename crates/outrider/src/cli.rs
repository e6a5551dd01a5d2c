//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use apis::{
    DriftFormat, EndpointsArguments, InventoryFormat, OpenapiArguments, OpenapiCommand, OpenapiDiffArguments,
    ServiceArguments,
};
pub use ask::{AskArguments, Format, HuntCommand, QueryArguments, TimelineArguments};
pub use identities::{CaCommand, CaIssueArguments, KeyCommand, PersonCommand, ServiceCommand, TokenCommand};
pub use posture::{PostureArguments, PostureCommand, Standing, WeaknessesArguments};

mod apis;
mod ask;
mod identities;
mod posture;

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
    /// Run a collector beside a gateway: its log lines go to a platform elsewhere. Or show what of a line would leave.
    Collector(CollectorArguments),
    /// Take Kong's HTTP Log as a function that keeps nothing: it sanitises, forwards, and answers when the platform has it.
    ///
    /// On AWS Lambda it speaks the runtime API (AWS_LAMBDA_RUNTIME_API); elsewhere it listens on PORT, or where its source
    /// says. OUTRIDER_TOKEN, OUTRIDER_PSEUDONYM_KEY and OUTRIDER_SOURCE_SECRET stand in for the files with these.
    Function(RunArguments),
    /// Run the platform for collectors and responders elsewhere.
    Platform(RunArguments),
    /// Run a responder beside a gateway for a platform elsewhere, or release everything without the platform.
    Responder(ResponderArguments),
    /// Make, list and revoke the identities of collectors and responders.
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Be one's own certificate authority for the connections between the services.
    #[command(subcommand)]
    Ca(CaCommand),
    /// Run recorded Kong log lines through the same analysis and write what it finds as JSON lines, or import them as history.
    Replay(ReplayArguments),
    /// Show the whole loop against a practice gateway: attack, alert, policy, block, release.
    Demo(DemoArguments),
    /// Check a configuration file and say what is wrong with it, and where.
    CheckConfig(ConfigArgument),
    /// Print every setting that the configuration file may have, with its default and what it means.
    Settings(SettingsArguments),
    /// Look at each hop between Kong and outrider, and say what is wrong and what to do.
    ///
    /// Changes nothing. Asks the Admin API of each gateway, and the running outrider through its local socket.
    ///
    /// Exit status: 0 if all is well, 1 if something failed, 2 if the command or the configuration is not valid, 4 if
    /// there are warnings and nothing worse.
    Doctor(DoctorArguments),
    /// Ask the running outrider for a sign of life, for container engines and scripts.
    ///
    /// Exit status: 0 if it answers through its local socket, 1 if it does not.
    Health(ConfigArgument),
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
    /// Add, list and disable people who sign in, and set their passwords.
    #[command(subcommand)]
    Person(PersonCommand),
    /// Check the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Ask the lake in SQL, over the tables `events`, `timeline` and `endpoint_hours`.
    ///
    /// Reads what is committed, whether outrider runs or not; a running one commits every few seconds. Nothing can be
    /// changed. Time, memory and rows are limited as `[lake]` says.
    Query(QueryArguments),
    /// Show one entity's calls, the newest first.
    Timeline(TimelineArguments),
    /// Look after the lake's files.
    #[command(subcommand)]
    Lake(LakeCommand),
    /// Save questions that the platform asks of the lake on a schedule, and raises alerts about.
    #[command(subcommand)]
    Hunt(HuntCommand),
    /// Erase all data of somebody, or show how far that is and the receipts.
    ///
    /// Shows what there is and asks. A running outrider begins within a second, any other when it runs again; it goes on over
    /// restarts until everything is gone. The receipt dates each place, and names those that are not covered, such as
    /// backups. Nobody is erased against whom an action is not over.
    ///
    /// Exit status: 0 if it was asked for, 1 after an error, 3 if nobody said yes.
    Erase(EraseArguments),
    /// Set up a Kong gateway.
    #[command(subcommand)]
    Kong(KongCommand),
    /// Write the endpoints behind the gateways with what each carries: parameters, authentication, statuses, sizes, callers.
    ///
    /// Whether outrider runs or not; what came in the last minutes may be missing.
    Endpoints(EndpointsArguments),
    /// Write what is weak at the APIs behind the gateways, with what to do; leave a weakness for a while; say what is checked.
    ///
    /// Whether outrider runs or not; what came in the last minutes may be missing.
    Posture(PostureArguments),
    /// Documents of the APIs behind the gateways: write what was seen, give the owner's, compare both. Without a command: write the
    /// OpenAPI document of outrider's own API.
    Openapi(OpenapiArguments),
    /// Say which classes of data parameters carry: personal, payment, credentials, health, location, technical.
    ///
    /// Reads lines of JSON, {"name": "zip", "value": "10115", "context": ["addresses"]}, of which `context`, words of the path, may be
    /// left out, and writes a line for each: the likeliest class with its confidence, and all that may be in the value, with
    /// where and why. Values are not written. Blank lines are skipped.
    ///
    /// Exit status: 0 if all lines could be read, 1 after an error, 4 if a line could not be read.
    Classify(ClassifyArguments),
    /// Convert a credential, session, name, address or personal value in hand into its pseudonym, to look it up.
    ///
    /// The value is read from standard input, so that it is in no shell history and no process list.
    Pseudonym(ConfigArgument),
    /// Say on the premises what pseudonyms of names and addresses stand for.
    #[command(subcommand)]
    Directory(DirectoryCommand),
    /// Replace the key that pseudonyms are made with.
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Debug, Subcommand)]
pub enum DirectoryCommand {
    /// Say what pseudonyms stand for, a line for each meaning.
    ///
    /// Names are asked of the gateways in the configuration, addresses are those that a collector with this data directory saw last;
    /// so where the two are apart, ask beside each. Of credentials and personal values nothing is kept that could be shown.
    ///
    /// Exit status: 0 if each is known, 1 after an error, 4 if one is not.
    Lookup {
        #[command(flatten)]
        config: ConfigArgument,
        /// A pseudonym, such as ps_1f2e_… of a name or 2001:20:1f2e:… of an address.
        #[arg(required = true)]
        pseudonyms: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum LakeCommand {
    /// Read every data file of the lake to its end, and say which cannot be read.
    ///
    /// Changes nothing without --repair, so outrider may be running. A file never changes: one that is damaged is whole again
    /// when its copy out of a backup is in its place.
    ///
    /// Exit status: 0 if all files can be read, 1 if one cannot or after an error, 3 if nobody said yes to a repair.
    Check(LakeCheckArguments),
}

#[derive(Debug, Args)]
pub struct LakeCheckArguments {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Go on without the files that cannot be read: those of `events` are set aside, and their calls are missing from then on;
    /// the other tables are made again for the day. outrider has to be stopped.
    #[arg(long)]
    pub repair: bool,
    /// Repair without asking.
    #[arg(long, requires = "repair")]
    pub yes: bool,
    /// Write what was found as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct SettingsArguments {
    /// Print the JSON Schema of the file, with which an editor completes and checks it.
    #[arg(long)]
    pub json_schema: bool,
}

#[derive(Debug, Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Write the program's own log as JSON lines, whatever the configuration says.
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
pub struct ClassifyArguments {
    /// Files of lines; `-`, or none, for standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    pub files: Vec<PathBuf>,
    /// A file with classes of your own, in TOML: `[[class]]` with `name`, `pattern`, `words` and `validator`.
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct EraseArguments {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Whose data: the kind (consumer, credential, ip, session, business) and the id, such as `ip:192.0.2.7` or
    /// `business:merchant_id:4711`. A name will not do.
    #[arg(value_name = "KIND:ID", required_unless_present = "status")]
    pub subject: Option<String>,
    /// Do it without asking.
    #[arg(long, short)]
    pub yes: bool,
    /// Show the receipt of this erasure, or list all of them.
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["subject", "yes"])]
    pub status: Option<String>,
    /// Show receipts as JSON.
    #[arg(long, requires = "status")]
    pub json: bool,
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
    /// Files of Kong log lines, plain or gzipped, in order; `-` for standard input, but with --into.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The directory for alerts.jsonl, findings.jsonl, endpoints.jsonl, assignments.jsonl and summary.json.
    #[arg(long, value_name = "DIR", required_unless_present = "into")]
    pub out: Option<PathBuf>,
    /// Import the calls as history into this data directory, new or of an outrider that is stopped: they come into the lake,
    /// and endpoints and profiles are learnt from them. Nothing is found, acted upon or told. A file that is imported already
    /// adds nothing, and an import that was broken off goes on. It needs a configuration, which says where keys are in the lines.
    #[arg(long, value_name = "DIR", conflicts_with = "out", requires = "config")]
    pub into: Option<PathBuf>,
    /// With --into: learn again even if the lake holds less than half of the calls that were learnt from, and forget the rest.
    #[arg(long, requires = "into")]
    pub from_less: bool,
    /// Take analysis settings, policies, field names and, with --out, the pseudonym key from this configuration file.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The gateway that wrote the lines: one with a source in the configuration, or its only one. Without sources `kong`.
    #[arg(long, value_name = "NAME")]
    pub gateway: Option<String>,
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
pub enum AuditCommand {
    /// Say whether the chains of hashes are whole, or the first entry that is not as it was written.
    ///
    /// Says the heads, too, one of each log. Keep them elsewhere, and later verify against them: who can write to the control
    /// store could make whole new chains, but not ones with these heads in them.
    Verify {
        #[command(flatten)]
        config: ConfigArgument,
        /// A head that verify said before; several times for several.
        #[arg(long, value_name = "NUMBER:HASH")]
        known: Vec<String>,
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
    /// By which of Kong's log plugins, where the configuration has a source for either. Without it, the one that is there
    /// already; else the one whose source comes first.
    #[arg(long, value_enum, value_name = "PLUGIN")]
    pub plugin: Option<LogPluginName>,
    /// Log only this service, by name or id; several times for several. Without it, everything is logged.
    #[arg(long, value_name = "SERVICE")]
    pub service: Vec<String>,
    /// Give each service a plugin of its own, where the place for everything is somebody else's; where a service has one
    /// already, it is left alone and named. Services made later need another run; calls that match no route are not logged.
    #[arg(long, conflicts_with = "service")]
    pub per_service: bool,
    /// Take away what setup installed.
    #[arg(long, conflicts_with_all = ["host", "plugin", "service", "per_service"])]
    pub remove: bool,
    /// Do it without asking.
    #[arg(long, short)]
    pub yes: bool,
}

/// Kong's log plugins, by the name that they have there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogPluginName {
    /// Sends each line once, and keeps none.
    TcpLog,
    /// Sends lines from a queue until they are taken.
    HttpLog,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CollectorArguments {
    #[command(flatten)]
    pub run: RunArguments,
    #[command(subcommand)]
    pub command: Option<CollectorCommand>,
}

#[derive(Debug, Subcommand)]
pub enum CollectorCommand {
    /// Show recorded log lines beside what of them would leave: kept, pseudonym, dropped, mapped, entity, not sent.
    ///
    /// Nothing is sent, stored or changed. What a line says is shown as it is, with the credentials in it: the file is yours, and
    /// so is the terminal. Do not hand the output on.
    ///
    /// Exit status: 0 if every line is a call and every field could be mapped, 1 after an error, 4 if not.
    Test(CollectorTestArguments),
}

#[derive(Debug, Args)]
pub struct CollectorTestArguments {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// A file of Kong log lines, plain or gzipped; `-` for standard input. Where the gateway has a `kong_http_log` source, a line may
    /// be a body with several.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The gateway that wrote the lines; needed where the configuration has sources of several.
    #[arg(long, value_name = "NAME")]
    pub gateway: Option<String>,
    /// How it is written to standard output.
    #[arg(long, value_enum, default_value_t = PreviewFormat::Table)]
    pub format: PreviewFormat,
    /// Show values that are not sent, too. JSON always has them.
    #[arg(long)]
    pub all: bool,
}

/// How lines are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PreviewFormat {
    /// A table a line, for reading; long values are cut.
    Table,
    /// An object a line, with every value whole.
    Json,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ResponderArguments {
    #[command(flatten)]
    pub run: RunArguments,
    #[command(subcommand)]
    pub command: Option<ResponderCommand>,
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
