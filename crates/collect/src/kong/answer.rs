//! Reads of a response's headers those that say something, and passes over the others.

use outrider_model::Text;

use super::HEADERS_MAX;
use super::lax::{scalar_of, text_of};
use crate::json::{Json, Value};

/// A response header of which something is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseHeader {
    Server,
    Via,
    /// Others by which programs tell what they are; those of the OWASP Secure Headers Project's list of headers to remove that hold a
    /// version.
    Software,
    AccessControlAllowOrigin,
    AccessControlAllowCredentials,
    SetCookie,
    CacheControl,
    Expires,
    StrictTransportSecurity,
}

impl ResponseHeader {
    /// Kong logs names in lower case.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "server" => ResponseHeader::Server,
            "via" => ResponseHeader::Via,
            "x-powered-by"
            | "x-aspnet-version"
            | "x-aspnetmvc-version"
            | "x-generator"
            | "x-powered-cms"
            | "x-php-version"
            | "x-jenkins"
            | "x-owa-version"
            | "liferay-portal" => ResponseHeader::Software,
            "access-control-allow-origin" => ResponseHeader::AccessControlAllowOrigin,
            "access-control-allow-credentials" => ResponseHeader::AccessControlAllowCredentials,
            "set-cookie" => ResponseHeader::SetCookie,
            "cache-control" => ResponseHeader::CacheControl,
            "expires" => ResponseHeader::Expires,
            "strict-transport-security" => ResponseHeader::StrictTransportSecurity,
            _ => return None,
        })
    }
}

/// What a response's headers say.
#[derive(Default)]
pub(crate) struct ResponseHeaders<'a> {
    pub(crate) content_type: Text<'a>,
    /// The values of the others that are read, as they come; at most [`HEADERS_MAX`].
    pub(crate) values: Vec<(ResponseHeader, Text<'a>)>,
    /// How many headers there are, repeated ones each; `None` where the line has no list of them.
    pub(crate) count: Option<usize>,
}

impl<'a> ResponseHeaders<'a> {
    pub(crate) fn of(value: Value<'_, 'a>) -> Self {
        let Json::Object(members) = value.json() else { return ResponseHeaders::default() };
        let mut headers = ResponseHeaders::default();
        let mut count = 0;
        for (name, value) in members {
            count += match value.json() {
                Json::List(values) => values.count(),
                _ => 1,
            };
            if name == "content-type" {
                headers.content_type = text_of(value);
            } else if let Some(name) = ResponseHeader::named(name) {
                headers.add(name, value);
            }
        }
        headers.count = Some(count);
        headers
    }

    /// A text, or an array of texts when it was repeated.
    fn add(&mut self, name: ResponseHeader, value: Value<'_, 'a>) {
        let room = HEADERS_MAX.saturating_sub(self.values.len());
        match value.json() {
            Json::List(values) => self.values.extend(values.take(room).map(|value| (name, text_of(value)))),
            _ => self.values.extend(scalar_of(value).into_iter().take(room).map(|value| (name, value))),
        }
    }
}
