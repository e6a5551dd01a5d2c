//! Edges that hold a gateway to the desired state.

pub mod kong;
