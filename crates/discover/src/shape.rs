//! What a segment's text alone says: surely a value, surely a version, or how likely one looks like the other.

use serde::{Deserialize, Serialize};

use crate::signals::{Signal, uses};

/// A text that no API designer would write into a path: its position is a parameter from the first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Shape {
    Integer,
    Uuid,
    Hexadecimal,
    Email,
    Address,
    Date,
    Decimal,
    Release,
    Token,
    Phrase,
    Long,
}

impl Shape {
    /// All shapes, in the order of their bits in a mask.
    pub const ALL: [Shape; 11] = [
        Shape::Integer,
        Shape::Uuid,
        Shape::Hexadecimal,
        Shape::Email,
        Shape::Address,
        Shape::Date,
        Shape::Decimal,
        Shape::Release,
        Shape::Token,
        Shape::Phrase,
        Shape::Long,
    ];

    /// Its bit in a mask of shapes.
    pub fn bit(self) -> u16 {
        1 << self as u16
    }

    /// What a person calls values of this shape.
    pub fn plural(self) -> &'static str {
        match self {
            Shape::Integer => "integers",
            Shape::Uuid => "UUIDs",
            Shape::Hexadecimal => "hexadecimal ids",
            Shape::Email => "e-mail addresses",
            Shape::Address => "network addresses",
            Shape::Date => "dates",
            Shape::Decimal => "decimal numbers",
            Shape::Release => "version numbers",
            Shape::Token => "random-looking ids",
            Shape::Phrase => "texts with spaces or punctuation",
            Shape::Long => "long texts",
        }
    }
}

/// Character counts of a segment, from one pass over it.
#[derive(Debug, Default)]
struct Counts {
    digits: usize,
    lower: usize,
    upper: usize,
    hex_letters: usize,
    dashes: usize,
    underscores: usize,
    dots: usize,
    /// Characters that are not written in names of paths: spaces, `@`, `:`, braces, …
    odd: usize,
    not_ascii: usize,
}

fn count(text: &str) -> Counts {
    let mut counts = Counts::default();
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => counts.digits += 1,
            b'a'..=b'z' => {
                counts.lower += 1;
                counts.hex_letters += usize::from(byte <= b'f');
            }
            b'A'..=b'Z' => {
                counts.upper += 1;
                counts.hex_letters += usize::from(byte <= b'F');
            }
            b'-' => counts.dashes += 1,
            b'_' => counts.underscores += 1,
            b'.' => counts.dots += 1,
            0x80.. => counts.not_ascii += 1,
            _ => counts.odd += 1,
        }
    }
    counts
}

/// The shape of a text that is surely a value; `None` for what could be a name.
pub(crate) fn value_shape(text: &str, segment_bytes_max: usize) -> Option<Shape> {
    let length = text.len();
    if length > segment_bytes_max {
        return Some(Shape::Long);
    }
    if !uses(Signal::Shapes) {
        return None;
    }
    let counts = count(text);
    if counts.digits == length || (counts.digits + 1 == length && length > 1 && text.starts_with('-')) {
        return Some(Shape::Integer);
    }
    if counts.odd + counts.not_ascii > 0 {
        return odd_shape(text, &counts);
    }
    if counts.digits == 0 {
        // Without a digit only a long text of hexadecimal letters, or one that changes case like a random one, is a value.
        let hexadecimal = counts.hex_letters == length && length >= 16;
        return if hexadecimal {
            Some(Shape::Hexadecimal)
        } else {
            (length > 80).then_some(Shape::Long).or_else(|| token(text).then_some(Shape::Token))
        };
    }
    if is_version(text) {
        return None;
    }
    digits_shape(text, &counts)
}

/// Texts with characters that names do not have.
fn odd_shape(text: &str, counts: &Counts) -> Option<Shape> {
    if let Some((user, domain)) = text.split_once('@') {
        let is_email = !user.is_empty() && domain.contains('.') && !domain.contains(['@', ' ']);
        return Some(if is_email { Shape::Email } else { Shape::Phrase });
    }
    let colons = text.bytes().filter(|&byte| byte == b':').count();
    if colons >= 2 && counts.digits + counts.hex_letters + colons + counts.dots == text.len() {
        return Some(Shape::Address);
    }
    if counts.dashes >= 2 && colons > 0 && is_date(text) {
        return Some(Shape::Date);
    }
    let phrase = text.bytes().any(|byte| {
        matches!(
            byte,
            b' ' | b','
                | b'|'
                | b'{'
                | b'}'
                | b'%'
                | b'"'
                | b'\''
                | b'<'
                | b'>'
                | b'/'
                | b'\\'
                | b'='
                | b'&'
                | b'?'
                | b'#'
        ) || byte < b' '
    });
    (phrase || counts.not_ascii > 0 || text.len() > 80).then_some(Shape::Phrase)
}

/// Texts of letters, digits, dashes, underscores and dots with at least one digit.
fn digits_shape(text: &str, counts: &Counts) -> Option<Shape> {
    let length = text.len();
    let hexadecimal = counts.digits + counts.hex_letters;
    if length == 36 && counts.dashes == 4 && hexadecimal == 32 {
        return Some(Shape::Uuid);
    }
    if hexadecimal == length && length >= 8 && (counts.lower == 0 || counts.upper == 0 || length >= 16) {
        return Some(if length == 32 { Shape::Uuid } else { Shape::Hexadecimal });
    }
    let prefixed = text.strip_prefix("0x").filter(|rest| rest.len() >= 8);
    if prefixed.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Some(Shape::Hexadecimal);
    }
    if counts.dots == 3 && counts.digits + 3 == length {
        return Some(Shape::Address);
    }
    if is_date(text) {
        return Some(Shape::Date);
    }
    let number = text.trim_start_matches('-');
    if counts.dots == 1 && counts.digits + 1 == number.len() {
        return Some(Shape::Decimal);
    }
    if is_release(text) {
        return Some(Shape::Release);
    }
    if length > 80 {
        return Some(Shape::Long);
    }
    token(text).then_some(Shape::Token)
}

/// `2026-01-31`, `2026-01`, `20260131T…` and what begins with the first.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits =
        |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    let year = digits(0..4) && (bytes.starts_with(b"19") || bytes.starts_with(b"20"));
    let dashed = year && bytes.get(4) == Some(&b'-') && digits(5..7);
    dashed && (bytes.len() == 7 || (bytes.get(7) == Some(&b'-') && digits(8..10)))
        || year && digits(4..8) && bytes.get(8) == Some(&b'T')
}

/// `1.2.3`, `v1.2.3-rc1`: a release of something, not the version of an API.
fn is_release(text: &str) -> bool {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let core = text.split(['-', '+']).next().unwrap_or(text);
    let mut parts = 0;
    for part in core.split('.') {
        if part.is_empty() || part.len() > 6 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
        parts += 1;
    }
    (3..=4).contains(&parts)
}

/// `v1`, `v2.1`, `V10`, `v1beta1`, `2.0`: the version of an API, which is a name.
pub(crate) fn is_version(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits_of = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (prefixed, rest) = match bytes {
        [b'v' | b'V', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    let major = digits_of(rest);
    if !uses(Signal::Versions) || major == 0 || major > if prefixed { 3 } else { 2 } {
        return false;
    }
    let rest = &rest[major..];
    if let [b'.', minor @ ..] = rest {
        let digits = digits_of(minor);
        return digits == minor.len() && (digits == 1 || prefixed && digits == 2);
    }
    if !prefixed {
        return false;
    }
    let stage = ["alpha", "beta", "rc", "preview"].iter().find_map(|stage| rest.strip_prefix(stage.as_bytes()));
    rest.is_empty() || stage.is_some_and(|number| digits_of(number) == number.len())
}

/// Whether a text looks drawn at random: letters, digits and case follow each other without order.
///
/// In a random base-62 text 62 % of neighbours differ in class (lower, upper, digit); in names it is below 30 %.
fn token(text: &str) -> bool {
    let body = match text.split_once(['_', '-']) {
        Some((prefix, rest))
            if (2..=6).contains(&prefix.len())
                && rest.len() >= 10
                && prefix.bytes().all(|byte| byte.is_ascii_alphabetic())
                && !rest.contains(['_', '-', '.']) =>
        {
            rest
        }
        _ if text.len() < 10 => return false,
        _ => text,
    };
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 0u8,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    let (mut changes, mut upper, mut digits, mut digit_runs, mut digit_then_letter, mut others) = (0, 0, 0, 0, 0, 0);
    let mut last = 3;
    for (at, byte) in body.bytes().enumerate() {
        let now = class(byte);
        changes += usize::from(at > 0 && now != last);
        upper += usize::from(now == 2);
        digits += usize::from(now == 0);
        others += usize::from(now == 3);
        digit_runs += usize::from(now == 0 && last != 0);
        digit_then_letter += usize::from(last == 0 && (now == 1 || now == 2) && at > 0);
        last = now;
    }
    let length = body.len();
    if length - others < 9 {
        return false;
    }
    let single_case = others == 0 && (upper == 0 || upper + digits == length);
    if single_case && length >= 12 && digit_runs >= 3 && digits * 5 >= length {
        return true;
    }
    if digits == 0 && upper >= 4 && length >= 12 && changes * 100 >= length * 50 {
        return true;
    }
    changes * 100 >= length * 40 && (digits > 0 || upper >= 3) && (digit_then_letter > 0 || length >= 16)
}

/// How a text is written, which an API does in one or two ways throughout and its values do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Style {
    Word,
    Kebab,
    Snake,
    Camel,
    Pascal,
    Upper,
    CapitalKebab,
    CapitalSnake,
    Mixed,
}

/// How many styles there are.
pub(crate) const STYLES: usize = 9;

/// The style of a text.
pub(crate) fn style(text: &str) -> Style {
    let (mut lower, mut upper, mut dash, mut underscore) = (false, false, false, false);
    for byte in text.bytes() {
        lower |= byte.is_ascii_lowercase();
        upper |= byte.is_ascii_uppercase();
        dash |= byte == b'-';
        underscore |= byte == b'_';
    }
    match (dash, underscore, upper) {
        (true, true, _) => Style::Mixed,
        (true, false, false) => Style::Kebab,
        (true, false, true) => Style::CapitalKebab,
        (false, true, false) => Style::Snake,
        (false, true, true) => Style::CapitalSnake,
        (false, false, false) => Style::Word,
        (false, false, true) if !lower => Style::Upper,
        (false, false, true) if text.starts_with(|first: char| first.is_ascii_uppercase()) => Style::Pascal,
        (false, false, true) => Style::Camel,
    }
}

/// How much a text that could be a name looks like a value, in natural log-odds before anything else is known.
pub(crate) fn value_hint(text: &str) -> f32 {
    let mut hint = 0.0;
    if !uses(Signal::Look) {
        return hint;
    }
    if text.ends_with(|last: char| last.is_ascii_digit()) {
        hint += 1.4;
    } else if text.bytes().any(|byte| byte.is_ascii_digit()) {
        hint += 1.0;
    }
    if text.starts_with('.') {
        hint -= 2.0;
    } else if text.contains('.') {
        hint += 1.6;
    }
    if text.bytes().filter(|byte| matches!(byte, b'-' | b'_')).count() >= 2 {
        hint += 0.4;
    }
    hint
}

/// Whether a name is an English plural, the way collections are named.
pub(crate) fn is_plural(text: &str) -> bool {
    let bytes = text.as_bytes();
    uses(Signal::Plurals)
        && bytes.len() > 3
        && bytes.ends_with(b"s")
        && !matches!(bytes[bytes.len() - 2], b's' | b'u' | b'i')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_by_their_shape_alone() {
        let cases = [
            ("7", Some(Shape::Integer)),
            ("-12", Some(Shape::Integer)),
            ("1767571203744", Some(Shape::Integer)),
            ("b37500b2-a411-43f5-9907-2e7a60344ced", Some(Shape::Uuid)),
            ("b37500b2a41143f599072e7a60344ced", Some(Shape::Uuid)),
            ("fe3b6f285b8aa5a08a671419", Some(Shape::Hexadecimal)),
            ("deadbeef", None),
            ("0xdeadbeef01", Some(Shape::Hexadecimal)),
            ("ann@example.com", Some(Shape::Email)),
            ("@ann", Some(Shape::Phrase)),
            ("192.0.2.7", Some(Shape::Address)),
            ("2001:db8::1", Some(Shape::Address)),
            ("2026-01-31", Some(Shape::Date)),
            ("2026-01", Some(Shape::Date)),
            ("2026-01-31T10:00:00Z", Some(Shape::Date)),
            ("52.5200", Some(Shape::Decimal)),
            ("1.2.3", Some(Shape::Release)),
            ("v1.24.0-rc1", Some(Shape::Release)),
            ("01KD1HMDFYXQB5ZK4JPYAKPXC9", Some(Shape::Token)),
            ("cus_NffrFeUfNV2Hib", Some(Shape::Token)),
            ("4uLU6hMCjMI75M1A2tKUQC", Some(Shape::Token)),
            ("dQw4w9WgXcQ", Some(Shape::Token)),
            ("anyt_kgymuEiNSdIhbJ", Some(Shape::Token)),
            ("New York", Some(Shape::Phrase)),
            ("Zürich", Some(Shape::Phrase)),
            ("{id}", Some(Shape::Phrase)),
        ];
        for (text, expected) in cases {
            assert_eq!(value_shape(text, 256), expected, "{text}");
        }
        assert_eq!(value_shape(&"x".repeat(300), 256), Some(Shape::Long));
        // The user's part of an address may be as long as it likes, until all of it is too long to be looked at.
        for (user_bytes, expected) in [(64, Shape::Email), (200, Shape::Email), (250, Shape::Long)] {
            let address = format!("{}@example.com", "x1".repeat(user_bytes / 2));
            assert_eq!(value_shape(&address, 256), Some(expected), "{user_bytes}");
        }
    }

    #[test]
    fn names_and_versions_are_not_taken_for_values() {
        let names = [
            "users",
            "v1",
            "v2.1",
            "V10",
            "v1beta1",
            "2.0",
            "3.0",
            "api.xro",
            "en-US",
            "me",
            "oauth2",
            "s3",
            "ipv6",
            "getUserByIdV2",
            "boardVisibilityRestrict",
            "facade",
            "repositoriesV2",
            "openid-configuration",
            ".well-known",
            "pipelines_config",
            "AlbumArtists",
            "k8s",
            "create_with_2fa",
            "foo:cancel",
            "(ref",
        ];
        for name in names {
            assert_eq!(value_shape(name, 256), None, "{name}");
        }
    }

    #[test]
    fn styles_and_plurals() {
        let cases = [
            ("users", Style::Word),
            ("deploy-keys", Style::Kebab),
            ("line_items", Style::Snake),
            ("idBoard", Style::Camel),
            ("AlbumArtists", Style::Pascal),
            ("USD", Style::Upper),
            ("a-b_c", Style::Mixed),
        ];
        for (text, expected) in cases {
            assert_eq!(style(text), expected, "{text}");
        }
        assert!(is_plural("users") && !is_plural("status") && !is_plural("address") && !is_plural("gas"));
    }
}
