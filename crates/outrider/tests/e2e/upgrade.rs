//! A data directory that an earlier build wrote goes on under this one: nothing is lost, and what it had to do is done.
//!
//! `data/layout-1.tar.gz` was written by the last build with layout 1: a demo to its end, then by hand a policy, a token
//! and a permanent block of a consumer at a gateway that was away, then `kill -9`. Its token is good for nothing else.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use outrider_practice::{Practice, Settings};
use serde_json::json;

use crate::harness::{Outrider, Setup, assert_quiet, free_port, line, now_ms, wait_for};
use crate::services::outrider;

const LAYOUT_1: &[u8] = include_bytes!("../data/layout-1.tar.gz");
/// The consumer that was to be blocked.
const CONSUMER: &str = "0c000000-0000-4000-8000-000000000001";
/// What the earlier build had made, by the id of each.
const ALERT: &str = "al_9ba7c7c808db16ce";
const ACTION: &str = "ac_ac4ddcc1e6ef3d01";

fn unpack(archive: &[u8], directory: &Path) {
    let archive = flate2::read::GzDecoder::new(archive);
    tar::Archive::new(archive).unpack(directory).unwrap();
}

#[test]
fn a_directory_of_layout_1_goes_on_after_a_kill() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = Settings { state_update_frequency: Duration::from_millis(200), ..Settings::default() };
    let practice = runtime.block_on(Practice::start(settings)).unwrap();
    let admin = practice.admin();
    let path = format!("/consumers/{CONSUMER}");
    let (status, _) = runtime.block_on(admin.request("PUT", &path, Some(&json!({"username": "kept"})))).unwrap();
    assert_eq!(status, 200);
    let directory = tempfile::tempdir().unwrap();
    unpack(LAYOUT_1, directory.path());
    let data_dir = directory.path().join("data");
    let installation = std::fs::read_to_string(data_dir.join("installation")).unwrap();

    let admin_url = Some(format!("http://{}", practice.admin_address()));
    let setup = Setup { admin_url, gateway: Some("practice"), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &setup);
    let alerts = outrider.list("/api/v1/alerts");
    assert_eq!((alerts.len(), &alerts[0]["id"]), (1, &json!(ALERT)));
    assert_eq!(outrider.list(&format!("/api/v1/findings?alert={ALERT}")).len(), 1);
    assert_eq!(outrider.get("/api/v1/policies/by-hand")["policy"]["mode"], "observe");
    assert!(outrider.list("/api/v1/tokens").iter().any(|token| token["name"] == "auditor"));
    let endpoints = outrider.list("/api/v1/endpoints");
    assert_eq!(endpoints.len(), 5, "{endpoints:#?}");
    let calls = || {
        let status = outrider.get("/api/v1/status");
        (status["platform"]["caught_up"] == true).then(|| status["platform"]["progress"]["calls"].as_u64().unwrap())
    };
    let calls = wait_for("the end of the log", calls);
    assert!(calls > 1000, "the log was gone through again: {calls}");

    let state = || outrider.get(&format!("/api/v1/actions/{ACTION}"))["state"].as_str().unwrap().to_owned();
    wait_for("the block at the gateway", || (state() == "stored").then_some(()));
    let tag = format!("/plugins?tags=outrider:{}", installation.trim());
    let (_, plugins) = runtime.block_on(admin.request("GET", &tag, None)).unwrap();
    assert_eq!(plugins["data"][0]["consumer"]["id"], CONSUMER);
    let release = json!({"reason": "upgraded"});
    let (status, answer) = outrider.request("POST", &format!("/api/v1/actions/{ACTION}/release"), Some(&release));
    assert_eq!(status, 200, "{answer}");
    wait_for("the release", || (state() == "released").then_some(()));

    outrider.send(&[line("alice", "GET", "/shop/items/7", 200, now_ms())]);
    outrider.await_calls(calls + 1);
    assert_quiet(&outrider.stop(), &["a notice was opened"]);
    let layout = std::fs::read_to_string(data_dir.join("version")).unwrap();
    assert_ne!(layout.trim(), "1", "an earlier build must refuse it from now on");
    let outrider = Outrider::start(directory.path(), &setup);
    outrider.await_calls(calls + 1);
    outrider.stop();
    runtime.block_on(practice.stop());
}

#[test]
fn commands_beside_an_older_build_leave_the_directory_to_it() {
    let directory = tempfile::tempdir().unwrap();
    unpack(LAYOUT_1, directory.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let admin_url = Some(format!("http://{}", practice.admin_address()));
    let setup = Setup { admin_url, gateway: Some("practice"), source_port: free_port(), ..Setup::default() };
    let (data, config) = (directory.path().join("data"), directory.path().join("outrider.toml"));
    std::fs::write(&config, setup.toml(&data)).unwrap();
    let config = config.to_str().unwrap();
    let store = std::fs::read(data.join("control.sqlite")).unwrap();
    let lines = directory.path().join("lines");
    std::fs::write(&lines, line("alice", "GET", "/shop/items/7", 200, now_ms())).unwrap();
    let out = directory.path().join("out");
    outrider(&["kong", "setup", "--yes", "--config", config]);
    outrider(&["replay", "--config", config, "--out", out.to_str().unwrap(), lines.to_str().unwrap()]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let refused = command.args(["token", "list", "--config", config]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("layout of an older outrider"), "{said}");
    assert_eq!(std::fs::read_to_string(data.join("version")).unwrap().trim(), "1");
    assert_eq!(std::fs::read(data.join("control.sqlite")).unwrap(), store);
    runtime.block_on(practice.stop());
}
