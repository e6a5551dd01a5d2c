//! The people's API: JSON over HTTP under `/api/v1`, for who has a bearer token.
//!
//! It decides who may do what, what a request must look like, and how a refusal is said. Reading comes from the control
//! store; decisions go through a [`CommandBus`] and are answered when they are carried out and stored. It leaves out
//! TLS: it is bound to loopback, or stands behind a proxy that the operator named.
//!
//! | role | may |
//! | --- | --- |
//! | viewer | read alerts, findings, endpoints, policies, actions, gateways, notices, messages, the audit log and the status |
//! | analyst | acknowledge, resolve and mark alerts |
//! | responder | act, approve, reject and release; change policies; the kill switch; send a message again |
//! | admin | list, make and revoke tokens |
//!
//! Each role may do what the ones before it may. Refusals are `application/problem+json` (RFC 9457) and say what is
//! wrong, where, and what to do.

mod auth;
mod body;
mod bus;
mod decisions;
mod gateways;
mod metrics;
mod notify;
mod problem;
mod query;
mod reading;
mod server;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post, put};

pub use body::BODY_BYTES_MAX;
pub use bus::{CommandBus, CommandError, StatusSource};
pub use server::{ApiStats, CONNECTIONS_MAX, serve, serve_metrics};

use crate::store::{Role, Store};
use problem::Problem;
use server::Counters;

/// How long a request may take in all. Decisions wait at most half of that for their answer.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// What the API needs. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    store: Store,
    commands: Arc<dyn CommandBus>,
    status: Arc<dyn StatusSource>,
    counters: Arc<Counters>,
}

impl ApiState {
    /// An API over a control store, a bus for decisions and a source of the status.
    pub fn new(store: Store, commands: Arc<dyn CommandBus>, status: Arc<dyn StatusSource>) -> Self {
        ApiState { store, commands, status, counters: Arc::default() }
    }

    /// The API in numbers, since it was made.
    pub fn stats(&self) -> ApiStats {
        self.counters.stats()
    }
}

/// All routes of the API. [`serve`] puts it on a socket.
pub fn router(state: ApiState) -> Router {
    let needs = |role: Role, routes: Router<ApiState>| {
        let state = state.clone();
        routes.route_layer(from_fn_with_state((state, role), auth::require))
    };
    Router::new()
        .merge(needs(Role::Viewer, viewer_routes()))
        .merge(needs(Role::Analyst, analyst_routes()))
        .merge(needs(Role::Responder, responder_routes()))
        .merge(needs(Role::Admin, admin_routes()))
        .route("/healthz", get(health))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn_with_state(REQUEST_TIME_MAX, server::limit_time))
        .layer(from_fn_with_state(state.clone(), finish))
        .with_state(state)
}

/// The metrics alone, for a socket that asks for no token.
fn metrics_router(state: ApiState) -> Router {
    Router::new()
        .route("/metrics", get(metrics::metrics))
        .fallback(unknown_path)
        .layer(from_fn_with_state(REQUEST_TIME_MAX, server::limit_time))
        .layer(from_fn_with_state(state.clone(), finish))
        .with_state(state)
}

fn viewer_routes() -> Router<ApiState> {
    Router::new()
        .route("/api/v1/alerts", get(reading::alerts))
        .route("/api/v1/alerts/{id}", get(reading::alert))
        .route("/api/v1/findings", get(reading::findings))
        .route("/api/v1/endpoints", get(reading::endpoints))
        .route("/api/v1/endpoints/{id}", get(reading::endpoint))
        .route("/api/v1/policies", get(reading::policies))
        .route("/api/v1/policies/{name}", get(reading::policy))
        .route("/api/v1/actions", get(reading::actions))
        .route("/api/v1/actions/{id}", get(reading::action))
        .route("/api/v1/gateways", get(gateways::list))
        .route("/api/v1/gateways/{name}", get(gateways::gateway))
        .route("/api/v1/gateways/{name}/configuration", get(gateways::configuration))
        .route("/api/v1/kill-switch", get(reading::kill_switch))
        .route("/api/v1/guard-rails", get(reading::guard_rails))
        .route("/api/v1/audit", get(reading::audit))
        .route("/api/v1/notices", get(notify::notices))
        .route("/api/v1/notices/{id}", get(notify::notice))
        .route("/api/v1/notify", get(notify::messages))
        .route("/api/v1/status", get(reading::status))
        .route("/metrics", get(metrics::metrics))
}

fn analyst_routes() -> Router<ApiState> {
    Router::new()
        .route("/api/v1/alerts/{id}/acknowledge", post(decisions::acknowledge))
        .route("/api/v1/alerts/{id}/resolve", post(decisions::resolve))
        .route("/api/v1/alerts/{id}/false-positive", post(decisions::mark_false_positive))
}

fn responder_routes() -> Router<ApiState> {
    Router::new()
        .route("/api/v1/policies/{name}", put(decisions::put_policy).delete(decisions::delete_policy))
        .route("/api/v1/actions", post(decisions::act))
        .route("/api/v1/actions/{id}/approve", post(decisions::approve))
        .route("/api/v1/actions/{id}/reject", post(decisions::reject))
        .route("/api/v1/actions/{id}/release", post(decisions::release))
        .route("/api/v1/kill-switch", put(decisions::set_kill_switch))
        .route("/api/v1/notify/{number}/resend", post(notify::resend))
}

fn admin_routes() -> Router<ApiState> {
    Router::new()
        .route("/api/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/api/v1/tokens/{name}", axum::routing::delete(tokens::revoke))
}

/// Says that the process answers; nothing else, because it asks for no token.
async fn health() -> axum::Json<serde_json::Value> {
    axum::Json(serde_json::json!({"status": "ok"}))
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at `{}`; the API's paths begin with `/api/v1/`", uri.path()))
}

async fn unknown_method(method: Method, uri: Uri) -> Problem {
    Problem::method_not_allowed(format!("`{}` cannot be used with {method}; `Allow` names what can", uri.path()))
}

/// Counts the answer, and keeps it out of caches and out of hands that guess types.
async fn finish(
    State(state): State<ApiState>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let mut response = next.run(request).await;
    state.counters.answered(response.status());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

/// The wall clock, which is an edge's business: what it says enters the log.
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
