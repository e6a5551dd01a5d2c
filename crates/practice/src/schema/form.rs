//! Documents sent as a form: `config.status_code=403&tags[]=a`.
//!
//! A form has only texts, so each value becomes what its field expects; what does not convert stays a text and is
//! refused by the field's own rule.

use serde_json::{Value, json};

use super::{Field, Kind, Object, Table};
use crate::percent;

/// Reads a form into a document.
pub(crate) fn document(body: &str, table: Table) -> Object {
    let mut document = Object::new();
    for pair in body.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        put(&mut document, &percent::decode_form(name), percent::decode_form(value));
    }
    if let Ok(fields) = table.fields(&document) {
        convert(fields, &mut document);
    }
    document
}

/// Puts a value at a dotted name; `name[]` and `name[1]` add to a list.
fn put(document: &mut Object, name: &str, value: String) {
    let (path, list) = match name.split_once('[') {
        Some((path, _)) => (path, true),
        None => (name, false),
    };
    let mut node = document;
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_some() {
            let inner = node.entry(part).or_insert_with(|| json!({}));
            let Value::Object(inner) = inner else { return };
            node = inner;
        } else if list {
            let slot = node.entry(part).or_insert_with(|| json!([]));
            if let Value::Array(elements) = slot {
                elements.push(value.into());
            }
            return;
        } else {
            node.insert(part.to_owned(), value.into());
            return;
        }
    }
}

fn convert(fields: &[Field], document: &mut Object) {
    for field in fields {
        if let Some(value) = document.get_mut(field.name) {
            convert_value(&field.kind, value);
        }
    }
}

fn convert_value(kind: &Kind, value: &mut Value) {
    if matches!(value, Value::String(text) if text.is_empty()) {
        *value = Value::Null;
        return;
    }
    match (kind, &mut *value) {
        (Kind::Integer { .. } | Kind::Number { .. }, Value::String(text)) => {
            if let Ok(number) = text.parse::<i64>() {
                *value = number.into();
            } else if let Ok(number) = text.parse::<f64>() {
                *value = number.into();
            }
        }
        (Kind::Boolean, Value::String(text)) if text == "true" || text == "false" => *value = (text == "true").into(),
        (Kind::List { of, .. }, Value::Array(elements)) => {
            elements.iter_mut().for_each(|element| convert_value(of, element));
        }
        (Kind::List { of, .. }, Value::String(_)) => {
            let mut element = value.take();
            convert_value(of, &mut element);
            *value = Value::Array(vec![element]);
        }
        (Kind::Record { fields }, Value::Object(inner)) => convert(fields, inner),
        _ => {}
    }
}
