//! What a backup says of itself: written last, so a backup without it is not whole.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::copy::digest;
use crate::installation;

/// The version of the manifest that this build writes, and the newest that it reads.
const FORMAT: u32 = 1;
const NAME: &str = "manifest.json";

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it is, relative to the data directory.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The SHA-256 of its content, in hexadecimal digits.
    pub sha256: String,
}

/// A backup's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    outrider: String,
    /// Whose data it is.
    pub installation: String,
    created_ms: i64,
    /// The log position that the lake covers; none without a lake.
    pub lake_position: Option<u64>,
    /// Where the lake is, if that is not in the data directory; then it is not in the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lake_elsewhere: Option<String>,
    /// Whether the key of the pseudonyms is in it.
    pub has_key: bool,
    /// All files but this one.
    pub files: Vec<Entry>,
}

impl Manifest {
    pub fn new(
        installation: String,
        created_ms: i64,
        lake_position: Option<u64>,
        has_key: bool,
        files: Vec<Entry>,
    ) -> Self {
        let outrider = env!("CARGO_PKG_VERSION").to_owned();
        Manifest {
            format: FORMAT,
            outrider,
            installation,
            created_ms,
            lake_position,
            lake_elsewhere: None,
            has_key,
            files,
        }
    }

    pub fn write(&self, directory: &Path) -> anyhow::Result<()> {
        installation::write_durably(&directory.join(NAME), &serde_json::to_vec_pretty(self)?)
    }

    pub fn read(directory: &Path) -> anyhow::Result<Manifest> {
        let path = directory.join(NAME);
        let text = fs::read(&path)
            .with_context(|| format!("{} cannot be read; without it this is no whole backup", path.display()))?;
        let wrong = || format!("{} is no manifest of a backup", path.display());
        let value: serde_json::Value = serde_json::from_slice(&text).with_context(wrong)?;
        let format = value["format"].as_u64().with_context(wrong)?;
        ensure!(
            format <= u64::from(FORMAT),
            "{} has format {format} and this build reads up to {FORMAT}; it was made by a newer outrider ({}): restore it with \
             that version",
            path.display(),
            value["outrider"]
        );
        let manifest: Manifest = serde_json::from_value(value).with_context(wrong)?;
        // A manifest is data: it must not lead out of the directory.
        let is_inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        let astray = manifest.files.iter().find(|file| !is_inside(&file.path));
        ensure!(astray.is_none(), "{} names files outside of the backup", path.display());
        Ok(manifest)
    }

    /// Refuses a backup of which a file is missing or changed.
    pub fn verify(&self, directory: &Path) -> anyhow::Result<()> {
        for file in &self.files {
            let path = directory.join(&file.path);
            let (bytes, sha256) = digest(&path)?;
            ensure!(
                (bytes, &sha256) == (file.bytes, &file.sha256),
                "{} is damaged: it is not what was written; take another backup",
                path.display()
            );
        }
        Ok(())
    }

    /// Refuses a copy that is not what the backup holds.
    pub fn compare(&self, written: &[Entry]) -> anyhow::Result<()> {
        for file in &self.files {
            let is_same = written.iter().any(|entry| entry == file);
            ensure!(is_same, "{} was not written as it is in the backup; try again", file.path.display());
        }
        Ok(())
    }
}
