//! The table of endpoints: ids, counts, redirects, and what has changed since somebody last asked.

use std::collections::{BTreeMap, VecDeque};

use outrider_model::{Endpoint, EndpointId, EndpointKey, Fingerprint};
use serde::{Deserialize, Serialize};

use crate::kept::Kept;
use crate::trie::{NONE, NodeId};

/// An endpoint with where it hangs in the trie.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub endpoint: Endpoint,
    /// Its node; [`NONE`] once learning merged it into another, and for one that only a decision keeps.
    pub node: NodeId,
    /// Set for one that only a decision keeps.
    pub kept: Option<Box<Kept>>,
    /// The calls that learning counts for it. Those that it shows are more where others were merged into it by decision.
    pub seen: Seen,
    /// How many of them are shown elsewhere, for endpoints that only decisions keep.
    pub diverted: u64,
    /// It was in the inventory once, so that somebody may hold its id.
    pub is_told: bool,
    /// Grows with each endpoint: the smaller is the older.
    pub sequence: u64,
    /// The epoch that was open when it was made or last re-templated.
    pub changed_epoch: u32,
    /// It had calls in the open epoch.
    pub touched: bool,
    /// It has to be drained.
    pub changed: bool,
    /// The template shows a trailing slash.
    pub slashed: bool,
}

/// Calls of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub calls: u64,
    pub first_ms: i64,
    pub last_ms: i64,
}

impl Seen {
    /// No call.
    pub const NEVER: Seen = Seen { calls: 0, first_ms: i64::MAX, last_ms: i64::MIN };

    /// Adds the calls of another one.
    pub fn add(&mut self, other: Seen) {
        self.calls += other.calls;
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
    }
}

impl Record {
    /// The calls that it shows.
    pub fn shown(&self) -> Seen {
        let Endpoint { calls, first_seen_ms, last_seen_ms, .. } = self.endpoint;
        Seen { calls, first_ms: first_seen_ms, last_ms: last_seen_ms }
    }

    /// Its own calls that are not shown elsewhere.
    pub fn own(&self) -> Seen {
        match self.seen.calls.saturating_sub(self.diverted) {
            0 => Seen::NEVER,
            calls => Seen { calls, ..self.seen },
        }
    }

    /// Shows calls; says whether they are others than before.
    pub fn show(&mut self, seen: Seen) -> bool {
        let is_new = self.shown() != seen;
        self.endpoint.calls = seen.calls;
        self.endpoint.first_seen_ms = seen.first_ms;
        self.endpoint.last_seen_ms = seen.last_ms;
        is_new
    }

    /// It is in the inventory.
    pub fn is_shown(&self) -> bool {
        self.endpoint.merged_into.is_none() && !self.endpoint.ignored
    }
}

/// All endpoints and the redirects that merges left.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Table {
    pub records: Vec<Option<Record>>,
    pub free: Vec<u32>,
    pub by_id: BTreeMap<EndpointId, u32>,
    pub redirects: VecDeque<EndpointId>,
    pub changed: Vec<u32>,
    pub touched: Vec<u32>,
    pub sequence: u64,
}

impl Table {
    /// The smaller is the older.
    pub fn age(&self, record: u32) -> u64 {
        self.get(record).map_or(u64::MAX, |record| record.sequence)
    }

    /// The indices of all records, those that are not in use included.
    pub fn indices(&self) -> impl Iterator<Item = u32> + use<> {
        0..self.records.len() as u32
    }

    /// Endpoints that learning has not merged away.
    pub fn live(&self) -> usize {
        self.by_id.len() - self.redirects.len()
    }

    pub fn get(&self, record: u32) -> Option<&Record> {
        self.records.get(record as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, record: u32) -> Option<&mut Record> {
        self.records.get_mut(record as usize)?.as_mut()
    }

    pub fn by_id(&self, id: EndpointId) -> Option<&Endpoint> {
        self.by_id.get(&id).and_then(|&record| self.get(record)).map(|record| &record.endpoint)
    }

    /// The record of an endpoint, by its id.
    pub fn index(&self, id: EndpointId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    /// All endpoints that were ever in the inventory, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        let records = self.by_id.values().filter_map(|&record| self.get(record));
        records.filter(|record| record.is_told).map(|record| &record.endpoint)
    }

    /// Follows merges to the endpoint that counts today.
    pub fn resolve(&self, id: EndpointId) -> EndpointId {
        let mut at = id;
        while let Some(next) = self.by_id(at).and_then(|endpoint| endpoint.merged_into) {
            at = next;
        }
        at
    }

    /// Makes an endpoint. Its id is its key's, or the next free one after an older endpoint that was first seen under
    /// the same key and has moved on since.
    pub fn add(&mut self, key: EndpointKey, service_name: String, node: NodeId, slashed: bool, epoch: u32) -> u32 {
        let mut id = key.first_id();
        let mut attempt = 1;
        while self.by_id.contains_key(&id) {
            attempt += 1;
            id = EndpointId(Fingerprint::of("endpoint again").number(key.first_id().0 as i64).number(attempt).finish());
        }
        let endpoint = Endpoint {
            id,
            key,
            service_name,
            provisional: true,
            merged_into: None,
            explanation: String::new(),
            confidence: 0.0,
            observations: 0,
            ignored: false,
            calls: 0,
            first_seen_ms: i64::MAX,
            last_seen_ms: i64::MIN,
        };
        self.insert(Record {
            endpoint,
            node,
            kept: None,
            seen: Seen::NEVER,
            diverted: 0,
            is_told: false,
            sequence: 0,
            changed_epoch: epoch,
            touched: false,
            changed: false,
            slashed,
        })
    }

    /// Takes in a record that is younger than all others.
    fn insert(&mut self, record: Record) -> u32 {
        let id = record.endpoint.id;
        let record = Record { sequence: self.sequence, ..record };
        self.sequence += 1;
        let index = match self.free.pop() {
            Some(index) => {
                self.records[index as usize] = Some(record);
                index
            }
            None => {
                self.records.push(Some(record));
                (self.records.len() - 1) as u32
            }
        };
        self.by_id.insert(id, index);
        self.mark_changed(index);
        index
    }

    /// Counts a call at the endpoint that it belongs to and, where another is shown for it, there. `diverted` is the one
    /// that learning has for it, where that is neither.
    pub fn count(&mut self, own: u32, shown: u32, diverted: Option<u32>, event_ms: i64) {
        let seen = Seen { calls: 1, first_ms: event_ms, last_ms: event_ms };
        if let Some(record) = self.get_mut(own) {
            record.seen.add(seen);
        }
        if let Some(record) = diverted.and_then(|learned| self.get_mut(learned)) {
            record.seen.add(seen);
            record.diverted += 1;
        }
        if let Some(record) = self.get_mut(shown) {
            let mut all = record.shown();
            all.add(seen);
            record.show(all);
            let is_first = record.is_shown() && !std::mem::replace(&mut record.is_told, true);
            if is_first {
                self.mark_changed(shown);
            }
        }
        for index in [own, shown] {
            if let Some(record) = self.records.get_mut(index as usize).and_then(Option::as_mut)
                && !record.touched
            {
                record.touched = true;
                self.touched.push(index);
            }
        }
    }

    /// Notes that an endpoint has to be drained.
    pub fn mark_changed(&mut self, index: u32) {
        if let Some(record) = self.get_mut(index)
            && !record.changed
        {
            record.changed = true;
            self.changed.push(index);
        }
    }

    /// Ends the epoch: endpoints that had calls have to be drained. Gives their records.
    pub fn flush(&mut self) -> Vec<u32> {
        let touched = std::mem::take(&mut self.touched);
        for &index in &touched {
            let Some(record) = self.get_mut(index) else { continue };
            record.touched = false;
            if record.is_shown() {
                self.mark_changed(index);
            }
        }
        touched
    }

    /// What has changed since the last drain, by record.
    pub fn drain(&mut self) -> Vec<Endpoint> {
        let mut drained = Vec::with_capacity(self.changed.len());
        for index in std::mem::take(&mut self.changed) {
            let Some(record) = self.get_mut(index).filter(|record| record.changed) else { continue };
            record.changed = false;
            if record.is_told {
                drained.push(record.endpoint.clone());
            }
        }
        drained
    }

    /// Lets two endpoints change their ids and ages, with what is drained of them.
    pub fn exchange_ids(&mut self, one: u32, other: u32) {
        let identity = |record: &Record| (record.endpoint.id, record.sequence, record.is_told);
        let (Some(first), Some(second)) = (self.get(one).map(identity), self.get(other).map(identity)) else { return };
        for (index, (id, sequence, is_told)) in [(one, second), (other, first)] {
            if let Some(record) = self.get_mut(index) {
                record.endpoint.id = id;
                (record.sequence, record.is_told) = (sequence, is_told);
            }
            self.by_id.insert(id, index);
            self.mark_changed(index);
        }
    }

    /// Merges two endpoints: the older survives and is given back, the other redirects to it. Gives whether a redirect
    /// had to be forgotten, too.
    pub fn merge(&mut self, one: u32, other: u32, epoch: u32, redirects_max: usize) -> (u32, bool) {
        let (survivor, merged) = if self.age(one) <= self.age(other) { (one, other) } else { (other, one) };
        let Some(gone) = self.get_mut(merged) else { return (survivor, false) };
        let (gone_seen, gone_diverted, gone_id) = (gone.seen, gone.diverted, gone.endpoint.id);
        gone.node = NONE;
        let was_kept = gone.kept.take().is_some();
        gone.endpoint.provisional = false;
        gone.endpoint.ignored = false;
        let Some(kept) = self.get_mut(survivor) else { return (survivor, false) };
        if was_kept && kept.kept.is_none() {
            // Learning has counted them already.
            kept.diverted = kept.diverted.saturating_sub(gone_seen.calls);
        } else {
            kept.seen.add(gone_seen);
            kept.diverted += gone_diverted;
        }
        let own = kept.own();
        kept.show(own);
        kept.changed_epoch = epoch;
        let kept_id = kept.endpoint.id;
        if let Some(gone) = self.get_mut(merged) {
            gone.endpoint.merged_into = Some(kept_id);
            gone.endpoint.explanation = format!("merged into {kept_id}");
        }
        self.mark_changed(merged);
        self.mark_changed(survivor);
        (survivor, self.note_redirect(gone_id, redirects_max))
    }

    /// Makes an unknown id a redirect to an endpoint, and says whether another redirect had to be forgotten; `None` where the
    /// id is known or the endpoint is not.
    pub fn redirect(&mut self, id: EndpointId, to: EndpointId, redirects_max: usize) -> Option<bool> {
        if self.by_id.contains_key(&id) {
            return None;
        }
        let kept = self.get(self.index(to)?)?.clone();
        let explanation = format!("merged into {to}");
        let endpoint = Endpoint {
            id,
            provisional: false,
            merged_into: Some(to),
            explanation,
            calls: 0,
            ignored: false,
            ..kept.endpoint
        };
        // Whoever has a use for it holds the id.
        let seen = Seen::NEVER;
        let record =
            Record { endpoint, node: NONE, kept: None, seen, diverted: 0, touched: false, changed: false, ..kept };
        self.insert(Record { is_told: true, ..record });
        Some(self.note_redirect(id, redirects_max))
    }

    /// Forgets the oldest redirect where there are too many, and says so.
    fn note_redirect(&mut self, id: EndpointId, redirects_max: usize) -> bool {
        self.redirects.push_back(id);
        let forgets = self.redirects.len() > redirects_max;
        if forgets && let Some(oldest) = self.redirects.pop_front() {
            self.remove(oldest);
        }
        forgets
    }

    /// Forgets an endpoint that is not a redirect.
    pub fn forget(&mut self, index: u32) {
        if let Some(id) = self.get(index).map(|record| record.endpoint.id) {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: EndpointId) {
        if let Some(index) = self.by_id.remove(&id) {
            self.records[index as usize] = None;
            self.free.push(index);
        }
    }

    /// Roughly the memory that it holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let texts = |endpoint: &Endpoint| {
            let key = &endpoint.key;
            key.gateway.len()
                + key.workspace.len()
                + key.service.len()
                + key.method.len()
                + key.template.len()
                + endpoint.service_name.len()
                + endpoint.explanation.len()
        };
        self.records.capacity() * size_of::<Option<Record>>()
            + self.by_id.len() * 32
            + self.iter().map(texts).sum::<usize>()
    }
}
