//! The way of one call: count it for its actor at the endpoint and at everything, and see whether that is a spike already.

use outrider_model::{EndpointId, EntityRef, Finding};

use super::RequestSpike;
use super::explain::{self, Window};
use super::judge::{Normal, Verdict, is_shift, reference};
use super::profile::{BUCKET_MS, Counted, Flag, KeyState, WINDOW_MS, bucket_of};
use super::watch::{About, Watch};
use crate::detector::{Evidence, Intake, Observed};
use crate::statistics::Moments;

/// Keys of untrusted calls are those of trusted ones, changed by this.
const UNTRUSTED: u64 = 0x6f75_7472_6964_6572;
/// After calls moved here from elsewhere, the level is being learned for so many epochs.
pub(super) const SHIFT_EPOCHS: i64 = 3;

/// The key of an actor at an endpoint; that of an actor at everything is its own.
pub(super) fn endpoint_key(actor_key: u64, endpoint: EndpointId) -> u64 {
    // Multiplied to 128 bits and folded, so that each bit of both reaches every bit of the key.
    let product = u128::from(actor_key ^ 0x9e37_79b9_7f4a_7c15) * u128::from(endpoint.0 | 1);
    (product as u64) ^ ((product >> 64) as u64) ^ endpoint.0.rotate_left(32)
}

/// The keys of an actor at everything, by trusted lines and by others.
pub(super) fn totals_of(actor_key: u64) -> [u64; 2] {
    [actor_key, actor_key ^ UNTRUSTED]
}

/// A call with what is worked out of it once.
struct Incoming<'a, 'o, 'c> {
    observed: &'a Observed<'o, 'c>,
    entity: EntityRef<'a>,
    epoch: i64,
    now_ms: i64,
    place: u16,
    bucket: u32,
    failed: bool,
    trusted: bool,
    /// The key of the actor's trusted total.
    actor_key: u64,
    /// The key of the actor's total, of the same evidence as the call.
    total_key: u64,
}

/// The places of the profiles that a key is measured by: its own and its actor's total, both trusted.
#[derive(Clone, Copy)]
pub(super) struct Profiles {
    own: Option<u32>,
    total: Option<u32>,
}

impl RequestSpike {
    pub(super) fn take_in(&mut self, observed: &Observed<'_, '_>, intake: &Intake<'_>, findings: &mut Vec<Finding>) {
        let call = observed.call;
        let Some((entity, actor_key)) = intake.actor else {
            self.counts.without_actor += 1;
            return;
        };
        if intake.gateway_refusal {
            self.counts.gateway_refusals += 1;
            return;
        }
        let Some(place) = self.populations.place(&call.gateway, &call.workspace) else {
            self.counts.places_refused += 1;
            return;
        };
        let trusted = intake.evidence == Evidence::Trusted;
        let incoming = Incoming {
            observed,
            entity,
            epoch: intake.epoch(),
            now_ms: intake.now_ms,
            place,
            bucket: bucket_of(call.event_ms),
            failed: !(200..400).contains(&call.status),
            trusted,
            actor_key,
            total_key: totals_of(actor_key)[usize::from(!trusted)],
        };
        // Both are looked up before either is touched, so that the processor waits for memory once and not twice.
        let of_endpoint = observed.endpoint.map(|endpoint| (endpoint_key(incoming.total_key, endpoint), endpoint));
        let known_total = self.keys.find(incoming.total_key);
        let known = of_endpoint.and_then(|(key, _)| self.keys.find(key));
        let total = match known_total {
            Some(slot) => Some(slot),
            None => self.add_key(&incoming, incoming.total_key, None, known),
        };
        let Some(total) = total.filter(|&slot| self.count(&incoming, slot, None)) else { return };
        if let Some((key, endpoint)) = of_endpoint {
            let slot = match known {
                Some(slot) => Some(slot),
                None => self.add_key(&incoming, key, Some(endpoint), Some(total)),
            };
            if let Some(slot) = slot.filter(|&slot| self.count(&incoming, slot, Some(total))) {
                self.consider(&incoming, slot, Some(total), findings);
            }
        }
        self.consider(&incoming, total, None, findings);
    }

    /// Counts the call for a key, with its actor's total where the key is of an endpoint. Says whether it could be counted.
    fn count(&mut self, incoming: &Incoming<'_, '_, '_>, slot: u32, total: Option<u32>) -> bool {
        if self.keys.at(slot).begins_minute(incoming.bucket) {
            let opening = incoming.bucket / (WINDOW_MS / BUCKET_MS) as u32;
            for minute in self.keys.at(slot).open_minutes() {
                if minute + 2 <= opening {
                    self.close_minute(slot, minute);
                }
            }
        }
        let unsettled = total.is_some() && !incoming.observed.endpoint_settled;
        let counted = self.keys.at_mut(slot).count(incoming.bucket, incoming.failed, unsettled);
        if unsettled {
            let population = self.keys.at(slot).population;
            self.populations.at_mut(population).note_unsettled(incoming.epoch);
        }
        match counted {
            Counted::Plain => {}
            Counted::Opened(minute) => self.note_open(slot, minute),
            Counted::TooOld => {
                self.counts.calls_too_old += 1;
                return false;
            }
        }
        // An endpoint's share of a spike that only its actor's total shows must not train either.
        if let Some(total) = total.map(|total| self.keys.at(total))
            && total.is(Flag::Alerted)
            && !total.is(Flag::Covered)
        {
            let state = self.keys.at_mut(slot);
            state.set_excluded(state.minute(), true);
        }
        true
    }

    fn add_key(
        &mut self,
        incoming: &Incoming<'_, '_, '_>,
        key: u64,
        endpoint: Option<EndpointId>,
        keep: Option<u32>,
    ) -> Option<u32> {
        let Some(population) = self.populations.join(incoming.place, endpoint, incoming.entity.kind) else {
            self.counts.endpoints_refused += 1;
            return None;
        };
        if self.keys.is_full() {
            let Some(victim) = self.keys.victim(keep) else {
                self.populations.leave(population, &Moments::default());
                self.counts.keys_refused += 1;
                return None;
            };
            self.remove_key(victim);
            self.counts.keys_evicted += 1;
        }
        let mut state = KeyState::new(key, population, incoming.bucket);
        state.set(Flag::Total, endpoint.is_none());
        state.set(Flag::Untrusted, !incoming.trusted);
        Some(self.keys.insert(state))
    }

    /// The slot has calls in this minute, so it has to be closed when the minute is over.
    fn note_open(&mut self, slot: u32, minute: u32) {
        let open = self.open.entry(minute).or_default();
        open.push(slot);
        // A slot is in it twice only where it changed hands within the minute; a flood of such is folded.
        if open.len() > 2 * self.settings.keys_max as usize {
            open.sort_unstable();
            open.dedup();
        }
    }

    /// Sees whether a key is unusual, and if so whether it is a spike already.
    fn consider(
        &mut self,
        incoming: &Incoming<'_, '_, '_>,
        slot: u32,
        total: Option<u32>,
        findings: &mut Vec<Finding>,
    ) {
        let state = self.keys.at(slot);
        let window = state.window_count();
        if window < self.settings.calls_min {
            return;
        }
        if !state.is(Flag::Watched) && !self.begin_watch(incoming, slot, total, window) {
            return;
        }
        let state = self.keys.at(slot);
        let Some(watch) = self.watched.get_mut(&slot) else { return };
        watch.take(state, incoming.observed);
        if state.is(Flag::Alerted) || state.is(Flag::Covered) {
            return;
        }
        if incoming.trusted && watch.note_elevated(incoming.epoch) {
            self.populations.at_mut(state.population).note_elevated(incoming.epoch);
        }
        if watch.calls_until_look > 0 {
            watch.calls_until_look -= 1;
            return;
        }
        self.look(incoming, slot, total, findings);
    }

    /// Puts a key under watch if it is unusual enough. It costs a few comparisons for almost every key.
    fn begin_watch(&mut self, incoming: &Incoming<'_, '_, '_>, slot: u32, total: Option<u32>, window: u32) -> bool {
        let state = self.keys.at(slot);
        let established = state.own.minutes >= self.settings.own_minutes_min as f32;
        if established && f64::from(window) < self.settings.factor * f64::from(state.max) {
            return false;
        }
        let population = state.population;
        let profile_key = if incoming.trusted { state.key } else { self.trusted_key(incoming, total.is_some()) };
        let profiles = self.profiles(profile_key, incoming.actor_key);
        let (own, total_profile) = self.states(profiles);
        let reference = reference(&self.settings, &self.populations, population, own, total_profile);
        if f64::from(window) < self.settings.factor * f64::from(reference) {
            return false;
        }
        let (minutes, active_minutes) = (self.settings.warmup_minutes, self.settings.warmup_active_minutes);
        if !self.populations.is_warm(population, minutes, active_minutes) {
            return false;
        }
        if !self.has_room_to_watch(incoming.trusted) {
            self.counts.watch_refused += 1;
            return false;
        }
        let about = About::of(incoming.observed, incoming.entity.to_key(), total.is_some(), !incoming.trusted);
        let total_population = self.keys.at(total.unwrap_or(slot)).population;
        let keys = [incoming.total_key, profile_key, incoming.actor_key];
        self.watched.insert(slot, Watch::new(about, keys, total_population));
        self.watched_untrusted += u32::from(!incoming.trusted);
        self.keys.at_mut(slot).set(Flag::Watched, true);
        true
    }

    /// Untrusted lines get a quarter of the watch list at most: whoever forges them must not blind it.
    fn has_room_to_watch(&self, trusted: bool) -> bool {
        let watched_max = self.settings.watched_max as usize;
        self.watched.len() < watched_max && (trusted || (self.watched_untrusted as usize) < watched_max.div_ceil(4))
    }

    fn trusted_key(&self, incoming: &Incoming<'_, '_, '_>, of_endpoint: bool) -> u64 {
        match incoming.observed.endpoint {
            Some(endpoint) if of_endpoint => endpoint_key(incoming.actor_key, endpoint),
            _ => incoming.actor_key,
        }
    }

    /// Where the profiles are. An actor's total is measured by itself alone.
    pub(super) fn profiles(&self, profile_key: u64, actor_key: u64) -> Profiles {
        let own = self.keys.find(profile_key);
        let total = if profile_key == actor_key { None } else { self.keys.find(actor_key) };
        Profiles { own, total }
    }

    pub(super) fn states(&self, profiles: Profiles) -> (Option<&KeyState>, Option<&KeyState>) {
        (profiles.own.map(|slot| self.keys.at(slot)), profiles.total.map(|slot| self.keys.at(slot)))
    }

    /// Judges a key under watch in the running minute.
    fn look(&mut self, incoming: &Incoming<'_, '_, '_>, slot: u32, total: Option<u32>, findings: &mut Vec<Finding>) {
        let state = self.keys.at(slot);
        let (population, window, burst) = (state.population, state.window_count(), state.burst_count());
        let Some(watch) = self.watched.get(&slot) else { return };
        let profiles = self.profiles(watch.profile_key, watch.profile_total_key);
        let (own, total_profile) = self.states(profiles);
        let normal = Normal::of(&self.settings, &self.populations, population, own, total_profile);
        let verdict = normal.judge_at_once(&self.settings, window, burst);
        // A burst grows by one with each call, so it cannot be large enough before these calls came.
        let missing = (normal.burst_min(&self.settings) - f64::from(burst)).ceil().clamp(0.0, 1e9) as u32;
        let held = verdict.is_some() && self.is_held(incoming, slot, total);
        let Some(watch) = self.watched.get_mut(&slot) else { return };
        let Some(verdict) = verdict else {
            watch.calls_until_look = missing.saturating_sub(1).max(if missing == 0 { window / 8 } else { 0 });
            return;
        };
        if held {
            // The end of the minute decides.
            watch.calls_until_look = u32::MAX;
            self.counts.held += 1;
            return;
        }
        self.raise_at_once(incoming, slot, &verdict, findings);
    }

    /// Whether a spike that could be decided now has to wait for the end of the minute, when it is known what all others
    /// did. What is read of the others within the minute can only make it wait, never make it a spike (decision 8).
    fn is_held(&mut self, incoming: &Incoming<'_, '_, '_>, slot: u32, total: Option<u32>) -> bool {
        let epoch = incoming.epoch;
        let population = self.keys.at(slot).population;
        let Some(watch) = self.watched.get(&slot) else { return true };
        if !incoming.trusted {
            // It leads to proposals only, which need no hurry, and must not take the place of another at this endpoint.
            return true;
        }
        let (own, total_population) = (watch.elevated_in(epoch), watch.total_population);
        if epoch - watch.shifted_epoch <= SHIFT_EPOCHS || self.populations.at(population).is_unsettled(epoch) {
            return true;
        }
        if total.is_some_and(|total| self.has_moved_here(slot, total)) {
            self.note_shift(slot, epoch);
            return true;
        }
        let own_total = match total {
            Some(total) => self.watched.get(&total).map(|watch| watch.elevated_in(epoch)).unwrap_or_default(),
            None => own,
        };
        if self.is_mass(population, epoch, own) || self.is_mass(total_population, epoch, own_total) {
            return true;
        }
        let limit = self.settings.at_once_per_minute_max;
        !self.populations.at_mut(population).take_at_once(epoch, limit)
    }

    /// The running window's calls came here from the actor's other endpoints.
    fn has_moved_here(&self, slot: u32, total: u32) -> bool {
        let (state, total) = (self.keys.at(slot), self.keys.at(total));
        let before = state.minute().saturating_sub(1);
        let here = [state.minute_count(before), state.window_count()];
        let everything = [total.minute_count(before), total.window_count()];
        is_shift(here, everything, total.max)
    }

    pub(super) fn note_shift(&mut self, slot: u32, epoch: i64) {
        self.counts.shifts += 1;
        if let Some(watch) = self.watched.get_mut(&slot) {
            watch.shifted_epoch = epoch;
        }
    }

    /// Others are unusually active as well, or are catching up after an outage.
    fn is_mass(&self, population: u16, epoch: i64, (own_now, own_before): (bool, bool)) -> bool {
        let population = self.populations.at(population);
        // A quarter of the peers is a mass, and so are three.
        let mass_min = (population.prior.peers / 4).clamp(1, 3);
        population.is_recovering(epoch) || population.elevated_others(epoch, own_now, own_before) >= mass_min
    }

    fn raise_at_once(
        &mut self,
        incoming: &Incoming<'_, '_, '_>,
        slot: u32,
        verdict: &Verdict,
        findings: &mut Vec<Finding>,
    ) {
        let state = self.keys.at(slot);
        let open_minutes = state.open_minutes();
        let Some(watch) = self.watched.get_mut(&slot) else { return };
        let start_ms = window_start_ms(state.head());
        let window = Window {
            start_ms,
            newest_ms: watch.newest_ms,
            length_ms: watch.newest_ms - start_ms + 1,
            failed: state.window_failed(),
            burst: Some(state.burst_count()),
            call_number: incoming.observed.number,
            event_ms: incoming.observed.call.event_ms,
            raised_ms: incoming.now_ms,
        };
        findings.push(explain::finding(&watch.about, verdict, &window, watch.samples.drain()));
        watch.raised_epoch = incoming.epoch;
        let total_key = watch.total_key;
        self.mark_spike(slot, total_key, &open_minutes);
    }

    /// A spike goes on at this key: these minutes do not train, neither here nor at the actor's total.
    pub(super) fn mark_spike(&mut self, slot: u32, total_key: u64, minutes: &[u32]) {
        let of_endpoint = !self.keys.at(slot).is(Flag::Total);
        let total = if of_endpoint { self.keys.find(total_key) } else { None };
        for slot in [Some(slot), total].into_iter().flatten() {
            let state = self.keys.at_mut(slot);
            minutes.iter().for_each(|&minute| state.set_excluded(minute, true));
            if !state.is(Flag::Alerted) && !state.is(Flag::Covered) {
                state.spike_max = 0;
            }
        }
        self.keys.at_mut(slot).set(Flag::Alerted, true);
        if let Some(total) = total {
            self.keys.at_mut(total).set(Flag::Covered, true);
        }
    }
}

/// When the window began whose newest call is in this bucket.
pub(super) fn window_start_ms(head: u32) -> i64 {
    i64::from(head) * BUCKET_MS - (WINDOW_MS - BUCKET_MS)
}
