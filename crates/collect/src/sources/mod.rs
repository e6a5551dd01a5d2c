//! Where log lines come from, and the form in which calls are handed on.

mod allow_list;
mod kong_file_log;
mod kong_http_log;
mod kong_tcp_log;
mod ledger;
mod listener;
mod places;
mod reading;
mod speech;
mod turned_away;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use outrider_model::ApiCall;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use allow_list::AllowList;
pub use kong_file_log::{FileStart, KongFileLog, KongFileLogConfig};
pub use kong_http_log::{KongHttpLog, KongHttpLogConfig};
pub use kong_tcp_log::{KongTcpLog, KongTcpLogConfig};
pub use reading::{NewSettings, SourceControl};
pub use speech::{CurrentTls, SourceTls};

use crate::framing::LINE_BYTES_MAX_DEFAULT;
use crate::normalise::SECRET_FIELD_DEFAULT;
use crate::{CollectError, Identities, NormaliserSettings, PseudonymKey};
use listener::Admission;
use reading::Lines;

/// One entry of `[[collector.sources]]`, chosen by its `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SourceConfig {
    /// Kong's TCP Log plugin.
    KongTcpLog(KongTcpLogConfig),
    /// Kong's HTTP Log plugin.
    KongHttpLog(KongHttpLogConfig),
    /// A file of Kong's File Log plugin.
    KongFileLog(KongFileLogConfig),
}

impl SourceConfig {
    /// Its kind, as in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            SourceConfig::KongTcpLog(_) => "kong_tcp_log",
            SourceConfig::KongHttpLog(_) => "kong_http_log",
            SourceConfig::KongFileLog(_) => "kong_file_log",
        }
    }

    /// Its name, as the running source has it: its kind, and where it listens or what it reads.
    pub fn name(&self) -> String {
        match self {
            SourceConfig::KongFileLog(source) => file_source_name(&source.path),
            SourceConfig::KongTcpLog(source) => format!("{} {}", self.kind(), source.listen),
            SourceConfig::KongHttpLog(source) => format!("{} {}", self.kind(), source.listen),
        }
    }

    /// The gateway whose lines it takes.
    pub fn gateway(&self) -> &str {
        match self {
            SourceConfig::KongTcpLog(source) => &source.gateway,
            SourceConfig::KongHttpLog(source) => &source.gateway,
            SourceConfig::KongFileLog(source) => &source.gateway,
        }
    }

    /// Where it listens, if it does.
    pub fn listen(&self) -> Option<SocketAddr> {
        match self {
            SourceConfig::KongTcpLog(source) => Some(source.listen),
            SourceConfig::KongHttpLog(source) => Some(source.listen),
            SourceConfig::KongFileLog(_) => None,
        }
    }

    /// The file that it reads, if it reads one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            SourceConfig::KongFileLog(source) => Some(&source.path),
            SourceConfig::KongTcpLog(_) | SourceConfig::KongHttpLog(_) => None,
        }
    }

    /// The same without links and from the root: two sources that have the same here read one file, however it is spelled.
    pub fn resolved_file(&self) -> Option<PathBuf> {
        self.file().map(resolved)
    }

    /// The file with its secret, if it has one.
    pub fn secret_file(&self) -> Option<&Path> {
        match self {
            SourceConfig::KongTcpLog(source) => source.secret_file.as_deref(),
            SourceConfig::KongHttpLog(source) => source.secret_file.as_deref(),
            SourceConfig::KongFileLog(source) => source.secret_file.as_deref(),
        }
    }

    /// Its TLS, if it speaks any.
    pub fn tls(&self) -> Option<&SourceTls> {
        match self {
            SourceConfig::KongTcpLog(source) => source.tls.as_ref(),
            SourceConfig::KongHttpLog(source) => source.tls.as_ref(),
            SourceConfig::KongFileLog(_) => None,
        }
    }

    /// The files that it names.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let (log, secret, tls) = match self {
            SourceConfig::KongTcpLog(source) => (None, &mut source.secret_file, source.tls.as_mut()),
            SourceConfig::KongHttpLog(source) => (None, &mut source.secret_file, source.tls.as_mut()),
            SourceConfig::KongFileLog(source) => (Some(&mut source.path), &mut source.secret_file, None),
        };
        let tls = tls.into_iter().flat_map(|tls| [&mut tls.certificate_file, &mut tls.key_file]);
        log.into_iter().chain(secret).chain(tls)
    }

    /// The field of each line that carries its secret, where it takes the secret from there.
    pub fn secret_field(&self) -> Option<&str> {
        match self {
            SourceConfig::KongTcpLog(source) => Some(&source.secret_field),
            SourceConfig::KongFileLog(source) => Some(&source.secret_field),
            SourceConfig::KongHttpLog(_) => None,
        }
    }

    /// The longest line that it takes, in bytes.
    pub fn line_bytes_max(&self) -> usize {
        match self {
            SourceConfig::KongTcpLog(source) => source.line_bytes_max,
            SourceConfig::KongHttpLog(source) => source.line_bytes_max,
            SourceConfig::KongFileLog(source) => source.line_bytes_max,
        }
    }

    /// The longest body that it takes, in bytes, where its lines come in bodies.
    pub fn body_bytes_max(&self) -> Option<usize> {
        match self {
            SourceConfig::KongHttpLog(source) => Some(source.body_bytes_max),
            SourceConfig::KongTcpLog(_) | SourceConfig::KongFileLog(_) => None,
        }
    }

    /// How it reads lines, without its secret.
    pub fn line_settings(&self) -> NormaliserSettings {
        match self {
            SourceConfig::KongTcpLog(source) => source.line_settings(),
            SourceConfig::KongHttpLog(source) => source.line_settings(),
            SourceConfig::KongFileLog(source) => source.line_settings(),
        }
    }

    /// What leaves as a pseudonym of what leaves in clear otherwise.
    pub fn pseudonymise(&self) -> &Identities {
        match self {
            SourceConfig::KongTcpLog(source) => &source.pseudonymise,
            SourceConfig::KongHttpLog(source) => &source.pseudonymise,
            SourceConfig::KongFileLog(source) => &source.pseudonymise,
        }
    }

    /// The same, to be changed.
    pub fn pseudonymise_mut(&mut self) -> &mut Identities {
        match self {
            SourceConfig::KongTcpLog(source) => &mut source.pseudonymise,
            SourceConfig::KongHttpLog(source) => &mut source.pseudonymise,
            SourceConfig::KongFileLog(source) => &mut source.pseudonymise,
        }
    }

    /// Takes over from other settings of the same source what can change while it runs. What stays as it was waits for a start: the
    /// kind, where lines come from and whose they are, and the sizes of buffers.
    pub fn take_over(&mut self, other: &SourceConfig) {
        match (self, other) {
            (SourceConfig::KongTcpLog(source), SourceConfig::KongTcpLog(other)) => source.take_over(other),
            (SourceConfig::KongHttpLog(source), SourceConfig::KongHttpLog(other)) => source.take_over(other),
            (SourceConfig::KongFileLog(source), SourceConfig::KongFileLog(other)) => source.take_over(other),
            _ => {}
        }
    }

    /// What reads its lines; reads the file with its secret.
    fn lines(&self, key: PseudonymKey) -> Result<Lines, CollectError> {
        match self {
            SourceConfig::KongTcpLog(source) => source.lines(key),
            SourceConfig::KongHttpLog(source) => source.lines(key),
            SourceConfig::KongFileLog(source) => source.lines(key),
        }
    }

    fn admission(&self) -> Option<Admission> {
        match self {
            SourceConfig::KongTcpLog(source) => Some(source.admission()),
            SourceConfig::KongHttpLog(source) => Some(source.admission()),
            SourceConfig::KongFileLog(_) => None,
        }
    }

    /// Refuses what cannot be meant. Reads no file.
    pub fn validate(&self) -> Result<(), CollectError> {
        match self {
            SourceConfig::KongTcpLog(source) => source.validate(),
            SourceConfig::KongHttpLog(source) => source.validate(),
            SourceConfig::KongFileLog(source) => source.validate(),
        }
    }
}

/// The name of a source that reads a file, the same from whichever directory a process was started.
fn file_source_name(path: &Path) -> String {
    let absolute = std::path::absolute(path);
    format!("kong_file_log {}", absolute.as_deref().unwrap_or(path).display())
}

/// A path without links, and from the root. Of what is not there yet, as much is resolved as is there.
fn resolved(path: &Path) -> PathBuf {
    let Ok(absolute) = std::path::absolute(path) else { return path.to_owned() };
    for ancestor in absolute.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            let rest = absolute.strip_prefix(ancestor).unwrap_or(Path::new(""));
            // Joining nothing would add a slash.
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    absolute
}

/// The same, but the last link of it stays: it may lead to another file tomorrow.
fn resolved_directory(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if parent.as_os_str().is_empty() => resolved(Path::new(".")).join(name),
        (Some(parent), Some(name)) => resolved(parent).join(name),
        _ => resolved(path),
    }
}

/// The gateway's name, where a source has no other.
fn default_gateway() -> String {
    "kong".to_owned()
}

/// Where lines carry their source's secret.
fn default_secret_field() -> String {
    SECRET_FIELD_DEFAULT.to_owned()
}

/// The longest line of a source, in bytes.
fn default_line_bytes_max() -> usize {
    LINE_BYTES_MAX_DEFAULT
}

/// Refuses a number out of its range.
fn within<T: PartialOrd + fmt::Display>(
    setting: &'static str,
    value: T,
    (least, most): (T, T),
) -> Result<(), CollectError> {
    if value < least || value > most {
        return Err(CollectError::Setting { setting, reason: format!("{value} is not in {least} to {most}") });
    }
    Ok(())
}

/// Refuses to listen to a whole network.
fn is_for_somebody(listen: SocketAddr, allow: &AllowList) -> Result<(), CollectError> {
    if !listen.ip().to_canonical().is_loopback() && allow.is_empty() {
        return Err(CollectError::NoAllowList { listen });
    }
    Ok(())
}

/// Calls on their way from a source to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicroBatch {
    /// The source they come from, by its kind, and its address or file.
    pub source: Arc<str>,
    /// The calls, as [`outrider_model::batch`] encodes them.
    pub calls: Vec<u8>,
    /// How many there are, at least one.
    pub count: u32,
    /// Receive time of the first.
    pub first_received_ms: i64,
    /// Receive time of the last.
    pub last_received_ms: i64,
}

/// Calls of a sender who waits to hear what became of them: all are stored, or none.
#[derive(Debug)]
pub struct Delivery {
    /// The calls, at least one batch.
    pub batches: Vec<MicroBatch>,
    /// Takes whether they are on stable storage. To drop it says that they are not.
    pub are_stored: tokio::sync::oneshot::Sender<bool>,
}

/// Completes a call before it is encoded. It is the taker's: beside the platform calls are enriched here, so that they need
/// not be decoded for that; away from it the platform does it. It must not wait. Where the call has a pseudonym in place of the
/// client's address, the address comes beside it.
pub type Complete = Arc<dyn Fn(&mut ApiCall<'_>, Option<IpAddr>) + Send + Sync>;

/// Says what time it is, in milliseconds since the Unix epoch. Tests give their own.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now_ms(&self) -> i64;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(_) => 0,
        }
    }
}

impl<F: Fn() -> i64 + Send + Sync + 'static> Clock for F {
    fn now_ms(&self) -> i64 {
        self()
    }
}
