//! A cookie header, one cookie after the other (RFC 6265, section 4.2).

use outrider_classify::{DataClass, credential_class, credential_shape, is_credential_name};

use super::finds::{Find, Finds};
use super::redact::{Redacted, Scope, redact};
use super::spans::Place;
use super::{FieldPolicy, REDACTED, Sanitiser};
use crate::normalise::SessionCarrier;
use crate::pseudonyms::Domain;

impl Sanitiser {
    /// Cookies one by one, as their policies say (RFC 6265, section 4.2). One without a policy becomes a pseudonym.
    pub(super) fn cookies(&self, header: &str, finds: &mut Finds) -> String {
        let mut kept = Vec::new();
        for pair in header.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                kept.push(self.pseudonym(Domain::Credential, pair).to_string());
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            let shown = match self.policies.cookie.get(name) {
                Some(FieldPolicy::Drop) => continue,
                Some(FieldPolicy::Mask) => REDACTED.to_owned(),
                Some(FieldPolicy::Keep) if credential_shape(value).is_none() => {
                    let redacted = redact(self.rules(), name, value, Place::of(value), Scope::Credentials, finds);
                    redacted.map_or_else(|| value.to_owned(), Redacted::into_text)
                }
                _ if value.is_empty() => String::new(),
                _ => self.pseudonym(Domain::Credential, value).to_string(),
            };
            let name = match redact(self.rules(), "", name, Place::List, Scope::Everything, finds) {
                Some(redacted) => redacted.into_text(),
                None => name.to_owned(),
            };
            kept.push(format!("{name}={shown}"));
        }
        kept.join("; ")
    }

    /// Of a cookie header that is replaced as a whole, what its cookies are: those whose names or looks say so. What an operator has
    /// masked or dropped is not told.
    pub(super) fn find_in_cookies(&self, header: &str, finds: &mut Finds) {
        for pair in header.split(';') {
            let (name, value) = pair.split_once('=').map_or(("", pair), |(name, value)| (name.trim(), value));
            let value = value.trim().trim_matches('"');
            let is_session = matches!(&self.session, Some(SessionCarrier::Cookie(session)) if session == name);
            let is_named = is_session || is_credential_name(name);
            let is_hidden = matches!(self.policies.cookie.get(name), Some(FieldPolicy::Drop | FieldPolicy::Mask));
            if is_hidden || value.is_empty() || !(is_named || credential_shape(value).is_some()) {
                continue;
            }
            finds.add(Find::credential(value, || match is_session {
                true => DataClass::SessionId,
                false => credential_class(name),
            }));
        }
    }
}

/// The value of one cookie of a `cookie` header.
pub(super) fn cookie_value<'v>(header: &'v str, name: &str) -> Option<&'v str> {
    header.split(';').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (found.trim() == name && !value.is_empty()).then_some(value)
    })
}
