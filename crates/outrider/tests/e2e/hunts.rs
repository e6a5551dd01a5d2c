//! A saved hunt in a running outrider, from the command line to an alert, over a kill.

use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{Outrider, Setup, assert_quiet, line, now_ms, wait_for};

fn hunt(running: &Outrider, arguments: &[&str]) -> Output {
    let config = running.config_path().to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    command.arg("hunt").args(arguments).args(["--config", config]).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn alerts(running: &Outrider) -> Vec<Value> {
    running.list("/api/v1/alerts?detector=hunt:refused-often")
}

#[test]
fn a_hunt_of_the_command_line_raises_one_alert_over_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { more: "[lake]\ncommit_interval_ms = 100\n".to_owned(), ..Setup::default() };
    let running = Outrider::start(directory.path(), &setup);
    let refused = |number| line("mallory", "GET", &format!("/shop/items/{number}"), 403, now_ms());
    running.send(&(0..25).map(refused).collect::<Vec<_>>());
    running.await_calls(25);
    let file = directory.path().join("hunt.toml");
    let text = "name = 'refused-often'\nevery = '5m'\nthreshold = 20\nask.search = 'status:401,403'\n";
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let tried = wait_for("the calls in the lake", || {
        let tried = said(&hunt(&running, &["run", "--file", path]));
        tried.contains(" 25").then_some(tried)
    });
    assert!(tried.starts_with("consumer   mallory "), "{tried}");
    assert!(alerts(&running).is_empty(), "to try raises nothing");

    said(&hunt(&running, &["add", path]));
    let [alert] = wait_for("the alert", || <[Value; 1]>::try_from(alerts(&running)).ok());
    assert_eq!((&alert["entity"]["label"], &alert["finding_count"]), (&"mallory".into(), &1.into()));
    let listed = said(&hunt(&running, &["list"]));
    assert!(listed.starts_with("refused-often ") && listed.contains("found 1, read "), "{listed}");
    let shown: Value = serde_json::from_str(&said(&hunt(&running, &["show", "refused-often"]))).unwrap();
    assert_eq!((&shown["failures"], &shown["last_run"]["figures"]["rows"]), (&0.into(), &25.into()), "{shown}");
    std::fs::write(&file, text.replace("status", "statu")).unwrap();
    let wrong = hunt(&running, &["add", path]);
    let words = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && words.contains("at byte 0: there is no field `statu`"), "{words}");

    running.kill();
    let running = Outrider::start(directory.path(), &setup);
    wait_for("the analysis to catch up", || {
        let status = running.get("/api/v1/status");
        (status["platform"]["caught_up"] == true).then_some(())
    });
    let [again] = alerts(&running).try_into().unwrap();
    assert_eq!((&again["id"], &again["finding_count"]), (&alert["id"], &1.into()));
    let covered = running.get("/api/v1/hunts/refused-often")["covered"].clone();
    assert_eq!(covered, shown["covered"], "where it was is where it goes on");
    said(&hunt(&running, &["remove", "refused-often"]));
    assert!(running.list("/api/v1/hunts").is_empty());
    // After a kill calls may be missing, which a notice says.
    assert_quiet(&running.stop(), &["calls_lost"]);
}
