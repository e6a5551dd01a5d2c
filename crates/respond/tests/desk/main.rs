//! The desk's contract: scenarios as scripts, invariants over random histories, limits, and the cost of a call.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod erasing;
mod limits;
mod properties;
mod rate_limits;
mod scenarios;
mod script;
mod weaknesses;
mod world;
