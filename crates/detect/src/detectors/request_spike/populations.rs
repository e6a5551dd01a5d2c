//! The populations that actors are compared with, and what is going on in them.
//!
//! An actor's peers at an endpoint are the actors of its kind there; their wider population is all actors of its kind at all
//! endpoints of the place (gateway and workspace), and the widest that of all kinds. Totals have the same ladder without
//! the first step. What the peers do is read as of the last closed epoch.

mod places;

use std::collections::BTreeMap;

use outrider_model::{EndpointId, EntityKind};
use serde::{Deserialize, Serialize};

use crate::statistics::{Moments, PeerPrior, PeerSums};

/// Populations at most; the last part of it is kept for the wider ones, of which each place has eight at most.
const POPULATIONS_MAX: usize = 60_000;
const ENDPOINT_POPULATIONS_MAX: usize = 50_000;

/// Fewer active minutes or peers than these say little of how far peers go, and the wider population is asked.
const MATURE_MINUTES: f64 = 30.0;
const MATURE_PEERS: u32 = 2;
/// Records fade to a third over two weeks of active minutes.
const RECORD_MEMORY_MINUTES: f32 = 20_160.0;

/// A minute with less than this share of the usual calls is an outage, where there are usually enough calls to tell.
const OUTAGE_SHARE: f64 = 0.3;
const OUTAGE_USUAL_CALLS_MIN: f64 = 20.0;
/// How long after an outage clients are expected to catch up.
const RECOVERY_EPOCHS: i64 = 5;
/// Over how many active minutes the usual calls are averaged.
const USUAL_MEMORY_MINUTES: f64 = 60.0;

/// Before any epoch.
const NEVER: i64 = i64::MIN / 2;

/// What a population is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct PopulationKey {
    place: u16,
    group: Group,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Group {
    /// Actors by everything that they do; of one kind or of all.
    Totals(Option<EntityKind>),
    /// Actors by what they do at each endpoint; of one kind or of all.
    AnyEndpoint(Option<EntityKind>),
    /// Actors of one kind at one endpoint.
    Endpoint(EndpointId, EntityKind),
}

/// One population.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Population {
    key: PopulationKey,
    wider: Option<u16>,
    /// It is in use: an endpoint's population is not any more once its last key is gone.
    live: bool,
    /// Keys that belong to it.
    keys: u32,
    sums: PeerSums,
    record: f32,
    trained: bool,
    /// It is in the list of those that something changed in.
    changed: bool,
    /// Epochs in which it learned something.
    epochs_trained: u32,
    /// What its peers do, as of the last closed epoch.
    pub prior: PeerPrior,
    /// The most calls of any trained minute of any peer, as of the last closed epoch.
    published_record: f32,
    /// Peers that are unusually active: the epoch, how many in it, how many in the one before.
    elevated: (i64, u32, u32),
    /// Spikes decided at once: the epoch and how many in it.
    at_once: (i64, u32),
    /// The last epoch in which the endpoint was being re-templated.
    unsettled_epoch: i64,
    /// The last epoch with calls.
    active_epoch: i64,
    /// The usual calls of an active epoch.
    usual_calls: f64,
    /// The last epoch that was an outage.
    outage_epoch: i64,
}

impl Population {
    fn new(key: PopulationKey, wider: Option<u16>, prior: PeerPrior) -> Self {
        Population {
            key,
            wider,
            live: true,
            keys: 0,
            sums: PeerSums::default(),
            record: 0.0,
            trained: false,
            changed: false,
            epochs_trained: 0,
            prior,
            published_record: 0.0,
            elevated: (NEVER, 0, 0),
            at_once: (NEVER, 0),
            unsettled_epoch: NEVER,
            active_epoch: NEVER,
            usual_calls: 0.0,
            outage_epoch: NEVER,
        }
    }

    fn is_mature(&self) -> bool {
        self.prior.minutes >= MATURE_MINUTES && self.prior.peers >= MATURE_PEERS
    }

    /// A peer is unusually active in this epoch.
    pub fn note_elevated(&mut self, epoch: i64) {
        let (last, now, _) = self.elevated;
        self.elevated = match epoch - last {
            0 => (epoch, now + 1, self.elevated.2),
            1 => (epoch, 1, now),
            _ => (epoch, 1, 0),
        };
    }

    /// How many peers were unusually active, in this epoch or the one before, whichever were more. `own_now` and
    /// `own_before` say whether the one who asks was noted in them.
    pub fn elevated_others(&self, epoch: i64, own_now: bool, own_before: bool) -> u32 {
        let (last, now, before) = self.elevated;
        let (now, before) = match epoch - last {
            0 => (now, before),
            1 => (0, now),
            _ => (0, 0),
        };
        now.saturating_sub(u32::from(own_now)).max(before.saturating_sub(u32::from(own_before)))
    }

    /// Takes one of the places for spikes decided at once, if one is left in this epoch.
    pub fn take_at_once(&mut self, epoch: i64, limit: u32) -> bool {
        let taken = if self.at_once.0 == epoch { self.at_once.1 } else { 0 };
        if taken >= limit {
            return false;
        }
        self.at_once = (epoch, taken + 1);
        true
    }

    /// The endpoint is being re-templated.
    pub fn note_unsettled(&mut self, epoch: i64) {
        self.unsettled_epoch = epoch;
    }

    /// The endpoint was re-templated in this epoch or the last one (decision 14).
    pub fn is_unsettled(&self, epoch: i64) -> bool {
        epoch - self.unsettled_epoch <= 1
    }

    /// An epoch is over in which its peers, those in a spike left out, made so many calls; `None` if there were only such.
    pub fn close_activity(&mut self, epoch: i64, calls: Option<u64>) {
        if let Some(calls) = calls {
            let calls = calls as f64;
            let was_away = self.usual_calls > 0.0 && epoch - self.active_epoch > 1;
            if was_away && self.usual_calls >= OUTAGE_USUAL_CALLS_MIN {
                self.outage_epoch = epoch - 1;
            }
            if self.usual_calls >= OUTAGE_USUAL_CALLS_MIN && calls < OUTAGE_SHARE * self.usual_calls {
                self.outage_epoch = epoch;
            }
            let weight = if self.usual_calls == 0.0 { 1.0 } else { 1.0 / USUAL_MEMORY_MINUTES };
            self.usual_calls += (calls - self.usual_calls) * weight;
        }
        self.active_epoch = epoch;
    }

    /// In this running epoch, clients may be catching up after an outage.
    pub fn is_recovering(&self, epoch: i64) -> bool {
        let away_now = self.usual_calls >= OUTAGE_USUAL_CALLS_MIN && epoch - self.active_epoch > 1;
        away_now || epoch - self.outage_epoch <= RECOVERY_EPOCHS
    }
}

/// All populations, and the places they are at.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Populations {
    all: Vec<Population>,
    free: Vec<u16>,
    index: BTreeMap<PopulationKey, u16>,
    places: Vec<(String, String)>,
    /// The places in the order of their names.
    places_by_name: Vec<u16>,
    /// Where the last call was; only a short cut.
    #[serde(skip)]
    place_last: u16,
    changed: Vec<u16>,
}

impl Populations {
    /// The population of a new key, with its ladder of wider ones. `None` when there are too many.
    pub fn join(&mut self, place: u16, endpoint: Option<EndpointId>, kind: EntityKind) -> Option<u16> {
        let population = match endpoint {
            None => self.ladder(place, Group::Totals(Some(kind)), Group::Totals(None))?,
            Some(endpoint) => {
                let wider = self.ladder(place, Group::AnyEndpoint(Some(kind)), Group::AnyEndpoint(None))?;
                let key = PopulationKey { place, group: Group::Endpoint(endpoint, kind) };
                self.find_or_add(key, Some(wider), ENDPOINT_POPULATIONS_MAX)?
            }
        };
        self.at_mut(population).keys += 1;
        Some(population)
    }

    fn ladder(&mut self, place: u16, group: Group, widest: Group) -> Option<u16> {
        let widest = self.find_or_add(PopulationKey { place, group: widest }, None, POPULATIONS_MAX)?;
        self.find_or_add(PopulationKey { place, group }, Some(widest), POPULATIONS_MAX)
    }

    fn find_or_add(&mut self, key: PopulationKey, wider: Option<u16>, limit: usize) -> Option<u16> {
        if let Some(&population) = self.index.get(&key) {
            return Some(population);
        }
        if self.index.len() >= limit {
            return None;
        }
        let wider_prior = wider.map(|wider| self.at(wider).prior);
        let prior = PeerPrior::learn(&PeerSums::default(), wider_prior.as_ref());
        let population = Population::new(key, wider, prior);
        let number = match self.free.pop() {
            Some(number) => {
                self.all[usize::from(number)] = population;
                number
            }
            None => {
                self.all.push(population);
                (self.all.len() - 1) as u16
            }
        };
        self.index.insert(key, number);
        Some(number)
    }

    /// A key is gone, and with it what it taught. An endpoint's population goes with its last key.
    pub fn leave(&mut self, population: u16, own: &Moments) {
        if own.minutes > 0.0 {
            self.change(population, own, &Moments::default(), |_| {});
        }
        let left = self.at_mut(population);
        left.keys = left.keys.saturating_sub(1);
        if left.keys == 0 && matches!(left.key.group, Group::Endpoint(..)) {
            let key = left.key;
            self.index.remove(&key);
            self.at_mut(population).live = false;
            self.free.push(population);
        }
    }

    /// A key learned a minute.
    pub fn train(&mut self, population: u16, former: &Moments, present: &Moments, count: u32) {
        self.change(population, former, present, |population| {
            population.record = population.record.max(count as f32);
            population.trained = true;
        });
    }

    fn change(&mut self, population: u16, former: &Moments, present: &Moments, also: impl Fn(&mut Population)) {
        let change = PeerSums::change(former, present);
        let mut next = Some(population);
        while let Some(number) = next {
            let population = &mut self.all[usize::from(number)];
            population.sums.apply(&change);
            also(population);
            if !population.changed {
                population.changed = true;
                self.changed.push(number);
            }
            next = population.wider;
        }
    }

    /// Makes what was learned known: it is the truth of the next epoch.
    pub fn publish(&mut self) {
        let mut changed = std::mem::take(&mut self.changed);
        changed.retain(|&number| std::mem::take(&mut self.at_mut(number).changed) && self.at(number).live);
        // The wider ones first: the others lean on them.
        changed.sort_by_key(|&number| (self.steps_up(number), number));
        for number in changed {
            let wider = self.at(number).wider.map(|wider| self.at(wider).prior);
            let population = self.at_mut(number);
            population.prior = PeerPrior::learn(&population.sums, wider.as_ref());
            population.published_record = population.record;
            population.record -= population.record / RECORD_MEMORY_MINUTES;
            population.epochs_trained += u32::from(std::mem::take(&mut population.trained));
        }
    }

    fn steps_up(&self, mut number: u16) -> u8 {
        let mut steps = 0;
        while let Some(wider) = self.at(number).wider {
            number = wider;
            steps += 1;
        }
        steps
    }

    /// It, or a wider one, has learned enough to judge by.
    pub fn is_warm(&self, population: u16, epochs_min: u32, minutes_min: u32) -> bool {
        self.up_from(population).any(|p| p.epochs_trained >= epochs_min && p.prior.minutes >= f64::from(minutes_min))
    }

    /// The most calls that any peer made in a trained minute; where the peers are too few to say, any of the wider ones.
    pub fn peers_record(&self, population: u16) -> f32 {
        let mut record = 0f32;
        for population in self.up_from(population) {
            record = record.max(population.published_record);
            if population.is_mature() {
                break;
            }
        }
        record
    }

    fn up_from(&self, population: u16) -> impl Iterator<Item = &Population> {
        std::iter::successors(Some(self.at(population)), |p| p.wider.map(|wider| self.at(wider)))
    }

    /// The population of this number, which a live key has given.
    pub fn at(&self, population: u16) -> &Population {
        &self.all[usize::from(population)]
    }

    pub fn at_mut(&mut self, population: u16) -> &mut Population {
        &mut self.all[usize::from(population)]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether a number stands for a population, for checking a snapshot.
    pub fn has(&self, population: u16) -> bool {
        self.all.get(usize::from(population)).is_some_and(|population| population.live)
    }

    /// One more than the highest number of a population.
    pub fn numbers(&self) -> usize {
        self.all.len()
    }

    /// Whether all numbers in it stand for something, for checking a snapshot.
    pub fn is_consistent(&self) -> bool {
        let known = |number: &u16| usize::from(*number) < self.all.len();
        let wider = |population: &Population| {
            // Two steps up at most, and never in a circle.
            population.wider.is_none_or(|wider| {
                known(&wider)
                    && self.at(wider).wider.is_none_or(|widest| known(&widest) && self.at(widest).wider.is_none())
            })
        };
        self.all.iter().all(wider)
            && self.index.values().all(known)
            && self.free.iter().all(known)
            && self.changed.iter().all(known)
            && self.places_by_name.len() == self.places.len()
            && self.places_by_name.iter().all(|&place| usize::from(place) < self.places.len())
    }

    pub fn memory_bytes(&self) -> usize {
        let names: usize = self.places.iter().map(|(gateway, workspace)| gateway.len() + workspace.len() + 48).sum();
        let index = self.index.len() * (std::mem::size_of::<PopulationKey>() + 4) * 3 / 2;
        self.all.capacity() * std::mem::size_of::<Population>() + index + names + self.changed.capacity() * 2
    }
}

#[cfg(test)]
mod tests {
    use super::places::PLACES_MAX;
    use super::*;

    const KIND: EntityKind = EntityKind::Consumer;

    fn minutes(count: u32, minutes: u32) -> Moments {
        let mut own = Moments::default();
        (0..minutes).for_each(|_| own.add(count, 1440.0));
        own
    }

    #[test]
    fn a_new_endpoint_is_judged_by_the_whole_place_until_it_has_peers_of_its_own() {
        let mut populations = Populations::default();
        let place = populations.place("kong", "").unwrap();
        let old = populations.join(place, Some(EndpointId(1)), KIND).unwrap();
        populations.train(old, &Moments::default(), &minutes(40, 50), 90);
        populations.publish();
        let new = populations.join(place, Some(EndpointId(2)), KIND).unwrap();
        assert_eq!(populations.at(new).prior.mean, populations.at(old).prior.mean);
        assert_eq!(populations.peers_record(new), 90.0);
        for _ in 0..10 {
            let key = populations.join(place, Some(EndpointId(2)), KIND).unwrap();
            populations.train(key, &Moments::default(), &minutes(2, 20), 3);
        }
        populations.publish();
        assert_eq!(populations.peers_record(new), 3.0);
        assert!(populations.at(new).prior.mean < 10.0);
    }

    #[test]
    fn an_actor_of_a_kind_never_seen_is_judged_by_those_of_other_kinds() {
        let mut populations = Populations::default();
        let place = populations.place("kong", "").unwrap();
        for _ in 0..5 {
            let total = populations.join(place, None, KIND).unwrap();
            populations.train(total, &Moments::default(), &minutes(4, 20), 6);
            populations.publish();
        }
        let stranger = populations.join(place, None, EntityKind::Ip).unwrap();
        assert!(populations.is_warm(stranger, 5, 100));
        assert!(!populations.is_warm(stranger, 6, 100));
        assert!(!populations.is_warm(stranger, 5, 101));
        assert_eq!(populations.peers_record(stranger), 6.0);
    }

    #[test]
    fn an_endpoints_population_goes_with_its_last_key() {
        let mut populations = Populations::default();
        let place = populations.place("kong", "").unwrap();
        let one = populations.join(place, Some(EndpointId(1)), KIND).unwrap();
        populations.train(one, &Moments::default(), &minutes(4, 20), 6);
        populations.leave(one, &minutes(4, 20));
        populations.publish();
        assert_eq!(populations.len(), 2, "the wider ones stay");
        let other = populations.join(place, Some(EndpointId(2)), KIND).unwrap();
        assert_eq!(other, one, "its number is used again");
        assert_eq!(populations.at(other).prior.peers, 0);
    }

    #[test]
    fn further_endpoints_and_places_are_refused_at_the_limit() {
        let mut populations = Populations::default();
        let place = populations.place("kong", "").unwrap();
        let joined = (0..60_000).filter(|&n| populations.join(place, Some(EndpointId(n)), KIND).is_some()).count();
        assert!(joined < ENDPOINT_POPULATIONS_MAX && joined > ENDPOINT_POPULATIONS_MAX - 10);
        assert!(populations.join(place, None, KIND).is_some(), "totals have places of their own");
        let places = (0..2000).filter(|n| populations.place("kong", &n.to_string()).is_some()).count();
        assert_eq!(places, PLACES_MAX - 1);
        assert_eq!(populations.place("kong", ""), Some(place));
    }

    #[test]
    fn the_unusually_active_are_counted_without_the_one_who_asks() {
        let mut population =
            Population::new(PopulationKey { place: 0, group: Group::Totals(None) }, None, PeerPrior::default());
        population.note_elevated(7);
        population.note_elevated(7);
        assert_eq!(population.elevated_others(7, true, false), 1);
        assert_eq!(population.elevated_others(8, false, true), 1);
        assert_eq!(population.elevated_others(8, true, false), 2);
        assert_eq!(population.elevated_others(9, false, false), 0);
        assert!(population.take_at_once(7, 1) && !population.take_at_once(7, 1) && population.take_at_once(8, 1));
    }

    #[test]
    fn an_outage_is_a_minute_far_below_the_usual_and_recovery_follows() {
        let mut population =
            Population::new(PopulationKey { place: 0, group: Group::Totals(None) }, None, PeerPrior::default());
        (0..10).for_each(|epoch| population.close_activity(epoch, Some(100)));
        assert!(!population.is_recovering(10));
        population.close_activity(10, Some(5));
        for epoch in 11..20 {
            assert_eq!(population.is_recovering(epoch), epoch <= 15, "{epoch}");
            population.close_activity(epoch, Some(100));
        }
        assert!(population.is_recovering(21), "nothing at all came in epoch 20");
        (21..26).for_each(|epoch| population.close_activity(epoch, Some(100)));
        assert!(population.is_recovering(25) && !population.is_recovering(26));
        population.close_activity(26, None);
        assert!(!population.is_recovering(27), "only a spike was there, which says nothing of the others");
    }
}
