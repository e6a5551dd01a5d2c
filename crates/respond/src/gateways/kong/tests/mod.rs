//! The whole responder in virtual time, against a Kong in memory.

mod anything;
mod faults;
mod guards;
mod limits;
mod story;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use outrider_model::{ActionId, ActionReport, DesiredState, ReportedState};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::testing::*;
use super::{AdminSettings, Responder, ResponderSettings, ResponderStatus};

/// A gateway, a disk, a platform and a responder between them.
struct World {
    kong: FakeKong,
    clock: Arc<VirtualClock>,
    disk: tempfile::TempDir,
    settings: ResponderSettings,
    platform: Option<watch::Sender<Option<DesiredState>>>,
    reports: Option<mpsc::Receiver<ActionReport>>,
    reports_max: usize,
    status: Option<watch::Receiver<ResponderStatus>>,
    /// Every action that the platform ever spoke of.
    spoken_of: RefCell<BTreeSet<ActionId>>,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl World {
    fn new() -> Self {
        let disk = tempfile::tempdir().unwrap();
        let mut settings = ResponderSettings::new(
            "edge",
            INSTALLATION,
            AdminSettings::new("http://kong.invalid"),
            disk.path().join("state"),
        );
        settings.guard_file = Some(disk.path().join("guard.toml"));
        let world = World {
            kong: FakeKong::new(),
            clock: Arc::new(VirtualClock::new()),
            disk,
            settings,
            platform: None,
            reports: None,
            reports_max: 10_000,
            status: None,
            spoken_of: RefCell::default(),
            running: None,
        };
        world.guard("");
        world
    }

    /// A world whose responder runs and has nothing to do yet.
    async fn started() -> Self {
        let mut world = World::new();
        world.start(Some(desired(1, vec![], &[])));
        world.pass_s(1).await;
        world.kong.take_calls();
        world
    }

    fn guard(&self, text: &str) {
        std::fs::write(self.disk.path().join("guard.toml"), text).unwrap();
    }

    fn start(&mut self, state: Option<DesiredState>) {
        let responder = Responder::with_admin(self.settings.clone(), self.kong.clone(), self.clock.clone()).unwrap();
        let (platform, inbox) = watch::channel(state.map(|state| self.remembering(state)));
        let (sender, reports) = mpsc::channel(self.reports_max);
        let cancel = CancellationToken::new();
        self.status = Some(responder.status());
        let task = tokio::spawn(responder.run(inbox, sender, cancel.clone()));
        self.platform = Some(platform);
        self.reports = Some(reports);
        self.running = Some((cancel, task));
    }

    async fn stop(&mut self) {
        let (cancel, task) = self.running.take().unwrap();
        cancel.cancel();
        task.await.unwrap();
    }

    fn desire(&self, state: DesiredState) {
        let state = self.remembering(state);
        self.platform.as_ref().unwrap().send_replace(Some(state));
    }

    /// As a platform says it that remembers what it spoke of.
    fn remembering(&self, state: DesiredState) -> DesiredState {
        let named = state.actions.iter().map(|action| action.id).chain(state.releasing.iter().copied());
        let named: BTreeSet<ActionId> = named.collect();
        let mut spoken_of = self.spoken_of.borrow_mut();
        let ended = spoken_of.difference(&named).copied().collect();
        spoken_of.extend(named);
        DesiredState { ended, ..state }
    }

    /// What the responder keeps on its disk.
    fn copy_of_disk(&self) -> Vec<(std::ffi::OsString, Vec<u8>)> {
        let files = std::fs::read_dir(&self.settings.state_dir).unwrap().map(|file| file.unwrap());
        files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect()
    }

    fn put_disk_back(&self, copy: &[(std::ffi::OsString, Vec<u8>)]) {
        for (name, bytes) in copy {
            std::fs::write(self.settings.state_dir.join(name), bytes).unwrap();
        }
    }

    /// The platform is restored from a backup that is older than these actions.
    fn forgets(&self, actions: &[u64]) {
        self.spoken_of.borrow_mut().retain(|id| !actions.contains(&id.0));
    }

    async fn pass_ms(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    async fn pass_s(&self, seconds: u64) {
        self.pass_ms(seconds * 1000).await;
    }

    fn now_ms(&self) -> i64 {
        use crate::gateways::Clock as _;
        self.clock.now_ms()
    }

    fn in_s(&self, seconds: i64) -> Option<i64> {
        Some(self.now_ms() + seconds * 1000)
    }

    fn jump_clock_s(&self, seconds: i64) {
        self.clock.jumped_ms.fetch_add(seconds * 1000, std::sync::atomic::Ordering::Relaxed);
    }

    fn status(&self) -> ResponderStatus {
        self.status.as_ref().unwrap().borrow().clone()
    }

    /// Reports since the last time, as short texts.
    fn reports(&mut self) -> Vec<String> {
        let mut shown = Vec::new();
        while let Ok(report) = self.reports.as_mut().unwrap().try_recv() {
            shown.push(show(&report));
        }
        shown
    }

    /// The actions that our plugins at the gateway name.
    fn at_gateway(&self) -> Vec<ActionId> {
        let mut named: Vec<ActionId> = self.kong.own().iter().flat_map(super::plan::named_actions).collect();
        named.sort_unstable();
        named
    }
}

fn show(report: &ActionReport) -> String {
    let id = report.action.0;
    match &report.state {
        ReportedState::Stored { not_covered, .. } if not_covered.is_empty() => format!("{id} stored"),
        ReportedState::Stored { not_covered, .. } => format!("{id} stored but {}", not_covered.join("; ")),
        ReportedState::Released => format!("{id} released"),
        ReportedState::Retrying { reason, attempt } => format!("{id} retrying {attempt}: {reason}"),
        ReportedState::Failed { reason } => format!("{id} failed: {reason}"),
    }
}

fn ids(ids: &[u64]) -> Vec<ActionId> {
    ids.iter().map(|id| ActionId(*id)).collect()
}
