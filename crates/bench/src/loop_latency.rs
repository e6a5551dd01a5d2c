//! Loop latency: from receiving the log line that completes a finding to the returned Admin API write.
//!
//! Everything is real: a TCP source, the synced log, the analysis, the control store, the responder, and the practice
//! gateway's Admin API over HTTP. The clock starts at the completing line's receive time and ends when the responder has
//! the gateway's answer; both are read from the same machine's clock, in whole milliseconds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use outrider_bench::generate::{Attack, Traffic, TrafficSettings, consumer_id};
use outrider_collect::{KongTcpLog, KongTcpLogConfig, MicroBatch, PseudonymKey, SystemClock};
use outrider_lake::Location;
use outrider_model::{ActionId, ActionReport, Policy, ReportedState};
use outrider_platform::analysis::AnalysisSettings;
use outrider_platform::log::LogSettings;
use outrider_platform::service::{LakeSettings, Platform, PlatformSettings};
use outrider_platform::store::{ActionFilter, AlertFilter};
use outrider_practice::Practice;
use outrider_respond::gateways::kong::{AdminSettings, Responder, ResponderSettings};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::print;

/// Calls that an offender makes in [`OFFENCE_MS`].
const OFFENCE_CALLS: f64 = 400.0;
const OFFENCE_MS: i64 = 1000;
/// From the beginning of one offender to that of the next.
const OFFENDER_GAP_MS: i64 = 500;
/// `GET /shop/items/{id}`, which everybody calls.
const OFFENDED_ENDPOINT: usize = 1;
const CONSUMERS: u32 = 2000;
/// Three who spike together wait for the end of the minute, since everybody may be growing. So the offenders are spread over
/// workspaces, which are judged apart.
const WORKSPACES: u32 = 50;
/// What is still on its way at the end has this long to arrive; what does not counts as not blocked. It is over a minute,
/// because some are decided when the minute is over.
const SETTLE_MAX: Duration = Duration::from_secs(65);
/// How often calls are handed to the socket.
const BEAT: Duration = Duration::from_millis(5);

type Stored = Arc<Mutex<BTreeMap<ActionId, i64>>>;

pub async fn run(rate: u32, offenders: u32) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let practice = Practice::start(outrider_practice::Settings::default()).await?;
    register_offenders(&practice, offenders).await?;
    let rig = Rig::start(settings(directory.path())?).await?;
    let platform = &rig.platform;
    let stored = Stored::default();
    let responding = respond(platform, &practice, directory.path(), &stored, rig.stop.clone())?;

    // The endpoints of 50 workspaces become settled in the first minute or two, and a minute after that nothing is decided
    // at them. So two to three minutes pass before the first offender begins.
    let start_ms = now_ms();
    let warm_up_ms = 182_000 - start_ms.rem_euclid(60_000);
    let offence_rate = OFFENCE_CALLS * 1000.0 / OFFENDER_GAP_MS as f64;
    print(&format!(
        "{rate} calls a second; after {} s {offenders} offenders, {:.0} calls a second of it",
        warm_up_ms / 1000,
        offence_rate
    ));
    let attack = |number: u32| Attack {
        consumer: offender(number),
        endpoint: OFFENDED_ENDPOINT,
        after_ms: warm_up_ms + OFFENDER_GAP_MS * i64::from(number),
        lasts_ms: OFFENCE_MS,
        calls_per_second: OFFENCE_CALLS * 1000.0 / OFFENCE_MS as f64,
    };
    let mut traffic = Traffic::new(TrafficSettings {
        seed: 5,
        consumers: CONSUMERS,
        workspaces: WORKSPACES,
        addresses: 3000,
        calls_per_second: f64::from(rate) - offence_rate,
        start_ms,
        attacks: (0..offenders).map(attack).collect(),
    });
    let end_ms = start_ms + warm_up_ms + OFFENDER_GAP_MS * i64::from(offenders) + OFFENCE_MS;
    let mut stream = TcpStream::connect(rig.address).await?;
    send(&mut stream, &mut traffic, start_ms + warm_up_ms).await?;
    let (began, before) = (Instant::now(), platform.status().progress().calls);
    send(&mut stream, &mut traffic, end_ms).await?;
    let sent_rate = (platform.status().progress().calls - before) as f64 / began.elapsed().as_secs_f64();
    let mut look = tokio::time::interval(Duration::from_millis(50));
    let deadline = Instant::now() + SETTLE_MAX;
    while stored.lock().unwrap_or_else(PoisonError::into_inner).len() < offenders as usize && Instant::now() < deadline
    {
        look.tick().await;
    }

    let latencies = latencies(platform, &stored).await?;
    report(&latencies, sent_rate, offenders, platform);
    rig.stop.cancel();
    drop(stream);
    for task in responding {
        task.await?;
    }
    rig.stop().await?;
    practice.stop().await;
    Ok(())
}

/// A platform with a source.
pub struct Rig {
    pub platform: Platform,
    /// The source's.
    pub address: SocketAddr,
    stop: CancellationToken,
    reading: JoinHandle<()>,
    ingesting: JoinHandle<()>,
}

impl Rig {
    pub async fn start(settings: PlatformSettings) -> anyhow::Result<Rig> {
        let platform = Platform::start(settings, now_ms).await?;
        let stop = CancellationToken::new();
        let (batches, waiting) = mpsc::channel(4096);
        let source: KongTcpLogConfig = serde_json::from_str(r#"{"gateway": "kong", "listen": "127.0.0.1:0"}"#)?;
        let source =
            KongTcpLog::bind(&source, PseudonymKey::from_bytes(&[7; 32]), Arc::new(SystemClock), batches, None, None)?;
        let address = source.local_addr();
        let reading = tokio::spawn(source.run(stop.clone()));
        let ingesting = tokio::spawn(ingest(platform.ingest(1), waiting));
        Ok(Rig { platform, address, stop, reading, ingesting })
    }

    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.reading.await?;
        self.ingesting.await?;
        self.platform.stop().await;
        Ok(())
    }
}

pub fn settings(directory: &std::path::Path) -> anyhow::Result<PlatformSettings> {
    let policy: Policy = serde_json::from_str(
        r#"{"name": "block", "when": {"detectors": ["request_spike"]}, "respond": {"kind": "block"}, "duration": "1h", "mode": "enforce"}"#,
    )?;
    let mut analysis = AnalysisSettings { policies: vec![policy], ..AnalysisSettings::default() };
    // So many offenders at once are no real day; what limits them is not what is measured here.
    analysis.respond.guard_rails.active_actions_max = 10_000;
    analysis.respond.guard_rails.actions_per_hour_max = 10_000;
    // Minutes of learning in the place of hours.
    analysis.detect.request_spike.warmup_minutes = 1;
    analysis.detect.request_spike.warmup_active_minutes = 20;
    analysis.detect.request_spike.own_minutes_min = 1;
    analysis.detect.request_spike.at_once_per_minute_max = 10_000;
    Ok(PlatformSettings {
        data_dir: directory.to_owned(),
        installation: "bench".to_owned(),
        gateways: vec!["kong".to_owned()],
        analysis,
        log: LogSettings::default(),
        lake_location: Location::from(&directory.join("lake")),
        lake: Some(LakeSettings { commit_interval: Duration::from_secs(2), ..LakeSettings::default() }),
        snapshot_interval: Duration::from_secs(60),
        notify: Vec::new(),
    })
}

/// Offenders are consumers of middling tempo.
fn offender(number: u32) -> u32 {
    CONSUMERS / 2 + number
}

async fn register_offenders(practice: &Practice, offenders: u32) -> anyhow::Result<()> {
    let admin = practice.admin();
    for number in 0..offenders {
        let id = consumer_id(offender(number));
        admin.create("/consumers", json!({"id": id, "username": format!("offender-{number}")})).await?;
    }
    Ok(())
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
) -> anyhow::Result<[JoinHandle<()>; 2]> {
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
            if let Err(error) = log.store(now_ms(), std::slice::from_ref(&report)).await {
                tracing::warn!(%error, "a report was not stored");
            }
        }
    });
    Ok([working, reporting])
}

/// Sends each call when it is due, until a time. Says how many those were.
pub async fn send(stream: &mut TcpStream, traffic: &mut Traffic, end_ms: i64) -> anyhow::Result<u64> {
    let mut beat = tokio::time::interval(BEAT);
    let mut bytes = Vec::new();
    let (mut sent_ms, mut calls) = (0, 0);
    while sent_ms < end_ms {
        beat.tick().await;
        bytes.clear();
        let until_ms = now_ms().min(end_ms);
        while sent_ms < until_ms {
            let call = traffic.next_call();
            sent_ms = call.at_ms;
            calls += 1;
            bytes.extend_from_slice(call.line);
            bytes.push(b'\n');
        }
        stream.write_all(&bytes).await?;
    }
    Ok(calls)
}

/// Milliseconds from the completing line to the stored report, of every action that was stored. What became of other
/// actions is printed.
async fn latencies(platform: &Platform, stored: &Stored) -> anyhow::Result<Vec<i64>> {
    let stored = stored.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut latencies = Vec::new();
    let mut cursor = None;
    loop {
        let page = platform.store().actions(&ActionFilter::default(), 500, cursor.as_deref()).await?;
        for action in page.items {
            if let Some(at_ms) = stored.get(&action.id) {
                latencies.push(at_ms - action.created_ms);
            } else {
                print(&format!("{} is {:?}: {}", action.target.label, action.state, action.state_reason));
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let alerts = platform.store().alerts(&AlertFilter::default(), 500, None).await?.items;
    for alert in alerts.iter().filter(|alert| alert.actions.is_empty()) {
        print(&format!("no action on {}: {:?}", alert.entity.label, alert.policy_notes));
    }
    print(&format!("{} alerts", alerts.len()));
    latencies.sort_unstable();
    Ok(latencies)
}

fn report(latencies: &[i64], rate: f64, offenders: u32, platform: &Platform) {
    let at = |share| at_share(latencies, share);
    let progress = platform.status().progress();
    print(&format!(
        "{} of {offenders} offenders blocked; {} calls analysed, {} dropped",
        latencies.len(),
        progress.calls,
        progress.dropped_calls
    ));
    print(&format!("line received to Admin API write returned, at {rate:.0} calls a second, in ms:"));
    print(&format!("p50 {}  p90 {}  p99 {}  max {}", at(0.5), at(0.9), at(0.99), at(1.0)));
}

/// The value that such a share of the sorted values is not above; -1 where there is none.
pub fn at_share(sorted: &[i64], share: f64) -> i64 {
    sorted.get(((sorted.len() as f64 - 1.0) * share).round() as usize).copied().unwrap_or(-1)
}

pub fn now_ms() -> i64 {
    outrider_collect::Clock::now_ms(&SystemClock)
}
