//! Kong's TCP Log plugin.
//!
//! Kong opens many connections, keeps them idle for a minute and more, sends one line per request without queue, retry
//! or acknowledgement, and loses lines when its peer closes, writes or reads slowly. So this source accepts many
//! connections, never closes one first unless over a limit or not agreed with on TLS, never writes but to shake hands, and never
//! waits for whoever takes the calls.
//! It decides who may connect and counts what it cannot take; what a line means is decided elsewhere.

mod batcher;
mod config;
mod connection;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

pub use config::KongTcpLogConfig;

use super::listener::Listener;
use super::reading::{Current, Reading, SourceControl};
use super::speech::{CurrentTls, Speech, Wire};
use crate::framing::LineRoom;
use crate::{Clock, CollectError, Complete, Counters, MicroBatch, PseudonymKey};
use batcher::{Batcher, Limits};
use connection::Shared;

/// What the unfinished lines of all connections may take together: 6 KiB, more than most lines have, for each of 10,000. A line
/// that would take more is given up and counted.
const LINES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A listening source, not yet reading.
pub struct KongTcpLog {
    listener: Listener,
    speech: Arc<Speech>,
    shared: Arc<Shared>,
}

impl KongTcpLog {
    /// Checks the settings and takes the port. `sender` is where the batches go: its capacity is the queue's limit. `complete`
    /// has the last word on every call. `tls` gives the TLS that the settings name.
    pub fn bind(
        config: &KongTcpLogConfig,
        key: PseudonymKey,
        clock: Arc<dyn Clock>,
        sender: Sender<MicroBatch>,
        complete: Option<Complete>,
        tls: Option<CurrentTls>,
    ) -> Result<Self, CollectError> {
        config.validate()?;
        let counters = Arc::new(Counters::default());
        let reading = Reading::new(config.lines(key)?, &counters);
        let speech = Speech::new(config.tls.as_ref(), tls, Arc::clone(&counters), Arc::clone(&clock))?;
        let listener = Listener::bind(config.listen, config.admission(), Arc::clone(&counters), Arc::clone(&clock))?;
        let limits = Limits {
            calls_max: config.batch_calls_max,
            bytes_max: config.batch_bytes_max,
            wait: Duration::from_millis(config.batch_wait_ms),
        };
        let source = Arc::from(format!("kong_tcp_log {}", listener.local_addr()));
        let batcher = Batcher::new(source, limits, sender, Arc::clone(&counters));
        let line_bytes_max = config.line_bytes_max;
        let line_room = Arc::new(LineRoom::new(LINES_BYTES_MAX));
        Ok(KongTcpLog {
            listener,
            speech: Arc::new(speech),
            shared: Arc::new(Shared {
                reading: Arc::new(Current::new(reading)),
                complete,
                batcher,
                counters,
                clock,
                line_bytes_max,
                line_room,
            }),
        })
    }

    /// What gives it other settings while it runs.
    pub fn control(&self) -> SourceControl {
        SourceControl {
            reading: Arc::clone(&self.shared.reading),
            admission: Some(self.listener.admission()),
            counters: Arc::clone(&self.shared.counters),
        }
    }

    /// Where it listens; tells the port when port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// The source's counters.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// Reads until stopped; then reads what has arrived, hands on what is pending and returns.
    pub async fn run(self, stop: CancellationToken) {
        let KongTcpLog { listener, speech, shared } = self;
        let local = listener.local_addr();
        let batching = CancellationToken::new();
        let batcher = tokio::spawn({
            let (shared, batching) = (Arc::clone(&shared), batching.clone());
            async move { shared.batcher.run(batching).await }
        });
        tracing::info!(listen = %local, gateway = shared.reading.get().normaliser.gateway(), "kong_tcp_log listens");
        let serve = |stream| {
            let (speech, shared, stop) = (Arc::clone(&speech), Arc::clone(&shared), stop.clone());
            async move {
                match speech.agree(stream, &stop).await {
                    Some(Wire::Plain(stream)) => connection::serve(stream, &shared, stop).await,
                    Some(Wire::Tls(stream)) => connection::serve(stream, &shared, stop).await,
                    None => {}
                }
            }
        };
        listener.serve(&stop, serve).await;
        batching.cancel();
        if batcher.await.is_err() {
            tracing::error!(listen = %local, "the batching task has panicked");
        }
        shared.batcher.finish().await;
    }
}
