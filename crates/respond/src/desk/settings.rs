//! Everything an operator can set about alerts, actions and guard rails, with the rules that refuse nonsense.

use outrider_model::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Error;

/// Settings of the desk.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The life of alerts.
    pub alerts: AlertSettings,
    /// The life of actions.
    pub actions: ActionSettings,
    /// What automatic actions may not do.
    pub guard_rails: GuardRails,
}

/// The life of alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertSettings {
    /// An alert without a finding for this long is resolved; the next finding opens a new one. 1 s to 366 d.
    pub resolve_after: Duration,
    /// How long the same stays silent after a person called it a false positive. 1 s to 366 d.
    pub false_positive_silence: Duration,
    /// How long an ended alert can still be named in a decision; the control store keeps it beyond that. 1 s to 366 d.
    pub remember_ended: Duration,
    /// Alerts held at once, ended ones included. At the limit the oldest ended one is forgotten; where none has ended,
    /// the least severe and longest silent one is resolved and forgotten. 1 to 100000.
    pub held_max: usize,
}

/// The life of actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ActionSettings {
    /// Evidence older than this, at log time, leads to a proposal only. 1 s to 366 d.
    pub evidence_age_max: Duration,
    /// How long the gateway's nodes and workers need to follow a change: a stored action is in force once this long has
    /// passed since a refusal with no call let through. For Kong the sum of its `db_update_frequency` and
    /// `worker_state_update_frequency` in a cluster, the latter alone on one node. 1 s to 366 d.
    pub in_force_after: Duration,
    /// How long a finished action can still be named in a decision. 1 s to 366 d.
    pub remember_ended: Duration,
    /// Actions held at once, finished ones included. At the limit the one that finished first is forgotten; where none
    /// has finished, no action is added. 1 to 100000.
    pub held_max: usize,
    /// Proposals waiting at once. At the limit a policy's proposal becomes a note on its alert. 1 to 100000.
    pub proposals_max: usize,
}

/// What automatic actions may not do (decision 21). The responder checks again on the premises, against its own file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GuardRails {
    /// Consumers that nothing blocks, not even a person: user names, ids, custom ids, or `tag:NAME`. At most 10000.
    pub never_block: Vec<String>,
    /// Automatic actions active at once; a person's do not count. 0 stops all automatic actions.
    pub active_actions_max: usize,
    /// Automatic actions started within any hour; a person's do not count. At most 10000; 0 stops all automatic actions.
    pub actions_per_hour_max: usize,
    /// The largest share of the gateway's calls of the last hour that an automatic action may stop, 0 to 1.
    ///
    /// Calls since the start of the finding's window are the abuse itself and are left out, unless fewer than
    /// `calls_min` remain; then the whole hour counts.
    pub target_calls_share_max: f64,
    /// The share of calls is judged only when the gateway had at least this many calls in the last hour.
    pub calls_min: u64,
    /// The largest share of the gateway's client addresses of the last hour that an automatic action may shut out, 0 to
    /// 1. Addresses first seen with the consumer since the start of the finding's window are left out in the same way.
    pub target_addresses_share_max: f64,
    /// The share of addresses is judged only when the gateway had at least this many in the last hour.
    pub addresses_min: u64,
}

impl Default for AlertSettings {
    fn default() -> Self {
        AlertSettings {
            resolve_after: Duration::Seconds(3600),
            false_positive_silence: Duration::Seconds(7 * 86_400),
            remember_ended: Duration::Seconds(7 * 86_400),
            held_max: 5000,
        }
    }
}

impl Default for ActionSettings {
    fn default() -> Self {
        ActionSettings {
            evidence_age_max: Duration::Seconds(600),
            in_force_after: Duration::Seconds(5),
            remember_ended: Duration::Seconds(7 * 86_400),
            held_max: 10_000,
            proposals_max: 1000,
        }
    }
}

impl Default for GuardRails {
    fn default() -> Self {
        GuardRails {
            never_block: Vec::new(),
            active_actions_max: 50,
            actions_per_hour_max: 20,
            target_calls_share_max: 0.25,
            calls_min: 100,
            target_addresses_share_max: 0.25,
            addresses_min: 20,
        }
    }
}

impl Settings {
    /// Refuses what cannot be meant, naming the key.
    pub fn validate(&self) -> Result<(), Error> {
        let durations = [
            ("alerts.resolve_after", self.alerts.resolve_after),
            ("alerts.false_positive_silence", self.alerts.false_positive_silence),
            ("alerts.remember_ended", self.alerts.remember_ended),
            ("actions.evidence_age_max", self.actions.evidence_age_max),
            ("actions.in_force_after", self.actions.in_force_after),
            ("actions.remember_ended", self.actions.remember_ended),
        ];
        for (key, duration) in durations {
            match duration {
                Duration::Seconds(1..=Duration::SECONDS_MAX) => {}
                _ => return Err(wrong(key, duration, "a time of 1s to 366d")),
            }
        }
        let counts = [
            ("alerts.held_max", self.alerts.held_max),
            ("actions.held_max", self.actions.held_max),
            ("actions.proposals_max", self.actions.proposals_max),
        ];
        for (key, count) in counts {
            if !(1..=100_000).contains(&count) {
                return Err(wrong(key, count, "1 to 100000"));
            }
        }
        self.guard_rails.validate()
    }
}

impl GuardRails {
    /// The most entries of the never-block list.
    pub const NEVER_BLOCK_MAX: usize = 10_000;

    fn validate(&self) -> Result<(), Error> {
        let shares = [
            ("guard_rails.target_calls_share_max", self.target_calls_share_max),
            ("guard_rails.target_addresses_share_max", self.target_addresses_share_max),
        ];
        for (key, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(wrong(key, share, "a share of 0 to 1"));
            }
        }
        if self.active_actions_max > 100_000 {
            return Err(wrong("guard_rails.active_actions_max", self.active_actions_max, "0 to 100000"));
        }
        if self.actions_per_hour_max > 10_000 {
            return Err(wrong("guard_rails.actions_per_hour_max", self.actions_per_hour_max, "0 to 10000"));
        }
        if self.never_block.len() > Self::NEVER_BLOCK_MAX {
            return Err(wrong("guard_rails.never_block", self.never_block.len(), "at most 10000 entries"));
        }
        match self.never_block.iter().find(|rule| rule.is_empty() || *rule == "tag:") {
            Some(rule) => Err(wrong("guard_rails.never_block", rule, "a user name, id, custom id or `tag:NAME`")),
            None => Ok(()),
        }
    }
}

fn wrong(key: &'static str, value: impl std::fmt::Display, expected: &'static str) -> Error {
    Error::Setting { key, value: value.to_string(), expected }
}

/// A validated duration in milliseconds. What has no end lasts longer than any log.
pub(super) fn ms(duration: Duration) -> i64 {
    match duration {
        Duration::Seconds(seconds) => i64::from(seconds) * 1000,
        Duration::Permanent => i64::MAX / 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_meant_are_refused_by_name() {
        let cases: [(&str, &str); 9] = [
            (r#"{"alerts":{"resolve_after":"permanent"}}"#, "alerts.resolve_after"),
            (r#"{"alerts":{"held_max":0}}"#, "alerts.held_max"),
            (r#"{"actions":{"held_max":100001}}"#, "actions.held_max"),
            (r#"{"actions":{"proposals_max":0}}"#, "actions.proposals_max"),
            (r#"{"guard_rails":{"target_calls_share_max":1.5}}"#, "guard_rails.target_calls_share_max"),
            (r#"{"guard_rails":{"target_addresses_share_max":-0.1}}"#, "guard_rails.target_addresses_share_max"),
            (r#"{"guard_rails":{"actions_per_hour_max":10001}}"#, "guard_rails.actions_per_hour_max"),
            (r#"{"guard_rails":{"never_block":["alice",""]}}"#, "guard_rails.never_block"),
            (r#"{"guard_rails":{"never_block":["tag:"]}}"#, "guard_rails.never_block"),
        ];
        for (json, key) in cases {
            let settings: Settings = serde_json::from_str(json).unwrap();
            let error = settings.validate().unwrap_err().to_string();
            assert!(error.contains(key), "{json}: {error}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_and_defaults_are_valid() {
        for json in [r#"{"alert":{}}"#, r#"{"guard_rails":{"never_blok":[]}}"#, r#"{"actions":{"caps":1}}"#] {
            assert!(serde_json::from_str::<Settings>(json).is_err(), "{json}");
        }
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
        assert!(Settings::default().validate().is_ok());
    }
}
