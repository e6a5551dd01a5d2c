//! Ships a collector's spool to the platform: everything in order, again until it is taken.
//!
//! The platform keeps one mark for each start of a collector, so what it has already changes nothing. The position up to
//! which it has everything is therefore written now and then, not each time, and the spool is cut below it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use outrider_platform::log::{LogError, LogHandle, Position};
use outrider_platform::premises::wire::{CLOCK_AHEAD_MS_MAX, ShippedBatch};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::uplink::{NotTaken, Patience, Uplink};
use super::waiting::Waiting;
use crate::edges::now_ms;
use crate::installation;

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
    waiting: Arc<Waiting>,
    durable: watch::Receiver<Position>,
    file: PathBuf,
    shipped: Arc<Shipped>,
    kept: Position,
    keep_due: Instant,
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
    /// Ships what waits in the spool. That begins behind `kept`, which is in `file`.
    pub(super) fn new(
        uplink: Arc<Uplink>,
        spool: LogHandle,
        waiting: Arc<Waiting>,
        file: PathBuf,
        kept: Position,
    ) -> Shipper {
        let (durable, shipped) = (spool.durable(), Arc::new(Shipped::default()));
        shipped.position.store(kept.0, Ordering::Relaxed);
        Shipper { uplink, spool, waiting, durable, file, shipped, kept, keep_due: Instant::now() }
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
            // Whoever looks here again has seen everything that is durable now.
            self.durable.borrow_and_update();
            let gathered = tokio::task::block_in_place(|| self.waiting.gather())?;
            let oldest_ms = gathered.batches.first().map_or(0, |batch| batch.at_ms);
            self.shipped.waiting_since_ms.store(oldest_ms, Ordering::Relaxed);
            if gathered.batches.is_empty() {
                self.done_with(gathered.last);
                self.keep_position().await?;
                tokio::select! {
                    // The sender lives as long as the reader.
                    _ = self.durable.changed() => {}
                    () = closing.cancelled() => return Ok(()),
                }
                continue;
            }
            if !self.ship(gathered.batches, &mut patience, &closing).await {
                if self.spool.stats().first > gathered.last {
                    tracing::error!(
                        "what was being sent is not in the spool any more, which was full, and is gone with this stop"
                    );
                }
                return self.keep_position().await;
            }
            self.done_with(gathered.last);
            if Instant::now() >= self.keep_due {
                self.keep_position().await?;
                self.keep_due = Instant::now() + KEEP_INTERVAL;
            }
        }
    }

    /// Nothing up to this record waits any more.
    fn done_with(&self, last: Position) {
        self.shipped.position.fetch_max(last.0, Ordering::Relaxed);
    }

    /// Sends batches until each was taken, or left out. Says `false` where it is to end before that.
    async fn ship(
        &mut self,
        mut batches: Vec<ShippedBatch>,
        patience: &mut Patience,
        closing: &CancellationToken,
    ) -> bool {
        let mut parts = Vec::from_iter(std::iter::once(0..batches.len()));
        while let Some(part) = parts.pop() {
            match self.ship_part(&batches[part.clone()]).await {
                Ok(calls) => {
                    patience.succeeded();
                    self.shipped.calls.fetch_add(calls, Ordering::Relaxed);
                }
                Err(NotTaken::Ever(_) | NotTaken::Early(_)) if part.len() > 1 => {
                    // One of them is bad: the others need not share its fate.
                    let middle = part.start + part.len() / 2;
                    parts.extend([middle..part.end, part.start..middle]);
                }
                Err(NotTaken::Ever(why)) => self.leave_out(&mut batches, part.start, &why),
                // Its time will not come: the clock that dated it was wrong, and is not any more.
                Err(NotTaken::Early(why)) if is_far_ahead(batches[part.start].at_ms, now_ms()) => {
                    self.leave_out(&mut batches, part.start, &why);
                }
                Err(not_taken) => {
                    parts.push(part);
                    if closing.is_cancelled() || !patience.failed(not_taken.why(), closing).await {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Sends batches once. Says how many calls they hold.
    async fn ship_part(&self, part: &[ShippedBatch]) -> Result<u64, NotTaken> {
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
        if let Err(not_taken) = &shipped {
            span.record("error", not_taken.why());
        }
        shipped.map(|_| calls)
    }

    /// Gives a batch up. What it had to say is missing before it, the next one says.
    fn leave_out(&mut self, batches: &mut [ShippedBatch], index: usize, why: &str) {
        let calls = batches[index].count;
        self.shipped.refused_calls.fetch_add(calls.into(), Ordering::Relaxed);
        tracing::error!(why, calls, "the platform refused calls for good; they are left out");
        let Some(lost_before) = batches[index].lost_before.take() else { return };
        match batches.get_mut(index + 1) {
            Some(next) => drop(next.lost_before.get_or_insert(lost_before)),
            None => self.waiting.say_lost(lost_before),
        }
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

/// A batch that the platform does not take for its time, and that this clock does not come to soon either.
fn is_far_ahead(at_ms: i64, now_ms: i64) -> bool {
    at_ms.saturating_sub(now_ms) > CLOCK_AHEAD_MS_MAX
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use outrider_platform::log::{Log, LogSettings, LogWriter, QUEUE_BYTES_DEFAULT};
    use outrider_platform::premises::wire::decode_shipment;

    use super::super::waiting::Limits;
    use super::*;
    use crate::config::UplinkConfig;

    fn batch(number: u64) -> ShippedBatch {
        let calls = vec![1];
        ShippedBatch { epoch: 1, first: number, last: number, count: 1, at_ms: 1, lost_before: None, calls }
    }

    /// What a platform is sent, and answers with a status and a body until it has answered so often.
    fn answer(
        listener: TcpListener,
        shipments: usize,
        mut judge: impl FnMut(Vec<ShippedBatch>) -> (&'static str, &'static str),
    ) {
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
            let (status, answer) = judge(decode_shipment(&body).unwrap());
            let length = answer.len();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}")
                .unwrap();
        }
    }

    const TAKEN: (&str, &str) = ("200 OK", r#"{"stored": 1, "duplicates": 0}"#);

    /// Ships batches to who judges so many shipments. Says what of them was shipped and refused, and what is left to be said.
    async fn ship(
        batches: Vec<ShippedBatch>,
        shipments: usize,
        judge: impl FnMut(Vec<ShippedBatch>) -> (&'static str, &'static str) + Send + 'static,
    ) -> (u64, u64, Option<String>) {
        let directory = tempfile::tempdir().unwrap();
        let token_file = directory.path().join("token");
        std::fs::write(&token_file, "x").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config =
            UplinkConfig { url, token_file: Some(token_file), ca_file: None, certificate_file: None, key_file: None };
        let uplink = Arc::new(Uplink::new(&config, directory.path()).unwrap());
        let (spool, _) = Log::open(&directory.path().join("spool"), LogSettings::default()).unwrap();
        let spool = LogWriter::start(spool, QUEUE_BYTES_DEFAULT).unwrap();
        let limits = Limits { bytes: u64::MAX, age_ms: None };
        let waiting = Arc::new(Waiting::behind(spool.handle(), Position::ZERO, limits));
        let file = directory.path().join("shipped");
        let mut shipper = Shipper::new(uplink, spool.handle(), Arc::clone(&waiting), file, Position::ZERO);
        let platform = std::thread::spawn(move || answer(listener, shipments, judge));
        assert!(shipper.ship(batches, &mut Patience::new("test"), &CancellationToken::new()).await);
        platform.join().unwrap();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert!(spool.stop());
        (read(&shipper.shipped.calls), read(&shipper.shipped.refused_calls), waiting.to_be_said())
    }

    #[tokio::test]
    async fn what_is_too_large_is_halved_and_only_a_bad_batch_is_left_out() {
        // Refuses shipments of more than two batches, and batch 3 in any.
        let (taken, numbers) = std::sync::mpsc::channel();
        let judge = move |batches: Vec<ShippedBatch>| match batches.as_slice() {
            [_, _, _, ..] => ("413 Payload Too Large", r#"{"detail": "too large"}"#),
            batches if batches.iter().any(|batch| batch.first == 3) => {
                ("422 Unprocessable Entity", r#"{"detail": "damaged"}"#)
            }
            batches => {
                batches.iter().for_each(|batch| taken.send((batch.first, batch.lost_before.clone())).unwrap());
                TAKEN
            }
        };
        let mut batches: Vec<_> = (1..=6).map(batch).collect();
        batches[2].lost_before = Some("killed".to_owned());
        // 1-6, 1-3, 1, 2-3, 2, 3, 4-6, 4, 5-6.
        assert_eq!(ship(batches, 9, judge).await, (5, 1, None));
        let said = |number: u64| (number == 4).then(|| "killed".to_owned());
        assert_eq!(numbers.iter().collect::<Vec<_>>(), [1, 2, 4, 5, 6].map(|number| (number, said(number))));
    }

    #[tokio::test]
    async fn what_the_last_batch_had_to_say_the_next_shipment_says() {
        let last = ShippedBatch { lost_before: Some("killed".to_owned()), ..batch(1) };
        let judge = |_: Vec<ShippedBatch>| ("422 Unprocessable Entity", r#"{"detail": "damaged"}"#);
        assert_eq!(ship(vec![last], 1, judge).await, (0, 1, Some("killed".to_owned())));
    }

    #[tokio::test]
    async fn a_batch_of_a_clock_that_was_wrong_keeps_no_other_waiting() {
        let year_ms = 365 * 24 * 3600 * 1000;
        let early = ("409 Conflict", r#"{"detail": "the collector's clock is ahead", "where": "batch 2..=2"}"#);
        let judge = move |batches: Vec<ShippedBatch>| match batches.iter().any(|batch| batch.at_ms > now_ms() + 60_000)
        {
            true => early,
            false => TAKEN,
        };
        let wrong = ShippedBatch { at_ms: now_ms() + year_ms, ..batch(2) };
        // 1-3, 1, 2-3, 2, 3.
        assert_eq!(ship(vec![batch(1), wrong, batch(3)], 5, judge).await, (2, 1, None));

        // A platform whose own clock is behind gets the batch when that is right again.
        let mut tries = 0;
        let judge = move |_: Vec<ShippedBatch>| {
            tries += 1;
            if tries == 1 { early } else { TAKEN }
        };
        assert_eq!(ship(vec![ShippedBatch { at_ms: now_ms(), ..batch(1) }], 2, judge).await, (1, 0, None));
        // And a refusal that is not about the time leaves nothing out.
        let mut tries = 0;
        let judge = move |_: Vec<ShippedBatch>| {
            tries += 1;
            if tries == 1 { ("409 Conflict", r#"{"detail": "another protocol"}"#) } else { TAKEN }
        };
        assert_eq!(ship(vec![ShippedBatch { at_ms: now_ms() + year_ms, ..batch(1) }], 2, judge).await, (1, 0, None));
    }
}
