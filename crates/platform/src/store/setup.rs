//! The first admin: made once, by whoever can read a file in the data directory.

use std::path::Path;

use sqlx::SqliteConnection;
use subtle::ConstantTimeEq as _;

use super::apply::write_meta;
use super::people::{NewPerson, PersonError, Transaction, insert_person};
use super::tokens::{hash, random_secret};
use super::{Role, Store, StoreError};
use crate::durable;
use crate::passwords::HashedPassword;

/// The row of `meta` with the setup token's hash.
const SETUP_TOKEN: &str = "setup_token";

impl Store {
    /// Writes a token for the first admin to a file that only this user can read, while nobody could
    /// administer; otherwise removes what an earlier start may have left. Says whether there is one.
    ///
    /// Each start makes a new one. The file is there before the store knows it: a crash between the two leaves a file that
    /// the next start replaces.
    pub async fn prepare_setup(&self, file: &Path) -> Result<bool, StoreError> {
        let failed = |error| StoreError::TokenMaking(format!("cannot write {}: {error}", file.display()));
        let doing = "prepare the setup";
        let mut transaction = self.begin(doing).await?;
        if !is_without_admin(&mut transaction).await? {
            forget(&mut transaction).await?;
            transaction.commit().await.map_err(StoreError::query(doing))?;
            remove(file);
            return Ok(false);
        }
        let token = random_secret("outrider_setup_")?;
        durable::replace(file, format!("{}\n", token.reveal()).as_bytes()).map_err(failed)?;
        write_meta(&mut transaction, SETUP_TOKEN, hash(token.reveal())).await?;
        transaction.commit().await.map_err(StoreError::query(doing))?;
        Ok(true)
    }

    /// Whether a token is the one of the setup, while the setup is open.
    pub async fn check_setup(&self, presented: &str) -> Result<(), StoreError> {
        // Anybody may ask, so it takes nothing from who writes.
        let mut reader = self.readers.acquire().await.map_err(StoreError::query("check the setup token"))?;
        check(&mut reader, presented).await
    }

    /// Whether there is nobody yet who could administer.
    pub async fn is_setup_open(&self) -> Result<bool, StoreError> {
        let mut reader = self.readers.acquire().await.map_err(StoreError::query("see whether there is an admin"))?;
        is_without_admin(&mut reader).await
    }

    /// Makes the first admin and uses the token up. `file` is removed.
    pub async fn set_up(
        &self,
        presented: &str,
        name: &str,
        password: &HashedPassword,
        file: &Path,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin("make the first admin").await?;
        check(&mut transaction, presented).await?;
        let person = NewPerson { name: name.to_owned(), display_name: String::new(), role: Role::Admin };
        insert_person(&mut transaction, &person, Some(password), "setup token", now_ms).await?;
        forget(&mut transaction).await?;
        transaction.commit().await.map_err(StoreError::query("make the first admin"))?;
        remove(file);
        Ok(())
    }
}

async fn check(connection: &mut SqliteConnection, presented: &str) -> Result<(), StoreError> {
    if !is_without_admin(connection).await? {
        return Err(PersonError::SetUp.into());
    }
    let known: Option<(String,)> = sqlx::query_as("SELECT value FROM meta WHERE name = $1")
        .bind(SETUP_TOKEN)
        .fetch_optional(connection)
        .await
        .map_err(StoreError::query("read the setup token"))?;
    let is_right = known.is_some_and(|(known,)| known.as_bytes().ct_eq(hash(presented).as_bytes()).into());
    if is_right { Ok(()) } else { Err(PersonError::SetupToken.into()) }
}

/// Whether nobody could administer: no person who may sign in, by password or with an identity provider, and no token
/// without an end.
async fn is_without_admin(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let (known,): (i64,) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM people WHERE role = $1 AND disabled_ms IS NULL)
              + (SELECT COUNT(*) FROM tokens WHERE role = $1 AND revoked_ms IS NULL AND expires_ms IS NULL)",
    )
    .bind(Role::Admin.as_str())
    .fetch_one(connection)
    .await
    .map_err(StoreError::query("count the admins"))?;
    Ok(known == 0)
}

async fn forget(transaction: &mut Transaction) -> Result<(), StoreError> {
    let delete = sqlx::query("DELETE FROM meta WHERE name = $1").bind(SETUP_TOKEN);
    delete.execute(&mut **transaction).await.map(drop).map_err(StoreError::query("use the setup token up"))
}

/// A file that stays behind names a token that is good for nothing.
fn remove(file: &Path) {
    if let Err(error) = std::fs::remove_file(file)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %file.display(), %error, "the setup token's file could not be removed; it opens nothing any more");
    }
}
