//! Who writes the lake in a bucket. A store has no lock that ends with a process, and two logs give the same positions to
//! different calls, so that each of two writers would take what the other wrote for its own and leave out what it should add.
//!
//! An object beside the tables names the installation that writes there and its newest process. An installation writes where
//! nobody has or where it has itself; a process that finds a newer one named there commits nothing any more, and its calls wait
//! in its log. The object is looked at before each commit, so two processes overlap by the time of one commit at most, and those
//! two the table's log keeps apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _, PutMode, PutOptions};
use serde::{Deserialize, Serialize};

use super::Root;
use super::bucket::Bucket;
use crate::schema::EVENTS;
use crate::table::{LakeError, position_of};

/// The object's name, beside the tables.
const NAME: &str = "outrider.json";

/// What a process says of itself; clones are of the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claim {
    installation: String,
    process: Arc<Process>,
}

#[derive(Debug, Default)]
struct Process {
    id: String,
    /// It has claimed the lake.
    has_claimed: AtomicBool,
}

impl Claim {
    pub(super) fn of(installation: &str) -> Claim {
        let process = Process { id: uuid::Uuid::new_v4().to_string(), ..Process::default() };
        Claim { installation: installation.to_owned(), process: Arc::new(process) }
    }

    pub(super) fn id(&self) -> &str {
        &self.process.id
    }
}

/// A lake in a bucket as it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// The newest process of this installation that wrote it; `None` where none says so.
    pub writer: Option<String>,
    /// The last log position that the events cover.
    pub position: u64,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Writer {
    /// The installation that writes here.
    installation: String,
    /// Its newest process.
    writer: String,
}

impl Bucket {
    /// Becomes the one who writes here. What commits rest on is tried with the very same object.
    pub(super) async fn claim(&self) -> Result<(), LakeError> {
        let me = Writer { installation: self.writer.installation.clone(), writer: self.writer.process.id.clone() };
        match self.read_writer().await? {
            Some(other) if other.installation != me.installation => return Err(self.written_by(other)),
            Some(_) => self.put_writer(&me, PutMode::Overwrite).await.map_err(self.failed("claim"))?,
            None => match self.put_writer(&me, PutMode::Create).await {
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                    // Somebody was faster; who that is says whether it is an error.
                    match self.read_writer().await? {
                        // It was this very put, whose answer was lost.
                        Some(named) if named == me => {}
                        Some(other) if other.installation == me.installation => return Err(self.taken_over()),
                        Some(other) => return Err(self.written_by(other)),
                        None => return Err(self.gone()),
                    }
                }
                put => put.map_err(self.failed("claim"))?,
            },
        }
        match self.put_writer(&me, PutMode::Create).await {
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
            Ok(()) => return Err(LakeError::NotConditional { place: self.name.clone(), object: self.object() }),
            Err(source) => return Err(self.failed("try a conditional put at")(source)),
        }
        self.writer.process.has_claimed.store(true, Ordering::Release);
        Ok(())
    }

    /// Refuses when a newer process is named there. One that has claimed nothing refuses nothing.
    pub(super) async fn check_claim(&self) -> Result<(), LakeError> {
        if !self.writer.process.has_claimed.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.read_writer().await? {
            Some(named) if named.writer == self.writer.process.id => Ok(()),
            Some(named) if named.installation != self.writer.installation => Err(self.written_by(named)),
            Some(_) => Err(self.taken_over()),
            None => Err(self.gone()),
        }
    }

    /// What is there before it is claimed.
    pub(super) async fn former(&self) -> Result<Former, LakeError> {
        let writer = match self.read_writer().await? {
            Some(other) if other.installation != self.writer.installation => return Err(self.written_by(other)),
            named => named.map(|named| named.writer),
        };
        let place = Root::Bucket(self.clone()).table(EVENTS.name);
        let position = match place.has_versions().await? {
            true => position_of(&place.load().await?, &place, &EVENTS).await?,
            false => 0,
        };
        Ok(Former { writer, position })
    }

    async fn read_writer(&self) -> Result<Option<Writer>, LakeError> {
        let read = async { self.store.get(&self.path()).await?.bytes().await };
        let bytes = match read.await {
            Err(Error::NotFound { .. }) => return Ok(None),
            read => read.map_err(self.failed("look who writes"))?,
        };
        let writer = serde_json::from_slice(&bytes);
        writer.map(Some).map_err(|source| LakeError::Claim { object: self.object(), source })
    }

    async fn put_writer(&self, writer: &Writer, mode: PutMode) -> Result<(), Error> {
        let text =
            serde_json::to_vec(writer).map_err(|source| Error::Generic { store: "S3", source: source.into() })?;
        self.store.put_opts(&self.path(), text.into(), PutOptions::from(mode)).await?;
        Ok(())
    }

    fn path(&self) -> Path {
        self.prefix.clone().join(NAME)
    }

    fn object(&self) -> String {
        format!("{}/{NAME}", self.name)
    }

    fn written_by(&self, other: Writer) -> LakeError {
        LakeError::WrittenByOther { place: self.name.clone(), installation: other.installation, object: self.object() }
    }

    fn taken_over(&self) -> LakeError {
        LakeError::TakenOver { place: self.name.clone(), object: self.object() }
    }

    fn gone(&self) -> LakeError {
        LakeError::ClaimGone { place: self.name.clone(), object: self.object() }
    }

    fn failed(&self, doing: &'static str) -> impl Fn(Error) -> LakeError + use<> {
        let name = self.name.clone();
        move |source| LakeError::store(doing, &name, source)
    }
}
