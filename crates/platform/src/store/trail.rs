//! The audit log: every change, every sign-in and every sensitive read in one order, each entry with the SHA-256 over the hash
//! before it in its log and its own content. An entry that is changed, removed or put in between breaks its log's chain.
//!
//! The content is the JSON array `[number, decision, at_ms, log, by, what, words, ""]` without spaces; what is hashed is the
//! hash before in hexadecimal, a line feed and that. The first hash before is empty. `words` is `words:` and the SHA-256 over a
//! random salt, a line feed and the JSON array `[subject, detail]`: the words themselves lie apart with their salt, so that
//! they can be erased (decision 24). Without the salt nobody can tell by the chain what they were, and the chain is whole.
//!
//! Numbers go through all logs; each log is a chain of its own, so that what is kept of one does not depend on how much another
//! one holds. Where old entries were forgotten, the number and hash of the last of them are the anchor that the chain begins
//! at. Heads are kept apart from the entries, so that an end cannot be cut off unnoticed. Who can write to the file can make
//! whole new chains: against that, keep the heads elsewhere and verify against them.
//!
//! Earlier versions wrote one chain of everything. It stays as it is, each log's chain goes on from its end, and it is cut
//! at its beginning when its decisions are old enough. Up to version 10 of the schema subject and detail were hashed
//! themselves. Where such an entry is erased its hash stays, and so does what follows from it; what it said cannot be
//! checked any more, and who guesses it could see that the guess is right, until the entry is forgotten.
//!
//! Which entries were erased is an entry of its own in the same log (`words`), so that nobody else can take words away
//! unnoticed; of one whose words did not lie apart it has a hash over what is left of it. It is forgotten after what it names.

use outrider_model::AuditEntry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, Transaction};

use super::{Store, StoreError};
use crate::store::apply::{json, write_meta};
use crate::store::tokens::{hash, random_secret};

/// The row of `meta` with [`Chains`].
pub(super) const CHAINS: &str = "audit_chains";
/// Rows of `meta` that earlier versions wrote, with the end and the beginning of one chain of everything.
const OLD_HEAD: &str = "audit_head";
const OLD_ANCHOR: &str = "audit_anchor";
/// Entries that are checked or sealed at a time.
const STRETCH: i64 = 1000;
/// After so many entries the limit is looked after.
const ENTRIES_BETWEEN_PRUNES: i64 = 5000;
/// Within so long what somebody does again is not noted again, where that is asked for.
const REPEATED_MS: i64 = 60_000;
/// Entries that are looked at for that.
const REPEATED_AMONG: i64 = 1000;

/// How what stands for words in the chain begins.
const WORDS: &str = "words:";

/// Entries with their words.
pub(super) const ENTRIES: &str = "
    SELECT trail.number, decision, at_ms, log, by_whom, what, trail.subject, trail.detail, hash, salt,
      words.subject AS words_subject, words.detail AS words_detail, erased.number IS NOT NULL AS is_erased
    FROM trail LEFT JOIN trail_words AS words ON words.number = trail.number
      LEFT JOIN trail_erased AS erased ON erased.number = trail.number";

const FORGETTING: &str = "forget old entries of the audit log";

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
    const ALL: [AuditLog; 3] = [AuditLog::Decisions, AuditLog::Access, AuditLog::Reads];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            AuditLog::Decisions => "decisions",
            AuditLog::Access => "access",
            AuditLog::Reads => "reads",
        }
    }
}

/// A place in a chain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditMark {
    /// The entry's number; zero before the first.
    pub number: i64,
    /// Its hash, in hexadecimal.
    pub hash: String,
}

/// A chain from the last entry that was forgotten to the last one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Chain {
    pub(super) anchor: AuditMark,
    pub(super) head: AuditMark,
}

/// Where all chains begin and end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Chains {
    /// The last entry's number.
    pub(super) number: i64,
    /// The last line of the desk that is in its log.
    decision: i64,
    /// The number of the last entry when the limit was looked after.
    pruned: i64,
    /// What earlier versions wrote.
    trunk: Chain,
    decisions: Chain,
    access: Chain,
    reads: Chain,
}

impl Chains {
    /// The chains of all logs, which go on from the end of one chain of everything.
    fn after(trunk: Chain, decision: i64) -> Chains {
        let [decisions, access, reads] =
            [(); 3].map(|()| Chain { anchor: trunk.head.clone(), head: trunk.head.clone() });
        let (number, pruned) = (trunk.head.number, trunk.anchor.number);
        Chains { number, decision, pruned, trunk, decisions, access, reads }
    }

    fn of(&mut self, log: AuditLog) -> &mut Chain {
        match log {
            AuditLog::Decisions => &mut self.decisions,
            AuditLog::Access => &mut self.access,
            AuditLog::Reads => &mut self.reads,
        }
    }

    pub(super) fn all(&self) -> [&Chain; 4] {
        [&self.trunk, &self.decisions, &self.access, &self.reads]
    }

    /// Which of [`Chains::all`] an entry belongs to; none if its log is none.
    pub(super) fn place(&self, content: &Content) -> Option<usize> {
        if content.number <= self.trunk.head.number {
            return Some(0);
        }
        AuditLog::ALL.iter().position(|log| log.as_str() == content.log).map(|index| index + 1)
    }
}

/// What of an entry is hashed.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Content {
    pub(super) number: i64,
    decision: Option<i64>,
    at_ms: i64,
    pub(super) log: String,
    by_whom: String,
    pub(super) what: String,
    pub(super) subject: String,
    pub(super) detail: String,
}

#[derive(Debug, sqlx::FromRow)]
pub(super) struct Entry {
    #[sqlx(flatten)]
    pub(super) content: Content,
    pub(super) hash: String,
    /// What its words are, with their salt; none where they are erased or not apart.
    pub(super) salt: Option<String>,
    pub(super) words_subject: Option<String>,
    pub(super) words_detail: Option<String>,
    /// Its words were not apart, and are erased.
    pub(super) is_erased: bool,
}

impl Entry {
    /// Whether its words are not there any more.
    pub(super) fn has_no_words(&self) -> bool {
        self.is_erased || self.content.has_words_apart() && self.salt.is_none()
    }

    /// Whether it was erased and its words were not apart: its hash is over what is not there any more.
    pub(super) fn is_blank(&self) -> bool {
        self.is_erased && !self.content.has_words_apart()
    }

    /// A hash over all that is left of it.
    pub(super) fn rest(&self) -> Result<String, StoreError> {
        self.content.hash_after(&self.hash)
    }

    /// Whether its words, where they are, are those that it was written with.
    pub(super) fn has_its_words(&self) -> Result<bool, StoreError> {
        match (&self.salt, &self.words_subject, &self.words_detail) {
            (Some(salt), Some(subject), Some(detail)) => Ok(self.content.subject == commitment(salt, subject, detail)?),
            _ => Ok(true),
        }
    }
}

/// What stands for words in the chain.
fn commitment(salt: &str, subject: &str, detail: &str) -> Result<String, StoreError> {
    let words = json("trail_words", &(subject, detail))?;
    Ok(format!("{WORDS}{}", hash(&format!("{salt}\n{words}"))))
}

impl Content {
    fn has_words_apart(&self) -> bool {
        self.subject.strip_prefix(WORDS).is_some_and(|hash| hash.len() == 64)
    }

    pub(super) fn hash_after(&self, before: &str) -> Result<String, StoreError> {
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
    let mut chains: Chains = read(transaction, CHAINS).await?;
    for (decision, entry) in lines {
        let decision = decision.cast_signed();
        if decision > chains.decision {
            append(transaction, &mut chains, AuditLog::Decisions, Some(decision), entry).await?;
            chains.decision = decision;
        }
    }
    write_meta(transaction, CHAINS, json("meta", &chains)?).await
}

/// Adds what did not come from the log.
pub(super) async fn append_one(
    transaction: &mut Transaction<'_, Sqlite>,
    log: AuditLog,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    let mut chains: Chains = read(transaction, CHAINS).await?;
    append(transaction, &mut chains, log, None, entry).await?;
    write_meta(transaction, CHAINS, json("meta", &chains)?).await
}

/// Whether a log has the same within the last minute, so that somebody who does it again and again does not fill it.
pub(super) async fn is_repeated(
    transaction: &mut Transaction<'_, Sqlite>,
    log: AuditLog,
    entry: &AuditEntry,
) -> Result<bool, StoreError> {
    let (count,): (i64,) = sqlx::query_as(
        "SELECT COUNT(*) FROM (SELECT at_ms, by_whom, what, COALESCE(words.subject, trail.subject) AS subject
                               FROM trail LEFT JOIN trail_words AS words ON words.number = trail.number
                               WHERE log = $1 ORDER BY trail.number DESC LIMIT $2) AS newest
         WHERE by_whom = $3 AND what = $4 AND subject = $5 AND at_ms > $6 AND at_ms <= $7",
    )
    .bind(log.as_str())
    .bind(REPEATED_AMONG)
    .bind(&entry.by)
    .bind(&entry.what)
    .bind(&entry.subject)
    .bind(entry.at_ms - REPEATED_MS)
    .bind(entry.at_ms)
    .fetch_one(&mut **transaction)
    .await
    .map_err(StoreError::query("read the audit log"))?;
    Ok(count > 0)
}

async fn append(
    transaction: &mut Transaction<'_, Sqlite>,
    chains: &mut Chains,
    log: AuditLog,
    decision: Option<i64>,
    AuditEntry { at_ms, by, what, subject, detail }: &AuditEntry,
) -> Result<(), StoreError> {
    chains.number += 1;
    let salt = random_secret("")?;
    let content = Content {
        number: chains.number,
        decision,
        at_ms: *at_ms,
        log: log.as_str().to_owned(),
        by_whom: by.clone(),
        what: what.clone(),
        subject: commitment(salt.reveal(), subject, detail)?,
        detail: String::new(),
    };
    let number = content.number;
    let head = &mut chains.of(log).head;
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
    .map_err(StoreError::query("write the audit log"))?;
    sqlx::query("INSERT INTO trail_words (number, salt, subject, detail) VALUES ($1, $2, $3, $4)")
        .bind(number)
        .bind(salt.reveal())
        .bind(subject)
        .bind(detail)
        .execute(&mut **transaction)
        .await
        .map(drop)
        .map_err(StoreError::query("write the audit log"))
}

/// Forgets the oldest entries of each log beyond a number of them, when enough were written since the last time, and says how
/// many. The last one of them stays as the anchor.
pub(super) async fn prune(transaction: &mut Transaction<'_, Sqlite>, kept: u32) -> Result<u64, StoreError> {
    let mut chains: Chains = read(transaction, CHAINS).await?;
    if chains.number - chains.pruned < ENTRIES_BETWEEN_PRUNES.min(kept.into()) {
        return Ok(0);
    }
    chains.pruned = chains.number;
    let trunk_end = chains.trunk.head.number;
    let mut forgotten = 0;
    for log in AuditLog::ALL {
        let newest: Option<(i64, String)> =
            sqlx::query_as("SELECT number, hash FROM trail WHERE log = $1 ORDER BY number DESC LIMIT 1 OFFSET $2")
                .bind(log.as_str())
                .bind(i64::from(kept))
                .fetch_optional(&mut **transaction)
                .await
                .map_err(StoreError::query(FORGETTING))?;
        let Some((number, hash)) = newest else { continue };
        let newest = AuditMark { number, hash };
        if log == AuditLog::Decisions && chains.trunk.anchor.number < trunk_end {
            let anchor = if number < trunk_end { newest.clone() } else { chains.trunk.head.clone() };
            forgotten += delete(transaction, anchor.number, None).await?;
            chains.trunk.anchor = anchor;
        }
        if number > trunk_end {
            forgotten += delete(transaction, number, Some((log, trunk_end))).await?;
            chains.of(log).anchor = newest;
        }
    }
    write_meta(transaction, CHAINS, json("meta", &chains)?).await?;
    Ok(forgotten)
}

/// Deletes all entries up to a number, or only those of one log after another number.
async fn delete(
    transaction: &mut Transaction<'_, Sqlite>,
    last: i64,
    only: Option<(AuditLog, i64)>,
) -> Result<u64, StoreError> {
    let gone = |query: &mut QueryBuilder<Sqlite>| {
        query.push("FROM trail WHERE number <= ").push_bind(last);
        if let Some((log, after)) = only {
            query.push(" AND log = ").push_bind(log.as_str()).push(" AND number > ").push_bind(after);
        }
    };
    for table in ["trail_words", "trail_erased"] {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("DELETE FROM ");
        gone(query.push(table).push(" WHERE number IN (SELECT number "));
        query.push(")").build().execute(&mut **transaction).await.map_err(StoreError::query(FORGETTING))?;
    }
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("DELETE ");
    gone(&mut query);
    let deleted = query.build().execute(&mut **transaction).await.map_err(StoreError::query(FORGETTING))?;
    Ok(deleted.rows_affected())
}

/// Makes the hashes of entries that an earlier version wrote without, and makes what it wrote the trunk. What they say is
/// guarded from then on.
pub(super) async fn seal(transaction: &mut Transaction<'_, Sqlite>) -> Result<(), StoreError> {
    if meta::<Chains>(transaction, CHAINS).await?.is_some() {
        return Ok(());
    }
    let chains = match meta::<OldHead>(transaction, OLD_HEAD).await? {
        Some(OldHead { mark: head, decision }) => {
            let anchor = read(transaction, OLD_ANCHOR).await?;
            Chains::after(Chain { anchor, head }, decision)
        }
        None => seal_trunk(transaction).await?,
    };
    write_meta(transaction, CHAINS, json("meta", &chains)?).await?;
    let delete = sqlx::query("DELETE FROM meta WHERE name IN ($1, $2)").bind(OLD_HEAD).bind(OLD_ANCHOR);
    delete.execute(&mut **transaction).await.map(drop).map_err(StoreError::query("seal the audit log"))
}

/// The last entry of one chain of everything, and the last line of the desk that is in it.
#[derive(Debug, Default, Deserialize)]
struct OldHead {
    #[serde(flatten)]
    mark: AuditMark,
    decision: i64,
}

async fn seal_trunk(transaction: &mut Transaction<'_, Sqlite>) -> Result<Chains, StoreError> {
    let (mut head, mut decision) = (AuditMark::default(), 0);
    loop {
        let entries = stretch(transaction, head.number).await?;
        if entries.is_empty() {
            return Ok(Chains::after(Chain { anchor: AuditMark::default(), head }, decision));
        }
        for Entry { content, .. } in entries {
            head = AuditMark { number: content.number, hash: content.hash_after(&head.hash)? };
            decision = decision.max(content.decision.unwrap_or(0));
            let update = sqlx::query("UPDATE trail SET hash = $1 WHERE number = $2");
            let update = update.bind(&head.hash).bind(content.number).execute(&mut **transaction);
            update.await.map_err(StoreError::query("seal the audit log"))?;
        }
    }
}

impl Store {
    /// Adds to the audit log what did not come from the log of records.
    pub async fn note(&self, log: AuditLog, entry: &AuditEntry) -> Result<(), StoreError> {
        let doing = "write the audit log";
        let mut transaction = self.begin(doing).await?;
        append_one(&mut transaction, log, entry).await?;
        transaction.commit().await.map_err(StoreError::query(doing))
    }
}

/// The entries that follow a number, some at a time.
pub(super) async fn stretch(connection: &mut SqliteConnection, after: i64) -> Result<Vec<Entry>, StoreError> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new(ENTRIES);
    query.push(" WHERE trail.number > ").push_bind(after);
    query.push(" ORDER BY trail.number LIMIT ").push_bind(STRETCH);
    query.build_query_as().fetch_all(connection).await.map_err(StoreError::query("read the audit log"))
}

pub(super) async fn read<T: Default + serde::de::DeserializeOwned>(
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
