//! Taking off the disk what a table does not hold any more: its former files, and what its log says of their rows.
//!
//! The log of a table keeps the least and the greatest value of the columns of each file that ever was, which are values of
//! somebody's calls. Of files that are gone they serve nobody. So the commits of the log lose them, by which no version
//! changes, and a checkpoint of the newest version takes the place of the earlier ones.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::table::{LakeError, Table, sync_path};

/// The data files of a table, and what was being written into its log, when this process had not written anything yet. What of
/// it no commit names was left by a process that was killed. No clock is asked: it may be set meanwhile.
pub(crate) struct Found(HashSet<PathBuf>);

impl Found {
    pub(crate) fn in_table(table: &Path) -> Result<Found, LakeError> {
        let log = table.join("_delta_log");
        let files = data_files_on_disk(table).map_err(disk_error(table))?.into_iter().map(|(_, path)| path);
        let staged = fs::read_dir(&log)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>());
        let staged = staged.map_err(disk_error(&log))?.into_iter().filter(|path| is_staged(path));
        Ok(Found(files.chain(staged).collect()))
    }
}

/// Who else writes a table beside who purges it.
pub(crate) enum Writing<'a> {
    Nobody,
    /// Since this was found.
    Since(&'a Found),
}

impl Writing<'_> {
    /// Whether nobody is writing a file that no commit names.
    fn is_left(&self, path: &Path) -> bool {
        match self {
            Writing::Nobody => true,
            Writing::Since(Found(found)) => found.contains(path),
        }
    }
}

/// What was taken off the disk.
pub(crate) struct Purged {
    pub deleted: u64,
    /// Nothing is left that the table does not hold; otherwise it may still be in the hands of who writes it.
    pub is_done: bool,
}

/// Takes it off.
pub(crate) async fn purge(table: &mut Table, writing: Writing<'_>) -> Result<Purged, LakeError> {
    // In this order: what is committed meanwhile is then known to be the table's.
    let files = data_files_on_disk(&table.path).map_err(disk_error(&table.path))?;
    let log = table.path.join("_delta_log");
    let committed = committed_files(&log).map_err(disk_error(&log))?;
    table.refresh().await?;
    let snapshot = table.table.snapshot().map_err(table.failed("read"))?;
    let held: HashSet<String> = snapshot.log_data().iter().map(|file| file.path().into_owned()).collect();
    let mut purged = Purged { deleted: 0, is_done: true };
    for (name, path) in files.into_iter().filter(|(name, _)| !held.contains(name)) {
        if committed.contains(&name) || writing.is_left(&path) {
            remove(&path)?;
            purged.deleted += 1;
        } else {
            purged.is_done = false;
        }
    }
    sync_folders(&table.path).map_err(disk_error(&table.path))?;
    let version = table.table.version().unwrap_or_default();
    forget_statistics(&log, version, &held).map_err(disk_error(&log))?;
    purged.is_done &= renew_checkpoint(table, &log, &writing).await?;
    Ok(purged)
}

/// The data files of a table on disk, by the names that commits give them. One that was being written by a killed process
/// has something behind its name.
fn data_files_on_disk(table: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for folder in fs::read_dir(table)? {
        let folder = folder?;
        let name = folder.file_name().to_string_lossy().into_owned();
        if !name.contains('=') || !folder.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(folder.path())? {
            let file = file?;
            let of_file = file.file_name().to_string_lossy().into_owned();
            if of_file.starts_with("part-") && of_file.contains(".parquet") {
                files.push((format!("{name}/{of_file}"), file.path()));
            }
        }
    }
    Ok(files)
}

fn sync_folders(table: &Path) -> io::Result<()> {
    for folder in fs::read_dir(table)? {
        let folder = folder?;
        if folder.file_type()?.is_dir() {
            File::open(folder.path())?.sync_all()?;
        }
    }
    Ok(())
}

/// The commits of a table's log with the versions that they made.
fn commits(log: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut commits = Vec::new();
    for entry in fs::read_dir(log)? {
        let entry = entry?;
        let name = entry.file_name();
        let version = name.to_str().and_then(|name| name.strip_suffix(".json")).and_then(|digits| digits.parse().ok());
        commits.extend(version.map(|version| (version, entry.path())));
    }
    Ok(commits)
}

/// The files that any commit has put into the table.
fn committed_files(log: &Path) -> io::Result<HashSet<String>> {
    let mut files = HashSet::new();
    for (_, commit) in commits(log)? {
        for line in fs::read_to_string(commit)?.lines() {
            let action: Value = serde_json::from_str(line).unwrap_or_default();
            let added = action["add"]["path"].as_str().or_else(|| action["remove"]["path"].as_str());
            files.extend(added.map(str::to_owned));
        }
    }
    Ok(files)
}

/// Takes what the commits up to a version say of the rows of files that the version does not hold out of them.
fn forget_statistics(log: &Path, version: u64, held: &HashSet<String>) -> io::Result<()> {
    for (_, commit) in commits(log)?.into_iter().filter(|(of_commit, _)| *of_commit <= version) {
        let text = fs::read_to_string(&commit)?;
        let lines: Vec<String> = text.lines().map(|line| without_statistics(line, held)).collect();
        let changed = lines.join("\n");
        if changed == text.trim_end() {
            continue;
        }
        // Its time is what the table's history and the limit of its age go by.
        let written = fs::metadata(&commit)?.modified()?;
        let fresh = commit.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(changed.as_bytes())?;
        file.set_modified(written)?;
        file.sync_all()?;
        fs::rename(&fresh, &commit)?;
    }
    File::open(log)?.sync_all()
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
async fn renew_checkpoint(table: &mut Table, log: &Path, writing: &Writing<'_>) -> Result<bool, LakeError> {
    let version = table.table.version().unwrap_or_default();
    let of_version = log.join(format!("{version:020}.checkpoint.parquet"));
    if !of_version.exists() {
        deltalake::checkpoints::create_checkpoint(&table.table, None)
            .await
            .map_err(table.failed("write a checkpoint of"))?;
    }
    // The library makes none of it durable, and it may be all that the table's beginning is known by from here on.
    sync_path(&of_version)?;
    let hint = log.join("_last_checkpoint");
    if hint.exists() {
        sync_path(&hint)?;
    }
    sync_path(log)?;
    let names = fs::read_dir(log).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let mut is_done = true;
    for entry in names.map_err(disk_error(log))? {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let number = name.get(..20).and_then(|digits| digits.parse::<u64>().ok());
        let is_older = name.contains(".checkpoint.") && number.is_some_and(|number| number < version);
        // Only who is here writes the latter.
        let is_unfinished = is_staged(&path) && writing.is_left(&path) || name.ends_with(".new");
        if is_older || is_unfinished {
            remove(&path)?;
        } else {
            is_done &= !is_staged(&path);
        }
    }
    sync_path(log)?;
    // What is known of the table rests on files that are gone now.
    table.refresh().await?;
    Ok(is_done)
}

/// Whether something was not written to the end: it has something behind its name then.
fn is_staged(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains('#'))
}

/// Deletes a file; that it is gone already is as well.
fn remove(path: &Path) -> Result<(), LakeError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(disk_error(path)(source)),
        _ => Ok(()),
    }
}

fn disk_error(path: &Path) -> impl FnOnce(io::Error) -> LakeError {
    let path = path.to_owned();
    move |source| LakeError::Purge { path, source }
}
