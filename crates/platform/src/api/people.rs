//! People: added, listed and changed by admins.

use axum::Json;
use axum::extract::{Extension, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::body::Body;
use super::problem::Problem;
use super::query::NoQuery;
use super::reading::found;
use super::routes::{Created, Id, NoContent};
use super::{ApiState, now_ms};
use crate::passwords::Password;
use crate::store::{NewPerson, Page, Person, PersonChange, Role};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// What they sign in with: 1 to 64 characters of `a` to `z`, `0` to `9`, `-`, `_`, `.` and `@`.
    name: String,
    /// How they are shown; by default their name.
    #[serde(default)]
    display_name: String,
    /// What they may do.
    role: Role,
    /// At least 12 characters and at most 256 bytes.
    password: Password,
}

/// What is to change; what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// How they are shown.
    display_name: Option<String>,
    /// What they may do.
    role: Option<Role>,
    /// Whether they may not sign in.
    disabled: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    /// At least 12 characters and at most 256 bytes.
    password: Password,
}

/// Somebody who may look after an alert.
#[derive(Serialize, JsonSchema)]
pub(super) struct Assignee {
    /// Their name.
    name: String,
    /// How they are shown.
    display_name: String,
}

pub(super) async fn assignees(State(state): State<ApiState>, _: NoQuery) -> Result<Json<Page<Assignee>>, Problem> {
    let people = state.store.people().await?.into_iter().filter(Person::may_be_assigned);
    let items = people.map(|Person { name, display_name, .. }| Assignee { name, display_name }).collect();
    Ok(Json(Page { items, next: None }))
}

pub(super) async fn list(State(state): State<ApiState>, _: NoQuery) -> Result<Json<Page<Person>>, Problem> {
    Ok(Json(Page { items: state.store.people().await?, next: None }))
}

pub(super) async fn create(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    Body(Wanted { name, display_name, role, password }): Body<Wanted>,
) -> Result<Created<Person>, Problem> {
    let hash = state.access.passwords.hash(password).await?;
    let person = NewPerson { name, display_name, role };
    state.store.create_person(&person, &hash, &caller.by, now_ms()).await?;
    let Json(body) = found(state.store.person(&person.name).await?, "person", &person.name)?;
    Ok(Created { location: None, body })
}

pub(super) async fn change(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Id(name): Id<String>,
    _: NoQuery,
    Body(Change { display_name, role, disabled }): Body<Change>,
) -> Result<Json<Person>, Problem> {
    let changes = [
        display_name.map(PersonChange::DisplayName),
        role.map(PersonChange::Role),
        disabled.map(|disabled| if disabled { PersonChange::Disable } else { PersonChange::Enable }),
    ];
    let changes: Vec<_> = changes.into_iter().flatten().collect();
    state.store.change_person(&name, &changes, &caller.by, now_ms()).await?;
    found(state.store.person(&name).await?, "person", &name)
}

pub(super) async fn set_password(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Id(name): Id<String>,
    _: NoQuery,
    Body(NewPassword { password }): Body<NewPassword>,
) -> Result<NoContent, Problem> {
    let change = PersonChange::Password(state.access.passwords.hash(password).await?);
    state.store.change_person(&name, &[change], &caller.by, now_ms()).await?;
    Ok(NoContent)
}
