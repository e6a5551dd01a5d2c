//! A service as an OpenAPI document, and what was seen of it beside its owner's: the same for the API and the command line.

use std::sync::{Arc, LazyLock};

use outrider_discover::inventory::EndpointInventory;
use outrider_discover::openapi::{self, Document, Drift, ExportInfo, Route, RoutesRead, Warning};
use outrider_model::{Endpoint, GatewaySnapshot};
use tokio::sync::Semaphore;

use crate::store::{ApiRow, ServiceKey, Store, StoreError, read_document};

/// The document of a service as it was seen.
pub fn export_of(row: &ApiRow, inventory: &[(Endpoint, EndpointInventory)]) -> String {
    let calls: u64 = inventory.iter().map(|(_, known)| known.calls).sum();
    let info =
        ExportInfo { title: row.service_name.clone(), version: format!("seen in {calls} calls"), servers: Vec::new() };
    openapi::export(&info, inventory)
}

/// Documents that are read or compared at a time. Either may take a core for seconds, and the runtime has to read the gateways' lines.
static AT_A_TIME: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(1)));

/// How what was seen differs from what is documented.
#[derive(Debug)]
pub struct Compared {
    /// The differences, the worst first and else as [`openapi::drift`] says.
    pub drifts: Vec<Drift>,
    /// What is broken in the document and was left out.
    pub warnings: Vec<Warning>,
    /// Further ones that are not listed.
    pub warnings_left_out: u64,
}

/// The routes of a gateway that lead to a service.
pub(crate) fn routes_of(snapshot: Option<&GatewaySnapshot>, service: &str) -> Vec<Route> {
    let routes = snapshot.into_iter().flat_map(|snapshot| &snapshot.configuration.routes);
    routes.filter(|route| route.service_id.as_deref() == Some(service)).map(Route::from).collect()
}

/// The same with what is known of how they were read; `None` where nothing is known of the service's routes. A responder reads one
/// workspace, so a service that is not among those it has read, and no route leads to, may have its routes in another one.
fn routes_read(snapshot: &GatewaySnapshot, since_ms: i64, service: &str) -> Option<RoutesRead> {
    let configuration = &snapshot.configuration;
    let routes = routes_of(Some(snapshot), service);
    let is_known = !routes.is_empty() || configuration.services.iter().any(|known| known.id == service);
    let are_all = configuration.left_out.iter().all(|left_out| left_out.list != "routes");
    is_known.then_some(RoutesRead { routes, since_ms, are_all })
}

/// Reads a document, apart from the tasks that serve connections.
pub async fn read(text: String) -> Result<Document, StoreError> {
    apart(move || read_document(&text)).await
}

/// Compares what was seen of a service with a document, and with the gateway's routes as they were read last.
pub async fn drift_of(store: &Store, key: &ServiceKey, text: Option<String>) -> Result<Compared, StoreError> {
    let inventory = store.api_inventory(key).await?;
    let snapshot = store.gateway_configuration(&key.gateway, None).await?;
    let since_ms = store.routes_since_ms(&key.gateway).await?.unwrap_or_default();
    let key = key.clone();
    apart(move || compare(&key, text.as_deref(), &inventory, snapshot.as_ref(), since_ms)).await
}

/// Works apart from the tasks that serve connections, one at a time.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let turn = Arc::clone(&AT_A_TIME).acquire_owned().await;
    // What is worked at goes on when nobody waits for it any more, and so does its turn.
    let work = move || {
        let _turn = turn;
        work()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // It is never aborted.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn compare(
    key: &ServiceKey,
    text: Option<&str>,
    inventory: &[(Endpoint, EndpointInventory)],
    snapshot: Option<&GatewaySnapshot>,
    since_ms: i64,
) -> Result<Compared, StoreError> {
    let document = text.map(read_document).transpose()?;
    let routes = snapshot.and_then(|snapshot| routes_read(snapshot, since_ms, &key.service));
    let drifts = openapi::drift(document.as_ref(), routes.as_ref(), inventory);
    let (warnings, warnings_left_out) =
        document.map(|document| (document.warnings, document.warnings_left_out)).unwrap_or_default();
    Ok(Compared { drifts, warnings, warnings_left_out })
}
