//! `outrider kong setup` at a gateway that others use, too.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use outrider_practice::{AdminFault, Practice, Reach, Settings};
use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, assert_quiet, free_port, wait_for};

/// The exit status and everything that was said.
pub fn kong_setup(directory: &Path, more: &[&str]) -> (i32, String) {
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
    assert!(said.contains("POST /plugins") && said.contains("--yes"), "{said}");
    assert!(plugins().is_empty() && !secret_path.exists(), "nobody said yes");

    let (status, said) = kong_setup(directory.path(), &["--yes"]);
    assert_eq!(status, 0, "{said}");
    let secret = std::fs::read_to_string(&secret_path).unwrap().trim().to_owned();
    assert_eq!(std::fs::metadata(&secret_path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!said.contains(&secret), "{said}");
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
    let (status, said) = kong_setup(directory.path(), &["--remove", "--yes"]);
    assert!(status == 0 && said.contains("DELETE /plugins/"), "{said}");
    assert!(plugins().is_empty());
    let audit = outrider.list("/api/v1/audit?by=command%20line");
    let is_noted = |line: &Value| line["what"] == "removed the log plugins of" && line["subject"] == "kong";
    assert!(audit.iter().any(is_noted), "{audit:?}");
    assert_quiet(&outrider.stop(), &[]);
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
    let elsewhere = json!({"name": "tcp-log", "config": {"host": "logstash", "port": 5000}});
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

#[test]
fn a_setup_that_breaks_off_anywhere_is_finished_by_the_next_one() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let admin = practice.admin();
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        source_port: free_port(),
        source_more: "secret_file = 'kong.secret'\n".to_owned(),
        ..Setup::default()
    };
    std::fs::write(directory.path().join("outrider.toml"), setup.toml(&directory.path().join("data"))).unwrap();
    let services = ["shop", "bank", "news"];
    for name in services {
        runtime.block_on(admin.service(name, "http://shop.practice/", &format!("/{name}"))).unwrap();
    }
    let elsewhere = json!({"name": "tcp-log", "config": {"host": "logstash", "port": 5000}});
    runtime.block_on(admin.plugin("", elsewhere)).unwrap();
    let log_plugins = || -> Vec<Value> {
        let (_, body) = runtime.block_on(admin.request("GET", "/plugins", None)).unwrap();
        body["data"].as_array().unwrap().clone()
    };
    let before = log_plugins();
    let converges = |more: &[&str], name: &str| {
        let (status, said) = kong_setup(directory.path(), more);
        assert_eq!(status, 0, "{name}: {said}");
        let (status, said) = kong_setup(directory.path(), more);
        assert!(status == 0 && said.contains("nothing to do"), "{name}: {said}");
    };
    let faults = [AdminFault::Html(502), AdminFault::LostReply, AdminFault::HalfBody, AdminFault::Closed];
    for fault in faults {
        // The writes of a setup, then those of a removal.
        for (more, plugins) in [(["--per-service", "--yes"], services.len()), (["--remove", "--yes"], 0)] {
            for done in 0..services.len() as u64 {
                let name = format!("{fault:?} after {done} writes of {more:?}");
                practice.faults().admin(fault, Reach::WRITES.times(1).after(done));
                let (status, said) = kong_setup(directory.path(), &more);
                // A deletion is answered without a body, so there is none to halve.
                let is_whole = fault == AdminFault::HalfBody && plugins == 0;
                assert_eq!(status, i32::from(!is_whole), "{name}: {said}");
                assert_eq!(said.contains("running it again goes on from there"), !is_whole, "{name}: {said}");
                practice.faults().clear_admin();
                converges(&more, &name);
                let made = log_plugins();
                assert_eq!(made.len(), before.len() + plugins, "{name}: {made:#?}");
                let back = if plugins == 0 { "--per-service" } else { "--remove" };
                if done + 1 < services.len() as u64 {
                    converges(&[back, "--yes"], &name);
                }
            }
        }
        assert_eq!(log_plugins(), before, "{fault:?}: nothing of others was touched");
    }
    runtime.block_on(practice.stop());
}

/// As much of YAML as the page's file has: maps, lists and plain values, by indentation.
fn yaml(lines: &mut std::iter::Peekable<std::vec::IntoIter<(usize, String)>>, indent: usize) -> Value {
    let is_list = lines.peek().is_some_and(|(_, text)| text.starts_with("- "));
    let (mut map, mut list) = (serde_json::Map::new(), Vec::new());
    while let Some((_, text)) = lines.next_if(|(at, text)| *at == indent && text.starts_with("- ") == is_list) {
        let pair = text.trim_start_matches("- ").split_once(':');
        let Some((key, value)) = pair.map(|(key, value)| (key.to_owned(), value.trim().to_owned())) else {
            list.push(json!(text.trim_start_matches("- ")));
            continue;
        };
        let inner = lines.peek().map(|(at, _)| *at).filter(|at| *at > indent);
        let value = match inner {
            Some(inner) if value.is_empty() => yaml(lines, inner),
            _ => serde_json::from_str(&value).unwrap_or(Value::String(value)),
        };
        if is_list {
            // The item's first key stands behind its dash, and the others below it.
            let mut item = yaml(lines, indent + 2);
            item[key] = value;
            list.push(item);
        } else {
            map.insert(key, value);
        }
    }
    if is_list { Value::Array(list) } else { Value::Object(map) }
}

#[test]
fn what_the_page_says_of_a_plugin_made_by_hand_brings_trusted_lines() {
    const PAGE: &str = include_str!("../../../../docs/kong.md");
    const SECRET: &str = "0123456789abcdef";
    let between = |begin: &str, end: &str| PAGE.split_once(begin).unwrap().1.split_once(end).unwrap().0.to_owned();
    // The one of several lines: the file's plugin is made in one.
    let curl: Value = serde_json::from_str(&format!("{{{}", between("--json '{\n", "'\n```"))).unwrap();
    let file = between("```yaml\n", "```");
    let lines: Vec<_> =
        file.lines().map(|line| (line.len() - line.trim_start().len(), line.trim_start().to_owned())).collect();
    let file = yaml(&mut lines.into_iter().peekable(), 0);
    assert_eq!((&file["_format_version"], &file["_info"]["select_tags"]), (&json!("3.0"), &json!(["access-log"])));

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = Settings { state_update_frequency: std::time::Duration::ZERO, ..Settings::default() };
    let practice = runtime.block_on(Practice::start(settings)).unwrap();
    let admin = practice.admin();
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        source_port: free_port(),
        source_more: "secret_file = 'kong.secret'\n".to_owned(),
        ..Setup::default()
    };
    let secret = directory.path().join("kong.secret");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let outrider = Outrider::start(directory.path(), &setup);
    runtime.block_on(admin.service("shop", "http://shop.practice/", "/shop")).unwrap();
    for (calls, plugin) in (1..).zip([&curl, &file["plugins"][0]]) {
        assert_eq!((&plugin["name"], &plugin["config"]["port"]), (&json!("tcp-log"), &json!(9514)));
        let text = plugin.to_string().replace("9514", &setup.source_port.to_string()).replace("THE SECRET", SECRET);
        let made = runtime.block_on(admin.plugin("", serde_json::from_str(&text).unwrap())).unwrap();
        let (status, said) = kong_setup(directory.path(), &["--yes"]);
        assert!(status == 1 && said.contains(&format!("taken: plugin {made} of somebody else")), "{said}");
        let url = format!("http://{}/shop/items/7", practice.proxy_address());
        runtime.block_on(reqwest::Client::new().get(url).send()).unwrap();
        outrider.await_calls(calls);
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
        let report = command.args(["doctor", "--json", "--config"]).arg(outrider.config_path()).output().unwrap();
        let report: Value = serde_json::from_slice(&report.stdout).unwrap();
        assert_eq!(report["result"], "ok", "{report:#}");
        runtime.block_on(admin.delete(&format!("/plugins/{made}"))).unwrap();
    }
    assert_quiet(&outrider.stop(), &[]);
    runtime.block_on(practice.stop());
}
