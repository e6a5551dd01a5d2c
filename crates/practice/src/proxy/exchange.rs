//! One call on its way through the gateway, with everything that plugins and the log need to know of it.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::Value;

use super::configuration::{Scope, Service};
use super::router::Match;
use crate::percent;
use crate::schema::Object;

/// Query arguments that are looked at, as in nginx.
pub(crate) const ARGUMENTS_MAX: usize = 100;
/// Headers that are looked at, as in nginx.
pub(crate) const HEADERS_MAX: usize = 100;

/// Headers in their order, names in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

impl Headers {
    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let matching = self.0.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        matching.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.0.push((name.to_ascii_lowercase(), value.to_owned()));
    }

    /// As the log shows them: a text, or a list where a header came several times.
    pub(crate) fn shown(&self) -> Object {
        let mut shown = Object::new();
        for (name, value) in self.0.iter().take(HEADERS_MAX) {
            add(&mut shown, name, value.as_str().into());
        }
        shown
    }
}

/// Adds a value under a name; the second one makes a list.
pub(crate) fn add(object: &mut Object, name: &str, value: Value) {
    match object.get_mut(name) {
        None => {
            object.insert(name.to_owned(), value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

/// One attempt to reach the service.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    pub(crate) ip: String,
    pub(crate) port: u16,
    pub(crate) start_ns: i64,
    /// The status it failed with.
    pub(crate) failed: Option<u16>,
}

/// A call.
pub(crate) struct Exchange {
    pub(crate) id: String,
    pub(crate) worker: usize,
    pub(crate) started_ms: i64,
    pub(crate) client: SocketAddr,
    pub(crate) method: String,
    /// The target as it came: path and query.
    pub(crate) uri: String,
    /// Without its port, as it came: routes match it letter by letter, as Kong 3.9 does.
    pub(crate) host: String,
    /// Ours.
    pub(crate) port: u16,
    pub(crate) headers: Headers,
    /// Size of the request without its body.
    pub(crate) head_bytes: u64,
    pub(crate) body: Bytes,
    pub(crate) matched: Option<Match>,
    pub(crate) consumer: Option<Arc<Object>>,
    pub(crate) credential: Option<String>,
    /// What plugins add to the answer.
    pub(crate) answer_headers: Vec<(String, String)>,
    pub(crate) upstream_uri: String,
    /// One status per try.
    pub(crate) upstream_status: Vec<u16>,
    pub(crate) tries: Vec<Try>,
}

impl Exchange {
    pub(crate) fn query(&self) -> Option<&str> {
        self.uri.split_once('?').map(|(_, query)| query)
    }

    pub(crate) fn service(&self) -> Option<&Arc<Service>> {
        self.matched.as_ref()?.route.service.as_ref()
    }

    /// Where this call stands now: a consumer only once it is known.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            route: self.matched.as_ref().map(|matched| matched.route.id.clone()),
            service: self.service().map(|service| service.id.clone()),
            consumer: self.consumer.as_deref().map(crate::store::id_of),
        }
    }

    /// Query arguments as the log shows them: a text, a list where one came several times, true without a value.
    pub(crate) fn arguments(&self) -> Object {
        let mut arguments = Object::new();
        let pairs = self.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        for pair in pairs.take(ARGUMENTS_MAX) {
            let (name, value) = match pair.split_once('=') {
                Some((name, value)) => (name, percent::decode_form(value).into()),
                None => (pair, Value::Bool(true)),
            };
            if !name.is_empty() {
                add(&mut arguments, &percent::decode_form(name), value);
            }
        }
        arguments
    }
}

/// Who made an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Kong,
    Upstream,
}

/// What goes back to the client.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names as they are written.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) source: Source,
    /// How long the service was waited for, when it was asked.
    pub(crate) waited_ms: Option<i64>,
}

impl Answer {
    /// An answer of a plugin: compact JSON, as `kong.response.exit` with a table.
    pub(crate) fn exit(status: u16, body: Option<&Value>) -> Answer {
        match body {
            Some(body) => Answer::raw(status, Some("application/json; charset=utf-8"), body.to_string()),
            None => Answer::raw(status, None, String::new()),
        }
    }

    /// An answer of a plugin, byte for byte.
    pub(crate) fn raw(status: u16, content_type: Option<&str>, body: String) -> Answer {
        let headers = content_type.map(|value| ("Content-Type".to_owned(), value.to_owned())).into_iter().collect();
        Answer { status, headers, body: body.into(), source: Source::Kong, waited_ms: None }
    }

    /// An error of the gateway: spread over lines and with the id of the request, as `kong.response.error`.
    pub(crate) fn error(status: u16, message: &str, request_id: &str) -> Answer {
        let message = Value::from(message);
        let body = format!("{{\n  \"message\":{message},\n  \"request_id\":\"{request_id}\"\n}}");
        Answer::raw(status, Some("application/json; charset=utf-8"), body)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}
