//! `outrider erase`: asks for the erasure of somebody's data, on the machine itself, and shows the receipts.
//!
//! It asks and no more: whoever runs the data directory carries it out, and goes on with it over restarts.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use outrider_lake::{LakeError, LakeReader, QueryError};
use outrider_model::Subject;
use outrider_platform::store::{AuditLog, Erasure, ErasureState, PlaceState, Store};
use serde::Serialize;

use crate::ask::location_of;
use crate::cli::EraseArguments;
use crate::config::Config;
use crate::service::now_ms;
use crate::tokens::open;
use crate::{audit, local, terminal};

/// Receipts of a list.
const LISTED_MAX: u32 = 200;

/// Asks for an erasure, or shows receipts.
pub async fn erase(arguments: EraseArguments) -> anyhow::Result<ExitCode> {
    let store = open(&arguments.config.config).await?;
    if let Some(id) = &arguments.status {
        show(&store, id, arguments.json).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let subject: Subject = arguments.subject.unwrap_or_default().parse().map_err(anyhow::Error::msg)?;
    let config = Config::load(&arguments.config.config)?;
    let calls = calls_of(&config, &subject).await?;
    let known = store.known_of(&subject).await?;
    let (alerts, findings, actions) = (known.alerts, known.findings, known.actions);
    audit::note(&config.data_dir, AuditLog::Reads, "looked at what there is to erase", &subject.to_string()).await;
    terminal::note(&format!(
        "of {subject} there are {calls} calls in the lake, {alerts} alerts, {findings} findings and {actions} actions, of all \
         gateways; they go from lake, log, snapshots, control store and audit log, and cannot be brought back"
    ));
    if !arguments.yes && !terminal::is_confirmed()? {
        terminal::note("nothing was erased; run it with --yes to do this");
        return Ok(ExitCode::from(terminal::NOT_CONFIRMED));
    }
    let erasure = store.ask_erasure(&subject, "command line", now_ms()).await?;
    writeln!(std::io::stdout(), "{}", erasure.id)?;
    let when = match local::ask(&config.data_dir).await? {
        Some(_) => "it goes on in the running outrider",
        None => "no outrider runs here: it begins when one does",
    };
    terminal::note(&format!("{when}; `outrider erase --status {}` says how far it is", erasure.id));
    Ok(ExitCode::SUCCESS)
}

/// How many calls of somebody are committed. A name, or a pseudonym, is told from an id.
async fn calls_of(config: &Config, subject: &Subject) -> anyhow::Result<u64> {
    let location = location_of(config)?;
    if location.is_missing() {
        return Ok(0);
    }
    let reader = LakeReader::open(&location, None, config.lake.limits())?;
    let (kind, value) = (subject.kind.as_str(), &subject.value);
    match reader.id_meant(kind, value).await {
        Err(QueryError::Lake(LakeError::Missing { .. })) => Ok(0),
        Err(error) => Err(error.into()),
        Ok(Some(id)) => bail!("nobody is erased by a name, or by a pseudonym where there is an id: say `{kind}:{id}`"),
        Ok(None) => Ok(reader.count(kind, value).await?),
    }
}

async fn show(store: &Store, id: &str, as_json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if !id.is_empty() {
        let erasure = store.erasure(id).await?.with_context(|| format!("there is no erasure `{id}`"))?;
        return match as_json {
            true => Ok(writeln!(out, "{}", serde_json::to_string_pretty(&erasure)?)?),
            false => receipt(&mut out, &erasure),
        };
    }
    let erasures = store.erasures(LISTED_MAX, None).await?.items;
    if as_json {
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&erasures)?)?);
    }
    for erasure in erasures {
        let (id, kind, state) = (&erasure.id, erasure.kind, word(&erasure.state));
        writeln!(out, "{id}  {}  {state:<10} {kind:<10} {}", terminal::utc(erasure.asked_ms), erasure.reference)?;
    }
    Ok(())
}

fn receipt(out: &mut impl std::io::Write, erasure: &Erasure) -> anyhow::Result<()> {
    let Erasure { id, kind, reference, asked_by, .. } = erasure;
    writeln!(out, "erasure {id} of the {kind} {reference}")?;
    writeln!(out, "asked for by {asked_by} at {}", terminal::utc(erasure.asked_ms))?;
    match (erasure.state, erasure.done_ms, &erasure.reason) {
        (ErasureState::Done, Some(done_ms), _) => writeln!(out, "done at {}", terminal::utc(done_ms))?,
        (ErasureState::Refused, _, Some(reason)) => writeln!(out, "refused: {reason}")?,
        (state, ..) => writeln!(out, "{}", word(&state))?,
    }
    if let (Some(position), Some(at_ms)) = (erasure.position, erasure.forgotten_ms) {
        writeln!(out, "covers everything up to record {position} of the log, of {}", terminal::utc(at_ms))?;
    }
    for place in &erasure.places {
        let when = match (place.state, place.done_ms) {
            (PlaceState::Done, Some(done_ms)) => format!("gone at {}", terminal::utc(done_ms)),
            (state, _) => word(&state),
        };
        let counts: Vec<_> = place.counts.iter().map(|count| format!("{} {}", count.count, count.what)).collect();
        let counts = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
        writeln!(out, "\n{}: {when}{counts}\n  {}", word(&place.place), place.words)?;
    }
    Ok(())
}

/// The word that something has in JSON, as people write it.
fn word(value: &impl Serialize) -> String {
    let word = serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned));
    word.unwrap_or_default().replace('_', " ")
}
