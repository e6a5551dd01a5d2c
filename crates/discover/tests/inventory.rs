//! What is learned of endpoints, what is shown of it, and what it may cost.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use std::collections::BTreeMap;

use outrider_discover::inventory::{
    AuthKind, CheckedBy, EndpointInventory, Format, Inventory, Location, Mark, MediaTypeCount, NamedCount,
    ParameterInventory, RouteNames, Settings, SnapshotError, ValueKind, ValueType, csv, rows,
};
use outrider_model::{
    ApiCall, ClassLocation, ClassSeen, Endpoint, EndpointId, EndpointKey, Field, FieldValue, KeyId, Latency, Named,
    Pseudonym, Sign, Text, Trust,
};
use proptest::prelude::*;
use support::Line;

const START_MS: i64 = 1_767_571_200_000;
const ID: EndpointId = EndpointId(7);
const TEMPLATE: &str = "/v1/orders/{order_id}";

/// What a call of the tests adds to a line: fields `where.name=value`, where `-` is no value.
fn with_fields<'a>(line: &'a Line, fields: &[(Location, &'a str, &'a str)]) -> ApiCall<'a> {
    let mut call = line.call();
    call.query.clear();
    for &(location, name, value) in fields {
        let value = if value == "-" { FieldValue::Flag } else { FieldValue::Clear(Text::from(value)) };
        let list = match location {
            Location::Header => &mut call.headers,
            Location::Field => &mut call.fields,
            _ => &mut call.query,
        };
        list.push(Field { name: Text::from(name), value });
    }
    call
}

fn pseudonym(number: u8) -> Pseudonym {
    Pseudonym { key: KeyId(1), tag: [number; 16] }
}

fn parameter<'a>(seen: &'a EndpointInventory, name: &str) -> &'a ParameterInventory {
    seen.parameters
        .iter()
        .find(|parameter| parameter.name == name)
        .unwrap_or_else(|| panic!("no `{name}` in {seen:#?}"))
}

#[test]
fn an_endpoint_is_described() {
    let mut inventory = Inventory::new(Settings::default());
    for at in 0..100u64 {
        let mut line = Line::get(&format!("/v1/orders/{at}"), at % 5, START_MS + at as i64);
        line.status = if at == 99 { 409 } else { 200 };
        let limit = (at * 10).to_string();
        let mut fields = vec![(Location::Query, "sort", ["asc", "desc"][at as usize % 2])];
        if at < 34 {
            fields.push((Location::Query, "limit", limit.as_str()));
        }
        fields.push((Location::Query, "tag[0]", "a"));
        fields.push((Location::Header, "x-tenant", "north"));
        fields.push((Location::Header, "user-agent", "curl"));
        fields.push((Location::Field, "since", "2026-01-31"));
        fields.push((Location::Query, "debug", "-"));
        let mut call = with_fields(&line, &fields);
        call.response_type = Text::from("application/json; charset=utf-8");
        call.response_bytes = 1000 + at;
        call.latency = Latency { total_ms: at as i32, gateway_ms: 0, upstream_ms: 0 };
        call.route = Some(Named { id: Text::from("r1"), name: Text::EMPTY });
        inventory.observe(&call, ID, TEMPLATE, CheckedBy::Plugin("key-auth"));
    }
    let mut refused = Line::get("/v1/orders/7", 1, START_MS + 200);
    refused.status = 404;
    inventory.observe(&with_fields(&refused, &[(Location::Query, "evil", "1")]), ID, TEMPLATE, CheckedBy::NotRead);
    let seen = inventory.endpoint(ID).unwrap();
    assert_eq!((seen.calls, seen.known, seen.read, seen.read_ok), (101, 100, 100, 99));
    assert_eq!((seen.first_seen_ms, seen.last_seen_ms), (Some(START_MS), Some(START_MS + 99)));
    let statuses: Vec<_> = seen.statuses.iter().map(|seen| (seen.status, seen.calls)).collect();
    assert_eq!(statuses, [(200, 99), (404, 1), (409, 1)]);
    assert_eq!((seen.auth.len(), seen.auth[0].kind, seen.auth[0].calls_ok), (1, AuthKind::Key, 99));
    assert_eq!((seen.consumers, seen.versions.as_slice()), (5, ["v1".to_owned()].as_slice()));
    assert_eq!((seen.media_types[0].name.as_str(), seen.routes[0].name.as_str()), ("application/json", "r1"));
    let latency = seen.latency_ms.unwrap();
    assert!((latency.p50.abs_diff(49) <= 2) && latency.max == 99, "{latency:?}");

    let names: Vec<_> = seen.parameters.iter().map(|seen| (seen.location.as_str(), seen.name.as_str())).collect();
    let expected = [
        ("path", "order_id"),
        ("query", "debug"),
        ("query", "limit"),
        ("query", "sort"),
        ("query", "tag[]"),
        ("header", "x-tenant"),
        ("field", "since"),
    ];
    assert_eq!(names, expected);
    let limit = parameter(&seen, "limit");
    assert_eq!((limit.calls, limit.value_type, limit.range.unwrap().most), (34, ValueType::Integer, 330));
    let sort = parameter(&seen, "sort");
    assert_eq!((sort.values.as_slice(), sort.values_are_all), (["asc".to_owned(), "desc".to_owned()].as_slice(), true));
    assert_eq!(parameter(&seen, "order_id").value_type, ValueType::Integer);
    assert_eq!(parameter(&seen, "since").format, Some(Format::Date));
    assert_eq!(parameter(&seen, "debug").value_type, ValueType::Boolean);
}

#[test]
fn what_could_be_somebodys_is_not_shown() {
    let mut inventory = Inventory::new(Settings::default());
    for at in 0..60u64 {
        let line = Line::get("/v1/orders/7", at % 5, START_MS + at as i64);
        let cities = ["ulm", "bonn", "kiel"];
        let mut call = with_fields(
            &line,
            &[
                // Few values and many callers, but named for a person.
                (Location::Query, "username", cities[at as usize % 3]),
                // One of them comes from one caller alone.
                (Location::Query, "city", if at == 30 { "nowhere" } else { cities[at as usize % 3] }),
                (Location::Query, "note", if at == 5 { "call ann" } else { "none" }),
                (Location::Query, "of", "ps_001f_07070707070707070707070707070707"),
                (Location::Query, "ann@example.com", "-"),
            ],
        );
        call.query.push(Field { name: Text::from("mail"), value: FieldValue::Pseudonym(pseudonym(3), 20) });
        call.query.push(Field { name: Text::from("apikey"), value: FieldValue::Pseudonym(pseudonym(4), 32) });
        call.presented_credential = Some(pseudonym(4));
        inventory.observe(&call, ID, TEMPLATE, CheckedBy::NotRead);
    }
    let seen = inventory.endpoint(ID).unwrap();
    assert!(parameter(&seen, "username").values.is_empty());
    let city = parameter(&seen, "city");
    assert_eq!((city.values.join(","), city.values_are_all), ("bonn,kiel,ulm".to_owned(), false));
    assert!(parameter(&seen, "note").values.is_empty());
    assert_eq!(parameter(&seen, "of").format, Some(Format::Pseudonym));
    assert_eq!(parameter(&seen, "mail").format, Some(Format::Email));
    assert!(!seen.parameters.iter().any(|seen| seen.name.contains('@') || seen.name == "apikey"), "{seen:#?}");
    assert_eq!(inventory.counters().personal_names, 60);
    assert_eq!((seen.auth[0].kind, seen.key_carrier.as_ref().unwrap().name.as_str()), (AuthKind::Key, "apikey"));
    // What is not shown is not kept either.
    let bytes = inventory.snapshot();
    for gone in ["call ann", "ann@example.com"] {
        assert!(!bytes.windows(gone.len()).any(|window| window == gone.as_bytes()), "{gone}");
    }
}

#[test]
fn a_masked_field_is_no_key_unless_it_is_called_like_one() {
    for (name, is_key) in [("email", false), ("x-api-key", true)] {
        let mut inventory = Inventory::new(Settings::default());
        for at in 0..5 {
            let line = Line::get("/v1/orders/7", at, START_MS);
            let mut call = with_fields(&line, &[]);
            call.query.push(Field { name: Text::from(name), value: FieldValue::Redacted });
            inventory.observe(&call, ID, TEMPLATE, CheckedBy::NotRead);
        }
        let seen = inventory.endpoint(ID).unwrap();
        assert_eq!(seen.key_carrier.is_some(), is_key, "{name}");
        let told = seen.parameters.iter().find(|known| known.name == name).map(|known| known.kinds[0].kind);
        assert_eq!(told, (!is_key).then_some(ValueKind::Hidden), "{name}");
    }
}

#[test]
fn a_key_is_found_where_it_is_sent() {
    for (location, name) in [(Location::Header, "apikey"), (Location::Header, "x-api-key"), (Location::Query, "apikey")]
    {
        let mut inventory = Inventory::new(Settings::default());
        for at in 0..5 {
            let line = Line::get("/v1/orders/7", at, START_MS);
            let mut call = with_fields(&line, &[(Location::Header, "user-agent", "curl")]);
            let key = Field { name: Text::from(name), value: FieldValue::Pseudonym(pseudonym(4), 32) };
            if location == Location::Header {
                call.headers.push(key)
            } else {
                call.query.push(key)
            }
            call.presented_credential = Some(pseudonym(4));
            inventory.observe(&call, ID, TEMPLATE, CheckedBy::Plugin("key-auth"));
        }
        let seen = inventory.endpoint(ID).unwrap();
        let carrier = seen.key_carrier.as_ref().map(|carrier| (carrier.location, carrier.name.as_str()));
        assert_eq!(carrier, Some((location, name)));
        assert!(seen.parameters.iter().all(|seen| seen.location == Location::Path), "{seen:#?}");
    }
}

#[test]
fn a_call_counts_once_however_often_it_has_a_parameter() {
    let mut inventory = Inventory::new(Settings::default());
    for at in 0..10u64 {
        let line = Line::get("/v1/orders/7", at, START_MS);
        let mut fields = vec![(Location::Query, "tag[0]", "a"), (Location::Query, "sort", "a")];
        if at < 3 {
            fields.extend(["tag[1]", "tag[2]", "tag[3]", "sort", "sort"].map(|name| (Location::Query, name, "b")));
        }
        inventory.observe(&with_fields(&line, &fields), ID, TEMPLATE, CheckedBy::NotRead);
    }
    let seen = inventory.endpoint(ID).unwrap();
    for name in ["tag[]", "sort"] {
        let told = parameter(&seen, name);
        assert_eq!((told.calls, told.calls_ok, told.repeated), (10, 10, 3), "{name}");
    }
}

#[test]
fn names_that_are_never_kept_make_no_call_be_read() {
    let settings = Settings { read_calls: 16, read_every: 1000, parameters_per_endpoint_max: 4, ..Settings::default() };
    let long = "n".repeat(100);
    let full: Vec<String> = (0..4).map(|at| format!("p{at}")).collect();
    for name in [long.as_str(), "ann@example.com", "one-more"] {
        let mut inventory = Inventory::new(settings.clone());
        for at in 0..100u64 {
            let line = Line::get("/v1/orders", at, START_MS);
            let mut fields: Vec<_> = full.iter().map(|name| (Location::Query, name.as_str(), "1")).collect();
            // Not while what comes often is still weak, and makes room.
            if at >= 16 {
                fields.push((Location::Query, name, "1"));
            }
            inventory.observe(&with_fields(&line, &fields), ID, "/v1/orders", CheckedBy::NotRead);
        }
        assert_eq!(inventory.endpoint(ID).unwrap().read, 16, "{name}");
    }
}

#[test]
fn only_evidence_counts() {
    let mut inventory = Inventory::new(Settings::default());
    let line = Line::get("/v1/orders/7", 1, START_MS);
    let untrusted = ApiCall { trust: Trust::Untrusted, ..line.call() };
    let own = ApiCall { own_refusal: Some(Text::from("i")), ..line.call() };
    inventory.observe(&untrusted, ID, TEMPLATE, CheckedBy::NotRead);
    inventory.observe(&own, ID, TEMPLATE, CheckedBy::NotRead);
    assert!(inventory.is_empty());
}

#[test]
fn authentication_is_told_as_far_as_it_shows() {
    use CheckedBy::{NotRead, Plugin, Untold};
    let line = Line::get("/v1/orders/7", 1, START_MS);
    let bare = ApiCall { consumer: None, credential_id: None, ..line.call() };
    let header = |value| vec![Field { name: Text::from("authorization"), value }];
    let presented = Some(pseudonym(1));
    let cases = [
        (bare.clone(), NotRead, AuthKind::None),
        (ApiCall { session: Some(pseudonym(2)), ..bare.clone() }, NotRead, AuthKind::Session),
        (ApiCall { presented_credential: presented, ..bare.clone() }, NotRead, AuthKind::Key),
        (
            ApiCall {
                presented_credential: presented,
                headers: header(FieldValue::Pseudonym(pseudonym(1), 9)),
                ..bare.clone()
            },
            NotRead,
            AuthKind::Authorization,
        ),
        (ApiCall { headers: header(FieldValue::Redacted), ..bare.clone() }, NotRead, AuthKind::Authorization),
        (line.call(), NotRead, AuthKind::Consumer),
        (line.call(), Plugin("jwt"), AuthKind::Jwt),
        (line.call(), Plugin("my-own-plugin"), AuthKind::Consumer),
        // Which of several plugins has checked a header is not told, and which of them checks a field of its own is no question.
        (line.call(), Untold, AuthKind::Unknown),
        (ApiCall { headers: header(FieldValue::Redacted), ..line.call() }, NotRead, AuthKind::Authorization),
        (ApiCall { headers: header(FieldValue::Redacted), ..line.call() }, Untold, AuthKind::Unknown),
        (ApiCall { presented_credential: presented, ..line.call() }, Untold, AuthKind::Key),
        // The gateway has checked nothing here.
        (ApiCall { headers: header(FieldValue::Redacted), ..bare.clone() }, Untold, AuthKind::Authorization),
        // A plugin that let an anonymous caller through proves nothing, and no more does what it did not take.
        (bare.clone(), Plugin("jwt"), AuthKind::None),
        (
            ApiCall { anonymous_consumer: true, presented_credential: presented, ..bare.clone() },
            NotRead,
            AuthKind::None,
        ),
        (
            ApiCall { anonymous_consumer: true, headers: header(FieldValue::Redacted), ..bare.clone() },
            NotRead,
            AuthKind::None,
        ),
        (
            ApiCall { anonymous_consumer: true, presented_credential: presented, session: Some(pseudonym(2)), ..bare },
            NotRead,
            AuthKind::Session,
        ),
    ];
    for (call, checked_by, expected) in cases {
        let mut inventory = Inventory::new(Settings::default());
        inventory.observe(&call, ID, TEMPLATE, checked_by);
        assert_eq!(inventory.endpoint(ID).unwrap().auth[0].kind, expected, "{checked_by:?}");
    }
}

#[test]
fn later_calls_are_read_in_part_and_a_new_parameter_is_still_found() {
    let settings = Settings { read_calls: 64, read_every: 16, ..Settings::default() };
    let mut inventory = Inventory::new(settings);
    for at in 0..1064u64 {
        let line = Line::get("/v1/orders/7", at % 5, START_MS + at as i64);
        let mut fields = vec![(Location::Query, "page", "1")];
        if at == 1001 {
            fields.push((Location::Query, "admin", "true"));
        }
        inventory.observe(&with_fields(&line, &fields), ID, TEMPLATE, CheckedBy::NotRead);
    }
    let seen = inventory.endpoint(ID).unwrap();
    assert_eq!(seen.known, 1064);
    assert!((64 + 62..=64 + 64).contains(&seen.read), "{}", seen.read);
    assert_eq!(parameter(&seen, "page").calls, seen.read);
    for at in 0..2 {
        let line = Line::get("/v1/orders/7", 1, START_MS + 2000 + at);
        inventory.observe(&with_fields(&line, &[(Location::Query, "admin", "true")]), ID, TEMPLATE, CheckedBy::NotRead);
    }
    assert_eq!(parameter(&inventory.endpoint(ID).unwrap(), "admin").calls, 3);
}

#[test]
fn one_caller_cannot_fill_the_parameters() {
    let mut inventory = Inventory::new(Settings::default());
    let names: Vec<String> = (0..500).map(|at| format!("n{at}")).collect();
    for name in &names {
        for _ in 0..4 {
            let line = Line::get("/v1/orders/7", 666, START_MS);
            inventory.observe(&with_fields(&line, &[(Location::Query, name, "1")]), ID, TEMPLATE, CheckedBy::NotRead);
        }
    }
    for actor in 0..4 {
        let line = Line::get("/v1/orders/7", actor, START_MS);
        inventory.observe(&with_fields(&line, &[(Location::Query, "limit", "1")]), ID, TEMPLATE, CheckedBy::NotRead);
    }
    let seen = inventory.endpoint(ID).unwrap();
    assert_eq!(parameter(&seen, "limit").calls, 3);
    assert!(seen.parameters.len() <= Settings::default().parameters_per_endpoint_max);
    assert!(inventory.counters().parameters_per_endpoint_max > 400);
}

/// Calls that are made up to fill memory.
fn flood(inventory: &mut Inventory, from: u64, calls: u64) {
    for at in from..from + calls {
        let now_ms = START_MS + at as i64 * 5;
        inventory.advance(now_ms);
        let name = format!("p{}", at % 97);
        let value = format!("v{}", at % 13);
        let line = Line::get("/v1/orders/7", at % 1000, now_ms);
        let mut call = with_fields(&line, &[(Location::Query, &name, &value)]);
        call.response_bytes = at * 7919;
        let endpoint = EndpointId(at.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 100_000);
        inventory.observe(&call, endpoint, TEMPLATE, CheckedBy::NotRead);
    }
}

#[test]
fn memory_is_flat_and_the_stale_make_room() {
    let settings = Settings { endpoints_max: 2000, bytes_max: 2 << 20, ..Settings::default() };
    let mut inventory = Inventory::new(settings.clone());
    for round in 0..10 {
        flood(&mut inventory, round * 20_000, 20_000);
        assert!(inventory.memory_bytes() < settings.bytes_max * 5 / 4, "{} in {round}", inventory.memory_bytes());
        assert!(inventory.len() <= settings.endpoints_max);
    }
    let counters = inventory.counters();
    assert!(counters.endpoints_forgotten > 1000 && counters.endpoints_max > 0, "{counters:?}");
    let kept = inventory.snapshot();
    let line = Line::get("/v1/orders/7", 1, START_MS + 2_000_000);
    inventory.advance(START_MS + 2_000_000);
    inventory.observe(&line.call(), EndpointId(u64::MAX), TEMPLATE, CheckedBy::NotRead);
    assert!(inventory.endpoint(EndpointId(u64::MAX)).is_some(), "{} bytes", kept.len());
}

#[test]
fn a_restored_inventory_goes_on_alike() {
    let settings = Settings { endpoints_max: 500, bytes_max: 1 << 20, ..Settings::default() };
    let mut one = Inventory::new(settings.clone());
    flood(&mut one, 0, 30_000);
    let mut other = Inventory::restore(settings.clone(), &one.snapshot()).unwrap();
    assert_eq!(one.snapshot(), other.snapshot());
    for inventory in [&mut one, &mut other] {
        inventory.drain_changes();
        inventory.advance(START_MS + 200_000);
    }
    let drained = one.drain_changes();
    assert!(drained.len() > 100 && drained == other.drain_changes(), "{}", drained.len());
    flood(&mut one, 30_000, 30_000);
    flood(&mut other, 30_000, 30_000);
    assert_eq!(one.snapshot(), other.snapshot());
    assert_eq!(one.drain_changes(), other.drain_changes());
    for (bytes, expected) in [
        (&[][..], SnapshotError::Damaged),
        (&[9, 1, 2], SnapshotError::Version { found: 9 }),
        (&one.snapshot()[..40], SnapshotError::Damaged),
    ] {
        assert_eq!(Inventory::restore(settings.clone(), bytes).unwrap_err(), expected);
    }
}

#[test]
fn what_is_new_is_drained_at_once_and_mere_calls_now_and_then() {
    let mut inventory = Inventory::new(Settings::default());
    let call = |inventory: &mut Inventory, minute: i64, fields: &[(Location, &'static str, &'static str)]| {
        let line = Line::get("/v1/orders/7", 1, START_MS + minute * 60_000);
        inventory.advance(line.at_ms);
        inventory.observe(&with_fields(&line, fields), ID, TEMPLATE, CheckedBy::NotRead);
    };
    let mut drained = Vec::new();
    for minute in 0..20 {
        let fields: &[_] = if minute >= 14 { &[(Location::Query, "new", "1")] } else { &[] };
        call(&mut inventory, minute, fields);
        if !inventory.drain_changes().is_empty() {
            drained.push(minute);
        }
    }
    // Told after its 1st, 2nd, 4th, 8th and 16th call, the 3rd with a parameter in the path, the 1st and 3rd with `new`, and
    // five minutes after the last time.
    assert_eq!(drained, [1, 2, 3, 4, 8, 13, 15, 16, 17]);
    assert!(inventory.drain_changes().is_empty());
}

#[test]
fn a_template_that_changes_renames_its_parameters() {
    let mut inventory = Inventory::new(Settings::default());
    for at in 0..10 {
        let line = Line::get("/v1/orders/7", at, START_MS);
        let template = if at < 5 { TEMPLATE } else { "/v1/orders/{id}" };
        inventory.observe(&with_fields(&line, &[]), ID, template, CheckedBy::NotRead);
    }
    let seen = inventory.endpoint(ID).unwrap();
    assert_eq!(seen.parameters.iter().map(|seen| (seen.name.as_str(), seen.calls)).collect::<Vec<_>>(), [("id", 5)]);
}

#[derive(Debug, Clone)]
struct Seen {
    actor: u64,
    status: u16,
    name: u8,
    value: String,
    bytes: u64,
}

fn seen() -> impl Strategy<Value = Vec<Seen>> {
    let value = prop_oneof!["[a-c]{1,2}", "[0-9]{1,6}", Just("true".to_owned()), "[ -~]{0,40}"];
    let one = (0u64..9, prop::sample::select(vec![200u16, 201, 404, 409, 500]), 0u8..12, value, any::<u64>())
        .prop_map(|(actor, status, name, value, bytes)| Seen { actor, status, name, value, bytes });
    prop::collection::vec(one, 0..60)
}

fn observe_all(inventory: &mut Inventory, endpoint: EndpointId, calls: &[Seen]) {
    for (at, seen) in calls.iter().enumerate() {
        let mut line = Line::get("/v1/orders/7", seen.actor, START_MS + at as i64);
        line.status = seen.status;
        let name = format!("p{}", seen.name);
        let mut call = with_fields(&line, &[(Location::Query, &name, &seen.value)]);
        call.response_bytes = seen.bytes;
        inventory.observe(&call, endpoint, TEMPLATE, CheckedBy::NotRead);
    }
}

proptest! {
    #[test]
    fn merging_adds_up_and_who_was_first_takes_no_part(one in seen(), other in seen(), limit in 4usize..64) {
        let settings = Settings { parameters_per_endpoint_max: limit, ..Settings::default() };
        let merged = |from: u64, into: u64| {
            let mut inventory = Inventory::new(settings.clone());
            observe_all(&mut inventory, EndpointId(1), &one);
            observe_all(&mut inventory, EndpointId(2), &other);
            inventory.merge(EndpointId(from), EndpointId(into));
            inventory.advance(START_MS);
            let drained = inventory.drain_changes();
            let copy = Inventory::restore(settings.clone(), &inventory.snapshot()).unwrap();
            assert_eq!(copy.memory_bytes().abs_diff(inventory.memory_bytes()) / 4096, 0);
            (inventory.endpoint(EndpointId(into)), drained.len())
        };
        let (ab, ba) = (merged(1, 2), merged(2, 1));
        let (Some(mut ab), Some(mut ba)) = (ab.0, ba.0) else {
            prop_assert!(one.is_empty() && other.is_empty() || one.is_empty() != other.is_empty());
            return Ok(());
        };
        ab.endpoint = ID;
        ba.endpoint = ID;
        prop_assert_eq!(&ab, &ba);
        prop_assert_eq!(ab.calls, (one.len() + other.len()) as u64);
        prop_assert!(ab.parameters.len() <= limit);
        // Without a limit in the way it is what one endpoint would have seen.
        if limit > 12 {
            let mut together = Inventory::new(settings);
            observe_all(&mut together, ID, &one);
            observe_all(&mut together, ID, &other);
            let mut together = together.endpoint(ID);
            // How the calls of two endpoints lay among each other is not known, so fewer may have come since.
            for (sign, other) in ab.signs.iter_mut().zip(together.iter_mut().flat_map(|seen| &mut seen.signs)) {
                prop_assert!(sign.calls_since <= other.calls_since && sign.known_since <= other.known_since);
                (sign.calls_since, sign.known_since) = (other.calls_since, other.known_since);
            }
            let classes = together.iter().flat_map(|seen| &seen.data_classes);
            for (count, other) in ab.data_classes.iter_mut().zip(classes) {
                prop_assert!(count.calls_since <= other.calls_since);
                count.calls_since = other.calls_since;
            }
            prop_assert_eq!(together, Some(ab));
        }
    }
}

#[test]
fn a_merge_in_the_catalogue_is_followed() {
    let mut inventory = Inventory::new(Settings::default());
    let line = Line::get("/v1/orders/7", 1, START_MS);
    for id in [1, 2] {
        inventory.observe(&line.call(), EndpointId(id), TEMPLATE, CheckedBy::NotRead);
    }
    let resolve = |id: EndpointId| if id == EndpointId(2) { EndpointId(1) } else { id };
    // Said again it changes nothing.
    for _ in 0..2 {
        inventory.follow_merges(resolve);
        assert_eq!((inventory.len(), inventory.endpoint(EndpointId(1)).unwrap().calls), (1, 2));
    }
    // Merged into one that was never called itself, it is still told of when it is called.
    inventory.follow_merges(|_| EndpointId(9));
    for minute in [1, 7] {
        let line = Line::get("/v1/orders/7", 1, START_MS + minute * 60_000);
        inventory.advance(line.at_ms);
        inventory.drain_changes();
        inventory.observe(&line.call(), EndpointId(9), TEMPLATE, CheckedBy::NotRead);
        inventory.advance(line.at_ms + 360_000);
        let told: Vec<EndpointId> = inventory.drain_changes().iter().map(|seen| seen.endpoint).collect();
        assert_eq!(told, [EndpointId(9)], "minute {minute}");
    }
}

fn endpoint(id: EndpointId, template: &str) -> Endpoint {
    Endpoint {
        id,
        key: EndpointKey {
            gateway: "kong".to_owned(),
            workspace: "default".to_owned(),
            service: "svc".to_owned(),
            method: "GET".to_owned(),
            template: template.to_owned(),
        },
        service_name: "=cmd|' /C calc'!A0".to_owned(),
        provisional: false,
        merged_into: None,
        explanation: String::new(),
        calls: 1,
        first_seen_ms: START_MS,
        last_seen_ms: START_MS,
        confidence: 0.9,
        observations: 20,
        ignored: false,
    }
}

#[test]
fn rows_are_in_order_and_no_cell_is_a_formula() {
    let mut inventory = Inventory::new(Settings::default());
    let line = Line::get("/v1/orders/7", 1, START_MS);
    let by_route = Some(Named { id: Text::from("r1"), name: Text::EMPTY });
    for id in [1, 2, 2, 2, 2] {
        let call = ApiCall { route: by_route.clone(), ..line.call() };
        inventory.observe(&call, EndpointId(id), TEMPLATE, CheckedBy::NotRead);
    }
    let mut list = [(2, "/b,\"c\""), (1, "/a")]
        .map(|(id, template)| (endpoint(EndpointId(id), template), inventory.endpoint(EndpointId(id)).unwrap()));
    let names = RouteNames::from([("kong".to_owned(), BTreeMap::from([("r1".to_owned(), "=orders".to_owned())]))]);
    list[0].1.routes.push(NamedCount { name: "r2".to_owned(), calls: 3 });
    list[0].1.media_types = [("application/json", 1), ("text/csv", 3)]
        .map(|(name, measured)| MediaTypeCount { name: name.to_owned(), measured })
        .to_vec();
    let rows = rows(&list, &names);
    let csv = csv(&rows).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("endpoint,gateway,workspace,service,service_name,method,template,"), "{}", lines[0]);
    assert!(lines[1].contains(",'=cmd|' /C calc'!A0,GET,/a,"), "{}", lines[1]);
    assert!(lines[2].contains(",\"/b,\"\"c\"\"\","), "{}", lines[2]);
    assert!(lines[1].ends_with(",'=orders 1"), "{}", lines[1]);
    assert_eq!(serde_json::to_value(&rows[0]).unwrap()["auth"], "consumer 1");
    // By name where that is known, and media types by their share, because few calls are measured.
    assert_eq!(
        (rows[1].routes.as_str(), rows[1].media_types.as_str()),
        ("=orders 4; r2 3", "application/json 25 %; text/csv 75 %")
    );
    assert_eq!(rows[1].parameters, "path order_id integer; query q boolean 100 %");
}

#[test]
fn what_calls_show_is_counted_with_what_came_since() {
    let mut inventory = Inventory::new(Settings::default());
    for at in 0..60u64 {
        let mut line = Line::get("/v1/orders/7", at % 5, START_MS + at as i64);
        line.status = if at >= 50 { 403 } else { 200 };
        line.consumer = line.consumer.filter(|_| at != 20);
        let mut call = with_fields(&line, &[]);
        let sign = if at < 30 { Sign::PlainHttp } else { Sign::Https };
        call.exposure.signs.insert(sign);
        call.exposure.jwt_lifetime_s = Some(600 + at as u32 % 7);
        inventory.observe(&call, ID, TEMPLATE, CheckedBy::NotRead);
    }
    let seen = inventory.endpoint(ID).unwrap();
    let plain = seen.sign(Sign::PlainHttp).unwrap();
    assert_eq!((plain.calls, plain.last_seen_ms - START_MS, plain.calls_since, plain.known_since), (30, 29, 30, 20));
    assert_eq!(seen.sign(Sign::Https).map(|count| (count.calls, count.calls_since)), Some((20, 10)));
    assert_eq!(seen.mark(Mark::UnauthenticatedOk).map(|count| (count.calls, count.known_since)), Some((1, 29)));
    assert_eq!(seen.mark(Mark::AuthenticatedOk).unwrap().calls, 49);
    assert_eq!((seen.sign(Sign::OldTls), seen.mark(Mark::CredentialInQuery)), (None, None));
    assert_eq!(seen.jwt_lifetime_s, Some(606));
}

#[test]
fn classes_of_data_stand_on_enough_values() {
    let mut inventory = Inventory::new(Settings { senders_per_class_max: 2, ..Settings::default() });
    for at in 0..100u64 {
        let line = Line::get("/v1/orders/7", at % 5, START_MS + at as i64);
        let mut call = with_fields(&line, &[(Location::Query, "born", "1980-02-03"), (Location::Query, "page", "2")]);
        for name in ["mail", "ref", "one"] {
            let number = if name == "one" { 1 } else { at as u8 };
            call.query.push(Field { name: Text::from(name), value: FieldValue::Pseudonym(pseudonym(number), 20) });
        }
        let seen =
            |at: u16, class: &'static str| ClassSeen { location: ClassLocation::Query, at, class: Text::from(class) };
        call.exposure.classes = vec![seen(2, "email"), seen(4, "email")];
        // One in ten references passes for the number of a card.
        if at % 10 == 0 {
            call.exposure.classes.push(seen(3, "payment_card"));
        }
        inventory.observe(&call, ID, TEMPLATE, CheckedBy::NotRead);
    }
    let seen = inventory.endpoint(ID).unwrap();
    let class =
        |name: &str, class: &str| seen.data_classes.iter().find(|count| count.name == name && count.class == class);
    let mail = class("mail", "email").unwrap();
    assert_eq!((mail.values, mail.of, mail.replaced, mail.is_decided), (100, 100, 100, true));
    // Always the same value, and too few of them.
    assert_eq!(class("one", "email").map(|count| (count.distinct, count.is_decided)), Some((1, false)));
    assert_eq!(class("ref", "payment_card").map(|count| (count.values, count.is_decided)), Some((10, false)));
    assert_eq!(class("page", "email"), None);
    let senders: Vec<_> = seen.class_senders.iter().filter(|sender| sender.class == "email").collect();
    assert_eq!(senders.len(), 2, "{senders:?}");
    let consumer = senders[0].consumer.clone();
    inventory.forget_consumer(&consumer);
    let bytes = inventory.snapshot();
    assert!(!bytes.windows(consumer.len()).any(|window| window == consumer.as_bytes()));
}

#[test]
fn a_snapshot_of_the_first_version_is_read() {
    let settings = Settings { endpoints_max: 500, bytes_max: 1 << 20, ..Settings::default() };
    let mut inventory = Inventory::restore(settings.clone(), include_bytes!("data/inventory_v1.bin")).unwrap();
    assert_eq!(inventory.len(), 60);
    let drained = inventory.drain_changes();
    assert!(drained.len() == 60 && drained.iter().all(|seen| seen.signs.is_empty() && seen.calls > 0));
    flood(&mut inventory, 60, 60);
    let restored = Inventory::restore(settings, &inventory.snapshot()).unwrap();
    assert_eq!(restored.snapshot(), inventory.snapshot());
}
