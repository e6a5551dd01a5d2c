//! Alerts: how findings merge into them, how they end, and which go when there are too many.
//!
//! Findings of one entity and detector merge into one live alert. An ended alert is never reopened: the next finding
//! opens a new one. An alert ends when a person says so or when nothing was found for a while.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::{
    Action, ActionScope, Alert, AlertId, AlertState, Command, CommandRefused, EntityKey, Finding, FindingSummary,
    Fingerprint, PolicyId, Severity,
};
use serde::{Deserialize, Serialize};

use super::effects::Effect;
use super::policies::is_of_people;
use super::schedule::Item;
use super::settings::ms;
use super::silences::Silences;
use super::{Cause, CommandDone, Desk, words};

/// What an alert keeps of findings, endpoints and policy notes: the latest, or for endpoints the first.
const KEPT_MAX: usize = 20;
/// Actions that an alert lists; at the limit the oldest leaves the list.
const ACTIONS_LISTED_MAX: usize = 100;

/// An alert with what only the desk needs to know of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AlertEntry {
    pub(super) alert: Alert,
    /// Log time at which it ended.
    pub(super) ended_ms: Option<i64>,
    /// What its policies do not start again, because a person ended it or the gateway could not take it.
    pub(super) settled: Vec<(PolicyId, ActionScope)>,
}

/// Who goes first when there are too many: ended before live, those of hunts, the least severe, the longest silent.
type Rank = (bool, bool, Severity, i64, AlertId);

/// All alerts that the desk holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct AlertBook {
    pub(super) rows: BTreeMap<AlertId, AlertEntry>,
    live: BTreeMap<(u64, String), AlertId>,
    ranks: BTreeSet<Rank>,
}

impl AlertEntry {
    fn rank(&self) -> Rank {
        match self.ended_ms {
            Some(ended_ms) => (false, false, Severity::Info, ended_ms, self.alert.id),
            None => {
                let is_own = !is_of_people(&self.alert.detector);
                (true, is_own, self.alert.severity, self.alert.last_finding_ms, self.alert.id)
            }
        }
    }
}

impl AlertBook {
    pub(super) fn from_rows(rows: Vec<AlertEntry>) -> Self {
        let mut book = AlertBook::default();
        for entry in rows {
            book.insert(entry);
        }
        book
    }

    fn live_of(&self, finding: &Finding) -> Option<AlertId> {
        self.live.get(&(finding.entity.key(), finding.detector.clone())).copied()
    }

    fn insert(&mut self, entry: AlertEntry) {
        if entry.ended_ms.is_none() {
            self.live.insert((entry.alert.entity.key(), entry.alert.detector.clone()), entry.alert.id);
        }
        self.ranks.insert(entry.rank());
        self.rows.insert(entry.alert.id, entry);
    }

    fn remove(&mut self, id: AlertId) -> Option<AlertEntry> {
        let entry = self.rows.remove(&id)?;
        self.ranks.remove(&entry.rank());
        if entry.ended_ms.is_none() {
            self.live.remove(&(entry.alert.entity.key(), entry.alert.detector.clone()));
        }
        Some(entry)
    }
}

impl Desk {
    /// Brings a finding into the live alert of its entity and detector, or opens one. `None` if nothing came of it.
    pub(super) fn file_finding(&mut self, finding: &Finding) -> Option<AlertId> {
        if let Some(id) = self.alerts.live_of(finding) {
            let entry = self.alerts.rows.get(&id)?;
            if entry.alert.findings.iter().any(|summary| summary.id == finding.id) {
                self.counters.findings_repeated += 1;
                return None;
            }
            let now_ms = self.now_ms;
            self.change_alert(id, |entry| merge(&mut entry.alert, finding, now_ms));
            return Some(id);
        }
        let id = AlertId(Fingerprint::of("alert").number(finding.id.0.cast_signed()).finish());
        if self.alerts.rows.contains_key(&id) {
            self.counters.findings_repeated += 1;
            return None;
        }
        while self.alerts.rows.len() >= self.settings.alerts.held_max {
            self.drop_least_alert();
        }
        self.counters.alerts_opened += 1;
        let alert = opened(id, finding, self.now_ms);
        self.alerts.insert(AlertEntry { alert, ended_ms: None, settled: Vec::new() });
        self.alert_changed(id);
        Some(id)
    }

    /// Changes an alert and everything that follows from it.
    pub(super) fn change_alert(&mut self, id: AlertId, change: impl FnOnce(&mut AlertEntry)) {
        let now_ms = self.now_ms;
        if let Some(mut entry) = self.alerts.remove(id) {
            change(&mut entry);
            entry.alert.updated_ms = now_ms;
            self.alerts.insert(entry);
            self.alert_changed(id);
        }
    }

    fn alert_changed(&mut self, id: AlertId) {
        self.outbox.alerts.insert(id);
        self.reschedule_alert(id);
    }

    pub(super) fn reschedule_alert(&mut self, id: AlertId) {
        let settings = &self.settings.alerts;
        let due_ms = self.alerts.rows.get(&id).map(|entry| match entry.ended_ms {
            Some(ended_ms) => ended_ms.saturating_add(ms(settings.remember_ended)),
            None => entry.alert.last_finding_ms.saturating_add(ms(settings.resolve_after)),
        });
        self.schedule.set(Item::Alert(id), due_ms);
    }

    /// What happens to an alert by itself when its time has come.
    pub(super) fn alert_due(&mut self, id: AlertId) {
        match self.alerts.rows.get(&id).map(|entry| entry.ended_ms) {
            Some(Some(_)) => self.forget_alert(id),
            Some(None) => {
                let reason = format!("nothing was found for {}", words::length(ms(self.settings.alerts.resolve_after)));
                self.set_alert_state(id, AlertState::Resolved, &Cause::Outrider, &reason);
            }
            None => {}
        }
    }

    /// Ends the live alert of an entity and detector: what it is about is over by itself.
    pub fn end_alert_about(&mut self, entity: &EntityKey, detector: &str, reason: &str) {
        if let Some(id) = self.alerts.live.get(&(entity.key(), detector.to_owned())).copied() {
            self.set_alert_state(id, AlertState::Resolved, &Cause::Outrider, reason);
        }
    }

    pub(super) fn drop_least_alert(&mut self) {
        let Some((is_live, .., id)) = self.alerts.ranks.first().copied() else { return };
        if is_live {
            self.counters.alerts_over_limit += 1;
            let reason = format!("there were as many alerts as may be held ({})", self.settings.alerts.held_max);
            self.set_alert_state(id, AlertState::Resolved, &Cause::Outrider, &reason);
        }
        self.forget_alert(id);
    }

    pub(super) fn forget_alert(&mut self, id: AlertId) {
        self.schedule.set(Item::Alert(id), None);
        if let Some(entry) = self.alerts.remove(id)
            && self.outbox.alerts.remove(&id)
        {
            self.outbox.last_words.push(Effect::Alert(Box::new(entry.alert)));
        }
    }

    fn set_alert_state(&mut self, id: AlertId, state: AlertState, by: &Cause<'_>, reason: &str) {
        let now_ms = self.now_ms;
        self.change_alert(id, |entry| {
            entry.alert.state = state;
            entry.alert.state_by = by.person();
            entry.alert.state_reason = reason.to_owned();
            if !state.is_live() {
                // An alert that was resolved and is now called a false positive is remembered from the latter on.
                entry.ended_ms = Some(now_ms);
            }
        });
        let what = match state {
            AlertState::Open => "opened",
            AlertState::Acknowledged => "acknowledged",
            AlertState::Resolved => "resolved",
            AlertState::FalsePositive => "called a false positive",
        };
        self.audit(by, what, &id.to_string(), reason);
    }

    /// Decisions about alerts.
    pub(super) fn on_alert_command(
        &mut self,
        by: &Cause<'_>,
        command: &Command,
    ) -> Result<CommandDone, CommandRefused> {
        let (id, state, reason) = match command {
            Command::AcknowledgeAlert { alert } => (*alert, AlertState::Acknowledged, ""),
            Command::ResolveAlert { alert, reason } => (*alert, AlertState::Resolved, reason.as_str()),
            Command::MarkFalsePositive { alert, reason } => (*alert, AlertState::FalsePositive, reason.as_str()),
            _ => return Err(CommandRefused::Invalid { why: "this is no decision about an alert".to_owned() }),
        };
        let entry = self.alert_named(id)?;
        if !alert_may_become(entry.alert.state, state) {
            return Err(CommandRefused::Conflict { why: alert_conflict(&entry.alert, state) });
        }
        if state == AlertState::FalsePositive {
            self.mark_false_positive(id, by, reason);
        } else {
            self.set_alert_state(id, state, by, reason);
        }
        Ok(CommandDone::Alert { alert: id, state })
    }

    pub(super) fn alert_named(&self, id: AlertId) -> Result<&AlertEntry, CommandRefused> {
        self.alerts.rows.get(&id).ok_or_else(|| CommandRefused::NotFound {
            what: format!(
                "alert {id}, or it ended longer ago than {}",
                words::length(ms(self.settings.alerts.remember_ended))
            ),
        })
    }

    fn mark_false_positive(&mut self, id: AlertId, by: &Cause<'_>, reason: &str) {
        let silence = self.settings.alerts.false_positive_silence;
        let until = format!("the same stays silent for {}", words::length(ms(silence)));
        let reason = if reason.is_empty() { until } else { format!("{reason} ({until})") };
        self.set_alert_state(id, AlertState::FalsePositive, by, &reason);
        let keys = self.alerts.rows.get(&id).map(|entry| Silences::keys_of(&entry.alert)).unwrap_or_default();
        let until_ms = self.now_ms.saturating_add(ms(silence));
        for key in keys {
            self.schedule.set(Item::Silence(key.clone()), Some(until_ms));
            if let Some(dropped) = self.silences.add(key, until_ms) {
                self.counters.silences_over_limit += 1;
                self.schedule.set(Item::Silence(dropped), None);
            }
        }
        self.end_actions_of(id, by, "its alert is a false positive");
    }

    /// Notes on an alert what a policy says; the same words are not noted twice.
    pub(super) fn note(&mut self, id: AlertId, note: String) {
        let is_new = self.alerts.rows.get(&id).is_some_and(|entry| !entry.alert.policy_notes.contains(&note));
        if is_new {
            self.change_alert(id, |entry| push_bounded(&mut entry.alert.policy_notes, note, KEPT_MAX));
        }
    }

    pub(super) fn list_action(&mut self, action: &Action) {
        if let Some(alert) = action.alert {
            self.change_alert(alert, |entry| push_bounded(&mut entry.alert.actions, action.id, ACTIONS_LISTED_MAX));
        }
    }
}

/// The life of an alert: a person may acknowledge an open one, end a live one, and call any a false positive.
fn alert_may_become(from: AlertState, to: AlertState) -> bool {
    use AlertState::{Acknowledged, FalsePositive, Open, Resolved};
    matches!(
        (from, to),
        (Open, Acknowledged) | (Open | Acknowledged, Resolved) | (Open | Acknowledged | Resolved, FalsePositive)
    )
}

fn alert_conflict(alert: &Alert, wanted: AlertState) -> String {
    let is = match alert.state {
        AlertState::Open => "open",
        AlertState::Acknowledged => "acknowledged already",
        AlertState::Resolved => "resolved already, and a later finding opens a new one",
        AlertState::FalsePositive => "a false positive already, and a later finding opens a new one",
    };
    let by = if alert.state_by.is_empty() { String::new() } else { format!(", by {}", alert.state_by) };
    let wanted = match wanted {
        AlertState::Acknowledged => "acknowledged",
        AlertState::Resolved => "resolved",
        AlertState::FalsePositive => "called a false positive",
        AlertState::Open => "opened",
    };
    format!("alert {} cannot be {wanted}: it is {is}{by}", alert.id)
}

fn opened(id: AlertId, finding: &Finding, now_ms: i64) -> Alert {
    Alert {
        id,
        detector: finding.detector.clone(),
        entity: finding.entity.clone(),
        state: AlertState::Open,
        severity: finding.severity,
        confidence: finding.confidence,
        sentence: finding.sentence.clone(),
        worst: finding.clone(),
        findings: vec![summary(finding)],
        finding_count: 1,
        endpoints: finding.endpoint.into_iter().collect(),
        outcome: finding.outcome,
        started_ms: finding.window_start_ms,
        opened_ms: now_ms,
        last_finding_ms: now_ms,
        updated_ms: now_ms,
        state_by: String::new(),
        state_reason: String::new(),
        actions: Vec::new(),
        policy_notes: Vec::new(),
        assignee: None,
        comments: Vec::new(),
    }
}

fn merge(alert: &mut Alert, finding: &Finding, now_ms: i64) {
    alert.severity = alert.severity.max(finding.severity);
    if finding.confidence > alert.confidence {
        alert.confidence = finding.confidence;
    }
    let surprise = |finding: &Finding| (finding.surprise.unwrap_or(f64::MIN), finding.severity);
    if surprise(finding) > surprise(&alert.worst) {
        alert.worst = finding.clone();
        alert.sentence = finding.sentence.clone();
    }
    push_bounded(&mut alert.findings, summary(finding), KEPT_MAX);
    alert.finding_count += 1;
    if let Some(endpoint) = finding.endpoint
        && alert.endpoints.len() < KEPT_MAX
        && !alert.endpoints.contains(&endpoint)
    {
        alert.endpoints.push(endpoint);
    }
    alert.outcome.succeeded = alert.outcome.succeeded.saturating_add(finding.outcome.succeeded);
    alert.outcome.failed = alert.outcome.failed.saturating_add(finding.outcome.failed);
    alert.started_ms = alert.started_ms.min(finding.window_start_ms);
    alert.last_finding_ms = now_ms;
    if !finding.entity.label.is_empty() {
        alert.entity.label.clone_from(&finding.entity.label);
    }
}

fn summary(finding: &Finding) -> FindingSummary {
    FindingSummary {
        id: finding.id,
        raised_ms: finding.raised_ms,
        observation: finding.observation.clone(),
        surprise: finding.surprise,
        sentence: finding.sentence.clone(),
    }
}

fn push_bounded<T>(list: &mut Vec<T>, item: T, count_max: usize) {
    if list.len() >= count_max {
        list.remove(0);
    }
    list.push(item);
}
