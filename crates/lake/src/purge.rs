//! Deleting what a table does not hold any more: its former files, and what its log says of their rows.
//!
//! The log of a table keeps the least and the greatest value of the columns of each file that ever was, which are values of
//! somebody's calls. Of files that are gone they serve nobody. So the commits of the log lose them, by which no version
//! changes, and a checkpoint of the newest version takes the place of the earlier ones. Files that were set aside because they
//! could not be read go with them: nobody can say whose calls they hold.

use std::collections::HashSet;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use crate::place::{LOG, Place, SET_ASIDE};
use crate::table::{LakeError, Table};

/// Files that are read at once, or deleted: a store takes its time for each.
const AT_ONCE: usize = 16;

/// The data files of a table, and what was being written into its log, when this process had not written anything yet. What of
/// it no commit names was left by a process that was killed. No clock is asked: it may be set meanwhile.
pub(crate) struct Found(HashSet<String>);

impl Found {
    pub(crate) async fn in_table(place: &Place) -> Result<Found, LakeError> {
        let staged = place.log_files().await?.into_iter().filter(|name| is_staged(name));
        let staged = staged.map(|name| in_log(&name)).collect::<Vec<_>>();
        Ok(Found(place.data_files().await?.into_iter().chain(staged).collect()))
    }
}

/// Deletes those files that no version of the table held at the last sweep and none holds now, and names the others that none
/// holds. What was set aside goes when the table has nothing as old any more. Neither a clock nor the log is asked: an entry of a
/// file that was taken away leaves the log before the file may go.
pub(crate) async fn sweep(table: &mut Table, unheld: &HashSet<String>) -> Result<HashSet<String>, LakeError> {
    // In this order: what is committed meanwhile is then known to be the table's.
    let files = table.place.data_files().await?;
    table.refresh().await?;
    let held = held(table)?;
    let (aside, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.starts_with(SET_ASIDE));
    let others = files.into_iter().filter(|file| !held.contains(file));
    let (mut gone, left): (HashSet<_>, HashSet<_>) = others.partition(|file| unheld.contains(file));
    // Both begin with the folder of their day.
    let oldest = held.iter().min().cloned().unwrap_or_default();
    let is_older = |file: &&String| file[SET_ASIDE.len()..].trim_start_matches('/') < oldest.as_str();
    gone.extend(aside.iter().filter(is_older).cloned());
    all(gone.iter().map(|file| table.place.delete_data(file).boxed()).collect()).await?;
    Ok(left)
}

/// The data files of the newest version.
fn held(table: &Table) -> Result<HashSet<String>, LakeError> {
    let snapshot = table.table.snapshot().map_err(table.failed("read"))?;
    Ok(snapshot.log_data().iter().map(|file| file.path().into_owned()).collect())
}

/// Who else writes a table beside who purges it.
pub(crate) enum Writing<'a> {
    Nobody,
    /// Since this was found.
    Since(&'a Found),
}

impl Writing<'_> {
    /// Whether nobody is writing a file that no commit names.
    fn is_left(&self, file: &str) -> bool {
        match self {
            Writing::Nobody => true,
            Writing::Since(Found(found)) => found.contains(file),
        }
    }
}

/// What was deleted.
pub(crate) struct Purged {
    pub deleted: u64,
    /// Nothing is left that the table does not hold; otherwise it may still be in the hands of who writes it.
    pub is_done: bool,
}

/// Deletes it.
pub(crate) async fn purge(table: &mut Table, writing: Writing<'_>) -> Result<Purged, LakeError> {
    // In this order: what is committed meanwhile is then known to be the table's.
    let files = table.place.data_files().await?;
    let committed = committed_files(&table.place).await?;
    table.refresh().await?;
    let held = held(table)?;
    let others = files.into_iter().filter(|file| !held.contains(file));
    let (gone, kept): (Vec<_>, Vec<_>) = others.partition(|file| committed.contains(file) || writing.is_left(file));
    all(gone.iter().map(|file| table.place.delete_data(file).boxed()).collect()).await?;
    table.place.sync_deleted()?;
    let version = table.table.version().unwrap_or_default();
    forget_statistics(&table.place, version, &held).await?;
    let is_done = renew_checkpoint(table, &writing).await?;
    Ok(Purged { deleted: gone.len() as u64, is_done: is_done && kept.is_empty() })
}

/// The commits of a table's log with the versions that they made.
async fn commits(place: &Place) -> Result<Vec<(u64, String)>, LakeError> {
    let version = |name: String| Some((name.strip_suffix(".json")?.parse().ok()?, name));
    Ok(place.log_files().await?.into_iter().filter_map(version).collect())
}

/// The files that any commit has put into the table.
async fn committed_files(place: &Place) -> Result<HashSet<String>, LakeError> {
    let commits = commits(place).await?;
    let files = all(commits.iter().map(|(_, commit)| files_named(place, commit).boxed()).collect()).await?;
    Ok(files.into_iter().flatten().collect())
}

/// The files that a commit names.
async fn files_named(place: &Place, commit: &str) -> Result<Vec<String>, LakeError> {
    let text = place.read_log(commit).await?;
    let named = text.lines().filter_map(|line| {
        let action: Value = serde_json::from_str(line).unwrap_or_default();
        let named = action["add"]["path"].as_str().or_else(|| action["remove"]["path"].as_str());
        named.map(str::to_owned)
    });
    Ok(named.collect())
}

/// Takes what the commits up to a version say of the rows of files that the version does not hold out of them.
async fn forget_statistics(place: &Place, version: u64, held: &HashSet<String>) -> Result<(), LakeError> {
    let commits = commits(place).await?;
    let of_version = commits.iter().filter(|(of_commit, _)| *of_commit <= version);
    all(of_version.map(|(_, commit)| forget_statistics_of(place, commit, held).boxed()).collect()).await?;
    place.sync_log(&[])
}

async fn forget_statistics_of(place: &Place, commit: &str, held: &HashSet<String>) -> Result<(), LakeError> {
    let text = place.read_log(commit).await?;
    let lines: Vec<String> = text.lines().map(|line| without_statistics(line, held)).collect();
    let changed = lines.join("\n");
    match changed == text.trim_end() {
        true => Ok(()),
        false => place.rewrite_log(commit, &changed).await,
    }
}

/// Does all of it, some at once.
async fn all<T>(work: Vec<BoxFuture<'_, Result<T, LakeError>>>) -> Result<Vec<T>, LakeError> {
    futures_util::stream::iter(work).buffer_unordered(AT_ONCE).try_collect().await
}

fn without_statistics(line: &str, held: &HashSet<String>) -> String {
    let as_it_is = || line.to_owned();
    let Ok(mut action) = serde_json::from_str::<Value>(line) else { return as_it_is() };
    let Some(add) = action.get_mut("add").and_then(Value::as_object_mut) else { return as_it_is() };
    let is_held = add.get("path").and_then(Value::as_str).is_some_and(|path| held.contains(path));
    if is_held || add.remove("stats").is_none() {
        return as_it_is();
    }
    action.to_string()
}

/// Writes a checkpoint of the newest version and deletes the ones before, which hold statistics of files that are gone. Says
/// whether nobody was writing one meanwhile.
async fn renew_checkpoint(table: &mut Table, writing: &Writing<'_>) -> Result<bool, LakeError> {
    const HINT: &str = "_last_checkpoint";
    let version = table.table.version().unwrap_or_default();
    let of_version = format!("{version:020}.checkpoint.parquet");
    if !table.place.log_files().await?.contains(&of_version) {
        deltalake::checkpoints::create_checkpoint(&table.table, None)
            .await
            .map_err(table.failed("write a checkpoint of"))?;
    }
    let files = table.place.log_files().await?;
    // The library makes none of it durable, and it may be all that the table's beginning is known by from here on.
    let hint = files.iter().any(|name| name == HINT).then_some(HINT);
    table.place.sync_log(&[of_version.as_str()].into_iter().chain(hint).collect::<Vec<_>>())?;
    let mut is_done = true;
    for name in files {
        let number = name.get(..20).and_then(|digits| digits.parse::<u64>().ok());
        let is_older = name.contains(".checkpoint.") && number.is_some_and(|number| number < version);
        // Only who is here writes the latter.
        let is_unfinished = is_staged(&name) && writing.is_left(&in_log(&name)) || name.ends_with(".new");
        if is_older || is_unfinished {
            table.place.delete_log(&name).await?;
        } else {
            is_done &= !is_staged(&name);
        }
    }
    table.place.sync_log(&[])?;
    // What is known of the table rests on files that are gone now.
    table.refresh().await?;
    Ok(is_done)
}

/// Whether something was not written to the end: it has something behind its name then.
fn is_staged(name: &str) -> bool {
    name.contains('#')
}

fn in_log(name: &str) -> String {
    format!("{LOG}/{name}")
}
