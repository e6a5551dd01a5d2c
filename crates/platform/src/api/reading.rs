//! What can be read: lists with filters and pages, and single things by id or name.

use std::str::FromStr;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use outrider_model::{Action, ActionId, Alert, AlertId, Endpoint, EndpointId, Finding};
use outrider_respond::desk::{GuardRails, KillSwitch, PolicyRow};
use serde_json::Value;

use super::ApiState;
use super::problem::Problem;
use super::query::Query;
use crate::store::{ActionFilter, AlertFilter, AuditLine, EndpointFilter, FindingFilter, Page};

pub(super) type Answer<T> = Result<Json<T>, Problem>;

pub(super) async fn alerts(State(state): State<ApiState>, uri: Uri) -> Answer<Page<Alert>> {
    let known = ["state", "severity_min", "detector", "entity", "service", "limit", "cursor"];
    let query = Query::read(&uri, &known)?;
    let filter = AlertFilter {
        states: query.words("state")?,
        severity_min: query.word("severity_min")?,
        detector: query.text("detector"),
        entity: query.text("entity"),
        service: query.text("service"),
    };
    let (limit, cursor) = query.page()?;
    Ok(Json(state.store.alerts(&filter, limit, cursor).await?))
}

pub(super) async fn alert(State(state): State<ApiState>, Path(id): Path<String>, uri: Uri) -> Answer<Alert> {
    Query::read(&uri, &[])?;
    let id: AlertId = id_of(&id)?;
    found(state.store.alert(&id.to_string()).await?, "alert", id)
}

pub(super) async fn findings(State(state): State<ApiState>, uri: Uri) -> Answer<Page<Finding>> {
    let query = Query::read(&uri, &["alert", "detector", "entity", "limit", "cursor"])?;
    let filter = FindingFilter {
        alert: query.parsed::<AlertId>("alert")?.map(|id| id.to_string()),
        detector: query.text("detector"),
        entity: query.text("entity"),
    };
    let (limit, cursor) = query.page()?;
    Ok(Json(state.store.findings(&filter, limit, cursor).await?))
}

pub(super) async fn endpoints(State(state): State<ApiState>, uri: Uri) -> Answer<Page<Endpoint>> {
    let query = Query::read(&uri, &["service", "method", "contains", "limit", "cursor"])?;
    let filter = EndpointFilter {
        service: query.text("service"),
        method: query.text("method").map(|method| method.to_ascii_uppercase()),
        contains: query.text("contains"),
    };
    let (limit, cursor) = query.page()?;
    Ok(Json(state.store.endpoints(&filter, limit, cursor).await?))
}

pub(super) async fn endpoint(State(state): State<ApiState>, Path(id): Path<String>, uri: Uri) -> Answer<Endpoint> {
    Query::read(&uri, &[])?;
    let id: EndpointId = id_of(&id)?;
    found(state.store.endpoint(&id.to_string()).await?, "endpoint", id)
}

pub(super) async fn policies(State(state): State<ApiState>, uri: Uri) -> Answer<Page<PolicyRow>> {
    Query::read(&uri, &[])?;
    Ok(Json(Page { items: state.store.policies().await?, next: None }))
}

pub(super) async fn policy(State(state): State<ApiState>, Path(name): Path<String>, uri: Uri) -> Answer<PolicyRow> {
    Query::read(&uri, &[])?;
    found(state.store.policy(&name).await?, "policy", &name)
}

pub(super) async fn actions(State(state): State<ApiState>, uri: Uri) -> Answer<Page<Action>> {
    let query = Query::read(&uri, &["state", "target", "gateway", "alert", "limit", "cursor"])?;
    let filter = ActionFilter {
        states: query.words("state")?,
        target: query.text("target"),
        gateway: query.text("gateway"),
        alert: query.parsed::<AlertId>("alert")?.map(|id| id.to_string()),
    };
    let (limit, cursor) = query.page()?;
    Ok(Json(state.store.actions(&filter, limit, cursor).await?))
}

pub(super) async fn action(State(state): State<ApiState>, Path(id): Path<String>, uri: Uri) -> Answer<Action> {
    Query::read(&uri, &[])?;
    let id: ActionId = id_of(&id)?;
    found(state.store.action(&id.to_string()).await?, "action", id)
}

pub(super) async fn kill_switch(State(state): State<ApiState>, uri: Uri) -> Answer<KillSwitch> {
    Query::read(&uri, &[])?;
    Ok(Json(state.store.kill_switch().await?))
}

pub(super) async fn guard_rails(State(state): State<ApiState>, uri: Uri) -> Answer<Option<GuardRails>> {
    Query::read(&uri, &[])?;
    Ok(Json(state.store.guard_rails().await?))
}

pub(super) async fn audit(State(state): State<ApiState>, uri: Uri) -> Answer<Page<AuditLine>> {
    let query = Query::read(&uri, &["limit", "cursor"])?;
    let (limit, cursor) = query.page()?;
    Ok(Json(state.store.audit(limit, cursor).await?))
}

/// What the platform says of itself, with the API's and the store's own numbers.
pub(super) async fn status(State(state): State<ApiState>, uri: Uri) -> Answer<Value> {
    Query::read(&uri, &[])?;
    Ok(Json(whole_status(&state).await?))
}

/// The status as people and metrics see it.
pub(super) async fn whole_status(state: &ApiState) -> Result<Value, Problem> {
    let mut status = state.status.status();
    if let Value::Object(fields) = &mut status {
        fields.insert("api".to_owned(), serde_json::json!(state.stats()));
        fields.insert("store".to_owned(), serde_json::json!(state.store.stats()));
        fields.insert("outbox".to_owned(), serde_json::json!(state.store.outbox_stats()));
        fields.insert("notices".to_owned(), serde_json::json!(state.store.open_notices().await?));
    }
    Ok(status)
}

/// An id in a path. One of another form names nothing.
pub(super) fn id_of<T: FromStr>(text: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Problem::not_found(error.to_string()).at("path"))
}

pub(super) fn found<T>(thing: Option<T>, what: &str, id: impl std::fmt::Display) -> Answer<T> {
    thing.map(Json).ok_or_else(|| Problem::not_found(format!("there is no {what} `{id}`")).at("path"))
}
