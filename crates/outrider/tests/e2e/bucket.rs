//! `outrider run` with the lake in a bucket: over kills, while the store is away and when it is back. `make engines` installs the
//! store, and `make test` runs this.

use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::harness::{Outrider, Setup, assert_quiet, line, now_ms, wait_for};
use crate::store::{Store, keys};

const CALLS: u64 = 30;

fn send(outrider: &Outrider, round: u64) {
    let call = |at: u64| {
        let name = ["alice", "bob", "zelda"][at as usize % 3];
        line(name, "GET", &format!("/shop/items/{at}"), 200, now_ms() - 30_000 + (round * CALLS + at) as i64)
    };
    outrider.send(&(0..CALLS).map(call).collect::<Vec<_>>());
}

/// Calls in the lake, and how many of them are there once.
fn counts(outrider: &Outrider) -> Option<(u64, u64)> {
    let ask =
        json!({"statement": "SELECT count(*) AS calls, count(DISTINCT (position, call_index)) AS once FROM events"});
    let (status, answer) = outrider.request("POST", "/api/v1/query", Some(&ask));
    (status == 200).then(|| (answer["rows"][0]["calls"].as_u64().unwrap(), answer["rows"][0]["once"].as_u64().unwrap()))
}

fn await_calls(outrider: &Outrider, calls: u64) {
    wait_for(&format!("{calls} calls in the lake"), || (counts(outrider)? == (calls, calls)).then_some(()));
}

fn command(outrider: &Outrider, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    command.args(arguments).stdin(Stdio::null()).arg("--config").arg(outrider.config_path()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
#[ignore = "needs the store that `make engines` installs"]
fn calls_come_into_the_bucket_once_whatever_happens() {
    let (mut store, directory) = (Store::start(false), tempfile::tempdir().unwrap());
    let keys = keys(directory.path());
    let more_at_end = format!(
        "[lake]\ncommit_interval_ms = 200\nurl = 's3://lake/calls'\nendpoint = '{}'\nallow_http = true\ncredentials_file = '{}'\n\
         [snapshots]\ninterval_seconds = 1\n",
        store.endpoint(),
        keys.display()
    );
    let setup = Setup { more_at_end, ..Setup::default() };
    let mut outrider = Outrider::start(directory.path(), &setup);
    let mut sent = 0;
    for round in 0..4 {
        send(&outrider, round);
        sent += CALLS;
        outrider.await_calls(sent);
        outrider.kill();
        outrider = Outrider::start(directory.path(), &setup);
    }
    await_calls(&outrider, sent);
    by_command(&outrider, sent);

    // The store goes, calls come, and outrider is killed and started meanwhile.
    wait_for("a commit of all calls", || {
        let found = command(&outrider, &["query", "--format", "json", "SELECT count(*) AS calls FROM events"]);
        String::from_utf8_lossy(&found.stdout).contains(&format!("\"calls\":{sent}")).then_some(())
    });
    store.go("away");
    send(&outrider, 4);
    sent += CALLS;
    outrider.await_calls(sent);
    outrider.await_words("the lake cannot be written; calls wait in the log");
    outrider.kill();
    outrider = Outrider::start(directory.path(), &setup);
    outrider.await_words("the lake cannot be reached; calls wait in the log until it can");
    send(&outrider, 5);
    sent += CALLS;
    outrider.await_calls(sent);
    let progress = wait_for("what the store says", || {
        let progress = outrider.get("/api/v1/status")["platform"]["progress"].clone();
        (progress["lake_failures"].as_u64()? > 0).then_some(progress)
    });
    assert!(progress["lake_error"].as_str().unwrap().contains("s3://lake/calls"), "{progress}");
    let ask = json!({"statement": "SELECT 1 FROM events"});
    let (status, answer) = outrider.request("POST", "/api/v1/query", Some(&ask));
    assert!(status == 503 && answer.to_string().contains("the lake cannot be read"), "{status} {answer}");
    store.go("back");
    await_calls(&outrider, sent);
    outrider.await_words("the lake can be reached again");

    erase(&outrider);
    let lines = outrider.stop();
    assert!(!lines.iter().any(|line| line.contains("hidden-secret")), "{lines:#?}");
    let expected = [
        "the lake cannot be reached",
        "the API could not use the lake",
        "was not stopped cleanly",
        // A commit and the erasure met, and the commit was made again.
        "deltalake_core::kernel::transaction",
    ];
    assert_quiet(&lines, &expected);
    assert!(!directory.path().join("data/lake/events").exists());
}

fn by_command(outrider: &Outrider, sent: u64) {
    let found =
        command(outrider, &["timeline", "consumer:alice", "--last", "1h", "--rows", "100000", "--format", "csv"]);
    let lines = String::from_utf8(found.stdout.clone()).unwrap().lines().count() as u64;
    assert_eq!(lines, sent / 3 + 1, "{}", said(&found));
    let data_dir = outrider.data_dir.to_str().unwrap();
    let statement = "SELECT count(*) FROM events";
    let mut without = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let refused = without.args(["query", statement, "--data-dir", data_dir]).output().unwrap();
    assert!(!refused.status.success() && said(&refused).contains("is at s3://lake/calls"), "{refused:?}");
    let to = outrider.data_dir.with_file_name("backup");
    let made = command(outrider, &["backup", "--to", to.to_str().unwrap()]);
    assert!(
        made.status.success() && said(&made).contains("the lake at s3://lake/calls is not in it"),
        "{}",
        said(&made)
    );
    assert!(!to.join("lake").exists());
}

fn erase(outrider: &Outrider) {
    let asked = command(outrider, &["erase", "consumer:id-zelda", "--yes"]);
    assert!(asked.status.success(), "{}", said(&asked));
    let id = String::from_utf8(asked.stdout).unwrap().trim().to_owned();
    let receipt = wait_for("the erasure", || {
        let receipt = outrider.get(&format!("/api/v1/erasures/{id}"));
        (receipt["state"] == "done").then_some(receipt)
    });
    let lake = receipt["places"].as_array().unwrap().iter().find(|place| place["place"] == "lake").unwrap();
    assert!(lake["counts"].to_string().contains("60"), "{lake}");
    await_calls(outrider, 120);
}
