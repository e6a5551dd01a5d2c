//! What is wrong at the edges: sources that turn calls away, responders that cannot do their work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use outrider_collect::Counters;
use outrider_model::{Concern, NoticeKind};
use outrider_platform::watcher::{ConcernSource, HELD_MS, Rising};
use outrider_respond::gateways::kong::ResponderStatus;
use tokio::sync::watch;

/// Failures in a row after which a gateway is not just restarting: about a quarter of a minute.
const ATTEMPTS_TOLD: u32 = 6;

/// Looks at sources and responders of this process.
pub struct EdgeConcerns {
    sources: Vec<(String, Arc<Counters>)>,
    responders: Vec<(String, watch::Receiver<ResponderStatus>)>,
    turned_away: Mutex<BTreeMap<String, Rising>>,
}

impl EdgeConcerns {
    pub fn new(
        sources: Vec<(String, Arc<Counters>)>,
        responders: Vec<(String, watch::Receiver<ResponderStatus>)>,
    ) -> Self {
        EdgeConcerns { sources, responders, turned_away: Mutex::default() }
    }
}

impl ConcernSource for EdgeConcerns {
    fn concerns(&self, now_ms: i64) -> Vec<Concern> {
        let mut turned_away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        let mut concerns = Vec::new();
        for (name, counters) in &self.sources {
            let counters = counters.snapshot();
            let connections = counters.connections_over_limit + counters.connections_not_allowed;
            let count = counters.dropped_total() + connections + counters.accept_errors;
            let rising = turned_away.entry(name.clone()).or_default();
            if let Some(count) = rising.look(count, now_ms, HELD_MS) {
                concerns.push(Concern {
                    kind: NoticeKind::CollectorFailing,
                    subject: name.clone(),
                    since_ms: now_ms,
                    detail: format!("{count} calls or connections were turned away; the counters of the source say why"),
                    remedy: "look at `sources` in the status: too many connections, an address that is not allowed, or a full queue"
                        .to_owned(),
                });
            }
        }
        concerns
            .extend(self.responders.iter().filter_map(|(name, status)| of_responder(name, &status.borrow(), now_ms)));
        concerns
    }
}

/// The gravest of what is wrong with a responder.
fn of_responder(gateway: &str, status: &ResponderStatus, now_ms: i64) -> Option<Concern> {
    let failure = status.failure.as_ref().filter(|_| status.attempt >= ATTEMPTS_TOLD);
    let (detail, remedy) = if let Some(failure) = failure {
        (format!("{} tries in a row failed: {failure}", status.attempt), "look at the gateway's Admin API")
    } else if let Some(problem) = &status.guard_problem {
        (problem.clone(), "mend the guard rails' file; until then it brings nothing new to the gateway")
    } else if let Some(held) = &status.held {
        (format!("it holds back: {held}"), "run `outrider responder resume` when it may act again")
    } else {
        return None;
    };
    Some(Concern {
        kind: NoticeKind::ResponderFailing,
        subject: gateway.to_owned(),
        since_ms: now_ms,
        detail,
        remedy: remedy.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use outrider_model::FailureReason;

    use super::*;

    #[test]
    fn a_responder_is_told_of_when_it_cannot_work_for_a_while() {
        let failing = |attempt| ResponderStatus {
            failure: Some(FailureReason::ReadOnlyGateway),
            attempt,
            ..ResponderStatus::default()
        };
        let held = ResponderStatus { held: Some("release-all".to_owned()), ..ResponderStatus::default() };
        let guard = ResponderStatus { guard_problem: Some("line 3: no".to_owned()), ..ResponderStatus::default() };
        let cases = [
            (ResponderStatus::default(), None),
            (failing(ATTEMPTS_TOLD - 1), None),
            (failing(ATTEMPTS_TOLD), Some("without a database")),
            (held, Some("release-all")),
            (guard, Some("line 3")),
        ];
        for (status, expected) in cases {
            let found = of_responder("kong", &status, 1);
            let is_right = match (&found, expected) {
                (None, None) => true,
                (Some(concern), Some(words)) => concern.detail.contains(words),
                _ => false,
            };
            assert!(is_right, "{status:?}: {found:?}");
        }
    }
}
