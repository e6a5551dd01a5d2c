//! The gateways that a responder serves, and how their Admin APIs are reached.

use std::path::{Path, PathBuf};
use std::time::Duration;

use outrider_collect::{Identities, Identity};
use outrider_respond::gateways::kong::{AdminHeader, AdminSettings, ResponderSettings};
use schemars::JsonSchema;
use serde::Deserialize;

/// A gateway that actions go to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Its name: the `gateway` of the sources whose lines come from it.
    pub name: String,
    /// Its Admin API, `http` or `https`; a path before the entities is kept.
    pub admin_url: String,
    /// A header that every call to it carries, such as `Kong-Admin-Token`, with the file that holds its value.
    pub admin_header: Option<HeaderConfig>,
    /// A PEM file with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The guard rails of the premises, which the platform cannot change.
    pub guard_rails_file: Option<PathBuf>,
    /// What leaves as a pseudonym in what it is configured to do, besides what the whole file says and the sources that have its name.
    #[serde(default)]
    pub pseudonymise: Identities,
    /// Seconds between two looks at what of ours the gateway holds.
    #[serde(default = "ten")]
    pub resync_seconds: u64,
    /// Seconds between two looks at what the gateway is configured to do, 10 to 86400, or 0 for none.
    #[serde(default = "sixty")]
    pub configuration_seconds: u64,
}

fn sixty() -> u64 {
    60
}

fn ten() -> u64 {
    10
}

/// A header whose value is in a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderConfig {
    /// Its name.
    pub name: String,
    /// The file with its value.
    pub value_file: PathBuf,
}

impl GatewayConfig {
    /// The responder's settings for this gateway.
    pub fn responder(&self, installation: &str, data_dir: &Path) -> ResponderSettings {
        let mut settings = ResponderSettings::new(&self.name, installation, self.admin(), data_dir.join("responder"));
        settings.guard_file.clone_from(&self.guard_rails_file);
        settings.hides_service_names = self.pseudonymise.has(Identity::ServiceName);
        settings.hides_route_names = self.pseudonymise.has(Identity::RouteName);
        settings.resync_interval = Duration::from_secs(self.resync_seconds);
        settings
    }

    /// How its Admin API is reached.
    pub fn admin(&self) -> AdminSettings {
        let mut admin = AdminSettings::new(&self.admin_url);
        admin.header = self
            .admin_header
            .as_ref()
            .map(|header| AdminHeader { name: header.name.clone(), value_file: header.value_file.clone() });
        admin.ca_file.clone_from(&self.ca_file);
        admin
    }
}
