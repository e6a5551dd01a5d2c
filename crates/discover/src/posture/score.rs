//! How risky an endpoint or a service is, from 0 to 10, and what makes it so.
//!
//! A score is a sum of points, of at most 10, so that everybody can see what it is made of: what is weak, by its severity; which data is
//! carried; and whether anybody may call. The points are judgements and are fitted to nothing. What is weak at a whole service counts half at
//! each of its endpoints. Exceptions change no score, for they make nothing safer.

use std::collections::BTreeMap;
use std::fmt;

use outrider_classify::{DataClass, Family};
use outrider_model::{EndpointId, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::settings::Settings;
use super::weakness::{ServiceKey, WeakSubject, Weakness};
use crate::inventory::{Mark, SignCount};

/// Moves that are kept of a score; the oldest goes.
const MOVES_MAX: usize = 20;

/// The highest score, in tenths.
const TENTHS_MAX: u32 = 100;

/// What a score is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScoreSubject {
    /// An endpoint.
    Endpoint(EndpointId),
    /// A service.
    Service(ServiceKey),
}

/// Something that makes a score higher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Factor {
    /// A check's name, or what else it is: `data_payment`, `open_to_anybody`.
    pub name: String,
    /// What it adds.
    pub points: f32,
    /// Why, in a sentence.
    pub sentence: String,
}

/// A change of a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Move {
    /// Log time.
    pub at_ms: i64,
    /// The score before.
    pub from: f32,
    /// And after.
    pub to: f32,
    /// What has changed most.
    pub because: String,
}

/// `6.1 → 7.4: a first call without authentication was answered 2xx`.
impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} → {:.1}: {}", self.from, self.to, self.because)
    }
}

/// A score with what makes it and how it came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RiskScore {
    /// What it is of.
    pub subject: ScoreSubject,
    /// From 0 to 10, to the tenth.
    pub score: f32,
    /// What makes it, the weightiest first. Together they may come to more than 10.
    pub factors: Vec<Factor>,
    /// Its last changes, the newest last.
    pub moves: Vec<Move>,
}

/// Points in tenths, so that sums are exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Points {
    name: String,
    tenths: u32,
    sentence: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Score {
    tenths: u32,
    points: Vec<Points>,
    moves: Vec<Move>,
    is_due: bool,
    /// It was worked out once: from then on a change is a move.
    is_known: bool,
}

/// The scores of a service and its endpoints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scores {
    service: Score,
    endpoints: BTreeMap<EndpointId, Score>,
}

impl Scores {
    /// Works out the scores of what is known of a service and what is weak there now.
    pub fn judge(
        &mut self,
        key: &ServiceKey,
        endpoints: &BTreeMap<EndpointId, Facts>,
        weaknesses: &[&Weakness],
        settings: &Settings,
        now_ms: i64,
    ) {
        let mut own: BTreeMap<EndpointId, Vec<Points>> = BTreeMap::new();
        for weakness in weaknesses {
            let is_shared = !matches!(weakness.subject, WeakSubject::Endpoint(_));
            let tenths = if is_shared { of(weakness.severity).div_ceil(2) } else { of(weakness.severity) };
            for id in &weakness.endpoints {
                own.entry(*id).or_default().push(Points { tenths, ..points(weakness) });
            }
        }
        let mut of_service: BTreeMap<String, Points> = BTreeMap::new();
        let mut add = |points: Points| match of_service.get_mut(&points.name) {
            Some(known) if known.tenths >= points.tenths => {}
            _ => drop(of_service.insert(points.name.clone(), points)),
        };
        weaknesses.iter().for_each(|weakness| add(points(weakness)));
        for (id, facts) in endpoints {
            let mut all = of_traffic(facts, settings, now_ms);
            let name = facts.name();
            all.iter().for_each(|one| add(Points { sentence: format!("{name}: {}", one.sentence), ..one.clone() }));
            all.extend(own.remove(id).unwrap_or_default());
            self.endpoints.entry(*id).or_default().set(all, now_ms);
        }
        let is_empty = endpoints.is_empty() && of_service.is_empty() && !self.service.is_known;
        if !is_empty && !key.service.is_empty() {
            self.service.set(of_service.into_values().collect(), now_ms);
        }
    }

    pub fn forget(&mut self, endpoint: EndpointId) {
        self.endpoints.remove(&endpoint);
    }

    /// Scores that changed.
    pub fn drain(&mut self, key: &ServiceKey) -> Vec<RiskScore> {
        let of_endpoints = self.endpoints.iter_mut().map(|(id, score)| (ScoreSubject::Endpoint(*id), score));
        let of_service = std::iter::once((ScoreSubject::Service(key.clone()), &mut self.service));
        let due = of_endpoints
            .chain(of_service)
            .filter_map(|(subject, score)| std::mem::take(&mut score.is_due).then(|| score.row(subject)));
        due.collect()
    }
}

impl Score {
    fn set(&mut self, mut points: Vec<Points>, now_ms: i64) {
        points.sort_by(|one, other| other.tenths.cmp(&one.tenths).then_with(|| one.name.cmp(&other.name)));
        let tenths = points.iter().map(|one| one.tenths).sum::<u32>().min(TENTHS_MAX);
        let parts = |points: &[Points]| points.iter().map(|one| (one.name.clone(), one.tenths)).collect::<Vec<_>>();
        if self.is_known && tenths != self.tenths {
            let because = because(&self.points, &points);
            self.moves.push(Move { at_ms: now_ms, from: rounded(self.tenths), to: rounded(tenths), because });
            let over = self.moves.len().saturating_sub(MOVES_MAX);
            self.moves.drain(..over);
        }
        if !self.is_known || parts(&self.points) != parts(&points) {
            self.is_due = true;
            (self.tenths, self.points, self.is_known) = (tenths, points, true);
        }
    }

    fn row(&self, subject: ScoreSubject) -> RiskScore {
        let factor = |one: &Points| Factor {
            name: one.name.clone(),
            points: rounded(one.tenths),
            sentence: one.sentence.clone(),
        };
        RiskScore {
            subject,
            score: rounded(self.tenths),
            factors: self.points.iter().map(factor).collect(),
            moves: self.moves.clone(),
        }
    }
}

fn rounded(tenths: u32) -> f32 {
    tenths as f32 / 10.0
}

/// What changed most between two sums: the sentence of what came, or that something is there no longer.
fn because(before: &[Points], after: &[Points]) -> String {
    let tenths = |points: &[Points], name: &str| -> u32 {
        points.iter().filter(|one| one.name == name).map(|one| one.tenths).sum()
    };
    let mut most: (u32, String) = (0, "the figures".to_owned());
    for one in after {
        let change = tenths(after, &one.name).saturating_sub(tenths(before, &one.name));
        if change > most.0 {
            most = (change, one.sentence.clone());
        }
    }
    for one in before {
        let change = tenths(before, &one.name).saturating_sub(tenths(after, &one.name));
        if change > most.0 {
            let words = if tenths(after, &one.name) == 0 { "no longer" } else { "less of" };
            most = (change, format!("{words} {}", one.name));
        }
    }
    most.1
}

/// What a weakness adds, in tenths.
fn of(severity: Severity) -> u32 {
    match severity {
        Severity::Critical => 40,
        Severity::High => 25,
        Severity::Medium => 12,
        Severity::Low => 5,
        Severity::Info => 1,
    }
}

fn points(weakness: &Weakness) -> Points {
    Points { name: weakness.check.clone(), tenths: of(weakness.severity), sentence: weakness.sentence.clone() }
}

/// What an endpoint carries and who may call it, whether that is weak or not.
fn of_traffic(facts: &Facts, settings: &Settings, now_ms: i64) -> Vec<Points> {
    let mut families: BTreeMap<Family, Vec<&str>> = BTreeMap::new();
    for count in facts.seen.data_classes.iter().filter(|count| count.is_decided) {
        if let Some(class) = DataClass::named(&count.class) {
            let classes = families.entry(class.family()).or_default();
            if !classes.contains(&count.class.as_str()) {
                classes.push(&count.class);
            }
        }
    }
    let mut all: Vec<Points> = families
        .into_iter()
        .filter_map(|(family, classes)| {
            let tenths = match family {
                Family::Payment | Family::Health => 12,
                Family::Personal => 8,
                Family::Credentials => 6,
                Family::Location => 4,
                Family::Technical => return None,
            };
            let sentence = format!("it carries {}", classes.join(", "));
            Some(Points { name: format!("data_{}", family.as_str()), tenths, sentence })
        })
        .collect();
    let is_there = |count: &&SignCount| !settings.is_over(count.last_seen_ms, count.calls_since, now_ms);
    if let Some(count) = facts.seen.mark(Mark::UnauthenticatedOk).filter(is_there) {
        let tenths = if facts.is_writing() { 12 } else { 6 };
        let sentence = match count.calls {
            1 => "a first call without authentication was answered 2xx".to_owned(),
            calls => format!("{calls} calls without authentication were answered 2xx"),
        };
        all.push(Points { name: "open_to_anybody".to_owned(), tenths, sentence });
    }
    all
}
