//! The process that holds one gateway to its desired state: what wakes it, and what it remembers.
//!
//! [`super::reconcile`] is what it does when it is awake.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use outrider_model::{ActionReport, DesiredState, FailureReason};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admin::{AdminApi, AdminClient, AdminSettings};
use super::files::{Found, StateFiles};
use super::guard::GuardFile;
use super::plan::OwnPlugin;
use super::reconcile::{Ended, Reconciler};
use crate::gateways::{Clock, GatewayError};

/// Changes at one gateway at a time. Kong took 900 creations in 2.4 s with 8 connections.
pub const WRITES_IN_FLIGHT: usize = 8;

/// How one gateway is held to its desired state.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponderSettings {
    /// The gateway's name, as the collector's source calls it.
    pub gateway: String,
    /// The installation that owns what is written: 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_`, `~` and `-`.
    pub installation: String,
    /// Its Admin API.
    pub admin: AdminSettings,
    /// Where the desired state is kept.
    pub state_dir: PathBuf,
    /// The guard rails of the premises; the defaults hold without one.
    pub guard_file: Option<PathBuf>,
    /// Whether a service is told of by its id, because its name is not to leave the premises.
    pub hides_service_names: bool,
    /// Whether a route is.
    pub hides_route_names: bool,
    /// How often our plugins are listed and repaired.
    pub resync_interval: Duration,
    /// How often others' plugins are looked at, to say where a block does not bite.
    pub survey_interval: Duration,
    /// The wait after a first failure; it doubles with each further one, give or take a quarter.
    pub backoff_first: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
}

impl ResponderSettings {
    /// The defaults for a gateway.
    pub fn new(
        gateway: impl Into<String>,
        installation: impl Into<String>,
        admin: AdminSettings,
        state_dir: impl Into<PathBuf>,
    ) -> Self {
        ResponderSettings {
            gateway: gateway.into(),
            installation: installation.into(),
            admin,
            state_dir: state_dir.into(),
            guard_file: None,
            hides_service_names: false,
            hides_route_names: false,
            resync_interval: Duration::from_secs(10),
            survey_interval: Duration::from_secs(60),
            backoff_first: Duration::from_millis(250),
            backoff_max: Duration::from_secs(15),
        }
    }

    fn validate(&self) -> Result<(), GatewayError> {
        let refused = |setting, detail: &str| Err(GatewayError::Setting { setting, detail: detail.to_owned() });
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-');
        // It is part of a tag, of an instance name and of a quoted header parameter; no other character fits all three.
        if !(1..=64).contains(&self.installation.len()) || !self.installation.chars().all(allowed) {
            return refused("installation", "use 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `~` and `-`");
        }
        if self.gateway.is_empty() {
            return refused("gateway", "it must not be empty");
        }
        if self.resync_interval < Duration::from_secs(1) || self.survey_interval < Duration::from_secs(1) {
            return refused("resync_interval", "this and survey_interval must be at least 1 s");
        }
        if self.backoff_first.is_zero() || self.backoff_max < self.backoff_first {
            return refused("backoff_first", "it must be above 0 and at most backoff_max");
        }
        Ok(())
    }
}

/// How a gateway and its responder are, for people.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResponderStatus {
    /// What is wrong with the gateway; `None` while it answers as it should.
    pub failure: Option<FailureReason>,
    /// Consecutive failures.
    pub attempt: u32,
    /// The desired state that it works on.
    pub desired_version: Option<u64>,
    /// When it last listed our plugins, by its own clock.
    pub listed_ms: Option<i64>,
    /// Plugins of ours at the gateway.
    pub own_plugins: usize,
    /// Plugins of ours that no desired state speaks for, because none is known; they stay until they are over.
    pub adopted: Vec<OwnPlugin>,
    /// What is wrong with the guard rails' file.
    pub guard_problem: Option<String>,
    /// Why nothing is brought to the gateway, where somebody released everything.
    pub held: Option<String>,
    /// What happened so far.
    pub counters: Counters,
}

/// What happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Plugins created or replaced.
    pub written: u64,
    /// Plugins deleted.
    pub deleted: u64,
    /// Plugins written again because somebody else had changed or deleted them.
    pub repaired: u64,
    /// Changes and lists that the gateway failed.
    pub gateway_failures: u64,
    /// Desired states that were older than the one at hand, or not for this gateway.
    pub desired_ignored: u64,
    /// Desired states that could not be kept on the disk.
    pub save_failures: u64,
    /// Reports that found the channel full and were sent later.
    pub reports_deferred: u64,
    /// Others' plugins that were not looked at, because there are too many.
    pub survey_left_out: u64,
}

/// Holds one gateway to its desired state.
pub struct Responder<A = AdminClient> {
    settings: ResponderSettings,
    admin: A,
    clock: Arc<dyn Clock>,
    files: StateFiles,
    found: Found,
    status: watch::Sender<ResponderStatus>,
}

impl<A> std::fmt::Debug for Responder<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Responder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Responder<AdminClient> {
    /// A responder that speaks HTTP. Reads what is kept on the disk; the gateway need not be there yet.
    pub fn new(settings: ResponderSettings, clock: Arc<dyn Clock>) -> Result<Self, GatewayError> {
        let admin = AdminClient::new(&settings.admin)?;
        Responder::with_admin(settings, admin, clock)
    }
}

impl<A: AdminApi> Responder<A> {
    /// A responder with its own way to the gateway.
    pub fn with_admin(settings: ResponderSettings, admin: A, clock: Arc<dyn Clock>) -> Result<Self, GatewayError> {
        settings.validate()?;
        let files = StateFiles::new(&settings.state_dir, &settings.gateway)?.locked()?;
        let mut found = files.load()?;
        match &found {
            Found::State(state) if state.installation != settings.installation || state.gateway != settings.gateway => {
                tracing::warn!(
                    gateway = settings.gateway,
                    kept_for = state.gateway,
                    installation = state.installation,
                    "the kept desired state is another's and counts as nothing"
                );
                found = Found::Nothing;
            }
            Found::Damaged(detail) => {
                tracing::warn!(
                    gateway = settings.gateway,
                    detail,
                    "the kept desired state is damaged and counts as nothing"
                );
            }
            Found::State(_) | Found::Nothing => {}
        }
        Ok(Responder { settings, admin, clock, files, found, status: watch::Sender::new(ResponderStatus::default()) })
    }

    /// How it is, always the latest.
    pub fn status(&self) -> watch::Receiver<ResponderStatus> {
        self.status.subscribe()
    }

    /// Works until it is cancelled. What is at the gateway then stays there; the next run goes on from it.
    ///
    /// A closed `desired` means that the platform is gone for good; what was desired last goes on to hold and to expire.
    pub async fn run(
        self,
        mut desired: watch::Receiver<Option<DesiredState>>,
        reports: mpsc::Sender<ActionReport>,
        cancel: CancellationToken,
    ) {
        let Responder { settings, admin, clock, files, found, status } = self;
        let guard = GuardFile::new(settings.guard_file.clone());
        let mut reconciler = Reconciler::new(settings, Arc::new(admin), clock, files, guard, reports);
        if let Found::State(state) = found {
            reconciler.restore(*state);
        }
        desired.mark_changed();
        let mut platform_gone = false;
        loop {
            let wake = reconciler.next_wake();
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                changed = desired.changed(), if !platform_gone => match changed {
                    Ok(()) => {
                        let state = desired.borrow_and_update().clone();
                        if let Some(state) = state {
                            reconciler.take(state).await;
                        }
                    }
                    Err(_) => platform_gone = true,
                },
                () = tokio::time::sleep_until(wake) => {}
            }
            if reconciler.waits_until().is_some_and(|until| until > Instant::now()) {
                continue;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                ended = reconciler.pass(&desired) => {
                    status.send_replace(reconciler.status());
                    if ended == Ended::Interrupted {
                        continue;
                    }
                }
            }
        }
    }
}
