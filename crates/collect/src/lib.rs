//! From the gateway's log to calls: sources, framing, normalising, sanitising, micro-batches.
//!
//! This crate decides what a log line says and what of it may leave the premises. Nothing here is in the request path: a
//! source of lines that nobody keeps never stops reading, and drops and counts what it cannot hand on (invariant 1); one whose
//! sender has a queue tells it what is stored, and of a file that is noted. It knows nothing of detection, of the lake or of
//! what becomes of a batch.
//!
//! The way of a line: [`LineFramer`] cuts the stream, [`lossless`] makes it text, [`Normaliser`] reads it into an
//! [`outrider_model::ApiCall`] in which credentials and personal values are pseudonyms already, with the fields that an operator
//! maps, and a source, [`KongTcpLog`], [`KongHttpLog`] or [`KongFileLog`], packs calls into [`MicroBatch`]es. All but the sources
//! is pure, so a recorded file goes the very same way.

mod counters;
mod error;
mod exposure;
mod framing;
mod health;
mod json;
mod kong;
pub mod lossless;
mod mapping;
mod normalise;
mod preview;
mod pseudonyms;
mod refusal;
mod rejection;
mod sanitise;
mod sources;

pub use counters::{Counters, CountersSnapshot, DropReason, FileSeen};
pub use error::CollectError;
pub use framing::{Content, Frame, LINE_BYTES_MAX_DEFAULT, LINE_BYTES_MAX_RANGE, LineFramer, LineRoom, body_records};
pub use health::{HealthSnapshot, Outline, OutlineSeen, PROBE_MARK, ProbeSeen};
pub use mapping::{FieldFailure, FieldSettings, MAPPED_FIELDS_MAX};
pub use normalise::{
    KEY_NAMES_MAX, Normalised, Normaliser, NormaliserSettings, QUERY_FIELDS_MAX, RunningMaximum, SECRET_FIELD_DEFAULT,
    Scratch, SessionCarrier, SourceSecret, TrustedProxies, default_key_names,
};
pub use preview::{Fate, PreviewRow};
pub use pseudonyms::{Domain, FORMER_KEYS_MAX, FormerKey, PseudonymKey};
pub use refusal::{ConnectionRefusal, Refusal};
pub use rejection::Rejection;
pub use sanitise::{FieldPolicies, FieldPolicy, Identities, Identity};
pub use sources::{
    AllowList, Clock, Complete, CurrentTls, Delivery, FileStart, KongFileLog, KongFileLogConfig, KongHttpLog,
    KongHttpLogConfig, KongTcpLog, KongTcpLogConfig, MicroBatch, NewSettings, SourceConfig, SourceControl, SourceTls,
    SystemClock,
};
