//! Who asks, and whether they may.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;
use super::{ApiState, now_ms};
use crate::store::{Role, Token};

/// No token is longer; what is longer is not looked up.
const TOKEN_BYTES_MAX: usize = 256;

/// Lets a request through when its token has at least a role, and says on it who asks.
pub(super) async fn require(
    State((state, role)): State<(ApiState, Role)>,
    mut request: Request,
    next: Next,
) -> Response {
    match authenticate(&state, request.headers()).await {
        Ok(token) if token.role >= role => {
            request.extensions_mut().insert(token);
            next.run(request).await
        }
        Ok(token) => {
            state.counters.forbidden();
            Problem::forbidden(format!("this needs the role {role}, and token `{}` has {}", token.name, token.role))
                .hint("ask an admin for a token with that role")
                .into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

pub(super) async fn authenticate(state: &ApiState, headers: &HeaderMap) -> Result<Token, Problem> {
    let refused = |detail: &str| {
        state.counters.unauthorized();
        Problem::unauthorized(detail)
    };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(refused("this needs a token, and the request carries none, or several"));
    };
    let presented = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| (1..=TOKEN_BYTES_MAX).contains(&token.len()))
        .ok_or_else(|| refused("the header does not hold a bearer token"))?;
    state
        .store
        .authenticate(presented, now_ms())
        .await?
        .ok_or_else(|| refused("this token does not exist, or was revoked"))
}
