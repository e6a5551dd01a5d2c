//! The trace of an action, from the decision to the word that it is in force, and of its end.
//!
//! What decides is pure and knows no clock, so these spans are made here, of the times that a stored action carries. Each is
//! told once its end is known. An id is made of what it is of, so a span that is told twice, around a restart, is the same.
//!
//! | span | from | to |
//! | --- | --- | --- |
//! | `action` | the decision, in log time | in force; or over, where it never was |
//! | `decide` | the same | stored in the control store, and so published, by the wall clock |
//! | `proposed` | it waits for a person | approved or rejected |
//! | `approved`, `pending` | it is brought to the gateway | the responder's word that the gateway has stored it |
//! | `stored` | the gateway has it | the log shows that it bites |
//! | `releasing` | it is over | the responder's word that the gateway holds it no more |

use std::collections::BTreeMap;

use outrider_model::{Action, ActionId, ActionKind, ActionState, Origin};
use outrider_platform::store::{ChangeKind, Feed, Gone};
use tokio_util::sync::CancellationToken;

use super::Traces;
use super::ids::{Place, step_of_action};
use super::layer::span;
use super::otlp::{KeyValue, Span, Status};

/// Actions that are followed. One beyond that may have spans told again.
const FOLLOWED_MAX: usize = 10_000;

/// Tells of actions as they are stored, until it is stopped.
pub async fn follow_actions(
    feed: Feed,
    installation: String,
    traces: Traces,
    now_ms: fn() -> i64,
    stop: CancellationToken,
) {
    let mut newest = feed.newest();
    let mut stories = Stories::new(installation, now_ms());
    let mut at = 0;
    loop {
        match feed.after(at) {
            Ok(Some(change)) => {
                at = change.number;
                if change.kind == ChangeKind::Action
                    && let Ok(action) = serde_json::from_str(&change.data)
                {
                    stories.of(&action, now_ms()).into_iter().for_each(|span| traces.send(span));
                }
            }
            Ok(None) => match stop.run_until_cancelled(newest.changed()).await {
                Some(Ok(())) => {}
                // The store is gone, or it is to stop.
                Some(Err(_)) | None => return,
            },
            Err(Gone) => at = *newest.borrow_and_update(),
        }
    }
}

/// What was told of each action.
struct Stories {
    installation: String,
    /// What was before that, an earlier process told.
    began_ms: i64,
    /// Steps of its history that were there when an action was last told of.
    told: BTreeMap<ActionId, usize>,
}

impl Stories {
    fn new(installation: String, began_ms: i64) -> Stories {
        Stories { installation, began_ms, told: BTreeMap::new() }
    }

    /// The spans whose end is known now and was not before.
    fn of(&mut self, action: &Action, now_ms: i64) -> Vec<Span> {
        let steps = &action.history;
        let before = || steps.iter().take_while(|step| step.at_ms < self.began_ms).count();
        let told = self.told.get(&action.id).copied().unwrap_or_else(before);
        let mut spans = Vec::new();
        if told == 0 && !steps.is_empty() {
            spans.push(self.step(action, "decide", 0, (action.created_ms, now_ms)));
        }
        for (index, pair) in steps.windows(2).enumerate().skip(told.saturating_sub(1)) {
            if let Some(name) = waiting(pair[0].state) {
                spans.push(self.step(action, name, index, (pair[0].at_ms, pair[1].at_ms)));
            }
        }
        let settled =
            steps.iter().position(|step| waiting(step.state).is_none() || step.state == ActionState::Releasing);
        if let Some(index) = settled.filter(|index| *index >= told) {
            spans.push(self.root(action, (action.created_ms, steps[index].at_ms), steps[index].state));
        }
        if action.state.is_final() {
            self.told.remove(&action.id);
        } else {
            self.told.insert(action.id, steps.len());
            if self.told.len() > FOLLOWED_MAX {
                self.told.pop_first();
            }
        }
        spans
    }

    fn root(&self, action: &Action, times_ms: (i64, i64), state: ActionState) -> Span {
        let place = Place::of_action(&self.installation, action.id);
        let mut span = self.timed(span(place, Place { span: [0; 8], ..place }, "action"), action, times_ms);
        let kind = match action.kind {
            ActionKind::Block { .. } => "block",
            ActionKind::RateLimit { .. } => "rate_limit",
        };
        let mut put = |key, value: String| span.attributes.push(KeyValue::text(key, value));
        put("outrider.action.kind", kind.to_owned());
        put("outrider.action.state", word(state));
        put("outrider.gateway", action.target.gateway.clone());
        put("outrider.consumer.id", action.target.value.clone());
        if let Some(alert) = action.alert {
            put("outrider.alert.id", alert.to_string());
        }
        // Which person it was stands in the audit log.
        match &action.origin {
            Origin::Policy { name, .. } => put("outrider.policy", name.clone()),
            Origin::Person { .. } => put("outrider.origin", "person".to_owned()),
        }
        if matches!(state, ActionState::Failed | ActionState::TooLate) {
            span.status = Some(Status::error(word(state)));
        }
        span
    }

    fn step(&self, action: &Action, name: &str, index: usize, times_ms: (i64, i64)) -> Span {
        let root = Place::of_action(&self.installation, action.id);
        let id = step_of_action(&self.installation, action.id, name, index);
        self.timed(span(Place { span: id, ..root }, root, name), action, times_ms)
    }

    fn timed(&self, span: Span, action: &Action, (from_ms, to_ms): (i64, i64)) -> Span {
        let ns = |ms: i64| u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000);
        Span {
            start_time_unix_nano: ns(from_ms),
            // Log time may be ahead of this clock.
            end_time_unix_nano: ns(to_ms.max(from_ms)),
            attributes: vec![
                KeyValue::text("outrider.installation", &self.installation),
                KeyValue::text("outrider.action.id", action.id.to_string()),
            ],
            ..span
        }
    }
}

/// The name of a state that an action waits in; none of one in which it stays.
fn waiting(state: ActionState) -> Option<&'static str> {
    match state {
        ActionState::Proposed => Some("proposed"),
        ActionState::Approved => Some("approved"),
        ActionState::Pending => Some("pending"),
        ActionState::Stored => Some("stored"),
        ActionState::Releasing => Some("releasing"),
        ActionState::InForce
        | ActionState::Rejected
        | ActionState::Released
        | ActionState::Failed
        | ActionState::TooLate => None,
    }
}

/// The state as the API writes it.
fn word(state: ActionState) -> String {
    serde_json::to_value(state).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use ActionState::{Approved, Failed, InForce, Pending, Proposed, Rejected, Released, Releasing, Stored};

    const BEGAN_MS: i64 = 1_000;

    fn action(steps: &[(ActionState, i64)]) -> Action {
        let history: Vec<_> =
            steps.iter().map(|(state, at_ms)| json!({"at_ms": at_ms, "state": state, "reason": ""})).collect();
        serde_json::from_value(json!({
            "id": "ac_0000000000000007", "alert": "al_0000000000000001",
            "origin": {"kind": "policy", "policy": "po_0000000000000001", "name": "block-spikes"},
            "target": {"kind": "consumer", "gateway": "kong", "workspace": "w", "value": "c-1", "label": "alice"},
            "scope": {"kind": "consumer"}, "kind": {"kind": "block", "status": 403, "message": ""},
            "reason": "", "created_ms": steps[0].1, "expires_ms": null, "state": steps[steps.len() - 1].0,
            "state_reason": "", "not_covered": [], "history": history,
        }))
        .unwrap()
    }

    /// Names and times of what is told when the action is seen with so many of its steps, then with so many.
    fn check(steps: &[(ActionState, i64)], seen: &[usize], expected: &[&[(&str, i64, i64)]]) -> Vec<Span> {
        let mut stories = Stories::new("i".to_owned(), BEGAN_MS);
        let mut all = Vec::new();
        for (count, expected) in seen.iter().zip(expected) {
            let spans = stories.of(&action(&steps[..*count]), 1_900);
            let ms = |ns: u64| (ns / 1_000_000).cast_signed();
            let told: Vec<_> = spans
                .iter()
                .map(|span| (span.name.as_str(), ms(span.start_time_unix_nano), ms(span.end_time_unix_nano)))
                .collect();
            assert_eq!(told, *expected, "{steps:?} seen with {count}");
            all.extend(spans);
        }
        all
    }

    #[test]
    fn each_span_is_told_once_when_its_end_is_known() {
        let life = [(Pending, 1_000), (Stored, 1_200), (InForce, 1_500), (Releasing, 2_000), (Released, 2_100)];
        let decide = ("decide", 1_000, 1_900);
        let (pending, stored) = (("pending", 1_000, 1_200), ("stored", 1_200, 1_500));
        let (root, releasing) = (("action", 1_000, 1_500), ("releasing", 2_000, 2_100));
        check(&life, &[1, 2, 2, 3, 4, 5], &[&[decide], &[pending], &[], &[stored, root], &[], &[releasing]]);
        check(&life, &[5], &[&[decide, pending, stored, releasing, root]]);
        // An allowed call takes it back: the trace of its beginning is told already.
        let back = [life[0], life[1], life[2], (Stored, 1_600), (InForce, 1_700)];
        check(&back, &[3, 4, 5], &[&[decide, pending, stored, root], &[], &[("stored", 1_600, 1_700)]]);
        let person = [(Proposed, 1_000), (Approved, 1_300), (Failed, 1_400)];
        let [proposed, approved] = [("proposed", 1_000, 1_300), ("approved", 1_300, 1_400)];
        check(&person, &[1, 2, 3], &[&[decide], &[proposed], &[approved, ("action", 1_000, 1_400)]]);
        check(&[(Proposed, 1_000), (Rejected, 1_300)], &[2], &[&[decide, proposed, ("action", 1_000, 1_300)]]);
        // One that never bit ends with its wait.
        let never = [(Pending, 1_000), (Stored, 1_200), (Releasing, 1_800)];
        check(&never, &[2, 3], &[&[decide, pending], &[("stored", 1_200, 1_800), ("action", 1_000, 1_800)]]);
    }

    #[test]
    fn what_an_earlier_process_told_is_not_told_again() {
        let life = [(Pending, 500), (Stored, 600), (InForce, 700), (Releasing, 2_000), (Released, 2_100)];
        check(&life, &[4, 5], &[&[], &[("releasing", 2_000, 2_100)]]);
        let life = [(Pending, 500), (Stored, 600), (InForce, 1_700)];
        check(&life, &[3], &[&[("stored", 600, 1_700), ("action", 500, 1_700)]]);
    }

    #[test]
    fn all_of_it_is_one_trace_below_one_root_that_says_what_it_is_of() {
        let life = [(Pending, 1_000), (Stored, 1_200), (Failed, 1_300)];
        let spans = check(
            &life,
            &[3],
            &[&[
                ("decide", 1_000, 1_900),
                ("pending", 1_000, 1_200),
                ("stored", 1_200, 1_300),
                ("action", 1_000, 1_300),
            ]],
        );
        let (root, steps) = spans.split_last().unwrap();
        let place = Place::of_action("i", ActionId(7));
        assert_eq!((root.trace_id.as_slice(), root.span_id.as_slice()), (&place.trace[..], &place.span[..]));
        assert!(root.parent_span_id.is_empty());
        for step in steps {
            assert_eq!((&step.trace_id, &step.parent_span_id), (&root.trace_id, &root.span_id), "{}", step.name);
        }
        let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
        assert_eq!(ids.len(), spans.len());
        for attribute in [
            KeyValue::text("outrider.action.id", "ac_0000000000000007"),
            KeyValue::text("outrider.alert.id", "al_0000000000000001"),
            KeyValue::text("outrider.policy", "block-spikes"),
            KeyValue::text("outrider.consumer.id", "c-1"),
            KeyValue::text("outrider.action.state", "failed"),
        ] {
            assert!(root.attributes.contains(&attribute), "{attribute:?} is not in {:?}", root.attributes);
        }
        assert_eq!(root.status, Some(Status::error("failed")));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut stories = Stories::new("i".to_owned(), BEGAN_MS);
        for number in 0..=FOLLOWED_MAX as u64 {
            stories.of(&Action { id: ActionId(number), ..action(&[(Pending, 1_000)]) }, 1_900);
        }
        assert_eq!(stories.told.len(), FOLLOWED_MAX);
        stories.of(&Action { id: ActionId(5), ..action(&[(Pending, 1_000), (Failed, 1_100)]) }, 1_900);
        assert_eq!(stories.told.len(), FOLLOWED_MAX - 1, "one that is over is forgotten");
    }
}
