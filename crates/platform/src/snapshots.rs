//! Snapshots of the analysis on disk: `snapshots/<position>.snap`, each checksummed, written whole or not at all.
//!
//! A snapshot is good for recovery when every other consumer of the log is at its position or past it: the lake needs
//! the endpoint ids of whatever it has not committed yet, and the control store must not be behind what the analysis
//! believes. So the newest that no consumer is behind of is kept beside a few newer ones, and it is what a start takes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::log::Position;

const MAGIC: &[u8; 8] = b"outrsnap";
/// How many of the newest are kept, whatever the other consumers do: one may turn out to be damaged.
const KEPT: usize = 3;

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {source}", path.display())]
pub struct SnapshotError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// A state with the position that it is as of.
pub type Snapshot = (Position, Vec<u8>);

/// The directory of snapshots.
#[derive(Debug, Clone)]
pub struct Snapshots {
    directory: PathBuf,
}

impl Snapshots {
    /// Uses a directory, making it on first use. What was being saved when a process was killed goes.
    pub fn open(directory: PathBuf) -> Result<Self, SnapshotError> {
        fs::create_dir_all(&directory).map_err(failed("create", &directory))?;
        for entry in fs::read_dir(&directory).map_err(failed("list", &directory))? {
            let path = entry.map_err(failed("list", &directory))?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(Snapshots { directory })
    }

    /// Where snapshots are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The good snapshot that a start would begin with, where the other consumers of the log are at `limit`.
    pub fn usable(&self, limit: Position) -> Result<Option<Position>, SnapshotError> {
        Ok(self.load_at_or_before(limit)?.0.map(|(position, _)| position))
    }

    /// Saves a state as of a position, durably, and forgets older ones. `floor` is how far the consumer is that lags most:
    /// the newest snapshot at or before it stays.
    pub fn save(&self, position: Position, state: &[u8], floor: Position) -> Result<(), SnapshotError> {
        let path = self.path(position);
        let temporary = path.with_extension("tmp");
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&position.0.to_le_bytes());
        checksum.update(state);
        let write = || -> io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(MAGIC)?;
            file.write_all(&position.0.to_le_bytes())?;
            file.write_all(&checksum.finalize().to_le_bytes())?;
            file.write_all(state)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        if let Err(source) = write() {
            // What is left of a failed try would only fill the disk; that it may stay behind changes nothing.
            let _ = fs::remove_file(&temporary);
            return Err(failed("write", &path)(source));
        }
        let positions = self.positions()?;
        let needed = positions.iter().rev().find(|position| **position <= floor);
        for old in positions.iter().rev().skip(KEPT).filter(|old| Some(*old) != needed) {
            let path = self.path(*old);
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
        Ok(())
    }

    /// Deletes every snapshot before a position, where a good one at or behind it is there that no consumer of the log, the
    /// one at `floor` included, is behind of. Says whether there is none before it now.
    pub fn forget_before(&self, position: Position, floor: Position) -> Result<bool, SnapshotError> {
        let older: Vec<_> = self.positions()?.into_iter().filter(|older| *older < position).collect();
        if older.is_empty() {
            return Ok(true);
        }
        if self.usable(floor)?.is_none_or(|usable| usable < position) {
            return Ok(false);
        }
        for old in older {
            let path = self.path(old);
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(failed("sync", &self.directory))?;
        Ok(true)
    }

    /// The oldest snapshot, good or not.
    pub fn oldest(&self) -> Result<Option<Position>, SnapshotError> {
        Ok(self.positions()?.first().copied())
    }

    /// The newest good snapshot at or before a position. Damaged ones are passed over and named in the second value.
    pub fn load_at_or_before(&self, limit: Position) -> Result<(Option<Snapshot>, Vec<PathBuf>), SnapshotError> {
        let mut damaged = Vec::new();
        for position in self.positions()?.into_iter().rev().filter(|position| *position <= limit) {
            let path = self.path(position);
            let bytes = fs::read(&path).map_err(failed("read", &path))?;
            match decode(position, &bytes) {
                Some(state) => return Ok((Some((position, state.to_vec())), damaged)),
                None => damaged.push(path),
            }
        }
        Ok((None, damaged))
    }

    /// The newest snapshot at or before a position: the log must keep everything after it.
    pub fn newest_at_or_before(&self, limit: Position) -> Result<Option<Position>, SnapshotError> {
        Ok(self.positions()?.into_iter().rev().find(|position| *position <= limit))
    }

    /// The newest snapshot, good or not.
    pub fn newest(&self) -> Result<Option<Position>, SnapshotError> {
        Ok(self.positions()?.last().copied())
    }

    fn positions(&self) -> Result<Vec<Position>, SnapshotError> {
        let mut positions = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed("list", &self.directory))? {
            let name = entry.map_err(failed("list", &self.directory))?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".snap")).and_then(|stem| stem.parse().ok());
            positions.extend(number.map(Position));
        }
        positions.sort_unstable();
        Ok(positions)
    }

    fn path(&self, position: Position) -> PathBuf {
        self.directory.join(format!("{:020}.snap", position.0))
    }
}

fn decode(position: Position, bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (written_position, rest) = rest.split_first_chunk::<8>()?;
    let (written_checksum, state) = rest.split_first_chunk::<4>()?;
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(written_position);
    checksum.update(state);
    let is_good = u64::from_le_bytes(*written_position) == position.0
        && u32::from_le_bytes(*written_checksum) == checksum.finalize();
    is_good.then_some(state)
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SnapshotError {
    let path = path.to_owned();
    move |source| SnapshotError { doing, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_good_snapshot_that_is_old_enough_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(directory.path().join("s")).unwrap();
        for position in [10, 20, 30, 40] {
            snapshots.save(Position(position), format!("state {position}").as_bytes(), Position(99)).unwrap();
        }
        let load = |limit| snapshots.load_at_or_before(Position(limit)).unwrap();
        assert_eq!(load(99).0, Some((Position(40), b"state 40".to_vec())));
        assert_eq!(load(39).0, Some((Position(30), b"state 30".to_vec())));
        assert_eq!(load(19).0, None, "only three are kept");
        assert_eq!(snapshots.newest_at_or_before(Position(39)).unwrap(), Some(Position(30)));
        assert_eq!(snapshots.newest_at_or_before(Position(19)).unwrap(), None);
    }

    #[test]
    fn what_a_killed_process_was_saving_goes() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(directory.path().to_owned()).unwrap();
        snapshots.save(Position(10), b"state", Position(10)).unwrap();
        let half = directory.path().join("00000000000000000020.tmp");
        fs::write(&half, b"outrsnap, and whom it knew").unwrap();
        let snapshots = Snapshots::open(directory.path().to_owned()).unwrap();
        assert!(!half.exists());
        assert_eq!(snapshots.positions().unwrap(), [Position(10)]);
    }

    #[test]
    fn what_a_consumer_that_lags_needs_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(directory.path().join("s")).unwrap();
        for position in (10..=90).step_by(10) {
            snapshots.save(Position(position), b"state", Position(35)).unwrap();
        }
        assert_eq!(snapshots.positions().unwrap(), [30, 70, 80, 90].map(Position));
        snapshots.save(Position(100), b"state", Position(85)).unwrap();
        assert_eq!(snapshots.positions().unwrap(), [80, 90, 100].map(Position));
    }

    #[test]
    fn what_is_older_goes_when_there_is_a_good_one_to_begin_from() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(directory.path().to_owned()).unwrap();
        assert!(snapshots.forget_before(Position(5), Position::ZERO).unwrap());
        for position in [10, 20, 30] {
            snapshots.save(Position(position), b"state", Position::ZERO).unwrap();
        }
        assert!(!snapshots.forget_before(Position(15), Position(19)).unwrap(), "a consumer is behind");
        assert!(!snapshots.forget_before(Position(31), Position(100)).unwrap(), "none is as new");
        fs::write(snapshots.path(Position(30)), b"damaged").unwrap();
        assert!(!snapshots.forget_before(Position(25), Position(100)).unwrap(), "none is good");
        assert_eq!(snapshots.positions().unwrap(), [10, 20, 30].map(Position));
        assert!(snapshots.forget_before(Position(15), Position(20)).unwrap());
        assert_eq!(snapshots.oldest().unwrap(), Some(Position(20)));
    }

    #[test]
    fn any_damage_is_noticed_and_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(directory.path().to_owned()).unwrap();
        snapshots.save(Position(1), b"old", Position::ZERO).unwrap();
        snapshots.save(Position(2), b"new", Position::ZERO).unwrap();
        let path = snapshots.path(Position(2));
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let (found, damaged) = snapshots.load_at_or_before(Position(2)).unwrap();
            assert_eq!(found, Some((Position(1), b"old".to_vec())), "byte {at}");
            assert_eq!(damaged, std::slice::from_ref(&path));
        }
        fs::write(&path, &good[..5]).unwrap();
        assert_eq!(snapshots.load_at_or_before(Position(2)).unwrap().0.unwrap().0, Position(1));
    }
}
