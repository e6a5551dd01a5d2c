use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many calls are let through per window: Kong's six windows, each aligned to the clock. A window without a value has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimits {
    /// Calls per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<u32>,
    /// Calls per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minute: Option<u32>,
    /// Calls per hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour: Option<u32>,
    /// Calls per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<u32>,
    /// Calls per month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<u32>,
    /// Calls per year.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<u32>,
}

/// Why limits are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateLimitsError {
    /// No window has a limit.
    #[error("a rate limit needs at least one of second, minute, hour, day, month and year")]
    Empty,
    /// A window lets nothing through.
    #[error("the limit per {0} is 0: use 1 or more, or a block to let nothing through")]
    Zero(&'static str),
    /// A longer window lets less through than a shorter one, which Kong refuses.
    #[error("the limit per {longer} is lower than the limit per {shorter}: raise it, or lower the one per {shorter}")]
    Decreasing {
        /// The shorter window.
        shorter: &'static str,
        /// The longer window.
        longer: &'static str,
    },
}

impl std::fmt::Display for RateLimits {
    /// `30 calls per minute and 500 per hour`, as a sentence goes on.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let windows = Self::WINDOWS.into_iter().zip(self.values());
        for (number, (window, limit)) in windows.filter_map(|(window, limit)| Some((window, limit?))).enumerate() {
            let between = if number == 0 { "" } else { " and " };
            let calls = match (number, limit) {
                (0, 1) => " call",
                (0, _) => " calls",
                _ => "",
            };
            write!(f, "{between}{limit}{calls} per {window}")?;
        }
        Ok(())
    }
}

impl RateLimits {
    /// Kong's names of the windows, shortest first.
    pub const WINDOWS: [&'static str; 6] = ["second", "minute", "hour", "day", "month", "year"];

    /// The limits in the order of [`RateLimits::WINDOWS`].
    pub fn values(&self) -> [Option<u32>; 6] {
        [self.second, self.minute, self.hour, self.day, self.month, self.year]
    }

    /// Limits from values in the order of [`RateLimits::WINDOWS`].
    pub fn of([second, minute, hour, day, month, year]: [Option<u32>; 6]) -> Self {
        RateLimits { second, minute, hour, day, month, year }
    }

    /// Refuses what cannot be meant, and what Kong would refuse.
    pub fn validate(&self) -> Result<(), RateLimitsError> {
        let mut before: Option<(&'static str, u32)> = None;
        for (window, limit) in Self::WINDOWS.into_iter().zip(self.values()) {
            let Some(limit) = limit else { continue };
            if limit == 0 {
                return Err(RateLimitsError::Zero(window));
            }
            if let Some((shorter, _)) = before.filter(|(_, lower)| limit < *lower) {
                return Err(RateLimitsError::Decreasing { shorter, longer: window });
            }
            before = Some((window, limit));
        }
        before.map(drop).ok_or(RateLimitsError::Empty)
    }

    /// The limits that let through only what both let through. A short window is lowered to the limit of a longer one:
    /// that takes nothing away, since no more gets through in the longer one, and Kong refuses it otherwise.
    pub fn lowest(&self, other: &RateLimits) -> RateLimits {
        let (ours, theirs) = (self.values(), other.values());
        let mut lowest: [Option<u32>; 6] =
            std::array::from_fn(|window| [ours[window], theirs[window]].into_iter().flatten().min());
        let mut longer = u32::MAX;
        for limit in lowest.iter_mut().rev().flatten() {
            longer = longer.min(*limit);
            *limit = longer;
        }
        RateLimits::of(lowest)
    }

    /// Whatever the other lets through at most, this does not let through more: adding the other changes nothing.
    pub fn is_at_most(&self, other: &RateLimits) -> bool {
        let (ours, theirs) = (self.values(), other.values());
        // A limit of a longer window holds for each shorter one inside it.
        (0..6).all(|window| match theirs[window] {
            None => true,
            Some(limit) => ours[window..].iter().flatten().any(|own| *own <= limit),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(json: &str) -> RateLimits {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let cases = [
            ("{}", "at least one"),
            (r#"{"minute":0}"#, "per minute is 0"),
            (r#"{"second":5,"minute":4}"#, "per minute is lower than the limit per second"),
            (r#"{"second":5,"day":6,"year":5}"#, "per year is lower than the limit per day"),
            (r#"{"second":5,"hour":5}"#, ""),
            (r#"{"year":1}"#, ""),
        ];
        for (json, expected) in cases {
            let error = limits(json).validate().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(expected) && error.is_empty() == expected.is_empty(), "{json}: {error}");
        }
        assert!(serde_json::from_str::<RateLimits>(r#"{"minutes":1}"#).is_err());
    }

    #[test]
    fn limits_are_said_as_a_sentence_goes_on() {
        let cases = [
            (r#"{"minute":30}"#, "30 calls per minute"),
            (r#"{"second":1,"hour":500,"year":9000}"#, "1 call per second and 500 per hour and 9000 per year"),
        ];
        for (json, words) in cases {
            assert_eq!(limits(json).to_string(), words);
        }
    }

    #[test]
    fn the_lowest_of_two_weakens_neither() {
        let cases = [
            (r#"{"minute":60}"#, r#"{"minute":30}"#, r#"{"minute":30}"#),
            (r#"{"second":5,"hour":100}"#, r#"{"minute":50}"#, r#"{"second":5,"minute":50,"hour":100}"#),
            (r#"{"minute":100}"#, r#"{"second":200}"#, r#"{"second":100,"minute":100}"#),
            (r#"{"minute":9}"#, "{}", r#"{"minute":9}"#),
        ];
        for (one, other, expected) in cases {
            let (one, other) = (limits(one), limits(other));
            let lowest = one.lowest(&other);
            assert_eq!(lowest, limits(expected));
            assert_eq!(other.lowest(&one), lowest);
            assert!(lowest.is_at_most(&one) && lowest.is_at_most(&other) && lowest.validate().is_ok(), "{lowest:?}");
        }
        assert!(!limits(r#"{"second":5}"#).is_at_most(&limits(r#"{"minute":60}"#)), "5 a second are 300 a minute");
        assert!(limits(r#"{"minute":4}"#).is_at_most(&limits(r#"{"second":5}"#)));
    }
}
