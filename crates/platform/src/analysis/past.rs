//! Learning from the past: which imported calls nothing has been learnt from yet, and learning everything again.
//!
//! Imported calls are older than what is known already, so they cannot follow it: they would be late. So what is normal is
//! learnt again from nothing, of all calls in the order of their time (decision 12), with the endpoints that are known in the
//! end. Endpoints are learnt on: the imported calls are added to what is known of them, so ids stay, or redirect by the
//! catalogue's own rules. Nothing that is found on the way is handed to the desk: the past does not act on the present.

use std::ops::RangeInclusive;

use outrider_detect::{Engine, FalsePositive, Observed};
use outrider_discover::Catalogue;
use outrider_discover::inventory::{self, Inventory};
use outrider_model::{AlertState, ApiCall, EndpointId};
use serde::{Deserialize, Serialize};

use super::credentials::CredentialKinds;
use super::{Analysis, AnalysisError, AnalysisSettings, EndpointNames, mark_of};
use crate::log::{History, Position};

/// Stretches of the log that are told apart. Beyond, the last one grows over what lies between, whose calls then count twice
/// for the endpoints.
const STRETCHES_MAX: usize = 64;
/// How old a call must be for profiles to be learnt from it again. Whatever a window was waiting for is decided by then, and
/// dropped: what began in the past must not become a finding of the present.
const SETTLED_AFTER_MS: i64 = 120_000;

/// What was imported, as far as the analysis knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Past {
    /// How many times everything was learnt again.
    version: u32,
    /// The records of all imports, as first and last of each stretch.
    imported: Vec<(u64, u64)>,
    /// Those that nothing was learnt from yet.
    unlearnt: Vec<(u64, u64)>,
    /// From how many calls everything was learnt the last time,
    learnt_from: u64,
    /// and how many the analysis had seen by then.
    seen_then: u64,
}

impl Past {
    /// How many times everything was learnt again.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The records of all imports: the calls of the lake that carry one of them are no news.
    pub fn imported(&self) -> Vec<RangeInclusive<u64>> {
        ranges(&self.imported)
    }

    /// The records of imports that nothing was learnt from yet.
    pub fn unlearnt(&self) -> Vec<RangeInclusive<u64>> {
        ranges(&self.unlearnt)
    }

    fn add(&mut self, Position(position): Position) {
        for stretches in [&mut self.imported, &mut self.unlearnt] {
            let is_full = stretches.len() >= STRETCHES_MAX;
            match stretches.last_mut() {
                Some((_, last)) if is_full || *last + 1 >= position => *last = position.max(*last),
                _ => stretches.push((position, position)),
            }
        }
    }
}

fn ranges(stretches: &[(u64, u64)]) -> Vec<RangeInclusive<u64>> {
    stretches.iter().map(|&(first, last)| first..=last).collect()
}

/// An analysis' endpoints and profiles while they are learnt again.
pub struct Relearning {
    discover: outrider_discover::Settings,
    detect: outrider_detect::Settings,
    inventory_settings: inventory::Settings,
    catalogue: Catalogue,
    inventory: Inventory,
    credentials: CredentialKinds,
    engine: Engine,
    names: EndpointNames,
    has_gone_back: bool,
    present_ms: i64,
    calls: u64,
}

impl Analysis {
    /// What was imported.
    pub fn past(&self) -> &Past {
        &self.past
    }

    /// Takes in what an import did. Its calls are not in the log, so there is nothing to learn or to judge here; and that
    /// everything was learnt again, who was there knows from its snapshot.
    pub fn take_in_history(&mut self, position: Position, history: &History) {
        if matches!(history, History::Imported { .. }) {
            self.past.add(position);
        }
    }

    /// Begins to learn everything again that was before the present, under settings that need not be those in force.
    pub fn relearn(&self, settings: &AnalysisSettings, present_ms: i64) -> Result<Relearning, AnalysisError> {
        let catalogue = self.catalogue_under(settings)?;
        let engine = Engine::new(settings.detect.clone()).map_err(|e| AnalysisError::Detect(e.to_string()))?;
        let names = EndpointNames::default();
        let present_ms = present_ms.max(self.now_ms);
        let (discover, detect) = (settings.discover.clone(), settings.detect.clone());
        let inventory_settings = settings.inventory.clone();
        let inventory = Inventory::new(inventory_settings.clone());
        Ok(Relearning {
            discover,
            detect,
            inventory_settings,
            catalogue,
            inventory,
            credentials: self.credentials.clone(),
            engine,
            names,
            has_gone_back: false,
            present_ms,
            calls: 0,
        })
    }

    /// From how many calls what is normal was learnt.
    pub fn learnt_calls(&self) -> u64 {
        self.past.learnt_from + self.calls.saturating_sub(self.past.seen_then)
    }

    /// What is known of endpoints, to be learnt on under these settings.
    fn catalogue_under(&self, settings: &AnalysisSettings) -> Result<Catalogue, AnalysisError> {
        Catalogue::restore(settings.discover.clone(), &self.catalogue.snapshot())
            .map_err(|e| AnalysisError::Discover(e.to_string()))
    }

    /// Puts what was learnt in the place of what was known, with the settings that it was learnt under: those before may have
    /// room for less. Alerts, policies and actions stay as they are.
    pub fn take_over(&mut self, learnt: Relearning) {
        let Relearning { discover, detect, inventory_settings, present_ms, calls, .. } = learnt;
        let Relearning { mut catalogue, mut inventory, mut engine, .. } = learnt;
        catalogue.advance(present_ms);
        engine.advance(present_ms, &mut Vec::new());
        // What a person has called normal stays so.
        for alert in self.desk.alerts().filter(|alert| alert.state == AlertState::FalsePositive) {
            // Its endpoints may have been merged since.
            let endpoints: Vec<_> = alert.endpoints.iter().map(|&id| catalogue.resolve(id)).collect();
            engine.feedback(&FalsePositive { endpoints: &endpoints, ..mark_of(alert) });
        }
        inventory.follow_merges(|id| catalogue.resolve(id));
        inventory.advance(present_ms);
        engine.take_the_place_of(&self.engine);
        (self.settings.discover, self.settings.detect) = (discover, detect);
        self.settings.inventory = inventory_settings;
        self.catalogue = catalogue;
        self.inventory = inventory;
        self.engine = engine;
        self.survey_past();
        self.names = EndpointNames::default();
        self.past.version += 1;
        self.past.unlearnt.clear();
        (self.past.learnt_from, self.past.seen_then) = (calls, self.calls);
    }
}

impl Relearning {
    /// Learns the endpoints of an imported call. All of these come before the first [`Relearning::profile`], in the order of
    /// their time.
    pub fn discover(&mut self, call: &ApiCall<'_>) {
        follow(&mut self.catalogue, &mut self.has_gone_back, call.event_ms);
        self.catalogue.assign(call);
    }

    /// Ends what [`Relearning::discover`] began: what was waiting to be weighed is weighed.
    pub fn discovered(&mut self) {
        self.catalogue.advance(self.present_ms);
    }

    /// Learns what is normal from a call. They come in the order of their time; the last two minutes before the present are
    /// left out. `known` is its endpoint as it was known when it came.
    pub fn profile(&mut self, call: &ApiCall<'_>, known: Option<EndpointId>) {
        let found = self.catalogue.lookup_call(call);
        if let (Some(known), Some(found)) = (known, found) {
            self.catalogue.redirect(known, found);
        }
        if call.event_ms > self.present_ms.saturating_sub(SETTLED_AFTER_MS) {
            return;
        }
        let endpoint = found.or_else(|| known.map(|id| self.catalogue.resolve(id)));
        self.calls += 1;
        let found = endpoint.and_then(|id| self.catalogue.endpoint(id));
        let name = found.map(|endpoint| self.names.of(endpoint)).unwrap_or_default();
        // Its endpoint is the one that is known in the end, so none is re-templated any more.
        let observed = Observed { call, number: self.calls, endpoint, endpoint_settled: true, endpoint_name: name };
        let mut findings = Vec::new();
        if let Some(endpoint) = found {
            self.inventory.advance(call.event_ms);
            self.inventory.observe(call, endpoint.id, &endpoint.key.template, self.credentials.of(call));
        }
        self.engine.advance(call.event_ms, &mut findings);
        self.engine.observe(&observed, &mut findings);
    }

    /// From how many calls profiles were learnt.
    pub fn calls(&self) -> u64 {
        self.calls
    }
}

/// The endpoints of calls while they are imported, as [`Relearning::discover`] will know them later.
pub struct Preview {
    catalogue: Catalogue,
    has_gone_back: bool,
}

impl Preview {
    /// Begins with what an analysis knows, under settings that need not be those in force.
    pub fn of(analysis: &Analysis, settings: &AnalysisSettings) -> Result<Preview, AnalysisError> {
        Ok(Preview { catalogue: analysis.catalogue_under(settings)?, has_gone_back: false })
    }

    /// The endpoint of a call.
    pub fn endpoint(&mut self, call: &ApiCall<'_>) -> Option<EndpointId> {
        follow(&mut self.catalogue, &mut self.has_gone_back, call.event_ms);
        self.catalogue.assign(call).endpoint
    }
}

/// Moves a catalogue to the time of a call of the past; the first one takes it back there.
fn follow(catalogue: &mut Catalogue, has_gone_back: &mut bool, event_ms: i64) {
    match std::mem::replace(has_gone_back, true) {
        true => catalogue.advance(event_ms),
        false => catalogue.go_back(event_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_imports_are_told_apart_up_to_a_limit() {
        let mut past = Past::default();
        for position in [4, 5, 6, 10, 11] {
            past.add(Position(position));
        }
        assert_eq!((past.unlearnt(), past.imported()), (vec![4..=6, 10..=11], vec![4..=6, 10..=11]));
        for position in 10..100 {
            past.add(Position(position * 10));
        }
        let stretches = past.unlearnt();
        assert_eq!(
            (stretches.len(), stretches.first(), stretches.last()),
            (STRETCHES_MAX, Some(&(4..=6)), Some(&(710..=990)))
        );
    }
}
