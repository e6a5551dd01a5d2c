//! Credentials inside longer texts: the URL of a `referer`, a list of parameters, a path segment.
//!
//! Decides where such a credential begins and ends: the value after `name=` where the name says credential, and a token
//! that looks like one. What is found is replaced by the pseudonym's text `ps_...`, the rest stays as it is.

use outrider_classify::{VALUE_BYTES_MIN, credential_shape, is_credential_name};
use outrider_model::Pseudonym;

use crate::normalise::percent_decoded;

/// The text with its credentials replaced; `None` if it has none.
pub(super) fn redact(text: &str, pseudonym: impl Fn(&str) -> Pseudonym) -> Option<String> {
    if text.len() < VALUE_BYTES_MIN && !text.contains('=') {
        return None;
    }
    let is_url = text.starts_with('/') || text.contains("://");
    Redaction::of(text, if is_url { Place::Url } else { Place::List }, &pseudonym).run()
}

/// As [`redact`], for a path as it stands in the request line.
pub(super) fn redact_path(path: &str, pseudonym: impl Fn(&str) -> Pseudonym) -> Option<String> {
    if path.len() < VALUE_BYTES_MIN && !path.contains('=') {
        return None;
    }
    Redaction::of(path, Place::Path, &pseudonym).run()
}

/// Where a text comes from, which says where a value in it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Url,
    List,
}

struct Redaction<'t, P> {
    text: &'t str,
    place: Place,
    pseudonym: P,
    out: String,
    copied: usize,
}

impl<'t, P: Fn(&str) -> Pseudonym> Redaction<'t, P> {
    fn of(text: &'t str, place: Place, pseudonym: P) -> Self {
        Redaction { text, place, pseudonym, out: String::new(), copied: 0 }
    }

    fn run(mut self) -> Option<String> {
        let bytes = self.text.as_bytes();
        let mut start = 0;
        let mut in_path = self.place != Place::List;
        while start < bytes.len() {
            let end = bytes[start..].iter().position(|&byte| ends_token(byte)).map_or(bytes.len(), |at| start + at);
            let next = bytes.get(end).copied();
            let token = &self.text[start..end];
            if next == Some(b'=') && !token.is_empty() && is_credential_name(&percent_decoded(token)) {
                start = self.replace(self.value_after(end + 1, in_path));
            } else if next == Some(b':') && bytes[end..].starts_with(b"://") {
                start = self.after_authority(end + 3);
            } else if next == Some(b' ') && is_scheme(token) {
                start = self.replace(self.value_after(end + 1, false));
            } else if token.len() >= VALUE_BYTES_MIN && credential_shape(&percent_decoded(token)).is_some() {
                start = self.replace((start, end));
            } else {
                start = end + 1;
            }
            in_path &= next != Some(b'?');
        }
        if self.copied == 0 {
            return None;
        }
        self.out.push_str(&self.text[self.copied..]);
        Some(self.out)
    }

    /// Replaces a span by its pseudonym and says where to go on.
    fn replace(&mut self, (start, end): (usize, usize)) -> usize {
        let value = percent_decoded(&self.text[start..end]);
        if !value.is_empty() {
            self.out.push_str(&self.text[self.copied..start]);
            self.out.push_str(&(self.pseudonym)(&value).to_string());
            self.copied = end;
        }
        end + 1
    }

    /// The span of a value that begins at `start`.
    fn value_after(&self, start: usize, in_path: bool) -> (usize, usize) {
        let rest = &self.text.as_bytes()[start..];
        if let Some(quoted) = rest.strip_prefix(b"\"")
            && let Some(length) = memchr::memchr(b'"', quoted)
        {
            return (start + 1, start + 1 + length);
        }
        let ends = |byte: u8| match byte {
            b'&' | b'#' | b'"' | b'\'' | b'<' | b'>' | b' ' | b'\t' => true,
            b';' => self.place == Place::List || in_path,
            b',' => self.place == Place::List,
            b'/' | b'?' => in_path,
            _ => false,
        };
        (start, rest.iter().position(|&byte| ends(byte)).map_or(self.text.len(), |length| start + length))
    }

    /// Replaces the password of `user:password@host` and says where to go on: behind it, else at the start.
    fn after_authority(&mut self, start: usize) -> usize {
        let rest = &self.text.as_bytes()[start..];
        let ends = |byte: &u8| matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b' ' | b'\t');
        let authority = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
        let Some(at) = memchr::memrchr(b'@', authority) else {
            return start;
        };
        match memchr::memchr(b':', &authority[..at]) {
            Some(colon) => self.replace((start + colon + 1, start + at)),
            None => start + at + 1,
        }
    }
}

fn is_scheme(token: &str) -> bool {
    token.eq_ignore_ascii_case("bearer") || token.eq_ignore_ascii_case("basic")
}

fn ends_token(byte: u8) -> bool {
    matches!(
        byte,
        b'=' | b'&'
            | b'?'
            | b'#'
            | b';'
            | b','
            | b':'
            | b'@'
            | b'/'
            | b' '
            | b'\t'
            | b'"'
            | b'\''
            | b'<'
            | b'>'
            | b'('
            | b')'
            | b'|'
            | b'{'
            | b'}'
    )
}
