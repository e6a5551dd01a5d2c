//! `outrider token`: tokens made, listed and revoked on the machine itself, for whoever may read the data directory.

use std::io::Write as _;

use outrider_platform::store::{Role, Store};

use crate::cli::TokenCommand;
use crate::config::Config;
use crate::terminal;

/// Runs one of the commands; outrider may be running meanwhile.
pub async fn run(command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create { config, name, role } => {
            let role: Role = role.parse().map_err(|error: String| anyhow::anyhow!(error))?;
            let store = open(&config.config).await?;
            let token = store.create_token(&name, role, "command line", crate::service::now_ms()).await?;
            writeln!(std::io::stdout(), "{}", token.reveal())?;
            terminal::note("this token is not shown again");
        }
        TokenCommand::List { config } => {
            let store = open(&config.config).await?;
            let mut out = std::io::stdout().lock();
            for token in store.tokens().await? {
                let state = if token.revoked_ms.is_some() { "revoked" } else { "valid" };
                writeln!(out, "{:<24} {:<10} {state}", token.name, token.role.as_str())?;
            }
        }
        TokenCommand::Revoke { config, name } => {
            let store = open(&config.config).await?;
            store.revoke_token(&name, "command line", crate::service::now_ms()).await?;
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
        "{} does not exist; start `outrider run` or `outrider platform` once, it makes the store and the first token",
        file.display()
    );
    Ok(Store::open(&file).await?)
}
