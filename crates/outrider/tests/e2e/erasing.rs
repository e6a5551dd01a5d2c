//! `outrider erase`: shown and asked before, carried out over kills, and then no byte below the data directory names them.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, assert_quiet, line, now_ms, wait_for};
use crate::places::places_of;

const ERASED: &str = "zelda";

fn erase(outrider: &Outrider, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    command.arg("erase").args(arguments).stdin(Stdio::null()).arg("--config").arg(outrider.config_path());
    command.output().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

fn calls(outrider: &Outrider) -> u64 {
    let ask = json!({"statement": "SELECT count(*) AS calls FROM events"});
    let (status, answer) = outrider.request("POST", "/api/v1/query", Some(&ask));
    assert_eq!(status, 200, "{answer}");
    answer["rows"][0]["calls"].as_u64().unwrap()
}

fn receipt(outrider: &Outrider, id: &str) -> Value {
    outrider.get(&format!("/api/v1/erasures/{id}"))
}

#[test]
fn somebody_is_erased_however_often_the_process_is_killed_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { more: "[lake]\ncommit_interval_ms = 200\n".to_owned(), ..Setup::default() };
    let mut outrider = Outrider::start(directory.path(), &setup);
    for round in 0..10 {
        let lines: Vec<_> = (0..30)
            .map(|number| {
                let name = [ERASED, "bert", "carol"][number % 3];
                line(name, "GET", &format!("/shop/items/{number}"), 200, now_ms() + round)
            })
            .collect();
        outrider.send(&lines);
        outrider.await_calls(30 * (round as u64 + 1));
    }
    wait_for("all calls", || (calls(&outrider) == 300).then_some(()));
    assert!(outrider.get(&format!("/api/v1/timeline?kind=consumer&entity=id-{ERASED}"))["items"].is_array());

    let by_name = erase(&outrider, &[&format!("consumer:{ERASED}")]);
    assert!(
        !by_name.status.success() && said(&by_name.stderr).contains(&format!("consumer:id-{ERASED}")),
        "{by_name:?}"
    );
    let whom = format!("consumer:id-{ERASED}");
    let unconfirmed = erase(&outrider, &[&whom]);
    assert_eq!(unconfirmed.status.code(), Some(3));
    assert!(said(&unconfirmed.stderr).contains("100 calls"), "{unconfirmed:?}");
    assert_eq!(outrider.list("/api/v1/erasures").len(), 0);
    let asked = erase(&outrider, &[&whom, "--yes"]);
    assert!(asked.status.success(), "{asked:?}");
    let id = said(&asked.stdout);

    // Killed at one moment after the other, until it is done.
    let mut kills = 0;
    for patience in (0..).map(|kill| kill * 150) {
        let until = std::time::Instant::now() + std::time::Duration::from_millis(patience);
        let mut is_done = false;
        while !is_done && std::time::Instant::now() < until {
            is_done = receipt(&outrider, &id)["state"] == "done";
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        if is_done {
            break;
        }
        outrider.kill();
        kills += 1;
        assert!(kills < 60, "it never gets done");
        outrider = Outrider::start(directory.path(), &setup);
    }
    assert!(kills > 3, "only {kills} kills");
    let shown = erase(&outrider, &["--status", &id]);
    let shown = said(&shown.stdout);
    for words in ["done at", "lake: gone at", "100 calls", "log: gone at", "backups: not covered"] {
        assert!(shown.contains(words), "`{words}` is missing: {shown}");
    }
    let listed = erase(&outrider, &["--status", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed, json!([receipt(&outrider, &id)]));
    assert_eq!(places_of(&outrider.data_dir, ERASED), [""; 0], "while it runs");
    assert_eq!(calls(&outrider), 200, "everybody else's");
    let verified = Command::new(env!("CARGO_BIN_EXE_outrider"))
        .args(["audit", "verify", "--config"])
        .arg(outrider.config_path())
        .output()
        .unwrap();
    assert!(verified.status.success() && said(&verified.stdout).contains("is whole"), "{verified:?}");
    // What comes now is news.
    outrider.send(&[line(ERASED, "GET", "/shop/items/1", 200, now_ms())]);
    wait_for("the new call", || (calls(&outrider) == 201).then_some(()));
    let data_dir = outrider.data_dir.clone();
    assert_quiet(&outrider.stop(), &["may be missing", "torn tail"]);
    assert!(!places_of(&data_dir, ERASED).is_empty());
}
