//! Decisions about templates: taking them in, taking them back, and saying beforehand what either would do.
//!
//! A set of decisions means the same in whatever order they were taken, and whatever had been learned by then, so that they
//! can be taken before the first call, and again when everything is learned anew.

use std::collections::BTreeSet;

use outrider_model::{
    Endpoint, EndpointId, EndpointKey, TemplateChange, TemplateDecision, TemplateDecisionId, TemplateEffect,
};

use crate::catalogue::Catalogue;
use crate::pieces::{check, pieces, shape_of_pieces, text_bytes};
use crate::refusal::DecisionRefused;
use crate::rules::Rules;
use crate::settings::Settings;
use crate::trie::Place;

/// Which service a decision is about.
type About = (String, String, String);

/// An endpoint that there is: its service, the shape of its template, and its method.
type Made = (About, Box<str>, String);

fn about(decision: &TemplateDecision) -> About {
    (decision.gateway.clone(), decision.workspace.clone(), decision.service.clone())
}

fn is_about(place: &Place, (gateway, workspace, service): &About) -> bool {
    place.gateway == *gateway && place.workspace == *workspace && place.service == *service
}

impl Catalogue {
    /// Takes decisions back and others in, all of them or none, and gives how many were news: one that stands already
    /// changes nothing.
    ///
    /// Calls from then on belong to the endpoints that the decisions give; so do the counts that endpoints have. Merged
    /// endpoints redirect to the oldest of them, and stand on their own again when the merge is taken back. A split leaves the
    /// id with the parameter; the text gets its own with its first call, and redirects when the split is taken back.
    pub fn revise(
        &mut self,
        taken_back: &[TemplateDecisionId],
        decisions: &[TemplateDecision],
    ) -> Result<usize, DecisionRefused> {
        let mut next = self.state.decisions.clone();
        let mut changed: BTreeSet<About> = BTreeSet::new();
        for &id in taken_back {
            let at = next.iter().position(|known| known.id() == id).ok_or(DecisionRefused::Unknown { id })?;
            changed.insert(about(&next.remove(at)));
        }
        let mut standing: BTreeSet<TemplateDecisionId> = next.iter().map(TemplateDecision::id).collect();
        let mut news = 0;
        for decision in decisions {
            if standing.insert(decision.id()) {
                check(decision, self.settings.depth_max)?;
                changed.insert(about(decision));
                next.push(decision.clone());
                news += 1;
            }
        }
        if news > 0 {
            self.check_room(&next)?;
        }
        let rules: Vec<(About, Rules)> = changed
            .into_iter()
            .map(|about| rules_about(&next, &about).map(|rules| (about, rules)))
            .collect::<Result<_, _>>()?;
        self.state.decisions = next;
        for (about, rules) in rules {
            let place = self.state.places.iter().position(|place| is_about(place, &about));
            if let Some(place) = place {
                let is_empty = !self.state.decisions.iter().any(|decision| self::about(decision) == about);
                self.regroup(place as u32, (!is_empty).then_some(rules));
            }
        }
        Ok(news)
    }

    fn check_room(&mut self, next: &[TemplateDecision]) -> Result<(), DecisionRefused> {
        let checked = Room::of(next).check(&self.settings);
        self.state.counters.decisions_max += u64::from(checked.is_err());
        checked
    }

    /// What [`Catalogue::revise`] would do to the inventory. It works on a copy.
    pub fn preview(
        &self,
        taken_back: &[TemplateDecisionId],
        decisions: &[TemplateDecision],
    ) -> Result<Vec<TemplateEffect>, DecisionRefused> {
        let mut after = self.clone();
        after.revise(taken_back, decisions)?;
        let ids: BTreeSet<EndpointId> = self.endpoints().chain(after.endpoints()).map(|endpoint| endpoint.id).collect();
        let mut effects: Vec<TemplateEffect> =
            ids.into_iter().filter_map(|id| effect(id, self.in_inventory(id), &after)).collect();
        let changed: BTreeSet<About> = decisions.iter().map(about).collect();
        let made = after.endpoints().filter_map(|endpoint| {
            let EndpointKey { gateway, workspace, service, method, .. } = &endpoint.key;
            let about = (gateway.clone(), workspace.clone(), service.clone());
            changed.contains(&about).then(|| (about, shape(endpoint), method.clone()))
        });
        let made: BTreeSet<Made> = made.collect();
        effects.extend(decisions.iter().filter_map(|decision| awaited(decision, &made)));
        Ok(effects)
    }

    /// The decisions that stand, in the order in which they were taken.
    pub fn decisions(&self) -> &[TemplateDecision] {
        &self.state.decisions
    }

    fn in_inventory(&self, id: EndpointId) -> Option<&Endpoint> {
        let record = self.state.table.get(self.state.table.index(id)?)?;
        (record.is_shown() && record.is_told).then_some(&record.endpoint)
    }

    /// Puts what was decided about a new place in force.
    pub(crate) fn attach_rules(&mut self, place: u32) {
        let known = &self.state.places[place as usize];
        let about = (known.gateway.clone(), known.workspace.clone(), known.service.clone());
        if self.state.decisions.iter().any(|decision| self::about(decision) == about) {
            let mut rules = Rules::default();
            for decision in self.state.decisions.iter().filter(|decision| self::about(decision) == about) {
                // It was refused when it was taken, if it had to be. One that is damaged costs no other.
                let _ = rules.add(decision);
            }
            self.overlay.set_rules(place, Some(rules));
        }
    }

    /// Makes everything that follows from the decisions, and changes no endpoint.
    pub(crate) fn attach_all_rules(&mut self) {
        for place in 0..self.state.places.len() as u32 {
            self.attach_rules(place);
        }
        for place in self.overlay.places() {
            for record in self.records_of(place) {
                self.enter_group(record);
            }
        }
    }

    /// Shows the endpoints of a place as other rules say.
    fn regroup(&mut self, place: u32, rules: Option<Rules>) {
        let has_rules = rules.is_some();
        self.overlay.set_rules(place, rules);
        for record in self.records_of(place) {
            self.follow_fate(record);
        }
        let records = self.records_of(place);
        if has_rules {
            for &record in &records {
                self.enter_group(record);
            }
        }
        let keeps = |record: &u32| self.state.table.get(*record).is_some_and(|record| record.kept.is_some());
        if !records.iter().any(keeps) {
            for &record in &records {
                if let Some(record) = self.state.table.get_mut(record) {
                    record.diverted = 0;
                }
            }
        }
        for record in records {
            self.show_anew(record);
        }
    }
}

/// What decisions take of the room that there is for them.
pub(crate) struct Room {
    count: usize,
    bytes: usize,
}

impl Room {
    pub fn of(decisions: &[TemplateDecision]) -> Self {
        Room { count: decisions.len(), bytes: decisions.iter().map(text_bytes).sum() }
    }

    /// Of so many decisions, before their texts are known.
    pub fn at_least(count: usize) -> Self {
        Room { count, bytes: 0 }
    }

    pub fn take(&mut self, decision: &TemplateDecision) {
        self.count += 1;
        self.bytes += text_bytes(decision);
    }

    pub fn give(&mut self, decision: &TemplateDecision) {
        self.count -= 1;
        self.bytes -= text_bytes(decision);
    }

    pub fn check(&self, settings: &Settings) -> Result<(), DecisionRefused> {
        let limits = [
            ("decisions about templates", "decisions_max", self.count, settings.decisions_max),
            ("bytes of decisions about templates", "decisions_bytes_max", self.bytes, settings.decisions_bytes_max),
        ];
        match limits.into_iter().find(|(_, _, count, most)| count > most) {
            Some((what, setting, count, most)) => Err(DecisionRefused::Full { count, what, setting, most }),
            None => Ok(()),
        }
    }
}

fn rules_about(decisions: &[TemplateDecision], about: &About) -> Result<Rules, DecisionRefused> {
    let mut rules = Rules::default();
    for decision in decisions.iter().filter(|decision| self::about(decision) == *about) {
        rules.add(decision)?;
    }
    Ok(rules)
}

fn effect(id: EndpointId, before: Option<&Endpoint>, after: &Catalogue) -> Option<TemplateEffect> {
    let now = after.in_inventory(id);
    let method = before.or(now)?.key.method.clone();
    let text = |endpoint: &Endpoint| endpoint.key.template.clone();
    Some(match (before, now) {
        (Some(before), Some(now)) if before.key.template == now.key.template => return None,
        (Some(before), Some(now)) if shape(before) == shape(now) => {
            TemplateEffect::Renamed { endpoint: id, method, before: text(before), after: text(now) }
        }
        (Some(before), Some(now)) => {
            TemplateEffect::Retemplated { endpoint: id, method, before: text(before), after: text(now) }
        }
        (None, Some(now)) => TemplateEffect::Made { endpoint: id, method, after: text(now) },
        (Some(before), None) => match after.resolve(id) {
            into if into != id => TemplateEffect::Merged { endpoint: id, method, before: text(before), into },
            _ => TemplateEffect::Vanished { endpoint: id, method, before: text(before) },
        },
        (None, None) => return None,
    })
}

fn shape(endpoint: &Endpoint) -> Box<str> {
    shape_of_pieces(&pieces(&endpoint.key.template, usize::MAX).unwrap_or_default())
}

/// A template that gets its endpoint with its first call. `made` has those that there are.
fn awaited(decision: &TemplateDecision, made: &BTreeSet<Made>) -> Option<TemplateEffect> {
    let (template, method) = match &decision.change {
        TemplateChange::Pin { method } => (decision.template.clone(), method.clone()),
        TemplateChange::Split { value } => {
            let (before, _) = decision.template.trim_end_matches('/').rsplit_once('/')?;
            (format!("{before}/{value}"), None)
        }
        _ => return None,
    };
    let wanted = shape_of_pieces(&pieces(&template, usize::MAX).ok()?);
    let from = (about(decision), wanted.clone(), method.clone().unwrap_or_default());
    let is_there = made.range(from.clone()..).next().is_some_and(|(about, shape, found)| {
        *about == from.0 && *shape == wanted && method.as_deref().is_none_or(|method| method == found)
    });
    (!is_there).then_some(TemplateEffect::Awaited { method, template })
}
