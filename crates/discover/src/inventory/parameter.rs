//! What is learned of one parameter.

use outrider_classify::{credential_shape, find_personal};
use serde::{Deserialize, Serialize};

use super::classes::{ClassCount, Classes};
use super::figures::Location;
use super::kind::{KINDS, ValueKind};
use super::settings::Settings;

/// A whole number from here on is rounded to two digits, so that a range says how large values are and not which there were.
const EXACT_BELOW: i64 = 10_000;

/// Words in a parameter's name by which its values may be somebody's, however plain they are.
const PERSONAL_WORDS: &[&str] = &[
    "account", "address", "birth", "customer", "email", "login", "mail", "name", "owner", "password", "patient",
    "person", "phone", "query", "search", "secret", "session", "token", "user",
];

/// A text that a parameter had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Value {
    pub text: Box<str>,
    pub calls: u32,
    /// Its callers, one of 32 bits each.
    pub actors: u32,
}

/// The texts of a parameter, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Values {
    Few(Vec<Value>),
    /// Too many, or not all of them may be shown: none is kept.
    Hidden,
}

/// A parameter of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameter {
    pub location: Location,
    pub name: Box<str>,
    /// Calls that had it, of those that were read.
    pub calls: u32,
    /// Of those the ones that were answered 2xx.
    pub calls_ok: u32,
    /// Calls that had it more than once.
    pub repeated: u32,
    /// Values by kind.
    pub kinds: [u32; KINDS],
    /// Smallest and largest number, rounded outward.
    pub range: Option<(i64, i64)>,
    pub values: Values,
    /// Its callers, one of 64 bits each.
    pub actors: u64,
    pub first_ms: i64,
    pub last_ms: i64,
    /// The classes of data among its values. A snapshot has them apart.
    #[serde(skip)]
    pub classes: Classes,
}

impl Parameter {
    pub fn new(location: Location, name: &str) -> Self {
        Parameter {
            location,
            name: name.into(),
            calls: 0,
            calls_ok: 0,
            repeated: 0,
            kinds: [0; KINDS],
            range: None,
            values: Values::Few(Vec::new()),
            actors: 0,
            first_ms: i64::MAX,
            last_ms: i64::MIN,
            classes: Classes::new(),
        }
    }

    /// Counts a value. Says whether something is new of it.
    pub fn note(&mut self, kind: ValueKind, text: &str, actor: u64, settings: &Settings) -> bool {
        let count = &mut self.kinds[kind as usize];
        *count = count.saturating_add(1);
        let mut is_new = *count == 1;
        match kind {
            ValueKind::Integer | ValueKind::Number => self.note_number(kind, text),
            ValueKind::Boolean | ValueKind::Flag | ValueKind::Empty => {}
            ValueKind::Text => is_new |= self.note_text(text, actor, settings),
            // Ids, addresses and what is hidden are never listed.
            _ => is_new |= self.hide_values(),
        }
        is_new
    }

    /// Widens the range. It comes with the figures and is nothing new, for ids grow all the time.
    fn note_number(&mut self, kind: ValueKind, text: &str) {
        let (low, high) = match kind {
            ValueKind::Integer => match text.parse::<i64>() {
                Ok(number) => (number, number),
                Err(_) => return,
            },
            _ => match text.parse::<f64>() {
                Ok(number) => (number.floor() as i64, number.ceil() as i64),
                Err(_) => return,
            },
        };
        let (low, high) = (rounded_down(low), rounded_up(high));
        self.range = match self.range {
            Some((least, most)) => Some((least.min(low), most.max(high))),
            None => Some((low, high)),
        };
    }

    fn note_text(&mut self, text: &str, actor: u64, settings: &Settings) -> bool {
        let Values::Few(values) = &mut self.values else { return false };
        let bit = 1 << (actor >> 59);
        match values.binary_search_by(|value| (*value.text).cmp(text)) {
            Ok(at) => {
                let value = &mut values[at];
                value.calls = value.calls.saturating_add(1);
                let was_shown = value.actors.count_ones() >= settings.value_actors_min;
                value.actors |= bit;
                !was_shown && value.actors.count_ones() >= settings.value_actors_min
            }
            Err(at) => {
                if values.len() >= settings.values_per_parameter_max || !is_harmless(&self.name, text, settings) {
                    return self.hide_values();
                }
                values.insert(at, Value { text: text.into(), calls: 1, actors: bit });
                true
            }
        }
    }

    /// Forgets all texts, for good.
    pub fn hide_values(&mut self) -> bool {
        let is_new = !matches!(&self.values, Values::Hidden);
        self.values = Values::Hidden;
        is_new
    }

    /// How many values it had.
    pub fn values(&self) -> u64 {
        self.kinds.iter().map(|&values| u64::from(values)).sum()
    }

    /// Whether it is the one of this name at this place.
    pub fn is(&self, location: Location, name: &str) -> bool {
        self.location == location && *self.name == *name
    }

    /// One caller alone has sent it, or hardly anybody.
    pub fn is_weak(&self) -> bool {
        self.calls <= 2 || self.actors.count_ones() < 2
    }

    pub fn heap_bytes(&self) -> usize {
        let values = match &self.values {
            Values::Few(values) => values.iter().map(|value| size_of::<Value>() + value.text.len()).sum(),
            Values::Hidden => 0,
        };
        let classes: usize = self.classes.iter().map(ClassCount::heap_bytes).sum();
        size_of::<Parameter>() + self.name.len() + values + classes
    }
}

/// Whether a text may be kept: short, of the characters that names in code have, and nothing that is a person's or opens a
/// door. That several callers send it is asked when it is shown.
fn is_harmless(name: &str, text: &str, settings: &Settings) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':' | b'+' | b',' | b'*');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let lower = name.to_ascii_lowercase();
    let may_be_somebodys = lower == "q" || PERSONAL_WORDS.iter().any(|word| lower.contains(word));
    !may_be_somebodys
        && text.len() <= settings.value_bytes_max
        && text.bytes().all(plain)
        && digits <= 8
        && credential_shape(text).is_none()
        && find_personal(name, text).is_empty()
}

fn rounded_down(number: i64) -> i64 {
    number.div_euclid(step(number)).saturating_mul(step(number))
}

fn rounded_up(number: i64) -> i64 {
    number.checked_neg().map_or(i64::MAX, |negative| rounded_down(negative).saturating_neg())
}

/// A power of ten that leaves two digits of a large number.
fn step(number: i64) -> i64 {
    let mut step = 1;
    let mut rest = number.unsigned_abs();
    if rest < EXACT_BELOW.unsigned_abs() {
        return 1;
    }
    while rest >= 100 {
        rest /= 10;
        step *= 10;
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_rounded_outward() {
        for (number, low, high) in [
            (0, 0, 0),
            (9_999, 9_999, 9_999),
            (10_000, 10_000, 10_000),
            (12_345, 12_000, 13_000),
            (-12_345, -13_000, -12_000),
            (987_654_321, 980_000_000, 990_000_000),
        ] {
            assert_eq!((rounded_down(number), rounded_up(number)), (low, high), "{number}");
        }
        let _ = (rounded_down(i64::MIN), rounded_up(i64::MIN), rounded_down(i64::MAX), rounded_up(i64::MAX));
    }

    #[test]
    fn only_harmless_texts_are_kept() {
        let settings = Settings::default();
        for (name, text, expected) in [
            ("sort", "created_at", true),
            ("sort", "-name", true),
            ("filter", "ann smith", false),
            ("to", "ann@example.com", false),
            ("phone", "+4915112345678", false),
            ("iban", "DE89370400440532013000", false),
            ("state", "a".repeat(33).as_str(), false),
            ("filter", "<script>", false),
            ("userName", "ann", false),
            ("q", "ann", false),
            ("key", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", false),
        ] {
            assert_eq!(is_harmless(name, text, &settings), expected, "{text}");
        }
    }
}
