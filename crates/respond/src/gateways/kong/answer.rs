//! What an answer of the Admin API means. Pure: decides between Kong's word, Kong's error and something else's words.

use serde::de::DeserializeOwned;

use super::wire::ErrorBody;
use crate::gateways::GatewayError;

/// How much of a foreign answer is quoted, in characters.
const QUOTED_CHARACTERS_MAX: usize = 200;

/// An answer as it came, complete and within its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    pub content_type: String,
    pub location: String,
    pub retry_after_s: Option<u64>,
    /// What the answering machine's clock said, to the second.
    pub date_ms: Option<i64>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The entity in a successful answer.
    pub fn entity<T: DeserializeOwned>(&self) -> Result<T, GatewayError> {
        self.refuse_errors()?;
        if !self.is_json() {
            return Err(self.unexpected(&format!(
                "expected JSON, got {}: {}",
                self.content_type_name(),
                self.quoted()
            )));
        }
        serde_json::from_slice(&self.body).map_err(|error| self.unexpected(&format!("{error} in: {}", self.quoted())))
    }

    /// The entity, or `None` where Kong says that there is none. Only Kong's own 404 counts: one that a proxy in between
    /// made must not look as if a plugin were gone.
    pub fn entity_if_found<T: DeserializeOwned>(&self) -> Result<Option<T>, GatewayError> {
        match self.entity() {
            Ok(entity) => Ok(Some(entity)),
            Err(GatewayError::Kong { status: 404, message, .. }) if message == "Not found" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A successful answer without content.
    pub fn no_content(&self) -> Result<(), GatewayError> {
        self.refuse_errors()?;
        if self.status == 204 && self.body.is_empty() {
            return Ok(());
        }
        Err(self.unexpected(&format!(
            "expected 204 without a body, got {}: {}",
            self.content_type_name(),
            self.quoted()
        )))
    }

    fn refuse_errors(&self) -> Result<(), GatewayError> {
        match self.status {
            200 | 201 | 204 => Ok(()),
            300..=399 => {
                Err(self.unexpected(&format!("a redirect to `{}`, which is not followed", quote(&self.location))))
            }
            400..=599 if self.is_json() => match serde_json::from_slice::<ErrorBody>(&self.body) {
                Ok(error) => Err(GatewayError::Kong {
                    status: self.status,
                    code: error.code,
                    message: quote(&error.message),
                    fields: Box::new(error.fields),
                    retry_after_s: self.retry_after_s,
                }),
                Err(_) => Err(self.unexpected(&self.quoted())),
            },
            _ => Err(self.unexpected(&format!("{}: {}", self.content_type_name(), self.quoted()))),
        }
    }

    fn is_json(&self) -> bool {
        let kind = self.content_type.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    }

    fn content_type_name(&self) -> &str {
        if self.content_type.is_empty() { "no content type" } else { &self.content_type }
    }

    fn quoted(&self) -> String {
        // A character has at most four bytes, so this much is enough to quote from and no more is looked at.
        let beginning = &self.body[..self.body.len().min(QUOTED_CHARACTERS_MAX * 4)];
        quote(&String::from_utf8_lossy(beginning))
    }

    fn unexpected(&self, detail: &str) -> GatewayError {
        GatewayError::UnexpectedAnswer {
            status: self.status,
            detail: detail.to_owned(),
            retry_after_s: self.retry_after_s,
        }
    }
}

/// A date of RFC 9110, section 5.6.7, in the one form that is written today.
pub(super) fn http_date_ms(text: &str) -> Option<i64> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(date.as_millisecond())
}

/// The error and what caused it, since the outermost text alone rarely says what happened.
pub(super) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    quote(&text)
}

/// The beginning of a foreign text on one line, without control characters.
pub(super) fn quote(text: &str) -> String {
    let mut line = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty()).fold(
        String::new(),
        |mut line, word| {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            line
        },
    );
    if let Some((end, _)) = line.char_indices().nth(QUOTED_CHARACTERS_MAX) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateways::kong::wire::Consumer;

    fn answer(status: u16, content_type: &str, body: &str) -> Answer {
        Answer {
            status,
            content_type: content_type.to_owned(),
            location: "https://login.example/".to_owned(),
            retry_after_s: None,
            date_ms: None,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn what_is_not_kongs_answer_is_told_apart() {
        let json = "application/json; charset=utf-8";
        let good = r#"{"id":"1","username":null,"tags":null}"#;
        let cases: &[(&str, Answer, &str)] = &[
            ("good", answer(200, json, good), "ok"),
            ("not found", answer(404, json, r#"{"message":"Not found"}"#), "none"),
            ("a proxy's JSON 404", answer(404, json, r#"{"message":"no such page"}"#), "kong 404"),
            ("a proxy's HTML 404", answer(404, "text/html", "<html>"), "unexpected 404"),
            ("HTML with 200", answer(200, "text/html", "<html>Sign in</html>"), "unexpected 200"),
            ("JSON called text", answer(200, "text/plain", good), "unexpected 200"),
            ("no content type", answer(200, "", good), "unexpected 200"),
            ("half a body", answer(200, json, r#"{"id":"1","user"#), "unexpected 200"),
            ("another shape", answer(200, json, r#"{"data":[]}"#), "unexpected 200"),
            ("an array", answer(200, json, "[1]"), "unexpected 200"),
            ("not UTF-8 text", Answer { body: vec![0xff, 0xfe], ..answer(200, json, "") }, "unexpected 200"),
            ("a redirect", answer(302, "text/html", ""), "unexpected 302"),
            ("not modified", answer(304, "", ""), "unexpected 304"),
            ("accepted", answer(202, json, good), "unexpected 202"),
            ("a proxy's bad gateway", answer(502, "text/html", "<h1>502</h1>"), "unexpected 502"),
            ("an error of another form", answer(500, json, r#"{"error":"x"}"#), "unexpected 500"),
            ("too many requests", answer(429, json, r#"{"message":"slow down"}"#), "kong 429"),
            (
                "a violation",
                answer(409, json, r#"{"message":"UNIQUE violation","code":5,"name":"n","fields":{}}"#),
                "kong 409",
            ),
        ];
        for (name, answer, expected) in cases {
            let shown = match answer.entity_if_found::<Consumer>() {
                Ok(Some(_)) => "ok".to_owned(),
                Ok(None) => "none".to_owned(),
                Err(GatewayError::Kong { status, .. }) => format!("kong {status}"),
                Err(GatewayError::UnexpectedAnswer { status, .. }) => format!("unexpected {status}"),
                Err(other) => panic!("{name}: {other}"),
            };
            assert_eq!(&shown, expected, "{name}");
        }
    }

    #[test]
    fn a_deletion_is_confirmed_by_204_only() {
        assert_eq!(answer(204, "", "").no_content(), Ok(()));
        for wrong in [answer(200, "text/html", "<html>"), answer(200, "", ""), answer(301, "", ""), answer(503, "", "")]
        {
            assert!(wrong.no_content().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_date_is_read_or_left() {
        assert_eq!(http_date_ms("Mon, 23 Nov 2026 15:39:34 GMT"), Some(1_795_448_374_000));
        for wrong in ["", "now", "2026-11-23T15:39:34Z", "Mon, 99 Nov 2026 15:39:34 GMT"] {
            assert_eq!(http_date_ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_quote_is_one_short_line() {
        assert_eq!(quote("a\r\n\tb\u{0}c"), "a b c");
        let long = quote(&"é".repeat(1000));
        assert_eq!(long.chars().count(), QUOTED_CHARACTERS_MAX + 1);
    }
}
