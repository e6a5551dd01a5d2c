//! `outrider doctor`: proves each hop between Kong and outrider, and says in plain words what is wrong and what to do.
//!
//! [`facts`] looks and changes nothing; the other parts judge what was seen, one hop each, and are pure.

mod admin;
mod data;
mod facts;
mod file;
mod lines;
mod link;
mod log_plugin;
mod probe;
mod process;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;

pub use probe::parse_url;

use self::facts::{Facts, status_of};
use self::report::{Check, Id};
use crate::cli::DoctorArguments;
use crate::config::{Config, Role};
use crate::{service, terminal};

/// Doctor itself could not work: the configuration is not valid.
const CANNOT_LOOK: u8 = 2;

/// Runs it. The exit status says how everything is.
pub async fn doctor(arguments: DoctorArguments) -> anyhow::Result<ExitCode> {
    let config = match Config::load(&arguments.config.config) {
        Ok(config) => config,
        Err(error) => {
            terminal::error(&error);
            return Ok(ExitCode::from(CANNOT_LOOK));
        }
    };
    if matches!(config.roles().as_deref(), Ok([Role::Function])) {
        terminal::error(&anyhow::anyhow!(
            "{} is for a function, which keeps nothing that could be looked at here; its log and its answers say how it is, and \
             doctor at the platform whether its calls arrive",
            arguments.config.config.display()
        ));
        return Ok(ExitCode::from(CANNOT_LOOK));
    }
    let mut facts = facts::gather(&config, service::now_ms()).await;
    let mut probed = Vec::new();
    if let Some(url) = &arguments.probe {
        probed = probe::judge(&probe::probe(url, &facts, &config.data_dir).await?);
        // What the probe brought counts in what has arrived.
        facts.process = facts::ask_process(&config.data_dir).await;
    }
    let mut checks = judge(&facts);
    checks.extend(probed);
    let text = match arguments.json {
        true => format!("{:#}\n", report::to_json(&checks)),
        false => report::to_text(&checks),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(report::exit_code(&checks))
}

/// All checks, in the order of a call's way.
fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = data::judge(&facts.data, &facts.sources, facts.now_ms);
    for gateway in &facts.gateways {
        checks.extend(admin::judge(gateway));
        checks.extend(match facts.role {
            Role::Responder => log_plugin::elsewhere(&gateway.name),
            _ => log_plugin::judge(gateway, lines_came(facts, &gateway.name)),
        });
    }
    let known: BTreeSet<&str> = facts.gateways.iter().map(|gateway| gateway.name.as_str()).collect();
    let named: BTreeSet<&str> = facts.sources.iter().map(|source| source.gateway.as_str()).collect();
    let why = match facts.role {
        Role::Collector => "a collector takes its log alone; run doctor beside its responder",
        _ => {
            "no [[gateways]] entry has this name: outrider watches it by its log alone, and nobody can be blocked there"
        }
    };
    checks.extend(named.difference(&known).map(|name| Check::skipped(Id::AdminReachable, name, why)));
    checks.extend(lines::judge(facts));
    checks.extend(process::judge(facts));
    checks.extend(link::judge(facts));
    checks
}

/// Lines of this gateway arrived since outrider was started.
fn lines_came(facts: &Facts, gateway: &str) -> bool {
    let Ok(Some(status)) = &facts.process else { return false };
    let mut sources = facts.sources.iter().enumerate().filter(|(_, source)| source.gateway == gateway);
    sources.any(|(at, _)| status_of(status, &facts.sources, at).is_some_and(|source| source.counters.accepted > 0))
}
