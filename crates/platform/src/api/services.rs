//! The identities of collectors and responders on the premises. A token is shown once, in the answer that makes it.

use axum::Json;
use axum::extract::{Extension, State};
use schemars::JsonSchema;
use serde::Serialize;

use super::auth::Caller;
use super::body::Body;
use super::problem::Problem;
use super::query::NoQuery;
use super::routes::{Created, Id, NoContent};
use super::{ApiState, now_ms};
use crate::store::{Page, Service, ServiceRow};

#[derive(Serialize, JsonSchema)]
pub(super) struct Made {
    #[serde(flatten)]
    service: Service,
    /// Never shown again.
    token: String,
}

pub(super) async fn list(State(state): State<ApiState>, _: NoQuery) -> Result<Json<Page<ServiceRow>>, Problem> {
    Ok(Json(Page { items: state.store.services().await?, next: None }))
}

pub(super) async fn create(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    Body(service): Body<Service>,
) -> Result<Created<Made>, Problem> {
    let token = state.store.create_service(&service, &caller.by, now_ms()).await?.reveal().to_owned();
    Ok(Created { location: None, body: Made { service, token } })
}

pub(super) async fn revoke(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Id(name): Id<String>,
    _: NoQuery,
) -> Result<NoContent, Problem> {
    state.store.revoke_service(&name, &caller.by, now_ms()).await?;
    Ok(NoContent)
}
