//! `outrider person`: people added, listed and changed on the machine itself, for whoever may read the data directory. This
//! is also the way back in when nobody knows an admin's password any more.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, ensure};
use outrider_platform::passwords::{Password, Passwords};
use outrider_platform::store::{NewPerson, PersonChange, Role};

use crate::cli::PersonCommand;
use crate::service::now_ms;
use crate::terminal;
use crate::tokens::open;

/// Who the audit log says it was.
const BY: &str = "command line";

/// Runs one of the commands; outrider may be running meanwhile.
pub async fn run(command: PersonCommand) -> anyhow::Result<()> {
    match command {
        PersonCommand::Create { config, name, role, display_name } => {
            let role: Role = role.parse().map_err(|error: String| anyhow::anyhow!(error))?;
            let store = open(&config.config).await?;
            let hash = Passwords::default().hash(read_password(&name)?).await?;
            let person = NewPerson { name, display_name: display_name.unwrap_or_default(), role };
            store.create_person(&person, &hash, BY, now_ms()).await?;
            terminal::note(&format!("`{}` may sign in as {role}", person.name));
        }
        PersonCommand::List { config } => {
            let mut out = std::io::stdout().lock();
            for person in open(&config.config).await?.people().await? {
                let state = if person.disabled_ms.is_some() { "disabled" } else { "enabled" };
                let how = if person.issuer.is_some() { "identity provider" } else { "password" };
                let (name, role, shown) = (person.name, person.role.as_str(), person.display_name);
                writeln!(out, "{name:<24} {role:<10} {state:<9} {how:<18} {shown}")?;
            }
        }
        PersonCommand::Disable { config, name } => {
            open(&config.config).await?.change_person(&name, &[PersonChange::Disable], BY, now_ms()).await?;
            terminal::note(&format!("`{name}` may not sign in any more, and is signed out"));
        }
        PersonCommand::ResetPassword { config, name } => {
            let store = open(&config.config).await?;
            ensure!(store.person(&name).await?.is_some(), "there is nobody named `{name}`");
            let hash = Passwords::default().hash(read_password(&name)?).await?;
            let changes = [PersonChange::Password(hash), PersonChange::Enable];
            store.change_person(&name, &changes, BY, now_ms()).await?;
            terminal::note(&format!("`{name}` has a new password, may sign in, and is signed out everywhere"));
        }
    }
    Ok(())
}

/// A password from the terminal, where it is not shown and asked for twice, or the first line of standard input.
fn read_password(name: &str) -> anyhow::Result<Password> {
    let text = if std::io::stdin().is_terminal() {
        let first = rpassword::prompt_password(format!("password for {name}: ")).context("cannot read the password")?;
        let again = rpassword::prompt_password("again: ").context("cannot read the password")?;
        ensure!(first == again, "the two passwords differ; nothing was changed");
        first
    } else {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).context("cannot read the password from standard input")?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    let password = Password::from(text);
    password.check()?;
    Ok(password)
}
