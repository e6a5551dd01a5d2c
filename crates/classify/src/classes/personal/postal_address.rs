//! Postal addresses: a number and a word for a street, or a field that says address.

use crate::candidates::Candidates;
use crate::classes::DataClass;
use crate::evidence::Form;
use crate::parameter::Parameter;

/// Longest value that is read as an address.
const ADDRESS_BYTES_MAX: usize = 200;
/// Longest number of a house, with its letter.
const HOUSE_NUMBER_BYTES_MAX: usize = 6;

/// Words for a street that stand by themselves and mean little else.
const STREETS: &[&str] = &[
    "street",
    "st.",
    "avenue",
    "ave",
    "ave.",
    "road",
    "rd",
    "rd.",
    "lane",
    "boulevard",
    "blvd",
    "blvd.",
    "drive",
    "rue",
    "chemin",
    "quai",
    "calle",
    "avenida",
    "paseo",
    "piazza",
    "viale",
    "rua",
    "travessa",
    "ulica",
    "ul.",
    "weg",
    "platz",
    "allee",
    "highway",
    "hwy",
    "terrace",
    "crescent",
];

/// Endings of the names of streets in one word: `Hauptstraße`, `Kerkstraat`.
const ENDINGS: &[&str] = &["straße", "strasse", "str.", "gasse", "straat", "gracht", "gatan", "vägen", "gata"];

pub(super) fn find(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    let (value, start) = parameter.trimmed();
    if value.len() > ADDRESS_BYTES_MAX || !is_written_like_one(value) {
        return;
    }
    let has_number = value.split([' ', ',', '\n']).any(is_house_number);
    let form = match (has_number, has_street(value)) {
        (true, true) => Form::Fair,
        (true, false) if value.split_whitespace().count() > 1 => Form::Weak,
        _ if parameter.said.speaks_of(DataClass::PostalAddress) => Form::Possible,
        _ => return,
    };
    // Any text may have a number and two words.
    if form > Form::Weak || parameter.said.speaks_of(DataClass::PostalAddress) {
        candidates.add(parameter, DataClass::PostalAddress, form, (start, start + value.len()));
    }
}

fn is_written_like_one(value: &str) -> bool {
    value.chars().filter(|character| character.is_alphabetic()).count() >= 3
        && !value.contains(['@', '=', '{', '<', '_', ':'])
}

/// `221`, `221B`, `12-14`, `12/3`, `#5`.
fn is_house_number(word: &str) -> bool {
    let word = word.trim_start_matches('#').trim_end_matches(['.', ',', ';']);
    word.len() <= HOUSE_NUMBER_BYTES_MAX
        && word.starts_with(|first: char| first.is_ascii_digit())
        && word.bytes().filter(u8::is_ascii_alphabetic).count() <= 1
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'/'))
}

fn has_street(value: &str) -> bool {
    value.split([' ', ',', '\n']).any(|word| {
        let is_one = |known: &&str| word.eq_ignore_ascii_case(known);
        let ends_in = |ending: &&str| {
            word.len() > ending.len()
                && word.get(word.len() - ending.len()..).is_some_and(|end| end.eq_ignore_ascii_case(ending))
        };
        STREETS.iter().any(is_one) || ENDINGS.iter().any(ends_in)
    })
}
