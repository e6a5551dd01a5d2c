//! The people's API: JSON over HTTP under `/api/v1`, for who has a bearer token or has signed in.
//!
//! It decides who may do what, what a request must look like, and how a refusal is said. Reading comes from the control
//! store; decisions go through a [`CommandBus`] and are answered when they are carried out and stored. It leaves out
//! TLS, which the listener does.
//!
//! | role | may |
//! | --- | --- |
//! | viewer | read alerts, findings, endpoints, weaknesses, policies, hunts, actions, gateways, notices, messages, the audit log and the status; follow events |
//! | analyst | acknowledge, resolve and mark alerts; make, change, run and delete hunts; leave weaknesses for a while |
//! | responder | act, approve, reject and release; change policies; the kill switch; send a message again |
//! | admin | list, make and revoke tokens and the identities of services; list, add and change people; erase |
//!
//! Each role may do what the ones before it may. Refusals are `application/problem+json` (RFC 9457) and say what is
//! wrong, where, and what to do.

mod accept;
mod admin_routes;
mod apis;
mod auth;
mod body;
mod bus;
mod console;
mod decision_routes;
mod decisions;
mod device;
mod endpoint_figures;
mod erasures;
mod events;
mod failures;
mod gateways;
mod hunts;
mod inventory;
mod lake;
mod lake_call;
mod lake_hints;
mod lake_routes;
mod lake_rows;
mod lake_schema;
mod lake_words;
mod metrics;
mod notify;
mod oidc;
mod open_routes;
mod openapi;
mod origin;
mod people;
mod posture;
mod posture_routes;
pub(crate) mod problem;
mod query;
mod reading;
mod reads;
mod routes;
mod scope;
pub(crate) mod server;
mod services;
mod session;
mod templates;
mod throttle;
mod tokens;
mod trace;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;

pub use auth::AccessSettings;
pub use body::BODY_BYTES_MAX;
pub use bus::{CatalogueCopy, CommandBus, CommandError, CopyAnswer, NoCopy, StatusSource};
pub use console::ConsoleFile;
pub use events::{STREAMS_MAX, STREAMS_OF_ONE_MAX, StreamStats};
pub use openapi::openapi;
pub use server::{ApiStats, CONNECTIONS_MAX, serve, serve_metrics, serve_own_metrics};

use tokio_util::sync::CancellationToken;

use crate::queries::Queries;
use crate::store::{Role, Store};
use auth::Access;
use endpoint_figures::FiguresKept;
use events::Streams;
use problem::Problem;
use routes::Read::{Plain, Sensitive};
use routes::Routes;
use scope::Reach;
use server::Counters;

/// How long a request may take in all. Decisions wait at most half of that for their answer.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// Where whoever looks after the process asks whether it answers.
const HEALTH: &str = "/healthz";

/// What the API needs. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    store: Store,
    commands: Arc<dyn CommandBus>,
    status: Arc<dyn StatusSource>,
    counters: Arc<Counters>,
    access: Arc<Access>,
    streams: Arc<Streams>,
    queries: Option<Queries>,
    figures: Arc<FiguresKept>,
    console: &'static [ConsoleFile],
    /// When the server ends, streams end.
    stopping: CancellationToken,
    beat: Duration,
}

impl ApiState {
    /// An API over a control store, a bus for decisions and a source of the status.
    pub fn new(store: Store, commands: Arc<dyn CommandBus>, status: Arc<dyn StatusSource>) -> Self {
        ApiState {
            store,
            commands,
            status,
            counters: Arc::default(),
            access: Arc::default(),
            streams: Arc::default(),
            queries: None,
            figures: Arc::default(),
            console: &[],
            stopping: CancellationToken::new(),
            beat: events::BEAT,
        }
    }

    /// Says how people reach the API; without it, over plain HTTP on loopback.
    #[must_use]
    pub fn with_access(self, settings: AccessSettings) -> Self {
        ApiState { access: Arc::new(Access { settings, ..Access::default() }), ..self }
    }

    /// Lets people ask the lake.
    #[must_use]
    pub fn with_queries(self, queries: Option<Queries>) -> Self {
        ApiState { queries, ..self }
    }

    /// Gives people's browsers a web console.
    #[must_use]
    pub fn with_console(self, console: &'static [ConsoleFile]) -> Self {
        ApiState { console, ..self }
    }

    /// The same with another time between what every stream of events says although nothing changed.
    #[must_use]
    pub fn with_beat(self, beat: Duration) -> Self {
        ApiState { beat, ..self }
    }

    /// The API in numbers, since it was made.
    pub fn stats(&self) -> ApiStats {
        self.counters.stats(self.streams.stats())
    }
}

/// All routes of the API. [`serve`] puts it on a socket.
pub fn router(state: ApiState) -> Router {
    let mut router = Router::new();
    for Routes { role, router: group, .. } in routes() {
        router = router.merge(match role {
            Some(role) => group.route_layer(from_fn_with_state((state.clone(), role), auth::require)),
            None => group,
        });
    }
    router
        .fallback(console::answer)
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn_with_state(REQUEST_TIME_MAX, server::limit_time))
        .layer(from_fn_with_state((Arc::clone(&state.access), Arc::clone(&state.counters)), origin::only_by_proxy))
        .layer(from_fn_with_state(state.clone(), finish))
        .with_state(state)
}

/// All routes, by the least role that they ask for.
fn routes() -> Vec<Routes> {
    let viewer = [viewer_routes(), outrider_routes(), lake_routes::lake_routes(), posture_routes::posture_routes()];
    [open_routes::open_routes()]
        .into_iter()
        .chain(viewer)
        .chain([
            decision_routes::analyst_routes(),
            posture_routes::exception_routes(),
            lake_routes::hunt_routes(),
            decision_routes::responder_routes(),
            admin_routes::admin_routes(),
        ])
        .collect()
}

/// The metrics alone, for a socket that asks for no token.
fn metrics_router(state: ApiState) -> Router {
    Router::new()
        .route("/metrics", axum::routing::get(metrics::metrics))
        .fallback(unknown_path)
        .layer(from_fn_with_state(REQUEST_TIME_MAX, server::limit_time))
        .layer(from_fn_with_state(state.clone(), finish))
        .with_state(state)
}

/// The same where there is no control store.
fn own_metrics_router(status: Arc<dyn StatusSource>) -> Router {
    Router::new()
        .route("/metrics", axum::routing::get(metrics::own_metrics))
        .fallback(unknown_path)
        .layer(from_fn_with_state(REQUEST_TIME_MAX, server::limit_time))
        .with_state(status)
}

fn viewer_routes() -> Routes {
    const SORTED: &str = "Alerts, the newest first\n\
        Sorted by `opened`, every alert that was there from the first page to the last is shown exactly once. Sorted by \
        `last_finding`, one that has a new finding meanwhile moves to the front, where the first page shows it.";
    const INVENTORY: &str = "Endpoints, the newest first\n\
        Those that were merged into others are left out. Sorted by `first_seen`, every endpoint that was there from the \
        first page to the last is shown exactly once. In every other order, one whose figures change meanwhile may be missed or come twice. \
        Figures are of the calls in the lake and up to a minute old.";
    Routes::of(Some(Role::Viewer))
        .get("/api/v1/alerts", Sensitive("read alerts"), reading::alerts, "list_alerts", SORTED)
        .reaches(Reach::ByItself)
        .get("/api/v1/alerts/{id}", Sensitive("read an alert"), reading::alert, "get_alert", "One alert")
        .reaches(Reach::Alert)
        .get(
            "/api/v1/findings",
            Sensitive("read findings"),
            reading::findings,
            "list_findings",
            "Findings, the newest first",
        )
        .reaches(Reach::ByItself)
        .get("/api/v1/endpoints", Sensitive("read endpoints"), inventory::endpoints, "list_endpoints", INVENTORY)
        .reaches(Reach::ByItself)
        .get(
            "/api/v1/endpoints/{id}",
            Sensitive("read an endpoint"),
            reading::endpoint,
            "get_endpoint",
            "One endpoint\nOne that was merged still answers, and names the one it lives on in.",
        )
        .reaches(Reach::Endpoint)
        .get(
            "/api/v1/endpoints/{id}/inventory",
            Sensitive("read an endpoint's inventory"),
            apis::endpoint,
            "get_endpoint_inventory",
            "What an endpoint carries\nParameters, ways of authentication, statuses, sizes and latencies, as of the last whole minutes.",
        )
        .reaches(Reach::Endpoint)
        .get(
            "/api/v1/apis",
            Sensitive("read the gateways' services"),
            apis::list,
            "list_apis",
            "Services behind the gateways, by name",
        )
        .reaches(Reach::ByItself)
        .get(
            "/api/v1/apis/openapi",
            Sensitive("exported a service"),
            apis::export,
            "export_openapi",
            "A service as an OpenAPI 3.1 document\nIt says what was seen, which need not be all that there is.",
        )
        .reaches(Reach::ByItself)
        .get(
            "/api/v1/apis/drift",
            Sensitive("compared a service with its document"),
            apis::compare,
            "list_drift",
            "How a service differs from its document and its routes, the worst first",
        )
        .reaches(Reach::ByItself)
        .get(
            "/api/v1/templates",
            Sensitive("read decisions about templates"),
            apis::templates,
            "list_template_decisions",
            "Decisions about path templates that stand, the newest first",
        )
        .reaches(Reach::ByItself)
        .get("/api/v1/policies", Plain, reading::policies, "list_policies", "All policies, by name")
        .get("/api/v1/policies/{name}", Plain, reading::policy, "get_policy", "One policy")
        .get(
            "/api/v1/actions",
            Sensitive("read actions"),
            reading::actions,
            "list_actions",
            "Actions, the newest first",
        )
        .reaches(Reach::ByItself)
        .get("/api/v1/actions/{id}", Sensitive("read an action"), reading::action, "get_action", "One action")
        .reaches(Reach::Action)
        .get(
            "/api/v1/gateways",
            Plain,
            gateways::list,
            "list_gateways",
            "What gateways are configured to do, in numbers",
        )
        .reaches(Reach::ByItself)
        .get(
            "/api/v1/gateways/{name}",
            Sensitive("read a gateway's configuration"),
            gateways::gateway,
            "get_gateway",
            "The versions of a gateway's configuration",
        )
        .reaches(Reach::Gateway)
        .get(
            "/api/v1/gateways/{name}/configuration",
            Sensitive("read a gateway's configuration"),
            gateways::configuration,
            "get_gateway_configuration",
            "What a gateway is, or was, configured to do",
        )
        .reaches(Reach::Gateway)
}

/// What every viewer may besides: how outrider is set up and how it does, and what concerns the caller.
fn outrider_routes() -> Routes {
    const EVENTS: &str = "What changes, as it is stored\n\
        Each event is named for what changed and holds the whole of it as it is now; `x-events` names them with their \
        schemas. A stream begins with `reset`, which says: load what you show. With `Last-Event-ID` it goes on after that \
        event instead, where it can. `status` comes every few seconds.";
    Routes::of(Some(Role::Viewer))
        .get(
            "/api/v1/kill-switch",
            Plain,
            reading::kill_switch,
            "get_kill_switch",
            "Whether automatic actions are stopped",
        )
        .get(
            "/api/v1/guard-rails",
            Plain,
            reading::guard_rails,
            "get_guard_rails",
            "What automatic actions may not do\nNull until the analysis has read them for the first time.",
        )
        .get(
            "/api/v1/audit",
            Sensitive("read the audit log"),
            reading::audit,
            "list_audit",
            "Who did what, the newest line first",
        )
        .get(
            "/api/v1/notices",
            Plain,
            notify::notices,
            "list_notices",
            "What is wrong with the operation, the newest first",
        )
        .get(
            "/api/v1/gaps",
            Plain,
            notify::gaps,
            "list_gaps",
            "Times from which calls are missing, or may be, the newest first",
        )
        .get("/api/v1/notices/{id}", Plain, notify::notice, "get_notice", "One notice")
        .get(
            "/api/v1/notify",
            Sensitive("read messages"),
            notify::messages,
            "list_messages",
            "Messages to destinations, the newest first",
        )
        .get("/api/v1/events", Sensitive("followed events"), events::events, "follow_events", EVENTS)
        .reaches(Reach::ByItself)
        .get("/api/v1/session", Plain, session::who_am_i, "get_session", "Who asks, and what they may do")
        .reaches(Reach::Caller)
        .delete("/api/v1/session", session::sign_out, "sign_out", "Sign out")
        .reaches(Reach::Caller)
        .put(
            "/api/v1/session/password",
            session::change_password,
            "change_own_password",
            "Change one's own password\nAll of one's sessions end, and another one begins with this answer.",
        )
        .reaches(Reach::Caller)
        .get("/api/v1/status", Plain, reading::status, "get_status", "How everything is")
        .get("/metrics", Plain, metrics::metrics, "get_metrics", "Metrics for Prometheus")
}

/// The process answers; nothing else is said, because it asks for no token.
#[derive(serde::Serialize, schemars::JsonSchema)]
struct Health {
    /// Always `ok`.
    status: &'static str,
}

async fn health() -> Result<axum::Json<Health>, Problem> {
    Ok(axum::Json(Health { status: "ok" }))
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at `{}`; the API's paths begin with `/api/v1/`", uri.path()))
}

async fn unknown_method(method: Method, uri: Uri) -> Problem {
    Problem::method_not_allowed(format!("`{}` cannot be used with {method}; `Allow` names what can", uri.path()))
}

/// Counts the answer, and keeps it out of caches, unless it is a file of the console, and out of hands that guess types.
async fn finish(
    State(state): State<ApiState>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let mut response = trace::answer(request, next).await;
    state.counters.answered(response.status());
    let may_be_kept = response.extensions().get::<console::MayBeKept>().is_some();
    let headers = response.headers_mut();
    if !may_be_kept {
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

/// The wall clock, which is an edge's business: what it says enters the log.
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
