//! What calls showed of how exposed an endpoint is: their signs, and a few facts of our own, each with how often, since when and
//! how long ago.
//!
//! That something was there once says little of today. So beside the latest time stands how many calls came after it: who
//! asks whether it is over asks for both.

use outrider_model::{ApiCall, FieldValue, Sign};
use serde::{Deserialize, Serialize};

use super::auth::AuthKind;
use super::settings::Settings;

/// A fact that is no [`Sign`], because it takes what this module knows of a call. Their order is the snapshot's format: a new one
/// goes to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mark {
    /// Answered 2xx.
    AnsweredOk,
    /// Answered 2xx, and the call had nothing that could prove who calls.
    UnauthenticatedOk,
    /// Answered 2xx, and the call had something.
    AuthenticatedOk,
    /// The credential was in the query.
    CredentialInQuery,
    /// As [`Mark::UnauthenticatedOk`], in a call that carried what is a person's: personal, payment, health or location data.
    SensitiveUnauthenticatedOk,
    /// Answered 2xx with an eighth of [`Settings::large_response_bytes`] or more: long for a list that is given whole.
    LongAnswer,
    /// Answered 2xx with [`Settings::large_response_bytes`] or more.
    LargeAnswer,
    /// Answered 2xx, and all that could prove who calls was a token that nobody had signed.
    UnsignedTokenOk,
    /// A token was presented that holds for longer than [`Settings::jwt_lifetime_hours_max`].
    LongLivedToken,
}

/// Where marks begin among the bits; below are those of [`Sign`], of which there may be more some day.
const MARKS_AT: u32 = 48;

impl Mark {
    const ALL: [Mark; 9] = [
        Mark::AnsweredOk,
        Mark::UnauthenticatedOk,
        Mark::AuthenticatedOk,
        Mark::CredentialInQuery,
        Mark::SensitiveUnauthenticatedOk,
        Mark::LongAnswer,
        Mark::LargeAnswer,
        Mark::UnsignedTokenOk,
        Mark::LongLivedToken,
    ];

    /// Its name in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Mark::AnsweredOk => "answered_ok",
            Mark::UnauthenticatedOk => "unauthenticated_ok",
            Mark::AuthenticatedOk => "authenticated_ok",
            Mark::CredentialInQuery => "credential_in_query",
            Mark::SensitiveUnauthenticatedOk => "sensitive_unauthenticated_ok",
            Mark::LongAnswer => "long_answer",
            Mark::LargeAnswer => "large_answer",
            Mark::UnsignedTokenOk => "unsigned_token_ok",
            Mark::LongLivedToken => "long_lived_token",
        }
    }

    fn bit(self) -> u64 {
        1 << (MARKS_AT + self as u32)
    }
}

/// How often something was seen, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub calls: u64,
    pub first_ms: i64,
    pub last_ms: i64,
    /// Calls of the endpoint up to the last one that had it.
    pub calls_then: u64,
    /// Known ones of those.
    pub known_then: u64,
}

/// The calls of an endpoint so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct So {
    pub calls: u64,
    pub known: u64,
}

impl Seen {
    pub fn new() -> Seen {
        Seen { calls: 0, first_ms: i64::MAX, last_ms: i64::MIN, calls_then: 0, known_then: 0 }
    }

    pub fn note(&mut self, event_ms: i64, so: So) {
        self.calls += 1;
        self.first_ms = self.first_ms.min(event_ms);
        self.last_ms = self.last_ms.max(event_ms);
        (self.calls_then, self.known_then) = (so.calls, so.known);
    }

    /// Calls and known calls since.
    pub fn since(&self, so: So) -> So {
        So { calls: so.calls.saturating_sub(self.calls_then), known: so.known.saturating_sub(self.known_then) }
    }

    /// Counts as if this many of `together` had come since.
    fn moved(&mut self, since: So, together: So) {
        self.calls_then = together.calls.saturating_sub(since.calls);
        self.known_then = together.known.saturating_sub(since.known);
    }
}

/// Adds what two endpoints have seen of one thing. How their calls lay among each other is not known, so the fewest are taken
/// to have come since.
pub(super) fn merged(one: Option<(&Seen, So)>, other: Option<(&Seen, So)>, together: So) -> Option<Seen> {
    let (mut sum, since) = match (one, other) {
        (Some((one, so)), Some((other, other_so))) => {
            let (since, other_since) = (one.since(so), other.since(other_so));
            let sum = Seen {
                calls: one.calls + other.calls,
                first_ms: one.first_ms.min(other.first_ms),
                last_ms: one.last_ms.max(other.last_ms),
                ..*one
            };
            let least = So { calls: since.calls.min(other_since.calls), known: since.known.min(other_since.known) };
            (sum, least)
        }
        (Some((one, so)), None) | (None, Some((one, so))) => (*one, one.since(so)),
        (None, None) => return None,
    };
    sum.moved(since, together);
    Some(sum)
}

/// The marks, and which of them a known call has.
fn marks(call: &ApiCall<'_>, auth: AuthKind, is_sensitive: bool, settings: &Settings) -> [(Mark, bool); 9] {
    let is_ok = (200..300).contains(&call.status);
    let is_open = is_ok && auth == AuthKind::None;
    let is_presented = |value: &FieldValue<'_>| matches!(value, FieldValue::Pseudonym(found, _) if call.presented_credential == Some(*found));
    let large_bytes = u64::from(settings.large_response_bytes);
    let lifetime_s_max = u64::from(settings.jwt_lifetime_hours_max) * 3_600;
    let is_unsigned = call.credential_id.is_none() && call.exposure.signs.has(Sign::JwtUnsigned);
    [
        (Mark::AnsweredOk, is_ok),
        (Mark::UnauthenticatedOk, is_open),
        (Mark::AuthenticatedOk, is_ok && !is_open),
        (Mark::CredentialInQuery, call.query.iter().any(|field| is_presented(&field.value))),
        (Mark::SensitiveUnauthenticatedOk, is_open && is_sensitive),
        (Mark::LongAnswer, is_ok && call.response_bytes >= large_bytes / 8),
        (Mark::LargeAnswer, is_ok && call.response_bytes >= large_bytes),
        (Mark::UnsignedTokenOk, is_ok && is_unsigned),
        (Mark::LongLivedToken, call.exposure.jwt_lifetime_s.is_some_and(|seconds| u64::from(seconds) > lifetime_s_max)),
    ]
}

/// What calls showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shown {
    /// Which there were, a bit for each.
    bits: u64,
    /// Those, in the order of their bits.
    seen: Vec<Seen>,
    /// The longest lifetime of a token, in seconds.
    pub jwt_lifetime_s: Option<u32>,
}

impl Shown {
    /// Notes what a known call shows. Says whether something is new.
    pub fn note(
        &mut self,
        call: &ApiCall<'_>,
        auth: AuthKind,
        is_sensitive: bool,
        so: So,
        settings: &Settings,
    ) -> bool {
        let mut is_new = false;
        for sign in call.exposure.signs.iter() {
            is_new |= self.note_bit(1 << sign as u32, call.event_ms, so);
        }
        if let Some(lifetime_s) = call.exposure.jwt_lifetime_s
            && self.jwt_lifetime_s < Some(lifetime_s)
        {
            self.jwt_lifetime_s = Some(lifetime_s);
            is_new = true;
        }
        for (mark, is_there) in marks(call, auth, is_sensitive, settings) {
            is_new |= is_there && self.note_bit(mark.bit(), call.event_ms, so);
        }
        is_new
    }

    fn note_bit(&mut self, bit: u64, event_ms: i64, so: So) -> bool {
        let at = (self.bits & (bit - 1)).count_ones() as usize;
        let is_new = self.bits & bit == 0;
        if is_new {
            self.bits |= bit;
            self.seen.insert(at, Seen::new());
        }
        if let Some(seen) = self.seen.get_mut(at) {
            seen.note(event_ms, so);
        }
        is_new
    }

    fn at(&self, bit: u64) -> Option<&Seen> {
        let at = (self.bits & (bit - 1)).count_ones() as usize;
        (self.bits & bit != 0).then(|| self.seen.get(at)).flatten()
    }

    /// All that was seen, with its name, in the order of signs and then marks. A sign that a later build knows is not told.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &Seen)> {
        let signs = Sign::ALL.into_iter().map(|sign| (sign.as_str(), 1 << sign as u32));
        let marks = Mark::ALL.into_iter().map(|mark| (mark.as_str(), mark.bit()));
        signs.chain(marks).filter_map(|(name, bit)| self.at(bit).map(|seen| (name, seen)))
    }

    /// Adds what another has seen, each with the calls that it is of.
    pub fn merge(&mut self, so: So, other: &Shown, other_so: So, together: So) {
        let mut bits = self.bits | other.bits;
        let mut sum = Shown { bits, seen: Vec::new(), jwt_lifetime_s: self.jwt_lifetime_s.max(other.jwt_lifetime_s) };
        while bits != 0 {
            let bit = bits & bits.wrapping_neg();
            bits ^= bit;
            let one = self.at(bit).map(|seen| (seen, so));
            sum.seen.extend(merged(one, other.at(bit).map(|seen| (seen, other_so)), together));
        }
        *self = sum;
    }

    pub fn heap_bytes(&self) -> usize {
        self.seen.len() * size_of::<Seen>()
    }
}
