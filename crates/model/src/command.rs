use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ActionId, ActionScope, AlertId, Duration, EntityKey, Policy, Response, Subject, TemplateDecision,
    TemplateDecisionId, WeaknessId,
};

/// What a person decided, as it enters the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandRecord {
    /// Chosen by the edge that took it, so that sending it twice is done once.
    pub id: String,
    /// Who decided: the name of the token or account.
    pub by: String,
    /// When the edge took it.
    pub at_ms: i64,
    /// What was decided.
    pub command: Command,
}

/// A decision that a person can take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[allow(clippy::large_enum_variant, reason = "decisions are rare, and none is kept in large numbers")]
pub enum Command {
    /// Somebody looks after this alert.
    AcknowledgeAlert {
        /// The alert.
        alert: AlertId,
    },
    /// The alert is over.
    ResolveAlert {
        /// The alert.
        alert: AlertId,
        /// Why.
        reason: String,
    },
    /// The alert was no abuse. Its actions are released.
    MarkFalsePositive {
        /// The alert.
        alert: AlertId,
        /// Why.
        reason: String,
    },
    /// Somebody is to look after the alert, or nobody any more.
    AssignAlert {
        /// The alert.
        alert: AlertId,
        /// The person's name; none for nobody.
        assignee: Option<String>,
    },
    /// Adds words to an alert.
    CommentAlert {
        /// The alert.
        alert: AlertId,
        /// The words.
        text: String,
    },
    /// Creates a policy or replaces the one of the same name.
    PutPolicy {
        /// The policy.
        policy: Box<Policy>,
        /// Whether it is only meant where there is none of this name.
        #[serde(default)]
        if_new: bool,
    },
    /// Deletes a policy. Actions that it started run on.
    DeletePolicy {
        /// Its name.
        name: String,
    },
    /// Restricts a target now, by name.
    Act {
        /// The alert that made the person do it, if one did.
        alert: Option<AlertId>,
        /// Whom.
        target: EntityKey,
        /// How much of what it does.
        scope: ActionScope,
        /// What.
        response: Response,
        /// For how long.
        duration: Duration,
        /// Why.
        reason: String,
    },
    /// Lets a proposed action happen.
    ApproveAction {
        /// The action.
        action: ActionId,
    },
    /// Does not let it happen.
    RejectAction {
        /// The action.
        action: ActionId,
        /// Why.
        reason: String,
    },
    /// Takes an action away before its time.
    ReleaseAction {
        /// The action.
        action: ActionId,
        /// Why.
        reason: String,
    },
    /// Stops all automatic actions, and lets them start again. Active ones stay unless released.
    SetKillSwitch {
        /// Whether automatic actions are stopped.
        on: bool,
        /// Why.
        reason: String,
    },
    /// Decides about path templates, and takes decisions about them back: all of it or nothing.
    DecideTemplates {
        /// Decisions that do not stand any more.
        taken_back: Vec<TemplateDecisionId>,
        /// Decisions that stand from then on.
        decisions: Vec<TemplateDecision>,
    },
    /// Leaves a weakness for a while. Its exception ends by itself.
    ExceptWeakness {
        /// The weakness.
        weakness: WeaknessId,
        /// Until when, in log time.
        until_ms: i64,
        /// Why.
        reason: String,
    },
    /// Takes the exception of a weakness back before its time.
    WithdrawException {
        /// The weakness.
        weakness: WeaknessId,
    },
    /// Forgets everything about somebody that was learned up to here.
    Erase {
        /// The erasure, by its id in the control store.
        erasure: String,
        /// Whom.
        subject: Subject,
    },
}

/// Why a decision could not be carried out, for the person who took it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum CommandRefused {
    /// Nothing has this id or name.
    #[error("there is no {what}")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// Something has this name, and was not to be replaced.
    #[error("there is a {what} already")]
    Exists {
        /// What was found.
        what: String,
    },
    /// It is not in a state in which this can be done.
    #[error("{why}")]
    Conflict {
        /// What the state is and what would be needed.
        why: String,
    },
    /// A guard rail forbids it.
    #[error("a guard rail forbids it: {why}")]
    GuardRail {
        /// Which.
        why: String,
    },
    /// What was asked for makes no sense.
    #[error("{why}")]
    Invalid {
        /// What is wrong and what to write instead.
        why: String,
    },
}

/// One line of the audit log: who did what, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Log time.
    pub at_ms: i64,
    /// A person's name, `policy:<name>`, or `outrider`.
    pub by: String,
    /// What was done, in the past tense: `blocked`, `released`, `acknowledged`.
    pub what: String,
    /// What it was done to: an id or name.
    pub subject: String,
    /// More words, where there are any.
    pub detail: String,
}
