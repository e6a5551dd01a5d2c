//! kill -9 at any moment, again and again: nothing that was analysed is lost or counted twice, no plugin is orphaned,
//! alerts and actions are not doubled.
//!
//! `OUTRIDER_KILLS` sets how many kills (200), `OUTRIDER_SEED` when they happen; the seed is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use deltalake::arrow::array::AsArray as _;
use outrider_model::batch::BatchReader;
use outrider_platform::log::{LogReader, OnDamage, Position, RecordKind};
use outrider_practice::{Practice, Settings};
use serde_json::json;

use crate::harness::{Outrider, Setup, line, now_ms, wait_for};

const CONSUMERS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "mallory"];

/// A small generator with a printed seed is enough to spread kills over time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn hundreds_of_kills_lose_and_double_nothing() {
    let kills = setting("OUTRIDER_KILLS", 200);
    let seed = setting("OUTRIDER_SEED", 1);
    eprintln!("{kills} kills, OUTRIDER_SEED={seed}");
    let mut dice = Dice(seed);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = Settings { state_update_frequency: Duration::ZERO, ..Settings::default() };
    let practice = runtime.block_on(Practice::start(settings)).unwrap();
    let admin = practice.admin();
    let mut ids = BTreeMap::new();
    for name in CONSUMERS {
        ids.insert(name, runtime.block_on(admin.consumer(name, &format!("key-{name}"))).unwrap());
    }
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        more: "[snapshots]\ninterval_seconds = 1\n[lake]\ncommit_interval_ms = 300\n\
               [detect.request_spike]\nwarmup_minutes = 1\nwarmup_active_minutes = 5\nown_minutes_min = 1\n\
               [[policies]]\nname = 'block'\nwhen = { detectors = ['request_spike'] }\nrespond = { kind = 'block' }\n\
               duration = 'permanent'\nmode = 'enforce'\n"
            .to_owned(),
        ..Setup::default()
    };

    let began = Instant::now();
    let start_minute = now_ms().div_euclid(60_000);
    let (mut number, mut analysed, mut acted) = (0u64, 0u64, None);
    let mut round = 0;
    // Ordinary work until two minutes of the clock are closed, then one consumer loops until the kills are through.
    let is_learned = |minutes: i64| now_ms().div_euclid(60_000) - start_minute >= minutes;
    while round < kills || !is_learned(3) {
        let outrider = Outrider::start(directory.path(), &setup);
        wait_for("the analysis to catch up", || {
            let status = outrider.get("/api/v1/status");
            let calls = status["platform"]["progress"]["calls"].as_u64()?;
            (status["platform"]["caught_up"] == true && calls >= analysed).then_some(())
        });
        let mut stream = outrider.connect();
        let until = Instant::now() + Duration::from_millis(dice.roll(400));
        loop {
            for name in CONSUMERS {
                let calls = if name == "mallory" && is_learned(2) { 12 } else { u64::from(dice.roll(8) == 0) };
                for _ in 0..calls {
                    number += 1;
                    let text = line(&ids[name], "GET", &format!("/shop/items/{number}"), 200, now_ms());
                    drop(stream.write_all(format!("{}\n", as_consumer(&text, &ids[name], name)).as_bytes()));
                }
            }
            if Instant::now() >= until {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(40));
        }
        if acted.is_none() {
            let body = json!({"target": {"kind": "consumer", "gateway": "kong", "workspace": "w", "value": ids["bob"]},
                "duration": "permanent", "reason": "a test"});
            acted = Some(outrider.request("POST", "/api/v1/actions", Some(&body)).1["id"].as_str().unwrap().to_owned());
        }
        analysed = analysed.max(outrider.get("/api/v1/status")["platform"]["progress"]["calls"].as_u64().unwrap());
        outrider.kill();
        round += 1;
    }
    eprintln!("{round} kills in {:?}, {number} lines sent, {analysed} known to be analysed", began.elapsed());

    let outrider = Outrider::start(directory.path(), &setup);
    let calls = wait_for("the analysis to catch up", || {
        let status = outrider.get("/api/v1/status");
        (status["platform"]["caught_up"] == true).then(|| status["platform"]["progress"]["calls"].as_u64().unwrap())
    });
    assert!(calls >= analysed, "{calls} calls are left of {analysed} that had been analysed");
    let alerts = outrider.list("/api/v1/alerts?state=open");
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert_eq!(alerts[0]["entity"]["label"], "mallory");
    let actions = outrider.list("/api/v1/actions");
    assert_eq!(actions.len(), 2, "{actions:#?}");
    wait_for("exactly the plugins of the two actions", || {
        let (_, plugins) = runtime.block_on(admin.request("GET", "/plugins", None)).ok()?;
        let blocked: BTreeSet<_> = plugins["data"]
            .as_array()?
            .iter()
            .map(|plugin| plugin["consumer"]["id"].as_str().unwrap().to_owned())
            .collect();
        (plugins["data"].as_array()?.len() == 2 && blocked == [&ids["bob"], &ids["mallory"]].map(String::clone).into())
            .then_some(())
    });
    outrider.stop();
    let seen = read_log(&directory.path().join("data/log"));
    assert_eq!(seen, calls, "calls in the log and calls that the analysis counts");
    runtime.block_on(check_lake(&directory.path().join("data/lake/events"), calls));
    runtime.block_on(practice.stop());
}

/// The line as if a consumer with the gateway's own id had called.
fn as_consumer(line: &str, id: &str, name: &str) -> String {
    let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
    value["consumer"] = json!({"id": id, "username": name});
    value.to_string()
}

/// Counts the calls that the log still holds or has given to snapshots; each number of a collector epoch at most once.
fn read_log(directory: &Path) -> u64 {
    let mut reader = LogReader::open(directory, Position::ZERO, OnDamage::Refuse).unwrap();
    let (mut calls, mut ids, mut ranges) = (0, BTreeSet::new(), BTreeMap::<u64, u64>::new());
    let mut scratch = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        if record.kind != RecordKind::Calls {
            continue;
        }
        let batch = record.calls(&mut scratch).unwrap();
        let last = ranges.entry(batch.epoch()).or_default();
        assert!(batch.first() > *last, "calls {}..={} of an epoch are in the log twice", batch.first(), batch.last());
        *last = batch.last();
        for call in BatchReader::new(batch.batch).unwrap() {
            calls += 1;
            assert!(ids.insert(call.unwrap().path.into_string()), "a call is in the log twice");
        }
    }
    calls
}

/// Each call is one row of the table, by its unique path.
async fn check_lake(directory: &Path, calls: u64) {
    let table = deltalake::open_table(url::Url::from_directory_path(directory).unwrap()).await.unwrap();
    let mut paths = BTreeSet::new();
    let mut rows = 0;
    for uri in table.get_file_uris().unwrap() {
        let path = url::Url::parse(&uri).map_or_else(|_| uri.clone().into(), |url| url.to_file_path().unwrap());
        let file = std::fs::File::open(path).unwrap();
        let reader = deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            rows += batch.num_rows() as u64;
            let column = batch.column_by_name("path").unwrap().as_string::<i32>();
            paths.extend(column.iter().flatten().map(str::to_owned));
        }
    }
    assert_eq!(rows, calls, "rows of the lake and calls that the analysis counts");
    assert_eq!(paths.len() as u64, rows, "a call is in the lake twice");
}
