//! The tcp-log plugin: the line of a call, and its way to whoever listens.

pub(crate) mod delivery;
pub(crate) mod fields;
pub(crate) mod line;
