//! What discovery costs a call whose endpoint is known: to find the endpoint, and to note what it carries.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use outrider_bench::{bare, corpus};
use outrider_discover::inventory::{self, CheckedBy, Inventory};
use outrider_discover::{Assignment, Catalogue, Settings};
use outrider_model::ApiCall;
use outrider_model::batch::{BatchReader, BatchWriter};

use crate::throughput::each_call;
use crate::{median, print};

/// What is measured of the calls, each for itself.
const STAGES: [&str; 3] = ["bare: frame and decode", "find the endpoint", "note what it carries"];

/// How a file begins that is compressed with gzip (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Learns the calls twice, then measures. `events` is a file of Kong's log lines; without it, it is the frozen corpus.
pub fn run(rounds: usize, events: Option<&Path>) -> anyhow::Result<()> {
    let bytes = match events {
        Some(path) => read(path).with_context(|| format!("reading {}", path.display()))?,
        None => corpus::frozen(),
    };
    let batch = encoded(&bytes)?;
    let calls = BatchReader::new(&batch)?.collect::<Result<Vec<ApiCall<'_>>, _>>()?;
    anyhow::ensure!(!calls.is_empty(), "there is no call");
    let mut catalogue = Catalogue::new(Settings::default());
    for call in calls.iter().chain(&calls) {
        catalogue.advance(call.event_ms);
        catalogue.assign(call);
    }
    print(&format!(
        "corpus {:016x}: {} calls, {} endpoints; {rounds} rounds, processor time, medians",
        corpus::fingerprint(&bytes),
        calls.len(),
        catalogue.endpoints().count()
    ));
    let mut inventory = Inventory::new(inventory::Settings::default());
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); STAGES.len()];
    let mut ratios = times.clone();
    for _ in 0..rounds {
        let round = measure(&bytes, &calls, &mut catalogue, &mut inventory)?;
        for (stage, time) in round.into_iter().enumerate() {
            times[stage].push(time);
            ratios[stage].push(round[0] / time);
        }
    }
    print(&format!("{:<28} {:>10} {:>22} {:>12}", "stage", "ns a call", "calls a CPU-second", "of bare"));
    for (stage, name) in STAGES.iter().enumerate() {
        let time = median(times[stage].clone());
        let ratio = 100.0 * median(ratios[stage].clone());
        print(&format!("{name:<28} {time:>10.0} {:>22.0} {ratio:>10.0} %", 1e9 / time));
    }
    Ok(())
}

/// Nanoseconds a call of each stage.
fn measure(
    bytes: &[u8],
    calls: &[ApiCall<'_>],
    catalogue: &mut Catalogue,
    inventory: &mut Inventory,
) -> anyhow::Result<[f64; STAGES.len()]> {
    let began = thread_seconds();
    let (lines, sum) = bare::read_all(bytes)?;
    let read = thread_seconds();
    anyhow::ensure!(lines > 0 && sum != 0, "the bare reader read {lines} lines");
    let assignments: Vec<Assignment> = calls.iter().map(|call| catalogue.assign(call)).collect();
    let assigned = thread_seconds();
    let mut noted = 0u32;
    for (call, assignment) in calls.iter().zip(&assignments) {
        if let Some(endpoint) = catalogue.assigned(assignment) {
            inventory.observe(call, endpoint.id, &endpoint.key.template, CheckedBy::NotRead);
            noted += 1;
        }
    }
    let observed = thread_seconds();
    anyhow::ensure!(noted > 0, "no call belongs to an endpoint");
    let per_call = |from: f64, to: f64, count: f64| (to - from) * 1e9 / count;
    let count = calls.len() as f64;
    Ok([per_call(began, read, lines as f64), per_call(read, assigned, count), per_call(assigned, observed, count)])
}

/// The calls of log lines as a source would read them, one batch of all.
fn encoded(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut writer = BatchWriter::default();
    let mut refused = 0;
    each_call(bytes, |call| refused += u32::from(writer.push(call).is_err()))?;
    anyhow::ensure!(refused == 0, "{refused} calls could not be encoded");
    Ok(writer.take())
}

/// A file's lines, each with its end.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = std::fs::read(path)?;
    if bytes.starts_with(&GZIP) {
        let mut lines = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut lines)?;
        bytes = lines;
    }
    if bytes.last().is_some_and(|&last| last != b'\n') {
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Processor time of this thread so far, in seconds.
fn thread_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
