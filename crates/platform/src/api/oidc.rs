//! Signing in with an identity provider: the way there, and the way back.
//!
//! Both are for a browser that follows links, so they answer with redirects: to the provider, and from the provider to
//! outrider's own first page and nowhere else. What the browser keeps meanwhile is in a cookie that it sends when the
//! provider sends it back (`SameSite=Lax`); that alone signs nobody in.

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
use crate::store::{StoreError, by_person};

const BACK: &[Parameter] = &[
    Parameter::one::<String>("code", "What the provider gives for an ID token."),
    Parameter::one::<String>("state", "What outrider sent the browser to the provider with."),
    Parameter::one::<String>("iss", "The provider, if it says so."),
    Parameter::one::<String>("error", "Why the provider lets nobody in."),
];

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
pub(super) async fn begin(State(state): State<ApiState>, _: NoQuery) -> Result<Away, Problem> {
    match provider(&state)?.begin(now_ms()).await {
        Ok((begun, url)) => Ok(Away {
            location: HeaderValue::try_from(url).map_err(|_| Problem::internal())?,
            cookies: vec![state.access.set_begun_cookie(begun.cookie(), SIGN_IN_TIME_MAX)?],
        }),
        Err(error) => Err(out_of_order(&error)),
    }
}

/// Signs in whom the provider sends back.
pub(super) async fn callback(
    State(state): State<ApiState>,
    visitor: Visitor,
    Returned { callback, begun }: Returned,
) -> Result<Away, Problem> {
    let oidc = provider(&state)?;
    let (throttle, address) = (&state.access.throttle, visitor.address());
    // Any page can send a browser here. Only what began in it counts, or that page would use up the tries of an address.
    if !callback.is_of(begun.as_ref()) {
        return Err(refused(&state, &OidcError::NotBegun, address).await);
    }
    // Nobody has a name yet, so tries are counted by address alone: each can make outrider ask the provider.
    let trier = Trier::at(address, None);
    if let Err(wait) = throttle.attempt(&trier, Instant::now()) {
        return Err(Problem::too_many_tries("there were too many tries to sign in", wait));
    }
    let identity = match oidc.complete(begun, &callback, now_ms()).await {
        Ok(identity) => identity,
        Err(error) => return Err(refused(&state, &error, address).await),
    };
    let name = match state.store.admit(&identity, now_ms()).await {
        Ok(name) => name,
        Err(StoreError::Person(error)) => {
            failures::note(&state, Some(by_person(&identity.name)), address, Some(error.to_string())).await;
            state.counters.unauthorized();
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    };
    throttle.succeeded(&trier);
    let mut cookies = start(&state, visitor, &name, None).await?.cookies;
    cookies.push(state.access.set_begun_cookie("", std::time::Duration::ZERO)?);
    Ok(Away { location: HeaderValue::from_static("/"), cookies })
}

fn provider(state: &ApiState) -> Result<Arc<Oidc>, Problem> {
    state.access.settings.oidc.clone().ok_or_else(|| {
        Problem::not_found("nobody signs in with an identity provider here")
            .hint("set [access.oidc] in outrider's configuration, or sign in with a password")
    })
}

async fn refused(state: &ApiState, error: &OidcError, address: IpAddr) -> Problem {
    let who = match error {
        OidcError::NoRole { name, .. } => Some(by_person(name)),
        OidcError::Denied(_)
        | OidcError::NotBegun
        | OidcError::Code
        | OidcError::Token(_)
        | OidcError::NoName { .. } => None,
        _ => return out_of_order(error),
    };
    failures::note(state, who, address, Some(error.to_string())).await;
    state.counters.unauthorized();
    let problem = Problem::sign_in_refused(error.to_string());
    match error {
        OidcError::NoRole { .. } => problem.hint("ask an admin of outrider, or of the identity provider, for a role"),
        OidcError::NotBegun | OidcError::Code => problem.hint("begin at `/api/v1/session/oidc`"),
        _ => problem,
    }
}

/// What is wrong with the provider, which is in the log already, or with outrider, is for operators to know.
fn out_of_order(error: &OidcError) -> Problem {
    match error {
        OidcError::Busy => Problem::unavailable(error.to_string()),
        OidcError::Provider { .. } => Problem::unavailable("the identity provider cannot be used at this moment")
            .hint("outrider's own log says why; try again later, or sign in with a password"),
        _ => {
            tracing::error!(%error, "nobody can sign in with the identity provider");
            Problem::internal()
        }
    }
}
