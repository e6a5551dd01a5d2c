//! Which endpoint is shown for what was learned, where somebody decided about a service's templates.
//!
//! Learning goes on as if nothing had been decided. Its endpoints that a decision gives one template form a group: the
//! oldest is shown for all, the others redirect to it. A split text has no endpoint of its own in what was learned; one is
//! made with its first call, and kept beside.

use std::collections::BTreeMap;

use outrider_model::EndpointId;
use smallvec::SmallVec;

use crate::catalogue::Catalogue;
use crate::endpoints::{Record, Seen};
use crate::name::{Part, explanation, template};
use crate::operations::MARK;
use crate::path::Path;
use crate::pieces::shape_of_parts;
use crate::rules::{Learned, Pin, Rules, Shown, Step};
use crate::trie::{Kind, NONE, NodeId};

/// Endpoints that are shown as one: of a place and a method, by the shape of the template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    pub place: u32,
    method: u8,
    pub shape: Box<str>,
}

impl Group {
    pub fn new(place: u32, method: u8, shape: Box<str>) -> Self {
        Group { place, method, shape }
    }
}

/// What decisions make of what was learned. All of it follows from the decisions and the endpoints.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overlay {
    /// By place.
    rules: BTreeMap<u32, Rules>,
    /// The records of each group, the oldest first.
    groups: BTreeMap<Group, Vec<u32>>,
    /// The group of each record.
    members: BTreeMap<u32, Group>,
}

impl Overlay {
    pub fn rules(&self, place: u32) -> Option<&Rules> {
        self.rules.get(&place)
    }

    /// Puts the rules of a place in force, and forgets what followed from others.
    pub fn set_rules(&mut self, place: u32, rules: Option<Rules>) {
        self.groups.retain(|group, _| group.place != place);
        self.members.retain(|_, group| group.place != place);
        match rules {
            Some(rules) => drop(self.rules.insert(place, rules)),
            None => drop(self.rules.remove(&place)),
        }
    }

    pub fn places(&self) -> Vec<u32> {
        self.rules.keys().copied().collect()
    }

    /// The records of a place that are in a group.
    pub fn records_of(&self, place: u32) -> Vec<u32> {
        self.members.iter().filter(|(_, group)| group.place == place).map(|(&record, _)| record).collect()
    }

    /// The record that is shown for a record.
    fn leader(&self, record: u32) -> Option<u32> {
        self.groups.get(self.members.get(&record)?)?.first().copied()
    }

    /// The group that a record is shown for.
    pub fn led_by(&self, record: u32) -> Option<Group> {
        let group = self.members.get(&record)?;
        (self.leader_of(group) == Some(record)).then(|| group.clone())
    }

    pub fn is_in(&self, record: u32, group: &Group) -> bool {
        self.members.get(&record) == Some(group)
    }

    /// Whether two records are shown as one.
    pub fn are_together(&self, one: u32, other: u32) -> bool {
        self.members.get(&one) == self.members.get(&other)
    }

    pub fn leader_of(&self, group: &Group) -> Option<u32> {
        self.groups.get(group)?.first().copied()
    }

    /// Takes in a member; gives whether it leads.
    fn add(&mut self, record: u32, group: Group, age: impl Fn(u32) -> u64) -> bool {
        let members = self.groups.entry(group.clone()).or_default();
        let at = members.partition_point(|&other| age(other) < age(record));
        members.insert(at, record);
        self.members.insert(record, group);
        at == 0
    }

    pub fn remove(&mut self, record: u32) -> Option<Group> {
        let group = self.members.remove(&record)?;
        if let Some(members) = self.groups.get_mut(&group) {
            members.retain(|&other| other != record);
            if members.is_empty() {
                self.groups.remove(&group);
            }
        }
        Some(group)
    }

    /// Roughly the memory that it holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let group = size_of::<Group>() + 64;
        self.members.values().map(|key| group + key.shape.len()).sum::<usize>() + self.groups.len() * group
    }
}

/// How an endpoint is shown.
pub(crate) struct Look {
    pub template: String,
    pub why: String,
    pub provisional: bool,
    pub target: Target,
}

pub(crate) enum Target {
    /// As learned.
    Plain,
    Ignored,
    Group(Group),
}

/// The endpoint of a call where something is decided.
pub(crate) enum Found {
    Unknown,
    /// It belongs to none. The record that learning has for it goes on counting.
    Ignored {
        own: u32,
    },
    /// The record that is shown, and the one that the call counts for.
    Record {
        shown: u32,
        own: u32,
    },
    /// None was made yet.
    Missing {
        group: Group,
        template: String,
        why: String,
    },
}

impl Catalogue {
    // --- Calls

    /// The endpoint that is shown for a path, after what learning says of it.
    pub(crate) fn shown(&self, place: u32, method: u8, path: &Path<'_>, learned: Option<u32>) -> Found {
        let Some(rules) = self.overlay.rules(place) else {
            return learned.map_or(Found::Unknown, |record| Found::Record { shown: record, own: record });
        };
        let method_text: &str = &self.state.methods[usize::from(method)];
        let group = |shape| Group { place, method, shape };
        let by_pin = |pin: &Pin| {
            let made = || (pin.template.to_string(), pinned(&pin.by.words));
            self.found(group(pin.shape.clone()), learned, made)
        };
        let Some(record) = learned else {
            let pin = rules.pin(path.texts().map(Some), method_text);
            return pin.map_or(Found::Unknown, by_pin);
        };
        let steps = self.steps_of_call(record, path);
        // An operation may be pinned or ignored that has no endpoint by what was learned.
        if let Some(operation) = path.operation.as_deref() {
            if let Some(pin) = rules.pin(path.texts().map(Some), method_text) {
                return by_pin(pin);
            }
            if steps.len() == path.segments.len() {
                let mut asked = steps.clone();
                let name = |name| Step { text: Some(name), learned: Learned::Name(name), said: None };
                asked.extend([MARK, operation].map(name));
                if let Shown::Ignored(_) = rules.shown(&asked, method_text) {
                    return Found::Ignored { own: record };
                }
            }
        }
        match rules.shown(&steps, method_text) {
            Shown::Ignored(_) => Found::Ignored { own: record },
            Shown::Pinned(pin) => by_pin(pin),
            Shown::Parts { by_text: false, .. } => {
                let shown = self.overlay.leader(record).unwrap_or(record);
                Found::Record { shown, own: record }
            }
            Shown::Parts { parts, .. } => {
                let made = || (template(&parts, false), explanation(&parts, true));
                self.found(group(shape_of_parts(&parts)), Some(record), made)
            }
        }
    }

    fn found(&self, group: Group, learned: Option<u32>, made: impl FnOnce() -> (String, String)) -> Found {
        let Some(shown) = self.overlay.leader_of(&group) else {
            let (template, why) = made();
            return Found::Missing { group, template, why };
        };
        let own = learned.filter(|record| self.overlay.members.get(record) == Some(&group));
        Found::Record { shown, own: own.unwrap_or(shown) }
    }

    /// A path's segments with what learning takes them for.
    pub(crate) fn steps_of_call<'a>(&'a self, record: u32, path: &'a Path<'_>) -> SmallVec<[Step<'a>; 12]> {
        let mut steps = self.steps(self.state.table.get(record).map_or(NONE, |record| record.node));
        for (step, text) in steps.iter_mut().zip(path.texts()) {
            step.text = Some(text);
        }
        steps
    }

    /// What learning takes the segments above a node for, with what routes say of them.
    pub(crate) fn steps(&self, node: NodeId) -> SmallVec<[Step<'_>; 12]> {
        let mut steps = SmallVec::new();
        let mut at = node;
        while at != NONE {
            match &self.state.trie[at].kind {
                Kind::Root => {}
                Kind::Name(name) => {
                    steps.push(Step { text: Some(&**name), learned: Learned::Name(name), said: None });
                }
                Kind::Parameter(parameter) => {
                    let learned = Learned::Parameter(parameter);
                    steps.push(Step { text: parameter.constant(), learned, said: None });
                }
            }
            at = self.state.trie[at].parent;
        }
        steps.reverse();
        self.tell(node, &mut steps);
        steps
    }

    // --- Other rules

    /// The records of a place that are not merged away for good.
    pub(crate) fn records_of(&self, place: u32) -> Vec<u32> {
        let is_here = |index: &u32| {
            self.state.table.get(*index).is_some_and(|record| match record.node {
                NONE => record.kept.as_ref().is_some_and(|kept| kept.place == place),
                node => self.state.trie[node].place == place,
            })
        };
        self.state.table.indices().filter(is_here).collect()
    }

    /// Puts an endpoint into the group that the rules of its place give, and shows nothing of it.
    pub(crate) fn enter_group(&mut self, index: u32) {
        if self.overlay.members.contains_key(&index) {
            return;
        }
        let target = match self.state.table.get(index) {
            Some(record) if record.kept.is_some() => self.group_of_kept(index).map(Target::Group),
            _ => self.look(index).map(|look| look.target),
        };
        if let Some(Target::Group(group)) = target {
            self.join(index, group);
        }
    }

    fn group_of_kept(&self, index: u32) -> Option<Group> {
        let record = self.state.table.get(index).filter(|record| !record.endpoint.ignored)?;
        let kept = record.kept.as_ref()?;
        Some(Group::new(kept.place, self.method(&record.endpoint.key.method)?, kept.shape.clone()))
    }

    /// Puts an endpoint into a group; says whether it leads that now.
    pub(crate) fn join(&mut self, index: u32, group: Group) -> bool {
        let ages = &self.state.table;
        self.overlay.add(index, group, |record| ages.age(record))
    }

    /// Shows an endpoint as the rules of its place say; of a group, the oldest does it for all.
    pub(crate) fn show_anew(&mut self, record: u32) {
        match self.overlay.leader(record) {
            Some(leader) if leader == record => self.settle_around(record),
            Some(_) => {}
            None => {
                if let Some(look) = self.look(record) {
                    self.show_alone(record, &look);
                }
            }
        }
    }

    // --- What was learned, shown

    /// How a learned endpoint is shown.
    fn look(&self, record: u32) -> Option<Look> {
        let record = self.state.table.get(record).filter(|record| record.node != NONE)?;
        let place = self.state.trie[record.node].place;
        let steps = self.steps(record.node);
        let is_confirmed = self.is_confirmed(record.node);
        let learned = |parts: &[Part<'_>]| (template(parts, record.slashed), explanation(parts, is_confirmed));
        let as_learned = || {
            let parts: SmallVec<[Part<'_>; 12]> = steps.iter().map(Step::part).collect();
            learned(&parts)
        };
        let Some(rules) = self.overlay.rules(place) else {
            let (template, why) = as_learned();
            let provisional = !is_confirmed;
            return Some(Look { template, why, provisional, target: Target::Plain });
        };
        let method = self.method(&record.endpoint.key.method)?;
        let group = |shape| Target::Group(Group { place, method, shape });
        Some(match rules.shown(&steps, &record.endpoint.key.method) {
            Shown::Ignored(by) => Look {
                template: as_learned().0,
                why: ignored(&by.words),
                provisional: !is_confirmed,
                target: Target::Ignored,
            },
            Shown::Pinned(pin) => Look {
                template: pin.template.to_string(),
                why: pinned(&pin.by.words),
                provisional: false,
                target: group(pin.shape.clone()),
            },
            Shown::Parts { parts, is_decided, .. } => {
                let (template, why) = learned(&parts);
                let provisional = !is_confirmed && !is_decided;
                Look { template, why, provisional, target: group(shape_of_parts(&parts)) }
            }
        })
    }

    /// Shows a learned endpoint that is new or has changed.
    pub(crate) fn show(&mut self, record: u32) {
        let Some(look) = self.look(record) else { return };
        let Target::Group(group) = &look.target else {
            self.leave(record);
            self.show_alone(record, &look);
            return;
        };
        if self.overlay.members.get(&record) == Some(group) {
            if self.overlay.leader(record) == Some(record) {
                self.write(record, Some(&look), None);
                self.weigh_confidence(record);
            }
            return;
        }
        self.keep(record);
        self.leave(record);
        let group = group.clone();
        if self.join(record, group.clone()) {
            self.settle(&group);
        } else if let Some(leader) = self.overlay.leader_of(&group) {
            self.follow(record, leader);
            let seen = self.state.table.get(record).map_or(Seen::NEVER, Record::own);
            if let Some(record) = self.state.table.get_mut(leader) {
                let mut all = record.shown();
                all.add(seen);
                record.show(all);
            }
        }
    }

    /// Takes an endpoint out of its group; what it shows from then on is for others to say.
    pub(crate) fn leave(&mut self, record: u32) {
        if let Some(group) = self.overlay.remove(record) {
            self.settle(&group);
        }
    }

    /// Shows the members of the group of an endpoint that has got other calls.
    pub(crate) fn settle_around(&mut self, record: u32) {
        if let Some(group) = self.overlay.members.get(&record).cloned() {
            self.settle(&group);
        }
    }

    /// Shows a group: its oldest member with the calls of all, the others as redirects.
    pub(crate) fn settle(&mut self, group: &Group) {
        let Some(members) = self.overlay.groups.get(group).cloned() else { return };
        let Some((&leader, others)) = members.split_first() else { return };
        let look = self.look(leader);
        self.write(leader, look.as_ref(), None);
        let mut all = self.state.table.get(leader).map_or(Seen::NEVER, Record::own);
        for &other in others {
            all.add(self.state.table.get(other).map_or(Seen::NEVER, Record::own));
            self.follow(other, leader);
        }
        self.show_calls(leader, all);
    }

    /// Shows an endpoint that is in no group.
    fn show_alone(&mut self, record: u32, look: &Look) {
        self.write(record, Some(look), None);
        let seen = self.state.table.get(record).map_or(Seen::NEVER, Record::own);
        self.show_calls(record, seen);
    }

    fn show_calls(&mut self, index: u32, seen: Seen) {
        let Some(record) = self.state.table.get_mut(index) else { return };
        let is_new = record.show(seen);
        // One without a call is none yet.
        record.is_told |= record.is_shown() && seen.calls > 0;
        if is_new {
            self.state.table.mark_changed(index);
        }
        self.weigh_confidence(index);
    }

    fn follow(&mut self, record: u32, leader: u32) {
        let Some(id) = self.state.table.get(leader).map(|record| record.endpoint.id) else { return };
        self.write(record, None, Some(id));
        let seen = self.state.table.get(record).map_or(Seen::NEVER, Record::own);
        self.show_calls(record, seen);
    }

    /// Writes how an endpoint is shown, and notes what has changed.
    pub(crate) fn write(&mut self, index: u32, look: Option<&Look>, merged_into: Option<EndpointId>) {
        let epoch = self.state.epoch;
        let Some(record) = self.state.table.get_mut(index) else { return };
        let mut next = record.endpoint.clone();
        next.merged_into = merged_into;
        next.ignored = matches!(look, Some(Look { target: Target::Ignored, .. }));
        if let Some(look) = look {
            next.key.template.clone_from(&look.template);
            next.explanation.clone_from(&look.why);
            next.provisional = look.provisional;
        } else if let Some(id) = merged_into {
            next.explanation = format!("merged into {id}");
            next.provisional = false;
        }
        let now = &record.endpoint;
        let is_changed = next != *now;
        let is_elsewhere =
            next.key.template != now.key.template || next.merged_into != now.merged_into || next.ignored != now.ignored;
        record.endpoint = next;
        if is_elsewhere {
            record.changed_epoch = epoch;
        }
        if is_changed {
            self.state.table.mark_changed(index);
        }
    }
}

pub(crate) fn pinned(by: &str) -> String {
    format!("pinned by {by}")
}

pub(crate) fn ignored(by: &str) -> String {
    format!("ignored by {by}: its calls belong to no endpoint")
}
