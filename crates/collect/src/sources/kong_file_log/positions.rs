//! Where the source is in its files, kept on the disk.
//!
//! Before lines are handed on, it is noted which they are; when they are stored, that they are. Between the two the process may
//! end, and then the note alone does not tell whether they are stored. The log tells: lines that are handed on together are
//! stored together or not at all, so to find the first of them there is to know of all.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use outrider_model::ApiCall;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::super::resolved_directory;
use super::identity::Identity;
use crate::CollectError;
use crate::pseudonyms::{in_hex, sync_directory};

/// The version of the file that this build writes, and the only one that it reads.
const VERSION: u32 = 1;

/// Where a source is in its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Positions {
    version: u32,
    /// Rotated files that were still read, the oldest first, and the one at the path.
    pub(super) files: Vec<Place>,
    /// Lines that are being handed on, or were stored since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) handed: Option<Handed>,
}

/// Up to where a file is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) identity: Identity,
    pub(super) position: u64,
}

/// Lines that are being handed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Handed {
    /// Which of the files they are in.
    pub(super) file: usize,
    /// Where they end.
    pub(super) end: u64,
    /// The first call of them.
    pub(super) first: Mark,
}

/// What a call is known by in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// No two stretches of lines of a source have the same.
    received_ms: i64,
    sha256: String,
}

impl Positions {
    pub(super) fn new(files: Vec<Place>, handed: Option<Handed>) -> Self {
        Positions { version: VERSION, files, handed }
    }

    /// What was handed on is stored.
    pub(super) fn settle(&mut self) {
        if let Some(handed) = self.handed.take()
            && let Some(place) = self.files.get_mut(handed.file)
        {
            place.position = handed.end;
        }
    }
}

impl Mark {
    pub(super) fn of(call: &ApiCall<'_>) -> Self {
        let mut hash = Sha256::new();
        for text in [&*call.gateway, &*call.workspace, &*call.request_id, &*call.method, &*call.host, &*call.path] {
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        }
        hash.update(call.started_ms.to_be_bytes());
        hash.update(call.status.to_be_bytes());
        Mark { received_ms: call.received_ms, sha256: in_hex(&hash.finalize()) }
    }

    /// It is of this call. Of most others the time tells.
    pub(super) fn is_of(&self, call: &ApiCall<'_>) -> bool {
        self.received_ms == call.received_ms && *self == Mark::of(call)
    }
}

/// The file in which the positions of one source are kept.
pub(super) struct Book {
    path: PathBuf,
}

impl Book {
    /// The one of a log, and what it holds; nothing where the log was never followed.
    pub(super) fn open(directory: &Path, log: &Path) -> Result<(Book, Option<Positions>), CollectError> {
        let failed = |path: &Path, operation| {
            let path = path.to_owned();
            move |source| CollectError::PositionFile { path, operation, source }
        };
        let log = resolved_directory(log);
        let name = in_hex(&Sha256::digest(log.as_os_str().as_bytes())[..8]);
        let path = directory.join(format!("{name}.json"));
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed(directory, "made"))?;
        let positions = match fs::read(&path) {
            Ok(bytes) => {
                let read = sonic_rs::from_slice(&bytes).ok().filter(|kept: &Positions| kept.version == VERSION);
                Some(read.ok_or_else(|| CollectError::PositionDamaged { path: path.clone(), log })?)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&path, "read")(error)),
        };
        Ok((Book { path }, positions))
    }

    /// Replaces what it holds, as a whole and durably.
    pub(super) fn write(&self, positions: &Positions) -> io::Result<()> {
        let bytes = sonic_rs::to_vec(positions).map_err(io::Error::other)?;
        let unfinished = self.path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.path)?;
        sync_directory(&self.path)
    }
}
