//! The life of weaknesses: they open, are excepted for a while, are fixed, and come back.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::WeaknessId;
use serde::{Deserialize, Serialize};

use super::Scope;
use super::checks::{self, Descriptor};
use super::settings::{Counters, Settings};
use super::view::Findings;
use super::weakness::{Exception, ExceptionRefused, Found, Opened, Weakness, WeaknessState, Why};

const DAY_MS: i64 = 86_400_000;

/// Bytes of an exception's reason.
const REASON_BYTES_MAX: usize = 512;

/// A weakness, with where it was found and when its row was told last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    weakness: Weakness,
    scope: Scope,
    told_ms: i64,
}

/// All weaknesses and exceptions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Life {
    kept: BTreeMap<WeaknessId, Kept>,
    /// What each scope has, open or not.
    of_scope: BTreeMap<Scope, BTreeSet<WeaknessId>>,
    exceptions: BTreeMap<WeaknessId, Exception>,
    /// Those of which a row is to be told, as they were when that became due: when they are asked for makes no difference.
    changed: BTreeMap<WeaknessId, Weakness>,
    opened: Vec<(Why, WeaknessId)>,
    /// Those that were open and are not any more.
    closed: BTreeSet<WeaknessId>,
    /// Those that are forgotten, of which somebody may have a row.
    gone: BTreeSet<WeaknessId>,
}

/// A check that was asked about a scope, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub scope: &'a Scope,
    pub descriptor: &'static Descriptor,
    pub settings: &'a Settings,
    pub now_ms: i64,
}

impl Life {
    /// Takes in what a check found in a scope: what is new opens, what is not found any more is fixed.
    pub fn take_in(&mut self, asked: Asked<'_>, findings: Findings, counters: &mut Counters) {
        let Asked { scope, descriptor, now_ms, .. } = asked;
        let mut gone: BTreeSet<WeaknessId> = match self.of_scope.get(scope) {
            Some(all) => all.iter().copied().filter(|id| self.is_of(*id, descriptor.name)).collect(),
            None => BTreeSet::new(),
        };
        for found in findings.found {
            let id = found.subject.weakness(descriptor.name);
            gone.remove(&id);
            self.found(id, asked, found, counters);
        }
        if findings.is_unsure {
            return;
        }
        for id in gone {
            let Some(kept) = self.kept.get_mut(&id) else { continue };
            if kept.weakness.state != WeaknessState::Fixed {
                if kept.weakness.is_open() {
                    self.closed.insert(id);
                }
                kept.weakness.state = WeaknessState::Fixed;
                kept.weakness.fixed_ms = Some(now_ms);
                kept.told_ms = now_ms;
                self.changed.insert(id, kept.weakness.clone());
            }
        }
    }

    fn is_of(&self, id: WeaknessId, check: &str) -> bool {
        self.kept.get(&id).is_some_and(|kept| kept.weakness.check == check)
    }

    fn found(&mut self, id: WeaknessId, asked: Asked<'_>, found: Found, counters: &mut Counters) {
        let Asked { scope, descriptor, settings, now_ms } = asked;
        let is_known = self.kept.contains_key(&id);
        if !is_known && self.kept.len() >= settings.weaknesses_max {
            counters.weaknesses_max += 1;
            if !self.forget_oldest_fixed() {
                return;
            }
        }
        let state = self.exceptions.get(&id).map_or(WeaknessState::Open, excepted);
        let Some(kept) = self.kept.get_mut(&id) else {
            let is_open = state == WeaknessState::Open;
            let weakness = opened(id, descriptor, found, state, now_ms);
            self.changed.insert(id, weakness.clone());
            self.kept.insert(id, Kept { weakness, scope: scope.clone(), told_ms: now_ms });
            self.of_scope.entry(scope.clone()).or_default().insert(id);
            if is_open {
                self.opened.push((Why::New, id));
            }
            return;
        };
        let weakness = &mut kept.weakness;
        let was = (weakness.severity, weakness.state.clone(), weakness.endpoints.clone());
        if weakness.state == WeaknessState::Fixed {
            weakness.reopened += 1;
            (weakness.opened_ms, weakness.fixed_ms, weakness.state) = (now_ms, None, state);
            if weakness.is_open() {
                self.opened.push((Why::Reopened, id));
            }
        } else if found.severity > weakness.severity && weakness.is_open() {
            self.opened.push((Why::Worsened, id));
        }
        let Found { subject, severity, last_seen_ms, sentence, evidence, query, fix, endpoints } = found;
        let figures_are_new = weakness.sentence != sentence || weakness.last_seen_ms != last_seen_ms;
        (weakness.subject, weakness.severity, weakness.last_seen_ms) = (subject, severity, last_seen_ms);
        (weakness.sentence, weakness.evidence) = (sentence, evidence);
        (weakness.query, weakness.fix, weakness.endpoints) = (query, fix, endpoints);
        let is_due = now_ms >= kept.told_ms + i64::from(settings.update_after_minutes) * 60_000;
        if was != (weakness.severity, weakness.state.clone(), weakness.endpoints.clone()) || figures_are_new && is_due {
            kept.told_ms = now_ms;
            self.changed.insert(id, kept.weakness.clone());
        }
    }

    /// Makes room for one; `false` where none is fixed.
    fn forget_oldest_fixed(&mut self) -> bool {
        let fixed = self.kept.values().filter(|kept| kept.weakness.state == WeaknessState::Fixed);
        let Some((_, id)) = fixed.map(|kept| (kept.weakness.fixed_ms, kept.weakness.id)).min() else { return false };
        self.forget(id);
        true
    }

    /// Forgets those that were fixed before a time.
    pub fn forget_fixed(&mut self, before_ms: i64) {
        let is_old = |kept: &&Kept| kept.weakness.fixed_ms.is_some_and(|fixed_ms| fixed_ms < before_ms);
        let old: Vec<WeaknessId> = self.kept.values().filter(is_old).map(|kept| kept.weakness.id).collect();
        old.into_iter().for_each(|id| self.forget(id));
    }

    /// Forgets a weakness, whatever its state.
    pub fn forget(&mut self, id: WeaknessId) {
        if let Some(kept) = self.kept.remove(&id)
            && let Some(all) = self.of_scope.get_mut(&kept.scope)
        {
            all.remove(&id);
            if all.is_empty() {
                self.of_scope.remove(&kept.scope);
            }
        }
        self.changed.remove(&id);
        self.gone.insert(id);
    }

    /// Forgets a weakness with whatever was decided of it.
    pub fn erase(&mut self, id: WeaknessId) {
        self.exceptions.remove(&id);
        self.closed.remove(&id);
        self.opened.retain(|(_, opened)| *opened != id);
        self.forget(id);
    }

    /// What was found in one scope is of another from now on.
    pub fn move_scope(&mut self, from: &Scope, into: &Scope) {
        let Some(moved) = self.of_scope.remove(from) else { return };
        for id in &moved {
            if let Some(kept) = self.kept.get_mut(id) {
                kept.scope = into.clone();
            }
        }
        self.of_scope.entry(into.clone()).or_default().extend(moved);
    }

    /// Ends the exceptions that are over.
    pub fn end_exceptions(&mut self, now_ms: i64) {
        let over = self.exceptions.iter().filter(|(_, exception)| exception.until_ms <= now_ms);
        let over: Vec<WeaknessId> = over.map(|(id, _)| *id).collect();
        for id in over {
            self.exceptions.remove(&id);
            self.unexcept(id, now_ms);
        }
    }

    fn unexcept(&mut self, id: WeaknessId, now_ms: i64) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        if matches!(kept.weakness.state, WeaknessState::Excepted { .. }) {
            kept.weakness.state = WeaknessState::Open;
            kept.told_ms = now_ms;
            self.changed.insert(id, kept.weakness.clone());
            self.opened.push((Why::ExceptionEnded, id));
        }
    }

    pub fn except(
        &mut self,
        now_ms: i64,
        exception: Exception,
        settings: &Settings,
    ) -> Result<WeaknessId, ExceptionRefused> {
        if checks::named(&exception.check).is_none() {
            return Err(ExceptionRefused::Check(exception.check));
        }
        let last_ms = now_ms.saturating_add(i64::from(settings.exception_days_max) * DAY_MS);
        if exception.until_ms <= now_ms || exception.until_ms > last_ms {
            return Err(ExceptionRefused::Until { days_max: settings.exception_days_max });
        }
        if exception.reason.trim().is_empty() || exception.reason.len() > REASON_BYTES_MAX {
            return Err(ExceptionRefused::Reason { bytes_max: REASON_BYTES_MAX });
        }
        let id = exception.subject.weakness(&exception.check);
        if !self.exceptions.contains_key(&id) && self.exceptions.len() >= settings.exceptions_max {
            return Err(ExceptionRefused::Full { max: settings.exceptions_max });
        }
        if let Some(kept) = self.kept.get_mut(&id).filter(|kept| kept.weakness.state != WeaknessState::Fixed) {
            if kept.weakness.is_open() {
                self.closed.insert(id);
            }
            kept.weakness.state = excepted(&exception);
            kept.told_ms = now_ms;
            self.changed.insert(id, kept.weakness.clone());
            self.opened.retain(|(_, opened)| *opened != id);
        }
        self.exceptions.insert(id, exception);
        Ok(id)
    }

    pub fn withdraw(&mut self, now_ms: i64, id: WeaknessId) -> bool {
        let was_there = self.exceptions.remove(&id).is_some();
        if was_there {
            self.unexcept(id, now_ms);
        }
        was_there
    }

    pub fn exceptions(&self) -> impl Iterator<Item = (WeaknessId, &Exception)> {
        self.exceptions.iter().map(|(id, exception)| (*id, exception))
    }

    pub fn weakness(&self, id: WeaknessId) -> Option<&Weakness> {
        self.kept.get(&id).map(|kept| &kept.weakness)
    }

    pub fn weaknesses(&self) -> impl Iterator<Item = &Weakness> {
        self.kept.values().map(|kept| &kept.weakness)
    }

    /// What a scope has that is there, excepted or not: an exception makes nothing safer.
    pub fn standing_of(&self, scope: &Scope) -> impl Iterator<Item = &Weakness> {
        let all = self.of_scope.get(scope).into_iter().flatten();
        all.filter_map(|id| self.weakness(*id)).filter(|weakness| weakness.state != WeaknessState::Fixed)
    }

    /// Where a weakness was found.
    pub fn scope_of(&self, id: WeaknessId) -> Option<&Scope> {
        self.kept.get(&id).map(|kept| &kept.scope)
    }

    pub fn drain_closed(&mut self) -> Vec<Weakness> {
        let closed = std::mem::take(&mut self.closed);
        let closed = closed.into_iter().filter_map(|id| self.weakness(id).cloned());
        closed.filter(|weakness| !weakness.is_open()).collect()
    }

    /// Those that are forgotten, and are not there again.
    pub fn drain_gone(&mut self) -> Vec<WeaknessId> {
        let gone = std::mem::take(&mut self.gone);
        gone.into_iter().filter(|id| !self.kept.contains_key(id)).collect()
    }

    pub fn drain_changes(&mut self) -> Vec<Weakness> {
        std::mem::take(&mut self.changed).into_values().collect()
    }

    pub fn drain_opened(&mut self) -> Vec<Opened> {
        let opened = std::mem::take(&mut self.opened);
        let opened =
            opened.into_iter().filter_map(|(why, id)| Some(Opened { why, weakness: self.weakness(id)?.clone() }));
        opened.filter(|opened| opened.weakness.is_open()).collect()
    }
}

fn excepted(exception: &Exception) -> WeaknessState {
    WeaknessState::Excepted { until_ms: exception.until_ms, reason: exception.reason.clone(), by: exception.by.clone() }
}

fn opened(id: WeaknessId, descriptor: &Descriptor, found: Found, state: WeaknessState, now_ms: i64) -> Weakness {
    let Found { subject, severity, last_seen_ms, sentence, evidence, query, fix, endpoints } = found;
    Weakness {
        id,
        check: descriptor.name.to_owned(),
        owasp: descriptor.owasp.to_owned(),
        subject,
        severity,
        state,
        opened_ms: now_ms,
        last_seen_ms,
        fixed_ms: None,
        reopened: 0,
        sentence,
        evidence,
        query,
        fix,
        endpoints,
    }
}
