//! A service as an OpenAPI document, and what was seen of it beside its owner's: the same for the API and the command line.

use outrider_discover::inventory::EndpointInventory;
use outrider_discover::openapi::{self, Drift, ExportInfo, Route, Warning};
use outrider_model::Endpoint;

use crate::store::{ApiRow, ServiceKey, Store, StoreError, read_document};

/// The document of a service as it was seen.
pub fn export_of(row: &ApiRow, inventory: &[(Endpoint, EndpointInventory)]) -> String {
    let calls: u64 = inventory.iter().map(|(_, known)| known.calls).sum();
    let info =
        ExportInfo { title: row.service_name.clone(), version: format!("seen in {calls} calls"), servers: Vec::new() };
    openapi::export(&info, inventory)
}

/// Compares what was seen of a service with a document, and with the gateway's routes as they were read last.
pub async fn drift_of(
    store: &Store,
    key: &ServiceKey,
    text: Option<&str>,
) -> Result<(Vec<Drift>, Vec<Warning>), StoreError> {
    let inventory = store.api_inventory(key).await?;
    let snapshot = store.gateway_configuration(&key.gateway, None).await?;
    let routes: Vec<Route> = snapshot
        .iter()
        .flat_map(|snapshot| &snapshot.configuration.routes)
        .filter_map(|route| {
            let is_of_service = route.service_id.as_deref() == Some(key.service.as_str());
            is_of_service.then(|| Route::from(route))
        })
        .collect();
    let mut drifts = Vec::new();
    let mut warnings = Vec::new();
    if let Some(text) = text {
        let document = read_document(text)?;
        drifts = openapi::drift(&document, &routes, &inventory);
        warnings = document.warnings;
    }
    if let Some(snapshot) = snapshot.filter(|_| !routes.is_empty()) {
        drifts.extend(openapi::route_drift(&routes, snapshot.taken_ms, &inventory));
    }
    drifts.sort_by_key(|drift| std::cmp::Reverse(drift.severity));
    Ok((drifts, warnings))
}
