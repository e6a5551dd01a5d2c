//! When the log says that tokens were refused: at once, and then at most once in a while, however many come.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two lines.
const TOLD_INTERVAL: Duration = Duration::from_secs(60);

/// Requests whose token stands for no service.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<Untold>);

#[derive(Debug, Default)]
struct Untold {
    count: u64,
    told: Option<Instant>,
}

impl Strangers {
    /// Takes one more in. Says how many are to be told of now, since the last time.
    pub fn refused(&self, now: Instant) -> Option<u64> {
        let mut untold = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        untold.count += 1;
        if untold.told.is_some_and(|told| now.duration_since(told) < TOLD_INTERVAL) {
            return None;
        }
        untold.told = Some(now);
        Some(std::mem::take(&mut untold.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_at_once_and_then_now_and_then() {
        let (strangers, start) = (Strangers::default(), Instant::now());
        for (seconds, expected) in [(0, Some(1)), (1, None), (59, None), (60, Some(3)), (61, None), (500, Some(2))] {
            assert_eq!(strangers.refused(start + Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }
}
