//! `outrider service`: the identities of collectors, functions and responders, made, listed and revoked on the platform's machine.

use std::io::Write as _;

use outrider_platform::store::Service;

use crate::cli::ServiceCommand;
use crate::edges::now_ms;
use crate::{terminal, tokens};

/// Runs one of the commands; the platform may be running meanwhile.
pub async fn run(command: ServiceCommand) -> anyhow::Result<()> {
    match command {
        ServiceCommand::Create { config, name, kind, gateway: gateways } => {
            let kind = kind.parse().map_err(|error: String| anyhow::anyhow!(error))?;
            let store = tokens::open(&config.config).await?;
            let token = store.create_service(&Service { name, kind, gateways }, "command line", now_ms()).await?;
            writeln!(std::io::stdout(), "{}", token.reveal())?;
            terminal::note("this token is not shown again; put it into the service's platform.token_file");
        }
        ServiceCommand::List { config } => {
            let store = tokens::open(&config.config).await?;
            let mut out = std::io::stdout().lock();
            for service in store.services().await? {
                let state = match (service.revoked_ms, service.seen_ms) {
                    (Some(_), _) => "revoked".to_owned(),
                    (None, None) => "never heard from".to_owned(),
                    (None, Some(seen_ms)) => format!("heard from {} s ago", (now_ms() - seen_ms).max(0) / 1000),
                };
                writeln!(
                    out,
                    "{:<24} {:<10} {:<24} {state}",
                    service.name,
                    service.kind.as_str(),
                    service.gateways.join(",")
                )?;
            }
        }
        ServiceCommand::Revoke { config, name } => {
            let store = tokens::open(&config.config).await?;
            store.revoke_service(&name, "command line", now_ms()).await?;
            terminal::note(&format!("service `{name}` is revoked"));
        }
    }
    Ok(())
}
