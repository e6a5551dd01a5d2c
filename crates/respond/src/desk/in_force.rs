//! When a stored action is in force: the platform's own word, from the log (decision 17).
//!
//! A refusal that our plugin made for the target, in the action's scope, begins a wait. A call of the target in that
//! scope that was let through ends it, and the next refusal begins it anew: a gateway's workers and nodes follow a
//! change one by one. When the wait has lasted as long as the gateway needs, the action is in force. An allowed call
//! after that takes it back to stored. Without any call it stays stored: stored, not observed.
//!
//! Calls are compared by when they began, since a call that was let in before the change may end after it. Only a call
//! that reached the API counts as let through: the gateway's other refusals may come before ours and say nothing.
//!
//! A rate limit lets calls through by design, so they say nothing of it: it is in force with its first refusal that
//! began after the gateway had its time to follow. One that nobody reaches stays stored: stored, not observed.

use outrider_model::{ActionId, ActionKind, ActionScope, ActionState, Actor, ApiCall, ClockCheck, EntityKey, Trust};
use serde::{Deserialize, Serialize};

use super::actions::{ActionEntry, HISTORY_MAX};
use super::settings::ms;
use super::{Cause, Desk, words};

/// What was seen of an action in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Watch {
    /// The first refusal after the latest allowed call.
    refusal: Option<Refusal>,
    /// When the latest allowed call began.
    allowed_started_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Refusal {
    /// When it began, by the gateway.
    started_ms: i64,
    /// Log time at which it was seen.
    seen_ms: i64,
}

impl Desk {
    /// The target key of the consumer that a call names, if the log may speak of it.
    pub(super) fn consumer_key(call: &ApiCall<'_>) -> Option<u64> {
        let consumer = call.consumer.as_ref()?;
        (call.trust == Trust::Trusted).then(|| Actor::Consumer(&consumer.id).entity(call).target_key())
    }

    /// Looks at a call of a consumer for what it says of the actions against it.
    pub(super) fn watch(&mut self, target: u64, call: &ApiCall<'_>) {
        let is_refusal = call.own_refusal.as_ref().is_some_and(|by| by.as_str() == self.installation);
        let started_ms = started_ms(call);
        for index in 0..self.actions.of_target(target).len() {
            let id = self.actions.of_target(target)[index];
            let Some(entry) = self.actions.rows.get_mut(&id) else { continue };
            if complete_target(&mut entry.action.target, call) {
                self.outbox.actions.insert(id);
            }
            if !entry.action.state.is_desired() || !in_scope(&entry.action.scope, call) {
                continue;
            }
            if matches!(entry.action.kind, ActionKind::RateLimit { .. }) {
                self.watch_limit(id, call);
                continue;
            }
            let watch = &mut entry.watch;
            if !is_refusal && !call.was_proxied() {
                continue;
            }
            if is_refusal {
                let is_after = watch.allowed_started_ms.is_none_or(|allowed_ms| started_ms > allowed_ms);
                if watch.refusal.is_none() && is_after {
                    watch.refusal = Some(Refusal { started_ms, seen_ms: self.now_ms });
                    self.reschedule_action(id);
                }
                continue;
            }
            watch.allowed_started_ms = watch.allowed_started_ms.max(Some(started_ms));
            if watch.refusal.is_some_and(|refusal| started_ms > refusal.started_ms) {
                watch.refusal = None;
                self.leave_in_force(id);
                self.reschedule_action(id);
            }
        }
    }

    /// When a stored action will be in force if nothing more is let through.
    pub(super) fn in_force_due_ms(&self, entry: &ActionEntry) -> Option<i64> {
        match entry.watch.refusal {
            Some(refusal) if entry.action.state == ActionState::Stored => {
                Some(refusal.seen_ms.saturating_add(ms(self.settings.actions.in_force_after)))
            }
            _ => None,
        }
    }

    pub(super) fn enter_in_force(&mut self, id: ActionId) {
        let due_ms = self.actions.rows.get(&id).and_then(|entry| self.in_force_due_ms(entry));
        if due_ms.is_some_and(|due_ms| due_ms <= self.now_ms) {
            let wait = words::length(ms(self.settings.actions.in_force_after));
            let reason = format!("its refusals are in the log, and nothing was let through for {wait}");
            self.move_action(id, ActionState::InForce, &Cause::Outrider, &reason);
        } else {
            self.reschedule_action(id);
        }
    }

    fn leave_in_force(&mut self, id: ActionId) {
        let Some(entry) = self.actions.rows.get(&id) else { return };
        if entry.action.state != ActionState::InForce {
            return;
        }
        // A step back needs room for itself, for being in force again, and for the end.
        if entry.action.history.len() + 4 > HISTORY_MAX {
            self.counters.steps_over_limit += 1;
            return;
        }
        self.move_action(id, ActionState::Stored, &Cause::Outrider, "a call was let through while it was in force");
    }
}

/// When a call began, as far as the gateway's clock can be believed.
pub(super) fn started_ms(call: &ApiCall<'_>) -> i64 {
    if call.clock == ClockCheck::AsReported { call.started_ms } else { call.event_ms }
}

/// Adds what a person who acted by id left open: the log knows the workspace and the name. True if something was added.
fn complete_target(target: &mut EntityKey, call: &ApiCall<'_>) -> bool {
    let Some(consumer) = &call.consumer else { return false };
    let parts = [(&mut target.workspace, call.workspace.as_str()), (&mut target.label, consumer.username.as_str())];
    let mut is_changed = false;
    for (part, known) in parts {
        if part.is_empty() && !known.is_empty() {
            known.clone_into(part);
            is_changed = true;
        }
    }
    is_changed
}

pub(super) fn in_scope(scope: &ActionScope, call: &ApiCall<'_>) -> bool {
    match scope {
        ActionScope::Consumer => true,
        ActionScope::Service { id, .. } => call.service.as_ref().is_some_and(|service| service.id.as_str() == id),
        ActionScope::Route { id, .. } => call.route.as_ref().is_some_and(|route| route.id.as_str() == id),
    }
}
