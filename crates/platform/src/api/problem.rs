//! Refusals, as `application/problem+json` (RFC 9457) with two members of ours: `where` and `hint`.
//!
//! [`KINDS`] is the one list of them: the OpenAPI document and the table in `docs/api.md` are made of it.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use outrider_model::CommandRefused;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::{CommandError, NoCopy};
use crate::passwords::PasswordError;
use crate::store::{PersonError, StoreError};

/// What every answer that refuses has as `Content-Type`.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// A kind of refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Its URI, which does not change within a version of the API.
    pub uri: &'static str,
    pub status: StatusCode,
    /// What it means, for who writes a client.
    pub what: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $uri:literal, $status:ident, $what:literal;)*) => {
        $(pub(super) const $name: Kind = Kind {
            uri: concat!("urn:outrider:problem:", $uri),
            status: StatusCode::$status,
            what: $what,
        };)*
        /// All of them, by status.
        #[cfg(test)]
        pub(super) const KINDS: &[&Kind] = &[$(&$name),*];
    };
}

kinds! {
    BAD_REQUEST = "bad-request", BAD_REQUEST,
        "A query parameter, a header or the form of the body cannot be read. `where` names it.";
    UNAUTHORIZED = "unauthorized", UNAUTHORIZED,
        "The request carries neither a token nor a session that is valid.";
    WRONG_PASSWORD = "wrong-password", UNAUTHORIZED,
        "The name and the password do not belong to anybody who may sign in.";
    SIGN_IN_REFUSED = "sign-in-refused", FORBIDDEN,
        "The identity provider does not let somebody in, or what it says of them does not.";
    FORBIDDEN = "forbidden", FORBIDDEN,
        "The role of who asks does not suffice, their token is for other gateways, what a browser sends does not come from outrider's own pages, or the connection comes past the proxy.";
    NOT_FOUND = "not-found", NOT_FOUND,
        "There is nothing at this path, or no such thing.";
    METHOD_NOT_ALLOWED = "method-not-allowed", METHOD_NOT_ALLOWED,
        "The path cannot be used with this method; `Allow` names those that it can be used with.";
    NOT_ACCEPTABLE = "not-acceptable", NOT_ACCEPTABLE,
        "The answer has a media type that the request's `Accept` excludes. Nothing was done.";
    CONFLICT = "conflict", CONFLICT,
        "What is asked for does not fit the state that things are in, such as approving an action that is over.";
    GUARD_RAIL = "guard-rail", CONFLICT,
        "A guard rail forbids it.";
    EXISTS = "exists", PRECONDITION_FAILED,
        "Something has this name already, and the request said `If-None-Match: *`. Nothing was done.";
    TOO_LARGE = "too-large", PAYLOAD_TOO_LARGE,
        "The body is larger than its route takes, 256 KiB where nothing else is said.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE,
        "The body is not declared as JSON.";
    INVALID = "invalid", UNPROCESSABLE_ENTITY,
        "The body is JSON and does not say anything that can be meant. `where` names the field.";
    TOO_MANY = "too-many", TOO_MANY_REQUESTS,
        "One caller asks for too much at once; `Retry-After` says when to try again.";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR,
        "outrider failed. Its own log says why.";
    UNAVAILABLE = "unavailable", SERVICE_UNAVAILABLE,
        "It cannot be done now; `Retry-After` says when to try again. Nothing was done.";
    PENDING = "pending", GATEWAY_TIMEOUT,
        "The decision is stored and will be carried out, but the analysis has not come to it yet. Look again later.";
}

/// Why a request is refused, for the person who sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// What kind of problem this is.
    #[serde(rename = "type", serialize_with = "uri")]
    #[schemars(with = "String")]
    kind: &'static Kind,
    /// The status of the answer.
    #[serde(serialize_with = "number")]
    #[schemars(with = "u16")]
    status: StatusCode,
    /// The status in words.
    title: &'static str,
    /// What is wrong.
    detail: String,
    /// Where: a query parameter, a field of the body, a header.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip)]
    header: Header,
}

/// The header that some statuses need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Header {
    #[default]
    None,
    Authenticate,
    RetryAfter,
    RetryIn(u64),
}

fn uri<S: Serializer>(kind: &&'static Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.uri)
}

fn number<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        let title = kind.status.canonical_reason().unwrap_or("Refused");
        let header = Header::None;
        Problem { kind, status: kind.status, title, detail: detail.into(), place: None, hint: None, header }
    }

    pub(crate) fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn header(mut self, header: Header) -> Self {
        self.header = header;
        self
    }

    /// Whether it is of this kind.
    pub(super) fn is(&self, kind: &Kind) -> bool {
        *self.kind == *kind
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Problem::new(&BAD_REQUEST, detail)
    }

    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Problem::new(&UNAUTHORIZED, detail)
            .at("header `Authorization`")
            .hint("send `Authorization: Bearer <token>`, or sign in with `POST /api/v1/session`; `outrider token create` makes a token")
            .header(Header::Authenticate)
    }

    /// As [`Problem::unauthorized`], where it is not a header that is wrong.
    pub(crate) fn wrong_password(detail: impl Into<String>) -> Self {
        Problem::new(&WRONG_PASSWORD, detail).header(Header::Authenticate)
    }

    pub(crate) fn sign_in_refused(detail: impl Into<String>) -> Self {
        Problem::new(&SIGN_IN_REFUSED, detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Problem::new(&FORBIDDEN, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Problem::new(&NOT_FOUND, detail)
    }

    pub(crate) fn method_not_allowed(detail: impl Into<String>) -> Self {
        Problem::new(&METHOD_NOT_ALLOWED, detail)
    }

    pub(crate) fn not_acceptable(detail: impl Into<String>) -> Self {
        Problem::new(&NOT_ACCEPTABLE, detail).at("header `Accept`")
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Problem::new(&CONFLICT, detail)
    }

    fn exists(detail: impl Into<String>) -> Self {
        Problem::new(&EXISTS, detail)
            .at("header `If-None-Match`")
            .hint("choose another name, or leave the header away to replace it")
    }

    fn guard_rail(detail: impl Into<String>) -> Self {
        Problem::new(&GUARD_RAIL, detail)
    }

    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Problem::new(&TOO_LARGE, detail)
    }

    pub(crate) fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Problem::new(&UNSUPPORTED_MEDIA_TYPE, detail)
    }

    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Problem::new(&INVALID, detail)
    }

    pub(crate) fn too_many(detail: impl Into<String>) -> Self {
        Problem::new(&TOO_MANY, detail).header(Header::RetryAfter)
    }

    /// As [`Problem::too_many`], where it is known after which time there is room again.
    pub(crate) fn too_many_tries(detail: impl Into<String>, wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        Problem::new(&TOO_MANY, detail).hint(format!("try again in {seconds} s")).header(Header::RetryIn(seconds))
    }

    pub(crate) fn internal() -> Self {
        Problem::new(&INTERNAL, "outrider could not answer this").hint("outrider's own log says why; try again later")
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Problem::new(&UNAVAILABLE, detail).header(Header::RetryAfter)
    }

    pub(crate) fn timed_out(detail: impl Into<String>) -> Self {
        Problem::new(&PENDING, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // A struct of plain fields always becomes JSON.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        match self.header {
            Header::None => None,
            Header::Authenticate => headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Header::RetryAfter => headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5")),
            Header::RetryIn(seconds) => headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds)),
        };
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let words = error.to_string();
        match error {
            StoreError::Cursor(_) => Problem::bad_request(words).at("query parameter `cursor`"),
            StoreError::HuntExists(_) => Problem::exists(words),
            StoreError::TokenExists(_) | StoreError::ServiceExists(_) => Problem::conflict(words),
            StoreError::TokenMissing(_) | StoreError::ServiceMissing(_) | StoreError::HuntMissing(_) => {
                Problem::not_found(words)
            }
            StoreError::TokenName(_) | StoreError::ReservedName(_) => {
                Problem::unprocessable(words).at("body field `name`")
            }
            StoreError::ServiceGateways(_) => Problem::unprocessable(words).at("body field `gateways`"),
            StoreError::ErasureByName(_) => Problem::unprocessable(words).at("body field `value`"),
            StoreError::Unreadable(_) => Problem::unprocessable(words).at("body field `text`"),
            StoreError::TokenDescription => Problem::unprocessable(words).at("body field `description`"),
            StoreError::TokenGateways | StoreError::TokenAdminGateways => {
                Problem::unprocessable(words).at("body field `gateways`")
            }
            StoreError::TokenExpiry => Problem::unprocessable(words).at("body field `expires_ms`"),
            StoreError::LastAdmin(_)
            | StoreError::TooManyTokens(_)
            | StoreError::TooManyServices(_)
            | StoreError::TooManyHunts(_)
            | StoreError::TooManyDocuments(_)
            | StoreError::ErasureUnderWay(_)
            | StoreError::ErasureBlocked(_)
            | StoreError::TooManyErasures(_) => Problem::conflict(words),
            StoreError::Person(error) => error.into(),
            StoreError::DiskFull | StoreError::Busy { .. } => {
                tracing::error!(%error, "the API could not use the control store");
                Problem::unavailable(words)
            }
            // Paths and SQL are for operators, not for whoever has a viewer's token.
            _ => {
                tracing::error!(%error, "the API could not use the control store");
                Problem::internal()
            }
        }
    }
}

impl From<PersonError> for Problem {
    fn from(error: PersonError) -> Self {
        let words = error.to_string();
        match error {
            PersonError::Missing(_) => Problem::not_found(words),
            PersonError::Name(_) => Problem::unprocessable(words).at("body field `name`"),
            PersonError::DisplayName => Problem::unprocessable(words).at("body field `display_name`"),
            PersonError::Exists(_)
            | PersonError::TooMany
            | PersonError::LastAdmin(_)
            | PersonError::SetUp
            | PersonError::Elsewhere(_) => Problem::conflict(words),
            PersonError::Disabled(_) | PersonError::OtherAccount(_) => Problem::sign_in_refused(words),
            PersonError::SetupToken => Problem::forbidden(words).at("body field `token`"),
        }
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Length => Problem::unprocessable(error.to_string()).at("the new password"),
            PasswordError::Hashing(_) => {
                tracing::error!(%error, "the API could not check a password");
                Problem::internal()
            }
        }
    }
}

impl From<NoCopy> for Problem {
    fn from(error: NoCopy) -> Self {
        Problem::unavailable(error.to_string())
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refused) => {
                let words = refused.to_string();
                match refused {
                    CommandRefused::NotFound { .. } => Problem::not_found(words),
                    CommandRefused::Exists { .. } => Problem::exists(words),
                    CommandRefused::Conflict { .. } => Problem::conflict(words),
                    CommandRefused::GuardRail { .. } => Problem::guard_rail(words),
                    CommandRefused::Invalid { .. } => Problem::unprocessable(words),
                }
            }
            CommandError::NotStored(source) => {
                tracing::error!(error = %source, "a decision could not be stored");
                Problem::unavailable("the decision could not be stored and was not carried out")
                    .hint("outrider's own log says why; send it again later")
            }
            CommandError::Pending => Problem::timed_out(error.to_string())
                .hint("it is carried out once, however often it is sent with the same `Idempotency-Key`"),
        }
    }
}
