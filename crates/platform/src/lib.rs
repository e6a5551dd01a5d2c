//! The platform: ingest, the pipeline shell over the log, the control store and the people's API.
//!
//! It decides in what order things happen and what must be on stable storage before what. It does not know log formats
//! or Kong: calls come in normalised, and what a gateway has to hold goes out as a desired state.

pub mod analysis;
pub mod api;
mod assignments;
pub mod clean_stop;
mod commands;
mod copies;
mod documents;
pub mod drift;
pub mod durable;
pub mod enrich;
mod eraser;
mod error;
pub mod history;
pub mod hunts;
pub mod ingest;
mod lake_keeper;
mod lake_start;
mod lake_writer;
pub mod log;
pub mod notify;
pub mod oidc;
pub mod passwords;
mod pipeline;
pub mod premises;
pub mod progress;
pub mod queries;
mod recovery;
pub mod service;
pub mod side_tables;
mod snapshot_writer;
pub mod snapshots;
mod status;
pub mod store;
mod threads;
mod ticker;
pub mod tls;
pub mod watcher;
