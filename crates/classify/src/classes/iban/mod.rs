#![doc = include_str!("README.md")]

/// Countries with the length of their numbers (SWIFT IBAN registry, release 99).
const LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// Where the account's number ends, if one begins with the word from `start` to `word_end`.
pub(super) fn at(text: &[u8], start: usize, word_end: usize) -> Option<usize> {
    let [first, second, check_1, check_2, ..] = *text.get(start..word_end)? else {
        return None;
    };
    if !first.is_ascii_alphabetic() || !second.is_ascii_alphabetic() {
        return None;
    }
    if !check_1.is_ascii_digit() || !check_2.is_ascii_digit() {
        return None;
    }
    let country = [first.to_ascii_uppercase(), second.to_ascii_uppercase()];
    let (_, length) = LENGTHS.iter().find(|(known, _)| **known == country)?;
    let end = end_of(text, start, word_end, *length)?;
    is_checked(&text[start..end]).then_some(end)
}

/// One word, or words of four with one separator between them.
fn end_of(text: &[u8], start: usize, word_end: usize, length: usize) -> Option<usize> {
    if word_end - start == length {
        return Some(word_end);
    }
    let separator = *text.get(word_end)?;
    if word_end - start != 4 || !matches!(separator, b' ' | b'-') {
        return None;
    }
    let end = start + length + (length - 1) / 4;
    let printed = text.get(start..end)?;
    let is_printed = printed.iter().enumerate().all(|(index, &byte)| match index % 5 {
        4 => byte == separator,
        _ => byte.is_ascii_alphanumeric(),
    });
    let is_longer = text.get(end).is_some_and(u8::is_ascii_alphanumeric);
    (is_printed && !is_longer).then_some(end)
}

/// ISO/IEC 7064, MOD 97-10, with the first four characters behind the rest.
fn is_checked(number: &[u8]) -> bool {
    let characters = || number.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let rest =
        characters().skip(4).chain(characters().take(4)).fold(0u32, |rest, &byte| match byte.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
            digit => (rest * 10 + u32::from(digit - b'0')) % 97,
        });
    rest == 1
}
