//! The Kong edge over real sockets: against scripted bad answers, recorded exchanges and a whole gateway.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are not in test functions")]

mod answers;
mod configuration;
mod gateway;
mod log_setup;
mod recorded;
mod server;
mod site;
