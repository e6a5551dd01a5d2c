//! Commands for the premises: they need the data directory and the gateway, not the platform.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use outrider_collect::{Domain, PseudonymKey};
use outrider_platform::store::AuditLog;
use outrider_respond::gateways::kong::{AdminClient, StateFiles, list_own, release_all as release};

use crate::config::{Config, GatewayConfig};
use crate::{audit, installation, terminal};

/// What the hold says.
const RELEASE_REASON: &str = "release-all on the command line";
/// A value in hand may be this long.
const VALUE_BYTES_MAX: u64 = 64 * 1024;

/// Takes everything of ours off every gateway of the configuration. One that cannot be reached keeps no other waiting.
pub async fn release_all(path: PathBuf, dry_run: bool) -> anyhow::Result<()> {
    let config = Config::load(&path)?;
    anyhow::ensure!(!config.gateways.is_empty(), "{} names no gateways", path.display());
    let installation = installation::known_id(&config.data_dir)?.with_context(|| {
        format!(
            "{} holds no installation, so it is not known which plugins are ours; name the configuration of the one that \
             made them with --config",
            config.data_dir.display()
        )
    })?;
    let mut failed = Vec::new();
    for gateway in &config.gateways {
        let outcome = match dry_run {
            true => list_gateway(gateway, &installation).await,
            false => release_gateway(&config, gateway, &installation).await,
        };
        if !dry_run {
            let what = if outcome.is_ok() { "released all" } else { "released all, not to its end" };
            audit::note(&config.data_dir, AuditLog::Decisions, what, &gateway.name).await;
        }
        if let Err(error) = outcome {
            terminal::note(&format!("gateway `{}`: {error:#}", gateway.name));
            failed.push(gateway.name.as_str());
        }
    }
    if !dry_run {
        terminal::note("responders hold back until `outrider responder resume`");
    }
    anyhow::ensure!(failed.is_empty(), "not everything was done at {}; run it again", failed.join(", "));
    Ok(())
}

async fn list_gateway(gateway: &GatewayConfig, installation: &str) -> anyhow::Result<()> {
    let own = list_own(&AdminClient::new(&gateway.admin())?, installation).await?;
    for plugin in &own {
        terminal::note(&format!("gateway `{}`: would delete plugin {}", gateway.name, plugin.id));
    }
    terminal::note(&format!("gateway `{}`: {} plugins of ours; nothing was changed", gateway.name, own.len()));
    Ok(())
}

async fn release_gateway(config: &Config, gateway: &GatewayConfig, installation: &str) -> anyhow::Result<()> {
    let name = &gateway.name;
    let files = StateFiles::new(&config.data_dir.join("responder"), name)?;
    // First of all, and whether or not the gateway can be reached: nothing new is brought to it.
    files.hold(RELEASE_REASON)?;
    let admin = Arc::new(AdminClient::new(&gateway.admin())?);
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} plugins released") {
        bar.set_style(style);
    }
    let done = release(admin, installation, &files, RELEASE_REASON, |step| {
        bar.set_length(step.found as u64);
        bar.set_position(step.released as u64);
    })
    .await?;
    bar.finish_and_clear();
    terminal::note(&format!("gateway `{name}`: {} plugins released", done.released.len()));
    for id in &done.left_alone {
        terminal::note(&format!("gateway `{name}`: plugin {id} lost our tags and was left alone"));
    }
    for (id, error) in &done.failed {
        terminal::note(&format!("gateway `{name}`: plugin {id} is still there: {error}"));
    }
    anyhow::ensure!(done.failed.is_empty(), "{} plugins are still there", done.failed.len());
    Ok(())
}

/// Ends the hold that release-all began.
pub async fn resume(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    for gateway in &config.gateways {
        let files = StateFiles::new(&config.data_dir.join("responder"), &gateway.name)?;
        files.lift_hold()?;
        audit::note(&config.data_dir, AuditLog::Decisions, "resumed the responder", &gateway.name).await;
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
    // Calls from before a rotation have the pseudonyms of a former key.
    for key in key.with_former() {
        writeln!(out, "credential {}", key.pseudonym(Domain::Credential, value.as_bytes()))?;
        writeln!(out, "session    {}", key.pseudonym(Domain::Session, value.as_bytes()))?;
        let personal = key.personal("", value);
        let telephone = key.personal("phone", value);
        writeln!(out, "personal   {personal}")?;
        if telephone != personal {
            writeln!(out, "telephone  {telephone}")?;
        }
        if let Ok(address) = value.parse() {
            writeln!(out, "address    {}", key.address(address))?;
        }
    }
    Ok(())
}
