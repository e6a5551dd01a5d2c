//! What each signal is worth, and how well thresholds that were chosen on some documents do on another.
//!
//! `cargo test --release --locked -p outrider-discover --lib ablation -- --ignored --nocapture` prints the tables that
//! `docs/figures.md` has.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use crate::signals::changed::{scaled, without};
use crate::signals::{Signal, Threshold};
use support::scoring::{Label, Score, assignments, labelled, score};

#[path = "../tests/support/mod.rs"]
mod support;

/// Lines of an endpoint that counts.
const HITS_MIN: usize = 5;

const SIGNALS: [Signal; 15] = [
    Signal::Shapes,
    Signal::Versions,
    Signal::Look,
    Signal::Style,
    Signal::Vocabulary,
    Signal::Plurals,
    Signal::Siblings,
    Signal::Explained,
    Signal::Cardinality,
    Signal::Passages,
    Signal::Patience,
    Signal::Methods,
    Signal::Popularity,
    Signal::Actors,
    Signal::Watch,
];

const THRESHOLDS: [Threshold; 10] = [
    Threshold::Newness,
    Threshold::LivedCalls,
    Threshold::KnownName,
    Threshold::StyleOdds,
    Threshold::LikenessMin,
    Threshold::LikenessNeed,
    Threshold::Established,
    Threshold::Shared,
    Threshold::PassageNeed,
    Threshold::NameOdds,
];

/// What a threshold is multiplied with.
const TIMES: [f32; 6] = [0.5, 0.7, 0.85, 1.2, 1.4, 2.0];

/// The documents, in the order of their names.
fn documents(labels: &[Label]) -> Vec<String> {
    let names: BTreeSet<&String> = labels.iter().map(|label| &label.service).collect();
    names.into_iter().cloned().collect()
}

/// The score of each document.
fn by_document(labels: &[Label], found: &[Option<String>]) -> BTreeMap<String, Score> {
    documents(labels)
        .into_iter()
        .map(|document| {
            let score = score(labels, found, HITS_MIN, |other| other == document);
            (document, score)
        })
        .collect()
}

/// The value below which a share of sorted values lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

fn print_spread(name: &str, values: impl Iterator<Item = f64>) {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
    let [worst, low, median, high] = [0.0, 0.25, 0.5, 0.75].map(|share| quantile(&sorted, share));
    println!("{name}: median {median:.3}, quartiles {low:.3} and {high:.3}, worst {worst:.3}, mean {mean:.3}");
}

#[test]
#[ignore = "it learns the measuring data sixteen times; see the module"]
fn what_each_signal_is_worth() {
    let Some((lines, labels)) = labelled() else { return };
    let all = |signal| {
        let (_, found) = without(signal, || assignments(&lines));
        (score(&labels, &found, HITS_MIN, |_| true), score(&labels, &found, 1, |_| true), by_document(&labels, &found))
    };
    let (often, any, usual) = all(None);
    println!("| without | TF1 | FGA | TF1, all | FGA, all | documents worse, better |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    println!("| nothing | {:.3} | {:.3} | {:.3} | {:.3} | |", often.tf1, often.fga, any.tf1, any.fga);
    for signal in SIGNALS {
        let (often, any, documents) = all(Some(signal));
        let differs = |worse: bool| {
            let is_so = |(name, score): &(&String, &Score)| {
                let by = score.tf1 - usual[*name].tf1;
                if worse { by < -1e-9 } else { by > 1e-9 }
            };
            documents.iter().filter(is_so).count()
        };
        println!(
            "| {signal:?} | {:.3} | {:.3} | {:.3} | {:.3} | {}, {} |",
            often.tf1,
            often.fga,
            any.tf1,
            any.fga,
            differs(true),
            differs(false)
        );
    }
}

#[test]
#[ignore = "it learns the measuring data some fifty times; see the module"]
fn how_documents_spread_and_what_thresholds_of_others_give() {
    let Some((lines, labels)) = labelled() else { return };
    let (_, found) = assignments(&lines);
    let usual = by_document(&labels, &found);
    println!("| document | endpoints | TF1 | FGA |");
    println!("| --- | ---: | ---: | ---: |");
    for (document, score) in &usual {
        println!("| {document} | {} | {:.3} | {:.3} |", score.truths, score.tf1, score.fga);
    }
    print_spread("TF1 as written", usual.values().map(|score| score.tf1));
    print_spread("FGA as written", usual.values().map(|score| score.fga));
    let mut choices = vec![("as written".to_owned(), usual)];
    for threshold in THRESHOLDS {
        for times in TIMES {
            let (_, found) = scaled(threshold, times, || assignments(&lines));
            choices.push((format!("{threshold:?} times {times}"), by_document(&labels, &found)));
        }
    }
    // Of each document, the choice that does best on the others. Ties go to what is written.
    let mut held_out = Vec::new();
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    for document in choices[0].1.keys() {
        let mut best = (f64::MIN, 0);
        for (at, (_, scores)) in choices.iter().enumerate() {
            let others = scores.iter().filter(|(other, _)| *other != document);
            let value: f64 = others.map(|(_, score)| score.tf1 + score.fga).sum();
            if value > best.0 + 1e-9 {
                best = (value, at);
            }
        }
        let (name, scores) = &choices[best.1];
        *taken.entry(name).or_default() += 1;
        held_out.push((scores[document].tf1, scores[document].fga));
    }
    println!("thresholds that did best on the 26 others: {taken:?}");
    print_spread("TF1 of the one left out", held_out.iter().map(|pair| pair.0));
    print_spread("FGA of the one left out", held_out.iter().map(|pair| pair.1));
}
