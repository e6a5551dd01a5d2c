//! The ticker: says once a second in the log that time has passed, and when the clock says that it has not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::log::{LogHandle, NewRecord};
use crate::progress::Progress;

/// A clock that is this far behind itself makes calls too late for detection.
const CLOCK_STEP_MS: i64 = 60_000;
/// How often a record says that time has passed.
const TICK: Duration = Duration::from_secs(1);

/// Says once a second that time has passed, so that windows close and actions end while nobody calls.
pub(crate) async fn tick(log: LogHandle, progress: Arc<Progress>, now_ms: fn() -> i64, stop: CancellationToken) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let is_failing = AtomicBool::new(false);
    let mut latest_ms = i64::MIN;
    let mut is_behind = false;
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        let at_ms = now_ms();
        latest_ms = latest_ms.max(at_ms);
        if at_ms < latest_ms - CLOCK_STEP_MS && !is_behind {
            let seconds = (latest_ms - at_ms) / 1000;
            tracing::error!(
                seconds,
                "the clock was set back: until it has caught up, calls count as late and nothing is detected"
            );
        }
        is_behind = at_ms < latest_ms - CLOCK_STEP_MS;
        progress.clock_is_behind(if is_behind { latest_ms - at_ms } else { 0 });
        let result = log.append(vec![NewRecord::tick(at_ms)]).await;
        if let Err(error) = &result
            && !is_failing.swap(true, Ordering::Relaxed)
        {
            tracing::error!(%error, "the log takes no ticks; nothing ends by itself until it does");
        } else if result.is_ok() {
            is_failing.store(false, Ordering::Relaxed);
        }
    }
}
