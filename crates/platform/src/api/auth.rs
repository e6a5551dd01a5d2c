//! Who asks, and whether they may: a bearer token, or the cookie of a person who signed in.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use outrider_model::Network;

use super::failures::Failures;
use super::origin::check_site;
use super::problem::Problem;
use super::reads::{self, Reads};
use super::throttle::Throttle;
use super::{ApiState, device, now_ms, scope};
use crate::oidc::Oidc;
use crate::passwords::Passwords;
use crate::store::{Activity, Gateways, Role, Session, by_person};

/// No token is longer; what is longer is not looked up.
const TOKEN_BYTES_MAX: usize = 256;

/// How people reach the API.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// Where the proxy in front connects from, which speaks TLS and says in `X-Forwarded-For` whom it serves; empty
    /// without one. Off loopback nobody else is answered.
    pub proxies: Vec<Network>,
    /// Whether the API speaks TLS by itself.
    pub is_tls: bool,
    /// The file of the setup token, which goes when the token is used up.
    pub setup_file: PathBuf,
    /// The identity provider that people may sign in with.
    pub oidc: Option<Arc<Oidc>>,
}

impl AccessSettings {
    /// Whether an address is the proxy's.
    pub(super) fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(address))
    }
}

/// What signing in needs.
#[derive(Debug, Default)]
pub(super) struct Access {
    pub settings: AccessSettings,
    pub passwords: Passwords,
    pub throttle: Throttle,
    pub failures: Failures,
    pub reads: Reads,
}

impl Access {
    fn is_https(&self) -> bool {
        !self.settings.proxies.is_empty() || self.settings.is_tls
    }

    /// Over TLS the name itself makes the browser refuse a cookie that another host, or plain HTTP, has set.
    fn cookie_name(&self) -> &'static str {
        if self.is_https() { "__Host-outrider" } else { "outrider_session" }
    }

    fn secure(&self) -> &'static str {
        if self.is_https() { "; Secure" } else { "" }
    }

    /// The header that keeps a session in a browser until that is closed, or, without one, takes it away.
    pub(super) fn set_cookie(&self, session: Option<&str>) -> Result<HeaderValue, Problem> {
        let secure = self.secure();
        let (value, age) = session.map_or(("", "; Max-Age=0"), |session| (session, ""));
        let cookie = format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}", self.cookie_name());
        HeaderValue::try_from(cookie).map_err(|_| Problem::internal())
    }

    /// The session that a request's cookie carries.
    pub(super) fn cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        cookie(headers, self.cookie_name())
    }

    fn device_cookie_name(&self) -> &'static str {
        if self.is_https() { "__Host-outrider_device" } else { "outrider_device" }
    }

    /// The header that lets a browser show that somebody has signed in with it before.
    pub(super) fn set_device_cookie(&self, device: &str) -> Result<HeaderValue, Problem> {
        let (name, secure, age) = (self.device_cookie_name(), self.secure(), device::KEPT.as_secs());
        let cookie = format!("{name}={device}; Path=/; HttpOnly; SameSite=Strict{secure}; Max-Age={age}");
        HeaderValue::try_from(cookie).map_err(|_| Problem::internal())
    }

    /// What a request's cookie says of the browser.
    pub(super) fn device_cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        cookie(headers, self.device_cookie_name())
    }

    fn begun_cookie_name(&self) -> &'static str {
        if self.is_https() { "__Host-outrider_oidc" } else { "outrider_oidc" }
    }

    /// The header that keeps a sign-in under way in a browser. The provider's page sends the browser back, which is
    /// another site's doing, so the cookie is not as strict as a session's.
    pub(super) fn set_begun_cookie(&self, begun: &str, age: Duration) -> Result<HeaderValue, Problem> {
        let (name, secure, age) = (self.begun_cookie_name(), self.secure(), age.as_secs());
        let cookie = format!("{name}={begun}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={age}");
        HeaderValue::try_from(cookie).map_err(|_| Problem::internal())
    }

    /// The sign-in under way that a request's cookie carries.
    pub(super) fn begun_cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        cookie(headers, self.begun_cookie_name())
    }
}

fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs
        .flat_map(|pairs| pairs.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
        .filter(|value| (1..=TOKEN_BYTES_MAX).contains(&value.len()))
}

/// Who asks. On every request that asks for a role.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// As decisions and the audit log name them: a token by its name, a person as `person:anna`.
    pub by: String,
    pub role: Role,
    /// What of it all they may see, and where they may act.
    pub gateways: Gateways,
    /// Where a person asks.
    pub session: Option<Session>,
}

impl From<Session> for Caller {
    fn from(session: Session) -> Self {
        Caller { by: by_person(&session.person), role: session.role, gateways: Gateways::All, session: Some(session) }
    }
}

/// Lets a request through when who asks has at least a role, and says on it who that is.
pub(super) async fn require(
    State((state, role)): State<(ApiState, Role)>,
    mut request: Request,
    next: Next,
) -> Response {
    match identify(&state, request.method(), request.headers(), Activity::Counts).await {
        Ok(caller) if caller.role >= role => {
            if let Err(problem) = scope::check(&state, &caller, &mut request).await {
                return problem.into_response();
            }
            let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
            let noted = reads::note(&state, &caller, request.method(), route, request.uri());
            if let Err(problem) = noted.await {
                return problem.into_response();
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(caller) => {
            state.counters.forbidden();
            Problem::forbidden(format!("this needs the role {role}, and `{}` has {}", caller.by, caller.role))
                .hint("ask an admin for that role, or for a token with it")
                .into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// Who asks, from a token or a session.
pub(super) async fn identify(
    state: &ApiState,
    method: &Method,
    headers: &HeaderMap,
    activity: Activity,
) -> Result<Caller, Problem> {
    if !headers.contains_key(header::AUTHORIZATION)
        && let Some(cookie) = state.access.cookie(headers)
    {
        let session = state.store.session(cookie, activity, now_ms()).await?.ok_or_else(|| {
            state.counters.unauthorized();
            Problem::unauthorized("nobody is signed in here any more")
        })?;
        check_site(method, headers, true).inspect_err(|_| state.counters.forbidden())?;
        return Ok(Caller::from(session));
    }
    authenticate(state, headers).await
}

async fn authenticate(state: &ApiState, headers: &HeaderMap) -> Result<Caller, Problem> {
    let refused = |detail: &str| {
        state.counters.unauthorized();
        Problem::unauthorized(detail)
    };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(refused("this needs a token or a session, and the request carries none, or several"));
    };
    let presented = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| (1..=TOKEN_BYTES_MAX).contains(&token.len()))
        .ok_or_else(|| refused("the header does not hold a bearer token"))?;
    let token = state.store.authenticate(presented, now_ms()).await?;
    token
        .map(|token| Caller { by: token.name, role: token.role, gateways: token.gateways, session: None })
        .ok_or_else(|| refused("this token does not exist, has expired, or was revoked"))
}
