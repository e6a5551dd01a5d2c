//! Thousands of generated personal values and secrets, in every place of a line and in every encoding: none leaves, each leaves
//! the same pseudonym, what stands around them stays, and what only looks like them stays as well.
#![allow(clippy::unwrap_used)]

#[path = "planted/values.rs"]
mod values;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use outrider_classify::DataClass;
use outrider_collect::{Domain, Normaliser, NormaliserSettings, PseudonymKey, Scratch, lossless};
use outrider_model::batch::BatchWriter;
use outrider_model::{ApiCall, FieldValue};
use proptest::prelude::*;
use serde_json::{Value, json};
use values::{Kind, Planted, Random, benign, planted};

/// So many values of each kind.
const ROUNDS: u64 = 84;

/// What an attacker puts behind a value to get somewhere.
const ATTACK: &str = "' OR 1=1--";

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Plain,
    Percent,
    PercentInLowerCase,
    DoublePercent,
    Base64,
    Base64Url,
    Json,
}

const ENCODINGS: [Encoding; 7] = [
    Encoding::Plain,
    Encoding::Percent,
    Encoding::PercentInLowerCase,
    Encoding::DoublePercent,
    Encoding::Base64,
    Encoding::Base64Url,
    Encoding::Json,
];

fn percent(text: &str, escapes: impl Fn(u8) -> bool) -> String {
    text.bytes().map(|byte| if escapes(byte) { format!("%{byte:02X}") } else { char::from(byte).to_string() }).collect()
}

fn is_reserved(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn encoded(text: &str, encoding: Encoding) -> String {
    match encoding {
        Encoding::Plain => text.to_owned(),
        Encoding::Percent => percent(text, |_| true),
        Encoding::PercentInLowerCase => with_small_escapes(&percent(text, is_reserved)),
        Encoding::DoublePercent => percent(&percent(text, |_| true), |byte| byte == b'%'),
        Encoding::Base64 => STANDARD.encode(text),
        Encoding::Base64Url => URL_SAFE_NO_PAD.encode(text),
        Encoding::Json => text
            .chars()
            .map(|character| match character {
                '0'..='9' | 'a'..='z' | 'A'..='Z' => character.to_string(),
                other => format!("\\u{:04x}", u32::from(other)),
            })
            .collect(),
    }
}

/// `%4A` as `%4a`, with everything else as it is.
fn with_small_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut escaped = 0;
    for character in text.chars() {
        out.push(if escaped > 0 { character.to_ascii_lowercase() } else { character });
        escaped = if character == '%' { 2 } else { i32::max(escaped - 1, 0) };
    }
    out
}

/// A request with the written value in one place. What a URI cannot hold is escaped there once more.
fn places(written: &str, name: &str) -> Vec<(&'static str, Value)> {
    let in_uri = percent(written, |byte| is_reserved(byte) && byte != b'%');
    let in_query = percent(written, is_reserved);
    let json_text = serde_json::to_string(&json!({"a": 1, name: written, "b": "x"})).unwrap();
    let header = |header: &str, value: String| json!({"uri": "/a", "headers": {header: value}});
    let attack = percent(ATTACK, is_reserved);
    vec![
        ("path", json!({"uri": format!("/{name}/{in_uri}/orders")})),
        ("path with attack", json!({"uri": format!("/{name}/{in_uri}{attack}/orders")})),
        ("path parameter", json!({"uri": format!("/a;{name}={in_uri}/b")})),
        ("query", json!({"uri": format!("/a?x=1&{name}={in_query}&y=2")})),
        ("query with attack", json!({"uri": format!("/a?{name}={in_query}{attack}")})),
        ("query name", json!({"uri": format!("/a?{name}%20{in_query}=1")})),
        ("json in query", json!({"uri": format!("/a?filter={}", percent(&json_text, is_reserved))})),
        ("nested url", json!({"uri": format!("/a?next={}", percent(&format!("/b?{name}={in_query}"), is_reserved))})),
        ("referer", header("referer", format!("https://x.example/a?{name}={in_query}#x"))),
        ("header", header("x-note", format!("{name}: {written}"))),
        ("header with attack", header("x-note", format!("{name}={written} {ATTACK}"))),
        ("user agent", header("user-agent", format!("client/1.0 ({name}: {written})"))),
        ("repeated header", json!({"uri": "/a", "headers": {"x-note": ["a", format!("{name}={written}"), "b"]}})),
        ("plain header", header("x-request-id", format!("{name}={written}"))),
    ]
}

fn normaliser() -> Normaliser {
    Normaliser::new(NormaliserSettings::new("kong"), PseudonymKey::from_bytes(&[7; 32])).unwrap()
}

/// Everything that leaves of a call, as text: the values with their pseudonyms, the batch, and what is told of its exposure.
fn leaving(normaliser: &Normaliser, request: &Value) -> Vec<String> {
    leaving_of(normaliser, &json!({"request": request, "response": {"status": 200}}))
}

fn leaving_of(normaliser: &Normaliser, line: &Value) -> Vec<String> {
    let line = line.to_string();
    let mut scratch = Scratch::default();
    let call = normaliser.normalise(line.as_bytes(), Some(1_795_448_391_727), &mut scratch).unwrap();
    let mut writer = BatchWriter::default();
    writer.push(&call).unwrap();
    let batch = String::from_utf8_lossy(&writer.take()).into_owned();
    for seen in &call.exposure.classes {
        assert!(DataClass::all().any(|class| class.as_str() == &*seen.class), "{seen:?} is no class: {line}");
    }
    vec![values_of(&call), batch, classes_of(&call)]
}

/// Each class that is told, between spaces.
fn classes_of(call: &ApiCall<'_>) -> String {
    call.exposure.classes.iter().map(|seen| format!(" {} ", &*seen.class)).collect()
}

fn values_of(call: &ApiCall<'_>) -> String {
    let mut out = format!("{}\n{}\n", &*call.path, &*call.host);
    for field in call.query.iter().chain(&call.headers) {
        out.push_str(&field.name);
        out.push('=');
        match &field.value {
            FieldValue::Clear(text) => out.push_str(text),
            FieldValue::Pseudonym(pseudonym, _) => out.push_str(&pseudonym.to_string()),
            FieldValue::Flag | FieldValue::Redacted => {}
        }
        out.push('\n');
    }
    out
}

/// The text and what somebody makes of it who takes off its encodings.
fn readings(text: &str) -> Vec<String> {
    let mut readings = vec![text.to_owned()];
    for _ in 0..3 {
        let last = readings.last().unwrap();
        readings.push(without_escapes(last));
    }
    for run in text.split(|character: char| !character.is_ascii_alphanumeric() && !"+/_-".contains(character)) {
        let run = run.replace('-', "+").replace('_', "/");
        let engine = &base64::engine::general_purpose::STANDARD_NO_PAD;
        if run.len() >= 8
            && let Ok(bytes) = engine.decode(&run)
        {
            readings.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    readings
}

fn without_escapes(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some(&byte) = rest.first() {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let (decoded, length) = match rest {
            [b'%', high, low, ..] => (hex(&[*high, *low]), 3),
            [b'\\', b'u', b'0', b'0', high, low, ..] => (hex(&[*high, *low]), 6),
            _ => (None, 1),
        };
        bytes.push(decoded.unwrap_or(byte));
        rest = &rest[if decoded.is_some() { length } else { 1 }..];
    }
    lossless::to_text(&bytes).into_owned()
}

/// What must not be read anywhere: the value, and the part of it that nothing else has.
fn assert_gone(context: &str, value: &Planted, leaving: &[String]) {
    let needles = [value.text.to_lowercase(), value.core.to_lowercase()];
    for reading in leaving.iter().flat_map(|text| readings(text)) {
        let reading = reading.to_lowercase();
        for needle in &needles {
            assert!(!reading.contains(needle), "{context}: `{needle}` leaves in {reading:?}");
        }
    }
}

/// Whether somebody who reads this place could know the value for what it is. Not looked at are the headers that only hold
/// ids; of a password nothing speaks but a name that stands right before it; the name that a bare number needs is outside of its
/// base64; and in a path a `/` of base64 is one of the path.
fn is_readable(kind: Kind, encoding: Encoding, place: &str) -> bool {
    let is_base64 = matches!(encoding, Encoding::Base64 | Encoding::Base64Url);
    match (place, kind) {
        ("plain header", Kind::Email) => !is_base64 && encoding != Encoding::Json,
        ("plain header", _) | ("path" | "path with attack" | "query name", Kind::Password) => false,
        (_, Kind::Password) => true,
        (place, _) if place.starts_with("path") && encoding == Encoding::Base64 => false,
        _ => !is_base64 || !kind.needs_name(),
    }
}

#[test]
fn nothing_planted_leaves() {
    let normaliser = normaliser();
    let mut random = Random::new(0x6f75_7472_6964_6572);
    let mut count = 0;
    for round in 0..ROUNDS {
        for kind in Kind::ALL {
            let value = planted(kind, &mut random);
            // Each round another encoding, so that each place sees each many times.
            for (index, (place, _)) in places("", "").into_iter().enumerate() {
                let encoding = ENCODINGS[(round as usize + index) % ENCODINGS.len()];
                if !is_readable(kind, encoding, place) {
                    continue;
                }
                let request = places(&encoded(&value.text, encoding), kind.name()).swap_remove(index).1;
                let leaving = leaving(&normaliser, &request);
                let context = format!("{kind:?} `{}` {encoding:?} in {place}: {request}", value.text);
                assert_gone(&context, &value, &leaving);
                let is_told = leaving[2].contains(&format!(" {} ", kind.class()));
                assert!(is_told, "{context}: the class is not told, but `{}`", leaving[2]);
                if place.ends_with("attack") && !kind.is_credential_by_name() {
                    let is_kept = readings(&leaving[0]).iter().any(|reading| reading.contains("OR 1=1--"));
                    assert!(is_kept, "{context}: the attack is gone from {:?}", leaving[0]);
                }
                if let Some(canonical) = &value.canonical {
                    let key = PseudonymKey::from_bytes(&[7; 32]);
                    let pseudonym = key.pseudonym(Domain::Personal, canonical.as_bytes()).to_string();
                    let joins = readings(&leaving[0]).iter().any(|reading| reading.contains(&pseudonym));
                    assert!(joins, "{context}: {pseudonym} of `{canonical}` is not in {:?}", leaving[0]);
                }
                count += 1;
            }
        }
    }
    assert!(count > 10_000, "only {count} were looked at");
}

#[test]
fn a_token_that_spells_a_name_does_not_leave() {
    let normaliser = normaliser();
    for middle in ["a9MVpwd", "Zz.password", "x1Key", "7apiKey"] {
        let text = format!("eyJhbGciOiJIUzI1NiJ9.eyJgZ5mhg7HdkkArp5AaCcTe{middle}.clnIm0w5ieQB0nCMWRmI7Z8QKkKVe6xX1O9");
        let value = Planted { core: text.clone(), text: text.clone(), canonical: None };
        let in_json = json!({"t": text, "list": [text]}).to_string();
        for request in [
            json!({"uri": "/a", "headers": {"x-json": in_json}}),
            json!({"uri": format!("/a?filter={}", percent(&in_json, is_reserved))}),
            json!({"uri": "/a", "headers": {"x-note": format!("\"{text}\" was sent")}}),
            json!({"uri": "/a", "headers": {"x-note": format!("{text}=1; {text}: 1")}}),
            json!({"uri": "/a", "headers": {"referer": format!("https://x.example/a?{text}=1")}}),
            json!({"uri": format!("/a?{text}=1")}),
        ] {
            assert_gone(&request.to_string(), &value, &leaving(&normaliser, &request));
        }
    }
}

#[test]
fn nothing_split_over_a_repeated_header_leaves() {
    let normaliser = normaliser();
    let mut random = Random::new(7);
    for _ in 0..ROUNDS {
        for kind in [Kind::Email, Kind::Iban, Kind::JsonWebToken, Kind::ProviderKey, Kind::Card] {
            let value = planted(kind, &mut random);
            for at in [4, value.text.len() / 2, value.text.len() - 4] {
                let (head, tail) = value.text.split_at(at);
                let request = json!({"uri": "/a", "headers": {kind.name(): [head, tail]}});
                let leaving = leaving(&normaliser, &request);
                assert_gone(&format!("{kind:?} {request}"), &value, &leaving);
            }
        }
    }
}

#[test]
fn nothing_leaves_by_the_host_or_a_rejection() {
    let normaliser = normaliser();
    let mut random = Random::new(11);
    for _ in 0..ROUNDS {
        let value = planted(Kind::Email, &mut random);
        for request in [
            json!({"uri": "/a", "headers": {"host": format!("{}:secret@api.example", value.core)}}),
            json!({"uri": "/a", "url": format!("https://{}:secret@api.example/a", value.core)}),
            json!({"uri": "/a", "headers": {"host": percent(&value.text, is_reserved)}}),
            json!({"uri": "/a", "url": format!("https://{}/a", percent(&value.text, is_reserved))}),
            json!({"uri": "/a", "headers": {"referer": format!("https://{}:secret@api.example/a", value.core)}}),
        ] {
            assert_gone(&request.to_string(), &value, &leaving(&normaliser, &request));
        }
        let line = json!({"request": {"uri": format!("/{}", value.text)}}).to_string();
        let torn = &line.as_bytes()[..line.len() - 3];
        let reason = normaliser.normalise(torn, None, &mut Scratch::default()).unwrap_err();
        assert_gone("rejection", &value, &[format!("{reason} {reason:?} {normaliser:?}")]);
    }
}

#[test]
fn what_only_looks_like_it_stays() {
    let normaliser = normaliser();
    let mut random = Random::new(13);
    let mut replaced = Vec::new();
    let mut count = 0;
    for _ in 0..ROUNDS * 4 {
        for value in benign(&mut random) {
            let written = percent(&value, is_reserved);
            let channel = ["mobile", "mobile/v1", "mobile/orders", "api/call", "sms", "cell"][count % 6];
            let time = ["phone_verified_at", "last_call", "call_duration_ms", "mobile_build"][count % 4];
            for request in [
                json!({"uri": format!("/{channel}/{value}")}),
                json!({"uri": format!("/items?{time}={written}")}),
                json!({"uri": format!("/items/{value}/parts")}),
                json!({"uri": format!("/items?id={written}&page=2")}),
                json!({"uri": "/items", "headers": {"x-item": value}}),
            ] {
                count += 1;
                if !leaving(&normaliser, &request)[0].contains(&value) {
                    replaced.push(request);
                }
            }
        }
    }
    assert!(
        replaced.len() * 1000 < count * 3,
        "{} of {count}: {:?}",
        replaced.len(),
        &replaced[..replaced.len().min(10)]
    );
}

/// A line with everything in it that clients, backends and plugins decide, as Kong 3.9 writes it.
fn whole_line() -> Value {
    json!({
        "request": {
            "id": "6f0f4b3a5d1c9e27", "method": "POST", "size": 512,
            "uri": "/shop/v1/orders;view=full/lines?customer=abc&next=/b?c=d&filter={\"a\":[1,\"x\"]}#top",
            "url": "https://api.shop.example:8443/shop/v1/orders?customer=abc",
            "querystring": {"customer": "abc", "flag": true, "list": ["a", "b"]},
            "headers": {
                "host": "api.shop.example", "user-agent": "client/1.0 (linux; x86)", "accept": "text/html, */*",
                "referer": "https://shop.example/start?q=shoes&page=2#x", "origin": "https://shop.example",
                "cookie": "sid=abcdef; theme=dark", "x-request-id": "abc-def", "traceparent": "00-ab-cd-01",
                "x-note": "call me: back, or (write)", "x-list": ["one", "two"], "if-none-match": "W/\"abc\"",
                "content-type": "multipart/form-data; boundary=abc", "x-json": "{\"a\":{\"b\":\"c\"}}",
                "forwarded": "for=192.0.2.1;host=\"shop\"", "x-forwarded-for": "192.0.2.1",
            },
            "tls": {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "client_verify": "NONE"},
        },
        "response": {"status": 201, "size": 64, "headers": {
            "content-type": "application/json; charset=utf-8", "location": "/shop/v1/orders/abc", "set-cookie": "sid=abc; Path=/",
        }},
        "upstream_uri": "/v1/orders?customer=abc", "upstream_status": "201", "source": "upstream",
        "client_ip": "192.0.2.1", "trace_id": {"w3c": "abc"}, "correlation_id": "abc",
        "tries": [{"ip": "192.0.2.9", "port": 80, "state": "failed"}],
        "custom": {"note": "from Lua", "parts": ["a", "b"]}, "outrider_key": "abc",
        "started_at": 1_795_448_391_727_i64,
    })
}

/// Where a text stands in a line.
#[derive(Debug, Clone)]
enum Spot {
    Value(String),
    /// The name of the field that a pointer leads to.
    Name(String),
}

fn spots(value: &Value, pointer: &str, spots: &mut Vec<Spot>) {
    match value {
        Value::String(_) => spots.push(Spot::Value(pointer.to_owned())),
        Value::Array(elements) => {
            elements.iter().enumerate().for_each(|(at, value)| self::spots(value, &format!("{pointer}/{at}"), spots));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let pointer = format!("{pointer}/{name}");
                // Names that nobody but Kong gives are the shape of the line.
                if ["/request/headers/", "/request/querystring/", "/custom/"].iter().any(|by| pointer.starts_with(by)) {
                    spots.push(Spot::Name(pointer.clone()));
                }
                self::spots(value, &pointer, spots);
            }
        }
        _ => {}
    }
}

/// Puts a text into another one, at a place of its choice.
fn put_in(text: &str, written: &str, at: &prop::sample::Index) -> String {
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let (before, after) = text.split_at(*at.get(&ends));
    format!("{before}{written}{after}")
}

/// The line with a text put in somewhere.
fn planted_line(spot: &Spot, written: &str, at: &prop::sample::Index) -> Value {
    let mut line = whole_line();
    match spot {
        Spot::Value(pointer) => {
            let value = line.pointer_mut(pointer).unwrap();
            *value = Value::from(put_in(value.as_str().unwrap(), written, at));
        }
        Spot::Name(pointer) => {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let fields = line.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            let value = fields.remove(name).unwrap();
            fields.insert(put_in(name, written, at), value);
        }
    }
    line
}

/// What is not looked at, as the page on security says: headers that hold ids, lists and addresses by their nature, a host and the type of
/// the answer, where nothing in them is a sign of more; and Kong's own id of the request. Names of headers are in lower case, in which
/// a key or a token is none any more.
fn is_left_alone(kind: Kind, spot: &Spot, written: &str) -> bool {
    let is_cased = matches!(kind, Kind::JsonWebToken | Kind::ProviderKey);
    let pointer = match spot {
        Spot::Name(pointer) => return is_cased && pointer.starts_with("/request/headers/"),
        Spot::Value(pointer) => pointer.as_str(),
    };
    let has_sign = written.contains(['@', '%']);
    match pointer {
        "/request/id" => true,
        "/request/headers/host" | "/response/headers/content-type" => is_cased && !has_sign,
        _ => match pointer.strip_prefix("/request/headers/") {
            Some("accept" | "content-type" | "traceparent" | "x-forwarded-for" | "x-request-id") => !has_sign,
            _ => false,
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn nothing_planted_anywhere_in_a_line_leaves(
        seed in any::<u64>(),
        kind in prop::sample::select(vec![Kind::Email, Kind::Card, Kind::JsonWebToken, Kind::Iban, Kind::ProviderKey]),
        encoding in prop::sample::select(vec![Encoding::Plain, Encoding::Percent, Encoding::DoublePercent, Encoding::Json]),
        spot in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        around in prop::sample::select(vec![("/", "/"), ("=", "&"), (":", ","), ("(", ")"), (" ", " "), ("'", "'"), ("\"", "\"")]),
    ) {
        let value = planted(kind, &mut Random::new(seed));
        let mut all = Vec::new();
        spots(&whole_line(), "", &mut all);
        let spot = spot.get(&all);
        let written = format!("{}{}{}", around.0, encoded(&value.text, encoding), around.1);
        prop_assume!(!is_left_alone(kind, spot, &written));
        let line = planted_line(spot, &written, &at);
        let context = format!("{kind:?} `{}` {encoding:?} in {spot:?}: {line}", value.text);
        assert_gone(&context, &value, &leaving_of(&normaliser(), &line));
    }
}
