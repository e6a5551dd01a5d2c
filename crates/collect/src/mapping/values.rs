//! Texts out of what a place holds or an expression results in. A list gives one for each of its elements, as a repeated
//! query field does.

use std::borrow::Cow;

use cel::Value;
use outrider_model::Text;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;
use sonic_rs::LazyValue;

use super::{FIELD_VALUES_MAX, FieldFailure};
use crate::kong::{drain_map, drain_seq, scalars_add};

/// The texts of one field.
pub(super) type Values<'a> = SmallVec<[Text<'a>; 1]>;

/// The texts of a value as it stands in the line. What is none fails, and those that are stay.
pub(super) fn of_json<'a>(value: &LazyValue<'a>, values: &mut Values<'a>) -> Result<(), FieldFailure> {
    match value.as_raw_cow() {
        Cow::Borrowed(raw) => of_raw(raw, values),
        // So the library hands on a text with an escape, and nothing else.
        Cow::Owned(raw) => {
            let text: String = sonic_rs::from_str(&raw).map_err(|_| FieldFailure::NotAValue)?;
            values.push(Text::from(text));
            Ok(())
        }
    }
}

fn of_raw<'a>(raw: &'a str, values: &mut Values<'a>) -> Result<(), FieldFailure> {
    // Most values are texts without an escape, which are what they are between their quotes.
    let text = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if let Some(text) = text.filter(|text| memchr::memchr(b'\\', text.as_bytes()).is_none()) {
        values.push(Text::from(text));
        return Ok(());
    }
    let mut failed = None;
    let read = Reader { values, failed: &mut failed, is_in_list: false };
    let read = read.deserialize(&mut sonic_rs::Deserializer::from_str(raw));
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

/// Reads a scalar, or a list of scalars.
struct Reader<'v, 'de> {
    values: &'v mut Values<'de>,
    failed: &'v mut Option<FieldFailure>,
    is_in_list: bool,
}

impl<'de> Reader<'_, 'de> {
    fn add(self, text: Text<'de>) {
        if self.values.len() < FIELD_VALUES_MAX {
            self.values.push(text);
        } else {
            *self.failed = Some(FieldFailure::TooMany);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_, 'de> {
    type Value = ();

    scalars_add!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.is_in_list {
            *self.failed = Some(FieldFailure::NotAValue);
            return drain_seq(seq);
        }
        let Reader { values, failed, .. } = self;
        while seq.next_element_seed(Reader { values, failed, is_in_list: true })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Old Kongs write an empty list as `{}`; it has no value either.
        if map.next_entry::<IgnoredAny, IgnoredAny>()?.is_none() {
            return Ok(());
        }
        *self.failed = Some(FieldFailure::NotAValue);
        drain_map(map)
    }
}
