//! What helps to ask the lake: how an entity's calls lie in time, and what a search that is typed may go on with.

use axum::Json;
use axum::extract::Extension;
use outrider_lake::{STEPS_MAX, Span};
use schemars::JsonSchema;
use serde::Serialize;

use super::auth::Caller;
use super::lake::{ENTITY, GATEWAY, KIND, Lake, OfEntity, SINCE, UNTIL, keep_to};
use super::now_ms;
use super::problem::Problem;
use super::query::{Filter, Only, Parameter, Query};
use super::reading::Found;
use crate::store::Gateways;

/// Steps where the request does not say.
const STEPS_DEFAULT: usize = 120;
/// How far back it goes where the request does not say.
const BACK_MS: i64 = 24 * 3_600_000;

/// Whose calls, and in which steps.
pub(super) struct InSteps {
    of: OfEntity,
    steps: usize,
}

impl Filter for InSteps {
    const PARAMETERS: &'static [Parameter] = &[
        KIND,
        ENTITY,
        GATEWAY,
        SINCE,
        UNTIL,
        Parameter::one::<u32>("steps", "Into how many steps the time is divided: 1 to 1000, by default 120."),
    ];

    fn read(query: &Query) -> Result<Self, Problem> {
        let steps = query.parsed("steps")?.unwrap_or(STEPS_DEFAULT);
        if !(1..=STEPS_MAX).contains(&steps) {
            let problem = Problem::bad_request(format!("{steps} is out of range; use 1 to {STEPS_MAX}"));
            return Err(problem.at("query parameter `steps`"));
        }
        Ok(InSteps { of: OfEntity::read(query)?, steps })
    }

    fn at(self, gateways: &Gateways) -> Self {
        InSteps { of: self.of.at(gateways), ..self }
    }
}

/// How an entity's calls lie in time.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Density {
    /// The beginning of the first step, in milliseconds since 1970.
    since_ms: i64,
    /// The end of the time asked for.
    until_ms: i64,
    /// The length of a step.
    step_ms: i64,
    /// The steps that have calls, oldest first.
    steps: Vec<DensityStep>,
}

/// The calls of a step.
#[derive(Debug, Serialize, JsonSchema)]
struct DensityStep {
    /// Its beginning, in milliseconds since 1970.
    start_ms: i64,
    /// All calls.
    calls: u64,
    /// Those answered 4xx, without refusals of outrider's.
    client_errors: u64,
    /// Those answered 5xx.
    server_errors: u64,
    /// Those that a block or limit of outrider's refused.
    refused: u64,
}

pub(super) async fn density(Lake(queries): Lake, Only(InSteps { of, steps }): Only<InSteps>) -> Found<Density> {
    let (kind, entity) = of.said()?;
    let until_ms = of.range.until_ms.unwrap_or_else(now_ms);
    // No call is from before 1970.
    let since_ms = of.range.since_ms.unwrap_or(until_ms.saturating_sub(BACK_MS)).max(0);
    if since_ms >= until_ms {
        let problem = Problem::bad_request("the time ends before it begins").hint("until_ms has to be after since_ms");
        return Err(problem.at("query parameter `since_ms`"));
    }
    let span = Span { since_ms, until_ms, steps };
    let steps = queries.density(kind, entity, span, of.range.gateways).await?.into_iter();
    let step = |step: outrider_lake::Step| DensityStep {
        start_ms: step.start_ms,
        calls: step.calls,
        client_errors: step.client_errors,
        server_errors: step.server_errors,
        refused: step.refused,
    };
    Ok(Json(Density { since_ms, until_ms, step_ms: span.step_ms(), steps: steps.map(step).collect() }))
}

/// A search that is being typed.
pub(super) struct Typed(String);

impl Filter for Typed {
    const PARAMETERS: &'static [Parameter] =
        &[Parameter::one::<String>("q", "The search as it stands; its last word is completed.")];

    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Typed(query.text("q").unwrap_or_default()))
    }
}

/// What a search may go on with.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Completion {
    /// The search with its last word complete.
    search: String,
    /// What the field is, or how many calls of the newest two days have the value.
    words: String,
}

/// The likeliest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Completions {
    /// Ten at most.
    items: Vec<Completion>,
}

pub(super) async fn complete(
    Lake(queries): Lake,
    Only(Typed(search)): Only<Typed>,
    Extension(caller): Extension<Caller>,
) -> Found<Completions> {
    let range = keep_to(outrider_lake::Range::default(), &caller.gateways);
    let suggestions = queries.complete(search, range.gateways).await?.into_iter();
    let items = suggestions.map(|found| Completion { search: found.search, words: found.words }).collect();
    Ok(Json(Completions { items }))
}
