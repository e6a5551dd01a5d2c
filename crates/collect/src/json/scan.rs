//! Where strings, numbers and whole values of JSON end (RFC 8259).

/// Bytes looked at together, in one register.
const LANES: usize = 8;

/// The lowest bit of each byte, and the highest.
const LOW: u64 = u64::MAX / 255;
const HIGH: u64 = LOW << 7;

/// The offset of the first byte from `at` on that ends a piece of a string or may not stand in one: a quote, a backslash, a
/// control character; the length if there is none.
#[inline(always)]
pub(super) fn special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<LANES>()) {
        let word = u64::from_le_bytes(*chunk);
        let found = below(word ^ (LOW * 0x22), 1) | below(word ^ (LOW * 0x5c), 1) | below(word, b' ');
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += LANES;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let is_special = |&byte: &u8| matches!(byte, b'"' | b'\\' | 0..b' ');
    rest.iter().position(is_special).map_or(bytes.len(), |length| at + length)
}

/// Marks with its highest bit each byte that is below a limit of at most 128. Behind the first that is, others may be marked, too
/// ("Bit Twiddling Hacks", Sean Eron Anderson).
#[inline(always)]
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(LOW * u64::from(limit)) & !word & HIGH
}

/// The offset behind the quote that ends the string whose content begins at `at`.
#[inline(always)]
pub(super) fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = special(bytes, at);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += escape_length(&bytes[at..])?,
            _ => return None,
        }
    }
}

/// The length of the escape that the bytes begin with.
fn escape_length(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// What a string says whose escapes are right. `None` where one has four digits.
pub(super) fn unescaped(mut string: &str) -> Option<String> {
    let mut unescaped = String::with_capacity(string.len());
    while let Some(at) = memchr::memchr(b'\\', string.as_bytes()) {
        unescaped.push_str(&string[..at]);
        unescaped.push(match string.as_bytes()[at + 1] {
            b'u' => return None,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            itself => char::from(itself),
        });
        string = &string[at + 2..];
    }
    unescaped.push_str(string);
    Some(unescaped)
}

/// The offset behind the number that begins at `at`.
#[inline(always)]
pub(super) fn number_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    at += usize::from(bytes.get(at) == Some(&b'-'));
    at = match bytes.get(at)? {
        b'0' => at + 1,
        _ => digits_end(bytes, at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits_end(bytes, at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        at = digits_end(bytes, at)?;
    }
    Some(at)
}

/// The offset behind at least one digit.
#[inline(always)]
fn digits_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    (at > start).then_some(at)
}

/// The value of a number that is an integer of so few digits that it cannot overflow.
pub(super) fn short_integer(number: &str) -> Option<u64> {
    const DIGITS_MAX: usize = 18;
    let is_short = number.len() <= DIGITS_MAX && number.bytes().all(|byte| byte.is_ascii_digit());
    is_short.then(|| number.bytes().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// The offset behind the value that begins at `at`, all of which is JSON.
pub(super) fn value_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => string_end(bytes, at + 1),
        b'{' => object_end(bytes, at + 1),
        b'[' => array_end(bytes, at + 1),
        b'-' | b'0'..=b'9' => number_end(bytes, at),
        b'n' => literal_end(bytes, at, b"null"),
        b't' => literal_end(bytes, at, b"true"),
        b'f' => literal_end(bytes, at, b"false"),
        _ => None,
    }
}

fn object_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = without_spaces(bytes, at);
    if bytes.get(at) == Some(&b'}') {
        return Some(at + 1);
    }
    loop {
        if bytes.get(at) != Some(&b'"') {
            return None;
        }
        at = without_spaces(bytes, string_end(bytes, at + 1)?);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        at = value_end(bytes, without_spaces(bytes, at + 1))?;
        at = without_spaces(bytes, at);
        match bytes.get(at)? {
            b',' => at = without_spaces(bytes, at + 1),
            b'}' => return Some(at + 1),
            _ => return None,
        }
    }
}

fn array_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = without_spaces(bytes, at);
    if bytes.get(at) == Some(&b']') {
        return Some(at + 1);
    }
    loop {
        at = without_spaces(bytes, value_end(bytes, at)?);
        match bytes.get(at)? {
            b',' => at = without_spaces(bytes, at + 1),
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
}

fn literal_end(bytes: &[u8], at: usize, literal: &[u8]) -> Option<usize> {
    bytes[at..].starts_with(literal).then_some(at + literal.len())
}

#[inline(always)]
fn without_spaces(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}
