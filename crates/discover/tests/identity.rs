//! Ids last, changes are reported, and a snapshot goes on as if nothing had happened.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use std::collections::BTreeMap;

use outrider_discover::{Catalogue, Settings, SnapshotError};
use outrider_model::{Endpoint, EndpointId, TemplateChange};
use proptest::prelude::*;
use support::{Line, decision};

const START_MS: i64 = 1_767_571_200_000;

fn slug(number: u64) -> String {
    let words =
        ["amber", "birch", "cedar", "delta", "ember", "frost", "grove", "haven", "iris", "juniper", "kelp", "lark"];
    let mix = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{}-{}", words[(mix >> 8) as usize % 12], words[(mix >> 24) as usize % 12])
}

#[test]
fn a_merge_keeps_the_oldest_id_and_adds_counts() {
    let mut catalogue = Catalogue::new(Settings::default());
    let mut given: Vec<EndpointId> = Vec::new();
    for at in 0..400u64 {
        let now_ms = START_MS + at as i64 * 1000;
        catalogue.advance(now_ms);
        let line = Line::get(&format!("/shops/{}{}", slug(at), letters_of(at)), at % 9, now_ms);
        given.push(catalogue.assign(&line.call()).endpoint.unwrap());
    }
    catalogue.advance(START_MS + 600_000);
    let live: Vec<&Endpoint> = catalogue.endpoints().collect();
    assert_eq!(live.len(), 1, "{live:?}");
    assert_eq!(live[0].key.template, "/shops/{shop_id}");
    assert_eq!(live[0].id, given[0], "the oldest survives");
    assert_eq!(live[0].calls, 400);
    assert_eq!((live[0].first_seen_ms, live[0].last_seen_ms), (START_MS, START_MS + 399_000));
    for id in given {
        assert_eq!(catalogue.resolve(id), live[0].id);
    }
    assert!(catalogue.redirects().all(|endpoint| endpoint.merged_into.is_some()));
}

fn letters_of(number: u64) -> String {
    [number % 26, number / 26 % 26, number / 676 % 26].map(|digit| (b'a' + digit as u8) as char).iter().collect()
}

#[test]
fn a_split_leaves_the_old_id_with_the_parameter() {
    let mut catalogue = Catalogue::new(Settings::default());
    let mut send = |path: &str, actor: u64, at: u64| {
        let now_ms = START_MS + at as i64 * 1000;
        catalogue.advance(now_ms);
        catalogue.assign(&Line::get(path, actor, now_ms).call());
    };
    // The API writes its names in camel case; its shops are written otherwise.
    for at in 0..600u64 {
        send(&format!("/shops/{}{}", slug(at), letters_of(at)), at % 9, at);
        send(["/openHours", "/priceList", "/giftCards", "/storeMap"][at as usize % 4], at % 9, at);
    }
    catalogue.advance(START_MS + 700_000);
    let old = catalogue.lookup("kong", "default", "svc", "GET", "/shops/anything-else").unwrap();
    assert_eq!(catalogue.lookup("kong", "default", "svc", "GET", "/shops/topRated"), Some(old));
    for at in 700..1000u64 {
        let now_ms = START_MS + at as i64 * 1000;
        catalogue.advance(now_ms);
        catalogue.assign(&Line::get("/shops/topRated", at % 9, now_ms).call());
        catalogue.assign(&Line::get(&format!("/shops/{}{}", slug(at), letters_of(at)), at % 9, now_ms).call());
    }
    catalogue.advance(START_MS + 1_200_000);
    let split = catalogue.lookup("kong", "default", "svc", "GET", "/shops/topRated").unwrap();
    assert_ne!(split, old);
    assert_eq!(catalogue.endpoint(split).unwrap().key.template, "/shops/topRated");
    assert_eq!(catalogue.endpoint(old).unwrap().key.template, "/shops/{shop_id}");
    assert_eq!(catalogue.lookup("kong", "default", "svc", "GET", "/shops/anything-else"), Some(old));
}

#[test]
fn a_new_endpoint_settles_after_the_epoch_that_follows() {
    let mut catalogue = Catalogue::new(Settings::default());
    let settled = |catalogue: &mut Catalogue, minute: i64| {
        catalogue.advance(START_MS + minute * 60_000);
        catalogue.assign(&Line::get("/orders/7", 1, START_MS + minute * 60_000).call()).settled
    };
    assert!(!settled(&mut catalogue, 0));
    assert!(!settled(&mut catalogue, 1));
    assert!(settled(&mut catalogue, 2));
    assert!(settled(&mut catalogue, 3));
}

#[test]
fn what_is_learnt_of_the_past_keeps_ids_and_time_goes_on_where_it_was() {
    let day_ms = 24 * 60 * 60_000;
    let mut catalogue = Catalogue::new(Settings::default());
    catalogue.advance(START_MS);
    let known = catalogue.assign(&Line::get("/known", 1, START_MS).call()).endpoint.unwrap();
    let merged = catalogue.assign(&Line::get("/shops/old-town", 1, START_MS).call()).endpoint.unwrap();
    catalogue.go_back(START_MS - day_ms);
    // So many shops that their names are values.
    for at in 0..400u64 {
        let at_ms = START_MS - day_ms + at as i64 * 20_000;
        catalogue.advance(at_ms);
        catalogue.assign(&Line::get(&format!("/shops/{}{}", slug(at), letters_of(at)), at % 9, at_ms).call());
    }
    catalogue.advance(START_MS + 60_000);
    assert_eq!(catalogue.lookup("kong", "default", "svc", "GET", "/known"), Some(known));
    assert_eq!(catalogue.endpoint(known).unwrap().calls, 1);
    let shop = catalogue.lookup("kong", "default", "svc", "GET", "/shops/any-where").unwrap();
    assert_eq!((shop, catalogue.resolve(merged)), (merged, merged), "what was known first survives");
    let shop = catalogue.endpoint(shop).unwrap();
    assert_eq!((shop.calls, shop.first_seen_ms, shop.last_seen_ms), (401, START_MS - day_ms, START_MS));
    catalogue.advance(START_MS + 180_000);
    assert!(catalogue.assign(&Line::get("/known", 1, START_MS + 180_000).call()).settled);
}

#[test]
fn what_is_known_does_not_grow_older_by_calls_of_the_past() {
    let day_ms = 24 * 60 * 60_000;
    let settings = Settings { nodes_max: 64, forget_after_epochs: 60, ..Settings::default() };
    let mut catalogue = Catalogue::new(settings);
    catalogue.advance(START_MS);
    let known = catalogue.assign(&Line::get("/known", 1, START_MS).call()).endpoint.unwrap();
    catalogue.go_back(START_MS - day_ms);
    catalogue.assign(&Line::get("/known", 1, START_MS - day_ms).call());
    // A few names in each of many hours, so that those of long ago have to go.
    for at in 0..1200i64 {
        let at_ms = START_MS - day_ms + at * 60_000;
        catalogue.advance(at_ms);
        let path = format!("/{}/{}", letters_of(at as u64 / 4), letters_of(at as u64 * 7));
        catalogue.assign(&Line::get(&path, 1, at_ms).call());
    }
    assert!(catalogue.counters().nodes_forgotten > 0, "{:?}", catalogue.counters());
    assert_eq!(catalogue.lookup("kong", "default", "svc", "GET", "/known"), Some(known));
    assert_eq!(catalogue.endpoint(known).unwrap().calls, 2);
}

#[test]
fn an_unknown_id_can_be_made_to_lead_to_an_endpoint() {
    let settings = Settings { redirects_max: 2, ..Settings::default() };
    let mut catalogue = Catalogue::new(settings.clone());
    let known = catalogue.assign(&Line::get("/orders/7", 1, START_MS).call()).endpoint.unwrap();
    catalogue.drain_changes();
    let unknown = [1, 2, 3].map(EndpointId);
    assert!(!catalogue.redirect(known, known) && !catalogue.redirect(unknown[0], unknown[1]), "there is nothing to do");
    assert!(catalogue.redirect(unknown[0], known) && !catalogue.redirect(unknown[0], known));
    // What leads on leads to the end.
    assert!(catalogue.redirect(unknown[1], unknown[0]));
    assert_eq!(unknown.map(|id| catalogue.resolve(id)), [known, known, unknown[2]]);
    assert_eq!((catalogue.endpoints().count(), catalogue.redirects().count()), (1, 2));
    let changed = catalogue.drain_changes();
    assert!(changed.iter().all(|endpoint| endpoint.merged_into == Some(known) && endpoint.calls == 0), "{changed:?}");
    assert_eq!(changed.len(), 2);
    assert!(catalogue.redirect(unknown[2], known));
    assert_eq!((catalogue.counters().redirects_max, catalogue.endpoint(unknown[0])), (1, None), "the oldest made room");
    let mut again = Catalogue::restore(settings, &catalogue.snapshot()).unwrap();
    assert_eq!((again.resolve(unknown[2]), again.snapshot()), (known, catalogue.snapshot()));
    again.assign(&Line::get("/orders/8", 1, START_MS).call());
    assert_eq!(again.endpoint(known).unwrap().calls, 2);
}

#[test]
fn changes_are_drained_once_and_counts_once_an_epoch() {
    let mut catalogue = Catalogue::new(Settings::default());
    catalogue.advance(START_MS);
    for _ in 0..5 {
        catalogue.assign(&Line::get("/orders/7", 1, START_MS).call());
    }
    let made = catalogue.drain_changes();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].key.template, "/orders/{order_id}");
    assert!(catalogue.drain_changes().is_empty());
    for _ in 0..5 {
        catalogue.assign(&Line::get("/orders/8", 1, START_MS + 1).call());
    }
    assert!(catalogue.drain_changes().is_empty(), "calls alone wait for the end of the epoch");
    catalogue.advance(START_MS + 60_000);
    let counted = catalogue.drain_changes();
    assert_eq!(counted.len(), 1);
    assert_eq!((counted[0].calls, counted[0].last_seen_ms), (10, START_MS + 1));
    catalogue.advance(START_MS + 120_000);
    assert!(catalogue.drain_changes().is_empty());
}

#[test]
fn drained_changes_rebuild_the_inventory() {
    let mut catalogue = Catalogue::new(Settings::default());
    let mut known: BTreeMap<EndpointId, Endpoint> = BTreeMap::new();
    for line in traffic(3000, 11) {
        catalogue.advance(line.at_ms);
        catalogue.assign(&line.call());
        known.extend(catalogue.drain_changes().into_iter().map(|endpoint| (endpoint.id, endpoint)));
    }
    catalogue.advance(START_MS + 100_000_000);
    known.extend(catalogue.drain_changes().into_iter().map(|endpoint| (endpoint.id, endpoint)));
    let live: Vec<&Endpoint> = known.values().filter(|endpoint| endpoint.merged_into.is_none()).collect();
    assert_eq!(live, catalogue.endpoints().collect::<Vec<_>>());
}

/// Traffic with values of all kinds, names, refusals and a sweep.
fn traffic(count: u64, seed: u64) -> Vec<Line> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    };
    (0..count)
        .map(|at| {
            let (a, b) = (next(40), next(400));
            let path = match next(10) {
                0 => "/api/orders".to_owned(),
                1 => format!("/api/orders/{b}"),
                2 => format!("/api/shops/{}", slug(b)),
                3 => format!("/api/shops/{}/{}", slug(a), ["menu", "staff", "hours"][next(3) as usize]),
                4 => format!("/1/boards/{a}/cards/{b}"),
                5 => format!("/api/files/{}.{}", slug(b), ["pdf", "csv"][next(2) as usize]),
                6 => format!("/{}", letters_of(b * 7)),
                7 => "/api/orders/".to_owned(),
                8 => format!("/api/users/{:032x}", b.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                _ => "/api/orders/search".to_owned(),
            };
            let mut line = Line::get(&path, next(12), START_MS + at as i64 * 400);
            line.status = [200, 200, 200, 200, 201, 304, 404, 403, 500, 422][next(10) as usize];
            line.method = ["GET", "GET", "GET", "POST"][next(4) as usize].to_owned();
            line
        })
        .collect()
}

fn play(catalogue: &mut Catalogue, lines: &[Line]) -> Vec<String> {
    lines
        .iter()
        .map(|line| {
            catalogue.advance(line.at_ms);
            let assignment = catalogue.assign(&line.call());
            format!("{assignment:?} {:?}", catalogue.drain_changes())
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_restored_catalogue_goes_on_byte_for_byte(seed in 0u64..1000, cut in 0usize..2000) {
        let lines = traffic(2000, seed);
        let settings = Settings { nodes_max: 600, redirects_max: 64, ..Settings::default() };
        let mut whole = Catalogue::new(settings.clone());
        let expected = play(&mut whole, &lines);
        let mut first = Catalogue::new(settings.clone());
        let mut found = play(&mut first, &lines[..cut]);
        let bytes = first.snapshot();
        let mut second = Catalogue::restore(settings, &bytes).unwrap();
        prop_assert_eq!(second.snapshot(), bytes);
        found.extend(play(&mut second, &lines[cut..]));
        prop_assert_eq!(found, expected);
        prop_assert_eq!(second.snapshot(), whole.snapshot());
    }

    #[test]
    fn redundant_ticks_change_nothing(seed in 0u64..1000, ticks in proptest::collection::vec(0usize..800, 1..40)) {
        let lines = traffic(800, seed);
        let mut plain = Catalogue::new(Settings::default());
        let expected = play(&mut plain, &lines);
        let mut ticked = Catalogue::new(Settings::default());
        let mut found = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            if ticks.contains(&at) {
                ticked.advance(line.at_ms);
                ticked.advance(line.at_ms - 5 * 60_000);
                ticked.advance(line.at_ms);
            }
            found.extend(play(&mut ticked, std::slice::from_ref(line)));
        }
        prop_assert_eq!(found, expected);
        prop_assert_eq!(ticked.snapshot(), plain.snapshot());
    }
}

#[test]
fn a_jump_of_days_is_as_many_empty_minutes() {
    let lines = traffic(1000, 5);
    let end_ms = lines[lines.len() - 1].at_ms;
    let mut jumped = Catalogue::new(Settings::default());
    play(&mut jumped, &lines);
    let mut walked = jumped.clone();
    jumped.advance(end_ms + 3 * 86_400_000);
    for minute in 0..=3 * 1440 {
        walked.advance(end_ms + minute * 60_000);
    }
    assert_eq!(jumped.snapshot(), walked.snapshot());
}

#[test]
fn a_snapshot_of_the_first_version_is_read() {
    let bytes = include_bytes!("data/snapshot_v1.bin");
    let mut read = Catalogue::restore(Settings::default(), bytes).unwrap();
    let mut learned = Catalogue::new(Settings::default());
    play(&mut learned, &traffic(400, 3));
    let known = |catalogue: &Catalogue| -> Vec<(EndpointId, String, u64, i64)> {
        let all = catalogue.endpoints().chain(catalogue.redirects());
        all.map(|found| (found.id, found.key.template.clone(), found.calls, found.last_seen_ms)).collect()
    };
    assert_eq!(known(&read), known(&learned));
    let later: Vec<Line> = traffic(1200, 3).split_off(400);
    play(&mut read, &later);
    play(&mut learned, &later);
    assert_eq!(known(&read), known(&learned));
}

/// What the third version of the snapshot was taken of.
fn of_the_third_version() -> Catalogue {
    let mut learned = Catalogue::new(Settings::default());
    play(&mut learned, &traffic(400, 3));
    let decision = decision("/api/users/{user_id}", TemplateChange::Rename { parameter: "who".to_owned() });
    learned.revise(&[], &[decision]).unwrap();
    learned
}

#[test]
fn a_snapshot_of_the_third_version_is_read() {
    let bytes = include_bytes!("data/snapshot_v3.bin");
    let read = Catalogue::restore(Settings::default(), bytes).unwrap();
    // The same calls and decisions give the same today, but for what is watched.
    let learned = of_the_third_version();
    assert_eq!(read.decisions(), learned.decisions());
    assert!(read.endpoints().eq(learned.endpoints()) && read.redirects().eq(learned.redirects()));
    assert!(read.endpoints().any(|endpoint| endpoint.key.template == "/api/users/{who}"));
}

#[test]
fn bytes_that_are_no_snapshot_are_refused() {
    let mut catalogue = Catalogue::new(Settings::default());
    play(&mut catalogue, &traffic(200, 1));
    let bytes = catalogue.snapshot();
    let restore = |bytes: &[u8]| Catalogue::restore(Settings::default(), bytes).map(|_| ());
    assert_eq!(restore(&[]), Err(SnapshotError::Damaged));
    assert_eq!(restore(&[9, 1, 2]), Err(SnapshotError::Version { found: 9 }));
    assert_eq!(restore(&bytes[..bytes.len() / 2]), Err(SnapshotError::Damaged));
    assert_eq!(restore(&bytes), Ok(()));
}
