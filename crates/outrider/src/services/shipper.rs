//! Ships a collector's spool to the platform: everything in order, again until it is taken.
//!
//! The platform keeps one mark for each start of a collector, so what it has already changes nothing. The position up to
//! which it has everything is therefore written now and then, not each time, and the spool is cut below it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use outrider_platform::log::{Gap, LogError, LogHandle, LogReader, Missing, Position, RecordKind};
use outrider_platform::premises::wire::ShippedBatch;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::uplink::{NotTaken, Patience, Uplink};
use crate::installation;

/// How much is sent at once, plain.
const SHIPMENT_BYTES: usize = 4 * 1024 * 1024;
/// How often the position is written while there is something to ship.
const KEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What has been shipped, in numbers. Counters begin with the process.
#[derive(Debug, Default)]
pub struct Shipped {
    pub calls: AtomicU64,
    /// Calls that the platform refused for good.
    pub refused_calls: AtomicU64,
    /// The platform has everything up to this record of the spool.
    pub position: AtomicU64,
    /// When the oldest call that waits to be shipped was received; 0 while none waits.
    pub waiting_since_ms: AtomicI64,
}

/// Follows the spool.
pub struct Shipper {
    uplink: Arc<Uplink>,
    spool: LogHandle,
    reader: LogReader,
    durable: watch::Receiver<Position>,
    file: PathBuf,
    shipped: Arc<Shipped>,
    /// What the next batch has to say is missing before it.
    lost_before: Option<String>,
    kept: Position,
    keep_due: Instant,
}

/// Batches that go together, with the last record that they cover.
struct Gathered {
    batches: Vec<ShippedBatch>,
    last: Position,
}

/// The position up to which the platform has everything, as it was kept.
pub fn kept_position(file: &Path) -> anyhow::Result<Position> {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let number = text.trim().parse();
            number.map(Position).with_context(|| {
                format!(
                    "{} holds no number; remove it: what is in the spool is sent again, and counts once",
                    file.display()
                )
            })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Position::ZERO),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

impl Shipper {
    /// Goes on behind `kept`, which is in `file`.
    pub fn new(uplink: Arc<Uplink>, spool: LogHandle, file: PathBuf, kept: Position) -> Shipper {
        let (reader, durable) = (spool.reader(kept.next()), spool.durable());
        let shipped = Arc::new(Shipped::default());
        shipped.position.store(kept.0, Ordering::Relaxed);
        Shipper { uplink, spool, reader, durable, file, shipped, lost_before: None, kept, keep_due: Instant::now() }
    }

    /// The numbers.
    pub fn shipped(&self) -> Arc<Shipped> {
        Arc::clone(&self.shipped)
    }

    /// Ships until `closing` is cancelled and everything is shipped or the platform is away. An error is one of the spool
    /// that going on could not mend.
    pub async fn run(mut self, closing: CancellationToken) -> Result<(), LogError> {
        let mut patience = Patience::new("collected calls");
        loop {
            let gathered = tokio::task::block_in_place(|| self.gather())?;
            let oldest_ms = gathered.batches.first().map_or(0, |batch| batch.at_ms);
            self.shipped.waiting_since_ms.store(oldest_ms, Ordering::Relaxed);
            if gathered.batches.is_empty() {
                self.keep_position().await?;
                tokio::select! {
                    // The sender lives as long as the reader.
                    _ = self.durable.changed() => {}
                    () = closing.cancelled() => return Ok(()),
                }
                continue;
            }
            if !self.ship(&gathered.batches, &mut patience, &closing).await {
                return self.keep_position().await;
            }
            self.shipped.position.store(gathered.last.0, Ordering::Relaxed);
            if Instant::now() >= self.keep_due {
                self.keep_position().await?;
                self.keep_due = Instant::now() + KEEP_INTERVAL;
            }
        }
    }

    /// Takes what is in the spool, up to a good size.
    fn gather(&mut self) -> Result<Gathered, LogError> {
        let mut gathered = Gathered { batches: Vec::new(), last: Position::ZERO };
        let (mut bytes, mut scratch) = (0, Vec::new());
        // Whoever looks here again has seen everything that is durable now.
        self.durable.borrow_and_update();
        while bytes < SHIPMENT_BYTES
            && let Some(record) = self.reader.next()?
        {
            match record.kind {
                RecordKind::Calls => {
                    let calls = record.calls(&mut scratch)?;
                    bytes += calls.batch.len();
                    gathered.last = record.position;
                    gathered.batches.push(ShippedBatch {
                        epoch: calls.epoch(),
                        first: calls.first(),
                        last: calls.last(),
                        count: calls.count(),
                        at_ms: record.at_ms,
                        lost_before: self.lost_before.take(),
                        calls: calls.batch.to_vec(),
                    });
                }
                RecordKind::Gap => {
                    let gap: Gap = record.json()?;
                    // The platform sees from the numbers what else is missing.
                    if gap.missing == Missing::Unnumbered {
                        self.lost_before = Some(gap.reason);
                    }
                }
                _ => {}
            }
        }
        Ok(gathered)
    }

    /// Sends batches until each was taken, or refused for good. Says `false` where it is to end before that.
    async fn ship(&self, batches: &[ShippedBatch], patience: &mut Patience, closing: &CancellationToken) -> bool {
        let mut parts = vec![batches];
        while let Some(part) = parts.pop() {
            let calls: u64 = part.iter().map(|batch| u64::from(batch.count)).sum();
            let span = tracing::info_span!(
                target: "trace",
                "shipment",
                otel.kind = "client",
                outrider.batches = part.len(),
                outrider.calls = calls,
                error = tracing::field::Empty,
            );
            let shipped = self.uplink.ship(part).instrument(span.clone()).await;
            if let Err(NotTaken::Now(why) | NotTaken::Ever(why)) = &shipped {
                span.record("error", why);
            }
            drop(span);
            match shipped {
                Ok(_) => {
                    patience.succeeded();
                    self.shipped.calls.fetch_add(calls, Ordering::Relaxed);
                }
                Err(NotTaken::Ever(_)) if part.len() > 1 => {
                    // One of them is bad: the others need not share its fate.
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(NotTaken::Ever(why)) => {
                    self.shipped.refused_calls.fetch_add(calls, Ordering::Relaxed);
                    tracing::error!(why, calls, "the platform refused calls for good; they are left out");
                }
                Err(NotTaken::Now(why)) => {
                    parts.push(part);
                    if closing.is_cancelled() || !patience.failed(&why, closing).await {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Writes down up to where the platform has everything, and gives the spool's space before it back.
    async fn keep_position(&mut self) -> Result<(), LogError> {
        let position = Position(self.shipped.position.load(Ordering::Relaxed));
        if position == self.kept {
            return Ok(());
        }
        if let Err(error) = installation::write_durably(&self.file, position.0.to_string().as_bytes()) {
            tracing::error!(%error, "the shipped position was not kept; the spool is not cut, and a restart sends it again");
            return Ok(());
        }
        self.kept = position;
        match self.spool.cut_below(position.next()).await {
            // It was closed: the next start cuts.
            Ok(_) | Err(LogError::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use outrider_platform::log::{Log, LogSettings, LogWriter, QUEUE_BYTES_DEFAULT};
    use outrider_platform::premises::wire::decode_shipment;

    use super::*;
    use crate::config::UplinkConfig;

    fn batch(number: u64) -> ShippedBatch {
        let calls = vec![1];
        ShippedBatch { epoch: 1, first: number, last: number, count: 1, at_ms: 1, lost_before: None, calls }
    }

    /// A platform that refuses shipments of more than two batches, and batch 3 in any; says what it took, in order.
    fn picky(listener: TcpListener, shipments: usize) -> Vec<u64> {
        let mut taken = Vec::new();
        for _ in 0..shipments {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let body = loop {
                let mut chunk = [0; 4096];
                let count = stream.read(&mut chunk).unwrap();
                request.extend_from_slice(&chunk[..count]);
                let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
                let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
                let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                if request.len() >= head + 4 + length.parse::<usize>().unwrap() {
                    break request.split_off(head + 4);
                }
            };
            let numbers: Vec<_> = decode_shipment(&body).unwrap().iter().map(|batch| batch.first).collect();
            let (status, answer) = match numbers.as_slice() {
                [_, _, _, ..] => ("413 Payload Too Large", r#"{"detail": "too large"}"#),
                numbers if numbers.contains(&3) => ("422 Unprocessable Entity", r#"{"detail": "damaged"}"#),
                _ => {
                    taken.extend(numbers);
                    ("200 OK", r#"{"stored": 1, "duplicates": 0}"#)
                }
            };
            let length = answer.len();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}")
                .unwrap();
        }
        taken
    }

    #[tokio::test]
    async fn what_is_too_large_is_halved_and_only_a_bad_batch_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let token_file = directory.path().join("token");
        std::fs::write(&token_file, "x").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = UplinkConfig { url, token_file, ca_file: None, certificate_file: None, key_file: None };
        let uplink = Arc::new(Uplink::new(&config, directory.path()).unwrap());
        let (spool, _) = Log::open(&directory.path().join("spool"), LogSettings::default()).unwrap();
        let spool = LogWriter::start(spool, QUEUE_BYTES_DEFAULT).unwrap();
        let shipper = Shipper::new(uplink, spool.handle(), directory.path().join("shipped"), Position::ZERO);
        // 1-6, 1-3, 1, 2-3, 2, 3, 4-6, 4, 5-6.
        let platform = std::thread::spawn(move || picky(listener, 9));
        let batches: Vec<_> = (1..=6).map(batch).collect();
        let stop = CancellationToken::new();
        assert!(shipper.ship(&batches, &mut Patience::new("test"), &stop).await);
        assert_eq!(platform.join().unwrap(), [1, 2, 4, 5, 6]);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!((read(&shipper.shipped.calls), read(&shipper.shipped.refused_calls)), (5, 1));
        spool.stop();
    }
}
