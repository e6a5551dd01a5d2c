//! Lines of older Kongs, written after what changed between the versions. See each fixture's `note`.
#![allow(clippy::unwrap_used)]

use outrider_collect::{Normaliser, NormaliserSettings, PseudonymKey, Scratch};
use outrider_model::{AnsweredBy, ApiCall, ClockCheck, FieldValue};

const NOW_MS: i64 = 1_600_000_000_100;

fn check(fixture: &str, inspect: impl FnOnce(&ApiCall<'_>)) {
    let path = format!("{}/tests/fixtures/{fixture}.json", env!("CARGO_MANIFEST_DIR"));
    let line = std::fs::read_to_string(&path).unwrap().replace('\n', "");
    let normaliser = Normaliser::new(NormaliserSettings::new("kong"), PseudonymKey::from_bytes(&[7; 32])).unwrap();
    let mut scratch = Scratch::default();
    let call = normaliser.normalise(line.as_bytes(), Some(NOW_MS), &mut scratch);
    let call = call.unwrap_or_else(|reason| panic!("{fixture}: {reason}"));
    // What all fixtures have in common.
    assert_eq!(call.client_ip, Some([192, 0, 2, 10].into()), "{fixture}");
    assert_eq!((call.started_ms, call.event_ms), (1_600_000_000_000, 1_600_000_000_025), "{fixture}");
    assert_eq!(call.clock, ClockCheck::AsReported, "{fixture}");
    assert_eq!((&*call.method, &*call.host), ("GET", "api.example"), "{fixture}");
    assert_eq!(call.latency.total_ms, 25, "{fixture}");
    inspect(&call);
}

#[test]
fn kong_2_0_writes_sizes_as_texts_and_empty_tables_as_objects() {
    check("kong-2.0-proxied", |call| {
        assert_eq!((call.answered_by, call.status), (AnsweredBy::Upstream, 200));
        assert_eq!((call.request_bytes, call.response_bytes), (106, 967));
        assert_eq!((&*call.path, &*call.workspace, &*call.request_id), ("/shop/items", "", ""));
        assert_eq!(&*call.authenticated_consumer().unwrap().username, "alice");
        assert!(
            call.headers
                .iter()
                .any(|field| *field.name == *"authorization" && matches!(field.value, FieldValue::Pseudonym(..))),
            "2.0 redacts nothing"
        );
    });
    check("kong-2.0-refused", |call| {
        assert_eq!((call.answered_by, call.status), (AnsweredBy::Gateway, 401));
        assert!(call.query.is_empty() && call.consumer.is_none());
        assert!(call.presented_credential.is_some());
    });
}

#[test]
fn kong_2_1_redacts_authorization() {
    check("kong-2.1-upstream-away", |call| {
        assert_eq!((call.answered_by, call.status), (AnsweredBy::Gateway, 502), "every try failed");
        assert!(call.headers.iter().any(|field| field.value == FieldValue::Redacted));
        assert_eq!(call.presented_credential, None);
    });
}

#[test]
fn kong_2_8_has_neither_source_nor_request_id() {
    check("kong-2.8-proxied", |call| {
        assert_eq!((call.answered_by, call.status), (AnsweredBy::Upstream, 403), "the API itself refused");
        assert_eq!(call.service.as_ref().unwrap().label(), "shop");
        assert!(call.own_refusal.is_none());
    });
    check("kong-2.8-terminated", |call| {
        assert_eq!((call.answered_by, call.status), (AnsweredBy::Gateway, 403));
        assert_eq!(call.own_refusal.as_deref(), Some("a1b2c3"));
    });
}

#[test]
fn kong_3_0_and_3_4_add_what_the_latest_has() {
    check("kong-3.0-anonymous", |call| {
        assert_eq!((call.answered_by, call.status), (AnsweredBy::Upstream, 200));
        assert!(call.anonymous_consumer && call.authenticated_consumer().is_none());
    });
    check("kong-3.4-no-route", |call| {
        assert_eq!((call.answered_by, call.status), (AnsweredBy::Gateway, 404));
        assert!(call.route.is_none());
    });
}
