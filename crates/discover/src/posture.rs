//! Posture: how safely the APIs behind a gateway are offered, as far as their traffic and the gateway's configuration show it.
//!
//! This module decides what is weak, keeps each weakness from its opening to its end, and gives endpoints and services a score of
//! their risk. Nothing here is about a caller who abuses an API: that is detection. It leaves out who hears of a weakness.
//!
//! What is looked at is what the [inventory](crate::inventory) says of endpoints, what a gateway is configured to do, what an owner's
//! document says, and when callers were there. The checks are one folder each, in [`checks`]; a check is a function of a
//! service or of a gateway, and knows nothing of time before. So what it no longer finds is fixed, and the rules of when a
//! sign in traffic is over are the same for all ([`Settings::fixed_after_calls`]).
//!
//! A service is judged when something of it changed, at the end of that minute of log time, and otherwise once an hour, because time
//! alone ends some things. The same calls, rows and decisions in the same order give the same weaknesses, byte for byte.

mod callers;
pub mod checks;
mod configured;
mod facts;
mod life;
mod names;
mod outline;
mod query;
mod score;
mod settings;
mod tables;
mod view;
mod weakness;

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::{ApiCall, Endpoint, EndpointId, GatewaySnapshot, WeaknessId};
use serde::{Deserialize, Serialize};

use crate::inventory::EndpointInventory;
use callers::Callers;
use configured::Configured;
use facts::Facts;
use life::{Asked, Life};
use outline::Documented;
use view::{Findings, GatewayView, ServiceView};

pub use checks::{Check, Descriptor};
pub use outline::DocumentOutline;
pub use score::{Factor, Move, RiskScore, ScoreSubject};
pub use settings::{Counters, PostureSettingsError, Settings};
pub use tables::{ClassRow, CsvError, UnreadBodies, WeaknessRow, class_rows, csv, severity_word, unread_bodies};
pub use weakness::{
    ENDPOINTS_MAX, Evidence, Exception, ExceptionRefused, Found, Opened, ServiceKey, WeakSubject, Weakness,
    WeaknessState, Why,
};

/// The version of snapshots that this build writes; it reads no other.
const VERSION: u8 = 1;

const MINUTE_MS: i64 = 60_000;

/// Minutes after which a service is judged although nothing of it changed.
const JUDGE_EVERY_MINUTES: i64 = 60;

/// Days after which a credential's networks are forgotten.
const NETWORKS_DAYS: i64 = 7;

const DAY_MS: i64 = 86_400_000;

/// Why bytes are not a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Written by another version.
    #[error("posture snapshot version {found} cannot be read; this build reads version {VERSION}")]
    Version {
        /// The version byte found.
        found: u8,
    },
    /// Cut off or damaged.
    #[error("posture snapshot is damaged")]
    Damaged,
}

/// What is judged together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Scope {
    Service(ServiceKey),
    Gateway(String),
}

/// A service with what is known of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Place {
    endpoints: BTreeMap<EndpointId, Facts>,
    outline: Option<DocumentOutline>,
    /// What each endpoint is in the document, as of the last time that either changed.
    documented: BTreeMap<EndpointId, Documented>,
    /// Endpoints that no route takes, as of then.
    uncovered: BTreeSet<EndpointId>,
    is_document_due: bool,
    scores: score::Scores,
}

/// A gateway with what is known of it.
#[derive(Debug, Clone, Default)]
struct Gateway {
    configured: Option<Configured>,
    callers: Callers,
}

/// A configuration as JSON, since some of its types say in a field what they are, with what is known besides.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    json: String,
    routes_since_ms: i64,
    is_cut: bool,
}

/// Everything that a snapshot holds.
#[derive(Debug, Serialize, Deserialize)]
struct Snapshot {
    places: Vec<(ServiceKey, Place)>,
    gateways: Vec<(String, Option<Kept>, Callers)>,
    life: Life,
    dirty: BTreeSet<Scope>,
    minute: i64,
    counters: Counters,
}

/// What is weak, and how it went on.
#[derive(Debug, Clone)]
pub struct Posture {
    settings: Settings,
    places: BTreeMap<ServiceKey, Place>,
    /// Where an endpoint is.
    index: BTreeMap<EndpointId, ServiceKey>,
    gateways: BTreeMap<String, Gateway>,
    life: Life,
    dirty: BTreeSet<Scope>,
    minute: i64,
    /// Callers that are kept, of all gateways.
    callers: usize,
    counters: Counters,
}

impl Posture {
    /// One that has seen nothing. Who reads settings from outside has them refused by [`Settings::validate`] first.
    pub fn new(settings: Settings) -> Posture {
        Posture {
            settings,
            places: BTreeMap::new(),
            index: BTreeMap::new(),
            gateways: BTreeMap::new(),
            life: Life::default(),
            dirty: BTreeSet::new(),
            minute: i64::MIN,
            callers: 0,
            counters: Counters::default(),
        }
    }

    /// Puts other settings in force. All is judged anew when the minute is over.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.dirty.extend(self.places.keys().cloned().map(Scope::Service));
        self.dirty.extend(self.gateways.keys().cloned().map(Scope::Gateway));
    }

    /// Takes in what a gateway is configured to do, in the place of what it was before.
    pub fn configured(&mut self, snapshot: &GatewaySnapshot) {
        let (mut configured, left_out) = Configured::new(snapshot.clone(), self.settings.configured_max);
        self.counters.configured_max += left_out;
        let name = &snapshot.gateway;
        for service in &configured.snapshot.configuration.services {
            let is_known = self.places.keys().any(|key| key.gateway == *name && key.service == service.id);
            let key = ServiceKey { gateway: name.clone(), workspace: String::new(), service: service.id.clone() };
            if !is_known && self.has_room_for(&key) {
                self.places.insert(key, Place::default());
            }
        }
        let gateway = self.gateways.entry(name.clone()).or_default();
        gateway.configured.iter().for_each(|before| configured.follow(before));
        gateway.configured = Some(configured);
        for (key, place) in self.places.iter_mut().filter(|(key, _)| key.gateway == *name) {
            place.is_document_due = true;
            self.dirty.insert(Scope::Service(key.clone()));
        }
        self.dirty.insert(Scope::Gateway(name.clone()));
    }

    /// Takes in what the owner of a service says of it; `None` takes it away.
    pub fn documented(&mut self, key: &ServiceKey, outline: Option<DocumentOutline>) {
        if outline.is_none() && !self.places.contains_key(key) || !self.has_room_for(key) {
            return;
        }
        let place = self.places.entry(key.clone()).or_default();
        place.outline = outline;
        place.is_document_due = true;
        self.dirty.insert(Scope::Service(key.clone()));
    }

    fn has_room_for(&mut self, key: &ServiceKey) -> bool {
        let has_room = self.places.contains_key(key) || self.places.len() < self.settings.services_max;
        self.counters.services_max += u64::from(!has_room);
        has_room
    }

    /// Notes who made a call. Only evidence counts, as in the inventory.
    pub fn observe(&mut self, call: &ApiCall<'_>) {
        if !call.is_evidence() {
            return;
        }
        let Posture { gateways, callers, settings, counters, .. } = self;
        if !gateways.contains_key(&*call.gateway) {
            gateways.insert(call.gateway.as_str().to_owned(), Gateway::default());
        }
        if let Some(gateway) = gateways.get_mut(&*call.gateway) {
            gateway.callers.note(call, callers, settings, counters);
        }
    }

    /// Takes in what is known of an endpoint now. One that was merged or is ignored is forgotten.
    pub fn survey(&mut self, endpoint: &Endpoint, seen: &EndpointInventory) {
        if endpoint.merged_into.is_some() || endpoint.ignored {
            return self.forget(endpoint.id);
        }
        let key = ServiceKey {
            gateway: endpoint.key.gateway.clone(),
            workspace: endpoint.key.workspace.clone(),
            service: endpoint.key.service.clone(),
        };
        let is_known = self.index.get(&endpoint.id) == Some(&key);
        if !is_known {
            self.forget(endpoint.id);
            if self.index.len() >= self.settings.endpoints_max {
                self.counters.endpoints_max += 1;
                return;
            }
            self.take_configured(&key);
            if !self.has_room_for(&key) {
                return;
            }
            self.index.insert(endpoint.id, key.clone());
        }
        let place = self.places.entry(key.clone()).or_default();
        let before = place.endpoints.get(&endpoint.id);
        place.is_document_due |= before.is_none_or(|facts| facts.endpoint.key != endpoint.key);
        let facts = Facts::new(endpoint, seen, before.map(|facts| facts.errors), self.minute.saturating_mul(MINUTE_MS));
        place.endpoints.insert(endpoint.id, facts);
        self.dirty.insert(Scope::Service(key));
    }

    /// A service that only the configuration knew has its first calls, which tell its workspace.
    fn take_configured(&mut self, key: &ServiceKey) {
        let configured = ServiceKey { workspace: String::new(), ..key.clone() };
        if *key == configured || self.places.contains_key(key) {
            return;
        }
        if self.places.get(&configured).is_some_and(|place| place.endpoints.is_empty()) {
            if let Some(place) = self.places.remove(&configured) {
                self.places.insert(key.clone(), place);
            }
            let (from, into) = (Scope::Service(configured), Scope::Service(key.clone()));
            self.dirty.remove(&from);
            self.life.move_scope(&from, &into);
        }
    }

    /// Forgets an endpoint: it was merged into another, or nobody wants to hear of it.
    pub fn forget(&mut self, endpoint: EndpointId) {
        let Some(key) = self.index.remove(&endpoint) else { return };
        if let Some(place) = self.places.get_mut(&key) {
            place.endpoints.remove(&endpoint);
            place.documented.remove(&endpoint);
            place.uncovered.remove(&endpoint);
            place.scores.forget(endpoint);
        }
        self.dirty.insert(Scope::Service(key));
    }

    /// Moves log time on. When it enters another minute, what has changed is judged, and exceptions end.
    pub fn advance(&mut self, now_ms: i64) {
        let minute = now_ms.div_euclid(MINUTE_MS);
        if minute <= self.minute {
            return;
        }
        if minute.div_euclid(JUDGE_EVERY_MINUTES) != self.minute.div_euclid(JUDGE_EVERY_MINUTES) {
            self.dirty.extend(self.places.keys().cloned().map(Scope::Service));
            self.dirty.extend(self.gateways.keys().cloned().map(Scope::Gateway));
            self.forget_callers(now_ms);
            self.life.forget_fixed(now_ms - i64::from(self.settings.fixed_kept_days) * DAY_MS);
        }
        self.minute = minute;
        self.life.end_exceptions(now_ms);
        self.judge(now_ms);
    }

    /// Judges what has changed, whatever the minute.
    pub fn judge(&mut self, now_ms: i64) {
        for scope in std::mem::take(&mut self.dirty) {
            match scope {
                Scope::Service(key) => self.judge_service(&key, now_ms),
                Scope::Gateway(gateway) => self.judge_gateway(&gateway, now_ms),
            }
        }
    }

    fn judge_service(&mut self, key: &ServiceKey, now_ms: i64) {
        let Posture { settings, places, gateways, life, counters, .. } = self;
        let Some(place) = places.get_mut(key) else { return };
        let configured = gateways.get(&key.gateway).and_then(|gateway| gateway.configured.as_ref());
        if std::mem::take(&mut place.is_document_due) {
            let read = configured.and_then(|configured| configured.routes_read(&key.service)).unwrap_or_default();
            place.documented =
                place.outline.as_ref().map(|outline| outline.find(&place.endpoints, &read.routes)).unwrap_or_default();
            let seen = place.endpoints.values().map(|facts| (&facts.endpoint, &facts.seen));
            place.uncovered = read.uncovered(seen);
        }
        let view = ServiceView {
            key,
            endpoints: &place.endpoints,
            configured,
            outline: place.outline.as_ref(),
            documented: &place.documented,
            uncovered: &place.uncovered,
            settings,
            now_ms,
        };
        let scope = Scope::Service(key.clone());
        for check in checks::ALL {
            let checks::Rule::Service(rule) = check.rule else { continue };
            let mut findings = Findings::default();
            if !settings.disabled.iter().any(|name| name == check.descriptor.name) {
                rule(&view, &mut findings);
            }
            let asked = Asked { scope: &scope, descriptor: check.descriptor, settings, now_ms };
            life.take_in(asked, findings, counters);
        }
        let weaknesses: Vec<&Weakness> = life.standing_of(&scope).collect();
        place.scores.judge(key, &place.endpoints, &weaknesses, settings, now_ms);
        let is_configured = configured.is_some_and(|configured| configured.service(&key.service).is_some());
        if place.endpoints.is_empty() && place.outline.is_none() && !is_configured {
            places.remove(key);
        }
    }

    fn judge_gateway(&mut self, name: &str, now_ms: i64) {
        let Posture { settings, gateways, life, counters, .. } = self;
        let Some(gateway) = gateways.get(name) else { return };
        let view = GatewayView {
            gateway: name,
            configured: gateway.configured.as_ref(),
            callers: &gateway.callers,
            settings,
            now_ms,
        };
        let scope = Scope::Gateway(name.to_owned());
        for check in checks::ALL {
            let checks::Rule::Gateway(rule) = check.rule else { continue };
            let mut findings = Findings::default();
            if !settings.disabled.iter().any(|name| name == check.descriptor.name) {
                rule(&view, &mut findings);
            }
            let asked = Asked { scope: &scope, descriptor: check.descriptor, settings, now_ms };
            life.take_in(asked, findings, counters);
        }
    }

    /// Forgets callers of long ago. A consumer who was away for twice as long as makes one dormant is as good as one who was never
    /// seen.
    fn forget_callers(&mut self, now_ms: i64) {
        let consumers_ms = now_ms - i64::from(self.settings.dormant_days) * 2 * DAY_MS;
        let credentials_ms = now_ms - NETWORKS_DAYS * DAY_MS;
        for gateway in self.gateways.values_mut() {
            gateway.callers.consumers.retain(|_, last_ms| *last_ms >= consumers_ms);
            gateway.callers.credentials.retain(|_, seen| seen.last_ms >= credentials_ms);
        }
        self.callers = self.gateways.values().map(|gateway| gateway.callers.len()).sum();
    }

    /// Leaves a weakness for a while, also one that is not known yet. A second exception takes the place of the first.
    pub fn except(&mut self, now_ms: i64, exception: Exception) -> Result<WeaknessId, ExceptionRefused> {
        self.life.except(now_ms, exception, &self.settings)
    }

    /// Takes an exception back; `false` where there is none.
    pub fn withdraw(&mut self, now_ms: i64, weakness: WeaknessId) -> bool {
        self.life.withdraw(now_ms, weakness)
    }

    /// Exceptions that stand, by the weakness that they are for.
    pub fn exceptions(&self) -> impl Iterator<Item = (WeaknessId, &Exception)> {
        self.life.exceptions()
    }

    /// A weakness, open or not.
    pub fn weakness(&self, id: WeaknessId) -> Option<&Weakness> {
        self.life.weakness(id)
    }

    /// All weaknesses, by id.
    pub fn weaknesses(&self) -> impl Iterator<Item = &Weakness> {
        self.life.weaknesses()
    }

    /// Rows that changed since this was asked last, by id.
    pub fn drain_changes(&mut self) -> Vec<Weakness> {
        self.life.drain_changes()
    }

    /// Weaknesses that somebody should hear of, in the order in which they were found.
    pub fn drain_opened(&mut self) -> Vec<Opened> {
        self.life.drain_opened()
    }

    /// Weaknesses that were open when this was asked last and are not any more, by id.
    pub fn drain_closed(&mut self) -> Vec<Weakness> {
        self.life.drain_closed()
    }

    /// Weaknesses that were forgotten since this was asked last, by id.
    pub fn drain_gone(&mut self) -> Vec<WeaknessId> {
        self.life.drain_gone()
    }

    /// Scores that changed since this was asked last: endpoints by id, then services.
    pub fn drain_scores(&mut self) -> Vec<RiskScore> {
        let mut drained: Vec<RiskScore> =
            self.places.iter_mut().flat_map(|(key, place)| place.scores.drain(key)).collect();
        drained.sort_by(|one, other| one.subject.cmp(&other.subject));
        drained
    }

    /// What was left out at a limit.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The whole state. The same state gives the same bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let kept = |gateway: &Gateway| {
            let configured = gateway.configured.as_ref()?;
            let json = serde_json::to_string(&configured.snapshot).ok()?;
            Some(Kept { json, routes_since_ms: configured.routes_since_ms, is_cut: configured.is_cut })
        };
        let gateways = self.gateways.iter().map(|(name, gateway)| (name, kept(gateway), &gateway.callers));
        let places: Vec<(&ServiceKey, &Place)> = self.places.iter().collect();
        let state = (places, gateways.collect::<Vec<_>>(), &self.life, &self.dirty, self.minute, self.counters);
        // Serialising into memory cannot fail: every type here has a length and is no trait object.
        postcard::to_extend(&state, vec![VERSION]).unwrap_or_default()
    }

    /// One that goes on as the one that wrote the snapshot would have, given the same settings.
    pub fn restore(settings: Settings, bytes: &[u8]) -> Result<Posture, SnapshotError> {
        let state: Snapshot = match bytes {
            [VERSION, state @ ..] => postcard::from_bytes(state).map_err(|_| SnapshotError::Damaged)?,
            [found, ..] => return Err(SnapshotError::Version { found: *found }),
            [] => return Err(SnapshotError::Damaged),
        };
        let mut posture = Posture { minute: state.minute, counters: state.counters, ..Posture::new(settings) };
        posture.places = state.places.into_iter().collect();
        for (key, place) in &posture.places {
            posture.index.extend(place.endpoints.keys().map(|id| (*id, key.clone())));
        }
        for (name, kept, callers) in state.gateways {
            let configured = match kept {
                Some(Kept { json, routes_since_ms, is_cut }) => {
                    let snapshot = serde_json::from_str(&json).map_err(|_| SnapshotError::Damaged)?;
                    let (mut configured, _) = Configured::new(snapshot, posture.settings.configured_max);
                    configured.routes_since_ms = routes_since_ms;
                    configured.is_cut |= is_cut;
                    Some(configured)
                }
                None => None,
            };
            posture.callers += callers.len();
            posture.gateways.insert(name, Gateway { configured, callers });
        }
        (posture.life, posture.dirty) = (state.life, state.dirty);
        Ok(posture)
    }
}
