//! What is behind the gateway: the endpoint catalogue, learned online from the calls themselves.
//!
//! This room decides which part of a path is a name of the API and which is a value of a caller, gives every
//! (service, method, template) an id that survives re-templating, and says to which endpoint a call belongs. It keeps a
//! trie of path segments per gateway, workspace and service; see [`Catalogue`].
//!
//! What an endpoint carries is learned beside it, by the ids that are given here ([`inventory`]), and compared with what
//! its owner says of it ([`openapi`]). How safely it is offered is judged in [`posture`].
//!
//! It leaves out how normal use looks: that is read from the ids, too. It does no IO, reads no clock and hashes with fixed secrets, so the same calls in the same
//! order, cut by the same [`Catalogue::advance`] calls, give the same ids, templates and snapshots, byte for byte.

#[cfg(test)]
extern crate self as outrider_discover;

mod ablation;
mod catalogue;
mod confidence;
mod crowd;
mod decide;
mod decisions;
mod endpoints;
mod evidence;
mod forget;
mod grpc;
mod hints;
pub mod inventory;
mod kept;
mod learn;
mod likeness;
mod lookup;
mod merge;
mod name;
pub mod openapi;
mod operations;
mod overlay;
mod partial;
mod path;
mod pieces;
pub mod posture;
mod refusal;
mod rules;
mod settings;
mod shape;
mod signals;
mod snapshot;
mod template;
mod trie;
mod watch;

pub use catalogue::{Assignment, Catalogue, Counters, asked_path, service_key};
pub use refusal::DecisionRefused;
pub use settings::{Settings, SettingsError};
pub use snapshot::SnapshotError;
