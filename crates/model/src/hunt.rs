use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, EntityKey, HuntId, Outcome, SampleCall, Severity, TargetFacts};

/// How often a hunt may run at most, and how seldom, in seconds.
pub const HUNT_EVERY_SECONDS: std::ops::RangeInclusive<u32> = 60..=86_400;
/// How far one run may look back, in seconds: 7 days.
pub const HUNT_LOOK_BACK_SECONDS_MAX: u32 = 7 * 86_400;
/// Length of a search or statement in bytes.
pub const HUNT_TEXT_BYTES_MAX: usize = 16 * 1024;
/// Entities that one run raises something about: those with the most rows. Those beyond are counted.
pub const HUNT_ENTITIES_MAX: usize = 100;
/// Rows that an entity may have to have.
pub const HUNT_THRESHOLD_MAX: u32 = 1_000_000;
/// What findings of hunts have as detector before the hunt's name: `hunt:stolen-key`.
pub const HUNT_DETECTOR: &str = "hunt";

/// A question that is asked of the lake again and again, of the calls that came since it was asked last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hunt {
    /// Its unique name: 1 to 64 characters of `a-z`, `0-9`, `-` and `_`. What it finds has the detector `hunt:NAME`.
    pub name: String,
    /// What a person should know about it, in at most 500 characters.
    #[serde(default)]
    pub description: String,
    /// Switched off, it does not run by itself.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What is asked.
    pub ask: HuntQuestion,
    /// How often, from `1m` to `1d`.
    pub every: Duration,
    /// How far back each run looks, from `every` to `7d`. Without it, as far as to where the run before ended.
    #[serde(default)]
    pub look_back: Option<Duration>,
    /// How bad what it finds is.
    #[serde(default = "medium")]
    pub severity: Severity,
    /// How many calls of a search, or rows of a statement's answer, an entity has to have; 1 to 1000000.
    #[serde(default = "one")]
    pub threshold: u32,
    /// Only calls at these gateways; empty for all.
    #[serde(default)]
    pub gateways: Vec<String>,
}

/// What a hunt asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HuntQuestion {
    /// A search, such as `status:401,403 path:/admin/*`. What it finds is about who made the calls.
    Search(String),
    /// A SELECT over `window_calls`: the calls that the run is about. Its columns `entity_kind`, `entity` and `gateway` say whom a
    /// row is about; `$since` and `$until` are when the window begins and ends.
    Sql(String),
}

impl HuntQuestion {
    /// What was typed.
    pub fn text(&self) -> &str {
        match self {
            HuntQuestion::Search(text) | HuntQuestion::Sql(text) => text,
        }
    }
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn medium() -> Severity {
    Severity::Medium
}

/// Why a hunt is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HuntError {
    /// The name is empty, too long or has other characters.
    #[error("hunt name `{0}` is not valid: use 1 to 64 characters of a-z, 0-9, `-` and `_`")]
    Name(String),
    /// The description is too long.
    #[error("the description of a hunt has at most 500 characters")]
    Description,
    /// There is nothing to ask, or too much.
    #[error("a hunt asks in 1 to {HUNT_TEXT_BYTES_MAX} bytes; this has {0}")]
    Text(usize),
    /// It would run too often or too seldom.
    #[error("every `{0}` is not valid: use 1m to 1d, such as `5m` or `1h`")]
    Every(Duration),
    /// It would look back too little or too far.
    #[error("look_back `{0}` is not valid: use what `every` says, or more, up to 7d")]
    LookBack(Duration),
    /// The threshold is out of range.
    #[error("threshold {0} is not valid: use 1 to {HUNT_THRESHOLD_MAX}")]
    Threshold(u32),
    /// The gateways cannot be meant.
    #[error("a hunt is for at most 100 gateways, each by its name of 1 to 64 characters")]
    Gateways,
}

impl HuntError {
    /// The field that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            HuntError::Name(_) => "name",
            HuntError::Description => "description",
            HuntError::Text(_) => "ask",
            HuntError::Every(_) => "every",
            HuntError::LookBack(_) => "look_back",
            HuntError::Threshold(_) => "threshold",
            HuntError::Gateways => "gateways",
        }
    }
}

impl Hunt {
    /// Refuses what cannot be meant. Whether the question can be answered, the lake says.
    pub fn validate(&self) -> Result<(), HuntError> {
        let is_name = (1..=64).contains(&self.name.len())
            && self.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if !is_name {
            return Err(HuntError::Name(self.name.clone()));
        }
        if self.description.chars().count() > 500 {
            return Err(HuntError::Description);
        }
        let text = self.ask.text();
        if text.trim().is_empty() || text.len() > HUNT_TEXT_BYTES_MAX {
            return Err(HuntError::Text(text.len()));
        }
        let every = match self.every {
            Duration::Seconds(seconds) if HUNT_EVERY_SECONDS.contains(&seconds) => seconds,
            other => return Err(HuntError::Every(other)),
        };
        match self.look_back {
            None => {}
            Some(Duration::Seconds(seconds)) if (every..=HUNT_LOOK_BACK_SECONDS_MAX).contains(&seconds) => {}
            Some(other) => return Err(HuntError::LookBack(other)),
        }
        if !(1..=HUNT_THRESHOLD_MAX).contains(&self.threshold) {
            return Err(HuntError::Threshold(self.threshold));
        }
        let is_gateway = |name: &String| (1..=64).contains(&name.chars().count());
        match self.gateways.len() <= 100 && self.gateways.iter().all(is_gateway) {
            true => Ok(()),
            false => Err(HuntError::Gateways),
        }
    }

    /// Time between two runs.
    pub fn every_ms(&self) -> i64 {
        ms(self.every)
    }

    /// How far back a run looks, where that is farther than to the run before.
    pub fn look_back_ms(&self) -> Option<i64> {
        self.look_back.map(ms).filter(|look_back_ms| *look_back_ms > self.every_ms())
    }
}

/// A validated duration; a hunt knows none without an end.
fn ms(duration: Duration) -> i64 {
    duration.end_ms(0).unwrap_or(i64::MAX)
}

/// The calls that one run is about: those that stand in the log behind the run before, up to what the lake had.
///
/// Places in the log are used and not times: they only grow, whatever a clock does and however late a call arrives, so that
/// windows that touch hold every call once. The times are for people, and for what has to be said in times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HuntWindow {
    /// It begins behind this record of the log: where the run before ended. 0 for the first run.
    pub after: u64,
    /// It ends with this record.
    pub to: u64,
    /// When it begins, in milliseconds since 1970.
    pub since_ms: i64,
    /// When it ends, in milliseconds since 1970.
    pub until_ms: i64,
    /// Calls that were received before are left out: in a first run, and where there was no run for longer than is made up
    /// for.
    pub not_before_ms: Option<i64>,
    /// Calls that were received from then on are looked at once more.
    pub again_from_ms: Option<i64>,
}

/// What one run found, as it enters the log. Its window is done when this is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HuntRun {
    /// The hunt.
    pub hunt: HuntId,
    /// Its name.
    pub name: String,
    /// When it ran.
    pub at_ms: i64,
    /// The calls that it was about.
    pub window: HuntWindow,
    /// How bad what it found is.
    pub severity: Severity,
    /// How many rows an entity had to have.
    pub threshold: u32,
    /// How it was done.
    pub figures: HuntFigures,
    /// Those who reached the threshold, the most rows first.
    pub hits: Vec<HuntHit>,
    /// The statement over `events` that gives the rows again.
    pub query: String,
}

/// A run in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct HuntFigures {
    /// Calls that were found, or rows of the answer that name an entity.
    pub rows: u64,
    /// Entities that reached the threshold.
    pub entities: u64,
    /// Of them, those that nothing was raised about because there were too many.
    pub entities_left_out: u64,
    /// How long it took.
    pub took_ms: u64,
    /// Rows of tables that were read.
    pub rows_read: u64,
    /// Bytes of files that were read.
    pub bytes_read: u64,
}

/// Somebody whom a run found, and what is known of their calls in its window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HuntHit {
    /// Who.
    pub entity: EntityKey,
    /// How many calls or rows.
    pub rows: u64,
    /// What the first row says besides: `refused = 120, paths = 4`; empty for a search.
    pub shown: String,
    /// What decides whether an automatic action may be about them.
    pub target: TargetFacts,
    /// Event time of the call that counts as the one that completed it.
    pub event_ms: i64,
    /// How their calls were answered.
    pub outcome: Outcome,
    /// The service's id, where all of it happened at one; empty otherwise.
    pub service_id: String,
    /// Its name.
    pub service_name: String,
    /// The route's id, where all of it happened at one; empty otherwise.
    pub route_id: String,
    /// Its name.
    pub route_name: String,
    /// A consumer's tags.
    pub consumer_tags: Vec<String>,
    /// A consumer's custom id; empty otherwise.
    pub consumer_custom_id: String,
    /// A call of theirs.
    pub samples: Vec<SampleCall>,
    /// What, behind the run's query, keeps that to them.
    pub only: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Hunt {
        serde_json::from_str(r#"{"name": "a-1", "ask": {"search": "status:401"}, "every": "5m"}"#).unwrap()
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let hunt = good();
        assert_eq!(hunt.validate(), Ok(()));
        assert!(hunt.enabled);
        assert_eq!((hunt.severity, hunt.threshold), (Severity::Medium, 1));
        assert_eq!((hunt.every_ms(), hunt.look_back_ms()), (300_000, None));
        let same = Hunt { look_back: Some(Duration::Seconds(300)), ..hunt.clone() };
        assert_eq!(same.look_back_ms(), None, "windows touch");
        let longer = Hunt { look_back: Some(Duration::Seconds(3600)), ..hunt };
        assert_eq!(longer.look_back_ms(), Some(3_600_000));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_field() {
        type Case = (&'static str, fn(&mut Hunt));
        let cases: [Case; 14] = [
            ("name", |hunt| hunt.name = "A".to_owned()),
            ("name", |hunt| hunt.name = String::new()),
            ("name", |hunt| hunt.name = "a".repeat(65)),
            ("description", |hunt| hunt.description = "é".repeat(501)),
            ("ask", |hunt| hunt.ask = HuntQuestion::Sql(" \n".to_owned())),
            ("ask", |hunt| hunt.ask = HuntQuestion::Sql("x".repeat(HUNT_TEXT_BYTES_MAX + 1))),
            ("every", |hunt| hunt.every = Duration::Seconds(59)),
            ("every", |hunt| hunt.every = Duration::Seconds(86_401)),
            ("every", |hunt| hunt.every = Duration::Permanent),
            ("look_back", |hunt| hunt.look_back = Some(Duration::Seconds(299))),
            ("look_back", |hunt| hunt.look_back = Some(Duration::Seconds(HUNT_LOOK_BACK_SECONDS_MAX + 1))),
            ("threshold", |hunt| hunt.threshold = 0),
            ("threshold", |hunt| hunt.threshold = HUNT_THRESHOLD_MAX + 1),
            ("gateways", |hunt| hunt.gateways = vec![String::new()]),
        ];
        for (field, edit) in cases {
            let mut hunt = good();
            edit(&mut hunt);
            assert_eq!(hunt.validate().map_err(|error| error.field()), Err(field), "{hunt:?}");
        }
        let unknown = r#"{"name": "a", "ask": {"search": "x"}, "every": "5m", "interval": 3}"#;
        assert!(serde_json::from_str::<Hunt>(unknown).is_err());
        assert!(serde_json::from_str::<Hunt>(r#"{"name": "a", "ask": {"serch": "x"}, "every": "5m"}"#).is_err());
    }
}
