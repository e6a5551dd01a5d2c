//! Values that look like credentials whatever their field is called.
//!
//! Known shapes: a JSON Web Token (RFC 7519: three or five base64url parts of which the first begins with `{"`), an HTTP
//! authorization value (`Bearer ...`, `Basic ...`), a PEM private key, and the published key prefixes of large providers.
//! Not decided here: random-looking strings without a known shape, because ids look just the same.
//!
//! [`credential_shape`] reads a whole value, so it is for who has cut a text into tokens. A private key has spaces and line
//! ends of its own; [`private_key_at`] says where it ends.

/// Shorter values are never taken for a credential by their look alone.
pub const VALUE_BYTES_MIN: usize = 16;

/// The HTTP authentication schemes (IANA registry and common practice) that are cut off before a credential.
pub const SCHEMES: &[&str] = &["bearer", "basic", "token", "apikey", "digest", "negotiate", "jwt", "key"];

/// What a value was recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialShape {
    /// A JSON Web Token, signed or encrypted.
    JsonWebToken,
    /// An HTTP authorization value with its scheme.
    Authorization,
    /// A key with the published prefix of a provider.
    ProviderKey,
    /// A private key in PEM form.
    PrivateKey,
}

/// Recognises a credential by the look of the whole value.
pub fn credential_shape(value: &str) -> Option<CredentialShape> {
    let bytes = value.as_bytes();
    if bytes.len() < VALUE_BYTES_MIN {
        return None;
    }
    match bytes[0] {
        b'e' if is_json_web_token(bytes) => Some(CredentialShape::JsonWebToken),
        b'-' if private_key_at(value, 0).is_some_and(|end| value[end..].trim_end().is_empty()) => {
            Some(CredentialShape::PrivateKey)
        }
        b'B' | b'b' if starts_with_scheme(value, "bearer") || is_basic(value) => Some(CredentialShape::Authorization),
        _ if is_provider_key(bytes) => Some(CredentialShape::ProviderKey),
        _ => None,
    }
}

/// The credential of an authorization value without its scheme: `Bearer abc` gives `abc`, so that the same token has the
/// same pseudonym in a header and in a query field.
pub fn without_scheme(value: &str) -> &str {
    match value.split_once(' ') {
        Some((scheme, rest)) if SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) => rest.trim_start(),
        _ => value,
    }
}

/// The end of the private key in PEM form that begins at `start` (RFC 7468): behind its last line, or that of a text that was cut.
pub fn private_key_at(text: &str, start: usize) -> Option<usize> {
    const MARK_BYTES_MAX: usize = 64;
    let key = text.as_bytes().get(start..)?;
    let label = key.strip_prefix(b"-----BEGIN ")?;
    let label = &label[..label.len().min(MARK_BYTES_MAX)];
    let label = &label[..memchr::memmem::find(label, b"-----").unwrap_or(label.len())];
    if !contains(label, b"PRIVATE KEY") {
        return None;
    }
    let Some(last_line) = memchr::memmem::find(key, b"-----END ") else {
        return Some(text.len());
    };
    let label = last_line + b"-----END ".len();
    let end = memchr::memmem::find(&key[label..], b"-----").map_or(key.len(), |length| label + length + 5);
    Some(start + end)
}

fn starts_with_scheme(value: &str, scheme: &str) -> bool {
    matches!(value.split_once(' '), Some((start, rest)) if start.eq_ignore_ascii_case(scheme) && !rest.trim().is_empty())
}

/// `Basic` begins many a sentence, so what follows has to be one word of base64.
fn is_basic(value: &str) -> bool {
    starts_with_scheme(value, "basic") && value[6..].bytes().all(is_base64)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=')
}

/// `eyJ` is base64 of `{"`. A token that was cut short still counts once its payload has begun.
fn is_json_web_token(bytes: &[u8]) -> bool {
    if !bytes.starts_with(b"eyJ") {
        return false;
    }
    let mut dots = 0;
    for &byte in bytes {
        if byte == b'.' {
            dots += 1;
        } else if !is_base64url(byte) {
            return false;
        }
    }
    (1..=4).contains(&dots)
}

/// Published prefixes, with the least number of bytes that follow in a real key.
const PROVIDER_PREFIXES: &[(&str, usize)] = &[
    ("ABIA", 12),
    ("ACCA", 12),
    ("AGPA", 12),
    ("AIDA", 12),
    ("AIza", 30),
    ("AKIA", 12),
    ("AROA", 12),
    ("ASIA", 12),
    ("EAAC", 24),
    ("SG.", 24),
    ("dapi", 32),
    ("doo_v1_", 24),
    ("dop_v1_", 24),
    ("ghp_", 24),
    ("gho_", 24),
    ("ghr_", 24),
    ("ghs_", 24),
    ("ghu_", 24),
    ("github_pat_", 24),
    ("glpat-", 16),
    ("hf_", 24),
    ("kpat_", 16),
    ("npm_", 24),
    ("pypi-", 24),
    ("pk_live_", 12),
    ("pk_test_", 12),
    ("pul-", 32),
    ("rk_live_", 12),
    ("rk_test_", 12),
    ("rubygems_", 32),
    ("shpat_", 24),
    ("shpca_", 24),
    ("shppa_", 24),
    ("shpss_", 24),
    ("sk-", 20),
    ("sk_live_", 12),
    ("sk_test_", 12),
    ("sq0atp-", 16),
    ("sq0csp-", 16),
    ("spat_", 16),
    ("tfp_", 24),
    ("vercel_", 20),
    ("whsec_", 16),
    ("xapp-", 16),
    ("xoxa-", 12),
    ("xoxb-", 12),
    ("xoxp-", 12),
    ("xoxr-", 12),
    ("xoxs-", 12),
    ("ya29.", 16),
];

fn is_provider_key(bytes: &[u8]) -> bool {
    if !matches!(
        bytes[0],
        b'A' | b'E' | b'S' | b'd' | b'g' | b'h' | b'k' | b'n' | b'p' | b'r' | b's' | b't' | b'v' | b'w' | b'x' | b'y'
    ) {
        return false;
    }
    PROVIDER_PREFIXES.iter().any(|(prefix, rest_min)| {
        bytes.strip_prefix(prefix.as_bytes()).is_some_and(|rest| {
            rest.len() >= *rest_min
                && rest.iter().all(|&byte| is_base64url(byte) || byte == b'.')
                // A readable slug (`sk-learn-how-to-cook-well`) has no digit; a random key has.
                && rest.iter().any(u8::is_ascii_digit)
        })
    })
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_recognised() {
        use CredentialShape::{Authorization, JsonWebToken, PrivateKey, ProviderKey};
        let cases = [
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", Some(JsonWebToken)),
            ("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", Some(JsonWebToken)),
            ("eyJhbGciOiJSU0EifQ.a2V5.aXY.Y2lwaGVy.dGFn", Some(JsonWebToken)),
            ("Bearer abcdefghijkl", Some(Authorization)),
            ("bearer   abcdefghijkl", Some(Authorization)),
            ("Basic YWxpY2U6c2VjcmV0", Some(Authorization)),
            ("-----BEGIN RSA PRIVATE KEY-----", Some(PrivateKey)),
            ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", Some(ProviderKey)),
            ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", Some(ProviderKey)),
            ("AKIAIOSFODNN7EXAMPLE", Some(ProviderKey)),
            ("xoxb-123456789012-abcdefabcdef", Some(ProviderKey)),
            ("", None),
            ("e", None),
            ("eyJ", None),
            ("eyJust a sentence that begins oddly", None),
            ("Basic understanding of APIs", None),
            ("Bearer", None),
            ("Bearer of bad news is a phrase", Some(Authorization)),
            ("sk-learn-how-to-cook-very-well-today", None),
            ("3fa85f64-5717-4562-b3fc-2c963f66afa6", None),
            ("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", None),
            ("basic\u{e9} \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", None),
            ("-----BEGIN CERTIFICATE-----", None),
        ];
        for (value, expected) in cases {
            assert_eq!(credential_shape(value), expected, "{value}");
        }
    }

    #[test]
    fn a_private_key_is_found_in_a_text() {
        let key = "-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----";
        for (text, start, expected) in [
            (format!("a={key}&b"), 2, Some(2 + key.len())),
            (key[..40].to_owned(), 0, Some(40)),
            (format!("a={key}"), 0, None),
            (format!("-----BEGIN CERTIFICATE-----{key}"), 0, None),
            ("-----BEGIN ".to_owned(), 0, None),
            (String::new(), 0, None),
            (String::new(), 1, None),
        ] {
            assert_eq!(private_key_at(&text, start), expected, "{text}");
        }
    }

    #[test]
    fn a_scheme_is_cut_off_only_where_there_is_one() {
        for (value, expected) in [
            ("Bearer abc", "abc"),
            ("bearer  abc", "abc"),
            ("Basic YTpi", "YTpi"),
            ("abc", "abc"),
            ("hello world", "hello world"),
            ("", ""),
        ] {
            assert_eq!(without_scheme(value), expected);
        }
    }
}
