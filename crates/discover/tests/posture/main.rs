//! The contract of every posture check: what is weak is found, what looks like it is not, and nothing but what was told decides.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod exceptions;
mod life;
mod limits;
mod score;
#[path = "../support/mod.rs"]
mod support;
mod well_configured;

use outrider_discover::posture::checks::{self, ALL};
use outrider_discover::posture::{Posture, Settings, SnapshotError, Weakness, Why};
use outrider_model::WeaknessId;
use support::samples::{Run, Sample, parse, samples_of};

const MINUTES_OF_AN_HOUR: i64 = 60 * 60_000;

fn run_of(settings: Settings) -> Run {
    settings.validate().unwrap();
    Run::new(settings)
}

/// Goes on with further lines of a sample; a first one with `why` is its head.
fn at(run: &mut Run, lines: &[String]) {
    let is_head = lines.first().is_some_and(|line| line.contains("\"why\""));
    let head = if is_head { "" } else { "{\"why\": \"\"}\n" };
    run.sample(&parse("lines", &format!("{head}{}", lines.join("\n"))), |_, _| {});
}

/// What a check has found, of which there is one.
fn one(run: &Run, check: &str) -> Weakness {
    let found: Vec<&Weakness> = run.posture.weaknesses().filter(|weakness| weakness.check == check).collect();
    assert_eq!(found.len(), 1, "{check}: {found:?}");
    found[0].clone()
}

/// All that is open.
fn open(run: &Run) -> Vec<Weakness> {
    run.posture.weaknesses().filter(|weakness| weakness.is_open()).cloned().collect()
}

/// Of plain HTTP, and what somebody should hear of it.
fn told(run: &mut Run) -> Vec<(Why, WeaknessId)> {
    let opened = run.posture.drain_opened().into_iter().filter(|opened| opened.weakness.check == "plain_http");
    opened.map(|opened| (opened.why, opened.weakness.id)).collect()
}

/// What a check has open at the end of a sample.
fn found(sample: &Sample, check: &str) -> (Run, Vec<Weakness>) {
    let mut run = Run::new(Settings::default());
    run.sample(sample, |_, _| {});
    let open = run.posture.weaknesses().filter(|weakness| weakness.check == check && weakness.is_open());
    let open = open.cloned().collect();
    (run, open)
}

/// Runs something over every sample of every check.
fn every_sample(mut with: impl FnMut(&'static str, &Sample)) {
    for check in ALL {
        for sample in samples_of(check.descriptor.name) {
            with(check.descriptor.name, &sample);
        }
    }
}

#[test]
fn what_is_weak_is_found_and_what_looks_like_it_is_not() {
    let mut wrong = String::new();
    every_sample(|check, sample| {
        let (run, open) = found(sample, check);
        let mut seen: Vec<_> = open.iter().map(|one| (run.shown(&one.subject), one.severity)).collect();
        let mut expected: Vec<_> = sample.head.expect.iter().map(|one| (one.subject.clone(), one.severity)).collect();
        seen.sort_unstable();
        expected.sort_unstable();
        if seen != expected || expected.is_empty() == sample.is_weak {
            wrong += &format!("{}: found {seen:?}, expected {expected:?}\n", sample.name);
        }
    });
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_check_has_its_samples_and_its_page() {
    for check in ALL {
        let descriptor = check.descriptor;
        let name = descriptor.name;
        let samples = samples_of(name);
        let weak = samples.iter().filter(|sample| sample.is_weak).count();
        assert!(weak >= 1 && samples.len() - weak >= 2, "{name} has too few samples");
        for sample in &samples {
            assert!(sample.head.why.len() > 30, "{} must say why it exists", sample.name);
        }
        let page = descriptor.page;
        assert!(page.starts_with(&format!("# {}\n\n{}\n", descriptor.title, descriptor.summary)), "{name}");
        let parts: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
        let expected = [
            "## What it finds",
            "## Why it matters",
            "## Signals",
            "## False positives",
            "## What to do",
            "## References",
        ];
        assert_eq!(parts, expected, "{name}");
        assert!(page.contains("OWASP API Security Top 10, 2023: ") && !descriptor.fix.is_empty(), "{name}");
        let id = descriptor.owasp.strip_suffix(":2023").unwrap();
        assert!(page.contains(&format!("2023: {id} ")), "{name}: its page does not name {id}");
        assert_eq!(checks::named(name).map(|found| found.descriptor), Some(descriptor));
    }
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/posture/checks")).unwrap();
    let folders = folders.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(folders, ALL.len(), "a folder is not in the list");
}

#[test]
fn the_guide_lists_every_check_as_it_is() {
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/posture.md")).unwrap();
    let rows: Vec<&str> = guide.lines().filter(|line| line.starts_with("| [`")).collect();
    assert_eq!(rows.len(), ALL.len());
    for (check, row) in ALL.iter().zip(rows) {
        let descriptor = check.descriptor;
        let page = format!("../crates/discover/src/posture/checks/{}/README.md", descriptor.name);
        let owasp = descriptor.owasp.strip_suffix(":2023").unwrap();
        let begins = format!("| [`{}`]({page}) | {} | {owasp} | ", descriptor.name, descriptor.summary);
        assert!(row.starts_with(&begins), "{row}");
    }
}

/// Words that a query may have: tables, columns, functions and what SQL itself has.
const QUERY_WORDS: &[&str] = &[
    "access",
    "answered_by",
    "array_has",
    "calls",
    "client_ip",
    "consumer_id",
    "credential_id",
    "current_endpoint_id",
    "data_classes",
    "endpoint",
    "event_time",
    "field_value",
    "has_field",
    "first_time",
    "gateway",
    "has_class",
    "headers",
    "host",
    "jwt_lifetime_s",
    "last_time",
    "longest_s",
    "method",
    "minute",
    "most",
    "own_refusal",
    "path",
    "presented_credential",
    "query",
    "response_bytes",
    "route_id",
    "service_id",
    "session",
    "signs",
    "status",
    "trusted",
    "workspace",
    "count",
    "min",
    "max",
    "sum",
    "approx_percentile_cont",
    "date_trunc",
    "consumers",
    "hour",
    "networks",
    "errors",
    "p95",
    "approx_distinct",
    "date_bin",
    "filter",
    "addresses",
];

const SQL_WORDS: &[&str] = &[
    "SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "IS", "NULL", "BETWEEN", "AS", "GROUP", "BY", "ORDER",
    "LIMIT", "LIKE", "CASE", "WHEN", "THEN", "ELSE", "END", "DISTINCT", "DESC", "ASC",
];

#[test]
fn every_weakness_can_be_checked() {
    every_sample(|check, sample| {
        let (run, open) = found(sample, check);
        for weakness in &open {
            let name = &sample.name;
            assert_eq!(weakness.id, weakness.subject.weakness(check), "{name}");
            assert!(weakness.sentence.chars().any(|letter| letter.is_ascii_digit()), "{name}: {}", weakness.sentence);
            assert!(!weakness.evidence.is_empty() && !weakness.fix.is_empty(), "{name}: {weakness:?}");
            assert!(weakness.evidence.iter().all(|one| !one.name.is_empty() && !one.value.is_empty()), "{name}");
            assert!(weakness.fix.contains('`'), "{name}: no command or field: {}", weakness.fix);
            assert!(weakness.last_seen_ms <= run.now_ms && weakness.opened_ms <= run.now_ms, "{name}");
            assert!(weakness.query.starts_with("SELECT ") && weakness.query.contains(" FROM calls WHERE "), "{name}");
            let mut outside = String::new();
            for (at, part) in weakness.query.split('\'').enumerate() {
                outside += if at % 2 == 0 { part } else { " " };
            }
            let words = outside.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            for word in words.filter(|word| !word.is_empty() && word.parse::<f64>().is_err()) {
                assert!(
                    QUERY_WORDS.contains(&word) || SQL_WORDS.contains(&word),
                    "{name}: {word} in {}",
                    weakness.query
                );
            }
        }
    });
}

#[test]
fn a_restored_posture_goes_on_alike() {
    every_sample(|_, sample| {
        let calls: u64 = sample.groups.iter().map(|_| 1).sum();
        let mut one = Run::new(Settings::default());
        one.sample(sample, |_, _| {});
        let mut other = Run::new(Settings::default());
        other.sample(sample, |number, run| {
            if number % (calls * 7 + 5) == 3 {
                let snapshot = run.posture.snapshot();
                let restored = Posture::restore(Settings::default(), &snapshot).unwrap();
                assert!(restored.snapshot() == snapshot, "{}", sample.name);
                // What was drained before is nobody's, so nothing is drained in between.
                run.posture = restored;
            }
        });
        assert!(one.posture.snapshot() == other.posture.snapshot(), "{}", sample.name);
        assert_eq!(one.posture.drain_changes(), other.posture.drain_changes(), "{}", sample.name);
        assert_eq!(one.posture.drain_scores(), other.posture.drain_scores(), "{}", sample.name);
        assert_eq!(one.posture.drain_opened(), other.posture.drain_opened(), "{}", sample.name);
    });
    let bytes = Posture::new(Settings::default()).snapshot();
    for (bytes, expected) in [
        (&[][..], SnapshotError::Damaged),
        (&[99, 1], SnapshotError::Version { found: 99 }),
        (&bytes[..1], SnapshotError::Damaged),
    ] {
        assert_eq!(Posture::restore(Settings::default(), bytes).err(), Some(expected));
    }
}
