use serde_json::json;

use super::*;

const PORT: u16 = 9514;

fn sources() -> Vec<LogSource> {
    let secret = Some(("outrider_key".to_owned(), "s3cr\"t".to_owned()));
    vec![LogSource { kind: LogKind::Tcp, listen: SocketAddr::from(([127, 0, 0, 1], PORT)), is_tls: false, secret }]
}

/// As well by HTTP Log.
fn both_sources() -> Vec<LogSource> {
    let secret = Some(("authorization".to_owned(), "Bearer s3cret".to_owned()));
    let listen = SocketAddr::from(([127, 0, 0, 1], 9515));
    let http = LogSource { kind: LogKind::Http, listen, is_tls: false, secret };
    sources().into_iter().chain([http]).collect()
}

/// Two routes of a shop, one of a bank, one of no service.
fn view(plugins: &[Value]) -> LogView {
    view_from(&sources(), plugins)
}

fn view_from(sources: &[LogSource], plugins: &[Value]) -> LogView {
    let read = |documents: &[Value]| -> Vec<Plugin> {
        documents.iter().map(|document| serde_json::from_value(document.clone()).unwrap()).collect()
    };
    let services: Vec<Service> = serde_json::from_value(json!([
        {"id": "s1", "name": "shop"}, {"id": "s2"}, {"id": "s3", "name": "without-routes"}
    ]))
    .unwrap();
    let routes: Vec<Route> = serde_json::from_value(json!([
        {"id": "r1", "name": "items", "service": {"id": "s1"}}, {"id": "r2", "service": {"id": "s1"}},
        {"id": "r3", "service": {"id": "s2"}}, {"id": "r4", "name": "bare", "service": null}
    ]))
    .unwrap();
    view_log("home", sources, &read(plugins), &services, &routes)
}

fn plugin(id: &str, host: &str, port: u16, more: Value) -> Value {
    let mut document = json!({"id": id, "name": "tcp-log", "enabled": true, "tags": null,
        "config": {"host": host, "port": port, "tls": false, "custom_fields_by_lua": null}});
    for (key, value) in more.as_object().unwrap() {
        document[key] = value.clone();
    }
    document
}

fn here(id: &str, more: Value) -> Value {
    plugin(id, "127.0.0.1", PORT, more)
}

fn elsewhere(id: &str, more: Value) -> Value {
    plugin(id, "logstash", 5000, more)
}

#[test]
fn the_most_specific_plugin_that_is_on_decides() {
    let service = |id: &str| json!({"service": {"id": id}});
    let route = |id: &str| json!({"route": {"id": id}});
    let all = "service `s2`, service `shop`, route `bare`";
    let cases: Vec<(&str, Vec<Value>, &str, bool)> = vec![
        ("nothing", vec![], all, false),
        ("everything", vec![here("a", json!({}))], "", true),
        ("everything elsewhere", vec![elsewhere("f", json!({}))], all, false),
        ("off", vec![here("a", json!({"enabled": false}))], all, false),
        (
            "TLS",
            vec![plugin("a", "127.0.0.1", PORT, json!({"config": {"host": "127.0.0.1", "port": PORT, "tls": true}}))],
            all,
            false,
        ),
        ("a service elsewhere", vec![here("a", json!({})), elsewhere("f", service("s1"))], "service `shop`", true),
        (
            "it is off",
            vec![here("a", json!({})), elsewhere("f", json!({"service": {"id": "s1"}, "enabled": false}))],
            "",
            true,
        ),
        (
            "a route elsewhere",
            vec![here("a", json!({})), elsewhere("f", route("r1"))],
            "route `items` of service `shop`",
            true,
        ),
        (
            "a route here",
            vec![elsewhere("f", json!({})), here("a", route("r4"))],
            "service `s2`, service `shop`",
            false,
        ),
        (
            "a route of a service before the route",
            vec![
                here("a", json!({})),
                here("b", json!({"route": {"id": "r2"}, "service": {"id": "s1"}})),
                elsewhere("f", route("r2")),
            ],
            "",
            true,
        ),
        (
            "a consumer elsewhere",
            vec![here("a", json!({})), elsewhere("f", json!({"consumer": {"id": "c"}}))],
            "consumer c",
            true,
        ),
        ("a consumer here", vec![here("a", json!({})), here("f", json!({"consumer": {"id": "c"}}))], "", true),
    ];
    for (name, plugins, unseen, sees_unrouted) in cases {
        let view = view(&plugins);
        let mut places: Vec<_> = view.unseen.iter().map(|calls| calls.place.as_str()).collect();
        places.sort_by_key(|place| (!place.starts_with("service"), *place));
        assert_eq!(places.join(", "), unseen, "{name}");
        assert_eq!(view.sees_unrouted, sees_unrouted, "{name}");
        let is_shop_blind = places.iter().any(|place| place.contains("shop"));
        assert_eq!(view.seen_services.contains(&"shop".to_owned()), !is_shop_blind, "{name}");
    }
    let taken = view(&[elsewhere("f", service("s1"))]);
    assert!(taken.unseen.iter().any(|calls| calls.taken_by.as_deref() == Some("f")));
    assert!(taken.unseen.iter().any(|calls| calls.taken_by.is_none()), "nobody logs the others");
}

#[test]
fn either_kind_of_plugin_brings_calls_and_both_bring_them_twice() {
    let http = |id: &str, url: &str, more: Value| {
        let mut document = plugin(id, "", 0, more);
        document["name"] = json!("http-log");
        document["config"] = json!({"http_endpoint": url, "headers": {"Authorization": "Bearer s3cret"}});
        document
    };
    let (url, on_shop) = ("http://127.0.0.1:9515/", json!({"service": {"id": "s1"}}));
    let both = both_sources();
    let seen = |plugins: &[Value]| {
        let view = view_from(&both, plugins);
        (view.seen_services.join(","), view.sees_unrouted, view.doubled.join(", "))
    };
    let all = "shop,s2".to_owned();
    assert_eq!(seen(&[http("h", url, json!({}))]), (all.clone(), true, String::new()));
    // The other kind is in no way.
    assert_eq!(
        seen(&[http("h", url, json!({})), elsewhere("f", json!({})), elsewhere("g", on_shop.clone())]),
        (all.clone(), true, String::new())
    );
    assert_eq!(
        seen(&[http("h", url, on_shop.clone()), here("a", json!({}))]),
        (all.clone(), true, "service `shop`".to_owned())
    );
    let every = "route `bare`, service `shop`, service `s2`, calls that match no route";
    assert_eq!(seen(&[http("h", url, json!({})), here("a", json!({}))]), (all, true, every.to_owned()));
    assert_eq!(seen(&[http("h", "https://127.0.0.1:9515/", json!({}))]).0, "", "these sources speak no TLS");
    assert_eq!(seen(&[http("h", "http://127.0.0.1:80/", json!({}))]).0, "");

    let of_carol = json!({"consumer": {"id": "carol"}});
    assert_eq!(
        seen(&[http("h", url, json!({})), here("a", of_carol.clone())]),
        ("shop,s2".to_owned(), true, "consumer carol".to_owned())
    );
    let view_of = |plugins: &[Value]| view_from(&both, plugins).unseen;
    assert_eq!(view_of(&[http("h", url, json!({})), elsewhere("f", of_carol.clone())]), []);
    assert_eq!(view_of(&[here("h", json!({})), elsewhere("f", of_carol)]).len(), 1);

    let secret = |headers: Value| {
        let mut document = http("h", url, json!({}));
        document["config"]["headers"] = headers;
        view_from(&both, &[document]).plugins[0].secret
    };
    assert_eq!(secret(json!(null)), SecretSeen::Missing);
    assert_eq!(secret(json!({"authorization": "Bearer s3cret"})), SecretSeen::Right);
    assert_eq!(secret(json!({"AUTHORIZATION": ["Bearer s3cret"]})), SecretSeen::Right);
    assert_eq!(secret(json!({"authorization": "Bearer other"})), SecretSeen::Wrong);
    let only_tcp = view(&[http("h", url, json!({}))]);
    assert!(only_tcp.plugins.is_empty(), "nobody reads HTTP Log here: {only_tcp:?}");
}

#[test]
fn whose_a_plugin_is_and_where_it_sends_is_told() {
    let tagged = |tag: &str| json!({"tags": ["outrider-log", tag]});
    let cases = [
        (plugin("a", "collector", PORT, tagged("outrider-log:home")), LogOwner::Ours, true),
        (plugin("a", "collector", 1, tagged("outrider-log:home")), LogOwner::Ours, false),
        (plugin("a", "collector", PORT, json!({})), LogOwner::Foreign, false),
        (plugin("a", "localhost", PORT, json!({})), LogOwner::Foreign, true),
        (plugin("a", "::1", PORT, json!({"tags": ["mine"]})), LogOwner::Foreign, true),
        (
            plugin("a", "127.0.0.1", PORT, tagged("outrider-log:there")),
            LogOwner::OtherInstallation("outrider-log:there".to_owned()),
            true,
        ),
    ];
    for (document, owner, comes_here) in cases {
        let seen = &view(std::slice::from_ref(&document)).plugins[0];
        assert_eq!((&seen.owner, seen.comes_here()), (&owner, comes_here), "{document}");
    }
}

#[test]
fn a_plugin_that_does_not_agree_on_tls_brings_nothing() {
    let tcp = |is_tls: bool| here("a", json!({"config": {"host": "127.0.0.1", "port": PORT, "tls": is_tls}}));
    let http = |scheme: &str| {
        let url = format!("{scheme}://127.0.0.1:9515/");
        json!({"id": "h", "name": "http-log", "enabled": true, "tags": null, "config": {"http_endpoint": url}})
    };
    let with_tls = |is_tls| both_sources().into_iter().map(|source| LogSource { is_tls, ..source }).collect::<Vec<_>>();
    for (source_is_tls, plugin, expected) in [
        (false, tcp(false), (false, true)),
        (false, tcp(true), (true, false)),
        (true, tcp(false), (false, false)),
        (true, tcp(true), (true, true)),
        (false, http("http"), (false, true)),
        (false, http("https"), (true, false)),
        (true, http("http"), (false, false)),
        (true, http("https"), (true, true)),
    ] {
        let view = view_from(&with_tls(source_is_tls), std::slice::from_ref(&plugin));
        let seen = &view.plugins[0];
        assert_eq!((seen.is_tls, seen.comes_here()), expected, "{source_is_tls} {plugin}");
        assert_eq!((seen.agrees_on_tls, view.sees_unrouted), (expected.1, expected.1), "{source_is_tls} {plugin}");
    }
}

#[test]
fn a_secret_counts_as_a_constant_only() {
    for (fields, expected) in [
        (json!(null), SecretSeen::Missing),
        (json!({}), SecretSeen::Missing),
        (json!({"other": "return 1"}), SecretSeen::Missing),
        (json!({"outrider_key": "return \"s3cr\\\"t\""}), SecretSeen::Right),
        (json!({"outrider_key": "  return 's3cr\"t' ;"}), SecretSeen::Right),
        (json!({"outrider_key": "return \"another\""}), SecretSeen::Wrong),
        (json!({"outrider_key": "return kong.request.get_header('s3cr\"t')"}), SecretSeen::Wrong),
        (json!({"outrider_key": ""}), SecretSeen::Wrong),
    ] {
        let mut document = here("a", json!({}));
        document["config"]["custom_fields_by_lua"] = fields.clone();
        assert_eq!(view(&[document]).plugins[0].secret, expected, "{fields}");
    }
    assert!(!format!("{:?}", both_sources()).contains("s3cr"));
}
