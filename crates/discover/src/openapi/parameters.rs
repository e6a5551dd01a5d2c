//! The parameters of an operation: where, of which type, written how.

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
        if let Some(parameter) = parameter_at(import, parameter)
            && !found.iter().any(|known| (known.place, &known.name) == (parameter.place, &parameter.name))
        {
            found.push(parameter);
        }
    }
    found
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
    Some(DocumentedParameter {
        place,
        name,
        required: place == Place::Path || at.is_true("required"),
        deprecated: at.is_true("deprecated"),
        shape,
        types: if is_one_value && !described.is_any { described.types } else { Vec::new() },
        format: if is_one_value { described.format } else { String::new() },
        allowed: described.allowed.filter(|_| is_one_value),
        pointer: at.pointer,
    })
}

/// How values are written, by OpenAPI's rules for `style` and `explode`.
fn shape(at: &At<'_>, place: Place, described: &Described) -> ParameterShape {
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
struct Described {
    types: Vec<ValueType>,
    /// Any value will do, or one that is not understood.
    is_any: bool,
    is_list: bool,
    is_object: bool,
    format: String,
    allowed: Option<Vec<String>>,
}

impl Described {
    fn read<'d>(&mut self, import: &mut Import<'d>, schema: At<'d>, depth_left: usize) {
        let Some(schema) = import.resolve(schema) else {
            self.is_any = true;
            return;
        };
        let types: Vec<&str> = match schema.value.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
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
            self.format = format.to_owned();
        }
        self.read_allowed(import, &schema);
        let mut is_described = !types.is_empty();
        for key in ["allOf", "anyOf", "oneOf"] {
            for part in schema.key(key).iter().flat_map(At::items).take(import.limits.parts_max) {
                is_described = true;
                match depth_left {
                    0 => self.is_any = true,
                    _ => self.read(import, part, depth_left - 1),
                }
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

    fn read_allowed<'d>(&mut self, import: &mut Import<'d>, schema: &At<'d>) {
        let Some(list) = schema.key("enum").or_else(|| schema.key("const")) else { return };
        let values: Vec<&Value> = match list.value {
            Value::Array(values) => values.iter().collect(),
            one => vec![one],
        };
        if values.len() > import.limits.parts_max {
            let most = import.limits.parts_max;
            import.warn(&list.pointer, format!("an enumeration of more than {most} values is not compared"));
            return;
        }
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.allowed.get_or_insert_default().extend(values.into_iter().map(text));
    }
}
