//! The project's own checks, run as `cargo xtask tidy` and `cargo xtask deny`.
//!
//! They decide what neither the compiler nor clippy can see: which room may know which, what the pure rooms must not
//! touch, whether the documents are still true, and which licences and sources the dependencies may have. They change
//! nothing and download nothing. Each violation is one line: where, what, and what to do.

mod deny;
mod repository;
mod rust_source;
mod tidy;

use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::repository::{Repository, Violation};

const USAGE: &str = "usage: cargo xtask tidy   check the repository's own rules
       cargo xtask deny   check licences, bans and sources of all dependencies against deny.toml";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(violations) if violations.is_empty() => ExitCode::SUCCESS,
        Ok(violations) => {
            for violation in &violations {
                eprintln!("{violation}");
            }
            eprintln!("{} to mend", violations.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> anyhow::Result<Vec<Violation>> {
    // Read when it runs, not when it was built: one target directory may serve several checkouts.
    let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?;
    let root = std::path::Path::new(&manifest_dir).parent().context("the workspace has no directory")?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["tidy"] => tidy::run(&Repository::load(root)?),
        ["deny"] => deny::run(root),
        _ => bail!("{USAGE}"),
    }
}
