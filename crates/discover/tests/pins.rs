//! A document's paths as decisions about templates.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use outrider_discover::openapi::{Document, Limits, Pins, Route};
use outrider_discover::{Catalogue, Settings};
use outrider_model::{TemplateChange, TemplateEffect};
use serde_json::{Value, json};
use support::{Line, decision};

const START_MS: i64 = 1_767_571_200_000;

const SERVICE: (&str, &str, &str) = ("kong", "default", "svc");

fn document(base: &str, paths: &[&str]) -> Document {
    let paths: serde_json::Map<String, Value> =
        paths.iter().map(|&path| (path.to_owned(), json!({"get": {"responses": {}}}))).collect();
    let text = json!({
        "openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "servers": [{"url": base}], "paths": paths,
    });
    Document::read(text.to_string().as_bytes(), &Limits::default()).unwrap()
}

/// A catalogue that has seen each path ten times, by nine actors in turn.
fn learned(paths: &[&str]) -> Catalogue {
    let mut catalogue = Catalogue::new(Settings::default());
    for at in 0..10 * paths.len() {
        let now_ms = START_MS + at as i64 * 1000;
        catalogue.advance(now_ms);
        catalogue.assign(&Line::get(paths[at % paths.len()], at as u64 % 9, now_ms).call());
    }
    catalogue.advance(START_MS + 3_600_000);
    catalogue
}

fn templates(catalogue: &Catalogue) -> Vec<&str> {
    let mut templates: Vec<&str> = catalogue.endpoints().map(|endpoint| endpoint.key.template.as_str()).collect();
    templates.sort_unstable();
    templates
}

fn pinned(pins: &Pins) -> Vec<&str> {
    pins.decisions.iter().map(|decision| decision.template.as_str()).collect()
}

/// Takes the decisions, as somebody who has seen them would.
fn take(catalogue: &mut Catalogue, pins: &Pins) -> usize {
    catalogue.revise(&pins.taken_back, &pins.decisions).unwrap()
}

#[test]
fn an_inventory_is_as_its_document_says() {
    let mut catalogue = learned(&["/users/alice", "/users/bob", "/users/me"]);
    assert_eq!(templates(&catalogue), ["/users/alice", "/users/bob", "/users/me"]);
    let pins = catalogue.pins(SERVICE, &document("/", &["/users/{name}", "/users/me", "/stock"]), &[]).unwrap();
    assert_eq!(pinned(&pins), ["/stock", "/users/me", "/users/{name}"]);
    assert!(pins.taken_back.is_empty() && pins.left_out.is_empty());
    let awaits =
        |effect: &TemplateEffect| matches!(effect, TemplateEffect::Awaited { template, .. } if template == "/stock");
    assert!(catalogue.preview(&pins.taken_back, &pins.decisions).unwrap().iter().any(awaits));
    take(&mut catalogue, &pins);
    assert_eq!(templates(&catalogue), ["/users/me", "/users/{name}"]);
    let explained = catalogue.endpoints().all(|endpoint| endpoint.explanation.contains("the document `Shop`"));
    assert!(explained, "{:?}", catalogue.endpoints().collect::<Vec<_>>());
    let again = catalogue.pins(SERVICE, &document("/", &["/users/{name}", "/users/me", "/stock"]), &[]).unwrap();
    assert_eq!(again, Pins::default(), "what stands is not decided again");
}

#[test]
fn paths_are_written_as_calls_have_them() {
    let route = Route { paths: vec!["/shop/".to_owned()], ..Route::default() };
    for (seen, base, expected) in [
        ("/v1/orders", "https://api.example/v1", "/v1/orders"),
        ("/orders", "https://api.example/v1", "/orders"),
        ("/shop/v1/orders", "/v1", "/shop/v1/orders"),
        ("/shop/orders", "/v1", "/shop/orders"),
    ] {
        let catalogue = learned(&[seen]);
        let pins = catalogue.pins(SERVICE, &document(base, &["/orders"]), std::slice::from_ref(&route)).unwrap();
        assert_eq!(pinned(&pins), [expected], "{seen}");
    }
}

#[test]
fn where_no_path_is_seen_as_written_the_way_that_fits_most_is_taken() {
    let route = Route { paths: vec!["/shop".to_owned()], ..Route::default() };
    let catalogue = learned(&["/shop/users/alice/avatar", "/shop/users/bob/avatar"]);
    let pins =
        catalogue.pins(SERVICE, &document("/", &["/users/{name}/avatar"]), std::slice::from_ref(&route)).unwrap();
    assert_eq!(pinned(&pins), ["/shop/users/{name}/avatar"]);
    let pins = Catalogue::new(Settings::default()).pins(SERVICE, &document("/v1", &["/users"]), &[]).unwrap();
    assert_eq!(pinned(&pins), ["/v1/users"], "without a call as its servers say");
}

#[test]
fn a_newer_document_takes_back_what_it_does_not_say_and_no_more() {
    let mut catalogue = learned(&["/users/alice", "/stock"]);
    let by_hand = decision("/by/hand", TemplateChange::Pin { method: None });
    catalogue.revise(&[], std::slice::from_ref(&by_hand)).unwrap();
    let pins = catalogue.pins(SERVICE, &document("/", &["/users/{name}", "/stock"]), &[]).unwrap();
    assert_eq!(take(&mut catalogue, &pins), 2);
    let newer = catalogue.pins(SERVICE, &document("/", &["/stock", "/orders"]), &[]).unwrap();
    assert_eq!(pinned(&newer), ["/orders"]);
    let gone = pins.decisions.iter().find(|decision| decision.template == "/users/{name}").unwrap();
    assert_eq!(newer.taken_back, [gone.id()]);
    take(&mut catalogue, &newer);
    assert_eq!(catalogue.decisions().len(), 3);
    assert!(catalogue.decisions().contains(&by_hand));
}

#[test]
fn what_contradicts_a_person_is_left_out_by_name() {
    let mut catalogue = learned(&["/users/alice"]);
    let ignore = decision("/users", TemplateChange::Ignore { method: None });
    catalogue.revise(&[], &[ignore]).unwrap();
    let pins = catalogue.pins(SERVICE, &document("/", &["/users/{name}", "/stock"]), &[]).unwrap();
    assert_eq!(pinned(&pins), ["/stock"]);
    assert_eq!(pins.left_out.len(), 1);
    assert_eq!(pins.left_out[0].pointer, "/paths/~1users~1{name}/get");
    assert!(pins.left_out[0].what.contains("ignores it"), "{:?}", pins.left_out);
    // What is left out stands in no way of the rest.
    assert_eq!(take(&mut catalogue, &pins), 1);
}

#[test]
fn a_document_for_which_there_is_no_room_is_refused_before_it_is_decided() {
    let settings = Settings { decisions_max: 3, ..Settings::default() };
    let paths = ["/a", "/b", "/c", "/d"];
    let mut catalogue = Catalogue::new(settings);
    let refused = catalogue.pins(SERVICE, &document("/", &paths), &[]).unwrap_err();
    assert!(refused.to_string().contains("`decisions_max` allows 3"), "{refused}");
    let pins = catalogue.pins(SERVICE, &document("/", &paths[..3]), &[]).unwrap();
    assert_eq!(take(&mut catalogue, &pins), 3);
    // What is taken back makes room.
    let pins = catalogue.pins(SERVICE, &document("/", &paths[1..]), &[]).unwrap();
    assert_eq!((pinned(&pins), pins.taken_back.len()), (vec!["/d"], 1));
    assert_eq!(take(&mut catalogue, &pins), 1);
}

#[test]
fn each_prefix_that_is_called_has_the_paths_of_the_document() {
    let catalogue = learned(&["/eu/v1/health", "/us/v1/health"]);
    let routes = ["/eu", "/us", "/asia"].map(|path| Route { paths: vec![path.to_owned()], ..Route::default() });
    let pins = catalogue.pins(SERVICE, &document("/v1", &["/health", "/stock"]), &routes).unwrap();
    assert_eq!(pinned(&pins), ["/eu/v1/health", "/us/v1/health", "/eu/v1/stock", "/us/v1/stock"]);
}
