//! What one line of Kong's log says, Kong 2.0 to 3.9.
//!
//! Decides the shape of the line: which fields are read, what counts as absent, who made the answer where an old Kong does
//! not say. Everything else in the line is skipped. Left out: what the fields mean for us (module `normalise`).
//!
//! A field of an unexpected type counts as absent and spoils nothing else, because `custom_fields_by_lua` can put
//! anything anywhere. Strings borrow from the line unless they hold an escape.

mod depth;
mod lax;
mod line;

use outrider_model::{AnsweredBy, Text};

use crate::Rejection;
use crate::json::{Begun, Found, Malformed, Reader, Wanted};
pub(crate) use lax::{Int, number_text};
pub(crate) use line::Headers;

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
    /// As they stand in the line, because they are seldom needed.
    pub(crate) tries: Option<&'a str>,
    pub(crate) secret: Text<'a>,
    /// It has a `session`, as Kong logs of connections that it passes on as streams (`kong.log.serialize`).
    pub(crate) is_stream: bool,
}

#[derive(Default)]
pub(crate) struct Request<'a> {
    pub(crate) id: Text<'a>,
    pub(crate) method: Text<'a>,
    pub(crate) uri: Text<'a>,
    pub(crate) url: Text<'a>,
    pub(crate) size: Int,
    pub(crate) headers: Headers<'a>,
    /// The line has an object here. Otherwise the rest of it may still be of use.
    pub(crate) is_object: bool,
}

#[derive(Default)]
pub(crate) struct Response<'a> {
    pub(crate) status: Int,
    pub(crate) size: Int,
    pub(crate) content_type: Text<'a>,
}

#[derive(Default, Clone, Copy)]
pub(crate) struct Latencies {
    pub(crate) request: Int,
    pub(crate) kong: Int,
    pub(crate) proxy: Int,
}

/// A service, route or credential.
#[derive(Default)]
pub(crate) struct Entity<'a> {
    pub(crate) id: Text<'a>,
    pub(crate) name: Text<'a>,
}

#[derive(Default)]
pub(crate) struct Consumer<'a> {
    pub(crate) id: Text<'a>,
    pub(crate) username: Text<'a>,
    pub(crate) custom_id: Text<'a>,
    pub(crate) tags: Vec<Text<'a>>,
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

/// Reads one line, and what stands at the places that are wanted besides. `secret_field` names the top-level field that carries
/// the source's secret.
pub(crate) fn decode<'a>(
    line: &'a str,
    secret_field: &str,
    wanted: &Wanted,
) -> Result<(KongLine<'a>, Found<'a>), Rejection> {
    if depth::is_too_deep(line.as_bytes()) {
        return Err(Rejection::TooDeep);
    }
    let mut read = KongLine::default();
    let mut reader = Reader::new(line, wanted);
    let is_object = line::read(&mut reader, &mut read, secret_field).map_err(|Malformed| Rejection::NotJson)?;
    let found = reader.end().map_err(|Malformed| Rejection::NotJson)?;
    if is_object { Ok((read, found)) } else { Err(Rejection::NotAnObject) }
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
        match self.tries {
            None => self.latencies.proxy.value().is_some_and(|proxy_ms| proxy_ms >= 0),
            Some(tries) => is_one_good(tries).unwrap_or(false),
        }
    }
}

fn is_one_good(tries: &str) -> Result<bool, Malformed> {
    let nothing = Wanted::default();
    let mut reader = Reader::new(tries, &nothing);
    let (mut is_one_good, mut seen) = (false, 0);
    if let Begun::List = reader.value()? {
        reader.elements(|reader| {
            seen += 1;
            if seen > TRIES_MAX {
                return reader.pass();
            }
            let mut has_failed = false;
            let is_try = lax::object(reader, |reader, name| match &*name {
                "state" => lax::text(reader).map(|state| has_failed = &*state == "failed"),
                _ => reader.pass(),
            })?;
            is_one_good |= is_try && !has_failed;
            Ok(())
        })?;
    }
    Ok(is_one_good)
}

#[cfg(test)]
mod tests;
