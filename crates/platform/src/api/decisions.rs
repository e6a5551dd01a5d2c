//! What can be decided. Each decision becomes a record of the log; the answer is what is stored after it was carried out.

use axum::Json;
use axum::extract::{Extension, FromRequestParts, State};
use axum::http::request::Parts;
use outrider_model::{
    Action, ActionId, ActionScope, Alert, AlertId, Command, CommandRecord, Duration, EntityKey, EntityKind, Policy,
    PolicyError,
};
use outrider_respond::desk::{CommandDone, KillSwitch, PolicyRow};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::auth::Caller;
use super::body::Body;
use super::openapi::Description;
use super::problem::{self, Problem};
use super::routes::{Ask, Created, Id, IfNew, NoContent};
use super::{ApiState, now_ms};
use crate::store::Gateways;

/// The largest `Idempotency-Key` in bytes.
const KEY_BYTES_MAX: usize = 128;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// Why, for the audit log.
    reason: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Assignment {
    /// The name of the person who looks after it from now on; null for nobody.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(schema_with = "name_or_null")]
    assignee: Option<String>,
}

/// A field that has to be there, also where it is null: who leaves it out means something else.
fn name_or_null(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["string", "null"]})
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Comment {
    /// The words, at most 2000 characters.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Act {
    /// The alert that made the person do it.
    #[serde(default)]
    alert: Option<AlertId>,
    /// Whom it restricts: a consumer.
    target: Target,
    /// How much of what the target does.
    #[serde(default = "everything")]
    scope: Scope,
    /// What is done.
    #[serde(default)]
    response: outrider_model::Response,
    /// For how long.
    duration: Duration,
    /// Why, for the audit log.
    reason: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Target {
    /// What it is.
    kind: EntityKind,
    /// The gateway's name in the configuration.
    gateway: String,
    /// The gateway's workspace; it need not be known.
    #[serde(default)]
    workspace: String,
    /// Kong's id of the consumer.
    value: String,
    /// What people call it.
    #[serde(default)]
    label: String,
}

/// As `ActionScope`, without room for fields that nobody knows.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
enum Scope {
    /// Everything.
    Consumer {},
    /// Only one service.
    Service {
        /// Kong's service id.
        id: String,
        /// Its name, for people.
        #[serde(default)]
        name: String,
    },
    /// Only one route.
    Route {
        /// Kong's route id.
        id: String,
        /// Its name, for people.
        #[serde(default)]
        name: String,
    },
}

fn everything() -> Scope {
    Scope::Consumer {}
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    /// Whether policies only propose from now on.
    on: bool,
    /// Why, for the audit log.
    reason: String,
}

/// Who decides, and under which id, so that a request sent twice decides once.
pub(super) struct Decider {
    pub(super) by: String,
    id: String,
    /// Where they may act.
    pub(super) gateways: Gateways,
}

impl FromRequestParts<ApiState> for Decider {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        // Every decision asks for a role, so who asks is on the request.
        let Extension(Caller { by, gateways, .. }) =
            Extension::from_request_parts(parts, state).await.map_err(|_| Problem::internal())?;
        let id = match parts.headers.get("idempotency-key") {
            None => random_id()?,
            Some(key) => {
                let place = "header `Idempotency-Key`";
                let key =
                    key.to_str().ok().filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len())).ok_or_else(|| {
                        Problem::bad_request(format!("use 1 to {KEY_BYTES_MAX} visible ASCII characters")).at(place)
                    })?;
                format!("{by}/{key}")
            }
        };
        super::query::Query::read(&parts.uri, &[])?;
        Ok(Decider { by, id, gateways })
    }
}

impl Ask for Decider {
    fn describe(description: &mut Description<'_>) {
        let what = "A request sent again with the same key decides once, and is answered alike.";
        description.header_parameter("Idempotency-Key", what, KEY_BYTES_MAX);
        let kinds = [
            &problem::BAD_REQUEST,
            &problem::NOT_FOUND,
            &problem::CONFLICT,
            &problem::GUARD_RAIL,
            &problem::INVALID,
            &problem::PENDING,
        ];
        for kind in kinds {
            description.problem(kind);
        }
    }
}

fn random_id() -> Result<String, Problem> {
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|error| {
        tracing::error!(%error, "the system gives no random numbers");
        Problem::internal()
    })?;
    Ok(format!("cmd_{:032x}", u128::from_be_bytes(random)))
}

pub(super) async fn submit(state: &ApiState, decider: Decider, command: Command) -> Result<CommandDone, Problem> {
    let record = CommandRecord { id: decider.id, by: decider.by, at_ms: now_ms(), command };
    Ok(state.commands.submit(record).await?)
}

pub(super) async fn acknowledge(
    State(state): State<ApiState>,
    decider: Decider,
    Id(alert): Id<AlertId>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<Alert>, Problem> {
    on_alert(state, decider, alert, Command::AcknowledgeAlert { alert }).await
}

pub(super) async fn resolve(
    State(state): State<ApiState>,
    decider: Decider,
    Id(alert): Id<AlertId>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<Alert>, Problem> {
    on_alert(state, decider, alert, Command::ResolveAlert { alert, reason }).await
}

pub(super) async fn mark_false_positive(
    State(state): State<ApiState>,
    decider: Decider,
    Id(alert): Id<AlertId>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<Alert>, Problem> {
    on_alert(state, decider, alert, Command::MarkFalsePositive { alert, reason }).await
}

pub(super) async fn assign(
    State(state): State<ApiState>,
    decider: Decider,
    Id(alert): Id<AlertId>,
    Body(Assignment { assignee }): Body<Assignment>,
) -> Result<Json<Alert>, Problem> {
    if let Some(name) = &assignee
        && !state.store.person(name).await?.is_some_and(|person| person.may_be_assigned())
    {
        let detail = format!("`{name}` is nobody who may work on alerts");
        return Err(Problem::unprocessable(detail)
            .at("body field `assignee`")
            .hint("`/api/v1/assignees` says who may"));
    }
    on_alert(state, decider, alert, Command::AssignAlert { alert, assignee }).await
}

pub(super) async fn comment(
    State(state): State<ApiState>,
    decider: Decider,
    Id(alert): Id<AlertId>,
    Body(Comment { text }): Body<Comment>,
) -> Result<Json<Alert>, Problem> {
    on_alert(state, decider, alert, Command::CommentAlert { alert, text }).await
}

async fn on_alert(state: ApiState, decider: Decider, id: AlertId, command: Command) -> Result<Json<Alert>, Problem> {
    submit(&state, decider, command).await?;
    stored(state.store.alert(&id.to_string()).await?)
}

pub(super) async fn act(
    State(state): State<ApiState>,
    decider: Decider,
    Body(body): Body<Act>,
) -> Result<Created<Action>, Problem> {
    let Act { alert, target, scope, response, duration, reason } = body;
    let Target { kind, gateway, workspace, value, label } = target;
    check_place(&state, &decider, alert, &gateway).await?;
    let target = EntityKey { kind, gateway, workspace, value, label };
    let scope = match scope {
        Scope::Consumer {} => ActionScope::Consumer,
        Scope::Service { id, name } => ActionScope::Service { id, name },
        Scope::Route { id, name } => ActionScope::Route { id, name },
    };
    let command = Command::Act { alert, target, scope, response, duration, reason };
    let done = submit(&state, decider, command).await?;
    let CommandDone::Action { action, .. } = done else { return Err(unexpected(&done)) };
    let Json(body) = stored(state.store.action(&action.to_string()).await?)?;
    Ok(Created { location: Some(format!("/api/v1/actions/{action}")), body })
}

/// Refuses to act elsewhere than at the gateways that a token is for. An alert of another gateway is not there.
async fn check_place(
    state: &ApiState,
    decider: &Decider,
    alert: Option<AlertId>,
    gateway: &str,
) -> Result<(), Problem> {
    if !decider.gateways.has(gateway) {
        state.counters.forbidden();
        let names = decider.gateways.names().join(", ");
        let detail = format!("`{}` is for {names} alone, and this is at `{gateway}`", decider.by);
        return Err(Problem::forbidden(detail).at("body field `target.gateway`"));
    }
    let Some(id) = alert.filter(|_| decider.gateways != Gateways::All) else { return Ok(()) };
    let alert = state.store.alert(&id.to_string()).await?;
    if alert.is_some_and(|alert| decider.gateways.has(&alert.entity.gateway)) {
        return Ok(());
    }
    Err(Problem::not_found(format!("there is no alert `{id}`")).at("body field `alert`"))
}

pub(super) async fn approve(
    State(state): State<ApiState>,
    decider: Decider,
    Id(action): Id<ActionId>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<Action>, Problem> {
    on_action(state, decider, action, Command::ApproveAction { action }).await
}

pub(super) async fn reject(
    State(state): State<ApiState>,
    decider: Decider,
    Id(action): Id<ActionId>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<Action>, Problem> {
    on_action(state, decider, action, Command::RejectAction { action, reason }).await
}

pub(super) async fn release(
    State(state): State<ApiState>,
    decider: Decider,
    Id(action): Id<ActionId>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<Action>, Problem> {
    on_action(state, decider, action, Command::ReleaseAction { action, reason }).await
}

async fn on_action(state: ApiState, decider: Decider, id: ActionId, command: Command) -> Result<Json<Action>, Problem> {
    submit(&state, decider, command).await?;
    stored(state.store.action(&id.to_string()).await?)
}

pub(super) async fn put_policy(
    State(state): State<ApiState>,
    decider: Decider,
    Id(name): Id<String>,
    IfNew(if_new): IfNew,
    Body(policy): Body<Policy>,
) -> Result<Json<PolicyRow>, Problem> {
    if policy.name != name {
        let detail = format!("the body names the policy `{}` and the path `{name}`", policy.name);
        return Err(Problem::unprocessable(detail).at("body field `name`").hint("write the same name in both"));
    }
    policy.validate().map_err(|error| Problem::unprocessable(error.to_string()).at(place_of(&error)))?;
    submit(&state, decider, Command::PutPolicy { policy: Box::new(policy), if_new }).await?;
    stored(state.store.policy(&name).await?)
}

fn place_of(error: &PolicyError) -> String {
    let field = match error {
        PolicyError::Name(_) => "name",
        PolicyError::Duration(_) => "duration",
        PolicyError::Status(_) => "respond.status",
        PolicyError::Message => "respond.message",
        PolicyError::Limits(_) => "respond.limits",
        PolicyError::Confidence(_) => "when.confidence_min",
        PolicyError::TooMany(list) => return format!("body field `when.{list}`"),
    };
    format!("body field `{field}`")
}

pub(super) async fn delete_policy(
    State(state): State<ApiState>,
    decider: Decider,
    Id(name): Id<String>,
) -> Result<NoContent, Problem> {
    submit(&state, decider, Command::DeletePolicy { name }).await?;
    Ok(NoContent)
}

pub(super) async fn set_kill_switch(
    State(state): State<ApiState>,
    decider: Decider,
    Body(Switch { on, reason }): Body<Switch>,
) -> Result<Json<KillSwitch>, Problem> {
    submit(&state, decider, Command::SetKillSwitch { on, reason }).await?;
    Ok(Json(state.store.kill_switch().await?))
}

/// The bus answers when the store has the effects, so what was decided on is there.
fn stored<T>(thing: Option<T>) -> Result<Json<T>, Problem> {
    thing.map(Json).ok_or_else(|| {
        tracing::error!("a decision was carried out and what it was about is not in the control store");
        Problem::internal()
    })
}

fn unexpected(done: &CommandDone) -> Problem {
    tracing::error!(?done, "a decision had an answer of another kind");
    Problem::internal()
}
