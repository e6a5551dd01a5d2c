//! The sources of a process: they listen or read a file, and hand calls to its log. They are the same beside the platform and away from it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use outrider_collect::{
    Complete, Counters, CurrentTls, Delivery, KongFileLog, KongHttpLog, KongTcpLog, MicroBatch, NewSettings,
    PseudonymKey, SourceConfig, SourceControl,
};
use outrider_model::ApiCall;
use outrider_platform::ingest::{AnsweredBatch, AnsweredIngest, Ingest};
use outrider_platform::log::LogError;
use outrider_platform::tls::{TlsServer, TlsSettings};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{CollectorConfig, Config};
use crate::edges::{now_ms, report_panic};

/// Micro-batches that wait for the log: at 10 ms each some seconds of many connections.
const BATCHES_WAITING: usize = 4096;
/// Requests of senders who keep their lines that wait for the log, and stretches of files. The bodies of the former are limited, too,
/// and a file hands on one stretch at a time.
const DELIVERIES_WAITING: usize = 1024;
/// Below the data directory, where it is kept how far files are read.
const FILE_POSITIONS: &str = "file-positions";
/// Of these, how much is stored with one sync: so much, and the last one whole.
const DELIVERED_BYTES_TOGETHER: usize = 4 * 1024 * 1024;
/// How far back in the log it is looked for calls that may be sent again after a kill: those that came within the sender's
/// timeout and pause, ten seconds and some, at more than a thousand records a second.
const RECORDS_LOOKED_BACK: u64 = 16_384;
/// How long a source that reads a file may take to stop. It waits for the file's disk at most, and that of a network may never
/// answer.
const FILE_STOP: Duration = Duration::from_secs(10);

/// Sources that have their ports and do not listen yet.
pub struct BoundSources {
    sources: Vec<BoundSource>,
    key_file: PathBuf,
    tls: Vec<Arc<TlsServer>>,
    waiting: mpsc::Receiver<MicroBatch>,
    deliveries: mpsc::Receiver<Delivery>,
}

enum BoundSource {
    Tcp(Box<KongTcpLog>),
    Http(Box<KongHttpLog>),
    File(Box<KongFileLog>),
}

/// Sources that run.
pub struct Sources {
    list: Vec<Source>,
    key_file: PathBuf,
    ingest: [JoinHandle<()>; 2],
    /// Each looks after a certificate.
    following: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

struct Source {
    name: String,
    /// Where it listens, if it does.
    address: Option<SocketAddr>,
    counters: Arc<Counters>,
    control: SourceControl,
    task: JoinHandle<()>,
}

/// What is told of each source.
pub type SourceCounters = Vec<(String, Arc<Counters>)>;

impl BoundSources {
    /// Reads the certificates and takes the ports: a taken one is the commonest mistake. `complete` has the last word on every
    /// call.
    pub fn bind(config: &Config, complete: &Complete) -> anyhow::Result<BoundSources> {
        let (batches, waiting) = mpsc::channel(BATCHES_WAITING);
        let (delivered, deliveries) = mpsc::channel(DELIVERIES_WAITING);
        let (mut sources, mut certificates) = (Vec::new(), Vec::new());
        let key_file = config.data_dir.join("pseudonym.key");
        if !config.collector.sources.is_empty() {
            let key = PseudonymKey::load_or_create(&key_file)?;
            let clock: Arc<dyn outrider_collect::Clock> = Arc::new(outrider_collect::SystemClock);
            for source in &config.collector.sources {
                let (key, clock, complete) = (key.clone(), Arc::clone(&clock), Some(Arc::clone(complete)));
                let certificate = load_certificate(source)?;
                let tls = certificate.as_ref().map(current_tls);
                certificates.extend(certificate);
                sources.push(match source {
                    SourceConfig::KongTcpLog(settings) => {
                        let source = KongTcpLog::bind(settings, key, clock, batches.clone(), complete, tls)?;
                        BoundSource::Tcp(Box::new(source))
                    }
                    SourceConfig::KongHttpLog(settings) => {
                        let source = KongHttpLog::bind(settings, key, clock, delivered.clone(), complete, tls)?;
                        BoundSource::Http(Box::new(source))
                    }
                    SourceConfig::KongFileLog(settings) => {
                        let positions = config.data_dir.join(FILE_POSITIONS);
                        let source = KongFileLog::open(settings, key, clock, delivered.clone(), complete, &positions)?;
                        BoundSource::File(Box::new(source))
                    }
                });
            }
        }
        Ok(BoundSources { sources, key_file, tls: certificates, waiting, deliveries })
    }

    /// The certificates, which can be read again.
    pub fn tls(&self) -> Vec<Arc<TlsServer>> {
        self.tls.clone()
    }

    /// Listens, and hands what comes to a log.
    pub fn start(self, ingest: Ingest, answered: AnsweredIngest) -> anyhow::Result<Sources> {
        self.remember(&answered).context("the end of the log cannot be read")?;
        let stop = CancellationToken::new();
        let start = |source: BoundSource| {
            let listening = |kind: &str, address: SocketAddr| (format!("{kind} {address}"), Some(address));
            let ((name, address), counters, control) = match &source {
                BoundSource::Tcp(source) => {
                    (listening("kong_tcp_log", source.local_addr()), source.counters(), source.control())
                }
                BoundSource::Http(source) => {
                    (listening("kong_http_log", source.local_addr()), source.counters(), source.control())
                }
                BoundSource::File(source) => ((source.name().to_owned(), None), source.counters(), source.control()),
            };
            let task = match source {
                BoundSource::Tcp(source) => tokio::spawn((*source).run(stop.clone())),
                BoundSource::Http(source) => tokio::spawn((*source).run(stop.clone())),
                BoundSource::File(source) => tokio::spawn((*source).run(stop.clone())),
            };
            Source { name, address, counters, control, task }
        };
        let list = self.sources.into_iter().map(start).collect();
        let follow = |tls: Arc<TlsServer>| {
            let stop = stop.clone();
            tokio::spawn(async move { tls.follow_files(now_ms, stop).await })
        };
        let following = self.tls.into_iter().map(follow).collect();
        let ingest = [
            tokio::spawn(take_batches(ingest, self.waiting)),
            tokio::spawn(take_deliveries(answered, self.deliveries)),
        ];
        Ok(Sources { list, key_file: self.key_file, ingest, following, stop })
    }

    /// Tells sources what is stored already, whose senders send it again, or whose files have it still.
    fn remember(&self, answered: &AnsweredIngest) -> Result<(), LogError> {
        if self.sources.iter().all(|source| matches!(source, BoundSource::Tcp(_))) {
            return Ok(());
        }
        let see = |call: &ApiCall<'_>| {
            for source in &self.sources {
                match source {
                    BoundSource::Http(source) => source.remember(call),
                    BoundSource::File(source) => source.remember(call),
                    BoundSource::Tcp(_) => {}
                }
            }
        };
        tokio::task::block_in_place(|| answered.look_back(RECORDS_LOOKED_BACK, see))
    }
}

impl Sources {
    /// Where those listen that do, in the order of the configuration.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.list.iter().filter_map(|source| source.address).collect()
    }

    /// Their counters by name.
    pub fn counters(&self) -> SourceCounters {
        self.list.iter().map(|source| (source.name.clone(), Arc::clone(&source.counters))).collect()
    }

    /// Checks what the sources are to read by from now on, and reads the files with their secrets and the key again. Nothing changes before
    /// [`NewSettings::put_in_force`]. `collector` has the sources of this start in their order, as [`CollectorConfig::take_over`] leaves them.
    pub fn prepare(&self, collector: &CollectorConfig) -> anyhow::Result<Vec<NewSettings>> {
        let key = match self.list.is_empty() {
            true => return Ok(Vec::new()),
            // Another key would be another person for everybody, so one that is not there for a moment is no reason for it.
            false => PseudonymKey::load(&self.key_file)?,
        };
        let of = |(source, config): (&Source, &SourceConfig)| {
            source.control.prepare(config, key.clone()).with_context(|| format!("the source {}", config.name()))
        };
        self.list.iter().zip(&collector.sources).map(of).collect()
    }

    /// Stops listening and waits until everything is handed over. Says `false` where that cannot be known, because a part
    /// has panicked, or hangs at a file.
    pub async fn stop(self) -> bool {
        self.stop.cancel();
        let mut all_well = true;
        for source in self.list {
            all_well &= ended(&source.name, source.address.is_some(), source.task).await;
        }
        for ingest in self.ingest {
            let ended = ingest.await;
            all_well &= ended.is_ok();
            report_panic("ingest", ended);
        }
        for following in self.following {
            report_panic("certificate", following.await);
        }
        all_well
    }
}

/// Waits for the end of a source after its token was cancelled; says whether that was a good one. One that does not listen reads a file.
async fn ended(name: &str, listens: bool, mut task: JoinHandle<()>) -> bool {
    let ended = match listens {
        true => task.await,
        false => match tokio::time::timeout(FILE_STOP, &mut task).await {
            Ok(ended) => ended,
            Err(_) => {
                // Its sender goes with it, for which the ingest waits; what it has not stored stays in the file.
                task.abort();
                tracing::error!(source = name, "the source does not stop; its file or data_dir does not answer");
                return false;
            }
        },
    };
    let is_well = ended.is_ok();
    report_panic(name, ended);
    is_well
}

/// Reads the certificate of a source that speaks TLS.
fn load_certificate(source: &SourceConfig) -> anyhow::Result<Option<Arc<TlsServer>>> {
    let Some(files) = source.tls() else { return Ok(None) };
    let settings = TlsSettings {
        certificate_file: files.certificate_file.clone(),
        key_file: files.key_file.clone(),
        client_ca_file: None,
    };
    let tls = TlsServer::load_without_tickets(settings).with_context(|| {
        format!(
            "the source {} cannot speak TLS; mend the files of its `tls` (`outrider ca issue` makes them)",
            source.name()
        )
    })?;
    Ok(Some(Arc::new(tls)))
}

fn current_tls(tls: &Arc<TlsServer>) -> CurrentTls {
    let tls = Arc::clone(tls);
    Arc::new(move || tls.current())
}

/// The counters for people.
pub fn sources_json(sources: &SourceCounters) -> Value {
    sources.iter().map(|(name, counters)| json!({"name": name, "counters": counters.snapshot()})).collect()
}

/// Hands micro-batches to the log until all sources have ended.
async fn take_batches(mut ingest: Ingest, mut waiting: mpsc::Receiver<MicroBatch>) {
    while let Some(batch) = waiting.recv().await {
        ingest.accept(batch.calls, batch.count, batch.last_received_ms);
    }
}

/// Stores what senders keep until they hear of it, as much as waits at once, until all sources have ended.
async fn take_deliveries(mut ingest: AnsweredIngest, mut waiting: mpsc::Receiver<Delivery>) {
    let mut is_failing = false;
    while let Some(first) = waiting.recv().await {
        let (mut batches, mut told, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        while let Some(delivery) = next {
            told.push(delivery.are_stored);
            for MicroBatch { calls, count, last_received_ms: at_ms, .. } in delivery.batches {
                bytes += calls.len();
                batches.push(AnsweredBatch { calls, count, at_ms });
            }
            next = if bytes < DELIVERED_BYTES_TOGETHER { waiting.try_recv().ok() } else { None };
        }
        let stored = ingest.store(batches).await;
        match &stored {
            Err(error) if !is_failing => tracing::error!(%error, "calls are not stored; their sender keeps them"),
            Ok(()) if is_failing => tracing::info!("the log takes calls again"),
            _ => {}
        }
        is_failing = stored.is_err();
        // Whoever does not wait any more needs no answer.
        for told in told {
            let _ = told.send(!is_failing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_source_that_hangs_at_its_file_is_left_and_told_of() {
        let (sender, mut ingest) = mpsc::channel::<()>(1);
        let hangs = tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(sender);
        });
        assert!(!ended("a", false, hangs).await);
        assert_eq!(ingest.recv().await, None, "the ingest would wait for ever");
        assert!(ended("a", false, tokio::spawn(async {})).await);
    }
}
