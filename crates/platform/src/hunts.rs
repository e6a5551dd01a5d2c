//! Saved hunts on their schedule: which is due, which calls its run is about, and what becomes of what it finds.
//!
//! A window is places in the log, from where the one before ended to what the lake has. So windows touch whatever a clock
//! does, and a call that arrives late is in the next one. What a run found enters the log as a record, and with that its
//! window is done: a run that is broken off, or fails, is made up for by the next one. One hunt runs at a time, beside
//! people's queries and within the same limits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use outrider_lake::HuntAnswer;
use outrider_model::{AuditEntry, Concern, Hunt, HuntFigures, HuntId, HuntRun, HuntWindow, NoticeKind};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::log::{LogHandle, NewRecord};
use crate::progress::Progress;
use crate::queries::Queries;
use crate::store::{AuditLog, HuntEnd, HuntRow, Store, StoreError};
use crate::watcher::{ConcernSource, once_caught_up};

/// How far back calls are looked at that no run has seen, where there was none for longer: since outrider was stopped, or
/// the hunt was switched off or failed.
pub const HUNT_MADE_UP_MS_MAX: i64 = 24 * 3_600_000;
/// Failures in a row after which people are told.
pub const HUNT_FAILURES_TOLD: u32 = 3;
/// How often the audit log says of a hunt that it asks the lake.
const NOTED_EVERY_MS: i64 = 3_600_000;
/// How often it is looked which hunts are due.
const INTERVAL: Duration = Duration::from_secs(1);

/// The hunts of a platform. Cheap to clone.
#[derive(Clone)]
pub struct Hunts {
    store: Store,
    queries: Queries,
    log: LogHandle,
    platform: Arc<Progress>,
    /// One run at a time.
    progress: Arc<tokio::sync::Mutex<BTreeMap<HuntId, Ran>>>,
    concerns: Arc<Mutex<Vec<Concern>>>,
}

/// What this process knows of a hunt's last run, before the store does.
#[derive(Debug, Clone, Copy, Default)]
struct Ran {
    at_ms: Option<i64>,
    /// When the audit log last came to know what it asks.
    noted_ms: Option<i64>,
    covered: Option<HuntEnd>,
    /// It went well, and no start, switch or failure came in between.
    is_continuous: bool,
}

/// What came of looking which hunts are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HuntsRun {
    /// Runs that went well.
    pub done: usize,
    /// Runs that failed.
    pub failed: usize,
}

impl Hunts {
    pub(crate) async fn new(store: Store, queries: Queries, log: LogHandle, platform: Arc<Progress>) -> Hunts {
        let hunts = Hunts { store, queries, log, platform, progress: Arc::default(), concerns: Arc::default() };
        // What failed before goes on failing until a run goes well, so that a start closes no notice. Hunts that cannot be
        // read keep nothing else from running.
        *hunts.lock_concerns() = match hunts.store.hunts().await {
            Ok(rows) => concerns_of(&rows),
            Err(error) => vec![unreadable(&error, 0)],
        };
        hunts
    }

    /// Runs what is due, once the analysis has caught up, until it is stopped.
    pub(crate) async fn follow(
        self,
        mut caught_up: watch::Receiver<bool>,
        now_ms: fn() -> i64,
        stop: CancellationToken,
    ) {
        if !once_caught_up(&mut caught_up, &stop).await {
            return;
        }
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut is_failing = false;
        while stop.run_until_cancelled(interval.tick()).await.is_some() {
            match stop.run_until_cancelled(self.run_due(now_ms())).await {
                None => return,
                Some(Ok(_)) => is_failing = false,
                Some(Err(error)) if !is_failing => {
                    tracing::error!(%error, "hunts cannot run; it is tried again");
                    *self.lock_concerns() = vec![unreadable(&error, now_ms())];
                    is_failing = true;
                }
                Some(Err(_)) => {}
            }
        }
    }

    /// Runs every hunt that is due, one after the other, and none while calls of somebody are to go from the lake. Call it when
    /// the analysis has caught up.
    pub async fn run_due(&self, now_ms: i64) -> Result<HuntsRun, StoreError> {
        let mut progress = self.progress.lock().await;
        // What is to go from the lake would come back as what was found there.
        if self.store.open_erasures().await?.iter().any(|(erasure, _)| erasure.has_calls_left()) {
            return Ok(HuntsRun::default());
        }
        let rows = self.store.hunts().await?;
        *self.lock_concerns() = concerns_of(&rows);
        progress.retain(|id, _| rows.iter().any(|row| row.id == *id));
        let mut came = HuntsRun::default();
        for row in rows {
            let ran = progress.entry(row.id).or_default();
            if !row.hunt.enabled {
                ran.is_continuous = false;
                continue;
            }
            let last_ms = ran.at_ms.or(row.last_run.as_ref().map(|run| run.at_ms));
            if !is_due(last_ms, row.hunt.every_ms(), now_ms) {
                continue;
            }
            match self.run(&row, ran, now_ms).await? {
                true => came.done += 1,
                false => came.failed += 1,
            }
        }
        Ok(came)
    }

    /// Keeps hunts from running for as long as what it gives is held. One that runs has put what it found into the log by then.
    pub(crate) async fn hold(&self) -> impl Drop + use<> {
        Arc::clone(&self.progress).lock_owned().await
    }

    /// Runs one hunt. Says whether that went well.
    async fn run(&self, row: &HuntRow, ran: &mut Ran, now_ms: i64) -> Result<bool, StoreError> {
        // Not each time: a hundred hunts a minute would push out of the audit log what people read.
        let is_noted = |at_ms: i64| row.changed_ms <= at_ms && (0..NOTED_EVERY_MS).contains(&(now_ms - at_ms));
        if !ran.noted_ms.is_some_and(is_noted) {
            self.note(row, now_ms).await?;
            ran.noted_ms = Some(now_ms);
        }
        // The store comes to know a little later than the log what was done.
        let covered = farther(ran.covered, row.covered);
        let (hunt, is_continuous) = (row.hunt.clone(), ran.is_continuous);
        let began = Instant::now();
        let window = move |to| next_window(&hunt, covered, is_continuous, to, now_ms);
        // The past is no news (decision 12).
        let answered = self.queries.hunt(row.hunt.clone(), window, self.platform.imported()).await;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let stored = match answered {
            Ok(answer) => self.put_into_log(row, answer, took_ms, now_ms).await,
            Err(error) => Err(error.to_string()),
        };
        ran.at_ms = Some(now_ms);
        ran.is_continuous = stored.is_ok();
        match stored {
            Ok(window) => {
                ran.covered = Some(HuntEnd { to: window.to, until_ms: window.until_ms });
                Ok(true)
            }
            Err(error) => {
                if row.failures == 0 {
                    tracing::warn!(hunt = row.hunt.name, error, "a hunt failed; its next run makes up for it");
                }
                self.store.hunt_failed(row.id, now_ms, took_ms, &error).await?;
                Ok(false)
            }
        }
    }

    async fn put_into_log(
        &self,
        row: &HuntRow,
        answer: HuntAnswer,
        took_ms: u64,
        now_ms: i64,
    ) -> Result<HuntWindow, String> {
        let HuntAnswer { window, figures, hits, query } = answer;
        let Hunt { name, severity, threshold, .. } = row.hunt.clone();
        let figures = HuntFigures { took_ms, ..figures };
        let run = HuntRun { hunt: row.id, name, at_ms: now_ms, window, severity, threshold, figures, hits, query };
        let record = NewRecord::hunt(now_ms, &run).map_err(|error| error.to_string())?;
        let stored = self.log.append(vec![record]).await;
        stored.map(|_| window).map_err(|error| format!("what it found could not be stored: {error}"))
    }

    async fn note(&self, row: &HuntRow, at_ms: i64) -> Result<(), StoreError> {
        let entry = AuditEntry {
            at_ms,
            by: format!("hunt {}", row.hunt.name),
            what: "asked the lake".to_owned(),
            subject: String::new(),
            detail: row.hunt.ask.text().to_owned(),
        };
        self.store.note(AuditLog::Reads, &entry).await
    }

    /// The list is replaced as a whole, so a panic elsewhere leaves it good.
    fn lock_concerns(&self) -> MutexGuard<'_, Vec<Concern>> {
        self.concerns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConcernSource for Hunts {
    fn concerns(&self, _: i64) -> Vec<Concern> {
        self.lock_concerns().clone()
    }
}

/// No hunt can run.
fn unreadable(error: &StoreError, since_ms: i64) -> Concern {
    Concern {
        kind: NoticeKind::HuntFailing,
        subject: "all hunts".to_owned(),
        since_ms,
        detail: format!("hunts cannot run: {error}"),
        remedy: "look at the control store; a hunt that a newer version saved is deleted by that version".to_owned(),
    }
}

/// What is wrong with the hunts.
fn concerns_of(rows: &[HuntRow]) -> Vec<Concern> {
    let failing = rows.iter().filter(|row| row.hunt.enabled && row.failures >= HUNT_FAILURES_TOLD);
    let concern = |row: &HuntRow| {
        let last = row.last_run.as_ref();
        let error = last.and_then(|run| run.error.as_deref()).unwrap_or_default();
        Concern {
            kind: NoticeKind::HuntFailing,
            subject: row.hunt.name.clone(),
            since_ms: last.map_or(row.changed_ms, |run| run.at_ms),
            detail: format!("{} runs in a row failed: {error}", row.failures),
            remedy: "mend what it asks, or switch it off; the next run that goes well makes up for at most a day"
                .to_owned(),
        }
    };
    failing.map(concern).collect()
}

/// Which of two ends is farther on.
fn farther(one: Option<HuntEnd>, other: Option<HuntEnd>) -> Option<HuntEnd> {
    one.into_iter().chain(other).max_by_key(|end| end.to)
}

/// Whether a hunt runs now. A clock that went back is no reason to wait until it has caught up.
fn is_due(last_ms: Option<i64>, every_ms: i64, now_ms: i64) -> bool {
    last_ms.is_none_or(|last_ms| now_ms < last_ms || now_ms.saturating_sub(last_ms) >= every_ms)
}

/// The calls of a run by hand: those of the last while, whatever runs there were.
pub fn window_by_hand(hunt: &Hunt, to: u64, now_ms: i64) -> HuntWindow {
    next_window(hunt, None, false, to, now_ms)
}

/// The calls of the next run, of those up to a record of the log.
fn next_window(hunt: &Hunt, covered: Option<HuntEnd>, is_continuous: bool, to: u64, now_ms: i64) -> HuntWindow {
    let back_ms = |ms: i64| now_ms.saturating_sub(ms);
    let look_back_ms = hunt.look_back_ms();
    let Some(HuntEnd { to: after, until_ms: before_ms }) = covered else {
        let since_ms = back_ms(look_back_ms.unwrap_or(hunt.every_ms()));
        return HuntWindow {
            after: 0,
            to,
            since_ms,
            until_ms: now_ms,
            not_before_ms: Some(since_ms),
            again_from_ms: None,
        };
    };
    let again_from_ms = look_back_ms.map(back_ms);
    // Without an interruption the clock alone may say that it was long ago, and then nothing is left out.
    let floor_ms = back_ms(HUNT_MADE_UP_MS_MAX.max(hunt.every_ms()).max(look_back_ms.unwrap_or(0)));
    let not_before_ms = Some(floor_ms).filter(|floor_ms| !is_continuous && before_ms < *floor_ms);
    let since_ms = not_before_ms.unwrap_or(before_ms).min(again_from_ms.unwrap_or(i64::MAX)).min(now_ms);
    HuntWindow { after, to: to.max(after), since_ms, until_ms: now_ms, not_before_ms, again_from_ms }
}

#[cfg(test)]
mod tests;
