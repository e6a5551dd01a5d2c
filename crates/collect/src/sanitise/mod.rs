//! Credentials and personal values become pseudonyms, before anything else sees the call.
//!
//! Decides what leaves of a header, a query field and a path. A value whose name or look says credential (crate `classify`)
//! is replaced by its [`Pseudonym`] and its length. Credentials and personal values inside a longer text are replaced there,
//! in whatever encoding, and the rest stays (decision 6: spans, not values): `alice@corp.example' OR 1=1--` keeps its attack
//! and loses its address. `REDACTED` is what Kong writes in place of a credential, so nothing is known of it. A setting can
//! say otherwise for single fields (module `policies`).
//!
//! Of a cookie header the whole value is replaced; the session in it has its own pseudonym by configuration.

mod addresses;
mod clean;
mod cookies;
mod finds;
mod identities;
mod policies;
mod presented;
mod redact;
mod repeated;
mod spans;
mod views;

use std::net::IpAddr;

use outrider_classify::{
    DataClass, credential_class, credential_shape, find_personal, is_credential_name, without_scheme,
};
use outrider_model::{ACCOUNT_FIELD, ApiCall, Field, FieldValue, Pseudonym, Text};

use clean::CleanValues;
use cookies::cookie_value;
use finds::Find;
pub(crate) use finds::Finds;
pub(crate) use identities::Hides;
pub use identities::{Identities, Identity};
pub use policies::{FieldPolicies, FieldPolicy};
pub(crate) use presented::Presented;
use redact::{Redacted, Rules, Scope, redact};
use spans::Place;

use crate::lossless;
use crate::normalise::{NormaliserSettings, SessionCarrier};
use crate::pseudonyms::{Domain, PseudonymKey};

/// What Kong writes in place of a credential.
const REDACTED: &str = "REDACTED";

/// A header name of fewer digits and without `@` holds no value, and no more does a host.
const NAME_DIGITS_MIN: usize = 6;

/// Replaces credentials and personal values.
#[derive(Debug)]
pub(crate) struct Sanitiser {
    key: PseudonymKey,
    key_names: Vec<String>,
    /// What their names say that they are, in the same order.
    key_classes: Vec<DataClass>,
    session: Option<SessionCarrier>,
    policies: FieldPolicies,
    identities: Identities,
    /// The header in which proxies say for whom they ask, where it is known.
    address_header: Option<String>,
    clean_headers: CleanValues,
    clean_fields: CleanValues,
}

impl Sanitiser {
    pub(crate) fn new(settings: &NormaliserSettings, key: PseudonymKey) -> Self {
        let key_names: Vec<_> = settings.key_names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let key_classes = key_names.iter().map(|name| key_class(name)).collect();
        let policies = settings.field_policies.lower_cased();
        let session = settings.session.clone();
        let identities = settings.pseudonymise.clone();
        let address_header = settings.trusted_proxies.as_ref().map(|proxies| proxies.header.clone());
        let (clean_headers, clean_fields) = (CleanValues::new(), CleanValues::new());
        Sanitiser {
            key,
            key_names,
            key_classes,
            session,
            policies,
            identities,
            address_header,
            clean_headers,
            clean_fields,
        }
    }

    /// Sanitises what only the values of a repeated header show together, and gives what was found by the places of the values. To be
    /// called before [`Sanitiser::header`].
    pub(crate) fn repeated_headers(&self, fields: &mut [Field<'_>]) -> Vec<(usize, Find)> {
        repeated::redact(self.rules(), fields)
    }

    /// Sanitises one value of a request header and says whether it stays. The name is in lower case.
    pub(crate) fn header(&self, field: &mut Field<'_>, presented: &mut Presented) -> bool {
        let FieldValue::Clear(value) = &field.value else {
            return true;
        };
        let name = &*field.name;
        if name == "cookie"
            && let Some(SessionCarrier::Cookie(cookie)) = &self.session
            && let Some(session) = cookie_value(value, cookie)
        {
            self.present_session(session, presented);
        }
        let is_session =
            matches!(&self.session, Some(SessionCarrier::Header(session)) if session.eq_ignore_ascii_case(name));
        let is_plain = is_plain_header(name);
        let replaced = match is_session {
            true => Some(self.session_value(value, presented)),
            // One look is enough for these, and less than it takes to remember what will not come again.
            false if is_of_one_call(name) => self.header_value(name, value, is_plain, presented),
            false => self.clean_headers.stays(name, value, || self.header_value(name, value, is_plain, presented)),
        };
        let policy = self.policies.header.get(name).copied();
        if let Some(value) = self.by_policy(policy, name, value, replaced, &mut presented.finds) {
            field.value = value;
        }
        if may_hold_value(name) {
            self.redact_name(&mut field.name, &mut presented.finds);
        }
        policy != Some(FieldPolicy::Drop)
    }

    /// What stands for the value of a header; `None` if it may stay.
    fn header_value(
        &self,
        name: &str,
        value: &str,
        is_plain: bool,
        presented: &mut Presented,
    ) -> Option<FieldValue<'static>> {
        let rank = match self.key_rank(name) {
            None if name == "authorization" => Some(2 * self.key_names.len()),
            rank => rank,
        };
        let credential = self.presented_key(name, value, rank, presented);
        if name == "cookie" && !self.policies.cookie.is_empty() {
            return Some(FieldValue::Clear(Text::from(self.cookies(value, &mut presented.finds))));
        }
        if name == "host"
            && let Some((user, host)) = value.rsplit_once('@')
        {
            return Some(FieldValue::Clear(Text::from(format!("{}@{host}", self.key.personal("", user)))));
        }
        credential.or_else(|| {
            // Plain headers are most of all bytes; what they should not have at all is seen from a single sign.
            let is_clean = match name {
                "host" => is_plain_host(value),
                _ => is_plain && memchr::memchr2(b'@', b'%', value.as_bytes()).is_none(),
            };
            if is_clean { None } else { self.redacted(name, value, Scope::Everything, &mut presented.finds) }
        })
    }

    /// Sanitises one query field, unless it is dropped. Name and value are percent-decoded.
    pub(crate) fn query_field<'a>(
        &self,
        mut name: Text<'a>,
        value: Option<Text<'a>>,
        presented: &mut Presented,
    ) -> Option<Field<'a>> {
        let policy = self.policies.query.get(&*name).copied();
        let value = match value {
            None => FieldValue::Flag,
            Some(value) => {
                let is_session = matches!(&self.session, Some(SessionCarrier::Query(session)) if *session == *name);
                let replaced = match is_session {
                    true => Some(self.session_value(&value, presented)),
                    false => {
                        let rank = self.key_rank(&name).map(|rank| self.key_names.len() + rank);
                        let credential = self.presented_key(&name, &value, rank, presented);
                        credential.or_else(|| self.redacted(&name, &value, Scope::Everything, &mut presented.finds))
                    }
                };
                let replaced = self.by_policy(policy, &name, &value, replaced, &mut presented.finds);
                replaced.unwrap_or(FieldValue::Clear(value))
            }
        };
        if policy == Some(FieldPolicy::Drop) {
            return None;
        }
        // A name is seldom a value, but `?eyJ...=` is a token all the same.
        self.redact_name(&mut name, &mut presented.finds);
        Some(Field { name, value })
    }

    /// Sanitises one value of a mapped field.
    fn plain_mapped_value<'a>(&self, name: &'a str, value: Text<'a>, presented: &mut Presented) -> FieldValue<'a> {
        if matches!(&self.session, Some(SessionCarrier::Field(session)) if session == name) {
            return self.session_value(&value, presented);
        }
        let replaced = if name == ACCOUNT_FIELD {
            // Whoever signs in is a person, whatever the account's name looks like.
            find_personal(name, &value).iter().for_each(|found| presented.finds.add(Find::of(found.class)));
            Some(match &*value {
                REDACTED => FieldValue::Redacted,
                _ => FieldValue::Pseudonym(self.key.personal(name, &value), length(&value)),
            })
        } else {
            self.clean_fields.stays(name, &value, || {
                // A mapped field is no key that a client presents, even if it is called like one.
                let credential = self.credential(name, &value, self.key_rank(name).is_some(), &mut presented.finds);
                credential.or_else(|| self.redacted(name, &value, Scope::Everything, &mut presented.finds))
            })
        };
        let policy = self.policies.field.get(name).copied();
        let shown = self.by_policy(policy, name, &value, replaced, &mut presented.finds);
        if name == ACCOUNT_FIELD && matches!(shown, Some(FieldValue::Pseudonym(..))) {
            let former = self.former_key(presented).map(|key| key.personal(name, &value));
            presented.former.account = presented.former.account.or(former);
        }
        shown.unwrap_or(FieldValue::Clear(value))
    }

    /// Sanitises one value of a mapped field that is made of places in which a setting hides so much.
    pub(crate) fn mapped_value<'a>(
        &self,
        hides: Hides,
        name: &'a str,
        value: Text<'a>,
        presented: &mut Presented,
    ) -> FieldValue<'a> {
        match hides {
            Hides::Nothing => self.plain_mapped_value(name, value, presented),
            Hides::Addresses => {
                self.plain_mapped_value(name, identities::without_addresses(&self.key, value), presented)
            }
            Hides::Whole => {
                let whole = identities::hidden(&self.key, &value);
                match self.plain_mapped_value(name, value, presented) {
                    FieldValue::Clear(_) => whole,
                    hidden => hidden,
                }
            }
        }
    }

    /// What a mapped field must not give in clear that is made of these places of the line.
    pub(crate) fn hides(&self, paths: &[Vec<String>]) -> Hides {
        self.identities.hides(self.address_header.as_deref(), paths)
    }

    /// Replaces the consumer's name in fields of the call, where a setting says so. To be called while the call has it.
    pub(crate) fn hide_names(&self, call: &mut ApiCall<'_>) {
        self.identities.hide_in_fields(&self.key, call);
    }

    /// Replaces what tells the client, the service and the route apart, where a setting says so, and gives the address that is not in
    /// the call any more. To be called when everything else of the call is there.
    pub(crate) fn hide_identities(&self, call: &mut ApiCall<'_>) -> Option<IpAddr> {
        self.identities.hide(&self.key, self.address_header.as_deref(), call)
    }

    /// Whether a setting keeps a query field of this name out of the call.
    pub(crate) fn drops_query(&self, name: &str) -> bool {
        self.policies.query.get(name) == Some(&FieldPolicy::Drop)
    }

    /// Sanitises the host that was called, which the client chooses as it does a header.
    pub(crate) fn host<'a>(&self, host: Text<'a>) -> Text<'a> {
        if is_plain_host(&host) { host } else { self.list(host) }
    }

    /// Sanitises a method. Kong's own server takes none with other signs than letters, `-` and `_`; whoever else writes lines may.
    pub(crate) fn method<'a>(&self, method: Text<'a>) -> Text<'a> {
        let is_usual = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
        if !method.bytes().all(is_usual) { self.list(method) } else { upper_case(method) }
    }

    /// Sanitises the type of the answer, which whoever answers chooses.
    pub(crate) fn response_type<'a>(&self, response_type: Text<'a>) -> Text<'a> {
        let may_hold_value = may_hold_value(&response_type) || response_type.contains('%');
        if may_hold_value { self.list(response_type) } else { response_type }
    }

    fn list<'a>(&self, value: Text<'a>) -> Text<'a> {
        // What stands in none of the call's lists has no place that could be told.
        match redact(self.rules(), "", &value, Place::List, Scope::Everything, &mut Finds::default()) {
            Some(redacted) => Text::from(redacted.into_text()),
            None => value,
        }
    }

    /// Sanitises a raw path.
    pub(crate) fn path<'a>(&self, path: &'a str, finds: &mut Finds) -> Text<'a> {
        let Some(redacted) = redact(self.rules(), "", path, Place::Path, Scope::Everything, finds) else {
            return Text::from(path);
        };
        finds.stand_in_path();
        Text::from(redacted.into_text())
    }

    /// What stands for a value after a setting's say; `None` if it may stay. `replaced` is what would stand without one. Of a value that
    /// is kept its class is told all the same; of one that is masked it is not, as that there was a value is all that leaves.
    fn by_policy(
        &self,
        policy: Option<FieldPolicy>,
        name: &str,
        value: &str,
        replaced: Option<FieldValue<'static>>,
        finds: &mut Finds,
    ) -> Option<FieldValue<'static>> {
        match policy {
            None => replaced,
            Some(_) if value.is_empty() => replaced,
            Some(FieldPolicy::Drop | FieldPolicy::Mask) => {
                finds.leave();
                Some(FieldValue::Redacted)
            }
            Some(FieldPolicy::Pseudonymise) => match replaced {
                Some(hidden @ (FieldValue::Pseudonym(..) | FieldValue::Redacted)) => Some(hidden),
                _ => Some(FieldValue::Pseudonym(self.key.personal(name, value), length(value))),
            },
            Some(FieldPolicy::Keep) if credential_shape(value).is_some() => replaced,
            Some(FieldPolicy::Keep) => self.redacted(name, value, Scope::Credentials, finds),
        }
    }

    /// What stands for a credential, which is offered as the one that the client presents if its place says so.
    fn presented_key(
        &self,
        name: &str,
        value: &str,
        rank: Option<usize>,
        presented: &mut Presented,
    ) -> Option<FieldValue<'static>> {
        let credential = self.credential(name, value, rank.is_some(), &mut presented.finds)?;
        if let (Some(rank), FieldValue::Pseudonym(pseudonym, _)) = (rank, &credential) {
            let former = self.former(Domain::Credential, without_scheme(value), presented);
            presented.offer(rank, *pseudonym, former);
        }
        Some(credential)
    }

    /// What stands for the value, if its name or its look says that it is a credential.
    fn credential(&self, name: &str, value: &str, is_key: bool, finds: &mut Finds) -> Option<FieldValue<'static>> {
        if value.is_empty() {
            return None;
        }
        if !is_key && !is_credential_name(name) && credential_shape(value).is_none() {
            return None;
        }
        let bare = without_scheme(value);
        if bare == REDACTED || value == REDACTED {
            return Some(FieldValue::Redacted);
        }
        let pseudonym = self.pseudonym(Domain::Credential, bare);
        match name {
            "cookie" => self.find_in_cookies(value, finds),
            _ => finds.add(Find::credential(bare, || self.credential_class(name))),
        }
        Some(FieldValue::Pseudonym(pseudonym, length(bare)))
    }

    fn credential_class(&self, name: &str) -> DataClass {
        self.key_rank(name).map_or_else(|| credential_class(name), |rank| self.key_classes[rank])
    }

    fn session_value(&self, value: &str, presented: &mut Presented) -> FieldValue<'static> {
        match value {
            "" => FieldValue::Clear(Text::EMPTY),
            REDACTED => FieldValue::Redacted,
            _ => {
                presented.finds.add(Find::credential(value, || DataClass::SessionId));
                FieldValue::Pseudonym(self.present_session(value, presented), length(value))
            }
        }
    }

    fn present_session(&self, value: &str, presented: &mut Presented) -> Pseudonym {
        let pseudonym = self.pseudonym(Domain::Session, value);
        if presented.session.is_none() {
            presented.session = Some(pseudonym);
            presented.former.session = self.former(Domain::Session, value, presented);
        }
        pseudonym
    }

    /// The pseudonym that a value had under the former key, while calls are to say that.
    fn former(&self, domain: Domain, value: &str, presented: &Presented) -> Option<Pseudonym> {
        Some(self.former_key(presented)?.pseudonym(domain, &lossless::to_bytes(value)))
    }

    fn former_key(&self, presented: &Presented) -> Option<&PseudonymKey> {
        self.key.former_at(presented.received_ms?)
    }

    fn redacted(&self, name: &str, value: &str, scope: Scope, finds: &mut Finds) -> Option<FieldValue<'static>> {
        Some(match redact(self.rules(), name, value, Place::of(value), scope, finds)? {
            Redacted::Whole(pseudonym) => FieldValue::Pseudonym(pseudonym, length(value)),
            Redacted::Text(text) => FieldValue::Clear(Text::from(text)),
        })
    }

    fn redact_name(&self, name: &mut Text<'_>, finds: &mut Finds) {
        if let Some(redacted) = redact(self.rules(), "", name, Place::of(name), Scope::Everything, finds) {
            *name = Text::from(redacted.into_text());
        }
    }

    /// The pseudonym of the original bytes, so that a person who has the value in hand finds it.
    fn pseudonym(&self, domain: Domain, value: &str) -> Pseudonym {
        self.key.pseudonym(domain, &lossless::to_bytes(value))
    }

    fn rules(&self) -> Rules<'_> {
        Rules { key: &self.key, key_names: &self.key_names }
    }

    fn key_rank(&self, name: &str) -> Option<usize> {
        self.key_names.iter().position(|known| known.eq_ignore_ascii_case(name))
    }
}

/// What a name says under which keys are presented: a key, where it says no more than that of a token.
fn key_class(name: &str) -> DataClass {
    match credential_class(name) {
        DataClass::AccessToken if !name.contains("token") => DataClass::ApiKey,
        class => class,
    }
}

fn length(value: &str) -> u32 {
    u32::try_from(value.len()).unwrap_or(u32::MAX)
}

/// Headers that clients send with every request and that have no room for a credential.
fn is_plain_header(name: &str) -> bool {
    matches!(
        name,
        "accept"
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

/// Those of them that have another value with nearly every call.
fn is_of_one_call(name: &str) -> bool {
    matches!(name, "content-length" | "traceparent" | "x-forwarded-for" | "x-real-ip" | "x-request-id")
}

fn upper_case(method: Text<'_>) -> Text<'_> {
    if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Text::from(method.to_ascii_uppercase());
    }
    method
}

/// Nearly every host is a name or an address, which is seen in one look at its bytes.
fn is_plain_host(host: &str) -> bool {
    let mut digits = 0;
    let is_usual = |byte: u8| {
        digits += usize::from(byte.is_ascii_digit());
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']')
    };
    host.bytes().all(is_usual) && digits < NAME_DIGITS_MIN
}

/// Nearly no header's name does, and no type of an answer, so they are looked at only with a sign of it.
fn may_hold_value(name: &str) -> bool {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    digits >= NAME_DIGITS_MIN || name.contains('@')
}

#[cfg(test)]
mod tests;
