//! What holds for any parameter: it is read without panic, the same every time, in time in proportion, and what is found lies
//! in it.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

use outrider_classify::{
    CLASSIFIED_BYTES_MAX, Class, CustomClass, CustomClasses, DataClass, Family, Validator, classify,
};
use proptest::prelude::*;

/// Pieces of what the families look for, so that random texts come near to it.
const PIECES: &[&str] = &[
    "@",
    ".",
    "-",
    ":",
    "://",
    "/",
    " ",
    "é",
    "日",
    "\u{301}",
    "+49",
    "4111",
    "1111",
    "DE89",
    "eyJ",
    "-----BEGIN ",
    "PRIVATE KEY-----",
    "-----END ",
    "www.",
    ".com",
    "0",
    "9",
    "a",
    "F",
    "Bearer ",
    "$2b$",
    "192.168.",
    "::",
    "512-34-",
    "street",
    "5",
    ",",
    "=",
    "\"",
    "ssn",
    "phone ",
    "user:pass@",
    "756.",
    "131052-",
    "\0",
    "(",
    "[",
    "]",
    "{",
    "}",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        proptest::collection::vec(proptest::sample::select(PIECES), 0..40).prop_map(|pieces| pieces.concat()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        proptest::sample::select(&[
            "phone",
            "card",
            "ssn",
            "address",
            "zip",
            "lat",
            "name",
            "diagnosis",
            "url",
            "code"
        ])
        .prop_map(str::to_owned),
    ]
}

fn check(name: &str, value: &str, context: &[&str]) {
    let custom = [CustomClass {
        name: "mine".to_owned(),
        pattern: Some("[a-zé]+".to_owned()),
        words: vec!["code".to_owned()],
        validator: Validator::None,
    }];
    let custom = CustomClasses::new(&custom).unwrap();
    assert_eq!(custom.classify(name, value, context), custom.classify(name, value, context));
    let found = classify(name, value, context);
    assert_eq!(found, classify(name, value, context), "not the same twice");
    let mut ends = [0, 0];
    for found in &found {
        assert!(found.start < found.end && found.end <= value.len(), "{found:?}");
        assert!(value.is_char_boundary(found.start) && value.is_char_boundary(found.end), "{found:?}");
        assert!((0.3..=0.99).contains(&found.confidence), "{found:?}");
        assert!(found.because.reasons().count() > 0, "{found:?}");
        // A URL is apart from what stands in it.
        let end = &mut ends[usize::from(found.class == Class::Known(DataClass::Url))];
        assert!(found.start >= *end, "{found:?} overlaps");
        *end = found.end;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_parameter_is_read(name in name(), value in text(), context in proptest::collection::vec(text(), 0..3)) {
        let context: Vec<&str> = context.iter().map(String::as_str).collect();
        check(&name, &value, &context);
    }
}

#[test]
fn any_value_is_read_in_time_in_proportion() {
    // Were any of it quadratic, this test would not end.
    for piece in PIECES {
        for name in ["", "phone", "password", "diagnosis"] {
            check(name, &piece.repeat(CLASSIFIED_BYTES_MAX / piece.len()), &["patients"]);
        }
    }
    for sample in Family::ALL.into_iter().flat_map(|family| family.samples().lines()) {
        check("", &sample.repeat(CLASSIFIED_BYTES_MAX / sample.len()), &[]);
    }
}

#[test]
fn a_longer_value_is_read_to_the_limit_and_no_further() {
    let early = format!("{}alice@corp.example", "é".repeat(1000));
    assert_eq!(classify("", &early, &[]).len(), 1);
    let late = format!("{} alice@corp.example", "é".repeat(CLASSIFIED_BYTES_MAX / 2));
    assert_eq!(classify("", &late, &[]), []);
    // The limit falls into the middle of a character.
    let odd = format!("x{}", "é".repeat(CLASSIFIED_BYTES_MAX));
    assert_eq!(classify("", &odd, &[]), []);
}

#[test]
fn of_many_values_the_first_are_told() {
    let many = "alice@corp.example ".repeat(1000);
    assert_eq!(classify("", &many, &[]).len(), 64);
}
