//! The arguments of what asks the lake: `outrider query`, `timeline` and `hunt`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArgument;

#[derive(Debug, Args)]
pub struct AskArguments {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// The data directory, in the place of a configuration; limits are then the usual ones.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub data_dir: Option<PathBuf>,
    /// How rows are written to standard output.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For reading, 10,000 rows at most.
    Table,
    /// With a header.
    Csv,
    /// An object a line.
    Json,
    /// A Parquet file.
    Parquet,
}

#[derive(Debug, Args)]
pub struct QueryArguments {
    #[command(flatten)]
    pub ask: AskArguments,
    /// One SELECT, EXPLAIN, SHOW or DESCRIBE.
    #[arg(value_name = "SQL")]
    pub statement: String,
}

#[derive(Debug, Args)]
pub struct TimelineArguments {
    #[command(flatten)]
    pub ask: AskArguments,
    /// Whose calls: the kind (consumer, credential, ip, network, session, business) and the id, such as `ip:192.0.2.7` or
    /// `business:merchant_id:4711`; a consumer's name will do.
    #[arg(value_name = "KIND:ID")]
    pub entity: String,
    /// How far back, such as 30m, 24h or 7d.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub last: String,
    /// Only calls at this gateway.
    #[arg(long, value_name = "NAME")]
    pub gateway: Option<String>,
    /// Rows at most.
    #[arg(long, value_name = "ROWS", default_value_t = 200)]
    pub rows: usize,
}

#[derive(Debug, Subcommand)]
pub enum HuntCommand {
    /// List hunts, and how the last run of each went.
    List {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Show one hunt with everything that is known of it, as JSON.
    Show {
        #[command(flatten)]
        config: ConfigArgument,
        /// The hunt's name.
        name: String,
    },
    /// Save a hunt, or change the one of the same name.
    ///
    /// What cannot be answered is refused. It runs from now on, without a restart.
    Add {
        #[command(flatten)]
        config: ConfigArgument,
        /// A TOML file with the hunt; `-` for standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Delete a hunt by name. The alerts that it raised stay.
    Remove {
        #[command(flatten)]
        config: ConfigArgument,
        /// The hunt's name.
        name: String,
    },
    /// Say what a hunt finds now. It raises nothing.
    ///
    /// Reads what is committed, over the calls of the hunt's `look_back`, or of `every`.
    Run {
        #[command(flatten)]
        config: ConfigArgument,
        /// The hunt's name.
        #[arg(required_unless_present = "file")]
        name: Option<String>,
        /// A TOML file with a hunt that is not saved, in the place of a name; `-` for standard input.
        #[arg(long, value_name = "FILE", conflicts_with = "name")]
        file: Option<PathBuf>,
    },
}
