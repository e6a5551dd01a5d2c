//! Which named children of a node are values of one parameter, and which are names of the API.
//!
//! Each child gets log-odds of being a value, from independent signs:
//!
//! - how it is written: values carry digits, dots and many words; an API writes its names in one or two styles, and uses
//!   a name in several places;
//! - an open set: in a closed set of names few are new after a while, among values of a large pool the next one is
//!   likely new. The share of names seen once is Good and Turing's estimate of that chance (I. J. Good, "The population
//!   frequencies of species", Biometrika 40, 1953). One actor counts with a few names only;
//! - a complete set: where names that everybody uses have all been seen, as far as those seen once and twice can tell, they
//!   are the operations of an API, however many there are (A. Chao, "Nonparametric estimation of the number of classes in
//!   a population", Scandinavian Journal of Statistics 11, 1984);
//! - likeness below: values of one parameter have the same names below them (`/{owner}/issues`), names of collections
//!   have not;
//! - what the parameter beside it explains already;
//! - patience: with little evidence everything is new, so an open set has to persist.
//!
//! A mistake towards "name" splits an endpoint until more evidence comes. A mistake towards "value" is the worse one: it
//! hides a name until it comes often, from many actors or written unlike its neighbours (see `learn`).

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::crowd::{is_popular, is_shared, weight};
use crate::likeness::{Label, labels, score_explained, score_likeness};
use crate::operations::is_end_of_path;
use crate::path::segment_key;
use crate::settings::Settings;
use crate::shape::{STYLES, Style, is_plural, is_version, style, value_hint};
use crate::signals::{Signal, Threshold, tuned, uses};
use crate::trie::{NONE, NodeId, Parameter, Place, Trie};

/// Newness above which a set of names is open, once there is enough evidence.
const NEWNESS: f32 = 0.25;

/// What it says for its being a name that a text is one of a complete set that everybody uses.
const COMPLETE: f32 = 2.5;

/// Names of a set that are many: values, or all the operations of an API.
const MANY_NAMES: f32 = 20.0;

/// Share of a set's names that are everybody's, where the set is.
const SHARED_MIN: f32 = 0.75;

/// Calls of a service after which what is still new in it is new for a reason.
const LIVED_CALLS: f32 = 2000.0;

/// One-time names of a sweeping actor that count for the others.
const SWEEP_NAMES: u32 = 2;

/// What it says for a text that it is a confirmed name elsewhere in the service.
const KNOWN_NAME: f32 = 1.2;

/// What a single path below a child says for its being a name.
const ONCE_INNER: f32 = 0.5;

/// Values of a parameter from which on their style is known.
const STYLED_TEXTS: u32 = 8;

/// Logarithm of a style's share among values where it is not known.
const STYLE_ODDS: f32 = -2.0;

/// The least that a style's share among a parameter's values can say.
const STYLE_ODDS_MIN: f32 = -5.0;

/// Passages to a parameter that are weighed as a set.
const PASSAGES_MIN: usize = 4;

/// Log-odds that such a set has to outweigh.
const PASSAGE_NEED: f32 = 0.5;

/// What is weighed of one child.
pub(crate) struct Candidate<'t> {
    pub id: NodeId,
    pub name: &'t str,
    pub calls: u32,
    /// It was seen once.
    pub is_once: bool,
    /// Its only actor sent more one-time names here than one actor counts for.
    is_sweep: bool,
    methods: SmallVec<[u8; 4]>,
    /// Names right below it, and names below its parameter.
    pub below: SmallVec<[Label; 8]>,
    pub actors: u64,
    /// So many actors use it that it is no single one's own.
    pub is_popular: bool,
    /// It is everybody's, as far as its calls can tell.
    is_shared: bool,
    /// What its calls count for.
    pub weight: u32,
    /// It has a parameter below whose values have a telling shape.
    pub has_typed_parameter: bool,
    pub is_end: bool,
    /// It ends no path, and nothing but a parameter is right below it.
    is_passage: bool,
    /// Log-odds from its text alone.
    pub own: f32,
}

impl Candidate<'_> {
    /// Nothing below it, or a single path that came once, which says as little.
    fn is_like_end(&self) -> bool {
        self.is_end || (self.is_once && !self.has_typed_parameter)
    }
}

/// What an open set looks like: names, those seen once and twice, those that are everybody's, calls and what they count for.
#[derive(Debug, Clone, Copy, Default)]
struct Set {
    names: f32,
    once: f32,
    twice: f32,
    shared: f32,
    calls: f32,
    weight: f32,
}

impl Set {
    fn add(&mut self, candidate: &Candidate<'_>) {
        self.names += 1.0;
        self.once += f32::from(u8::from(candidate.is_once));
        self.twice += f32::from(u8::from(candidate.calls == 2));
        self.shared += f32::from(u8::from(candidate.is_shared));
        self.calls += candidate.calls as f32;
        self.weight += candidate.weight as f32;
    }

    fn mean_weight_without(self, candidate: &Candidate<'_>) -> f32 {
        (self.weight - candidate.weight as f32) / (self.names - 1.0).max(1.0)
    }

    /// The chance that the next call brings a new name (Good and Turing).
    fn newness(self) -> f32 {
        if self.calls > 0.0 { self.once / self.calls } else { 0.0 }
    }

    /// How sure it is, from 0 to 1, that all of its names were seen, if everybody uses them or this one (Chao, corrected
    /// for bias: at least so many are unseen for each that was seen).
    fn completeness(self, candidate: &Candidate<'_>) -> f32 {
        if self.names < MANY_NAMES || (!candidate.is_shared && self.shared < SHARED_MIN * self.names) {
            return 0.0;
        }
        let unseen = self.once * (self.once - 1.0) / (2.0 * (self.twice + 1.0));
        (1.0 - unseen / self.names.max(1.0)).clamp(0.0, 1.0)
    }
}

/// The children of a node that are values of its parameter, in the order of their keys; those that are names for sure are
/// not weighed, and say nothing of the others.
pub(crate) fn values_among(
    trie: &Trie,
    node: NodeId,
    place: &Place,
    settings: &Settings,
    is_name: impl Fn(NodeId, &str) -> bool,
) -> Vec<NodeId> {
    let candidates = candidates(trie, node, place, settings, is_name);
    let open = open_parameter(trie, node);
    if candidates.is_empty() || (candidates.len() < 2 && trie[node].parameter == NONE) {
        return Vec::new();
    }
    let known = open.map(|open| labels(trie, open.id)).unwrap_or_default();
    let lived = if uses(Signal::Patience) { place.calls.saturating_sub(trie[node].born_calls) } else { u64::MAX };
    let mut scores: Vec<f32> = vec![f32::MIN; candidates.len()];
    let alike = score_likeness(trie, &candidates, &known, open.map(|open| open.id), lived, &mut scores);
    score_ends(trie, node, &candidates, open, lived, place, &mut scores);
    score_passages(trie, &candidates, lived, &mut scores);
    if let Some(open) = open {
        score_explained(trie, open, &candidates, &mut scores);
    }

    let chosen: Vec<usize> = (0..candidates.len()).filter(|&at| scores[at] > 0.0).collect();
    // Two or fewer values are no parameter yet, unless one is there or two names are alike below.
    let is_enough =
        open.is_some() || chosen.len() >= 3 || (chosen.len() == 2 && chosen.iter().all(|at| alike.contains(at)));
    if !is_enough {
        return Vec::new();
    }
    chosen.into_iter().map(|at| candidates[at].id).collect()
}

/// Log-odds of being a value from the text alone: its own look, and whether it is written as the API's names are or as
/// the parameter's values are.
///
/// `here` is how many of the place's confirmed names of that text are the one that is weighed.
pub(crate) fn text_odds(text: &str, here: u32, place: &Place, parameter: Option<&Parameter>) -> f32 {
    let style = style_index(text);
    let share = |counts: &[u32; STYLES]| (counts[style] as f32 + 1.0) / (counts.iter().sum::<u32>() as f32 + 3.0);
    let as_value = match parameter {
        Some(parameter) if parameter.texts >= STYLED_TEXTS => share(&parameter.styles).ln().max(STYLE_ODDS_MIN),
        _ => tuned(Threshold::StyleOdds, STYLE_ODDS),
    };
    let elsewhere = place.vocabulary.get(&segment_key(text)).map_or(0, |&positions| positions.saturating_sub(here));
    let is_known = elsewhere > 0 && uses(Signal::Vocabulary);
    let known = if is_known { tuned(Threshold::KnownName, KNOWN_NAME) } else { 0.0 };
    let styled = if uses(Signal::Style) { (as_value - share(&place.styles).ln()) / 2.0 } else { 0.0 };
    value_hint(text) + styled - known
}

fn candidates<'t>(
    trie: &'t Trie,
    node: NodeId,
    place: &Place,
    settings: &Settings,
    is_name: impl Fn(NodeId, &str) -> bool,
) -> Vec<Candidate<'t>> {
    let mut once_by_actor: BTreeMap<u32, u32> = BTreeMap::new();
    let is_once = |child: NodeId| trie[child].calls == 1;
    if place.actors.count_ones() >= 4 && uses(Signal::Actors) {
        for &(_, child) in trie[node].names.iter().filter(|entry| is_once(entry.1)) {
            *once_by_actor.entry(trie[child].first_actor).or_default() += 1;
        }
    }
    let parameter = open_parameter(trie, node).and_then(|open| trie[open.id].as_parameter());
    let mut found = Vec::with_capacity(trie[node].names.len());
    for &(_, id) in &trie[node].names {
        let child = &trie[id];
        let Some(name) = child.name().filter(|name| !is_version(name) && !is_name(id, name)) else { continue };
        let has_typed_parameter = child.parameter != NONE
            && !trie[child.parameter].as_parameter().is_some_and(|parameter| parameter.is_open());
        let sweep = is_once(id)
            && once_by_actor.get(&child.first_actor).is_some_and(|&names| names > settings.names_per_actor_max);
        found.push(Candidate {
            id,
            name,
            calls: child.calls,
            is_once: is_once(id),
            is_sweep: sweep,
            methods: child.leaves.iter().map(|leaf| leaf.method).collect(),
            below: labels(trie, id),
            actors: child.actors,
            is_popular: is_popular(child.actors, place),
            is_shared: is_shared(child.calls, child.actors, place),
            weight: weight(child.calls, child.actors, place),
            has_typed_parameter,
            is_end: is_end_of_path(trie, id),
            is_passage: child.leaves.is_empty() && child.names.is_empty() && child.parameter != NONE,
            own: text_odds(name, u32::from(child.styled), place, parameter),
        });
    }
    found
}

/// The node's parameter if texts are taken for its values, and whether several actors stand behind it.
#[derive(Clone, Copy)]
pub(crate) struct OpenParameter {
    pub id: NodeId,
    is_shared: bool,
}

pub(crate) fn open_parameter(trie: &Trie, node: NodeId) -> Option<OpenParameter> {
    let id = if node == NONE { NONE } else { trie[node].parameter };
    if id == NONE || !trie[id].as_parameter().is_some_and(|parameter| parameter.is_open()) {
        return None;
    }
    Some(OpenParameter { id, is_shared: trie[id].actors.count_ones() >= 2 || !uses(Signal::Actors) })
}

/// The newness that a closed set of names shows, too, with so little evidence.
///
/// A closed set of a few dozen names with usual popularities shows about `1 / (1 + calls / 20)`. The longer the service
/// has been watched, the less of that is left: by then its names have been seen.
pub(crate) fn usual_newness(calls: f32, lived: u64) -> f32 {
    let young = 1.0 / (1.0 + calls / 20.0);
    let youth = (1.0 - lived as f32 / tuned(Threshold::LivedCalls, LIVED_CALLS)).max(0.0);
    let usual = tuned(Threshold::Newness, NEWNESS);
    usual + (young - usual).max(0.0) * youth
}

/// Children below which next to nothing was seen: an open set of values, or a closed one of names?
fn score_ends(
    trie: &Trie,
    node: NodeId,
    candidates: &[Candidate<'_>],
    open: Option<OpenParameter>,
    lived: u64,
    place: &Place,
    scores: &mut [f32],
) {
    let ends: Vec<usize> = (0..candidates.len()).filter(|&at| candidates[at].is_like_end()).collect();
    let has_parameter = trie[node].parameter != NONE;
    if ends.is_empty() || (ends.len() < 2 && !has_parameter) {
        return;
    }
    let mut position = match (trie[node].name(), trie[node].as_parameter()) {
        (_, Some(_)) => -0.5,
        (Some(name), _) if is_plural(name) => 0.3,
        _ => 0.0,
    };
    // Names with typed parameters below are collections, and stand among names.
    let collections = candidates.iter().filter(|candidate| candidate.has_typed_parameter).count();
    if collections >= 2 && collections * 4 >= candidates.len() {
        position -= 0.8;
    }
    // A parameter that a single actor's guesses made says nothing about what others call.
    let open = open.filter(|open| open.is_shared);
    if let Some(open) = open {
        for at in ends {
            scores[at] =
                scores[at].max(position + odds_beside(trie, open, place, &candidates[at]) + candidates[at].own);
        }
        return;
    }
    let (all, capped) = sets(trie, candidates, &ends);
    let mut method_sets: Vec<&[u8]> = ends.iter().map(|&at| candidates[at].methods.as_slice()).collect();
    method_sets.sort_unstable();
    method_sets.dedup();
    if has_parameter {
        position -= 0.7;
    }
    for at in ends {
        let candidate = &candidates[at];
        let set = if candidate.is_sweep { all } else { capped };
        let mut odds = position + set_odds(set, candidate, method_sets.len(), lived);
        if candidate.is_popular {
            odds -= rarity(candidate.calls, 2.0 * set.mean_weight_without(candidate));
        }
        scores[at] = scores[at].max(odds + candidate.own);
    }
}

/// Children that are on the way to a parameter and nothing else, such as the user in `/{user}/{article}`: an open set is
/// one of values. A collection has mostly an end of its own.
fn score_passages(trie: &Trie, candidates: &[Candidate<'_>], lived: u64, scores: &mut [f32]) {
    let passages: Vec<usize> = (0..candidates.len()).filter(|&at| candidates[at].is_passage).collect();
    if passages.len() < PASSAGES_MIN || !uses(Signal::Passages) {
        return;
    }
    let (all, capped) = sets(trie, candidates, &passages);
    for at in passages {
        let candidate = &candidates[at];
        let set = if candidate.is_sweep { all } else { capped };
        let mut odds = set_odds(set, candidate, 1, lived) - tuned(Threshold::PassageNeed, PASSAGE_NEED);
        if candidate.is_popular {
            odds -= rarity(candidate.calls, 2.0 * set.mean_weight_without(candidate));
        }
        scores[at] = scores[at].max(odds + candidate.own);
    }
}

/// Log-odds that an end is a value because of the set that it stands in.
fn set_odds(set: Set, candidate: &Candidate<'_>, method_sets: usize, lived: u64) -> f32 {
    let mut odds = if uses(Signal::Cardinality) { size_odds(set, candidate, method_sets, lived) } else { 0.0 };
    if candidate.methods.len() >= 2 && uses(Signal::Methods) {
        odds -= 0.5;
    }
    if !candidate.is_end {
        odds -= ONCE_INNER;
    }
    odds
}

/// Log-odds that a set is one of values because of how many names it has, and how many of them are new.
fn size_odds(set: Set, candidate: &Candidate<'_>, method_sets: usize, lived: u64) -> f32 {
    let names_min = 3.0 + 9.0 * (1.0 - lived as f32 / 1000.0).max(0.0);
    let mut odds = -1.5;
    if set.names >= names_min {
        odds = 4.0 * (set.newness() - usual_newness(set.calls, lived)) * (set.names.log2() / 3.0).min(1.3);
    }
    // As many names as that are values, unless everybody uses them and there are no others.
    let complete = set.completeness(candidate);
    if set.names >= MANY_NAMES {
        let likeness = if method_sets <= 2 { 1.0 } else { 0.3 };
        odds += ((set.names - 15.0) / 10.0).min(2.5) * likeness * (1.0 - complete);
    } else if candidate.calls >= 5 && set.newness() < 0.1 {
        odds -= 1.0;
    }
    odds - COMPLETE * complete
}

/// The set of ends, and the same with a few of each sweeping actor's names only.
fn sets(trie: &Trie, candidates: &[Candidate<'_>], ends: &[usize]) -> (Set, Set) {
    let (mut all, mut capped) = (Set::default(), Set::default());
    let mut sweeps: BTreeMap<u32, u32> = BTreeMap::new();
    for &at in ends {
        let candidate = &candidates[at];
        all.add(candidate);
        if candidate.is_sweep {
            let counted = sweeps.entry(trie[candidate.id].first_actor).or_default();
            *counted += 1;
            if *counted > SWEEP_NAMES {
                continue;
            }
        }
        capped.add(candidate);
    }
    (all, capped)
}

/// Log-odds that an end is one more value of the parameter beside it, its text aside.
fn odds_beside(trie: &Trie, open: OpenParameter, place: &Place, candidate: &Candidate<'_>) -> f32 {
    let Some(parameter) = trie[open.id].as_parameter() else { return 0.0 };
    let mut odds = value_odds(parameter, place, candidate.calls, trie[candidate.id].actors);
    if !uses(Signal::Methods) {
        return odds;
    }
    let known = &trie[open.id].leaves;
    if candidate.methods.iter().all(|method| known.iter().any(|leaf| leaf.method == *method)) {
        odds += 0.3;
    } else if !known.is_empty() {
        odds -= 0.7;
    }
    if candidate.methods.len() >= 2 {
        odds -= 0.5;
    }
    odds
}

/// Log-odds that a text which came so often is one more value of a parameter of texts, the text itself aside.
pub(crate) fn value_odds(parameter: &Parameter, place: &Place, calls: u32, actors: u64) -> f32 {
    let texts = parameter.texts.max(1) as f32;
    let mean_calls = parameter.texts_calls as f32 / texts;
    0.5 + (0.25 * texts.log2()).min(1.0) - if is_popular(actors, place) { rarity(calls, mean_calls) } else { 0.0 }
}

/// How much more often than the others of its set a name comes than a popular value would. Popularities of values
/// differ by an order of magnitude as a matter of course.
fn rarity(calls: u32, mean_calls: f32) -> f32 {
    if !uses(Signal::Popularity) {
        return 0.0;
    }
    (0.7 * (calls as f32 / (8.0 * mean_calls.max(1.0))).log2()).clamp(0.0, 3.0)
}

/// The index of a text's style among a place's counts.
pub(crate) fn style_index(text: &str) -> usize {
    let style: Style = style(text);
    style as usize
}
