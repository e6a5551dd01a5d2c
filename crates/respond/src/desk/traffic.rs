//! Who made how much of a gateway's traffic in the last hour, in bounded memory: what the guard rails on shares read.
//!
//! Calls are counted per consumer in one-minute slots of at most [`COUNTERS_MAX`] counters each (Misra and Gries,
//! "Finding repeated elements", 1982, with the purge by the median of Anderson et al., "A high-performance algorithm for
//! identifying frequent items in data streams", 2017): what was subtracted in purges is added again when read, so
//! a share is never read too low, and too high by at most 1/128 of the slot's calls. Client addresses are sampled by
//! hash: at most [`ADDRESSES_MAX`] of the hour's addresses, an equal sample of all, each with the consumers seen on it.
//!
//! Only evidence is counted: an untrusted line or a refusal of our own moves no share.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

/// Gateways whose traffic is followed; calls of others are counted as such, and no automatic action happens there.
pub(super) const GATEWAYS_MAX: usize = 32;
/// Counters of one slot; at the limit the median is subtracted from all and the empty ones go.
pub(super) const COUNTERS_MAX: usize = 512;
/// Sampled addresses; at the limit the sampling rate is halved.
pub(super) const ADDRESSES_MAX: usize = 1024;
/// Consumers remembered for a sampled address; at the limit the one seen longest ago goes.
pub(super) const CONSUMERS_PER_ADDRESS_MAX: usize = 8;
/// Slots of an hour.
const MINUTES: i64 = 60;
/// Closed slots held; there are more than an hour has minutes only where slots were closed early, and then the oldest goes.
const SLOTS_MAX: usize = 120;

type Map<V> = HashMap<u64, V, FixedState>;

/// The last hour of each gateway.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Traffic {
    minute: i64,
    gateways: Vec<GatewayTraffic>,
}

/// What was counted for a target, next to what was counted in all.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Shares {
    pub(super) calls: u64,
    pub(super) target_calls: u64,
    pub(super) addresses: u64,
    pub(super) target_addresses: u64,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Its consumer had a counter in this slot already, or it has no consumer.
    Known,
    /// The first call of its consumer in this slot, as far as the counters reach.
    New,
    /// Its gateway is beyond the limit.
    NotFollowed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct GatewayTraffic {
    name: String,
    open: OpenSlot,
    closed: VecDeque<ClosedSlot>,
    addresses: Addresses,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct OpenSlot {
    calls: u64,
    subtracted: u64,
    #[serde(with = "sorted")]
    counters: Map<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ClosedSlot {
    minute: i64,
    calls: u64,
    subtracted: u64,
    counters: Vec<(u64, u64)>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Addresses {
    /// An address is sampled if the first `level` bits of its hash are zero.
    level: u32,
    #[serde(with = "sorted")]
    sample: Map<Address>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Address {
    first_minute: i64,
    last_minute: i64,
    consumers: Vec<Seen>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Seen {
    consumer: u64,
    first_minute: i64,
    last_minute: i64,
}

impl Traffic {
    /// Follows log time: slots older than an hour go. Telling the time more often changes nothing.
    pub(super) fn roll(&mut self, now_ms: i64) {
        let minute = now_ms.div_euclid(60_000);
        if minute <= self.minute {
            return;
        }
        for gateway in &mut self.gateways {
            gateway.close_slot(self.minute);
            gateway.forget(minute);
        }
        self.minute = minute;
    }

    /// Makes every consumer new again, because something else is to be learned from its next call.
    pub(super) fn see_all_anew(&mut self) {
        for gateway in &mut self.gateways {
            gateway.close_slot(self.minute);
        }
    }

    /// Counts one call.
    pub(super) fn on_call(&mut self, gateway: &str, consumer: Option<u64>, address: Option<IpAddr>) -> Counted {
        let minute = self.minute;
        let index = match self.gateways.iter().position(|known| known.name == gateway) {
            Some(index) => index,
            None if self.gateways.len() < GATEWAYS_MAX => {
                self.gateways.push(GatewayTraffic::new(gateway));
                self.gateways.len() - 1
            }
            None => return Counted::NotFollowed,
        };
        let gateway = &mut self.gateways[index];
        if let Some(address) = address {
            gateway.addresses.on_call(hash_of(address), consumer, minute);
        }
        gateway.open.on_call(consumer)
    }

    /// What a consumer's share is, over the slots and first sightings before `before_minute`; `None` for a gateway that
    /// is not followed.
    pub(super) fn shares(&self, gateway: &str, consumer: u64, before_minute: i64) -> Option<Shares> {
        let Some(gateway) = self.gateways.iter().find(|known| known.name == gateway) else {
            return (self.gateways.len() < GATEWAYS_MAX).then(Shares::default);
        };
        let mut shares = Shares::default();
        for slot in gateway.closed.iter().filter(|slot| slot.minute < before_minute) {
            let counter = slot.counters.binary_search_by_key(&consumer, |(key, _)| *key);
            shares.calls += slot.calls;
            shares.target_calls += slot.subtracted + counter.map_or(0, |index| slot.counters[index].1);
        }
        if self.minute < before_minute {
            shares.calls += gateway.open.calls;
            shares.target_calls +=
                gateway.open.subtracted + gateway.open.counters.get(&consumer).copied().unwrap_or_default();
        }
        shares.target_calls = shares.target_calls.min(shares.calls);
        for address in gateway.addresses.sample.values().filter(|address| address.first_minute < before_minute) {
            let is_target = |seen: &Seen| seen.consumer == consumer && seen.first_minute < before_minute;
            shares.addresses += 1;
            shares.target_addresses += u64::from(address.consumers.iter().any(is_target));
        }
        shares.addresses <<= gateway.addresses.level;
        shares.target_addresses <<= gateway.addresses.level;
        Some(shares)
    }
}

impl GatewayTraffic {
    fn new(name: &str) -> Self {
        GatewayTraffic {
            name: name.to_owned(),
            open: OpenSlot::default(),
            closed: VecDeque::new(),
            addresses: Addresses::default(),
        }
    }

    fn close_slot(&mut self, minute: i64) {
        let open = std::mem::take(&mut self.open);
        if open.calls == 0 {
            return;
        }
        let mut counters: Vec<(u64, u64)> = open.counters.into_iter().collect();
        counters.sort_unstable();
        if self.closed.len() == SLOTS_MAX {
            self.closed.pop_front();
        }
        self.closed.push_back(ClosedSlot { minute, calls: open.calls, subtracted: open.subtracted, counters });
    }

    fn forget(&mut self, minute: i64) {
        while self.closed.front().is_some_and(|slot| slot.minute <= minute - MINUTES) {
            self.closed.pop_front();
        }
        self.addresses.forget(minute);
    }
}

impl OpenSlot {
    fn on_call(&mut self, consumer: Option<u64>) -> Counted {
        self.calls += 1;
        let Some(consumer) = consumer else { return Counted::Known };
        if let Some(counter) = self.counters.get_mut(&consumer) {
            *counter += 1;
            return Counted::Known;
        }
        if self.counters.len() == COUNTERS_MAX {
            self.purge();
        }
        self.counters.insert(consumer, 1);
        Counted::New
    }

    #[cold]
    fn purge(&mut self) {
        let mut counts: Vec<u64> = self.counters.values().copied().collect();
        let (_, median, _) = counts.select_nth_unstable(COUNTERS_MAX / 2);
        let median = *median;
        self.counters.retain(|_, count| {
            *count = count.saturating_sub(median);
            *count > 0
        });
        self.subtracted += median;
    }
}

impl Addresses {
    fn on_call(&mut self, hash: u64, consumer: Option<u64>, minute: i64) {
        if hash.leading_zeros() < self.level {
            return;
        }
        if let Some(address) = self.sample.get_mut(&hash) {
            address.last_minute = minute;
            if let Some(consumer) = consumer {
                address.see(consumer, minute);
            }
            return;
        }
        while self.sample.len() >= ADDRESSES_MAX && self.level < 63 {
            self.level += 1;
            let level = self.level;
            self.sample.retain(|hash, _| hash.leading_zeros() >= level);
        }
        if hash.leading_zeros() < self.level {
            return;
        }
        let mut address = Address { first_minute: minute, last_minute: minute, consumers: Vec::new() };
        if let Some(consumer) = consumer {
            address.see(consumer, minute);
        }
        self.sample.insert(hash, address);
    }

    /// What nobody saw for an hour goes. A sample that has become small is taken at the full rate again.
    fn forget(&mut self, minute: i64) {
        let oldest = minute - MINUTES;
        self.sample.retain(|_, address| {
            address.consumers.retain(|seen| seen.last_minute > oldest);
            address.last_minute > oldest
        });
        if self.sample.len() < ADDRESSES_MAX / 4 {
            self.level = 0;
        }
    }
}

impl Address {
    fn see(&mut self, consumer: u64, minute: i64) {
        if let Some(seen) = self.consumers.iter_mut().find(|seen| seen.consumer == consumer) {
            seen.last_minute = minute;
            return;
        }
        let seen = Seen { consumer, first_minute: minute, last_minute: minute };
        if self.consumers.len() < CONSUMERS_PER_ADDRESS_MAX {
            self.consumers.push(seen);
        } else if let Some(oldest) = self.consumers.iter_mut().min_by_key(|seen| seen.last_minute) {
            *oldest = seen;
        }
    }
}

fn hash_of(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => rapidhash::v3::rapidhash_v3(&address.octets()),
        IpAddr::V6(address) => rapidhash::v3::rapidhash_v3(&address.octets()),
    }
}

/// Maps are written in the order of their keys, so that equal states give equal bytes.
mod sorted {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Map;

    pub(super) fn serialize<V: Serialize, S: Serializer>(map: &Map<V>, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows: Vec<(&u64, &V)> = map.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| **key);
        rows.serialize(serializer)
    }

    pub(super) fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Map<V>, D::Error> {
        Ok(Vec::<(u64, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const MINUTE: i64 = 60_000;

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(Ipv4Addr::from(number)))
    }

    #[test]
    fn the_last_hour_counts_and_nothing_before() {
        let mut traffic = Traffic::default();
        traffic.roll(1000 * MINUTE);
        for _ in 0..30 {
            traffic.on_call("kong", Some(1), address(1));
            traffic.on_call("kong", Some(2), address(2));
        }
        for (minutes_later, calls) in [(1, 60), (59, 60), (60, 0), (500, 0)] {
            let mut later = traffic.clone();
            later.roll((1000 + minutes_later) * MINUTE);
            let shares = later.shares("kong", 1, i64::MAX).unwrap();
            assert_eq!((shares.calls, shares.target_calls), (calls, calls / 2), "{minutes_later} min later");
            assert_eq!((shares.addresses, shares.target_addresses), (calls / 30, calls / 60));
        }
    }

    #[test]
    fn what_began_in_the_window_can_be_left_out() {
        let mut traffic = Traffic::default();
        traffic.roll(10 * MINUTE);
        for number in 0..100 {
            traffic.on_call("kong", Some(2 + u64::from(number % 10)), address(number));
        }
        traffic.roll(11 * MINUTE);
        for number in 0..900 {
            traffic.on_call("kong", Some(1), address(number));
        }
        let all = traffic.shares("kong", 1, i64::MAX).unwrap();
        assert_eq!((all.calls, all.target_calls, all.addresses, all.target_addresses), (1000, 900, 900, 900));
        let before = traffic.shares("kong", 1, 11).unwrap();
        assert_eq!((before.calls, before.target_calls, before.addresses, before.target_addresses), (100, 0, 100, 0));
    }

    #[test]
    fn a_heavy_consumer_is_seen_among_a_million_that_pass_by() {
        let mut traffic = Traffic::default();
        traffic.roll(0);
        for number in 0..1_000_000u32 {
            let consumer = if number % 10 < 3 { 7 } else { u64::from(number) + 100 };
            traffic.on_call("kong", Some(consumer), address(number));
        }
        let gateway = &traffic.gateways[0];
        assert!(gateway.open.counters.len() <= COUNTERS_MAX);
        assert!(gateway.addresses.sample.len() <= ADDRESSES_MAX);
        let shares = traffic.shares("kong", 7, i64::MAX).unwrap();
        assert_eq!(shares.calls, 1_000_000);
        assert!((300_000..=308_000).contains(&shares.target_calls), "{shares:?}");
        assert!((850_000..=1_150_000).contains(&shares.addresses), "{shares:?}");
        let share = shares.target_addresses as f64 / shares.addresses as f64;
        assert!((0.25..=0.35).contains(&share), "{shares:?}");
        assert!(traffic.shares("kong", 8, i64::MAX).unwrap().target_calls <= 8000);
    }

    #[test]
    fn a_sample_that_became_small_is_taken_at_the_full_rate_again() {
        let mut traffic = Traffic::default();
        for number in 0..50_000 {
            traffic.on_call("kong", None, address(number));
        }
        assert!(traffic.gateways[0].addresses.level > 4);
        traffic.roll(60 * MINUTE);
        for number in 0..500 {
            traffic.on_call("kong", None, address(number));
        }
        assert_eq!(traffic.shares("kong", 1, i64::MAX).unwrap().addresses, 500);
    }

    #[test]
    fn an_address_of_many_consumers_keeps_the_latest() {
        let mut traffic = Traffic::default();
        for minute in 0..20 {
            traffic.roll(minute * MINUTE);
            traffic.on_call("kong", Some(minute as u64), address(1));
        }
        let known = |consumer| traffic.shares("kong", consumer, i64::MAX).unwrap().target_addresses;
        assert_eq!((known(19), known(12), known(11)), (1, 1, 0));
    }

    #[test]
    fn gateways_beyond_the_limit_are_not_followed() {
        let mut traffic = Traffic::default();
        for number in 0..GATEWAYS_MAX {
            assert_eq!(traffic.on_call(&format!("kong-{number}"), Some(1), None), Counted::New);
        }
        assert_eq!(traffic.on_call("one-more", Some(1), None), Counted::NotFollowed);
        assert_eq!(traffic.shares("one-more", 1, i64::MAX), None);
        assert_eq!(traffic.on_call("kong-0", Some(1), None), Counted::Known);
    }

    #[test]
    fn ticks_change_nothing() {
        let mut ticked = Traffic::default();
        for number in 0..3000 {
            ticked.on_call("kong", Some(u64::from(number)), address(number));
        }
        let mut jumped = ticked.clone();
        for minute in 0..70 {
            ticked.roll(minute * MINUTE + 59_999);
            ticked.roll(minute * MINUTE + 59_999);
        }
        jumped.roll(69 * MINUTE);
        assert_eq!(ticked, jumped);
    }
}
