//! How a start knows whether the last stop was clean: by a file that is there while everything that was lost is known. It
//! holds how many calls at the end of the last run could not be stored, which no later batch shows to be missing.

use std::fs::File;
use std::io::{Error, ErrorKind, Write as _};
use std::path::Path;

/// Made at a clean stop, removed at the start.
const CLEAN_STOP: &str = "clean-stop";

/// Says how many calls were lost at the end of a run that was stopped cleanly; `None` after any other one. Takes the sign
/// away: a kill right after must not look like a clean stop.
pub fn take(data_dir: &Path) -> Result<Option<u64>, Error> {
    let path = data_dir.join(CLEAN_STOP);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    std::fs::remove_file(&path)?;
    File::open(data_dir)?.sync_all()?;
    Ok(if text.is_empty() { Some(0) } else { text.trim().parse().ok() })
}

/// Notes that everything taken in is on stable storage, but for so many calls at the end.
pub fn note(data_dir: &Path, lost_calls: u64) -> Result<(), Error> {
    let mut file = File::create(data_dir.join(CLEAN_STOP))?;
    file.write_all(lost_calls.to_string().as_bytes())?;
    file.sync_all()?;
    File::open(data_dir)?.sync_all()
}

/// What a start that follows no clean stop says is missing.
pub const KILLED: &str = "outrider was not stopped cleanly: what had come by TCP Log and was not written yet is missing, \
                          which is the open micro-batch of each source and what waited for the disk";

/// What a start says is missing after a clean stop that could not store the last calls.
pub const DROPPED: &str = "the last calls before outrider was stopped could not be stored and were dropped";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_stop_is_known_once_with_what_was_lost() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path();
        assert_eq!(take(data_dir).unwrap(), None);
        for lost in [0, 37] {
            note(data_dir, lost).unwrap();
            assert_eq!((take(data_dir).unwrap(), take(data_dir).unwrap()), (Some(lost), None));
        }
        // An earlier version wrote an empty file, and a write that was cut off is no clean stop.
        for (text, expected) in [("", Some(0)), ("x", None)] {
            std::fs::write(data_dir.join(CLEAN_STOP), text).unwrap();
            assert_eq!(take(data_dir).unwrap(), expected, "{text}");
        }
    }
}
