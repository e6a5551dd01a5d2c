//! Credentials inside longer texts: the URL of a `referer`, a list of parameters, JSON, a path segment.
//!
//! Decides where such a credential begins and ends: the value after `name=`, `name: ` or `"name":` where the name says credential, the
//! password of `user:password@host`, a private key, and a token that looks like one. The user of such a URL is somebody's
//! name and found here too, because only here it is known to be no mail address. What becomes of a span is up to module
//! `redact`.

use outrider_classify::{CredentialShape, VALUE_BYTES_MIN, credential_shape, is_credential_name, private_key_at};

use crate::normalise::percent_decoded;

/// Where a text comes from, which says where a value in it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A path as it stands in the request line.
    Path,
    /// A text that begins with or holds a URL.
    Url,
    /// Any other.
    List,
}

impl Place {
    /// The place of a text that is no path.
    pub(super) fn of(text: &str) -> Self {
        if text.starts_with('/') || text.contains("://") { Place::Url } else { Place::List }
    }
}

/// What a span holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Credential,
    User,
}

/// Calls `take` with start, end and content of each span, in order.
pub(super) fn find(text: &str, place: Place, take: impl FnMut(usize, usize, Held)) {
    if text.len() < VALUE_BYTES_MIN && !text.contains(['=', ':']) {
        return;
    }
    Search { text, place, take }.run();
}

struct Search<'t, T> {
    text: &'t str,
    place: Place,
    take: T,
}

impl<T: FnMut(usize, usize, Held)> Search<'_, T> {
    fn run(mut self) {
        let bytes = self.text.as_bytes();
        let mut start = 0;
        let mut in_path = self.place != Place::List;
        while start < bytes.len() {
            let end = bytes[start..].iter().position(|&byte| ends_token(byte)).map_or(bytes.len(), |at| start + at);
            let next = bytes.get(end).copied();
            let token = &self.text[start..end];
            start = match next {
                Some(b'=') if !token.is_empty() && is_credential_name(&percent_decoded(token)) => {
                    self.take(self.value_after(end + 1, in_path))
                }
                Some(b'"') if !token.is_empty() && is_credential_name(token) => match self.json_value_after(end) {
                    Some(span) => self.take(span),
                    None => end + 1,
                },
                Some(b':') if bytes[end..].starts_with(b": ") && is_credential_name(token) => {
                    self.take(self.value_after(end + 2, false))
                }
                Some(b':') if bytes[end..].starts_with(b"://") => self.after_authority(end + 3),
                Some(b' ') if is_scheme(token) => self.take(self.value_after(end + 1, false)),
                Some(b' ') if token.ends_with("-----BEGIN") => match private_key_at(self.text, end - 10) {
                    Some(key_end) => self.take((end - 10, key_end)),
                    None => end + 1,
                },
                _ if is_token(token) => self.take((start, end)),
                _ => end + 1,
            };
            in_path &= next != Some(b'?');
        }
    }

    /// Hands out a credential's span and says where to go on.
    fn take(&mut self, (start, end): (usize, usize)) -> usize {
        if start < end {
            (self.take)(start, end, Held::Credential);
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

    /// The span of the value of a JSON member whose name ends with the quote at `quote`; its text or number.
    fn json_value_after(&self, quote: usize) -> Option<(usize, usize)> {
        let bytes = self.text.as_bytes();
        let skip = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let colon = skip(quote + 1);
        if bytes.get(colon) != Some(&b':') {
            return None;
        }
        let start = skip(colon + 1);
        match bytes.get(start)? {
            b'"' => {
                let length = json_text_length(&bytes[start + 1..]);
                Some((start + 1, start + 1 + length))
            }
            b'0'..=b'9' | b'-' => {
                let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-');
                Some((start, start + length.count()))
            }
            _ => None,
        }
    }

    /// Hands out user and password of `user:password@host` and says where to go on: behind them, else at the start.
    fn after_authority(&mut self, start: usize) -> usize {
        let rest = &self.text.as_bytes()[start..];
        let ends = |byte: &u8| matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b' ' | b'\t');
        let authority = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
        let Some(at) = memchr::memrchr(b'@', authority) else {
            return start;
        };
        let colon = memchr::memchr(b':', &authority[..at]);
        let user = colon.unwrap_or(at);
        if user > 0 {
            (self.take)(start, start + user, Held::User);
        }
        match colon {
            Some(colon) => self.take((start + colon + 1, start + at)),
            None => start + at + 1,
        }
    }
}

/// Up to the quote that no backslash stands before, or to the end.
fn json_text_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(step) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        if bytes[at + step] == b'"' {
            return at + step;
        }
        at += step + 2;
    }
    bytes.len()
}

/// A key or a token of one word. What has spaces of its own is found where they are not escaped.
fn is_token(token: &str) -> bool {
    use CredentialShape::{JsonWebToken, ProviderKey};
    token.len() >= VALUE_BYTES_MIN
        && matches!(credential_shape(&percent_decoded(token)), Some(JsonWebToken | ProviderKey))
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
            | b'\\'
    )
}
