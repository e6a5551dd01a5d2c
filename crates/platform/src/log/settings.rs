//! What the log may be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LogError, RecordKind};

/// The part of the size limit that calls may not use, so that decisions and action states still find room.
const RESERVE_PARTS: u64 = 16;
const RESERVE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What the log may be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// At this size a segment is closed and the next one begun. Space is given back by whole segments.
    pub segment_bytes_max: u64,
    /// At this size calls are refused until a consumer has caught up; at least four segments. Other records find some
    /// room beyond the calls' part of it.
    pub total_bytes_max: u64,
    /// Compress batches with LZ4: about a third of the space for some processor time.
    pub compress: bool,
    /// What to do about damaged records.
    pub on_damage: OnDamage,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings {
            segment_bytes_max: 64 * 1024 * 1024,
            total_bytes_max: 4 * 1024 * 1024 * 1024,
            compress: false,
            on_damage: OnDamage::Refuse,
        }
    }
}

impl LogSettings {
    /// Refuses what cannot work.
    pub fn validate(&self) -> Result<(), LogError> {
        if !(4096..=1024 * 1024 * 1024).contains(&self.segment_bytes_max) {
            return Err(LogError::Setting {
                setting: "segment_bytes_max",
                why: format!("{} is out of range; use 4096 to 1073741824", self.segment_bytes_max),
            });
        }
        if self.total_bytes_max < 4 * self.segment_bytes_max {
            return Err(LogError::Setting {
                setting: "total_bytes_max",
                why: format!(
                    "{} is less than four segments; use at least {}",
                    self.total_bytes_max,
                    4 * self.segment_bytes_max
                ),
            });
        }
        Ok(())
    }

    /// How much calls may fill it.
    pub fn calls_bytes_max(&self) -> u64 {
        self.limit_for(RecordKind::Calls)
    }

    pub(super) fn limit_for(&self, kind: RecordKind) -> u64 {
        match kind {
            RecordKind::Calls => self.total_bytes_max - (self.total_bytes_max / RESERVE_PARTS).min(RESERVE_BYTES_MAX),
            _ => self.total_bytes_max,
        }
    }
}

/// What to do about a record that was stored and cannot be read any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDamage {
    /// Stop and say where it is.
    #[default]
    Refuse,
    /// Go on behind it; readers get a gap record in its place.
    Skip,
}
