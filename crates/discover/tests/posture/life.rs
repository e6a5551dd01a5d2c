//! The life of a weakness: it opens, gets worse, is fixed by calls, minutes and days, comes back, and is forgotten.

use outrider_discover::posture::{Settings, WeaknessState, Why};
use outrider_model::Severity;

use crate::{MINUTES_OF_AN_HOUR, at, one, run_of, told};

/// `times` calls over plain HTTP, or over HTTPS, from a minute on, one a second.
fn plain(times: u64, at_m: i64) -> String {
    format!(
        r#"{{"call": "GET /stations/{{h}}", "template": "/stations/{{id}}", "times": {times}, "at_m": {at_m}, "signs": ["plain_http"]}}"#
    )
}

fn secure(times: u64, at_m: i64) -> String {
    plain(times, at_m).replace("plain_http", "https")
}

#[test]
fn it_is_over_after_enough_calls_and_minutes_without() {
    let mut run = run_of(Settings::default());
    at(&mut run, &[plain(30, 0)]);
    let weakness = one(&run, "plain_http");
    assert_eq!(told(&mut run), [(Why::New, weakness.id)]);
    // An hour has passed, and one call too few.
    at(&mut run, &[secure(99, 120)]);
    assert!(one(&run, "plain_http").is_open());
    at(&mut run, &[secure(1, 125)]);
    let fixed = one(&run, "plain_http");
    assert_eq!((fixed.state.clone(), fixed.fixed_ms.is_some()), (WeaknessState::Fixed, true));
    assert_eq!(run.posture.drain_closed().iter().map(|closed| closed.id).collect::<Vec<_>>(), [weakness.id]);
    // It comes back as what it was.
    at(&mut run, &[plain(20, 200)]);
    let back = one(&run, "plain_http");
    assert_eq!((back.id, back.reopened, back.fixed_ms, back.is_open()), (weakness.id, 1, None, true));
    assert!(back.opened_ms > weakness.opened_ms);
    assert_eq!(told(&mut run), [(Why::Reopened, weakness.id)]);
}

#[test]
fn many_calls_alone_are_not_enough() {
    let mut run = run_of(Settings::default());
    at(&mut run, &[plain(30, 0), secure(1000, 1)]);
    assert!(one(&run, "plain_http").is_open(), "17 minutes have passed");
    run.advance(run.now_ms + MINUTES_OF_AN_HOUR);
    assert_eq!(one(&run, "plain_http").state, WeaknessState::Fixed, "time alone ends it");
}

#[test]
fn days_end_it_however_few_calls_there_are() {
    let mut run = run_of(Settings::default());
    at(&mut run, &[plain(30, 0)]);
    let day_ms = 24 * MINUTES_OF_AN_HOUR;
    run.advance(run.now_ms + 29 * day_ms);
    assert!(one(&run, "plain_http").is_open());
    run.advance(run.now_ms + day_ms);
    assert_eq!(one(&run, "plain_http").state, WeaknessState::Fixed);
    // Fixed ones are shown for 90 days.
    run.advance(run.now_ms + 89 * day_ms);
    assert_eq!(run.posture.weaknesses().count(), 1);
    run.posture.drain_gone();
    run.advance(run.now_ms + 2 * day_ms);
    assert_eq!((run.posture.weaknesses().count(), run.posture.drain_gone().len()), (0, 1));
}

#[test]
fn who_heard_of_it_hears_when_it_gets_worse_and_not_when_it_gets_better() {
    let mut run = run_of(Settings::default());
    at(&mut run, &[plain(30, 0)]);
    assert_eq!(one(&run, "plain_http").severity, Severity::Medium);
    run.posture.drain_opened();
    let with_key = plain(30, 10).replace("\"signs\"", "\"consumer\": \"c{i%3}\", \"signs\"");
    at(&mut run, &[with_key]);
    let worse = one(&run, "plain_http");
    assert_eq!(worse.severity, Severity::High);
    assert!(told(&mut run).contains(&(Why::Worsened, worse.id)));
    // The calls with keys are over, those without go on.
    at(&mut run, &[plain(200, 200)]);
    assert_eq!(one(&run, "plain_http").severity, Severity::Medium);
    assert!(!told(&mut run).contains(&(Why::Worsened, worse.id)));
}

#[test]
fn figures_alone_are_told_once_an_hour() {
    let mut run = run_of(Settings::default());
    at(&mut run, &[plain(30, 0)]);
    let is_told = |run: &mut crate::Run| run.posture.drain_changes().iter().any(|row| row.check == "plain_http");
    assert!(is_told(&mut run));
    at(&mut run, &[plain(30, 10)]);
    assert!(!is_told(&mut run), "ten minutes are too soon");
    at(&mut run, &[plain(30, 70)]);
    assert!(is_told(&mut run));
    assert!(one(&run, "plain_http").sentence.contains("90 of 90 calls"), "{}", one(&run, "plain_http").sentence);
}

#[test]
fn a_check_that_is_not_asked_any_more_has_found_nothing() {
    let mut run = run_of(Settings::default());
    at(&mut run, &[plain(30, 0)]);
    run.posture.set_settings(Settings { disabled: vec!["plain_http".to_owned()], ..Settings::default() });
    run.advance(run.now_ms + 2 * 60_000);
    assert_eq!(one(&run, "plain_http").state, WeaknessState::Fixed);
}

/// A head with a shop that has one route and these plugins.
fn configured(plugins: &str, more: &str, at_m: i64) -> String {
    format!(
        r#"{{"why": "", "configuration": {{"services": ["shop"], "routes": [{{"id": "r1", "service": "shop"}}], "plugins": [{plugins}], "at_m": {at_m}{more}}}, "until_m": {}}}"#,
        at_m + 2
    )
}

#[test]
fn what_is_configured_is_over_when_it_is_configured_otherwise_and_not_when_it_cannot_be_read() {
    let limit = r#"{"name": "rate-limiting", "config": {"minute": 60}}"#;
    for (head, is_fixed) in [
        (configured(limit, "", 5), true),
        (configured("", "", 5), false),
        (configured("", r#", "left_out": ["plugins"]"#, 5), false),
        (configured(limit, r#", "left_out": ["consumers"]"#, 5), false),
    ] {
        let mut run = run_of(Settings::default());
        at(&mut run, &[configured("", "", 0)]);
        assert!(one(&run, "missing_rate_limit").is_open());
        at(&mut run, std::slice::from_ref(&head));
        assert_eq!(one(&run, "missing_rate_limit").state == WeaknessState::Fixed, is_fixed, "{head}");
    }
}

#[test]
fn a_document_that_says_so_ends_a_shadow_at_once() {
    let mut run = run_of(Settings::default());
    let head = |operations: &str, until_m: i64| {
        format!(r#"{{"why": "", "documents": {{"shop": [{operations}]}}, "until_m": {until_m}}}"#)
    };
    let calls = secure(30, 0);
    at(&mut run, &[head(r#""GET /orders""#, 2), calls]);
    assert!(one(&run, "shadow_endpoint").is_open());
    at(&mut run, &[head(r#""GET /orders", "GET /stations/{id}""#, 4)]);
    assert_eq!(one(&run, "shadow_endpoint").state, WeaknessState::Fixed);
    at(&mut run, &[head(r#""GET /orders", "GET /stations/{id} deprecated""#, 6)]);
    assert!(one(&run, "zombie_endpoint").is_open());
}
