//! The engine: decides what a call may be used for, asks every detector, and keeps one that fails from the others.
//! It leaves out what is normal and what is abuse, which is each detector's own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use outrider_model::{AnsweredBy, Finding, Subject, Trust};
use serde::{Deserialize, Serialize};

use crate::detector::{Counter, Descriptor, Detector, Epoch, Evidence, FalsePositive, Intake, Observed};
use crate::detectors;
use crate::error::DetectError;
use crate::settings::Settings;

/// The version of the engine's own part of a snapshot.
const SNAPSHOT_VERSION: u8 = 1;
const PART: &str = "detection";

/// How far behind log time an event may be and still count (decision 9).
const LATENESS_MS_MAX: i64 = 60_000;
/// How far ahead of log time an event may be: the collector clamps to 5 s after receive time, the rest is slack for
/// callers without receive times.
const AHEAD_MS_MAX: i64 = 60_000;
/// How many epochs one `advance` closes at most, a little over a year. Whatever stands still that long is long settled,
/// so leaving out the rest changes nothing.
const EPOCHS_PER_ADVANCE_MAX: i64 = 600_000;

/// Runs the detectors over calls in the order of the log.
///
/// It decides which calls may be used, tells time to the detectors in whole minutes, and keeps a failing detector from
/// stopping the others. What is abuse, they decide.
pub struct Engine {
    detectors: Vec<Slot>,
    now_ms: Option<i64>,
    counters: EngineCounters,
    /// Whose learning an earlier version wrote in a form that is no longer read.
    begun_anew: Vec<DetectError>,
}

struct Slot {
    detector: Box<dyn Detector>,
    /// Why it is out of use, if it is.
    failure: Option<String>,
}

/// What the engine itself counts, since it was made; restored with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EngineCounters {
    /// Calls handed to the detectors.
    pub calls: u64,
    /// Calls that our own plugins refused: never evidence.
    pub own_refusals: u64,
    /// Calls more than 60 s behind log time: not fed to windows.
    pub late: u64,
    /// Calls more than 60 s ahead of log time, or before 1970: not fed to windows.
    pub time_out_of_range: u64,
    /// Calls of untrusted lines, which train nothing.
    pub untrusted: u64,
    /// Findings raised.
    pub findings: u64,
    /// Detectors that failed and were put out of use.
    pub detectors_failed: u64,
}

/// Whether a detector works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectorStatus {
    /// What it is.
    pub descriptor: &'static Descriptor,
    /// Why it was put out of use, if it was.
    pub failure: Option<String>,
    /// About how much memory it takes.
    pub memory_bytes: usize,
    /// Its counters.
    pub counters: Vec<Counter>,
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    now_ms: Option<i64>,
    counters: EngineCounters,
    detectors: Vec<DetectorSnapshot>,
}

#[derive(Serialize, Deserialize)]
struct DetectorSnapshot {
    name: String,
    failure: Option<String>,
    state: Vec<u8>,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(settings: Settings) -> Result<Self, DetectError> {
        Ok(Engine::of(detectors::registered(&settings)?))
    }

    fn of(detectors: Vec<Box<dyn Detector>>) -> Self {
        let detectors = detectors.into_iter().map(|detector| Slot { detector, failure: None }).collect();
        Engine { detectors, now_ms: None, counters: EngineCounters::default(), begun_anew: Vec::new() }
    }

    /// Moves log time forward and closes the minutes that are over. Going back, or to where it is, does nothing.
    pub fn advance(&mut self, now_ms: i64, findings: &mut Vec<Finding>) {
        let Some(before_ms) = self.now_ms.replace(now_ms.max(self.now_ms.unwrap_or(now_ms))) else { return };
        let running = before_ms.div_euclid(Epoch::LENGTH_MS);
        let next = now_ms.div_euclid(Epoch::LENGTH_MS);
        for number in running..next.min(running.saturating_add(EPOCHS_PER_ADVANCE_MAX)) {
            self.each_detector(findings, |detector, findings| detector.close_epoch(Epoch { number }, findings));
        }
    }

    /// Takes a call in. Log time stands where the last `advance` put it; without one, at the call's receive time.
    pub fn observe(&mut self, observed: &Observed<'_, '_>, findings: &mut Vec<Finding>) {
        let call = observed.call;
        let now_ms = *self.now_ms.get_or_insert(call.received_ms);
        if call.own_refusal.is_some() {
            self.counters.own_refusals += 1;
            return;
        }
        if call.event_ms < 0 || call.event_ms > now_ms.saturating_add(AHEAD_MS_MAX) {
            self.counters.time_out_of_range += 1;
            return;
        }
        if call.event_ms < now_ms.saturating_sub(LATENESS_MS_MAX) {
            self.counters.late += 1;
            return;
        }
        let evidence = match call.trust {
            Trust::Trusted => Evidence::Trusted,
            Trust::Untrusted => {
                self.counters.untrusted += 1;
                Evidence::Untrusted
            }
        };
        self.counters.calls += 1;
        let actor = call.actor().map(|actor| {
            let entity = actor.entity(call);
            (entity, entity.key())
        });
        let gateway_refusal = call.answered_by == AnsweredBy::Gateway && !(100..400).contains(&call.status);
        let intake = Intake { now_ms, actor, evidence, gateway_refusal };
        self.each_detector(findings, |detector, findings| detector.observe(observed, &intake, findings));
    }

    /// Tells the detector that a person marked one of its findings, or an alert made of them, as no abuse.
    pub fn feedback(&mut self, mark: &FalsePositive<'_>) {
        let mut none = Vec::new();
        self.each_detector(&mut none, |detector, _| {
            if detector.descriptor().name == mark.detector {
                detector.false_positive(mark);
            }
        });
    }

    /// Lets every detector forget somebody.
    pub fn forget(&mut self, subject: &Subject) {
        let mut none = Vec::new();
        self.each_detector(&mut none, |detector, _| detector.forget(subject));
    }

    /// The whole state as bytes, the version first.
    pub fn snapshot(&self) -> Vec<u8> {
        let detectors = self.detectors.iter().map(Slot::snapshot).collect();
        let snapshot = Snapshot { now_ms: self.now_ms, counters: self.counters, detectors };
        // Numbers, texts and bytes always have an encoding; an empty snapshot would be refused by `restore`.
        postcard::to_extend(&snapshot, vec![SNAPSHOT_VERSION]).unwrap_or_default()
    }

    /// The state that [`Engine::snapshot`] wrote, under settings that may have changed since. A detector that was not
    /// there then starts from nothing; the state of one that is switched off now is dropped. One whose state is of an older
    /// version that it no longer reads begins anew, which [`Engine::begun_anew`] tells; a newer version is refused.
    pub fn restore(settings: Settings, bytes: &[u8]) -> Result<Self, DetectError> {
        let mut engine = Engine::new(settings)?;
        engine.restore_state(bytes)?;
        Ok(engine)
    }

    fn restore_state(&mut self, bytes: &[u8]) -> Result<(), DetectError> {
        let damaged = |problem: String| DetectError::Damaged { part: PART, problem };
        let Some((&found, rest)) = bytes.split_first() else { return Err(damaged("it is empty".to_owned())) };
        if found != SNAPSHOT_VERSION {
            return self.begin_anew(DetectError::Version { part: PART, found, expected: SNAPSHOT_VERSION });
        }
        let snapshot: Snapshot = postcard::from_bytes(rest).map_err(|e| damaged(e.to_string()))?;
        for part in snapshot.detectors {
            let named = |slot: &&mut Slot| slot.detector.descriptor().name == part.name;
            let Some(slot) = self.detectors.iter_mut().find(named) else { continue };
            // One that was out of use begins anew: what it failed on is past.
            if part.failure.is_none()
                && let Err(error) = slot.detector.restore(&part.state)
            {
                self.begin_anew(error)?;
            }
        }
        self.now_ms = snapshot.now_ms;
        self.counters = snapshot.counters;
        Ok(())
    }

    /// Goes on without what an older version has learnt: it is learnt again, and everything else goes on meanwhile. Any other
    /// error is one.
    fn begin_anew(&mut self, error: DetectError) -> Result<(), DetectError> {
        match error {
            DetectError::Version { found, expected, .. } if found < expected => self.begun_anew.push(error),
            error => return Err(error),
        }
        Ok(())
    }

    /// Counts on from what another engine has counted, whose place this one takes.
    pub fn take_the_place_of(&mut self, other: &Engine) {
        self.counters = other.counters;
    }

    /// What began with nothing when the state was restored, and why.
    pub fn begun_anew(&self) -> &[DetectError] {
        &self.begun_anew
    }

    /// About how much memory the state takes.
    pub fn memory_bytes(&self) -> usize {
        self.detectors.iter().map(|slot| slot.detector.memory_bytes()).sum()
    }

    /// What the engine counted.
    pub fn counters(&self) -> EngineCounters {
        self.counters
    }

    /// What the detectors are, in the order in which they are asked.
    pub fn descriptors(&self) -> Vec<&'static Descriptor> {
        self.detectors.iter().map(|slot| slot.detector.descriptor()).collect()
    }

    /// How the detectors are, for operators.
    pub fn status(&self) -> Vec<DetectorStatus> {
        let status = |slot: &Slot| DetectorStatus {
            descriptor: slot.detector.descriptor(),
            failure: slot.failure.clone(),
            memory_bytes: slot.detector.memory_bytes(),
            counters: slot.detector.counters(),
        };
        self.detectors.iter().map(status).collect()
    }

    /// Lets every working detector do something. One that panics is put out of use with the panic's message, and what it
    /// raised meanwhile is dropped; its state may be half changed, so it is neither asked nor taught until the state is
    /// restored, and then begins with nothing.
    fn each_detector(
        &mut self,
        findings: &mut Vec<Finding>,
        mut act: impl FnMut(&mut dyn Detector, &mut Vec<Finding>),
    ) {
        let first = findings.len();
        for slot in self.detectors.iter_mut().filter(|slot| slot.failure.is_none()) {
            let before = findings.len();
            let outcome = catch_unwind(AssertUnwindSafe(|| act(slot.detector.as_mut(), findings)));
            if let Err(panic) = outcome {
                findings.truncate(before);
                slot.failure = Some(panic_message(panic.as_ref()));
                self.counters.detectors_failed += 1;
            }
        }
        self.counters.findings += (findings.len() - first) as u64;
    }
}

impl Slot {
    fn snapshot(&self) -> DetectorSnapshot {
        let name = self.detector.descriptor().name.to_owned();
        if let Some(reason) = &self.failure {
            return DetectorSnapshot { name, failure: Some(reason.clone()), state: Vec::new() };
        }
        match self.detector.snapshot() {
            Ok(state) => DetectorSnapshot { name, failure: None, state },
            Err(error) => DetectorSnapshot { name, failure: Some(error.to_string()), state: Vec::new() },
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("without a message"))
}

#[cfg(test)]
mod tests;
