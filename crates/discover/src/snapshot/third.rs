//! Version 3 of the snapshot: before routes were read, operations had endpoints and gRPC was known.

use std::collections::BTreeSet;

use outrider_model::TemplateDecision;
use serde::Deserialize;

use crate::catalogue::{Counters, State};
use crate::endpoints::Table;
use crate::trie::{NodeId, Place, Trie};

#[derive(Deserialize)]
pub(super) struct ThirdState {
    places: Vec<Place>,
    trie: Trie,
    table: Table,
    methods: Vec<Box<str>>,
    decisions: Vec<TemplateDecision>,
    epoch: u32,
    dirty: Vec<NodeId>,
    due: Vec<NodeId>,
    counters: ThirdCounters,
    full_epoch: Option<u32>,
}

#[derive(Deserialize)]
struct ThirdCounters {
    places_max: u64,
    nodes_max: u64,
    endpoints_max: u64,
    redirects_max: u64,
    children_per_node_max: u64,
    depth_max: u64,
    segment_bytes_max: u64,
    methods_max: u64,
    decisions_max: u64,
    nodes_forgotten: u64,
}

impl From<ThirdState> for State {
    fn from(third: ThirdState) -> Self {
        let ThirdState { places, trie, table, methods, decisions, epoch, dirty, due, counters, full_epoch } = third;
        let counters = counters.into();
        let (routes, grpc) = (Vec::new(), BTreeSet::new());
        State { places, trie, table, methods, decisions, routes, grpc, epoch, dirty, due, counters, full_epoch }
    }
}

impl From<ThirdCounters> for Counters {
    fn from(third: ThirdCounters) -> Self {
        Counters {
            places_max: third.places_max,
            nodes_max: third.nodes_max,
            endpoints_max: third.endpoints_max,
            redirects_max: third.redirects_max,
            children_per_node_max: third.children_per_node_max,
            depth_max: third.depth_max,
            segment_bytes_max: third.segment_bytes_max,
            methods_max: third.methods_max,
            decisions_max: third.decisions_max,
            nodes_forgotten: third.nodes_forgotten,
            ..Counters::default()
        }
    }
}
