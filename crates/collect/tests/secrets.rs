//! Planted secrets never reach an encoded batch, whatever carries them and however they are written.
#![allow(clippy::unwrap_used)]

use outrider_collect::{Normaliser, NormaliserSettings, PseudonymKey, Scratch, SessionCarrier, SourceSecret};
use outrider_model::batch::BatchWriter;
use serde_json::{Value, json};

const SECRETS: [&str; 6] = [
    "wonderland-7f3e9a",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLWFsaWNl",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "p@ss/word?with=odd&chars#7",
    "caf\u{e9}-geheim-\u{4e2d}\u{6587}",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
];

const SOURCE_SECRET: &str = "the-source-secret-0123456789";

fn percent(secret: &str, every: bool) -> String {
    secret
        .bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() && !every {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

/// Lines with the secret in one carrier each.
fn lines(secret: &str) -> Vec<(String, Value)> {
    let mut lines = Vec::new();
    let mut add = |carrier: String, request: Value| {
        lines.push((carrier, json!({"request": request, "response": {"status": 200}, "outrider_key": SOURCE_SECRET})));
    };
    let headers = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "apikey",
        "x-api-key",
        "x-auth-token",
        "X-Access-Token",
        "x-csrf-token",
        "x-amz-security-token",
        "ocp-apim-subscription-key",
        "x-visit",
        "x-secret",
    ];
    for name in headers {
        add(format!("header {name}"), json!({"uri": "/a", "headers": {name: secret}}));
        add(format!("repeated header {name}"), json!({"uri": "/a", "headers": {name: [secret, "x", secret]}}));
        add(format!("bearer {name}"), json!({"uri": "/a", "headers": {name: format!("Bearer {secret}")}}));
        add(format!("cookie pair {name}"), json!({"uri": "/a", "headers": {"cookie": format!("a=1; s={secret}")}}));
    }
    let names =
        ["apikey", "token", "access_token", "accessToken", "password", "client_secret", "sig", "code", "key", "jwt"];
    for name in names {
        for (how, written) in [("escaped", percent(secret, false)), ("fully escaped", percent(secret, true))] {
            add(format!("query {name} {how}"), json!({"uri": format!("/a?x=1&{name}={written}&y=2")}));
            let name_escaped = percent(name, true);
            add(format!("query escaped {name} {how}"), json!({"uri": format!("/a?{name_escaped}={written}")}));
            add(format!("query repeated {name}"), json!({"uri": format!("/a?{name}={written}&{name}={written}")}));
            add(format!("fragment {name}"), json!({"uri": format!("/a#{name}={written}")}));
            add(format!("matrix {name}"), json!({"uri": format!("/a;{name}={written}/b")}));
            for header in ["referer", "x-original-url", "x-forwarded-uri"] {
                let url = format!("https://x.example/a?x=1&{name}={written}");
                add(format!("{header} {name} {how}"), json!({"uri": "/a", "headers": {header: url}}));
            }
            let nested = percent(&format!("/b?{name}={written}"), false);
            add(format!("nested {name} {how}"), json!({"uri": format!("/a?next={nested}")}));
        }
    }
    lines
}

/// Lines with a secret that is known by its look alone.
fn lines_by_look(secret: &str) -> Vec<(String, Value)> {
    [
        json!({"uri": format!("/reset/{secret}/x")}),
        json!({"uri": format!("/reset/{}", percent(secret, true))}),
        json!({"uri": format!("/a?q={secret}")}),
        json!({"uri": format!("/a?{secret}")}),
        json!({"uri": format!("/a?q={}", percent(secret, true))}),
        json!({"uri": "/a", "headers": {"x-anything": secret}}),
        json!({"uri": "/a", "headers": {"x-anything": ["a", format!("note, {secret}")]}}),
        json!({"uri": "/a", "headers": {"user-agent": format!("client/1.0 ({secret})")}}),
        json!({"uri": "/a", "headers": {"referer": format!("https://x.example/{secret}")}}),
    ]
    .into_iter()
    .map(|request| (format!("look {request}"), json!({"request": request, "response": {"status": 200}})))
    .collect()
}

/// Looks for the secret, or any eight characters of it, in what is encoded and in what debugging shows.
fn assert_gone(carrier: &str, secret: &str, line: &Value) {
    let settings = NormaliserSettings {
        secret: SourceSecret::new(SOURCE_SECRET),
        session: Some(SessionCarrier::Header("x-visit".to_owned())),
        ..NormaliserSettings::new("kong")
    };
    let normaliser = Normaliser::new(settings, PseudonymKey::from_bytes(&[7; 32])).unwrap();
    let mut scratch = Scratch::default();
    let line = line.to_string();
    let call = normaliser.normalise(line.as_bytes(), Some(1_795_448_391_727), &mut scratch).unwrap();
    let mut writer = BatchWriter::default();
    writer.push(&call).unwrap();
    let encoded = String::from_utf8_lossy(&writer.take()).into_owned();
    let shown = format!("{call:?} {normaliser:?}");
    let characters: Vec<char> = secret.chars().collect();
    for window in characters.windows(8) {
        let piece: String = window.iter().collect();
        for written in [piece.clone(), percent(&piece, false), percent(&piece, true)] {
            for (place, text) in [("batch", &encoded), ("debug output", &shown)] {
                assert!(!text.contains(&written), "`{written}` by {carrier} is in the {place}: {line}\n{text:?}");
            }
        }
    }
    for text in [&encoded, &shown] {
        assert!(!text.contains(SOURCE_SECRET), "{carrier}");
    }
}

#[test]
fn by_name() {
    for secret in SECRETS {
        for (carrier, line) in lines(secret) {
            assert_gone(&carrier, secret, &line);
        }
    }
}

#[test]
fn by_look() {
    for secret in [SECRETS[1], SECRETS[2], SECRETS[5]] {
        for (carrier, line) in lines_by_look(secret) {
            assert_gone(&carrier, secret, &line);
        }
    }
}

#[test]
fn a_rejection_says_nothing_of_the_line() {
    let normaliser = Normaliser::new(NormaliserSettings::new("kong"), PseudonymKey::from_bytes(&[7; 32])).unwrap();
    let line = format!(r#"{{"apikey":"{}""#, SECRETS[0]);
    let reason = normaliser.normalise(line.as_bytes(), None, &mut Scratch::default()).unwrap_err();
    assert_eq!(format!("{reason} {reason:?}"), "not_json NotJson");
}
