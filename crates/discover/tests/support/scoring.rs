//! How templates are scored against the truth of the measuring data, as `shared/data/discovery/eval_discovery.py` does.

use std::collections::{BTreeMap, BTreeSet};

use outrider_discover::{Catalogue, Settings};

use super::{Line, json_lines, kong_line, shared};

type Cluster = (String, String, Option<String>);

/// The truth of one line: where its template is, or `None` for noise.
pub struct Label {
    pub service: String,
    pub method: String,
    pub norm: Option<String>,
}

pub struct Score {
    pub fga: f64,
    pub tf1: f64,
    pub truths: usize,
    pub found: usize,
}

/// Parameter names do not matter.
pub fn normalise(template: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for letter in template.chars() {
        match letter {
            '{' => inside = true,
            '}' => {
                inside = false;
                out.push_str("{}");
            }
            _ if inside => {}
            _ => out.push(letter),
        }
    }
    out
}

fn f1(precision: f64, recall: f64) -> f64 {
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FGA {:.4} TF1 {:.4} ({} endpoints, {} found)", self.fga, self.tf1, self.truths, self.found)
    }
}

/// FGA and TF1 over lines whose endpoint was seen at least `hits_min` times and whose service is kept.
pub fn score(labels: &[Label], found: &[Option<String>], hits_min: usize, keep: impl Fn(&str) -> bool) -> Score {
    let key = |label: &Label| (label.service.clone(), label.method.clone(), label.norm.clone());
    let mut hits: BTreeMap<Cluster, usize> = BTreeMap::new();
    for label in labels.iter().filter(|label| label.norm.is_some()) {
        *hits.entry(key(label)).or_default() += 1;
    }
    let mut truth: BTreeMap<Cluster, Vec<usize>> = BTreeMap::new();
    let mut guess: BTreeMap<Cluster, Vec<usize>> = BTreeMap::new();
    for (at, (label, found)) in labels.iter().zip(found).enumerate() {
        if label.norm.is_none() || !keep(&label.service) || hits[&key(label)] < hits_min {
            continue;
        }
        truth.entry(key(label)).or_default().push(at);
        let template = found.as_deref().map(normalise);
        guess.entry((label.service.clone(), label.method.clone(), template)).or_default().push(at);
    }
    let sets: BTreeSet<&Vec<usize>> = truth.values().collect();
    let exact = guess.values().filter(|lines| sets.contains(lines)).count() as f64;
    let same = guess.keys().filter(|cluster| truth.contains_key(cluster)).count() as f64;
    let (guesses, truths) = (guess.len().max(1) as f64, truth.len().max(1) as f64);
    Score {
        fga: f1(exact / guesses, exact / truths),
        tf1: f1(same / guesses, same / truths),
        truths: truth.len(),
        found: guess.len(),
    }
}

/// Learns all lines, one after the other, then looks each one up by the final catalogue.
pub fn assignments(lines: &[Line]) -> (Catalogue, Vec<Option<String>>) {
    let mut catalogue = Catalogue::new(Settings::default());
    let mut now_ms = i64::MIN;
    for line in lines {
        now_ms = now_ms.max(line.at_ms);
        catalogue.advance(now_ms);
        catalogue.assign(&line.call());
    }
    catalogue.advance(now_ms + 60_000);
    let found = lines
        .iter()
        .map(|line| {
            let id = catalogue.lookup("kong", "default", &line.service, &line.method, &line.path)?;
            Some(catalogue.endpoint(id)?.key.template.clone())
        })
        .collect();
    (catalogue, found)
}

/// The lines of the measuring data with the truth of each; `None` where it is not there.
pub fn labelled() -> Option<(Vec<Line>, Vec<Label>)> {
    let (events, labels) = (shared("data/discovery/events.jsonl.gz")?, shared("data/discovery/labels.jsonl.gz")?);
    let lines = json_lines(&events).map(|line| kong_line(&line)).collect();
    let labels = json_lines(&labels).map(|label| Label {
        service: label["service"].as_str().unwrap().to_owned(),
        method: label["method"].as_str().unwrap().to_owned(),
        norm: label["norm"].as_str().map(str::to_owned),
    });
    Some((lines, labels.collect()))
}
