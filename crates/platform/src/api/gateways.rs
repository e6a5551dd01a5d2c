//! What gateways are configured to do, as their responders read it.

use axum::Json;
use axum::extract::{Extension, State};
use outrider_model::GatewaySnapshot;

use super::ApiState;
use super::auth::Caller;
use super::problem::Problem;
use super::query::{Filter, NoQuery, Only, Parameter, Query};
use super::reading::{Found, found};
use super::routes::Id;
use crate::store::{GatewayRow, GatewayVersions, Page};

pub(super) async fn list(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
) -> Found<Page<GatewayRow>> {
    let mut items = state.store.gateways().await?;
    items.retain(|row| caller.gateways.has(&row.gateway));
    Ok(Json(Page { items, next: None }))
}

pub(super) async fn gateway(State(state): State<ApiState>, Id(name): Id<String>, _: NoQuery) -> Found<GatewayVersions> {
    found(state.store.gateway(&name).await?, "configuration of a gateway", &name)
}

/// Which version of a configuration.
pub(super) struct Version(Option<i64>);

impl Filter for Version {
    const PARAMETERS: &'static [Parameter] =
        &[Parameter::one::<i64>("number", "The version with this number; the newest where it is not said.")];

    fn read(query: &Query) -> Result<Self, Problem> {
        query.parsed("number").map(Version)
    }
}

pub(super) async fn configuration(
    State(state): State<ApiState>,
    Id(name): Id<String>,
    Only(Version(number)): Only<Version>,
) -> Found<GatewaySnapshot> {
    let snapshot = state.store.gateway_configuration(&name, number).await?;
    let what = number.map_or_else(String::new, |number| format!(" with number {number}"));
    let missing = || Problem::not_found(format!("there is no configuration{what} of a gateway `{name}`")).at("path");
    snapshot.map(Json).ok_or_else(missing)
}
