//! Refusals, as `application/problem+json` (RFC 9457) with two members of ours: `where` and `hint`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use outrider_model::CommandRefused;
use serde::Serialize;

use super::CommandError;
use crate::store::StoreError;

/// Why a request is refused, for the person who sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    #[serde(serialize_with = "number")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    None,
    Authenticate,
    RetryAfter,
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Refused");
        Problem { status, title, detail: detail.into(), place: None, hint: None, header: Header::None }
    }

    pub(super) fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn header(mut self, header: Header) -> Self {
        self.header = header;
        self
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::UNAUTHORIZED, detail)
            .at("header `Authorization`")
            .hint("send `Authorization: Bearer <token>`; the first admin's token is in `admin-token` in the data directory")
            .header(Header::Authenticate)
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::FORBIDDEN, detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn method_not_allowed(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
    }

    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::CONFLICT, detail)
    }

    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    pub(super) fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    pub(super) fn unprocessable(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    pub(super) fn internal() -> Self {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "outrider could not answer this")
            .hint("outrider's own log says why; try again later")
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).header(Header::RetryAfter)
    }

    pub(super) fn timed_out(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // A struct of plain fields always becomes JSON.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.header {
            Header::None => None,
            Header::Authenticate => headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Header::RetryAfter => headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5")),
        };
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let words = error.to_string();
        match error {
            StoreError::Cursor(_) => Problem::bad_request(words).at("query parameter `cursor`"),
            StoreError::TokenExists(_) => Problem::conflict(words),
            StoreError::TokenMissing(_) => Problem::not_found(words),
            StoreError::TokenName(_) => Problem::unprocessable(words).at("body field `name`"),
            StoreError::LastAdmin(_) | StoreError::TooManyTokens(_) => Problem::conflict(words),
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

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refused) => {
                let words = refused.to_string();
                match refused {
                    CommandRefused::NotFound { .. } => Problem::not_found(words),
                    CommandRefused::Conflict { .. } | CommandRefused::GuardRail { .. } => Problem::conflict(words),
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
