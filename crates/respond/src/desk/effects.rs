//! What the desk hands to the control store: whole rows to upsert, so that writing them twice changes nothing.

use std::collections::BTreeSet;

use outrider_model::{Action, ActionId, Alert, AlertId, AuditEntry, Finding, PolicyId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GuardRails;
use super::policies::PolicyRow;

/// One row to write. Writing the effects of a stretch of log again, in order, gives the same tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The guard rails now in effect; one row for the installation.
    GuardRails(GuardRails),
    /// The kill switch as it is now; one row for the installation.
    KillSwitch(KillSwitch),
    /// A policy as it is now, by id.
    Policy(Box<PolicyRow>),
    /// A policy that is gone.
    PolicyDeleted {
        /// Its id.
        id: PolicyId,
        /// Its name.
        name: String,
    },
    /// A finding, by id, with the alert that it belongs to.
    Finding {
        /// The finding.
        finding: Box<Finding>,
        /// Its alert; none while the same is silent after a false positive.
        alert: Option<AlertId>,
    },
    /// An alert as it is now, by id.
    Alert(Box<Alert>),
    /// An action as it is now, by id.
    Action(Box<Action>),
    /// A line of the audit log, by number.
    Audit {
        /// Its number: 1 for the first, without gaps.
        number: u64,
        /// The line.
        entry: AuditEntry,
    },
}

/// Whether automatic actions are stopped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct KillSwitch {
    /// Policies only propose.
    pub on: bool,
    /// Who set it last; empty if nobody ever did.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Log time at which it was set last.
    pub since_ms: i64,
}

/// What the desk has counted since its log began. Each limit has its counter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Findings taken in.
    pub findings: u64,
    /// Findings that stayed silent because the same was a false positive.
    pub findings_silenced: u64,
    /// Findings that came a second time and changed nothing.
    pub findings_repeated: u64,
    /// Alerts opened.
    pub alerts_opened: u64,
    /// Live alerts that were resolved because the desk held as many as it may.
    pub alerts_over_limit: u64,
    /// Silences dropped because there were as many as there may be.
    pub silences_over_limit: u64,
    /// Actions that came into being, in any state.
    pub actions_created: u64,
    /// Actions of policies that a guard rail, age or trust turned into proposals.
    pub actions_held_back: u64,
    /// Actions and proposals not made because the desk held as many as it may.
    pub actions_over_limit: u64,
    /// Steps back from in force that were not taken because the history was full.
    pub steps_over_limit: u64,
    /// Decisions carried out.
    pub commands_done: u64,
    /// Decisions refused.
    pub commands_refused: u64,
    /// Decisions that came a second time.
    pub commands_repeated: u64,
    /// Reports about actions that nobody knows.
    pub reports_unknown: u64,
    /// Reports about actions whose life was over.
    pub reports_late: u64,
    /// Reports that do not fit the action's state, such as one about a proposal.
    pub reports_unexpected: u64,
    /// Calls of gateways beyond the number whose traffic is followed.
    pub calls_of_gateways_over_limit: u64,
    /// Never-block consumers not remembered because there were as many as there may be.
    pub protected_over_limit: u64,
}

/// What has changed since the last drain. Rows are named here and copied when drained, so that ten changes of a row are
/// one effect; only what is forgotten in between is kept whole.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Outbox {
    pub(super) guard_rails: bool,
    pub(super) kill_switch: bool,
    pub(super) policies: BTreeSet<String>,
    pub(super) findings: Vec<(Finding, Option<AlertId>)>,
    pub(super) alerts: BTreeSet<AlertId>,
    pub(super) actions: BTreeSet<ActionId>,
    /// Rows that changed and were then forgotten by the desk.
    pub(super) last_words: Vec<Effect>,
    pub(super) audit: Vec<AuditEntry>,
    /// How many audit lines were drained so far.
    pub(super) audit_drained: u64,
}
