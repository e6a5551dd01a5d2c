//! Faults that a test or the demo can switch on: what a client of the Admin API must survive.
//!
//! Each fault says whether the write has been done, because that is what a client cannot know.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What the Admin API does instead of answering as Kong does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminFault {
    /// An HTML page with this status, as a proxy in front of Kong sends one. Nothing is written.
    Html(u16),
    /// This status with Kong's JSON body. Nothing is written.
    Status(u16),
    /// 429 with `Retry-After` in seconds. Nothing is written.
    TooManyRequests(u32),
    /// The right status and length, then only half of the body. What was asked is done.
    HalfBody,
    /// The right answer after this long. What was asked is done at once.
    Slow(Duration),
    /// The connection closes without an answer. Nothing is written.
    Closed,
    /// What was asked is done, then the connection closes without an answer.
    LostReply,
}

/// Which requests a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// How many of them; all when absent.
    pub times: Option<u64>,
    /// Leaves GET, HEAD and OPTIONS alone.
    pub writes_only: bool,
    /// How many of them it lets through before.
    pub after: u64,
}

impl Reach {
    /// Every request until the fault is cleared.
    pub const ALL: Reach = Reach { times: None, writes_only: false, after: 0 };
    /// Every write until the fault is cleared.
    pub const WRITES: Reach = Reach { times: None, writes_only: true, after: 0 };

    /// The next few of these.
    pub const fn times(self, times: u64) -> Reach {
        Reach { times: Some(times), ..self }
    }

    /// These, after a few that are let through.
    pub const fn after(self, after: u64) -> Reach {
        Reach { after, ..self }
    }
}

/// The switches. Nothing is on at the start.
#[derive(Debug, Default)]
pub struct Faults {
    admin: Mutex<Option<(AdminFault, Reach)>>,
    log_delivery_off: AtomicBool,
}

impl Faults {
    /// Switches on a fault of the Admin API in place of an earlier one.
    pub fn admin(&self, fault: AdminFault, reach: Reach) {
        *self.admin.lock().unwrap_or_else(PoisonError::into_inner) = Some((fault, reach));
    }

    /// Lets the Admin API answer as Kong does again.
    pub fn clear_admin(&self) {
        *self.admin.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether log lines are sent. Lines of calls made meanwhile are gone, as with Kong.
    pub fn log_delivery(&self, on: bool) {
        self.log_delivery_off.store(!on, Ordering::SeqCst);
    }

    pub(crate) fn delivers_logs(&self) -> bool {
        !self.log_delivery_off.load(Ordering::SeqCst)
    }

    /// The fault that strikes this request, counted.
    pub(crate) fn strike(&self, is_write: bool) -> Option<AdminFault> {
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        let (fault, reach) = admin.as_mut()?;
        if reach.writes_only && !is_write {
            return None;
        }
        if let Some(after) = reach.after.checked_sub(1) {
            reach.after = after;
            return None;
        }
        let fault = *fault;
        if let Some(times) = &mut reach.times {
            match times.checked_sub(1) {
                None => {
                    *admin = None;
                    return None;
                }
                Some(left) => *times = left,
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_as_far_as_it_reaches() {
        let faults = Faults::default();
        assert_eq!(faults.strike(true), None);
        faults.admin(AdminFault::LostReply, Reach::WRITES.times(2));
        let struck: Vec<bool> =
            [false, true, false, true, true].into_iter().map(|is_write| faults.strike(is_write).is_some()).collect();
        assert_eq!(struck, [false, true, false, true, false]);
        faults.admin(AdminFault::LostReply, Reach::WRITES.times(1).after(2));
        let struck: Vec<bool> =
            [true, false, true, true, true].into_iter().map(|is_write| faults.strike(is_write).is_some()).collect();
        assert_eq!(struck, [false, false, false, true, false]);
        faults.admin(AdminFault::Closed, Reach::ALL);
        assert_eq!(faults.strike(false), Some(AdminFault::Closed));
        faults.clear_admin();
        assert_eq!(faults.strike(false), None);
    }
}
