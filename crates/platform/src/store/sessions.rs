//! Who is signed in. A session is a random value that a cookie carries; the store knows its SHA-256 alone.

use outrider_model::AuditEntry;

use super::people::{Transaction, by_person};
use super::tokens::{hash, random_secret};
use super::trail::{AuditLog, append_one, is_repeated};
use super::{NewToken, Role, Store, StoreError};
use crate::passwords::HashedPassword;

/// A session that is not used for so long ends.
pub const SESSION_IDLE_MS: i64 = 30 * 60_000;
/// A session ends after so long, however much it is used.
pub const SESSION_ABSOLUTE_MS: i64 = 12 * 3_600_000;
/// Sessions of one person at once; a further one ends the one that was used the longest ago.
pub const SESSIONS_MAX: u32 = 10;

/// The row of `meta` with the key that browsers are known by.
const DEVICE_KEY: &str = "device_key";

/// Whether a look at a session counts as its use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It keeps the session from falling idle.
    Counts,
    /// It does not.
    Ignored,
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Their name.
    pub person: String,
    /// How they are shown.
    pub display_name: String,
    /// What they may do.
    pub role: Role,
    /// When it ends at the latest.
    pub ends_ms: i64,
}

impl Store {
    /// Signs somebody in whose password was right when it was read as `password`, or, without one, whom the identity
    /// provider vouches for. `None` if they may not sign in any more, or if their password was changed since.
    pub async fn start_session(
        &self,
        name: &str,
        password: Option<&HashedPassword>,
        now_ms: i64,
    ) -> Result<Option<NewToken>, StoreError> {
        let doing = "start a session";
        let session = random_secret("outrider_session_")?;
        let mut transaction = self.begin(doing).await?;
        let seen = sqlx::query(
            "UPDATE people SET last_seen_ms = $1 WHERE name = $2 AND password = $3 AND disabled_ms IS NULL",
        )
        .bind(now_ms)
        .bind(name)
        .bind(password.map_or("", HashedPassword::as_str))
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::query(doing))?;
        if seen.rows_affected() == 0 {
            return Ok(None);
        }
        sqlx::query("DELETE FROM sessions WHERE created_ms <= $1 OR last_used_ms <= $2")
            .bind(now_ms - SESSION_ABSOLUTE_MS)
            .bind(now_ms - SESSION_IDLE_MS)
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::query(doing))?;
        sqlx::query(
            "DELETE FROM sessions WHERE hash IN
               (SELECT hash FROM sessions WHERE person = $1 ORDER BY last_used_ms DESC, hash LIMIT 1000 OFFSET $2)",
        )
        .bind(name)
        .bind(i64::from(SESSIONS_MAX) - 1)
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::query(doing))?;
        sqlx::query("INSERT INTO sessions (hash, person, created_ms, last_used_ms) VALUES ($1, $2, $3, $3)")
            .bind(hash(session.reveal()))
            .bind(name)
            .bind(now_ms)
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::query(doing))?;
        let what = if password.is_some() { "signed in" } else { "signed in with the identity provider" };
        note_once(&mut transaction, now_ms, name, what).await?;
        transaction.commit().await.map_err(StoreError::query(doing))?;
        Ok(Some(session))
    }

    /// The key that browsers are known by again, made when it is asked for the first time.
    pub async fn device_key(&self) -> Result<String, StoreError> {
        let doing = "read the key that browsers are known by";
        let read = "SELECT value FROM meta WHERE name = $1";
        let known: Option<(String,)> = sqlx::query_as(read)
            .bind(DEVICE_KEY)
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::query(doing))?;
        if let Some((key,)) = known {
            return Ok(key);
        }
        let insert = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        let insert = sqlx::query(insert).bind(DEVICE_KEY).bind(random_secret("")?.reveal().to_owned());
        insert.execute(&self.writer).await.map_err(StoreError::query(doing))?;
        let made: (String,) =
            sqlx::query_as(read).bind(DEVICE_KEY).fetch_one(&self.writer).await.map_err(StoreError::query(doing))?;
        Ok(made.0)
    }

    /// Whose session this is; `None` for one that does not exist, or has ended.
    pub async fn session(
        &self,
        presented: &str,
        activity: Activity,
        now_ms: i64,
    ) -> Result<Option<Session>, StoreError> {
        let hash = hash(presented);
        let row: Option<(String, String, String, i64, i64)> = sqlx::query_as(
            "SELECT people.name, people.display_name, people.role, sessions.created_ms, sessions.last_used_ms
             FROM sessions JOIN people ON people.name = sessions.person
             WHERE sessions.hash = $1 AND sessions.created_ms > $2 AND sessions.last_used_ms > $3
               AND people.disabled_ms IS NULL",
        )
        .bind(&hash)
        .bind(now_ms - SESSION_ABSOLUTE_MS)
        .bind(now_ms - SESSION_IDLE_MS)
        .fetch_optional(&self.readers)
        .await
        .map_err(StoreError::query("look a session up"))?;
        let Some((person, display_name, role, created_ms, last_used_ms)) = row else { return Ok(None) };
        if activity == Activity::Counts && now_ms - last_used_ms >= 60_000 {
            // Worth knowing, but not worth refusing a call for.
            let noted = sqlx::query("UPDATE sessions SET last_used_ms = $1 WHERE hash = $2").bind(now_ms).bind(&hash);
            if let Err(error) = noted.execute(&self.writer).await {
                tracing::debug!(%error, "the use of a session was not noted");
            }
        }
        let role = role.parse().map_err(|why| StoreError::Document { table: "people", why })?;
        Ok(Some(Session { person, display_name, role, ends_ms: created_ms + SESSION_ABSOLUTE_MS }))
    }

    /// Signs out. Says whether there was such a session.
    pub async fn end_session(&self, presented: &str, now_ms: i64) -> Result<bool, StoreError> {
        let doing = "end a session";
        let mut transaction = self.begin(doing).await?;
        let ended: Option<(String,)> = sqlx::query_as("DELETE FROM sessions WHERE hash = $1 RETURNING person")
            .bind(hash(presented))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(StoreError::query(doing))?;
        let Some((person,)) = ended else { return Ok(false) };
        note_once(&mut transaction, now_ms, &person, "signed out").await?;
        transaction.commit().await.map_err(StoreError::query(doing))?;
        self.feed.access_changed();
        Ok(true)
    }
}

/// Notes what somebody does, once a minute: signing in and out needs no role, and is not to push out what else the log has.
async fn note_once(transaction: &mut Transaction, at_ms: i64, person: &str, what: &str) -> Result<(), StoreError> {
    let (by, what) = (by_person(person), what.to_owned());
    let entry = AuditEntry { at_ms, by, what, subject: String::new(), detail: String::new() };
    if is_repeated(transaction, AuditLog::Access, &entry).await? {
        return Ok(());
    }
    append_one(transaction, AuditLog::Access, &entry).await
}
