//! The APIs behind the gateways: what each service carries, its OpenAPI document as it was seen, and how that differs from the one
//! that its owner has given.

use axum::Json;
use axum::extract::{Extension, State};
use outrider_discover::inventory::EndpointInventory;
use outrider_discover::openapi::{Drift, Warning};
use outrider_discover::posture::{RiskScore, UnreadBodies, unread_bodies};
use outrider_model::EndpointId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::auth::Caller;
use super::body::Body;
use super::problem::{self, Kind, Problem};
use super::query::{Filter, NoQuery, Only, Parameter, Query};
use super::reading::{Found, found};
use super::routes::{Id, NoContent};
use super::{ApiState, now_ms};
use crate::drift::{self, Compared, drift_of, export_of};
use crate::store::{ApiRow, DOCUMENT_BYTES_MAX, Gateways, Page, ServiceKey, Store, TemplateRow};

/// The largest body with a document: as JSON it may be twice as long.
const BODY_BYTES_MAX: usize = 2 * DOCUMENT_BYTES_MAX;

/// Which service.
pub(super) struct Which {
    key: ServiceKey,
    gateways: Gateways,
}

impl Filter for Which {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::one::<String>("gateway", "The gateway's name. It has to be said."),
        Parameter::one::<String>("workspace", "The id of the gateway's workspace; empty where it logs none."),
        Parameter::one::<String>("service", "Kong's service id, or `host:` and the host. It has to be said."),
    ];

    const REFUSALS: &'static [&'static Kind] = &[&problem::NOT_FOUND];

    fn read(query: &Query) -> Result<Self, Problem> {
        let said = |name: &str| {
            let missing = || Problem::bad_request(format!("which service? `{name}` is missing"));
            query.text(name).filter(|text| !text.is_empty()).ok_or_else(|| {
                missing().at(format!("query parameter `{name}`")).hint("`/api/v1/apis` lists all with these")
            })
        };
        let workspace = query.text("workspace").unwrap_or_default();
        let key = ServiceKey { gateway: said("gateway")?, workspace, service: said("service")? };
        Ok(Which { key, gateways: Gateways::All })
    }

    fn at(self, gateways: &Gateways) -> Self {
        Which { gateways: gateways.clone(), ..self }
    }
}

impl Which {
    /// The service, where the caller may see it and it has endpoints or a document.
    async fn row(&self, store: &Store) -> Result<ApiRow, Problem> {
        let row = if self.gateways.has(&self.key.gateway) { store.api(&self.key).await? } else { None };
        row.ok_or_else(|| {
            let ServiceKey { gateway, service, .. } = &self.key;
            Problem::not_found(format!("nothing was seen of a service `{service}` at `{gateway}`"))
                .at("query parameter `service`")
                .hint("`/api/v1/apis` lists all")
        })
    }
}

/// A service with what is behind it, and how risky that is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ServiceAnswer {
    #[serde(flatten)]
    row: ApiRow,
    /// How risky it is; null before that is known.
    risk: Option<RiskScore>,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
) -> Found<Page<ServiceAnswer>> {
    let rows = state.store.apis(&caller.gateways).await?;
    let keys: Vec<ServiceKey> = rows.iter().map(|row| row.key.clone()).collect();
    let mut scores = state.store.service_scores(&keys).await?;
    let items = rows.into_iter().map(|row| ServiceAnswer { risk: scores.remove(&row.key), row }).collect();
    Ok(Json(Page { items, next: None }))
}

pub(super) async fn templates(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
) -> Found<Page<TemplateRow>> {
    Ok(Json(Page { items: state.store.template_decisions(&caller.gateways).await?, next: None }))
}

pub(super) async fn endpoint(
    State(state): State<ApiState>,
    Id(id): Id<EndpointId>,
    _: NoQuery,
) -> Found<InventoryAnswer> {
    let name = id.to_string();
    let (seen, endpoint) = (state.store.endpoint_inventory(&name).await?, state.store.endpoint(&name).await?);
    let unread_bodies = seen.as_ref().zip(endpoint.as_ref()).and_then(|(seen, endpoint)| unread_bodies(endpoint, seen));
    let risk = state.store.endpoint_score(id).await?;
    let answer = seen.map(|seen| InventoryAnswer { seen, risk, unread_bodies });
    found(answer, "inventory of an endpoint", &name)
}

/// What is known of an endpoint, how risky it is, and what of it cannot be seen.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct InventoryAnswer {
    #[serde(flatten)]
    seen: EndpointInventory,
    /// How risky it is; null before that is known.
    risk: Option<RiskScore>,
    /// What of its bodies is not seen, and what would show it; null where there is nothing.
    unread_bodies: Option<UnreadBodies>,
}

pub(super) async fn export(State(state): State<ApiState>, Only(which): Only<Which>) -> Found<Value> {
    let row = which.row(&state.store).await?;
    let text = export_of(&row, &state.store.api_inventory(&row.key).await?);
    serde_json::from_str(&text).map(Json).map_err(|error| {
        tracing::error!(%error, "an exported document is no JSON");
        Problem::internal()
    })
}

/// How what was seen differs from what is documented.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DriftAnswer {
    /// Whether there is a document; without one only the gateway's routes are compared.
    has_document: bool,
    /// The differences, the worst first, then by method, template, kind and parameter.
    items: Vec<Drift>,
    /// What is broken in the document and was left out.
    warnings: Vec<Warning>,
    /// Further ones that are not listed.
    warnings_left_out: u64,
}

pub(super) async fn compare(State(state): State<ApiState>, Only(which): Only<Which>) -> Found<DriftAnswer> {
    let row = which.row(&state.store).await?;
    let text = state.store.api_document(&row.key).await?;
    let has_document = text.is_some();
    let Compared { drifts, warnings, warnings_left_out } = drift_of(&state.store, &row.key, text).await?;
    Ok(Json(DriftAnswer { has_document, items: drifts, warnings, warnings_left_out }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Given {
    /// The document, OpenAPI 3.0 or 3.1 as JSON or YAML, at most 4 MiB.
    text: String,
}

/// What was read of a document.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Read {
    /// Its title.
    title: String,
    /// Its version.
    version: String,
    /// Its operations.
    operations: usize,
    /// What is broken in it and was left out.
    warnings: Vec<Warning>,
    /// Further ones that are not listed.
    warnings_left_out: u64,
}

pub(super) async fn put_document(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Only(which): Only<Which>,
    Body(Given { text }): Body<Given, BODY_BYTES_MAX>,
) -> Found<Read> {
    let row = which.row(&state.store).await?;
    let document = drift::read(text.clone()).await?;
    state.store.put_api_document(&row.key, &text, &document, &caller.by, now_ms()).await?;
    Ok(Json(Read {
        title: document.title,
        version: document.version,
        operations: document.operations.len(),
        warnings: document.warnings,
        warnings_left_out: document.warnings_left_out,
    }))
}

pub(super) async fn delete_document(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Only(which): Only<Which>,
) -> Result<NoContent, Problem> {
    // Nothing may be left of the service but its document.
    let key = &which.key;
    let is_there = which.gateways.has(&key.gateway);
    match is_there && state.store.delete_api_document(key, &caller.by, now_ms()).await? {
        true => Ok(NoContent),
        false => {
            Err(Problem::not_found(format!("there is no document of `{}`", key.service))
                .at("query parameter `service`"))
        }
    }
}
