//! The catalogue as its users see it, and the clock that it lives by.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use foldhash::fast::FixedState;
use outrider_model::{ApiCall, Endpoint, EndpointId, TemplateDecision};
use serde::{Deserialize, Serialize};

use crate::endpoints::Table;
use crate::evidence::teaches;
use crate::hints::{Hints, RoutePath};
use crate::operations::{MARK, operation, operation_of, path_of};
use crate::overlay::{Found, Overlay};
use crate::path::Path;
use crate::settings::Settings;
use crate::trie::{Kind, NONE, Node, NodeId, Place, Trie};

/// Length of an epoch: values across keys are read as of the last closed one (decision 8).
const EPOCH_MS: i64 = 60_000;

/// Methods that are known from the start, so that they need no room.
const METHODS: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"];

/// Hash seed of the index of places; its order never reaches an output.
const SEED: u64 = 0x6f75_7472_6964_6572;

/// To which endpoint a call belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The endpoint; `None` for an unknown path.
    pub endpoint: Option<EndpointId>,
    /// False if the endpoint was made or re-templated in the open or the last closed epoch: no detector fires on it
    /// (decision 14).
    pub settled: bool,
    /// The index of its record.
    record: u32,
}

impl Assignment {
    /// The call belongs to no endpoint.
    const UNKNOWN: Assignment = Assignment { endpoint: None, settled: false, record: NONE };
}

/// What was dropped or cut at a limit since the catalogue was made; named for the limits of [`Settings`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Calls of a service for which there was no room.
    pub places_max: u64,
    /// Calls whose path could not be learned because there was no room for a node.
    pub nodes_max: u64,
    /// Calls whose endpoint could not be made because there was no room.
    pub endpoints_max: u64,
    /// Redirects that were forgotten.
    pub redirects_max: u64,
    /// Names that became values because their node had no room.
    pub children_per_node_max: u64,
    /// Calls with more segments than are learned.
    pub depth_max: u64,
    /// Segments that were too long to be a name.
    pub segment_bytes_max: u64,
    /// Calls with a method for which there was no room.
    pub methods_max: u64,
    /// Decisions about templates that were refused because there was no room, in number or in bytes.
    pub decisions_max: u64,
    /// Paths of routes that were not read, because there was no room or they were too long.
    pub routes_max: u64,
    /// Calls whose operation got no endpoint because there was no room.
    pub operations_per_endpoint_max: u64,
    /// Nodes that were forgotten to make room.
    pub nodes_forgotten: u64,
}

/// Everything that a snapshot holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub places: Vec<Place>,
    pub trie: Trie,
    pub table: Table,
    pub methods: Vec<Box<str>>,
    /// What was decided about templates, in the order in which it was.
    pub decisions: Vec<TemplateDecision>,
    /// The paths of the routes of all gateways, each gateway's together.
    pub routes: Vec<RoutePath>,
    /// The places that were called by gRPC.
    pub grpc: BTreeSet<u32>,
    /// The open epoch, in whole minutes since 1970; 0 before the first `advance`.
    pub epoch: u32,
    /// Nodes to weigh when the epoch closes.
    pub dirty: Vec<NodeId>,
    /// Nodes to weigh after the present call, because they got many names at once.
    pub due: Vec<NodeId>,
    pub counters: Counters,
    /// The last epoch in which not enough could be forgotten to make room.
    pub full_epoch: Option<u32>,
}

/// The endpoints behind all gateways, learned from calls one by one.
///
/// A call that [shows that the API knows its path](Catalogue::assign) adds to a trie of path segments per gateway,
/// workspace and service (or host). A segment whose text is surely a value (an integer, a UUID, …) leads to its node's
/// parameter at once. Any other text is a name until evidence says that it is a value, which is weighed when an epoch
/// closes; until its template is confirmed an endpoint is `provisional`. Once a node's parameter takes texts for values,
/// a new text belongs to the parameter's endpoint (decision 14) and is watched: if it comes often and is written like
/// the API's names, it becomes a name of its own, with a new endpoint, while the old id stays with the parameter.
#[derive(Debug, Clone)]
pub struct Catalogue {
    pub(crate) settings: Settings,
    pub(crate) state: State,
    /// Fingerprint of a place's key to its index. Derived from `state`.
    index: HashMap<u64, u32, FixedState>,
    /// What decisions make of what was learned. Derived from `state`.
    pub(crate) overlay: Overlay,
    /// What routes say of paths. Derived from `state`.
    pub(crate) hints: Hints,
}

/// The service of a call as endpoints are keyed by: Kong's service id, else `host:` and the host asked for (decision 3).
pub fn service_key<'a>(call: &'a ApiCall<'_>) -> Cow<'a, str> {
    match &call.service {
        Some(service) if !service.id.is_empty() => Cow::Borrowed(service.id.as_str()),
        _ => Cow::Owned(format!("host:{}", call.host)),
    }
}

/// The path of a call, with the operation behind it that it asks for: `/graphql#GetUser`.
pub fn asked_path<'a>(call: &'a ApiCall<'_>) -> Cow<'a, str> {
    let path = Path::parse(&call.path, usize::MAX);
    match path.and_then(|path| operation(call, &path).map(|operation| format!("{}{MARK}{operation}", call.path))) {
        Some(asked) => Cow::Owned(asked),
        None => Cow::Borrowed(&*call.path),
    }
}

impl Catalogue {
    /// An empty catalogue. Who reads settings from outside has them refused by [`Settings::validate`] first.
    pub fn new(settings: Settings) -> Self {
        let state = State {
            places: Vec::new(),
            trie: Trie::default(),
            table: Table::default(),
            methods: METHODS.iter().map(|&method| method.into()).collect(),
            decisions: Vec::new(),
            routes: Vec::new(),
            grpc: BTreeSet::new(),
            epoch: 0,
            dirty: Vec::new(),
            due: Vec::new(),
            counters: Counters::default(),
            full_epoch: None,
        };
        Catalogue::from_state(settings, state)
    }

    pub(crate) fn from_state(settings: Settings, state: State) -> Self {
        let mut index = HashMap::with_hasher(FixedState::with_seed(SEED));
        for (at, place) in state.places.iter().enumerate() {
            let key = place_key(&place.gateway, &place.workspace, &place.service);
            index.entry(key).or_insert(at as u32);
        }
        let mut catalogue = Catalogue { settings, state, index, overlay: Overlay::default(), hints: Hints::default() };
        catalogue.attach_hints();
        catalogue.attach_all_rules();
        catalogue
    }

    /// Moves log time on. When it enters another minute the open epoch closes: names are weighed and counts flushed.
    ///
    /// Redundant and backward ticks do nothing. Minutes without a call change nothing, so a jump costs what one minute
    /// costs, however far it goes.
    pub fn advance(&mut self, now_ms: i64) {
        let minute = u32::try_from(now_ms.div_euclid(EPOCH_MS)).unwrap_or(0);
        if minute > self.state.epoch {
            self.close_epoch();
            self.state.epoch = minute;
        }
    }

    /// Goes back to an earlier time, to learn from calls of then. What is known stays, and is no older for it.
    pub fn go_back(&mut self, to_ms: i64) {
        self.close_epoch();
        self.state.epoch = u32::try_from(to_ms.div_euclid(EPOCH_MS)).unwrap_or(0);
    }

    /// Makes an id that is not known lead to an endpoint, so that whoever holds it finds one. Says whether it was unknown.
    pub fn redirect(&mut self, id: EndpointId, to: EndpointId) -> bool {
        let to = self.state.table.resolve(to);
        let forgets = self.state.table.redirect(id, to, self.settings.redirects_max);
        self.state.counters.redirects_max += u64::from(forgets == Some(true));
        forgets.is_some()
    }

    /// Learns from a call and says to which endpoint it belongs.
    ///
    /// Only calls that are evidence ([`ApiCall::is_evidence`]) and whose answer shows that the API knows the path can
    /// add to the catalogue: an answer of the API itself with 2xx, 3xx, 409, 412 or 422. All others match what is known.
    pub fn assign(&mut self, call: &ApiCall<'_>) -> Assignment {
        let Some(mut path) = Path::parse(&call.path, self.settings.depth_max) else {
            self.state.counters.depth_max += 1;
            return Assignment::UNKNOWN;
        };
        path.operation = operation(call, &path);
        let (place, method) = self.keys_of(call, &path);
        let (Some(place), Some(method)) = (place, method) else { return Assignment::UNKNOWN };
        let learned = if teaches(call) { self.learn(call, place, method, &path) } else { None };
        let learned = learned.or_else(|| self.find(place, method, &path));
        let Some((record, own)) = self.shown_for(call, place, method, &path, learned) else {
            return Assignment::UNKNOWN;
        };
        if call.is_evidence() {
            let diverted = learned.filter(|&learned| learned != own);
            self.state.table.count(own, record, diverted, call.event_ms);
        }
        if self.state.due.is_empty() {
            return self.assignment(record);
        }
        let id = self.state.table.get(record).map(|record| record.endpoint.id);
        for node in std::mem::take(&mut self.state.due) {
            self.weigh(node);
        }
        let now = id.and_then(|id| self.state.table.index(self.state.table.resolve(id)));
        now.map_or(Assignment::UNKNOWN, |record| self.assignment(record))
    }

    /// The place and the method of a call, made if need be where it teaches.
    fn keys_of(&mut self, call: &ApiCall<'_>, path: &Path<'_>) -> (Option<u32>, Option<u8>) {
        if !teaches(call) {
            return (self.place_of(call), self.method(&call.method));
        }
        self.make_room_for(path.segments.len());
        let place = self.place_of(call).or_else(|| self.add_place(call));
        let method = if place.is_some() { self.method_or_add(&call.method) } else { None };
        (place, method)
    }

    /// The record that is shown for a call, and the one that it counts for.
    fn shown_for(
        &mut self,
        call: &ApiCall<'_>,
        place: u32,
        method: u8,
        path: &Path<'_>,
        learned: Option<u32>,
    ) -> Option<(u32, u32)> {
        let found = self.shown(place, method, path, learned);
        match found {
            Found::Unknown => None,
            Found::Ignored { own } => {
                if call.is_evidence() {
                    self.state.table.count(own, own, None, call.event_ms);
                }
                None
            }
            Found::Record { shown, own } => Some((shown, own)),
            Found::Missing { group, template, why } => {
                let made = self.make_kept(call, path, learned, (group, template, why))?;
                Some((made, made))
            }
        }
    }

    fn assignment(&self, record: u32) -> Assignment {
        let Some(found) = self.state.table.get(record) else { return Assignment::UNKNOWN };
        Assignment {
            endpoint: Some(found.endpoint.id),
            settled: found.changed_epoch.saturating_add(1) < self.state.epoch,
            record,
        }
    }

    /// The endpoint of an assignment, as [`Catalogue::endpoint`] finds it by its id, and cheaper than that.
    pub fn assigned(&self, assignment: &Assignment) -> Option<&Endpoint> {
        let id = assignment.endpoint?;
        let kept = self.state.table.get(assignment.record).filter(|record| record.endpoint.id == id);
        kept.map(|record| &record.endpoint).or_else(|| self.endpoint(id))
    }

    /// The endpoint that a path belongs to by the present catalogue, with an operation behind it as templates have one. `service_key`
    /// is what [`service_key`] gives, `path` what [`asked_path`] does.
    pub fn lookup(
        &self,
        gateway: &str,
        workspace: &str,
        service_key: &str,
        method: &str,
        path: &str,
    ) -> Option<EndpointId> {
        let place = self.place(gateway, workspace, service_key)?;
        let mut asked = Path::parse(path_of(path), self.settings.depth_max)?;
        asked.operation = operation_of(path).map(Cow::Borrowed);
        self.lookup_at(place, method, &asked)
    }

    /// The endpoint that a call belongs to by the present catalogue, with the operation that it asks for.
    pub fn lookup_call(&self, call: &ApiCall<'_>) -> Option<EndpointId> {
        let mut path = Path::parse(&call.path, self.settings.depth_max)?;
        path.operation = operation(call, &path);
        self.lookup_at(self.place_of(call)?, &call.method, &path)
    }

    fn lookup_at(&self, place: u32, method: &str, path: &Path<'_>) -> Option<EndpointId> {
        let method = self.method(method)?;
        match self.shown(place, method, path, self.find(place, method, path)) {
            Found::Record { shown, .. } => self.state.table.get(shown).map(|record| record.endpoint.id),
            Found::Unknown | Found::Ignored { .. } | Found::Missing { .. } => None,
        }
    }

    /// Follows merges: the endpoint that counts today for an id that was given earlier.
    pub fn resolve(&self, id: EndpointId) -> EndpointId {
        self.state.table.resolve(id)
    }

    /// An endpoint by its id, one that was merged away included.
    pub fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        self.state.table.by_id(id)
    }

    /// The inventory, ordered by id, without endpoints that were merged away or are ignored.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.state.table.iter().filter(|endpoint| endpoint.merged_into.is_none() && !endpoint.ignored)
    }

    /// Endpoints that were merged away, ordered by id.
    pub fn redirects(&self) -> impl Iterator<Item = &Endpoint> {
        self.state.table.iter().filter(|endpoint| endpoint.merged_into.is_some())
    }

    /// Endpoints that were made, re-templated, merged or newly explained since the last drain, in the order in which
    /// that happened first. Those that only had calls come once per closed epoch.
    pub fn drain_changes(&mut self) -> Vec<Endpoint> {
        self.state.table.drain()
    }

    /// What was dropped or cut at a limit.
    pub fn counters(&self) -> Counters {
        self.state.counters
    }

    /// Roughly the memory that it holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let nodes: usize = self.state.trie.heap_bytes();
        nodes
            + self.state.table.memory_bytes()
            + self.state.places.capacity() * size_of::<Place>()
            + self.index.len() * 24
            + self.overlay.memory_bytes()
            + self.hints.memory_bytes()
    }

    // --- Places and methods

    pub(crate) fn place_of(&self, call: &ApiCall<'_>) -> Option<u32> {
        match &call.service {
            Some(service) if !service.id.is_empty() => self.place(&call.gateway, &call.workspace, &service.id),
            _ => self.place(&call.gateway, &call.workspace, &service_key(call)),
        }
    }

    fn place(&self, gateway: &str, workspace: &str, service: &str) -> Option<u32> {
        let found = *self.index.get(&place_key(gateway, workspace, service))?;
        let place = &self.state.places[found as usize];
        // Texts are compared, so that nobody can craft a key.
        (place.gateway == gateway && place.workspace == workspace && place.service == service).then_some(found)
    }

    pub(crate) fn add_place(&mut self, call: &ApiCall<'_>) -> Option<u32> {
        let service = service_key(call).into_owned();
        let key = place_key(&call.gateway, &call.workspace, &service);
        if self.state.places.len() >= self.settings.places_max || self.index.contains_key(&key) {
            self.state.counters.places_max += 1;
            return None;
        }
        let index = self.state.places.len() as u32;
        let mut root = Node::new(Kind::Root, NONE, index, 0);
        root.confident = true;
        let service_name = match &call.service {
            Some(named) if !named.name.is_empty() => named.name.as_str().to_owned(),
            _ => service.clone(),
        };
        self.state.places.push(Place {
            gateway: call.gateway.as_str().to_owned(),
            workspace: call.workspace.as_str().to_owned(),
            service,
            service_name,
            root: self.state.trie.add(root),
            calls: 0,
            actors: 0,
            styles: Default::default(),
            vocabulary: Default::default(),
        });
        self.index.insert(key, index);
        self.attach_rules(index);
        self.attach_hints_to(index);
        Some(index)
    }

    pub(crate) fn method(&self, method: &str) -> Option<u8> {
        self.state.methods.iter().position(|known| **known == *method).map(|at| at as u8)
    }

    pub(crate) fn method_or_add(&mut self, method: &str) -> Option<u8> {
        if let Some(known) = self.method(method) {
            return Some(known);
        }
        if self.state.methods.len() >= self.settings.methods_max.min(usize::from(u8::MAX))
            || method.len() > self.settings.segment_bytes_max
        {
            self.state.counters.methods_max += 1;
            return None;
        }
        self.state.methods.push(method.into());
        Some((self.state.methods.len() - 1) as u8)
    }

    // --- Epochs

    fn close_epoch(&mut self) {
        let mut queue: BTreeSet<(Reverse<u8>, NodeId)> = BTreeSet::new();
        loop {
            for node in std::mem::take(&mut self.state.dirty) {
                if self.state.trie.is_live(node) && self.state.trie[node].dirty {
                    queue.insert((Reverse(self.state.trie[node].depth), node));
                }
            }
            // The deepest first, so that a node is weighed when what is below it has been.
            let Some((_, node)) = queue.pop_first() else { break };
            if self.state.trie.is_live(node) && self.state.trie[node].dirty {
                self.state.trie[node].dirty = false;
                self.weigh(node);
            }
        }
        self.follow_learning();
        for record in self.state.table.flush() {
            self.follow_slashes(record);
            self.weigh_confidence(record);
        }
        self.make_room();
    }

    pub(crate) fn mark_dirty(&mut self, node: NodeId) {
        if node != NONE && !self.state.trie[node].dirty {
            self.state.trie[node].dirty = true;
            self.state.dirty.push(node);
        }
    }
}

fn place_key(gateway: &str, workspace: &str, service: &str) -> u64 {
    let [gateway, workspace, service] =
        [gateway, workspace, service].map(|part| rapidhash::v3::rapidhash_v3(part.as_bytes()));
    gateway.rotate_left(21) ^ workspace.rotate_left(42) ^ service
}
