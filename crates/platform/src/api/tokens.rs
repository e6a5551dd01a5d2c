//! Tokens: made, listed and revoked by admins. A token is shown once, in the answer that makes it.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::problem::Problem;
use super::query::Query;
use super::{ApiState, now_ms};
use crate::store::{Page, Role, Token, TokenRow};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    name: String,
    role: Role,
}

#[derive(Serialize)]
pub(super) struct Made {
    name: String,
    role: Role,
    /// Never shown again.
    token: String,
}

pub(super) async fn list(State(state): State<ApiState>, uri: Uri) -> Result<Json<Page<TokenRow>>, Problem> {
    Query::read(&uri, &[])?;
    Ok(Json(Page { items: state.store.tokens().await?, next: None }))
}

pub(super) async fn create(
    State(state): State<ApiState>,
    Extension(caller): Extension<Token>,
    uri: Uri,
    Body(Wanted { name, role }): Body<Wanted>,
) -> Result<(StatusCode, Json<Made>), Problem> {
    Query::read(&uri, &[])?;
    let token = state.store.create_token(&name, role, &caller.name, now_ms()).await?;
    let token = token.reveal().to_owned();
    Ok((StatusCode::CREATED, Json(Made { name, role, token })))
}

pub(super) async fn revoke(
    State(state): State<ApiState>,
    Extension(caller): Extension<Token>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<StatusCode, Problem> {
    Query::read(&uri, &[])?;
    state.store.revoke_token(&name, &caller.name, now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}
