use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ActionId, AlertId, Confidence, EndpointId, EntityKey, Finding, FindingId, Observation, Outcome, Severity};

/// Where an alert is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Nobody has taken it yet.
    Open,
    /// A person has seen it; new findings still merge into it.
    Acknowledged,
    /// Over: a person closed it, or nothing happened for the configured time.
    Resolved,
    /// A person says that it was no abuse.
    FalsePositive,
}

impl AlertState {
    /// Whether new findings of the same entity and kind merge into the alert.
    pub fn is_live(self) -> bool {
        matches!(self, AlertState::Open | AlertState::Acknowledged)
    }
}

/// What an alert keeps of each of its findings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FindingSummary {
    /// The finding.
    pub id: FindingId,
    /// Log time at which it was raised.
    pub raised_ms: i64,
    /// What was seen against what was expected.
    pub observation: Observation,
    /// −log10 of the tail probability, where there is one.
    pub surprise: Option<f64>,
    /// The sentence that explains it.
    pub sentence: String,
}

/// What a person wrote about an alert. It stays as it is as long as the alert is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertComment {
    /// Log time.
    pub at_ms: i64,
    /// Who wrote it: `person:` and a person's name, or the name of a token.
    pub by: String,
    /// What they wrote.
    pub text: String,
}

/// Findings of one entity and one detector, merged, with a life cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// Derived from the finding that opened it.
    pub id: AlertId,
    /// The detector's name.
    pub detector: String,
    /// Who or what it is about.
    pub entity: EntityKey,
    /// Where it is in its life.
    pub state: AlertState,
    /// The worst severity of its findings.
    pub severity: Severity,
    /// The highest confidence of its findings.
    pub confidence: Confidence,
    /// The sentence of its most surprising finding.
    pub sentence: String,
    /// The most surprising finding, whole: the evidence that a person opens first.
    pub worst: Finding,
    /// The latest findings, oldest first, at most 20.
    pub findings: Vec<FindingSummary>,
    /// How many findings there were in all.
    pub finding_count: u64,
    /// The endpoints concerned, in order of appearance, at most 20.
    pub endpoints: Vec<EndpointId>,
    /// How the calls behind all findings were answered.
    pub outcome: Outcome,
    /// Start of the earliest window.
    pub started_ms: i64,
    /// Log time of the first finding.
    pub opened_ms: i64,
    /// Log time of the latest finding.
    pub last_finding_ms: i64,
    /// Log time of the latest change of any kind.
    pub updated_ms: i64,
    /// Who changed the state last: a person's name, or empty for outrider itself.
    pub state_by: String,
    /// Why the state is what it is, where a person or a rule gave a reason.
    pub state_reason: String,
    /// The actions that came from it.
    pub actions: Vec<ActionId>,
    /// What policies said about it, newest last, at most 20: `block-spikes (observe): would block alice for 15 min`.
    pub policy_notes: Vec<String>,
    /// The name of the person who looks after it, if somebody does.
    #[serde(default)]
    pub assignee: Option<String>,
    /// What people wrote about it, oldest first, at most 50.
    #[serde(default)]
    pub comments: Vec<AlertComment>,
}
