//! Sources that speak TLS, and sources that do not and are spoken to in TLS, on real sockets.
#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outrider_collect::{
    AllowList, Clock, CollectError, Counters, CountersSnapshot, CurrentTls, Delivery, KongHttpLog, KongHttpLogConfig,
    KongTcpLog, KongTcpLogConfig, MicroBatch, PseudonymKey, SourceTls,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

const NOW_MS: i64 = 1_795_448_391_727;

/// Longer than anything here takes; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate, and what believes it and no other.
struct Identity {
    server: Arc<ServerConfig>,
    client: TlsConnector,
}

impl Identity {
    fn new() -> Identity {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["collector".to_owned()]).unwrap().self_signed(&key).unwrap();
        let certificate = CertificateDer::from(certificate.der().to_vec());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let server = server.unwrap().with_no_client_auth().with_single_cert(vec![certificate.clone()], key);
        let mut server = server.unwrap();
        server.send_tls13_tickets = 0;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        Identity { server: Arc::new(server), client: TlsConnector::from(Arc::new(client)) }
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        within(self.client.connect(ServerName::try_from("collector").unwrap(), stream)).await
    }
}

/// What is in force.
#[derive(Clone)]
struct InForce(Arc<Mutex<Arc<ServerConfig>>>);

impl InForce {
    fn new(identity: &Identity) -> InForce {
        InForce(Arc::new(Mutex::new(Arc::clone(&identity.server))))
    }

    fn replace(&self, identity: &Identity) {
        *self.0.lock().unwrap() = Arc::clone(&identity.server);
    }

    fn current(&self) -> CurrentTls {
        let in_force = self.clone();
        Arc::new(move || Arc::clone(&in_force.0.lock().unwrap()))
    }
}

fn files() -> Option<SourceTls> {
    Some(SourceTls { certificate_file: "a.pem".into(), key_file: "a.key".into() })
}

fn tcp_config() -> KongTcpLogConfig {
    KongTcpLogConfig { listen: "127.0.0.1:0".parse().unwrap(), tls: files(), ..KongTcpLogConfig::default() }
}

fn http_config() -> KongHttpLogConfig {
    KongHttpLogConfig { listen: "127.0.0.1:0".parse().unwrap(), tls: files(), ..KongHttpLogConfig::default() }
}

fn key() -> PseudonymKey {
    PseudonymKey::from_bytes(&[7; 32])
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(|| NOW_MS)
}

/// A source that runs, and what it hands over.
struct Running<T> {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    taken: mpsc::Receiver<T>,
}

fn bind_tcp(
    config: &KongTcpLogConfig,
    tls: Option<CurrentTls>,
) -> Result<(KongTcpLog, mpsc::Receiver<MicroBatch>), CollectError> {
    let (sender, taken) = mpsc::channel(1000);
    Ok((KongTcpLog::bind(config, key(), clock(), sender, None, tls)?, taken))
}

fn bind_http(
    config: &KongHttpLogConfig,
    tls: Option<CurrentTls>,
) -> Result<(KongHttpLog, mpsc::Receiver<Delivery>), CollectError> {
    let (sender, taken) = mpsc::channel(1000);
    Ok((KongHttpLog::bind(config, key(), clock(), sender, None, tls)?, taken))
}

fn start_tcp(config: &KongTcpLogConfig, in_force: Option<&InForce>) -> Running<MicroBatch> {
    let (source, taken) = bind_tcp(config, in_force.map(InForce::current)).unwrap();
    let (address, counters, stop) = (source.local_addr(), source.counters(), CancellationToken::new());
    let task = tokio::spawn(source.run(stop.clone()));
    Running { address, counters, stop, task, taken }
}

fn start_http(config: &KongHttpLogConfig, in_force: Option<&InForce>) -> Running<Delivery> {
    let (source, taken) = bind_http(config, in_force.map(InForce::current)).unwrap();
    let (address, counters, stop) = (source.local_addr(), source.counters(), CancellationToken::new());
    let task = tokio::spawn(source.run(stop.clone()));
    Running { address, counters, stop, task, taken }
}

impl<T> Running<T> {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
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

    /// Waits until so many connections were refused for this.
    async fn until_refused(&self, reason: &str, count: u64) {
        self.until(reason, |seen| seen.connections_refused.get(reason) == Some(&count)).await;
    }

    /// Stops, takes what is left and checks that every line is accounted for.
    async fn stop(mut self) -> (CountersSnapshot, Vec<T>) {
        self.stop.cancel();
        let mut left = Vec::new();
        while let Some(one) = within(self.taken.recv()).await {
            left.push(one);
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

async fn write(stream: &mut TlsStream<TcpStream>, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}

/// Reads until the other side closes; how many bytes came.
async fn ends(stream: &mut TcpStream) -> usize {
    let mut answer = Vec::new();
    // A connection that is closed while what it sent is unread is reset.
    let _ = within(stream.read_to_end(&mut answer)).await;
    answer.len()
}

/// A request, and the answer to it.
async fn post(stream: &mut TlsStream<TcpStream>, body: &str) -> String {
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    write(stream, (head + body).as_bytes()).await;
    let (mut answer, mut chunk) = (String::new(), [0; 1024]);
    while !answer.ends_with('}') {
        let length = within(stream.read(&mut chunk)).await.unwrap();
        assert_ne!(length, 0, "{answer}");
        answer.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
    }
    answer
}

#[tokio::test]
async fn lines_come_over_tls_and_nothing_is_written_but_the_handshake() {
    let identity = Identity::new();
    let mut source = start_tcp(&tcp_config(), Some(&InForce::new(&identity)));
    let mut kong = identity.connect(source.address).await.unwrap();
    write(&mut kong, line("/a").as_bytes()).await;
    assert_eq!(within(source.taken.recv()).await.unwrap().count, 1);
    // Longer than a record, so that it comes in parts.
    let long = format!("/{}", "x".repeat(40_000));
    write(&mut kong, (line(&long) + &line("/c")).as_bytes()).await;
    source.until("all of it", |seen| seen.received == 3).await;
    let nothing = kong.get_ref().0.try_read(&mut [0; 16]);
    assert_eq!(nothing.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);

    write(&mut kong, b"{\"request\":{\"uri\":\"/to").await;
    kong.shutdown().await.unwrap();
    source.until("the end", |seen| seen.connections_open == 0).await;
    // Some clients do not say that they go.
    let mut abrupt = identity.connect(source.address).await.unwrap();
    write(&mut abrupt, line("/d").as_bytes()).await;
    drop(abrupt);
    source.until("the other end", |seen| seen.received == 5 && seen.connections_open == 0).await;
    let (seen, _) = source.stop().await;
    assert!(seen.connections_refused.is_empty(), "{seen:?}");
    assert_eq!((seen.accepted, seen.rejected), (4, [("torn".to_owned(), 1)].into()));
    let sent = line("/a").len() + line(&long).len() + line("/c").len() + line("/d").len() + 22;
    assert_eq!(seen.bytes as usize, sent, "what came in, without TLS");
}

#[tokio::test]
async fn requests_come_over_tls() {
    let identity = Identity::new();
    let mut source = start_http(&http_config(), Some(&InForce::new(&identity)));
    let mut taken = std::mem::replace(&mut source.taken, mpsc::channel(1).1);
    let storing = tokio::spawn(async move {
        while let Some(delivery) = taken.recv().await {
            delivery.are_stored.send(true).unwrap();
        }
    });
    let mut kong = identity.connect(source.address).await.unwrap();
    for path in ["/a", "/b"] {
        let answer = post(&mut kong, &line(path)).await;
        assert!(answer.contains(r#"{"stored":1,"duplicates":0,"rejected":0}"#), "{answer}");
    }
    let (seen, _) = source.stop().await;
    assert_eq!((seen.accepted, seen.connections_total, seen.refused.len()), (2, 1, 0));
    assert_eq!(within(kong.read(&mut [0; 1])).await.unwrap(), 0, "an end with a word");
    storing.await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_ends_no_open_one() {
    let (old, new) = (Identity::new(), Identity::new());
    let in_force = InForce::new(&old);
    let (tcp, http) = (start_tcp(&tcp_config(), Some(&in_force)), start_http(&http_config(), Some(&in_force)));
    let mut before = old.connect(tcp.address).await.unwrap();
    let mut before_http = old.connect(http.address).await.unwrap();
    write(&mut before, line("/a").as_bytes()).await;
    tcp.until("the first", |seen| seen.received == 1).await;
    assert!(post(&mut before_http, "[]").await.contains("200"));

    in_force.replace(&new);
    write(&mut before, line("/b").as_bytes()).await;
    let mut after = new.connect(tcp.address).await.unwrap();
    write(&mut after, line("/c").as_bytes()).await;
    assert!(post(&mut before_http, "[]").await.contains("200"));
    assert!(post(&mut new.connect(http.address).await.unwrap(), "[]").await.contains("200"));
    tcp.until("both", |seen| seen.received == 3).await;

    // Who believes the old one alone sees another.
    let error = old.connect(tcp.address).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    tcp.until_refused("handshake_failed", 1).await;
    let (seen, _) = tcp.stop().await;
    assert_eq!((seen.accepted, seen.connections_total), (3, 3));
    http.stop().await;
}

/// A connection without a word, and one with half of its first.
async fn slow_ones<T>(source: &Running<T>) -> [TcpStream; 2] {
    let (silent, mut slow) = (source.connect().await, source.connect().await);
    slow.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
    [silent, slow]
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_end_is_ended_and_counted() {
    let in_force = InForce::new(&Identity::new());
    let (tcp, http) = (start_tcp(&tcp_config(), Some(&in_force)), start_http(&http_config(), Some(&in_force)));
    for stream in slow_ones(&tcp).await.iter_mut().chain(&mut slow_ones(&http).await) {
        assert_eq!(ends(stream).await, 0);
    }
    for seen in [tcp.stop().await.0, http.stop().await.0] {
        assert_eq!(seen.connections_refused, [("handshake_slow".to_owned(), 2)].into());
        assert_eq!(seen.connections_refused_last_ms, [("handshake_slow".to_owned(), NOW_MS)].into());
    }
}

#[tokio::test]
async fn who_is_slow_holds_nobody() {
    let identity = Identity::new();
    let source = start_tcp(&tcp_config(), Some(&InForce::new(&identity)));
    let slow = slow_ones(&source).await;
    source.until("they are there", |seen| seen.connections_open == 2).await;
    let mut kong = identity.connect(source.address).await.unwrap();
    write(&mut kong, line("/a").as_bytes()).await;
    source.until("another's line", |seen| seen.received == 1).await;
    let (seen, _) = source.stop().await;
    assert!(seen.connections_refused.is_empty(), "a stop refuses nobody: {seen:?}");
    drop(slow);
}

#[tokio::test]
async fn who_speaks_the_other_thing_is_told_apart() {
    let identity = Identity::new();
    let in_force = InForce::new(&identity);
    let tcp = start_tcp(&tcp_config(), Some(&in_force));
    let mut plain = tcp.connect().await;
    plain.write_all(line("/a").as_bytes()).await.unwrap();
    assert_eq!(ends(&mut plain).await, 0);
    tcp.until_refused("plain_to_tls", 1).await;
    // It begins as TLS does, and is none.
    let mut odd = tcp.connect().await;
    odd.write_all(b"\x16\x03 nonsense, and much of it").await.unwrap();
    ends(&mut odd).await;
    tcp.until_refused("handshake_failed", 1).await;
    // A health check only opens a connection.
    drop(tcp.connect().await);
    let seen = tcp.until("it is gone", |seen| seen.connections_total == 3 && seen.connections_open == 0).await;
    assert_eq!(seen.connections_refused.values().sum::<u64>(), 2);
    let http = start_http(&http_config(), Some(&in_force));
    let mut plain = http.connect().await;
    plain.write_all(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(ends(&mut plain).await, 0);
    http.until_refused("plain_to_tls", 1).await;
    for seen in [tcp.stop().await.0, http.stop().await.0] {
        assert_eq!((seen.received, seen.bytes, seen.refused.len()), (0, 0, 0), "{seen:?}");
    }

    let tcp = start_tcp(&KongTcpLogConfig { tls: None, ..tcp_config() }, None);
    let http = start_http(&KongHttpLogConfig { tls: None, ..http_config() }, None);
    assert!(identity.connect(tcp.address).await.is_err());
    assert!(identity.connect(http.address).await.is_err());
    tcp.until_refused("tls_to_plain", 1).await;
    http.until_refused("tls_to_plain", 1).await;
    // One byte in common is not TLS.
    let mut binary = tcp.connect().await;
    binary.write_all(b"\x16\x02\n").await.unwrap();
    tcp.until("it is a line", |seen| seen.received == 1).await;
    for seen in [tcp.stop().await.0, http.stop().await.0] {
        assert_eq!((seen.refused.len(), seen.accepted), (0, 0), "{seen:?}");
        assert_eq!(seen.connections_refused, [("tls_to_plain".to_owned(), 1)].into());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_takes_along_all_that_was_sent() {
    const CONNECTIONS: usize = 20;
    const LINES: usize = 200;
    let identity = Identity::new();
    let source = start_tcp(&tcp_config(), Some(&InForce::new(&identity)));
    let mut open = Vec::new();
    for number in 0..CONNECTIONS {
        let mut kong = identity.connect(source.address).await.unwrap();
        let mut lines: String = (0..LINES).map(|index| line(&format!("/{number}/{index}"))).collect();
        lines.push_str("{\"request\":{\"uri\":\"/to");
        within(write(&mut kong, lines.as_bytes())).await;
        open.push(kong);
    }
    // Who has not begun holds no stop, and is refused nothing.
    let silent = source.connect().await;
    let (seen, batches) = source.stop().await;
    assert_eq!(seen.accepted as usize, CONNECTIONS * LINES);
    assert_eq!(batches.iter().map(|batch| batch.count as usize).sum::<usize>(), CONNECTIONS * LINES);
    assert_eq!(seen.rejected, [("torn".to_owned(), CONNECTIONS as u64)].into());
    assert!(seen.connections_refused.is_empty(), "{seen:?}");
    drop(silent);
}

#[tokio::test]
async fn limits_hold_before_the_handshake() {
    let identity = Identity::new();
    let in_force = InForce::new(&identity);
    let source = start_tcp(&KongTcpLogConfig { connections_max: 1, ..tcp_config() }, Some(&in_force));
    let held = source.connect().await;
    source.until("one is open", |seen| seen.connections_open == 1).await;
    assert!(identity.connect(source.address).await.is_err());
    source.until("it is counted", |seen| seen.connections_over_limit == 1).await;
    drop(held);
    source.until("the place is free", |seen| seen.connections_open == 0).await;
    identity.connect(source.address).await.unwrap();
    source.stop().await;

    let allow = AllowList::parse(["192.0.2.0/24"]).unwrap();
    let source = start_http(&KongHttpLogConfig { allow, ..http_config() }, Some(&in_force));
    assert!(identity.connect(source.address).await.is_err());
    source.until("it is counted", |seen| seen.connections_not_allowed == 1).await;
    let (seen, _) = source.stop().await;
    assert_eq!((seen.connections_total, seen.connections_refused.len()), (0, 0));
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let in_force = InForce::new(&Identity::new());
    let tcp = |config: KongTcpLogConfig, tls: Option<CurrentTls>| bind_tcp(&config, tls).err().unwrap().to_string();
    let http = |config: KongHttpLogConfig, tls: Option<CurrentTls>| bind_http(&config, tls).err().unwrap().to_string();
    // It never falls back to plain, and TLS is no reason to let everybody connect.
    let anywhere = "0.0.0.0:0".parse().unwrap();
    for (error, words) in [
        (tcp(tcp_config(), None), "`tls`"),
        (tcp(KongTcpLogConfig { tls: None, ..tcp_config() }, Some(in_force.current())), "`tls`"),
        (http(http_config(), None), "`tls`"),
        (tcp(KongTcpLogConfig { listen: anywhere, ..tcp_config() }, Some(in_force.current())), "allow ="),
        (http(KongHttpLogConfig { listen: anywhere, ..http_config() }, Some(in_force.current())), "allow ="),
    ] {
        assert!(error.contains(words), "{error}");
    }
}
