//! Texts out of what a place holds or an expression results in. A list gives one for each of its elements, as a repeated
//! query field does.

use cel::Value;
use outrider_model::Text;
use smallvec::SmallVec;

use super::{FIELD_VALUES_MAX, FieldFailure};
use crate::json::{self, Begun, Malformed, Wanted};
use crate::kong::number_text;

/// The texts of one field.
pub(super) type Values<'a> = SmallVec<[Text<'a>; 1]>;

/// The texts of a value as it stands in the line. What is none fails, and those that are stay.
pub(super) fn of_json<'a>(raw: &'a str, values: &mut Values<'a>) -> Result<(), FieldFailure> {
    // Most values are texts without an escape, which are what they are between their quotes.
    let text = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if let Some(text) = text.filter(|text| memchr::memchr(b'\\', text.as_bytes()).is_none()) {
        values.push(Text::from(text));
        return Ok(());
    }
    let nothing = Wanted::default();
    let mut reader = json::Reader::new(raw, &nothing);
    let mut failed = None;
    let read = Taking { values, failed: &mut failed }.value(&mut reader, false);
    // The line was read before, so all that can be wrong is what it has here.
    match (read, failed) {
        (Ok(()), None) => Ok(()),
        (_, failed) => Err(failed.unwrap_or(FieldFailure::NotAValue)),
    }
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

/// Takes a scalar, or a list of scalars.
struct Taking<'v, 'de> {
    values: &'v mut Values<'de>,
    failed: &'v mut Option<FieldFailure>,
}

impl<'de> Taking<'_, 'de> {
    fn value(&mut self, reader: &mut json::Reader<'de, '_>, is_in_list: bool) -> Result<(), Malformed> {
        match reader.value()? {
            Begun::Text(text) => self.add(text),
            Begun::Number(number) => self.add(number_text(number)),
            Begun::Bool(truth) => self.add(Text::from(if truth { "true" } else { "false" })),
            Begun::Null => {}
            Begun::List if is_in_list => {
                *self.failed = Some(FieldFailure::NotAValue);
                reader.elements(json::Reader::pass)?;
            }
            Begun::List => reader.elements(|reader| self.value(reader, true))?,
            // Old Kongs write an empty list as `{}`; it has no value either.
            Begun::Object => reader.members(|reader, _| {
                *self.failed = Some(FieldFailure::NotAValue);
                reader.pass()
            })?,
        }
        Ok(())
    }

    fn add(&mut self, text: Text<'de>) {
        if self.values.len() < FIELD_VALUES_MAX {
            self.values.push(text);
        } else {
            *self.failed = Some(FieldFailure::TooMany);
        }
    }
}
