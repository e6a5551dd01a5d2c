//! Who may ask: bearer tokens with roles. A token is shown once and known by its SHA-256 alone.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use outrider_model::AuditEntry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::people::lasting_admins;
use super::trail::{AuditLog, append_one};
use super::{Store, StoreError};

/// How many tokens are remembered, revoked ones too. At the limit the one that was revoked first is forgotten.
pub const TOKENS_MAX: u32 = 1000;

/// Characters of what a token is for.
const DESCRIPTION_CHARS_MAX: usize = 200;
/// Gateways that one token may be for.
const GATEWAYS_MAX: usize = 100;
/// Characters of a gateway's name.
const GATEWAY_CHARS_MAX: usize = 64;
/// What the audit log calls parts of outrider, and nobody. Tokens from before may have such a name.
const RESERVED: [&str; 4] = ["outrider", "responder", "configuration", "nobody"];

/// What a token may do; each role may do what the ones before it may (decision 23).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look.
    Viewer,
    /// Work on alerts.
    Analyst,
    /// Block, release, change policies.
    Responder,
    /// Let people in, make and revoke tokens.
    Admin,
}

impl Role {
    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Analyst => "analyst",
            Role::Responder => "responder",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Role::Viewer, Role::Analyst, Role::Responder, Role::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no role; there are viewer, analyst, responder and admin"))
    }
}

/// The gateways that somebody may see and act at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Gateways {
    /// All, and what is about outrider itself.
    #[default]
    All,
    /// These and nothing else.
    Only(Vec<String>),
}

impl Gateways {
    /// Whether a gateway is one of them.
    pub fn has(&self, gateway: &str) -> bool {
        match self {
            Gateways::All => true,
            Gateways::Only(names) => names.iter().any(|name| name == gateway),
        }
    }

    /// Their names; `None` for all.
    pub fn only(&self) -> Option<&[String]> {
        match self {
            Gateways::All => None,
            Gateways::Only(names) => Some(names),
        }
    }

    /// As tokens name them: empty for all.
    fn of(names: Vec<String>) -> Self {
        if names.is_empty() { Gateways::All } else { Gateways::Only(names) }
    }

    /// Their names; empty for all.
    pub fn names(&self) -> &[String] {
        self.only().unwrap_or_default()
    }
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct WantedToken {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// What it is for.
    pub description: String,
    /// When it ends by itself, if it does.
    pub expires_ms: Option<i64>,
    /// The gateways that it is for; empty for all.
    pub gateways: Vec<String>,
}

/// A token that has just been made. `Debug` shows nothing of it; only [`NewToken::reveal`] does.
#[derive(Clone, PartialEq, Eq)]
pub struct NewToken(String);

impl NewToken {
    /// The token itself, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewToken(..)")
    }
}

/// Who a token stands for.
#[derive(Debug, PartialEq, Eq)]
pub struct Token {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Where.
    pub gateways: Gateways,
}

/// A token as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TokenRow {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The gateways that it is for; empty for all.
    pub gateways: Vec<String>,
    /// When it was made.
    pub created_ms: i64,
    /// Who made it.
    pub created_by: String,
    /// What it is for.
    pub description: String,
    /// When it ends by itself, if it does.
    pub expires_ms: Option<i64>,
    /// When it was revoked, if it was.
    pub revoked_ms: Option<i64>,
    /// When it was last used, to the minute.
    pub last_used_ms: Option<i64>,
}

impl Store {
    /// Makes a token without an end.
    pub async fn create_token(&self, name: &str, role: Role, by: &str, now_ms: i64) -> Result<NewToken, StoreError> {
        let (name, description) = (name.to_owned(), String::new());
        let wanted = WantedToken { name, role, description, expires_ms: None, gateways: Vec::new() };
        self.make_token(&wanted, by, now_ms).await
    }

    /// Makes a token. One of the same name that was revoked, or has ended, gives its name free.
    pub async fn make_token(&self, wanted: &WantedToken, by: &str, now_ms: i64) -> Result<NewToken, StoreError> {
        let WantedToken { name, role, description, expires_ms, gateways } = wanted;
        check_wanted(wanted, now_ms)?;
        let token = random_secret("outrider_")?;
        let doing = "make a token";
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::query(doing))?;
        let (live,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM tokens WHERE name <> $1")
            .bind(name)
            .fetch_one(&mut *transaction)
            .await
            .map_err(StoreError::query(doing))?;
        if live >= i64::from(TOKENS_MAX) {
            self.forget_ended(&mut transaction, now_ms).await?;
        }
        let inserted = sqlx::query(
            "INSERT INTO tokens (name, role, hash, created_ms, created_by, description, expires_ms, gateways)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (name) DO UPDATE SET role = excluded.role, hash = excluded.hash,
               created_ms = excluded.created_ms, created_by = excluded.created_by, revoked_ms = NULL, last_used_ms = NULL,
               description = excluded.description, expires_ms = excluded.expires_ms, gateways = excluded.gateways
             WHERE tokens.revoked_ms IS NOT NULL OR tokens.expires_ms <= excluded.created_ms",
        )
        .bind(name)
        .bind(role.as_str())
        .bind(hash(token.reveal()))
        .bind(now_ms)
        .bind(by)
        .bind(description)
        .bind(expires_ms)
        .bind(serde_json::to_string(gateways).map_err(StoreError::document("tokens"))?)
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::query(doing))?;
        if inserted.rows_affected() == 0 {
            return Err(StoreError::TokenExists(name.to_owned()));
        }
        let place = if gateways.is_empty() { String::new() } else { format!(" for {}", gateways.join(", ")) };
        let what = format!("created {role} token{place}");
        note_access(&mut transaction, now_ms, by, &what, name).await?;
        transaction.commit().await.map_err(StoreError::query(doing))?;
        Ok(token)
    }

    /// Makes room for a token by forgetting the one that ended first; the audit log still knows it.
    async fn forget_ended(
        &self,
        transaction: &mut sqlx::Transaction<'_, sqlx::Sqlite>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let forgotten = sqlx::query(
            "DELETE FROM tokens WHERE name IN
               (SELECT name FROM tokens WHERE revoked_ms IS NOT NULL OR expires_ms <= $1
                ORDER BY COALESCE(revoked_ms, expires_ms), name LIMIT 1)",
        )
        .bind(now_ms)
        .execute(&mut **transaction)
        .await
        .map_err(StoreError::query("make room for a token"))?;
        if forgotten.rows_affected() == 0 { Err(StoreError::TooManyTokens(TOKENS_MAX)) } else { Ok(()) }
    }

    /// Revokes a token; it works no more from now on. The last admin's stays.
    pub async fn revoke_token(&self, name: &str, by: &str, now_ms: i64) -> Result<(), StoreError> {
        let doing = "revoke a token";
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::query(doing))?;
        let revoked: Option<(String, Option<i64>)> = sqlx::query_as(
            "UPDATE tokens SET revoked_ms = $1 WHERE name = $2 AND revoked_ms IS NULL RETURNING role, expires_ms",
        )
        .bind(now_ms)
        .bind(name)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(StoreError::query(doing))?;
        let Some((role, expires_ms)) = revoked else { return Err(StoreError::TokenMissing(name.to_owned())) };
        if role == Role::Admin.as_str() && expires_ms.is_none() && lasting_admins(&mut transaction).await? == 0 {
            return Err(StoreError::LastAdmin(name.to_owned()));
        }
        note_access(&mut transaction, now_ms, by, "revoked token", name).await?;
        transaction.commit().await.map_err(StoreError::query(doing))?;
        self.feed.access_changed();
        Ok(())
    }

    /// All tokens by name, revoked ones too.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        type Row = (String, String, i64, String, String, Option<i64>, Option<i64>, Option<i64>, String);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT name, role, created_ms, created_by, description, expires_ms, revoked_ms, last_used_ms, gateways
             FROM tokens ORDER BY name",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::query("list tokens"))?;
        let row = |row: Row| {
            let (name, role, created_ms, created_by, description, expires_ms, revoked_ms, last_used_ms, gateways) = row;
            let role = role.parse().map_err(|why| StoreError::Document { table: "tokens", why })?;
            let gateways = serde_json::from_str(&gateways).map_err(StoreError::document("tokens"))?;
            Ok(TokenRow {
                name,
                role,
                gateways,
                created_ms,
                created_by,
                description,
                expires_ms,
                revoked_ms,
                last_used_ms,
            })
        };
        rows.into_iter().map(row).collect()
    }

    /// Who a presented token stands for; `None` for one that does not exist, has ended or was revoked. The look-up goes by hash, so
    /// its time tells nothing of the token.
    pub async fn authenticate(&self, presented: &str, now_ms: i64) -> Result<Option<Token>, StoreError> {
        let hash = hash(presented);
        let row: Option<(String, String, Option<i64>, String)> = sqlx::query_as(
            "SELECT name, role, last_used_ms, gateways FROM tokens
             WHERE hash = $1 AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > $2)",
        )
        .bind(&hash)
        .bind(now_ms)
        .fetch_optional(&self.readers)
        .await
        .map_err(StoreError::query("look a token up"))?;
        let Some((name, role, last_used_ms, gateways)) = row else { return Ok(None) };
        let minute_ms = now_ms - now_ms.rem_euclid(60_000);
        if last_used_ms != Some(minute_ms) {
            // That a token was used is worth knowing, but not worth refusing a call for.
            let noted = sqlx::query("UPDATE tokens SET last_used_ms = $1 WHERE hash = $2").bind(minute_ms).bind(&hash);
            if let Err(error) = noted.execute(&self.writer).await {
                tracing::debug!(%error, "the use of a token was not noted");
            }
        }
        let role = role.parse().map_err(|why| StoreError::Document { table: "tokens", why })?;
        let gateways = serde_json::from_str(&gateways).map_err(StoreError::document("tokens"))?;
        Ok(Some(Token { name, role, gateways: Gateways::of(gateways) }))
    }
}

fn check_wanted(wanted: &WantedToken, now_ms: i64) -> Result<(), StoreError> {
    let WantedToken { name, role, description, expires_ms, gateways } = wanted;
    check_name(name)?;
    if RESERVED.contains(&name.as_str()) {
        return Err(StoreError::ReservedName(name.clone()));
    }
    if description.chars().count() > DESCRIPTION_CHARS_MAX || description.chars().any(char::is_control) {
        return Err(StoreError::TokenDescription);
    }
    if expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
        return Err(StoreError::TokenExpiry);
    }
    let is_name = |name: &String| (1..=GATEWAY_CHARS_MAX).contains(&name.chars().count());
    if gateways.len() > GATEWAYS_MAX || !gateways.iter().all(is_name) {
        return Err(StoreError::TokenGateways);
    }
    // What only an admin may do is about all of outrider.
    if *role == Role::Admin && !gateways.is_empty() {
        return Err(StoreError::TokenAdminGateways);
    }
    Ok(())
}

pub(super) async fn note_access(
    transaction: &mut sqlx::Transaction<'_, sqlx::Sqlite>,
    at_ms: i64,
    by: &str,
    what: &str,
    subject: &str,
) -> Result<(), StoreError> {
    let (by, what, subject) = (by.to_owned(), what.to_owned(), subject.to_owned());
    let entry = AuditEntry { at_ms, by, what, subject, detail: String::new() };
    append_one(transaction, AuditLog::Access, &entry).await
}

/// 256 random bits with a prefix that secret scanners and people recognise.
pub(super) fn random_secret(prefix: &str) -> Result<NewToken, StoreError> {
    let mut random = [0u8; 32];
    getrandom::fill(&mut random).map_err(|error| StoreError::TokenMaking(error.to_string()))?;
    Ok(NewToken(format!("{prefix}{}", hex(&random))))
}

/// Names that fit into a line, a path and a log.
pub(super) fn check_name(name: &str) -> Result<(), StoreError> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@');
    if (1..=64).contains(&name.len()) && name.bytes().all(good) {
        return Ok(());
    }
    Err(StoreError::TokenName(name.to_owned()))
}

pub(super) fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
