//! The log by Kong's HTTP Log: set up where the place of TCP Log is taken, and exact over kills, because the gateway keeps what
//! it was not told is stored.

use std::time::Duration;

use outrider_practice::{Practice, Settings};
use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, assert_quiet, free_port, line, now_ms, wait_for};
use crate::kong_setup::kong_setup;

/// A source of either kind, with one secret.
fn setup(practice: &Practice) -> (Setup, u16) {
    let (tcp, http) = (free_port(), free_port());
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        source_port: tcp,
        source_more: format!(
            "secret_file = 'kong.secret'\n[[collector.sources]]\nkind = 'kong_http_log'\nlisten = '127.0.0.1:{http}'\n\
             secret_file = 'kong.secret'\n"
        ),
        more: "[snapshots]\ninterval_seconds = 1\n[lake]\ncommit_interval_ms = 300\n".to_owned(),
        ..Setup::default()
    };
    (setup, http)
}

#[test]
fn where_the_place_of_tcp_log_is_taken_http_log_brings_the_log() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let admin = practice.admin();
    let all = || runtime.block_on(admin.request("GET", "/plugins", None)).unwrap().1["data"].clone();
    let directory = tempfile::tempdir().unwrap();
    let (both, http_port) = setup(&practice);
    let tcp_only = Setup { source_more: String::new(), ..both.clone() };
    let config = directory.path().join("outrider.toml");
    let run = |more: &[&str], expected: i32, words: &[&str]| {
        let (status, said) = kong_setup(directory.path(), more);
        assert_eq!(status, expected, "{said}");
        for word in words {
            assert!(said.contains(word), "`{word}` is not in\n{said}");
        }
        said
    };
    let theirs = json!({"name": "tcp-log", "config": {"host": "logstash", "port": 5000}});
    runtime.block_on(async {
        admin.service("shop", "http://shop.practice/", "/shop").await.unwrap();
        admin.plugin("", theirs).await.unwrap();
    });
    let before = all();

    // What it offers depends on what there is.
    std::fs::write(&config, tcp_only.toml(&directory.path().join("data"))).unwrap();
    run(&["--yes"], 1, &["--plugin http-log", "kind = \"kong_http_log\"", "--per-service"]);
    run(&["--plugin", "http-log", "--yes"], 1, &["`kind = \"kong_http_log\"`"]);
    std::fs::write(&config, both.toml(&directory.path().join("data"))).unwrap();
    let said = run(&["--yes"], 1, &["--plugin http-log, the log comes by HTTP Log"]);
    assert!(!said.contains("needs a source"), "{said}");
    assert_eq!(all(), before);

    let endpoint = format!("http://127.0.0.1:{http_port}/");
    run(&["--plugin", "http-log"], 3, &["POST /plugins", &endpoint, "(the secret)"]);
    assert_eq!(all(), before);
    run(&["--plugin", "http-log", "--yes"], 0, &["logged: 1 services (shop)"]);
    let secret = std::fs::read_to_string(directory.path().join("kong.secret")).unwrap().trim().to_owned();
    let made = all().as_array().unwrap().iter().find(|plugin| plugin["name"] == "http-log").unwrap().clone();
    assert_eq!(made["config"]["headers"], json!({"authorization": format!("Bearer {secret}")}));
    run(&["--plugin", "http-log", "--yes"], 0, &["nothing to do"]);

    // The lines come, and doctor says how.
    let outrider = Outrider::start(directory.path(), &both);
    practice.refresh();
    let call = |path: &str| {
        let url = format!("http://{}{path}", practice.proxy_address());
        runtime.block_on(async { reqwest::Client::new().get(url).send().await.unwrap() });
    };
    call("/shop/items/7");
    outrider.await_calls(1);
    let detect = outrider.get("/api/v1/status")["platform"]["analysis"]["detect"].clone();
    assert_eq!(detect["untrusted"], 0, "{detect}");
    let sources = outrider.get("/api/v1/status")["sources"].clone();
    assert_eq!(sources[1]["name"], format!("kong_http_log 127.0.0.1:{http_port}"));
    assert_eq!(sources[1]["counters"]["accepted"], 1, "{sources}");

    // Somebody else gives TCP Log up: the log can come by that, and HTTP Log goes, or calls would count twice.
    runtime.block_on(async {
        let (_, plugins) = admin.request("GET", "/plugins", None).await.unwrap();
        let plugins = plugins["data"].as_array().unwrap().clone();
        let theirs =
            plugins.iter().find(|plugin| plugin["name"] == "tcp-log").unwrap()["id"].as_str().unwrap().to_owned();
        admin.delete(&format!("/plugins/{theirs}")).await.unwrap();
    });
    run(&["--plugin", "tcp-log", "--yes"], 0, &["(http-log for everything)", "POST /plugins"]);
    let names: Vec<Value> = all().as_array().unwrap().iter().map(|plugin| plugin["name"].clone()).collect();
    assert_eq!(names, ["tcp-log"]);
    practice.refresh();
    call("/shop/items/8");
    outrider.await_calls(2);
    run(&["--remove", "--yes"], 0, &["DELETE /plugins/"]);
    assert_eq!(all(), json!([]));
    assert_quiet(&outrider.stop(), &[]);
    runtime.block_on(practice.stop());
}

#[test]
fn what_was_stored_before_a_kill_counts_once_when_it_comes_again() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let more = "[[collector.sources]]\nkind = 'kong_http_log'\nlisten = '127.0.0.1:0'\n";
    let setup = Setup { source_more: more.to_owned(), ..Setup::default() };
    let lines = (0..3).map(|number| line("alice", "GET", &format!("/items/{number}"), 200, now_ms()));
    let lines: Vec<String> = lines.collect();
    let body = format!("[{}]", lines.join(","));
    let post = |outrider: &Outrider| -> Value {
        let request = reqwest::Client::new().post(format!("http://{}/", outrider.sources[1])).body(body.clone());
        runtime.block_on(async { request.send().await.unwrap().json().await.unwrap() })
    };
    let outrider = Outrider::start(directory.path(), &setup);
    assert_eq!(post(&outrider), json!({"stored": 3, "duplicates": 0, "rejected": 0}));
    // The answer might have been lost here.
    outrider.kill();
    let outrider = Outrider::start(directory.path(), &setup);
    assert_eq!(post(&outrider), json!({"stored": 0, "duplicates": 3, "rejected": 0}));
    outrider.await_calls(3);
    assert_eq!(outrider.get("/api/v1/status")["platform"]["progress"]["calls"], 3);
    outrider.stop();
}

#[test]
fn kills_lose_no_call_that_the_gateway_keeps_and_double_none() {
    const KILLS: usize = 6;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let admin = practice.admin();
    let directory = tempfile::tempdir().unwrap();
    let (both, _) = setup(&practice);
    std::fs::write(directory.path().join("outrider.toml"), both.toml(&directory.path().join("data"))).unwrap();
    runtime.block_on(admin.service("shop", "http://shop.practice/", "/shop")).unwrap();
    let (status, said) = kong_setup(directory.path(), &["--plugin", "http-log", "--yes"]);
    assert_eq!(status, 0, "{said}");
    practice.refresh();

    // Clients call without a pause, whatever becomes of outrider.
    let (stop, client) = (tokio_util::sync::CancellationToken::new(), reqwest::Client::new());
    let clients = (0..4u32).map(|number| {
        let (stop, client, address) = (stop.clone(), client.clone(), practice.proxy_address());
        runtime.spawn(async move {
            let mut calls = 0u64;
            while !stop.is_cancelled() {
                calls += 1;
                let url = format!("http://{address}/shop/items/{number}-{calls}");
                client.get(url).send().await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            calls
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut analysed = 0;
    for round in 0..KILLS {
        let outrider = Outrider::start(directory.path(), &both);
        wait_for("calls to be stored", || {
            let status = outrider.get("/api/v1/status");
            analysed = status["platform"]["progress"]["calls"].as_u64()?.max(analysed);
            (status["sources"][1]["counters"]["accepted"].as_u64()? > 50 * round as u64).then_some(())
        });
        outrider.kill();
    }
    let outrider = Outrider::start(directory.path(), &both);
    stop.cancel();
    let made: u64 = clients.into_iter().map(|client| runtime.block_on(client).unwrap()).sum();
    runtime.block_on(practice.logs_settled());
    outrider.await_calls(made);
    let status = outrider.get("/api/v1/status");
    assert_eq!(status["platform"]["progress"]["calls"], made, "each call counts once");
    assert!(analysed > 0);
    assert_eq!(practice.counts().lines_lost, 0);
    outrider.stop();
    runtime.block_on(practice.stop());
}
