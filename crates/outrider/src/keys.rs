//! `outrider key`: replaces the key that pseudonyms are made with, and says which there are.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use outrider_collect::{FORMER_KEYS_MAX, PseudonymKey};
use outrider_platform::store::AuditLog;

use crate::cli::KeyCommand;
use crate::config::Config;
use crate::edges::now_ms;
use crate::{audit, installation, terminal};

const DAY_MS: i64 = 86_400_000;

/// Runs one of the commands; outrider may be running meanwhile.
pub async fn run(command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Rotate { config, overlap_days } => {
            let config = Config::load(&config.config)?;
            rotate(&config.data_dir.join("pseudonym.key"), now_ms(), overlap_days)?;
            audit::note(&config.data_dir, AuditLog::Decisions, "rotated the key of the pseudonyms", "").await;
            Ok(())
        }
        KeyCommand::List { config } => list(&Config::load(&config.config)?.data_dir.join("pseudonym.key"), now_ms()),
    }
}

fn rotate(path: &Path, now_ms: i64, overlap_days: i64) -> anyhow::Result<()> {
    let before = known(path)?;
    if let Some(former) = before.former().first().filter(|former| now_ms < former.until_ms) {
        anyhow::bail!(
            "the key was rotated before and its overlap lasts until {}; a call carries pseudonyms of two keys, not of three",
            terminal::utc(former.until_ms)
        );
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let until_ms = now_ms + overlap_days * DAY_MS;
    let rotated = PseudonymKey::rotated(&text, until_ms)?.with_context(|| format!("{} is damaged", path.display()))?;
    installation::write_durably(path, rotated.as_bytes())?;
    let after = known(path)?;
    terminal::note(&format!(
        "pseudonyms begin with ps_{:04x}_ from now on, and before with ps_{:04x}_; calls carry both until {}. Restart the \
         collector or send it SIGHUP, copy {} to all that share the key, and keep a copy of it",
        after.id().0,
        before.id().0,
        terminal::utc(until_ms),
        path.display()
    ));
    if before.former().len() == FORMER_KEYS_MAX {
        terminal::note("the oldest former key is gone; pseudonyms that it made cannot be found by a value any more");
    }
    Ok(())
}

fn list(path: &Path, now_ms: i64) -> anyhow::Result<()> {
    let key = known(path)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "ps_{:04x}  in use", key.id().0)?;
    for former in key.former() {
        let state = if now_ms < former.until_ms { "calls carry both until" } else { "its overlap was over" };
        writeln!(out, "ps_{:04x}  {state} {}", former.key.id().0, terminal::utc(former.until_ms))?;
    }
    Ok(())
}

/// The key in a file that has to be there.
fn known(path: &Path) -> anyhow::Result<PseudonymKey> {
    anyhow::ensure!(path.exists(), "{} does not exist; the first start with a source makes it", path.display());
    Ok(PseudonymKey::load_or_create(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_waits_for_the_end_of_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pseudonym.key");
        assert!(rotate(&path, 0, 1).unwrap_err().to_string().contains("does not exist"));
        let first = PseudonymKey::load_or_create(&path).unwrap();
        rotate(&path, 0, 1).unwrap();
        let second = known(&path).unwrap();
        assert_ne!(first.id(), second.id());
        assert_eq!(second.former()[0].key.id(), first.id());
        let refused = rotate(&path, DAY_MS - 1, 1).unwrap_err().to_string();
        assert!(refused.contains("overlap lasts until 1970-01-02"), "{refused}");
        assert_eq!(known(&path).unwrap().id(), second.id(), "nothing is changed");
        rotate(&path, DAY_MS, 1).unwrap();
        assert_eq!(known(&path).unwrap().former().len(), 2);
    }
}
