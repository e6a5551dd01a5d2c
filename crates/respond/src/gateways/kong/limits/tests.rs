use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::gateways::kong::fold::fold;
use crate::gateways::kong::testing::{
    ALICE, BOB, INSTALLATION, SHOP, SHOP_ROUTE, START_MS, foreign_limit, limit, route_scope, service_scope, stored,
};
use crate::gateways::kong::wire::{Reference, Route};

const OTHER: &str = "5e000000-0000-4000-8000-000000000002";
const OTHER_ROUTE: &str = "70000000-0000-4000-8000-000000000002";
const SECOND_ROUTE: &str = "70000000-0000-4000-8000-000000000003";

/// Each route with its service, and one without.
const ROUTES: [(&str, Option<&str>); 4] = [
    (SHOP_ROUTE, Some(SHOP)),
    (SECOND_ROUTE, Some(SHOP)),
    (OTHER_ROUTE, Some(OTHER)),
    ("70000000-0000-4000-8000-000000000004", None),
];

fn survey(plugins: Vec<Plugin>) -> Survey {
    let route = |(id, service): (&str, Option<&str>)| Route {
        id: id.to_owned(),
        name: None,
        service: service.map(|id| Reference { id: id.to_owned() }),
    };
    Survey::new(INSTALLATION, plugins, ROUTES.map(route).to_vec(), vec![])
}

/// Limits of ours on alice, each at a place with calls a minute.
fn ours(limits: &[(&str, u32)]) -> Vec<DesiredPlugin> {
    let action = |(number, (at, minute)): (usize, &(&str, u32))| {
        let mut action = limit(number as u64, ALICE, None, *minute);
        match *at {
            "consumer" => {}
            "service" => action.scope = service_scope(SHOP),
            route => action.scope = route_scope(if route == "route" { SHOP_ROUTE } else { route }),
        }
        action
    };
    let actions: Vec<_> = limits.iter().enumerate().map(action).collect();
    fold(INSTALLATION, &actions, START_MS)
}

fn config(plugin: &DesiredPlugin) -> &RateLimitConfig {
    match &plugin.config {
        PluginConfig::RateLimit(config) => config,
        PluginConfig::Termination(_) => panic!("{plugin:?} is no limit"),
    }
}

/// What becomes of a limit of 30 calls a minute: as it is written, or why it is not.
fn outcome(at: &str, theirs: Vec<Plugin>) -> String {
    let judged = judge(&survey(theirs), ours(&[(at, 30)]));
    match (&judged.allowed[..], &judged.refused[..]) {
        ([allowed], []) => {
            let config = config(allowed);
            let mut text = config.limits.to_string();
            text += if config.policy == "cluster" { ", cluster" } else { "" };
            text += if config.fault_tolerant { "" } else { ", closed" };
            text + if config.hide_client_headers { ", hidden" } else { "" }
        }
        ([], [(_, why)]) => why.clone(),
        _ => panic!("{judged:?}"),
    }
}

#[test]
fn what_ours_would_replace_is_taken_in_and_nothing_else() {
    let (shop, route, alice) = (Some(SHOP), Some(SHOP_ROUTE), Some(ALICE));
    let lower = json!({"minute": 10});
    let (ten, thirty) = ("10 calls per minute", "30 calls per minute");
    type Place<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);
    // Ours at: the consumer, the service, the route.
    let cases: [(&str, Place<'_>, [&str; 3]); 11] = [
        ("global", (None, None, None), [ten, ten, ten]),
        ("service", (None, shop, None), [ten, ten, ten]),
        ("route", (None, None, route), [ten, ten, ten]),
        ("route + service", (None, shop, route), [thirty, ten, ten]),
        ("consumer", (alice, None, None), [thirty, ten, ten]),
        ("service + consumer", (alice, shop, None), [thirty, thirty, ten]),
        ("route + consumer", (alice, None, route), [thirty, thirty, thirty]),
        ("route + service + consumer", (alice, shop, route), [thirty, thirty, thirty]),
        ("another consumer", (Some(BOB), None, None), [thirty, thirty, thirty]),
        ("another service", (None, Some(OTHER), None), [ten, thirty, thirty]),
        ("a route that is not known", (None, None, Some("new")), [ten, ten, thirty]),
    ];
    for (name, (consumer, service, route), expected) in cases {
        let plugin = foreign_limit("f", consumer, service, route, lower.clone());
        let found = ["consumer", "service", "route"].map(|at| outcome(at, vec![plugin.clone()]));
        assert_eq!(found, expected, "{name}");
        let off = Plugin { enabled: false, ..plugin };
        assert_eq!(outcome("consumer", vec![off]), thirty, "{name}, switched off");
    }
    let shadowed = vec![
        foreign_limit("everybody", None, None, None, lower),
        foreign_limit("alice", alice, None, None, json!({"minute": 1000})),
    ];
    assert_eq!(outcome("service", shadowed), thirty, "what does not act now is not replaced");
}

#[test]
fn how_theirs_counts_is_taken_over_or_refused() {
    let cases = [
        (json!({"second": 2, "hour": 20}), "2 calls per second and 20 per minute and 20 per hour"),
        (json!({"minute": 1000}), "30 calls per minute"),
        (json!({"minute": 2.5}), "3 calls per minute"),
        (json!({"minute": 1e15}), "30 calls per minute"),
        (json!({"minute": 10, "limit_by": "credential"}), "10 calls per minute"),
        (json!({"minute": 10, "limit_by": null, "policy": null}), "10 calls per minute"),
        (json!({"minute": 90, "policy": "cluster"}), "30 calls per minute, cluster"),
        (json!({"minute": 90, "fault_tolerant": false}), "30 calls per minute, closed"),
        (json!({"minute": 90, "hide_client_headers": true}), "30 calls per minute, hidden"),
        (json!({"minute": 90, "limit_by": "ip"}), "everywhere: rate-limiting f counts calls by `ip`, which"),
        (json!({"minute": 90, "limit_by": "service"}), "counts calls by `service`"),
        (json!({"minute": 90, "limit_by": "header"}), "counts calls by `header`"),
        (json!({"minute": 90, "limit_by": "path"}), "counts calls by `path`"),
        (json!({"minute": 90, "limit_by": 7}), "counts calls by ``"),
        (json!({"minute": 90, "policy": "redis"}), "counts in Redis, whose password is not copied"),
        (json!({"minute": 90, "policy": "abacus"}), "policy `abacus`"),
        (json!({"minute": "ten"}), "has a limit per minute that is no number"),
        (json!({"minute": -1}), "has a limit per minute that is no number"),
    ];
    for (theirs, expected) in cases {
        let found = outcome("consumer", vec![foreign_limit("f", None, None, None, theirs.clone())]);
        assert!(found.contains(expected), "{theirs}: {found}");
    }
    let mut group = foreign_limit("f", None, None, None, json!({"minute": 90}));
    group.consumer_group = Some(Reference { id: "gold".to_owned() });
    assert!(outcome("consumer", vec![group]).contains("is for a consumer group"));
    let advanced = Plugin {
        name: "rate-limiting-advanced".to_owned(),
        ..foreign_limit("f", None, None, None, json!({"limit": [1], "policy": "redis"}))
    };
    assert_eq!(outcome("consumer", vec![advanced]), "30 calls per minute", "another plugin runs beside ours");
    let many = (0..=FOREIGN_PLUGINS_MAX).map(|n| foreign_limit(&format!("f{n}"), Some(BOB), None, None, json!({})));
    assert!(outcome("consumer", many.collect()).contains("more than 20000 plugins of others"));
}

#[test]
fn a_narrower_limit_of_ours_keeps_a_wider_one() {
    type Case<'a> = (&'a [(&'a str, u32)], &'a [u32]);
    let cases: [Case<'_>; 6] = [
        (&[("consumer", 30), ("service", 50)], &[30, 30]),
        (&[("service", 50), ("consumer", 30)], &[30, 30]),
        (&[("consumer", 30), ("service", 20), ("route", 25)], &[30, 20, 20]),
        (&[("service", 20), (OTHER_ROUTE, 25)], &[20, 25]),
        (&[("service", 20), ("new", 25)], &[20, 20]),
        (&[("route", 20), (SECOND_ROUTE, 25)], &[20, 25]),
    ];
    for (limits, expected) in cases {
        let judged = judge(&survey(vec![]), ours(limits));
        let mut found: Vec<_> = judged.allowed.iter().map(|plugin| config(plugin).limits.minute.unwrap()).collect();
        if limits.len() == 2 && limits.iter().all(|(at, _)| *at != "consumer" && *at != "service") {
            found.sort_unstable();
        }
        assert_eq!(found, expected, "{limits:?}");
    }
    // What a refused one would have kept need not be kept.
    let theirs = foreign_limit("f", None, Some(OTHER), None, json!({"minute": 1, "limit_by": "ip"}));
    let judged = judge(&survey(vec![theirs]), ours(&[("consumer", 10), ("service", 50)]));
    assert_eq!((judged.allowed.len(), judged.refused.len()), (1, 1));
    assert_eq!(config(&judged.allowed[0]).limits.minute, Some(50));
}

/// What lets calls through at a place: windows, how it counts, and what happens while it cannot.
type Effective = (RateLimits, String, String, bool);

/// Which configuration Kong runs for alice at a route, straight from its documented order.
fn effective(plugins: &[Plugin], route: &str, service: Option<&str>) -> Option<Effective> {
    let is_at =
        |place: &Option<Reference>, here: Option<&str>| place.as_ref().is_none_or(|p| Some(p.id.as_str()) == here);
    let applies = |plugin: &&Plugin| {
        plugin.enabled
            && is_at(&plugin.consumer, Some(ALICE))
            && is_at(&plugin.route, Some(route))
            && is_at(&plugin.service, service)
    };
    let rank = |plugin: &&Plugin| match (plugin.consumer.is_some(), plugin.route.is_some(), plugin.service.is_some()) {
        (true, true, true) => 8,
        (true, true, false) => 7,
        (true, false, true) => 6,
        (false, true, true) => 5,
        (true, false, false) => 4,
        (false, true, false) => 3,
        (false, false, true) => 2,
        (false, false, false) => 1,
    };
    plugins.iter().filter(applies).max_by_key(rank).map(|plugin| {
        let text = |name: &str| plugin.config[name].as_str().unwrap().to_owned();
        let limits = limits_of(plugin).unwrap();
        (limits, text("limit_by"), text("policy"), plugin.config["fault_tolerant"].as_bool().unwrap())
    })
}

fn is_weaker(after: &Effective, before: &Effective) -> bool {
    let counts_otherwise = after.1 != before.1 && !(after.1 == "consumer" && before.1 == "credential");
    let counts_elsewhere = after.2 != before.2 && !(after.2 == "cluster" && before.2 == "local");
    !after.0.is_at_most(&before.0) || counts_otherwise || counts_elsewhere || after.3 && !before.3
}

/// A gateway holds one plugin of a name per scope.
fn one_per_scope(plugins: Vec<Plugin>) -> Vec<Plugin> {
    let mut scopes = Vec::new();
    plugins
        .into_iter()
        .filter(|plugin| {
            let scope = (plugin.consumer.clone(), plugin.service.clone(), plugin.route.clone());
            let is_new = !scopes.contains(&scope);
            scopes.push(scope);
            is_new
        })
        .collect()
}

fn any_foreign() -> impl Strategy<Value = Plugin> {
    let consumer = prop::sample::select(vec![None, None, Some(ALICE), Some(BOB)]);
    let service = prop::sample::select(vec![None, None, Some(SHOP), Some(OTHER)]);
    let route = prop::sample::select(vec![None, None, Some(SHOP_ROUTE), Some(SECOND_ROUTE), Some(OTHER_ROUTE)]);
    let window = || prop::option::of(1u32..60);
    let limit_by = prop::sample::select(vec!["consumer", "consumer", "consumer", "credential", "ip", "service"]);
    let policy = prop::sample::select(vec!["local", "local", "cluster", "redis"]);
    let flags = (any::<bool>(), prop::bool::weighted(0.9));
    let config = (window(), window(), window(), limit_by, policy, flags);
    (any::<u32>(), consumer, service, route, config).prop_map(
        |(id, consumer, service, route, (second, minute, hour, limit_by, policy, (fault_tolerant, enabled)))| {
            let config = json!({
                "second": second, "minute": minute, "hour": hour, "limit_by": limit_by, "policy": policy,
                "fault_tolerant": fault_tolerant,
            });
            Plugin { enabled, ..foreign_limit(&format!("f{id}"), consumer, service, route, config) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_route_is_let_more_through_than_before(
        theirs in prop::collection::vec(any_foreign(), 0..8),
        limits in prop::collection::btree_map(
            prop::sample::select(vec!["consumer", "service", "route", SECOND_ROUTE, OTHER_ROUTE]), 1u32..60, 1..5
        ),
    ) {
        let before = one_per_scope(theirs);
        let limits: Vec<_> = limits.into_iter().collect();
        let judged = judge(&survey(before.clone()), ours(&limits));
        prop_assert!(judged.allowed.iter().all(|plugin| config(plugin).limits.validate().is_ok()));
        // Writes go on side by side, so whichever comes first, each single one must not weaken.
        for narrow_first in [false, true] {
            let mut order: Vec<_> = judged.allowed.iter().collect();
            if narrow_first {
                order.reverse();
            }
            let mut written = before.clone();
            for plugin in order {
                if written.iter().any(|other| other.scope().as_ref() == Some(&plugin.scope)) {
                    continue;
                }
                let previous = written.clone();
                written.push(stored(plugin));
                for (route, service) in ROUTES {
                    let (after, before) = (effective(&written, route, service), effective(&previous, route, service));
                    if let (Some(after), Some(before)) = (after, before) {
                        prop_assert!(!is_weaker(&after, &before), "{route}: {before:?} became {after:?}");
                    }
                }
            }
        }
    }
}
