//! `outrider backup` and `outrider restore`: a data directory copied while it is in use, such that it starts.
//!
//! What makes the copy consistent is its order. Each consumer of the log may be behind it and must never be ahead of it,
//! and a start begins with a snapshot that no consumer is behind of and with all of the log after it. So the log's
//! segments are held open first, which keeps them from being cut away; then snapshots, control store and lake are
//! copied, each as of a later moment than the one before; the log comes last, with whatever was written meanwhile. A
//! record that was only half written then is cut off at the start, as after a crash.
//!
//! Left out: `run.json`, locks, the first admin's token (the store knows it by its hash) and, unless asked for, the key.

mod copy;
mod manifest;

pub use copy::in_hex;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use outrider_platform::log::{self, Position};
use outrider_platform::service::lake_elsewhere;
use outrider_platform::snapshots::Snapshots;
use outrider_platform::store::{AuditLog, Store};

use crate::cli::{BackupArguments, RestoreArguments};
use crate::config::Config;
use crate::installation::{self, RESTORING};
use crate::{audit, service, terminal};
use copy::Copier;
use manifest::Manifest;

/// The key of the pseudonyms, in the data directory and in a backup.
const KEY: &str = "pseudonym.key";
const STORE: &str = "control.sqlite";
/// Looks at a directory that changes while it is looked at.
const LOOKS_MAX: u32 = 20;

/// Makes a backup and checks it.
pub async fn backup(arguments: BackupArguments) -> anyhow::Result<()> {
    let config = Config::load(&arguments.config.config)?;
    refuse_services(&config)?;
    let data = config.data_dir.clone();
    let installation = installation::known_id(&data)?.with_context(|| {
        format!("{} holds no installation, so there is nothing to back up; is --config the right one?", data.display())
    })?;
    let to = arguments.to;
    ensure!(is_free(&to)?, "{} is not empty; name a directory that is not there yet", to.display());
    let mut copier = Copier::new(&to)?;
    let mut held = open_all(&data.join("log"), "seg")?;
    for name in ["installation", installation::VERSION] {
        copier.file_if_there(&data.join(name), Path::new(name))?;
    }
    if arguments.with_key {
        copier.file(&data.join(KEY), Path::new(KEY))?;
    }
    for (name, file) in open_all(&data.join("responder"), "")? {
        if !name.starts_with("lock-") {
            copier.open_file(file, &Path::new("responder").join(name))?;
        }
    }
    for (name, file) in open_all(&data.join("snapshots"), "snap")? {
        copier.open_file(file, &Path::new("snapshots").join(name))?;
    }
    Store::copy(&data.join(STORE), &to.join(STORE)).await?;
    copier.adopt(Path::new(STORE))?;
    let location = config.lake.location(&data, &installation)?;
    let lake_elsewhere = location.as_directory().is_none().then(|| location.to_string());
    let (lake_position, lake_files) = match &lake_elsewhere {
        // It is not copied, and may be away.
        Some(lake) => (position_elsewhere(&data, lake), Vec::new()),
        None => match outrider_lake::files(&location).await? {
            Some(lake) => (Some(lake.position), lake.files),
            None => (None, Vec::new()),
        },
    };
    for file in lake_files {
        let file = Path::new("lake").join(file);
        copier.file(&data.join(&file), &file)?;
    }
    for (name, file) in open_all(&data.join("log"), "seg")? {
        if !held.iter().any(|(known, _)| *known == name) {
            held.push((name, file));
        }
    }
    for (name, file) in held {
        copier.open_file(file, &Path::new("log").join(name))?;
    }
    let has_key = arguments.with_key;
    let mut manifest = Manifest::new(installation, service::now_ms(), lake_position, has_key, copier.finish()?);
    manifest.lake_elsewhere = lake_elsewhere;
    manifest.write(&to)?;
    let last = check(&to, &manifest).await?;
    let what = if has_key { "made a backup with the key of the pseudonyms" } else { "made a backup" };
    audit::note(&data, AuditLog::Reads, what, &to.display().to_string()).await;
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let (files, to) = (manifest.files.len(), to.display());
    terminal::note(&format!("{files} files with {bytes} bytes, up to record {last} of the log, are in {to}"));
    if let Some(lake) = &manifest.lake_elsewhere {
        terminal::note(&format!(
            "the lake at {lake} is not in it; keep that by means of the store, such as versions or a copy of the bucket"
        ));
    }
    if !has_key {
        terminal::note(&format!(
            "the key of the pseudonyms is not in it; keep {} safe elsewhere",
            data.join(KEY).display()
        ));
    }
    Ok(())
}

/// Makes a data directory out of a backup, or only checks the backup.
pub async fn restore(arguments: RestoreArguments) -> anyhow::Result<()> {
    let RestoreArguments { config, from, check: is_check, key, new_key } = arguments;
    if !is_check {
        refuse_services(&Config::load(&config.config)?)?;
    }
    let manifest = Manifest::read(&from)?;
    let last = check(&from, &manifest).await?;
    let said = format!(
        "the backup of installation {} in {} is whole and goes up to record {last} of the log",
        manifest.installation,
        from.display()
    );
    terminal::note(&said);
    if is_check {
        return Ok(());
    }
    let data = Config::load(&config.config)?.data_dir;
    ensure!(
        is_free(&data)?,
        "{} is not empty, and nothing is overwritten; move it away, or set data_dir to another directory",
        data.display()
    );
    check_key(manifest.has_key, key.as_deref(), new_key)?;
    let mut copier = Copier::new(&data)?;
    installation::write_durably(&data.join(RESTORING), b"")?;
    for file in &manifest.files {
        copier.file(&from.join(&file.path), &file.path)?;
    }
    if let Some(key) = key {
        copier.file(&key, Path::new(KEY))?;
    }
    let written = copier.finish()?;
    manifest.compare(&written)?;
    fs::remove_file(data.join(RESTORING)).context("cannot remove the mark of an unfinished restore")?;
    File::open(&data).and_then(|directory| directory.sync_all()).context("cannot sync the data directory")?;
    terminal::note(&format!(
        "{} is restored; `outrider run` goes on from there. Blocks and limits that were made since the backup stay in Kong until \
         the end that their tags tell; those that were ended since come back for the rest of their time",
        data.display()
    ));
    if let Some(lake) = &manifest.lake_elsewhere {
        terminal::note(&format!(
            "the lake was at {lake} and is not in the backup. If it has gone on since the backup, its calls are newer than the log \
             that was restored, and outrider does not start with it: name another bucket or prefix in lake.url then"
        ));
    }
    Ok(())
}

/// How far a lake on a store is at least, as the data directory notes it.
fn position_elsewhere(data: &Path, lake: &str) -> Option<u64> {
    let (noted, position) = lake_elsewhere(data)?;
    position.filter(|_| noted == lake).map(|position| position.0)
}

/// Says before anything is copied what is wrong with what was said of the key.
fn check_key(has_key: bool, key: Option<&Path>, new_key: bool) -> anyhow::Result<()> {
    ensure!(
        has_key || key.is_some() || new_key,
        "the backup holds no key of the pseudonyms; name it with --key, or accept with --new-key that pseudonyms differ from \
         now on"
    );
    ensure!(
        !has_key || key.is_none(),
        "the backup holds the key of its pseudonyms (it was made --with-key), so leave --key away: another key would not fit \
         what is in it"
    );
    ensure!(
        !has_key || !new_key,
        "the backup holds the key of its pseudonyms (it was made --with-key), so leave --new-key away; a new key is for a \
         backup whose key is lost"
    );
    if let Some(key) = key {
        File::open(key).with_context(|| format!("cannot read the key {}", key.display()))?;
    }
    Ok(())
}

/// What a collector or responder has to keep is a few files, and everything else comes from the platform again.
fn refuse_services(config: &Config) -> anyhow::Result<()> {
    if config.platform.is_none() {
        return Ok(());
    }
    let data = config.data_dir.display();
    let files = "the configuration and the files that it names (token, certificate and key";
    match config.gateways.is_empty() {
        true => anyhow::bail!(
            "a collector is not backed up: what is in its spool goes to the platform. Keep a copy of {data}/pseudonym.key, of \
             {files}, secrets); with these in place a new one takes over"
        ),
        false => anyhow::bail!(
            "a responder is not backed up: a new one learns the installation from the platform and adopts what is at the \
             gateway. Keep a copy of {files}, guard rails); where release-all holds it, stop it and copy {data} as a whole, \
             or say release-all again"
        ),
    }
}

/// Whether every file is what was written, and whether the parts fit together: a start must find a snapshot that no
/// consumer of the log is behind of, and the log after it. Says the log's last record.
async fn check(backup: &Path, manifest: &Manifest) -> anyhow::Result<Position> {
    manifest.verify(backup)?;
    let store = Store::position_in(&backup.join(STORE)).await?;
    let (first, last) = log::extent(&backup.join("log"))?.context("the backup holds no log")?;
    let lake = manifest.lake_position.map_or(store, Position);
    ensure!(
        store <= last && lake <= last,
        "the log ends with record {last}, the control store is at {store} and the lake at {lake}: the log is older than what \
         was made of it"
    );
    let snapshots = Snapshots::open(backup.join("snapshots"))?;
    let begins = snapshots.usable(store.min(lake))?.unwrap_or(Position::ZERO);
    // A lake that lacks what the log no longer holds goes on where the analysis does.
    let begins = if lake.next() < first { snapshots.usable(store)?.unwrap_or(Position::ZERO) } else { begins };
    ensure!(
        begins.next() >= first,
        "the newest usable snapshot is as of record {begins} and the log begins with {first}: a start could not go on"
    );
    Ok(last)
}

/// Whether a directory can be written to without touching anything.
fn is_free(directory: &Path) -> anyhow::Result<bool> {
    match fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot look into {}", directory.display())),
    }
}

/// Opens all files of a directory that have an extension, or all where none is named. An open file keeps its content when
/// its name is removed, so this is one moment of a directory that changes; where it changed meanwhile, it looks again.
fn open_all(directory: &Path, extension: &str) -> anyhow::Result<Vec<(String, File)>> {
    for _ in 0..LOOKS_MAX {
        if let Some(files) = try_open_all(directory, extension)? {
            return Ok(files);
        }
    }
    anyhow::bail!("{} changes faster than it can be read; try again", directory.display())
}

fn try_open_all(directory: &Path, extension: &str) -> anyhow::Result<Option<Vec<(String, File)>>> {
    let failed = |path: &Path| format!("cannot read {}", path.display());
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Some(Vec::new())),
        entries => entries.with_context(|| failed(directory))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path: PathBuf = entry.with_context(|| failed(directory))?.path();
        let is_wanted = extension.is_empty() || path.extension().is_some_and(|found| found == extension);
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| is_wanted) else { continue };
        match File::open(&path) {
            Ok(file) => files.push((name.to_owned(), file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| failed(&path)),
        }
    }
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(Some(files))
}
