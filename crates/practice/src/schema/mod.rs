//! What Kong accepts: fields with types, defaults and rules, and the words Kong uses when a rule is broken.
//!
//! This decides whether a document may be stored, and what it looks like with its defaults filled in. It does not know
//! whether a referenced entity exists or a name is taken: that is the store's.

pub(crate) mod entities;
pub(crate) mod form;
pub(crate) mod plugins;
pub(crate) mod text;

use serde_json::{Map, Value, json};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// The entities that the practice gateway keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Table {
    /// Upstream services.
    Services,
    /// Routes to services.
    Routes,
    /// Consumers.
    Consumers,
    /// Plugin configurations.
    Plugins,
    /// Keys of the key-auth plugin.
    Keys,
    /// Group memberships of the acl plugin.
    Groups,
}

/// A rule for a text, and what to say when it is broken.
pub(crate) type Rule = fn(&str) -> Result<(), String>;

/// What a value may be.
pub(crate) enum Kind {
    Text { min: usize, one_of: &'static [&'static str], check: Option<Rule> },
    Integer { between: Option<(i64, i64)>, one_of: &'static [i64] },
    Number { above_zero: bool },
    Boolean,
    Uuid,
    List { of: &'static Kind, set: bool },
    Map { of: &'static Kind, names: Option<Rule> },
    Record { fields: &'static [Field] },
    Foreign,
}

/// What a missing field becomes.
#[derive(Clone, Copy)]
pub(crate) enum Otherwise {
    Null,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(&'static str),
    Texts(&'static [&'static str]),
}

/// One field of an entity or a record.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    required: bool,
    otherwise: Otherwise,
    must_be_null: bool,
}

impl Field {
    pub(crate) const fn new(name: &'static str, kind: Kind) -> Field {
        Field { name, kind, required: false, otherwise: Otherwise::Null, must_be_null: false }
    }

    pub(crate) const fn text(name: &'static str) -> Field {
        Field::new(name, TEXT)
    }

    pub(crate) const fn boolean(name: &'static str, otherwise: bool) -> Field {
        Field::new(name, Kind::Boolean).required().or(Otherwise::Boolean(otherwise))
    }

    pub(crate) const fn required(mut self) -> Field {
        self.required = true;
        self
    }

    pub(crate) const fn or(mut self, otherwise: Otherwise) -> Field {
        self.otherwise = otherwise;
        self
    }

    pub(crate) const fn must_be_null(mut self) -> Field {
        self.must_be_null = true;
        self
    }
}

/// Text of at least one character.
pub(crate) const TEXT: Kind = Kind::Text { min: 1, one_of: &[], check: None };

/// Text that a rule accepts.
pub(crate) const fn checked(check: Rule) -> Kind {
    Kind::Text { min: 1, one_of: &[], check: Some(check) }
}

/// One of a few words.
pub(crate) const fn one_of(words: &'static [&'static str]) -> Kind {
    Kind::Text { min: 1, one_of: words, check: None }
}

/// A whole number in a range.
pub(crate) const fn between(low: i64, high: i64) -> Kind {
    Kind::Integer { between: Some((low, high)), one_of: &[] }
}

/// Fills in what is missing: defaults, and an explicit null for every field without one.
pub(crate) fn fill(fields: &[Field], object: &mut Object) {
    for field in fields {
        let slot = object.entry(field.name).or_insert(Value::Null);
        if let Kind::Record { fields } = &field.kind {
            if slot.is_null() {
                *slot = json!({});
            }
            if let Value::Object(inner) = slot {
                fill(fields, inner);
            }
        } else if slot.is_null() {
            *slot = match field.otherwise {
                Otherwise::Null => Value::Null,
                Otherwise::Boolean(value) => value.into(),
                Otherwise::Integer(value) => value.into(),
                Otherwise::Number(value) => value.into(),
                Otherwise::Text(value) => value.into(),
                Otherwise::Texts(values) => values.to_vec().into(),
            };
        }
    }
}

/// What is wrong with an object, as Kong's `fields`: empty when it is fine.
pub(crate) fn problems(fields: &[Field], object: &Object) -> Object {
    let mut found = Object::new();
    for name in object.keys() {
        if !fields.iter().any(|field| field.name == name) {
            found.insert(name.clone(), "unknown field".into());
        }
    }
    for field in fields {
        let problem = match object.get(field.name) {
            None | Some(Value::Null) if field.required => Some("required field missing".into()),
            None | Some(Value::Null) => None,
            Some(_) if field.must_be_null => Some("value must be null".into()),
            Some(value) => problem(&field.kind, value),
        };
        if let Some(problem) = problem {
            found.insert(field.name.to_owned(), problem);
        }
    }
    found
}

fn problem(kind: &Kind, value: &Value) -> Option<Value> {
    match kind {
        Kind::Text { min, one_of, check } => text_problem(*min, one_of, *check, value).map(Value::from),
        Kind::Integer { between, one_of } => integer_problem(*between, one_of, value).map(Value::from),
        Kind::Number { above_zero } => match value.as_f64() {
            None => Some("expected a number".into()),
            Some(number) if *above_zero && number <= 0.0 => Some("value must be greater than 0".into()),
            Some(_) => None,
        },
        Kind::Boolean => (!value.is_boolean()).then(|| "expected a boolean".into()),
        Kind::Uuid => (!value.as_str().is_some_and(text::is_uuid)).then(|| "expected a valid UUID".into()),
        Kind::List { of, set } => list_problem(of, *set, value),
        Kind::Map { of, names } => map_problem(of, *names, value),
        Kind::Record { fields } => match value {
            Value::Object(object) => {
                let found = problems(fields, object);
                (!found.is_empty()).then_some(Value::Object(found))
            }
            _ => Some("expected a record".into()),
        },
        Kind::Foreign => foreign_problem(value),
    }
}

fn text_problem(min: usize, one_of: &[&str], check: Option<Rule>, value: &Value) -> Option<String> {
    let Some(text) = value.as_str() else {
        return Some("expected a string".to_owned());
    };
    if text.len() < min {
        return Some(format!("length must be at least {min}"));
    }
    if !one_of.is_empty() && !one_of.contains(&text) {
        return Some(format!("expected one of: {}", one_of.join(", ")));
    }
    check.and_then(|check| check(text).err())
}

fn integer_problem(between: Option<(i64, i64)>, one_of: &[i64], value: &Value) -> Option<String> {
    let Some(number) = value.as_i64() else {
        return Some("expected an integer".to_owned());
    };
    if let Some((low, high)) = between
        && !(low..=high).contains(&number)
    {
        return Some(format!("value should be between {low} and {high}"));
    }
    if !one_of.is_empty() && !one_of.contains(&number) {
        let words: Vec<String> = one_of.iter().map(i64::to_string).collect();
        return Some(format!("expected one of: {}", words.join(", ")));
    }
    None
}

/// One entry per element, null where the element is fine, cut after the last bad one.
fn list_problem(of: &Kind, set: bool, value: &Value) -> Option<Value> {
    let Some(elements) = value.as_array() else {
        return Some(if set { "expected a set".into() } else { "expected an array".into() });
    };
    let mut found: Vec<Value> = elements.iter().map(|element| problem(of, element).unwrap_or(Value::Null)).collect();
    while found.last().is_some_and(Value::is_null) {
        found.pop();
    }
    (!found.is_empty()).then_some(Value::Array(found))
}

/// Kong reports one text for the whole map, also when it is only one value that is wrong.
fn map_problem(of: &Kind, names: Option<Rule>, value: &Value) -> Option<Value> {
    let Some(entries) = value.as_object() else {
        return Some("expected a map".into());
    };
    if entries.values().any(Value::is_null) {
        return Some("required field missing".into());
    }
    let of_names = || names.and_then(|rule| entries.keys().find_map(|name| rule(name).err()));
    entries.values().find_map(|entry| problem(of, entry)).or_else(|| of_names().map(Value::from))
}

/// By now the store has replaced a reference by name with one by id.
fn foreign_problem(value: &Value) -> Option<Value> {
    match value {
        Value::Object(key) => match key.get("id") {
            Some(Value::String(id)) if text::is_uuid(id) && key.len() == 1 => None,
            Some(Value::String(id)) if text::is_uuid(id) => {
                let other = key.keys().find(|name| *name != "id").cloned().unwrap_or_default();
                Some(json!({ other: "unknown field" }))
            }
            Some(_) => Some(json!({ "id": "expected a valid UUID" })),
            None => Some("missing primary key".into()),
        },
        _ => Some("expected a record".into()),
    }
}

/// Lays one document over another as PATCH does: records merge, everything else replaces.
pub(crate) fn merge(fields: &[Field], under: &mut Object, over: Object) {
    for (name, value) in over {
        let record = fields.iter().find_map(|field| match &field.kind {
            Kind::Record { fields } if field.name == name => Some(fields),
            _ => None,
        });
        match (record, under.get_mut(&name), value) {
            (Some(fields), Some(Value::Object(under)), Value::Object(over)) => merge(fields, under, over),
            (_, _, value) => {
                under.insert(name, value);
            }
        }
    }
}

/// The names that are not set, quoted as Kong quotes them; `None` as soon as one is.
pub(crate) fn at_least_one(object: &Object, names: &[&str]) -> Option<String> {
    (set_count(object, names) == 0).then(|| quoted(names))
}

/// The names, quoted, unless exactly one of them is set.
pub(crate) fn only_one(object: &Object, names: &[&str]) -> Option<String> {
    (set_count(object, names) != 1).then(|| quoted(names))
}

fn set_count(object: &Object, names: &[&str]) -> usize {
    names.iter().filter(|name| is_set(find(object, name))).count()
}

fn find<'a>(object: &'a Object, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let mut value = object.get(parts.next()?)?;
    for part in parts {
        value = value.get(part)?;
    }
    Some(value)
}

fn is_set(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Array(elements)) => !elements.is_empty(),
        Some(Value::Object(entries)) => !entries.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}
