//! What somebody can do to the catalogue on purpose who has credentials and gets answers of 200 at will.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use std::collections::BTreeSet;

use outrider_discover::{Catalogue, Settings};
use support::Line;
use support::honest::{START_MS, honest, letters};

/// Calls of attackers a minute.
const CALLS_A_MINUTE: u64 = 600;

/// Honest clients.
const CLIENTS: u64 = 12;

/// When an honest client makes its calls of a minute.
fn client_ms(minute: i64, actor: u64) -> i64 {
    START_MS + minute * 60_000 + 1000 + (actor * CALLS_A_MINUTE / CLIENTS) as i64 * 90
}

/// Lets attackers make calls beside others, who take turns with them, for some minutes.
fn attack(
    catalogue: &mut Catalogue,
    minutes: std::ops::Range<i64>,
    mut others: impl FnMut(&mut Catalogue, i64, u64),
    attacker: impl Fn(u64) -> Option<(u64, String)>,
) {
    let first = minutes.start;
    for minute in minutes {
        for at in 0..CALLS_A_MINUTE {
            if at % (CALLS_A_MINUTE / CLIENTS) == 0 {
                others(catalogue, minute, at / (CALLS_A_MINUTE / CLIENTS));
            }
            let number = (minute - first) as u64 * CALLS_A_MINUTE + at;
            let now_ms = START_MS + minute * 60_000 + 1000 + at as i64 * 90;
            let Some((actor, path)) = attacker(number) else { continue };
            catalogue.advance(now_ms);
            catalogue.assign(&Line::get(&path, 1000 + actor, now_ms).call());
        }
    }
}

fn templates(catalogue: &Catalogue) -> BTreeSet<String> {
    catalogue.endpoints().map(|endpoint| endpoint.key.template.clone()).collect()
}

// --- Hiding a name beside an open parameter

/// Honest clients who read articles by their slugs, and from a minute on one that was deployed beside them.
fn articles(catalogue: &mut Catalogue, minute: i64, actor: u64) {
    let now_ms = client_ms(minute, actor);
    catalogue.advance(now_ms);
    let number = actor * 1009 + minute as u64 * 31;
    catalogue.assign(&Line::get(&format!("/articles/{}", letters(number * 7919)), actor, now_ms).call());
    if minute >= 60 {
        catalogue.assign(&Line::get("/articles/trending", actor, now_ms).call());
    }
}

/// Minutes until the deployed name is an endpoint; `None` if it takes more than two hours.
fn minutes_until_seen(attacker: impl Fn(u64) -> Option<(u64, String)>) -> Option<i64> {
    let mut catalogue = Catalogue::new(Settings::default());
    attack(&mut catalogue, 0..60, articles, |_| None);
    assert_eq!(templates(&catalogue), BTreeSet::from(["/articles/{article_id}".to_owned()]));
    (60..180).find_map(|minute| {
        let shifted = |number| attacker((minute - 60) as u64 * CALLS_A_MINUTE + number);
        attack(&mut catalogue, minute..minute + 1, articles, shifted);
        templates(&catalogue).contains("/articles/trending").then_some(minute - 60)
    })
}

#[test]
fn a_name_beside_an_open_parameter_is_found_whoever_sends_texts() {
    let text = |number: u64| format!("/articles/{}", letters(number * 104_729 + 5));
    let alone = minutes_until_seen(|_| None).unwrap();
    for attackers in [1, 2, 8, 16, 24, 40] {
        let found = [
            minutes_until_seen(|at| Some((at % attackers, text(at % 64)))),
            minutes_until_seen(|at| Some((at / 64 % attackers, text(at % 64)))),
            minutes_until_seen(|at| Some((at % attackers, text(at / 100 % 64)))),
            minutes_until_seen(|at| Some((at % attackers, text(at)))),
        ];
        let is_soon = |minutes: &Option<i64>| minutes.is_some_and(|minutes| minutes <= alone + 2);
        assert!(found.iter().all(is_soon), "{attackers} attackers: {found:?}, {alone} without them");
    }
}

// --- Keeping detectors silent

/// The share of honest calls, in per mille, whose endpoint is not settled, so that no detector looks at them.
fn silent_per_mille(attacker: impl Fn(u64) -> Option<(u64, String)>) -> u64 {
    let mut catalogue = Catalogue::new(Settings::default());
    honest(&mut catalogue, 0, 20);
    let (mut silent, mut all) = (0, 0);
    let client = |catalogue: &mut Catalogue, minute: i64, actor: u64| {
        let now_ms = client_ms(minute, actor);
        catalogue.advance(now_ms);
        let item = actor * 31 + minute as u64;
        let values = [format!("/api/orders/{item}"), format!("/api/customers/{item}/invoices")];
        for path in values.into_iter().chain(["/api/orders/search", "/api/customers"].map(str::to_owned)) {
            silent += u64::from(!catalogue.assign(&Line::get(&path, actor, now_ms).call()).settled);
            all += 1;
        }
    };
    attack(&mut catalogue, 20..60, client, attacker);
    silent * 1000 / all
}

#[test]
fn merging_what_attackers_send_keeps_no_detector_silent() {
    for attackers in [1, 8, 40] {
        for below in ["", "/api", "/api/orders", "/api/customers/7/invoices"] {
            for repeats in [1, 40, 200] {
                let path = |at: u64| format!("{below}/{}", letters(at / repeats * 104_729));
                let silent = silent_per_mille(|at| Some((at % attackers, path(at))));
                assert!(
                    silent <= 20,
                    "{attackers} attackers below `{below}`, {repeats} times each: {silent} per mille"
                );
            }
        }
    }
}
