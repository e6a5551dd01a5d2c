#![doc = include_str!("doc.md")]

mod birth_date;
mod name;
mod national_ids;
mod postal_address;
mod words;

pub(crate) use words::WORDS;

use super::{Country, DataClass, Found};
use crate::candidates::Candidates;
use crate::evidence::Form;
use crate::parameter::Parameter;

pub(crate) fn find(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    for &Found { class, start, end } in &parameter.personal {
        if candidates.is_full() {
            break;
        }
        let text = &parameter.value[start..end];
        match class {
            DataClass::Email if !is_in_authority(parameter.value, start, end) => {
                candidates.add(parameter, class, Form::Strong, (start, end));
            }
            DataClass::Phone => candidates.add(parameter, class, phone_form(text), (start, end)),
            DataClass::NationalId(country) => {
                let form = national_id_form(country, text);
                match has_check_digits(country) {
                    true => candidates.add_checked(parameter, class, form, (start, end)),
                    false => candidates.add(parameter, class, form, (start, end)),
                }
            }
            _ => {}
        }
    }
    national_ids::find(parameter, candidates);
    bare_phone(parameter, candidates);
    name::find(parameter, candidates);
    postal_address::find(parameter, candidates);
    birth_date::find(parameter, candidates);
}

/// Bytes before an address that are looked at for the begin of an authority.
const USER_BYTES_MAX: usize = 256;

/// `https://user@host` is no mail address, nor is `git@host:path`.
fn is_in_authority(text: &str, start: usize, end: usize) -> bool {
    let before = &text.as_bytes()[..start];
    let ends = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'?' | b'#');
    let user = before.iter().rev().take(USER_BYTES_MAX).take_while(|&&byte| !ends(byte)).count();
    let is_authority = before[..before.len() - user].ends_with(b"://");
    let is_remote = text[start..].starts_with("git@") && text.as_bytes().get(end) == Some(&b':');
    is_authority || is_remote
}

fn phone_form(text: &str) -> Form {
    let is_grouped = text.bytes().any(|byte| !byte.is_ascii_digit());
    match text.trim_start_matches('(').starts_with('+') {
        true => Form::Strong,
        false if is_grouped => Form::Fair,
        // The name or the words before said so.
        false => Form::Weak,
    }
}

/// A number that a name in another language than `topics` has says to be a telephone's.
fn bare_phone(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    let (value, start) = parameter.trimmed();
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit() || b" -./()+".contains(&byte));
    if parameter.personal.is_empty()
        && parameter.said.speaks_of(DataClass::Phone)
        && is_number
        && (7..=15).contains(&digits)
    {
        candidates.add(parameter, DataClass::Phone, Form::Weak, (start, start + value.len()));
    }
}

fn has_check_digits(country: Country) -> bool {
    !matches!(country, Country::UnitedKingdom | Country::UnitedStates)
}

/// How much the form of a number proves that [`find_personal`](crate::find_personal) took.
fn national_id_form(country: Country, text: &str) -> Form {
    let is_bare = text.bytes().all(|byte| byte.is_ascii_digit());
    match country {
        // Ninety-seven keys, and a month.
        Country::France => Form::Strong,
        // Any nine digits.
        Country::UnitedStates if is_bare => Form::Possible,
        _ if is_bare => Form::Weak,
        // Groups of digits, or two letters and six digits, and nothing that checks them.
        Country::UnitedStates | Country::UnitedKingdom => Form::Fair,
        _ => Form::Strong,
    }
}
