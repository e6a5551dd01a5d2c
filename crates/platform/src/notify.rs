//! The tasks that empty the outbox: one for each destination, so that one that fails delays no other.
//!
//! A destination gets its messages one after the other, in the order in which they came about. While it is away the first
//! one waits, longer each time, and the others behind it. A message that a destination refuses for what it is goes to the
//! dead letters after some tries, one that is too old at once, and the next has its turn. When the process ends between a
//! delivery and its note, the message is sent again with the same id: at least once, never lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outrider_model::{Concern, NoticeKind};
use outrider_respond::notify::{Failure, Teller, Webhook, WebhookError, WebhookSettings, retry_after};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::store::{DestinationRule, OutboxRules, Outgoing, Settled, Store, StoreError, WAITING_MAX};

/// Tries of a message that its destination refuses.
pub const REFUSALS_MAX: u32 = 5;
/// How old a message may become before it is given up.
pub const AGE_MAX: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// Failures in a row after which people are told by other ways.
const FAILURES_TOLD: u32 = 3;
/// Pause after the control store could not be read or written.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// One destination: who, of what, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its name, and of what it is told.
    pub rule: DestinationRule,
    /// Where it is.
    pub webhook: WebhookSettings,
}

/// How a destination is. Counters begin with the process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DestinationStatus {
    /// Its name.
    pub name: String,
    /// Messages that arrived.
    pub delivered: u64,
    /// Tries that failed.
    pub failures: u64,
    /// Messages that were given up.
    pub dead: u64,
    /// Tries that failed since the last one that did not.
    pub failing: u32,
    /// Since when it fails; none while it does not.
    pub failing_since_ms: Option<i64>,
    /// Why the last try failed; empty after one that did not.
    pub last_error: String,
}

/// Destinations whose files were read and are good.
pub(crate) struct Built {
    destinations: Vec<Destination>,
    webhooks: Vec<Webhook>,
}

impl Built {
    pub(crate) fn new(destinations: Vec<Destination>) -> Result<Built, WebhookError> {
        let webhooks: Result<_, _> =
            destinations.iter().map(|destination| Webhook::new(&destination.webhook)).collect();
        Ok(Built { webhooks: webhooks?, destinations })
    }
}

/// The running tasks.
pub struct Notifier {
    store: Store,
    now_ms: fn() -> i64,
    statuses: Statuses,
    running: Option<(CancellationToken, Vec<JoinHandle<()>>)>,
}

/// How all destinations are. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Statuses(Arc<Mutex<BTreeMap<String, DestinationStatus>>>);

impl Statuses {
    /// All of them by name.
    pub fn all(&self) -> Vec<DestinationStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Destinations that do not get their messages.
    pub fn concerns(&self) -> Vec<Concern> {
        let failing = self.all().into_iter().filter(|status| status.failing >= FAILURES_TOLD);
        let concern = |status: DestinationStatus| Concern {
            kind: NoticeKind::NotifyFailing,
            since_ms: status.failing_since_ms.unwrap_or_default(),
            detail: format!("{} tries in a row failed, the last because {}", status.failing, status.last_error),
            remedy: format!(
                "try it with `outrider notify test {}`; what waits is delivered when it answers again",
                status.name
            ),
            subject: status.name,
        };
        failing.map(concern).collect()
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut DestinationStatus)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || DestinationStatus { name: name.to_owned(), ..DestinationStatus::default() };
        change(all.entry(name.to_owned()).or_insert_with(new));
    }
}

impl Notifier {
    /// A notifier that tells nobody yet.
    pub fn new(store: Store, now_ms: fn() -> i64) -> Self {
        Notifier { store, now_ms, statuses: Statuses::default(), running: None }
    }

    /// How the destinations are.
    pub fn statuses(&self) -> Statuses {
        self.statuses.clone()
    }

    /// Tells these destinations from now on, and no others. An error changes nothing.
    pub async fn set(&mut self, teller: Teller, destinations: Vec<Destination>) -> Result<(), WebhookError> {
        let built = Built::new(destinations)?;
        self.put_in_force(teller, built).await;
        Ok(())
    }

    /// As [`Notifier::set`], for destinations that are built and cannot fail any more.
    pub(crate) async fn put_in_force(&mut self, teller: Teller, Built { destinations, webhooks }: Built) {
        self.stop().await;
        let names: Vec<_> = destinations.iter().map(|destination| destination.rule.name.clone()).collect();
        self.statuses.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| names.contains(name));
        let rules = destinations.into_iter().map(|destination| destination.rule).collect();
        self.store.set_outbox_rules(OutboxRules { teller, destinations: rules, waiting_max: WAITING_MAX });
        match self.store.outbox_disown(&names).await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "messages for destinations that are no longer configured were given up"),
            Err(error) => tracing::error!(%error, "messages for destinations that are no longer configured still wait"),
        }
        let stop = CancellationToken::new();
        let tasks = names.into_iter().zip(webhooks).map(|(name, webhook)| {
            self.statuses.change(&name, |_| {});
            let task = DestinationTask {
                name,
                webhook,
                store: self.store.clone(),
                now_ms: self.now_ms,
                statuses: self.statuses.clone(),
                changes: self.store.outbox_changes(),
            };
            let stop = stop.clone();
            tokio::spawn(async move { stop.run_until_cancelled(task.run()).await.unwrap_or_default() })
        });
        self.running = Some((stop.clone(), tasks.collect()));
    }

    /// Stops delivering. What is under way is broken off and will be sent again.
    pub async fn stop(&mut self) {
        let Some((stop, tasks)) = self.running.take() else { return };
        stop.cancel();
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "the delivery of messages ended badly");
            }
        }
    }
}

struct DestinationTask {
    name: String,
    webhook: Webhook,
    store: Store,
    now_ms: fn() -> i64,
    statuses: Statuses,
    changes: watch::Receiver<u64>,
}

impl DestinationTask {
    async fn run(mut self) {
        let mut is_failing = false;
        loop {
            match self.step().await {
                Ok(()) => is_failing = false,
                Err(error) => {
                    if !is_failing {
                        tracing::error!(%error, destination = self.name, "the outbox cannot be used; messages wait");
                        is_failing = true;
                    }
                    // Not a signal: a store that fails does not say when it is well.
                    tokio::time::sleep(STORE_RETRY).await;
                }
            }
        }
    }

    /// Delivers the next message, or waits until there may be one.
    async fn step(&mut self) -> Result<(), StoreError> {
        self.changes.mark_unchanged();
        let Some(outgoing) = self.store.outbox_next(&self.name).await? else {
            // An error means that the store is gone, and with it this task's work.
            drop(self.changes.changed().await);
            return Ok(());
        };
        let now_ms = (self.now_ms)();
        if now_ms.saturating_sub(outgoing.row.since_ms) > AGE_MAX.as_millis() as i64 {
            let error = match outgoing.row.last_error.as_str() {
                "" => "it became too old".to_owned(),
                last => format!("it became too old; the last try failed because {last}"),
            };
            return self.settle(&outgoing, Settled::Dead { error }).await;
        }
        let wait_ms = outgoing.row.due_ms.saturating_sub(now_ms);
        if wait_ms > 0 {
            // A clock that was set back must not make it wait for longer than any wait is.
            let wait = Duration::from_millis(wait_ms.unsigned_abs()).min(outrider_respond::notify::RETRY_MAX * 2);
            tokio::time::sleep(wait).await;
        }
        let settled = self.deliver(&outgoing).await;
        self.settle(&outgoing, settled).await
    }

    async fn deliver(&self, outgoing: &Outgoing) -> Settled {
        let now_ms = (self.now_ms)();
        let span = tracing::info_span!(
            target: "trace",
            "webhook",
            otel.kind = "client",
            outrider.destination = self.name,
            outrider.message.number = outgoing.row.number,
            outrider.message.kind = outgoing.row.kind,
            outrider.message.attempt = outgoing.row.attempts + 1,
            error = Empty,
        );
        let delivered = self.webhook.deliver(&outgoing.row.event, now_ms / 1000, &outgoing.body);
        let Err(error) = delivered.instrument(span.clone()).await else {
            self.statuses.change(&self.name, |status| {
                if status.failing > 0 {
                    tracing::info!(destination = self.name, "messages arrive again");
                }
                status.delivered += 1;
                (status.failing, status.failing_since_ms) = (0, None);
                status.last_error.clear();
            });
            return Settled::Delivered;
        };
        span.record("error", error.to_string());
        let mut failures = 0;
        self.statuses.change(&self.name, |status| {
            if status.failing == 0 {
                tracing::warn!(%error, destination = self.name, "a message did not arrive; it is tried again");
            }
            status.failures += 1;
            status.failing = status.failing.saturating_add(1);
            status.failing_since_ms.get_or_insert(now_ms);
            status.last_error.clone_from(&error.detail);
            failures = status.failing;
        });
        let attempts = outgoing.row.attempts.saturating_add(1);
        let is_over = match error.failure {
            Failure::Unavailable => false,
            Failure::Refused => attempts >= REFUSALS_MAX,
            Failure::Gone => true,
        };
        if is_over {
            return Settled::Dead { error: error.detail };
        }
        // After a restart the message still knows how often it was tried.
        let wait = retry_after(attempts.max(failures), error.retry_after, random_fraction());
        let due_ms = now_ms.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        Settled::Retry { due_ms, error: error.detail }
    }

    async fn settle(&self, outgoing: &Outgoing, settled: Settled) -> Result<(), StoreError> {
        self.store.outbox_settle(outgoing.row.number, &settled).await?;
        if let Settled::Dead { error } = settled {
            tracing::error!(
                error,
                destination = self.name,
                number = outgoing.row.number,
                kind = outgoing.row.kind,
                "a message was given up; send it again when the destination takes it"
            );
            self.statuses.change(&self.name, |status| status.dead += 1);
        }
        Ok(())
    }
}

/// From 0 to 1. Without random numbers everybody waits equally long, which does no harm.
fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    let random = getrandom::fill(&mut bytes).map_or(0, |()| u32::from_le_bytes(bytes));
    f64::from(random) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_told_of_after_some_failures_in_a_row() {
        let statuses = Statuses::default();
        for (failing, is_told) in [(0, false), (FAILURES_TOLD - 1, false), (FAILURES_TOLD, true), (0, false)] {
            statuses.change("on-call", |status| {
                (status.failing, status.failing_since_ms) = (failing, (failing > 0).then_some(7));
                status.last_error = "nobody answers".to_owned();
            });
            let found = statuses.concerns();
            assert_eq!(found.len(), usize::from(is_told), "{failing}: {found:?}");
            for concern in found {
                let said = (concern.kind, concern.subject.as_str(), concern.since_ms);
                assert_eq!(said, (NoticeKind::NotifyFailing, "on-call", 7));
                assert!(concern.detail.contains("3 tries in a row failed, the last because nobody answers"));
            }
        }
    }
}
