//! Paths in, templates out: one table a case.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use std::collections::BTreeSet;

use outrider_discover::{Catalogue, Settings};
use support::Line;

const START_MS: i64 = 1_767_571_200_000;

/// Sends each path once a minute-block for `rounds` rounds, by ten actors in turn, and gives the catalogue.
fn learn(paths: &[String], rounds: usize) -> Catalogue {
    let mut catalogue = Catalogue::new(Settings::default());
    let mut given = Vec::new();
    let mut at = 0u64;
    for round in 0..rounds {
        for path in paths {
            let now_ms = START_MS + round as i64 * 60_000 + at as i64 % 60_000;
            catalogue.advance(now_ms);
            let assignment = catalogue.assign(&Line::get(path, at % 10, now_ms).call());
            assert!(assignment.endpoint.is_some(), "{path}");
            assert!(catalogue.assigned(&assignment).is_some(), "{path}");
            given.push(assignment);
            at += 1;
        }
    }
    catalogue.advance(START_MS + (rounds as i64 + 2) * 60_000);
    // However much was merged since, an assignment leads to the endpoint that its id leads to.
    for assignment in given {
        let by_id = assignment.endpoint.and_then(|id| catalogue.endpoint(id));
        assert_eq!(catalogue.assigned(&assignment), by_id, "{assignment:?}");
    }
    catalogue
}

fn templates(catalogue: &Catalogue) -> BTreeSet<String> {
    catalogue.endpoints().map(|endpoint| endpoint.key.template.clone()).collect()
}

/// Templates are exactly these.
fn check(paths: &[String], rounds: usize, expected: &[&str]) {
    let catalogue = learn(paths, rounds);
    let expected: BTreeSet<String> = expected.iter().map(|&template| template.to_owned()).collect();
    assert_eq!(templates(&catalogue), expected, "paths: {:?}…", &paths[..paths.len().min(6)]);
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

fn many(count: u64, path: impl Fn(u64) -> String) -> Vec<String> {
    (0..count).map(path).collect()
}

/// Reproducible words without digits, such as slugs and user names are made of.
fn word(seed: u64) -> String {
    let syllables =
        ["ba", "ko", "mi", "ru", "ten", "sol", "via", "nor", "pe", "lu", "gra", "hin", "dex", "om", "fa", "qui"];
    let mut left = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    (0..4)
        .map(|_| {
            let syllable = syllables[(left % 16) as usize];
            left /= 16;
            syllable
        })
        .collect()
}

#[test]
fn values_with_a_telling_shape_are_parameters_from_the_first_call() {
    let cases = [
        ("/users/7", "/users/{user_id}"),
        ("/users/b37500b2-a411-43f5-9907-2e7a60344ced/orders/12", "/users/{user_id}/orders/{order_id}"),
        ("/v1/objects/fe3b6f285b8aa5a08a671419", "/v1/objects/{object_id}"),
        ("/reports/2026-01-31", "/reports/{date}"),
        ("/accounts/ann@example.com", "/accounts/{email}"),
        ("/accounts/ann%40example.com", "/accounts/{email}"),
        ("/events/1767571203744", "/events/{event_id}"),
        ("/charges/ch_3MmlLrLkdIwHu7ix0snN0B15", "/charges/{charge_id}"),
        ("/cities/New%20York", "/cities/{city_id}"),
        ("/hosts/192.0.2.7", "/hosts/{address}"),
        ("/a/1/2", "/a/{a_id}/{id}"),
        ("/", "/"),
    ];
    for (path, template) in cases {
        check(&owned(&[path]), 1, &[template]);
    }
}

#[test]
fn versions_locales_and_names_stay_as_they_are() {
    let paths =
        ["/v1/users", "/v2/users", "/2.0/items", "/en-US/help", "/de-DE/help", "/.well-known/jwks.json", "/s3/list"];
    check(&owned(&paths), 5, &paths);
}

#[test]
fn many_locales_are_a_parameter() {
    let locales = ["en-US", "en-GB", "de-DE", "fr-FR", "it-IT", "es-ES", "pt-BR", "ja-JP", "ko-KR", "nl-NL"];
    let paths: Vec<String> = locales
        .iter()
        .flat_map(|locale| ["help", "terms", "pricing"].map(|page| format!("/{locale}/{page}")))
        .chain(many(5, |at| format!("/api/users/{at}")))
        .collect();
    check(&paths, 10, &["/{id}/help", "/{id}/terms", "/{id}/pricing", "/api/users/{user_id}"]);
}

#[test]
fn names_beside_a_parameter_stay_names() {
    let mut paths = many(20, |user| format!("/users/{}", user * 37 + 5));
    paths.extend(owned(&["/users/me", "/users/me/settings", "/users/search", "/users/7/orders"]));
    let expected = ["/users/{user_id}", "/users/me", "/users/me/settings", "/users/search", "/users/{user_id}/orders"];
    check(&paths, 5, &expected);
}

#[test]
fn variants_of_a_path_are_one_endpoint() {
    check(
        &owned(&["/api/users", "/api/users", "/api/users/", "//api//users", "/api/u%73ers", "/API/Users"]),
        2,
        &["/api/users"],
    );
    check(&owned(&["/api/sites/", "/api/sites/", "/api/sites"]), 2, &["/api/sites/"]);
}

#[test]
fn many_texts_become_a_parameter_and_the_names_beside_it_do_not() {
    let mut paths = many(400, |at| format!("/shops/{}", word(at)));
    // Real names come again and again, whoever calls.
    for at in 0..40 {
        paths.insert(at * 10, "/shops/nearby".to_owned());
        paths.insert(at * 10 + 5, format!("/shops/nearby/{at}"));
        paths.insert(at * 10 + 7, "/shops".to_owned());
        paths.insert(at * 10 + 8, "/carts".to_owned());
    }
    let catalogue = learn(&paths, 1);
    let found = templates(&catalogue);
    for template in ["/shops/{shop_id}", "/shops/nearby/{nearby_id}", "/shops", "/carts"] {
        assert!(found.contains(template), "{template} in {found:?}");
    }
    assert!(found.len() <= 6, "{found:?}");
}

#[test]
fn owners_with_the_same_names_below_are_values() {
    let owners = ["northwind", "contoso", "fabrikam", "tailspin", "adventure", "wingtip"];
    let below = ["issues", "pulls", "commits", "branches", "tags"];
    let mut paths = Vec::new();
    for owner in owners {
        for name in below {
            paths.push(format!("/orgs/{owner}/{name}"));
        }
        paths.push(format!("/orgs/{owner}"));
    }
    let mut expected: Vec<String> = below.iter().map(|name| format!("/orgs/{{org_id}}/{name}")).collect();
    expected.push("/orgs/{org_id}".to_owned());
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(&paths, 10, &expected);
}

#[test]
fn collections_with_the_same_shape_are_not_merged() {
    let collections = ["devices", "racks", "sites", "cables", "vlans", "prefixes", "tenants", "circuits", "interfaces"];
    let mut paths = Vec::new();
    let mut expected = Vec::new();
    for (at, collection) in collections.iter().enumerate() {
        for item in 0..5 {
            paths.push(format!("/api/{collection}/{}", item * 13 + at));
        }
        paths.push(format!("/api/{collection}"));
        let singular = if *collection == "prefixes" { "prefix" } else { collection.trim_end_matches('s') };
        expected.push(format!("/api/{collection}/{{{singular}_id}}"));
        expected.push(format!("/api/{collection}"));
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(&paths, 10, &expected);
}

#[test]
fn a_constant_number_is_a_version_until_another_comes() {
    let mut paths = many(30, |at| format!("/1/boards/{}", at + 100));
    check(&paths, 1, &["/1/boards/{board_id}"]);
    paths.push("/2/boards/7".to_owned());
    check(&paths, 1, &["/{id}/boards/{board_id}"]);
}

#[test]
fn answers_that_deny_the_path_match_but_never_teach() {
    let mut catalogue = learn(&many(30, |at| format!("/users/{at}")), 1);
    let known = catalogue.endpoints().count();
    let nodes = catalogue.memory_bytes();
    for status in [400, 401, 403, 404, 405, 410, 429, 500, 503] {
        for at in 0..200u64 {
            for path in [format!("/{}", word(at)), format!("/users/{}/x", word(at)), format!("/{at}/y/{}", word(at))] {
                let line = Line { status, ..Line::get(&path, at, START_MS + 600_000) };
                assert_eq!(catalogue.assign(&line.call()).endpoint, None, "{path} {status}");
            }
        }
        let line = Line { status, ..Line::get("/users/999", 1, START_MS + 600_000) };
        assert!(catalogue.assign(&line.call()).endpoint.is_some(), "{status}");
    }
    catalogue.advance(START_MS + 900_000);
    assert_eq!(catalogue.endpoints().count(), known);
    assert_eq!(catalogue.memory_bytes(), nodes);
}

#[test]
fn each_gateway_workspace_service_and_method_is_apart() {
    let mut catalogue = Catalogue::new(Settings::default());
    let line = Line::get("/users/7", 1, START_MS);
    let first = catalogue.assign(&line.call()).endpoint.unwrap();
    let others = [
        Line { service: "other".to_owned(), ..line.clone() },
        Line { method: "DELETE".to_owned(), ..line.clone() },
        Line { method: "PROPFIND".to_owned(), ..line.clone() },
        Line { service: String::new(), ..line.clone() },
    ];
    let mut seen = BTreeSet::from([first]);
    for other in &others {
        assert!(seen.insert(catalogue.assign(&other.call()).endpoint.unwrap()), "{other:?}");
    }
    let mut call = line.call();
    call.gateway = "elsewhere".into();
    assert!(seen.insert(catalogue.assign(&call).endpoint.unwrap()));
    assert_eq!(catalogue.lookup("kong", "default", "svc", "GET", "/users/8"), Some(first));
    assert_eq!(catalogue.lookup("kong", "default", "svc", "PUT", "/users/8"), None);
    assert!(catalogue.lookup("kong", "default", "host:api.example", "GET", "/users/8").is_some());
}

#[test]
fn names_on_the_way_to_a_parameter_are_values_where_they_are_an_open_set() {
    // A third of the calls is of ten users, the others of one each.
    let users = many(300, |at| format!("/members/{}/{}", word(if at % 3 == 0 { at % 10 } else { at }), at * 37));
    check(&users, 1, &["/members/{member_id}/{id}"]);
    let collections = ["orders", "invoices", "users", "carts", "items", "prices"];
    let lists = many(300, |at| format!("/shop/{}/{}", collections[at as usize % 6], at * 37));
    let expected = collections.map(|name| format!("/shop/{name}/{{{}_id}}", &name[..name.len() - 1]));
    check(&lists, 2, &expected.each_ref().map(String::as_str));
}

// --- Operations of RPC APIs

/// How the words of an operation are put together: a verb, and a noun of one or two words.
type Writing = fn(&str, &str) -> String;

/// The words of an operation with the first letter of all but the first in upper case.
fn camel(words: &[&str]) -> String {
    let raised = |word: &&str| word[..1].to_uppercase() + &word[1..];
    words[..1].iter().map(|&word| word.to_owned()).chain(words[1..].iter().map(raised)).collect()
}

const WRITINGS: [(&str, Writing); 4] = [
    ("camel case", |verb, noun| camel(&[&[verb], noun.split(' ').collect::<Vec<_>>().as_slice()].concat())),
    ("snake case", |verb, noun| format!("{verb}_{}", noun.replace(' ', "_"))),
    ("dotted", |verb, noun| format!("{}.{verb}", camel(&noun.split(' ').collect::<Vec<_>>()))),
    ("kebab case", |verb, noun| format!("{verb}-{}", noun.replace(' ', "-"))),
];

fn operations(count: usize, writing: Writing) -> Vec<String> {
    let verbs = ["get", "create", "update", "delete", "list", "find", "send", "cancel", "check", "close"];
    let nouns = ["user info", "order", "invoice", "price list", "cart", "session", "account", "stock level"];
    (0..count).map(|at| format!("/rpc/{}", writing(verbs[at % 10], nouns[(at / 10 + at) % 8]))).collect()
}

/// Twelve clients take turns, so many calls a minute. `draw` gives a path for a client and a number.
fn clients(calls: u64, calls_a_minute: u64, draw: impl Fn(u64, u64) -> String) -> BTreeSet<String> {
    let mut catalogue = Catalogue::new(Settings::default());
    for at in 0..calls {
        let now_ms = START_MS + (at * 60_000 / calls_a_minute) as i64;
        catalogue.advance(now_ms);
        catalogue.assign(&Line::get(&draw(at % 12, at), at % 12, now_ms).call());
    }
    catalogue.advance(START_MS + (calls * 60_000 / calls_a_minute) as i64 + 120_000);
    templates(&catalogue)
}

/// A number below another, reproducible and without a pattern.
fn drawn(seed: u64, below: usize) -> usize {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) as usize % below
}

#[test]
fn operations_of_an_rpc_api_stay_names() {
    let mut wrong = Vec::new();
    for (style, writing) in WRITINGS {
        for count in [20, 40, 80] {
            let all = operations(count, writing);
            let expected: BTreeSet<String> = all.iter().cloned().collect();
            assert_eq!(expected.len(), count);
            let evenly = |at| drawn(at, count);
            // A tenth of them is half of the calls.
            let unevenly = |at| drawn(at, if drawn(at * 31, 2) == 0 { count / 10 } else { count });
            let in_turn = |at: u64| (at / 12) as usize % count;
            let draws: [(&str, &dyn Fn(u64) -> usize); 3] =
                [("evenly", &evenly), ("unevenly", &unevenly), ("in turn", &in_turn)];
            for (order, draw) in draws {
                for (calls, a_minute) in [(1200, 1200), (1200, 240), (24_000, 1200)] {
                    let found = clients(calls, a_minute, |_, at| all[draw(at)].clone());
                    if found != expected {
                        let drawn = format!("{count} in {style}, {order}, {calls} calls, {a_minute} a minute");
                        wrong.push(format!("{drawn}: {} found", found.len()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn values_that_are_ever_new_or_each_somebodys_own_are_no_operations() {
    // Some are everybody's favourites, and new ones keep coming.
    let pool = |at: u64| if at.is_multiple_of(3) { 12 } else { 1 << 20 };
    let articles = clients(12_000, 1200, |_, at| format!("/articles/{}", word(drawn(at, pool(at)) as u64)));
    assert_eq!(articles, BTreeSet::from(["/articles/{article_id}".to_owned()]));
    // Each client has a few shops of its own, and nothing new comes.
    let shops = clients(12_000, 1200, |actor, at| format!("/shops/{}", word(actor * 5 + drawn(at, 5) as u64)));
    assert_eq!(shops, BTreeSet::from(["/shops/{shop_id}".to_owned()]));
}
