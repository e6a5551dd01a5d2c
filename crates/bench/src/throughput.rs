//! Processor time a call, stage by stage. Each stage does everything that the ones before it do.

use anyhow::Context as _;
use outrider_bench::{bare, corpus};
use outrider_collect::{
    Content, LINE_BYTES_MAX_DEFAULT, LineFramer, Normaliser, NormaliserSettings, PseudonymKey, RunningMaximum, Scratch,
};
use outrider_lake::{Lake, Rows};
use outrider_model::ApiCall;
use outrider_model::batch::{BatchReader, BatchWriter};
use outrider_platform::analysis::{Analysis, AnalysisSettings};

use crate::{cpu_seconds, median, print};

/// Bytes fed to the framer at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Calls of a micro-batch.
const BATCH_CALLS: u32 = 256;
/// Calls after which effects are taken out, as the pipeline does.
const CALLS_PER_DRAIN: u64 = 1000;
/// Rows of a lake commit: about 2 s at 2,000 calls a second would be 4,000; under full load commits are larger.
const ROWS_PER_COMMIT: usize = 50_000;

const STAGES: [&str; 7] = [
    "bare: frame and decode",
    "frame",
    "normalise and sanitise",
    "encode and decode for the log",
    "discover, detect, decide (bytes to findings)",
    "the same through the log's encoding",
    "bytes to findings, and to the lake",
];

pub fn run(rounds: usize) -> anyhow::Result<()> {
    let bytes = corpus::frozen();
    print(&format!(
        "corpus {:016x}: {} lines, {} bytes, {} in the mean; {rounds} rounds, processor time, medians",
        corpus::fingerprint(&bytes),
        corpus::LINES,
        bytes.len(),
        bytes.len() / corpus::LINES
    ));
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); STAGES.len()];
    let mut ratios = times.clone();
    for _ in 0..rounds {
        let mut round = Vec::new();
        for (stage, name) in STAGES.iter().enumerate() {
            let before = cpu_seconds();
            measure(stage, &bytes).with_context(|| format!("stage `{name}`"))?;
            round.push((cpu_seconds() - before) * 1e9 / corpus::LINES as f64);
        }
        for (stage, time) in round.iter().enumerate() {
            times[stage].push(*time);
            ratios[stage].push(round[0] / time);
        }
    }
    print(&format!("{:<48} {:>10} {:>12}", "stage, with all before it", "ns a call", "of bare"));
    for (stage, name) in STAGES.iter().enumerate() {
        print(&format!(
            "{name:<48} {:>10.0} {:>11.1} %",
            median(times[stage].clone()),
            100.0 * median(ratios[stage].clone())
        ));
    }
    Ok(())
}

fn measure(stage: usize, bytes: &[u8]) -> anyhow::Result<()> {
    match stage {
        0 => {
            let (lines, sum) = bare::read_all(bytes)?;
            anyhow::ensure!(lines as usize == corpus::LINES && sum != 0, "the bare reader read {lines} lines");
            Ok(())
        }
        1 => {
            let mut framer = LineFramer::new(LINE_BYTES_MAX_DEFAULT);
            let (mut lines, mut length) = (0, 0);
            for chunk in bytes.chunks(CHUNK_BYTES) {
                framer.feed(chunk, |frame| {
                    lines += 1;
                    length += match frame.content {
                        Content::Record(record) => record.len(),
                        _ => 0,
                    };
                });
            }
            anyhow::ensure!(lines == corpus::LINES && length > lines, "the framer found {lines} lines");
            Ok(())
        }
        2 => {
            let mut paths = 0;
            each_call(bytes, |call| paths += call.path.len())?;
            anyhow::ensure!(paths > 0, "no call has a path");
            Ok(())
        }
        3 => {
            let mut paths = 0;
            each_call_of_batches(bytes, |call| paths += call.path.len())?;
            anyhow::ensure!(paths > 0, "no call has a path");
            Ok(())
        }
        4 => analyse(bytes, |bytes, take| each_call(bytes, take)),
        5 => analyse(bytes, |bytes, take| each_call_of_batches(bytes, take)),
        _ => to_the_lake(bytes),
    }
}

/// Each call of the corpus as a source would read it.
pub fn each_call(bytes: &[u8], mut take: impl FnMut(&ApiCall<'_>)) -> anyhow::Result<()> {
    let key = PseudonymKey::from_bytes(&[7; 32]);
    let normaliser = Normaliser::new(NormaliserSettings::new("kong"), key)?;
    let mut framer = LineFramer::new(LINE_BYTES_MAX_DEFAULT);
    let mut scratch = Scratch::default();
    let mut clock = RunningMaximum::default();
    let mut rejected = 0;
    for chunk in bytes.chunks(CHUNK_BYTES) {
        framer.feed(chunk, |frame| match frame.content {
            Content::Record(record) => match normaliser.normalise(record, None, &mut scratch) {
                Ok(mut call) => {
                    clock.stamp(&mut call);
                    take(&call);
                }
                Err(_) => rejected += 1,
            },
            _ => rejected += 1,
        });
    }
    anyhow::ensure!(rejected == 0, "{rejected} lines of the corpus were rejected");
    Ok(())
}

/// As a live run has it: encoded into a micro-batch, and decoded from it.
fn each_call_of_batches(bytes: &[u8], mut take: impl FnMut(&ApiCall<'_>)) -> anyhow::Result<()> {
    let mut writer = BatchWriter::default();
    let mut damaged = 0;
    let mut read = |writer: &mut BatchWriter| {
        let batch = writer.take();
        match BatchReader::new(&batch) {
            Ok(reader) => reader.for_each(|call| match call {
                Ok(call) => take(&call),
                Err(_) => damaged += 1,
            }),
            Err(_) => damaged += 1,
        }
    };
    let mut refused = 0;
    each_call(bytes, |call| {
        refused += u32::from(writer.push(call).is_err());
        if writer.calls() >= BATCH_CALLS {
            read(&mut writer);
        }
    })?;
    read(&mut writer);
    anyhow::ensure!(damaged + refused == 0, "{damaged} damaged and {refused} refused");
    Ok(())
}

fn analyse(
    bytes: &[u8],
    feed: impl Fn(&[u8], &mut dyn FnMut(&ApiCall<'_>)) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut analysis = Analysis::new("bench", settings())?;
    let (mut number, mut findings) = (0, 0);
    feed(bytes, &mut |call| {
        number += 1;
        analysis.observe(call, number);
        if number % CALLS_PER_DRAIN == 0 {
            findings += analysis.drain_effects().findings.len();
        }
    })?;
    findings += analysis.drain_effects().findings.len();
    anyhow::ensure!(findings > 0, "the attack in the corpus was not found");
    Ok(())
}

/// The corpus is five minutes long, so the detector warms up in two: otherwise it would only learn.
fn settings() -> AnalysisSettings {
    let mut settings = AnalysisSettings::default();
    settings.detect.request_spike.warmup_minutes = 2;
    settings.detect.request_spike.own_minutes_min = 1;
    settings
}

fn to_the_lake(bytes: &[u8]) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut lake = runtime.block_on(Lake::open(directory.path()))?;
    let mut analysis = Analysis::new("bench", settings())?;
    let mut rows = Rows::default();
    let (mut number, mut failure) = (0u64, None);
    let mut commit = |rows: &mut Rows, position| -> anyhow::Result<()> {
        let batch = rows.finish()?;
        Ok(runtime.block_on(lake.commit(&[batch], position))?)
    };
    each_call(bytes, |call| {
        number += 1;
        let endpoint = analysis.observe(call, number);
        rows.push(call, endpoint, number, 0);
        if number % CALLS_PER_DRAIN == 0 {
            drop(analysis.drain_effects());
        }
        if rows.len() >= ROWS_PER_COMMIT && failure.is_none() {
            failure = commit(&mut rows, number).err();
        }
    })?;
    if !rows.is_empty() {
        commit(&mut rows, number)?;
    }
    failure.map_or(Ok(()), Err)
}
