//! What happens at the limits, and what an attacker can do to the catalogue.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use outrider_discover::{Catalogue, Settings};
use support::Line;
use support::honest::{HONEST, START_MS, honest, letters};

fn templates(catalogue: &Catalogue) -> Vec<String> {
    let mut found: Vec<String> = catalogue.endpoints().map(|endpoint| endpoint.key.template.clone()).collect();
    found.sort();
    found
}

#[test]
fn one_client_with_random_answered_paths_leaves_one_parameter_and_harms_nothing() {
    let mut catalogue = Catalogue::new(Settings::default());
    honest(&mut catalogue, 0, 20);
    assert_eq!(templates(&catalogue), HONEST);
    let before: Vec<_> = catalogue.endpoints().map(|endpoint| (endpoint.id, endpoint.key.template.clone())).collect();
    for at in 0..1000 {
        let now_ms = START_MS + 20 * 60_000 + at as i64 * 50;
        catalogue.advance(now_ms);
        catalogue.assign(&Line::get(&format!("/api/{}", letters(at * 7919)), 666, now_ms).call());
    }
    honest(&mut catalogue, 22, 20);
    let mut expected: Vec<String> = HONEST.iter().map(|&template| template.to_owned()).collect();
    expected.push("/api/{api_id}".to_owned());
    expected.sort();
    assert_eq!(templates(&catalogue), expected);
    for (id, template) in before {
        assert_eq!(catalogue.endpoint(id).unwrap().key.template, template);
        assert_eq!(catalogue.resolve(id), id);
    }
}

#[test]
fn random_paths_do_not_grow_memory() {
    let mut catalogue = Catalogue::new(Settings { nodes_max: 20_000, ..Settings::default() });
    honest(&mut catalogue, 0, 20);
    let mut peak_bytes = 0;
    let mut peak_endpoints = 0;
    for at in 0..500_000u64 {
        let now_ms = START_MS + 20 * 60_000 + at as i64;
        catalogue.advance(now_ms);
        let (a, b, c) = (letters(at * 31), letters(at * 17 + 3), letters(at.wrapping_mul(0x9e37_79b9) % 1_000_003));
        let path = match at % 5 {
            0 => format!("/{a}"),
            1 => format!("/{a}/{b}"),
            2 => format!("/{a}/{b}/{c}"),
            3 => format!("/api/{a}/{b}/{c}/{a}/{b}"),
            _ => format!("/api/orders/{a}"),
        };
        // Half of them come from many addresses, so that no cap on one actor helps.
        let actor = if at % 2 == 0 { 666 } else { at };
        catalogue.assign(&Line::get(&path, actor, now_ms).call());
        if at % 50_000 == 49_999 {
            let (bytes, endpoints) = (catalogue.memory_bytes(), catalogue.endpoints().count());
            if at < 200_000 {
                peak_bytes = peak_bytes.max(bytes);
                peak_endpoints = peak_endpoints.max(endpoints);
            } else {
                assert!(bytes <= peak_bytes * 11 / 10, "{bytes} after {at}, {peak_bytes} before");
                assert!(endpoints <= peak_endpoints * 11 / 10, "{endpoints} after {at}, {peak_endpoints} before");
            }
        }
    }
    println!("peak {peak_bytes} bytes, {peak_endpoints} endpoints, {:?}", catalogue.counters());
    honest(&mut catalogue, 40, 20);
    let found = templates(&catalogue);
    for template in HONEST {
        assert!(found.iter().any(|other| other == template), "{template} is gone");
    }
}

#[test]
fn each_limit_is_kept_and_counted() {
    let small = Settings {
        places_max: 2,
        nodes_max: 64,
        endpoints_max: 16,
        redirects_max: 16,
        children_per_node_max: 16,
        depth_max: 4,
        segment_bytes_max: 32,
        methods_max: 10,
        ..Settings::default()
    };
    small.validate().unwrap();
    let send = |settings: &Settings, lines: &[Line]| {
        let mut catalogue = Catalogue::new(settings.clone());
        for line in lines {
            catalogue.assign(&line.call());
        }
        catalogue
    };
    let get = |path: &str| Line::get(path, 1, START_MS);
    let many = |count: u64, line: &dyn Fn(u64) -> Line| (0..count).map(line).collect::<Vec<_>>();

    let hosts = send(&small, &many(5, &|at| Line { service: format!("s{at}"), ..get("/a") }));
    assert_eq!((hosts.counters().places_max, hosts.endpoints().count()), (3, 2));

    let nodes = send(&small, &many(300, &|at| get(&format!("/{}/{}/{at}", letters(at % 15), letters(at % 40)))));
    assert!(nodes.counters().nodes_forgotten > 0, "{:?}", nodes.counters());

    let methods = send(&small, &many(4, &|at| Line { method: format!("M{at}"), ..get("/a") }));
    assert_eq!((methods.counters().methods_max, methods.endpoints().count()), (3, 1));

    let ends = send(&small, &many(20, &|at| get(&format!("/a{}/{}", at / 5, letters(at)))));
    assert!(ends.counters().nodes_forgotten > 0, "{:?}", ends.counters());
    assert!(ends.endpoints().count() <= 16, "{}", ends.endpoints().count());

    let deep = send(&small, &[get("/a/b/c/d"), get("/a/b/c/d/e")]);
    assert_eq!((deep.counters().depth_max, deep.endpoints().count()), (1, 1));

    let long = send(&small, &[get(&format!("/a/{}", "x".repeat(33)))]);
    assert_eq!(long.counters().segment_bytes_max, 1);
    assert_eq!(long.endpoints().next().unwrap().key.template, "/a/{a_id}");

    let roomy = Settings { endpoints_max: 4096, nodes_max: 4096, ..small };
    let mut rounds = Vec::new();
    for _ in 0..3 {
        rounds.extend(many(80, &|at| get(&format!("/{}{}", letters(at / 2), ["", "/7"][at as usize % 2]))));
    }
    let wide = send(&roomy, &rounds);
    assert!(wide.counters().children_per_node_max > 0, "{:?}", wide.counters());
    assert!(wide.endpoints().count() <= 34);
    assert!(wide.redirects().count() <= 16);
}

#[test]
fn stale_names_make_room() {
    let settings = Settings { nodes_max: 64, forget_after_epochs: 10, ..Settings::default() };
    let mut catalogue = Catalogue::new(settings);
    for at in 0..60u64 {
        catalogue.assign(&Line::get(&format!("/{}/{}", at % 8, letters(at)), at, START_MS).call());
    }
    let full = Line::get("/orders", 1, START_MS + 20 * 60_000);
    catalogue.advance(START_MS);
    catalogue.advance(START_MS + 11 * 60_000);
    for minute in 12..30 {
        catalogue.advance(START_MS + minute * 60_000);
    }
    assert!(catalogue.assign(&full.call()).endpoint.is_some(), "{:?}", catalogue.counters());
}

// --- What others than the API's own clients can do on purpose, with answers of 200

/// How the honest templates and their ids are, whatever else there is.
fn honest_ids(catalogue: &Catalogue) -> Vec<(outrider_model::EndpointId, String)> {
    let is_honest = |template: &str| HONEST.contains(&template);
    let of = catalogue.endpoints().map(|endpoint| (endpoint.id, endpoint.key.template.clone()));
    of.filter(|(_, template)| is_honest(template)).collect()
}

/// Lets attackers do their worst beside honest traffic, and gives the templates that this made.
fn attack(attackers: u64, calls: u64, path: impl Fn(u64) -> String) -> Vec<String> {
    let mut catalogue = Catalogue::new(Settings::default());
    honest(&mut catalogue, 0, 20);
    let before = honest_ids(&catalogue);
    assert_eq!(before.len(), HONEST.len());
    for at in 0..calls {
        let now_ms = START_MS + 20 * 60_000 + at as i64 * 100;
        catalogue.advance(now_ms);
        catalogue.assign(&Line::get(&path(at), 1000 + at % attackers, now_ms).call());
    }
    let minutes = calls as i64 * 100 / 60_000 + 1;
    honest(&mut catalogue, 21 + minutes, 20);
    assert_eq!(honest_ids(&catalogue), before, "{attackers} attackers");
    templates(&catalogue).into_iter().filter(|template| !HONEST.contains(&template.as_str())).collect()
}

#[test]
fn values_written_like_names_split_no_parameter() {
    // The values of the honest clients are numbers; those of the attackers are few, or many, and look like names.
    for attackers in [1, 40] {
        let few = attack(attackers, 4000, |at| format!("/api/orders/{}", ["export", "admin", "all"][at as usize % 3]));
        assert!(few.len() <= 3, "{few:?}");
        let many = attack(attackers, 4000, |at| format!("/api/orders/{}", letters(at)));
        assert!(many.len() <= 1, "{attackers}: {} {:?}", many.len(), &many[..many.len().min(5)]);
    }
}

#[test]
fn spread_values_beside_a_name_do_not_make_it_a_value() {
    for attackers in [1, 40] {
        for depth in ["", "/api", "/api/orders", "/api/customers"] {
            let made = attack(attackers, 4000, |at| format!("{depth}/{}", letters(at * 7919)));
            assert!(made.len() <= 2, "{attackers} at {depth}: {} {:?}", made.len(), &made[..made.len().min(5)]);
        }
    }
}

/// A path of a binary tree, different for each number, in which no two names are alike below: none becomes a value.
fn ever_new(number: u64) -> String {
    let name = |depth: u64| {
        let prefix = (number >> (15 - depth)) * 16 + depth;
        letters(prefix.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20)
    };
    (0..16).map(|depth| format!("/{}", name(depth))).collect()
}

/// Fills a small catalogue with ever new paths for an hour, beside honest traffic. In its second half an endpoint is deployed.
fn fill_up(settings: Settings, calls_a_minute: u64, path: impl Fn(u64) -> String, actor: impl Fn(u64) -> u64) {
    let mut catalogue = Catalogue::new(settings);
    honest(&mut catalogue, 0, 20);
    let before = honest_ids(&catalogue);
    let mut kept_out = 0;
    for minute in 20..80i64 {
        for at in 0..calls_a_minute {
            let now_ms = START_MS + minute * 60_000 + at as i64;
            catalogue.advance(now_ms);
            let number = (minute as u64 - 20) * calls_a_minute + at;
            catalogue.assign(&Line::get(&path(number), 1000 + actor(number), now_ms).call());
        }
        honest(&mut catalogue, minute, 1);
        if minute >= 50 {
            let now_ms = START_MS + minute * 60_000 + 59_000;
            let deployed = Line::get("/api/refunds", minute as u64 % 12, now_ms);
            kept_out += u64::from(catalogue.assign(&deployed.call()).endpoint.is_none());
        }
    }
    let counters = catalogue.counters();
    assert!(counters.nodes_forgotten > 10_000, "the limit was never reached: {counters:?}");
    assert_eq!(honest_ids(&catalogue), before);
    assert!(templates(&catalogue).contains(&"/api/refunds".to_owned()));
    assert!(kept_out <= 3, "kept out {kept_out} of 30 times, {counters:?}");
}

#[test]
fn ever_new_paths_do_not_keep_others_out() {
    let nodes = Settings { nodes_max: 4000, ..Settings::default() };
    let endpoints = Settings { endpoints_max: 2000, ..Settings::default() };
    for settings in [nodes, endpoints] {
        fill_up(settings.clone(), 600, ever_new, |_| 0);
        fill_up(settings, 600, ever_new, |number| number % 50);
    }
}

#[test]
fn paths_that_two_confirm_do_not_keep_others_out() {
    let nodes = Settings { nodes_max: 4000, ..Settings::default() };
    let endpoints = Settings { endpoints_max: 2000, ..Settings::default() };
    for settings in [nodes, endpoints] {
        fill_up(settings, 4000, |number| ever_new(number / 8), |number| number % 2);
    }
}

#[test]
fn texts_that_look_like_a_collection_do_not_take_it_with_them() {
    attack(1, 4000, |at| format!("/api/{}{}", letters(at / 2 * 7919), ["", "/7/invoices"][at as usize % 2]));
}

/// Calls of an attacker a minute who answers to names that nobody else uses, and has all that is below a collection below them.
fn collections_of_chance(at: u64) -> String {
    let name = letters(at / 3 * 7919);
    match at % 3 {
        0 => format!("/api/{name}"),
        1 => format!("/api/{name}/search"),
        _ => format!("/api/{name}/7/invoices"),
    }
}

/// Lets attackers send paths beside honest traffic, from a minute on, and holds what the honest clients use to what it is
/// without them.
fn beside_attackers(attackers: u64, from_minute: i64, repeats: u64, path: impl Fn(u64) -> String) -> Vec<String> {
    const CALLS_A_MINUTE: u64 = 600;
    let mut catalogue = Catalogue::new(Settings::default());
    let mut before = Vec::new();
    for minute in 0..from_minute + 20 {
        if minute == from_minute {
            before = honest_ids(&catalogue);
        }
        honest(&mut catalogue, minute, 1);
        for at in 0..CALLS_A_MINUTE * u64::from(minute >= from_minute) {
            let number = (minute - from_minute) as u64 * CALLS_A_MINUTE + at;
            let now_ms = START_MS + minute * 60_000 + 1000 + at as i64 * 90;
            let (name, actor) = (number / (3 * repeats), number / 3 % repeats);
            let path = path(name * 3 + number % 3);
            catalogue.assign(&Line::get(&path, 1000 + (name * 7 + actor) % attackers, now_ms).call());
        }
    }
    catalogue.advance(START_MS + (from_minute + 21) * 60_000);
    let after = honest_ids(&catalogue);
    let names: Vec<&String> = after.iter().map(|(_, template)| template).collect();
    let case = format!("{attackers} attackers from minute {from_minute}, {repeats} times each");
    for template in HONEST {
        assert!(names.contains(&&template.to_owned()), "{template} is gone, {case}: {:?}", templates(&catalogue));
    }
    for (id, template) in before {
        assert_eq!(catalogue.endpoint(id).unwrap().key.template, template, "{case}");
        assert_eq!(catalogue.resolve(id), id, "{template}, {case}");
    }
    templates(&catalogue).into_iter().filter(|template| !HONEST.contains(&template.as_str())).collect()
}

#[test]
fn names_that_look_like_all_collections_take_none_with_them() {
    for from_minute in [0, 1, 5, 20, 60] {
        for (attackers, repeats) in [(1, 1), (1, 10), (40, 1), (40, 10), (40, 8), (20, 10)] {
            beside_attackers(attackers, from_minute, repeats, collections_of_chance);
        }
    }
}

#[test]
fn a_large_tenant_among_small_ones_is_a_value_like_them() {
    let mut catalogue = Catalogue::new(Settings::default());
    for minute in 0..40u64 {
        for at in 0..400u64 {
            // Ten users each, who use no other tenant; the first has ten times the calls of the others.
            let tenant = if at < 200 { 0 } else { 1 + at % 10 };
            let now_ms = START_MS + minute as i64 * 60_000 + at as i64;
            catalogue.advance(now_ms);
            let below = ["issues", "members", "settings", "wiki"][(at / 10 + minute) as usize % 4];
            let path = format!("/{}/{below}", letters(tenant * 7919 + 17));
            catalogue.assign(&Line::get(&path, tenant * 100 + (at + minute) % 10, now_ms).call());
        }
    }
    catalogue.advance(START_MS + 41 * 60_000);
    assert_eq!(templates(&catalogue), ["/{id}/issues", "/{id}/members", "/{id}/settings", "/{id}/wiki"]);
}

#[test]
fn tenants_that_share_some_of_their_users_are_values() {
    let mut catalogue = Catalogue::new(Settings::default());
    for minute in 0..40u64 {
        for at in 0..400u64 {
            let tenant = at % 16;
            let now_ms = START_MS + minute as i64 * 60_000 + at as i64;
            catalogue.advance(now_ms);
            let below = ["issues", "members", "settings", "wiki"][(at / 16 + minute) as usize % 4];
            let path = format!("/{}/{below}", letters(tenant * 7919 + 17));
            // Twelve users each; of most tenants four of them are the same consultants, who use none of the others.
            let user = (at / 16 * 5 + minute) % 12;
            let is_consulted = tenant % 4 != 0;
            let actor = if is_consulted && user < 4 { user } else { 100 + tenant * 100 + user };
            catalogue.assign(&Line::get(&path, actor, now_ms).call());
        }
    }
    catalogue.advance(START_MS + 41 * 60_000);
    assert_eq!(templates(&catalogue), ["/{id}/issues", "/{id}/members", "/{id}/settings", "/{id}/wiki"]);
}
