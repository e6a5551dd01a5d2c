//! What is wrong at the edges: sources that turn calls away, responders that cannot do their work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use outrider_collect::{Counters, CountersSnapshot, Refusal};
use outrider_model::{Concern, NoticeKind};
use outrider_platform::watcher::{ConcernSource, HELD_MS, Rising};
use outrider_respond::gateways::kong::ResponderStatus;
use tokio::sync::watch;

/// Failures in a row after which a gateway is not just restarting: about a quarter of a minute.
const ATTEMPTS_TOLD: u32 = 6;

/// How long it may be between two lines that a file source could not store, for them to be one trouble: it tries again each second.
const NOT_STORED_APART_MS: i64 = 60_000;

/// Looks at sources and responders of this process.
pub struct EdgeConcerns {
    sources: Vec<(String, Arc<Counters>)>,
    responders: Vec<(String, watch::Receiver<ResponderStatus>)>,
    turned_away: Mutex<BTreeMap<String, TurnedAway>>,
}

/// What is remembered of a source.
#[derive(Debug, Default)]
struct TurnedAway {
    all: Rising,
    /// Lines of a file that were not stored. They stay in it, so that is trouble only where it lasts.
    not_stored: Rising,
    not_stored_since_ms: Option<i64>,
    /// Rotated files that were not read to their end.
    given_up_files: Rising,
}

impl TurnedAway {
    /// For how long lines of a file have not been stored, if they are not.
    fn not_stored_for_ms(&mut self, count: u64, now_ms: i64) -> Option<i64> {
        if self.not_stored.look(count, now_ms, NOT_STORED_APART_MS).is_none() {
            self.not_stored_since_ms = None;
            return None;
        }
        Some(now_ms - *self.not_stored_since_ms.get_or_insert(now_ms))
    }
}

impl EdgeConcerns {
    pub fn new(
        sources: Vec<(String, Arc<Counters>)>,
        responders: Vec<(String, watch::Receiver<ResponderStatus>)>,
    ) -> Self {
        EdgeConcerns { sources, responders, turned_away: Mutex::default() }
    }
}

impl ConcernSource for EdgeConcerns {
    fn concerns(&self, now_ms: i64) -> Vec<Concern> {
        let mut turned_away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        let mut concerns = Vec::new();
        for (name, counters) in &self.sources {
            let before = turned_away.entry(name.clone()).or_default();
            let counters = counters.snapshot();
            concerns.extend(of_files(name, &counters, before, now_ms));
            concerns.extend(of_source(name, &counters, before, now_ms));
        }
        concerns
            .extend(self.responders.iter().filter_map(|(name, status)| of_responder(name, &status.borrow(), now_ms)));
        concerns
    }
}

/// Whether lines of a source that reads a file are gone with a rotated one.
fn of_files(name: &str, counters: &CountersSnapshot, before: &mut TurnedAway, now_ms: i64) -> Option<Concern> {
    let given_up = counters.file.as_ref()?.given_up_files;
    before.given_up_files.look(given_up, now_ms, HELD_MS).map(|count| Concern {
        kind: NoticeKind::CallsDropped,
        subject: name.to_owned(),
        since_ms: now_ms,
        detail: format!("{count} rotated files were not read to their end, so their last lines are missing"),
        remedy:
            "rotate less often, and keep a rotated file until it is read; look at outrider's own log, which says why"
                .to_owned(),
    })
}

/// Whether a source turned something away lately, or cannot read its file.
fn of_source(name: &str, counters: &CountersSnapshot, before: &mut TurnedAway, now_ms: i64) -> Option<Concern> {
    let count_of = |refusal: &Refusal| counters.refused.get(refusal.as_str()).copied().unwrap_or(0);
    let not_stored = count_of(&Refusal::NotStored);
    let is_file = counters.file.is_some();
    let not_stored_for_ms = before.not_stored_for_ms(if is_file { not_stored } else { 0 }, now_ms);
    if let Some(problem) = counters.file.as_ref().and_then(|file| file.problem.as_ref()) {
        return Some(Concern {
            kind: NoticeKind::CollectorFailing,
            subject: name.to_owned(),
            since_ms: now_ms,
            detail: format!("the log cannot be read, or not be noted how far it is: {problem}"),
            remedy: "let outrider's user read the file and its directory; look at the disk of data_dir".to_owned(),
        });
    }
    let disagreeing: u64 = counters.connections_refused.values().sum();
    let connections = counters.connections_over_limit + counters.connections_not_allowed + disagreeing;
    if not_stored_for_ms.is_some_and(|for_ms| for_ms >= HELD_MS) {
        return Some(Concern {
            kind: NoticeKind::CollectorFailing,
            subject: name.to_owned(),
            since_ms: now_ms,
            detail: "lines could not be stored for a while, and wait in the file".to_owned(),
            remedy: "look at the disk and at outrider's own log; rotate no file away meanwhile".to_owned(),
        });
    }
    // Of requests, those that no sending again helps, or that show trouble behind the source.
    let refused = [Refusal::NotHttp, Refusal::Unauthorized, Refusal::TooLarge, Refusal::Busy];
    let refused = refused.iter().map(count_of).sum::<u64>() + if is_file { 0 } else { not_stored };
    let count = counters.dropped_total() + connections + counters.accept_errors + refused;
    before.all.look(count, now_ms, HELD_MS).map(|count| Concern {
        kind: NoticeKind::CollectorFailing,
        subject: name.to_owned(),
        since_ms: now_ms,
        detail: format!("{count} calls, connections or requests were turned away; the counters of the source say why"),
        remedy:
            "look at `sources` in the status: too many connections, an address that is not allowed, TLS on one side alone, a \
             request without the secret, or a full queue"
                .to_owned(),
    })
}

/// The gravest of what is wrong with a responder.
fn of_responder(gateway: &str, status: &ResponderStatus, now_ms: i64) -> Option<Concern> {
    let failure = status.failure.as_ref().filter(|_| status.attempt >= ATTEMPTS_TOLD);
    let (detail, remedy) = if let Some(failure) = failure {
        (format!("{} tries in a row failed: {failure}", status.attempt), "look at the gateway's Admin API")
    } else if let Some(problem) = &status.guard_problem {
        (problem.clone(), "mend the guard rails' file; until then it brings nothing new to the gateway")
    } else if let Some(held) = &status.held {
        (format!("it holds back: {held}"), "run `outrider responder resume` when it may act again")
    } else {
        return None;
    };
    Some(Concern {
        kind: NoticeKind::ResponderFailing,
        subject: gateway.to_owned(),
        since_ms: now_ms,
        detail,
        remedy: remedy.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use outrider_collect::FileSeen;
    use outrider_model::FailureReason;

    use super::*;

    #[test]
    fn a_source_is_told_of_while_it_turns_something_away() {
        let before = CountersSnapshot { accept_errors: 9, ..CountersSnapshot::default() };
        type Edit = fn(&mut CountersSnapshot);
        let cases: [(Edit, Option<&str>); 8] = [
            (|_| {}, None),
            (|c| c.connections_over_limit += 2, Some("2 calls, connections or requests")),
            (|c| c.connections_not_allowed += 3, Some("3 calls, connections or requests")),
            (|c| c.dropped.extend([("queue_full".to_owned(), 5)]), Some("5 calls, connections or requests")),
            (
                |c| c.connections_refused.extend([("tls_to_plain".to_owned(), 8)]),
                Some("8 calls, connections or requests"),
            ),
            (|c| c.accept_errors += 4, Some("4 calls, connections or requests")),
            (|c| c.refused.extend([("unauthorized".to_owned(), 6)]), Some("6 calls, connections or requests")),
            (|c| c.refused.extend([("under_way".to_owned(), 7)]), None),
        ];
        for (edit, expected) in cases {
            let (mut rising, mut now) = (TurnedAway::default(), before.clone());
            assert_eq!(of_source("a", &now, &mut rising, 1), None, "what was before the first look is not news");
            edit(&mut now);
            let found = of_source("a", &now, &mut rising, 2);
            assert_eq!(found.is_some(), expected.is_some(), "{now:?}");
            assert!(found.unwrap_or_else(nothing).detail.contains(expected.unwrap_or_default()), "{now:?}");
            assert_eq!(of_source("a", &now, &mut rising, 2 + HELD_MS), None, "and it ends");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_of_and_one_that_is_not_there_yet_is_not() {
        let denied = FileSeen { problem: Some("Permission denied".to_owned()), ..FileSeen::default() };
        let missing = FileSeen { is_missing: true, ..FileSeen::default() };
        for (file, expected) in [(denied, true), (missing, false)] {
            let counters = CountersSnapshot { file: Some(file), ..CountersSnapshot::default() };
            let found = of_source("a", &counters, &mut TurnedAway::default(), 1);
            assert_eq!(found.is_some(), expected, "{counters:?}");
            assert!(found.is_none_or(|concern| concern.detail.contains("Permission denied")));
        }
    }

    #[test]
    fn lines_that_are_gone_with_a_rotated_file_are_a_gap() {
        let counters = |given_up_files| {
            let file = FileSeen { given_up_files, ..FileSeen::default() };
            CountersSnapshot { file: Some(file), ..CountersSnapshot::default() }
        };
        let mut before = TurnedAway::default();
        assert_eq!(of_files("a", &counters(1), &mut before, 1), None, "what was before the first look is not news");
        let found = of_files("a", &counters(3), &mut before, 2).unwrap();
        assert_eq!(found.kind, NoticeKind::CallsDropped);
        assert!(found.detail.starts_with("2 rotated files"), "{}", found.detail);
        assert_eq!(of_files("a", &counters(3), &mut before, 2 + HELD_MS), None, "and it ends");
        assert_eq!(of_files("a", &CountersSnapshot::default(), &mut before, 3), None);
    }

    #[test]
    fn lines_of_a_file_that_are_not_stored_are_told_of_when_that_lasts() {
        let counters = |not_stored: u64, is_file: bool| CountersSnapshot {
            file: is_file.then(FileSeen::default),
            refused: [("not_stored".to_owned(), not_stored)].into(),
            ..CountersSnapshot::default()
        };
        let mut before = TurnedAway::default();
        let minutes = |minutes: i64| minutes * 60_000;
        // It fails at each look, half a minute apart, but for a pause from the fifth minute to the seventh.
        let mut count = 0;
        for look in 0..60 {
            let at_ms = look * 30_000;
            count += u64::from(!(minutes(5)..minutes(7)).contains(&at_ms));
            let found = of_source("a", &counters(count, true), &mut before, at_ms);
            assert_eq!(found.is_some(), at_ms >= minutes(7) + HELD_MS, "{at_ms}");
        }
        // A sender who waits for an answer is turned away at once.
        let mut before = TurnedAway::default();
        assert_eq!(of_source("a", &counters(1, false), &mut before, 1), None);
        assert!(of_source("a", &counters(2, false), &mut before, 2).is_some());
    }

    fn nothing() -> Concern {
        let (kind, text) = (NoticeKind::CollectorFailing, String::new);
        Concern { kind, subject: text(), since_ms: 0, detail: text(), remedy: text() }
    }

    /// The text of all sources below a directory, without what tests of their own are.
    fn sources_below(directory: &Path, text: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources_below(&path, text);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
                let whole = std::fs::read_to_string(&path).unwrap();
                text.push_str(whole.split("#[cfg(test)]").next().unwrap_or_default());
            }
        }
    }

    #[test]
    fn every_kind_of_notice_is_said_by_somebody_and_explained() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut text = String::new();
        for room in ["outrider", "platform"] {
            sources_below(&crates.join(room).join("src"), &mut text);
        }
        let page = include_str!("../../../docs/notify.md");
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
        for kind in NoticeKind::ALL {
            assert!(text.contains(&format!("NoticeKind::{kind:?}")), "nobody says {kind:?}");
            let name = format!("`{}`", kind.as_str());
            let is_explained = rows.iter().any(|row| row.split('|').nth(1).is_some_and(|kinds| kinds.contains(&name)));
            assert!(is_explained, "docs/notify.md has no row for {name}");
        }
    }

    #[test]
    fn a_responder_is_told_of_when_it_cannot_work_for_a_while() {
        let failing = |attempt| ResponderStatus {
            failure: Some(FailureReason::ReadOnlyGateway),
            attempt,
            ..ResponderStatus::default()
        };
        let held = ResponderStatus { held: Some("release-all".to_owned()), ..ResponderStatus::default() };
        let guard = ResponderStatus { guard_problem: Some("line 3: no".to_owned()), ..ResponderStatus::default() };
        let cases = [
            (ResponderStatus::default(), None),
            (failing(ATTEMPTS_TOLD - 1), None),
            (failing(ATTEMPTS_TOLD), Some("without a database")),
            (held, Some("release-all")),
            (guard, Some("line 3")),
        ];
        for (status, expected) in cases {
            let found = of_responder("kong", &status, 1);
            let is_right = match (&found, expected) {
                (None, None) => true,
                (Some(concern), Some(words)) => concern.detail.contains(words),
                _ => false,
            };
            assert!(is_right, "{status:?}: {found:?}");
        }
    }
}
