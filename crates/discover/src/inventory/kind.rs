//! What kind of value a text is, told by the text alone.

use std::str::FromStr as _;

use outrider_model::Pseudonym;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shape::{Shape, value_shape};

/// Bytes beyond which a text is not looked at further.
const LOOKED_AT_BYTES_MAX: usize = 256;

/// What kind of value a parameter had. Their order and their number are the snapshot's format: a new one is a new version
/// of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// A query flag without `=`.
    Flag,
    /// A value of no characters.
    Empty,
    /// A whole number, without leading zeros.
    Integer,
    /// A number with a fraction.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A UUID with its dashes.
    Uuid,
    /// `2026-01-31`.
    Date,
    /// A date with a time.
    DateTime,
    /// A mail address in clear, which an operator wanted kept.
    Email,
    /// A network address.
    Address,
    /// An absolute URL.
    Url,
    /// Hexadecimal digits, 32 or more or as many as a hash has.
    Hash,
    /// A text drawn at random, or digits with leading zeros.
    Token,
    /// A credential or personal value, of which there is a pseudonym or nothing at all.
    Hidden,
    /// Any other text.
    Text,
}

/// How many kinds there are.
pub(crate) const KINDS: usize = 15;

impl ValueKind {
    /// All of them, in their order.
    pub const ALL: [ValueKind; KINDS] = [
        ValueKind::Flag,
        ValueKind::Empty,
        ValueKind::Integer,
        ValueKind::Number,
        ValueKind::Boolean,
        ValueKind::Uuid,
        ValueKind::Date,
        ValueKind::DateTime,
        ValueKind::Email,
        ValueKind::Address,
        ValueKind::Url,
        ValueKind::Hash,
        ValueKind::Token,
        ValueKind::Hidden,
        ValueKind::Text,
    ];

    /// The kind of a text.
    pub(crate) fn of(text: &str) -> ValueKind {
        if text.is_empty() {
            return ValueKind::Empty;
        }
        if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            return ValueKind::Boolean;
        }
        if text.starts_with("ps_") && Pseudonym::from_str(text).is_ok() {
            return ValueKind::Hidden;
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            return ValueKind::Url;
        }
        if is_fraction(text) {
            return ValueKind::Number;
        }
        match value_shape(text, LOOKED_AT_BYTES_MAX) {
            Some(Shape::Integer) if is_plain_integer(text) => ValueKind::Integer,
            Some(Shape::Integer | Shape::Token) => ValueKind::Token,
            Some(Shape::Uuid) if text.contains('-') => ValueKind::Uuid,
            Some(Shape::Uuid | Shape::Hexadecimal) => ValueKind::Hash,
            Some(Shape::Email) => ValueKind::Email,
            Some(Shape::Address) => ValueKind::Address,
            Some(Shape::Date) if text.len() == 10 => ValueKind::Date,
            Some(Shape::Date) if text.contains(['T', 't']) => ValueKind::DateTime,
            _ => ValueKind::Text,
        }
    }
}

/// `2.5`, `-0.75`: a number that is not whole, or does not have to be.
fn is_fraction(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let fraction = text.strip_prefix('-').unwrap_or(text).split_once('.');
    fraction.is_some_and(|(whole, fraction)| digits(whole) && digits(fraction))
}

fn is_plain_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (digits == "0" || !digits.starts_with('0')) && text.parse::<i64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_the_text() {
        use ValueKind::*;
        let cases = [
            ("", Empty),
            ("7", Integer),
            ("-12", Integer),
            ("0", Integer),
            ("007", Token),
            ("99999999999999999999", Token),
            ("2.5", Number),
            ("52.5200", Number),
            ("True", Boolean),
            ("b37500b2-a411-43f5-9907-2e7a60344ced", Uuid),
            ("b37500b2a41143f599072e7a60344ced", Hash),
            ("2026-01-31", Date),
            ("2026-01", Text),
            ("2026-01-31T10:00:00Z", DateTime),
            ("192.0.2.7", Address),
            ("https://example.org/a?b=c", Url),
            ("cus_NffrFeUfNV2Hib", Token),
            ("ps_001f_07070707070707070707070707070707", Hidden),
            ("ps_001f", Text),
            ("asc", Text),
            ("ann@example.com", Email),
        ];
        for (text, expected) in cases {
            assert_eq!(ValueKind::of(text), expected, "{text}");
        }
        for (at, kind) in ValueKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
        }
    }
}
