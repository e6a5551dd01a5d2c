//! The arguments of `outrider endpoints` and `outrider openapi`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use outrider_model::Severity;

use super::ConfigArgument;

#[derive(Debug, Args)]
pub struct EndpointsArguments {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Only those of this service, by name or id.
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// Only those at this gateway.
    #[arg(long, value_name = "NAME")]
    pub gateway: Option<String>,
    /// How they are written to standard output.
    #[arg(long, value_enum, default_value_t = InventoryFormat::Table)]
    pub format: InventoryFormat,
}

/// How the inventory is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum InventoryFormat {
    /// For reading, with the most important.
    Table,
    /// With a header, and everything.
    Csv,
    /// An object a line, with everything.
    Json,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct OpenapiArguments {
    #[command(subcommand)]
    pub command: Option<OpenapiCommand>,
}

#[derive(Debug, Subcommand)]
pub enum OpenapiCommand {
    /// Write a service as an OpenAPI 3.1 document: what was seen of it, which need not be all that there is.
    Export(ServiceArguments),
    /// Give the document of a service, OpenAPI 3.0 or 3.1 in JSON or YAML; it takes the place of the one before.
    Import {
        #[command(flatten)]
        service: ServiceArguments,
        /// The document.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say how what was seen of a service differs from its document, and from the gateway's routes.
    ///
    /// Exit status: 0 if nothing differs but information, 1 after an error, 4 if something does.
    Diff(OpenapiDiffArguments),
}

#[derive(Debug, Args)]
pub struct ServiceArguments {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// The service, by name or id.
    #[arg(long, value_name = "SERVICE")]
    pub service: String,
    /// Its gateway, where several have such a service.
    #[arg(long, value_name = "NAME")]
    pub gateway: Option<String>,
}

#[derive(Debug, Args)]
pub struct OpenapiDiffArguments {
    #[command(flatten)]
    pub service: ServiceArguments,
    /// A document in the place of the one that was given.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only what is at least so grave: info, low, medium, high, critical.
    #[arg(long, value_name = "SEVERITY", default_value = "info", value_parser = severity)]
    pub severity_min: Severity,
    /// How differences are written to standard output.
    #[arg(long, value_enum, default_value_t = DriftFormat::Text)]
    pub format: DriftFormat,
}

/// How differences are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DriftFormat {
    /// A line each, for reading.
    Text,
    /// An object a line, with what shows it.
    Json,
}

pub(super) fn severity(text: &str) -> Result<Severity, String> {
    serde_json::from_value(text.into()).map_err(|_| "use info, low, medium, high or critical".to_owned())
}
