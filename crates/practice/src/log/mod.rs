//! The tcp-log and http-log plugins: the line of a call, and its way to whoever listens.

pub(crate) mod delivery;
pub(crate) mod fields;
pub(crate) mod line;
pub(crate) mod queue;
mod wire;
