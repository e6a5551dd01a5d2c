//! Failed sign-ins in the audit log: the first at once, what follows within a minute as one entry, so that guessing cannot
//! fill the log. Names that nobody has are not written: people type passwords where names belong.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use outrider_model::AuditEntry;

use super::{ApiState, now_ms};
use crate::store::AuditLog;

/// How long failures are gathered for one entry.
const GATHERED: Duration = Duration::from_secs(60);
/// Names and addresses that an entry lists.
const LISTED_MAX: usize = 5;

/// Failures since the last entry; `None` while nothing is gathered.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<Option<Gathered>>);

#[derive(Debug, Default)]
struct Gathered {
    count: u64,
    names: BTreeSet<String>,
    reasons: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

impl Gathered {
    fn add(&mut self, name: Option<String>, address: IpAddr, reason: Option<String>) {
        self.count += 1;
        if self.names.len() <= LISTED_MAX {
            self.names.insert(name.unwrap_or_else(|| "an unknown name".to_owned()));
        }
        if self.addresses.len() <= LISTED_MAX {
            self.addresses.insert(address);
        }
        if self.reasons.len() <= LISTED_MAX {
            self.reasons.extend(reason);
        }
    }

    fn entry(&self, at_ms: i64) -> AuditEntry {
        let reasons = if self.reasons.is_empty() { String::new() } else { format!(": {}", list(&self.reasons)) };
        let detail = format!("{} times, from {}{reasons}", self.count, list(&self.addresses));
        let what = "failed to sign in".to_owned();
        AuditEntry { at_ms, by: "nobody".to_owned(), what, subject: list(&self.names), detail }
    }
}

fn list(things: &BTreeSet<impl ToString>) -> String {
    let shown: Vec<_> = things.iter().take(LISTED_MAX).map(ToString::to_string).collect();
    let more = if things.len() > LISTED_MAX { " and others" } else { "" };
    format!("{}{more}", shown.join(", "))
}

impl Failures {
    /// Counts a failure. Says the entry for the first one; later ones wait for [`Failures::take`].
    fn add(&self, name: Option<String>, address: IpAddr, reason: Option<String>) -> Option<Gathered> {
        let mut gathering = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match gathering.as_mut() {
            Some(gathered) => {
                gathered.add(name, address, reason);
                None
            }
            None => {
                *gathering = Some(Gathered::default());
                let mut first = Gathered::default();
                first.add(name, address, reason);
                Some(first)
            }
        }
    }

    /// Ends the gathering, and says what came together.
    fn take(&self) -> Option<Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().filter(|gathered| gathered.count > 0)
    }
}

/// Notes that somebody could not sign in: who, if that is known, and why, if that is to be said.
pub(super) async fn note(state: &ApiState, who: Option<String>, address: IpAddr, reason: Option<String>) {
    let Some(first) = state.access.failures.add(who, address, reason) else { return };
    write(state, &first).await;
    let state = state.clone();
    // At most one of these is under way, and it ends by itself.
    tokio::spawn(async move {
        tokio::time::sleep(GATHERED).await;
        flush(&state).await;
    });
}

/// Notes what was gathered so far, because its minute is over or because everything ends.
pub(super) async fn flush(state: &ApiState) {
    if let Some(gathered) = state.access.failures.take() {
        write(state, &gathered).await;
    }
}

async fn write(state: &ApiState, gathered: &Gathered) {
    // A refusal stays one whether it can be noted or not.
    if let Err(error) = state.store.note(AuditLog::Access, &gathered.entry(now_ms())).await {
        tracing::error!(%error, "failed sign-ins could not be written to the audit log");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_failures_are_two_entries() {
        let failures = Failures::default();
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        let first = failures.add(Some("person:anna".to_owned()), address(1), None).unwrap().entry(7);
        assert_eq!((first.subject.as_str(), first.detail.as_str()), ("person:anna", "1 times, from 10.0.0.1"));
        for n in 0..100 {
            assert!(failures.add((n < 8).then(|| format!("person:p{n}")), address(n), None).is_none());
        }
        let rest = failures.take().unwrap().entry(8);
        assert_eq!(rest.subject, "person:p0, person:p1, person:p2, person:p3, person:p4 and others");
        assert!(rest.detail.starts_with("100 times, from 10.0.0.0, ") && rest.detail.ends_with(" and others"));
        assert!(failures.take().is_none());
        let first = failures.add(None, address(1), Some("no role".to_owned())).unwrap().entry(9);
        assert_eq!(
            (first.subject.as_str(), first.detail.as_str()),
            ("an unknown name", "1 times, from 10.0.0.1: no role")
        );
        assert!(failures.take().is_none(), "nothing came after the first");
    }
}
