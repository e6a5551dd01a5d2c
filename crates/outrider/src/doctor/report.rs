//! What doctor says: checks with results, as text for people or JSON for scripts, and the exit status.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::{Serialize, Serializer};
use serde_json::json;

/// Something failed.
const SOMETHING_FAILED: u8 = 1;
/// There are warnings and nothing worse.
const WARNINGS_ONLY: u8 = 4;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which check it is.
    pub id: Id,
    /// What it is about: a gateway, a source, a file.
    pub subject: String,
    pub result: Outcome,
    /// What was seen.
    pub seen: String,
    /// What to do about it.
    pub todo: Option<String>,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It could not be looked at, because of something else.
    Skipped,
    Ok,
    Warning,
    Failed,
}

/// The checks, by hop. `docs/doctor.md` has a line for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Id {
    DataDirectory,
    DataSpace,
    DataGuardRails,
    DataSecret,
    DataGeo,
    AdminReachable,
    AdminVersion,
    AdminDatabase,
    AdminConsumers,
    AdminClock,
    AdminPropagation,
    LogPlugin,
    LogTarget,
    LogEnabled,
    LogShadowed,
    LogOnce,
    LogSecret,
    LinesArriving,
    LinesReadable,
    LinesTrusted,
    LinesClock,
    LinesAddresses,
    ProcessRunning,
    ProcessPlatform,
    ProcessDetectors,
    ProcessLake,
    ProcessDrops,
    ResponderState,
    ResponderRepairs,
    ResponderGuard,
    LinkCertificate,
    LinkPlatform,
    LinkClock,
    LinkSpool,
    LinkAccounts,
    LinkService,
    ProbeAnswer,
    ProbeLine,
}

impl Id {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Id::DataDirectory => "data.directory",
            Id::DataSpace => "data.space",
            Id::DataGuardRails => "data.guard_rails",
            Id::DataSecret => "data.secret",
            Id::DataGeo => "data.geo",
            Id::AdminReachable => "admin.reachable",
            Id::AdminVersion => "admin.version",
            Id::AdminDatabase => "admin.database",
            Id::AdminConsumers => "admin.consumers",
            Id::AdminClock => "admin.clock",
            Id::AdminPropagation => "admin.propagation",
            Id::LogPlugin => "log.plugin",
            Id::LogTarget => "log.target",
            Id::LogEnabled => "log.enabled",
            Id::LogShadowed => "log.shadowed",
            Id::LogOnce => "log.once",
            Id::LogSecret => "log.secret",
            Id::LinesArriving => "lines.arriving",
            Id::LinesReadable => "lines.readable",
            Id::LinesTrusted => "lines.trusted",
            Id::LinesClock => "lines.clock",
            Id::LinesAddresses => "lines.addresses",
            Id::ProcessRunning => "process.running",
            Id::ProcessPlatform => "process.platform",
            Id::ProcessDetectors => "process.detectors",
            Id::ProcessLake => "process.lake",
            Id::ProcessDrops => "process.drops",
            Id::ResponderState => "responder.state",
            Id::ResponderRepairs => "responder.repairs",
            Id::ResponderGuard => "responder.guard",
            Id::LinkCertificate => "link.certificate",
            Id::LinkPlatform => "link.platform",
            Id::LinkClock => "link.clock",
            Id::LinkSpool => "link.spool",
            Id::LinkAccounts => "link.accounts",
            Id::LinkService => "link.service",
            Id::ProbeAnswer => "probe.answer",
            Id::ProbeLine => "probe.line",
        }
    }

    /// What the check looks at, for people.
    fn hop(self) -> &'static str {
        match self.as_str().split('.').next() {
            Some("data") => "on disk",
            Some("admin") => "Admin API",
            Some("log") => "Kong's log plugins",
            Some("lines") => "what arrives",
            Some("process") => "outrider",
            Some("responder") => "blocks",
            Some("link") => "between services",
            _ => "probe",
        }
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Check {
    pub fn ok(id: Id, subject: &str, seen: impl Into<String>) -> Check {
        Check::new(id, subject, Outcome::Ok, seen.into(), None)
    }

    pub fn warning(id: Id, subject: &str, seen: impl Into<String>, todo: impl Into<String>) -> Check {
        Check::new(id, subject, Outcome::Warning, seen.into(), Some(todo.into()))
    }

    pub fn failed(id: Id, subject: &str, seen: impl Into<String>, todo: impl Into<String>) -> Check {
        Check::new(id, subject, Outcome::Failed, seen.into(), Some(todo.into()))
    }

    pub fn skipped(id: Id, subject: &str, why: &str) -> Check {
        Check::new(id, subject, Outcome::Skipped, why.to_owned(), None)
    }

    fn new(id: Id, subject: &str, result: Outcome, seen: String, todo: Option<String>) -> Check {
        Check { id, subject: subject.to_owned(), result, seen, todo }
    }
}

/// The worst that was found; what was skipped has its reason in another check.
pub fn worst(checks: &[Check]) -> Outcome {
    checks.iter().map(|check| check.result).max().unwrap_or(Outcome::Ok).max(Outcome::Ok)
}

/// The exit status.
pub fn exit_code(checks: &[Check]) -> ExitCode {
    match worst(checks) {
        Outcome::Failed => ExitCode::from(SOMETHING_FAILED),
        Outcome::Warning => ExitCode::from(WARNINGS_ONLY),
        Outcome::Ok | Outcome::Skipped => ExitCode::SUCCESS,
    }
}

/// The report as one JSON document.
pub fn to_json(checks: &[Check]) -> serde_json::Value {
    json!({"version": env!("CARGO_PKG_VERSION"), "result": worst(checks), "checks": checks})
}

/// The report for people: by hop, with what was seen and what to do.
pub fn to_text(checks: &[Check]) -> String {
    let mut text = String::new();
    let mut place = None;
    let mut at = 0;
    while let Some(check) = checks.get(at) {
        let here = (check.id.hop(), check.subject.as_str());
        if place != Some(here) {
            line(&mut text, &format!("{}: {}", here.0, here.1));
            place = Some(here);
        }
        at += 1;
        let word = match check.result {
            Outcome::Ok => "ok",
            Outcome::Warning => "warning",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "skipped",
        };
        let mut name = check.id.as_str().to_owned();
        if check.result == Outcome::Skipped {
            // One line says it for all that are skipped for the same reason.
            while let Some(next) = checks.get(at).filter(|next| {
                next.result == Outcome::Skipped && next.seen == check.seen && next.subject == check.subject
            }) {
                let _ = write!(name, ", {}", next.id.as_str());
                at += 1;
            }
        }
        line(&mut text, &format!("  {word:<8} {name:<18} {}", check.seen));
        if let Some(todo) = &check.todo {
            line(&mut text, &format!("           what to do: {todo}"));
        }
    }
    let count = |result| checks.iter().filter(|check| check.result == result).count();
    let counts = [Outcome::Failed, Outcome::Warning, Outcome::Ok, Outcome::Skipped].map(count);
    let [failed, warnings, ok, skipped] = counts;
    line(&mut text, &format!("{failed} failed, {warnings} warnings, {ok} ok, {skipped} skipped"));
    text
}

/// One line; what others wrote into it does not move the cursor.
fn line(text: &mut String, one: &str) {
    text.extend(one.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides_and_what_was_skipped_counts_for_nothing() {
        let ok = Check::ok(Id::DataSpace, "d", "much");
        let skipped = Check::skipped(Id::DataSecret, "d", "none");
        let warning = Check::warning(Id::AdminClock, "kong", "late", "set it");
        let failed = Check::failed(Id::LogPlugin, "kong", "none", "make one");
        let cases: [(&[&Check], u8, &str); 5] = [
            (&[], 0, "ok"),
            (&[&skipped], 0, "ok"),
            (&[&ok, &skipped], 0, "ok"),
            (&[&warning, &ok], 4, "warning"),
            (&[&failed, &warning], 1, "failed"),
        ];
        for (checks, code, word) in cases {
            let checks: Vec<Check> = checks.iter().copied().cloned().collect();
            assert_eq!(format!("{:?}", exit_code(&checks)), format!("{:?}", ExitCode::from(code)));
            assert_eq!(to_json(&checks)["result"], word);
        }
    }

    #[test]
    fn people_read_hops_and_what_to_do() {
        let checks = [
            Check::ok(Id::AdminReachable, "kong", "Kong \u{1b}[31m answers"),
            Check::failed(Id::LogPlugin, "kong", "there is none", "run it"),
            Check::skipped(Id::LogTarget, "kong", "no plugin"),
            Check::skipped(Id::LogEnabled, "kong", "no plugin"),
            Check::skipped(Id::LogTarget, "edge", "no plugin"),
        ];
        let expected = "Admin API: kong\n  ok       admin.reachable    Kong \u{fffd}[31m answers\n\
                        Kong's log plugins: kong\n  FAILED   log.plugin         there is none\n\
                        \u{20}          what to do: run it\n\
                        \u{20} skipped  log.target, log.enabled no plugin\n\
                        Kong's log plugins: edge\n  skipped  log.target         no plugin\n\
                        1 failed, 0 warnings, 1 ok, 3 skipped\n";
        assert_eq!(to_text(&checks), expected);
    }

    /// Every check has its line on the page, and the page names no other.
    #[test]
    fn the_page_explains_every_check() {
        let page = include_str!("../../../../docs/doctor.md");
        let rows = page.lines().filter_map(|row| row.strip_prefix("| `")?.split('`').next());
        let on_page: Vec<&str> = rows.filter(|name| name.contains('.')).collect();
        // The names stand in `as_str`, and nowhere else.
        let code = include_str!("report.rs");
        let in_code: Vec<&str> = code
            .lines()
            .filter_map(|row| row.trim().strip_prefix("Id::")?.split_once("=> \"")?.1.split('"').next())
            .collect();
        assert_eq!(on_page, in_code);
    }
}
