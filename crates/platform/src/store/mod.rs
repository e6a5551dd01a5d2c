//! The control store: alerts, actions, policies, endpoints and the audit log as people ask for them, and who may ask.
//!
//! All but people, tokens, access and what hunts ask is a projection of the log: [`Store::apply`] upserts whole rows together with the log
//! position that they cover, in one transaction, so applying a stretch of log twice changes nothing (decision 10).
//! SQLite by default; the SQL keeps to what PostgreSQL shares.

mod apis;
mod apply;
mod effects;
mod erase;
mod erasures;
mod feed;
mod gaps;
mod gateways;
mod hunts;
mod identities;
mod listing;
mod notices;
mod outbox;
mod people;
mod posture;
mod query;
mod services;
mod sessions;
mod setup;
mod tokens;
mod trail;
mod verify;
mod words;

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use outrider_discover::posture::ServiceKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

pub use apis::{ApiRow, DOCUMENT_BYTES_MAX, DOCUMENTS_MAX, DocumentRow, read_document};
pub use effects::{EffectBatch, ErasedSubject, TemplateChanges, TemplateRow};
pub use erasures::{
    ERASURES_KEPT_MAX, ERASURES_OPEN_MAX, ErasedCount, Erasure, ErasurePlace, ErasureState, Known, Place, PlaceState,
};
pub use feed::{Change, ChangeKind, DeletedPolicy, FEED_BYTES_MAX, FEED_CHANGES_MAX, Feed, Gone};
pub use gaps::{Gap, GapFilter};
pub use gateways::{CONFIGURATIONS_MAX, GatewayRow, GatewayVersion, GatewayVersions};
pub use hunts::{HUNTS_MAX, HuntEnd, HuntRow, LastRun, is_hunt_within};
pub use notices::{NOTICES_MAX, NoticeChanges};
pub use outbox::{
    DEAD_MAX, DELIVERED_MAX, DestinationRule, OutboxFilter, OutboxRow, OutboxRules, OutboxState, OutboxStats, Outgoing,
    Settled, WAITING_MAX,
};
pub use people::{NewPerson, PEOPLE_MAX, Person, PersonChange, PersonError, by_person, is_name};
pub use posture::{AskedException, UntoldDocuments, WeaknessCounts, WeaknessFilter, WeaknessOrder, WeaknessStanding};
pub use query::{
    ActionFilter, AlertFilter, AlertOrder, AuditFilter, AuditLine, EndpointFilter, EndpointOrder, FindingFilter,
    PAGE_MAX, Page,
};
pub use services::{SERVICES_MAX, Service, ServiceKind, ServiceRow};
pub use sessions::{Activity, SESSION_ABSOLUTE_MS, SESSION_IDLE_MS, SESSIONS_MAX, Session};
pub use tokens::{Gateways, NewToken, Role, TOKENS_MAX, Token, TokenRow, WantedToken};
pub use trail::{AuditLog, AuditMark};
pub use verify::AuditCheck;

use crate::log::Position;

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections for reading. Writing has one of its own, so that many who read never keep the analysis from writing.
const READERS_MAX: u32 = 4;

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
    /// The file is no control store, or is damaged.
    #[error(
        "the control store {} is damaged or is no SQLite database ({source}). Restore it from a backup, or move it away: \
         what the log still holds is written again, tokens have to be made anew",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// A newer version wrote the file.
    #[error(
        "the control store {} has schema {found} and this build knows {known}; it was written by a newer outrider. Start \
         that version, or restore a backup that this one wrote",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this build knows.
        known: i64,
    },
    /// The schema cannot be brought to this version's.
    #[error("the control store {} cannot be brought to this version's schema: {source}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What the migration says.
        source: sqlx::migrate::MigrateError,
    },
    /// The disk is full.
    #[error("the disk of the control store is full; nothing was stored. Free space and it goes on by itself")]
    DiskFull,
    /// Another process holds the file.
    #[error("cannot {doing}: another process holds the control store; nothing but outrider may write to it")]
    Busy {
        /// What was being done.
        doing: &'static str,
    },
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
    #[error("`{0}` is no cursor of this list and order; use the `next` of the page before")]
    Cursor(String),
    /// A token of that name exists.
    #[error("a token named `{0}` exists already; revoke it or choose another name")]
    TokenExists(String),
    /// There is no such token.
    #[error("there is no token named `{0}`")]
    TokenMissing(String),
    /// Nobody could make tokens any more.
    #[error("`{0}` is the last admin's token; make another one, or a person an admin, before it is revoked")]
    LastAdmin(String),
    /// There are too many tokens.
    #[error("there are {0} tokens, which is as many as there may be: revoke one first")]
    TooManyTokens(u32),
    /// A service of that name exists.
    #[error("a service named `{0}` exists already; revoke it or choose another name")]
    ServiceExists(String),
    /// There is no such service.
    #[error("there is no service named `{0}`")]
    ServiceMissing(String),
    /// A service speaks for no gateway.
    #[error("service `{0}` speaks for no gateway; name at least one")]
    ServiceGateways(String),
    /// There are too many services.
    #[error("there are {0} services, which is as many as there may be")]
    TooManyServices(i64),
    /// There is no such hunt.
    #[error("there is no hunt `{0}`")]
    HuntMissing(String),
    /// There is such a hunt, and it was not to be replaced.
    #[error("there is a hunt `{0}` already")]
    HuntExists(String),
    /// There are too many hunts.
    #[error("there are {0} hunts, which is as many as there may be: delete one first")]
    TooManyHunts(usize),
    /// A document cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// There are too many documents.
    #[error("there are {0} documents, which is as many as there may be: delete one first")]
    TooManyDocuments(usize),
    /// A name is not usable.
    #[error("the name `{0}` is not valid: use 1 to 64 characters of letters, digits, `-`, `_`, `.` and `@`")]
    TokenName(String),
    /// The audit log calls a part of outrider so.
    #[error("`{0}` is what the audit log calls a part of outrider; choose another name")]
    ReservedName(String),
    /// What a token is for is said in too many words.
    #[error("a token's description has at most 200 characters and no control characters")]
    TokenDescription,
    /// A token would have ended before it began.
    #[error("a token can only end in the future")]
    TokenExpiry,
    /// The gateways of a token cannot be meant.
    #[error("a token is for at most 100 gateways, each by its name of 1 to 64 characters")]
    TokenGateways,
    /// An admin's token is for all gateways.
    #[error(
        "an admin's token cannot be for some gateways only: admins change what is about all of outrider; use the role responder"
    )]
    TokenAdminGateways,
    /// The system gives no random numbers, or the token's file cannot be written.
    #[error("cannot make a token: {0}")]
    TokenMaking(String),
    /// Somebody is being erased already.
    #[error("this subject is being erased already: look at erasure `{0}`")]
    ErasureUnderWay(String),
    /// Something against somebody goes on.
    #[error(
        "action `{0}` against this subject is not over: release or reject it, and when it is over ask again; what is active \
         at a gateway has to be taken away by its name"
    )]
    ErasureBlocked(String),
    /// A name or a pseudonym where an id is meant.
    #[error(
        "nobody is erased by a consumer's name, or by the pseudonym of a credential that has an id at the gateway: ask for the \
         erasure of the id, `{0}`"
    )]
    ErasureByName(String),
    /// There are too many erasures.
    #[error("there are {0} erasures under way, which is as many as there may be: wait until one is done")]
    TooManyErasures(i64),
    /// Somebody cannot be added or changed.
    #[error(transparent)]
    Person(#[from] PersonError),
}

impl StoreError {
    fn query(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
        move |source| match primary_code(&source) {
            Some(SQLITE_FULL) => StoreError::DiskFull,
            Some(SQLITE_BUSY | SQLITE_LOCKED) => StoreError::Busy { doing },
            _ => StoreError::Query { doing, source },
        }
    }

    fn open(path: &Path, source: sqlx::Error) -> StoreError {
        match primary_code(&source) {
            Some(SQLITE_CORRUPT | SQLITE_NOT_A_DATABASE) => StoreError::Damaged { path: path.to_owned(), source },
            Some(SQLITE_FULL) => StoreError::DiskFull,
            Some(SQLITE_BUSY | SQLITE_LOCKED) => StoreError::Busy { doing: "open the control store" },
            _ => StoreError::Open { path: path.to_owned(), source },
        }
    }

    fn document(table: &'static str) -> impl FnOnce(serde_json::Error) -> StoreError {
        move |error| StoreError::Document { table, why: error.to_string() }
    }
}

const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_FULL: i32 = 13;
const SQLITE_NOT_A_DATABASE: i32 = 26;

/// SQLite's result code without what it adds to it in the higher bytes.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let sqlx::Error::Database(error) = error else { return None };
    error.code()?.parse::<i32>().ok().map(|code| code & 0xff)
}

/// How much the store keeps. Beyond a limit the oldest rows go, some time later, and are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreLimits {
    /// Findings. The lake can make them again.
    pub findings_max: u32,
    /// Alerts that are resolved or false positives; live ones always stay.
    pub closed_alerts_max: u32,
    /// Actions that are over; others always stay.
    pub ended_actions_max: u32,
    /// Entries of each log of the audit log.
    pub audit_max: u32,
}

impl Default for StoreLimits {
    fn default() -> Self {
        StoreLimits {
            findings_max: 1_000_000,
            closed_alerts_max: 100_000,
            ended_actions_max: 100_000,
            audit_max: 1_000_000,
        }
    }
}

impl StoreLimits {
    fn smallest(&self) -> u64 {
        let all = [self.findings_max, self.closed_alerts_max, self.ended_actions_max];
        all.into_iter().min().unwrap_or(0).into()
    }
}

/// The store in numbers. Counters begin with the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StoreStats {
    /// Stretches of log written.
    pub applied: u64,
    /// Stretches of log that were covered already.
    pub repeated: u64,
    /// Findings forgotten because there were too many.
    pub findings_forgotten: u64,
    /// Closed alerts forgotten.
    pub alerts_forgotten: u64,
    /// Ended actions forgotten.
    pub actions_forgotten: u64,
    /// Lines of the audit log forgotten.
    pub audit_forgotten: u64,
}

#[derive(Debug, Default)]
struct Counters {
    applied: AtomicU64,
    repeated: AtomicU64,
    /// Rows written since the limits were looked after.
    since_prune: AtomicU64,
    findings_forgotten: AtomicU64,
    alerts_forgotten: AtomicU64,
    actions_forgotten: AtomicU64,
    audit_forgotten: AtomicU64,
}

/// The open control store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    readers: SqlitePool,
    writer: SqlitePool,
    limits: StoreLimits,
    counters: Arc<Counters>,
    outbox: Arc<outbox::Outbox>,
    feed: Feed,
}

impl Store {
    /// Opens a file, making it on first use, and brings it to this version's schema.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        Store::open_with(path, StoreLimits::default()).await
    }

    /// As [`Store::open`], with limits of one's own.
    pub async fn open_with(path: &Path, limits: StoreLimits) -> Result<Store, StoreError> {
        let failed = |source| StoreError::open(path, source);
        let options = SqliteConnectOptions::from_str("sqlite://")
            .map_err(failed)?
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // The log is cut below the store's position, so a commit must survive the loss of power.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        create_private(path).map_err(|error| failed(sqlx::Error::Io(error)))?;
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections);
        let writer = pool(1).connect_with(options.clone()).await.map_err(failed)?;
        migrate(&writer, path).await?;
        let readers = pool(READERS_MAX).connect_with(options.read_only(true)).await.map_err(failed)?;
        Ok(Store { readers, writer, limits, counters: Arc::default(), outbox: Arc::default(), feed: Feed::default() })
    }

    /// Copies a store, which may be in use, to a file that is not there yet. Says the log position that the copy covers.
    pub async fn copy(from: &Path, to: &Path) -> Result<Position, StoreError> {
        let failed = |source| StoreError::open(from, source);
        let options = SqliteConnectOptions::new().filename(from).busy_timeout(BUSY_TIMEOUT);
        let source = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(failed)?;
        let copied = sqlx::query("VACUUM INTO $1").bind(to.to_string_lossy().into_owned()).execute(&source).await;
        source.close().await;
        copied.map_err(StoreError::query("copy the control store"))?;
        Store::position_in(to).await
    }

    /// The log position that the store in a file covers, whatever its version. Changes nothing.
    pub async fn position_in(path: &Path) -> Result<Position, StoreError> {
        let failed = |source| StoreError::open(path, source);
        let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
        let readers = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(failed)?;
        let position = position(&readers).await;
        readers.close().await;
        position
    }

    /// The log position that the store covers; zero for a new one.
    pub async fn position(&self) -> Result<Position, StoreError> {
        position(&self.readers).await
    }

    /// What was stored just now, for whoever wants to know at once.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The store in numbers.
    pub fn stats(&self) -> StoreStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StoreStats {
            applied: read(&self.counters.applied),
            repeated: read(&self.counters.repeated),
            findings_forgotten: read(&self.counters.findings_forgotten),
            alerts_forgotten: read(&self.counters.alerts_forgotten),
            actions_forgotten: read(&self.counters.actions_forgotten),
            audit_forgotten: read(&self.counters.audit_forgotten),
        }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

async fn position(pool: &SqlitePool) -> Result<Position, StoreError> {
    let row: Option<(String,)> = sqlx::query_as("SELECT value FROM meta WHERE name = 'position'")
        .fetch_optional(pool)
        .await
        .map_err(StoreError::query("read the control store's position"))?;
    match row {
        None => Ok(Position::ZERO),
        Some((text,)) => {
            let wrong = |_| StoreError::Document { table: "meta", why: format!("position is `{text}`") };
            text.parse().map(Position).map_err(wrong)
        }
    }
}

/// Makes the file, where it is missing, so that only this user can read it. SQLite gives its other files the same rights.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

async fn migrate(writer: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    // The migrator says of a newer file only that a migration is missing, so it is asked for first. A file without the
    // table is new, or is no control store, which the migrator finds out.
    let found: Result<(Option<i64>,), _> =
        sqlx::query_as("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(writer).await;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    if let Ok((Some(found),)) = found
        && found > known
    {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    MIGRATIONS.run(writer).await.map_err(|error| match error {
        MigrateError::Execute(source) => StoreError::open(path, source),
        source => StoreError::Schema { path: path.to_owned(), source },
    })?;
    let doing = "seal the audit log";
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::query(doing))?;
    trail::seal(&mut transaction).await?;
    transaction.commit().await.map_err(StoreError::query(doing))
}
