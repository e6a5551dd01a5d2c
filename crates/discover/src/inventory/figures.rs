//! The shapes of what is told of an endpoint.

use outrider_model::{EndpointId, Sign};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::AuthKind;
use super::kind::ValueKind;
use super::shown::Mark;

/// Where a parameter is. Their order is the snapshot's format: a new one goes to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// In the path, under the template.
    Path,
    /// In the query.
    Query,
    /// A request header.
    Header,
    /// What the source's field mapping made of the line.
    Field,
}

impl Location {
    /// The name in files and JSON; for those of OpenAPI the same as there.
    pub fn as_str(self) -> &'static str {
        match self {
            Location::Path => "path",
            Location::Query => "query",
            Location::Header => "header",
            Location::Field => "field",
        }
    }
}

/// The type of a parameter's values, in JSON Schema's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// `true` and `false`, or a flag without a value.
    Boolean,
    /// Texts.
    String,
}

impl ValueType {
    /// The name in JSON Schema.
    pub fn as_str(self) -> &'static str {
        match self {
            ValueType::Integer => "integer",
            ValueType::Number => "number",
            ValueType::Boolean => "boolean",
            ValueType::String => "string",
        }
    }
}

/// What texts are, where all are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// UUIDs.
    Uuid,
    /// Dates.
    Date,
    /// Dates with times.
    DateTime,
    /// Mail addresses: such as were kept in clear, or pseudonyms of a parameter that is named for them.
    Email,
    /// Network addresses.
    Ip,
    /// Absolute URLs.
    Uri,
    /// Hashes, in hexadecimal digits.
    Hash,
    /// Texts drawn at random.
    Token,
    /// Credentials or personal values, which came as pseudonyms.
    Pseudonym,
}

impl Format {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Uuid => "uuid",
            Format::Date => "date",
            Format::DateTime => "date-time",
            Format::Email => "email",
            Format::Ip => "ip",
            Format::Uri => "uri",
            Format::Hash => "hash",
            Format::Token => "token",
            Format::Pseudonym => "pseudonym",
        }
    }
}

/// How often a status was the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusCount {
    /// The status; 0 where the gateway did not say.
    pub status: u16,
    /// Calls.
    pub calls: u64,
}

/// How often a name, such as the id of a route, was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedCount {
    /// The name.
    pub name: String,
    /// Calls.
    pub calls: u64,
}

/// How often a response had a media type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MediaTypeCount {
    /// The media type.
    pub name: String,
    /// Of the calls that were measured, which are few of many, the ones that had it.
    #[serde(alias = "calls")]
    pub measured: u64,
}

/// How often callers authenticated in a way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuthCount {
    /// The way.
    pub kind: AuthKind,
    /// Calls.
    pub calls: u64,
    /// Of those the ones that were answered 2xx.
    pub calls_ok: u64,
}

/// The field that carried a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Carrier {
    /// Where it is.
    pub location: Location,
    /// Its name.
    pub name: String,
}

/// Quantiles of whole numbers: at most 3.2 % off, the largest exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// The median.
    pub p50: u64,
    /// The 95th percentile.
    pub p95: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

/// Values of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindCount {
    /// The kind.
    pub kind: ValueKind,
    /// Values.
    pub values: u64,
}

/// The smallest and the largest number, from 10,000 on rounded outward to two digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ValueRange {
    /// At least.
    pub least: i64,
    /// At most.
    pub most: i64,
}

/// A parameter of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParameterInventory {
    /// Where it is.
    pub location: Location,
    /// Its name.
    pub name: String,
    /// Calls that had it, of the [`EndpointInventory::read`] whose parameters were read. Each call has a parameter of the path; those
    /// are counted since the template is as it is.
    pub calls: u64,
    /// Of those the ones that were answered 2xx, of [`EndpointInventory::read_ok`].
    pub calls_ok: u64,
    /// Calls that had it more than once.
    pub repeated: u64,
    /// The type of all but stray values.
    pub value_type: ValueType,
    /// What its texts are.
    pub format: Option<Format>,
    /// Values by kind, without kinds that were not seen.
    pub kinds: Vec<KindCount>,
    /// The range of its numbers.
    pub range: Option<ValueRange>,
    /// Its values, where there are few, all harmless to show, and each was sent by several callers.
    pub values: Vec<String>,
    /// Whether `values` is all that was ever seen.
    pub values_are_all: bool,
    /// Event time of the first call that had it.
    pub first_seen_ms: i64,
    /// Event time of the latest.
    pub last_seen_ms: i64,
}

impl ParameterInventory {
    /// Values of a kind.
    pub fn values_of(&self, kind: ValueKind) -> u64 {
        self.kinds.iter().find(|count| count.kind == kind).map_or(0, |count| count.values)
    }
}

/// How often calls showed something of how exposed an endpoint is, and how long ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignCount {
    /// What: a sign by its name, such as `plain_http`, or `answered_ok`, `unauthenticated_ok`, `authenticated_ok`,
    /// `credential_in_query`, `sensitive_unauthenticated_ok`, `long_answer`, `large_answer`, `unsigned_token_ok` and
    /// `long_lived_token`.
    pub sign: String,
    /// Known calls that showed it.
    pub calls: u64,
    /// Event time of the first.
    pub first_seen_ms: i64,
    /// Event time of the latest.
    pub last_seen_ms: i64,
    /// Calls since the latest, refused ones included. Where two endpoints became one it may be more.
    pub calls_since: u64,
    /// Known calls since.
    pub known_since: u64,
}

/// A class of data that a parameter carries, or may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataClassCount {
    /// Where the parameter is.
    pub location: Location,
    /// Its name.
    pub name: String,
    /// The class, by its name in `outrider classify`: `email`.
    pub class: String,
    /// Values of the class, of calls whose parameters were read.
    pub values: u64,
    /// Of so many.
    pub of: u64,
    /// Of the values of the class those that the collector replaced.
    pub replaced: u64,
    /// At least so many different ones, of at most 64 that are told apart.
    pub distinct: u32,
    /// How sure each was, in percent, in the mean.
    pub confidence_percent: u64,
    /// Whether these are enough values, and enough different ones, to say that the parameter carries the class.
    pub is_decided: bool,
    /// Event time of the first value.
    pub first_seen_ms: i64,
    /// Event time of the latest.
    pub last_seen_ms: i64,
    /// Calls of the endpoint since the latest, refused ones included.
    pub calls_since: u64,
}

/// How many calls of a consumer carried a class of data that is somebody's, of those whose parameters were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassSenderCount {
    /// The class.
    pub class: String,
    /// Kong's consumer id.
    pub consumer: String,
    /// Values. Where more consumers sent the class than are kept, it may count those of one that made room.
    pub values: u64,
}

/// What is known of an endpoint besides its template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointInventory {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Calls that count as evidence, refused ones included.
    pub calls: u64,
    /// Of those the ones whose answer shows that the API knows the path. What follows but statuses and routes is of them.
    pub known: u64,
    /// Of those the ones whose parameters were read.
    pub read: u64,
    /// Of those the ones that were answered 2xx.
    pub read_ok: u64,
    /// Event time of the first known call; null before there was one.
    pub first_seen_ms: Option<i64>,
    /// Event time of the latest known call.
    pub last_seen_ms: Option<i64>,
    /// How it answers, by status.
    pub statuses: Vec<StatusCount>,
    /// How callers authenticate. More than one stands out, above all with [`AuthKind::None`] among them.
    pub auth: Vec<AuthCount>,
    /// The field that carries the key.
    pub key_carrier: Option<Carrier>,
    /// About how many consumers called it: exact up to some sixty, then with a standard error of 4.6 %.
    pub consumers: u64,
    /// Sizes of requests, head and body, of calls that were measured; so are the next two.
    pub request_bytes: Option<Quantiles>,
    /// Sizes of responses, head and body.
    pub response_bytes: Option<Quantiles>,
    /// Times from the first byte of a request to the last of its response.
    pub latency_ms: Option<Quantiles>,
    /// Media types of responses, the most frequent first.
    pub media_types: Vec<MediaTypeCount>,
    /// Ids of the gateway's routes that calls came by, the most frequent first.
    pub routes: Vec<NamedCount>,
    /// Its parameters by location and name.
    pub parameters: Vec<ParameterInventory>,
    /// Versions of the API that it speaks of: of the path, or of a parameter that says the version.
    pub versions: Vec<String>,
    /// What known calls showed of how exposed it is.
    #[serde(default)]
    pub signs: Vec<SignCount>,
    /// The longest lifetime of a JSON Web Token that was presented, in seconds.
    #[serde(default)]
    pub jwt_lifetime_s: Option<u32>,
    /// Classes of data by location, parameter and class.
    #[serde(default)]
    pub data_classes: Vec<DataClassCount>,
    /// The consumers that sent most of each class that is somebody's: personal, payment, health and location data.
    #[serde(default)]
    pub class_senders: Vec<ClassSenderCount>,
}

impl EndpointInventory {
    /// How often a sign was seen; `None` for never.
    pub fn sign(&self, sign: Sign) -> Option<&SignCount> {
        self.signs.iter().find(|count| count.sign == sign.as_str())
    }

    /// The same of a mark.
    pub fn mark(&self, mark: Mark) -> Option<&SignCount> {
        self.signs.iter().find(|count| count.sign == mark.as_str())
    }

    /// Known calls that showed nothing that could prove who calls, and of those the ones that were answered 2xx.
    pub fn unauthenticated(&self) -> (u64, u64) {
        let none = self.auth.iter().find(|seen| seen.kind == AuthKind::None);
        none.map_or((0, 0), |seen| (seen.calls, seen.calls_ok))
    }
}
