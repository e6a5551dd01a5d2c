//! The API as a program uses it: its document, and what it tells while things happen.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, assert_quiet};

#[test]
fn the_document_is_the_same_on_the_command_line_and_over_http() {
    let directory = tempfile::tempdir().unwrap();
    let outrider = Outrider::start(directory.path(), &Setup::default());
    let output = Command::new(env!("CARGO_BIN_EXE_outrider")).arg("openapi").output().unwrap();
    assert!(output.status.success());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document, outrider.get("/api/v1/openapi.json"));
    assert_quiet(&outrider.stop(), &[]);
}

#[test]
fn a_decision_is_told_to_who_listens_and_a_stop_ends_the_stream() {
    let directory = tempfile::tempdir().unwrap();
    let outrider = Outrider::start(directory.path(), &Setup::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let request = reqwest::Client::new().get(format!("{}/api/v1/events", outrider.api)).bearer_auth(outrider.token());
    let mut events = runtime.block_on(request.send()).unwrap();
    assert_eq!(events.status(), 200);
    let mut text = String::new();
    let mut until = |words: &str| {
        while !text.contains(words) {
            let chunk = runtime.block_on(events.chunk()).unwrap();
            text.push_str(
                std::str::from_utf8(&chunk.unwrap_or_else(|| panic!("`{words}` was not told: {text}"))).unwrap(),
            );
        }
    };
    until("event: reset");
    until("event: status");
    let body = json!({"on": true, "reason": "calm down"});
    assert_eq!(outrider.request("PUT", "/api/v1/kill-switch", Some(&body)).0, 200);
    until("event: kill_switch");
    until("calm down");
    let lines = outrider.stop();
    while let Some(chunk) = runtime.block_on(events.chunk()).unwrap() {
        assert!(!chunk.is_empty());
    }
    assert_quiet(&lines, &[]);
}
