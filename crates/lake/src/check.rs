//! Reading every data file to its end, and going on without those that cannot be read.
//!
//! A data file never changes, so a damaged one is whole again when a copy of it, as of a backup, is in its place. Where there
//! is none, its day is repaired. A file of `events` is set aside and taken out of the table, and its calls are missing from then
//! on. The timeline and the sums of the day are made again of the calls that are left, so of these two nothing is lost. Which
//! days that are is noted before anything is changed: whoever is killed in between, the keeper that opens the lake next ends it.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path;
use std::sync::Arc;

use bytes::Bytes;
use deltalake::DeltaTable;
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake::protocol::DeltaOperation;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _};

use crate::engine::Engine;
use crate::hours::add_up_again;
use crate::index::index_again;
use crate::merge::{DataFile, removals};
use crate::place::{Location, Place, Root};
use crate::schema::{ENDPOINT_HOURS, EVENTS, TIMELINE, TableShape};
use crate::table::{LakeError, Table, table_error};

/// The days, a line each, whose timeline and sums are to be made again of their calls.
const NOTE: &str = "days-to-repair";

/// How far a check is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckProgress {
    /// Bytes of the files that were read.
    pub bytes: u64,
    /// Bytes of all files.
    pub of_bytes: u64,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Files that were read.
    pub files: u64,
    /// Rows in those that can be.
    pub rows: u64,
    /// The others.
    pub damaged: Vec<Damaged>,
}

/// A data file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Its table.
    pub table: &'static str,
    /// Where it is in the table's folder.
    pub file: String,
    /// The day that it is of, as `2026-11-28`.
    pub day: String,
    /// How many rows it had, where the table's log says so.
    pub rows: Option<u64>,
    /// Why it cannot be read.
    pub why: String,
}

/// What a repair did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Calls that are missing now, as far as the table's log said how many a file had.
    pub calls_lost: u64,
    /// Files that were taken out of `events`.
    pub files_set_aside: u64,
    /// Days whose timeline and sums were made again.
    pub days: u64,
}

/// A file to be read.
struct Unread {
    table: &'static str,
    file: DataFile,
    rows: Option<u64>,
    store: Arc<dyn ObjectStore>,
    path: Path,
}

/// Reads every data file of the newest versions, whether somebody writes the lake meanwhile or not, and changes nothing.
pub fn check<'a>(
    lake: impl Into<Location>,
    tell: &'a mut (dyn FnMut(CheckProgress) + Send),
) -> BoxFuture<'a, Result<Checked, LakeError>> {
    let lake = lake.into();
    async move { check_all(&lake, tell).await }.boxed()
}

async fn check_all(lake: &Location, tell: &mut (dyn FnMut(CheckProgress) + Send)) -> Result<Checked, LakeError> {
    let root = lake.open()?;
    let files = all_files(&root).await?;
    if files.is_empty() && !root.table(EVENTS.name).has_versions().await? {
        return Err(LakeError::Missing { place: lake.to_string() });
    }
    let of_bytes = files.iter().map(|unread| unread.file.bytes).sum();
    let mut progress = CheckProgress { bytes: 0, of_bytes };
    let mut checked = Checked::default();
    for unread in files {
        tell(progress);
        progress.bytes += unread.file.bytes;
        checked.files += 1;
        match unread.read(&root).await? {
            Ok(rows) => checked.rows += rows,
            Err(why) => {
                let Unread { table, file: DataFile { path, day, .. }, rows, .. } = unread;
                checked.damaged.push(Damaged { table, file: path, day, rows, why });
            }
        }
    }
    tell(progress);
    if !checked.damaged.is_empty() {
        // What is not there may have been put together with others meanwhile.
        let held = all_files(&root).await?;
        checked.damaged.retain(|damaged| held.iter().any(|unread| damaged.is(unread.table, &unread.file)));
    }
    Ok(checked)
}

/// The data files of the newest version of every table.
async fn all_files(root: &Root) -> Result<Vec<Unread>, LakeError> {
    let mut all = Vec::new();
    for shape in [&EVENTS, &TIMELINE, &ENDPOINT_HOURS] {
        let place = root.table(shape.name);
        if place.has_versions().await? {
            let place = place.found()?;
            all.extend(files_of(shape, &place.load().await?, &place)?);
        }
    }
    Ok(all)
}

fn files_of(shape: &TableShape, table: &DeltaTable, place: &Place) -> Result<Vec<Unread>, LakeError> {
    let store = table.log_store().object_store(None);
    let snapshot = table.snapshot().map_err(table_error(place, "read"))?;
    let files = snapshot.log_data();
    let files = files.iter().map(|file| Unread {
        table: shape.name,
        file: DataFile::of(&file),
        rows: file.num_records().map(|rows| rows as u64),
        store: Arc::clone(&store),
        path: file.object_store_path(),
    });
    Ok(files.collect())
}

impl Unread {
    /// How many rows it has, or why that cannot be said.
    async fn read(&self, root: &Root) -> Result<Result<u64, String>, LakeError> {
        let read = async { self.store.get(&self.path).await?.bytes().await };
        let bytes = match read.await {
            Ok(bytes) => bytes,
            Err(Error::NotFound { .. }) => return Ok(Err("it is not there".to_owned())),
            Err(error) if is_of_disk(&error) => return Ok(Err(error.to_string())),
            // What does not answer, or lets nobody in, has damaged nothing.
            Err(error) => return Err(LakeError::store("read a file of", &root.table(self.table).to_string(), error)),
        };
        if bytes.len() as u64 != self.file.bytes {
            return Ok(Err(format!("it has {} bytes, and the table's log says {}", bytes.len(), self.file.bytes)));
        }
        // What is in it may make the decoder panic, too.
        let read = tokio::task::spawn_blocking(move || rows_in(bytes)).await;
        let rows = read.unwrap_or_else(|error| Err(error.to_string()));
        Ok(rows.and_then(|rows| match self.rows {
            Some(said) if said != rows => Err(format!("it has {rows} rows, and the table's log says {said}")),
            _ => Ok(rows),
        }))
    }
}

/// Whether the disk itself cannot read it.
fn is_of_disk(error: &Error) -> bool {
    const EIO: i32 = 5;
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.raw_os_error() == Some(EIO)) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Those of a table's files that are damaged.
pub(crate) async fn damaged_of(root: &Root, table: &Table, files: &[DataFile]) -> Result<Vec<DataFile>, LakeError> {
    let mut damaged = Vec::new();
    for unread in files_of(table.shape, &table.table, &table.place)? {
        if files.contains(&unread.file) && unread.read(root).await?.is_err() {
            damaged.push(unread.file);
        }
    }
    Ok(damaged)
}

fn rows_in(bytes: Bytes) -> Result<u64, String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(ParquetRecordBatchReaderBuilder::build);
    let mut rows = 0;
    for batch in reader.map_err(|error| error.to_string())? {
        rows += batch.map_err(|error| error.to_string())?.num_rows() as u64;
    }
    Ok(rows)
}

impl Damaged {
    fn is(&self, table: &str, file: &DataFile) -> bool {
        self.table == table && self.file == file.path
    }
}

/// Takes damaged files of `events` out, those that still are, and notes the days whose other tables are to be made again.
pub(crate) async fn set_aside(root: &Root, events: &mut Table, damaged: &[Damaged]) -> Result<Repaired, LakeError> {
    let Root::Directory(lake) = root else { return Err(LakeError::NotHere { place: events.place.to_string() }) };
    let mut repaired = Repaired::default();
    let (mut files, mut days) = (Vec::new(), BTreeSet::new());
    for unread in all_files(root).await? {
        let is_named = damaged.iter().any(|damaged| damaged.is(unread.table, &unread.file));
        if !is_named || unread.read(root).await?.is_ok() {
            continue;
        }
        days.insert(unread.file.day.clone());
        if unread.table == EVENTS.name {
            repaired.calls_lost += unread.rows.unwrap_or_default();
            files.push(unread.file);
        }
    }
    (repaired.files_set_aside, repaired.days) = (files.len() as u64, days.len() as u64);
    note(lake, &days)?;
    for file in &files {
        events.place.set_aside(&file.path).await?;
    }
    let removed = removals(events, &files, true)?;
    if !removed.is_empty() {
        events.replace(removed, Vec::new(), DeltaOperation::Delete { predicate: None }).await?;
    }
    Ok(repaired)
}

/// Makes the other tables again for the days that are noted, if there are any.
pub(crate) async fn make_again(
    root: &Root,
    engine: &Engine,
    events: &Table,
    [timeline, hours]: [&mut Table; 2],
) -> Result<(), LakeError> {
    let Root::Directory(lake) = root else { return Ok(()) };
    for day in noted(lake)? {
        index_again(engine, events, timeline, &day).await?;
        add_up_again(engine, events, hours, &day, "false").await?;
    }
    note(lake, &BTreeSet::new())
}

/// The days that are noted.
fn noted(lake: &path::Path) -> Result<BTreeSet<String>, LakeError> {
    let note = lake.join(NOTE);
    match fs::read_to_string(&note) {
        Ok(days) => Ok(days.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(source) => Err(LakeError::File { path: note, source }),
    }
}

/// Notes days besides those that are noted; none for that all is done.
fn note(lake: &path::Path, days: &BTreeSet<String>) -> Result<(), LakeError> {
    let path = lake.join(NOTE);
    let is_open = path.exists();
    let write = || match days.is_empty() {
        true if is_open => fs::remove_file(&path),
        true => Ok(()),
        false => {
            let mut file = File::options().append(true).create(true).open(&path)?;
            days.iter().try_for_each(|day| writeln!(file, "{day}"))?;
            file.sync_all()?;
            File::open(lake)?.sync_all()
        }
    };
    write().map_err(|source| LakeError::File { path: path.clone(), source })
}
