//! `outrider replay` on files as people have them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::line;

const START_MS: i64 = 1_767_571_200_000;

/// Half an hour of six ordinary consumers; then one of them loops. Returns the lines and the 1-based line of the first
/// looping call.
fn recording() -> (Vec<String>, usize) {
    let mut calls: Vec<(i64, &str, String)> = Vec::new();
    for (at, consumer) in (0i64..).zip(["alice", "bob", "carol", "dave", "erin", "mallory"]) {
        for call in 0..30 * 12 {
            let at_ms = call * 5000 + at * 700 + (call * 37 + at * 911) % 1500;
            calls.push((at_ms, consumer, format!("/shop/items/{}", 1 + (call * 7 + at * 13) % 400)));
        }
    }
    calls.sort();
    let quiet = calls.len();
    calls.extend((0..400).map(|call| (1_800_000 + call * 25, "mallory", format!("/shop/items/{}", 1 + call % 400))));
    (calls.iter().map(|(at, who, path)| line(who, "GET", path, 200, START_MS + at)).collect(), quiet + 1)
}

fn replay(input: &[&str], stdin: Option<&[u8]>, out: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    command.arg("replay").args(input).arg("--out").arg(out).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(stdin.unwrap_or_default()).unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

fn rows(out: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(out.join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_loop_is_found_on_its_line_and_everything_is_accounted_for() {
    let directory = tempfile::tempdir().unwrap();
    let (lines, first_loop_line) = recording();
    let mut text = lines.join("\n");
    text.push_str("\n\nnot json\n{\"half\": ");
    let plain = directory.path().join("log.ndjson");
    std::fs::write(&plain, &text).unwrap();
    let out = directory.path().join("out");
    let said = replay(&[plain.to_str().unwrap()], None, &out);
    assert!(said.contains("2 lines were no calls"), "{said}");

    let summary: Value = serde_json::from_slice(&std::fs::read(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["calls"], lines.len());
    assert_eq!(summary["lines"], lines.len() + 2);
    assert!(summary["rejected"]["not_json"].as_u64().unwrap() >= 1, "{summary}");
    assert!(summary["peak_rss_bytes"].as_u64().unwrap() > 1_000_000);

    let findings = rows(&out, "findings.jsonl");
    assert!(!findings.is_empty());
    for finding in &findings {
        assert_eq!(finding["entity"]["label"], "mallory", "{finding}");
        let line = finding["line"].as_u64().unwrap() as usize;
        assert!((first_loop_line..=lines.len()).contains(&line), "{finding}");
        assert!(finding["observation"]["observed"].as_f64() > finding["observation"]["expected"].as_f64());
        assert!(finding["query"].as_str().unwrap().contains("FROM events"));
    }
    // Calls come 40 a second; a handful of seconds is enough.
    let first = findings.iter().map(|finding| finding["line"].as_u64().unwrap()).min().unwrap() as usize;
    assert!(first < first_loop_line + 200, "first finding on line {first}, the loop began on {first_loop_line}");
    let alerts = rows(&out, "alerts.jsonl");
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert_eq!(alerts[0]["finding_count"], findings.len());

    let assignments = rows(&out, "assignments.jsonl");
    assert_eq!(assignments.len(), text.lines().count());
    assert!(
        assignments[..lines.len()].iter().all(|row| row["template"] == "/shop/items/{item_id}"),
        "{}",
        assignments[0]
    );
    assert!(assignments[lines.len()..].iter().all(|row| row["template"].is_null() && row["method"].is_null()));
    let endpoints = rows(&out, "endpoints.jsonl");
    assert!(endpoints.iter().any(|endpoint| endpoint["key"]["template"] == "/shop/items/{item_id}"), "{endpoints:#?}");
}

#[test]
fn the_same_lines_give_the_same_bytes_however_they_come() {
    let directory = tempfile::tempdir().unwrap();
    let (lines, _) = recording();
    let text = lines.join("\n") + "\n\n\n";
    let (head, tail) = text.split_at(text.len() / 2 + text[text.len() / 2..].find('\n').unwrap() + 1);
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("all"), &text).unwrap();
    std::fs::write(path("head"), head).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(tail.as_bytes()).unwrap();
    std::fs::write(path("tail.gz"), gzip.finish().unwrap()).unwrap();

    let outs = ["one", "two", "three"].map(|name| directory.path().join(name));
    replay(&[&path("all")], None, &outs[0]);
    replay(&[&path("head"), &path("tail.gz")], None, &outs[1]);
    replay(&["-"], Some(text.as_bytes()), &outs[2]);
    for name in ["findings.jsonl", "alerts.jsonl", "endpoints.jsonl", "assignments.jsonl"] {
        let [one, two, three] = outs.each_ref().map(|out| std::fs::read(out.join(name)).unwrap());
        assert!(!one.is_empty(), "{name}");
        assert!(one == two, "{name} differs when the input is split over files");
        assert!(one == three, "{name} differs from standard input");
    }
    assert_eq!(rows(&outs[0], "assignments.jsonl").len(), lines.len() + 2, "blank lines at the end have rows, too");
}
