//! The inventory as a flat table, one row an endpoint, and that table as CSV.

use std::collections::BTreeMap;

use outrider_model::{Endpoint, EndpointId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::figures::{EndpointInventory, Location, NamedCount, ParameterInventory, Quantiles};

/// Beginnings of a cell that a spreadsheet takes for a formula (OWASP, CSV injection).
const FORMULA: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n'];

/// One endpoint as a row. Lists are texts, their parts separated by `; `.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InventoryRow {
    /// The endpoint's id.
    pub endpoint: EndpointId,
    /// The gateway.
    pub gateway: String,
    /// Its workspace.
    pub workspace: String,
    /// The service's id, or `host:` and the host.
    pub service: String,
    /// The service's name.
    pub service_name: String,
    /// The method.
    pub method: String,
    /// The path template.
    pub template: String,
    /// Versions of the API.
    pub versions: String,
    /// Whether the template is still being learned.
    pub provisional: bool,
    /// Calls that count as evidence.
    pub calls: u64,
    /// About how many consumers called it.
    pub consumers: u64,
    /// Event time of the first known call; empty before there was one.
    pub first_seen_ms: Option<i64>,
    /// Event time of the latest known call.
    pub last_seen_ms: Option<i64>,
    /// Ways of authentication with their calls: `key 12; none 3`.
    pub auth: String,
    /// Statuses with their calls: `200 14; 404 1`.
    pub statuses: String,
    /// Media types of responses with their share of the calls that were measured: `application/json 98 %`.
    pub media_types: String,
    /// Parameters with their share of the calls that were read: `query limit integer 34 %`. One of the path is in each.
    pub parameters: String,
    /// Median of the latency, in ms.
    pub latency_ms_p50: Option<u64>,
    /// 95th percentile of it.
    pub latency_ms_p95: Option<u64>,
    /// Median of the size of a request.
    pub request_bytes_p50: Option<u64>,
    /// Median of the size of a response.
    pub response_bytes_p50: Option<u64>,
    /// Largest response.
    pub response_bytes_max: Option<u64>,
    /// The gateway's routes that lead to it, by name where that is known and else by id, with the calls that came by them.
    pub routes: String,
}

/// What routes are called, by gateway and id.
pub type RouteNames = BTreeMap<String, BTreeMap<String, String>>;

/// Why there is no CSV.
#[derive(Debug, thiserror::Error)]
#[error("the inventory cannot be written as CSV: {0}")]
pub struct RowError(String);

/// Rows of endpoints with what is known of them, ordered by service, template and method.
pub fn rows(endpoints: &[(Endpoint, EndpointInventory)], routes: &RouteNames) -> Vec<InventoryRow> {
    let mut rows: Vec<InventoryRow> = endpoints.iter().map(|(endpoint, seen)| row(endpoint, seen, routes)).collect();
    rows.sort_unstable_by(|one, other| {
        let order = |row: &InventoryRow| {
            (row.gateway.clone(), row.workspace.clone(), row.service.clone(), row.template.clone(), row.method.clone())
        };
        order(one).cmp(&order(other)).then_with(|| one.endpoint.cmp(&other.endpoint))
    });
    rows
}

/// Rows as CSV (RFC 4180) with a header line. A text that a spreadsheet would take for a formula begins with `'`.
pub fn csv(rows: &[InventoryRow]) -> Result<String, RowError> {
    let wrong = |error: &dyn std::fmt::Display| RowError(error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(without_formulas(row.clone())).map_err(|error| wrong(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| wrong(&error))?;
    String::from_utf8(bytes).map_err(|error| wrong(&error))
}

fn without_formulas(mut row: InventoryRow) -> InventoryRow {
    let texts = [
        &mut row.gateway,
        &mut row.workspace,
        &mut row.service,
        &mut row.service_name,
        &mut row.method,
        &mut row.template,
        &mut row.versions,
        &mut row.auth,
        &mut row.statuses,
        &mut row.media_types,
        &mut row.parameters,
        &mut row.routes,
    ];
    for text in texts {
        if text.starts_with(FORMULA) {
            text.insert(0, '\'');
        }
    }
    row
}

fn row(endpoint: &Endpoint, seen: &EndpointInventory, routes: &RouteNames) -> InventoryRow {
    let list = |parts: Vec<String>| parts.join("; ");
    let measured: u64 = seen.media_types.iter().map(|seen| seen.measured).sum();
    let names = routes.get(&endpoint.key.gateway);
    let route = |route: &NamedCount| {
        let name = names.and_then(|names| names.get(&route.name)).unwrap_or(&route.name);
        format!("{name} {}", route.calls)
    };
    let p50 = |quantiles: Option<Quantiles>| quantiles.map(|quantiles| quantiles.p50);
    let parameter = |parameter: &ParameterInventory| {
        let format = parameter.format.map(|format| format!(" {}", format.as_str())).unwrap_or_default();
        let share = match parameter.location {
            Location::Path => String::new(),
            _ => format!(" {} %", percent(parameter.calls, seen.read)),
        };
        format!("{} {} {}{format}{share}", parameter.location.as_str(), parameter.name, parameter.value_type.as_str())
    };
    InventoryRow {
        endpoint: endpoint.id,
        gateway: endpoint.key.gateway.clone(),
        workspace: endpoint.key.workspace.clone(),
        service: endpoint.key.service.clone(),
        service_name: endpoint.service_name.clone(),
        method: endpoint.key.method.clone(),
        template: endpoint.key.template.clone(),
        versions: list(seen.versions.clone()),
        provisional: endpoint.provisional,
        calls: seen.calls,
        consumers: seen.consumers,
        first_seen_ms: seen.first_seen_ms,
        last_seen_ms: seen.last_seen_ms,
        auth: list(seen.auth.iter().map(|auth| format!("{} {}", auth.kind.as_str(), auth.calls)).collect()),
        statuses: list(seen.statuses.iter().map(|status| format!("{} {}", status.status, status.calls)).collect()),
        media_types: list(
            seen.media_types
                .iter()
                .map(|seen| format!("{} {} %", seen.name, percent(seen.measured, measured)))
                .collect(),
        ),
        parameters: list(seen.parameters.iter().map(parameter).collect()),
        latency_ms_p50: p50(seen.latency_ms),
        latency_ms_p95: seen.latency_ms.map(|quantiles| quantiles.p95),
        request_bytes_p50: p50(seen.request_bytes),
        response_bytes_p50: p50(seen.response_bytes),
        response_bytes_max: seen.response_bytes.map(|quantiles| quantiles.max),
        routes: list(seen.routes.iter().map(route).collect()),
    }
}

/// A share in whole percent: 0 and 100 only where it is none and all.
pub(crate) fn percent(part: u64, all: u64) -> u64 {
    if part == 0 || all == 0 {
        return 0;
    }
    if part >= all {
        return 100;
    }
    let rounded = (u128::from(part) * 200 + u128::from(all)) / (2 * u128::from(all));
    (rounded as u64).clamp(1, 99)
}
