//! The clock of the edges: what time it is, as a value that tests own. How durations are waited for is tokio's.

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock that expiry is judged by. A value, so that tests own time.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch. It may jump in either direction.
    fn now_ms(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            // A clock before 1970 is wrong, but nothing to fail for: everything with an end counts as not over yet.
            Err(_) => 0,
        }
    }
}
