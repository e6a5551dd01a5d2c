//! What can be read: lists with filters and pages, and single things by id or name.

use axum::Json;
use axum::extract::State;
use outrider_model::{
    Action, ActionId, ActionState, Alert, AlertId, AlertState, Endpoint, EndpointId, Finding, Notice, Severity,
};
use outrider_respond::desk::{GuardRails, KillSwitch, PolicyRow};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::ApiState;
use super::problem::Problem;
use super::query::{Filter, List, Listed, NoQuery, Parameter, Query};
use super::routes::Id;
use super::server::ApiStats;
use crate::store::{
    ActionFilter, AlertFilter, AlertOrder, AuditFilter, AuditLine, AuditLog, FindingFilter, Gateways, OutboxStats,
    Page, StoreStats,
};

pub(super) type Found<T> = Result<Json<T>, Problem>;
type Rows<T> = Result<Listed<T>, Problem>;

impl Filter for AlertFilter {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::list::<AlertState>("state", "In one of these states."),
        Parameter::one::<Severity>("severity_min", "At least this severe."),
        Parameter::one::<String>("detector", "Of this detector."),
        Parameter::one::<String>("entity", "About an entity with this id or label."),
        Parameter::one::<String>("service", "At the service with this name."),
        Parameter::one::<String>("assignee", "Assigned to the person with this name."),
        Parameter::one::<bool>("assigned", "Assigned to somebody, or to nobody."),
        Parameter::one::<AlertOrder>("sort", "By what they are sorted; the default is `opened`."),
    ];

    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(AlertFilter {
            states: query.words("state")?,
            severity_min: query.word("severity_min")?,
            detector: query.text("detector"),
            entity: query.text("entity"),
            service: query.text("service"),
            assignee: query.text("assignee"),
            is_assigned: query.parsed("assigned")?,
            order: query.word("sort")?.unwrap_or_default(),
            gateways: Gateways::All,
        })
    }

    fn at(self, gateways: &Gateways) -> Self {
        AlertFilter { gateways: gateways.clone(), ..self }
    }
}

pub(super) async fn alerts(State(state): State<ApiState>, list: List<AlertFilter>) -> Rows<Alert> {
    Ok(list.answer(state.store.alerts(&list.filter, list.limit, list.cursor()).await?))
}

pub(super) async fn alert(State(state): State<ApiState>, Id(id): Id<AlertId>, _: NoQuery) -> Found<Alert> {
    found(state.store.alert(&id.to_string()).await?, "alert", id)
}

impl Filter for FindingFilter {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::one::<AlertId>("alert", "Of this alert."),
        Parameter::one::<String>("detector", "Of this detector."),
        Parameter::one::<String>("entity", "About the entity with this id."),
        Parameter::one::<i64>("since_ms", "Not raised before this time."),
        Parameter::one::<i64>("until_ms", "Raised before this time."),
    ];

    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(FindingFilter {
            alert: query.parsed::<AlertId>("alert")?.map(|id| id.to_string()),
            detector: query.text("detector"),
            entity: query.text("entity"),
            since_ms: query.parsed("since_ms")?,
            until_ms: query.parsed("until_ms")?,
            gateways: Gateways::All,
        })
    }

    fn at(self, gateways: &Gateways) -> Self {
        FindingFilter { gateways: gateways.clone(), ..self }
    }
}

pub(super) async fn findings(State(state): State<ApiState>, list: List<FindingFilter>) -> Rows<Finding> {
    Ok(list.answer(state.store.findings(&list.filter, list.limit, list.cursor()).await?))
}

pub(super) async fn endpoint(State(state): State<ApiState>, Id(id): Id<EndpointId>, _: NoQuery) -> Found<Endpoint> {
    found(state.store.endpoint(&id.to_string()).await?, "endpoint", id)
}

pub(super) async fn policies(State(state): State<ApiState>, _: NoQuery) -> Found<Page<PolicyRow>> {
    Ok(Json(Page { items: state.store.policies().await?, next: None }))
}

pub(super) async fn policy(State(state): State<ApiState>, Id(name): Id<String>, _: NoQuery) -> Found<PolicyRow> {
    found(state.store.policy(&name).await?, "policy", &name)
}

impl Filter for ActionFilter {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::list::<ActionState>("state", "In one of these states."),
        Parameter::one::<String>("target", "Against a target with this id or label."),
        Parameter::one::<String>("gateway", "At the gateway with this name."),
        Parameter::one::<AlertId>("alert", "That came from this alert."),
    ];

    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(ActionFilter {
            states: query.words("state")?,
            target: query.text("target"),
            gateway: query.text("gateway"),
            alert: query.parsed::<AlertId>("alert")?.map(|id| id.to_string()),
            gateways: Gateways::All,
        })
    }

    fn at(self, gateways: &Gateways) -> Self {
        ActionFilter { gateways: gateways.clone(), ..self }
    }
}

pub(super) async fn actions(State(state): State<ApiState>, list: List<ActionFilter>) -> Rows<Action> {
    Ok(list.answer(state.store.actions(&list.filter, list.limit, list.cursor()).await?))
}

pub(super) async fn action(State(state): State<ApiState>, Id(id): Id<ActionId>, _: NoQuery) -> Found<Action> {
    found(state.store.action(&id.to_string()).await?, "action", id)
}

pub(super) async fn kill_switch(State(state): State<ApiState>, _: NoQuery) -> Found<KillSwitch> {
    Ok(Json(state.store.kill_switch().await?))
}

pub(super) async fn guard_rails(State(state): State<ApiState>, _: NoQuery) -> Found<Option<GuardRails>> {
    Ok(Json(state.store.guard_rails().await?))
}

impl Filter for AuditFilter {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::one::<AuditLog>("log", "Of this part of the log."),
        Parameter::one::<String>("by", "By this token, person, policy or part of outrider."),
        Parameter::one::<String>("subject", "About this."),
        Parameter::one::<i64>("since_ms", "Not before this time."),
        Parameter::one::<i64>("until_ms", "Before this time."),
    ];

    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(AuditFilter {
            log: query.word("log")?,
            by: query.text("by"),
            subject: query.text("subject"),
            since_ms: query.parsed("since_ms")?,
            until_ms: query.parsed("until_ms")?,
        })
    }
}

pub(super) async fn audit(State(state): State<ApiState>, list: List<AuditFilter>) -> Rows<AuditLine> {
    Ok(list.answer(state.store.audit(&list.filter, list.limit, list.cursor()).await?))
}

/// How everything is: what the platform says of its parts, with the API's and the store's own numbers.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Status {
    /// The API in numbers. Counters begin with the process.
    api: ApiStats,
    /// The control store in numbers.
    store: StoreStats,
    /// The outbox of messages in numbers.
    outbox: OutboxStats,
    /// The notices that are open, the oldest first.
    notices: Vec<Notice>,
    /// `version`, `installation`, and the numbers of `sources`, `platform` and `responders`. They are for people and may
    /// change; `/metrics` has the same numbers under lasting names.
    #[serde(flatten)]
    parts: Map<String, Value>,
}

/// What the platform says of itself, with the API's and the store's own numbers.
pub(super) async fn status(State(state): State<ApiState>, _: NoQuery) -> Found<Status> {
    Ok(Json(whole_status(&state).await?))
}

/// The status as people and metrics see it.
pub(super) async fn whole_status(state: &ApiState) -> Result<Status, Problem> {
    let parts = match state.status.status() {
        Value::Object(parts) => parts,
        _ => Map::new(),
    };
    Ok(Status {
        api: state.stats(),
        store: state.store.stats(),
        outbox: state.store.outbox_stats(),
        notices: state.store.open_notices().await?,
        parts,
    })
}

pub(super) fn found<T>(thing: Option<T>, what: &str, id: impl std::fmt::Display) -> Found<T> {
    thing.map(Json).ok_or_else(|| Problem::not_found(format!("there is no {what} `{id}`")).at("path"))
}
