//! How well templates are found on traffic generated from real OpenAPI documents, measured as
//! `shared/data/discovery/eval_discovery.py` does.
//!
//! `OUTRIDER_ASSIGNMENTS=FILE` writes the assignments for that script.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use outrider_discover::{Catalogue, Settings};
use support::{Line, json_lines, kong_line, shared};

type Cluster = (String, String, Option<String>);

/// The truth of one line: where its template is, or `None` for noise.
struct Label {
    service: String,
    method: String,
    norm: Option<String>,
}

struct Score {
    fga: f64,
    tf1: f64,
    truths: usize,
    found: usize,
}

/// Parameter names do not matter.
fn normalise(template: &str) -> String {
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
fn score(labels: &[Label], found: &[Option<String>], hits_min: usize, keep: impl Fn(&str) -> bool) -> Score {
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
fn assignments(lines: &[Line]) -> (Catalogue, Vec<Option<String>>) {
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

/// How often templates of each confidence are right, as `(mean confidence, share that is right, templates)`.
fn reliability(catalogue: &Catalogue, labels: &[Label]) -> Vec<(f64, f64, usize)> {
    let truth: BTreeSet<(&str, &str, &str)> = labels
        .iter()
        .filter_map(|label| Some((label.service.as_str(), label.method.as_str(), label.norm.as_deref()?)))
        .collect();
    let mut classes: BTreeMap<u32, (f64, usize, usize)> = BTreeMap::new();
    for endpoint in catalogue.endpoints() {
        let norm = normalise(&endpoint.key.template);
        let is_right = truth.contains(&(endpoint.service_name.as_str(), endpoint.key.method.as_str(), norm.as_str()));
        let class = classes.entry(endpoint.observations.min(16)).or_default();
        *class = (class.0 + f64::from(endpoint.confidence), class.1 + usize::from(is_right), class.2 + 1);
    }
    classes.into_values().map(|(sum, right, all)| (sum / all as f64, right as f64 / all as f64, all)).collect()
}

#[test]
fn templates_are_found_on_traffic_of_real_apis() {
    let (Some(events), Some(labels)) =
        (shared("data/discovery/events.jsonl.gz"), shared("data/discovery/labels.jsonl.gz"))
    else {
        return;
    };
    let lines: Vec<Line> = json_lines(&events).map(|line| kong_line(&line)).collect();
    let labels: Vec<Label> = json_lines(&labels)
        .map(|label| Label {
            service: label["service"].as_str().unwrap().to_owned(),
            method: label["method"].as_str().unwrap().to_owned(),
            norm: label["norm"].as_str().map(str::to_owned),
        })
        .collect();
    let started = std::time::Instant::now();
    let (catalogue, found) = assignments(&lines);
    println!("learned and looked up {} lines in {:?}", lines.len(), started.elapsed());
    if let Ok(path) = std::env::var("OUTRIDER_ASSIGNMENTS") {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
        for (line, template) in lines.iter().zip(&found) {
            let json = serde_json::json!({ "service": line.service_name, "method": line.method, "template": template });
            writeln!(file, "{json}").unwrap();
        }
    }
    let noise: BTreeSet<_> = labels
        .iter()
        .zip(&found)
        .filter(|(label, _)| label.norm.is_none())
        .filter_map(|(label, found)| Some((&label.service, &label.method, found.as_deref()?)))
        .collect();
    println!(
        "{} endpoints, {} redirects, {:?}",
        catalogue.endpoints().count(),
        catalogue.redirects().count(),
        catalogue.counters()
    );
    println!("noise lines reach {} endpoints", noise.len());
    for (confidence, right, templates) in reliability(&catalogue, &labels) {
        println!("confidence {confidence:.2}: {right:.2} of {templates} templates are right");
        assert!(templates < 100 || (confidence - right).abs() < 0.06, "{confidence} {right}");
    }
    for hits_min in [1, 5, 20] {
        println!("seen>={hits_min}: {}", score(&labels, &found, hits_min, |_| true));
    }
    let services: BTreeSet<&String> = labels.iter().map(|label| &label.service).collect();
    for service in services {
        let score = score(&labels, &found, 5, |other| other == service);
        println!("  {service:<28} {score}");
    }
    let score = score(&labels, &found, 5, |_| true);
    assert!(score.tf1 >= 0.92 && score.fga >= 0.92, "{score}");
}
