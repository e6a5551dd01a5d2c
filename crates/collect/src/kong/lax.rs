//! Values that may have another type than they should: read where possible, absent where not, never an error.

use outrider_model::Text;

use crate::json::{Json, Value};

/// A text; a number is written out, the first element of an array stands for the array, anything else is empty.
pub(crate) fn text_of<'a>(mut value: Value<'_, 'a>) -> Text<'a> {
    loop {
        return match value.json() {
            Json::Text(text) => Text::from(text),
            Json::Int(number) => Text::from(number.to_string()),
            Json::UInt(number) => Text::from(number.to_string()),
            Json::Float(number) => Text::from(number.to_string()),
            Json::List(mut elements) => match elements.next() {
                Some(first) => {
                    value = first;
                    continue;
                }
                None => Text::EMPTY,
            },
            Json::Null | Json::Bool(_) | Json::Object(_) => Text::EMPTY,
        };
    }
}

/// Null, a truth value, a number or a text as a text; `None` for null, for a list and for an object.
pub(crate) fn scalar_of<'a>(value: Value<'_, 'a>) -> Option<Text<'a>> {
    match value.json() {
        Json::Bool(truth) => Some(Text::from(if truth { "true" } else { "false" })),
        Json::Null | Json::List(_) | Json::Object(_) => None,
        Json::Int(_) | Json::UInt(_) | Json::Float(_) | Json::Text(_) => Some(text_of(value)),
    }
}

/// A whole number, possibly written as a text (sizes in Kong 2.0) or with a fraction; anything else is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Int(Option<i64>);

impl Int {
    pub(crate) fn of(value: Value<'_, '_>) -> Self {
        Int(match value.json() {
            Json::Int(number) => Some(number),
            // Beyond 2^53 a float is no longer a whole number that somebody meant.
            Json::Float(number) => (number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64),
            Json::Text(text) => text.trim().parse().ok(),
            Json::UInt(_) | Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => None,
        })
    }

    pub(crate) fn value(self) -> Option<i64> {
        self.0
    }
}
