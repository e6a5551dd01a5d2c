use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DetectError;

/// Settings of request spike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether the detector works at all.
    pub enabled: bool,
    /// Fewer calls in a minute than this are never a spike, however unusual. At least 1.
    pub calls_min: u32,
    /// How surprising a count must be: −log10 of its probability. 8 means one in a hundred million. 1 to 300.
    pub surprise_min: f64,
    /// How many times its record minute an actor must reach for a spike that is decided at the end of a minute. At least 1.
    pub factor: f64,
    /// How many times its record minute an actor must reach within 20 s for a spike that is decided at once. At least
    /// `factor`.
    pub factor_at_once: f64,
    /// How many times the record minute of all its peers it must reach within these 20 s, too. At least 1.
    pub peers_factor_at_once: f64,
    /// At most so many spikes an endpoint are decided at once in one minute; the others wait for its end. At least 1.
    pub at_once_per_minute_max: u32,
    /// Which share of its peers may grow without that being called growth of all: an actor's expectation is scaled by
    /// the growth of the peer at this quantile. 0.5 to 0.99.
    pub growth_quantile: f64,
    /// Nothing is found before a population was active in so many minutes. At least 1.
    pub warmup_minutes: u32,
    /// Nothing is found before so many active minutes of a population's actors were learned. At least 1.
    pub warmup_active_minutes: u32,
    /// After so many active minutes an actor is measured against its own record, before against its peers'. At least 1.
    pub own_minutes_min: u32,
    /// How many recent active minutes a profile speaks of. At least `own_minutes_min`.
    pub memory_minutes: u32,
    /// Minutes of a spike do not train. After so many of them the level counts as normal and is learned. At least 1.
    pub learn_after_minutes: u16,
    /// A profile that was not used for so many days is forgotten. 1 to 365.
    pub forget_after_days: u32,
    /// At most so many profiles are kept, of about 75 bytes each; at the limit the least used makes room. At least 1,000.
    pub keys_max: u32,
    /// At most so many unusual profiles are watched closely at a time; further ones are counted and left out until one
    /// is calm again. 1 to a quarter of `keys_max`.
    pub watched_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            enabled: true,
            calls_min: 30,
            surprise_min: 8.0,
            factor: 3.0,
            factor_at_once: 10.0,
            peers_factor_at_once: 2.0,
            at_once_per_minute_max: 3,
            growth_quantile: 0.75,
            warmup_minutes: 10,
            warmup_active_minutes: 60,
            own_minutes_min: 10,
            memory_minutes: 1440,
            learn_after_minutes: 1440,
            forget_after_days: 30,
            keys_max: 500_000,
            watched_max: 4096,
        }
    }
}

impl Settings {
    /// Refuses what cannot be meant.
    pub fn validate(&self) -> Result<(), DetectError> {
        let in_range = |value: f64, low: f64, high: f64| value >= low && value <= high;
        let at_least_1 = "write a number of at least 1";
        check(self.calls_min >= 1, "request_spike.calls_min", self.calls_min, at_least_1)?;
        check(
            in_range(self.surprise_min, 1.0, 300.0),
            "request_spike.surprise_min",
            self.surprise_min,
            "write a number of 1 to 300",
        )?;
        check(in_range(self.factor, 1.0, 1e6), "request_spike.factor", self.factor, "write a number of 1 to 1000000")?;
        check(
            in_range(self.factor_at_once, self.factor, 1e6),
            "request_spike.factor_at_once",
            self.factor_at_once,
            "write a number that is at least `factor` and at most 1000000",
        )?;
        check(
            in_range(self.peers_factor_at_once, 1.0, 1e6),
            "request_spike.peers_factor_at_once",
            self.peers_factor_at_once,
            "write a number of 1 to 1000000",
        )?;
        check(
            self.at_once_per_minute_max >= 1,
            "request_spike.at_once_per_minute_max",
            self.at_once_per_minute_max,
            at_least_1,
        )?;
        check(
            in_range(self.growth_quantile, 0.5, 0.99),
            "request_spike.growth_quantile",
            self.growth_quantile,
            "write a number of 0.5 to 0.99",
        )?;
        self.validate_learning()
    }

    fn validate_learning(&self) -> Result<(), DetectError> {
        let at_least_1 = "write a number of at least 1";
        check(self.warmup_minutes >= 1, "request_spike.warmup_minutes", self.warmup_minutes, at_least_1)?;
        check(
            self.warmup_active_minutes >= 1,
            "request_spike.warmup_active_minutes",
            self.warmup_active_minutes,
            at_least_1,
        )?;
        check(self.own_minutes_min >= 1, "request_spike.own_minutes_min", self.own_minutes_min, at_least_1)?;
        check(
            self.memory_minutes >= self.own_minutes_min && self.memory_minutes <= 100_000,
            "request_spike.memory_minutes",
            self.memory_minutes,
            "write a number that is at least `own_minutes_min` and at most 100000",
        )?;
        check(
            self.learn_after_minutes >= 1,
            "request_spike.learn_after_minutes",
            self.learn_after_minutes,
            at_least_1,
        )?;
        check(
            (1..=365).contains(&self.forget_after_days),
            "request_spike.forget_after_days",
            self.forget_after_days,
            "write a number of 1 to 365",
        )?;
        check(
            (1_000..=100_000_000).contains(&self.keys_max),
            "request_spike.keys_max",
            self.keys_max,
            "write a number of 1000 to 100000000",
        )?;
        check(
            self.watched_max >= 1 && self.watched_max <= self.keys_max / 4,
            "request_spike.watched_max",
            self.watched_max,
            "write a number of 1 to a quarter of `keys_max`",
        )
    }
}

fn check(
    good: bool,
    setting: &'static str,
    found: impl std::fmt::Display,
    expected: &'static str,
) -> Result<(), DetectError> {
    if good { Ok(()) } else { Err(DetectError::Setting { setting, found: found.to_string(), expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let cases: &[(&str, &str)] = &[
            (r#"{"calls_min":0}"#, "calls_min"),
            (r#"{"surprise_min":0.5}"#, "surprise_min"),
            (r#"{"factor":0.9}"#, "factor"),
            (r#"{"factor":5,"factor_at_once":4}"#, "factor_at_once"),
            (r#"{"peers_factor_at_once":0}"#, "peers_factor_at_once"),
            (r#"{"at_once_per_minute_max":0}"#, "at_once_per_minute_max"),
            (r#"{"growth_quantile":1}"#, "growth_quantile"),
            (r#"{"warmup_minutes":0}"#, "warmup_minutes"),
            (r#"{"warmup_active_minutes":0}"#, "warmup_active_minutes"),
            (r#"{"own_minutes_min":0}"#, "own_minutes_min"),
            (r#"{"memory_minutes":5}"#, "memory_minutes"),
            (r#"{"learn_after_minutes":0}"#, "learn_after_minutes"),
            (r#"{"forget_after_days":366}"#, "forget_after_days"),
            (r#"{"keys_max":10}"#, "keys_max"),
            (r#"{"keys_max":1000,"watched_max":251}"#, "watched_max"),
        ];
        for (json, setting) in cases {
            let settings: Settings = serde_json::from_str(json).unwrap();
            let error = settings.validate().unwrap_err().to_string();
            assert!(error.contains(&format!("request_spike.{setting}`")), "{json}: {error}");
        }
        assert_eq!(Settings::default().validate(), Ok(()));
        assert!(serde_json::from_str::<Settings>(r#"{"call_min":3}"#).is_err());
    }
}
