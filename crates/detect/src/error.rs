/// What can go wrong when an engine is set up or restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetectError {
    /// A setting makes no sense.
    #[error("`{setting}` is {found}: {expected}")]
    Setting {
        /// Its full name: `request_spike.calls_min`.
        setting: &'static str,
        /// What it is set to.
        found: String,
        /// What would make sense.
        expected: &'static str,
    },
    /// A snapshot was written by another version.
    #[error("the snapshot of {part} has version {found}, this build reads version {expected}")]
    Version {
        /// `detection`, or the detector's name.
        part: &'static str,
        /// The version found.
        found: u8,
        /// The version that this build writes and reads.
        expected: u8,
    },
    /// A snapshot is cut off, damaged or contradicts itself.
    #[error("the snapshot of {part} is damaged: {problem}")]
    Damaged {
        /// `detection`, or the detector's name.
        part: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// State cannot be written.
    #[error("the state of {part} cannot be written: {problem}")]
    Unwritable {
        /// The detector's name.
        part: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}
