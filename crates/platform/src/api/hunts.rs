//! Saved hunts: read, written, deleted, and run by hand, which raises nothing.

use axum::Json;
use axum::extract::{Extension, State};
use outrider_lake::HuntAnswer;
use outrider_model::{AuditEntry, Hunt, HuntFigures, HuntHit, HuntQuestion, HuntWindow};
use schemars::JsonSchema;
use serde::Serialize;

use super::auth::Caller;
use super::body::Body;
use super::decisions::Nothing;
use super::lake::Lake;
use super::problem::Problem;
use super::query::{Filter, List, Listed, NoQuery, Parameter, Query};
use super::reading::{Found, found};
use super::routes::{Id, IfNew, NoContent};
use super::{ApiState, now_ms};
use crate::hunts::window_by_hand;
use crate::store::{AuditLog, Gateways, HuntRow, Page, is_hunt_within};

/// Which hunts.
pub(super) struct HuntFilter {
    gateways: Gateways,
}

impl Filter for HuntFilter {
    const PARAMETERS: &'static [Parameter] = &[];

    fn read(_: &Query) -> Result<Self, Problem> {
        Ok(HuntFilter { gateways: Gateways::All })
    }

    fn at(self, gateways: &Gateways) -> Self {
        HuntFilter { gateways: gateways.clone() }
    }
}

pub(super) async fn list(State(state): State<ApiState>, list: List<HuntFilter>) -> Result<Listed<HuntRow>, Problem> {
    let is_shown = |row: &HuntRow| {
        row.is_within(&list.filter.gateways) && list.cursor().is_none_or(|after| row.hunt.name.as_str() > after)
    };
    let mut items = state.store.hunts().await?;
    items.retain(is_shown);
    let is_more = items.len() > list.limit as usize;
    items.truncate(list.limit as usize);
    let next = items.last().filter(|_| is_more).map(|row| row.hunt.name.clone());
    Ok(list.answer(Page { items, next }))
}

pub(super) async fn hunt(State(state): State<ApiState>, Id(name): Id<String>, _: NoQuery) -> Found<HuntRow> {
    found(state.store.hunt(&name).await?, "hunt", &name)
}

pub(super) async fn put(
    State(state): State<ApiState>,
    Lake(queries): Lake,
    Extension(caller): Extension<Caller>,
    Id(name): Id<String>,
    IfNew(if_new): IfNew,
    Body(hunt): Body<Hunt>,
) -> Found<HuntRow> {
    if hunt.name != name {
        let detail = format!("the body names the hunt `{}` and the path `{name}`", hunt.name);
        return Err(Problem::unprocessable(detail).at("body field `name`").hint("write the same name in both"));
    }
    let wrong = |field: &str, why: String| Problem::unprocessable(why).at(format!("body field `{field}`"));
    hunt.validate().map_err(|error| wrong(error.field(), error.to_string()))?;
    check_place(&state, &caller, &hunt)?;
    let field = match &hunt.ask {
        HuntQuestion::Search(_) => "body field `ask.search`",
        HuntQuestion::Sql(_) => "body field `ask.sql`",
    };
    queries.check_hunt(hunt.clone()).await.map_err(|error| Problem::from(error).at(field))?;
    state.store.put_hunt(&hunt, if_new, &caller.by, now_ms()).await?;
    found(state.store.hunt(&name).await?, "hunt", &name)
}

/// Refuses a hunt that would look farther than its maker may.
fn check_place(state: &ApiState, caller: &Caller, hunt: &Hunt) -> Result<(), Problem> {
    if is_hunt_within(hunt, &caller.gateways) {
        return Ok(());
    }
    state.counters.forbidden();
    let (by, names) = (&caller.by, caller.gateways.names().join(", "));
    let place = if matches!(hunt.ask, HuntQuestion::Sql(_)) { "ask.sql" } else { "gateways" };
    Err(Problem::forbidden(format!("`{by}` is for {names} alone, and this hunt would look at others"))
        .at(format!("body field `{place}`"))
        .hint("save a search, and name those gateways in `gateways`; a statement may look anywhere"))
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Id(name): Id<String>,
    _: NoQuery,
) -> Result<NoContent, Problem> {
    state.store.delete_hunt(&name, &caller.by, now_ms()).await?;
    Ok(NoContent)
}

/// What a hunt finds now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HuntAnswer")]
pub(super) struct Ran {
    /// The calls that it was about.
    window: HuntWindow,
    /// What it found and read, in numbers.
    figures: HuntFigures,
    /// Those who reached the threshold, the most rows first.
    hits: Vec<HuntHit>,
    /// The statement that gives the rows again.
    query: String,
}

pub(super) async fn run(
    State(state): State<ApiState>,
    Lake(queries): Lake,
    Extension(caller): Extension<Caller>,
    Id(name): Id<String>,
    Body(Nothing {}): Body<Nothing>,
) -> Found<Ran> {
    let Json(HuntRow { hunt, .. }) = found(state.store.hunt(&name).await?, "hunt", &name)?;
    let (what, subject) = ("ran a hunt".to_owned(), format!("hunt {name}"));
    let entry = AuditEntry { at_ms: now_ms(), by: caller.by, what, subject, detail: hunt.ask.text().to_owned() };
    state.store.note(AuditLog::Reads, &entry).await?;
    let began = std::time::Instant::now();
    let asked = hunt.clone();
    let answer = queries.try_hunt(hunt, move |to| window_by_hand(&asked, to, now_ms())).await?;
    let HuntAnswer { window, figures, hits, query } = answer;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Json(Ran { window, figures: HuntFigures { took_ms, ..figures }, hits, query }))
}
