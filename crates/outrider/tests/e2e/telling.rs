//! Somebody is told: a signed message arrives for a notice that a crash brings about, and `notify test` tries it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;

use serde_json::Value;

use crate::harness::{MACHINE_NOTICE, Outrider, PATIENCE, Setup};

/// Answers every request with 200 and hands on its headers and its body.
fn receiver() -> (String, mpsc::Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, messages) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            if body["data"]["kind"] != MACHINE_NOTICE {
                drop(sender.send((head, body)));
            }
        }
    });
    (url, messages)
}

/// Every family of the page is there, and has numbers unless nothing of its kind happens in this test.
fn assert_every_metric_has_a_source(metrics: &str) {
    let page = include_str!("../../../../docs/metrics.md");
    let quiet = [
        "outrider_collector_rejected",
        "outrider_collector_dropped",
        "outrider_collector_requests_refused",
        "outrider_collector_connections_refused",
        "outrider_collector_field_",
        "outrider_collector_file_",
        "outrider_responder_",
        "outrider_service_",
        "outrider_certificate_",
        "outrider_premises_",
        "outrider_link_",
        "outrider_spool_",
    ];
    let names = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    for name in names.filter(|name| !quiet.iter().any(|quiet| name.starts_with(quiet))) {
        let has_number = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        assert!(metrics.lines().any(has_number), "`{name}` has no number in {metrics}");
    }
}

#[test]
fn a_crash_is_told_by_a_signed_message_and_closes_nothing_by_another() {
    let (url, messages) = receiver();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("hosting.txt"), "AS64496\n").unwrap();
    let geo = concat!(env!("CARGO_MANIFEST_DIR"), "/../platform/tests/platform/fixtures/geo/GeoLite2-City-Test.mmdb");
    let more = format!(
        "[[notify]]\nkind = 'webhook'\nname = 'on-call'\nurl = '{url}'\nsecret_file = 'hook-secret'\n\
         [tracing]\nendpoint = 'http://127.0.0.1:9'\n\
         [enrich]\ndatabases = ['{geo}']\n[[enrich.lists]]\nclass = 'hosting'\nfile = 'hosting.txt'\n"
    );
    let setup = Setup { more_at_end: more, ..Setup::default() };
    Outrider::start(directory.path(), &setup).kill();
    let outrider = Outrider::start(directory.path(), &setup);
    let (head, body) = messages.recv_timeout(PATIENCE).unwrap();
    assert_eq!(body["type"], "notice.opened", "{body}");
    assert_eq!(body["data"]["kind"], "calls_lost", "{body}");
    assert!(head.contains("webhook-id: msg_") && head.contains("webhook-signature: v1,"), "{head}");
    let secret = std::fs::read_to_string(directory.path().join("hook-secret")).unwrap();
    assert!(secret.starts_with("whsec_"));
    let open = outrider.list("/api/v1/notices?state=open");
    assert_eq!((open.len(), &open[0]["kind"]), (1, &body["data"]["kind"]), "{open:?}");
    let status = outrider.get("/api/v1/status");
    let kinds = status["notices"].as_array().unwrap().iter().map(|notice| &notice["kind"]);
    assert_eq!(kinds.filter(|kind| **kind != MACHINE_NOTICE).collect::<Vec<_>>(), ["calls_lost"]);

    let (_, metrics) = outrider.request("GET", "/metrics", None);
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("outrider_notice_open{kind=\"calls_lost\",subject=\"log\"} 1.0"), "{metrics}");
    assert_every_metric_has_a_source(metrics);

    let test = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
        command.args(["notify", "test", name, "--config"]).arg(outrider.config_path()).output().unwrap()
    };
    assert!(test("on-call").status.success());
    assert_eq!(messages.recv_timeout(PATIENCE).unwrap().1["type"], "outrider.test");
    let refused = test("oncall");
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("there are on-call"));
    outrider.stop();
}
