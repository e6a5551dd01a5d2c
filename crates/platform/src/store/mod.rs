//! The control store: alerts, actions, policies, endpoints and the audit log as people ask for them, and who may ask.
//!
//! All but tokens and access is a projection of the log: [`Store::apply`] upserts whole rows together with the log
//! position that they cover, in one transaction, so applying a stretch of log twice changes nothing (decision 10).
//! SQLite by default; the SQL keeps to what PostgreSQL shares.

mod apply;
mod effects;
mod query;
mod tokens;

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

pub use effects::EffectBatch;
pub use query::{ActionFilter, AlertFilter, AuditLine, EndpointFilter, FindingFilter, PAGE_MAX, Page};
pub use tokens::{NewToken, Role, Token, TokenRow};

use crate::log::Position;

/// How long a statement waits for another connection's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections for reading; writing is serialised by SQLite.
const CONNECTIONS_MAX: u32 = 4;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// Why the store failed. The text says what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened.
    #[error("cannot open the control store {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// The schema is another version's.
    #[error(
        "the control store {} cannot be brought to this version's schema: {source}. If a newer outrider wrote it, start \
         that version, or restore a backup that this one wrote",
        path.display()
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// What the migration says.
        source: sqlx::migrate::MigrateError,
    },
    /// The disk is full.
    #[error("the disk of the control store is full; nothing was stored. Free space and it goes on by itself")]
    DiskFull,
    /// A statement failed.
    #[error("cannot {doing}: {source}")]
    Query {
        /// What was being done.
        doing: &'static str,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// A stored document is not what its table holds.
    #[error("a row of `{table}` cannot be read ({why}); restore the control store from a backup")]
    Document {
        /// The table.
        table: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A cursor was not made by this API.
    #[error("`{0}` is no cursor; use the `next` of the page before")]
    Cursor(String),
    /// A token of that name exists.
    #[error("a token named `{0}` exists already; revoke it or choose another name")]
    TokenExists(String),
    /// There is no such token.
    #[error("there is no token named `{0}`")]
    TokenMissing(String),
    /// A token's name is not usable.
    #[error("token name `{0}` is not valid: use 1 to 64 characters of letters, digits, `-`, `_`, `.` and `@`")]
    TokenName(String),
    /// The system gives no random numbers, or the token's file cannot be written.
    #[error("cannot make a token: {0}")]
    TokenMaking(String),
}

impl StoreError {
    fn query(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
        move |source| match &source {
            // SQLITE_FULL
            sqlx::Error::Database(error) if error.code().as_deref() == Some("13") => StoreError::DiskFull,
            _ => StoreError::Query { doing, source },
        }
    }

    fn document(table: &'static str) -> impl FnOnce(serde_json::Error) -> StoreError {
        move |error| StoreError::Document { table, why: error.to_string() }
    }
}

/// The open control store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens a file, making it on first use, and brings it to this version's schema.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        let failed = |source| StoreError::Open { path: path.to_owned(), source };
        let options = SqliteConnectOptions::from_str("sqlite://")
            .map_err(failed)?
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // The log holds everything that led to a row, so losing the last commits with the power loses nothing.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        let pool =
            SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).connect_with(options).await.map_err(failed)?;
        MIGRATIONS.run(&pool).await.map_err(|source| StoreError::Schema { path: path.to_owned(), source })?;
        Ok(Store { pool })
    }

    /// The log position that the store covers; zero for a new one.
    pub async fn position(&self) -> Result<Position, StoreError> {
        let doing = "read the control store's position";
        let row: Option<(String,)> = sqlx::query_as("SELECT value FROM meta WHERE name = 'position'")
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query(doing))?;
        match row {
            None => Ok(Position::ZERO),
            Some((text,)) => {
                let wrong = |_| StoreError::Document { table: "meta", why: format!("position is `{text}`") };
                text.parse().map(Position).map_err(wrong)
            }
        }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
