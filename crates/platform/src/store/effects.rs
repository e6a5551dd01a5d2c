//! What a stretch of log changed, as the store writes it.

use outrider_discover::inventory::EndpointInventory;
use outrider_discover::posture::{RiskScore, WeaknessRow};
use outrider_model::{
    Action, Alert, AlertId, AuditEntry, Endpoint, Finding, GatewaySnapshot, HuntRun, Subject, TemplateDecision,
    TemplateDecisionId, WeaknessId,
};
use outrider_respond::desk::GuardRails;
use outrider_respond::desk::{KillSwitch, PolicyRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a stretch of log changed, as whole rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EffectBatch {
    /// Endpoints that are new or changed.
    pub endpoints: Vec<Endpoint>,
    /// What is known of endpoints, where that changed.
    pub inventory: Vec<EndpointInventory>,
    /// What is weak, where that changed.
    pub weaknesses: Vec<WeaknessRow>,
    /// Weaknesses that are forgotten.
    pub weaknesses_gone: Vec<WeaknessId>,
    /// How risky endpoints and services are, where that changed.
    pub scores: Vec<RiskScore>,
    /// Findings, with the alert that each belongs to.
    pub findings: Vec<(Finding, Option<AlertId>)>,
    /// Alerts as they are now.
    pub alerts: Vec<Alert>,
    /// Actions as they are now.
    pub actions: Vec<Action>,
    /// Policies as they are now.
    pub policies: Vec<PolicyRow>,
    /// Names of policies that are gone.
    pub deleted_policies: Vec<String>,
    /// Lines of the audit log with their numbers.
    pub audit: Vec<(u64, AuditEntry)>,
    /// The guard rails, where they changed.
    pub guard_rails: Option<GuardRails>,
    /// The kill switch, where it changed.
    pub kill_switch: Option<KillSwitch>,
    /// What gateways are configured to do, in the order in which it was read.
    pub configurations: Vec<GatewaySnapshot>,
    /// What hunts found, in the order of the log.
    pub hunt_runs: Vec<HuntRun>,
    /// What was decided about templates.
    pub templates: TemplateChanges,
    /// Who was forgotten, or not, after everything else.
    pub erased: Vec<ErasedSubject>,
}

/// Decisions about templates: those of before that went, then those that came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemplateChanges {
    /// Those that do not stand any more.
    pub taken_back: Vec<TemplateDecisionId>,
    /// Those that stand.
    pub decided: Vec<TemplateRow>,
}

/// A decision about a template that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateRow {
    /// Its id, by which it is taken back.
    pub id: TemplateDecisionId,
    /// The decision.
    pub decision: TemplateDecision,
    /// When it was taken.
    pub decided_ms: i64,
    /// Who took it.
    pub decided_by: String,
}

/// Somebody of whom nothing is to be known any more that was known up to a record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedSubject {
    /// The erasure.
    pub erasure: String,
    /// Whom.
    pub subject: Subject,
    /// Who asked for it.
    pub by: String,
    /// Log time.
    pub at_ms: i64,
    /// Why it was refused; then everything stays as it is.
    pub refused: Option<String>,
}

impl EffectBatch {
    /// How many rows it writes.
    pub(super) fn rows(&self) -> usize {
        self.endpoints.len()
            + self.inventory.len()
            + self.weaknesses.len()
            + self.weaknesses_gone.len()
            + self.scores.len()
            + self.findings.len()
            + self.alerts.len()
            + self.actions.len()
            + self.policies.len()
            + self.audit.len()
            + self.configurations.len()
            + self.hunt_runs.len()
            + self.templates.taken_back.len()
            + self.templates.decided.len()
            + self.erased.len()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == EffectBatch::default()
    }
}
