//! The lake as people ask it: timelines, searches, statements and files, over the API and on the command line.

use std::io::Write as _;
use std::process::{Command, Stdio};

use outrider_lake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, assert_quiet, line, now_ms, wait_for};

const CALLS: usize = 30;

/// Calls of three consumers in the last half minute, every tenth of them refused by the upstream.
fn lines(now_ms: i64) -> Vec<String> {
    let call = |at: usize| {
        let status = if at.is_multiple_of(10) { 403 } else { 200 };
        line(
            ["alice", "bob", "user 3"][at % 3],
            "GET",
            &format!("/shop/items/{at}"),
            status,
            now_ms - 30_000 + at as i64 * 100,
        )
    };
    (0..CALLS).map(call).collect()
}

fn count(outrider: &Outrider) -> Option<u64> {
    let ask = json!({"statement": "SELECT count(*) AS calls FROM events"});
    let (status, answer) = outrider.request("POST", "/api/v1/query", Some(&ask));
    assert_eq!(status, 200, "{answer}");
    answer["rows"][0]["calls"].as_u64()
}

#[test]
fn calls_are_found_in_every_way() {
    let directory = tempfile::tempdir().unwrap();
    // The command line reads what is committed.
    let setup = Setup { more_at_end: "[lake]\ncommit_interval_ms = 500\n".to_owned(), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &setup);
    let since_ms = now_ms() - 60_000;
    outrider.send(&lines(now_ms()));
    wait_for("the calls in the lake", || (count(&outrider)? == CALLS as u64).then_some(()));

    // By id and by name, page by page.
    for entity in ["id-alice", "alice"] {
        let path = format!("/api/v1/timeline?kind=consumer&entity={entity}&limit=6");
        let page = outrider.get(&path);
        let next = outrider.get(&format!("{path}&cursor={}", page["next"].as_str().unwrap()));
        let paths = [&page, &next].into_iter().flat_map(|page| page["items"].as_array().unwrap());
        let paths: Vec<_> = paths.map(|call| call["path"].as_str().unwrap()).collect();
        let expected: Vec<_> = (0..CALLS).step_by(3).rev().map(|at| format!("/shop/items/{at}")).collect();
        assert_eq!(paths, expected, "{entity}");
        assert_eq!(next["next"], Value::Null);
    }
    let density = |entity: &str| {
        outrider.get(&format!("/api/v1/timeline/density?kind=consumer&entity={entity}&since_ms={since_ms}&steps=10"))
    };
    for entity in ["id-alice", "alice"] {
        let answer = density(entity);
        let sum = |name: &str| {
            answer["steps"].as_array().unwrap().iter().map(|step| step[name].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!(
            (sum("calls"), sum("client_errors"), sum("server_errors"), sum("refused")),
            (10, 1, 0, 0),
            "{answer}"
        );
    }
    assert_eq!(density("nobody")["steps"], json!([]));
    let found = outrider.list("/api/v1/search?q=status:403%20consumer:bob%20last%205m");
    assert_eq!(found.iter().map(|call| call["path"].as_str().unwrap()).collect::<Vec<_>>(), ["/shop/items/10"]);
    let call = |id: &str| outrider.request("GET", &format!("/api/v1/calls/{id}"), None);
    let id = format!("{}.{}", found[0]["position"], found[0]["call_index"]);
    let (status, answer) = call(&id);
    assert_eq!(status, 200, "{answer}");
    let shown = ["consumer_name", "path", "method", "status"].map(|column| answer["call"][column].to_string());
    assert_eq!(shown, ["\"bob\"", "\"/shop/items/10\"", "\"GET\"", "403"], "{answer}");
    assert!(answer["call"]["headers"][0]["name"].is_string(), "{answer}");
    for nothing in ["1.99999", "4711", "a.b", "+1.0", "-1.0"] {
        let (status, answer) = call(nothing);
        assert_eq!((status, answer["detail"].as_str().unwrap().contains("there is no call")), (404, true), "{answer}");
    }
    for (gateway, expected) in [("kong", 200), ("edge", 404)] {
        assert_eq!(status_with_token_for(&outrider, gateway, &format!("/api/v1/calls/{id}")), expected, "{gateway}");
    }

    let completions = |search: &str| {
        let items = outrider.list(&format!("/api/v1/search/completions?q={search}"));
        items.iter().map(|item| item["search"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(completions("status:403%20cons"), ["status:403 consumer:"]);
    assert_eq!(completions("consumer:"), ["consumer:alice", "consumer:bob", "consumer:\"user 3\""]);
    assert_eq!(completions("-consumer:u"), ["-consumer:\"user 3\""]);
    assert_eq!(completions("status:4"), ["status:403"]);

    export(&outrider);
    follow(&outrider);
    refusals(&outrider, since_ms);
    by_command(&outrider);
    let audit = outrider.list("/api/v1/audit?log=reads&limit=500");
    for what in ["asked the lake", "read a call", "read a timeline", "searched", "completed a search"] {
        assert!(audit.iter().any(|line| line["what"] == what), "{what}: {audit:#?}");
    }
    assert_quiet(&outrider.stop(), &[]);
}

/// What a viewer's token that is for one gateway is answered.
fn status_with_token_for(outrider: &Outrider, gateway: &str, path: &str) -> u16 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    command.args(["token", "create", gateway, "--role", "viewer", "--gateway", gateway, "--config"]);
    let made = command.arg(outrider.config_path()).output().unwrap();
    let token = String::from_utf8(made.stdout).unwrap();
    let request = reqwest::Client::new().get(format!("{}{path}", outrider.api)).bearer_auth(token.trim());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { request.send().await.unwrap().status().as_u16() })
}

#[test]
fn what_is_looked_up_about_calls_follows_files_that_are_replaced() {
    const GEO: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../platform/tests/platform/fixtures/geo/GeoLite2-City-Test.mmdb");
    let directory = tempfile::tempdir().unwrap();
    let [database, list] = ["city.mmdb", "hosting.txt"].map(|name| directory.path().join(name));
    std::fs::write(&database, "not a database").unwrap();
    std::fs::write(&list, "192.0.2.0/24\n").unwrap();
    let more = "[enrich]\ndatabases = ['city.mmdb']\n[[enrich.lists]]\nclass = 'hosting'\nfile = 'hosting.txt'\n";
    let setup = Setup { more_at_end: more.to_owned(), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &setup);
    let mut sent = 0;
    let mut newest_is = |expected: Value| {
        wait_for(&format!("a call with {expected}"), || {
            sent += 1;
            let call = line("alice", "GET", &format!("/shop/items/{sent}"), 200, now_ms());
            outrider.send(&[call.replace("198.51.100.7", "81.2.69.142")]);
            let statement = "SELECT country, city, network_class FROM events ORDER BY position DESC LIMIT 1";
            let (_, answer) = outrider.request("POST", "/api/v1/query", Some(&json!({"statement": statement})));
            (answer["rows"][0] == expected).then_some(())
        });
    };
    newest_is(json!({}));
    // As an updater does.
    let next = directory.path().join("next");
    std::fs::copy(GEO, &next).unwrap();
    std::fs::rename(&next, &database).unwrap();
    newest_is(json!({"country": "GB", "city": "London"}));
    std::fs::write(&next, "81.2.69.0/24\n").unwrap();
    std::fs::rename(&next, &list).unwrap();
    newest_is(json!({"country": "GB", "city": "London", "network_class": "hosting"}));
    assert_quiet(&outrider.stop(), &["cannot be used; it is done without"]);
}

/// As after a fault of the disk.
#[test]
fn a_damaged_lake_is_checked_and_repaired() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { more_at_end: "[lake]\ncommit_interval_ms = 500\n".to_owned(), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &setup);
    outrider.send(&lines(now_ms()));
    wait_for("the calls in the lake", || (count(&outrider)? == CALLS as u64).then_some(()));
    let config = outrider.config_path().to_owned();
    let check = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
        command.args(["lake", "check"]).args(more).stdin(Stdio::null()).arg("--config").arg(&config);
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code().unwrap(), said.concat())
    };
    let (status, said) = check(&[]);
    assert!(status == 0 && said.contains("damaged: 0"), "{said}");
    let (status, said) = check(&["--repair"]);
    assert!(status == 1 && said.contains("stop it first"), "{said}");
    assert_quiet(&outrider.stop(), &[]);

    let events = directory.path().join("data/lake/events");
    let parquet = |path: &std::path::PathBuf| path.extension().is_some_and(|kind| kind == "parquet");
    let days = std::fs::read_dir(&events).unwrap().map(|day| day.unwrap().path());
    let days = days.filter(|day| day.to_string_lossy().contains("event_date="));
    let files = days.flat_map(|day| std::fs::read_dir(day).unwrap().map(|file| file.unwrap().path()));
    for file in files.filter(parquet) {
        std::fs::write(file, b"nothing").unwrap();
    }
    let (status, said) = check(&["--json"]);
    let found: Value = serde_json::from_str(said.split("outrider:").next().unwrap()).unwrap();
    assert_eq!((status, &found["damaged"][0]["table"]), (1, &json!("events")), "{said}");
    let lost: u64 = found["damaged"].as_array().unwrap().iter().map(|file| file["rows"].as_u64().unwrap()).sum();
    assert_eq!(lost, CALLS as u64);
    let (status, said) = check(&["--repair"]);
    assert!(status == 3 && said.contains("30 calls are missing"), "{said}");
    let (status, said) = check(&["--repair", "--yes"]);
    assert_eq!(status, 0, "{said}");
    let (status, said) = check(&[]);
    assert_eq!(status, 0, "{said}");

    let outrider = Outrider::start(directory.path(), &setup);
    outrider.send(&lines(now_ms()));
    wait_for("the next calls in the lake", || (count(&outrider)? == CALLS as u64).then_some(()));
    let audit = outrider.list("/api/v1/audit?log=decisions&limit=500");
    assert!(audit.iter().any(|line| line["what"].as_str().unwrap().contains("repaired the lake")), "{audit:#?}");
    assert_quiet(&outrider.stop(), &[]);
}

fn export(outrider: &Outrider) {
    let file = |format: &str| {
        let statement = "SELECT path, status, consumer_tags FROM events WHERE status = 403 ORDER BY path";
        let ask = json!({"statement": statement, "format": format});
        let (status, body) = outrider.request_bytes("POST", "/api/v1/query/export", Some(&ask), &[]);
        assert_eq!(status, 200, "{format}");
        body
    };
    let text = |format| String::from_utf8(file(format)).unwrap();
    assert_eq!(text("csv").lines().next(), Some("path,status,consumer_tags"));
    assert_eq!(text("csv").lines().count(), 4);
    assert_eq!(text("json").lines().next(), Some("{\"path\":\"/shop/items/0\",\"status\":403,\"consumer_tags\":[]}"));
    let parquet = file("parquet");
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
}

fn follow(outrider: &Outrider) {
    let lines = |statement: &str| {
        let (status, body) =
            outrider.request_bytes("POST", "/api/v1/query/stream", Some(&json!({"statement": statement})), &[]);
        assert_eq!(status, 200, "{statement}");
        let lines = String::from_utf8(body).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let of_kind =
        |lines: &[Value], kind: &str| lines.iter().filter(|line| line["kind"] == kind).cloned().collect::<Vec<_>>();
    let answer = lines("SELECT path FROM events LIMIT 3");
    assert_eq!(answer[0], json!({"kind": "columns", "columns": [{"name": "path", "type": "Utf8"}]}));
    let rows: usize = of_kind(&answer, "rows").iter().map(|line| line["rows"].as_array().unwrap().len()).sum();
    assert_eq!(rows, 3);
    let end = answer.last().unwrap();
    assert_eq!((&end["kind"], &end["is_truncated"]), (&json!("end"), &json!(false)), "{end}");
    // One that would take minutes says how far it is, and ends when nobody listens: as many as may run at once can.
    for _ in 0..8 {
        let endless =
            "SELECT sum(a.status + g.status) FROM events a, events b, events c, events d, events e, events f, events g";
        let begin = outrider.request_until("/api/v1/query/stream", &json!({"statement": endless}), "\"progress\"");
        assert!(begin.contains("rows_read"), "{begin}");
    }
    // What goes wrong under way is said in the last line.
    let failed = lines("SELECT 1 / (status - status) FROM events");
    let last = failed.last().unwrap();
    assert_eq!(last["kind"], "failed", "{last}");
    assert!(last["problem"]["detail"].as_str().unwrap().contains("zero"), "{last}");
}

fn refusals(outrider: &Outrider, since_ms: i64) {
    let ask = |path: &str, body: Value, status: u16, words: &str| {
        let (found, answer) = outrider.request("POST", path, Some(&body));
        assert!(found == status && answer.to_string().contains(words), "{path} {body}: {found} {answer}");
    };
    for path in ["/api/v1/query", "/api/v1/query/stream", "/api/v1/query/export"] {
        let body = |statement: &str| match path.ends_with("export") {
            true => json!({"statement": statement, "format": "csv"}),
            false => json!({"statement": statement}),
        };
        ask(path, body("SELECT nothing FROM events"), 422, "nothing");
        ask(path, body("DROP TABLE events"), 422, "only SELECT");
    }
    ask("/api/v1/query/export", json!({"statement": "SELECT 1", "format": "xlsx"}), 422, "csv");
    for (path, words) in [
        ("/api/v1/timeline/density?kind=consumer".to_owned(), "`entity` is missing"),
        (
            format!("/api/v1/timeline/density?kind=ip&entity=x&since_ms={since_ms}&until_ms={since_ms}"),
            "before it begins",
        ),
        ("/api/v1/timeline/density?kind=ip&entity=x&steps=1001".to_owned(), "use 1 to 1000"),
        ("/api/v1/search?q=statu:1".to_owned(), "did you mean `status`"),
    ] {
        let (status, answer) = outrider.request("GET", &path, None);
        assert!(status == 400 && answer.to_string().contains(words), "{path}: {status} {answer}");
    }
}

fn by_command(outrider: &Outrider) {
    let config = outrider.config_path().to_str().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
        let output = command.args(arguments).args(["--config", config]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        (output.stdout, said)
    };
    let query =
        |format: &str, statement: &str| String::from_utf8(run(&["query", "--format", format, statement]).0).unwrap();
    wait_for("the calls on disk", || query("csv", "SELECT count(*) FROM events").contains("\n30\n").then_some(()));
    assert!(query("table", "SELECT 7 AS seven").contains("| seven |"));
    let everything = query("csv", "SELECT * FROM events");
    assert_eq!(everything.lines().count(), CALLS + 1);
    assert!(query("json", "SELECT count(*) AS n FROM alerts").contains("{\"n\":0}"));
    let (parquet, _) = run(&["query", "--format", "parquet", "SELECT path FROM events ORDER BY path"]);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&parquet).unwrap();
    let rows = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    assert_eq!(rows.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), CALLS);
    let (timeline, _) = run(&["timeline", "consumer:user 3", "--last", "1h", "--format", "json"]);
    assert_eq!(String::from_utf8(timeline).unwrap().lines().count(), 10);
    let (_, said) = run(&["timeline", "ip:192.0.2.1", "--last", "1h"]);
    assert!(said.contains("no calls of ip:192.0.2.1"), "{said}");
}
