//! The HTTP source on real sockets: what Kong sends it, and what whoever takes the calls does to it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outrider_collect::{
    AllowList, Clock, CollectError, Counters, CountersSnapshot, Delivery, KongHttpLog, KongHttpLogConfig, Normaliser,
    NormaliserSettings, PseudonymKey, Scratch,
};
use outrider_model::batch::BatchReader;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const NOW_MS: i64 = 1_795_448_391_727;

/// Longer than anything here takes; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    deliveries: mpsc::Receiver<Delivery>,
}

fn config() -> KongHttpLogConfig {
    KongHttpLogConfig { listen: "127.0.0.1:0".parse().unwrap(), ..KongHttpLogConfig::default() }
}

fn bind(config: &KongHttpLogConfig, queue: usize) -> Result<(KongHttpLog, mpsc::Receiver<Delivery>), CollectError> {
    let (sender, deliveries) = mpsc::channel(queue);
    let clock: Arc<dyn Clock> = Arc::new(|| NOW_MS);
    Ok((KongHttpLog::bind(config, PseudonymKey::from_bytes(&[7; 32]), clock, sender, None, None)?, deliveries))
}

fn start(config: &KongHttpLogConfig, queue: usize) -> Running {
    let (source, deliveries) = bind(config, queue).unwrap();
    run(source, deliveries)
}

fn run(source: KongHttpLog, deliveries: mpsc::Receiver<Delivery>) -> Running {
    let (address, counters, stop) = (source.local_addr(), source.counters(), CancellationToken::new());
    let task = tokio::spawn(source.run(stop.clone()));
    Running { address, counters, stop, task, deliveries }
}

impl Running {
    async fn delivery(&mut self) -> Delivery {
        within(self.deliveries.recv()).await.expect("calls")
    }

    /// Takes everything from now on, and says how many calls that was in the end.
    fn take_all(&mut self) -> JoinHandle<usize> {
        let (_, nothing) = mpsc::channel(1);
        let mut deliveries = std::mem::replace(&mut self.deliveries, nothing);
        tokio::spawn(async move {
            let mut calls = 0;
            while let Some(delivery) = deliveries.recv().await {
                calls += paths(&delivery).len();
                let _ = delivery.are_stored.send(true);
            }
            calls
        })
    }

    /// Stops, and checks that every line is accounted for.
    async fn stop(self) -> CountersSnapshot {
        self.stop.cancel();
        within(self.task).await.unwrap();
        let seen = self.counters.snapshot();
        assert_eq!(seen.received, seen.accepted + seen.rejected_total() + seen.dropped_total(), "{seen:?}");
        assert_eq!(seen.connections_open, 0, "{seen:?}");
        seen
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

fn line(id: &str) -> String {
    format!(
        r#"{{"request":{{"id":"{id}","uri":"/{id}","method":"GET"}},"response":{{"status":200}},"started_at":{NOW_MS}}}"#
    )
}

fn array(ids: &[&str]) -> String {
    format!("[{}]", ids.iter().map(|id| line(id)).collect::<Vec<_>>().join(","))
}

fn paths(delivery: &Delivery) -> Vec<String> {
    let batches = delivery.batches.iter().flat_map(|batch| {
        let calls: Vec<_> =
            BatchReader::new(&batch.calls).unwrap().map(|call| call.unwrap().path.into_string()).collect();
        assert_eq!(calls.len(), batch.count as usize);
        calls
    });
    batches.collect()
}

/// Sends a request on a connection of its own; the status and the body of the answer.
async fn send(address: SocketAddr, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!("{head}host: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // Who is refused early need not have read all of it.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or_else(|| panic!("no answer: {answer:?}")), body.to_owned())
}

async fn post(address: SocketAddr, body: impl AsRef<[u8]>) -> (u16, String) {
    send(address, "POST / HTTP/1.1\r\n", body.as_ref()).await
}

fn taken(stored: u32, duplicates: u32, rejected: u32) -> (u16, String) {
    (200, format!(r#"{{"stored":{stored},"duplicates":{duplicates},"rejected":{rejected}}}"#))
}

#[tokio::test]
async fn one_object_and_several_are_taken_when_they_are_stored_and_not_before() {
    let mut source = start(&config(), 16);
    let address = source.address;
    let answer = tokio::spawn(post(address, line("a")));
    let delivery = source.delivery().await;
    assert_eq!(paths(&delivery), ["/a"]);
    assert_eq!(&*delivery.batches[0].source, format!("kong_http_log {address}"));
    assert_eq!((delivery.batches[0].first_received_ms, delivery.batches[0].last_received_ms), (NOW_MS, NOW_MS));
    assert!(!answer.is_finished(), "nothing is stored yet");
    assert_eq!(source.counters.snapshot().received, 0);
    delivery.are_stored.send(true).unwrap();
    assert_eq!(answer.await.unwrap(), taken(1, 0, 0));

    let answer = tokio::spawn(send(address, "PUT /log?x=1 HTTP/1.1\r\n", array(&["b", "c"]).leak().as_bytes()));
    let delivery = source.delivery().await;
    assert_eq!(paths(&delivery), ["/b", "/c"]);
    delivery.are_stored.send(true).unwrap();
    assert_eq!(answer.await.unwrap(), taken(2, 0, 0));

    // Nothing to store needs nobody to store it.
    assert_eq!(post(address, "[]").await, taken(0, 0, 0));
    let seen = source.stop().await;
    assert_eq!((seen.received, seen.accepted, seen.duplicates, seen.refused.len()), (3, 3, 0, 0));
}

#[tokio::test]
async fn many_lines_make_several_batches_of_one_delivery() {
    let mut source = start(&config(), 16);
    let ids: Vec<String> = (0..2500).map(|number| format!("call-{number}")).collect();
    let body = array(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let answer = tokio::spawn(post(source.address, body));
    let delivery = source.delivery().await;
    assert_eq!(delivery.batches.iter().map(|batch| batch.count).collect::<Vec<_>>(), [1024, 1024, 452]);
    assert_eq!(paths(&delivery).len(), 2500);
    delivery.are_stored.send(true).unwrap();
    assert_eq!(answer.await.unwrap(), taken(2500, 0, 0));
    source.stop().await;
}

#[tokio::test]
async fn a_batch_that_is_sent_again_counts_once_and_one_that_was_not_stored_is_taken_then() {
    let mut source = start(&config(), 16);
    let address = source.address;
    let refused = tokio::spawn(post(address, array(&["a", "b"])));
    source.delivery().await.are_stored.send(false).unwrap();
    let (status, said) = refused.await.unwrap();
    assert_eq!((status, said.contains("not_stored")), (503, true), "{said}");

    let again = tokio::spawn(post(address, array(&["a", "b"])));
    let under_way = source.delivery().await;
    assert_eq!(paths(&under_way), ["/a", "/b"]);
    // Kong gave up waiting, and sends the batch once more while it is being stored.
    let (status, said) = post(address, array(&["b"])).await;
    assert_eq!((status, said.contains("under_way")), (503, true), "{said}");
    under_way.are_stored.send(true).unwrap();
    assert_eq!(again.await.unwrap(), taken(2, 0, 0));
    assert_eq!(post(address, array(&["a", "b"])).await, taken(0, 2, 0));

    let partly = tokio::spawn(post(address, array(&["c", "b", "c"])));
    let delivery = source.delivery().await;
    assert_eq!(paths(&delivery), ["/c"]);
    // Dropped without a word: nobody stored it.
    drop(delivery);
    assert_eq!(partly.await.unwrap().0, 503);
    let partly = tokio::spawn(post(address, array(&["c", "b", "c"])));
    source.delivery().await.are_stored.send(true).unwrap();
    assert_eq!(partly.await.unwrap(), taken(1, 2, 0));
    let seen = source.stop().await;
    assert_eq!((seen.received, seen.accepted, seen.duplicates), (3, 3, 4));
    assert_eq!(seen.refused, BTreeMap::from([("not_stored".to_owned(), 2), ("under_way".to_owned(), 1)]));
}

#[tokio::test]
async fn who_hangs_up_finds_the_calls_stored_when_it_comes_again() {
    let mut source = start(&config(), 16);
    let address = source.address;
    let answer = tokio::spawn(post(address, array(&["a"])));
    let delivery = source.delivery().await;
    answer.abort();
    assert!(answer.await.unwrap_err().is_cancelled());
    let is_closed = async {
        while source.counters.snapshot().connections_open > 0 {
            tokio::task::yield_now().await;
        }
    };
    within(is_closed).await;
    delivery.are_stored.send(true).unwrap();
    let known = async {
        loop {
            let answer = post(address, array(&["a"])).await;
            if answer.0 == 200 {
                return answer;
            }
        }
    };
    assert_eq!(within(known).await, taken(0, 1, 0));
    let seen = source.stop().await;
    assert_eq!((seen.received, seen.accepted, seen.duplicates), (1, 1, 1));
}

#[tokio::test]
async fn what_was_stored_before_a_restart_counts_once() {
    let (source, deliveries) = bind(&config(), 16).unwrap();
    let mut scratch = Scratch::default();
    for gateway in ["kong", "other"] {
        let key = PseudonymKey::from_bytes(&[7; 32]);
        let normaliser = Normaliser::new(NormaliserSettings::new(gateway), key).unwrap();
        let line = line(&format!("of-{gateway}"));
        source.remember(&normaliser.normalise(line.as_bytes(), Some(NOW_MS), &mut scratch).unwrap());
    }
    let mut source = run(source, deliveries);
    let answer = tokio::spawn(post(source.address, array(&["of-kong", "of-other"])));
    let delivery = source.delivery().await;
    assert_eq!(paths(&delivery), ["/of-other"], "request ids of gateways are their own");
    delivery.are_stored.send(true).unwrap();
    assert_eq!(answer.await.unwrap(), taken(1, 1, 0));
    source.stop().await;
}

#[tokio::test]
async fn what_is_no_call_is_counted_and_costs_nothing_beside_it() {
    let mut source = start(&KongHttpLogConfig { line_bytes_max: 1024, ..config() }, 16);
    let all = source.take_all();
    let long = line(&"x".repeat(2000));
    let body = format!("[{},{{\"a\":1}},{long},7,{},{{\"request\":", line("a"), line("b"));
    assert_eq!(post(source.address, body).await, taken(2, 0, 4));
    // Raw bytes of a request are in Kong's lines as they came.
    let body = line("c").replace("/c", "/\u{1}").into_bytes();
    let body: Vec<u8> = body.into_iter().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
    assert_eq!(post(source.address, body).await, taken(1, 0, 0));
    assert_eq!(post(source.address, "hello").await, taken(0, 0, 1));
    assert_eq!(post(source.address, "").await, taken(0, 0, 0));
    let seen = source.stop().await;
    let rejected = [("no_request", 1), ("not_json", 2), ("too_long", 1), ("torn", 1)];
    assert_eq!(seen.rejected, rejected.map(|(reason, count)| (reason.to_owned(), count)).into());
    assert_eq!(all.await.unwrap(), 3);
}

#[tokio::test]
async fn packed_bodies_are_unpacked_within_the_limit() {
    let mut source = start(&KongHttpLogConfig { body_bytes_max: 64 * 1024, ..config() }, 16);
    let all = source.take_all();
    let pack = |body: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let gzip = "POST / HTTP/1.1\r\ncontent-encoding: gzip\r\n";
    let packed = pack(array(&["a", "b"]).as_bytes());
    assert_eq!(send(source.address, gzip, &packed).await, taken(2, 0, 0));
    let bomb = pack(&vec![b' '; 10_000_000]);
    assert!(bomb.len() < 64 * 1024);
    assert_eq!(send(source.address, gzip, &bomb).await.0, 413);
    assert_eq!(post(source.address, vec![b' '; 64 * 1024 + 1]).await.0, 413);
    assert_eq!(send(source.address, gzip, &packed[..packed.len() / 2]).await.0, 400);
    assert_eq!(send(source.address, gzip, b"no gzip").await.0, 400);
    let (status, said) = send(source.address, "POST / HTTP/1.1\r\ncontent-encoding: br\r\n", b"x").await;
    assert_eq!((status, said.contains("gzip")), (415, true), "{said}");
    let seen = source.stop().await;
    let refused = [("encoding", 1), ("too_large", 2), ("unreadable", 2)];
    assert_eq!(seen.refused, refused.map(|(reason, count)| (reason.to_owned(), count)).into());
    assert_eq!((seen.received, all.await.unwrap()), (2, 2));
}

#[tokio::test]
async fn a_secret_is_asked_for_where_there_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let secret_file = directory.path().join("secret");
    std::fs::write(&secret_file, "0123456789abcdef\n").unwrap();
    std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut source = start(&KongHttpLogConfig { secret_file: Some(secret_file), ..config() }, 16);
    let all = source.take_all();
    for (header, status) in [
        ("", 401),
        ("authorization: Bearer 0123456789abcdeX\r\n", 401),
        ("authorization: 0123456789abcdef\r\n", 401),
        ("authorization: Basic 0123456789abcdef\r\n", 401),
        ("Authorization: bearer 0123456789abcdef\r\n", 200),
    ] {
        let (answered, said) =
            send(source.address, &format!("POST / HTTP/1.1\r\n{header}"), line("a").as_bytes()).await;
        assert_eq!(answered, status, "{header}: {said}");
        assert!(!said.contains("0123456789"), "{said}");
    }
    let (status, said) = send(source.address, "GET / HTTP/1.1\r\n", b"").await;
    assert_eq!((status, said.contains("HTTP Log")), (405, true), "{said}");
    let seen = source.stop().await;
    let refused = [("method", 1), ("unauthorized", 4)];
    assert_eq!(seen.refused, refused.map(|(reason, count)| (reason.to_owned(), count)).into());
    assert_eq!((seen.untrusted, all.await.unwrap()), (0, 1));
}

#[tokio::test]
async fn whoever_is_too_slow_to_take_the_calls_leaves_them_with_their_sender() {
    let mut source = start(&config(), 1);
    let address = source.address;
    let waiting = tokio::spawn(post(address, line("a")));
    let first = source.delivery().await;
    let second = tokio::spawn(post(address, line("b")));
    // The queue has one place, and that is taken.
    let is_full = async {
        while source.deliveries.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    within(is_full).await;
    let (status, said) = post(address, line("c")).await;
    assert_eq!((status, said.contains("busy")), (503, true), "{said}");
    first.are_stored.send(true).unwrap();
    assert_eq!(waiting.await.unwrap(), taken(1, 0, 0));
    let all = source.take_all();
    assert_eq!(second.await.unwrap(), taken(1, 0, 0));
    let again = post(address, line("c")).await;
    assert_eq!(again, taken(1, 0, 0), "what was refused is not known");
    assert_eq!(source.stop().await.refused, BTreeMap::from([("busy".to_owned(), 1)]));
    assert_eq!(all.await.unwrap(), 2);
}

#[tokio::test]
async fn a_stop_lets_requests_under_way_end() {
    let mut source = start(&config(), 16);
    let address = source.address;
    // A connection that is idle, and one in the middle of a request.
    let mut idle = TcpStream::connect(address).await.unwrap();
    let answer = tokio::spawn(post(address, line("a")));
    let delivery = source.delivery().await;
    source.stop.cancel();
    delivery.are_stored.send(true).unwrap();
    assert_eq!(within(answer).await.unwrap(), taken(1, 0, 0));
    assert_eq!(within(idle.read(&mut [0; 1])).await.unwrap(), 0);
    let seen = source.stop().await;
    assert_eq!((seen.accepted, seen.connections_total), (1, 2));
}

#[tokio::test]
async fn who_may_not_connect_and_who_is_one_too_many_is_closed_and_counted() {
    let source = start(&KongHttpLogConfig { allow: AllowList::parse(["192.0.2.0/24"]).unwrap(), ..config() }, 16);
    let mut stream = TcpStream::connect(source.address).await.unwrap();
    assert_eq!(within(stream.read(&mut [0; 1])).await.unwrap_or(0), 0);
    assert_eq!(source.stop().await.connections_not_allowed, 1);

    let source = start(&KongHttpLogConfig { connections_max: 1, ..config() }, 16);
    let first = TcpStream::connect(source.address).await.unwrap();
    let mut second = TcpStream::connect(source.address).await.unwrap();
    assert_eq!(within(second.read(&mut [0; 1])).await.unwrap_or(0), 0);
    drop(first);
    assert_eq!(source.stop().await.connections_over_limit, 1);

    let source = start(&KongHttpLogConfig { connections_per_address_max: 1, ..config() }, 16);
    let first = TcpStream::connect(source.address).await.unwrap();
    let mut second = TcpStream::connect(source.address).await.unwrap();
    assert_eq!(within(second.read(&mut [0; 1])).await.unwrap_or(0), 0);
    drop(first);
    assert_eq!(source.stop().await.connections_refused, [("over_address_limit".to_owned(), 1)].into());
}

#[tokio::test]
async fn batches_that_are_refused_and_hung_up_on_and_sent_again_count_once() {
    // As Kong does it: a batch goes until it is taken, and meanwhile it is refused, hung up on, or stored without an answer.
    let mut source = start(&config(), 64);
    let (stored, asked) =
        (Arc::new(std::sync::Mutex::new(BTreeMap::<String, u32>::new())), Arc::new(AtomicUsize::new(0)));
    let (_, nothing) = mpsc::channel(1);
    let mut deliveries = std::mem::replace(&mut source.deliveries, nothing);
    let taker = tokio::spawn({
        let (stored, asked) = (Arc::clone(&stored), Arc::clone(&asked));
        async move {
            while let Some(delivery) = deliveries.recv().await {
                let turn = (asked.fetch_add(1, Ordering::Relaxed) * 7) % 5;
                if turn == 0 {
                    continue;
                }
                if turn == 1 {
                    let _ = delivery.are_stored.send(false);
                    continue;
                }
                for path in paths(&delivery) {
                    *stored.lock().unwrap().entry(path).or_default() += 1;
                }
                let _ = delivery.are_stored.send(true);
            }
        }
    });
    let address = source.address;
    let workers = (0..8).map(|worker| {
        tokio::spawn(async move {
            for batch in 0..25 {
                let ids: Vec<String> = (0..4).map(|call| format!("w{worker}-b{batch}-c{call}")).collect();
                let body = array(&ids.iter().map(String::as_str).collect::<Vec<_>>());
                let mut attempt = 0;
                loop {
                    attempt += 1;
                    let sent = tokio::spawn(post(address, body.clone()));
                    if (attempt + batch) % 3 == 0 {
                        tokio::task::yield_now().await;
                        sent.abort();
                        continue;
                    }
                    if sent.await.unwrap().0 == 200 {
                        break;
                    }
                }
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        within(worker).await.unwrap();
    }
    let seen = source.stop().await;
    taker.await.unwrap();
    let stored = stored.lock().unwrap();
    assert!(stored.len() == 800 && stored.values().all(|times| *times == 1), "{} calls", stored.len());
    assert_eq!(seen.accepted, 800);
    assert!(seen.duplicates > 0 && seen.refused["not_stored"] > 0, "{seen:?}");
}

#[tokio::test]
async fn a_connection_carries_one_request_after_the_other() {
    let mut source = start(&KongHttpLogConfig { body_bytes_max: 64 * 1024, ..config() }, 16);
    let all = source.take_all();
    let mut kong = TcpStream::connect(source.address).await.unwrap();
    let mut answers = Vec::new();
    for (id, status) in [("a", "200 OK"), ("b", "200 OK"), ("", "405 Method Not Allowed"), ("c", "200 OK")] {
        let (method, body) = if id.is_empty() { ("DELETE", "x".repeat(100)) } else { ("POST", line(id)) };
        let request = format!("{method} / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        kong.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let mut byte = [0; 1];
            within(kong.read_exact(&mut byte)).await.unwrap();
            answer.extend(byte);
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{id}: {answer}");
        answers.push(answer);
    }
    // It is idle, and closed at a stop.
    source.stop.cancel();
    assert_eq!(within(kong.read(&mut [0; 1])).await.unwrap(), 0);
    let seen = source.stop().await;
    assert_eq!((seen.connections_total, seen.accepted, all.await.unwrap()), (1, 3, 3));
}

/// What a connection gets that sends these bytes and then waits. Time passes by itself where nothing else happens.
async fn waits(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test(start_paused = true)]
async fn nobody_holds_a_connection_or_a_stop_for_ever() {
    let source = start(&config(), 1);
    assert_eq!(waits(source.address, "").await, "");
    assert_eq!(waits(source.address, "POST / HTTP/1.1\r\nhost").await, "");
    let slow = waits(source.address, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{").await;
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
    let address = source.address;
    let held =
        tokio::spawn(async move { waits(address, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{").await });
    while source.counters.snapshot().connections_open == 0 {
        tokio::task::yield_now().await;
    }
    let seen = source.stop().await;
    drop(held.await.unwrap());
    assert_eq!(seen.refused.get("slow"), Some(&1), "{seen:?}");
}

#[tokio::test]
async fn what_is_no_http_is_told_apart() {
    let source = start(&config(), 1);
    for bytes in ["{\"request\":{}}\n", "\u{16}\u{2}\u{1}\r\n\r\n"] {
        let answer = within(waits(source.address, bytes)).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    let long = format!("POST /{} HTTP/1.1\r\n", "x".repeat(100_000));
    drop(within(waits(source.address, &long)).await);
    let seen = source.stop().await;
    assert!(matches!(seen.refused.get("not_http"), Some(2 | 3)), "{seen:?}");
}

#[tokio::test]
async fn the_room_for_bodies_is_shared_and_given_back() {
    let mut source = start(&KongHttpLogConfig { body_bytes_max: 64 * 1024 * 1024, ..config() }, 16);
    let large = |id: &str| format!("{}{}", line(id), " ".repeat(40_000_000));
    let first = tokio::spawn(post(source.address, large("a")));
    let delivery = source.delivery().await;
    let (status, said) = post(source.address, large("b")).await;
    assert_eq!((status, said.contains("busy")), (503, true), "{said}");
    delivery.are_stored.send(true).unwrap();
    assert_eq!(first.await.unwrap(), taken(1, 0, 0));
    let all = source.take_all();
    assert_eq!(post(source.address, large("b")).await, taken(1, 0, 0));
    source.stop().await;
    assert_eq!(all.await.unwrap(), 1);
}

#[tokio::test]
async fn settings_that_cannot_be_meant_are_refused() {
    let taken = start(&config(), 1);
    let refused = |config: KongHttpLogConfig| bind(&config, 1).err().unwrap().to_string();
    let error = refused(KongHttpLogConfig { listen: taken.address, ..config() });
    assert!(error.contains("already in use"), "{error}");
    let error = refused(KongHttpLogConfig { secret_file: Some("/nowhere/secret".into()), ..config() });
    assert!(error.contains("/nowhere/secret"), "{error}");
    taken.stop().await;
}
