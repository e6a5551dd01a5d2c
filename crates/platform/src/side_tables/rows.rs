//! The rows of each side table, flat.

use std::collections::HashMap;

use outrider_model::{
    ActionId, ActionKind, ActionScope, ActionState, AlertId, AlertState, Confidence, Endpoint, EndpointId, EntityKey,
    EntityKind, FindingId, Origin, Severity,
};
use serde::Serialize;

use super::Kind::{Count, Flag, Real, Text, Time};
use super::{Column, SIDE_ROWS_MAX, newest};
use crate::store::{ActionFilter, AlertFilter, EndpointFilter, FindingFilter, PAGE_MAX, Store, StoreError};

/// Whom a row is about.
#[derive(Serialize)]
struct Whom {
    gateway: String,
    workspace: String,
    entity_kind: EntityKind,
    entity: String,
    entity_name: String,
}

const WHOM: &[Column] =
    &[("gateway", Text), ("workspace", Text), ("entity_kind", Text), ("entity", Text), ("entity_name", Text)];

impl From<EntityKey> for Whom {
    fn from(key: EntityKey) -> Self {
        let EntityKey { kind, gateway, workspace, value, label } = key;
        Whom { gateway, workspace, entity_kind: kind, entity: value, entity_name: label }
    }
}

fn us(ms: i64) -> i64 {
    ms.saturating_mul(1000)
}

pub(super) const ALERTS: &[&[Column]] = &[
    &[("alert_id", Text), ("detector", Text)],
    WHOM,
    &[
        ("state", Text),
        ("state_by", Text),
        ("state_reason", Text),
        ("severity", Text),
        ("confidence", Real),
        ("sentence", Text),
        ("findings", Count),
        ("succeeded", Count),
        ("failed", Count),
        ("started_time", Time),
        ("opened_time", Time),
        ("last_finding_time", Time),
        ("updated_time", Time),
    ],
];

#[derive(Serialize)]
pub(super) struct AlertRow {
    alert_id: AlertId,
    detector: String,
    #[serde(flatten)]
    whom: Whom,
    state: AlertState,
    state_by: String,
    state_reason: String,
    severity: Severity,
    confidence: Confidence,
    sentence: String,
    findings: u64,
    succeeded: u64,
    failed: u64,
    started_time: i64,
    opened_time: i64,
    last_finding_time: i64,
    updated_time: i64,
}

pub(super) async fn alerts(store: Store) -> Result<Vec<AlertRow>, StoreError> {
    let filter = AlertFilter::default();
    let page = async |cursor: Option<String>| store.alerts(&filter, PAGE_MAX, cursor.as_deref()).await;
    let alerts = newest(page).await?.into_iter().map(|alert| AlertRow {
        alert_id: alert.id,
        detector: alert.detector,
        whom: alert.entity.into(),
        state: alert.state,
        state_by: alert.state_by,
        state_reason: alert.state_reason,
        severity: alert.severity,
        confidence: alert.confidence,
        sentence: alert.sentence,
        findings: alert.finding_count,
        succeeded: alert.outcome.succeeded,
        failed: alert.outcome.failed,
        started_time: us(alert.started_ms),
        opened_time: us(alert.opened_ms),
        last_finding_time: us(alert.last_finding_ms),
        updated_time: us(alert.updated_ms),
    });
    Ok(alerts.collect())
}

pub(super) const FINDINGS: &[&[Column]] = &[
    &[("finding_id", Text), ("alert_id?", Text), ("detector", Text)],
    WHOM,
    &[
        ("endpoint_id?", Text),
        ("service_name", Text),
        ("severity", Text),
        ("confidence", Real),
        ("sentence", Text),
        ("measure", Text),
        ("observed", Real),
        ("expected", Real),
        ("threshold", Real),
        ("surprise?", Real),
        ("window_start", Time),
        ("window_end", Time),
        ("raised_time", Time),
        ("query", Text),
    ],
];

#[derive(Serialize)]
pub(super) struct FindingRow {
    finding_id: FindingId,
    alert_id: Option<String>,
    detector: String,
    #[serde(flatten)]
    whom: Whom,
    endpoint_id: Option<EndpointId>,
    service_name: String,
    severity: Severity,
    confidence: Confidence,
    sentence: String,
    measure: String,
    observed: f64,
    expected: f64,
    threshold: f64,
    surprise: Option<f64>,
    window_start: i64,
    window_end: i64,
    raised_time: i64,
    query: String,
}

pub(super) async fn findings(store: Store) -> Result<Vec<FindingRow>, StoreError> {
    let filter = FindingFilter::default();
    let page = async |cursor: Option<String>| store.findings(&filter, PAGE_MAX, cursor.as_deref()).await;
    let findings = newest(page).await?;
    let mut alerts = store.alerts_of_findings(SIDE_ROWS_MAX).await?;
    let findings = findings.into_iter().map(|finding| FindingRow {
        finding_id: finding.id,
        alert_id: alerts.remove(&finding.id.to_string()),
        detector: finding.detector,
        whom: finding.entity.into(),
        endpoint_id: finding.endpoint,
        service_name: finding.service_name,
        severity: finding.severity,
        confidence: finding.confidence,
        sentence: finding.sentence,
        measure: finding.observation.measure,
        observed: finding.observation.observed,
        expected: finding.observation.expected,
        threshold: finding.observation.threshold,
        surprise: finding.surprise,
        window_start: us(finding.window_start_ms),
        window_end: us(finding.window_start_ms.saturating_add(finding.window_ms)),
        raised_time: us(finding.raised_ms),
        query: finding.query,
    });
    Ok(findings.collect())
}

pub(super) const ACTIONS: &[&[Column]] = &[
    &[("action_id", Text), ("alert_id?", Text)],
    WHOM,
    &[
        ("kind", Text),
        ("scope", Text),
        ("asked_by", Text),
        ("reason", Text),
        ("state", Text),
        ("state_reason", Text),
        ("created_time", Time),
        ("expires_time?", Time),
    ],
];

#[derive(Serialize)]
pub(super) struct ActionRow {
    action_id: ActionId,
    alert_id: Option<AlertId>,
    #[serde(flatten)]
    whom: Whom,
    kind: &'static str,
    scope: String,
    asked_by: String,
    reason: String,
    state: ActionState,
    state_reason: String,
    created_time: i64,
    expires_time: Option<i64>,
}

pub(super) async fn actions(store: Store) -> Result<Vec<ActionRow>, StoreError> {
    let filter = ActionFilter::default();
    let page = async |cursor: Option<String>| store.actions(&filter, PAGE_MAX, cursor.as_deref()).await;
    let actions = newest(page).await?.into_iter().map(|action| ActionRow {
        action_id: action.id,
        alert_id: action.alert,
        whom: action.target.into(),
        kind: match action.kind {
            ActionKind::Block { .. } => "block",
            ActionKind::RateLimit { .. } => "rate_limit",
        },
        scope: match action.scope {
            ActionScope::Consumer => "consumer".to_owned(),
            ActionScope::Service { name, .. } => format!("service:{name}"),
            ActionScope::Route { name, .. } => format!("route:{name}"),
        },
        asked_by: match action.origin {
            Origin::Policy { name, .. } => format!("policy:{name}"),
            Origin::Person { name } => name,
        },
        reason: action.reason,
        state: action.state,
        state_reason: action.state_reason,
        created_time: us(action.created_ms),
        expires_time: action.expires_ms.map(us),
    });
    Ok(actions.collect())
}

pub(super) const ENDPOINTS: &[&[Column]] = &[&[
    ("endpoint_id", Text),
    ("current_id", Text),
    ("gateway", Text),
    ("workspace", Text),
    ("service_id", Text),
    ("service_name", Text),
    ("method", Text),
    ("template", Text),
    ("current_template", Text),
    ("provisional", Flag),
    ("calls", Count),
    ("first_seen_time", Time),
    ("last_seen_time", Time),
]];

#[derive(Serialize)]
pub(super) struct EndpointRow {
    endpoint_id: EndpointId,
    current_id: EndpointId,
    gateway: String,
    workspace: String,
    service_id: String,
    service_name: String,
    method: String,
    template: String,
    current_template: String,
    provisional: bool,
    calls: u64,
    first_seen_time: i64,
    last_seen_time: i64,
}

pub(super) async fn endpoints(store: Store) -> Result<Vec<EndpointRow>, StoreError> {
    let filter = EndpointFilter { with_merged: true, ..EndpointFilter::default() };
    let page = async |cursor: Option<String>| store.endpoints(&filter, PAGE_MAX, cursor.as_deref()).await;
    let endpoints = newest(page).await?;
    let by_id: HashMap<EndpointId, &Endpoint> = endpoints.iter().map(|endpoint| (endpoint.id, endpoint)).collect();
    let rows = endpoints.iter().map(|endpoint| {
        let current = current(endpoint, &by_id);
        let key = &endpoint.key;
        EndpointRow {
            endpoint_id: endpoint.id,
            current_id: current.id,
            gateway: key.gateway.clone(),
            workspace: key.workspace.clone(),
            service_id: key.service.clone(),
            service_name: endpoint.service_name.clone(),
            method: key.method.clone(),
            template: key.template.clone(),
            current_template: current.key.template.clone(),
            provisional: endpoint.provisional,
            calls: endpoint.calls,
            first_seen_time: us(endpoint.first_seen_ms),
            last_seen_time: us(endpoint.last_seen_ms),
        }
    });
    Ok(rows.collect())
}

/// The endpoint that the calls of this one count at now.
fn current<'a>(endpoint: &'a Endpoint, by_id: &HashMap<EndpointId, &'a Endpoint>) -> &'a Endpoint {
    let mut current = endpoint;
    // As many steps as there are endpoints at most: a circle would be a mistake of ours, and must not hang a query.
    for _ in 0..by_id.len() {
        match current.merged_into.and_then(|id| by_id.get(&id)) {
            Some(next) => current = next,
            None => break,
        }
    }
    current
}
