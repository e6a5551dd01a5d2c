//! Version 1 of the snapshot: before there were decisions about templates.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use outrider_model::{Endpoint, EndpointId, EndpointKey};
use serde::Deserialize;

use crate::catalogue::{Counters, State};
use crate::endpoints::{Record, Seen, Table};
use crate::trie::{NodeId, Place, Trie};

#[derive(Deserialize)]
pub(super) struct FirstState {
    places: Vec<Place>,
    trie: Trie,
    table: FirstTable,
    methods: Vec<Box<str>>,
    epoch: u32,
    dirty: Vec<NodeId>,
    due: Vec<NodeId>,
    counters: FirstCounters,
}

#[derive(Deserialize)]
struct FirstTable {
    records: Vec<Option<FirstRecord>>,
    free: Vec<u32>,
    by_id: BTreeMap<EndpointId, u32>,
    redirects: VecDeque<EndpointId>,
    changed: Vec<u32>,
    touched: Vec<u32>,
    sequence: u64,
}

#[derive(Deserialize)]
struct FirstRecord {
    endpoint: FirstEndpoint,
    node: NodeId,
    sequence: u64,
    changed_epoch: u32,
    touched: bool,
    changed: bool,
    slashed: bool,
}

#[derive(Deserialize)]
struct FirstEndpoint {
    id: EndpointId,
    key: EndpointKey,
    service_name: String,
    provisional: bool,
    merged_into: Option<EndpointId>,
    explanation: String,
    calls: u64,
    first_seen_ms: i64,
    last_seen_ms: i64,
}

#[derive(Deserialize)]
struct FirstCounters {
    places_max: u64,
    nodes_max: u64,
    endpoints_max: u64,
    redirects_max: u64,
    children_per_node_max: u64,
    depth_max: u64,
    segment_bytes_max: u64,
    methods_max: u64,
    nodes_forgotten: u64,
}

impl From<FirstState> for State {
    fn from(first: FirstState) -> Self {
        let FirstState { places, trie, table, methods, epoch, dirty, due, counters } = first;
        State {
            places,
            trie,
            table: table.into(),
            methods,
            decisions: Vec::new(),
            routes: Vec::new(),
            grpc: BTreeSet::new(),
            epoch,
            dirty,
            due,
            counters: counters.into(),
            full_epoch: None,
        }
    }
}

impl From<FirstTable> for Table {
    fn from(first: FirstTable) -> Self {
        Table {
            records: first.records.into_iter().map(|record| record.map(Record::from)).collect(),
            free: first.free,
            by_id: first.by_id,
            redirects: first.redirects,
            changed: first.changed,
            touched: first.touched,
            sequence: first.sequence,
        }
    }
}

impl From<FirstRecord> for Record {
    fn from(first: FirstRecord) -> Self {
        let FirstRecord { endpoint, node, sequence, changed_epoch, touched, changed, slashed } = first;
        let seen = Seen { calls: endpoint.calls, first_ms: endpoint.first_seen_ms, last_ms: endpoint.last_seen_ms };
        let endpoint = Endpoint {
            id: endpoint.id,
            key: endpoint.key,
            service_name: endpoint.service_name,
            provisional: endpoint.provisional,
            merged_into: endpoint.merged_into,
            explanation: endpoint.explanation,
            confidence: 0.0,
            observations: 0,
            ignored: false,
            calls: endpoint.calls,
            first_seen_ms: endpoint.first_seen_ms,
            last_seen_ms: endpoint.last_seen_ms,
        };
        Record {
            endpoint,
            node,
            kept: None,
            seen,
            diverted: 0,
            is_told: true,
            sequence,
            changed_epoch,
            touched,
            changed,
            slashed,
        }
    }
}

impl From<FirstCounters> for Counters {
    fn from(first: FirstCounters) -> Self {
        Counters {
            places_max: first.places_max,
            nodes_max: first.nodes_max,
            endpoints_max: first.endpoints_max,
            redirects_max: first.redirects_max,
            children_per_node_max: first.children_per_node_max,
            depth_max: first.depth_max,
            segment_bytes_max: first.segment_bytes_max,
            methods_max: first.methods_max,
            nodes_forgotten: first.nodes_forgotten,
            ..Counters::default()
        }
    }
}
