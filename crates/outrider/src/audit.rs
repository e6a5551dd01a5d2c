//! `outrider audit`: the audit log's chains of hashes, checked on the machine itself.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use outrider_platform::store::{AuditCheck, AuditMark};

use crate::cli::AuditCommand;
use crate::tokens::open;

/// Runs one of the commands; outrider may be running meanwhile.
pub async fn run(command: AuditCommand) -> anyhow::Result<()> {
    let AuditCommand::Verify { config, known } = command;
    let known: Vec<_> = known.iter().map(|text| mark(text)).collect::<Result<_, _>>()?;
    match open(&config.config).await?.verify_audit(&known).await? {
        AuditCheck::Whole { entries, first, heads } => {
            let mut out = std::io::stdout().lock();
            writeln!(out, "the audit log is whole: {entries} entries from number {first}")?;
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
