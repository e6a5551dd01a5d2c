//! Collector and responder as services of their own: they connect to the platform, and nobody connects to them but the
//! gateway that sends its log.

pub mod accounts;
pub mod collector;
pub mod function;
mod heart;
pub mod identities;
pub mod link;
pub mod responder;
mod shipper;
pub mod uplink;
mod waiting;
