//! Collectors, functions and responders on the premises: their identities, and when they were heard from.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tokens::{check_name, hash, note_access, random_secret};
use super::{NewToken, Store, StoreError};

/// How many services there may be at once.
pub const SERVICES_MAX: i64 = 1000;
/// How many revoked ones are remembered: the newest. The audit log has all of them.
pub const REVOKED_MAX: i64 = 1000;

/// What a service does on the premises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceKind {
    /// Ships calls.
    Collector,
    /// Ships calls as well, and keeps nothing: it is there while a gateway sends some, in as many instances as that takes.
    Function,
    /// Carries out actions at gateways.
    Responder,
}

impl ServiceKind {
    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceKind::Collector => "collector",
            ServiceKind::Function => "function",
            ServiceKind::Responder => "responder",
        }
    }
}

impl fmt::Display for ServiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ServiceKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kinds = [ServiceKind::Collector, ServiceKind::Function, ServiceKind::Responder];
        let found = kinds.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is no kind of service; there are collector, function and responder"))
    }
}

/// Who a service's token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: ServiceKind,
    /// The gateways that it may speak for.
    pub gateways: Vec<String>,
}

/// A service as a list shows it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ServiceRow {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: ServiceKind,
    /// The gateways that it may speak for.
    pub gateways: Vec<String>,
    /// When it was made.
    pub created_ms: i64,
    /// Who made it.
    pub created_by: String,
    /// When it was revoked, if it was.
    pub revoked_ms: Option<i64>,
    /// When it was last heard from, to the minute.
    pub seen_ms: Option<i64>,
    /// What it said then: version, instance, clock, counters. A function says nothing.
    pub heartbeat: Option<Value>,
}

impl Store {
    /// Makes the identity of a service. A revoked one of the same name gives its name free.
    pub async fn create_service(&self, service: &Service, by: &str, now_ms: i64) -> Result<NewToken, StoreError> {
        let doing = "make a service";
        let Service { name, kind, gateways } = service;
        check_name(name)?;
        if gateways.is_empty() {
            return Err(StoreError::ServiceGateways(name.clone()));
        }
        let token = random_secret("outrider_")?;
        let mut transaction = self.begin(doing).await?;
        let (others,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM services WHERE name <> $1 AND revoked_ms IS NULL")
            .bind(name)
            .fetch_one(&mut *transaction)
            .await
            .map_err(StoreError::query(doing))?;
        if others >= SERVICES_MAX {
            return Err(StoreError::TooManyServices(SERVICES_MAX));
        }
        let inserted = sqlx::query(
            "INSERT INTO services (name, kind, gateways, hash, created_ms, created_by) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, gateways = excluded.gateways, hash = excluded.hash,
               created_ms = excluded.created_ms, created_by = excluded.created_by, revoked_ms = NULL, seen_ms = NULL,
               heartbeat = NULL
             WHERE services.revoked_ms IS NOT NULL",
        )
        .bind(name)
        .bind(kind.as_str())
        .bind(serde_json::to_string(gateways).map_err(StoreError::document("services"))?)
        .bind(hash(token.reveal()))
        .bind(now_ms)
        .bind(by)
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::query(doing))?;
        if inserted.rows_affected() == 0 {
            return Err(StoreError::ServiceExists(name.clone()));
        }
        let what = format!("created {kind} for {}", gateways.join(", "));
        note_access(&mut transaction, now_ms, by, &what, name).await?;
        transaction.commit().await.map_err(StoreError::query(doing))?;
        Ok(token)
    }

    /// Revokes a service's token; it is let in no more from now on. Of too many revoked ones the oldest are forgotten.
    pub async fn revoke_service(&self, name: &str, by: &str, now_ms: i64) -> Result<(), StoreError> {
        let doing = "revoke a service";
        let mut transaction = self.begin(doing).await?;
        let revoked = sqlx::query("UPDATE services SET revoked_ms = $1 WHERE name = $2 AND revoked_ms IS NULL")
            .bind(now_ms)
            .bind(name)
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::query(doing))?;
        if revoked.rows_affected() == 0 {
            return Err(StoreError::ServiceMissing(name.to_owned()));
        }
        sqlx::query(
            "DELETE FROM services WHERE revoked_ms IS NOT NULL AND name NOT IN
               (SELECT name FROM services WHERE revoked_ms IS NOT NULL ORDER BY revoked_ms DESC, name LIMIT $1)",
        )
        .bind(REVOKED_MAX)
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::query(doing))?;
        note_access(&mut transaction, now_ms, by, "revoked service", name).await?;
        transaction.commit().await.map_err(StoreError::query(doing))
    }

    /// Who a service's token stands for, unless it was revoked.
    pub async fn authenticate_service(&self, token: &str) -> Result<Option<Service>, StoreError> {
        let row: Option<(String, String, String)> =
            sqlx::query_as("SELECT name, kind, gateways FROM services WHERE hash = $1 AND revoked_ms IS NULL")
                .bind(hash(token))
                .fetch_optional(&self.readers)
                .await
                .map_err(StoreError::query("look up a service"))?;
        row.map(|(name, kind, gateways)| service(name, &kind, &gateways)).transpose()
    }

    /// All services by name, revoked ones too.
    pub async fn services(&self) -> Result<Vec<ServiceRow>, StoreError> {
        type Row = (String, String, String, i64, String, Option<i64>, Option<i64>, Option<String>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT name, kind, gateways, created_ms, created_by, revoked_ms, seen_ms, heartbeat
             FROM services ORDER BY name",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::query("list services"))?;
        rows.into_iter()
            .map(|(name, kind, gateways, created_ms, created_by, revoked_ms, seen_ms, heartbeat)| {
                let Service { name, kind, gateways } = service(name, &kind, &gateways)?;
                let heartbeat = heartbeat.map(|text| serde_json::from_str(&text)).transpose();
                let heartbeat = heartbeat.map_err(StoreError::document("services"))?;
                Ok(ServiceRow { name, kind, gateways, created_ms, created_by, revoked_ms, seen_ms, heartbeat })
            })
            .collect()
    }

    /// Remembers that a service was heard from, and what it said of itself.
    pub async fn heard_from(&self, name: &str, heartbeat: Option<&Value>, now_ms: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE services SET seen_ms = $1, heartbeat = $2 WHERE name = $3")
            .bind(now_ms)
            .bind(heartbeat.map(Value::to_string))
            .bind(name)
            .execute(&self.writer)
            .await
            .map(drop)
            .map_err(StoreError::query("note a service's heartbeat"))
    }
}

fn service(name: String, kind: &str, gateways: &str) -> Result<Service, StoreError> {
    let kind = kind.parse().map_err(|why| StoreError::Document { table: "services", why })?;
    let gateways = serde_json::from_str(gateways).map_err(StoreError::document("services"))?;
    Ok(Service { name, kind, gateways })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collector(name: &str) -> Service {
        Service { name: name.to_owned(), kind: ServiceKind::Collector, gateways: vec!["kong".to_owned()] }
    }

    /// Fills the table with services from number `first` on.
    async fn fill(store: &Store, first: i64, count: i64, revoked_ms: Option<i64>) {
        sqlx::query(
            "WITH RECURSIVE numbers(number) AS
               (SELECT $1 UNION ALL SELECT number + 1 FROM numbers WHERE number < $1 + $2 - 1)
             INSERT INTO services (name, kind, gateways, hash, created_ms, created_by, revoked_ms)
             SELECT 'service-' || number, 'collector', '[\"kong\"]', 'hash-' || number, 1, 'test', $3 FROM numbers",
        )
        .bind(first)
        .bind(count)
        .bind(revoked_ms)
        .execute(&store.writer)
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn revoked_services_keep_no_new_one_out_and_are_forgotten_in_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("control.sqlite")).await.unwrap();
        fill(&store, 0, REVOKED_MAX, Some(5)).await;
        fill(&store, 5000, SERVICES_MAX - 1, None).await;
        store.create_service(&collector("last"), "test", 9).await.unwrap();
        let error = store.create_service(&collector("more"), "test", 9).await.unwrap_err();
        assert!(matches!(error, StoreError::TooManyServices(SERVICES_MAX)), "{error}");
        // A revoked one gives its place free, and the oldest revoked one goes.
        store.revoke_service("last", "test", 10).await.unwrap();
        let rows = store.services().await.unwrap();
        let revoked: Vec<_> = rows.iter().filter(|row| row.revoked_ms.is_some()).collect();
        assert_eq!(revoked.len() as i64, REVOKED_MAX);
        assert!(revoked.iter().any(|row| row.name == "last"));
        assert!(!revoked.iter().any(|row| row.name == "service-999"), "of equals the last by name");
        store.create_service(&collector("more"), "test", 11).await.unwrap();
        store.create_service(&collector("last"), "test", 12).await.unwrap_err();
    }
}
