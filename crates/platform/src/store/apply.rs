//! Writing effects: rows and position in one transaction.

use std::sync::atomic::Ordering;

use outrider_model::{Action, ActionState, Alert, AlertId, AlertState, Endpoint, Finding};
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::outbox::{self, OutboxRules, Put};
use super::{EffectBatch, Store, StoreError, StoreLimits, apis, erase, gateways, hunts, posture, trail};
use crate::log::Position;

/// After so many rows written the limits are looked after.
const ROWS_BETWEEN_PRUNES: u64 = 5000;

impl Store {
    /// Writes what changed together with the position that it covers. A position already covered changes nothing.
    pub async fn apply(&self, position: Position, effects: &EffectBatch) -> Result<(), StoreError> {
        let doing = "write to the control store";
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::query(doing))?;
        let moved = sqlx::query(
            "INSERT INTO meta (name, value) VALUES ('position', $1)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value
             WHERE CAST(meta.value AS BIGINT) < CAST(excluded.value AS BIGINT)",
        )
        .bind(position.0.to_string())
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::query(doing))?;
        if moved.rows_affected() == 0 {
            self.counters.repeated.fetch_add(1, Ordering::Relaxed);
            return transaction.rollback().await.map_err(StoreError::query(doing));
        }
        let put = write(&mut transaction, effects, &self.outbox.rules()).await?;
        for erased in &effects.erased {
            erase::erase(&mut transaction, position, erased).await?;
        }
        let written = self.counters.since_prune.load(Ordering::Relaxed) + effects.rows() as u64;
        let is_prune_due = written >= ROWS_BETWEEN_PRUNES.min(self.limits.smallest());
        let mut forgotten = Forgotten::default();
        if is_prune_due {
            forgotten = prune(&mut transaction, &self.limits).await?;
        }
        // Most of its entries do not come from the log, so it looks by itself whether it is due.
        let audit_forgotten = trail::prune(&mut transaction, self.limits.audit_max).await?;
        transaction.commit().await.map_err(StoreError::query(doing))?;
        self.outbox.committed(put);
        self.feed.committed(effects);
        self.counters.since_prune.store(if is_prune_due { 0 } else { written }, Ordering::Relaxed);
        self.counters.applied.fetch_add(1, Ordering::Relaxed);
        self.counters.findings_forgotten.fetch_add(forgotten.findings, Ordering::Relaxed);
        self.counters.alerts_forgotten.fetch_add(forgotten.alerts, Ordering::Relaxed);
        self.counters.actions_forgotten.fetch_add(forgotten.actions, Ordering::Relaxed);
        self.counters.audit_forgotten.fetch_add(audit_forgotten, Ordering::Relaxed);
        Ok(())
    }
}

async fn write(
    transaction: &mut Transaction<'_, Sqlite>,
    effects: &EffectBatch,
    rules: &OutboxRules,
) -> Result<Put, StoreError> {
    let is_told = !rules.destinations.is_empty();
    let mut messages = Vec::new();
    // Before endpoints: of one that was merged meanwhile nothing stays.
    apis::write(transaction, &effects.inventory).await?;
    posture::write_scores(transaction, &effects.scores).await?;
    for endpoint in &effects.endpoints {
        write_endpoint(transaction, endpoint).await?;
    }
    posture::write_weaknesses(transaction, &effects.weaknesses, &effects.weaknesses_gone).await?;
    apis::write_templates(transaction, &effects.templates).await?;
    for (finding, alert) in &effects.findings {
        write_finding(transaction, finding, *alert).await?;
    }
    for alert in &effects.alerts {
        if is_told {
            messages.extend(outbox::tell_alert(transaction, rules, alert).await?);
        }
        write_alert(transaction, alert).await?;
    }
    for action in &effects.actions {
        if is_told {
            messages.extend(outbox::tell_action(transaction, rules, action).await?);
        }
        write_action(transaction, action).await?;
    }
    write_policies(transaction, effects).await?;
    trail::append_decisions(transaction, &effects.audit).await?;
    for snapshot in &effects.configurations {
        gateways::write(transaction, snapshot).await?;
    }
    hunts::write_runs(transaction, &effects.hunt_runs).await?;
    if let Some(guard_rails) = &effects.guard_rails {
        write_meta(transaction, "guard_rails", json("meta", guard_rails)?).await?;
    }
    if let Some(kill_switch) = &effects.kill_switch {
        write_meta(transaction, "kill_switch", json("meta", kill_switch)?).await?;
    }
    outbox::put(transaction, rules, &messages).await
}

async fn write_policies(transaction: &mut Transaction<'_, Sqlite>, effects: &EffectBatch) -> Result<(), StoreError> {
    let doing = "write a policy";
    for row in &effects.policies {
        sqlx::query(
            "INSERT INTO policies (name, document) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET document = excluded.document",
        )
        .bind(&row.policy.name)
        .bind(json("policies", row)?)
        .execute(&mut **transaction)
        .await
        .map_err(StoreError::query(doing))?;
    }
    for name in &effects.deleted_policies {
        let delete = sqlx::query("DELETE FROM policies WHERE name = $1").bind(name);
        delete.execute(&mut **transaction).await.map_err(StoreError::query("delete a policy"))?;
    }
    Ok(())
}

async fn write_endpoint(transaction: &mut Transaction<'_, Sqlite>, endpoint: &Endpoint) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO endpoints (id, gateway, service_name, method, template, merged_into, calls, last_seen_ms, document,
           first_seen_ms, workspace, service, is_ignored)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (id) DO UPDATE SET gateway = excluded.gateway, workspace = excluded.workspace,
           service = excluded.service, is_ignored = excluded.is_ignored, service_name = excluded.service_name, method = excluded.method, template = excluded.template, merged_into = excluded.merged_into,
           calls = excluded.calls, last_seen_ms = excluded.last_seen_ms, document = excluded.document",
    )
    .bind(endpoint.id.to_string())
    .bind(&endpoint.key.gateway)
    .bind(&endpoint.service_name)
    .bind(&endpoint.key.method)
    .bind(&endpoint.key.template)
    .bind(endpoint.merged_into.map(|id| id.to_string()))
    .bind(endpoint.calls.cast_signed())
    .bind(endpoint.last_seen_ms)
    .bind(json("endpoints", endpoint)?)
    // It may move back later; the row keeps its place in lists all the same.
    .bind(endpoint.first_seen_ms)
    .bind(&endpoint.key.workspace)
    .bind(&endpoint.key.service)
    .bind(i64::from(endpoint.ignored))
    .execute(&mut **transaction)
    .await
    .map_err(StoreError::query("write an endpoint"))?;
    if endpoint.merged_into.is_some() {
        apis::forget(transaction, endpoint.id).await?;
    }
    if endpoint.merged_into.is_some() || endpoint.ignored {
        posture::forget_score(transaction, endpoint.id).await?;
    }
    Ok(())
}

async fn write_finding(
    transaction: &mut Transaction<'_, Sqlite>,
    finding: &Finding,
    alert: Option<AlertId>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO findings (id, alert, detector, entity_kind, entity_value, raised_ms, document, gateway)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET alert = excluded.alert, document = excluded.document",
    )
    .bind(finding.id.to_string())
    .bind(alert.map(|id| id.to_string()))
    .bind(&finding.detector)
    .bind(finding.entity.kind.as_str())
    .bind(&finding.entity.value)
    .bind(finding.raised_ms)
    .bind(json("findings", finding)?)
    .bind(&finding.entity.gateway)
    .execute(&mut **transaction)
    .await
    .map(drop)
    .map_err(StoreError::query("write a finding"))
}

async fn write_alert(transaction: &mut Transaction<'_, Sqlite>, alert: &Alert) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO alerts (id, detector, state, severity, entity_kind, entity_value, entity_label, service_name,
           opened_ms, last_finding_ms, document, gateway, assignee)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, severity = excluded.severity,
           entity_label = excluded.entity_label, service_name = excluded.service_name,
           last_finding_ms = excluded.last_finding_ms, document = excluded.document, assignee = excluded.assignee",
    )
    .bind(alert.id.to_string())
    .bind(&alert.detector)
    .bind(alert_state_word(alert.state))
    .bind(alert.severity as i64)
    .bind(alert.entity.kind.as_str())
    .bind(&alert.entity.value)
    .bind(&alert.entity.label)
    .bind(&alert.worst.service_name)
    .bind(alert.opened_ms)
    .bind(alert.last_finding_ms)
    .bind(json("alerts", alert)?)
    .bind(&alert.entity.gateway)
    .bind(alert.assignee.as_deref().unwrap_or_default())
    .execute(&mut **transaction)
    .await
    .map(drop)
    .map_err(StoreError::query("write an alert"))
}

async fn write_action(transaction: &mut Transaction<'_, Sqlite>, action: &Action) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO actions (id, alert, gateway, state, target_value, target_label, created_ms, document)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET
             state = excluded.state, target_label = excluded.target_label, document = excluded.document",
    )
    .bind(action.id.to_string())
    .bind(action.alert.map(|id| id.to_string()))
    .bind(&action.target.gateway)
    .bind(action_state_word(action.state))
    .bind(&action.target.value)
    .bind(&action.target.label)
    .bind(action.created_ms)
    .bind(json("actions", action)?)
    .execute(&mut **transaction)
    .await
    .map(drop)
    .map_err(StoreError::query("write an action"))
}

pub(super) async fn write_meta(
    transaction: &mut Transaction<'_, Sqlite>,
    name: &str,
    value: String,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(&mut **transaction)
    .await
    .map(drop)
    .map_err(StoreError::query("write to the control store"))
}

/// Rows that went because there were too many.
#[derive(Debug, Default)]
struct Forgotten {
    findings: u64,
    alerts: u64,
    actions: u64,
}

async fn prune(transaction: &mut Transaction<'_, Sqlite>, limits: &StoreLimits) -> Result<Forgotten, StoreError> {
    const CLOSED: &str = "state IN ('resolved', 'false_positive')";
    const ENDED: &str = "state IN ('rejected', 'released', 'failed', 'too_late')";
    Ok(Forgotten {
        findings: keep_newest(transaction, "findings", "raised_ms", "id", "1 = 1", limits.findings_max).await?,
        alerts: keep_newest(transaction, "alerts", "last_finding_ms", "id", CLOSED, limits.closed_alerts_max).await?,
        actions: keep_newest(transaction, "actions", "created_ms", "id", ENDED, limits.ended_actions_max).await?,
    })
}

/// Deletes the oldest of a table's rows that meet a condition, beyond a number of them.
pub(super) async fn keep_newest(
    transaction: &mut Transaction<'_, Sqlite>,
    table: &'static str,
    order: &'static str,
    id: &'static str,
    condition: &'static str,
    kept: u32,
) -> Result<u64, StoreError> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("DELETE FROM ");
    query.push(table).push(" WHERE ").push(condition).push(" AND (").push(order).push(", ").push(id);
    query.push(") <= (SELECT ").push(order).push(", ").push(id).push(" FROM ").push(table).push(" WHERE ");
    query.push(condition).push(" ORDER BY ").push(order).push(" DESC, ").push(id).push(" DESC LIMIT 1 OFFSET ");
    query.push_bind(i64::from(kept)).push(")");
    let deleted = query.build().execute(&mut **transaction).await.map_err(StoreError::query("forget old rows"))?;
    Ok(deleted.rows_affected())
}

pub(super) fn json(table: &'static str, value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::document(table))
}

/// The word that the state has in JSON, and in filters.
pub(super) fn alert_state_word(state: AlertState) -> &'static str {
    match state {
        AlertState::Open => "open",
        AlertState::Acknowledged => "acknowledged",
        AlertState::Resolved => "resolved",
        AlertState::FalsePositive => "false_positive",
    }
}

/// The word that the state has in JSON, and in filters.
pub(super) fn action_state_word(state: ActionState) -> &'static str {
    match state {
        ActionState::Proposed => "proposed",
        ActionState::Approved => "approved",
        ActionState::Rejected => "rejected",
        ActionState::Pending => "pending",
        ActionState::Stored => "stored",
        ActionState::InForce => "in_force",
        ActionState::Releasing => "releasing",
        ActionState::Released => "released",
        ActionState::Failed => "failed",
        ActionState::TooLate => "too_late",
    }
}
