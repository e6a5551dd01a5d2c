//! Re-templating: names become values, endpoints merge, templates and confidence follow.

use crate::catalogue::Catalogue;
use crate::crowd::weight;
use crate::decide::{style_index, values_among};
use crate::hints::{At, Said};
use crate::name::{Part, explanation, template};
use crate::operations::{MARK, is_mark};
use crate::partial::is_pattern;
use crate::rules::Step;
use crate::shape::is_plural;
use crate::trie::{Kind, NONE, NodeId};

/// Values that a parameter must have shown before it counts as confirmed.
const CONFIDENT_VALUES: u32 = 3;

/// Calls after which the only value of a small-number parameter is shown as it is.
const CONSTANT_CALLS: u32 = 20;

/// How deep a constant number, such as the version in `/1/boards`, may stand.
const CONSTANT_DEPTH_MAX: u8 = 3;

/// Of the named children at the limit, one in this many becomes a value at once.
const OVERFLOW_SHARE: usize = 2;

impl Catalogue {
    /// Weighs a node's named children, merges those that are values, and confirms what has enough evidence.
    pub(crate) fn weigh(&mut self, node: NodeId) {
        if !self.state.trie.is_live(node) {
            return;
        }
        self.state.trie[node].fresh = 0;
        if is_mark(&self.state.trie[node]) {
            return self.confirm_operations(node);
        }
        let at = self.hinted_at(node);
        let told = self.told_values(node, &at);
        if !told.is_empty() {
            self.absorb(node, &told);
        }
        let place = self.state.trie[node].place;
        let known = &self.state.places[place as usize];
        let values = values_among(&self.state.trie, node, known, &self.settings, |id, name| {
            self.is_told(place, &at, name) || self.is_used_pattern(id, name) || self.is_grpc_name(node, id)
        });
        if !values.is_empty() {
            self.absorb(node, &values);
        }
        if self.state.trie[node].names.len() >= self.settings.children_per_node_max {
            self.absorb_overflow(node, &at);
        }
        self.confirm(node, &at);
    }

    /// Whether a name is a pattern that comes as often as a name has to that is confirmed: one of values comes once or twice.
    fn is_used_pattern(&self, id: NodeId, name: &str) -> bool {
        is_pattern(name) && self.is_confirmed_by_calls(id)
    }

    /// Whether so many calls of so many actors came that a name counts as confirmed.
    pub(crate) fn is_confirmed_by_calls(&self, id: NodeId) -> bool {
        let node = &self.state.trie[id];
        let (calls_min, actors_min) = (self.settings.confident_calls, self.settings.confident_actors);
        (node.calls >= calls_min && node.actors.count_ones() >= actors_min) || node.calls >= calls_min.saturating_mul(5)
    }

    /// Whether a text is a name for sure: a route says so, or it is what operations hang below.
    fn is_told(&self, place: u32, at: &At, name: &str) -> bool {
        if name == MARK {
            return true;
        }
        let tree = if at.is_empty() { None } else { self.hints.tree_of(place) };
        matches!(tree.and_then(|tree| tree.said(at, name)), Some(Said::Name { .. }))
    }

    /// At the limit of names the rarest become values, whatever they look like.
    fn absorb_overflow(&mut self, node: NodeId, at: &At) {
        let trie = &self.state.trie;
        let place = trie[node].place;
        let may_go = |child: NodeId| trie[child].name().is_none_or(|name| !self.is_told(place, at, name));
        let mut by_calls: Vec<(u32, u64, NodeId)> = trie[node]
            .names
            .iter()
            .filter(|entry| may_go(entry.1))
            .map(|&(key, child)| (trie[child].calls, key, child))
            .collect();
        by_calls.sort_unstable();
        by_calls.truncate(by_calls.len().div_ceil(OVERFLOW_SHARE));
        let rarest: Vec<NodeId> = by_calls.into_iter().map(|(_, _, child)| child).collect();
        if rarest.is_empty() {
            return;
        }
        self.state.counters.children_per_node_max += rarest.len() as u64;
        self.absorb(node, &rarest);
    }

    /// Makes named children values of their parent's parameter.
    fn absorb(&mut self, node: NodeId, children: &[NodeId]) {
        // It may stand for a moment beside a full trie, for each of its values gives a node back.
        let id = match self.state.trie[node].parameter {
            NONE => self.add_parameter(node),
            known => known,
        };
        for &child in children {
            self.state.trie.detach(child);
            self.unlearn(child);
            let key = self.state.trie.key(child);
            let (calls, actors) = (self.state.trie[child].calls, self.state.trie[child].actors);
            let weight = weight(calls, actors, &self.state.places[self.state.trie[child].place as usize]);
            let style = self.state.trie[child].name().map(style_index);
            if let Some(parameter) = self.state.trie[id].as_parameter_mut() {
                parameter.texts = parameter.texts.saturating_add(1);
                parameter.texts_once = parameter.texts_once.saturating_add(u32::from(calls <= 1));
                parameter.texts_calls = parameter.texts_calls.saturating_add(weight);
                parameter.values |= 1 << (key >> 58);
                if let Some(style) = style {
                    parameter.styles[style] = parameter.styles[style].saturating_add(1);
                }
                parameter.only = None;
                parameter.is_constant = false;
            }
            self.fold(child, id);
        }
        self.refresh(id);
        self.mark_dirty(id);
        self.mark_dirty(self.state.trie[node].parent);
    }

    /// Moves everything below and at one node to another of the same depth, and releases the first.
    fn fold(&mut self, from: NodeId, into: NodeId) {
        let (names, parameter, leaves, calls, actors, last_epoch, born_calls) = {
            let node = &mut self.state.trie[from];
            (
                std::mem::take(&mut node.names),
                std::mem::replace(&mut node.parameter, NONE),
                std::mem::take(&mut node.leaves),
                node.calls,
                node.actors,
                node.last_epoch,
                node.born_calls,
            )
        };
        let target = &mut self.state.trie[into];
        target.calls = target.calls.saturating_add(calls);
        target.actors |= actors;
        target.last_epoch = target.last_epoch.max(last_epoch);
        target.born_calls = target.born_calls.min(born_calls);
        for leaf in leaves {
            let known = self.state.trie[into].leaves.iter().position(|known| known.method == leaf.method);
            let Some(at) = known else {
                if let Some(record) = self.state.table.get_mut(leaf.record) {
                    record.node = into;
                }
                self.state.trie[into].leaves.push(leaf);
                continue;
            };
            let mine = self.state.trie[into].leaves[at].record;
            if !self.overlay.are_together(mine, leaf.record) {
                self.keep(leaf.record);
            }
            let gone = if self.state.table.age(mine) <= self.state.table.age(leaf.record) { leaf.record } else { mine };
            self.leave(gone);
            let (survivor, forgets) =
                self.state.table.merge(mine, leaf.record, self.state.epoch, self.settings.redirects_max);
            self.state.counters.redirects_max += u64::from(forgets);
            if let Some(record) = self.state.table.get_mut(survivor) {
                record.node = into;
            }
            self.settle_around(survivor);
            let kept = &mut self.state.trie[into].leaves[at];
            kept.record = survivor;
            kept.slashed = kept.slashed.saturating_add(leaf.slashed);
            kept.plain = kept.plain.saturating_add(leaf.plain);
        }
        for (key, child) in names {
            let same = self.state.trie[child].name().and_then(|name| self.state.trie.named(into, key, name));
            match same {
                Some(same) => {
                    self.unlearn(child);
                    self.fold(child, same);
                }
                None => {
                    self.state.trie[child].parent = into;
                    if !self.state.trie.attach(into, child, key) {
                        // Another text with the same key: practically impossible, and then it is forgotten.
                        self.drop_subtree(child);
                    }
                }
            }
        }
        if parameter != NONE {
            self.fold_parameter(parameter, into);
        }
        self.state.trie.release(from);
    }

    fn fold_parameter(&mut self, parameter: NodeId, into: NodeId) {
        let known = self.state.trie[into].parameter;
        if known == NONE {
            self.state.trie[parameter].parent = into;
            self.state.trie[into].parameter = parameter;
            return;
        }
        if let Kind::Parameter(other) = std::mem::replace(&mut self.state.trie[parameter].kind, Kind::Root)
            && let Some(mine) = self.state.trie[known].as_parameter_mut()
        {
            mine.shapes |= other.shapes;
            mine.texts = mine.texts.saturating_add(other.texts);
            mine.texts_once = mine.texts_once.saturating_add(other.texts_once);
            mine.texts_calls = mine.texts_calls.saturating_add(other.texts_calls);
            mine.values |= other.values;
            for (mine, other) in mine.styles.iter_mut().zip(other.styles) {
                *mine = mine.saturating_add(other);
            }
            if mine.only != other.only {
                mine.only = None;
                mine.is_constant = false;
            }
        }
        self.fold(parameter, known);
    }

    /// Takes a name out of its place's confirmed names.
    pub(crate) fn unlearn(&mut self, id: NodeId) {
        let node = &mut self.state.trie[id];
        if std::mem::take(&mut node.styled)
            && let Kind::Name(name) = &node.kind
        {
            self.state.places[node.place as usize].unlearn(name);
        }
    }

    /// Confirms children that have enough evidence.
    fn confirm(&mut self, node: NodeId, at: &At) {
        let names: Vec<NodeId> = self.state.trie[node].names.iter().map(|entry| entry.1).collect();
        let (calls_min, actors_min) = (self.settings.confident_calls, self.settings.confident_actors);
        for id in names {
            let place = self.state.trie[id].place as usize;
            let child = &mut self.state.trie[id];
            let actors = child.actors.count_ones();
            if !child.styled
                && child.calls >= calls_min / 2
                && actors >= actors_min
                && let Kind::Name(name) = &child.kind
                && **name != *MARK
            {
                self.state.places[place].know(name);
                child.styled = true;
            }
            let child = &self.state.trie[id];
            if child.confident {
                continue;
            }
            if self.is_confirmed_by_calls(id) || child.name().is_some_and(|name| self.is_told(child.place, at, name)) {
                self.state.trie[id].confident = true;
                self.refresh(id);
            }
        }
        let id = self.state.trie[node].parameter;
        if id != NONE && !self.state.trie[id].confident {
            self.confirm_parameter(node, id);
        }
    }

    fn confirm_parameter(&mut self, node: NodeId, id: NodeId) {
        let parent = &self.state.trie[node];
        let may_be_constant = parent.depth < CONSTANT_DEPTH_MAX && !parent.name().is_some_and(is_plural);
        let child = &mut self.state.trie[id];
        let (calls, is_inner) = (child.calls, !child.names.is_empty());
        let Some(parameter) = child.as_parameter_mut() else { return };
        let becomes_constant = parameter.only.is_some()
            && !parameter.is_constant
            && may_be_constant
            && is_inner
            && calls >= CONSTANT_CALLS;
        if becomes_constant {
            parameter.is_constant = true;
        }
        let has_values = parameter.values_at_least() >= CONFIDENT_VALUES && calls >= CONFIDENT_VALUES;
        if has_values {
            child.confident = true;
        }
        if becomes_constant || has_values {
            self.refresh(id);
        }
    }

    /// Writes the templates of everything at and below a node anew.
    pub(crate) fn refresh(&mut self, top: NodeId) {
        for node in self.state.trie.subtree(top) {
            self.describe(node);
        }
    }

    /// Writes the templates of a node's endpoints anew, and notes what has changed.
    pub(crate) fn describe(&mut self, node: NodeId) {
        if self.state.trie[node].leaves.is_empty() {
            return;
        }
        if self.overlay.rules(self.state.trie[node].place).is_some() {
            for at in 0..self.state.trie[node].leaves.len() {
                self.show(self.state.trie[node].leaves[at].record);
            }
            return;
        }
        let parts = self.parts(node);
        let plain = template(&parts, false);
        let provisional = !self.is_confirmed(node);
        let why = explanation(&parts, !provisional);
        drop(parts);
        for at in 0..self.state.trie[node].leaves.len() {
            let index = self.state.trie[node].leaves[at].record;
            let epoch = self.state.epoch;
            let Some(record) = self.state.table.get_mut(index) else { continue };
            let shown = if record.slashed && plain != "/" { format!("{plain}/") } else { plain.clone() };
            let is_new_template = record.endpoint.key.template != shown;
            if is_new_template {
                record.endpoint.key.template = shown;
                record.changed_epoch = epoch;
            }
            if is_new_template || record.endpoint.explanation != why || record.endpoint.provisional != provisional {
                record.endpoint.explanation.clone_from(&why);
                record.endpoint.provisional = provisional;
                self.state.table.mark_changed(index);
            }
            self.weigh_confidence(index);
        }
    }

    /// Shows a trailing slash if most calls have one.
    pub(crate) fn follow_slashes(&mut self, index: u32) {
        let Some(record) = self.state.table.get_mut(index) else { return };
        if record.node == NONE {
            return;
        }
        let node = record.node;
        let Some(leaf) = self.state.trie[node].leaves.iter().find(|leaf| leaf.record == index) else { return };
        let slashed = leaf.slashed > leaf.plain;
        if slashed == record.slashed || leaf.slashed == leaf.plain {
            return;
        }
        record.slashed = slashed;
        let changed_epoch = record.changed_epoch;
        self.describe(node);
        // It is the same endpoint for everybody but the eye.
        if let Some(record) = self.state.table.get_mut(index) {
            record.changed_epoch = changed_epoch;
        }
    }

    /// The template of a node.
    pub(crate) fn template(&self, node: NodeId, slashed: bool) -> String {
        template(&self.parts(node), slashed)
    }

    fn parts(&self, node: NodeId) -> Vec<Part<'_>> {
        self.steps(node).iter().map(Step::part).collect()
    }

    pub(crate) fn is_confirmed(&self, node: NodeId) -> bool {
        let mut at = node;
        while at != NONE {
            if !self.state.trie[at].confident {
                return false;
            }
            at = self.state.trie[at].parent;
        }
        true
    }
}
