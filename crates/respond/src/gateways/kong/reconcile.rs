//! One pass of the responder: look, decide, change, report.
//!
//! What it remembers of the gateway is a mirror of our own plugins. While the mirror is fresh, a new desired state is
//! written without listing anything first; after any failure or surprise the gateway is listed before it is written.
//!
//! What fails holds up nothing else: a look-up or a change that the gateway does not take is kept as the pass's failure,
//! and the pass goes on, so that above all what is over is taken away.
//!
//! A rate limit is written only after a fresh look at others' plugins, which it must not weaken. Blocks do not wait for
//! it: a pass goes through its changes once without such limits, looks, and once more.

mod change;
mod look;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use outrider_model::{ActionId, ActionReport, DesiredAction, DesiredState, FailureReason, ReportedState};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::change::{Failures, is_hopeless};
use super::admin::AdminApi;
use super::adopt::adopt;
use super::backoff::Backoff;
use super::coverage::{Survey, is_relevant};
use super::execute::{Deleted, Written, delete, write};
use super::files::StateFiles;
use super::fold::{ACTION_TAGS_MAX, DesiredPlugin, TAG, fold, installation_tag, is_over};
use super::guard::{GuardFile, Rails, Verdict, judge};
use super::ledger::Ledger;
use super::limits;
use super::plan::{OwnPlugin, Plan, is_as, named_actions, plan};
use super::responder::{Counters, ResponderSettings, ResponderStatus, WRITES_IN_FLIGHT};
use super::trace::ChangeSpans;
use super::wire::{Consumer, Plugin, PluginConfig};
use crate::gateways::{Clock, GatewayError};

/// Consumers that one pass looks up for the guard rails. The others wait for the next pass, which follows at once.
const LOOKUPS_MAX: usize = 100;

/// Times in a row that a new desired state may break off a pass, so that nothing starves under a flood of them.
const INTERRUPTIONS_MAX: u32 = 8;

/// Times in a row that the gateway may turn out to hold something of ours that it did not list.
const SURPRISES_MAX: u32 = 3;

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Everything that can be done now is done.
    Done,
    /// A new desired state came in between.
    Interrupted,
}

/// What could not be done for one plugin.
#[derive(Debug)]
struct Trouble {
    wanted: DesiredPlugin,
    reason: FailureReason,
    attempt: u32,
    next: Instant,
}

/// The actions of the desired state, as they are to be treated now.
#[derive(Debug, Default)]
struct Decided {
    /// They act.
    acting: Vec<DesiredAction>,
    /// They must not act, and why.
    refused: Vec<(ActionId, String)>,
    /// They must not act yet, and why.
    waiting: Vec<(ActionId, String)>,
    /// They are over: by themselves, or because the platform says so.
    over: Vec<ActionId>,
    /// The platform has never heard of them; the gateway holds them.
    adopted: BTreeSet<ActionId>,
    /// Some could not be decided in this pass.
    unfinished: bool,
    /// Everything is to go, whoever speaks for it.
    takes_everything_off: bool,
}

/// What the gateway is to hold now.
#[derive(Debug, Default)]
struct Wanted {
    plugins: Vec<DesiredPlugin>,
    /// Limits that would weaken one of others, and why.
    refused: Vec<(DesiredPlugin, String)>,
    /// Limits that wait for a fresh look at others' plugins. The gateway's own of them stay as they are.
    waiting: Vec<DesiredPlugin>,
    /// Nothing else may be ours; false while nobody has said what is to be there.
    is_all: bool,
}

/// A gateway as its responder knows it.
pub(super) struct Reconciler<A> {
    settings: ResponderSettings,
    admin: Arc<A>,
    clock: Arc<dyn Clock>,
    files: StateFiles,
    guard: GuardFile,
    ledger: Ledger,
    backoff: Backoff,
    desired: Option<DesiredState>,
    /// Actions that were seen to be over, with the end that they had: a clock that goes back does not revive them.
    ended: BTreeMap<ActionId, Option<i64>>,
    /// The time at which it was last judged what is over.
    judged_ms: i64,
    mirror: BTreeMap<String, Plugin>,
    mirror_is_fresh: bool,
    listed_ms: Option<i64>,
    next_list: Instant,
    survey: Survey,
    next_survey: Instant,
    /// When others' plugins were last looked at.
    surveyed: Option<Instant>,
    /// Why they could not be looked at since.
    survey_failure: Option<FailureReason>,
    consumers: BTreeMap<String, Option<Consumer>>,
    looked_up: BTreeMap<String, Instant>,
    /// By the plugin's id.
    troubles: BTreeMap<String, Trouble>,
    /// Plugins as the gateway last confirmed them: writing one again unchanged is a repair.
    confirmed: BTreeMap<String, DesiredPlugin>,
    adopted: Vec<OwnPlugin>,
    failure: Option<FailureReason>,
    unfinished: bool,
    interruptions: u32,
    surprises: u32,
    counters: Counters,
}

impl<A: AdminApi> Reconciler<A> {
    pub fn new(
        settings: ResponderSettings,
        admin: Arc<A>,
        clock: Arc<dyn Clock>,
        files: StateFiles,
        guard: GuardFile,
        reports: mpsc::Sender<ActionReport>,
    ) -> Self {
        let now = Instant::now();
        Reconciler {
            backoff: Backoff::new(settings.backoff_first, settings.backoff_max),
            ledger: Ledger::new(reports),
            settings,
            admin,
            clock,
            files,
            guard,
            desired: None,
            ended: BTreeMap::new(),
            judged_ms: i64::MIN,
            mirror: BTreeMap::new(),
            mirror_is_fresh: false,
            listed_ms: None,
            next_list: now,
            survey: Survey::default(),
            next_survey: now,
            surveyed: None,
            survey_failure: None,
            consumers: BTreeMap::new(),
            looked_up: BTreeMap::new(),
            troubles: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            adopted: Vec::new(),
            failure: None,
            unfinished: false,
            interruptions: 0,
            surprises: 0,
            counters: Counters::default(),
        }
    }

    /// Goes on from what was kept on the disk.
    pub fn restore(&mut self, state: DesiredState) {
        self.desired = Some(state);
        self.listen();
    }

    /// Takes a desired state from the platform and keeps it before anything is done about it.
    pub async fn take(&mut self, state: DesiredState) {
        let ours = state.installation == self.settings.installation && state.gateway == self.settings.gateway;
        let older = self.desired.as_ref().is_some_and(|current| state.version < current.version);
        if !ours || older {
            self.counters.desired_ignored += 1;
            tracing::warn!(
                gateway = self.settings.gateway,
                for_gateway = state.gateway,
                for_installation = state.installation,
                version = state.version,
                "ignored a desired state that is older than the one at hand or not for this gateway"
            );
            return;
        }
        if self.desired.as_ref() == Some(&state) {
            return;
        }
        let (files, kept) = (self.files.clone(), state.clone());
        let saved = tokio::task::spawn_blocking(move || {
            // Without the new one, the old one must not speak after a restart: it may hold what is released by now. The
            // tags at the gateway then speak alone.
            files.save(&kept).inspect_err(|_| drop(files.forget()))
        });
        if let Ok(Err(error)) = saved.await {
            self.counters.save_failures += 1;
            tracing::error!(gateway = self.settings.gateway, %error, "could not keep the desired state");
        }
        self.desired = Some(state);
        self.listen();
        self.backoff.hurry();
    }

    /// While this is in the future, the gateway is left alone.
    pub fn waits_until(&self) -> Option<Instant> {
        self.backoff.until()
    }

    /// When there is something to do next.
    pub fn next_wake(&self) -> Instant {
        if let Some(until) = self.backoff.until() {
            return until;
        }
        let now = Instant::now();
        if self.unfinished || !self.mirror_is_fresh {
            return now;
        }
        let mut wake = self.next_list.min(self.next_survey);
        for trouble in self.troubles.values() {
            wake = wake.min(trouble.next);
        }
        let now_ms = self.clock.now_ms();
        let actions = self.desired.iter().flat_map(|state| &state.actions).map(|action| action.expires_ms);
        let ends = actions.chain(self.adopted.iter().map(|own| own.expires_ms)).flatten();
        for end_ms in ends.filter(|end_ms| *end_ms > self.judged_ms) {
            // At least a millisecond, so that no rounding can make this a busy loop.
            let left_ms = u64::try_from(end_ms.saturating_sub(now_ms)).unwrap_or(0).max(1);
            wake = wake.min(now.checked_add(Duration::from_millis(left_ms)).unwrap_or(self.next_list));
        }
        wake
    }

    /// Brings the gateway to the desired state, as far as it lets us.
    pub async fn pass(&mut self, inbox: &watch::Receiver<Option<DesiredState>>) -> Ended {
        match self.try_pass(inbox).await {
            Ok(ended) => {
                self.backoff.succeeded();
                self.failure = None;
                self.interruptions = if ended == Ended::Interrupted { self.interruptions + 1 } else { 0 };
                ended
            }
            Err(error) => {
                self.gateway_failed(&error).await;
                Ended::Done
            }
        }
    }

    async fn try_pass(&mut self, inbox: &watch::Receiver<Option<DesiredState>>) -> Result<Ended, GatewayError> {
        if self.list_if_due(inbox).await? == Ended::Interrupted {
            return Ok(Ended::Interrupted);
        }
        let rails = self.rails();
        let (decided, looked_up) = self.decide(&rails).await;
        self.unfinished = decided.unfinished;
        let mut wanted = self.wanted(&decided);
        let mut ended = self.bring_about(&wanted, inbox).await;
        // A gateway that is away, or asks to be left alone, is asked nothing more.
        if ended.as_ref().map_or_else(|error| !is_hopeless(error), |ended| *ended == Ended::Done) {
            let mut then = Ok(self.survey_if_due(&wanted, inbox).await);
            if then == Ok(Ended::Done) && !wanted.waiting.is_empty() {
                wanted = self.wanted(&decided);
                then = self.bring_about(&wanted, inbox).await;
            }
            ended = ended.and(then);
        }
        self.report(&decided, &wanted);
        looked_up.and(ended)
    }

    /// What the gateway is to hold, as far as it can be said by what is known of others' plugins.
    fn wanted(&self, decided: &Decided) -> Wanted {
        let folded = fold(&self.settings.installation, &decided.acting, self.clock.now_ms());
        let is_limit = |plugin: &DesiredPlugin| matches!(plugin.config, PluginConfig::RateLimit(_));
        let (limits, plugins): (Vec<_>, Vec<_>) = folded.into_iter().partition(is_limit);
        let is_all = self.desired.is_some() || decided.takes_everything_off;
        let mut wanted = Wanted { plugins, is_all, ..Wanted::default() };
        let Some(surveyed) = self.surveyed else {
            wanted.waiting = limits;
            return wanted;
        };
        let knows_places = self.survey.has_places || !limits::need_places(&limits);
        let is_fresh = knows_places && surveyed.elapsed() < self.settings.resync_interval;
        let judged = limits::judge(&self.survey, limits);
        for limit in judged.allowed {
            let stands = self.mirror.get(&limit.id).is_some_and(|there| is_as(there, &limit));
            let list =
                if is_fresh || stands || !self.is_due(&limit) { &mut wanted.plugins } else { &mut wanted.waiting };
            list.push(limit);
        }
        for (limit, why) in judged.refused {
            if is_fresh { wanted.refused.push((limit, why)) } else { wanted.waiting.push(limit) }
        }
        wanted
    }

    /// Changes what has to change.
    async fn bring_about(
        &mut self,
        wanted: &Wanted,
        inbox: &watch::Receiver<Option<DesiredState>>,
    ) -> Result<Ended, GatewayError> {
        let desired = wanted.is_all.then_some(wanted.plugins.as_slice());
        let waiting: BTreeSet<&str> = wanted.waiting.iter().map(|limit| limit.id.as_str()).collect();
        let actual = self.mirror.values().filter(|plugin| !waiting.contains(plugin.id.as_str()));
        let plan = plan(&self.settings.installation, desired, actual, self.clock.now_ms());
        self.remember(&plan, wanted);
        let mut first_failure = None;
        for phase in self.phases(plan) {
            // After a failure the gateway is left alone for a while, so nothing new would be served sooner.
            match self.carry_out(phase, first_failure.is_none().then_some(inbox)).await {
                Ok(Ended::Done) => {}
                Ok(Ended::Interrupted) => return Ok(Ended::Interrupted),
                Err(error) => drop(first_failure.get_or_insert(error)),
            }
        }
        if self.mirror_is_fresh {
            self.surprises = 0;
        }
        first_failure.map_or(Ok(Ended::Done), Err)
    }

    /// What the plan leaves behind besides its changes.
    fn remember(&mut self, plan: &Plan, wanted: &Wanted) {
        let plugins = wanted.plugins.iter().chain(&wanted.waiting);
        let ids: BTreeSet<&str> = plugins.map(|plugin| plugin.id.as_str()).collect();
        self.confirmed.retain(|id, _| ids.contains(id.as_str()));
        self.troubles.retain(|id, _| ids.contains(id.as_str()));
        for plugin in &plan.in_place {
            self.confirmed.insert(plugin.id.clone(), plugin.clone());
            self.troubles.remove(&plugin.id);
        }
        for action in plan.create.iter().chain(&plan.replace).flat_map(|plugin| &plugin.actions) {
            self.ledger.reopen(*action);
        }
    }
}
