//! Routes: each is declared once, and both the router and the OpenAPI document are made of it.
//!
//! What a handler asks for and what it answers stands in its signature. [`Ask`] and [`Answer`] tell the document what each
//! such type means, so that a handler cannot do one thing and the document say another.

use axum::extract::{Extension, FromRequestParts, Path, State};
use axum::handler::Handler;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Serialize;

use super::ApiState;
use super::accept::{self, JSON};
use super::auth::Caller;
use super::openapi::Description;
use super::problem::{self, Problem};
use super::scope::Reach;
use crate::store::Role;

/// Routes that ask for one role, or for none.
pub(super) struct Routes {
    pub role: Option<Role>,
    pub router: Router<ApiState>,
    pub operations: Vec<Operation>,
}

/// What the document says of one method of one path.
pub(super) struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    pub role: Option<Role>,
    /// Its name in generated clients.
    pub id: &'static str,
    /// What it does: one line, then whatever else is to be known.
    pub words: &'static str,
    /// Whether it shows something sensitive.
    pub read: Read,
    /// How it keeps to the gateways that a token is for.
    pub reach: Reach,
    /// Adds what the handler's signature says.
    pub describe: fn(&mut Description<'_>),
}

/// Whether what a route shows is sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// It is not: how outrider is set up and how it does, or what the caller may know of themselves.
    Plain,
    /// It is. Who looks at it is in the audit log, where the look is called so.
    Sensitive(&'static str),
}

impl Routes {
    /// No routes yet.
    pub(super) fn of(role: Option<Role>) -> Self {
        Routes { role, router: Router::new(), operations: Vec::new() }
    }

    pub(super) fn get<H, T, D>(
        self,
        path: &'static str,
        read: Read,
        handler: H,
        id: &'static str,
        words: &'static str,
    ) -> Self
    where
        H: Handler<T, ApiState> + Describes<D>,
        T: 'static,
    {
        let mut routes = self.add((MethodFilter::GET, "get"), path, handler, id, words);
        if let Some(operation) = routes.operations.last_mut() {
            operation.read = read;
        }
        routes
    }

    pub(super) fn post<H, T, D>(self, path: &'static str, handler: H, id: &'static str, words: &'static str) -> Self
    where
        H: Handler<T, ApiState> + Describes<D>,
        T: 'static,
    {
        self.add((MethodFilter::POST, "post"), path, handler, id, words)
    }

    pub(super) fn put<H, T, D>(self, path: &'static str, handler: H, id: &'static str, words: &'static str) -> Self
    where
        H: Handler<T, ApiState> + Describes<D>,
        T: 'static,
    {
        self.add((MethodFilter::PUT, "put"), path, handler, id, words)
    }

    pub(super) fn patch<H, T, D>(self, path: &'static str, handler: H, id: &'static str, words: &'static str) -> Self
    where
        H: Handler<T, ApiState> + Describes<D>,
        T: 'static,
    {
        self.add((MethodFilter::PATCH, "patch"), path, handler, id, words)
    }

    pub(super) fn delete<H, T, D>(self, path: &'static str, handler: H, id: &'static str, words: &'static str) -> Self
    where
        H: Handler<T, ApiState> + Describes<D>,
        T: 'static,
    {
        self.add((MethodFilter::DELETE, "delete"), path, handler, id, words)
    }

    /// Says of the route just declared how it keeps to gateways; one that does not is about all of outrider.
    pub(super) fn reaches(mut self, reach: Reach) -> Self {
        if let Some(operation) = self.operations.last_mut() {
            operation.reach = reach;
        }
        self
    }

    fn add<H, T, D>(
        mut self,
        (filter, method): (MethodFilter, &'static str),
        path: &'static str,
        handler: H,
        id: &'static str,
        words: &'static str,
    ) -> Self
    where
        H: Handler<T, ApiState> + Describes<D>,
        T: 'static,
    {
        let route = on(filter, handler).route_layer(from_fn_with_state(H::MEDIA, accept::require));
        self.router = self.router.route(path, route);
        // What changes something is in the audit log for that.
        let (role, read, reach) = (self.role, Read::Plain, Reach::Everything);
        self.operations.push(Operation { method, path, role, id, words, read, reach, describe: H::describe });
        self
    }
}

/// A handler that says what it asks for and what it answers. `D` are the types of its arguments.
pub(super) trait Describes<D> {
    /// The media type of its answer, where there is one.
    const MEDIA: &'static str;

    fn describe(description: &mut Description<'_>);
}

macro_rules! describes {
    ($($ask:ident)*) => {
        impl<F, Fut, R, $($ask),*> Describes<($($ask,)*)> for F
        where
            F: Fn($($ask),*) -> Fut,
            Fut: Future<Output = Result<R, Problem>>,
            R: Answer,
            $($ask: Ask,)*
        {
            const MEDIA: &'static str = R::MEDIA;

            fn describe(description: &mut Description<'_>) {
                $($ask::describe(description);)*
                R::describe(description);
            }
        }
    };
}

describes!();
describes!(A);
describes!(A B);
describes!(A B C);
describes!(A B C D);
describes!(A B C D E);
describes!(A B C D E G);

/// Something that a handler asks for.
pub(super) trait Ask {
    fn describe(description: &mut Description<'_>);
}

/// The platform's own; the caller has no part in it.
impl Ask for State<ApiState> {
    fn describe(_: &mut Description<'_>) {}
}

/// Whether what is put is meant to be new (RFC 9110, 13.1.2): the header `If-None-Match: *`, and no other value of it.
pub(super) struct IfNew(pub(super) bool);

impl<S: Send + Sync> FromRequestParts<S> for IfNew {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.headers.get(header::IF_NONE_MATCH).map(HeaderValue::as_bytes) {
            None => Ok(IfNew(false)),
            Some(b"*") => Ok(IfNew(true)),
            Some(_) => Err(Problem::bad_request("things here have no entity tags; `*` alone can be meant")
                .at("header `If-None-Match`")),
        }
    }
}

impl Ask for IfNew {
    fn describe(description: &mut Description<'_>) {
        description.header_parameter("If-None-Match", "`*` refuses to replace what has this name already.", 1);
        description.problem(&problem::BAD_REQUEST);
        description.problem(&problem::EXISTS);
    }
}

/// Who asks is noted with what is changed, and what is changed may be in the way of something else.
impl Ask for Extension<Caller> {
    fn describe(description: &mut Description<'_>) {
        description.problem(&problem::CONFLICT);
    }
}

/// What a path names. What has another form names nothing.
pub(super) struct Id<T>(pub T);

impl<T> FromRequestParts<ApiState> for Id<T>
where
    T: std::str::FromStr + Send,
    T::Err: std::fmt::Display,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let not_found = |why: String| Problem::not_found(why).at("path");
        let Path(text) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|error| not_found(error.body_text()))?;
        text.parse().map(Id).map_err(|error: T::Err| not_found(error.to_string()))
    }
}

impl<T: JsonSchema> Ask for Id<T> {
    fn describe(description: &mut Description<'_>) {
        let schema = description.answer_schema::<T>();
        description.path_parameter(&schema);
        description.problem(&problem::NOT_FOUND);
    }
}

/// What a handler answers.
pub(super) trait Answer: IntoResponse {
    const MEDIA: &'static str = JSON;

    fn describe(description: &mut Description<'_>);
}

impl<T: JsonSchema + Serialize> Answer for Json<T> {
    fn describe(description: &mut Description<'_>) {
        description.answer::<T>(StatusCode::OK, JSON, "What is stored.");
    }
}

/// Something new, and where it is from now on.
pub(super) struct Created<T> {
    pub location: Option<String>,
    pub body: T,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, Json(self.body)).into_response();
        if let Some(location) = self.location.and_then(|location| HeaderValue::try_from(location).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

impl<T: JsonSchema + Serialize> Answer for Created<T> {
    fn describe(description: &mut Description<'_>) {
        description.answer::<T>(StatusCode::CREATED, JSON, "It was made.");
        description.answer_header(StatusCode::CREATED, "Location", "Where it is, if it can be read.");
    }
}

/// It is done, and there is nothing to say.
pub(super) struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl Answer for NoContent {
    fn describe(description: &mut Description<'_>) {
        description.empty_answer(StatusCode::NO_CONTENT, "It is done.");
    }
}

/// It will be done.
pub(super) struct Accepted;

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        StatusCode::ACCEPTED.into_response()
    }
}

impl Answer for Accepted {
    fn describe(description: &mut Description<'_>) {
        description.empty_answer(StatusCode::ACCEPTED, "It will be done.");
    }
}
