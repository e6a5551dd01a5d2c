//! What a person, a table or a document is told of an endpoint.

use outrider_model::{EndpointId, Sign};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::AuthKind;
use super::kind::ValueKind;
use super::parameter::{Parameter, Values};
use super::profile::Profile;
use super::settings::Settings;
use super::shown::{Mark, So};
use crate::shape::is_version;
use crate::template::segments;

/// Of a hundred values so many may be of another kind than the type that is told. A caller's mistake is no type.
const STRAYS_PERCENT: u64 = 1;

/// Names of parameters that say which version of an API is meant, without `x-`, `-` and `_`.
const VERSION_NAMES: &[&str] = &["acceptversion", "apiversion", "version"];

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
    /// `credential_in_query` and `sensitive_unauthenticated_ok`.
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

/// What is told of a profile.
pub(super) fn report(profile: &Profile, settings: &Settings) -> EndpointInventory {
    let mut parameters: Vec<ParameterInventory> = profile
        .parameters
        .iter()
        .filter(|parameter| parameter.calls >= settings.parameter_calls_min)
        .map(|parameter| report_parameter(parameter, settings))
        .collect();
    parameters.sort_unstable_by(|one, other| (one.location, &one.name).cmp(&(other.location, &other.name)));
    let mut statuses: Vec<StatusCount> =
        profile.statuses.iter().map(|seen| StatusCount { status: seen.what, calls: seen.calls }).collect();
    statuses.sort_unstable_by_key(|seen| seen.status);
    let auth =
        profile.auth.iter().map(|seen| AuthCount { kind: seen.kind, calls: seen.calls, calls_ok: seen.calls_ok });
    let was_known = profile.known > 0;
    EndpointInventory {
        endpoint: profile.endpoint,
        calls: profile.calls,
        known: profile.known,
        read: profile.read,
        read_ok: profile.read_ok,
        first_seen_ms: was_known.then_some(profile.first_ms),
        last_seen_ms: was_known.then_some(profile.last_ms),
        statuses,
        auth: auth.collect(),
        key_carrier: profile
            .carrier
            .as_ref()
            .map(|(location, name)| Carrier { location: *location, name: name.to_string() }),
        consumers: profile.consumers.count(),
        request_bytes: profile.request_bytes.quantiles(),
        response_bytes: profile.response_bytes.quantiles(),
        latency_ms: profile.latency_ms.quantiles(),
        media_types: most_frequent_first(profile.media_types.iter().map(|seen| (&*seen.what, seen.calls)))
            .into_iter()
            .map(|NamedCount { name, calls }| MediaTypeCount { name, measured: calls })
            .collect(),
        routes: most_frequent_first(profile.routes.iter().map(|seen| (&*seen.what, seen.calls))),
        versions: versions(&profile.template, &parameters),
        parameters,
        signs: signs(profile),
        jwt_lifetime_s: profile.shown.jwt_lifetime_s,
        data_classes: data_classes(profile, settings),
        class_senders: class_senders(profile),
    }
}

fn signs(profile: &Profile) -> Vec<SignCount> {
    let count = |(sign, seen): (&'static str, &super::shown::Seen)| {
        let So { calls, known } = seen.since(profile.so());
        SignCount {
            sign: sign.to_owned(),
            calls: seen.calls,
            first_seen_ms: seen.first_ms,
            last_seen_ms: seen.last_ms,
            calls_since: calls,
            known_since: known,
        }
    };
    profile.shown.named().map(count).collect()
}

fn data_classes(profile: &Profile, settings: &Settings) -> Vec<DataClassCount> {
    let mut all: Vec<DataClassCount> = Vec::new();
    let told = profile.parameters.iter().filter(|parameter| parameter.calls >= settings.parameter_calls_min);
    for parameter in told {
        let of = parameter.values();
        all.extend(parameter.classes.iter().map(|count| DataClassCount {
            location: parameter.location,
            name: parameter.name.to_string(),
            class: count.class.to_string(),
            values: count.seen.calls,
            of,
            replaced: count.replaced.into(),
            distinct: count.distinct.count_ones(),
            confidence_percent: count.percent(),
            is_decided: count.is_decided(of, settings),
            first_seen_ms: count.seen.first_ms,
            last_seen_ms: count.seen.last_ms,
            calls_since: count.seen.since(profile.so()).calls,
        }));
    }
    all.sort_unstable_by(|one, other| {
        (one.location, &one.name, &one.class).cmp(&(other.location, &other.name, &other.class))
    });
    all
}

fn class_senders(profile: &Profile) -> Vec<ClassSenderCount> {
    let mut all: Vec<ClassSenderCount> = profile
        .senders
        .iter()
        .map(|sender| ClassSenderCount {
            class: sender.class.to_string(),
            consumer: sender.consumer.to_string(),
            values: sender.values,
        })
        .collect();
    all.sort_unstable_by(|one, other| {
        one.class.cmp(&other.class).then(other.values.cmp(&one.values)).then_with(|| one.consumer.cmp(&other.consumer))
    });
    all
}

fn most_frequent_first<'a>(seen: impl Iterator<Item = (&'a str, u64)>) -> Vec<NamedCount> {
    let mut counts: Vec<NamedCount> = seen.map(|(name, calls)| NamedCount { name: name.to_owned(), calls }).collect();
    counts.sort_unstable_by(|one, other| other.calls.cmp(&one.calls).then_with(|| one.name.cmp(&other.name)));
    counts
}

fn report_parameter(parameter: &Parameter, settings: &Settings) -> ParameterInventory {
    let of = |kind: ValueKind| u64::from(parameter.kinds[kind as usize]);
    let (value_type, format) = value_type(&parameter.name, of);
    let (mut values, mut values_are_all) = (Vec::new(), false);
    if let Values::Few(seen) = &parameter.values
        && parameter.calls >= settings.value_calls_min
    {
        let shown = seen.iter().filter(|value| value.actors.count_ones() >= settings.value_actors_min);
        values = shown.map(|value| value.text.to_string()).collect();
        let all_are_texts = ValueKind::ALL.into_iter().all(|kind| kind == ValueKind::Text || of(kind) == 0);
        values_are_all = !values.is_empty() && values.len() == seen.len() && all_are_texts;
    }
    ParameterInventory {
        location: parameter.location,
        name: parameter.name.to_string(),
        calls: parameter.calls.into(),
        calls_ok: parameter.calls_ok.into(),
        repeated: parameter.repeated.into(),
        value_type,
        format,
        kinds: ValueKind::ALL
            .into_iter()
            .filter(|&kind| of(kind) > 0)
            .map(|kind| KindCount { kind, values: of(kind) })
            .collect(),
        range: parameter.range.map(|(least, most)| ValueRange { least, most }),
        values,
        values_are_all,
        first_seen_ms: parameter.first_ms,
        last_seen_ms: parameter.last_ms,
    }
}

/// The type and format of all but stray values. Empty values have every type, and say nothing.
fn value_type(name: &str, of: impl Fn(ValueKind) -> u64) -> (ValueType, Option<Format>) {
    let flags = of(ValueKind::Flag);
    let all: u64 = ValueKind::ALL.into_iter().map(&of).sum::<u64>() - flags - of(ValueKind::Empty);
    let most_are = |values: u64| values > 0 && is_stray(all - values, all);
    if all == 0 {
        return (if flags > 0 { ValueType::Boolean } else { ValueType::String }, None);
    }
    if most_are(of(ValueKind::Integer)) {
        return (ValueType::Integer, None);
    }
    if most_are(of(ValueKind::Integer) + of(ValueKind::Number)) {
        return (ValueType::Number, None);
    }
    if most_are(of(ValueKind::Boolean)) {
        return (ValueType::Boolean, None);
    }
    let formats = [
        (ValueKind::Uuid, Format::Uuid),
        (ValueKind::Date, Format::Date),
        (ValueKind::DateTime, Format::DateTime),
        (ValueKind::Email, Format::Email),
        (ValueKind::Address, Format::Ip),
        (ValueKind::Url, Format::Uri),
        (ValueKind::Hash, Format::Hash),
        (ValueKind::Token, Format::Token),
        (ValueKind::Hidden, Format::Pseudonym),
    ];
    let format = formats.into_iter().find(|&(kind, _)| most_are(of(kind))).map(|(_, format)| format);
    let is_mail = format == Some(Format::Pseudonym) && name.to_ascii_lowercase().contains("mail");
    (ValueType::String, if is_mail { Some(Format::Email) } else { format })
}

/// Whether so few of all values are others that they do not count.
pub(crate) fn is_stray(others: u64, all: u64) -> bool {
    others.saturating_mul(100) <= all.saturating_mul(STRAYS_PERCENT)
}

fn versions(template: &str, parameters: &[ParameterInventory]) -> Vec<String> {
    let of_path = segments(template)
        .into_iter()
        .enumerate()
        .filter_map(|(at, segment)| segment.literal().map(|text| (at, text.to_owned())))
        .find(|(at, text)| is_version(text) || is_dated(text) || *at < 2 && is_small_number(text));
    if let Some((_, version)) = of_path {
        return vec![version];
    }
    let says_version = |name: &str| {
        let plain = name.to_ascii_lowercase().replace(['-', '_'], "");
        VERSION_NAMES.contains(&plain.strip_prefix('x').unwrap_or(&plain))
    };
    let of_parameter = parameters.iter().filter(|parameter| says_version(&parameter.name));
    of_parameter.flat_map(|parameter| parameter.values.clone()).collect()
}

fn is_small_number(text: &str) -> bool {
    text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `2024-05-01`, `2024-05`: a version by date.
fn is_dated(text: &str) -> bool {
    let mut parts = text.split('-');
    let is = |part: Option<&str>, length: usize| {
        part.is_some_and(|part| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let begins = is(parts.next(), 4) && is(parts.next(), 2);
    begins && parts.next().is_none_or(|day| is(Some(day), 2)) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(name: &str, counts: &[(ValueKind, u64)]) -> (ValueType, Option<Format>) {
        value_type(name, |kind| counts.iter().find(|(known, _)| *known == kind).map_or(0, |(_, values)| *values))
    }

    #[test]
    fn types_and_formats_follow_all_but_stray_values() {
        use ValueKind::*;
        for (name, counts, expected) in [
            ("limit", &[(Integer, 99), (Text, 1)][..], (ValueType::Integer, None)),
            ("limit", &[(Integer, 98), (Text, 2)], (ValueType::String, None)),
            ("price", &[(Integer, 5), (Number, 1)], (ValueType::Number, None)),
            ("all", &[(Boolean, 3), (Empty, 9)], (ValueType::Boolean, None)),
            ("all", &[(Flag, 3)], (ValueType::Boolean, None)),
            ("id", &[(Uuid, 3)], (ValueType::String, Some(Format::Uuid))),
            ("userMail", &[(Hidden, 3)], (ValueType::String, Some(Format::Email))),
            ("card", &[(Hidden, 3)], (ValueType::String, Some(Format::Pseudonym))),
            ("q", &[], (ValueType::String, None)),
        ] {
            assert_eq!(typed(name, counts), expected, "{name} {counts:?}");
        }
    }

    #[test]
    fn versions_are_read_from_paths() {
        for (template, expected) in [
            ("/api/v3/projects", Some("v3")),
            ("/2024-05-01/orders", Some("2024-05-01")),
            ("/1/boards/{board_id}", Some("1")),
            ("/boards/a/1", None),
            ("/orders/{order_id}", None),
        ] {
            assert_eq!(versions(template, &[]).first().map(String::as_str), expected, "{template}");
        }
    }
}
