//! Values that may have another type than they should: read where possible, absent where not, never an error.

use outrider_model::Text;

use crate::json::{Begun, Malformed, Number, Reader};

type Result<T> = std::result::Result<T, Malformed>;

/// Reads the members of an object; false if the value is none, which is absent then.
#[inline(always)]
pub(super) fn object<'de>(
    reader: &mut Reader<'de, '_>,
    take: impl FnMut(&mut Reader<'de, '_>, Text<'de>) -> Result<()>,
) -> Result<bool> {
    match reader.value()? {
        Begun::Object => reader.members(take).map(|()| true),
        Begun::List => pass_elements(reader).map(|()| false),
        _ => Ok(false),
    }
}

/// A text; a number is written out, the first element of a list stands for the list, anything else is empty.
#[inline(always)]
pub(super) fn text<'de>(reader: &mut Reader<'de, '_>) -> Result<Text<'de>> {
    match reader.value()? {
        Begun::Text(text) => Ok(text),
        other => other_text(reader, other),
    }
}

#[cold]
fn other_text<'de>(reader: &mut Reader<'de, '_>, begun: Begun<'de>) -> Result<Text<'de>> {
    match begun {
        Begun::Text(text) => Ok(text),
        Begun::Number(number) => Ok(number_text(number)),
        Begun::Null | Begun::Bool(_) => Ok(Text::EMPTY),
        Begun::Object => pass_members(reader).map(|()| Text::EMPTY),
        Begun::List => {
            let mut first = None;
            reader.elements(|reader| match first {
                None => text(reader).map(|text| first = Some(text)),
                Some(_) => reader.pass(),
            })?;
            Ok(first.unwrap_or_default())
        }
    }
}

/// The first `most` texts of a list. Anything else has none, an object too: so old Kongs write an empty table.
pub(super) fn texts<'de>(reader: &mut Reader<'de, '_>, most: usize) -> Result<Vec<Text<'de>>> {
    let mut texts = Vec::new();
    match reader.value()? {
        Begun::List => reader.elements(|reader| match texts.len() < most {
            true => text(reader).map(|text| texts.push(text)),
            false => reader.pass(),
        })?,
        Begun::Object => pass_members(reader)?,
        _ => {}
    }
    Ok(texts)
}

/// What a number is as a text.
pub(crate) fn number_text(number: Number) -> Text<'static> {
    Text::from(match number {
        Number::Unsigned(number) => number.to_string(),
        Number::Signed(number) => number.to_string(),
        Number::Float(number) => number.to_string(),
    })
}

/// Passes the members of an object that should be something else.
pub(super) fn pass_members(reader: &mut Reader<'_, '_>) -> Result<()> {
    reader.members(|reader, _| reader.pass())
}

/// Passes the elements of a list that should be something else.
pub(super) fn pass_elements(reader: &mut Reader<'_, '_>) -> Result<()> {
    reader.elements(Reader::pass)
}

/// A whole number, possibly written as a text (sizes in Kong 2.0) or with a fraction; anything else is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Int(Option<i64>);

impl Int {
    #[inline(always)]
    pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<Int> {
        Ok(Int(match reader.value()? {
            Begun::Number(Number::Unsigned(number)) => i64::try_from(number).ok(),
            Begun::Number(Number::Signed(number)) => Some(number),
            // Beyond 2^53 a float is no longer a whole number that somebody meant.
            Begun::Number(Number::Float(number)) => (number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64),
            Begun::Text(text) => text.trim().parse().ok(),
            Begun::Null | Begun::Bool(_) => None,
            Begun::List => pass_elements(reader).map(|()| None)?,
            Begun::Object => pass_members(reader).map(|()| None)?,
        }))
    }

    pub(crate) fn value(self) -> Option<i64> {
        self.0
    }

    #[cfg(test)]
    pub(crate) fn of(value: Option<i64>) -> Int {
        Int(value)
    }
}
