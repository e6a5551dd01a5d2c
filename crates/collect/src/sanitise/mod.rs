//! Credentials become pseudonyms, before anything else sees the call.
//!
//! Decides what leaves of a header, a query field and a path: a value whose name or look says credential (crate `classify`)
//! is replaced by its [`Pseudonym`] and its length; a credential inside a longer text, such as a token in the URL of a
//! `referer`, is replaced there and the rest stays (decision 6: spans, not values). `REDACTED` is what Kong writes in place
//! of a credential, so nothing is known of it. Left out: personal values.
//!
//! Of a cookie header the whole value is replaced; the session in it has its own pseudonym by configuration.

mod spans;

use outrider_classify::{credential_shape, is_credential_name, without_scheme};
use outrider_model::{ACCOUNT_FIELD, Field, FieldValue, Pseudonym, Text};

use crate::lossless;
use crate::normalise::{NormaliserSettings, SessionCarrier};
use crate::pseudonyms::{Domain, PseudonymKey};

/// What Kong writes in place of a credential.
const REDACTED: &str = "REDACTED";

/// Replaces credentials.
#[derive(Debug)]
pub(crate) struct Sanitiser {
    key: PseudonymKey,
    key_names: Vec<String>,
    session: Option<SessionCarrier>,
}

/// What a call's fields say about who presented what. Headers win over query fields, and names in the order of the settings,
/// because the order of fields in the log is random.
#[derive(Debug, Default)]
pub(crate) struct Presented {
    credential: Option<(usize, Pseudonym)>,
    pub(crate) session: Option<Pseudonym>,
}

impl Presented {
    pub(crate) fn credential(&self) -> Option<Pseudonym> {
        self.credential.map(|(_, pseudonym)| pseudonym)
    }

    fn offer(&mut self, rank: usize, pseudonym: Pseudonym) {
        if self.credential.is_none_or(|(best, _)| rank < best) {
            self.credential = Some((rank, pseudonym));
        }
    }
}

impl Sanitiser {
    pub(crate) fn new(settings: &NormaliserSettings, key: PseudonymKey) -> Self {
        let key_names = settings.key_names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Sanitiser { key, key_names, session: settings.session.clone() }
    }

    /// Sanitises one value of a request header. The name is in lower case.
    pub(crate) fn header(&self, field: &mut Field<'_>, presented: &mut Presented) {
        let FieldValue::Clear(value) = &field.value else {
            return;
        };
        let name = &*field.name;
        if name == "cookie"
            && let Some(SessionCarrier::Cookie(cookie)) = &self.session
            && let Some(session) = cookie_value(value, cookie)
        {
            presented.session.get_or_insert(self.pseudonym(Domain::Session, session));
        }
        if matches!(&self.session, Some(SessionCarrier::Header(session)) if session.eq_ignore_ascii_case(name)) {
            field.value = self.session_value(value, presented);
            return;
        }
        let rank = match self.key_rank(name) {
            None if name == "authorization" => Some(2 * self.key_names.len()),
            rank => rank,
        };
        if let Some(replaced) = self.credential(name, value, rank, presented) {
            field.value = replaced;
        } else if !is_plain_header(name)
            && let Some(text) = spans::redact(value, |credential| self.pseudonym(Domain::Credential, credential))
        {
            field.value = FieldValue::Clear(Text::from(text));
        }
    }

    /// Sanitises one query field. Name and value are percent-decoded.
    pub(crate) fn query_field<'a>(
        &self,
        name: Text<'a>,
        value: Option<Text<'a>>,
        presented: &mut Presented,
    ) -> Field<'a> {
        let Some(value) = value else {
            let name = match self.redacted(&name) {
                Some(text) => Text::from(text),
                None => name,
            };
            return Field { name, value: FieldValue::Flag };
        };
        if matches!(&self.session, Some(SessionCarrier::Query(session)) if *session == *name) {
            let value = self.session_value(&value, presented);
            return Field { name, value };
        }
        let rank = self.key_rank(&name).map(|rank| self.key_names.len() + rank);
        let value = match self.credential(&name, &value, rank, presented) {
            Some(replaced) => replaced,
            None => match self.redacted(&value) {
                Some(text) => FieldValue::Clear(Text::from(text)),
                None => FieldValue::Clear(value),
            },
        };
        // A name is seldom a credential, but `?eyJ...=` is a token all the same.
        let name = match self.redacted(&name) {
            Some(text) => Text::from(text),
            None => name,
        };
        Field { name, value }
    }

    /// Sanitises one value of a mapped field.
    pub(crate) fn mapped_value<'a>(&self, name: &'a str, value: Text<'a>, presented: &mut Presented) -> FieldValue<'a> {
        if matches!(&self.session, Some(SessionCarrier::Field(session)) if session == name) {
            return self.session_value(&value, presented);
        }
        // Whoever signs in is a person, whatever the account's name looks like.
        if name == ACCOUNT_FIELD {
            return FieldValue::Pseudonym(self.pseudonym(Domain::Credential, &value), length(&value));
        }
        // A mapped field is no key that a client presents, even if it is called like one.
        self.query_field(Text::from(name), Some(value), &mut Presented::default()).value
    }

    /// Sanitises a raw path.
    pub(crate) fn path<'a>(&self, path: &'a str) -> Text<'a> {
        match spans::redact_path(path, |credential| self.pseudonym(Domain::Credential, credential)) {
            Some(text) => Text::from(text),
            None => Text::from(path),
        }
    }

    /// What stands for the value, if its name or its look says that it is a credential.
    fn credential(
        &self,
        name: &str,
        value: &str,
        rank: Option<usize>,
        presented: &mut Presented,
    ) -> Option<FieldValue<'static>> {
        if value.is_empty() {
            return None;
        }
        if rank.is_none() && !is_credential_name(name) && credential_shape(value).is_none() {
            return None;
        }
        let bare = without_scheme(value);
        if bare == REDACTED || value == REDACTED {
            return Some(FieldValue::Redacted);
        }
        let pseudonym = self.pseudonym(Domain::Credential, bare);
        if let Some(rank) = rank {
            presented.offer(rank, pseudonym);
        }
        Some(FieldValue::Pseudonym(pseudonym, length(bare)))
    }

    fn session_value(&self, value: &str, presented: &mut Presented) -> FieldValue<'static> {
        match value {
            "" => FieldValue::Clear(Text::EMPTY),
            REDACTED => FieldValue::Redacted,
            _ => {
                let pseudonym = self.pseudonym(Domain::Session, value);
                presented.session.get_or_insert(pseudonym);
                FieldValue::Pseudonym(pseudonym, length(value))
            }
        }
    }

    fn redacted(&self, text: &str) -> Option<String> {
        spans::redact(text, |credential| self.pseudonym(Domain::Credential, credential))
    }

    /// The pseudonym of the original bytes, so that a person who has the value in hand finds it.
    fn pseudonym(&self, domain: Domain, value: &str) -> Pseudonym {
        self.key.pseudonym(domain, &lossless::to_bytes(value))
    }

    fn key_rank(&self, name: &str) -> Option<usize> {
        self.key_names.iter().position(|known| known.eq_ignore_ascii_case(name))
    }
}

fn length(value: &str) -> u32 {
    u32::try_from(value.len()).unwrap_or(u32::MAX)
}

/// Headers that clients send with every request and that have no room for a credential.
fn is_plain_header(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "accept"
            | "accept-encoding"
            | "accept-language"
            | "cache-control"
            | "connection"
            | "content-length"
            | "content-type"
            | "traceparent"
            | "x-forwarded-for"
            | "x-forwarded-port"
            | "x-forwarded-proto"
            | "x-real-ip"
            | "x-request-id"
    )
}

/// The value of one cookie of a `cookie` header (RFC 6265, section 4.2).
fn cookie_value<'v>(header: &'v str, name: &str) -> Option<&'v str> {
    header.split(';').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (found.trim() == name && !value.is_empty()).then_some(value)
    })
}

#[cfg(test)]
mod tests;
