//! Where log lines come from, and the form in which calls are handed on.

mod kong_tcp_log;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use outrider_model::ApiCall;
use serde::{Deserialize, Serialize};

pub use kong_tcp_log::{AllowList, KongTcpLog, KongTcpLogConfig};

/// One entry of `[[collector.sources]]`, chosen by its `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SourceConfig {
    /// Kong's TCP Log plugin.
    KongTcpLog(KongTcpLogConfig),
}

/// Calls on their way from a source to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicroBatch {
    /// The source they come from, by its kind and address.
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

/// Completes a call before it is encoded. It is the taker's: beside the platform calls are enriched here, so that they need
/// not be decoded for that; away from it the platform does it. It must not wait.
pub type Complete = Arc<dyn Fn(&mut ApiCall<'_>) + Send + Sync>;

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
