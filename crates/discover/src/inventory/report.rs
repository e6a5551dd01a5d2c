//! What a person, a table or a document is told of an endpoint.

use super::figures::{
    AuthCount, Carrier, ClassSenderCount, DataClassCount, EndpointInventory, Format, KindCount, MediaTypeCount,
    NamedCount, ParameterInventory, SignCount, StatusCount, ValueRange, ValueType,
};
use super::kind::ValueKind;
use super::parameter::{Parameter, Values};
use super::profile::Profile;
use super::settings::Settings;
use super::shown::So;
use crate::shape::is_version;
use crate::template::segments;

/// Of a hundred values so many may be of another kind than the type that is told. A caller's mistake is no type.
const STRAYS_PERCENT: u64 = 1;

/// Names of parameters that say which version of an API is meant, without `x-`, `-` and `_`.
const VERSION_NAMES: &[&str] = &["acceptversion", "apiversion", "version"];

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
