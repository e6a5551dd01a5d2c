//! `outrider collector`: sources beside a gateway, a spool on the disk, and the way to the platform.
//!
//! While the platform is away the spool grows up to its limit; then its oldest calls are given up and counted, and their numbers
//! are missing at the platform, which therefore says so itself.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use outrider_collect::NewSettings;
use outrider_model::{Concern, NoticeKind};
use outrider_platform::api::StatusSource;
use outrider_platform::clean_stop;
use outrider_platform::enrich::Enricher;
use outrider_platform::ingest::{AnsweredIngest, Handed, Ingest};
use outrider_platform::log::{
    Gap, Log, LogError, LogHandle, LogWriter, Missing, NewRecord, Position, QUEUE_BYTES_DEFAULT,
};
use outrider_platform::progress::Progress;
use outrider_platform::store::ServiceKind;
use outrider_platform::tls::TlsServer;
use outrider_platform::watcher::{ConcernSource, HELD_MS, Rising};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::accounts::Accounts;
use super::heart::Heart;
use super::shipper::{Shipped, Shipper, kept_position};
use super::uplink::Uplink;
use super::waiting::{Limits, Waiting};
use crate::concerns::EdgeConcerns;
use crate::config::Config;
use crate::directory::{self, AddressBook};
use crate::doors::{self, certificates_json};
use crate::edges::{self, now_ms, report_panic};
use crate::installation::{self, RunFile};
use crate::local;
use crate::sources::{BoundSources, SourceCounters, Sources, sources_json};
use crate::telemetry::Traces;
use crate::terminal::utc;

/// How long the platform may take to take what is left at the end. The rest stays in the spool.
const DRAIN: Duration = Duration::from_secs(5);

/// A running collector.
pub struct Collector {
    config: Config,
    sources: Sources,
    tls: Vec<Arc<TlsServer>>,
    handed: Arc<Handed>,
    spool: LogWriter,
    shipper: JoinHandle<Result<(), LogError>>,
    heart: JoinHandle<()>,
    helpers: Vec<JoinHandle<()>>,
    /// Ends giving calls up.
    keeping: CancellationToken,
    closing: CancellationToken,
    stop: CancellationToken,
}

impl Collector {
    /// Opens and starts everything. The platform need not be there.
    pub async fn start(config: Config, traces: Option<Traces>) -> anyhow::Result<Collector> {
        let data_dir = &config.data_dir;
        installation::prepare(data_dir)?;
        let (enricher, book) = (enricher(&config)?, AddressBook::open(&config)?);
        let complete = directory::complete(enricher.clone(), Arc::clone(&book));
        let bound = BoundSources::bind(&config, &complete)?;
        let tls = bound.tls();
        let metrics = doors::open_metrics(&config).await?;
        let uplink = config.platform.as_ref().context("platform.url is not set")?;
        let uplink = Arc::new(Uplink::new(uplink, data_dir)?);
        let position_file = data_dir.join("shipped");
        let kept = kept_position(&position_file)?;
        let (spool, lost_calls) = open_spool(&config, kept).await?;
        let handle = spool.handle();
        let limits = Limits {
            bytes: config.log.calls_bytes_max() - config.log.segment_bytes_max,
            age_ms: config.collector.spool_age_max.end_ms(0),
        };
        let waiting = Arc::new(Waiting::behind(handle.clone(), kept, limits));
        let newest_before = handle.stats().last;

        let progress = Arc::new(Progress::default());
        let ingest = Ingest::new(handle.clone(), Arc::clone(&progress), edges::epoch()?).after_loss(lost_calls);
        let handed = ingest.handed();
        let sources = bound.start(ingest, AnsweredIngest::new(handle.clone(), edges::epoch()?))?;
        let shipper = Shipper::new(Arc::clone(&uplink), handle.clone(), Arc::clone(&waiting), position_file, kept);
        // Lines are taken meanwhile, however much there is to count.
        let at_start = tokio::task::block_in_place(|| waiting.count(newest_before))?;
        if at_start > 0 {
            tracing::info!(calls = at_start, "calls of an earlier start wait in the spool");
        }
        let (closing, stop) = (CancellationToken::new(), CancellationToken::new());
        let status = Arc::new(Status {
            sources: sources.counters(),
            tls: tls.clone(),
            progress: Arc::clone(&progress),
            shipped: shipper.shipped(),
            spool: handle,
            at_start,
            waiting: Arc::clone(&waiting),
            spool_bytes_max: config.log.total_bytes_max,
            uplink: Arc::clone(&uplink),
            traces,
        });
        let mut helpers = Vec::from_iter(local::open(data_dir, Arc::clone(&status) as _, &stop));
        let serve = |listener| tokio::spawn(doors::serve_own(listener, Arc::clone(&status) as _, stop.clone()));
        helpers.extend(metrics.map(serve));
        let gateways: BTreeSet<_> = config.collector.sources.iter().map(|source| source.gateway().to_owned()).collect();
        let edge = EdgeConcerns::new(sources.counters(), Vec::new());
        let losses = SpoolConcerns {
            progress,
            shipped: shipper.shipped(),
            waiting: Arc::clone(&waiting),
            rising: Mutex::default(),
        };
        let mut concerns: Vec<Arc<dyn ConcernSource>> = vec![Arc::new(edge), Arc::new(losses)];
        concerns.extend(tls.iter().map(|tls| Arc::clone(tls) as Arc<dyn ConcernSource>));
        let heart = Heart {
            uplink,
            kind: ServiceKind::Collector,
            gateways: gateways.into_iter().collect(),
            installation: None,
            status,
            concerns,
        };
        helpers.extend(enricher.map(|enricher| tokio::spawn(enricher.follow(now_ms, stop.clone()))));
        helpers.push(tokio::spawn(book.follow(stop.clone())));
        let keeping = CancellationToken::new();
        let kept_within = keeping.clone();
        helpers.push(tokio::spawn(async move {
            if let Err(error) = waiting.keep_within(kept_within).await {
                tracing::error!(%error, "the spool cannot give up its oldest calls; when it is full it drops new ones");
            }
        }));
        let shipper = tokio::spawn(shipper.run(closing.clone()));
        let heart = tokio::spawn(heart.run(stop.clone()));
        let run = RunFile {
            pid: std::process::id(),
            api: None,
            premises: None,
            sources: sources.addresses().iter().map(ToString::to_string).collect(),
        };
        installation::write_run_file(data_dir, &run)?;
        tracing::info!(data_dir = %data_dir.display(), "the collector is ready");
        Ok(Collector { config, sources, tls, handed, spool, shipper, heart, helpers, keeping, closing, stop })
    }

    /// Puts in force what of another configuration can be without a start, and says which sections wait for one. After an error what
    /// was in force stays.
    pub fn reload(&mut self, config: Config) -> anyhow::Result<Vec<&'static str>> {
        let mut waiting = self.config.restart_needed(&config);
        let mut next = self.config.clone();
        next.take_over(config);
        // What calls are enriched with is opened at the start alone; whoever changes it is told again each time.
        if next.enrichment() != self.config.enrichment() {
            waiting.push("enrich");
            (next.enrich, next.entities) = (self.config.enrich.clone(), self.config.entities.clone());
        }
        let settings = self.sources.prepare(&next.collector)?;
        settings.into_iter().for_each(NewSettings::put_in_force);
        // A certificate that cannot be used leaves the one before it in force, and says so.
        self.tls.iter().for_each(|tls| tls.reload());
        self.config = next;
        Ok(waiting)
    }

    /// Ends when the spool has failed in a way that going on could not mend.
    pub async fn failed(&mut self) {
        match (&mut self.shipper).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the spool cannot be shipped"),
            Err(error) => report_panic("shipper", Err(error)),
        }
    }

    /// Drains: sources first, then what they handed over into the spool, then as much of that as the platform takes soon.
    pub async fn stop(mut self) {
        let are_sources_well = self.sources.stop().await;
        self.keeping.cancel();
        let spool = self.spool;
        let is_spool_well = tokio::task::spawn_blocking(move || spool.stop()).await.unwrap_or(false);
        let lost_calls = self.handed.lost_at_end().await;
        self.closing.cancel();
        if !self.shipper.is_finished() {
            match tokio::time::timeout(DRAIN, &mut self.shipper).await {
                Ok(ended) => report_panic("shipper", ended.map(drop)),
                Err(_) => self.shipper.abort(),
            }
        }
        self.stop.cancel();
        report_panic("heart", self.heart.await);
        for task in self.helpers {
            report_panic("local socket, metrics, spool, files of enrichment or addresses", task.await);
        }
        let data_dir = &self.config.data_dir;
        let all_well = are_sources_well && is_spool_well;
        if all_well && let Err(error) = clean_stop::note(data_dir, lost_calls) {
            tracing::warn!(%error, "the clean stop could not be noted; the next start will assume a gap");
        }
        installation::remove_run_file(data_dir);
        tracing::info!("the collector has stopped");
    }
}

/// What looks up the addresses that do not leave, where there is anything to look them up in.
fn enricher(config: &Config) -> anyhow::Result<Option<Arc<Enricher>>> {
    let settings = config.enrichment();
    if settings.databases.is_empty() && settings.lists.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(Enricher::open(settings, now_ms())?)))
}

/// Opens the spool, and says in it that calls may be missing after a kill. Says how many are known to be after a clean stop.
async fn open_spool(config: &Config, shipped: Position) -> anyhow::Result<(LogWriter, u64)> {
    let (mut spool, opened) = Log::open(&config.data_dir.join("spool"), config.log.clone())?;
    if opened.cut_bytes > 0 {
        tracing::warn!(bytes = opened.cut_bytes, "a torn tail was cut off the spool; nothing acknowledged was in it");
    }
    spool.begin_after(shipped)?;
    let lost_calls = clean_stop::take(&config.data_dir).context("cannot remove the clean-stop marker")?;
    let is_first = opened.last == Position::ZERO && shipped == Position::ZERO;
    let spool = LogWriter::start(spool, QUEUE_BYTES_DEFAULT)?;
    if lost_calls.is_none() && !is_first {
        let gap = Gap { count: 0, missing: Missing::Unnumbered, reason: clean_stop::KILLED.to_owned() };
        spool.handle().append(vec![NewRecord::gap(now_ms(), &gap)?]).await?;
    }
    Ok((spool, lost_calls.unwrap_or(0)))
}

/// What is told of a running collector.
struct Status {
    sources: SourceCounters,
    tls: Vec<Arc<TlsServer>>,
    progress: Arc<Progress>,
    shipped: Arc<Shipped>,
    spool: LogHandle,
    /// Calls that waited in it at the start.
    at_start: u64,
    waiting: Arc<Waiting>,
    spool_bytes_max: u64,
    uplink: Arc<Uplink>,
    traces: Option<Traces>,
}

impl StatusSource for Status {
    fn status(&self) -> Value {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (stats, position) = (self.spool.stats(), read(&self.shipped.position));
        let waiting_since_ms = self.shipped.waiting_since_ms.load(Ordering::Relaxed);
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "service": ServiceKind::Collector,
            "link": self.uplink.link().status(),
            "is_linked": self.uplink.link().status().connected_since_ms.is_some(),
            "sources": sources_json(&self.sources),
            "certificates": certificates_json(&self.tls),
            "spool": {
                "bytes": stats.bytes,
                "bytes_max": self.spool_bytes_max,
                "last": stats.last.0,
                "shipped_position": position,
                "records_waiting": stats.last.0.saturating_sub(position.max(stats.first.0.saturating_sub(1))),
                "waiting_since_ms": (waiting_since_ms > 0).then_some(waiting_since_ms),
                "lag_seconds": if waiting_since_ms > 0 { (now_ms() - waiting_since_ms).max(0) / 1000 } else { 0 },
                "dropped_calls": self.progress.stats().dropped_calls,
                "given_up_calls": self.waiting.given_up(),
            },
            "accounts": self.accounts(),
            "shipped_calls": read(&self.shipped.calls),
            "refused_calls": read(&self.shipped.refused_calls),
            "tracing": self.traces.as_ref().map(Traces::counters),
        })
    }
}

impl Status {
    /// What became of every line, since the start: `received + at_start = shipped + spooled + rejected + dropped + in_hand`.
    fn accounts(&self) -> Accounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Lines go one way, so what is read first is further along, and none is counted twice.
        let given_up = self.waiting.given_up();
        let (room, age) = (read(&given_up.for_room), read(&given_up.for_age));
        let (shipped, refused) = (read(&self.shipped.calls), read(&self.shipped.refused_calls));
        let (by_spool, stored) = (self.progress.stats().dropped_calls, self.spool.stats().calls);
        let mut accounts = Accounts { at_start: self.at_start, shipped, ..Accounts::default() };
        for (_, counters) in &self.sources {
            let counters = counters.snapshot();
            accounts.received += counters.received;
            for (from, into) in [(counters.rejected, &mut accounts.rejected), (counters.dropped, &mut accounts.dropped)]
            {
                from.into_iter().for_each(|(reason, count)| *into.entry(reason).or_default() += count);
            }
        }
        let more = [("spool_full", room), ("too_old", age), ("spool_refused", by_spool), ("platform_refused", refused)];
        let more = more.into_iter().filter(|(_, calls)| *calls > 0);
        accounts.dropped.extend(more.map(|(reason, calls)| (reason.to_owned(), calls)));
        accounts.spooled = (self.at_start + stored).saturating_sub(shipped + refused + room + age);
        accounts.in_hand = accounts.left_over();
        accounts
    }
}

/// Calls that were collected and will not arrive.
struct SpoolConcerns {
    progress: Arc<Progress>,
    shipped: Arc<Shipped>,
    waiting: Arc<Waiting>,
    rising: Mutex<Rising>,
}

impl ConcernSource for SpoolConcerns {
    fn concerns(&self, now_ms: i64) -> Vec<Concern> {
        let times = self.waiting.given_up().times();
        let dropped = self.progress.stats().dropped_calls + self.waiting.given_up().calls();
        let refused = self.shipped.refused_calls.load(Ordering::Relaxed);
        let mut rising = self.rising.lock().unwrap_or_else(PoisonError::into_inner);
        let concern = lost_calls(dropped, refused, times, &mut rising, now_ms);
        if concern.is_none() {
            self.waiting.given_up().forget_times(times);
        }
        concern.into_iter().collect()
    }
}

/// Whether calls were lost lately, of those that the spool and the platform have refused since the start; `times` is when those came
/// that the spool gave up.
fn lost_calls(
    dropped: u64,
    refused: u64,
    times: Option<(i64, i64)>,
    rising: &mut Rising,
    now_ms: i64,
) -> Option<Concern> {
    let came = times.map(|(from_ms, until_ms)| {
        format!("; those that the spool gave up came from {} to {}", utc(from_ms), utc(until_ms))
    });
    rising.look(dropped + refused, now_ms, HELD_MS).map(|count| Concern {
        kind: NoticeKind::CallsDropped,
        subject: "spool".to_owned(),
        since_ms: times.map_or(now_ms, |(from_ms, _)| from_ms),
        detail: format!(
            "{count} calls are gone{}; since its start the spool gave up or refused {dropped}, and the platform refused {refused}",
            came.unwrap_or_default()
        ),
        remedy: "look at the collector's own log: a platform that was away for longer than log.total_bytes_max or \
                 collector.spool_age_max last, a full disk, or versions that do not fit"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_will_not_arrive_are_told_of() {
        // Refused by the spool and by the platform, and how many are told.
        for (dropped, refused, expected) in [(5, 2, None), (6, 2, Some("1 calls")), (5, 4, Some("2 calls"))] {
            let mut rising = Rising::default();
            assert_eq!(lost_calls(5, 2, None, &mut rising, 0), None);
            let found =
                lost_calls(dropped, refused, None, &mut rising, 1).map(|concern| (concern.kind, concern.detail));
            assert_eq!(found.is_some(), expected.is_some(), "{dropped} {refused}");
            let Some((kind, detail)) = found else { continue };
            assert_eq!(kind, NoticeKind::CallsDropped);
            assert!(detail.starts_with(expected.unwrap()), "{detail}");
        }
        // The gap is where the calls were, not where it was seen that they are gone.
        let mut rising = Rising::default();
        lost_calls(0, 0, None, &mut rising, 0);
        let times = Some((1_795_448_391_727, 1_795_448_451_000));
        let concern = lost_calls(3, 0, times, &mut rising, 1_795_450_000_000).unwrap();
        assert_eq!(concern.since_ms, 1_795_448_391_727);
        assert!(
            concern.detail.starts_with("3 calls are gone; those that the spool gave up came from 2026-11-23T15:39:51Z to 2026-11-23T15:40:51Z; "),
            "{}",
            concern.detail
        );
    }
}
