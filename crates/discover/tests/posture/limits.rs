//! What is kept is bounded, and what happens at each limit.

use outrider_discover::posture::{ENDPOINTS_MAX, Posture, Settings, WeaknessState};
use outrider_model::{
    Endpoint, EntityKind, GatewayConfiguration, GatewayPlugin, GatewayRoute, GatewayService, GatewaySnapshot, Subject,
};

use crate::support::samples::{Group, Run, START_MS};
use crate::{MINUTES_OF_AN_HOUR, at, open, run_of};

fn group(line: &str) -> Group {
    serde_json::from_str(line).unwrap()
}

/// Many endpoints, each called a few times.
fn many_endpoints(run: &mut Run, endpoints: u64, calls: u64) {
    for at in 0..endpoints {
        let group = group(&format!(
            r#"{{"call": "GET /p{at}/{{i}}", "template": "/p{at}/{{id}}", "signs": ["plain_http"], "every_s": 0}}"#
        ));
        let endpoint = group.endpoint();
        for i in 0..calls {
            run.call(&endpoint, &group.call(i));
        }
    }
    run.settle(START_MS + 3 * 60_000);
}

#[test]
fn endpoints_beyond_the_limit_are_left_out_and_counted() {
    let settings = Settings { endpoints_max: 64, ..Settings::default() };
    let mut run = run_of(settings);
    many_endpoints(&mut run, 500, 2);
    assert_eq!(run.posture.endpoints().count(), 64);
    assert!(run.posture.counters().endpoints_max >= 436);
    // One that goes makes room.
    let first = run.posture.endpoints().next().unwrap();
    run.posture.forget(first);
    assert_eq!(run.posture.endpoints().count(), 63);
    run.settle(run.now_ms + 60_000);
    assert_eq!(run.posture.endpoints().count(), 64);
}

#[test]
fn memory_is_flat_over_endpoints_and_callers() {
    let settings = Settings { endpoints_max: 64, credentials_max: 64, ..Settings::default() };
    let size = |endpoints: u64, callers: u64| {
        let mut run = run_of(settings.clone());
        many_endpoints(&mut run, endpoints, 1);
        let group = group(
            r#"{"call": "GET /orders", "template": "/orders", "consumer": "consumer-{i}", "credential": "key-{i}", "every_s": 0}"#,
        );
        for i in 0..callers {
            run.call(&group.endpoint(), &group.call(i));
        }
        (run.posture.snapshot().len(), run.posture.counters())
    };
    let ((small, _), (large, counters)) = (size(100, 100), size(2_000, 20_000));
    assert!(large < small + small / 4, "{small} bytes, then {large}");
    assert!(counters.credentials_max > 0 && counters.endpoints_max > 0, "{counters:?}");
}

#[test]
fn of_an_endpoint_with_many_parameters_a_few_are_kept() {
    let size = |parameters: usize| {
        let mut run = run_of(Settings::default());
        let query: Vec<String> = (0..parameters).map(|at| format!(r#""parameter_{at:03}_id": "{{i+{at}}}""#)).collect();
        let line = format!(
            r#"{{"call": "GET /orders", "template": "/orders", "times": 40, "consumer": "c1", "query": {{{}, "limit": "9"}}}}"#,
            query.join(", ")
        );
        at(&mut run, &[line]);
        assert_eq!(open(&run).iter().filter(|one| one.check == "enumerable_object_ids").count(), 1);
        run.posture.snapshot().len()
    };
    let (few, many) = (size(16), size(60));
    assert!(many < few + few / 8, "{few} bytes, then {many}");
}

#[test]
fn services_beyond_the_limit_are_left_out_with_their_endpoints() {
    let mut run = run_of(Settings { services_max: 3, ..Settings::default() });
    let lines: Vec<String> = (0..10)
        .map(|at| {
            format!(
                r#"{{"call": "GET /a", "template": "/a", "service": "s{at}", "times": 30, "signs": ["plain_http"]}}"#
            )
        })
        .collect();
    at(&mut run, &lines);
    assert_eq!(open(&run).iter().filter(|one| one.check == "plain_http").count(), 3);
    assert!(run.posture.counters().services_max >= 7);
}

#[test]
fn a_weakness_lists_no_more_endpoints_than_it_may() {
    let mut run = run_of(Settings::default());
    many_endpoints(&mut run, 200, 20);
    let found = open(&run).into_iter().find(|one| one.check == "plain_http").unwrap();
    assert_eq!(found.endpoints.len(), ENDPOINTS_MAX);
    assert!(found.endpoints.is_sorted(), "the same ones each time");
}

#[test]
fn at_the_limit_the_oldest_that_was_fixed_makes_room() {
    let shop = |service: &str, sign: &str, at_m: i64| {
        format!(
            r#"{{"call": "GET /a", "template": "/a", "service": "{service}", "times": 120, "signs": ["{sign}"], "consumer": "c1", "at_m": {at_m}}}"#
        )
    };
    let mut run = run_of(Settings { weaknesses_max: 16, ..Settings::default() });
    let at_once: Vec<String> = (0..16).map(|service| shop(&format!("s{service:02}"), "plain_http", 0)).collect();
    at(&mut run, &at_once);
    assert_eq!(run.posture.weaknesses().count(), 16);
    // None is fixed: another one is left out.
    at(&mut run, &[shop("t", "plain_http", 5)]);
    assert_eq!((run.posture.weaknesses().count(), run.posture.counters().weaknesses_max > 0), (16, true));
    at(&mut run, &[shop("s03", "https", 120)]);
    at(&mut run, &[shop("s05", "https", 240), shop("u", "plain_http", 260)]);
    assert_eq!(run.posture.weaknesses().count(), 16);
    let is_there = |name: &str| open_or_not(&run.posture, name);
    assert_eq!(is_there("s03"), None, "it was fixed first");
    assert_eq!(is_there("s00"), Some(true));
}

/// Whether the service's plain HTTP is open, if it is known.
fn open_or_not(posture: &Posture, service: &str) -> Option<bool> {
    let mut all = posture.weaknesses().filter(|one| one.sentence.starts_with(service));
    all.next().map(|one| one.state == WeaknessState::Open)
}

#[test]
fn callers_without_room_make_nobody_dormant() {
    let days_ms = 100 * 24 * MINUTES_OF_AN_HOUR;
    let head = r#"{"why": "", "configuration": {"services": [], "consumers": [{"id": "gone", "credential": "k", "days": 400}]}}"#;
    let orders = r#"{"call": "GET /orders", "template": "/orders", "times": 100, "consumer": "c{i}"}"#;
    for (credentials_max, expected) in [(16, 0), (1000, 1)] {
        let mut run = run_of(Settings { credentials_max, ..Settings::default() });
        at(&mut run, &[head.to_owned(), orders.to_owned()]);
        run.advance(run.now_ms + days_ms);
        let dormant = open(&run).into_iter().filter(|one| one.check == "dormant_consumer").count();
        assert_eq!(dormant, expected, "{credentials_max}");
    }
}

#[test]
fn a_configuration_beyond_the_limit_is_cut_and_nothing_rests_on_what_it_lacks() {
    let snapshot = configuration(100);
    for (configured_max, left_out, is_found) in [(100, 0, true), (40, 180, false)] {
        let mut posture = Posture::new(Settings { configured_max, ..Settings::default() });
        posture.configured(&snapshot);
        posture.advance(START_MS + 60_000);
        assert_eq!(posture.counters().configured_max, left_out);
        let found = posture.weaknesses().filter(|one| one.check == "missing_rate_limit").count();
        assert_eq!(found > 0, is_found, "{configured_max}");
    }
}

/// Services with a route each, and a plugin for each of them.
fn configuration(services: usize) -> GatewaySnapshot {
    let service = |at: usize| GatewayService {
        id: format!("s{at}"),
        name: None,
        protocol: "http".to_owned(),
        host: "a.internal".to_owned(),
        port: 80,
        enabled: true,
        tags: vec![],
        created_ms: None,
    };
    let route = |at: usize| GatewayRoute {
        id: format!("r{at}"),
        name: None,
        service_id: Some(format!("s{at}")),
        protocols: vec![],
        methods: vec![],
        hosts: vec![],
        paths: vec![format!("/{at}")],
        header_names: vec![],
        tags: vec![],
        created_ms: None,
    };
    let plugin = |at: usize| GatewayPlugin {
        id: format!("p{at}"),
        name: "acl".to_owned(),
        instance_name: None,
        enabled: true,
        service_id: Some(format!("s{at}")),
        route_id: None,
        consumer_id: None,
        consumer_group_id: None,
        protocols: vec![],
        tags: vec![],
        created_ms: None,
        settings: None,
    };
    GatewaySnapshot {
        gateway: "kong".to_owned(),
        taken_ms: START_MS,
        configuration: GatewayConfiguration {
            services: (0..services).map(service).collect(),
            routes: (0..services).map(route).collect(),
            plugins: (0..services).map(plugin).collect(),
            ..GatewayConfiguration::default()
        },
    }
}

#[test]
fn a_template_that_may_still_change_needs_five_times_the_calls() {
    let group = group(r#"{"call": "GET /stations/{h}", "template": "/stations/{id}", "signs": ["plain_http"]}"#);
    for (calls, is_provisional, expected) in [(99, true, 0), (100, true, 1), (19, false, 0), (20, false, 1)] {
        let mut run = run_of(Settings::default());
        let endpoint = Endpoint { provisional: is_provisional, ..group.endpoint() };
        for i in 0..calls {
            run.call(&endpoint, &group.call(i));
        }
        run.settle(START_MS + 5 * 60_000);
        assert_eq!(open(&run).len(), expected, "{calls} calls");
    }
}

#[test]
fn what_is_merged_or_ignored_is_looked_at_no_more() {
    let mut run = run_of(Settings::default());
    let line = r#"{"call": "GET /orders/{i}", "template": "/orders/{id}", "times": 60}"#;
    at(&mut run, &[line.to_owned()]);
    assert!(open(&run).iter().any(|one| one.check == "enumerable_object_ids"));
    let endpoint = Endpoint { ignored: true, ..group(line).endpoint() };
    let seen = run.inventory.endpoint(endpoint.id).unwrap();
    run.posture.survey(&endpoint, &seen);
    run.posture.advance(run.now_ms + 3 * 60_000);
    assert_eq!((open(&run).len(), run.posture.endpoints().count()), (0, 0));
}

#[test]
fn a_consumer_is_forgotten_with_the_credentials_that_were_theirs() {
    let mut run = run_of(Settings::default());
    let group = group(
        r#"{"call": "GET /orders", "template": "/orders", "consumer": "consumer-{i}", "credential": "key-{i}", "every_s": 0}"#,
    );
    for i in 0..4 {
        run.call(&group.endpoint(), &group.call(i));
    }
    let holds = |run: &Run, word: &str| {
        let bytes = run.posture.snapshot();
        bytes.windows(word.len()).any(|window| window == word.as_bytes())
    };
    assert!(holds(&run, "consumer-2") && holds(&run, "key-2"));
    run.posture.forget_subject(&Subject::new(EntityKind::Consumer, "consumer-2").unwrap());
    assert!(!holds(&run, "consumer-2") && !holds(&run, "key-2"));
    assert!(holds(&run, "consumer-1") && holds(&run, "key-1"));
    run.posture.forget_subject(&Subject::new(EntityKind::Credential, "key-1").unwrap());
    assert!(holds(&run, "consumer-1") && !holds(&run, "key-1"));
}
