//! The collector as a process of its own: what a line costs from the socket to the spool, beside syslog-ng and rsyslog that do
//! less with the same stream; memory with many connections; how soon a call is acknowledged, and whether one is lost while the
//! platform is away.
//!
//! The processes that are compared have one and the same core. Their lines come from this process, on loopback and as fast as
//! they are read.

mod peers;
mod process;
mod stand_in;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use outrider_bench::{bare, corpus};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::load::traffic;
use crate::loop_latency::{at_share, now_ms, send};
use crate::{cpu_seconds, median, print};
use peers::Peer;
use process::Process;
use stand_in::StandIn;

/// How long a process may take to listen, or to be through with what it was sent.
const PATIENCE: Duration = Duration::from_secs(120);
/// From one look at how far a process is to the next.
const LOOK: Duration = Duration::from_millis(50);
/// How long calls are sent in real time.
const REAL_TIME_SECONDS: u32 = 20;
/// For how long the platform is away meanwhile, and how often.
const AWAY: Duration = Duration::from_secs(2);
const TIMES_AWAY: u32 = 3;

/// What is measured.
pub struct Settings {
    /// The binary of outrider.
    pub binary: PathBuf,
    /// How many times the corpus is sent in a round.
    pub repeats: usize,
    pub rounds: usize,
    pub connections: usize,
}

pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    anyhow::ensure!(
        settings.binary.is_file(),
        "there is no {}; build it with `cargo build --release --package outrider`, or name it with --binary",
        settings.binary.display()
    );
    let a_second = throughput(settings).await?;
    memory(settings).await?;
    acknowledged(settings, (a_second / 2.0) as u32).await
}

/// Lines by processor time, in turn, and how many lines a second the collector took.
async fn throughput(settings: &Settings) -> anyhow::Result<f64> {
    let bytes = corpus::frozen();
    let lines = settings.repeats * corpus::LINES;
    print(&format!(
        "{lines} lines of {} bytes, on one core; medians of {} rounds",
        bytes.len() / corpus::LINES,
        settings.rounds
    ));
    let peers: Vec<_> = Peer::ALL.into_iter().filter(|peer| peer.is_there()).collect();
    for peer in Peer::ALL.into_iter().filter(|peer| !peer.is_there()) {
        print(&format!("{} is not installed (apt-get install {}), so left out", peer.name(), peer.package()));
    }
    let (mut of_bare, mut of_outrider, mut walls) = (Vec::new(), Vec::new(), Vec::new());
    let mut of_peers = vec![Vec::new(); peers.len()];
    for _ in 0..settings.rounds {
        let before = cpu_seconds();
        for _ in 0..settings.repeats {
            bare::read_all(&bytes)?;
        }
        of_bare.push(lines as f64 / (cpu_seconds() - before));
        let directory = tempfile::tempdir()?;
        let collector = Collector::start(&settings.binary, directory.path(), free_port()?, 1)?;
        let (cpu, wall) = measured(&collector.process, collector.source, &bytes, settings.repeats, async || {
            Ok(collector.count("outrider_collector_calls_total").await? as usize)
        })
        .await?;
        let dropped = collector.count("outrider_collector_dropped_total").await?
            + collector.count("outrider_calls_dropped_total").await?;
        let handed = collector.count("outrider_collector_calls_total").await?;
        anyhow::ensure!(
            dropped == 0 && handed == lines as u64,
            "of {lines} lines the collector handed on {handed} and dropped {dropped}"
        );
        collector.process.stop()?;
        of_outrider.push(lines as f64 / cpu);
        walls.push(lines as f64 / wall);
        for (peer, times) in peers.iter().zip(&mut of_peers) {
            let directory = tempfile::tempdir()?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
            let (process, output) = peer.start(directory.path(), address.port())?;
            let mut written = peers::Written::new(output);
            let (cpu, _) = measured(&process, address, &bytes, settings.repeats, async || written.lines()).await?;
            anyhow::ensure!(
                written.is_parsed()?,
                "{} wrote something else than what it was sent; is its version another one?",
                peer.name()
            );
            process.stop()?;
            times.push(lines as f64 / cpu);
        }
    }
    let bare = median(of_bare);
    let tell = |name: &str, what: &str, value: f64| {
        print(&format!("{name:<10} {what:<52} {value:>9.0} {:>6.1} %", 100.0 * value / bare));
    };
    print(&format!("{:<63} {:>9} {:>8}", "", "a CPU-s", "of bare"));
    tell("bare", "frame and decode, in memory", bare);
    tell("outrider", "TCP, decode, sanitise, map, encode, synced spool", median(of_outrider));
    for (peer, times) in peers.iter().zip(of_peers) {
        tell(peer.name(), "TCP, decode, encode, file", median(times));
    }
    let a_second = median(walls);
    print(&format!("the collector took {a_second:.0} lines a second"));
    Ok(a_second)
}

/// Sends the corpus so many times, and says how much processor time and time it took until all lines are through.
async fn measured(
    process: &Process,
    address: SocketAddr,
    bytes: &[u8],
    repeats: usize,
    mut lines: impl AsyncFnMut() -> anyhow::Result<usize>,
) -> anyhow::Result<(f64, f64)> {
    let mut stream = connected(address).await?;
    let (before, began) = (process.cpu_seconds()?, Instant::now());
    for _ in 0..repeats {
        stream.write_all(bytes).await?;
    }
    stream.shutdown().await?;
    let sent = Instant::now();
    while lines().await? < repeats * corpus::LINES {
        anyhow::ensure!(
            sent.elapsed() < PATIENCE,
            "lines are missing: {} of {}",
            lines().await?,
            repeats * corpus::LINES
        );
        tokio::time::sleep(LOOK).await;
    }
    Ok((process.cpu_seconds()? - before, began.elapsed().as_secs_f64()))
}

/// Resident memory while so many connections are open, each of which has sent a line.
async fn memory(settings: &Settings) -> anyhow::Result<()> {
    process::allow_open_files(settings.connections + 100)?;
    let directory = tempfile::tempdir()?;
    let collector = Collector::start(&settings.binary, directory.path(), free_port()?, settings.connections)?;
    drop(connected(collector.source).await?);
    let before = collector.process.resident_bytes()?;
    let bytes = corpus::frozen();
    let mut connections = Vec::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n').take(settings.connections) {
        let mut stream = TcpStream::connect(collector.source).await?;
        stream.write_all(line).await?;
        connections.push(stream);
    }
    let began = Instant::now();
    while (collector.count("outrider_collector_records_total").await? as usize) < connections.len() {
        anyhow::ensure!(began.elapsed() < PATIENCE, "lines are missing");
        tokio::time::sleep(LOOK).await;
    }
    let mib = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    print(&format!(
        "resident memory: {:.0} MiB at the start, {:.0} MiB with {} connections that have each sent a line",
        mib(before),
        mib(collector.process.resident_bytes()?),
        connections.len()
    ));
    collector.process.stop()
}

/// From when a call was received to when the platform has it and is about to say so, in real time; then the same with a platform
/// that goes away.
async fn acknowledged(settings: &Settings, rate: u32) -> anyhow::Result<()> {
    for times_away in [0, TIMES_AWAY] {
        let directory = tempfile::tempdir()?;
        let platform = StandIn::new(free_port()?);
        platform.come().await?;
        let collector = Collector::start(&settings.binary, directory.path(), platform.port(), 1)?;
        let mut stream = connected(collector.source).await?;
        let start_ms = now_ms();
        let mut traffic = traffic(9, rate, start_ms);
        let sending = send(&mut stream, &mut traffic, start_ms + 1000 * i64::from(REAL_TIME_SECONDS));
        let leaving = async {
            let between = Duration::from_secs(REAL_TIME_SECONDS.into()) / (times_away + 1);
            for _ in 0..times_away {
                tokio::time::sleep(between - AWAY).await;
                platform.leave_without_a_word().await;
                tokio::time::sleep(AWAY).await;
                platform.come().await?;
            }
            anyhow::Ok(())
        };
        let (sent, left) = tokio::join!(sending, leaving);
        let (sent, ()) = (sent?, left?);
        let began = Instant::now();
        while platform.calls() < sent && began.elapsed() < PATIENCE {
            tokio::time::sleep(LOOK).await;
        }
        let lags = platform.lags();
        let at = |share| at_share(&lags, share);
        print(&format!(
            "at {rate} calls a second for {REAL_TIME_SECONDS} s, the platform away {times_away} times for {} s: {} of {sent} arrived, \
             {} twice; received to acknowledged, in ms: p50 {}  p99 {}  max {}",
            AWAY.as_secs(),
            platform.calls(),
            platform.doubles(),
            at(0.5),
            at(0.99),
            at(1.0)
        ));
        collector.process.stop()?;
        platform.leave_without_a_word().await;
    }
    Ok(())
}

/// A running collector.
struct Collector {
    process: Process,
    source: SocketAddr,
    metrics: SocketAddr,
}

impl Collector {
    /// With everything on that a collector does with a line; on one core, as those that it is compared with.
    fn start(binary: &Path, directory: &Path, platform: u16, connections: usize) -> anyhow::Result<Collector> {
        let [source, metrics] = [free_port()?, free_port()?].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let connections = connections.clamp(1_000, 100_000);
        let config = format!(
            "data_dir = 'data'\n[platform]\nurl = 'http://127.0.0.1:{platform}'\ntoken_file = 'token'\n\
             [metrics]\nlisten = '{metrics}'\n[log]\ntotal_bytes_max = 17179869184\n\
             [[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = 'kong'\nlisten = '{source}'\nconnections_max = {connections}\n\
             connections_per_address_max = {connections}\n\
             session = {{ cookie = 'sid' }}\ntrusted_proxies = {{ networks = ['10.0.0.0/8'] }}\n\
             [[collector.sources.fields]]\nname = 'host'\nvalue = 'line.request.headers.host'\n"
        );
        std::fs::write(directory.join("outrider.toml"), config)?;
        std::fs::write(directory.join("token"), "bench")?;
        let mut command = process::on_one_core(binary);
        command.args(["collector", "--config"]).arg(directory.join("outrider.toml"));
        Ok(Collector { process: Process::start(&mut command, directory)?, source, metrics })
    }

    /// The sum of a counter over its labels.
    async fn count(&self, name: &str) -> anyhow::Result<u64> {
        let mut stream = TcpStream::connect(self.metrics).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        anyhow::ensure!(text.contains("outrider_collector_records_total"), "the collector gives no metrics: {text}");
        let of_name = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(['{', ' ']));
        let values = of_name.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(values.sum::<f64>() as u64)
    }
}

/// A connection to what is about to listen.
async fn connected(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let began = Instant::now();
    loop {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) if began.elapsed() > PATIENCE => {
                return Err(error).with_context(|| format!("nobody listens on {address}"));
            }
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// A port that was free a moment ago.
fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
