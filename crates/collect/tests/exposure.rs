//! What a line shows of how safely its API is offered, and which classes of what is replaced are told, with their places.
#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use outrider_classify::DataClass;
use outrider_collect::{
    FieldPolicies, FieldPolicy, FieldSettings, Normaliser, NormaliserSettings, PseudonymKey, Scratch, SessionCarrier,
    TrustedProxies,
};
use outrider_model::batch::{BatchReader, BatchWriter};
use outrider_model::{ApiCall, CLASSES_SEEN_MAX, ClassLocation, Exposure, FieldValue};
use proptest::prelude::*;
use serde_json::{Value, json};

const RECEIVED_MS: i64 = 1_795_448_391_727;

fn exposure_with(settings: NormaliserSettings, line: &Value, inspect: impl FnOnce(&ApiCall<'_>)) {
    let normaliser = Normaliser::new(settings, PseudonymKey::from_bytes(&[7; 32])).unwrap();
    let line = line.to_string();
    let mut scratch = Scratch::default();
    let call = normaliser.normalise(line.as_bytes(), Some(RECEIVED_MS), &mut scratch).unwrap();
    inspect(&call);
}

/// Signs, lifetime and classes as a text: `https jwt 3600 email@query.1`.
fn told(exposure: &Exposure<'_>) -> String {
    let signs = exposure.signs.iter().map(|sign| sign.as_str().to_owned());
    let lifetime = exposure.jwt_lifetime_s.iter().map(u32::to_string);
    let classes =
        exposure.classes.iter().map(|seen| format!("{}@{}.{}", &*seen.class, seen.location.as_str(), seen.at));
    signs.chain(lifetime).chain(classes).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check_with(settings: NormaliserSettings, line: &Value, expected: &str) {
    exposure_with(settings, line, |call| assert_eq!(told(&call.exposure), expected, "{line}"));
}

#[track_caller]
fn check(request: Value, expected: &str) {
    let line = json!({"request": request, "response": {"status": 200}, "source": "upstream"});
    check_with(NormaliserSettings::new("kong"), &line, expected);
}

fn token(header: &Value, claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.c2lnbmF0dXJl", part(header), part(claims))
}

/// One that lives for an hour.
fn usual_token() -> String {
    token(&json!({"alg": "RS256"}), &json!({"sub": "alice", "iat": 1_000, "exp": 4_600}))
}

#[test]
fn a_line_shows_how_its_client_came_and_what_its_answer_says() {
    let line = |url: &str, tls: Value, source: &str| {
        json!({"request": {"uri": "/a", "url": url, "headers": {"host": "api.example"}, "tls": tls}, "source": source,
            "started_at": RECEIVED_MS, "response": {"status": 200, "headers": {"server": "nginx/1.25", "via": "1.1 kong/3.9.1",
            "access-control-allow-origin": "*", "set-cookie": ["a=1; Secure; HttpOnly; SameSite=Lax", "b=2; Secure"],
            "expires": "Mon, 30 Nov 2026 00:00:00 GMT", "strict-transport-security": "max-age=60"}}})
    };
    let answer = "cors_any_origin upstream_version gateway_version cookie_set cookie_without_http_only \
                  cookie_without_same_site cacheable strict_transport";
    let old = json!({"version": "TLSv1.1", "cipher": "DES-CBC3-SHA", "client_verify": "NONE"});
    let usual = || NormaliserSettings::new("kong");
    let from = |source| line("http://api.example:8000/a", Value::Null, source);
    check_with(usual(), &from("upstream"), &format!("plain_http {answer}"));
    check_with(usual(), &from("kong"), "plain_http gateway_version");
    let line = line("https://api.example:8443/a", old, "upstream");
    check_with(usual(), &line, &format!("https old_tls weak_cipher {answer}"));
    // What Kong could not read: it makes up a URL.
    let garbage =
        json!({"request": {"uri": "", "url": "http://kong:18000", "headers": {}}, "response": {"status": 400}});
    check_with(usual(), &garbage, "");
}

#[test]
fn behind_a_proxy_its_word_counts() {
    let headers =
        |forwarded_for: &str, proto: Value| json!({"x-forwarded-for": forwarded_for, "x-forwarded-proto": proto});
    let standard = |forwarded: &str| json!({"forwarded": forwarded, "x-forwarded-proto": "http"});
    let trusts = |header: &str| NormaliserSettings {
        trusted_proxies: Some(TrustedProxies {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            header: header.to_owned(),
        }),
        ..NormaliserSettings::new("kong")
    };
    let own = || trusts("x-forwarded-for");
    let client = "198.51.100.1";
    for (settings, logged, headers, expected) in [
        (own(), "10.0.0.1", headers(client, json!("https")), "https"),
        (own(), "10.0.0.1", headers(client, json!("http")), "plain_http"),
        (own(), "10.0.0.1", headers(client, Value::Null), ""),
        (own(), "10.0.0.1", headers(client, json!("gopher")), ""),
        // What the client wrote stands before what the proxies did.
        (own(), "10.0.0.1", headers(client, json!("https, http")), "plain_http"),
        (own(), "10.0.0.1", headers(client, json!(["https", "http"])), "plain_http"),
        (own(), "10.0.0.1", headers("198.51.100.1, 10.0.0.2", json!("https, http")), "https"),
        (own(), "10.0.0.1", headers("198.51.100.1, 10.0.0.2", json!("https")), "https"),
        (own(), "203.0.113.5", headers(client, json!("https")), "plain_http"),
        (trusts("forwarded"), "10.0.0.1", standard("for=198.51.100.1;proto=https"), "https"),
        (
            trusts("forwarded"),
            "10.0.0.1",
            standard("for=198.51.100.1;proto=\"https\", for=10.0.0.2;proto=http"),
            "https",
        ),
        (trusts("forwarded"), "10.0.0.1", standard("proto=https;for=203.0.113.9, for=198.51.100.1"), ""),
        (trusts("x-real-ip"), "10.0.0.1", headers(client, json!("https")), "https"),
        // Where no proxies are told, whoever claims HTTPS may be one.
        (NormaliserSettings::new("kong"), "10.0.0.1", headers(client, json!("https")), ""),
        (NormaliserSettings::new("kong"), "10.0.0.1", headers(client, json!("http")), "plain_http"),
    ] {
        let line = json!({"request": {"uri": "/a", "url": "http://api.example:8000/a", "headers": headers,
            "tls": {"version": "TLSv1", "cipher": "RC4-MD5"}}, "client_ip": logged, "response": {"status": 200}});
        exposure_with(settings, &line, |call| {
            let signs = told(&call.exposure);
            let signs = signs.strip_suffix(" old_tls weak_cipher").unwrap_or(&signs);
            assert_eq!(signs, expected, "{logged} {line}");
        });
    }
}

#[test]
fn tokens_are_told_of_wherever_they_are_recognised() {
    let token = usual_token();
    let jwt = "jwt 3600 json_web_token";
    check(json!({"uri": format!("/a?x=1&access_token={token}")}), &format!("{jwt}@query.1"));
    check(json!({"uri": format!("/a?q={token}")}), &format!("{jwt}@query.0"));
    check(json!({"uri": format!("/a?{token}=1")}), &format!("{jwt}@query.0"));
    check(json!({"uri": format!("/reset/{token}/x")}), &format!("{jwt}@path.1"));
    for (name, value) in [
        ("x-auth-token", token.clone()),
        ("x-any", token.clone()),
        ("authorization", format!("Bearer {token}")),
        ("cookie", format!("theme=dark; t=\"{token}\"")),
        ("referer", format!("https://x.example/a?{token}#b")),
        ("x-json", json!({"token": token}).to_string()),
        ("x-encoded", STANDARD.encode(json!({"t": token}).to_string())),
    ] {
        check(json!({"uri": "/a", "headers": {"a": "1", name: value}}), &format!("{jwt}@header.1"));
    }
    let unsigned = self::token(&json!({"alg": "None"}), &json!({"sub": "alice"}));
    check(json!({"uri": format!("/a?t={unsigned}")}), "jwt jwt_unsigned jwt_without_expiry json_web_token@query.0");
    check(json!({"uri": "/a", "headers": {"authorization": "REDACTED"}}), "");
    // Of several the longest life.
    let long = self::token(&json!({"alg": "RS256"}), &json!({"iat": 0, "exp": 86_400}));
    check(
        json!({"uri": format!("/a?a={token}&b={long}&c={token}")}),
        "jwt 86400 json_web_token@query.0 json_web_token@query.1 json_web_token@query.2",
    );
}

#[test]
fn classes_are_told_with_their_places_in_any_encoding() {
    let mail = "alice@corp.example";
    let card = "4111111111111111";
    check(json!({"uri": format!("/users/{mail}/cards/{card}")}), "email@path.1 payment_card@path.3");
    check(json!({"uri": "/users/alice%40corp.example/x"}), "email@path.1");
    check(json!({"uri": format!("//a/{}", URL_SAFE_NO_PAD.encode(mail))}), "email@path.2");
    check(json!({"uri": format!("{mail}/a")}), "email@path.0");
    check(json!({"uri": format!("/a?x=1&q=a,{mail},b&q={card}")}), "email@query.1 payment_card@query.2");
    check(
        json!({"uri": format!("/a?q={}", STANDARD.encode(format!("{mail} {card}")).replace('+', "%2B"))}),
        "email@query.0 payment_card@query.0",
    );
    check(json!({"uri": format!("/a?q={mail}&q={mail},bob@corp.example")}), "email@query.0 email@query.1");
    check(json!({"uri": "/a?next=https://alice:wonder@corp.example/"}), "password@query.0");
    check(json!({"uri": "/a?phone=%2B4915112345678&pwd=hunter2"}), "phone@query.0 password@query.1");
    check(
        json!({"uri": "/a", "headers": {"a": "1", "apikey": "k-1", "x-note": format!("a {mail}"), "x-user": "b"}}),
        "api_key@header.1 email@header.2",
    );
    check(json!({"uri": "/a", "headers": {"x-secret": "s", "key": "k"}}), "api_key@header.0 access_token@header.1");
    check(json!({"uri": "/a", "headers": {"x-any": "sk_live_4eC39HqLyjWDarjtT1zdp7dc"}}), "api_key@header.0");
    check(
        json!({"uri": "/a", "headers": {"x-pem": "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----"}}),
        "private_key@header.0",
    );
    check(json!({"uri": "/a", "headers": {"x-note": ["a alice@corp", ".example"], "x-z": "1"}}), "email@header.0");
    check(
        json!({"uri": "/a", "headers": {"cookie": "theme=dark; PHPSESSID=abc; csrf_token=x"}}),
        "session_id@header.0 access_token@header.0",
    );
    // What Kong added is no part of the call's list.
    check(json!({"uri": "/a", "headers": {"x-consumer-id": "c", "x-mail": mail}}), "email@header.0");
    check(json!({"uri": "/a", "headers": {"host": format!("{mail}:80"), "x-mail": mail}}), "email@header.1");
    check(json!({"uri": "/orders/4711?page=2", "headers": {"accept": "*/*"}}), "");
}

fn by_policy(policy: FieldPolicy) -> NormaliserSettings {
    NormaliserSettings {
        field_policies: FieldPolicies {
            header: [("x-mail".to_owned(), policy)].into(),
            query: [("mail".to_owned(), policy)].into(),
            ..FieldPolicies::default()
        },
        ..NormaliserSettings::new("kong")
    }
}

#[test]
fn what_is_dropped_or_masked_is_not_told_and_what_is_kept_is() {
    let (mail, token) = ("alice@corp.example", usual_token());
    let line = json!({"request": {"uri": format!("/a?a=1&mail={mail}&mail={token}&key=k"),
        "headers": {"x-a": "1", "x-mail": [mail, token], "x-z": "sk_live_4eC39HqLyjWDarjtT1zdp7dc"}}});
    let line = json!({"request": line["request"], "response": {"status": 200}});
    let both = "jwt 3600 email@header.1 json_web_token@header.2 api_key@header.3 email@query.1 json_web_token@query.2 \
                api_key@query.3";
    check_with(NormaliserSettings::new("kong"), &line, both);
    check_with(by_policy(FieldPolicy::Keep), &line, both);
    check_with(by_policy(FieldPolicy::Pseudonymise), &line, both);
    check_with(by_policy(FieldPolicy::Mask), &line, "api_key@header.3 api_key@query.3");
    check_with(by_policy(FieldPolicy::Drop), &line, "api_key@header.1 api_key@query.1");
    exposure_with(by_policy(FieldPolicy::Keep), &line, |call| {
        assert_eq!(call.query[1].value, FieldValue::Clear(mail.into()), "it is in clear all the same");
    });
    let drop = ["line.request.headers[\"X-Mail\"]", "line.request.querystring.mail"].map(str::to_owned).to_vec();
    check_with(
        NormaliserSettings { drop, ..NormaliserSettings::new("kong") },
        &line,
        "api_key@header.1 api_key@query.1",
    );
    let cookies = |policy| NormaliserSettings {
        session: Some(SessionCarrier::Cookie("visit".to_owned())),
        field_policies: FieldPolicies { cookie: [("t".to_owned(), policy)].into(), ..FieldPolicies::default() },
        ..NormaliserSettings::new("kong")
    };
    let cookie = json!({"request": {"uri": "/a", "headers": {"cookie": format!("visit=1; t={token}")}}});
    check_with(cookies(FieldPolicy::Keep), &cookie, "jwt 3600 session_id@header.0 json_web_token@header.0");
    check_with(cookies(FieldPolicy::Mask), &cookie, "session_id@header.0");
}

#[test]
fn mapped_fields_are_told_of_by_their_place_among_those_that_stay() {
    let field = |name: &str, value: &str| FieldSettings { name: name.to_owned(), value: value.to_owned() };
    let fields = vec![
        field("tenant", "line.tenant"),
        field("long", "line.long"),
        field("mails", "line.mails"),
        field("account", "line.account"),
        field("sid", "line.sid"),
        field("proof", "line.proof"),
    ];
    let session = Some(SessionCarrier::Field("sid".to_owned()));
    let settings = NormaliserSettings { fields, session, ..NormaliserSettings::new("kong") };
    let long = format!("alice@corp.example {}", "x".repeat(2_000));
    let line = json!({"request": {"uri": "/a"}, "tenant": "acme", "long": long, "mails": ["x", "alice@corp.example"],
        "account": "bob@corp.example", "sid": "s-1", "proof": usual_token()});
    check_with(settings, &line, "jwt 3600 email@field.2 email@field.3 session_id@field.4 json_web_token@field.5");
}

#[test]
fn no_more_are_told_than_a_call_has_room_for() {
    let query: Vec<String> = (0..CLASSES_SEEN_MAX + 9).map(|at| format!("m{at}=alice@corp.example")).collect();
    let line = json!({"request": {"uri": format!("/a?{}", query.join("&"))}, "response": {"status": 200}});
    exposure_with(NormaliserSettings::new("kong"), &line, |call| {
        let places: Vec<usize> = call.exposure.classes.iter().map(|seen| usize::from(seen.at)).collect();
        assert_eq!(places, (0..CLASSES_SEEN_MAX).collect::<Vec<_>>());
    });
}

/// Each class that is told is one of `classify`, and stands where the call has something.
fn assert_sound(call: &ApiCall<'_>) {
    for seen in &call.exposure.classes {
        assert!(DataClass::all().any(|class| class.as_str() == &*seen.class), "{seen:?}");
        let places = match seen.location {
            ClassLocation::Path => call.path.strip_prefix('/').unwrap_or(&call.path).split('/').count(),
            ClassLocation::Query => call.query.len(),
            ClassLocation::Header => call.headers.len(),
            ClassLocation::Field => call.fields.len(),
        };
        assert!(usize::from(seen.at) < places, "{seen:?} of {places}");
    }
    let mut writer = BatchWriter::default();
    writer.push(call).unwrap();
    let bytes = writer.take();
    assert_eq!(BatchReader::new(&bytes).unwrap().next().unwrap().unwrap().exposure, call.exposure);
}

/// Texts with the signs that something is made of.
fn text() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "alice@corp.example",
        "4111111111111111",
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJ",
        ".",
        "%40",
        "%2F",
        "/",
        "=",
        "&",
        ";",
        ",",
        " ",
        "\"",
        "\\u0040",
        "token",
        "password",
        ": ",
        "://",
        "https",
        "http",
        "max-age",
        "0",
        "1",
        "kong/3",
        "YWxpY2VAY29ycC5leGFtcGxl",
        "none",
        "SameSite",
        "\u{e9}",
        "\u{0}",
        "for",
        "proto",
        "-----BEGIN PRIVATE KEY-----",
    ]);
    prop::collection::vec(parts, 0..8).prop_map(|parts| parts.concat())
}

/// A value of any type, as Lua may put anywhere.
fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => text().prop_map(Value::from),
        1 => prop::collection::vec(text(), 0..4).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => text().prop_map(|text| json!({text: 1})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(256)
    ))]

    #[test]
    fn nothing_makes_it_fail_and_what_is_told_is_sound(
        url in anything(), uri in anything(), version in anything(), cipher in anything(),
        names in prop::collection::vec(prop::sample::select(vec!["x-forwarded-for", "x-forwarded-proto", "forwarded", "cookie",
            "x-note", "apikey", "authorization", "x-mail", "host"]), 0..6),
        values in prop::collection::vec(anything(), 6),
        answers in prop::collection::vec((prop::sample::select(vec!["server", "via", "x-powered-by", "set-cookie", "cache-control",
            "expires", "strict-transport-security", "access-control-allow-origin", "content-type"]), anything()), 0..6),
        client in any::<u32>(), source in prop::sample::select(vec!["kong", "upstream", ""]), mapped in anything(),
        policy in prop::sample::select(vec![FieldPolicy::Keep, FieldPolicy::Mask, FieldPolicy::Drop, FieldPolicy::Pseudonymise]),
    ) {
        let headers: serde_json::Map<String, Value> =
            names.iter().map(|name| (*name).to_owned()).zip(values).collect();
        let answers: serde_json::Map<String, Value> =
            answers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let line = json!({"request": {"uri": uri, "url": url, "headers": headers, "tls": {"version": version, "cipher": cipher}},
            "response": {"status": 200, "headers": answers}, "source": source,
            "client_ip": IpAddr::from(client.to_be_bytes()).to_string(), "mapped": mapped});
        let settings = NormaliserSettings {
            fields: vec![FieldSettings { name: "mapped".to_owned(), value: "line.mapped".to_owned() }],
            trusted_proxies: Some(TrustedProxies {
                networks: vec!["0.0.0.0/1".parse().unwrap()],
                header: ["x-forwarded-for", "forwarded"][usize::from(client % 2 == 0)].to_owned(),
            }),
            drop: vec!["line.request.headers[\"x-note\"]".to_owned()],
            ..by_policy(policy)
        };
        exposure_with(settings, &line, assert_sound);
    }
}
