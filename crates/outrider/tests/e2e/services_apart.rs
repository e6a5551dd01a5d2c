//! What the three services say of each other, and what happens at their limits: certificates, a full spool, doctor.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Outrider, free_port, line, now_ms, wait_for};
use crate::services::{Site, assert_calls, await_accepted, lines, outrider, write_expired};

/// What a running service says through its local socket.
pub fn status(service: &Outrider) -> Value {
    let mut document = String::new();
    UnixStream::connect(service.data_dir.join("local.sock")).unwrap().read_to_string(&mut document).unwrap();
    serde_json::from_str(&document).unwrap()
}

/// What the socket for the metrics of a collector or responder gives.
fn metrics(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    answer
}

/// One check of doctor, beside the service of this configuration.
fn doctor(config: &Path, id: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let output = command.args(["doctor", "--json", "--config"]).arg(config).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("no {id} in {report:#}")).clone()
}

fn await_check(config: &Path, id: &str, result: &str, words: &str) -> Value {
    wait_for(&format!("{id} {result}: {words}"), || {
        let check = doctor(config, id);
        (check["result"] == result && check["seen"].as_str()?.contains(words)).then_some(check)
    })
}

#[test]
fn a_certificate_that_the_platform_refuses_is_named_and_can_be_swapped() {
    let site = Site::new();
    site.trust("ca");
    let platform = site.platform();
    site.identity("collector");
    let collector = site.collector();
    let config = collector.config_path().to_owned();
    collector.send(&lines(2));
    assert_calls(&platform, 2);
    await_check(&config, "link.platform", "ok", "it answers since");
    assert_eq!(doctor(&config, "link.certificate")["result"], "ok");
    assert_eq!(doctor(platform.config_path(), "link.service")["result"], "ok");

    let (_, metrics) = platform.request("GET", "/metrics", None);
    let page = include_str!("../../../../docs/metrics.md")
        .lines()
        .filter_map(|row| row.strip_prefix("| `")?.split('`').next());
    for name in page.filter(|name| name.starts_with("outrider_service_")) {
        let sample = format!("{name}{{service=\"collector\"}} ");
        assert!(metrics.as_str().unwrap().contains(&sample), "`{sample}` is not in {metrics}");
    }
    for name in ["connections", "requests", "refused", "unauthorized", "failed"] {
        let sample = format!("outrider_premises_{name}_total ");
        assert!(metrics.as_str().unwrap().contains(&sample), "`{sample}` is not in {metrics}");
    }
    let expiry = format!("outrider_certificate_expiry_seconds{{file=\"{}\"}} ", site.text("ca/127.0.0.1.pem"));
    assert!(metrics.as_str().unwrap().contains(&expiry), "`{expiry}` is not in {metrics}");
    assert_eq!(doctor(platform.config_path(), "link.certificate")["result"], "ok");

    let (certificate, key) = (site.path("ca/edge.pem"), site.path("ca/edge.key"));
    let good = (std::fs::read(&certificate).unwrap(), std::fs::read(&key).unwrap());
    let back = || {
        std::fs::write(&key, &good.1).unwrap();
        std::fs::write(&certificate, &good.0).unwrap();
        await_check(&config, "link.platform", "ok", "it answers since");
    };
    // Of another authority.
    site.authority("ca-2");
    outrider(&["ca", "issue", "--dir", &site.text("ca-2"), "--out", &site.text("ca-2"), "--client", "edge"]);
    std::fs::copy(site.path("ca-2/edge.key"), &key).unwrap();
    std::fs::copy(site.path("ca-2/edge.pem"), &certificate).unwrap();
    collector.send(&lines(3));
    let check = await_check(&config, "link.platform", "failed", "refuses this service's certificate");
    assert!(check["todo"].as_str().unwrap().contains("outrider ca issue --client"), "{check}");
    back();
    assert_calls(&platform, 5);
    // Of the right one, and too old.
    write_expired(&site.path("ca"), &certificate, &key);
    await_check(&config, "link.platform", "failed", "(CertificateExpired)");
    assert_eq!(doctor(&config, "link.certificate")["result"], "failed");
    back();
    // None at all.
    let toml = std::fs::read_to_string(&config).unwrap();
    let without = toml.lines().filter(|line| !line.starts_with("certificate_file") && !line.starts_with("key_file"));
    let without = without.collect::<Vec<_>>().join("\n");
    collector.stop();
    let collector = Outrider::start_as("collector", &site.path("collector"), &without);
    await_check(&config, "link.platform", "failed", "(CertificateRequired)");
    collector.stop();

    // A broken file at the platform changes nothing, and each reload says so.
    let own = site.path("ca/127.0.0.1.pem");
    let whole = std::fs::read(&own).unwrap();
    std::fs::write(&own, "-----BEGIN CERTIFICATE-----\nno\n").unwrap();
    for told in 1..=2 {
        platform.signal("-HUP");
        wait_for("the refusal of the broken certificate", || {
            (platform.said("the new certificate is not used; the one before stays in force") >= told).then_some(())
        });
    }
    let collector = site.collector();
    collector.send(&lines(1));
    assert_calls(&platform, 6);
    std::fs::write(&own, whole).unwrap();
    collector.stop();
    platform.stop();
}

#[test]
fn a_full_spool_gives_up_its_oldest_calls_counts_them_and_says_so() {
    const BYTES_MAX: u64 = 64 * 1024;
    let site = Site::new();
    site.trust("ca");
    let platform = site.platform();
    site.identity("collector");
    platform.kill();
    let collector = site.collector();
    let toml = std::fs::read_to_string(collector.config_path()).unwrap();
    let began_ms = now_ms();
    collector.send(&lines(20));
    await_accepted(&collector, 20);
    collector.stop();
    let port = free_port();
    let toml = format!(
        "{toml}[log]\nsegment_bytes_max = 16384\ntotal_bytes_max = {BYTES_MAX}\n[metrics]\nlisten = '127.0.0.1:{port}'\n"
    );
    let collector = Outrider::start_as("collector", &site.path("collector"), &toml);

    let mut sent = 0;
    let given_up = || status(&collector)["spool"]["given_up_calls"]["for_room"].as_u64().unwrap();
    while given_up() == 0 || sent % 100 != 0 {
        assert!(sent < 20_000, "a spool of {BYTES_MAX} bytes holds {sent} calls");
        let calls: Vec<_> =
            (0..10).map(|at| line("alice", "GET", &format!("/shop/items/{}", sent + at), 200, now_ms())).collect();
        collector.send(&calls);
        sent += 10;
        wait_for("the calls at the source", || {
            (status(&collector)["sources"][0]["counters"]["accepted"] == sent).then_some(())
        });
    }
    let spool = std::fs::read_dir(collector.data_dir.join("spool")).unwrap();
    let bytes: u64 = spool.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= BYTES_MAX, "{bytes} bytes");
    let seen = &status(&collector)["spool"];
    assert!(seen["bytes"].as_u64().unwrap() <= BYTES_MAX && seen["waiting_since_ms"].is_i64(), "{seen}");
    assert_eq!(seen["dropped_calls"], 0, "none was refused");
    let config = collector.config_path().to_owned();
    let check = await_check(&config, "link.spool", "failed", "were given up for newer ones");
    assert!(check["todo"].as_str().unwrap().contains("log.total_bytes_max"), "{check}");
    collector.send(&["no call".to_owned()]);
    let accounts = wait_for("every line in the accounts", || {
        let accounts = status(&collector)["accounts"].clone();
        (accounts["rejected"]["not_json"] == 1 && accounts["in_hand"] == 0).then_some(accounts)
    });
    let of = |name: &str| accounts[name].as_u64().unwrap();
    assert_eq!((of("received"), of("at_start"), of("shipped")), (sent + 1, 20, 0), "{accounts}");
    assert_eq!(of("spooled") + accounts["dropped"]["spool_full"].as_u64().unwrap(), sent + 20, "{accounts}");
    await_check(&config, "link.accounts", "ok", "1 no calls");

    // Everything else comes to the platform, in order and once, the newest too, and the rest is counted there, too.
    let platform = site.platform();
    platform.await_calls(1);
    let shipped = wait_for("an empty spool", || {
        let now = status(&collector);
        let is_empty = now["spool"]["records_waiting"] == 0 && now["accounts"]["spooled"] == 0;
        is_empty.then(|| now["accounts"]["shipped"].as_u64().unwrap())
    });
    assert_eq!(shipped + given_up(), sent + 20);
    assert_calls(&platform, shipped);
    let newest = format!("/shop/items/{}", sent - 1);
    wait_for("the newest call", || {
        let found = platform.list(&format!("/api/v1/search?q=path:{newest}"));
        (found.len() == 1).then_some(())
    });
    collector.send(&lines(1));
    assert_calls(&platform, shipped + 1);
    assert_eq!(platform.get("/api/v1/status")["platform"]["log"]["missing_calls"], given_up());
    let samples = [
        format!("outrider_spool_given_up_for_room_calls_total {}.0", given_up()),
        format!("outrider_spool_shipped_calls_total {}.0", shipped + 1),
        "outrider_spool_refused_calls_total 0.0".to_owned(),
        "outrider_spool_waiting_records 0.0".to_owned(),
        "outrider_spool_waiting_calls 0.0".to_owned(),
        "outrider_link_connected 1.0".to_owned(),
        format!("outrider_collector_calls_total{{source=\"kong_tcp_log {}\"}} {}.0", collector.sources[0], sent + 1),
    ];
    for sample in samples {
        wait_for(&sample, || metrics(port).lines().any(|line| line == sample).then_some(()));
    }
    wait_for("the collector's own trouble at the platform", || {
        let notices = platform.list("/api/v1/notices?state=open");
        notices.iter().any(|notice| notice["subject"] == "collector: spool").then_some(())
    });
    // The gap is where the calls were, and every timeline of that time tells it.
    let gaps = platform.list("/api/v1/gaps?gateway=kong");
    let gap = gaps.iter().find(|gap| gap["kind"] == "calls_dropped").unwrap();
    assert!((began_ms..now_ms()).contains(&gap["since_ms"].as_i64().unwrap()), "{began_ms}: {gap}");
    assert!(gap["detail"].as_str().unwrap().contains("; those that the spool gave up came from 20"), "{gap}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let told = command.args(["timeline", "consumer:nobody", "--config"]).arg(platform.config_path()).output().unwrap();
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("calls may be missing from 20") && told.contains(" to now: "), "{told}");
    collector.stop();
    platform.stop();
}

#[test]
fn a_first_start_without_a_platform_is_told_of_and_can_be_given_up() {
    let site = Site::new();
    site.trust("ca");
    std::fs::write(site.path("responder.token"), "none").unwrap();
    let config = site.path("outrider.toml");
    let port = free_port();
    let toml = format!(
        "data_dir = '{}'\n[[gateways]]\nname = 'kong'\nadmin_url = 'http://127.0.0.1:9'\n{}[metrics]\nlisten = '127.0.0.1:{port}'\n",
        site.text("data"),
        site.uplink("responder")
    );
    std::fs::write(&config, toml).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let mut child = command
        .args(["responder", "--config"])
        .arg(&config)
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let check = await_check(&config, "link.platform", "failed", "cannot be reached");
    assert!(check["todo"].as_str().unwrap().contains("is the platform running"), "{check}");
    assert_eq!(doctor(&config, "process.running")["result"], "ok");
    assert!(metrics(port).lines().any(|line| line == "outrider_link_connected 0.0"), "{}", metrics(port));
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let ended = wait_for("the end of the responder", || child.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
}

#[test]
fn an_all_in_one_takes_services_of_other_places_and_people_over_tls() {
    let site = Site::new();
    site.trust("ca");
    let (ca, data) = (site.text("ca"), site.text("platform/data"));
    let files = format!("certificate_file = '{ca}/127.0.0.1.pem'\nkey_file = '{ca}/127.0.0.1.key'\n");
    let toml = format!(
        "data_dir = '{data}'\n[api]\nlisten = '127.0.0.1:0'\n{files}[premises]\nlisten = '127.0.0.1:{}'\n{files}\
         client_ca_file = '{ca}/ca.pem'\n[[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = 'near'\nlisten = '127.0.0.1:0'\n",
        site.port
    );
    let all = Outrider::start_as("run", &site.path("platform"), &toml);
    site.identity("collector");
    let collector = site.collector();
    let authority = reqwest::Certificate::from_pem(&std::fs::read(site.path("ca/ca.pem")).unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = |scheme: &str| all.api.replace("http://", &format!("{scheme}://")) + "/api/v1/status";
    let calls = || {
        let answer = runtime.block_on(async {
            client.get(url("https")).bearer_auth(all.token()).send().await.unwrap().json::<Value>().await.unwrap()
        });
        answer["platform"]["progress"]["calls"].as_u64().unwrap()
    };
    all.send(&lines(2));
    collector.send(&lines(3));
    wait_for("the calls of both places", || (calls() == 5).then_some(()));
    let stranger = reqwest::Client::new();
    assert!(runtime.block_on(client.get(url("http")).send()).is_err(), "no one speaks plainly there");
    assert!(runtime.block_on(stranger.get(url("https")).send()).is_err(), "nor without knowing the authority");
    collector.stop();
    all.stop();
}

#[test]
fn a_backup_of_a_service_is_refused_with_what_to_copy() {
    let site = Site::new();
    let source = "[[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = 'kong'\n";
    let gateway = "[[gateways]]\nname = 'kong'\nadmin_url = 'http://127.0.0.1:9'\n";
    for (section, words) in [(source, "pseudonym.key"), (gateway, "installation")] {
        let config = site.path("outrider.toml");
        let toml = format!("data_dir = '{}'\n{section}{}", site.text("data"), site.uplink("x"));
        std::fs::write(&config, toml).unwrap();
        let to = site.text("backup");
        for arguments in [["backup", "--to", &to], ["restore", "--from", &to]] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
            let output = command.args(arguments).arg("--config").arg(&config).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains(words) && said.contains("copy"), "{arguments:?}: {said}");
        }
        assert!(!site.path("backup").exists() && !site.path("data").exists(), "nothing is made");
    }
}
