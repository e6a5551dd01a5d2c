//! `outrider audit`: the audit log's chains of hashes, checked on the machine itself. And what other commands did, written
//! into it.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use outrider_model::AuditEntry;
use outrider_platform::store::{AuditCheck, AuditLog, AuditMark, Store};

use crate::cli::AuditCommand;
use crate::service::now_ms;
use crate::tokens::open;
use crate::{installation, terminal};

/// Runs one of the commands; outrider may be running meanwhile.
pub async fn run(command: AuditCommand) -> anyhow::Result<()> {
    let AuditCommand::Verify { config, known } = command;
    let known: Vec<_> = known.iter().map(|text| mark(text)).collect::<Result<_, _>>()?;
    match open(&config.config).await?.verify_audit(&known).await? {
        AuditCheck::Whole { entries, first, erased, heads } => {
            let mut out = std::io::stdout().lock();
            writeln!(out, "the audit log is whole: {entries} entries from number {first}")?;
            if erased > 0 {
                writeln!(
                    out,
                    "the words of {erased} of them were erased; the receipts of erasures say how many they took"
                )?;
            }
            for AuditMark { number, hash } in heads {
                writeln!(out, "head {number}:{hash}")?;
            }
        }
        AuditCheck::Broken { number, why } => bail!("the audit log is broken at entry {number}: {why}"),
    }
    Ok(())
}

fn mark(text: &str) -> anyhow::Result<AuditMark> {
    let (number, hash) = text.split_once(':').context("--known is a head as verify says it, NUMBER:HASH")?;
    let number = number.parse().with_context(|| format!("--known: `{number}` is no number"))?;
    Ok(AuditMark { number, hash: hash.to_ascii_lowercase() })
}

/// Writes down what a command did, where the control store is at hand: a collector or responder of its own has none, and
/// one of an older version is left alone. What was done stays done, so a store that cannot be written is only told of.
pub async fn note(data_dir: &Path, log: AuditLog, what: &str, subject: &str) {
    if let Err(error) = try_note(data_dir, log, what, subject).await {
        terminal::note(&format!("this is not in the audit log: {error:#}"));
    }
}

async fn try_note(data_dir: &Path, log: AuditLog, what: &str, subject: &str) -> anyhow::Result<()> {
    let Some(store) = store_at_hand(data_dir).await? else { return Ok(()) };
    let (by, what, subject) = ("command line".to_owned(), what.to_owned(), subject.to_owned());
    let entry = AuditEntry { at_ms: now_ms(), by, what, subject, detail: String::new() };
    Ok(store.note(log, &entry).await?)
}

/// The control store in a directory, where there is one of this version.
pub async fn store_at_hand(data_dir: &Path) -> anyhow::Result<Option<Store>> {
    let file = data_dir.join("control.sqlite");
    match file.exists() && installation::has_this_layout(data_dir)? {
        true => Ok(Some(Store::open(&file).await?)),
        false => Ok(None),
    }
}
