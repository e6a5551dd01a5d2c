//! What somebody decides about templates: it holds, it is explained, it can be foreseen, and taken back without a trace.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use std::collections::BTreeMap;

use outrider_discover::{Catalogue, DecisionRefused, Settings};
use outrider_model::{
    DecisionOrigin, Endpoint, EndpointId, TemplateChange, TemplateDecision, TemplateDecisionId, TemplateEffect,
};
use proptest::prelude::*;
use support::{Line, decision};

const START_MS: i64 = 1_767_571_200_000;

fn split(template: &str, value: &str) -> TemplateDecision {
    decision(template, TemplateChange::Split { value: value.to_owned() })
}

fn merge(template: &str, values: &[&str]) -> TemplateDecision {
    decision(template, TemplateChange::Merge { values: values.iter().map(|&value| value.to_owned()).collect() })
}

fn rename(template: &str, parameter: &str) -> TemplateDecision {
    decision(template, TemplateChange::Rename { parameter: parameter.to_owned() })
}

fn pin(template: &str) -> TemplateDecision {
    decision(template, TemplateChange::Pin { method: None })
}

fn ignore(template: &str) -> TemplateDecision {
    decision(template, TemplateChange::Ignore { method: None })
}

/// Sends paths, a second apart, by nine actors in turn.
fn send(catalogue: &mut Catalogue, from: u64, paths: &[String]) {
    for (at, path) in paths.iter().enumerate() {
        let at = from + at as u64;
        let now_ms = START_MS + at as i64 * 1000;
        catalogue.advance(now_ms);
        catalogue.assign(&Line::get(path, at % 9, now_ms).call());
    }
}

fn close(catalogue: &mut Catalogue, at: u64) {
    catalogue.advance(START_MS + (at as i64 + 120) * 1000);
}

fn slug(number: u64) -> String {
    let mut left = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8;
    (0..9)
        .map(|_| {
            let letter = (b'a' + (left % 23) as u8) as char;
            left /= 23;
            letter
        })
        .collect()
}

/// Four hundred shops, among them two that are none.
fn shops() -> Catalogue {
    let mut catalogue = Catalogue::new(Settings::default());
    let paths: Vec<String> = (0..400)
        .flat_map(|at| {
            let shop = if at % 50 == 7 { "nearby".to_owned() } else { slug(at) };
            [format!("/shops/{shop}"), format!("/shops/{shop}/hours")]
        })
        .collect();
    send(&mut catalogue, 0, &paths);
    close(&mut catalogue, 800);
    catalogue
}

fn reports() -> Catalogue {
    let mut catalogue = Catalogue::new(Settings::default());
    let paths: Vec<String> = (0..40)
        .flat_map(|_| ["daily", "weekly", "yearly"].map(|kind| format!("/reports/{kind}")))
        .chain((0..40).map(|_| "/reports/daily/csv".to_owned()))
        .collect();
    send(&mut catalogue, 0, &paths);
    close(&mut catalogue, 200);
    catalogue
}

fn lookup(catalogue: &Catalogue, path: &str) -> Option<EndpointId> {
    catalogue.lookup("kong", "default", "svc", "GET", path)
}

fn template(catalogue: &Catalogue, path: &str) -> String {
    let id = lookup(catalogue, path).unwrap();
    catalogue.endpoint(id).unwrap().key.template.clone()
}

fn templates(catalogue: &Catalogue) -> Vec<String> {
    let mut found: Vec<String> = catalogue.endpoints().map(|endpoint| endpoint.key.template.clone()).collect();
    found.sort();
    found
}

fn calls(catalogue: &Catalogue) -> u64 {
    catalogue.endpoints().map(|endpoint| endpoint.calls).sum()
}

#[test]
fn a_split_leaves_the_id_with_the_parameter_and_its_undoing_leads_back() {
    let mut catalogue = shops();
    assert_eq!(templates(&catalogue), ["/shops/{shop_id}", "/shops/{shop_id}/hours"]);
    let old = lookup(&catalogue, "/shops/nearby").unwrap();
    let decision = split("/shops/{shop_id}", "nearby");
    assert_eq!(
        catalogue.preview(&[], std::slice::from_ref(&decision)).unwrap(),
        [TemplateEffect::Awaited { method: None, template: "/shops/nearby".to_owned() }]
    );
    assert_eq!(catalogue.revise(&[], std::slice::from_ref(&decision)), Ok(1));
    assert_eq!(lookup(&catalogue, "/shops/nearby"), None, "it comes with its first call");
    send(&mut catalogue, 1000, &["/shops/nearby".to_owned(), "/shops/Nearby/hours".to_owned()]);
    let new = lookup(&catalogue, "/shops/nearby").unwrap();
    assert_ne!(new, old);
    assert_eq!(lookup(&catalogue, "/shops/other"), Some(old));
    let endpoint = catalogue.endpoint(new).unwrap();
    assert_eq!((endpoint.key.template.as_str(), endpoint.calls), ("/shops/nearby", 1));
    assert_eq!(endpoint.explanation, "names: `nearby` was split off by an operator");
    assert_eq!(template(&catalogue, "/shops/nearby/hours"), "/shops/nearby/hours");
    assert_eq!(catalogue.endpoint(old).unwrap().calls, 400);
    catalogue.drain_changes();

    assert_eq!(catalogue.revise(&[decision.id()], &[]), Ok(0));
    assert_eq!(lookup(&catalogue, "/shops/nearby"), Some(old));
    assert_eq!(catalogue.resolve(new), old);
    assert_eq!(catalogue.endpoint(old).unwrap().calls, 401);
    assert_eq!(templates(&catalogue), ["/shops/{shop_id}", "/shops/{shop_id}/hours"]);
    let drained = catalogue.drain_changes();
    assert!(drained.iter().any(|endpoint| endpoint.id == new && endpoint.merged_into == Some(old)), "{drained:?}");
}

#[test]
fn a_merge_keeps_the_oldest_id_and_its_undoing_gives_all_back() {
    let mut catalogue = reports();
    let ids = ["daily", "weekly", "yearly"].map(|kind| lookup(&catalogue, &format!("/reports/{kind}")).unwrap());
    let before: Vec<Endpoint> = catalogue.endpoints().cloned().collect();
    let decision = merge("/reports/{kind}", &["daily", "WEEKLY"]);
    let effects = catalogue.preview(&[], std::slice::from_ref(&decision)).unwrap();
    let moved = |endpoint, before: &str, after: &str| TemplateEffect::Retemplated {
        endpoint,
        method: "GET".to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
    };
    let csv = lookup(&catalogue, "/reports/daily/csv").unwrap();
    let mut expected = vec![
        moved(ids[0], "/reports/daily", "/reports/{kind}"),
        moved(csv, "/reports/daily/csv", "/reports/{kind}/csv"),
        TemplateEffect::Merged {
            endpoint: ids[1],
            method: "GET".to_owned(),
            before: "/reports/weekly".to_owned(),
            into: ids[0],
        },
    ];
    expected.sort_by_key(|effect| match effect {
        TemplateEffect::Retemplated { endpoint, .. } | TemplateEffect::Merged { endpoint, .. } => *endpoint,
        _ => unreachable!(),
    });
    assert_eq!(effects, expected);
    catalogue.revise(&[], std::slice::from_ref(&decision)).unwrap();
    assert_eq!(templates(&catalogue), ["/reports/yearly", "/reports/{kind}", "/reports/{kind}/csv"]);
    assert_eq!(lookup(&catalogue, "/reports/weekly"), Some(ids[0]));
    assert_eq!(catalogue.resolve(ids[1]), ids[0]);
    let merged = catalogue.endpoint(ids[0]).unwrap();
    assert_eq!((merged.calls, merged.provisional), (80, false));
    assert_eq!(merged.explanation, "parameters: 2 texts merged by an operator");
    send(&mut catalogue, 1000, &["/reports/weekly".to_owned(), "/reports/weekly/csv".to_owned()]);
    assert_eq!(catalogue.endpoint(ids[0]).unwrap().calls, 81);
    assert_eq!(catalogue.endpoint(csv).unwrap().calls, 41, "what came first under the parameter belongs to it");

    catalogue.revise(&[decision.id()], &[]).unwrap();
    let calls = ids.map(|id| catalogue.endpoint(id).unwrap().calls);
    assert_eq!(calls, [40, 41, 40], "calls are counted for what they were");
    assert_eq!(catalogue.endpoint(ids[1]).unwrap().merged_into, None);
    assert_eq!(template(&catalogue, "/reports/weekly/csv"), "/reports/weekly/csv");
    for endpoint in before.iter().filter(|endpoint| endpoint.id != ids[1]) {
        assert_eq!(essence(catalogue.endpoint(endpoint.id).unwrap()), essence(endpoint));
    }
}

#[test]
fn all_texts_of_a_place_can_be_merged_but_for_those_split_off() {
    let mut catalogue = reports();
    catalogue.revise(&[], &[merge("/reports/{kind}", &[]), split("/reports/{kind}", "yearly")]).unwrap();
    send(&mut catalogue, 1000, &["/reports/hourly".to_owned()]);
    assert_eq!(templates(&catalogue), ["/reports/yearly", "/reports/{kind}", "/reports/{kind}/csv"]);
    assert_eq!(calls(&catalogue), 161);
}

#[test]
fn a_rename_shows_in_everything_below_and_keeps_the_ids() {
    let mut catalogue = shops();
    let ids: Vec<EndpointId> = catalogue.endpoints().map(|endpoint| endpoint.id).collect();
    let decision = rename("/shops/{any}", "slug");
    let effects = catalogue.preview(&[], std::slice::from_ref(&decision)).unwrap();
    assert!(effects.iter().all(|effect| matches!(effect, TemplateEffect::Renamed { .. })), "{effects:?}");
    catalogue.revise(&[], std::slice::from_ref(&decision)).unwrap();
    assert_eq!(templates(&catalogue), ["/shops/{slug}", "/shops/{slug}/hours"]);
    assert_eq!(ids, catalogue.endpoints().map(|endpoint| endpoint.id).collect::<Vec<_>>());
    let explanation = &catalogue.endpoint(lookup(&catalogue, "/shops/x").unwrap()).unwrap().explanation;
    assert!(explanation.ends_with("named by an operator"), "{explanation}");
    catalogue.revise(&[decision.id()], &[]).unwrap();
    assert_eq!(templates(&catalogue), ["/shops/{shop_id}", "/shops/{shop_id}/hours"]);
}

#[test]
fn a_pinned_template_stands_whatever_is_learned() {
    let document = DecisionOrigin::Document { name: "shop.yaml".to_owned() };
    let pins = ["/shops/{slug}", "/shops/nearby", "/reports/{kind}/csv", "/never/{called}"]
        .map(|template| TemplateDecision { origin: document.clone(), ..pin(template) });
    let mut catalogue = Catalogue::new(Settings::default());
    // A document may come before the first call.
    assert_eq!(catalogue.revise(&[], &pins), Ok(4));
    let paths: Vec<String> = (0..6)
        .flat_map(|at| {
            let report = format!("/reports/{}/csv", ["daily", "weekly"][at as usize % 2]);
            [format!("/shops/{}", slug(at)), "/shops/nearby".to_owned(), report]
        })
        .collect();
    send(&mut catalogue, 0, &paths);
    assert_eq!(templates(&catalogue), ["/reports/{kind}/csv", "/shops/nearby", "/shops/{slug}"]);
    let shop = catalogue.endpoint(lookup(&catalogue, "/shops/any").unwrap()).unwrap();
    assert_eq!((shop.calls, shop.provisional, shop.confidence), (6, false, 1.0));
    assert_eq!(shop.explanation, "pinned by the document `shop.yaml`");
    assert!(catalogue.redirects().next().is_none(), "what never was in the inventory did not leave it");
    // Hundreds of shops make learning merge them; nothing of it shows.
    let id = shop.id;
    send(&mut catalogue, 100, &(100..600).map(|at| format!("/shops/{}", slug(at))).collect::<Vec<_>>());
    close(&mut catalogue, 700);
    assert_eq!(templates(&catalogue), ["/reports/{kind}/csv", "/shops/nearby", "/shops/{slug}"]);
    assert_eq!(lookup(&catalogue, "/shops/any"), Some(id));
    assert_eq!(catalogue.endpoint(id).unwrap().calls, 506);
    catalogue.revise(&pins.each_ref().map(TemplateDecision::id), &[]).unwrap();
    assert_eq!(template(&catalogue, "/shops/any"), "/shops/{shop_id}");
    assert_eq!(catalogue.resolve(id), lookup(&catalogue, "/shops/any").unwrap());
    assert_eq!(calls(&catalogue), 518);
}

#[test]
fn ignored_calls_belong_to_no_endpoint_and_make_none() {
    let mut catalogue = shops();
    let hours = lookup(&catalogue, "/shops/x/hours").unwrap();
    let decision = ignore("/shops/{shop_id}/hours");
    assert_eq!(
        catalogue.preview(&[], std::slice::from_ref(&decision)).unwrap(),
        [TemplateEffect::Vanished {
            endpoint: hours,
            method: "GET".to_owned(),
            before: "/shops/{shop_id}/hours".to_owned()
        }]
    );
    catalogue.revise(&[], std::slice::from_ref(&decision)).unwrap();
    assert_eq!(lookup(&catalogue, "/shops/x/hours"), None);
    let line = Line::get("/shops/x/hours/today", 1, START_MS + 2_000_000);
    assert_eq!(catalogue.assign(&line.call()).endpoint, None);
    assert_eq!(templates(&catalogue), ["/shops/{shop_id}"]);
    let told: Vec<Endpoint> = catalogue.drain_changes();
    assert!(told.iter().any(|endpoint| endpoint.id == hours && endpoint.ignored), "{told:?}");
    assert_eq!(
        catalogue.endpoint(hours).unwrap().explanation,
        "ignored by an operator: its calls belong to no endpoint"
    );
    catalogue.revise(&[decision.id()], &[]).unwrap();
    assert_eq!(lookup(&catalogue, "/shops/x/hours"), Some(hours));
    assert_eq!(catalogue.endpoint(hours).unwrap().calls, 400);
    assert_eq!(template(&catalogue, "/shops/x/hours/today"), "/shops/{shop_id}/hours/today");
}

#[test]
fn a_method_can_be_pinned_or_ignored_alone() {
    let mut catalogue = shops();
    let only =
        |template: &str, method: &str| decision(template, TemplateChange::Ignore { method: Some(method.to_owned()) });
    catalogue.revise(&[], &[only("/shops", "POST")]).unwrap();
    assert_eq!(templates(&catalogue).len(), 2);
    catalogue.revise(&[], &[only("/shops", "GET")]).unwrap();
    assert_eq!(templates(&catalogue).len(), 0);
    let pinned = decision("/shops/{a}", TemplateChange::Pin { method: Some("PUT".to_owned()) });
    catalogue.revise(&[], &[pinned]).unwrap();
    let put = Line { method: "PUT".to_owned(), ..Line::get("/shops/abc", 1, START_MS + 2_000_000) };
    catalogue.assign(&put.call());
    assert_eq!(templates(&catalogue), ["/shops/{a}"]);
}

#[test]
fn the_same_decision_twice_changes_nothing() {
    let mut catalogue = shops();
    let decisions = [split("/shops/{shop_id}", "nearby"), rename("/shops/{shop_id}", "slug")];
    assert_eq!(catalogue.revise(&[], &decisions), Ok(2));
    let bytes = catalogue.snapshot();
    assert_eq!(catalogue.revise(&[], &decisions), Ok(0));
    assert_eq!(catalogue.snapshot(), bytes);
    // One goes and one comes at once, or neither.
    let other = rename("/shops/{shop_id}", "name");
    assert!(catalogue.revise(&[], std::slice::from_ref(&other)).is_err());
    assert_eq!(catalogue.revise(&[decisions[1].id()], &[other]), Ok(1));
    assert_eq!(template(&catalogue, "/shops/x"), "/shops/{name}");
}

#[test]
fn what_contradicts_or_makes_no_sense_is_refused_and_changes_nothing() {
    let standing = [
        split("/a/{x}", "me"),
        merge("/b/{x}", &["one", "two"]),
        rename("/c/{x}", "name"),
        pin("/d/{x}/e"),
        ignore("/f/{x}"),
    ];
    let cases = [
        (split("/a/{y}", "ME"), "splits the same text off"),
        (merge("/a/{x}", &["you", "Me"]), "splits one of the texts off"),
        (split("/b/{x}", "one"), "merges the same text"),
        (merge("/b/{y}", &["three"]), "merges texts of the same place"),
        (rename("/b/{x}", "z"), "names the same parameter"),
        (rename("/c/{x}", "other"), "names the same parameter"),
        (merge("/c/{x}", &[]), "names the same parameter"),
        (pin("/d/{y}/e"), "pins the same template"),
        (ignore("/d"), "pins a template under it"),
        (pin("/f/{x}/y"), "ignores it"),
        (ignore("/f/{x}/y"), "ignores it already"),
        (ignore("/f"), "ignores a part of it already"),
        (split("/a/b", "me"), "does not end in the parameter"),
        (rename("/", "me"), "does not end in the parameter"),
        (pin("a"), "it does not begin with `/`"),
        (pin("/{a}.json"), "a parameter is a whole segment"),
        (pin("/{a}/{a}"), "two parameters are called `a`"),
        (pin("/{1a}"), "cannot be called `1a`"),
        (rename("/c/{x}", ""), "cannot be called ``"),
        (split("/a/{x}", ""), "is no text of a segment"),
        (split("/a/{x}", "b/c"), "`b/c` is no text of a segment"),
        (split("/a/{x}", "{b}"), "`{b}` is no text of a segment"),
        (split("/a/{x}", "b;c"), "`b;c` is no text of a segment"),
        (merge("/a/{x}", &["you", ".."]), "`..` is no text of a segment"),
        (pin("/a%2Fb"), "`a/b` is no text of a segment"),
        (pin("/100%"), "`100%` is no text of a segment"),
        (pin(&"/a".repeat(25)), "more segments than are learned"),
    ];
    let mut catalogue = Catalogue::new(Settings::default());
    catalogue.revise(&[], &standing).unwrap();
    let bytes = catalogue.snapshot();
    for (decision, expected) in cases {
        // What is right beside it is not taken either.
        let error = catalogue.revise(&[], &[pin("/fine"), decision.clone()]).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("svc"), "{decision:?}: {error}");
        assert_eq!(catalogue.preview(&[], &[decision]).unwrap_err().to_string(), error);
        assert_eq!(catalogue.snapshot(), bytes);
    }
    let unknown = TemplateDecisionId(7);
    assert_eq!(catalogue.revise(&[unknown], &[]), Err(DecisionRefused::Unknown { id: unknown }));
}

#[test]
fn decisions_are_limited_and_the_limit_is_counted() {
    let mut catalogue = Catalogue::new(Settings { decisions_max: 2, ..Settings::default() });
    assert_eq!(catalogue.revise(&[], &[pin("/a"), pin("/b")]), Ok(2));
    let error = catalogue.revise(&[], &[pin("/c")]).unwrap_err().to_string();
    assert_eq!(
        error,
        "3 decisions about templates would stand and `decisions_max` allows 2; take some back, or raise it"
    );
    assert_eq!((catalogue.counters().decisions_max, catalogue.decisions().len()), (1, 2));
    assert_eq!(catalogue.revise(&[pin("/a").id()], &[pin("/c")]), Ok(1));

    let mut catalogue = Catalogue::new(Settings { decisions_bytes_max: 4096, ..Settings::default() });
    let long = |name: &str| pin(&format!("/{name}/{}", "x".repeat(1500)));
    assert_eq!(catalogue.revise(&[], &[long("a"), long("b")]), Ok(2));
    let error = catalogue.revise(&[], &[long("c")]).unwrap_err();
    assert!(matches!(error, DecisionRefused::Full { setting: "decisions_bytes_max", most: 4096, .. }), "{error}");
    assert_eq!((catalogue.counters().decisions_max, catalogue.decisions().len()), (1, 2));
}

#[test]
fn a_lowered_limit_costs_no_decision_that_stands() {
    let mut catalogue = Catalogue::new(Settings::default());
    catalogue.revise(&[], &[pin("/shops/{slug}"), pin("/a/b/c/d/e/f")]).unwrap();
    send(&mut catalogue, 0, &["/shops/x".to_owned()]);
    let settings = Settings { depth_max: 4, decisions_max: 1, ..Settings::default() };
    let mut lowered = Catalogue::restore(settings, &catalogue.snapshot()).unwrap();
    assert_eq!(template(&lowered, "/shops/x"), "/shops/{slug}");
    send(&mut lowered, 100, &["/shops/y".to_owned()]);
    assert_eq!(templates(&lowered), ["/shops/{slug}"]);
    // Both can be taken back, and one that is too deep is refused.
    assert!(lowered.revise(&[pin("/shops/{slug}").id()], &[pin("/a/b/c/d/e")]).is_err());
    assert_eq!(lowered.revise(&[pin("/shops/{slug}").id()], &[]), Ok(0));
}

#[test]
fn a_name_that_looks_like_a_parameter_is_found_again_after_a_restart() {
    let mut whole = shops();
    whole.revise(&[], &[split("/shops/{shop_id}", "nearby")]).unwrap();
    let odd = ["%7Bx%7D", "a%2Fb", "%7B%7D"];
    let under = |shop: &str| odd.map(|text| format!("/shops/{shop}/{text}")).to_vec();
    send(&mut whole, 1000, &(0..9).flat_map(|at| under(&slug(at))).collect::<Vec<_>>());
    send(&mut whole, 1100, &under("nearby"));
    let mut restored = Catalogue::restore(Settings::default(), &whole.snapshot()).unwrap();
    for path in under("nearby") {
        assert!(lookup(&whole, &path).is_some(), "{path}");
        assert_eq!(lookup(&restored, &path), lookup(&whole, &path), "{path}");
    }
    for catalogue in [&mut whole, &mut restored] {
        send(catalogue, 1200, &under("nearby"));
        close(catalogue, 1300);
    }
    assert_eq!(restored.snapshot(), whole.snapshot());
}

#[test]
fn texts_that_are_too_long_are_refused() {
    let by = |name: String| TemplateDecision { origin: DecisionOrigin::Document { name }, ..pin("/a") };
    let of = |method: &str| decision("/b", TemplateChange::Ignore { method: Some(method.to_owned()) });
    let cases = [
        (by("n".repeat(129)), "the name of its document has more than 128 bytes"),
        (TemplateDecision { service: "s".repeat(257), ..pin("/a") }, "its service has more than 256 bytes"),
        (TemplateDecision { gateway: "g".repeat(257), ..pin("/a") }, "its gateway has more than 256 bytes"),
        (TemplateDecision { workspace: "w".repeat(257), ..pin("/a") }, "its workspace has more than 256 bytes"),
        (of("get"), "`get` is no method"),
        (of(""), "`` is no method"),
        (of("GE T"), "`GE T` is no method"),
        (of(&"G".repeat(33)), "is no method"),
    ];
    let mut catalogue = Catalogue::new(Settings::default());
    for (decision, expected) in cases {
        let error = catalogue.revise(&[], &[decision]).unwrap_err().to_string();
        assert!(error.contains(expected) && error.len() < 600, "{error}");
    }
    assert_eq!(
        catalogue.revise(&[], &[by("n".repeat(128)), of("M-SEARCH_2")]).map_err(|error| error.to_string()),
        Ok(2)
    );
}

#[test]
fn nobody_can_move_a_pinned_template() {
    let mut catalogue = shops();
    catalogue.revise(&[], &[pin("/shops/{shop_id}"), pin("/shops/{shop_id}/hours")]).unwrap();
    let before: Vec<(EndpointId, String)> =
        catalogue.endpoints().map(|endpoint| (endpoint.id, endpoint.key.template.clone())).collect();
    for at in 0..5000u64 {
        let now_ms = START_MS + (2000 + at as i64) * 1000;
        catalogue.advance(now_ms);
        let path = ["/shops/topRated".to_owned(), format!("/shops/{}", slug(at)), "/shops/topRated/hours".to_owned()];
        catalogue.assign(&Line::get(&path[at as usize % 3], at % 40, now_ms).call());
    }
    close(&mut catalogue, 8000);
    let after: Vec<(EndpointId, String)> =
        catalogue.endpoints().map(|endpoint| (endpoint.id, endpoint.key.template.clone())).collect();
    assert_eq!(after, before);
}

// --- Whatever is called and decided, in whatever order

#[derive(Debug, Clone)]
enum Step {
    Calls(u64),
    Decide(usize),
    TakeBack(usize),
}

fn pool() -> Vec<TemplateDecision> {
    vec![
        split("/shops/{shop_id}", "nearby"),
        split("/shops/{shop_id}", "aaa"),
        merge("/reports/{kind}", &["daily", "weekly"]),
        merge("/{root}", &["shops", "stores"]),
        rename("/shops/{shop_id}", "slug"),
        rename("/shops/nearby/{x}", "place"),
        pin("/shops/{slug}/hours"),
        pin("/reports/{kind}"),
        pin("/users/{user}/orders/{order}"),
        pin("/users/me"),
        ignore("/static"),
        ignore("/users/{user}/orders"),
        decision("/reports/daily", TemplateChange::Ignore { method: Some("POST".to_owned()) }),
        merge("/users/{login}", &[]),
        pin("/{a}/{b}/{c}"),
        split("/odd/{x}", "me"),
        pin("/odd/{x}/{y}"),
        rename("/odd/{x}", "z"),
    ]
}

fn line(number: u64, is_refused_at_times: bool) -> Line {
    let mut left = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 10;
    let mut next = |below: u64| {
        let found = left % below;
        left = (left / below) ^ (found << 40);
        found
    };
    let text = |at: u64| match at % 12 {
        0 => "nearby".to_owned(),
        1 => "aaa".to_owned(),
        _ => slug(at % 90),
    };
    // Texts that would be something else if they stood in a template as they are.
    let odd = |at: u64| ["%7Bx%7D", "a%2Fb", "%7B%7D", "c%3Bd", "100%25", "me", "ME"][at as usize % 7];
    let (kind, some, other) = (next(13), next(200), next(50));
    let path = match kind {
        0 => format!("/shops/{}", text(some)),
        1 => format!("/shops/{}/hours", text(some)),
        2 => format!("/shops/nearby/{}", text(other)),
        3 => format!("/reports/{}", ["daily", "weekly", "yearly"][other as usize % 3]),
        4 => format!("/reports/{}/csv", ["daily", "weekly"][other as usize % 2]),
        5 => format!("/users/{some}"),
        6 => format!("/users/{some}/orders/{other}"),
        7 => "/users/me".to_owned(),
        8 => format!("/users/me/orders/{other}"),
        9 => format!("/static/{}.js", text(other)),
        10 => format!("/shops/{}/{}", text(some), odd(other)),
        11 => format!("/odd/{}", odd(some)),
        _ => format!("/stores/{}", text(some)),
    };
    let mut line = Line::get(&path, next(12), START_MS + number as i64 * 700);
    line.method = ["GET", "GET", "POST"][next(3) as usize].to_owned();
    line.status = [200, 200, 200, if is_refused_at_times { 404 } else { 304 }, 201][next(5) as usize];
    line
}

/// What an endpoint is, but for its id and age.
fn essence(endpoint: &Endpoint) -> String {
    let Endpoint { key, explanation, provisional, calls, first_seen_ms, last_seen_ms, .. } = endpoint;
    format!("{} {} {explanation} {provisional} {calls} {first_seen_ms} {last_seen_ms}", key.method, key.template)
}

/// The inventory, with counts if they are meant to be right.
fn inventory(catalogue: &Catalogue, with_counts: bool) -> Vec<String> {
    let say = |endpoint: &Endpoint| {
        if with_counts { essence(endpoint) } else { format!("{} {}", endpoint.key.method, endpoint.key.template) }
    };
    let mut found: Vec<String> = catalogue.endpoints().map(say).collect();
    found.sort();
    found
}

fn by_id(catalogue: &Catalogue) -> BTreeMap<EndpointId, Endpoint> {
    catalogue.endpoints().map(|endpoint| (endpoint.id, endpoint.clone())).collect()
}

/// What a preview must have said, from the inventories before and after.
fn difference(before: &Catalogue, after: &Catalogue) -> BTreeMap<EndpointId, String> {
    let (old, new) = (by_id(before), by_id(after));
    let mut found = BTreeMap::new();
    for id in old.keys().chain(new.keys()) {
        let template = |known: &BTreeMap<EndpointId, Endpoint>| known.get(id).map(|found| found.key.template.clone());
        let said = match (template(&old), template(&new)) {
            (Some(before), Some(after)) if before == after => continue,
            (Some(before), Some(after)) => format!("{before} -> {after}"),
            (None, Some(template)) => format!("+ {template}"),
            (Some(_), None) if after.resolve(*id) != *id => format!("into {}", after.resolve(*id)),
            (Some(before), None) => format!("- {before}"),
            (None, None) => continue,
        };
        found.insert(*id, said);
    }
    found
}

fn said(effects: &[TemplateEffect]) -> BTreeMap<EndpointId, String> {
    let say = |effect: &TemplateEffect| {
        Some(match effect {
            TemplateEffect::Renamed { endpoint, before, after, .. }
            | TemplateEffect::Retemplated { endpoint, before, after, .. } => {
                (*endpoint, format!("{before} -> {after}"))
            }
            TemplateEffect::Merged { endpoint, into, .. } => (*endpoint, format!("into {into}")),
            TemplateEffect::Made { endpoint, after, .. } => (*endpoint, format!("+ {after}")),
            TemplateEffect::Vanished { endpoint, before, .. } => (*endpoint, format!("- {before}")),
            TemplateEffect::Awaited { .. } => return None,
        })
    };
    effects.iter().filter_map(say).collect()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (50u64..400).prop_map(Step::Calls),
        4 => (0usize..18).prop_map(Step::Decide),
        2 => (0usize..18).prop_map(Step::TakeBack),
    ];
    proptest::collection::vec(step, 1..14)
}

fn play(catalogue: &mut Catalogue, from: &mut u64, count: u64, is_refused_at_times: bool) {
    for number in *from..*from + count {
        let line = line(number, is_refused_at_times);
        catalogue.advance(line.at_ms);
        catalogue.assign(&line.call());
    }
    *from += count;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn taking_all_back_leaves_what_learning_says(steps in steps(), refused in any::<bool>()) {
        let (mut decided, mut plain) = (Catalogue::new(Settings::default()), Catalogue::new(Settings::default()));
        let (mut at, mut plain_at) = (0, 0);
        let mut drained: BTreeMap<EndpointId, Endpoint> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Calls(count) => {
                    play(&mut decided, &mut at, count, refused);
                    play(&mut plain, &mut plain_at, count, refused);
                }
                Step::Decide(which) => drop(decided.revise(&[], &[pool().swap_remove(which)])),
                Step::TakeBack(which) => drop(decided.revise(&[pool().swap_remove(which).id()], &[])),
            }
            drained.extend(decided.drain_changes().into_iter().map(|endpoint| (endpoint.id, endpoint)));
            let listed = by_id(&decided);
            for (id, endpoint) in &listed {
                let told = &drained[id];
                prop_assert_eq!((&told.key, told.merged_into, told.ignored), (&endpoint.key, None, false));
            }
            let open = drained.values().filter(|told| told.merged_into.is_none() && !told.ignored).count();
            prop_assert_eq!(open, listed.len(), "whoever follows the changes has the inventory");
            let restored = Catalogue::restore(Settings::default(), &decided.snapshot()).unwrap();
            prop_assert_eq!(restored.snapshot(), decided.snapshot());
        }
        let given: Vec<EndpointId> = by_id(&decided).into_keys().collect();
        let all: Vec<TemplateDecisionId> = decided.decisions().iter().map(TemplateDecision::id).collect();
        decided.revise(&all, &[]).unwrap();
        // A pinned template has refused calls of paths that learning does not know. They stay counted.
        prop_assert_eq!(inventory(&decided, !refused), inventory(&plain, !refused));
        for id in given {
            let now = decided.resolve(id);
            prop_assert!(decided.endpoints().any(|endpoint| endpoint.id == now), "{} leads nowhere", id);
        }
        play(&mut decided, &mut at, 300, refused);
        play(&mut plain, &mut plain_at, 300, refused);
        prop_assert_eq!(inventory(&decided, !refused), inventory(&plain, !refused));
    }

    #[test]
    fn a_preview_says_what_then_happens(steps in steps(), which in 0usize..18, back in 0usize..18) {
        let mut catalogue = Catalogue::new(Settings::default());
        let mut at = 0;
        for step in steps {
            match step {
                Step::Calls(count) => play(&mut catalogue, &mut at, count, true),
                Step::Decide(which) => drop(catalogue.revise(&[], &[pool().swap_remove(which)])),
                Step::TakeBack(which) => drop(catalogue.revise(&[pool().swap_remove(which).id()], &[])),
            }
        }
        let back = pool().swap_remove(back).id();
        let back: Vec<_> = catalogue.decisions().iter().map(TemplateDecision::id).filter(|&id| id == back).collect();
        let decision = [pool().swap_remove(which)];
        let before = catalogue.clone();
        let preview = catalogue.preview(&back, &decision);
        prop_assert_eq!(catalogue.snapshot(), before.snapshot(), "it changes nothing");
        let done = catalogue.revise(&back, &decision);
        prop_assert_eq!(preview.is_ok(), done.is_ok());
        let preview = preview.unwrap_or_default();
        prop_assert_eq!(said(&preview), difference(&before, &catalogue));
    }

    #[test]
    fn a_restored_catalogue_goes_on_with_its_decisions(steps in steps(), cut in 0usize..14) {
        let mut whole = Catalogue::new(Settings::default());
        let mut parts = whole.clone();
        let (mut at, mut parts_at) = (0, 0);
        for (number, step) in steps.iter().enumerate() {
            if number == cut {
                parts = Catalogue::restore(Settings::default(), &parts.snapshot()).unwrap();
            }
            for (catalogue, at) in [(&mut whole, &mut at), (&mut parts, &mut parts_at)] {
                match step {
                    Step::Calls(count) => play(catalogue, at, *count, true),
                    Step::Decide(which) => drop(catalogue.revise(&[], &[pool().swap_remove(*which)])),
                    Step::TakeBack(which) => drop(catalogue.revise(&[pool().swap_remove(*which).id()], &[])),
                }
            }
            prop_assert_eq!(whole.snapshot(), parts.snapshot());
            prop_assert_eq!(whole.drain_changes(), parts.drain_changes());
        }
    }
}
