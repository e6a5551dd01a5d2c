//! The parameters of an operation: where, of which type, written how.

use std::borrow::Cow;

use serde_json::Value;

use super::document::{DocumentedParameter, ParameterShape, Place};
use super::import::Import;
use super::reader::{At, cut};
use crate::inventory::ValueType;

/// Headers that OpenAPI says are no parameters, whatever a document says.
const NO_PARAMETERS: [&str; 3] = ["accept", "authorization", "content-type"];

/// How far a schema is followed into `allOf`, `anyOf` and `oneOf`.
const SCHEMA_DEPTH_MAX: usize = 4;

/// The parameters of an operation and its path; those of the operation count where both have one.
pub(super) fn parameters<'d>(import: &mut Import<'d>, path: &At<'d>, operation: &At<'d>) -> Vec<DocumentedParameter> {
    let mut found: Vec<DocumentedParameter> = Vec::new();
    let lists = [operation.key("parameters"), path.key("parameters")];
    for (at, parameter) in lists.iter().flatten().flat_map(At::items).enumerate() {
        if at >= import.limits.parts_max {
            let most = import.limits.parts_max;
            import.warn(&parameter.pointer, format!("{most} parameters are read at most; the rest was left out"));
            break;
        }
        if !import.may_read(&parameter, 0) {
            break;
        }
        if let Some(parameter) = parameter_at(import, parameter)
            && !found.iter().any(|known| (known.place, &known.name) == (parameter.place, &parameter.name))
        {
            if !import.may_keep(&parameter.pointer, heap_bytes(&parameter)) {
                break;
            }
            found.push(parameter);
        }
    }
    found
}

/// What a parameter takes, itself included.
fn heap_bytes(parameter: &DocumentedParameter) -> usize {
    let allowed = parameter.allowed.iter().flatten().map(|text| size_of::<String>() + text.len());
    let texts = parameter.name.len() + parameter.pointer.len() + parameter.format.len();
    size_of::<DocumentedParameter>() + texts + allowed.sum::<usize>()
}

fn parameter_at<'d>(import: &mut Import<'d>, at: At<'d>) -> Option<DocumentedParameter> {
    let at = import.resolve(at)?;
    let name = at.text("name");
    let place = match at.text("in") {
        "path" => Place::Path,
        "query" => Place::Query,
        "header" => Place::Header,
        "cookie" => Place::Cookie,
        other => {
            let what = format!("`in` must be path, query, header or cookie, and is `{}`; it was left out", cut(other));
            import.warn(&at.pointer, what);
            return None;
        }
    };
    if name.is_empty() {
        import.warn(&at.pointer, "a parameter must have a `name`; it was left out");
        return None;
    }
    let name = if place == Place::Header { name.to_ascii_lowercase() } else { name.to_owned() };
    if place == Place::Header && NO_PARAMETERS.contains(&name.as_str()) {
        return None;
    }
    let schema = at.key("schema").or_else(|| {
        let content = at.key("content")?;
        content.entries().next().and_then(|(_, media_type)| media_type.key("schema"))
    });
    let mut described = Described::default();
    if let Some(schema) = schema {
        described.read(import, schema, SCHEMA_DEPTH_MAX);
    }
    let shape = shape(&at, place, &described);
    // A text of several values, or of an object, is of no single type.
    let is_one_value = matches!(shape, ParameterShape::One | ParameterShape::Repeated) && at.key("content").is_none();
    let allowed = described.allowed.filter(|_| !described.is_unlisted);
    Some(DocumentedParameter {
        place,
        name,
        required: place == Place::Path || at.is_true("required"),
        deprecated: at.is_true("deprecated"),
        shape,
        types: if is_one_value && !described.is_any { described.types } else { Vec::new() },
        format: if is_one_value { described.format.to_owned() } else { String::new() },
        allowed: allowed.filter(|_| is_one_value).map(|values| values.into_iter().map(Cow::into_owned).collect()),
        pointer: at.pointer,
    })
}

/// How values are written, by OpenAPI's rules for `style` and `explode`.
fn shape(at: &At<'_>, place: Place, described: &Described<'_>) -> ParameterShape {
    let default_style = if matches!(place, Place::Query | Place::Cookie) { "form" } else { "simple" };
    let style = Some(at.text("style")).filter(|style| !style.is_empty()).unwrap_or(default_style);
    let explodes = at.value.get("explode").and_then(Value::as_bool).unwrap_or(style == "form");
    match (described.is_list, described.is_object) {
        (_, true) if style == "deepObject" => ParameterShape::Deep,
        (_, true) if style == "form" && explodes => ParameterShape::Open,
        (_, true) => ParameterShape::Joined,
        (true, _) if style == "form" && explodes => ParameterShape::Repeated,
        (true, _) => ParameterShape::Joined,
        (false, false) => ParameterShape::One,
    }
}

/// What a schema says of a value.
#[derive(Debug, Default)]
struct Described<'d> {
    types: Vec<ValueType>,
    /// Any value will do, or one that is not understood.
    is_any: bool,
    is_list: bool,
    is_object: bool,
    format: &'d str,
    allowed: Option<Vec<Cow<'d, str>>>,
    /// There are more allowed values than are compared.
    is_unlisted: bool,
}

impl<'d> Described<'d> {
    fn read(&mut self, import: &mut Import<'d>, schema: At<'d>, depth_left: usize) {
        let schema = if import.may_read(&schema, 0) { import.resolve(schema) } else { None };
        let Some(schema) = schema else {
            self.is_any = true;
            self.is_unlisted = true;
            return;
        };
        let types: Vec<&str> = match schema.value.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => {
                several.iter().filter_map(Value::as_str).take(import.limits.parts_max).collect()
            }
            _ => Vec::new(),
        };
        let format = schema.text("format");
        for name in &types {
            match *name {
                "integer" => self.add(ValueType::Integer),
                "number" => self.add(ValueType::Number),
                "boolean" => self.add(ValueType::Boolean),
                "string" => self.add(ValueType::String),
                "object" => self.is_object = true,
                "null" => {}
                "array" => {
                    self.is_list = true;
                    match schema.key("items") {
                        Some(items) if depth_left > 0 => self.read(import, items, depth_left - 1),
                        _ => self.is_any = true,
                    }
                }
                _ => self.is_any = true,
            }
        }
        if !format.is_empty() {
            self.format = format;
        }
        self.read_allowed(import, &schema);
        let mut is_described = !types.is_empty();
        for parts in ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|key| schema.key(key)) {
            is_described = true;
            if depth_left == 0 {
                (self.is_any, self.is_unlisted) = (true, true);
                continue;
            }
            for part in parts.items().take(import.limits.parts_max) {
                self.read(import, part, depth_left - 1);
            }
        }
        self.is_object |= schema.value.get("properties").is_some() && types.is_empty();
        self.is_any |= !is_described && self.allowed.is_none() && !self.is_object;
    }

    fn add(&mut self, value_type: ValueType) {
        if !self.types.contains(&value_type) {
            self.types.push(value_type);
        }
    }

    /// Reads the values that are listed. A nested one is no text that a parameter has.
    fn read_allowed(&mut self, import: &mut Import<'d>, schema: &At<'d>) {
        let Some(list) = schema.key("enum").or_else(|| schema.key("const")) else { return };
        let values = list.value.as_array().map_or(std::slice::from_ref(list.value), Vec::as_slice);
        for value in values {
            let text = match value {
                Value::String(text) => Cow::Borrowed(text.as_str()),
                Value::Array(_) | Value::Object(_) => continue,
                other => Cow::Owned(other.to_string()),
            };
            if !import.may_read(&list, text.len()) {
                self.is_unlisted = true;
                return;
            }
            let allowed = self.allowed.get_or_insert_default();
            if allowed.contains(&text) {
                continue;
            }
            if allowed.len() >= import.limits.parts_max {
                if !std::mem::replace(&mut self.is_unlisted, true) {
                    let most = import.limits.parts_max;
                    import.warn(&list.pointer, format!("an enumeration of more than {most} values is not compared"));
                }
                return;
            }
            allowed.push(text);
        }
    }
}
