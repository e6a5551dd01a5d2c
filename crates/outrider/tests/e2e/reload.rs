//! Another configuration is put in force while lines come in, and a wrong one changes nothing. A stop under load loses
//! nothing either.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::{Outrider, Setup, assert_quiet, gaps, line, now_ms, wait_for};
use crate::services::assert_calls;

fn policy(name: &str) -> String {
    format!(
        "[[policies]]\nname = '{name}'\nrespond = {{ kind = 'block' }}\nduration = '15m'\n\
         when = {{ detectors = ['request_spike'] }}\n"
    )
}

fn hook(name: &str) -> String {
    format!(
        "[[notify]]\nkind = 'webhook'\nname = '{name}'\nurl = 'http://127.0.0.1:9/x'\nsecret_file = '{name}.secret'\n"
    )
}

#[test]
fn a_reload_changes_what_it_can_and_loses_no_line() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { more_at_end: policy("first") + &hook("one"), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &setup);
    let mut connection = outrider.connect();
    let mut sent = 0;
    let mut send = || {
        let call = line("alice", "GET", &format!("/shop/items/{sent}"), 200, now_ms());
        connection.write_all(format!("{call}\n").as_bytes()).unwrap();
        sent += 1;
        outrider.await_calls(sent);
    };
    let policies = || {
        let rows = outrider.list("/api/v1/policies").into_iter();
        rows.map(|row| row["policy"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let destinations = || {
        let status = outrider.get("/api/v1/status");
        let destinations = status["platform"]["notify"].as_array().unwrap().clone();
        destinations.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    send();
    assert_eq!((policies(), destinations()), (vec!["first".to_owned()], vec!["one".to_owned()]));

    let write = |setup: &Setup| {
        std::fs::write(outrider.config_path(), setup.toml(&outrider.data_dir)).unwrap();
        outrider.signal("-HUP");
    };
    let second = Setup { more_at_end: policy("second") + &hook("two"), ..Setup::default() };
    write(&second);
    wait_for("the reload", || (outrider.said("the configuration was reloaded") == 1).then_some(()));
    wait_for("the other policy", || (policies() == ["second"]).then_some(()));
    assert_eq!(destinations(), ["two"]);
    send();

    write(&Setup { more: "[detect.request_spike]\nwarmup_minuts = 1".to_owned(), ..second.clone() });
    wait_for("the refusal", || (outrider.said("did you mean `warmup_minutes`?") == 1).then_some(()));
    write(&Setup { more_at_end: second.more_at_end.clone() + "[lake]\nenabled = false", ..second.clone() });
    wait_for("what waits", || (outrider.said("after a restart sections=\"lake\"") == 1).then_some(()));
    assert_eq!((policies(), destinations()), (vec!["second".to_owned()], vec!["two".to_owned()]));
    send();
    assert_quiet(&outrider.stop(), &["the configuration was not reloaded", "after a restart sections=\"lake\""]);
}

/// How many lines are on their way when a stop comes: more than any part holds at once.
const LINES: u64 = 3_000;

#[test]
fn what_was_sent_before_a_stop_is_there_once_after_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let outrider = Outrider::start(directory.path(), &Setup::default());
    let mut connections: Vec<_> = (0..8).map(|_| outrider.connect()).collect();
    let count = connections.len();
    for at in 0..LINES {
        let call = line("alice", "GET", &format!("/shop/items/{at}"), 200, now_ms());
        connections[at as usize % count].write_all(format!("{call}\n").as_bytes()).unwrap();
    }
    assert_quiet(&outrider.stop(), &[]);
    let outrider = Outrider::start(directory.path(), &Setup::default());
    assert_calls(&outrider, LINES);
    let log = outrider.data_dir.join("log");
    assert_quiet(&outrider.stop(), &[]);
    assert_eq!(gaps(&log), []);
}

#[test]
fn reloads_lose_no_line_of_who_sends_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let outrider = Outrider::start(directory.path(), &Setup::default());
    let is_over = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut connection, mut sent) = (outrider.connect(), 0);
            while !is_over.load(Ordering::Relaxed) {
                let call = line("alice", "GET", &format!("/shop/items/{sent}"), 200, now_ms());
                connection.write_all(format!("{call}\n").as_bytes()).unwrap();
                sent += 1;
                // A thousand lines a second are load enough; more than the machine can take would be dropped and counted.
                std::thread::park_timeout(Duration::from_millis(1));
            }
            sent
        });
        for reload in 1..=20 {
            outrider.signal("-HUP");
            wait_for("the reload", || (outrider.said("the configuration was reloaded") >= reload).then_some(()));
        }
        is_over.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    assert!(sent > 20, "only {sent} lines were sent meanwhile");
    assert_calls(&outrider, sent);
    let log = outrider.data_dir.join("log");
    assert_quiet(&outrider.stop(), &[]);
    assert_eq!(gaps(&log), []);
}
