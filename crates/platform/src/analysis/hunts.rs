//! What saved hunts found becomes findings, each window once.
//!
//! Which windows are done is told by the log alone: a run that begins before the end of the one before says again what was
//! said, and is left out.

use std::collections::BTreeMap;

use outrider_model::{
    Confidence, Finding, FindingId, Fingerprint, HUNT_DETECTOR, HuntHit, HuntId, HuntRun, Observation,
};
use serde::{Deserialize, Serialize};

/// Hunts whose end is remembered, deleted ones included. At the limit the one that ran longest ago is forgotten.
const REMEMBERED_MAX: usize = 1_000;
/// A hunt says what somebody looked for, not how likely it is abuse.
const CONFIDENCE: f32 = 0.5;

/// Where the last window of each hunt ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct HuntEnds {
    ends: BTreeMap<HuntId, End>,
    repeated: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    to: u64,
    at_ms: i64,
}

impl HuntEnds {
    /// Whether a run goes on where the one before ended. If it does it is the last one now.
    pub(super) fn follows(&mut self, run: &HuntRun) -> bool {
        let window = &run.window;
        if self.ends.get(&run.hunt).is_some_and(|end| window.after < end.to || window.to < end.to) {
            self.repeated += 1;
            return false;
        }
        self.ends.insert(run.hunt, End { to: window.to, at_ms: run.at_ms });
        if self.ends.len() > REMEMBERED_MAX
            && let Some(oldest) = self.ends.iter().min_by_key(|(id, end)| (end.at_ms, **id)).map(|(id, _)| *id)
        {
            self.ends.remove(&oldest);
        }
        true
    }

    /// Runs that were left out because they said again what was said.
    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }
}

/// A finding about each whom a run found.
pub(super) fn findings_of(run: &HuntRun, raised_ms: i64, call_number: u64) -> impl Iterator<Item = Finding> {
    run.hits.iter().map(move |hit| finding(run, hit, raised_ms, call_number))
}

fn finding(run: &HuntRun, hit: &HuntHit, raised_ms: i64, call_number: u64) -> Finding {
    let window = &run.window;
    let start_ms = window.again_from_ms.unwrap_or(window.since_ms).min(window.until_ms);
    let window_ms = window.until_ms.saturating_sub(start_ms);
    let id = Fingerprint::of("finding")
        .text(HUNT_DETECTOR)
        .number(run.hunt.0.cast_signed())
        .number(window.after.cast_signed())
        .number(window.to.cast_signed())
        .number(hit.entity.key().cast_signed());
    Finding {
        id: FindingId(id.finish()),
        detector: format!("{HUNT_DETECTOR}:{}", run.name),
        entity: hit.entity.clone(),
        target: hit.target,
        endpoint: None,
        endpoint_name: String::new(),
        service_id: hit.service_id.clone(),
        service_name: hit.service_name.clone(),
        route_id: hit.route_id.clone(),
        route_name: hit.route_name.clone(),
        consumer_tags: hit.consumer_tags.clone(),
        consumer_custom_id: hit.consumer_custom_id.clone(),
        window_start_ms: start_ms,
        window_ms,
        event_ms: hit.event_ms,
        raised_ms,
        call_number,
        observation: Observation {
            measure: "rows".to_owned(),
            unit: "rows per run".to_owned(),
            observed: hit.rows as f64,
            expected: 0.0,
            threshold: f64::from(run.threshold),
        },
        surprise: None,
        basis: format!("records {} to {} of the log, {} rows in all", window.after + 1, window.to, run.figures.rows),
        outcome: hit.outcome,
        severity: run.severity,
        confidence: Confidence::new(CONFIDENCE),
        sentence: sentence(run, hit, window_ms),
        samples: hit.samples.clone(),
        query: format!("{}{}", run.query, hit.only),
    }
}

fn sentence(run: &HuntRun, hit: &HuntHit, window_ms: i64) -> String {
    let (who, name) = (hit.entity.display_name(), &run.name);
    let rows = if hit.rows == 1 { "once".to_owned() } else { format!("{} times", hit.rows) };
    let shown = if hit.shown.is_empty() { String::new() } else { format!(": {}", hit.shown) };
    format!("hunt {name} found {who} {rows} within {} s{shown}", window_ms.div_euclid(1000))
}

#[cfg(test)]
mod tests {
    use outrider_model::{HuntFigures, HuntWindow, Severity};

    use super::*;

    fn run(hunt: u64, after: u64, to: u64, at_ms: i64) -> HuntRun {
        HuntRun {
            hunt: HuntId(hunt),
            name: "a".to_owned(),
            at_ms,
            window: HuntWindow { after, to, since_ms: 0, until_ms: 1, not_before_ms: None, again_from_ms: None },
            severity: Severity::Low,
            threshold: 1,
            figures: HuntFigures::default(),
            hits: Vec::new(),
            query: String::new(),
        }
    }

    #[test]
    fn a_window_counts_once() {
        let mut ends = HuntEnds::default();
        for (after, to, expected) in [
            (0, 10, true),
            (0, 10, false),
            (0, 20, false),
            (10, 20, true),
            (10, 20, false),
            (20, 20, true),
            (24, 30, true),
            (29, 31, false),
        ] {
            assert_eq!(ends.follows(&run(1, after, to, 0)), expected, "{after} to {to}");
        }
        assert_eq!(ends.repeated(), 4);
        assert!(ends.follows(&run(2, 0, 10, 0)), "another hunt has windows of its own");
    }

    #[test]
    fn at_the_limit_the_one_that_ran_longest_ago_is_forgotten() {
        let mut ends = HuntEnds::default();
        for hunt in 0..REMEMBERED_MAX as u64 {
            assert!(ends.follows(&run(hunt, 0, 10, if hunt == 7 { 1 } else { 2 })));
        }
        assert!(ends.follows(&run(u64::MAX, 0, 10, 3)));
        assert_eq!((ends.ends.len(), ends.ends.contains_key(&HuntId(7))), (REMEMBERED_MAX, false));
    }
}
