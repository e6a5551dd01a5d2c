//! Kinds of paths that say more than their segments: gRPC, OData, RPC, matrix parameters, files, locales, odd spellings.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use std::collections::BTreeSet;

use outrider_discover::inventory::{CheckedBy, Inventory, Settings as InventorySettings, ValueType};
use outrider_discover::{Catalogue, Settings};
use outrider_model::{DecisionOrigin, TemplateChange, TemplateDecision, Text};
use support::Line;

const START_MS: i64 = 1_767_571_200_000;

/// Sends each path in each of some rounds, by ten actors in turn, and gives the templates.
fn learned(paths: &[String], rounds: usize, media_type: &'static str) -> BTreeSet<String> {
    let mut catalogue = Catalogue::new(Settings::default());
    let mut at = 0u64;
    for round in 0..rounds {
        for path in paths {
            let now_ms = START_MS + round as i64 * 60_000 + at as i64 % 60_000;
            catalogue.advance(now_ms);
            let mut line = Line::get(path, at % 10, now_ms);
            if media_type.starts_with("application/grpc") {
                line.method = "POST".to_owned();
            }
            let mut call = line.call();
            call.response_type = Text::from(media_type);
            assert!(catalogue.assign(&call).endpoint.is_some(), "{path}");
            at += 1;
        }
    }
    catalogue.advance(START_MS + (rounds as i64 + 2) * 60_000);
    catalogue.endpoints().map(|endpoint| endpoint.key.template.clone()).collect()
}

fn set(templates: &[&str]) -> BTreeSet<String> {
    templates.iter().map(|&template| template.to_owned()).collect()
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

fn check(name: &str, paths: &[String], rounds: usize, expected: &[&str]) {
    assert_eq!(learned(paths, rounds, "application/json"), set(expected), "{name}");
}

fn word(seed: u64) -> String {
    let syllables = ["ba", "ko", "mi", "ru", "ten", "sol", "via", "nor"];
    (0..4).map(|at| syllables[(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (20 + 3 * at)) as usize % 8]).collect()
}

#[test]
fn keys_and_functions_of_odata_are_parameters_of_their_segment() {
    let cases: [(&str, &str); 21] = [
        ("/Products(5)", "/Products({product_id})"),
        ("/Products(5)/Name", "/Products({product_id})/Name"),
        ("/odata/Products('abc')", "/odata/Products({product_id})"),
        ("/Products(%27a%2Fb%27)/Name/$value", "/Products({product_id})/Name/$value"),
        ("/Products(key='x',lang='en')/Name", "/Products(key={key},lang={lang})/Name"),
        ("/Products(Id=5)", "/Products(Id={id})"),
        ("/Products(b37500b2-a411-43f5-9907-2e7a60344ced)", "/Products({product_id})"),
        ("/Products(guid'b37500b2-a411-43f5-9907-2e7a60344ced')", "/Products({product_id})"),
        ("/Categories(1)/Products(2)", "/Categories({category_id})/Products({product_id})"),
        ("/Parts(1)/Parts(2)", "/Parts({part_id})/Parts({part_id_2})"),
        ("/GetNearest(lat=1.2,lon=-3)", "/GetNearest(lat={lat},lon={lon})"),
        ("/Shop.GetNearest(place=@p)", "/Shop.GetNearest(place={place})"),
        ("/GetAll()", "/GetAll()"),
        ("/Products('it''s, (a) \"test\"')", "/Products({product_id})"),
        // A semicolon in quotes is of the key, and one behind it begins a matrix parameter.
        ("/Products('a;b')", "/Products({product_id})"),
        ("/Products('a;b')/Name", "/Products({product_id})/Name"),
        ("/Products(key='a;b',lang='en')/Name", "/Products(key={key},lang={lang})/Name"),
        ("/Products(%27a%3Bb%27)", "/Products({product_id})"),
        ("/Products('a');v=1/Name", "/Products({product_id})/Name"),
        ("/$metadata", "/$metadata"),
        ("/Products/$count", "/Products/$count"),
    ];
    for (path, template) in cases {
        check(path, &owned(&[path]), 1, &[template]);
    }
    // What only looks like it is a text as any other.
    for path in ["/x(y", "/(5)", "/a(b)c", "/a((5))", "/a({x})", "/a b(5)"] {
        let found = learned(&owned(&[path]), 1, "");
        assert!(!found.iter().any(|template| template.contains("({")), "{path} {found:?}");
    }
}

#[test]
fn keys_of_odata_are_one_endpoint_among_the_names_beside_it() {
    let mut paths: Vec<String> = (0..200).map(|at| format!("/odata/Products({})", at * 7)).collect();
    paths.extend((0..100).map(|at| format!("/odata/Products('{}')/Supplier", word(at))));
    paths.extend((0..100).map(|at| format!("/odata/Orders(Id={at},Line={})", at % 3)));
    for name in ["Products", "Orders", "Products/$count", "$metadata"] {
        paths.extend((0..20).map(|_| format!("/odata/{name}")));
    }
    let expected = [
        "/odata/$metadata",
        "/odata/Orders",
        "/odata/Orders(Id={id},Line={line})",
        "/odata/Products",
        "/odata/Products({product_id})",
        "/odata/Products({product_id})/Supplier",
        "/odata/Products/$count",
    ];
    check("odata", &paths, 1, &expected);
}

#[test]
fn entity_sets_with_the_same_below_are_not_one() {
    let sets = ["Products", "Orders", "Suppliers", "Stores", "Carts", "Clerks"];
    let below = ["Name", "Tags", "Owner", "Notes"];
    let calls = |at: u64| sets.iter().flat_map(move |set| below.map(|name| format!("/{set}({at})/{name}")));
    let paths: Vec<String> = (0..10).flat_map(calls).chain(["/status".to_owned()]).collect();
    let mut expected: BTreeSet<String> = set(&["/status"]);
    for (set, one) in sets.iter().zip(["product", "order", "supplier", "store", "cart", "clerk"]) {
        expected.extend(below.iter().map(|name| format!("/{set}({{{one}_id}})/{name}")));
    }
    assert_eq!(learned(&paths, 2, ""), expected);
}

#[test]
fn grpc_has_names_alone() {
    let services = ["shop.v1.Carts", "shop.v1.Orders", "shop.v1.Users", "shop.v1.Items", "shop.v2beta1.Prices"];
    let methods = ["Get", "List", "Create", "Update", "Delete", "BatchGetV2ByIdsForURL1x9Q"];
    let paths: Vec<String> =
        services.iter().flat_map(|service| methods.map(|method| format!("/{service}/{method}"))).collect();
    let expected: BTreeSet<String> = paths.iter().cloned().collect();
    for media_type in ["application/grpc", "application/grpc+proto", "application/grpc-web+proto"] {
        assert_eq!(learned(&paths, 6, media_type), expected, "{media_type}");
    }
    assert_eq!(
        learned(&owned(&["/grpc.health.v1.Health/Check"]), 6, "application/grpc"),
        set(&["/grpc.health.v1.Health/Check"])
    );
}

#[test]
fn a_sweep_of_grpc_methods_takes_no_name_with_it() {
    let mut catalogue = Catalogue::new(Settings::default());
    let mut send = |path: &str, actor: u64, at: u64| {
        let now_ms = START_MS + at as i64 * 1000;
        catalogue.advance(now_ms);
        let line = Line { method: "POST".to_owned(), ..Line::get(path, actor, now_ms) };
        let mut call = line.call();
        call.response_type = Text::from("application/grpc");
        catalogue.assign(&call);
    };
    // An unknown method is answered with status 200, too.
    for at in 0..3000 {
        let method = ["GetCart", "AddItem", "DropItem"][at as usize % 3];
        send(&format!("/shop.v1.Carts/{method}"), at % 9, at);
        send(&format!("/shop.v1.Carts/{}{at}", word(at)), 77, at);
    }
    catalogue.advance(START_MS + 4_000_000);
    let found: BTreeSet<String> = catalogue.endpoints().map(|one| one.key.template.clone()).collect();
    for method in ["GetCart", "AddItem", "DropItem"] {
        assert!(found.contains(&format!("/shop.v1.Carts/{method}")), "{method}");
    }
    assert!(found.len() < 20, "{} endpoints", found.len());
}

#[test]
fn calls_of_procedures_are_names() {
    let paths = [
        "/api/user.getInfo",
        "/api/user.setInfo",
        "/api/chat.postMessage",
        "/api/chat.update",
        "/rpc/DoThis",
        "/rpc/DoThat",
        "/cgi-bin/x.cgi",
        "/cgi-bin/login.pl",
        "/xmlrpc.php",
        "/v1/projects:search",
    ];
    check("rpc", &owned(&paths), 6, &paths);
}

#[test]
fn matrix_parameters_and_odd_spellings_are_no_other_endpoint() {
    check("matrix", &owned(&["/cars;color=red/7", "/cars;color=blue;year=2/8", "/cars/9;v=1"]), 3, &["/cars/{car_id}"]);
    check("slashes", &owned(&["/a/users", "//a//users", "/a/users", "/a/./users/"]), 3, &["/a/users"]);
    check("encoding", &owned(&["/a/users/7", "/%61/u%73ers/%37", "/A/USERS/8"]), 3, &["/a/users/{user_id}"]);
}

#[test]
fn files_are_one_endpoint_by_directory_and_built_ones_by_their_ending_too() {
    let hashed = |name: &str, at: u64, extension: &str| {
        format!("/assets/{name}.{:08x}.{extension}", at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32)
    };
    let mut paths: Vec<String> = (0..60).map(|at| hashed("app", at, "js")).collect();
    paths.extend((0..60).map(|at| hashed("vendor", at, "js")));
    paths.extend((0..30).map(|at| hashed("app", at, "css")));
    paths.extend((0..30).map(|at| format!("/assets/img/{}.png", word(at))));
    paths.extend((0..5).map(|at| format!("/fonts/{}.woff2", word(at))));
    paths.extend((0..30).map(|at| format!("/api/users/{at}")));
    paths.push("/favicon.ico".to_owned());
    let expected = [
        "/api/users/{user_id}",
        "/assets/img/{img_id}",
        "/assets/{file}.css",
        "/assets/{file}.js",
        "/favicon.ico",
        "/fonts/{font_id}",
    ];
    check("files", &paths, 4, &expected);
}

#[test]
fn a_few_locales_are_names_and_many_are_a_parameter() {
    check("few", &owned(&["/en-US/help", "/de-DE/help"]), 6, &["/en-US/help", "/de-DE/help"]);
    let locales = ["en", "de", "fr", "it", "es", "pt", "ja", "ko", "nl", "sv", "da", "fi"];
    let paths: Vec<String> = locales
        .iter()
        .flat_map(|locale| ["help", "terms", "pricing"].map(|page| format!("/{locale}/{page}")))
        .collect();
    check("many", &paths, 10, &["/{id}/help", "/{id}/terms", "/{id}/pricing"]);
    let countries: Vec<String> = ["US", "DE", "FR", "IT", "ES", "PT", "JP", "KR", "NL", "SE"]
        .iter()
        .flat_map(|country| ["offers", "shops"].map(|page| format!("/store/{country}/{page}")))
        .collect();
    check("countries", &countries, 10, &["/store/{store_id}/offers", "/store/{store_id}/shops"]);
}

#[test]
fn patterns_that_come_once_each_are_values() {
    let mut paths: Vec<String> = (0..300).map(|at| format!("/wiki/{}{}({at})", word(at), word(at / 3))).collect();
    for name in ["/search", "/edit", "/history", "/login"] {
        paths.extend((0..30).map(|_| name.to_owned()));
    }
    check("wiki", &paths, 1, &["/wiki/{wiki_id}", "/search", "/edit", "/history", "/login"]);
}

#[test]
fn a_pattern_can_be_pinned_and_its_values_are_read() {
    let mut catalogue = Catalogue::new(Settings::default());
    let decision = TemplateDecision {
        gateway: "kong".to_owned(),
        workspace: "default".to_owned(),
        service: "svc".to_owned(),
        template: "/Products({id})/Name".to_owned(),
        change: TemplateChange::Pin { method: None },
        origin: DecisionOrigin::Operator,
    };
    catalogue.revise(&[], std::slice::from_ref(&decision)).unwrap();
    let mut inventory = Inventory::new(InventorySettings::default());
    for at in 0..30u64 {
        let now_ms = START_MS + at as i64 * 1000;
        let line = Line::get(&format!("/Products({at})/Name"), at % 5, now_ms);
        let id = catalogue.assign(&line.call()).endpoint.unwrap();
        inventory.advance(now_ms);
        inventory.observe(&line.call(), id, &catalogue.endpoint(id).unwrap().key.template, CheckedBy::NotRead);
    }
    inventory.advance(START_MS + 600_000);
    let seen = inventory.drain_changes().swap_remove(0);
    let found: Vec<(&str, ValueType)> = seen.parameters.iter().map(|one| (one.name.as_str(), one.value_type)).collect();
    assert!(found.contains(&("id", ValueType::Integer)), "{found:?}");
    catalogue.revise(&[decision.id()], &[]).unwrap();
    let templates: Vec<&str> = catalogue.endpoints().map(|endpoint| endpoint.key.template.as_str()).collect();
    assert_eq!(templates, ["/Products({product_id})/Name"]);
}
