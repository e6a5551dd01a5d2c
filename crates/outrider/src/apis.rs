//! `outrider endpoints` and `outrider openapi`: the inventory of the APIs behind the gateways, and OpenAPI documents of them.
//!
//! They read the control store on the machine itself, by who may read the data directory, whether outrider runs or not.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use outrider_discover::inventory::{self, EndpointInventory, InventoryRow, RouteNames};
use outrider_discover::openapi::{Drift, Warning};
use outrider_model::{AuditEntry, Endpoint, Severity};
use outrider_platform::drift::{self, Compared, drift_of, export_of};
use outrider_platform::store::{ApiRow, AuditLog, DOCUMENT_BYTES_MAX, Gateways, Store};
use serde_json::json;

use crate::audit::store_at_hand;
use crate::cli::{
    DriftFormat, EndpointsArguments, InventoryFormat, OpenapiCommand, OpenapiDiffArguments, ServiceArguments,
};
use crate::config::Config;
use crate::{service, terminal};

/// The exit status where a document and what was seen differ.
const HAS_DRIFT: u8 = 4;
/// Who changes the store here.
const BY: &str = "command line";

/// Writes the inventory.
pub async fn endpoints(arguments: EndpointsArguments) -> anyhow::Result<()> {
    let place = Place::open(&arguments.config.config).await?;
    place.note("read the inventory", arguments.service.as_deref().unwrap_or("all services")).await?;
    let mut found: Vec<(Endpoint, EndpointInventory)> = Vec::new();
    for row in place.apis(arguments.service.as_deref(), arguments.gateway.as_deref()).await? {
        found.extend(place.store.api_inventory(&row.key).await?);
    }
    let rows = inventory::rows(&found, &place.route_names(&found).await?);
    let text = match arguments.format {
        InventoryFormat::Table => table(&rows),
        InventoryFormat::Csv => inventory::csv(&rows)?,
        InventoryFormat::Json => {
            let line = |row| serde_json::to_string(row).map(|text| text + "\n");
            rows.iter().map(line).collect::<Result<String, _>>()?
        }
    };
    terminal::out(&text)?;
    if rows.is_empty() {
        terminal::note(
            "no endpoint is known yet; they are known some minutes after the first calls (`outrider doctor` says whether \
             there are any)",
        );
    }
    Ok(())
}

/// Does one of the things with documents.
pub async fn openapi(command: OpenapiCommand) -> anyhow::Result<ExitCode> {
    match command {
        OpenapiCommand::Export(arguments) => export(arguments).await.map(|()| ExitCode::SUCCESS),
        OpenapiCommand::Import { service, file } => import(service, &file).await.map(|()| ExitCode::SUCCESS),
        OpenapiCommand::Diff(arguments) => diff(arguments).await,
    }
}

async fn export(arguments: ServiceArguments) -> anyhow::Result<()> {
    let (place, row) = Place::of(&arguments).await?;
    place.note("exported a service", &row.service_name).await?;
    let found = place.store.api_inventory(&row.key).await?;
    ensure!(
        !found.is_empty(),
        "nothing is known of the endpoints of `{}` yet; it is some minutes after their first calls",
        row.service_name
    );
    terminal::out(&(export_of(&row, &found) + "\n"))
}

async fn import(arguments: ServiceArguments, file: &Path) -> anyhow::Result<()> {
    let (place, row) = Place::of(&arguments).await?;
    let text = read(file)?;
    let document = drift::read(text.clone()).await.with_context(|| file.display().to_string())?;
    place.store.put_api_document(&row.key, &text, &document, BY, service::now_ms()).await?;
    let (title, version, operations) = (&document.title, &document.version, document.operations.len());
    terminal::note(&format!(
        "`{title}` {version} with {operations} operations is the document of {} now",
        row.service_name
    ));
    tell(&document.warnings, document.warnings_left_out);
    terminal::note("`outrider openapi diff` says how what was seen differs from it");
    Ok(())
}

async fn diff(arguments: OpenapiDiffArguments) -> anyhow::Result<ExitCode> {
    let (place, row) = Place::of(&arguments.service).await?;
    place.note("compared a service with its document", &row.service_name).await?;
    let text = match &arguments.file {
        Some(file) => Some(read(file)?),
        None => place.store.api_document(&row.key).await?,
    };
    let has_document = text.is_some();
    let compared = drift_of(&place.store, &row.key, text).await.context("the document")?;
    let Compared { mut drifts, warnings, warnings_left_out } = compared;
    drifts.retain(|drift| drift.severity >= arguments.severity_min);
    match arguments.format {
        DriftFormat::Json => {
            let line = |drift| serde_json::to_string(drift).map(|text| text + "\n");
            terminal::out(&drifts.iter().map(line).collect::<Result<String, _>>()?)?;
        }
        DriftFormat::Text => terminal::out(&drifts.iter().map(line_of).collect::<String>())?,
    }
    tell(&warnings, warnings_left_out);
    if !has_document {
        terminal::note(&format!(
            "{} has no document, so only the gateway's routes were compared; name one, or `outrider openapi import` it",
            row.service_name
        ));
    }
    let graver = drifts.iter().filter(|drift| drift.severity > Severity::Info).count();
    terminal::note(&format!("{} differences, {graver} of them more than information", drifts.len()));
    Ok(if graver > 0 { ExitCode::from(HAS_DRIFT) } else { ExitCode::SUCCESS })
}

fn line_of(drift: &Drift) -> String {
    let severity = json!(drift.severity);
    let severity = severity.as_str().unwrap_or_default();
    let place = drift.pointer.as_deref().map(|pointer| format!("  ({pointer})")).unwrap_or_default();
    format!("{severity:<8}  {} {}: {}{place}\n", drift.method, drift.template, drift.sentence)
}

fn tell(warnings: &[Warning], left_out: u64) {
    for warning in warnings {
        terminal::note(&format!("left out of the document at {}: {}", warning.pointer, warning.what));
    }
    if left_out > 0 {
        terminal::note(&format!("and {left_out} more"));
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot read {}", file.display());
    let length = std::fs::metadata(file).with_context(cannot)?.len();
    ensure!(
        length <= DOCUMENT_BYTES_MAX as u64,
        "{} has {length} bytes, and a document may have {DOCUMENT_BYTES_MAX}; leave out examples and descriptions",
        file.display()
    );
    std::fs::read_to_string(file).with_context(cannot)
}

/// The rows for reading: what fits on a line.
fn table(rows: &[InventoryRow]) -> String {
    let mut text = String::new();
    let mut service = None;
    for row in rows {
        if service != Some(&row.service_name) {
            text += &format!("{}{} ({})\n", if service.is_some() { "\n" } else { "" }, row.service_name, row.gateway);
            service = Some(&row.service_name);
        }
        let learning = if row.provisional { "  still being learned" } else { "" };
        text += &format!(
            "  {:<7} {:<48}  {:>10} calls  {:>6} consumers  {}{learning}\n",
            row.method, row.template, row.calls, row.consumers, row.auth
        );
    }
    text
}

/// The installation that is asked.
struct Place {
    store: Store,
}

impl Place {
    async fn open(config: &Path) -> anyhow::Result<Place> {
        let config = Config::load(config)?;
        let store = store_at_hand(&config.data_dir).await?;
        let missing = || {
            format!(
                "{} holds no installation of a platform; name its configuration with --config",
                config.data_dir.display()
            )
        };
        Ok(Place { store: store.with_context(missing)? })
    }

    /// The one service that is meant.
    async fn of(arguments: &ServiceArguments) -> anyhow::Result<(Place, ApiRow)> {
        let place = Place::open(&arguments.config.config).await?;
        let mut rows = place.apis(Some(&arguments.service), arguments.gateway.as_deref()).await?;
        if rows.len() > 1 {
            let at =
                terminal::some_of(rows.iter().map(|row| format!("`{}` at `{}`", row.key.service, row.key.gateway)));
            bail!(
                "several services are called `{}`: {at}; say its id, or the gateway with --gateway",
                arguments.service
            );
        }
        Ok((place, rows.remove(0)))
    }

    /// Services by name or id; at least one where one is named.
    async fn apis(&self, service: Option<&str>, gateway: Option<&str>) -> anyhow::Result<Vec<ApiRow>> {
        let all = self.store.apis(&Gateways::All).await?;
        let known = terminal::some_of(all.iter().map(|row| format!("`{}`", row.service_name)));
        let is_named = |row: &ApiRow| service.is_none_or(|name| row.service_name == name || row.key.service == name);
        let is_there = |row: &ApiRow| gateway.is_none_or(|name| row.key.gateway == name);
        let rows: Vec<ApiRow> = all.into_iter().filter(|row| is_named(row) && is_there(row)).collect();
        if rows.is_empty()
            && let Some(service) = service
        {
            bail!("nothing was seen of a service `{service}`; known are {known}");
        }
        Ok(rows)
    }

    /// What the routes of the gateways are called that endpoints are at, where a responder has read that.
    async fn route_names(&self, found: &[(Endpoint, EndpointInventory)]) -> anyhow::Result<RouteNames> {
        let gateways: BTreeSet<&str> = found.iter().map(|(endpoint, _)| endpoint.key.gateway.as_str()).collect();
        let mut names = RouteNames::new();
        for gateway in gateways {
            let snapshot = self.store.gateway_configuration(gateway, None).await?;
            let routes = snapshot.into_iter().flat_map(|snapshot| snapshot.configuration.routes);
            names.insert(gateway.to_owned(), routes.filter_map(|route| Some((route.id, route.name?))).collect());
        }
        Ok(names)
    }

    /// Who may read the directory may read the inventory; the audit log says that somebody did.
    async fn note(&self, what: &str, detail: &str) -> anyhow::Result<()> {
        let (by, what) = (BY.to_owned(), what.to_owned());
        let at_ms = service::now_ms();
        let entry = AuditEntry { at_ms, by, what, subject: String::new(), detail: detail.to_owned() };
        Ok(self.store.note(AuditLog::Reads, &entry).await?)
    }
}
