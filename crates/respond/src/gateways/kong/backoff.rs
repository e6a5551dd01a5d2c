//! How long a failing gateway is left alone.

use std::time::Duration;

use rand::Rng as _;
use tokio::time::Instant;

/// Exponential waits with jitter. One per gateway, so that a thousand waiting actions are one attempt.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    max: Duration,
    attempt: u32,
    last: Instant,
    until: Option<Instant>,
}

impl Backoff {
    pub fn new(first: Duration, max: Duration) -> Self {
        Backoff { first, max, attempt: 0, last: Instant::now(), until: None }
    }

    /// Consecutive failures.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// No attempt before this.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    pub fn succeeded(&mut self) {
        self.attempt = 0;
        self.until = None;
    }

    /// Doubles the wait; what the gateway asks for counts where it is longer, up to the maximum.
    pub fn failed(&mut self, asked_s: Option<u64>) {
        let doubled = self.first.saturating_mul(1 << self.attempt.min(16));
        let asked = Duration::from_secs(asked_s.unwrap_or(0));
        let wait = doubled.max(asked).min(self.max);
        self.attempt = self.attempt.saturating_add(1);
        self.last = Instant::now();
        self.until = Some(self.last + wait.mul_f64(rand::rng().random_range(0.75..1.25)));
    }

    /// There is something new to do: the wait shrinks to the first one, so that a gateway that is back is not left waiting
    /// and one that is away is not hammered.
    pub fn hurry(&mut self) {
        if let Some(until) = &mut self.until {
            *until = (*until).min(self.last + self.first);
        }
    }
}
