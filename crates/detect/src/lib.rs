//! Detection: what is normal for whom, and who departs from it.
//!
//! This crate decides which calls may teach a profile and which may be judged, keeps the profiles, and turns a departure
//! into an explained [`Finding`](outrider_model::Finding). It is pure: time is what [`Engine::advance`] says, there is no
//! IO, no clock and no chance, and the same calls in the same order give the same findings byte for byte.
//!
//! It leaves out everything that comes before (which endpoint a call belongs to) and after (alerts, policies, actions).
//!
//! Start reading at [`Engine`]; a detector is one folder under `detectors` and one line in their list.

mod detector;
mod detectors;
mod engine;
mod error;
mod settings;
pub mod statistics;

pub use detector::{Counter, Descriptor, Detector, Epoch, Evidence, FalsePositive, Intake, Observed};
pub use detectors::request_spike;
pub use engine::{DetectorStatus, Engine, EngineCounters};
pub use error::DetectError;
pub use settings::Settings;
