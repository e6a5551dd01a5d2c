//! What came of lines that are kept where they came from until their calls are stored: a sender's queue, or a file.
//!
//! Nothing is counted before that is known: what is not stored comes again, and then it is counted.

use std::collections::BTreeMap;

use outrider_model::{ApiCall, Trust};

use crate::counters::{MappedFields, Tally};
use crate::health::{Outline, ProbeSeen, probe_of};
use crate::{Counters, DropReason, Rejection};

/// Probes of one stretch of lines that are looked at.
const PROBES_MAX: usize = 8;

/// The counts of one stretch of lines.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) tally: Tally,
    /// Calls that were encoded.
    pub(super) calls: u32,
    /// Calls that came before.
    pub(super) duplicates: u32,
    /// Calls that cannot be encoded.
    pub(super) unencodable: u32,
    /// Lines that are no calls, by reason and, where there is anything of them, outline.
    rejected: BTreeMap<(Rejection, Option<Outline>), Rejected>,
    probes: Vec<ProbeSeen>,
}

/// Lines that are no calls and look alike, as they will be counted.
#[derive(Default)]
struct Rejected {
    lines: u32,
    longest_bytes: usize,
}

impl Ledger {
    /// Notes a call, before anything completes it.
    pub(super) fn see(&mut self, call: &ApiCall<'_>) {
        self.tally.received += 1;
        self.tally.untrusted += u64::from(call.trust == Trust::Untrusted);
        self.tally.health.see(call);
        if self.probes.len() < PROBES_MAX {
            self.probes.extend(probe_of(call));
        }
    }

    /// Notes a line that is no call; `line` is what there is of it.
    pub(super) fn reject(&mut self, reason: Rejection, line: Option<&[u8]>) {
        self.tally.received += 1;
        self.tally.health.rejected += u64::from(reason.is_trouble());
        let outline = line.filter(|_| reason.is_trouble()).map(Outline::of);
        let alike = self.rejected.entry((reason, outline)).or_default();
        alike.lines += 1;
        alike.longest_bytes = alike.longest_bytes.max(line.map_or(0, <[u8]>::len));
    }

    /// Counts everything, and says how many lines were no calls.
    pub(super) fn count(self, counters: &Counters, fields: &MappedFields, received_ms: i64) -> u32 {
        counters.add(&self.tally, fields, received_ms);
        counters.accepted(self.calls);
        counters.duplicates(self.duplicates);
        counters.dropped(DropReason::Unencodable, self.unencodable);
        let mut rejected = 0;
        for ((reason, outline), Rejected { lines, longest_bytes }) in self.rejected {
            if let Some(outline) = outline {
                counters.health().rejected(reason, outline, lines, longest_bytes);
            }
            counters.rejected(reason, lines);
            rejected += lines;
        }
        self.probes.into_iter().for_each(|probe| counters.health().remember_probe(probe));
        rejected
    }
}
