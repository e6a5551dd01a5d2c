//! The judgement of one count: what is normal for the key, and whether a count is a spike.

use super::populations::Populations;
use super::profile::KeyState;
use super::settings::Settings;
use crate::statistics::{Expectation, least_surprising_count, surprise};

/// What is normal for a key, as of the last closed epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Normal {
    pub expectation: Expectation,
    /// The minute that a spike has to leave far behind: see [`reference`].
    pub reference: f32,
    /// It has enough active minutes of its own to be measured by them.
    pub established: bool,
    /// Its own active minutes.
    pub own_minutes: f32,
    /// Its own record minute.
    pub own_record: f32,
    /// The record minute of its peers.
    pub peers_record: f32,
    /// How many peers the prior comes from, and from how many of their active minutes.
    pub peers: u32,
    pub peers_minutes: f64,
}

/// A count that is a spike, with what makes it one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Verdict {
    pub count: u32,
    pub normal: Normal,
    /// How many times as busy as usual the peers are; 1 or more.
    pub growth: f64,
    pub surprise: f64,
    /// The least count that would have been a spike, too.
    pub threshold: u32,
}

/// The minute that a spike has to leave far behind.
///
/// An actor with a history of its own here is measured by its own record. One without, by the record of all it does, if that
/// is known: calls that move to a new endpoint in a deploy are no spike. A new actor is measured by its peers' record. A
/// minute that a person called normal counts as a record in any case.
pub(super) fn reference(
    settings: &Settings,
    populations: &Populations,
    population: u16,
    own: Option<&KeyState>,
    total: Option<&KeyState>,
) -> f32 {
    let is_established = |state: &&KeyState| state.own.minutes >= settings.own_minutes_min as f32;
    let own_record = own.map_or(0.0, |state| state.max);
    if own.filter(is_established).is_some() {
        return own_record;
    }
    match total.filter(is_established) {
        Some(total) => own_record.max(total.max),
        None => own_record.max(populations.peers_record(population)),
    }
}

impl Normal {
    pub fn of(
        settings: &Settings,
        populations: &Populations,
        population: u16,
        own: Option<&KeyState>,
        total: Option<&KeyState>,
    ) -> Self {
        let prior = &populations.at(population).prior;
        let moments = own.map(|state| state.own).unwrap_or_default();
        Normal {
            expectation: prior.expect(&moments),
            reference: reference(settings, populations, population, own, total),
            established: moments.minutes >= settings.own_minutes_min as f32,
            own_minutes: moments.minutes,
            own_record: own.map_or(0.0, |state| state.max),
            peers_record: populations.peers_record(population),
            peers: prior.peers,
            peers_minutes: prior.minutes,
        }
    }

    /// Judges a count at the end of a minute in which the peers were `growth` times as busy as usual.
    pub fn judge(&self, settings: &Settings, count: u32, growth: f64) -> Option<Verdict> {
        let records = settings.factor * growth * f64::from(self.reference);
        self.verdict(settings, count, growth, records)
    }

    /// How many calls in 20 s are so far above every record that no growth of all explains them.
    pub fn burst_min(&self, settings: &Settings) -> f64 {
        let own = settings.factor_at_once * f64::from(self.reference);
        own.max(settings.peers_factor_at_once * f64::from(self.peers_record))
    }

    /// Judges a count in the running minute.
    pub fn judge_at_once(&self, settings: &Settings, count: u32, burst: u32) -> Option<Verdict> {
        let burst_min = self.burst_min(settings);
        if f64::from(burst) < burst_min { None } else { self.verdict(settings, count, 1.0, burst_min) }
    }

    fn verdict(&self, settings: &Settings, count: u32, growth: f64, count_min: f64) -> Option<Verdict> {
        let count_min = count_min.max(f64::from(settings.calls_min));
        if f64::from(count) < count_min {
            return None;
        }
        let (mean, size) = (self.expectation.mean * growth, self.expectation.size);
        let surprise = surprise(u64::from(count), mean, size);
        if surprise < settings.surprise_min {
            return None;
        }
        let least =
            least_surprising_count(mean, size, settings.surprise_min, count_min.ceil() as u64, u64::from(count));
        let threshold = u32::try_from(least).unwrap_or(count);
        Some(Verdict { count, normal: *self, growth, surprise, threshold })
    }
}

/// How far the calls of an actor in two consecutive minutes, at one endpoint and at everything, moved to that endpoint
/// from others: at least half of what it rose here, it fell elsewhere.
pub(super) fn is_shift(here: [u32; 2], everything: [u32; 2], record_of_everything: f32) -> bool {
    let [here_before, here_now] = here.map(i64::from);
    let [all_before, all_now] = everything.map(i64::from);
    let rise = here_now - here_before;
    let fall = (all_before - here_before) - (all_now - here_now);
    rise > 0 && 2 * fall >= rise && all_now as f32 <= record_of_everything
}

/// The growth of a population in an epoch: how many times as many calls as expected its active members made.
#[derive(Debug, Clone, Default)]
pub(super) struct Growth {
    ratios: Vec<f32>,
}

/// Members that stay as they are, added to every population: the growth of one or two members is not that of all.
const STEADY_MEMBERS: usize = 2;

impl Growth {
    pub fn add(&mut self, ratio: f32) {
        self.ratios.push(ratio);
    }

    /// All members are in.
    pub fn finish(&mut self) {
        self.ratios.extend([1.0; STEADY_MEMBERS]);
        self.ratios.sort_unstable_by(f32::total_cmp);
    }

    /// The growth of the member at this quantile, 1 or more, without the member of the ratio `own`.
    pub fn of_others(&self, own: Option<f32>, quantile: f64) -> f64 {
        let own_place = own.and_then(|own| self.ratios.binary_search_by(|ratio| ratio.total_cmp(&own)).ok());
        let others = self.ratios.len() - usize::from(own_place.is_some());
        if others == 0 {
            return 1.0;
        }
        let place = (quantile * (others - 1) as f64).floor() as usize;
        let skipped = own_place.is_some_and(|own| place >= own);
        let ratio = self.ratios.get(place + usize::from(skipped)).copied().unwrap_or(1.0);
        f64::from(ratio).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_that_of_the_others() {
        let cases: &[(&[f32], Option<f32>, f64)] = &[
            (&[], None, 1.0),
            (&[20.0], Some(20.0), 1.0),
            // One other that grew is not everybody; two are.
            (&[20.0, 20.0], Some(20.0), 1.0),
            (&[20.0, 20.0, 20.0], Some(20.0), 20.0),
            (&[0.5, 0.7, 1.2, 1.0, 900.0], Some(900.0), 1.0),
            // Two that spike do not hide each other among ten that do not.
            (&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 700.0, 800.0], Some(700.0), 1.0),
            (&[4.0, 4.5, 5.0, 5.5, 6.0, 7.0], Some(6.0), 5.0),
        ];
        for (ratios, own, wanted) in cases {
            let mut growth = Growth::default();
            ratios.iter().for_each(|&ratio| growth.add(ratio));
            growth.finish();
            assert_eq!(growth.of_others(*own, 0.75), *wanted, "{ratios:?}");
        }
    }

    #[test]
    fn calls_that_move_are_a_shift_and_calls_that_come_on_top_are_not() {
        let cases = [
            // All of 300 calls move over within the minute; half of them; on top of the rest; from elsewhere, but more than ever.
            ([0, 300], [300, 300], 320.0, true),
            ([0, 150], [300, 300], 320.0, true),
            ([4, 210], [300, 506], 520.0, false),
            ([0, 900], [300, 900], 320.0, false),
            ([300, 300], [300, 300], 320.0, false),
        ];
        for (here, everything, record, wanted) in cases {
            assert_eq!(is_shift(here, everything, record), wanted, "{here:?} of {everything:?}");
        }
    }

    #[test]
    fn a_verdict_names_the_least_count_that_would_have_done() {
        let normal = Normal {
            expectation: Expectation { mean: 4.0, size: 2.0 },
            reference: 9.0,
            established: true,
            own_minutes: 38.0,
            own_record: 9.0,
            peers_record: 12.0,
            peers: 12,
            peers_minutes: 400.0,
        };
        let settings = Settings::default();
        let verdict = normal.judge(&settings, 214, 1.0).unwrap();
        assert!(normal.judge(&settings, verdict.threshold, 1.0).is_some());
        assert!(normal.judge(&settings, verdict.threshold - 1, 1.0).is_none());
        assert!(normal.judge(&settings, 214, 50.0).is_none(), "when everybody does fifty times as much");
        assert!(normal.judge_at_once(&settings, 214, 89).is_none());
        assert_eq!(normal.judge_at_once(&settings, 214, 90).unwrap().threshold, 90);
        let among_giants = Normal { peers_record: 100.0, ..normal };
        assert!(among_giants.judge_at_once(&settings, 214, 199).is_none());
        assert_eq!(among_giants.judge_at_once(&settings, 214, 200).unwrap().threshold, 200);
    }
}
