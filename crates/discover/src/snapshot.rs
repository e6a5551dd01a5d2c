//! A catalogue as bytes: a version byte, then the state in postcard.

use crate::catalogue::{Catalogue, State};
use crate::settings::Settings;
use first::FirstState;
use third::ThirdState;

mod first;
mod third;

/// The version that this build writes. It reads the first and the third one, too; the second was never in a release.
const VERSION: u8 = 4;

const FIRST_VERSION: u8 = 1;

const THIRD_VERSION: u8 = 3;

/// Why bytes are not a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Written by another version.
    #[error(
        "catalogue snapshot version {found} cannot be read; this build reads versions {FIRST_VERSION}, {THIRD_VERSION} and {VERSION}"
    )]
    Version {
        /// The version byte found.
        found: u8,
    },
    /// Cut off or damaged.
    #[error("catalogue snapshot is damaged")]
    Damaged,
}

impl Catalogue {
    /// The whole state. The same state gives the same bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        // Serialising into memory cannot fail: every type here has a length and is no trait object.
        postcard::to_extend(&self.state, vec![VERSION]).unwrap_or_default()
    }

    /// A catalogue that goes on as the one that wrote the snapshot would have, given the same settings.
    pub fn restore(settings: Settings, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let state: State = match bytes {
            [VERSION, state @ ..] => postcard::from_bytes(state).map_err(|_| SnapshotError::Damaged)?,
            [FIRST_VERSION, state @ ..] => {
                postcard::from_bytes::<FirstState>(state).map_err(|_| SnapshotError::Damaged)?.into()
            }
            [THIRD_VERSION, state @ ..] => {
                postcard::from_bytes::<ThirdState>(state).map_err(|_| SnapshotError::Damaged)?.into()
            }
            [found, ..] => return Err(SnapshotError::Version { found: *found }),
            [] => return Err(SnapshotError::Damaged),
        };
        Ok(Catalogue::from_state(settings, state))
    }
}
