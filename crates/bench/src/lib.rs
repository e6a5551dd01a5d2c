//! Measuring outrider: generated load, the bare reader, figures.

pub mod bare;
pub mod corpus;
pub mod generate;
