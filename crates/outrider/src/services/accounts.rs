//! What became of every line that a collector received.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Lines and the calls in them, since the start: `received + at_start = shipped + spooled + rejected + dropped + in_hand`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Accounts {
    /// Lines that were read. Those that came again after they were taken are not in it.
    pub received: u64,
    /// Calls of earlier starts that waited in the spool.
    pub at_start: u64,
    /// Calls that the platform has.
    pub shipped: u64,
    /// Calls that wait in the spool, or in the shipment that is tried.
    pub spooled: u64,
    /// Lines that are no call, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Calls that were given up, by reason: those of the sources; `spool_full`, `too_old`; `spool_refused`, as with a full disk; and
    /// `platform_refused`, for good.
    pub dropped: BTreeMap<String, u64>,
    /// The rest: on the way into the spool. Counters are not read at one moment, so under load it can be a few less than none.
    pub in_hand: i64,
}

impl Accounts {
    /// Lines that are no call.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Calls that were given up.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// What is not accounted for otherwise.
    pub fn left_over(&self) -> i64 {
        let came = self.received + self.at_start;
        let known = self.shipped + self.spooled + self.rejected_total() + self.dropped_total();
        came.cast_signed() - known.cast_signed()
    }
}
