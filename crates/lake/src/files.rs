//! Which files make up the lake at one moment, for a backup.

use std::path::{Path, PathBuf};

use deltalake::DeltaTable;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::schema::{EVENTS, TIMELINE, TableShape};
use crate::table::{LakeError, has_versions, load, position_of, table_error};

/// The files that make up the lake at one version of its tables, relative to the directory of the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeFiles {
    /// The log position that the events cover.
    pub position: u64,
    /// All files: those of the transaction logs up to the versions, and the rows.
    pub files: Vec<PathBuf>,
}

/// Names the files of the tables' newest versions, without changing anything; `None` where there is no lake. Nothing that
/// one version needs is ever changed, and what a newer one does not need stays for an hour, so they can be copied while
/// calls are committed.
pub fn files(directory: &Path) -> BoxFuture<'_, Result<Option<LakeFiles>, LakeError>> {
    files_of_both(directory).boxed()
}

async fn files_of_both(directory: &Path) -> Result<Option<LakeFiles>, LakeError> {
    // The timeline first: it never covers more than the events, so a copy of both is as a crash would leave them.
    let timeline = files_of(directory, &TIMELINE).await?;
    let Some((position, mut files)) = files_of(directory, &EVENTS).await? else { return Ok(None) };
    files.extend(timeline.into_iter().flat_map(|(_, files)| files));
    Ok(Some(LakeFiles { position, files }))
}

async fn files_of(directory: &Path, shape: &TableShape) -> Result<Option<(u64, Vec<PathBuf>)>, LakeError> {
    let path = directory.join(shape.name);
    if !has_versions(&path) {
        return Ok(None);
    }
    let path = path.canonicalize().map_err(|source| LakeError::Directory { path: path.clone(), source })?;
    let table = load(&path).await?;
    let position = position_of(&table, &path, shape).await?;
    let name = Path::new(shape.name);
    let snapshot = table.snapshot().map_err(table_error(&path, "read"))?;
    let mut files: Vec<_> = snapshot.log_data().iter().map(|file| name.join(file.path().as_ref())).collect();
    files.extend(versions(&table, &path)?.into_iter().map(|file| name.join("_delta_log").join(file)));
    Ok(Some((position, files)))
}

/// The files of the transaction log up to the table's version: `<version>.json`, or `<version>.checkpoint…`.
fn versions(table: &DeltaTable, path: &Path) -> Result<Vec<std::ffi::OsString>, LakeError> {
    let log = path.join("_delta_log");
    let failed = |source| LakeError::Directory { path: log.clone(), source };
    let newest = table.version().unwrap_or(0);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&log).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let of_version = name.to_str().and_then(|name| name.get(..20)).and_then(|digits| digits.parse::<u64>().ok());
        if of_version.is_some_and(|version| version <= newest) {
            files.push(name);
        }
    }
    Ok(files)
}
