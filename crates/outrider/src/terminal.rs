//! What people read: notes and errors on standard error, what was asked for on standard output.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::Context as _;

/// The exit status where something would change, and nobody said yes.
pub const NOT_CONFIRMED: u8 = 3;
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

/// Asks whether to do what was shown. Where nobody is there to answer, nobody said yes.
pub fn is_confirmed() -> std::io::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    let mut out = std::io::stdout().lock();
    write!(out, "Do this? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Writes to standard output. Whoever closed it has seen enough.
pub fn out(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// A time as people read it, to the second.
pub fn utc(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|at| format!("{at:.0}")).unwrap_or_else(|_| format!("{ms} ms"))
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
