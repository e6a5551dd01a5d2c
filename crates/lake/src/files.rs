//! Which files make up the lake at one moment, for a backup.

use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::place::{LOG, Location, Root};
use crate::schema::{ENDPOINT_HOURS, EVENTS, TIMELINE, TableShape};
use crate::table::{LakeError, position_of, table_error};

/// The files that make up the lake at one version of its tables, relative to where the lake is.
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
pub fn files(lake: impl Into<Location>) -> BoxFuture<'static, Result<Option<LakeFiles>, LakeError>> {
    let lake = lake.into();
    async move { files_of_all(&lake.open()?).await }.boxed()
}

async fn files_of_all(root: &Root) -> Result<Option<LakeFiles>, LakeError> {
    // What is made of the events first: it never covers more than they do, so a copy of all is as a crash would leave them.
    let made = [files_of(root, &TIMELINE).await?, files_of(root, &ENDPOINT_HOURS).await?];
    let Some((position, mut files)) = files_of(root, &EVENTS).await? else { return Ok(None) };
    files.extend(made.into_iter().flatten().flat_map(|(_, files)| files));
    Ok(Some(LakeFiles { position, files }))
}

async fn files_of(root: &Root, shape: &TableShape) -> Result<Option<(u64, Vec<PathBuf>)>, LakeError> {
    let place = root.table(shape.name);
    if !place.has_versions().await? {
        return Ok(None);
    }
    let place = place.found()?;
    let table = place.load().await?;
    let position = position_of(&table, &place, shape).await?;
    let name = Path::new(shape.name);
    let snapshot = table.snapshot().map_err(table_error(&place, "read"))?;
    let mut files: Vec<_> = snapshot.log_data().iter().map(|file| name.join(file.path().as_ref())).collect();
    // Those of the transaction log up to the table's version: `<version>.json`, or `<version>.checkpoint…`.
    let newest = table.version().unwrap_or(0);
    let version = |file: &String| file.get(..20).and_then(|digits| digits.parse::<u64>().ok());
    let log = place.log_files().await?.into_iter();
    let log = log.filter(|file| version(file).is_some_and(|version| version <= newest));
    files.extend(log.map(|file| name.join(LOG).join(file)));
    Ok(Some((position, files)))
}
