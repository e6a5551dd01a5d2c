//! What the log shows of outrider's own operation: gateways that went silent, calls that are missing, actions that wait.
//!
//! When is a gateway silent? When it has been silent for three times as long as the longest pause that is usual for it:
//! of the same hours a day and a week before, and one hour more; before a whole day is known, of the two hours before the
//! silence began. A pause belongs to every hour that it goes on beyond, so who rests each night is not called silent at
//! night, from the second night on; the same holds for weekends from the second one on. The threshold is at least
//! [`SILENCE_MS_MIN`], and [`SILENCE_MS_MIN_NEW`] before a whole day is known. Who has sent fewer than [`CALLS_MIN`] calls
//! has no rhythm yet.
//! An outage that is as long teaches the same as a rest: for a day, and again a week later, those hours are judged mildly.

use std::collections::BTreeMap;

use outrider_detect::DetectorStatus;
use outrider_model::{Action, ActionState, Concern, NoticeKind};
use serde::{Deserialize, Serialize};

/// A gateway that paused for no longer is never silent.
pub const SILENCE_MS_MIN: i64 = 5 * MINUTE_MS;
/// The same before a whole day is known.
pub const SILENCE_MS_MIN_NEW: i64 = 60 * MINUTE_MS;
/// Calls that a gateway must have sent before its pauses mean anything.
pub const CALLS_MIN: u32 = 100;
/// How many times the longest usual pause a silence lasts.
const PAUSES: i64 = 3;
/// Gateways whose rhythm is followed. Those beyond are counted and not followed.
const GATEWAYS_MAX: usize = 64;
/// Hours that a rhythm remembers: a week and what is needed around it.
const HOURS: usize = 8 * 24;
/// How long missing calls are a concern.
const LOSS_HELD_MS: i64 = 15 * MINUTE_MS;
/// How long an action may wait for its gateway.
const WAIT_MS_MAX: i64 = 2 * MINUTE_MS;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_HOURS: i64 = 24;

/// What is remembered of the operation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Operations {
    gateways: Vec<Rhythm>,
    gateways_over_limit: u64,
    lost: Option<Lost>,
}

/// Calls that are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lost {
    since_ms: i64,
    latest_ms: i64,
    count: u64,
    reason: String,
}

/// When a gateway sends calls and when it rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Rhythm {
    gateway: String,
    calls: u32,
    first_ms: i64,
    last_ms: i64,
    /// The longest pause of each hour, in minutes, by the hour modulo [`HOURS`].
    pauses: Vec<u16>,
    /// The latest hour that `pauses` has room for.
    hour: i64,
}

/// Times are those of records, and a record that is in the log is read again at each start, whatever it says: all
/// arithmetic on them saturates.
impl Operations {
    pub(super) fn on_call(&mut self, gateway: &str, at_ms: i64) {
        if let Some(rhythm) = self.gateways.iter_mut().find(|rhythm| rhythm.gateway == gateway) {
            rhythm.on_call(at_ms);
        } else if self.gateways.len() < GATEWAYS_MAX {
            self.gateways.push(Rhythm::new(gateway, at_ms));
        } else {
            self.gateways_over_limit += 1;
        }
    }

    pub(super) fn on_loss(&mut self, now_ms: i64, count: u64, reason: &str) {
        let current = self.lost.take().filter(|lost| now_ms.saturating_sub(lost.latest_ms) < LOSS_HELD_MS);
        let (since_ms, before) = current.map_or((now_ms, 0), |lost| (lost.since_ms, lost.count));
        let count = before.saturating_add(count);
        self.lost = Some(Lost { since_ms, latest_ms: now_ms, count, reason: reason.to_owned() });
    }

    pub(super) fn concerns(&self, now_ms: i64) -> Vec<Concern> {
        let mut concerns: Vec<_> = self.gateways.iter().filter_map(|rhythm| rhythm.concern(now_ms)).collect();
        let lost = self.lost.as_ref().filter(|lost| now_ms.saturating_sub(lost.latest_ms) < LOSS_HELD_MS);
        concerns.extend(lost.map(|lost| Concern {
            kind: NoticeKind::CallsLost,
            subject: "log".to_owned(),
            since_ms: lost.since_ms,
            detail: match lost.count {
                0 => lost.reason.clone(),
                count => format!("{count} calls are missing from the log: {}", lost.reason),
            },
            remedy:
                "nothing can bring them back; look at outrider's own log for why, and at disk and memory".to_owned(),
        }));
        concerns
    }
}

impl Rhythm {
    fn new(gateway: &str, at_ms: i64) -> Self {
        let hour = at_ms.div_euclid(HOUR_MS);
        Rhythm { gateway: gateway.to_owned(), calls: 1, first_ms: at_ms, last_ms: at_ms, pauses: vec![0; HOURS], hour }
    }

    fn on_call(&mut self, at_ms: i64) {
        self.calls = self.calls.saturating_add(1);
        let pause_minutes = at_ms.saturating_sub(self.last_ms) / MINUTE_MS;
        let from = self.last_ms.div_euclid(HOUR_MS);
        self.last_ms = self.last_ms.max(at_ms);
        let hour = at_ms.div_euclid(HOUR_MS);
        for forgotten in (self.hour + 1..=hour).rev().take(HOURS) {
            self.pauses[slot(forgotten)] = 0;
        }
        self.hour = self.hour.max(hour);
        if pause_minutes > 0 {
            let minutes = u16::try_from(pause_minutes).unwrap_or(u16::MAX);
            for touched in (from..hour).rev().take(HOURS) {
                let longest = &mut self.pauses[slot(touched)];
                *longest = (*longest).max(minutes);
            }
            // The hour in which it ends only has its own part: the night says nothing about the morning.
            let own_minutes = minutes.min((at_ms.rem_euclid(HOUR_MS) / MINUTE_MS) as u16);
            let longest = &mut self.pauses[slot(hour)];
            *longest = (*longest).max(own_minutes);
        }
    }

    fn concern(&self, now_ms: i64) -> Option<Concern> {
        let silence_ms = now_ms.saturating_sub(self.last_ms);
        if self.calls < CALLS_MIN || silence_ms < SILENCE_MS_MIN {
            return None;
        }
        let is_new = self.last_ms.saturating_sub(self.first_ms) < DAY_HOURS * HOUR_MS;
        let usual_ms = self.usual_pause_ms(now_ms, is_new);
        let least_ms = if is_new { SILENCE_MS_MIN_NEW } else { SILENCE_MS_MIN };
        if silence_ms < least_ms.max(PAUSES * usual_ms) {
            return None;
        }
        let (silence, usual) = (silence_ms / MINUTE_MS, usual_ms / MINUTE_MS);
        Some(Concern {
            kind: NoticeKind::GatewaySilent,
            subject: self.gateway.clone(),
            since_ms: self.last_ms,
            detail: format!(
                "no call for {silence} min; the longest pause that is usual at this time was {usual} min"
            ),
            remedy: "look whether the gateway has traffic, whether its log plugin is on and whether it reaches the collector"
                .to_owned(),
        })
    }

    /// The longest pause at this time of day, a day and a week ago; for who is new, just before.
    fn usual_pause_ms(&self, now_ms: i64, is_new: bool) -> i64 {
        let (began, now) = (self.last_ms.div_euclid(HOUR_MS), now_ms.div_euclid(HOUR_MS));
        let ago = |hours| began - hours..=now - hours + 1;
        let spans = if is_new { vec![began - 2..=began] } else { vec![ago(DAY_HOURS), ago(7 * DAY_HOURS)] };
        let hours = spans.into_iter().flat_map(|span| span.take(HOURS));
        // What was before the first call, or longer ago than is remembered, says nothing.
        let oldest = self.first_ms.div_euclid(HOUR_MS).max(self.hour - HOURS as i64 + 1);
        let known = hours.filter(|hour| (oldest..=self.hour).contains(hour));
        i64::from(known.map(|hour| self.pauses[slot(hour)]).max().unwrap_or(0)) * MINUTE_MS
    }
}

fn slot(hour: i64) -> usize {
    // The remainder is less than HOURS.
    hour.rem_euclid(HOURS as i64) as usize
}

/// Actions that wait for their gateway for too long, by gateway.
pub(super) fn waiting_actions<'a>(actions: impl Iterator<Item = &'a Action>, now_ms: i64) -> Vec<Concern> {
    let mut waiting: BTreeMap<&str, (i64, u32, &Action)> = BTreeMap::new();
    for action in actions {
        let is_waiting = matches!(action.state, ActionState::Approved | ActionState::Pending | ActionState::Releasing);
        let since_ms = action.history.last().map_or(action.created_ms, |step| step.at_ms);
        if !is_waiting || now_ms.saturating_sub(since_ms) < WAIT_MS_MAX {
            continue;
        }
        let entry = waiting.entry(&action.target.gateway).or_insert((since_ms, 0, action));
        entry.1 += 1;
        if since_ms < entry.0 {
            (entry.0, entry.2) = (since_ms, action);
        }
    }
    let concern = |(gateway, (since_ms, count, oldest)): (&str, (i64, u32, &Action))| {
        let why = if oldest.state_reason.is_empty() { "no word from the responder" } else { &oldest.state_reason };
        Concern {
            kind: NoticeKind::ActionsWaiting,
            subject: gateway.to_owned(),
            since_ms,
            detail: format!("{count} actions wait for the gateway; the first is {}: {why}", oldest.id),
            remedy: "look at the responder's status and at the gateway's Admin API; it is tried again by itself"
                .to_owned(),
        }
    };
    waiting.into_iter().map(concern).collect()
}

/// Detectors that were put out of use.
pub(super) fn failed_detectors(detectors: Vec<DetectorStatus>, now_ms: i64) -> Vec<Concern> {
    let failed = detectors.into_iter().filter_map(|detector| {
        let failure = detector.failure?;
        Some(Concern {
            kind: NoticeKind::DetectorOutOfUse,
            subject: detector.descriptor.name.to_owned(),
            since_ms: now_ms,
            detail: format!("it failed and judges nothing until the next start: {failure}"),
            remedy: "start outrider again, and report this: it is a mistake of ours".to_owned(),
        })
    });
    failed.collect()
}

#[cfg(test)]
mod tests;
