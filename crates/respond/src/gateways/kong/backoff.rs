//! How long a failing gateway is left alone.

use std::time::Duration;

use rand::Rng as _;
use tokio::time::Instant;

/// The longest that a gateway may ask to be left alone: what is over waits for it too.
const ASKED_MAX: Duration = Duration::from_secs(60);

/// Exponential waits with jitter. One per gateway, so that a thousand waiting actions are one attempt.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    max: Duration,
    attempt: u32,
    last: Instant,
    /// What the gateway asked for after the last failure.
    asked: Duration,
    until: Option<Instant>,
}

impl Backoff {
    pub fn new(first: Duration, max: Duration) -> Self {
        Backoff { first, max, attempt: 0, last: Instant::now(), asked: Duration::ZERO, until: None }
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

    /// Doubles the wait, up to the maximum; what the gateway asks for counts where it is longer, up to [`ASKED_MAX`].
    pub fn failed(&mut self, asked_s: Option<u64>) {
        let doubled = self.first.saturating_mul(1 << self.attempt.min(16)).min(self.max);
        let wait = doubled.mul_f64(rand::rng().random_range(0.75..1.25));
        self.asked = Duration::from_secs(asked_s.unwrap_or(0)).min(ASKED_MAX);
        self.attempt = self.attempt.saturating_add(1);
        self.last = Instant::now();
        self.until = Some(self.last + wait.max(self.asked));
    }

    /// There is something new to do: the wait shrinks to the first one or what the gateway asked for, so that a gateway that
    /// is back is not left waiting and one that is away or busy is not hammered.
    pub fn hurry(&mut self) {
        if let Some(until) = &mut self.until {
            *until = (*until).min(self.last + self.first.max(self.asked));
        }
    }
}
