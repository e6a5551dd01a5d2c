//! How a start knows whether the last stop was clean: by a file that is there while nothing was lost.

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::path::Path;

/// Made at a clean stop, removed at the start.
const CLEAN_STOP: &str = "clean-stop";

/// Says whether the last stop was clean, and takes the sign away: a kill right after must not look like a clean stop.
pub fn take(data_dir: &Path) -> Result<bool, Error> {
    match std::fs::remove_file(data_dir.join(CLEAN_STOP)) {
        Ok(()) => File::open(data_dir)?.sync_all().map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Notes that everything taken in is on stable storage.
pub fn note(data_dir: &Path) -> Result<(), Error> {
    File::create(data_dir.join(CLEAN_STOP))?.sync_all()?;
    File::open(data_dir)?.sync_all()
}

/// What a start that follows no clean stop says is missing.
pub const KILLED: &str = "outrider was not stopped cleanly: what the collector had read and not handed over yet, at most one \
                          micro-batch of each connection, is missing";
