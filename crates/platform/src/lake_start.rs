//! Opening the lake when the platform starts, also where its store is away just then.
//!
//! How far the lake is decides from where the log is read, and only the lake knows it for sure. So after each commit to a store
//! the data directory notes how far that was: no less than this is in the lake. A start that cannot reach the store goes on from
//! there; when the store is back the lake says how far it is, and what it has already is left out. A directory is at hand or
//! is an error.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use outrider_lake::{Keeper, Lake, LakeError, Location, Retention, Tail};
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::PlatformError;
use crate::log::Position;

/// The note's name in the data directory.
const NOTE: &str = "lake-position.json";

/// How long a start waits for a store that it can do without.
const START_TIME_MAX: Duration = Duration::from_secs(20);
/// Processes that are noted: the one that commits, and those that ended while they were opening the lake.
const WRITERS_MAX: usize = 16;

/// The lake as a start finds it.
pub(crate) struct LakeAtStart {
    pub location: Location,
    pub retention: Retention,
    /// What queries see before it is committed.
    pub tail: Tail,
    /// No less of the log than up to here is in the lake.
    pub position: Position,
    /// Who writes and who keeps it; `None` while it is away.
    pub opened: Option<(Lake, Keeper)>,
    pub note: Option<PositionNote>,
}

impl LakeAtStart {
    /// Opens it, or learns that it is away now. `last` is the newest record of the log.
    pub(crate) async fn open(
        location: Location,
        retention: Retention,
        data_dir: &Path,
        last: Position,
    ) -> Result<LakeAtStart, PlatformError> {
        let note = PositionNote::of(&location, data_dir);
        let tail = Tail::default();
        if note.is_none() {
            // What another lake of before was at.
            drop(fs::remove_file(data_dir.join(NOTE)));
        }
        let noted = note.as_ref().and_then(PositionNote::read);
        // A new log begins behind the lake, whoever wrote that.
        let last = Some(last).filter(|&last| last > Position::ZERO);
        let open = open_both(&location, retention, &tail, note.as_ref(), last);
        let opened = match noted {
            Some(_) => tokio::time::timeout(START_TIME_MAX, open).await.unwrap_or_else(|_| Err(silent(&location))),
            None => open.await,
        };
        let (position, opened) = match opened {
            Ok(both) => {
                let position = Position(both.0.position());
                // Before the log may be cut by it.
                let noted = note.as_ref().map_or(Ok(()), |note| note.write(position));
                noted.map_err(|source| PlatformError::System { doing: "note how far the lake is", source })?;
                (position, Some(both))
            }
            Err(error) => match noted.filter(|_| !error.is_lasting()) {
                Some(position) => {
                    tracing::error!(%error, "the lake cannot be reached; calls wait in the log until it can");
                    (position, None)
                }
                None => return Err(error.into()),
            },
        };
        Ok(LakeAtStart { location, retention, tail, position, opened, note })
    }
}

/// A store that was given up on.
pub(crate) fn silent(location: &Location) -> LakeError {
    let why = format!("no answer within {} s", START_TIME_MAX.as_secs());
    LakeError::Store { doing: "reach", place: location.to_string(), why }
}

/// Opens the lake for who writes and for who keeps it. The latter has to be open before anything is written.
pub(crate) async fn open_both(
    location: &Location,
    retention: Retention,
    tail: &Tail,
    note: Option<&PositionNote>,
    last: Option<Position>,
) -> Result<(Lake, Keeper), LakeError> {
    let lake = open_to_write(location, tail, note, last).await?;
    Ok((lake, Keeper::open(location, retention).await?))
}

/// Opens the lake for who writes. One on a store is refused before it is claimed where it has calls of records that this data
/// directory did not write there: `last` is the newest record that it has given out, `None` for one that gave out none.
pub(crate) async fn open_to_write(
    location: &Location,
    tail: &Tail,
    note: Option<&PositionNote>,
    last: Option<Position>,
) -> Result<Lake, LakeError> {
    let (Some(note), Some(former)) = (note, location.former().await?) else {
        return Lake::open_alone(location, tail.clone()).await;
    };
    let noted = note.noted();
    let check = |position: u64| match known(noted.as_ref(), former.writer.as_deref(), last) {
        Some(Position(known)) if position > known => {
            Err(LakeError::Ahead { place: location.to_string(), position, known })
        }
        _ => Ok(()),
    };
    check(former.position)?;
    // Whoever is killed from here on is known to the next start.
    note.claim(noted.as_ref()).map_err(|source| LakeError::File { path: note.path.clone(), source })?;
    let lake = Lake::open_alone(location, tail.clone()).await?;
    // Somebody may have committed meanwhile.
    check(lake.position())?;
    Ok(lake)
}

/// How far a lake may be that this data directory writes; `None` where that cannot be told. By `writer` it was written last.
fn known(noted: Option<&Noted>, writer: Option<&str>, last: Option<Position>) -> Option<Position> {
    let is_ours = |noted: &Noted| writer.is_none_or(|writer| noted.writers.iter().any(|known| known == writer));
    match noted.filter(|noted| !is_ours(noted)).and_then(|noted| noted.position) {
        Some(noted) => Some(last.map_or(Position(noted), |last| last.min(Position(noted)))),
        None => last,
    }
}

/// The lake of a data directory that is not in it, as a person writes it, and how far it is at least.
pub fn lake_elsewhere(data_dir: &Path) -> Option<(String, Option<Position>)> {
    let noted: Noted = serde_json::from_slice(&fs::read(data_dir.join(NOTE)).ok()?).ok()?;
    Some((noted.lake, noted.position.map(Position)))
}

/// Where it is noted how far a lake on a store is, and who of this data directory writes it. Whatever a copy of the directory
/// writes there is by a process that only the copy has noted.
#[derive(Debug, Clone)]
pub(crate) struct PositionNote {
    path: PathBuf,
    lake: String,
    /// This process.
    writer: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    lake: String,
    /// None until it was opened once.
    position: Option<u64>,
    writers: Vec<String>,
}

impl PositionNote {
    pub(crate) fn of(location: &Location, data_dir: &Path) -> Option<PositionNote> {
        let (path, lake) = (data_dir.join(NOTE), location.to_string());
        location.writer().map(|writer| PositionNote { path, lake, writer: writer.to_owned() })
    }

    /// What is noted of this lake. A note that cannot be read is as good as none: then a start needs the store.
    fn noted(&self) -> Option<Noted> {
        let noted: Noted = serde_json::from_slice(&fs::read(&self.path).ok()?).ok()?;
        (noted.lake == self.lake).then_some(noted)
    }

    fn read(&self) -> Option<Position> {
        self.noted()?.position.map(Position)
    }

    /// Notes who is about to become the one that writes, besides those who were.
    fn claim(&self, noted: Option<&Noted>) -> std::io::Result<()> {
        let mut writers = noted.map(|noted| noted.writers.clone()).unwrap_or_default();
        writers.retain(|known| *known != self.writer);
        writers.push(self.writer.clone());
        let writers = writers.split_off(writers.len().saturating_sub(WRITERS_MAX));
        self.put(&Noted { lake: self.lake.clone(), position: noted.and_then(|noted| noted.position), writers })
    }

    /// Notes how far the lake is. The log is cut by what is noted, so it is on stable storage first.
    pub(crate) fn write(&self, position: Position) -> std::io::Result<()> {
        let writers = vec![self.writer.clone()];
        self.put(&Noted { lake: self.lake.clone(), position: Some(position.0), writers })
    }

    fn put(&self, noted: &Noted) -> std::io::Result<()> {
        durable::replace(&self.path, &serde_json::to_vec(noted)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_of_one_lake() {
        let directory = tempfile::tempdir().unwrap();
        let note = |lake: &str| PositionNote {
            path: directory.path().join(NOTE),
            lake: lake.to_owned(),
            writer: "me".to_owned(),
        };
        assert_eq!(note("s3://a/b").read(), None);
        note("s3://a/b").write(Position(7)).unwrap();
        note("s3://a/b").write(Position(11)).unwrap();
        assert_eq!(note("s3://a/b").read(), Some(Position(11)));
        assert_eq!(note("s3://a/c").read(), None, "it says nothing of another one");
        fs::write(directory.path().join(NOTE), "{").unwrap();
        assert_eq!(note("s3://a/b").read(), None);
        let at_hand = Location::directory(directory.path());
        assert!(PositionNote::of(&at_hand, directory.path()).is_none());
    }

    #[test]
    fn a_lake_goes_no_further_than_who_is_noted_or_the_log() {
        let noted = Noted { lake: "s3://a".into(), position: Some(700), writers: vec!["one".into(), "two".into()] };
        let known = |writer, last: Option<u64>| known(Some(&noted), writer, last.map(Position)).map(|known| known.0);
        assert_eq!(known(Some("two"), Some(900)), Some(900), "a commit may be without its note");
        assert_eq!(known(Some("copy"), Some(900)), Some(700), "a copy has written since");
        assert_eq!(known(Some("copy"), Some(600)), Some(600), "a log that was restored");
        assert_eq!(known(Some("copy"), None), Some(700));
        assert_eq!(known(None, None), None, "a new data directory goes on");
        assert_eq!(super::known(None, Some("before"), Some(Position(9))), Some(Position(9)), "nothing is noted");
    }

    #[test]
    fn whoever_claims_is_noted_before_and_alone_after() {
        let directory = tempfile::tempdir().unwrap();
        let note = |writer: usize| PositionNote {
            path: directory.path().join(NOTE),
            lake: "s3://a".to_owned(),
            writer: writer.to_string(),
        };
        for writer in 0..20 {
            note(writer).claim(note(writer).noted().as_ref()).unwrap();
        }
        assert_eq!(note(0).read(), None, "it was never opened");
        let writers = note(0).noted().unwrap().writers;
        assert_eq!((writers.len(), writers.last().map(String::as_str)), (WRITERS_MAX, Some("19")));
        note(20).write(Position(5)).unwrap();
        assert_eq!(note(0).noted().unwrap().writers, ["20"]);
    }
}
