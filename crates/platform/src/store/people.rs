//! People: who may sign in, with which role. Nobody is deleted, because the audit log names them; who is gone is disabled.

use schemars::JsonSchema;
use serde::Serialize;
use sqlx::AssertSqlSafe;

use super::tokens::{hash, note_access};
use super::{Role, Store, StoreError};
use crate::passwords::HashedPassword;

/// How many people there may be, disabled ones too.
pub const PEOPLE_MAX: u32 = 1000;
/// Characters of a name that is shown.
const DISPLAY_CHARS_MAX: usize = 100;

/// Somebody who may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Person {
    /// What they sign in with.
    pub name: String,
    /// How they are shown.
    pub display_name: String,
    /// What they may do.
    pub role: Role,
    /// When they were added.
    pub created_ms: i64,
    /// Who added them.
    pub created_by: String,
    /// The identity provider that they sign in with; null with a password.
    pub issuer: Option<String>,
    /// Since when they may not sign in, if so.
    pub disabled_ms: Option<i64>,
    /// When they last signed in.
    pub last_seen_ms: Option<i64>,
}

impl Person {
    /// Whether alerts may be given to them: they may sign in, and work on alerts.
    pub fn may_be_assigned(&self) -> bool {
        self.disabled_ms.is_none() && self.role >= Role::Analyst
    }
}

/// Somebody to be added.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// What they sign in with.
    pub name: String,
    /// How they are shown; empty for their name.
    pub display_name: String,
    /// What they may do.
    pub role: Role,
}

/// What is to become of somebody.
#[derive(Debug, Clone)]
pub enum PersonChange {
    /// Another role. Whoever is signed in is signed out.
    Role(Role),
    /// Another name to be shown.
    DisplayName(String),
    /// They may not sign in, and are signed out.
    Disable,
    /// They may sign in again.
    Enable,
    /// Another password. Whoever is signed in is signed out.
    Password(HashedPassword),
}

/// Why somebody cannot be added or changed.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// Somebody has that name.
    #[error("there is somebody named `{0}` already; choose another name")]
    Exists(String),
    /// Nobody has that name.
    #[error("there is nobody named `{0}`")]
    Missing(String),
    /// The name is not usable.
    #[error("the name `{0}` is not valid: use 1 to 64 characters of a-z, 0-9, `-`, `_`, `.` and `@`")]
    Name(String),
    /// The name to be shown is not usable.
    #[error("a display name has at most {DISPLAY_CHARS_MAX} characters and no control characters")]
    DisplayName,
    /// There are too many people.
    #[error("there are {PEOPLE_MAX} people, which is as many as there may be")]
    TooMany,
    /// Nobody could let anybody in any more.
    #[error("`{0}` is the last admin; make somebody else an admin first")]
    LastAdmin(String),
    /// They may not sign in any more.
    #[error("`{0}` may not sign in any more; ask an admin")]
    Disabled(String),
    /// The name that the identity provider says is somebody else's.
    #[error(
        "there is somebody named `{0}` already, who is not this account of the identity provider; an admin can let another \
         claim give names (access.oidc.name_claim)"
    )]
    OtherAccount(String),
    /// Their role and password are not outrider's.
    #[error("`{0}` signs in with the identity provider: it gives them their role, and they have no password here")]
    Elsewhere(String),
    /// The first admin exists.
    #[error(
        "this installation has an admin already; ask one to add you, or run `outrider person create` on its machine"
    )]
    SetUp,
    /// The token of the setup is not the one that was given out.
    #[error("this is not the setup token of this installation; it is in `setup-token` in the data directory")]
    SetupToken,
}

pub(super) type Transaction = sqlx::Transaction<'static, sqlx::Sqlite>;
type Row = (String, String, String, i64, String, Option<i64>, Option<i64>, Option<String>);

const CHANGING: &str = "change somebody";
const COLUMNS: &str = "name, display_name, role, created_ms, created_by, disabled_ms, last_seen_ms,
    (SELECT issuer FROM identities WHERE identities.person = people.name)";

impl Store {
    /// Adds somebody.
    pub async fn create_person(
        &self,
        person: &NewPerson,
        password: &HashedPassword,
        by: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin("add somebody").await?;
        insert_person(&mut transaction, person, Some(password), by, now_ms).await?;
        transaction.commit().await.map_err(StoreError::query("add somebody"))
    }

    /// All people by name, disabled ones too.
    pub async fn people(&self) -> Result<Vec<Person>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(format!("SELECT {COLUMNS} FROM people ORDER BY name")))
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::query("list people"))?;
        rows.into_iter().map(person_of).collect()
    }

    /// Somebody by name.
    pub async fn person(&self, name: &str) -> Result<Option<Person>, StoreError> {
        let row: Option<Row> = sqlx::query_as(AssertSqlSafe(format!("SELECT {COLUMNS} FROM people WHERE name = $1")))
            .bind(name)
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::query("read somebody"))?;
        row.map(person_of).transpose()
    }

    /// The password of somebody who may sign in with one.
    pub async fn password_of(&self, name: &str) -> Result<Option<HashedPassword>, StoreError> {
        let row: Option<(String,)> =
            sqlx::query_as("SELECT password FROM people WHERE name = $1 AND disabled_ms IS NULL AND password <> ''")
                .bind(name)
                .fetch_optional(&self.readers)
                .await
                .map_err(StoreError::query("read a password"))?;
        Ok(row.map(|(password,)| HashedPassword::stored(password)))
    }

    /// Changes somebody, all or nothing. The last admin stays one. Where a change asks for it, their sessions end with it.
    pub async fn change_person(
        &self,
        name: &str,
        changes: &[PersonChange],
        by: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin(CHANGING).await?;
        let admins = lasting_admins(&mut transaction).await?;
        for change in changes {
            if matches!(change, PersonChange::Role(_) | PersonChange::Password(_)) {
                check_is_ours(&mut transaction, name).await?;
            }
            let what = write_change(&mut transaction, name, change, now_ms).await?;
            note_access(&mut transaction, now_ms, by, &what, &by_person(name)).await?;
        }
        if admins > 0 && lasting_admins(&mut transaction).await? == 0 {
            return Err(PersonError::LastAdmin(name.to_owned()).into());
        }
        transaction.commit().await.map_err(StoreError::query(CHANGING))?;
        self.feed.access_changed();
        Ok(())
    }

    /// Changes somebody's own password, who is signed in and has just said the one that is replaced. All their sessions end.
    /// Says whether that was so until the end: an admin may have given them another password, or ended the session.
    pub async fn change_own_password(
        &self,
        name: &str,
        session: &str,
        current: &HashedPassword,
        new: &HashedPassword,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin(CHANGING).await?;
        let is_as_before: Option<(String,)> = sqlx::query_as(
            "SELECT people.name FROM people JOIN sessions ON sessions.person = people.name
             WHERE people.name = $1 AND people.password = $2 AND people.disabled_ms IS NULL AND sessions.hash = $3",
        )
        .bind(name)
        .bind(current.as_str())
        .bind(hash(session))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(StoreError::query(CHANGING))?;
        if is_as_before.is_none() {
            return Ok(false);
        }
        let change = PersonChange::Password(new.clone());
        let (what, by) = (write_change(&mut transaction, name, &change, now_ms).await?, by_person(name));
        note_access(&mut transaction, now_ms, &by, &what, &by).await?;
        transaction.commit().await.map_err(StoreError::query(CHANGING))?;
        self.feed.access_changed();
        Ok(true)
    }

    pub(super) async fn begin(&self, doing: &'static str) -> Result<Transaction, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::query(doing))
    }
}

/// Refuses to change what the identity provider says of somebody.
async fn check_is_ours(transaction: &mut Transaction, name: &str) -> Result<(), StoreError> {
    let found: Option<(String,)> = sqlx::query_as("SELECT person FROM identities WHERE person = $1")
        .bind(name)
        .fetch_optional(&mut **transaction)
        .await
        .map_err(StoreError::query(CHANGING))?;
    found.map_or(Ok(()), |(name,)| Err(PersonError::Elsewhere(name).into()))
}

/// Carries a change out and says in words what it was.
pub(super) async fn write_change(
    transaction: &mut Transaction,
    name: &str,
    change: &PersonChange,
    now_ms: i64,
) -> Result<String, StoreError> {
    let (set, value, what) = match change {
        PersonChange::Role(role) => ("role = $2", role.to_string(), format!("changed the role to {role}")),
        PersonChange::DisplayName(shown) => {
            check_display_name(shown)?;
            ("display_name = $2", shown.clone(), "changed the display name".to_owned())
        }
        PersonChange::Disable => {
            ("disabled_ms = COALESCE(disabled_ms, CAST($2 AS BIGINT))", now_ms.to_string(), "disabled".to_owned())
        }
        PersonChange::Enable => ("disabled_ms = NULLIF($2, $2)", String::new(), "enabled".to_owned()),
        PersonChange::Password(hash) => ("password = $2", hash.as_str().to_owned(), "changed the password".to_owned()),
    };
    let changed = sqlx::query(AssertSqlSafe(format!("UPDATE people SET {set} WHERE name = $1")))
        .bind(name)
        .bind(value)
        .execute(&mut **transaction)
        .await
        .map_err(StoreError::query(CHANGING))?;
    if changed.rows_affected() == 0 {
        return Err(PersonError::Missing(name.to_owned()).into());
    }
    if !matches!(change, PersonChange::DisplayName(_) | PersonChange::Enable) {
        let end = sqlx::query("DELETE FROM sessions WHERE person = $1").bind(name);
        end.execute(&mut **transaction).await.map_err(StoreError::query(CHANGING))?;
    }
    Ok(what)
}

/// How a person is named where tokens, policies and outrider itself are named, too. No token's name has a colon.
pub fn by_person(name: &str) -> String {
    format!("person:{name}")
}

/// Whether this can be somebody's name. Small letters alone, so that nobody is taken for somebody else.
pub fn is_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.' | b'@');
    (1..=64).contains(&name.len()) && name.bytes().all(good)
}

pub(super) async fn insert_person(
    transaction: &mut Transaction,
    NewPerson { name, display_name, role }: &NewPerson,
    password: Option<&HashedPassword>,
    by: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let doing = "add somebody";
    if !is_name(name) {
        return Err(PersonError::Name(name.chars().take(64).collect()).into());
    }
    check_display_name(display_name)?;
    let (people,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM people")
        .fetch_one(&mut **transaction)
        .await
        .map_err(StoreError::query(doing))?;
    if people >= i64::from(PEOPLE_MAX) {
        return Err(PersonError::TooMany.into());
    }
    let inserted = sqlx::query(
        "INSERT INTO people (name, display_name, role, password, created_ms, created_by)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING",
    )
    .bind(name)
    .bind(if display_name.is_empty() { name } else { display_name })
    .bind(role.as_str())
    .bind(password.map_or("", HashedPassword::as_str))
    .bind(now_ms)
    .bind(by)
    .execute(&mut **transaction)
    .await
    .map_err(StoreError::query(doing))?;
    if inserted.rows_affected() == 0 {
        return Err(PersonError::Exists(name.clone()).into());
    }
    note_access(transaction, now_ms, by, &format!("added as {role}"), &by_person(name)).await
}

/// People and tokens together that are admins and stay so until somebody changes it. Whether those come in whom an identity
/// provider vouches for is not decided here, so they do not count.
pub(super) async fn lasting_admins(transaction: &mut Transaction) -> Result<i64, StoreError> {
    let (admins,): (i64,) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM people WHERE role = $1 AND disabled_ms IS NULL AND password <> '')
              + (SELECT COUNT(*) FROM tokens WHERE role = $1 AND revoked_ms IS NULL AND expires_ms IS NULL)",
    )
    .bind(Role::Admin.as_str())
    .fetch_one(&mut **transaction)
    .await
    .map_err(StoreError::query("count the admins"))?;
    Ok(admins)
}

fn check_display_name(name: &str) -> Result<(), PersonError> {
    let is_good = name.chars().count() <= DISPLAY_CHARS_MAX && !name.chars().any(char::is_control);
    if is_good { Ok(()) } else { Err(PersonError::DisplayName) }
}

fn person_of(
    (name, display_name, role, created_ms, created_by, disabled_ms, last_seen_ms, issuer): Row,
) -> Result<Person, StoreError> {
    let role = role.parse().map_err(|why| StoreError::Document { table: "people", why })?;
    Ok(Person { name, display_name, role, created_ms, created_by, issuer, disabled_ms, last_seen_ms })
}
