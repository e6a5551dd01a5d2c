//! How much the use of a name weighs, by the different actors behind it.
//!
//! Calls are cheap: one client can make as many as it likes, to as many paths as it likes. So the calls of a name that few
//! actors use count as a few calls of each, and a name that many use is not taken for a value because of names that
//! others use. Actors are bits of a bitmap, so what is said of them is corrected for bits that meet by chance; where most
//! bits are set they say nothing any more.

use crate::decide::Candidate;
use crate::signals::{Signal, Threshold, tuned, uses};
use crate::trie::{NodeId, Place, Trie};

/// Actors that must use a name before its calls say that it is more than somebody's favourite value.
const POPULAR_ACTORS: u32 = 8;

/// Actors that a service must have before the calls of one are counted for less.
const CROWD_ACTORS: u32 = 4;

/// Calls that each actor of a name counts for where it is no popular one.
const CALLS_PER_ACTOR: u32 = 4;

/// How many times as often as its likes a name comes that is no value for sure.
const ESTABLISHED: f32 = 64.0;

/// The same for a name whose actors use none of its likes, or not those that are used by one crowd.
const ESTABLISHED_APART: f32 = 1.0;

/// Share of a name's actors, chance aside, that use its likes as well where it is one of them.
const SHARED_MIN: f32 = 0.25;

/// How much more than chance alone the likes of a name must have their actors in common for those to be one crowd.
const CROWDED_MIN: f32 = 0.08;

/// Of what they have in common, the share that a name has which is one of them.
const OF_CROWD_MIN: f32 = 0.5;

/// Bits of a bitmap of actors.
const BITS: f32 = u64::BITS as f32;

/// Whether so many actors use a name that it is no single one's own.
pub(crate) fn is_popular(actors: u64, place: &Place) -> bool {
    !uses(Signal::Actors) || actors.count_ones() >= place.actors.count_ones().min(POPULAR_ACTORS)
}

/// Whether a name is everybody's, as far as its calls can tell: many use it, or hardly anybody has used it twice yet.
///
/// Where a service has few actors, that says nothing.
pub(crate) fn is_shared(calls: u32, actors: u64, place: &Place) -> bool {
    uses(Signal::Actors)
        && place.actors.count_ones() >= CROWD_ACTORS
        && (is_popular(actors, place) || actors.count_ones() * 2 >= calls)
}

/// What the calls of a name count for.
pub(crate) fn weight(calls: u32, actors: u64, place: &Place) -> u32 {
    if place.actors.count_ones() < CROWD_ACTORS || is_popular(actors, place) {
        return calls;
    }
    calls.min(actors.count_ones().max(1) * CALLS_PER_ACTOR)
}

/// What each actor holds of a room that is too small: what several use is shared among them.
#[derive(Debug, Clone)]
pub(crate) struct Holders([u32; u64::BITS as usize]);

impl Default for Holders {
    fn default() -> Self {
        Holders([0; u64::BITS as usize])
    }
}

/// What counts for one that a single actor holds.
const WHOLE: u32 = 1 << 12;

impl Holders {
    /// Adds one that these actors use.
    pub fn add(&mut self, actors: u64) {
        let part = WHOLE / actors.count_ones().max(1);
        for bit in bits(actors) {
            self.0[bit] = self.0[bit].saturating_add(part);
        }
    }

    /// What the one of these actors holds that holds least.
    pub fn least(&self, actors: u64) -> u32 {
        bits(actors).map(|bit| self.0[bit]).min().unwrap_or(u32::MAX)
    }
}

/// The positions of the bits that are set.
fn bits(mut map: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = map.trailing_zeros() as usize;
        (map != 0).then(|| {
            map &= map - 1;
            bit
        })
    })
}

/// What a name is held against that looks like others: those, and the values of the parameter beside them.
#[derive(Debug)]
pub(crate) struct Likes {
    /// What the calls of one of them count for.
    usual_weight: f32,
    /// The same of those that few actors use: names of the API among them must not vouch for each other.
    few_weight: f32,
    few_actors: u64,
    together: Together,
}

/// Which actors a number of names have in common.
#[derive(Debug)]
struct Together {
    names: f32,
    /// How many of the names each bit is set for.
    by_bit: [f32; u64::BITS as usize],
    /// How much more of a name's actors use another one than chance alone gives, in the mean.
    mean: f32,
}

impl Together {
    fn of(names: impl Iterator<Item = u64> + Clone) -> Self {
        let mut together = Together { names: 0.0, by_bit: [0.0; u64::BITS as usize], mean: 0.0 };
        for actors in names.clone() {
            together.names += 1.0;
            bits(actors).for_each(|bit| together.by_bit[bit] += 1.0);
        }
        together.mean = names.map(|actors| together.with(actors)).sum::<f32>() / together.names.max(1.0);
        together
    }

    /// How much more of a name's actors use one of the others than chance alone gives. It must be among them.
    fn with(&self, actors: u64) -> f32 {
        let others = self.names - 1.0;
        let own = actors.count_ones() as f32;
        if others < 1.0 || own < 1.0 {
            return 0.0;
        }
        let of_own: f32 = bits(actors).map(|bit| self.by_bit[bit] - 1.0).sum();
        let of_all = self.by_bit.iter().sum::<f32>() - own;
        (of_own / own - of_all / BITS) / others
    }
}

impl Likes {
    pub fn of<'c>(trie: &Trie, open: Option<NodeId>, alike: impl Iterator<Item = &'c Candidate<'c>> + Clone) -> Self {
        let few = alike.clone().filter(|candidate| !candidate.is_popular);
        let mut few_actors = few.clone().fold(0, |actors, candidate| actors | candidate.actors);
        let usual_weight = median(alike.clone().map(|candidate| candidate.weight)).unwrap_or_default();
        let mut few_weight = median(few.map(|candidate| candidate.weight)).unwrap_or(usual_weight);
        if let Some((id, known)) = open.and_then(|id| Some((id, trie[id].as_parameter()?))) {
            few_actors |= trie[id].actors;
            few_weight = known.texts_calls as f32 / known.texts.max(1) as f32;
        }
        let together = Together::of(alike.map(|candidate| candidate.actors));
        Likes { usual_weight, few_weight, few_actors, together }
    }

    /// Whether these are used by one crowd, and a name by another. It must be among them.
    fn are_of_others(&self, actors: u64) -> bool {
        uses(Signal::Actors)
            && self.together.mean > CROWDED_MIN
            && self.together.with(actors) < OF_CROWD_MIN * self.together.mean
    }

    /// Whether those who use a name use hardly any of these.
    fn are_apart_from(&self, actors: u64) -> bool {
        // Where each of them has many actors of its own, as tenants have, that says nothing.
        if !uses(Signal::Actors) || self.few_actors == 0 {
            return false;
        }
        if self.few_actors.count_ones() < CROWD_ACTORS {
            return true;
        }
        let is_small = |share: f32| share < tuned(Threshold::Shared, SHARED_MIN);
        is_small(shared(actors, self.few_actors)) && is_small(shared(self.few_actors, actors))
    }
}

/// The share of some actors that are among others, beyond what chance gives: 0 where it is chance alone, and 1 where all are.
fn shared(some: u64, others: u64) -> f32 {
    let by_chance = others.count_ones() as f32 / BITS;
    let found = (some & others).count_ones() as f32 / some.count_ones().max(1) as f32;
    if by_chance < 1.0 { (found - by_chance) / (1.0 - by_chance) } else { 1.0 }
}

fn median(weights: impl Iterator<Item = u32>) -> Option<f32> {
    let mut sorted: Vec<u32> = weights.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).map(|&weight| weight as f32)
}

/// Whether a name is used so widely, and so much more often than its likes, that no resemblance makes it a value: who
/// sends many texts with the same names below must not take a name of the API with them.
///
/// Where those who use it do not use its likes, much less is enough: the values of a parameter have their users in
/// common, or are each somebody's own and then none stands out. So it is where many use each of the likes, as long as
/// those are the same ones: attackers with many credentials, not tenants.
pub(crate) fn is_established(candidate: &Candidate<'_>, likes: &Likes) -> bool {
    if !candidate.is_popular {
        return false;
    }
    let times = |weight: f32| candidate.weight as f32 / weight.max(1.0);
    times(likes.usual_weight) > tuned(Threshold::Established, ESTABLISHED)
        || (times(likes.few_weight) > ESTABLISHED_APART && likes.are_apart_from(candidate.actors))
        || (times(likes.usual_weight) > ESTABLISHED_APART && likes.are_of_others(candidate.actors))
}
