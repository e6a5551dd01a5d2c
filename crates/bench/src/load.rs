//! Generated calls to a source of a running outrider, to see what that takes on a machine of one's own.

use std::net::SocketAddr;

use outrider_bench::generate::{Traffic, TrafficSettings};
use tokio::net::TcpStream;

use crate::loop_latency::{now_ms, send};
use crate::print;

/// Sends calls in real time over one connection.
pub async fn run(to: SocketAddr, rate: u32, seconds: u32) -> anyhow::Result<()> {
    let start_ms = now_ms();
    let mut traffic = traffic(7, rate, start_ms);
    let mut stream = TcpStream::connect(to).await?;
    let calls = send(&mut stream, &mut traffic, start_ms + 1000 * i64::from(seconds)).await?;
    print(&format!("{calls} calls in {:.1} s", (now_ms() - start_ms) as f64 / 1000.0));
    Ok(())
}

/// Calls of one workspace in real time, without an attack in them.
pub fn traffic(seed: u64, rate: u32, start_ms: i64) -> Traffic {
    Traffic::new(TrafficSettings {
        seed,
        consumers: 2000,
        workspaces: 1,
        addresses: 5000,
        calls_per_second: f64::from(rate),
        start_ms,
        attacks: Vec::new(),
    })
}
