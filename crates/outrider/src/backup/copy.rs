//! Copying files: for this user alone, synced, with their checksums, and with a bar that says how far it is.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{IsTerminal as _, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest as _, Sha256};

use super::manifest::Entry;

const CHUNK_BYTES: usize = 1 << 20;

/// Copies into one directory.
pub struct Copier {
    to: PathBuf,
    entries: Vec<Entry>,
    bar: ProgressBar,
}

impl Copier {
    /// Makes the directory where it is missing.
    pub fn new(to: &Path) -> anyhow::Result<Copier> {
        make_directory(to)?;
        let bar = if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {binary_bytes} {binary_bytes_per_sec} {msg}") {
            bar.set_style(style);
        }
        Ok(Copier { to: to.to_owned(), entries: Vec::new(), bar })
    }

    /// Copies a file to a path below the directory.
    pub fn file(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        let file = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.open_file(file, to)
    }

    /// As [`Copier::file`], for a file that need not be there.
    pub fn file_if_there(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        if from.exists() { self.file(from, to) } else { Ok(()) }
    }

    /// Copies an open file, whatever its name is by now.
    pub fn open_file(&mut self, mut from: File, to: &Path) -> anyhow::Result<()> {
        self.bar.set_message(to.display().to_string());
        let path = self.to.join(to);
        make_directory(path.parent().unwrap_or(&self.to))?;
        let failed = || format!("cannot write {}", path.display());
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).with_context(failed)?;
        let bar = self.bar.clone();
        let (bytes, sha256) = read_all(&mut from, |chunk| {
            bar.inc(chunk.len() as u64);
            file.write_all(chunk)
        })
        .with_context(failed)?;
        file.sync_all().with_context(failed)?;
        self.entries.push(Entry { path: to.to_owned(), bytes, sha256 });
        Ok(())
    }

    /// Takes up a file that somebody else wrote into the directory.
    pub fn adopt(&mut self, path: &Path) -> anyhow::Result<()> {
        let whole = self.to.join(path);
        let failed = || format!("cannot keep {}", whole.display());
        let file = File::open(&whole).with_context(failed)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).with_context(failed)?;
        file.sync_all().with_context(failed)?;
        let (bytes, sha256) = digest(&whole)?;
        self.entries.push(Entry { path: path.to_owned(), bytes, sha256 });
        Ok(())
    }

    /// Brings all directories to stable storage and says what was copied.
    pub fn finish(self) -> anyhow::Result<Vec<Entry>> {
        self.bar.finish_and_clear();
        let mut directories: Vec<_> = self.entries.iter().flat_map(|entry| entry.path.ancestors().skip(1)).collect();
        directories.sort_unstable();
        directories.dedup();
        for directory in directories {
            let path = self.to.join(directory);
            File::open(&path)
                .and_then(|directory| directory.sync_all())
                .with_context(|| format!("cannot sync {}", path.display()))?;
        }
        Ok(self.entries)
    }
}

/// Size and SHA-256 of a file.
pub fn digest(path: &Path) -> anyhow::Result<(u64, String)> {
    File::open(path)
        .and_then(|mut file| read_all(&mut file, |_| Ok(())))
        .with_context(|| format!("cannot read {}", path.display()))
}

/// A digest as it is written.
pub fn in_hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_all(
    from: &mut impl Read,
    mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<(u64, String)> {
    let (mut chunk, mut bytes, mut hash) = (vec![0; CHUNK_BYTES], 0, Sha256::new());
    loop {
        let count = from.read(&mut chunk)?;
        if count == 0 {
            return Ok((bytes, in_hex(hash)));
        }
        hash.update(&chunk[..count]);
        each(&chunk[..count])?;
        bytes += count as u64;
    }
}

fn make_directory(path: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot make {}", path.display()))
}
