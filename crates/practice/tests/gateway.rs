//! What the practice gateway promises beyond single exchanges: when changes come into force, faults, log delivery,
//! restarts, limits.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use outrider_practice::{AdminFault, Clock, Practice, PracticeError, Reach, Settings};
use serde_json::{Value, json};
use support::{Connection, Listener, call};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

const START_MS: i64 = 1_795_449_000_000;

/// A gateway with a shop, a consumer and a manual clock.
async fn shop(settings: Settings) -> Practice {
    let practice = Practice::start(settings).await.unwrap();
    let admin = practice.admin();
    admin.service("shop", "http://shop.practice/", "/shop").await.unwrap();
    admin.key_auth("shop").await.unwrap();
    admin.consumer("alice", "key-alice").await.unwrap();
    practice.refresh();
    practice
}

fn settings(clock: &Clock) -> Settings {
    Settings { clock: clock.clone(), ..Settings::default() }
}

fn blocked() -> Value {
    json!({ "name": "request-termination", "config": { "status_code": 403, "message": "Blocked" } })
}

async fn status(connection: &mut Connection) -> u16 {
    connection.call("GET", "/shop/items/1", &[("apikey", "key-alice")], b"").await.unwrap().status
}

/// Milliseconds until each worker answers with a status, in steps of 10 ms.
async fn changes(clock: &Clock, workers: &mut [Connection; 2], wanted: u16) -> [i64; 2] {
    let mut changed = [None; 2];
    for step in 0..=600 {
        for (at, worker) in workers.iter_mut().enumerate() {
            if changed[at].is_none() && status(worker).await == wanted {
                changed[at] = Some(step * 10);
            }
        }
        if let [Some(first), Some(second)] = changed {
            return [first, second];
        }
        clock.advance(Duration::from_millis(10));
    }
    panic!("not in force after 6 s: {changed:?}");
}

#[tokio::test]
async fn a_plugin_comes_into_force_at_each_workers_beat() {
    let mut firsts = Vec::new();
    for seed in 1..=8 {
        let clock = Clock::manual(START_MS);
        let practice = shop(Settings { seed, ..settings(&clock) }).await;
        let address = practice.proxy_address();
        let mut workers = [Connection::open(address).await, Connection::open(address).await];
        assert_eq!([status(&mut workers[0]).await, status(&mut workers[1]).await], [200, 200]);

        let plugin = practice.admin().plugin("/consumers/alice", blocked()).await.unwrap();
        let blocked_ms = changes(&clock, &mut workers, 403).await;
        assert!(blocked_ms.iter().all(|after_ms| (0..=5_000).contains(after_ms)), "seed {seed}: {blocked_ms:?}");
        assert_ne!(blocked_ms[0], blocked_ms[1], "seed {seed}: the workers disagree for a while");
        firsts.push(blocked_ms);

        // Whatever the moment of the change, the beats stay where they are.
        clock.advance(Duration::from_millis(1_370));
        practice.admin().delete(&format!("/plugins/{plugin}")).await.unwrap();
        let freed_ms = changes(&clock, &mut workers, 200).await;
        assert!(freed_ms.iter().all(|after_ms| (0..=5_000).contains(after_ms)), "seed {seed}: {freed_ms:?}");
        practice.stop().await;
    }
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() >= 7, "seeds decide the beats: {firsts:?}");
}

#[tokio::test]
async fn a_worker_takes_over_what_was_stored_at_its_beat() {
    let clock = Clock::manual(START_MS);
    let practice = shop(settings(&clock)).await;
    let address = practice.proxy_address();
    let mut workers = [Connection::open(address).await, Connection::open(address).await];
    // Created and deleted between two beats: nobody ever sees it, although nobody calls in between.
    let plugin = practice.admin().plugin("/consumers/alice", blocked()).await.unwrap();
    practice.admin().delete(&format!("/plugins/{plugin}")).await.unwrap();
    clock.advance(Duration::from_secs(6));
    assert_eq!([status(&mut workers[0]).await, status(&mut workers[1]).await], [200, 200]);
    // Created, six seconds pass without a call, deleted: the workers have taken it over and hold it to their next beat.
    let plugin = practice.admin().plugin("/consumers/alice", blocked()).await.unwrap();
    clock.advance(Duration::from_secs(6));
    practice.admin().delete(&format!("/plugins/{plugin}")).await.unwrap();
    assert_eq!([status(&mut workers[0]).await, status(&mut workers[1]).await], [403, 403]);
    practice.stop().await;
}

#[tokio::test]
async fn consumers_keys_and_groups_are_in_force_at_once() {
    let clock = Clock::manual(START_MS);
    let practice = shop(settings(&clock)).await;
    let admin = practice.admin();
    admin.plugin("/services/shop", json!({ "name": "acl", "config": { "deny": ["blocked"] } })).await.unwrap();
    practice.refresh();
    let address = practice.proxy_address();
    let mut workers = [Connection::open(address).await, Connection::open(address).await];
    for (step, expected) in [("", 200), ("block", 403), ("free", 200), ("key", 401)] {
        match step {
            "block" => _ = admin.create("/consumers/alice/acls", json!({ "group": "blocked" })).await.unwrap(),
            "free" => admin.delete("/consumers/alice/acls/blocked").await.unwrap(),
            "key" => admin.delete("/consumers/alice/key-auth/key-alice").await.unwrap(),
            _ => {}
        }
        assert_eq!([status(&mut workers[0]).await, status(&mut workers[1]).await], [expected; 2], "{step}");
    }
    practice.stop().await;
}

#[tokio::test]
async fn a_rate_limit_counts_on_the_given_clock() {
    let clock = Clock::manual(START_MS);
    let practice = shop(settings(&clock)).await;
    let limit = json!({ "name": "rate-limiting", "config": { "minute": 2, "policy": "local" } });
    practice.admin().plugin("/consumers/alice", limit).await.unwrap();
    practice.refresh();
    let address = practice.proxy_address();
    let mut workers = [Connection::open(address).await, Connection::open(address).await];
    // Both workers share one counter.
    assert_eq!([status(&mut workers[0]).await, status(&mut workers[1]).await], [200, 200]);
    assert_eq!([status(&mut workers[0]).await, status(&mut workers[1]).await], [429, 429]);
    clock.advance(Duration::from_secs(60));
    assert_eq!(status(&mut workers[1]).await, 200);
    practice.stop().await;
}

#[tokio::test]
async fn faults_of_the_admin_api() {
    let clock = Clock::manual(START_MS);
    let practice = Practice::start(settings(&clock)).await.unwrap();
    let address = practice.admin_address();
    let names = || async {
        let (_, body) = practice.admin().request("GET", "/consumers", None).await.unwrap();
        body["data"].as_array().unwrap().len()
    };
    // (fault, status that the client sees, whether the consumer is stored all the same)
    for (fault, seen, stored) in [
        (AdminFault::Html(200), Some(200), false),
        (AdminFault::Html(502), Some(502), false),
        (AdminFault::Status(500), Some(500), false),
        (AdminFault::Status(503), Some(503), false),
        (AdminFault::TooManyRequests(7), Some(429), false),
        (AdminFault::Slow(Duration::from_millis(1)), Some(201), true),
        (AdminFault::HalfBody, None, true),
        (AdminFault::LostReply, None, true),
        (AdminFault::Closed, None, false),
    ] {
        practice.reset();
        practice.faults().admin(fault, Reach::WRITES.times(1));
        let body = json!({ "username": "x" }).to_string();
        let answer =
            call(address, "POST", "/consumers", &[("Content-Type", "application/json")], body.as_bytes()).await;
        let answer = answer.ok();
        assert_eq!(answer.as_ref().map(|answer| answer.status), seen, "{fault:?}");
        let answer_type = answer.as_ref().and_then(|answer| answer.header("content-type"));
        let is_html = answer_type.is_some_and(|answer_type| answer_type.starts_with("text/html"));
        assert_eq!(is_html, matches!(fault, AdminFault::Html(_)), "{fault:?}");
        if fault == AdminFault::TooManyRequests(7) {
            assert_eq!(answer.as_ref().and_then(|answer| answer.header("retry-after")), Some("7"));
        }
        assert_eq!(names().await, usize::from(stored), "{fault:?}");
    }
    practice.stop().await;
}

#[tokio::test]
async fn lines_go_out_one_by_one_on_kept_connections() {
    let clock = Clock::manual(START_MS);
    let practice = shop(settings(&clock)).await;
    let mut listener = Listener::start().await;
    practice.admin().tcp_log(listener.address).await.unwrap();
    practice.refresh();
    let mut worker = Connection::open(practice.proxy_address()).await;
    for _ in 0..20 {
        assert_eq!(status(&mut worker).await, 200);
        practice.logs_settled().await;
        let line = listener.json().await;
        assert_eq!(line["consumer"]["username"], "alice");
        assert_eq!(line["started_at"], START_MS);
    }
    assert_eq!(practice.counts().lines_sent, 20);
    practice.stop().await;
}

#[tokio::test]
async fn lines_are_lost_and_counted_never_sent_later() {
    let clock = Clock::manual(START_MS);
    let practice = shop(settings(&clock)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    practice.admin().tcp_log(address).await.unwrap();
    practice.refresh();
    let mut worker = Connection::open(practice.proxy_address()).await;

    practice.faults().log_delivery(false);
    status(&mut worker).await;
    practice.logs_settled().await;
    assert_eq!((practice.counts().lines_sent, practice.counts().lines_lost), (0, 1));

    practice.faults().log_delivery(true);
    status(&mut worker).await;
    practice.logs_settled().await;
    let (stream, _) = listener.accept().await.unwrap();
    assert_eq!((practice.counts().lines_sent, practice.counts().lines_lost), (1, 1));

    // A listener that writes makes its connection unusable: the next line comes on another one.
    let mut stream = BufReader::new(stream);
    let mut first_line = String::new();
    stream.read_line(&mut first_line).await.unwrap();
    assert!(first_line.ends_with("}\n"));
    stream.get_mut().write_all(b"OK\n").await.unwrap();
    status(&mut worker).await;
    practice.logs_settled().await;
    let (second, _) = listener.accept().await.unwrap();
    let mut rest = Vec::new();
    let end = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "{end:?}");

    drop((second, listener));
    let mut lost = 0;
    for _ in 0..3 {
        status(&mut worker).await;
        practice.logs_settled().await;
        lost = practice.counts().lines_lost;
    }
    assert!(lost >= 3, "nobody listens: {lost}");
    practice.stop().await;
}

#[tokio::test]
async fn a_gateway_goes_on_from_a_snapshot() {
    let clock = Clock::manual(START_MS);
    let practice = shop(settings(&clock)).await;
    practice.admin().plugin("/consumers/alice", blocked()).await.unwrap();
    let snapshot = practice.snapshot();
    practice.stop().await;

    let practice = Practice::start_from(settings(&clock), &snapshot).await.unwrap();
    assert_eq!(practice.snapshot(), snapshot);
    let mut worker = Connection::open(practice.proxy_address()).await;
    assert_eq!(status(&mut worker).await, 403);
    practice.reset();
    assert_eq!(status(&mut worker).await, 404);
    practice.stop().await;

    for bad in [&b"no json"[..], b"{}", br#"{"version":2,"tables":{}}"#, br#"{"version":1,"tables":{}}"#] {
        let started = Practice::start_from(settings(&clock), bad).await;
        assert!(matches!(started, Err(PracticeError::Snapshot)), "{}", String::from_utf8_lossy(bad));
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_ids() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let clock = Clock::manual(START_MS);
        let practice = shop(settings(&clock)).await;
        seen.push(practice.snapshot());
        practice.stop().await;
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_tried_again() {
    let clock = Clock::manual(START_MS);
    let practice = Practice::start(settings(&clock)).await.unwrap();
    let mut log = Listener::start().await;
    let admin = practice.admin();
    // A service that takes every connection and closes it at once.
    let closing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closing.local_addr().unwrap().port();
    tokio::spawn(async move { while closing.accept().await.is_ok() {} });
    let service = json!({ "name": "closing", "host": "127.0.0.1", "port": port, "retries": 2 });
    admin.create("/services", service).await.unwrap();
    admin.create("/services/closing/routes", json!({ "paths": ["/closing"] })).await.unwrap();
    admin.tcp_log(log.address).await.unwrap();
    practice.refresh();
    for (method, statuses) in [("GET", "502, 502, 502"), ("POST", "502")] {
        let answer = call(practice.proxy_address(), method, "/closing", &[], b"").await.unwrap();
        assert_eq!(answer.status, 502);
        let line = log.json().await;
        assert_eq!(line["upstream_status"], statuses, "{method}");
        assert_eq!(line["source"], "kong");
        assert_eq!(line["tries"].as_array().unwrap().len(), statuses.split(", ").count());
        assert_eq!(line["tries"][0]["state"], "failed");
    }
    practice.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    let practice = Practice::start(Settings::default()).await.unwrap();
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", service.local_addr().unwrap());
    practice.admin().service("large", &url, "/large").await.unwrap();
    practice.refresh();
    tokio::spawn(async move {
        let (mut asked, _) = service.accept().await.unwrap();
        let large = vec![b'x'; 8 * 1024 * 1024 + 1];
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", large.len());
        asked.write_all(head.as_bytes()).await.unwrap();
        let _ = asked.write_all(&large).await;
    });
    let answer = call(practice.proxy_address(), "POST", "/large", &[], b"").await.unwrap();
    assert_eq!(answer.status, 502);
    practice.stop().await;
}

#[tokio::test]
async fn bodies_are_bounded() {
    let clock = Clock::manual(START_MS);
    let practice = shop(settings(&clock)).await;
    let large = vec![b'x'; 1024 * 1024 + 1];
    let answer = call(practice.proxy_address(), "POST", "/shop/orders", &[("apikey", "key-alice")], &large).await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 413));
    let document = format!(r#"{{"username":"{}"}}"#, "x".repeat(10 * 1024 * 1024));
    let headers = [("Content-Type", "application/json")];
    let answer = call(practice.admin_address(), "POST", "/consumers", &headers, document.as_bytes()).await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 413));
    let (status, _) = practice.admin().request("GET", "/consumers/alice", None).await.unwrap();
    assert_eq!(status, 200);
    practice.stop().await;
}

#[tokio::test]
async fn what_the_practice_gateway_cannot_do_is_refused() {
    let practice = Practice::start(Settings::default()).await.unwrap();
    let log = |config: Value| {
        let mut whole = json!({ "host": "127.0.0.1", "port": 1 });
        whole.as_object_mut().unwrap().extend(config.as_object().cloned().unwrap());
        json!({ "name": "tcp-log", "config": whole })
    };
    for (plugin, says) in [
        (log(json!({ "custom_fields_by_lua": { "x": "return os.time()" } })), "constant expressions only"),
        (json!({ "name": "key-auth", "config": { "key_in_body": true } }), "no key from a body"),
        (json!({ "name": "rate-limiting", "config": { "minute": 1, "policy": "cluster" } }), "policy local only"),
        (json!({ "name": "cors" }), "not enabled"),
    ] {
        let (status, body) = practice.admin().request("POST", "/plugins", Some(&plugin)).await.unwrap();
        assert_eq!(status, 400, "{plugin}");
        assert!(body["message"].as_str().unwrap().contains(says), "{plugin}: {body}");
    }
    practice.stop().await;
}

#[tokio::test]
async fn entities_hang_together() {
    let practice = shop(Settings::default()).await;
    let admin = practice.admin();
    admin.create("/consumers/alice/acls", json!({ "group": "g" })).await.unwrap();
    admin.plugin("/consumers/alice", blocked()).await.unwrap();
    // A service with a route stays; a consumer takes everything along.
    let (status, body) = admin.request("DELETE", "/services/shop", None).await.unwrap();
    assert_eq!((status, &body["code"]), (400, &json!(4)));
    admin.delete("/consumers/alice").await.unwrap();
    for path in ["/acls", "/key-auths", "/consumers"] {
        let (_, body) = admin.request("GET", path, None).await.unwrap();
        assert_eq!(body["data"], json!([]), "{path}");
    }
    admin.delete("/routes/shop-route").await.unwrap();
    admin.delete("/services/shop").await.unwrap();
    let (_, body) = admin.request("GET", "/plugins", None).await.unwrap();
    assert_eq!(body["data"], json!([]));
    practice.stop().await;
}

#[tokio::test]
async fn pages_cover_every_row_once() {
    let practice = Practice::start(Settings::default()).await.unwrap();
    let admin = practice.admin();
    for number in 0..23 {
        let tags = if number % 2 == 0 { json!(["even"]) } else { json!(["odd"]) };
        admin.create("/consumers", json!({ "username": format!("c{number}"), "tags": tags })).await.unwrap();
    }
    for (filter, expected) in [("", 23_usize), ("&tags=even", 12), ("&tags=even/odd", 23), ("&tags=even,odd", 0)] {
        let mut found = std::collections::BTreeSet::new();
        let mut next = format!("/consumers?size=5{filter}");
        let mut pages = 0;
        loop {
            let (_, page) = admin.request("GET", &next, None).await.unwrap();
            pages += 1;
            for row in page["data"].as_array().unwrap() {
                assert!(found.insert(row["id"].to_string()), "twice: {row}");
            }
            match page["next"].as_str() {
                Some(path) => next = path.to_owned(),
                None => break,
            }
        }
        assert_eq!((found.len(), pages), (expected, expected.div_ceil(5).max(1)), "{filter}");
    }
    practice.stop().await;
}

#[tokio::test]
async fn connections_are_bounded() {
    let practice = Practice::start(Settings { connections_max: 2, ..Settings::default() }).await.unwrap();
    let address = practice.proxy_address();
    let mut kept = [Connection::open(address).await, Connection::open(address).await];
    for connection in &mut kept {
        assert_eq!(status(connection).await, 404);
    }
    assert!(call(address, "GET", "/", &[], b"").await.is_err());
    assert_eq!(practice.counts().connections_refused, 1);
    assert_eq!(status(&mut kept[1]).await, 404);
    practice.stop().await;
}

#[tokio::test]
async fn a_call_is_logged_even_when_the_client_has_gone() {
    let clock = Clock::manual(START_MS);
    let practice = Practice::start(settings(&clock)).await.unwrap();
    let mut log = Listener::start().await;
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", service.local_addr().unwrap());
    practice.admin().service("slow", &url, "/slow").await.unwrap();
    practice.admin().tcp_log(log.address).await.unwrap();
    practice.refresh();
    let mut client = tokio::net::TcpStream::connect(practice.proxy_address()).await.unwrap();
    client.write_all(b"GET /slow/x HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let (mut asked, _) = service.accept().await.unwrap();
    drop(client);
    asked.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    assert_eq!(log.json().await["request"]["uri"], "/slow/x");
    practice.stop().await;
}
