//! The outbox: who is still to be told of what.
//!
//! A message becomes a row in the transaction of the change that it tells of, one for each destination that wants it.
//! So nothing that is stored goes untold, and nothing is told that a crash takes back. Rows wait in order; one that
//! cannot be delivered becomes a dead letter, which a person can send again.
//!
//! At the limits: of too many that wait for one destination the oldest become dead letters; of too many dead letters, or
//! delivered rows, the oldest are forgotten. Both are counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use outrider_model::{Action, Alert, Severity};
use outrider_respond::notify::{Message, MessageKind, Teller};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite, Transaction};
use tokio::sync::watch;

use super::apply::keep_newest;
use super::tokens::note_access;
use super::{Page, Store, StoreError};

/// Messages that may wait for one destination.
pub const WAITING_MAX: u32 = 10_000;
/// Dead letters that are kept, of all destinations.
pub const DEAD_MAX: u32 = 10_000;
/// Delivered rows that are kept, so that the same event is not sent a second time.
pub const DELIVERED_MAX: u32 = 10_000;

/// Who is told, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRules {
    /// Decides what is worth a message.
    pub teller: Teller,
    /// Who is told.
    pub destinations: Vec<DestinationRule>,
    /// How many may wait for one destination; [`WAITING_MAX`] but in tests.
    pub waiting_max: u32,
}

impl OutboxRules {
    /// Nobody is told anything.
    pub fn nobody() -> Self {
        let teller = Teller { installation: String::new(), evidence_age_max_ms: 0 };
        OutboxRules { teller, destinations: Vec::new(), waiting_max: WAITING_MAX }
    }
}

/// Of what one destination is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationRule {
    /// Its name.
    pub name: String,
    /// Alerts, and actions that came of one, at least this severe. Other messages have no severity and pass.
    pub severity_min: Severity,
    /// Only these kinds; all where there are none.
    pub kinds: Vec<MessageKind>,
}

impl DestinationRule {
    fn wants(&self, message: &Message) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&message.kind))
            && message.severity.is_none_or(|severity| severity >= self.severity_min)
    }
}

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutboxState {
    /// It is still to be delivered.
    Waiting,
    /// It has arrived.
    Delivered,
    /// It was given up; a person can send it again.
    Dead,
}

impl OutboxState {
    fn as_str(self) -> &'static str {
        match self {
            OutboxState::Waiting => "waiting",
            OutboxState::Delivered => "delivered",
            OutboxState::Dead => "dead",
        }
    }
}

/// A row as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OutboxRow {
    /// Its number, which says the order.
    pub number: i64,
    /// Who is told.
    pub destination: String,
    /// The message's id.
    pub event: String,
    /// The message's type.
    pub kind: String,
    /// Where it is.
    pub state: OutboxState,
    /// When what it tells happened.
    pub at_ms: i64,
    /// Since when it waits: from then, or from when a person sent it again.
    pub since_ms: i64,
    /// When it is tried next.
    pub due_ms: i64,
    /// Tries that failed.
    pub attempts: u32,
    /// Why the last try failed.
    pub last_error: String,
}

/// A row to deliver, with its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The row.
    pub row: OutboxRow,
    /// The message's body.
    pub body: String,
}

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It has arrived.
    Delivered,
    /// It is tried again at this time.
    Retry {
        /// When.
        due_ms: i64,
        /// Why it failed.
        error: String,
    },
    /// It is given up.
    Dead {
        /// Why.
        error: String,
    },
}

/// Which rows.
#[derive(Debug, Clone, Default)]
pub struct OutboxFilter {
    /// In this state.
    pub state: Option<OutboxState>,
    /// For this destination.
    pub destination: Option<String>,
}

/// The outbox in numbers. Counters begin with the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct OutboxStats {
    /// Messages that were put in.
    pub added: u64,
    /// Messages that became dead letters because too many waited.
    pub over_limit: u64,
    /// Dead letters forgotten because there were too many.
    pub forgotten: u64,
}

/// What the store keeps for its outbox.
#[derive(Debug)]
pub(super) struct Outbox {
    rules: RwLock<Arc<OutboxRules>>,
    changed: watch::Sender<u64>,
    added: AtomicU64,
    over_limit: AtomicU64,
    forgotten: AtomicU64,
}

impl Default for Outbox {
    fn default() -> Self {
        Outbox {
            rules: RwLock::new(Arc::new(OutboxRules::nobody())),
            changed: watch::Sender::new(0),
            added: AtomicU64::new(0),
            over_limit: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
        }
    }
}

impl Outbox {
    pub(super) fn rules(&self) -> Arc<OutboxRules> {
        // It is replaced in one piece, so a panic elsewhere leaves it good.
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts what a committed transaction put in, and wakes who delivers.
    pub(super) fn committed(&self, put: Put) {
        self.added.fetch_add(put.added, Ordering::Relaxed);
        self.over_limit.fetch_add(put.over_limit, Ordering::Relaxed);
        self.forgotten.fetch_add(put.forgotten, Ordering::Relaxed);
        if put.added > 0 {
            self.changed.send_modify(|changes| *changes += 1);
        }
    }
}

/// What a transaction put in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Put {
    added: u64,
    over_limit: u64,
    forgotten: u64,
}

type Columns = (i64, String, String, String, String, i64, i64, i64, i64, String, String);
const COLUMNS: &str = "number, destination, event, kind, state, at_ms, since_ms, due_ms, attempts, last_error, body";

impl Store {
    /// Says from now on who is told, and of what.
    pub fn set_outbox_rules(&self, rules: OutboxRules) {
        *self.outbox.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        self.outbox.changed.send_modify(|changes| *changes += 1);
    }

    /// Changes whenever there may be something to deliver.
    pub fn outbox_changes(&self) -> watch::Receiver<u64> {
        self.outbox.changed.subscribe()
    }

    /// The outbox in numbers.
    pub fn outbox_stats(&self) -> OutboxStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        OutboxStats {
            added: read(&self.outbox.added),
            over_limit: read(&self.outbox.over_limit),
            forgotten: read(&self.outbox.forgotten),
        }
    }

    /// How many messages wait for a destination.
    pub async fn outbox_waiting(&self, destination: &str) -> Result<u64, StoreError> {
        let (count,): (i64,) =
            sqlx::query_as("SELECT COUNT(*) FROM outbox WHERE destination = $1 AND state = 'waiting'")
                .bind(destination)
                .fetch_one(&self.readers)
                .await
                .map_err(StoreError::query("count messages"))?;
        Ok(count.max(0).cast_unsigned())
    }

    /// The message that a destination gets next.
    pub async fn outbox_next(&self, destination: &str) -> Result<Option<Outgoing>, StoreError> {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT ");
        query.push(COLUMNS).push(" FROM outbox WHERE destination = ").push_bind(destination);
        query.push(" AND state = 'waiting' ORDER BY number LIMIT 1");
        let row: Option<Columns> = query
            .build_query_as()
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::query("read the next message"))?;
        row.map(outgoing).transpose()
    }

    /// Notes what became of a try.
    pub async fn outbox_settle(&self, number: i64, settled: &Settled) -> Result<(), StoreError> {
        // What has arrived is only kept to know it again; its body is not needed for that.
        let query = match settled {
            Settled::Delivered => {
                sqlx::query("UPDATE outbox SET state = 'delivered', body = '', last_error = '' WHERE number = $1")
                    .bind(number)
            }
            Settled::Retry { due_ms, error } => {
                sqlx::query("UPDATE outbox SET attempts = attempts + 1, due_ms = $2, last_error = $3 WHERE number = $1")
                    .bind(number)
                    .bind(due_ms)
                    .bind(error)
            }
            Settled::Dead { error } => sqlx::query(
                "UPDATE outbox SET state = 'dead', attempts = attempts + 1, last_error = $2 WHERE number = $1",
            )
            .bind(number)
            .bind(error),
        };
        query.execute(&self.writer).await.map(drop).map_err(StoreError::query("note what became of a message"))
    }

    /// Gives up what waits for anybody but these destinations. Says how much that was.
    pub async fn outbox_disown(&self, known: &[String]) -> Result<u64, StoreError> {
        let mut query: QueryBuilder<Sqlite> =
            QueryBuilder::new("UPDATE outbox SET state = 'dead', last_error = 'the configuration names it no longer' ");
        query.push("WHERE state = 'waiting' AND destination NOT IN (''");
        for name in known {
            query.push(", ").push_bind(name);
        }
        query.push(")");
        let given_up = query.build().execute(&self.writer).await.map_err(StoreError::query("give messages up"))?;
        Ok(given_up.rows_affected())
    }

    /// Lets a dead letter be delivered again, at once. Says whether there was one of that number.
    pub async fn outbox_resend(&self, number: i64, by: &str, now_ms: i64) -> Result<bool, StoreError> {
        let doing = "send a dead letter again";
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::query(doing))?;
        let sent = sqlx::query(
            "UPDATE outbox SET state = 'waiting', attempts = 0, due_ms = $2, since_ms = $2
             WHERE number = $1 AND state = 'dead'",
        )
        .bind(number)
        .bind(now_ms)
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::query(doing))?;
        if sent.rows_affected() == 0 {
            return Ok(false);
        }
        note_access(&mut transaction, now_ms, by, "sent again", &format!("message {number}")).await?;
        transaction.commit().await.map_err(StoreError::query(doing))?;
        self.outbox.changed.send_modify(|changes| *changes += 1);
        Ok(true)
    }

    /// Rows of the outbox, the newest first.
    pub async fn outbox(
        &self,
        filter: &OutboxFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<OutboxRow>, StoreError> {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT ");
        query.push(COLUMNS).push(" FROM outbox WHERE 1 = 1");
        if let Some(state) = filter.state {
            query.push(" AND state = ").push_bind(state.as_str());
        }
        if let Some(destination) = &filter.destination {
            query.push(" AND destination = ").push_bind(destination);
        }
        if let Some(cursor) = cursor {
            let number: i64 = cursor.parse().map_err(|_| StoreError::Cursor(cursor.to_owned()))?;
            query.push(" AND number < ").push_bind(number);
        }
        query.push(" ORDER BY number DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows: Vec<Columns> =
            query.build_query_as().fetch_all(&self.readers).await.map_err(StoreError::query("list messages"))?;
        let rows: Result<Vec<_>, _> = rows.into_iter().map(|row| outgoing(row).map(|outgoing| outgoing.row)).collect();
        let mut items = rows?;
        let next = (items.len() > limit as usize).then(|| {
            items.truncate(limit as usize);
            items.last().map(|row| row.number.to_string())
        });
        Ok(Page { items, next: next.flatten() })
    }
}

fn outgoing(columns: Columns) -> Result<Outgoing, StoreError> {
    let (number, destination, event, kind, state, at_ms, since_ms, due_ms, attempts, last_error, body) = columns;
    let state = match state.as_str() {
        "waiting" => OutboxState::Waiting,
        "delivered" => OutboxState::Delivered,
        "dead" => OutboxState::Dead,
        _ => return Err(StoreError::Document { table: "outbox", why: format!("state is `{state}`") }),
    };
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    let row = OutboxRow { number, destination, event, kind, state, at_ms, since_ms, due_ms, attempts, last_error };
    Ok(Outgoing { row, body })
}

/// What there is to tell of an alert that is about to be written.
pub(super) async fn tell_alert(
    transaction: &mut Transaction<'_, Sqlite>,
    rules: &OutboxRules,
    alert: &Alert,
) -> Result<Vec<Message>, StoreError> {
    let before = stored_alert(transaction, &alert.id.to_string()).await?;
    Ok(rules.teller.of_alert(before.as_ref(), alert))
}

/// What there is to tell of an action that is about to be written. Its alert is written already.
pub(super) async fn tell_action(
    transaction: &mut Transaction<'_, Sqlite>,
    rules: &OutboxRules,
    action: &Action,
) -> Result<Vec<Message>, StoreError> {
    let before: Option<(String,)> = sqlx::query_as("SELECT document FROM actions WHERE id = $1")
        .bind(action.id.to_string())
        .fetch_optional(&mut **transaction)
        .await
        .map_err(StoreError::query("read an action"))?;
    let before: Option<Action> =
        before.map(|(text,)| serde_json::from_str(&text).map_err(StoreError::document("actions"))).transpose()?;
    let alert = match action.alert {
        Some(id) => stored_alert(transaction, &id.to_string()).await?,
        None => None,
    };
    Ok(rules.teller.of_action(before.as_ref(), action, alert.as_ref()))
}

async fn stored_alert(transaction: &mut Transaction<'_, Sqlite>, id: &str) -> Result<Option<Alert>, StoreError> {
    let row: Option<(String,)> = sqlx::query_as("SELECT document FROM alerts WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut **transaction)
        .await
        .map_err(StoreError::query("read an alert"))?;
    row.map(|(text,)| serde_json::from_str(&text).map_err(StoreError::document("alerts"))).transpose()
}

/// Puts messages in for every destination that wants them, and looks after the limits.
pub(super) async fn put(
    transaction: &mut Transaction<'_, Sqlite>,
    rules: &OutboxRules,
    messages: &[Message],
) -> Result<Put, StoreError> {
    let mut put = Put::default();
    for destination in &rules.destinations {
        let before = put.added;
        for message in messages.iter().filter(|message| destination.wants(message)) {
            put.added += insert(transaction, &destination.name, message).await?;
        }
        if put.added > before {
            put.over_limit += give_up_oldest(transaction, &destination.name, rules.waiting_max).await?;
        }
    }
    if put.added > 0 {
        put.forgotten += keep_newest(transaction, "outbox", "number", "number", "state = 'dead'", DEAD_MAX).await?;
        keep_newest(transaction, "outbox", "number", "number", "state = 'delivered'", DELIVERED_MAX).await?;
    }
    Ok(put)
}

async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    destination: &str,
    message: &Message,
) -> Result<u64, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO outbox (destination, event, kind, state, at_ms, since_ms, due_ms, attempts, last_error, body)
         VALUES ($1, $2, $3, 'waiting', $4, $4, 0, 0, '', $5)
         ON CONFLICT (destination, event) DO NOTHING",
    )
    .bind(destination)
    .bind(&message.id)
    .bind(message.kind.as_str())
    .bind(message.at_ms)
    .bind(&message.body)
    .execute(&mut **transaction)
    .await
    .map_err(StoreError::query("write a message"))?;
    Ok(inserted.rows_affected())
}

/// Gives the oldest messages up that wait for a destination, beyond a number of them.
async fn give_up_oldest(
    transaction: &mut Transaction<'_, Sqlite>,
    destination: &str,
    kept: u32,
) -> Result<u64, StoreError> {
    let given_up = sqlx::query(
        "UPDATE outbox SET state = 'dead', last_error = $3
         WHERE destination = $1 AND state = 'waiting' AND number <=
           (SELECT number FROM outbox WHERE destination = $1 AND state = 'waiting' ORDER BY number DESC LIMIT 1 OFFSET $2)",
    )
    .bind(destination)
    .bind(i64::from(kept))
    .bind(format!("more than {kept} messages waited"))
    .execute(&mut **transaction)
    .await
    .map_err(StoreError::query("give messages up"))?;
    Ok(given_up.rows_affected())
}
