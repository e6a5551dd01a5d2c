//! `outrider doctor` beside a gateway that is well, and beside some that are not.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use outrider_practice::{AdminFault, Practice, Reach, Settings};
use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, assert_quiet, free_port, wait_for};

/// The exit status and the report.
fn doctor(config: &Path, more: &[&str]) -> (i32, Value) {
    let output = run(config, &[&["--json"], more].concat());
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    });
    (output.status.code().unwrap(), report)
}

fn run(config: &Path, more: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    command.args(["doctor", "--config"]).arg(config).args(more).stdin(Stdio::null()).output().unwrap()
}

/// Exactly these checks, as `id result`, are not well. How full this machine's disk is counts only for the whole.
fn expect(config: &Path, more: &[&str], status: i32, troubles: &[&str]) {
    let (code, report) = doctor(config, more);
    let checks = report["checks"].as_array().unwrap();
    let bad = checks.iter().filter(|check| !matches!(check["result"].as_str(), Some("ok" | "skipped")));
    let (space, bad): (Vec<_>, Vec<_>) = bad.partition(|check| check["id"] == "data.space");
    let status = if status == 0 && !space.is_empty() { 4 } else { status };
    let bad = bad.into_iter().map(|check| format!("{} {}", check["id"], check["result"]).replace('"', ""));
    assert_eq!((code, bad.collect::<Vec<_>>().join(", ")), (status, troubles.join(", ")), "{report:#}");
    let result = match status {
        0 => "ok",
        4 => "warning",
        _ => "failed",
    };
    assert_eq!(report["result"], result);
}

#[test]
fn each_broken_hop_is_named_and_a_whole_way_is_well() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = Settings { state_update_frequency: Duration::ZERO, ..Settings::default() };
    let practice = runtime.block_on(Practice::start(settings)).unwrap();
    let admin = practice.admin();
    let request = |method: &str, path: &str, body: Option<Value>| {
        let (status, answer) = runtime.block_on(admin.request(method, path, body.as_ref())).unwrap();
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    };
    runtime.block_on(async {
        admin.service("shop", "http://shop.practice/", "/shop").await.unwrap();
        admin.service("bank", "http://accounts.practice/", "/bank").await.unwrap();
    });
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        source_port: free_port(),
        source_more: "secret_file = 'kong.secret'\n".to_owned(),
        ..Setup::default()
    };
    let config = directory.path().join("outrider.toml");
    std::fs::write(&config, setup.toml(&directory.path().join("data"))).unwrap();
    let kong_setup = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
        let output = command.args(["kong", "setup", "--yes", "--config"]).arg(&config).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };

    // Before anything was done.
    let before = ["data.directory warning", "data.secret failed", "log.plugin failed", "process.running failed"];
    expect(&config, &[], 1, &before);
    kong_setup();
    expect(&config, &[], 1, &["process.running failed"]);

    let outrider = Outrider::start(directory.path(), &setup);
    wait_for("the first look at the gateway", || {
        outrider.get("/api/v1/status")["responders"][0]["listed_ms"].is_i64().then_some(())
    });
    expect(&config, &[], 4, &["lines.arriving warning"]);
    let probe = format!("http://{}/shop", practice.proxy_address());
    expect(&config, &["--probe", &probe], 0, &[]);
    expect(&config, &[], 0, &[]);
    let report = String::from_utf8(run(&config, &[]).stdout).unwrap();
    assert!(report.contains("admin.reachable") && report.contains("0 failed, 0 warnings"), "{report}");
    expect(&config, &["--probe", &format!("http://{}/no", practice.proxy_address())], 4, &["probe.answer warning"]);

    // Others at the gateway, each mended again.
    let plugins = request("GET", "/plugins", None);
    let ours = format!("/plugins/{}", plugins["data"][0]["id"].as_str().unwrap());
    let elsewhere = json!({"name": "tcp-log", "config": {"host": "127.0.0.1", "port": 1}});
    let shadow = request("POST", "/services/bank/plugins", Some(elsewhere));
    expect(&config, &[], 4, &["log.shadowed warning"]);
    request("DELETE", &format!("/plugins/{}", shadow["id"].as_str().unwrap()), None);
    let cases = [
        (json!({"enabled": false}), "log.enabled failed"),
        (json!({"config": {"port": 1}}), "log.target failed"),
        (json!({"config": {"custom_fields_by_lua": {}}}), "log.secret failed"),
    ];
    for (change, trouble) in cases {
        request("PATCH", &ours, Some(change));
        expect(&config, &[], 1, &[trouble]);
        kong_setup();
        expect(&config, &[], 0, &[]);
    }
    request("DELETE", &ours, None);
    expect(&config, &["--probe", &probe], 1, &["log.plugin failed", "probe.line failed"]);
    kong_setup();

    // The Admin API itself.
    practice.faults().admin(AdminFault::Html(200), Reach::ALL);
    let (status, report) = doctor(&config, &[]);
    assert_eq!(status, 1);
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["id"] == "admin.reachable").unwrap();
    assert!(check["todo"].as_str().unwrap().contains("Kong Manager"), "{check}");
    practice.faults().clear_admin();
    wait_for("the responder's next good look", || (doctor(&config, &[]).0 == 0).then_some(()));

    // The Admin API's address is the proxy's. The running outrider knows better, and is well.
    let text = std::fs::read_to_string(&config).unwrap();
    let proxy = text.replace(&practice.admin_address().to_string(), &practice.proxy_address().to_string());
    std::fs::write(&config, proxy).unwrap();
    expect(&config, &[], 1, &["admin.reachable failed"]);
    std::fs::write(&config, text).unwrap();

    assert_quiet(&outrider.stop(), &["the gateway failed"]);
    expect(&config, &[], 1, &["process.running failed"]);
    runtime.block_on(practice.stop());
}

#[test]
fn what_others_send_is_told_by_its_outline() {
    let directory = tempfile::tempdir().unwrap();
    let outrider = Outrider::start(directory.path(), &Setup::default());
    let config = outrider.config_path().to_owned();
    outrider.send(&["POST /log HTTP/1.1".to_owned(), "{\"secret\":\"value-4711\"}".to_owned()]);
    wait_for("the rejections", || {
        (outrider.get("/api/v1/status")["sources"][0]["counters"]["received"] == 2).then_some(())
    });
    let output = run(&config, &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("lines.readable") && said.contains("looks like HTTP"), "{said}");
    assert!(!said.contains("value-4711"), "nothing of a line is shown: {said}");
    outrider.stop();
}

#[test]
fn a_mistake_in_what_doctor_is_told_is_neither_well_nor_ill() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("outrider.toml");
    std::fs::write(&config, "data_dri = 'x'").unwrap();
    for more in [&["--json"][..], &["--probe", "localhost:8000"], &["--frobnicate"]] {
        let output = run(&config, more);
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(output.stdout.is_empty());
    }
    let output = run(&config, &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `data_dir`"));
    assert_eq!(run(&directory.path().join("nowhere.toml"), &[]).status.code(), Some(2));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "doctor makes nothing");
}
