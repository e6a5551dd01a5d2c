//! What a start of the platform finds, and what it writes into the log about it.

use std::path::Path;

use crate::analysis::{Analysis, AnalysisSettings};
use crate::clean_stop;
use crate::error::PlatformError;
use crate::log::{Gap, LogHandle, Missing, NewRecord, Position};
use crate::snapshots::Snapshots;

/// Finds the state to begin from: the newest snapshot that no consumer of the log is behind of.
pub(crate) fn recover(
    snapshots: &Snapshots,
    limit: Position,
    first: Position,
    installation: &str,
) -> Result<(Analysis, Position), PlatformError> {
    let (found, damaged) = snapshots.load_at_or_before(limit)?;
    for path in damaged {
        tracing::warn!(path = %path.display(), "a damaged snapshot was passed over");
    }
    match found {
        Some((position, state)) if position.next() >= first => {
            let directory = || snapshots.directory().to_owned();
            let analysis = Analysis::restore(&state)
                .map_err(|source| PlatformError::Restore { snapshots: directory(), source })?;
            for why in analysis.begun_anew() {
                tracing::warn!(%why, "what an older version has learnt is not read any more; it is learnt again from now on");
            }
            Ok((analysis, position))
        }
        None if first <= Position(1) => Ok((Analysis::new(installation, AnalysisSettings::default())?, Position::ZERO)),
        _ => Err(PlatformError::StateLost { snapshots: snapshots.directory().to_owned(), first }),
    }
}

/// Writes into the log what a start has to say: settings that changed, and what is missing since the last run.
pub(crate) async fn note_start(
    log: &LogHandle,
    data: &Path,
    wanted: &AnalysisSettings,
    restored: &AnalysisSettings,
    last: Position,
    now_ms: i64,
) -> Result<(), PlatformError> {
    let lost_calls = clean_stop::take(data)
        .map_err(|source| PlatformError::System { doing: "remove the clean-stop marker", source })?;
    let mut records = Vec::new();
    let (count, reason) = lost_calls.map_or((0, clean_stop::KILLED), |count| (count, clean_stop::DROPPED));
    if last > Position::ZERO && lost_calls != Some(0) {
        let gap = Gap { count, missing: Missing::Unnumbered, reason: reason.to_owned() };
        records.push(NewRecord::gap(now_ms, &gap)?);
    }
    // The newest settings may be in the part of the log that the snapshot does not cover, so a start that is not the
    // first always states its own; putting the same settings in force again changes nothing.
    if last > Position::ZERO || wanted != restored {
        records.push(NewRecord::settings(now_ms, wanted)?);
    }
    if !records.is_empty() {
        log.append(records).await?;
    }
    Ok(())
}
