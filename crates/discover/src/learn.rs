//! What a call that teaches adds to the trie.

use outrider_model::{ApiCall, EndpointKey};

use crate::catalogue::Catalogue;
use crate::decide::{OpenParameter, open_parameter, text_odds, value_odds};
use crate::grpc::is_grpc;
use crate::hints::{Said, Tree};
use crate::likeness::ENDINGS_DEPTH;
use crate::path::{Path, Segment, segment_key};
use crate::shape::{Shape, is_version, value_shape};
use crate::signals::{Signal, Threshold, tuned, uses};
use crate::trie::{Kind, Leaf, NONE, Node, NodeId};
use crate::watch::{Watched, watch_another};

/// Calls of a node after which its actors are no longer noted, unless they are still few.
const ACTOR_CALLS: u32 = 64;

/// The same for a parameter: what its values have in common is that their actors are the same.
const PARAMETER_ACTOR_CALLS: u32 = 4096;

/// Actors of a node that are few.
const FEW_ACTORS: u32 = 8;

/// Different values after which those of a parameter are no longer told apart.
const COUNTED_VALUES: u32 = 16;

/// Names that a node may get before it is weighed without waiting for the end of the epoch.
const FRESH_NAMES: u16 = 64;

/// Calls of a watched value after which it is weighed whether it is a name.
const WATCHED_CALLS: u32 = 6;

/// A watched value with odds below this is a name.
const NAME_ODDS: f32 = -0.5;

/// Who acted, worked out when a node asks for the first time.
pub(crate) struct ActorKey<'c> {
    call: &'c ApiCall<'c>,
    key: Option<u64>,
}

impl ActorKey<'_> {
    fn get(&mut self) -> u64 {
        let call = self.call;
        *self.key.get_or_insert_with(|| call.actor().map_or(0, |actor| actor.entity(call).key()))
    }

    /// One of 64 bits, by the key.
    fn bit(&mut self) -> u64 {
        1 << (self.get().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
    }
}

impl Catalogue {
    /// Adds what a call teaches; gives the record of its endpoint.
    pub(crate) fn learn(&mut self, call: &ApiCall<'_>, place: u32, method: u8, path: &Path<'_>) -> Option<u32> {
        let mut actor = ActorKey { call, key: None };
        let known = &mut self.state.places[place as usize];
        known.calls += 1;
        if known.actors.count_ones() < FEW_ACTORS {
            known.actors |= actor.bit();
        }
        let mut node = known.root;
        let has_names_alone = is_grpc(call, path);
        if has_names_alone {
            self.state.grpc.insert(place);
        }
        let tree = self.hints.tree(place);
        let mut at = Tree::root();
        for segment in &path.segments {
            let said;
            (said, at) = tree.as_ref().map_or_else(Default::default, |tree| tree.step(&at, Some(&segment.text)));
            node = match said {
                Some(said) => self.step_as_said(node, segment, said)?,
                None => self.step(node, segment, has_names_alone, &mut actor)?,
            };
            self.visit(node, &mut actor);
        }
        let operation = path.operation.as_deref().and_then(|name| self.learn_operation(node, name, &mut actor));
        match operation {
            Some(operation) => self.end_at(operation, method, false),
            None => self.end_at(node, method, path.trailing_slash),
        }
    }

    /// Counts a call at a node.
    pub(crate) fn visit(&mut self, id: NodeId, actor: &mut ActorKey<'_>) {
        let epoch = self.state.epoch;
        let node = &mut self.state.trie[id];
        node.last_epoch = node.last_epoch.max(epoch);
        let most = if matches!(node.kind, Kind::Parameter(_)) { PARAMETER_ACTOR_CALLS } else { ACTOR_CALLS };
        if node.calls <= most || node.actors.count_ones() < FEW_ACTORS {
            node.actors |= actor.bit();
            if node.calls == 0 {
                node.first_actor = actor.get() as u32;
            }
        }
        node.calls = node.calls.saturating_add(1);
        if !node.confident {
            let parent = node.parent;
            self.mark_dirty(parent);
        }
    }

    /// The child that a segment leads to, made if need be; `None` when there is no room. `is_name` says that no shape makes
    /// it a value.
    fn step(&mut self, node: NodeId, segment: &Segment<'_>, is_name: bool, actor: &mut ActorKey<'_>) -> Option<NodeId> {
        let text = segment.name();
        let has_names = !self.state.trie[node].names.is_empty();
        let key = if has_names { segment_key(text) } else { 0 };
        if has_names && let Some(child) = self.state.trie.named(node, key, text) {
            return Some(child);
        }
        let may_be_value = !is_name && segment.pattern.is_none();
        if may_be_value && let Some(shape) = value_shape(text, self.settings.segment_bytes_max) {
            if shape == Shape::Long {
                self.state.counters.segment_bytes_max += 1;
            }
            let parameter = self.parameter_or_add(node)?;
            self.note_value(parameter, shape, text);
            return Some(parameter);
        }
        let key = if has_names { key } else { segment_key(text) };
        if is_version(text) {
            return self.add_name(node, key, text);
        }
        let Some(OpenParameter { id: parameter, .. }) = open_parameter(&self.state.trie, node) else {
            return self.add_name(node, key, text);
        };
        let Some(watched) = self.watched_name(parameter, key, text, actor) else { return Some(parameter) };
        let Some(name) = self.add_name(node, key, text) else { return Some(parameter) };
        let child = &mut self.state.trie[name];
        if child.name().is_some() {
            child.calls = child.calls.saturating_add(watched.calls);
            child.actors |= watched.actors;
        }
        Some(name)
    }

    /// The child that a text leads to of which a route says what it is.
    fn step_as_said(&mut self, node: NodeId, segment: &Segment<'_>, said: Said<'_>) -> Option<NodeId> {
        let text = &*segment.text;
        match said {
            Said::Name { .. } => {
                let key = segment_key(text);
                if let Some(child) = self.state.trie.named(node, key, text) {
                    return Some(child);
                }
                let child = self.new_name(node, key, text)?;
                self.state.trie[child].confident = true;
                Some(child)
            }
            Said::Value { .. } => {
                let parameter = self.parameter_or_add(node)?;
                match value_shape(text, self.settings.segment_bytes_max) {
                    Some(shape) => self.note_value(parameter, shape, text),
                    None => self.note_told_text(parameter, text),
                }
                if let Some(known) = self.state.trie[parameter].as_parameter_mut() {
                    known.only = None;
                }
                if !std::mem::replace(&mut self.state.trie[parameter].confident, true) {
                    self.refresh(parameter);
                }
                Some(parameter)
            }
        }
    }

    pub(crate) fn parameter_or_add(&mut self, node: NodeId) -> Option<NodeId> {
        let known = self.state.trie[node].parameter;
        if known != NONE {
            return Some(known);
        }
        if !self.has_room() {
            return None;
        }
        Some(self.add_parameter(node))
    }

    /// Gives a node without a parameter one, room or not.
    pub(crate) fn add_parameter(&mut self, node: NodeId) -> NodeId {
        let parameter = self.add_node(node, Kind::Parameter(Box::default()));
        self.state.trie[node].parameter = parameter;
        parameter
    }

    fn has_room(&mut self) -> bool {
        let has_room = self.state.trie.len() < self.settings.nodes_max;
        self.state.counters.nodes_max += u64::from(!has_room);
        has_room
    }

    fn add_node(&mut self, parent: NodeId, kind: Kind) -> NodeId {
        let (place, depth) = (self.state.trie[parent].place, self.state.trie[parent].depth);
        let mut node = Node::new(kind, parent, place, depth + 1);
        node.born_calls = self.state.places[place as usize].calls;
        let id = self.state.trie.add(node);
        self.mark_likeness_dirty(parent);
        id
    }

    /// Notes that likeness has to be weighed anew at a node and above, as far up as what was added there is compared.
    fn mark_likeness_dirty(&mut self, node: NodeId) {
        let mut at = node;
        for _ in 0..=ENDINGS_DEPTH {
            if at == NONE {
                return;
            }
            self.mark_dirty(at);
            at = self.state.trie[at].parent;
        }
    }

    fn add_name(&mut self, node: NodeId, key: u64, text: &str) -> Option<NodeId> {
        if self.state.trie[node].names.len() >= self.settings.children_per_node_max {
            self.weigh(node);
            if let Some(open) = open_parameter(&self.state.trie, node) {
                return Some(open.id);
            }
        }
        self.new_name(node, key, text)
    }

    /// Adds a name if there is room for a node.
    pub(crate) fn new_name(&mut self, node: NodeId, key: u64, text: &str) -> Option<NodeId> {
        if !self.has_room() {
            return None;
        }
        let child = self.add_node(node, Kind::Name(text.into()));
        if !self.state.trie.attach(node, child, key) {
            self.state.trie.release(child);
            return None;
        }
        self.state.trie[child].confident = is_version(text);
        let parent = &mut self.state.trie[node];
        parent.fresh += 1;
        if parent.fresh >= FRESH_NAMES {
            parent.fresh = 0;
            self.state.due.push(node);
        }
        Some(child)
    }

    /// Notes a value with a telling shape at a parameter.
    fn note_value(&mut self, id: NodeId, shape: Shape, text: &str) {
        let Some(parameter) = self.state.trie[id].as_parameter_mut() else { return };
        let is_first = parameter.values == 0;
        let new_shape = parameter.shapes & shape.bit() == 0;
        if !new_shape && parameter.only.is_none() && parameter.values.count_ones() >= COUNTED_VALUES {
            return;
        }
        let was_constant = parameter.is_constant;
        let same = parameter.only.as_deref() == Some(text);
        parameter.shapes |= shape.bit();
        parameter.values |= 1 << (segment_key(text) >> 58);
        if is_first && shape == Shape::Integer && text.len() <= 2 {
            parameter.only = Some(text.into());
        } else if !same {
            parameter.only = None;
            parameter.is_constant = false;
        }
        if (was_constant && !same) || (new_shape && !is_first) {
            self.refresh(id);
        }
    }

    /// Watches a text that was taken for a value; gives what was seen of it when it turns out to be a name.
    fn watched_name(&mut self, id: NodeId, key: u64, text: &str, actor: &mut ActorKey<'_>) -> Option<Watched> {
        if !uses(Signal::Watch) {
            return None;
        }
        let place = self.state.trie[id].place as usize;
        // It is weighed again each time that its calls have doubled.
        let Watched { calls, actors, .. } = self.watch(id, key, actor)?;
        if !calls.is_multiple_of(WATCHED_CALLS) || !(calls / WATCHED_CALLS).is_power_of_two() {
            return None;
        }
        let place = &self.state.places[place];
        let parameter = self.state.trie[id].as_parameter()?;
        let is_alone = uses(Signal::Actors) && actors.count_ones() < 2 && place.actors.count_ones() >= 2;
        let odds = value_odds(parameter, place, calls, actors) + text_odds(text, 0, place, Some(parameter));
        if is_alone || odds >= tuned(Threshold::NameOdds, NAME_ODDS) {
            return None;
        }
        self.unwatch(id, key)
    }

    /// Counts a text that is watched at a parameter; gives what was seen of it from the second call on.
    pub(crate) fn watch(&mut self, id: NodeId, key: u64, actor: &mut ActorKey<'_>) -> Option<Watched> {
        let parameter = self.state.trie[id].as_parameter_mut()?;
        let Some(watched) = parameter.watch.iter_mut().find(|watched| watched.key == key) else {
            watch_another(&mut parameter.watch, key, actor.bit());
            return None;
        };
        watched.calls = watched.calls.saturating_add(1);
        if watched.calls <= ACTOR_CALLS || watched.actors.count_ones() < FEW_ACTORS {
            watched.actors |= actor.bit();
        }
        Some(watched.clone())
    }

    /// Watches a text no longer; gives what was seen of it.
    pub(crate) fn unwatch(&mut self, id: NodeId, key: u64) -> Option<Watched> {
        let parameter = self.state.trie[id].as_parameter_mut()?;
        let at = parameter.watch.iter().position(|watched| watched.key == key)?;
        Some(parameter.watch.remove(at))
    }

    /// The record of the endpoint that a method has at a node, made if need be.
    fn end_at(&mut self, node: NodeId, method: u8, slashed: bool) -> Option<u32> {
        if let Some(leaf) = self.state.trie[node].leaves.iter_mut().find(|leaf| leaf.method == method) {
            let count = if slashed { &mut leaf.slashed } else { &mut leaf.plain };
            *count = count.saturating_add(1);
            return Some(leaf.record);
        }
        if self.state.table.live() >= self.settings.endpoints_max {
            self.state.counters.endpoints_max += 1;
            return None;
        }
        let place = &self.state.places[self.state.trie[node].place as usize];
        let key = EndpointKey {
            gateway: place.gateway.clone(),
            workspace: place.workspace.clone(),
            service: place.service.clone(),
            method: self.state.methods[method as usize].to_string(),
            template: self.template(node, slashed),
        };
        let service_name = place.service_name.clone();
        let record = self.state.table.add(key, service_name, node, slashed, self.state.epoch);
        self.mark_likeness_dirty(self.state.trie[node].parent);
        let leaf = Leaf { method, record, slashed: u32::from(slashed), plain: u32::from(!slashed) };
        self.state.trie[node].leaves.push(leaf);
        self.describe(node);
        Some(record)
    }
}
