//! What one line of Kong's log says, Kong 2.0 to 3.9.
//!
//! Decides the shape of the line: which fields are read, what counts as absent, who made the answer where an old Kong does
//! not say. Everything else in the line is skipped. Left out: how JSON is read (module `json`), and what the fields mean for us
//! (module `normalise`).
//!
//! A field of an unexpected type counts as absent and spoils nothing else, because `custom_fields_by_lua` can put
//! anything anywhere. Of a field that is there twice the last one counts.

mod answer;
mod lax;
mod line;

use outrider_model::{AnsweredBy, Text};

pub(crate) use answer::{ResponseHeader, ResponseHeaders};
pub(crate) use lax::{Int, scalar_of, text_of};
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
    /// Whether a try did not fail, if the line has `tries` at all.
    pub(crate) has_good_try: Option<bool>,
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
    pub(crate) tls: Tls<'a>,
    /// The line has an object here. Otherwise the rest of it may still be of use.
    pub(crate) is_object: bool,
}

#[derive(Default)]
pub(crate) struct Response<'a> {
    pub(crate) status: Int,
    pub(crate) size: Int,
    pub(crate) headers: ResponseHeaders<'a>,
}

/// The connection's TLS; empty where it has none.
#[derive(Default)]
pub(crate) struct Tls<'a> {
    pub(crate) version: Text<'a>,
    pub(crate) cipher: Text<'a>,
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

impl KongLine<'_> {
    /// Who made the answer: by `source` (3.6 and newer), else by the tries and the upstream latency.
    pub(crate) fn answered_by(&self) -> AnsweredBy {
        match &*self.source {
            "upstream" | "service" => return AnsweredBy::Upstream,
            "kong" | "exit" | "error" => return AnsweredBy::Gateway,
            _ => {}
        }
        let proxy_ms = self.latencies.proxy.value();
        // An old line without `tries` counts by its latency alone.
        let has_good_try = self.has_good_try.unwrap_or(proxy_ms.is_some_and(|proxy_ms| proxy_ms >= 0));
        if proxy_ms == Some(-1) || !has_good_try { AnsweredBy::Gateway } else { AnsweredBy::Upstream }
    }
}

#[cfg(test)]
mod tests;
