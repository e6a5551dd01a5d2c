//! The table of endpoints: ids, counts, redirects, and what has changed since somebody last asked.

use std::collections::{BTreeMap, VecDeque};

use outrider_model::{Endpoint, EndpointId, EndpointKey, Fingerprint};
use serde::{Deserialize, Serialize};

use crate::trie::{NONE, NodeId};

/// An endpoint with where it hangs in the trie.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub endpoint: Endpoint,
    /// Its node; [`NONE`] once it was merged into another.
    pub node: NodeId,
    /// Grows with each endpoint: the smaller is the older.
    pub sequence: u64,
    /// The epoch that was open when it was made or last re-templated.
    pub changed_epoch: u32,
    /// It had calls in the open epoch.
    touched: bool,
    /// It has to be drained.
    changed: bool,
    /// The template shows a trailing slash.
    pub slashed: bool,
}

/// All endpoints and the redirects that merges left.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Table {
    records: Vec<Option<Record>>,
    free: Vec<u32>,
    by_id: BTreeMap<EndpointId, u32>,
    redirects: VecDeque<EndpointId>,
    changed: Vec<u32>,
    touched: Vec<u32>,
    sequence: u64,
}

impl Table {
    /// Endpoints that are not merged away.
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

    pub fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.by_id.values().filter_map(|&record| self.get(record)).map(|record| &record.endpoint)
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
            calls: 0,
            first_seen_ms: i64::MAX,
            last_seen_ms: i64::MIN,
        };
        self.insert(Record {
            endpoint,
            node,
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

    /// Counts a call.
    pub fn count(&mut self, index: u32, event_ms: i64) {
        let Some(record) = self.records.get_mut(index as usize).and_then(Option::as_mut) else { return };
        record.endpoint.calls += 1;
        record.endpoint.first_seen_ms = record.endpoint.first_seen_ms.min(event_ms);
        record.endpoint.last_seen_ms = record.endpoint.last_seen_ms.max(event_ms);
        if !record.touched {
            record.touched = true;
            self.touched.push(index);
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
            if let Some(record) = self.get_mut(index) {
                record.touched = false;
            }
            self.mark_changed(index);
        }
        touched
    }

    /// What has changed since the last drain, by record.
    pub fn drain(&mut self) -> Vec<Endpoint> {
        let mut drained = Vec::with_capacity(self.changed.len());
        for index in std::mem::take(&mut self.changed) {
            if let Some(record) = self.get_mut(index)
                && record.changed
            {
                record.changed = false;
                drained.push(record.endpoint.clone());
            }
        }
        drained
    }

    /// Merges two endpoints: the older survives and is given back, the other redirects to it. Gives whether a redirect
    /// had to be forgotten, too.
    pub fn merge(&mut self, one: u32, other: u32, epoch: u32, redirects_max: usize) -> (u32, bool) {
        let sequence = |index| self.get(index).map_or(u64::MAX, |record| record.sequence);
        let (survivor, merged) = if sequence(one) <= sequence(other) { (one, other) } else { (other, one) };
        let Some(gone) = self.get_mut(merged) else { return (survivor, false) };
        let (calls, first_ms, last_ms) = (gone.endpoint.calls, gone.endpoint.first_seen_ms, gone.endpoint.last_seen_ms);
        let gone_id = gone.endpoint.id;
        gone.node = NONE;
        gone.endpoint.provisional = false;
        let Some(kept) = self.get_mut(survivor) else { return (survivor, false) };
        kept.endpoint.calls += calls;
        kept.endpoint.first_seen_ms = kept.endpoint.first_seen_ms.min(first_ms);
        kept.endpoint.last_seen_ms = kept.endpoint.last_seen_ms.max(last_ms);
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
        let endpoint =
            Endpoint { id, provisional: false, merged_into: Some(to), explanation, calls: 0, ..kept.endpoint };
        self.insert(Record { endpoint, node: NONE, touched: false, changed: false, ..kept });
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
