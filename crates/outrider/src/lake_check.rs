//! `outrider lake`: looking after the lake's files, on the machine itself.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use outrider_lake::{CheckProgress, Checked, Damaged, Keeper, Location, Repaired, check};
use outrider_platform::store::AuditLog;
use serde_json::json;

use crate::ask::location_of;
use crate::cli::{LakeCheckArguments, LakeCommand};
use crate::config::Config;
use crate::{audit, local, terminal};

/// Runs one of the commands.
pub async fn run(command: LakeCommand) -> anyhow::Result<ExitCode> {
    let LakeCommand::Check(arguments) = command;
    let config = Config::load(&arguments.config.config)?;
    let location = location_of(&config)?;
    if arguments.repair && local::ask(&config.data_dir).await?.is_some() {
        bail!(
            "outrider runs in {}; stop it first, since a repair needs the lake for itself",
            config.data_dir.display()
        );
    }
    let checked = read_all(&location).await?;
    say(&checked, &arguments)?;
    if checked.damaged.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.repair {
        terminal::note(
            "copy these files out of a backup to where they were, and all is well; or stop outrider, and \
             `outrider lake check --repair` goes on without them",
        );
        return Ok(ExitCode::FAILURE);
    }
    let of_events: Vec<_> = checked.damaged.iter().filter(|file| file.table == "events").collect();
    let lost: u64 = of_events.iter().filter_map(|file| file.rows).sum();
    terminal::note(&match of_events.is_empty() {
        true => "a repair makes the other tables again for these days, of calls that are all there".to_owned(),
        false => format!(
            "a repair makes the other tables again for these days, and {lost} calls are missing in the lake from then on; files \
             of `events` are moved to `events/_damaged`"
        ),
    });
    if !arguments.yes && !terminal::is_confirmed()? {
        terminal::note("nothing was changed; run it with --yes to do this");
        return Ok(ExitCode::from(terminal::NOT_CONFIRMED));
    }
    let Repaired { calls_lost, files_set_aside, days } = Keeper::repair(&location, &checked.damaged).await?;
    let what = format!(
        "repaired the lake: {calls_lost} calls of {files_set_aside} files are missing, days made again: {days}"
    );
    audit::note(&config.data_dir, AuditLog::Decisions, &what, &location.to_string()).await;
    terminal::note(&what);
    Ok(ExitCode::SUCCESS)
}

async fn read_all(location: &Location) -> anyhow::Result<Checked> {
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::new(0),
        false => ProgressBar::hidden(),
    };
    let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes} read, {eta} left")?;
    bar.set_style(style);
    let mut tell = |progress: CheckProgress| {
        bar.set_length(progress.of_bytes);
        bar.set_position(progress.bytes);
    };
    let checked = check(location, &mut tell).await;
    bar.finish_and_clear();
    Ok(checked?)
}

fn say(checked: &Checked, arguments: &LakeCheckArguments) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let Checked { files, rows, damaged } = checked;
    if arguments.json {
        let damaged = damaged.iter().map(|Damaged { table, file, day, rows, why }| {
            json!({ "table": table, "file": file, "day": day, "rows": rows, "why": why })
        });
        let found = json!({ "files": files, "rows": rows, "damaged": damaged.collect::<Vec<_>>() });
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&found)?)?);
    }
    for Damaged { table, file, rows, why, .. } in damaged {
        let rows = rows.map_or_else(|| "an unknown number of".to_owned(), |rows| rows.to_string());
        writeln!(out, "{table}/{file} cannot be read: {why}; it had {rows} rows")?;
    }
    Ok(writeln!(out, "files: {files}, damaged: {}, rows in the others: {rows}", damaged.len())?)
}
