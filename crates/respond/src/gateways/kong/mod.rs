//! Kong, through its Admin API.
//!
//! The pure part decides: `adopt` what of ours nobody has heard of, [`guard`] which actions may act, [`fold()`] which plugins they are, [`plan()`] what has to change,
//! [`limits`] what of others a limit must not weaken, and [`coverage`] where a plugin of ours does not bite. [`Responder`]
//! carries it out through [`AdminClient`] and keeps at it. [`release_all`] is the emergency exit, [`plan_log`] brings the
//! access log to a collector and [`view_log`] says whose calls come there, [`NodeSummary`] is what a node says about itself,
//! [`look_at`] what `doctor` asks.
//!
//! One responder serves one Admin API address, so with Enterprise one workspace: the address carries it. What an earlier
//! installation id wrote is foreign to a later one; release it before renaming.
//!
//! Needs Kong 3.2 or later with a database. A gateway keeps our plugins when the responder stops; it removes what is over
//! as soon as it runs again.

mod admin;
mod adopt;
mod answer;
mod backoff;
mod configuration;
pub mod coverage;
mod diagnosis;
mod execute;
mod files;
mod fold;
pub mod guard;
mod ledger;
pub mod limits;
mod log_plugin;
mod log_view;
mod plan;
mod probe;
mod reconcile;
mod release;
mod responder;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trace;
mod wire;

pub use admin::{AdminApi, AdminClient, AdminHeader, AdminSettings};
pub use configuration::{
    ConfigurationStatus, ConfigurationWatch, ENTITIES_MAX, Hide, LIST_BYTES_MAX, read_configuration,
};
pub use diagnosis::{GatewayFacts, look_at};
pub use files::{Found, StateFiles};
pub use fold::{ACTION_TAGS_MAX, DesiredPlugin, TAG, action_tag, fold, installation_tag, plugin_id};
pub use log_plugin::{
    HTTP_LOG, HTTP_LOG_BATCH, LOG_TAG, LogDocument, LogKind, LogPlan, LogScope, LogStep, LogTarget, TCP_LOG, apply_log,
    installation_log_tag, plan_log,
};
pub use log_view::{LogOwner, LogPlugin, LogSource, LogView, SecretSeen, UnseenCalls, view_log};
pub use plan::{OwnPlugin, Plan, is_own, plan};
pub use probe::{NodeConfiguration, NodePlugins, NodeSummary};
pub use release::{ReleaseProgress, ReleaseSummary, list_own, release_all};
pub use responder::{Counters, Responder, ResponderSettings, ResponderStatus};
pub use wire::{
    Consumer, Plugin, PluginConfig, PluginScope, PluginWrite, RATE_LIMITING, REQUEST_TERMINATION, RateLimitConfig,
    Reference, Route, Service, TerminationConfig,
};
