//! The frozen corpus that every throughput figure is taken over.

use crate::generate::{Attack, Traffic, TrafficSettings};

/// How many lines it has.
pub const LINES: usize = 100_000;

/// Makes the corpus: the same bytes at every commit, lines ending in LF, 2.1 KB in the mean, one attack in it.
pub fn frozen() -> Vec<u8> {
    let mut traffic = Traffic::new(settings());
    let mut bytes = Vec::with_capacity(LINES * 2200);
    for _ in 0..LINES {
        bytes.extend_from_slice(traffic.next_call().line);
        bytes.push(b'\n');
    }
    bytes
}

fn settings() -> TrafficSettings {
    let attack = Attack { consumer: 901, endpoint: 11, after_ms: 240_000, lasts_ms: 20_000, calls_per_second: 60.0 };
    TrafficSettings {
        seed: 20_261_123,
        consumers: 2000,
        workspaces: 1,
        addresses: 5000,
        calls_per_second: 330.0,
        start_ms: 1_767_571_200_000,
        attacks: vec![attack],
    }
}

/// The fingerprint that tells a changed corpus from the frozen one.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    rapidhash::v3::rapidhash_v3(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_frozen() {
        let bytes = frozen();
        assert_eq!(bytes.len() / LINES, 2149, "mean line length in bytes");
        assert_eq!(fingerprint(&bytes), FROZEN, "the corpus changed: figures of other commits cannot be compared");
    }

    const FROZEN: u64 = 10_797_991_274_378_039_501;
}
