//! Endpoints that only a decision keeps: learning takes their calls for another one's.

use outrider_model::{ApiCall, EndpointKey};
use serde::{Deserialize, Serialize};

use crate::catalogue::Catalogue;
use crate::evidence::teaches;
use crate::name::{explanation, template};
use crate::operations::operation_of;
use crate::overlay::{Group, Look, Target, pinned};
use crate::path::Path;
use crate::pieces::{Piece, pieces, shape_of_parts};
use crate::rules::{Learned, Shown};
use crate::trie::NONE;

/// What stands for a value in a sample: no name is written so.
const ANY_VALUE: &str = "{}";

/// What is known of such an endpoint beside what others have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub place: u32,
    /// The segments of a path that belongs to it.
    sample: Vec<Box<str>>,
    /// The shape of its group. The template does not always tell it: a name may look like a parameter.
    pub shape: Box<str>,
}

/// What becomes of it under the present decisions.
enum Fate {
    Stays {
        group: Group,
        template: String,
        why: String,
    },
    Ignored {
        why: String,
    },
    /// Its calls are those of a record that learning has.
    Given {
        to: u32,
    },
    /// Neither a decision nor learning knows its calls.
    Lost,
}

impl Catalogue {
    /// Makes the endpoint that a decision keeps, if the call shows that it is there and there is room.
    pub(crate) fn make_kept(
        &mut self,
        call: &ApiCall<'_>,
        path: &Path<'_>,
        learned: Option<u32>,
        (group, template, why): (Group, String, String),
    ) -> Option<u32> {
        if !teaches(call) {
            return None;
        }
        if self.state.table.live() >= self.settings.endpoints_max {
            self.state.counters.endpoints_max += 1;
            return None;
        }
        let sample = self.sample(path, learned, &template);
        let place = &self.state.places[group.place as usize];
        let key = EndpointKey {
            gateway: place.gateway.clone(),
            workspace: place.workspace.clone(),
            service: place.service.clone(),
            method: call.method.as_str().to_owned(),
            template,
        };
        let service_name = place.service_name.clone();
        let index = self.state.table.add(key, service_name, NONE, false, self.state.epoch);
        let record = self.state.table.get_mut(index)?;
        record.kept = Some(Box::new(Kept { place: group.place, sample, shape: group.shape.clone() }));
        record.is_told = true;
        record.endpoint.provisional = false;
        record.endpoint.explanation = why;
        self.join(index, group);
        self.weigh_confidence(index);
        Some(index)
    }

    /// Before learning takes an endpoint elsewhere whose template somebody decided: another one takes its place, with its id
    /// and its calls, and stays. Even where there is no room: there are no more of them than decisions and methods.
    pub(crate) fn keep(&mut self, index: u32) {
        let Some(group) = self.overlay.led_by(index) else { return };
        let Some(record) = self.state.table.get(index).filter(|record| record.kept.is_none()) else { return };
        let pieces = pieces(&record.endpoint.key.template, usize::MAX).unwrap_or_default();
        let sample = pieces.iter().map(|piece| match piece {
            Piece::Name(name) => name.clone(),
            Piece::Parameter(_) => ANY_VALUE.into(),
        });
        let kept = Kept { place: group.place, sample: sample.collect(), shape: group.shape.clone() };
        let Fate::Stays { group: now, .. } = self.fate(&kept, &record.endpoint.key.method) else { return };
        if now != group {
            return;
        }
        let (key, service_name) = (record.endpoint.key.clone(), record.endpoint.service_name.clone());
        let (why, seen, changed_epoch) = (record.endpoint.explanation.clone(), record.own(), record.changed_epoch);
        let made = self.state.table.add(key, service_name, NONE, false, changed_epoch);
        self.state.table.exchange_ids(index, made);
        if let Some(record) = self.state.table.get_mut(made) {
            record.kept = Some(Box::new(kept));
            record.endpoint.provisional = false;
            record.endpoint.explanation = why;
            record.seen = seen;
        }
        if let Some(record) = self.state.table.get_mut(index) {
            record.diverted = record.seen.calls;
        }
        self.join(made, group);
    }

    /// Lets the kept endpoints of all places follow what was learned of the segments that nothing was decided about.
    pub(crate) fn follow_learning(&mut self) {
        for place in self.overlay.places() {
            for index in self.overlay.records_of(place) {
                self.follow_fate(index);
            }
        }
    }

    /// Shows a kept endpoint as the rules and learning say now; where nothing keeps it any more, gives it back.
    pub(crate) fn follow_fate(&mut self, index: u32) {
        let Some(record) = self.state.table.get(index) else { return };
        let Some(kept) = &record.kept else { return };
        match self.fate(kept, &record.endpoint.key.method) {
            Fate::Stays { group, template, why } => {
                let is_there = self.overlay.is_in(index, &group);
                let look = Look { template, why, provisional: false, target: Target::Plain };
                if !is_there {
                    self.leave(index);
                }
                if !is_there || self.overlay.led_by(index).is_some() {
                    self.write(index, Some(&look), None);
                }
                if !is_there {
                    self.move_kept(index, group);
                }
            }
            Fate::Ignored { why } => {
                self.leave(index);
                let template = record_template(self, index);
                self.write(index, Some(&Look { template, why, provisional: false, target: Target::Ignored }), None);
            }
            Fate::Given { to } => {
                self.leave(index);
                if self.state.table.age(index) < self.state.table.age(to) {
                    self.state.table.exchange_ids(index, to);
                }
                self.merge_records(to, index);
                self.settle_around(to);
            }
            Fate::Lost => {
                self.leave(index);
                self.state.table.forget(index);
            }
        }
    }

    /// Takes a kept endpoint to another group. Two of one group become one for good.
    fn move_kept(&mut self, index: u32, group: Group) {
        let leader = self.overlay.leader_of(&group);
        let other = leader.filter(|&other| self.state.table.get(other).is_some_and(|record| record.kept.is_some()));
        let index = match other {
            Some(other) => {
                self.overlay.remove(other);
                self.merge_records(index, other)
            }
            None => index,
        };
        if let Some(kept) = self.state.table.get_mut(index).and_then(|record| record.kept.as_mut()) {
            kept.shape = group.shape.clone();
        }
        self.join(index, group.clone());
        self.settle(&group);
    }

    /// Merges two records for good; gives the one that lives on.
    fn merge_records(&mut self, one: u32, other: u32) -> u32 {
        let (kept, forgets) = self.state.table.merge(one, other, self.state.epoch, self.settings.redirects_max);
        self.state.counters.redirects_max += u64::from(forgets);
        kept
    }

    fn fate(&self, kept: &Kept, method: &str) -> Fate {
        let (place, path) = (kept.place, Path::of(&kept.sample));
        let Some(method) = self.method(method) else { return Fate::Lost };
        let learned = self.find(place, method, &path);
        let Some(rules) = self.overlay.rules(place) else {
            return learned.map_or(Fate::Lost, |to| Fate::Given { to });
        };
        let method_text: &str = &self.state.methods[usize::from(method)];
        let Some(record) = learned else {
            return match rules.pin(path.texts().map(Some), method_text) {
                Some(pin) => Fate::Stays {
                    group: Group::new(place, method, pin.shape.clone()),
                    template: pin.template.to_string(),
                    why: pinned(&pin.by.words),
                },
                None => Fate::Lost,
            };
        };
        let steps = self.steps_of_call(record, &path);
        match rules.shown(&steps, method_text) {
            Shown::Ignored(by) => Fate::Ignored { why: crate::overlay::ignored(&by.words) },
            Shown::Pinned(pin) => Fate::Stays {
                group: Group::new(place, method, pin.shape.clone()),
                template: pin.template.to_string(),
                why: pinned(&pin.by.words),
            },
            Shown::Parts { by_text: false, .. } => Fate::Given { to: record },
            Shown::Parts { parts, .. } => Fate::Stays {
                group: Group::new(place, method, shape_of_parts(&parts)),
                template: template(&parts, false),
                why: explanation(&parts, true),
            },
        }
    }

    /// A path that belongs to a template, with no value that need not be in it.
    fn sample(&self, path: &Path<'_>, learned: Option<u32>, template: &str) -> Vec<Box<str>> {
        let pieces = pieces(template, usize::MAX).unwrap_or_default();
        let steps = learned.map(|record| self.steps_of_call(record, path)).unwrap_or_default();
        let text = |(at, text): (usize, &str)| match (pieces.get(at), steps.get(at).map(|step| step.learned)) {
            (Some(Piece::Name(_)), _) | (_, Some(Learned::Name(_))) => text.into(),
            _ => ANY_VALUE.into(),
        };
        // A template without an operation takes all of them.
        let count = if operation_of(template).is_some() { usize::MAX } else { path.segments.len() };
        path.texts().enumerate().take(count).map(text).collect()
    }
}

fn record_template(catalogue: &Catalogue, index: u32) -> String {
    catalogue.state.table.get(index).map(|record| record.endpoint.key.template.clone()).unwrap_or_default()
}
