//! Says every few seconds that a service lives, how it is, and hears what the platform makes of it.

use std::sync::Arc;
use std::time::Duration;

use outrider_platform::api::StatusSource;
use outrider_platform::premises::wire::{Heartbeat, HeartbeatAnswer};
use outrider_platform::store::ServiceKind;
use outrider_platform::watcher::ConcernSource;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::uplink::{Patience, Uplink};
use crate::edges::now_ms;

/// Time between two heartbeats.
const INTERVAL: Duration = Duration::from_secs(10);
/// Clocks that differ by more are told of.
const CLOCK_DIFFERENCE_MS_MAX: u64 = 5_000;

/// A service's heart.
pub struct Heart {
    pub uplink: Arc<Uplink>,
    pub kind: ServiceKind,
    pub gateways: Vec<String>,
    /// The installation that this service works for, where it must be the platform's.
    pub installation: Option<String>,
    pub status: Arc<dyn StatusSource>,
    pub concerns: Vec<Arc<dyn ConcernSource>>,
}

impl Heart {
    /// Beats until it is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        let mut patience = Patience::new("the heartbeat");
        let mut told = Told::default();
        loop {
            match stop.run_until_cancelled(self.uplink.heartbeat(&self.heartbeat())).await {
                None => return,
                Some(Ok(answer)) => {
                    patience.succeeded();
                    self.uplink.link().clock_ahead(answer.clock_ahead_ms);
                    told.look(&answer, self.installation.as_deref());
                    if stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
                        return;
                    }
                }
                Some(Err(not_taken)) => {
                    if !patience.failed(not_taken.why(), &stop).await {
                        return;
                    }
                }
            }
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        let now_ms = now_ms();
        Heartbeat {
            status: self.status.status(),
            concerns: self.concerns.iter().flat_map(|source| source.concerns(now_ms)).collect(),
            ..first_heartbeat(self.kind, self.gateways.clone())
        }
    }
}

/// What a service says before it has anything to tell.
pub fn first_heartbeat(kind: ServiceKind, gateways: Vec<String>) -> Heartbeat {
    Heartbeat {
        kind,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now_ms: now_ms(),
        gateways,
        status: Value::Null,
        concerns: Vec::new(),
    }
}

/// What was said already, so that it is said once.
#[derive(Default)]
struct Told {
    clock: bool,
    version: bool,
    installation: bool,
}

impl Told {
    fn look(&mut self, answer: &HeartbeatAnswer, installation: Option<&str>) {
        let is_clock_off = answer.clock_ahead_ms.unsigned_abs() > CLOCK_DIFFERENCE_MS_MAX;
        if is_clock_off && !self.clock {
            let ahead_ms = answer.clock_ahead_ms;
            tracing::warn!(ahead_ms, "this clock and the platform's differ; synchronise both (NTP)");
        }
        self.clock = is_clock_off;
        let own = env!("CARGO_PKG_VERSION");
        if answer.version != own && !self.version {
            tracing::info!(platform = answer.version, own, "the platform has another version of outrider");
        }
        self.version = answer.version != own;
        let is_stranger = installation.is_some_and(|own| own != answer.installation);
        if is_stranger && !self.installation {
            tracing::error!(
                own = installation,
                platform = answer.installation,
                "the platform is another installation than the one whose blocks are at the gateways; they are left to end, \
                 and nothing new is brought. Restore the platform's data directory; or run `outrider responder release-all`, \
                 then begin with an empty data_dir"
            );
        }
        self.installation = is_stranger;
    }
}
