//! The data directory and the installation's identity.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use outrider_collect::SourceSecret;
use outrider_platform::durable;
use serde::{Deserialize, Serialize};

/// What a running outrider says of itself in `run.json`, for its own commands and for scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// The process.
    pub pid: u32,
    /// Where the people's API listens, if it has one.
    #[serde(default)]
    pub api: Option<String>,
    /// Where collectors and responders connect, if they may.
    #[serde(default)]
    pub premises: Option<String>,
    /// Where those sources listen that do, in the order of the configuration.
    pub sources: Vec<String>,
}

/// The file that says which build's layout the data directory has.
pub const VERSION: &str = "version";
/// The layout that this build writes. It reads every older one: each part of the directory has a version of its own
/// besides, and is brought to the present one when it is opened.
const LAYOUT: u32 = 2;
/// Present in a data directory that a restore has not finished.
pub const RESTORING: &str = "restore-unfinished";

/// Makes the data directory for this user alone, or refuses one that this build must not touch. For who opens all of it:
/// what an older build wrote is about to be changed, so the directory is marked with this build's layout before, and from
/// here on that build does not touch it.
pub fn prepare(data_dir: &Path) -> anyhow::Result<()> {
    let found = make_or_check(data_dir)?;
    if found == Some(LAYOUT) {
        return Ok(());
    }
    if let Some(found) = found {
        tracing::info!(from = found, to = LAYOUT, "the data directory is brought to this version's layout");
    }
    mark_layout(data_dir)
}

/// The same for a command that keeps a file there and changes nothing else, maybe beside an older build that runs: only a
/// directory without a mark gets one.
pub fn prepare_beside(data_dir: &Path) -> anyhow::Result<()> {
    match make_or_check(data_dir)? {
        Some(_) => Ok(()),
        None => mark_layout(data_dir),
    }
}

/// The layout of the directory, which is made where it is missing. Refuses the directory of a newer build before anything of
/// it is opened.
fn make_or_check(data_dir: &Path) -> anyhow::Result<Option<u32>> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(data_dir).with_context(|| {
        format!("cannot make the data directory {}; set data_dir to one this user may write", data_dir.display())
    })?;
    anyhow::ensure!(
        !data_dir.join(RESTORING).exists(),
        "{} was not restored to the end; remove it and run `outrider restore` again",
        data_dir.display()
    );
    known_layout(data_dir)
}

fn mark_layout(data_dir: &Path) -> anyhow::Result<()> {
    write_durably(&data_dir.join(VERSION), format!("{LAYOUT}\n").as_bytes())
}

/// The layout that the directory is marked with, if it is one that this build knows.
pub fn known_layout(data_dir: &Path) -> anyhow::Result<Option<u32>> {
    let path = data_dir.join(VERSION);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let found: u32 = text
                .trim()
                .parse()
                .with_context(|| format!("{} does not hold a version; restore it from a backup", path.display()))?;
            anyhow::ensure!(
                found <= LAYOUT,
                "the data directory {} has layout {found} and this build knows up to {LAYOUT}; it was written by a newer \
                 outrider. Start that version, or restore a backup that this one wrote",
                data_dir.display()
            );
            Ok(Some(found))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Whether everything in the directory is as this build leaves it. To open a part of another one would change it, maybe
/// under an older build that runs.
pub fn has_this_layout(data_dir: &Path) -> anyhow::Result<bool> {
    Ok(known_layout(data_dir)? == Some(LAYOUT))
}

/// The installation's id: made once, part of every tag that outrider puts on what it creates at a gateway.
pub fn id(data_dir: &Path) -> anyhow::Result<String> {
    made_once(&id_path(data_dir))
}

/// The id of this data directory, by which the platform tells two processes with one token apart.
pub fn instance(data_dir: &Path) -> anyhow::Result<String> {
    made_once(&data_dir.join("instance"))
}

/// The installation's id, where there is one already.
pub fn known_id(data_dir: &Path) -> anyhow::Result<Option<String>> {
    read_id(&id_path(data_dir))
}

/// Keeps the id of the installation that this data directory works for.
pub fn keep_id(data_dir: &Path, id: &str) -> anyhow::Result<()> {
    anyhow::ensure!(is_id(id), "the platform says that its installation is `{id}`, which is no id");
    write_durably(&id_path(data_dir), id.as_bytes())
}

fn made_once(path: &Path) -> anyhow::Result<String> {
    if let Some(id) = read_id(path)? {
        return Ok(id);
    }
    let id = format!("{:016x}", u64::from_be_bytes(random()?));
    write_durably(path, id.as_bytes())?;
    Ok(id)
}

fn read_id(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let id = text.trim();
            anyhow::ensure!(is_id(id), "{} does not hold an id; restore it from a backup", path.display());
            Ok(Some(id.to_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn is_id(id: &str) -> bool {
    (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A secret for a gateway's lines, which is in no file yet.
pub fn new_source_secret() -> anyhow::Result<String> {
    Ok(format!("{:032x}", u128::from_be_bytes(random()?)))
}

/// Keeps such a secret in its file, for this user alone.
pub fn keep_source_secret(path: &Path, secret: &str) -> anyhow::Result<()> {
    write_durably(path, format!("{secret}\n").as_bytes())
}

/// The secret that a gateway's lines are to carry, from its file.
pub fn known_source_secret(path: &Path) -> anyhow::Result<String> {
    Ok(SourceSecret::load(path)?.first().to_owned())
}

/// Random bytes from the system.
pub fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(bytes)
}

fn id_path(data_dir: &Path) -> PathBuf {
    data_dir.join("installation")
}

/// Says where everything listens.
pub fn write_run_file(data_dir: &Path, run: &RunFile) -> anyhow::Result<()> {
    write_durably(&run_path(data_dir), &serde_json::to_vec_pretty(run)?)
}

/// Takes back what [`write_run_file`] said.
pub fn remove_run_file(data_dir: &Path) {
    // A file that stays behind only names a process that is gone.
    drop(fs::remove_file(run_path(data_dir)));
}

fn run_path(data_dir: &Path) -> PathBuf {
    data_dir.join("run.json")
}

/// Writes a small file for this user alone, whole or not at all.
pub fn write_durably(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    durable::replace(path, content).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_a_newer_build_or_half_a_restore_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path()).unwrap();
        prepare(directory.path()).unwrap();
        for (file, text, expected) in [
            (VERSION, "3\n", "by a newer outrider"),
            (VERSION, "x", "does not hold a version"),
            (RESTORING, "", "not restored"),
        ] {
            let path = directory.path().join(file);
            let before = fs::read(&path).ok();
            fs::write(&path, text).unwrap();
            let error = format!("{:#}", prepare(directory.path()).unwrap_err());
            assert!(error.contains(expected), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "nothing is changed");
            match before {
                Some(before) => fs::write(&path, before).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
        }
    }

    #[test]
    fn a_command_beside_an_older_build_leaves_its_mark() {
        type Prepare = fn(&Path) -> anyhow::Result<()>;
        let cases: [(Prepare, Option<&str>, &str); 4] = [
            (prepare, None, "2\n"),
            (prepare, Some("1\n"), "2\n"),
            (prepare_beside, None, "2\n"),
            (prepare_beside, Some("1\n"), "1\n"),
        ];
        for (prepare, before, after) in cases {
            let directory = tempfile::tempdir().unwrap();
            let mark = directory.path().join(VERSION);
            if let Some(before) = before {
                fs::write(&mark, before).unwrap();
            }
            prepare(directory.path()).unwrap();
            assert_eq!(fs::read_to_string(&mark).unwrap(), after, "{before:?}");
        }
        let newer = tempfile::tempdir().unwrap();
        fs::write(newer.path().join(VERSION), "3\n").unwrap();
        assert!(prepare_beside(newer.path()).unwrap_err().to_string().contains("by a newer outrider"));
    }

    #[test]
    fn the_id_is_made_once_and_a_damaged_one_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        prepare(&data).unwrap();
        let first = id(&data).unwrap();
        assert_eq!(id(&data).unwrap(), first);
        fs::write(data.join("installation"), "").unwrap();
        assert!(id(&data).unwrap_err().to_string().contains("restore it"));
    }
}
