//! What outrider does about an alert, and how it is brought to a gateway.
//!
//! [`desk`] is pure: alerts, policies, guard rails and actions as values. [`gateways`] is the edge that holds a gateway to
//! the desired state, [`notify`] the one that tells somebody.

pub mod desk;
pub mod gateways;
pub mod notify;
