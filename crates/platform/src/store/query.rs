//! Reading: filters and pages. A page is at most [`PAGE_MAX`] rows, newest first; the cursor names the last row of the
//! page before by its sort key and id, so that rows that come in meanwhile shift nothing.
//!
//! Where the sort key of a row never changes, every row that is there from the first page to the last is shown exactly
//! once. Each list has such an order, and it is the default; others say what they do not promise.

use std::collections::HashMap;

use outrider_model::{Action, ActionState, Alert, AlertState, AuditEntry, Endpoint, Finding, Severity};
use outrider_respond::desk::{GuardRails, KillSwitch, PolicyRow};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite};

use super::apply::{action_state_word, alert_state_word};
use super::listing::{Listing, parse};
use super::{AuditLog, Gateways, Store, StoreError};

/// Rows of a page at most.
pub const PAGE_MAX: u32 = 500;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// What to pass as `cursor` for the rows that follow; null on the last page.
    pub next: Option<String>,
}

/// Which alerts.
#[derive(Debug, Clone, Default)]
pub struct AlertFilter {
    /// In one of these states; empty for any.
    pub states: Vec<AlertState>,
    /// At least this severe.
    pub severity_min: Option<Severity>,
    /// Of this detector.
    pub detector: Option<String>,
    /// About an entity with this id or label.
    pub entity: Option<String>,
    /// At this service.
    pub service: Option<String>,
    /// That this person looks after.
    pub assignee: Option<String>,
    /// That somebody looks after, or nobody.
    pub is_assigned: Option<bool>,
    /// At these gateways.
    pub gateways: Gateways,
    /// In which order.
    pub order: AlertOrder,
}

/// By what alerts are sorted, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertOrder {
    /// When they were opened, which never changes.
    #[default]
    Opened,
    /// When the latest finding came: one that has another while pages are turned moves to the front.
    LastFinding,
}

/// Which actions.
#[derive(Debug, Clone, Default)]
pub struct ActionFilter {
    /// In one of these states; empty for any.
    pub states: Vec<ActionState>,
    /// Against a target with this id or label.
    pub target: Option<String>,
    /// At this gateway.
    pub gateway: Option<String>,
    /// From this alert.
    pub alert: Option<String>,
    /// At these gateways.
    pub gateways: Gateways,
}

/// Which endpoints.
#[derive(Debug, Clone, Default)]
pub struct EndpointFilter {
    /// Of this service.
    pub service: Option<String>,
    /// With this method.
    pub method: Option<String>,
    /// Whose template contains this text.
    pub contains: Option<String>,
    /// At this gateway.
    pub gateway: Option<String>,
    /// Also those that were merged into others.
    pub with_merged: bool,
    /// At these gateways.
    pub gateways: Gateways,
    /// In which order.
    pub order: EndpointOrder,
}

/// By what endpoints are sorted, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EndpointOrder {
    /// When they were first seen, as it was known when they became known; it never changes.
    #[default]
    FirstSeen,
    /// How often they were called: one that is called while pages are turned moves to the front.
    Calls,
    /// When they were last seen; the same holds for it.
    LastSeen,
}

/// Which findings.
#[derive(Debug, Clone, Default)]
pub struct FindingFilter {
    /// Of this alert.
    pub alert: Option<String>,
    /// Of this detector.
    pub detector: Option<String>,
    /// About the entity with this id.
    pub entity: Option<String>,
    /// Not raised before this time.
    pub since_ms: Option<i64>,
    /// Raised before this time.
    pub until_ms: Option<i64>,
    /// At these gateways.
    pub gateways: Gateways,
}

/// Which entries of the audit log.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of this part of it.
    pub log: Option<AuditLog>,
    /// By this person, token, policy or part of outrider.
    pub by: Option<String>,
    /// About this.
    pub subject: Option<String>,
    /// Not before this time.
    pub since_ms: Option<i64>,
    /// Before this time.
    pub until_ms: Option<i64>,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditLine {
    /// Its number in the chain.
    pub number: i64,
    /// What it is about: `decisions`, `access` or `reads`.
    pub log: String,
    /// Who did what, and when.
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// The SHA-256 over the hash before it and itself.
    pub hash: String,
}

impl Store {
    /// Alerts, in the order of the filter.
    pub async fn alerts(
        &self,
        filter: &AlertFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Alert>, StoreError> {
        let mut query = Listing::new(
            "alerts",
            match filter.order {
                AlertOrder::Opened => "opened_ms",
                AlertOrder::LastFinding => "last_finding_ms",
            },
        );
        query.any_of("state", filter.states.iter().map(|state| alert_state_word(*state)));
        if let Some(severity) = filter.severity_min {
            query.and().push("severity >= ").push_bind(severity as i64);
        }
        query.equal("detector", filter.detector.as_deref());
        query.equal("service_name", filter.service.as_deref());
        query.either("entity_value", "entity_label", filter.entity.as_deref());
        query.equal("assignee", filter.assignee.as_deref());
        if let Some(is_assigned) = filter.is_assigned {
            query.and().push(if is_assigned { "assignee <> ''" } else { "assignee = ''" });
        }
        query.at(&filter.gateways);
        query.page(self, limit, cursor).await
    }

    /// Actions, the newest first.
    pub async fn actions(
        &self,
        filter: &ActionFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Action>, StoreError> {
        let mut query = Listing::new("actions", "created_ms");
        query.any_of("state", filter.states.iter().map(|state| action_state_word(*state)));
        query.either("target_value", "target_label", filter.target.as_deref());
        query.equal("gateway", filter.gateway.as_deref());
        query.equal("alert", filter.alert.as_deref());
        query.at(&filter.gateways);
        query.page(self, limit, cursor).await
    }

    /// Endpoints, in the order of the filter.
    pub async fn endpoints(
        &self,
        filter: &EndpointFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Endpoint>, StoreError> {
        let order = match filter.order {
            EndpointOrder::FirstSeen => "first_seen_ms",
            EndpointOrder::Calls => "calls",
            EndpointOrder::LastSeen => "last_seen_ms",
        };
        let mut query = Listing::new("endpoints", order);
        query.endpoints(filter);
        query.page(self, limit, cursor).await
    }

    /// The ids of all endpoints that fit, in no order; there are as many as the inventory may have.
    pub async fn endpoint_ids(&self, filter: &EndpointFilter) -> Result<Vec<String>, StoreError> {
        let mut query = Listing::new("endpoints", "first_seen_ms");
        query.query = QueryBuilder::new("SELECT id FROM endpoints");
        query.endpoints(filter);
        let rows: Vec<(String,)> = query
            .query
            .build_query_as()
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::query("read the control store"))?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Endpoints by their ids, in no order.
    pub async fn endpoints_by_id(&self, ids: &[String]) -> Result<Vec<Endpoint>, StoreError> {
        let mut query = Listing::new("endpoints", "first_seen_ms");
        query.among("id", ids);
        Ok(query.page(self, PAGE_MAX, None).await?.items)
    }

    /// Findings, the newest first.
    pub async fn findings(
        &self,
        filter: &FindingFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Finding>, StoreError> {
        let mut query = Listing::new("findings", "raised_ms");
        query.equal("alert", filter.alert.as_deref());
        query.equal("detector", filter.detector.as_deref());
        query.equal("entity_value", filter.entity.as_deref());
        if let Some(since_ms) = filter.since_ms {
            query.and().push("raised_ms >= ").push_bind(since_ms);
        }
        if let Some(until_ms) = filter.until_ms {
            query.and().push("raised_ms < ").push_bind(until_ms);
        }
        query.at(&filter.gateways);
        query.page(self, limit, cursor).await
    }

    /// The alert of each of the newest findings, where it has one.
    pub async fn alerts_of_findings(&self, limit: usize) -> Result<HashMap<String, String>, StoreError> {
        const NEWEST: &str = "SELECT id, alert FROM findings ORDER BY raised_ms DESC, id DESC LIMIT $1";
        let rows: Vec<(String, Option<String>)> = sqlx::query_as(NEWEST)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::query("read the control store"))?;
        Ok(rows.into_iter().filter_map(|(id, alert)| Some((id, alert?))).collect())
    }

    /// One alert by its id.
    pub async fn alert(&self, id: &str) -> Result<Option<Alert>, StoreError> {
        self.document("alerts", "id", id).await
    }

    /// One action by its id.
    pub async fn action(&self, id: &str) -> Result<Option<Action>, StoreError> {
        self.document("actions", "id", id).await
    }

    /// One endpoint by its id; one that was merged still answers, and names the one it lives on in.
    pub async fn endpoint(&self, id: &str) -> Result<Option<Endpoint>, StoreError> {
        self.document("endpoints", "id", id).await
    }

    /// One policy by its name.
    pub async fn policy(&self, name: &str) -> Result<Option<PolicyRow>, StoreError> {
        self.document("policies", "name", name).await
    }

    /// All policies by name; there are at most some thousand.
    pub async fn policies(&self) -> Result<Vec<PolicyRow>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT document FROM policies ORDER BY name")
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::query("read policies"))?;
        rows.iter().map(|(text,)| parse("policies", text)).collect()
    }

    /// The kill switch as it is.
    pub async fn kill_switch(&self) -> Result<KillSwitch, StoreError> {
        Ok(self.meta("kill_switch").await?.unwrap_or_default())
    }

    /// The guard rails in effect.
    pub async fn guard_rails(&self) -> Result<Option<GuardRails>, StoreError> {
        self.meta("guard_rails").await
    }

    /// The audit log, the newest entry first.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<AuditLine>, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT trail.number, log, at_ms, by_whom, what, ");
        // Erased words are empty.
        query.push("COALESCE(words.subject, CASE WHEN trail.subject LIKE 'words:%' THEN '' ELSE trail.subject END), ");
        query.push("COALESCE(words.detail, trail.detail), hash ");
        query.push("FROM trail LEFT JOIN trail_words AS words ON words.number = trail.number WHERE 1 = 1");
        let texts = [("log", filter.log.map(|log| log.as_str().to_owned())), ("by_whom", filter.by.clone())];
        for (column, text) in texts {
            if let Some(text) = text {
                query.push(" AND ").push(column).push(" = ").push_bind(text);
            }
        }
        if let Some(subject) = &filter.subject {
            // What was written before words were apart has them in its own row.
            query.push(" AND (words.subject = ").push_bind(subject.clone());
            query.push(" OR words.number IS NULL AND trail.subject = ").push_bind(subject.clone()).push(")");
        }
        if let Some(cursor) = cursor {
            let number: i64 = cursor.parse().map_err(|_| StoreError::Cursor(cursor.to_owned()))?;
            query.push(" AND trail.number < ").push_bind(number);
        }
        if let Some(since_ms) = filter.since_ms {
            query.push(" AND at_ms >= ").push_bind(since_ms);
        }
        if let Some(until_ms) = filter.until_ms {
            query.push(" AND at_ms < ").push_bind(until_ms);
        }
        query.push(" ORDER BY trail.number DESC LIMIT ").push_bind(i64::from(limit) + 1);
        type Row = (i64, String, i64, String, String, String, String, String);
        let rows: Vec<Row> =
            query.build_query_as().fetch_all(&self.readers).await.map_err(StoreError::query("read the audit log"))?;
        let line = |(number, log, at_ms, by, what, subject, detail, hash)| {
            let entry = AuditEntry { at_ms, by, what, subject, detail };
            AuditLine { number, log, entry, hash }
        };
        let mut items: Vec<_> = rows.into_iter().map(line).collect();
        let is_more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| is_more).map(|line: &AuditLine| line.number.to_string());
        Ok(Page { items, next })
    }

    pub(super) async fn document<T: DeserializeOwned>(
        &self,
        table: &'static str,
        column: &'static str,
        key: &str,
    ) -> Result<Option<T>, StoreError> {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT document FROM ");
        query.push(table).push(" WHERE ").push(column).push(" = ").push_bind(key);
        let row: Option<(String,)> = query
            .build_query_as()
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::query("read the control store"))?;
        row.map(|(text,)| parse(table, &text)).transpose()
    }

    async fn meta<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let row: Option<(String,)> = sqlx::query_as("SELECT value FROM meta WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::query("read the control store"))?;
        row.map(|(text,)| parse("meta", &text)).transpose()
    }
}
