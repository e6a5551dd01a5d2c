#![doc = include_str!("README.md")]

use super::number::{Number, extension_length, is_uniform};
use crate::topics::Topics;

/// Groups of national numbers with a leading zero, by who writes them so.
const NATIONAL: &[&[u8]] = &[
    // France
    &[2, 2, 2, 2, 2],
    // United Kingdom
    &[3, 4, 4],
    &[4, 3, 4],
    &[5, 6],
    &[5, 3, 3],
    &[4, 3, 3],
    &[3, 3, 4],
    &[3, 3, 3],
    // Central Europe, the Netherlands, Israel
    &[3, 2, 2, 2],
    &[3, 3, 2, 2],
    &[2, 8],
    &[2, 7],
    // Germany, Austria
    &[3, 7],
    &[3, 8],
    &[4, 7],
    &[4, 8],
    &[5, 7],
    // Australia, Japan
    &[2, 4, 4],
];

/// Where a telephone number begins and ends, if this is one. Its sign or bracket belongs to it.
pub(super) fn at(number: &Number<'_>, topics: Topics) -> Option<(usize, usize)> {
    let (start, end) = digits_at(number, topics)?;
    let extension = extension_length(number.after(end)).unwrap_or(0);
    Some((start, end + extension))
}

fn digits_at(number: &Number<'_>, topics: Topics) -> Option<(usize, usize)> {
    let start = number.start();
    let before = number.before();
    let bracket = usize::from(before.ends_with(b"("));
    let outer = &before[..before.len() - bracket];
    let has_plus = outer.ends_with(b"+") && !outer[..outer.len() - 1].last().is_some_and(u8::is_ascii_alphanumeric);
    let start = start - bracket - usize::from(has_plus);
    if has_plus {
        let end = longest(number, is_international);
        // What is no number of any country is still one that a field named for it carries.
        if end.is_some() || !topics.has_phone() {
            return end.map(|end| (start, end));
        }
    }
    if !number.is_whole() && !topics.has_phone() {
        return None;
    }
    let digits = number.digits();
    if is_uniform(digits) {
        return None;
    }
    if topics.has_phone() {
        // The name says what it is; how it is grouped no longer matters.
        return longest(number, |digits, _| (7..=15).contains(&digits.len())).map(|end| (start, end));
    }
    let is_grouped = number.groups().len() > 1;
    let is_phone = is_grouped && (is_north_american(number) || is_national(number) || is_dialled_abroad(number));
    is_phone.then_some((start, number.end()))
}

/// Where the most groups end that are a telephone number together. What follows is read as a part of the same number, as
/// nothing tells `+49 151 12345678 2024-01-15` from one that is grouped oddly.
fn longest(number: &Number<'_>, is_one: impl Fn(&[u8], &[u8]) -> bool) -> Option<usize> {
    let mut counts = (1..=number.groups().len()).rev();
    counts.find_map(|count| {
        number.first(count).filter(|(digits, separators, _)| is_one(digits, separators)).map(|(.., end)| end)
    })
}

/// As others write it: `+` and all digits where the country is known, else the digits. An extension is left out.
pub(super) fn canonical(value: &str) -> String {
    let value = value.split(['x', 'X']).next().unwrap_or(value);
    let has_plus = value.trim_start_matches('(').starts_with('+');
    let value = value.replace("(0)", "");
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let values: Vec<u8> = digits.bytes().map(|digit| digit - b'0').collect();
    if has_plus {
        return format!("+{digits}");
    }
    match digits.strip_prefix("00") {
        Some(abroad) => format!("+{abroad}"),
        None if values.len() == 10 && is_north_american_plan(&values) => format!("+1{digits}"),
        None if values.len() > 10 && country_code(&values).is_some() => format!("+{digits}"),
        None => digits,
    }
}

/// E.164: a country's code and at most 15 digits in all. `+27.5916` is a coordinate.
fn is_international(digits: &[u8], separators: &[u8]) -> bool {
    let is_decimal = separators == b".";
    !is_decimal && (8..=15).contains(&digits.len()) && is_plausible(digits)
}

/// The national part has the length that the plan of the country asks for, where one is strict.
fn is_plausible(digits: &[u8]) -> bool {
    match country_code(digits) {
        Some(1) if digits[0] == 1 => digits.len() == 11 && is_north_american_plan(&digits[1..]),
        Some(1) => digits.len() == 11,
        Some(_) => digits.len() >= 8,
        None => false,
    }
}

/// `00` and then as with `+`; many an id is filled up with zeros, so it has to be grouped.
fn is_dialled_abroad(number: &Number<'_>) -> bool {
    number.digits().strip_prefix(&[0, 0]).is_some_and(|rest| (9..=15).contains(&rest.len()) && is_plausible(rest))
}

fn is_national(number: &Number<'_>) -> bool {
    let digits = number.digits();
    digits[0] == 0
        && digits[1] != 0
        && NATIONAL.contains(&number.groups())
        // `02-1234567` is a company's number in many a register; a mobile's begins with 01, 06 and up.
        && (number.groups().len() > 2 || matches!(digits[1], 1 | 6..=9) || number.separators() != b"-")
        && number.separators().iter().all(|&separator| matches!(separator, b' ' | b'-' | b'.' | b'('))
}

/// The form of the North American Numbering Plan: three, three, four, and perhaps a 1 before.
fn is_north_american(number: &Number<'_>) -> bool {
    match number.groups() {
        [3, 3, 4] => is_north_american_plan(number.digits()),
        [1, 3, 3, 4] => number.digits()[0] == 1 && is_north_american_plan(&number.digits()[1..]),
        _ => false,
    }
}

/// Neither area nor exchange begins with 0 or 1.
fn is_north_american_plan(digits: &[u8]) -> bool {
    digits.len() == 10 && digits[0] >= 2 && digits[3] >= 2
}

/// How many digits the country's code has (ITU-T E.164, list of assigned codes).
fn country_code(digits: &[u8]) -> Option<usize> {
    match digits {
        [1 | 7, ..] => Some(1),
        [2, 0 | 7, ..]
        | [3, 0..=4 | 6 | 9, ..]
        | [4, 0 | 1 | 3..=9, ..]
        | [5, 1..=8, ..]
        | [6, 0..=6, ..]
        | [8, 1 | 2 | 4 | 6, ..]
        | [9, 0..=5 | 8, ..] => Some(2),
        [2, 1..=6 | 9, _, ..]
        | [3, 5 | 7 | 8, _, ..]
        | [4, 2, _, ..]
        | [5, 0 | 9, _, ..]
        | [6, 7..=9, _, ..]
        | [8, 0 | 5 | 7 | 8, _, ..]
        | [9, 6 | 7 | 9, _, ..] => Some(3),
        _ => None,
    }
}
