//! Which refusals are those of our own rate limits (decision 20).
//!
//! Kong's Rate Limiting marks its answer in no way that the log shows, so a refusal is joined with the actions: a limit
//! of ours against this consumer, at this place, with this status, that the gateway may hold at the time. A limit of the
//! operator's own that refuses the same consumer with the same status meanwhile is taken for ours; that keeps a refusal
//! from the profiles and nothing else.

use outrider_model::{Action, ActionId, ActionKind, ActionState, AnsweredBy, ApiCall};

use super::in_force::{in_scope, started_ms};
use super::settings::ms;
use super::{Cause, Desk};

/// A gateway follows the end of a limit as it follows its beginning, and its line may be read this much later.
const LATE_MS_MAX: i64 = 60_000;

impl Desk {
    /// Whether a rate limit of ours refused this call of a consumer.
    pub(super) fn is_limited_by_us(&self, target: u64, call: &ApiCall<'_>) -> bool {
        if call.answered_by != AnsweredBy::Gateway || call.own_refusal.is_some() {
            return false;
        }
        let unfinished = self.actions.of_target(target).iter().filter_map(|id| self.actions.rows.get(id));
        if unfinished.map(|entry| &entry.action).any(|action| may_be_there(action) && refuses(action, call)) {
            return true;
        }
        let follows_ms = ms(self.settings.actions.in_force_after);
        let since_ms = self.now_ms.saturating_sub(follows_ms.saturating_add(LATE_MS_MAX));
        self.actions.ended_since(since_ms).any(|(ended_ms, action)| {
            action.target.target_key() == target
                && matches!(action.state, ActionState::Released | ActionState::Failed)
                && started_ms(call) <= ended_ms.saturating_add(follows_ms)
                && refuses(action, call)
        })
    }

    /// Looks at a call in the scope of a rate limit for what it says of it.
    pub(super) fn watch_limit(&mut self, id: ActionId, call: &ApiCall<'_>) {
        let Some(action) = self.actions.rows.get(&id).map(|entry| &entry.action) else { return };
        let is_refusal = call.answered_by == AnsweredBy::Gateway && call.own_refusal.is_none() && refuses(action, call);
        if !is_refusal || action.state != ActionState::Stored {
            return;
        }
        let stored_ms = action.history.last().map_or(action.created_ms, |step| step.at_ms);
        if started_ms(call) >= stored_ms.saturating_add(ms(self.settings.actions.in_force_after)) {
            self.move_action(id, ActionState::InForce, &Cause::Outrider, "a refusal of it is in the log");
        }
    }
}

/// The gateway may hold it: it is desired, or waits to be taken away.
fn may_be_there(action: &Action) -> bool {
    action.state.is_desired() || action.state == ActionState::Releasing
}

/// A limit that answers so, here.
fn refuses(action: &Action, call: &ApiCall<'_>) -> bool {
    matches!(&action.kind, ActionKind::RateLimit { status, .. } if *status == call.status)
        && in_scope(&action.scope, call)
}
