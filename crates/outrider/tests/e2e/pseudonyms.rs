//! Names and addresses that a setting makes pseudonyms: they are in nothing that a process keeps, says or sends, what they stand for
//! is told on the premises, and the key can be rotated while outrider runs.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use outrider_practice::{Practice, Settings};
use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, assert_quiet, now_ms, wait_for};
use crate::planted::files_below;

const HIDDEN: &str = "pseudonymise = ['consumer_username', 'consumer_custom_id', 'consumer_tags', 'client_address', 'service_name', \
                      'route_name']\n[lake]\ncommit_interval_ms = 300\n";
const PLANTED: [&str; 6] =
    ["planted-user", "planted-custom", "planted-tag", "planted-service", "planted-route", "198.51.100.77"];

fn call(consumer: &str, number: usize) -> String {
    json!({
        "request": {
            "id": format!("r{number}"), "method": "GET", "uri": format!("/shop/{number}?ip=198.51.100.77"),
            "headers": {"host": "shop.example", "x-forwarded-for": "198.51.100.77", "apikey": "key-planted"},
        },
        "response": {"status": 200}, "latencies": {"request": 3, "kong": 1, "proxy": 2},
        "client_ip": "198.51.100.77", "started_at": now_ms(), "source": "upstream",
        "route": {"id": "r-shop", "name": "planted-route"}, "service": {"id": "s-shop", "name": "planted-service"},
        "consumer": {"id": consumer, "username": "planted-user", "custom_id": "planted-custom", "tags": ["planted-tag"]},
        "authenticated_entity": {"id": "cred-1"},
    })
    .to_string()
}

/// A command beside the running process, with its exit status.
fn command(config: &Path, arguments: &[&str], input: &str) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_outrider"))
        .args(arguments)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn rows(data: &Path, statement: &str) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let output = command.args(["query", "--format", "json", "--data-dir"]).arg(data).arg(statement).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_hidden_is_nowhere_is_told_on_the_premises_and_outlives_its_key() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let admin = practice.admin();
    let consumer = runtime.block_on(async {
        admin.service("planted-service", "http://shop.practice/", "/shop").await.unwrap();
        let body = json!({"username": "planted-user", "custom_id": "planted-custom", "tags": ["planted-tag"]});
        let (status, made) = admin.request("POST", "/consumers", Some(&body)).await.unwrap();
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    });
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        more: HIDDEN.to_owned(),
        ..Setup::default()
    };
    let toml = setup.toml(&directory.path().join("data"));
    let talkative = [("OUTRIDER_LOG", "debug,outrider=trace")];
    let outrider = Outrider::start_with("run", directory.path(), &toml, &talkative);
    let data = outrider.data_dir.clone();
    outrider.send(&[call(&consumer, 0)]);
    outrider.await_calls(1);
    let shown = wait_for("the call in the lake", || {
        rows(&data, "SELECT consumer_id, consumer_name, client_ip, presented_credential FROM events").pop()
    });
    assert_eq!(shown["consumer_id"], *consumer, "without the id no action could be taken");
    let text = |row: &Value, column: &str| row[column].as_str().unwrap().to_owned();
    let (name, address) = (text(&shown, "consumer_name"), text(&shown, "client_ip"));
    let configuration = wait_for("the gateway's configuration", || {
        let (status, told) = outrider.request("GET", "/api/v1/gateways/kong/configuration", None);
        (status == 200).then(|| told.to_string())
    });
    assert!(configuration.contains(&consumer));
    assert!(configuration.contains(&name), "calls and configuration join: {name} is not in {configuration}");

    // The premises know what they stand for; the value in hand has the same pseudonym.
    let config = outrider.config_path().to_owned();
    assert_eq!(command(&config, &["pseudonym"], "planted-user").1.matches(&name).count(), 1);
    assert!(command(&config, &["pseudonym"], "198.51.100.77").1.contains(&address));
    let (status, said) = command(&config, &["directory", "lookup", &name], "");
    assert_eq!(
        (status, said),
        (0, format!("{name} user name \"planted-user\", consumer {consumer} of gateway kong\n"))
    );
    let (status, _) = command(&config, &["directory", "lookup", "ps_0000_00000000000000000000000000000000"], "");
    assert_eq!(status, 4);

    // A block is by id, and what the gateway holds of it is said without names.
    let body = json!({
        "target": {"kind": "consumer", "gateway": "kong", "value": consumer}, "duration": "1h", "reason": "a test",
        "response": {"kind": "block", "status": 403, "message": "Stop it"},
    });
    let (status, action) = outrider.request("POST", "/api/v1/actions", Some(&body));
    assert!(matches!(status, 200 | 201), "{action}");
    let path = format!("/api/v1/actions/{}", action["id"].as_str().unwrap());
    wait_for("the block at the gateway", || (outrider.get(&path)["state"] == "stored").then_some(()));

    // Another key: calls say what their values were before.
    assert_eq!(command(&config, &["key", "rotate"], "").0, 0);
    assert_eq!(command(&config, &["key", "rotate"], "").0, 1, "one overlap at a time");
    outrider.signal("-HUP");
    wait_for("the reload", || (outrider.said("the configuration was reloaded") == 1).then_some(()));
    outrider.send(&[call(&consumer, 1)]);
    outrider.await_calls(2);
    let mut places = vec![("configuration".to_owned(), configuration.into_bytes())];
    let after = wait_for("the second call in the lake", || {
        let all = rows(&data, "SELECT * FROM events ORDER BY received_time");
        (all.len() == 2).then_some(all)
    });
    let told = |name: &str| {
        let fields = after[1]["fields"].as_array().unwrap().iter();
        let mut values = fields.filter(|field| field["name"] == *name).map(|field| field["value"].clone());
        values.next().unwrap_or_else(|| panic!("no {name} in {}", after[1]))
    };
    for (field, column) in [
        ("former_consumer_name", "consumer_name"),
        ("former_client_ip", "client_ip"),
        ("former_presented_credential", "presented_credential"),
    ] {
        assert_eq!(told(field), after[0][column], "{field}");
        assert_ne!(after[0][column], after[1][column]);
    }
    // Pseudonyms of both keys are known.
    for wanted in [&name, &text(&after[1], "consumer_name")] {
        assert_eq!(command(&config, &["directory", "lookup", wanted], "").0, 0, "{wanted}");
    }

    for path in ["status", "endpoints", "alerts", "notices", "audit", "actions"] {
        places.push((path.to_owned(), outrider.get(&format!("/api/v1/{path}")).to_string().into_bytes()));
    }
    let mut shown = String::new();
    for row in after {
        let _ = writeln!(shown, "{row}");
    }
    places.push(("events".to_owned(), shown.into_bytes()));
    let said = outrider.stop();
    assert_quiet(&said, &[]);
    places.push(("its log".to_owned(), said.join("\n").into_bytes()));
    // The addresses are kept for the premises, in a file of their own.
    let book = data.join("addresses");
    assert_eq!(std::fs::read_to_string(&book).unwrap(), "198.51.100.77\n");
    assert_eq!(
        command(&config, &["directory", "lookup", &address], ""),
        (0, format!("{address} address 198.51.100.77\n"))
    );
    std::fs::remove_file(&book).unwrap();
    files_below(directory.path(), &mut places);
    assert!(places.iter().any(|(place, _)| place.contains("/log/")));
    for (place, bytes) in &places {
        let text = String::from_utf8_lossy(bytes);
        for planted in PLANTED {
            assert!(!text.contains(planted), "`{planted}` is in {place}");
        }
    }
    runtime.block_on(practice.stop());
}
