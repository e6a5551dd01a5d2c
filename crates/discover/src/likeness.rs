//! Which children are alike below, and which a parameter explains already.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::crowd::{Likes, is_established};
use crate::decide::{Candidate, OpenParameter, open_parameter, usual_newness};
use crate::operations::is_mark;
use crate::shape::is_plural;
use crate::signals::{Signal, Threshold, tuned, uses};
use crate::trie::{NONE, NodeId, Trie};

/// Endpoints below a child that are compared with the parameter's.
const ENDINGS_MAX: u32 = 256;

/// Names below a child that are compared with its siblings'.
const LABELS_MAX: usize = 128;

/// Share of the names below a child that its siblings must have for it to be like them.
const LIKENESS_MIN: f32 = 0.6;

/// Log-odds that likeness has to outweigh.
const LIKENESS_NEED: f32 = 2.6;

/// What a parameter of typed values right below a child says for its being a collection, and so a name.
const TYPED_BELOW: f32 = 1.5;

/// How deep below a child endpoints are compared.
pub(crate) const ENDINGS_DEPTH: u8 = 4;

/// Tells a name below a parameter from the same name right below.
const PARAMETER_LABEL: u64 = 0x9e37_79b9_7f4a_7c15;

/// Nodes that a comparison may visit: who makes many must not make it slow.
const VISITS_MAX: u32 = 4096;

/// Children that have the same names below them. Gives the positions of those that are alike.
///
/// A name right below (`/{owner}/issues`) counts in full. One below a parameter counts less: collections have such names
/// in common, too (`/boards/{id}/name` and `/lists/{id}/name`).
pub(crate) fn score_likeness(
    trie: &Trie,
    candidates: &[Candidate<'_>],
    known: &[Label],
    open: Option<NodeId>,
    lived: u64,
    scores: &mut [f32],
) -> Vec<usize> {
    if !uses(Signal::Siblings) {
        return Vec::new();
    }
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    let all = candidates.iter().flat_map(|candidate| &candidate.below).chain(known);
    for label in all {
        *counts.entry(label.key).or_default() += 1;
    }
    let count = |label: &&Label| counts.get(&label.key).copied().unwrap_or(0);
    let mut group = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let shared: SmallVec<[&Label; 16]> = candidate.below.iter().filter(|label| count(label) >= 2).collect();
        let total: f32 = candidate.below.iter().map(Label::weight).sum();
        let common: f32 = shared.iter().map(|label| label.weight()).sum();
        if common > 0.0 && common >= tuned(Threshold::LikenessMin, LIKENESS_MIN) * total {
            let direct = shared.iter().filter(|label| label.is_direct).count() as f32 / shared.len() as f32;
            let holders: u32 = shared.iter().map(count).sum();
            group.push(Alike { at, common, direct, holders: holders as f32 / shared.len() as f32 });
        }
    }
    let is_pair_alike = group.len() == 2 && group.iter().all(|alike| alike.common >= 2.0);
    if group.is_empty() || (group.len() < 3 && !is_pair_alike && open.is_none()) {
        return Vec::new();
    }
    let size = group.len() as f32;
    let mean = |of: &dyn Fn(&Alike) -> f32| group.iter().map(of).sum::<f32>() / size;
    let calls = mean(&|alike| candidates[alike.at].calls as f32) * size;
    let once = group.iter().filter(|alike| candidates[alike.at].is_once).count() as f32;
    let common = mean(&|alike| alike.common);
    let universal = (mean(&|alike| alike.holders) / size).min(1.0);
    let direct = mean(&|alike| alike.direct);
    let plurals = mean(&|alike| f32::from(u8::from(is_plural(candidates[alike.at].name))));
    let inner = candidates.iter().filter(|candidate| !candidate.below.is_empty()).count() as f32;
    let share = 2.0 * (size / inner - 0.6);
    // That all of two or three names are alike is soon said.
    let share = if size < 4.0 { share.min(0.0) } else { share };
    let newness = (once / calls - usual_newness(calls, lived)).clamp(0.0, 0.5);
    let odds = (1.0 + common).log2() + 1.5 * (universal - 0.3) + share + 3.0 * newness + 0.6 * size.log2()
        - 2.0 * (plurals - 0.4).max(0.0) * (1.0 - direct).max(0.5)
        - tuned(Threshold::LikenessNeed, LIKENESS_NEED);
    let likes = Likes::of(trie, open, group.iter().map(|alike| &candidates[alike.at]));
    for alike in &group {
        let candidate = &candidates[alike.at];
        let typed = if candidate.has_typed_parameter { TYPED_BELOW * (1.0 - alike.direct) } else { 0.0 };
        if !is_established(candidate, &likes) {
            scores[alike.at] = scores[alike.at].max(odds + candidate.own - typed);
        }
    }
    group.into_iter().map(|alike| alike.at).collect()
}

/// What a child has in common with its siblings.
struct Alike {
    at: usize,
    /// Weight of the names that it shares.
    common: f32,
    /// Share of those that are right below.
    direct: f32,
    /// Children that have such a name, in the mean.
    holders: f32,
}

/// Children whose endpoints the parameter has as well.
pub(crate) fn score_explained(trie: &Trie, open: OpenParameter, candidates: &[Candidate<'_>], scores: &mut [f32]) {
    if !uses(Signal::Explained) {
        return;
    }
    let texts = trie[open.id].as_parameter().map_or(1, |known| known.texts.max(1));
    let likes = Likes::of(trie, Some(open.id), candidates.iter());
    let prior = (0.25 * (texts as f32).log2() - 0.5).min(0.5);
    for (at, candidate) in candidates.iter().enumerate() {
        if candidate.is_end || is_established(candidate, &likes) {
            continue;
        }
        let mut found = Explained::default();
        compare(trie, candidate.id, open.id, ENDINGS_DEPTH, false, &mut found);
        if found.endings == 0 {
            continue;
        }
        let inside = found.inside as f32 / found.endings as f32;
        let odds = (3.0 * inside - 1.5) * (found.endings as f32).sqrt().min(1.5) + prior;
        scores[at] = scores[at].max(odds + candidate.own);
    }
}

/// Endpoints below a child, and how many of them the parameter has. Those without a name on the way say nothing.
#[derive(Debug, Default)]
struct Explained {
    endings: u32,
    inside: u32,
    visits: u32,
}

/// Compares what is below two nodes. A name that the other does not have may be a value of the other's parameter.
fn compare(trie: &Trie, own: NodeId, other: NodeId, depth: u8, has_name: bool, found: &mut Explained) {
    let (mine, theirs) = (&trie[own], (other != NONE).then(|| &trie[other]));
    found.visits += 1;
    if has_name {
        for leaf in &mine.leaves {
            found.endings += 1;
            found.inside += u32::from(theirs.is_some_and(|theirs| theirs.leaf(leaf.method).is_some()));
        }
    }
    if depth == 0 || found.endings >= ENDINGS_MAX || found.visits >= VISITS_MAX {
        return;
    }
    for &(key, child) in &mine.names {
        let named = trie[child].name().and_then(|name| theirs.and_then(|_| trie.named(other, key, name)));
        match (named, open_parameter(trie, if theirs.is_some() { other } else { NONE })) {
            (Some(named), _) => compare(trie, child, named, depth - 1, true, found),
            (None, Some(open)) => compare(trie, child, open.id, depth - 1, has_name, found),
            (None, None) => compare(trie, child, NONE, depth - 1, true, found),
        }
    }
    if mine.parameter != NONE {
        let parameter = theirs.map_or(NONE, |theirs| theirs.parameter);
        compare(trie, mine.parameter, parameter, depth - 1, has_name, found);
    }
}

/// A name below a child.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label {
    key: u64,
    /// It is right below, not below a parameter.
    is_direct: bool,
}

impl Label {
    fn weight(&self) -> f32 {
        if self.is_direct { 1.0 } else { 0.4 }
    }
}

/// Names right below a node, and below its parameter.
pub(crate) fn labels(trie: &Trie, node: NodeId) -> SmallVec<[Label; 8]> {
    let is_of_path = |entry: &&(u64, NodeId)| !is_mark(&trie[entry.1]);
    let keys = |node: NodeId| trie[node].names.iter().filter(is_of_path).take(LABELS_MAX).map(|entry| entry.0);
    let mut found: SmallVec<[Label; 8]> = keys(node).map(|key| Label { key, is_direct: true }).collect();
    let parameter = trie[node].parameter;
    if parameter != NONE {
        found.extend(keys(parameter).map(|key| Label { key: key ^ PARAMETER_LABEL, is_direct: false }));
    }
    found
}
