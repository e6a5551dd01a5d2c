//! Erasures: asked for, listed and read by admins.

use axum::extract::{Extension, State};
use outrider_model::{EntityKind, Subject};
use schemars::JsonSchema;
use serde::Deserialize;

use super::auth::Caller;
use super::body::Body;
use super::problem::Problem;
use super::query::{Filter, List, Listed, NoQuery, Parameter, Query};
use super::reading::{Found, found};
use super::routes::{Created, Id};
use super::{ApiState, now_ms};
use crate::store::{Erasure, StoreError};

/// Whom to erase.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WantedErasure")]
pub(super) struct Wanted {
    /// What they are: anything but a network.
    kind: EntityKind,
    /// Their id: a consumer's or credential's id, an address, a session's pseudonym, `merchant_id:4711`. No name will do.
    value: String,
}

/// All of them.
pub(super) struct All;

impl Filter for All {
    const PARAMETERS: &'static [Parameter] = &[];

    fn read(_: &Query) -> Result<Self, Problem> {
        Ok(All)
    }
}

pub(super) async fn list(State(state): State<ApiState>, list: List<All>) -> Result<Listed<Erasure>, Problem> {
    Ok(list.answer(state.store.erasures(list.limit, list.cursor()).await?))
}

pub(super) async fn one(State(state): State<ApiState>, Id(id): Id<String>, _: NoQuery) -> Found<Erasure> {
    found(state.store.erasure(&id).await?, "erasure", &id)
}

pub(super) async fn ask(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    Body(Wanted { kind, value }): Body<Wanted>,
) -> Result<Created<Erasure>, Problem> {
    let subject = Subject::new(kind, &value)
        .map_err(|error| Problem::unprocessable(error.to_string()).at("body fields `kind` and `value`"))?;
    if let Some(queries) = &state.queries
        && let Some(id) = queries.id_meant(&subject).await?
    {
        return Err(StoreError::ErasureByName(id).into());
    }
    let body = state.store.ask_erasure(&subject, &caller.by, now_ms()).await?;
    Ok(Created { location: Some(format!("/api/v1/erasures/{}", body.id)), body })
}
