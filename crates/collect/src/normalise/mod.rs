//! One log line to one [`ApiCall`].
//!
//! Decides what a line means: who acted (decisions 1 and 2), where (3), whether the line proved where it comes from (4), when
//! (9), and what was asked for. Credentials and personal values are replaced on the way (module `sanitise`), so no raw one is in the result.
//! Left out: IO and the clock; the receive time is given.

mod client;
mod clock;
mod own_refusal;
mod scratch;
mod target;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use outrider_model::{
    AnsweredBy, ApiCall, ClassLocation, Consumer, Enrichment, Exposure, Field, FieldValue, Latency, Named, Text, Trust,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use subtle::{Choice, ConstantTimeEq as _};

pub use client::TrustedProxies;
pub(crate) use client::named_in;
pub use clock::RunningMaximum;
use own_refusal::own_refusal;
pub use scratch::Scratch;
pub use target::QUERY_FIELDS_MAX;
pub(crate) use target::{percent_decoded, split_uri};

use crate::exposure::{Came, answer, transport};
use crate::kong::{self, Int, KongLine, Request};
use crate::mapping::{FieldSettings, Mapping};
use crate::pseudonyms::{PseudonymKey, refuse_open_to_others};
use crate::sanitise::{FieldPolicies, Identities, Presented, Sanitiser};
use crate::{CollectError, Rejection};

/// The top-level field of a line that carries the source's secret, unless configured.
pub const SECRET_FIELD_DEFAULT: &str = "outrider_key";

/// Most names of key headers and query fields that can be configured.
pub const KEY_NAMES_MAX: usize = 64;

/// What a [`Normaliser`] has to know of its source and its gateway.
#[derive(Debug, Clone)]
pub struct NormaliserSettings {
    /// The gateway's name; part of every key (decision 3).
    pub gateway: String,
    /// The secret that lines of the source carry, if it has one (decision 4).
    pub secret: Option<SourceSecret>,
    /// The top-level field that carries it.
    pub secret_field: String,
    /// Headers and query fields that carry the client's key, most telling first: Kong's `key_names`.
    pub key_names: Vec<String>,
    /// What carries the session, if anything does.
    pub session: Option<SessionCarrier>,
    /// What is done with single fields.
    pub field_policies: FieldPolicies,
    /// What is a pseudonym of what leaves in clear otherwise.
    pub pseudonymise: Identities,
    /// The proxies in front of the gateway, where it logs them as its clients.
    pub trusted_proxies: Option<TrustedProxies>,
    /// What of the line becomes a field of the call.
    pub fields: Vec<FieldSettings>,
    /// What of the line does not leave.
    pub drop: Vec<String>,
}

impl NormaliserSettings {
    /// The settings of a gateway where everything is as Kong has it by default.
    pub fn new(gateway: impl Into<String>) -> Self {
        NormaliserSettings {
            gateway: gateway.into(),
            secret: None,
            secret_field: SECRET_FIELD_DEFAULT.to_owned(),
            key_names: default_key_names(),
            session: None,
            field_policies: FieldPolicies::default(),
            pseudonymise: Identities::default(),
            trusted_proxies: None,
            fields: Vec::new(),
            drop: Vec::new(),
        }
    }

    /// Refuses what cannot be meant.
    pub fn validate(&self) -> Result<(), CollectError> {
        let wrong = |setting, reason: &str| Err(CollectError::Setting { setting, reason: reason.to_owned() });
        if self.gateway.is_empty() || self.gateway.len() > 64 || self.gateway.chars().any(char::is_control) {
            return wrong("gateway", "use a name of 1 to 64 characters");
        }
        if self.secret_field.is_empty() || self.secret_field.len() > 64 {
            return wrong("secret_field", "use the name of a top-level field, 1 to 64 characters");
        }
        if kong::FIELDS_READ.contains(&self.secret_field.as_str()) {
            return wrong(
                "secret_field",
                "Kong itself logs a field of this name; choose another, such as `outrider_key`",
            );
        }
        if self.key_names.len() > KEY_NAMES_MAX || self.key_names.iter().any(String::is_empty) {
            return wrong("key_names", "use at most 64 names, none of them empty");
        }
        self.field_policies.validate(&self.key_names, self.session.as_ref(), &self.fields)?;
        if let Some(mistake) = self.trusted_proxies.as_ref().and_then(TrustedProxies::mistake) {
            return wrong("trusted_proxies", mistake);
        }
        match &self.session {
            Some(SessionCarrier::Cookie(name) | SessionCarrier::Header(name) | SessionCarrier::Query(name))
                if name.is_empty() =>
            {
                return wrong("session", "the carrier's name is empty");
            }
            Some(SessionCarrier::Field(name)) if !self.fields.iter().any(|field| field.name == *name) => {
                return wrong("session", "no field of this name is mapped; add it to the source's `fields`");
            }
            _ => {}
        }
        self.mapping().map(drop)
    }

    fn mapping(&self) -> Result<Mapping, CollectError> {
        Mapping::new(&self.fields, &self.drop, &self.secret_field)
    }
}

/// The names under which clients present keys, unless configured.
pub fn default_key_names() -> Vec<String> {
    ["apikey", "api-key", "x-api-key", "api_key", "key", "access_token", "x-auth-token", "x-access-token", "token"]
        .map(str::to_owned)
        .to_vec()
}

/// What carries the session: `{ cookie = "sid" }`, `{ header = "x-session" }`, `{ query = "sid" }` or `{ field = "sid" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SessionCarrier {
    /// The cookie of this name.
    Cookie(String),
    /// The request header of this name.
    Header(String),
    /// The query field of this name.
    Query(String),
    /// The mapped field of this name.
    Field(String),
}

/// Secrets that a file may hold: one, and while it is replaced the next ones.
const SECRETS_MAX: usize = 4;

/// The secret by which a line proves its source, and while it is replaced any of several. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SourceSecret(Vec<String>);

impl SourceSecret {
    /// Reads the secret from a file that only its owner can read: one a line, each of which will do.
    pub fn load(path: &Path) -> Result<Self, CollectError> {
        let failed = |source| CollectError::SecretFile { path: path.to_owned(), source };
        let metadata = std::fs::metadata(path).map_err(failed)?;
        refuse_open_to_others(path, &metadata)?;
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let secrets: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        match secrets.len() {
            1..=SECRETS_MAX if secrets.iter().all(|secret| is_secret(secret)) => {
                Ok(SourceSecret(secrets.into_iter().map(str::to_owned).collect()))
            }
            _ => Err(CollectError::SecretInvalid { path: path.to_owned() }),
        }
    }

    /// A secret of 16 to 512 visible ASCII characters; `None` otherwise.
    pub fn new(secret: &str) -> Option<Self> {
        is_secret(secret).then(|| SourceSecret(vec![secret.to_owned()]))
    }

    /// The one that a gateway is to be given: the first.
    pub fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    pub(crate) fn is(&self, presented: &str) -> bool {
        // All are compared, so that the time tells nothing.
        let is_one = |found: Choice, secret: &String| found | secret.as_bytes().ct_eq(presented.as_bytes());
        self.0.iter().fold(Choice::from(0), is_one).into()
    }
}

fn is_secret(text: &str) -> bool {
    (16..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl fmt::Debug for SourceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceSecret(..)")
    }
}

/// What is read of a line.
#[derive(Debug)]
pub struct Normalised<'a> {
    /// The call, as it leaves.
    pub call: ApiCall<'a>,
    /// The client's address where the call has a pseudonym in its place: for what is looked up on the premises, and no further.
    pub hidden_address: Option<IpAddr>,
}

/// Turns lines of one source into calls. Immutable, so one serves all connections of the source.
#[derive(Debug)]
pub struct Normaliser {
    gateway: String,
    secret: Option<SourceSecret>,
    secret_field: String,
    trusted_proxies: Option<TrustedProxies>,
    sanitiser: Sanitiser,
    mapping: Mapping,
}

impl Normaliser {
    /// Refuses settings that cannot be meant.
    pub fn new(settings: NormaliserSettings, key: PseudonymKey) -> Result<Self, CollectError> {
        settings.validate()?;
        let mut mapping = settings.mapping()?;
        let sanitiser = Sanitiser::new(&settings, key);
        mapping.hide(&sanitiser);
        let NormaliserSettings { gateway, secret, secret_field, trusted_proxies, .. } = settings;
        Ok(Normaliser { gateway, secret, secret_field, trusted_proxies, sanitiser, mapping })
    }

    /// The names of the mapped fields.
    pub fn mapped_fields(&self) -> impl Iterator<Item = &str> {
        self.mapping.names()
    }

    /// The gateway's name.
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Whether a setting keeps a query field of this name out of the call.
    pub(crate) fn drops_query(&self, name: &str) -> bool {
        self.sanitiser.drops_query(name)
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Reads one line. `received_ms` is when it was read; without it, as in a raw file, the call's own time stands in, and
    /// [`RunningMaximum::stamp`] puts the file's calls in order.
    pub fn normalise<'a>(
        &'a self,
        line: &[u8],
        received_ms: Option<i64>,
        scratch: &'a mut Scratch,
    ) -> Result<ApiCall<'a>, Rejection> {
        self.read(line, received_ms, scratch).map(|read| read.call)
    }

    /// As [`Normaliser::normalise`], with the address that is not in the call.
    pub fn read<'a>(
        &'a self,
        line: &[u8],
        received_ms: Option<i64>,
        scratch: &'a mut Scratch,
    ) -> Result<Normalised<'a>, Rejection> {
        let Scratch { room, uri, truncated, without_secret, fields } = scratch;
        room.read(line, |value| {
            let line = KongLine::of(value, &self.secret_field)?;
            *without_secret += u64::from(self.secret.is_some() && line.secret.is_empty());
            let (mut call, mut presented) = self.call(line, received_ms, uri, truncated)?;
            self.mapping.apply(value, &mut call, &mut presented, &self.sanitiser, fields);
            presented.tell(&mut call);
            // While the call has the names that may be dropped.
            self.sanitiser.hide_names(&mut call);
            self.mapping.drop(&mut call);
            let hidden_address = self.sanitiser.hide_identities(&mut call);
            Ok(Normalised { call, hidden_address })
        })
    }

    fn call<'a>(
        &'a self,
        line: KongLine<'a>,
        received_ms: Option<i64>,
        uri: &'a mut String,
        truncated: &mut u64,
    ) -> Result<(ApiCall<'a>, Presented), Rejection> {
        let answered_by = line.answered_by();
        let trust = self.trust(&line.secret);
        let time = clock::event_time(line.started_at, line.latencies.request, received_ms);
        let request = line.request;
        if !request.is_object && line.response.status.value().is_none() {
            // Otherwise the rest may still say who called when, and how it ended.
            return Err(if line.is_stream { Rejection::Stream } else { Rejection::NoRequest });
        }
        let Request { id, method, uri: request_uri, url, size, headers, tls, .. } = request;
        let headers_truncated = headers.truncated;
        let client_ip = self.client_ip(&line.client_ip, &headers.fields);
        let mut exposure = Exposure::default();
        exposure.signs.extend(answer(&line.response.headers, answered_by, time.started_ms).iter());
        // What the gateway could not read it logs with a URL of its own making, and without headers.
        if !headers.fields.is_empty() {
            let came = self.came(&line.client_ip, &url, &headers.fields);
            exposure.signs.extend(transport(&url, &tls, came).iter());
        }
        let mut presented = Presented::at(time.received_ms);
        let headers = self.headers(headers.fields, &mut presented);
        let host = self.sanitiser.host(target::host(headers.host.as_ref(), &url));
        let uri: &'a str = match request_uri.borrowed() {
            Some(borrowed) => borrowed,
            None => {
                *uri = request_uri.into_string();
                uri
            }
        };
        let (path, raw_query) = target::split_uri(uri);
        let (query, query_truncated) = self.query(raw_query, &mut presented);
        let path = self.sanitiser.path(path, &mut presented.finds);
        *truncated += u64::from(headers_truncated || query_truncated);

        let credential_id = (!line.authenticated_entity.id.is_empty()).then_some(line.authenticated_entity.id);
        let consumer = consumer(line.consumer);
        let response_type = line.response.headers.content_type;
        let call = ApiCall {
            gateway: Text::from(self.gateway.as_str()),
            workspace: line.workspace,
            trust,
            request_id: id,
            received_ms: time.received_ms,
            started_ms: time.started_ms,
            event_ms: time.event_ms,
            clock: time.check,
            anonymous_consumer: headers.anonymous || (consumer.is_some() && credential_id.is_none()),
            consumer,
            credential_id,
            presented_credential: None,
            session: None,
            client_ip,
            service: named(line.service),
            route: named(line.route),
            host,
            method: self.sanitiser.method(method),
            path,
            query,
            headers: headers.fields,
            status: u16_of(line.response.status),
            answered_by,
            own_refusal: match answered_by {
                AnsweredBy::Gateway => own_refusal(&response_type),
                AnsweredBy::Upstream => None,
            },
            request_bytes: u64_of(size),
            response_bytes: u64_of(line.response.size),
            latency: Latency {
                total_ms: latency_ms(line.latencies.request),
                gateway_ms: latency_ms(line.latencies.kong),
                upstream_ms: latency_ms(line.latencies.proxy),
            },
            response_type: self.sanitiser.response_type(response_type),
            fields: Vec::new(),
            enrichment: Enrichment::default(),
            exposure,
        };
        Ok((call, presented))
    }

    /// Whom the gateway logs as the client, or for whom that one asked.
    fn client_ip(&self, logged: &str, headers: &[Field<'_>]) -> Option<IpAddr> {
        let logged = logged.parse::<IpAddr>().ok()?.to_canonical();
        Some(self.trusted_proxies.as_ref().map_or(logged, |proxies| proxies.client(logged, headers)))
    }

    fn trust(&self, presented: &str) -> Trust {
        match &self.secret {
            Some(secret) if !secret.is(presented) => Trust::Untrusted,
            _ => Trust::Trusted,
        }
    }

    /// How the client came to the gateway.
    fn came(&self, logged: &str, url: &str, headers: &[Field<'_>]) -> Came {
        let Some(proxies) = &self.trusted_proxies else { return client::came_without_proxies(url, headers) };
        let logged = logged.parse::<IpAddr>().ok().map(|logged| logged.to_canonical());
        logged.map_or(Came::Unknown, |logged| proxies.came(logged, headers))
    }

    /// Sanitises a raw query and leaves out what is dropped.
    fn query<'a>(&self, raw: &'a str, presented: &mut Presented) -> (Vec<Field<'a>>, bool) {
        let mut kept = 0;
        target::query(raw, |name, value| {
            let field = self.sanitiser.query_field(name, value, presented);
            let field = field.filter(|field| !self.mapping.drops_query(&field.name));
            presented.finds.settle_if(field.is_some(), ClassLocation::Query, &mut kept);
            field
        })
    }

    /// Lower-cases names, takes out what Kong added about the consumer, sanitises, leaves out what is dropped.
    fn headers<'a>(&self, mut fields: Vec<Field<'a>>, presented: &mut Presented) -> Headers<'a> {
        let mut host = None;
        let mut anonymous = false;
        let split = self.sanitiser.repeated_headers(&mut fields);
        let (mut at, mut kept) = (0, 0);
        fields.retain_mut(|field| {
            let own = at;
            at += 1;
            if field.name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                field.name = Text::from(field.name.to_ascii_lowercase());
            }
            if is_added_by_kong(&field.name) {
                anonymous |= &*field.name == "x-anonymous-consumer" && is_true(&field.value);
                return false;
            }
            if host.is_none()
                && &*field.name == "host"
                && let FieldValue::Clear(value) = &field.value
            {
                host = Some(value.clone());
            }
            split.iter().filter(|(of, _)| *of == own).for_each(|(_, find)| presented.finds.add(*find));
            let stays = self.sanitiser.header(field, presented) && !self.mapping.drops_header(&field.name);
            presented.finds.settle_if(stays, ClassLocation::Header, &mut kept);
            stays
        });
        Headers { fields, host, anonymous }
    }
}

/// The fields of a raw query as far as they are read.
pub(crate) fn query_fields<'a>(
    raw: &'a str,
    mut make: impl FnMut(Text<'a>, Option<Text<'a>>) -> Field<'a>,
) -> Vec<Field<'a>> {
    target::query(raw, |name, value| Some(make(name, value))).0
}

struct Headers<'a> {
    fields: Vec<Field<'a>>,
    host: Option<Text<'a>>,
    anonymous: bool,
}

/// Headers that Kong adds for the upstream about the consumer (Kong's `constants.HEADERS`).
pub(crate) fn is_added_by_kong(name: &str) -> bool {
    name.strip_prefix("x-").is_some_and(|rest| {
        rest.starts_with("consumer-")
            || rest.starts_with("authenticated-")
            || matches!(rest, "credential-identifier" | "credential-username" | "anonymous-consumer")
    })
}

fn is_true(value: &FieldValue<'_>) -> bool {
    matches!(value, FieldValue::Clear(value) if value.eq_ignore_ascii_case("true"))
}

fn consumer(line: kong::Consumer<'_>) -> Option<Consumer<'_>> {
    let kong::Consumer { id, username, custom_id, tags } = line;
    (!id.is_empty()).then_some(Consumer { id, username, custom_id, tags })
}

fn named(entity: kong::Entity<'_>) -> Option<Named<'_>> {
    (!entity.id.is_empty()).then_some(Named { id: entity.id, name: entity.name })
}

fn u16_of(number: Int) -> u16 {
    number.value().and_then(|value| u16::try_from(value).ok()).unwrap_or(0)
}

fn u64_of(number: Int) -> u64 {
    number.value().and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}

fn latency_ms(number: Int) -> i32 {
    number.value().map_or(-1, |value| i32::try_from(value.max(-1)).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests;
