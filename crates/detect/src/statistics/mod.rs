//! The statistics that profiles stand on: what count is normal for one of many peers, and how surprising another is.
//!
//! Pure functions and small sums; who is counted over which window is the detectors' business.

mod gamma_poisson;
mod negative_binomial;

pub use gamma_poisson::{Expectation, Moments, PeerChange, PeerPrior, PeerSums};
pub use negative_binomial::{least_surprising_count, surprise};
