//! The lake at its size: bytes a call, how fast calls come in while files are put together, and how long it takes to ask.
//!
//! Generated calls of many days are written as a running platform writes them, with the keeper at work beside. Then pages
//! of entities drawn by chance are asked for, first with nothing of the lake in memory, then again, and an aggregate by
//! endpoint, of what is added up by the hour and of every call.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use outrider_bench::generate::{Traffic, TrafficSettings, consumer_id};
use outrider_collect::{Normaliser, NormaliserSettings, PseudonymKey, RunningMaximum, Scratch};
use outrider_lake::{Beside, Keeper, Lake, LakeReader, QueryLimits, Range, Retention, Rows};
use outrider_model::{ApiCall, BusinessEntity, EndpointId, Fingerprint, KeyId, NetworkClass, Pseudonym};
use rand::prelude::*;
use rand_pcg::Pcg64Mcg;

use crate::{cpu_seconds, median, print};

/// Entities of each kind.
const ENTITIES: u32 = 100_000;
const NETWORKS: u32 = 20_000;
const DAY_MS: i64 = 86_400_000;
/// 2026-11-28 00:00:00 UTC.
const END_MS: i64 = 1_795_824_000_000;
/// Calls of one commit: ten seconds of 5,000 calls a second.
const CALLS_PER_COMMIT: usize = 50_000;
/// Calls with which the speed with and without the keeper is compared.
const COMPARED: usize = 20 * CALLS_PER_COMMIT;
/// Entities of each kind that are asked for.
const ASKED: usize = 50;
const PAGE_ROWS: usize = 200;

const OF_HOURS: &str = "SELECT endpoint_id, sum(calls) AS calls, hll_count(consumers_hll) AS consumers, \
     histogram_quantile(latency_ms_histogram, 0.5) AS p50, histogram_quantile(latency_ms_histogram, 0.95) AS p95, \
     sum(client_errors + server_errors) AS errors, sum(response_bytes) AS bytes \
     FROM endpoint_hours GROUP BY endpoint_id ORDER BY calls DESC";
const OF_CALLS: &str = "SELECT endpoint_id, count(*) AS calls, count(DISTINCT consumer_id) AS consumers, \
     avg(latency_total_ms) AS latency, sum(CASE WHEN status >= 400 THEN 1 ELSE 0 END) AS errors \
     FROM events GROUP BY endpoint_id ORDER BY calls DESC";

pub fn run(events: usize, days: u32, directory: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if !directory.join("endpoint_hours").is_dir() {
        anyhow::ensure!(
            !directory.exists() || directory.read_dir()?.next().is_none(),
            "{} is neither empty nor a lake; name a directory that may be filled",
            directory.display()
        );
        std::fs::create_dir_all(directory)?;
        measured_fill(&runtime, events, days, directory)?;
    }
    for kind in ["consumer", "credential", "ip", "network", "session", "business"] {
        runtime.block_on(pages(directory, kind))?;
    }
    for (what, statement) in [("what is added up by the hour", OF_HOURS), ("every call", OF_CALLS)] {
        runtime.block_on(aggregate(directory, what, statement))?;
    }
    Ok(())
}

fn measured_fill(runtime: &tokio::runtime::Runtime, events: usize, days: u32, directory: &Path) -> anyhow::Result<()> {
    let mut filling = Filling::new(events, days, runtime.block_on(Lake::open(directory))?)?;
    fill(runtime, &mut filling, directory, events)?;
    let json_bytes = filling.json_bytes as f64;
    drop(filling);
    let [of_events, of_timeline, of_hours] =
        ["events", "timeline", "endpoint_hours"].map(|table| data_bytes(&directory.join(table)));
    let (of_events, of_timeline, of_hours) = (of_events?, of_timeline?, of_hours?);
    let of_all = of_events + of_timeline + of_hours;
    let per_call = |bytes: u64| bytes as f64 / events as f64;
    print(&format!(
        "bytes a call: Kong's JSON {:.0}, events {:.1} (1/{:.1}), timeline {:.1}, endpoint_hours {:.1}, all {:.1} (1/{:.1})",
        json_bytes / events as f64,
        per_call(of_events),
        json_bytes / of_events as f64,
        per_call(of_timeline),
        per_call(of_hours),
        per_call(of_all),
        json_bytes / of_all as f64,
    ));
    Ok(())
}

/// Writes all calls with the keeper beside, and lets it finish; a part of them is written without it, to compare.
fn fill(
    runtime: &tokio::runtime::Runtime,
    filling: &mut Filling,
    directory: &Path,
    events: usize,
) -> anyhow::Result<()> {
    let compared = COMPARED.min(events / 4);
    let alone = filling.write(runtime, compared)?;
    let (stop, stopped) = channel();
    let keeper = runtime.block_on(Keeper::open(directory, Retention::default()))?;
    let handle = runtime.handle().clone();
    let keeping = std::thread::spawn(move || keep(&handle, keeper, &stopped));
    // The keeper has what came before to do meanwhile.
    let beside = filling.write(runtime, compared)?;
    print(&format!(
        "calls written a second: {:.0} alone, {:.0} while files are put together ({:.0} %)",
        compared as f64 / alone,
        compared as f64 / beside,
        100.0 * alone / beside,
    ));
    let began = Instant::now();
    let mut left = events - 2 * compared;
    while left > 0 {
        let now = left.min(events.div_ceil(20));
        filling.write(runtime, now)?;
        left -= now;
        print(&format!("  {} of {events} calls written, {:.0} s", events - left, began.elapsed().as_secs_f64()));
    }
    let (written, cpu) = (Instant::now(), cpu_seconds());
    drop(stop);
    let merges = keeping.join().map_err(|_| anyhow::anyhow!("the keeper panicked"))??;
    print(&format!(
        "{merges} merges; the keeper was done {:.0} s after the last call, {:.0} s of processor time",
        written.elapsed().as_secs_f64(),
        cpu_seconds() - cpu
    ));
    Ok(())
}

/// Keeps the lake in shape until nothing is left to do and no more calls come.
fn keep(runtime: &tokio::runtime::Handle, mut keeper: Keeper, stopped: &Receiver<()>) -> anyhow::Result<u64> {
    let (mut merges, mut pause) = (0, Duration::ZERO);
    loop {
        let is_over = matches!(stopped.recv_timeout(pause), Err(RecvTimeoutError::Disconnected));
        let kept = runtime.block_on(keeper.keep(END_MS))?.complete()?;
        merges += kept.merges;
        let is_idle = kept.indexed == 0 && kept.merges == 0;
        if is_over && is_idle && !kept.has_more {
            return Ok(merges);
        }
        pause = if is_idle { Duration::from_secs(1) } else { Duration::ZERO };
    }
}

/// Calls on their way into the lake.
struct Filling {
    traffic: Traffic,
    normaliser: Normaliser,
    scratch: Scratch,
    clock: RunningMaximum,
    rows: Rows,
    lake: Lake,
    position: u64,
    json_bytes: u64,
}

impl Filling {
    fn new(events: usize, days: u32, lake: Lake) -> anyhow::Result<Filling> {
        let span_ms = i64::from(days) * DAY_MS;
        let traffic = TrafficSettings {
            seed: 20_261_128,
            consumers: ENTITIES,
            workspaces: 5,
            addresses: ENTITIES,
            calls_per_second: events as f64 * 1000.0 / span_ms as f64,
            start_ms: END_MS - span_ms,
            attacks: Vec::new(),
        };
        Ok(Filling {
            traffic: Traffic::new(traffic),
            normaliser: Normaliser::new(NormaliserSettings::new("kong"), PseudonymKey::from_bytes(&[7; 32]))?,
            scratch: Scratch::default(),
            clock: RunningMaximum::default(),
            rows: Rows::default(),
            lake,
            position: 0,
            json_bytes: 0,
        })
    }

    /// Writes so many calls, and says how many seconds making rows and committing took: making the lines does not count.
    fn write(&mut self, runtime: &tokio::runtime::Runtime, calls: usize) -> anyhow::Result<f64> {
        let mut spent = Duration::ZERO;
        for index in 1..=calls {
            let generated = self.traffic.next_call();
            self.json_bytes += generated.line.len() as u64 + 1;
            let consumer = generated.consumer;
            let mut call = self
                .normaliser
                .normalise(generated.line, None, &mut self.scratch)
                .map_err(|rejection| anyhow::anyhow!("a generated line was rejected: {}", rejection.as_str()))?;
            self.clock.stamp(&mut call);
            let name = format!("{}", consumer.wrapping_mul(7919) % ENTITIES);
            know(&mut call, consumer, &name);
            let endpoint = endpoint_of(&call);
            let began = Instant::now();
            let place = self.rows.len() as u32;
            self.rows.push(&call, Some(endpoint), self.position + 1, place);
            if self.rows.len() >= CALLS_PER_COMMIT || index == calls {
                self.position += 1;
                let batch = self.rows.finish()?;
                runtime.block_on(self.lake.commit(&[batch], self.position))?;
            }
            spent += began.elapsed();
        }
        Ok(spent.as_secs_f64())
    }
}

/// What enrichment would say.
fn know<'a>(call: &mut ApiCall<'a>, consumer: u32, merchant: &'a str) {
    call.session = Some(session_of(consumer));
    call.enrichment.asn = Some(64_512 + consumer % NETWORKS);
    call.enrichment.network = if consumer.is_multiple_of(9) { NetworkClass::Hosting } else { NetworkClass::Mobile };
    call.enrichment.agent_family = "Chrome".into();
    call.enrichment.entities = vec![BusinessEntity { name: "merchant_id".into(), value: merchant.into() }];
}

fn session_of(consumer: u32) -> Pseudonym {
    let [a, b, c, d] = consumer.wrapping_mul(2_654_435_761).to_be_bytes();
    Pseudonym { key: KeyId(7), tag: [a, b, c, d, d, a, c, b, 7, 7, a, 7, b, 7, c, d] }
}

/// The endpoint as discovery would find it: whatever is no word is a parameter.
fn endpoint_of(call: &ApiCall<'_>) -> EndpointId {
    let mut template = Fingerprint::of("endpoint").text(&call.method);
    for segment in call.path.split('/') {
        let is_word = segment.bytes().all(|byte| byte.is_ascii_lowercase()) || segment == "v2";
        template = template.text(if is_word { segment } else { "{id}" });
    }
    EndpointId(template.finish())
}

/// Bytes of the data files that the newest version has, merged ones left out.
fn data_bytes(table: &Path) -> anyhow::Result<u64> {
    let directory = table.parent().unwrap_or(table).to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let files = runtime.block_on(outrider_lake::files(&directory))?.map(|lake| lake.files).unwrap_or_default();
    let name = table.file_name().unwrap_or_default();
    let is_data =
        |file: &&std::path::PathBuf| file.starts_with(name) && file.extension().is_some_and(|e| e == "parquet");
    let is_log = |file: &&std::path::PathBuf| file.iter().any(|part| part == "_delta_log");
    let files = files.iter().filter(is_data).filter(|file| !is_log(file));
    files.map(|file| Ok(std::fs::metadata(directory.join(file))?.len())).sum()
}

/// The entity of a kind that a consumer of this number has, as the timeline has it.
fn entity(kind: &str, consumer: u32) -> String {
    match kind {
        "consumer" => consumer_id(consumer),
        "network" => (64_512 + consumer % NETWORKS).to_string(),
        "session" => session_of(consumer).to_string(),
        _ => format!("merchant_id:{}", consumer.wrapping_mul(7919) % ENTITIES),
    }
}

/// Pages of entities drawn by chance, with nothing in memory and again.
async fn pages(directory: &Path, kind: &str) -> anyhow::Result<()> {
    let mut random = Pcg64Mcg::seed_from_u64(7);
    let entities = match kind {
        // What Kong and the client call them is in the lake alone.
        "credential" | "ip" => drawn(directory, kind).await?,
        _ => (0..ASKED).map(|_| entity(kind, random.random_range(0..ENTITIES))).collect(),
    };
    let (mut cold, mut warm, mut rows) = (Vec::new(), Vec::new(), 0);
    for entity in &entities {
        forget(directory)?;
        let reader = LakeReader::open(directory, None, QueryLimits::default())?;
        let range = Range { rows: PAGE_ROWS, ..Range::default() };
        for times in [&mut cold, &mut warm] {
            let began = Instant::now();
            let page = reader.page(kind, entity, &range).await?;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
            rows += page.rows.map_or(0, |rows| rows.num_rows());
        }
    }
    print(&format!(
        "a page of {kind}: cold p50 {:.0} ms, p95 {:.0} ms; warm p50 {:.0} ms, p95 {:.0} ms; {:.0} rows in the mean",
        median(cold.clone()),
        p95(cold),
        median(warm.clone()),
        p95(warm),
        rows as f64 / (2 * entities.len()) as f64,
    ));
    Ok(())
}

/// Entities of a kind, drawn from the calls of one second in each of many hours.
async fn drawn(directory: &Path, kind: &str) -> anyhow::Result<Vec<String>> {
    let reader = LakeReader::open(directory, None, QueryLimits::default())?;
    let column = if kind == "ip" { "client_ip" } else { "coalesce(credential_id, presented_credential)" };
    let statement = format!("SELECT DISTINCT {column} AS entity FROM events WHERE position % 97 = 1 LIMIT {ASKED}");
    let mut answer = reader.query(&statement, &Beside::default()).await?;
    let mut entities = Vec::new();
    while let Some(batch) = answer.next().await {
        let batch = batch?;
        let column = batch.column(0).as_any().downcast_ref::<outrider_lake::arrow::array::StringArray>();
        entities.extend(column.into_iter().flat_map(|column| column.iter().flatten().map(str::to_owned)));
    }
    Ok(entities)
}

fn p95(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * 95 / 100).copied().unwrap_or(f64::NAN)
}

/// Lets the system forget what it holds of the lake's files.
fn forget(directory: &Path) -> anyhow::Result<()> {
    for entry in directory.read_dir()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            forget(&entry.path())?;
        } else {
            let file = File::open(entry.path())?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}

async fn aggregate(directory: &Path, what: &str, statement: &str) -> anyhow::Result<()> {
    forget(directory)?;
    let reader = LakeReader::open(directory, None, QueryLimits::default())?;
    let mut said = Vec::new();
    for state in ["cold", "warm"] {
        let (began, cpu) = (Instant::now(), cpu_seconds());
        let mut answer = reader.query(statement, &Beside::default()).await?;
        let mut rows = 0;
        while let Some(batch) = answer.next().await {
            rows += batch?.num_rows();
        }
        let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        said.push(format!("{state} {wall:.1} s ({cpu:.1} s of processor time, {rows} endpoints)"));
    }
    print(&format!("an aggregate by endpoint of {what}: {}", said.join(", ")));
    Ok(())
}
