//! Enrichment: what is looked up about a call before it enters the log.
//!
//! It decides what a call's [`Enrichment`] says: where its address is, what network and program it came from, and which
//! entities of the business it names. It happens once, before the call is a record of the log, so that a replay of the log
//! opens none of these files (decision 8). The files are the operator's: databases in MaxMind's format and lists of networks.
//! One that is missing or broken is told of and costs nothing but what it would have said; one that is replaced is read
//! anew while outrider runs.
//!
//! [`geo`] reads databases, [`networks`] lists, [`agents`] the `user-agent`, [`entities`] the call itself; [`files`]
//! notices what was replaced.

mod agents;
mod entities;
mod files;
mod geo;
mod networks;
mod settings;
mod status;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use outrider_model::{ApiCall, Enrichment, FieldValue, NetworkClass, Pseudonym, Text};
use quick_cache::sync::Cache;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use agents::Agents;
use entities::Entities;
use files::Watched;
use geo::{Database, Whereabouts};
use networks::{Classes, List};

pub use entities::EntitySettings;
pub use geo::{DatabaseFacts, look_at_database};
pub use networks::look_at_list;
pub use settings::{EnrichSettings, ListClass, ListSettings, SettingsError};

/// How often it is looked whether a file was replaced.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Addresses that are remembered with what the databases say of them, some 200 bytes each.
const ADDRESSES_REMEMBERED: usize = 32_768;

/// Enriches calls. One serves all threads; what it knows is replaced as a whole.
pub struct Enricher {
    current: RwLock<Arc<Known>>,
    loader: Mutex<Loader>,
    /// What is told of the files, so that whoever asks does not wait while one is read.
    files: RwLock<Value>,
    agents: Agents,
    counters: Counters,
}

/// What calls are enriched with; never changed, only replaced.
struct Known {
    databases: Vec<Arc<Database>>,
    classes: Classes,
    entities: Entities,
    addresses: Cache<IpAddr, Arc<Whereabouts>>,
}

/// The files behind [`Known`].
struct Loader {
    settings: EnrichSettings,
    databases: Vec<Watched<Database>>,
    lists: Vec<Watched<List>>,
}

/// What was done since the start.
#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    located_calls: AtomicU64,
    lookup_failures: AtomicU64,
    entities: AtomicU64,
    entities_left_out: AtomicU64,
    batches_not_enriched: AtomicU64,
}

impl Enricher {
    /// Reads all files. Settings that cannot be meant are an error; a file that cannot be used is a warning in the log.
    pub fn open(settings: EnrichSettings, now_ms: i64) -> Result<Enricher, SettingsError> {
        let entities = Entities::new(&settings.entities)?;
        settings.validate()?;
        let mut loader = Loader::new(settings);
        loader.refresh(now_ms);
        Ok(Enricher {
            current: RwLock::new(Arc::new(loader.known(entities))),
            files: RwLock::new(loader.to_json()),
            loader: Mutex::new(loader),
            agents: Agents::new(),
            counters: Counters::default(),
        })
    }

    /// Says what is known of a call. What somebody else said of it is replaced.
    pub fn enrich(&self, call: &mut ApiCall<'_>) {
        self.enrich_from(call, None);
    }

    /// As [`Enricher::enrich`], where the call has a pseudonym in place of this address. Without the address, what the collector said
    /// that saw it stays: nobody else can look it up.
    pub fn enrich_from(&self, call: &mut ApiCall<'_>, hidden_address: Option<IpAddr>) {
        let known = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let mut enrichment = Enrichment::default();
        match hidden_address.or(call.client_ip) {
            Some(address) if Pseudonym::is_address(address) => {
                let Enrichment { country, city, coordinates, asn, as_name, network, .. } =
                    std::mem::take(&mut call.enrichment);
                enrichment = Enrichment { country, city, coordinates, asn, as_name, network, ..enrichment };
            }
            Some(address) => self.locate(&known, address.to_canonical(), &mut enrichment),
            None => {}
        }
        if let Some(agent) = user_agent(call) {
            (enrichment.agent_family, enrichment.agent) = self.agents.look_up(agent);
        }
        let left_out = known.entities.find(call, &mut enrichment.entities);
        let counters = &self.counters;
        counters.calls.fetch_add(1, Ordering::Relaxed);
        counters.located_calls.fetch_add(u64::from(enrichment.country.is_some()), Ordering::Relaxed);
        if !enrichment.entities.is_empty() || left_out > 0 {
            counters.entities.fetch_add(enrichment.entities.len() as u64, Ordering::Relaxed);
            counters.entities_left_out.fetch_add(left_out, Ordering::Relaxed);
        }
        call.enrichment = enrichment;
    }

    fn locate(&self, known: &Known, address: IpAddr, enrichment: &mut Enrichment<'_>) {
        if known.databases.is_empty() && !known.classes.has_systems() {
            enrichment.network = known.classes.of_address(address).unwrap_or_default();
            return;
        }
        let found = known.addresses.get(&address).unwrap_or_else(|| {
            let found = Arc::new(self.whereabouts(known, address));
            known.addresses.insert(address, Arc::clone(&found));
            found
        });
        enrichment.country = found.country;
        enrichment.city = Text::from(found.city.clone());
        enrichment.coordinates = found.coordinates;
        enrichment.asn = found.asn;
        enrichment.as_name = Text::from(found.as_name.clone());
        enrichment.network = found.network;
    }

    /// The databases complete each other in their order. The operator's lists outrank what a database says of a network.
    fn whereabouts(&self, known: &Known, address: IpAddr) -> Whereabouts {
        let mut found = Whereabouts::default();
        for database in &known.databases {
            if let Err(error) = database.complete(address, &mut found) {
                self.counters.lookup_failures.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, %address, "a database gives no answer");
            }
        }
        let listed = known.classes.of_address(address).or_else(|| known.classes.of_system(found.asn?));
        found.network = listed.unwrap_or(found.network);
        found
    }

    /// Reads anew what was replaced since the last look.
    pub fn refresh(&self, now_ms: i64) {
        let mut loader = self.lock_loader();
        if loader.refresh(now_ms) {
            // The settings were checked when they were put in force.
            if let Ok(entities) = Entities::new(&loader.settings.entities) {
                self.replace(loader.known(entities));
            }
        }
        self.tell(&loader);
    }

    /// Puts other settings in force, from the next call on. Files that both name are read only where they were replaced.
    pub fn reconfigure(&self, settings: EnrichSettings, now_ms: i64) -> Result<(), SettingsError> {
        let entities = Entities::new(&settings.entities)?;
        settings.validate()?;
        let mut loader = self.lock_loader();
        loader.take_over(settings);
        loader.refresh(now_ms);
        self.replace(loader.known(entities));
        self.tell(&loader);
        Ok(())
    }

    /// Looks for replaced files until it is cancelled.
    pub async fn follow(self: Arc<Self>, now_ms: fn() -> i64, cancel: CancellationToken) {
        let mut interval = tokio::time::interval(LOOK_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        while cancel.run_until_cancelled(interval.tick()).await.is_some() {
            let enricher = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || enricher.refresh(now_ms()));
            if let Err(error) = looked.await {
                tracing::error!(%error, "the files of enrichment could not be looked at");
            }
        }
    }

    /// A batch that would have become too large for the log enters it as it came.
    pub(crate) fn left_a_batch(&self) {
        self.counters.batches_not_enriched.fetch_add(1, Ordering::Relaxed);
    }

    fn replace(&self, known: Known) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }

    fn tell(&self, loader: &Loader) {
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = loader.to_json();
    }

    fn lock_loader(&self) -> std::sync::MutexGuard<'_, Loader> {
        self.loader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loader {
    fn new(settings: EnrichSettings) -> Loader {
        let mut loader = Loader { settings: EnrichSettings::default(), databases: Vec::new(), lists: Vec::new() };
        loader.take_over(settings);
        loader
    }

    fn take_over(&mut self, settings: EnrichSettings) {
        self.databases = files::keep(std::mem::take(&mut self.databases), settings.databases.iter().cloned());
        self.lists = files::keep(std::mem::take(&mut self.lists), settings.lists.iter().map(|list| list.file.clone()));
        self.settings = settings;
    }

    /// Whether anything was read anew.
    fn refresh(&mut self, now_ms: i64) -> bool {
        let mut changed = false;
        for database in &mut self.databases {
            changed |= database.refresh(now_ms);
        }
        for list in &mut self.lists {
            changed |= list.refresh(now_ms);
        }
        changed
    }

    fn known(&self, entities: Entities) -> Known {
        let classes = self.settings.lists.iter().map(|list| NetworkClass::from(list.class));
        let lists = classes.zip(&self.lists).filter_map(|(class, list)| Some((class, list.current()?)));
        Known {
            databases: self.databases.iter().filter_map(Watched::current).collect(),
            classes: Classes::new(lists),
            entities,
            addresses: Cache::new(ADDRESSES_REMEMBERED),
        }
    }
}

fn user_agent<'c>(call: &'c ApiCall<'_>) -> Option<&'c str> {
    let header = call.headers.iter().find(|header| &*header.name == "user-agent")?;
    match &header.value {
        FieldValue::Clear(value) if !value.is_empty() => Some(value),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
