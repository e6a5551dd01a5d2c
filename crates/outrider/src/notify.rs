//! `outrider notify test`: one message to one destination, whether or not outrider is running.

use anyhow::Context as _;
use outrider_respond::notify::{Teller, Webhook};

use crate::cli::NotifyCommand;
use crate::config::{Config, NotifyConfig};
use crate::{installation, service, terminal};

/// Runs one of the commands.
pub async fn run(command: NotifyCommand) -> anyhow::Result<()> {
    let NotifyCommand::Test { config, name } = command;
    let path = config.config;
    let config = Config::load(&path)?;
    let wanted = config.notify.iter().find(|one| one.name() == name).with_context(|| {
        let known: Vec<_> = config.notify.iter().map(NotifyConfig::name).collect();
        match known.as_slice() {
            [] => format!("{} has no [[notify]] entry", path.display()),
            known => format!("{} has no [[notify]] entry `{name}`; there are {}", path.display(), known.join(", ")),
        }
    })?;
    let destination = wanted.destination()?;
    let webhook = Webhook::new(&destination.webhook)?;
    let installation = installation::known_id(&config.data_dir)?.unwrap_or_default();
    let now_ms = service::now_ms();
    let message = Teller { installation, evidence_age_max_ms: 0 }.test(&name, now_ms);
    webhook
        .deliver(&message.id, now_ms / 1000, &message.body)
        .await
        .with_context(|| format!("`{name}` did not take the message"))?;
    terminal::note(&format!("`{name}` took message {}", message.id));
    Ok(())
}
