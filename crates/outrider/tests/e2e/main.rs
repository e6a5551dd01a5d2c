//! Real processes, real sockets. An unexpected warning in the program's log fails a test.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod access;
mod apis;
mod backup;
mod bucket;
mod collector;
mod collector_test;
mod command_line;
mod demo;
mod doctor;
mod erasing;
mod faults;
mod file_log;
mod function;
mod gateways;
mod harness;
mod history;
mod http_log;
mod hunts;
#[path = "../../../platform/tests/platform/identity_provider/mod.rs"]
mod identity_provider;
mod kills;
mod kong_setup;
mod lake;
mod live;
mod logging;
mod loop_by_hand;
mod oidc;
#[path = "../../../lake/tests/lake/places.rs"]
mod places;
mod planted;
mod posture;
mod pseudonyms;
mod rate_limit;
mod reload;
mod replay;
mod service_manager;
mod services;
mod services_apart;
mod source_tls;
#[path = "../../../lake/tests/lake/store.rs"]
mod store;
mod telling;
mod tracing;
mod upgrade;
