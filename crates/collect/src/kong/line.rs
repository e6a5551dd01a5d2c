//! Finds in a line the fields that are read.

use outrider_model::{Field, FieldValue, Text};

use super::lax::{Int, scalar_of, text_of};
use super::{Consumer, Entity, HEADERS_MAX, KongLine, Latencies, Request, Response, ResponseHeaders, TAGS_MAX, Tls};
use crate::Rejection;
use crate::json::{Json, Value};

impl<'a> KongLine<'a> {
    /// `secret_field` names the top-level field that carries the source's secret.
    pub(crate) fn of(line: Value<'_, 'a>, secret_field: &str) -> Result<Self, Rejection> {
        let Json::Object(members) = line.json() else { return Err(Rejection::NotAnObject) };
        let mut line = KongLine::default();
        for (name, value) in members {
            match name {
                "request" => line.request = Request::of(value),
                "response" => line.response = Response::of(value),
                "latencies" => line.latencies = Latencies::of(value),
                "started_at" => line.started_at = Int::of(value),
                "client_ip" => line.client_ip = text_of(value),
                "source" => line.source = text_of(value),
                "workspace" => line.workspace = text_of(value),
                "route" => line.route = Entity::of(value),
                "service" => line.service = Entity::of(value),
                "consumer" => line.consumer = Consumer::of(value),
                "authenticated_entity" => line.authenticated_entity = Entity::of(value),
                "tries" => line.has_good_try = Some(has_good_try(value)),
                "session" => line.is_stream = matches!(value.json(), Json::Object(_)),
                name if name == secret_field => line.secret = text_of(value),
                _ => {}
            }
        }
        Ok(line)
    }
}

impl<'a> Request<'a> {
    fn of(value: Value<'_, 'a>) -> Self {
        let mut request = Request { is_object: matches!(value.json(), Json::Object(_)), ..Request::default() };
        for (name, value) in value.members() {
            match name {
                "id" => request.id = text_of(value),
                "method" => request.method = text_of(value),
                "uri" => request.uri = text_of(value),
                "url" => request.url = text_of(value),
                "size" => request.size = Int::of(value),
                "headers" => request.headers = Headers::of(value),
                "tls" => request.tls = Tls::of(value),
                _ => {}
            }
        }
        request
    }
}

impl<'a> Response<'a> {
    fn of(value: Value<'_, 'a>) -> Self {
        let mut response = Response::default();
        for (name, value) in value.members() {
            match name {
                "status" => response.status = Int::of(value),
                "size" => response.size = Int::of(value),
                "headers" => response.headers = ResponseHeaders::of(value),
                _ => {}
            }
        }
        response
    }
}

impl<'a> Tls<'a> {
    fn of(value: Value<'_, 'a>) -> Self {
        let mut tls = Tls::default();
        for (name, value) in value.members() {
            match name {
                "version" => tls.version = text_of(value),
                "cipher" => tls.cipher = text_of(value),
                _ => {}
            }
        }
        tls
    }
}

impl Latencies {
    fn of(value: Value<'_, '_>) -> Self {
        let mut latencies = Latencies::default();
        for (name, value) in value.members() {
            match name {
                "request" => latencies.request = Int::of(value),
                "kong" => latencies.kong = Int::of(value),
                "proxy" => latencies.proxy = Int::of(value),
                _ => {}
            }
        }
        latencies
    }
}

impl<'a> Entity<'a> {
    fn of(value: Value<'_, 'a>) -> Self {
        let mut entity = Entity::default();
        for (name, value) in value.members() {
            match name {
                "id" => entity.id = text_of(value),
                "name" => entity.name = text_of(value),
                _ => {}
            }
        }
        entity
    }
}

impl<'a> Consumer<'a> {
    fn of(value: Value<'_, 'a>) -> Self {
        let mut consumer = Consumer::default();
        for (name, value) in value.members() {
            match name {
                "id" => consumer.id = text_of(value),
                "username" => consumer.username = text_of(value),
                "custom_id" => consumer.custom_id = text_of(value),
                // An old Kong writes an empty list as an object.
                "tags" => {
                    consumer.tags = match value.json() {
                        Json::List(tags) => tags.take(TAGS_MAX).map(text_of).collect(),
                        _ => Vec::new(),
                    }
                }
                _ => {}
            }
        }
        consumer
    }
}

/// Tries looked at to tell who made the answer. Kong makes at most 1 + `retries`, 32767.
const TRIES_MAX: usize = 1024;

/// A try that did not fail.
fn has_good_try(tries: Value<'_, '_>) -> bool {
    let is_good = |one: Value<'_, '_>| match one.json() {
        Json::Object(mut members) => !members.any(|(name, value)| name == "state" && text_of(value) == "failed"),
        _ => false,
    };
    matches!(tries.json(), Json::List(tries) if tries.take(TRIES_MAX).any(is_good))
}

/// The request's headers, one entry per value.
#[derive(Default)]
pub(crate) struct Headers<'a> {
    /// A repeated header has several. All values are raw.
    pub(crate) fields: Vec<Field<'a>>,
    /// Headers beyond [`HEADERS_MAX`] were left out.
    pub(crate) truncated: bool,
}

/// A request has about this many headers.
const HEADERS_USUAL: usize = 16;

impl<'a> Headers<'a> {
    fn of(value: Value<'_, 'a>) -> Self {
        let Json::Object(members) = value.json() else { return Headers::default() };
        let mut headers = Headers { fields: Vec::with_capacity(HEADERS_USUAL), truncated: false };
        for (name, value) in members {
            match value.json() {
                Json::List(values) => values.for_each(|value| headers.add(name, text_of(value))),
                _ => scalar_of(value).into_iter().for_each(|value| headers.add(name, value)),
            }
        }
        headers
    }

    fn add(&mut self, name: &'a str, value: Text<'a>) {
        if self.fields.len() < HEADERS_MAX {
            self.fields.push(Field { name: Text::from(name), value: FieldValue::Clear(value) });
        } else {
            self.truncated = true;
        }
    }
}
