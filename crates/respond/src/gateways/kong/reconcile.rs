//! One pass of the responder: look, decide, change, report.
//!
//! What it remembers of the gateway is a mirror of our own plugins. While the mirror is fresh, a new desired state is
//! written without listing anything first; after any failure or surprise the gateway is listed before it is written.
//!
//! A rate limit is written only after a fresh look at others' plugins, which it must not weaken. Blocks do not wait for
//! it: a pass goes through its changes once without such limits, looks, and once more.

mod look;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use outrider_model::{ActionId, ActionReport, DesiredAction, DesiredState, FailureReason, ReportedState};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::admin::AdminApi;
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
    /// Some could not be decided in this pass.
    unfinished: bool,
}

/// What the gateway is to hold now.
#[derive(Debug, Default)]
struct Wanted {
    plugins: Vec<DesiredPlugin>,
    /// Limits that would weaken one of others, and why.
    refused: Vec<(DesiredPlugin, String)>,
    /// Limits that wait for a fresh look at others' plugins. The gateway's own of them stay as they are.
    waiting: Vec<DesiredPlugin>,
}

enum Change {
    Write { wanted: Box<DesiredPlugin>, known: bool },
    Delete(OwnPlugin),
}

enum Changed {
    Written(Box<DesiredPlugin>, Result<Written, GatewayError>),
    Deleted(String, Result<Deleted, GatewayError>),
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
        let decided = self.decide(&rails).await?;
        self.unfinished = decided.unfinished;
        let mut wanted = self.wanted(&decided);
        let mut ended = self.bring_about(&wanted, inbox).await?;
        if ended == Ended::Done {
            ended = self.survey_if_due(!wanted.waiting.is_empty(), inbox).await;
        }
        if ended == Ended::Done && !wanted.waiting.is_empty() {
            wanted = self.wanted(&decided);
            ended = self.bring_about(&wanted, inbox).await?;
        }
        self.report(&decided, &wanted);
        Ok(ended)
    }

    /// What the gateway is to hold, as far as it can be said by what is known of others' plugins.
    fn wanted(&self, decided: &Decided) -> Wanted {
        let folded = fold(&self.settings.installation, &decided.acting, self.clock.now_ms());
        let is_limit = |plugin: &DesiredPlugin| matches!(plugin.config, PluginConfig::RateLimit(_));
        let (limits, plugins): (Vec<_>, Vec<_>) = folded.into_iter().partition(is_limit);
        let mut wanted = Wanted { plugins, ..Wanted::default() };
        let Some(surveyed) = self.surveyed else {
            wanted.waiting = limits;
            return wanted;
        };
        let is_fresh = surveyed.elapsed() < self.settings.resync_interval;
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
        let desired = self.desired.as_ref().map(|_| wanted.plugins.as_slice());
        let waiting: BTreeSet<&str> = wanted.waiting.iter().map(|limit| limit.id.as_str()).collect();
        let actual = self.mirror.values().filter(|plugin| !waiting.contains(plugin.id.as_str()));
        let plan = plan(&self.settings.installation, desired, actual, self.clock.now_ms());
        self.remember(&plan, wanted);
        for phase in self.phases(plan) {
            if self.carry_out(phase, inbox).await? == Ended::Interrupted {
                return Ok(Ended::Interrupted);
            }
        }
        if self.mirror_is_fresh {
            self.surprises = 0;
        }
        Ok(Ended::Done)
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
        self.adopted.clone_from(&plan.adopted);
    }

    /// The plan's changes in the order in which they have to happen: what is in the way, then what protects, then what
    /// is over.
    fn phases(&self, plan: Plan) -> [Vec<Change>; 3] {
        let deletions = |list: Vec<OwnPlugin>| list.into_iter().map(Change::Delete).collect();
        let create = plan.create.into_iter().map(|wanted| (wanted, false));
        let replace = plan.replace.into_iter().map(|wanted| (wanted, true));
        let writes = create.chain(replace).filter(|(wanted, _)| self.is_due(wanted));
        [
            deletions(plan.clear),
            writes.map(|(wanted, known)| Change::Write { wanted: Box::new(wanted), known }).collect(),
            deletions(plan.delete),
        ]
    }

    /// A plugin in trouble waits for its time unless something else is wanted of it now.
    fn is_due(&self, wanted: &DesiredPlugin) -> bool {
        let trouble = self.troubles.get(&wanted.id);
        trouble.is_none_or(|trouble| trouble.next <= Instant::now() || trouble.wanted != *wanted)
    }

    /// Carries out changes that do not depend on each other, several at a time.
    async fn carry_out(
        &mut self,
        changes: Vec<Change>,
        inbox: &watch::Receiver<Option<DesiredState>>,
    ) -> Result<Ended, GatewayError> {
        let mut queue = changes.into_iter();
        let mut running = JoinSet::new();
        let mut first_failure = None;
        let mut interrupted = false;
        loop {
            while running.len() < WRITES_IN_FLIGHT && first_failure.is_none() && !interrupted {
                let Some(change) = queue.next() else { break };
                // Somebody may be releasing everything right now, in another process.
                if matches!(change, Change::Write { .. }) && self.files.held().is_some() {
                    self.unfinished = true;
                    break;
                }
                let (admin, installation) = (Arc::clone(&self.admin), self.settings.installation.clone());
                let gateway = self.settings.gateway.clone();
                running.spawn(async move {
                    match change {
                        Change::Write { wanted, known } => {
                            let spans = ChangeSpans::new(&installation, &gateway, "write", &wanted.actions);
                            let ended = spans.around(write(admin.as_ref(), &installation, &wanted, known)).await;
                            Changed::Written(wanted, ended)
                        }
                        Change::Delete(own) => {
                            let spans = ChangeSpans::new(&installation, &gateway, "delete", &own.actions);
                            let ended = spans.around(delete(admin.as_ref(), &installation, &own.id)).await;
                            Changed::Deleted(own.id, ended)
                        }
                    }
                });
            }
            let Some(changed) = running.join_next().await else { break };
            let outcome = match changed {
                Ok(changed) => self.note(changed),
                Err(error) => Err(GatewayError::Unreachable { detail: format!("a change was broken off: {error}") }),
            };
            if let Err(error) = outcome {
                first_failure.get_or_insert(error);
            }
            interrupted = interrupted || (queue.len() > 0 && self.may_interrupt(inbox));
        }
        match first_failure {
            Some(error) => Err(error),
            None if interrupted => Ok(Ended::Interrupted),
            None => Ok(Ended::Done),
        }
    }

    fn may_interrupt(&self, inbox: &watch::Receiver<Option<DesiredState>>) -> bool {
        self.interruptions < INTERRUPTIONS_MAX && inbox.has_changed().unwrap_or(false)
    }

    /// Takes one change's outcome into the mirror.
    fn note(&mut self, changed: Changed) -> Result<(), GatewayError> {
        match changed {
            Changed::Written(wanted, Ok(Written::Stored { plugin, consumer_plugins })) => {
                self.counters.written += 1;
                if self.confirmed.get(&wanted.id) == Some(&*wanted) {
                    self.counters.repaired += 1;
                    tracing::warn!(
                        gateway = self.settings.gateway,
                        plugin = wanted.id,
                        "somebody had changed our plugin; wrote it again"
                    );
                }
                if let Some(plugins) = consumer_plugins {
                    self.survey.update_consumer(&self.settings.installation, &wanted.scope.consumer_id, plugins);
                }
                self.troubles.remove(&wanted.id);
                self.mirror.insert(plugin.id.clone(), *plugin);
                self.tell_stored(&wanted);
                self.confirmed.insert(wanted.id.clone(), *wanted);
            }
            Changed::Written(wanted, Ok(Written::Trouble(reason))) => self.note_trouble(*wanted, reason),
            Changed::Written(wanted, Ok(Written::Surprise(message))) => {
                self.mirror_is_fresh = false;
                self.surprises += 1;
                if self.surprises > SURPRISES_MAX {
                    let detail = format!("it does not list our plugin {} and refuses a new one: {message}", wanted.id);
                    return Err(GatewayError::UnexpectedAnswer { status: 409, detail, retry_after_s: None });
                }
            }
            Changed::Deleted(id, Ok(ended)) => {
                if ended == Deleted::Foreign {
                    tracing::warn!(
                        gateway = self.settings.gateway,
                        plugin = id,
                        "left a plugin alone that lost our tags"
                    );
                } else {
                    self.counters.deleted += 1;
                }
                self.mirror.remove(&id);
            }
            Changed::Written(_, Err(error)) | Changed::Deleted(_, Err(error)) => return Err(error),
        }
        Ok(())
    }

    fn note_trouble(&mut self, wanted: DesiredPlugin, reason: FailureReason) {
        let before = self.troubles.get(&wanted.id).filter(|trouble| trouble.wanted == wanted);
        let attempt = before.map_or(1, |trouble| trouble.attempt.saturating_add(1));
        let wait = match reason {
            // The operator may remove theirs at any time, and then ours is needed.
            FailureReason::OperatorPlugin { .. } => self.settings.resync_interval,
            _ => self.settings.resync_interval.saturating_mul(1 << attempt.min(6)),
        };
        let trouble = Trouble { reason, attempt, next: Instant::now() + wait, wanted };
        self.troubles.insert(trouble.wanted.id.clone(), trouble);
    }
}
