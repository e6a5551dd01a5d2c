//! The time the gateway goes by: the machine's, or one that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the time comes from. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Nanoseconds since the epoch, or the machine's time.
    manual_ns: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock::default()
    }

    /// A clock that stands still until somebody moves it.
    pub fn manual(now_ms: i64) -> Clock {
        Clock { manual_ns: Some(Arc::new(AtomicI64::new(now_ms.saturating_mul(1_000_000)))) }
    }

    /// Moves a manual clock; the machine's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Some(manual_ns) = &self.manual_ns {
            manual_ns.fetch_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// Milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        self.now_ns() / 1_000_000
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn now_ns(&self) -> i64 {
        match &self.manual_ns {
            Some(manual_ns) => manual_ns.load(Ordering::SeqCst),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
            }
        }
    }
}
