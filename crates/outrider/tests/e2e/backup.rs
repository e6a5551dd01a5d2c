//! A backup of an outrider under load is restored, starts, and lacks nothing that was acknowledged before it began.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::harness::{Outrider, Setup, line, now_ms, wait_for};

fn outrider(arguments: &[&str], config: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    command.args(arguments).arg("--config").arg(config).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn a_backup_under_load_restores_to_a_state_that_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    // Small segments and frequent snapshots: the log is cut while it is copied.
    let more = "[log]\nsegment_bytes_max = 4096\n[snapshots]\ninterval_seconds = 1\n[lake]\ncommit_interval_ms = 100";
    let setup =
        Setup { admin_url: Some("http://127.0.0.1:9".to_owned()), more_at_end: more.to_owned(), ..Setup::default() };
    let running = Outrider::start(directory.path(), &setup);
    let body = json!({
        "target": {"kind": "consumer", "gateway": "kong", "value": "c-1"}, "duration": "permanent", "reason": "a test"
    });
    let (status, action) = running.request("POST", "/api/v1/actions", Some(&body));
    assert!(matches!(status, 200 | 201), "{status} {action}");
    let is_over = Arc::new(AtomicBool::new(false));
    let load = std::thread::spawn({
        let (is_over, address) = (Arc::clone(&is_over), running.sources[0]);
        move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let mut at = 0;
            while !is_over.load(Ordering::Relaxed) {
                let call = line("alice", "GET", &format!("/shop/items/{at}"), 200, now_ms());
                std::io::Write::write_all(&mut stream, format!("{call}\n").as_bytes()).unwrap();
                at += 1;
            }
        }
    });
    let progress = || running.get("/api/v1/status")["platform"].clone();
    wait_for("a log that was cut", || (progress()["log"]["first"].as_u64()? > 1).then_some(()));
    let acknowledged = progress()["progress"]["calls"].as_u64().unwrap();
    let to = directory.path().join("backup");
    let backup = outrider(&["backup", "--with-key", "--to", to.to_str().unwrap()], running.config_path());
    assert!(backup.status.success(), "{}", said(&backup));
    is_over.store(true, Ordering::Relaxed);
    load.join().unwrap();
    let again = outrider(&["backup", "--to", to.to_str().unwrap()], running.config_path());
    assert!(!again.status.success() && said(&again).contains("not empty"), "{}", said(&again));
    running.kill();

    for file in files_below(&to) {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    let from = to.to_str().unwrap();
    let other = tempfile::tempdir().unwrap();
    let config = other.path().join("outrider.toml");
    std::fs::write(&config, setup.toml(&other.path().join("data"))).unwrap();
    let checked = outrider(&["restore", "--check", "--from", from], &config);
    assert!(checked.status.success() && !other.path().join("data").exists(), "{}", said(&checked));
    // The key is in the backup, and there is one key only.
    let key = directory.path().join("data/pseudonym.key");
    for more in [&["--key", key.to_str().unwrap()][..], &["--new-key"]] {
        let refused = outrider(&[&["restore", "--from", from], more].concat(), &config);
        let words = format!("leave {} away", more[0]);
        assert!(!refused.status.success() && said(&refused).contains(&words), "{}", said(&refused));
        assert!(!other.path().join("data").exists(), "{more:?}: nothing is left half done");
    }
    let restored = outrider(&["restore", "--from", from], &config);
    assert!(restored.status.success(), "{}", said(&restored));
    let refused = outrider(&["restore", "--from", from], &config);
    assert!(!refused.status.success() && said(&refused).contains("nothing is overwritten"), "{}", said(&refused));

    // No token is in a backup; the store knows each by its hash, so the old one still opens the door.
    std::fs::copy(directory.path().join("token"), other.path().join("token")).unwrap();
    let running = Outrider::start(other.path(), &setup);
    running.await_calls(acknowledged);
    let actions = running.list("/api/v1/actions");
    assert_eq!((actions.len(), &actions[0]["id"]), (1, &action["id"]), "{actions:?}");
    wait_for("the lake", || {
        let rows = running.get("/api/v1/status")["platform"]["progress"].clone();
        (rows["lake_position"].as_u64()? >= rows["analysed_position"].as_u64()?.saturating_sub(5)).then_some(())
    });
    running.send(&[line("alice", "GET", "/shop/items/1", 200, now_ms())]);
    running.await_calls(acknowledged + 1);
    running.stop();

    // Any damage is noticed, and what says what is whole must be there.
    let damaged = files_below(&to).into_iter().find(|file| file.extension().is_some_and(|ext| ext == "seg")).unwrap();
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let checked = outrider(&["restore", "--check", "--from", from], &config);
    assert!(!checked.status.success() && said(&checked).contains("is damaged"), "{}", said(&checked));
    std::fs::remove_file(to.join("manifest.json")).unwrap();
    let checked = outrider(&["restore", "--check", "--from", from], &config);
    assert!(!checked.status.success() && said(&checked).contains("no whole backup"), "{}", said(&checked));
}
