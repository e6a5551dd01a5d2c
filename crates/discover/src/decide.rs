//! Which named children of a node are values of one parameter, and which are names of the API.
//!
//! Each child gets log-odds of being a value, from independent signs:
//!
//! - how it is written: values carry digits, dots and many words; an API writes its names in one or two styles;
//! - an open set: in a closed set of names few are new after a while, among values of a large pool the next one is
//!   likely new. The share of names seen once is Good and Turing's estimate of that chance (I. J. Good, "The population
//!   frequencies of species", Biometrika 40, 1953). One actor counts with a few names only;
//! - likeness below: values of one parameter have the same names below them (`/{owner}/issues`), names of collections
//!   have not;
//! - what the parameter beside it explains already;
//! - patience: with little evidence everything is new, so an open set has to persist.
//!
//! A mistake towards "name" splits an endpoint until more evidence comes; a mistake towards "value" hides a name until
//! it comes often enough to be watched. Both heal, neither is final.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::settings::Settings;
use crate::shape::{STYLES, Style, is_plural, is_version, style, value_hint};
use crate::trie::{NONE, NodeId, Place, Trie};

/// Endpoints below a child that are compared with the parameter's.
const ENDINGS_MAX: usize = 256;

/// How deep below a child endpoints are compared.
const ENDINGS_DEPTH: u8 = 4;

/// The label that stands for a parameter where names are compared.
const PARAMETER_LABEL: u64 = 0x9e37_79b9_7f4a_7c15;

/// What is weighed of one child.
struct Candidate<'t> {
    id: NodeId,
    name: &'t str,
    calls: u32,
    /// It was seen once, or by one actor that tries many names here.
    is_once: bool,
    /// Its only actor sent more one-time names here than one actor counts for.
    is_sweep: bool,
    methods: SmallVec<[u8; 4]>,
    /// Keys of names right below it.
    below: SmallVec<[u64; 8]>,
    /// Keys of names below a parameter of texts below it.
    below_parameter: SmallVec<[u64; 8]>,
    /// It has a parameter below whose values have a telling shape.
    has_typed_parameter: bool,
    is_end: bool,
    /// Log-odds from its text alone.
    own: f32,
}

/// What an open set looks like: names, those seen once, calls.
#[derive(Debug, Clone, Copy, Default)]
struct Set {
    names: f32,
    once: f32,
    calls: f32,
}

impl Set {
    /// The chance that the next call brings a new name (Good and Turing).
    fn newness(self) -> f32 {
        if self.calls > 0.0 { self.once / self.calls } else { 0.0 }
    }
}

/// The children of a node that are values of its parameter, in the order of their keys.
pub(crate) fn values_among(trie: &Trie, node: NodeId, place: &Place, settings: &Settings) -> Vec<NodeId> {
    let candidates = candidates(trie, node, place, settings);
    let open = open_parameter(trie, node);
    if candidates.is_empty() || (candidates.len() < 2 && trie[node].parameter == NONE) {
        return Vec::new();
    }
    let shared = SharedLabels::count(trie, node, &candidates);
    let patience = patience(trie, node, place, &candidates);
    let mut scores: Vec<f32> = vec![f32::MIN; candidates.len()];
    let alike = score_likeness(&candidates, &shared, open.is_some(), &mut scores);
    score_ends(trie, node, &candidates, open, patience, place, &mut scores);
    score_explained(trie, node, &candidates, open, &mut scores);

    let chosen: Vec<usize> = (0..candidates.len()).filter(|&at| scores[at] > 0.0).collect();
    // Two or fewer values are no parameter yet, unless one is there or two names are alike below.
    let is_enough =
        open.is_some() || chosen.len() >= 3 || (chosen.len() == 2 && chosen.iter().all(|at| alike.contains(at)));
    if !is_enough {
        return Vec::new();
    }
    chosen.into_iter().map(|at| candidates[at].id).collect()
}

/// Log-odds of being a value from the text alone: its own look, and how unusual its style is for the API's names.
pub(crate) fn text_odds(text: &str, place: &Place) -> f32 {
    let total: u32 = place.styles.iter().sum();
    let same = place.styles[style(text) as usize];
    let share = (same as f32 + 1.0) / (total as f32 + STYLES as f32);
    value_hint(text) - share.ln() / 2.0 - 1.0
}

fn candidates<'t>(trie: &'t Trie, node: NodeId, place: &Place, settings: &Settings) -> Vec<Candidate<'t>> {
    let mut once_by_actor: BTreeMap<u32, u32> = BTreeMap::new();
    let is_once = |child: NodeId| trie[child].calls == 1;
    if place.actors.count_ones() >= 4 {
        for &(_, child) in trie[node].names.iter().filter(|entry| is_once(entry.1)) {
            *once_by_actor.entry(trie[child].first_actor).or_default() += 1;
        }
    }
    let mut found = Vec::with_capacity(trie[node].names.len());
    for &(_, id) in &trie[node].names {
        let child = &trie[id];
        let Some(name) = child.name().filter(|name| !is_version(name)) else { continue };
        let below = child.names.iter().map(|entry| entry.0).collect();
        let mut below_parameter = SmallVec::new();
        let mut has_typed_parameter = false;
        if child.parameter != NONE {
            let parameter = &trie[child.parameter];
            if parameter.as_parameter().is_some_and(|parameter| parameter.is_open()) {
                below_parameter = parameter.names.iter().map(|entry| entry.0).collect();
            } else {
                has_typed_parameter = true;
            }
        }
        let sweep = is_once(id)
            && once_by_actor.get(&child.first_actor).is_some_and(|&names| names > settings.names_per_actor_max);
        found.push(Candidate {
            id,
            name,
            calls: child.calls,
            is_once: is_once(id),
            is_sweep: sweep,
            methods: child.leaves.iter().map(|leaf| leaf.method).collect(),
            below,
            below_parameter,
            has_typed_parameter,
            is_end: child.is_end(),
            own: text_odds(name, place),
        });
    }
    found
}

/// The node's parameter if texts are taken for its values, and whether several actors stand behind it.
#[derive(Clone, Copy)]
struct OpenParameter {
    id: NodeId,
    is_shared: bool,
}

fn open_parameter(trie: &Trie, node: NodeId) -> Option<OpenParameter> {
    let id = trie[node].parameter;
    if id == NONE || !trie[id].as_parameter().is_some_and(|parameter| parameter.is_open()) {
        return None;
    }
    Some(OpenParameter { id, is_shared: trie[id].actors.count_ones() >= 2 })
}

/// How many children have each name below them.
struct SharedLabels {
    below: BTreeMap<u64, u32>,
    below_parameter: BTreeMap<u64, u32>,
}

impl SharedLabels {
    fn count(trie: &Trie, node: NodeId, candidates: &[Candidate<'_>]) -> Self {
        let mut shared = SharedLabels { below: BTreeMap::new(), below_parameter: BTreeMap::new() };
        let mut add = |below: &mut dyn Iterator<Item = u64>, deep: bool| {
            let counts = if deep { &mut shared.below_parameter } else { &mut shared.below };
            for key in below {
                *counts.entry(key).or_default() += 1;
            }
        };
        for candidate in candidates {
            add(&mut candidate.below.iter().copied(), false);
            add(&mut candidate.below_parameter.iter().copied(), true);
        }
        let parameter = trie[node].parameter;
        if parameter != NONE {
            add(&mut trie[parameter].names.iter().map(|entry| entry.0), false);
            if let Some(open) = open_parameter(trie, parameter) {
                add(&mut trie[open.id].names.iter().map(|entry| entry.0), true);
            }
        }
        shared
    }

    fn shared_of(counts: &BTreeMap<u64, u32>, keys: &[u64]) -> usize {
        keys.iter().filter(|key| counts.get(key).is_some_and(|&count| count >= 2)).count()
    }
}

/// 0 with no evidence to speak of, 1 with enough: calls here, or calls of the whole service since the node was made.
fn patience(trie: &Trie, node: NodeId, place: &Place, candidates: &[Candidate<'_>]) -> f32 {
    let calls: u32 = candidates.iter().map(|candidate| candidate.calls).sum();
    let lived = place.calls.saturating_sub(trie[node].born_calls);
    (calls as f32 / 40.0 + lived as f32 / 1500.0).min(1.0)
}

/// Children that have the same names below them. Gives the positions of those that are alike.
fn score_likeness(
    candidates: &[Candidate<'_>],
    shared: &SharedLabels,
    is_open: bool,
    scores: &mut [f32],
) -> Vec<usize> {
    let mut alike = Vec::new();
    for deep in [false, true] {
        let (counts, need, least) = if deep { (&shared.below_parameter, 2.5, 0.75) } else { (&shared.below, 1.0, 0.6) };
        let keys = |candidate: &Candidate<'_>| -> SmallVec<[u64; 8]> {
            if deep { candidate.below_parameter.clone() } else { candidate.below.clone() }
        };
        let group: Vec<(usize, usize)> = candidates
            .iter()
            .enumerate()
            .filter(|(_, candidate)| if deep { candidate.below.is_empty() } else { !candidate.has_typed_parameter })
            .filter_map(|(at, candidate)| {
                let keys = keys(candidate);
                let common = SharedLabels::shared_of(counts, &keys);
                (!keys.is_empty() && common as f32 >= least * keys.len() as f32).then_some((at, common))
            })
            .collect();
        if group.is_empty() || (group.len() < 2 && !is_open) {
            continue;
        }
        let of = |at: usize| &candidates[at];
        let calls: u32 = group.iter().map(|&(at, _)| of(at).calls).sum();
        let once = group.iter().filter(|&&(at, _)| of(at).is_once).count();
        let common = group.iter().map(|&(_, common)| common).sum::<usize>() as f32 / group.len() as f32;
        let newness = once as f32 / calls.max(1) as f32;
        let mut odds =
            1.2 * (1.0 + common).log2() + 3.0 * newness.min(0.6) + 0.6 * (group.len() as f32).log2() - need - 2.2;
        if deep {
            let plurals = group.iter().filter(|&&(at, _)| is_plural(of(at).name)).count();
            odds -= 2.0 * (plurals as f32 / group.len() as f32 - 0.4).max(0.0);
        }
        for (at, _) in group {
            scores[at] = scores[at].max(odds + of(at).own);
            alike.push(at);
        }
    }
    alike
}

/// Children below which nothing was seen: an open set of values, or a closed one of names?
fn score_ends(
    trie: &Trie,
    node: NodeId,
    candidates: &[Candidate<'_>],
    open: Option<OpenParameter>,
    patience: f32,
    place: &Place,
    scores: &mut [f32],
) {
    let ends: Vec<usize> = (0..candidates.len()).filter(|&at| candidates[at].is_end).collect();
    let has_parameter = trie[node].parameter != NONE;
    if ends.is_empty() || (ends.len() < 2 && !has_parameter) {
        return;
    }
    let parameter = open.and_then(|open| trie[open.id].as_parameter());
    let mut all = Set::default();
    let mut capped = Set::default();
    let mut sweeps: BTreeMap<u32, f32> = BTreeMap::new();
    for &at in &ends {
        let candidate = &candidates[at];
        let one = Set { names: 1.0, once: f32::from(u8::from(candidate.is_once)), calls: candidate.calls as f32 };
        let add = |set: &mut Set, weight: f32| {
            set.names += one.names * weight;
            set.once += one.once * weight;
            set.calls += one.calls * weight;
        };
        add(&mut all, 1.0);
        if candidate.is_sweep {
            let counted = sweeps.entry(trie[candidate.id].first_actor).or_default();
            if *counted >= 2.0 {
                continue;
            }
            *counted += 1.0;
        }
        add(&mut capped, 1.0);
    }
    if let Some(parameter) = parameter {
        for set in [&mut all, &mut capped] {
            set.names += parameter.texts as f32;
            set.once += parameter.texts_once as f32;
            set.calls += parameter.texts_calls as f32;
        }
    }
    let mut method_sets: Vec<&[u8]> = ends.iter().map(|&at| candidates[at].methods.as_slice()).collect();
    method_sets.sort_unstable();
    method_sets.dedup();

    let position = match (trie[node].name(), trie[node].as_parameter()) {
        (_, Some(_)) => -0.5,
        (Some(name), _) if is_plural(name) => 0.3,
        _ => 0.0,
    };
    for at in ends {
        let candidate = &candidates[at];
        let set = if candidate.is_sweep { all } else { capped };
        let mut odds = position;
        if set.names >= 3.0 {
            odds += 4.0 * (set.newness() - 0.25) * (set.names.log2() / 3.0).min(1.3);
        } else {
            odds -= 0.5;
        }
        if set.names >= 20.0 {
            let likeness = if method_sets.len() <= 2 { 1.0 } else { 0.3 };
            odds += ((set.names - 15.0) / 10.0).min(2.5) * likeness;
        } else if candidate.calls >= 5 && set.newness() < 0.1 {
            odds -= 1.0;
        }
        if candidate.methods.len() >= 2 {
            odds -= 0.5;
        }
        match open {
            Some(open) if open.is_shared || place.actors.count_ones() < 4 => {
                odds += 0.7;
                let known = &trie[open.id].leaves;
                if candidate.methods.iter().all(|method| known.iter().any(|leaf| leaf.method == *method)) {
                    odds += 0.3;
                } else if !known.is_empty() {
                    odds -= 0.7;
                }
            }
            None if has_parameter => odds -= 0.7,
            _ => {}
        }
        if open.is_none() && !candidate.is_sweep {
            odds -= 3.0 * (1.0 - patience);
        }
        scores[at] = scores[at].max(odds + candidate.own);
    }
}

/// Children whose endpoints the parameter has as well.
fn score_explained(
    trie: &Trie,
    node: NodeId,
    candidates: &[Candidate<'_>],
    open: Option<OpenParameter>,
    scores: &mut [f32],
) {
    let Some(open) = open else { return };
    let known = endings(trie, open.id);
    debug_assert_ne!(trie[node].parameter, NONE);
    for (at, candidate) in candidates.iter().enumerate() {
        if candidate.is_end {
            continue;
        }
        let own = endings(trie, candidate.id);
        if own.is_empty() {
            continue;
        }
        let inside = own.iter().filter(|ending| known.binary_search(ending).is_ok()).count() as f32 / own.len() as f32;
        let odds = (3.0 * inside - 1.5) * (own.len() as f32).sqrt().min(1.5) + 0.3;
        scores[at] = scores[at].max(odds + candidate.own);
    }
}

/// Fingerprints of the endpoints below a node that have a name in what follows it, sorted.
fn endings(trie: &Trie, top: NodeId) -> Vec<u64> {
    let mut found = Vec::new();
    let mut open: Vec<(NodeId, u64, u8, bool)> = vec![(top, 0, 0, false)];
    while let Some((id, path, depth, has_name)) = open.pop() {
        let node = &trie[id];
        if has_name {
            found.extend(node.leaves.iter().map(|leaf| mix(path, u64::from(leaf.method))));
        }
        if depth == ENDINGS_DEPTH || found.len() >= ENDINGS_MAX {
            continue;
        }
        if node.parameter != NONE {
            open.push((node.parameter, mix(path, PARAMETER_LABEL), depth + 1, has_name));
        }
        open.extend(node.names.iter().map(|&(key, child)| (child, mix(path, key), depth + 1, true)));
    }
    found.sort_unstable();
    found
}

fn mix(path: u64, label: u64) -> u64 {
    (path.rotate_left(23) ^ label).wrapping_mul(PARAMETER_LABEL)
}

/// The index of a text's style among a place's counts.
pub(crate) fn style_index(text: &str) -> usize {
    let style: Style = style(text);
    style as usize
}
