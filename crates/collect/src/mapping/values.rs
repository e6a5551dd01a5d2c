//! Texts out of what a place holds or an expression results in. A list gives one for each of its elements, as a repeated
//! query field does.

use cel::Value;
use outrider_model::Text;
use smallvec::SmallVec;

use super::{FIELD_VALUES_MAX, FieldFailure};
use crate::json::{Json, Value as JsonValue};
use crate::kong::scalar_of;

/// The texts of one field.
pub(super) type Values<'a> = SmallVec<[Text<'a>; 1]>;

/// The texts of a value as it stands in the line. What is none fails, and those that are stay.
pub(super) fn of_json<'a>(value: JsonValue<'_, 'a>, values: &mut Values<'a>) -> Result<(), FieldFailure> {
    let Json::List(elements) = value.json() else { return add(value, values) };
    let mut read = Ok(());
    for element in elements {
        let added = match element.json() {
            Json::List(_) => Err(FieldFailure::NotAValue),
            _ => add(element, values),
        };
        read = added.and(read);
    }
    read
}

/// Adds a value that is no list.
fn add<'a>(value: JsonValue<'_, 'a>, values: &mut Values<'a>) -> Result<(), FieldFailure> {
    // Old Kongs write an empty list as `{}`; it has no value either.
    if let Json::Object(mut members) = value.json() {
        return if members.next().is_none() { Ok(()) } else { Err(FieldFailure::NotAValue) };
    }
    let Some(text) = scalar_of(value) else { return Ok(()) };
    if values.len() == FIELD_VALUES_MAX {
        return Err(FieldFailure::TooMany);
    }
    values.push(text);
    Ok(())
}

/// The texts of an expression's result.
pub(super) fn of_result(result: &Value, values: &mut Values<'_>) -> Result<(), FieldFailure> {
    let Value::List(list) = result else { return scalar(result).map(|text| values.extend(text)) };
    if list.len() > FIELD_VALUES_MAX {
        return Err(FieldFailure::TooMany);
    }
    list.iter().try_for_each(|element| scalar(element).map(|text| values.extend(text)))
}

/// `None` for null.
fn scalar<'a>(value: &Value) -> Result<Option<Text<'a>>, FieldFailure> {
    Ok(Some(Text::from(match value {
        Value::String(text) => text.as_str().to_owned(),
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null => return Ok(None),
        _ => return Err(FieldFailure::NotAValue),
    })))
}
