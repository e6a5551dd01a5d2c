//! Scores: what they are made of, and how their moves are explained.

use outrider_discover::posture::{RiskScore, ScoreSubject, Settings};

use crate::support::samples::Run;
use crate::{at, run_of};

/// The newest score of the service, and of an endpoint.
fn scores(run: &mut Run) -> (RiskScore, RiskScore) {
    let drained = run.posture.drain_scores();
    let service = drained.iter().find(|score| matches!(score.subject, ScoreSubject::Service(_))).unwrap();
    let endpoint = drained.iter().find(|score| matches!(score.subject, ScoreSubject::Endpoint(_))).unwrap();
    (service.clone(), endpoint.clone())
}

fn factors(score: &RiskScore) -> Vec<(&str, f32)> {
    score.factors.iter().map(|factor| (factor.name.as_str(), factor.points)).collect()
}

const CARDS: &str = r#"{"call": "GET /cards", "template": "/cards", "times": 60, "query": {"number": "ps:{i}"}, "classes": ["query 0 payment_card"], "signs": ["plain_http"]}"#;

#[test]
fn a_score_is_the_sum_of_its_factors_and_at_most_ten() {
    let mut run = run_of(Settings::default());
    let orders = r#"{"call": "GET /orders/{h}", "template": "/orders/{id}", "times": 60, "consumer": "c{i%5}", "signs": ["plain_http"]}"#;
    at(&mut run, &[orders.to_owned()]);
    let (service, endpoint) = scores(&mut run);
    // High for the whole service counts half, rounded up, at its endpoint.
    assert_eq!((factors(&service), service.score), (vec![("plain_http", 2.5)], 2.5));
    assert_eq!((factors(&endpoint), endpoint.score), (vec![("plain_http", 1.3)], 1.3));

    let mut run = run_of(Settings::default());
    at(&mut run, &[CARDS.to_owned()]);
    let (service, endpoint) = scores(&mut run);
    for score in [&service, &endpoint] {
        let sum: f32 = score.factors.iter().map(|factor| factor.points).sum();
        assert!((score.score - sum.min(10.0)).abs() < 0.01, "{score:?}");
        assert!(score.factors.windows(2).all(|pair| pair[0].points >= pair[1].points), "{score:?}");
        assert!(score.factors.iter().all(|factor| !factor.sentence.is_empty()), "{score:?}");
    }
    let expected = [
        ("sensitive_data_without_authentication", 4.0),
        ("personal_data_in_url", 2.5),
        ("plain_http", 1.3),
        ("data_payment", 1.2),
        ("open_to_anybody", 0.6),
    ];
    assert_eq!(factors(&endpoint), expected);
    assert_eq!((endpoint.score, service.score), (9.6, 10.0));
}

#[test]
fn of_a_service_each_factor_counts_once_with_the_most_points() {
    let mut run = run_of(Settings::default());
    let numbered = |path: &str, more: &str| {
        format!(r#"{{"call": "GET /{path}/{{i}}", "template": "/{path}/{{id}}", "times": 60{more}}}"#)
    };
    at(&mut run, &[numbered("a", ""), numbered("b", r#", "consumer": "c1""#)]);
    let (service, _) = scores(&mut run);
    assert_eq!(factors(&service), [("enumerable_object_ids", 1.2), ("open_to_anybody", 0.6)]);
    assert_eq!(service.score, 1.8);
}

#[test]
fn a_move_says_from_where_to_where_and_why() {
    let mut run = run_of(Settings::default());
    let orders = |at_m: i64, times: u64, more: &str| {
        format!(
            r#"{{"call": "GET /orders/{{h}}", "template": "/orders/{{id}}", "times": {times}, "at_m": {at_m}, "signs": ["plain_http"]{more}}}"#
        )
    };
    at(&mut run, &[orders(0, 60, r#", "consumer": "c{i%5}""#)]);
    let (_, first) = scores(&mut run);
    assert!(first.moves.is_empty(), "the first score is no move");
    at(&mut run, &[orders(10, 1, "")]);
    let (_, second) = scores(&mut run);
    let told: Vec<String> = second.moves.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["1.3 → 1.9: a first call without authentication was answered 2xx"]);
    // What goes explains a move down.
    let secure = orders(200, 200, r#", "consumer": "c{i%5}""#).replace("plain_http", "https");
    at(&mut run, &[secure]);
    let (_, third) = scores(&mut run);
    assert_eq!(third.moves.last().unwrap().to_string(), "1.9 → 0.0: no longer plain_http");
    assert_eq!(third.moves.len(), 2);
}

#[test]
fn the_last_moves_are_kept() {
    let mut run = run_of(Settings::default());
    let mut last = None;
    for hour in 0..50 {
        let sign = if hour % 2 == 0 { "plain_http" } else { "https" };
        at(
            &mut run,
            &[format!(
                r#"{{"call": "GET /orders/{{h}}", "template": "/orders/{{id}}", "times": 200, "at_m": {}, "signs": ["{sign}"], "consumer": "c1"}}"#,
                hour * 120
            )],
        );
        last = run
            .posture
            .drain_scores()
            .into_iter()
            .find(|score| matches!(score.subject, ScoreSubject::Service(_)))
            .or(last);
    }
    let moves = last.unwrap().moves;
    assert_eq!(moves.len(), 20);
    assert!(moves.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms && pair[0].to == pair[1].from));
}

#[test]
fn what_was_open_long_ago_is_no_factor() {
    let mut run = run_of(Settings::default());
    let open = r#"{"call": "POST /notes", "template": "/notes", "times": 60}"#;
    at(&mut run, &[open.to_owned()]);
    let (_, endpoint) = scores(&mut run);
    assert!(factors(&endpoint).contains(&("open_to_anybody", 1.2)), "{endpoint:?}");
    run.settle(run.now_ms + 31 * 86_400_000);
    let (_, endpoint) = scores(&mut run);
    assert!(factors(&endpoint).iter().all(|(name, _)| *name != "open_to_anybody"), "{endpoint:?}");
    assert!(endpoint.moves.last().unwrap().because.contains("no longer"), "{endpoint:?}");
}
