//! The platform as its users see it. One program, because each has the table library linked into it.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod api;
mod asking;
mod audit;
mod bucket;
mod erasing;
mod fixtures;
mod handling;
mod history;
mod hunts;
mod identity_provider;
mod live_equals_replay;
mod log_kill;
mod notify;
mod oidc;
mod own_limits;
mod pages;
mod people;
#[path = "../../../lake/tests/lake/places.rs"]
mod places;
mod posture;
mod premises;
mod recovery;
#[path = "../../../lake/tests/lake/store.rs"]
mod s3;
mod store;
mod support;
