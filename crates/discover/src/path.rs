//! From a raw path to segments.
//!
//! What a caller can vary without meaning another endpoint is taken away here: empty segments (double and trailing
//! slashes), dot segments, percent-encoding, a matrix parameter (`;jsessionid=…`). A segment's key ignores ASCII case.
//!
//! An [operation](crate::operations) stands behind the path, as a fragment stands in a URL. A segment that begins with `#`
//! stays percent-encoded, so that nobody can write one into a path.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::operations::MARK;
use crate::partial::{of_file, of_key};

/// A segment of a path, percent-decoded.
#[derive(Debug, Clone)]
pub(crate) struct Segment<'a> {
    pub text: Cow<'a, str>,
    /// What it is learned by, where a part of it [is a value](crate::partial).
    pub pattern: Option<Box<str>>,
}

impl<'a> Segment<'a> {
    fn of(text: Cow<'a, str>) -> Self {
        Segment { text, pattern: None }
    }

    /// The name that it has in the trie, if it has one.
    pub fn name(&self) -> &str {
        self.pattern.as_deref().unwrap_or(&self.text)
    }
}

/// A path cut into segments.
#[derive(Debug, Clone)]
pub(crate) struct Path<'a> {
    pub segments: SmallVec<[Segment<'a>; 12]>,
    /// What is asked of an endpoint that takes many operations.
    pub operation: Option<Cow<'a, str>>,
    /// The path ended in a slash, the root path aside.
    pub trailing_slash: bool,
}

impl<'a> Path<'a> {
    /// Cuts a raw path; `None` when it has more than `depth_max` segments.
    pub fn parse(raw: &'a str, depth_max: usize) -> Option<Self> {
        let mut path = Path { segments: SmallVec::new(), operation: None, trailing_slash: false };
        let mut begin = 0;
        let mut is_plain = true;
        // One pass over the bytes finds the segments and those few that have something to decode.
        for (at, byte) in raw.bytes().enumerate() {
            match byte {
                b'/' => {
                    path.push(&raw[begin..at], is_plain);
                    (begin, is_plain) = (at + 1, true);
                }
                b'%' | b';' | b'(' => is_plain = false,
                _ => {}
            }
        }
        path.push(&raw[begin..], is_plain);
        if path.segments.len() > depth_max {
            return None;
        }
        if let Some(last) = path.segments.last_mut().filter(|last| last.pattern.is_none()) {
            last.pattern = of_file(&last.text).map(Into::into);
        }
        path.trailing_slash = raw.ends_with('/') && !path.segments.is_empty();
        Some(path)
    }

    /// The path of these texts, as [`Path::texts`] gives them.
    pub fn of(texts: &'a [Box<str>]) -> Self {
        let (segments, operation) = match texts {
            [segments @ .., mark, operation] if **mark == *MARK => (segments, Some(Cow::Borrowed(&**operation))),
            segments => (segments, None),
        };
        let segments = segments.iter().map(|text| Segment::of(Cow::Borrowed(&**text))).collect();
        Path { segments, operation, trailing_slash: false }
    }

    /// The texts of its segments, and behind them the mark and its operation, as they stand in the trie.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let operation = self.operation.iter().flat_map(|operation| [MARK, &**operation]);
        self.segments.iter().map(Segment::name).chain(operation)
    }

    fn push(&mut self, piece: &'a str, is_plain: bool) {
        // A key may have a semicolon in its quotes.
        let key = if is_plain || !piece.contains('(') { None } else { of_key(&decode(piece)) };
        if let Some(pattern) = key {
            return self.segments.push(Segment { text: decode(piece), pattern: Some(pattern.into()) });
        }
        let text = if is_plain { Cow::Borrowed(piece) } else { clean(piece) };
        match text.as_ref() {
            "" | "." => {}
            ".." => {
                self.segments.pop();
            }
            encoded if encoded.starts_with(MARK) => {
                self.segments.push(Segment::of(Cow::Owned(format!("%23{}", &encoded[MARK.len()..]))));
            }
            _ => {
                let pattern = if is_plain { None } else { of_key(&text).map(Into::into) };
                self.segments.push(Segment { text, pattern });
            }
        }
    }
}

/// Decodes percent-encoding and drops a matrix parameter.
fn clean(piece: &str) -> Cow<'_, str> {
    let name = match piece.split_once(';') {
        Some((name, _)) if !name.is_empty() => name,
        _ => piece,
    };
    decode(name)
}

/// Percent-decodes; what is no valid escape, or would not be UTF-8, stays as it was sent.
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape =
            (bytes[at] == b'%').then(|| Some((hex(*bytes.get(at + 1)?)?, hex(*bytes.get(at + 2)?)?))).flatten();
        if let Some((high, low)) = escape {
            decoded.push(high << 4 | low);
            at += 3;
        } else {
            decoded.push(bytes[at]);
            at += 1;
        }
    }
    match String::from_utf8(decoded) {
        Ok(decoded) => Cow::Owned(decoded),
        Err(_) => Cow::Borrowed(text),
    }
}

fn hex(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// The key of a name among its siblings: rapidhash v3 over the ASCII-lower-cased text. It is part of the snapshot format.
pub(crate) fn segment_key(text: &str) -> u64 {
    let bytes = text.as_bytes();
    if !bytes.iter().any(u8::is_ascii_uppercase) {
        return rapidhash::v3::rapidhash_v3(bytes);
    }
    let mut lower: SmallVec<[u8; 64]> = SmallVec::from_slice(bytes);
    lower.make_ascii_lowercase();
    rapidhash::v3::rapidhash_v3(&lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(raw: &str) -> Vec<String> {
        Path::parse(raw, 24).unwrap().segments.iter().map(|segment| segment.text.to_string()).collect()
    }

    #[test]
    fn variants_of_one_path_cut_alike() {
        let same = [
            "/api/users/7",
            "/api/users/7/",
            "//api///users/7",
            "/api/u%73ers/7",
            "/api/./users/7",
            "/api/x/../users/7",
            "/api/x/%2e%2E/users/7",
            "/api/users/7;jsessionid=1",
            "api/users/7",
        ];
        for raw in same {
            assert_eq!(cut(raw), ["api", "users", "7"], "{raw}");
        }
    }

    #[test]
    fn odd_paths_are_kept_as_they_are() {
        let cases: [(&str, &[&str]); 9] = [
            ("", &[]),
            ("/", &[]),
            ("/../..", &[]),
            ("/a%2Fb", &["a/b"]),
            ("/100%", &["100%"]),
            ("/%zz%4", &["%zz%4"]),
            ("/%ff", &["%ff"]),
            ("/;x", &[";x"]),
            ("/%23/%23x/a%23b", &["%23", "%23x", "a#b"]),
        ];
        for (raw, expected) in cases {
            assert_eq!(cut(raw), expected, "{raw}");
        }
    }

    #[test]
    fn depth_is_limited() {
        assert!(Path::parse(&"/a".repeat(24), 24).is_some());
        assert!(Path::parse(&"/a".repeat(25), 24).is_none());
    }

    #[test]
    fn keys_ignore_ascii_case() {
        assert_eq!(segment_key("Users"), segment_key("users"));
        assert_ne!(segment_key("users"), segment_key("user"));
    }
}
