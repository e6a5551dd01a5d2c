//! Credentials inside longer texts: the URL of a `referer`, a list of parameters, JSON, a path segment.
//!
//! Decides where such a credential begins and ends: the value after `name=`, `name: ` or `"name":` where the name says credential, the
//! password of `user:password@host`, a private key, and a token that looks like one. The user of such a URL is somebody's
//! name and found here too, because only here it is known to be no mail address. What becomes of a span is up to module
//! `redact`.

use outrider_classify::{CredentialShape, VALUE_BYTES_MIN, credential_shape, private_key_at};

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
pub(super) enum Held<'t> {
    /// A credential, as the name before it says.
    Named(&'t str),
    /// A credential, as its look or a scheme before it says.
    Token,
    /// The password of `user:password@host`.
    Password,
    /// The user of that.
    User,
}

/// Calls `take` with start, end and content of each span, in order. Which names are a credential's, `is_name` says.
pub(super) fn find<'t>(
    text: &'t str,
    place: Place,
    is_name: impl Fn(&str) -> bool,
    take: impl FnMut(usize, usize, Held<'t>),
) {
    if text.len() < VALUE_BYTES_MIN && !text.contains(['=', ':']) {
        return;
    }
    Search { text, place, is_name, take }.run();
}

struct Search<'t, N, T> {
    text: &'t str,
    place: Place,
    is_name: N,
    take: T,
}

impl<'t, N: Fn(&str) -> bool, T: FnMut(usize, usize, Held<'t>)> Search<'t, N, T> {
    fn run(mut self) {
        let bytes = self.text.as_bytes();
        let mut start = 0;
        let mut in_path = self.place != Place::List;
        while start < bytes.len() {
            let end = bytes[start..].iter().position(|&byte| ends_token(byte)).map_or(bytes.len(), |at| start + at);
            let next = bytes.get(end).copied();
            let token = &self.text[start..end];
            start = match next {
                Some(b'=') if self.names(token, &percent_decoded(token)) => {
                    self.take(self.value_after(end + 1, in_path), Held::Named(token))
                }
                Some(b'"') if self.names(token, token) => self.json_values_after(end, token),
                Some(b':') if bytes[end..].starts_with(b": ") && self.names(token, token) => {
                    self.take(self.value_after(self.without_spaces(end + 1), false), Held::Named(token))
                }
                Some(b':') if bytes[end..].starts_with(b"://") => self.after_authority(end + 3),
                Some(b' ') if is_scheme(token) => {
                    self.take(self.value_after(self.without_spaces(end), false), Held::Token)
                }
                Some(b' ') if token.ends_with("-----BEGIN") => match private_key_at(self.text, end - 10) {
                    Some(key_end) => self.take((end - 10, key_end), Held::Token),
                    None => end + 1,
                },
                _ => {
                    if let Some((from, to)) = token_in(token) {
                        self.take((start + from, start + to), Held::Token);
                    }
                    end + 1
                }
            };
            in_path &= next != Some(b'?');
        }
    }

    /// Whether a word names a credential, by what it says without its escapes. A token may spell a name by chance, as in `…MVpwd.…`, and
    /// is none.
    fn names(&self, token: &str, said: &str) -> bool {
        !token.is_empty() && (self.is_name)(said) && token_in(token).is_none()
    }

    /// Hands out a credential's span and says where to go on.
    fn take(&mut self, (start, end): (usize, usize), held: Held<'t>) -> usize {
        if start < end {
            (self.take)(start, end, held);
        }
        end + 1
    }

    fn without_spaces(&self, start: usize) -> usize {
        start + self.text.as_bytes()[start..].iter().take_while(|&&byte| byte == b' ').count()
    }

    /// The span of a value that begins at `start`, without its quotes.
    fn value_after(&self, start: usize, in_path: bool) -> (usize, usize) {
        if let Some(end) = private_key_at(self.text, start) {
            return (start, end);
        }
        let rest = &self.text.as_bytes()[start..];
        let Some(&quote @ (b'"' | b'\'')) = rest.first() else {
            return (start, self.value_end(start, in_path));
        };
        let inner = &rest[1..];
        let span = match memchr::memchr(quote, inner) {
            Some(length) => (start + 1, start + 1 + length),
            // The text was cut.
            None => (start + 1, self.value_end(start + 1, in_path)),
        };
        let is_closed = rest.get(span.1 - start) == Some(&quote);
        let content = &self.text.as_bytes()[span.0..span.1];
        let is_value = match (quote, is_closed) {
            (b'"', _) => true,
            (_, true) => is_between_quotes(content, inner.get(content.len() + 1).copied()),
            (_, false) => is_behind_quote(content, inner.get(content.len()).copied()),
        };
        // `password=' OR '1'='1` has no value, and its attack stays.
        if is_value { span } else { (start, start) }
    }

    fn value_end(&self, start: usize, in_path: bool) -> usize {
        let ends = |byte: u8| match byte {
            b'&' | b'#' | b'"' | b'\'' | b'<' | b'>' | b' ' | b'\t' | b'\n' | b'\r' => true,
            b';' => self.place == Place::List || in_path,
            b',' => self.place == Place::List,
            b'/' | b'?' => in_path,
            _ => false,
        };
        let length = self.text.as_bytes()[start..].iter().position(|&byte| ends(byte));
        length.map_or(self.text.len(), |length| start + length)
    }

    /// Hands out the value of a JSON member whose name ends with the quote at `quote`, or the values of its list up to the first
    /// that is a list or an object itself, and says where to go on.
    fn json_values_after(&mut self, quote: usize, name: &'t str) -> usize {
        let bytes = self.text.as_bytes();
        let skip = |from: usize| {
            from + bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count())
        };
        let colon = skip(quote + 1);
        if bytes.get(colon) != Some(&b':') {
            return quote + 1;
        }
        let mut at = skip(colon + 1);
        let is_list = bytes.get(at) == Some(&b'[');
        at += usize::from(is_list);
        loop {
            at = skip(at);
            let Some((start, end)) = json_value_at(bytes, at) else {
                return if is_list { at } else { quote + 1 };
            };
            let is_quoted = start > at;
            self.take((start, end), Held::Named(name));
            at = skip(end + usize::from(is_quoted));
            if !is_list || bytes.get(at) != Some(&b',') {
                return at;
            }
            at += 1;
        }
    }

    /// Hands out user and password of `user:password@host` and says where to go on: behind them, else at the start.
    fn after_authority(&mut self, start: usize) -> usize {
        let rest = &self.text.as_bytes()[start..];
        let ends =
            |byte: &u8| matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b' ' | b'\t' | b'\n' | b'\r');
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
            Some(colon) => self.take((start + colon + 1, start + at), Held::Password),
            None => start + at + 1,
        }
    }
}

/// The span of a text or a number of JSON that begins here.
fn json_value_at(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    match bytes.get(start)? {
        b'"' => Some((start + 1, start + 1 + json_text_length(&bytes[start + 1..]))),
        b'0'..=b'9' | b'-' => {
            let length =
                bytes[start..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').count();
            Some((start, start + length))
        }
        _ => None,
    }
}

/// Whether what stands between single quotes is a value: behind it nothing goes on as SQL would.
fn is_between_quotes(content: &[u8], next: Option<u8>) -> bool {
    let is_trimmed = content.trim_ascii().len() == content.len();
    let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || b"='\"|+<>!".contains(&byte);
    !content.is_empty() && is_trimmed && !next.is_some_and(goes_on)
}

/// Whether what stands behind a single quote without a second one is the beginning of a value, and not an attack that leaves
/// the quotes around its place.
fn is_behind_quote(content: &[u8], next: Option<u8>) -> bool {
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"_.-@$!".contains(byte);
    let is_word = content.first().is_some_and(u8::is_ascii_alphanumeric) && content.iter().all(is_of_word);
    is_word && next.is_none_or(|byte| b"&#,;\n\r".contains(&byte))
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

/// Where in the word a key or a token stands: all of it, or what is left without the signs around it, as in `[…]` and `**…**`.
/// What has spaces of its own is found where they are not escaped.
fn token_in(word: &str) -> Option<(usize, usize)> {
    if word.len() < VALUE_BYTES_MIN {
        return None;
    }
    if is_token(word) {
        return Some((0, word.len()));
    }
    // `-` and `_` are of the alphabet of tokens, so they are only taken off where it is no token with them.
    let of_alphabet = |character: char| character.is_ascii_alphanumeric() || matches!(character, '%' | '-' | '_');
    let of_word = |character: char| character.is_ascii_alphanumeric() || character == '%';
    let trimmed = |keeps: &dyn Fn(char) -> bool| {
        let start = word.find(keeps)?;
        let inner = word[start..].trim_end_matches(|character| !keeps(character));
        (inner.len() < word.len() && is_token(inner)).then_some((start, start + inner.len()))
    };
    trimmed(&of_alphabet).or_else(|| trimmed(&of_word))
}

fn is_token(word: &str) -> bool {
    use CredentialShape::{JsonWebToken, ProviderKey};
    word.len() >= VALUE_BYTES_MIN
        && matches!(credential_shape(&percent_decoded(word)), Some(JsonWebToken | ProviderKey))
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
            | b'\n'
            | b'\r'
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
