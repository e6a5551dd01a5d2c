//! A data directory that an earlier build wrote goes on under this one: nothing is lost, and what it had to do is done.
//!
//! `data/layout-1.tar.gz` was written by the last build with layout 1: a demo to its end, then by hand a policy, a token
//! and a permanent block of a consumer at a gateway that was away, then `kill -9`. Its token is good for nothing else.
//! `data/layout-2.tar.gz` was written by [`fixture`].

mod fixture;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use outrider_collect::{Normaliser, NormaliserSettings, PseudonymKey, Scratch};
use outrider_lake::arrow::array::AsArray as _;
use outrider_lake::arrow::datatypes::Int64Type;
use outrider_lake::{Beside, Keeper, Lake, LakeReader, QueryLimits, Range, Retention, Rows};
use outrider_platform::store::FindingFilter;
use outrider_practice::{Practice, Settings};
use serde_json::json;

use crate::harness::{Outrider, Setup, assert_quiet, free_port, line, now_ms, wait_for};
use crate::services::outrider;
use fixture::{IN_SPOOL, INSTALLATION, PASSWORD, PERSON, Past, collector_toml, consumer, policy};

const LAYOUT_1: &[u8] = include_bytes!("../data/layout-1.tar.gz");
const LAYOUT_2: &[u8] = include_bytes!("../data/layout-2.tar.gz");
/// The consumer that was to be blocked.
const CONSUMER: &str = "0c000000-0000-4000-8000-000000000001";
/// What the earlier build had made, by the id of each.
const ALERT: &str = "al_9ba7c7c808db16ce";
const ACTION: &str = "ac_ac4ddcc1e6ef3d01";

fn unpack(archive: &[u8], directory: &Path) {
    let archive = flate2::read::GzDecoder::new(archive);
    tar::Archive::new(archive).unpack(directory).unwrap();
}

#[test]
fn a_directory_of_layout_1_goes_on_after_a_kill() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = Settings { state_update_frequency: Duration::from_millis(200), ..Settings::default() };
    let practice = runtime.block_on(Practice::start(settings)).unwrap();
    let admin = practice.admin();
    let path = format!("/consumers/{CONSUMER}");
    let (status, _) = runtime.block_on(admin.request("PUT", &path, Some(&json!({"username": "kept"})))).unwrap();
    assert_eq!(status, 200);
    let directory = tempfile::tempdir().unwrap();
    unpack(LAYOUT_1, directory.path());
    let data_dir = directory.path().join("data");
    let installation = std::fs::read_to_string(data_dir.join("installation")).unwrap();

    let admin_url = Some(format!("http://{}", practice.admin_address()));
    let setup = Setup { admin_url, gateway: Some("practice"), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &setup);
    let alerts = outrider.list("/api/v1/alerts");
    assert_eq!((alerts.len(), &alerts[0]["id"]), (1, &json!(ALERT)));
    assert_eq!(outrider.list(&format!("/api/v1/findings?alert={ALERT}")).len(), 1);
    assert_eq!(outrider.get("/api/v1/policies/by-hand")["policy"]["mode"], "observe");
    assert!(outrider.list("/api/v1/tokens").iter().any(|token| token["name"] == "auditor"));
    let endpoints = outrider.list("/api/v1/endpoints");
    assert_eq!(endpoints.len(), 5, "{endpoints:#?}");
    let calls = || {
        let status = outrider.get("/api/v1/status");
        (status["platform"]["caught_up"] == true).then(|| status["platform"]["progress"]["calls"].as_u64().unwrap())
    };
    let calls = wait_for("the end of the log", calls);
    assert!(calls > 1000, "the log was gone through again: {calls}");

    let state = || outrider.get(&format!("/api/v1/actions/{ACTION}"))["state"].as_str().unwrap().to_owned();
    wait_for("the block at the gateway", || (state() == "stored").then_some(()));
    let tag = format!("/plugins?tags=outrider:{}", installation.trim());
    let (_, plugins) = runtime.block_on(admin.request("GET", &tag, None)).unwrap();
    assert_eq!(plugins["data"][0]["consumer"]["id"], CONSUMER);
    let release = json!({"reason": "upgraded"});
    let (status, answer) = outrider.request("POST", &format!("/api/v1/actions/{ACTION}/release"), Some(&release));
    assert_eq!(status, 200, "{answer}");
    wait_for("the release", || (state() == "released").then_some(()));

    outrider.send(&[line("alice", "GET", "/shop/items/7", 200, now_ms())]);
    outrider.await_calls(calls + 1);
    assert_quiet(&outrider.stop(), &["a notice was opened"]);
    let layout = std::fs::read_to_string(data_dir.join("version")).unwrap();
    assert_ne!(layout.trim(), "1", "an earlier build must refuse it from now on");
    let outrider = Outrider::start(directory.path(), &setup);
    outrider.await_calls(calls + 1);
    outrider.stop();
    runtime.block_on(practice.stop());
}

/// What layout 2 had made, and when it was written.
const ALERT_2: &str = "al_f5e10ab423ff44c9";
const ACTION_2: &str = "ac_7c8179961004b608";
const WRITTEN_MS: i64 = 1_795_860_919_528;

/// A directory of layout 2, with a gateway that has the consumer that is to be blocked.
struct Layout2 {
    directory: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    practice: Practice,
    setup: Setup,
    premises: u16,
}

impl Layout2 {
    fn new() -> Layout2 {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
        let path = format!("/consumers/{}", consumer(3));
        let body = json!({"username": "consumer-3"});
        let (status, _) = runtime.block_on(practice.admin().request("PUT", &path, Some(&body))).unwrap();
        assert_eq!(status, 200);
        let directory = tempfile::tempdir().unwrap();
        unpack(LAYOUT_2, directory.path());
        let premises = free_port();
        let setup = Setup {
            admin_url: Some(format!("http://{}", practice.admin_address())),
            more_at_end: policy().replace("PORT", &premises.to_string()),
            ..Setup::default()
        };
        Layout2 { directory, runtime, practice, setup, premises }
    }

    /// Alerts, people and the block are there, and the block is at the gateway. Says how many calls were analysed.
    fn assert_goes_on(&self, outrider: &Outrider) -> u64 {
        let alerts = outrider.list("/api/v1/alerts");
        assert_eq!((alerts.len(), &alerts[0]["id"]), (1, &json!(ALERT_2)), "{alerts:?}");
        assert_eq!(outrider.list(&format!("/api/v1/findings?alert={ALERT_2}")).len(), 2);
        let people = outrider.list("/api/v1/people");
        assert!(people.iter().any(|person| person["name"] == PERSON), "{people:?}");
        let action = format!("/api/v1/actions/{ACTION_2}");
        wait_for("the block", || (outrider.get(&action)["state"] == "stored").then_some(()));
        wait_for("the block at the gateway", || {
            let tag = format!("/plugins?tags=outrider:{INSTALLATION}");
            let (_, plugins) = self.runtime.block_on(self.practice.admin().request("GET", &tag, None)).unwrap();
            (plugins["data"][0]["consumer"]["id"] == consumer(3).as_str()).then_some(())
        });
        let status = outrider.get("/api/v1/status");
        assert!(status["platform"]["log"]["first"].as_u64().unwrap() > 1, "the log was cut: {status}");
        status["platform"]["progress"]["calls"].as_u64().unwrap()
    }

    /// Somebody who knew the password before signs in with it.
    fn assert_lets_in(outrider: &Outrider) {
        let sign_in = json!({"name": PERSON, "password": PASSWORD});
        assert_eq!(outrider.request("POST", "/api/v1/session", Some(&sign_in)).0, 200);
    }
}

#[test]
fn a_directory_of_layout_2_goes_on_with_what_was_spooled_meanwhile() {
    let site = Layout2::new();
    let outrider = Outrider::start(site.directory.path(), &site.setup);
    let calls = site.assert_goes_on(&outrider);
    Layout2::assert_lets_in(&outrider);
    let directory = site.directory.path().join("collector");
    let collector = Outrider::start_as("collector", &directory, &collector_toml(&directory, site.premises));
    outrider.await_calls(calls + IN_SPOOL as u64);
    assert_quiet(&collector.stop(), &[]);
    let release = json!({"reason": "upgraded"});
    let path = format!("/api/v1/actions/{ACTION_2}");
    assert_eq!(outrider.request("POST", &format!("{path}/release"), Some(&release)).0, 200);
    wait_for("the release", || (outrider.get(&path)["state"] == "released").then_some(()));
    assert_quiet(&outrider.stop(), &["a notice was opened"]);
    site.runtime.block_on(site.practice.stop());
}

#[test]
fn a_backup_from_before_an_upgrade_leads_back() {
    let site = Layout2::new();
    let config = site.directory.path().join("outrider.toml");
    let data = site.directory.path().join("data");
    std::fs::write(&config, site.setup.toml(&data)).unwrap();
    let (config, backup) = (config.to_str().unwrap(), site.directory.path().join("backup"));
    outrider(&["backup", "--config", config, "--to", backup.to_str().unwrap()]);
    let upgraded = Outrider::start(site.directory.path(), &site.setup);
    site.assert_goes_on(&upgraded);
    upgraded.kill();

    // Back, with the key that the backup does not have.
    let newer = site.directory.path().join("newer");
    std::fs::rename(&data, &newer).unwrap();
    let restore = ["restore", "--config", config, "--from", backup.to_str().unwrap()];
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let missing = command.args(restore).args(["--key", "nowhere.key"]).output().unwrap();
    assert!(!missing.status.success() && !data.exists(), "{}", String::from_utf8_lossy(&missing.stderr));
    outrider(&[&restore[..], &["--key", newer.join("pseudonym.key").to_str().unwrap()]].concat());
    let back = Outrider::start(site.directory.path(), &site.setup);
    site.assert_goes_on(&back);
    back.stop();
    site.runtime.block_on(site.practice.stop());
}

/// On the clock of the fixture, since profiles that nobody used for a month are forgotten.
#[test]
fn what_was_learnt_before_an_upgrade_judges_after_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    unpack(LAYOUT_2, directory.path());
    let findings = runtime.block_on(async {
        let mut past = Past::start(&directory.path().join("data"), false, WRITTEN_MS + 60_000).await;
        for wild in [None, Some(5), None, None] {
            past.minute(wild).await;
        }
        let findings = past.platform.store().findings(&FindingFilter::default(), 10, None).await.unwrap().items;
        past.platform.stop().await;
        findings
    });
    let finding = findings.iter().find(|finding| finding.entity.value == consumer(5)).unwrap();
    // The forty minutes of then: the one of now may still get late calls.
    assert!(finding.basis.starts_with("40 active minutes of its own"), "{}", finding.basis);
}

#[test]
fn commands_beside_an_older_build_leave_the_directory_to_it() {
    let directory = tempfile::tempdir().unwrap();
    unpack(LAYOUT_1, directory.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let admin_url = Some(format!("http://{}", practice.admin_address()));
    let setup = Setup { admin_url, gateway: Some("practice"), source_port: free_port(), ..Setup::default() };
    let (data, config) = (directory.path().join("data"), directory.path().join("outrider.toml"));
    std::fs::write(&config, setup.toml(&data)).unwrap();
    let config = config.to_str().unwrap();
    let store = std::fs::read(data.join("control.sqlite")).unwrap();
    let lines = directory.path().join("lines");
    std::fs::write(&lines, line("alice", "GET", "/shop/items/7", 200, now_ms())).unwrap();
    let out = directory.path().join("out");
    outrider(&["kong", "setup", "--yes", "--config", config]);
    outrider(&["replay", "--config", config, "--out", out.to_str().unwrap(), lines.to_str().unwrap()]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let refused = command.args(["token", "list", "--config", config]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("layout of an older outrider"), "{said}");
    assert_eq!(std::fs::read_to_string(data.join("version")).unwrap().trim(), "1");
    assert_eq!(std::fs::read(data.join("control.sqlite")).unwrap(), store);
    runtime.block_on(practice.stop());
}

/// Rows that earlier builds wrote, which lack columns, are asked, put into one file with those of this one, and found by whom
/// they are of.
#[test]
fn rows_of_earlier_layouts_are_read_and_put_together_with_new_ones() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for archive in [LAYOUT_1, LAYOUT_2] {
        let directory = tempfile::tempdir().unwrap();
        unpack(archive, directory.path());
        runtime.block_on(old_and_new_rows(&directory.path().join("data/lake")));
    }
}

async fn old_and_new_rows(lake: &Path) {
    const DAY_MS: i64 = 86_400_000;
    let reader = LakeReader::open(lake, None, QueryLimits::default()).unwrap();
    let [calls, newest_us] =
        numbers(&reader, "SELECT count(*), CAST(max(event_time) AS BIGINT) FROM events").await.try_into().unwrap();
    assert!(calls > 100, "{calls}");

    let newest_ms = newest_us / 1000;
    let key = PseudonymKey::from_bytes(&[7; 32]);
    let normaliser = Normaliser::new(NormaliserSettings::new("kong"), key).unwrap();
    let (line, mut scratch) = (line("alice", "GET", "/shop/items/7", 200, newest_ms), Scratch::default());
    let call = normaliser.normalise(line.as_bytes(), Some(newest_ms), &mut scratch).unwrap();
    let (mut writer, mut rows) = (Lake::open(lake).await.unwrap(), Rows::default());
    let position = writer.position() + 1;
    rows.push(&call, None, position, 0);
    writer.commit(&[rows.finish().unwrap()], position).await.unwrap();
    let mut keeper = Keeper::open(lake, Retention::default()).await.unwrap();
    while keeper.keep(newest_ms + 2 * DAY_MS).await.unwrap().complete().unwrap().has_more {}

    let statement = "SELECT count(*), count(DISTINCT position * 1000000 + call_index), (SELECT sum(calls) FROM endpoint_hours), \
                     count(country), count(fields), count(DISTINCT event_date) FROM events";
    let days = numbers(&reader, "SELECT count(DISTINCT event_date) FROM events").await[0];
    assert_eq!(numbers(&reader, statement).await, [calls + 1, calls + 1, calls + 1, 0, 0, days]);
    let by_day = std::fs::read_dir(lake.join("events")).unwrap().filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.starts_with("event_date=").then_some(name)
    });
    assert_eq!(by_day.count() as i64, days);
    let held = outrider_lake::files(lake).await.unwrap().unwrap().files;
    let of_events = held.iter().filter(|file| file.starts_with("events") && file.extension().unwrap() == "parquet");
    let of_events = of_events.filter(|file| !file.iter().any(|part| part == "_delta_log"));
    assert_eq!(of_events.count() as i64, days, "old and new rows of a day are in one file");

    let most =
        "SELECT consumer_id FROM events WHERE consumer_id <> 'id-alice' GROUP BY 1 ORDER BY count(*) DESC LIMIT 1";
    let mut answer = reader.query(most, &Beside::default()).await.unwrap();
    let consumer = answer.next().await.unwrap().unwrap().column(0).as_string::<i32>().value(0).to_owned();
    for entity in [&consumer, "id-alice"] {
        let of_entity = format!("SELECT count(*) FROM events WHERE consumer_id = '{entity}'");
        let expected = numbers(&reader, &of_entity).await[0].min(50);
        let page = reader.page("consumer", entity, &Range { rows: 50, ..Range::default() }).await.unwrap();
        assert_eq!(page.rows.unwrap().num_rows() as i64, expected, "{entity}");
    }
}

async fn numbers(reader: &LakeReader, statement: &str) -> Vec<i64> {
    let mut answer = reader.query(statement, &Beside::default()).await.unwrap();
    let batch = answer.next().await.unwrap().unwrap();
    batch.columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0)).collect()
}
