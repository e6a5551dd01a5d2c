//! Kong away, a full disk, garbage on the wire.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use outrider_lake::arrow::array::AsArray as _;
use outrider_lake::arrow::datatypes::Int64Type;
use outrider_lake::{Beside, LakeReader, QueryLimits};
use outrider_practice::{AdminFault, Practice, Reach, Settings};
use serde_json::json;

use crate::harness::{Outrider, Setup, assert_quiet, free_port, line, now_ms, wait_for};

fn act(outrider: &Outrider, consumer: &str, duration: &str) -> String {
    let body = json!({
        "target": {"kind": "consumer", "gateway": "kong", "value": consumer}, "duration": duration, "reason": "a test"
    });
    let (status, action) = outrider.request("POST", "/api/v1/actions", Some(&body));
    assert!(matches!(status, 200 | 201), "{status} {action}");
    action["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_action_waits_for_a_gateway_that_is_away_and_survives_its_odd_answers() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { admin_url: Some(format!("http://{address}")), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &setup);
    let state = |id: &str| outrider.get(&format!("/api/v1/actions/{id}"));

    // Away: the consumer cannot even exist yet, so it gets the id that is asked for below.
    let consumer = "0c0ffee0-0000-4000-8000-000000000001";
    let id = act(&outrider, consumer, "1h");
    wait_for("the reason why it waits", || {
        let action = state(&id);
        (action["state"] == "pending" && action["state_reason"].as_str()?.contains("cannot be reached")).then_some(())
    });

    let settings = Settings { admin_listen: address, state_update_frequency: Duration::ZERO, ..Settings::default() };
    let practice = runtime.block_on(Practice::start(settings)).unwrap();
    let admin = practice.admin();
    practice.faults().admin(AdminFault::Html(502), Reach::ALL.times(2));
    let body = json!({"username": "alice"});
    wait_for("the consumer", || {
        let answer = runtime.block_on(admin.request("PUT", &format!("/consumers/{consumer}"), Some(&body)));
        answer.is_ok_and(|(status, _)| status == 200).then_some(())
    });
    wait_for("the block stored", || (state(&id)["state"] == "stored").then_some(()));

    for fault in [AdminFault::LostReply, AdminFault::HalfBody, AdminFault::TooManyRequests(1), AdminFault::Closed] {
        practice.faults().admin(fault, Reach::WRITES.times(1));
        let release = json!({"reason": "on to the next"});
        let open: Vec<_> = outrider.list("/api/v1/actions?state=stored");
        for action in &open {
            let path = format!("/api/v1/actions/{}/release", action["id"].as_str().unwrap());
            assert_eq!(outrider.request("POST", &path, Some(&release)).0, 200);
        }
        let id = act(&outrider, consumer, "1h");
        wait_for(&format!("the block stored in spite of {fault:?}"), || {
            (state(&id)["state"] == "stored").then_some(())
        });
        let (_, plugins) = runtime.block_on(admin.request("GET", "/plugins?tags=outrider", None)).unwrap();
        let plugins = plugins["data"].as_array().unwrap();
        assert_eq!(plugins.len(), 1, "{fault:?}: {plugins:#?}");
        assert!(plugins[0]["tags"].as_array().unwrap().contains(&json!(format!("action:{id}"))), "{fault:?}");
    }
    outrider.stop();
    runtime.block_on(practice.stop());
}

#[test]
fn a_gateway_that_restarts_under_load_comes_back_to_what_is_wanted() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = |admin_listen, proxy_listen| Settings {
        admin_listen,
        proxy_listen,
        state_update_frequency: Duration::ZERO,
        ..Settings::default()
    };
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let practice = runtime.block_on(Practice::start(settings(any, any))).unwrap();
    let (admin_address, proxy) = (practice.admin_address(), practice.proxy_address());
    let admin = practice.admin();
    let directory = tempfile::tempdir().unwrap();
    let setup =
        Setup { admin_url: Some(format!("http://{admin_address}")), source_port: free_port(), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &setup);
    let names = ["alice", "bob", "carol", "dave"];
    let [alice, bob, carol, _] = runtime.block_on(async {
        admin.service("shop", "http://shop.practice/", "/shop").await.unwrap();
        admin.key_auth("shop").await.unwrap();
        admin.tcp_log(outrider.sources[0]).await.unwrap();
        let mut ids = Vec::new();
        for name in names {
            ids.push(admin.consumer(name, &format!("key-{name}")).await.unwrap());
        }
        <[String; 4]>::try_from(ids).unwrap()
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = |name: &str| {
        let request = client.get(format!("http://{proxy}/shop/items/7")).header("apikey", format!("key-{name}"));
        async move { request.send().await.map(|response| response.status().as_u16()) }
    };
    let is_over = tokio_util::sync::CancellationToken::new();
    let load = runtime.spawn({
        let (stop, client, url) = (is_over.clone(), client.clone(), format!("http://{proxy}/shop/items/1"));
        async move {
            while !stop.is_cancelled() {
                // Refused while the gateway is away, which is what a client would see, too.
                drop(client.get(&url).header("apikey", "key-dave").send().await);
                tokio::task::yield_now().await;
            }
        }
    });
    let state = |id: &str| outrider.get(&format!("/api/v1/actions/{id}"));
    let stored = |id: &str| wait_for("a block stored", || (state(id)["state"] == "stored").then_some(()));
    let kept = act(&outrider, &alice, "1h");
    stored(&kept);
    let ending = act(&outrider, &carol, "6s");
    stored(&ending);

    // It goes away as a whole: nothing is written between its last answer and what it had stored.
    practice.faults().admin(AdminFault::Closed, Reach::ALL);
    let held = practice.snapshot();
    runtime.block_on(practice.stop());
    let due = act(&outrider, &bob, "1h");
    wait_for("the reason why it waits", || {
        let action = state(&due);
        (action["state"] == "pending" && action["state_reason"].as_str()?.contains("cannot be reached")).then_some(())
    });
    wait_for("the end of the third block", || (state(&ending)["expires_ms"].as_i64()? < now_ms()).then_some(()));
    let before = outrider.get("/api/v1/status")["platform"]["progress"]["calls"].as_u64().unwrap();

    let practice = runtime.block_on(Practice::start_from(settings(admin_address, proxy), &held)).unwrap();
    stored(&due);
    wait_for("the release", || (state(&ending)["state"] == "released").then_some(()));
    let (_, plugins) = runtime.block_on(admin.request("GET", "/plugins?tags=outrider", None)).unwrap();
    let plugins = plugins["data"].as_array().unwrap();
    let held = |id: &str| {
        let tag = json!(format!("action:{id}"));
        plugins.iter().filter(|plugin| plugin["tags"].as_array().unwrap().contains(&tag)).count()
    };
    assert_eq!((plugins.len(), held(&kept), held(&due)), (2, 1, 1), "{plugins:#?}");
    let answers = names.map(|name| runtime.block_on(call(name)).unwrap());
    assert_eq!(answers, [403, 403, 200, 200]);
    outrider.await_calls(before + 1);
    is_over.cancel();
    runtime.block_on(load).unwrap();
    outrider.stop();
    runtime.block_on(practice.stop());
}

#[test]
fn a_block_ends_on_time_across_a_kill() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let admin = practice.admin();
    let consumer = runtime.block_on(admin.consumer("alice", "key-alice")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { admin_url: Some(format!("http://{}", practice.admin_address())), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &setup);
    let id = act(&outrider, &consumer, "4s");
    wait_for("the block", || (outrider.get(&format!("/api/v1/actions/{id}"))["state"] == "stored").then_some(()));
    outrider.kill();
    // The block is over while nobody watches, or soon after; what is on disk and at the gateway must be enough to end it.
    let outrider = Outrider::start(directory.path(), &setup);
    wait_for("the end of the block", || {
        let (_, plugins) = runtime.block_on(admin.request("GET", "/plugins?tags=outrider", None)).unwrap();
        plugins["data"].as_array().unwrap().is_empty().then_some(())
    });
    wait_for("its release in the books", || {
        (outrider.get(&format!("/api/v1/actions/{id}"))["state"] == "released").then_some(())
    });
    outrider.stop();
    runtime.block_on(practice.stop());
}

#[test]
fn garbage_on_the_wire_is_counted_and_costs_no_good_line() {
    let directory = tempfile::tempdir().unwrap();
    let outrider = Outrider::start(directory.path(), &Setup::default());
    let good = |at: i64| line("alice", "GET", &format!("/shop/items/{at}"), 200, now_ms());
    let mut stream = outrider.connect();
    let mut wire: Vec<u8> = Vec::new();
    wire.extend_from_slice(good(1).as_bytes());
    wire.extend_from_slice(b"\r\n\n\0\0\0\nnot json\n[1,2]\n{\"request\":\"text\"}\n");
    wire.extend_from_slice(good(2).as_bytes());
    wire.extend_from_slice(good(3).as_bytes());
    wire.push(b'\n');
    wire.extend_from_slice(good(4).replace("/shop/items/4", "/shop/caf\u{fffd}").as_bytes());
    let at = wire.windows(3).rposition(|bytes| bytes == "\u{fffd}".as_bytes()).unwrap();
    wire.splice(at..at + 3, [0xe9]);
    wire.push(b'\n');
    stream.write_all(&wire).unwrap();
    let megabyte = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        stream.write_all(&megabyte).unwrap();
    }
    stream.write_all(b"\n").unwrap();
    stream.write_all(good(5).as_bytes()).unwrap();
    stream.write_all(b"\n{\"half\":").unwrap();
    drop(stream);
    outrider.await_calls(5);
    let counters = wait_for("the torn tail", || {
        let counters = outrider.get("/api/v1/status")["sources"][0]["counters"].clone();
        counters["rejected"]["torn"].is_u64().then_some(counters)
    });
    assert_eq!(counters["accepted"], 5, "{counters}");
    assert_eq!(counters["rejected"]["too_long"], 1, "{counters}");
    assert!(counters["rejected"]["not_json"].as_u64().unwrap() >= 1, "{counters}");
    assert_quiet(&outrider.stop(), &[]);
}

#[test]
fn a_full_disk_drops_and_counts_and_everything_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let Some(_mount) = Mounted::tmpfs(&data, "size=24m") else { return };
    let setup = Setup { more_at_end: "[lake]\ncommit_interval_ms = 100\n".to_owned(), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &setup);
    outrider.send(&[line("alice", "GET", "/shop/items/1", 200, now_ms())]);
    outrider.await_calls(1);
    let filler = data.join("filler");
    drop(std::fs::write(&filler, vec![0u8; 64 << 20]));
    let mut sent = 1;
    wait_for("calls dropped and counted", || {
        let lines: Vec<_> =
            (0..200).map(|at| line("alice", "GET", &format!("/shop/items/{at}"), 200, now_ms())).collect();
        outrider.send(&lines);
        sent += lines.len() as u64;
        (outrider.get("/api/v1/status")["platform"]["progress"]["dropped_calls"].as_u64()? > 0).then_some(())
    });
    std::fs::remove_file(&filler).unwrap();
    wait_for("calls taken again", || {
        let before = outrider.get("/api/v1/status")["platform"]["progress"]["calls"].as_u64()?;
        outrider.send(&[line("alice", "GET", "/shop/items/2", 200, now_ms())]);
        sent += 1;
        wait_for("an answer", || {
            let progress = outrider.get("/api/v1/status")["platform"]["progress"].clone();
            let total = progress["calls"].as_u64()? + progress["dropped_calls"].as_u64()?;
            (total == sent).then_some(progress["calls"].as_u64()? > before)
        })
        .then_some(())
    });
    // What could not be committed while there was no room is committed since, and once.
    let accepted = outrider.get("/api/v1/status")["platform"]["progress"]["calls"].as_u64().unwrap();
    let reader = LakeReader::open(&data.join("lake"), None, QueryLimits::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let rows = || {
        runtime.block_on(async {
            let statement = "SELECT count(*), count(DISTINCT position * 1000000 + call_index) FROM events";
            let mut answer = reader.query(statement, &Beside::default()).await.ok()?;
            let batch = answer.next().await?.ok()?;
            Some([0, 1].map(|column| batch.column(column).as_primitive::<Int64Type>().value(0).cast_unsigned()))
        })
    };
    wait_for("the calls in the lake", || rows().filter(|rows| *rows == [accepted; 2]));
    let said = outrider.stop();
    assert!(said.iter().any(|line| line.contains("full")), "{said:#?}");
    assert_eq!(rows(), Some([accepted; 2]));
}

/// A small file system, as long as it is there.
pub struct Mounted(PathBuf);

impl Mounted {
    /// `None`, and a word about it, where that is not allowed.
    pub fn tmpfs(directory: &Path, options: &str) -> Option<Mounted> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(directory).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: a small file system cannot be mounted here (needs root)");
            return None;
        }
        Some(Mounted(directory.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}
