//! The analysis: discovery, detection and the desk over one ordered stream of records.
//!
//! One owner feeds it everything that a decision reads, in the log's order; it gives back the effects. It does no IO and
//! reads no clock, so a replay of the same records gives the same effects byte for byte (decision 8).

use outrider_detect::{DetectError, Engine, FalsePositive, Observed};
use outrider_discover::Catalogue;
use outrider_discover::inventory::{self, Inventory};
use outrider_discover::posture::{self as discover_posture, Posture};
use outrider_model::{
    ActionReport, Alert, AlertState, ApiCall, Command, CommandRecord, CommandRefused, Concern, DesiredState,
    EndpointId, EntityKind, Finding, GatewaySnapshot, HuntRun, Policy, Subject, Text,
};
use outrider_respond::desk::{CommandDone, Desk, Effect};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::store::{EffectBatch, ErasedSubject, TemplateChanges};
use credentials::CredentialKinds;
use hunts::{HuntEnds, findings_of};
use names::EndpointNames;
use operations::Operations;

pub use frozen::{Frozen, SNAPSHOT_VERSION, SNAPSHOT_VERSION_MIN};
pub use past::{Past, Preview, Relearning};
pub use posture::{Documented, POSTURE_DETECTOR};
pub(crate) use templates::refused;

mod credentials;
mod frozen;
mod hunts;
mod names;
mod operations;
mod past;
mod posture;
mod templates;

/// Everything an operator can set about the analysis. It enters the log as a record when it changes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnalysisSettings {
    /// Endpoint discovery.
    pub discover: outrider_discover::Settings,
    /// What endpoints carry.
    pub inventory: inventory::Settings,
    /// What is weak.
    pub posture: discover_posture::Settings,
    /// Detectors and profiles.
    pub detect: outrider_detect::Settings,
    /// Alerts, guard rails and actions.
    pub respond: outrider_respond::desk::Settings,
    /// Policies that the configuration file defines.
    pub policies: Vec<Policy>,
    /// The gateways that have a responder; all of them where nothing is said, as in a replay.
    pub gateways: Option<Vec<String>>,
}

/// Length of a minute of log time.
const MINUTE_MS: i64 = 60_000;

/// Why an analysis cannot be set up or restored.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// A setting of discovery makes no sense.
    #[error("discover: {0}")]
    Discover(String),
    /// A setting of the inventory makes no sense.
    #[error("inventory: {0}")]
    Inventory(String),
    /// A setting of posture makes no sense.
    #[error("posture: {0}")]
    Posture(String),
    /// A setting of detection makes no sense.
    #[error("detect: {0}")]
    Detect(String),
    /// A setting of the desk makes no sense.
    #[error("respond: {0}")]
    Respond(String),
    /// A policy of the configuration makes no sense.
    #[error("policy `{name}`: {source}")]
    Policy {
        /// The policy's name.
        name: String,
        /// What is wrong with it.
        source: outrider_model::PolicyError,
    },
    /// A newer version wrote the snapshot.
    #[error("it has version {found} and this build reads up to {known}; it was written by a newer outrider")]
    NewerSnapshot {
        /// Its version.
        found: u8,
        /// The newest version that this build knows.
        known: u8,
    },
    /// The snapshot was written by another version, or is damaged.
    #[error("{0}")]
    Snapshot(String),
}

/// State and decisions of the analysis.
pub struct Analysis {
    settings: AnalysisSettings,
    catalogue: Catalogue,
    inventory: Inventory,
    posture: Posture,
    credentials: CredentialKinds,
    engine: Engine,
    desk: Desk,
    operations: Operations,
    hunts: HuntEnds,
    past: Past,
    names: EndpointNames,
    calls: u64,
    now_ms: i64,
    scratch: Vec<Finding>,
    configurations: Vec<GatewaySnapshot>,
    hunt_runs: Vec<HuntRun>,
    erased: Vec<ErasedSubject>,
    templates: TemplateChanges,
}

impl AnalysisSettings {
    /// Refuses what cannot be meant, naming the section.
    pub fn validate(&self) -> Result<(), AnalysisError> {
        for policy in &self.policies {
            policy.validate().map_err(|source| AnalysisError::Policy { name: policy.name.clone(), source })?;
        }
        self.discover.validate().map_err(|error| AnalysisError::Discover(error.to_string()))?;
        self.inventory.validate().map_err(|error| AnalysisError::Inventory(error.to_string()))?;
        self.posture.validate().map_err(|error| AnalysisError::Posture(error.to_string()))?;
        Analysis::new("check", self.clone()).map(|_| ())
    }
}

impl Analysis {
    /// An analysis that has seen nothing. `installation` marks whose blocks are ours.
    pub fn new(installation: &str, settings: AnalysisSettings) -> Result<Self, AnalysisError> {
        let catalogue = Catalogue::new(settings.discover.clone());
        let engine = Engine::new(settings.detect.clone()).map_err(|e| AnalysisError::Detect(e.to_string()))?;
        let mut desk =
            Desk::new(installation, settings.respond.clone()).map_err(|e| AnalysisError::Respond(e.to_string()))?;
        desk.apply_settings(settings.respond.clone(), settings.policies.clone())
            .map_err(|e| AnalysisError::Respond(e.to_string()))?;
        desk.serve(settings.gateways.clone());
        let inventory = Inventory::new(settings.inventory.clone());
        let posture = Posture::new(settings.posture.clone());
        Ok(Analysis {
            settings,
            catalogue,
            inventory,
            posture,
            credentials: CredentialKinds::default(),
            engine,
            desk,
            operations: Operations::default(),
            hunts: HuntEnds::default(),
            past: Past::default(),
            names: EndpointNames::default(),
            calls: 0,
            now_ms: i64::MIN,
            scratch: Vec::new(),
            configurations: Vec::new(),
            hunt_runs: Vec::new(),
            erased: Vec::new(),
            templates: TemplateChanges::default(),
        })
    }

    /// The settings in force.
    pub fn settings(&self) -> &AnalysisSettings {
        &self.settings
    }

    /// How many calls it has seen.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// The catalogue of endpoints.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The detection engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Alerts, policies and actions.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// What its parts have counted and how its detectors are, as JSON for operators.
    pub fn status(&self) -> serde_json::Value {
        let detectors = self.engine.status().into_iter().map(|detector| {
            let counters = detector.counters.iter().map(|counter| (counter.name.to_owned(), counter.value.into()));
            json!({
                "name": detector.descriptor.name,
                "failure": detector.failure,
                "memory_bytes": detector.memory_bytes,
                "counters": counters.collect::<serde_json::Map<_, _>>(),
            })
        });
        json!({
            "detectors": detectors.collect::<Vec<_>>(),
            "detect": self.engine.counters(),
            "discover": self.catalogue.counters(),
            "inventory": self.inventory.counters(),
            "posture": self.posture.counters(),
            "weaknesses": self.open_weaknesses(),
            "respond": self.desk.counters(),
            "hunt_runs_repeated": self.hunts.repeated(),
            "past": self.past,
        })
    }

    /// Moves log time forward; going back is ignored.
    pub fn advance(&mut self, now_ms: i64) {
        if now_ms <= self.now_ms {
            return;
        }
        let is_next_minute = now_ms.div_euclid(MINUTE_MS) != self.now_ms.div_euclid(MINUTE_MS);
        self.now_ms = now_ms;
        self.catalogue.advance(now_ms);
        if is_next_minute {
            let merged = self.inventory.follow_merges(|id| self.catalogue.resolve(id));
            let told = self.inventory.advance(now_ms);
            self.judge_posture(merged.into_iter().map(|(_, into)| into).chain(told));
        }
        self.engine.advance(now_ms, &mut self.scratch);
        self.desk.advance(now_ms);
        self.hand_over_findings();
    }

    /// Takes a call in. `number` is what findings name it by: its ordinal in the log, or its line in a replayed file.
    pub fn observe(&mut self, call: &ApiCall<'_>, number: u64) -> Option<EndpointId> {
        self.advance(call.received_ms);
        self.calls += 1;
        self.operations.on_call(&call.gateway, call.received_ms);
        // What a rate limit of ours refused is marked before anything learns from it (decision 20).
        let refused = self.desk.on_call(call).then(|| {
            let by = Text::from(self.desk.installation().to_owned());
            ApiCall { own_refusal: Some(by), ..call.clone() }
        });
        let call = refused.as_ref().unwrap_or(call);
        self.posture.observe(call);
        let assignment = self.catalogue.assign(call);
        let endpoint = self.catalogue.assigned(&assignment);
        if let Some(endpoint) = endpoint {
            self.inventory.observe(call, endpoint.id, &endpoint.key.template, self.credentials.of(call));
        }
        let name = endpoint.map(|endpoint| self.names.of(endpoint));
        let observed = Observed {
            call,
            number,
            endpoint: assignment.endpoint,
            endpoint_settled: assignment.settled,
            endpoint_name: name.unwrap_or_default(),
        };
        self.engine.observe(&observed, &mut self.scratch);
        self.hand_over_findings();
        assignment.endpoint
    }

    /// Takes in that calls are missing at this place of the log.
    pub fn lost(&mut self, now_ms: i64, count: u64, reason: &str) {
        self.advance(now_ms);
        self.operations.on_loss(self.now_ms, count, reason);
    }

    /// What is wrong with the operation as far as the log shows it.
    pub fn concerns(&self) -> Vec<Concern> {
        let mut concerns = self.operations.concerns(self.now_ms);
        concerns.extend(operations::waiting_actions(self.desk.actions(), self.now_ms));
        concerns.extend(operations::failed_detectors(self.engine.status(), self.now_ms));
        concerns
    }

    /// Takes a person's decision in.
    pub fn command(&mut self, record: &CommandRecord) -> Result<CommandDone, CommandRefused> {
        self.advance(record.at_ms);
        if let Command::Erase { erasure, subject } = &record.command {
            return self.erase(record, erasure, subject);
        }
        if let Command::DecideTemplates { taken_back, decisions } = &record.command {
            return self.decide_templates(record, taken_back, decisions);
        }
        match &record.command {
            Command::ExceptWeakness { weakness, until_ms, reason } => {
                return self.except_weakness(record, *weakness, *until_ms, reason);
            }
            Command::WithdrawException { weakness } => return self.withdraw_exception(record, *weakness),
            _ => {}
        }
        let marked = match &record.command {
            Command::MarkFalsePositive { alert, .. } => self.desk.alert(*alert).filter(|alert| !is_marked(alert)),
            _ => None,
        };
        let marked = marked.map(|alert| alert.id);
        let result = self.desk.on_command(record);
        if let Some(alert) = marked.and_then(|id| self.desk.alert(id)).filter(|alert| is_marked(alert)) {
            self.engine.feedback(&mark_of(alert));
        }
        result
    }

    /// Forgets somebody, unless an action against them goes on.
    fn erase(
        &mut self,
        record: &CommandRecord,
        erasure: &str,
        subject: &Subject,
    ) -> Result<CommandDone, CommandRefused> {
        let repeated = self.desk.counters().commands_repeated;
        let result = self.desk.on_command(record);
        // What became known since a first record of the same is new.
        if self.desk.counters().commands_repeated != repeated {
            return result;
        }
        if result.is_ok() {
            self.engine.forget(subject);
            self.posture.forget_subject(subject);
            if subject.kind == EntityKind::Consumer {
                self.inventory.forget_consumer(&subject.value);
            }
        }
        self.erased.push(ErasedSubject {
            erasure: erasure.to_owned(),
            subject: subject.clone(),
            by: record.by.clone(),
            at_ms: self.now_ms,
            refused: result.as_ref().err().map(ToString::to_string),
        });
        result
    }

    /// Whether an erasure was carried out or refused since effects were taken last.
    pub(crate) fn has_erased(&self) -> bool {
        !self.erased.is_empty()
    }

    /// Takes a responder's word in.
    pub fn report(&mut self, report: &ActionReport) {
        self.desk.on_report(report);
    }

    /// Takes in what a gateway is configured to do.
    pub fn configured(&mut self, snapshot: GatewaySnapshot) {
        self.credentials.take_in(&snapshot);
        self.catalogue.take_in_routes(&snapshot);
        self.posture.configured(&snapshot);
        self.configurations.push(snapshot);
    }

    /// Takes in what a saved hunt found. A run whose window does not follow the one before changes nothing.
    pub fn hunted(&mut self, now_ms: i64, run: HuntRun) {
        self.advance(now_ms);
        if !self.hunts.follows(&run) {
            return;
        }
        for finding in findings_of(&run, self.now_ms, self.calls) {
            self.desk.on_finding(finding);
        }
        self.hunt_runs.push(run);
    }

    /// Puts other settings in force. What was learned stays.
    pub fn apply_settings(&mut self, settings: AnalysisSettings) -> Result<(), AnalysisError> {
        if settings == self.settings {
            return Ok(());
        }
        let catalogue = Catalogue::restore(settings.discover.clone(), &self.catalogue.snapshot())
            .map_err(|e| AnalysisError::Discover(e.to_string()))?;
        let engine = Engine::restore(settings.detect.clone(), &self.engine.snapshot())
            .map_err(|e| AnalysisError::Detect(e.to_string()))?;
        self.desk
            .apply_settings(settings.respond.clone(), settings.policies.clone())
            .map_err(|e| AnalysisError::Respond(e.to_string()))?;
        self.desk.serve(settings.gateways.clone());
        self.catalogue = catalogue;
        self.inventory.set_settings(settings.inventory.clone());
        self.posture.set_settings(settings.posture.clone());
        self.engine = engine;
        self.settings = settings;
        Ok(())
    }

    /// What the responder of a gateway has to bring about.
    pub fn desired(&self, gateway: &str) -> DesiredState {
        self.desk.desired(gateway)
    }

    /// Takes everything that changed since the last call, as rows to upsert.
    pub fn drain_effects(&mut self) -> EffectBatch {
        let mut batch = EffectBatch {
            endpoints: self.catalogue.drain_changes(),
            inventory: self.inventory.drain_changes(),
            weaknesses: self.drain_weaknesses(),
            weaknesses_gone: self.posture.drain_gone(),
            scores: self.posture.drain_scores(),
            configurations: std::mem::take(&mut self.configurations),
            hunt_runs: std::mem::take(&mut self.hunt_runs),
            erased: std::mem::take(&mut self.erased),
            templates: std::mem::take(&mut self.templates),
            ..EffectBatch::default()
        };
        for effect in self.desk.drain_effects() {
            match effect {
                Effect::Finding { finding, alert } => batch.findings.push((*finding, alert)),
                Effect::Alert(alert) => batch.alerts.push(*alert),
                Effect::Action(action) => batch.actions.push(*action),
                Effect::Policy(row) => batch.policies.push(*row),
                Effect::PolicyDeleted { name, .. } => batch.deleted_policies.push(name),
                Effect::Audit { number, entry } => batch.audit.push((number, entry)),
                Effect::GuardRails(guard_rails) => batch.guard_rails = Some(guard_rails),
                Effect::KillSwitch(kill_switch) => batch.kill_switch = Some(kill_switch),
            }
        }
        batch
    }

    /// What of detection began with nothing when it was restored, and why.
    pub fn begun_anew(&self) -> &[DetectError] {
        self.engine.begun_anew()
    }

    fn hand_over_findings(&mut self) {
        for finding in self.scratch.drain(..) {
            self.desk.on_finding(finding);
        }
    }
}

/// What a person's mark of an alert says to its detector.
fn mark_of(alert: &Alert) -> FalsePositive<'_> {
    let observed = alert.findings.iter().map(|finding| finding.observation.observed);
    FalsePositive {
        detector: &alert.detector,
        entity: &alert.entity,
        endpoints: &alert.endpoints,
        observed: observed.fold(alert.worst.observation.observed, f64::max),
    }
}

fn is_marked(alert: &Alert) -> bool {
    alert.state == AlertState::FalsePositive
}
