//! How often somebody may try a password: a few times at once, then ever more slowly, for each name and each address.
//!
//! A try counts before it is known whether it is right, so that many at once get no further than one after the other. A
//! name waits no longer than a minute: nobody can be locked out by somebody else, and a thousand tries a day guess no
//! password of twelve characters.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Tries of a name before it has to wait.
const NAME_TRIES_FREE: u32 = 5;
/// Tries from an address before it has to wait; several people may stand behind one.
const ADDRESS_TRIES_FREE: u32 = 20;
/// The first wait is a second, each further one twice as long, up to this.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Tries are forgotten when there was none for so long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// Names and addresses remembered; beyond that the one that was tried the longest ago is forgotten.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Name(String),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    count: u32,
    last: Instant,
}

/// Tries by name and by address.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    tries: Mutex<HashMap<Key, Tries>>,
}

impl Throttle {
    /// Counts a try, or says how long to wait for the next one.
    pub(super) fn attempt(&self, name: &str, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let keys = keys(name, address);
        let mut tries = self.lock();
        let wait = keys.iter().filter_map(|key| tries.get(key).and_then(|tries| wait(key, *tries, now))).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        for key in keys {
            make_room(&mut tries, &key, now);
            let entry = tries.entry(key).or_insert(Tries { count: 0, last: now });
            if now.duration_since(entry.last) >= FORGOTTEN_AFTER {
                entry.count = 0;
            }
            *entry = Tries { count: entry.count.saturating_add(1), last: now };
        }
        Ok(())
    }

    /// Takes back a try that was right. The address keeps its earlier ones, so that nobody who has a password of their
    /// own can go on trying others'.
    pub(super) fn succeeded(&self, name: &str, address: IpAddr) {
        let [name, address] = keys(name, address);
        let mut tries = self.lock();
        tries.remove(&name);
        if let Some(tries) = tries.get_mut(&address) {
            tries.count = tries.count.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Tries>> {
        // Nothing that holds the lock can leave the map half changed.
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An IPv6 network counts as one address: whoever has one has all of its addresses.
fn keys(name: &str, address: IpAddr) -> [Key; 2] {
    let address = match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    };
    [Key::Name(name.to_owned()), Key::Address(address)]
}

fn wait(key: &Key, tries: Tries, now: Instant) -> Option<Duration> {
    let free = match key {
        Key::Name(_) => NAME_TRIES_FREE,
        Key::Address(_) => ADDRESS_TRIES_FREE,
    };
    let doublings = tries.count.checked_sub(free)?;
    let whole = Duration::from_secs(1 << doublings.min(6)).min(WAIT_MAX);
    whole.checked_sub(now.duration_since(tries.last)).filter(|rest| !rest.is_zero())
}

fn make_room(tries: &mut HashMap<Key, Tries>, key: &Key, now: Instant) {
    if tries.len() < REMEMBERED_MAX || tries.contains_key(key) {
        return;
    }
    tries.retain(|_, tries| now.duration_since(tries.last) < FORGOTTEN_AFTER);
    if tries.len() >= REMEMBERED_MAX
        && let Some(oldest) = tries.iter().min_by_key(|(_, tries)| tries.last).map(|(key, _)| key.clone())
    {
        tries.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How many of many tries, one a second, are let through.
    fn let_through(seconds: u64, who: impl Fn(u64) -> (String, IpAddr)) -> usize {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let tried = |second: &u64| {
            let (name, address) = who(*second);
            throttle.attempt(&name, address, start + Duration::from_secs(*second)).is_ok()
        };
        (0..seconds).filter(tried).count()
    }

    #[test]
    fn guessing_gets_slower_by_name_and_by_address() {
        let spread = |n: u64| IpAddr::V4(std::net::Ipv4Addr::from_bits(u32::try_from(n).unwrap()));
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
        let at_once = (0..100).filter(|_| throttle.attempt("anna", HERE, now).is_ok()).count();
        assert_eq!(at_once, NAME_TRIES_FREE as usize);
        assert_eq!(throttle.attempt("anna", HERE, now).unwrap_err(), Duration::from_secs(1));
        throttle.succeeded("anna", HERE);
        assert!(throttle.attempt("anna", HERE, now).is_ok());
        for n in 0..100 {
            let _ = throttle.attempt(&format!("n{n}"), HERE, now);
        }
        throttle.succeeded("bob", HERE);
        assert!(throttle.attempt("bob", HERE, now).is_ok(), "what was right takes back its own try");
        assert!(throttle.attempt("bob", HERE, now).is_err(), "and no other");
        assert!(throttle.attempt("bob", HERE, now + FORGOTTEN_AFTER).is_ok());
    }

    #[test]
    fn what_is_remembered_is_limited() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let seconds = |n: u64| start + Duration::from_millis(n);
        for n in 0..u64::try_from(REMEMBERED_MAX / 2 + 100).unwrap() {
            let far = IpAddr::V6(Ipv6Addr::from_bits(u128::from(n) << 64));
            throttle.attempt(&format!("n{n}"), far, seconds(n)).unwrap();
            assert!(throttle.lock().len() <= REMEMBERED_MAX);
        }
        assert!(throttle.attempt("late", address("::1"), seconds(20_000)).is_ok());
        assert!(throttle.lock().contains_key(&Key::Name("late".to_owned())));
    }
}
