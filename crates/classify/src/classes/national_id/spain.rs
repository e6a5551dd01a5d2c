//! DNI and NIE: eight digits, or X, Y or Z and seven, and a letter by the number modulo 23 (Real Decreto 1553/2005).

use super::super::number::Number;

const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// `12345678-Z`.
pub(super) fn digits_at(number: &Number<'_>, _is_named: bool) -> Option<usize> {
    let (digits, end) = number.bare(8)?;
    let [separator @ (b'-' | b' '), letter, rest @ ..] = number.after(end) else {
        return None;
    };
    let is_word = !rest.first().is_some_and(u8::is_ascii_alphanumeric);
    // A single letter behind a number and a space is the next word more often.
    let is_meant = *separator == b'-' || letter.is_ascii_uppercase();
    let number = digits.iter().fold(0, |sum, &digit| sum * 10 + u32::from(digit));
    (is_word && is_meant && is_letter_of(number, *letter)).then_some(end + 2)
}

/// A DNI that lost its leading zero: seven digits and the letter.
pub(super) fn is_short_dni(word: &[u8]) -> bool {
    let Some((letter, digits)) = word.split_last().filter(|(_, digits)| digits.iter().all(u8::is_ascii_digit)) else {
        return false;
    };
    is_letter_of(digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')), *letter)
}

/// The word has nine bytes.
pub(super) fn is_dni_or_nie(word: &[u8]) -> bool {
    let [first, middle @ .., last] = word else {
        return false;
    };
    let prefix = match first.to_ascii_uppercase() {
        digit @ b'0'..=b'9' => digit - b'0',
        letter @ b'X'..=b'Z' => letter - b'X',
        _ => return false,
    };
    if !middle.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number = middle.iter().fold(u32::from(prefix), |sum, digit| sum * 10 + u32::from(digit - b'0'));
    is_letter_of(number, *last)
}

/// `X-1234567-L`, `X1234567-L`.
pub(super) fn hyphenated_nie_at(text: &[u8], start: usize, word_end: usize) -> Option<usize> {
    const WRITTEN_BYTES_MAX: usize = 11;
    if !matches!(text[start].to_ascii_uppercase(), b'X'..=b'Z') || !matches!(word_end - start, 1 | 8) {
        return None;
    }
    let mut word = [0; 9];
    let mut length = 0;
    let mut end = start;
    while length < word.len() {
        let byte = *text.get(end).filter(|_| end - start < WRITTEN_BYTES_MAX)?;
        if byte.is_ascii_alphanumeric() {
            word[length] = byte;
            length += 1;
        } else if byte != b'-' || !matches!(length, 1 | 8) {
            return None;
        }
        end += 1;
    }
    let is_word = !text.get(end).is_some_and(u8::is_ascii_alphanumeric);
    (is_word && is_dni_or_nie(&word)).then_some(end)
}

fn is_letter_of(number: u32, letter: u8) -> bool {
    LETTERS[number as usize % LETTERS.len()] == letter.to_ascii_uppercase()
}
