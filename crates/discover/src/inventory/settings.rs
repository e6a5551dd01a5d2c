use std::sync::Arc;

use outrider_classify::{CustomClass, CustomClasses, CustomError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::SettingsError;

/// How the inventory learns and what it may hold.
///
/// Every limit says what happens there; how often that happened is counted under its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "InventorySettings")]
pub struct Settings {
    /// Classes of data of your own, besides [those that are known](data-classes.md); what was seen before one was named is not looked at again.
    #[schemars(with = "Vec<CustomClass>")]
    pub classes: OwnClasses,
    /// Endpoints that are kept. At the limit a new one is not taken in; above seven eighths of it those that were called
    /// the longest ago are forgotten when an epoch closes.
    pub endpoints_max: usize,
    /// Bytes of all endpoints together. At the limit nothing new is taken in and counts go on; room is made as with
    /// `endpoints_max`.
    pub bytes_max: usize,
    /// Parameters of an endpoint. At the limit a new one takes the place of the rarest that one caller alone has sent,
    /// or that came at most twice; else it is left out.
    pub parameters_per_endpoint_max: usize,
    /// Bytes of a parameter's name. A longer one is left out.
    pub name_bytes_max: usize,
    /// Different texts of a parameter that are kept as its values. A parameter with more has none.
    pub values_per_parameter_max: usize,
    /// Bytes of such a text. A parameter with a longer one has none.
    pub value_bytes_max: usize,
    /// Calls with a parameter before its values are shown.
    pub value_calls_min: u32,
    /// Different callers that must have sent a value before it is shown.
    pub value_actors_min: u32,
    /// Calls with a parameter before it is reported.
    pub parameter_calls_min: u32,
    /// Classes of data of a parameter. At the limit a new one is left out, and counted with `kinds_per_endpoint_max`; where two
    /// endpoints become one, the rarest.
    pub classes_per_parameter_max: usize,
    /// Values of a class before a parameter counts as carrying it.
    pub class_values_min: u32,
    /// Different ones among them, of at most 64 that are told apart.
    pub class_distinct_min: u32,
    /// Consumers that are kept of those who sent a class of data to an endpoint. At the limit the one with the fewest calls makes
    /// room, and its count goes to who comes.
    pub senders_per_class_max: usize,
    /// Different statuses, media types and routes of an endpoint, each. At the limit a new one is left out; where two
    /// endpoints become one, the rarest.
    pub kinds_per_endpoint_max: usize,
    /// Calls of an endpoint from which all parameters are read.
    pub read_calls: u64,
    /// After those, one in this many is read.
    pub read_every: u64,
    /// After those, one in this many is measured: sizes, latency and media type.
    pub measure_every: u64,
    /// Epochs after which an endpoint that was only called, with nothing new, is reported again.
    pub report_every_epochs: u32,
    /// The size of an answer from which it is large, in bytes; for a list that is given whole an eighth of it is.
    pub large_response_bytes: u32,
    /// The longest lifetime of a token that is not long, in hours.
    pub jwt_lifetime_hours_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            classes: OwnClasses::default(),
            endpoints_max: 65_536,
            bytes_max: 256 << 20,
            parameters_per_endpoint_max: 64,
            name_bytes_max: 64,
            values_per_parameter_max: 12,
            value_bytes_max: 32,
            value_calls_min: 30,
            value_actors_min: 3,
            parameter_calls_min: 3,
            classes_per_parameter_max: 8,
            class_values_min: 3,
            class_distinct_min: 2,
            senders_per_class_max: 8,
            kinds_per_endpoint_max: 24,
            read_calls: 256,
            read_every: 32,
            measure_every: 8,
            report_every_epochs: 5,
            large_response_bytes: 1 << 20,
            jwt_lifetime_hours_max: 24,
        }
    }
}

impl Settings {
    /// Refuses values that cannot be meant, naming the field and what is allowed.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let checks = [
            ("endpoints_max", self.endpoints_max, 16, 1 << 24),
            ("bytes_max", self.bytes_max, 1 << 16, 1 << 40),
            ("parameters_per_endpoint_max", self.parameters_per_endpoint_max, 4, 1024),
            ("name_bytes_max", self.name_bytes_max, 16, 1024),
            ("values_per_parameter_max", self.values_per_parameter_max, 2, 256),
            ("value_bytes_max", self.value_bytes_max, 8, 256),
            ("value_calls_min", self.value_calls_min as usize, 2, 1 << 20),
            ("value_actors_min", self.value_actors_min as usize, 2, 16),
            ("parameter_calls_min", self.parameter_calls_min as usize, 1, 1 << 20),
            ("classes_per_parameter_max", self.classes_per_parameter_max, 1, 64),
            ("class_values_min", self.class_values_min as usize, 1, 1 << 20),
            ("class_distinct_min", self.class_distinct_min as usize, 1, 64),
            ("senders_per_class_max", self.senders_per_class_max, 1, 1024),
            ("kinds_per_endpoint_max", self.kinds_per_endpoint_max, 4, 256),
            ("read_calls", self.read_calls as usize, 16, 1 << 24),
            ("read_every", self.read_every as usize, 1, 1 << 16),
            ("measure_every", self.measure_every as usize, 1, 1 << 16),
            ("report_every_epochs", self.report_every_epochs as usize, 1, 1 << 16),
            ("large_response_bytes", self.large_response_bytes as usize, 1 << 10, 1 << 31),
            ("jwt_lifetime_hours_max", self.jwt_lifetime_hours_max as usize, 1, 1 << 20),
        ];
        SettingsError::check(&checks)
    }
}

/// Classes of data of an operator's own, checked and ready to be used.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<CustomClass>", into = "Vec<CustomClass>")]
pub struct OwnClasses {
    given: Vec<CustomClass>,
    ready: Arc<CustomClasses>,
}

impl OwnClasses {
    /// What values are compared with: these, and all of outrider's.
    pub fn ready(&self) -> &CustomClasses {
        &self.ready
    }
}

impl TryFrom<Vec<CustomClass>> for OwnClasses {
    type Error = CustomError;

    fn try_from(given: Vec<CustomClass>) -> Result<Self, CustomError> {
        let ready = Arc::new(CustomClasses::new(&given)?);
        Ok(OwnClasses { given, ready })
    }
}

impl From<OwnClasses> for Vec<CustomClass> {
    fn from(classes: OwnClasses) -> Self {
        classes.given
    }
}

impl PartialEq for OwnClasses {
    fn eq(&self, other: &Self) -> bool {
        self.given == other.given
    }
}

impl Eq for OwnClasses {}

/// What was dropped or cut at a limit since the inventory was made; named for the limits of [`Settings`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Calls of an endpoint for which there was no room.
    pub endpoints_max: u64,
    /// Calls that had something new for which there was no room in bytes.
    pub bytes_max: u64,
    /// Parameters that were left out or made room.
    pub parameters_per_endpoint_max: u64,
    /// Names that were too long, in calls whose parameters were read.
    pub name_bytes_max: u64,
    /// Statuses, media types, routes and classes of data that were left out.
    pub kinds_per_endpoint_max: u64,
    /// Names that held a personal value or a credential, and were left out, in calls whose parameters were read.
    pub personal_names: u64,
    /// Endpoints that were forgotten to make room.
    pub endpoints_forgotten: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_nonsense_is_refused_by_name() {
        assert_eq!(Settings::default().validate(), Ok(()));
        let error = Settings { value_actors_min: 1, ..Settings::default() }.validate().unwrap_err().to_string();
        assert_eq!(error, "`value_actors_min` must be between 2 and 16, and is 1");
        assert!(serde_json::from_str::<Settings>(r#"{"endpoint_max": 1}"#).is_err());
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
    }
}
