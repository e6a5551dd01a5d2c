//! Bytes that are not UTF-8 to text and back.
//!
//! Kong passes raw bytes of URIs and headers through, so real lines, attacks above all, are not always UTF-8. Each byte
//! 0x80..0xFF that is no part of a valid character becomes one character of the private range U+F780..U+F7FF. A character of
//! that range in the original is itself mapped byte by byte, so that two different lines never give the same text and
//! [`to_bytes`] gives back exactly the bytes that [`to_text`] took.
//!
//! It is applied to the whole line before JSON is parsed. Left out: a JSON escape such as `\uf7e9` in the line gives the
//! same character as the raw byte 0xE9 after parsing; Kong never writes such an escape.

use std::borrow::Cow;

/// First character of the private range; stands for byte 0x80.
const FIRST: u32 = 0xf780;

/// Text of the bytes; borrowed where they are UTF-8 and have no character of the private range.
pub fn to_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !has_private(text) => Cow::Borrowed(text),
        _ => {
            let mut text = String::new();
            push_text(bytes, &mut text);
            Cow::Owned(text)
        }
    }
}

/// As [`to_text`], into a buffer of the caller's.
pub(crate) fn write_text(bytes: &[u8], text: &mut Vec<u8>) {
    text.clear();
    // Nearly every line is ASCII, which is seen faster than that it is UTF-8.
    match bytes.is_ascii() {
        true => text.extend_from_slice(bytes),
        false => text.extend_from_slice(to_text(bytes).as_bytes()),
    }
}

/// The bytes that a text of [`to_text`] came from; borrowed where it is the bytes.
pub fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    if !has_private(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut utf8 = [0; 4];
    for character in text.chars() {
        match byte_of(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// U+F780..U+F7FF are EF 9E 80 to EF 9F BF in UTF-8.
fn has_private(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(0xef, bytes).any(|at| matches!(bytes.get(at + 1), Some(0x9e | 0x9f)))
}

fn push_text(bytes: &[u8], text: &mut String) {
    text.reserve(bytes.len() + bytes.len() / 8);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if byte_of(character).is_some() {
                let mut utf8 = [0; 4];
                character.encode_utf8(&mut utf8).bytes().for_each(|byte| text.push(character_of(byte)));
            } else {
                text.push(character);
            }
        }
        chunk.invalid().iter().for_each(|&byte| text.push(character_of(byte)));
    }
}

fn character_of(byte: u8) -> char {
    // Every byte given is 0x80 or more, so the sum is in the private range and a valid character.
    char::from_u32(FIRST + u32::from(byte & 0x7f)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn byte_of(character: char) -> Option<u8> {
    let offset = u32::from(character).checked_sub(FIRST)?;
    u8::try_from(offset).ok().filter(|offset| *offset < 0x80).map(|offset| offset | 0x80)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_bytes() {
        let cases: &[(&[u8], &str)] = &[
            (b"", ""),
            (b"plain", "plain"),
            ("h\u{e9}".as_bytes(), "h\u{e9}"),
            (b"\xe9", "\u{f7e9}"),
            (b"a\xffb", "a\u{f7ff}b"),
            (b"\x80", "\u{f780}"),
            (b"\0", "\0"),
            ("\u{f7e9}".as_bytes(), "\u{f7ef}\u{f79f}\u{f7a9}"),
            ("\u{f800}\u{f77f}".as_bytes(), "\u{f800}\u{f77f}"),
            (b"\xed\xa0\x80", "\u{f7ed}\u{f7a0}\u{f780}"),
        ];
        for (bytes, text) in cases {
            assert_eq!(to_text(bytes), *text);
            let mut written = b"old".to_vec();
            write_text(bytes, &mut written);
            assert_eq!(written, text.as_bytes());
            assert_eq!(&*to_bytes(text), *bytes);
        }
        assert!(matches!(to_text("h\u{e9}".as_bytes()), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), Just(0xef), Just(0x9e), Just(0x9f), 0x80u8..0xc0], 0..60,
        )) {
            let text = to_text(&bytes);
            prop_assert_eq!(&*to_bytes(&text), &bytes[..]);
        }

        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            let seen = to_text(text.as_bytes());
            prop_assert_eq!(&*to_bytes(&seen), text.as_bytes());
        }
    }
}
