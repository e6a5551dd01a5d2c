//! The end of a minute: what all did in it is known, so the moderate spikes are decided and calm minutes are learned.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::Finding;

use super::RequestSpike;
use super::explain::{self, Window};
use super::judge::{Growth, Normal, Verdict, is_shift};
use super::observe::{SHIFT_EPOCHS, window_start_ms};
use super::profile::{Flag, WINDOW_MS, minute_of};
use crate::detector::Epoch;

/// After an outage clients catch up, each with what it has: what one in twenty does is then normal for all.
const RECOVERY_QUANTILE: f64 = 0.95;

impl RequestSpike {
    pub(super) fn close(&mut self, epoch: Epoch, findings: &mut Vec<Finding>) {
        let minute = minute_of(epoch.number);
        self.close_activity(epoch.number, minute);
        self.decide(epoch, minute, findings);
        self.train_before(minute);
        self.populations.publish();
        self.forget_old(epoch);
    }

    /// Tells each population how many calls its members made, those in a spike left out.
    fn close_activity(&mut self, epoch: i64, minute: u32) {
        let Some(slots) = self.open.get(&minute) else { return };
        let mut calls: Vec<Option<Option<u64>>> = vec![None; self.populations.numbers()];
        for &slot in slots {
            let state = self.keys.at(slot);
            if !state.is(Flag::Live) || state.is(Flag::Untrusted) {
                continue;
            }
            let sum = calls[usize::from(state.population)].get_or_insert(None);
            if !state.is(Flag::Alerted) && !state.is(Flag::Covered) {
                *sum = Some(sum.unwrap_or(0) + u64::from(state.minute_count(minute)));
            }
        }
        for (number, calls) in calls.iter().enumerate() {
            if let Some(calls) = calls {
                self.populations.at_mut(number as u16).close_activity(epoch, *calls);
            }
        }
    }

    /// Decides about everything under watch: first the endpoints, then the totals that none of them explains.
    fn decide(&mut self, epoch: Epoch, minute: u32, findings: &mut Vec<Finding>) {
        if self.watched.is_empty() {
            return;
        }
        let growths = self.growths(minute);
        let slots: Vec<u32> = self.watched.keys().copied().collect();
        let (totals, endpoints): (Vec<u32>, Vec<u32>) =
            slots.into_iter().partition(|&slot| self.keys.at(slot).is(Flag::Total));
        let covered = self.totals_of_alerted();
        for slot in endpoints {
            self.decide_one(slot, epoch, minute, &growths, findings);
        }
        for &total_key in covered.difference(&self.totals_of_alerted()) {
            if let Some(total) = self.keys.find(total_key) {
                self.keys.at_mut(total).set(Flag::Covered, false);
                // Its peak is that of the spike that was just explained.
                self.unwatch(total);
            }
        }
        for slot in totals.into_iter().filter(|slot| self.watched.contains_key(slot)).collect::<Vec<_>>() {
            if self.keys.at(slot).is(Flag::Covered) {
                self.unwatch(slot);
            } else {
                self.decide_one(slot, epoch, minute, &growths, findings);
            }
        }
        self.watched.values_mut().for_each(|watch| watch.begin_epoch());
    }

    /// The totals of the actors that have a spike at an endpoint.
    fn totals_of_alerted(&self) -> BTreeSet<u64> {
        let alerted_endpoint = |slot: u32| {
            let state = self.keys.at(slot);
            state.is(Flag::Alerted) && !state.is(Flag::Total)
        };
        self.watched.iter().filter(|&(&slot, _)| alerted_endpoint(slot)).map(|(_, watch)| watch.total_key).collect()
    }

    /// The growth of every population that something under watch belongs to.
    fn growths(&self, minute: u32) -> BTreeMap<u16, Growth> {
        let mut growths = BTreeMap::new();
        let mut wanted = vec![false; self.populations.numbers()];
        for (&slot, watch) in &self.watched {
            for number in [self.keys.at(slot).population, watch.total_population] {
                wanted[usize::from(number)] = true;
                growths.entry(number).or_insert_with(Growth::default);
            }
        }
        for &slot in self.open.get(&minute).into_iter().flatten() {
            let number = self.keys.at(slot).population;
            if !wanted[usize::from(number)] {
                continue;
            }
            if let (Some(ratio), Some(growth)) = (self.ratio(slot, minute), growths.get_mut(&number)) {
                growth.add(ratio);
            }
        }
        growths.values_mut().for_each(Growth::finish);
        growths
    }

    /// How many times as many calls as expected a key made in this minute or the one before, whichever is more: a window
    /// reaches over both. `None` for a key that says nothing of the others, because it is in a spike already.
    fn ratio(&self, slot: u32, minute: u32) -> Option<f32> {
        let state = self.keys.at(slot);
        let apart = [Flag::Untrusted, Flag::Alerted, Flag::Covered].iter().any(|&flag| state.is(flag));
        if !state.is(Flag::Live) || apart {
            return None;
        }
        let count = state.minute_count(minute).max(state.minute_count(minute.saturating_sub(1)));
        let expected = self.populations.at(state.population).prior.expect(&state.own).mean;
        (count > 0 && expected > 0.0).then(|| (f64::from(count) / expected) as f32)
    }

    fn growth_of_others(&self, slot: u32, epoch: Epoch, minute: u32, growths: &BTreeMap<u16, Growth>) -> f64 {
        let Some(watch) = self.watched.get(&slot) else { return 1.0 };
        let total = self.keys.find(watch.total_key);
        let own = [
            (self.keys.at(slot).population, Some(slot)),
            (watch.total_population, if self.keys.at(slot).is(Flag::Total) { Some(slot) } else { total }),
        ];
        let mut growth = 1f64;
        for (number, member) in own {
            let population = self.populations.at(number);
            let quantile = match population.is_recovering(epoch.number + 1) {
                true => self.settings.growth_quantile.max(RECOVERY_QUANTILE),
                false => self.settings.growth_quantile,
            };
            let own_ratio = member.and_then(|member| self.ratio(member, minute));
            if let Some(others) = growths.get(&number) {
                growth = growth.max(others.of_others(own_ratio, quantile));
            }
        }
        growth
    }

    fn decide_one(
        &mut self,
        slot: u32,
        epoch: Epoch,
        minute: u32,
        growths: &BTreeMap<u16, Growth>,
        findings: &mut Vec<Finding>,
    ) {
        let Some(watch) = self.watched.get(&slot) else { return };
        let state = self.keys.at(slot);
        let alerted = state.is(Flag::Alerted);
        let count = if alerted { state.minute_count(minute) } else { watch.peak.count };
        let raised_now = watch.raised_epoch == epoch.number;
        let profiles = self.profiles(watch.profile_key, watch.profile_total_key);
        let (own, total) = self.states(profiles);
        let normal = Normal::of(&self.settings, &self.populations, state.population, own, total);
        let growth = self.growth_of_others(slot, epoch, minute, growths);
        let verdict = normal.judge(&self.settings, count, growth);
        match verdict {
            Some(verdict) if alerted => self.go_on(slot, &verdict, epoch, minute, raised_now, findings),
            // The running minute of a spike that was just raised says nothing of its end.
            None if alerted && raised_now => {}
            Some(verdict) => self.raise_at_close(slot, &verdict, epoch, minute, findings),
            None => self.calm_down(slot, epoch),
        }
    }

    /// A spike goes on: once a minute there is a finding, and the minute does not train.
    fn go_on(
        &mut self,
        slot: u32,
        verdict: &Verdict,
        epoch: Epoch,
        minute: u32,
        raised_now: bool,
        findings: &mut Vec<Finding>,
    ) {
        let state = self.keys.at(slot);
        let Some(watch) = self.watched.get_mut(&slot) else { return };
        if !raised_now {
            let start_ms = i64::from(minute) * WINDOW_MS;
            let window = Window {
                start_ms,
                newest_ms: start_ms + WINDOW_MS - 1,
                length_ms: WINDOW_MS,
                failed: state.minute_failed(minute),
                burst: None,
                call_number: watch.last_number,
                event_ms: watch.last_event_ms,
                raised_ms: epoch.end_ms(),
            };
            findings.push(explain::finding(&watch.about, verdict, &window, watch.samples.drain()));
            watch.raised_epoch = epoch.number;
        }
        let total_key = watch.total_key;
        self.mark_spike(slot, total_key, &[minute]);
    }

    /// A spike that was not plain enough to be decided at once.
    fn raise_at_close(&mut self, slot: u32, verdict: &Verdict, epoch: Epoch, minute: u32, findings: &mut Vec<Finding>) {
        let state = self.keys.at(slot);
        let open_minutes = state.open_minutes();
        let unsettled = self.populations.at(state.population).is_unsettled(epoch.number);
        if !state.is(Flag::Total) && self.has_moved_in(slot, minute) {
            self.note_shift(slot, epoch.number);
        }
        let Some(watch) = self.watched.get_mut(&slot) else { return };
        if unsettled || epoch.number - watch.shifted_epoch < SHIFT_EPOCHS {
            return;
        }
        let start_ms = window_start_ms(watch.peak.head);
        let window = Window {
            start_ms,
            newest_ms: watch.peak.newest_ms,
            length_ms: watch.peak.newest_ms - start_ms + 1,
            failed: watch.peak.failed,
            burst: None,
            call_number: watch.peak.number,
            event_ms: watch.peak.event_ms,
            raised_ms: epoch.end_ms(),
        };
        findings.push(explain::finding(&watch.about, verdict, &window, watch.samples.drain()));
        watch.raised_epoch = epoch.number;
        let total_key = watch.total_key;
        self.mark_spike(slot, total_key, &open_minutes);
    }

    /// The calls of this minute came here from the actor's other endpoints.
    fn has_moved_in(&self, slot: u32, minute: u32) -> bool {
        let Some(watch) = self.watched.get(&slot) else { return false };
        let Some(total) = self.keys.find(watch.total_key) else { return false };
        let (state, total) = (self.keys.at(slot), self.keys.at(total));
        let before = minute.saturating_sub(1);
        let here = [state.minute_count(before), state.minute_count(minute)];
        let everything = [total.minute_count(before), total.minute_count(minute)];
        is_shift(here, everything, total.max)
    }

    /// It is not unusual, or no more. What moved here a short while ago stays under watch until its level is learned.
    fn calm_down(&mut self, slot: u32, epoch: Epoch) {
        let shifted = |shifted_epoch: i64| epoch.number - shifted_epoch < SHIFT_EPOCHS;
        if self.watched.get(&slot).is_some_and(|watch| !shifted(watch.shifted_epoch)) {
            self.unwatch(slot);
        }
    }

    /// Learns every minute before this one: no call that still counts can fall into them any more.
    fn train_before(&mut self, minute: u32) {
        while let Some(entry) = self.open.first_entry()
            && *entry.key() < minute
        {
            let (closing, slots) = entry.remove_entry();
            for slot in slots {
                self.close_minute(slot, closing);
            }
        }
    }
}
