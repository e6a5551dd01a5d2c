//! The log from a file: rotated while it is written, and read by an outrider that is killed, it loses no call and doubles none.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::harness::{Outrider, Setup, line, now_ms, wait_for};

/// A source that reads a file in the directory, besides the one that every setup has.
fn setup(directory: &Path) -> Setup {
    let path = directory.join("calls.log");
    let more = format!(
        "[[collector.sources]]\nkind = 'kong_file_log'\npath = '{}'\nstart = 'beginning'\npoll_ms = 10\n",
        path.display()
    );
    let more_at_end = "[lake]\ncommit_interval_ms = 300\n".to_owned();
    Setup { source_more: more, more_at_end, ..Setup::default() }
}

/// Appends lines as Kong's workers do, which keep the file open over a rotation until they are told.
struct Kong<'d> {
    directory: &'d Path,
    file: File,
    lines: u64,
    rotations: u32,
}

impl<'d> Kong<'d> {
    fn new(directory: &'d Path) -> Self {
        Kong { directory, file: open(directory), lines: 0, rotations: 0 }
    }

    fn call(&mut self) {
        let path = format!("/items/{}", self.lines);
        self.file.write_all((line("alice", "GET", &path, 200, now_ms()) + "\n").as_bytes()).unwrap();
        self.lines += 1;
    }

    /// As logrotate does: rename, a few more lines to the old file, `kong reload`.
    fn rotate(&mut self) {
        self.rotations += 1;
        let rotated = self.directory.join(format!("calls.log.{}", self.rotations));
        std::fs::rename(self.directory.join("calls.log"), rotated).unwrap();
        (0..3).for_each(|_| self.call());
        self.file = open(self.directory);
        self.call();
    }
}

fn open(directory: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(directory.join("calls.log")).unwrap()
}

fn in_lake(outrider: &Outrider, select: &str) -> Option<u64> {
    let ask = json!({"statement": format!("SELECT {select} AS calls FROM events")});
    let (status, answer) = outrider.request("POST", "/api/v1/query", Some(&ask));
    assert_eq!(status, 200, "{answer}");
    answer["rows"][0]["calls"].as_u64()
}

#[test]
fn kills_and_rotations_lose_no_line_of_a_file_and_double_none() {
    const KILLS: usize = 6;
    let directory = tempfile::tempdir().unwrap();
    let setup = setup(directory.path());
    let is_over = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let kong = scope.spawn(|| {
            let mut kong = Kong::new(directory.path());
            while !is_over.load(Ordering::Relaxed) {
                kong.call();
                std::thread::park_timeout(std::time::Duration::from_millis(1));
            }
            kong.lines
        });
        for round in 0..KILLS {
            let outrider = Outrider::start(directory.path(), &setup);
            wait_for("lines to be stored", || {
                let status = outrider.get("/api/v1/status");
                (status["sources"][1]["counters"]["accepted"].as_u64()? > 50 * round as u64).then_some(())
            });
            outrider.kill();
        }
        is_over.store(true, Ordering::Relaxed);
        kong.join().unwrap()
    });
    // Rotated while nobody reads: what is left of the old file is read before the new one.
    let mut kong = Kong::new(directory.path());
    kong.lines = written;
    kong.rotate();
    let outrider = Outrider::start(directory.path(), &setup);
    outrider.await_calls(kong.lines);
    // And while it is read.
    kong.rotate();
    outrider.await_calls(kong.lines);
    wait_for("the calls in the lake", || (in_lake(&outrider, "count(*)")? >= kong.lines).then_some(()));
    assert_eq!(in_lake(&outrider, "count(*)"), Some(kong.lines), "each line counts once");
    assert_eq!(in_lake(&outrider, "count(DISTINCT path)"), Some(kong.lines), "and none is missing");
    let status = outrider.get("/api/v1/status");
    assert_eq!(status["platform"]["progress"]["calls"], kong.lines);
    let source = &status["sources"][1];
    assert_eq!(source["name"], format!("kong_file_log {}", directory.path().join("calls.log").display()));
    assert_eq!(source["counters"]["file"]["waiting_bytes"], 0, "{source}");
    assert_eq!(source["counters"]["rejected"], json!({}), "{source}");
    let (_, metrics) = outrider.request("GET", "/metrics", None);
    assert!(metrics.as_str().unwrap().contains("outrider_collector_file_waiting_bytes{source=\"kong_file_log "));
    outrider.stop();
}
