//! A well-configured API over two days: several services behind keys and limits, with sign-in, health checks, forms, downloads, and the few errors
//! that there always are. It has no weakness.

use outrider_discover::posture::Settings;

use crate::{MINUTES_OF_AN_HOUR, at, open, run_of};

const HEAD: &str = r#"{
    "why": "",
    "configuration": {
        "services": ["shop", "accounts", "media", "open-data"],
        "routes": [
            {"id": "orders", "service": "shop", "paths": ["/shop"]},
            {"id": "sign-in", "service": "accounts", "paths": ["/login", "/.well-known"]},
            {"id": "accounts", "service": "accounts", "paths": ["/me", "/accounts"]},
            {"id": "operators", "service": "accounts", "paths": ["/admin"]},
            {"id": "media", "service": "media", "paths": ["/media"]},
            {"id": "open", "service": "open-data", "paths": ["/stations"]}
        ],
        "plugins": [
            {"name": "key-auth", "service": "shop", "config": {}},
            {"name": "jwt", "route": "accounts", "config": {"claims_to_verify": ["exp"]}},
            {"name": "jwt", "route": "operators", "config": {"claims_to_verify": ["exp"]}},
            {"name": "acl", "route": "operators", "config": {"allow": ["operators"]}},
            {"name": "key-auth", "service": "media", "config": {}},
            {"name": "ip-restriction", "service": "open-data", "config": {"allow": ["192.0.2.0/24"]}},
            {"name": "rate-limiting", "config": {"minute": 600}},
            {"name": "cors", "config": {"origins": ["https://shop.example"], "credentials": true}}
        ],
        "consumers": [{"id": "c0", "credential": "k0", "days": 300}, {"id": "c1", "credential": "k1", "days": 300}]
    },
    "documents": {"shop": [
        "GET /shop/orders", "POST /shop/orders", "GET /shop/orders/{id}", "PUT /shop/orders/{id}",
        "GET /shop/products", "GET /shop/products/{id}", "GET /shop/prices public"
    ]}
}"#;

/// What each call of a service has besides; the answers say that browsers must come by HTTPS, and nothing of versions.
fn calls(service: &str, route: &str, call: &str, template: &str, times: u64, more: &str) -> String {
    let signs = if more.contains("\"signs\"") { "" } else { r#", "signs": ["https", "strict_transport"]"# };
    format!(
        r#"{{"service": "{service}", "route": "{route}", "call": "{call}", "template": "{template}", "times": {times}, "every_s": 97{signs}{more}}}"#
    )
}

/// Two days of it.
fn two_days() -> Vec<String> {
    let key = r#", "consumer": "c{i%7}", "credential": "k{i%7}", "key": "header.apikey", "address": "192.0.2.{i%200}""#;
    let token = r#", "consumer": "u{i%40}", "authorization": true, "lifetime_s": 900, "signs": ["https", "jwt", "strict_transport"]"#;
    let mut all = vec![
        calls("shop", "orders", "GET /shop/orders/{h}", "/shop/orders/{id}", 1500, key),
        calls("shop", "orders", "PUT /shop/orders/{h}", "/shop/orders/{id}", 300, key),
        calls("shop", "orders", "POST /shop/orders", "/shop/orders", 400, &format!(r#"{key}, "status": 201"#)),
        calls(
            "shop",
            "orders",
            "GET /shop/orders",
            "/shop/orders",
            600,
            &format!(r#"{key}, "query": {{"limit": "{{i%5}}0", "cursor": "{{h}}"}}, "bytes": 180000"#),
        ),
        calls(
            "shop",
            "orders",
            "GET /shop/products/{h}",
            "/shop/products/{id}",
            900,
            &format!(r#"{key}, "signs": ["https", "cacheable"]"#),
        ),
        calls(
            "shop",
            "orders",
            "GET /shop/products",
            "/shop/products",
            500,
            &format!(r#"{key}, "query": {{"page": "{{i%9}}", "sort": "name"}}"#),
        ),
        calls(
            "shop",
            "orders",
            "GET /shop/prices",
            "/shop/prices",
            300,
            r#", "signs": ["https", "cacheable", "cors_any_origin"]"#,
        ),
        // What there always is: stale keys, wrong ids, an outage, a failure now and then.
        calls("shop", "orders", "GET /shop/orders/{h}", "/shop/orders/{id}", 40, r#", "status": 401, "gateway": true"#),
        calls("shop", "orders", "GET /shop/orders/{i}", "/shop/orders/{id}", 60, &format!(r#"{key}, "status": 404"#)),
        calls(
            "shop",
            "orders",
            "POST /shop/orders",
            "/shop/orders",
            12,
            &format!(r#"{key}, "status": 500, "at_m": 300"#),
        ),
        calls(
            "shop",
            "orders",
            "GET /shop/orders/{h}",
            "/shop/orders/{id}",
            80,
            &format!(r#"{key}, "status": 503, "gateway": true, "at_m": 700"#),
        ),
        calls(
            "shop",
            "orders",
            "GET /shop/orders",
            "/shop/orders",
            20,
            &format!(r#"{key}, "status": 429, "gateway": true"#),
        ),
        calls(
            "shop",
            "orders",
            "GET /shop/orders/{h}",
            "/shop/orders/{id}",
            50,
            r#", "status": 426, "gateway": true, "signs": ["plain_http"]"#,
        ),
        calls("shop", "orders", "OPTIONS /shop/orders", "/shop/orders", 200, r#", "status": 204"#),
        calls("shop", "orders", "GET /shop/healthz", "/shop/healthz", 2000, ""),
        // Accounts, with a sign-in.
        calls("accounts", "sign-in", "POST /login", "/login", 300, r#", "signs": ["https", "cookie_set"]"#),
        calls("accounts", "sign-in", "POST /login", "/login", 60, r#", "status": 401"#),
        calls(
            "accounts",
            "sign-in",
            "GET /.well-known/jwks.json",
            "/.well-known/jwks.json",
            400,
            r#", "signs": ["https", "cacheable", "cors_any_origin"]"#,
        ),
        calls("accounts", "accounts", "GET /me", "/me", 800, token),
        calls("accounts", "accounts", "PATCH /me", "/me", 90, token),
        calls(
            "accounts",
            "accounts",
            "GET /accounts/{h}/statements",
            "/accounts/{id}/statements",
            400,
            &format!(r#"{token}, "query": {{"year": "202{{i%5}}"}}"#),
        ),
        calls(
            "accounts",
            "accounts",
            "GET /accounts/{h}",
            "/accounts/{id}",
            30,
            r#", "authorization": true, "status": 401, "signs": ["https", "jwt", "jwt_unsigned"]"#,
        ),
        calls("accounts", "operators", "DELETE /admin/accounts/{h}", "/admin/accounts/{id}", 40, token),
        // Files, and what one network alone may ask for.
        calls(
            "media",
            "media",
            "GET /media/{h}/image",
            "/media/{id}/image",
            600,
            &format!(r#"{key}, "bytes": 4000000, "media": "image/jpeg""#),
        ),
        calls("media", "media", "GET /media/export", "/media/export", 30, &format!(r#"{key}, "bytes": 9000000"#)),
        calls("open-data", "open", "GET /stations/{h}", "/stations/{id}", 700, ""),
    ];
    // A scanner that finds nothing.
    for path in ["/.env", "/actuator/heapdump", "/admin", "/phpinfo.php", "/.git/config"] {
        all.push(calls("shop", "orders", &format!("GET {path}"), path, 5, r#", "status": 404"#));
        all.push(calls("shop", "orders", &format!("TRACE {path}"), path, 5, r#", "status": 405"#));
    }
    all
}

fn nothing_is_weak(mut lines: Vec<String>, head: Option<&str>) {
    lines.splice(0..0, head.map(|head| head.replace('\n', " ")));
    let mut run = run_of(Settings::default());
    at(&mut run, &lines);
    run.advance(run.now_ms + 5 * MINUTES_OF_AN_HOUR);
    let found: Vec<String> = run.posture.weaknesses().map(|one| format!("{}: {}", one.check, one.sentence)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(run.posture.drain_opened(), []);
    assert!(open(&run).is_empty());
}

#[test]
fn a_well_configured_api_has_no_weakness() {
    nothing_is_weak(two_days(), Some(HEAD));
}

#[test]
fn nor_has_it_one_where_only_its_traffic_is_known() {
    // That one path is meant for everybody, only its document says.
    let all = two_days().into_iter().filter(|line| !line.contains("/shop/prices"));
    nothing_is_weak(all.collect(), None);
}

#[test]
fn every_check_speaks_where_the_same_api_is_careless() {
    // What keeps the test above from passing because nothing was looked at.
    let careless: Vec<String> = two_days()
        .into_iter()
        .map(|line| {
            line.replace(r#""https""#, r#""plain_http", "upstream_version", "cookie_without_secure""#)
                .replace(r#", "cursor": "{h}""#, "")
                .replace("{h}", "{i}")
                .replace(r#""status": 404"#, r#""status": 200"#)
                .replace(r#""status": 405"#, r#""status": 200"#)
        })
        .collect();
    let mut run = run_of(Settings::default());
    at(&mut run, &careless);
    let found: std::collections::BTreeSet<String> = open(&run).into_iter().map(|one| one.check).collect();
    for check in [
        "plain_http",
        "verbose_server_headers",
        "cookie_flags",
        "enumerable_object_ids",
        "admin_or_debug_path",
        "unexpected_method",
    ] {
        assert!(found.contains(check), "{check} is not in {found:?}");
    }
}
