use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the catalogue learns and what it may hold.
///
/// Every limit says what happens there; how often that happened is counted under its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Services (or hosts without a service) that are learned. Calls of one more belong to no endpoint.
    pub places_max: usize,
    /// Nodes of all tries together. At the limit the eighth that is worth least is forgotten: what is not confirmed,
    /// then what is confirmed and stale, then what few actors use. Until then nothing new is learned.
    pub nodes_max: usize,
    /// Endpoints that are kept, redirects left by merges not counted. At the limit no new one is made, until some are
    /// forgotten with their nodes, as for `nodes_max`.
    pub endpoints_max: usize,
    /// Redirects that are kept. At the limit the oldest is forgotten: whoever stored it has it still.
    pub redirects_max: usize,
    /// Named children of one node. At the limit those with the least evidence become values of a parameter.
    pub children_per_node_max: usize,
    /// Segments of a path. A longer path belongs to no endpoint.
    pub depth_max: usize,
    /// Bytes of a segment, percent-decoded. A longer one is a value.
    pub segment_bytes_max: usize,
    /// Methods that are told apart. Calls with one more belong to no endpoint.
    pub methods_max: usize,
    /// Decisions about templates that may stand. One more is refused.
    pub decisions_max: usize,
    /// Bytes of the texts of those decisions. One more is refused, and counted with `decisions_max`.
    pub decisions_bytes_max: usize,
    /// Paths of a gateway's routes that are read, of at most 2048 bytes each. Of one more nothing is known.
    pub routes_max: usize,
    /// Operations of one endpoint, such as `/graphql#GetUser`. At the limit the one that was not used for
    /// `forget_after_epochs` and has the fewest actors makes room; if there is none, calls of one more belong to the endpoint
    /// without its operation.
    pub operations_per_endpoint_max: usize,
    /// Calls after which a name that was never in doubt counts as confirmed.
    pub confident_calls: u32,
    /// Different actors that must have used a name before it counts as confirmed with `confident_calls`; a name used by
    /// fewer needs five times as many calls.
    pub confident_actors: u32,
    /// How many one-time names of one actor count as evidence that a position is a parameter, where a service has
    /// at least four actors.
    pub names_per_actor_max: u32,
    /// Whole minutes of log time after which an unconfirmed, rarely used node may be forgotten when room is needed.
    pub forget_after_epochs: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            places_max: 4096,
            nodes_max: 262_144,
            endpoints_max: 65_536,
            redirects_max: 65_536,
            children_per_node_max: 512,
            depth_max: 24,
            segment_bytes_max: 256,
            methods_max: 32,
            decisions_max: 4096,
            decisions_bytes_max: 8 << 20,
            routes_max: 16_384,
            operations_per_endpoint_max: 256,
            confident_calls: 8,
            confident_actors: 2,
            names_per_actor_max: 6,
            forget_after_epochs: 60,
        }
    }
}

/// A setting that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` must be between {least} and {most}, and is {found}")]
pub struct SettingsError {
    field: &'static str,
    least: usize,
    most: usize,
    found: usize,
}

impl SettingsError {
    /// Refuses the first of these fields that is not within its bounds: name, value, least, most.
    pub(crate) fn check(fields: &[(&'static str, usize, usize, usize)]) -> Result<(), SettingsError> {
        for &(field, found, least, most) in fields {
            if found < least || found > most {
                return Err(SettingsError { field, least, most, found });
            }
        }
        Ok(())
    }
}

impl Settings {
    /// Refuses values that cannot be meant, naming the field and what is allowed.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let checks = [
            ("places_max", self.places_max, 1, 1 << 20),
            ("nodes_max", self.nodes_max, 64, 1 << 26),
            ("endpoints_max", self.endpoints_max, 16, 1 << 24),
            ("redirects_max", self.redirects_max, 16, 1 << 24),
            ("children_per_node_max", self.children_per_node_max, 16, 1 << 16),
            ("depth_max", self.depth_max, 4, 64),
            ("segment_bytes_max", self.segment_bytes_max, 32, 4096),
            ("methods_max", self.methods_max, 9, 255),
            ("decisions_max", self.decisions_max, 1, 1 << 16),
            ("decisions_bytes_max", self.decisions_bytes_max, 1 << 12, 1 << 30),
            ("routes_max", self.routes_max, 1, 1 << 20),
            ("operations_per_endpoint_max", self.operations_per_endpoint_max, 1, 1 << 16),
            ("confident_calls", self.confident_calls as usize, 1, 1 << 20),
            ("confident_actors", self.confident_actors as usize, 1, 32),
            ("names_per_actor_max", self.names_per_actor_max as usize, 1, 1 << 16),
            ("forget_after_epochs", self.forget_after_epochs as usize, 1, 1 << 24),
        ];
        SettingsError::check(&checks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_nonsense_is_refused_by_name() {
        assert_eq!(Settings::default().validate(), Ok(()));
        let error = Settings { nodes_max: 0, ..Settings::default() }.validate().unwrap_err().to_string();
        assert_eq!(error, "`nodes_max` must be between 64 and 67108864, and is 0");
        assert!(serde_json::from_str::<Settings>(r#"{"node_max": 1}"#).is_err());
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
    }
}
