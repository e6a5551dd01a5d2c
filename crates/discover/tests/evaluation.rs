//! How well templates are found on traffic generated from real OpenAPI documents, measured as
//! `shared/data/discovery/eval_discovery.py` does.
//!
//! `OUTRIDER_ASSIGNMENTS=FILE` writes the assignments for that script.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use outrider_discover::Catalogue;
use support::scoring::{Label, assignments, labelled, normalise, score};

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
    let Some((lines, labels)) = labelled() else { return };
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
