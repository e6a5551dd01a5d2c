//! What a pass looks at before it changes anything: the gateway, the guard rails, the consumers.

use super::*;

impl<A: AdminApi> Reconciler<A> {
    /// Lists our plugins where the mirror is not fresh or it is time. A list that only refreshes the mirror gives way to a
    /// new desired state.
    pub(super) async fn list_if_due(
        &mut self,
        inbox: &watch::Receiver<Option<DesiredState>>,
    ) -> Result<Ended, GatewayError> {
        if self.mirror_is_fresh && self.next_list > Instant::now() {
            return Ok(Ended::Done);
        }
        let admin = Arc::clone(&self.admin);
        let tag = installation_tag(&self.settings.installation);
        let tags = [TAG, tag.as_str()];
        let list = admin.plugins_tagged(&tags);
        let plugins = if self.mirror_is_fresh && self.interruptions < INTERRUPTIONS_MAX {
            let mut inbox = inbox.clone();
            tokio::select! {
                biased;
                Ok(()) = inbox.changed() => return Ok(Ended::Interrupted),
                plugins = list => plugins?,
            }
        } else {
            list.await?
        };
        self.mirror = plugins.into_iter().map(|plugin| (plugin.id.clone(), plugin)).collect();
        self.mirror_is_fresh = true;
        self.next_list = Instant::now() + self.settings.resync_interval;
        self.listed_ms = Some(self.clock.now_ms());
        Ok(Ended::Done)
    }

    /// Looks at others' plugins where it is time, or where limits wait for it. Its failure holds nothing else up.
    pub(super) async fn survey_if_due(
        &mut self,
        wanted: &Wanted,
        inbox: &watch::Receiver<Option<DesiredState>>,
    ) -> Ended {
        let limits_wait = !wanted.waiting.is_empty();
        if !limits_wait && self.next_survey > Instant::now() {
            return Ended::Done;
        }
        // Without plugins of ours there is nothing that could fail to bite.
        if !limits_wait && self.mirror.is_empty() {
            self.next_survey = Instant::now() + self.settings.resync_interval;
            return Ended::Done;
        }
        let (admin, installation) = (Arc::clone(&self.admin), self.settings.installation.clone());
        let refused = wanted.refused.iter().map(|(limit, _)| limit);
        let limits_need_places = limits::need_places(wanted.plugins.iter().chain(&wanted.waiting).chain(refused));
        let (hides_service_names, hides_route_names) =
            (self.settings.hides_service_names, self.settings.hides_route_names);
        let survey = async {
            let plugins = admin.plugins_where(is_relevant).await?;
            if limits_need_places || Survey::needs_places(&installation, &plugins) {
                let (mut routes, mut services) = (admin.routes().await?, admin.services().await?);
                // What has no name is told of by its id.
                routes.iter_mut().filter(|_| hides_route_names).for_each(|route| route.name = None);
                services.iter_mut().filter(|_| hides_service_names).for_each(|service| service.name = None);
                return Ok::<_, GatewayError>(Survey::new(&installation, plugins, routes, services));
            }
            Ok(Survey::without_places(&installation, plugins))
        };
        let mut inbox = inbox.clone();
        let may_interrupt = self.interruptions < INTERRUPTIONS_MAX;
        tokio::select! {
            biased;
            Ok(()) = inbox.changed(), if may_interrupt => return Ended::Interrupted,
            survey = survey => match survey {
                Ok(survey) => {
                    self.counters.survey_left_out += survey.left_out as u64;
                    self.survey = survey;
                    self.surveyed = Some(Instant::now());
                    self.survey_failure = None;
                }
                Err(error) => {
                    self.counters.gateway_failures += 1;
                    self.survey_failure = Some(error.reason());
                    tracing::warn!(gateway = self.settings.gateway, %error, "could not look at others' plugins");
                }
            },
        }
        let wait = match self.survey_failure {
            Some(_) if limits_wait => self.settings.resync_interval,
            _ => self.settings.survey_interval,
        };
        self.next_survey = Instant::now() + wait;
        Ended::Done
    }

    pub(super) fn rails(&mut self) -> Rails {
        let rails = self.guard.refresh();
        match self.files.held() {
            Some(reason) => Rails::Held(reason),
            None => rails,
        }
    }

    /// Which actions act now, as far as that is known where a look-up failed.
    pub(super) async fn decide(&mut self, rails: &Rails) -> (Decided, Result<(), GatewayError>) {
        let now_ms = self.clock.now_ms();
        let (mut live, over) = self.split(now_ms);
        let mut adopted = Vec::new();
        if let Some(desired) = &self.desired {
            adopted = adopt(&self.settings.installation, self.mirror.values(), desired, &live, now_ms);
        }
        let adopted_ids = adopted.iter().map(|action| action.id).collect();
        live.extend(adopted);
        let held = self.held_actions();
        self.forget_old_consumers(&live, &held);
        let mut verdicts = judge(rails, &live, &self.consumers, &held);
        let unknown = consumers_needed(&live, &verdicts, &held);
        let mut looked_up = Ok(());
        if !unknown.is_empty() {
            looked_up = self.look_up(unknown).await;
            verdicts = judge(rails, &live, &self.consumers, &held);
        }
        let takes_everything_off = rails.take_everything_off();
        let mut decided = Decided { over, adopted: adopted_ids, takes_everything_off, ..Decided::default() };
        for (action, verdict) in live.into_iter().zip(verdicts) {
            let stays = held.contains(&action.id);
            match verdict {
                Verdict::Allowed => decided.acting.push(action),
                Verdict::Refused(why) => decided.refused.push((action.id, why)),
                Verdict::NeedsConsumer => {
                    decided.unfinished = true;
                    if stays {
                        decided.acting.push(action);
                    }
                }
                Verdict::Waits(_) if stays => decided.acting.push(action),
                Verdict::Waits(why) => decided.waiting.push((action.id, why)),
            }
        }
        (decided, looked_up)
    }

    /// The desired actions, and those that are over.
    pub(super) fn split(&mut self, now_ms: i64) -> (Vec<DesiredAction>, Vec<ActionId>) {
        self.judged_ms = now_ms;
        let Some(state) = &self.desired else { return (Vec::new(), Vec::new()) };
        let releasing: BTreeSet<ActionId> = state.releasing.iter().copied().collect();
        let (mut live, mut over) = (Vec::new(), state.releasing.clone());
        let mut ended = BTreeMap::new();
        for action in &state.actions {
            if releasing.contains(&action.id) {
                continue;
            }
            if is_over(action.expires_ms, now_ms) || self.ended.get(&action.id) == Some(&action.expires_ms) {
                ended.insert(action.id, action.expires_ms);
                over.push(action.id);
            } else {
                live.push(action.clone());
            }
        }
        self.ended = ended;
        (live, over)
    }

    pub(super) fn held_actions(&self) -> BTreeSet<ActionId> {
        self.mirror.values().flat_map(named_actions).collect()
    }

    /// What is known of a consumer is used for a new block only while it is fresh, and looked at again now and then for
    /// the blocks that are there: it may have been put on a never-block list's tag since.
    fn forget_old_consumers(&mut self, live: &[DesiredAction], held: &BTreeSet<ActionId>) {
        let mut fresh_for: BTreeMap<&str, Duration> = BTreeMap::new();
        for action in live {
            let keep =
                if held.contains(&action.id) { self.settings.survey_interval } else { self.settings.resync_interval };
            let entry = fresh_for.entry(action.consumer_id.as_str()).or_insert(keep);
            *entry = (*entry).min(keep);
        }
        let now = Instant::now();
        self.looked_up.retain(|id, at| fresh_for.get(id.as_str()).is_some_and(|keep| now < *at + *keep));
        let looked_up = &self.looked_up;
        self.consumers.retain(|id, _| looked_up.contains_key(id));
    }

    async fn look_up(&mut self, ids: Vec<String>) -> Result<(), GatewayError> {
        let mut queue = ids.into_iter();
        let mut running = JoinSet::new();
        let mut failures = Failures::default();
        loop {
            while running.len() < WRITES_IN_FLIGHT && !failures.are_enough() {
                let Some(id) = queue.next() else { break };
                let admin = Arc::clone(&self.admin);
                running.spawn(async move {
                    let consumer = admin.consumer(&id).await;
                    (id, consumer)
                });
            }
            match running.join_next().await {
                None => return failures.first.map_or(Ok(()), Err),
                Some(Ok((id, Ok(consumer)))) => {
                    self.consumers.insert(id.clone(), consumer);
                    self.looked_up.insert(id, Instant::now());
                }
                Some(Ok((_, Err(error)))) => failures.add(error),
                Some(Err(error)) => {
                    failures.add(GatewayError::Unreachable { detail: format!("a look-up was broken off: {error}") });
                }
            }
        }
    }
}

/// Consumers to look up now: those of new actions first, since those wait for it.
fn consumers_needed(live: &[DesiredAction], verdicts: &[Verdict], held: &BTreeSet<ActionId>) -> Vec<String> {
    let mut needed = Vec::new();
    for already_held in [false, true] {
        for (action, verdict) in live.iter().zip(verdicts) {
            if *verdict == Verdict::NeedsConsumer && held.contains(&action.id) == already_held {
                needed.push(action.consumer_id.clone());
            }
        }
    }
    let mut seen = BTreeSet::new();
    needed.retain(|id| seen.insert(id.clone()));
    needed.truncate(LOOKUPS_MAX);
    needed
}
