//! What gateways are and were configured to do: the newest few versions of each.

use outrider_model::{GatewayConfiguration, GatewaySnapshot, LeftOut};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{Sqlite, Transaction};

use super::apply::json;
use super::{Store, StoreError};

/// Versions of one gateway's configuration that are kept.
pub const CONFIGURATIONS_MAX: u32 = 50;
const TABLE: &str = "gateway_configurations";

/// A gateway as a list shows it: its newest configuration in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GatewayRow {
    /// The gateway.
    pub gateway: String,
    /// The newest version of its configuration.
    pub newest: GatewayVersion,
}

/// One gateway with its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GatewayVersions {
    /// The gateway.
    pub gateway: String,
    /// The versions that are kept, newest first.
    pub versions: Vec<GatewayVersion>,
}

/// A version of a configuration in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GatewayVersion {
    /// Its number, which names it.
    pub number: i64,
    /// When it was read first.
    pub taken_ms: i64,
    /// What is in it.
    #[serde(flatten)]
    pub summary: Summary,
}

/// How much of what is in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The gateway's version.
    pub version: String,
    /// Upstream services.
    pub services: usize,
    /// Routes.
    pub routes: usize,
    /// Plugins, without those that outrider keeps there.
    pub plugins: usize,
    /// Consumers.
    pub consumers: usize,
    /// Credentials.
    pub credentials: usize,
    /// Lists that are not whole.
    pub left_out: Vec<LeftOut>,
}

impl Summary {
    fn of(configuration: &GatewayConfiguration) -> Self {
        Summary {
            version: configuration.version.clone(),
            services: configuration.services.len(),
            routes: configuration.routes.len(),
            plugins: configuration.plugins.len(),
            consumers: configuration.consumers.len(),
            credentials: configuration.credentials.len(),
            left_out: configuration.left_out.clone(),
        }
    }
}

/// What a list shows of a configuration.
pub(super) fn summary(configuration: &GatewayConfiguration) -> Result<String, StoreError> {
    json(TABLE, &Summary::of(configuration))
}

/// Writes a configuration if it differs from the newest of its gateway, and forgets the oldest beyond the limit.
pub(super) async fn write(
    transaction: &mut Transaction<'_, Sqlite>,
    snapshot: &GatewaySnapshot,
) -> Result<(), StoreError> {
    let doing = "write a gateway's configuration";
    let document = json(TABLE, &snapshot.configuration)?;
    sqlx::query(
        "INSERT INTO gateway_configurations (gateway, taken_ms, summary, document, routes_since_ms)
         SELECT $1, $2, $3, $4, COALESCE(
           (SELECT routes_since_ms FROM
             (SELECT document, routes_since_ms FROM gateway_configurations WHERE gateway = $1 ORDER BY number DESC LIMIT 1)
            WHERE json_extract(document, '$.routes') = json_extract($4, '$.routes')), $2)
         WHERE $4 IS DISTINCT FROM
           (SELECT document FROM gateway_configurations WHERE gateway = $1 ORDER BY number DESC LIMIT 1)",
    )
    .bind(&snapshot.gateway)
    .bind(snapshot.taken_ms)
    .bind(summary(&snapshot.configuration)?)
    .bind(document)
    .execute(&mut **transaction)
    .await
    .map_err(StoreError::query(doing))?;
    sqlx::query(
        "DELETE FROM gateway_configurations WHERE gateway = $1 AND number <=
           (SELECT number FROM gateway_configurations WHERE gateway = $1 ORDER BY number DESC LIMIT 1 OFFSET $2)",
    )
    .bind(&snapshot.gateway)
    .bind(i64::from(CONFIGURATIONS_MAX))
    .execute(&mut **transaction)
    .await
    .map(drop)
    .map_err(StoreError::query(doing))
}

type VersionColumns = (String, i64, i64, String);

impl Store {
    /// Every gateway whose configuration was read, with its newest version.
    pub async fn gateways(&self) -> Result<Vec<GatewayRow>, StoreError> {
        let rows: Vec<VersionColumns> = sqlx::query_as(
            "SELECT gateway, number, taken_ms, summary FROM gateway_configurations WHERE number IN
               (SELECT MAX(number) FROM gateway_configurations GROUP BY gateway) ORDER BY gateway",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::query("read the gateways"))?;
        let rows = rows.into_iter().map(|row| Ok(GatewayRow { gateway: row.0.clone(), newest: version(row)? }));
        rows.collect()
    }

    /// The versions of a gateway's configuration that are kept.
    pub async fn gateway(&self, gateway: &str) -> Result<Option<GatewayVersions>, StoreError> {
        let rows: Vec<VersionColumns> = sqlx::query_as(
            "SELECT gateway, number, taken_ms, summary FROM gateway_configurations
             WHERE gateway = $1 ORDER BY number DESC",
        )
        .bind(gateway)
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::query("read a gateway"))?;
        let versions = rows.into_iter().map(version).collect::<Result<Vec<_>, _>>()?;
        Ok((!versions.is_empty()).then(|| GatewayVersions { gateway: gateway.to_owned(), versions }))
    }

    /// Since when the routes of a gateway are as they were read last; `None` where nothing was read.
    pub async fn routes_since_ms(&self, gateway: &str) -> Result<Option<i64>, StoreError> {
        let row: Option<(i64,)> = sqlx::query_as(
            "SELECT routes_since_ms FROM gateway_configurations WHERE gateway = $1 ORDER BY number DESC LIMIT 1",
        )
        .bind(gateway)
        .fetch_optional(&self.readers)
        .await
        .map_err(StoreError::query("read since when routes are as they are"))?;
        Ok(row.map(|(since_ms,)| since_ms))
    }

    /// A version of a gateway's configuration; the newest where no number is given.
    pub async fn gateway_configuration(
        &self,
        gateway: &str,
        number: Option<i64>,
    ) -> Result<Option<GatewaySnapshot>, StoreError> {
        let row: Option<(i64, String)> = sqlx::query_as(
            "SELECT taken_ms, document FROM gateway_configurations
             WHERE gateway = $1 AND ($2 IS NULL OR number = $2) ORDER BY number DESC LIMIT 1",
        )
        .bind(gateway)
        .bind(number)
        .fetch_optional(&self.readers)
        .await
        .map_err(StoreError::query("read a gateway's configuration"))?;
        let Some((taken_ms, document)) = row else { return Ok(None) };
        let configuration = serde_json::from_str(&document).map_err(StoreError::document(TABLE))?;
        Ok(Some(GatewaySnapshot { gateway: gateway.to_owned(), taken_ms, configuration }))
    }
}

fn version((_, number, taken_ms, summary): VersionColumns) -> Result<GatewayVersion, StoreError> {
    let summary = serde_json::from_str(&summary).map_err(StoreError::document(TABLE))?;
    Ok(GatewayVersion { number, taken_ms, summary })
}
