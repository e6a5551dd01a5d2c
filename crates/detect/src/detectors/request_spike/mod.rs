#![doc = include_str!("README.md")]

mod close;
mod explain;
mod judge;
mod observe;
mod populations;
mod profile;
mod settings;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;

use outrider_model::{EntityKey, EntityKind, Finding, Subject};
use serde::{Deserialize, Serialize};

use self::populations::Populations;
use self::profile::{Flag, minute_of};
use self::table::{KeyTable, TableSnapshot};
use self::watch::Watch;
use crate::detector::{Counter, Descriptor, Detector, Epoch, FalsePositive, Intake, Observed};
use crate::error::DetectError;

pub use self::settings::Settings;

/// What request spike is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "request_spike",
    title: "Request spike",
    summary: "One actor calls an endpoint, or everything at a gateway, far more often than is normal for it and its peers.",
    entities: &[EntityKind::Consumer, EntityKind::Credential, EntityKind::Ip],
    page: include_str!("README.md"),
};

/// The version of its snapshot.
const SNAPSHOT_VERSION: u8 = 2;

/// Its state: profiles of actors, the populations that they belong to, and what is under watch.
pub struct RequestSpike {
    settings: Settings,
    keys: KeyTable,
    populations: Populations,
    /// What is unusual at the moment, by the key's slot.
    watched: BTreeMap<u32, Watch>,
    /// How many of them rest on untrusted lines.
    watched_untrusted: u32,
    /// The slots with calls in each open minute, in order of their first call there.
    open: BTreeMap<u32, Vec<u32>>,
    /// Where the search for forgotten profiles goes on.
    age_hand: u32,
    counts: Counts,
}

/// What it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Counts {
    without_actor: u64,
    gateway_refusals: u64,
    places_refused: u64,
    endpoints_refused: u64,
    keys_evicted: u64,
    keys_refused: u64,
    keys_forgotten: u64,
    minutes_trained: u64,
    minutes_excluded: u64,
    calls_too_old: u64,
    watch_refused: u64,
    held: u64,
    shifts: u64,
    marks_without_profile: u64,
}

/// Everything that a restart must not forget.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    keys: TableSnapshot,
    populations: Populations,
    watched: BTreeMap<u32, Watch>,
    open: BTreeMap<u32, Vec<u32>>,
    age_hand: u32,
    counts: Counts,
}

impl RequestSpike {
    /// A detector that has seen nothing.
    pub fn new(settings: Settings) -> Result<Self, DetectError> {
        settings.validate()?;
        Ok(RequestSpike {
            keys: KeyTable::new(settings.keys_max as usize),
            settings,
            populations: Populations::default(),
            watched: BTreeMap::new(),
            watched_untrusted: 0,
            open: BTreeMap::new(),
            age_hand: 0,
            counts: Counts::default(),
        })
    }

    /// Trains with what a minute of a key held, if it has calls and is still open.
    fn close_minute(&mut self, slot: u32, minute: u32) {
        let state = self.keys.at_mut(slot);
        let Some(closed) = state.close(minute) else { return };
        if state.is(Flag::Untrusted) {
            return;
        }
        if closed.excluded {
            state.spike_max = state.spike_max.max(u16::try_from(closed.count).unwrap_or(u16::MAX));
            state.excluded = state.excluded.saturating_add(1);
            if state.excluded < self.settings.learn_after_minutes {
                self.counts.minutes_excluded += 1;
                return;
            }
            state.excluded = 0;
        }
        let former = state.own;
        if closed.unsettled {
            // The endpoint is no longer what its history speaks of.
            state.own.forget_down_to(1.0);
        }
        let memory_minutes = self.settings.memory_minutes as f32;
        state.own.add(closed.count, memory_minutes);
        let count = closed.count as f32;
        if count > state.max {
            state.max = count;
        } else if state.own.minutes > memory_minutes - 0.5 {
            state.max -= (state.max - count) / memory_minutes;
        }
        state.set_credit(credit_of(state.own.minutes));
        let (population, present) = (state.population, state.own);
        self.counts.minutes_trained += 1;
        self.populations.train(population, &former, &present, closed.count);
    }

    /// Takes a key out, with what it taught its population.
    fn remove_key(&mut self, slot: u32) {
        let state = self.keys.remove(slot);
        self.populations.leave(state.population, &state.own);
    }

    /// Every key that an actor may have: at everything and at each endpoint of each place, trusted or not.
    fn keys_of(&self, subject: &Subject) -> Vec<u64> {
        let mut keys = Vec::new();
        for (gateway, workspace, endpoints) in self.populations.places_with_endpoints() {
            let Subject { kind, value } = subject.clone();
            let actor = EntityKey { kind, gateway, workspace, value, label: String::new() }.key();
            for total in observe::totals_of(actor) {
                keys.push(total);
                keys.extend(endpoints.iter().map(|&endpoint| observe::endpoint_key(total, endpoint)));
            }
        }
        keys
    }

    /// Ends the watch of a key.
    fn unwatch(&mut self, slot: u32) {
        if let Some(watch) = self.watched.remove(&slot) {
            self.watched_untrusted -= u32::from(watch.about.untrusted);
        }
        let state = self.keys.at_mut(slot);
        state.set(Flag::Watched, false);
        state.set(Flag::Alerted, false);
    }

    fn check_consistent(&self) -> Result<(), DetectError> {
        let damaged = |problem: &str| DetectError::Damaged { part: DESCRIPTOR.name, problem: problem.to_owned() };
        let slots = 0..self.keys.slots();
        for slot in slots.clone() {
            let state = self.keys.at(slot);
            if state.is(Flag::Live) && !self.populations.has(state.population) {
                return Err(damaged("a profile names a population that is not there"));
            }
            if state.is(Flag::Watched) != self.watched.contains_key(&slot) {
                return Err(damaged("the watch list does not fit the profiles"));
            }
        }
        let mut named = self.watched.keys().chain(self.open.values().flatten());
        match named.all(|slot| slots.contains(slot)) && self.populations.is_consistent() {
            true => Ok(()),
            false => Err(damaged("a list names a profile or population that is not there")),
        }
    }
}

/// How often the eviction hand passes a key with so many active minutes by.
fn credit_of(minutes: f32) -> u16 {
    match minutes {
        m if m >= 60.0 => 3,
        m if m >= 10.0 => 2,
        m if m >= 3.0 => 1,
        _ => 0,
    }
}

impl Detector for RequestSpike {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn observe(&mut self, observed: &Observed<'_, '_>, intake: &Intake<'_>, findings: &mut Vec<Finding>) {
        self.take_in(observed, intake, findings);
    }

    fn close_epoch(&mut self, epoch: Epoch, findings: &mut Vec<Finding>) {
        self.close(epoch, findings);
    }

    /// From now on the level is normal, as high as it was found and as it went on: what is open trains, and that is the
    /// record.
    fn false_positive(&mut self, mark: &FalsePositive<'_>) {
        let actor = mark.entity.key();
        let keys = mark.endpoints.iter().map(|&endpoint| observe::endpoint_key(actor, endpoint));
        for key in keys.chain([actor]) {
            let Some(slot) = self.keys.find(key) else {
                self.counts.marks_without_profile += 1;
                continue;
            };
            if self.keys.at(slot).is(Flag::Watched) {
                self.unwatch(slot);
            }
            let state = self.keys.at_mut(slot);
            let observed = mark.observed.clamp(0.0, f64::from(u32::MAX)) as f32;
            state.max = state.max.max(observed).max(f32::from(state.spike_max));
            state.excluded = 0;
            state.set(Flag::Alerted, false);
            state.set(Flag::Covered, false);
            for minute in state.open_minutes() {
                state.set_excluded(minute, false);
            }
        }
    }

    fn forget(&mut self, subject: &Subject) {
        for key in self.keys_of(subject) {
            let Some(slot) = self.keys.find(key) else { continue };
            if self.keys.at(slot).is(Flag::Watched) {
                self.unwatch(slot);
            }
            self.remove_key(slot);
        }
    }

    fn snapshot(&self) -> Result<Vec<u8>, DetectError> {
        let snapshot = Snapshot {
            keys: self.keys.snapshot(),
            populations: self.populations.clone(),
            watched: self.watched.clone(),
            open: self.open.clone(),
            age_hand: self.age_hand,
            counts: self.counts,
        };
        postcard::to_extend(&snapshot, vec![SNAPSHOT_VERSION])
            .map_err(|e| DetectError::Unwritable { part: DESCRIPTOR.name, problem: e.to_string() })
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), DetectError> {
        let damaged = |problem: String| DetectError::Damaged { part: DESCRIPTOR.name, problem };
        let Some((&found, rest)) = bytes.split_first() else { return Err(damaged("it is empty".to_owned())) };
        if found != SNAPSHOT_VERSION {
            return Err(DetectError::Version { part: DESCRIPTOR.name, found, expected: SNAPSHOT_VERSION });
        }
        let snapshot: Snapshot = postcard::from_bytes(rest).map_err(|e| damaged(e.to_string()))?;
        let keys = KeyTable::restore(snapshot.keys, self.settings.keys_max as usize)
            .ok_or_else(|| damaged("the table of profiles contradicts itself".to_owned()))?;
        let mut restored = RequestSpike {
            settings: self.settings.clone(),
            keys,
            populations: snapshot.populations,
            watched_untrusted: snapshot.watched.values().filter(|watch| watch.about.untrusted).count() as u32,
            watched: snapshot.watched,
            open: snapshot.open,
            age_hand: snapshot.age_hand,
            counts: snapshot.counts,
        };
        restored.check_consistent()?;
        restored.shrink_to_limit();
        *self = restored;
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        let watched: usize = self.watched.values().map(Watch::memory_bytes).sum();
        let open: usize = self.open.values().map(|slots| slots.capacity() * std::mem::size_of::<u32>()).sum();
        std::mem::size_of::<Self>() + self.keys.memory_bytes() + self.populations.memory_bytes() + watched + open
    }

    fn counters(&self) -> Vec<Counter> {
        let counts = &self.counts;
        let counter = |name, value, help| Counter { name, help, value };
        vec![
            counter("profiles", self.keys.len() as u64, "profiles in memory"),
            counter("populations", self.populations.len() as u64, "populations in memory"),
            counter("watched", self.watched.len() as u64, "profiles under watch because they are unusual"),
            counter("calls_without_actor", counts.without_actor, "calls that name nobody"),
            counter("gateway_refusals", counts.gateway_refusals, "calls refused by the gateway, which do not count"),
            counter("calls_too_old", counts.calls_too_old, "calls of a minute that was closed already"),
            counter("places_refused", counts.places_refused, "calls of gateways or workspaces beyond the limit"),
            counter("endpoints_refused", counts.endpoints_refused, "calls of endpoints beyond the limit"),
            counter("profiles_evicted", counts.keys_evicted, "profiles that made room for others"),
            counter("profiles_refused", counts.keys_refused, "calls without a profile because none could make room"),
            counter("profiles_forgotten", counts.keys_forgotten, "profiles not used for too long"),
            counter("minutes_trained", counts.minutes_trained, "active minutes learned"),
            counter("minutes_excluded", counts.minutes_excluded, "active minutes of spikes, not learned"),
            counter("watch_refused", counts.watch_refused, "unusual calls not watched because too many were"),
            counter("held", counts.held, "spikes that waited for the end of the minute because others rose, too"),
            counter("shifts", counts.shifts, "rises that only moved from the actor's other endpoints"),
            counter("marks_without_profile", counts.marks_without_profile, "false positives of forgotten profiles"),
        ]
    }
}

impl RequestSpike {
    /// A smaller limit than the snapshot was written under.
    fn shrink_to_limit(&mut self) {
        while self.keys.len() > self.settings.keys_max as usize {
            let Some(slot) = self.keys.victim(None) else { return };
            self.remove_key(slot);
            self.counts.keys_evicted += 1;
        }
    }

    /// Profiles not used for too long go; each epoch looks at a part of the table, so that a day sees all of it.
    fn forget_old(&mut self, epoch: Epoch) {
        let slots = self.keys.slots();
        let minutes_max = self.settings.forget_after_days * 24 * 60;
        let now = minute_of(epoch.number);
        for _ in 0..slots.div_ceil(24 * 60) {
            let slot = self.age_hand % slots;
            self.age_hand = (slot + 1) % slots;
            let state = self.keys.at(slot);
            let unused = now.saturating_sub(state.minute()) > minutes_max;
            if state.is(Flag::Live) && !state.is(Flag::Watched) && unused {
                self.remove_key(slot);
                self.counts.keys_forgotten += 1;
            }
        }
    }
}
