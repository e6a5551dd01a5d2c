//! A file system that fails when told to, and that forgets what was not synced when its machine loses power.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::super::storage::{Disk, SegmentFile, Storage};
use super::*;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A write stores these many bytes and then finds the disk full; anything else just finds it full.
    Full(usize),
    /// The device does not answer.
    Device,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Fault::Full(_) => io::Error::from(io::ErrorKind::StorageFull),
            Fault::Device => io::Error::from_raw_os_error(5),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Create,
    Write,
    Sync,
    SetLen,
    Rename,
    Remove,
    SyncDir,
}

#[derive(Default)]
struct State {
    /// The operation fails when its count reaches 0, once.
    armed: BTreeMap<Operation, (u32, Fault)>,
    /// Every file opened so far, by number; a file that another took the name of has none.
    files: Vec<OpenFile>,
}

struct OpenFile {
    path: Option<PathBuf>,
    /// Ranges written and not synced.
    unsynced: Vec<(u64, u64)>,
    /// Ranges whose sync failed. As on Linux, a later sync says that all is well and does not write them; only writing
    /// them again helps.
    lost: Vec<(u64, u64)>,
}

#[derive(Clone, Default)]
pub(super) struct Faulty(Arc<Mutex<State>>);

impl Faulty {
    /// Lets the `nth` such operation from now on fail, 0 being the next.
    pub(super) fn arm(&self, operation: Operation, nth: u32, fault: Fault) {
        self.0.lock().unwrap().armed.insert(operation, (nth, fault));
    }

    pub(super) fn disarm(&self) {
        self.0.lock().unwrap().armed.clear();
    }

    fn check(&self, operation: Operation) -> Option<Fault> {
        let mut state = self.0.lock().unwrap();
        let (left, fault) = state.armed.get_mut(&operation)?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let fault = *fault;
        state.armed.remove(&operation);
        Some(fault)
    }

    fn run<T>(&self, operation: Operation, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.check(operation) {
            Some(fault) => Err(fault.error()),
            None => run(),
        }
    }

    /// The machine loses power: of what was not synced, each sector of 512 bytes is kept or is zero as the bits say,
    /// and a file may be short.
    pub(super) fn lose_power(&self, mut bits: impl FnMut() -> bool) {
        for OpenFile { path, unsynced, lost } in std::mem::take(&mut self.0.lock().unwrap().files) {
            let Some((path, mut bytes)) = path.and_then(|path| Some((path.clone(), std::fs::read(&path).ok()?))) else {
                continue;
            };
            for (from, to) in unsynced.into_iter().chain(lost) {
                let mut at = from;
                while at < to {
                    let next = (at / 512 + 1) * 512;
                    let sector = at.min(bytes.len() as u64) as usize..next.min(to).min(bytes.len() as u64) as usize;
                    if bits() {
                        bytes[sector.clone()].fill(0);
                        if bits() && bits() {
                            bytes.truncate(sector.start);
                        }
                    }
                    at = next;
                }
            }
            std::fs::write(&path, bytes).unwrap();
        }
    }
}

impl Faulty {
    fn wrap(&self, file: Box<dyn SegmentFile>, path: &Path) -> Box<dyn SegmentFile> {
        let files = &mut self.0.lock().unwrap().files;
        let known = files.iter().position(|file| file.path.as_deref() == Some(path));
        let number = known.unwrap_or_else(|| {
            files.push(OpenFile { path: Some(path.to_owned()), unsynced: Vec::new(), lost: Vec::new() });
            files.len() - 1
        });
        Box::new(FaultyFile { file, number, faulty: self.clone() })
    }
}

impl Storage for Faulty {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        let file = self.run(Operation::Create, || Disk.create(path))?;
        for file in &mut self.0.lock().unwrap().files {
            file.path.take_if(|name| name == path);
        }
        Ok(self.wrap(file, path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        Ok(self.wrap(Disk.open(path)?, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(Operation::Rename, || Disk.rename(from, to))?;
        for file in &mut self.0.lock().unwrap().files {
            file.path.take_if(|name| name == to);
            if file.path.as_deref() == Some(from) {
                file.path = Some(to.to_owned());
            }
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.run(Operation::Remove, || Disk.remove(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.run(Operation::SyncDir, || Disk.sync_dir(dir))
    }
}

struct FaultyFile {
    file: Box<dyn SegmentFile>,
    number: usize,
    faulty: Faulty,
}

impl FaultyFile {
    /// A machine that lost power knows the file no more.
    fn remember(&self, change: impl FnOnce(&mut OpenFile)) {
        if let Some(file) = self.faulty.0.lock().unwrap().files.get_mut(self.number) {
            change(file);
        }
    }
}

impl SegmentFile for FaultyFile {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fault = self.faulty.check(Operation::Write);
        let stored = match fault {
            Some(Fault::Full(stored)) => stored.min(bytes.len()),
            Some(Fault::Device) => 0,
            None => bytes.len(),
        };
        self.file.write_all_at(&bytes[..stored], offset)?;
        let range = (offset, offset + stored as u64);
        self.remember(|file| {
            file.unsynced.push(range);
            file.lost.retain(|(from, to)| *from < range.0 || *to > range.1);
        });
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    /// A real sync would only slow the test down: power is lost by `lose_power` here.
    fn sync(&mut self) -> io::Result<()> {
        let fault = self.faulty.check(Operation::Sync);
        self.remember(|file| {
            let written = std::mem::take(&mut file.unsynced);
            if fault.is_some() {
                file.lost.extend(written);
            }
        });
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.faulty.run(Operation::SetLen, || self.file.set_len(bytes))?;
        self.remember(|file| {
            file.unsynced.retain(|(from, _)| *from < bytes);
            file.lost.retain(|(from, _)| *from < bytes);
        });
        Ok(())
    }
}

fn open(dir: &Path, faulty: &Faulty) -> (Log, Opened) {
    Log::open_on(dir, small(), Arc::new(faulty.clone())).unwrap()
}

#[test]
fn a_failed_commit_leaves_the_log_as_it_was_and_the_next_one_works() {
    use Operation::{Create, Rename, SetLen, Sync, SyncDir, Write};
    // What fails, and whether the present segment has to be abandoned for it.
    type Case = (&'static [(Operation, u32, Fault)], bool);
    let cases: [Case; 9] = [
        (&[(Write, 0, Fault::Full(0))], false),
        (&[(Write, 0, Fault::Full(20))], false),
        (&[(Write, 0, Fault::Full(300))], false),
        (&[(Write, 0, Fault::Device)], false),
        (&[(Write, 0, Fault::Full(300)), (SetLen, 0, Fault::Device)], true),
        (&[(Sync, 0, Fault::Device)], true),
        (&[(Sync, 0, Fault::Full(0))], true),
        (&[(Sync, 0, Fault::Device), (SetLen, 0, Fault::Device)], true),
        (&[(Create, 0, Fault::Full(0)), (Rename, 0, Fault::Device), (SyncDir, 0, Fault::Device)], true),
    ];
    for (faults, abandons) in cases {
        for already in [0, 3] {
            let dir = tempfile::tempdir().unwrap();
            let faulty = Faulty::default();
            let (mut log, _) = open(dir.path(), &faulty);
            let mut follower = log.reader(Position::ZERO);
            for number in 1..=already {
                log.append(&[batch(1, number, number, 900)]).unwrap();
                log.sync().unwrap();
            }
            for (operation, nth, fault) in faults {
                faulty.arm(*operation, *nth, *fault);
            }
            // Large enough that it needs a new segment, so that every operation is met.
            let lost = batch(1, already + 1, already + 1, 3500);
            let mut failures = 0;
            loop {
                log.append(std::slice::from_ref(&lost)).unwrap();
                match log.sync() {
                    Ok(_) => break,
                    Err(_) => failures += 1,
                }
                assert_eq!(log.last(), Position(already), "{faults:?}");
                assert_eq!(log.marks().last(1), (already > 0).then_some(already), "{faults:?}");
            }
            assert!(failures > 0, "{faults:?}");
            assert_eq!(log.stats().failed_commits, failures);
            assert!(abandons || log.stats().abandoned_segments == 0, "{faults:?}");
            log.append(&[batch(1, already + 2, already + 2, 10)]).unwrap();
            log.sync().unwrap();
            let read = read_all(&mut follower).unwrap();
            assert_eq!(read.len() as u64, already + 2, "{faults:?}");
            drop(log);
            let (log, opened) = open(dir.path(), &faulty);
            assert_eq!((opened.last.0, opened.cut_bytes), (already + 2, 0), "{faults:?}");
            assert_eq!(read_all(&mut log.reader(Position::ZERO)).unwrap(), read, "{faults:?}");
            assert_eq!(log.marks().last(1), Some(already + 2));
        }
    }
}

#[test]
fn a_full_disk_is_named_as_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let faulty = Faulty::default();
    let (mut log, _) = open(dir.path(), &faulty);
    log.append(&[numbered(1, 10)]).unwrap();
    log.sync().unwrap();
    faulty.arm(Operation::Write, 0, Fault::Full(7));
    log.append(&[numbered(2, 10)]).unwrap();
    let error = log.sync().unwrap_err();
    assert!(matches!(error, LogError::DiskFull { .. }), "{error}");
    assert!(error.to_string().contains("Free space"), "{error}");
    faulty.arm(Operation::Sync, 0, Fault::Device);
    log.append(&[numbered(2, 10)]).unwrap();
    let error = log.sync().unwrap_err();
    assert!(matches!(error, LogError::Sync { .. }), "{error}");
}

/// The real thing, on a file system of 256 KiB in a mount namespace of its own, where this machine allows it.
#[test]
fn a_disk_that_really_is_full_loses_nothing() {
    if let Ok(dir) = std::env::var("OUTRIDER_TEST_FULL_DISK") {
        return fill_disk(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let me = std::env::current_exe().unwrap();
    let script = r#"mount -t tmpfs -o size=256k none "$1" || exit 77; exec "$2" --exact "$3" --nocapture"#;
    let name = "log::tests::faults::a_disk_that_really_is_full_loses_nothing";
    let output = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .args([dir.path().as_os_str(), me.as_os_str(), name.as_ref()])
        .env("OUTRIDER_TEST_FULL_DISK", dir.path())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains("1 passed"), "{text}");
        }
        Ok(output) if output.status.code() == Some(101) => panic!("{}", String::from_utf8_lossy(&output.stdout)),
        _ => eprintln!("skipped: no file system of its own can be mounted here"),
    }
}

fn fill_disk(dir: &Path) {
    let (mut log, _) = Log::open(&dir.join("log"), small()).unwrap();
    let mut number = 0;
    let mut failures = 0;
    while failures < 3 {
        let record = numbered(number + 1, 1500);
        log.append(&[record]).unwrap();
        match log.sync() {
            Ok(position) => {
                number += 1;
                assert_eq!(position, Position(number));
            }
            Err(LogError::DiskFull { .. }) => failures += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(number > 50);
    log.cut_below(Position(number / 2)).unwrap();
    for _ in 0..10 {
        number += 1;
        log.append(&[numbered(number, 1500)]).unwrap();
        log.sync().unwrap();
    }
    drop(log);
    let (log, opened) = Log::open(&dir.join("log"), small()).unwrap();
    assert_eq!((opened.last, opened.cut_bytes), (Position(number), 0));
    let mut reader = log.reader(Position::ZERO);
    let mut expected = opened.first.0;
    while let Some(record) = reader.next().unwrap() {
        assert_eq!((record.position.0, number_of(&record)), (expected, expected));
        expected += 1;
    }
    assert_eq!(expected, number + 1);
}
