//! Commands for the premises: they need the data directory and the gateway, not the platform.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use outrider_collect::{Domain, PseudonymKey};
use outrider_respond::gateways::kong::{AdminClient, StateFiles, list_own, release_all as release};

use crate::config::Config;
use crate::installation;
use crate::terminal;

/// A value in hand may be this long.
const VALUE_BYTES_MAX: u64 = 64 * 1024;

/// Takes everything of ours off every gateway of the configuration.
pub async fn release_all(path: PathBuf, dry_run: bool) -> anyhow::Result<()> {
    let config = Config::load(&path)?;
    anyhow::ensure!(!config.gateways.is_empty(), "{} names no gateways", path.display());
    let installation_id = installation::id(&config.data_dir)?;
    let mut failures = 0;
    for gateway in &config.gateways {
        let name = &gateway.name;
        let admin = AdminClient::new(&gateway.admin()).with_context(|| format!("gateway `{name}`"))?;
        if dry_run {
            let own = list_own(&admin, &installation_id).await.with_context(|| format!("gateway `{name}`"))?;
            for plugin in &own {
                terminal::note(&format!("gateway `{name}`: would delete plugin {}", plugin.id));
            }
            terminal::note(&format!("gateway `{name}`: {} plugins of ours; nothing was changed", own.len()));
            continue;
        }
        let files = StateFiles::new(&config.data_dir.join("responder"), name)?;
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} plugins released") {
            bar.set_style(style);
        }
        let done = release(Arc::new(admin), &installation_id, &files, "release-all on the command line", |step| {
            bar.set_length(step.found as u64);
            bar.set_position(step.released as u64);
        })
        .await
        .with_context(|| format!("gateway `{name}`"))?;
        bar.finish_and_clear();
        terminal::note(&format!("gateway `{name}`: {} plugins released", done.released.len()));
        for id in &done.left_alone {
            terminal::note(&format!("gateway `{name}`: plugin {id} lost our tags and was left alone"));
        }
        for (id, error) in &done.failed {
            terminal::note(&format!("gateway `{name}`: plugin {id} is still there: {error}"));
        }
        failures += done.failed.len();
    }
    if !dry_run {
        terminal::note("responders hold back until `outrider responder resume`");
    }
    anyhow::ensure!(failures == 0, "{failures} plugins are still there; run it again");
    Ok(())
}

/// Ends the hold that release-all began.
pub fn resume(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    for gateway in &config.gateways {
        let files = StateFiles::new(&config.data_dir.join("responder"), &gateway.name)?;
        files.lift_hold()?;
        terminal::note(&format!("gateway `{}`: the responder acts again", gateway.name));
    }
    Ok(())
}

/// Converts a value in hand, read from standard input, to the pseudonym that the lake and the alerts show.
pub fn pseudonym(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let key_path = config.data_dir.join("pseudonym.key");
    anyhow::ensure!(
        key_path.exists(),
        "{} does not exist; no call has been seen with this installation",
        key_path.display()
    );
    let key = PseudonymKey::load_or_create(&key_path)?;
    let mut value = String::new();
    let mut input = std::io::stdin().lock().take(VALUE_BYTES_MAX);
    input.read_to_string(&mut value).context("cannot read the value from standard input")?;
    let value = value.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(!value.is_empty(), "no value came on standard input");
    let mut out = std::io::stdout().lock();
    writeln!(out, "credential {}", key.pseudonym(Domain::Credential, value.as_bytes()))?;
    writeln!(out, "session    {}", key.pseudonym(Domain::Session, value.as_bytes()))?;
    Ok(())
}
