//! What a stretch of log changed, as the store writes it.

use outrider_model::{Action, Alert, AlertId, AuditEntry, Endpoint, Finding, GatewaySnapshot, HuntRun, Subject};
use outrider_respond::desk::GuardRails;
use outrider_respond::desk::{KillSwitch, PolicyRow};

/// What a stretch of log changed, as whole rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EffectBatch {
    /// Endpoints that are new or changed.
    pub endpoints: Vec<Endpoint>,
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
    /// Who was forgotten, or not, after everything else.
    pub erased: Vec<ErasedSubject>,
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
            + self.findings.len()
            + self.alerts.len()
            + self.actions.len()
            + self.policies.len()
            + self.audit.len()
            + self.configurations.len()
            + self.hunt_runs.len()
            + self.erased.len()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == EffectBatch::default()
    }
}
