//! `outrider replay --into`: recorded logs become the history of an installation.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, assert_quiet, line, now_ms, wait_for};

const MINUTE_MS: i64 = 60_000;
const CONSUMERS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "mallory"];
/// Calls of a consumer in a minute.
const CALLS: i64 = 12;
/// A policy that would act at once.
const POLICY: &str = "[[policies]]\nname = 'block'\nwhen = { detectors = ['request_spike'] }\nrespond = { kind = 'block' }\n\
                      duration = 'permanent'\nmode = 'enforce'\n";

/// Minutes of ordinary calls of all consumers, the oldest first.
fn ordinary(from_ms: i64, minutes: i64) -> Vec<String> {
    let mut calls: Vec<(i64, &str, i64)> = Vec::new();
    for (at, consumer) in (0..).zip(CONSUMERS) {
        calls.extend((0..minutes * CALLS).map(|call| {
            let at_ms = from_ms + call * (MINUTE_MS / CALLS) + at * 700 + (call * 37 + at * 911) % 1500;
            (at_ms, consumer, 1 + (call * 7 + at * 13) % 400)
        }));
    }
    calls.sort_unstable();
    let text = |&(at_ms, who, item): &(i64, &str, i64)| line(who, "GET", &format!("/shop/items/{item}"), 200, at_ms);
    calls.iter().map(text).collect()
}

/// One consumer in a loop: four hundred calls within ten seconds.
fn spike(who: &str, from_ms: i64) -> Vec<String> {
    (0..400).map(|call| line(who, "GET", &format!("/shop/items/{}", call + 1), 200, from_ms + call * 25)).collect()
}

fn write(directory: &Path, name: &str, lines: &[String]) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, lines.join("\n")).unwrap();
    path
}

/// An import under the settings that a start has by default.
fn command(files: &[&Path], into: &Path) -> Command {
    let config = into.with_extension("toml");
    fs::write(&config, Setup::default().toml(into)).unwrap();
    under(&config, files, into)
}

fn under(config: &Path, files: &[&Path], into: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    command.arg("replay").args(files).arg("--into").arg(into).arg("--config").arg(config).stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn import(files: &[&Path], into: &Path) -> String {
    let output = command(files, into).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

fn refused(files: &[&Path], into: &Path, words: &[&str]) {
    assert_refused(command(files, into), words);
}

fn assert_refused(mut command: Command, words: &[&str]) {
    let output = command.output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in words {
        assert!(said.contains(words), "nothing of `{words}`: {said}");
    }
}

/// Rows of a statement, asked of the directory.
fn query(data: &Path, statement: &str) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let output = command.args(["query", "--format", "json", "--data-dir"]).arg(data).arg(statement).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(|row| serde_json::from_str(row).unwrap()).collect()
}

fn count(data: &Path, table_and_more: &str) -> u64 {
    query(data, &format!("SELECT count(*) AS n FROM {table_and_more}"))[0]["n"].as_u64().unwrap()
}

/// The very calls, none twice.
fn assert_calls(data: &Path, calls: usize) {
    let rows = query(
        data,
        "SELECT count(*) AS n, count(DISTINCT request_id) AS ids, count(DISTINCT position * 1000000 + call_index) AS places FROM events",
    );
    assert_eq!(rows[0], json!({"n": calls, "ids": calls, "places": calls}));
}

/// Everything that could have come of a past that acted.
fn assert_nothing_happened(outrider: &Outrider) {
    for list in ["alerts", "actions", "findings", "notices"] {
        assert_eq!(outrider.list(&format!("/api/v1/{list}")), [] as [Value; 0], "{list}");
    }
}

fn await_caught_up(outrider: &Outrider) {
    wait_for("the analysis to catch up", || {
        (outrider.get("/api/v1/status")["platform"]["caught_up"] == true).then_some(())
    });
}

/// The first finding. After a pause of everybody it is not decided before the minute is over.
fn await_finding(outrider: &Outrider) -> Value {
    let minute = now_ms() / MINUTE_MS;
    let first = || outrider.list("/api/v1/findings").first().cloned();
    wait_for("a finding, or the end of the minute", || {
        (first().is_some() || now_ms() / MINUTE_MS > minute).then_some(())
    });
    wait_for("a finding", first)
}

#[test]
fn a_new_installation_knows_what_is_normal_from_its_first_minute() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let began_ms = now_ms() - 70 * MINUTE_MS;
    let mut lines = ordinary(began_ms, 60);
    let calls = lines.len() + 800;
    // Attacks of the past, one of them up to the last line: nobody is told of either.
    lines.splice(2000..2000, spike("mallory", began_ms + 28 * MINUTE_MS));
    lines.extend(spike("alice", began_ms + 60 * MINUTE_MS));
    lines.insert(5, "not json".to_owned());
    lines.insert(9, line("alice", "GET", "/shop/items/1", 200, now_ms() + 3_600_000));
    let said = import(&[&write(directory.path(), "access.log", &lines)], &data);
    let expected = [
        &format!("{calls} calls of {} lines imported, 0 were there already", lines.len()),
        "2 lines were left out: in_the_future 1, not_json 1",
        &format!("learnt again from {calls} calls in the lake (version 1)"),
    ];
    for words in expected {
        assert!(said.contains(words), "nothing of `{words}`: {said}");
    }
    assert_calls(&data, calls);
    let timeline = count(&data, "timeline WHERE entity_kind = 'consumer' AND entity = 'id-bob'");
    assert_eq!(timeline, 60 * CALLS.cast_unsigned());
    let earliest = &query(&data, "SELECT min(arrow_cast(event_time, 'Int64')) AS t FROM events")[0]["t"];
    assert!((0..5000).contains(&(earliest.as_i64().unwrap() / 1000 - began_ms)), "its own time: {earliest}");

    let setup = Setup { more_at_end: POLICY.to_owned(), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &setup);
    await_caught_up(&outrider);
    assert_nothing_happened(&outrider);
    let endpoints = outrider.list("/api/v1/endpoints");
    assert!(endpoints.iter().any(|endpoint| endpoint["key"]["template"] == "/shop/items/{item_id}"), "{endpoints:#?}");
    let ids = query(&data, "SELECT DISTINCT endpoint_id AS id FROM events");
    for row in &ids {
        assert!(
            endpoints.iter().any(|known| known["id"] == row["id"] || known["merged_into"] == row["id"])
                || outrider.get(&format!("/api/v1/endpoints/{}", row["id"].as_str().unwrap()))["id"].is_string(),
            "{row}"
        );
    }
    outrider.send(&spike("mallory", now_ms() - 10_000));
    let finding = await_finding(&outrider);
    assert_eq!(finding["entity"]["label"], "mallory");
    let basis = finding["basis"].as_str().unwrap();
    let minutes: u32 = basis.split(' ').next().unwrap().parse().unwrap();
    assert!((55..=61).contains(&minutes) && basis.contains("6 actors"), "{basis}");
    assert_eq!(outrider.get("/api/v1/status")["platform"]["analysis"]["past"]["version"], 1);
    let audit = outrider.list("/api/v1/audit");
    assert!(
        audit.iter().any(|entry| entry["what"] == "imported history" && entry["by"] == "command line"),
        "{audit:#?}"
    );
    assert_quiet(&outrider.stop(), &["no [[gateways]] entry"]);
}

#[test]
fn a_file_is_imported_once_however_often_and_however_it_is_packed() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let lines = ordinary(now_ms() - 30 * MINUTE_MS, 10);
    let (head, tail) = lines.split_at(400);
    let (one, two) = (write(directory.path(), "1", head), write(directory.path(), "2", tail));
    import(&[&one], &data);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&fs::read(&one).unwrap()).unwrap();
    let packed = directory.path().join("1.gz");
    fs::write(&packed, gzip.finish().unwrap()).unwrap();
    let said = import(&[&packed, &two], &data);
    assert!(
        said.contains(&format!("{} calls of {} lines imported, 400 were there already", tail.len(), lines.len())),
        "{said}"
    );
    let said = import(&[&two, &packed, &one], &data);
    assert!(said.contains(" 0 calls of ") && said.contains("nothing new to learn from"), "{said}");
    assert_calls(&data, lines.len());
    let outrider = Outrider::start(directory.path(), &Setup::default());
    await_caught_up(&outrider);
    assert_nothing_happened(&outrider);
    assert_eq!(outrider.get("/api/v1/status")["platform"]["analysis"]["past"]["version"], 2);
    assert_quiet(&outrider.stop(), &[]);
}

/// The versions of the table of events.
fn commits(data: &Path) -> usize {
    fs::read_dir(data.join("lake/events/_delta_log")).map_or(0, |entries| entries.count())
}

#[test]
fn a_killed_import_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let lines = ordinary(now_ms() - 90 * MINUTE_MS, 60);
    let files: Vec<_> =
        (0..).zip(lines.chunks(100)).map(|(at, part)| write(directory.path(), &format!("{at}"), part)).collect();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    for kills in 1..=3 {
        let mut child = command(&files, &data).stderr(Stdio::null()).spawn().unwrap();
        let enough = commits(&data) + 4;
        wait_for("a few commits", || (commits(&data) >= enough).then_some(()));
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "it was over before it was killed");
        let rows = count(&data, "events");
        assert!((1..lines.len() as u64).contains(&rows), "{rows}");
        if kills == 2 {
            // A start in between goes on without what nothing is learnt from yet, and says so.
            let outrider = Outrider::start(directory.path(), &Setup::default());
            outrider.await_words("nothing is learnt from it yet");
            outrider.send(&[line("zoe", "GET", "/shop/items/5", 200, now_ms())]);
            outrider.await_calls(1);
            assert_nothing_happened(&outrider);
            assert_quiet(&outrider.stop(), &["nothing is learnt from it yet"]);
        }
    }
    let said = import(&files, &data);
    assert!(said.contains("(version 1)"), "{said}");
    assert_calls(&data, lines.len() + 1);
    let outrider = Outrider::start(directory.path(), &Setup::default());
    await_caught_up(&outrider);
    assert_nothing_happened(&outrider);
    let endpoints = outrider.list("/api/v1/endpoints");
    let items: Vec<_> = endpoints.iter().filter(|known| known["key"]["template"] == "/shop/items/{item_id}").collect();
    assert_eq!(items.len(), 1, "{endpoints:#?}");
    assert_eq!(items[0]["calls"], lines.len() + 1, "each call counts once for its endpoint");
    assert_quiet(&outrider.stop(), &[]);
}

#[test]
fn history_older_and_newer_than_what_was_lived_changes_nothing_but_what_is_normal() {
    let directory = tempfile::tempdir().unwrap();
    let warm = "[detect.request_spike]\nwarmup_minutes = 1\nwarmup_active_minutes = 5\nown_minutes_min = 1\n";
    let setup = Setup { more: warm.to_owned(), more_at_end: POLICY.to_owned(), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &setup);
    let lived = ordinary(now_ms() - 2000, 1);
    outrider.send(&lived[..24]);
    outrider.await_calls(24);
    let before = outrider.list("/api/v1/endpoints");
    let body = json!({"on": true, "reason": "calm down"});
    assert_eq!(outrider.request("PUT", "/api/v1/kill-switch", Some(&body)).0, 200);
    let decided = |outrider: &Outrider| [outrider.get("/api/v1/kill-switch"), outrider.get("/api/v1/policies")];
    let before_import = decided(&outrider);
    let config = outrider.config_path().to_owned();
    let data = outrider.data_dir.clone();
    let file = write(
        directory.path(),
        "log",
        &[ordinary(now_ms() - 200 * MINUTE_MS, 60), ordinary(now_ms() - 20 * MINUTE_MS, 15)].concat(),
    );
    refused(&[&file], &data, &["is in use by process", "stop that process"]);
    assert_quiet(&outrider.stop(), &["no [[gateways]] entry"]);

    let output = under(&config, &[&file], &data).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_calls(&data, 75 * 6 * CALLS as usize + 24);
    let outrider = Outrider::start(directory.path(), &setup);
    await_caught_up(&outrider);
    assert_eq!(decided(&outrider), before_import);
    assert_nothing_happened(&outrider);
    assert!(!before.is_empty());
    for endpoint in &before {
        let now = outrider.get(&format!("/api/v1/endpoints/{}", endpoint["id"].as_str().unwrap()));
        assert_eq!(now["id"], endpoint["id"], "it stays, or redirects");
    }
    outrider.send(&spike("carol", now_ms() - 10_000));
    let finding = await_finding(&outrider);
    let minutes: u32 = finding["basis"].as_str().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((70..=80).contains(&minutes), "{}", finding["basis"]);
    assert_quiet(&outrider.stop(), &["no [[gateways]] entry"]);
}

#[test]
fn a_key_that_the_source_knows_is_no_clear_text_in_the_lake() {
    const SECRET: &str = "k3y-of-the-partner";
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let config = directory.path().join("edge.toml");
    let edge = Setup { gateway: Some("edge"), source_more: "key_names = ['x-partner']".to_owned(), ..Setup::default() };
    fs::write(&config, edge.toml(&data)).unwrap();
    let with_key =
        |line: &String| line.replacen("\"headers\":{", &format!("\"headers\":{{\"x-partner\":\"{SECRET}\","), 1);
    let lines: Vec<_> = ordinary(now_ms() - 10 * MINUTE_MS, 1).iter().map(with_key).collect();
    let file = write(directory.path(), "log", &lines);
    let files = [file.as_path()];

    let mut without = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let output = without.arg("replay").arg(&file).arg("--into").arg(&data).output().unwrap();
    assert!(output.status.code() == Some(2) && said(&output).contains("--config"), "{}", said(&output));
    let mut other = under(&config, &files, &data);
    other.args(["--gateway", "kong"]);
    assert_refused(other, &["no source of a gateway `kong`", "it has `edge`"]);
    let several = directory.path().join("several.toml");
    let second = "[[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = 'inner'\nlisten = '127.0.0.1:0'\n";
    fs::write(&several, format!("{}{second}", edge.toml(&data))).unwrap();
    assert_refused(under(&several, &files, &data), &["--gateway", "`edge`, `inner`"]);
    fs::write(&several, "").unwrap();
    assert_refused(under(&several, &files, &data), &["no [[collector.sources]]"]);
    let differs = second.replace("inner", "edge");
    fs::write(&several, format!("{}{differs}", edge.toml(&data))).unwrap();
    assert_refused(under(&several, &files, &data), &["sources of `edge` differ in key_names"]);
    assert!(!data.exists());

    let output = under(&config, &files, &data).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let rows = query(&data, "SELECT * FROM events");
    assert!(rows.len() == lines.len() && rows.iter().all(|row| row["gateway"] == "edge"), "{:?}", rows.first());
    assert!(rows.iter().all(|row| row["presented_credential"].is_string()), "{}", rows[0]);
    assert!(!rows.iter().any(|row| row.to_string().contains(SECRET)), "{}", rows[0]);
    // A platform away from its collector has no key, and another one would make other pseudonyms.
    fs::remove_file(data.join("pseudonym.key")).unwrap();
    assert_refused(under(&config, &files, &data), &["copy the collector's pseudonym.key"]);
    assert!(!data.join("pseudonym.key").exists());
}

#[test]
fn what_cannot_be_imported_is_refused_before_any_call_is() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let good = write(directory.path(), "good", &ordinary(now_ms() - 10 * MINUTE_MS, 1));
    refused(&[Path::new("/nowhere.log")], &data, &["cannot open /nowhere.log"]);
    refused(&[&good, Path::new("-")], &data, &["standard input", "save it to a file"]);
    refused(&[directory.path()], &data, &["is no file"]);
    assert!(!data.exists());
    let other = write(directory.path(), "other", &["127.0.0.1 - - GET /".to_owned()]);
    refused(&[&good, &other], &data, &["other holds no line of Kong's log"]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&fs::read(&good).unwrap()).unwrap();
    let bytes = gzip.finish().unwrap();
    let cut = directory.path().join("cut.gz");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    refused(&[&good, &cut], &data, &["cut.gz"]);
    assert_eq!(count(&data, "events"), 0);
    let off = directory.path().join("off.toml");
    fs::write(&off, "[lake]\nenabled = false\n").unwrap();
    let output = under(&off, &[&good], &data).output().unwrap();
    assert!(!output.status.success() && said(&output).contains("lake.enabled"), "{}", said(&output));
    let output = command(&[&good], &data).arg("--out").arg(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));

    // What a killed run left may bring something about, which an import must not.
    let outrider = Outrider::start(directory.path(), &Setup::default());
    outrider.send(&ordinary(now_ms() - 1000, 1)[..6]);
    outrider.await_calls(6);
    outrider.kill();
    refused(&[&good], &data, &["was not stopped cleanly", "with `lake.enabled`", "stop it again"]);
    Outrider::start(directory.path(), &Setup::default()).stop();
    let said = import(&[&good], &data);
    assert!(said.contains("72 calls of 72 lines imported"), "{said}");
    assert_eq!(count(&data, "events"), 78);
}
