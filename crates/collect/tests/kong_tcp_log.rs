//! The TCP source on real sockets: what Kong does to it, and what whoever takes the batches does to it.
#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use outrider_collect::{
    AllowList, Clock, CollectError, Complete, Counters, CountersSnapshot, KongTcpLog, KongTcpLogConfig, MicroBatch,
    PseudonymKey, SourceConfig,
};
use outrider_model::batch::BatchReader;
use outrider_model::{CountryCode, Trust};
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
    batches: mpsc::Receiver<MicroBatch>,
    clock_ms: Arc<AtomicI64>,
}

fn config() -> KongTcpLogConfig {
    KongTcpLogConfig { listen: "127.0.0.1:0".parse().unwrap(), ..KongTcpLogConfig::default() }
}

/// Says that every call of `/known` is from Sweden.
fn complete() -> Complete {
    Arc::new(|call, _| {
        if &*call.path == "/known" {
            call.enrichment.country = CountryCode::new("SE");
        }
    })
}

fn key() -> PseudonymKey {
    PseudonymKey::from_bytes(&[7; 32])
}

fn bind(
    config: &KongTcpLogConfig,
    queue: usize,
) -> Result<(KongTcpLog, mpsc::Receiver<MicroBatch>, Arc<AtomicI64>), CollectError> {
    let clock_ms = Arc::new(AtomicI64::new(NOW_MS));
    let (sender, batches) = mpsc::channel(queue);
    let clock: Arc<dyn Clock> = Arc::new({
        let clock_ms = Arc::clone(&clock_ms);
        move || clock_ms.load(Ordering::Relaxed)
    });
    Ok((KongTcpLog::bind(config, key(), clock, sender, Some(complete()), None)?, batches, clock_ms))
}

fn start(config: &KongTcpLogConfig, queue: usize) -> Running {
    let (source, batches, clock_ms) = bind(config, queue).unwrap();
    let (address, counters, stop) = (source.local_addr(), source.counters(), CancellationToken::new());
    let task = tokio::spawn(source.run(stop.clone()));
    Running { address, counters, stop, task, batches, clock_ms }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn connect_from(&self, address: &str) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// Waits until the counters say so.
    async fn until(&self, what: &str, reached: impl Fn(&CountersSnapshot) -> bool) -> CountersSnapshot {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let seen = self.counters.snapshot();
                if reached(&seen) {
                    return seen;
                }
                tokio::task::yield_now().await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{what}: {:?}", self.counters.snapshot()))
    }

    async fn batch(&mut self) -> MicroBatch {
        within(self.batches.recv()).await.expect("a batch")
    }

    /// Stops, takes what is left and checks that every line is accounted for.
    async fn stop(mut self) -> (CountersSnapshot, Vec<MicroBatch>) {
        self.stop.cancel();
        let mut left = Vec::new();
        while let Some(batch) = within(self.batches.recv()).await {
            left.push(batch);
        }
        within(self.task).await.unwrap();
        let seen = self.counters.snapshot();
        assert_eq!(seen.received, seen.accepted + seen.rejected_total() + seen.dropped_total(), "{seen:?}");
        assert_eq!(seen.connections_open, 0, "{seen:?}");
        (seen, left)
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

fn line(path: &str) -> String {
    format!(r#"{{"request":{{"uri":"{path}","method":"GET"}},"response":{{"status":200}},"started_at":{NOW_MS}}}"#)
        + "\n"
}

fn paths(batch: &MicroBatch) -> Vec<String> {
    let paths: Vec<String> =
        BatchReader::new(&batch.calls).unwrap().map(|call| call.unwrap().path.into_string()).collect();
    assert_eq!(paths.len(), batch.count as usize);
    paths
}

#[tokio::test]
async fn lines_become_calls_and_nothing_is_written_back() {
    let mut source = start(&config(), 16);
    let mut kong = source.connect().await;
    kong.write_all(line("/a").as_bytes()).await.unwrap();
    let first = source.batch().await;
    assert_eq!(paths(&first), ["/a"]);
    assert_eq!(&*first.source, format!("kong_tcp_log {}", source.address));
    assert_eq!((first.first_received_ms, first.last_received_ms), (NOW_MS, NOW_MS));
    source.clock_ms.store(NOW_MS + 70_000, Ordering::Relaxed);
    kong.write_all(line("/b").as_bytes()).await.unwrap();
    assert_eq!(source.batch().await.first_received_ms, NOW_MS + 70_000);

    // The connection is open, and nothing has come back on it.
    let mut buffer = [0; 16];
    assert_eq!(kong.try_read(&mut buffer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    kong.shutdown().await.unwrap();
    assert_eq!(within(kong.read(&mut buffer)).await.unwrap(), 0, "not a byte until Kong itself closes");
    let (seen, left) = source.stop().await;
    assert_eq!((seen.received, seen.accepted, left.len()), (2, 2, 0));
    assert_eq!(seen.bytes as usize, line("/a").len() + line("/b").len());
}

#[tokio::test]
async fn whoever_takes_the_calls_completes_them_before_they_are_encoded() {
    let mut source = start(&config(), 16);
    let mut kong = source.connect().await;
    kong.write_all((line("/known") + &line("/other")).as_bytes()).await.unwrap();
    let (mut countries, mut batches) = (Vec::new(), Vec::new());
    while countries.len() < 2 {
        batches.push(source.batch().await);
        let calls = BatchReader::new(&batches[batches.len() - 1].calls).unwrap();
        countries.extend(calls.map(|call| call.unwrap().enrichment.country.map(|country| country.to_string())));
    }
    assert_eq!(countries, [Some("SE".to_owned()), None]);
    source.stop().await;
}

#[tokio::test]
async fn an_idle_connection_stays_open() {
    let mut source = start(&config(), 1000);
    let mut idle = source.connect().await;
    idle.write_all(line("/before").as_bytes()).await.unwrap();
    assert_eq!(paths(&source.batch().await), ["/before"]);
    // An hour by the source's clock, and much going on beside it.
    source.clock_ms.store(NOW_MS + 3_600_000, Ordering::Relaxed);
    for number in 0..200 {
        let mut kong = source.connect().await;
        kong.write_all(line(&format!("/{number}")).as_bytes()).await.unwrap();
    }
    let seen = source.until("the others have come and gone", |seen| seen.received == 201 && seen.connections_open == 1);
    assert_eq!(seen.await.connections_total, 201);
    let mut buffer = [0; 16];
    assert_eq!(idle.try_read(&mut buffer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    idle.write_all(line("/after").as_bytes()).await.unwrap();
    source.until("it is read again", |seen| seen.received == 202).await;
    let (_, left) = source.stop().await;
    assert!(left.iter().flat_map(paths).any(|path| path == "/after"));
}

#[tokio::test]
async fn bad_input_is_counted_by_reason_and_the_rest_is_read() {
    let mut source = start(&KongTcpLogConfig { line_bytes_max: 1024, ..config() }, 16);
    let mut kong = source.connect().await;
    let long = "x".repeat(5000);
    let stream = format!(
        "garbage\r\n\n[]\n{{}}\n{long}\n{}{}{}\r\n{{\"request\":",
        line("/a"),
        line("/b").trim_end(),
        line("/c").trim_end()
    );
    kong.write_all(stream.as_bytes()).await.unwrap();
    drop(kong);
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.extend(paths(&source.batch().await));
    }
    assert_eq!(seen, ["/a", "/b", "/c"]);
    source.until("the end", |seen| seen.connections_open == 0).await;
    let (seen, _) = source.stop().await;
    let expected = [("no_request", 1), ("not_an_object", 1), ("not_json", 1), ("too_long", 1), ("torn", 1)];
    assert_eq!(seen.rejected, expected.map(|(reason, count)| (reason.to_owned(), count)).into());
    assert_eq!((seen.received, seen.accepted), (8, 3));
    // What the lines looked like is told by words of our own, and the one that was too long is not kept at all.
    let outlines: Vec<_> =
        seen.health.outlines.iter().map(|seen| (&*seen.reason, &*seen.outline, seen.lines)).collect();
    let expected =
        [("not_json", "text", 1), ("not_an_object", "array", 1), ("no_request", "object", 1), ("torn", "object", 1)];
    assert_eq!(outlines, expected);
    assert_eq!(seen.health.last_received_ms, NOW_MS);
}

/// What Kong 3.9.1 wrote of a connection over a TCP route, with ids and addresses made up.
const STREAM: &str = r#"{"service":{"created_at":1796053004,"updated_at":1796053004,"protocol":"tcp","port":5432,"ws_id":"00000000-0000-4000-8000-000000000001","connect_timeout":60000,"read_timeout":60000,"write_timeout":60000,"id":"00000000-0000-4000-8000-000000000002","enabled":true,"name":"tcp-echo","host":"192.0.2.20","retries":5},"tries":[{"ip":"192.0.2.20","balancer_latency":0,"port":5432,"balancer_latency_ns":21504,"balancer_start":1796053057391,"balancer_start_ns":1.7960530573916e+18}],"route":{"created_at":1796053004,"updated_at":1796053004,"service":{"id":"00000000-0000-4000-8000-000000000002"},"preserve_host":false,"regex_priority":0,"path_handling":"v0","ws_id":"00000000-0000-4000-8000-000000000001","request_buffering":true,"https_redirect_status_code":426,"id":"00000000-0000-4000-8000-000000000003","response_buffering":true,"name":"tcp-echo","destinations":[{"port":19000}],"protocols":["tcp"],"strip_path":true},"client_ip":"192.0.2.1","started_at":1796053057391,"workspace_name":"default","workspace":"00000000-0000-4000-8000-000000000001","session":{"server_port":19000,"received":13,"sent":13,"status":200},"latencies":{"session":1,"kong":0},"upstream":{"received":13,"sent":13}}"#;

#[tokio::test]
async fn streams_are_counted_apart_from_what_cannot_be_read() {
    let mut source = start(&config(), 16);
    let mut kong = source.connect().await;
    let shortest = r#"{"session":{"received":78,"sent":120,"status":200},"client_ip":"192.0.2.1"}"#;
    kong.write_all(format!("{STREAM}\n{shortest}\n{}", line("/a")).as_bytes()).await.unwrap();
    assert_eq!(paths(&source.batch().await), ["/a"]);
    let (seen, _) = source.stop().await;
    assert_eq!((seen.rejected_total(), seen.unreadable_total(), seen.streams()), (2, 0, 2));
    assert_eq!((seen.health.last_rejected_ms, seen.health.outlines.len()), (0, 0), "nothing to look after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_taker_costs_calls_but_never_the_reading() {
    let config = KongTcpLogConfig { batch_calls_max: 10, ..config() };
    let source = start(&config, 2);
    let mut kong = source.connect().await;
    let lines: String = (0..10_000).map(|index| line(&format!("/{index}"))).collect();
    // Nobody takes a batch, and still everything can be written and is read.
    within(kong.write_all(lines.as_bytes())).await.unwrap();
    let seen = source.until("all read", |seen| seen.received == 10_000).await;
    assert_eq!(seen.accepted, 20, "two batches of ten fit the queue");
    assert_eq!(seen.bytes as usize, lines.len());
    let (seen, batches) = source.stop().await;
    assert_eq!(seen.dropped, [("queue_full".to_owned(), 10_000 - 30)].into());
    let kept: Vec<String> = batches.iter().flat_map(paths).collect();
    let expected: Vec<String> = (0..30).map(|index| format!("/{index}")).collect();
    assert_eq!(kept, expected, "the oldest are kept, in order");
}

#[tokio::test]
async fn a_taker_that_is_gone_is_told_apart() {
    let mut source = start(&config(), 2);
    source.batches.close();
    let mut kong = source.connect().await;
    kong.write_all((line("/a") + &line("/b")).as_bytes()).await.unwrap();
    source.until("both dropped", |seen| seen.dropped.get("queue_closed") == Some(&2)).await;
    source.stop().await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_counted() {
    let mut source = start(&KongTcpLogConfig { connections_max: 2, ..config() }, 16);
    let first = source.connect().await;
    let mut second = source.connect().await;
    source.until("two are open", |seen| seen.connections_open == 2).await;
    let mut third = source.connect().await;
    assert_eq!(within(third.read(&mut [0; 1])).await.unwrap(), 0, "closed at once");
    source.until("it is counted", |seen| seen.connections_over_limit == 1).await;
    // The others go on, and a place that becomes free is given again.
    second.write_all(line("/a").as_bytes()).await.unwrap();
    assert_eq!(paths(&source.batch().await), ["/a"]);
    drop(first);
    source.until("one has left", |seen| seen.connections_open == 1).await;
    let mut fourth = source.connect().await;
    fourth.write_all(line("/b").as_bytes()).await.unwrap();
    assert_eq!(paths(&source.batch().await), ["/b"]);
    let (seen, _) = source.stop().await;
    assert_eq!((seen.connections_total, seen.connections_over_limit), (3, 1));
}

#[tokio::test]
async fn one_address_does_not_take_the_places_of_the_others() {
    let source = start(&KongTcpLogConfig { connections_max: 3, connections_per_address_max: 2, ..config() }, 16);
    let first = source.connect().await;
    let _second = source.connect().await;
    source.until("two are open", |seen| seen.connections_open == 2).await;
    let mut third = source.connect().await;
    assert_eq!(within(third.read(&mut [0; 1])).await.unwrap(), 0, "closed at once");
    // The third place is another's.
    let mut other = source.connect_from("127.0.0.2").await;
    other.write_all(line("/other").as_bytes()).await.unwrap();
    source.until("it is read", |seen| seen.received == 1).await;
    let seen = source.until("all are open", |seen| seen.connections_open == 3).await;
    assert_eq!(seen.connections_refused, [("over_address_limit".to_owned(), 1)].into());
    assert_eq!(seen.connections_refused_last_ms, [("over_address_limit".to_owned(), NOW_MS)].into());
    assert_eq!((seen.connections_over_limit, seen.connections_too_many()), (0, 1));
    // Over both limits, it is the one of all.
    let mut fourth = source.connect().await;
    assert_eq!(within(fourth.read(&mut [0; 1])).await.unwrap(), 0, "closed at once");
    source.until("it is counted", |seen| seen.connections_too_many() == 2).await;
    // A place that becomes free is given to the same address again.
    drop(first);
    source.until("one has left", |seen| seen.connections_open == 2).await;
    let mut fifth = source.connect().await;
    fifth.write_all(line("/fifth").as_bytes()).await.unwrap();
    source.until("it is read", |seen| seen.received == 2).await;
    let (seen, _) = source.stop().await;
    assert_eq!((seen.connections_total, seen.connections_over_limit), (4, 1));
}

#[tokio::test]
async fn who_is_not_allowed_is_not_read() {
    let source = start(&KongTcpLogConfig { allow: AllowList::parse(["192.0.2.0/24"]).unwrap(), ..config() }, 16);
    let mut stranger = source.connect().await;
    let _ = stranger.write_all(line("/a").as_bytes()).await;
    let closed = within(stranger.read(&mut [0; 1])).await;
    assert!(matches!(closed, Ok(0) | Err(_)), "closed at once");
    source.until("it is counted", |seen| seen.connections_not_allowed == 1).await;
    let (seen, _) = source.stop().await;
    assert_eq!((seen.received, seen.connections_total), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_takes_along_all_that_was_sent() {
    const CONNECTIONS: usize = 50;
    const LINES: usize = 200;
    let source = start(&config(), 1000);
    let mut open = Vec::new();
    for number in 0..CONNECTIONS {
        let mut kong = source.connect().await;
        let mut lines: String = (0..LINES).map(|index| line(&format!("/{number}/{index}"))).collect();
        lines.push_str("{\"request\":{\"uri\":\"/to");
        within(kong.write_all(lines.as_bytes())).await.unwrap();
        open.push(kong);
    }
    // Everything is in the system's buffers now, some of it in connections that are not even accepted yet.
    let (seen, batches) = source.stop().await;
    assert_eq!(seen.accepted as usize, CONNECTIONS * LINES);
    assert_eq!(seen.rejected, [("torn".to_owned(), CONNECTIONS as u64)].into());
    let mut paths: Vec<String> = batches.iter().flat_map(paths).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), CONNECTIONS * LINES);
}

#[tokio::test]
async fn calls_of_many_connections_share_a_batch() {
    let mut source = start(&KongTcpLogConfig { batch_wait_ms: 1000, batch_calls_max: 20, ..config() }, 16);
    let mut open = Vec::new();
    for index in 0..20 {
        let mut kong = source.connect().await;
        kong.write_all(line(&format!("/{index}")).as_bytes()).await.unwrap();
        open.push(kong);
    }
    let batch = source.batch().await;
    assert_eq!(batch.count, 20, "full, so it did not wait");
    source.stop().await;
}

#[tokio::test]
async fn a_100_mb_line_is_one_rejection() {
    let mut source = start(&config(), 16);
    let mut kong = source.connect().await;
    let chunk = vec![b'x'; 1024 * 1024];
    for _ in 0..100 {
        within(kong.write_all(&chunk)).await.unwrap();
    }
    kong.write_all(format!("\n{}", line("/after")).as_bytes()).await.unwrap();
    assert_eq!(paths(&source.batch().await), ["/after"]);
    let (seen, _) = source.stop().await;
    assert_eq!((seen.received, seen.rejected), (2, [("too_long".to_owned(), 1)].into()));
}

#[tokio::test]
async fn the_secret_makes_a_line_trusted() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let secret_file = directory.path().join("kong.secret");
    std::fs::write(&secret_file, "an-agreed-secret-of-some-length\n").unwrap();
    std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut source = start(&KongTcpLogConfig { secret_file: Some(secret_file), ..config() }, 16);
    let mut kong = source.connect().await;
    let proven = line("/a").replacen('{', r#"{"outrider_key":"an-agreed-secret-of-some-length","#, 1);
    let wrong = line("/c").replacen('{', r#"{"outrider_key":"another-secret-of-some-length","#, 1);
    kong.write_all((proven + &line("/b") + &wrong).as_bytes()).await.unwrap();
    let batch = source.batch().await;
    let trust: Vec<Trust> = BatchReader::new(&batch.calls).unwrap().map(|call| call.unwrap().trust).collect();
    assert_eq!(trust, [Trust::Trusted, Trust::Untrusted, Trust::Untrusted]);
    let (seen, _) = source.stop().await;
    assert_eq!((seen.untrusted, seen.health.without_secret), (2, 1));
}

#[tokio::test]
async fn what_keeps_a_source_from_starting_is_said() {
    let holder = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = holder.local_addr().unwrap();
    let refused = |config: KongTcpLogConfig| bind(&config, 1).err().unwrap().to_string();
    let error = refused(KongTcpLogConfig { listen, ..config() });
    assert!(error.contains("already in use") && error.contains(&format!(":{}'", listen.port())), "{error}");
    let error = refused(KongTcpLogConfig { listen: "0.0.0.0:0".parse().unwrap(), ..config() });
    assert!(error.contains("allow ="), "{error}");
    let error = refused(KongTcpLogConfig {
        listen: "192.0.2.1:1".parse().unwrap(),
        allow: AllowList::parse(["192.0.2.2"]).unwrap(),
        ..config()
    });
    assert!(error.contains("cannot listen on `192.0.2.1:1`"), "{error}");
    let error = refused(KongTcpLogConfig { secret_file: Some("/nowhere/secret".into()), ..config() });
    assert!(error.contains("/nowhere/secret"), "{error}");
}

#[tokio::test]
async fn other_settings_come_into_force_on_open_connections() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let secret_file = directory.path().join("kong.secret");
    let write_secret = |text: &str| {
        std::fs::write(&secret_file, text).unwrap();
        std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write_secret("the-first-secret-of-two\n");
    let config = KongTcpLogConfig { secret_file: Some(secret_file.clone()), ..config() };
    let (source, batches, clock_ms) = bind(&config, 64).unwrap();
    let (address, counters, stop) = (source.local_addr(), source.counters(), CancellationToken::new());
    let control = source.control();
    let task = tokio::spawn(source.run(stop.clone()));
    let mut source = Running { address, counters, stop, task, batches, clock_ms };
    let mut kong = source.connect().await;
    let mut trusts = async |source: &mut Running, secrets: &[&str]| {
        let mut seen = Vec::new();
        for secret in secrets {
            let line = line("/a?tenant=acme").replacen('{', &format!(r#"{{"outrider_key":"{secret}","who":"ann","#), 1);
            kong.write_all(line.as_bytes()).await.unwrap();
            let batch = source.batch().await;
            let call = BatchReader::new(&batch.calls).unwrap().next().unwrap().unwrap();
            let names = call.fields.iter().map(|field| field.name.to_string()).collect::<Vec<_>>().join(",");
            seen.push((call.trust == Trust::Trusted, names, call.query.len()));
        }
        seen
    };
    let (first, second) = ("the-first-secret-of-two", "the-second-secret-of-two");
    let line_of = |is_trusted, names: &str, query| (is_trusted, names.to_owned(), query);
    assert_eq!(trusts(&mut source, &[first, second]).await, [line_of(true, "", 1), line_of(false, "", 1)]);

    // What cannot be meant changes nothing, and neither does what was prepared and not put in force.
    let more = r#"fields = [{ name = "who", value = "line.who" }]
        field_policies = { query = { tenant = "drop" } }"#;
    let changed = |more: &str| -> SourceConfig {
        let text = format!("kind = \"kong_tcp_log\"\nsecret_file = {:?}\n{more}", secret_file);
        let mut changed = SourceConfig::KongTcpLog(config.clone());
        changed.take_over(&toml::from_str(&text).unwrap());
        changed
    };
    write_secret("short\n");
    assert!(matches!(control.prepare(&changed(more), key()), Err(CollectError::SecretInvalid { .. })));
    write_secret(&format!("{second}\n{first}\n"));
    let error = control.prepare(&changed("session = { field = \"sid\" }"), key()).err().unwrap().to_string();
    assert!(error.contains("session"), "{error}");
    let prepared = control.prepare(&changed(more), key()).unwrap();
    assert_eq!(trusts(&mut source, &[second]).await, [line_of(false, "", 1)]);

    // While the secret is replaced both will do; the connection is the same all the time.
    prepared.put_in_force();
    assert_eq!(trusts(&mut source, &[first, second]).await, [line_of(true, "who", 0), line_of(true, "who", 0)]);
    write_secret(&format!("{second}\n"));
    let nobody = "allow = [\"192.0.2.1\"]";
    control.prepare(&changed(&format!("{more}\n{nobody}")), key()).unwrap().put_in_force();
    assert_eq!(trusts(&mut source, &[first]).await, [line_of(false, "who", 0)]);

    // Who may connect is asked when somebody connects.
    let mut stranger = source.connect().await;
    assert_eq!(within(stranger.read(&mut [0; 1])).await.unwrap_or(0), 0);
    source.until("turned away", |seen| seen.connections_not_allowed == 1).await;
    let (seen, _) = source.stop().await;
    assert_eq!((seen.accepted, seen.untrusted, seen.fields["who"]), (6, 3, 3));
}

#[test]
fn what_cannot_change_while_a_source_runs_stays_as_it_was() {
    let read = |text: &str| -> SourceConfig { toml::from_str(text).unwrap() };
    for (kind, fixed, changing) in [
        (
            "kong_tcp_log",
            "listen = '127.0.0.1:1'\ngateway = 'a'\nbatch_wait_ms = 5\nline_bytes_max = 2048",
            "connections_max = 7",
        ),
        (
            "kong_http_log",
            "listen = '127.0.0.1:1'\ngateway = 'a'\nbody_bytes_max = 70000\nline_bytes_max = 2048",
            "allow = ['192.0.2.1']",
        ),
        (
            "kong_file_log",
            "path = '/other'\ngateway = 'a'\npoll_ms = 20\nstart = 'beginning'",
            "secret_field = 'other'",
        ),
    ] {
        let path = if kind == "kong_file_log" { "path = '/log'\n" } else { "" };
        let before = read(&format!("kind = '{kind}'\n{path}"));
        let after = read(&format!("kind = '{kind}'\n{path}key_names = ['k']\n{changing}"));
        let mut source = before.clone();
        source.take_over(&read(&format!("kind = '{kind}'\n{fixed}\nkey_names = ['k']\n{changing}")));
        assert_eq!(source, after, "{kind}");
    }
    let mut source = read("kind = 'kong_tcp_log'");
    source.take_over(&read("kind = 'kong_http_log'\nkey_names = ['k']"));
    assert_eq!(source, read("kind = 'kong_tcp_log'"));
}
