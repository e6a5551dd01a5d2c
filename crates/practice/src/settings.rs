//! What a practice gateway is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::clock::Clock;

/// Settings of one gateway; the default is Kong's where Kong has one.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients call. Port 0 picks a free one.
    pub proxy_listen: SocketAddr,
    /// Where the Admin API listens. Port 0 picks a free one.
    pub admin_listen: SocketAddr,
    /// Connections that each listener serves at once; more are closed at once and counted.
    pub connections_max: usize,
    /// Simulated workers; connections are dealt out to them in turn.
    pub workers: usize,
    /// How often a worker takes over changed services, routes and plugins. Zero: at once.
    pub state_update_frequency: Duration,
    /// Decides ids and the beat of each worker; the same seed gives the same.
    pub seed: u64,
    /// The time to go by.
    pub clock: Clock,
}

impl Default for Settings {
    fn default() -> Settings {
        let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Settings {
            proxy_listen: free_port,
            admin_listen: free_port,
            connections_max: 16_384,
            workers: 2,
            state_update_frequency: Duration::from_secs(5),
            seed: 1,
            clock: Clock::system(),
        }
    }
}
