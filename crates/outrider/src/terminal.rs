//! What people and service managers read: notes and errors on standard error, the program's log.

use std::io::{IsTerminal as _, Write as _};

use tracing_subscriber::EnvFilter;

/// Names of a list that are written out.
const NAMED_MAX: usize = 10;

/// One line to the person at the terminal.
pub fn note(text: &str) {
    line(&format!("outrider: {text}"));
}

/// Why a command failed, with every cause.
pub fn error(error: &anyhow::Error) {
    line(&format!("outrider: error: {error:#}"));
}

fn line(text: &str) {
    // Whoever closed standard error does not want to read it.
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// Logs to standard error: our own parts from info on, libraries from warnings on, unless `RUST_LOG` says otherwise. One
/// JSON object a line if asked for.
pub fn start_logging(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,outrider=info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started =
        if json { builder.json().try_init() } else { builder.with_ansi(std::io::stderr().is_terminal()).try_init() };
    // A second start in one process keeps the first one's logger, which is as good.
    drop(started);
}

/// The first few names of a list, and how many more there are.
pub fn some_of<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> String {
    let names: Vec<N> = names.into_iter().collect();
    let shown = names.iter().take(NAMED_MAX).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "none".to_owned(),
        all if all > NAMED_MAX => format!("{shown} and {} more", all - NAMED_MAX),
        _ => shown,
    }
}
