//! One process at a time: an advisory lock on a file in the log's directory, which the kernel drops with its holder.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use rustix::fs::FlockOperation;

use super::LogError;

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    pub(super) fn take(dir: &Path) -> Result<DirectoryLock, LogError> {
        let path = dir.join("lock");
        let io = |operation| move |error| LogError::io(operation, &dir.join("lock"), error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io("opening"))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // What cannot be read leaves the pid unknown; that somebody holds the lock is certain.
                let _ = std::io::Read::by_ref(&mut file).take(32).read_to_string(&mut holder);
                return Err(LogError::Locked { dir: dir.to_owned(), pid: holder.trim().parse().unwrap_or(0) });
            }
            Err(error) => return Err(LogError::io("locking", &path, error.into())),
        }
        // The pid only makes the next one's message better, so a full disk does not stop us here.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(DirectoryLock { _file: file })
    }
}
