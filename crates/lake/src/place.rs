//! Where a lake is: a directory of this machine, or a bucket of a store that speaks S3. Nobody but this module knows which.
//!
//! A [`Location`] says where; opening it gives the places of the tables, and a [`Place`] is what reading and writing a
//! table needs of where it is. A directory does not make anything durable by itself, so what is written is synced there; what
//! a store has acknowledged is durable. A directory has one writer, because the process that writes it holds the lock of the data
//! directory; a store holds no lock, so whoever writes there claims it first (`claim`).

mod answers;
mod bucket;
mod claim;
mod credentials;
mod directory;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use deltalake::DeltaTable;
use deltalake::datafusion::prelude::SessionContext;
use deltalake::logstore::LogStoreRef;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use url::Url;

pub use bucket::BucketSettings;
use bucket::{Bucket, TableInBucket};
use directory::Directory;

use crate::schema::{ENDPOINT_HOURS, EVENTS, TIMELINE};
use crate::table::{LakeError, table_error};
use claim::Claim;
pub use claim::Former;

/// Where intermediate results of queries go that are larger than the memory.
const SCRATCH: &str = "scratch";
/// Where the log of a table is.
pub(crate) const LOG: &str = "_delta_log";

/// Where files of a table are that could not be read and are no part of it any more.
pub(crate) const SET_ASIDE: &str = "_damaged";
/// What the one who writes a lake in a directory holds.
const LOCK: &str = "lock";

/// Where a lake is.
#[derive(Debug, Clone)]
pub struct Location(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Directory(PathBuf),
    Bucket {
        settings: BucketSettings,
        /// For what queries put aside.
        directory: PathBuf,
        claim: Claim,
    },
}

impl Location {
    /// A directory. It is made by who writes the lake first.
    pub fn directory(path: impl Into<PathBuf>) -> Location {
        Location(Kind::Directory(path.into()))
    }

    /// A bucket. What queries put aside goes below the directory; `installation` is whose lake it is, for who writes it.
    pub fn bucket(settings: BucketSettings, directory: impl Into<PathBuf>, installation: &str) -> Location {
        Location(Kind::Bucket { settings, directory: directory.into(), claim: Claim::of(installation) })
    }

    /// The directory, where it is one.
    pub fn as_directory(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Directory(path) => Some(path),
            Kind::Bucket { .. } => None,
        }
    }

    /// What this process names itself as in a bucket that it writes.
    pub fn writer(&self) -> Option<&str> {
        match &self.0 {
            Kind::Directory(_) => None,
            Kind::Bucket { claim, .. } => Some(claim.id()),
        }
    }

    /// A bucket as it was left by who wrote there before; `None` for a directory. Nothing is changed.
    pub fn former(&self) -> BoxFuture<'static, Result<Option<Former>, LakeError>> {
        let location = self.clone();
        let look = async move {
            match location.open()? {
                Root::Directory(_) => Ok(None),
                Root::Bucket(bucket) => bucket.former().await.map(Some),
            }
        };
        look.boxed()
    }

    /// The lake of before in the data directory, where this one is in a bucket and that was not deleted.
    pub fn left_behind(&self) -> Option<PathBuf> {
        let Kind::Bucket { directory, .. } = &self.0 else { return None };
        [EVENTS.name, TIMELINE.name, ENDPOINT_HOURS.name]
            .iter()
            .any(|table| directory.join(table).exists())
            .then(|| directory.clone())
    }

    /// Whether there is no lake for sure. A bucket is not asked.
    pub fn is_missing(&self) -> bool {
        self.as_directory().is_some_and(|directory| !directory.join(EVENTS.name).is_dir())
    }

    /// Where intermediate results of queries go.
    pub(crate) fn scratch(&self) -> PathBuf {
        match &self.0 {
            Kind::Directory(path) | Kind::Bucket { directory: path, .. } => path.join(SCRATCH),
        }
    }

    /// Makes whatever reaching it needs. Nothing is asked yet, so a store that is away is noticed by who asks it. Each caller has
    /// connections of its own, which are served where it runs.
    pub(crate) fn open(&self) -> Result<Root, LakeError> {
        Ok(match &self.0 {
            Kind::Directory(path) => Root::Directory(path.clone()),
            Kind::Bucket { settings, claim, .. } => Root::Bucket(Bucket::open(settings, claim.clone())?),
        })
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Directory(path) => write!(f, "{}", path.display()),
            Kind::Bucket { settings, .. } => write!(f, "{settings}"),
        }
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Location {
    fn from(path: &P) -> Location {
        Location::directory(path.as_ref())
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Location {
        location.clone()
    }
}

/// A location that can be reached, as far as we know.
#[derive(Debug, Clone)]
pub(crate) enum Root {
    Directory(PathBuf),
    Bucket(Bucket),
}

impl Root {
    /// Where a table is, whether there is one or not.
    pub(crate) fn table(&self, name: &str) -> Place {
        match self {
            Root::Directory(path) => Place::Directory(Directory(path.join(name))),
            Root::Bucket(bucket) => Place::Bucket(bucket.table(name)),
        }
    }

    /// Keeps others from writing a lake in a directory as long as it lives, or says that somebody does. The data directory has one
    /// process, so that is who shares the lake with another data directory by a link.
    pub(crate) fn lock(&self) -> Result<Option<File>, LakeError> {
        let Root::Directory(path) = self else { return Ok(None) };
        let unusable = |source| LakeError::Directory { path: path.clone(), source };
        fs::create_dir_all(path).map_err(unusable)?;
        let file = path.join(LOCK);
        // It may be another user's who came first, and to hold it takes no right to write.
        let lock = match File::open(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => File::create(&file),
            opened => opened,
        };
        let lock = lock.map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Err(LakeError::InUse { path: path.clone() }),
            // Not every file system has locks, and that of the data directory is held.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// Becomes the one who writes there, or refuses a store that cannot keep writers apart.
    pub(crate) async fn claim(&self) -> Result<(), LakeError> {
        match self {
            Root::Directory(_) => Ok(()),
            Root::Bucket(bucket) => bucket.claim().await,
        }
    }

    /// Refuses when somebody else has become the one who writes there.
    pub(crate) async fn check_claim(&self) -> Result<(), LakeError> {
        match self {
            Root::Directory(_) => Ok(()),
            Root::Bucket(bucket) => bucket.check_claim().await,
        }
    }
}

/// Where one table is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Directory(Directory),
    Bucket(TableInBucket),
}

/// Files are named by where they are in the table, with `/` between; those of its log by their name alone.
impl Place {
    /// Makes it ready for a table, and gives it as the table's files are named by.
    pub(crate) async fn prepare(self) -> Result<Place, LakeError> {
        match self {
            Place::Directory(directory) => Ok(Place::Directory(directory.make()?)),
            Place::Bucket(_) => Ok(self),
        }
    }

    /// The same for a table that is there.
    pub(crate) fn found(&self) -> Result<Place, LakeError> {
        match self {
            Place::Directory(directory) => Ok(Place::Directory(directory.real()?)),
            Place::Bucket(_) => Ok(self.clone()),
        }
    }

    /// Whether a table has ever been written there.
    pub(crate) async fn has_versions(&self) -> Result<bool, LakeError> {
        match self {
            Place::Directory(directory) => Ok(directory.has_versions()),
            Place::Bucket(bucket) => bucket.has_versions().await,
        }
    }

    pub(crate) fn url(&self) -> Result<Url, LakeError> {
        match self {
            Place::Directory(directory) => directory.url(),
            Place::Bucket(bucket) => bucket.url(),
        }
    }

    pub(crate) fn log_store(&self) -> Result<LogStoreRef, LakeError> {
        match self {
            Place::Directory(directory) => directory.log_store(),
            Place::Bucket(bucket) => bucket.log_store(),
        }
    }

    /// Loads the newest version of a table that is there.
    pub(crate) async fn load(&self) -> Result<DeltaTable, LakeError> {
        let mut table = DeltaTable::new(self.log_store()?);
        table.load().await.map_err(table_error(self, "open"))?;
        Ok(table)
    }

    /// Lets a session read files that are named by their URL.
    pub(crate) fn register(&self, context: &SessionContext) -> Result<(), LakeError> {
        if let Place::Bucket(bucket) = self {
            context.register_object_store(&bucket.url()?, bucket.store());
        }
        Ok(())
    }

    /// Makes data files durable that were written, and that they are there.
    pub(crate) fn sync_data<'a>(&self, files: impl Iterator<Item = &'a str>) -> Result<(), LakeError> {
        match self {
            Place::Directory(directory) => directory.sync_data(files),
            Place::Bucket(_) => Ok(()),
        }
    }

    /// Makes files of the table's log durable, and that they are there and others are not.
    pub(crate) fn sync_log(&self, files: &[&str]) -> Result<(), LakeError> {
        match self {
            Place::Directory(directory) => directory.sync_log(files),
            Place::Bucket(_) => Ok(()),
        }
    }

    /// The data files, also those that are not written to the end, where such are to be seen, and those that were set aside.
    pub(crate) async fn data_files(&self) -> Result<Vec<String>, LakeError> {
        match self {
            Place::Directory(directory) => directory.data_files(),
            Place::Bucket(bucket) => bucket.data_files().await,
        }
    }

    /// The files of the table's log.
    pub(crate) async fn log_files(&self) -> Result<Vec<String>, LakeError> {
        match self {
            Place::Directory(directory) => directory.log_files(),
            Place::Bucket(bucket) => bucket.log_files().await,
        }
    }

    /// Reads a file of the table's log.
    pub(crate) async fn read_log(&self, name: &str) -> Result<String, LakeError> {
        match self {
            Place::Directory(directory) => directory.read_log(name),
            Place::Bucket(bucket) => bucket.read_log(name).await,
        }
    }

    /// Puts another text into a file of the table's log, in one piece.
    pub(crate) async fn rewrite_log(&self, name: &str, text: &str) -> Result<(), LakeError> {
        match self {
            Place::Directory(directory) => directory.rewrite_log(name, text),
            Place::Bucket(bucket) => bucket.rewrite_log(name, text).await,
        }
    }

    /// Deletes a data file; that it is gone already is as well.
    pub(crate) async fn delete_data(&self, name: &str) -> Result<(), LakeError> {
        match self {
            Place::Directory(directory) => directory.delete(name),
            Place::Bucket(bucket) => bucket.delete(name).await,
        }
    }

    /// Deletes a file of the table's log.
    pub(crate) async fn delete_log(&self, name: &str) -> Result<(), LakeError> {
        self.delete_data(&format!("{LOG}/{name}")).await
    }

    /// Moves a data file to where no table is; that it is gone is as well.
    pub(crate) async fn set_aside(&self, name: &str) -> Result<(), LakeError> {
        match self {
            Place::Directory(directory) => directory.set_aside(name),
            Place::Bucket(bucket) => Err(LakeError::NotHere { place: bucket.to_string() }),
        }
    }

    /// Makes it durable that data files are gone.
    pub(crate) fn sync_deleted(&self) -> Result<(), LakeError> {
        match self {
            Place::Directory(directory) => directory.sync_folders(),
            Place::Bucket(_) => Ok(()),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Directory(Directory(path)) => write!(f, "{}", path.display()),
            Place::Bucket(bucket) => write!(f, "{bucket}"),
        }
    }
}
