//! `outrider-bench`: the figures, each with what it was measured against in the same run.

mod bytes;
mod collector;
mod discover;
mod fresh;
mod lake;
mod load;
mod loop_latency;
mod memory;
mod throughput;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures outrider on this machine. Absolute times are noisy; ratios are of one run.
#[derive(Debug, Parser)]
#[command(name = "outrider-bench", version)]
struct Cli {
    #[command(subcommand)]
    figure: Figure,
}

#[derive(Debug, Subcommand)]
enum Figure {
    /// Processor time a call, by stage, against the bare reader over the frozen corpus.
    Throughput {
        /// How many times everything is measured, in turn.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Processor time to find the endpoint of a call and to note what it carries, once that is known, against the bare reader.
    Discover {
        /// How many times everything is measured, in turn.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// A file of Kong's log lines, plain or compressed with gzip, instead of the frozen corpus.
        #[arg(long)]
        events: Option<PathBuf>,
    },
    /// From the completing log line to the returned Admin API write, with real sockets, log and store.
    Loop {
        /// Calls per second in all, offenders' included.
        #[arg(long, default_value_t = 2000)]
        rate: u32,
        /// Offenders, one after the other; at most 100.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100))]
        offenders: u32,
    },
    /// Resident memory while consumers and addresses pass by that are never seen again.
    Memory {
        /// Consumers.
        #[arg(long, default_value_t = 1_000_000)]
        consumers: u32,
        /// Client addresses without a consumer.
        #[arg(long, default_value_t = 5_000_000)]
        addresses: u32,
    },
    /// Bytes a call in the log, and between collector and platform, by rate, over the frozen corpus.
    Bytes,
    /// A collector as a process: lines by processor time beside rsyslog and syslog-ng where they are installed, memory with many
    /// connections, how soon calls are acknowledged, and whether one is lost while the platform is away.
    Collector {
        /// The binary of outrider. Without it, the one beside this program.
        #[arg(long)]
        binary: Option<PathBuf>,
        /// How many times the corpus of 100,000 lines is sent in a round.
        #[arg(long, default_value_t = 5)]
        repeats: usize,
        /// How many times everything is measured, in turn.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Connections for the figure of memory.
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
    },
    /// The lake at its size: bytes a call, writing while files are put together, pages of entities, an aggregate.
    Lake {
        /// Calls; 100,000,000 need about 35 GB, and as much again while files are put together.
        #[arg(long, default_value_t = 100_000_000)]
        events: usize,
        /// Days that they are spread over: a tenth of the calls in a tenth of the days makes days as full.
        #[arg(long, default_value_t = 30)]
        days: u32,
        /// An empty directory for it, which stays; one that was filled before is only asked.
        #[arg(long)]
        dir: PathBuf,
    },
    /// How old the newest call is that a query sees, with real sockets, log and lake.
    Fresh {
        /// Calls per second.
        #[arg(long, default_value_t = 2000)]
        rate: u32,
        /// For how long it is asked.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Send generated calls to a source, in real time, to look at the outrider that it belongs to meanwhile.
    Load {
        /// The source's address.
        #[arg(long, default_value = "127.0.0.1:9514")]
        to: SocketAddr,
        /// Calls per second.
        #[arg(long, default_value_t = 1000)]
        rate: u32,
        /// For how long.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().figure {
        Figure::Throughput { rounds } => throughput::run(rounds),
        Figure::Discover { rounds, events } => discover::run(rounds, events.as_deref()),
        Figure::Loop { rate, offenders } => runtime()?.block_on(loop_latency::run(rate, offenders)),
        Figure::Memory { consumers, addresses } => memory::run(consumers, addresses),
        Figure::Bytes => bytes::run(),
        Figure::Collector { binary, repeats, rounds, connections } => {
            let binary = match binary {
                Some(binary) => binary,
                None => std::env::current_exe()?.with_file_name("outrider"),
            };
            let settings = collector::Settings { binary, repeats, rounds, connections };
            runtime()?.block_on(collector::run(&settings))
        }
        Figure::Lake { events, days, dir } => lake::run(events, days, &dir),
        Figure::Fresh { rate, seconds } => runtime()?.block_on(fresh::run(rate, seconds)),
        Figure::Load { to, rate, seconds } => runtime()?.block_on(load::run(to, rate, seconds)),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Prints a line of a figure.
fn print(line: &str) {
    use std::io::Write as _;
    // Whoever closed standard output does not want the rest.
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// Processor time of the whole process so far, in seconds.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Resident memory now, in bytes.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
