//! What is wrong with outrider's own operation, and whether those who are to be told of things were told.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, Uri};
use outrider_model::Notice;
use serde::Deserialize;

use super::body::Body;
use super::decisions::Nothing;
use super::problem::Problem;
use super::query::Query;
use super::{ApiState, now_ms};
use crate::store::{OutboxFilter, OutboxRow, OutboxState, Page, Token};

/// Which notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum NoticeState {
    Open,
    Closed,
}

pub(super) async fn notices(State(state): State<ApiState>, uri: Uri) -> Result<Json<Page<Notice>>, Problem> {
    let query = Query::read(&uri, &["state", "limit", "cursor"])?;
    let is_open = query.word::<NoticeState>("state")?.map(|state| state == NoticeState::Open);
    let (limit, cursor) = query.page()?;
    Ok(Json(state.store.notices(is_open, limit, cursor).await?))
}

pub(super) async fn notice(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Notice>, Problem> {
    Query::read(&uri, &[])?;
    let found = state.store.notice(number(&id)?).await?;
    found.map(Json).ok_or_else(|| Problem::not_found(format!("there is no notice `{id}`")).at("path"))
}

/// Messages with what became of them; dead letters are `?state=dead`.
pub(super) async fn messages(State(state): State<ApiState>, uri: Uri) -> Result<Json<Page<OutboxRow>>, Problem> {
    let query = Query::read(&uri, &["state", "destination", "limit", "cursor"])?;
    let filter = OutboxFilter { state: query.word::<OutboxState>("state")?, destination: query.text("destination") };
    let (limit, cursor) = query.page()?;
    Ok(Json(state.store.outbox(&filter, limit, cursor).await?))
}

pub(super) async fn resend(
    State(state): State<ApiState>,
    Extension(caller): Extension<Token>,
    Path(id): Path<String>,
    uri: Uri,
    Body(Nothing {}): Body<Nothing>,
) -> Result<StatusCode, Problem> {
    Query::read(&uri, &[])?;
    if state.store.outbox_resend(number(&id)?, &caller.name, now_ms()).await? {
        return Ok(StatusCode::ACCEPTED);
    }
    Err(Problem::not_found(format!("message `{id}` is no dead letter"))
        .at("path")
        .hint("`GET /api/v1/notify?state=dead` lists them"))
}

fn number(text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::not_found(format!("`{text}` is no number")).at("path"))
}
