//! Whatever happens in whatever order: nothing foreign is touched, and one undisturbed pass brings the gateway to exactly
//! the active actions.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::DesiredAction;
use proptest::prelude::*;

use super::*;
use crate::gateways::kong::coverage::Survey;
use crate::gateways::kong::files::StateFiles;
use crate::gateways::kong::fold::{fold, is_over};
use crate::gateways::kong::guard::GuardFile;
use crate::gateways::kong::plan::{is_as, is_own};
use crate::gateways::kong::reconcile::Reconciler;
use crate::gateways::kong::{Plugin, PluginScope, RATE_LIMITING, Reference, limits};
use crate::gateways::{Clock as _, GatewayError};

#[derive(Debug, Clone)]
enum Step {
    /// The platform wants something else. Each number picks an action of the small world below.
    Desire(Vec<u8>),
    /// The responder works; each fault meets one of its calls.
    Pass(Vec<Fault>),
    /// The responder dies and starts again.
    Restart,
    /// The responder's disk is lost, and with it what was desired.
    LoseDisk,
    /// The platform is restored from an old backup and knows of nothing that it ordered.
    Restore,
    /// Seconds go by.
    Wait(u16),
    /// The clock is set.
    Jump(i16),
    /// Somebody else at the gateway: what, and to which of the plugins there.
    Meddle(Meddling, u8),
}

#[derive(Debug, Clone, Copy)]
enum Meddling {
    AddForeign,
    RemoveForeign,
    DeleteOurs,
    DisableOurs,
    MoveOurs,
    TakeOverOurs,
    CopyOurs,
    ForgeOurs,
}

fn step() -> impl Strategy<Value = Step> {
    use Meddling::*;
    let unreachable = GatewayError::Unreachable { detail: "reset".to_owned() };
    let html = GatewayError::UnexpectedAnswer { status: 200, detail: "<html>".to_owned(), retry_after_s: None };
    let fault = prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::Before(unreachable.clone())),
        1 => Just(Fault::After(unreachable)),
        1 => Just(Fault::After(html)),
        1 => Just(Fault::CrashBefore),
        2 => Just(Fault::CrashAfter),
    ];
    let meddling = prop::sample::select(vec![
        AddForeign,
        RemoveForeign,
        DeleteOurs,
        DisableOurs,
        MoveOurs,
        TakeOverOurs,
        CopyOurs,
        ForgeOurs,
    ]);
    prop_oneof![
        4 => prop::collection::vec(0u8..24, 0..6).prop_map(Step::Desire),
        6 => prop::collection::vec(fault, 0..8).prop_map(Step::Pass),
        1 => Just(Step::Restart),
        1 => Just(Step::LoseDisk),
        1 => Just(Step::Restore),
        2 => (1u16..400).prop_map(Step::Wait),
        1 => (-600i16..600).prop_map(Step::Jump),
        4 => (meddling, any::<u8>()).prop_map(|(what, which)| Step::Meddle(what, which)),
    ]
}

/// An action of a small world: two consumers, three scopes, blocks and limits, with ends or without.
fn action(pick: u8, now_ms: i64) -> DesiredAction {
    let consumer = if pick.is_multiple_of(2) { ALICE } else { BOB };
    let id = u64::from(pick) + 1;
    let is_limit = matches!(pick, 3..6 | 15..);
    let mut action = if is_limit { limit(id, consumer, None, 20 + u32::from(pick)) } else { block(id, consumer, None) };
    action.scope = match pick % 6 / 2 {
        0 => outrider_model::ActionScope::Consumer,
        1 => service_scope(SHOP),
        _ => route_scope(SHOP_ROUTE),
    };
    action.expires_ms = (pick >= 6).then(|| now_ms + i64::from(pick) * 15_000);
    action
}

struct Life {
    kong: FakeKong,
    clock: Arc<VirtualClock>,
    disk: tempfile::TempDir,
    platform: watch::Sender<Option<DesiredState>>,
    reconciler: Option<Reconciler<FakeKong>>,
    reports: mpsc::Receiver<ActionReport>,
    version: u64,
    /// Every action that the platform remembers to have ordered.
    remembered: BTreeSet<ActionId>,
    /// What others have at the gateway, as they left it.
    foreign: BTreeMap<String, Plugin>,
    made: u32,
}

impl Life {
    fn new() -> Self {
        let mut life = Life {
            kong: FakeKong::new(),
            clock: Arc::new(VirtualClock::new()),
            disk: tempfile::tempdir().unwrap(),
            platform: watch::Sender::new(None),
            reconciler: None,
            reports: mpsc::channel(1).1,
            version: 0,
            remembered: BTreeSet::new(),
            foreign: BTreeMap::new(),
            made: 0,
        };
        life.restart();
        life
    }

    fn restart(&mut self) {
        let files = StateFiles::new(self.disk.path(), "edge").unwrap();
        let settings =
            ResponderSettings::new("edge", INSTALLATION, AdminSettings::new("http://kong.invalid"), self.disk.path());
        let (sender, reports) = mpsc::channel(100_000);
        let found = files.load().unwrap();
        let kong = Arc::new(self.kong.clone());
        let mut reconciler = Reconciler::new(settings, kong, self.clock.clone(), files, GuardFile::new(None), sender);
        if let super::super::Found::State(state) = found {
            reconciler.restore(*state);
        }
        self.reconciler = Some(reconciler);
        self.reports = reports;
    }

    /// One pass, which may be the responder's last.
    async fn pass(&mut self, faults: Vec<Fault>) {
        self.kong.state().faults = faults.into();
        let inbox = self.platform.subscribe();
        let state = inbox.borrow().clone();
        let reconciler = self.reconciler.as_mut().unwrap();
        if let Some(state) = state {
            reconciler.take(state).await;
        }
        if let Some(until) = reconciler.waits_until() {
            tokio::time::sleep_until(until).await;
        }
        let died = tokio::select! {
            biased;
            () = self.kong.crashed.notified() => true,
            _ = reconciler.pass(&inbox) => false,
        };
        self.kong.state().faults.clear();
        if died {
            // The dead one's other calls may have met a fault too; that must not be taken for the next one's death.
            self.kong.crashed = Arc::default();
            self.restart();
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Desire(picks) => {
                self.version += 1;
                let now_ms = self.clock.now_ms();
                let picks: BTreeSet<u8> = picks.into_iter().collect();
                let actions: Vec<_> = picks.into_iter().map(|pick| action(pick, now_ms)).collect();
                let named: BTreeSet<ActionId> = actions.iter().map(|action| action.id).collect();
                let ended = self.remembered.difference(&named).copied().collect();
                self.remembered.extend(named);
                self.platform.send_replace(Some(DesiredState { ended, ..desired(self.version, actions, &[]) }));
            }
            Step::Restore => self.remembered.clear(),
            Step::Pass(faults) => self.pass(faults).await,
            Step::Restart => self.restart(),
            Step::LoseDisk => {
                for entry in std::fs::read_dir(self.disk.path()).unwrap() {
                    std::fs::remove_file(entry.unwrap().path()).unwrap();
                }
                self.platform.send_replace(None);
                self.restart();
            }
            Step::Wait(seconds) => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
            Step::Jump(seconds) => {
                self.clock.jumped_ms.fetch_add(i64::from(seconds) * 1000, std::sync::atomic::Ordering::Relaxed);
            }
            Step::Meddle(what, which) => self.meddle(what, which),
        }
    }

    fn meddle(&mut self, what: Meddling, which: u8) {
        let own = self.kong.own();
        let ours = (!own.is_empty()).then(|| own[usize::from(which) % own.len()].clone());
        self.made += 1;
        let new_id = format!("0fe70000-0000-4000-8000-{:012}", self.made);
        let consumer = if which.is_multiple_of(2) { ALICE } else { BOB };
        let (service, route) = [(None, None), (Some(SHOP), None), (None, Some(SHOP_ROUTE))][usize::from(which) / 2 % 3];
        match (what, ours) {
            (Meddling::AddForeign, _) if which < 128 => {
                self.add_foreign(foreign(&new_id, Some(consumer), service, route));
            }
            (Meddling::AddForeign, _) => {
                // Some of these can be taken in, some cannot.
                let limit_by = if which.is_multiple_of(5) { "ip" } else { "consumer" };
                let config = serde_json::json!({"minute": which % 60 + 1, "limit_by": limit_by});
                self.add_foreign(foreign_limit(&new_id, (which < 200).then_some(consumer), service, route, config));
            }
            (Meddling::RemoveForeign, _) => {
                if let Some(id) = self.foreign.keys().nth(usize::from(which) % self.foreign.len().max(1)).cloned() {
                    self.foreign.remove(&id);
                    self.kong.state().plugins.remove(&id);
                }
            }
            (Meddling::DeleteOurs, Some(ours)) => drop(self.kong.state().plugins.remove(&ours.id)),
            (Meddling::DisableOurs, Some(ours)) => self.kong.put(Plugin { enabled: false, ..ours }),
            (Meddling::MoveOurs, Some(mut ours)) => {
                ours.consumer = Some(Reference { id: consumer.to_owned() });
                ours.service = service.map(|id| Reference { id: id.to_owned() });
                ours.route = route.map(|id| Reference { id: id.to_owned() });
                if self.is_free(&ours) {
                    self.kong.put(ours);
                }
            }
            (Meddling::TakeOverOurs, Some(mut ours)) => {
                ours.tags.retain(|tag| !tag.starts_with("outrider:"));
                self.foreign.insert(ours.id.clone(), ours.clone());
                self.kong.put(ours);
            }
            (Meddling::CopyOurs, Some(ours)) => {
                // Somebody copies ours with our tags to another id: then it is ours, and unknown.
                let mut copy = Plugin { id: new_id, instance_name: None, ..ours };
                copy.service = service.map(|id| Reference { id: id.to_owned() });
                copy.route = route.map(|id| Reference { id: id.to_owned() });
                if self.is_free(&copy) {
                    self.kong.put(copy);
                }
            }
            (Meddling::ForgeOurs, _) => {
                // A plugin of another installation that names our actions.
                let mut forged = foreign(&new_id, Some(consumer), service, route);
                forged.tags = ["outrider", "outrider:homes", "action:ac_0000000000000001", "expires:1"]
                    .map(str::to_owned)
                    .to_vec();
                self.add_foreign(forged);
            }
            (_, None) => {}
        }
    }

    fn add_foreign(&mut self, plugin: Plugin) {
        if self.is_free(&plugin) {
            self.foreign.insert(plugin.id.clone(), plugin.clone());
            self.kong.put(plugin);
        }
    }

    fn is_free(&self, plugin: &Plugin) -> bool {
        let state = self.kong.state();
        let place = |plugin: &Plugin| (plugin.consumer.clone(), plugin.service.clone(), plugin.route.clone());
        let is_taken = |other: &Plugin| other.name == plugin.name && place(other) == place(plugin);
        !state.plugins.values().any(|other| other.id != plugin.id && is_taken(other))
    }

    fn check_foreign(&self) {
        let state = self.kong.state();
        assert_eq!(state.sins, [""; 0]);
        for (id, plugin) in &self.foreign {
            assert_eq!(state.plugins.get(id), Some(plugin), "what others have stays as they left it");
        }
    }

    /// Exactly the active actions, except on scopes that others hold, and limits that would weaken others'.
    fn check_converged(&self, actions: &[DesiredAction]) {
        let now_ms = self.clock.now_ms();
        let state = self.kong.state();
        let (limits, mut wanted): (Vec<_>, Vec<_>) =
            fold(INSTALLATION, actions, now_ms).into_iter().partition(|plugin| plugin.name() == RATE_LIMITING);
        let all = state.plugins.values().cloned().collect();
        let survey = Survey::new(INSTALLATION, all, state.routes.clone(), state.services.clone());
        wanted.extend(limits::judge(&survey, limits).allowed);
        let place = |name: &str, scope: PluginScope| (name.to_owned(), scope);
        let holders: BTreeSet<_> =
            self.foreign.values().filter_map(|plugin| Some(place(&plugin.name, plugin.scope()?))).collect();
        let taken: BTreeSet<_> = self.foreign.keys().collect();
        let mut there = 0;
        for plugin in wanted {
            if holders.contains(&place(plugin.name(), plugin.scope.clone())) || taken.contains(&plugin.id) {
                assert!(state.plugins.get(&plugin.id).is_none_or(|plugin| !is_own(INSTALLATION, plugin)));
                continue;
            }
            let actual = state.plugins.get(&plugin.id).unwrap_or_else(|| panic!("{:?} is missing", plugin.scope));
            assert!(is_as(actual, &plugin), "{actual:?} is not {plugin:?}");
            there += 1;
        }
        let own = state.plugins.values().filter(|plugin| is_own(INSTALLATION, plugin)).count();
        assert_eq!(own, there, "no orphan");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_one_pass_converges_and_nothing_foreign_is_touched(
        steps in prop::collection::vec(step(), 1..40),
        last in prop::collection::vec(0u8..24, 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut life = Life::new();
            for step in steps {
                life.step(step).await;
                life.check_foreign();
            }
            // Whatever was, a responder that starts now and is left in peace needs one pass.
            life.restart();
            life.remembered = (0..=24).map(ActionId).collect();
            life.step(Step::Desire(last)).await;
            let state = life.platform.borrow().clone().unwrap();
            life.pass(vec![]).await;
            life.check_foreign();
            life.check_converged(&state.actions);

            // And it ends everything on time, with the platform away.
            let permanent: Vec<_> = state.actions.iter().filter(|action| action.expires_ms.is_none()).cloned().collect();
            tokio::time::sleep(Duration::from_secs(400)).await;
            assert!(state.actions.iter().all(|action| action.expires_ms.is_none() || is_over(action.expires_ms, life.clock.now_ms())));
            life.pass(vec![]).await;
            life.check_foreign();
            life.check_converged(&permanent);
        });
    }
}
