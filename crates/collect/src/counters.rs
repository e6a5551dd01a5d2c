//! What came of the lines of a source. At a clean stop `received = accepted + rejected + dropped`, exactly; before, the
//! difference is what waits in a batch.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::health::{Health, HealthSnapshot, HealthTally};
use crate::mapping::{FieldFailure, FieldTally};
use crate::{ConnectionRefusal, Refusal, Rejection};

/// Fields that are mapped no more and keep their counts, the latest first.
const FIELDS_BEFORE_MAX: usize = 64;

/// Why a good call was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// Whoever takes the batches is too slow.
    QueueFull,
    /// Nobody takes the batches any more.
    QueueClosed,
    /// The call cannot be encoded.
    Unencodable,
}

impl DropReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [DropReason; 3] = [DropReason::QueueFull, DropReason::QueueClosed, DropReason::Unencodable];

    /// The reason's name in counters and summaries.
    pub fn as_str(self) -> &'static str {
        match self {
            DropReason::QueueFull => "queue_full",
            DropReason::QueueClosed => "queue_closed",
            DropReason::Unencodable => "unencodable",
        }
    }
}

/// Shared counters of one source.
#[derive(Debug, Default)]
pub struct Counters {
    bytes: AtomicU64,
    received: AtomicU64,
    accepted: AtomicU64,
    truncated: AtomicU64,
    untrusted: AtomicU64,
    rejected: [AtomicU64; Rejection::ALL.len()],
    dropped: [AtomicU64; DropReason::ALL.len()],
    duplicates: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
    refused_last_ms: [AtomicI64; Refusal::ALL.len()],
    connections_open: AtomicU64,
    connections_total: AtomicU64,
    connections_over_limit: AtomicU64,
    connections_not_allowed: AtomicU64,
    connections_refused: [AtomicU64; ConnectionRefusal::ALL.len()],
    connections_refused_last_ms: [AtomicI64; ConnectionRefusal::ALL.len()],
    accept_errors: AtomicU64,
    file: Mutex<Option<FileSeen>>,
    health: Health,
    fields: Mutex<Vec<Arc<FieldCounters>>>,
}

/// The counters of the mapped fields, in the order of the settings that were in force when lines were read.
#[derive(Debug, Clone, Default)]
pub(crate) struct MappedFields(Arc<[Arc<FieldCounters>]>);

/// What came of one mapped field.
#[derive(Debug)]
struct FieldCounters {
    name: String,
    values: AtomicU64,
    failed: [AtomicU64; FieldFailure::ALL.len()],
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountersSnapshot {
    /// Bytes read.
    pub bytes: u64,
    /// Records read: lines, or single objects of a line that holds several. Blank lines do not count.
    pub received: u64,
    /// Calls handed on in a batch.
    pub accepted: u64,
    /// Records that are no call, by reason. Reasons that never occurred are left out.
    pub rejected: BTreeMap<String, u64>,
    /// Good calls given up, by reason. Reasons that never occurred are left out.
    pub dropped: BTreeMap<String, u64>,
    /// Calls that were sent again after they had been taken; they count in `bytes` and in nothing else here.
    #[serde(default)]
    pub duplicates: u64,
    /// Requests that were refused whole, by reason; their sender keeps the lines, so these count in nothing else here. Reasons
    /// that never occurred are left out.
    #[serde(default)]
    pub refused: BTreeMap<String, u64>,
    /// When the last one was refused, by reason.
    #[serde(default)]
    pub refused_last_ms: BTreeMap<String, i64>,
    /// Calls that lost query fields or headers to a limit.
    pub truncated: u64,
    /// Calls whose line did not carry the source's secret.
    pub untrusted: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Connections ever accepted.
    pub connections_total: u64,
    /// Connections closed at once because too many were open.
    pub connections_over_limit: u64,
    /// Connections closed at once because their address is not on the allow-list.
    pub connections_not_allowed: u64,
    /// Connections closed because the two sides do not agree on TLS, or because they took what others need, by reason. Reasons that
    /// never occurred are left out.
    #[serde(default)]
    pub connections_refused: BTreeMap<String, u64>,
    /// When the last one was, by reason.
    #[serde(default)]
    pub connections_refused_last_ms: BTreeMap<String, i64>,
    /// Failed attempts to accept a connection, for want of file descriptors most likely.
    pub accept_errors: u64,
    /// Of a source that reads a file: how it is with that.
    #[serde(default)]
    pub file: Option<FileSeen>,
    /// Values that the mapped fields had, by field.
    #[serde(default)]
    pub fields: BTreeMap<String, u64>,
    /// Values that mapped fields should have had and did not, by field. Fields that never failed are left out.
    #[serde(default)]
    pub fields_failed: BTreeMap<String, u64>,
    /// The same, by field and reason.
    #[serde(default)]
    pub fields_failed_by: BTreeMap<String, BTreeMap<String, u64>>,
    /// What a look at the source's health needs besides.
    #[serde(default)]
    pub health: HealthSnapshot,
}

/// How it is with the file that a source reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileSeen {
    /// Bytes that are there and not stored yet, those of rotated files that are still read included.
    pub waiting_bytes: u64,
    /// Rotated files that are still read.
    pub rotated_files: u64,
    /// How often another file has come to the path.
    pub rotations: u64,
    /// How often the file was cut in place.
    pub truncations: u64,
    /// Rotated files that were not read to their end: there were too many, or one could not be read.
    pub given_up_files: u64,
    /// There is no such file yet, or none any more.
    pub is_missing: bool,
    /// Why it cannot be read, or its position not be kept.
    pub problem: Option<String>,
}

impl CountersSnapshot {
    /// Records that are no call.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Of these, the ones that should be some: all but streams.
    pub fn unreadable_total(&self) -> u64 {
        self.rejected_total() - self.streams()
    }

    /// Connections that the gateway passed on as streams of bytes, and logged.
    pub fn streams(&self) -> u64 {
        self.rejected.get(Rejection::Stream.as_str()).copied().unwrap_or(0)
    }

    /// Connections closed at once because too many were open, in all or from their address.
    pub fn connections_too_many(&self) -> u64 {
        let of_address = self.connections_refused.get(ConnectionRefusal::OverAddressLimit.as_str());
        self.connections_over_limit + of_address.copied().unwrap_or(0)
    }

    /// Good calls given up.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// What one read added, gathered first so that the shared counters are touched once per read and not per line.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) bytes: u64,
    pub(crate) received: u64,
    pub(crate) truncated: u64,
    pub(crate) untrusted: u64,
    pub(crate) health: HealthTally,
    pub(crate) fields: Vec<FieldTally>,
}

impl Tally {
    /// Adds what came of the mapped fields of one line.
    pub(crate) fn add_fields(&mut self, more: &[FieldTally]) {
        self.fields.resize(self.fields.len().max(more.len()), FieldTally::default());
        for (tally, more) in self.fields.iter_mut().zip(more) {
            tally.values += more.values;
            tally.failed.iter_mut().zip(more.failed).for_each(|(count, more)| *count += more);
        }
    }
}

impl Counters {
    /// The counters of the fields that are mapped from now on. Those that were mapped before, and those that are again, go on from
    /// where they are.
    pub(crate) fn of_fields<'n>(&self, names: impl Iterator<Item = &'n str>) -> MappedFields {
        let mut fields = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
        let field = |name: &str| match fields.iter().find(|known| known.name == name) {
            Some(known) => Arc::clone(known),
            None => {
                Arc::new(FieldCounters { name: name.to_owned(), values: AtomicU64::new(0), failed: Default::default() })
            }
        };
        let next = MappedFields(names.map(field).collect());
        let is_kept = |known: &Arc<FieldCounters>| next.0.iter().all(|field| field.name != known.name);
        let before: Vec<_> = fields.iter().filter(|known| is_kept(known)).take(FIELDS_BEFORE_MAX).cloned().collect();
        *fields = next.0.iter().cloned().chain(before).collect();
        next
    }

    /// The counters now. Each is exact; together they are of one moment only while nothing runs.
    pub fn snapshot(&self) -> CountersSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let fields = self.fields.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let failed: BTreeMap<_, _> = fields.iter().filter_map(|field| field.failed()).collect();
        CountersSnapshot {
            bytes: read(&self.bytes),
            received: read(&self.received),
            accepted: read(&self.accepted),
            rejected: named(Rejection::ALL.iter().map(|reason| reason.as_str()), &self.rejected),
            dropped: named(DropReason::ALL.iter().map(|reason| reason.as_str()), &self.dropped),
            duplicates: read(&self.duplicates),
            refused: named(Refusal::ALL.iter().map(|reason| reason.as_str()), &self.refused),
            refused_last_ms: times(Refusal::ALL.iter().map(|reason| reason.as_str()), &self.refused_last_ms),
            truncated: read(&self.truncated),
            untrusted: read(&self.untrusted),
            connections_open: read(&self.connections_open),
            connections_total: read(&self.connections_total),
            connections_over_limit: read(&self.connections_over_limit),
            connections_not_allowed: read(&self.connections_not_allowed),
            connections_refused: named(
                ConnectionRefusal::ALL.iter().map(|reason| reason.as_str()),
                &self.connections_refused,
            ),
            connections_refused_last_ms: times(
                ConnectionRefusal::ALL.iter().map(|reason| reason.as_str()),
                &self.connections_refused_last_ms,
            ),
            accept_errors: read(&self.accept_errors),
            file: self.file.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            fields: fields.iter().map(|field| (field.name.clone(), read(&field.values))).collect(),
            fields_failed: failed.iter().map(|(name, reasons)| (name.clone(), reasons.values().sum())).collect(),
            fields_failed_by: failed,
            health: self.health.snapshot(),
        }
    }

    /// Adds what one read brought; `fields` are those of the settings by which it was read.
    pub(crate) fn add(&self, tally: &Tally, fields: &MappedFields, received_ms: i64) {
        if tally.received > 0 {
            self.health.add(&tally.health, received_ms);
        }
        for (counter, more) in [
            (&self.bytes, tally.bytes),
            (&self.received, tally.received),
            (&self.truncated, tally.truncated),
            (&self.untrusted, tally.untrusted),
        ] {
            if more > 0 {
                counter.fetch_add(more, Ordering::Release);
            }
        }
        for (field, tally) in fields.0.iter().zip(&tally.fields) {
            field.values.fetch_add(tally.values, Ordering::Release);
            for (counter, more) in field.failed.iter().zip(tally.failed).filter(|(_, more)| *more > 0) {
                counter.fetch_add(more, Ordering::Release);
            }
        }
    }

    pub(crate) fn accepted(&self, calls: u32) {
        self.accepted.fetch_add(u64::from(calls), Ordering::Release);
    }

    pub(crate) fn rejected(&self, reason: Rejection, lines: u32) {
        self.rejected[reason as usize].fetch_add(lines.into(), Ordering::Release);
    }

    /// The health of the source, for what a single line shows.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) fn dropped(&self, reason: DropReason, calls: u32) {
        self.dropped[reason as usize].fetch_add(u64::from(calls), Ordering::Release);
    }

    pub(crate) fn duplicates(&self, calls: u32) {
        self.duplicates.fetch_add(u64::from(calls), Ordering::Release);
    }

    pub(crate) fn refused(&self, reason: Refusal, now_ms: i64) {
        self.refused_last_ms[reason as usize].store(now_ms, Ordering::Release);
        self.refused[reason as usize].fetch_add(1, Ordering::Release);
    }

    pub(crate) fn see_file(&self, seen: FileSeen) {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }

    /// Counts bytes that came.
    pub(crate) fn read(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Release);
    }

    pub(crate) fn connection_opened(&self) {
        self.connections_total.fetch_add(1, Ordering::Release);
        self.connections_open.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn connection_closed(&self) {
        self.connections_open.fetch_sub(1, Ordering::Release);
    }

    pub(crate) fn connection_over_limit(&self) {
        self.connections_over_limit.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn connection_not_allowed(&self) {
        self.connections_not_allowed.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn connection_refused(&self, reason: ConnectionRefusal, now_ms: i64) {
        self.connections_refused_last_ms[reason as usize].store(now_ms, Ordering::Release);
        self.connections_refused[reason as usize].fetch_add(1, Ordering::Release);
    }

    pub(crate) fn accept_failed(&self) {
        self.accept_errors.fetch_add(1, Ordering::Release);
    }
}

impl FieldCounters {
    /// Its name with the reasons for which it failed, if it ever did.
    fn failed(&self) -> Option<(String, BTreeMap<String, u64>)> {
        let reasons = named(FieldFailure::ALL.iter().map(|failure| failure.as_str()), &self.failed);
        (!reasons.is_empty()).then(|| (self.name.clone(), reasons))
    }
}

fn named<'n>(names: impl Iterator<Item = &'n str>, counters: &[AtomicU64]) -> BTreeMap<String, u64> {
    names
        .zip(counters)
        .map(|(name, counter)| (name.to_owned(), counter.load(Ordering::Acquire)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn times(names: impl Iterator<Item = &'static str>, last_ms: &[AtomicI64]) -> BTreeMap<String, i64> {
    names
        .zip(last_ms)
        .map(|(name, last_ms)| (name.to_owned(), last_ms.load(Ordering::Acquire)))
        .filter(|(_, last_ms)| *last_ms != 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_fields_are_counted_by_name_and_reason() {
        let counters = Counters::default();
        let fields = counters.of_fields(["account", "tenant"].into_iter());
        let good = FieldTally { values: 2, ..FieldTally::default() };
        let mut bad = FieldTally::default();
        bad.failed[FieldFailure::TooLong as usize] = 1;
        let mut tally = Tally::default();
        tally.add_fields(&[good, bad]);
        tally.add_fields(&[good]);
        counters.add(&tally, &fields, 1);
        counters.add(&tally, &fields, 2);
        let snapshot = counters.snapshot();
        let named = |count: u64, name: &str| (name.to_owned(), count);
        assert_eq!(snapshot.fields, BTreeMap::from([named(8, "account"), named(0, "tenant")]));
        assert_eq!(snapshot.fields_failed, BTreeMap::from([named(2, "tenant")]));
        let by_reason = BTreeMap::from([named(2, "too_long")]);
        assert_eq!(snapshot.fields_failed_by, BTreeMap::from([("tenant".to_owned(), by_reason)]));

        // Other settings: a field stays with its count, wherever it is now, and what was read before still counts for it.
        let next = counters.of_fields(["tenant", "country"].into_iter());
        counters.add(&tally, &next, 3);
        counters.add(&tally, &fields, 3);
        let snapshot = counters.snapshot();
        assert_eq!(snapshot.fields, BTreeMap::from([named(12, "account"), named(4, "tenant"), named(0, "country")]));
        assert_eq!(snapshot.fields_failed, BTreeMap::from([named(3, "tenant"), named(1, "country")]));
        for number in 0..100 {
            counters.of_fields([format!("f-{number}").as_str()].into_iter());
        }
        assert_eq!(counters.snapshot().fields.len(), 1 + FIELDS_BEFORE_MAX);
    }
}
