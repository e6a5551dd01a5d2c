//! Files that are read anew when they were replaced, and stay in force as they were when the new one cannot be used.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is made of a file's bytes.
pub(super) trait Content: Sized {
    /// What it is called in messages.
    const WHAT: &'static str;
    /// A larger file is refused.
    const BYTES_MAX: u64;

    /// Reads it, or says what is wrong with it.
    fn read(bytes: Vec<u8>) -> Result<Self, String>;
}

/// A file that is looked at again and again.
pub(super) struct Watched<T> {
    path: PathBuf,
    /// The file that was read last, whether it could be used or not.
    stamp: Option<Stamp>,
    current: Option<Arc<T>>,
    loaded_ms: Option<i64>,
    problem: Option<String>,
}

/// What tells a file from the one that was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified_s: i64,
    modified_ns: i64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified_s: metadata.mtime(),
            modified_ns: metadata.mtime_nsec(),
        }
    }
}

/// Files for these paths; those that are known go on with what they hold.
pub(super) fn keep<T>(mut known: Vec<Watched<T>>, paths: impl Iterator<Item = PathBuf>) -> Vec<Watched<T>> {
    let find = |path: PathBuf| match known.iter().position(|watched| watched.path == path) {
        Some(at) => known.swap_remove(at),
        None => Watched { path, stamp: None, current: None, loaded_ms: None, problem: None },
    };
    paths.map(find).collect()
}

impl<T: Content> Watched<T> {
    /// Reads the file if it was replaced. Whether there is something new in force.
    pub(super) fn refresh(&mut self, now_ms: i64) -> bool {
        let read = match std::fs::metadata(&self.path) {
            Ok(metadata) if self.stamp == Some(Stamp::of(&metadata)) => return false,
            Ok(_) => read_whole(&self.path, T::BYTES_MAX),
            Err(error) => Err(format!("cannot be read: {error}")),
        };
        let (stamp, bytes) = match read {
            Ok(Some(read)) => read,
            // It is being written: the next look finds it complete.
            Ok(None) => return false,
            Err(problem) => {
                self.stamp = None;
                self.fails(problem);
                return false;
            }
        };
        self.stamp = Some(stamp);
        match T::read(bytes) {
            Ok(content) => {
                let what = T::WHAT;
                tracing::info!(file = %self.path.display(), bytes = stamp.bytes, "{what} was read");
                self.current = Some(Arc::new(content));
                self.loaded_ms = Some(now_ms);
                self.problem = None;
                true
            }
            Err(problem) => {
                self.fails(problem);
                false
            }
        }
    }

    /// Says it once.
    fn fails(&mut self, problem: String) {
        if self.problem.as_ref() == Some(&problem) {
            return;
        }
        let meanwhile = if self.current.is_some() { "the one before stays in force" } else { "it is done without" };
        let what = T::WHAT;
        tracing::warn!(file = %self.path.display(), problem, "{what} cannot be used; {meanwhile}");
        self.problem = Some(problem);
    }
}

impl<T> Watched<T> {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in force.
    pub(super) fn current(&self) -> Option<Arc<T>> {
        self.current.clone()
    }

    /// Its size, where it is what was read last.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.stamp.map(|stamp| stamp.bytes)
    }

    pub(super) fn loaded_ms(&self) -> Option<i64> {
        self.loaded_ms
    }

    /// Why what is on the disk is not in force.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

/// Looks at a file as it is now.
pub(super) fn look_at<T: Content>(path: &Path) -> Result<T, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    std::fs::metadata(path).map_err(unreadable)?;
    match read_whole(path, T::BYTES_MAX)? {
        Some((_, bytes)) => T::read(bytes),
        None => Err("is being written".to_owned()),
    }
}

/// All bytes, and which file they are of; nothing when it changed meanwhile.
fn read_whole(path: &Path, bytes_max: u64) -> Result<Option<(Stamp, Vec<u8>)>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let mut file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("is no file".to_owned());
    }
    let before = Stamp::of(&metadata);
    if before.bytes > bytes_max {
        return Err(format!("has {} bytes and the limit is {bytes_max}", before.bytes));
    }
    let mut bytes = Vec::with_capacity(before.bytes as usize);
    // One byte more than the file had shows that it grew.
    (&mut file).take(before.bytes + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let after = Stamp::of(&file.metadata().map_err(unreadable)?);
    Ok((before == after && bytes.len() as u64 == before.bytes).then_some((before, bytes)))
}
