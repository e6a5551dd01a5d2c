//! Entities of the business: what an operator says that paths, query fields, headers and mapped fields name.
//!
//! Values are those of the sanitised call: in clear, or the text of a pseudonym. They are compared as they are, so spaces
//! around them are cut off and percent-encoding in a path is undone.

use std::borrow::Cow;

use outrider_model::{ApiCall, BusinessEntity, ENTITIES_MAX, ENTITY_VALUE_BYTES_MAX, EntityKind, FieldValue, Text};
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Deserialize;

use super::settings::SettingsError;

/// Every call is held against each of them.
const DECLARED_MAX: usize = 32;
/// A name is shown everywhere, so it is short.
const NAME_BYTES_MAX: usize = 64;
/// A pattern has no more segments.
const SEGMENTS_MAX: usize = 32;

/// One `[[entities]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntitySettings {
    /// What it is called: lower-case letters, digits and `_`.
    pub name: String,
    /// A path with the value as a parameter, such as `/merchants/{merchant_id}/**`; `*` stands for one segment, `**` at the
    /// end for any further ones.
    pub path: Option<String>,
    /// The name of a query field.
    pub query: Option<String>,
    /// The name of a request header, in either case.
    pub header: Option<String>,
    /// The name of a field that the collector's source maps.
    pub field: Option<String>,
    /// The service, by name or id, whose calls name it; otherwise every call may.
    pub service: Option<String>,
}

/// All that are declared, ready to be looked for.
pub(super) struct Entities(Vec<Declared>);

struct Declared {
    name: Text<'static>,
    service: Option<String>,
    source: Source,
}

enum Source {
    Path(Pattern),
    Query(String),
    Header(String),
    Field(String),
}

#[derive(Debug)]
struct Pattern {
    segments: Vec<Segment>,
    /// It ends with `**`.
    goes_on: bool,
}

#[derive(Debug)]
enum Segment {
    Literal(String),
    Any,
    Value,
}

impl Entities {
    /// Refuses what cannot be meant.
    pub(super) fn new(settings: &[EntitySettings]) -> Result<Entities, SettingsError> {
        if settings.len() > DECLARED_MAX {
            let problem = format!("there are {}; at most {DECLARED_MAX}", settings.len());
            return Err(SettingsError::new("entities", problem));
        }
        settings.iter().map(declared).collect::<Result<_, _>>().map(Entities)
    }

    /// Adds what the call names, without repetition. Returns how many values were left out at a limit.
    pub(super) fn find(&self, call: &ApiCall<'_>, found: &mut Vec<BusinessEntity<'_>>) -> u64 {
        let mut left_out = 0;
        for declared in &self.0 {
            if !declared.is_for(call) {
                continue;
            }
            declared.source.values(call, |value| left_out += u64::from(!add(found, &declared.name, &value)));
        }
        left_out
    }
}

/// Adds a value; `false` where a limit forbids it.
fn add(found: &mut Vec<BusinessEntity<'_>>, name: &Text<'static>, value: &str) -> bool {
    let value = value.trim();
    if value.is_empty() || found.iter().any(|entity| entity.name == *name && entity.value == value) {
        return true;
    }
    if found.len() >= ENTITIES_MAX || value.len() > ENTITY_VALUE_BYTES_MAX {
        return false;
    }
    found.push(BusinessEntity { name: name.clone(), value: Text::from(value.to_owned()) });
    true
}

fn declared(settings: &EntitySettings) -> Result<Declared, SettingsError> {
    let EntitySettings { name, path, query, header, field, service } = settings;
    let wrong = |problem: String| SettingsError::new(format!("entities: `{name}`"), problem);
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
        return Err(wrong(format!("the name has 1 to {NAME_BYTES_MAX} lower-case letters, digits and `_`")));
    }
    if name.parse::<EntityKind>().is_ok_and(EntityKind::has_timeline) {
        return Err(wrong("this name has a meaning of its own; call it `merchant_id`, say".to_owned()));
    }
    let source = match (path, query, header, field) {
        (Some(path), None, None, None) => Source::Path(Pattern::parse(path).map_err(wrong)?),
        (None, Some(query), None, None) if !query.is_empty() => Source::Query(query.clone()),
        (None, None, Some(header), None) if !header.is_empty() => Source::Header(header.to_ascii_lowercase()),
        (None, None, None, Some(field)) if !field.is_empty() => Source::Field(field.clone()),
        _ => return Err(wrong("write exactly one of `path`, `query`, `header` and `field`, and not empty".to_owned())),
    };
    Ok(Declared { name: Text::from(name.clone()), service: service.clone(), source })
}

impl Declared {
    fn is_for(&self, call: &ApiCall<'_>) -> bool {
        let Some(wanted) = &self.service else { return true };
        call.service.as_ref().is_some_and(|service| service.name == **wanted || service.id == **wanted)
    }
}

impl Source {
    fn values(&self, call: &ApiCall<'_>, mut each: impl FnMut(Cow<'_, str>)) {
        let (fields, wanted) = match self {
            Source::Path(pattern) => return pattern.value(&call.path).into_iter().for_each(each),
            Source::Query(name) => (&call.query, name),
            Source::Header(name) => (&call.headers, name),
            Source::Field(name) => (&call.fields, name),
        };
        for field in fields.iter().filter(|field| field.name == **wanted) {
            match &field.value {
                FieldValue::Clear(value) => each(Cow::Borrowed(value)),
                FieldValue::Pseudonym(pseudonym, _) => each(Cow::Owned(pseudonym.to_string())),
                FieldValue::Flag | FieldValue::Redacted => {}
            }
        }
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("the path `{text}` begins with `/`: write `/merchants/{{merchant_id}}/**`"));
        };
        let (rest, goes_on) = match rest.strip_suffix("**") {
            Some(rest) if rest.is_empty() || rest.ends_with('/') => (rest, true),
            _ => (rest, false),
        };
        let segments = segments(rest).map(segment).collect::<Result<Vec<_>, _>>()?;
        let values = segments.iter().filter(|segment| matches!(segment, Segment::Value)).count();
        if values != 1 {
            return Err(format!(
                "the path `{text}` has {values} parameters like `{{merchant_id}}`; it needs exactly one"
            ));
        }
        if segments.len() > SEGMENTS_MAX {
            return Err(format!("the path has {} segments; at most {SEGMENTS_MAX}", segments.len()));
        }
        Ok(Pattern { segments, goes_on })
    }

    /// The parameter's value, if the path is like this. Empty segments do not count.
    fn value<'p>(&self, path: &'p str) -> Option<Cow<'p, str>> {
        let mut found = None;
        let mut given = segments(path);
        for wanted in &self.segments {
            let given = given.next()?;
            match wanted {
                Segment::Any => {}
                Segment::Value => found = Some(given),
                Segment::Literal(literal) => {
                    if decoded(given) != *literal {
                        return None;
                    }
                }
            }
        }
        if !self.goes_on && given.next().is_some() {
            return None;
        }
        found.map(decoded)
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

fn segment(text: &str) -> Result<Segment, String> {
    let parameter = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    match text {
        "*" => Ok(Segment::Any),
        _ if parameter.is_some_and(|name| !name.is_empty() && !name.contains(['{', '}'])) => Ok(Segment::Value),
        _ if text.contains(['{', '}', '*']) => Err(format!(
            "the segment `{text}` is a word, `*` or one parameter like `{{merchant_id}}`, and `**` is the last"
        )),
        _ => Ok(Segment::Literal(decoded(text).into_owned())),
    }
}

/// Percent-encoding undone, where that gives text.
fn decoded(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8().unwrap_or(Cow::Borrowed(segment))
}

#[cfg(test)]
mod tests;
