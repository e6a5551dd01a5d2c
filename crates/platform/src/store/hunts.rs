//! Saved hunts: what is asked, and how the last run went.
//!
//! What people save is here alone; where the last window ended comes from the log, in the transaction of what was found.

use outrider_model::{AuditEntry, Fingerprint, Hunt, HuntFigures, HuntId, HuntQuestion, HuntRun, HuntWindow, IdError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Sqlite, Transaction};

use super::apply::json;
use super::{AuditLog, Gateways, Store, StoreError, trail};

/// Hunts that there may be.
pub const HUNTS_MAX: usize = 100;
/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 1_000;
const TABLE: &str = "hunts";

/// A hunt as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HuntRow {
    /// Its id. Made anew under the same name it has another one.
    pub id: HuntId,
    /// The hunt.
    pub hunt: Hunt,
    /// Who made it.
    pub owner: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it was changed last.
    pub changed_ms: i64,
    /// Who changed it last.
    pub changed_by: String,
    /// Where its last window ended; null before the first run that went well.
    pub covered: Option<HuntEnd>,
    /// How the last run went; null before the first.
    pub last_run: Option<LastRun>,
    /// Runs that have failed since the last one that went well.
    pub failures: u32,
}

/// Where a window ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HuntEnd {
    /// The record of the log that it ended with.
    pub to: u64,
    /// When that was, in milliseconds since 1970.
    pub until_ms: i64,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastRun {
    /// When it began.
    pub at_ms: i64,
    /// How long it took.
    pub took_ms: u64,
    /// The calls that it was about; null where it failed.
    pub window: Option<HuntWindow>,
    /// What it found and read, in numbers; null where it failed.
    pub figures: Option<HuntFigures>,
    /// Why it failed; null where it did not.
    pub error: Option<String>,
}

impl HuntRow {
    /// Whether who may see these gateways may see it: what it asks and finds has to be at them alone. A statement may look
    /// anywhere.
    pub fn is_within(&self, gateways: &Gateways) -> bool {
        is_hunt_within(&self.hunt, gateways)
    }
}

/// See [`HuntRow::is_within`].
pub fn is_hunt_within(hunt: &Hunt, gateways: &Gateways) -> bool {
    let is_search = matches!(hunt.ask, HuntQuestion::Search(_));
    let is_there = is_search && !hunt.gateways.is_empty() && hunt.gateways.iter().all(|name| gateways.has(name));
    *gateways == Gateways::All || is_there
}

type Columns = (String, String, String, i64, i64, String, Option<i64>, Option<i64>, Option<String>, i64);
const COLUMNS: &str = "SELECT id, document, owner, created_ms, changed_ms, changed_by, covered, covered_ms, last_run, failures FROM hunts";

impl Store {
    /// All hunts, by name.
    pub async fn hunts(&self) -> Result<Vec<HuntRow>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(AssertSqlSafe(format!("{COLUMNS} ORDER BY name")))
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::query("read hunts"))?;
        rows.into_iter().map(row).collect()
    }

    /// One hunt by its name.
    pub async fn hunt(&self, name: &str) -> Result<Option<HuntRow>, StoreError> {
        let found: Option<Columns> = sqlx::query_as(AssertSqlSafe(format!("{COLUMNS} WHERE name = $1")))
            .bind(name)
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::query("read a hunt"))?;
        found.map(row).transpose()
    }

    /// Makes a hunt, or replaces what the one of the same name asks, unless it is meant to be new; its windows go on where they are.
    pub async fn put_hunt(&self, hunt: &Hunt, if_new: bool, by: &str, now_ms: i64) -> Result<(), StoreError> {
        let doing = "write a hunt";
        let document = json(TABLE, hunt)?;
        let mut transaction = self.begin(doing).await?;
        let update = sqlx::query("UPDATE hunts SET document = $1, changed_ms = $2, changed_by = $3 WHERE name = $4")
            .bind(&document)
            .bind(now_ms)
            .bind(by)
            .bind(&hunt.name)
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::query(doing))?;
        let is_new = update.rows_affected() == 0;
        if !is_new && if_new {
            return Err(StoreError::HuntExists(hunt.name.clone()));
        }
        if is_new {
            insert(&mut transaction, hunt, document, by, now_ms).await?;
        }
        let what = if is_new { "created" } else { "changed" };
        let switched = if hunt.enabled { "" } else { "switched off, " };
        let detail = format!("{switched}every {}: {}", hunt.every, hunt.ask.text());
        note(&mut transaction, by, what, &hunt.name, &detail, now_ms).await?;
        transaction.commit().await.map_err(StoreError::query(doing))
    }

    /// Deletes a hunt. The alerts that it raised stay.
    pub async fn delete_hunt(&self, name: &str, by: &str, now_ms: i64) -> Result<(), StoreError> {
        let doing = "delete a hunt";
        let mut transaction = self.begin(doing).await?;
        let delete = sqlx::query("DELETE FROM hunts WHERE name = $1").bind(name).execute(&mut *transaction);
        if delete.await.map_err(StoreError::query(doing))?.rows_affected() == 0 {
            return Err(StoreError::HuntMissing(name.to_owned()));
        }
        note(&mut transaction, by, "deleted", name, "", now_ms).await?;
        transaction.commit().await.map_err(StoreError::query(doing))
    }

    /// Notes that a run failed. Its window is not done.
    pub async fn hunt_failed(&self, id: HuntId, at_ms: i64, took_ms: u64, error: &str) -> Result<(), StoreError> {
        let error = Some(error.chars().take(ERROR_CHARS_MAX).collect());
        let run = LastRun { at_ms, took_ms, window: None, figures: None, error };
        sqlx::query("UPDATE hunts SET last_run = $1, failures = failures + 1 WHERE id = $2")
            .bind(json(TABLE, &run)?)
            .bind(id.to_string())
            .execute(&self.writer)
            .await
            .map(drop)
            .map_err(StoreError::query("note a run of a hunt"))
    }
}

async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    hunt: &Hunt,
    document: String,
    by: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let doing = "make a hunt";
    let (others,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM hunts")
        .fetch_one(&mut **transaction)
        .await
        .map_err(StoreError::query(doing))?;
    if others >= HUNTS_MAX as i64 {
        return Err(StoreError::TooManyHunts(HUNTS_MAX));
    }
    let id = HuntId(Fingerprint::of("hunt").text(&hunt.name).number(now_ms).finish());
    sqlx::query(
        "INSERT INTO hunts (name, id, document, owner, created_ms, changed_ms, changed_by)
         VALUES ($1, $2, $3, $4, $5, $5, $4)",
    )
    .bind(&hunt.name)
    .bind(id.to_string())
    .bind(document)
    .bind(by)
    .bind(now_ms)
    .execute(&mut **transaction)
    .await
    .map(drop)
    .map_err(StoreError::query(doing))
}

/// Writes how runs went that the log holds. A hunt that is gone meanwhile has no row.
pub(super) async fn write_runs(transaction: &mut Transaction<'_, Sqlite>, runs: &[HuntRun]) -> Result<(), StoreError> {
    for run in runs {
        let last = LastRun {
            at_ms: run.at_ms,
            took_ms: run.figures.took_ms,
            window: Some(run.window),
            figures: Some(run.figures),
            error: None,
        };
        sqlx::query("UPDATE hunts SET covered = $1, covered_ms = $2, last_run = $3, failures = 0 WHERE id = $4")
            .bind(run.window.to.cast_signed())
            .bind(run.window.until_ms)
            .bind(json(TABLE, &last)?)
            .bind(run.hunt.to_string())
            .execute(&mut **transaction)
            .await
            .map_err(StoreError::query("write a run of a hunt"))?;
    }
    Ok(())
}

async fn note(
    transaction: &mut Transaction<'_, Sqlite>,
    by: &str,
    what: &str,
    name: &str,
    detail: &str,
    at_ms: i64,
) -> Result<(), StoreError> {
    let entry = AuditEntry {
        at_ms,
        by: by.to_owned(),
        what: what.to_owned(),
        subject: format!("hunt {name}"),
        detail: detail.to_owned(),
    };
    trail::append_one(transaction, AuditLog::Decisions, &entry).await
}

fn row(columns: Columns) -> Result<HuntRow, StoreError> {
    let (id, document, owner, created_ms, changed_ms, changed_by, covered, covered_ms, last_run, failures) = columns;
    let wrong = StoreError::document;
    let covered = covered.zip(covered_ms).map(|(to, until_ms)| HuntEnd { to: to.cast_unsigned(), until_ms });
    Ok(HuntRow {
        id: id.parse().map_err(|why: IdError| StoreError::Document { table: TABLE, why: why.to_string() })?,
        hunt: serde_json::from_str(&document).map_err(wrong(TABLE))?,
        owner,
        created_ms,
        changed_ms,
        changed_by,
        covered,
        last_run: last_run.map(|text| serde_json::from_str(&text)).transpose().map_err(wrong(TABLE))?,
        failures: u32::try_from(failures).unwrap_or(u32::MAX),
    })
}
