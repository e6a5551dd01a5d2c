//! The APIs behind the gateways: what is known of the endpoints of each service, and the OpenAPI document that its owner has given.
//!
//! What is known comes from the log; a document is here alone, as it was given, because no decision reads it.

use outrider_discover::inventory::EndpointInventory;
use outrider_discover::openapi::{Document, Limits};
use outrider_discover::posture::ServiceKey;
use outrider_model::{AuditEntry, Endpoint, EndpointId};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::{AssertSqlSafe, Sqlite, Transaction};

use super::apply::json;
use super::{AuditLog, Gateways, Store, StoreError, TemplateChanges, TemplateRow, trail};

/// Documents that there may be.
pub const DOCUMENTS_MAX: usize = 1000;
/// The largest document in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;
const TABLE: &str = "endpoint_inventory";
const TEMPLATES: &str = "template_decisions";

/// A service with what is behind it, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ApiRow {
    /// Which service.
    #[serde(flatten)]
    pub key: ServiceKey,
    /// Its name, for people.
    pub service_name: String,
    /// Its endpoints.
    pub endpoints: u64,
    /// How often they were called.
    pub calls: u64,
    /// When one of them was first seen; null where there is none.
    pub first_seen_ms: Option<i64>,
    /// When one of them was last seen.
    pub last_seen_ms: Option<i64>,
    /// The document of its owner, where there is one.
    pub document: Option<DocumentRow>,
}

/// An OpenAPI document, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DocumentRow {
    /// Its title.
    pub title: String,
    /// Its version.
    pub version: String,
    /// Its operations.
    pub operations: u64,
    /// When it was given.
    pub changed_ms: i64,
    /// Who gave it.
    pub changed_by: String,
}

#[derive(sqlx::FromRow)]
struct ApiColumns {
    gateway: String,
    workspace: String,
    service: String,
    service_name: String,
    endpoints: i64,
    calls: i64,
    first_seen_ms: Option<i64>,
    last_seen_ms: Option<i64>,
    title: Option<String>,
    version: Option<String>,
    operations: Option<i64>,
    changed_ms: Option<i64>,
    changed_by: Option<String>,
}

/// Those of which an endpoint was seen, and those that have nothing but a document.
const APIS: &str = "SELECT coalesce(seen.gateway, given.gateway) AS gateway,
      coalesce(seen.workspace, given.workspace) AS workspace, coalesce(seen.service, given.service) AS service,
      coalesce(service_name, given.service) AS service_name, coalesce(endpoints, 0) AS endpoints, coalesce(calls, 0) AS calls,
      first_seen_ms, last_seen_ms, title, version, operations, changed_ms, changed_by
    FROM
      (SELECT gateway, workspace, service, max(service_name) AS service_name, count(*) AS endpoints,
         CAST(sum(calls) AS BIGINT) AS calls, min(first_seen_ms) AS first_seen_ms, max(last_seen_ms) AS last_seen_ms
       FROM endpoints WHERE merged_into IS NULL AND is_ignored = 0 GROUP BY gateway, workspace, service) AS seen
    FULL JOIN api_documents AS given
      ON given.gateway = seen.gateway AND given.workspace = seen.workspace AND given.service = seen.service";

impl From<ApiColumns> for ApiRow {
    fn from(columns: ApiColumns) -> ApiRow {
        let document = columns.changed_ms.map(|changed_ms| DocumentRow {
            title: columns.title.unwrap_or_default(),
            version: columns.version.unwrap_or_default(),
            operations: columns.operations.unwrap_or_default().cast_unsigned(),
            changed_ms,
            changed_by: columns.changed_by.unwrap_or_default(),
        });
        ApiRow {
            key: ServiceKey { gateway: columns.gateway, workspace: columns.workspace, service: columns.service },
            service_name: columns.service_name,
            endpoints: columns.endpoints.cast_unsigned(),
            calls: columns.calls.cast_unsigned(),
            first_seen_ms: columns.first_seen_ms,
            last_seen_ms: columns.last_seen_ms,
            document,
        }
    }
}

impl Store {
    /// The services at gateways that have endpoints or a document, by name.
    pub async fn apis(&self, gateways: &Gateways) -> Result<Vec<ApiRow>, StoreError> {
        let order = "ORDER BY 4, 1, 2, 3";
        let rows: Vec<ApiColumns> = sqlx::query_as(AssertSqlSafe(format!("{APIS} {order}")))
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::query("read services"))?;
        Ok(rows.into_iter().map(ApiRow::from).filter(|row| gateways.has(&row.key.gateway)).collect())
    }

    /// One of them.
    pub async fn api(&self, key: &ServiceKey) -> Result<Option<ApiRow>, StoreError> {
        let which =
            "WHERE coalesce(seen.gateway, given.gateway) = $1 AND coalesce(seen.workspace, given.workspace) = $2
               AND coalesce(seen.service, given.service) = $3";
        let row: Option<ApiColumns> = sqlx::query_as(AssertSqlSafe(format!("{APIS} {which}")))
            .bind(&key.gateway)
            .bind(&key.workspace)
            .bind(&key.service)
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::query("read a service"))?;
        Ok(row.map(ApiRow::from))
    }

    /// The endpoints of a service with what is known of each, by id. One of which nothing is known yet is left out.
    pub async fn api_inventory(&self, key: &ServiceKey) -> Result<Vec<(Endpoint, EndpointInventory)>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT endpoints.document, endpoint_inventory.document FROM endpoints
             JOIN endpoint_inventory ON endpoint_inventory.endpoint = endpoints.id
             WHERE gateway = $1 AND workspace = $2 AND service = $3 AND merged_into IS NULL AND is_ignored = 0
             ORDER BY id",
        )
        .bind(&key.gateway)
        .bind(&key.workspace)
        .bind(&key.service)
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::query("read what is known of endpoints"))?;
        let read = |(endpoint, known): (String, String)| {
            let endpoint = serde_json::from_str(&endpoint).map_err(StoreError::document("endpoints"))?;
            Ok((endpoint, serde_json::from_str(&known).map_err(StoreError::document(TABLE))?))
        };
        rows.into_iter().map(read).collect()
    }

    /// What is known of one endpoint.
    pub async fn endpoint_inventory(&self, id: &str) -> Result<Option<EndpointInventory>, StoreError> {
        let row: Option<(String,)> = sqlx::query_as("SELECT document FROM endpoint_inventory WHERE endpoint = $1")
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::query("read what is known of an endpoint"))?;
        row.map(|(text,)| serde_json::from_str(&text)).transpose().map_err(StoreError::document(TABLE))
    }

    /// The document of a service as it was given.
    pub async fn api_document(&self, key: &ServiceKey) -> Result<Option<String>, StoreError> {
        let row: Option<(String,)> =
            sqlx::query_as("SELECT text FROM api_documents WHERE gateway = $1 AND workspace = $2 AND service = $3")
                .bind(&key.gateway)
                .bind(&key.workspace)
                .bind(&key.service)
                .fetch_optional(&self.readers)
                .await
                .map_err(StoreError::query("read a document"))?;
        Ok(row.map(|(text,)| text))
    }

    /// Keeps the document of a service, in the place of the one before; `document` is what the text was read as.
    pub async fn put_api_document(
        &self,
        key: &ServiceKey,
        text: &str,
        document: &Document,
        by: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let doing = "write a document";
        let operations = i64::try_from(document.operations.len()).unwrap_or(i64::MAX);
        let mut transaction = self.begin(doing).await?;
        sqlx::query(
            "INSERT INTO api_documents (gateway, workspace, service, text, title, version, operations, changed_ms, changed_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (gateway, workspace, service) DO UPDATE SET text = excluded.text, title = excluded.title,
               version = excluded.version, operations = excluded.operations, changed_ms = excluded.changed_ms,
               changed_by = excluded.changed_by",
        )
        .bind(&key.gateway)
        .bind(&key.workspace)
        .bind(&key.service)
        .bind(text)
        .bind(&document.title)
        .bind(&document.version)
        .bind(operations)
        .bind(now_ms)
        .bind(by)
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::query(doing))?;
        let (others,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM api_documents")
            .fetch_one(&mut *transaction)
            .await
            .map_err(StoreError::query(doing))?;
        if others > DOCUMENTS_MAX as i64 {
            return Err(StoreError::TooManyDocuments(DOCUMENTS_MAX));
        }
        let detail = format!("{} {}, {operations} operations", document.title, document.version);
        note(&mut transaction, by, "gave a document", key, &detail, now_ms).await?;
        transaction.commit().await.map_err(StoreError::query(doing))
    }

    /// Forgets the document of a service; says whether there was one.
    pub async fn delete_api_document(&self, key: &ServiceKey, by: &str, now_ms: i64) -> Result<bool, StoreError> {
        let doing = "delete a document";
        let mut transaction = self.begin(doing).await?;
        let deleted = sqlx::query("DELETE FROM api_documents WHERE gateway = $1 AND workspace = $2 AND service = $3")
            .bind(&key.gateway)
            .bind(&key.workspace)
            .bind(&key.service)
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::query(doing))?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        note(&mut transaction, by, "deleted a document", key, "", now_ms).await?;
        transaction.commit().await.map_err(StoreError::query(doing))?;
        Ok(true)
    }
}

impl Store {
    /// The decisions about templates that stand at gateways, the newest first.
    pub async fn template_decisions(&self, gateways: &Gateways) -> Result<Vec<TemplateRow>, StoreError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT gateway, document FROM template_decisions ORDER BY decided_ms DESC, id")
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::query("read decisions about templates"))?;
        let seen = rows.into_iter().filter(|(gateway, _)| gateways.has(gateway));
        seen.map(|(_, text)| serde_json::from_str(&text).map_err(StoreError::document(TEMPLATES))).collect()
    }
}

/// Writes which decisions about templates stand.
pub(super) async fn write_templates(
    transaction: &mut Transaction<'_, Sqlite>,
    changes: &TemplateChanges,
) -> Result<(), StoreError> {
    let doing = "write decisions about templates";
    for id in &changes.taken_back {
        let delete = sqlx::query("DELETE FROM template_decisions WHERE id = $1").bind(id.to_string());
        delete.execute(&mut **transaction).await.map_err(StoreError::query(doing))?;
    }
    for row in &changes.decided {
        sqlx::query(
            "INSERT INTO template_decisions (id, gateway, workspace, service, document, decided_ms)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING",
        )
        .bind(row.id.to_string())
        .bind(&row.decision.gateway)
        .bind(&row.decision.workspace)
        .bind(&row.decision.service)
        .bind(json(TEMPLATES, row)?)
        .bind(row.decided_ms)
        .execute(&mut **transaction)
        .await
        .map_err(StoreError::query(doing))?;
    }
    Ok(())
}

/// Reads a document within what one may cost here.
pub fn read_document(text: &str) -> Result<Document, StoreError> {
    let limits = Limits { bytes_max: DOCUMENT_BYTES_MAX, ..Limits::default() };
    Document::read(text.as_bytes(), &limits).map_err(|error| StoreError::Unreadable(error.to_string()))
}

async fn note(
    transaction: &mut Transaction<'_, Sqlite>,
    by: &str,
    what: &str,
    key: &ServiceKey,
    detail: &str,
    at_ms: i64,
) -> Result<(), StoreError> {
    let subject = format!("service {} at {}", key.service, key.gateway);
    let detail = detail.chars().take(1000).collect();
    let entry = AuditEntry { at_ms, by: by.to_owned(), what: what.to_owned(), subject, detail };
    trail::append_one(transaction, AuditLog::Decisions, &entry).await
}

/// Writes what is known of endpoints.
pub(super) async fn write(
    transaction: &mut Transaction<'_, Sqlite>,
    inventory: &[EndpointInventory],
) -> Result<(), StoreError> {
    for known in inventory {
        sqlx::query(
            "INSERT INTO endpoint_inventory (endpoint, document) VALUES ($1, $2)
             ON CONFLICT (endpoint) DO UPDATE SET document = excluded.document",
        )
        .bind(known.endpoint.to_string())
        .bind(json(TABLE, known)?)
        .execute(&mut **transaction)
        .await
        .map_err(StoreError::query("write what is known of an endpoint"))?;
    }
    Ok(())
}

/// Forgets what was known of an endpoint that was merged into another.
pub(super) async fn forget(transaction: &mut Transaction<'_, Sqlite>, id: EndpointId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM endpoint_inventory WHERE endpoint = $1")
        .bind(id.to_string())
        .execute(&mut **transaction)
        .await
        .map(drop)
        .map_err(StoreError::query("forget what was known of an endpoint"))
}
