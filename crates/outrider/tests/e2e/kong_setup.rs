//! `outrider kong setup` at a gateway that others use, too.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use outrider_practice::{Practice, Settings};
use serde_json::Value;

use crate::harness::{Outrider, Setup, assert_quiet, free_port, wait_for};

/// The exit status and everything that was said.
fn kong_setup(directory: &Path, more: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    // As a person would, from the directory of the configuration.
    command.args(["kong", "setup"]).args(more).current_dir(directory);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn the_log_is_brought_shown_kept_and_taken_away() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let admin = practice.admin();
    let plugins = || -> Vec<Value> {
        let (_, body) = runtime.block_on(admin.request("GET", "/plugins", None)).unwrap();
        let plugins = body["data"].as_array().unwrap().clone();
        plugins.into_iter().filter(|plugin| plugin["name"] == "tcp-log").collect()
    };
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        source_port: free_port(),
        source_more: "secret_file = 'kong.secret'\n".to_owned(),
        ..Setup::default()
    };
    std::fs::write(directory.path().join("outrider.toml"), setup.toml(&directory.path().join("data"))).unwrap();
    runtime.block_on(async {
        admin.service("shop", "http://shop.practice/", "/shop").await.unwrap();
        admin.key_auth("shop").await.unwrap();
        admin.consumer("alice", "key-alice").await.unwrap();
    });

    let (status, said) = kong_setup(directory.path(), &[]);
    assert_eq!(status, 3, "{said}");
    let secret_path = directory.path().join("kong.secret");
    let secret = std::fs::read_to_string(&secret_path).unwrap().trim().to_owned();
    assert_eq!(std::fs::metadata(&secret_path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(said.contains("POST /plugins") && said.contains("--yes") && !said.contains(&secret), "{said}");
    assert!(plugins().is_empty(), "nobody said yes");

    let (status, said) = kong_setup(directory.path(), &["--yes"]);
    assert_eq!(status, 0, "{said}");
    let made = plugins();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0]["config"]["custom_fields_by_lua"].as_object().unwrap().len(), 1);
    let (status, said) = kong_setup(directory.path(), &["--yes"]);
    assert!(status == 0 && said.contains("nothing to do"), "{said}");
    assert_eq!(plugins(), made);

    // The lines prove where they come from, and the proof goes no further.
    let outrider = Outrider::start(directory.path(), &setup);
    practice.refresh();
    runtime.block_on(async {
        let url = format!("http://{}/shop/items/7", practice.proxy_address());
        reqwest::Client::new().get(url).header("apikey", "key-alice").send().await.unwrap();
    });
    outrider.await_calls(1);
    let detect = wait_for("the status of the analysis", || {
        let status = outrider.get("/api/v1/status");
        let detect = status["platform"]["analysis"]["detect"].clone();
        (detect["calls"] == 1).then_some(detect)
    });
    assert_eq!(detect["untrusted"], 0, "{detect}");
    assert_quiet(&outrider.stop(), &[]);

    let (status, said) = kong_setup(directory.path(), &["--remove", "--yes"]);
    assert!(status == 0 && said.contains("DELETE /plugins/"), "{said}");
    assert!(plugins().is_empty());
    runtime.block_on(practice.stop());
}

#[test]
fn what_others_have_installed_is_named_and_left_alone() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let admin = practice.admin();
    let all = || runtime.block_on(admin.request("GET", "/plugins", None)).unwrap().1["data"].clone();
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        source_port: free_port(),
        ..Setup::default()
    };
    std::fs::write(directory.path().join("outrider.toml"), setup.toml(&directory.path().join("data"))).unwrap();
    let foreign = runtime.block_on(async {
        admin.service("shop", "http://shop.practice/", "/shop").await.unwrap();
        admin.service("bank", "http://shop.practice/", "/bank").await.unwrap();
        admin.tcp_log("127.0.0.1:1".parse().unwrap()).await.unwrap()
    });
    let before = all();
    let (status, said) = kong_setup(directory.path(), &["--yes"]);
    assert!(status == 1 && said.contains(&foreign) && said.contains("--service"), "{said}");
    assert_eq!(all(), before);
    let (status, said) = kong_setup(directory.path(), &["--service", "shpo", "--yes"]);
    assert!(status == 1 && said.contains("shop"), "{said}");

    let (status, said) = kong_setup(directory.path(), &["--service", "shop", "--service", "bank", "--yes"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(all().as_array().unwrap().len(), 3);
    // What is wanted is what is there: a service that is not named any more is let go.
    let (status, said) = kong_setup(directory.path(), &["--service", "bank", "--yes"]);
    assert!(status == 0 && said.contains("for service shop"), "{said}");
    assert_eq!(all().as_array().unwrap().len(), 2);
    let (status, said) = kong_setup(directory.path(), &["--remove", "--yes"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(all(), before);
    let (status, said) = kong_setup(directory.path(), &["--gateway", "other"]);
    assert!(status == 1 && said.contains("there are: kong"), "{said}");
    runtime.block_on(practice.stop());
}

#[test]
fn where_everything_is_taken_each_service_gets_its_own() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let admin = practice.admin();
    let all = || runtime.block_on(admin.request("GET", "/plugins", None)).unwrap().1["data"].clone();
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        source_port: free_port(),
        ..Setup::default()
    };
    std::fs::write(directory.path().join("outrider.toml"), setup.toml(&directory.path().join("data"))).unwrap();
    let run = |more: &[&str], expected: i32, words: &[&str]| {
        let (status, said) = kong_setup(directory.path(), more);
        assert_eq!(status, expected, "{said}");
        for word in words {
            assert!(said.contains(word), "`{word}` is not in\n{said}");
        }
    };
    let service = |name: &str| {
        runtime.block_on(admin.service(name, "http://shop.practice/", &format!("/{name}"))).unwrap();
    };
    let elsewhere = serde_json::json!({"name": "tcp-log", "config": {"host": "logstash", "port": 5000}});
    let theirs = runtime.block_on(admin.plugin("", elsewhere.clone())).unwrap();
    run(&["--per-service", "--yes"], 1, &["no services yet"]);
    service("legacy");
    let legacy = runtime.block_on(admin.plugin("/services/legacy", elsewhere)).unwrap();
    let before = all();
    run(&["--per-service", "--yes"], 1, &["nothing was changed"]);
    service("shop");
    service("bank");
    run(&["--yes"], 1, &["each of the 3 services", "--per-service", &theirs]);
    let takes = format!("takes from: plugin {theirs}, which logs everything to logstash:5000");
    run(&["--per-service"], 3, &[&takes, "POST /plugins, the same for service", "--yes"]);
    assert_eq!(all(), before);

    let legacy = format!("not logged: service `legacy` (plugin {legacy}), calls that match no route");
    run(&["--per-service", "--yes"], 0, &["logged: 2 services (", &legacy]);
    assert_eq!(all().as_array().unwrap().len(), 4);
    run(&["--per-service", "--yes"], 0, &["nothing to do", &legacy]);
    service("news");
    run(&["--per-service", "--yes"], 0, &["for service news", "logged: 3 services ("]);
    run(&["--remove", "--yes"], 0, &["DELETE /plugins/"]);
    assert_eq!(all(), before);
    run(&["--per-service", "--service", "shop"], 2, &["cannot be used with"]);
    runtime.block_on(practice.stop());
}
