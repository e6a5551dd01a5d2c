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

use crate::progress::ProgressStats;
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
/// Below this part of the disk, or this many bytes, it is nearly full. A part of a large disk is room for long.
const DISK_FREE_PERCENT_MIN: u64 = 5;
const DISK_FREE_BYTES_MIN: u64 = 512 * 1024 * 1024;
const DISK_FREE_BYTES_ENOUGH: u64 = 16 * 1024 * 1024 * 1024;

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

/// Waits until the analysis has caught up; says `false` where it is stopped or ended before.
pub(crate) async fn once_caught_up(caught_up: &mut watch::Receiver<bool>, stop: &CancellationToken) -> bool {
    stop.run_until_cancelled(caught_up.wait_for(|done| *done)).await.is_some_and(|up| up.is_ok())
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
        if !once_caught_up(&mut self.caught_up, &stop).await {
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
    keeping_failures: Rising,
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
        let disk = rustix::fs::statvfs(&self.data_dir).ok();
        let seen = Seen {
            progress: self.status.progress(),
            log_last: self.status.log().last.0,
            has_lake: self.has_lake,
            disk_bytes: disk.map(|disk| (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)),
        };
        let mut concerns = self.status.own_concerns();
        concerns.extend(judge(&seen, &mut memory, now_ms));
        concerns
    }
}

/// What the parts of the platform show at one moment.
struct Seen {
    progress: ProgressStats,
    log_last: u64,
    has_lake: bool,
    /// Free and all bytes of the disk.
    disk_bytes: Option<(u64, u64)>,
}

/// What is wrong with that.
fn judge(seen: &Seen, memory: &mut Memory, now_ms: i64) -> Vec<Concern> {
    let progress = &seen.progress;
    let mut concerns = Vec::new();
    let mut tell = |kind, subject: &str, detail: String, remedy: &str| {
        concerns.push(Concern {
            kind,
            subject: subject.to_owned(),
            since_ms: now_ms,
            detail,
            remedy: remedy.to_owned(),
        });
    };
    if let Some(count) = memory.dropped.look(progress.dropped_calls, now_ms, HELD_MS) {
        let detail = format!("the log refused {count} calls, which are gone");
        let remedy = "free disk space, raise log.total_bytes_max, or look at why the lake or the store is behind";
        tell(NoticeKind::CallsDropped, "log", detail, remedy);
    }
    if memory.store_failures.look(progress.store_failures, now_ms, STORE_FAILING_MS).is_some() {
        let detail = "the control store cannot be written; alerts and decisions wait".to_owned();
        tell(NoticeKind::StoreFailing, "control store", detail, "look at the disk and at outrider's own log");
    }
    let behind_ms = now_ms.saturating_sub(progress.analysed_at_ms);
    if seen.log_last > progress.analysed_position && behind_ms > ANALYSIS_BEHIND_MS {
        let detail = format!("the analysis is {} s behind, so alerts and blocks are as late", behind_ms / 1000);
        let remedy = "look at processor load; calls that come faster than they can be analysed wait in the log";
        tell(NoticeKind::AnalysisBehind, "analysis", detail, remedy);
    }
    if let Some(still_ms) = lake_still_ms(seen, memory, now_ms) {
        let (failures, error) = (progress.lake_failures, why(&progress.lake_error));
        let detail = format!("nothing was committed for {} s, {failures} tries failed{error}", still_ms / 1000);
        let remedy = "look at the disk or the store, and at outrider's own log; calls wait in the log meanwhile";
        tell(NoticeKind::LakeBehind, "lake", detail, remedy);
    }
    if let Some(count) = memory.keeping_failures.look(progress.lake_keeping_failures, now_ms, HELD_MS) {
        let detail = format!(
            "the lake is not kept in shape, {count} tries failed: timelines and queries become slower, old days stay{}",
            why(&progress.lake_error)
        );
        let remedy = "look at the disk or the store, and at outrider's own log; `outrider lake check` finds damaged files; calls \
                      are still written to the lake";
        tell(NoticeKind::LakeBehind, "timeline", detail, remedy);
    }
    if progress.clock_behind_ms > 0 {
        let seconds = progress.clock_behind_ms / 1000;
        let detail = format!("the clock is {seconds} s behind what it was, so calls count as late");
        let remedy = "let the clock be set by NTP; it ends when the clock has caught up";
        tell(NoticeKind::ClockSetBack, "clock", detail, remedy);
    }
    if let Some((free, total)) = seen.disk_bytes.filter(|(free, total)| is_nearly_full(*free, *total)) {
        let detail = format!("{} MiB of {} MiB are free; when it is full, calls are dropped", free >> 20, total >> 20);
        tell(NoticeKind::DiskNearlyFull, "data_dir", detail, "free space, or move data_dir to a larger disk");
    }
    concerns
}

/// Why something failed, to stand behind that.
fn why(error: &str) -> String {
    if error.is_empty() { String::new() } else { format!("; the last: {error}") }
}

/// For how long the lake has stood still although there is something to commit, if that is too long.
fn lake_still_ms(seen: &Seen, memory: &mut Memory, now_ms: i64) -> Option<i64> {
    if !seen.has_lake {
        return None;
    }
    let here = seen.progress.lake_position;
    let (before, since_ms) = *memory.lake.get_or_insert((here, now_ms));
    if before != here || seen.log_last <= here {
        memory.lake = Some((here, now_ms));
        return None;
    }
    Some(now_ms.saturating_sub(since_ms)).filter(|still_ms| *still_ms > LAKE_STILL_MS)
}

/// Whether a disk with so many free of all its bytes is nearly full. Small disks count by their part alone.
pub fn is_nearly_full(free: u64, total: u64) -> bool {
    let percent = u128::from(free) * 100 < u128::from(total) * u128::from(DISK_FREE_PERCENT_MIN);
    (percent && free < DISK_FREE_BYTES_ENOUGH) || (free < DISK_FREE_BYTES_MIN && total > 8 * DISK_FREE_BYTES_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Progress;

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

    const NOW_MS: i64 = 1_795_448_400_000;

    /// A platform that is well, with something to do.
    fn well() -> Seen {
        let progress = ProgressStats {
            analysed_position: 90,
            analysed_at_ms: NOW_MS - 1000,
            lake_position: 80,
            ..Progress::default().stats()
        };
        Seen { progress, log_last: 100, has_lake: true, disk_bytes: Some((50 << 30, 100 << 30)) }
    }

    #[test]
    fn what_is_wrong_with_the_platform_is_told() {
        use NoticeKind::{AnalysisBehind, CallsDropped, ClockSetBack, DiskNearlyFull, LakeBehind, StoreFailing};
        type Case = (&'static str, fn(&mut Seen), i64, &'static [(NoticeKind, &'static str)]);
        // What differs from well at the second look, and how long after the first one that is.
        let cases: [Case; 13] = [
            ("well", |_| {}, 5_000, &[]),
            ("drops", |s| s.progress.dropped_calls = 7, 5_000, &[(CallsDropped, "refused 7 calls")]),
            ("store", |s| s.progress.store_failures = 1, 5_000, &[(StoreFailing, "decisions wait")]),
            (
                "far behind",
                |s| s.progress.analysed_at_ms = NOW_MS - 61_000,
                1_000,
                &[(AnalysisBehind, "is 62 s behind")],
            ),
            ("not too far behind", |s| s.progress.analysed_at_ms = NOW_MS - 58_000, 1_000, &[]),
            (
                "nothing to analyse",
                |s| (s.progress.analysed_position, s.progress.analysed_at_ms) = (100, 0),
                1_000,
                &[],
            ),
            (
                "lake still",
                |s| (s.progress.analysed_position, s.progress.lake_failures) = (100, 3),
                LAKE_STILL_MS + 1_000,
                &[(LakeBehind, "for 121 s, 3 tries failed")],
            ),
            (
                "lake moves",
                |s| (s.progress.analysed_position, s.progress.lake_position) = (100, 81),
                LAKE_STILL_MS + 1_000,
                &[],
            ),
            (
                "nothing for the lake",
                |s| (s.progress.analysed_position, s.log_last) = (100, 80),
                LAKE_STILL_MS + 1_000,
                &[],
            ),
            (
                "lake not kept",
                |s| s.progress.lake_keeping_failures = 2,
                5_000,
                &[(LakeBehind, "kept in shape, 2 tries failed")],
            ),
            ("no lake", |s| (s.progress.analysed_position, s.has_lake) = (100, false), LAKE_STILL_MS + 1_000, &[]),
            ("clock", |s| s.progress.clock_behind_ms = 90_000, 5_000, &[(ClockSetBack, "90 s behind")]),
            ("disk", |s| s.disk_bytes = Some((1 << 30, 100 << 30)), 5_000, &[(DiskNearlyFull, "1024 MiB of 102400")]),
        ];
        for (case, edit, after_ms, expected) in cases {
            let (mut seen, mut memory) = (well(), Memory::default());
            assert_eq!(judge(&seen, &mut memory, NOW_MS), [], "{case}");
            edit(&mut seen);
            let found = judge(&seen, &mut memory, NOW_MS + after_ms);
            let kinds: Vec<_> = found.iter().map(|concern| concern.kind).collect();
            assert_eq!(kinds, expected.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), "{case}: {found:?}");
            for (concern, (_, words)) in found.iter().zip(expected) {
                assert!(concern.detail.contains(words), "{case}: {}", concern.detail);
            }
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
            (12 * gib, 250 * gib, true),
            (13 * gib, 250 * gib, false),
            (15 * gib, 1000 * gib, true),
            (16 * gib, 1000 * gib, false),
        ];
        for (free, total, expected) in cases {
            assert_eq!(is_nearly_full(free, total), expected, "{free} of {total}");
        }
    }
}
