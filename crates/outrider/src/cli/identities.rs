//! Commands about who may come in: people, tokens, services, certificates.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArgument;

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and show it once.
    Create {
        #[command(flatten)]
        config: ConfigArgument,
        /// Who or what uses it.
        name: String,
        /// viewer, analyst, responder or admin.
        #[arg(long, default_value = "viewer")]
        role: String,
        /// What it is for.
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// How many days it works; without it, until it is revoked.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=3650))]
        days: Option<i64>,
        /// A gateway that it is for, by its name; several times for several. Without it, it is for all, and for what is about
        /// outrider itself.
        #[arg(long, value_name = "NAME")]
        gateway: Vec<String>,
    },
    /// List tokens; never the tokens themselves.
    List {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Revoke a token by name.
    Revoke {
        #[command(flatten)]
        config: ConfigArgument,
        /// The token's name.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Begin with a new key, and keep the one before it.
    ///
    /// Until the overlap is over a call says beside each new pseudonym of its credential, session, account, address and names what that
    /// was before. A collector takes the new key at its next start, or at `kill -HUP`. Copy the file to all that share the key.
    Rotate {
        #[command(flatten)]
        config: ConfigArgument,
        /// How many days calls carry both.
        #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(i64).range(0..=366))]
        overlap_days: i64,
    },
    /// Say which keys there are, by the digits that their pseudonyms begin with.
    List {
        #[command(flatten)]
        config: ConfigArgument,
    },
}

#[derive(Debug, Subcommand)]
pub enum PersonCommand {
    /// Add somebody. Their password is asked for, or read from standard input.
    Create {
        #[command(flatten)]
        config: ConfigArgument,
        /// What they sign in with.
        name: String,
        /// viewer, analyst, responder or admin.
        #[arg(long, default_value = "viewer")]
        role: String,
        /// How they are shown; their name without it.
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
    },
    /// List people.
    List {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Sign somebody out and let them in no more.
    Disable {
        #[command(flatten)]
        config: ConfigArgument,
        /// Their name.
        name: String,
    },
    /// Give somebody a new password, asked for or read from standard input, and let them in again.
    ResetPassword {
        #[command(flatten)]
        config: ConfigArgument,
        /// Their name.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Make an identity and show its token once.
    Create {
        #[command(flatten)]
        config: ConfigArgument,
        /// The service's name.
        name: String,
        /// collector, function or responder.
        #[arg(long)]
        kind: String,
        /// A gateway that it may speak for, by its name in the configurations; several times for several.
        #[arg(long, required = true, value_name = "NAME")]
        gateway: Vec<String>,
    },
    /// List services, and when each was heard from.
    List {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Revoke a service by name; it is let in no more.
    Revoke {
        #[command(flatten)]
        config: ConfigArgument,
        /// The service's name.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Make the authority: ca.pem and ca.key.
    Init {
        /// The directory for it.
        #[arg(long, value_name = "DIR", default_value = "ca")]
        dir: PathBuf,
        /// What it is called in certificates.
        #[arg(long, default_value = "outrider")]
        name: String,
        /// For how many days it is good.
        #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u16).range(1..=36500))]
        days: u16,
    },
    /// Issue a certificate with its key: for a server, or with --client for one that connects.
    Issue(CaIssueArguments),
}

#[derive(Debug, Args)]
pub struct CaIssueArguments {
    /// The host names and addresses under which a server is reached, or a client's name. The first names the files.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// The directory of the authority.
    #[arg(long, value_name = "DIR", default_value = "ca")]
    pub dir: PathBuf,
    /// For a collector or responder that shows it to the platform.
    #[arg(long)]
    pub client: bool,
    /// Where the two files go.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// For how many days it is good.
    #[arg(long, default_value_t = 397, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub days: u16,
}
