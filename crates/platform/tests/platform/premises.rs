//! What collectors and responders may say to the platform, and what it answers to everything else.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{Call, api_call};
use outrider_lake::Location;
use outrider_model::batch::{BatchReader, BatchWriter};
use outrider_model::{
    ActionScope, ApiCall, Command, CommandRecord, Duration, Enrichment, EntityKey, EntityKind, Field, FieldValue,
    NetworkClass, NoticeKind, SKEW_FUTURE_MS_MAX, SKEW_PAST_MS_MAX,
};
use outrider_platform::analysis::AnalysisSettings;
use outrider_platform::enrich::{EnrichSettings, Enricher, EntitySettings, ListClass, ListSettings};
use outrider_platform::log::{EPOCHS_MAX, LogReader, LogSettings, OnDamage, Position, RecordKind};
use outrider_platform::premises::wire::{SHIPMENT_BATCHES_MAX, SHIPMENT_BYTES_MAX, ShippedBatch, encode_shipment};
use outrider_platform::service::{LakeSettings, Platform, PlatformSettings};
use outrider_platform::store::{ActionFilter, Service, ServiceKind};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const HEADERS: &str = "outrider-protocol: 1\r\noutrider-instance: here-1\r\n";

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

struct Site {
    platform: Platform,
    clock: fn() -> i64,
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Site {
    async fn start(data_dir: &Path) -> Site {
        Site::start_with(data_dir, now_ms, None).await
    }

    /// The same by a clock of the test's.
    async fn start_at(data_dir: &Path, clock: fn() -> i64) -> Site {
        Site::start_with(data_dir, clock, None).await
    }

    async fn start_with(data_dir: &Path, clock: fn() -> i64, enricher: Option<Arc<Enricher>>) -> Site {
        let gateways = ["kong".to_owned(), "other".to_owned()];
        let settings = PlatformSettings {
            data_dir: data_dir.to_owned(),
            installation: "test".to_owned(),
            gateways: gateways.to_vec(),
            analysis: AnalysisSettings::default(),
            log: LogSettings::default(),
            lake_location: Location::from(&data_dir.join("lake")),
            lake: Some(LakeSettings {
                commit_interval: std::time::Duration::from_millis(20),
                ..LakeSettings::default()
            }),
            snapshot_interval: std::time::Duration::from_secs(60),
            notify: Vec::new(),
        };
        let mut platform = Platform::start(settings, clock).await.unwrap();
        platform.caught_up().await;
        platform.watch(Vec::new(), clock);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let premises = platform.premises(&gateways);
        let premises = match enricher {
            Some(enricher) => premises.enriching(enricher),
            None => premises,
        };
        let task = tokio::spawn(premises.serve(listener, None, stop.clone()));
        Site { platform, clock, address, stop, task }
    }

    async fn identity(&self, name: &str, kind: ServiceKind, gateway: &str) -> String {
        let service = Service { name: name.to_owned(), kind, gateways: vec![gateway.to_owned()] };
        self.platform.store().create_service(&service, "test", now_ms()).await.unwrap().reveal().to_owned()
    }

    /// Status and words of the answer.
    async fn ask(&self, token: &str, method: &str, path: &str, body: &[u8]) -> (u16, String) {
        self.ask_with(&format!("authorization: Bearer {token}\r\n{HEADERS}"), method, path, body, body.len()).await
    }

    async fn ask_with(&self, headers: &str, method: &str, path: &str, body: &[u8], length: usize) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "{method} /premises/v1/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // A refusal may come before everything was sent.
        let _ = stream.write_all(body).await;
        if body.len() < length {
            stream.shutdown().await.unwrap();
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8(answer).unwrap();
        let status = text.split(' ').nth(1).unwrap_or("0").parse().unwrap();
        (status, text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
    }

    /// Somebody blocks a consumer at a gateway.
    async fn block(&self, gateway: &str, consumer: &str) {
        self.block_for(gateway, consumer, Duration::Permanent).await;
    }

    async fn block_for(&self, gateway: &str, consumer: &str, duration: Duration) {
        let (gateway, value) = (gateway.to_owned(), consumer.to_owned());
        let id = format!("{gateway}-{value}");
        let (workspace, label) = (String::new(), value.clone());
        let target = EntityKey { kind: EntityKind::Consumer, gateway, workspace, value, label };
        let command = Command::Act {
            alert: None,
            target,
            scope: ActionScope::Consumer,
            response: serde_json::from_value(json!({"kind": "block"})).unwrap(),
            duration,
            reason: "a test".to_owned(),
        };
        let record = CommandRecord { id, by: "a".to_owned(), at_ms: (self.clock)(), command };
        self.platform.commands().submit(record).await.unwrap();
    }

    /// Looks at the status again until it is as it should be.
    async fn until(&self, what: &str, is_so: impl AsyncFn(&Value) -> bool) {
        let looking = async {
            let mut looks = tokio::time::interval(std::time::Duration::from_millis(20));
            while !is_so(&self.platform.status().to_json()).await {
                looks.tick().await;
            }
        };
        let ended = tokio::time::timeout(std::time::Duration::from_secs(60), looking).await;
        assert!(ended.is_ok(), "in vain for {what}: {}", self.platform.status().to_json());
    }

    async fn is_silent(&self, gateway: &str) -> bool {
        let open = self.platform.store().open_notices().await.unwrap();
        open.iter().any(|one| one.concern.kind == NoticeKind::GatewaySilent && one.concern.subject == gateway)
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.platform.stop().await;
    }
}

/// Whose token, method, path and body; status and words of the answer.
type Exchange<'a> = (&'a str, &'a str, &'a str, Vec<u8>, u16, &'a str);

/// So many calls of a gateway from number `first` on.
fn batch(gateway: &str, first: u64, calls: u32, at_ms: i64) -> ShippedBatch {
    let mut writer = BatchWriter::default();
    for _ in 0..calls {
        let call = Call { at_ms, consumer: "alice".to_owned(), path: "/shop/items/1".to_owned(), status: 200 };
        let mut call = api_call(&call);
        call.gateway = gateway.into();
        writer.push(&call).unwrap();
    }
    let last = first + u64::from(calls) - 1;
    ShippedBatch { epoch: 7, first, last, count: calls, at_ms, lost_before: None, calls: writer.take() }
}

/// One call of `kong`, with what the test makes of it.
fn one_call(edit: fn(&mut ApiCall<'_>)) -> Vec<u8> {
    let call = Call { at_ms: now_ms(), consumer: "alice".to_owned(), path: "/shop/items/1".to_owned(), status: 200 };
    let mut call = api_call(&call);
    edit(&mut call);
    let mut writer = BatchWriter::default();
    writer.push(&call).unwrap();
    writer.take()
}

fn heartbeat(kind: &str, gateway: &str, now_ms: i64) -> Vec<u8> {
    let body = json!({"kind": kind, "version": "1", "now_ms": now_ms, "gateways": [gateway], "status": {}});
    body.to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_identity_does_its_own_work_for_its_own_gateway() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(directory.path()).await;
    let collector = site.identity("edge-collector", ServiceKind::Collector, "kong").await;
    let responder = site.identity("edge-responder", ServiceKind::Responder, "kong").await;
    let function = site.identity("edge-function", ServiceKind::Function, "kong").await;
    site.block("kong", "alice").await;
    site.block("other", "bob").await;
    let shipment = |gateway: &str| encode_shipment(&[batch(gateway, 1, 2, now_ms())]).unwrap();
    // What a function sends has an epoch of its own.
    let others = encode_shipment(&[ShippedBatch { epoch: 9, ..batch("kong", 1, 2, now_ms()) }]).unwrap();
    let report = |action: &str| json!({"reports": [{"action": action, "at_ms": 1, "state": {"state": "released"}}]});
    let report = |action: &str| report(action).to_string().into_bytes();
    let snapshot = |gateway: &str| {
        let snapshot = json!({"gateway": gateway, "taken_ms": 1, "configuration": {}});
        snapshot.to_string().into_bytes()
    };
    let actions = site.platform.store().actions(&ActionFilter::default(), 10, None).await.unwrap().items;
    let id_of = |gateway: &str| {
        let found = actions.iter().find(|action| action.target.gateway == gateway);
        found.unwrap().id.to_string()
    };
    let (get, post) = ("GET", "POST");
    let cases: Vec<Exchange> = vec![
        (&collector, post, "calls", shipment("kong"), 200, "\"stored\":1"),
        (&collector, post, "calls", shipment("kong"), 200, "\"duplicates\":1"),
        (&collector, post, "calls", shipment("other"), 422, "and not for `other`"),
        (&collector, get, "desired?gateway=kong", vec![], 403, "this is for a responder"),
        (&collector, post, "reports", report(&id_of("kong")), 403, "this is for a responder"),
        (&collector, post, "configuration", snapshot("kong"), 403, "this is for a responder"),
        (&collector, post, "heartbeat", heartbeat("collector", "kong", now_ms()), 200, "\"installation\":\"test\""),
        (&collector, post, "heartbeat", heartbeat("responder", "kong", now_ms()), 403, "is a collector"),
        (&collector, post, "heartbeat", heartbeat("collector", "other", now_ms()), 403, "and not for `other`"),
        (&responder, post, "calls", shipment("kong"), 403, "this is for a collector"),
        (&function, post, "calls", others, 200, "\"stored\":1"),
        (&function, post, "calls", shipment("other"), 422, "and not for `other`"),
        (&function, get, "desired?gateway=kong", vec![], 403, "is a function, and this is for a responder"),
        (&function, post, "heartbeat", heartbeat("collector", "kong", now_ms()), 403, "is a function"),
        (&responder, get, "desired?gateway=kong", vec![], 200, "alice"),
        (&responder, get, "desired?gateway=other", vec![], 403, "and not for `other`"),
        (&responder, get, "desired?gateway=kong&more=1", vec![], 400, ""),
        (&responder, post, "reports", report(&id_of("kong")), 204, ""),
        (&responder, post, "reports", report(&id_of("other")), 403, "and not for `other`"),
        (&responder, post, "configuration", snapshot("kong"), 204, ""),
        (&responder, post, "configuration", snapshot("other"), 403, "and not for `other`"),
        (&responder, post, "heartbeat", heartbeat("collector", "kong", now_ms()), 403, "is a responder"),
        ("unknown", post, "heartbeat", heartbeat("collector", "kong", now_ms()), 401, "stands for no service"),
        ("", get, "desired?gateway=kong", vec![], 401, "stands for no service"),
    ];
    for (token, method, path, body, expected, words) in cases {
        let (status, said) = site.ask(token, method, path, &body).await;
        assert_eq!(status, expected, "{method} {path}: {said}");
        assert!(said.contains(words) && !said.contains("bob"), "{method} {path}: {said}");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_refused_for_now_or_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(directory.path()).await;
    let token = site.identity("edge", ServiceKind::Collector, "kong").await;
    let ship = |batch: ShippedBatch| encode_shipment(&[batch]).unwrap();
    let mut lying = ship(batch("kong", 1, 2, now_ms()));
    lying[..4].copy_from_slice(&(SHIPMENT_BYTES_MAX as u32 + 1).to_le_bytes());
    let miscounted = ShippedBatch { count: 3, last: 3, ..batch("kong", 1, 2, now_ms()) };
    let unreadable = ShippedBatch { calls: vec![1, 255, 0, 0, 0, 9], ..batch("kong", 1, 2, now_ms()) };
    let dated =
        |edit: fn(&mut ApiCall<'_>)| ship(ShippedBatch { calls: one_call(edit), ..batch("kong", 1, 1, now_ms()) });
    let ranged = |first, last, count| ship(ShippedBatch { first, last, count, ..batch("kong", 1, 1, now_ms()) });
    let empty = ShippedBatch { last: u64::MAX, count: 0, calls: vec![], ..batch("kong", 1, 1, now_ms()) };
    let piece = ShippedBatch { calls: vec![], ..batch("kong", 1, 1, now_ms()) };
    let pieces = postcard::to_stdvec(&vec![piece; SHIPMENT_BATCHES_MAX + 1]).unwrap();
    let cases = [
        (lz4_flex::block::compress_prepend_size(&pieces), 413, "4097 batches is too large"),
        // What no collector says, and what whoever reads the log could not bear.
        (dated(|call| call.received_ms = i64::MIN), 422, "times are none"),
        (dated(|call| call.received_ms = -1), 422, "times are none"),
        (dated(|call| call.started_ms = i64::MAX), 422, "times are none"),
        (dated(|call| call.event_ms = i64::MIN), 422, "times are none"),
        (dated(|call| call.event_ms -= SKEW_PAST_MS_MAX + 1), 422, "times are none"),
        (dated(|call| call.event_ms += SKEW_FUTURE_MS_MAX + 1), 422, "times are none"),
        (ship(batch("kong", 1, 1, i64::MIN)), 422, "which no clock says"),
        (ship(batch("kong", 1, 1, i64::MAX)), 422, "which no clock says"),
        (encode_shipment(&[empty.clone(), ShippedBatch { epoch: 8, ..empty }]).unwrap(), 422, "its 0 calls"),
        (ranged(1, u64::MAX, 1), 422, "its 1 calls"),
        (ranged(2, 1, 1), 422, "its 1 calls"),
        (ranged(u64::MAX, u64::MAX, 1), 422, "is no range of calls"),
        (ranged(0, 0, 1), 422, "is no range of calls"),
        (lying, 413, "too large"),
        (vec![0; SHIPMENT_BYTES_MAX + 1], 413, "larger than"),
        (b"no shipment".to_vec(), 413, "too large"),
        (vec![1, 2], 422, "damaged"),
        (ship(miscounted), 422, "says that it holds 3 calls and holds 2"),
        (ship(unreadable), 422, "damaged"),
        // A minute ahead is tolerated; further ahead waits for its time, and long ago is no trouble.
        (ship(batch("kong", 1, 2, now_ms() + 3_600_000)), 409, "synchronise both clocks"),
        (ship(batch("kong", 1, 2, now_ms() + 50_000)), 200, "\"stored\":1"),
        (ship(batch("kong", 3, 2, 1_000_000_000_000)), 200, "\"stored\":1"),
        // A part of what is there already is what no honest collector sends.
        (ship(batch("kong", 4, 3, now_ms())), 422, ""),
        (ship(batch("kong", 5, 1, now_ms())), 200, "\"stored\":1"),
    ];
    for (body, expected, words) in cases {
        let (status, said) = site.ask(&token, "POST", "calls", &body).await;
        assert_eq!(status, expected, "{said}");
        assert!(said.contains(words), "{said}");
    }

    let good = ship(batch("kong", 6, 1, now_ms()));
    let authorized = format!("authorization: Bearer {token}\r\n");
    let half = site.ask_with(&format!("{authorized}{HEADERS}"), "POST", "calls", &good[..9], good.len()).await;
    assert!(half.0 == 400 && half.1.contains("before it was complete"), "{half:?}");
    for (headers, status, words) in [
        ("outrider-instance: a\r\n", 409, "speaks protocol 1, and the request ``"),
        ("outrider-protocol: 2\r\noutrider-instance: a\r\n", 409, "the same version of outrider on both sides"),
        ("outrider-protocol: 1\r\n", 400, "instance"),
        ("outrider-protocol: 1\r\noutrider-instance: a/b\r\n", 400, "instance"),
    ] {
        let said = site.ask_with(&format!("{authorized}{headers}"), "POST", "calls", &good, good.len()).await;
        assert!(said.0 == status && said.1.contains(words), "{headers}: {said:?}");
    }

    // A clock that is off is told in the answer, with its sign.
    for off_ms in [-3_600_000, 3_600_000] {
        let (status, said) =
            site.ask(&token, "POST", "heartbeat", &heartbeat("collector", "kong", now_ms() + off_ms)).await;
        let ahead_ms = serde_json::from_str::<Value>(&said).unwrap()["clock_ahead_ms"].as_i64().unwrap();
        assert!(status == 200 && (off_ms - 60_000..=off_ms).contains(&ahead_ms), "{said}");
    }
    site.stop().await;
}

/// What the log remembers of collectors is limited; whose it is must not be for another one to decide.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_with_many_starts_makes_nobody_elses_batches_count_twice() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(directory.path()).await;
    let quiet = site.identity("quiet", ServiceKind::Collector, "kong").await;
    let loud = site.identity("loud", ServiceKind::Collector, "kong").await;
    let own = encode_shipment(&[batch("kong", 1, 2, now_ms())]).unwrap();
    assert!(site.ask(&quiet, "POST", "calls", &own).await.1.contains("\"stored\":1"));
    let starts = |from: u64| -> Vec<_> {
        let one = batch("kong", 1, 1, now_ms());
        (from..from + EPOCHS_MAX as u64).map(|epoch| ShippedBatch { epoch, ..one.clone() }).collect()
    };
    for from in [10_000, 20_000] {
        let (_, said) = site.ask(&loud, "POST", "calls", &encode_shipment(&starts(from)).unwrap()).await;
        assert!(said.contains(&format!("\"stored\":{EPOCHS_MAX}")), "{said}");
    }
    assert!(site.ask(&quiet, "POST", "calls", &own).await.1.contains("\"duplicates\":1"));
    site.stop().await;
    // Nor after a start, nor when the collector goes on under another name.
    let site = Site::start(directory.path()).await;
    let renamed = site.identity("renamed", ServiceKind::Collector, "kong").await;
    for token in [&quiet, &renamed] {
        assert!(site.ask(token, "POST", "calls", &own).await.1.contains("\"duplicates\":1"));
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_while_it_waits_hears_no_news() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(directory.path()).await;
    let first = site.identity("first", ServiceKind::Responder, "kong").await;
    let second = site.identity("second", ServiceKind::Responder, "kong").await;
    let (_, said) = site.ask(&first, "GET", "desired?gateway=kong", b"").await;
    let version = serde_json::from_str::<Value>(&said).unwrap()["version"].as_u64().unwrap();
    let path = format!("desired?gateway=kong&after={version}");
    let held = site.ask(&first, "GET", &path, b"");
    // The other one is refused from when the first is let in, and its request was sent before.
    let other = async {
        let (status, said) = site.ask(&second, "GET", &path, b"").await;
        assert!(status == 409 && said.contains("is held by responder `first`"), "{status} {said}");
        site.platform.store().revoke_service("first", "test", now_ms()).await.unwrap();
        site.block("kong", "alice").await;
    };
    let ((status, said), ()) = tokio::join!(held, other);
    assert!(status == 401 && !said.contains("alice"), "{status} {said}");
    assert_eq!(site.ask(&first, "GET", &path, b"").await.0, 401, "nor at the next request");

    site.stop().await;
}

const MINUTE_MS: i64 = 60_000;
const START_MS: i64 = 1_795_448_400_000;

/// A collector that was cut off ships what it spooled meanwhile: all of it is there once, and none of it acts.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_hours_is_kept_and_does_not_act() {
    static CLOCK_MS: AtomicI64 = AtomicI64::new(START_MS);
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start_at(directory.path(), || CLOCK_MS.load(Ordering::Relaxed)).await;
    let token = site.identity("edge", ServiceKind::Collector, "kong").await;
    let ship =
        async |batches: &[ShippedBatch]| site.ask(&token, "POST", "calls", &encode_shipment(batches).unwrap()).await;
    let is_there = |status: &Value, calls: u64| {
        let progress = &status["progress"];
        progress["calls"] == calls && progress["lake_rows"] == calls
    };
    ship(&[batch("kong", 1, 200, START_MS)]).await;
    site.until("the first calls", async |status| is_there(status, 200)).await;
    let now = START_MS + 120 * MINUTE_MS;
    CLOCK_MS.store(now, Ordering::Relaxed);
    site.until("the notice of silence", async |_| site.is_silent("kong").await).await;

    // One batch a minute, up to now; in the middle somebody calls a hundred times as often.
    let mut backlog = Vec::new();
    let mut next = 201;
    for minute in 1..=120 {
        let calls = if minute == 60 { 2_000 } else { 20 };
        backlog.push(batch("kong", next, calls, START_MS + minute * MINUTE_MS));
        next += u64::from(calls);
    }
    for shipped in [r#""stored":60"#, r#""duplicates":60"#] {
        for part in backlog.chunks(60) {
            let (status, said) = ship(part).await;
            assert!(status == 200 && said.contains(shipped), "{said}");
        }
    }
    let calls = 200 + 119 * 20 + 2_000;
    site.until("the backlog", async |status| is_there(status, calls)).await;
    // What is a minute old is not late: windows wait as long for it.
    let late = calls - 200 - 2 * 20;
    site.until("the late calls", async |status| status["analysis"]["detect"]["late"] == late).await;
    let status = site.platform.status().to_json();
    assert_eq!((&status["progress"]["findings"], &status["log"]["missing_calls"]), (&json!(0), &json!(0)));
    let keeps_all = json!({ "days": null, "bytes_max": null });
    assert_eq!((&status["lake_retention"], &status["alerts_remembered_ms"]), (&keeps_all, &json!(7 * 86_400_000)));
    assert_eq!(status["gateways_served"], json!(null), "all of them");
    let actions = site.platform.store().actions(&ActionFilter::default(), 10, None).await.unwrap().items;
    assert_eq!(actions.len(), 0, "{actions:?}");
    site.until("the end of the notice", async |_| !site.is_silent("kong").await).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_before_a_responder_comes_back_is_never_brought() {
    static CLOCK_MS: AtomicI64 = AtomicI64::new(START_MS);
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start_at(directory.path(), || CLOCK_MS.load(Ordering::Relaxed)).await;
    let token = site.identity("edge", ServiceKind::Responder, "kong").await;
    let desired = async || {
        let (status, said) = site.ask(&token, "GET", "desired?gateway=kong", b"").await;
        assert_eq!(status, 200, "{said}");
        serde_json::from_str::<Value>(&said).unwrap()
    };
    site.block_for("kong", "alice", Duration::Seconds(900)).await;
    site.block("kong", "bob").await;
    let before = desired().await.to_string();
    assert!(before.contains("alice") && before.contains("bob"), "{before}");
    // Nobody brought it to the gateway; hours later it is over.
    CLOCK_MS.store(START_MS + 120 * MINUTE_MS, Ordering::Relaxed);
    site.until("the end of the block", async |status| {
        status["progress"]["analysed_at_ms"].as_i64().unwrap() > START_MS + 100 * MINUTE_MS
    })
    .await;
    site.until("the news", async |_| !desired().await.to_string().contains("alice")).await;
    assert!(desired().await.to_string().contains("bob"));
    site.stop().await;
}

/// What the calls in a log say beyond their lines.
fn enrichments_in(log: &Path) -> Vec<String> {
    let mut reader = LogReader::open(log, Position::ZERO, OnDamage::Refuse).unwrap();
    let (mut found, mut scratch) = (Vec::new(), Vec::new());
    while let Some(record) = reader.next().unwrap() {
        if record.kind == RecordKind::Calls {
            let batch = record.calls(&mut scratch).unwrap();
            let calls = BatchReader::new(batch.batch).unwrap().map(Result::unwrap);
            found.extend(calls.map(|call| {
                let Enrichment { network, entities, .. } = &call.enrichment;
                let entities: Vec<_> =
                    entities.iter().map(|entity| format!("{}={}", entity.name, entity.value)).collect();
                format!("{} {}", network.as_str(), entities.join(","))
            }));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_enriched_before_they_are_in_the_log_and_never_after() {
    let directory = tempfile::tempdir().unwrap();
    let (data_dir, list) = (directory.path().join("data"), directory.path().join("hosting.txt"));
    std::fs::write(&list, "198.51.100.0/24\n").unwrap();
    let entity = EntitySettings {
        name: "item_id".to_owned(),
        path: Some("/shop/items/{item_id}".to_owned()),
        ..EntitySettings::default()
    };
    let settings = EnrichSettings {
        lists: vec![ListSettings { class: ListClass::Hosting, file: list.clone() }],
        entities: vec![entity],
        ..EnrichSettings::default()
    };
    let enricher = Arc::new(Enricher::open(settings, now_ms()).unwrap());
    let site = Site::start_with(&data_dir, now_ms, Some(Arc::clone(&enricher))).await;
    let token = site.identity("edge", ServiceKind::Collector, "kong").await;
    let shipment = encode_shipment(&[batch("kong", 1, 2, now_ms()), batch("kong", 3, 1, now_ms())]).unwrap();
    let (status, said) = site.ask(&token, "POST", "calls", &shipment).await;
    assert_eq!((status, said.as_str()), (200, "{\"stored\":2,\"duplicates\":0}"));
    site.stop().await;
    let expected = vec![format!("{} item_id=1", NetworkClass::Hosting.as_str()); 3];
    assert_eq!(enrichments_in(&data_dir.join("log")), expected);

    // Nothing is looked up again: the list is gone, and the log says what it said.
    std::fs::remove_file(&list).unwrap();
    let site = Site::start(&data_dir).await;
    assert_eq!(site.platform.status().progress().calls, 3);
    site.stop().await;
    assert_eq!(enrichments_in(&data_dir.join("log")), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_would_grow_past_the_logs_limit_is_stored_as_it_came() {
    let directory = tempfile::tempdir().unwrap();
    let entity = EntitySettings { name: "q".to_owned(), query: Some("q".to_owned()), ..EntitySettings::default() };
    let settings = EnrichSettings { entities: vec![entity], ..EnrichSettings::default() };
    let enricher = Arc::new(Enricher::open(settings, now_ms()).unwrap());
    let site = Site::start_with(directory.path(), now_ms, Some(Arc::clone(&enricher))).await;
    let token = site.identity("edge", ServiceKind::Collector, "kong").await;
    let call = Call { at_ms: now_ms(), consumer: "alice".to_owned(), path: "/".to_owned(), status: 200 };
    let mut call = api_call(&call);
    let field = |n: u32| Field { name: "q".into(), value: FieldValue::Clear(format!("{n:0128}").into()) };
    call.query = (0..8).map(field).collect();
    let (mut writer, calls) = (BatchWriter::default(), 9000);
    for _ in 0..calls {
        writer.push(&call).unwrap();
    }
    let large =
        ShippedBatch { calls: writer.take(), last: calls.into(), count: calls, ..batch("kong", 1, 1, now_ms()) };
    let small = batch("kong", u64::from(calls) + 1, 1, now_ms());
    let (status, said) = site.ask(&token, "POST", "calls", &encode_shipment(&[large, small]).unwrap()).await;
    assert_eq!((status, said.as_str()), (200, "{\"stored\":2,\"duplicates\":0}"));
    assert_eq!(enricher.to_json()["batches_not_enriched"], 1);
    site.stop().await;
}
