//! Actions: their life (decision 17), their limits, and what of them a gateway is to hold.
//!
//! An action comes from a policy with its alert or from a person, and ends by its time, by a person, with its alert
//! being a false positive, or because the gateway cannot take it. Nothing lengthens an action: its time counts from the
//! call that completed its finding (decision 12), or, asked for by a person, from their decision. While it lasts, later
//! findings of the same policy start nothing; once it is over, the next finding may start a new one. What a person
//! ended or rejected, and what the gateway could not take, the same alert does not start again.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use foldhash::fast::FixedState;
use outrider_model::{
    Action, ActionId, ActionReport, ActionScope, ActionState, ActionStep, AlertId, DesiredAction, DesiredState,
    EntityKey, EntityKind, Origin, ReportedState,
};
use serde::{Deserialize, Serialize};

use super::effects::Effect;
use super::in_force::Watch;
use super::schedule::Item;
use super::settings::ms;
use super::{Cause, Desk, words};

/// Steps that an action's history holds. Only going back and forth between stored and in force makes many; close to the
/// limit an action stays in force.
pub const HISTORY_MAX: usize = 100;
/// Characters of a reason that comes from a responder or a detector.
const REASON_CHARS_MAX: usize = 500;
/// Scopes listed as not covered.
const NOT_COVERED_MAX: usize = 100;

/// Whether an action may go from one state to another; from nothing at its beginning.
pub fn may_follow(from: Option<ActionState>, to: ActionState) -> bool {
    use ActionState::{Approved, Failed, InForce, Pending, Proposed, Rejected, Released, Releasing, Stored, TooLate};
    match (from, to) {
        (None, Proposed | Pending | TooLate) => true,
        (Some(Proposed), Approved | Rejected | TooLate) => true,
        (Some(Approved | Pending), Stored | Releasing | Failed) => true,
        (Some(Stored), InForce | Releasing | Failed) => true,
        // An allowed call says that the gateway does not refuse everything: the wait begins anew.
        (Some(InForce), Stored | Releasing | Failed) => true,
        (Some(Releasing), Released) => true,
        _ => false,
    }
}

/// An action with what only the desk needs to know of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ActionEntry {
    pub(super) action: Action,
    pub(super) watch: Watch,
    /// The target's custom id and tags, as far as the evidence named them: for never-block rules that come later.
    pub(super) custom_id: String,
    pub(super) tags: Vec<String>,
}

impl ActionEntry {
    /// It was started without a person: limits on automatic actions count it.
    pub(super) fn is_automatic(&self) -> bool {
        matches!(self.action.origin, Origin::Policy { .. })
            && !self.action.history.iter().any(|step| step.state == ActionState::Approved)
    }

    fn ended_ms(&self) -> Option<i64> {
        if !self.action.state.is_final() {
            return None;
        }
        self.action.history.last().map(|step| step.at_ms)
    }
}

/// All actions that the desk holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ActionBook {
    pub(super) rows: BTreeMap<ActionId, ActionEntry>,
    /// Log times at which automatic actions of the last hour started.
    pub(super) started_ms: VecDeque<i64>,
    /// Version of the desired set.
    pub(super) version: u64,
    /// Actions whose life goes on, by the key of their target.
    unfinished: HashMap<u64, Vec<ActionId>, FixedState>,
    /// Finished actions by the time they finished.
    finished: BTreeSet<(i64, ActionId)>,
}

impl ActionBook {
    pub(super) fn new(rows: Vec<ActionEntry>, started_ms: Vec<i64>, version: u64) -> Self {
        let mut book = ActionBook { started_ms: started_ms.into(), version, ..ActionBook::default() };
        for entry in rows {
            book.index(&entry);
            book.rows.insert(entry.action.id, entry);
        }
        book
    }

    /// The unfinished actions of a target, in the order of their ids.
    pub(super) fn of_target(&self, target: u64) -> &[ActionId] {
        self.unfinished.get(&target).map_or(&[], Vec::as_slice)
    }

    /// Actions that ended at or after a time, with when they did.
    pub(super) fn ended_since(&self, since_ms: i64) -> impl Iterator<Item = (i64, &Action)> {
        let ended = self.finished.range((since_ms, ActionId(0))..);
        ended.filter_map(|(ended_ms, id)| Some((*ended_ms, &self.rows.get(id)?.action)))
    }

    /// Unfinished actions that satisfy a predicate.
    pub(super) fn count_unfinished(&self, is_counted: impl Fn(&ActionEntry) -> bool) -> usize {
        self.unfinished.values().flatten().filter_map(|id| self.rows.get(id)).filter(|entry| is_counted(entry)).count()
    }

    /// Automatic actions started within the hour before `now_ms`.
    pub(super) fn started_within_hour(&self, now_ms: i64) -> usize {
        self.started_ms.iter().filter(|started_ms| **started_ms > now_ms - 3_600_000).count()
    }

    fn count_start(&mut self, now_ms: i64) {
        while self.started_ms.front().is_some_and(|started_ms| *started_ms <= now_ms - 3_600_000) {
            self.started_ms.pop_front();
        }
        self.started_ms.push_back(now_ms);
    }

    fn index(&mut self, entry: &ActionEntry) {
        let (id, target) = (entry.action.id, entry.action.target.target_key());
        if let Some(ended_ms) = entry.ended_ms() {
            self.finished.insert((ended_ms, id));
            if let Some(ids) = self.unfinished.get_mut(&target) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.unfinished.remove(&target);
                }
            }
            return;
        }
        let ids = self.unfinished.entry(target).or_default();
        if let Err(place) = ids.binary_search(&id) {
            ids.insert(place, id);
        }
    }
}

/// What a new action is made of.
pub(super) struct NewAction {
    pub(super) id: ActionId,
    pub(super) alert: Option<AlertId>,
    pub(super) origin: Origin,
    pub(super) target: EntityKey,
    pub(super) scope: ActionScope,
    pub(super) kind: outrider_model::ActionKind,
    pub(super) reason: String,
    pub(super) expires_ms: Option<i64>,
    pub(super) custom_id: String,
    pub(super) tags: Vec<String>,
}

impl Desk {
    /// Makes room for one more action; false if every action held is unfinished.
    pub(super) fn has_room_for_action(&mut self) -> bool {
        while self.actions.rows.len() >= self.settings.actions.held_max {
            match self.actions.finished.first().copied() {
                Some((_, id)) => self.forget_action(id),
                None => {
                    self.counters.actions_over_limit += 1;
                    return false;
                }
            }
        }
        true
    }

    /// Brings an action into being. The caller has made room.
    pub(super) fn start_action(&mut self, new: NewAction, state: ActionState, by: &Cause<'_>, state_reason: &str) {
        let id = new.id;
        let action = Action {
            id,
            alert: new.alert,
            origin: new.origin,
            target: new.target,
            scope: new.scope,
            kind: new.kind,
            reason: words::shortened(&new.reason, REASON_CHARS_MAX),
            created_ms: self.now_ms,
            expires_ms: new.expires_ms,
            state,
            state_reason: state_reason.to_owned(),
            not_covered: Vec::new(),
            history: vec![ActionStep { at_ms: self.now_ms, state, reason: state_reason.to_owned() }],
        };
        debug_assert!(may_follow(None, state), "an action cannot begin as {state:?}");
        self.counters.actions_created += 1;
        let entry = ActionEntry { action, watch: Watch::default(), custom_id: new.custom_id, tags: new.tags };
        if entry.is_automatic() && state == ActionState::Pending {
            self.actions.count_start(self.now_ms);
        }
        self.actions.index(&entry);
        self.list_action(&entry.action);
        self.actions.rows.insert(id, entry);
        self.action_moved(id, None, by);
    }

    /// Takes an action to its next state. A step that is not in its life is refused, which no caller should see.
    pub(super) fn move_action(&mut self, id: ActionId, to: ActionState, by: &Cause<'_>, reason: &str) {
        let Some(entry) = self.actions.rows.get_mut(&id) else { return };
        let from = entry.action.state;
        if !may_follow(Some(from), to) {
            debug_assert!(false, "action {id} cannot go from {from:?} to {to:?}");
            return;
        }
        let reason = words::shortened(reason, REASON_CHARS_MAX);
        entry.action.state = to;
        entry.action.state_reason.clone_from(&reason);
        entry.action.history.push(ActionStep { at_ms: self.now_ms, state: to, reason });
        let entry = entry.clone();
        self.actions.index(&entry);
        self.settle(&entry, by);
        self.action_moved(id, Some(from), by);
    }

    fn action_moved(&mut self, id: ActionId, from: Option<ActionState>, by: &Cause<'_>) {
        let Some(entry) = self.actions.rows.get(&id) else { return };
        let (to, action) = (entry.action.state, &entry.action);
        let detail = match by {
            Cause::Person(_) | Cause::Configuration | Cause::Outrider if !action.state_reason.is_empty() => {
                format!("{}: {}", reference(action), action.state_reason)
            }
            _ => reference(action),
        };
        self.audit(by, step_word(to), &id.to_string(), &detail);
        let is_desired_before = from.is_some_and(ActionState::is_desired);
        let touches_release = from == Some(ActionState::Releasing) || to == ActionState::Releasing;
        if is_desired_before != to.is_desired() || touches_release {
            self.new_version();
        }
        self.outbox.actions.insert(id);
        self.reschedule_action(id);
    }

    /// A person's word and a gateway's refusal stand for the whole alert: its policy does not start the same again.
    fn settle(&mut self, entry: &ActionEntry, by: &Cause<'_>) {
        let action = &entry.action;
        let is_settled = match action.state {
            ActionState::Rejected | ActionState::Failed => true,
            ActionState::Releasing => matches!(by, Cause::Person(_)),
            _ => false,
        };
        let (Some(alert), Origin::Policy { policy, .. }) = (action.alert, &action.origin) else { return };
        if is_settled && let Some(entry) = self.alerts.rows.get_mut(&alert) {
            let settled = (*policy, action.scope.clone());
            if !entry.settled.contains(&settled) && entry.settled.len() < super::policies::POLICIES_MAX {
                entry.settled.push(settled);
            }
        }
    }

    /// The version grows with log time, so that a desk that begins anew is not behind what a responder has seen.
    fn new_version(&mut self) {
        let by_time = u64::try_from(self.now_ms).unwrap_or_default();
        self.actions.version = by_time.max(self.actions.version + 1);
    }

    pub(super) fn reschedule_action(&mut self, id: ActionId) {
        let due_ms = self.actions.rows.get(&id).and_then(|entry| {
            if let Some(ended_ms) = entry.ended_ms() {
                return Some(ended_ms.saturating_add(ms(self.settings.actions.remember_ended)));
            }
            if entry.action.state == ActionState::Releasing {
                return None;
            }
            let in_force_ms = self.in_force_due_ms(entry);
            match (entry.action.expires_ms, in_force_ms) {
                (Some(expires_ms), Some(in_force_ms)) => Some(expires_ms.min(in_force_ms)),
                (expires_ms, in_force_ms) => expires_ms.or(in_force_ms),
            }
        });
        self.schedule.set(Item::Action(id), due_ms);
    }

    /// What happens to an action by itself when its time has come.
    pub(super) fn action_due(&mut self, id: ActionId) {
        let Some(entry) = self.actions.rows.get(&id) else { return };
        let state = entry.action.state;
        let is_over = entry.action.expires_ms.is_some_and(|expires_ms| expires_ms <= self.now_ms);
        if state.is_final() {
            self.forget_action(id);
        } else if state == ActionState::Proposed && is_over {
            self.move_action(id, ActionState::TooLate, &Cause::Outrider, "nobody approved it before its time was over");
        } else if state.is_desired() && is_over {
            self.move_action(id, ActionState::Releasing, &Cause::Outrider, "its time is over");
        } else {
            self.enter_in_force(id);
        }
    }

    pub(super) fn forget_action(&mut self, id: ActionId) {
        self.schedule.set(Item::Action(id), None);
        let Some(entry) = self.actions.rows.remove(&id) else { return };
        if let Some(ended_ms) = entry.ended_ms() {
            self.actions.finished.remove(&(ended_ms, id));
        }
        if self.outbox.actions.remove(&id) {
            self.outbox.last_words.push(Effect::Action(Box::new(entry.action)));
        }
    }

    /// Ends everything that came from an alert: what is active is released, what is proposed is rejected.
    pub(super) fn end_actions_of(&mut self, alert: AlertId, by: &Cause<'_>, reason: &str) {
        self.end_actions_where(by, reason, |entry| entry.action.alert == Some(alert));
    }

    pub(super) fn end_actions_where(&mut self, by: &Cause<'_>, reason: &str, is_ended: impl Fn(&ActionEntry) -> bool) {
        let ids: Vec<_> = self.actions.rows.values().filter(|entry| is_ended(entry)).map(|e| e.action.id).collect();
        for id in ids {
            match self.actions.rows.get(&id).map(|entry| entry.action.state) {
                Some(ActionState::Proposed) => self.move_action(id, ActionState::Rejected, by, reason),
                Some(state) if state.is_desired() => self.move_action(id, ActionState::Releasing, by, reason),
                _ => {}
            }
        }
    }

    /// What a responder says became of an action. It enters the log as a record; a report that comes too late, or about
    /// nothing that is known, changes nothing and is counted.
    pub fn on_report(&mut self, report: &ActionReport) {
        let Some(entry) = self.actions.rows.get(&report.action) else {
            self.counters.reports_unknown += 1;
            return;
        };
        let (id, state) = (report.action, entry.action.state);
        if state.is_final() {
            self.counters.reports_late += 1;
            return;
        }
        if state == ActionState::Proposed {
            self.counters.reports_unexpected += 1;
            return;
        }
        let is_releasing = state == ActionState::Releasing;
        match &report.state {
            ReportedState::Stored { not_covered, .. } if is_releasing => self.set_not_covered(id, not_covered),
            ReportedState::Stored { plugin_id, not_covered } => {
                self.set_not_covered(id, not_covered);
                if matches!(state, ActionState::Approved | ActionState::Pending) {
                    let plugin_id = words::shortened(plugin_id, 64);
                    let reason = format!("plugin {plugin_id}; no refusal of it has been seen yet");
                    self.move_action(id, ActionState::Stored, &Cause::Responder, &reason);
                }
            }
            ReportedState::Released => {
                if !is_releasing {
                    let reason = "the responder has taken it away by itself";
                    self.move_action(id, ActionState::Releasing, &Cause::Responder, reason);
                }
                self.move_action(id, ActionState::Released, &Cause::Responder, "the gateway holds it no more");
            }
            ReportedState::Retrying { reason, attempt } => {
                self.set_state_reason(id, &format!("attempt {attempt} failed and will be repeated: {reason}"));
            }
            // What cannot be written may still be there: only the word that it is gone ends a release.
            ReportedState::Failed { reason } if is_releasing => self.set_state_reason(id, &reason.to_string()),
            ReportedState::Failed { reason } => {
                self.move_action(id, ActionState::Failed, &Cause::Responder, &reason.to_string());
            }
        }
    }

    fn set_state_reason(&mut self, id: ActionId, reason: &str) {
        let reason = words::shortened(reason, REASON_CHARS_MAX);
        if let Some(entry) = self.actions.rows.get_mut(&id)
            && entry.action.state_reason != reason
        {
            entry.action.state_reason = reason;
            self.outbox.actions.insert(id);
        }
    }

    fn set_not_covered(&mut self, id: ActionId, not_covered: &[String]) {
        let not_covered = &not_covered[..not_covered.len().min(NOT_COVERED_MAX)];
        if let Some(entry) = self.actions.rows.get_mut(&id)
            && entry.action.not_covered != not_covered
        {
            entry.action.not_covered =
                not_covered.iter().map(|scope| words::shortened(scope, REASON_CHARS_MAX)).collect();
            self.outbox.actions.insert(id);
        }
    }

    /// Everything that one gateway is to hold now, and what of ours it is to hold no more. What ended longer ago than the
    /// desk remembers is not among it; the gateway has not held it since.
    pub fn desired(&self, gateway: &str) -> DesiredState {
        let mut desired = DesiredState {
            version: self.desired_version(),
            installation: self.installation.clone(),
            gateway: gateway.to_owned(),
            actions: Vec::new(),
            releasing: Vec::new(),
            ended: Vec::new(),
        };
        for entry in self.actions.rows.values().filter(|entry| entry.action.target.gateway == gateway) {
            let action = &entry.action;
            if action.state == ActionState::Releasing {
                desired.releasing.push(action.id);
            } else if matches!(action.state, ActionState::Released | ActionState::Failed) {
                desired.ended.push(action.id);
            } else if action.state.is_desired() && action.target.kind == EntityKind::Consumer {
                desired.actions.push(DesiredAction {
                    id: action.id,
                    workspace: action.target.workspace.clone(),
                    consumer_id: action.target.value.clone(),
                    consumer_name: action.target.label.clone(),
                    scope: action.scope.clone(),
                    kind: action.kind.clone(),
                    expires_ms: action.expires_ms,
                    by_person: !entry.is_automatic(),
                });
            }
        }
        desired
    }

    /// Grows with each change of what any gateway is to hold or to release, and with nothing else.
    pub fn desired_version(&self) -> u64 {
        self.actions.version
    }
}

/// The target as the audit log names it: by id. Its name, and the reasons of policies and responders, which may have
/// it in them, stay in the action's own row, from where they can be erased (decision 24).
fn reference(action: &Action) -> String {
    format!("{} {}{}", action.target.kind, action.target.value, words::at_scope(&action.scope))
}

fn step_word(state: ActionState) -> &'static str {
    match state {
        ActionState::Proposed => "proposed",
        ActionState::Approved => "approved",
        ActionState::Rejected => "rejected",
        ActionState::Pending => "ordered",
        ActionState::Stored => "stored",
        ActionState::InForce => "saw in force",
        ActionState::Releasing => "ended",
        ActionState::Released => "released",
        ActionState::Failed => "failed",
        ActionState::TooLate => "came too late",
    }
}
