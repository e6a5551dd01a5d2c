//! What gateways are configured to do, as their responders read it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use outrider_model::GatewaySnapshot;

use super::ApiState;
use super::problem::Problem;
use super::query::Query;
use super::reading::{Answer, found};
use crate::store::{GatewayRow, GatewayVersions, Page};

pub(super) async fn list(State(state): State<ApiState>, uri: Uri) -> Answer<Page<GatewayRow>> {
    Query::read(&uri, &[])?;
    Ok(Json(Page { items: state.store.gateways().await?, next: None }))
}

pub(super) async fn gateway(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    uri: Uri,
) -> Answer<GatewayVersions> {
    Query::read(&uri, &[])?;
    found(state.store.gateway(&name).await?, "configuration of a gateway", &name)
}

pub(super) async fn configuration(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    uri: Uri,
) -> Answer<GatewaySnapshot> {
    let number = Query::read(&uri, &["number"])?.parsed::<i64>("number")?;
    let snapshot = state.store.gateway_configuration(&name, number).await?;
    let what = number.map_or_else(String::new, |number| format!(" with number {number}"));
    let missing = || Problem::not_found(format!("there is no configuration{what} of a gateway `{name}`")).at("path");
    snapshot.map(Json).ok_or_else(missing)
}
