//! What each endpoint carries: its parameters, how its callers authenticate, how it answers, who calls it and since when.
//!
//! This module decides what is learned from a call that the [catalogue](crate::Catalogue) gave to an endpoint, how much
//! of it is kept, and what a person may see of it. It leaves out which path is which endpoint, what is normal, and what
//! the figures mean beside a document: see [`openapi`](crate::openapi).
//!
//! Cost: every call is counted (status, authentication, route, consumer). Parameters are read from the first
//! [`Settings::read_calls`] calls of an endpoint and from one in [`Settings::read_every`] after that, and from each that
//! names a query parameter that has hardly been seen, so that what is new is never missed. Sizes, latencies and media types
//! are taken from the same first calls and from one in [`Settings::measure_every`]. Shares of parameters are of the calls
//! that were read.
//!
//! Privacy: credentials and personal values are pseudonyms before they come here. Of the rest only the kind of a value is
//! kept, a range of numbers rounded outward, and those texts that are short, plain and few. Such a text is in memory and in
//! snapshots from its first call on, and shown only once [`Settings::value_actors_min`] callers have sent it.

mod auth;
mod classes;
mod distinct;
mod figures;
mod histogram;
mod kind;
mod merge;
mod names;
mod parameter;
mod profile;
mod reading;
mod report;
mod rows;
mod settings;
mod shown;

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::FixedState;
use outrider_model::{ApiCall, EndpointId};
use serde::{Deserialize, Serialize};

pub use auth::{AuthKind, CheckedBy, is_authentication};
pub(crate) use classes::is_sensitive;
use classes::{ClassSender, Classes};
pub use figures::{
    AuthCount, Carrier, ClassSenderCount, DataClassCount, EndpointInventory, Format, KindCount, Location,
    MediaTypeCount, NamedCount, ParameterInventory, Quantiles, SignCount, StatusCount, ValueRange, ValueType,
};
pub use kind::ValueKind;
pub(crate) use names::is_ignored_header;
use profile::{Observed, Profile};
pub(crate) use report::is_stray;
pub(crate) use rows::percent;
pub use rows::{InventoryRow, RouteNames, RowError, csv, rows};
pub use settings::{Counters, OwnClasses, Settings};
pub use shown::Mark;
use shown::Shown;

/// The version of snapshots that this build writes.
const VERSION: u8 = 2;

/// The version before anything was known of exposure and classes of data: the same without [`Beside`]. It is read, too.
const FIRST_VERSION: u8 = 1;

/// Length of an epoch (decision 8).
const EPOCH_MS: i64 = 60_000;

/// Hash seed of the index of profiles; its order never reaches an output.
const SEED: u64 = 0x696e_7665_6e74_6f72;

/// Everything that a snapshot holds, the profiles in the order of their ids.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    profiles: Vec<Profile>,
    epoch: u32,
    /// Called in the open epoch.
    touched: BTreeSet<EndpointId>,
    /// To be drained.
    due: BTreeSet<EndpointId>,
    counters: Counters,
}

/// The same, to be written without a copy. Its fields are those of [`State`], in their order.
#[derive(Serialize)]
struct StateInOrder<'a> {
    profiles: Vec<&'a Profile>,
    epoch: u32,
    touched: &'a BTreeSet<EndpointId>,
    due: &'a BTreeSet<EndpointId>,
    counters: Counters,
}

/// What a snapshot has of a profile behind the state, in the order of the profiles; version 1 had none of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Beside {
    shown: Shown,
    senders: Vec<ClassSender>,
    /// Of each parameter, in their order.
    classes: Vec<Classes>,
}

/// Why bytes are not a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Written by another version.
    #[error(
        "inventory snapshot version {found} cannot be read; this build reads versions {FIRST_VERSION} and {VERSION}"
    )]
    Version {
        /// The version byte found.
        found: u8,
    },
    /// Cut off or damaged.
    #[error("inventory snapshot is damaged")]
    Damaged,
}

/// Puts what stands behind a state into it.
fn together(mut state: State, beside: Vec<Beside>) -> Result<State, SnapshotError> {
    if beside.len() != state.profiles.len() {
        return Err(SnapshotError::Damaged);
    }
    for (profile, Beside { shown, senders, classes }) in state.profiles.iter_mut().zip(beside) {
        if classes.len() != profile.parameters.len() {
            return Err(SnapshotError::Damaged);
        }
        (profile.shown, profile.senders) = (shown, senders);
        for (parameter, classes) in profile.parameters.iter_mut().zip(classes) {
            parameter.classes = classes;
        }
    }
    Ok(state)
}

/// What is known of all endpoints, learned online.
///
/// It holds at most [`Settings::endpoints_max`] endpoints in about [`Settings::bytes_max`] bytes. Near either limit those
/// that were called the longest ago are forgotten when an epoch closes.
#[derive(Debug, Clone)]
pub struct Inventory {
    settings: Settings,
    state: State,
    /// Where in `state.profiles` an endpoint is.
    index: HashMap<EndpointId, usize, FixedState>,
    /// What the profiles hold, as far as it was counted.
    bytes: usize,
}

impl Inventory {
    /// An empty inventory. Who reads settings from outside has them refused by [`Settings::validate`] first.
    pub fn new(settings: Settings) -> Self {
        Inventory::from_state(settings, State::default())
    }

    /// Puts other settings in force. What is known stays, until there is no room for it.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    fn from_state(settings: Settings, state: State) -> Self {
        let mut inventory =
            Inventory { settings, state, index: HashMap::with_hasher(FixedState::with_seed(SEED)), bytes: 0 };
        inventory.index_anew();
        inventory
    }

    fn index_anew(&mut self) {
        self.index.clear();
        self.index.extend(self.state.profiles.iter().enumerate().map(|(at, profile)| (profile.endpoint, at)));
        self.bytes = self.state.profiles.iter().map(|profile| profile.bytes).sum();
    }

    /// Learns from a call of an endpoint, whose present template is given, and of whose credential the gateway's configuration
    /// says what checks it.
    ///
    /// Only evidence counts ([`ApiCall::is_evidence`]); parameters, authentication, sizes, latencies, consumers and
    /// content types are learned only from answers of the API that show that it knows the path.
    pub fn observe(&mut self, call: &ApiCall<'_>, endpoint: EndpointId, template: &str, checked_by: CheckedBy<'_>) {
        if !call.is_evidence() {
            return;
        }
        let Some(at) = self.index_or_add(endpoint) else { return };
        let has_room = self.bytes < self.settings.bytes_max;
        let profile = &mut self.state.profiles[at];
        let observed = profile.observe(call, template, checked_by, &self.settings, has_room, &mut self.state.counters);
        if !profile.is_touched {
            profile.is_touched = true;
            self.state.touched.insert(endpoint);
        }
        if observed == Observed::New {
            profile.is_new = true;
            self.bytes = self.bytes.saturating_sub(profile.bytes);
            profile.bytes = profile.heap_bytes();
            self.bytes += profile.bytes;
        }
    }

    fn index_or_add(&mut self, endpoint: EndpointId) -> Option<usize> {
        if let Some(&at) = self.index.get(&endpoint) {
            return Some(at);
        }
        if self.state.profiles.len() >= self.settings.endpoints_max || self.bytes >= self.settings.bytes_max {
            self.state.counters.endpoints_max += 1;
            return None;
        }
        let at = self.state.profiles.len();
        self.state.profiles.push(Profile::new(endpoint));
        self.index.insert(endpoint, at);
        Some(at)
    }

    /// Moves log time on. When it enters another minute the open epoch closes, as in
    /// [`Catalogue::advance`](crate::Catalogue::advance). Says which endpoints have figures to be told since, by id.
    pub fn advance(&mut self, now_ms: i64) -> Vec<EndpointId> {
        let minute = u32::try_from(now_ms.div_euclid(EPOCH_MS)).unwrap_or(0);
        if minute <= self.state.epoch {
            return Vec::new();
        }
        let told = self.close_epoch();
        self.state.epoch = minute;
        told
    }

    fn close_epoch(&mut self) -> Vec<EndpointId> {
        let mut told = Vec::new();
        let epoch = self.state.epoch;
        for endpoint in std::mem::take(&mut self.state.touched) {
            let Some(&at) = self.index.get(&endpoint) else { continue };
            let profile = &mut self.state.profiles[at];
            profile.is_touched = false;
            if profile.is_new || epoch >= profile.reported_epoch.saturating_add(self.settings.report_every_epochs) {
                profile.is_new = false;
                profile.reported_epoch = epoch;
                self.state.due.insert(endpoint);
                told.push(endpoint);
            } else {
                // Its figures are owed until a later epoch closes.
                self.state.touched.insert(endpoint);
            }
        }
        self.forget_stale();
        told
    }

    /// Makes room where little is left: those that were called the longest ago go first, ties by id.
    fn forget_stale(&mut self) {
        let endpoints_left = self.settings.endpoints_max * 7 / 8;
        let bytes_left = self.settings.bytes_max / 8 * 7;
        if self.state.profiles.len() <= endpoints_left && self.bytes <= bytes_left {
            return;
        }
        let profiles = &mut self.state.profiles;
        profiles.sort_unstable_by_key(|profile| (std::cmp::Reverse(profile.last_ms), profile.endpoint));
        let (endpoints_max, bytes_max) = (self.settings.endpoints_max * 3 / 4, self.settings.bytes_max / 4 * 3);
        let mut bytes = 0;
        let kept = profiles.iter().take(endpoints_max).take_while(|profile| {
            bytes += profile.bytes;
            bytes <= bytes_max
        });
        let kept = kept.count();
        self.state.counters.endpoints_forgotten += (profiles.len() - kept) as u64;
        for forgotten in profiles.drain(kept..) {
            self.state.touched.remove(&forgotten.endpoint);
            self.state.due.remove(&forgotten.endpoint);
        }
        profiles.sort_unstable_by_key(|profile| profile.endpoint);
        self.index_anew();
    }

    /// Adds the figures of endpoints that were merged to those of the ones that survive (decision 14). `resolve` says which that
    /// is, as [`Catalogue::resolve`](crate::Catalogue::resolve) does. Called before each [`Inventory::advance`] that closes an epoch.
    /// Says which were merged, and into which.
    pub fn follow_merges(&mut self, resolve: impl Fn(EndpointId) -> EndpointId) -> Vec<(EndpointId, EndpointId)> {
        let merged = self.state.profiles.iter().map(|profile| (profile.endpoint, resolve(profile.endpoint)));
        let mut merged: Vec<_> = merged.filter(|(from, into)| from != into).collect();
        merged.sort_unstable();
        for (from, into) in &merged {
            self.merge(*from, *into);
        }
        merged
    }

    /// Adds an endpoint's figures to those of another and forgets the first.
    pub fn merge(&mut self, from: EndpointId, into: EndpointId) {
        if from == into {
            return;
        }
        let Some(at) = self.index.remove(&from) else { return };
        let mut gone = self.state.profiles.swap_remove(at);
        if let Some(moved) = self.state.profiles.get(at) {
            self.index.insert(moved.endpoint, at);
        }
        self.bytes = self.bytes.saturating_sub(gone.bytes);
        self.state.touched.remove(&from);
        self.state.due.remove(&from);
        match self.index.get(&into) {
            Some(&at) => {
                let kept = &mut self.state.profiles[at];
                self.bytes = self.bytes.saturating_sub(kept.bytes);
                kept.merge(gone, &self.settings, &mut self.state.counters);
                self.bytes += kept.bytes;
            }
            None => {
                gone.endpoint = into;
                // It is due, and touched anew by its next call.
                gone.is_touched = false;
                self.bytes += gone.bytes;
                self.index.insert(into, self.state.profiles.len());
                self.state.profiles.push(gone);
            }
        }
        self.state.due.insert(into);
    }

    /// Endpoints whose figures have changed, by id, as of the last closed epoch: at once where something is new, such as a
    /// parameter or a status, else every [`Settings::report_every_epochs`] in which they were called.
    pub fn drain_changes(&mut self) -> Vec<EndpointInventory> {
        std::mem::take(&mut self.state.due).into_iter().filter_map(|endpoint| self.endpoint(endpoint)).collect()
    }

    /// The figures of an endpoint as of now.
    pub fn endpoint(&self, endpoint: EndpointId) -> Option<EndpointInventory> {
        let profile = &self.state.profiles[*self.index.get(&endpoint)?];
        Some(report::report(profile, &self.settings))
    }

    /// Forgets a consumer by Kong's id, wherever it was (decision 24). What was counted of its calls stays, without it.
    pub fn forget_consumer(&mut self, consumer: &str) {
        for profile in &mut self.state.profiles {
            let before = profile.senders.len();
            profile.senders.retain(|sender| *sender.consumer != *consumer);
            if profile.senders.len() < before {
                self.state.due.insert(profile.endpoint);
            }
        }
    }

    /// How many endpoints it knows.
    pub fn len(&self) -> usize {
        self.state.profiles.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.state.profiles.is_empty()
    }

    /// What was dropped or cut at a limit.
    pub fn counters(&self) -> Counters {
        self.state.counters
    }

    /// Roughly the memory that it holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.bytes + self.index.capacity() * 24
    }

    /// The whole state. The same state gives the same bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let State { profiles, epoch, touched, due, counters } = &self.state;
        let mut profiles: Vec<&Profile> = profiles.iter().collect();
        profiles.sort_unstable_by_key(|profile| profile.endpoint);
        let state = StateInOrder { profiles, epoch: *epoch, touched, due, counters: *counters };
        let beside = state.profiles.iter().map(|profile| {
            let classes: Vec<_> = profile.parameters.iter().map(|parameter| &parameter.classes).collect();
            (&profile.shown, &profile.senders, classes)
        });
        let beside: Vec<_> = beside.collect();
        // Serialising into memory cannot fail: every type here has a length and is no trait object.
        postcard::to_extend(&(&state, beside), vec![VERSION]).unwrap_or_default()
    }

    /// An inventory that goes on as the one that wrote the snapshot would have, given the same settings.
    pub fn restore(settings: Settings, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let state = match bytes {
            [VERSION, state @ ..] => {
                let (state, beside) = postcard::from_bytes(state).map_err(|_| SnapshotError::Damaged)?;
                together(state, beside)?
            }
            [FIRST_VERSION, state @ ..] => postcard::from_bytes(state).map_err(|_| SnapshotError::Damaged)?,
            [found, ..] => return Err(SnapshotError::Version { found: *found }),
            [] => return Err(SnapshotError::Damaged),
        };
        Ok(Inventory::from_state(settings, state))
    }
}
