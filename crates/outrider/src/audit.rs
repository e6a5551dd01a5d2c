//! `outrider audit`: the audit log's chain of hashes, checked on the machine itself.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use outrider_platform::store::{AuditCheck, AuditMark};

use crate::cli::AuditCommand;
use crate::tokens::open;

/// Runs one of the commands; outrider may be running meanwhile.
pub async fn run(command: AuditCommand) -> anyhow::Result<()> {
    let AuditCommand::Verify { config, known } = command;
    let known = known.as_deref().map(mark).transpose()?;
    match open(&config.config).await?.verify_audit(known.as_ref()).await? {
        AuditCheck::Whole { after, head } => {
            let (first, entries) = (after.number + 1, head.number - after.number);
            let mut out = std::io::stdout().lock();
            writeln!(out, "the audit log is whole: {entries} entries from number {first}")?;
            writeln!(out, "head {}:{}", head.number, head.hash)?;
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
