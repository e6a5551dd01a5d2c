//! How often somebody may try a password: a few times at once, then ever more slowly, for each name and each address.
//!
//! A try counts before it is known whether it is right, so that many at once get no further than one after the other. A
//! thousand tries a day guess no password of twelve characters. A browser that the name has signed in with before is counted
//! by itself: whatever others try, it is not held up.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::device::Device;

/// Tries of a name, or from a browser that it has signed in with before, before it has to wait.
const NAME_TRIES_FREE: u32 = 5;
/// Tries from an address before it has to wait; several people may stand behind one.
const ADDRESS_TRIES_FREE: u32 = 20;
/// The first wait is a second, each further one twice as long, up to this.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Tries are forgotten when there was none for so long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// How often what is forgotten is thrown away.
const SWEPT_EVERY: Duration = Duration::from_secs(60);
/// Names, addresses and browsers remembered; beyond that the one that was tried the longest ago is forgotten.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Name(String),
    Address(IpAddr),
    Device(Device),
}

/// Who tries: what their tries are counted by.
#[derive(Debug, Clone)]
pub(super) struct Trier(Vec<Key>);

impl Trier {
    /// Somebody at an address, with the name that they say; without one, by the address alone. An IPv6 network counts as
    /// one address: whoever has one has all of its addresses.
    pub(super) fn at(address: IpAddr, name: Option<&str>) -> Self {
        let address = match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address @ IpAddr::V4(_) => address,
        };
        let name = name.map(|name| Key::Name(name.to_owned()));
        Trier(name.into_iter().chain([Key::Address(address)]).collect())
    }

    /// A browser that the name has signed in with before, wherever it is.
    pub(super) fn with(device: Device) -> Self {
        Trier(vec![Key::Device(device)])
    }
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    count: u32,
    last: Instant,
}

/// Tries by name, by address and by browser.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    remembered: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    tries: HashMap<Key, Tries>,
    swept: Option<Instant>,
}

impl Throttle {
    /// Counts a try, or says how long to wait for the next one.
    pub(super) fn attempt(&self, Trier(keys): &Trier, now: Instant) -> Result<(), Duration> {
        let mut remembered = self.lock();
        remembered.sweep(now);
        let tries = &remembered.tries;
        let wait = keys.iter().filter_map(|key| tries.get(key).and_then(|tries| wait(key, *tries, now))).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        for key in keys {
            remembered.make_room(key);
            let entry = remembered.tries.entry(key.clone()).or_insert(Tries { count: 0, last: now });
            if now.duration_since(entry.last) >= FORGOTTEN_AFTER {
                entry.count = 0;
            }
            *entry = Tries { count: entry.count.saturating_add(1), last: now };
        }
        Ok(())
    }

    /// Takes back a try that was right. The address keeps its earlier ones, so that nobody who has a password of their
    /// own can go on trying others'.
    pub(super) fn succeeded(&self, Trier(keys): &Trier) {
        let mut remembered = self.lock();
        for key in keys {
            match key {
                Key::Name(_) | Key::Device(_) => drop(remembered.tries.remove(key)),
                Key::Address(_) => {
                    if let Some(tries) = remembered.tries.get_mut(key) {
                        tries.count = tries.count.saturating_sub(1);
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // Nothing that holds the lock can leave the map half changed.
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    /// Throws away what is forgotten, now and then.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now.duration_since(swept) >= SWEPT_EVERY) {
            self.swept = Some(now);
            self.tries.retain(|_, tries| now.duration_since(tries.last) < FORGOTTEN_AFTER);
        }
    }

    fn make_room(&mut self, key: &Key) {
        if self.tries.len() >= REMEMBERED_MAX
            && !self.tries.contains_key(key)
            && let Some(oldest) = self.tries.iter().min_by_key(|(_, tries)| tries.last).map(|(key, _)| key.clone())
        {
            self.tries.remove(&oldest);
        }
    }
}

fn wait(key: &Key, tries: Tries, now: Instant) -> Option<Duration> {
    let free = match key {
        Key::Name(_) | Key::Device(_) => NAME_TRIES_FREE,
        Key::Address(_) => ADDRESS_TRIES_FREE,
    };
    let doublings = tries.count.checked_sub(free)?;
    let whole = Duration::from_secs(1 << doublings.min(6)).min(WAIT_MAX);
    whole.checked_sub(now.duration_since(tries.last)).filter(|rest| !rest.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn spread(n: u64) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(u32::try_from(n).unwrap()))
    }

    /// How many of many tries, one a second, are let through.
    fn let_through(seconds: u64, who: impl Fn(u64) -> (String, IpAddr)) -> usize {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let tried = |second: &u64| {
            let (name, address) = who(*second);
            throttle.attempt(&Trier::at(address, Some(&name)), start + Duration::from_secs(*second)).is_ok()
        };
        (0..seconds).filter(tried).count()
    }

    #[test]
    fn guessing_gets_slower_by_name_and_by_address() {
        let day = 86_400;
        let one_name = let_through(day, |n| ("anna".to_owned(), spread(n)));
        assert!((1440..1460).contains(&one_name), "{one_name}");
        let one_address = let_through(day, |n| (format!("n{n}"), HERE));
        assert!((1440..1480).contains(&one_address), "{one_address}");
        let one_network =
            let_through(1000, |n| (format!("n{n}"), IpAddr::V6(Ipv6Addr::from_bits((7 << 64) + u128::from(n)))));
        assert!(one_network < 60, "{one_network}");
        assert_eq!(let_through(1000, |n| (format!("n{n}"), spread(n))), 1000, "others are not held up");
    }

    #[test]
    fn many_at_once_get_no_further_and_a_right_one_frees_the_name_alone() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let (anna, bob) = (Trier::at(HERE, Some("anna")), Trier::at(HERE, Some("bob")));
        let at_once = (0..100).filter(|_| throttle.attempt(&anna, now).is_ok()).count();
        assert_eq!(at_once, NAME_TRIES_FREE as usize);
        assert_eq!(throttle.attempt(&anna, now).unwrap_err(), Duration::from_secs(1));
        throttle.succeeded(&anna);
        assert!(throttle.attempt(&anna, now).is_ok());
        for n in 0..100 {
            let _ = throttle.attempt(&Trier::at(HERE, Some(&format!("n{n}"))), now);
        }
        throttle.succeeded(&bob);
        assert!(throttle.attempt(&bob, now).is_ok(), "what was right takes back its own try");
        assert!(throttle.attempt(&bob, now).is_err(), "and no other");
        assert!(throttle.attempt(&bob, now + FORGOTTEN_AFTER).is_ok());
    }

    #[test]
    fn a_known_browser_is_not_held_up_by_others_and_not_free_of_limits() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..100 {
            let _ = throttle.attempt(&Trier::at(spread(n), Some("anna")), now);
            let _ = throttle.attempt(&Trier::at(HERE, Some(&format!("n{n}"))), now);
        }
        assert!(throttle.attempt(&Trier::at(HERE, Some("anna")), now).is_err());
        let own = Trier::with(Device::of_nonce("a"));
        let at_once = (0..100).filter(|_| throttle.attempt(&own, now).is_ok()).count();
        assert_eq!(at_once, NAME_TRIES_FREE as usize);
        throttle.succeeded(&own);
        assert!(throttle.attempt(&own, now).is_ok());
        assert!(throttle.attempt(&Trier::at(HERE, Some("anna")), now).is_err(), "it frees itself alone");
    }

    #[test]
    fn without_a_name_tries_count_by_address() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let at_once = (0..100).filter(|_| throttle.attempt(&Trier::at(HERE, None), now).is_ok()).count();
        assert_eq!(at_once, ADDRESS_TRIES_FREE as usize);
    }

    #[test]
    fn what_is_remembered_is_limited_and_goes_with_time() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let seconds = |n: u64| start + Duration::from_millis(n);
        for n in 0..u64::try_from(REMEMBERED_MAX / 2 + 100).unwrap() {
            let far = IpAddr::V6(Ipv6Addr::from_bits(u128::from(n) << 64));
            throttle.attempt(&Trier::at(far, Some(&format!("n{n}"))), seconds(n)).unwrap();
            assert!(throttle.lock().tries.len() <= REMEMBERED_MAX);
        }
        let late = Trier::at("::1".parse().unwrap(), Some("late"));
        assert!(throttle.attempt(&late, seconds(20_000)).is_ok());
        assert!(throttle.lock().tries.contains_key(&Key::Name("late".to_owned())));
        assert!(throttle.attempt(&late, seconds(20_000) + FORGOTTEN_AFTER).is_ok());
        assert_eq!(throttle.lock().tries.len(), 2, "the others are thrown away, although there is room");
    }
}
