//! The audit log as a chain: every change, every sign-in and every sensitive read in one order, each entry with the SHA-256
//! over the hash before it and its own content. An entry that is changed, removed or put in between breaks the chain.
//!
//! The content is the JSON array `[number, decision, at_ms, log, by, what, subject, detail]` without spaces; what is hashed
//! is the hash before in hexadecimal, a line feed and that. The first hash before is empty. Where old entries were
//! forgotten, the number and hash of the last of them are the anchor that the chain begins at. The head is kept apart
//! from the entries, so that the end cannot be cut off unnoticed. Who can write to the file can make a whole new chain:
//! against that, keep a head elsewhere and verify against it.

use outrider_model::AuditEntry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::{Store, StoreError};
use crate::store::apply::{json, write_meta};
use crate::store::tokens::hash;

/// Rows of `meta`.
const HEAD: &str = "audit_head";
const ANCHOR: &str = "audit_anchor";
/// Entries that are checked or sealed at a time.
const STRETCH: i64 = 1000;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditLog {
    /// What was decided and done about alerts, actions and policies.
    Decisions,
    /// Who was let in, and what was changed about that.
    Access,
    /// Who looked at what is sensitive.
    Reads,
}

impl AuditLog {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            AuditLog::Decisions => "decisions",
            AuditLog::Access => "access",
            AuditLog::Reads => "reads",
        }
    }
}

/// A place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditMark {
    /// The entry's number; zero before the first.
    pub number: i64,
    /// Its hash, in hexadecimal.
    pub hash: String,
}

/// The last entry, and the last line of the desk that is in the chain.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Head {
    #[serde(flatten)]
    mark: AuditMark,
    decision: i64,
}

/// What came of checking the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditCheck {
    /// It is whole from after one mark to the other.
    Whole {
        /// The last entry that was forgotten.
        after: AuditMark,
        /// The last entry.
        head: AuditMark,
    },
    /// It is not.
    Broken {
        /// The first entry that is not as it was written, or is missing.
        number: i64,
        /// What is wrong.
        why: String,
    },
}

/// What of an entry is hashed.
#[derive(Debug, sqlx::FromRow)]
struct Content {
    number: i64,
    decision: Option<i64>,
    at_ms: i64,
    log: String,
    by_whom: String,
    what: String,
    subject: String,
    detail: String,
}

#[derive(Debug, sqlx::FromRow)]
struct Entry {
    #[sqlx(flatten)]
    content: Content,
    hash: String,
}

impl Content {
    fn hash_after(&self, before: &str) -> Result<String, StoreError> {
        let Content { number, decision, at_ms, log, by_whom, what, subject, detail } = self;
        let content = json("trail", &(number, decision, at_ms, log, by_whom, what, subject, detail))?;
        Ok(hash(&format!("{before}\n{content}")))
    }
}

/// Adds what the desk did. Lines that are in the chain already, because the log is gone through again, are skipped.
pub(super) async fn append_decisions(
    transaction: &mut Transaction<'_, Sqlite>,
    lines: &[(u64, AuditEntry)],
) -> Result<(), StoreError> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut head: Head = read(transaction, HEAD).await?;
    for (decision, entry) in lines {
        let decision = decision.cast_signed();
        if decision > head.decision {
            append(transaction, &mut head.mark, AuditLog::Decisions, Some(decision), entry).await?;
            head.decision = decision;
        }
    }
    write_meta(transaction, HEAD, json("meta", &head)?).await
}

/// Adds what did not come from the log.
pub(super) async fn append_one(
    transaction: &mut Transaction<'_, Sqlite>,
    log: AuditLog,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    let mut head: Head = read(transaction, HEAD).await?;
    append(transaction, &mut head.mark, log, None, entry).await?;
    write_meta(transaction, HEAD, json("meta", &head)?).await
}

async fn append(
    transaction: &mut Transaction<'_, Sqlite>,
    head: &mut AuditMark,
    log: AuditLog,
    decision: Option<i64>,
    AuditEntry { at_ms, by, what, subject, detail }: &AuditEntry,
) -> Result<(), StoreError> {
    let content = Content {
        number: head.number + 1,
        decision,
        at_ms: *at_ms,
        log: log.as_str().to_owned(),
        by_whom: by.clone(),
        what: what.clone(),
        subject: subject.clone(),
        detail: detail.clone(),
    };
    *head = AuditMark { number: content.number, hash: content.hash_after(&head.hash)? };
    sqlx::query(
        "INSERT INTO trail (number, decision, at_ms, log, by_whom, what, subject, detail, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(content.number)
    .bind(content.decision)
    .bind(content.at_ms)
    .bind(content.log)
    .bind(content.by_whom)
    .bind(content.what)
    .bind(content.subject)
    .bind(content.detail)
    .bind(&head.hash)
    .execute(&mut **transaction)
    .await
    .map(drop)
    .map_err(StoreError::query("write the audit log"))
}

/// Forgets the oldest entries beyond a number of them, and says how many. The last one of them stays as the anchor.
pub(super) async fn prune(transaction: &mut Transaction<'_, Sqlite>, kept: u32) -> Result<u64, StoreError> {
    let doing = "forget old entries of the audit log";
    let head: Head = read(transaction, HEAD).await?;
    let last = head.mark.number - i64::from(kept);
    let found: Option<(String,)> = sqlx::query_as("SELECT hash FROM trail WHERE number = $1")
        .bind(last)
        .fetch_optional(&mut **transaction)
        .await
        .map_err(StoreError::query(doing))?;
    let Some((hash,)) = found else { return Ok(0) };
    write_meta(transaction, ANCHOR, json("meta", &AuditMark { number: last, hash })?).await?;
    let delete = sqlx::query("DELETE FROM trail WHERE number <= $1").bind(last);
    let deleted = delete.execute(&mut **transaction).await.map_err(StoreError::query(doing))?;
    Ok(deleted.rows_affected())
}

/// Makes the hashes of entries that an earlier version wrote. What they say is guarded from then on.
pub(super) async fn seal(transaction: &mut Transaction<'_, Sqlite>) -> Result<(), StoreError> {
    if meta::<Head>(transaction, HEAD).await?.is_some() {
        return Ok(());
    }
    let mut head = Head::default();
    loop {
        let entries = stretch(transaction, head.mark.number).await?;
        if entries.is_empty() {
            return write_meta(transaction, HEAD, json("meta", &head)?).await;
        }
        for Entry { content, .. } in entries {
            head.mark = AuditMark { number: content.number, hash: content.hash_after(&head.mark.hash)? };
            head.decision = head.decision.max(content.decision.unwrap_or(0));
            let update = sqlx::query("UPDATE trail SET hash = $1 WHERE number = $2");
            let update = update.bind(&head.mark.hash).bind(content.number).execute(&mut **transaction);
            update.await.map_err(StoreError::query("seal the audit log"))?;
        }
    }
}

impl Store {
    /// Checks the whole chain, and that an entry known from elsewhere is the one that is there. Takes nothing from those
    /// who write meanwhile.
    pub async fn verify_audit(&self, known: Option<&AuditMark>) -> Result<AuditCheck, StoreError> {
        // One transaction, so that the head and the entries are of one moment.
        let mut transaction = self.readers.begin().await.map_err(StoreError::query("check the audit log"))?;
        let after: AuditMark = read(&mut transaction, ANCHOR).await?;
        let Head { mark: head, .. } = read(&mut transaction, HEAD).await?;
        let broken = |number, why: &str| Ok(AuditCheck::Broken { number, why: why.to_owned() });
        let mut mark = after.clone();
        loop {
            if known.is_some_and(|known| known.number == mark.number && known.hash != mark.hash) {
                return broken(mark.number, "its hash is not the known one: the chain was made anew");
            }
            let entries = stretch(&mut transaction, mark.number).await?;
            if entries.is_empty() {
                break;
            }
            for Entry { content, hash } in entries {
                if content.number != mark.number + 1 {
                    return broken(mark.number + 1, "it is missing");
                }
                if content.hash_after(&mark.hash)? != hash {
                    return broken(content.number, "it was changed, or what was before it");
                }
                mark = AuditMark { number: content.number, hash };
                if known.is_some_and(|known| known.number == mark.number && known.hash != mark.hash) {
                    return broken(mark.number, "its hash is not the known one: the chain was made anew");
                }
            }
        }
        if mark != head {
            return broken(mark.number.min(head.number) + 1, "the chain does not end where it was written to end");
        }
        match known {
            Some(known) if known.number > head.number => broken(known.number, "it is known and not there"),
            Some(known) if known.number < after.number => {
                broken(known.number, "it is known and was forgotten, so nothing can be said of it; take a later one")
            }
            _ => Ok(AuditCheck::Whole { after, head }),
        }
    }

    /// Adds to the audit log what did not come from the log of records.
    pub async fn note(&self, log: AuditLog, entry: &AuditEntry) -> Result<(), StoreError> {
        let doing = "write the audit log";
        let mut transaction = self.begin(doing).await?;
        append_one(&mut transaction, log, entry).await?;
        transaction.commit().await.map_err(StoreError::query(doing))?;
        self.counters.since_prune.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

/// The entries that follow a number, some at a time.
async fn stretch(connection: &mut SqliteConnection, after: i64) -> Result<Vec<Entry>, StoreError> {
    sqlx::query_as(
        "SELECT number, decision, at_ms, log, by_whom, what, subject, detail, hash FROM trail
         WHERE number > $1 ORDER BY number LIMIT $2",
    )
    .bind(after)
    .bind(STRETCH)
    .fetch_all(connection)
    .await
    .map_err(StoreError::query("read the audit log"))
}

async fn read<T: Default + serde::de::DeserializeOwned>(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<T, StoreError> {
    Ok(meta(connection, name).await?.unwrap_or_default())
}

async fn meta<T: serde::de::DeserializeOwned>(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<Option<T>, StoreError> {
    let row: Option<(String,)> = sqlx::query_as("SELECT value FROM meta WHERE name = $1")
        .bind(name)
        .fetch_optional(connection)
        .await
        .map_err(StoreError::query("read the audit log"))?;
    row.map(|(text,)| serde_json::from_str(&text).map_err(StoreError::document("meta"))).transpose()
}
