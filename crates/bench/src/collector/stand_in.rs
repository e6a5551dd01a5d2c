//! A platform that takes calls, counts them and forgets them. It can go away in the middle of a request.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use outrider_model::batch::BatchReader;
use outrider_platform::premises::wire::{HeartbeatAnswer, Shipped, ShippedBatch, decode_shipment};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::loop_latency::now_ms;

pub struct StandIn {
    port: u16,
    taken: Arc<Mutex<Taken>>,
    here: Mutex<Option<(CancellationToken, TaskTracker)>>,
}

#[derive(Default)]
struct Taken {
    /// The last call of each epoch.
    marks: BTreeMap<u64, u64>,
    calls: u64,
    /// Calls that came again.
    doubles: u64,
    lags_ms: Vec<i64>,
}

impl StandIn {
    pub fn new(port: u16) -> StandIn {
        StandIn { port, taken: Arc::default(), here: Mutex::default() }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Begins to answer.
    pub async fn come(&self) -> anyhow::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (taken, stopped, connections) = (Arc::clone(&self.taken), stop.clone(), tasks.clone());
        tasks.spawn(async move {
            while let Some(Ok((stream, _))) = stopped.run_until_cancelled(listener.accept()).await {
                let (taken, stopped) = (Arc::clone(&taken), stopped.clone());
                connections.spawn(async move { stopped.run_until_cancelled(answer_all(stream, &taken)).await });
            }
        });
        *self.here.lock().unwrap_or_else(PoisonError::into_inner) = Some((stop, tasks));
        Ok(())
    }

    /// Ends at once: whoever waits for an answer gets none, though its calls may have been taken.
    pub async fn leave_without_a_word(&self) {
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((stop, tasks)) = here else { return };
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }

    /// Calls that came, each counted once.
    pub fn calls(&self) -> u64 {
        lock(&self.taken).calls
    }

    /// Calls that came again.
    pub fn doubles(&self) -> u64 {
        lock(&self.taken).doubles
    }

    /// How long ago each call was received when it came, in rising order.
    pub fn lags(&self) -> Vec<i64> {
        let mut lags = lock(&self.taken).lags_ms.clone();
        lags.sort_unstable();
        lags
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Taken {
    fn take(&mut self, batch: &ShippedBatch) -> anyhow::Result<()> {
        let mark = self.marks.entry(batch.epoch).or_default();
        if batch.last <= *mark {
            self.doubles += u64::from(batch.count);
            return Ok(());
        }
        *mark = batch.last;
        self.calls += u64::from(batch.count);
        let now_ms = now_ms();
        for call in BatchReader::new(&batch.calls)? {
            self.lags_ms.push(now_ms - call?.received_ms);
        }
        Ok(())
    }
}

/// Answers the requests of a connection until it ends.
async fn answer_all(mut stream: TcpStream, taken: &Mutex<Taken>) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let end = head + length.context("a request does not say how long it is")?;
        while bytes.len() < end {
            anyhow::ensure!(stream.read_buf(&mut bytes).await? > 0, "a request ended early");
        }
        let answer = if text.starts_with("post /premises/v1/calls ") {
            let batches = decode_shipment(&bytes[head..end])?;
            batches.iter().try_for_each(|batch| lock(taken).take(batch))?;
            serde_json::to_string(&Shipped { stored: batches.len() as u32, duplicates: 0 })?
        } else {
            let (version, installation) = (String::from("0"), String::from("bench"));
            serde_json::to_string(&HeartbeatAnswer { version, installation, clock_ahead_ms: 0 })?
        };
        bytes.drain(..end);
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all((head + &answer).as_bytes()).await?;
    }
}
