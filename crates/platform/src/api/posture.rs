//! What is weak at the APIs, what is left so for a while, and which classes of data go where.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use outrider_discover::posture::{ClassRow, WeaknessRow, checks, class_rows, csv};
use outrider_model::{Command, EndpointId, Severity, WeaknessId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ApiState;
use super::body::Body;
use super::decisions::{Decider, submit};
use super::openapi::Description;
use super::problem::Problem;
use super::query::{Filter, List, Listed, NoQuery, Only, Parameter, Query};
use super::reading::{Found, found};
use super::routes::{Answer, Id};
use crate::store::{Gateways, Page, WeaknessCounts, WeaknessFilter, WeaknessOrder, WeaknessStanding};

const CSV: &str = "text/csv; charset=utf-8";

/// Weaknesses that a file has at most; there are as many as the analysis keeps.
const FILE_ROWS_MAX: usize = 50_000;

impl Filter for WeaknessFilter {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::list::<WeaknessStanding>("state", "That stand so."),
        Parameter::one::<Severity>("severity_min", "At least this severe."),
        Parameter::one::<String>("check", "Of the check with this name."),
        Parameter::one::<String>(
            "owasp",
            "With this id in the OWASP API Security Top 10 of 2023, such as `API8:2023`.",
        ),
        Parameter::one::<String>("gateway", "At the gateway with this name."),
        Parameter::one::<String>("service", "At the service with this id or name."),
        Parameter::one::<EndpointId>("endpoint", "That list this endpoint."),
        Parameter::one::<WeaknessOrder>("sort", "By what they are sorted; the default is `opened`."),
    ];

    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(WeaknessFilter {
            standings: query.words("state")?,
            severity_min: query.word("severity_min")?,
            check: query.text("check"),
            owasp: query.text("owasp"),
            gateway: query.text("gateway"),
            service: query.text("service"),
            endpoint: query.parsed("endpoint")?,
            order: query.word("sort")?.unwrap_or_default(),
            gateways: Gateways::All,
        })
    }

    fn at(self, gateways: &Gateways) -> Self {
        WeaknessFilter { gateways: gateways.clone(), ..self }
    }
}

pub(super) async fn list(
    State(state): State<ApiState>,
    list: List<WeaknessFilter>,
) -> Result<Listed<WeaknessRow>, Problem> {
    Ok(list.answer(state.store.weaknesses(&list.filter, list.limit, list.cursor()).await?))
}

pub(super) async fn counts(State(state): State<ApiState>, Only(filter): Only<WeaknessFilter>) -> Found<WeaknessCounts> {
    Ok(Json(state.store.weakness_counts(&filter).await?))
}

pub(super) async fn one(State(state): State<ApiState>, Id(id): Id<WeaknessId>, _: NoQuery) -> Found<WeaknessRow> {
    found(state.store.weakness(&id.to_string()).await?, "weakness", id)
}

/// Weaknesses as a file.
pub(super) struct WeaknessFile(String);

impl IntoResponse for WeaknessFile {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(CSV)),
            (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"posture.csv\"")),
        ];
        (headers, self.0).into_response()
    }
}

impl Answer for WeaknessFile {
    const MEDIA: &'static str = CSV;

    fn describe(description: &mut Description<'_>) {
        description.answer::<String>(StatusCode::OK, CSV, "A header, and a line for each.");
    }
}

pub(super) async fn export(
    State(state): State<ApiState>,
    Only(filter): Only<WeaknessFilter>,
) -> Result<WeaknessFile, Problem> {
    let rows = all(&state, &filter).await?;
    csv(&rows).map(WeaknessFile).map_err(|error| {
        tracing::error!(%error, "weaknesses cannot be written as CSV");
        Problem::internal()
    })
}

async fn all(state: &ApiState, filter: &WeaknessFilter) -> Result<Vec<WeaknessRow>, Problem> {
    let (mut rows, mut cursor): (Vec<WeaknessRow>, Option<String>) = (Vec::new(), None);
    while rows.len() < FILE_ROWS_MAX {
        let page = state.store.weaknesses(filter, crate::store::PAGE_MAX, cursor.as_deref()).await?;
        rows.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(rows)
}

/// A check of posture.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CheckRow {
    /// Its name.
    name: &'static str,
    /// For people.
    title: &'static str,
    /// What is weak, in a sentence.
    summary: &'static str,
    /// Its id in the OWASP API Security Top 10 of 2023.
    owasp: &'static str,
    /// How bad it is as a rule.
    severity: Severity,
    /// What to do about it.
    fix: &'static str,
    /// Its page, in Markdown.
    page: &'static str,
}

pub(super) async fn list_checks(_: NoQuery) -> Found<Page<CheckRow>> {
    let row = |check: &checks::Check| {
        let checks::Descriptor { name, title, summary, owasp, severity, fix, page } = *check.descriptor;
        CheckRow { name, title, summary, owasp, severity, fix, page }
    };
    Ok(Json(Page { items: checks::ALL.iter().map(row).collect(), next: None }))
}

/// Until when a weakness is left, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedException {
    /// Until when, in milliseconds since 1970.
    until_ms: i64,
    /// Why, in at most 512 bytes.
    reason: String,
}

pub(super) async fn except(
    State(state): State<ApiState>,
    decider: Decider,
    Id(weakness): Id<WeaknessId>,
    Body(WantedException { until_ms, reason }): Body<WantedException>,
) -> Found<WeaknessRow> {
    submit(&state, decider, Command::ExceptWeakness { weakness, until_ms, reason }).await?;
    found(state.store.weakness(&weakness.to_string()).await?, "weakness", weakness)
}

pub(super) async fn withdraw(
    State(state): State<ApiState>,
    decider: Decider,
    Id(weakness): Id<WeaknessId>,
) -> Found<WeaknessRow> {
    submit(&state, decider, Command::WithdrawException { weakness }).await?;
    found(state.store.weakness(&weakness.to_string()).await?, "weakness", weakness)
}

/// Where classes of data are looked for.
pub(super) struct OfClasses {
    gateway: Option<String>,
    service: Option<String>,
    gateways: Gateways,
}

impl Filter for OfClasses {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::one::<String>("gateway", "At the gateway with this name."),
        Parameter::one::<String>("service", "At the service with this id or name."),
    ];

    fn read(query: &Query) -> Result<Self, Problem> {
        let gateways = Gateways::All;
        Ok(OfClasses { gateway: query.text("gateway"), service: query.text("service"), gateways })
    }

    fn at(self, gateways: &Gateways) -> Self {
        OfClasses { gateways: gateways.clone(), ..self }
    }
}

pub(super) async fn data_classes(State(state): State<ApiState>, Only(of): Only<OfClasses>) -> Found<Page<ClassRow>> {
    let mut inventory = Vec::new();
    for row in state.store.apis(&of.gateways).await? {
        let is_named = of.service.as_ref().is_none_or(|name| row.service_name == *name || row.key.service == *name);
        if is_named && of.gateway.as_ref().is_none_or(|name| row.key.gateway == *name) {
            inventory.extend(state.store.api_inventory(&row.key).await?);
        }
    }
    Ok(Json(Page { items: class_rows(&inventory), next: None }))
}
