//! Posture over HTTP and on the command line: a service that is open to anybody is found, told, left for a while, and over; one that is
//! as it should be has nothing.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, assert_quiet, line, now_ms, wait_for};

/// What is judged and what is over within minutes of this test.
const QUICK: &str =
    "[posture]\nfixed_after_calls = 10\nfixed_after_minutes = 1\n[inventory]\nreport_every_epochs = 1\n";

fn run(config: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let output = command.args(arguments).arg("--config").arg(config).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A call of a service, by somebody or by anybody.
fn call(service: &str, path: &str, by: Option<&str>, at_ms: i64) -> String {
    let mut call: Value = serde_json::from_str(&line(by.unwrap_or("nobody"), "GET", path, 200, at_ms)).unwrap();
    call["service"] = json!({"id": format!("s-{service}"), "name": service});
    call["route"] = json!({"id": format!("r-{service}"), "name": service});
    call["request"]["url"] = format!("https://{service}.example{path}").into();
    if by.is_none() {
        let fields = call.as_object_mut().unwrap();
        fields.remove("consumer");
        fields.remove("authenticated_entity");
        call["request"]["headers"].as_object_mut().unwrap().remove("apikey");
    }
    call.to_string()
}

fn calls(is_export_open: bool) -> Vec<String> {
    let began_ms = now_ms();
    let mut lines = Vec::new();
    for at in 0..40 {
        let who = ["alice", "bob", "carol"][at as usize % 3];
        for service in ["weak", "sound"] {
            for path in ["orders", "carts", "prices"] {
                lines.push(call(service, &format!("/{service}/{path}"), Some(who), began_ms + at));
            }
        }
        let by = (!is_export_open).then_some(who);
        lines.push(call("weak", "/weak/export", by, began_ms + at));
        lines.push(call("sound", "/sound/export", Some(who), began_ms + at));
    }
    lines
}

fn weakness(outrider: &Outrider) -> Option<Value> {
    let found = outrider.list("/api/v1/posture?check=unauthenticated_access");
    assert!(found.len() <= 1, "{found:#?}");
    found.into_iter().next()
}

fn alerts(outrider: &Outrider) -> Vec<Value> {
    outrider.list("/api/v1/alerts?detector=posture:unauthenticated_access")
}

#[test]
fn what_is_weak_is_found_told_left_and_over() {
    let directory = tempfile::tempdir().unwrap();
    let outrider = Outrider::start(directory.path(), &Setup { more_at_end: QUICK.to_owned(), ..Setup::default() });
    let config = outrider.config_path().to_owned();
    let first = calls(true);
    outrider.send(&first);
    outrider.await_calls(first.len() as u64);
    let found = wait_for("the weakness", || weakness(&outrider));
    assert_eq!(
        (&found["state"], &found["severity"], &found["service_name"]),
        (&json!("open"), &json!("high"), &json!("weak"))
    );
    assert_eq!(found["evidence"][0]["value"], "40", "{found:#}");
    let id = found["id"].as_str().unwrap();
    assert_eq!(outrider.get(&format!("/api/v1/posture/{id}")), found);
    let told = wait_for("the alert", || alerts(&outrider).into_iter().next());
    assert_eq!(
        (&told["entity"]["kind"], &told["entity"]["label"], &told["state"]),
        (&json!("service"), &json!("weak"), &json!("open"))
    );
    assert!(
        told["sentence"].as_str().unwrap().contains("GET /weak/export answered 40 calls without authentication"),
        "{told:#}"
    );
    assert_eq!(told["worst"]["query"], found["query"]);
    // Its query says the same.
    let (status, answer) = outrider.request("POST", "/api/v1/query", Some(&json!({"statement": found["query"]})));
    assert_eq!(status, 200, "{answer:#}");
    assert!(answer["rows"][0].to_string().contains("40"), "{answer:#}");

    assert_eq!(
        outrider.list("/api/v1/posture?service=sound"),
        Vec::<Value>::new(),
        "what is as it should be has nothing"
    );
    let counts = outrider.get("/api/v1/posture/counts");
    assert_eq!(counts["open_by_check"]["unauthenticated_access"], 1, "{counts:#}");
    let services = outrider.list("/api/v1/apis");
    let risk = |name: &str| {
        services.iter().find(|row| row["service_name"] == name).unwrap()["risk"]["score"].as_f64().unwrap()
    };
    assert!(risk("weak") > risk("sound"), "{services:#?}");

    let (status, out, error) = run(&config, &["posture", "--json", "--service", "weak"]);
    let row: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!((status, &row["id"]), (0, &found["id"]), "{error}");
    let (_, table, error) = run(&config, &["posture"]);
    assert!(table.starts_with("high") && table.contains("GET /weak/export"), "{table}");
    assert!(error.contains("Kong logs no bodies") && error.contains("[[collector.sources.fields]]"), "{error}");
    let nothing = run(&config, &["posture", "--csv", "--service", "sound"]).1;
    assert!(nothing.starts_with("id,state,severity,check,") && nothing.lines().count() == 1, "{nothing}");

    let except = ["posture", "except", id, "--until", "30d", "--reason", "the partner moves in May"];
    let (status, out, error) = run(&config, &except);
    assert!(status == 0 && out.contains("by command line: the partner moves in May"), "{out}{error}");
    assert_eq!(alerts(&outrider)[0]["state"], "resolved");
    let body = json!({"until_ms": now_ms() + 3_600_000, "reason": "one hour more"});
    let (status, said) = outrider.request("PUT", &format!("/api/v1/posture/{id}/exception"), Some(&body));
    assert_eq!((status, &said["state"]["excepted"]["reason"]), (200, &json!("one hour more")), "{said:#}");
    let (status, said) = outrider.request("DELETE", &format!("/api/v1/posture/{id}/exception"), None);
    assert_eq!((status, &said["state"]), (200, &json!("open")), "{said:#}");
    assert_eq!((alerts(&outrider).len(), &alerts(&outrider)[0]["state"]), (2, &json!("open")));

    // A service is judged when the minute is over.
    let await_minute = || {
        let minute = now_ms() / 60_000;
        wait_for("another minute", || (now_ms() / 60_000 > minute).then_some(()));
    };
    await_minute();
    outrider.send(&calls(false));
    await_minute();
    wait_for("the end", || weakness(&outrider).filter(|weakness| weakness["state"] == "fixed"));
    wait_for("the end of the alert", || (alerts(&outrider)[0]["state"] == "resolved").then_some(()));
    assert_eq!(outrider.list("/api/v1/posture?service=sound"), Vec::<Value>::new());

    for (arguments, words) in [
        (&["posture", "except", "wk_00000000000000ff", "--until", "1d", "--reason", "x"][..], "there is no weakness"),
        (&["posture", "except", id, "--until", "2020-01-01", "--reason", "x"][..], "is over already"),
        (&["posture", "except", id, "--until", "soon", "--reason", "x"][..], "use a day such as"),
        (&["posture", "withdraw", id][..], "nothing to take back"),
    ] {
        let (status, _, error) = run(&config, arguments);
        assert!(status == 1 && error.contains(words), "`{words}` is not in {error}");
    }
    assert_quiet(&outrider.stop(), &[]);
}
