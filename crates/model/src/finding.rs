use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EndpointId, EntityKey, FindingId};

/// How bad an outcome is. Severity follows outcome: an attempt that was answered 2xx outranks one that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Attempts that failed.
    Low,
    /// Abuse that partly succeeded, or may be.
    Medium,
    /// Abuse that succeeded.
    High,
    /// Abuse that succeeded and reached what must not be reached.
    Critical,
}

/// How sure a detector is, as a probability of 0 to 1 that a person who sees all of it would call it abuse.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
pub struct Confidence(f32);

impl Confidence {
    /// A confidence, clamped to 0..=1; not-a-number counts as 0.
    pub fn new(value: f32) -> Self {
        Confidence(if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) })
    }

    /// The probability.
    pub fn value(self) -> f32 {
        self.0
    }
}

/// How the calls behind a finding were answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// Answered 2xx or 3xx.
    pub succeeded: u64,
    /// Refused or failed: 4xx, 5xx, no answer.
    pub failed: u64,
}

/// One number that a detector compared with what is normal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Observation {
    /// What was measured, in the field's terms: `calls`.
    pub measure: String,
    /// The unit of both numbers: `calls per minute`.
    pub unit: String,
    /// What was seen.
    pub observed: f64,
    /// What the profile expects.
    pub expected: f64,
    /// The value below which the finding would not have been raised, everything else being equal.
    pub threshold: f64,
}

/// A call shown as evidence: enough to find it again, nothing that had to be hidden.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SampleCall {
    /// Kong's request id; empty for gateways that log none.
    pub request_id: String,
    /// Event time.
    pub event_ms: i64,
    /// The request method.
    pub method: String,
    /// The path as the collector shipped it.
    pub path: String,
    /// The status that the client got.
    pub status: u16,
}

/// What a detector found about one entity, with everything a person needs to check it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Derived from detector, entity, endpoint and window, so that a replay gives the same id.
    pub id: FindingId,
    /// The detector's name: `request_spike`.
    pub detector: String,
    /// Who or what it is about.
    pub entity: EntityKey,
    /// Target facts that a block must respect (decision 1).
    pub target: TargetFacts,
    /// The endpoint, where it is about one.
    pub endpoint: Option<EndpointId>,
    /// `METHOD template` of that endpoint as it was then, for people.
    pub endpoint_name: String,
    /// Kong's service id, where all of it happened at one service; empty otherwise.
    pub service_id: String,
    /// The service's name, for people and for policies; empty otherwise.
    pub service_name: String,
    /// Kong's route id, where all of it happened at one route; empty otherwise.
    pub route_id: String,
    /// The route's name; empty otherwise.
    pub route_name: String,
    /// The consumer's tags, for policies.
    pub consumer_tags: Vec<String>,
    /// The consumer's custom id, for policies; empty otherwise.
    pub consumer_custom_id: String,
    /// Start of the window it speaks of.
    pub window_start_ms: i64,
    /// Length of that window.
    pub window_ms: i64,
    /// Event time of the call that completed it.
    pub event_ms: i64,
    /// Log time at which it was raised.
    pub raised_ms: i64,
    /// The ordinal of the call that completed it: live its number in the log, in a replay the 1-based input line.
    pub call_number: u64,
    /// What was seen against what was expected.
    pub observation: Observation,
    /// −log10 of the tail probability, where the detector has one.
    pub surprise: Option<f64>,
    /// From how much data the expectation comes, in one phrase: `38 active minutes of its own, 12 peers`.
    pub basis: String,
    /// How the calls were answered.
    pub outcome: Outcome,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// The one sentence that a person reads first, with the numbers in it.
    pub sentence: String,
    /// Sample calls, oldest first, at most ten.
    pub samples: Vec<SampleCall>,
    /// The SQL query over the lake's `events` table that reproduces the observed number.
    pub query: String,
}

/// Facts about a finding's entity that decide whether an automatic action may target it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct TargetFacts {
    /// The consumer is Kong's anonymous fallback.
    pub anonymous_consumer: bool,
    /// The finding rests on untrusted lines: proposals only.
    pub untrusted: bool,
}
