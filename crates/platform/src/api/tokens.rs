//! Tokens: made, listed and revoked by admins. A token is shown once, in the answer that makes it.

use axum::Json;
use axum::extract::{Extension, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::body::Body;
use super::problem::Problem;
use super::query::NoQuery;
use super::routes::{Created, Id, NoContent};
use super::{ApiState, now_ms};
use crate::store::{Page, Role, TokenRow, WantedToken};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Who or what uses it: 1 to 64 characters of letters, digits, `-`, `_`, `.` and `@`.
    name: String,
    /// What it may do.
    role: Role,
    /// What it is for, in at most 200 characters.
    #[serde(default)]
    description: String,
    /// When it ends by itself; without it, when it is revoked.
    #[serde(default)]
    expires_ms: Option<i64>,
    /// The gateways that it is for, by their names; without them for all, and for what is about outrider itself.
    #[serde(default)]
    gateways: Vec<String>,
}

/// A token that was just made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewToken")]
pub(super) struct Made {
    /// Its name.
    name: String,
    /// What it may do.
    role: Role,
    /// The gateways that it is for; empty for all.
    gateways: Vec<String>,
    /// When it ends by itself, if it does.
    expires_ms: Option<i64>,
    /// Never shown again.
    token: String,
}

pub(super) async fn list(State(state): State<ApiState>, _: NoQuery) -> Result<Json<Page<TokenRow>>, Problem> {
    Ok(Json(Page { items: state.store.tokens().await?, next: None }))
}

pub(super) async fn create(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    Body(Wanted { name, role, description, expires_ms, gateways }): Body<Wanted>,
) -> Result<Created<Made>, Problem> {
    let wanted = WantedToken { name, role, description, expires_ms, gateways };
    let token = state.store.make_token(&wanted, &caller.by, now_ms()).await?.reveal().to_owned();
    let WantedToken { name, gateways, .. } = wanted;
    Ok(Created { location: None, body: Made { name, role, gateways, expires_ms, token } })
}

pub(super) async fn revoke(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Id(name): Id<String>,
    _: NoQuery,
) -> Result<NoContent, Problem> {
    state.store.revoke_token(&name, &caller.by, now_ms()).await?;
    Ok(NoContent)
}
