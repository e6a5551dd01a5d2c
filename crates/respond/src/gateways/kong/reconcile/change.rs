//! What a pass changes at the gateway, several changes at a time, and what their outcomes mean for what is known of it.

use super::*;

/// Calls of one kind that may fail in one pass. What is left then waits for the next pass.
const FAILURES_MAX: usize = 32;

pub(super) enum Change {
    Write { wanted: Box<DesiredPlugin>, known: bool },
    Delete(OwnPlugin),
}

enum Changed {
    Written(Box<DesiredPlugin>, Result<Written, GatewayError>),
    Deleted(String, Result<Deleted, GatewayError>),
}

/// Calls of one kind that failed in one pass.
#[derive(Debug, Default)]
pub(super) struct Failures {
    pub first: Option<GatewayError>,
    count: usize,
    is_hopeless: bool,
}

impl Failures {
    pub fn add(&mut self, error: GatewayError) {
        self.count += 1;
        self.is_hopeless |= is_hopeless(&error);
        self.first.get_or_insert(error);
    }

    /// An answer that concerns one plugin holds no other up; a gateway that answers everything so is not hammered.
    pub fn are_enough(&self) -> bool {
        self.is_hopeless || self.count >= FAILURES_MAX
    }
}

/// The gateway is away or asked to be left alone: more calls would end the same way.
pub(super) fn is_hopeless(error: &GatewayError) -> bool {
    matches!(error, GatewayError::Unreachable { .. }) || error.retry_after_s().is_some()
}

impl<A: AdminApi> Reconciler<A> {
    /// The plan's changes in the order in which they have to happen: what is in the way, then what protects, then what
    /// is over.
    pub(super) fn phases(&self, plan: Plan) -> [Vec<Change>; 3] {
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
    pub(super) fn is_due(&self, wanted: &DesiredPlugin) -> bool {
        let trouble = self.troubles.get(&wanted.id);
        trouble.is_none_or(|trouble| trouble.next <= Instant::now() || trouble.wanted != *wanted)
    }

    /// Carries out changes that do not depend on each other, several at a time. Without an inbox nothing interrupts it.
    pub(super) async fn carry_out(
        &mut self,
        changes: Vec<Change>,
        inbox: Option<&watch::Receiver<Option<DesiredState>>>,
    ) -> Result<Ended, GatewayError> {
        let mut queue = changes.into_iter();
        let mut running = JoinSet::new();
        let mut failures = Failures::default();
        let mut interrupted = false;
        loop {
            while running.len() < WRITES_IN_FLIGHT && !failures.are_enough() && !interrupted {
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
                failures.add(error);
            }
            interrupted = interrupted || (queue.len() > 0 && inbox.is_some_and(|inbox| self.may_interrupt(inbox)));
        }
        match failures.first {
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
