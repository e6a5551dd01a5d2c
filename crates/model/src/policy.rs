use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{ActionKind, Fingerprint, PolicyId, RateLimits, RateLimitsError, Severity};

/// What to do about which alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its unique name: 1 to 64 characters of `a-z`, `0-9`, `-` and `_`. The id derives from it.
    pub name: String,
    /// What a person should know about it.
    #[serde(default)]
    pub description: String,
    /// Switched off, a policy says nothing and does nothing.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Which alerts it is about. All given fields must match; an empty list matches everything.
    #[serde(default)]
    pub when: Condition,
    /// What it does.
    pub respond: Response,
    /// How much of what the consumer does is concerned.
    #[serde(default)]
    pub scope: PolicyScope,
    /// For how long, counted from the call that completed the finding.
    pub duration: Duration,
    /// Whether it acts or only says what it would do.
    #[serde(default)]
    pub mode: Mode,
}

fn yes() -> bool {
    true
}

/// Which alerts a policy is about.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    /// Detector names, of which `hunt` is every saved hunt and `hunt:NAME` one; empty for any.
    pub detectors: Vec<String>,
    /// The least severity.
    pub severity_min: Option<Severity>,
    /// The least confidence, 0 to 1.
    pub confidence_min: Option<f32>,
    /// Service names or ids; empty for any.
    pub services: Vec<String>,
    /// Route names or ids; empty for any.
    pub routes: Vec<String>,
    /// Endpoint ids, or `METHOD /template` texts; empty for any.
    pub endpoints: Vec<String>,
    /// Consumer user names, ids or custom ids; empty for any.
    pub consumers: Vec<String>,
    /// Consumer tags, of which one must be present; empty for any.
    pub consumer_tags: Vec<String>,
    /// Consumer user names, ids, custom ids or tags (as `tag:NAME`) that the policy never concerns.
    pub except_consumers: Vec<String>,
}

/// What a policy does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Response {
    /// Refuse the consumer's calls with Kong's Request Termination.
    Block {
        /// The status that a blocked client gets, 400 to 599.
        #[serde(default = "forbidden")]
        status: u16,
        /// The message in the JSON body that a blocked client gets.
        #[serde(default = "blocked_message")]
        message: String,
    },
    /// Let only so many of the consumer's calls through, with Kong's Rate Limiting.
    RateLimit {
        /// How many calls are let through per window, such as `{ minute = 30 }`.
        limits: RateLimits,
        /// The status that a call beyond them gets, 400 to 599.
        #[serde(default = "too_many_requests")]
        status: u16,
        /// The message in the JSON body that it gets.
        #[serde(default = "limited_message")]
        message: String,
    },
}

impl Response {
    /// What it does to a target.
    pub fn action_kind(&self) -> ActionKind {
        match self.clone() {
            Response::Block { status, message } => ActionKind::Block { status, message },
            Response::RateLimit { limits, status, message } => ActionKind::RateLimit { limits, status, message },
        }
    }
}

fn forbidden() -> u16 {
    403
}

fn too_many_requests() -> u16 {
    429
}

fn limited_message() -> String {
    "Limited by policy".to_owned()
}

fn blocked_message() -> String {
    "Blocked by policy".to_owned()
}

impl Default for Response {
    fn default() -> Self {
        Response::Block { status: forbidden(), message: blocked_message() }
    }
}

/// How much of what the consumer does an action concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyScope {
    /// Everything the consumer does at the gateway.
    #[default]
    Consumer,
    /// Only at the service of the alert.
    Service,
    /// Only at the route of the alert.
    Route,
}

/// Observe is the default mode of a new policy (invariant 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Says on the alert what it would do.
    #[default]
    Observe,
    /// Does it.
    Enforce,
}

/// For how long a response lasts. Written as `"permanent"` or as a number and a unit: `"90s"`, `"15m"`, `"2h"`, `"7d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duration {
    /// This many seconds, at least 1 and at most 366 days.
    Seconds(u32),
    /// Until a person releases it.
    Permanent,
}

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The name is empty, too long or has other characters.
    #[error("policy name `{0}` is not valid: use 1 to 64 characters of a-z, 0-9, `-` and `_`")]
    Name(String),
    /// The duration cannot be read or is out of range.
    #[error(
        "duration `{0}` is not valid: write `permanent`, or a number of 1s to 366d with a unit s, m, h or d, like `15m`"
    )]
    Duration(String),
    /// The status is not a refusal.
    #[error("status {0} is not valid for a refusal: use 400 to 599")]
    Status(u16),
    /// The message is empty or too long.
    #[error("the message of a refusal must have 1 to 500 characters")]
    Message,
    /// The limits cannot be meant.
    #[error("limits: {0}")]
    Limits(#[from] RateLimitsError),
    /// The confidence is not a probability.
    #[error("confidence_min {0} is not valid: use 0 to 1")]
    Confidence(String),
    /// A list of the condition is too long.
    #[error("`when.{0}` has more than 1000 entries")]
    TooMany(&'static str),
}

impl Policy {
    /// The policy's id, derived from its name.
    pub fn id(&self) -> PolicyId {
        PolicyId(Fingerprint::of("policy").text(&self.name).finish())
    }

    /// Refuses what cannot be meant.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let name_ok = (1..=64).contains(&self.name.len())
            && self.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if !name_ok {
            return Err(PolicyError::Name(self.name.clone()));
        }
        let (Response::Block { status, message } | Response::RateLimit { status, message, .. }) = &self.respond;
        if !(400..=599).contains(status) {
            return Err(PolicyError::Status(*status));
        }
        if message.is_empty() || message.chars().count() > 500 {
            return Err(PolicyError::Message);
        }
        if let Response::RateLimit { limits, .. } = &self.respond {
            limits.validate()?;
        }
        if let Some(confidence) = self.when.confidence_min
            && !(0.0..=1.0).contains(&confidence)
        {
            return Err(PolicyError::Confidence(confidence.to_string()));
        }
        let lists = [
            ("detectors", &self.when.detectors),
            ("services", &self.when.services),
            ("routes", &self.when.routes),
            ("endpoints", &self.when.endpoints),
            ("consumers", &self.when.consumers),
            ("consumer_tags", &self.when.consumer_tags),
            ("except_consumers", &self.when.except_consumers),
        ];
        match lists.iter().find(|(_, list)| list.len() > 1000) {
            Some((name, _)) => Err(PolicyError::TooMany(name)),
            None => Ok(()),
        }
    }
}

impl Duration {
    /// The longest duration that is not permanent: 366 days.
    pub const SECONDS_MAX: u32 = 366 * 86_400;

    /// When a response that started at `from_ms` is over; `None` if never.
    pub fn end_ms(self, from_ms: i64) -> Option<i64> {
        match self {
            Duration::Seconds(seconds) => Some(from_ms.saturating_add(i64::from(seconds) * 1000)),
            Duration::Permanent => None,
        }
    }
}

impl std::str::FromStr for Duration {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let wrong = || PolicyError::Duration(text.to_owned());
        if text == "permanent" {
            return Ok(Duration::Permanent);
        }
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &text[digits.len()..] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        let number: u32 = digits.parse().map_err(|_| wrong())?;
        match number.checked_mul(unit) {
            Some(seconds) if (1..=Duration::SECONDS_MAX).contains(&seconds) => Ok(Duration::Seconds(seconds)),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for Duration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Duration::Permanent => f.write_str("permanent"),
            Duration::Seconds(s) if s % 86_400 == 0 => write!(f, "{}d", s / 86_400),
            Duration::Seconds(s) if s % 3600 == 0 => write!(f, "{}h", s / 3600),
            Duration::Seconds(s) if s % 60 == 0 => write!(f, "{}m", s / 60),
            Duration::Seconds(s) => write!(f, "{s}s"),
        }
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`permanent`, or a number and a unit s, m, h or d, from 1s to 366d.",
            "type": "string",
            "pattern": "^(permanent|[0-9]+[smhd])$",
            "examples": ["15m"],
        })
    }
}

impl Serialize for Duration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_alike() {
        for text in ["90s", "15m", "2h", "7d", "permanent"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
        for wrong in ["", "15", "m", "0s", "-1s", "1.5h", "15 m", "367d", "99999999999d", "forever"] {
            let error = wrong.parse::<Duration>().unwrap_err().to_string();
            assert!(error.contains("like `15m`"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_new_policy_only_observes() {
        let policy: Policy =
            serde_json::from_str(r#"{"name":"spikes","respond":{"kind":"block"},"duration":"15m"}"#).unwrap();
        assert_eq!(policy.mode, Mode::Observe);
        assert_eq!(policy.validate(), Ok(()));
    }

    #[test]
    fn a_rate_limit_needs_only_its_limits() {
        let respond: Response = serde_json::from_str(r#"{"kind":"rate_limit","limits":{"minute":30}}"#).unwrap();
        let limits = RateLimits { minute: Some(30), ..RateLimits::default() };
        let expected = Response::RateLimit { limits, status: 429, message: "Limited by policy".to_owned() };
        assert_eq!(respond, expected);
        let kind = serde_json::to_string(&respond.action_kind()).unwrap();
        let written = r#"{"kind":"rate_limit","limits":{"minute":30},"status":429,"message":"Limited by policy"}"#;
        assert_eq!(kind, written);
        for wrong in [r#"{"kind":"rate_limit"}"#, r#"{"kind":"rate_limit","limits":{"minutes":30}}"#] {
            assert!(serde_json::from_str::<Response>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let good: Policy =
            serde_json::from_str(r#"{"name":"spikes","respond":{"kind":"block"},"duration":"15m"}"#).unwrap();
        let block = |status, message: &str| Response::Block { status, message: message.to_owned() };
        let limit = |status, limits| Response::RateLimit { limits, status, message: "slow down".to_owned() };
        let cases = [
            Policy { name: String::new(), ..good.clone() },
            Policy { name: "Block Spikes".to_owned(), ..good.clone() },
            Policy { respond: block(200, "no"), ..good.clone() },
            Policy { respond: block(403, ""), ..good.clone() },
            Policy { respond: limit(200, RateLimits { minute: Some(3), ..RateLimits::default() }), ..good.clone() },
            Policy { respond: limit(429, RateLimits::default()), ..good.clone() },
            Policy { when: Condition { confidence_min: Some(1.5), ..Condition::default() }, ..good.clone() },
            Policy { when: Condition { confidence_min: Some(f32::NAN), ..Condition::default() }, ..good },
        ];
        for policy in cases {
            assert!(policy.validate().is_err(), "{policy:?}");
        }
    }
}
