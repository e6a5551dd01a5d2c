//! Tells in the log of connections that were turned away, and of the addresses that they came from: without these nobody can
//! tell a node of Kong that is missing in the configuration from somebody who has no business here.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// It is told at once, and then not again for so long: somebody may knock all the time.
const PAUSE: Duration = Duration::from_secs(60);

/// Addresses that are named together. Of more, the first are.
const ADDRESSES_MAX: usize = 8;

/// What was turned away for one reason and not told yet.
#[derive(Debug, Default)]
pub(super) struct TurnedAway {
    told: Option<Instant>,
    since: Gathered,
}

/// Connections, and the addresses that some of them came from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Gathered {
    pub(super) connections: u64,
    pub(super) addresses: BTreeSet<IpAddr>,
}

impl TurnedAway {
    /// Notes one more; gives what is to be told now, all since the last time.
    pub(super) fn note(&mut self, address: IpAddr, now: Instant) -> Option<Gathered> {
        self.since.connections += 1;
        if self.since.addresses.len() < ADDRESSES_MAX {
            self.since.addresses.insert(address);
        }
        if self.told.is_some_and(|told| now < told + PAUSE) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_at_once_and_then_once_a_minute_with_all_addresses() {
        let (mut turned_away, begin) = (TurnedAway::default(), Instant::now());
        let [scanner, kong]: [IpAddr; 2] = ["198.51.100.1", "192.0.2.7"].map(|address| address.parse().unwrap());
        let mut note = |address, seconds| turned_away.note(address, begin + Duration::from_secs(seconds));
        let gathered = |connections, addresses: &[IpAddr]| {
            Some(Gathered { connections, addresses: addresses.iter().copied().collect() })
        };
        assert_eq!(note(scanner, 0), gathered(1, &[scanner]));
        for seconds in 1..59 {
            assert_eq!(note(scanner, seconds), None);
        }
        // One that knocks less is named as well.
        assert_eq!(note(kong, 59), None);
        assert_eq!(note(scanner, 60), gathered(60, &[kong, scanner]));
        assert_eq!(note(kong, 119), None);
        assert_eq!(note(kong, 500), gathered(2, &[kong]));
        // Of many addresses, some are named.
        for host in 0..1000u32 {
            assert_eq!(note(IpAddr::from(host.to_be_bytes()), 501), None);
        }
        let told = note(kong, 600).unwrap();
        assert_eq!((told.connections, told.addresses.len()), (1001, ADDRESSES_MAX));
    }
}
