//! The arguments of `outrider posture`.

use clap::{Args, Subcommand};
use outrider_model::{Severity, WeaknessId};

use super::ConfigArgument;
use super::apis::severity;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct PostureArguments {
    #[command(subcommand)]
    pub command: Option<PostureCommand>,
    #[command(flatten)]
    pub list: WeaknessesArguments,
}

#[derive(Debug, Args)]
pub struct WeaknessesArguments {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Only those that stand so; several with commas between them.
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_enum, default_values_t = [Standing::Open])]
    pub state: Vec<Standing>,
    /// Only those that are at least so grave: info, low, medium, high, critical.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    pub severity: Option<Severity>,
    /// Only those of this service, by name or id.
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// Only those at this gateway.
    #[arg(long, value_name = "NAME")]
    pub gateway: Option<String>,
    /// Only those of this check.
    #[arg(long, value_name = "CHECK")]
    pub check: Option<String>,
    /// Write an object a line, with everything.
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Write a table with a header, with everything.
    #[arg(long)]
    pub csv: bool,
}

/// How it stands with a weakness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Standing {
    /// It is there.
    Open,
    /// It is there, and left for a while.
    Excepted,
    /// It is there no longer.
    Fixed,
}

#[derive(Debug, Subcommand)]
pub enum PostureCommand {
    /// Leave a weakness for a while, and say why. A running outrider decides within some seconds, any other when it runs again.
    Except {
        #[command(flatten)]
        config: ConfigArgument,
        /// The weakness, such as wk_0123456789abcdef.
        #[arg(value_name = "ID")]
        id: WeaknessId,
        /// Until when: a day such as 2026-12-31, a moment such as 2026-12-31T12:00:00Z, or how long from now, such as 30d.
        #[arg(long, value_name = "WHEN")]
        until: String,
        /// Why.
        #[arg(long, value_name = "WORDS")]
        reason: String,
    },
    /// Take the exception of a weakness back.
    Withdraw {
        #[command(flatten)]
        config: ConfigArgument,
        /// The weakness.
        #[arg(value_name = "ID")]
        id: WeaknessId,
    },
    /// Write the checks: what each finds, how grave that is, and its id in the OWASP API Security Top 10 of 2023.
    Checks {
        /// The page of one check.
        #[arg(value_name = "CHECK")]
        check: Option<String>,
    },
}
