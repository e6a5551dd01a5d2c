//! Edges that hold a gateway to the desired state.
//!
//! Only this part of outrider writes to a gateway, and only what it owns there.

mod clock;
mod error;
pub mod kong;

pub use clock::{Clock, SystemClock};
pub use error::GatewayError;
