//! The platform: the log, the pipeline over it, the control store and the people's API.

pub mod api;
pub mod log;
pub mod store;
