//! Kong's log over TLS, by either plugin: set up, taken, with a new certificate under way, and named where one side alone speaks it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use outrider_practice::{Practice, Settings};
use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, assert_quiet, free_port, wait_for};
use crate::kong_setup::kong_setup;
use crate::services::outrider;

/// An authority, and a certificate of it for this machine.
fn certificate(directory: &Path, name: &str) {
    let dir = directory.join(name).display().to_string();
    outrider(&["ca", "init", "--dir", &dir]);
    outrider(&["ca", "issue", "--dir", &dir, "--out", &dir, "127.0.0.1"]);
}

/// What doctor makes of a check.
fn check(config: &Path, id: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let output = command.args(["doctor", "--json", "--config"]).arg(config).stdin(Stdio::null()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["checks"].as_array().unwrap().iter().find(|check| check["id"] == id).unwrap().clone()
}

#[test]
fn the_log_comes_over_tls_by_either_plugin_and_a_plain_one_is_named() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // One worker has one pool of connections.
    let settings = Settings { workers: 1, state_update_frequency: Duration::ZERO, ..Settings::default() };
    let practice = runtime.block_on(Practice::start(settings)).unwrap();
    let admin = practice.admin();
    let plugin = || {
        let (_, plugins) = runtime.block_on(admin.request("GET", "/plugins", None)).unwrap();
        plugins["data"][0].clone()
    };
    let call = |number: u64| {
        let url = format!("http://{}/shop/items/{number}", practice.proxy_address());
        practice.refresh();
        runtime.block_on(async { reqwest::Client::new().get(url).send().await.unwrap() });
    };
    let directory = tempfile::tempdir().unwrap();
    certificate(directory.path(), "ca");
    certificate(directory.path(), "ca-2");
    let (http_port, tls) =
        (free_port(), "tls = { certificate_file = 'ca/127.0.0.1.pem', key_file = 'ca/127.0.0.1.key' }");
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        source_port: free_port(),
        source_more: format!(
            "{tls}\n[[collector.sources]]\nkind = 'kong_http_log'\nlisten = '127.0.0.1:{http_port}'\n{tls}\n"
        ),
        ..Setup::default()
    };
    let config = directory.path().join("outrider.toml");
    std::fs::write(&config, setup.toml(&directory.path().join("data"))).unwrap();
    runtime.block_on(admin.service("shop", "http://shop.practice/", "/shop")).unwrap();

    let (status, said) = kong_setup(directory.path(), &["--yes"]);
    assert_eq!((status, &plugin()["config"]["tls"]), (0, &json!(true)), "{said}");
    let outrider = Outrider::start(directory.path(), &setup);
    call(1);
    outrider.await_calls(1);
    assert_eq!(check(&config, "log.target")["result"], "ok");

    // New files: Kong's connection goes on, and who connects sees the new certificate.
    for end in ["key", "pem"] {
        let name = format!("127.0.0.1.{end}");
        std::fs::copy(directory.path().join("ca-2").join(&name), directory.path().join("ca").join(&name)).unwrap();
    }
    outrider.signal("-HUP");
    wait_for("the new certificate of both", || (outrider.said("a new certificate is in force") == 2).then_some(()));
    call(2);
    outrider.await_calls(2);
    let status = outrider.get("/api/v1/status");
    assert_eq!(status["sources"][0]["counters"]["connections_total"], 1, "{status}");
    assert_eq!(status["certificates"].as_array().unwrap().len(), 1, "both have the same");
    let authority = std::fs::read(directory.path().join("ca-2/ca.pem")).unwrap();
    let authority = reqwest::Certificate::from_pem(&authority).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
    let answer = runtime.block_on(client.get(format!("https://127.0.0.1:{http_port}/")).send()).unwrap();
    assert_eq!(answer.status(), 405);

    let (status, said) = kong_setup(directory.path(), &["--plugin", "http-log", "--yes"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(plugin()["config"]["http_endpoint"], format!("https://127.0.0.1:{http_port}/"));
    call(3);
    outrider.await_calls(3);

    // Somebody makes it plain: the source takes nothing, and both ends are told.
    let plain = json!({"config": {"http_endpoint": format!("http://127.0.0.1:{http_port}/")}});
    let path = format!("/plugins/{}", plugin()["id"].as_str().unwrap());
    runtime.block_on(admin.request("PATCH", &path, Some(&plain))).unwrap();
    call(4);
    wait_for("the refusal", || {
        let refused = outrider.get("/api/v1/status")["sources"][1]["counters"]["connections_refused"].clone();
        (refused["plain_to_tls"].as_u64()? > 0).then_some(())
    });
    let target = check(&config, "log.target");
    assert_eq!(target["result"], "failed");
    assert!(target["seen"].as_str().unwrap().contains("speaks plain (http), and the source TLS"), "{target}");
    // `kong setup` puts it right.
    let (status, said) = kong_setup(directory.path(), &["--yes"]);
    assert_eq!(status, 0, "{said}");
    call(5);
    outrider.await_calls(4);
    assert_quiet(&outrider.stop(), &["a notice was opened"]);
    runtime.block_on(practice.stop());
}

#[test]
fn a_source_whose_certificate_cannot_be_used_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("outrider.toml");
    let more = "tls = { certificate_file = 'none.pem', key_file = 'none.key' }\n".to_owned();
    let setup = Setup { source_more: more, ..Setup::default() };
    std::fs::write(&config, setup.toml(&directory.path().join("data"))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let output = command.args(["run", "--config"]).arg(&config).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let path = directory.path().join("none.pem").display().to_string();
    assert!(!output.status.success(), "{said}");
    for words in ["the source kong_tcp_log 127.0.0.1:0 cannot speak TLS", "outrider ca issue", &path] {
        assert!(said.contains(words), "`{words}` is not in\n{said}");
    }
}
