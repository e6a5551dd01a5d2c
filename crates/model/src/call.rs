use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Actor, Enrichment, Exposure, Pseudonym, Text};

/// How far event time may lie before receive time.
pub const SKEW_PAST_MS_MAX: i64 = 15 * 60 * 1000;

/// How far event time may lie after receive time.
pub const SKEW_FUTURE_MS_MAX: i64 = 5 * 1000;

/// No clock says another time: from 1970, where one begins that was never set, up to 2100-01-01 UTC.
pub const CLOCK_MS: std::ops::Range<i64> = 0..4_102_444_800_000;

/// The mapped field that says who tried to sign in, whether they could or not. Its value is always a pseudonym.
pub const ACCOUNT_FIELD: &str = "account";

/// The mapped field that says which operation a call asks of an endpoint that takes many: the name of a GraphQL operation, a
/// JSON-RPC method, a SOAP action.
pub const OPERATION_FIELD: &str = "operation";

/// What begins the name of a field that no source maps: while a key is rotated, a call carries in it what another of its values was
/// under the former key, such as `former_presented_credential`.
pub const FORMER_FIELDS: &str = "former_";

/// A call has no more values of mapped fields than this.
pub const MAPPED_VALUES_MAX: usize = 64;

/// One API call as the gateway logged it, normalised and sanitised: the only form in which a call leaves the collector.
///
/// Strings borrow from the line or log record. A text that the line did not carry is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiCall<'a> {
    /// The gateway's name, from the source's configuration or its secret.
    #[serde(borrow)]
    pub gateway: Text<'a>,
    /// Kong's workspace id; empty for gateways that do not log one.
    pub workspace: Text<'a>,
    /// Whether the line proved that it comes from the gateway.
    pub trust: Trust,
    /// Kong's request id (3.5 and newer); empty otherwise.
    pub request_id: Text<'a>,
    /// When the collector read the line.
    pub received_ms: i64,
    /// When the gateway says the request began.
    pub started_ms: i64,
    /// Event time: `started_ms` + total latency, clamped to 15 min before and 5 s after `received_ms`.
    pub event_ms: i64,
    /// Whether `event_ms` had to be clamped.
    pub clock: ClockCheck,
    /// The consumer that the line names, an anonymous one included: see `anonymous_consumer`.
    pub consumer: Option<Consumer<'a>>,
    /// The consumer is Kong's `anonymous` fallback, not somebody who proved who they are.
    pub anonymous_consumer: bool,
    /// Kong's id of the credential that authenticated the call.
    pub credential_id: Option<Text<'a>>,
    /// The pseudonym of the credential that the client presented, whether it was accepted or not.
    pub presented_credential: Option<Pseudonym>,
    /// The pseudonym of the configured session cookie, header or field.
    pub session: Option<Pseudonym>,
    /// The client's address as Kong saw it; an IPv4 address mapped into IPv6 is written as IPv4.
    pub client_ip: Option<IpAddr>,
    /// Kong's service, where a route with a service matched.
    pub service: Option<Named<'a>>,
    /// Kong's route, where one matched.
    pub route: Option<Named<'a>>,
    /// The `Host` that the client asked for, lower-cased, without port.
    pub host: Text<'a>,
    /// The request method in upper case.
    pub method: Text<'a>,
    /// The raw path as the client sent it, without query and fragment; not percent-decoded, not normalised.
    pub path: Text<'a>,
    /// The query's fields in order, names and values percent-decoded.
    pub query: Vec<Field<'a>>,
    /// Request headers in the log's order, names in lower case. Headers that Kong added about the consumer are left out.
    pub headers: Vec<Field<'a>>,
    /// The status that the client got; 0 when the line carried none.
    pub status: u16,
    /// Who made the answer.
    pub answered_by: AnsweredBy,
    /// Set when one of our own Request Terminations made the answer: the installation it belongs to (decision 20).
    pub own_refusal: Option<Text<'a>>,
    /// Size of the request, head and body.
    pub request_bytes: u64,
    /// Size of the response, head and body.
    pub response_bytes: u64,
    /// Where the time went.
    pub latency: Latency,
    /// The response's `content-type`.
    pub response_type: Text<'a>,
    /// What the source's field mapping made of the line, sanitised: at most [`MAPPED_VALUES_MAX`], in the order of the settings, a
    /// name once for each of its values. [`crate::batch`] encodes them behind the call, so they take no part in its own encoding.
    #[serde(skip)]
    pub fields: Vec<Field<'a>>,
    /// What is known of it beyond its line, added before it enters the platform's log. [`crate::batch`] encodes it
    /// beside the call, so it takes no part in the call's own encoding.
    #[serde(skip)]
    pub enrichment: Enrichment<'a>,
    /// What it shows of how safely its API is offered. [`crate::batch`] encodes it behind the fields, so it takes no part in the
    /// call's own encoding.
    #[serde(skip)]
    pub exposure: Exposure<'a>,
}

/// Whether a line proved where it comes from (decision 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The line carried its source's secret, or its source has none, or a person replayed the file.
    Trusted,
    /// The source has a secret and the line did not carry it: stored, trains no profile, leads to proposals only.
    Untrusted,
}

/// What the check of the gateway's clock said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockCheck {
    /// Event time is as the gateway reported it.
    AsReported,
    /// The gateway's time was more than 15 min before receive time, and was clamped.
    ClampedPast,
    /// The gateway's time was more than 5 s after receive time, and was clamped.
    ClampedFuture,
    /// The line carried no usable time; receive time stands in.
    Missing,
}

/// A Kong consumer as the line names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consumer<'a> {
    /// Kong's id of the consumer.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// Its user name; empty when it has none.
    pub username: Text<'a>,
    /// Its custom id; empty when it has none.
    pub custom_id: Text<'a>,
    /// Its tags.
    pub tags: Vec<Text<'a>>,
}

/// A service or route: Kong's id and, where it has one, its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Named<'a> {
    /// Kong's id.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// Its name; empty when it has none.
    pub name: Text<'a>,
}

impl Named<'_> {
    /// The name, else the id: what a person reads.
    pub fn label(&self) -> &str {
        if self.name.is_empty() { &self.id } else { &self.name }
    }
}

/// A query field, a header or a mapped field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Its value.
    pub value: FieldValue<'a>,
}

/// The value of a query field, a header or a mapped field after sanitising.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FieldValue<'a> {
    /// A query flag without `=`.
    Flag,
    /// A value that may leave the premises in clear.
    #[serde(borrow)]
    Clear(Text<'a>),
    /// A credential's pseudonym, with the length of the value it stands for in bytes.
    Pseudonym(Pseudonym, u32),
    /// Kong itself wrote `REDACTED`: there was a credential, nothing is known of it.
    Redacted,
}

/// Who made the answer that the client got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// The API behind the gateway.
    Upstream,
    /// The gateway itself: a plugin's refusal, no route, a failed proxy attempt.
    Gateway,
}

/// Where the time of a call went, in milliseconds; −1 where the gateway does not say or it does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// From the first byte of the request to the last of the response.
    pub total_ms: i32,
    /// Inside the gateway.
    pub gateway_ms: i32,
    /// Waiting for the upstream; −1 when the call was never proxied.
    pub upstream_ms: i32,
}

impl<'a> ApiCall<'a> {
    /// Whether its times are such as a collector gives: of a clock, and event time as near to receive time as it is
    /// clamped to.
    pub fn has_plausible_times(&self) -> bool {
        let skew_ms = self.event_ms.saturating_sub(self.received_ms);
        CLOCK_MS.contains(&self.received_ms)
            && CLOCK_MS.contains(&self.started_ms)
            && (-SKEW_PAST_MS_MAX..=SKEW_FUTURE_MS_MAX).contains(&skew_ms)
    }

    /// Who acted (decision 1): the authenticated consumer, else the credential, else the client address.
    ///
    /// `None` for a call that names none of them, such as a malformed request of a line without address.
    pub fn actor(&self) -> Option<Actor<'_>> {
        if let Some(consumer) = self.authenticated_consumer() {
            return Some(Actor::Consumer(&consumer.id));
        }
        if let Some(id) = &self.credential_id {
            return Some(Actor::Credential(id));
        }
        if let Some(pseudonym) = self.presented_credential {
            return Some(Actor::PresentedCredential(pseudonym));
        }
        self.client_ip.map(Actor::Address)
    }

    /// The consumer, if the call proved to be that consumer's: not the `anonymous` fallback.
    pub fn authenticated_consumer(&self) -> Option<&Consumer<'a>> {
        match &self.consumer {
            Some(consumer) if !self.anonymous_consumer && self.credential_id.is_some() => Some(consumer),
            _ => None,
        }
    }

    /// The account that the call tried to sign in to, where the source maps one ([`ACCOUNT_FIELD`]). It says nothing of whether
    /// the caller proved to be its owner.
    pub fn account(&self) -> Option<Pseudonym> {
        self.fields.iter().find(|field| field.name == ACCOUNT_FIELD).and_then(|field| match field.value {
            FieldValue::Pseudonym(pseudonym, _) => Some(pseudonym),
            FieldValue::Flag | FieldValue::Clear(_) | FieldValue::Redacted => None,
        })
    }

    /// The operation that the call asks for, where the source maps one in clear ([`OPERATION_FIELD`]), and no more than one.
    pub fn operation(&self) -> Option<&str> {
        let mut values = self.fields.iter().filter(|field| field.name == OPERATION_FIELD).map(|field| &field.value);
        match (values.next(), values.next()) {
            (Some(FieldValue::Clear(operation)), None) => Some(operation),
            _ => None,
        }
    }

    /// The call reached the API behind the gateway.
    pub fn was_proxied(&self) -> bool {
        self.answered_by == AnsweredBy::Upstream
    }

    /// Whether this call may feed profiles and detectors: trusted, and not our own refusal (invariant 9).
    pub fn is_evidence(&self) -> bool {
        self.trust == Trust::Trusted && self.own_refusal.is_none()
    }
}
