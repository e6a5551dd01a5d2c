//! Numbers of persons of the countries that `find_personal` does not know.
//!
//! Each form of a number is a pattern, where `9` is a digit, `A` a letter in capitals, `X` either and everything else itself; and a rule that
//! the characters have to follow, without what stands between them. Bare digits weigh as much as their rule leaves of random ones.

use crate::candidates::Candidates;
use crate::classes::{Country, DataClass};
use crate::evidence::Form;
use crate::parameter::Parameter;

/// Most characters of any of them, without separators.
const CHARACTERS_MAX: usize = 18;

struct Written {
    country: Country,
    pattern: &'static [u8],
    form: Form,
    is_right: fn(&[u8]) -> bool,
    is_checked: bool,
}

const fn written(country: Country, pattern: &'static [u8], form: Form, is_right: fn(&[u8]) -> bool) -> Written {
    Written { country, pattern, form, is_right, is_checked: true }
}

/// One that has no check digits.
const fn unchecked(country: Country, pattern: &'static [u8], form: Form, is_right: fn(&[u8]) -> bool) -> Written {
    Written { country, pattern, form, is_right, is_checked: false }
}

/// The longer of two that begin alike comes first.
const ALL: &[Written] = &[
    written(Country::Belgium, b"99.99.99-999.99", Form::Strong, is_belgian),
    written(Country::Belgium, b"99999999999", Form::Fair, is_belgian),
    written(Country::Canada, b"999-999-999", Form::Fair, is_canadian),
    written(Country::Canada, b"999 999 999", Form::Fair, is_canadian),
    written(Country::Canada, b"999999999", Form::Weak, is_canadian),
    written(Country::China, b"99999999999999999X", Form::Strong, is_chinese),
    written(Country::Finland, b"999999-999X", Form::Strong, is_finnish),
    written(Country::Finland, b"999999+999X", Form::Strong, is_finnish),
    written(Country::Finland, b"999999A999X", Form::Strong, is_finnish),
    written(Country::Mexico, b"AAAA999999AAAAAAX9", Form::Strong, is_mexican),
    written(Country::Norway, b"999999 99999", Form::Strong, is_norwegian),
    written(Country::Norway, b"99999999999", Form::Fair, is_norwegian),
    written(Country::Singapore, b"A9999999A", Form::Strong, is_singaporean),
    written(Country::SouthAfrica, b"999999 9999 999", Form::Strong, is_south_african),
    written(Country::SouthAfrica, b"9999999999999", Form::Weak, is_south_african),
    written(Country::SouthKorea, b"999999-9999999", Form::Strong, is_south_korean_and_checked),
    unchecked(Country::SouthKorea, b"999999-9999999", Form::Fair, is_south_korean_and_new),
    unchecked(Country::SouthKorea, b"999999-9999999", Form::Weak, is_south_korean),
    written(Country::SouthKorea, b"9999999999999", Form::Weak, is_south_korean_and_checked),
    written(Country::Switzerland, b"999.9999.9999.99", Form::Strong, is_swiss),
    written(Country::Switzerland, b"9999999999999", Form::Fair, is_swiss),
    written(Country::Thailand, b"9-9999-99999-99-9", Form::Strong, is_thai),
    written(Country::Thailand, b"9 9999 99999 99 9", Form::Strong, is_thai),
    written(Country::Thailand, b"9999999999999", Form::Weak, is_thai),
    written(Country::Turkey, b"99999999999", Form::Weak, is_turkish),
];

pub(super) fn find(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    let text = parameter.value.as_bytes();
    let mut at = 0;
    while let Some(offset) = text[at..].iter().position(u8::is_ascii_alphanumeric) {
        let start = at + offset;
        if candidates.is_full() {
            return;
        }
        let mut end = start;
        if !is_joined_before(text, start) {
            for written in ALL {
                let Some(found) = at_start(written, text, start) else { continue };
                let class = DataClass::NationalId(written.country);
                match written.is_checked {
                    true => candidates.add_checked(parameter, class, written.form, (start, found)),
                    false => candidates.add(parameter, class, written.form, (start, found)),
                }
                end = end.max(found);
            }
        }
        let word = text[start..].iter().position(|byte| !byte.is_ascii_alphanumeric());
        at = end.max(word.map_or(text.len(), |length| start + length));
    }
}

/// Where a number of this form ends, if one begins here.
fn at_start(written: &Written, text: &[u8], start: usize) -> Option<usize> {
    let end = start + written.pattern.len();
    let value = text.get(start..end)?;
    let fits = value.iter().zip(written.pattern).all(|(&byte, &sign)| match sign {
        b'9' => byte.is_ascii_digit(),
        b'A' => byte.is_ascii_uppercase(),
        b'X' => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
        sign => byte == sign,
    });
    if !fits || is_joined_behind(text, end) {
        return None;
    }
    let mut characters = [0; CHARACTERS_MAX];
    let mut count = 0;
    for &byte in value.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        *characters.get_mut(count)? = byte;
        count += 1;
    }
    let characters = &characters[..count];
    let is_uniform = characters.iter().all(|character| *character == characters[0]);
    (!is_uniform && (written.is_right)(characters)).then_some(end)
}

/// `X-123` and `1.23` have no number that begins in their middle.
fn is_joined_before(text: &[u8], start: usize) -> bool {
    let before = |back: usize| start.checked_sub(back).map(|at| text[at]);
    before(1).is_some_and(|byte| matches!(byte, b'-' | b'.' | b'+' | b'_'))
        && before(2).is_some_and(|byte| byte.is_ascii_alphanumeric())
}

fn is_joined_behind(text: &[u8], end: usize) -> bool {
    match text.get(end) {
        Some(byte) if byte.is_ascii_alphanumeric() || *byte == b'_' => true,
        Some(b'-' | b'.') => text.get(end + 1).is_some_and(u8::is_ascii_alphanumeric),
        _ => false,
    }
}

fn digit(character: u8) -> u32 {
    u32::from(character) - u32::from(b'0')
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, &character| sum * 10 + u64::from(digit(character)))
}

/// The sum of digits times weights.
fn weighted(digits: &[u8], weights: impl IntoIterator<Item = u32>) -> u32 {
    digits.iter().zip(weights).map(|(&character, weight)| digit(character) * weight).sum()
}

fn is_month_and_day(digits: &[u8]) -> bool {
    is_day_of(number(&digits[2..4]), number(&digits[..2]))
}

/// Whether some year has this day.
fn is_day_of(day: u64, month: u64) -> bool {
    let days = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

fn passes_luhn(digits: &[u8]) -> bool {
    let values: [u8; CHARACTERS_MAX] = std::array::from_fn(|at| digits.get(at).map_or(0, |character| character - b'0'));
    crate::classes::number::passes_luhn(&values[..digits.len()])
}

/// Date of birth (where unknown, zeros), number of the day, and 97 less the rest of the nine by 97; of who was born from 2000 on with a
/// 2 before the nine (Rijksregister, Arrêté royal of 1984-04-03).
fn is_belgian(digits: &[u8]) -> bool {
    let (nine, key) = (number(&digits[..9]), number(&digits[9..]));
    let is_date = number(&digits[2..4]) <= 12 && number(&digits[4..6]) <= 31;
    is_date && [nine, 2_000_000_000 + nine].iter().any(|value| 97 - value % 97 == key)
}

/// Luhn; none begins with 0 or 8 (Service Canada).
fn is_canadian(digits: &[u8]) -> bool {
    !matches!(digits[0], b'0' | b'8') && passes_luhn(digits)
}

/// Division, date of birth, sequence, and ISO 7064 MOD 11-2 (GB 11643-1999).
fn is_chinese(characters: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let check = b"10X98765432"[weighted(&characters[..17], WEIGHTS) as usize % 11];
    let is_year = (1900..=2099).contains(&number(&characters[6..10]));
    characters[0] != b'0' && is_year && is_month_and_day(&characters[10..14]) && characters[17] == check
}

/// Date of birth, a sign of the century that [`Written`] has, number, and a character of the nine digits modulo 31 (DVV).
fn is_finnish(characters: &[u8]) -> bool {
    const CHECKS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let (first, rest) = characters.split_at(6);
    let rest = match rest.len() {
        // The sign is a letter: A to F from 2000 on, U to Y before.
        5 if matches!(rest[0], b'A'..=b'F' | b'U'..=b'Y') => &rest[1..],
        4 => rest,
        _ => return false,
    };
    let is_date = is_day_of(number(&first[..2]), number(&first[2..4]));
    let nine = number(first) * 1000 + number(&rest[..3]);
    is_date && number(&rest[..3]) >= 2 && rest[3] == CHECKS[(nine % 31) as usize]
}

/// Letters of the names, date of birth, sex, state, consonants, and a check digit (RENAPO, Instructivo normativo CURP).
fn is_mexican(characters: &[u8]) -> bool {
    let value = |character: u8| match character {
        b'0'..=b'9' => u32::from(character - b'0'),
        // Between N and O is the Ñ.
        b'A'..=b'N' => u32::from(character - b'A') + 10,
        _ => u32::from(character - b'A') + 11,
    };
    let sum: u32 =
        characters[..17].iter().zip((2..=18u32).rev()).map(|(&character, weight)| value(character) * weight).sum();
    is_month_and_day(&characters[6..10])
        && matches!(characters[10], b'H' | b'M' | b'X')
        && (10 - sum % 10) % 10 == digit(characters[17])
}

/// Date of birth, number, and two check digits modulo 11 (Skatteetaten). Four more in the day is a D-number's.
fn is_norwegian(digits: &[u8]) -> bool {
    let day = number(&digits[..2]);
    let is_date = is_day_of(if day > 40 { day - 40 } else { day }, number(&digits[2..4]));
    let first = weighted(&digits[..10], [3, 7, 6, 1, 8, 9, 4, 5, 2, 1]);
    let second = weighted(digits, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]);
    is_date && first.is_multiple_of(11) && second.is_multiple_of(11)
}

/// Series, seven digits, and a letter of their weighted sum modulo 11 (ICA; the rule is published by many and by no office).
fn is_singaporean(characters: &[u8]) -> bool {
    let (letters, offset): (&[u8; 11], u32) = match characters[0] {
        b'S' => (b"JZIHGFEDCBA", 0),
        b'T' => (b"JZIHGFEDCBA", 4),
        b'F' => (b"XWUTRQPNMLK", 0),
        b'G' => (b"XWUTRQPNMLK", 4),
        b'M' => (b"KLJNPQRTUWX", 3),
        _ => return false,
    };
    let sum = weighted(&characters[1..8], [2, 7, 6, 5, 4, 3, 2]) + offset;
    let place = match characters[0] {
        b'M' => 10 - sum % 11,
        _ => sum % 11,
    };
    letters[place as usize] == characters[8]
}

/// Date of birth, sequence, citizenship, a digit of no more use, and Luhn (Department of Home Affairs).
fn is_south_african(digits: &[u8]) -> bool {
    is_month_and_day(&digits[2..6]) && matches!(digits[10], b'0'..=b'2') && passes_luhn(digits)
}

/// Date of birth and a digit for century and sex. Those that are given since October 2020 have no check digit.
fn is_south_korean(digits: &[u8]) -> bool {
    is_month_and_day(&digits[2..6])
}

/// Of who was born since 2020, from which on 3, 4, 7 and 8 are in use: nearly all those without a check digit.
fn is_south_korean_and_new(digits: &[u8]) -> bool {
    number(&digits[..2]) >= 20 && matches!(digits[6], b'3' | b'4' | b'7' | b'8') && is_south_korean(digits)
}

/// The check digit of those before (Resident Registration Act, Enforcement Rule).
fn is_south_korean_and_checked(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..12], [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    is_south_korean(digits) && (11 - sum % 11) % 10 == digit(digits[12])
}

/// 756 and the check digit of an EAN-13 (ZAS).
fn is_swiss(digits: &[u8]) -> bool {
    digits.starts_with(b"756") && weighted(digits, [1, 3].into_iter().cycle()).is_multiple_of(10)
}

/// Kind of person from 1 to 8, province from 10 on, and a check digit modulo 11 (Department of Provincial Administration).
fn is_thai(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..12], (2..=13).rev());
    matches!(digits[0], b'1'..=b'8') && digits[1] != b'0' && (11 - sum % 11) % 10 == digit(digits[12])
}

/// Two check digits, of the odd and even places and of all (NVİ).
fn is_turkish(digits: &[u8]) -> bool {
    let places = |from: usize| digits[from..9].iter().step_by(2).map(|&character| digit(character)).sum::<u32>();
    let (odd, even) = (places(0), places(1));
    // Ten times eight is enough to keep it from being negative.
    let tenth = (odd * 7 + 80 - even) % 10;
    let eleventh = (odd + even + digit(digits[9])) % 10;
    digits[0] != b'0' && tenth == digit(digits[9]) && eleventh == digit(digits[10])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_digit_changed_is_no_number() {
        for (country, number) in [
            (Country::Belgium, "85.07.30-033.28"),
            (Country::Canada, "130-692-544"),
            (Country::China, "11010519491231002X"),
            (Country::Finland, "131052-308T"),
            (Country::Mexico, "HEGG560427MVZRRL04"),
            (Country::Norway, "01019010046"),
            (Country::SouthAfrica, "8001015009087"),
            (Country::Switzerland, "756.9217.0769.85"),
            (Country::Thailand, "1101700234568"),
            (Country::Turkey, "10000000146"),
        ] {
            let takes = |text: &str| {
                let of_country = ALL.iter().filter(|written| written.country == country);
                of_country.into_iter().any(|written| at_start(written, text.as_bytes(), 0) == Some(text.len()))
            };
            let body = &number[..number.len() - 1];
            let last = number.chars().last().unwrap();
            let right: Vec<char> =
                ('0'..='9').chain('A'..='Z').filter(|last| takes(&format!("{body}{last}"))).collect();
            assert_eq!(right, [last], "{number}");
        }
    }

    #[test]
    fn what_belongs_to_more_is_no_number() {
        for text in ["756.9217.0769.85", "HEGG560427MVZRRL04", "131052-308T"] {
            let found =
                |text: &str, start| ALL.iter().any(|written| at_start(written, text.as_bytes(), start).is_some());
            assert!(found(text, 0), "{text}");
            for joined in [format!("{text}x"), format!("{text}-1"), format!("{text}_1")] {
                assert!(!found(&joined, 0), "{joined}");
            }
        }
        assert!(is_joined_before(b"a-1", 2) && is_joined_before(b"1.1", 2));
        assert!(!is_joined_before(b"a 1", 2) && !is_joined_before(b"-1", 1) && !is_joined_before(b"1", 0));
    }
}
