//! When consumers and credentials called last, and from how many networks.
//!
//! All that is kept of a caller is a few bytes: when it called last, and a bit for each of 64 buckets of networks in this hour and the
//! one before. From the share of buckets that are taken follows about how many networks there were (linear counting: Whang,
//! Vander-Zanden and Taylor, "A Linear-Time Probabilistic Counting Algorithm for Database Applications", 1990).

use std::collections::BTreeMap;
use std::net::IpAddr;

use outrider_model::{Actor, ApiCall};
use serde::{Deserialize, Serialize};

use super::settings::{Counters, Settings};

const HOUR_MS: i64 = 3_600_000;

/// A credential in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CredentialSeen {
    pub last_ms: i64,
    /// Whose it was when it called last, where the gateway said so.
    pub consumer: Option<Box<str>>,
    /// The hour that is counted.
    hour: i64,
    /// Its calls, and the buckets of their networks.
    pub calls: u32,
    networks: u64,
    /// The same of the last full hour with most networks within [`PEAK_HOURS`].
    pub peak: Peak,
}

/// An hour of a credential.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peak {
    pub hour: i64,
    pub calls: u32,
    pub networks: u32,
}

/// For how long the busiest hour is remembered.
const PEAK_HOURS: i64 = 24;

/// The callers of one gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Callers {
    /// Receive time of the first call of the gateway.
    pub first_ms: Option<i64>,
    /// By Kong's id, when a consumer called last.
    pub consumers: BTreeMap<Box<str>, i64>,
    /// By Kong's id, else the pseudonym.
    pub credentials: BTreeMap<Box<str>, CredentialSeen>,
    /// Somebody had no room, so who is not there may have called all the same.
    pub is_cut: bool,
}

/// About how many networks have taken these buckets.
fn networks(buckets: u64) -> u32 {
    match buckets.count_zeros() {
        0 => 64 * 5,
        free => (64.0 * (64.0 / f64::from(free)).ln()).round() as u32,
    }
}

impl CredentialSeen {
    fn new() -> CredentialSeen {
        CredentialSeen {
            last_ms: i64::MIN,
            consumer: None,
            hour: i64::MIN,
            calls: 0,
            networks: 0,
            peak: Peak::default(),
        }
    }

    fn note(&mut self, event_ms: i64, consumer: Option<&str>, address: Option<IpAddr>) {
        if self.consumer.as_deref() != consumer {
            self.consumer = consumer.map(Box::from);
        }
        self.last_ms = self.last_ms.max(event_ms);
        let hour = event_ms.div_euclid(HOUR_MS);
        if hour > self.hour {
            self.close();
            (self.hour, self.calls, self.networks) = (hour, 0, 0);
        }
        self.calls = self.calls.saturating_add(1);
        if let Some(address) = address {
            self.networks |= 1 << (network_key(address) >> 58);
        }
    }

    /// The busiest of this hour and those before it.
    pub fn busiest(&self) -> Peak {
        let here = Peak { hour: self.hour, calls: self.calls, networks: networks(self.networks) };
        let is_old = self.peak.hour < self.hour.saturating_sub(PEAK_HOURS);
        if is_old || here.networks >= self.peak.networks { here } else { self.peak }
    }

    fn close(&mut self) {
        self.peak = self.busiest();
    }
}

/// The network of an address: 24 bits of IPv4, 48 of IPv6, so that a caller whose address changes within its network counts once.
fn network_key(address: IpAddr) -> u64 {
    let key = match address {
        IpAddr::V4(address) => rapidhash::v3::rapidhash_v3(&address.octets()[..3]),
        IpAddr::V6(address) => rapidhash::v3::rapidhash_v3(&address.octets()[..6]),
    };
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Callers {
    /// Notes who called. `held` is how many callers are kept in all.
    pub fn note(&mut self, call: &ApiCall<'_>, held: &mut usize, settings: &Settings, counters: &mut Counters) {
        self.first_ms.get_or_insert(call.received_ms);
        if let Some(consumer) = call.authenticated_consumer() {
            if let Some(last_ms) = self.consumers.get_mut(consumer.id.as_str()) {
                *last_ms = (*last_ms).max(call.event_ms);
            } else if self.has_room(held, settings, counters) {
                self.consumers.insert(consumer.id.as_str().into(), call.event_ms);
            }
        }
        let presented;
        let credential = match (&call.credential_id, call.presented_credential) {
            (Some(id), _) => id.as_str(),
            (None, Some(pseudonym)) if call.was_proxied() && (200..300).contains(&call.status) => {
                presented = pseudonym.to_string();
                presented.as_str()
            }
            _ => return,
        };
        // Kong's anonymous consumer is everybody.
        if call.anonymous_consumer || matches!(call.actor(), Some(Actor::Address(_)) | None) {
            return;
        }
        let consumer = call.authenticated_consumer().map(|consumer| consumer.id.as_str());
        if let Some(seen) = self.credentials.get_mut(credential) {
            seen.note(call.event_ms, consumer, call.client_ip);
        } else if self.has_room(held, settings, counters) {
            let mut seen = CredentialSeen::new();
            seen.note(call.event_ms, consumer, call.client_ip);
            self.credentials.insert(credential.into(), seen);
        }
    }

    fn has_room(&mut self, held: &mut usize, settings: &Settings, counters: &mut Counters) -> bool {
        if *held >= settings.credentials_max {
            counters.credentials_max += 1;
            self.is_cut = true;
            return false;
        }
        *held += 1;
        true
    }

    pub fn len(&self) -> usize {
        self.consumers.len() + self.credentials.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_counted_about_right() {
        for count in [0u32, 1, 5, 20, 40, 100] {
            let buckets = (0..count)
                .fold(0u64, |buckets, at| buckets | 1 << (network_key(IpAddr::from([10, at as u8, 7, 1])) >> 58));
            let about = networks(buckets);
            assert!(about.abs_diff(count) <= 2 + count / 3, "{about} for {count}");
        }
        let same: Vec<u64> = (0..9).map(|host| network_key(IpAddr::from([192, 0, 2, host]))).collect();
        assert!(same.iter().all(|key| *key == same[0]));
    }
}
