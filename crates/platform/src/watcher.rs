//! The watcher: looks every few seconds at what is wrong with the operation, and opens and closes notices.
//!
//! It decides nothing about what is wrong: each part says that itself, as [`Concern`]s. What derives from the log comes
//! from the analysis; here is what only the edge can see. It waits until the analysis has caught up, so that a restart
//! closes no notice that is opened again a moment later.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outrider_model::{Concern, NoticeKind};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::service::PlatformStatus;
use crate::store::Store;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(5);
/// Notices that may be open at once; what is said beyond waits until others are closed.
const OPEN_MAX: usize = 500;
/// How long something that was counted is a concern.
pub const HELD_MS: i64 = 10 * 60_000;
/// How far behind the analysis may be.
const ANALYSIS_BEHIND_MS: i64 = 60_000;
/// For how long the lake may stand still while there is something to commit.
const LAKE_STILL_MS: i64 = 2 * 60_000;
/// A store that failed this recently is failing.
const STORE_FAILING_MS: i64 = 30_000;
/// Below this part of the disk, or this many bytes, it is nearly full.
const DISK_FREE_PERCENT_MIN: u64 = 5;
const DISK_FREE_BYTES_MIN: u64 = 512 * 1024 * 1024;

/// Something that knows whether it is well.
pub trait ConcernSource: Send + Sync {
    /// What is wrong now. `now_ms` is the wall clock.
    fn concerns(&self, now_ms: i64) -> Vec<Concern>;
}

/// A counter, and when it was last seen to rise. What it counted before the first look is not news.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rising {
    seen: Option<u64>,
    rose_ms: Option<i64>,
    rose_from: u64,
}

impl Rising {
    /// Looks at the counter. Says since when, and by how much, it rises, where that was within `held_ms`.
    pub fn look(&mut self, value: u64, now_ms: i64, held_ms: i64) -> Option<u64> {
        let seen = self.seen.replace(value).unwrap_or(value);
        let is_held = self.rose_ms.is_some_and(|rose_ms| (0..held_ms).contains(&(now_ms - rose_ms)));
        if !is_held {
            self.rose_ms = None;
            self.rose_from = seen;
        }
        if value > seen {
            self.rose_ms = Some(now_ms);
        }
        self.rose_ms.map(|_| value.saturating_sub(self.rose_from))
    }
}

/// The watcher's own.
pub(crate) struct Watcher {
    pub store: Store,
    pub sources: Vec<Arc<dyn ConcernSource>>,
    pub caught_up: watch::Receiver<bool>,
    pub now_ms: fn() -> i64,
}

impl Watcher {
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let is_up = stop.run_until_cancelled(self.caught_up.wait_for(|done| *done)).await.is_some_and(|up| up.is_ok());
        if !is_up {
            return;
        }
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut is_failing = false;
        while stop.run_until_cancelled(interval.tick()).await.is_some() {
            let now_ms = (self.now_ms)();
            let mut concerns: Vec<_> = self.sources.iter().flat_map(|source| source.concerns(now_ms)).collect();
            concerns.sort_by(|one, other| (one.kind, &one.subject).cmp(&(other.kind, &other.subject)));
            concerns.dedup_by(|one, other| (one.kind, &one.subject) == (other.kind, &other.subject));
            concerns.truncate(OPEN_MAX);
            match self.store.apply_concerns(now_ms, &concerns).await {
                Ok(changes) => {
                    is_failing = false;
                    for notice in changes.opened {
                        let (kind, subject) = (notice.concern.kind.as_str(), notice.concern.subject);
                        tracing::warn!(kind, subject, detail = notice.concern.detail, "a notice was opened");
                    }
                    for notice in changes.closed {
                        let (kind, subject) = (notice.concern.kind.as_str(), notice.concern.subject);
                        tracing::info!(kind, subject, "a notice was closed: it is well again");
                    }
                }
                Err(error) if !is_failing => {
                    tracing::error!(%error, "notices cannot be written; it is tried again");
                    is_failing = true;
                }
                Err(_) => {}
            }
        }
    }
}

/// What the platform says of itself.
pub(crate) struct PlatformConcerns {
    status: PlatformStatus,
    data_dir: PathBuf,
    has_lake: bool,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    dropped: Rising,
    store_failures: Rising,
    /// Where the lake was seen, and since when it is there.
    lake: Option<(u64, i64)>,
}

impl PlatformConcerns {
    pub(crate) fn new(status: PlatformStatus, data_dir: PathBuf, has_lake: bool) -> Self {
        PlatformConcerns { status, data_dir, has_lake, memory: Mutex::default() }
    }
}

impl ConcernSource for PlatformConcerns {
    fn concerns(&self, now_ms: i64) -> Vec<Concern> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let (progress, log) = (self.status.progress(), self.status.log());
        let concern = |kind, subject: &str, detail: String, remedy: &str| Concern {
            kind,
            subject: subject.to_owned(),
            since_ms: now_ms,
            detail,
            remedy: remedy.to_owned(),
        };
        let mut concerns = self.status.own_concerns();
        if let Some(count) = memory.dropped.look(progress.dropped_calls, now_ms, HELD_MS) {
            let detail = format!("the log refused {count} calls, which are gone");
            let remedy = "free disk space, raise log.total_bytes_max, or look at why the lake or the store is behind";
            concerns.push(concern(NoticeKind::CallsDropped, "log", detail, remedy));
        }
        if memory.store_failures.look(progress.store_failures, now_ms, STORE_FAILING_MS).is_some() {
            let detail = "the control store cannot be written; alerts and decisions wait".to_owned();
            concerns.push(concern(
                NoticeKind::StoreFailing,
                "control store",
                detail,
                "look at the disk and at outrider's own log",
            ));
        }
        let behind_ms = now_ms - progress.analysed_at_ms;
        if log.last.0 > progress.analysed_position && behind_ms > ANALYSIS_BEHIND_MS {
            let detail = format!("the analysis is {} s behind, so alerts and blocks are as late", behind_ms / 1000);
            let remedy = "look at processor load; calls that come faster than they can be analysed wait in the log";
            concerns.push(concern(NoticeKind::AnalysisBehind, "analysis", detail, remedy));
        }
        if self.has_lake {
            let here = progress.lake_position;
            let (_, since_ms) = *memory.lake.get_or_insert((here, now_ms));
            if memory.lake.is_some_and(|(seen, _)| seen != here) || log.last.0 <= here {
                memory.lake = Some((here, now_ms));
            } else if now_ms - since_ms > LAKE_STILL_MS {
                let detail = format!(
                    "nothing was committed for {} s, {} tries failed",
                    (now_ms - since_ms) / 1000,
                    progress.lake_failures
                );
                let remedy = "look at the disk and at outrider's own log; calls wait in the log meanwhile";
                concerns.push(concern(NoticeKind::LakeBehind, "lake", detail, remedy));
            }
        }
        if progress.clock_behind_ms > 0 {
            let detail = format!(
                "the clock is {} s behind what it was, so calls count as late",
                progress.clock_behind_ms / 1000
            );
            concerns.push(concern(
                NoticeKind::ClockSetBack,
                "clock",
                detail,
                "let the clock be set by NTP; it ends when the clock has caught up",
            ));
        }
        concerns.extend(self.disk(now_ms));
        concerns
    }
}

impl PlatformConcerns {
    fn disk(&self, now_ms: i64) -> Option<Concern> {
        let disk = rustix::fs::statvfs(&self.data_dir).ok()?;
        let (free, total) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
        if !is_nearly_full(free, total) {
            return None;
        }
        Some(Concern {
            kind: NoticeKind::DiskNearlyFull,
            subject: "data_dir".to_owned(),
            since_ms: now_ms,
            detail: format!("{} MiB of {} MiB are free; when it is full, calls are dropped", free >> 20, total >> 20),
            remedy: "free space, or move data_dir to a larger disk".to_owned(),
        })
    }
}

/// Small disks count by their part alone.
fn is_nearly_full(free: u64, total: u64) -> bool {
    let percent = u128::from(free) * 100 < u128::from(total) * u128::from(DISK_FREE_PERCENT_MIN);
    percent || (free < DISK_FREE_BYTES_MIN && total > 8 * DISK_FREE_BYTES_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_rises_is_held_for_a_while() {
        let mut rising = Rising::default();
        let looks = [
            (5, 0, None),
            (5, 10, None),
            (7, 20, Some(2)),
            (7, 30, Some(2)),
            (9, 100, Some(4)),
            (9, 199, Some(4)),
            (9, 200, None),
            (10, 210, Some(1)),
        ];
        for (value, now_ms, expected) in looks {
            assert_eq!(rising.look(value, now_ms, 100), expected, "at {now_ms}");
        }
    }

    #[test]
    fn a_disk_is_nearly_full_by_its_part_or_by_bytes() {
        let gib = 1 << 30;
        let cases = [
            (gib, 10 * gib, false),
            (gib / 4, 10 * gib, true),
            (gib / 4, 5 * gib, true),
            (gib, 3 * gib, false),
            (40 << 20, 1000 << 20, true),
            (80 << 20, 1000 << 20, false),
            (49 * gib, 1000 * gib, true),
            (51 * gib, 1000 * gib, false),
        ];
        for (free, total, expected) in cases {
            assert_eq!(is_nearly_full(free, total), expected, "{free} of {total}");
        }
    }
}
