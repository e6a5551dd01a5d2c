//! People who sign in with an identity provider. They are added when they come for the first time, and have the role that
//! the provider's word gives them at each sign-in. Who somebody is there never changes; their name there may.

use super::people::{NewPerson, PersonChange, PersonError, Transaction, by_person, insert_person, write_change};
use super::tokens::note_access;
use super::{Role, Store, StoreError};
use crate::oidc::Identity;

/// As the audit log names who adds and changes such people.
const BY: &str = "identity provider";

impl Store {
    /// Lets somebody in whom the provider vouches for, and says their name here. [`Store::start_session`] signs them in.
    pub async fn admit(&self, identity: &Identity, now_ms: i64) -> Result<String, StoreError> {
        let doing = "let somebody in";
        let mut transaction = self.begin(doing).await?;
        let known: Option<(String, String, Option<i64>)> = sqlx::query_as(
            "SELECT people.name, people.role, people.disabled_ms FROM identities
             JOIN people ON people.name = identities.person
             WHERE identities.issuer = $1 AND identities.subject = $2",
        )
        .bind(&identity.issuer)
        .bind(&identity.subject)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(StoreError::query(doing))?;
        let name = match known {
            None => {
                add(&mut transaction, identity, now_ms).await?;
                identity.name.clone()
            }
            Some((name, _, Some(_))) => return Err(PersonError::Disabled(name).into()),
            Some((name, role, None)) => {
                let role: Role = role.parse().map_err(|why| StoreError::Document { table: "people", why })?;
                if role != identity.role {
                    let change = PersonChange::Role(identity.role);
                    let what = write_change(&mut transaction, &name, &change, now_ms).await?;
                    note_access(&mut transaction, now_ms, BY, &what, &by_person(&name)).await?;
                }
                name
            }
        };
        transaction.commit().await.map_err(StoreError::query(doing))?;
        self.feed.access_changed();
        Ok(name)
    }
}

async fn add(transaction: &mut Transaction, identity: &Identity, now_ms: i64) -> Result<(), StoreError> {
    let Identity { issuer, subject, name, display_name, role } = identity;
    let person = NewPerson { name: name.clone(), display_name: display_name.clone(), role: *role };
    match insert_person(transaction, &person, None, BY, now_ms).await {
        // Names are given away at the provider, too: whoever has the same one is not the same.
        Err(StoreError::Person(PersonError::Exists(name))) => return Err(PersonError::OtherAccount(name).into()),
        other => other?,
    }
    sqlx::query("INSERT INTO identities (issuer, subject, person) VALUES ($1, $2, $3)")
        .bind(issuer)
        .bind(subject)
        .bind(name)
        .execute(&mut **transaction)
        .await
        .map(drop)
        .map_err(StoreError::query("let somebody in"))
}
