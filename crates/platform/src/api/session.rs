//! Signing in and out, the first admin, and one's own password.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Instant;

use axum::Json;
use axum::extract::{Extension, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::body::Body;
use super::device::Device;
use super::openapi::Description;
use super::origin::{Client, check_site};
use super::problem::{self, Problem};
use super::query::NoQuery;
use super::routes::{Answer, Ask};
use super::throttle::Trier;
use super::{ApiState, failures, now_ms};
use crate::passwords::{HashedPassword, Password};
use crate::store::{Activity, Role, by_person, is_name};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Setup {
    /// What `setup-token` in the data directory holds.
    token: String,
    /// What the first admin signs in with: 1 to 64 characters of `a` to `z`, `0` to `9`, `-`, `_`, `.` and `@`.
    name: String,
    /// At least 12 characters and at most 256 bytes.
    password: Password,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// Whom an admin has added.
    name: String,
    /// Their password.
    password: Password,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnPassword {
    /// The one to be replaced.
    current: Password,
    /// At least 12 characters and at most 256 bytes.
    new: Password,
}

/// Who asks.
#[derive(Serialize, JsonSchema)]
pub(super) struct Me {
    /// As the audit log names them.
    by: String,
    /// What they may do.
    role: Role,
    /// The gateways that a token is for; empty for all.
    gateways: Vec<String>,
    /// Null for a token.
    person: Option<MyPerson>,
}

/// Somebody who is signed in.
#[derive(Serialize, JsonSchema)]
struct MyPerson {
    /// What they sign in with.
    name: String,
    /// How they are shown.
    display_name: String,
    /// When the session ends at the latest.
    session_ends_ms: i64,
}

impl From<Caller> for Me {
    fn from(Caller { by, role, gateways, session }: Caller) -> Self {
        let person = session.map(|session| MyPerson {
            name: session.person,
            display_name: session.display_name,
            session_ends_ms: session.ends_ms,
        });
        Me { by, role, gateways: gateways.names().to_vec(), person }
    }
}

/// How one can sign in here.
#[derive(Serialize, JsonSchema)]
pub(super) struct Ways {
    /// Whether there is no admin yet, so that the setup token makes the first one.
    is_setup_open: bool,
    /// Whether there is an identity provider to sign in with.
    has_identity_provider: bool,
}

/// Where somebody comes from who may be about to sign in.
pub(super) struct Visitor {
    address: IpAddr,
    /// The session that the request came with.
    session: Option<String>,
    /// What its cookie says of the browser.
    device: Option<String>,
}

impl Visitor {
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }
}

impl FromRequestParts<ApiState> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        check_site(&parts.method, &parts.headers, false).inspect_err(|_| state.counters.forbidden())?;
        let Client(address) =
            Client::from_request_parts(parts, state).await.unwrap_or_else(|never: Infallible| match never {});
        let session = state.access.cookie(&parts.headers).map(str::to_owned);
        let device = state.access.device_cookie(&parts.headers).map(str::to_owned);
        Ok(Visitor { address, session, device })
    }
}

impl Ask for Visitor {
    fn describe(description: &mut Description<'_>) {
        description.problem(&problem::FORBIDDEN);
    }
}

/// A session that has begun.
pub(super) struct SignedIn {
    /// The session; for who has a password, also what makes the browser known.
    pub cookies: Vec<HeaderValue>,
    me: Me,
}

impl IntoResponse for SignedIn {
    fn into_response(self) -> Response {
        let cookies = self.cookies.into_iter().map(|cookie| (header::SET_COOKIE, cookie));
        (AppendHeaders(cookies), Json(self.me)).into_response()
    }
}

impl Answer for SignedIn {
    fn describe(description: &mut Description<'_>) {
        description.answer::<Me>(StatusCode::OK, Self::MEDIA, "Who is signed in from now on.");
        description.answer_header(
            StatusCode::OK,
            header::SET_COOKIE.as_str(),
            "The session, and what makes the browser known.",
        );
        description.problem(&problem::WRONG_PASSWORD);
        description.problem(&problem::TOO_MANY);
    }
}

/// The first admin, signed in.
pub(super) struct SetUp(SignedIn);

impl IntoResponse for SetUp {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, self.0).into_response()
    }
}

impl Answer for SetUp {
    fn describe(description: &mut Description<'_>) {
        description.answer::<Me>(StatusCode::CREATED, Self::MEDIA, "The first admin, who is signed in from now on.");
        description.answer_header(
            StatusCode::CREATED,
            header::SET_COOKIE.as_str(),
            "The session, and what makes the browser known.",
        );
        description.problem(&problem::CONFLICT);
        description.problem(&problem::UNAUTHORIZED);
    }
}

/// Nobody is signed in any more.
pub(super) struct SignedOut(HeaderValue);

impl IntoResponse for SignedOut {
    fn into_response(self) -> Response {
        (StatusCode::NO_CONTENT, [(header::SET_COOKIE, self.0)]).into_response()
    }
}

impl Answer for SignedOut {
    fn describe(description: &mut Description<'_>) {
        description.empty_answer(StatusCode::NO_CONTENT, "Nobody is signed in any more.");
        description.answer_header(StatusCode::NO_CONTENT, header::SET_COOKIE.as_str(), "Takes the session away.");
    }
}

/// Makes the first admin and signs them in.
pub(super) async fn set_up(
    State(state): State<ApiState>,
    visitor: Visitor,
    _: NoQuery,
    Body(Setup { token, name, password }): Body<Setup>,
) -> Result<SetUp, Problem> {
    // Before the password: hashing is for who has the token.
    state.store.check_setup(&token).await?;
    let hash = state.access.passwords.hash(password).await?;
    state.store.set_up(&token, &name, &hash, &state.access.settings.setup_file, now_ms()).await?;
    start(&state, visitor, &name, Some(&hash)).await.map(SetUp)
}

pub(super) async fn sign_in(
    State(state): State<ApiState>,
    visitor: Visitor,
    _: NoQuery,
    Body(SignIn { name, password }): Body<SignIn>,
) -> Result<SignedIn, Problem> {
    let hash = verify(&state, &name, &visitor, password).await?;
    start(&state, visitor, &name, Some(&hash)).await
}

pub(super) async fn ways(State(state): State<ApiState>, _: NoQuery) -> Result<Json<Ways>, Problem> {
    let has_identity_provider = state.access.settings.oidc.is_some();
    Ok(Json(Ways { is_setup_open: state.store.is_setup_open().await?, has_identity_provider }))
}

pub(super) async fn sign_out(
    State(state): State<ApiState>,
    visitor: Visitor,
    _: NoQuery,
) -> Result<SignedOut, Problem> {
    if let Some(session) = visitor.session {
        state.store.end_session(&session, now_ms()).await?;
    }
    Ok(SignedOut(state.access.set_cookie(None)?))
}

pub(super) async fn who_am_i(Extension(caller): Extension<Caller>, _: NoQuery) -> Result<Json<Me>, Problem> {
    Ok(Json(Me::from(caller)))
}

/// Changes one's own password, ends all of one's sessions and begins another one here.
pub(super) async fn change_password(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    visitor: Visitor,
    _: NoQuery,
    Body(OwnPassword { current, new }): Body<OwnPassword>,
) -> Result<SignedIn, Problem> {
    let (Some(session), Some(cookie)) = (caller.session, visitor.session.as_deref()) else {
        return Err(Problem::forbidden("a token has no password").hint("an admin sets a person's password"));
    };
    new.check()?;
    let current = verify(&state, &session.person, &visitor, current).await?;
    let hash = state.access.passwords.hash(new).await?;
    if !state.store.change_own_password(&session.person, cookie, &current, &hash, now_ms()).await? {
        return Err(refused(&state));
    }
    start(&state, visitor, &session.person, Some(&hash)).await
}

/// Whether a password is somebody's. Unknown names, disabled people and wrong passwords have one answer that takes as long.
async fn verify(
    state: &ApiState,
    name: &str,
    visitor: &Visitor,
    password: Password,
) -> Result<HashedPassword, Problem> {
    let access = &state.access;
    // What cannot be a name is nobody's, and may be long: it is neither remembered nor looked up.
    let name = Some(name).filter(|name| is_name(name));
    let device = known_device(state, name, visitor).await?;
    let trier = device.map_or_else(|| Trier::at(visitor.address, name), Trier::with);
    if let Err(wait) = access.throttle.attempt(&trier, Instant::now()) {
        return Err(Problem::too_many_tries("there were too many tries to sign in", wait));
    }
    let stored = match name {
        Some(name) => state.store.password_of(name).await?,
        None => None,
    };
    if access.passwords.verify(password, stored.clone()).await?
        && let Some(stored) = stored
    {
        access.throttle.succeeded(&trier);
        return Ok(stored);
    }
    let known = match name {
        Some(name) => state.store.person(name).await?.map(|person| by_person(&person.name)),
        None => None,
    };
    failures::note(state, known, visitor.address, None).await;
    Err(refused(state))
}

/// The browser, if this name has signed in with it before.
async fn known_device(state: &ApiState, name: Option<&str>, visitor: &Visitor) -> Result<Option<Device>, Problem> {
    let (Some(name), Some(cookie)) = (name, &visitor.device) else { return Ok(None) };
    Ok(Device::of_cookie(&state.store.device_key().await?, name, cookie))
}

fn refused(state: &ApiState) -> Problem {
    state.counters.unauthorized();
    Problem::wrong_password("this name and this password do not belong to anybody who may sign in")
}

/// Begins a session of its own, whatever the request came with, and ends the one that it may have come with.
/// Without a password it is for whom the identity provider vouches for.
pub(super) async fn start(
    state: &ApiState,
    visitor: Visitor,
    name: &str,
    password: Option<&HashedPassword>,
) -> Result<SignedIn, Problem> {
    let refused = || match password {
        Some(_) => refused(state),
        None => Problem::sign_in_refused(format!("`{name}` may not sign in any more")),
    };
    if let Some(earlier) = &visitor.session {
        state.store.end_session(earlier, now_ms()).await?;
    }
    let started = state.store.start_session(name, password, now_ms()).await?.ok_or_else(refused)?;
    let session = state.store.session(started.reveal(), Activity::Counts, now_ms()).await?;
    let me = Me::from(Caller::from(session.ok_or_else(refused)?));
    let mut cookies = vec![state.access.set_cookie(Some(started.reveal()))?];
    // Only passwords are guessed.
    if password.is_some() && known_device(state, Some(name), &visitor).await?.is_none() {
        let cookie = Device::new()?.cookie(&state.store.device_key().await?, name);
        cookies.push(state.access.set_device_cookie(&cookie)?);
    }
    Ok(SignedIn { cookies, me })
}
