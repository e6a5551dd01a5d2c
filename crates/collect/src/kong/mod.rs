//! What one line of Kong's log says, Kong 2.0 to 3.9.
//!
//! Decides the shape of the line: which fields are read, what counts as absent, who made the answer where an old Kong does
//! not say. Everything else in the line is skipped. Left out: what the fields mean for us (module `normalise`).
//!
//! A field of an unexpected type counts as absent and spoils nothing else, because `custom_fields_by_lua` can put
//! anything anywhere. Strings borrow from the line unless they hold an escape.

mod answer;
mod depth;
mod lax;
mod line;

use outrider_model::{AnsweredBy, Text};
use serde::Deserialize;
use serde::de::DeserializeSeed as _;

use crate::Rejection;
pub(crate) use answer::{ResponseHeader, ResponseHeaders};
pub(crate) use depth::SAFE_BYTES;
pub(crate) use lax::{Bounded, Int, Lax, LaxText, drain_map, drain_seq, scalars_add, scalars_give};
pub(crate) use line::Headers;
use line::LineSeed;

/// The fields of a line that are read. It holds raw secrets, so it has no `Debug` and never leaves the crate.
#[derive(Default)]
pub(crate) struct KongLine<'a> {
    pub(crate) request: Request<'a>,
    pub(crate) response: Response<'a>,
    pub(crate) latencies: Latencies,
    pub(crate) started_at: Int,
    pub(crate) client_ip: Text<'a>,
    pub(crate) source: Text<'a>,
    pub(crate) workspace: Text<'a>,
    pub(crate) route: Entity<'a>,
    pub(crate) service: Entity<'a>,
    pub(crate) consumer: Consumer<'a>,
    pub(crate) authenticated_entity: Entity<'a>,
    pub(crate) tries: Option<sonic_rs::LazyValue<'a>>,
    pub(crate) secret: Text<'a>,
    /// It has a `session`, as Kong logs of connections that it passes on as streams (`kong.log.serialize`).
    pub(crate) is_stream: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Request<'a> {
    #[serde(borrow)]
    pub(crate) id: LaxText<'a>,
    pub(crate) method: LaxText<'a>,
    pub(crate) uri: LaxText<'a>,
    pub(crate) url: LaxText<'a>,
    pub(crate) size: Int,
    pub(crate) headers: Headers<'a>,
    pub(crate) tls: Lax<Tls<'a>>,
    /// The line has an object here. Otherwise the rest of it may still be of use.
    #[serde(skip, default = "yes")]
    pub(crate) is_object: bool,
}

fn yes() -> bool {
    true
}

/// Bytes and status of a stream, of which nothing is read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Session {
    #[serde(skip, default = "yes")]
    is_object: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Response<'a> {
    pub(crate) status: Int,
    pub(crate) size: Int,
    #[serde(borrow)]
    pub(crate) headers: ResponseHeaders<'a>,
}

/// The connection's TLS; empty where it has none.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tls<'a> {
    #[serde(borrow)]
    pub(crate) version: LaxText<'a>,
    pub(crate) cipher: LaxText<'a>,
}

#[derive(Default, Clone, Copy, Deserialize)]
#[serde(default)]
pub(crate) struct Latencies {
    pub(crate) request: Int,
    pub(crate) kong: Int,
    pub(crate) proxy: Int,
}

/// A service, route or credential.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Entity<'a> {
    #[serde(borrow)]
    pub(crate) id: LaxText<'a>,
    pub(crate) name: LaxText<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Consumer<'a> {
    #[serde(borrow)]
    pub(crate) id: LaxText<'a>,
    pub(crate) username: LaxText<'a>,
    pub(crate) custom_id: LaxText<'a>,
    pub(crate) tags: Bounded<LaxText<'a>, TAGS_MAX>,
}

/// Top-level fields that are read, so that the secret cannot be given one of their names.
pub(crate) const FIELDS_READ: [&str; 13] = [
    "request",
    "response",
    "latencies",
    "started_at",
    "client_ip",
    "source",
    "workspace",
    "route",
    "service",
    "consumer",
    "authenticated_entity",
    "tries",
    "session",
];

/// Header values kept of one line. Kong itself logs 100 names; the rest are repetitions.
pub(crate) const HEADERS_MAX: usize = 256;

/// Consumer tags kept of one line.
pub(crate) const TAGS_MAX: usize = 64;

/// Tries looked at to tell who made the answer. Kong makes at most 1 + `retries`, 32767.
const TRIES_MAX: usize = 1024;

/// Reads one line. `secret_field` names the top-level field that carries the source's secret.
pub(crate) fn decode<'a>(line: &'a str, secret_field: &str) -> Result<KongLine<'a>, Rejection> {
    if depth::is_too_deep(line.as_bytes()) {
        return Err(Rejection::TooDeep);
    }
    let mut read = KongLine::default();
    let mut deserializer = sonic_rs::Deserializer::from_str(line);
    let seed = LineSeed { line: &mut read, secret_field };
    let is_object = seed.deserialize(&mut deserializer).map_err(|_| Rejection::NotJson)?;
    deserializer.end().map_err(|_| Rejection::NotJson)?;
    if is_object { Ok(read) } else { Err(Rejection::NotAnObject) }
}

impl KongLine<'_> {
    /// Who made the answer: by `source` (3.6 and newer), else by the tries and the upstream latency.
    pub(crate) fn answered_by(&self) -> AnsweredBy {
        match &*self.source {
            "upstream" | "service" => return AnsweredBy::Upstream,
            "kong" | "exit" | "error" => return AnsweredBy::Gateway,
            _ => {}
        }
        if self.latencies.proxy.value() == Some(-1) || !self.has_good_try() {
            return AnsweredBy::Gateway;
        }
        AnsweredBy::Upstream
    }

    /// A try that did not fail; an old line that has no `tries` at all counts by its latency alone.
    fn has_good_try(&self) -> bool {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Try<'a> {
            #[serde(borrow)]
            state: LaxText<'a>,
            #[serde(skip, default = "yes")]
            is_object: bool,
        }
        match &self.tries {
            None => self.latencies.proxy.value().is_some_and(|proxy_ms| proxy_ms >= 0),
            Some(raw) => match sonic_rs::from_str::<Bounded<Lax<Try<'_>>, TRIES_MAX>>(raw.as_raw_str()) {
                Ok(tries) => tries.0.iter().any(|one| one.0.is_object && &*one.0.state.0 != "failed"),
                Err(_) => false,
            },
        }
    }
}

#[cfg(test)]
mod tests;
