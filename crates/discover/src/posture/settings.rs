use outrider_model::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks;
use crate::settings::SettingsError;

/// Why settings of posture cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostureSettingsError {
    /// A number is out of its bounds.
    #[error(transparent)]
    Bounds(#[from] SettingsError),
    /// `disabled` names no check.
    #[error("`disabled` names `{0}`, and there is no such posture check")]
    Check(String),
}

/// When something is a weakness, when it is over, and what may be kept.
///
/// Every limit says what happens there; how often that happened is counted under its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "PostureSettings")]
pub struct Settings {
    /// Names of checks that are not asked. What they had found counts as fixed.
    pub disabled: Vec<String>,
    /// Calls of an endpoint before a check says anything of it by its traffic.
    pub calls_min: u32,
    /// What was seen in traffic counts as over once its endpoint had this many calls without it
    pub fixed_after_calls: u32,
    /// and this many minutes passed.
    pub fixed_after_minutes: u32,
    /// Days after which what was not seen again counts as over, however few calls there were.
    pub fixed_after_days: u32,
    /// Of a hundred calls so many answered with 500 or more are too many.
    pub server_errors_percent: u32,
    /// Networks from which one credential may be used within an hour.
    pub networks_per_credential_max: u32,
    /// Days without a call after which a consumer is dormant.
    pub dormant_days: u32,
    /// From which severity on a weakness opens an alert. Every weakness is on the posture page.
    pub alert_severity_min: Severity,
    /// Days for which a weakness is shown that is there no longer.
    pub fixed_kept_days: u32,
    /// The longest that an exception may last, in days.
    pub exception_days_max: u32,
    /// Minutes after which a weakness whose figures alone have changed is told again.
    pub update_after_minutes: u32,
    /// Weaknesses that are kept. At the limit those that were fixed the longest ago are forgotten; where there is none, a new
    /// one is left out.
    pub weaknesses_max: usize,
    /// Exceptions that may stand. One more is refused.
    pub exceptions_max: usize,
    /// Endpoints that are looked at. One more is left out.
    pub endpoints_max: usize,
    /// Services that are looked at. One more is left out, with its endpoints.
    pub services_max: usize,
    /// Consumers and credentials of which is known when they called. At the limit a new one is left out, and nothing is said any more
    /// that rests on their absence.
    pub credentials_max: usize,
    /// Services, routes, plugins, consumers and credentials of a gateway's configuration, each. What is beyond is left out, and nothing is said
    /// that rests on its absence.
    pub configured_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            disabled: Vec::new(),
            calls_min: 20,
            fixed_after_calls: 100,
            fixed_after_minutes: 60,
            fixed_after_days: 30,
            server_errors_percent: 20,
            networks_per_credential_max: 20,
            dormant_days: 90,
            alert_severity_min: Severity::Medium,
            fixed_kept_days: 90,
            exception_days_max: 366,
            update_after_minutes: 60,
            weaknesses_max: 20_000,
            exceptions_max: 2_000,
            endpoints_max: 65_536,
            services_max: 4_096,
            credentials_max: 200_000,
            configured_max: 200_000,
        }
    }
}

impl Settings {
    /// Refuses values that cannot be meant, naming the field and what is allowed.
    pub fn validate(&self) -> Result<(), PostureSettingsError> {
        if let Some(unknown) = self.disabled.iter().find(|name| checks::named(name).is_none()) {
            return Err(PostureSettingsError::Check(unknown.clone()));
        }
        let checks = [
            ("calls_min", self.calls_min as usize, 1, 1 << 20),
            ("fixed_after_calls", self.fixed_after_calls as usize, 1, 1 << 24),
            ("fixed_after_minutes", self.fixed_after_minutes as usize, 1, 1 << 20),
            ("fixed_after_days", self.fixed_after_days as usize, 1, 3660),
            ("server_errors_percent", self.server_errors_percent as usize, 1, 100),
            ("networks_per_credential_max", self.networks_per_credential_max as usize, 2, 60),
            ("dormant_days", self.dormant_days as usize, 1, 3660),
            ("fixed_kept_days", self.fixed_kept_days as usize, 1, 3660),
            ("exception_days_max", self.exception_days_max as usize, 1, 3660),
            ("update_after_minutes", self.update_after_minutes as usize, 1, 1 << 20),
            ("weaknesses_max", self.weaknesses_max, 16, 1 << 24),
            ("exceptions_max", self.exceptions_max, 1, 1 << 20),
            ("endpoints_max", self.endpoints_max, 16, 1 << 24),
            ("services_max", self.services_max, 1, 1 << 20),
            ("credentials_max", self.credentials_max, 16, 1 << 24),
            ("configured_max", self.configured_max, 16, 1 << 24),
        ];
        Ok(SettingsError::check(&checks)?)
    }
}

/// What was left out at a limit since it was made; named for the limits of [`Settings`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Weaknesses that were left out, or forgotten although they were fixed.
    pub weaknesses_max: u64,
    /// Endpoints that were left out, each time one was told of.
    pub endpoints_max: u64,
    /// Services that were left out, each time one was told of.
    pub services_max: u64,
    /// Calls of a consumer or credential for which there was no room.
    pub credentials_max: u64,
    /// Entries of configurations that were left out.
    pub configured_max: u64,
}
