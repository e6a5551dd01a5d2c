//! What a person gets who makes a mistake.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::harness::{Outrider, Setup};

fn outrider(arguments: &[&str], config: Option<(&Path, &str)>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    command.args(arguments).stdin(Stdio::null());
    if let Some((directory, text)) = config {
        let path = directory.join("outrider.toml");
        std::fs::write(&path, text).unwrap();
        command.arg("--config").arg(path);
    }
    command.output().unwrap()
}

#[test]
fn mistakes_say_what_where_and_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap();
    let port_config = format!("[api]\nlisten = '{port}'\n");
    let source_config = format!(
        "[api]\nlisten='127.0.0.1:0'\n[[collector.sources]]\nkind='kong_tcp_log'\ngateway='k'\nlisten='{port}'\n"
    );
    let open_config = "[[collector.sources]]\nkind='kong_tcp_log'\ngateway='k'\nlisten='0.0.0.0:9514'\n";
    let port = port.to_string();
    let cases: [(&[&str], Option<&str>, &[&str]); 9] = [
        (&["run"], Some("data_dri = 'x'"), &["outrider.toml", "line 1", "did you mean `data_dir`"]),
        (&["check-config"], Some("[lake]\nenabled = 1"), &["line 2", "boolean"]),
        (&["run"], Some(&port_config), &[&port, "api.listen"]),
        (&["run"], Some(&source_config), &[&port]),
        (&["run"], Some(open_config), &["0.0.0.0:9514", "allow"]),
        (&["run", "--config", "/nowhere/outrider.toml"], None, &["/nowhere/outrider.toml", "--config"]),
        (&["replay", "/nowhere.gz", "--out", "/nowhere-out"], None, &["/nowhere.gz"]),
        (&["token", "create", "x", "--role", "king"], Some(""), &["king", "viewer"]),
        (&["frobnicate"], None, &["unrecognized subcommand", "--help"]),
    ];
    for (arguments, config, words) in cases {
        let directory = tempfile::tempdir().unwrap();
        let output = outrider(arguments, config.map(|text| (directory.path(), text)));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?} {config:?}");
        for word in words {
            assert!(said.contains(word), "{arguments:?} {config:?} said nothing of `{word}`:\n{said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn a_second_outrider_on_the_same_data_is_refused_with_the_first_ones_process() {
    let directory = tempfile::tempdir().unwrap();
    let first = Outrider::start(directory.path(), &Setup::default());
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let output = command.args(["run", "--config"]).arg(first.config_path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("in use by process"), "{said}");
    first.stop();
}

#[test]
fn tokens_are_made_listed_and_revoked_while_outrider_runs() {
    let directory = tempfile::tempdir().unwrap();
    let running = Outrider::start(directory.path(), &Setup::default());
    let config = running.config_path().to_str().unwrap();
    let made = outrider(&["token", "create", "grafana", "--role", "viewer", "--config", config], None);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |method: reqwest::Method, path: &str| {
        let request = reqwest::Client::new().request(method, format!("{}{path}", running.api)).bearer_auth(&token);
        runtime.block_on(async { request.send().await.unwrap().status().as_u16() })
    };
    assert_eq!(ask(reqwest::Method::GET, "/api/v1/alerts"), 200);
    assert_eq!(ask(reqwest::Method::GET, "/api/v1/tokens"), 403);
    let listed = outrider(&["token", "list", "--config", config], None);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("grafana") && !listed.contains(&token), "{listed}");
    assert!(outrider(&["token", "revoke", "grafana", "--config", config], None).status.success());
    assert_eq!(ask(reqwest::Method::GET, "/api/v1/alerts"), 401);
    running.stop();
}
