//! What is learned of one endpoint, and what a call adds to it.

use outrider_model::{ApiCall, EndpointId};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::auth::{AuthKind, CheckedBy};
use super::classes::{self, ClassSender};
use super::distinct::Distinct;
use super::figures::Location;
use super::histogram::Histogram;
use super::names::media_type;
use super::parameter::Parameter;
use super::reading::Reader;
use super::settings::{Counters, Settings};
use super::shown::{Shown, So};
use crate::evidence::teaches;
use crate::template::Segment;

/// Whether a call brought something that its endpoint did not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Observed {
    New,
    Known,
}

/// A status with how many calls had it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Counted<T> {
    pub what: T,
    pub calls: u64,
}

/// A few of a kind; most endpoints have no more than stand beside it.
pub(super) type Counts<T> = SmallVec<[Counted<T>; 4]>;

/// How callers authenticated.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct AuthSeen {
    pub kind: AuthKind,
    pub calls: u64,
    pub calls_ok: u64,
}

/// An endpoint as it was seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Profile {
    pub endpoint: EndpointId,
    /// The template that its path parameters were last read by.
    pub template: Box<str>,
    /// The same, taken apart; empty until it is needed. Derived from `template`.
    #[serde(skip)]
    pub segments: Box<[Segment]>,
    /// Calls that count as evidence.
    pub calls: u64,
    /// Of those the ones whose answer shows that the API knows the path.
    pub known: u64,
    /// Of those the ones whose parameters were read.
    pub read: u64,
    /// Of those the ones that were answered 2xx.
    pub read_ok: u64,
    pub first_ms: i64,
    pub last_ms: i64,
    pub statuses: Counts<u16>,
    pub auth: SmallVec<[AuthSeen; 2]>,
    pub carrier: Option<(Location, Box<str>)>,
    pub media_types: Counts<Box<str>>,
    pub routes: Counts<Box<str>>,
    pub consumers: Distinct,
    /// The key of the consumer that called last.
    pub last_consumer: u64,
    pub request_bytes: Histogram,
    pub response_bytes: Histogram,
    pub latency_ms: Histogram,
    pub parameters: Vec<Parameter>,
    /// What it holds on the heap, as of the last time that it got something new.
    pub bytes: usize,
    /// It had calls that were not reported yet.
    pub is_touched: bool,
    /// It has something new that was not reported yet.
    pub is_new: bool,
    pub reported_epoch: u32,
    /// What calls showed of how exposed it is. A snapshot has it apart, and the next, too.
    #[serde(skip)]
    pub shown: Shown,
    /// Which consumers sent which class of data.
    #[serde(skip)]
    pub senders: Vec<ClassSender>,
}

impl Profile {
    pub fn new(endpoint: EndpointId) -> Self {
        Profile {
            endpoint,
            template: Box::default(),
            segments: Box::default(),
            calls: 0,
            known: 0,
            read: 0,
            read_ok: 0,
            first_ms: i64::MAX,
            last_ms: i64::MIN,
            statuses: SmallVec::new(),
            auth: SmallVec::new(),
            carrier: None,
            media_types: SmallVec::new(),
            routes: SmallVec::new(),
            consumers: Distinct::default(),
            last_consumer: 0,
            request_bytes: Histogram::default(),
            response_bytes: Histogram::default(),
            latency_ms: Histogram::default(),
            parameters: Vec::new(),
            bytes: 0,
            is_touched: false,
            is_new: false,
            reported_epoch: 0,
            shown: Shown::default(),
            senders: Vec::new(),
        }
    }

    /// Its calls so far.
    pub fn so(&self) -> So {
        So { calls: self.calls, known: self.known }
    }

    /// Learns from a call that is evidence. Without room nothing new is taken in.
    pub fn observe(
        &mut self,
        call: &ApiCall<'_>,
        template: &str,
        checked_by: CheckedBy<'_>,
        settings: &Settings,
        has_room: bool,
        counters: &mut Counters,
    ) -> Observed {
        let kinds_max = settings.kinds_per_endpoint_max;
        self.calls += 1;
        let mut is_new = self.calls == 1;
        is_new |= count(&mut self.statuses, &call.status, |status| *status, kinds_max, counters);
        if let Some(route) = &call.route {
            is_new |= count(&mut self.routes, route.id.as_str(), |id| id.into(), kinds_max, counters);
        }
        if teaches(call) {
            self.known += 1;
            self.first_ms = self.first_ms.min(call.event_ms);
            self.last_ms = self.last_ms.max(call.event_ms);
            let auth = AuthKind::of(call, checked_by);
            is_new |= self.count_known(call, auth, has_room, settings, counters);
            let is_due = self.known <= settings.read_calls || self.known.is_multiple_of(settings.read_every);
            let mut is_sensitive = call.exposure.classes.iter().any(|seen| classes::is_sensitive(&seen.class));
            if is_due || has_room && (self.has_new_query(call, settings) || self.has_new_class(call, settings)) {
                let mut reader =
                    Reader { call, actor: None, settings, has_room, counters, is_new: false, is_sensitive: false };
                self.read(&mut reader, template);
                is_new |= reader.is_new;
                is_sensitive |= reader.is_sensitive;
            }
            is_new |= self.shown.note(call, auth, is_sensitive, self.so(), settings);
        }
        if is_new { Observed::New } else { Observed::Known }
    }

    /// Counts what every call has, and measures some. Says whether something is new.
    fn count_known(
        &mut self,
        call: &ApiCall<'_>,
        auth: AuthKind,
        has_room: bool,
        settings: &Settings,
        counters: &mut Counters,
    ) -> bool {
        let mut is_new = self.count_auth(auth, is_ok(call));
        if let Some(consumer) = call.authenticated_consumer() {
            let key = rapidhash::v3::rapidhash_v3(consumer.id.as_bytes());
            if self.last_consumer != key {
                self.last_consumer = key;
                self.consumers.add(key);
            }
        }
        if self.known > settings.read_calls && !self.known.is_multiple_of(settings.measure_every) {
            return is_new;
        }
        if let Some(media_type) = media_type(&call.response_type) {
            let lower = |text: &str| text.to_ascii_lowercase().into_boxed_str();
            let known = self.media_types.iter_mut().find(|seen| seen.what.eq_ignore_ascii_case(media_type));
            let kinds_max = settings.kinds_per_endpoint_max;
            match known {
                Some(seen) => seen.calls += 1,
                None => is_new |= count(&mut self.media_types, media_type, lower, kinds_max, counters),
            }
        }
        if has_room {
            self.request_bytes.add(call.request_bytes);
            self.response_bytes.add(call.response_bytes);
            if let Ok(latency_ms) = u64::try_from(call.latency.total_ms) {
                self.latency_ms.add(latency_ms);
            }
        } else {
            counters.bytes_max += 1;
        }
        // Sketches grow without saying so, so that what they take is counted anew from time to time.
        is_new || self.known.is_power_of_two()
    }

    fn count_auth(&mut self, kind: AuthKind, is_ok: bool) -> bool {
        if let Some(seen) = self.auth.iter_mut().find(|seen| seen.kind == kind) {
            seen.calls += 1;
            seen.calls_ok += u64::from(is_ok);
            return false;
        }
        self.auth.push(AuthSeen { kind, calls: 1, calls_ok: u64::from(is_ok) });
        self.auth.sort_unstable_by_key(|seen| seen.kind);
        true
    }

    /// What it holds, itself included. By what there is and not by what was reserved, so that a restored one counts alike.
    pub fn heap_bytes(&self) -> usize {
        size_of::<Profile>()
            // Once as it is, and taken apart.
            + self.template.len() * 4
            + self.statuses.len() * size_of::<Counted<u16>>()
            + self.auth.len() * size_of::<AuthSeen>()
            + self.media_types.iter().chain(&self.routes).map(|seen| size_of_val(seen) + seen.what.len()).sum::<usize>()
            + self.consumers.heap_bytes()
            + self.shown.heap_bytes()
            + self.senders.iter().map(|sender| size_of_val(sender) + sender.class.len() + sender.consumer.len()).sum::<usize>()
            + self.request_bytes.heap_bytes()
            + self.response_bytes.heap_bytes()
            + self.latency_ms.heap_bytes()
            + self.parameters.iter().map(Parameter::heap_bytes).sum::<usize>()
    }
}

pub(super) fn is_ok(call: &ApiCall<'_>) -> bool {
    (200..300).contains(&call.status)
}

/// Counts one of a few; at the limit a further one is left out. Says whether it was new.
fn count<T: std::borrow::Borrow<Q>, Q: Ord + ?Sized>(
    seen: &mut Counts<T>,
    what: &Q,
    own: impl Fn(&Q) -> T,
    kinds_max: usize,
    counters: &mut Counters,
) -> bool {
    if let Some(known) = seen.iter_mut().find(|known| known.what.borrow() == what) {
        known.calls += 1;
        return false;
    }
    if seen.len() >= kinds_max {
        counters.kinds_per_endpoint_max += 1;
        return false;
    }
    seen.push(Counted { what: own(what), calls: 1 });
    true
}
