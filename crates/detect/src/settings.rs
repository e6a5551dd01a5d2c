use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::detectors::request_spike;
use crate::error::DetectError;

/// Everything that an operator can set about detection: one section for each detector.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// One actor calls far more often than is normal for it.
    pub request_spike: request_spike::Settings,
}

impl Settings {
    /// Refuses what cannot be meant.
    pub fn validate(&self) -> Result<(), DetectError> {
        self.request_spike.validate()
    }
}
