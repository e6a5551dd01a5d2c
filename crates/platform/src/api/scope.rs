//! What somebody may use whose token is for some gateways only.
//!
//! Each route says in its declaration how it keeps to gateways; one that says nothing is about all of outrider and refused. What
//! a path names is looked up here, before the handler. Lists, the event stream and new actions keep to the caller's gateways
//! by themselves, because only they know what they are about to show or do.

use std::sync::LazyLock;

use axum::RequestExt as _;
use axum::extract::{MatchedPath, Path, Request};
use axum::http::Method;

use super::ApiState;
use super::auth::Caller;
use super::problem::Problem;
use super::routes::Operation;
use crate::store::Gateways;

/// How a route keeps to the gateways that a caller may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// It does not: it is about all of outrider.
    Everything,
    /// It is about the caller alone.
    Caller,
    /// Its handler shows and does nothing elsewhere.
    ByItself,
    /// Its path names an alert.
    Alert,
    /// Its path names an action.
    Action,
    /// Its path names an endpoint.
    Endpoint,
    /// Its path names a gateway.
    Gateway,
    /// Its path names a weakness.
    Weakness,
    /// Its path names a hunt.
    Hunt,
}

/// Path, method and reach of every route, from the declarations.
static REACHES: LazyLock<Vec<(&'static str, &'static str, Reach)>> = LazyLock::new(|| {
    let operations = super::routes().into_iter().flat_map(|routes| routes.operations);
    operations.map(|Operation { path, method, reach, .. }| (path, method, reach)).collect()
});

fn reach(route: &str, method: &Method) -> Reach {
    // What answers `GET` answers `HEAD` alike.
    let method = if *method == Method::HEAD { Method::GET.as_str() } else { method.as_str() };
    let is_it = |known: &&(&str, &str, Reach)| known.0 == route && known.1.eq_ignore_ascii_case(method);
    REACHES.iter().find(is_it).map_or(Reach::Everything, |(_, _, reach)| *reach)
}

/// Refuses what is not at the caller's gateways. What is at others is not there.
pub(super) async fn check(state: &ApiState, caller: &Caller, request: &mut Request) -> Result<(), Problem> {
    let Gateways::Only(names) = &caller.gateways else { return Ok(()) };
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let reach = reach(route, request.method());
    let store = &state.store;
    let (what, id, gateway) = match reach {
        Reach::Caller | Reach::ByItself => return Ok(()),
        Reach::Everything => {
            state.counters.forbidden();
            let (by, names) = (&caller.by, names.join(", "));
            return Err(Problem::forbidden(format!("this is about all of outrider, and `{by}` is for {names} alone"))
                .hint("ask an admin for a token for all gateways"));
        }
        Reach::Alert => {
            let id = named(request).await?;
            let alert = store.alert(&id).await?;
            ("alert", id, alert.map(|alert| alert.entity.gateway))
        }
        Reach::Action => {
            let id = named(request).await?;
            let action = store.action(&id).await?;
            ("action", id, action.map(|action| action.target.gateway))
        }
        Reach::Endpoint => {
            let id = named(request).await?;
            let endpoint = store.endpoint(&id).await?;
            ("endpoint", id, endpoint.map(|endpoint| endpoint.key.gateway))
        }
        Reach::Weakness => {
            let id = named(request).await?;
            let weakness = store.weakness(&id).await?;
            ("weakness", id, weakness.map(|row| row.gateway))
        }
        Reach::Hunt => {
            let name = named(request).await?;
            let hunt = store.hunt(&name).await?;
            let is_elsewhere = hunt.is_some_and(|row| !row.is_within(&caller.gateways));
            let missing = || Problem::not_found(format!("there is no hunt `{name}`")).at("path");
            return if is_elsewhere { Err(missing()) } else { Ok(()) };
        }
        Reach::Gateway => {
            let name = named(request).await?;
            ("configuration of a gateway", name.clone(), Some(name))
        }
    };
    match gateway {
        Some(gateway) if !caller.gateways.has(&gateway) => {
            Err(Problem::not_found(format!("there is no {what} `{id}`")).at("path"))
        }
        // What is not there at all is for the handler to say.
        _ => Ok(()),
    }
}

/// What the path names.
async fn named(request: &mut Request) -> Result<String, Problem> {
    let path = request.extract_parts::<Path<String>>().await;
    path.map(|Path(name)| name).map_err(|error| Problem::not_found(error.body_text()).at("path"))
}
