//! What is wrong with outrider's own operation, and whether those who are to be told of things were told.

use axum::Json;
use axum::extract::{Extension, State};
use outrider_model::Notice;
use schemars::JsonSchema;
use serde::Deserialize;

use super::auth::Caller;
use super::body::Body;
use super::decisions::Nothing;
use super::problem::Problem;
use super::query::{Filter, List, Listed, NoQuery, Parameter, Query};
use super::routes::{Accepted, Id};
use super::{ApiState, now_ms};
use crate::store::{Gap, GapFilter, OutboxFilter, OutboxRow, OutboxState};

/// Whether a notice's cause goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum NoticeState {
    /// It goes on.
    Open,
    /// It is over.
    Closed,
}

/// Which notices.
pub(super) struct NoticeFilter {
    state: Option<NoticeState>,
}

impl Filter for NoticeFilter {
    const PARAMETERS: &'static [Parameter] =
        &[Parameter::one::<NoticeState>("state", "Only open ones, or only closed.")];

    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(NoticeFilter { state: query.word("state")? })
    }
}

pub(super) async fn notices(
    State(state): State<ApiState>,
    list: List<NoticeFilter>,
) -> Result<Listed<Notice>, Problem> {
    let is_open = list.filter.state.map(|state| state == NoticeState::Open);
    Ok(list.answer(state.store.notices(is_open, list.limit, list.cursor()).await?))
}

impl Filter for GapFilter {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::one::<String>("gateway", "That concern the gateway with this name."),
        Parameter::one::<i64>("since_ms", "That were not over before this time."),
        Parameter::one::<i64>("until_ms", "That began before this time."),
    ];

    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(GapFilter {
            gateway: query.text("gateway"),
            since_ms: query.parsed("since_ms")?,
            until_ms: query.parsed("until_ms")?,
        })
    }
}

pub(super) async fn gaps(State(state): State<ApiState>, list: List<GapFilter>) -> Result<Listed<Gap>, Problem> {
    Ok(list.answer(state.store.gaps(&list.filter, list.limit, list.cursor()).await?))
}

pub(super) async fn notice(
    State(state): State<ApiState>,
    Id(id): Id<i64>,
    _: NoQuery,
) -> Result<Json<Notice>, Problem> {
    let found = state.store.notice(id).await?;
    found.map(Json).ok_or_else(|| Problem::not_found(format!("there is no notice `{id}`")).at("path"))
}

impl Filter for OutboxFilter {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::one::<OutboxState>("state", "In this state; dead letters are `dead`."),
        Parameter::one::<String>("destination", "For the destination with this name."),
    ];

    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(OutboxFilter { state: query.word("state")?, destination: query.text("destination") })
    }
}

/// Messages with what became of them.
pub(super) async fn messages(
    State(state): State<ApiState>,
    list: List<OutboxFilter>,
) -> Result<Listed<OutboxRow>, Problem> {
    Ok(list.answer(state.store.outbox(&list.filter, list.limit, list.cursor()).await?))
}

pub(super) async fn resend(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Id(number): Id<i64>,
    _: NoQuery,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Accepted, Problem> {
    if state.store.outbox_resend(number, &caller.by, now_ms()).await? {
        return Ok(Accepted);
    }
    Err(Problem::not_found(format!("message `{number}` is no dead letter"))
        .at("path")
        .hint("`GET /api/v1/notify?state=dead` lists them"))
}
