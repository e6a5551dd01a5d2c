//! What a pass tells: the platform of each action, people of the gateway.

use super::*;

impl<A: AdminApi> Reconciler<A> {
    /// How the gateway and its responder are.
    pub fn status(&self) -> ResponderStatus {
        ResponderStatus {
            failure: self.failure.clone(),
            attempt: self.backoff.attempt(),
            desired_version: self.desired.as_ref().map(|state| state.version),
            listed_ms: self.listed_ms,
            own_plugins: self.mirror.len(),
            adopted: self.adopted.clone(),
            guard_problem: self.guard.problem().map(str::to_owned),
            held: self.files.held(),
            counters: Counters { reports_deferred: self.ledger.deferred, ..self.counters },
        }
    }

    /// The actions that the platform waits for a word of.
    pub(super) fn listen(&mut self) {
        let Some(state) = &self.desired else { return };
        let actions = state.actions.iter().map(|action| action.id);
        self.ledger.speak_of(actions.chain(state.releasing.iter().copied()).collect());
    }

    /// Plugins of ours that the platform does not speak for.
    fn find_adopted(&self, decided: &Decided) -> Vec<OwnPlugin> {
        let own = self.mirror.values().filter_map(|plugin| OwnPlugin::of(&self.settings.installation, plugin));
        let is_adopted = |own: &OwnPlugin| self.desired.is_none() || !own.actions.is_disjoint(&decided.adopted);
        own.filter(is_adopted).collect()
    }

    /// Tells of every action what is known of it now; the ledger sends what is news.
    pub(super) fn report(&mut self, decided: &Decided, wanted: &Wanted) {
        let now_ms = self.clock.now_ms();
        for (action, why) in &decided.refused {
            let reason = FailureReason::GuardRail { detail: why.clone() };
            self.ledger.tell(*action, ReportedState::Failed { reason }, now_ms);
        }
        for (action, why) in &decided.waiting {
            self.ledger.tell_retrying(*action, &FailureReason::GuardRail { detail: why.clone() }, 1, now_ms);
        }
        for (plugin, why) in &wanted.refused {
            for action in &plugin.actions {
                let reason = FailureReason::WouldWeaken { detail: why.clone() };
                self.ledger.tell(*action, ReportedState::Failed { reason }, now_ms);
            }
        }
        if let Some(reason) = &self.survey_failure {
            let waiting = wanted.waiting.iter().filter(|plugin| !self.mirror.contains_key(&plugin.id));
            for action in waiting.flat_map(|plugin| &plugin.actions) {
                self.ledger.tell_retrying(*action, reason, 1, now_ms);
            }
        }
        for plugin in &wanted.plugins {
            if self.mirror.get(&plugin.id).is_some_and(|there| is_as(there, plugin)) {
                self.tell_stored(plugin);
            } else if let Some(trouble) = self.troubles.get(&plugin.id).filter(|trouble| trouble.wanted == *plugin) {
                for action in &plugin.actions {
                    tell_trouble(&mut self.ledger, *action, trouble, now_ms);
                }
            }
        }
        self.tell_released(&decided.over, &wanted.plugins, now_ms);
        self.adopted = self.find_adopted(decided);
    }

    /// An action is released once no plugin of ours names it, and none that could hold it without naming it is other than
    /// it should be.
    fn tell_released(&mut self, over: &[ActionId], wanted: &[DesiredPlugin], now_ms: i64) {
        if !self.mirror_is_fresh || over.is_empty() {
            return;
        }
        let wanted: BTreeMap<&str, &DesiredPlugin> = wanted.iter().map(|plugin| (plugin.id.as_str(), plugin)).collect();
        let mut named = BTreeSet::new();
        for plugin in self.mirror.values() {
            let actions: BTreeSet<ActionId> = named_actions(plugin).collect();
            let is_right = wanted.get(plugin.id.as_str()).is_some_and(|wanted| is_as(plugin, wanted));
            if actions.len() >= ACTION_TAGS_MAX && !is_right {
                return;
            }
            named.extend(actions);
        }
        for action in over.iter().filter(|action| !named.contains(action)) {
            self.ledger.tell(*action, ReportedState::Released, now_ms);
        }
    }

    pub(super) fn tell_stored(&mut self, plugin: &DesiredPlugin) {
        let now_ms = self.clock.now_ms();
        let not_covered = self.survey.not_covered(plugin.name(), &plugin.scope);
        for action in &plugin.actions {
            let state = ReportedState::Stored { plugin_id: plugin.id.clone(), not_covered: not_covered.clone() };
            self.ledger.tell(*action, state, now_ms);
        }
    }

    /// The gateway failed as a whole: it is left alone for a while, looked at before it is written again, and everything
    /// that waits for it says so.
    pub(super) async fn gateway_failed(&mut self, error: &GatewayError) {
        let reason = self.diagnose(error).await;
        self.mirror_is_fresh = false;
        self.counters.gateway_failures += 1;
        self.backoff.failed(error.retry_after_s());
        let attempt = self.backoff.attempt();
        if attempt.is_power_of_two() {
            tracing::warn!(gateway = self.settings.gateway, attempt, %reason, "the gateway failed; it is tried again");
        }
        self.failure = Some(reason.clone());
        let now_ms = self.clock.now_ms();
        let (live, over) = self.split(now_ms);
        let waiting = live.iter().map(|action| action.id).filter(|action| !self.ledger.is_stored(*action));
        let holding = over.iter().copied().filter(|action| !self.ledger.is_released(*action));
        let pending: Vec<ActionId> = waiting.chain(holding).collect();
        for action in pending {
            if reason == FailureReason::ReadOnlyGateway {
                self.ledger.tell(action, ReportedState::Failed { reason: reason.clone() }, now_ms);
            } else {
                self.ledger.tell_retrying(action, &reason, attempt, now_ms);
            }
        }
    }

    /// A Kong without a database answers a list by tag with 500 (3.9.1), which says nothing; its summary does.
    async fn diagnose(&self, error: &GatewayError) -> FailureReason {
        if let GatewayError::Kong { status: 500 | 405, .. } = error
            && let Ok(node) = self.admin.node().await
            && !node.is_writable()
        {
            return FailureReason::ReadOnlyGateway;
        }
        error.reason()
    }
}

fn tell_trouble(ledger: &mut Ledger, action: ActionId, trouble: &Trouble, now_ms: i64) {
    match &trouble.reason {
        reason @ (FailureReason::TargetGone { .. } | FailureReason::Refused { .. }) => {
            ledger.tell(action, ReportedState::Failed { reason: reason.clone() }, now_ms);
        }
        reason => ledger.tell_retrying(action, reason, trouble.attempt, now_ms),
    }
}
