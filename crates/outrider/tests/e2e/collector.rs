//! A collector in production: it takes another configuration while lines come in, opens no port of its own accord, and loses nothing
//! silently where its disk is full.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::faults::Mounted;
use crate::harness::{Outrider, Setup, free_port, line, now_ms, wait_for};
use crate::services::{Site, assert_calls};
use crate::services_apart::status;

/// The counters of a source.
fn source(collector: &Outrider, at: usize) -> Value {
    status(collector)["sources"][at]["counters"].clone()
}

/// A line with a source's secret.
fn proven(secret: &str) -> String {
    line("alice", "GET", "/shop/items/7?tenant=acme", 200, now_ms()).replacen(
        '{',
        &format!(r#"{{"outrider_key":"{secret}","who":"ann","#),
        1,
    )
}

#[test]
fn a_collector_takes_another_configuration_on_open_connections() {
    let site = Site::new();
    site.trust("ca");
    let platform = site.platform();
    site.identity("collector");
    let secret_file = site.path("kong.secret");
    let write_secret = |text: &str| {
        std::fs::write(&secret_file, text).unwrap();
        std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let toml = |port: u16, source_more: &str, more: &str| {
        format!(
            "data_dir = '{}'\n[[collector.sources]]\nkind = 'kong_tcp_log'\nlisten = '127.0.0.1:{port}'\n\
             secret_file = '{}'\n{source_more}\n{}{more}",
            site.text("collector/data"),
            secret_file.display(),
            site.uplink("collector")
        )
    };
    let port = free_port();
    let (first, second) = ("the-first-secret-of-two", "the-second-secret-of-two");
    write_secret(first);
    let collector = Outrider::start_as("collector", &site.path("collector"), &toml(port, "", ""));
    let mut kong = collector.connect();
    let mut sent = 0;
    let mut send = |secret: &str| {
        kong.write_all(format!("{}\n", proven(secret)).as_bytes()).unwrap();
        sent += 1;
        let counters = wait_for("the line at the source", || {
            let counters = source(&collector, 0);
            (counters["accepted"] == sent).then_some(counters)
        });
        (counters["untrusted"].as_u64().unwrap(), counters["fields"]["who"].as_u64())
    };
    assert_eq!((send(first), send(second)), ((0, None), (1, None)));

    let reload = |toml: &str, words: &str| {
        let before = collector.said(words);
        std::fs::write(collector.config_path(), toml).unwrap();
        collector.signal("-HUP");
        wait_for(words, || (collector.said(words) > before).then_some(()));
    };
    write_secret(&format!("{second}\n{first}\n"));
    let mapped = "fields = [{ name = 'who', value = 'line.who' }]";
    reload(&toml(port, mapped, "[logging]\nlevel = 'debug'\n"), "the configuration was reloaded");
    assert_eq!((send(first), send(second)), ((1, Some(1)), (1, Some(2))));

    // A mistake changes nothing, and what waits for a start is named.
    reload(&toml(port, "fields = [{ name = 'who', value = 'who' }]", ""), "there is no variable `who`");
    write_secret("short\n");
    reload(&toml(port, mapped, ""), "the secret in");
    write_secret(&format!("{second}\n"));
    assert_eq!((send(first), send(second)), ((1, Some(3)), (1, Some(4))));
    reload(
        &toml(free_port(), mapped, "[tracing]\nendpoint = 'http://127.0.0.1:9'\n"),
        "sections=\"collector, tracing\"",
    );
    reload(&toml(port, mapped, ""), "the configuration was reloaded");
    assert_eq!((send(first), send(second)), ((2, Some(5)), (2, Some(6))));

    assert_calls(&platform, 8);
    assert_eq!(source(&collector, 0)["connections_total"], 1);
    collector.stop();
    platform.stop();
}

/// The addresses at which a process listens, by the inodes of its sockets (proc(5)).
fn listening(outrider: &Outrider) -> Vec<SocketAddr> {
    let run: Value = serde_json::from_slice(&std::fs::read(outrider.data_dir.join("run.json")).unwrap()).unwrap();
    let process = PathBuf::from(format!("/proc/{}", run["pid"]));
    let sockets: Vec<String> = std::fs::read_dir(process.join("fd"))
        .unwrap()
        .filter_map(|entry| Some(std::fs::read_link(entry.ok()?.path()).ok()?.display().to_string()))
        .collect();
    let of_table = |name: &str| {
        let table = std::fs::read_to_string(process.join("net").join(name)).unwrap();
        let rows = table.lines().skip(1).map(|row| row.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let own = rows.filter(|row| row[3] == "0A" && sockets.contains(&format!("socket:[{}]", row[9])));
        own.map(|row| row[1].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of_table("tcp6"), [""; 0], "nothing here listens on IPv6");
    let mut addresses: Vec<SocketAddr> = of_table("tcp")
        .iter()
        .map(|place| {
            let (address, port) = place.split_once(':').unwrap();
            let address = u32::from_str_radix(address, 16).unwrap().swap_bytes();
            SocketAddr::from((std::net::Ipv4Addr::from_bits(address), u16::from_str_radix(port, 16).unwrap()))
        })
        .collect();
    addresses.sort();
    addresses
}

fn local(ports: &[u16]) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect();
    addresses.sort();
    addresses
}

#[test]
fn nothing_listens_but_what_is_configured() {
    let site = Site::new();
    site.trust("ca");
    let platform = site.platform();
    let api: SocketAddr = platform.api.strip_prefix("http://").unwrap().parse().unwrap();
    assert_eq!(listening(&platform), local(&[api.port(), site.port]));

    site.identity("collector");
    let (tcp, http, metrics) = (free_port(), free_port(), free_port());
    let log = site.path("calls.log");
    std::fs::write(&log, "").unwrap();
    let toml = |more: &str| {
        format!(
            "data_dir = '{}'\n[[collector.sources]]\nkind = 'kong_tcp_log'\nlisten = '127.0.0.1:{tcp}'\n\
             [[collector.sources]]\nkind = 'kong_http_log'\nlisten = '127.0.0.1:{http}'\n\
             [[collector.sources]]\nkind = 'kong_file_log'\ngateway = 'other'\npath = '{}'\n{}{more}",
            site.text("collector/data"),
            log.display(),
            site.uplink("collector")
        )
    };
    let directory = site.path("collector");
    let collector = Outrider::start_as("collector", &directory, &toml(""));
    assert_eq!(listening(&collector), local(&[tcp, http]));
    collector.stop();
    let with_metrics = toml(&format!("[metrics]\nlisten = '127.0.0.1:{metrics}'\n"));
    let collector = Outrider::start_as("collector", &directory, &with_metrics);
    assert_eq!(listening(&collector), local(&[tcp, http, metrics]));
    collector.stop();

    site.identity("responder");
    let responder = site.responder("responder", "http://127.0.0.1:9");
    assert_eq!(listening(&responder), []);
    responder.stop();
    platform.stop();

    let setup = Setup { source_port: free_port(), ..Setup::default() };
    let outrider = Outrider::start(&site.path("run"), &setup);
    let api: SocketAddr = outrider.api.strip_prefix("http://").unwrap().parse().unwrap();
    assert_eq!(listening(&outrider), local(&[api.port(), setup.source_port]));
    outrider.stop();
}

/// Sends lines as HTTP Log does; the status of the answer.
fn post(address: SocketAddr, lines: &[String]) -> u16 {
    let body = format!("[{}]", lines.join(","));
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

#[test]
fn a_full_disk_of_a_collector_loses_nothing_that_is_not_counted_and_refuses_what_can_come_again() {
    let site = Site::new();
    site.trust("ca");
    let data = site.path("collector/data");
    std::fs::create_dir_all(&data).unwrap();
    let Some(_mount) = Mounted::tmpfs(&data, "size=24m") else { return };
    let platform = site.platform();
    site.identity("collector");
    let toml = format!(
        "data_dir = '{}'\n[[collector.sources]]\nkind = 'kong_tcp_log'\nlisten = '127.0.0.1:0'\n\
         [[collector.sources]]\nkind = 'kong_http_log'\nlisten = '127.0.0.1:0'\n{}",
        data.display(),
        site.uplink("collector")
    );
    let collector = Outrider::start_as("collector", &site.path("collector"), &toml);
    let sent = Cell::new(0);
    let lines = |count: u64| -> Vec<String> {
        let first = sent.replace(sent.get() + count);
        (first..sent.get()).map(|at| line("alice", "GET", &format!("/shop/items/{at}"), 200, now_ms())).collect()
    };
    let http = collector.sources[1];
    collector.send(&lines(1));
    assert_eq!(post(http, &lines(1)), 200);
    assert_calls(&platform, 2);

    let filler = data.join("filler");
    drop(std::fs::write(&filler, vec![0u8; 64 << 20]));
    wait_for("lines of TCP Log dropped and counted", || {
        collector.send(&lines(200));
        (status(&collector)["spool"]["dropped_calls"].as_u64()? > 0).then_some(())
    });
    // What Kong can send again it is told to.
    let again = wait_for("lines of HTTP Log refused", || {
        let more = lines(200);
        (post(http, &more) == 503).then_some(more)
    });
    assert_eq!(source(&collector, 1)["refused"]["not_stored"], 1);
    std::fs::remove_file(&filler).unwrap();
    wait_for("the same lines stored", || (post(http, &again) == 200).then_some(()));
    assert_eq!(post(http, &again), 200, "and sent once more they are known");
    wait_for("lines of TCP Log taken again", || {
        let before = status(&collector)["spool"]["dropped_calls"].as_u64()?;
        collector.send(&lines(1));
        let settled = wait_for("every line in the accounts", || {
            let now = status(&collector);
            (now["accounts"]["received"] == sent.get() && now["accounts"]["in_hand"] == 0).then_some(now)
        });
        (settled["spool"]["dropped_calls"] == before).then_some(())
    });
    let accounts = wait_for("an empty spool", || {
        let accounts = status(&collector)["accounts"].clone();
        (accounts["spooled"] == 0).then_some(accounts)
    });
    let (shipped, dropped) = (&accounts["shipped"], &accounts["dropped"]["spool_refused"]);
    let (shipped, dropped) = (shipped.as_u64().unwrap(), dropped.as_u64().unwrap());
    assert_eq!((shipped + dropped, accounts["received"].as_u64().unwrap()), (sent.get(), sent.get()), "{accounts}");
    assert_calls(&platform, shipped);
    collector.stop();
    platform.stop();
}
