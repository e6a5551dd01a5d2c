//! `outrider token`: tokens made, listed and revoked on the machine itself, for whoever may read the data directory.

use std::io::Write as _;

use outrider_platform::store::{Role, Store, WantedToken};

use crate::cli::TokenCommand;
use crate::config::Config;
use crate::service::now_ms;
use crate::{installation, terminal};

const DAY_MS: i64 = 86_400_000;

/// Runs one of the commands; outrider may be running meanwhile.
pub async fn run(command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create { config, name, role, description, days, gateway: gateways } => {
            let role: Role = role.parse().map_err(|error: String| anyhow::anyhow!(error))?;
            let store = open(&config.config).await?;
            let now_ms = now_ms();
            let expires_ms = days.map(|days| now_ms + days * DAY_MS);
            let wanted = WantedToken { name, role, description, expires_ms, gateways };
            let token = store.make_token(&wanted, "command line", now_ms).await?;
            writeln!(std::io::stdout(), "{}", token.reveal())?;
            terminal::note("this token is not shown again");
        }
        TokenCommand::List { config } => {
            let store = open(&config.config).await?;
            let mut out = std::io::stdout().lock();
            for token in store.tokens().await? {
                let has_ended = token.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms());
                let state = match (token.revoked_ms, has_ended) {
                    (Some(_), _) => "revoked",
                    (None, true) => "expired",
                    (None, false) => "valid",
                };
                let (name, role, what) = (token.name, token.role.as_str(), token.description);
                let place =
                    if token.gateways.is_empty() { "all gateways".to_owned() } else { token.gateways.join(", ") };
                writeln!(out, "{name:<24} {role:<10} {state:<8} {place:<16} {what}")?;
            }
        }
        TokenCommand::Revoke { config, name } => {
            let store = open(&config.config).await?;
            store.revoke_token(&name, "command line", now_ms()).await?;
            terminal::note(&format!("token `{name}` is revoked"));
        }
    }
    Ok(())
}

/// The control store of an installation, which may be running.
pub async fn open(path: &std::path::Path) -> anyhow::Result<Store> {
    let config = Config::load(path)?;
    let file = config.data_dir.join("control.sqlite");
    anyhow::ensure!(
        file.exists(),
        "{} does not exist; start `outrider run` or `outrider platform` once, it makes the store",
        file.display()
    );
    anyhow::ensure!(
        installation::has_this_layout(&config.data_dir)?,
        "{} has the layout of an older outrider, which may still run there; start `outrider run` or `outrider platform` of this \
         version once, it brings the directory up to date (make a backup before)",
        config.data_dir.display()
    );
    Ok(Store::open(&file).await?)
}
