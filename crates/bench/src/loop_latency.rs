//! Loop latency: from receiving the log line that completes a finding to the returned Admin API write.
//!
//! Everything is real: a TCP source, the synced log, the analysis, the control store, the responder, and the practice
//! gateway's Admin API over HTTP. The clock starts at the completing line's receive time and ends when the responder has
//! the gateway's answer; both are read from the same machine's clock, in whole milliseconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use outrider_bench::generate::{Traffic, TrafficSettings};
use outrider_collect::{KongTcpLog, KongTcpLogConfig, MicroBatch, PseudonymKey, SystemClock};
use outrider_model::{ActionId, ActionReport, Policy, ReportedState};
use outrider_platform::analysis::AnalysisSettings;
use outrider_platform::log::LogSettings;
use outrider_platform::service::{Platform, PlatformSettings};
use outrider_platform::store::ActionFilter;
use outrider_practice::Practice;
use outrider_respond::gateways::kong::{AdminSettings, Responder, ResponderSettings};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::print;

/// Calls that an offender makes, one after the other as fast as they go out.
const OFFENCE_CALLS: usize = 600;
/// Pause between two offenders.
const OFFENDER_GAP: Duration = Duration::from_millis(100);
/// How often calls are handed to the socket.
const BEAT: Duration = Duration::from_millis(5);

type Stored = Arc<Mutex<BTreeMap<ActionId, i64>>>;

pub async fn run(rate: u32, offenders: u32) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let practice = Practice::start(outrider_practice::Settings::default()).await?;
    let consumers: Vec<String> = offender_ids(&practice, offenders).await?;
    let platform = Platform::start(settings(directory.path())?, now_ms).await?;
    let stop = CancellationToken::new();
    let (batches, waiting) = mpsc::channel(4096);
    let source: KongTcpLogConfig = serde_json::from_str(r#"{"gateway": "kong", "listen": "127.0.0.1:0"}"#)?;
    let source = KongTcpLog::bind(&source, PseudonymKey::from_bytes(&[7; 32]), Arc::new(SystemClock), batches)?;
    let address = source.local_addr();
    let reading = tokio::spawn(source.run(stop.clone()));
    let ingesting = tokio::spawn(ingest(platform.ingest(1), waiting));
    let stored = Stored::default();
    let responding = respond(&platform, &practice, directory.path(), &stored, stop.clone())?;

    let mut stream = TcpStream::connect(address).await?;
    let into_minute_ms = now_ms().rem_euclid(60_000).cast_unsigned();
    let warm_up = Duration::from_millis(122_000 - into_minute_ms);
    print(&format!("{rate} calls a second for {} s, then {offenders} offenders", warm_up.as_secs()));
    let mut traffic = Traffic::new(TrafficSettings {
        seed: 5,
        consumers: 2000,
        addresses: 3000,
        calls_per_second: f64::from(rate),
        start_ms: now_ms(),
        attacks: vec![],
    });
    send(&mut stream, &mut traffic, rate, warm_up, &[]).await?;
    let offence = OFFENDER_GAP * offenders + Duration::from_secs(65);
    send(&mut stream, &mut traffic, rate, offence, &consumers).await?;

    let latencies = latencies(&platform, &stored).await?;
    report(&latencies, rate, offenders, &platform);
    stop.cancel();
    drop(stream);
    reading.await?;
    ingesting.await?;
    for task in responding {
        task.await?;
    }
    platform.stop().await;
    practice.stop().await;
    Ok(())
}

fn settings(directory: &std::path::Path) -> anyhow::Result<PlatformSettings> {
    let policy: Policy = serde_json::from_str(
        r#"{"name": "block", "when": {"detectors": ["request_spike"]}, "respond": {"kind": "block"}, "duration": "1h", "mode": "enforce"}"#,
    )?;
    let mut analysis = AnalysisSettings { policies: vec![policy], ..AnalysisSettings::default() };
    // So many offenders at once are no real day; what limits them is not what is measured here.
    analysis.respond.guard_rails.active_actions_max = 10_000;
    analysis.respond.guard_rails.actions_per_hour_max = 10_000;
    analysis.detect.request_spike.warmup_minutes = 1;
    analysis.detect.request_spike.own_minutes_min = 1;
    analysis.detect.request_spike.at_once_per_minute_max = 10_000;
    Ok(PlatformSettings {
        data_dir: directory.to_owned(),
        installation: "bench".to_owned(),
        gateways: vec!["kong".to_owned()],
        analysis,
        log: LogSettings::default(),
        lake_commit_interval: Some(Duration::from_secs(2)),
        snapshot_interval: Duration::from_secs(60),
    })
}

async fn offender_ids(practice: &Practice, offenders: u32) -> anyhow::Result<Vec<String>> {
    let admin = practice.admin();
    let mut ids = Vec::new();
    for number in 0..offenders {
        ids.push(admin.consumer(&format!("offender-{number}"), &format!("key-{number}")).await?);
    }
    Ok(ids)
}

async fn ingest(mut ingest: outrider_platform::ingest::Ingest, mut waiting: mpsc::Receiver<MicroBatch>) {
    while let Some(batch) = waiting.recv().await {
        ingest.accept(batch.calls, batch.count, batch.last_received_ms);
    }
}

fn respond(
    platform: &Platform,
    practice: &Practice,
    directory: &std::path::Path,
    stored: &Stored,
    stop: CancellationToken,
) -> anyhow::Result<[tokio::task::JoinHandle<()>; 2]> {
    let admin = AdminSettings::new(format!("http://{}", practice.admin_address()));
    let settings = ResponderSettings::new("kong", "bench", admin, directory.join("responder"));
    let responder = Responder::new(settings, Arc::new(outrider_respond::gateways::SystemClock))?;
    let desired = platform.desired("kong").context("the gateway is not known")?;
    let (sender, mut reports) = mpsc::channel::<ActionReport>(4096);
    let working = tokio::spawn(responder.run(desired, sender, stop));
    let (log, stored) = (platform.reports(), Arc::clone(stored));
    let reporting = tokio::spawn(async move {
        while let Some(report) = reports.recv().await {
            if matches!(report.state, ReportedState::Stored { .. }) {
                stored.lock().unwrap_or_else(PoisonError::into_inner).entry(report.action).or_insert(report.at_ms);
            }
            if let Err(error) = log.store(now_ms(), &report).await {
                tracing::warn!(%error, "a report was not stored");
            }
        }
    });
    Ok([working, reporting])
}

/// Sends traffic at a rate for a time; meanwhile one offender after the other makes its calls.
async fn send(
    stream: &mut TcpStream,
    traffic: &mut Traffic,
    rate: u32,
    time: Duration,
    offenders: &[String],
) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut beat = tokio::time::interval(BEAT);
    let (mut sent, mut offended) = (0u64, 0usize);
    let mut bytes = Vec::new();
    while began.elapsed() < time {
        beat.tick().await;
        bytes.clear();
        let due = (began.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        for _ in sent..due {
            bytes.extend_from_slice(&stamped(traffic.next_call().line));
            bytes.push(b'\n');
        }
        sent = due;
        while offended < offenders.len() && began.elapsed() >= OFFENDER_GAP * offended as u32 {
            for call in 0..OFFENCE_CALLS {
                bytes.extend_from_slice(offence(&offenders[offended], call).as_bytes());
                bytes.push(b'\n');
            }
            offended += 1;
        }
        stream.write_all(&bytes).await?;
    }
    Ok(())
}

/// The generated line as of now, so that no clock has to be clamped.
fn stamped(line: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    let Some((head, tail)) = text.split_once("\"started_at\":") else { return line.to_vec() };
    let rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{head}\"started_at\":{}{rest}", now_ms()).into_bytes()
}

fn offence(consumer: &str, call: usize) -> String {
    serde_json::json!({
        "request": {"id": format!("{consumer}-{call}"), "method": "GET", "uri": format!("/shop/items/{}", call + 1),
            "url": "http://shop/", "size": 200, "querystring": {}, "headers": {"host": "api.example.com", "user-agent": "loop"}},
        "response": {"status": 200, "size": 500, "headers": {"content-type": "application/json"}},
        "latencies": {"request": 3, "kong": 1, "proxy": 2, "receive": 0}, "client_ip": "198.51.100.7", "started_at": now_ms(),
        "upstream_status": "200", "source": "upstream", "workspace": "945aacf7-3f4a-4a22-aebc-208afa7bf62d",
        "tries": [{"ip": "10.0.0.1", "port": 80}], "service": {"id": "offended", "name": "shop"}, "route": {"id": "offended"},
        "consumer": {"id": consumer, "username": consumer}, "authenticated_entity": {"id": consumer}
    })
    .to_string()
}

/// Milliseconds from the completing line to the stored report, of every action that was stored.
async fn latencies(platform: &Platform, stored: &Stored) -> anyhow::Result<Vec<i64>> {
    let stored = stored.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut latencies = Vec::new();
    let mut cursor = None;
    loop {
        let page = platform.store().actions(&ActionFilter::default(), 500, cursor.as_deref()).await?;
        for action in page.items {
            if let Some(at_ms) = stored.get(&action.id) {
                latencies.push(at_ms - action.created_ms);
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    latencies.sort_unstable();
    Ok(latencies)
}

fn report(latencies: &[i64], rate: u32, offenders: u32, platform: &Platform) {
    let at =
        |share: f64| latencies.get(((latencies.len() as f64 - 1.0) * share).round() as usize).copied().unwrap_or(-1);
    let progress = platform.status().progress();
    print(&format!(
        "{} of {offenders} offenders blocked; {} calls analysed, {} dropped",
        latencies.len(),
        progress.calls,
        progress.dropped_calls
    ));
    print(&format!("line received to Admin API write returned, at {rate} calls a second, in ms:"));
    print(&format!("p50 {}  p90 {}  p99 {}  max {}", at(0.5), at(0.9), at(0.99), at(1.0)));
}

fn now_ms() -> i64 {
    outrider_collect::Clock::now_ms(&SystemClock)
}
