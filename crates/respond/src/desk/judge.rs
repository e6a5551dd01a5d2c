//! What policies make of a finding: a note, a proposal, or an action.
//!
//! Every matching policy leaves a note on the alert. Of the enforcing ones those win in each scope that no other covers,
//! the widest scope first: a block covers a rate limit that ends no later. An action that an active one covers already is
//! not made again. Guard rails (decision 21), the age of
//! the evidence (12) and its trust (4) turn an action into a proposal that names each of them with its numbers.

use outrider_model::{
    ActionId, ActionKind, ActionScope, ActionState, AlertId, Duration, EntityKind, Finding, Fingerprint, Mode, Origin,
    PolicyId,
};

use super::actions::NewAction;
use super::commands::not_served;
use super::policies::{scope_covers, scope_for, scope_key};
use super::settings::ms;
use super::{Cause, Desk, words};

/// What a policy leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// Nothing, and why.
    Nothing(String),
    /// Its time is over before it begins.
    TooLate,
    /// A person has to decide, and why.
    Propose(String),
    /// The action, at once.
    Act,
}

/// What one policy wants to do about one finding.
struct Plan {
    policy: PolicyId,
    name: String,
    mode: Mode,
    kind: ActionKind,
    duration: Duration,
    scope: ActionScope,
    expires_ms: Option<i64>,
}

impl Plan {
    fn lasts_as_long_as(&self, other: &Plan) -> bool {
        ends_no_earlier(self.expires_ms, other.expires_ms)
    }
}

/// No end is the latest end.
fn ends_no_earlier(one: Option<i64>, other: Option<i64>) -> bool {
    one.unwrap_or(i64::MAX) >= other.unwrap_or(i64::MAX)
}

impl Desk {
    /// Applies all policies to a finding that was just merged into its alert.
    pub(super) fn apply_policies(&mut self, alert: AlertId, finding: &Finding) {
        let mut plans = Vec::new();
        let mut notes = Vec::new();
        for row in self.policies.matching(finding) {
            let policy = &row.policy;
            match target_scope(policy.scope, finding) {
                Err(why) => notes.push(format!("{}{}: {why}", policy.name, mode_word(policy.mode))),
                Ok(scope) => plans.push(Plan {
                    policy: row.id,
                    name: policy.name.clone(),
                    mode: policy.mode,
                    kind: policy.respond.action_kind(),
                    duration: policy.duration,
                    scope,
                    expires_ms: policy.duration.end_ms(finding.event_ms),
                }),
            }
        }
        plans.sort_by(|one, other| {
            let is_limit = |plan: &Plan| matches!(plan.kind, ActionKind::RateLimit { .. });
            let rank = |plan: &Plan| (plan.mode == Mode::Observe, scope_key(&plan.scope).0, is_limit(plan));
            let end = |plan: &Plan| std::cmp::Reverse(plan.expires_ms.unwrap_or(i64::MAX));
            (rank(one), end(one), &one.name).cmp(&(rank(other), end(other), &other.name))
        });
        let mut winners: Vec<Plan> = Vec::new();
        for plan in plans {
            let stronger = winners.iter().find(|winner| {
                winner.scope == plan.scope && winner.lasts_as_long_as(&plan) && winner.kind.covers(&plan.kind)
            });
            let verdict = match stronger {
                Some(stronger) if plan.mode == Mode::Enforce => {
                    Verdict::Nothing(format!("no action: policy {} is at least as strong here", stronger.name))
                }
                _ => self.judge(&plan, alert, finding),
            };
            notes.push(note_text(&plan, finding, &verdict));
            if plan.mode == Mode::Enforce {
                self.carry_out(&plan, alert, finding, &verdict);
                winners.push(plan);
            }
        }
        for note in notes {
            self.note(alert, note);
        }
    }

    fn judge(&self, plan: &Plan, alert: AlertId, finding: &Finding) -> Verdict {
        if let Some(why) = self.reason_for_nothing(plan, alert, finding) {
            return Verdict::Nothing(format!("no action: {why}"));
        }
        if plan.expires_ms.is_some_and(|expires_ms| expires_ms <= self.now_ms) {
            return Verdict::TooLate;
        }
        let reasons = self.reasons_to_propose(finding);
        if reasons.is_empty() { Verdict::Act } else { Verdict::Propose(reasons.join("; ")) }
    }

    /// Why a policy starts nothing: it has been settled for this alert, it runs already, or another covers it.
    fn reason_for_nothing(&self, plan: &Plan, alert: AlertId, finding: &Finding) -> Option<String> {
        let same_scope = |scope: &ActionScope| scope_key(scope) == scope_key(&plan.scope);
        let entry = self.alerts.rows.get(&alert)?;
        if entry.settled.iter().any(|(policy, scope)| *policy == plan.policy && same_scope(scope)) {
            return Some("for this alert it was ended or rejected by a person, or failed at the gateway".to_owned());
        }
        for id in self.actions.of_target(finding.entity.target_key()) {
            let Some(action) = self.actions.rows.get(id).map(|entry| &entry.action) else { continue };
            let is_own = matches!(&action.origin, Origin::Policy { policy, .. } if *policy == plan.policy);
            if is_own && same_scope(&action.scope) && action.state != ActionState::Releasing {
                return Some(format!("its action {id} is {}", words::state(action.state)));
            }
            let is_strong = ends_no_earlier(action.expires_ms, plan.expires_ms) && action.kind.covers(&plan.kind);
            if action.state.is_desired() && is_strong && scope_covers(&action.scope, &plan.scope, &finding.service_id) {
                return Some(format!("action {id} covers it already"));
            }
        }
        None
    }

    /// Everything that keeps an action from starting without a person, each with its numbers.
    fn reasons_to_propose(&self, finding: &Finding) -> Vec<String> {
        let mut reasons = Vec::new();
        if finding.target.untrusted {
            reasons.push("its evidence comes from lines that did not prove where they are from".to_owned());
        }
        let (age_ms, age_max_ms) = (self.now_ms - finding.event_ms, ms(self.settings.actions.evidence_age_max));
        if age_ms > age_max_ms {
            let (age, age_max) = (words::length(age_ms), words::length(age_max_ms));
            reasons.push(format!("its evidence is {age} old, and beyond {age_max} a person decides"));
        }
        if self.kill_switch.on {
            reasons.push(format!("the kill switch is on, set by {}", self.kill_switch.by));
        }
        if !self.is_served(&finding.entity.gateway) {
            reasons.push(not_served(&finding.entity.gateway));
        }
        if let Some(rule) = self.never_block.rule_for(&finding.entity, Some(finding)) {
            reasons.push(format!("never-block rule `{rule}`"));
        }
        let rails = &self.settings.guard_rails;
        let is_active = |entry: &super::actions::ActionEntry| entry.action.state.is_desired() && entry.is_automatic();
        let active = self.actions.count_unfinished(is_active);
        if active >= rails.active_actions_max {
            let most = rails.active_actions_max;
            reasons
                .push(format!("guard rail active_actions_max: {active} automatic actions are active, at most {most}"));
        }
        let started = self.actions.started_within_hour(self.now_ms);
        if started >= rails.actions_per_hour_max {
            let most = rails.actions_per_hour_max;
            reasons.push(format!(
                "guard rail actions_per_hour_max: {started} automatic actions started within an hour, at most {most}"
            ));
        }
        reasons.extend(self.share_rails(finding));
        reasons
    }

    /// The guard rails on the target's share of the gateway's last hour. The window of the finding is the abuse itself
    /// and is left out as long as what remains is enough to judge by.
    fn share_rails(&self, finding: &Finding) -> Vec<String> {
        let rails = &self.settings.guard_rails;
        let (gateway, target) = (finding.entity.gateway.as_str(), finding.entity.target_key());
        let window_start = finding.window_start_ms.div_euclid(60_000);
        let before = self.traffic.shares(gateway, target, window_start);
        let (Some(before), Some(all)) = (before, self.traffic.shares(gateway, target, i64::MAX)) else {
            return vec!["the traffic of this gateway is not followed, so the target's share is unknown".to_owned()];
        };
        let calls = if before.calls >= rails.calls_min { before } else { all };
        let addresses = if before.addresses >= rails.addresses_min { before } else { all };
        let cases = [
            (
                "target_calls_share_max",
                "calls",
                calls.target_calls,
                calls.calls,
                rails.calls_min,
                rails.target_calls_share_max,
            ),
            (
                "target_addresses_share_max",
                "client addresses",
                addresses.target_addresses,
                addresses.addresses,
                rails.addresses_min,
                rails.target_addresses_share_max,
            ),
        ];
        let mut reasons = Vec::new();
        for (rail, what, of_target, in_all, least, share_max) in cases {
            let share = of_target as f64 / in_all.max(1) as f64;
            if in_all >= least.max(1) && share > share_max {
                let (share, most) = (words::percent(share), words::percent(share_max));
                reasons.push(format!(
                    "guard rail {rail}: the target has {share} of the last hour's {what} ({of_target} of {in_all}), at most {most}"
                ));
            }
        }
        reasons
    }

    fn carry_out(&mut self, plan: &Plan, alert: AlertId, finding: &Finding, verdict: &Verdict) {
        let (state, why) = match verdict {
            Verdict::Nothing(_) => return,
            Verdict::TooLate if self.has_too_late(plan, alert) => return,
            Verdict::TooLate => (ActionState::TooLate, "it was over when its evidence was complete"),
            Verdict::Propose(why) => (ActionState::Proposed, why.as_str()),
            Verdict::Act => (ActionState::Pending, ""),
        };
        if state == ActionState::Proposed {
            self.counters.actions_held_back += 1;
            let proposed = self.actions.count_unfinished(|entry| entry.action.state == ActionState::Proposed);
            if proposed >= self.settings.actions.proposals_max {
                self.counters.actions_over_limit += 1;
                let most = self.settings.actions.proposals_max;
                self.note(alert, format!("{}: not proposed, {most} proposals wait already", plan.name));
                return;
            }
        }
        let id = action_id(plan, alert, finding);
        if self.actions.rows.contains_key(&id) {
            return;
        }
        if !self.has_room_for_action() {
            let most = self.settings.actions.held_max;
            self.note(alert, format!("{}: no action, {most} actions are unfinished already", plan.name));
            return;
        }
        let new = NewAction {
            id,
            alert: Some(alert),
            origin: Origin::Policy { policy: plan.policy, name: plan.name.clone() },
            target: finding.entity.clone(),
            scope: plan.scope.clone(),
            kind: plan.kind.clone(),
            reason: format!("policy {}: {}", plan.name, finding.sentence),
            expires_ms: plan.expires_ms,
            custom_id: finding.consumer_custom_id.clone(),
            tags: finding.consumer_tags.clone(),
        };
        self.start_action(new, state, &Cause::Policy(&plan.name), why);
    }

    /// An import of the past makes one action that came too late per alert, policy and scope, not one per finding.
    fn has_too_late(&self, plan: &Plan, alert: AlertId) -> bool {
        let Some(entry) = self.alerts.rows.get(&alert) else { return false };
        entry.alert.actions.iter().filter_map(|id| self.actions.rows.get(id)).any(|entry| {
            entry.action.state == ActionState::TooLate
                && scope_key(&entry.action.scope) == scope_key(&plan.scope)
                && matches!(&entry.action.origin, Origin::Policy { policy, .. } if *policy == plan.policy)
        })
    }
}

/// The scope of an automatic action about a finding; an error says why there can be none.
fn target_scope(scope: outrider_model::PolicyScope, finding: &Finding) -> Result<ActionScope, String> {
    if finding.entity.kind != EntityKind::Consumer {
        let kind = finding.entity.kind;
        return Err(format!(
            "no action: only a consumer can be restricted automatically, and this is about an entity of kind {kind}"
        ));
    }
    if finding.target.anonymous_consumer {
        return Err(
            "no action: the anonymous consumer is everybody without a key; a person can restrict it by name".to_owned()
        );
    }
    scope_for(scope, finding).map_err(str::to_owned)
}

fn action_id(plan: &Plan, alert: AlertId, finding: &Finding) -> ActionId {
    let (kind, scope) = scope_key(&plan.scope);
    ActionId(
        Fingerprint::of("action")
            .number(alert.0.cast_signed())
            .number(plan.policy.0.cast_signed())
            .number(finding.id.0.cast_signed())
            .number(i64::from(kind))
            .text(scope)
            .finish(),
    )
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => " (observe)",
        Mode::Enforce => "",
    }
}

/// What a policy says on the alert: `block-spikes (observe): would block alice for 15 min`.
fn note_text(plan: &Plan, finding: &Finding, verdict: &Verdict) -> String {
    let verb = words::verb(&plan.kind);
    let what = format!(
        "{}{}{} {}",
        finding.entity.display_name(),
        words::at_scope(&plan.scope),
        words::to_limits(&plan.kind),
        words::how_long(plan.duration)
    );
    let said = match (plan.mode, verdict) {
        (_, Verdict::Nothing(why)) => why.clone(),
        (Mode::Observe, Verdict::Act) => format!("would {verb} {what}"),
        (Mode::Observe, Verdict::Propose(why)) => format!("would propose to {verb} {what}: {why}"),
        (Mode::Observe, Verdict::TooLate) => format!("would be too late to {verb} {what}"),
        (Mode::Enforce, Verdict::Act) => format!("{verb}s {what}"),
        (Mode::Enforce, Verdict::Propose(why)) => format!("proposes to {verb} {what}: {why}"),
        (Mode::Enforce, Verdict::TooLate) => {
            format!("too late to {verb} {what}: it was over when its evidence was complete")
        }
    };
    format!("{}{}: {said}", plan.name, mode_word(plan.mode))
}
