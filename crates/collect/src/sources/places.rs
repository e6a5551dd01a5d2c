//! Who holds how many of a source's connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The connections that are open, by the address that they come from. It knows no other addresses, so it is as large as there
/// are connections at most.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<HashMap<IpAddr, usize>>);

/// A connection's place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    address: IpAddr,
    places: Arc<Places>,
}

impl Places {
    /// A place for one connection more from this address, which may have so many at a time.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Place> {
        let mut held = self.lock();
        let count = held.get(&address).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        held.insert(address, count + 1);
        Some(Place { address, places: Arc::clone(self) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nothing that could panic is done while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.lock();
        match held.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_the_places_of_another() {
        let places = Arc::new(Places::default());
        let [kong, other]: [IpAddr; 2] = ["192.0.2.1", "2001:db8::1"].map(|address| address.parse().unwrap());
        let mut taken: Vec<_> = (0..3).map(|_| places.take(kong, 3).unwrap()).collect();
        assert!(places.take(kong, 3).is_none());
        let others = places.take(other, 3).unwrap();
        taken.pop();
        taken.push(places.take(kong, 3).unwrap());
        assert!(places.take(kong, 3).is_none());
        drop((taken, others));
        assert!(places.lock().is_empty(), "who is gone is forgotten");
    }
}
