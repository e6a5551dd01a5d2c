//! Operations of endpoints that take many: GraphQL by name, and what a source maps.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use outrider_discover::inventory::{CheckedBy, EndpointInventory, Inventory, Settings as InventorySettings};
use outrider_discover::openapi::{Document, ExportInfo, Limits, drift, export};
use outrider_discover::{Catalogue, Settings};
use outrider_model::{
    ApiCall, DecisionOrigin, Endpoint, EndpointId, Field, FieldValue, KeyId, Pseudonym, TemplateChange,
    TemplateDecision, Text,
};
use support::{Line, decision};

const START_MS: i64 = 1_767_571_200_000;

/// Where a call says what it asks for.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Query(&'a str),
    Header(&'a str),
    Mapped(&'a [&'a str]),
}

fn clear(name: &str, value: &str) -> Field<'static> {
    Field { name: Text::from(name.to_owned()), value: FieldValue::Clear(Text::from(value.to_owned())) }
}

fn asking<'l>(line: &'l Line, asked: Asked<'_>) -> ApiCall<'l> {
    let mut call = line.call();
    match asked {
        Asked::Query(name) => call.query = vec![clear("operationName", name)],
        Asked::Header(name) => call.headers = vec![clear("x-apollo-operation-name", name)],
        Asked::Mapped(names) => call.fields = names.iter().map(|name| clear("operation", name)).collect(),
    }
    call
}

/// A catalogue with the calls that it had so far.
struct Service {
    catalogue: Catalogue,
    at: u64,
}

impl Service {
    fn new(settings: Settings) -> Self {
        Service { catalogue: Catalogue::new(settings), at: 0 }
    }

    /// Sends a call so many times, a second apart, by so many actors in turn.
    fn send(&mut self, path: &str, asked: Asked<'_>, times: u64, actors: u64) -> Option<EndpointId> {
        let mut last = None;
        for _ in 0..times {
            let now_ms = START_MS + self.at as i64 * 1000;
            self.catalogue.advance(now_ms);
            let line = Line::get(path, self.at % actors, now_ms);
            last = self.catalogue.assign(&asking(&line, asked)).endpoint;
            self.at += 1;
        }
        last
    }

    fn template(&self, id: Option<EndpointId>) -> &str {
        &self.catalogue.endpoint(self.catalogue.resolve(id.unwrap())).unwrap().key.template
    }

    fn sent(&mut self, path: &str, asked: Asked<'_>, times: u64, actors: u64) -> String {
        let last = self.send(path, asked, times, actors);
        self.template(last).to_owned()
    }

    fn templates(&self) -> BTreeSet<String> {
        self.catalogue.endpoints().map(|endpoint| endpoint.key.template.clone()).collect()
    }
}

fn set(templates: &[&str]) -> BTreeSet<String> {
    templates.iter().map(|&template| template.to_owned()).collect()
}

#[test]
fn an_operation_gets_its_endpoint_when_several_have_asked_for_it_often() {
    let mut service = Service::new(Settings::default());
    assert_eq!(service.sent("/graphql", Asked::Query("GetUser"), 7, 5), "/graphql");
    assert_eq!(service.sent("/graphql", Asked::Query("GetUser"), 1, 5), "/graphql#GetUser");
    assert_eq!(service.sent("/graphql/", Asked::Query("getuser"), 12, 5), "/graphql#GetUser");
    assert_eq!(service.sent("/graphql", Asked::Query("Other"), 1, 5), "/graphql");
    service.catalogue.advance(START_MS + 600_000);
    let found: BTreeMap<&str, (u64, &str, bool)> = service
        .catalogue
        .endpoints()
        .map(|one| (one.key.template.as_str(), (one.calls, one.explanation.as_str(), one.provisional)))
        .collect();
    assert_eq!(found.len(), 2);
    assert_eq!(found["/graphql"].0, 8, "what was sent before stays");
    assert_eq!(found["/graphql#GetUser"], (13, "names: `GetUser` is an operation that callers ask for", false));
    // A call that teaches nothing finds it as well, and without an operation the endpoint is the other one.
    let line = Line { status: 500, ..Line::get("/graphql", 1, START_MS + 600_000) };
    let known = service.catalogue.lookup_call(&asking(&line, Asked::Query("GetUser")));
    assert_eq!(service.template(known), "/graphql#GetUser");
    assert_eq!(service.catalogue.assign(&asking(&line, Asked::Query("GetUser"))).endpoint, known);
    let plain = service.catalogue.lookup("kong", "default", "svc", "GET", "/graphql");
    assert_eq!(service.template(plain), "/graphql");
}

#[test]
fn operations_are_read_where_they_are_said() {
    let cases: [(&str, Asked<'_>, &str); 14] = [
        ("/api/GraphQL", Asked::Query("A"), "/api/GraphQL#A"),
        ("/gql", Asked::Header("A"), "/gql#A"),
        ("/rpc", Asked::Mapped(&["eth_call"]), "/rpc#eth_call"),
        ("/", Asked::Mapped(&["tools/list"]), "/#tools/list"),
        ("/soap", Asked::Mapped(&["\"http://tempuri.org/IShop/Buy\""]), "/soap#Buy"),
        ("/graphql/playground", Asked::Query("A"), "/graphql/playground"),
        ("/search", Asked::Query("A"), "/search"),
        ("/search", Asked::Header("A"), "/search"),
        // A batch, and what is written like a value.
        ("/rpc", Asked::Mapped(&["a", "b"]), "/rpc"),
        ("/graphql", Asked::Query(""), "/graphql"),
        ("/graphql", Asked::Query("b37500b2-a411-43f5-9907-2e7a60344ced"), "/graphql"),
        ("/graphql", Asked::Query("ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"), "/graphql"),
        ("/graphql", Asked::Query("Get{x}"), "/graphql"),
        ("/graphql", Asked::Query("Get#x"), "/graphql"),
    ];
    for (path, asked, expected) in cases {
        let mut service = Service::new(Settings::default());
        assert_eq!(service.sent(path, asked, 30, 4), expected, "{path} {expected}");
    }
}

#[test]
fn what_is_hidden_or_hashed_names_no_operation() {
    let mut service = Service::new(Settings::default());
    for at in 0..40 {
        let line = Line::get("/graphql", at % 4, START_MS + at as i64 * 1000);
        let mut hidden = line.call();
        let pseudonym = Pseudonym { key: KeyId(1), tag: [9; 16] };
        hidden.fields = vec![Field { name: Text::from("operation"), value: FieldValue::Pseudonym(pseudonym, 14) }];
        let mut persisted = line.call();
        let extensions = r#"{"persistedQuery":{"version":1,"sha256Hash":"ecf4edb46db40b5132295c0291d62fb6"}}"#;
        persisted.query = vec![clear("extensions", extensions)];
        for call in [hidden, persisted] {
            service.catalogue.assign(&call);
        }
    }
    assert_eq!(service.templates(), set(&["/graphql"]));
}

#[test]
fn one_actor_alone_makes_no_operation() {
    let mut service = Service::new(Settings::default());
    service.send("/graphql", Asked::Query("GetUser"), 40, 9);
    for at in 0..400 {
        let now_ms = START_MS + (40 + at) * 1000;
        service.catalogue.advance(now_ms);
        let line = Line::get("/graphql", 3, now_ms);
        service.catalogue.assign(&asking(&line, Asked::Query(["Mine", "MineToo"][at as usize % 2])));
    }
    assert_eq!(service.templates(), set(&["/graphql", "/graphql#GetUser"]));
}

#[test]
fn names_that_are_made_up_leave_no_trace_in_the_catalogue() {
    let mut service = Service::new(Settings::default());
    service.send("/graphql", Asked::Query("GetUser"), 40, 9);
    let letters = |mut number: u64| -> String {
        let mut text = String::from("Op");
        for _ in 0..6 {
            text.push(char::from(b'a' + (number % 26) as u8));
            number /= 26;
        }
        text
    };
    service.send("/graphql", Asked::Query("first"), 1, 9);
    service.send("/graphql", Asked::Query("second"), 40, 9);
    let memory = service.catalogue.memory_bytes();
    for number in 0..3000 {
        service.send("/graphql", Asked::Query(&letters(number * 7919)), 1, 9);
    }
    assert_eq!(service.templates(), set(&["/graphql", "/graphql#GetUser", "/graphql#second"]));
    assert!(service.catalogue.memory_bytes() < memory + 4096);
}

#[test]
fn any_number_of_operations_are_no_values() {
    let mut service = Service::new(Settings::default());
    let word = |at: u64| ["User", "Cart", "Item", "Shop", "Page", "Team", "Note"][at as usize % 7];
    for at in 0..49 {
        // Written as values of a path may be.
        let name = format!("get_{}_by_{}", word(at), word(at / 7));
        service.send("/rpc", Asked::Mapped(&[&name]), 8 + at % 3, 4);
    }
    service.catalogue.advance(START_MS + 10_000_000);
    assert_eq!(service.templates().len(), 50, "{:?}", service.templates());
}

#[test]
fn so_many_operations_have_endpoints_and_a_stale_one_makes_room() {
    let settings = Settings { operations_per_endpoint_max: 2, ..Settings::default() };
    let mut service = Service::new(settings);
    for name in ["One", "Two", "Three"] {
        service.send("/graphql", Asked::Query(name), 20, 4);
    }
    assert_eq!(service.templates(), set(&["/graphql", "/graphql#One", "/graphql#Two"]));
    assert_eq!(service.catalogue.counters().operations_per_endpoint_max, 13, "from the eighth call on");
    // Two hours later, `Two` alone was used.
    service.at += 7200;
    service.send("/graphql", Asked::Query("Two"), 1, 4);
    service.send("/graphql", Asked::Query("Three"), 2, 4);
    assert_eq!(service.templates(), set(&["/graphql", "/graphql#Three", "/graphql#Two"]));
}

#[test]
fn an_operation_gives_way_to_one_that_more_actors_ask_for() {
    let settings = Settings { operations_per_endpoint_max: 2, ..Settings::default() };
    let mut service = Service::new(settings);
    service.send("/graphql", Asked::Query("OfMany"), 40, 20);
    service.send("/graphql", Asked::Query("OfFew"), 40, 4);
    // As many calls of as many actors take nobody's place, and many more calls of one actor do not either.
    service.send("/graphql", Asked::Query("OfAsFew"), 40, 4);
    service.send("/graphql", Asked::Query("OfOne"), 400, 1);
    assert_eq!(service.templates(), set(&["/graphql", "/graphql#OfFew", "/graphql#OfMany"]));
    let before = service.catalogue.counters().operations_per_endpoint_max;
    service.send("/graphql", Asked::Query("OfSome"), 40, 9);
    assert_eq!(service.templates(), set(&["/graphql", "/graphql#OfMany", "/graphql#OfSome"]));
    assert_eq!(service.sent("/graphql", Asked::Query("OfFew"), 1, 4), "/graphql");
    assert!(service.catalogue.counters().operations_per_endpoint_max < before + 40, "it has a place soon");
}

#[test]
fn endpoints_that_become_one_keep_the_operations_that_most_actors_ask_for() {
    let settings = Settings { operations_per_endpoint_max: 3, ..Settings::default() };
    let mut service = Service::new(settings);
    let tenants = ["northwind", "contoso", "fabrikam", "tailspin", "adventure", "wingtip"];
    for _ in 0..12 {
        for (at, tenant) in tenants.into_iter().enumerate() {
            for below in ["issues", "pulls", "tags"] {
                service.send(&format!("/orgs/{tenant}/{below}"), Asked::Header("x"), 1, 4);
            }
            // Each has operations of its own beside one that all of them have.
            for (name, actors) in [(format!("Own{}", ["A", "B", "C", "D", "E", "F"][at]), 4), ("All".to_owned(), 16)] {
                service.send(&format!("/orgs/{tenant}/graphql"), Asked::Query(&name), 1, actors);
            }
        }
    }
    service.send("/orgs/contoso/tags", Asked::Header("x"), 200, 4);
    let of_one: Vec<String> =
        service.templates().into_iter().filter(|template| template.starts_with("/orgs/{org_id}/graphql#")).collect();
    assert_eq!(of_one.len(), 3, "{:?}", service.templates());
    assert!(of_one.contains(&"/orgs/{org_id}/graphql#All".to_owned()), "{of_one:?}");
    assert!(service.catalogue.counters().operations_per_endpoint_max >= 4, "seven came together");
}

#[test]
fn no_path_is_an_operation() {
    let mut service = Service::new(Settings::default());
    service.send("/graphql", Asked::Query("GetUser"), 20, 4);
    for path in ["/graphql/%23/GetUser", "/graphql/%23GetUser", "/graphql%23GetUser", "/graphql/#/GetUser"] {
        let template = service.sent(path, Asked::Header("x"), 20, 4);
        assert!(!template.contains('#'), "{path} {template}");
    }
    let calls: u64 =
        service.catalogue.endpoints().filter(|one| one.key.template.contains('#')).map(|one| one.calls).sum();
    assert_eq!(calls, 13);
}

#[test]
fn operations_follow_when_what_is_above_them_becomes_a_value() {
    let mut service = Service::new(Settings::default());
    let tenants = ["northwind", "contoso", "fabrikam", "tailspin", "adventure", "wingtip"];
    for _ in 0..12 {
        for tenant in tenants {
            for below in ["issues", "pulls", "tags"] {
                service.send(&format!("/orgs/{tenant}/{below}"), Asked::Header("x"), 1, 4);
            }
            for name in ["GetUser", "ListUsers"] {
                service.send(&format!("/orgs/{tenant}/graphql"), Asked::Query(name), 1, 4);
            }
        }
    }
    service.send("/orgs/contoso/tags", Asked::Header("x"), 200, 4);
    let expected = [
        "/orgs/{org_id}/graphql",
        "/orgs/{org_id}/graphql#GetUser",
        "/orgs/{org_id}/graphql#ListUsers",
        "/orgs/{org_id}/issues",
        "/orgs/{org_id}/pulls",
        "/orgs/{org_id}/tags",
    ];
    assert_eq!(service.templates(), set(&expected));
}

#[test]
fn operations_can_be_decided_about() {
    let pin = |template: &str| decision(template, TemplateChange::Pin { method: None });
    let ignore = |template: &str| decision(template, TemplateChange::Ignore { method: None });
    let of_document =
        TemplateDecision { origin: DecisionOrigin::Document { name: "Shop".to_owned() }, ..pin("/graphql") };
    let cases: [(TemplateDecision, &[&str]); 6] = [
        // A document writes the path once, whatever is asked of it.
        (of_document, &["/graphql", "/graphql#GetUser"]),
        // One that has no endpoint of its own.
        (ignore("/graphql#Rare"), &["/graphql", "/graphql#GetUser"]),
        // All calls whose path fits are of the pinned template, whatever they ask for.
        (pin("/graphql"), &["/graphql"]),
        (pin("/graphql#Rare"), &["/graphql", "/graphql#GetUser", "/graphql#Rare"]),
        (ignore("/graphql#GetUser"), &["/graphql"]),
        (ignore("/graphql"), &[]),
    ];
    for (decision, expected) in cases {
        let mut service = Service::new(Settings::default());
        service.send("/graphql", Asked::Query("GetUser"), 30, 4);
        let learned = service.templates();
        let calls = |service: &Service| service.catalogue.endpoints().map(|one| one.calls).sum::<u64>();
        service.catalogue.revise(&[], std::slice::from_ref(&decision)).unwrap();
        service.send("/graphql", Asked::Query("GetUser"), 3, 4);
        service.send("/graphql", Asked::Query("Rare"), 3, 4);
        assert_eq!(service.templates(), set(expected), "{decision:?}");
        if matches!(decision.change, TemplateChange::Pin { .. }) {
            assert_eq!(calls(&service), 36, "{decision:?}");
        }
        let restored = Catalogue::restore(Settings::default(), &service.catalogue.snapshot()).unwrap();
        assert_eq!(restored.snapshot(), service.catalogue.snapshot());
        service.catalogue.revise(&[decision.id()], &[]).unwrap();
        assert_eq!(service.templates(), learned, "{decision:?}");
        assert_eq!(calls(&service), 36, "{decision:?}");
    }
    let mut catalogue = Catalogue::new(Settings::default());
    for template in ["/graphql#", "/graphql#{name}", "/graphql#7"] {
        assert!(catalogue.revise(&[], &[pin(template)]).is_err(), "{template}");
    }
    let split = decision("/x/{id}", TemplateChange::Split { value: "a#b".to_owned() });
    assert!(catalogue.revise(&[], &[split]).is_err(), "it would read as an operation");
}

/// Each endpoint of the service with what it carries.
fn carried(service: &Service, calls: &[ApiCall<'_>]) -> Vec<(Endpoint, EndpointInventory)> {
    let mut inventory = Inventory::new(InventorySettings::default());
    for call in calls {
        inventory.advance(call.event_ms);
        let id = service.catalogue.lookup_call(call).unwrap();
        let endpoint = service.catalogue.endpoint(id).unwrap();
        inventory.observe(call, id, &endpoint.key.template, CheckedBy::NotRead);
    }
    inventory.advance(START_MS + 10_000_000);
    let seen: BTreeMap<EndpointId, EndpointInventory> =
        inventory.drain_changes().into_iter().map(|one| (one.endpoint, one)).collect();
    let known =
        service.catalogue.endpoints().filter_map(|endpoint| Some((endpoint.clone(), seen.get(&endpoint.id)?.clone())));
    known.collect()
}

#[test]
fn a_document_has_the_path_once_with_its_operations() {
    let mut service = Service::new(Settings::default());
    for name in ["GetUser", "AddUser"] {
        service.send("/shops/7/graphql", Asked::Query(name), 20, 4);
    }
    let line = Line::get("/shops/9/graphql", 1, START_MS);
    let mut calls = vec![line.call()];
    for name in ["GetUser", "AddUser"] {
        calls.extend((0..10).map(|_| asking(&line, Asked::Query(name))));
    }
    let service = carried(&service, &calls);
    assert_eq!(service.len(), 3);
    let of_user = service.iter().find(|(endpoint, _)| endpoint.key.template.ends_with("#GetUser")).unwrap();
    assert!(of_user.1.parameters.iter().any(|one| one.name == "shop_id"), "{:?}", of_user.1.parameters);
    let text = export(&ExportInfo { title: "s".to_owned(), version: "1".to_owned(), servers: vec![] }, &service);
    let written: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written["paths"].as_object().unwrap().keys().collect::<Vec<_>>(), ["/shops/{shop_id}/graphql"]);
    let operation = &written["paths"]["/shops/{shop_id}/graphql"]["get"];
    assert_eq!(operation["x-outrider-operations"], serde_json::json!(["AddUser", "GetUser"]));
    assert_eq!(operation["x-outrider-endpoints"].as_array().unwrap().len(), 3);
    // It is all that is documented, and what was called is documented by it.
    let document = Document::read(text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(drift(Some(&document), None, &service), []);
}

#[test]
fn a_restored_catalogue_goes_on_with_operations() {
    let mut whole = Service::new(Settings::default());
    whole.send("/graphql", Asked::Query("GetUser"), 5, 4);
    let mut parts =
        Service { catalogue: Catalogue::restore(Settings::default(), &whole.catalogue.snapshot()).unwrap(), at: 5 };
    for service in [&mut whole, &mut parts] {
        service.send("/graphql", Asked::Query("GetUser"), 5, 4);
        service.send("/graphql", Asked::Query("AddUser"), 15, 4);
        service.catalogue.advance(START_MS + 300_000);
    }
    assert_eq!(whole.catalogue.snapshot(), parts.catalogue.snapshot());
    assert_eq!(whole.templates(), set(&["/graphql", "/graphql#GetUser", "/graphql#AddUser"]));
}
