//! Bytes a call: in the log or a spool, and on the way from a collector to the platform.
//!
//! The rate of calls decides how many go together, because a source hands on a batch every 10 ms. So each rate is measured
//! with batches of its size, over the frozen corpus. Left out: the lake, and what HTTP and TLS add.

use outrider_bench::corpus;
use outrider_model::batch::BatchWriter;
use outrider_platform::log::{CallBatch, Log, LogSettings, NewRecord};
use outrider_platform::premises::wire::{ShippedBatch, encode_shipment};

use crate::print;
use crate::throughput::each_call;

/// Calls per second that are asked about.
const RATES: [u32; 3] = [100, 1000, 5000];
/// Batches a second that a source hands on, as long as calls come.
const BATCHES_PER_SECOND: u32 = 100;
/// How much a collector sends at once when much waits in its spool.
const SHIPMENT_BYTES: usize = 4 * 1024 * 1024;
/// The time of all records; it takes as much room as any other.
const AT_MS: i64 = 1_767_571_200_000;

pub fn run() -> anyhow::Result<()> {
    let bytes = corpus::frozen();
    print(&format!(
        "corpus {:016x}: {} lines, {} bytes in the mean; bytes a call",
        corpus::fingerprint(&bytes),
        corpus::LINES,
        bytes.len() / corpus::LINES
    ));
    print(&format!(
        "{:>14} {:>8} {:>17} {:>20} {:>17}",
        "calls a second", "log", "log, compressed", "shipped as it comes", "shipped, behind"
    ));
    for rate in RATES {
        let batches = batches(&bytes, rate / BATCHES_PER_SECOND)?;
        print(&format!(
            "{rate:>14} {:>8.0} {:>17.0} {:>20.0} {:>17.0}",
            log_bytes(&batches, false)?,
            log_bytes(&batches, true)?,
            shipped_bytes(&batches, 1)?,
            shipped_bytes(&batches, SHIPMENT_BYTES)?,
        ));
    }
    Ok(())
}

/// The corpus as a source would hand it on.
fn batches(bytes: &[u8], calls_per_batch: u32) -> anyhow::Result<Vec<CallBatch>> {
    let mut batches = Vec::new();
    let (mut writer, mut first, mut refused) = (BatchWriter::default(), 1, 0);
    let mut end = |writer: &mut BatchWriter| {
        let (count, batch) = (writer.calls(), writer.take());
        let last = first + u64::from(count) - 1;
        batches.push(CallBatch { epoch: 1, first, last, count, batch });
        first = last + 1;
    };
    each_call(bytes, |call| {
        refused += u32::from(writer.push(call).is_err());
        if writer.calls() >= calls_per_batch {
            end(&mut writer);
        }
    })?;
    if !writer.is_empty() {
        end(&mut writer);
    }
    anyhow::ensure!(refused == 0, "{refused} calls were refused");
    Ok(batches)
}

fn log_bytes(batches: &[CallBatch], compress: bool) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir()?;
    let (mut log, _) = Log::open(directory.path(), LogSettings { compress, ..LogSettings::default() })?;
    // One commit for each batch, as it is while the log keeps up.
    for batch in batches {
        log.append(&[NewRecord::calls(AT_MS, batch.clone())])?;
        log.sync()?;
    }
    Ok(per_call(log.stats().bytes))
}

/// Bodies alone, in shipments of at least this size.
fn shipped_bytes(batches: &[CallBatch], bytes_min: usize) -> anyhow::Result<f64> {
    let (mut shipped, mut together, mut waiting) = (0, Vec::new(), 0);
    for (index, batch) in batches.iter().enumerate() {
        let CallBatch { epoch, first, last, count, batch: calls } = batch.clone();
        waiting += calls.len();
        together.push(ShippedBatch { epoch, first, last, count, at_ms: AT_MS, lost_before: None, calls });
        if waiting >= bytes_min || index + 1 == batches.len() {
            shipped += encode_shipment(&together)?.len() as u64;
            together.clear();
            waiting = 0;
        }
    }
    Ok(per_call(shipped))
}

fn per_call(bytes: u64) -> f64 {
    bytes as f64 / corpus::LINES as f64
}
