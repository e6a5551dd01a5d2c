//! What a text says when one layer of its encoding is taken off, and where in the text each part of that stands.
//!
//! Percent escapes and those of JSON are one layer together: whoever nests one in the other has the next layer looked at
//! next. Base64 is different, as nothing in it can be replaced in place: module `redact` writes it anew.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use crate::lossless;

/// Shorter runs hold nothing that could be a person's: eight characters are six bytes.
const RUN_BYTES_MIN: usize = 8;

/// A text without one layer of escapes.
#[derive(Debug)]
pub(super) struct View {
    pub(super) text: String,
    /// For each byte of the text, and for its end, the offset in the encoded text that it begins at.
    origins: Vec<usize>,
}

impl View {
    /// `None` if nothing in the text is escaped.
    pub(super) fn decoded(text: &str) -> Option<View> {
        let first = memchr::memchr2(b'%', b'\\', text.as_bytes())?;
        let source = text.as_bytes();
        let mut bytes = Vec::with_capacity(source.len());
        let mut origins = Vec::with_capacity(source.len() + 1);
        let mut at = 0;
        let mut is_escaped = false;
        while at < source.len() {
            let escape = if at < first { None } else { escape_at(&source[at..]) };
            let Some((character, length)) = escape else {
                bytes.push(source[at]);
                origins.push(at);
                at += 1;
                continue;
            };
            is_escaped = true;
            let before = bytes.len();
            character.push_to(&mut bytes);
            origins.extend(std::iter::repeat_n(at, bytes.len() - before));
            at += length;
        }
        origins.push(source.len());
        is_escaped.then(|| View::of(bytes, origins))
    }

    /// Makes bytes that are not UTF-8 the characters that stand for them.
    fn of(bytes: Vec<u8>, origins: Vec<usize>) -> View {
        let bytes = match String::from_utf8(bytes) {
            Ok(text) => return View { text, origins },
            Err(error) => error.into_bytes(),
        };
        let mut view = View { text: String::new(), origins: Vec::with_capacity(origins.len()) };
        let mut at = 0;
        for chunk in bytes.utf8_chunks() {
            view.text.push_str(chunk.valid());
            view.origins.extend_from_slice(&origins[at..at + chunk.valid().len()]);
            at += chunk.valid().len();
            for byte in chunk.invalid() {
                let before = view.text.len();
                view.text.push_str(&lossless::to_text(&[*byte]));
                view.origins.extend(std::iter::repeat_n(origins[at], view.text.len() - before));
                at += 1;
            }
        }
        view.origins.push(origins[at]);
        view
    }

    /// The span of the encoded text that these bytes of the view come from.
    pub(super) fn origin(&self, start: usize, end: usize) -> (usize, usize) {
        (self.origins[start], self.origins[end])
    }
}

/// What an escape stands for.
enum Escaped {
    Byte(u8),
    Character(char),
}

impl Escaped {
    fn push_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Escaped::Byte(byte) => bytes.push(*byte),
            Escaped::Character(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// The escape that the bytes begin with, and its length: `%40`, `\u0040`, `\"`.
fn escape_at(bytes: &[u8]) -> Option<(Escaped, usize)> {
    let hex = |digits: &[u8]| {
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        is_hex.then(|| digits.iter().fold(0, |sum, &digit| sum * 16 + char::from(digit).to_digit(16).unwrap_or(0)))
    };
    match bytes {
        // Two digits make no more than a byte.
        [b'%', high, low, ..] => Some((Escaped::Byte(hex(&[*high, *low])? as u8), 3)),
        [b'\\', b'u', a, b, c, d, ..] => Some((Escaped::Character(char::from_u32(hex(&[*a, *b, *c, *d])?)?), 6)),
        [b'\\', escaped, ..] => {
            let byte = match escaped {
                b'"' | b'\\' | b'/' | b'\'' => *escaped,
                b'n' | b'r' | b't' => b'\n',
                _ => return None,
            };
            Some((Escaped::Byte(byte), 2))
        }
        _ => None,
    }
}

/// Text that was found in base64, and how to write another in its place.
pub(super) struct Base64 {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: String,
    is_url_safe: bool,
    is_padded: bool,
}

impl Base64 {
    /// Another text in the same alphabet.
    pub(super) fn encode(&self, text: &str) -> String {
        let bytes = lossless::to_bytes(text);
        match (self.is_url_safe, self.is_padded) {
            (true, true) => URL_SAFE.encode(bytes),
            (true, false) => URL_SAFE_NO_PAD.encode(bytes),
            (false, true) => STANDARD.encode(bytes),
            (false, false) => STANDARD_NO_PAD.encode(bytes),
        }
    }
}

/// Calls `take` with each part of the text that is text in base64. A run of the alphabet is tried as a whole and then, since
/// `/`, `-` and `_` separate words as well, by its pieces.
pub(super) fn for_each_base64(text: &str, mut take: impl FnMut(Base64)) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let length = bytes[start..].iter().take_while(|&&byte| is_of_alphabet(byte)).count();
        let end = start + length;
        if length >= RUN_BYTES_MIN {
            match base64_at(text, start, end) {
                Some(found) => take(found),
                None => for_each_piece(text, start, end, &mut take),
            }
        }
        start = end + 1;
    }
}

fn for_each_piece(text: &str, start: usize, end: usize, take: &mut impl FnMut(Base64)) {
    let bytes = text.as_bytes();
    for is_separator in [|byte: u8| byte == b'/', |byte: u8| matches!(byte, b'/' | b'-' | b'_')] {
        let mut piece = start;
        while piece < end {
            let length = bytes[piece..end].iter().take_while(|&&byte| !is_separator(byte)).count();
            if length < end - start
                && length >= RUN_BYTES_MIN
                && let Some(found) = base64_at(text, piece, piece + length)
            {
                take(found);
            }
            piece += length + 1;
        }
    }
}

/// The run from `start` to `end`, with the padding behind it, if it is text. Ids are of the same alphabet, and words are;
/// their first bytes show that they are not.
fn base64_at(text: &str, start: usize, end: usize) -> Option<Base64> {
    let run = &text.as_bytes()[start..end];
    if !begins_as_text(run) {
        return None;
    }
    let padding = text.as_bytes()[end..].iter().take_while(|&&byte| byte == b'=').take(2).count();
    let is_url_safe = run.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let decoded = if is_url_safe { URL_SAFE_NO_PAD.decode(run) } else { STANDARD_NO_PAD.decode(run) };
    let text = String::from_utf8(decoded.ok()?).ok()?;
    Some(Base64 { start, end: end + padding, text, is_url_safe, is_padded: padding > 0 })
}

/// Whether the first bytes are UTF-8 without control characters once they are decoded. Nothing is allocated for it.
fn begins_as_text(run: &[u8]) -> bool {
    let bits = run[..RUN_BYTES_MIN].iter().fold(0, |bits, &byte| bits << 6 | u64::from(SEXTETS[usize::from(byte)]));
    // Eight characters are six bytes, the lower six of eight.
    let bytes = &bits.to_be_bytes()[2..];
    if !may_begin_character(bytes[0]) {
        return false;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // The last character may go on behind them.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
        Err(_) => return false,
    };
    text.chars().all(|character| !character.is_control() || character.is_ascii_whitespace())
}

/// Whether a character that is no control character can begin with this byte in UTF-8. Half of what is no text is seen by it.
fn may_begin_character(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | 0xc2..=0xf4) || byte.is_ascii_whitespace()
}

/// What stands for a byte that is in neither alphabet.
const NO_SEXTET: u8 = 64;

/// The six bits of each character of either alphabet.
const SEXTETS: [u8; 256] = {
    let mut sextets = [NO_SEXTET; 256];
    let mut byte = 0;
    while byte < 256 {
        sextets[byte] = match byte as u8 {
            letter @ b'A'..=b'Z' => letter - b'A',
            letter @ b'a'..=b'z' => letter - b'a' + 26,
            digit @ b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => NO_SEXTET,
        };
        byte += 1;
    }
    sextets
};

fn is_of_alphabet(byte: u8) -> bool {
    SEXTETS[usize::from(byte)] != NO_SEXTET
}
