//! What a gateway's routes say of paths outweighs what is seen, and is taken back with them.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use std::collections::BTreeSet;

use outrider_discover::{Catalogue, Settings};
use outrider_model::{
    Endpoint, GatewayConfiguration, GatewayRoute, GatewaySnapshot, LeftOut, TemplateChange, TemplateDecision,
};
use support::{Line, decision};

const START_MS: i64 = 1_767_571_200_000;

/// A snapshot of a gateway with these routes to the service: name and paths.
fn snapshot(routes: &[(&str, &[&str])]) -> GatewaySnapshot {
    let routes = routes.iter().enumerate().map(|(at, (name, paths))| route(at, name, "svc", paths)).collect();
    let configuration = GatewayConfiguration { routes, ..GatewayConfiguration::default() };
    GatewaySnapshot { gateway: "kong".to_owned(), taken_ms: START_MS, configuration }
}

fn route(at: usize, name: &str, service: &str, paths: &[&str]) -> GatewayRoute {
    GatewayRoute {
        id: format!("route-{at}"),
        name: (!name.is_empty()).then(|| name.to_owned()),
        service_id: Some(service.to_owned()),
        protocols: vec!["https".to_owned()],
        methods: vec![],
        hosts: vec![],
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
        header_names: vec![],
        tags: vec![],
        created_ms: None,
    }
}

/// Sends paths, a second apart, by nine actors in turn, and closes the minute.
fn send(catalogue: &mut Catalogue, from: u64, paths: &[String]) {
    for (at, path) in paths.iter().enumerate() {
        let at = from + at as u64;
        let now_ms = START_MS + at as i64 * 1000;
        catalogue.advance(now_ms);
        catalogue.assign(&Line::get(path, at % 9, now_ms).call());
    }
    catalogue.advance(START_MS + (from as i64 + paths.len() as i64 + 120) * 1000);
}

fn templates(catalogue: &Catalogue) -> BTreeSet<String> {
    catalogue.endpoints().map(|endpoint| endpoint.key.template.clone()).collect()
}

fn set(templates: &[&str]) -> BTreeSet<String> {
    templates.iter().map(|&template| template.to_owned()).collect()
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

fn by_template<'c>(catalogue: &'c Catalogue, template: &str) -> &'c Endpoint {
    catalogue.endpoints().find(|endpoint| endpoint.key.template == template).unwrap()
}

/// Words that nothing tells from names.
fn word(seed: u64) -> String {
    let syllables = ["ba", "ko", "mi", "ru", "ten", "sol", "via", "nor"];
    (0..4).map(|at| syllables[(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (20 + 3 * at)) as usize % 8]).collect()
}

#[test]
fn each_path_of_a_route_says_what_it_says() {
    let cases: [(&str, &[&str], &[&str]); 9] = [
        ("/2024/12/x", &["/2024/12/x/7"], &["/2024/12/x/{x_id}"]),
        ("/reports/daily", &["/reports/daily", "/Reports/Daily/"], &["/reports/daily"]),
        (r"~/users/(?<who>\w+)$", &["/users/ann", "/users/bob", "/users/9"], &["/users/{who}"]),
        (r"~/users/[^/]+/orders$", &["/users/ann/orders", "/users/bob/orders"], &["/users/{user_id}/orders"]),
        (r"~/(a1b2c3d4|7)/x", &["/a1b2c3d4/x", "/7/x", "/8/x"], &["/a1b2c3d4/x", "/7/x", "/{id}/x"]),
        // Below, and where the class does not fit, nothing is said.
        ("/shop", &["/shop/9/lines", "/shop/me"], &["/shop/{shop_id}/lines", "/shop/me"]),
        (r"~/users/(?<n>\d+)", &["/users/1", "/users/me"], &["/users/{n}", "/users/me"]),
        (r"~/files/(?<path>.+)", &["/files/ann", "/files/bob"], &["/files/ann", "/files/bob"]),
        (r"~/v\d/(?<kind>[a-z]+)/x", &["/v1/dogs/x", "/v2/cats/x"], &["/v1/{kind}/x", "/v2/{kind}/x"]),
    ];
    for (path, calls, expected) in cases {
        let mut catalogue = Catalogue::new(Settings::default());
        catalogue.take_in_routes(&snapshot(&[("shop-orders", &[path])]));
        send(&mut catalogue, 0, &owned(calls));
        assert_eq!(templates(&catalogue), set(expected), "{path}");
    }
}

#[test]
fn an_endpoint_says_which_route_it_is_written_in() {
    let mut catalogue = Catalogue::new(Settings::default());
    catalogue.take_in_routes(&snapshot(&[("shop-orders", &["/orders"]), ("", &[r"~/api/users/(?<who>[^/]+)/cart$"])]));
    send(&mut catalogue, 0, &owned(&["/orders", "/api/users/ann/cart"]));
    let orders = by_template(&catalogue, "/orders");
    assert_eq!(orders.explanation, "names: `orders` is written in the route `shop-orders`");
    assert!(!orders.provisional);
    assert_eq!((orders.confidence, orders.observations), (1.0, 1));
    let cart = by_template(&catalogue, "/api/users/{who}/cart");
    assert_eq!(
        cart.explanation,
        "parameters: texts, as the route `route-1` says; names: `api`, `users` and `cart` \
         are written in the route `route-1`"
    );
}

#[test]
fn a_name_of_a_route_stays_one_among_any_number_of_values() {
    let mut paths: Vec<String> = (0..900).map(|at| format!("/shops/{}", word(at))).collect();
    paths.insert(300, "/shops/bakomiru".to_owned());
    paths.push("/shops/bakomiru".to_owned());
    let mut seen = Catalogue::new(Settings::default());
    send(&mut seen, 0, &paths);
    assert!(!templates(&seen).contains("/shops/bakomiru"), "without the route it is one of many");
    let mut told = Catalogue::new(Settings { children_per_node_max: 16, ..Settings::default() });
    told.take_in_routes(&snapshot(&[("bakery", &["/shops/bakomiru"])]));
    send(&mut told, 0, &paths);
    assert_eq!(by_template(&told, "/shops/bakomiru").calls, 2);
    // Also for who only asks.
    let id = by_template(&told, "/shops/bakomiru").id;
    assert_eq!(told.lookup("kong", "default", "svc", "GET", "/shops/Bakomiru"), Some(id));
}

#[test]
fn what_was_learned_before_follows_when_the_minute_is_over() {
    let mut catalogue = Catalogue::new(Settings::default());
    send(&mut catalogue, 0, &owned(&["/users/ann/cart", "/users/bob/cart", "/7/x", "/9/y", "/9/y"]));
    let first = by_template(&catalogue, "/users/ann/cart").id;
    let value = catalogue.lookup("kong", "default", "svc", "GET", "/9/y").unwrap();
    catalogue.take_in_routes(&snapshot(&[("carts", &[r"~/users/(?<who>[a-z]+)/cart$"]), ("nine", &["/9"])]));
    let before = catalogue.lookup("kong", "default", "svc", "GET", "/9/y");
    assert_eq!(before, Some(value), "it begins with its next call that teaches");
    send(&mut catalogue, 1000, &owned(&["/9/y"]));
    let cart = by_template(&catalogue, "/users/{who}/cart");
    assert_eq!((cart.id, cart.calls), (first, 2), "values merge, and the oldest lives on");
    assert!(cart.provisional, "two values are few");
    send(&mut catalogue, 2000, &owned(&["/users/ann/cart"]));
    let cart = by_template(&catalogue, "/users/{who}/cart");
    assert!(!cart.provisional && cart.confidence > 0.99, "{cart:?}");
    assert_eq!(by_template(&catalogue, "/9/y").calls, 1);
    assert_eq!(catalogue.endpoint(value).unwrap().key.template, "/{id}/y", "the old id stays with the parameter");
}

#[test]
fn the_only_value_so_far_becomes_the_name_that_a_route_says_it_is() {
    let mut catalogue = Catalogue::new(Settings::default());
    send(&mut catalogue, 0, &owned(&["/7/boards", "/7/boards"]));
    let id = by_template(&catalogue, "/{id}/boards").id;
    catalogue.take_in_routes(&snapshot(&[("boards", &["/7/boards"])]));
    send(&mut catalogue, 1000, &owned(&["/7/boards", "/8/boards"]));
    assert_eq!(templates(&catalogue), set(&["/7/boards", "/{id}/boards"]));
    let boards = by_template(&catalogue, "/7/boards");
    assert_eq!((boards.id, boards.calls), (id, 3));
}

#[test]
fn a_route_that_is_gone_says_nothing_any_more() {
    let mut catalogue = Catalogue::new(Settings::default());
    catalogue.take_in_routes(&snapshot(&[("old", &["/2024", r"~/users/(?<who>[^/]+)$"])]));
    send(&mut catalogue, 0, &owned(&["/2024", "/users/ann", "/users/17"]));
    assert_eq!(templates(&catalogue), set(&["/2024", "/users/{who}"]));
    // A list that is not whole takes nothing back.
    let mut part = snapshot(&[("new", &["/2025"])]);
    part.configuration.routes[0].id = "route-new".to_owned();
    part.configuration.left_out.push(LeftOut { list: "routes".to_owned(), why: "too long".to_owned() });
    catalogue.take_in_routes(&part);
    send(&mut catalogue, 1000, &owned(&["/2024", "/2025"]));
    assert_eq!(templates(&catalogue), set(&["/2024", "/2025", "/users/{who}"]));
    catalogue.take_in_routes(&snapshot(&[("new", &["/2025"])]));
    send(&mut catalogue, 2000, &owned(&["/2024", "/users/18", "/2026"]));
    // What was learned stays: the name is one of those that are known, and another number is a value.
    assert_eq!(templates(&catalogue), set(&["/2024", "/2025", "/{id}", "/users/{user_id}"]));
    let gone = by_template(&catalogue, "/2024");
    assert!(!gone.explanation.contains("route"), "{}", gone.explanation);
}

#[test]
fn a_route_says_nothing_of_values_that_it_does_not_take() {
    let mut catalogue = Catalogue::new(Settings::default());
    let users: Vec<String> = (0..400).map(|at| format!("/users/{}", word(at))).collect();
    send(&mut catalogue, 0, &users);
    assert_eq!(templates(&catalogue), set(&["/users/{user_id}"]));
    catalogue.take_in_routes(&snapshot(&[("numbers", &[r"~/users/(?<n>\d+)$"])]));
    send(&mut catalogue, 1000, &users[..20]);
    let user = by_template(&catalogue, "/users/{user_id}");
    assert!(!user.explanation.contains("as the route"), "{}", user.explanation);
}

#[test]
fn a_route_without_a_name_is_called_by_all_of_its_id() {
    let mut catalogue = Catalogue::new(Settings::default());
    let mut routes = snapshot(&[("", &["/orders"])]);
    routes.configuration.routes[0].id = "2c5bb2e8-9a3c-4f6b-8d7e-0123456789ab".to_owned();
    catalogue.take_in_routes(&routes);
    send(&mut catalogue, 0, &owned(&["/orders"]));
    let explanation = &by_template(&catalogue, "/orders").explanation;
    assert!(explanation.contains("`2c5bb2e8-9a3c-4f6b-8d7e-0123456789ab`"), "{explanation}");
}

#[test]
fn routes_hold_for_their_service_and_gateway_alone() {
    let mut catalogue = Catalogue::new(Settings::default());
    let mut of_host = snapshot(&[]);
    of_host.configuration.routes.push(route(0, "x", "host:api.example", &["/2024"]));
    of_host.configuration.routes.push(GatewayRoute { service_id: None, ..route(1, "y", "", &["/2024"]) });
    of_host.configuration.routes.push(route(2, "z", "other", &["/2024"]));
    catalogue.take_in_routes(&of_host);
    let mut elsewhere = snapshot(&[("w", &["/2024"])]);
    elsewhere.gateway = "elsewhere".to_owned();
    catalogue.take_in_routes(&elsewhere);
    let line = Line::get("/2024", 1, START_MS);
    for (service, template) in [("svc", "/{id}"), ("", "/{id}"), ("other", "/2024")] {
        let line = Line { service: service.to_owned(), ..line.clone() };
        let id = catalogue.assign(&line.call()).endpoint.unwrap();
        assert_eq!(catalogue.endpoint(id).unwrap().key.template, template, "{service}");
    }
    let mut call = line.call();
    call.gateway = "elsewhere".into();
    let id = catalogue.assign(&call).endpoint.unwrap();
    assert_eq!(catalogue.endpoint(id).unwrap().key.template, "/2024");
}

#[test]
fn what_somebody_decided_outweighs_a_route() {
    let decisions = [
        decision("/users/{who}", TemplateChange::Rename { parameter: "name".to_owned() }),
        decision("/users/{who}", TemplateChange::Split { value: "me".to_owned() }),
        decision("/{year}", TemplateChange::Merge { values: vec!["2024".to_owned()] }),
    ];
    let mut catalogue = Catalogue::new(Settings::default());
    catalogue.revise(&[], &decisions).unwrap();
    catalogue.take_in_routes(&snapshot(&[("all", &["/2024", r"~/users/(?<who>[^/]+)$"])]));
    send(&mut catalogue, 0, &owned(&["/2024", "/users/ann", "/users/me"]));
    assert_eq!(templates(&catalogue), set(&["/{year}", "/users/{name}", "/users/me"]));
    let ids: Vec<_> = catalogue.decisions().iter().map(TemplateDecision::id).collect();
    catalogue.revise(&ids, &[]).unwrap();
    assert_eq!(templates(&catalogue), set(&["/2024", "/users/{who}"]));
}

#[test]
fn only_so_many_paths_are_read() {
    let settings = Settings { routes_max: 2, ..Settings::default() };
    let mut catalogue = Catalogue::new(settings);
    let long = format!("/{}", "x".repeat(3000));
    let routes = snapshot(&[("a", &[&long, "/2024", "/2025"]), ("b", &["/2026"])]);
    catalogue.take_in_routes(&routes);
    assert_eq!(catalogue.counters().routes_max, 2);
    catalogue.take_in_routes(&routes);
    assert_eq!(catalogue.counters().routes_max, 2, "the same again is no news");
    // Each gateway has its own.
    let other = GatewaySnapshot { gateway: "other".to_owned(), ..snapshot(&[("c", &["/2027"])]) };
    catalogue.take_in_routes(&other);
    assert_eq!(catalogue.counters().routes_max, 2);
    send(&mut catalogue, 0, &owned(&["/2024", "/2025", "/2026"]));
    assert_eq!(templates(&catalogue), set(&["/2024", "/2025", "/{id}"]));
}

#[test]
fn a_restored_catalogue_knows_the_routes() {
    let first: Vec<String> =
        (0..150).map(|at| format!("/users/{}/{}", word(at), ["cart", "likes"][at as usize % 2])).collect();
    let routes = snapshot(&[("u", &["/2024/x", r"~/users/(?<who>[^/]+)/cart$"])]);
    let mut whole = Catalogue::new(Settings::default());
    send(&mut whole, 0, &first[..40]);
    whole.take_in_routes(&routes);
    send(&mut whole, 300, &first[40..]);
    let mut parts = Catalogue::restore(Settings::default(), &whole.snapshot()).unwrap();
    for catalogue in [&mut whole, &mut parts] {
        send(catalogue, 900, &first);
        send(catalogue, 1800, &owned(&["/2024/x", "/users/2024/cart", "/users/ann/cart"]));
        catalogue.take_in_routes(&snapshot(&[]));
        send(catalogue, 2700, &first);
    }
    assert_eq!(whole.snapshot(), parts.snapshot());
    assert!(templates(&whole).contains("/2024/x"));
}
