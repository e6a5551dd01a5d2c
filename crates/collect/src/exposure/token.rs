//! What a JSON Web Token says of itself, without its values.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outrider_model::{Sign, Signs};

use crate::json::{Json, JsonRoom, Value};
use crate::kong::{Int, text_of};

/// Longest header and claims that are read, in bytes of JSON.
const JSON_BYTES_MAX: usize = 4096;

/// What is told of a token. What cannot be read of it is not told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Token {
    is_unsigned: bool,
    has_no_expiry: bool,
    /// Seconds from issue to expiry.
    pub(crate) lifetime_s: Option<u32>,
}

impl Token {
    /// Reads a token of the shape that `classify` recognises: parts in base64url (RFC 7515, section 7.1). Those of an encrypted one
    /// are five, and its claims are nobody's to read (RFC 7516).
    pub(crate) fn read(token: &str) -> Token {
        let mut parts = token.split('.');
        let (header, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let is_encrypted = parts.count() > 1;
        let mut read = Token::default();
        let mut room = JsonRoom::default();
        room.read_part(header, |header| {
            let alg = last(header, "alg").map(text_of).unwrap_or_default();
            read.is_unsigned = alg.eq_ignore_ascii_case("none");
        });
        if is_encrypted {
            return read;
        }
        room.read_part(claims, |claims| {
            let is_there = |value: &Value<'_, '_>| !matches!(value.json(), Json::Null);
            let (exp, iat) = (last(claims, "exp").filter(is_there), last(claims, "iat"));
            read.has_no_expiry = exp.is_none();
            let number = |value: Option<Value<'_, '_>>| value.and_then(|value| Int::of(value).value());
            read.lifetime_s = number(exp).zip(number(iat)).map(|(exp, iat)| {
                let lifetime_s = exp.saturating_sub(iat).max(0);
                u32::try_from(lifetime_s).unwrap_or(u32::MAX)
            });
        });
        read
    }

    /// Its signs.
    pub(crate) fn signs(self) -> Signs {
        let signs =
            [(true, Sign::Jwt), (self.is_unsigned, Sign::JwtUnsigned), (self.has_no_expiry, Sign::JwtWithoutExpiry)];
        signs.into_iter().filter(|(is_there, _)| *is_there).map(|(_, sign)| sign).collect()
    }
}

impl JsonRoom {
    /// Reads a part that holds an object; of anything else nothing is told.
    fn read_part(&mut self, part: &str, take: impl FnOnce(Value<'_, '_>)) {
        let Some(json) = decoded(part) else { return };
        // What is no JSON says nothing, and is no fault of the line.
        let _ = self.read(&json, |value| {
            if matches!(value.json(), Json::Object(_)) {
                take(value);
            }
            Ok(())
        });
    }
}

/// A member of an object; of two with that name the later one.
fn last<'t, 'a>(object: Value<'t, 'a>, name: &str) -> Option<Value<'t, 'a>> {
    object.members().filter(|(known, _)| *known == name).last().map(|(_, value)| value)
}

/// The JSON of a part.
fn decoded(part: &str) -> Option<Vec<u8>> {
    let part = part.trim_end_matches('=');
    if part.len() > JSON_BYTES_MAX.div_ceil(3) * 4 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(part).ok().filter(|json| json.len() <= JSON_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(header: &str, claims: &str, rest: &str) -> String {
        format!("{}.{}{rest}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_tells_of_its_signature_and_its_life() {
        let plain = Token::default();
        let lives = |lifetime_s| Token { lifetime_s: Some(lifetime_s), ..plain };
        let endless = Token { has_no_expiry: true, ..plain };
        let unsigned = |token| Token { is_unsigned: true, ..token };
        for (header, claims, expected) in [
            (r#"{"alg":"HS256"}"#, r#"{"iat":1000,"exp":4600}"#, lives(3600)),
            (r#"{"typ":"JWT","alg":"nOnE"}"#, r#"{"iat":1000,"exp":4600}"#, unsigned(lives(3600))),
            (r#"{"alg":"RS256"}"#, r#"{"sub":"alice","iat":1000}"#, endless),
            (r#"{"alg":"RS256"}"#, r#"{"exp":null}"#, endless),
            (r#"{"alg":"RS256"}"#, r#"{"exp":4600}"#, plain),
            (r#"{"alg":"RS256"}"#, r#"{"exp":"never","iat":1}"#, plain),
            (r#"{"alg":"RS256"}"#, r#"{"exp":1000.5,"iat":0.5}"#, lives(1000)),
            (r#"{"alg":"RS256"}"#, r#"{"exp":1000,"iat":4600}"#, lives(0)),
            (r#"{"alg":"RS256"}"#, r#"{"exp":9007199254740992,"iat":-1}"#, lives(u32::MAX)),
            (r#"{"alg":["none"]}"#, r#"[{"exp":1}]"#, unsigned(plain)),
            (r#"{"alg":{"none":1}}"#, r#""exp""#, plain),
            (r#"{"alg""#, r#"{"exp":46"#, plain),
        ] {
            let token = encoded(header, claims, ".c2ln");
            assert_eq!(Token::read(&token), expected, "{header} {claims}");
            assert_eq!(Token::read(&encoded(header, claims, "")), expected, "{header} {claims} without a signature");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_told() {
        let encrypted = encoded(r#"{"alg":"dir","enc":"A256GCM"}"#, "{}", ".aXY.Y2lwaGVy.dGFn");
        assert_eq!(Token::read(&encrypted), Token::default());
        for token in ["", ".", "..", "eyJ.eyJ", "eyJhbGciOiJub25lIn0.=", "\u{e9}.\u{e9}", "eyJhbGciOiJIUzI1NiJ9.e30x"] {
            assert!(!Token::read(token).has_no_expiry, "{token}");
        }
    }

    #[test]
    fn long_ones_are_not_read() {
        let claims = |bytes: usize| {
            let padding = "x".repeat(bytes - r#"{"a":"","iat":0,"exp":9}"#.len());
            encoded(r#"{"alg":"HS256"}"#, &format!(r#"{{"a":"{padding}","iat":0,"exp":9}}"#), ".c2ln")
        };
        assert_eq!(Token::read(&claims(JSON_BYTES_MAX)).lifetime_s, Some(9));
        assert_eq!(Token::read(&claims(JSON_BYTES_MAX + 1)), Token::default());
        let nested = format!("{}{}", r#"{"a":"#.repeat(600), "[".repeat(900));
        assert_eq!(Token::read(&encoded("{}", &nested, "")), Token::default());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fail(token in "\\PC{0,80}", header in any::<Vec<u8>>(), claims in any::<Vec<u8>>()) {
            Token::read(&token);
            let token = format!("{}.{}.x", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
            Token::read(&token);
        }

        /// As serde_json reads the same claims.
        #[test]
        fn claims_are_read_as_others_read_them(
            exp in prop::option::of(0..4_000_000_000_i64),
            iat in prop::option::of(0..4_000_000_000_i64),
            sub in "\\PC{0,20}",
        ) {
            let mut claims = serde_json::json!({"sub": sub, "nested": {"exp": 1}});
            for (name, value) in [("exp", exp), ("iat", iat)] {
                if let Some(value) = value {
                    claims[name] = value.into();
                }
            }
            let read = Token::read(&encoded(r#"{"alg":"HS256"}"#, &claims.to_string(), ".x"));
            let lifetime_s = exp.zip(iat).map(|(exp, iat)| u32::try_from((exp - iat).max(0)).unwrap());
            prop_assert_eq!(read, Token { is_unsigned: false, has_no_expiry: exp.is_none(), lifetime_s });
        }
    }
}
