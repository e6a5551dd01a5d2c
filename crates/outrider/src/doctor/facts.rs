//! Gathers what doctor judges. This is the part that reads files, asks the gateways and asks a running outrider; it
//! changes nothing anywhere.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use outrider_collect::{CountersSnapshot, SourceConfig};
use outrider_model::{Mode, Response};
use outrider_platform::enrich::{DatabaseFacts, look_at_database, look_at_list};
use outrider_platform::store::ServiceKind;
use outrider_platform::tls::certificate_expiry_ms;
use outrider_respond::gateways::kong::guard::GuardFile;
use outrider_respond::gateways::kong::{AdminClient, GatewayFacts, LogKind, LogSource, look_at};
use outrider_respond::gateways::{GatewayError, SystemClock};
use serde::Deserialize;

use crate::config::{Config, GatewayConfig, Role};
use crate::services::accounts::Accounts;
use crate::services::link::LinkStatus;
use crate::{installation, kong, local};

/// Everything that is judged.
#[derive(Debug)]
pub struct Facts {
    pub now_ms: i64,
    /// What runs with this configuration.
    pub role: Role,
    /// The way to the platform, where that is elsewhere.
    pub uplink: Option<UplinkSeen>,
    /// The certificates of the listeners and sources.
    pub listeners: Vec<OwnCertificate>,
    pub data: DataFacts,
    pub gateways: Vec<GatewaySeen>,
    pub sources: Vec<SourceAsked>,
    /// The running outrider's own words; `None` if none runs, and why it cannot be asked.
    pub process: Result<Option<Status>, String>,
}

/// The configured way to the platform.
#[derive(Debug)]
pub struct UplinkSeen {
    pub url: String,
    pub certificate: Option<OwnCertificate>,
}

/// The certificate that outrider shows.
#[derive(Debug)]
pub struct OwnCertificate {
    pub path: PathBuf,
    /// When it expires, or why it cannot be read.
    pub expires_ms: Result<i64, String>,
}

/// The disk.
#[derive(Debug)]
pub struct DataFacts {
    pub path: PathBuf,
    /// `None` where the directory is not there.
    pub directory: Option<DirectorySeen>,
    /// Free and all bytes of its disk.
    pub disk_bytes: Option<(u64, u64)>,
    /// Guard rails by gateway, with what is wrong with the file.
    pub guard_rails: Vec<(String, PathBuf, Option<String>)>,
    /// The files that calls are enriched from.
    pub enrichment: Vec<EnrichmentFile>,
}

/// A file that calls are enriched from, and what it holds or why it cannot be used.
#[derive(Debug)]
pub struct EnrichmentFile {
    pub path: PathBuf,
    pub seen: Result<EnrichmentSeen, String>,
}

/// What is in a file that calls are enriched from.
#[derive(Debug)]
pub enum EnrichmentSeen {
    Database(DatabaseFacts),
    /// A list of networks: its entries, and lines that say nothing.
    List {
        entries: usize,
        bad_lines: usize,
    },
}

/// The data directory.
#[derive(Debug)]
pub struct DirectorySeen {
    /// Its permissions.
    pub mode: u32,
    /// Its layout and the installation's id can be read; or why not.
    pub content: Result<(), String>,
    /// This user may write there.
    pub is_writable: bool,
}

/// A configured gateway, and what it showed.
#[derive(Debug)]
pub struct GatewaySeen {
    pub name: String,
    pub admin_url: String,
    pub has_header: bool,
    pub look: Result<GatewayFacts, GatewayError>,
    /// The sources that take its log, and where they listen.
    pub listens: Vec<(LogKind, SocketAddr)>,
    /// The files from which its log is read.
    pub files: Vec<PathBuf>,
    /// A configured secret could not be read, so what lines should carry is not known.
    pub is_secret_unknown: bool,
    /// The shortest time for which a policy acts by itself.
    pub shortest_action_ms: Option<i64>,
    /// A policy limits calls, or would if somebody let it.
    pub has_limits: bool,
}

/// A configured source.
#[derive(Debug)]
pub struct SourceAsked {
    /// As the running outrider calls it.
    pub name: String,
    pub gateway: String,
    /// Where it listens, if it does.
    pub listen: Option<SocketAddr>,
    pub secret: Option<SecretFile>,
}

/// The file with a source's secret.
#[derive(Debug)]
pub struct SecretFile {
    pub path: PathBuf,
    pub is_there: bool,
    /// Why it cannot be read.
    pub problem: Option<String>,
}

/// What a running outrider says of itself, as far as doctor reads it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    pub version: String,
    pub sources: Vec<SourceStatus>,
    pub platform: Option<PlatformStatus>,
    pub responders: Vec<ResponderStatus>,
    pub link: Option<LinkStatus>,
    pub spool: Option<SpoolStatus>,
    pub accounts: Option<Accounts>,
    pub refused_calls: u64,
    /// Those that connect here.
    pub services: Option<Vec<ServiceStatus>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SpoolStatus {
    pub bytes: u64,
    pub bytes_max: u64,
    pub records_waiting: u64,
    pub waiting_since_ms: Option<i64>,
    pub dropped_calls: u64,
    pub given_up_calls: GivenUpCalls,
}

/// Calls that a spool gave up, the oldest first.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct GivenUpCalls {
    pub for_room: u64,
    pub for_age: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ServiceStatus {
    pub name: String,
    pub kind: ServiceKind,
    pub silent_seconds: Option<u64>,
    pub version: Option<String>,
    pub clock_ahead_ms: Option<i64>,
    /// What it says of itself.
    #[serde(default)]
    pub status: Option<ServiceSaid>,
}

/// What a service says of itself, as far as doctor reads it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ServiceSaid {
    pub spool: Option<SpoolStatus>,
    pub link: Option<LinkStatus>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct SourceStatus {
    pub name: String,
    pub counters: CountersSnapshot,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PlatformStatus {
    pub caught_up: bool,
    pub log: LogStatus,
    pub progress: ProgressStatus,
    /// Absent in the first second.
    pub analysis: Option<AnalysisStatus>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LogStatus {
    pub last: u64,
    pub missing_calls: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ProgressStatus {
    pub analysed_position: u64,
    pub analysed_at_ms: i64,
    pub clock_behind_ms: i64,
    pub store_failures: u64,
    pub lake_rows: u64,
    pub lake_commits: u64,
    pub lake_failures: u64,
    pub lake_keeping_failures: u64,
    pub lake_error: String,
    pub dropped_calls: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AnalysisStatus {
    pub detectors: Vec<DetectorStatus>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct DetectorStatus {
    pub name: String,
    pub failure: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ResponderStatus {
    pub gateway: String,
    pub failure: Option<String>,
    pub attempt: u32,
    pub listed_ms: Option<i64>,
    pub own_plugins: u64,
    pub adopted: u64,
    pub guard_problem: Option<String>,
    pub held: Option<String>,
    pub repaired: u64,
}

/// The status of a configured source: by its name, or by its place where the system chose the port.
pub fn status_of<'s>(status: &'s Status, sources: &[SourceAsked], at: usize) -> Option<&'s SourceStatus> {
    let source = sources.get(at)?;
    if source.listen.is_some_and(|listen| listen.port() == 0) {
        return status.sources.get(at);
    }
    status.sources.iter().find(|running| running.name == source.name)
}

/// Looks at everything. What cannot be looked at is a fact, too.
pub async fn gather(config: &Config, now_ms: i64) -> Facts {
    let sources: Vec<SourceAsked> = config.collector.sources.iter().map(ask_source).collect();
    // An id that cannot be read makes every plugin somebody else's; `data.directory` says so.
    let installation = installation::known_id(&config.data_dir).ok().flatten().unwrap_or_default();
    let mut gateways = Vec::new();
    for gateway in &config.gateways {
        gateways.push(see_gateway(config, gateway, &installation).await);
    }
    let process = ask_process(&config.data_dir).await;
    // One for no service at all was refused before it came here.
    let role = config.roles().ok().and_then(|roles| roles.last().copied()).unwrap_or(Role::Run);
    let (uplink, listeners) = (see_uplink(config), see_listeners(config));
    Facts { now_ms, role, uplink, listeners, data: see_data(config), gateways, sources, process }
}

fn see_uplink(config: &Config) -> Option<UplinkSeen> {
    let uplink = config.platform.as_ref()?;
    Some(UplinkSeen { url: uplink.url.clone(), certificate: uplink.certificate_file.clone().map(see_certificate) })
}

fn see_listeners(config: &Config) -> Vec<OwnCertificate> {
    let premises = config.premises.as_ref().and_then(|premises| premises.certificate_file.clone());
    let sources = config.collector.sources.iter().filter_map(SourceConfig::tls);
    let sources = sources.map(|tls| tls.certificate_file.clone());
    let files: BTreeSet<_> = config.api.certificate_file.iter().cloned().chain(premises).chain(sources).collect();
    files.into_iter().map(see_certificate).collect()
}

fn see_certificate(path: PathBuf) -> OwnCertificate {
    let expires_ms = certificate_expiry_ms(&path).map_err(|error| error.to_string());
    OwnCertificate { path, expires_ms }
}

/// Asks the running outrider.
pub async fn ask_process(data_dir: &Path) -> Result<Option<Status>, String> {
    match local::ask(data_dir).await {
        Ok(None) => Ok(None),
        Ok(Some(document)) => match serde_json::from_value(document) {
            Ok(status) => Ok(Some(status)),
            Err(error) => Err(format!("it says what this version does not understand: {error}")),
        },
        Err(error) => Err(format!("{error:#}")),
    }
}

fn ask_source(source: &SourceConfig) -> SourceAsked {
    let secret = source.secret_file().map(|path| SecretFile {
        path: path.to_owned(),
        is_there: path.exists(),
        problem: installation::known_source_secret(path).err().map(|error| format!("{error:#}")),
    });
    SourceAsked { name: source.name(), gateway: source.gateway().to_owned(), listen: source.listen(), secret }
}

async fn see_gateway(config: &Config, gateway: &GatewayConfig, installation: &str) -> GatewaySeen {
    let sources = config.collector.sources.iter().filter(|source| source.gateway() == gateway.name);
    let mut is_secret_unknown = false;
    let files = sources.clone().filter_map(|source| source.file().map(Path::to_owned)).collect();
    let log_sources: Vec<LogSource> = sources
        .filter_map(|source| {
            let listening = kong::Listening::of(source)?;
            let secret = source.secret_file().map(installation::known_source_secret);
            is_secret_unknown |= matches!(secret, Some(Err(_)));
            Some(listening.log_source(secret.and_then(Result::ok)))
        })
        .collect();
    let look = match AdminClient::new(&gateway.admin()) {
        Ok(admin) => look_at(&admin, &SystemClock, installation, &log_sources).await,
        Err(error) => Err(error),
    };
    let acting = config.policies.iter().filter(|policy| policy.mode == Mode::Enforce);
    GatewaySeen {
        name: gateway.name.clone(),
        admin_url: gateway.admin_url.clone(),
        has_header: gateway.admin_header.is_some(),
        look,
        listens: log_sources.iter().map(|source| (source.kind, source.listen)).collect(),
        files,
        is_secret_unknown,
        shortest_action_ms: acting.filter_map(|policy| policy.duration.end_ms(0)).min(),
        has_limits: config.policies.iter().any(|policy| matches!(policy.respond, Response::RateLimit { .. })),
    }
}

fn see_data(config: &Config) -> DataFacts {
    let path = &config.data_dir;
    let directory = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => Some(DirectorySeen { mode: 0o700, content: Err(error.to_string()), is_writable: false }),
        Ok(metadata) => Some(DirectorySeen {
            mode: metadata.permissions().mode() & 0o777,
            content: see_content(path, metadata.is_dir()).map_err(|error| format!("{error:#}")),
            is_writable: rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok(),
        }),
    };
    let disk = rustix::fs::statvfs(path).ok();
    let rails = config.gateways.iter().filter_map(|gateway| Some((gateway, gateway.guard_rails_file.clone()?)));
    let rails = rails.map(|(gateway, path)| {
        let mut file = GuardFile::new(Some(path.clone()));
        file.refresh();
        (gateway.name.clone(), path, file.problem().map(str::to_owned))
    });
    DataFacts {
        path: path.clone(),
        directory,
        disk_bytes: disk.map(|disk| (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)),
        guard_rails: rails.collect(),
        enrichment: see_enrichment(config),
    }
}

fn see_enrichment(config: &Config) -> Vec<EnrichmentFile> {
    let databases = config
        .enrich
        .databases
        .iter()
        .map(|path| EnrichmentFile { path: path.clone(), seen: look_at_database(path).map(EnrichmentSeen::Database) });
    let lists = config.enrich.lists.iter().map(|list| EnrichmentFile {
        path: list.file.clone(),
        seen: look_at_list(&list.file).map(|(entries, bad_lines)| EnrichmentSeen::List { entries, bad_lines }),
    });
    databases.chain(lists).collect()
}

fn see_content(path: &Path, is_directory: bool) -> anyhow::Result<()> {
    anyhow::ensure!(is_directory, "it is no directory");
    anyhow::ensure!(!path.join(installation::RESTORING).exists(), "a restore into it did not come to its end");
    installation::known_layout(path)?;
    installation::known_id(path)?;
    Ok(())
}
