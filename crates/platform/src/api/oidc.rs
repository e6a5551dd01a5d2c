//! Signing in with an identity provider: the way there, and the way back.
//!
//! Both are for a browser that follows links, so they answer with redirects: to the provider, and from the provider to
//! outrider's own first page and nowhere else. What the browser keeps meanwhile is in a cookie that it sends when the
//! provider sends it back (`SameSite=Lax`); that alone signs nobody in.
//!
//! Who is refused goes to the console's sign-in page, if they can read one, with a word for the reason from a closed list:
//! an address is kept in histories and logs, and anybody can write one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};

use super::openapi::Description;
use super::problem::{self, Problem};
use super::query::{NoQuery, Parameter};
use super::routes::{Answer, Ask};
use super::session::{Visitor, start};
use super::throttle::Trier;
use super::{ApiState, failures, now_ms};
use crate::oidc::{Begun, Callback, Oidc, OidcError, SIGN_IN_TIME_MAX};
use crate::store::{PersonError, StoreError, by_person};

const BACK: &[Parameter] = &[
    Parameter::one::<String>("code", "What the provider gives for an ID token."),
    Parameter::one::<String>("state", "What outrider sent the browser to the provider with."),
    Parameter::one::<String>("iss", "The provider, if it says so."),
    Parameter::one::<String>("error", "Why the provider lets nobody in."),
];

/// Whether who asks can be sent to a page that says why they are refused: a browser does, with the console here.
pub(super) struct ReadsPages(bool);

impl FromRequestParts<ApiState> for ReadsPages {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(ReadsPages(accept.contains("text/html") && !state.console.is_empty()))
    }
}

impl Ask for ReadsPages {
    fn describe(_: &mut Description<'_>) {}
}

impl ReadsPages {
    /// The page that says why somebody does not come in, or the problem itself.
    fn answer(&self, outcome: Result<Away, Refusal>) -> Result<Away, Problem> {
        match outcome {
            Err(Refusal { reason, .. }) if self.0 => {
                let location = HeaderValue::try_from(format!("/?refused={reason}")).map_err(|_| Problem::internal())?;
                Ok(Away { location, cookies: Vec::new() })
            }
            outcome => outcome.map_err(|Refusal { problem, .. }| problem),
        }
    }
}

/// Why somebody does not come in: a word for the page, and what is said to others.
struct Refusal {
    reason: &'static str,
    problem: Problem,
}

impl Refusal {
    fn new(reason: &'static str, problem: Problem) -> Refusal {
        Refusal { reason, problem }
    }
}

/// Whatever has no word of its own.
impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal::new("failed", problem)
    }
}

/// What a browser comes back from the provider with.
pub(super) struct Returned {
    callback: Callback,
    begun: Option<Begun>,
}

impl FromRequestParts<ApiState> for Returned {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let callback = Callback::parse(parts.uri.query().unwrap_or_default());
        let begun = state.access.begun_cookie(&parts.headers).and_then(Begun::of_cookie);
        Ok(Returned { callback, begun })
    }
}

impl Ask for Returned {
    fn describe(description: &mut Description<'_>) {
        BACK.iter().for_each(|parameter| description.query_parameter(parameter));
        description.problem(&problem::SIGN_IN_REFUSED);
        description.problem(&problem::CONFLICT);
        description.problem(&problem::TOO_MANY);
    }
}

/// Another page, with cookies to keep.
pub(super) struct Away {
    location: HeaderValue,
    cookies: Vec<HeaderValue>,
}

impl IntoResponse for Away {
    fn into_response(self) -> Response {
        let cookies = self.cookies.into_iter().map(|cookie| (header::SET_COOKIE, cookie));
        (StatusCode::SEE_OTHER, [(header::LOCATION, self.location)], AppendHeaders(cookies)).into_response()
    }
}

impl Answer for Away {
    /// There is no body that somebody might not take.
    const MEDIA: &'static str = "*/*";

    fn describe(description: &mut Description<'_>) {
        description.empty_answer(StatusCode::SEE_OTHER, "The browser goes on from here.");
        description.answer_header(StatusCode::SEE_OTHER, header::LOCATION.as_str(), "Where to.");
        description.answer_header(StatusCode::SEE_OTHER, header::SET_COOKIE.as_str(), "What it keeps.");
        description.problem(&problem::NOT_FOUND);
    }
}

/// Sends a browser to the provider.
pub(super) async fn begin(State(state): State<ApiState>, pages: ReadsPages, _: NoQuery) -> Result<Away, Problem> {
    pages.answer(sent(&state).await)
}

async fn sent(state: &ApiState) -> Result<Away, Refusal> {
    let (begun, url) = provider(state)?.begin(now_ms()).await.map_err(|error| out_of_order(&error))?;
    Ok(Away {
        location: HeaderValue::try_from(url).map_err(|_| Problem::internal())?,
        cookies: vec![state.access.set_begun_cookie(begun.cookie(), SIGN_IN_TIME_MAX)?],
    })
}

/// Signs in whom the provider sends back.
pub(super) async fn callback(
    State(state): State<ApiState>,
    pages: ReadsPages,
    visitor: Visitor,
    returned: Returned,
) -> Result<Away, Problem> {
    pages.answer(signed_in(&state, visitor, returned).await)
}

async fn signed_in(
    state: &ApiState,
    visitor: Visitor,
    Returned { callback, begun }: Returned,
) -> Result<Away, Refusal> {
    let oidc = provider(state)?;
    let (throttle, address) = (&state.access.throttle, visitor.address());
    // Any page can send a browser here. Only what began in it counts, or that page would use up the tries of an address.
    if !callback.is_of(begun.as_ref()) {
        return Err(refused(state, &OidcError::NotBegun, address).await);
    }
    // Nobody has a name yet, so tries are counted by address alone: each can make outrider ask the provider.
    let trier = Trier::at(address, None);
    if let Err(wait) = throttle.attempt(&trier, Instant::now()) {
        let problem = Problem::too_many_tries("there were too many tries to sign in", wait);
        return Err(Refusal::new("too_many", problem));
    }
    let identity = match oidc.complete(begun, &callback, now_ms()).await {
        Ok(identity) => identity,
        Err(error) => return Err(refused(state, &error, address).await),
    };
    let name = match state.store.admit(&identity, now_ms()).await {
        Ok(name) => name,
        Err(StoreError::Person(error)) => {
            failures::note(state, Some(by_person(&identity.name)), address, Some(error.to_string())).await;
            state.counters.unauthorized();
            let reason = match error {
                PersonError::Disabled(_) => "disabled",
                PersonError::OtherAccount(_) => "name_taken",
                _ => "failed",
            };
            return Err(Refusal::new(reason, error.into()));
        }
        Err(error) => return Err(Problem::from(error).into()),
    };
    throttle.succeeded(&trier);
    let mut cookies = start(state, visitor, &name, None).await?.cookies;
    cookies.push(state.access.set_begun_cookie("", std::time::Duration::ZERO)?);
    Ok(Away { location: HeaderValue::from_static("/"), cookies })
}

fn provider(state: &ApiState) -> Result<Arc<Oidc>, Problem> {
    state.access.settings.oidc.clone().ok_or_else(|| {
        Problem::not_found("nobody signs in with an identity provider here")
            .hint("set [access.oidc] in outrider's configuration, or sign in with a password")
    })
}

async fn refused(state: &ApiState, error: &OidcError, address: IpAddr) -> Refusal {
    let (reason, who) = match error {
        OidcError::NoRole { name, .. } => ("no_role", Some(by_person(name))),
        OidcError::Denied(_) => ("denied", None),
        OidcError::NotBegun | OidcError::Code => ("not_begun", None),
        OidcError::Token(_) => ("token", None),
        OidcError::NoName { .. } => ("no_name", None),
        _ => return out_of_order(error),
    };
    failures::note(state, who, address, Some(error.to_string())).await;
    state.counters.unauthorized();
    let problem = Problem::sign_in_refused(error.to_string());
    let problem = match error {
        OidcError::NoRole { .. } => problem.hint("ask an admin of outrider, or of the identity provider, for a role"),
        OidcError::NotBegun | OidcError::Code => problem.hint("begin at `/api/v1/session/oidc`"),
        _ => problem,
    };
    Refusal::new(reason, problem)
}

/// What is wrong with the provider, which is in the log already, or with outrider, is for operators to know.
fn out_of_order(error: &OidcError) -> Refusal {
    match error {
        OidcError::Busy => Refusal::new("too_many", Problem::unavailable(error.to_string())),
        OidcError::Provider { .. } => Refusal::new(
            "provider_away",
            Problem::unavailable("the identity provider cannot be used at this moment")
                .hint("outrider's own log says why; try again later, or sign in with a password"),
        ),
        _ => {
            tracing::error!(%error, "nobody can sign in with the identity provider");
            Problem::internal().into()
        }
    }
}
